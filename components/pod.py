"""Parts of a pod that all workloads have in common."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapKeySelectorArgs,
    ContainerArgs,
    ContainerPortArgs,
    EmptyDirVolumeSourceArgs,
    EnvVarArgs,
    EnvVarSourceArgs,
    HTTPGetActionArgs,
    LocalObjectReferenceArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    PodResourceClaimArgs,
    PodSecurityContextArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    ResourceClaimArgs,
    ResourceRequirementsArgs,
    SecretKeySelectorArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.egress import ca_mounts, ca_volumes
from components.metadata import Place
from components.security import container_context, pod_context
from settings.pods.probes import ProbeSettings
from settings.pods.workload import ResourceAmounts, Resources
from settings.types.images import mirrored
from settings.types.references import ConfigMapKeyRef, SecretKeyRef

PORT_NAME = "http"

EnvValue = pulumi.Input[str] | SecretKeyRef | ConfigMapKeyRef | SecretKeySelectorArgs
"""The value of an environment variable, or a reference to it."""


def env(*sources: Mapping[str, Any]) -> list[EnvVarArgs]:
    """Environment variables from names and `EnvValue`s. The settings ensure that each name is set once.

    References come first: Kubernetes expands `$(NAME)` in a value only from earlier variables.
    """
    values = {name: value for source in sources for name, value in source.items()}
    references = {name: source for name, value in values.items() if (source := _source(value)) is not None}
    return [
        *(EnvVarArgs(name=name, value_from=source) for name, source in references.items()),
        *(EnvVarArgs(name=name, value=value) for name, value in values.items() if name not in references),
    ]


def _source(value: object) -> EnvVarSourceArgs | None:
    match value:
        case SecretKeyRef():
            return EnvVarSourceArgs(secret_key_ref=SecretKeySelectorArgs(name=value.name, key=value.key))
        case SecretKeySelectorArgs():
            return EnvVarSourceArgs(secret_key_ref=value)
        case ConfigMapKeyRef():
            return EnvVarSourceArgs(config_map_key_ref=ConfigMapKeySelectorArgs(name=value.name, key=value.key))
        case _:
            return None


def probe(path: str, settings: ProbeSettings) -> ProbeArgs:
    """An HTTP probe of the container's port."""
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=path, port=PORT_NAME),
        period_seconds=settings.period_seconds,
        timeout_seconds=settings.timeout_seconds,
        failure_threshold=settings.failure_threshold,
    )


def scratch(name: str, size: str) -> VolumeArgs:
    """An emptyDir volume; `size` is its limit."""
    return VolumeArgs(name=name, empty_dir=EmptyDirVolumeSourceArgs(size_limit=size))


def claimed(name: str, claim: pulumi.Input[str]) -> VolumeArgs:
    """A volume of a claim."""
    return VolumeArgs(name=name, persistent_volume_claim=PersistentVolumeClaimVolumeSourceArgs(claim_name=claim))


def resources(
    settings: Resources,
    extended: Mapping[str, int] = MappingProxyType({}),
    claims: Sequence[PodResourceClaimArgs] = (),
) -> ResourceRequirementsArgs:
    """Requests and limits. Extended resources (GPUs) are limits, which Kubernetes copies to the requests.

    `claims` are those of the pod that the container uses.
    """
    limits = _amounts(settings.limits) | {name: str(count) for name, count in extended.items()}
    return ResourceRequirementsArgs(
        requests=_amounts(settings.requests) or None,
        limits=limits or None,
        claims=[ResourceClaimArgs(name=each.name) for each in claims] or None,
    )


def _amounts(amounts: ResourceAmounts) -> dict[str, str]:
    named = {"cpu": amounts.cpu, "memory": amounts.memory, "ephemeral-storage": amounts.ephemeral_storage}
    return {name: amount for name, amount in named.items() if amount is not None}


def container(
    place: Place,
    name: str,
    image: str,
    *,
    environment: Sequence[EnvVarArgs],
    mounts: Mapping[str, str],
    resources: ResourceRequirementsArgs,
    port: int | None = None,
    **further: Any,
) -> ContainerArgs:
    """A container of the stack, with its image from the mirror, if there is one, and the platform's security context.

    `mounts` are paths by the names of volumes; `port` is served under the name `http`; `further` are arguments of
    ContainerArgs.
    """
    return ContainerArgs(
        name=name,
        image=mirrored(image, place.platform.registry.mirror),
        env=list(environment),
        resources=resources,
        ports=None if port is None else [ContainerPortArgs(name=PORT_NAME, container_port=port)],
        security_context=container_context(place.platform.pod_security),
        volume_mounts=[
            *(VolumeMountArgs(name=volume, mount_path=path) for volume, path in mounts.items()),
            *(
                VolumeMountArgs(name=volume, mount_path=path, read_only=True)
                for volume, path in ca_mounts(place.platform).items()
            ),
        ],
        **further,
    )


def template(
    place: Place,
    *,
    containers: Sequence[ContainerArgs],
    volumes: Sequence[VolumeArgs],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, pulumi.Input[str]] = MappingProxyType({}),
    supplemental_groups: Sequence[int] = (),
    **further: Any,
) -> PodTemplateSpecArgs:
    """The template of a workload's pods, without a token for the API server.

    `labels` replace those of the place; `supplemental_groups` are additional group IDs; `further` are arguments of PodSpecArgs.
    """
    platform = place.platform
    context = pod_context(platform.pod_security)
    if supplemental_groups:
        context = context or PodSecurityContextArgs()
        context.supplemental_groups = list(supplemental_groups)
    return PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(
            labels={**platform.labels, **(place.labels if labels is None else labels)},
            annotations={**platform.annotations, **annotations} or None,
        ),
        spec=PodSpecArgs(
            containers=list(containers),
            volumes=[*volumes, *ca_volumes(platform)],
            security_context=context,
            automount_service_account_token=False,
            enable_service_links=False,
            image_pull_secrets=[LocalObjectReferenceArgs(name=name) for name in platform.image_pull_secrets] or None,
            **further,
        ),
    )
