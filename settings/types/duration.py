"""Durations in Go's notation, checked: Ollama silently ignores one that it cannot parse."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_NANOSECONDS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"-?(?:{_PART.pattern})+", re.ASCII)
_MOST = 2**63 - 1

ALLOWED = "a duration such as 30m, 1h30m or 90s, or whole seconds; at most 2562047h"


def _text(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValueError(ALLOWED)
    text = str(given).strip()
    if re.fullmatch(r"-?\d+", text, re.ASCII):
        text = f"{text}s"
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(ALLOWED)
    if sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)) > _MOST:
        raise ValueError(ALLOWED)
    return text


GoDuration = Annotated[
    str,
    BeforeValidator(_text),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": rf"^\s*(?:-?\d+|-?(?:{_PART.pattern})+)\s*$",
            "patternErrorMessage": ALLOWED,
            "examples": ["30m"],
        }
    ),
]
"""A duration. A plain number means seconds, and gets its unit, because some parts of Ollama require it.

Source: Go's time.ParseDuration; github.com/ollama/ollama v0.17.4, envconfig/config.go (KeepAlive, LoadTimeout) and cmd/cmd.go
(--keepalive).
"""
