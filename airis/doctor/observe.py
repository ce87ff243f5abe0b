"""Observes a cluster with a few concurrent commands. What may not be read is recorded with the reason, and is no error."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.doctor.observation import Server
from airis.doctor.queries import (
    ABOUT_STACK,
    SECONDS,
    answer_inside,
    computing,
    data_claim,
    fill,
    killed,
    memory,
    resource_of,
    summaries,
)
from airis.doctor.requirements import Requirements
from airis.terminal.errors import AirisError

ANSWER_SECONDS = 10
AT_ONCE = 4
CLUSTER_WIDE = (
    "nodes",
    "namespaces",
    "pods",
    "persistentvolumes",
    "daemonsets.apps",
    "storageclasses.storage.k8s.io",
    "csidrivers.storage.k8s.io",
    "ingressclasses.networking.k8s.io",
    "apiservices.apiregistration.k8s.io",
)
OWN = (
    "events",
    "persistentvolumeclaims",
    "resourcequotas",
    "limitranges",
    "deployments.apps",
    "statefulsets.apps",
    "jobs.batch",
    "ingresses.networking.k8s.io",
)
_FURTHER = {
    "gateways.gateway.networking.k8s.io": True,
    "deviceclasses.resource.k8s.io": True,
    "resourceslices.resource.k8s.io": True,
    "clusterissuers.cert-manager.io": True,
    "issuers.cert-manager.io": False,
    "resourceclaims.resource.k8s.io": False,
    "resourceclaimtemplates.resource.k8s.io": False,
}
"""Resources that a cluster may not serve, and whether to list them in all namespaces."""


@dataclass
class Seen:
    """What has been read so far."""

    objects: dict[str, Sequence[KubeObject]] = field(default_factory=dict)
    own: dict[str, Sequence[KubeObject]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def server_of(cluster: Cluster, wanted: Requirements | None) -> Server:
    """Observes a cluster, and the namespace of the stack, if one is given. Changes nothing.

    Raises KubectlError if the cluster does not answer.
    """
    version = versions_of(cluster)
    groups = groups_of(cluster)
    seen = Seen()
    further = [each for each in _FURTHER if each.partition(".")[2] in groups]
    wide = [*CLUSTER_WIDE, *(each for each in further if _FURTHER[each])]
    own = [] if wanted is None else [*OWN, *(each for each in further if not _FURTHER[each])]
    found: dict[str, Any] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks: list[Callable[[], None]] = [lambda: list_all(cluster, wide, seen, namespaced=wanted is not None)]
        if wanted is not None:
            stack = wanted
            tasks.append(lambda: list_own(cluster, own, seen))
            for what, task in ABOUT_STACK.items():
                tasks.append(lambda what=what, task=task: _noted(seen, found, what, lambda: task(cluster, stack)))  # type: ignore[misc]
        for done in [pool.submit(each) for each in tasks]:
            done.result()
        if wanted is not None:
            _deployed(cluster, wanted, seen, found, pool)
    return Server(
        version=str(version.get("serverVersion", {}).get("gitVersion", "")),
        client=str(version.get("clientVersion", {}).get("gitVersion", "")),
        groups=groups,
        objects=seen.objects,
        own=seen.own,
        unknown=seen.unknown,
        secrets=found.get("secrets", ()),
        config_maps=found.get("configmaps", ()),
        owned=found.get("owned", ()),
        rights=found.get("rights", ()),
        trials=found.get("trials", {}),
        fill=found.get("fill", {}),
        memory=found.get("memory", {}),
        inside=found.get("inside", {}),
        computing=found.get("computing", {}),
        killed=found.get("killed", {}),
    )


def _deployed(
    cluster: Cluster, wanted: Requirements, seen: Seen, found: dict[str, Any], pool: ThreadPoolExecutor
) -> None:
    """Reads what only running pods and their kubelets can report."""
    pods = [each for each in _own_pods(wanted, seen) if each["spec"].get("nodeName")]
    tasks: Mapping[str, Callable[[], Any]] = {
        "kubelets": lambda: summaries(cluster, pods),
        "inside": lambda: answer_inside(cluster, wanted, pods),
        "computing": lambda: computing(cluster, wanted, pods),
        "killed": lambda: killed(cluster, wanted, pods),
    }
    for done in [pool.submit(_noted, seen, found, what, task) for what, task in tasks.items() if pods]:
        done.result()
    counted = found.get("kubelets", [])
    found["fill"], found["memory"] = fill(counted, wanted.namespace), memory(counted, wanted.namespace)
    # reading from kubelets needs a permission that few have; the WebUI can read its own volume
    if (data := found.get("inside", {}).get("data")) and (claim := data_claim(wanted)):
        found["fill"] = {claim: (int(data[0]), int(data[1])), **found["fill"]}


def _noted(seen: Seen, found: dict[str, Any], what: str, task: Callable[[], Any]) -> None:
    try:
        found[what] = task()
    except AirisError as error:
        seen.unknown[what] = why(error)


def why(error: AirisError) -> str:
    """Why something could not be read, in the API server's words."""
    words = error.message
    if "orbidden" in words:
        return f"No permission: {words.rpartition('(Forbidden): ')[2] or words}"
    return words.replace("Internal error occurred: ", "").replace("error: ", "").strip()


def versions_of(cluster: Cluster) -> dict[str, Any]:
    """The versions of API server and kubectl. Raises KubectlError if the cluster does not answer."""
    text = cluster.run("version", "--output=json", f"--request-timeout={ANSWER_SECONDS}s", timeout=ANSWER_SECONDS + 5.0)
    return dict(json.loads(text))


def groups_of(cluster: Cluster) -> dict[str, Sequence[str]]:
    """The served versions, by API group. Every user may read them."""
    listed = json.loads(cluster.run("get", "--raw", "/apis", timeout=SECONDS))
    return {each["name"]: [one["version"] for one in each["versions"]] for each in listed["groups"]}


def list_all(cluster: Cluster, resources: Sequence[str], seen: Seen, *, namespaced: bool = False) -> None:
    """Lists these resources of the whole cluster into `seen`, and records those that may not be listed.

    With `namespaced`, pods that may not be listed cluster-wide are listed in the namespace of `cluster`.
    """
    try:
        _sort(cluster.get(",".join(resources), "--all-namespaces"), resources, seen.objects)
        return
    except KubectlError:
        pass  # one forbidden resource fails the whole command: list them one by one
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for resource, done in [(each, pool.submit(cluster.get, each, "--all-namespaces")) for each in resources]:
            try:
                seen.objects[resource] = done.result()
            except KubectlError as error:
                seen.unknown[resource] = why(error)
    if namespaced and "pods" in seen.unknown:
        list_own(cluster, ["pods"], seen, keep=True)


def list_own(cluster: Cluster, resources: Sequence[str], seen: Seen, *, keep: bool = False) -> None:
    """Lists the objects of the namespace of `cluster` into `seen`; `keep` does not record what may not be listed."""
    try:
        _sort(cluster.get(",".join(resources)), resources, seen.own)
        return
    except KubectlError as error:
        if len(resources) == 1:
            if not keep:
                seen.unknown[resources[0]] = why(error)
            return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(list_own, cluster, [each], seen) for each in resources]:
            done.result()


def _sort(objects: Iterable[KubeObject], resources: Sequence[str], into: dict[str, Sequence[KubeObject]]) -> None:
    """Groups the objects of a mixed list by resource."""
    found: dict[str, list[KubeObject]] = {}
    for each in objects:
        found.setdefault(resource_of(each), []).append(each)
    for resource in resources:
        into[resource] = found.get(resource, [])


def _own_pods(wanted: Requirements, seen: Seen) -> list[KubeObject]:
    pods = seen.own.get("pods") or seen.objects.get("pods") or ()
    return [
        pod
        for pod in pods
        if pod["metadata"].get("namespace") == wanted.namespace and any(each.owns(pod) for each in wanted.workloads)
    ]
