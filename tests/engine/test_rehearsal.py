"""`airis rehearse --engine`: Pulumi creates the same objects as a plain apply."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airis.cluster.finding import State
from airis.rehearse import engine_rehearsal
from airis.rehearse.rehearsal import clean, rehearse
from airis.rehearse.sandbox import Sandbox, load_nodes
from airis.rehearse.verdict import Verdict
from airis.render import manifest, program
from airis.stack_file.stacks import StackFile, read_stack
from tests.engine.conftest import new_project

pytestmark = pytest.mark.timeout(300)

CONFIG = """
config:
  kubernetes:context: a-cluster-far-away
  airis:cluster: {context: a-cluster-far-away, uid: 00000000-0000-4000-8000-000000000000}
  airis:ollama: {gpu: {count: 1}}
  airis:ingress: {host: airis.minikube.local}
  airis:secrets:
    sessionKey: {secure: v1:does:notmatter}
"""

SERVERS_OWN = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
    "deletionGracePeriodSeconds",
)
GIVEN_BY_CHANCE = {"clusterIP", "clusterIPs", "volumeName"}
CHECKSUM = "airis.dev/secrets-checksum"


@pytest.fixture(scope="module")
def stack(engine_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> StackFile:
    """A stack that is pinned to another cluster, with a secret that only its owner can decrypt."""
    folder: Path = tmp_path_factory.mktemp("rehearsal") / "airis"
    new_project(folder, engine_sandbox)
    (folder / "Pulumi.test.yaml").write_text(CONFIG)
    return read_stack("test", folder)


@pytest.fixture
def clean_sandbox(engine_sandbox: Sandbox) -> Iterator[Sandbox]:
    clean(engine_sandbox.kubectl)
    engine_sandbox.set_nodes(load_nodes())
    yield engine_sandbox
    clean(engine_sandbox.kubectl)


def rehearsed(stack: StackFile, sandbox: Sandbox, *, engine: bool, seconds: float = 120) -> Verdict:
    wanted = [manifest.manifest(each) for each in manifest.in_order(program.run(stack).objects)]
    return rehearse("test", wanted, sandbox.kubectl, timeout_seconds=seconds, engine_for=stack if engine else None)


def normal(value: Any, key: str = "") -> Any:
    """A live object without the fields that differ each time it is created."""
    if isinstance(value, dict):
        dropped = {*GIVEN_BY_CHANCE, "status", CHECKSUM, *(SERVERS_OWN if key == "metadata" else ())}
        kept = {name: normal(inner, name) for name, inner in value.items() if name not in dropped}
        return {name: inner for name, inner in kept.items() if inner not in ({}, [])}
    return [normal(each) for each in value] if isinstance(value, list) else value


def objects(sandbox: Sandbox, verdict: Verdict) -> dict[str, Any]:
    found = {}
    for each in verdict.findings:
        if each.kind != "Pod":
            namespace = [f"--namespace={each.namespace}"] if each.namespace else []
            (live,) = sandbox.kubectl.get(each.kind, each.name, *namespace)
            if each.kind == "Secret":  # generated, different each time
                live["data"] = sorted(live["data"])
            found[f"{each.kind}/{each.name}"] = normal(live)
    return found


def test_engine_and_plain_apply_create_the_same_objects(stack: StackFile, clean_sandbox: Sandbox) -> None:
    plain = rehearsed(stack, clean_sandbox, engine=False)
    assert plain.ok, plain
    without = objects(clean_sandbox, plain)
    clean(clean_sandbox.kubectl)

    by_engine = rehearsed(stack, clean_sandbox, engine=True)

    assert by_engine.ok, by_engine
    print(f"plain {plain.seconds:.1f} s, engine {by_engine.seconds:.1f} s")
    with_engine = objects(clean_sandbox, by_engine)
    assert len(with_engine) == len(without) == 15
    for name, body in without.items():
        assert with_engine[name] == body, name


def test_the_rehearsal_does_not_use_the_stacks_cluster_and_secrets(stack: StackFile, tmp_path: Path) -> None:
    copy = engine_rehearsal.copied(stack, tmp_path, 5)
    text = copy.path.read_text()
    assert "far-away" not in text
    assert "00000000" not in text
    assert "secure" not in text
    assert "readySeconds: 30" in text
    assert set(engine_rehearsal.secret_config(stack)) == {"airis:secrets.sessionKey"}
    assert (tmp_path / "__main__.py").is_symlink()
    assert not (tmp_path / "Pulumi.gpu.yaml").exists()


def test_pending_pods_are_reported_and_pulumi_is_stopped(stack: StackFile, clean_sandbox: Sandbox) -> None:
    path = stack.path.with_name("Pulumi.many.yaml")
    path.write_text(json.dumps({"config": {"airis:ollama": {"gpu": {"count": 8}}}}))

    verdict = rehearsed(read_stack("many", path.parent), clean_sandbox, engine=True)

    (pod,) = [each for each in verdict.findings if each.name == "ollama-0"]
    assert pod.state is State.PENDING
    assert "Insufficient nvidia.com/gpu" in pod.reason
    assert verdict.seconds < 90
