"""What the pages Verdict and Compare have in common: the comparison that is shown, its models as rows, links between.

Filters ── picked ──> the row and the comparison asked for, or else the newest that was finished
Comparison ── model_rows ──> one flat row for each model, best mean first ── model_table
page ── link ──> an address that keeps what is chosen
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from benchkit.errors import BenchkitError, UsageError
from benchkit.report import warning_words, words
from benchkit.report.charts.quality import CostAxis, quality_against, without_place
from benchkit.report.charts.variants import variants_note
from benchkit.report.cost_view import figure, over_budget
from benchkit.report.view import metas_by_name, summaries
from benchkit.types.board import ComparisonRow
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostFigure
from dashboards import board, place
from dashboards.asked import Asked, missing_sentence
from dashboards.bar import chosen
from dashboards.filters import Filters, to_query
from dashboards.place import Row, plain
from dashboards.theme import PAGES

FIRST_COMMANDS = ("benchkit compare minilm minilm-static tfidf --offline",)

# What a table shows of a model, and what only a wide one has room for.
SHORT_COLUMNS: Mapping[str, str] = {
    "recommended": "use",
    "model": "model",
    "points": "mean",
    "interval": "95 % CI",
    "p95_ms": "p95 (ms)",
    "memory_mib": "memory (MiB)",
    "bytes_per_vector": "bytes/vector",
    "limits": "limits",
}
LONG_COLUMNS: Mapping[str, str] = {
    "rank": "rank",
    "recommended": "use",
    "model": "model",
    "points": "mean",
    "interval": "95 % CI",
    "on_front": "front",
    "p95_ms": "p95 (ms)",
    "p95_interval": "95 % CI of p95",
    "memory_mib": "memory (MiB)",
    "bytes_per_vector": "bytes/vector",
    "dimension": "dimension",
    "parameters": "parameters",
    "license": "licence",
    "limits": "limits",
}
_FORMATS = {"points": "%.1f", "p95_ms": "%.2f", "memory_mib": "%.0f", "parameters": "compact"}
_LONGEST = 2000  # of a sentence
_FEW = 3  # warnings that don't push everything else off the page
_TRIES = 3  # comparisons that can't be read before a page gives up: each may be a file behind a slow server


@dataclass(frozen=True, slots=True)
class Picked:
    """The comparison that a page shows.

    Attributes:
        rows: All that can be picked, newest last.
        note: What to know of the pick; "" where it is the newest.
        unfinished: The newest of all, where that was interrupted and this one stands for it.
    """

    row: ComparisonRow
    comparison: Comparison
    rows: Sequence[ComparisonRow]
    note: str
    unfinished: ComparisonRow | None = None


def picked() -> Picked | None:
    """Return the comparison that is asked for, or else the newest; None where none is of this choice.

    One that was interrupted has no recommendation: it is the newest only where none was finished.

    Raises:
        UsageError: neither it nor those before it can be read.
    """
    filters = chosen()
    rows = board.comparisons(filters)
    if not rows:
        return None
    finished_last = sorted(rows, key=lambda row: not row.is_interrupted)
    newest = finished_last[-1]
    meant = next((row for row in rows if row.key == filters.comparison), newest)
    row, comparison = readable(meant, finished_last)
    unfinished = rows[-1] if row is newest and row is not rows[-1] else None
    note = ""
    if unfinished is not None:
        note = f"A newer comparison, of {when(unfinished.started)}, was interrupted before it was finished."
    elif row is meant and row is not newest and row is not rows[-1]:
        note = f"This is not the newest comparison: that one is of {when(newest.started)}."
    which = "the newest" if unfinished is None else "the newest that was finished"
    asked = Asked("comparison", filters.comparison, {row.key for row in rows}, f"{which}, of {when(row.started)}")
    notes = [said for said in (missing_sentence([asked]), note) if said]
    return Picked(row, comparison, rows, " ".join(notes), unfinished)


def readable(row: ComparisonRow, rows: Sequence[ComparisonRow]) -> tuple[ComparisonRow, Comparison]:
    """Return a comparison, or else the newest other one that can be read, and say that and why.

    Raises:
        UsageError: none of those that were tried can be read; says why the first one can't.
    """
    problem: BenchkitError | None = None
    for one in [row, *(other for other in reversed(rows) if other is not row)][:_TRIES]:
        try:
            found = board.comparison_of(one.key)
        except BenchkitError as exc:
            problem = problem or exc
            continue
        if problem is not None:
            place.unread(f"{problem}; shown instead: the comparison of {when(one.started)}")
        return one, found
    raise problem or UsageError("there is no comparison")


def when(time: str) -> str:
    """Return a time for people: "2026-11-21 14:20 UTC".

    >>> when("2026-11-21T14:20:55+00:00")
    '2026-11-21 14:20 UTC'
    """
    return f"{plain(time[:16]).replace('T', ' ')} UTC"


# ---------------------------------------------------------------- models as rows


def model_rows(comparison: Comparison) -> list[Row]:
    """Return what is known of each model, best mean first; what is absent is None."""
    metas, broken = metas_by_name(comparison), over_budget(comparison)
    rows: list[Row] = []
    for summary in summaries(comparison):
        meta, interval = metas[summary.model], summary.interval
        p95, memory = (figure(comparison, summary.model, metric) for metric in (words.P95, words.MEMORY))
        rows.append(
            {
                "model": summary.model,
                "recommended": summary.model == comparison.recommendation.model,
                "rank": words.rank(summary),
                "points": _points(summary.mean_score),
                "interval": words.span(interval),
                "points_low": _points(interval.low if interval else None),
                "points_high": _points(interval.high if interval else None),
                "on_front": None if comparison.cost is None else summary.model in comparison.pareto,
                **_figure("p95_ms", p95),
                **_figure("memory_mib", memory),
                "bytes_per_vector": meta.bytes_per_vector,
                "dimension": meta.dimension,
                "precision": meta.precision,
                "parameters": meta.parameters,
                "license": meta.license,
                "limits": "; ".join(broken.get(summary.model, ())) or "kept",
                "missing": summary.missing,
                "origin": meta.id,
                "revision": meta.revision,
                "fingerprint": meta.fingerprint,
                "engine": meta.engine,
            }
        )
    return rows


def _points(score: float | None) -> float | None:
    return None if score is None else round(100 * score, 10)  # 0.57 is 57 points and not 56.99999999999999


def _figure(name: str, found: CostFigure | None) -> dict[str, Any]:
    short = name.partition("_")[0]
    return {
        name: found and found.value,
        f"{short}_interval": words.figure_span(found),
        f"{short}_low": found and found.ci_low,
        f"{short}_high": found and found.ci_high,
    }


def model_table(comparison: Comparison, columns: Mapping[str, str], *, key: str) -> None:
    """Place the models as a table that can be sorted, with its CSV; the recommended one is ticked."""
    rows = model_rows(comparison)
    heads = dict(columns)
    if not comparison.budget.is_set:
        heads.pop("limits", None)
    formats: dict[str, Any] = {
        name: st.column_config.NumberColumn(heads[name], format=form)
        for name, form in _FORMATS.items()
        if name in heads
    }
    alt = "; ".join(f"{plain(row['model'], 60)} {words.points((row['points'] or 0) / 100)} points" for row in rows[:6])
    place.table(rows, key=key, columns=heads, config=formats, alt=f"Models and what they cost: {alt}")


def quality_chart(comparison: Comparison, cost: CostAxis, *, key: str) -> None:
    """Place quality against a cost, and what a reader of the picture must know: who isn't in it, and why."""
    drawn = quality_against(comparison, cost)
    place.chart(drawn, key=key, absent="No model has both a mean score and this cost.")
    if drawn is not None:
        st.caption(_signs_told(drawn.rows))
    if drawn is not None and any(row["aside"] for row in drawn.rows):
        st.caption("Models of exactly the same cost, such as variants that share a measurement, stand side by side.")
    if drawn is not None and (joins := variants_note(comparison.models)):
        st.caption(joins)
    if absent := without_place(comparison, cost):
        st.caption(place.escaped(f"Not in the picture: {'; '.join(absent)}.", _LONGEST))


def _signs_told(rows: Sequence[Row]) -> str:
    """Return what the signs of the picture mean, of those that are in it; our own words."""
    said = ["Diamond: the model to use."] if any(row["chosen"] for row in rows) else []
    said.append("Blue, on the dashed line: no other model has a better mean for as little.")
    if any(not (row["on_front"] or row["chosen"]) for row in rows):
        said.append("Grey: another one has.")
    if not all(row["keeps_budget"] for row in rows):
        said.append("Hollow: breaks a limit.")
    return " ".join([*said, "Bars: 95 % intervals."])


def warned(comparison: Comparison) -> None:
    """Place what a reader of a comparison must know; open where it is little."""
    found = warning_words.warnings(comparison)
    if found:
        with st.expander(f"{words.counted(len(found), 'warning')} of this comparison", expanded=len(found) <= _FEW):
            for warning in found:
                place.sentence(warning, "warning")


# ---------------------------------------------------------------- links


def link(name: str, label: str, asked: Filters | None = None) -> None:
    """Place a link to another page of the dashboard; the label is our own text.

    Args:
        asked: What that page shows; without it the same choice as here.
    """
    page = next(page for page in PAGES if page.name == name)
    st.page_link(page.path, label=label, query_params=to_query(asked or chosen()))
