"""Maps of tasks: numbers, colours, what may be chance, what is missing; slices of one task."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import altair
import pytest
from comparisons import cell, grid, hostile, small, three

from benchkit.measure.tag_slices import SliceScore
from benchkit.report.charts import heat
from benchkit.report.charts.base import Chart
from benchkit.report.charts.svg import inline_svg
from benchkit.report.charts.tasks import CHART_VALUES, slices, tag_chart, task_map
from benchkit.types.comparison import MEAN, Comparison, Interval


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    return found


def sliced() -> Comparison:
    parts = ({"test/en": 0.5, "test/de": 0.61, "test/中": 0.4}, {"test/en": 0.3, "test/de": 0.2}, {})
    cells = tuple(
        replace(scored, result=replace(scored.result, scores=scores))
        for scored, scores in zip(three().cells, parts, strict=True)
    )
    return replace(three(), cells=cells)


def test_the_specification_is_as_it_was(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("task-map", task_map(small()))
    check_spec("task-differences", task_map(small(), baseline="minilm"))
    check_spec("slices", slices(sliced(), "STSBenchmark"))


def test_every_cell_has_its_number_and_a_missing_one_says_why() -> None:
    found = {(row["model"], row["task"]): row for row in drawn(task_map(small())).rows}
    assert len(found) == 15
    assert found["minilm", "STSBenchmark"]["score"] == 82.03
    assert found["minilm", "STSBenchmark"]["text"] == "82.0"
    assert found["minilm", "all tasks (mean)"]["text"] == "62.8"
    failed = found["小模型", "Banking77"]
    assert (failed["text"], failed["colour"], failed["score"]) == ("failed", None, None)
    assert failed["said"] == "小模型 on Banking77: failed: out of memory"
    assert found["小模型", "中文聚类"]["said"].endswith("skipped: it has no Chinese vocabulary")


def test_a_difference_that_may_be_chance_stands_in_parentheses_on_grey() -> None:
    found = {(row["model"], row["task"]): row for row in drawn(task_map(small(), baseline="minilm")).rows}
    assert {model for model, _ in found} == {"tfidf", "小模型"}
    assert (found["小模型", "XQuADRetrieval"]["text"], found["小模型", "XQuADRetrieval"]["colour"]) == (
        "(-1.0)", heat.OPEN,
    )  # fmt: skip
    assert found["小模型", "STSBenchmark"]["text"] == "(-0.2)"
    worse = found["tfidf", "STSBenchmark"]
    assert (worse["text"], worse["colour"]) == ("-26.7", heat.LOSS[-1])
    absent = found["tfidf", "中文聚类"]
    assert (absent["text"], absent["colour"]) == ("–", None)
    assert absent["said"].endswith("not compared: no scores of single items")


def test_a_gain_is_blue_and_a_small_difference_pale() -> None:
    pairs = tuple(replace(pair, task="STSBenchmark") for pair in three(("better", "worse", "better")).pairs)
    better = drawn(task_map(replace(three(), pairs=pairs), baseline="minilm"))
    assert {row["model"]: row["colour"] for row in better.rows} == {"mpnet": heat.GAIN[3], "tfidf": heat.LOSS[3]}
    pairs = tuple(replace(pair, task="STSBenchmark", delta=(pair.delta or 0) / 4) for pair in three().pairs)
    chart = drawn(task_map(replace(three(), pairs=pairs), baseline="tfidf"))
    assert {row["model"]: row["colour"] for row in chart.rows} == {"minilm": heat.GAIN[0], "mpnet": heat.GAIN[0]}


def test_the_longer_side_runs_down() -> None:
    tall, wide = drawn(task_map(grid(3, 9))), drawn(task_map(grid(9, 3)))
    assert len(tall.spec["encoding"]["y"]["scale"]["domain"]) == 10
    assert tall.spec["encoding"]["x"]["scale"]["domain"] == ["model-0", "model-1", "model-2"]
    assert len(wide.spec["encoding"]["y"]["scale"]["domain"]) == 9
    assert wide.spec["encoding"]["x"]["scale"]["domain"][0] == "all tasks (mean)"


def test_names_of_columns_are_level_where_they_have_room_and_slanted_elsewhere() -> None:
    chart = drawn(task_map(grid(9, 14)))
    wide, narrow = (inline_svg(chart, width=width) for width in (1120, 350))
    assert "rotate(-40)" not in wide
    assert narrow.count("rotate(-40)") == 9
    assert chart.spec["layer"][0]["mark"]["type"] == "rect", "the dashboard makes the first layer one of clicks"


def test_a_task_that_is_called_like_the_mean_has_its_own_row() -> None:
    base = grid(2, 2)
    cells = tuple(
        replace(scored, result=replace(scored.result, task="all tasks (mean)"))
        if scored.result.task == "Task0OfRetrieval" else scored
        for scored in base.cells
    )  # fmt: skip
    domain = drawn(task_map(replace(base, cells=cells))).spec["encoding"]["y"]["scale"]["domain"]
    assert len(domain) == len(set(domain)) == 3


def test_every_ink_can_be_read_on_its_ground() -> None:
    inks = [*(heat.LIGHT_INK if step >= 5 else heat.DARK_INK for step in range(8))]
    grounds = [*zip(heat.HEAT, inks, strict=True)]
    grounds += [(ground, heat.DARK_INK) for ground in (*heat.LOSS, *heat.GAIN, heat.OPEN)]
    for ground, ink in grounds:
        light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, ground  # WCAG 2.2, 1.4.3
    for scale in (heat.HEAT, heat.LOSS, heat.GAIN):
        assert [luminance(colour) for colour in scale] == sorted(map(luminance, scale), reverse=True)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("score", "step"), [(0.3, 0), (0.6, 4), (0.9, 7), (-1.0, 0), (2.0, 7)])
def test_a_score_has_its_step_of_the_scale(score: float, step: int) -> None:
    assert heat.heat_step(score, 0.3, 0.9) == step


def test_without_a_score_or_a_pair_there_is_no_map() -> None:
    assert task_map(replace(three(), cells=(), summary=())) is None
    assert task_map(three(), baseline="no such model") is None
    unscored = tuple(cell("minilm", "T", "STS", None) for _ in range(1))
    assert task_map(replace(three(), cells=unscored, summary=())) is None


def test_slices_show_each_model_on_each_part() -> None:
    chart = drawn(slices(sliced(), "STSBenchmark"))
    assert [(row["model"], row["slice"], row["score"]) for row in chart.rows] == [
        ("minilm", "test/en", 50.0), ("mpnet", "test/en", 30.0),
        ("minilm", "test/de", 61.0), ("mpnet", "test/de", 20.0),
        ("minilm", "test/中", 40.0),
    ]  # fmt: skip
    low, high = chart.spec["encoding"]["x"]["scale"]["domain"]
    assert low < 20
    assert high > 61
    shapes = chart.spec["encoding"]["shape"]["scale"]["range"]
    assert len(set(shapes)) == len(shapes) == 2


def test_values_of_a_tag_show_each_model_with_its_interval_and_items() -> None:
    found = [
        SliceScore(MEAN, 40, "minilm", 0.5, Interval(0.4, 0.6)),
        SliceScore(MEAN, 40, "mpnet", None),
        SliceScore("b", 7, "mpnet", 0.3),
    ]
    chart = drawn(tag_chart(["minilm", "mpnet"], "STSBenchmark", "topic", found))
    assert chart.title == "STSBenchmark: score by topic"
    assert [(row["model"], row["slice"], row["score"], row["said"]) for row in chart.rows] == [
        ("minilm", MEAN, 50.0, f"minilm on {MEAN}: 50.0 (95 % CI 40.0–60.0), 40 items"),
        ("mpnet", "b", 30.0, "mpnet on b: 30.0, 7 items"),
    ]
    assert [row["part"] for row in chart.rows] == [MEAN, "b"], "a value that is called like the mean of all tasks"
    many = [SliceScore(f"v{at}", 9, "minilm", 0.5) for at in range(CHART_VALUES + 3)]
    assert len(drawn(tag_chart(["minilm"], "t", "topic", many)).rows) == CHART_VALUES
    assert tag_chart(["minilm"], "t", "topic", found[1:2]) is None


def test_a_task_of_one_part_has_no_slices() -> None:
    assert slices(three(), "STSBenchmark") is None
    assert slices(three(), "no such task") is None


def test_hostile_names_are_values_and_nothing_else() -> None:
    chart = drawn(task_map(hostile()))
    assert "<script" not in str(chart.spec["layer"])
    assert not any(sign in str(chart.spec) for sign in ("\x1b", "\u202e", "\x00"))


def test_a_name_of_a_megabyte_does_not_make_a_chart_of_a_megabyte() -> None:
    chart = drawn(task_map(grid(3, 2, names=("x" * 1_000_000,))))
    assert len(json.dumps(chart.spec)) < 20_000
    assert len(chart.title) + len(chart.alt) < 2000
