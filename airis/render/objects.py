"""A stack as Kubernetes objects: as plain manifests, and as YAML with a word on what is not in it."""

from dataclasses import dataclass
from typing import Any

from airis.render import manifest, program
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError


@dataclass(frozen=True)
class Rendered:
    """A stack's objects as text."""

    yaml: str
    redacted: tuple[str, ...]
    """The Secrets that read `[secret]` in it, as `Secret/airis-secrets`."""


def rendered(stack: StackFile, *, show_secrets: bool = False) -> Rendered:
    """The stack as multi-document YAML, sorted for kubectl.

    Raises AirisError where secrets should be shown that only Pulumi can decrypt, and when the stack itself is wrong.
    """
    if show_secrets and stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: {', '.join(sorted(stack.secret_keys))} is encrypted, and only Pulumi can decrypt it",
            f"`pulumi config --show-secrets --stack {stack.name}` shows it",
        )
    objects = program.run(stack, generate_secrets=show_secrets).objects
    secrets = () if show_secrets else tuple(str(each) for each in objects if each.kind == "Secret")
    return Rendered(manifest.to_yaml(objects, show_secrets=show_secrets), secrets)


def manifests(stack: StackFile) -> list[dict[str, Any]]:
    """The stack's objects as plain manifests, those first that others need. Raises AirisError when the stack is wrong."""
    return [manifest.manifest(each) for each in manifest.in_order(program.run(stack).objects)]
