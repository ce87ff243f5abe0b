"""Names, labels and annotations that all objects share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from settings.platform.platform import PlatformSettings

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Tells Pulumi not to wait for objects that the stack does not control, or whose pods it waits for anyway.

Claims: Pulumi's wait times out on a claim that is bound when it first looks. Services: each wait takes at least 10 s, and the
pods behind it are waited for by their controller. Ingress: many controllers never report an address. Source:
pulumi/pulumi-kubernetes, provider/pkg/await.
"""

_UNTIL = (
    "$.status.updatedReplicas==$.spec.replicas||$.spec.replicas==0",
    "$.status.readyReplicas==$.spec.replicas||$.spec.replicas==0",
    "$.status.replicas==$.spec.replicas||!$.status.replicas",
)
WAIT_FOR_PODS = {"pulumi.com/waitFor": json.dumps([f"jsonpath={{$[?{each}]}}" for each in _UNTIL])}
"""Tells Pulumi to wait until all pods of a Deployment run the newest template and are ready, and no others are left.

The provider's default wait ends too early when pods are replaced: while the old ones stop, no ReplicaSet wants a pod, and 0 of
0 counts as complete (provider/pkg/await/deployment.go, checkReplicaSetStatus). The condition is evaluated only once the
controller has observed the change (provider/pkg/await/condition/jsonpath.go). The wait for a StatefulSet (statefulset.go) has
no such gap.
"""

REPLACE_FAILED = {"pulumi.com/replaceUnready": "true"}
"""Tells Pulumi to replace a Job that has not succeeded: a failed Job would keep its name, and never run again.

Source: pulumi/pulumi-kubernetes, provider/pkg/provider/provider.go, Diff.
"""


def labels(app: str, application: str) -> dict[str, str]:
    """The labels of an object: `app`, which the selectors use, and the recommended `app.kubernetes.io` ones.

    `application` is the software (`open-webui`), `app` this installation of it.
    """
    return {
        "app": app,
        "app.kubernetes.io/name": application,
        "app.kubernetes.io/instance": app,
        "app.kubernetes.io/part-of": "airis",
    }


def namespace_labels(pod_security: str) -> dict[str, str]:
    """The labels of the namespace: the Pod Security level that it enforces. Source: Kubernetes, "Pod Security Admission"."""
    modes = ("enforce", "audit", "warn")
    return {
        "app.kubernetes.io/part-of": "airis",
        **{f"pod-security.kubernetes.io/{mode}": pod_security for mode in modes},
    }


def selector(app: str) -> LabelSelectorArgs:
    """Selects the pods of an installation. Immutable on a live object, so it contains only `app`."""
    return LabelSelectorArgs(match_labels={"app": app})


@dataclass(frozen=True)
class Place:
    """Where the objects of a component belong: namespace, labels, parent and platform settings."""

    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    parent: pulumi.Resource
    platform: PlatformSettings

    def metadata(self, name: str, annotations: Mapping[str, str] = MappingProxyType({})) -> ObjectMetaArgs:
        """Metadata of an object with a fixed name, including the stack's labels and annotations."""
        return ObjectMetaArgs(
            name=name,
            namespace=self.namespace,
            labels={**self.platform.labels, **self.labels},
            annotations={**self.platform.annotations, **annotations} or None,
        )

    @property
    def opts(self) -> pulumi.ResourceOptions:
        """Options of an object: a child of the component."""
        return pulumi.ResourceOptions(parent=self.parent)

    @property
    def ready_timeouts(self) -> pulumi.CustomTimeouts:
        """How long Pulumi waits for a workload's pods. Set it on the workload itself: it is ignored on a component."""
        seconds = f"{self.platform.cluster.ready_seconds}s"
        return pulumi.CustomTimeouts(create=seconds, update=seconds)
