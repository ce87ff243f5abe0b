"""The stacks on a real control plane: what comes up, where it lands, and why something else does not."""

import copy
from typing import Any

import pytest
import yaml

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import KubectlError
from airis.rehearse.rehearsal import rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.rehearse.verdict import Verdict
from airis.render import manifest, program
from airis.stack_file.stacks import read_stack
from tests.rehearsal.moving import versions
from tests.unit import kustomize
from tests.unit.drawing import ROOT, draw

KUSTOMIZE = ROOT / "tests" / "fixtures" / "kustomize"

pytestmark = pytest.mark.timeout(120)


def wanted(rendering: program.Rendering) -> list[dict[str, Any]]:
    return [manifest.manifest(each) for each in manifest.in_order(rendering.objects)]


def committed(stack: str) -> list[dict[str, Any]]:
    return wanted(program.run(read_stack(stack, ROOT)))


def rehearsed(objects: list[dict[str, Any]], sandbox: Sandbox) -> Verdict:
    return rehearse("test", objects, sandbox.kubectl, timeout_seconds=60)


def find(verdict: Verdict, kind: str, name: str) -> Finding:
    (found,) = [each for each in verdict.findings if each.kind == kind and each.name.startswith(name)]
    return found


def objects_of(sandbox: Sandbox, *args: str) -> list[dict[str, Any]]:
    return sandbox.kubectl.get(*args, "--namespace=airis")


@pytest.mark.parametrize(("stack", "node"), [("cpu", "cpu-0"), ("gpu", "gpu-0")])
def test_a_stack_comes_up_where_it_belongs(stack: str, node: str, clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(committed(stack), clean_sandbox)

    assert verdict.ok, verdict
    assert find(verdict, "Pod", "ollama-0").node == node
    assert find(verdict, "Pod", "airis-deployment").node == "cpu-0"
    assert find(verdict, "PersistentVolumeClaim", "airis-pvc").state is State.BOUND
    assert find(verdict, "PersistentVolumeClaim", "ollama-volume-ollama-0").state is State.BOUND
    # the StatefulSet took the claim that the stack made, and made none of its own
    assert len(objects_of(clean_sandbox, "persistentvolumeclaims")) == 2


def test_the_cpu_stack_stays_off_gpu_nodes_even_when_nothing_else_is_there(clean_sandbox: Sandbox) -> None:
    clean_sandbox.set_nodes([each for each in load_nodes() if each["metadata"]["name"] == "gpu-0"])

    verdict = rehearsed(committed("cpu"), clean_sandbox)

    pod = find(verdict, "Pod", "ollama-0")
    assert not verdict.ok
    assert pod.state is State.PENDING
    assert pod.node == ""
    assert "untolerated taint" in pod.reason


def test_the_reference_overlay_stays_pending_on_a_tainted_gpu_node(clean_sandbox: Sandbox) -> None:
    overlay = clean_sandbox.kubectl.run("kustomize", str(KUSTOMIZE / "gpu"))
    clean_sandbox.kubectl.run("apply", "--filename=-", stdin=overlay)
    statefulset = [each for each in committed("gpu") if each["kind"] == "StatefulSet"]

    (ollama,) = objects_of(clean_sandbox, "statefulsets")
    verdict = rehearsed([ollama_identity(ollama)], clean_sandbox)

    pod = find(verdict, "Pod", "ollama-0")
    assert statefulset[0]["metadata"]["name"] == ollama["metadata"]["name"]
    assert pod.state is State.PENDING
    assert "untolerated taint" in pod.reason


def ollama_identity(live: dict[str, Any]) -> dict[str, Any]:
    """What the verdict needs to find an object that somebody else applied; applying it changes nothing."""
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: live["spec"][key] for key in ("serviceName", "selector", "template", "volumeClaimTemplates")},
    }


def test_more_gpus_than_the_node_has_stay_pending_with_the_schedulers_reason(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(ollama={"gpu": {"count": 2}})), clean_sandbox)

    pod = find(verdict, "Pod", "ollama-0")
    assert not verdict.ok
    assert pod.state is State.PENDING
    assert "Insufficient nvidia.com/gpu" in pod.reason
    assert "preemption" not in pod.reason
    assert find(verdict, "StatefulSet", "ollama").state is State.PENDING
    assert find(verdict, "Deployment", "airis-deployment").state is State.READY


def test_an_unbound_claim_is_told_with_its_reason(clean_sandbox: Sandbox) -> None:
    storage = {"size": "2Gi", "storageClass": "no-such-class"}
    verdict = rehearsed(wanted(draw(webui={"storage": storage})), clean_sandbox)

    claim = find(verdict, "PersistentVolumeClaim", "airis-pvc")
    assert claim.state is State.PENDING
    assert "no-such-class" in claim.reason
    assert "unbound" in find(verdict, "Pod", "airis-deployment").reason


def test_what_the_api_server_refuses_is_told_in_its_words_and_the_rest_comes_up(clean_sandbox: Sandbox) -> None:
    objects = committed("cpu")
    (ingress,) = [each for each in objects if each["kind"] == "Ingress"]
    ingress["spec"]["rules"][0]["host"] = "not a host"

    verdict = rehearsed(objects, clean_sandbox)

    refused = find(verdict, "Ingress", "airis-ingress")
    assert refused.state is State.REFUSED
    assert "not a host" in refused.reason
    assert [each for each in verdict.findings if not each.ok] == [refused]


def test_a_second_apply_changes_nothing(clean_sandbox: Sandbox) -> None:
    objects = committed("gpu")
    assert rehearsed(objects, clean_sandbox).ok
    before = versions(clean_sandbox, "airis")

    assert rehearsed(objects, clean_sandbox).ok

    assert versions(clean_sandbox, "airis") == before


def test_a_changed_image_rolls_the_pods(clean_sandbox: Sandbox) -> None:
    assert rehearsed(wanted(draw()), clean_sandbox).ok
    before = {each["metadata"]["uid"] for each in objects_of(clean_sandbox, "pods")}

    changed = draw(webui={"image": "ghcr.io/airis/airis:v2"}, ollama={"image": "ollama/ollama:0.34.5"})
    verdict = rehearsed(wanted(changed), clean_sandbox)

    pods = [each for each in objects_of(clean_sandbox, "pods") if "deletionTimestamp" not in each["metadata"]]
    assert verdict.ok, verdict
    assert before.isdisjoint(each["metadata"]["uid"] for each in pods)
    assert {each["spec"]["containers"][0]["image"] for each in pods} == {
        "ghcr.io/airis/airis:v2",
        "ollama/ollama:0.34.5",
    }


def test_destroy_leaves_the_claims_and_their_volumes(clean_sandbox: Sandbox) -> None:
    rendering = program.run(read_stack("gpu", ROOT))
    assert rehearsed(wanted(rendering), clean_sandbox).ok
    before = claims(clean_sandbox)

    # what `pulumi destroy` does: everything goes but what is retained, in the reverse order
    going = [manifest.manifest(each) for each in reversed(manifest.in_order(rendering.objects)) if not each.retain]
    clean_sandbox.kubectl.delete(going)

    assert len(before) == 2
    assert claims(clean_sandbox) == before
    assert objects_of(clean_sandbox, "statefulsets,deployments,services,ingresses") == []

    # and the next `up` finds them again
    assert rehearsed(wanted(rendering), clean_sandbox).ok
    assert claims(clean_sandbox) == before


def claims(sandbox: Sandbox) -> dict[str, tuple[str, str, str]]:
    """Each claim's uid, phase and volume."""
    return {
        each["metadata"]["name"]: (each["metadata"]["uid"], each["status"]["phase"], each["spec"]["volumeName"])
        for each in objects_of(sandbox, "persistentvolumeclaims")
    }


def test_several_replicas_have_a_claim_and_a_stable_name_each(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(ollama={"replicas": 2})), clean_sandbox)

    assert verdict.ok, verdict
    assert set(claims(clean_sandbox)) == {"airis-pvc", "ollama-volume-ollama-0", "ollama-volume-ollama-1"}
    (headless,) = objects_of(clean_sandbox, "services", "ollama")
    assert headless["spec"]["clusterIP"] == "None"


def test_models_are_pulled_by_a_job_for_each_pod(clean_sandbox: Sandbox) -> None:
    verdict = rehearsed(wanted(draw(ollama={"replicas": 2, "models": ["llama3.2:1b", "qwen3:0.6b"]})), clean_sandbox)

    assert verdict.ok, verdict
    jobs = [each for each in verdict.findings if each.kind == "Job"]
    assert [each.state for each in jobs] == [State.READY, State.READY]
    assert sum(each.kind == "Pod" and each.name.startswith("ollama-pull-") for each in verdict.findings) == 2


def test_a_misspelt_field_is_refused_by_the_real_api_server(clean_sandbox: Sandbox) -> None:
    objects = copy.deepcopy(committed("cpu"))
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    deployment["spec"]["replicaz"] = 2

    clean_sandbox.kubectl.apply([each for each in objects if each["kind"] == "Namespace"])
    with pytest.raises(KubectlError, match="replicaz"):
        clean_sandbox.kubectl.apply([deployment])


def test_the_parity_fixture_is_what_kubectl_makes_of_it(clean_sandbox: Sandbox) -> None:
    """The unit tests merge the overlay by themselves: here is the real thing to hold it against."""
    rendered = list(yaml.safe_load_all(clean_sandbox.kubectl.run("kustomize", str(KUSTOMIZE / "gpu"))))

    def by_name(objects: list[Any]) -> dict[tuple[str, str], Any]:
        return {(each["kind"], each["metadata"]["name"]): each for each in objects}

    assert by_name(rendered) == by_name(kustomize.render(KUSTOMIZE / "gpu"))
