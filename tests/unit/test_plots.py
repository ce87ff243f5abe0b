"""The plot of the benchmarks' spread."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plots
from benchmarks.measure import Row, Sample

pytestmark = pytest.mark.timeout(60)

SVG = "{http://www.w3.org/2000/svg}"


def row(what: str, *seconds: float) -> Row:
    return Row(what, Sample(seconds), "the whole command", None, None)


def drawn(tmp_path: Path, *rows: Row) -> ElementTree.Element:
    plots.spread(rows, tmp_path / "img" / "spread.svg")
    return ElementTree.parse(tmp_path / "img" / "spread.svg").getroot()  # noqa: S314  (our own file)


def dots(picture: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in picture.iter(f"{SVG}circle")]


def texts(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def test_each_order_of_magnitude_has_its_own_panel(tmp_path: Path) -> None:
    picture = drawn(tmp_path, row("tests", 127.4), row("fast", 1, 2, 3), row("slow", 7, 8, 9))
    (fast, first), (slow, second), (tests, third) = dots(picture)
    assert fast < slow  # on one axis
    assert second - first < third - second  # another axis is in between
    assert {"0 s", "10 s", "150 s"} <= set(texts(picture))
    assert tests > fast


def test_each_measurement_is_shown_once_with_its_median(tmp_path: Path) -> None:
    picture = drawn(tmp_path, row("`airis render -s 'a<b'`", 1, 2, 4), row("`airis render -s 'a<b'`", 1, 2, 4))
    assert len(dots(picture)) == 1
    assert {"airis render -s 'a<b'", "2.00 s"} <= set(texts(picture))
