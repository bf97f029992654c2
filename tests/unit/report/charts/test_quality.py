"""Quality against cost: positions worked by hand, the front, the limit, the choice, what has no place."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import altair
import pytest
from comparisons import cost_report, costed, grid, hostile_costs, small, three

from benchkit.report import words
from benchkit.report.charts.base import Chart
from benchkit.report.charts.costscale import _binary_ticks, _round_ticks
from benchkit.report.charts.labels import NARROW, WIDE, cells
from benchkit.report.charts.quality import CostAxis, quality_against, without_place
from benchkit.types.comparison import Comparison, Interval, Recommendation
from benchkit.types.cost import Budget, CostFigure, ModelCost

LONG = ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2@dim=128,precision=int8", "很长的中文模型名称" * 5)
AXES: tuple[CostAxis, ...] = ("latency", "memory", "bytes")


def with_p95(*costs: tuple[float, float | None, float | None], means: tuple[float, ...] = ()) -> Comparison:
    """Return models with these p95 latencies and intervals."""
    base = grid(len(costs), 1)
    figures = [
        CostFigure(meta.name, words.P95, cost[0], "ms", 9, *cost[1:])
        for meta, cost in zip(base.models, costs, strict=True)
    ]
    models = tuple(ModelCost(figure.model, "ok", (figure,)) for figure in figures)
    rows = [
        replace(row, mean_score=mean, interval=None)
        for row, mean in zip(base.summary, means or [row.mean_score or 0 for row in base.summary], strict=True)
    ]
    return replace(base, summary=tuple(rows), cost=cost_report(["x"], models=models, ratios=()))


def drawn(comparison: Comparison, cost: CostAxis = "latency", **options: Any) -> Chart:
    found = quality_against(comparison, cost, **options)
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    return found


def layers(chart: Chart, kind: str) -> list[dict[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def rows(chart: Chart) -> dict[str, Any]:
    return {str(row["model"]): row for row in chart.rows}


@pytest.mark.parametrize("cost", AXES)
def test_the_specification_is_as_it_was(check_spec: Callable[[str, Chart | None], None], cost: CostAxis) -> None:
    comparison = costed(three(), budget=Budget(max_p95_ms=20.0, max_memory_mib=2000.0, max_bytes_per_vector=2048))
    check_spec(f"quality-{cost}", quality_against(comparison, cost))


def test_a_row_has_the_numbers_of_its_model_in_points() -> None:
    row = rows(drawn(costed(three())))["minilm"]
    assert (row["mean"], row["mean_low"], row["mean_high"]) == (61.2, 58.9, 63.5)
    assert (row["cost"], row["cost_low"], row["cost_high"]) == (8.3, pytest.approx(7.802), pytest.approx(8.798))
    assert row["said"] == "minilm: 61.2 (58.9–63.5) points at 8.30 ms (7.80–8.80)"
    assert rows(drawn(costed(three()), "memory"))["mpnet"]["cost"] == 1234.0
    assert rows(drawn(three(), "bytes"))["mpnet"]["cost"] == 3072.0


def test_the_axes_hold_every_interval_and_the_limit() -> None:
    chart = drawn(with_p95((20.0, 10.0, 50.0)), budget=Budget(max_p95_ms=400.0))
    low, high = chart.spec["encoding"]["x"]["scale"]["domain"]
    assert low < 10
    assert high > 400
    assert chart.spec["encoding"]["x"]["scale"]["type"] == "log"
    summary = replace(grid(1, 1).summary[0], mean_score=0.6, interval=Interval(0.5, 0.7))
    low, high = drawn(replace(grid(1, 1), summary=(summary,)), "bytes").spec["encoding"]["y"]["scale"]["domain"]
    assert (low, high) == (pytest.approx(48.4), pytest.approx(71.6))  # 8 % of 20 points beyond each end


def test_an_interval_that_reaches_nothing_has_no_bar_on_a_logarithmic_axis() -> None:
    assert rows(drawn(with_p95((20.0, 0.0, 50.0))))["model-0"]["cost_low"] is None


def test_models_of_one_size_stand_side_by_side() -> None:
    base = grid(5, 1)
    models = tuple(replace(meta, bytes_per_vector=1536) for meta in base.models)
    found = [row["aside"] for row in drawn(replace(base, models=models), "bytes").rows]
    assert found == [-22, -11, 0, 11, 22]


def test_the_front_is_a_stair_over_the_models_that_none_beats() -> None:
    # cheap and weak, dear and strong; the third is dearer and weaker than the first, the last as good and dearer.
    costs = ((1.0, None, None), (8.0, None, None), (2.0, None, None), (64.0, None, None))
    chart = drawn(with_p95(*costs, means=(0.5, 0.7, 0.4, 0.7)))
    (stair,) = [layer for layer in layers(chart, "line") if layer["mark"].get("interpolate") == "step-after"]
    end = chart.spec["encoding"]["x"]["scale"]["domain"][1]
    assert [(at["cost"], at["mean"]) for at in stair["data"]["values"]] == [(1.0, 50.0), (8.0, 70.0), (end, 70.0)]
    assert {name for name, row in rows(chart).items() if row["on_front"]} == {"model-0", "model-1"}
    assert "On the front: model-1 and model-0." in chart.alt


def test_the_budget_decides_which_marks_are_hollow_and_where_the_limit_stands() -> None:
    comparison = replace(with_p95((10.0, None, None), (40.0, None, None)), budget=Budget(max_p95_ms=20.0))
    assert {name: row["keeps_budget"] for name, row in rows(drawn(comparison)).items()} == {
        "model-0": True, "model-1": False,
    }  # fmt: skip
    (limit,) = [layer for layer in layers(drawn(comparison), "rule") if "data" in layer and layer["mark"]["size"] == 2]
    assert limit["data"]["values"] == [{"cost": 20.0, "said": "limit 20 ms"}]
    assert "breaks the budget: its p95 latency of 40.0 ms is over 20 ms" in rows(drawn(comparison))["model-1"]["said"]
    other = drawn(comparison, budget=Budget(max_p95_ms=50.0))
    assert all(row["keeps_budget"] for row in other.rows)
    free = drawn(comparison, budget=Budget())
    assert "limit" not in str(free.spec["layer"])


def test_a_limit_on_something_else_makes_a_mark_hollow_without_a_line() -> None:
    chart = drawn(costed(three()), budget=Budget(max_dim=400))
    assert [row["model"] for row in chart.rows if not row["keeps_budget"]] == ["mpnet", "tfidf"]
    assert "limit" not in str(chart.spec["layer"])


def test_the_choice_is_a_diamond_with_a_bold_label() -> None:
    chart = drawn(costed(three()))
    assert [row["model"] for row in chart.rows if row["chosen"]] == ["minilm"]
    looks = {
        layer["transform"][0]["filter"].split(" && ")[0]: layer["mark"]["shape"] for layer in layers(chart, "point")
    }
    assert looks == {"datum.chosen": "diamond", "!datum.chosen": "circle"}
    assert [row["model"] for row in drawn(costed(three()), choice="mpnet").rows if row["chosen"]] == ["mpnet"]
    assert not any(row["chosen"] for row in drawn(costed(three()), choice="").rows)
    names = layers(chart, "text")[-1]
    assert {at["label"]: at["chosen"] for at in names["data"]["values"]}["minilm"] is True


def test_variants_of_one_model_are_joined_and_others_are_not() -> None:
    base = costed(grid(4, 1))
    origins = ("a", "b", "a", "a")  # with 384, 384, 768 and 1024 dimensions
    models = tuple(replace(meta, id=origin) for meta, origin in zip(base.models, origins, strict=True))
    chart = drawn(replace(base, models=models))
    (line,) = [layer for layer in layers(chart, "line") if "detail" in layer["encoding"]]
    found = rows(chart)
    assert [at["mean"] for at in line["data"]["values"]] == [
        found[name]["mean"] for name in ("model-0", "model-2", "model-3")
    ]
    assert not [layer for layer in layers(drawn(base), "line") if "detail" in layer["encoding"]]


@pytest.mark.parametrize("n_models", [2, 6, 12])
@pytest.mark.parametrize("crowded", [False, True])
def test_every_label_is_there_and_covers_no_other_one(n_models: int, crowded: bool) -> None:
    base = grid(n_models, 1, names=LONG)
    if crowded:  # one size, and means closer to each other than the height of a label
        models = tuple(replace(meta, bytes_per_vector=1536) for meta in base.models)
        rows_of = tuple(replace(row, mean_score=0.6 + place / 1000) for place, row in enumerate(base.summary))
        base = replace(base, models=models, summary=rows_of)
    chart = drawn(base, "bytes")
    names = layers(chart, "text")[-1]["data"]["values"]
    assert len(names) == len(chart.rows)
    low, high = chart.spec["encoding"]["x"]["scale"]["domain"]
    bottom, top = chart.spec["encoding"]["y"]["scale"]["domain"]
    for width in (NARROW, 500.0, WIDE):
        boxes = []
        for at in names:
            x = width * math.log(at["cost"] / low) / math.log(high / low) + at["dx"]
            far = x + (-1 if at["dx"] < at["aside"] else 1) * 7.0 * cells(at["label"])
            y = 360 * (top - at["at"]) / (top - bottom)
            boxes.append((min(x, far), max(x, far), y))
        for one, other in itertools.combinations(boxes, 2):
            assert abs(one[2] - other[2]) >= 13.9 or one[1] <= other[0] or other[1] <= one[0]


def test_models_without_a_place_are_named_with_why() -> None:
    assert without_place(small(), "bytes") == (
        "tfidf: 45.9 (43.6–48.2), it has no vectors of one size",
        "小模型: no mean score",
    )
    assert without_place(grid(3, 1), "bytes") == ()
    assert without_place(three(), "memory")[0] == "minilm: 61.2 (58.9–63.5), its memory was not measured"
    assert without_place(with_p95((0.0, None, None)), "latency") == ("model-0: 66.0, its cost is 0",)


def test_without_a_model_that_has_both_there_is_no_chart() -> None:
    assert quality_against(three()) is None
    assert quality_against(with_p95((0.0, None, None))) is None
    bare = replace(three(), models=(), cells=(), summary=(), pairs=(), recommendation=Recommendation(None, "none"))
    assert quality_against(bare, "bytes") is None


@pytest.mark.parametrize("cost", AXES)
def test_hostile_names_are_values_and_nothing_else(cost: CostAxis) -> None:
    chart = drawn(hostile_costs(), cost)
    without = {**chart.spec, "data": {}, "description": "", "layer": [
        {**layer, "data": {}} for layer in chart.spec["layer"]
    ]}  # fmt: skip
    assert "<script" not in str(without)
    assert "@everyone" not in str(without)
    assert not any(sign in str(chart.spec) for sign in ("\x1b", "\u202e", "\x00"))


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (1.0, 10.0, [1, 2, 5, 10]),
        (0.04, 0.3, [0.05, 0.1, 0.2]),
        (7.0, 30.0, [10, 20]),
        (0.5, 5000.0, [1, 10, 100, 1000]),
        (1e-6, 1e6, [1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6]),
    ],
)
def test_ticks_of_latency_are_round_few_and_inside(low: float, high: float, found: list[float]) -> None:
    assert _round_ticks(low, high) == pytest.approx(found)


def test_ticks_of_bytes_are_powers_of_two_and_few() -> None:
    assert _binary_ticks(700, 5000) == [1024, 2048, 4096]
    assert len(_binary_ticks(1, 2**40)) <= 10


def test_a_name_of_a_megabyte_does_not_make_a_chart_of_a_megabyte() -> None:
    chart = drawn(costed(grid(2, 1, names=("x" * 1_000_000,))))
    assert len(json.dumps(chart.spec)) < 20_000
    assert len(chart.title) + len(chart.alt) < 2000
