"""The tags of a stored result as a gate reads them: those of a gate on the models themselves, from a file.

    KeptTags of each task ──┐
    cells with their items ─┴─ the same items? ──> {(task, "split/subset"): {key: array of text (n,)}}

A task has no entry where an older benchkit made its cell: its items could be part of any slice. Where some keys were
left out, so could its items of any slice by these. A gate says so (gate.quality_targets) instead of leaving them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import UsageError
from benchkit.tasks.tag_columns import clean
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import KeptTags

TagsOfParts: TypeAlias = Mapping[tuple[str, str], Mapping[str, NDArray[np.str_]]]


def result_tags(cells: Sequence[CellResult], kept: Sequence[KeptTags], *, source: str) -> TagsOfParts:
    """Return the tags of the items of one model's cells.

    Raises:
        UsageError: tags of other items, from another comparison.
    """
    by_task = {one.task: one for one in kept}
    found: dict[tuple[str, str], Mapping[str, NDArray[np.str_]]] = {}
    for cell in cells:
        tags = by_task.get(cell.task)
        if tags is None or not cell.items:
            continue
        _check_items(cell, tags, source)
        found |= {(cell.task, _place(part)): _columns(cell, part, tags) for part in cell.items}
    return found


def keys_left_out(kept: Sequence[KeptTags]) -> Mapping[str, tuple[str, ...]]:
    """Return by task why some of its keys are not among its tags; tasks with all of them are not there."""
    return {one.task: one.tags.left_out for one in kept if one.tags.left_out}


def _check_items(cell: CellResult, tags: KeptTags, source: str) -> None:
    if {_place(part): tuple(part.items.tolist()) for part in cell.items} != dict(tags.items):
        raise UsageError(
            f"{source}: {cell.task}: the tags in its folder are of other items than its scores; the files are of two "
            "comparisons: run `benchkit compare` again, or name the folder that it wrote"
        )


def _place(part: ItemScores) -> str:
    return f"{part.split}/{part.subset}"


def _columns(cell: CellResult, part: ItemScores, kept: KeptTags) -> Mapping[str, NDArray[np.str_]]:
    facts = {"task": cell.task, "type": cell.type, "split": part.split, "subset": part.subset, **kept.tags.alike}
    same = {key: np.full(part.n_items, clean(value)) for key, value in facts.items()}
    own = kept.tags.parts.get(_place(part), {})
    return same | {key: np.array(values, np.str_) for key, values in own.items()}
