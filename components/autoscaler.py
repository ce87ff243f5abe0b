"""HorizontalPodAutoscalers."""

from pulumi_kubernetes.autoscaling.v2 import (
    CrossVersionObjectReferenceArgs,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpecArgs,
    MetricSpecArgs,
    MetricTargetArgs,
    ResourceMetricSourceArgs,
)

from components.metadata import Place
from settings.pods.autoscaling import AutoscalingSettings


def autoscaler(name: str, deployment: str, settings: AutoscalingSettings, place: Place) -> HorizontalPodAutoscaler:
    """Creates the HorizontalPodAutoscaler `name` of a Deployment, which must not set `replicas`."""
    metrics = [("cpu", settings.cpu_percent), ("memory", settings.memory_percent)]
    return HorizontalPodAutoscaler(
        name,
        metadata=place.metadata(name),
        spec=HorizontalPodAutoscalerSpecArgs(
            # By name, not by output: the Deployment's output waits for its pods, which may be too few without the autoscaler
            scale_target_ref=CrossVersionObjectReferenceArgs(api_version="apps/v1", kind="Deployment", name=deployment),
            min_replicas=settings.min_replicas,
            max_replicas=settings.max_replicas,
            metrics=[
                MetricSpecArgs(
                    type="Resource",
                    resource=ResourceMetricSourceArgs(
                        name=metric, target=MetricTargetArgs(type="Utilization", average_utilization=percent)
                    ),
                )
                for metric, percent in metrics
                if percent is not None
            ],
        ),
        opts=place.opts,
    )
