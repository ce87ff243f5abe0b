"""The life of a stack with the real engine, in the order of the tests: each goes on where the one before ended."""

import base64
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.engine.conftest import AIRIS, Project

pytestmark = pytest.mark.timeout(400)

GPU: dict[str, Any] = {"airis:ollama": {"gpu": {"count": 1}}, "airis:ingress": {"host": "airis.minikube.local"}}
RESOURCES = 19
"""How many the stack has in Pulumi, itself and its components among them."""
TOO_MANY = {**GPU, "airis:ollama": {"gpu": {"count": 8}}}

KNOWN: dict[str, Any] = {}
"""What an earlier test saw, and a later one compares with."""


def with_(**changes: object) -> dict[str, Any]:
    return {**GPU, **{f"airis:{key}": value for key, value in changes.items()}}


def session_key(project: Project) -> str:
    (secret,) = project.get("secret", "airis-secrets")
    return base64.b64decode(secret["data"]["WEBUI_SECRET_KEY"]).decode()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def changes(text: str) -> dict[str, int]:
    """The counts below Pulumi's `Resources:`."""
    found: dict[str, int] = {}
    for line in text.rpartition("Resources:")[2].splitlines():
        words = line.replace("+", " ").replace("~", " ").replace("-", " ").split()
        if words and words[0].isdecimal():
            found[words[-1]] = int(words[0])
    return found


def resource(project: Project, kind: str) -> dict[str, Any]:
    (found,) = project.get(kind)
    return found


def image(project: Project) -> str:
    containers = resource(project, "deployment")["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])


def test_preview_of_a_new_stack_touches_nothing(project: Project) -> None:
    project.write("gpu", GPU)
    text = project.done("preview", "--stack", "gpu")

    assert "context kwok-" in text
    assert "server https://127.0.0.1:" in text
    assert "namespace airis" in text
    assert changes(text) == {"create": RESOURCES}
    assert project.get("namespace", "airis") == []


def test_up_asks_and_without_a_terminal_it_refuses(project: Project) -> None:
    for command in ("up", "refresh", "destroy"):
        code, text = project.run(*AIRIS, command, "--stack", "gpu")
        assert code == 1
        assert "--yes" in text
    assert project.get("namespace", "airis") == []


def test_why_a_pod_does_not_start_is_told_within_seconds(project: Project) -> None:
    project.write("gpu", TOO_MANY)
    run = project.airis("up", "--stack", "gpu", "--yes")
    KNOWN["run"] = run
    created = run.when("StatefulSet ollama creating")

    told = run.when("Pod/ollama-0 does not start", 60)

    KNOWN["told after"] = told - created
    print(f"told after {told - created:.1f} s")
    assert told - created < 15
    assert "Insufficient nvidia.com/gpu" in run.text
    assert "airis:ollama.gpu.count" in run.text
    assert "Pod/airis-deployment" not in run.text  # it merely starts


def test_killed_in_the_middle_and_told_so(project: Project) -> None:
    run = KNOWN.pop("run")
    os.kill(run.pulumi(), signal.SIGKILL)

    assert run.end() == 3
    assert "SIGKILL" in run.text
    assert "run the same command again" in run.text
    assert "Not started: Pod/ollama-0" in run.text


def test_the_next_up_finds_out_what_was_under_way_and_goes_on(project: Project) -> None:
    before = {kind: project.uids(kind) for kind in ("persistentvolumeclaims", "statefulsets", "secrets")}
    KNOWN["session key"] = digest(session_key(project))
    project.write("gpu", GPU)

    text = project.done("up", "--stack", "gpu", "--yes")

    assert "creating StatefulSet/ollama" in text
    assert "that process is gone" in text
    assert "Made already: StatefulSet/ollama" in text
    # the controller would wait for ever for the pod that asked for eight
    assert "Pod/ollama-0 is of an older template" in text
    assert {kind: project.uids(kind) for kind in before} == before
    assert digest(session_key(project)) == KNOWN["session key"]
    assert resource(project, "statefulset")["status"]["readyReplicas"] == 1


def test_then_there_is_nothing_to_change(project: Project) -> None:
    text = project.done("preview", "--stack", "gpu", "--expect-no-changes")
    assert changes(text) == {"unchanged": RESOURCES}


def test_plain_pulumi_does_the_same(project: Project) -> None:
    code, text = project.run("pulumi", "preview", "--stack", "gpu", "--expect-no-changes", "--non-interactive")
    assert code == 0, text
    assert changes(text) == {"unchanged": RESOURCES}


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        (with_(webui={"image": "ghcr.io/airis/airis:v2"}), ["Deployment"]),
        (with_(ollama={"gpu": {"count": 1}, "resources": {"limits": {"memory": "8Gi"}}}), ["StatefulSet"]),
        (TOO_MANY, ["StatefulSet"]),
        # Open WebUI is told its own address
        (with_(ingress={"host": "chat.example.com"}), ["Deployment", "Ingress"]),
    ],
    ids=["image", "resources", "gpus", "host"],
)
def test_a_change_is_an_update_of_what_it_concerns(
    project: Project, changed: Mapping[str, Any], kinds: list[str]
) -> None:
    project.write("gpu", changed)
    code, text = project.run("pulumi", "preview", "--stack", "gpu", "--non-interactive", "--json")
    assert code == 0, text
    steps = json.loads(text[text.index("{") : text.rindex("}") + 1])["steps"]
    done = {(each["op"], each["newState"]["type"].rpartition(":")[2]) for each in steps if each["op"] != "same"}
    assert done == {("update", kind) for kind in kinds}


def test_several_changes_at_once_keep_every_object(project: Project) -> None:
    kinds = ("persistentvolumeclaims", "statefulsets", "deployments", "services", "ingresses")
    before = {kind: project.uids(kind) for kind in kinds}
    project.write("gpu", with_(webui={"image": "ghcr.io/airis/airis:v2"}, ingress={"host": "chat.example.com"}))

    text = project.done("up", "--stack", "gpu", "--yes")

    assert changes(text) == {"updated": 2, "unchanged": RESOURCES - 2}
    assert {kind: project.uids(kind) for kind in kinds} == before
    assert image(project) == "ghcr.io/airis/airis:v2"
    assert resource(project, "ingress")["spec"]["rules"][0]["host"] == "chat.example.com"


def test_what_somebody_else_changed_is_seen_and_undone(project: Project) -> None:
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"airis","image":"example.com/wrong:1"}]}}}}'
    project.sandbox.kubectl.run("patch", "deployment", "airis-deployment", "--namespace=airis", f"--patch={patch}")

    text = project.done("refresh", "--stack", "gpu", "--yes")
    assert "Deployment airis-deployment updated" in text

    # whoever changed it owns the field now: it is not taken back without being asked to
    code, text = project.run(*AIRIS, "up", "--stack", "gpu", "--yes")
    assert code == 3
    assert "kubectl-patch" in text
    assert "--force-conflicts" in text
    assert image(project) == "example.com/wrong:1"
    text = project.done("preview", "--stack", "gpu", "--force-conflicts")
    assert changes(text) == {"update": 1, "unchanged": RESOURCES - 1}
    project.done("up", "--stack", "gpu", "--yes", "--force-conflicts")
    assert image(project) == "ghcr.io/airis/airis:v2"
    project.done("preview", "--stack", "gpu", "--expect-no-changes")


def test_ctrl_c_ends_well_and_the_next_up_goes_on(project: Project) -> None:
    project.write("gpu", TOO_MANY)
    run = project.airis("up", "--stack", "gpu", "--yes")
    run.when("Waiting for StatefulSet")
    start = time.monotonic()
    run.process.send_signal(signal.SIGINT)

    assert run.end() == 130
    assert time.monotonic() - start < 30
    assert "Stopping: Pulumi ends what is under way" in run.text
    assert "Traceback" not in run.text

    project.write("gpu", GPU)
    text = project.done("up", "--stack", "gpu", "--yes")
    assert "The last run did not end well" in text
    assert "cut off" not in text  # it ended well: nothing is unknown, and nobody holds the stack
    assert "pulumi cancel" not in text
    assert resource(project, "statefulset")["status"]["readyReplicas"] == 1


def test_an_api_server_that_goes_away(project: Project, api_server: Callable[[], Callable[[], None]]) -> None:
    claims = project.uids("persistentvolumeclaims")
    project.write("gpu", TOO_MANY)
    run = project.airis("up", "--stack", "gpu", "--yes")
    run.when("Waiting for StatefulSet")
    restart = api_server()
    time.sleep(3)
    code, text = project.run(*AIRIS, "preview", "--stack", "gpu")
    assert code == 4
    assert "the cluster does not answer" in text
    run.process.send_signal(signal.SIGINT)
    assert run.end() in (3, 130), run.text

    restart()
    project.write("gpu", GPU)
    project.done("up", "--stack", "gpu", "--yes")
    assert resource(project, "statefulset")["status"]["readyReplicas"] == 1
    assert project.uids("persistentvolumeclaims") == claims
    project.done("preview", "--stack", "gpu", "--expect-no-changes")


def test_a_stack_stays_on_its_own_cluster(project: Project) -> None:
    (system,) = project.get("namespace", "kube-system")
    other = "00000000-0000-4000-8000-000000000000"
    pinned = {**with_(cluster={"uid": other}), "airis:ingress": {"host": "elsewhere.example.com"}}
    project.write("gpu", pinned)
    before = resource(project, "ingress")["metadata"]["resourceVersion"]

    for command in (["up", "--yes"], ["preview"], ["refresh", "--yes"], ["destroy", "--yes"]):
        code, text = project.run(*AIRIS, *command, "--stack", "gpu")
        assert code == 1, text
        assert other in text
        assert system["metadata"]["uid"] in text
    code, text = project.run("pulumi", "up", "--stack", "gpu", "--yes", "--non-interactive", "--skip-preview")
    assert code != 0
    assert f"pinned to cluster {other} (airis:cluster.uid), but this is {system['metadata']['uid']}" in text
    assert resource(project, "ingress")["metadata"]["resourceVersion"] == before

    project.write("gpu", with_(cluster={"uid": system["metadata"]["uid"]}))
    project.done("preview", "--stack", "gpu", "--expect-no-changes")
    project.write("gpu", GPU)


def test_secrets_are_encrypted_in_the_state(project: Project) -> None:
    marker = "marker-of-a-session-key-of-ones-own"
    code, text = project.run(
        "pulumi", "config", "set", "--stack", "gpu", "--secret", "--path", "airis:secrets.sessionKey", marker
    )
    assert code == 0, text
    project.run("pulumi", "config", "set", "--stack", "gpu", "--path", "airis:webui.replicas", "1")
    generated = session_key(project)

    text = project.done("up", "--stack", "gpu", "--yes")

    assert session_key(project) == marker
    written = [*project.state_files(), project.folder / "Pulumi.gpu.yaml"]
    assert len(written) > 3
    for file in written:
        content = file.read_bytes()
        for secret in (marker, generated, "marker-of-the-passphrase"):
            assert secret.encode() not in content, file
            assert base64.b64encode(secret.encode()) not in content, file
    assert marker not in text
    assert generated not in text


def test_two_stacks_live_side_by_side(project: Project) -> None:
    before = project.uids("persistentvolumeclaims")
    project.write("second", {"airis:namespace": "second", "airis:ingress": {"host": "second.example.com"}})

    project.done("up", "--stack", "second", "--yes")

    assert set(project.uids("persistentvolumeclaims", "second")) == set(before)
    assert project.uids("persistentvolumeclaims") == before
    project.done("preview", "--stack", "gpu", "--expect-no-changes")


def test_destroy_leaves_the_data_and_up_finds_it_again(project: Project) -> None:
    project.write("gpu", GPU)
    before = project.uids("persistentvolumeclaims")

    text = project.done("destroy", "--stack", "gpu", "--yes")

    assert "PersistentVolumeClaim/airis-pvc" in text
    assert project.uids("persistentvolumeclaims") == before
    assert project.get("deployments,statefulsets,services,ingresses,secrets,networkpolicies") == []
    assert project.uids("deployments", "second") != {}

    project.done("up", "--stack", "gpu", "--yes")
    assert project.uids("persistentvolumeclaims") == before
    assert digest(session_key(project)) == KNOWN["session key"]
