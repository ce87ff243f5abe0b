"""`airis doctor` as a command: its requests to a cluster, its output, and its exit codes."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airis.cluster.connection import Address, Cluster
from airis.cluster.host_names import resolved
from airis.cluster.ollama_log import Ended
from airis.doctor import examination, registry, webui_script
from airis.doctor.checks import CHECKS, Check, Group, Outcomes, Scope, State, listed, ok
from airis.doctor.examination import Examination, findings, wanted_of
from airis.doctor.observation import Keys, NotChecked, Observation
from airis.doctor.observe import server_of
from airis.doctor.queries import resource_of
from airis.doctor.report import as_data, print_examination
from airis.doctor.this_machine import this_machine
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import ExitCode
from tests.unit.conftest import Command
from tests.unit.doctors import MACHINE, observed, on_machine, pod, serving, wanted
from tests.unit.drawing import ROOT
from tests.unit.test_ollama_log import killed_in_log

pytestmark = pytest.mark.timeout(60)

DOCUMENT = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")

KUBECTL = """\
#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/log"
[ ! -f "$here/silence" ] || { cat "$here/silence" >&2; exit 1; }
case "$*" in
*" version "*) echo '{"clientVersion": {"gitVersion": "v1.36.0"}, "serverVersion": {"gitVersion": "v1.36.1"}}' ;;
*"--raw /apis") echo '{"groups": [{"name": "apps", "versions": [{"version": "v1"}]}]}' ;;
*"/proxy/stats/summary") cat "$here/summary.json" ;;
*" get nodes,"*|*" get events,"*) echo 'Error from server (Forbidden): nodes is forbidden' >&2; exit 1 ;;
*" get nodes "*) echo 'Error from server (Forbidden): nodes is forbidden: User "jane" cannot list resource' >&2; exit 1 ;;
*" get pods --selector=airis.dev/doctor"*) echo '{"kind": "List", "items": []}' ;;
*" get pods "*) cat "$here/pods.json" ;;
*" get secrets "*) echo "session Opaque key other" ;;
*" get --filename=-"*) cat > /dev/null; echo "Service ollama helm kube-controller-manager" ;;
*" create --filename=- --output=jsonpath"*) tr ',' '\\n' | grep -c SelfSubjectAccessReview | xargs seq | sed s/.*/true/ ;;
*" create --dry-run=server"*) cat > /dev/null; cat "$here/refusal" >&2; exit 1 ;;
*" logs ollama-0 "*) cat "$here/ollama.log" ;;
*" exec ollama-0 "*) cat "$here/kills" ;;
*" exec "*) echo 'a warning first'; echo '{"health": "", "ollama": {}, "data": [7, 10]}' ;;
*) echo '{"kind": "List", "items": []}' ;;
esac
"""
KUBECONFIG = """\
contexts: [{name: mine, context: {cluster: mine}}]
clusters: [{name: mine, cluster: {server: "https://home.example.com"}}]
current-context: mine
"""
SUMMARY = {
    "pods": [
        {
            "podRef": {"name": "airis-1", "namespace": "airis"},
            "containers": [{"name": "airis", "memory": {"rssBytes": 7, "workingSetBytes": 8}}, {"name": "starting"}],
            "volume": [
                {"name": "scratch", "usedBytes": 1, "capacityBytes": 9},
                {"pvcRef": {"name": "airis-pvc", "namespace": "airis"}, "usedBytes": 5, "capacityBytes": 10},
                {"pvcRef": {"name": "airis-pvc", "namespace": "other"}, "usedBytes": 9, "capacityBytes": 10},
            ],
        },
        {
            "podRef": {"name": "airis-1", "namespace": "other"},
            "containers": [{"name": "c", "memory": {"rssBytes": 9}}],
        },
    ]
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake kubectl and a kubeconfig, isolated from this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    (folder / "kubeconfig").write_text(KUBECONFIG)
    (folder / "refusal").write_text(
        'Error from server (Forbidden): error when creating "STDIN": pods "x" is\n  refused\n'
    )
    running = {"containerStatuses": [{"name": "airis", "state": {"running": {}}}], "phase": "Running"}
    pods = [pod("airis-1", on="a", labels={"app": "airis"}, status=running)]
    (folder / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    monkeypatch.setattr(examination, "resolved", lambda names: {})
    monkeypatch.setattr(registry, "look_up", lambda images: {})
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    return folder


def test_unreadable_resources_are_recorded_and_no_secret_value_is_read(place: Path) -> None:
    stack = wanted(webui={"sessionKeyFrom": {"name": "session", "key": "key"}})

    seen = server_of(Cluster(place / "kubectl", "airis"), stack)

    assert (seen.version, seen.client, seen.groups) == ("v1.36.1", "v1.36.0", {"apps": ["v1"]})
    assert seen.unknown["nodes"].startswith("No permission: ")
    assert 'User "jane" cannot list' in seen.unknown["nodes"]
    assert seen.unknown.keys() == {"nodes"}
    assert seen.secrets == [Keys("session", "Opaque", frozenset({"key", "other"}))]
    assert [(each.kind, each.name, each.deployed) for each in seen.owned] == [("Service", "ollama", False)]
    assert len(seen.rights) >= 30
    assert all(each.allowed for each in seen.rights)
    assert set(seen.trials.values()) == {'pods "x" is refused'}
    assert seen.fill == {"airis-pvc": (5, 10)}
    assert seen.memory == {"airis-1": {"airis": 7}}
    assert seen.inside == {"health": "", "ollama": {}, "data": [7, 10]}
    for line in (place / "log").read_text().splitlines():
        assert "secret" not in line or "--output=go-template=" in line
        assert not re.search(r" (apply|delete|patch|replace) ", line)
        assert "create" not in line or "--dry-run=server" in line or "jsonpath={.status.allowed}" in line


def test_the_webui_reports_the_usage_of_its_volume(place: Path) -> None:
    (place / "summary.json").unlink()

    seen = server_of(Cluster(place / "kubectl", "airis"), wanted())

    assert seen.fill == {"airis-pvc": (7, 10)}
    assert "kubelets" in seen.unknown


def test_models_with_killed_servers_are_found(place: Path) -> None:
    blob, other, mine = (f"sha256-{letter * 64}" for letter in "abc")
    running = {"containerStatuses": [{"name": "ollama", "state": {"running": {}}}], "phase": "Running"}
    pods = [pod("ollama-0", on="a", labels={"app": "ollama"}, status=running)]
    (place / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    (place / "ollama.log").write_text("".join(map(killed_in_log, (blob, other, mine))))
    (place / "kills").write_text(
        f"oom_kill 3\n{blob} registry.ollama.ai/library/llama3.2/1b\n{other} hf.co/someone/model/Q4_K_M\n"
    )

    (seen,) = server_of(Cluster(place / "kubectl", "airis"), wanted()).killed.values()

    assert seen.kills == 3
    assert [name for name, _ in seen.servers] == ["llama3.2:1b", "hf.co/someone/model:Q4_K_M", ""]
    assert [each for _, each in seen.servers] == [Ended(each, 1, killed=True) for each in (blob, other, mine)]

    # without permission for `exec`, the log is enough
    (place / "kills").unlink()
    (seen,) = server_of(Cluster(place / "kubectl", "airis"), wanted()).killed.values()
    assert seen.kills is None
    assert [name for name, _ in seen.servers] == ["", "", ""]

    # releases before 0.30.0 have no such servers
    old = wanted(ollama={"image": "ollama/ollama:0.17.4"})
    assert server_of(Cluster(place / "kubectl", "airis"), old).killed == {}


def test_a_missing_namespace_is_not_a_rejected_pod(place: Path) -> None:
    (place / "refusal").write_text(
        'Error from server (NotFound): error when creating "STDIN": namespaces "airis" not found'
    )

    seen = server_of(Cluster(place / "kubectl", "airis"), wanted())

    assert seen.unknown["trials"] == "Namespace airis does not exist yet."
    assert seen.trials == {}


def test_without_a_stack_no_stack_queries_are_sent(place: Path, command: Command) -> None:
    code, out, _ = command("doctor")

    log = (place / "log").read_text()
    assert code == 0
    assert "context mine" in out
    assert "Does the API server admit the pods?" not in out
    assert not re.search(r"create|secrets|exec", log)


@pytest.mark.parametrize(("args", "code"), [((), 3), (("--stack", "cpu"), 4)])
def test_a_cluster_that_does_not_answer(place: Path, command: Command, args: tuple[str, ...], code: int) -> None:
    (place / "silence").write_text("Unable to connect to the server: dial tcp: i/o timeout\n")

    ended, out, _ = command("doctor", *args, "--format", "json")

    said = json.loads(out)
    assert ended == said["exit_code"] == code
    (found,) = [each for each in said["findings"] if each["check"] == "cluster"]
    assert found["state"] == "problem"
    assert "i/o timeout" in found["what"]
    assert not [each for each in said["findings"] if each["group"] not in (Group.MACHINE, Group.ACCESS)]


@pytest.mark.parametrize("args", [(), ("--stack", "cpu")])
def test_an_unusable_kubeconfig_is_a_problem(
    place: Path, command: Command, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(place / "missing"))
    ended, out, _ = command("doctor", *args, "--format", "json")
    assert ended == 4
    (found,) = [each for each in json.loads(out)["findings"] if each["check"] == "cluster"]
    assert found["state"] == "problem"
    assert f"{place / 'missing'}: there is no such file" in found["what"]


@pytest.mark.usefixtures("no_cluster")
@pytest.mark.parametrize(("args", "code"), [((), 0), (("--stack", "cpu"), 4)])
def test_without_a_configured_cluster_nothing_is_checked(
    place: Path, command: Command, args: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)

    ended, out, _ = command("doctor", *args, "--format", "json")

    assert ended == code
    (found,) = [each for each in json.loads(out)["findings"] if each["check"] == "cluster"]
    assert found["state"] == "not checked"
    assert not (place / "log").exists()


def test_invalid_input_is_rejected_before_any_request(place: Path, project: Path, command: Command) -> None:
    (project / "Pulumi.bad.yaml").write_text("config: {airis:ollama: {replicas: -1}}")

    for stack, words in (("bad", "airis:ollama.replicas"), ("none", "there is no stack 'none'")):
        code, out, err = command("doctor", "--stack", stack)
        assert (code, out) == (1, "")
        assert words in err
    code, out, err = command("doctor", "--kubeconfig", "missing")
    assert (code, out) == (1, "")
    assert "missing: there is no such file" in err
    assert not (place / "log").exists()


def test_the_command_works_outside_of_a_project(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert examination.examine(None).exit_code is ExitCode.OK


def test_the_state_and_its_passphrase(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_machine(tmp_path).passphrase == ""
    assert not (tmp_path / ".state").exists()
    stacks = tmp_path / ".state" / ".pulumi" / "stacks" / "airis"
    stacks.mkdir(parents=True)
    (stacks / "gpu.json").write_text("{}")
    assert "its file `passphrase` is missing" in this_machine(tmp_path).passphrase
    (tmp_path / ".state" / "passphrase").write_text("x")
    assert this_machine(tmp_path).passphrase == ""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "missing"))
    assert "names a file that does not exist" in this_machine(tmp_path).passphrase
    assert this_machine(tmp_path).kubectl == str(place / "kubectl")


def test_a_probe_creates_and_deletes_its_pods(place: Path, command: Command) -> None:
    ended, out, _ = command("doctor", "--stack", "cpu", "--probe", "--format", "json")

    told = (place / "log").read_text().splitlines()
    (made,) = [each for each in told if re.search(r" create --filename=- --output=name$", each)]
    (deleted,) = [each for each in told if " delete pods " in each]
    assert told.index(made) < told.index(deleted)
    assert len(re.findall(r" airis-deployment-probe-(?:webui|ollama|stranger)-[a-z]+", deleted)) >= 2
    found = [each for each in json.loads(out)["findings"] if each["check"] == "reach"]
    assert (
        [each["state"] for each in found].count("not checked") == len(found) > 0
    )  # this kubectl does not return the pods
    assert any("the pod was deleted by another user or controller" in each["what"] for each in found)
    assert ended == json.loads(out)["exit_code"]


def examined(seen: Observation, *, needed: bool = False) -> Examination:
    return Examination(None, findings(seen), needed, seen.server is not None)


def test_the_report_has_finding_reason_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(on_machine(python=(3, 9), sandbox_missing=("etcd",)))

    print_examination(found)

    lines = [each.rstrip() for each in capsys.readouterr().out.splitlines()]
    assert lines[:4] == [
        "This machine",
        "problem      Python is 3.9; it must be 3.11 or newer",
        f"             why: {CHECKS['python'].why}",
        f"             remedy: {CHECKS['python'].remedy}",
    ]
    assert lines[4].startswith("warning      not installed yet: etcd")
    assert lines[-1] == "This machine and its cluster: 1 problem, 1 warning, 1 not checked, 4 ok."
    assert found.exit_code is ExitCode.NOT_READY


def test_only_problems_and_warnings_have_a_remedy() -> None:
    found = examined(replace(observed(), address=Address("a cluster")))

    for each in found.findings:
        assert bool(each.remedy) == (each.state in (State.PROBLEM, State.WARNING)), each
        assert each.why


def test_findings_before_not_checked_are_kept() -> None:
    def run(_: Observation) -> Outcomes:
        yield ok("the first")
        raise NotChecked("No permission.")

    check = Check("x", Group.NODES, Scope.CLUSTER, "Is it?", "why", "remedy", run)

    assert [(each.state, each.what) for each in check.findings(Observation(MACHINE))] == [
        (State.OK, "the first"),
        (State.NOT_CHECKED, "Is it? No permission."),
    ]


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its header."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [each.strip("|").split(" | ") for each in section.splitlines() if each.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_documentation_lists_every_check() -> None:
    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    rows = [row for group in Group for row in table(group.value)]

    assert rows == [
        [f"`{each.name}`", cell(each.asks), cell(each.why), cell(each.remedy)]
        for group in Group
        for each in CHECKS.values()
        if each.group is group
    ]


def test_the_documentation_lists_every_key_of_the_json() -> None:
    data = as_data(examined(observed()))
    first: Any = data["findings"]
    keys = [*data, *(f"findings[].{key}" for key in first[0])]

    assert [row[0].strip("`") for row in table("JSON")] == keys


LOADED = [{"name": "llama3.2:1b", "size": 1_500_000_000, "context_length": 4096}]


def test_the_webui_script_reports_health_models_and_disk_usage(tmp_path: Path) -> None:
    source = Path(webui_script.__file__).read_text(encoding="utf-8")
    models = json.dumps({"models": [{"name": "llama3.2:1b"}]})
    running = json.dumps({"models": [{**LOADED[0], "size_vram": 0}]})
    answers = {"/health": '{"status": true}', "/api/tags": models, "/api/ps": running}
    with serving(answers) as port, serving({}) as other:
        urls = f"http://127.0.0.1:{port}/; http://127.0.0.1:{other}"
        answered = subprocess.run(
            [sys.executable, "-I", "-B", "-c", source, str(port)],
            env={"OLLAMA_BASE_URLS": urls, "DATA_DIR": str(tmp_path), "HTTP_PROXY": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
    said = json.loads(answered.stdout)
    assert said["health"] == ""
    assert said["ollama"][f"http://127.0.0.1:{port}/"] == {"models": ["llama3.2:1b"], "loaded": LOADED, "error": ""}
    assert "404" in said["ollama"][f"http://127.0.0.1:{other}"]["error"]
    assert said["data"][1] > said["data"][0] > 0


def test_upserts_are_read_from_the_stack_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = read_stack("cpu", ROOT)
    allowed = replace(stack, config={**stack.config, "kubernetes:upsertExistingObjects": "true"})

    assert not wanted_of(stack).upserts
    assert wanted_of(allowed).upserts
    monkeypatch.setenv("PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "true")
    assert wanted_of(stack).upserts


def test_names_of_resources() -> None:
    kinds = {
        ("v1", "Service"): "services",
        ("networking.k8s.io/v1", "Ingress"): "ingresses.networking.k8s.io",
        ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies.networking.k8s.io",
        ("gateway.networking.k8s.io/v1", "HTTPRoute"): "httproutes.gateway.networking.k8s.io",
        ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers.autoscaling",
        ("scheduling.k8s.io/v1", "PriorityClass"): "priorityclasses.scheduling.k8s.io",
    }
    assert {key: resource_of({"apiVersion": key[0], "kind": key[1]}) for key in kinds} == kinds
    assert listed(["a", "b", "a"]) == "a, b"
    assert listed(map(str, range(7))) == "0, 1, 2, 3, 4 and 2 more"


def test_an_unresolvable_name_has_no_addresses() -> None:
    assert resolved(["localhost", "192.0.2.1", "no-such-name.invalid"])["no-such-name.invalid"] == ()
    assert resolved([]) == {}
