"""Least privilege of the pods, and network access only for those that need it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airis.render.program import Rendering
from settings import load
from settings.types.images import is_mutable
from tests.unit.drawing import (
    RECOMMENDED,
    committed,
    container,
    draw_once,
    draw_program,
    env,
    manifest,
    names,
    pod_spec,
)
from tests.unit.drawing import workloads as workloads_of

pytestmark = pytest.mark.timeout(60)

WORKLOADS = [("Deployment", "airis-deployment"), ("StatefulSet", "ollama")]

LEVELS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "restricted": (
        {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
    ),
    "baseline": ({"seccompProfile": {"type": "RuntimeDefault"}}, {"allowPrivilegeEscalation": False}),
    "privileged": (None, None),
}
"""The security contexts of the pods and of their containers."""

EVERYBODY = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]
OWN_NAMESPACE: dict[str, Any] = {"podSelector": {}}


def controllers(*namespaces: str) -> dict[str, Any]:
    """The peer of a NetworkPolicy for the pods of these namespaces."""
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


def policy(drawn: Rendering, name: str) -> Any:
    return manifest(drawn, "NetworkPolicy", name)["spec"]


@pytest.mark.parametrize("level", LEVELS)
def test_the_namespace_enforces_the_level(level: str) -> None:
    (labels,) = [
        each.manifest["metadata"]["labels"] for each in draw_once(podSecurity=level).objects if each.kind == "Namespace"
    ]
    assert {key: value for key, value in labels.items() if key.startswith("pod-security")} == {
        f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")
    }


@pytest.mark.parametrize("level", LEVELS)
def test_the_pods_meet_the_level(level: str) -> None:
    drawn = draw_once(podSecurity=level)
    of_pod, of_container = LEVELS[level]
    for workload in WORKLOADS:
        spec = pod_spec(manifest(drawn, *workload))
        assert spec.get("securityContext") == of_pod
        for each in (*spec.get("initContainers", []), *spec["containers"]):
            assert each.get("securityContext") == of_container
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()


def test_the_recommended_stacks_are_restricted() -> None:
    for stack in RECOMMENDED:
        for workload in workloads_of(committed(stack)):
            assert pod_spec(workload)["securityContext"] == LEVELS["restricted"][0]


@pytest.mark.parametrize("level", LEVELS)
def test_every_writable_directory_is_a_volume(level: str) -> None:
    drawn = draw_once(podSecurity=level)
    home = "/home/ollama" if level == "restricted" else "/root"
    mounts = {
        name: {mount["mountPath"]: mount["name"] for mount in container(manifest(drawn, kind, name))["volumeMounts"]}
        for kind, name in WORKLOADS
    }
    assert mounts == {
        "airis-deployment": {"/app/backend/data": "webui-volume", "/tmp": "scratch", "/etc/airis/start": "start"},
        "ollama": {
            "/tmp": "tmp",
            **({home: "home"} if level == "restricted" else {}),  # root's home is writable without a volume
            f"{home}/.ollama": "ollama-volume",
        },
    }
    assert env(manifest(drawn, "StatefulSet", "ollama"))["HOME"] == home
    webui = env(manifest(drawn, "Deployment", "airis-deployment"))
    assert (webui["DATA_DIR"], webui["STATIC_DIR"], webui["HOME"]) == ("/app/backend/data", "/tmp/static", "/tmp")
    for kind, name in WORKLOADS:
        for volume in pod_spec(manifest(drawn, kind, name))["volumes"]:
            assert set(volume) - {"name"} in ({"emptyDir"}, {"persistentVolumeClaim"}, {"configMap"})
            if "emptyDir" in volume:
                assert volume["emptyDir"] == {"sizeLimit": "1Gi"}


def test_each_workload_has_its_own_service_account_without_a_token() -> None:
    drawn = draw_once()
    assert names(drawn, "ServiceAccount") == ["airis", "ollama"]
    for (kind, name), account in zip(WORKLOADS, ("airis", "ollama"), strict=True):
        spec = pod_spec(manifest(drawn, kind, name))
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (account, False)
        assert manifest(drawn, "ServiceAccount", account)["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
    kinds = {each.kind for each in drawn.objects}
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & kinds


def probes(drawn: Rendering, kind: str, name: str) -> dict[str, tuple[Any, ...]]:
    """Path, period, timeout and failures of each probe."""
    body = container(manifest(drawn, kind, name))
    assert {body[f"{each}Probe"]["httpGet"]["port"] for each in ("startup", "readiness", "liveness")} == {"http"}
    return {
        each: (
            body[f"{each}Probe"]["httpGet"]["path"],
            *(body[f"{each}Probe"][key] for key in ("periodSeconds", "timeoutSeconds", "failureThreshold")),
        )
        for each in ("startup", "readiness", "liveness")
    }


def test_probes_have_the_applications_paths_and_thresholds() -> None:
    drawn = draw_once()
    assert probes(drawn, "Deployment", "airis-deployment") == {
        "startup": ("/health", 10, 5, 60),  # the first start downloads a model: 10 minutes
        "readiness": ("/ready", 10, 5, 3),
        "liveness": ("/health", 30, 10, 6),
    }
    assert probes(drawn, "StatefulSet", "ollama") == {
        "startup": ("/api/version", 5, 5, 60),
        "readiness": ("/api/version", 10, 5, 3),
        "liveness": ("/", 30, 10, 6),
    }


def test_every_number_of_a_probe_can_be_set_alone() -> None:
    drawn = draw_once(
        webui={"probes": {"startup": {"failureThreshold": 99}, "readiness": {"timeoutSeconds": 7}}},
        ollama={"probes": {"liveness": {"periodSeconds": 31, "timeoutSeconds": 32, "failureThreshold": 33}}},
    )
    assert probes(drawn, "Deployment", "airis-deployment") == {
        "startup": ("/health", 10, 5, 99),
        "readiness": ("/ready", 10, 7, 3),
        "liveness": ("/health", 30, 10, 6),
    }
    assert probes(drawn, "StatefulSet", "ollama")["liveness"] == ("/", 31, 32, 33)
    assert probes(drawn, "StatefulSet", "ollama")["startup"] == ("/api/version", 5, 5, 60)


def test_only_the_webui_may_connect_to_ollama() -> None:
    for settings in ({}, {"ollama": {"gpu": {"count": 1}}}):
        assert policy(draw_once(**settings), "ollama") == {
            "podSelector": {"matchLabels": {"app": "ollama"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": {"app": "airis"}}}],
                    "ports": [{"port": 11434, "protocol": "TCP"}],
                }
            ],
        }


def test_model_jobs_may_connect_to_ollama_and_accept_no_connections() -> None:
    drawn = draw_once(ollama={"models": ["llama3.2:1b"]}, network={"restrictEgress": True})
    ollama = {"podSelector": {"matchLabels": {"app": "ollama"}}}
    callers = [each["podSelector"]["matchLabels"] for each in policy(drawn, "ollama")["ingress"][0]["from"]]
    assert callers == [{"app": "airis"}, {"app": "ollama-pull"}]
    spec = policy(drawn, "ollama-pull")
    assert spec["podSelector"] == {"matchLabels": {"app": "ollama-pull"}}
    assert spec.get("ingress", []) == []
    assert [rule["to"] for rule in spec["egress"] if "to" in rule] == [[ollama]]
    assert "ollama-pull" not in names(draw_once(), "NetworkPolicy")


def test_default_callers_of_the_webui() -> None:
    assert policy(draw_once(), "airis") == {
        "podSelector": {"matchLabels": {"app": "airis"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [OWN_NAMESPACE, controllers("ingress-nginx", "traefik", "haproxy-controller")],
                "ports": [{"port": 8080, "protocol": "TCP"}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("network", "service", "callers"),
    [
        ({"ingressNamespaces": ["edge"]}, "ClusterIP", [OWN_NAMESPACE, controllers("edge")]),
        # an empty selector would match every namespace, and the API server refuses an empty list of names
        ({"ingressNamespaces": []}, "ClusterIP", [OWN_NAMESPACE]),
        (
            {"ingressNamespaces": [], "webuiFrom": ["192.0.2.0/24"]},
            "ClusterIP",
            [OWN_NAMESPACE, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
        ),
        ({"ingressNamespaces": []}, "NodePort", [OWN_NAMESPACE, *EVERYBODY]),
        ({"ingressNamespaces": []}, "LoadBalancer", [OWN_NAMESPACE, *EVERYBODY]),
    ],
)
def test_further_callers_of_the_webui(network: object, service: str, callers: object) -> None:
    drawn = draw_once(network=network, webui={"service": {"type": service}})
    (rule,) = policy(drawn, "airis")["ingress"]
    assert rule["from"] == callers
    # a Service that is exposed on purpose exposes nothing else
    assert policy(drawn, "ollama") == policy(draw_once(), "ollama")


def test_no_network_policies_if_disabled() -> None:
    assert names(draw_once(network={"policies": False, "restrictEgress": True}), "NetworkPolicy") == []


def test_egress_is_open_unless_it_is_restricted() -> None:
    for name in ("airis", "ollama"):
        assert "egress" not in policy(draw_once(network={"egressTo": ["192.0.2.0/24"]}), name)


def test_restricted_egress_allows_dns_ollama_and_the_listed_addresses() -> None:
    drawn = draw_once(network={"restrictEgress": True, "egressTo": ["192.0.2.0/24", "2001:db8::/32"]})
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    listed = [{"ipBlock": {"cidr": cidr}} for cidr in ("192.0.2.0/24", "2001:db8::/32")]
    for name, callees in [("airis", [{"podSelector": {"matchLabels": {"app": "ollama"}}}]), ("ollama", [])]:
        spec = policy(drawn, name)
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert spec["egress"] == [dns, {"to": [*callees, *listed]}]
        assert spec["ingress"] == policy(draw_once(), name)["ingress"]


def test_restricted_egress_without_addresses_allows_only_dns() -> None:
    assert [list(rule) for rule in policy(draw_once(network={"restrictEgress": True}), "ollama")["egress"]] == [
        ["ports"]
    ]


@pytest.mark.parametrize(
    ("namespaces", "addresses", "egress", "service"),
    [
        ([], [], False, "ClusterIP"),
        ([], [], True, "ClusterIP"),
        (["edge"], ["192.0.2.0/24"], True, "ClusterIP"),
        ([], ["192.0.2.0/24"], True, "NodePort"),
    ],
)
def test_no_rule_without_peers(namespaces: list[str], addresses: list[str], egress: bool, service: str) -> None:
    network = {"ingressNamespaces": namespaces, "webuiFrom": addresses, "restrictEgress": egress, "egressTo": addresses}
    drawn = draw_once(network=network, webui={"service": {"type": service}})
    for name, on_purpose in [("airis", service != "ClusterIP"), ("ollama", False)]:
        spec = policy(drawn, name)
        assert spec["podSelector"]["matchLabels"]
        open_peers = []
        for rule in spec["ingress"]:
            assert rule["from"]  # a rule without peers allows everything
            assert [port["port"] for port in rule["ports"]] == [8080 if name == "airis" else 11434]
            open_peers += [each for each in rule["from"] if is_everybody(each)]
        assert open_peers == (EVERYBODY if on_purpose else [])
        for rule in spec.get("egress", []):
            if "to" not in rule:
                assert {port["port"] for port in rule["ports"]} == {53}
            assert not any(is_everybody(each) for each in rule.get("to", []))


def is_everybody(peer: Mapping[str, Any]) -> bool:
    """Whether this peer matches every pod in the cluster, or every address."""
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"]).endswith("/0")
    namespaces = peer.get("namespaceSelector")
    return not peer or (
        namespaces is not None and not any(each.get("values") for each in namespaces["matchExpressions"])
    )


def test_a_rule_without_peers_is_detected() -> None:
    assert all(map(is_everybody, [{}, *EVERYBODY, controllers(), {"namespaceSelector": {"matchExpressions": []}}]))
    assert not any(map(is_everybody, [OWN_NAMESPACE, controllers("edge"), {"ipBlock": {"cidr": "10.0.0.0/8"}}]))


def test_ollama_without_callers_accepts_no_connections(tmp_path: Path) -> None:
    drawn = draw_program(
        tmp_path,
        """
        from components import Ollama

        Ollama("models", namespace="apps")
        """,
    )
    spec = policy(drawn, "models")
    assert spec["policyTypes"] == ["Ingress"]
    assert spec.get("ingress", []) == []


def test_ollama_is_never_exposed_outside_the_cluster() -> None:
    drawn = draw_once(
        ingress={"host": "chat.example.com"}, webui={"service": {"type": "LoadBalancer"}}, ollama={"replicas": 2}
    )
    for name in ("ollama", "ollama-service"):
        assert manifest(drawn, "Service", name)["spec"].get("type", "ClusterIP") == "ClusterIP"
    backends = [
        path["backend"]["service"]["name"]
        for rule in manifest(drawn, "Ingress", "airis-ingress")["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert backends == ["airis-service"]


def test_a_disruption_budget_only_with_several_pods() -> None:
    assert names(draw_once(), "PodDisruptionBudget") == []
    assert names(draw_once(ollama={"replicas": 0}), "PodDisruptionBudget") == []
    several = {
        "replicas": 2,
        "storage": {"accessMode": "ReadWriteMany"},
        "database": {"urlFrom": {"name": "a", "key": "b"}},
        "redis": {"urlFrom": {"name": "a", "key": "b"}},
        "vectorStore": "pgvector",
    }
    drawn = draw_once(webui=several, ollama={"replicas": 3})
    assert names(drawn, "PodDisruptionBudget") == ["airis", "ollama"]
    for name in ("airis", "ollama"):
        assert manifest(drawn, "PodDisruptionBudget", name)["spec"] == {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {"app": name}},
        }
    assert names(draw_once(ollama={"replicas": 2}), "PodDisruptionBudget") == ["ollama"]


def test_priority_class_and_pull_policy_only_if_set() -> None:
    drawn = draw_once(webui={"priorityClass": "important"}, ollama={"imagePullPolicy": "Never"})
    webui, ollama = (manifest(drawn, *each) for each in WORKLOADS)
    assert pod_spec(webui)["priorityClassName"] == "important"
    assert "imagePullPolicy" not in container(webui)
    assert "priorityClassName" not in pod_spec(ollama)
    assert container(ollama)["imagePullPolicy"] == "Never"


MUTABLE = [
    "airis",
    "airis:latest",
    "airis:main",
    "airis:0.12",
    "airis:v1",
    "airis:cuda",
    "localhost:5000/airis",
    "a/b:git-abc",
]
PINNED = [
    "airis:0.12.4",
    "airis:v0.12.4",
    "airis:0.12.4-slim",
    "airis:git-1a2b3c4",
    "localhost:5000/airis:0.12.4",
    f"airis@sha256:{'0' * 64}",
    f"airis:main@sha256:{'0' * 64}",
]


@pytest.mark.parametrize(
    ("image", "mutable"), [*((each, True) for each in MUTABLE), *((each, False) for each in PINNED)]
)
def test_mutable_tags_are_warned_of_or_refused_in_production(image: str, mutable: bool) -> None:
    assert is_mutable(image) is mutable
    settings = load({"airis:webui": f'{{"image": "{image}"}}', "airis:ollama": '{"image": "a:1.2.3"}'}, source="x")
    warned = f"airis:webui.image: {image} has a mutable tag: pin a release or a digest"
    assert list(settings.warnings()) == [warned] * mutable


def test_both_images_are_checked() -> None:
    images = {"airis:ollama": '{"image": "ollama/ollama"}', "airis:webui": '{"image": "a/b:main"}'}
    settings = load(images, source="x")
    assert [each.partition(": ")[0] for each in settings.warnings()] == ["airis:webui.image", "airis:ollama.image"]
