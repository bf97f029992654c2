"""Where a window differs from its baseline: which regions grew or shrank.

    DriftReport ── regions ──> share of rows before and now of each changed region

Where they lie is in projection.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import HOLLOW, PAPER, Chart, Row, chart
from benchkit.report.charts.labels import short
from benchkit.report.charts.window import LEGEND, ROW_PX, row_axis, words_layer
from benchkit.types.drift import ClusterChange, DriftReport

_KEYWORD_CELLS = 28  # beside the two shares in a window of 390 px
GREW, SHRANK = "grew", "shrank"
SIGNS: Mapping[str, str] = {GREW: "▲", SHRANK: "▼"}
STYLES: Mapping[str, str] = {GREW: base.VERMILION, SHRANK: base.BLUE}
_TOLD = 3  # regions in the words of a chart


def regions(report: DriftReport) -> Chart | None:
    """Return the shares of rows before and now of the changed regions; None where none has changed."""
    if not report.clusters:
        return None
    drawn = [_change(change) for change in report.clusters]
    shown = [
        {**row, "place": place, "words": name_of(change, _KEYWORD_CELLS), "shares": _shares(change)}
        for place, (row, change) in enumerate(zip(drawn, report.clusters, strict=True))
    ]
    layers = [*_dumbbells(shown), words_layer(shown), words_layer(shown, align="right", field="shares")]
    told = "; ".join(row["said"] for row in drawn[:_TOLD])
    more = f"; {len(drawn) - _TOLD} more" if len(drawn) > _TOLD else ""
    return chart(
        "drift-regions",
        "Regions with more or fewer rows than before",
        f"{told}{more}.",
        rows=drawn,
        height=ROW_PX * len(drawn),
        layer=layers,
        params=[dict(PAPER)],
    )


def verb_of(change: ClusterChange) -> str:
    """Return what a region did."""
    return GREW if change.window_share > change.baseline_share else SHRANK


def _change(change: ClusterChange) -> dict[str, Any]:
    keywords = [words.plain(word, 40) for word in change.keywords]
    named = f" ({', '.join(keywords)})" if keywords else ""
    return {
        "region": change.cluster,
        "keywords": ", ".join(keywords),
        "before": change.baseline_share,
        "now": change.window_share,
        "z": change.z,
        "verdict": verb_of(change),
        "said": f"{drift_words.region_name(change)}{named} {verb_of(change)}: {_shares(change)}",
    }


def name_of(change: ClusterChange, limit: int) -> str:
    """Return what people know a region by: its words, and its number where it has none."""
    return short(", ".join(change.keywords) or drift_words.region_name(change), limit)


def _shares(change: ClusterChange) -> str:
    return f"{drift_words.percent(change.baseline_share)} → {drift_words.percent(change.window_share)}"


def _dumbbells(rows: Sequence[Row]) -> list[dict[str, Any]]:
    data = {"values": [dict(row) for row in rows]}
    high = max(max(row["before"], row["now"]) for row in rows)
    scale = {"domain": [0, high or 1], "nice": True}
    axis = {"title": "share of rows (hollow: baseline, filled: this window)", "format": "~%", "tickCount": 5}
    x = {"type": "quantitative", "scale": scale, "axis": axis}
    y = row_axis(len(rows))
    mark = {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1}
    domain = [verb for verb in STYLES if any(row["verdict"] == verb for row in rows)]
    colours = {"domain": domain, "range": [STYLES[verb] for verb in domain]}
    colour = {"field": "verdict", "scale": colours, "legend": LEGEND}
    line = {"type": "rule", "strokeWidth": 3, "opacity": 0.5, "aria": False}
    return [
        {
            "data": data,
            "mark": line,
            "encoding": {"x": {**x, "field": "before"}, "x2": {"field": "now"}, "y": y, "color": colour},
        },
        {
            "data": data,
            "mark": {**mark, "fill": HOLLOW},
            "encoding": {"x": {**x, "field": "before"}, "y": y, "color": colour, **base.SAID},
        },
        {
            "data": data,
            "mark": {**mark, "filled": True},
            "encoding": {"x": {**x, "field": "now"}, "y": y, "color": colour, **base.SAID},
        },
    ]
