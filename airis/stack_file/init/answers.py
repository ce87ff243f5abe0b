"""Collects the answers of `airis init`: from options, from the terminal, or from the defaults."""

from collections.abc import Callable, Mapping
from typing import Any

from airis.stack_file.init.questionnaire import QUESTIONS, Answers, Question, sizes
from airis.terminal.errors import AirisError

Ask = Callable[[str, str], str]
"""Asks a question with its default, and returns the answer as typed."""


def answered(given: Mapping[str, str | None], ask: Ask | None, *, defaults: bool) -> dict[str, Any]:
    """The answers: from the options in `given`, else from `ask`, else the defaults.

    `ask` is None without a terminal. After an invalid answer, it asks again and states what is allowed.

    Raises AirisError for an invalid option, for an option without effect, and for missing answers if there is no terminal and
    `defaults` is false.
    """
    found: dict[str, Any] = {}
    missing = []
    for each in QUESTIONS:
        told = given.get(each.name)
        if not each.applies(found):
            if told is not None:
                raise AirisError(
                    f"--{each.name} {told}: this option has no effect", f"use it together with {each.because}"
                )
            found[each.name] = None
            continue
        default = each.default(found)
        if told is not None:
            found[each.name] = _checked(each, told)
        elif not each.asked(found) or ask is None or defaults:
            missing += [f"--{each.name}"] if each.asked(found) else []
            found[each.name] = each.check(default)
        else:
            found[each.name] = _asked(each, default, ask, found)
    if missing and not defaults:
        raise AirisError(
            f"cannot ask for missing answers without a terminal: {', '.join(missing)}",
            "pass them as options, or use --yes for the defaults",
        )
    return found


def _checked(question: Question, told: str) -> Any:
    try:
        return question.check(told.strip())
    except ValueError as error:
        raise AirisError(f"--{question.name} {told}: invalid value", f"must be {error}") from None


def _asked(question: Question, default: str, ask: Ask, found: Answers) -> Any:
    text = question.text
    if question.name == "ollama-storage" and found["model"]:
        text = f"{text} ({sizes(found['model'])})"
    while True:
        try:
            return question.check(ask(text, default).strip())
        except ValueError as error:
            text = f"Must be {error}. {question.text}"
