"""A revision of the project as plain data: the objects that each stack registers, and its configuration.

It runs in two places: in this process for this side, and as a script (`python registered.py < request`) for another revision,
with that revision's code. The script imports airis from the folder in the request, so it uses nothing of airis/diff, and
otherwise only what every revision has.
"""

import contextlib
import gc
import hashlib
import hmac
import importlib
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

SECRET = "$secret"  # noqa: S105  (a key)
"""The key of a mapping that replaces a secret value by its digest."""

_UNREADABLE = "[secret]"
_STACKS = ("airis.stack_file.stacks", "airis.stacks")
_PROGRAM = ("airis.render.program", "airis.program")
"""The names of the same module in different revisions, the newest first."""
_ENCRYPTION = ("secretsprovider", "encryptedkey", "encryptionsalt")


def registered(root: Path, names: Sequence[str], salt: str) -> dict[str, Any]:
    """Each stack by name: its objects and configuration, or the error that rendering it raises.

    `root` is the folder with Pulumi.yaml; a stack without a file there is omitted. Secret values are replaced by digests that
    are only comparable with those from a call with the same `salt`.
    """
    found = [name for name in names or stacks_in(root) if (root / f"Pulumi.{name}.yaml").is_file()]
    return {name: _stack(root, name, salt.encode()) for name in found}


def stacks_in(root: Path) -> list[str]:
    """The stacks that have a file, sorted."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("Pulumi.?*.yaml"))


def _stack(root: Path, name: str, salt: bytes) -> dict[str, Any]:
    config: dict[str, str] = {}
    try:
        stack = configured(root, name)
        config = dict(stack.config)
        try:
            return {"problem": "", **taken(stack, salt)}
        except Exception:
            if not stack.secret_keys:
                raise
            # An older revision may only accept its own placeholder
            return {"problem": "", **taken(_module(_STACKS).read_stack(name, root), salt)}
    except Exception as error:
        return {"problem": _words(error), "config": config}


def configured(root: Path, name: str) -> Any:
    """The stack file, with a distinct placeholder for each encrypted value, so that changes of them are visible."""
    stack = _module(_STACKS).read_stack(name, root)
    if not stack.secret_keys:
        return stack
    raw = _yaml(stack.path)
    config = dict(stack.config)
    for key, value in (raw.get("config") or {}).items():
        full = key if ":" in key else f"airis:{key}"
        if full in stack.secret_keys:
            told = _placeholders(value, _read(config.get(full)))
            config[full] = told if isinstance(told, str) else json.dumps(told, default=str)
    return replace(stack, config=config)


def taken(stack: Any, salt: bytes) -> dict[str, Any]:
    """The objects that the program registers for a stack file, as plain data."""
    program = _module(_PROGRAM)
    with contextlib.redirect_stderr(io.StringIO()):  # its warnings do not matter here
        objects = program.run(stack).objects
    secret = program.Secret
    return {
        "objects": [
            {
                "body": _hidden(each.manifest, secret, salt),
                "urn": each.urn,
                "protect": bool(each.protect),
                "retain": bool(each.retain),
                "ignores": list(getattr(each, "ignores", ())),
            }
            for each in objects
        ],
        "config": dict(stack.config),
        "provider": _provider(stack),
        "encryption": [_yaml(stack.path).get(key) for key in _ENCRYPTION] if stack.secret_keys else [],
    }


def _module(places: Sequence[str]) -> Any:
    """The module, under the first of these names that the revision has."""
    *newer, oldest = places
    for name in newer:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("airis"):  # the module exists, but a package is missing
                raise
    return importlib.import_module(oldest)


def _provider(stack: Any) -> dict[str, bool]:
    """Which kinds the provider changes in place, as set for the project or the stack."""
    declared = _yaml(stack.path.parent / "Pulumi.yaml").get("config") or {}
    found = {}
    for key in ("enableSecretMutable", "enableConfigMapMutable"):
        full = f"kubernetes:{key}"
        value = declared.get(full)
        value = value.get("value", value.get("default")) if isinstance(value, Mapping) else value
        found[key] = str(stack.config.get(full, value)).lower() == "true"
    return found


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe)
        return read if isinstance(read, dict) else {}
    return {}


def _read(given: Any) -> Any:
    try:
        return json.loads(given)
    except (TypeError, ValueError):
        return given


def _placeholders(raw: Any, read: Any) -> Any:
    """The value as parsed by the program, `read`, with placeholders for the file's encrypted values."""
    if isinstance(raw, Mapping):
        if set(raw) == {"secure"}:  # the encrypted text is public, and so is its digest
            return f"{_UNREADABLE} {hashlib.sha256(str(raw['secure']).encode()).hexdigest()}"
        values = read if isinstance(read, Mapping) else {}
        return {str(key): _placeholders(inner, values.get(str(key), inner)) for key, inner in raw.items()}
    if isinstance(raw, list):
        entries = read if isinstance(read, list) and len(read) == len(raw) else raw
        return [_placeholders(inner, each) for inner, each in zip(raw, entries, strict=True)]
    return read


def _hidden(body: Mapping[str, Any], secret: type, salt: bytes) -> Any:
    """The object with secrets replaced by digests; all values in a Secret are secrets, whether marked or not."""

    def digest(value: Any) -> dict[str, str]:
        text = json.dumps(_bare(value, secret), sort_keys=True, default=str)
        return {SECRET: hmac.new(salt, text.encode(), "sha256").hexdigest()}

    def told(value: Any) -> Any:
        if isinstance(value, secret):
            return digest(value)
        if isinstance(value, Mapping):
            return {str(key): told(inner) for key, inner in value.items()}
        return [told(inner) for inner in value] if isinstance(value, list) else value

    if body.get("kind") != "Secret":
        return told(body)
    return {
        key: {name: digest(inner) for name, inner in _bare(value, secret).items()}
        if key in ("data", "stringData") and isinstance(_bare(value, secret), Mapping)
        else told(value)
        for key, value in body.items()
    }


def _bare(value: Any, secret: type) -> Any:
    if isinstance(value, secret):
        return _bare(value.value, secret)  # type: ignore[attr-defined]  # the class of any revision
    if isinstance(value, Mapping):
        return {key: _bare(inner, secret) for key, inner in value.items()}
    return [_bare(inner, secret) for inner in value] if isinstance(value, list) else value


def _words(error: BaseException) -> str:
    """The error message; for a bug, with its location."""
    if type(error).__name__ in ("AirisError", "RunError", "SettingsError"):  # the class of any revision
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{where}"


def main() -> None:
    """Reads the request from stdin, and writes the result to stdout, both JSON."""
    gc.set_threshold(200_000, 20, 20)  # as in airis/cli/main.py, for the same reason
    request = json.load(sys.stdin)
    answer, sys.stdout = sys.stdout, sys.stderr  # the program may print
    root = Path(request["root"])
    sys.path[0] = str(root)
    sys.dont_write_bytecode = True
    json.dump(registered(root, request["stacks"], request["salt"]), answer)
    answer.flush()
    os._exit(0)  # freeing a million objects takes as long as rendering


if __name__ == "__main__":
    main()
