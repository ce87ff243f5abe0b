"""The rules, as plain functions on manifests: they need neither Pulumi nor a cluster.

Sources: Kubernetes, "Pod Security Standards" (restricted), "Configure Liveness, Readiness and Startup Probes" and "Resource
Management for Pods and Containers". docs/security.md explains what each rule prevents.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from settings.pods.workload import CREDENTIAL
from settings.types.images import is_mutable
from settings.types.secrets import URL_WITH_PASSWORD

_REFERENCES_ALONE = re.compile(r"(?:\$\(\w+\)|;)+")
"""A value that only refers to other variables of the container. Those variables are checked too."""

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
"""Kinds of Gateway API routes."""

OLLAMA_PORT = 11434
"""The port that identifies Ollama, whatever its Service is called. Ollama has no authentication."""

_SLOW_STARTERS = ("open-webui", "ollama")
"""Applications, by their label, whose start takes longer than a liveness probe should wait."""


class Level(StrEnum):
    """The enforcement level of a rule."""

    ADVISORY = "advisory"
    """A violation is reported."""
    MANDATORY = "mandatory"
    """A violation is an error."""


@dataclass(frozen=True)
class Registered:
    """An object as a Pulumi program registers it. Secret texts in the manifest are replaced by non-text placeholders."""

    manifest: Mapping[str, Any]
    protect: bool = False
    """Whether Pulumi refuses to delete or replace it."""
    retain: bool | None = None
    """Whether it stays in the cluster when it leaves the stack; None if unknown: Pulumi does not pass it to policy packs."""


@dataclass(frozen=True)
class Problem:
    """A violation: the object, the field, and the remedy. Never the value of a variable."""

    object: str
    field: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.object}: {self.field}: {self.remedy}"


Found = Iterator[tuple[str, str]]
"""Fields and remedies."""


@dataclass(frozen=True)
class Rule:
    """A named rule. `find` yields the violations of one object."""

    name: str
    description: str
    find: Callable[[Registered], Found]

    def problems(self, registered: Registered) -> list[Problem]:
        """The violations of the object."""
        kind, name = registered.manifest.get("kind"), _at(registered.manifest, "metadata", "name")
        return [Problem(f"{kind}/{name}", field, remedy) for field, remedy in self.find(registered)]


def level(rule: Rule, *, production: bool, pod_security: str) -> Level:
    """The enforcement level of a rule in a stack with these settings: deliberate choices there are only advisory."""
    if (rule is IMMUTABLE_IMAGES and not production) or (rule is RESTRICTED_CONTEXT and pod_security != "restricted"):
        return Level.ADVISORY
    return Level.MANDATORY


def _limits(registered: Registered) -> Found:
    for path, container in _containers(registered.manifest):
        for part in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                if _at(container, "resources", part, resource) is None:
                    yield f"{path}.resources.{part}.{resource}", "set an amount"


def _probes(registered: Registered) -> Found:
    if registered.manifest.get("kind") not in ("Deployment", "StatefulSet", "DaemonSet"):
        return  # workloads that run to completion, such as Jobs, need no probes
    wanted = ["readinessProbe", "livenessProbe"]
    if _at(registered.manifest, "spec", "template", "metadata", "labels", "app.kubernetes.io/name") in _SLOW_STARTERS:
        wanted.insert(0, "startupProbe")
    path, pod = _pod(registered.manifest)
    for each, container in _named(path, pod, "containers"):
        for probe in wanted:
            if not container.get(probe):
                yield f"{each}.{probe}", "set a probe on a path that only answers while the application works"


def _restricted(registered: Registered) -> Found:
    path, pod = _pod(registered.manifest)
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{path}.{field}", "remove it"
    for each, volume in _named(path, pod, "volumes"):
        if "hostPath" in volume:
            yield f"{each}.hostPath", "use a claim or an emptyDir"
    for each, container in _containers(registered.manifest):
        own = _at(container, "securityContext") or {}
        # fields that a container does not set are inherited from its pod
        both = {**(_at(pod, "securityContext") or {}), **own}
        added = {*_items(_at(own, "capabilities", "add"))} - {"NET_BIND_SERVICE"}
        for field, holds, remedy in (
            ("privileged", not own.get("privileged"), "remove it"),
            ("allowPrivilegeEscalation", own.get("allowPrivilegeEscalation") is False, "set false"),
            (
                "readOnlyRootFilesystem",
                own.get("readOnlyRootFilesystem") is True,
                "set true, and mount volumes for writable paths",
            ),
            ("capabilities.drop", "ALL" in _items(_at(own, "capabilities", "drop")), "set [ALL]"),
            ("capabilities.add", not added, "remove it"),
            ("runAsNonRoot", both.get("runAsNonRoot") is True, "set true, here or for the pod"),
            ("runAsUser", both.get("runAsUser") != 0, "set a user other than root"),
            (
                "seccompProfile.type",
                _at(both, "seccompProfile", "type") in ("RuntimeDefault", "Localhost"),
                "set RuntimeDefault, here or for the pod",
            ),
        ):
            if not holds:
                yield f"{each}.securityContext.{field}", remedy


def _credentials(registered: Registered) -> Found:
    for path, container in _containers(registered.manifest):
        for each in _items(container.get("env")):
            value = each.get("value")
            if value is None or value == "":
                continue
            if isinstance(value, str) and _REFERENCES_ALONE.fullmatch(value):
                continue
            if not isinstance(value, str) or CREDENTIAL.search(each["name"]) or URL_WITH_PASSWORD.search(value):
                yield (
                    f"{path}.env[{each['name']}].value",
                    "store it in a Secret, and refer to it with valueFrom.secretKeyRef",
                )


def _images(registered: Registered) -> Found:
    for path, container in _containers(registered.manifest):
        image = str(container.get("image", ""))
        if is_mutable(image):
            yield f"{path}.image", f"{image} has a mutable tag: pin a release or a digest"


def _data(registered: Registered) -> Found:
    kind = registered.manifest.get("kind")
    if kind in ("PersistentVolumeClaim", "Namespace"):  # claims go with their namespace
        if not registered.protect:
            yield "protect (a Pulumi option)", "set protect=True: an accidental change must not delete data"
        if registered.retain is False:
            yield "retain_on_delete (a Pulumi option)", "set retain_on_delete=True: `destroy` must keep data"
    if kind == "StatefulSet" and _items(_at(registered.manifest, "spec", "volumeClaimTemplates")):
        for when in ("whenDeleted", "whenScaled"):
            field = ("spec", "persistentVolumeClaimRetentionPolicy", when)
            if _at(registered.manifest, *field) not in (None, "Retain"):  # Retain is Kubernetes' own default
                yield ".".join(field), "set Retain"


def _public(registered: Registered) -> Found:
    kind, spec = registered.manifest.get("kind"), registered.manifest.get("spec")
    remedy = "Ollama has no authentication: only Open WebUI may reach it, inside the cluster"
    labels = [_at(registered.manifest, "metadata", "labels"), _at(spec, "selector")]
    labelled = any("ollama" in (_at(each, "app.kubernetes.io/name"), _at(each, "app")) for each in labels)
    if kind == "Service":
        ports = {port.get(key) for port in _items(_at(spec, "ports")) for key in ("port", "targetPort")}
        if labelled or OLLAMA_PORT in ports:
            if _at(spec, "type") in ("NodePort", "LoadBalancer"):
                yield "spec.type", f"set ClusterIP. {remedy}"
            if _at(spec, "externalIPs"):
                yield "spec.externalIPs", f"remove it. {remedy}"
    if kind == "Ingress" or kind in _ROUTES:
        if labelled:
            yield "metadata.labels", remedy
        for field, name, port in _routed(spec) if kind in _ROUTES else _backends(spec):
            if port == OLLAMA_PORT or name == "ollama" or str(name).startswith("ollama-"):
                yield field, remedy


def _token(registered: Registered) -> Found:
    path, pod = _pod(registered.manifest)
    if pod and pod.get("automountServiceAccountToken") is not False:
        yield f"{path}.automountServiceAccountToken", "set false: these pods do not use the API server"


RESTRICTED_CONTEXT = Rule(
    "restricted-context", "Pods meet the restricted Pod Security level, with a read-only root filesystem.", _restricted
)
IMMUTABLE_IMAGES = Rule("immutable-images", "Images are pinned to a release or a digest.", _images)

RULES = (
    Rule("resource-limits", "Every container has requests and limits for CPU and memory.", _limits),
    Rule(
        "probes", "Every serving container has readiness and liveness probes; slow starters, a startup probe.", _probes
    ),
    RESTRICTED_CONTEXT,
    Rule("no-plain-credentials", "Environment variables contain no plain-text credentials.", _credentials),
    IMMUTABLE_IMAGES,
    Rule("data-protected", "Claims and their namespace survive accidental changes and `destroy`.", _data),
    Rule(
        "no-public-ollama",
        "Ollama, which has no authentication, is not reachable from outside of the cluster.",
        _public,
    ),
    Rule("no-api-token", "Pods get no API server token.", _token),
)


def _at(value: Any, *path: str) -> Any:
    """The value at the path, or None."""
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _items(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _pod(manifest: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The path and the pod spec of a pod or workload; empty if there is none."""
    for path in (("spec", "template", "spec"), ("spec", "jobTemplate", "spec", "template", "spec"), ("spec",)):
        spec = _at(manifest, *path)
        if isinstance(spec, Mapping) and "containers" in spec:
            return ".".join(path), spec
    return "", {}


def _named(path: str, body: Mapping[str, Any], field: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The items of a list, with paths that contain their names."""
    return ((f"{path}.{field}[{each.get('name')}]", each) for each in _items(body.get(field)))


def _containers(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The containers of an object's pods, including init containers."""
    path, pod = _pod(manifest)
    for field in ("initContainers", "containers"):
        yield from _named(path, pod, field)


def _backends(spec: Any) -> Iterator[tuple[str, Any, Any]]:
    """The backend Services of an Ingress: field, name and port."""
    found = [("spec.defaultBackend", _at(spec, "defaultBackend"))]
    for number, rule in enumerate(_items(_at(spec, "rules"))):
        for index, path in enumerate(_items(_at(rule, "http", "paths"))):
            found.append((f"spec.rules[{number}].http.paths[{index}].backend", _at(path, "backend")))
    for field, backend in found:
        yield f"{field}.service", _at(backend, "service", "name"), _at(backend, "service", "port", "number")


def _routed(spec: Any) -> Iterator[tuple[str, Any, Any]]:
    """The backend Services of a Gateway API route: field, name and port."""
    for number, rule in enumerate(_items(_at(spec, "rules"))):
        for index, backend in enumerate(_items(_at(rule, "backendRefs"))):
            yield f"spec.rules[{number}].backendRefs[{index}]", _at(backend, "name"), _at(backend, "port")
