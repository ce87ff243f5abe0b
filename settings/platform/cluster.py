"""Settings of the cluster: which cluster the stack is pinned to, and how long its pods may take to become ready."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from settings.types.base import Settings
from settings.types.names import url_with

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXAMPLE = "https://203.0.113.7:6443"


def _is_uid(given: str) -> str:
    if not _UID.fullmatch(given):
        raise ValueError("the output of `kubectl get namespace kube-system -o jsonpath={.metadata.uid}`")
    return given


def _is_name(given: str) -> str:
    if not given or given != given.strip() or not given.isprintable():
        raise ValueError("the name of a context, as `kubectl config get-contexts -o name` prints it")
    return given


class ClusterSettings(Settings):
    """The cluster that the stack is pinned to, and how long `up` waits for its pods.

    On any other cluster, a pinned stack is refused before anything is changed.
    """

    uid: Annotated[str, AfterValidator(_is_uid)] | None = None
    """UID of the cluster's `kube-system` namespace, which identifies the cluster for its whole lifetime. `airis up` prints it.
    Null for any cluster."""
    context: Annotated[str, AfterValidator(_is_name)] | None = None
    """kubeconfig context that must be in use. `kubernetes:context` must be set to the same name. Null for any context."""
    server: Annotated[str, AfterValidator(url_with("http", "https", example=_EXAMPLE))] | None = None
    """URL of the API server, as in the kubeconfig. Null for any server."""
    ready_seconds: Annotated[StrictInt, Field(ge=30, le=86400)] = 600
    """How long `up` waits for the pods of one Deployment or StatefulSet to become ready, image pulls included, database
    migrations excluded. After that, the update fails; its objects are kept, and the next `up` continues with them. Also sets
    `progressDeadlineSeconds` of the WebUI's Deployment."""
