"""Fields that Pulumi ignores (`ignore_changes`).

Source: pulumi/pulumi, sdk/go/common/resource/property_path.go (`Reset`). Paths are Pulumi's: `spec.claims[0].size`.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airis.diff.fields import within

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def is_overlooked(path: str, ignores: Iterable[str]) -> bool:
    """Whether a difference at `path` is at or in one of these fields. Added or removed list elements are not."""
    return any(within(path, each) for each in ignores)


def kept(body: Mapping[str, Any], old: Mapping[str, Any], ignores: Iterable[str]) -> dict[str, Any]:
    """A copy of the object as Pulumi sends it: with the old values of ignored fields."""
    result = copy.deepcopy(dict(body))
    for path in ignores:
        _reset(result, old, [int(index) if index else name for index, name in _STEP.findall(path)])
    return result


def _reset(new: Any, old: Any, path: list[int | str]) -> None:
    step, *further = path
    if isinstance(step, int):
        if not (isinstance(new, list) and isinstance(old, list) and step < min(len(new), len(old))):
            return
        if further:
            _reset(new[step], old[step], further)
        else:
            new[step] = copy.deepcopy(old[step])
        return
    before = old.get(step) if isinstance(old, Mapping) else None
    if not isinstance(new, dict):
        return
    if further:
        _reset(new.get(step), before, further)
    elif before is None:
        new.pop(step, None)
    else:
        new[step] = copy.deepcopy(before)
