"""Scheduling: the pod fields of both workloads, and invalid settings."""

from collections.abc import Mapping
from typing import Any

import pytest

from settings import load
from tests.unit.conftest import Refuse
from tests.unit.drawing import draw_once, manifest, pod_spec

pytestmark = pytest.mark.timeout(60)

WORKLOADS = [("webui", "Deployment", "airis-deployment", "airis"), ("ollama", "StatefulSet", "ollama", "ollama")]
GPU_LABEL = "a label that CPU nodes have: these pods request no GPU (set airis:ollama.gpu for one)"

each_workload = pytest.mark.parametrize(("section", "kind", "name", "app"), WORKLOADS, ids=["webui", "ollama"])


def spec(section: str, kind: str, name: str, settings: Mapping[str, object]) -> Any:
    return pod_spec(manifest(draw_once(**{section: settings}), kind, name))


@each_workload
def test_defaults_set_no_scheduling_fields(section: str, kind: str, name: str, app: str) -> None:
    assert {
        "affinity", "hostAliases", "nodeSelector", "priorityClassName", "runtimeClassName", "schedulerName",
        "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints",
    } & spec(section, kind, name, {}).keys() == set()  # fmt: skip


@each_workload
def test_simple_settings_are_copied_to_the_pod(section: str, kind: str, name: str, app: str) -> None:
    found = spec(
        section,
        kind,
        name,
        {
            "nodeSelector": {"pool": "chat"},
            "runtimeClass": "gvisor",
            "schedulerName": "my-scheduler",
            "hostAliases": [{"ip": "192.0.2.10", "hostnames": ["ldap.example.com", "ldap"]}],
            "terminationGracePeriodSeconds": 120,
        },
    )
    assert found["nodeSelector"] == {"pool": "chat"}
    assert found["runtimeClassName"] == "gvisor"
    assert found["schedulerName"] == "my-scheduler"
    assert found["hostAliases"] == [{"ip": "192.0.2.10", "hostnames": ["ldap.example.com", "ldap"]}]
    assert found["terminationGracePeriodSeconds"] == 120


@each_workload
def test_pods_are_spread_among_those_of_their_own_workload(section: str, kind: str, name: str, app: str) -> None:
    zone, node = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
    spread = [
        {"topologyKey": zone},
        {"topologyKey": node, "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
        {"topologyKey": node},
    ]
    own = {"labelSelector": {"matchLabels": {"app": app}}, "nodeTaintsPolicy": "Honor"}
    assert spec(section, kind, name, {"topologySpread": spread})["topologySpreadConstraints"] == [
        {"topologyKey": zone, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", **own},
        {"topologyKey": node, "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", **own},
        {"topologyKey": node, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", **own},
    ]


@each_workload
def test_anti_affinity_between_own_pods(section: str, kind: str, name: str, app: str) -> None:
    def anti_affinity(settings: Mapping[str, object]) -> Any:
        affinity = spec(section, kind, name, {"antiAffinity": settings})["affinity"]
        assert list(affinity) == ["podAntiAffinity"]
        return affinity["podAntiAffinity"]

    own = {"labelSelector": {"matchLabels": {"app": app}}}
    node, zone = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
    assert anti_affinity({}) == {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": {"topologyKey": node, **own}}
        ]
    }
    assert anti_affinity({"topologyKey": zone, "required": True}) == {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": zone, **own}]
    }


@each_workload
def test_affinity_to_other_pods(section: str, kind: str, name: str, app: str) -> None:
    settings = {
        "podAffinity": [{"labels": {"app": "cache"}, "topologyKey": "topology.kubernetes.io/zone"}],
        "podAntiAffinity": [{"labels": {"app": "noisy"}, "namespaces": ["batch"], "required": True}],
        "antiAffinity": {"required": True},
        "nodeAffinity": [{"key": "disk", "values": ["ssd"]}],
    }
    affinity = spec(section, kind, name, settings)["affinity"]
    assert set(affinity) == {"nodeAffinity", "podAffinity", "podAntiAffinity"}
    assert affinity["podAffinity"] == {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "podAffinityTerm": {
                    "labelSelector": {"matchLabels": {"app": "cache"}},
                    "topologyKey": "topology.kubernetes.io/zone",
                },
            }
        ]
    }
    assert affinity["podAntiAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"},
            {
                "labelSelector": {"matchLabels": {"app": "noisy"}},
                "namespaces": ["batch"],
                "topologyKey": "kubernetes.io/hostname",
            },
        ]
    }


@pytest.mark.parametrize("section", ["webui", "ollama"])
@pytest.mark.parametrize(
    ("settings", "key", "given", "allowed"),
    [
        *(
            (f"nodeSelector: {{{label}: 'x'}}", "nodeSelector", f'{{"{label}": "x"}}', GPU_LABEL)
            for label in (
                "nvidia.com/gpu.present",
                "amd.com/gpu.product-name",
                "feature.node.kubernetes.io/amd-gpu",
                "intel.feature.node.kubernetes.io/gpu",
                "cloud.google.com/gke-accelerator",
                "karpenter.k8s.aws/instance-gpu-name",
                "eks.amazonaws.com/instance-gpu-name",
                "kubernetes.azure.com/accelerator",
            )
        ),
        (
            "nodeAffinity: [{key: karpenter.k8s.aws/instance-gpu-memory, operator: Gt, values: ['1']}]",
            "nodeAffinity[0].key",
            '"karpenter.k8s.aws/instance-gpu-memory"',
            GPU_LABEL,
        ),
        *(
            (
                f"runtimeClass: {name}",
                "runtimeClass",
                f'"{name}"',
                "a class without GPU access: these pods request no GPU (set airis:ollama.gpu for one)",
            )
            for name in ("nvidia", "nvidia-cdi", "nvidia-legacy")
        ),
        (
            "topologySpread: [{topologyKey: zone}, {topologyKey: zone, maxSkew: 2}]",
            "topologySpread[1].topologyKey",
            '"zone"',
            "each key once with ScheduleAnyway",
        ),
        (
            "topologySpread: [{topologyKey: zone, maxSkew: 0}]",
            "topologySpread[0].maxSkew",
            "0",
            "a whole number, at least 1",
        ),
        (
            "topologySpread: [{topologyKey: zone, whenUnsatisfiable: Never}]",
            "topologySpread[0].whenUnsatisfiable",
            '"Never"',
            "one of 'DoNotSchedule' or 'ScheduleAnyway'",
        ),
        ("antiAffinity: {required: 'yes'}", "antiAffinity.required", '"yes"', "true or false"),
        (
            "hostAliases: [{ip: 192.0.2.1, hostnames: [a]}, {ip: 192.0.2.1, hostnames: [b]}]",
            "hostAliases[1].ip",
            '"192.0.2.1"',
            "each address once, with all of its hostnames",
        ),
        (
            "hostAliases: [{ip: ldap, hostnames: [a]}]",
            "hostAliases[0].ip",
            '"ldap"',
            "an IP address such as 192.0.2.10",
        ),
        (
            "terminationGracePeriodSeconds: 0",
            "terminationGracePeriodSeconds",
            "0",
            "a whole number, at least 1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_invalid_settings_are_refused(
    section: str, *, settings: str, key: str, given: str, allowed: str, refuse: Refuse
) -> None:
    assert refuse(f"airis:{section}: {{{settings}}}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  airis:{section}.{key}\n"
        f"    given    {given}\n"
        f"    allowed  {allowed}"
    )


@pytest.mark.parametrize(
    ("settings", "key", "given", "allowed"),
    [
        ("podAffinity: [{labels: {}}]", "podAffinity[0].labels", "{}", "at least one label of the other pods"),
        ("podAntiAffinity: [{labels: {}}]", "podAntiAffinity[0].labels", "{}", "at least one label of the other pods"),
        ("hostAliases: [{ip: 192.0.2.1, hostnames: []}]", "hostAliases[0].hostnames", "[]", "at least one host name"),
    ],
)
def test_empty_terms_are_refused(settings: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(f"airis:webui: {{{settings}}}")
    assert said.endswith(f"  airis:webui.{key}\n    given    {given}\n    allowed  {allowed}")
    assert "1 setting is wrong" in said


@pytest.mark.parametrize(
    "config",
    [
        '{"gpu": {}, "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}, "runtimeClass": "nvidia"}',
        '{"nodeSelector": {"nvidia.example.com/pool": "a"}, "runtimeClass": "kata"}',
        '{"topologySpread": [{"topologyKey": "a"}, {"topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]}',
        '{"antiAffinity": {"required": true}, "topologySpread": [{"topologyKey": "kubernetes.io/hostname"}]}',
        '{"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}, {"ip": "2001:db8::1", "hostnames": ["a"]}]}',
        '{"terminationGracePeriodSeconds": 1}',
    ],
)
def test_similar_valid_settings_are_accepted(config: str) -> None:
    assert load({"airis:ollama": config}, source="Pulumi.x.yaml").ollama
