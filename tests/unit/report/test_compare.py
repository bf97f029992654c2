"""From cells to verdicts: hand-made cells with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from comparisons import cost_report
from scipy import stats

from benchkit.report.compare import Settings, compare_cells
from benchkit.report.recommend import recommend
from benchkit.types.comparison import MEAN, Comparison, Environment, Interval, ModelSummary, PairResult, SuiteInfo
from benchkit.types.cost import Budget, CostReport, ModelCost
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

N = 400
RNG = np.random.default_rng(5)
BASE = {"A": RNG.uniform(0.2, 0.8, N), "B": RNG.uniform(0.2, 0.8, N)}


def cell(model: str, task: str, values: np.ndarray, **changes: object) -> CellResult:
    names = np.array([f"q{i}" for i in range(len(values))])
    items = ItemScores("test", "default", "mean", "ndcg_at_10", names, {"value": values})
    result = CellResult(
        model, task, "Retrieval", "ok", "ndcg_at_10", float(values.mean()), items=(items,), n_items=len(values)
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def meta(name: str, **facts: object) -> ModelMeta:
    return ModelMeta(name, f"id:{name}", "1", f"fp-{name}", 8, **{"bytes_per_vector": 32, "parameters": 8, **facts})  # type: ignore[arg-type]


def run(
    cells: list[CellResult],
    models: list[ModelMeta],
    *,
    cost: CostReport | None = None,
    budget: Budget | None = None,
    interrupted: bool = False,
    **options: object,
) -> Comparison:
    settings = Settings(baseline=None, margin=0.01, n_resamples=2000, seed=1)
    return compare_cells(
        cells,
        models,
        suite=SuiteInfo("s", "d"),
        environment=Environment({}),
        settings=replace(settings, **options),  # type: ignore[arg-type]
        started="2026-11-21T00:00:00+00:00",
        seconds=1.0,
        cost=cost,
        budget=budget,
        interrupted=interrupted,
    )


def test_a_task_that_is_too_easy_is_told_with_its_models() -> None:
    right, mixed = np.ones(60), np.r_[np.ones(59), 0.5]
    cells = [cell("a", "easy", right), cell("b", "easy", right), cell("c", "easy", mixed), cell("a", "hard", mixed)]
    cells += [cell(model, "hard", mixed) for model in "bc"]
    said = [warning for warning in run(cells, [meta(model) for model in "abc"]).warnings if "alike" in warning]
    assert said == [
        "easy: all items score alike with a and b, so that the interval is a point and says nothing of other items"
    ]


def shifted(model: str, by: float, noise: float = 0.02) -> list[CellResult]:
    rng = np.random.default_rng(len(model) + int(1000 * abs(by)))
    return [cell(model, task, values + by + rng.normal(0, noise, N)) for task, values in BASE.items()]


def test_a_clear_difference_is_found_with_its_size_and_a_copy_is_the_same() -> None:
    cells = shifted("good", 0.1) + shifted("weak", 0.0) + [replace(c, model="copy") for c in shifted("weak", 0.0)]
    result = run(cells, [meta("good"), meta("weak"), meta("copy")])
    on_mean = {(p.candidate, p.baseline): p for p in result.pairs if p.task == MEAN}
    assert on_mean["good", "weak"].verdict == "better"
    assert on_mean["good", "weak"].delta == pytest.approx(0.1, abs=0.005)
    twin = on_mean["weak", "copy"]
    assert (twin.delta, twin.interval, twin.p_value, twin.verdict) == (0.0, Interval(0.0, 0.0), 1.0, "same")
    ranks = {s.model: (s.rank_low, s.rank_high) for s in result.summary}
    assert ranks == {"good": (1, 1), "weak": (2, 3), "copy": (2, 3)}
    assert result.recommendation.model == "good"


def test_the_paired_interval_is_that_of_the_t_test_on_the_differences() -> None:
    cells = [cell("a", "A", BASE["A"] + RNG.normal(0.01, 0.05, N)), cell("b", "A", BASE["A"])]
    (pair,) = [p for p in run(cells, [meta("a"), meta("b")]).pairs if p.task == "A"]
    differences = cells[0].items[0].columns["value"] - cells[1].items[0].columns["value"]  # type: ignore[operator]
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert pair.interval is not None
    assert (pair.interval.low, pair.interval.high) == pytest.approx((low, high), abs=6e-4)


def test_holm_counts_every_pair_and_task_of_its_family() -> None:
    cells = shifted("x", 0.004, 0.05) + shifted("yy", 0.0, 0.05) + shifted("zzz", 0.0, 0.05)
    result = run(cells, [meta("x"), meta("yy"), meta("zzz")])
    for on_mean in (True, False):
        family = [p for p in result.pairs if (p.task == MEAN) == on_mean]
        smallest = min(family, key=lambda p: p.p_value or 1)
        assert smallest.p_holm == pytest.approx(min(1.0, len(family) * (smallest.p_value or 0)))


def test_a_large_difference_is_found_among_however_many_comparisons() -> None:
    """Of 2,000 resamples no more than p <= 0.001 can be seen, which 90 comparisons would make 0.09."""
    models = [f"m{number}" for number in range(10)]
    cells = [one for model in models[:-1] for one in shifted(model, 0.0)] + shifted("m9", 0.2)
    result = run(cells, [meta(model) for model in models])
    on_tasks = [pair for pair in result.pairs if pair.task != MEAN]
    assert len(on_tasks) == 90
    for pair in on_tasks:
        assert (pair.verdict in ("better", "worse")) == ("m9" in (pair.candidate, pair.baseline))


def test_a_model_with_a_failed_cell_has_no_mean_and_no_rank_and_the_others_keep_theirs() -> None:
    cells = shifted("good", 0.1) + shifted("weak", 0.0)
    cells[0] = CellResult("good", "A", "Retrieval", "failed", reason="NaN")
    result = run(cells, [meta("good"), meta("weak")])
    good, weak = result.summary
    assert (good.mean_score, good.interval, good.rank_low, good.missing) == (None, None, None, ("A",))
    assert good.by_type == {}, "the mean of a type with a missing task would not be comparable"
    assert weak.rank_low == 1
    assert result.recommendation.model == "weak"
    (pair,) = [p for p in result.pairs if p.task == MEAN]
    assert (pair.delta, pair.verdict) == (None, "inconclusive")
    assert "good has no score" in pair.reason


def test_a_cell_without_items_has_a_score_and_no_interval_and_says_so() -> None:
    bare = [replace(c, items=()) for c in shifted("a", 0.0)]
    result = run(bare, [meta("a")])
    assert result.cells[0].interval is None
    assert result.summary[0].mean_score is not None
    assert any("no per-item scores" in warning for warning in result.warnings)


def test_different_items_are_never_paired() -> None:
    other = cell("b", "A", BASE["A"])
    renamed = replace(other.items[0], items=np.array([f"x{i}" for i in range(N)]))
    with pytest.raises(ValueError, match="not paired: test/default: item 0 is 'q0' against 'x0'"):
        run([cell("a", "A", BASE["A"]), replace(other, items=(renamed,))], [meta("a"), meta("b")])


def test_the_baseline_stands_second_in_all_its_pairs() -> None:
    cells = shifted("a", 0.0) + shifted("bb", 0.0) + shifted("ccc", 0.0)
    result = run(cells, [meta("a"), meta("bb"), meta("ccc")], baseline="bb")
    pairs = [(p.candidate, p.baseline) for p in result.pairs if p.task == MEAN]
    assert pairs == [("a", "bb"), ("ccc", "bb"), ("a", "ccc")]


def test_training_data_is_told() -> None:
    result = run(shifted("a", 0.0), [meta("a", training_tasks=("A", "Z"))])
    assert any("trained on data of A" in warning for warning in result.warnings)


def summary(model: str, score: float | None) -> ModelSummary:
    return ModelSummary(model, score, None, 1, 1)


def pair(candidate: str, baseline: str, verdict: str) -> PairResult:
    return PairResult(candidate, baseline, MEAN, 0.0, None, None, None, verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "sizes", "choice", "reason"),
    [
        ("better", (32, 8), "big", "significantly better than that of every other"),
        (
            "same",
            (32, 8),
            "small",
            "its difference to big, the best mean, lies within the margin of 1.0 points, and it is smaller",
        ),
        ("same", (8, 32), "big", "of the models that are the same it is the smallest"),
        ("same", (8, 8), "big", "of the models that are the same none is smaller"),
        ("inconclusive", (32, 8), "big", "small can't be told apart"),
        ("same", (32, None), "big", "smallest"),
    ],
)
def test_recommendation(verdict: str, sizes: tuple[int, int | None], choice: str, reason: str) -> None:
    models = [meta("big", bytes_per_vector=sizes[0]), meta("small", bytes_per_vector=sizes[1])]
    found = recommend(models, [summary("big", 0.6), summary("small", 0.59)], [pair("big", "small", verdict)])
    assert found.model == choice
    assert reason in found.reason


def test_the_margin_of_a_recommendation_is_the_one_that_was_asked_for() -> None:
    models = [meta("big", bytes_per_vector=32), meta("small", bytes_per_vector=8)]
    same = [pair("big", "small", "same")]
    found = recommend(models, [summary("big", 0.6), summary("small", 0.599)], same, margin=0.0025)
    assert "lies within the margin of 0.25 points" in found.reason


def test_nothing_is_recommended_when_no_model_has_a_mean() -> None:
    assert recommend([meta("a")], [summary("a", None)], []).model is None


def test_nothing_is_recommended_from_the_part_that_was_finished_before_an_interruption() -> None:
    cells = [*shifted("good", 0.1), *shifted("weak", 0.0)[:1]]
    whole, cut = (run(cells, [meta("good"), meta("weak")], interrupted=cut) for cut in (False, True))
    assert whole.recommendation.model == "good"
    assert cut.recommendation.model is None
    assert cut.recommendation.reason.startswith("the comparison was interrupted")
    assert cut.summary == whole.summary


def test_a_task_on_which_another_model_is_better_is_named_beside_the_recommendation() -> None:
    cells = [*shifted("good", 0.1), *shifted("weak", 0.0)]
    cells[3] = cell("weak", "B", BASE["B"] + 0.15)
    cells[0] = cell("good", "A", BASE["A"] + 0.3)
    result = run(cells, [meta("good"), meta("weak")])
    assert result.recommendation.model == "good"
    assert result.recommendation.reason.endswith("; but weak is better on B")


def test_a_sure_difference_within_the_margin_does_not_cost_four_times_the_bytes() -> None:
    tiny = PairResult("big", "small", MEAN, 0.001, Interval(0.0005, 0.0015), 0.001, 0.001, "better")
    models = [meta("big", bytes_per_vector=1536), meta("small", bytes_per_vector=384)]
    summaries = [summary("big", 0.601), summary("small", 0.6)]
    assert recommend(models, summaries, [tiny], margin=0.01).model == "small"
    assert recommend(models, summaries, [tiny], margin=0.001).model == "big"


def test_the_interval_of_a_mean_stays_within_what_scores_can_be() -> None:
    few = np.array([0.2, 0.9, 0.95, 0.99])
    result = run([cell("a", "A", few)], [meta("a")])
    found = result.summary[0].interval
    assert found is not None
    assert 0.0 <= found.low < found.high <= 1.0


# --- costs


def test_the_best_model_within_the_budget_is_recommended_and_the_better_one_named() -> None:
    cells = shifted("weak", 0.0) + shifted("good", 0.1)
    models, cost = [meta("weak"), meta("good")], cost_report(["weak", "good"])  # p95 8.3 and 16.6 ms
    assert run(cells, models, cost=cost).recommendation.model == "good"
    found = run(cells, models, cost=cost, budget=Budget(max_p95_ms=10.0))
    assert found.recommendation.model == "weak"
    assert "good is better by 10.0 points, but its p95 latency of " in found.recommendation.reason
    assert (found.cost, found.budget) == (cost, Budget(max_p95_ms=10.0))


def test_the_front_weighs_the_mean_against_latency_memory_and_bytes() -> None:
    cells = shifted("weak", 0.0) + shifted("good", 0.1) + shifted("slow", 0.05)
    models = [meta("weak"), meta("good"), meta("slow")]
    cost = cost_report(["weak", "good", "slow"])
    assert set(run(cells, models, cost=cost).pareto) == {"weak", "good"}
    # A mean that is higher only within the margin is no reason to pay more.
    found = run(shifted("weak", 0.0) + shifted("good", 0.002), models[:2], cost=cost, margin=0.05)
    (on_mean,) = [p for p in found.pairs if p.task == MEAN]
    assert (on_mean.verdict, (on_mean.delta or 0) < 0) == ("same", True)
    assert found.pareto == ("weak",)
    small = [*models[:2], meta("slow", bytes_per_vector=16)]
    assert set(run(cells, small, cost=cost).pareto) == {"weak", "good", "slow"}
    assert run(cells, models).pareto == ()


def test_a_model_without_a_mean_is_not_on_the_front_and_an_unknown_cost_is_no_good_one() -> None:
    cells = shifted("weak", 0.0) + shifted("good", 0.1)
    report = cost_report(["weak", "good"])
    failed = cost_report(["x"], models=(ModelCost("weak", "failed", reason="crashed"), report.models[1]))
    assert run(cells, [meta("weak"), meta("good")], cost=failed).pareto == ("good",)
    cells[2] = CellResult("good", "A", "Retrieval", "failed", reason="NaN")
    assert run(cells, [meta("weak"), meta("good")], cost=report).pareto == ("weak",)


def test_a_model_has_the_engine_that_made_its_cells() -> None:
    cells = [replace(cell, engine="packed") for cell in shifted("a", 0.0)] + shifted("bb", 0.0)
    cells[1] = replace(cells[1], engine="torch")
    found = run(cells, [meta("a", engine="torch"), meta("bb", engine="torch"), meta("ccc")])
    assert [model.engine for model in found.models] == ["packed, torch", "torch", None]
