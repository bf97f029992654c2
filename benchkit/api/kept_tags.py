"""The tags of the items of a comparison, from where its cells are kept: no data are read again.

    cells ── the first of each task whose tags are kept ──> KeptTags with the names of its items

A cell of an older run has none, and a task all of whose cells are such has no tags.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchkit.api.request import Prepared
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.run import key_of
from benchkit.types.result import CellResult
from benchkit.types.tags import ItemTags, KeptTags


def kept_tags(cells: Sequence[CellResult], prepared: Prepared) -> tuple[KeptTags, ...]:
    """Return the tags of each task of which they are known, in the order of the cells; some tasks have none."""
    found: dict[str, KeptTags] = {}
    for cell in cells:
        if cell.task in found or not cell.items:
            continue
        tags = _tags(cell, prepared)
        if tags is not None:
            names = {f"{part.split}/{part.subset}": tuple(part.items.tolist()) for part in cell.items}
            found[cell.task] = KeptTags(cell.task, names, tags)
    return tuple(found.values())


def _tags(cell: CellResult, prepared: Prepared) -> ItemTags | None:
    planned = next(one for one in prepared.models if one.spec.label == cell.model)
    opened = next(one for one in prepared.tasks if one.name == cell.task)
    return CellCache(prepared.settings.cache_dir).tags(key_of(planned, opened, prepared.device))
