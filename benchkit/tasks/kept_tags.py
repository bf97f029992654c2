"""Which tags of a task's items are kept with its scores: those that cut them into slices, and not too much.

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

ALWAYS_KEPT = 8
# Of a task: each value once and a byte for each item, about what they take packed. A result is read as a whole.
MOST_BYTES = 2**20
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
    """Return the keys that cut the items of all parts into slices, and what all have alike.

    A key with one value cuts them where some items have none. One with more than `MOST_VALUES` is left out; so is,
    beyond the first `ALWAYS_KEPT` by name, one with which the tags of the task would take more than `MOST_BYTES`.
    """
    values = {key: found for key, found in available_tags(parts.values()).items() if key not in _TOLD_ELSEWHERE}
    cutting = {key: found for key, found in values.items() if len(found) + _is_absent_somewhere(parts, key) > 1}
    many = {key: len(found) for key, found in cutting.items() if len(found) > MOST_VALUES}
    few = {key: found for key, found in cutting.items() if key not in many}
    fit = _within_bytes(parts, few)
    left_out = [f"{key} has {n} values, and at most {MOST_VALUES} are kept" for key, n in many.items()]
    left_out += [
        f"{key} is beyond the first {ALWAYS_KEPT} columns and the {MOST_BYTES // 2**20} MiB of a task that are kept"
        for key in few
        if key not in fit
    ]
    kept = {
        place: {key: tuple(map(str, tags[key].tolist())) for key in fit if key in tags} for place, tags in parts.items()
    }
    alike = {key: found[0] for key, found in values.items() if found and key not in cutting}
    return ItemTags(kept if fit else {}, tuple(left_out), alike)


def _within_bytes(parts: Mapping[str, Tags], values: Mapping[str, Sequence[str]]) -> list[str]:
    kept: list[str] = []
    taken = 0
    for key, found in values.items():
        texts = sum(len(text.encode("utf-8", "replace")) for text in (key, *found))
        needed = sum(texts + len(tags[key]) for tags in parts.values() if key in tags)
        if len(kept) < ALWAYS_KEPT or taken + needed <= MOST_BYTES:
            kept.append(key)
            taken += needed
    return kept


def _is_absent_somewhere(parts: Mapping[str, Tags], key: str) -> bool:
    return any(key not in tags or bool((tags[key] == "").any()) for tags in parts.values())
