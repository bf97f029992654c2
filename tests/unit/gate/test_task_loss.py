"""How a task changed and which items lost, for the explanation of a failed rule."""

from __future__ import annotations

import pytest
from quality_scores import EACH, PLACE, cell, correlated, moved, scored, values

from benchkit.gate.quality import judge_quality
from benchkit.gate.task_loss import lost_items, task_change


def test_a_task_changed_as_its_rule_says():
    base = values(0)
    candidate, baseline = scored(cell("T", moved(base, -0.04))), scored(cell("T", base), of="baseline")
    change = task_change(candidate, baseline, "T")
    result = judge_quality(candidate, baseline, (EACH,)).results[0]
    assert (change.change, change.low, change.high) == (pytest.approx(result.change), result.low, result.high)


def test_items_that_lost_come_with_their_scores():
    new, old = [0.0, 1.0, 0.5, 1.0], [1.0, 1.0, 1.0, 1.0]
    found = lost_items(scored(cell("T", new)), scored(cell("T", old)), "T")
    assert [(item.item, item.before, item.after, item.place) for item in found] == [
        ("i0", 1.0, 0.0, PLACE),
        ("i2", 1.0, 0.5, PLACE),
    ]
    assert found[0].loss == pytest.approx((1 - 0.5 / 3) / 4)


def test_items_of_a_correlation_have_no_score_of_their_own():
    gold, old = values(0, 20), values(1, 20)
    found = lost_items(scored(correlated(-old, gold)), scored(correlated(old, gold)), "A")
    assert found
    assert {(item.before, item.after) for item in found} == {(None, None)}


def test_a_task_without_a_score_can_not_be_explained():
    with pytest.raises(ValueError, match="T: both models need a score there"):
        task_change(scored(), scored(cell("T", values(0))), "T")
    with pytest.raises(ValueError, match="T: both models need a score there"):
        lost_items(scored(), scored(cell("T", values(0))), "T")
