"""Checks of the nodes: capacity for the pods, and GPUs."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from airis.cluster.kubectl import KubeObject
from airis.cluster.readiness import is_ready
from airis.doctor.checks import Group, Outcome, Outcomes, Scope, check, listed, ok, problem, warning
from airis.doctor.observation import NotChecked, Observation, minor, name_of, named
from airis.doctor.requirements import Workload, asked
from airis.doctor.scheduling import (
    Room,
    allocatable,
    capacity,
    labels_asked,
    labels_missing,
    living,
    of_one,
    rooms,
    taints_refusing,
)
from settings.pods.gpu_nodes import LABEL_PREFIXES

_NODES = (Group.NODES, Scope.STACK)
_DRA_SINCE = (1, 34)
_AUTOSCALERS = ("karpenter.sh", "eks.amazonaws.com", "karpenter.k8s.aws", "karpenter.azure.com")
"""API groups of autoscalers that add nodes for pending pods."""
_PLUGINS = ("device-plugin", "dra-driver", "gpu-feature-discovery")


@check(
    "nodes",
    Group.NODES,
    Scope.CLUSTER,
    "Are there nodes, and are they ready?",
    why="Without a ready node, pods stay Pending.",
    remedy="`kubectl describe node` shows the reason: a stopped kubelet, a full disk, a network plugin that does not run",
)
def nodes(seen: Observation) -> Outcomes:
    """Checks the Ready condition of every node."""
    there = seen.all("nodes")
    broken = [name_of(each) for each in there if not is_ready(each)]
    if not there and _scales(seen):
        yield warning("there is no node; the cluster adds one when pods are pending")
    elif not there or len(broken) == len(there):
        yield problem("no node is ready" if there else "there is no node")
    elif broken:
        yield warning(f"not ready: {listed(broken)}; {len(there) - len(broken)} of {len(there)} nodes are ready")
    else:
        yield ok(f"{len(there)} nodes are ready")


@check(
    "room",
    *_NODES,
    "Does every pod fit on a node with enough CPU, memory and ephemeral storage?",
    why="A pod whose requests fit on no node stays Pending, and `up` waits for it until it times out.",
    remedy="lower the workload's resources.requests, give it tolerations for the taints, or add a node",
)
def room(seen: Observation) -> Outcomes:
    """Places the pods that do not run yet on the free capacity, the largest first."""
    waiting = [(each, count) for each in seen.stack.workloads if (count := _missing(seen, each)) > 0]
    left = rooms([each for each in seen.all("nodes") if is_ready(each)], seen.all("pods"))
    failed = False
    for workload, count in sorted(waiting, key=lambda each: -asked(each[0].pod).get("memory", Decimal(0))):
        for number in range(count):
            if reasons := _place(workload, left):
                failed = True
                words = f"{workload}: no node has room for pod {number + 1} of {count}: {reasons}"
                yield _unless_scaled(seen, words)
                break
    if not failed:
        yield ok("every pod fits on a node" if waiting else "every pod is on a node")


@check(
    "cores",
    *_NODES,
    "Do the nodes have as many cores as the CPU limits?",
    why="A pod starts one thread per core of its CPU limit. On a node with fewer cores, threads share cores and wait for each "
    "other: models answer more slowly than with fewer threads.",
    remedy="lower resources.limits.cpu to the node's cores, or schedule the pods on larger nodes (nodeSelector)",
)
def cores(seen: Observation) -> Outcomes:
    """Compares each Deployment's and StatefulSet's limit with its pods' nodes; without pods, with all eligible nodes."""
    for workload in seen.stack.workloads:
        limit = asked(workload.pod, "limits").get("cpu")
        if workload.kind == "Job" or limit is None:
            continue
        on = {each["spec"].get("nodeName") for each in living(seen.own("pods")) if workload.owns(each)} - {None}
        nodes = [each for each in seen.all("nodes") if (name_of(each) in on if on else _may_go_to(workload, each))]
        has = {name_of(each): capacity(each).get("cpu", Decimal(0)) for each in nodes}
        short = {name: number for name, number in has.items() if number < limit}
        if short and (on or len(short) == len(has)):
            where = f"its node {listed(short)}" if on else "every eligible node"
            most = f"at most {max(short.values()).normalize():f} cores"
            yield warning(f"{workload}: its CPU limit is {limit.normalize():f}, but {where} has {most}")
        elif has:
            yield ok(f"{workload}: its CPU limit of {limit.normalize():f} is within the cores of its nodes")


def _may_go_to(workload: Workload, node: KubeObject) -> bool:
    return not taints_refusing(workload.pod, node) and not labels_missing(workload.pod, node)


def _missing(seen: Observation, workload: Workload) -> int:
    if workload.kind == "Job" and any(
        name_of(each) == workload.name and (each.get("status") or {}).get("succeeded")
        for each in seen.own("jobs.batch")
    ):
        return 0
    bound = [each for each in living(seen.own("pods")) if workload.owns(each) and each["spec"].get("nodeName")]
    return workload.replicas - len(bound)


def _place(workload: Workload, left: Sequence[Room]) -> str:
    """Reserves capacity on the first node that fits; otherwise returns the reason, as the scheduler would.

    The check `gpu` covers GPUs: here, a pod that requests GPUs, or a GPU node, is only compared with nodes that offer them.
    """
    wanted = of_one(workload.pod)
    pieces = [key for key in wanted if _is_extended(key)]
    about_gpus = pieces or any(key.startswith(LABEL_PREFIXES) for key in labels_asked(workload.pod))
    offering = [each for each in left if all(key in each.free for key in pieces) and _admits(each, workload)]
    if about_gpus and not offering:
        return ""
    reasons: dict[str, int] = {}
    for each in offering if about_gpus else left:
        refused = taints_refusing(workload.pod, each.node)
        lacking = labels_missing(workload.pod, each.node)
        short = [key for key in each.lacks(wanted) if key not in pieces]
        if not refused and not lacking and not short:
            each.take(wanted)
            return ""
        reason = (
            f"with untolerated taint {refused[0]}"
            if refused
            else f"without label {lacking}"
            if lacking
            else f"with insufficient {', '.join(short)}"
        )
        reasons[reason] = reasons.get(reason, 0) + 1
    return "; ".join(f"{count} {reason}" for reason, count in reasons.items()) or "there is no node"


def _is_extended(resource: str) -> bool:
    """Whether a device plugin advertises it. Source: Kubernetes, "Extended resources": their names have a domain."""
    return "/" in resource


def _admits(place: Room, workload: Workload) -> bool:
    return not taints_refusing(workload.pod, place.node) and not labels_missing(workload.pod, place.node)


def _scales(seen: Observation) -> bool:
    if any(group in seen.cluster.groups for group in _AUTOSCALERS):
        return True
    return any("cluster-autoscaler" in name_of(each) for each in seen.cluster.objects.get("pods", ()))


def _unless_scaled(seen: Observation, words: str) -> Outcome:
    """A problem; only a warning if the cluster autoscales, and may add a suitable node."""
    if _scales(seen):
        return warning(
            f"{words}. The cluster adds nodes on demand; airis does not know whether it can add a suitable one"
        )
    return problem(words)


@check(
    "gpu",
    *_NODES,
    "Is a GPU of the requested kind free, on a node that the pods may run on?",
    why="A pod gets a GPU only if a device plugin advertises it, the labels match, the taints are tolerated and no other pod "
    "uses it. Otherwise Ollama stays Pending.",
    remedy="docs/gpu.md lists the labels, taints and resource names of clouds and operators (airis:ollama.gpu)",
)
def gpu(seen: Observation) -> Outcomes:
    """Checks resource, labels, taints and free devices, and reports the first that fails."""
    for workload in seen.stack.workloads:
        for resource, count in asked(workload.pod).items():
            if _is_extended(resource):
                yield _extended(seen, workload, resource, int(count))


def _extended(seen: Observation, workload: Workload, resource: str, count: int) -> Outcome:
    there = [each for each in seen.all("nodes") if allocatable(each).get(resource)]
    bound = [each for each in living(seen.own("pods")) if workload.owns(each) and each["spec"].get("nodeName")]
    if len(bound) >= workload.replicas:
        return ok(f"{workload} has {resource} on {listed(sorted({str(each['spec']['nodeName']) for each in bound}))}")
    if not there:
        plugins = _plugins(seen)
        plugin = f"DaemonSet found: {listed(plugins)}" if plugins else "no device plugin's DaemonSet was found"
        others = sorted({key for each in seen.all("nodes") for key in allocatable(each) if "/" in key})
        offered = f"; nodes offer {listed(others)}" if others else ""
        outcome = _unless_scaled(seen, f"{workload}: no node offers {resource}; {plugin}{offered}")
        return Outcome(
            outcome.state, outcome.what, "install the vendor's device plugin or GPU operator, or set resourceName"
        )
    lacking = {name_of(each): labels_missing(workload.pod, each) for each in there}
    fitting = [each for each in there if not lacking[name_of(each)]]
    if not fitting:
        words = listed(f"{name} ({label})" for name, label in lacking.items())
        return _unless_scaled(seen, f"{workload}: no node with {resource} has the required label: {words}")
    refused = {name_of(each): taints_refusing(workload.pod, each) for each in fitting}
    open_to = [each for each in fitting if not refused[name_of(each)]]
    if not open_to:
        words = listed(f"{name} ({', '.join(taints)})" for name, taints in refused.items())
        return _unless_scaled(seen, f"{workload}: every node with {resource} has an untolerated taint: {words}")
    free = {name_of(each.node): int(each.free.get(resource, 0)) for each in rooms(open_to, seen.all("pods"))}
    places = sum(each // count for each in free.values())
    if places < workload.replicas - len(bound):
        words = ", ".join(f"{name}: {each}" for name, each in free.items())
        holders = listed(_holders(seen, resource, set(free))) or "no pod"
        needs = f"{workload} needs {count} x {resource} for each of {workload.replicas} pods"
        return _unless_scaled(seen, f"{needs}; free on {words}; in use by {holders}")
    return ok(f"{workload}: {resource} is free on {listed(name for name, each in free.items() if each >= count)}")


def _holders(seen: Observation, resource: str, names: set[str]) -> Iterator[str]:
    for pod in living(seen.all("pods")):
        if pod["spec"].get("nodeName") in names and asked(pod["spec"]).get(resource):
            yield f"{pod['metadata'].get('namespace')}/{name_of(pod)}"


def _plugins(seen: Observation) -> list[str]:
    known: Sequence[KubeObject] = seen.cluster.objects.get("daemonsets.apps", ())
    return [name_of(each) for each in known if any(word in name_of(each) for word in _PLUGINS)]


@check(
    "dra",
    *_NODES,
    "With airis:ollama.gpu.dra: are the API, the DeviceClass and a driver's devices available?",
    why="A claim for a missing DeviceClass, or one whose driver publishes no devices, is never allocated.",
    remedy="use Kubernetes 1.34 or newer, and install the vendor's DRA driver (docs/gpu.md)",
)
def dra(seen: Observation) -> Outcomes:
    """Checks the API resource.k8s.io/v1 (Kubernetes 1.34), DeviceClasses and ResourceSlices."""
    settings = seen.stack.settings.ollama.gpu
    if not seen.stack.settings.ollama.enabled or settings is None or settings.dra is None:
        return
    if "v1" not in seen.cluster.groups.get("resource.k8s.io", ()):
        version = seen.cluster.version
        older = minor(version) < _DRA_SINCE
        yield problem(
            f"the cluster ({version}) does not serve resource.k8s.io/v1"
            + (", which is new in Kubernetes 1.34" if older else "")
        )
        return
    for resource, existing in (
        ("resourceclaims.resource.k8s.io", settings.dra.existing_claim),
        ("resourceclaimtemplates.resource.k8s.io", settings.dra.existing_claim_template),
    ):
        if existing is not None:
            there = named(seen.own(resource), existing) is not None
            words = f"{resource.partition('.')[0]}/{existing}"
            yield ok(f"{words} exists") if there else problem(f"{words} does not exist in {seen.stack.namespace}")
    if settings.dra.existing_claim or settings.dra.existing_claim_template:
        return
    wanted = settings.device_class
    if named(seen.all("deviceclasses.resource.k8s.io"), wanted) is None:
        others = listed(map(name_of, seen.all("deviceclasses.resource.k8s.io")))
        yield problem(f"there is no DeviceClass {wanted}; there are: {others or 'none'}")
        return
    try:
        slices = seen.all("resourceslices.resource.k8s.io")
    except NotChecked:
        yield ok(f"DeviceClass {wanted} exists; listing its devices is not permitted")
        return
    if not any(each["spec"].get("devices") for each in slices):
        yield problem("no driver publishes a device: no ResourceSlice contains any")
    else:
        drivers = listed(sorted({str(each["spec"]["driver"]) for each in slices}))
        yield ok(f"DeviceClass {wanted} exists, and {drivers} publishes devices")
