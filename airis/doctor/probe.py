"""`airis doctor --probe`: short-lived pods in the stack's namespace that try the connections of the stack's pods.

They have the labels that the stack's NetworkPolicies select. They are never ready, so that no Service routes to them, and have
no `pod-template-hash`, so that no ReplicaSet adopts them. They are always deleted at the end.
"""

import json
import secrets
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError, KubeObject
from airis.cluster.readiness import pod_finding
from airis.doctor import probe_script
from airis.doctor.observation import Observation
from airis.doctor.probe_results import Probed, Reached, Role
from airis.doctor.queries import workload_of
from airis.doctor.requirements import Requirements, Workload
from airis.doctor.targets import secret, targets
from airis.terminal.errors import AirisError
from airis.terminal.progress import step
from airis.terminal.signals import interruptible

LABEL = "airis.dev/doctor"
"""The label that only probe pods have."""

SECONDS = 180.0
"""How long pods may take, including an image pull."""

GUARDED = "airis:network"
"""The key of the target that shows whether NetworkPolicies are enforced."""

_POLL_SECONDS = 0.5
_GONE_SECONDS = 30.0
_CONTAINER = "probe"
_NEVER = "airis.dev/never-ready"
_REGISTRY = "registry.ollama.ai"
_HOST_PARTS = 3
"""A model name with three parts begins with a host. Source: Ollama, types/model/name.go."""
_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "10Mi"},
    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "100Mi"},
}
_OF_POD = (
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "tolerations",
    "automountServiceAccountToken",
    "enableServiceLinks",
)
"""Fields of the WebUI's pods that the probe pods copy: identity, scheduling and DNS."""
_VOLUMES = ("configMap", "secret", "projected", "downwardAPI", "emptyDir")
"""Volume types that several pods can mount."""


def probe(cluster: Cluster, seen: Observation) -> Probed:
    """Creates the probe pods, collects their results, and deletes them. Does not create or change the stack's objects."""
    wanted = seen.stack
    if seen.identity:
        return Probed(obstacle=f"this is not the cluster of the stack: {seen.identity}")
    webui = workload_of(wanted, "open-webui")
    if webui is None:
        return Probed(obstacle="the stack has no WebUI")
    with step("Trying the stack's connections"), interruptible():
        try:
            accounts, policies = (_names(cluster.get(kind)) for kind in ("serviceaccounts", "networkpolicies"))
            guarded = _guarded(wanted)
            pods = _pods(wanted, webui, guarded, account=_names(wanted.of_kind("ServiceAccount")) <= accounts)
            with _made(cluster, list(pods.values())):
                said, silent = _said(cluster, pods)
        except KubectlError as error:
            return Probed(obstacle=_reason(error, wanted))
    reached = [_reached(role, each) for role, found in said.items() for each in found]
    own = _names(wanted.of_kind("NetworkPolicy"))
    return Probed(reached, silent, guarded, policies=bool(own) and own <= policies, others=sorted(policies - own))


def _names(objects: Sequence[KubeObject]) -> set[str]:
    return {str(each["metadata"]["name"]) for each in objects}


def _reason(error: AirisError, wanted: Requirements) -> str:
    if f'namespaces "{wanted.namespace}" not found' in error.message:
        return (
            f"namespace {wanted.namespace} does not exist yet, and the probe does not create it. Run the probe after "
            "`airis up`, or create the namespace and the Secrets that the stack refers to"
        )
    return " ".join(error.message.split())


def _guarded(wanted: Requirements) -> str:
    """A Service of the stack whose NetworkPolicy admits the WebUI's pods and no unlabelled ones: `HOST:PORT`."""
    if not wanted.settings.network.policies:
        return ""
    policies = _names(wanted.of_kind("NetworkPolicy"))
    for application in ("ollama", "redis"):
        workload = workload_of(wanted, application)
        if workload is None or workload.name not in policies or not workload.replicas:
            continue
        for service in wanted.of_kind("Service"):
            spec = service["spec"]
            selector = spec.get("selector") or {}
            if selector and selector.items() <= workload.labels.items() and spec.get("clusterIP") != "None":
                host = f"{service['metadata']['name']}.{wanted.namespace}.svc.{wanted.settings.cluster_domain}"
                return f"{host}:{spec['ports'][0]['port']}"
    return ""


def _pods(wanted: Requirements, webui: Workload, guarded: str, *, account: bool) -> dict[Role, dict[str, Any]]:
    """The pods to create."""
    environment = webui.pod["containers"][0].get("env") or []
    shut = _connection(guarded)
    asked = [*targets(environment), *shut]
    pods = {Role.WEBUI: _pod(webui, Role.WEBUI, webui.labels, environment, asked, account=account)}
    if shut:
        pods[Role.STRANGER] = _pod(webui, Role.STRANGER, {}, (), shut, account=account)
    ollama = workload_of(wanted, "ollama")
    if ollama is not None and (registries := _registries(wanted)):
        own = ollama.pod["containers"][0].get("env") or []
        pods[Role.OLLAMA] = _pod(webui, Role.OLLAMA, ollama.labels, own, registries, account=account)
    return pods


def _connection(address: str) -> list[dict[str, Any]]:
    """The target that shows whether NetworkPolicies are enforced; none without an address."""
    if not address:
        return []
    host, _, port = address.rpartition(":")
    return [_target(GUARDED, "a pod that NetworkPolicies protect", "connection", host=host, port=port)]


def _registries(wanted: Requirements) -> list[dict[str, Any]]:
    """The registries that models are pulled from."""
    parts = [each.split("/") for each in wanted.settings.ollama.pulled_models]
    hosts = [each[0] if len(each) >= _HOST_PARTS else _REGISTRY for each in parts]
    return [
        _target("airis:ollama.models", "the model registry", "http", url=f"https://{host}/v2/")
        for host in dict.fromkeys(hosts)
    ]


def _target(key: str, what: str, kind: str, **values: str) -> dict[str, Any]:
    return {"key": key, "what": what, "kind": kind, "variables": {}, "values": values}


def _pod(
    webui: Workload,
    role: Role,
    labels: Mapping[str, str],
    environment: Sequence[KubeObject],
    asked: Sequence[Mapping[str, Any]],
    *,
    account: bool,
) -> dict[str, Any]:
    """A pod with the WebUI's image and permissions that tries the targets, and is never ready."""
    container = webui.pod["containers"][0]
    request = json.dumps({"targets": asked, "hidden": secret(environment)})
    source = Path(probe_script.__file__).read_text(encoding="utf-8")
    volumes = [_optional(each) for each in webui.pod.get("volumes") or [] if any(kind in each for kind in _VOLUMES)]
    kept = {str(each["name"]) for each in volumes}
    body: dict[str, Any] = {
        "name": _CONTAINER,
        "image": container["image"],
        # Kubernetes expands variables in arguments, too
        "command": ["python3", "-I", "-B", "-c", _literal(source), _literal(request)],
        "env": [_variable(each) for each in environment],
        "resources": _RESOURCES,
        "volumeMounts": [each for each in container.get("volumeMounts") or [] if each["name"] in kept],
    }
    body |= {key: container[key] for key in ("imagePullPolicy", "securityContext") if key in container}
    spec = {key: webui.pod[key] for key in _OF_POD if key in webui.pod}
    if affinity := (webui.pod.get("affinity") or {}).get("nodeAffinity"):
        spec["affinity"] = {"nodeAffinity": affinity}
    if account and "serviceAccountName" in webui.pod:
        spec["serviceAccountName"] = webui.pod["serviceAccountName"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{webui.name}-probe-{role}-{_suffix()}"[-63:].lstrip("-"),
            "labels": {**labels, LABEL: "probe"},
        },
        "spec": {
            **spec,
            "containers": [body],
            "volumes": volumes,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(SECONDS + _GONE_SECONDS),
            "terminationGracePeriodSeconds": 0,
            # This condition is never set, so no Service routes here
            "readinessGates": [{"conditionType": _NEVER}],
        },
    }


def _suffix() -> str:
    """Only letters: a StatefulSet adopts pods whose names end with a number."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))


def _literal(text: str) -> str:
    """Escapes a text so that Kubernetes expands no variables. Source: Kubernetes, Container v1, `command`."""
    return text.replace("$(", "$$(")


def _variable(variable: KubeObject) -> dict[str, Any]:
    """A variable whose Secret may be missing: the pod reports that, and tries the other targets."""
    source = variable.get("valueFrom") or {}
    refs = {key: {**ref, "optional": True} for key, ref in source.items() if key in ("secretKeyRef", "configMapKeyRef")}
    return {**variable, **({"valueFrom": {**source, **refs}} if refs else {})}


def _optional(volume: KubeObject) -> dict[str, Any]:
    """A volume whose Secret or ConfigMap may be missing."""
    made = {
        key: {**source, "optional": True} if key in ("secret", "configMap") else source
        for key, source in volume.items()
    }
    if "projected" in made:
        sources = [
            {key: {**one, "optional": True} if key in ("secret", "configMap") else one for key, one in each.items()}
            for each in made["projected"].get("sources") or []
        ]
        made["projected"] = {**made["projected"], "sources": sources}
    return made


@contextmanager
def _made(cluster: Cluster, pods: Sequence[KubeObject]) -> Iterator[None]:
    """Creates the pods for the block, then deletes them, and those that an earlier, killed probe left behind."""
    names = [str(each["metadata"]["name"]) for each in pods]
    try:
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods)})
        cluster.run("create", "--filename=-", "--output=name", stdin=items)
        yield
    finally:
        left: list[str] = []
        with suppress(KubectlError):
            found = cluster.get("pods", f"--selector={LABEL}=probe")
            left = [str(each["metadata"]["name"]) for each in found if _is_left(each)]
        cluster.run(
            "delete",
            "pods",
            *dict.fromkeys([*names, *left]),
            "--ignore-not-found",
            f"--timeout={_GONE_SECONDS:g}s",
            timeout=_GONE_SECONDS + 5,
        )


def _is_left(pod: KubeObject) -> bool:
    """Whether an earlier probe left this pod behind: pods of a probe that runs now are younger."""
    made = datetime.fromisoformat(str(pod["metadata"]["creationTimestamp"]))
    return datetime.now(UTC) - made > timedelta(seconds=SECONDS + 2 * _GONE_SECONDS)


def _said(
    cluster: Cluster, pods: Mapping[Role, KubeObject]
) -> tuple[dict[Role, list[dict[str, Any]]], dict[Role, str]]:
    """What the pods reported, and why others reported nothing."""
    names = {str(each["metadata"]["name"]): role for role, each in pods.items()}
    deadline = time.monotonic() + SECONDS
    live: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        live = [each for each in cluster.get("pods", *names) if each["metadata"]["name"] in names]
        if all(_ended(each) for each in live):
            break
        time.sleep(_POLL_SECONDS)
    said, silent = {}, {}
    for role in pods:
        pod = next((each for each in live if names[each["metadata"]["name"]] is role), None)
        if pod is None:
            silent[role] = "the pod was deleted by another user or controller"
        elif not _ended(pod) or pod["status"].get("reason"):
            silent[role] = (
                pod["status"].get("message") or pod_finding(pod).reason or f"it did not finish within {SECONDS:g} s"
            )
        else:
            text = cluster.run("logs", pod["metadata"]["name"], f"--container={_CONTAINER}")
            try:
                said[role] = list(json.loads(text.strip().rpartition("\n")[2]))
            except ValueError:
                silent[role] = f"its output ends with: {text.strip().rpartition(chr(10))[2][:200] or 'nothing'}"
    return said, silent


def _ended(pod: KubeObject) -> bool:
    """Whether the probe's container has terminated: a service mesh's sidecar may still run."""
    status = pod.get("status", {})
    return status.get("phase") in ("Succeeded", "Failed") or any(
        each["name"] == _CONTAINER and "terminated" in (each.get("state") or {})
        for each in status.get("containerStatuses") or []
    )


def _reached(role: Role, said: Mapping[str, Any]) -> Reached:
    return Reached(role, **{key: said[key] for key in Reached.__dataclass_fields__ if key != "role"})
