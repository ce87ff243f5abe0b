"""Settings that every workload has: image, resources, storage and environment."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from settings.pods.probes import ProbesSettings
from settings.pods.scheduling import SchedulingSettings
from settings.types.base import Broken, FrozenMapping, Settings
from settings.types.names import AnnotationMapping, Dns1123Subdomain, EnvName, ImageReference, LabelMapping
from settings.types.quantity import Bytes, Cpu, as_bytes, cpu_millicores
from settings.types.references import ConfigMapKeyRef, SecretKeyRef
from settings.types.secrets import UNREADABLE, URL_WITH_PASSWORD

AccessMode = Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]

CREDENTIAL = re.compile(
    r"^(?!ENABLE_).*(?<!MAX_)"
    r"(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS|CREDENTIALS_JSON|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION)_KEY)S?$"
)
"""Names of variables that usually hold credentials."""


class ResourceAmounts(Settings):
    """Amounts of CPU, memory and local disk; null sets no amount."""

    cpu: Cpu | None = None
    """CPU in cores (`2`, `0.5`) or millicores (`500m`)."""
    memory: Bytes | None = None
    """Memory in bytes (`4Gi`)."""
    ephemeral_storage: Bytes | None = None
    """Local disk in bytes, for logs, writable layers and emptyDir volumes."""


class Resources(Settings):
    """Resource requests and limits of a container."""

    requests: ResourceAmounts = ResourceAmounts()
    """Amounts that the scheduler reserves on the node."""
    limits: ResourceAmounts = ResourceAmounts()
    """Maximum amounts. Above them, the container is throttled (CPU) or OOM-killed (memory)."""

    def rules(self) -> Iterator[Broken]:
        """The API server refuses a request above its limit."""
        for name, size in (("cpu", cpu_millicores), ("memory", as_bytes), ("ephemeral_storage", as_bytes)):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and size(request) > size(limit):
                key = ResourceAmounts.model_fields[name].alias
                yield Broken(
                    f"requests.{key}", request, f"at most the limit, limits.{key} = {limit}", (f"limits.{key}",)
                )


class StorageSettings(Settings):
    """A PersistentVolumeClaim."""

    size: Bytes
    """Size of the volume in bytes. It can grow later, but not shrink."""
    storage_class: Dns1123Subdomain | None = None
    """StorageClass; null uses the cluster's default. Cannot be changed later."""
    existing_claim: Dns1123Subdomain | None = None
    """Name of an existing PersistentVolumeClaim in the stack's namespace; null creates one of this size and class."""
    access_mode: AccessMode = "ReadWriteOnce"
    """Access mode of the volume: pods on one node (`ReadWriteOnce`), one pod (`ReadWriteOncePod`), or pods on several nodes
    (`ReadWriteMany`). Cannot be changed later."""


class WorkloadSettings(SchedulingSettings):
    """Settings that the WebUI and Ollama have in common."""

    image: ImageReference
    """Container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Image pull policy; null for Kubernetes' default (Always for the tag `latest`, otherwise IfNotPresent)."""
    replicas: Annotated[StrictInt, Field(ge=0)] = 1
    """Number of pods. 0 pauses the workload and keeps its data."""
    resources: Resources = Resources()
    """CPU and memory of each pod."""
    storage: StorageSettings
    """Volume for the workload's data."""
    env: FrozenMapping[EnvName, str] = Field(default_factory=dict)
    """Additional environment variables, by name. Variables that airis sets itself are refused."""
    secret_env: FrozenMapping[EnvName, SecretKeyRef] = Field(default_factory=dict)
    """Additional environment variables with values from existing Secrets, by name."""
    config_map_env: FrozenMapping[EnvName, ConfigMapKeyRef] = Field(default_factory=dict)
    """Additional environment variables with values from existing ConfigMaps, by name."""
    probes: ProbesSettings = ProbesSettings()
    """Startup, readiness and liveness probes."""
    pod_labels: LabelMapping = Field(default_factory=dict)
    """Additional labels of the pods, on top of `airis:labels`."""
    pod_annotations: AnnotationMapping = Field(default_factory=dict)
    """Additional annotations of the pods, on top of `airis:annotations`."""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """Names of the environment variables that the component sets itself, with the setting that decides on each."""
        return {}

    def rules(self) -> Iterator[Broken]:
        """Each variable is set once, and credentials are not in plain text."""
        yield from super().rules()
        managed = self.managed_env
        sources = {"env": self.env, "secretEnv": self.secret_env, "configMapEnv": self.config_map_env}
        for key, names in sources.items():
            for name in sorted(names.keys() & managed.keys()):
                allowed = f"another name: airis sets this one itself, from {managed[name]}"
                yield Broken(f"{key}.{name}", "[not shown]", allowed)
        for key, other in combinations(sources, 2):
            for name in sorted(sources[key].keys() & sources[other].keys()):
                allowed = f"each name once: it is also in {other}"
                yield Broken(f"{key}.{name}", "[not shown]", allowed, (f"{other}.{name}",))
        for name in sorted(self.env.keys() - managed.keys()):
            value = self.env[name]
            if CREDENTIAL.search(name) or URL_WITH_PASSWORD.search(value) or value == UNREADABLE:
                allowed = "no credential in plain text: put it into a Secret, and reference it in secretEnv"
                yield Broken(f"env.{name}", "[not shown]", allowed)
