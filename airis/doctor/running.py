"""Checks of what runs: pods, events, probes, volumes, models, and whether the parts reach each other."""

from collections.abc import Mapping
from typing import Any

from airis.cluster.finding import State
from airis.cluster.kubectl import KubeObject
from airis.cluster.ollama_log import REMEDY
from airis.cluster.readiness import Live, pod_finding, subject_of
from airis.deploy.watch import troubles
from airis.doctor.checks import Group, Outcomes, Scope, check, listed, not_checked, ok, problem, warning
from airis.doctor.observation import NotChecked, Observation, condition, name_of
from airis.doctor.requirements import amount
from airis.doctor.scheduling import ready

_RUNNING = (Group.RUNNING, Scope.DEPLOYED)
_FULL = 0.95
_FILLING = 0.85
_PROBE = "Unhealthy"
_CONFLICT = "the object has been modified"
"""What controllers warn of where two write at once: they try again."""
_SILENT = (
    "bring the node back; where its machine is gone for good, `kubectl delete node NAME` lets its pods be replaced, within a "
    "minute"
)
_RESTARTS = 3


@check(
    "pods",
    *_RUNNING,
    "Are all pods there, and ready?",
    why="A Service leads to ready pods alone: without one, visitors get 503.",
    remedy="`kubectl describe pod` and `kubectl logs --previous` show more",
)
def pods(seen: Observation) -> Outcomes:
    """What scheduler, kubelet and controllers say of each pod; and the number of pods."""
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
            words = "cannot end, nor be replaced" if ending else "is not ready"
            yield problem(f"Pod/{finding.name} {words}: its node {finding.node} does not answer", _SILENT)
            continue
        if finding.state is State.READY or ending:
            continue
        waiting += 1
        trouble = told.get(f"Pod/{finding.name}")
        if is_preparing(pod):
            words = f"`kubectl logs {finding.name} --container={PREPARE}` says how far it is; nothing ends it"
            yield problem(f"Pod/{finding.name} is not ready: its database is being prepared for its release", words)
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
                f"`kubectl describe {workload.kind.lower()} {workload.name}` says what refuses them",
            )
    for job in seen.own("jobs.batch"):
        if seen.stack.makes("Job", name_of(job)) and condition(job, "Failed").get("status") == "True":
            missing += 1
            yield problem(
                f"Job/{name_of(job)} has failed: {condition(job, 'Failed').get('message', '')}",
                f"`kubectl logs job/{name_of(job)}` shows its last words",
            )
    if not waiting and not missing:
        yield ok(f"{len(there)} pods are ready")


def _silent_nodes(seen: Observation) -> set[str]:
    """Nodes whose kubelet reports nothing, or nothing good. None, where nodes may not be listed."""
    try:
        return {name_of(each) for each in seen.all("nodes") if not ready(each)}
    except NotChecked:
        return set()


@check(
    "events",
    *_RUNNING,
    "Do events warn of something?",
    why="Volumes that cannot be mounted and pods that are refused are told by events alone.",
    remedy="`kubectl get events --field-selector=type=Warning` shows all of them",
)
def events(seen: Observation) -> Outcomes:
    """Warnings of the last hour about objects of the stack that are not as they should be, those of probes left out."""
    named: dict[str, KubeObject] = {}
    pods, own = seen.pods(), seen.cluster.own
    claims = [each for each in own.get("persistentvolumeclaims", ()) if each.get("status", {}).get("phase") == "Bound"]
    workloads = [*own.get("deployments.apps", ()), *own.get("statefulsets.apps", ())]
    ready = [each for each in Live([*pods, *workloads]).findings(workloads) if each.state is State.READY]
    ready += [each for each in map(pod_finding, pods) if each.state is State.READY]
    # What is over is of no account
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
        yield ok("no event warns of what is there now")


@check(
    "probes",
    *_RUNNING,
    "Do probes succeed, and do containers stay up?",
    why="A readiness probe that fails takes the pod out of its Service; a liveness probe that fails restarts it, with all "
    "that it was doing.",
    remedy="`kubectl logs` shows why it does not answer; slow starts: airis:webui.probes, airis:ollama.probes",
)
def probes(seen: Observation) -> Outcomes:
    """Events of the reason Unhealthy for pods that are not ready now; restarts."""
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
                yield warning(f"{words}; last time: {last}" if last else words)
    if not found:
        yield ok("no probe fails, and nothing restarts again and again")


@check(
    "claims",
    *_RUNNING,
    "Have the claims their volumes, and is there room on them?",
    why="On a full volume SQLite cannot write, so that nobody can chat, and models cannot be pulled.",
    remedy="raise storage.size, where the class allows expansion; or delete models and uploads",
)
def claims(seen: Observation) -> Outcomes:
    """The claims' phase, and the kubelet's statistics of mounted volumes."""
    mine = [
        each for each in seen.own("persistentvolumeclaims") if seen.stack.makes("PersistentVolumeClaim", name_of(each))
    ]
    unbound = [name_of(each) for each in mine if (each.get("status") or {}).get("phase") != "Bound"]
    if unbound:
        yield problem(f"without a volume: {listed(unbound)}", "`kubectl describe pvc` names the reason")
    for name, (used, size) in seen.cluster.fill.items():
        share = used / size if size else 0.0
        words = f"claim {name} is {share:.0%} full ({used / 2**30:.1f} of {size / 2**30:.1f} GiB)"
        yield problem(words) if share >= _FULL else warning(words) if share >= _FILLING else ok(words)
    if untold := [name_of(each) for each in mine if name_of(each) not in {*seen.cluster.fill, *unbound}]:
        reason = seen.cluster.unknown.get("kubelets", "no kubelet says")
        yield not_checked(f"how full these claims are: {listed(untold)}: {reason}")


@check(
    "memory",
    *_RUNNING,
    "How near are the pods to their memory limits?",
    why="A container that reaches its limit is killed, with all that it was doing; in Ollama's, the server of one model.",
    remedy="raise resources.limits.memory; or for Ollama, lower server.promptCache, contextLength, parallel or "
    "maxLoadedModels (docs/models.md)",
)
def memory(seen: Observation) -> Outcomes:
    """The kubelets' count for each container with a limit; for Ollama's, with the models that GET /api/ps names."""
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
            words = f"Pod/{name_of(pod)}: {container['name']} has {share:.0%} of its memory limit in use"
            words += f" ({used[container['name']] / 2**30:.1f} of {float(amount(limit)) / 2**30:.1f} GiB)"
            if models := loaded.get(name_of(pod)):
                words += f"; loaded: {listed(models)}"
            yield warning(words) if share >= _FILLING else ok(words)
    if not told and seen.pods():
        yield not_checked(f"how much memory the pods use: {seen.cluster.unknown.get('kubelets', 'no kubelet says')}")


def _loaded(seen: Observation) -> dict[str, list[str]]:
    """The models in memory with their sizes, by the pod of Ollama that has them."""
    return {
        host: [
            f"{each['name']} ({each['size'] / 10**9:.1f} GB, {each['context_length']} tokens of context)"
            for each in said.get("loaded") or []
        ]
        for url, said in seen.cluster.inside.get("ollama", {}).items()
        if (host := url.partition("://")[2].partition(".")[0])
    }


@check(
    "webui",
    *_RUNNING,
    "Does the WebUI answer?",
    why="A pod may be ready and still fail its users: a database that is away, a migration under way.",
    remedy="`kubectl logs deployment/NAME` of the WebUI shows why",
)
def webui(seen: Observation) -> Outcomes:
    """GET /health, asked from inside its pod."""
    said = _inside(seen).get("health")
    yield problem(f"the WebUI does not answer: {said}") if said else ok("the WebUI answers")


@check(
    "ollama",
    *_RUNNING,
    "Does the WebUI reach Ollama?",
    why="Otherwise the list of models is empty, and nobody can chat.",
    remedy="look at NetworkPolicies, the Service's endpoints (`kubectl get endpointslices`), and airis:clusterDomain",
)
def ollama(seen: Observation) -> Outcomes:
    """GET /api/tags of every Ollama that the WebUI knows, asked from inside its pod."""
    for url, said in _inside(seen).get("ollama", {}).items():
        error = said["error"]
        yield problem(f"the WebUI does not reach {url}: {error}") if error else ok(f"the WebUI reaches {url}")


@check(
    "gpu-in-use",
    *_RUNNING,
    "Does Ollama compute on the GPUs that its pods have?",
    why="An Ollama that finds no GPU it can use computes on the CPU: its pod is ready, and answers many times slower.",
    remedy=REMEDY,
)
def gpu_in_use(seen: Observation) -> Outcomes:
    """What Ollama logged when it started: `inference compute`."""
    if not seen.stack.settings.ollama.enabled or seen.stack.settings.ollama.gpu is None:
        return
    seen.known("computing")
    for name, found in seen.cluster.computing.items():
        if found is None:
            yield not_checked(f"Pod/{name}: Ollama's log does not tell on what it computes")
        elif found.on_cpu:
            yield problem(f"Pod/{name} {found.sentence}", found.remedy)
        else:
            yield ok(f"Pod/{name} computes on {listed(found.libraries)}")


@check(
    "model-servers",
    *_RUNNING,
    "Do the servers of the loaded models stay up?",
    why="Each loaded model has a `llama-server` of its own. When the pod's memory runs out, the kernel kills one: people read "
    "`model runner has unexpectedly stopped`, and the pod is not restarted.",
    remedy="raise airis:ollama.resources.limits.memory; or lower airis:ollama.server.promptCache, contextLength, parallel or "
    "maxLoadedModels (docs/models.md)",
)
def model_servers(seen: Observation) -> Outcomes:
    """Ollama's log, and the memory events of its container, since it has started."""
    if not seen.stack.settings.ollama.enabled:
        return
    seen.known("killed")
    limit = seen.stack.settings.ollama.resources.limits.memory
    for pod, found in seen.cluster.killed.items():
        for name, each in found.servers:
            what = f"Pod/{pod}: the server of {name or each.blob or 'a model'} "
            times = f"{each.count} {'time' if each.count == 1 else 'times'}"
            if each.killed or found.kills:
                yield problem(f"{what}was killed {times}: the pod's memory ran out{f' ({limit})' if limit else ''}")
            else:
                yield problem(f"{what}has ended {times} by itself", f"`kubectl logs {pod}` shows its last words")
        if found.kills and not found.servers:
            yield problem(f"Pod/{pod}: {found.kills} of its processes were killed, because the pod's memory ran out")
        if not found.kills and not found.servers:
            yield ok(f"Pod/{pod}: no server of a model has ended by itself")


@check(
    "models",
    *_RUNNING,
    "Are the models there that the stack names?",
    why="A model that is not there cannot be chosen; whoever asks for it by its name gets an error.",
    remedy="`kubectl logs job/...` of the Job that pulls them says why; `airis up` starts it again",
)
def models(seen: Observation) -> Outcomes:
    """airis:ollama.models and .create, against what each Ollama says it has."""
    settings = seen.stack.settings.ollama
    wanted = [_full(each) for each in (*settings.models, *(one.name for one in settings.create))]
    if not wanted or not settings.enabled:
        return
    for url, said in _inside(seen).get("ollama", {}).items():
        if said["error"] or f".{seen.stack.namespace}.svc." not in url:  # others' servers have models of their own
            continue
        there = {_full(each) for each in said.get("models") or []}
        missing = [each for each in wanted if each not in there]
        yield problem(f"{url} lacks {listed(missing)}") if missing else ok(f"{url} has all {len(wanted)} models")


def _full(model: str) -> str:
    """A model's name with its tag. Source: Ollama, types/model/name.go: the default is latest."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _inside(seen: Observation) -> Mapping[str, Any]:
    """The answer of webui_script.py."""
    seen.known("inside")
    if not seen.cluster.inside:
        raise NotChecked("No pod of the WebUI is ready to be asked.")
    return seen.cluster.inside
