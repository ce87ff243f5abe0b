"""Open WebUI's environment in a stack's pod, as the kubelet creates it, and its command."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airis.render import program
from airis.render.manifest import manifest
from tests.unit import drawing


def key(name: str) -> dict[str, str]:
    """A reference to a Secret."""
    return {"name": name, "key": "value"}


def value(name: str) -> str:
    """The value of that key of a Secret, unless the test sets another."""
    return f"{name} value"


@dataclass(frozen=True)
class Rendered:
    """The WebUI of a stack."""

    deployment: Mapping[str, Any]
    own: Mapping[tuple[str, str], str]
    """The values of the stack's own Secrets, by the name of the Secret and the key."""

    @property
    def command(self) -> Sequence[str] | None:
        """The server's command; None for that of the image."""
        found: Sequence[str] | None = drawing.container(self.deployment).get("command")
        return found

    def environment(self, held: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment as the kubelet creates it: with the values of Secrets, and `$(NAME)` replaced by earlier variables.

        `held` contains the values of Secrets that are not the stack's own, by their names; the others have `value(name)`.
        """
        found: dict[str, str] = {}
        for each in drawing.container(self.deployment)["env"]:
            if "valueFrom" in each:
                reference = each["valueFrom"]["secretKeyRef"]
                name = reference["name"]
                other = (held or {}).get(name, value(name))
                found[each["name"]] = self.own.get((name, reference["key"]), other)
            else:
                found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda at: found.get(at[1], at[0]), each["value"])
        return found


def rendered(**settings: object) -> Rendered:
    """The WebUI of a stack with these settings."""
    drawn = program.run(drawing.stack_of(**settings), generate_secrets=True)
    own = {
        (secret.name, name): text
        for secret in drawn.objects
        if secret.kind == "Secret"
        for name, text in manifest(secret, show_secrets=True).get("stringData", {}).items()
    }
    return Rendered(drawing.manifest(drawn, "Deployment", "airis-deployment"), own)
