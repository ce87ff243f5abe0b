"""Every command in README.md and docs/ is run if that is harmless, or checked against the program or its documentation."""

import re
from itertools import pairwise

import pytest

from airis.rehearse.sandbox import ensure
from tests.docs.asking import problem
from tests.docs.blocks import PAGES, Command, commands, commands_in
from tests.docs.known import OTHERS, PULUMI
from tests.unit.conftest import Command as Run
from tests.unit.drawing import COMMITTED, ROOT

pytestmark = pytest.mark.timeout(120)

HARMLESS = ("check", "render", "schema")
"""Commands of airis that only read the stack file."""

_PROGRAMS = "|".join(
    sorted({"airis", "kubectl", "make", "pulumi", *(name.split()[0] for name in OTHERS if " " in name)})
)
_INLINE = re.compile(rf"(?<!`)`((?:\.venv/bin/)?(?:{_PROGRAMS}) [a-z][^`]*)`(?!`)")


def harmless(command: Command) -> bool:
    """Whether the command can be run: it only reads the project, and uses one of the project's stacks."""
    name, *arguments = command.words
    if not name.endswith("airis") or "--show-secrets" in arguments:
        return False
    stacks = {value for flag, value in pairwise(arguments) if flag in ("--stack", "-s")}
    return "--help" in arguments or ({*arguments[:1]} <= {*HARMLESS} and stacks <= {*COMMITTED})


@pytest.fixture(scope="module", autouse=True)
def kubectl() -> None:
    """Builds the sandbox's programs if they are not cached yet, outside of the time limit of a test."""
    ensure()


@pytest.mark.parametrize("command", commands(), ids=str)
def test_the_command_exists_with_its_flags(command: Command) -> None:
    assert problem(command.words) is None


@pytest.mark.parametrize("written", [each for each in commands() if harmless(each)], ids=str)
def test_harmless_commands_run(written: Command, command: Run) -> None:
    code, out, err = command(*written.words[1:])
    assert (code, "Traceback" in err) == (0, False)
    assert out


def test_commands_are_found_in_loops_pipes_and_substitutions() -> None:
    found = [
        *commands_in('for each in *.yaml; do X=1 sudo make up "$(minikube ip)" > out 2>&1; done'),
        *commands_in("airis render -s cpu | kubectl diff -f - # a comment"),
    ]
    assert [" ".join(words) for words in found] == [
        "minikube ip",
        "make up $(minikube ip)",
        "airis render -s cpu",
        "kubectl diff -f -",
    ]


def inline() -> list[str]:
    """The commands in sentences, by page."""
    found = [
        f"{path.relative_to(ROOT)}: {' '.join(words.split())}"
        for path in PAGES
        for words in _INLINE.findall(
            re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        )
    ]
    return sorted(set(found))


@pytest.mark.parametrize("written", inline())
def test_commands_in_sentences_exist(written: str) -> None:
    """In a sentence, a command may lack required arguments."""
    for command in commands_in(written.partition(": ")[2]):
        reason = problem([each for each in command if each not in ("...", "…")])
        assert reason is None or reason.startswith(("Missing", "Option"))


def test_there_are_such_commands() -> None:
    assert len(commands()) > 40
    assert {"airis", "kubectl", "make", "pulumi"} <= {each.words[0].rpartition("/")[2] for each in commands()}
    assert [each for each in commands() if harmless(each)]


def test_every_command_in_the_tables_is_used_on_a_page() -> None:
    """Commands that are no longer on a page must be removed from the tables."""
    text = "\n".join(" ".join(each.words) for each in commands()) + "\n" + "\n".join(inline())
    assert sorted(name for name in [*OTHERS, *PULUMI] if name not in text) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("airis rehearse --stack gpu --node nodes.yaml", "No such option: --node"),
        ("airis rehearse", "Missing option"),
        ("airis rehears --stack gpu", "No such command 'rehears'"),
        ("airis sandbox upp", "No such command 'upp'"),
        (".venv/bin/airis rehearse -s gpu --nodes nodes.yaml", None),
        ("make upp", "make has no target upp"),
        ("make up STAK=gpu", "make has no variable STAK"),
        ("kubectl -n airis get pods --sort-bye=x", "no flag --sort-bye"),
        ("kubectl gett pods", "kubectl has no gett"),
        ("kubectl -n airis exec deploy/x -- rm -r /nothing", None),
        ("kubectl exec -it x -- sh", None),
        ("kubectl exec -iz x -- sh", "no flag -iz"),
        ("kubectl config use-context x", None),
        ("pulumi upp", "not in the table of Pulumi's commands: pulumi upp"),
        ("pulumi up --stak gpu", "no flag --stak"),
        ("terraform apply", "in no table: terraform apply"),
        ("minikube start --gpu all", "no flag --gpu"),
    ],
)
def test_what_is_wrong_is_found(words: str, reason: str | None) -> None:
    found = problem(words.split())
    assert found is None if reason is None else str(found).startswith(reason)
