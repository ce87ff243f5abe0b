"""From settings to the parts of a pod that WebUI and Ollama have in common."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pulumi
from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    EmptyDirVolumeSourceArgs,
    EnvVarArgs,
    EnvVarSourceArgs,
    HTTPGetActionArgs,
    LocalObjectReferenceArgs,
    NodeAffinityArgs,
    NodeSelectorArgs,
    NodeSelectorRequirementArgs,
    NodeSelectorTermArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
    SecretKeySelectorArgs,
    TolerationArgs,
    VolumeArgs,
)

from settings.probes import ProbeSettings
from settings.secrets import SecretKeyRef
from settings.workload import NodeSelectorRequirement, ResourceAmounts, Resources, Toleration

PORT_NAME = "http"


def env(*sources: Mapping[str, pulumi.Input[str]]) -> list[EnvVarArgs]:
    """Environment variables in the order of their sources; the settings make sure that no name stands twice."""
    return [EnvVarArgs(name=name, value=value) for source in sources for name, value in source.items()]


def secret_env(*sources: Mapping[str, SecretKeyRef | SecretKeySelectorArgs]) -> list[EnvVarArgs]:
    """Environment variables whose values stay in Secrets, in the order of their sources."""
    return [
        EnvVarArgs(
            name=name,
            value_from=EnvVarSourceArgs(
                secret_key_ref=SecretKeySelectorArgs(name=reference.name, key=reference.key)
                if isinstance(reference, SecretKeyRef)
                else reference
            ),
        )
        for source in sources
        for name, reference in source.items()
    ]


def probe(path: str, settings: ProbeSettings) -> ProbeArgs:
    """A probe that asks the container's own port over HTTP."""
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=path, port=PORT_NAME),
        period_seconds=settings.period_seconds,
        timeout_seconds=settings.timeout_seconds,
        failure_threshold=settings.failure_threshold,
    )


def scratch(name: str, size: str) -> VolumeArgs:
    """A folder that lives and dies with the pod; `size` is what it may hold at most."""
    return VolumeArgs(name=name, empty_dir=EmptyDirVolumeSourceArgs(size_limit=size))


def claimed(name: str, claim: pulumi.Input[str]) -> VolumeArgs:
    """A volume by its claim."""
    return VolumeArgs(name=name, persistent_volume_claim=PersistentVolumeClaimVolumeSourceArgs(claim_name=claim))


def resources(settings: Resources, extended: Mapping[str, int] = MappingProxyType({})) -> ResourceRequirementsArgs:
    """Requests and limits; extended resources (GPUs) go into the limits, from where Kubernetes copies them."""
    limits = _amounts(settings.limits) | {name: str(count) for name, count in extended.items()}
    return ResourceRequirementsArgs(requests=_amounts(settings.requests) or None, limits=limits or None)


def _amounts(amounts: ResourceAmounts) -> dict[str, str]:
    named = {"cpu": amounts.cpu, "memory": amounts.memory, "ephemeral-storage": amounts.ephemeral_storage}
    return {name: amount for name, amount in named.items() if amount is not None}


def node_affinity(requirements: Sequence[NodeSelectorRequirement]) -> AffinityArgs | None:
    """Requires a node that meets every condition; without conditions no affinity at all."""
    if not requirements:
        return None
    expressions = [
        NodeSelectorRequirementArgs(key=each.key, operator=each.operator, values=list(each.values) or None)
        for each in requirements
    ]
    term = NodeSelectorTermArgs(match_expressions=expressions)
    return AffinityArgs(
        node_affinity=NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=NodeSelectorArgs(node_selector_terms=[term])
        )
    )


def tolerations(settings: Sequence[Toleration]) -> list[TolerationArgs] | None:
    """Tolerations, or none at all."""
    return [
        TolerationArgs(
            key=each.key,
            operator=each.operator,
            value=each.value,
            effect=each.effect,
            toleration_seconds=each.toleration_seconds,
        )
        for each in settings
    ] or None


def image_pull_secrets(names: Sequence[str]) -> list[LocalObjectReferenceArgs] | None:
    """References to Secrets with registry credentials, or none at all."""
    return [LocalObjectReferenceArgs(name=name) for name in names] or None
