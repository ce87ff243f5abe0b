"""The draft of a stack file: its keys, its settings, and notes for the user."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airis.adopt.environment import Notes
from airis.terminal.errors import AirisError
from settings import SettingsError, load
from settings.stack import StackSettings


@dataclass
class Draft:
    """A draft of a stack file."""

    config: dict[str, Any]
    notes: Notes = field(default_factory=Notes)

    def settings(self) -> StackSettings:
        """Its settings. Raises SettingsError with all errors."""
        return settings_of(self.config)


def settings_of(config: Mapping[str, Any]) -> StackSettings:
    """The settings of a stack file's config. Raises SettingsError."""
    plain = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    return load(plain, source="the stack")


def settle(draft: Draft) -> None:
    """Drops keys that the settings reject, and notes them. Raises AirisError if a key that affects the data is rejected."""
    while True:
        try:
            draft.settings()
        except SettingsError as error:
            for problem in error.problems:
                section, _, path = problem.key.partition(".")
                head = re.split(r"[.\[]", path)[0]
                if (
                    section not in draft.config
                    or head in ("", "image", "replicas", "storage")
                    or head not in draft.config[section]
                ):
                    raise AirisError(
                        f"the deployment cannot become a stack: {problem.key}: {problem.value}; allowed: {problem.allowed}",
                        "change it in the running deployment first; nothing was changed",
                    ) from None
                draft.config[section].pop(head)
                draft.notes.dropped.append(f"{section}.{head}: {problem.value}; allowed: {problem.allowed}")
        else:
            return
