"""The command: asks, validates the answers with the settings, writes the stack file, and prints the next steps."""

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
    """Writes `Pulumi.<stack>.yaml` from the answers, and returns its path.

    `given` are answers by question; missing ones come from `ask`, or are the defaults. An existing file is never overwritten.
    `settings.load` accepts every file that is written.

    Raises AirisError if the file exists, and if the settings reject the answers. Then nothing is written.
    """
    root = project_root()

    def new(name: str) -> Path:
        path = root / f"Pulumi.{name}.yaml"
        if os.path.lexists(path):
            raise AirisError(f"{path.name} exists, and is never overwritten", "choose another name with --stack")
        return path

    if (told := given.get("stack")) is not None:  # fail before the other questions
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
    """The settings' warnings on the file. Raises AirisError if the settings reject it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
        return list(settings_of(read_stack(stack, Path(folder))).warnings())


def _write(path: Path, text: str) -> None:
    """Writes the file atomically; never replaces one that was created in the meantime."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.chmod(0o644)
        os.link(draft, path)
    except FileExistsError:
        raise AirisError(f"{path.name} exists, and is never overwritten", "choose another name with --stack") from None
    finally:
        draft.unlink()


def _tell_next(answers: Mapping[str, Any]) -> None:
    stack, platform = shlex.quote(answers["stack"]), platform_of(answers)
    if answers["model"]:
        print(f"note: the first `up` pulls {sizes(answers['model'])}; --no-model writes a stack without a model")
    print("\nNext steps:")
    print(f"  airis rehearse --stack {stack}    # on a local control plane")
    if answers["host"] is not None and answers["controller"] == platform.controller:
        for command in platform.before:
            print(f"  {command}")
    if answers["admin-email"] is not None:
        name, key = answers["admin-secret"]
        if name == "airis-secrets":
            print(f"  pulumi config set --stack {stack} --secret --path 'airis:secrets.values.{key}'")
        else:
            print(f"  # create the Secret {name} with the key {key} in the namespace airis")
    print(f"  airis up --stack {stack}")
