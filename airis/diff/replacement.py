"""Which changes make Pulumi's Kubernetes provider replace an object.

Source: pulumi/pulumi-kubernetes v4, provider/pkg/provider/diff.go (`forceNewProperties`), for the API versions still served.
Source for the order: provider.go, `Diff` (`deleteBeforeReplace`).
"""

from collections.abc import Mapping

from airis.diff.fields import within
from airis.diff.stack_objects import Item

_EVERY_KIND = ("metadata.name", "metadata.namespace")

_FORCING: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "PersistentVolumeClaim"): ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ("", "PersistentVolume"): tuple(
        f"spec.{source}"
        for source in (
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "csi",
            "fc",
            "flexVolume",
            "flocker",
            "gcePersistentDisk",
            "glusterfs",
            "hostPath",
            "iscsi",
            "local",
            "nfs",
            "photonPersistentDisk",
            "portworxVolume",
            "quobyte",
            "rbd",
            "scaleIO",
            "storageos",
            "vsphereVolume",
        )
    ),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}

_CONTENTS = {
    "Secret": ("enableSecretMutable", ("type", "stringData", "data")),
    "ConfigMap": ("enableConfigMapMutable", ("binaryData", "data")),
}
"""Kinds whose contents only change in place if the provider is configured to, and the object is not immutable."""


def forcing(item: Item, mutable: Mapping[str, bool]) -> tuple[str, ...]:
    """The fields whose change forces a replacement. `mutable` is the provider's configuration."""
    fields = _FORCING.get((item.group, item.kind), ())
    if not item.group and item.kind in _CONTENTS:
        switch, contents = _CONTENTS[item.kind]
        if not mutable.get(switch) or item.body.get("immutable") is True:
            fields = (*fields, *contents)
    return (*_EVERY_KIND, *fields)


def covers(field: str, path: str) -> bool:
    """Whether a change at `path` changes `field`: the field itself, a part of it, or a parent."""
    return within(path, field) or within(field, path)
