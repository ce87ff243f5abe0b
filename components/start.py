"""How the pods of the WebUI start: what they write to the database and the volume, they write one after another."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapVolumeSourceArgs, VolumeArgs

from components.metadata import Place
from settings.types.images import own_tag
from settings.types.releases import OPEN_WEBUI

SERVER = ("bash", "start.sh")
"""The command of Open WebUI's own image, which runs it in /app/backend. Source: open-webui/open-webui, Dockerfile."""

PREPARE = "prepare"
"""The name of the container that prepares the database."""
VOLUME, FOLDER = "start", "/etc/airis/start"
"""The volume with the scripts, and where containers mount it."""

_PREPARE, _ONE_PROCESS, _SIGN_IN = "prepare.py", "one_process.py", "collector_sign_in.py"
_LOCK = ".airis-lock"
"""The file on the volume that the one process locks. Backups leave out what begins like this."""

MIGRATIONS = "ENABLE_DB_MIGRATIONS"
"""The variable that says whether a container migrates."""


@dataclass(frozen=True)
class Start:
    """What a pod needs to start in turn."""

    prepare: Sequence[str]
    """The command of the container that prepares the database, before the server starts."""
    serve: Sequence[str] | None
    """The command of the server; None for the image's own."""
    volume: VolumeArgs
    """The scripts."""
    mounts: Mapping[str, str]
    """Where both containers mount them, by the volume's name."""


def start(name: str, folder: str, place: Place, *, one_process: bool, signs_in: bool = False) -> Start:
    """Registers a ConfigMap `<name>-start-<digest>` with the scripts.

    `folder` is where the containers mount the volume, and `one_process` whether only one process may use what is on it.
    `signs_in` adds what signs in to a collector of telemetry. The digest is that of the scripts: pods that run keep theirs, and
    others start the pods anew.
    """
    needed = [_PREPARE, _ONE_PROCESS, *([_SIGN_IN] if signs_in else [])]
    scripts = {each: Path(__file__).with_name(each).read_text(encoding="utf-8") for each in needed}
    digest = hashlib.sha256("".join(scripts.values()).encode()).hexdigest()[:8]
    kept = f"{name}-start-{digest}"
    config_map = ConfigMap(kept, metadata=place.metadata(kept), data=scripts, immutable=True, opts=place.opts)
    alone = ["python3", f"{FOLDER}/{_ONE_PROCESS}", f"{folder}/{_LOCK}"] if one_process else []
    before = [*alone, *(["python3", f"{FOLDER}/{_SIGN_IN}"] if signs_in else [])]
    return Start(
        prepare=[*alone, "python3", f"{FOLDER}/{_PREPARE}"],
        serve=[*before, *SERVER] if before else None,
        volume=VolumeArgs(name=VOLUME, config_map=ConfigMapVolumeSourceArgs(name=config_map.metadata.name)),
        mounts={VOLUME: FOLDER},
    )


def server_variables(image: str) -> Mapping[str, str]:
    """What keeps the server from migrating what is prepared already, under probes that would end it.

    Nothing for an image that is not Open WebUI's own: in one of another layout, nothing is prepared (prepare.py).
    """
    return {} if own_tag(image, OPEN_WEBUI.repository) is None else {MIGRATIONS: "False"}


def is_preparing(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's database is being prepared, or waits for another pod's turn. Not where that has failed before."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    for each in pod.get("status", {}).get("initContainerStatuses", []):
        if each["name"] == PREPARE:
            failed = each.get("lastState", {}).get("terminated", {}).get("exitCode")
            return "running" in each.get("state", {}) and not failed
    return False
