"""The Open WebUI front end."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs, DeploymentStrategyArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
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
from components.account import service_account
from components.claim import data_claim
from components.credentials import stack_secret
from components.disruption import disruption_budget
from components.metadata import SKIP_AWAIT, Place, labels, selector
from components.network import addresses, namespaces, pods, policy
from components.security import container_context, pod_context
from settings.ingress import IngressSettings
from settings.network import NetworkSettings
from settings.secrets import SecretsSettings
from settings.stack import PodSecurity
from settings.webui import WebUISettings

PORT = 8080
DATA_PATH = "/app/backend/data"
"""Where the image keeps its database, uploads and caches."""

_DATA = "webui-volume"
_SCRATCH = "scratch"
_SCRATCH_PATH = "/tmp"  # noqa: S108  (inside the container)


class WebUI(pulumi.ComponentResource):
    """Open WebUI as a Deployment `<name>-deployment`, with `<name>-service`, `<name>-pvc` and, with a host, `<name>-ingress`.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `ollama_urls` are the
    Ollama servers to use; none leaves the choice to the administrator. `secrets` are the credentials that the stack itself
    keeps, in `<name>-secrets`, with a session key that is generated once where none is given. `image_pull_secrets` are names
    of Secrets in the namespace. Where `network` is left out there is no NetworkPolicy.
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
        ollama_pods: Mapping[str, str] | None = None,
        secrets: SecretsSettings | None = None,
        ingress: IngressSettings | None = None,
        network: NetworkSettings | None = None,
        pod_security: PodSecurity = "restricted",
        image_pull_secrets: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:WebUI", name, None, opts)
        settings = settings or WebUISettings()
        own_labels = labels(name, "open-webui")
        place = Place(namespace, own_labels, self)

        if settings.object_storage is not None:
            # uploads are in the object storage and the database elsewhere: what is left here are caches
            data = pod.scratch(_DATA, settings.storage.size)
        else:
            existing = settings.storage.existing_claim
            data = pod.claimed(
                _DATA,
                existing or data_claim(f"{name}-pvc", settings.storage, place).metadata.name,
            )
        credentials = stack_secret(f"{name}-secrets", settings, secrets or SecretsSettings(), place)
        service = Service(
            f"{name}-service",
            metadata=place.metadata(f"{name}-service", SKIP_AWAIT),
            spec=ServiceSpecArgs(
                type=settings.service.type,
                selector={"app": name},
                ports=[
                    ServicePortArgs(
                        name=pod.PORT_NAME,
                        port=PORT,
                        target_port=PORT,
                        protocol="TCP",
                        node_port=settings.service.node_port,
                    )
                ],
            ),
            opts=place.opts,
        )
        container = ContainerArgs(
            name=name,
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            ports=[ContainerPortArgs(name=pod.PORT_NAME, container_port=PORT)],
            env=[
                *pod.env(_ollama_env(ollama_urls), _own_env(settings), settings.env),
                *pod.secret_env(credentials.env, settings.secret_env),
            ],
            resources=pod.resources(settings.resources),
            security_context=container_context(pod_security),
            startup_probe=pod.probe("/health", settings.probes.startup),
            readiness_probe=pod.probe("/ready", settings.probes.readiness),
            liveness_probe=pod.probe("/health", settings.probes.liveness),
            volume_mounts=[
                VolumeMountArgs(name=_DATA, mount_path=DATA_PATH),
                VolumeMountArgs(name=_SCRATCH, mount_path=_SCRATCH_PATH),
            ],
        )
        Deployment(
            f"{name}-deployment",
            metadata=place.metadata(f"{name}-deployment"),
            spec=DeploymentSpecArgs(
                replicas=settings.replicas,
                selector=selector(name),
                # Two releases must never serve one database, nor two pods wait for one another's volume
                strategy=DeploymentStrategyArgs(type="RollingUpdate" if settings.rolling_updates else "Recreate"),
                template=PodTemplateSpecArgs(
                    # A Secret with a fixed name changes in place: without the checksum, pods would keep the old values
                    metadata=ObjectMetaArgs(
                        labels=own_labels, annotations={"airis.dev/secrets-checksum": credentials.checksum}
                    ),
                    spec=PodSpecArgs(
                        containers=[container],
                        volumes=[data, pod.scratch(_SCRATCH, "1Gi")],
                        security_context=pod_context(pod_security),
                        service_account_name=service_account(name, place),
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name=settings.priority_class,
                        affinity=pod.node_affinity(settings.node_affinity),
                        tolerations=pod.tolerations(settings.tolerations),
                        image_pull_secrets=pod.image_pull_secrets(image_pull_secrets),
                    ),
                ),
            ),
            opts=place.opts,
        )
        disruption_budget(name, settings.replicas, place)
        if network is not None and network.policies:
            # A Service that is open to the outside on purpose must not be closed again here
            outside = ["0.0.0.0/0", "::/0"] if settings.service.type != "ClusterIP" else []
            policy(
                name,
                network,
                port=PORT,
                callers=[
                    pods(),
                    *([namespaces(network.ingress_namespaces)] if network.ingress_namespaces else []),
                    *addresses([*network.webui_from, *outside]),
                ],
                callees=[pods(ollama_pods)] if ollama_pods else [],
                place=place,
            )
        if ingress is not None and ingress.host is not None:
            _ingress(f"{name}-ingress", ingress, ingress.host, service, place)
            self.url = pulumi.Output.from_input(f"http://{ingress.host}")
        else:
            self.url = pulumi.Output.format(
                "http://{0}.{1}.svc:{2}", service.metadata.name, service.metadata.namespace, PORT
            )
        self.port_forward = pulumi.Output.format(
            "kubectl -n {0} port-forward service/{1} {2}:{2}", service.metadata.namespace, service.metadata.name, PORT
        )
        self.register_outputs({"url": self.url, "portForward": self.port_forward})


def _own_env(settings: WebUISettings) -> dict[str, str]:
    """What these settings mean in Open WebUI's own variables, and the folders that it may write to.

    Source: Open WebUI documentation, "Environment variables"; backend/open_webui/{env,config}.py for STATIC_DIR, into which
    it copies files at every start.
    """
    own = {
        "DATA_DIR": DATA_PATH,
        "STATIC_DIR": f"{_SCRATCH_PATH}/static",
        "HOME": _SCRATCH_PATH,
        "ENABLE_PERSISTENT_CONFIG": str(settings.enable_persistent_config),
        "VECTOR_DB": settings.vector_store,
    }
    if settings.redis is not None:
        own |= {"ENABLE_WEBSOCKET_SUPPORT": "True", "WEBSOCKET_MANAGER": "redis"}
    if (store := settings.object_storage) is not None:
        own |= {"STORAGE_PROVIDER": "s3", "S3_BUCKET_NAME": store.bucket}
        own |= {"S3_REGION_NAME": store.region} if store.region else {}
        own |= {"S3_ENDPOINT_URL": store.endpoint} if store.endpoint else {}
    return own


def _ollama_env(urls: Sequence[pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """One server goes by `OLLAMA_BASE_URL`; several, separated by semicolons, by `OLLAMA_BASE_URLS`."""
    if not urls:
        return {}
    if len(urls) == 1:
        return {"OLLAMA_BASE_URL": urls[0]}
    return {"OLLAMA_BASE_URLS": pulumi.Output.all(*urls).apply(";".join)}


def _ingress(name: str, settings: IngressSettings, host: str, service: Service, place: Place) -> Ingress:
    backend = IngressBackendArgs(
        service=IngressServiceBackendArgs(name=service.metadata.name, port=ServiceBackendPortArgs(number=PORT))
    )
    path = HTTPIngressPathArgs(path="/", path_type="Prefix", backend=backend)
    return Ingress(
        name,
        metadata=place.metadata(name, SKIP_AWAIT),
        spec=IngressSpecArgs(
            ingress_class_name=settings.class_name,
            rules=[IngressRuleArgs(host=host, http=HTTPIngressRuleValueArgs(paths=[path]))],
        ),
        opts=place.opts,
    )
