"""The comment on a pull request, from plain values: its contents, escaping, and size limit."""

import re
from dataclasses import replace

import pytest

from airis.cluster.finding import Finding, State
from airis.diff import Action, Amount, DataNote, Diff, FieldChange, ObjectChange, Problem, Totals
from airis.rehearse.verdict import Verdict
from airis.render.check import Broken, Report
from airis.review.comment import LIMIT, MARKER, comment, failure
from airis.review.gather import Failed, StackReview, worst
from airis.terminal.errors import ExitCode
from policy.rules import Level
from policy.rules import Problem as Violation

pytestmark = pytest.mark.timeout(60)

HOSTILE = "`````</details>|<img src=x onerror=alert(1)>|@team #1 <!-- [x](http://y) **b** \u202e\x07"
READY = Finding("Pod", "ollama-0", "airis", State.READY, "gpu-0")
PENDING = Finding("Pod", "ollama-0", "airis", State.PENDING, reason="Insufficient nvidia.com/gpu")


def change(**deviations: object) -> ObjectChange:
    plain = ObjectChange("StatefulSet", "airis", "ollama", Action.CHANGED, (FieldChange("spec.replicas", 1, 2),))
    return replace(plain, **deviations)  # type: ignore[arg-type]


def diff(name: str = "gpu", *changes: ObjectChange, **deviations: object) -> Diff:
    plain = Diff(name, "main (12345678)", "the working tree", changes or (change(),), Totals(), Totals())
    return replace(plain, **deviations)  # type: ignore[arg-type]


def verdict(*findings: Finding) -> Verdict:
    return Verdict("gpu", findings, 1.5)


def report(*broken: Broken) -> Report:
    return Report("gpu", 12, broken)


def violation(level: Level, words: str = "add one") -> Broken:
    return Broken(level, "resource-limits", Violation("StatefulSet/ollama", "spec", words))


def row(text: str) -> dict[str, str]:
    """The table cells of the first stack."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    headings, cells = ([each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]] for line in (lines[0], lines[2]))
    assert len(headings) == len(cells)
    return dict(zip(headings, cells, strict=True))


def outside_of_fences(text: str) -> str:
    """The Markdown outside fenced blocks, found with GitHub's rules."""
    kept, fence = [], ""
    for line in text.splitlines():
        run = re.match(r"`{3,}", line)
        if fence:
            if run and len(run[0]) >= len(fence) and line.strip("` ") == "":
                fence = ""
        elif run:
            fence = run[0]
        else:
            kept.append(line)
    assert fence == ""
    return "\n".join(kept)


def test_the_comment_begins_with_marker_and_table() -> None:
    text = comment([StackReview(diff(), verdict(READY), report())], "main")
    assert text.startswith(f"{MARKER}\n")
    assert text.index("| stack |") < text.index("<details>")
    assert "CAUTION" not in text
    assert "Cut" not in text


def test_a_row_summarizes_the_changes() -> None:
    told = diff(
        "gpu",
        change(restarts=("ollama-0: restarted",), downtime=("Ollama is unavailable",)),
        change(kind="Service", action=Action.CREATED),
        totals_before=Totals(devices={"nvidia.com/gpu": Amount(1, 1)}),
        totals_after=Totals(devices={"nvidia.com/gpu": Amount(2, 4)}),
    )
    text = comment([StackReview(told, verdict(READY), report())], "main")
    assert row(text) == {
        "stack": "gpu",
        "changes": "1 created, 1 changed",
        "pods restart": "StatefulSet/ollama",
        "downtime": "StatefulSet/ollama",
        "data": "kept",
        "GPUs": "1 → 2 to 4 nvidia.com/gpu",
        "rehearsal": "comes up",
        "policy": "kept",
    }


def test_unchanged_gpus_are_shown_once() -> None:
    same = Totals(devices={"nvidia.com/gpu": Amount(1, 1)})
    cells = row(comment([StackReview(diff("gpu", totals_before=same, totals_after=same))], "main"))
    assert cells["GPUs"] == "1 nvidia.com/gpu"


def test_unchecked_parts_are_shown_as_not_run() -> None:
    cells = row(comment([StackReview(diff())], "main"))
    assert (cells["rehearsal"], cells["policy"]) == ("not run", "not run")


def test_touched_data_precedes_the_table() -> None:
    claim = change(kind="PersistentVolumeClaim", name="airis-pvc", data=(DataNote("its data is lost"),))
    text = comment([StackReview(diff("gpu", claim))], "main")
    assert text.index("[!CAUTION]") < text.index("| stack |")
    assert row(text)["data"] == "**touched**: PersistentVolumeClaim/airis-pvc"
    grown = replace(claim, data=(DataNote("it grows", harmless=True),))
    assert row(comment([StackReview(diff("gpu", grown))], "main"))["data"] == "kept"


def test_failures_are_quoted() -> None:
    review = StackReview(diff(), verdict(READY, PENDING), report(violation(Level.MANDATORY)))
    text = comment([review], "main")
    assert row(text)["rehearsal"] == "**1 of 2 not ready**"
    assert row(text)["policy"] == "**rules broken: 1**"
    assert "Pod/ollama-0  pending  Insufficient nvidia.com/gpu" in text
    assert "mandatory: resource-limits: StatefulSet/ollama: spec: add one" in text
    assert "<details open>" in text


def test_an_impossible_rehearsal_is_not_a_failure_of_the_stack() -> None:
    lacking = Failed("no Go toolchain\n  install Go", ExitCode.ENVIRONMENT)
    text = comment([StackReview(diff(), lacking, report())], "main")
    assert row(text)["rehearsal"] == "not possible here"
    assert "no Go toolchain\n  install Go" in text


def test_an_invalid_stack_shows_the_reason() -> None:
    broken = diff("gpu", changes=(), problems=(Problem("after", "Pulumi.gpu.yaml: 1 setting is wrong"),))
    text = comment([StackReview(broken)], "main")
    assert row(text)["changes"] == "**does not validate**"
    assert row(text)["data"] == ""
    assert "Pulumi.gpu.yaml: 1 setting is wrong" in text


def test_a_base_that_does_not_render_is_shown_as_unknown() -> None:
    broken = diff("gpu", changes=(), problems=(Problem("before", "it was wrong before"),))
    text = comment([StackReview(broken, verdict(READY), report())], "main")
    assert row(text)["changes"].startswith("unknown")
    assert row(text)["data"] == ""
    assert row(text)["rehearsal"] == "comes up"
    assert "it was wrong before" in text


def test_without_changes_the_comment_is_short() -> None:
    assert comment([], "main") == f"{MARKER}\n### What this change does\n\nNo stack changes, compared with main.\n"


@pytest.mark.parametrize("word", [HOSTILE, f"a\n{HOSTILE}\n```\n"])
def test_contents_of_a_pull_request_are_only_text(word: str) -> None:
    everywhere = diff(
        word,
        change(
            name=word,
            fields=(FieldChange(word, word, f"{word}\n{word}"),),
            restarts=(word,),
            downtime=(word,),
            data=(DataNote(word),),
        ),
        before=word,
        settings=(word,),
        totals_after=Totals(devices={word: Amount(1, 1)}),
        problems=(Problem("reasons", word),),
    )
    review = StackReview(
        everywhere,
        replace(verdict(replace(PENDING, name=word, reason=word)), stack=word),
        replace(report(violation(Level.MANDATORY, word)), stack=word),
    )
    for text in (
        comment([review], word),
        comment(
            [replace(review, rehearsal=Failed(word, ExitCode.NOT_READY), policy=Failed(word, ExitCode.NOT_READY))], word
        ),
        failure(word, word),
    ):
        read = outside_of_fences(text).removeprefix(MARKER)
        tags = set(re.findall(r"<[^>]*>?", read))
        assert tags <= {
            "<details>",
            "<details open>",
            "</details>",
            "<summary>",
            "</summary>",
            "<b>",
            "</b>",
            "<code>",
            "</code>",
            "<br>",
        }
        assert read.count("<details") == read.count("</details>")
        without_code = re.sub(r"<code>.*?</code>", "", read)
        assert re.search(r"(?<!\w)@\w", without_code) is None
        assert re.search(r"(?<!\\)\]\(", without_code) is None
        assert "\u202e" not in read
        assert "\x07" not in text
        if "| stack |" in text:
            row(text)  # as many cells as headings


def test_a_cut_comment_keeps_the_table_and_lists_cut_sections() -> None:
    fields = tuple(FieldChange(f"spec.field{number}", "x" * 300, "ü" * 300) for number in range(2))
    objects = tuple(change(name=f"ollama-{number}", fields=fields) for number in range(40))
    reviews = [StackReview(diff(f"stack-{number}", *objects), verdict(READY), report()) for number in range(9)]
    reviews.append(StackReview(diff("small"), verdict(READY), report()))
    text = comment(reviews, "main")
    assert LIMIT * 0.8 < len(text.encode()) <= LIMIT
    for number in range(9):
        assert f"| stack-{number} | 40 changed |" in text
    assert "**Cut** to GitHub's limit of 65,536 characters" in text
    assert "stack-0, stack-1, stack-2 and of 6 more" in text
    # small sections are not cut
    assert "+ spec.replicas: 2" in text
    assert "small" not in text[text.index("**Cut**") : text.index("shows everything")]
    read = outside_of_fences(text)
    assert read.count("<details") == read.count("</details>")


@pytest.mark.parametrize("limit", [6_000, 12_000, 30_000])
def test_the_comment_fits_any_limit(limit: int) -> None:
    long = Failed("a long story " * 5_000, ExitCode.NOT_READY)
    reviews = [StackReview(diff(f"stack-{number}"), long, long) for number in range(20)]
    text = comment(reviews, "main", limit)
    assert len(text.encode()) <= limit
    assert "**Cut**" in text
    assert "| stack-19 |" in text


def test_hundreds_of_stacks_fit() -> None:
    name = "a-very-long-name-of-a-stack-" * 4
    touched = change(
        kind="PersistentVolumeClaim", name="c" * 200, data=(DataNote("lost"),), restarts=("x",), downtime=("y",)
    )
    reviews = [StackReview(diff(f"{name}{number}", *[touched] * 9)) for number in range(300)]
    text = comment(reviews, "main")
    assert len(text.encode()) <= LIMIT
    assert "250 more stacks are not in the table" in text


@pytest.mark.parametrize(
    ("review", "code"),
    [
        (StackReview(diff()), ExitCode.OK),
        (StackReview(diff(), verdict(READY), report(violation(Level.ADVISORY))), ExitCode.OK),
        (StackReview(diff(), verdict(PENDING), report()), ExitCode.NOT_READY),
        (StackReview(diff(), verdict(READY), report(violation(Level.MANDATORY))), ExitCode.NOT_READY),
        (StackReview(diff(), Failed("", ExitCode.ENVIRONMENT), report()), ExitCode.ENVIRONMENT),
        (StackReview(diff(), Failed("", ExitCode.ENVIRONMENT), Failed("", ExitCode.NOT_READY)), ExitCode.NOT_READY),
        (StackReview(diff("gpu", changes=(), problems=(Problem("after", ""),))), ExitCode.BAD_INPUT),
        (StackReview(diff("gpu", problems=(Problem("before", ""),)), verdict(READY), report()), ExitCode.OK),
        (StackReview(diff("gpu", change(data=(DataNote("lost"),))), verdict(PENDING)), ExitCode.DATA),
        (StackReview(diff("gpu", change(data=(DataNote("grows", harmless=True),))), verdict(READY)), ExitCode.OK),
    ],
)
def test_the_exit_code_is_the_worst(review: StackReview, code: ExitCode) -> None:
    assert review.exit_code is code


def test_the_worst_of_several_counts() -> None:
    assert worst([]) is ExitCode.OK
    assert worst([ExitCode.NOT_READY, ExitCode.OK, ExitCode.BAD_INPUT]) is ExitCode.BAD_INPUT
    assert worst([ExitCode.BAD_INPUT, ExitCode.DATA, ExitCode.ENVIRONMENT]) is ExitCode.DATA
