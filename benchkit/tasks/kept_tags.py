"""Which tags of a task's items are kept with its scores: those that cut them into slices, and not too many.

    item_tags ── without what is the same for all items, or too much ──> ItemTags, with a sentence on what is left out

Task, type, split and subset are told beside the scores already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchkit.tasks.item_tags import Tags, available_tags, item_tags
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.tag_columns import MOST_VALUES
from benchkit.types.result import ItemScores
from benchkit.types.tags import ItemTags

MOST_KEYS = 8
_TOLD_ELSEWHERE = ("task", "type", "split", "subset")


def tags_to_keep(opened: OpenedTask, items: Sequence[ItemScores]) -> ItemTags:
    """Return the tags of the items of a task that was scored.

    Raises:
        CellFailed: the data can't be had.
    """
    if not items:
        return ItemTags()
    return bounded(item_tags(opened, {f"{part.split}/{part.subset}": part.items for part in items}))


def bounded(parts: Mapping[str, Tags]) -> ItemTags:
    """Return the first `MOST_KEYS` keys, by name, that have 2 to `MOST_VALUES` values over all parts."""
    values = {key: found for key, found in available_tags(parts.values()).items() if key not in _TOLD_ELSEWHERE}
    cutting = {key: found for key, found in values.items() if len(found) > 1}
    many = {key: len(found) for key, found in cutting.items() if len(found) > MOST_VALUES}
    fit = [key for key in cutting if key not in many]
    left_out = [f"{key} has {n} values, and at most {MOST_VALUES} are kept" for key, n in many.items()]
    left_out += [f"{key} is one more than the {MOST_KEYS} columns of a task that are kept" for key in fit[MOST_KEYS:]]
    kept = {
        place: {key: tuple(map(str, tags[key].tolist())) for key in fit[:MOST_KEYS] if key in tags}
        for place, tags in parts.items()
    }
    return ItemTags(kept if fit else {}, tuple(left_out))
