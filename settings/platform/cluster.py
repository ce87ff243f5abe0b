"""Settings of the cluster itself: which one a stack belongs to, and how long it may take to start pods."""

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
    """The cluster that the stack belongs to, and how long `up` waits for its pods.

    A stack that names its cluster is refused on every other one, before anything is touched.
    """

    uid: Annotated[str, AfterValidator(_is_uid)] | None = None
    """UID of the cluster's namespace `kube-system`: it is made with the cluster, stays until its end and is never given twice,
    whatever the cluster's address, certificates and contexts are called. `airis up` prints it. Null for any cluster."""
    context: Annotated[str, AfterValidator(_is_name)] | None = None
    """Context of the kubeconfig that has to be in use; `kubernetes:context`, if it is set, must be the same. Null for any."""
    server: Annotated[str, AfterValidator(url_with("http", "https", example=_EXAMPLE))] | None = None
    """URL of the API server, as the kubeconfig has it. Null for any."""
    ready_seconds: Annotated[StrictInt, Field(ge=30, le=86400)] = 600
    """Longest time in seconds that `up` waits for the pods of one Deployment or StatefulSet, images pulled included and
    migrations of the database left out. Then the update has failed; the objects stay, and the next `up` goes on with them.
    Also the deadline of the WebUI's Deployment, at which `kubectl rollout status` and Argo CD give up."""
