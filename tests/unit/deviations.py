"""Where the stacks differ from the Kustomize deployment on purpose. docs/from-kustomize.md argues each of them."""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A field that the reference sets, and the stack leaves out or sets otherwise. The values are as written in YAML."""

    stack: str
    object: str
    field: str
    reference: str
    here: str


class Addition(NamedTuple):
    """Something that the reference does not have: an object, or a field of an object with all that is below it."""

    stack: str
    object: str
    field: str


ALL = "all"
"""Every stack, every object, or the object as a whole."""

DEVIATIONS = [
    Deviation(
        "cpu",
        "StatefulSet/ollama",
        "spec.template.spec.containers[ollama].resources.limits[nvidia.com/gpu]",
        '"0"',
        "absent",
    ),
]

ADDITIONS = [
    Addition(ALL, "Service/ollama", ALL),
    Addition(ALL, "PersistentVolumeClaim/ollama-volume-ollama-0", ALL),
    Addition(ALL, ALL, "metadata.labels"),
    Addition(ALL, ALL, "metadata.annotations[pulumi.com/skipAwait]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/name]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/instance]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/part-of]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.strategy"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].ports[8080].name"),
    Addition(ALL, "Service/airis-service", "spec.ports[8080].name"),
    Addition(ALL, "Service/ollama-service", "spec.ports[11434].name"),
    Addition(ALL, "StatefulSet/ollama", "spec.persistentVolumeClaimRetentionPolicy"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].ports[11434].name"),
    Addition("cpu", "StatefulSet/ollama", "spec.template.spec.containers[ollama].env[NVIDIA_VISIBLE_DEVICES]"),
    Addition("gpu", "StatefulSet/ollama", "spec.template.spec.tolerations"),
]
