"""The command: ask, hold the answers against the settings, write the stack file, and say what comes next."""

import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airis.stack_file.init.answers import Ask, answered
from airis.stack_file.init.file import stack_text
from airis.stack_file.init.questionnaire import platform_of, sizes
from airis.stack_file.stacks import project_root, read_stack, settings_of
from airis.terminal.errors import AirisError


def init(given: Mapping[str, str | None], ask: Ask | None, *, defaults: bool) -> Path:
    """Writes `Pulumi.<stack>.yaml` from the answers, and returns it.

    `given` are answers by question; what is missing is put to `ask`, or is the default. A file that exists is never written
    over. What is written is what `settings.load` takes.

    Raises AirisError where the file exists, and where the settings refuse what was answered. Then nothing is written.
    """
    root = project_root()

    def new(name: str) -> Path:
        path = root / f"Pulumi.{name}.yaml"
        if os.path.lexists(path):
            raise AirisError(f"{path.name} exists, and is never written over", "choose another name with --stack")
        return path

    if (told := given.get("stack")) is not None:  # before the other questions
        new(told.strip())
    answers = answered(given, ask, defaults=defaults)
    path, text = new(answers["stack"]), stack_text(answers)
    warnings = _warnings(answers["stack"], text)
    _write(path, text)
    print(f"Written: {path.name}")
    for each in warnings:
        print(f"note: {each}")
    _tell_next(answers)
    return path


def _warnings(stack: str, text: str) -> list[str]:
    """What the settings have to say about the file. Raises AirisError where they refuse it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
        return list(settings_of(read_stack(stack, Path(folder))).warnings())


def _write(path: Path, text: str) -> None:
    """Writes the whole file or none of it; one that came meanwhile stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.chmod(0o644)
        os.link(draft, path)
    except FileExistsError:
        raise AirisError(f"{path.name} exists, and is never written over", "choose another name with --stack") from None
    finally:
        draft.unlink()


def _tell_next(answers: Mapping[str, Any]) -> None:
    stack, platform = shlex.quote(answers["stack"]), platform_of(answers)
    if answers["model"]:
        print(f"note: the first up downloads {sizes(answers['model'])}; --no-model writes a stack without a model")
    print("\nNext:")
    print(f"  airis rehearse --stack {stack}    # on a control plane of your own machine")
    if answers["host"] is not None and answers["controller"] == platform.controller:
        for command in platform.before:
            print(f"  {command}")
    if answers["admin-email"] is not None:
        name, key = answers["admin-secret"]
        if name == "airis-secrets":
            print(f"  pulumi config set --stack {stack} --secret --path 'airis:secrets.values.{key}'")
        else:
            print(f"  # the Secret {name} must hold the key {key}, in the namespace airis")
    print(f"  airis up --stack {stack}")
