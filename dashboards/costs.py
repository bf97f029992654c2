"""Costs as rows of tables: what a page shows of each model, and everything that was measured behind it.

    CostReport ── key_rows ────> one row for each model: the figures that people ask for first, with their intervals
               ── figure_rows ─> every figure
               ── ratio_rows ──> paired ratios with verdicts, and a model against itself
    ModelMeta ─── size_rows ───> vectors of so many documents

Absent is never 0: a figure that wasn't measured is said to be that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchkit.report import words
from benchkit.report.charts.cost import size_unit
from benchkit.report.cost_view import TEXTS_PER_S, time_words
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostFigure, CostRatio, CostReport, ModelCost
from benchkit.types.model import ModelMeta
from dashboards.place import Row

NOT_MEASURED = "not measured"
NOT_KNOWN = "not known"
OWN = "its own"  # of a model that knows no choice of engines
PRICE = "price/per_million_tokens"
# Column -> metric and heading with its unit.
KEY_FIGURES: Mapping[str, tuple[str, str]] = {
    "p50": ("latency/query/p50_ms", "p50 (ms)"),
    "p95": (words.P95, "p95 (ms)"),
    "p99": ("latency/query/p99_ms", "p99 (ms)"),
    "texts": (TEXTS_PER_S, "texts/s"),
    "tokens": ("throughput/tokens_per_s", "tokens/s"),
    "peak": (words.MEMORY, "peak (MiB)"),
    "load": ("load/model_s", "load (s)"),
}


def key_rows(cost: CostReport) -> list[Row]:
    """Return what people ask for first, as words with intervals and as numbers."""
    return [_key_row(found) for found in cost.models]


def _key_row(found: ModelCost) -> Row:
    row: dict[str, object] = {"model": found.model, "engine": found.engine or OWN}
    for column, (metric, _) in KEY_FIGURES.items():
        figure = found.figure(metric)
        row[column] = figure_words(figure)
        row |= {metric: figure and figure.value, f"{metric}_low": figure and figure.ci_low,
                f"{metric}_high": figure and figure.ci_high}  # fmt: skip
    price = found.figure(PRICE)
    row["price"] = NOT_KNOWN if price is None else f"{figure_words(price)} {price.unit}"
    row[PRICE] = price and price.value
    return row


def figure_words(found: CostFigure | None) -> str:
    """Return a figure with its 95 % interval, without its unit: "15.3 (14.1–16.0)"."""
    if found is None:
        return NOT_MEASURED
    span = words.figure_span(found)
    return f"{words.figure(found)} ({span})" if span else words.figure(found)


def key_columns(cost: CostReport) -> dict[str, str]:
    """Return the headings of the key figures; of prices only where one is known."""
    has_price = any(found.figure(PRICE) for found in cost.models)
    heads = {column: heading for column, (_, heading) in KEY_FIGURES.items()}
    return {"model": "model", **heads, **({"price": "per million tokens"} if has_price else {}), "engine": "engine"}


def figure_rows(cost: CostReport) -> list[CostFigure]:
    """Return every figure, model by model."""
    return [figure for found in cost.models for figure in found.figures]


# ---------------------------------------------------------------- ratios


def ratio_rows(found: Sequence[CostRatio]) -> list[Row]:
    """Return ratios in words and numbers."""
    return [
        {
            "candidate": ratio.candidate,
            "baseline": ratio.baseline,
            "of": time_words(ratio),
            "ratio": words.ratio(ratio.ratio),
            "interval": words.ratio_span(ratio),
            "verdict": ratio.verdict,
            "n": ratio.n,
            "metric": ratio.metric,
            "value": ratio.ratio,
            "low": ratio.ci_low,
            "high": ratio.ci_high,
        }
        for ratio in found
    ]


def noise_sentence(cost: CostReport) -> str:
    """Return how far two processes of one model lay apart: what is no difference of models."""
    if not cost.control:
        return "No model was measured against itself, so how much of a difference is noise isn't known."
    said = [
        f"{time_words(found)} {words.ratio(found.ratio)} (95 % interval {words.ratio_span(found)})"
        for found in cost.control
    ]
    who = words.plain(cost.control[0].candidate, 80)
    return (
        f"Noise floor: {who} against itself in a second process, {', '.join(said)}. Differences of that size are noise."
    )


# ---------------------------------------------------------------- sizes and facts


def size_rows(models: Sequence[ModelMeta], documents: int) -> list[Row]:
    """Return what the vectors of so many documents take, without an index structure."""
    rows: list[Row] = []
    unit = size_unit(models, documents)
    for meta in models:
        size = meta.bytes_per_vector
        total = None if size is None else size * documents
        rows.append(
            {
                "model": meta.name,
                "dimensions": NOT_KNOWN if meta.dimension is None else str(meta.dimension),
                "precision": meta.precision,
                "vector": NOT_KNOWN if size is None else f"{size} bytes",
                "bytes_per_vector": size,
                "documents": documents,
                "bytes": total,
                "size": f"{NOT_KNOWN}: no vectors of one size" if total is None else unit.said(total),
            }
        )
    return rows


def size_words(n_bytes: int) -> str:
    """Return a size with its unit.

    >>> size_words(1536), size_words(1536 * 10**6), size_words(3 * 2**40)
    ('1.50 KiB', '1.43 GiB', '3.00 TiB')
    """
    value, units = float(n_bytes), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{n_bytes} bytes" if units[0] == "bytes" else f"{words.digits(value)} {units[0]}"


def model_facts(comparison: Comparison) -> list[Row]:
    """Return licence and size of each model; what isn't known is said to be that."""
    return [
        {
            "model": meta.name,
            "license": meta.license or NOT_KNOWN,
            "parameters": NOT_KNOWN if meta.parameters is None else words.parameters(meta.parameters),
            "weights": NOT_KNOWN if meta.memory_bytes is None else size_words(meta.memory_bytes),
            "max_seq_length": NOT_KNOWN if meta.max_seq_length is None else f"{meta.max_seq_length} tokens",
            "engine": meta.engine or OWN,
            "origin": meta.id,
            "revision": meta.revision or NOT_KNOWN,
            "fingerprint": meta.fingerprint,
        }
        for meta in comparison.models
    ]


def machine_facts(comparison: Comparison) -> list[Row]:
    """Return on what and how the costs were measured, and with which software."""
    cost = comparison.cost
    session = {} if cost is None else {
        **cost.hardware,
        "device": cost.device,
        "measured at": cost.measured_at,
        "level": cost.level,
        "session": f"{cost.seconds:.0f} s",
        "seed": str(cost.seed),
        "from an earlier session": "yes" if cost.from_cache else "no",
    }  # fmt: skip
    software = {name: value for name, value in comparison.environment.values.items() if name not in session}
    return [{"what": name, "value": value} for name, value in {**session, **software}.items()]
