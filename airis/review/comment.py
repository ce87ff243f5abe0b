"""The reviews of all stacks as one comment in GitHub's Markdown: a table, then a collapsible section per stack."""

from collections.abc import Iterable, Sequence
from html import escape

from airis.diff import Action, Amount, Diff, ObjectChange
from airis.diff.markdown import escaped, fenced, written
from airis.rehearse.verdict import remarks_of
from airis.review.gather import Failed, StackReview
from airis.terminal.errors import ExitCode

MARKER = "<!-- airis-review -->"
"""The first line, which identifies the comment for later edits. .github/scripts/post_comment.py uses it, too."""

LIMIT = 65_536
"""GitHub's limit in characters. Sizes here are in bytes, which are never fewer."""

_HEADINGS = ("stack", "changes", "pods restart", "downtime", "data", "GPUs", "rehearsal", "policy")
_TITLE = "### What this change does"
_ROOM_FOR_NOTE = 600
_WORDS = 4_000
"""Maximum number of bytes for the findings of rehearsal or policy."""
_LEAST = 400
"""Minimum size of a useful section."""
_NAMED = 3
"""Maximum number of objects in a table cell."""
_NAME = 80
"""Maximum length of a name."""
_ROWS = 50


def comment(reviews: Sequence[StackReview], base: str, limit: int = LIMIT) -> str:
    """The comment, at most `limit` bytes long. The table is never cut; a note lists sections that are."""
    head = "\n".join([MARKER, _TITLE, "", *_summary(reviews, base), ""])
    whole = [_section(each, limit) for each in reviews]
    sections = _fitting(reviews, whole, max(0, limit - _size(head) - _ROOM_FOR_NOTE))
    short = [each.name for each, before, after in zip(reviews, whole, sections, strict=True) if before != after]
    if short:
        more = f" and of {len(short) - _NAMED} more" if len(short) > _NAMED else ""
        head += (
            f"\n**Cut** to GitHub's limit of {limit:,} characters: the sections of "
            f"{', '.join(map(_name, short[:_NAMED]))}{more} are shortened or omitted. `airis diff` with the same `--base` "
            "shows everything.\n"
        )
    return "\n".join([head, *(text for text in sections if text)])


def failure(words: str, base: str) -> str:
    """The comment if the stacks cannot be compared."""
    return f"{MARKER}\n{_TITLE}\n\nThe change could not be compared with {_name(base)}:\n\n{_block(words, _WORDS)}"


def _summary(reviews: Sequence[StackReview], base: str) -> Iterable[str]:
    if not reviews:
        yield f"No stack changes, compared with {_name(base)}."
        return
    yield f"Compared with {_name(base)}:"
    touched = [_name(each.name) for each in reviews if each.diff.touches_data]
    if touched:
        more = f" and {len(touched) - _ROWS} more" if len(touched) > _ROWS else ""
        yield from ("", "> [!CAUTION]", f"> **A claim with data is touched**: {', '.join(touched[:_ROWS])}{more}.")
    yield ""
    for cells in (_HEADINGS, ["---"] * len(_HEADINGS), *map(_row, reviews[:_ROWS])):
        yield f"| {' | '.join(cells)} |"
    if len(reviews) > _ROWS:
        yield f"\n{len(reviews) - _ROWS} more stacks are not in the table."


def _row(review: StackReview) -> tuple[str, ...]:
    diff = review.diff
    if review.invalid:
        effects = ["**does not validate**", "", "", "", ""]
    elif diff.broken and not diff.changes:
        effects = ["unknown: the base does not render", "", "", "", _gpus(diff)]
    else:
        counted = ", ".join(f"{count} {action}" for action in Action if (count := diff.count(action)))
        touched = _objects(each for each in diff.changes if each.touches_data)
        effects = [
            counted or "no object",
            _objects(each for each in diff.changes if each.restarts) or "none",
            _objects(each for each in diff.changes if each.downtime) or "none",
            f"**touched**: {touched}" if touched else "kept",
            _gpus(diff),
        ]
    return (_name(review.name), *effects, _rehearsal(review), _policy(review))


def _objects(changes: Iterable[ObjectChange]) -> str:
    names = [_name(str(each)) for each in changes]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _gpus(diff: Diff) -> str:
    before, after = diff.totals_before.devices, diff.totals_after.devices
    cells = []
    for name in sorted({*before, *after}):
        was, will = (_amount(each.get(name, Amount())) for each in (before, after))
        cells.append(f"{was if was == will else f'{was} → {will}'} {_name(name)}")
    return ", ".join(cells) or "none"


def _amount(amount: Amount) -> str:
    return str(amount.low) if amount.low == amount.high else f"{amount.low} to {amount.high}"


def _rehearsal(review: StackReview) -> str:
    if review.rehearsal is None:
        return "not run"
    if isinstance(review.rehearsal, Failed):
        return "not possible here" if review.rehearsal.exit_code is ExitCode.ENVIRONMENT else "**failed**"
    bad = sum(not each.ok for each in review.rehearsal.findings)
    return f"**{bad} of {len(review.rehearsal.findings)} not ready**" if bad else "comes up"


def _policy(review: StackReview) -> str:
    if review.policy is None:
        return "not run"
    if isinstance(review.policy, Failed):
        return "**failed**"
    broken = len(review.policy.broken)
    if review.policy.exit_code:
        return f"**rules broken: {broken}**"
    return f"advised against: {broken}" if broken else "kept"


def _fitting(reviews: Sequence[StackReview], whole: Sequence[str], room: int) -> list[str]:
    """Each stack's section; if they do not all fit, the longest are cut first."""
    sizes = [_size(text) + 1 for text in whole]
    if sum(sizes) <= room:
        return list(whole)
    shares, left = [0] * len(sizes), room
    for done, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return [
        text if share >= size else _section(review, share - 1) if share >= _LEAST else ""
        for review, text, size, share in zip(reviews, whole, sizes, shares, strict=True)
    ]


def _section(review: StackReview, limit: int) -> str:
    """One stack's section in at most `limit` bytes; empty if that is not enough."""
    opened = "" if review.exit_code is ExitCode.OK else " open"
    heading = escape(" ".join(review.name.split()))[:_NAME]
    before, after = f"<details{opened}><summary><b><code>{heading}</code></b></summary>\n\n", "\n</details>\n"
    room = limit - _size(before) - _size(after)
    findings = "\n".join(_findings(review, min(_WORDS, room // 4)))
    text = f"{before}{written(review.diff, max(0, room - _size(findings) - 1))}\n{findings}{after}"
    return text if _size(text) <= limit else ""


def _findings(review: StackReview, limit: int) -> Iterable[str]:
    """The findings of rehearsal and policy."""
    if isinstance(review.rehearsal, Failed):
        yield f"**Rehearsal**: failed\n\n{_block(review.rehearsal.words, limit)}"
    elif review.rehearsal is not None:
        yield f"**Rehearsal**: {escaped(review.rehearsal.summary())}\n"
        if pending := [each for each in review.rehearsal.findings if not each.ok]:
            lines = (f"{each.kind}/{each.name}  {each.state.value}  {each.reason}".rstrip() for each in pending)
            yield _block("\n".join(lines), limit)
        if remarks := remarks_of(review.rehearsal):
            yield _block("\n".join(remarks), limit)
    if isinstance(review.policy, Failed):
        yield f"**Policy**: could not be checked\n\n{_block(review.policy.words, limit)}"
    elif review.policy is not None:
        yield f"**Policy**: {escaped(review.policy.summary())}\n"
        if review.policy.broken:
            yield _block(
                "\n".join(f"{each.level}: {each.rule}: {each.problem}" for each in review.policy.broken), limit
            )


def _name(text: str) -> str:
    return escaped(text if len(text) <= _NAME else f"{text[:_NAME]}…")


def _block(text: str, limit: int) -> str:
    cut = text.strip().encode()[: max(0, limit)].decode(errors="ignore")
    return fenced([*cut.splitlines(), *([] if cut == text.strip() else ["… (cut)"])], "text")


def _size(text: str) -> int:
    return len(text.encode())
