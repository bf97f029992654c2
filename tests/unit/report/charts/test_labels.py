"""Labels: short and unique names, and no two over each other in a window of any width."""

from __future__ import annotations

import itertools
import random

import pytest

from benchkit.report.charts.labels import CELL, NARROW, WIDE, Anchor, Box, Edge, Place, cells, labels, placed, short

LONG = "sentence-transformers/paraphrase-multilingual-mpnet-base-v2@dim=128,precision=int8"


def test_a_long_name_is_cut_in_the_middle() -> None:
    assert short("a" * 30, 30) == "a" * 30
    assert short(LONG, 30) == "sentence-trans…ase-v2@128,int8"
    assert cells(short("很长的中文模型名称" * 5, 30)) <= 30
    assert cells("中a") == 3


def test_a_name_of_a_megabyte_is_short_at_once() -> None:
    assert cells(short("x" * 1_000_000, 20)) == 20


def test_names_with_one_short_form_are_told_apart() -> None:
    found = labels([LONG + "1" + LONG, LONG + "2" + LONG, LONG + "3" + LONG], 20)
    assert len(set(found.values())) == 3
    assert all(cells(label) <= 20 for label in found.values())
    assert labels(["a", "a\n", "a "], 20) == {"a": "a", "a\n": "a (2)", "a ": "a (3)"}
    assert labels(["all"], 20, taken=["all"]) == {"all": "all (2)"}


def test_signs_that_steer_a_terminal_or_turn_a_line_are_not_in_a_label() -> None:
    assert short("a\x00\x1b\u202eb", 20) == "a\ufffd\ufffd\ufffdb"


def edges(anchor: Anchor, place: Place, width: float) -> tuple[float, float, float, float]:
    near = anchor.x.at(width) + place.dx
    far = near + (1 if place.dx > 0 else -1) * cells(anchor.label) * CELL
    return min(near, far), place.y - 7, max(near, far), place.y + 7


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [2, 8, 16, 40])
def test_no_label_covers_another_or_leaves_the_plane_at_any_width(n: int, seed: int) -> None:
    rng = random.Random(seed)
    anchors = [
        Anchor("m" * rng.randint(3, 17), Edge(rng.uniform(0.05, 0.95), rng.choice([-11, 0, 11])), rng.uniform(10, 350))
        for _ in range(n)
    ]
    found = placed(anchors, [], height=360)
    shown = [(anchor, place) for anchor, place in zip(anchors, found, strict=True) if place]
    assert len(shown) >= min(n, 12)
    for width in (NARROW, 300, 420, 800, 1300, WIDE):
        boxes = [edges(anchor, place, width) for anchor, place in shown]
        assert all(left >= 0 and right <= width and top >= 0 and bottom <= 360 for left, top, right, bottom in boxes)
        for one, other in itertools.combinations(boxes, 2):
            beside = one[2] <= other[0] + 1e-9 or other[2] <= one[0] + 1e-9
            assert beside or one[3] <= other[1] + 1e-9 or other[3] <= one[1] + 1e-9


def test_boxes_that_change_sides_between_narrow_and_wide_meet() -> None:
    # 30 px apart in the narrow plane with the first on the left, and far apart in the wide one with it on the right.
    one = Box(Edge(0.5, -100), 0, Edge(0.5, -90), 10)
    other = Box(Edge(0.3, 0), 0, Edge(0.3, 10), 10)
    assert one.left.at(NARROW) < other.left.at(NARROW)
    assert one.left.at(WIDE) > other.left.at(WIDE)
    assert one.meets(other)


def test_a_label_stands_beside_its_mark_unless_something_is_there() -> None:
    anchor = Anchor("name", Edge(0.5), 100)
    assert placed([anchor], [], height=360) == [Place(9, 100, False)]
    right = Box(Edge(0.5, 5), 90, Edge(0.5, 60), 110)
    assert placed([anchor], [right], height=360) == [Place(-9, 100, False)]
    (place,) = placed([anchor], [Box(Edge(0.0), 90, Edge(1.0), 110)], height=360)
    assert place is not None
    assert place.is_far


def test_a_label_without_room_is_left_out_and_the_first_ones_have_it() -> None:
    anchors = [Anchor("a-rather-long-one", Edge(0.5), 20) for _ in range(40)]
    found = placed(anchors, [], height=40)
    assert found[0] is not None
    assert found[-1] is None
