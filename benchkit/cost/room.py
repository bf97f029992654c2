"""Which models are in memory at the same time.

    memory that each process takes, memory that is free ── plan_groups ──> groups, each beside the same reference model

Only calls made right after each other can be paired, so a model that is measured in another group than a second one has
no ratio with it; with the reference model, which is in every group, it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchkit.types.model import ModelMeta

_MIB = 2**20
# A process with torch and sentence-transformers imported, and what activations take beside the weights: MiniLM, whose
# weights are 87 MiB, has 494 MiB after the imports and 786 MiB after batches of 32.
IMPORT_BYTES = 500 * _MIB
WEIGHT_FACTOR = 3
LEXICAL_BYTES = 300 * _MIB
REMOTE_BYTES = 150 * _MIB
# The rest is for what other programs take meanwhile; the needs above are estimates.
USABLE = 0.8


@dataclass(frozen=True, slots=True)
class Group:
    """Models (by their places) whose processes live at the same time, with or without the control."""

    members: tuple[int, ...]
    has_control: bool


def need_bytes(meta: ModelMeta, *, is_remote: bool) -> int:
    """Return about how much memory the process of a model takes."""
    if is_remote:
        return REMOTE_BYTES
    if meta.dimension is None:
        return LEXICAL_BYTES
    weights = meta.memory_bytes or 4 * (meta.parameters or 0)
    return IMPORT_BYTES + WEIGHT_FACTOR * weights


def plan_groups(needs: Sequence[int], *, reference: int | None, free_bytes: int) -> tuple[Group, ...]:
    """Return the groups to measure one after the other; one group of all where the memory is enough.

    Args:
        needs: Bytes of each model's process.
        reference: The model that is in every group, with a second process of it as the control; None for none.

    >>> plan_groups([1, 1], reference=0, free_bytes=10)
    (Group(members=(0, 1), has_control=True),)
    >>> plan_groups([2, 3, 3], reference=0, free_bytes=10)  # 0 twice leaves 0.8 * 10 - 4 for the others
    (Group(members=(0, 1), has_control=True), Group(members=(0, 2), has_control=True))
    """
    usable = int(USABLE * free_bytes)
    everyone = tuple(range(len(needs)))
    if reference is None:
        return (Group(everyone, has_control=False),)
    if sum(needs) + needs[reference] <= usable:
        return (Group(everyone, has_control=True),)
    room = usable - 2 * needs[reference]
    if room < 0:
        return tuple(Group((place,), has_control=False) for place in everyone)
    others = [place for place in everyone if place != reference]
    fitting = _fill([place for place in others if needs[place] <= room], needs, room)
    together = [Group((reference, *places), has_control=True) for places in fitting or [()]]
    alone = [Group((place,), has_control=False) for place in others if needs[place] > room]
    return (*together, *alone)


def _fill(places: Sequence[int], needs: Sequence[int], room: int) -> list[tuple[int, ...]]:
    """Return the places in their order, cut into as few runs as the room allows."""
    runs: list[list[int]] = []
    for place in places:
        if runs and sum(needs[other] for other in runs[-1]) + needs[place] <= room:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [tuple(run) for run in runs]
