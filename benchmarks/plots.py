"""Plots of the figures, as SVG: nothing in them is loaded from elsewhere."""

import re
from collections.abc import Sequence
from pathlib import Path

import pygal
from pygal.style import Style

from benchmarks.fleet import Growth
from benchmarks.measure import Row

_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
"""What pygal puts in for charts that react to the mouse. A picture in a page runs nothing."""

_STYLE = Style(
    background="white",
    plot_background="white",
    font_family="sans-serif",
    colors=("#326ce5", "#8a3391", "#f7931e", "#2e7d32"),
)


def limits(found: Sequence[Row], path: Path) -> None:
    """Each figure as a share of what it may be at most."""
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
    """The times of all runs: box and whiskers."""
    chart = pygal.Box(
        style=_STYLE,
        title="Seconds of wall time: spread of the runs",
        box_mode="extremes",
        legend_at_bottom=True,
        legend_at_bottom_columns=1,
        truncate_legend=-1,
        height=500 + 22 * len(rows),
        disable_xml_declaration=True,
        js=(),
    )
    for row in rows:
        chart.add(row.what.replace("`", ""), list(row.measured.seconds))
    _write(chart, path)


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
