"""kubectl on the cluster of an adopted deployment: reads, server-side dry runs, and patches."""

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
    """The cluster of `kubeconfig` and `context`, or else the one that the stack deploys to.

    Raises EnvironmentProblem if no cluster is configured, or kubectl is missing.
    """
    with connected(stack, namespace, kubeconfig) as found:
        further = [f"--context={context}"] if context and kubeconfig is not None else []
        yield Cluster(found.binary, namespace, [*found.options, *further])


def problem(error: KubectlError, changed: Sequence[str] = ()) -> AirisError:
    """The same error, classified: missing permissions, an unreachable API server, or another error.

    `changed` lists what was done before the error; if it is empty, nothing was changed.
    """
    words = error.message
    so_far = f"done so far: {'; '.join(changed)}. Run the same command again to continue"
    nothing = "nothing was changed"
    if any(each in words for each in _FORBIDDEN):
        remedy = so_far if changed else f"{nothing}; docs/moving.md lists the permissions that airis adopt needs"
        return EnvironmentProblem(f"permission denied by the cluster: {words}", remedy)
    if any(each in words for each in _AWAY):
        if changed:
            return KubectlError(f"the API server stopped answering: {words}", so_far)
        return EnvironmentProblem(f"the API server does not answer: {words}", nothing)
    return KubectlError(words, so_far if changed else nothing)


def get(cluster: Cluster, kinds: str, *names: str) -> list[dict[str, Any]]:
    """Objects with their managedFields."""
    return cluster.get(kinds, *names, "--show-managed-fields")


def tried(cluster: Cluster, verb: str, body: KubeObject) -> dict[str, Any]:
    """The result of a server-side dry run: of `create`, or of `replace` for an existing object."""
    text = cluster.run(verb, "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(body))
    return dict(json.loads(text))


def patch(
    cluster: Cluster, body: KubeObject, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
) -> None:
    """Applies a JSON patch to one object, only if its resourceVersion is unchanged: never overwrites concurrent changes."""
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
    """The name of an object in messages: `Service/ollama`."""
    return f"{body['kind']}/{body['metadata']['name']}"
