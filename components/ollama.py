"""Ollama, the model server."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps.v1 import (
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicyArgs,
    StatefulSetSpecArgs,
)
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    PersistentVolumeClaimArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import pod
from components.account import service_account
from components.claim import claim_spec, data_claim
from components.disruption import disruption_budget
from components.egress import ca_variables, proxy_variables
from components.gpu import GpuAccess, gpu_access
from components.metadata import SKIP_AWAIT, Place, labels, selector
from components.network import pods, policy
from components.scheduling import placement
from settings.ollama.llama_server import llama_variables
from settings.ollama.ollama import OllamaSettings
from settings.platform.platform import PlatformSettings
from settings.types.variables import variables

PORT = 11434

_HOME = "/home/ollama"
_SCRATCH = "tmp"


class Ollama(pulumi.ComponentResource):
    """Ollama as a StatefulSet `<name>`, its headless Service `<name>`, a Service `<name>-service`, and a claim for each pod.

    `name` names the objects and is the value of their `app` label. `namespace` must exist. `callers` are labels of the pods
    that may connect to Ollama, which has no authentication; with network policies and without callers, no pod may. `platform`
    has the settings that all workloads share.
    """

    urls: Sequence[pulumi.Output[str]]
    """URLs of Ollama inside the cluster: that of the Service, or with several replicas, one for each pod."""

    def __init__(
        self,
        name: str,
        settings: OllamaSettings | None = None,
        *,
        namespace: pulumi.Input[str],
        callers: Sequence[Mapping[str, str]] = (),
        platform: PlatformSettings | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("airis:components:Ollama", name, None, opts)
        settings = settings or OllamaSettings()
        platform = platform or PlatformSettings()
        place = Place(namespace, labels(name, "ollama"), self, platform)
        volume = f"{name}-volume"
        existing = settings.storage.existing_claim

        # The StatefulSet would create these claims, with these names. If created here, they can be protected, and grow.
        claims = [
            data_claim(f"{volume}-{name}-{ordinal}", settings.storage, place)
            for ordinal in range(0 if existing else max(settings.replicas, 1))  # a paused workload keeps its claim
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
        gpu = gpu_access(settings.gpu, name, place)
        # Ollama keeps its data in $HOME/.ollama. Other users cannot access root's home, so they get another directory.
        home = _HOME if platform.pod_security == "restricted" else "/root"
        scratch = {_SCRATCH: "/tmp", "home": home} if home == _HOME else {_SCRATCH: "/tmp"}  # noqa: S108
        container = _container(name, settings, place, gpu, home=home, mounts={**scratch, volume: f"{home}/.ollama"})
        server = StatefulSet(
            name,
            metadata=place.metadata(name),
            spec=StatefulSetSpecArgs(
                service_name=headless.metadata.name,
                replicas=settings.replicas,
                selector=selector(name),
                template=pod.template(
                    place,
                    containers=[container],
                    volumes=[
                        *(pod.scratch(each, "1Gi") for each in scratch),
                        *([pod.claimed(volume, existing)] if existing else []),
                    ],
                    labels={**settings.pod_labels, **place.labels},
                    annotations=settings.pod_annotations,
                    service_account_name=service_account(name, place),
                    resource_claims=list(gpu.claims) or None,
                    supplemental_groups=gpu.supplemental_groups,
                    **placement(
                        settings,
                        name,
                        node_affinity=gpu.node_affinity,
                        tolerations=gpu.tolerations,
                        runtime_class=gpu.runtime_class,
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
            # The template is immutable on a live StatefulSet; the claims above grow instead. If it is added or removed
            # (existingClaim), the StatefulSet is replaced: it would mount the claim of the template it was created with
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=claims,
                ignore_changes=["spec.volumeClaimTemplates[0]"],
                custom_timeouts=place.ready_timeouts,
            ),
        )
        each_pod = [_url(f"{name}-{ordinal}", headless, platform) for ordinal in range(settings.replicas)]
        pullers: list[str] = []
        if settings.has_model_job:
            from components.models import model_jobs, puller

            model_jobs(name, each_pod, settings, place, after=server)
            pullers.append(puller(name)["app"])
        disruption_budget(name, settings.replicas, place)
        if platform.network.policies:
            _network_policies(name, place, callers, pullers)
        self.urls = each_pod if settings.replicas > 1 else [_url(None, service, platform)]
        self.register_outputs({"urls": self.urls})


def _container(
    name: str, settings: OllamaSettings, place: Place, gpu: GpuAccess, *, home: str, mounts: Mapping[str, str]
) -> ContainerArgs:
    """The server, with the variables of the settings, the GPUs and the platform."""
    return pod.container(
        place,
        name,
        settings.image,
        image_pull_policy=settings.image_pull_policy,
        port=PORT,
        environment=pod.env(
            {"HOME": home},
            llama_variables(settings),
            gpu.variables,
            variables(settings),
            proxy_variables(place.platform, plain_http=False),
            ca_variables(place.platform),
            settings.env,
            settings.secret_env,
            settings.config_map_env,
        ),
        resources=pod.resources(settings.resources, gpu.limits, gpu.claims),
        startup_probe=pod.probe("/api/version", settings.probes.startup),
        readiness_probe=pod.probe("/api/version", settings.probes.readiness),
        liveness_probe=pod.probe("/", settings.probes.liveness),
        mounts=mounts,
    )


def _network_policies(name: str, place: Place, callers: Sequence[Mapping[str, str]], pullers: Sequence[str]) -> None:
    """Allows connections from the callers and the models' Jobs (`pullers`), which themselves connect only to Ollama."""
    network = place.platform.network
    known = [*callers, *({"app": each} for each in pullers)]
    policy(name, network, port=PORT, callers=[pods(each) for each in known], place=place)
    for each in pullers:
        policy(each, network, port=PORT, callers=[], callees=[pods({"app": name})], place=place)


def _service_port() -> ServicePortArgs:
    return ServicePortArgs(name=pod.PORT_NAME, port=PORT, target_port=PORT, protocol="TCP")


def _url(pod_name: str | None, service: Service, platform: PlatformSettings) -> pulumi.Output[str]:
    """The URL of a Service, or of one pod behind a headless one, from the name that the API server returns."""
    host = pulumi.Output.format("{0}.{1}", service.metadata.name, service.metadata.namespace)
    prefix = f"{pod_name}." if pod_name else ""
    return pulumi.Output.format("http://{0}{1}.svc.{2}:{3}", prefix, host, platform.cluster_domain, PORT)
