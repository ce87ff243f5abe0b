"""What the first `up` would change: compares the live objects with a server-side dry run of the rendered ones."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airis.adopt.cluster import get, label, tried
from airis.adopt.discovery import Found, Workload
from airis.adopt.handover import was_deployed_by
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import resource_of
from airis.diff.fields import ABSENT, differences, masked, one_line
from airis.terminal.errors import AirisError

_SERVERS_OWN = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "namespace",
    "name",
    "finalizers",
)
_SHORT = 90
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SERVICE_KEPT = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


@dataclass(frozen=True)
class Change:
    """An object of the stack, and what the first `up` does with it."""

    wanted: KubeObject
    live: KubeObject | None
    """The object that it takes over or replaces; None for a new one."""
    in_place: bool
    """Whether it takes over the live object itself."""
    lines: tuple[str, ...] = ()
    """One line per field: `+` added, `-` removed, `~` changed."""

    @property
    def restarts(self) -> bool:
        """Whether the change replaces pods."""
        return self.in_place and any(line[2:].startswith("spec.template") for line in self.lines)


def changes(cluster: Cluster, wanted: Sequence[KubeObject], found: Found) -> list[Change]:
    """The change to each object of the stack, by a server-side dry run.

    Raises AirisError if an unrelated object has the same name, and if the server would reject a change.
    """
    pairs = [(each, _live(cluster, each, found)) for each in wanted]
    if clashes := [label(each) for each, live in pairs if live is not None and not _belongs(live, each, found)]:
        raise AirisError(
            f"namespace {cluster.namespace}: {', '.join(clashes)} exists, but does not belong to this deployment",
            "the stack needs these names: rename or remove these objects, or adopt into another namespace; nothing was changed",
        )
    return [
        _in_place(cluster, each, live) if live is not None else _beside(cluster, each, found) for each, live in pairs
    ]


def _live(cluster: Cluster, wanted: KubeObject, found: Found) -> KubeObject | None:
    if wanted["kind"] == "Secret":  # only by its name: its data is not read
        name = wanted["metadata"]["name"]
        there = cluster.run("get", "secret", name, "--ignore-not-found", "--output=jsonpath={.metadata.name}")
        return {"kind": "Secret", "metadata": {"name": name}} if there else None
    return next(iter(get(cluster, resource_of(wanted), wanted["metadata"]["name"])), None)


def _belongs(live: KubeObject, wanted: KubeObject, found: Found) -> bool:  # noqa: PLR0911
    """Whether a live object of the same name belongs to the deployment."""
    in_place = [each for each in found.workloads if each.in_place]
    uids = [each.body["metadata"]["uid"] for each in in_place]
    match wanted["kind"]:
        case "Namespace":
            return True
        case "Deployment" | "StatefulSet":
            return live["metadata"]["uid"] in uids
        case "PersistentVolumeClaim":
            return live["metadata"]["uid"] in [claim["metadata"]["uid"] for each in in_place for claim in each.claims]
        case "Service":
            same = live["spec"].get("selector") == wanted["spec"]["selector"]
            return bool(
                same and (live["spec"].get("clusterIP") == "None") == (wanted["spec"].get("clusterIP") == "None")
            )
        case "Ingress":
            return found.ingress is not None and live["metadata"]["uid"] == found.ingress["metadata"]["uid"]
        case "ServiceAccount":
            others = [each["spec"]["template"]["spec"].get("serviceAccountName") for each in found.others]
            return wanted["metadata"]["name"] not in others
        case "NetworkPolicy":
            return bool(live["spec"].get("podSelector") == wanted["spec"]["podSelector"])
        case "PodDisruptionBudget":
            return bool(live["spec"].get("selector") == wanted["spec"]["selector"])
        case "HorizontalPodAutoscaler":
            return bool(live["spec"].get("scaleTargetRef") == wanted["spec"]["scaleTargetRef"])
    return False


def _in_place(cluster: Cluster, wanted: KubeObject, live: KubeObject) -> Change:
    try:
        result = tried(cluster, "replace", _updated(live, wanted))
    except KubectlError as error:
        if "nvalid" not in error.message and "immutable" not in error.message:
            raise
        raise AirisError(
            f"{label(live)} cannot be taken over: {error.message}",
            "these fields are immutable on a live object; nothing was changed",
        ) from None
    return Change(wanted, live, True, tuple(_lines(_comparable(live), _comparable(result))))


def _beside(cluster: Cluster, wanted: KubeObject, found: Found) -> Change:
    """Compares a new object with the one that it replaces, in the fields that they have in common."""
    old = _counterpart(wanted, found)
    if old is None:
        return Change(wanted, None, False)
    workload = "template" in wanted["spec"]
    result = tried(cluster, "create", wanted)
    paths = ("template", "replicas") if workload else ("type", "ports", "rules", "tls", "ingressClassName")
    before, after = (
        {"spec": {key: _comparable(each)["spec"][key] for key in paths if key in each["spec"]}}
        for each in (old, result)
    )
    return Change(wanted, old, False, tuple(_lines(before, after)))


def _counterpart(wanted: KubeObject, found: Found) -> KubeObject | None:
    beside: dict[tuple[str, str], Workload | None] = {
        ("Deployment", "airis-deployment"): found.webui,
        ("StatefulSet", "ollama"): found.ollama,
    }
    key = (wanted["kind"], wanted["metadata"]["name"])
    if (workload := beside.get(key)) is not None:
        return workload.body
    return {
        ("Service", "airis-service"): found.service,
        ("Service", "ollama-service"): found.ollama_service,
        ("Ingress", "airis-ingress"): found.ingress,
    }.get(key)


def _updated(live: KubeObject, wanted: KubeObject) -> dict[str, Any]:
    """The object after the update: the stack's fields, the controllers' fields, and the server's fields."""
    body = copy.deepcopy(dict(wanted))
    metadata = body["metadata"]
    for group in ("labels", "annotations"):
        owned = _owned(live, group) if wanted["kind"] not in ("Namespace", "PersistentVolumeClaim") else {_LAST_APPLIED}
        there = {key: value for key, value in (live["metadata"].get(group) or {}).items() if key not in owned}
        metadata[group] = {**there, **(metadata.get(group) or {})}
    if live["metadata"].get("finalizers"):
        metadata["finalizers"] = live["metadata"]["finalizers"]
    spec = live.get("spec") or {}
    if wanted["kind"] == "Namespace":
        body["spec"] = spec
    elif wanted["kind"] == "PersistentVolumeClaim":
        body["spec"] = {**spec, **body["spec"]}
    elif wanted["kind"] == "Service":
        body["spec"] = {**{key: spec[key] for key in _SERVICE_KEPT if key in spec}, **body["spec"]}
        if body["spec"].get("type", "ClusterIP") != "ClusterIP":
            nodes = {each["port"]: each["nodePort"] for each in spec.get("ports") or [] if "nodePort" in each}
            for port in body["spec"]["ports"]:
                if port["port"] in nodes:
                    port.setdefault("nodePort", nodes[port["port"]])
    return body


def _owned(body: KubeObject, group: str) -> set[str]:
    """The labels or annotations that a deployment tool set, and that are handed over."""
    fields = [
        each["fieldsV1"].get("f:metadata", {}).get(f"f:{group}", {})
        for each in body["metadata"].get("managedFields", [])
        if was_deployed_by(each)
    ]
    return {key.removeprefix("f:") for each in fields for key in each}


def _comparable(body: KubeObject) -> dict[str, Any]:
    """The object without server-managed fields, with volumes by their mount paths."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in _SERVERS_OWN}
    found = {"metadata": metadata, "spec": copy.deepcopy(dict(body.get("spec") or {}))}
    pod = found["spec"].get("template", {}).get("spec")
    if pod:
        sources = {
            each["name"]: {key: value for key, value in each.items() if key != "name"}
            for each in pod.pop("volumes", [])
        }
        templates = {each["metadata"]["name"] for each in found["spec"].get("volumeClaimTemplates") or []}
        for each in pod["containers"]:
            each["name"] = "main" if len(pod["containers"]) == 1 else each["name"]
            for mount in each.get("volumeMounts") or []:
                name = mount.pop("name")
                mount["from"] = "claim template" if name in templates else sources.get(name, {})
    return found


def _lines(before: Any, after: Any) -> Iterator[str]:
    """The differences between two values. A field that only one of them has includes everything below it."""
    for each in differences(before, after):
        if each.after is ABSENT:
            yield f"- {each.path}{_shown(each.path, each.before)}"
        elif each.before is ABSENT:
            yield f"+ {each.path}{_shown(each.path, each.after)}"
        else:
            yield f"~ {each.path}{_shown(each.path, each.before)} ->{_shown(each.path, each.after)}"


def _shown(path: str, value: Any) -> str:
    """A shortened value, with possible credentials masked."""
    return "" if _LAST_APPLIED in path else f" {one_line(masked(value, path), _SHORT)}"
