"""Looking up: order, pairs from either side, worst items of every task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparisons import cost_ratio, cost_report, grid, pair, small, three

from benchkit.report.view import (
    certain_ratio,
    cost_value,
    pair_between,
    pairs_against,
    ratio_between,
    reference,
    summaries,
    task_names,
    task_types,
    turned_round,
    worst_of,
)
from benchkit.types.comparison import MEAN, Interval, Verdict
from benchkit.types.result import WorstItem


def test_the_best_mean_comes_first_and_no_mean_last() -> None:
    assert [row.model for row in summaries(small())] == ["minilm", "tfidf", "小模型"]


def test_equal_means_keep_the_order_that_was_asked_for() -> None:
    rows = tuple(replace(row, mean_score=0.5) for row in grid(4, 1).summary)
    assert summaries(replace(grid(4, 1), summary=rows)) == rows


def test_tasks_and_types_are_in_the_order_of_the_cells() -> None:
    assert task_names(small()) == ("XQuADRetrieval", "STSBenchmark", "Banking77", "中文聚类")
    assert task_types(small()) == ("Retrieval", "STS", "Classification", "Clustering")


@pytest.mark.parametrize(
    ("verdict", "turned"),
    [("better", "worse"), ("worse", "better"), ("same", "same"), ("inconclusive", "inconclusive")],
)
def test_a_pair_turned_round_says_the_same_thing(verdict: Verdict, turned: Verdict) -> None:
    other = turned_round(replace(pair("a", "b", 0.04, verdict), interval=Interval(0.01, 0.07)))
    assert (other.candidate, other.baseline, other.delta, other.verdict) == ("b", "a", -0.04, turned)
    assert other.interval == Interval(-0.07, -0.01)
    assert (other.p_value, other.p_holm) == (0.004, 0.012)
    assert turned_round(other) == replace(pair("a", "b", 0.04, verdict), interval=Interval(0.01, 0.07))


def test_a_pair_is_found_from_either_side_and_on_its_own_task() -> None:
    assert pair_between(small(), "minilm", "tfidf") == turned_round(small().pairs[0])
    assert pair_between(small(), "tfidf", "minilm") == small().pairs[0]
    found = pair_between(small(), "小模型", "minilm", "STSBenchmark")
    assert found is not None
    assert found.delta == -0.002
    assert pair_between(small(), "minilm", "小模型", "中文聚类") is None


def test_pairs_against_a_model_agree_with_the_single_look_up() -> None:
    found = pairs_against(small(), "minilm")
    assert found == {
        (other, task): pair_between(small(), other, "minilm", task)
        for other in ("tfidf", "小模型")
        for task in (MEAN, *task_names(small()))
        if pair_between(small(), other, "minilm", task) is not None
    }
    assert len(found) == 9


def test_differences_are_shown_against_the_baseline_or_else_the_recommended_model() -> None:
    assert reference(three(baseline="tfidf")) == "tfidf"
    assert reference(three()) == "minilm"


def test_the_worst_item_of_each_task_comes_before_the_second_worst_of_any() -> None:
    items = tuple(WorstItem(name, 0.0, name, "", "") for name in "abc")
    cells = tuple(replace(scored, result=replace(scored.result, worst=items)) for scored in grid(1, 3).cells)
    found = worst_of(replace(grid(1, 3), cells=cells), "model-0", 5)
    assert [(entry.task[:5], entry.item.item) for entry in found] == [
        ("Task0", "a"), ("Task1", "a"), ("Task2", "a"), ("Task0", "b"), ("Task1", "b"),
    ]  # fmt: skip
    assert worst_of(grid(1, 3), "nobody", 5) == []


def test_a_ratio_turned_round_is_one_over_it_with_its_ends_swapped() -> None:
    cost = cost_report(["a", "b"], ratios=(cost_ratio("a", "b", 0.5, "cheaper"),))
    found = ratio_between(cost, "b", "a", "latency/query")
    assert found is not None
    assert (found.candidate, found.baseline, found.ratio, found.verdict) == ("b", "a", 2.0, "dearer")
    assert (found.ci_low, found.ci_high) == pytest.approx((2 / 1.03, 2 / 0.97))
    assert ratio_between(cost, "a", "b", "latency/query") == cost.ratios[0]
    assert ratio_between(cost, "a", "b", "latency/query_cpu") is None
    assert ratio_between(cost, "a", "c", "latency/query") is None
    same = cost_report(["a", "b"], ratios=(cost_ratio("a", "b", 1.0, "same"),))
    assert ratio_between(same, "b", "a", "latency/query").verdict == "same"  # type: ignore[union-attr]


def test_only_a_ratio_of_a_quiet_machine_whose_side_is_sure_is_certain() -> None:
    wall, cpu = cost_ratio("a", "b", 0.5, "cheaper"), cost_ratio("a", "b", 0.6, "cheaper")
    cpu = replace(cpu, metric="latency/query_cpu")
    unsure = replace(wall, verdict="inconclusive")
    assert certain_ratio(cost_report(["a"], ratios=(cpu, wall)), "a", "b") == wall
    assert certain_ratio(cost_report(["a"], ratios=(unsure, cpu)), "a", "b") == cpu
    assert certain_ratio(cost_report(["a"], ratios=(unsure, cpu), device="cuda"), "a", "b") is None
    assert certain_ratio(cost_report(["a"], ratios=(wall,), unstable="busy"), "a", "b") is None
    assert certain_ratio(cost_report(["a"], ratios=(replace(wall, verdict="same"),)), "a", "b") is None
    assert certain_ratio(None, "a", "b") is None


def test_a_cost_that_was_not_measured_is_none_and_not_zero() -> None:
    cost = cost_report(["a"])
    assert cost_value(cost, "a", "latency/query/p95_ms") == 8.3
    assert cost_value(cost, "a", "latency/query/p99_ms") is None
    assert cost_value(cost, "b", "latency/query/p95_ms") is None
    assert cost_value(None, "a", "latency/query/p95_ms") is None
