"""Discovers Open WebUI and Ollama in a namespace: the tool that deployed them, and where their data is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airis.adopt.cluster import get, label
from airis.adopt.handover import managers
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubeObject
from airis.terminal.errors import AirisError
from components.webui import DATA_PATH

KINDS = "deployments,statefulsets,daemonsets,services,ingresses,persistentvolumeclaims,pods,serviceaccounts"

_WORKLOADS = ("Deployment", "StatefulSet")
_WEBUI_IMAGES = ("open-webui",)
_OLLAMA_FOLDER = "/.ollama"
_CLAIM_NAMES = ("airis-pvc", "ollama-volume-ollama-0", "open-webui", "open-webui-pvc", "open-webui-ollama")
"""Claim names of known deployments. An unused one of these means that a part of the deployment is missing."""

_DELIVERY = {
    "argocd.argoproj.io/": "Argo CD",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "helm.toolkit.fluxcd.io/": "Flux",
}
"""Prefixes of labels and annotations of controllers that would revert all changes."""


@dataclass(frozen=True)
class Workload:
    """A discovered workload, and where its data is."""

    body: KubeObject
    container: Mapping[str, Any]
    """The container of Open WebUI or Ollama."""
    in_place: bool
    """Whether the stack's workload has the same kind, name and selector, and so takes over this object."""
    claims: tuple[KubeObject, ...]
    """The claims with the data; empty if the data is lost with the pod."""
    template: Mapping[str, Any] | None
    """The claim template of the claims, in a StatefulSet."""

    @property
    def pod(self) -> Mapping[str, Any]:
        """The spec of its pods."""
        return dict(self.body["spec"]["template"]["spec"])

    @property
    def pod_labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return dict(self.body["spec"]["template"]["metadata"].get("labels") or {})

    @property
    def replicas(self) -> int:
        """Its desired number of pods."""
        return int(self.body["spec"].get("replicas", 1))

    @property
    def runs_as_root(self) -> bool:
        """Whether its files may belong to root, without an `fsGroup` that changes their group."""
        context = {**self.pod.get("securityContext", {}), **self.container.get("securityContext", {})}
        return "fsGroup" not in context or not (context.get("runAsUser") or context.get("runAsNonRoot"))


@dataclass(frozen=True)
class Found:
    """The discovered deployment of a namespace."""

    namespace: KubeObject
    webui: Workload
    ollama: Workload | None
    service: KubeObject | None
    """The Service of Open WebUI."""
    ollama_service: KubeObject | None
    ingress: KubeObject | None
    """The Ingress of that Service."""
    objects: Sequence[KubeObject] = field(repr=False)
    """All objects that were read."""

    @property
    def workloads(self) -> list[Workload]:
        """Open WebUI, and Ollama if there is one."""
        return [each for each in (self.webui, self.ollama) if each is not None]

    @property
    def release(self) -> str | None:
        """The Helm release of the workloads."""
        return next((name for each in self.workloads if (name := release_of(each.body))), None)

    @property
    def origin(self) -> str:
        """A short description of the tool that deployed them."""
        if self.release is not None:
            chart = self.webui.body["metadata"].get("labels", {}).get("helm.sh/chart", "a chart")
            return f"Helm release {self.release} ({chart})"
        return ", ".join(managers(self.webui.body)) or "an unknown tool"

    @property
    def beside(self) -> list[Workload]:
        """Workloads with other names than the stack's, which would keep running in addition to it."""
        return [each for each in self.workloads if not each.in_place]

    @property
    def others(self) -> list[KubeObject]:
        """Unrelated workloads in the namespace."""
        known = [each.body["metadata"]["uid"] for each in self.workloads]
        kinds = (*_WORKLOADS, "DaemonSet")
        return [each for each in self.objects if each["kind"] in kinds and each["metadata"]["uid"] not in known]

    def pods_of(self, workload: Workload) -> list[KubeObject]:
        """The pods that match a workload's selector."""
        wanted = workload.body["spec"]["selector"].get("matchLabels", {}).items()
        pods = [each for each in self.objects if each["kind"] == "Pod"]
        return [each for each in pods if wanted <= (each["metadata"].get("labels") or {}).items()]


def look(cluster: Cluster) -> Found:
    """Observes the namespace, and changes nothing.

    Raises AirisError if the namespace does not exist, if the deployment is missing, incomplete or ambiguous, and if the stack
    cannot use its volumes.
    """
    name = cluster.namespace
    namespaces = cluster.get("namespace", name)
    if not namespaces:
        raise AirisError(f"there is no namespace {name}", "set the namespace with --namespace; nothing was changed")
    objects = get(cluster, KINDS)
    webui = _only("Open WebUI", objects, _webui_container, name)
    ollama = _only("Ollama", objects, _ollama_container, name)
    if webui is None:
        raise AirisError(*_nothing(name, objects, ollama))
    found = Found(
        namespace=namespaces[0],
        webui=_workload(webui, objects, DATA_PATH, in_place=_is(webui[0], "Deployment", "airis-deployment", "airis")),
        ollama=None if ollama is None else _ollama(ollama, objects),
        service=(service := _service(objects, webui[0], "airis-service")),
        ollama_service=None if ollama is None else _service(objects, ollama[0], "ollama-service"),
        ingress=_ingress(objects, service),
        objects=objects,
    )
    _refuse_the_unmovable(found)
    return found


def release_of(body: KubeObject) -> str | None:
    """The Helm release that an object belongs to."""
    value = (body["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name")
    return None if value is None else str(value)


_Pair = tuple[KubeObject, Mapping[str, Any]]


def _only(what: str, objects: Sequence[KubeObject], is_it: Any, namespace: str) -> _Pair | None:
    pairs = [
        (each, container)
        for each in objects
        if each["kind"] in _WORKLOADS
        for container in each["spec"]["template"]["spec"]["containers"]
        if is_it(container)
    ]
    if len(pairs) > 1:
        names = ", ".join(label(each) for each, _ in pairs)
        remedy = "a stack has one of them: move the others to another namespace first"
        raise AirisError(f"namespace {namespace} has {len(pairs)} workloads of {what}: {names}", remedy)
    return pairs[0] if pairs else None


def _image_name(container: Mapping[str, Any]) -> str:
    return str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]


def _mounts(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(container.get("volumeMounts") or [])


def _webui_container(container: Mapping[str, Any]) -> bool:
    return _image_name(container) in _WEBUI_IMAGES or any(each["mountPath"] == DATA_PATH for each in _mounts(container))


def _ollama_container(container: Mapping[str, Any]) -> bool:
    mounted = any(each["mountPath"].endswith(_OLLAMA_FOLDER) for each in _mounts(container))
    return _image_name(container) == "ollama" or mounted


def _is(body: KubeObject, kind: str, name: str, app: str) -> bool:
    """Whether the stack has an object of the same identity. The selector counts, because it is immutable."""
    same = body["kind"] == kind and body["metadata"]["name"] == name
    return bool(same and body["spec"]["selector"] == {"matchLabels": {"app": app}})


def _ollama(pair: _Pair, objects: Sequence[KubeObject]) -> Workload:
    body, container = pair
    same = _is(body, "StatefulSet", "ollama", "ollama") and body["spec"].get("serviceName") == "ollama"
    folder = next((each["mountPath"] for each in _mounts(container) if each["mountPath"].endswith(_OLLAMA_FOLDER)), "")
    templates = [each["metadata"]["name"] for each in body["spec"].get("volumeClaimTemplates") or []]
    found = _workload(pair, objects, folder, in_place=same and templates in ([], ["ollama-volume"]))
    if not folder and (_mounts(container)):
        paths = ", ".join(each["mountPath"] for each in _mounts(container))
        raise AirisError(
            f"{label(body)}: its volumes are mounted at {paths}, not at a folder .ollama",
            "the stack mounts the volume as .ollama: move the models (models/ and the keys) there, and change the mount",
        )
    return found


def _workload(pair: _Pair, objects: Sequence[KubeObject], path: str, *, in_place: bool) -> Workload:
    body, container = pair
    mount = next((each for each in _mounts(container) if each["mountPath"] == path), None)
    if mount is None:
        return Workload(body, container, in_place, (), None)
    if mount.get("subPath") or mount.get("subPathExpr"):
        remedy = "the stack mounts the whole volume: move the data to its root first (docs/moving.md)"
        raise AirisError(f"{label(body)}: {path} is the subPath {mount.get('subPath')} of its volume", remedy)
    templates = {each["metadata"]["name"]: each for each in body["spec"].get("volumeClaimTemplates") or []}
    template = templates.get(mount["name"])
    volumes = {each["name"]: each for each in body["spec"]["template"]["spec"].get("volumes") or []}
    volume = volumes.get(mount["name"], {})
    if template is not None:
        names = [f"{mount['name']}-{body['metadata']['name']}-{index}" for index in range(max(1, _count(body)))]
    elif "persistentVolumeClaim" in volume:
        names = [volume["persistentVolumeClaim"]["claimName"]]
    elif "emptyDir" in volume:
        return Workload(body, container, in_place, (), None)
    else:
        kind = ", ".join(each for each in volume if each != "name")
        raise AirisError(
            f"{label(body)}: its data is on a volume of type {kind}, which is not a claim",
            "create a PersistentVolume and a claim for it, and let the workload use that claim first",
        )
    present = {each["metadata"]["name"]: each for each in objects if each["kind"] == "PersistentVolumeClaim"}
    if missing := [each for each in names if each not in present]:
        raise AirisError(
            f"incomplete deployment: {label(body)} exists, but its claim {', '.join(missing)} does not",
            "let it start once, or restore the claim; nothing was changed",
        )
    claims = tuple(present[each] for each in names)
    if gone := [each["metadata"]["name"] for each in claims if "deletionTimestamp" in each["metadata"]]:
        remedy = "it is deleted as soon as its pod terminates: back up its data first; nothing was changed"
        raise AirisError(f"the claim {', '.join(gone)} is being deleted", remedy)
    return Workload(body, container, in_place, claims, template)


def _count(body: KubeObject) -> int:
    return int(body["spec"].get("replicas", 1))


def _service(objects: Sequence[KubeObject], workload: KubeObject, name: str) -> KubeObject | None:
    """The Service that selects the workload's pods: the one with that name, else the first that is not headless."""
    labels = (workload["spec"]["template"]["metadata"].get("labels") or {}).items()
    found = [
        each
        for each in objects
        if each["kind"] == "Service"
        and (each["spec"].get("selector") or {})
        and each["spec"]["selector"].items() <= labels
    ]
    found.sort(key=lambda each: (each["metadata"]["name"] != name, each["spec"].get("clusterIP") == "None"))
    return next(iter(found), None)


def _ingress(objects: Sequence[KubeObject], service: KubeObject | None) -> KubeObject | None:
    if service is None:
        return None
    for each in objects:
        if each["kind"] == "Ingress" and service["metadata"]["name"] in backends(each):
            return each
    return None


def backends(ingress: KubeObject) -> set[str]:
    """The backend Services of an Ingress."""
    default = [ingress["spec"].get("defaultBackend") or {}]
    paths = [
        path.get("backend") or {}
        for rule in ingress["spec"].get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    ]
    return {str(each["service"]["name"]) for each in [*default, *paths] if "service" in each}


def _nothing(namespace: str, objects: Sequence[KubeObject], ollama: _Pair | None) -> tuple[str, str]:
    """The error and its remedy if there is no Open WebUI."""
    nothing = "nothing was changed"
    if ollama is not None:
        return f"namespace {namespace} has Ollama ({label(ollama[0])}), but no Open WebUI", nothing
    claims = [
        label(each)
        for each in objects
        if each["kind"] == "PersistentVolumeClaim" and each["metadata"]["name"] in _CLAIM_NAMES
    ]
    if claims:
        remedy = (
            "to use this claim in a new stack, set airis:webui.storage.existingClaim or "
            f"airis:ollama.storage.existingClaim; {nothing}"
        )
        return (
            f"namespace {namespace}: incomplete deployment: no workload uses {', '.join(claims)}",
            remedy,
        )
    names = ("airis-deployment", "ollama", "open-webui")
    foreign = [label(each) for each in objects if each["kind"] in _WORKLOADS and each["metadata"]["name"] in names]
    if foreign:
        return (
            f"namespace {namespace}: {', '.join(foreign)} has the name of Open WebUI or Ollama, but runs another application",
            nothing,
        )
    return f"namespace {namespace} has neither Open WebUI nor Ollama", f"set another one with --namespace; {nothing}"


def _refuse_the_unmovable(found: Found) -> None:
    webui = found.webui
    if not webui.claims:
        raise AirisError(
            f"{label(webui.body)}: its data is in the pod, not on a claim, and would be lost with the pod",
            "copy the data to a claim first (docs/moving.md); nothing was changed",
        )
    for each in found.workloads:
        if names := sorted(set(_delivered(each.body))):
            raise AirisError(
                f"{label(each.body)} is managed by {', '.join(names)}, which would revert the changes",
                "remove it from there first, without deleting its objects; nothing was changed",
            )
    if found.ollama is None and (lost := _unused_ollama(found)):
        remedy = (
            "set airis:ollama.storage.existingClaim to it in a separate stack, or delete the claim if it is not needed"
        )
        raise AirisError(f"incomplete deployment: no Ollama uses the claim {lost}", remedy)
    _refuse_other_users(found)


def _delivered(body: KubeObject) -> Iterator[str]:
    marks = {**(body["metadata"].get("labels") or {}), **(body["metadata"].get("annotations") or {})}
    for prefix, name in _DELIVERY.items():
        if any(key.startswith(prefix) for key in marks):
            yield name
    for entry in body["metadata"].get("managedFields", []):
        if str(entry["manager"]).startswith("pulumi"):
            yield "another Pulumi stack"


def _unused_ollama(found: Found) -> str | None:
    names = ("ollama-volume-ollama-0", "open-webui-ollama")
    claims = [each["metadata"]["name"] for each in found.objects if each["kind"] == "PersistentVolumeClaim"]
    return next((each for each in claims if each in names), None)


def _refuse_other_users(found: Found) -> None:
    """Raises AirisError if another pod uses the volume: two processes on one SQLite database corrupt it."""
    for each in found.workloads:
        names = {claim["metadata"]["name"] for claim in each.claims}
        own = [pod["metadata"]["uid"] for pod in found.pods_of(each)]
        for other in found.objects:
            if other["kind"] == "Pod" and other["metadata"]["uid"] not in own:
                spec = other["spec"]
            elif (
                other["kind"] in _WORKLOADS
                and other["metadata"]["uid"] != each.body["metadata"]["uid"]
                and _count(other)
            ):
                spec = other["spec"]["template"]["spec"]
            else:
                continue
            used = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec.get("volumes") or []]
            if names & set(used) and other.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                raise AirisError(
                    f"{label(other)} also uses the claim {', '.join(sorted(names & set(used)))} of {label(each.body)}",
                    "two processes must never use the same volume: stop it first; nothing was changed",
                )
