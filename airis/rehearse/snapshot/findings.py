"""Adds to the findings of a rehearsal what is known to be missing in the cluster.

KWOK's nodes start pods that a kubelet would not, and the sandbox has no ingress or load balancer controller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import key_of
from airis.rehearse.snapshot.missing import Lack
from airis.rehearse.snapshot.references import PODS, pod_of

Key = tuple[str, str, str]


def held_back(findings: Sequence[Finding], wanted: Sequence[KubeObject], lacks: Sequence[Lack]) -> list[Finding]:
    """The findings, with objects pending that lack something. A workload's pods follow it in the list, and get its reason."""
    words: dict[Key, str] = {}
    for lack in lacks:
        words[lack.by] = f"{words[lack.by]}; {lack.words}" if lack.by in words else lack.words
    bodies = {key_of(each): each for each in wanted}
    workloads = [bodies[key] for key in words if key[0] in PODS]
    found: list[Finding] = []
    workload: Key = ("", "", "")
    for each in findings:
        key = (each.kind, each.namespace, each.name)
        workload = workload if each.kind == "Pod" else key
        reason = words.get(workload if each.kind == "Pod" else key)
        if each.kind == "Pod" and reason is None:
            reason = _without_volume(bodies.get(workload, {}), words)
            found.append(replace(each, reason=reason) if reason and not each.ok and not each.reason else each)
        elif reason is not None and each.kind not in PODS:
            found.append(_with_reason(each, reason))
        elif reason is not None or any(_selects(bodies.get(key, {}), one) for one in workloads):
            found.append(replace(each, state=State.PENDING) if each.ok else each)
        else:
            found.append(each)
    return found


def _with_reason(finding: Finding, words: str) -> Finding:
    """The finding as pending for this reason, unless it was rejected, or its pod fails earlier for another reason."""
    if finding.state is State.REFUSED or (finding.kind == "Pod" and not finding.ok and finding.reason):
        return finding
    return replace(finding, state=State.PENDING, reason=words)


def _without_volume(workload: KubeObject, words: Mapping[Key, str]) -> str:
    """Why a pod is pending that mounts an unprovisioned claim; the scheduler does not report it."""
    namespace = workload.get("metadata", {}).get("namespace", "")
    mounted = [each["persistentVolumeClaim"]["claimName"] for each in _volumes(workload)]
    missing = [name for name in mounted if ("PersistentVolumeClaim", namespace, name) in words]
    return f"claim {', '.join(missing)} has no volume" if missing else ""


def _volumes(workload: KubeObject) -> list[KubeObject]:
    volumes = pod_of(workload).get("volumes") or [] if workload else []
    return [each for each in volumes if "persistentVolumeClaim" in each]


def _selects(service: KubeObject, workload: KubeObject) -> bool:
    """Whether it is a Service that selects the pods of that workload."""
    if service.get("kind") != "Service" or key_of(service)[1] != key_of(workload)[1]:
        return False
    labels = workload["spec"]["template"]["metadata"].get("labels", {})
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()
