"""GPU settings: the pod fields of each vendor and preset, invalid settings, and warnings."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from airis.render.manifest import in_order
from settings import StackSettings, load
from settings.pods.gpu_nodes import LABEL_PREFIXES, PRESETS
from settings.types.releases import OLLAMA
from tests.unit.conftest import Refuse
from tests.unit.drawing import container, draw_once, env, find, manifest, names, pod_spec

pytestmark = pytest.mark.timeout(60)

ALL_OWN = f"ollama/ollama:{OLLAMA.version}"
L4 = "device.attributes['gpu.nvidia.com'].productName == 'NVIDIA L4'"


def read(gpu: object, **further: object) -> StackSettings:
    ollama = json.dumps({"gpu": gpu, **further})
    return load({"airis:ollama": ollama}, source="Pulumi.x.yaml")


def ollama(gpu: object, **further: object) -> Mapping[str, Any]:
    return manifest(draw_once(ollama={"gpu": gpu, **further}), "StatefulSet", "ollama")


def gpu_limits(body: Mapping[str, Any]) -> dict[str, str]:
    limits = container(body)["resources"]["limits"]
    return {name: amount for name, amount in limits.items() if "/" in name}


def conditions(body: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    affinity = pod_spec(body).get("affinity")
    if affinity is None:
        return []
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return [(each["key"], each["operator"], each.get("values", [])) for each in term["matchExpressions"]]


def tolerated(body: Mapping[str, Any]) -> list[str]:
    """Keys of the tolerated taints, all of which are tolerated with any value."""
    found = pod_spec(body).get("tolerations", [])
    assert all(each["operator"] == "Exists" and each["effect"] == "NoSchedule" for each in found)
    return [each["key"] for each in found]


@pytest.mark.parametrize(
    ("gpu", "resource", "image", "taint", "variables"),
    [
        ({"vendor": "nvidia"}, "nvidia.com/gpu", ALL_OWN, "nvidia.com/gpu", {}),
        ({"vendor": "amd"}, "amd.com/gpu", f"{ALL_OWN}-rocm", "amd.com/gpu", {"NVIDIA_VISIBLE_DEVICES": "void"}),
        (
            {"resourceName": "amd.com/gpu"},
            "amd.com/gpu",
            f"{ALL_OWN}-rocm",
            "amd.com/gpu",
            {"NVIDIA_VISIBLE_DEVICES": "void"},
        ),
        (
            {"vendor": "intel"},
            "gpu.intel.com/i915",
            ALL_OWN,
            "gpu.intel.com/i915",
            {"NVIDIA_VISIBLE_DEVICES": "void", "OLLAMA_IGPU_ENABLE": "True", "OLLAMA_VULKAN": "True"},
        ),
        (
            {"resourceName": "gpu.intel.com/xe"},
            "gpu.intel.com/xe",
            ALL_OWN,
            "gpu.intel.com/xe",
            {"NVIDIA_VISIBLE_DEVICES": "void", "OLLAMA_IGPU_ENABLE": "True", "OLLAMA_VULKAN": "True"},
        ),
        ({"migProfile": "1g.10gb"}, "nvidia.com/mig-1g.10gb", ALL_OWN, "nvidia.com/gpu", {}),
        ({"migProfile": "1g.10gb+me"}, "nvidia.com/mig-1g.10gb.me", ALL_OWN, "nvidia.com/gpu", {}),
        ({"shared": True}, "nvidia.com/gpu.shared", ALL_OWN, "nvidia.com/gpu", {}),
        ({"resourceName": "example.com/gpu"}, "example.com/gpu", ALL_OWN, "example.com/gpu", {}),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_defaults_of_each_vendor(
    gpu: object, resource: str, image: str, taint: str, variables: Mapping[str, str]
) -> None:
    body = ollama(gpu)
    assert gpu_limits(body) == {resource: "1"}
    assert container(body)["image"] == image
    assert tolerated(body) == [taint]
    names = ("NVIDIA_VISIBLE_DEVICES", "OLLAMA_IGPU_ENABLE", "OLLAMA_VULKAN")
    assert {name: value for name, value in env(body).items() if name in names} == variables
    assert "claims" not in container(body)["resources"]
    assert "resourceClaims" not in pod_spec(body)


def test_without_gpus_a_pod_has_no_gpu_settings() -> None:
    body = ollama(None)
    assert gpu_limits(body) == {}
    assert {"affinity", "tolerations", "resourceClaims", "runtimeClassName"} & pod_spec(body).keys() == set()
    assert "supplementalGroups" not in pod_spec(body)["securityContext"]
    assert env(body)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert not {"OLLAMA_IGPU_ENABLE", "OLLAMA_VULKAN"} & env(body).keys()


@pytest.mark.parametrize(
    ("gpu", "expected", "taint"),
    [
        ({}, [("nvidia.com/gpu.present", "In", ["true"])], "nvidia.com/gpu"),
        ({"preset": "gpu-operator"}, [("nvidia.com/gpu.present", "In", ["true"])], "nvidia.com/gpu"),
        (
            {"accelerator": "NVIDIA-L4"},
            [("nvidia.com/gpu.present", "In", ["true"]), ("nvidia.com/gpu.product", "In", ["NVIDIA-L4"])],
            "nvidia.com/gpu",
        ),
        # 22 Gi are 22528 MiB, and "greater than 22527" is "at least 22528"
        (
            {"nodeLabels": {}, "minMemory": "22Gi"},
            [("nvidia.com/gpu.memory", "Gt", ["22527"])],
            "nvidia.com/gpu",
        ),
        # rounded up to whole MiB: 24G are 22888.18 MiB
        ({"nodeLabels": {}, "minMemory": "24G"}, [("nvidia.com/gpu.memory", "Gt", ["22888"])], "nvidia.com/gpu"),
        (
            {"preset": "gke", "accelerator": "nvidia-l4"},
            [("cloud.google.com/gke-accelerator", "In", ["nvidia-l4"])],
            "nvidia.com/gpu",
        ),
        ({"preset": "gke", "nodeLabels": {"pool": "gpu"}}, [("pool", "In", ["gpu"])], "nvidia.com/gpu"),
        ({"preset": "eks"}, [], "nvidia.com/gpu"),
        (
            {"preset": "eks", "accelerator": "l4", "minMemory": "20Gi"},
            [
                ("karpenter.k8s.aws/instance-gpu-name", "In", ["l4"]),
                ("karpenter.k8s.aws/instance-gpu-memory", "Gt", ["20479"]),
            ],
            "nvidia.com/gpu",
        ),
        (
            {"preset": "eks-auto", "accelerator": "l4"},
            [
                ("eks.amazonaws.com/compute-type", "In", ["auto"]),
                ("eks.amazonaws.com/instance-gpu-manufacturer", "In", ["nvidia"]),
                ("eks.amazonaws.com/instance-gpu-name", "In", ["l4"]),
            ],
            "nvidia.com/gpu",
        ),
        ({"preset": "aks"}, [("kubernetes.azure.com/accelerator", "In", ["nvidia"])], "sku"),
        (
            {"preset": "aks", "taint": "nvidia.com/gpu"},
            [("kubernetes.azure.com/accelerator", "In", ["nvidia"])],
            "nvidia.com/gpu",
        ),
        ({"preset": "device-plugin"}, [], "nvidia.com/gpu"),
        (
            {"vendor": "amd", "preset": "gpu-operator", "accelerator": "AMD_Instinct_MI300X_OAM"},
            [
                ("feature.node.kubernetes.io/amd-gpu", "In", ["true"]),
                ("amd.com/gpu.product-name", "In", ["AMD_Instinct_MI300X_OAM"]),
            ],
            "amd.com/gpu",
        ),
        ({"vendor": "amd", "preset": "device-plugin"}, [], "amd.com/gpu"),
        (
            {"vendor": "intel", "preset": "node-feature-discovery"},
            [("intel.feature.node.kubernetes.io/gpu", "In", ["true"])],
            "gpu.intel.com/i915",
        ),
        ({"migProfile": "1g.10gb"}, [("nvidia.com/gpu.present", "In", ["true"])], "nvidia.com/gpu"),
        ({"dra": {}}, [], "nvidia.com/gpu"),
        ({"dra": {}, "preset": "aks"}, [("kubernetes.azure.com/accelerator", "In", ["nvidia"])], "sku"),
        ({"dra": {}, "vendor": "amd"}, [], "amd.com/gpu"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_node_labels_of_each_preset(gpu: object, expected: list[tuple[str, str, list[str]]], taint: str) -> None:
    body = ollama(gpu)
    assert conditions(body) == expected
    assert tolerated(body) == [taint]


def test_pods_without_gpus_may_not_select_labels_of_a_preset() -> None:
    """EKS Auto Mode's compute type is not only on GPU nodes."""
    for nodes in PRESETS.values():
        labels = {*nodes.labels, nodes.model_label, nodes.memory_label} - {None, "eks.amazonaws.com/compute-type"}
        assert [each for each in labels if not str(each).startswith(LABEL_PREFIXES)] == []


def test_groups_and_runtime_class_are_set_on_the_pod() -> None:
    body = ollama({"vendor": "amd", "supplementalGroups": [44, 109], "runtimeClass": "amd"})
    assert pod_spec(body)["securityContext"]["supplementalGroups"] == [44, 109]
    assert pod_spec(body)["securityContext"]["runAsNonRoot"] is True
    assert pod_spec(body)["runtimeClassName"] == "amd"


def test_groups_are_set_without_another_security_context() -> None:
    drawn = draw_once(podSecurity="privileged", ollama={"gpu": {"vendor": "amd", "supplementalGroups": [44]}})
    assert pod_spec(manifest(drawn, "StatefulSet", "ollama"))["securityContext"] == {"supplementalGroups": [44]}


@pytest.mark.parametrize(
    ("gpu", "given", "image"),
    [
        ({"vendor": "amd"}, "ollama/ollama:0.18.0-rocm", "ollama/ollama:0.18.0-rocm"),
        ({"vendor": "amd"}, "registry.example.com/team/ollama-amd:1.2.3", "registry.example.com/team/ollama-amd:1.2.3"),
        ({"vendor": "amd"}, f"ollama/ollama@sha256:{'0' * 64}", f"ollama/ollama@sha256:{'0' * 64}"),
        ({"vendor": "amd"}, ALL_OWN, f"{ALL_OWN}-rocm"),
        ({}, "ollama/ollama:0.18.0", "ollama/ollama:0.18.0"),
        ({}, "registry.example.com/my/ollama:0.18.0-rocm", "registry.example.com/my/ollama:0.18.0-rocm"),
        (None, "ollama/ollama:0.18.0-rocm", "ollama/ollama:0.18.0-rocm"),
    ],
)
def test_the_default_image_matches_the_gpu_vendor(gpu: object, given: str, image: str) -> None:
    assert read(gpu, image=given).ollama.image == image


def test_the_amd_variant_is_used_from_the_mirror_and_in_jobs() -> None:
    drawn = draw_once(
        registry={"mirror": "registry.example.com/hub"}, ollama={"gpu": {"vendor": "amd"}, "models": ["llama3.2:1b"]}
    )
    (job,) = [each.manifest for each in drawn.objects if each.kind == "Job"]
    mirrored = f"registry.example.com/hub/ollama/ollama:{OLLAMA.version}-rocm"
    assert container(manifest(drawn, "StatefulSet", "ollama"))["image"] == mirrored
    assert container(job)["image"] == mirrored


def test_dra_claims_devices_instead_of_an_extended_resource() -> None:
    drawn = draw_once(ollama={"gpu": {"dra": {"selectors": [L4]}, "count": 2}, "replicas": 2})
    body = manifest(drawn, "StatefulSet", "ollama")
    (template,) = names(drawn, "ResourceClaimTemplate")
    assert template.startswith("ollama-gpu-")
    assert pod_spec(body)["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": template}]
    assert container(body)["resources"]["claims"] == [{"name": "gpu"}]
    assert gpu_limits(body) == {}
    assert "NVIDIA_VISIBLE_DEVICES" not in env(body)
    assert find(drawn, "ResourceClaimTemplate", template).manifest["apiVersion"] == "resource.k8s.io/v1"
    # the API server's defaults are set, and nothing that could change without the name
    assert find(drawn, "ResourceClaimTemplate", template).manifest["spec"] == {
        "spec": {
            "devices": {
                "requests": [
                    {
                        "name": "gpu",
                        "exactly": {
                            "deviceClassName": "gpu.nvidia.com",
                            "allocationMode": "ExactCount",
                            "count": 2,
                            "selectors": [{"cel": {"expression": L4}}],
                        },
                    }
                ]
            }
        }
    }
    assert drawn.exports["gpu"] == {"gpu.nvidia.com": 4}


@pytest.mark.parametrize(
    ("gpu", "device_class"),
    [
        ({"dra": {}}, "gpu.nvidia.com"),
        ({"dra": {}, "vendor": "amd"}, "gpu.amd.com"),
        ({"dra": {}, "vendor": "intel"}, "gpu.intel.com"),
        ({"dra": {"deviceClass": "mig.nvidia.com"}}, "mig.nvidia.com"),
        ({"dra": {"deviceClass": "big-gpus"}}, "big-gpus"),
    ],
)
def test_the_default_device_class_is_the_vendors(gpu: object, device_class: str) -> None:
    drawn = draw_once(ollama={"gpu": gpu})
    (template,) = (each.manifest for each in drawn.objects if each.kind == "ResourceClaimTemplate")
    assert template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] == device_class


def test_the_templates_name_changes_with_its_spec_and_with_nothing_else() -> None:
    def name(gpu: dict[str, object], **further: object) -> str:
        (only,) = names(draw_once(ollama={"gpu": gpu}, **further), "ResourceClaimTemplate")
        return only

    first = name({"dra": {"selectors": [L4]}})
    same = [
        name({"dra": {"selectors": [L4], "deviceClass": "gpu.nvidia.com"}}),
        name({"dra": {"selectors": [L4]}, "taint": None}),
        name({"dra": {"selectors": [L4]}}, labels={"team": "a"}),
    ]
    others = [
        name({"dra": {}}),
        name({"dra": {"selectors": [L4]}, "count": 2}),
        name({"dra": {"selectors": [L4], "deviceClass": "mig.nvidia.com"}}),
        name({"dra": {"selectors": [L4, L4.replace("L4", "T4")]}}),
    ]
    assert set(same) == {first}
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    ("key", "reference"),
    [("existingClaim", "resourceClaimName"), ("existingClaimTemplate", "resourceClaimTemplateName")],
)
def test_existing_claims_and_templates_are_referenced_and_not_created(key: str, reference: str) -> None:
    drawn = draw_once(ollama={"gpu": {"dra": {key: "my-gpu"}}})
    assert names(drawn, "ResourceClaimTemplate") == []
    body = manifest(drawn, "StatefulSet", "ollama")
    assert pod_spec(body)["resourceClaims"] == [{"name": "gpu", reference: "my-gpu"}]
    assert drawn.exports["gpu"] == {"my-gpu": 1}


def test_the_statefulset_depends_on_the_claim_template() -> None:
    kinds = [each.kind for each in in_order(draw_once(ollama={"gpu": {"dra": {}}}).objects)]
    assert kinds.index("Namespace") < kinds.index("ResourceClaimTemplate") < kinds.index("StatefulSet")


LABEL_OF_NODES = "null, because these nodes have no label for it"
BESIDE_DRA = "no value with dra, whose selectors choose the devices"


@pytest.mark.parametrize(
    ("ollama", "key", "given", "allowed"),
    [
        ("gpu: {vendor: nvidea}", "gpu.vendor", '"nvidea"', "one of 'nvidia', 'amd' or 'intel'"),
        (
            "gpu: {vendor: amd, resourceName: nvidia.com/gpu}",
            "gpu.resourceName",
            '"nvidia.com/gpu"',
            "a name that begins with amd.com/, because vendor is amd",
        ),
        (
            "gpu: {vendor: nvidia, resourceName: example.com/gpu}",
            "gpu.resourceName",
            '"example.com/gpu"',
            "a name that begins with nvidia.com/, because vendor is nvidia",
        ),
        (
            "gpu: {resourceName: null}",
            "gpu.resourceName",
            "null",
            "an extended resource such as nvidia.com/gpu, or dra",
        ),
        ("gpu: {vendor: amd, preset: gke}", "gpu.preset", '"gke"', "one for amd: device-plugin, eks, gpu-operator"),
        (
            "gpu: {vendor: intel, preset: gpu-operator}",
            "gpu.preset",
            '"gpu-operator"',
            "one for intel: device-plugin, node-feature-discovery",
        ),
        (
            "gpu: {preset: node-feature-discovery}",
            "gpu.preset",
            '"node-feature-discovery"',
            "one for nvidia: aks, device-plugin, eks, eks-auto, gke, gpu-operator",
        ),
        (
            "gpu: {resourceName: example.com/gpu, preset: eks}",
            "gpu.preset",
            '"eks"',
            "null, because resourceName is of an unknown vendor",
        ),
        (
            "gpu: {preset: gke}",
            "gpu.accelerator",
            "null (the default)",
            "a model such as nvidia-l4, or set nodeLabels",
        ),
        (
            "gpu: {preset: aks, accelerator: nvidia-a100}",
            "gpu.accelerator",
            '"nvidia-a100"',
            f"{LABEL_OF_NODES}; or set a preset or nodeLabels",
        ),
        (
            "gpu: {vendor: amd, accelerator: AMD_Instinct_MI300X_OAM}",
            "gpu.accelerator",
            '"AMD_Instinct_MI300X_OAM"',
            f"{LABEL_OF_NODES}; or set a preset or nodeLabels",
        ),
        ("gpu: {accelerator: ''}", "gpu.accelerator", '""', "a model, or null"),
        (
            "gpu: {preset: eks, accelerator: l4, nodeLabels: {karpenter.k8s.aws/instance-gpu-name: l40s}}",
            "gpu.nodeLabels",
            '{"karpenter.k8s.aws/instance-gpu-name": "l40s"}',
            "one of this and accelerator, not both",
        ),
        ("gpu: {preset: gke, accelerator: nvidia-l4, minMemory: 20Gi}", "gpu.minMemory", '"20Gi"', LABEL_OF_NODES),
        ("gpu: {vendor: amd, minMemory: 20Gi}", "gpu.minMemory", '"20Gi"', LABEL_OF_NODES),
        *(
            (
                f"gpu: {{migProfile: '{profile}'}}",
                "gpu.migProfile",
                f'"{profile}"',
                "a MIG profile such as 1g.10gb or 1g.10gb+me",
            )
            for profile in ("1g", "10gb", "mig-1g.10gb", "8g.10gb", "1g.10GB", "1g.10gb.me", "1g.10gb+", "0g.5gb", "")
        ),
        ("gpu: {vendor: amd, migProfile: 1g.10gb}", "gpu.migProfile", '"1g.10gb"', "only for NVIDIA's GPUs"),
        ("gpu: {vendor: amd, shared: true}", "gpu.shared", "true", "only for NVIDIA's GPUs"),
        (
            "gpu: {migProfile: 1g.10gb, shared: true}",
            "gpu.shared",
            "true",
            "one of this and migProfile; for both, resourceName nvidia.com/mig-1g.10gb.shared",
        ),
        (
            "gpu: {migProfile: 1g.10gb, resourceName: nvidia.com/gpu}",
            "gpu.resourceName",
            '"nvidia.com/gpu"',
            "nvidia.com/mig-1g.10gb, the resource of migProfile; or omit this key",
        ),
        (
            "gpu: {shared: true, resourceName: nvidia.com/gpu}",
            "gpu.resourceName",
            '"nvidia.com/gpu"',
            "nvidia.com/gpu.shared, the resource of shared; or omit this key",
        ),
        *(
            (
                f"gpu: {{{config}, count: 2}}",
                "gpu.count",
                "2",
                "1: several shares give no more GPU time, and device plugins refuse them",
            )
            for config in (
                "shared: true",
                "resourceName: nvidia.com/gpu.shared",
                "resourceName: nvidia.com/mig-1g.5gb.shared",
            )
        ),
        ("gpu: {dra: {}, resourceName: nvidia.com/gpu}", "gpu.resourceName", '"nvidia.com/gpu"', BESIDE_DRA),
        ("gpu: {dra: {}, migProfile: 1g.10gb}", "gpu.migProfile", '"1g.10gb"', BESIDE_DRA),
        ("gpu: {dra: {}, shared: true}", "gpu.shared", "true", BESIDE_DRA),
        (
            "gpu: {dra: {}, accelerator: L4}",
            "gpu.accelerator",
            '"L4"',
            f"{LABEL_OF_NODES}; or set a preset or nodeLabels",
        ),
        ("gpu: {dra: {}, count: 33}", "gpu.count", "33", "at most 32, the limit of a claim"),
        (
            "gpu: {dra: {existingClaim: a}, count: 2}",
            "gpu.count",
            "2",
            "1, because the existing claim sets the number",
        ),
        (
            "gpu: {dra: {existingClaim: a, existingClaimTemplate: b}}",
            "gpu.dra.existingClaim",
            '"a"',
            "one of this and existingClaimTemplate, not both",
        ),
        (
            "gpu: {dra: {existingClaimTemplate: a, deviceClass: b}}",
            "gpu.dra.deviceClass",
            '"b"',
            "null, because existingClaimTemplate selects the devices",
        ),
        (
            "gpu: {dra: {existingClaim: a, selectors: ['true']}}",
            "gpu.dra.selectors",
            '["true"]',
            "[], because existingClaim selects the devices",
        ),
        (
            "gpu: {dra: {selectors: [' ']}}",
            "gpu.dra.selectors[0]",
            '" "',
            "a CEL expression such as device.attributes['gpu.nvidia.com'].productName == 'NVIDIA L4'",
        ),
        (
            "gpu: {vendor: amd, dra: {deviceClass: gpu.nvidia.com}}",
            "gpu.dra.deviceClass",
            '"gpu.nvidia.com"',
            "a class of vendor amd, or set vendor",
        ),
        (
            "gpu: {dra: {existingClaim: a}}, replicas: 2",
            "replicas",
            "2",
            "at most 1, because gpu.dra.existingClaim is one claim; existingClaimTemplate makes one for each pod",
        ),
        (
            f"gpu: {{dra: {{selectors: [{', '.join(['x'] * 33)}]}}}}",
            "gpu.dra.selectors",
            '"33 selectors"',
            "at most 32",
        ),
        (
            "gpu: {supplementalGroups: [2147483648]}",
            "gpu.supplementalGroups[0]",
            "2147483648",
            "a whole number, at most 2147483647",
        ),
        ("gpu: {supplementalGroups: [44, 44]}", "gpu.supplementalGroups[1]", "44", "each group once"),
        ("gpu: {supplementalGroups: [0]}", "gpu.supplementalGroups[0]", "0", "a whole number, at least 1"),
        ("gpu: {supplementalGroups: [render]}", "gpu.supplementalGroups[0]", '"render"', "a whole number"),
        *(
            (
                f"gpu: {{vendor: amd}}, image: '{image}'",
                "image",
                f'"{image}"',
                "a tag that ends in -rocm, because the GPUs are AMD's",
            )
            for image in ("ollama/ollama:0.18.0", "ollama/ollama", "registry.example.com/hub/ollama/ollama:0.17.4")
        ),
        *(
            (
                f"gpu: {{vendor: {vendor}}}, image: 'ollama/ollama:0.17.4-rocm'",
                "image",
                '"ollama/ollama:0.17.4-rocm"',
                "a tag without -rocm, because the GPUs are not AMD's",
            )
            for vendor in ("nvidia", "intel")
        ),
        (
            "gpu: {runtimeClass: nvidia}, runtimeClass: gvisor",
            "runtimeClass",
            '"gvisor"',
            "null, because gpu.runtimeClass is set",
        ),
        (
            "gpu: {}, nodeSelector: {nvidia.com/gpu.present: 'false'}",
            "nodeSelector",
            '{"nvidia.com/gpu.present": "false"}',
            "true, as in gpu.nodeLabels; or omit this label",
        ),
        (
            "env: {OLLAMA_VULKAN: '1'}",
            "env.OLLAMA_VULKAN",
            "[not shown]",
            "another name: airis sets this one itself, from airis:ollama.gpu.vendor",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_invalid_settings_are_refused(ollama: str, key: str, given: str, allowed: str, refuse: Refuse) -> None:
    assert refuse(f"airis:ollama: {{{ollama}}}") == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  airis:ollama.{key}\n"
        f"    given    {given}\n"
        f"    allowed  {allowed}"
    )


@pytest.mark.parametrize(
    "gpu",
    [
        {"migProfile": "7g.80gb", "resourceName": "nvidia.com/mig-7g.80gb"},
        {"migProfile": "1g.24gb+me.all"},
        {"resourceName": "nvidia.com/mig-1g.10gb.shared"},
        {"shared": True, "resourceName": "nvidia.com/gpu.shared"},
        {"dra": {"selectors": ["true"] * 32}, "count": 32},
        {"supplementalGroups": [2147483647]},
        {"dra": {"existingClaimTemplate": "a"}},
        {"dra": {"deviceClass": "gpu.example.com"}, "vendor": "amd"},
        {"dra": {}, "preset": "eks", "accelerator": "l4"},
        {"preset": "eks", "vendor": "amd", "accelerator": "radeon-pro-v520"},
        {"supplementalGroups": [44, 109]},
    ],
    ids=json.dumps,
)
def test_similar_valid_settings_are_accepted(gpu: dict[str, object]) -> None:
    assert read(gpu).ollama.gpu is not None


def test_templates_are_for_several_pods_and_the_same_label_is_no_contradiction() -> None:
    assert read({"dra": {"existingClaimTemplate": "a"}}, replicas=2).ollama.replicas == 2
    assert read({}, nodeSelector={"nvidia.com/gpu.present": "true"}).ollama.node_selector
    assert read({"runtimeClass": "nvidia"}).ollama.runtime_class is None
    assert read({}, runtimeClass="nvidia").ollama.runtime_class == "nvidia"


MIG = "Ollama 0.13.2 and later may not detect a MIG slice, and run on CPU: look for library=CUDA in its log"
GROUPS = "without the group of the nodes' /dev/dri, Ollama may not open the GPU, and run on CPU: docs/gpu.md"
NO_DRIVER = "Ollama's images contain no Vulkan driver for Intel GPUs: without one, Ollama runs on CPU"


@pytest.mark.parametrize(
    ("gpu", "further", "warnings"),
    [
        (None, {}, []),
        ({}, {}, []),
        ({"count": 2}, {}, []),
        ({"shared": True}, {}, []),
        ({"migProfile": "1g.10gb"}, {}, [f"gpu.migProfile: {MIG}"]),
        (
            {"resourceName": "nvidia.com/mig-1g.10gb", "count": 2},
            {},
            [f"gpu.resourceName: {MIG}", "gpu.count: Ollama uses only one of 2 MIG slices"],
        ),
        ({"vendor": "amd"}, {}, [f"gpu.supplementalGroups: {GROUPS}"]),
        ({"vendor": "amd", "supplementalGroups": [109]}, {}, []),
        ({"vendor": "intel", "supplementalGroups": [109]}, {}, [f"image: {NO_DRIVER}"]),
        ({"vendor": "intel", "supplementalGroups": [109]}, {"image": "registry.example.com/ollama-intel:1.0.0"}, []),
    ],
    ids=json.dumps,
)
def test_warnings(gpu: object, further: dict[str, object], warnings: list[str]) -> None:
    found = [each for each in read(gpu, **further).warnings() if each.startswith("airis:ollama")]
    assert found == [f"airis:ollama.{each}" for each in warnings]


def test_root_needs_no_supplemental_group() -> None:
    config = {"airis:ollama": json.dumps({"gpu": {"vendor": "amd"}}), "airis:podSecurity": "baseline"}
    found = load(config, source="Pulumi.x.yaml").warnings()
    assert [each for each in found if each.startswith("airis:ollama")] == []
