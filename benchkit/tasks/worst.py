"""The items on which a model did worst, with the texts that a person needs in order to see why."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchkit.tasks.answers import labelled
from benchkit.tasks.items import item_kind
from benchkit.tasks.parts import iter_parts
from benchkit.tasks.ranked import Ranked, cut
from benchkit.types.result import WorstItem

SHOWN = 10


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


def _queries(task: Any, place: tuple[str, str], part: Any, metric: str) -> list[WorstItem]:
    ranked = Ranked(task, place, part, metric)
    values = ranked.values
    if values is None:
        return []

    def titles(names: list[str]) -> str:
        rows = [row for name in names if (row := ranked.document(name)) is not None]
        return "; ".join(cut(row.get("title") or row["text"]) for row in rows)

    worst = sorted(values, key=lambda item: (values[item], item))[:SHOWN]
    return [
        WorstItem(
            item=item,
            value=values[item],
            text=cut(ranked.query(item)["text"]),
            expected=titles([name for name, _ in ranked.relevant(item)[:2]]),
            found=titles([name for name, _ in ranked.hits(item, 1)]),
        )
        for item in worst
    ]


def _labelled(task: Any, place: tuple[str, str], part: Any) -> list[WorstItem]:
    recorded = labelled(task, place, part)
    if recorded is None:
        return []
    column = getattr(task, "input_column_name", "text")
    return [
        WorstItem(
            str(row),
            float(recorded.right[row]),
            cut(part[row][column]),
            recorded.name(recorded.truth[row]),
            recorded.name(recorded.votes(row)[0][0]),
        )
        for row in np.argsort(recorded.right, kind="stable")[:SHOWN].tolist()
    ]
