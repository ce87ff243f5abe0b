"""The formats of a diff: terminal, Markdown, JSON; and the diff against a file."""

import json
import re
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from airis.diff import Action, DataNote, Diff, FieldChange, ObjectChange, Problem, Totals
from airis.diff.command import exit_code
from airis.diff.markdown import escaped, fenced, written
from airis.diff.terminal import print_diff
from airis.terminal.errors import ExitCode
from tests.unit.conftest import Command
from tests.unit.diffs import diff_of
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

NASTY = "```\n</details><!-- @airis/everybody #1 | `x` </summary> <img src=x onerror=y> $a$ [a](http://b)"


def made(*changes: ObjectChange, problems: tuple[Problem, ...] = ()) -> Diff:
    return Diff("test", "HEAD (12345678)", "the working tree", changes, Totals(), Totals(), ("airis:a",), problems)


def changed(name: str, *fields: FieldChange, **more: Any) -> ObjectChange:
    return ObjectChange("ConfigMap", "airis", name, Action.CHANGED, fields, **more)


def outside_of_blocks(text: str) -> str:
    """The Markdown outside fenced blocks, which end with as many backticks as they begin with."""
    return re.sub(r"^(`{3,})[a-z]*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def terminal(diff: Diff, *, colours: bool = False) -> str:
    written = StringIO()
    print_diff(diff, Console(file=written, force_terminal=colours, highlight=False, width=100))
    return written.getvalue()


class TestMarkdown:
    def test_the_summary_precedes_the_sections_of_objects(self) -> None:
        text = written(diff_of({}, {"ollama": {"storage": {"size": "1Gi"}, "gpu": {"count": 1}}}, why=True), 60_000)
        lines = text.splitlines()
        assert lines[0].startswith("### Stack test: 2 changed;")
        assert text.index("[!CAUTION]") < text.index("| object |") < text.index("| total |") < text.index("<details>")
        assert "| nvidia.com/gpu | 0 | **1** |" in lines
        assert text.count("<details>") == text.count("</details>") == 2
        assert "# forces replacement" not in text
        assert "# ignored by Pulumi; from airis:ollama.storage.size" in lines

    def test_values_cannot_break_out_of_markdown(self) -> None:
        nasty = changed(NASTY, FieldChange("data.a", NASTY, {"b": NASTY}), data=(DataNote(NASTY),), downtime=(NASTY,))
        text = written(made(nasty, problems=(Problem("before", NASTY),)), 60_000)
        left = outside_of_blocks(text)
        assert "onerror" in left  # present, but escaped
        assert "<!--" not in left
        assert "<img" not in left
        assert not re.search(r"@\w", left)
        assert not re.search(r"(?<!&)#\d", left)
        assert left.count("</details>") == left.count("<details>") == 1
        assert left.count("<summary>") == left.count("</summary>") == 1
        assert not re.search(r"(?<!\\)`x", left)
        (row,) = [line for line in left.splitlines() if line.startswith("| ConfigMap/")]
        assert len(re.findall(r"(?<!\\)\|", row)) == 4

    def test_a_fence_is_longer_than_any_in_its_content(self) -> None:
        assert fenced(["a ``` b", "````"]).startswith("`````\n")
        assert fenced(["a\u202eb"]) == "```\na\ufffdb\n```\n"  # no bidirectional overrides

    def test_text_is_escaped(self) -> None:
        assert escaped("a_b*c") == "a\\_b\\*c"
        assert escaped("a\nb | c") == "a b \\| c"
        assert "@everybody" not in escaped("@everybody")

    @pytest.mark.parametrize("limit", [60_000, 20_000, 5_000, 2_000])
    def test_the_limit_holds_and_the_summary_is_kept(self, limit: int) -> None:
        many = [changed(f"object-{number}", FieldChange("data.a", "x" * 300, "ü" * 300)) for number in range(100)]
        text = written(made(*many), limit)
        assert len(text.encode()) <= limit
        assert text.startswith("### Stack test: 100 changed.")
        assert text.count("<details>") == text.count("</details>") < 100
        assert "omitted to stay within the size limit" in text
        left = int(re.findall(r"The fields of (\d+) more objects", text)[0])
        assert left + text.count("<details>") == 100

    def test_even_a_tiny_limit_holds(self) -> None:
        assert len(written(made(changed("a" * 300)), 100).encode()) <= 100

    def test_an_object_with_many_fields_is_cut(self) -> None:
        fields = [FieldChange(f"data.{number}", "a", "b") for number in range(200)]
        assert "... and 120 more fields" in written(made(changed("a", *fields)), 60_000)

    def test_a_long_text_shows_only_changed_lines(self) -> None:
        before, after = "one\ntwo\nthree\n", "one\n2\nthree\n"
        text = written(made(changed("a", FieldChange("data.script", before, after))), 60_000)
        assert "-two\n+2\n" in text
        assert "three" not in text


class TestTerminal:
    def test_only_a_terminal_gets_colours_and_data_loss_is_red(self) -> None:
        diff = made(changed("a", FieldChange("data.a", "1", "2"), data=(DataNote("it is lost"),)))
        assert "\x1b" not in terminal(diff)
        assert "\x1b[1;31m" in terminal(diff, colours=True)
        harmless = made(changed("a", FieldChange("data.a", "1", "2"), data=(DataNote("it grows", harmless=True),)))
        assert "\x1b[1;31m" not in terminal(harmless, colours=True)
        assert "\x1b[33mit grows" in terminal(harmless, colours=True)

    def test_the_summary_is_the_first_line(self) -> None:
        assert terminal(made(changed("a"))).splitlines()[0] == "Stack test: 1 changed."

    def test_terminal_escape_sequences_are_removed(self) -> None:
        nasty = FieldChange("data.a", "one\n", "\x1b[2J\u202etwo\x9b0m\n")
        assert not any(each in terminal(made(changed("a", nasty))) for each in "\x1b\x9b\u202e")

    def test_values_are_not_rich_markup(self) -> None:
        assert "[red]x[/red]" in terminal(made(changed("a", FieldChange("data.a", None, "[red]x[/red]"))))


@pytest.mark.parametrize(
    ("diff", "expect", "code"),
    [
        (made(), True, ExitCode.OK),
        (made(changed("a")), False, ExitCode.OK),
        (made(changed("a")), True, ExitCode.NOT_READY),
        (made(changed("a", data=(DataNote("grows", harmless=True),))), False, ExitCode.OK),
        (made(changed("a", data=(DataNote("lost"),))), False, ExitCode.DATA),
        (made(changed("a", data=(DataNote("lost"),))), True, ExitCode.DATA),
        (made(problems=(Problem("before", "broken"),)), False, ExitCode.NOT_READY),
        (made(problems=(Problem("reasons", "not known"),)), False, ExitCode.OK),
    ],
)
def test_exit_codes(diff: Diff, expect: bool, code: ExitCode) -> None:
    assert exit_code(diff, expect_no_changes=expect) is code


def test_json_is_plain_and_has_the_documented_keys() -> None:
    told = json.loads(json.dumps(made(changed("a", FieldChange("data.a", "1", None))).to_json()))
    text = (ROOT / "docs" / "diff.md").read_text()
    assert set(told) == {
        *(
            "version",
            "stack",
            "before",
            "after",
            "summary",
            "touchesData",
            "compared",
            "settings",
            "changes",
            "totals",
            "problems",
        )
    }
    for key in (*told, *told["changes"][0], *told["changes"][0]["fields"][0], *told["totals"]["after"]):
        assert f"`{key}`" in text, key
    assert told["changes"][0]["fields"][0]["after"] is None


class TestAgainstFile:
    def test_the_stacks_own_render_shows_no_difference(self, project: Path, command: Command) -> None:
        _, out, _ = command("render", "--stack", "production")
        (project / "rendered.yaml").write_text(out)
        code, out, _ = command("diff", "--stack", "production", "--against", "rendered.yaml", "--expect-no-changes")
        assert code == 0
        assert out.startswith("Stack production: no object changes.")

    def test_changes_from_a_file_to_the_stack(self, project: Path, command: Command) -> None:
        _, out, _ = command("render", "--stack", "cpu")
        text = out.replace("airis.minikube.local", "old.example.com")
        (project / "rendered.yaml").write_text(text)
        code, out, _ = command("diff", "--stack", "cpu", "--against", "rendered.yaml", "--format", "json")
        told = json.loads(out)
        assert code == 0
        assert [each["name"] for each in told["changes"]] == ["airis-deployment", "airis-ingress"]
        (url,) = [each for each in told["changes"][0]["fields"] if "WEBUI_URL" in each["path"]]
        assert url["reasons"] == ["airis:webui.url, airis:ingress and airis:gateway"]

    def test_objects_without_namespace_and_in_lists(self, project: Path, command: Command) -> None:
        _, out, _ = command("render", "--stack", "cpu")
        bodies = list(yaml.safe_load_all(out))
        for each in bodies:
            each["metadata"].pop("namespace", None)
        (project / "list.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": bodies}))
        assert command("diff", "--stack", "cpu", "--against", "list.yaml", "--expect-no-changes")[0] == 0

    def test_secrets_of_a_file_are_not_shown(self, project: Path, command: Command) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}, "stringData": {"key": "hunter2"}}
        (project / "secret.yaml").write_text(yaml.safe_dump(secret))
        code, out, err = command("diff", "--stack", "cpu", "--against", "secret.yaml", "--format", "json")
        assert code == 0
        assert "hunter2" not in out + err
        assert "other" in out

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a: [", "bad.yaml:"),
            ("", "contains no objects"),
            ("just text", "something other than a named Kubernetes object"),
            ("{apiVersion: v1, kind: Service, metadata: {}}", "something other than a named Kubernetes object"),
            ("{apiVersion: v1, kind: A, metadata: {name: b}}\n---\n" * 2, "duplicate object A/b"),
            (None, "No such file"),
        ],
    )
    def test_an_invalid_file_is_rejected(self, text: str | None, told: str, project: Path, command: Command) -> None:
        if text is not None:
            (project / "bad.yaml").write_text(text)
        code, out, err = command("diff", "--stack", "cpu", "--against", "bad.yaml")
        assert (code, out) == (1, "")
        assert "bad.yaml" in err
        assert told in err


@pytest.mark.usefixtures("no_cluster")
def test_a_missing_cluster_is_reported(command: Command) -> None:
    code, out, err = command("diff", "--stack", "cpu", "--against", "cluster")
    assert (code, out) == (4, "")
    assert "no cluster is configured" in err


def test_comparing_with_a_file_does_not_run_git(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **options: Any) -> None:
        raise AssertionError(args)

    _, out, _ = command("render", "--stack", "cpu")
    (project / "rendered.yaml").write_text(out)
    monkeypatch.setattr(subprocess, "run", refused)
    assert command("diff", "--stack", "cpu", "--against", "rendered.yaml")[0] == 0
