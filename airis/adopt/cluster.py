"""kubectl on the cluster that something is adopted from: to look, to try things out on the server, and to hand over."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airis.cluster.connection import Cluster, connected
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import resource_of
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem

_FORBIDDEN = ("forbidden", "Unauthorized", "must be logged in")
_AWAY = (
    "Unable to connect",
    "was refused",
    "no answer within",
    "i/o timeout",
    "ServiceUnavailable",
    "EOF",
    "TLS handshake",
)


@contextmanager
def cluster_of(stack: StackFile, namespace: str, kubeconfig: Path | None, context: str | None) -> Iterator[Cluster]:
    """The cluster that `kubeconfig` and `context` name, or else the one that the stack goes to.

    Raises EnvironmentProblem where none is configured or kubectl is missing.
    """
    with connected(stack, namespace, kubeconfig) as found:
        further = [f"--context={context}"] if context and kubeconfig is not None else []
        yield Cluster(found.binary, namespace, [*found.options, *further])


def problem(error: KubectlError, changed: Sequence[str] = ()) -> AirisError:
    """The same error with what it means here: what the person may not do, an API server that is away, or another one.

    `changed` is what has been done before; without any, nothing was changed.
    """
    words = error.message
    so_far = f"done so far: {'; '.join(changed)}. Run the same command again: it goes on from there"
    nothing = "nothing was changed"
    if any(each in words for each in _FORBIDDEN):
        remedy = so_far if changed else f"{nothing}; docs/moving.md lists the rights that airis adopt needs"
        return EnvironmentProblem(f"the cluster does not permit it: {words}", remedy)
    if any(each in words for each in _AWAY):
        if changed:
            return KubectlError(f"the API server does not answer any more: {words}", so_far)
        return EnvironmentProblem(f"the API server does not answer: {words}", nothing)
    return KubectlError(words, so_far if changed else nothing)


def get(cluster: Cluster, kinds: str, *names: str) -> list[dict[str, Any]]:
    """Objects with the record of who owns which field."""
    return cluster.get(kinds, *names, "--show-managed-fields")


def tried(cluster: Cluster, verb: str, body: KubeObject) -> dict[str, Any]:
    """What the API server makes of an object, without keeping it: with `create`, or `replace` for one that exists."""
    text = cluster.run(verb, "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(body))
    return dict(json.loads(text))


def patch(
    cluster: Cluster, body: KubeObject, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
) -> None:
    """Changes one object by a JSON patch, but only as it was seen: whoever changed it meanwhile is not overwritten."""
    version = body["metadata"]["resourceVersion"]
    unchanged = [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]
    cluster.run(
        "patch",
        resource_of(body),
        body["metadata"]["name"],
        "--type=json",
        f"--patch={json.dumps([*unchanged, *operations])}",
        "--field-manager=kubectl-airis",
        *(["--dry-run=server"] if dry_run else []),
    )


def label(body: KubeObject) -> str:
    """How an object is called in messages: `Service/ollama`."""
    return f"{body['kind']}/{body['metadata']['name']}"
