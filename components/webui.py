"""The Open WebUI front end."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs, DeploymentStrategyArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    ServiceBackendPortArgs,
)

from components import pod
from components.claim import data_claim
from components.metadata import SKIP_AWAIT, labels, metadata, selector
from settings.ingress import IngressSettings
from settings.webui import WebUISettings

PORT = 8080
DATA_PATH = "/app/backend/data"
"""Where the image keeps its database and uploads."""

_VOLUME = "webui-volume"


class WebUI(pulumi.ComponentResource):
    """Open WebUI as a Deployment `<name>-deployment`, with `<name>-service`, `<name>-pvc` and, with a host, `<name>-ingress`.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `ollama_urls` are the
    Ollama servers to use; none leaves the choice to the administrator. `image_pull_secrets` are names of Secrets in
    the namespace.
    """

    url: pulumi.Output[str]
    """Where users reach the WebUI: the Ingress, or inside the cluster the Service."""

    port_forward: pulumi.Output[str]
    """The command that brings the WebUI to http://localhost:8080 without an Ingress."""

    def __init__(
        self,
        name: str,
        settings: WebUISettings | None = None,
        *,
        namespace: pulumi.Input[str],
        ollama_urls: Sequence[pulumi.Input[str]] = (),
        ingress: IngressSettings | None = None,
        image_pull_secrets: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:WebUI", name, None, opts)
        settings = settings or WebUISettings()
        child = pulumi.ResourceOptions(parent=self)
        own_labels = labels(name, "open-webui")

        claim = data_claim(f"{name}-pvc", settings.storage, namespace=namespace, labels=own_labels, parent=self)
        service = Service(
            f"{name}-service",
            metadata=metadata(f"{name}-service", namespace, own_labels, SKIP_AWAIT),
            spec=ServiceSpecArgs(
                type=settings.service.type,
                selector={"app": name},
                ports=[
                    ServicePortArgs(
                        name="http",
                        port=PORT,
                        target_port=PORT,
                        protocol="TCP",
                        node_port=settings.service.node_port,
                    )
                ],
            ),
            opts=child,
        )
        container = ContainerArgs(
            name=name,
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            ports=[ContainerPortArgs(name="http", container_port=PORT)],
            env=pod.env(_ollama_env(ollama_urls), settings.env),
            resources=pod.resources(settings.resources),
            volume_mounts=[VolumeMountArgs(name=_VOLUME, mount_path=DATA_PATH)],
        )
        volume = VolumeArgs(
            name=_VOLUME,
            persistent_volume_claim=PersistentVolumeClaimVolumeSourceArgs(claim_name=claim.metadata.name),
        )
        Deployment(
            f"{name}-deployment",
            metadata=metadata(f"{name}-deployment", namespace, own_labels),
            spec=DeploymentSpecArgs(
                replicas=settings.replicas,
                selector=selector(name),
                # Two pods must never have one database, nor wait for each other's volume
                strategy=DeploymentStrategyArgs(type="Recreate"),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=own_labels),
                    spec=PodSpecArgs(
                        containers=[container],
                        volumes=[volume],
                        affinity=pod.node_affinity(settings.node_affinity),
                        tolerations=pod.tolerations(settings.tolerations),
                        image_pull_secrets=pod.image_pull_secrets(image_pull_secrets),
                    ),
                ),
            ),
            opts=child,
        )
        if ingress is not None and ingress.host is not None:
            _ingress(
                f"{name}-ingress",
                ingress,
                ingress.host,
                service=service,
                namespace=namespace,
                labels=own_labels,
                opts=child,
            )
            self.url = pulumi.Output.from_input(f"http://{ingress.host}")
        else:
            self.url = pulumi.Output.format(
                "http://{0}.{1}.svc:{2}", service.metadata.name, service.metadata.namespace, PORT
            )
        self.port_forward = pulumi.Output.format(
            "kubectl -n {0} port-forward service/{1} {2}:{2}", service.metadata.namespace, service.metadata.name, PORT
        )
        self.register_outputs({"url": self.url, "portForward": self.port_forward})


def _ollama_env(urls: Sequence[pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """One server goes by `OLLAMA_BASE_URL`; several, separated by semicolons, by `OLLAMA_BASE_URLS`."""
    if not urls:
        return {}
    if len(urls) == 1:
        return {"OLLAMA_BASE_URL": urls[0]}
    return {"OLLAMA_BASE_URLS": pulumi.Output.all(*urls).apply(";".join)}


def _ingress(
    name: str,
    settings: IngressSettings,
    host: str,
    *,
    service: Service,
    namespace: pulumi.Input[str],
    labels: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Ingress:
    backend = IngressBackendArgs(
        service=IngressServiceBackendArgs(name=service.metadata.name, port=ServiceBackendPortArgs(number=PORT))
    )
    path = HTTPIngressPathArgs(path="/", path_type="Prefix", backend=backend)
    return Ingress(
        name,
        metadata=metadata(name, namespace, labels, SKIP_AWAIT),
        spec=IngressSpecArgs(
            ingress_class_name=settings.class_name,
            rules=[IngressRuleArgs(host=host, http=HTTPIngressRuleValueArgs(paths=[path]))],
        ),
        opts=opts,
    )
