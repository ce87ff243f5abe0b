"""Queries about one stack: existing objects, permissions, dry runs of its pods, and the condition of running pods."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airis.cluster import ollama_log
from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import group_of
from airis.doctor import webui_script
from airis.doctor.observation import Keys, Killed, Owned, Right
from airis.doctor.requirements import Requirements, Workload
from settings.ollama.llama_server import has_llama_server

SECONDS = 30.0
"""Timeout of one query."""

_VERBS = ("get", "create", "patch", "delete")
_WATCHED = ("deployments.apps", "statefulsets.apps", "jobs.batch", "pods", "events")
"""What Pulumi lists and watches to await readiness (pulumi/pulumi-kubernetes, provider/pkg/await)."""

_KEYS = (
    '{{define "one"}}{{.metadata.name}} {{with .type}}{{.}}{{else}}-{{end}}'
    '{{range $key, $value := .data}} {{$key}}{{end}}{{range $key, $value := .binaryData}} {{$key}}{{end}}{{"\\n"}}{{end}}'
    '{{if .items}}{{range .items}}{{template "one" .}}{{end}}{{else if .metadata.name}}{{template "one" .}}{{end}}'
)
"""Prints name, type and keys, but no values. A Secret's keys contain no spaces."""
_OWNERS = (
    '{{define "one"}}{{.kind}} {{.metadata.name}}{{range .metadata.managedFields}} {{.manager}}{{end}}{{"\\n"}}{{end}}'
    '{{if .items}}{{range .items}}{{template "one" .}}{{end}}{{else if .metadata.name}}{{template "one" .}}{{end}}'
)


def all_keys(cluster: Cluster, resource: str) -> list[Keys]:
    """Every Secret (or ConfigMap) of the namespace with its keys. kubectl does not print the values."""
    return _told(cluster.run("get", resource, f"--output=go-template={_KEYS}"))


def _keys(cluster: Cluster, resource: str, names: Iterable[str]) -> list[Keys]:
    asked = sorted(set(names))
    if not asked:
        return []
    return _told(cluster.run("get", resource, *asked, "--ignore-not-found", f"--output=go-template={_KEYS}"))


def _told(text: str) -> list[Keys]:
    return [Keys(name, kind, frozenset(keys)) for name, kind, *keys in map(str.split, text.splitlines())]


def _secrets(cluster: Cluster, wanted: Requirements) -> list[Keys]:
    referred = [each.name for each in wanted.references if each.kind == "Secret"]
    return _keys(cluster, "secrets", [*referred, *wanted.pull_secrets, *wanted.tls_secrets])


def _config_maps(cluster: Cluster, wanted: Requirements) -> list[Keys]:
    return _keys(cluster, "configmaps", [each.name for each in wanted.references if each.kind == "ConfigMap"])


def _owned(cluster: Cluster, wanted: Requirements) -> list[Owned]:
    """The field managers of existing objects with the names of the stack's. kubectl does not print their values."""
    bodies = [
        {key: each[key] for key in ("apiVersion", "kind")}
        | {"metadata": {key: each["metadata"][key] for key in ("name", "namespace") if key in each["metadata"]}}
        for each in wanted.objects
    ]
    text = cluster.run(
        "get",
        "--filename=-",
        "--ignore-not-found",
        "--show-managed-fields",
        f"--output=go-template={_OWNERS}",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}),
    )
    return [Owned(kind, name, frozenset(rest)) for kind, name, *rest in map(str.split, text.splitlines())]


def _rights(cluster: Cluster, wanted: Requirements) -> list[Right]:
    """Sends one SelfSubjectAccessReview for each verb and kind."""
    kinds = {resource_of(each): "namespace" in each["metadata"] for each in wanted.objects}
    asked = [(verb, kind, kinds[kind]) for kind in kinds for verb in _VERBS]
    asked += [(verb, kind, True) for kind in _WATCHED for verb in ("list", "watch")]
    reviews = []
    for verb, kind, namespaced in asked:
        resource, _, group = kind.partition(".")
        attributes = {"verb": verb, "resource": resource, "group": group}
        if namespaced:
            attributes["namespace"] = wanted.namespace
        reviews.append(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
        )
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    text = cluster.run("create", "--filename=-", '--output=jsonpath={.status.allowed}{"\\n"}', stdin=items)
    return [Right(verb, kind, answer == "true") for (verb, kind, _), answer in zip(asked, text.split(), strict=True)]


def _trials(cluster: Cluster, wanted: Requirements) -> dict[str, str]:
    """Dry-runs a pod of each workload on the server."""
    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(lambda each: (str(each), _trial(cluster, wanted, each)), wanted.workloads))


def _trial(cluster: Cluster, wanted: Requirements, workload: Workload) -> str:
    spec = dict(workload.pod)
    if wanted.makes("ServiceAccount", str(spec.get("serviceAccountName"))):
        spec.pop("serviceAccountName")  # it may not exist yet
    templates = [str(each["metadata"]["name"]) for each in workload.claims]
    claimed = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in templates]
    spec["volumes"] = [*(spec.get("volumes") or []), *claimed]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{workload.name}-doctor"[:253], "labels": dict(workload.labels)},
        "spec": spec | ({} if "restartPolicy" in spec else {"restartPolicy": "Always"}),
    }
    try:
        cluster.run("create", "--dry-run=server", "--filename=-", "--output=name", stdin=json.dumps(body))
    except KubectlError as error:
        words = error.message
        if f'namespaces "{wanted.namespace}" not found' in words:
            raise KubectlError(f"Namespace {wanted.namespace} does not exist yet.") from None
        if "cannot create resource" in words:
            raise
        return " ".join(words.partition("error when creating")[2].partition(": ")[2].split()) or words
    return ""


ABOUT_STACK: Mapping[str, Callable[[Cluster, Requirements], Any]] = {
    "secrets": _secrets,
    "configmaps": _config_maps,
    "owned": _owned,
    "rights": _rights,
    "trials": _trials,
}
"""Queries about a stack, deployed or not, by the name that records them as unknown if they fail."""


def summaries(cluster: Cluster, pods: Sequence[KubeObject]) -> list[KubeObject]:
    """The statistics of the kubelets of these pods' nodes, by pod. Source: Kubernetes, kubelet /stats/summary (PodStats)."""
    found: list[KubeObject] = []
    for node in sorted({str(each["spec"]["nodeName"]) for each in pods}):
        text = cluster.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary", timeout=SECONDS)
        found += json.loads(text).get("pods") or []
    return found


def fill(counted: Iterable[KubeObject], namespace: str) -> dict[str, tuple[int, int]]:
    """Used bytes and capacity, by claim."""
    volumes = [(volume.get("pvcRef") or {}, volume) for pod in counted for volume in pod.get("volume") or []]
    return {
        claim["name"]: (int(volume.get("usedBytes", 0)), int(volume["capacityBytes"]))
        for claim, volume in volumes
        if claim.get("namespace") == namespace and volume.get("capacityBytes")
    }


def memory(counted: Iterable[KubeObject], namespace: str) -> dict[str, dict[str, int]]:
    """Resident memory (RSS) of each container in bytes, by pod.

    Excludes the page cache, which the kernel can reclaim and the working set counts in part: Ollama reads models through it.
    """
    return {
        pod["podRef"]["name"]: {
            each["name"]: int(each["memory"]["rssBytes"])
            for each in pod.get("containers") or []
            if "rssBytes" in (each.get("memory") or {})
        }
        for pod in counted
        if (pod.get("podRef") or {}).get("namespace") == namespace
    }


def computing(
    cluster: Cluster, wanted: Requirements, pods: Sequence[KubeObject]
) -> dict[str, ollama_log.Compute | None]:
    """The devices that each Ollama pod with GPUs computes on, from its log; None if the log does not tell."""
    ollama = workload_of(wanted, "ollama")
    if ollama is None or wanted.settings.ollama.gpu is None:
        return {}
    container = ollama.pod["containers"][0]["name"]
    names = (str(each["metadata"]["name"]) for each in pods if ollama.owns(each) and _runs(each))
    return {name: ollama_log.asked(cluster, name, container) for name in names}


_KILLS = (
    "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null | grep '^oom_kill '; "
    'for blob in "$@"; do '
    'grep -rl "sha256:${blob#sha256-}" "${OLLAMA_MODELS:-$HOME/.ollama/models}/manifests" 2>/dev/null'
    ' | sed "s|.*/manifests/|$blob |"; done'
)
"""Prints how many of the container's processes were OOM-killed (cgroup v2, v1), and which models use these blobs.
Source: Linux, Documentation/admin-guide/cgroup-v2.rst, memory.events; Ollama, manifest/paths.go."""
_LINES = 20_000
"""How many lines to read from the end of a log."""


def killed(cluster: Cluster, wanted: Requirements, pods: Sequence[KubeObject]) -> dict[str, Killed]:
    """What each Ollama pod's log and the container's memory events report about models whose servers have ended."""
    ollama = workload_of(wanted, "ollama")
    if ollama is None or not has_llama_server(wanted.settings.ollama.image):
        return {}
    container = f"--container={ollama.pod['containers'][0]['name']}"
    found = {}
    for name in (str(each["metadata"]["name"]) for each in pods if ollama.owns(each) and _runs(each)):
        servers = ollama_log.ended(cluster.run("logs", name, container, f"--tail={_LINES}", timeout=SECONDS))
        kills, names = _inside_ollama(cluster, name, container, [each.blob for each in servers if each.blob])
        found[name] = Killed(kills, [(names.get(each.blob, ""), each) for each in servers])
    return found


def _inside_ollama(
    cluster: Cluster, pod: str, container: str, blobs: Sequence[str]
) -> tuple[int | None, Mapping[str, str]]:
    """How many of the container's processes were OOM-killed, and the models that use these blobs, if the pod reports them."""
    try:
        text = cluster.run("exec", pod, container, "--", "sh", "-c", _KILLS, "sh", *blobs, timeout=SECONDS)
    except KubectlError:  # no permission, or an image without a shell: the log tells enough
        return None, {}
    kills, names = None, {}
    for line in text.splitlines():
        key, _, rest = line.partition(" ")
        if key == "oom_kill":
            kills = int(rest)
        else:
            *place, model, tag = rest.split("/")
            names[key] = f"{'/'.join(each for each in (*place, model) if each not in _OLLAMAS_OWN)}:{tag}"
    return kills, names


_OLLAMAS_OWN = ("registry.ollama.ai", "library")
"""Parts that Ollama omits from the names of its library's models. Source: Ollama, types/model/name.go (DisplayShortest)."""


def workload_of(wanted: Requirements, application: str) -> Workload | None:
    """The Deployment or StatefulSet of an application."""
    return next(
        (
            each
            for each in wanted.workloads
            if each.kind != "Job" and each.labels.get("app.kubernetes.io/name") == application
        ),
        None,
    )


def _runs(pod: KubeObject) -> bool:
    return any("running" in (each.get("state") or {}) for each in pod.get("status", {}).get("containerStatuses") or [])


def data_claim(wanted: Requirements) -> str:
    """The claim mounted at the WebUI's DATA_DIR; empty if there is none."""
    webui = workload_of(wanted, "open-webui")
    if webui is None:
        return ""
    container = webui.pod["containers"][0]
    folder = next((each.get("value") for each in container["env"] if each["name"] == "DATA_DIR"), None)
    mounted = [each["name"] for each in container.get("volumeMounts") or [] if each["mountPath"] == folder]
    claims = {
        each["name"]: str(each["persistentVolumeClaim"]["claimName"])
        for each in webui.pod.get("volumes") or []
        if "persistentVolumeClaim" in each
    }
    return next((claims[name] for name in mounted if name in claims), "")


def answer_inside(cluster: Cluster, wanted: Requirements, pods: Sequence[KubeObject]) -> dict[str, Any]:
    """Runs webui_script.py in a pod of the WebUI."""
    webui = workload_of(wanted, "open-webui")
    running = [each for each in pods if webui is not None and webui.owns(each) and _runs(each)]
    if webui is None or not running:
        return {}
    container = webui.pod["containers"][0]
    source = Path(webui_script.__file__).read_text(encoding="utf-8")
    command = ["python3", "-I", "-B", "-c", source, _port(container)]
    text = cluster.run(
        "exec", running[0]["metadata"]["name"], f"--container={container['name']}", "--", *command, timeout=SECONDS
    )
    try:
        return dict(json.loads(text.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        raise KubectlError("kubectl exec: cannot parse the output from the WebUI's pod") from None


def _port(container: Mapping[str, Any]) -> str:
    return str(container["ports"][0]["containerPort"])


def resource_of(body: KubeObject) -> str:
    """The resource and group of an object: `deployments.apps`, `networkpolicies.networking.k8s.io`."""
    kind, group = str(body["kind"]).lower(), group_of(body)
    plural = (
        f"{kind[:-1]}ies"
        if kind.endswith("y") and kind[-2] not in "aeiou"
        else f"{kind}es"
        if kind.endswith("ss")
        else f"{kind}s"
    )
    return f"{plural}.{group}".rstrip(".")
