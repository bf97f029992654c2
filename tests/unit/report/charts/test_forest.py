"""Forest plots: values, verdicts by shape and word, the margin, what was not compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import altair
import pytest
from comparisons import HOSTILE_NAMES, grid, hostile, small, three

from benchkit.report.charts.base import Chart
from benchkit.report.charts.forest import forest, task_forest
from benchkit.report.charts.svg import inline_svg
from benchkit.types.comparison import Recommendation


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    return found


def layers(chart: Chart, kind: str) -> list[dict[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_the_specification_is_as_it_was(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("forest", forest(three(("same", "inconclusive", "better"))))
    check_spec("task-forest", task_forest(small(), "minilm", "小模型"))


def test_each_model_stands_at_its_difference_against_the_recommended_one() -> None:
    chart = drawn(forest(three(("better", "worse", "better"))))
    found = {row["name"]: (row["difference"], row["low"], row["high"], row["verdict"]) for row in chart.rows}
    assert found == {"mpnet": (4.1, 2.2, 6.0, "better"), "tfidf": (-4.1, -6.0, -2.2, "worse")}
    assert [row["words"] for row in chart.rows] == ["+4.1 (+2.2 to +6.0) better", "-4.1 (-6.0 to -2.2) worse"]
    assert [row["y"] for row in chart.rows] == [40, 92]
    assert chart.spec["height"] == 104


def test_another_baseline_turns_the_differences_round() -> None:
    chart = drawn(forest(three(("better", "inconclusive", "better")), baseline="tfidf"))
    assert {row["name"]: row["difference"] for row in chart.rows} == {"minilm": 4.1, "mpnet": 4.1}
    assert all(row["baseline"] == "tfidf" for row in chart.rows)
    assert forest(three(), baseline="no such model") is None


def test_the_shape_tells_the_verdict_without_the_colour() -> None:
    chart = drawn(forest(three()))
    looks = {
        layer["transform"][0]["filter"]["equal"]: (layer["mark"]["shape"], layer["mark"].get("filled", False))
        for layer in layers(chart, "point")
    }
    assert looks == {
        "better": ("circle", True),
        "worse": ("circle", True),
        "same": ("square", True),
        "inconclusive": ("circle", False),
    }


def test_the_axis_holds_zero_the_margin_and_every_interval() -> None:
    chart = drawn(forest(three(("better", "worse", "better"))))
    low, high = layers(chart, "point")[0]["encoding"]["x"]["scale"]["domain"]
    assert low < -6.0
    assert high > 6.0
    (band,) = layers(chart, "rect")
    assert band["data"]["values"] == [{"low": -1.0, "high": 1.0}]
    assert layers(drawn(forest(replace(three(), margin=0.0))), "rect") == []


def picture_of(chart: Chart, width: int) -> str:
    return re.sub(r"<desc.*?</desc>", "", inline_svg(chart, width=width))


def places(picture: str, said: str) -> list[tuple[float, float]]:
    """Return where a text stands; twice, since the first one is its ground."""
    found = re.findall(r'<text[^>]*transform="translate\(([\d.-]+),([\d.-]+)\)"[^>]*>([^<]*)</text>', picture)
    return [(float(x), float(y)) for x, y, text in found if text == said]


def test_in_a_wide_window_names_and_words_stand_beside_their_interval_and_over_no_line() -> None:
    chart = drawn(forest(three(("better", "worse", "better"))))
    picture = picture_of(chart, 1120)
    marks = re.findall(r'<path transform="translate\(([\d.-]+),([\d.-]+)\)"[^>]*><title>', picture)
    for row, (x, y) in zip(chart.rows, marks, strict=True):
        (name, name_y), (said, said_y) = places(picture, str(row["label"]))[1], places(picture, str(row["words"]))[1]
        assert abs(name_y - float(y)) < 6
        assert abs(said_y - float(y)) < 6
        assert name + 7 * len(str(row["label"])) < float(x) < said - 7 * len(str(row["words"]))


def test_in_a_narrow_window_they_stand_above_it_on_a_ground_of_their_own() -> None:
    chart = drawn(forest(three(("better", "worse", "better"))))
    picture = picture_of(chart, 350)
    for row in chart.rows:
        name, words = places(picture, str(row["label"])), places(picture, str(row["words"]))
        assert len(name) == len(words) == 2
        assert name[0][1] < words[0][1] < float(str(row["y"]))
    assert 'stroke="var(--paper)"' in picture


def test_tasks_come_after_the_mean_and_what_was_not_compared_says_so() -> None:
    chart = drawn(task_forest(small(), "minilm", "小模型"))
    assert [row["name"] for row in chart.rows] == ["mean over all tasks", "XQuADRetrieval", "STSBenchmark", "Banking77"]
    assert [row["difference"] for row in chart.rows] == [None, 1.03, 0.2, None]
    assert chart.rows[0]["words"] == "not compared"
    assert "小模型 has no score with an interval here" in str(chart.rows[0]["said"])
    turned = drawn(task_forest(small(), "小模型", "minilm"))
    assert [row["difference"] for row in turned.rows] == [None, -1.03, -0.2, None]


def test_without_anything_to_compare_there_is_no_chart() -> None:
    assert forest(replace(three(), pairs=())) is None
    assert forest(replace(three(), recommendation=Recommendation(None, "x"))) is None
    unfound = tuple(replace(pair, delta=None, interval=None) for pair in three().pairs)
    assert forest(replace(three(), pairs=unfound)) is None
    assert task_forest(three(), "minilm", "minilm") is None


def test_many_differences_are_told_briefly() -> None:
    chart = drawn(forest(grid(12, 2)))
    assert "5 more." in chart.alt
    assert len(chart.alt) < 1500


@pytest.mark.parametrize("baseline", HOSTILE_NAMES[:2])
def test_hostile_names_are_values_and_a_title_and_nothing_else(baseline: str) -> None:
    chart = drawn(forest(hostile(), baseline=baseline))
    for layer in chart.spec["layer"]:
        for key in ("mark", "transform"):
            assert "<script" not in str(layer.get(key))
            assert "@everyone" not in str(layer.get(key))


def test_a_name_of_a_megabyte_does_not_make_a_chart_of_a_megabyte() -> None:
    chart = drawn(forest(grid(3, 1, names=("x" * 1_000_000,))))
    assert len(json.dumps(chart.spec)) < 20_000
    assert len(chart.title) + len(chart.alt) < 2000
