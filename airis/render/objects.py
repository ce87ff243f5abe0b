"""A stack as Kubernetes objects: as plain manifests, and as YAML with the list of redacted Secrets."""

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
    """The Secrets whose values are redacted, such as `Secret/airis-secrets`."""


def rendered(stack: StackFile, *, show_secrets: bool = False) -> Rendered:
    """The stack as multi-document YAML, sorted for kubectl.

    Raises AirisError if `show_secrets` needs values that only Pulumi can decrypt, and if the stack is invalid.
    """
    if show_secrets and stack.secret_keys:
        raise AirisError(
            f"{stack.path.name}: {', '.join(sorted(stack.secret_keys))} is encrypted, and only Pulumi can decrypt it",
            f"use `pulumi config --show-secrets --stack {stack.name}`",
        )
    objects = program.run(stack, generate_secrets=show_secrets).objects
    secrets = () if show_secrets else tuple(str(each) for each in objects if each.kind == "Secret")
    return Rendered(manifest.to_yaml(objects, show_secrets=show_secrets), secrets)


def manifests(stack: StackFile) -> list[dict[str, Any]]:
    """The stack's objects as plain manifests, dependencies first. Raises AirisError if the stack is invalid."""
    return [manifest.manifest(each) for each in manifest.in_order(program.run(stack).objects)]
