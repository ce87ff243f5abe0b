"""Checks of running workloads: pods, events, probes, volumes, memory, models, and connections between the parts."""

from collections.abc import Mapping
from typing import Any

from airis.cluster.finding import State
from airis.cluster.kubectl import KubeObject
from airis.cluster.ollama_log import REMEDY
from airis.cluster.readiness import Live, condition, is_ready, pod_finding, subject_of
from airis.deploy.watch import troubles
from airis.doctor.checks import Group, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import NotChecked, Observation, name_of
from airis.doctor.requirements import amount

_RUNNING = (Group.RUNNING, Scope.DEPLOYED)
_FULL = 0.95
_FILLING = 0.85
_PROBE = "Unhealthy"
_CONFLICT = "the object has been modified"
"""A controller's warning after a concurrent update, which it retries."""
_SILENT = (
    "restart the node; if its machine is permanently lost, `kubectl delete node NAME` lets its pods be replaced within a "
    "minute"
)
_RESTARTS = 3


@check(
    "pods",
    *_RUNNING,
    "Do all pods exist, and are they ready?",
    why="A Service only routes to ready pods: without one, users get HTTP 503.",
    remedy="see `kubectl describe pod` and `kubectl logs --previous`",
)
def pods(seen: Observation) -> Outcomes:
    """Reports the reasons that scheduler, kubelet and controllers give for each pod, and missing pods."""
    from components.start import PREPARE, is_preparing  # noqa: PLC0415  (heavy, and not needed without a stack)

    there = seen.pods()
    failed = [each for each in seen.cluster.own.get("events", ()) if each.get("reason") == "Failed"]  # pulls among them
    told = {each.what: each for each in troubles([*there, *failed])}
    waiting = 0
    silent = _silent_nodes(seen)
    for pod in there:
        finding = pod_finding(pod)
        ending = "deletionTimestamp" in pod["metadata"]
        if finding.state is not State.READY and finding.node in silent:
            waiting += 1
            words = "is stuck terminating" if ending else "is not ready"
            yield problem(f"Pod/{finding.name} {words}: node {finding.node} is unreachable", _SILENT)
            continue
        if finding.state is State.READY or ending:
            continue
        waiting += 1
        trouble = told.get(f"Pod/{finding.name}")
        if is_preparing(pod):
            words = (
                f"wait; `kubectl logs {finding.name} --container={PREPARE}` shows the progress, and there is no timeout"
            )
            yield problem(f"Pod/{finding.name} is not ready: it is migrating its database to its release", words)
            continue
        reason = trouble.reason if trouble else finding.reason or "it is starting, or a probe fails"
        yield problem(f"Pod/{finding.name} is not ready: {reason}", trouble.remedy if trouble else "")
    missing = 0
    for workload in seen.stack.workloads:
        count = sum(workload.owns(pod) for pod in there)
        if workload.kind in ("Deployment", "StatefulSet") and count < workload.replicas:
            missing += 1
            yield problem(
                f"{workload} has {count} of {workload.replicas} pods",
                f"`kubectl describe {workload.kind.lower()} {workload.name}` shows the reason",
            )
    for job in seen.own("jobs.batch"):
        if seen.stack.makes("Job", name_of(job)) and condition(job, "Failed").get("status") == "True":
            missing += 1
            yield problem(
                f"Job/{name_of(job)} has failed: {condition(job, 'Failed').get('message', '')}",
                f"see `kubectl logs job/{name_of(job)}`",
            )
    if not waiting and not missing:
        yield ok(f"{len(there)} pods are ready")


def _silent_nodes(seen: Observation) -> set[str]:
    """The nodes that are not ready; none if nodes may not be listed."""
    try:
        return {name_of(each) for each in seen.all("nodes") if not is_ready(each)}
    except NotChecked:
        return set()


@check(
    "events",
    *_RUNNING,
    "Are there warning events?",
    why="Only events report volumes that cannot be mounted and pods that are rejected.",
    remedy="`kubectl get events --field-selector=type=Warning` lists all of them",
)
def events(seen: Observation) -> Outcomes:
    """Reports the last hour's warnings about the stack's unhealthy objects, except those of probes."""
    named: dict[str, KubeObject] = {}
    pods, own = seen.pods(), seen.cluster.own
    claims = [each for each in own.get("persistentvolumeclaims", ()) if each.get("status", {}).get("phase") == "Bound"]
    workloads = [*own.get("deployments.apps", ()), *own.get("statefulsets.apps", ())]
    ready = [each for each in Live([*pods, *workloads]).findings(workloads) if each.state is State.READY]
    ready += [each for each in map(pod_finding, pods) if each.state is State.READY]
    # Warnings about objects that have recovered are outdated
    fine = {(each.kind, each.name) for each in ready} | {("PersistentVolumeClaim", name_of(each)) for each in claims}
    living = {name_of(each) for each in (*pods, *seen.stack.objects)}
    for event in seen.own("events"):
        kind, _, name = subject_of(event)
        if event.get("type") != "Warning" or event.get("reason") == _PROBE or _CONFLICT in event.get("message", ""):
            continue
        if name in living and (kind, name) not in fine:
            named[f"{kind}/{name}: {event['reason']}"] = event
    for what, event in named.items():
        yield warning(f"{what}: {' '.join(str(event.get('message', '')).split())}")
    if not named:
        yield ok("no current warning events")


@check(
    "probes",
    *_RUNNING,
    "Do probes succeed, and do containers keep running?",
    why="A failing readiness probe removes the pod from its Service; a failing liveness probe restarts the container, and "
    "interrupts its requests.",
    remedy="`kubectl logs` shows the cause; for slow starts, adjust airis:webui.probes or airis:ollama.probes",
)
def probes(seen: Observation) -> Outcomes:
    """Reports Unhealthy events of pods that are not ready, and repeated restarts."""
    unready = {name_of(each) for each in seen.pods() if pod_finding(each).state is not State.READY}
    found = False
    for event in seen.own("events"):
        _, _, name = subject_of(event)
        if event.get("reason") == _PROBE and name in unready:
            found = True
            yield problem(f"Pod/{name}: {' '.join(str(event.get('message', '')).split())}")
    for pod in seen.pods():
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            if container.get("restartCount", 0) >= _RESTARTS:
                found = True
                last = ((container.get("lastState") or {}).get("terminated") or {}).get("reason", "")
                words = f"Pod/{name_of(pod)}: {container['name']} was restarted {container['restartCount']} times"
                yield warning(f"{words}; last reason: {last}" if last else words)
    if not found:
        yield ok("no probe fails, and no container restarts repeatedly")


@check(
    "claims",
    *_RUNNING,
    "Are the claims bound, and do their volumes have free space?",
    why="On a full volume, SQLite cannot write, so chats fail, and models cannot be pulled.",
    remedy="raise storage.size if the class allows expansion, or delete models and uploads",
)
def claims(seen: Observation) -> Outcomes:
    """Checks the claims' phase, and the kubelet's statistics of mounted volumes."""
    mine = [
        each for each in seen.own("persistentvolumeclaims") if seen.stack.makes("PersistentVolumeClaim", name_of(each))
    ]
    unbound = [name_of(each) for each in mine if (each.get("status") or {}).get("phase") != "Bound"]
    if unbound:
        yield problem(f"not bound: {listed(unbound)}", "`kubectl describe pvc` shows the reason")
    for name, (used, size) in seen.cluster.fill.items():
        share = used / size if size else 0.0
        words = f"claim {name} is {share:.0%} full ({used / 2**30:.1f} of {size / 2**30:.1f} GiB)"
        yield problem(words) if share >= _FULL else warning(words) if share >= _FILLING else ok(words)
    if untold := [name_of(each) for each in mine if name_of(each) not in {*seen.cluster.fill, *unbound}]:
        reason = seen.cluster.unknown.get("kubelets", "no kubelet reports it")
        yield not_checked(f"usage of {listed(untold)}: {reason}")


@check(
    "memory",
    *_RUNNING,
    "How close are the pods to their memory limits?",
    why="A container that reaches its limit is OOM-killed and its requests fail; in Ollama, the server of one model is killed.",
    remedy="raise resources.limits.memory; or for Ollama, lower server.promptCache, contextLength, parallel or "
    "maxLoadedModels (docs/models.md)",
)
def memory(seen: Observation) -> Outcomes:
    """Reports the kubelets' figures for containers with a limit; for Ollama, also the loaded models (GET /api/ps)."""
    loaded = _loaded(seen)
    told = False
    for pod in seen.pods():
        used = seen.cluster.memory.get(name_of(pod), {})
        for container in pod["spec"]["containers"]:
            limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            if limit is None or container["name"] not in used:
                continue
            told = True
            share = used[container["name"]] / float(amount(limit))
            words = f"Pod/{name_of(pod)}: {container['name']} uses {share:.0%} of its memory limit"
            words += f" ({used[container['name']] / 2**30:.1f} of {float(amount(limit)) / 2**30:.1f} GiB)"
            if models := loaded.get(name_of(pod)):
                words += f"; loaded: {listed(models)}"
            yield warning(words) if share >= _FILLING else ok(words)
    if not told and seen.pods():
        yield not_checked(f"memory usage of the pods: {seen.cluster.unknown.get('kubelets', 'no kubelet reports it')}")


def _loaded(seen: Observation) -> dict[str, list[str]]:
    """The loaded models with their sizes, by Ollama pod."""
    return {
        host: [
            f"{each['name']} ({each['size'] / 10**9:.1f} GB, context length {each['context_length']})"
            for each in said.get("loaded") or []
        ]
        for url, said in seen.cluster.inside.get("ollama", {}).items()
        if (host := url.partition("://")[2].partition(".")[0])
    }


@check(
    "webui",
    *_RUNNING,
    "Does the WebUI answer?",
    why="A ready pod can still fail requests, if its database is unavailable or a migration runs.",
    remedy="`kubectl logs deployment/NAME` of the WebUI shows the reason",
)
def webui(seen: Observation) -> Outcomes:
    """Sends GET /health from inside its pod."""
    said = _inside(seen).get("health")
    yield problem(f"the WebUI does not answer: {said}") if said else ok("the WebUI answers")


@check(
    "ollama",
    *_RUNNING,
    "Does the WebUI reach Ollama?",
    why="Otherwise the list of models is empty, and users cannot chat.",
    remedy="check NetworkPolicies, the Service's endpoints (`kubectl get endpointslices`), and airis:clusterDomain",
)
def ollama(seen: Observation) -> Outcomes:
    """Sends GET /api/tags to every configured Ollama from inside the WebUI's pod."""
    for url, said in _inside(seen).get("ollama", {}).items():
        error = said["error"]
        yield problem(f"the WebUI does not reach {url}: {error}") if error else ok(f"the WebUI reaches {url}")


@check(
    "gpu-in-use",
    *_RUNNING,
    "Does Ollama use the GPUs of its pods?",
    why="If Ollama finds no usable GPU, it computes on the CPU: the pod is ready, but many times slower.",
    remedy=REMEDY,
)
def gpu_in_use(seen: Observation) -> Outcomes:
    """Reads the lines `inference compute` from Ollama's log."""
    if not seen.stack.settings.ollama.enabled or seen.stack.settings.ollama.gpu is None:
        return
    seen.known("computing")
    for name, found in seen.cluster.computing.items():
        if found is None:
            yield not_checked(f"Pod/{name}: Ollama's log does not show which devices it uses")
        elif found.on_cpu:
            yield problem(f"Pod/{name} {found.sentence}", found.remedy)
        else:
            yield ok(f"Pod/{name} computes on {listed(found.libraries)}")


@check(
    "model-servers",
    *_RUNNING,
    "Do the servers of the loaded models keep running?",
    why="Each loaded model has its own `llama-server`. When the pod runs out of memory, the kernel kills one: users see "
    "`model runner has unexpectedly stopped`, and the pod is not restarted.",
    remedy="raise airis:ollama.resources.limits.memory; or lower airis:ollama.server.promptCache, contextLength, parallel or "
    "maxLoadedModels (docs/models.md)",
)
def model_servers(seen: Observation) -> Outcomes:
    """Reads Ollama's log and the memory events of its container since it started."""
    if not seen.stack.settings.ollama.enabled:
        return
    seen.known("killed")
    limit = seen.stack.settings.ollama.resources.limits.memory
    for pod, found in seen.cluster.killed.items():
        for name, each in found.servers:
            what = f"Pod/{pod}: the server of {name or each.blob or 'a model'} "
            times = f"{each.count} {'time' if each.count == 1 else 'times'}"
            if each.killed or found.kills:
                yield problem(f"{what}was OOM-killed {times}{f' (memory limit {limit})' if limit else ''}")
            else:
                yield problem(f"{what}ended unexpectedly {times}", f"see `kubectl logs {pod}`")
        if found.kills and not found.servers:
            yield problem(f"Pod/{pod}: {found.kills} of its processes were OOM-killed")
        if not found.kills and not found.servers:
            yield ok(f"Pod/{pod}: no model server ended unexpectedly")


@check(
    "models",
    *_RUNNING,
    "Are the stack's models installed?",
    why="A missing model cannot be selected, and requests for it fail.",
    remedy="`kubectl logs job/...` of the Job that pulls them shows the reason; `airis up` restarts it",
)
def models(seen: Observation) -> Outcomes:
    """Compares airis:ollama.models and .create with the models that each Ollama reports."""
    settings = seen.stack.settings.ollama
    wanted = [_full(each) for each in (*settings.models, *(one.name for one in settings.create))]
    if not wanted or not settings.enabled:
        return
    for url, said in _inside(seen).get("ollama", {}).items():
        if said["error"] or f".{seen.stack.namespace}.svc." not in url:  # external servers are not the stack's
            continue
        there = {_full(each) for each in said.get("models") or []}
        missing = [each for each in wanted if each not in there]
        yield problem(f"{url} lacks {listed(missing)}") if missing else ok(f"{url} has all {len(wanted)} models")


def _full(model: str) -> str:
    """A model's name with its tag, by default `latest`. Source: Ollama, types/model/name.go."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _inside(seen: Observation) -> Mapping[str, Any]:
    """The output of webui_script.py."""
    seen.known("inside")
    if not seen.cluster.inside:
        raise NotChecked("No pod of the WebUI is running.")
    return seen.cluster.inside
