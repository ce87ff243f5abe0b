"""The type of a plain scalar in YAML for each program that reads it: text, number, Boolean, date or null.

YAML 1.1 and 1.2 differ in this, and every parser differs from both. `ENGINE` is the table of the Pulumi engine, `KUBECTL` that
of kubectl. `looks_like_text` is for writing: whether all of them, and parsers of YAML 1.1, read a text as text.
"""

import math
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

TEXT, NUMBER, BOOLEAN, DATE, NULL = "text", "number", "Boolean", "date", "null"

MERGE = "<<"
"""The merge key, which adds the keys of other mappings."""

ENGINE_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? [+-]\d{4} (?:UTC|[+-]\d{4})", re.ASCII)
"""A date as the engine passes it on, in Go's notation. Source: pulumi/pulumi, sdk/go/common/resource/config/object.go."""

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {word: value for value in (True, False) for word in (str(value).lower(), str(value), str(value).upper())}
_OLD_BOOLEANS = {
    word: value
    for value, words in {True: ("y", "yes", "on"), False: ("n", "no", "off")}.items()
    for each in words
    for word in (each, each.capitalize(), each.upper())
}
_INFINITE = frozenset(
    sign + word
    for sign, words in {"": (".inf", ".nan"), "+": (".inf",), "-": (".inf",)}.items()
    for each in words
    for word in (each, each.upper(), {".inf": ".Inf", ".nan": ".NaN"}[each])
)
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[oO]?(?P<o>[0-7]+)|0[bB](?P<b>[01]+)|(?P<d>0|[1-9][0-9]*))"
)
_SIGN_INSIDE = re.compile(r"0(?P<prefix>[bo])(?P<digits>[-+][0-7]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FRACTION = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
"""After a leading `.`, underscores are allowed only between digits; elsewhere, anywhere."""
_DATE = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    r"(?:(?:[Tt](?=.*(?:Z|[-+]\d\d:\d\d)$)|\ +(?=[^Z+-]*$))"  # with a zone after T, without one after a space
    r"(?P<hour>\d\d?):(?P<minute>\d\d?):(?P<second>\d\d?)(?:[.,](?P<part>\d+))?"
    r"(?:Z|(?P<zone>[-+])(?P<zone_hour>\d\d):(?P<zone_minute>\d\d))?)?",
    re.ASCII,
)
_INT64, _UINT64 = 2**63, 2**64
_MOST_DIGITS = 64
"""Digits of a 64-bit integer in binary; Python is slow for one with a million digits."""
_EXPONENT_FROM = 1e21
"""From here on, Go writes a number with an exponent. Source: Go, encoding/json, floatEncoder."""


@dataclass(frozen=True)
class Table:
    """How a program reads plain scalars and mappings."""

    booleans: Mapping[str, bool]
    """The words that are Booleans."""
    dates: bool
    """Whether a date is a date; otherwise it is text."""
    sign_inside: Mapping[str, int]
    """Prefixes, with their bases, after which a sign is accepted: a quirk of the parsers, which read `0b-1` as -1."""
    exact_to: int
    """From here on, an integer is as inexact as a float."""
    unique_keys: bool
    """Whether a duplicate key is an error; otherwise the last one takes precedence."""
    text_keys: bool
    """Whether a key that is not text is an error; otherwise it is converted to text."""
    written_again: bool
    """Whether the program writes and reads again what it has read."""


ENGINE = Table(
    _BOOLEANS,
    dates=True,
    sign_inside={"b": 2, "o": 8},
    exact_to=_INT64,
    unique_keys=True,
    text_keys=True,
    written_again=True,
)
"""The Pulumi engine. Source: resolve.go of gopkg.in/yaml.v3 v3.0.1.

It also accepts numbers and Booleans as keys, and converts them to texts that differ from the notation in the file: those are
refused.
"""

KUBECTL = Table(
    {**_BOOLEANS, **_OLD_BOOLEANS},
    dates=False,
    sign_inside={"b": 2},
    exact_to=_UINT64,
    unique_keys=False,
    text_keys=False,
    written_again=False,
)
"""kubectl, and other programs with sigs.k8s.io/yaml, which uses go.yaml.in/yaml/v2. Source: its resolve.go, v2.4.2."""


class Scalar(NamedTuple):
    """A plain scalar. `value` has JSON's types; a number that JSON cannot represent, such as `.inf`, is a float."""

    kind: str
    value: str | int | float | bool | None


def resolve(written: str, table: Table) -> Scalar:
    """The type and value of a plain scalar for the program of this table."""
    if written in _NULLS:
        return Scalar(NULL, None)
    if written in table.booleans:
        return Scalar(BOOLEAN, table.booleans[written])
    if written in _INFINITE:
        return Scalar(NUMBER, math.nan if written[-1] in "nN" else -math.inf if written[0] == "-" else math.inf)
    if written[0] in "+-.0123456789":
        if table.dates and (date := _date(written)) is not None:
            return Scalar(DATE, date)
        number = _number(written, table)
        if number is not None:
            return Scalar(NUMBER, number)
    return Scalar(TEXT, written)


def _number(written: str, table: Table) -> int | float | None:
    plain = written.replace("_", "")
    if written[0] == ".":
        return _decimal(plain) if _FRACTION.fullmatch(written) else None
    integer = _integer(plain, table)
    if integer is not None:
        return integer if integer < table.exact_to else _decimal(str(integer))
    return _decimal(plain) if _FLOAT.fullmatch(plain) else None


def _decimal(plain: str) -> int | float | None:
    """A float; an integer if it has no fraction, as in Go's JSON. None if it is too large for a float."""
    number = float(plain)
    if math.isinf(number):
        return None
    if number.is_integer() and abs(number) < _EXPONENT_FROM:
        return int(Decimal(repr(number)))  # beyond a float's precision, Go writes zeros
    return number


def _integer(plain: str, table: Table) -> int | None:
    if len(plain) > _MOST_DIGITS + len("-0b"):
        return None
    inside = _SIGN_INSIDE.fullmatch(plain)
    if inside and inside["prefix"] in table.sign_inside:
        try:
            number = int(inside["digits"], table.sign_inside[inside["prefix"]])
        except ValueError:
            return None
        return number if -_INT64 <= number < _INT64 else None
    found = _INTEGER.fullmatch(plain)
    if found is None:
        return None
    base, digits = next((base, found[name]) for name, base in zip("xobd", (16, 8, 2, 10), strict=True) if found[name])
    number = int(digits, base)
    if found["sign"] == "-":
        return -number if number <= _INT64 else None
    return number if number < (_INT64 if found["sign"] else _UINT64) else None


def _date(written: str) -> str | None:
    """The date as the engine passes it on, or None."""
    found = _DATE.fullmatch(written)
    if found is None:
        return None
    at = {name: int(digits or 0) for name, digits in found.groupdict().items() if name not in ("part", "zone")}
    if not (
        1 <= at["month"] <= 12  # noqa: PLR2004
        and 1 <= at["day"] <= _days(at["year"], at["month"])
        and at["hour"] < 24  # noqa: PLR2004
        and at["minute"] < 60  # noqa: PLR2004
        and at["second"] < 60  # noqa: PLR2004
        and at["zone_hour"] <= 24  # noqa: PLR2004
        and at["zone_minute"] <= 60  # noqa: PLR2004
    ):
        return None
    part = (found["part"] or "")[:9].rstrip("0")
    hours, minutes = divmod(at["zone_hour"] * 60 + at["zone_minute"], 60)
    zone = f"{found['zone']}{hours:02}{minutes:02}" if hours or minutes else ""
    return (
        f"{at['year']:04}-{at['month']:02}-{at['day']:02} {at['hour']:02}:{at['minute']:02}:{at['second']:02}"
        f"{'.' + part if part else ''} {zone or '+0000'} {zone or 'UTC'}"
    )


def _days(year: int, month: int) -> int:
    return monthrange(year or 4, month)[1]  # the year 0 is a leap year, but Python does not support it


_MEANING = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"})
"""Words, in lower case, that some parser reads as a Boolean, null or a number."""
_NUMERIC = re.compile(r"[-+.,:_ 0-9a-fA-FxXoOpPtTzZ]*")
"""Characters of numbers and dates in any notation: hexadecimal, octal, with exponent, sexagesimal."""


def looks_like_text(text: str) -> bool:
    """Whether every parser reads this as text without quotes: those of YAML 1.1, of YAML 1.2, and in between.

    It does not check whether YAML's syntax allows it in a given place.
    """
    return (
        text.isprintable()
        and text == text.strip()
        and (
            text[:1].isalpha() or text[:1] in {"/", "_"} or (text[:1] in "0123456789" and not _NUMERIC.fullmatch(text))
        )
        and text.lower() not in _MEANING
    )
