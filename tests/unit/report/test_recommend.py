"""The recommendation keeps the budget, prefers what is cheaper among equals, and says what was left out and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparisons import cost_ratio, cost_report, model, pair

from benchkit.report.recommend import recommend
from benchkit.types.comparison import ModelSummary, PairResult, Recommendation
from benchkit.types.cost import Budget, CostReport, ModelCost
from benchkit.types.model import ModelMeta

# Of cost_report: p95 latency 8.3, 16.6 and 24.9 ms; memory 617, 1234 and 1851 MiB.
NAMES = ("minilm", "bge", "mpnet")
MODELS = [model("minilm"), model("bge"), model("mpnet", dimension=768)]


def summary(name: str, score: float | None) -> ModelSummary:
    return ModelSummary(name, score, None, 1, 1)


SCORES = [summary("minilm", 0.60), summary("bge", 0.603), summary("mpnet", 0.621)]
PAIRS = [
    pair("mpnet", "minilm", 0.021, "better"),
    pair("mpnet", "bge", 0.018, "inconclusive"),
    pair("bge", "minilm", 0.003, "inconclusive"),
]


def found(
    budget: Budget | None = None,
    *,
    cost: CostReport | None = None,
    pairs: list[PairResult] | None = None,
    models: list[ModelMeta] | None = None,
    scores: list[ModelSummary] | None = None,
) -> Recommendation:
    return recommend(
        models or MODELS,
        scores or SCORES,
        PAIRS if pairs is None else pairs,
        cost=cost or cost_report(NAMES),
        budget=budget or Budget(),
    )


def test_without_a_budget_the_best_mean_is_taken_with_its_latency_against_the_runner_up() -> None:
    assert found() == Recommendation(
        "mpnet",
        "it has the best mean; bge can't be told apart from it on these data; "
        "it takes 1.50x the query latency of bge (1.46–1.55)",
    )


@pytest.mark.parametrize("pairs", [[], [pair("mpnet", "minilm", None, "inconclusive")]], ids=["no pair", "no interval"])
def test_what_was_not_compared_is_not_called_a_tie(pairs: list[PairResult]) -> None:
    choice = found(pairs=[*pairs, pair("mpnet", "bge", 0.018, "inconclusive")])
    assert choice.reason.startswith(
        "it has the best mean; bge can't be told apart from it on these data; minilm was not compared with it; "
    )
    choice = found(pairs=pairs)
    assert choice.reason.startswith("it has the best mean; bge and minilm were not compared with it; ")
    assert "told apart" not in choice.reason
    left_out = found(Budget(max_p95_ms=20.0), pairs=pairs).reason.split("; ")[-1]
    assert left_out.startswith("mpnet has a mean that is 1.8 points higher, though not compared with it, but its p95")


def test_a_better_model_that_breaks_the_budget_is_left_out_and_named_with_its_lead_and_the_reason() -> None:
    choice = found(Budget(max_p95_ms=10.0))
    assert choice.model == "minilm"
    first, *others = choice.reason.split("; ")
    assert first == "no other model with a score on every task keeps the budget"
    assert len(others) == 2
    assert others[0].startswith("mpnet is better by 2.1 points, but its p95 latency of ")
    assert others[1].startswith("bge has a mean that is 0.3 points higher, though not told apart, but its p95 latency")


def test_the_reason_speaks_of_the_models_within_the_budget() -> None:
    choice = found(Budget(max_dim=384))
    assert choice.model == "bge"
    assert choice.reason.startswith("it has the best mean within the budget; minilm can't be told apart from it")
    assert "it takes 2.00x the query latency of minilm" in choice.reason


def test_a_model_that_is_the_same_as_the_choice_is_not_mourned() -> None:
    pairs = [pair("mpnet", "minilm", 0.002, "same"), pair("mpnet", "bge", 0.001, "same"), PAIRS[2]]
    assert "mpnet" not in found(Budget(max_dim=384), pairs=pairs).reason


def test_when_no_model_keeps_the_budget_none_is_taken_and_the_nearest_is_named() -> None:
    choice = found(Budget(max_p95_ms=8.0))
    assert choice.model is None
    assert choice.reason.startswith("no model keeps the budget; minilm comes nearest, but its p95 latency of ")


def test_nearest_is_the_smallest_worst_excess_over_any_limit() -> None:
    # minilm: 8.3 / 8 = 1.04 and 617 / 100 = 6.2; bge 16.6 / 8 and 12.3; mpnet 24.9 / 8 and 18.5.
    assert "minilm comes nearest" in found(Budget(max_p95_ms=8.0, max_memory_mib=100.0)).reason
    figures = cost_report(NAMES)
    unknown = replace(figures, models=(ModelCost("minilm", "failed", reason="crashed"), *figures.models[1:]))
    assert "bge comes nearest" in found(Budget(max_p95_ms=8.0), cost=unknown).reason
    # Now bge: 16.6 / 8 = 2.1 and 64 / 32 = 2; minilm 1.04 and 384 / 32 = 12.
    short = [MODELS[0], model("bge", dimension=64), MODELS[2]]
    assert "bge comes nearest" in found(Budget(max_p95_ms=8.0, max_dim=32), models=short).reason
    # No licence is nearer than another; the best mean is named.
    assert "mpnet comes nearest" in found(Budget(licenses=("mit",))).reason


def test_a_limit_that_the_choice_may_not_keep_is_told() -> None:
    reason = found(Budget(max_p95_ms=25.0)).reason  # mpnet: 24.9, up to 26.4
    assert (
        "; its p95 latency of 24.9 ms keeps the limit of 25 ms, but not for certain (95 % interval 23.4–26.4)" in reason
    )
    assert "for certain" not in found(Budget(max_p95_ms=30.0)).reason


def test_more_than_two_better_models_over_budget_are_counted() -> None:
    names = ("a", "b", "c", "d")
    scores = [summary(name, 0.6 + place / 100) for place, name in enumerate(names)]
    pairs = [pair(other, "a", 0.01, "better") for other in names[1:]]
    choice = found(
        Budget(max_p95_ms=10.0), cost=cost_report(names), pairs=pairs, models=[model(n) for n in names], scores=scores
    )
    assert choice.model == "a"
    assert choice.reason.endswith("; 1 more with a higher mean break the budget")
    assert "d is better by 3.0 points" in choice.reason
    assert "b is better" not in choice.reason


def test_a_model_without_a_mean_is_not_recommended_for_keeping_the_budget() -> None:
    scores = [summary("minilm", None), *SCORES[1:]]
    choice = found(Budget(max_p95_ms=10.0), scores=scores)
    assert choice.model is None
    assert "bge comes nearest" in choice.reason


def test_of_models_that_are_the_same_and_of_one_size_the_surely_faster_one_is_taken() -> None:
    pairs = [pair("bge", "minilm", 0.003, "same", half=0.002)]
    two = {"models": MODELS[:2], "scores": SCORES[:2], "pairs": pairs}
    choice = found(**two)  # type: ignore[arg-type]
    assert choice.model == "minilm"
    assert "lies within the margin of 1.0 points, and it has the lower latency" in choice.reason
    assert "it takes 0.500x the query latency of bge" in choice.reason
    assert found(cost=cost_report(["bge", "minilm"]), **two).model == "bge"  # type: ignore[arg-type]
    unsure = cost_report(NAMES, ratios=(cost_ratio("minilm", "bge", 0.9, "inconclusive"),))
    assert found(cost=unsure, **two).model == "bge"  # type: ignore[arg-type]
    noisy = cost_report(NAMES, unstable="the machine was busy")
    assert found(cost=noisy, **two).model == "bge"  # type: ignore[arg-type]


def test_smaller_comes_before_faster() -> None:
    pairs = [pair("bge", "minilm", 0.003, "same", half=0.002)]
    models = [MODELS[0], model("bge", dimension=128)]
    choice = found(models=models, scores=SCORES[:2], pairs=pairs)
    assert choice.model == "bge"
    assert "smallest" in choice.reason
    assert "it takes 2.00x the query latency of minilm" in choice.reason


@pytest.mark.parametrize(
    "cost",
    [
        cost_report(NAMES, ratios=()),
        cost_report(NAMES, unstable="the machine was busy"),
        cost_report(NAMES, ratios=(cost_ratio("bge", "mpnet", 0.98, "same"),)),
    ],
    ids=["not measured", "unstable", "the same"],
)
def test_a_latency_that_is_not_certain_is_not_told(cost: CostReport) -> None:
    assert "latency" not in found(cost=cost).reason


def test_cpu_time_stands_in_only_on_a_cpu_and_under_its_own_name() -> None:
    ratios = (
        cost_ratio("bge", "mpnet", 0.9, "inconclusive"),
        replace(cost_ratio("bge", "mpnet", 0.5, "cheaper"), metric="latency/query_cpu"),
    )
    reason = found(cost=cost_report(NAMES, ratios=ratios)).reason
    assert "it takes 2.00x the CPU time per query of bge (1.94–2.06)" in reason
    assert "CPU time" not in found(cost=cost_report(NAMES, ratios=ratios, device="cuda")).reason


def test_a_task_on_which_only_an_unaffordable_model_is_better_is_not_named() -> None:
    on_tasks = [pair("mpnet", "bge", 0.05, "better", task="T"), pair("minilm", "bge", 0.05, "better", task="U")]
    choice = recommend(MODELS, SCORES, PAIRS, on_tasks, cost=cost_report(NAMES), budget=Budget(max_dim=384))
    assert choice.reason.endswith("; but minilm is better on U")
    assert " on T" not in choice.reason
