"""Open WebUI, the front end."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.core.v1 import ContainerArgs, ExecActionArgs, LifecycleArgs, LifecycleHandlerArgs, VolumeArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicyPeerArgs

from components import pod
from components.account import service_account
from components.claim import data_claim
from components.connections import former_variables, ollama_variables
from components.credentials import stack_secret
from components.disruption import disruption_budget
from components.egress import ca_variables, proxy_variables
from components.exposure import Exposure, expose, service
from components.metadata import WAIT_FOR_PODS, Place, labels, selector
from components.network import addresses, namespaces, pods, policy
from components.pod_reasons import saying_why
from components.redis import Redis
from components.scheduling import placement
from components.start import PREPARE, Start, server_variables, start
from components.state import authority_variables, redis_variables
from settings.exposure.gateway import GatewaySettings
from settings.exposure.ingress import IngressSettings
from settings.platform.platform import PlatformSettings
from settings.pods.process_limits import python_variables
from settings.types.secrets import SecretsSettings
from settings.types.variables import variables
from settings.webui.webui import WebUISettings

PORT = 8080
DATA_PATH = "/app/backend/data"
"""The image's directory for database, uploads and caches."""

_DATA = "webui-volume"
_SCRATCH = "scratch"
_SCRATCH_PATH = "/tmp"  # noqa: S108  (inside the container)
_FOLDERS = {"DATA_DIR": DATA_PATH, "STATIC_DIR": f"{_SCRATCH_PATH}/static", "HOME": _SCRATCH_PATH}
"""Directories that Open WebUI writes to. It copies files to STATIC_DIR at every start (open_webui/config.py)."""
_LEAVING_SECONDS = 5
"""How long a terminating pod keeps serving if other pods take over. Ingress controllers and nodes learn of the termination when
it begins, and send requests until then. Source: Kubernetes, "Pod Lifecycle"."""


class WebUI(pulumi.ComponentResource):
    """Open WebUI as a Deployment `<name>-deployment`, with `<name>-service`, `<name>-pvc` and, with a host, `<name>-ingress`.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `ollama_urls` are Ollama servers to
    use, before those of the settings; with None, administrators decide. `ollama_pods` are the labels of their pods, for
    restricted egress. `secrets` are the credentials in the stack's Secret, `<name>-secrets`; without a session key, one is
    generated once. `platform` has the settings that all workloads share. `ingress` and `gateway` expose it outside the cluster;
    a gateway creates `<name>-route`.
    """

    url: pulumi.Output[str]
    """URL of the WebUI: the public one, or if it is not exposed, that of its Service."""

    port_forward: pulumi.Output[str]
    """The command that forwards http://localhost:8080 to the WebUI, without an Ingress."""

    def __init__(
        self,
        name: str,
        settings: WebUISettings | None = None,
        *,
        namespace: pulumi.Input[str],
        ollama_urls: Sequence[pulumi.Input[str]] | None = None,
        ollama_pods: Mapping[str, str] | None = None,
        secrets: SecretsSettings | None = None,
        ingress: IngressSettings | None = None,
        gateway: GatewaySettings | None = None,
        platform: PlatformSettings | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:WebUI", name, None, opts)
        settings = settings or WebUISettings()
        platform = platform or PlatformSettings()
        place = Place(namespace, labels(name, "open-webui"), self, platform)
        exposure = Exposure(
            ingress=ingress or IngressSettings(),
            gateway=gateway,
            url=settings.url,
            cors_origins=settings.cors_origins,
            several_pods=settings.max_pods > 1,
        )

        data = _data(name, settings, place)
        bundled = settings.redis.bundled if settings.redis else None
        redis = bundled and Redis(
            f"{name}-redis",
            bundled,
            namespace=namespace,
            callers=[{"app": name}],
            platform=platform,
            opts=pulumi.ResourceOptions(parent=self),
        )
        shared = redis.connection if redis else None
        credentials = stack_secret(f"{name}-secrets", settings, secrets or SecretsSettings(), place)
        _, front_annotations = exposure.annotations
        front = service(f"{name}-service", name, PORT, settings.service, place, annotations=front_annotations)
        signs_in = settings.telemetry is not None and settings.telemetry.signs_in
        starting = start(name, DATA_PATH, place, one_process=settings.one_process, signs_in=signs_in)
        # The init container prepares the database with the same application and the same settings as the server
        environment = (
            ollama_variables(ollama_urls, settings.connections),
            _FOLDERS,
            python_variables(settings.resources.limits),
            variables(settings),
            exposure.variables,
            proxy_variables(platform, plain_http=True),
            ca_variables(platform),
            authority_variables(settings, platform),
            redis_variables(shared),
            credentials.variables,
            settings.env,
            settings.secret_env,
            settings.config_map_env,
        )
        prepare, container = _containers(name, settings, place, starting, environment)
        Deployment(
            f"{name}-deployment",
            metadata=place.metadata(f"{name}-deployment", WAIT_FOR_PODS),
            spec=DeploymentSpecArgs(
                # A number here would override the autoscaler at each `up`
                replicas=settings.replicas if settings.autoscaling is None or settings.replicas == 0 else None,
                selector=selector(name),
                # As long as Pulumi waits. `kubectl rollout status`, Argo CD and Flux time out then
                progress_deadline_seconds=platform.cluster.ready_seconds,
                # Two releases must never use one database, nor two pods wait for each other's volume
                strategy=_strategy(rolling=settings.rolling_updates),
                template=pod.template(
                    place,
                    init_containers=[prepare],
                    containers=[container],
                    volumes=[data, pod.scratch(_SCRATCH, "1Gi"), starting.volume],
                    labels={**settings.pod_labels, **place.labels},
                    # A Secret with a fixed name changes in place: without the checksum, pods would keep the old values
                    annotations={
                        **settings.pod_annotations,
                        "airis.dev/secrets-checksum": credentials.checksum,
                        **({"airis.dev/redis-checksum": shared.checksum} if shared else {}),
                    },
                    service_account_name=service_account(name, place, settings.service_account_annotations),
                    **placement(settings, name),
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[redis] if redis else None,
                custom_timeouts=place.ready_timeouts,
                hooks=saying_why(name, self),
            ),
        )
        if settings.autoscaling is not None:
            from components.autoscaler import autoscaler

            autoscaler(name, f"{name}-deployment", settings.autoscaling, place)
        disruption_budget(name, settings.min_pods, place)
        if platform.network.policies:
            callees = [pods(each) for each in (ollama_pods, shared and shared.pods) if each]
            _network_policy(name, settings, place, exposure, callees)
        expose(name, exposure, port=PORT, backend=front, place=place)
        inside = pulumi.Output.format("http://{0}.{1}.svc:{2}", front.metadata.name, front.metadata.namespace, PORT)
        self.url = inside if exposure.public_url is None else pulumi.Output.from_input(exposure.public_url)
        self.port_forward = pulumi.Output.format(
            "kubectl -n {0} port-forward service/{1} {2}:{2}", front.metadata.namespace, front.metadata.name, PORT
        )
        self.register_outputs({"url": self.url, "portForward": self.port_forward})


def _data(name: str, settings: WebUISettings, place: Place) -> VolumeArgs:
    """The volume of Open WebUI's data: a claim, or with object storage, a scratch volume for what is only cached."""
    if settings.object_storage is not None:
        return pod.scratch(_DATA, settings.storage.size)
    existing = settings.storage.existing_claim
    return pod.claimed(_DATA, existing or data_claim(f"{name}-pvc", settings.storage, place).metadata.name)


def _containers(
    name: str, settings: WebUISettings, place: Place, starting: Start, environment: Sequence[Mapping[str, Any]]
) -> tuple[ContainerArgs, ContainerArgs]:
    """The init container that prepares the database, and the server."""
    common: dict[str, Any] = {
        "image_pull_policy": settings.image_pull_policy,
        "resources": pod.resources(settings.resources),
        "mounts": {_DATA: DATA_PATH, _SCRATCH: _SCRATCH_PATH, **starting.mounts},
    }
    prepare = pod.container(
        place,
        PREPARE,
        settings.image,
        command=list(starting.prepare),
        environment=pod.env(*environment, former_variables(settings.connections)),
        termination_message_policy="FallbackToLogsOnError",  # the last line of its log is the reason of a failure
        **common,
    )
    server = pod.container(
        place,
        name,
        settings.image,
        command=list(starting.serve) if starting.serve else None,
        environment=pod.env(*environment, server_variables(settings.image)),
        port=PORT,
        startup_probe=pod.probe("/health", settings.probes.startup),
        readiness_probe=pod.probe("/ready", settings.probes.readiness),
        liveness_probe=pod.probe("/health", settings.probes.liveness),
        lifecycle=_leaving() if settings.others_take_over else None,
        **common,
    )
    return prepare, server


def _network_policy(
    name: str, settings: WebUISettings, place: Place, exposure: Exposure, callees: Sequence[NetworkPolicyPeerArgs]
) -> None:
    """Allows connections from the ingress controllers and the addresses of the settings, and to `callees`."""
    network = place.platform.network
    # Do not block a Service that is exposed on purpose
    outside = ["0.0.0.0/0", "::/0"] if settings.service.type != "ClusterIP" else []
    ingress_namespaces = list(dict.fromkeys([*network.ingress_namespaces, *exposure.namespaces]))
    policy(
        name,
        network,
        port=PORT,
        callers=[
            pods(),
            *([namespaces(ingress_namespaces)] if ingress_namespaces else []),
            *addresses([*network.webui_from, *outside]),
        ],
        callees=list(callees),
        place=place,
    )


def _leaving() -> LifecycleArgs:
    """Delays the termination of a pod. A command, because the action `sleep` requires Kubernetes 1.30."""
    command = ["sleep", str(_LEAVING_SECONDS)]
    return LifecycleArgs(pre_stop=LifecycleHandlerArgs(exec_=ExecActionArgs(command=command)))


def _strategy(*, rolling: bool) -> DeploymentStrategyArgs:
    """The update strategy. The numbers are Kubernetes' defaults.

    They are set explicitly so that they can be removed again: the API server refuses Recreate as long as they are present, and
    with server-side apply, defaults that it has set itself are never removed.
    """
    if not rolling:
        return DeploymentStrategyArgs(type="Recreate")
    numbers = RollingUpdateDeploymentArgs(max_surge="25%", max_unavailable="25%")
    return DeploymentStrategyArgs(type="RollingUpdate", rolling_update=numbers)
