"""Limits recommend as the comparison itself does, come from its own figures, and are an address and back."""

from __future__ import annotations

import math
from dataclasses import replace

import boards
import comparisons
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.report.json_form import from_dict, to_dict
from benchkit.types.comparison import Comparison
from benchkit.types.cost import Budget
from dashboards import limits
from dashboards.filters import Filters, from_query, to_query
from dashboards.limits import (
    ANY,
    NO_LIMIT,
    Field,
    asked_licenses,
    asked_limit,
    budget_of,
    recommended,
    round_steps,
    scales,
    within,
)

SOME = Budget(max_p95_ms=20.0, licenses=("mit",))
ALL_SET = Budget(20.0, 700.0, 1536, 384, ("mit",))
FIELDS: tuple[tuple[Field, str], ...] = (
    ("p95_ms", "max_p95_ms"),
    ("memory_mib", "max_memory_mib"),
    ("bytes_per_vector", "max_bytes_per_vector"),
    ("dimension", "max_dim"),
)


# ---------------------------------------------------------------- the recommendation


@pytest.mark.parametrize("baseline", [None, "minilm"])
@pytest.mark.parametrize("has_cost", [True, False])
@pytest.mark.parametrize("budget", [None, SOME, Budget(max_dim=384), Budget(max_p95_ms=0.001)])
def test_the_comparisons_own_limits_give_the_stored_recommendation_sentence_included(
    baseline: str | None, has_cost: bool, budget: Budget | None
) -> None:
    stored = from_dict(to_dict(boards.support(baseline=baseline, has_cost=has_cost, budget=budget)))
    assert recommended(stored, stored.budget) == stored.recommendation
    assert within(stored, budget_of(stored, Filters())) == stored


@pytest.mark.parametrize(
    ("budget", "model"),
    [
        (Budget(), "bge"),
        (Budget(max_p95_ms=20.0), "mpnet"),
        (Budget(max_memory_mib=700.0), "minilm"),
        (Budget(max_bytes_per_vector=1536), "minilm"),
        (Budget(max_dim=384), "minilm"),
        (Budget(licenses=("MIT",)), "mpnet"),
        (Budget(max_p95_ms=1.0), None),
    ],
)
def test_other_limits_give_what_the_comparison_would_have_recommended_under_them(
    budget: Budget, model: str | None
) -> None:
    found = within(boards.support(), budget)
    assert found.recommendation.model == model
    assert found.recommendation == boards.support(budget=budget).recommendation, "made with the limits from the start"
    assert found.budget == budget


def test_the_margin_is_the_comparisons_own() -> None:
    wide = boards.support(margin=0.02)
    assert wide.recommendation.model == "mpnet", "the same as bge within two points, and faster"
    assert recommended(wide, wide.budget) == wide.recommendation


def test_the_tasks_on_which_another_model_is_better_stay_in_the_reason() -> None:
    made = boards.support()
    one = next(
        pair for pair in made.pairs if pair.task == "FAQ" and {pair.candidate, pair.baseline} == {"mpnet", "bge"}
    )
    turned = replace(one, verdict="better" if one.candidate == "mpnet" else "worse")
    changed = replace(made, pairs=tuple(turned if pair is one else pair for pair in made.pairs))
    assert "but mpnet is better on FAQ" in recommended(changed, Budget(max_memory_mib=9000.0)).reason


# ---------------------------------------------------------------- which limits count


def test_an_address_wins_over_the_comparisons_limits_one_by_one() -> None:
    made = boards.support(budget=ALL_SET)
    assert budget_of(made, Filters()) == ALL_SET
    assert budget_of(made, Filters(p95_ms=5.0)) == replace(ALL_SET, max_p95_ms=5.0)
    assert budget_of(made, Filters(licenses=("x",))) == replace(ALL_SET, licenses=("x",))
    lifted = Filters(
        p95_ms=float(NO_LIMIT),
        memory_mib=float(NO_LIMIT),
        bytes_per_vector=NO_LIMIT,
        dimension=NO_LIMIT,
        licenses=(ANY,),
    )
    assert budget_of(made, lifted) == Budget()
    assert from_query(to_query(lifted)) == lifted, "an address can say that there is no limit"


@pytest.mark.parametrize(("field", "attribute"), FIELDS)
@pytest.mark.parametrize("stored", [None, 12])
@pytest.mark.parametrize("step", [3.0, 12.0, math.inf])
def test_what_a_slider_asks_for_is_what_counts_then(
    field: Field, attribute: str, stored: int | None, step: float
) -> None:
    made = replace(comparisons.three(), budget=replace(Budget(), **{attribute: stored}))
    asked = asked_limit(step, stored, field)
    counts = getattr(budget_of(made, from_query(to_query(Filters(**{field: asked})))), attribute)
    assert counts == (None if step == math.inf else step)
    assert (asked is None) == (step == (math.inf if stored is None else stored)), "as stored: nothing in the address"


@pytest.mark.parametrize("stored", [(), ("mit",)])
@pytest.mark.parametrize("picked", [(), ("mit",), ("apache-2.0", "mit")])
def test_licences_that_were_picked_are_those_that_count(stored: tuple[str, ...], picked: tuple[str, ...]) -> None:
    made = replace(comparisons.three(), budget=Budget(licenses=stored))
    asked = asked_licenses(picked, stored)
    assert budget_of(made, from_query(to_query(Filters(licenses=asked)))).licenses == picked


# ---------------------------------------------------------------- the steps

figures = st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=8)


@given(figures)
def test_steps_span_the_figures_and_are_round(values: list[float]) -> None:
    steps = round_steps(values)
    assert steps == sorted(set(steps))
    assert steps[0] >= min(values), "the first step leaves a model"
    assert steps[0] <= 1.35 * min(values)
    assert max(values) <= steps[-1] <= 1.35 * max(values), "the last one leaves all"
    assert all(float(f"{step:.2g}") == step for step in steps)
    assert len(steps) <= 10 * (math.log10(max(values) / min(values)) + 2) + 3


def test_steps_of_close_figures_still_tell_them_apart() -> None:
    assert len(round_steps([617.0, 796.0])) >= 5
    assert round_steps([796.0]) == [800.0]
    assert round_steps([]) == []


def by_field(made: Comparison, budget: Budget | None = None) -> dict[str, limits.Scale]:
    return {scale.field: scale for scale in scales(made, budget or made.budget)}


def test_sliders_are_of_the_comparisons_own_figures_and_end_without_a_limit() -> None:
    found = by_field(boards.support())
    assert list(found) == ["p95_ms", "memory_mib", "bytes_per_vector", "dimension"]
    assert found["bytes_per_vector"].steps == (1536, 3072, math.inf)
    assert found["dimension"].steps == (384, 768, math.inf)
    assert (found["p95_ms"].steps[0], found["p95_ms"].steps[-2]) == (8.3, 25.0)
    assert all(scale.now == math.inf for scale in found.values())


def test_without_costs_there_is_no_slider_for_them() -> None:
    assert list(by_field(boards.support(has_cost=False))) == ["bytes_per_vector", "dimension"]


def test_a_limit_that_is_asked_for_is_a_step_and_so_is_the_stored_one() -> None:
    made = boards.support(budget=Budget(max_p95_ms=13.37))
    scale = by_field(made, Budget(max_p95_ms=5.5))["p95_ms"]
    assert {13.37, 5.5} <= set(scale.steps)
    assert scale.now == 5.5
    assert by_field(made)["p95_ms"].now == 13.37
