"""The first `up` over objects that something else made, and that keep running under it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, StatefulSet
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.transform import Transform
from settings.platform.takeover import StoppedWorkload, TakeoverSettings

FIELD_MANAGER = "airis"
"""Under this name Pulumi applies, instead of a random one: so the fields can be handed over before, and what is stale goes."""

_ANNOTATION = {"pulumi.com/patchFieldManager": FIELD_MANAGER}


def takeover_transformations(settings: TakeoverSettings) -> list[Transform]:
    """For the `transformations` of resource options; none without a takeover.

    The provider keeps the name in the state, so that the annotation may go again. Source: pulumi/pulumi-kubernetes,
    provider/pkg/provider/provider.go, fieldManagerName.
    """
    return [_name_the_manager] if settings.enabled else []


def once_stopped(settings: TakeoverSettings, namespace: pulumi.Output[str], name: str) -> pulumi.Output[str]:
    """The namespace `name`, known once the workloads that must have stopped are seen to have no pods.

    Whatever is to be made in `namespace` waits for this. They are looked at through the engine, and so in the very cluster
    that is deployed to, in previews too. Raises pulumi.RunError there, naming those that run.
    """
    if not settings.stopped:
        return namespace

    def check(values: Sequence[Any]) -> str:
        running = [each for each, state in zip(settings.stopped, values[1:], strict=True) if _runs(*state)]
        if running:
            names = " and ".join(f"{each.kind}/{each.name}" for each in running)
            stop = " ".join(f"{each.kind.lower()}/{each.name}" for each in running)
            raise pulumi.RunError(
                f"{names}: still there with pods, on a volume that this stack is to use, and two processes must never use one. "
                f"Stop first: kubectl -n {name} scale {stop} --replicas=0"
            )
        return str(values[0])

    return pulumi.Output.all(namespace, *(_state(each, name) for each in settings.stopped)).apply(check)


def _state(each: StoppedWorkload, namespace: str) -> pulumi.Output[Sequence[Any]]:
    """The spec and the status of a workload in the cluster."""
    kind = StatefulSet if each.kind == "StatefulSet" else Deployment
    old = kind.get(f"before-{each.kind.lower()}-{each.name}", f"{namespace}/{each.name}")
    return pulumi.Output.all(old.spec, old.status)


def _runs(spec: Any, status: Any) -> bool:
    """Whether there are pods, or will be. Where there is no engine to ask, there is no spec."""
    wanted, there = _plain(spec), _plain(status)
    return bool(wanted) and (wanted.get("replicas") != 0 or bool(there.get("replicas")))


def _plain(value: Any) -> Mapping[str, Any]:
    """Outputs come as typed mappings, or as nothing where there is no engine to ask."""
    return value if isinstance(value, Mapping) else {}


def _name_the_manager(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    metadata = args.props.get("metadata")
    if not args.type_.startswith("kubernetes:") or not isinstance(metadata, ObjectMetaArgs):
        return None
    annotations: Any = metadata.annotations or {}
    metadata.annotations = {**annotations, **_ANNOTATION}
    return pulumi.ResourceTransformationResult(args.props, args.opts)
