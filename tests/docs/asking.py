"""Finds errors in the commands of the pages: programs, subcommands or flags that do not exist."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import typer

from airis.cli.main import app
from airis.rehearse.sandbox import ensure
from tests.docs.known import OTHERS, PULUMI, Known
from tests.unit.drawing import ROOT

_KUBECTL_GROUPS = frozenset({"auth", "config", "create", "rollout", "set", "top"})
"""Subcommands of kubectl that have subcommands with their own flags."""

_FLAG = re.compile(r"(?P<name>--?[A-Za-z][\w-]*|-)(?:=.*)?", re.DOTALL)


def problem(words: Sequence[str]) -> str | None:
    """The error in a command, according to the program itself or its documentation; None if there is none."""
    program = words[0].removeprefix("./").removeprefix(".venv/bin/")
    asked: Mapping[str, Callable[[Sequence[str]], str | None]] = {
        "airis": of_airis,
        "kubectl": of_kubectl,
        "make": of_make,
        "pulumi": of_pulumi,
    }
    return asked.get(program, of_others)([program, *words[1:]])


def of_airis(words: Sequence[str]) -> str | None:
    """Parses the arguments as the command would, without running it."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    arguments = list(words[1:])
    name = words[0]
    try:
        while True:
            context = command.make_context(name, arguments, parent=context)
            if not hasattr(command, "resolve_command"):
                return None
            name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    except typer.Exit as end:  # --help
        return None if end.exit_code == 0 else f"it ends with {end.exit_code}"
    except Exception as error:  # usage errors, of a class that Typer does not export
        return str(error.format_message()) if hasattr(error, "format_message") else type(error).__name__


def of_make(words: Sequence[str]) -> str | None:
    """Looks up target and variables in the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
    variables = re.findall(r"^([A-Z]+) \?=", text, re.MULTILINE)
    for word in words[1:]:
        name, assigns, _ = word.partition("=")
        if name not in (variables if assigns else targets):
            return f"make has no {'variable' if assigns else 'target'} {name}"
    return None


def of_kubectl(words: Sequence[str]) -> str | None:
    """Looks up the flags of the subcommand in the help of the sandbox's kubectl."""
    names = [*_plain(words[1:], valued=("-n", "--namespace", "--context", "--kubeconfig"))]
    if not names:
        return "no subcommand"
    known, for_all = _flags_of(_kubectl(), names[0], "--help"), _flags_of(_kubectl(), "options")
    if known is None:
        return f"kubectl has no {names[0]}"
    deeper = range(2, min(len(names), 3) + 1) if names[0] in _KUBECTL_GROUPS else ()
    inner = [flags for length in deeper if (flags := _flags_of(_kubectl(), *names[:length], "--help"))]
    return _unknown(words[1:], known.union(*inner, for_all or ()))


def of_pulumi(words: Sequence[str]) -> str | None:
    """Looks up the command in the table, and in Pulumi's help if Pulumi is installed."""
    found = _lookup(words, PULUMI)
    if found is None:
        return f"not in the table of Pulumi's commands: {' '.join(words)}"
    name, known = found
    if (wrong := _unknown(words, known.flags)) is not None:
        return wrong
    own = _flags_of(*name.split(), "--help") if shutil.which("pulumi") else None
    return None if own is None else _unknown(words, own)


def of_others(words: Sequence[str]) -> str | None:
    """Looks the command up in the table."""
    found = _lookup(words, OTHERS)
    return f"in no table: {' '.join(words)}" if found is None else _unknown(words, found[1].flags)


def _lookup(words: Sequence[str], table: Mapping[str, Known]) -> tuple[str, Known] | None:
    names = list(_plain(words))
    for length in range(len(names), 0, -1):
        name = " ".join(names[:length])
        if name in table:
            return name, table[name]
    return None


def _plain(words: Sequence[str], valued: Sequence[str] = ()) -> Iterator[str]:
    """The words that are not flags, up to `--`; flags in `valued` are skipped with their values."""
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            return
        if word in valued:
            next(waiting, None)
        elif not word.startswith("-"):
            yield word


def _unknown(words: Sequence[str], known: frozenset[str] | None) -> str | None:
    for word in words:
        if word == "--":
            return None
        flag = _FLAG.fullmatch(word)
        if flag is None or known is None or flag["name"] in known:
            continue
        letters = [f"-{letter}" for letter in word[1:]]
        if word.startswith("--") or not set(letters) <= known:
            return f"no flag {flag['name']}"
    return None


@cache
def _kubectl() -> str:
    return str(ensure().path("kubectl"))


@cache
def _flags_of(*command: str) -> frozenset[str] | None:
    """The flags in a help text, each at the beginning of a line; None if the command does not exist."""
    answer = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    names = [each for each in command[1:] if not each.startswith("-")]
    if answer.returncode != 0 or (names != ["options"] and " ".join(names) not in answer.stdout):
        return None
    listed = re.findall(r"^ {2,6}(?:(-\w), )?(--[\w-]+)", answer.stdout, re.MULTILINE)
    return frozenset(flag for pair in listed for flag in pair if flag)
