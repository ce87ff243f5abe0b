"""Where the answers come from: options, somebody at a terminal, or the defaults."""

from collections.abc import Callable, Mapping
from typing import Any

from airis.stack_file.init.questionnaire import QUESTIONS, Answers, Question, sizes
from airis.terminal.errors import AirisError

Ask = Callable[[str, str], str]
"""Puts a question with its default, and returns the answer as it was typed."""


def answered(given: Mapping[str, str | None], ask: Ask | None, *, defaults: bool) -> dict[str, Any]:
    """The answers: as given ahead, else as asked, else the defaults.

    `ask` is None where there is nobody to ask. A wrong answer is asked for again, with what would be right.

    Raises AirisError for a wrong answer that was given ahead, one that has no effect, and, where nobody can be asked and
    `defaults` is false, for those that are missing.
    """
    found: dict[str, Any] = {}
    missing = []
    for each in QUESTIONS:
        told = given.get(each.name)
        if not each.applies(found):
            if told is not None:
                raise AirisError(f"--{each.name} {told}: it has no effect", f"only together with {each.because}")
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
            f"there is no terminal to ask on, and not everything is answered: {', '.join(missing)}",
            "give them as options, or --yes: it takes the defaults",
        )
    return found


def _checked(question: Question, told: str) -> Any:
    try:
        return question.check(told.strip())
    except ValueError as error:
        raise AirisError(f"--{question.name} {told}: not an answer", f"it must be {error}") from None


def _asked(question: Question, default: str, ask: Ask, found: Answers) -> Any:
    text = question.text
    if question.name == "ollama-storage" and found["model"]:
        text = f"{text} ({sizes(found['model'])})"
    while True:
        try:
            return question.check(ask(text, default).strip())
        except ValueError as error:
            text = f"It must be {error}. {question.text}"
