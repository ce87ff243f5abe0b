"""The Ollama model server."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.apps.v1 import (
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicyArgs,
    StatefulSetSpecArgs,
)
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    PersistentVolumeClaimArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import pod
from components.claim import claim_spec, data_claim
from components.metadata import SKIP_AWAIT, labels, metadata, selector
from settings.ollama import OllamaSettings

PORT = 11434


class Ollama(pulumi.ComponentResource):
    """Ollama as a StatefulSet `<name>`, its headless Service `<name>`, a Service `<name>-service`, and a claim for each pod.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `cluster_domain` ends
    the URLs. `image_pull_secrets` are names of Secrets in the namespace.
    """

    urls: Sequence[pulumi.Output[str]]
    """Where to reach Ollama inside the cluster: through the Service, or, with several replicas, one URL for each pod."""

    def __init__(
        self,
        name: str,
        settings: OllamaSettings | None = None,
        *,
        namespace: pulumi.Input[str],
        cluster_domain: str = "cluster.local",
        image_pull_secrets: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:Ollama", name, None, opts)
        settings = settings or OllamaSettings()
        child = pulumi.ResourceOptions(parent=self)
        own_labels = labels(name, "ollama")
        volume = f"{name}-volume"

        # The StatefulSet would make these claims by itself, with these names. Made here, they can be protected, and grow.
        claims = [
            data_claim(
                f"{volume}-{name}-{ordinal}", settings.storage, namespace=namespace, labels=own_labels, parent=self
            )
            for ordinal in range(max(settings.replicas, 1))  # paused is not gone
        ]
        headless = Service(
            name,
            metadata=metadata(name, namespace, own_labels, SKIP_AWAIT),
            spec=ServiceSpecArgs(
                cluster_ip="None",
                selector={"app": name},
                ports=[ServicePortArgs(name="http", port=PORT, target_port=PORT, protocol="TCP")],
            ),
            opts=child,
        )
        service = Service(
            f"{name}-service",
            metadata=metadata(f"{name}-service", namespace, own_labels, SKIP_AWAIT),
            spec=ServiceSpecArgs(
                selector={"app": name},
                ports=[ServicePortArgs(name="http", port=PORT, target_port=PORT, protocol="TCP")],
            ),
            opts=child,
        )
        gpu = settings.gpu
        container = ContainerArgs(
            name=name,
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            ports=[ContainerPortArgs(name="http", container_port=PORT)],
            # On a node with GPUs, the container runtime may hand all of them to a pod that asks for none
            env=pod.env({} if gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}, settings.env),
            resources=pod.resources(settings.resources, {gpu.resource_name: gpu.count} if gpu else {}),
            volume_mounts=[VolumeMountArgs(name=volume, mount_path="/root/.ollama")],
        )
        StatefulSet(
            name,
            metadata=metadata(name, namespace, own_labels),
            spec=StatefulSetSpecArgs(
                service_name=headless.metadata.name,
                replicas=settings.replicas,
                selector=selector(name),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=own_labels),
                    spec=PodSpecArgs(
                        containers=[container],
                        affinity=pod.node_affinity([*(gpu.node_affinity if gpu else ()), *settings.node_affinity]),
                        tolerations=pod.tolerations([*(gpu.tolerations if gpu else ()), *settings.tolerations]),
                        image_pull_secrets=pod.image_pull_secrets(image_pull_secrets),
                    ),
                ),
                volume_claim_templates=[
                    PersistentVolumeClaimArgs(metadata=ObjectMetaArgs(name=volume), spec=claim_spec(settings.storage))
                ],
                persistent_volume_claim_retention_policy=StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                    when_deleted="Retain", when_scaled="Retain"
                ),
            ),
            # The template cannot change on a live StatefulSet; the claims above are what grows
            opts=pulumi.ResourceOptions(parent=self, depends_on=claims, ignore_changes=["spec.volumeClaimTemplates"]),
        )
        self.urls = (
            [_url(f"{name}-{ordinal}", headless, cluster_domain) for ordinal in range(settings.replicas)]
            if settings.replicas > 1
            else [_url(None, service, cluster_domain)]
        )
        self.register_outputs({"urls": self.urls})


def _url(pod_name: str | None, service: Service, cluster_domain: str) -> pulumi.Output[str]:
    """The URL of a Service, or of one pod behind a headless one, from what the API server says the Service is called."""
    host = pulumi.Output.format("{0}.{1}", service.metadata.name, service.metadata.namespace)
    prefix = f"{pod_name}." if pod_name else ""
    return pulumi.Output.format("http://{0}{1}.svc.{2}:{3}", prefix, host, cluster_domain, PORT)
