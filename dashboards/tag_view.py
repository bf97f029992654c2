"""The slices of a task on the page "Tasks": by split and subset, or by what its data say of their items.

tags of the items ── a choice, in the address ──> one tag ── scores of all models on each of its values ──> chart, rows
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from benchkit.measure.score_range import score_range
from benchkit.measure.tag_slices import SliceScore
from benchkit.report import words
from benchkit.report.charts.labels import labels
from benchkit.report.charts.tasks import CHART_VALUES, slices, tag_chart
from benchkit.report.view import reference, summaries
from benchkit.types.tags import KeptTags
from dashboards import board, place
from dashboards.asked import Asked, tell
from dashboards.bar import chosen
from dashboards.choices import part
from dashboards.compared import Picked
from dashboards.place import Row, escaped, plain

_PARTS = ""  # what the address says of it: nothing; no tag is called so
_NAME = 40
_LONGEST = 2000
_MOST_NOTES = 5
_NONE = (
    "No tags of its items are kept: its data have no further columns that cut them into slices, or an older benchkit "
    "made this result."
)


def show_slices(found: Picked, task: str) -> None:
    """Place the scores of all models on the slices of a task."""
    tags: KeptTags | None = None
    with place.problems_told():
        tags = board.item_tags_of(found.row.key, task)
    keys = _keys(tags)
    shown = labels(keys, _NAME)
    names = {_PARTS: "by split and subset", **{key: escaped(f"by {shown[key]}") for key in keys}}
    if keys:
        tag = part("Slices", names, _PARTS, field="slices", key="tasks-slices-by")
    else:
        tag = _PARTS
        tell(Asked("slices", chosen().slices, (), names[_PARTS]))
    if tag == _PARTS:
        drawn = slices(found.comparison, task)
        place.chart(drawn, key="tasks-slices", absent="It has one split and subset, so no slices.")
    else:
        _by_tag(found, task, tag)
    if tags is None:
        st.caption(_NONE)
    else:
        _notes([f"Left out: {why}" for why in tags.tags.left_out])


def _keys(tags: KeptTags | None) -> list[str]:
    return list(dict.fromkeys(key for columns in tags.tags.parts.values() for key in columns)) if tags else []


def _by_tag(found: Picked, task: str, tag: str) -> None:
    comparison = found.comparison
    models = [row.model for row in summaries(comparison)]
    asked = chosen().against
    against = asked if asked in models else reference(comparison)
    metric = next((scored.result.main_metric for scored in comparison.cells if scored.result.task == task), None)
    made = None
    with place.problems_told():
        made = board.tag_slices_of(
            found.row.key, task, tag, against=against, seed=comparison.seed, bounds=score_range(metric)
        )
    if made is None:
        place.sentence("No scores of single items are kept for it, so none of its slices.", "info")
        return
    order = {model: at for at, model in enumerate(models)}
    values = {one.value: at for at, one in enumerate(made.scores)}
    scores = sorted(made.scores, key=lambda one: (values[one.value], order.get(one.model, len(order))))
    place.chart(tag_chart(models, task, tag, scores), key="tasks-tag-slices", absent="No slice of it has a score.")
    rows = slice_rows(tag, against, scores)
    heads = {"slice": plain(tag, _NAME), "items": "items", "model": "model", "points": "points", "interval": "95 % CI"}
    if against is not None:
        heads |= {"change": f"minus {plain(against, _NAME)}", "change_interval": "95 % CI of it"}
    config = {name: st.column_config.NumberColumn(heads[name], format=form) for name, form in _FORMATS if name in heads}
    place.table(rows, key="tasks-tag-rows", columns=heads, config=config, alt=f"{len(rows)} scores on slices")
    _notes([*_cut(len(set(values))), _SAID, *made.notes])


_FORMATS = (("points", "%.1f"), ("change", "%+.1f"))
_SAID = (
    "A slice's score is the metric on its items alone. The intervals are of 95 % each, not corrected for their number: "
    "they say where to look."
)


def _cut(n_values: int) -> list[str]:
    return [f"The chart has the {CHART_VALUES} largest of {n_values} slices."] if n_values > CHART_VALUES else []


def _notes(notes: Sequence[str]) -> None:
    for note in notes[:_MOST_NOTES]:
        st.caption(escaped(note, _LONGEST))
    if len(notes) > _MOST_NOTES:
        place.download([{"note": note} for note in notes], key="tasks-slice-notes", label=f"All {len(notes)} notes")


def slice_rows(tag: str, against: str | None, scores: Sequence[SliceScore]) -> list[Row]:
    """Return a row for each slice and model: points and words to read, and the numbers in full."""
    return [
        {
            "tag": tag,
            "slice": one.value,
            "items": one.n_items,
            "model": one.model,
            "points": None if one.score is None else round(100 * one.score, 10),
            "interval": words.span(one.interval) or words.ABSENT,
            "change": None if one.difference is None else round(100 * one.difference, 10),
            "change_interval": words.signed_span(one.difference_interval) or words.ABSENT,
            "score": one.score,
            "low": one.interval and one.interval.low,
            "high": one.interval and one.interval.high,
            "against": against,
            "difference": one.difference,
            "difference_low": one.difference_interval and one.difference_interval.low,
            "difference_high": one.difference_interval and one.difference_interval.high,
        }
        for one in scores
    ]
