"""`airis backup` and `airis restore`: their steps, in an order that never loses data."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from airis.backup import agent, archive
from airis.backup.archive import Archive
from airis.backup.pods import Pause, Site, site_of, undisturbed
from airis.backup.remote import Refusal, answer, run_agent
from airis.backup.target import target_of
from airis.cluster.connection import connected
from airis.cluster.kubectl import KubectlError
from airis.deploy import guard
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError
from airis.terminal.progress import Advance, step
from airis.terminal.signals import interruptible


def backup_stack(
    name: str,
    output: Path | None,
    *,
    stop: bool = False,
    kubeconfig: Path | None = None,
    timeout_seconds: float = 300.0,
) -> Archive:
    """Backs up a stack's Open WebUI to an archive, with its checksum in a file next to it.

    Open WebUI keeps running. With `stop`, it is stopped during the backup, and a helper pod reads the claim, which also works
    if Open WebUI does not run. Raises AirisError, and leaves no file, if the backup fails.
    """
    stack = read_stack(name)
    target = target_of(stack)
    now = datetime.now(UTC)
    path = (output or Path(f"airis-{name}-{now:%Y%m%dT%H%M%SZ}.tar.gz")).absolute()
    archive.free_output(path)
    if kubeconfig is None:
        guard.refuse_another(stack)
    with connected(stack, target.namespace, kubeconfig) as cluster, interruptible():
        site = site_of(cluster, target, timeout_seconds)
        about = {
            "stack": target.stack,
            "namespace": target.namespace,
            "claim": target.claim,
            "image": site.image,
            "created": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "left_out": list(agent.REBUILT),
        }
        with _pod(site, stop=stop) as pod, step(f"Backing up stack {name}", total=1.0) as advance:

            def receive(stdout: BinaryIO) -> Archive:
                return archive.write(stdout, path, about, advance)

            made = run_agent(cluster, pod, target.container, "backup", target.folder, receive=receive)
    _warn(made)
    return made


@contextmanager
def _pod(site: Site, *, stop: bool) -> Iterator[str]:
    if stop:
        with site.paused(), site.helper() as pod:
            yield pod
        return
    running = site.running_pod()
    if running is None:
        raise AirisError(
            f"no pod of {site.target.deployment} is running, and the backup needs one",
            f"check `kubectl --namespace={site.target.namespace} get pods`, or use --stop, which mounts the claim in a helper "
            "pod",
        )
    yield running


def _warn(made: Archive) -> None:
    for key, what in (
        ("changed", "changed while it was read; use --stop for a consistent copy"),
        ("skipped", "is not a regular file, and is not in the backup"),
    ):
        names = made.manifest.get(key, [])
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            print(f"warning: {names[0]}{more}: {what}", file=sys.stderr)


def restore_stack(
    name: str,
    file: Path,
    *,
    overwrite: bool = False,
    kubeconfig: Path | None = None,
    timeout_seconds: float = 300.0,
) -> tuple[Archive, str | None]:
    """Replaces a stack's data with a backup. Open WebUI is stopped during the restore.

    The whole archive is verified before anything is changed, and again on the volume. Returns it, and the folder on the volume
    with the old data, if there was any. Raises AirisError if the restore fails; its message states which data is on the volume.
    """
    stack = read_stack(name)
    target = target_of(stack)
    if kubeconfig is None:
        guard.refuse_another(stack)
    with step(f"Checking {file.name}"):
        checked = archive.verify(file)
    with connected(stack, target.namespace, kubeconfig) as cluster, interruptible():
        site = site_of(cluster, target, timeout_seconds)
        _refuse_early(site, checked, overwrite=overwrite)
        if checked.manifest.get("image") != site.image:
            print(
                f"warning: the backup was made by {checked.manifest.get('image')}, but the stack runs {site.image}: an older "
                "release cannot use the database of a newer one",
                file=sys.stderr,
            )
        with site.paused() as pause, step(f"Restoring stack {name}", 1.0) as advance:
            aside = _replace(site, checked, pause, advance, overwrite=overwrite)
    return checked, aside


def _refuse_early(site: Site, checked: Archive, *, overwrite: bool) -> None:
    """Raises the agent's errors early, before Open WebUI is stopped."""
    pod = site.running_pod()
    if pod is None:
        return
    found = run_agent(site.cluster, pod, site.target.container, "inspect", site.target.folder, receive=answer)
    if not found["empty"] and not overwrite:
        raise AirisError(
            f"the claim {site.target.claim} already has data",
            "use --overwrite to replace it; the old data is then kept in another folder on the volume",
        )
    if checked.bytes > found["free"]:
        refused = agent.no_room(checked.bytes, found["free"])
        raise AirisError(refused.message, refused.remedy)


def _replace(site: Site, checked: Archive, pause: Pause, advance: Advance, *, overwrite: bool) -> str | None:
    receipt = secrets.token_hex(8)
    size = str(checked.path.stat().st_size)
    arguments = ["restore", site.target.folder, size, checked.sha256, receipt, *(["--overwrite"] if overwrite else [])]
    try:
        with site.helper() as pod:
            pause.whole = False
            result = run_agent(
                site.cluster,
                pod,
                site.target.container,
                *arguments,
                receive=answer,
                archive=checked.path,
                advance=advance,
            )
            pause.whole = True
    except Refusal:
        pause.whole = True
        raise
    except BaseException as error:
        if pause.whole:
            raise
        which = _recover(site, receipt)
        pause.whole = True
        if isinstance(error, AirisError):
            raise KubectlError(f"{error.message}; {which}", error.remedy) from None
        print(f"\n{which}", file=sys.stderr)
        raise
    return str(result["aside"]) if result["aside"] else None


def _recover(site: Site, receipt: str) -> str:
    """Makes the volume consistent in a new helper pod: the first one is gone. Returns which data is on the volume."""
    with undisturbed():
        try:
            with site.helper() as pod:
                found = run_agent(
                    site.cluster, pod, site.target.container, "recover", site.target.folder, receive=answer
                )
        except AirisError as error:
            raise KubectlError(
                f"the restore was interrupted, and the volume could not be made consistent: {error.message}",
                error.remedy,
            ) from None
    which = "the backup's" if found["receipt"] == receipt else "the old"
    return f"{which} data is on the volume, and it is consistent"
