"""What a model does to texts that are embedded again, over time: the lines that tell harm from mere change.

check rows, marks ── canary_quality ──> identity, neighbours that stay, nDCG@10 and low scores on one axis
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchkit.report import words
from benchkit.report.charts import base
from benchkit.report.charts.base import Chart, Row, chart
from benchkit.report.charts.labels import LINE
from benchkit.report.charts.timeaxis import TEXT_SHOWN, TimeAxis, check_axis, mark_layers, mark_rows
from benchkit.types.board import CheckRow, Mark

# What canaries say: name of the number in a row, and its words.
_CANARY_SERIES = (
    ("identity", "identity"),
    ("overlap_at_10", "overlap@10"),
    ("ndcg_at_10", "nDCG@10"),
    ("low_score_share", "low scores"),
)
_CANARY_PX = 220
_ROOM = "\u00a0" * 4  # behind a name at the right edge, for fonts that are wider than the one it was measured in
_BESIDE = 104.0  # px of these names
# Each name has the shape of its line in front.
_SIGNS = {"circle": "●", "square": "■", "triangle-up": "▲", "diamond": "◆"}
_MANY = 600  # points from which on they are smaller


def canary_quality(rows: Sequence[CheckRow], marks: Sequence[Mark] = ()) -> Chart | None:
    """Return what canaries and retrieval scores say over time; None where nothing of it was measured."""
    measured = [row for row in rows if any(getattr(row, field) is not None for field, _ in _CANARY_SERIES)]
    if not measured:
        return None
    axis = check_axis(rows, measured)
    drawn = [
        {"key": row.key, axis.field: axis.value(place), "stream": words.plain(row.stream, TEXT_SHOWN), "what": said}
        | {"value": value, "said": f"{axis.said(place)}: {said} {value:.4f}"}
        for row, place in zip(measured, axis.places, strict=True)
        for field, said in _CANARY_SERIES
        if (value := getattr(row, field)) is not None
    ]
    low = min(0.0, *(row["value"] for row in drawn))  # a cosine may be below 0
    layers = [
        *mark_layers(mark_rows(axis, marks, beside=_BESIDE)),
        *_series_layers(axis, drawn, low),
        _ends_layer(drawn, low),
    ]
    said = "; ".join(f"{row['what']} {_digits(row['value'])}" for row in _last_of_each(drawn))
    alt = f"{words.counted(len(measured), 'window')}; the last values are: {said}. Fewer low scores are better."
    return chart("drift-canaries", "Canaries and retrieval scores", alt, rows=drawn, height=_CANARY_PX, layer=layers,
                 params=[dict(base.PAPER)])  # fmt: skip


def _series_layers(axis: TimeAxis, rows: Sequence[Row], low: float) -> list[dict[str, Any]]:
    present = [(place, said) for place, (_, said) in enumerate(_CANARY_SERIES) if said in {row["what"] for row in rows}]
    names = [said for _, said in present]
    what = {"field": "what", "legend": None}
    colour = {**what, "scale": {"domain": names, "range": [base.PALETTE[place] for place, _ in present]}}
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [low, 1], "nice": False},
        "title": "share, cosine",
    }
    place = {"x": axis.x(), "y": y, "color": colour}
    dashes = {"domain": names, "range": [list(base.DASHES[place]) for place, _ in present]}
    shapes = {"domain": names, "range": [base.SHAPES[place] for place, _ in present]}
    # Where two have the same values, the one behind is seen around the one in front.
    small = 18 if len(rows) > _MANY else 45
    sizes = {"domain": names, "range": [small * (2 if place == 0 else 1) for place, _ in present]}
    return [
        {
            "mark": {"type": "line", "strokeWidth": 1.5, "aria": False},
            "encoding": {
                **place,
                "strokeDash": {**what, "scale": dashes},
                "detail": {"field": "stream"},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "encoding": {
                **place,
                "shape": {**what, "scale": shapes},
                "size": {**what, "type": "nominal", "scale": sizes},
                **base.SAID,
            },
        },
    ]


def _digits(value: float) -> str:
    """Return a value with three digits; what isn't quite 1 never reads as if it were."""
    return "0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def _sign(what: str) -> str:
    return _SIGNS[base.SHAPES[[said for _, said in _CANARY_SERIES].index(what)]]


def _last_of_each(rows: Sequence[Row]) -> list[Row]:
    return list({row["what"]: row for row in rows}.values())


def _ends_layer(rows: Sequence[Row], low: float) -> dict[str, Any]:
    """Return the names of the lines at their right ends, in the order of their last values, one below the other."""
    per_px = (1 - low) / _CANARY_PX
    ordered = sorted(_last_of_each(rows), key=lambda row: row["value"], reverse=True)
    heights: list[float] = []
    for row in ordered:
        heights.append(min(row["value"], heights[-1] - LINE * per_px if heights else row["value"]))
    # What ran out at the bottom goes up again, the lowest first.
    for place in range(len(heights) - 1, -1, -1):
        floor = low if place == len(heights) - 1 else heights[place + 1] + LINE * per_px
        heights[place] = max(heights[place], floor)
    values = [
        {"y": height, "said": f"{_sign(row['what'])} {row['what']} {_digits(row['value'])}{_ROOM}"}
        for row, height in zip(ordered, heights, strict=True)
    ]
    return {
        "data": {"values": values},
        "mark": {"type": "text", "align": "left", "dx": 8, "fontSize": 11, "aria": False},
        "encoding": {
            "x": {"value": "width"},
            "y": {"field": "y", "type": "quantitative"},
            "text": {"field": "said"},
        },
    }
