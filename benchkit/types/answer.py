"""What models answered to single items, as people read it.

ItemAnswer: one model, one item ── the items that are worth a look ──> KeptItem: one item, all models
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from benchkit.types.gate import Neighbour


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """What a model answered to an item.

    Attributes:
        text: The query, the text, or both texts of a pair.
        expected: The right answer; "" where the data hold none.
        found: What the model answered, best first.
        value: The item's own score; None for types whose score is no mean over items.
    """

    text: str
    expected: str = ""
    found: tuple[Neighbour, ...] = ()
    value: float | None = None


# By ("split/subset", name of the item).
Answers: TypeAlias = Mapping[tuple[str, str], ItemAnswer]


@dataclass(frozen=True, slots=True)
class KeptItem:
    """An item that a comparison keeps with its texts, for people who want to see why two models differ.

    Attributes:
        place: "split/subset".
        found: What each model answered, best first; models without an answer are not in it.
    """

    task: str
    place: str
    item: str
    text: str
    expected: str
    found: Mapping[str, tuple[Neighbour, ...]]
