"""Tasks: where a model is good and where not, down to single items and what two models made of each.

Comparison ── task_map ──> scores, or differences from a model ── a click, or the box ──> one task
one task ── scores with intervals and ranks, what it is, slices ── two models ── task_forest
two models on the task ── items ──> most unlike, or worst of one, first ── a row ──> both answers side by side
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from benchkit.report import warning_words, words
from benchkit.report.charts.forest import task_forest
from benchkit.report.charts.tasks import task_map
from benchkit.report.view import reference, summaries, task_names
from benchkit.types.comparison import Comparison
from dashboards import item_view, place, tag_view
from dashboards.asked import Asked, tell
from dashboards.bar import choose, chosen
from dashboards.choices import box, comparison_box, part
from dashboards.compared import FIRST_COMMANDS, Picked, picked, warned
from dashboards.map_clicks import clickable, clicked
from dashboards.place import Row, escaped, plain
from dashboards.scores import score_rows, task_facts, warnings_of

_SCORES, _DIFFERENCES = "scores", "differences"
_LONGEST = 2000
_LAST_CLICK = "tasks-last-click"


def show() -> None:
    """Place the view."""
    st.header("Where is a model good, and where not?", anchor=False)
    found = picked()
    if found is None:
        place.empty("No comparison is of this choice.", FIRST_COMMANDS)
        return
    comparison_box(found, key="tasks-comparison")
    if found.note:
        place.sentence(found.note, "info")
    comparison = found.comparison
    tasks, models = task_names(comparison), [row.model for row in summaries(comparison)]
    if not tasks or not models:
        place.sentence("This comparison has no task that was run.", "info")
        return
    first, second = two_models(comparison, models)
    filters = chosen()
    task = filters.task if filters.task in tasks else tasks[0]
    tell(
        Asked("task", filters.task, tasks, task),
        Asked("model", filters.model, models, first),
        Asked("model", filters.against, models, second or ""),
    )
    _map(comparison, second or models[0])
    _task(found, tasks, task)
    _two(found, models, (first, second), task)
    _origins(comparison)


def two_models(comparison: Comparison, models: Sequence[str]) -> tuple[str, str | None]:
    """Return the model that is looked at and the one beside it; no second one where there is only one.

    The one beside it is the one that is asked for, or the reference, or the best of the others.
    """
    filters = chosen()
    first = filters.model if filters.model in models else None
    if first is None:
        first = next((model for model in models if model != filters.against), models[0])
    others = [model for model in models if model != first]
    wanted = (filters.against, reference(comparison), *others)
    return first, next((model for model in wanted if model in others), None)


# ---------------------------------------------------------------- all tasks


def _map(comparison: Comparison, against: str) -> None:
    names = {_SCORES: _SCORES, _DIFFERENCES: f"differences from {escaped(against, 60)}"}
    usual = _DIFFERENCES if chosen().against else _SCORES
    kind = part("Show", names, usual, field="cells", key="tasks-map-kind")
    drawn = task_map(comparison, baseline=None if kind == _SCORES else against)
    absent = "Nothing was scored." if kind == _SCORES else "Nothing was compared with this model."
    place.chart(clickable(drawn), key=f"tasks-map-{kind}", on_pick=_on_click(comparison), absent=absent)
    if drawn is None:
        return
    said = "A click on a cell opens its task and its model below."
    if kind == _DIFFERENCES:
        said = (
            "In parentheses, on grey: a difference that may be chance after Holm's correction, or is the same within "
            f"{words.margin_words(comparison.margin)}. {said}"
        )
    st.caption(escaped(said, _LONGEST))


def _on_click(comparison: Comparison) -> place.Picked:
    def opened(marks: Sequence[Row]) -> None:
        # The chart keeps its mark until another click: only a new one is a choice.
        task, model = clicked(marks, comparison)
        if st.session_state.get(_LAST_CLICK) == (task, model):
            return
        st.session_state[_LAST_CLICK] = (task, model)
        changes = {name: value for name, value in (("task", task), ("model", model)) if value is not None}
        if changes:
            choose(**changes, item=None)
            st.rerun()

    return opened


# ---------------------------------------------------------------- one task


def _task(found: Picked, tasks: Sequence[str], task: str) -> None:
    comparison = found.comparison
    st.subheader("One task", anchor=False)
    box("Task", tasks, task, field="task", key="tasks-task")
    for warning in warnings_of(comparison, task):
        place.sentence(warning, "warning")
    scores, facts = st.columns([3, 2], gap="medium")
    with scores:
        rows = score_rows(comparison, task)
        place.table(
            rows,
            key="tasks-scores",
            columns={"model": "model", "points": "points", "interval": "95 % CI", "rank": "rank", "status": "status"},
            config={"points": st.column_config.NumberColumn("points", format="%.1f")},
            alt="; ".join(f"{plain(row['model'], 60)}: {_said(row)}" for row in rows[:6]),
        )
    with facts:
        columns = {"what": "what", "shown": "value"}
        place.table(task_facts(comparison, task), key="tasks-facts", columns=columns, alt="What the task is")
    if not any(scored.interval for scored in comparison.cells if scored.result.task == task):
        st.caption(escaped("No score has an interval here: no scores of single items were kept."))
    tag_view.show_slices(found, task)


def _said(row: Row) -> str:
    if row["points"] is None:
        return str(row["status"])
    return f"{row['score']} points ({row['interval']})"


# ---------------------------------------------------------------- two models


def _two(found: Picked, models: Sequence[str], pair: tuple[str, str | None], task: str) -> None:
    first, second = pair
    st.subheader("Two models beside each other" if second else "Its items", anchor=False)
    with st.container(horizontal=True, gap="small"):
        box("Model", models, first, field="model", key="tasks-model", width=280)
        if second is not None:
            others = [model for model in models if model != first]
            box("Beside it", others, second, field="against", key="tasks-against", width=280)
    if second is not None:
        drawn = task_forest(found.comparison, first, second)
        place.chart(drawn, key="tasks-forest", absent="These two models were not compared with each other.")
    st.subheader(escaped(f"Items of {task}", 120), anchor=False)
    item_view.show_items(found, task, first, second)


def _origins(comparison: Comparison) -> None:
    command = comparison.environment.values.get("command")
    if command or warning_words.warnings(comparison):
        st.subheader("Where the numbers come from", anchor=False)
    warned(comparison)
    if command:
        place.sentence("The command that makes these numbers again:")
        place.command(plain(command, _LONGEST))
