"""Which tags of a task's items are kept with its scores: those that cut them into slices, and not too many.

    item_tags ──┬── what differs among the items, if it is not too much ──> parts, else a sentence in left_out
                └── what is the same for all of them ─────────────────────> alike

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
    """Return the first `MOST_KEYS` keys, by name, that cut the items of all parts into slices, and what all have alike.

    A key with one value cuts them where some items have none. One with more than `MOST_VALUES` is left out.
    """
    values = {key: found for key, found in available_tags(parts.values()).items() if key not in _TOLD_ELSEWHERE}
    cutting = {key: found for key, found in values.items() if len(found) + _is_absent_somewhere(parts, key) > 1}
    many = {key: len(found) for key, found in cutting.items() if len(found) > MOST_VALUES}
    fit = [key for key in cutting if key not in many]
    left_out = [f"{key} has {n} values, and at most {MOST_VALUES} are kept" for key, n in many.items()]
    left_out += [f"{key} is one more than the {MOST_KEYS} columns of a task that are kept" for key in fit[MOST_KEYS:]]
    kept = {
        place: {key: tuple(map(str, tags[key].tolist())) for key in fit[:MOST_KEYS] if key in tags}
        for place, tags in parts.items()
    }
    alike = {key: found[0] for key, found in values.items() if found and key not in cutting}
    return ItemTags(kept if fit else {}, tuple(left_out), alike)


def _is_absent_somewhere(parts: Mapping[str, Tags], key: str) -> bool:
    return any(key not in tags or bool((tags[key] == "").any()) for tags in parts.values())
