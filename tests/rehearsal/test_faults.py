"""What goes wrong in clusters, rehearsed: what users see, what is said about it, and that nothing is lost.

docs/faults.md tells the same for operators.
"""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airis.cluster.finding import Finding, State
from airis.cluster.kubectl import Kubectl, KubectlError, KubeObject
from airis.cluster.readiness import Live
from airis.deploy.watch import troubles, watching
from airis.doctor import examination, registry
from airis.doctor.checks import State as Seen
from airis.rehearse.rehearsal import clean, rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.rehearse.verdict import Verdict
from airis.terminal.errors import AirisError, ExitCode
from tests.rehearsal.conftest import remove
from tests.rehearsal.faulty import MISSING, Faulty, configmaps, cut_off, storage_class, until
from tests.rehearsal.moving import is_ready, marked, markers
from tests.rehearsal.test_doctor import examined, of
from tests.rehearsal.test_stacks import find, rehearsed, wanted
from tests.unit.drawing import draw, stack_of

pytestmark = pytest.mark.timeout(240)

GONE = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    for key in ("unreachable", "not-ready")
]
"""Kubernetes itself gives every pod these with 300 seconds; the settings say otherwise here, for the tests' sake."""

GPU: dict[str, Any] = {"ollama": {"gpu": {"count": 1}, "tolerations": GONE}}
SHARED: dict[str, Any] = {
    "database": {"host": "postgres.data", "user": "airis", "passwordFrom": {"name": "credentials", "key": "value"}},
    "redis": {"bundled": {}},
    "vectorStore": "pgvector",
    "objectStorage": {"bucket": "uploads", "workloadIdentity": True, "localCache": False},
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/chat"},
    "rollingUpdates": True,
}
"""What several pods need."""


@pytest.fixture(scope="module")
def hurt() -> Iterator[Faulty]:
    sandbox = Sandbox(f"airis-faults-{os.getpid()}")
    try:
        sandbox.up()
        faulty = Faulty(sandbox)
        faulty.prepare()
        yield faulty
    finally:
        remove(sandbox)


@pytest.fixture
def faulty(hurt: Faulty, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """That sandbox with nothing in it but the default nodes; neither this machine's kubectl nor its resolver counts."""
    hurt.sandbox.up()
    clean(hurt.kubectl)
    hurt.sandbox.set_nodes([])  # one that a failed test left silent or drained looks like a new one
    hurt.sandbox.set_nodes(load_nodes())
    monkeypatch.setenv("PATH", f"{hurt.kubectl.binary.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(examination, "resolved", lambda names: dict.fromkeys(names, ("192.0.2.7",)))
    monkeypatch.setattr(registry, "look_up", lambda images: {})
    return hurt


def deployed(faulty: Faulty, config: dict[str, Any]) -> dict[str, str]:
    """Brings the stack up, and marks its volumes; returns what must not change from here on."""
    verdict = rehearsed(wanted(draw(**config)), faulty.sandbox)
    assert verdict.ok, verdict
    marked(faulty.sandbox)
    until(
        lambda: faulty.answering("airis-service") and faulty.answering("ollama-service"), "both Services lead somewhere"
    )
    return lasting(faulty)


def lasting(faulty: Faulty) -> dict[str, str]:
    return {**faulty.identities(), **{f"marker on {name}": text for name, text in markers(faulty.sandbox).items()}}


def looked(faulty: Faulty, config: dict[str, Any]) -> dict[str, Finding]:
    """What a rehearsal's verdict says of every pod, without applying anything."""
    objects = wanted(draw(**config))
    live = Live(faulty.kubectl.get("pods,deployments,statefulsets", "--all-namespaces")).findings(objects)
    return {each.name: each for each in live if each.kind == "Pod"}


def told(faulty: Faulty) -> dict[str, str]:
    """What `airis up` tells of pods that do not start."""
    return {each.what: str(each) for each in troubles(faulty.all("pods,events"))}


def doctor(faulty: Faulty, config: dict[str, Any]) -> dict[str, str]:
    """What `airis doctor` finds to be wrong, by check; the sandbox has no Ingress controller, which is no matter here."""
    found = examined(stack_of(**config), faulty.sandbox.kubeconfig)
    problems = of(found, Seen.PROBLEM)
    return {**{f"{key} (warning)": text for key, text in of(found, Seen.WARNING).items()}, **problems}


MORE = 400
"""So many objects more make an apply last long enough to be cut off."""

OTHERS = 2
"""ConfigMaps that are there before: the authority of the API server, and the scripts by which the WebUI starts."""


def ready_again(faulty: Faulty, pod: str) -> None:
    """Waits for the pod that takes the place of the one that went."""

    def holds() -> bool:
        found = faulty.pod(pod)
        return bool(found and is_ready(found) and "deletionTimestamp" not in found["metadata"])

    until(holds, f"{pod} is ready again")


def test_the_only_gpu_node_falls_silent_and_comes_back(faulty: Faulty) -> None:
    before = deployed(faulty, GPU)
    healthy = doctor(faulty, GPU)
    assert not healthy.keys() & {"pods", "nodes (warning)"}

    faulty.silence("gpu-0")
    until(lambda: "deletionTimestamp" in (faulty.pod("ollama-0") or {})["metadata"], "ollama-0 is evicted")

    # Its kubelet cannot confirm that it has ended, so it is not replaced: a StatefulSet never has two pods of one name
    assert [
        each["metadata"]["name"] for each in faulty.all("pods") if each["metadata"]["name"].startswith("ollama")
    ] == ["ollama-0"]
    assert {"node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"} <= set(
        faulty.taints("gpu-0").split()
    )
    until(lambda: faulty.answering("ollama-service") == [], "nobody is sent to the pod that is gone")
    assert len(faulty.answering("airis-service")) == 1  # people still get in; the list of models is empty
    ollama = looked(faulty, GPU)["ollama-0"]
    assert (ollama.state, ollama.node) == (State.PENDING, "gpu-0")
    assert ollama.reason == "the pod is terminating, and its node has not confirmed its end"
    said = doctor(faulty, GPU)
    assert said["pods"] == "Pod/ollama-0 is stuck terminating: node gpu-0 is unreachable"
    assert said["nodes (warning)"] == "not ready: gpu-0; 1 of 2 nodes are ready"

    faulty.revive("gpu-0")
    ready_again(faulty, "ollama-0")

    assert lasting(faulty) == before
    until(lambda: faulty.answering("ollama-service") == ["ollama-0"], "Ollama answers")
    until(lambda: "unreachable" not in faulty.taints("gpu-0"), "the controller removes the last taint")
    assert doctor(faulty, GPU) == healthy


def drained(faulty: Faulty, node: str, seconds: int) -> str:
    """`kubectl drain`, as people do it; returns what it says, as an error or not."""
    options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={seconds}s")
    try:
        return faulty.kubectl.run("drain", node, *options, timeout=seconds + 30)
    except KubectlError as error:
        return f"refused: {error}"


def test_a_drain_takes_single_pods_and_they_come_back(faulty: Faulty) -> None:
    """One pod has no PodDisruptionBudget: it could only keep the node from being drained."""
    before = deployed(faulty, GPU)
    assert faulty.all("poddisruptionbudgets") == []

    for node in ("cpu-0", "gpu-0"):
        assert "drained" in drained(faulty, node, 30)

    until(lambda: told(faulty).keys() >= {"Pod/ollama-0"} and len(told(faulty)) == 2, "the scheduler gives its reasons")
    assert all("unschedulable" in each.reason for each in looked(faulty, GPU).values())
    assert faulty.answering("airis-service") == faulty.answering("ollama-service") == []
    said = doctor(faulty, GPU)
    assert "gpu-0 (node.kubernetes.io/unschedulable:NoSchedule)" in said["gpu"]
    assert "with untolerated taint node.kubernetes.io/unschedulable" in said["room"]
    assert said["pods"].count("is not ready") == 2

    for node in ("cpu-0", "gpu-0"):
        faulty.kubectl.run("uncordon", node)
    ready_again(faulty, "airis-deployment")
    ready_again(faulty, "ollama-0")
    assert lasting(faulty) == before


def test_a_gpu_node_is_deleted_while_another_node_is_drained(faulty: Faulty) -> None:
    """Pod garbage collection waits 40 seconds whether the node is really gone; so both are looked at together."""
    config = {**GPU, "webui": {**SHARED, "replicas": 2}}
    cpu, gpu = load_nodes()
    before = deployed(faulty, config)
    until(lambda: len(faulty.answering("airis-service")) == 2, "both pods answer")

    faulty.kubectl.run("delete", "node", "gpu-0")
    drain_that_meets_the_budget(faulty, config, cpu)

    until(lambda: (pod := faulty.pod("ollama-0")) and not pod["spec"].get("nodeName"), "ollama-0 is made anew")
    until(lambda: looked(faulty, config)["ollama-0"].reason, "the scheduler gives its reason")
    assert "node(s) didn't match Pod's node affinity/selector" in looked(faulty, config)["ollama-0"].reason
    assert "no node has the required labels" in told(faulty)["Pod/ollama-0"]
    assert "no node offers nvidia.com/gpu" in doctor(faulty, config)["gpu"]
    assert faulty.answering("ollama-service") == []
    assert len(faulty.answering("airis-service")) == 2
    assert lasting(faulty) == before

    faulty.sandbox.set_nodes([named(cpu, "cpu-1"), gpu])
    ready_again(faulty, "ollama-0")
    assert told(faulty) == {}
    assert lasting(faulty) == before


def drain_that_meets_the_budget(faulty: Faulty, config: dict[str, Any], node: KubeObject) -> None:
    """One pod at a time: the drain goes on when another runs elsewhere, and waits where none can."""
    budgets = {
        each["metadata"]["name"]: each["status"]["disruptionsAllowed"] for each in faulty.all("poddisruptionbudgets")
    }
    assert budgets == {"airis": 1}

    said = drained(faulty, "cpu-0", 15)

    assert said.startswith("refused: ")
    assert "violate the pod's disruption budget" in said
    assert len(faulty.answering("airis-service")) == 1  # users notice nothing
    pods = [each for name, each in looked(faulty, config).items() if name.startswith("airis-deployment")]
    assert sorted(each.state for each in pods) == [State.PENDING, State.READY]

    faulty.kubectl.run("uncordon", "cpu-0")
    faulty.sandbox.set_nodes([node, named(node, "cpu-1")])
    until(lambda: len(faulty.answering("airis-service")) == 2, "both pods answer")
    assert "drained" in drained(faulty, "cpu-0", 60)
    until(lambda: len(faulty.answering("airis-service")) == 2, "both pods answer, on the other node")
    assert {each.node for name, each in looked(faulty, config).items() if name.startswith("airis")} == {"cpu-1"}


def named(node: KubeObject, name: str) -> KubeObject:
    """Another node like it."""
    labels = {**node["metadata"]["labels"], "kubernetes.io/hostname": name}
    return {**node, "metadata": {**node["metadata"], "name": name, "labels": labels}}


def test_a_claim_waits_for_its_class_and_goes_on(faulty: Faulty) -> None:
    """The class does not exist; or nothing makes volumes for it."""
    slow = {"storageClassName": "local", "capacity": {"storage": "30Gi"}, "accessModes": ["ReadWriteOnce"]}
    config = {"webui": {"storage": {"storageClass": "fast"}}, "ollama": {"storage": {"storageClass": "local"}}}
    faulty.kubectl.apply([storage_class("local", "kubernetes.io/no-provisioner")])

    verdict = rehearsed(wanted(draw(**config)), faulty.sandbox)

    assert 'storageclass.storage.k8s.io "fast" not found' in find(verdict, "PersistentVolumeClaim", "airis-pvc").reason
    claim = find(verdict, "PersistentVolumeClaim", "ollama-volume-ollama-0")
    assert (claim.state, claim.reason) == (State.PENDING, "no volume plugin matched name: kubernetes.io/no-provisioner")
    assert "unbound" in find(verdict, "Pod", "ollama-0").reason
    assert "a claim has no volume" in told(faulty)["Pod/ollama-0"]
    assert faulty.answering("airis-service") == faulty.answering("ollama-service") == []
    said = doctor(faulty, config)
    assert "claim airis-pvc: there is no StorageClass fast; there are: local, standard" in said["storage-class"]
    assert "local" in said["storage-class (warning)"]
    assert said["claims"] == "not bound: airis-pvc, ollama-volume-ollama-0"
    claims = faulty.identities()

    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}}
    hand_made = {**volume, "spec": {**slow, "hostPath": {"path": "/var/empty/models"}}}
    faulty.kubectl.apply([storage_class("fast", "kubernetes.io/host-path"), hand_made])
    try:
        verdict = rehearsed(wanted(draw(**config)), faulty.sandbox)
        assert verdict.ok, verdict
        assert {key: uid for key, uid in faulty.identities().items() if key in claims} == claims
        assert "claims" not in doctor(faulty, config)
    finally:
        faulty.kubectl.delete([hand_made, *(storage_class(each, "") for each in ("fast", "local"))], wait=False)


def images(config: dict[str, Any], **images: str) -> dict[str, Any]:
    return {**config, **{part: {**config.get(part, {}), "image": image} for part, image in images.items()}}


def test_an_image_that_nobody_has_and_the_next_apply(faulty: Faulty) -> None:
    """One release at a time works on the database: so the old pod ends before the new one finds that it has no image."""
    before = deployed(faulty, GPU)
    broken = images(GPU, webui=MISSING, ollama=MISSING)

    verdict = rehearsed(wanted(draw(**broken)), faulty.sandbox)

    for name in ("ollama-0", "airis-deployment"):
        pod = find(verdict, "Pod", name)
        assert (pod.state, bool(pod.node)) == (State.PENDING, True)
        assert pod.reason == f'Back-off pulling image "{MISSING}": ErrImagePull: manifest unknown'
    assert faulty.answering("airis-service") == faulty.answering("ollama-service") == []  # nobody gets in: 503
    assert f"{MISSING} does not exist: use ollama/ollama:" in told(faulty)["Pod/ollama-0"]
    assert doctor(faulty, broken)["pods"].count("is not ready: ImagePullBackOff") == 2
    assert lasting(faulty) == before

    # As `airis up` does: it replaces the pod that its StatefulSet waits for in vain
    said: list[str] = []
    with watching(_Airis(faulty.kubectl), said.append):
        verdict = rehearsed(wanted(draw(**GPU)), faulty.sandbox)

    assert verdict.ok, verdict
    assert (
        "Pod/ollama-0 is broken and of an older template, and its StatefulSet waits for it: deleting the pod." in said
    )
    assert lasting(faulty) == before
    until(lambda: faulty.answering("airis-service") and faulty.answering("ollama-service"), "both answer")


class _Airis:
    """The namespace of the stack, as `airis up` looks at it."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def get(self, *args: str) -> list[dict[str, Any]]:
        return self._kubectl.get(*args, "--namespace=airis")

    def run(self, *args: str) -> str:
        return self._kubectl.run(*args, "--namespace=airis")


def test_a_bad_image_under_rolling_updates_leaves_the_old_pods_at_work(faulty: Faulty) -> None:
    config = {"webui": {**SHARED, "replicas": 2}}
    before = deployed(faulty, config)
    until(lambda: len(faulty.answering("airis-service")) == 2, "both pods answer")
    old = set(faulty.answering("airis-service"))

    verdict = rehearsed(wanted(draw(**images(config, webui=MISSING))), faulty.sandbox)

    assert not verdict.ok
    assert find(verdict, "Deployment", "airis-deployment").state is State.PENDING
    assert set(faulty.answering("airis-service")) <= old
    assert faulty.answering("airis-service")
    assert rehearsed(wanted(draw(**config)), faulty.sandbox).ok
    until(lambda: len(faulty.answering("airis-service")) == 2, "both pods answer")
    assert lasting(faulty) == before


def test_the_api_server_restarts_in_the_middle_of_an_apply(faulty: Faulty) -> None:
    """The run that is cut off says so; what runs goes on; the next run makes what is missing."""
    before = deployed(faulty, GPU)
    changed = wanted(draw(**images(GPU, webui="registry.example.com/airis:2")))
    slow = [*(each for each in changed if each["kind"] in ("Namespace", "Secret")), *configmaps(MORE)]
    slow += [each for each in changed if each not in slow]
    ended: list[BaseException | Verdict] = []

    def apply() -> None:
        try:
            ended.append(rehearse("test", slow, faulty.kubectl, timeout_seconds=60))
        except AirisError as error:
            ended.append(error)

    run = threading.Thread(target=apply)
    run.start()
    with cut_off(faulty, lambda: len(faulty.all("configmaps")) > 1) as restart:
        run.join(60)
        assert not run.is_alive()
        (error,) = ended
        assert isinstance(error, KubectlError)
        assert "refused" in str(error)
        gone = examination.examine(None, faulty.sandbox.kubeconfig)
        assert gone.exit_code == ExitCode.ENVIRONMENT
        assert any("does not answer" in each.what for each in gone.findings)
        restart()

    (deployment,) = faulty.all("deployments")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] != "registry.example.com/airis:2"
    made = len(faulty.all("configmaps"))
    assert made < MORE + OTHERS
    assert lasting(faulty) == before

    # The controllers try again after up to half a minute
    until(lambda: rehearse("test", slow, faulty.kubectl, timeout_seconds=60).ok, "the next run brings everything up")
    assert len(faulty.all("configmaps")) == MORE + OTHERS
    (deployment,) = faulty.all("deployments")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/airis:2"
    assert lasting(faulty) == before
