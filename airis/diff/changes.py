"""Assembles the diff of two sides: the changes, their effects, and their reasons."""

import re
from dataclasses import replace

from airis.diff.compare import Compared, compared
from airis.diff.data_loss import data_notes, refusals
from airis.diff.model import Action, Diff, ObjectChange, Problem
from airis.diff.network import closed, confined
from airis.diff.pods import effects, names_read
from airis.diff.reasons import CODE, Reasons, Render, changed_settings, reasons
from airis.diff.stack_objects import Side
from airis.diff.totals import totals
from settings.webui.webui import WebUISettings

_CHECKSUM = "checksum"


def whole(stack: str, before: Side, after: Side, render: Render | None = None, code: str = CODE) -> Diff:
    """The diff of two sides. With `render`, this side's program, it includes why each field differs."""
    problems = [Problem(name, side.problem) for name, side in (("before", before), ("after", after)) if side.problem]
    if before.problem and not after.problem and render is not None:
        before, note = _instead(before, render)
        problems.append(note)
    if before.problem or after.problem:
        settings = changed_settings(before, after) if before.config and after.config else ()
        sums = totals(before.items), totals(after.items)
        return Diff(stack, before.label, after.label, (), *sums, settings, tuple(problems), compared=False)
    known = None
    if render is not None and before.there and after.there:
        known = reasons(before, after, render, code)
    if before.encryption and after.encryption and before.encryption != after.encryption:
        words = (
            "the secrets were re-encrypted: all of them are shown as changed, because changed values cannot be detected"
        )
        problems.append(Problem("reasons", words))
    found = compared(before, after)
    changes = [_change(each, found, before, after, known) for each in found]
    changes = _with_closed(changes, before, after)
    return Diff(
        stack,
        before.label if before.there else f"{before.label} (the stack does not exist there)",
        after.label if after.there else f"{after.label} (the stack does not exist there)",
        tuple(changes),
        totals(before.items),
        totals(after.items),
        known.settings if known else (),
        tuple(problems),
    )


def _instead(before: Side, render: Render) -> tuple[Side, Problem]:
    """The other side's settings, rendered by this side's program, because its own program cannot render them."""
    if before.config:
        tried = render(before.config)
        if not tried.problem:
            words = "its settings are rendered with this side's program instead"
            return replace(tried, label=before.label), Problem("reasons", words)
    return before, Problem("reasons", "only this side rendered, so objects are not compared")


def _change(each: Compared, found: list[Compared], before: Side, after: Side, known: Reasons | None) -> ObjectChange:
    followed = effects(each, found, before, after)
    secrets = _changed_contents(each, found)
    fields = []
    for field in each.fields():
        why = known.of(each.key, field.path) if known else _by_variable(field.path)
        if _CHECKSUM in field.path and field.path.startswith("spec.template.metadata.annotations"):
            why = (*secrets, *why)
        fields.append(replace(field, reasons=why))
    return ObjectChange(
        kind=each.item.kind,
        namespace=each.item.namespace,
        name=each.item.name,
        action=each.action,
        fields=tuple(fields),
        restarts=followed.restarts,
        downtime=followed.downtime,
        data=tuple(dict.fromkeys(data_notes(each, before, after))),
        refused=tuple(refusals(each)),
        reasons=known.of(each.key, "") if known else (),
    )


def _by_variable(path: str) -> tuple[str, ...]:
    """The setting that determines a variable of Open WebUI, if reasons were not found by rendering."""
    match = re.match(r"spec\.template\.spec\.containers\[airis\]\.env\[(\w+)\]", path)
    key = WebUISettings().managed_env.get(match[1]) if match else None
    return (key,) if key else ()


def _changed_contents(each: Compared, found: list[Compared]) -> tuple[str, ...]:
    """The changed Secrets and ConfigMaps that the workload's pods read."""
    if not each.item.template:
        return ()
    read = names_read(each.item)
    return tuple(
        f"{other.item} {other.action}"
        for other in found
        if other.item.kind in ("Secret", "ConfigMap") and other.item.name in read
    )


def _with_closed(changes: list[ObjectChange], before: Side, after: Side) -> list[ObjectChange]:
    """Adds to each NetworkPolicy the connections that it now blocks."""
    collected: dict[tuple[str, str | None, str], list[str]] = {}
    for policy, told in (*closed(before, after), *confined(before, after)):
        collected.setdefault((policy.kind, policy.namespace, policy.name), []).append(told)
    return [
        replace(each, downtime=(*each.downtime, *collected.get((each.kind, each.namespace, each.name), ())))
        if each.action is not Action.DELETED
        else each
        for each in changes
    ]
