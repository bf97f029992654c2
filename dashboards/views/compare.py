"""Compare: what quality costs, which differences are sure, and everything that the numbers of a comparison rest on.

the comparison, the cost, the model to compare with ── charts of benchkit.report ──> pictures with their rows
Comparison ── models, differences, cells, costs ──> tables, CSV, JSON, the command, the run in MLflow
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from benchkit.report import verdict_words, words
from benchkit.report.charts.forest import forest
from benchkit.report.charts.labels import labels
from benchkit.report.charts.quality import CostAxis
from benchkit.report.cost_view import FRONT_NOTE, budget_words, session_words
from benchkit.report.json_form import render_json
from benchkit.report.view import reference, summaries
from benchkit.types.board import ComparisonRow
from benchkit.types.comparison import Comparison
from dashboards import place
from dashboards.asked import Asked, tell
from dashboards.bar import chosen
from dashboards.choices import box, comparison_box, part
from dashboards.compared import FIRST_COMMANDS, LONG_COLUMNS, Picked, link, model_table, picked, quality_chart, warned
from dashboards.limits import budget_of, forget_button, within
from dashboards.picks import mlflow_link
from dashboards.place import Row, escaped, plain
from dashboards.theme import SAVES

_AXES: dict[CostAxis, str] = {"latency": "latency", "memory": "memory", "bytes": "bytes/vector"}
_NAME = 80
_LONGEST = 2000


def show() -> None:
    """Place the view."""
    st.header("What quality costs", anchor=False)
    found = picked()
    if found is None:
        place.empty("No comparison is of this choice.", FIRST_COMMANDS)
        return
    comparison_box(found, key="compare-comparison")
    limited = within(found.comparison, budget_of(found.comparison, chosen()))
    if found.note:
        place.sentence(found.note, "info")
    place.sentence(verdict_words.verdict_sentence(limited))
    _limits_told(limited)
    _plane(limited)
    model_table(limited, LONG_COLUMNS, key="compare-models")
    if limited.cost is not None:
        st.caption(escaped(f"front: {FRONT_NOTE}. {session_words(limited.cost)}", _LONGEST))
    _forest(limited)
    _origins(found, limited)


def _limits_told(limited: Comparison) -> None:
    if limited.budget.is_set:
        place.sentence(f"Limits: {budget_words(limited.budget)}. Models that break them are hollow.", "info")
        with st.container(horizontal=True):
            link("verdict", "Change the limits")
            forget_button(chosen())


# ---------------------------------------------------------------- pictures


def _plane(limited: Comparison) -> None:
    usual: CostAxis = "latency" if limited.cost is not None else "bytes"
    axis = part("Cost", _AXES, usual, field="axis", key="compare-axis")
    quality_chart(limited, axis, key=f"compare-{axis}")


def _forest(limited: Comparison) -> None:
    names = [row.model for row in summaries(limited)]
    asked = chosen().against
    against = asked if asked in names else reference(limited) or names[0]
    st.subheader("Which differences are sure?", anchor=False)
    tell(Asked("model", asked, names, against))
    said = labels(names, _NAME)
    box("Compare with", names, against, field="against", key="compare-against", said=said.__getitem__)
    drawn = forest(limited, baseline=against)
    place.chart(drawn, key="compare-forest", absent="No model was compared with this one.")
    st.caption(
        escaped(
            f"Filled: a difference that is sure after Holm's correction; hollow: left open; square: the same within "
            f"{words.margin_words(limited.margin)}. Intervals are 95 %, from {limited.n_resamples} paired resamples."
        )
    )


# ---------------------------------------------------------------- what the numbers rest on


def _origins(found: Picked, limited: Comparison) -> None:
    st.subheader("Where the numbers come from", anchor=False)
    warned(limited)
    _reproduce(found.row, limited)
    with st.expander("Settings and machine"):
        place.table(_facts(limited), key="compare-facts", alt="Settings of the comparison and its machine")
    place.sentence("Raw rows:")
    with st.container(horizontal=True):
        for key, label, rows in _raw(limited):
            if rows:
                place.download(rows, key=key, label=label)
        st.download_button(
            f"{SAVES} All of it (JSON)",
            data=lambda: render_json(found.comparison).encode(),
            file_name="result.json",
            mime="application/json",
            key="compare-json",
            on_click="ignore",
            type="tertiary",
        )


def _reproduce(row: ComparisonRow, limited: Comparison) -> None:
    if command := limited.environment.values.get("command"):
        place.sentence("The command that makes this comparison again:")
        place.command(plain(command, _LONGEST))
    mlflow_link(row.address, row.run_id)


def _facts(limited: Comparison) -> list[Row]:
    suite = limited.suite
    settings = {
        "suite": suite.name,
        "suite file": suite.path,
        "suite digest": suite.digest,
        "started": limited.started,
        "seconds": f"{limited.seconds:.1f}",
        "compared with": limited.baseline or "each with each",
        "margin": words.margin_words(limited.margin),
        "resamples": str(limited.n_resamples),
        "seed": str(limited.seed),
    }
    said = {**settings, **limited.environment.values}
    return [{"what": name, "value": value} for name, value in said.items() if value is not None]


def _raw(limited: Comparison) -> Sequence[tuple[str, str, Sequence[Row]]]:
    cells = [
        {
            **_result(scored.result),
            "low": scored.interval and scored.interval.low,
            "high": scored.interval and scored.interval.high,
        }
        for scored in limited.cells
    ]
    costs = [figure for cost in limited.cost.models for figure in cost.figures] if limited.cost else []
    ratios = [*limited.cost.ratios, *limited.cost.control] if limited.cost else []
    return (
        ("scores", "Scores", cells),
        ("differences", "Differences", place.as_rows(limited.pairs)),
        ("costs", "Costs", place.as_rows(costs)),
        ("cost-ratios", "Cost ratios", place.as_rows(ratios)),
    )


def _result(found: Any) -> Row:
    names = ("model", "task", "type", "status", "reason", "main_metric", "main_score", "n_items", "seconds", "limited")
    return {name: getattr(found, name) for name in names}
