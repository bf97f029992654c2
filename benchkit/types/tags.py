"""What is known of the items of a task beside their scores, kept so that a score can be looked at slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ItemTags:
    """The tags of the items of a task.

    Attributes:
        parts: By "split/subset": for each key one text for each item, in the order of its scores; "" for none.
        left_out: Why some keys are not here, a sentence each that begins with the key.
        alike: The keys that say the same of all items, with what they say: no slice of this task alone, but part of
            one over several tasks.
    """

    parts: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    alike: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_slices(self) -> bool:
        """Whether any key cuts the items into slices, or would if it were here."""
        return bool(self.parts or self.left_out)


@dataclass(frozen=True, slots=True)
class KeptTags:
    """The tags of a task as they lie beside a result.

    Attributes:
        items: Names of the items by "split/subset", so that no tag is taken for another item's.
    """

    task: str
    items: Mapping[str, tuple[str, ...]]
    tags: ItemTags
