"""Names beside marks: short enough for a narrow window, and none over another one, however wide the window is.

    names ── labels ──> a short, unique text for each
    Anchor (a mark) ── placed ──> side and height of each label; None where there is no room for it

A chart is drawn in windows of any width, so a place across is a share of the width plus pixels, and two boxes are
apart only when they are so in the narrowest and the widest plane with the same one on the left: the gap between them
is linear in the width, so it is open at every width between. Heights are pixels, since a plane has one height.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchkit.report import words

NARROW, WIDE = 280.0, 1900.0  # px of a plane in windows of 390 and 1920 px, beside its axis
FONT = 12  # px
CELL = 7.0  # px of a character, generous for a letter of 12 px in common fonts
LINE = 14.0  # px from one line of text to the next
_GAP, _FAR = 9.0, 16.0  # px from a mark to its label, beside it and where a line leads to it
_SAID = 120  # characters of a name in words
_READ = 1000  # characters of either end of a text that are looked at: a name of a megabyte takes no time
# What a variant is called says itself which of its parts is which.
_VARIANT_KEY = re.compile("(?<=[@,])(dim|precision)=")
_SHIFTS = tuple(side * LINE * step for step in range(1, 9) for side in (-1, 1))


@dataclass(frozen=True, slots=True)
class Edge:
    """A place across: a share of the width of the plane, and pixels from there."""

    share: float
    px: float = 0.0

    def at(self, width: float) -> float:
        return self.share * width + self.px


@dataclass(frozen=True, slots=True)
class Box:
    """What something covers; heights are px from the top."""

    left: Edge
    top: float
    right: Edge
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two may touch at some width."""
        return (
            self.top < other.bottom and other.top < self.bottom and not (_before(self, other) or _before(other, self))
        )

    def is_inside(self, height: float) -> bool:
        across = all(self.left.at(width) >= 0 and self.right.at(width) <= width for width in (NARROW, WIDE))
        return across and self.top >= 0 and self.bottom <= height


def _before(left: Box, right: Box) -> bool:
    return all(left.right.at(width) <= right.left.at(width) for width in (NARROW, WIDE))


@dataclass(frozen=True, slots=True)
class Anchor:
    """A mark that has a label; `y` is px from the top."""

    label: str
    x: Edge
    y: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label stands.

    Attributes:
        dx: Pixels from its mark to its near end: below 0 it ends there.
        y: Its middle, px from the top.
        is_far: A line has to lead to it.
    """

    dx: float
    y: float
    is_far: bool


def placed(anchors: Sequence[Anchor], covered: Iterable[Box], *, height: float) -> list[Place | None]:
    """Return a place for each label, those first in the list first: over no other label and within the plane.

    Of the places that are free, one that covers nothing else and is near its mark is best.

    Args:
        covered: What marks cover.
    """
    marks = list(covered)
    names: list[Box] = []
    found: list[Place | None] = []
    for anchor in anchors:
        free = [
            (sum(4 for mark in marks if box.meets(mark)) + abs(place.y - anchor.y) / LINE + (place.dx < 0) / 4, place)
            for place in _places(anchor)
            if (box := _box(anchor, place)).is_inside(height) and not any(box.meets(name) for name in names)
        ]
        best = min(free, key=lambda rated: rated[0])[1] if free else None
        found.append(best)
        names += [_box(anchor, best)] if best else []
    return found


def _places(anchor: Anchor) -> list[Place]:
    beside = [Place(_GAP, anchor.y, False), Place(-_GAP, anchor.y, False)]
    return beside + [Place(side * _FAR, anchor.y + shift, True) for shift in _SHIFTS for side in (1, -1)]


def _box(anchor: Anchor, place: Place) -> Box:
    near, far = place.dx, place.dx + (1 if place.dx > 0 else -1) * cells(anchor.label) * CELL
    left, right = sorted((near, far))
    share, px = anchor.x.share, anchor.x.px
    return Box(Edge(share, px + left), place.y - LINE / 2, Edge(share, px + right), place.y + LINE / 2)


# --- names


def labels(names: Iterable[str], limit: int, *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a text for each name, at most `limit` characters wide; names that would get one text are numbered.

    Args:
        taken: Texts that no name may get.

    >>> labels(["minilm", "a-rather-long-name@dim=128", "a-rather-new-name@dim=128"], 16).values()
    dict_values(['minilm', 'a-rathe…name@128', 'a-rat…me@128 (2)'])
    """
    found: dict[str, str] = {}
    known = set(taken)
    for name in dict.fromkeys(names):
        label, number = short(name, limit), 1
        while label in known:
            number += 1
            label = f"{short(name, limit - len(mark := f' ({number})'))}{mark}"
        found[name] = label
        known.add(label)
    return found


def brief(text: str) -> str:
    """Return text of the data for a sentence, cut where nobody would read on."""
    return words.plain(text[:_READ], _SAID)


def short(name: str, limit: int) -> str:
    """Return a name of the data that fits; both ends stay, since variants of one model differ at the end.

    >>> short("minilm@dim=128,precision=int8", 17)
    'minilm@128,int8'
    """
    flat = words.plain(name if len(name) <= 2 * _READ else name[:_READ] + name[-_READ:])
    if cells(flat) <= limit:
        return flat
    flat = _VARIANT_KEY.sub("", flat)
    if cells(flat) <= limit:
        return flat
    half = limit // 2
    return f"{_fitting(flat, limit - half - 1)}…{_fitting(flat[::-1], half)[::-1]}"


def beginning(text: str, limit: int) -> str:
    """Return the beginning of a text of the data that fits.

    >>> beginning("champion minilm of help-centre", 20)
    'champion minilm of …'
    """
    flat = words.plain(text[:_READ])
    return flat if cells(flat) <= limit else f"{_fitting(flat, limit - 1)}…"


def cells(text: str) -> int:
    """Return the width of a text in characters; Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _fitting(text: str, limit: int) -> str:
    kept, width = [], 0
    for sign in text:
        width += cells(sign)
        if width > limit:
            break
        kept.append(sign)
    return "".join(kept)
