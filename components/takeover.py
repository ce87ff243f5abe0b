"""The first `up` that adopts existing, running objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, StatefulSet
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.transform import Transform
from settings.platform.takeover import StoppedWorkload, TakeoverSettings

FIELD_MANAGER = "airis"
"""Pulumi's field manager, instead of a random one: fields can be transferred to it before, and stale fields are removed."""

_ANNOTATION = {"pulumi.com/patchFieldManager": FIELD_MANAGER}


def takeover_transformations(settings: TakeoverSettings) -> list[Transform]:
    """For the `transformations` of resource options; none without a takeover.

    The provider keeps the field manager in the state, so that the annotation may be removed again. Source:
    pulumi/pulumi-kubernetes, provider/pkg/provider/provider.go, fieldManagerName.
    """
    return [_name_the_manager] if settings.enabled else []


def once_stopped(settings: TakeoverSettings, namespace: pulumi.Output[str], name: str) -> pulumi.Output[str]:
    """The namespace `name`, once the workloads that must be stopped have no pods.

    Everything in `namespace` waits for this. The workloads are read through the engine, so in the same cluster that is deployed
    to, in previews too. Raises pulumi.RunError there, with the names of running workloads.
    """
    if not settings.stopped:
        return namespace

    def check(values: Sequence[Any]) -> str:
        running = [each for each, state in zip(settings.stopped, values[1:], strict=True) if _runs(*state)]
        if running:
            names = " and ".join(f"{each.kind}/{each.name}" for each in running)
            have = "have" if len(running) > 1 else "has"
            stop = " ".join(f"{each.kind.lower()}/{each.name}" for each in running)
            raise pulumi.RunError(
                f"{names} still {have} pods on a volume that this stack will use; two processes must never use one volume. "
                f"Scale down first: kubectl -n {name} scale {stop} --replicas=0"
            )
        return str(values[0])

    return pulumi.Output.all(namespace, *(_state(each, name) for each in settings.stopped)).apply(check)


def _state(each: StoppedWorkload, namespace: str) -> pulumi.Output[Sequence[Any]]:
    """Spec and status of a workload in the cluster."""
    kind = StatefulSet if each.kind == "StatefulSet" else Deployment
    old = kind.get(f"before-{each.kind.lower()}-{each.name}", f"{namespace}/{each.name}")
    return pulumi.Output.all(old.spec, old.status)


def _runs(spec: Any, status: Any) -> bool:
    """Whether there are pods, or will be. Without an engine there is no spec."""
    wanted, there = _plain(spec), _plain(status)
    return bool(wanted) and (wanted.get("replicas") != 0 or bool(there.get("replicas")))


def _plain(value: Any) -> Mapping[str, Any]:
    """Outputs are typed mappings, or None without an engine."""
    return value if isinstance(value, Mapping) else {}


def _name_the_manager(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    metadata = args.props.get("metadata")
    if not args.type_.startswith("kubernetes:") or not isinstance(metadata, ObjectMetaArgs):
        return None
    annotations: Any = metadata.annotations or {}
    metadata.annotations = {**annotations, **_ANNOTATION}
    return pulumi.ResourceTransformationResult(args.props, args.opts)
