"""A diff as GitHub Flavored Markdown: the summary first, then a collapsed section per object, up to a size limit.

Values come from pull requests, and are untrusted. Fields are in fenced blocks whose fence is longer than any in the content;
everything else is escaped.
"""

import re
from collections.abc import Iterator, Sequence

from airis.diff.model import Diff, ObjectChange
from airis.diff.wording import ACTIONS, field_lines, heading, label, notes, remarks, totals_rows

_WIDTH = 400
_FIELDS = 80
_LINES = 30
_NOTE = 120
"""Bytes reserved for a note on omitted objects."""

_INVISIBLE = "\u200b"
"""A zero-width space: after @ and #, it prevents mentions and issue links."""

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


def written(diff: Diff, limit: int) -> str:
    """The diff in at most `limit` bytes. Objects that do not fit are omitted from the end and counted; the summary stays."""
    head, totals, rows = _head(diff), _totals(diff), list(_rows(diff))
    table = _fitting(rows, max(limit - _size(head) - _size(totals) - 2 * _NOTE, 0))
    text = head
    if table:
        text += "\n| object | | effects |\n|---|---|---|\n" + "".join(table)
        if left := len(rows) - len(table):
            text += f"\n{left} more objects are omitted to stay within the size limit.\n"
    text += totals
    if not table and rows:
        text += f"\n{len(rows)} objects are omitted to stay within the size limit.\n"
    details = [_details(each) for each in diff.changes]
    shown = _fitting(details, limit - _size(text) - _NOTE)
    text += "".join(shown)
    if left := len(details) - len(shown):
        text += f"\n_The fields of {left} more objects are omitted to stay within the size limit._\n"
    return _cut(text, limit)


def escaped(text: str) -> str:
    """Text that renders literally: without formatting, HTML, mentions, issue links or table cell separators."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _SPECIAL.sub(r"\\\1", plain)
    return re.sub(r"([@#])", rf"\1{_INVISIBLE}", plain)


def fenced(lines: list[str], language: str = "") -> str:
    """Lines in a fenced block that none of them can end."""
    text = "\n".join(
        "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line) for line in lines
    )
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def _head(diff: Diff) -> str:
    lines = [f"### {escaped(diff.summary())}", "", f"{escaped(diff.before)} → {escaped(diff.after)}"]
    if diff.settings:
        shown = ", ".join(escaped(each) for each in diff.settings[:20])
        more = f" and {len(diff.settings) - 20} more" if len(diff.settings) > 20 else ""  # noqa: PLR2004
        lines += ["", f"Changed settings: {shown}{more}"]
    if diff.touches_data:
        told = [each.words for change in diff.changes for each in change.data if not each.harmless]
        lines += _alert("CAUTION", "A claim with data is touched.", told, 10)
    refused = [each for change in diff.changes for each in change.refused]
    if refused:
        lines += _alert("WARNING", "`up` rejects this change.", refused, 5)
    text = "\n".join(lines) + "\n"
    for each in diff.problems:
        words = heading(diff, each)
        where = words[0].upper() + words[1:] if each.side in ("cluster", "reasons") else words
        text += f"\n**{escaped(f'{where}:')}**\n\n{fenced(_shortened(each.words))}"
    return text


def _alert(kind: str, title: str, told: Sequence[str], most: int) -> list[str]:
    """A GitHub alert with a title and the first few sentences."""
    lines = ["", f"> [!{kind}]", f"> **{title}**", *(f"> - {escaped(each)}" for each in told[:most])]
    return [*lines, f"> - and {len(told) - most} more"] if len(told) > most else lines


def _shortened(words: str) -> list[str]:
    lines = words.splitlines()
    return [line[:_WIDTH] for line in lines[:_LINES]] + (
        [f"... and {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    )


def _rows(diff: Diff) -> Iterator[str]:
    for each in diff.changes:
        told = "<br>".join(_note(kind, words) for kind, words in notes(each))
        yield f"| {escaped(label(each))} | {ACTIONS[each.action]} | {told} |\n"


def _note(kind: str, words: str) -> str:
    names = {"data": "**data**", "refused": "**refused**", "downtime": "**downtime**", "claim": "claim", "pods": "pods"}
    return f"{names[kind]}: {escaped(words)}"


def _totals(diff: Diff) -> str:
    rows = totals_rows(diff)
    if not rows:
        return ""
    text = "\n| total | before | after |\n|---|---|---|\n"
    for what, before, after in rows:
        strong = "**" if before != after else ""
        text += f"| {escaped(what)} | {escaped(before)} | {strong}{escaped(after)}{strong} |\n"
    return text


def _details(change: ObjectChange) -> str:
    lines: list[str] = []
    for each in change.fields[:_FIELDS]:
        lines += [*field_lines(each, _WIDTH), *([f"# {told}"] if (told := remarks(each)) else [])]
    if left := len(change.fields) - _FIELDS:
        lines += [f"... and {left} more fields"] if left > 0 else []
    why = f"\nFrom {escaped(', '.join(change.reasons))}\n" if change.reasons and not change.fields else ""
    if not lines and not why:
        return ""
    summary = f"{escaped(label(change))}: {ACTIONS[change.action]}"
    return (
        f"\n<details><summary>{_html(summary)}</summary>\n{why}\n{fenced(lines, 'diff') if lines else ''}\n</details>\n"
    )


def _html(text: str) -> str:
    """Replaces Markdown escapes, which would show in an HTML block."""
    return re.sub(r"\\(.)", lambda found: f"&#{ord(found[1])};", text)


def _size(text: str) -> int:
    return len(text.encode())


def _fitting(parts: list[str], limit: int) -> list[str]:
    found: list[str] = []
    for each in parts:
        limit -= _size(each)
        if limit < 0:
            break
        found.append(each)
    return found


def _cut(text: str, limit: int) -> str:
    """The last resort, if not even the summary fits."""
    return text if _size(text) <= limit else text.encode()[:limit].decode(errors="ignore")
