"""What models cost beside their latency: batches, throughput, memory and the size of an index.

    CostReport ─┬─ batch_sweep ─> texts in a second by the size of the batch
                ├─ throughput ──> texts and tokens in a second by the length of the documents
                └─ memory ──────> imports, model and peak, side by side: the peak has the other two in it
    ModelMeta ──── index_size ──> vectors of so many documents

Intervals are drawn where figures have them. An axis is logarithmic where its values span a decade or more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchkit.report import words
from benchkit.report.charts import base
from benchkit.report.charts.base import HOLLOW, PAPER, Chart, Row, chart
from benchkit.report.charts.labels import labels
from benchkit.report.charts.latency import span_axis
from benchkit.report.charts.looks import LABEL_CELLS, Look, Together, model_look, together
from benchkit.report.charts.window import LEGEND, ROW_PX, row_axis, words_layer
from benchkit.types.cost import CostFigure, CostReport
from benchkit.types.model import ModelMeta

_PLANE_PX = 280
_MIB = 2**20
_BATCH = re.compile(r"batch/(\d+)/texts_per_s")
# Length classes of documents, by the metric's path.
_LENGTHS: Mapping[str, str] = {"all": "throughput", **{one: f"throughput/{one}" for one in ("short", "medium", "long")}}
_RATES: Mapping[str, str] = {"texts": "texts_per_s", "tokens": "tokens_per_s"}
# Kinds of memory with their shapes and colours.
_MEMORY: Mapping[str, tuple[str, str, str]] = {
    "imports": ("memory/import_mib", "square", base.GREY),
    "model's weights": ("memory/model_mib", "diamond", base.ORANGE),
    "peak": ("memory/peak_mib", "circle", base.BLUE),
}


def _figures(cost: CostReport) -> dict[str, dict[str, CostFigure]]:
    """Return the figures of each model by metric."""
    return {found.model: {figure.metric: figure for figure in found.figures} for found in cost.models}


def _row(model: str, label: str, figure: CostFigure, what: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mark of a figure; `what` tells which one it is of several."""
    name = words.plain(model, 200)
    interval = words.figure_span(figure)
    said = ", ".join([name, *map(str, what.values())])
    return {
        "model": name,
        "label": label,
        **what,
        "value": figure.value,
        "low": figure.ci_low,
        "high": figure.ci_high,
        "unit": figure.unit,
        "said": f"{said}: {words.figure(figure)} {figure.unit}{f' (95 % interval {interval})' if interval else ''}",
    }


def _ends(rows: Sequence[Row]) -> list[float]:
    """Return all that an axis has to show."""
    return [value for row in rows for value in (row["value"], row["low"], row["high"]) if value is not None]


def _intervals(**encoding: Any) -> dict[str, Any]:
    return {
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "mark": {"type": "rule", "strokeWidth": 2, "aria": False},
        "encoding": {"y": {"field": "low"}, "y2": {"field": "high"}, **encoding},
    }


# --- batches


def batch_sweep(cost: CostReport) -> Chart | None:
    """Return texts in a second by the size of the batch; None where no batches were timed."""
    names = labels((found.model for found in cost.models), LABEL_CELLS)
    batches = {model: found for model, figures in _figures(cost).items() if (found := _batches(figures))}
    measured = {model: tuple((size, _ends_of(figure)) for size, figure in found) for model, found in batches.items()}
    shared = together(measured, names)
    rows = [
        _row(one.who, one.label, figure, {"batch": size})
        for model, one in shared.items()
        for size, figure in batches[model]
    ]
    if not rows:
        return None
    sizes = sorted({row["batch"] for row in rows})
    look = model_look(list(names), shared)
    colour = look.encoding("color")
    shown, dashes = look.dashes_of(rows)
    encoding = {
        "x": {
            "field": "batch",
            "type": "quantitative",
            "scale": {"type": "log", "base": 2, "domain": [sizes[0] / 1.1, sizes[-1] * 1.1], "nice": False},
            "axis": {"title": "texts in a call", "values": sizes, "format": "d"},
        },
        "y": _rate_axis("texts per second", rows),
    }
    layers = [
        {"mark": {"type": "line", "strokeWidth": 1.5, "aria": False}, "encoding": {**colour, **dashes}},
        _intervals(**colour),
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {**look.encoding("color", "shape"), **base.SAID},
        },
    ]
    best = {row["model"]: row for row in sorted(rows, key=lambda row: row["value"])}
    told = "; ".join(
        f"{model} does most at {row['batch']}, {words.digits(row['value'])}" for model, row in best.items()
    )
    return chart(
        "batch-sweep", "Texts per second by batch", f"{told} texts/s.", rows=shown, height=_PLANE_PX,
        encoding=encoding, layer=layers,
    )  # fmt: skip


def _batches(figures: Mapping[str, CostFigure]) -> list[tuple[int, CostFigure]]:
    found = [(int(size[1]), figure) for metric, figure in figures.items() if (size := _BATCH.fullmatch(metric))]
    return sorted(found, key=lambda pair: pair[0])


def _ends_of(figure: CostFigure) -> tuple[float | None, ...]:
    return figure.value, figure.ci_low, figure.ci_high


def _rate_axis(title: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {"field": "value", "type": "quantitative", **span_axis(_ends(rows), title=title)}


# --- throughput


def throughput(cost: CostReport) -> Chart | None:
    """Return texts and tokens in a second by the length of documents; None where no passes were timed."""
    names = labels((found.model for found in cost.models), LABEL_CELLS)
    rows = [
        _row(model, names[model], figures[metric], {"documents": length, "of": of})
        for model, figures in _figures(cost).items()
        for length, path in _LENGTHS.items()
        for of, rate in _RATES.items()
        if (metric := f"{path}/{rate}") in figures
    ]
    if not rows:
        return None
    seen = {row["label"] for row in rows}
    # Beside one another, so that models of one measurement don't hide each other.
    look = model_look(list(names), {name: Together(name, label) for name, label in names.items() if label in seen})
    lengths = [length for length in _LENGTHS if any(row["documents"] == length for row in rows)]
    aside = {"field": "label", "scale": {"domain": list(look.labels)}}
    encoding = {
        "x": {
            "field": "documents",
            "type": "nominal",
            "scale": {"domain": lengths, "paddingInner": 0.3},
            "axis": {"title": "length of documents", "labelAngle": 0},
        },
        "xOffset": aside,
        "y": _rate_axis("per second (filled: texts, hollow: tokens)", rows),
    }
    layers = [
        _intervals(**look.encoding("color")),
        _rate_points(look, "texts", {"filled": True}),
        _rate_points(look, "tokens", {"fill": HOLLOW}),
    ]
    told = "; ".join(row["said"] for row in rows if row["documents"] == "all" and row["of"] == "texts")
    return chart(
        "throughput", "Throughput by the length of documents", f"{told or rows[0]['said']}.", rows=rows,
        height=_PLANE_PX, params=[dict(PAPER)], encoding=encoding, layer=layers,
    )  # fmt: skip


def _rate_points(look: Look, of: str, fill: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "transform": [{"filter": {"field": "of", "equal": of}}],
        "mark": {"type": "point", "size": 70, "opacity": 1, "strokeWidth": 2, **fill},
        "encoding": {**look.encoding("color", "shape"), **base.SAID},
    }


# --- memory


def memory(cost: CostReport) -> Chart | None:
    """Return the memory of imports, of the model's weights and at the peak; None where none was measured."""
    names = labels((found.model for found in cost.models), LABEL_CELLS)
    rows = [
        _row(model, names[model], figures[metric], {"memory": what})
        for model, figures in _figures(cost).items()
        for what, (metric, _, _) in _MEMORY.items()
        if metric in figures
    ]
    if not rows:
        return None
    order = list(dict.fromkeys(row["label"] for row in rows))
    shown = [{**row, "place": order.index(row["label"])} for row in rows]
    present = [what for what in _MEMORY if any(row["memory"] == what for row in rows)]
    kind = {"field": "memory", "legend": LEGEND}
    x = {
        "field": "value",
        "type": "quantitative",
        **span_axis([row["value"] for row in rows], title="MiB (the peak includes the others)"),
    }
    points = {
        "data": {"values": [dict(row) for row in shown]},
        "mark": {"type": "point", "filled": True, "size": 100, "opacity": 1},
        "encoding": {
            "x": x,
            "y": row_axis(len(order)),
            "shape": {**kind, "scale": {"domain": present, "range": [_MEMORY[what][1] for what in present]}},
            "color": {**kind, "scale": {"domain": present, "range": [_MEMORY[what][2] for what in present]}},
            **base.SAID,
        },
    }
    named = [{"place": place, "words": label} for place, label in enumerate(order)]
    told = "; ".join(f"{row['model']} {words.digits(row['value'])} MiB" for row in rows if row["memory"] == "peak")
    return chart(
        "memory", "Memory of the process", f"Peak: {told or 'not measured'}.", rows=rows, height=ROW_PX * len(order),
        layer=[points, words_layer(named)],
    )  # fmt: skip


# --- index


def index_size(models: Sequence[ModelMeta], documents: int) -> Chart | None:
    """Return the size of the vectors of so many documents, without an index structure; None where none is known.

    Sparse models have no vectors of one size and are left out.
    """
    known = [(meta, meta.bytes_per_vector) for meta in models if meta.bytes_per_vector is not None]
    if not known or documents < 1:
        return None
    names = labels((meta.name for meta in models), LABEL_CELLS)
    unit = size_unit(models, documents)
    rows = [_size_row(meta.name, names[meta.name], size, documents, unit) for meta, size in known]
    shown = [{**row, "place": place, "words": row["label"]} for place, row in enumerate(rows)]
    x = {
        "field": "value",
        "type": "quantitative",
        **span_axis([row["value"] for row in rows], title=f"{unit.name} of {documents:,} vectors"),
    }
    points = {
        "data": {"values": [dict(row) for row in shown]},
        "mark": {"type": "point", "filled": True, "size": 100, "color": base.BLUE, "opacity": 1},
        "encoding": {"x": x, "y": row_axis(len(rows)), **base.SAID},
    }
    absent = [meta.name for meta in models if meta.bytes_per_vector is None]
    without = f" Without vectors of one size: {words.names(absent)}." if absent else ""
    return chart(
        "index-size", "Size of the vectors", f"{'; '.join(row['said'] for row in rows)}.{without}", rows=rows,
        height=ROW_PX * len(rows), layer=[points, words_layer(shown), words_layer(shown, align="right", field="size")],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """What sizes are told in beside each other."""

    name: str
    n_bytes: float

    def said(self, n_bytes: float) -> str:
        return f"{words.digits(n_bytes / self.n_bytes)} {self.name}"


def size_unit(models: Sequence[ModelMeta], documents: int) -> Unit:
    """Return the unit of all sizes of so many documents' vectors: that of the largest, so that they can be compared."""
    most = max((meta.bytes_per_vector or 0) * documents for meta in models)
    return Unit("GiB", 1024 * _MIB) if most >= 1024 * _MIB else Unit("MiB", _MIB)


def _size_row(model: str, label: str, size: int, documents: int, unit: Unit) -> dict[str, Any]:
    name, value = words.plain(model, 200), size * documents / unit.n_bytes
    said = unit.said(size * documents)
    return {
        "model": name,
        "label": label,
        "bytes_per_vector": size,
        "documents": documents,
        "value": value,
        "unit": unit.name,
        "size": said,
        "said": f"{name}: {said}",
    }
