"""The checks of namespace, Ingress and Gateway, add-ons and running workloads, with plain objects."""

from dataclasses import replace
from typing import Any

import pytest

from airis.cluster.ollama_log import Compute, Ended
from airis.doctor.checks import CHECKS, State
from airis.doctor.observation import Keys, Killed, Owned
from tests.unit.doctors import Found, body, mine, node, observed, outcomes, pod, wanted

pytestmark = pytest.mark.timeout(60)

OK, WARNING, PROBLEM, UNKNOWN = State.OK, State.WARNING, State.PROBLEM, State.NOT_CHECKED
INGRESS = {"ingress": {"host": "chat.example.com", "className": "web"}}
CLASSES = "ingressclasses.networking.k8s.io"


def test_the_manager_of_the_namespace() -> None:
    theirs = [Owned("Namespace", "airis", frozenset({"kubectl"}))]
    going = {"namespaces": [body("Namespace", "airis", status={"phase": "Terminating"})]}

    assert outcomes("namespace", observed(wanted())) == [(OK, "namespace airis does not exist yet: `up` creates it")]
    assert outcomes("namespace", observed(wanted(), owned=mine("Namespace/airis"))) == [
        (OK, "namespace airis is managed by the stack")
    ]
    assert outcomes("namespace", observed(wanted(), owned=theirs)) == [
        (PROBLEM, "namespace airis already exists, created by kubectl")
    ]
    assert outcomes("namespace", observed(wanted(), owned=theirs, objects=going)) == [
        (PROBLEM, "namespace airis is being deleted")
    ]


def test_existing_objects_with_the_same_names() -> None:
    helm = [Owned("Service", "ollama", frozenset({"helm"})), *mine("Secret/airis-secrets")]

    assert outcomes("same-names", observed(wanted(), owned=helm)) == [
        (PROBLEM, "Service/ollama already exists, created by helm")
    ]
    assert outcomes("same-names", observed(wanted(), owned=mine("Service/ollama"))) == [
        (OK, "the stack manages all 1 existing objects")
    ]
    assert outcomes("same-names", observed(wanted())) == [(OK, "all names are unused")]


def test_existing_objects_are_a_warning_with_upserts() -> None:
    stack = replace(wanted(), upserts=True)
    theirs = [Owned(kind, "airis", frozenset({"kubectl"})) for kind in ("Namespace", "ServiceAccount")]

    for check in ("namespace", "same-names"):
        ((state, what),) = outcomes(check, observed(stack, owned=theirs))
        assert state is WARNING
        assert "`up` adopts it" in what


def enforcing(level: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": level}
    return {"namespaces": [body("Namespace", "airis", metadata={"labels": labels})]}


def test_the_pod_security_level_of_the_namespace() -> None:
    theirs = [Owned("Namespace", "airis", frozenset({"kubectl"}))]
    words = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    refused = {"Deployment/airis-deployment": words, "StatefulSet/ollama": ""}
    baseline = wanted(podSecurity="baseline")

    assert outcomes("pod-security", observed(wanted(), owned=theirs, objects=enforcing("baseline")))[0][0] is OK
    found = outcomes("pod-security", observed(baseline, owned=theirs, objects=enforcing("restricted"), trials=refused))
    assert [state for state, _ in found] == [PROBLEM, PROBLEM]
    assert found[1][1] == "Deployment/airis-deployment: its pods violate restricted: runAsNonRoot != true"
    own = observed(baseline, owned=mine("Namespace/airis"), objects=enforcing("restricted"), trials=refused)
    assert outcomes("pod-security", own) == [(OK, "the namespace enforces restricted; `up` changes it to baseline")]
    assert outcomes("admission", own) == [(OK, "the API server admits a pod of each workload")]


def test_pods_rejected_by_admission() -> None:
    trials = {"StatefulSet/ollama": 'no PriorityClass with name "x" was found', "Job/j": "exceeded quota: small"}

    assert outcomes("admission", observed(wanted(), trials=trials)) == [
        (PROBLEM, 'StatefulSet/ollama: no PriorityClass with name "x" was found')
    ]
    assert (
        outcomes("admission", observed(wanted(), unknown={"trials": "Namespace airis does not exist yet."}))[0][0]
        is UNKNOWN
    )


def test_a_quota_counts_existing_usage_once() -> None:
    def quota(used: str) -> dict[str, Any]:
        hard, status = {"requests.memory": "4Gi", "pods": "10"}, {"used": {"requests.memory": used}}
        return {"resourcequotas": [body("ResourceQuota", "q", {"hard": hard}, status=status)]}

    def running(name: str) -> Any:
        return pod(
            f"{name}-0", on="a", labels={"app": name}, containers=[{"resources": {"requests": {"memory": "1244Mi"}}}]
        )

    has = {"pods": [running("ollama"), running("airis")]}
    assert outcomes("quota", observed(wanted(), own=quota("0"))) == [(OK, "ResourceQuota q leaves room")]
    assert outcomes("quota", observed(wanted(), own=quota("2488Mi")))[0][0] is PROBLEM
    assert outcomes("quota", observed(wanted(), own=quota("2488Mi"), objects=has))[0][0] is OK
    assert outcomes("quota", observed(wanted())) == []


def test_the_ingress_class() -> None:
    web = body("IngressClass", "web", {"controller": "traefik.io/ingress-controller"})
    default = body(
        "IngressClass",
        "d",
        {"controller": "x"},
        metadata={"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
    )
    nginx = wanted(ingress={**INGRESS["ingress"], "controller": "nginx"})

    assert outcomes("ingress-class", observed(wanted(**INGRESS)))[0] == (
        PROBLEM,
        "there is no IngressClass web; there are: none",
    )
    assert outcomes("ingress-class", observed(wanted(**INGRESS), objects={CLASSES: [web]}))[0][0] is OK
    assert [state for state, _ in outcomes("ingress-class", observed(nginx, objects={CLASSES: [web]}))] == [OK, WARNING]
    plain = wanted(ingress={"host": "chat.example.com"})
    assert outcomes("ingress-class", observed(plain, objects={CLASSES: [web]}))[0][0] is PROBLEM
    assert outcomes("ingress-class", observed(plain, objects={CLASSES: [web, default]})) == [(OK, "IngressClass d (x)")]
    assert outcomes("ingress-class", observed(wanted())) == []


def test_the_controller_behind_the_class() -> None:
    web = {CLASSES: [body("IngressClass", "web", {"controller": "traefik.io/ingress-controller"})]}

    def says_with(place: str, **more: Any) -> list[tuple[State, str]]:
        pods = [pod("traefik-1", place, labels={"app.kubernetes.io/name": "traefik"}, **more)]
        return outcomes("ingress-controller", observed(wanted(**INGRESS), objects={**web, "pods": pods}))

    assert outcomes("ingress-controller", observed(wanted(**INGRESS), objects=web))[0][0] is PROBLEM
    assert [state for state, _ in says_with("traefik")] == [OK]
    unready = {"conditions": [{"type": "Ready", "status": "False"}]}
    assert says_with("traefik", status=unready)[0][1].endswith("is ready: traefik-1")
    # as on k3s
    assert [state for state, _ in says_with("kube-system")] == [OK, PROBLEM]
    unknown = {CLASSES: [body("IngressClass", "web", {"controller": "example.com/own"})]}
    assert outcomes("ingress-controller", observed(wanted(**INGRESS), objects=unknown))[0][0] is UNKNOWN


GATEWAYS = "gateways.gateway.networking.k8s.io"


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ([], "Gateway infra/shared does not exist"),
        ([("web", "Same", "True")], "does not allow routes from namespace airis"),
        ([("other", "All", "True")], "has no listener web"),
        ([("web", "All", "False")], "is not programmed: nobody does it"),
        ([("web", "All", "True")], ""),
    ],
)
def test_the_gateway(there: list[tuple[str, str, str]], words: str) -> None:
    parent = {"name": "shared", "namespace": "infra", "sectionName": "web"}
    stack = wanted(gateway={"hosts": ["chat.example.com"], "parentRefs": [parent]})
    gateways = [
        body(
            "Gateway",
            "shared",
            {"listeners": [{"name": name, "port": 443, "allowedRoutes": {"namespaces": {"from": source}}}]},
            place="infra",
            status={"conditions": [{"type": "Programmed", "status": programmed, "message": "nobody does it"}]},
        )
        for name, source, programmed in there
    ]
    groups = {"gateway.networking.k8s.io": ["v1"]}

    ((state, what),) = outcomes("gateway", observed(stack, groups=groups, objects={GATEWAYS: gateways}))

    assert state is (PROBLEM if words else OK)
    assert words in what
    assert "not installed" in outcomes("gateway", observed(stack))[0][1]
    assert outcomes("gateway", observed(wanted())) == []


def test_certificates() -> None:
    issued = wanted(ingress={"host": "chat.example.com", "tls": {"clusterIssuer": "le"}})
    given = wanted(ingress={"host": "chat.example.com", "tls": {"secretName": "cert"}})
    groups = {"cert-manager.io": ["v1"]}

    def issuer(*conditions: dict[str, str]) -> tuple[State, str]:
        there = {
            "clusterissuers.cert-manager.io": [body("ClusterIssuer", "le", status={"conditions": list(conditions)})]
        }
        (found,) = outcomes("issuer", observed(issued, groups=groups, objects=there))
        return found

    assert outcomes("issuer", observed(issued))[0][0] is PROBLEM
    assert issuer({"type": "Ready", "status": "True"})[0] is OK
    assert issuer({"type": "Ready", "status": "False", "message": "no account"})[1].endswith("is not ready: no account")
    assert outcomes("tls-secret", observed(issued)) == []
    assert outcomes("tls-secret", observed(given))[0][0] is PROBLEM
    cert = Keys("cert", "kubernetes.io/tls", frozenset({"tls.crt", "tls.key"}))
    assert outcomes("tls-secret", observed(given, secrets=[cert])) == [(OK, "Secret cert exists")]


def test_the_addresses_of_the_host() -> None:
    stack = wanted(**INGRESS)
    balancer = {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}
    own = {"ingresses.networking.k8s.io": [body("Ingress", "airis-ingress", place="airis", **balancer)]}

    def states(host: tuple[str, ...], **more: Any) -> list[State]:
        resolved = {"chat.example.com": host, "lb.example.com": ("192.0.2.9",)}
        return [state for state, _ in outcomes("dns", observed(stack, resolved=resolved, **more))]

    assert states(()) == [WARNING]
    assert states(("192.0.2.1",)) == [OK]
    assert states(("192.0.2.1",), own=own) == [WARNING]
    assert states(("192.0.2.9",), own=own) == [OK]
    assert outcomes("dns", observed(wanted())) == []


def test_metrics_for_the_autoscaler() -> None:
    api = "apiservices.apiregistration.k8s.io"

    def states(available: str) -> list[State]:
        conditions = [{"type": "Available", "status": available}]
        there = {api: [body("APIService", "v1beta1.metrics.k8s.io", status={"conditions": conditions})]}
        return [state for state, _ in outcomes("metrics", observed(objects=there))]

    assert (states("True"), states("False")) == ([OK], [WARNING])
    assert outcomes("metrics", observed()) == [(WARNING, "there is no metrics server")]
    assert outcomes("metrics", observed(wanted())) == []  # not needed without an autoscaler


def test_whether_policies_are_enforced() -> None:
    def state(*names: str, **more: Any) -> State:
        plugins = {"daemonsets.apps": [body("DaemonSet", each) for each in names]}
        return outcomes("network-policies", observed(objects={**plugins, **more}))[0][0]

    k3s = {**node("a"), "status": {"nodeInfo": {"kubeletVersion": "v1.33.1+k3s1"}}}
    assert state("calico-node") is OK
    assert state(nodes=[k3s]) is OK
    assert state("kube-flannel-ds") is WARNING
    assert state() is WARNING
    assert outcomes("network-policies", observed(wanted(network={"policies": False}))) == []


def test_events_of_recovered_pods_are_ignored() -> None:
    def event(name: str, reason: str, text: str) -> dict[str, Any]:
        return {
            **body("Event", reason),
            "type": "Warning",
            "reason": reason,
            "message": text,
            "involvedObject": {"kind": "Pod", "name": name},
        }

    well = pod("ollama-0", labels={"app": "ollama"})
    ill = pod("airis-1", labels={"app": "airis"}, status={"conditions": [{"type": "Ready", "status": "False"}]})
    events = [
        event("ollama-0", "FailedMount", "timed out"),
        event("airis-1", "FailedMount", "timed out"),
        event("airis-1", "Unhealthy", "Readiness probe failed: 503"),
        event("gone", "FailedMount", "timed out"),
    ]
    seen = observed(wanted(), objects={"pods": [well, ill]}, own={"events": events})

    assert outcomes("events", seen) == [(WARNING, "Pod/airis-1: FailedMount: timed out")]
    assert outcomes("probes", seen) == [(PROBLEM, "Pod/airis-1: Readiness probe failed: 503")]
    assert outcomes("pods", seen) == [(PROBLEM, "Pod/airis-1 is not ready: it is starting, or a probe fails")]
    assert outcomes("pods", observed(wanted()))[0] == (PROBLEM, "StatefulSet/ollama has 0 of 1 pods")


def test_the_cause_of_a_failed_pull_is_read_from_an_event() -> None:
    """As before Kubernetes 1.32, when the status of a pod in back-off had no cause."""
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x/y:1"'}
    status = {
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": "ollama", "state": {"waiting": waiting}}],
    }
    containers = [{"name": "ollama", "image": "x/y:1"}]
    ill = pod("ollama-0", on="a", labels={"app": "ollama"}, status=status, containers=containers)
    event = {
        **body("Event", "e"),
        "type": "Warning",
        "reason": "Failed",
        "message": 'Failed to pull image "x/y:1": docker.io/x/y:1: not found',
        "involvedObject": {"kind": "Pod", "name": "ollama-0"},
    }

    found = CHECKS["pods"].findings(observed(wanted(), objects={"pods": [ill]}, own={"events": [event]}))

    assert [each.remedy for each in found if "ollama-0" in each.what] == ["x/y:1 does not exist: correct its name"]


def test_a_pod_that_migrates_its_database_is_reported() -> None:
    status = {
        "phase": "Pending",
        "conditions": [],
        "initContainerStatuses": [{"name": "prepare", "state": {"running": {}}}],
    }
    pods = [pod("airis-1", labels={"app": "airis"}, status=status)]

    found = CHECKS["pods"].findings(observed(wanted(), objects={"pods": pods}))

    assert [(each.what, each.remedy) for each in found if "airis-1" in each.what] == [
        (
            "Pod/airis-1 is not ready: it is migrating its database to its release",
            "wait; `kubectl logs airis-1 --container=prepare` shows the progress, and there is no timeout",
        )
    ]


def test_restarts() -> None:
    status = {
        "containerStatuses": [
            {"name": "ollama", "restartCount": 7, "lastState": {"terminated": {"reason": "OOMKilled"}}}
        ]
    }
    first = {
        "initContainerStatuses": [
            {"name": "prepare", "restartCount": 9, "lastState": {"terminated": {"reason": "Error"}}}
        ]
    }
    pods = [
        pod("ollama-0", labels={"app": "ollama"}, status=status),
        pod("airis-1", labels={"app": "airis"}, status=first),
    ]

    assert outcomes("probes", observed(wanted(), objects={"pods": pods})) == [
        (WARNING, "Pod/ollama-0: ollama was restarted 7 times; last reason: OOMKilled"),
        (WARNING, "Pod/airis-1: prepare was restarted 9 times; last reason: Error"),
    ]


def test_the_usage_of_claims() -> None:
    fill = {"a": (50, 100), "b": (90, 100), "c": (99, 100)}

    def claim(phase: str) -> dict[str, list[Any]]:
        return {"persistentvolumeclaims": [body("PersistentVolumeClaim", "airis-pvc", status={"phase": phase})]}

    assert [state for state, _ in outcomes("claims", observed(wanted(), fill=fill))] == [OK, WARNING, PROBLEM]
    assert outcomes("claims", observed(wanted(), own=claim("Pending"))) == [(PROBLEM, "not bound: airis-pvc")]
    assert outcomes("claims", observed(wanted(), own=claim("Bound"), unknown={"kubelets": "No permission."})) == [
        (UNKNOWN, "usage of airis-pvc: No permission.")
    ]


def test_the_results_from_inside_the_webuis_pod() -> None:
    stack = wanted(ollama={"models": ["llama3.2:1b", "nomic-embed-text"]})
    own, other = "http://ollama-service.airis.svc.cluster.local:11434", "http://elsewhere.example.com"

    def inside(health: str = "", error: str = "", *models: str) -> Any:
        servers = {own: {"models": list(models), "error": error}, other: {"models": [], "error": ""}}
        return observed(stack, inside={"health": health, "ollama": servers, "data": None})

    well = inside("", "", "llama3.2:1b", "nomic-embed-text:latest")
    assert outcomes("webui", well) == [(OK, "the WebUI answers")]
    assert [state for state, _ in outcomes("ollama", well)] == [OK, OK]
    assert outcomes("models", well) == [(OK, f"{own} has all 2 models")]
    assert outcomes("models", inside("", "", "llama3.2:1b")) == [(PROBLEM, f"{own} lacks nomic-embed-text:latest")]
    assert outcomes("webui", inside("HTTPError: 500"))[0][0] is PROBLEM
    away = inside("", "URLError: refused")
    assert outcomes("ollama", away)[0] == (PROBLEM, f"the WebUI does not reach {own}: URLError: refused")
    assert outcomes("models", away) == []
    assert outcomes("webui", observed(stack))[0][0] is UNKNOWN


def test_whether_ollama_uses_the_gpu() -> None:
    gpu = wanted(ollama={"gpu": {"count": 1}})
    old = "NVIDIA driver too old"
    seen = observed(
        gpu,
        computing={
            "ollama-0": Compute(("CUDA", "CUDA")),
            "ollama-1": Compute(("cpu",)),
            "ollama-2": Compute(("cpu",), (old,)),
            "ollama-3": None,
        },
    )

    found = CHECKS["gpu-in-use"].findings(seen)

    assert [(each.state, each.what) for each in found] == [
        (OK, "Pod/ollama-0 computes on CUDA"),
        (PROBLEM, "Pod/ollama-1 has a GPU, but Ollama computes on the CPU"),
        (PROBLEM, f"Pod/ollama-2 has a GPU, but Ollama computes on the CPU: {old}"),
        (UNKNOWN, "Pod/ollama-3: Ollama's log does not show which devices it uses"),
    ]
    assert "nvidia-smi" in found[1].remedy
    assert "newer NVIDIA driver" in found[2].remedy
    assert outcomes("gpu-in-use", observed(gpu, unknown={"computing": "No permission."}))[0][0] is UNKNOWN
    assert (
        outcomes("gpu-in-use", observed(wanted(), computing={"ollama-0": Compute(("cpu",))})) == []
    )  # no GPU was requested


GI = 2**30


def test_memory_usage_is_compared_with_the_limit() -> None:
    limited = [{"name": "ollama", "resources": {"limits": {"memory": "4Gi"}}}]
    free = [{"name": "airis"}]
    pods = [
        pod("ollama-0", labels={"app": "ollama"}, containers=limited),
        pod("ollama-1", labels={"app": "ollama"}, containers=limited),
        pod("airis-1", labels={"app": "airis"}, containers=free),
    ]
    loaded = [{"name": "llama3.2:1b", "size": 1_500_000_000, "context_length": 4096}]
    inside = {"ollama": {"http://ollama-0.ollama.airis.svc.cluster.local:11434": {"loaded": loaded, "error": ""}}}
    memory = {"ollama-0": {"ollama": int(3.5 * GI)}, "ollama-1": {"ollama": GI}, "airis-1": {"airis": GI}}

    found = CHECKS["memory"].findings(observed(wanted(), objects={"pods": pods}, inside=inside, memory=memory))

    assert [(each.state, each.what) for each in found] == [
        (
            WARNING,
            "Pod/ollama-0: ollama uses 88% of its memory limit (3.5 of 4.0 GiB); loaded: llama3.2:1b (1.5 GB, context "
            "length 4096)",
        ),
        (OK, "Pod/ollama-1: ollama uses 25% of its memory limit (1.0 of 4.0 GiB)"),
    ]
    assert "server.promptCache" in found[0].remedy
    unknown = observed(wanted(), objects={"pods": pods}, unknown={"kubelets": "No permission."})
    assert outcomes("memory", unknown) == [(UNKNOWN, "memory usage of the pods: No permission.")]


def test_a_cpu_limit_above_the_nodes_cores_is_a_warning() -> None:
    stack = wanted(ollama={"nodeSelector": {"size": "small"}})
    small = node("a", labels={"size": "small"}, cpu="2")
    large, tainted = node("b", cpu="16"), node("c", "gpu", labels={"size": "small"}, cpu="64")
    words = "StatefulSet/ollama: its CPU limit is 4, but {} has at most 2 cores"
    webui = (OK, "Deployment/airis-deployment: its CPU limit of 1 is within the cores of its nodes")

    def said(*pods: Any) -> Found:
        return outcomes("cores", observed(stack, objects={"nodes": [small, large, tainted], "pods": list(pods)}))

    assert sorted(said()) == sorted([webui, (WARNING, words.format("every eligible node"))])
    runs = said(pod("ollama-0", on="a", labels={"app": "ollama"}))
    assert (WARNING, words.format("its node a")) in runs
    elsewhere = said(pod("ollama-0", on="b", labels={"app": "ollama"}))
    assert (OK, "StatefulSet/ollama: its CPU limit of 4 is within the cores of its nodes") in elsewhere
    assert outcomes("cores", observed(wanted(ollama={"resources": {"limits": {"cpu": None}}}))) == []


def test_a_model_whose_server_was_killed_is_named() -> None:
    blob = "sha256-" + "a" * 64
    seen = observed(
        wanted(ollama={"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1200Mi"}}}),
        killed={
            "ollama-0": Killed(None, [("llama3.2:1b", Ended(blob, 2, killed=True))]),
            "ollama-1": Killed(1, [("", Ended(blob, 1, killed=False))]),
            "ollama-2": Killed(0, [("", Ended("", 1, killed=False))]),
            "ollama-3": Killed(3, []),
            "ollama-4": Killed(0, []),
            "ollama-5": Killed(None, []),
        },
    )

    found = CHECKS["model-servers"].findings(seen)

    assert [(each.state, each.what) for each in found] == [
        (PROBLEM, "Pod/ollama-0: the server of llama3.2:1b was OOM-killed 2 times (memory limit 1200Mi)"),
        (PROBLEM, f"Pod/ollama-1: the server of {blob} was OOM-killed 1 time (memory limit 1200Mi)"),
        (PROBLEM, "Pod/ollama-2: the server of a model ended unexpectedly 1 time"),
        (PROBLEM, "Pod/ollama-3: 3 of its processes were OOM-killed"),
        (OK, "Pod/ollama-4: no model server ended unexpectedly"),
        (OK, "Pod/ollama-5: no model server ended unexpectedly"),
    ]
    for helps in ("resources.limits.memory", "server.promptCache", "contextLength", "parallel", "maxLoadedModels"):
        assert helps in found[0].remedy
    assert "kubectl logs ollama-2" in found[2].remedy
    assert outcomes("model-servers", observed(wanted(), unknown={"killed": "No permission."}))[0][0] is UNKNOWN
    assert outcomes("model-servers", observed(wanted(ollama={"enabled": False}))) == []
