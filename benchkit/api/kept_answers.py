"""What the models of a comparison answered to the items on which they differ most, for people who ask why.

    cells ── values of items ── items_to_look_at ──┐
    cache of cells ── answers of every model ──────┴── until the room is used ──> KeptItems, task by task

At most `MOST_ITEMS` of a task and `MOST_BYTES` of text in all. Each task has an equal part of the room that those
before it left; within a task, what matters most comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchkit.api.request import Prepared
from benchkit.measure.cells import Floats
from benchkit.measure.item_choice import items_to_look_at
from benchkit.measure.item_values import item_values
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.run import key_of
from benchkit.types.answer import Answers, KeptItem
from benchkit.types.result import CellResult, ItemScores

MOST_ITEMS = 200  # as many as the dashboard lists
MOST_BYTES = 3 * 2**20  # about 1 MB on disk
_NUMBERS_BYTES = 16  # of one answer, beside its text

Places = Sequence[tuple[str, str]]  # "split/subset" and name of each item


def kept_answers(cells: Sequence[CellResult], prepared: Prepared) -> tuple[KeptItem, ...]:
    """Return the items that are worth a look, each with the answers of all models that have one."""
    tasks = {task: [cell for cell in cells if cell.task == task and cell.items] for task in _tasks(cells)}
    found: list[KeptItem] = []
    room = MOST_BYTES
    for left, (task, own) in zip(range(len(tasks), 0, -1), tasks.items(), strict=True):
        kept, used = within(room // left, _items_of(task, own, prepared))
        found += kept
        room -= used
    return tuple(found)


def _tasks(cells: Sequence[CellResult]) -> list[str]:
    return list(dict.fromkeys(cell.task for cell in cells))


def within(room: int, items: Iterator[KeptItem]) -> tuple[list[KeptItem], int]:
    """Return the first items whose texts fit into a number of bytes, and the bytes that they take.

    A text that is there already takes no more: models find the same documents.
    """
    kept: list[KeptItem] = []
    known: set[str] = set()
    used = 0
    for item in items:
        texts = {item.item, item.text, item.expected, *(one.text for found in item.found.values() for one in found)}
        size = sum(len(text.encode("utf-8", "replace")) for text in texts - known)
        size += _NUMBERS_BYTES * sum(map(len, item.found.values()))
        if used + size > room or len(kept) == MOST_ITEMS:
            break
        kept.append(item)
        known |= texts
        used += size
    return kept, used


def _items_of(task: str, cells: Sequence[CellResult], prepared: Prepared) -> Iterator[KeptItem]:
    """Yield the items of a task that are worth a look and whose answers are known, those that matter most first."""
    compared = _comparable(cells)
    if not compared:
        return
    places = _places(next(iter(compared.values())))
    values = {model: _values(parts) for model, parts in compared.items()}
    answers = {model: _answers(model, task, prepared) for model in compared}
    for row in items_to_look_at(values, baseline=prepared.baseline):
        if (kept := _kept(task, places[row], answers)) is not None:
            yield kept


def _comparable(cells: Sequence[CellResult]) -> dict[str, list[ItemScores]]:
    """Return the parts whose items have numbers, of the models that have the items of the first of them."""
    found = {cell.model: [part for part in cell.items if item_values(part) is not None] for cell in cells}
    first = _places(next(iter(found.values()), []))
    return {model: parts for model, parts in found.items() if first and _places(parts) == first}


def _places(parts: Sequence[ItemScores]) -> Places:
    return [(f"{part.split}/{part.subset}", item) for part in parts for item in part.items.tolist()]


def _values(parts: Sequence[ItemScores]) -> Floats:
    return np.concatenate([own for part in parts if (own := item_values(part)) is not None])


def _answers(model: str, task: str, prepared: Prepared) -> Answers:
    planned = next(one for one in prepared.models if one.spec.label == model)
    opened = next(one for one in prepared.tasks if one.name == task)
    key = key_of(planned, opened, prepared.device)
    return CellCache(prepared.settings.cache_dir).answers(key) or {}


def _kept(task: str, place: tuple[str, str], answers: Mapping[str, Answers]) -> KeptItem | None:
    told = {model: of[place] for model, of in answers.items() if place in of}
    if not told:
        return None
    any_of = next(iter(told.values()))
    found = {model: answer.found for model, answer in told.items()}
    return KeptItem(task, *place, text=any_of.text, expected=any_of.expected, found=found)
