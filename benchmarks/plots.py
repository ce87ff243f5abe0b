"""Plots of the figures, as self-contained SVG files."""

import html
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pygal
from pygal.style import Style

from benchmarks.fleet import Growth
from benchmarks.measure import Row, Sample

_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
"""pygal's script for interactive charts. A picture in a page does not run scripts."""

_BLUE = "#326ce5"

_STYLE = Style(
    background="white",
    plot_background="white",
    font_family="sans-serif",
    colors=(_BLUE, "#8a3391", "#f7931e", "#2e7d32"),
)

_WIDTH, _LEFT, _RIGHT = 900, 370, 80
"""Of the plot of the spread, in pixels: the whole, and its margins."""

_ROW, _AXIS, _TICKS = 26, 44, 6
"""Height of a row, height of an axis below its rows, and the most ticks on an axis."""


def limits(found: Sequence[Row], path: Path) -> None:
    """Each figure as a percentage of its limit."""
    rows = [
        (row.what.replace("`", ""), 100 * row.figure / row.limit) for row in reversed(found) if row.limit is not None
    ]
    chart = pygal.HorizontalBar(
        style=_STYLE,
        title="Share of the limit that is used (100 is the limit)",
        show_legend=False,
        print_values=True,
        value_formatter=lambda value: f"{value:.0f} %",
        height=120 + 34 * len(rows),
        truncate_label=60,
        disable_xml_declaration=True,
        js=(),
    )
    chart.x_labels = [what for what, _ in rows]
    chart.add("", [{"value": share, "color": "#2e7d32" if share <= 100 else "#c62828"} for _, share in rows])
    _write(chart, path)


def spread(rows: Sequence[Row], path: Path) -> None:
    """Median and range of each measurement, in one panel for each order of magnitude, so that none hides another."""
    samples = {row.what.replace("`", ""): row.measured for row in rows}
    panels: dict[int, dict[str, Sample]] = {}
    for what, sample in sorted(samples.items(), key=lambda item: item[1].median):
        panels.setdefault(math.floor(math.log10(sample.median)), {})[what] = sample
    parts, top = [_text(_WIDTH / 2, 26, "Seconds of wall time: median and range", "middle", 16)], 44
    for panel in panels.values():
        parts.append(_panel(panel, top))
        top += _ROW * len(panel) + _AXIS
    size = f'viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif" font-size="13"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', '<rect width="100%" height="100%" fill="white"/>']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, *parts, "</svg>", ""]), encoding="utf-8")


def _panel(samples: Mapping[str, Sample], top: int) -> str:
    """A line from the fastest to the slowest run, and a dot at the median, on an axis that begins at 0."""
    longest = max(max(each.seconds) for each in samples.values())
    step = next(each for each in _steps(longest) if longest / each <= _TICKS)
    ticks = [step * number for number in range(math.ceil(longest / step) + 1)]

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / ticks[-1]

    bottom = top + _ROW * len(samples)
    parts = []
    for tick in ticks:
        parts.append(f'<path d="M{x(tick):.1f} {top}V{bottom}" stroke="#dddddd"/>')
        parts.append(_text(x(tick), bottom + 16, f"{tick:g} s", "middle"))
    for number, (what, sample) in enumerate(samples.items()):
        y = top + _ROW * number + _ROW / 2
        least, most = min(sample.seconds), max(sample.seconds)
        parts.append(_text(_LEFT - 10, y + 4, what, "end"))
        parts.append(f'<path d="M{x(least):.1f} {y}H{x(most):.1f}" stroke="{_BLUE}" stroke-width="4" opacity="0.4"/>')
        parts.append(f'<circle cx="{x(sample.median):.1f}" cy="{y}" r="5" fill="{_BLUE}"/>')
        parts.append(_text(x(most) + 9, y + 4, f"{sample.median:.2f} s"))
    return "\n".join(parts)


def _steps(longest: float) -> Iterator[float]:
    """Distances of ticks, ascending: 1, 2 and 5 times a power of ten."""
    power = math.floor(math.log10(longest)) - 1
    return (digit * 10.0**exponent for exponent in itertools.count(power) for digit in (1, 2, 5))


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" font-size="{size}">{html.escape(text)}</text>'


def growth(found: Sequence[Growth], path: Path) -> None:
    """Seconds over the number of nodes, both logarithmic."""
    chart = pygal.XY(
        style=_STYLE,
        title="A fleet's rehearsal: seconds over nodes",
        logarithmic=True,
        xrange=(8, 1300),
        x_title="nodes",
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        disable_xml_declaration=True,
        js=(),
    )
    chart.x_labels = [each.nodes for each in found]
    chart.add("nodes Ready", [(each.nodes, each.nodes_seconds) for each in found])
    chart.add("render", [(each.nodes, each.render_seconds) for each in found])
    chart.add("all pods ready", [(each.nodes, each.rehearse_seconds) for each in found])
    chart.add("removed again", [(each.nodes, each.clean_seconds) for each in found])
    _write(chart, path)


def _write(chart: pygal.graph.graph.Graph, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SCRIPT.sub("", chart.render(is_unicode=True)), encoding="utf-8")
