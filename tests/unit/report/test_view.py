"""Looking up: order, pairs from either side, worst items of every task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparisons import grid, pair, small, three

from benchkit.report.view import (
    pair_between,
    pairs_against,
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
