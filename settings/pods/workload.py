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
"""Names of variables that hold credentials, by the habit of those who name them."""


class ResourceAmounts(Settings):
    """Amounts of CPU, memory and local disk; null leaves one out."""

    cpu: Cpu | None = None
    """CPU in cores (`2`, `0.5`) or millicores (`500m`)."""
    memory: Bytes | None = None
    """Memory in bytes (`4Gi`)."""
    ephemeral_storage: Bytes | None = None
    """Local disk in bytes: logs, writable layers and emptyDir volumes."""


class Resources(Settings):
    """What a container asks for (`requests`, which the scheduler counts) and may use at most (`limits`)."""

    requests: ResourceAmounts = ResourceAmounts()
    """What the scheduler sets aside on the node."""
    limits: ResourceAmounts = ResourceAmounts()
    """Where the kernel throttles (CPU) or kills (memory)."""

    def rules(self) -> Iterator[Broken]:
        """A request above its limit is refused by the API server."""
        for name, size in (("cpu", cpu_millicores), ("memory", as_bytes), ("ephemeral_storage", as_bytes)):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and size(request) > size(limit):
                key = ResourceAmounts.model_fields[name].alias
                yield Broken(
                    f"requests.{key}", request, f"at most the limit, limits.{key} = {limit}", (f"limits.{key}",)
                )


class StorageSettings(Settings):
    """A volume that keeps data: a PersistentVolumeClaim."""

    size: Bytes
    """Size of the volume in bytes. May grow later, never shrink."""
    storage_class: Dns1123Subdomain | None = None
    """StorageClass; null takes the cluster's default. Cannot change later."""
    existing_claim: Dns1123Subdomain | None = None
    """A claim that exists already in the stack's namespace; null has one made, of this size and class."""
    access_mode: AccessMode = "ReadWriteOnce"
    """Who may mount the volume: pods on one node (`ReadWriteOnce`), one pod, or pods on many nodes. Cannot change."""


class WorkloadSettings(SchedulingSettings):
    """What WebUI and Ollama have in common."""

    image: ImageReference
    """Container image, with a tag or a digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; null leaves it to Kubernetes (Always for the tag `latest`, else IfNotPresent)."""
    replicas: Annotated[StrictInt, Field(ge=0)] = 1
    """Number of pods; 0 pauses the workload and keeps its data."""
    resources: Resources = Resources()
    """CPU and memory of each pod."""
    storage: StorageSettings
    """The volume that holds the data."""
    env: FrozenMapping[EnvName, str] = Field(default_factory=dict)
    """Further environment variables, by name. Those that airis sets itself are refused."""
    secret_env: FrozenMapping[EnvName, SecretKeyRef] = Field(default_factory=dict)
    """Further environment variables whose values are in existing Secrets, by name."""
    config_map_env: FrozenMapping[EnvName, ConfigMapKeyRef] = Field(default_factory=dict)
    """Further environment variables whose values are in existing ConfigMaps, by name."""
    probes: ProbesSettings = ProbesSettings()
    """How patiently Kubernetes asks whether a pod starts, works and may have traffic."""
    pod_labels: LabelMapping = Field(default_factory=dict)
    """Further labels of the pods alone, beside `airis:labels`."""
    pod_annotations: AnnotationMapping = Field(default_factory=dict)
    """Further annotations of the pods alone, beside `airis:annotations`."""

    @property
    def managed_env(self) -> Mapping[str, str]:
        """Names of the environment variables that the component sets itself, with what decides on them."""
        return {}

    def rules(self) -> Iterator[Broken]:
        """A variable that is set twice would depend on the order, and credentials do not belong in plain text."""
        yield from super().rules()
        managed = self.managed_env
        sources = {"env": self.env, "secretEnv": self.secret_env, "configMapEnv": self.config_map_env}
        for key, names in sources.items():
            for name in sorted(names.keys() & managed.keys()):
                allowed = f"another name: airis sets this one itself, by {managed[name]}"
                yield Broken(f"{key}.{name}", "[not shown]", allowed)
        for key, other in combinations(sources, 2):
            for name in sorted(sources[key].keys() & sources[other].keys()):
                allowed = f"a name once: it stands in {other} too"
                yield Broken(f"{key}.{name}", "[not shown]", allowed, (f"{other}.{name}",))
        for name in sorted(self.env.keys() - managed.keys()):
            value = self.env[name]
            if CREDENTIAL.search(name) or URL_WITH_PASSWORD.search(value) or value == UNREADABLE:
                allowed = "no credential in plain text: put it into a Secret, and its reference into secretEnv"
                yield Broken(f"env.{name}", "[not shown]", allowed)
