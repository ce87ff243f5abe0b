"""Reads the settings of both workloads from the live objects: image, resources, storage, scheduling, GPUs and models."""

import json
import re
from collections.abc import Mapping
from typing import Any

from airis.adopt.cluster import label
from airis.adopt.discovery import Found, Workload
from airis.adopt.environment import Config, Notes
from airis.adopt.tool_metadata import without_tools
from airis.terminal.errors import AirisError
from settings.ollama.gpu import GpuSettings
from settings.pods.gpu_nodes import LABEL_PREFIXES

_PLAIN_RESOURCES = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeralStorage"}

_DEFAULT_GRACE = 30

PULLED = re.compile(r"\bollama pull +(?:--\S+ +)*([^\s;&|]+)")
"""Models that a `postStart` hook pulls."""


def workload_settings(workload: Workload, found: Found, notes: Notes, own_claim: str) -> Config:
    """The settings that both workloads have in common."""
    container = workload.container
    section: Config = {"image": container["image"]}
    policy = container.get("imagePullPolicy")
    if policy and policy != _default_policy(container["image"]):
        section["imagePullPolicy"] = policy
    if workload.replicas != 1 and (
        workload.replicas or workload.in_place
    ):  # a workload that adopt has scaled to 0 runs again in the stack
        section["replicas"] = workload.replicas
    section["resources"] = _resources(container)
    section["storage"] = _storage(workload, own_claim)
    section.update(_placement(workload, notes))
    labels = without_tools(workload.pod_labels)
    annotations = without_tools(workload.body["spec"]["template"]["metadata"].get("annotations") or {})
    section.update({"podLabels": labels} if labels else {})
    section.update({"podAnnotations": annotations} if annotations else {})
    return section


def ollama_settings(found: Found, notes: Notes) -> Config:
    """The settings of Ollama, with its GPUs and its models."""
    workload = found.ollama
    assert workload is not None  # noqa: S101
    section = workload_settings(workload, found, notes, "")
    if gpus := _gpus(workload.container):
        section["gpu"] = _gpu(*gpus, section)
    hook = json.dumps((workload.container.get("lifecycle") or {}).get("postStart") or {})
    if models := PULLED.findall(hook.replace("\\n", "\n")):
        section["models"] = list(dict.fromkeys(models))
    if not workload.claims:
        notes.dropped.append(
            f"{label(workload.body)}: its models are in the pod, not on a claim: the stack's Ollama starts with an empty volume"
        )
    return section


def _default_policy(image: str) -> str:
    name, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if "@" not in name and tag in ("", "latest") and "@" not in image else "IfNotPresent"


def _resources(container: Mapping[str, Any]) -> Config:
    """Resources that are not set become null, to override the stack's defaults."""
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
    """Describes a claim that has the stack's name for it; sets `existingClaim` for any other."""
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
            "the stack supports only claims with one access mode, and access modes are immutable",
        )
    sizes = {each["spec"]["resources"]["requests"]["storage"] for each in workload.claims}
    if workload.template:
        sizes.add(spec["resources"]["requests"]["storage"])
    if len(sizes) > 1:
        raise AirisError(
            f"{label(workload.body)}: its claims and their template have different sizes: {', '.join(sorted(sizes))}",
            "claim templates are immutable: delete the StatefulSet with `kubectl delete statefulset ollama --cascade=orphan`, "
            "which keeps pod and claims, and apply it again with the claims' size in the template; nothing was changed",
        )
    section: Config = {"size": size}
    if spec.get("storageClassName"):
        section["storageClass"] = spec["storageClassName"]
    if modes != ["ReadWriteOnce"]:
        section["accessMode"] = modes[0]
    return section


def _placement(workload: Workload, notes: Notes) -> Config:
    """The scheduling settings of the pods."""
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
    if _gpus(workload.container) is None:  # leftovers of a GPU overlay would restrict the pods to GPU nodes
        for key in [each["key"] for each in requirements if _is_gpu_label(each["key"])] + [
            *filter(_is_gpu_label, selector)
        ]:
            notes.dropped.append(
                f"{where}: the node condition on {key}: only GPU nodes match it, and these pods request no GPU"
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
        further.append("preferred nodeAffinity")
    if len(terms) > 1 or any("matchFields" in each for each in terms):
        further.append("nodeAffinity with several terms or with matchFields")
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
    """The extended resource and its count; None for a limit of 0."""
    for name, count in ((container.get("resources") or {}).get("limits") or {}).items():
        if "/" in name and str(count).isdecimal() and int(count) > 0:
            return name, int(count)
    return None


def _gpu(resource: str, count: int, section: Config) -> Config:
    """The GPU settings. Moves the GPU's node conditions and toleration out of the rest of the section."""
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
