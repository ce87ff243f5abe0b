"""The stack file that says what was found."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airis.adopt.cluster import label
from airis.adopt.discovery import Found, Workload
from airis.adopt.environment import Config, Notes, put, sections_of
from airis.cluster.kubectl import KubeObject
from airis.diff.fields import is_credential
from airis.stack_file.schema import REFERENCE_LINE
from airis.stack_file.stacks import UPSERT_KEY
from airis.stack_file.yaml_writer import dump
from airis.terminal.errors import AirisError
from components.exposure import EXPOSURE_VARIABLES, LOCAL_ORIGIN
from components.start import FOLDER, MIGRATIONS, PREPARE, VOLUME
from settings import SettingsError, load
from settings.exposure.ingress import CLASS_ANNOTATION, ISSUER_ANNOTATIONS
from settings.ollama.gpu import GpuSettings
from settings.ollama.ollama import OllamaSettings
from settings.pods.gpu_nodes import LABEL_PREFIXES
from settings.stack import StackSettings
from settings.types.variables import Value, variables
from settings.webui.webui import WebUISettings

_PLAIN_RESOURCES = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeralStorage"}
_OWN = (
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "app.kubernetes.io/",
    "pulumi.com/",
    "airis.dev/",
    "deployment.kubernetes.io/",
)
_DEFAULT_GRACE = 30
_COVERED_STARTS = ("copy-app-data", PREPARE)
"""Init containers of the Helm chart and of the stack itself, whose work the stack's own does."""
_PULLED = re.compile(r"\bollama pull +(?:--\S+ +)*([^\s;&|]+)")
_DOMAIN = re.compile(r"\.svc\.([a-z0-9.-]+)(?::\d+)?/?$")
_FOLLOWS = {
    "OLLAMA_HOST": "0.0.0.0:11434",
    "HOME": None,
    "DATA_DIR": None,
    "ENABLE_OPENAI_API": None,
    "ENABLE_OLLAMA_API": None,
}
"""Variables that the stack sets by itself to what comes to the same; None whatever they say."""
_REDIS = ("ENABLE_WEBSOCKET_SUPPORT", "WEBSOCKET_MANAGER", "REDIS_URL", "WEBSOCKET_REDIS_URL")


@dataclass
class Draft:
    """A stack file in the making."""

    config: dict[str, Any]
    notes: Notes = field(default_factory=Notes)

    def settings(self) -> StackSettings:
        """What it amounts to. Raises SettingsError with all that is wrong with it."""
        return settings_of(self.config)


def settings_of(config: Mapping[str, Any]) -> StackSettings:
    """The settings of a stack file's config. Raises SettingsError."""
    plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return load(plain, source="the stack")


def drafted(found: Found) -> Draft:
    """The stack file that has the stack do what was found, as far as settings cover it; the notes say where they do not.

    Raises AirisError for what would lose data: several pods on what is made for one, a volume that nobody may write to.
    """
    draft = Draft({"airis:namespace": found.namespace["metadata"]["name"]})
    config, notes = draft.config, draft.notes
    if any(each.runs_as_root for each in found.workloads):
        config["airis:podSecurity"] = "baseline"
    secrets = [each["name"] for workload in found.workloads for each in workload.pod.get("imagePullSecrets") or []]
    if secrets:
        config["airis:imagePullSecrets"] = list(dict.fromkeys(secrets))
    if domain := next(filter(None, map(_domain, _urls(found))), None):
        config["airis:clusterDomain"] = domain
    config["airis:ollama"] = _ollama(found, notes) if found.ollama else {"enabled": False}
    config["airis:webui"] = {**_workload(found.webui, found, notes, "airis-pvc"), **_service(found, notes)}
    if found.ingress is not None:
        config.update({"airis:ingress": ingress} if (ingress := _ingress(found.ingress, notes)) else {})
    if "spec" in found.webui.body and found.webui.pod.get("serviceAccountName"):
        annotations = _account_annotations(found)
        config["airis:webui"].update({"serviceAccountAnnotations": annotations} if annotations else {})
    config["airis:takeover"] = _takeover(found)
    config[UPSERT_KEY] = "true"
    _settle(draft)
    _environment(draft, found)
    for each in found.workloads:
        _tell_what_no_setting_covers(each, notes)
    return draft


def as_yaml(draft: Draft, found: Found, stack: str) -> str:
    """The text of the stack file."""
    head = [
        REFERENCE_LINE,
        f"# Written by `airis adopt`, from what ran in the namespace {found.namespace['metadata']['name']}: docs/moving.md.",
        f"# airis:takeover and {UPSERT_KEY} are for the first up; take both out once it is through.",
    ]
    if draft.notes.credentials:
        head.append(f"# The Secret airis-adopted has to be made before: `airis adopt --stack {stack}` said how.")
    body = dump({"config": draft.config}, width=100)
    return "\n".join(head) + "\n" + body


def _takeover(found: Found) -> Config:
    stopped = [{"kind": each.body["kind"], "name": each.body["metadata"]["name"]} for each in found.beside]
    return {"enabled": True, **({"stopped": stopped} if stopped else {})}


def _workload(workload: Workload, found: Found, notes: Notes, own_claim: str) -> Config:
    """What both workloads have in common."""
    container = workload.container
    section: Config = {"image": container["image"]}
    policy = container.get("imagePullPolicy")
    if policy and policy != _default_policy(container["image"]):
        section["imagePullPolicy"] = policy
    if workload.replicas != 1 and (
        workload.replicas or workload.in_place
    ):  # one that was stopped to be moved is to run
        section["replicas"] = workload.replicas
    section["resources"] = _resources(container)
    section["storage"] = _storage(workload, own_claim)
    section.update(_placement(workload, notes))
    labels = _free(workload.pod_labels)
    annotations = _free(workload.body["spec"]["template"]["metadata"].get("annotations") or {})
    section.update({"podLabels": labels} if labels else {})
    section.update({"podAnnotations": annotations} if annotations else {})
    return section


def _default_policy(image: str) -> str:
    name, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if "@" not in name and tag in ("", "latest") and "@" not in image else "IfNotPresent"


def _resources(container: Mapping[str, Any]) -> Config:
    """What is not said is null: the stack's defaults are not what ran."""
    found: Config = {}
    for kind in ("requests", "limits"):
        given = (container.get("resources") or {}).get(kind) or {}
        found[kind] = {
            key: given.get(name)
            for name, key in _PLAIN_RESOURCES.items()
            if name in given or name != "ephemeral-storage"
        }
    return found


def _storage(workload: Workload, own_claim: str) -> Config:
    """A claim that is the stack's own by its name is described; any other is named."""
    if not workload.claims:
        return {}
    claim = workload.claims[0]
    spec = workload.template["spec"] if workload.template else claim["spec"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    modes = spec.get("accessModes") or ["ReadWriteOnce"]
    stays = workload.in_place and (workload.template is not None or claim["metadata"]["name"] == own_claim)
    if not stays:
        return {"size": size, "existingClaim": claim["metadata"]["name"]}
    if len(modes) != 1:
        raise AirisError(
            f"{label(claim)} has the access modes {', '.join(modes)}",
            "the stack knows claims with one; it cannot change",
        )
    sizes = {each["spec"]["resources"]["requests"]["storage"] for each in workload.claims}
    if workload.template:
        sizes.add(spec["resources"]["requests"]["storage"])
    if len(sizes) > 1:
        raise AirisError(
            f"{label(workload.body)}: its claims and their template have different sizes: {', '.join(sorted(sizes))}",
            "the template of a StatefulSet cannot change: `kubectl delete statefulset ollama --cascade=orphan` leaves pod and "
            "claims, and then apply it again with the claims' size in the template; nothing was changed",
        )
    section: Config = {"size": size}
    if spec.get("storageClassName"):
        section["storageClass"] = spec["storageClassName"]
    if modes != ["ReadWriteOnce"]:
        section["accessMode"] = modes[0]
    return section


def _placement(workload: Workload, notes: Notes) -> Config:
    """Where the pods may run."""
    pod, where = workload.pod, label(workload.body)
    section: Config = {}
    named = {"priorityClass": "priorityClassName", "runtimeClass": "runtimeClassName"}
    for key, name in named.items():
        if pod.get(name):
            section[key] = pod[name]
    if pod.get("schedulerName", "default-scheduler") != "default-scheduler":
        section["schedulerName"] = pod["schedulerName"]
    if pod.get("terminationGracePeriodSeconds", _DEFAULT_GRACE) != _DEFAULT_GRACE:
        section["terminationGracePeriodSeconds"] = pod["terminationGracePeriodSeconds"]
    if pod.get("hostAliases"):
        section["hostAliases"] = [{"ip": each["ip"], "hostnames": each["hostnames"]} for each in pod["hostAliases"]]
    if pod.get("tolerations"):
        section["tolerations"] = [{"operator": "Equal", **each} for each in pod["tolerations"]]
    requirements = _requirements(pod, where, notes)
    selector = dict(pod.get("nodeSelector") or {})
    if _gpus(workload.container) is None:  # a leftover of a GPU overlay would keep the pods off every other node
        for key in [each["key"] for each in requirements if _is_gpu_label(each["key"])] + [
            *filter(_is_gpu_label, selector)
        ]:
            notes.dropped.append(
                f"{where}: the condition on {key}: only GPU nodes meet it, and these pods ask for no GPU"
            )
        requirements = [each for each in requirements if not _is_gpu_label(each["key"])]
        selector = {key: value for key, value in selector.items() if not _is_gpu_label(key)}
    section.update({"nodeAffinity": requirements} if requirements else {})
    section.update({"nodeSelector": selector} if selector else {})
    return section


def _is_gpu_label(key: str) -> bool:
    return key.startswith(LABEL_PREFIXES)


def _requirements(pod: Mapping[str, Any], where: str, notes: Notes) -> list[Config]:
    affinity = pod.get("affinity") or {}
    node = affinity.get("nodeAffinity") or {}
    terms = (node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    further = [key for key in affinity if key != "nodeAffinity"]
    if "preferredDuringSchedulingIgnoredDuringExecution" in node:
        further.append("nodeAffinity that is only preferred")
    if len(terms) > 1 or any("matchFields" in each for each in terms):
        further.append("nodeAffinity with several terms, or by fields")
        terms = []
    for each in further:
        notes.dropped.append(
            f"{where}: {each}; airis:webui and airis:ollama have podAffinity, podAntiAffinity, nodeAffinity"
        )
    return [
        {"key": each["key"], "operator": each["operator"], **({"values": each["values"]} if each.get("values") else {})}
        for term in terms
        for each in term.get("matchExpressions") or []
    ]


def _gpus(container: Mapping[str, Any]) -> tuple[str, int] | None:
    """The extended resource and its number; a limit of 0 is none."""
    for name, count in ((container.get("resources") or {}).get("limits") or {}).items():
        if "/" in name and str(count).isdecimal() and int(count) > 0:
            return name, int(count)
    return None


def _ollama(found: Found, notes: Notes) -> Config:
    workload = found.ollama
    assert workload is not None  # noqa: S101
    section = _workload(workload, found, notes, "")
    if gpus := _gpus(workload.container):
        section["gpu"] = _gpu(*gpus, section)
    hook = json.dumps((workload.container.get("lifecycle") or {}).get("postStart") or {})
    if models := _PULLED.findall(hook.replace("\\n", "\n")):
        section["models"] = list(dict.fromkeys(models))
    if not workload.claims:
        notes.dropped.append(
            f"{label(workload.body)}: its models are in the pod, on no claim: the stack's Ollama begins with an empty volume"
        )
    return section


def _gpu(resource: str, count: int, section: Config) -> Config:
    """The GPU, with the conditions and the toleration that go with it taken out of the rest of the section."""
    default = GpuSettings.model_validate({"count": count, "resourceName": resource})
    gpu: Config = {"count": count, **({} if resource == "nvidia.com/gpu" else {"resourceName": resource})}
    taint = {"key": default.taint, "operator": "Exists", "effect": "NoSchedule"}
    tolerations = [each for each in section.pop("tolerations", []) if each != taint]
    affinity = section.pop("nodeAffinity", [])
    labels = {
        each["key"]: each["values"][0]
        for each in affinity
        if _is_gpu_label(each["key"]) and each["operator"] == "In" and len(each["values"]) == 1
    }
    rest = [each for each in affinity if each["key"] not in labels]
    section.update({"tolerations": tolerations} if tolerations else {})
    section.update({"nodeAffinity": rest} if rest else {})
    if labels != dict(default.node_labels):
        gpu["nodeLabels"] = labels
    if section.get("runtimeClass") == "nvidia":
        gpu["runtimeClass"] = section.pop("runtimeClass")
    return gpu


def _service(found: Found, notes: Notes) -> Config:
    service = found.service
    if service is None:
        return {}
    spec = service["spec"]
    section: Config = {}
    if spec.get("type", "ClusterIP") in ("NodePort", "LoadBalancer"):
        section["type"] = spec["type"]
        ports = [each["nodePort"] for each in spec.get("ports") or [] if "nodePort" in each]
        if service["metadata"]["name"] == "airis-service" and ports:
            section["nodePort"] = ports[0]
        elif ports:
            notes.dropped.append(
                f"{label(service)}: its port {ports[0]} on the nodes, which it still holds: the new Service gets another one"
            )
        if spec.get("externalTrafficPolicy", "Cluster") != "Cluster":
            section["externalTrafficPolicy"] = spec["externalTrafficPolicy"]
        if spec["type"] == "LoadBalancer":
            section.update({"loadBalancerClass": spec["loadBalancerClass"]} if spec.get("loadBalancerClass") else {})
            ranges = spec.get("loadBalancerSourceRanges")
            section.update({"loadBalancerSourceRanges": ranges} if ranges else {})
    annotations = _free(service["metadata"].get("annotations") or {})
    section.update({"annotations": annotations} if annotations else {})
    return {"service": section} if section else {}


def _ingress(ingress: KubeObject, notes: Notes) -> Config:
    rules = ingress["spec"].get("rules") or []
    hosts = list(dict.fromkeys(each["host"] for each in rules if each.get("host")))
    if not hosts:
        notes.dropped.append(
            f"{label(ingress)}: it has no host; airis:ingress needs one, or airis:webui.service.type another way in"
        )
        return {}
    for each in rules:
        for path in (each.get("http") or {}).get("paths") or []:
            if path.get("path", "/") != "/":
                notes.dropped.append(
                    f"{label(ingress)}: the path {path['path']}; airis:ingress leads everything to the WebUI"
                )
    annotations = _free(ingress["metadata"].get("annotations") or {})
    named = ingress["spec"].get("ingressClassName") or annotations.pop(CLASS_ANNOTATION, None)
    issuers = {key: annotations.pop(name) for key, name in ISSUER_ANNOTATIONS.items() if name in annotations}
    section: Config = {"host": hosts[0], **({"hosts": hosts[1:]} if hosts[1:] else {})}
    section.update({"className": named} if named else {})
    if tls := ingress["spec"].get("tls"):
        issuer = {{"cluster_issuer": "clusterIssuer"}.get(key, key): value for key, value in issuers.items()}
        section["tls"] = {**({"secretName": tls[0]["secretName"]} if tls[0].get("secretName") else {}), **issuer}
        if not section["tls"]:
            notes.dropped.append(
                f"{label(ingress)}: TLS without a certificate of its own; airis:webui.url says https:// instead"
            )
            del section["tls"]
    section.update({"annotations": annotations} if annotations else {})
    return section


def _account_annotations(found: Found) -> dict[str, str]:
    name = found.webui.pod["serviceAccountName"]
    accounts = [each for each in found.objects if each["kind"] == "ServiceAccount" and each["metadata"]["name"] == name]
    return _free(accounts[0]["metadata"].get("annotations") or {}) if accounts else {}


def _free(marks: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those that tools set."""
    return {key: value for key, value in marks.items() if key != "app" and not key.startswith(_OWN)}


def _settle(draft: Draft) -> None:
    """Leaves out what settings refuse, and says so; what decides on the data is refused as a whole."""
    while True:
        try:
            draft.settings()
        except SettingsError as error:
            for problem in error.problems:
                section, _, path = problem.key.partition(".")
                head = re.split(r"[.\[]", path)[0]
                if (
                    section not in draft.config
                    or head in ("", "image", "replicas", "storage")
                    or head not in draft.config[section]
                ):
                    raise AirisError(
                        f"what was found makes no stack: {problem.key}: {problem.value}; right would be: {problem.allowed}",
                        "change it on what runs first; nothing was changed",
                    ) from None
                draft.config[section].pop(head)
                draft.notes.dropped.append(f"{section}.{head}: {problem.value}; right would be: {problem.allowed}")
        else:
            return


def _urls(found: Found) -> list[str]:
    given = {each["name"]: each.get("value", "") for each in found.webui.container.get("env") or []}
    text = given.get("OLLAMA_BASE_URLS") or given.get("OLLAMA_BASE_URL") or ""
    return [each.strip() for each in text.split(";") if each.strip()]


def _domain(url: str) -> str | None:
    match = _DOMAIN.search(urlsplit(url).netloc)
    return match[1] if match and match[1] != "cluster.local" else None


def _environment(draft: Draft, found: Found) -> None:
    """Both containers' variables; those that follow from elsewhere first."""
    for section, workload in (("airis:webui", found.webui), ("airis:ollama", found.ollama)):
        if workload is None:
            continue
        left = [each for each in _variables(workload) if not _follows(each, draft, found, section)]
        # A name that stands twice: the last one counts, as in a container
        unique = list({each["name"]: each for each in left}.values())
        model = WebUISettings() if section == "airis:webui" else OllamaSettings()
        draft.config[section] = sections_of(
            unique, draft.config[section], model.managed_env, _fits(draft, section), draft.notes
        )
        if workload.container.get("envFrom"):
            names = [str(next(iter(each.values()), {})) for each in workload.container["envFrom"]]
            draft.notes.dropped.append(
                f"{label(workload.body)}: envFrom ({'; '.join(names)}): name each variable in secretEnv or configMapEnv"
            )


def _variables(workload: Workload) -> list[Mapping[str, Any]]:
    """The variables of the application. Whether it migrates says the container that prepares, where there is one."""
    own: list[Mapping[str, Any]] = workload.container.get("env") or []
    for first in workload.pod.get("initContainers") or []:
        if first["name"] == PREPARE:
            migrations = [each for each in first.get("env") or [] if each["name"] == MIGRATIONS]
            return [*(each for each in own if each["name"] != MIGRATIONS), *migrations]
    return own


def _fits(draft: Draft, section: str) -> Callable[[Config, Mapping[str, str]], bool]:
    def fits(tried: Config, wanted: Mapping[str, str]) -> bool:
        try:
            settings = settings_of({**draft.config, section: tried})
        except SettingsError:
            return False
        said: dict[str, Value] = variables(settings.webui if section == "airis:webui" else settings.ollama)
        return all(str(said.get(name)).lower() == value.lower() for name, value in wanted.items())

    return fits


def _follows(each: Mapping[str, Any], draft: Draft, found: Found, section: str) -> bool:
    """Whether a variable is dealt with here: because it follows from other settings, or needs more than one key."""
    name, value = each["name"], str(each.get("value", ""))
    if name in _FOLLOWS and (_FOLLOWS[name] is None or value == _FOLLOWS[name]):
        if name == "ENABLE_OPENAI_API" and value.lower() == "false":
            draft.config[section] = put(draft.config[section], "connections.openai", [])
        return True
    if section != "airis:webui" or "valueFrom" in each:
        return False
    if name in ("OLLAMA_BASE_URL", "OLLAMA_BASE_URLS"):
        further = [url for url in _urls(found) if not _is_own(url, found)]
        former = [url.rstrip("/") for url in _urls(found) if url not in further and not _stays(url)]
        for key, urls in (("ollamaUrls", further), ("formerOllamaUrls", former)):
            if urls:
                draft.config[section] = put(draft.config[section], f"connections.{key}", urls)
        return True
    if name in ("OPENAI_API_BASE_URL", "OPENAI_API_BASE_URLS"):
        servers = [{"url": url.strip()} for url in value.split(";") if url.strip()]
        draft.config[section] = put(draft.config[section], "connections.openai", servers)
        return True
    if name in ("OPENAI_API_KEY", "OPENAI_API_KEYS"):
        draft.notes.dropped.append(
            f"the variable {name}: put each server's key into a Secret, and its reference into connections.openai[].keyFrom"
        )
        return True
    if name in _REDIS and draft.config[section].get("replicas", 1) <= 1 and not is_credential(name, value):
        if name == "REDIS_URL":
            draft.notes.dropped.append(
                f"the variable {name}: one pod shares nothing, and needs no Redis (airis:webui.redis)"
            )
        return True
    if name in EXPOSURE_VARIABLES:
        _exposure(name, value, draft)
        return True
    return False


def _is_own(url: str, found: Found) -> bool:
    """Whether a URL is that of the Ollama that the stack takes the place of."""
    services = [each["metadata"]["name"] for each in (found.ollama_service,) if each is not None]
    services += [found.ollama.body["metadata"]["name"]] if found.ollama else []
    host = urlsplit(url).hostname or ""
    return found.ollama is not None and any(re.search(rf"(^|\.){re.escape(each)}(\.|$)", host) for each in services)


def _stays(url: str) -> bool:
    """Whether the stack has a Service of the same name, so that the URL goes on leading to Ollama."""
    return (urlsplit(url).hostname or "").partition(".")[0] == "ollama-service"


def _exposure(name: str, value: str, draft: Draft) -> None:
    """The URL, and the origins beside it; secure cookies follow from it."""
    ingress = draft.config.get("airis:ingress", {})
    scheme = "https" if "tls" in ingress else "http"
    derived = f"{scheme}://{ingress['host']}" if ingress else None
    if name == "WEBUI_URL" and value.rstrip("/") != derived:
        draft.config["airis:webui"] = {**draft.config["airis:webui"], "url": value.rstrip("/")}
    if name == "CORS_ALLOW_ORIGIN":
        known = {derived, draft.config["airis:webui"].get("url"), LOCAL_ORIGIN}
        further = [each for each in value.split(";") if each and each.rstrip("/") not in known]
        if "*" in further:
            draft.notes.dropped.append(
                "the variable CORS_ALLOW_ORIGIN: *: every page might use the WebUI; airis:webui.corsOrigins names some"
            )
        elif further:
            draft.config["airis:webui"] = {**draft.config["airis:webui"], "corsOrigins": further}
    _settle(draft)


def _tell_what_no_setting_covers(workload: Workload, notes: Notes) -> None:
    """Parts of a pod that the stack would not have. Fields that differ are told by the comparison."""
    where, pod = label(workload.body), workload.pod
    beside = [each["name"] for each in pod["containers"] if each["name"] != workload.container["name"]]
    if beside:
        notes.dropped.append(
            f"{where}: the container {', '.join(beside)} (airis:transform can add one: docs/transform.md)"
        )
    if first := [each["name"] for each in pod.get("initContainers") or [] if each["name"] not in _COVERED_STARTS]:
        notes.dropped.append(f"{where}: the init container {', '.join(first)}")
    for key in ("command", "args", "lifecycle"):
        if workload.container.get(key) and not (
            (key == "lifecycle" and _PULLED.search(json.dumps(workload.container[key])))
            or (key == "command" and FOLDER in json.dumps(workload.container[key]))
        ):
            notes.dropped.append(f"{where}: {key} of the container {workload.container['name']}")
    known = {claim["metadata"]["name"] for claim in workload.claims}
    for each in pod.get("volumes") or []:
        if each["name"] != VOLUME and (
            each.get("persistentVolumeClaim", {}).get("claimName") not in known and "emptyDir" not in each
        ):
            notes.dropped.append(f"{where}: the volume {each['name']}")
