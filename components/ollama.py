"""The Ollama model server."""

from collections.abc import Mapping, Sequence

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
from components.account import service_account
from components.claim import claim_spec, data_claim
from components.disruption import disruption_budget
from components.metadata import SKIP_AWAIT, Place, labels, selector
from components.model_pull import pull_job, puller
from components.network import pods, policy
from components.security import container_context, pod_context
from settings.network import NetworkSettings
from settings.ollama import OllamaSettings
from settings.stack import PodSecurity

PORT = 11434

_HOME = "/home/ollama"
_SCRATCH = "scratch"


class Ollama(pulumi.ComponentResource):
    """Ollama as a StatefulSet `<name>`, its headless Service `<name>`, a Service `<name>-service`, and a claim for each pod.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `cluster_domain` ends
    the URLs. `callers` are labels of the pods that may use Ollama, which has no authentication; where `network` is left out
    there is no NetworkPolicy, and every pod may. `image_pull_secrets` are names of Secrets in the namespace.
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
        callers: Sequence[Mapping[str, str]] = (),
        network: NetworkSettings | None = None,
        pod_security: PodSecurity = "restricted",
        image_pull_secrets: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:Ollama", name, None, opts)
        settings = settings or OllamaSettings()
        own_labels = labels(name, "ollama")
        place = Place(namespace, own_labels, self)
        volume = f"{name}-volume"
        existing = settings.storage.existing_claim

        # The StatefulSet would make these claims by itself, with these names. Made here, they can be protected, and grow.
        claims = [
            data_claim(f"{volume}-{name}-{ordinal}", settings.storage, place)
            for ordinal in range(0 if existing else max(settings.replicas, 1))  # paused is not gone
        ]
        headless = Service(
            name,
            metadata=place.metadata(name, SKIP_AWAIT),
            spec=ServiceSpecArgs(cluster_ip="None", selector={"app": name}, ports=[_service_port()]),
            opts=place.opts,
        )
        service = Service(
            f"{name}-service",
            metadata=place.metadata(f"{name}-service", SKIP_AWAIT),
            spec=ServiceSpecArgs(selector={"app": name}, ports=[_service_port()]),
            opts=place.opts,
        )
        gpu = settings.gpu
        # Ollama keeps everything in $HOME/.ollama. Root's home is closed to other users, so theirs is another folder.
        home = _HOME if pod_security == "restricted" else "/root"
        scratch = {"tmp": "/tmp", "home": home} if pod_security == "restricted" else {"tmp": "/tmp"}  # noqa: S108
        container = ContainerArgs(
            name=name,
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            ports=[ContainerPortArgs(name=pod.PORT_NAME, container_port=PORT)],
            env=[
                *pod.env(
                    {"HOME": home},
                    # On a node with GPUs, the container runtime may hand all of them to a pod that asks for none
                    {} if gpu else {"NVIDIA_VISIBLE_DEVICES": "void"},
                    settings.env,
                ),
                *pod.secret_env(settings.secret_env),
            ],
            resources=pod.resources(settings.resources, {gpu.resource_name: gpu.count} if gpu else {}),
            security_context=container_context(pod_security),
            startup_probe=pod.probe("/api/version", settings.probes.startup),
            readiness_probe=pod.probe("/api/version", settings.probes.readiness),
            liveness_probe=pod.probe("/", settings.probes.liveness),
            volume_mounts=[
                *(VolumeMountArgs(name=each, mount_path=path) for each, path in scratch.items()),
                VolumeMountArgs(name=volume, mount_path=f"{home}/.ollama"),
            ],
        )
        server = StatefulSet(
            name,
            metadata=place.metadata(name),
            spec=StatefulSetSpecArgs(
                service_name=headless.metadata.name,
                replicas=settings.replicas,
                selector=selector(name),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=own_labels),
                    spec=PodSpecArgs(
                        containers=[container],
                        volumes=[
                            *(pod.scratch(each, "1Gi") for each in scratch),
                            *([pod.claimed(volume, existing)] if existing else []),
                        ],
                        security_context=pod_context(pod_security),
                        service_account_name=service_account(name, place),
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name=settings.priority_class,
                        affinity=pod.node_affinity([*(gpu.node_affinity if gpu else ()), *settings.node_affinity]),
                        tolerations=pod.tolerations([*(gpu.tolerations if gpu else ()), *settings.tolerations]),
                        image_pull_secrets=pod.image_pull_secrets(image_pull_secrets),
                    ),
                ),
                volume_claim_templates=[]
                if existing
                else [
                    PersistentVolumeClaimArgs(metadata=ObjectMetaArgs(name=volume), spec=claim_spec(settings.storage))
                ],
                persistent_volume_claim_retention_policy=StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                    when_deleted="Retain", when_scaled="Retain"
                ),
            ),
            # The template cannot change on a live StatefulSet; the claims above are what grows
            opts=pulumi.ResourceOptions(parent=self, depends_on=claims, ignore_changes=["spec.volumeClaimTemplates"]),
        )
        for ordinal in range(settings.replicas if settings.models else 0):
            pull_job(
                name,
                ordinal,
                _url(f"{name}-{ordinal}", headless, cluster_domain),
                settings,
                place,
                pod_security=pod_security,
                image_pull_secrets=image_pull_secrets,
                after=server,
            )
        disruption_budget(name, settings.replicas, place)
        pullers = [{"app": puller(name)["app"]}] if settings.models else []
        if network is not None and network.policies:
            policy(name, network, port=PORT, callers=[pods(each) for each in (*callers, *pullers)], place=place)
        self.urls = (
            [_url(f"{name}-{ordinal}", headless, cluster_domain) for ordinal in range(settings.replicas)]
            if settings.replicas > 1
            else [_url(None, service, cluster_domain)]
        )
        self.register_outputs({"urls": self.urls})


def _service_port() -> ServicePortArgs:
    return ServicePortArgs(name=pod.PORT_NAME, port=PORT, target_port=PORT, protocol="TCP")


def _url(pod_name: str | None, service: Service, cluster_domain: str) -> pulumi.Output[str]:
    """The URL of a Service, or of one pod behind a headless one, from what the API server says the Service is called."""
    host = pulumi.Output.format("{0}.{1}", service.metadata.name, service.metadata.namespace)
    prefix = f"{pod_name}." if pod_name else ""
    return pulumi.Output.format("http://{0}{1}.svc.{2}:{3}", prefix, host, cluster_domain, PORT)
