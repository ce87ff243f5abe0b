"""Quantities: the API server's canonical form, without a change of the amount."""

from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from settings.types.quantity import Bytes, Cpu
from tests.unit.fields import amount

pytestmark = pytest.mark.timeout(60)

LARGEST = 2**63 - 1

canonical_bytes = TypeAdapter(Bytes).validate_python
canonical_cpu = TypeAdapter(Cpu).validate_python

BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
DECIMAL = ["k", "M", "G", "T", "P", "E"]

numbers = st.one_of(
    st.integers(1, 10**7).map(str),
    st.decimals(Decimal("0.001"), 10**6, places=3).map(lambda number: f"{number:f}"),
    st.integers(1, 10**6).map(lambda number: f"{number}."),
    st.integers(1, 10**6).map(lambda number: f".{number}"),
)
byte_quantities = st.builds(
    lambda number, suffix: f"{number}{suffix}", numbers, st.sampled_from(["", *DECIMAL, *BINARY])
).filter(lambda text: 0 < amount(text) <= LARGEST)
cpu_quantities = st.one_of(
    st.integers(1, 10**9).map(lambda millicores: f"{millicores}m"),
    st.decimals(Decimal("0.001"), 10**6, places=3).map(lambda cores: f"{cores:f}"),
)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"),
        ("2000m", "2"),
        ("0.5", "500m"),
        (0.5, "500m"),
        (0.1, "100m"),
        (2, "2"),
        (2.0, "2"),
        ("1500m", "1500m"),
        ("1.25", "1250m"),
        (".001", "1m"),
        ("001", "1"),
        (" 2 ", "2"),
    ],
)
def test_cpu_is_in_the_api_servers_canonical_form(given: object, stored: str) -> None:
    assert canonical_cpu(given) == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("1536Ki", "1536Ki"),
        ("2048Gi", "2Ti"),
        ("1.5Ki", "1536"),
        ("0.5Ki", "512"),
        ("0.9765625Ki", "1k"),
        ("1000M", "1G"),
        ("1.5G", "1500M"),
        ("1024M", "1024M"),
        ("1000", "1k"),
        (1000000, "1M"),
        ("1024", "1024"),
        ("4Gi", "4Gi"),
        ("0.1", "1"),
        ("1.5", "2"),
    ],
)
def test_bytes_are_in_the_api_servers_canonical_form(given: object, stored: str) -> None:
    assert canonical_bytes(given) == stored


@given(byte_quantities)
def test_bytes_keep_their_amount_rounded_up(text: str) -> None:
    assert amount(canonical_bytes(text)) == amount(text).to_integral_value(ROUND_CEILING)


@given(byte_quantities)
def test_the_canonical_form_of_bytes_is_stable(text: str) -> None:
    assert canonical_bytes(canonical_bytes(text)) == canonical_bytes(text)


@given(byte_quantities)
def test_bytes_have_the_largest_suffix_that_leaves_a_whole_number(text: str) -> None:
    stored = canonical_bytes(text)
    digits = stored.rstrip("".join({*"".join(BINARY + DECIMAL)}))
    suffix = stored.removeprefix(digits)
    suffixes, base = ([*BINARY], 1024) if stored.endswith("i") else (["", *DECIMAL], 1000)
    assert digits.isdecimal()
    assert suffix in suffixes
    assert suffix == suffixes[-1] or int(digits) % base != 0
    assert not stored.endswith("i") or text.endswith("i")
    assert stored.endswith("i") or not text.endswith("i") or amount(stored) % 1024 != 0


@given(cpu_quantities)
def test_cpu_keeps_its_amount(text: str) -> None:
    assert amount(canonical_cpu(text)) == amount(text)


@given(cpu_quantities)
def test_the_canonical_form_of_cpu_is_stable(text: str) -> None:
    stored = canonical_cpu(text)
    assert canonical_cpu(stored) == stored
    assert stored.isdecimal() or (stored.endswith("m") and int(stored[:-1]) % 1000 != 0)


@given(st.integers(1, 10**6))
def test_cpu_as_a_yaml_number_equals_cpu_as_text(millicores: int) -> None:
    assert canonical_cpu(millicores / 1000) == canonical_cpu(f"{millicores}m")


@settings(max_examples=150)
@given(st.text(alphabet="0123456789.-+eEimkKMGTPBb \n", max_size=8))
def test_any_text_is_refused_or_keeps_its_amount(text: str) -> None:
    for canonical in (canonical_bytes, canonical_cpu):
        try:
            stored = canonical(text)
        except ValidationError:
            continue
        assert canonical(stored) == stored
        assert amount(stored) == amount(text.strip()).to_integral_value(ROUND_CEILING) or canonical is canonical_cpu


@pytest.mark.parametrize(
    "given", [LARGEST + 1, f"{LARGEST + 1}", "8Ei", "9223372036854775.808k", "0", "0Gi", "-1", "1e3"]
)
def test_bytes_beyond_what_kubernetes_holds_are_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        canonical_bytes(given)


def test_the_largest_amount_of_bytes_is_accepted() -> None:
    assert canonical_bytes(LARGEST) == str(LARGEST)
