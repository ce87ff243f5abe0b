"""Kubernetes quantities: parsed, checked and converted to the canonical form of the API server.

Any other form shows as drift in every later diff, because the server rewrites it. Source: k8s.io/apimachinery,
pkg/api/resource/quantity.go, "canonical form".
"""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<suffix>[A-Za-z]*)")
_MAX_BYTES = 2**63 - 1

CPU_ALLOWED = "CPU cores such as 2 or 0.5, or millicores such as 500m; more than 0, no finer than 1m"
BYTES_ALLOWED = (
    "bytes with a Kubernetes suffix: Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000), such as 4Gi"
)


def cpu_millicores(quantity: str) -> int:
    """CPU as millicores (1000 = one core). Raises ValueError with what is allowed."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None or match["suffix"] not in ("", "m"):
        raise ValueError(CPU_ALLOWED)
    millicores = Decimal(match["number"]) * (1 if match["suffix"] else 1000)
    if millicores != millicores.to_integral_value() or not 0 < millicores <= _MAX_BYTES:
        raise ValueError(CPU_ALLOWED)
    return int(millicores)


def as_bytes(quantity: str) -> int:
    """Memory or storage as bytes, rounded up. Raises ValueError with what is allowed."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(BYTES_ALLOWED)
    suffix = match["suffix"]
    if suffix in _BINARY:
        factor = 1024 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        factor = 1000 ** _DECIMAL[suffix]
    elif not suffix:
        factor = 1
    else:
        raise ValueError(BYTES_ALLOWED + _meant(match["number"], suffix))
    size = int((Decimal(match["number"]) * factor).to_integral_value(ROUND_CEILING))
    if not 0 < size <= _MAX_BYTES:
        raise ValueError(BYTES_ALLOWED)
    return size


def _meant(number: str, suffix: str) -> str:
    """A hint for common mistakes: `4GB`, `4gi`, and `512m`, which is half a byte."""
    if suffix == "m":
        return f" (m means thousandths; did you mean {number}M or {number}Mi?)"
    for right in (*_BINARY, *_DECIMAL):
        if suffix.lower() in (right.lower(), right.lower() + "b"):
            return f" (did you mean {number}{right}?)"
    return ""


def _text(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError("a Kubernetes quantity: a number, or text such as 500m or 4Gi")
    # Decimal keeps 0.1 exact; repr() of a float may be in scientific notation
    return given.strip() if isinstance(given, str) else f"{Decimal(str(given)):f}"


def _canonical_cpu(given: Any) -> str:
    millicores = cpu_millicores(_text(given))
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


def _canonical_bytes(given: Any) -> str:
    text = _text(given)
    size = as_bytes(text)
    # A number without a suffix is decimal for the server, whatever it was written as: 0.9765625Ki is 1000, and so 1k
    for suffixes, base in ((_BINARY, 1024), (_DECIMAL, 1000))[text[-1] != "i" :]:
        for suffix, power in reversed(suffixes.items()):
            if size % base**power == 0:
                return f"{size // base**power}{suffix}"
    return str(size)


def _schema(allowed: str, example: str, suffixes: str, *, least: int | None = None) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": ["string", "number"],
            "pattern": rf"^\s*(?:\d+(?:\.\d*)?|\.\d+)(?:{suffixes})?\s*$",
            **({"exclusiveMinimum": 0} if least is None else {"minimum": least}),
            "patternErrorMessage": allowed,
            "examples": [example],
        }
    )


Cpu = Annotated[str, BeforeValidator(_canonical_cpu), _schema(CPU_ALLOWED, "500m", "m")]
"""CPU, in cores."""

Bytes = Annotated[
    str, BeforeValidator(_canonical_bytes), _schema(BYTES_ALLOWED, "4Gi", "|".join([*_BINARY, *_DECIMAL]))
]
"""Memory or storage, in bytes."""

BytesOrNone = Annotated[
    str,
    BeforeValidator(lambda given: "0" if _text(given) == "0" else _canonical_bytes(given)),
    _schema(f"0, or {BYTES_ALLOWED}", "1Gi", "|".join([*_BINARY, *_DECIMAL]), least=0),
]
"""Memory or storage in bytes, or 0."""
