"""The items on which a model did worst, with the texts that a person needs in order to see why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchkit.tasks.items import item_kind, ranking_of
from benchkit.tasks.parts import iter_parts
from benchkit.tasks.rankings import groups, query_values
from benchkit.types.result import WorstItem

SHOWN = 10
_TEXT_LENGTH = 300


def worst_items(task: Any, metric: str) -> tuple[WorstItem, ...]:
    """Return up to ten items that are not perfect, worst first; empty for types without single answers."""
    found: list[WorstItem] = []
    for split, subset, part in iter_parts(task):
        place = (split, subset)
        if place in task.per_query:
            found.extend(_queries(task, place, part, metric))
        elif task.scored.get(place) and item_kind(type(task), metric) != "regression":
            found.extend(_labelled(task, place, part))
    # Stable: equal values keep the order of the data.
    wrong = [item for item in found if item.value < 1.0]
    return tuple(sorted(wrong, key=lambda item: item.value)[:SHOWN])


def _cut(text: Any) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= _TEXT_LENGTH else flat[: _TEXT_LENGTH - 1] + "…"


def _queries(task: Any, place: tuple[str, str], part: Any, metric: str) -> list[WorstItem]:
    ranking = ranking_of(task, place, part)
    qrels, results = ranking.judgements, ranking.results
    values = query_values(ranking, metric)
    if values is None:
        return []
    worst = sorted(values, key=lambda query: (values[query], query))[:SHOWN]
    # Of several queries that are scored as one, the first is shown.
    first = {group: queries[0] for group, queries in groups(sorted(qrels), metric).items()}
    query_rows = {query: row for row, query in enumerate(part["queries"]["id"][:])}
    document_rows = {document: row for row, document in enumerate(part["corpus"]["id"][:])}

    def document(name: str) -> str:
        row = part["corpus"][document_rows[name]]
        return _cut(row.get("title") or row["text"])

    items = []
    for item in worst:
        query = first[item]
        relevant = sorted(
            (name for name, grade in qrels[query].items() if grade > 0), key=lambda name: (-qrels[query][name], name)
        )
        hits = sorted(results[query], key=lambda name: (-results[query][name], name))
        items.append(
            WorstItem(
                item=item,
                value=values[item],
                text=_cut(part["queries"][query_rows[query]]["text"]),
                expected="; ".join(document(name) for name in relevant[:2] if name in document_rows),
                found="; ".join(document(name) for name in hits[:1] if name in document_rows),
            )
        )
    return items


def _labelled(task: Any, place: tuple[str, str], part: Any) -> list[WorstItem]:
    truth = np.asarray(task.scored[place][0][0])
    column = getattr(task, "input_column_name", "text")
    if truth.ndim != 1 or len(truth) != len(part) or not isinstance(column, str):
        return []
    answers = [np.asarray(predicted).tolist() for _, predicted in task.scored[place]]
    right = np.mean([np.asarray(predicted) == truth for predicted in answers], axis=0)
    names = _label_names(part, task.label_column_name)
    items = []
    for row in np.argsort(right, kind="stable")[:SHOWN].tolist():
        common = Counter(predicted[row] for predicted in answers).most_common(1)[0][0]
        label = truth[row].item()
        items.append(
            WorstItem(
                str(row),
                float(right[row]),
                _cut(part[row][column]),
                names.get(label, str(label)),
                names.get(common, str(common)),
            )
        )
    return items


def _label_names(part: Any, column: str) -> dict[Any, str]:
    if "label_text" not in part.column_names:
        return {}
    return dict(zip(part[column][:], part["label_text"][:], strict=True))
