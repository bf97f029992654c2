"""The levels differ in how much they measure, and each of them is bounded."""

from __future__ import annotations

from dataclasses import fields

import pytest

from benchkit.cost.plan import PLANS
from benchkit.types.cost import CostLevel


def test_full_measures_at_least_as_much_of_everything_as_quick() -> None:
    quick, full = PLANS["quick"], PLANS["full"]
    counts = [field.name for field in fields(quick) if field.name not in ("level", "batch_sizes")]
    assert all(getattr(full, name) >= getattr(quick, name) for name in counts)
    assert set(quick.batch_sizes) < set(full.batch_sizes)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_a_level_is_bounded_for_models_of_any_slowness(level: CostLevel) -> None:
    plan = PLANS[level]
    assert plan.level == level
    assert plan.rounds <= plan.most_rounds
    # Three models and the control, each phase at its limit; calls that are already under way come on top.
    most_s = 4 * plan.query_s + 3 * (plan.query_s / 2 + plan.sweep_s + plan.throughput_s)
    assert most_s < {"quick": 60, "full": 300}[level]


def test_the_full_sweep_is_that_of_the_field() -> None:
    assert PLANS["full"].batch_sizes == (1, 2, 4, 8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_enough_documents_are_drawn_for_the_classes_and_the_largest_batch(level: CostLevel) -> None:
    plan = PLANS[level]
    assert plan.documents >= 3 * plan.class_texts
    assert plan.documents >= max(*plan.batch_sizes, plan.sweep_texts)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_smaller_batches_fill_a_step_without_a_rest(level: CostLevel) -> None:
    plan = PLANS[level]
    assert all(plan.sweep_texts % size == 0 for size in plan.batch_sizes if size < plan.sweep_texts)
