"""Costs beside latency: figures as they are, intervals where there are some, nothing added up that overlaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import altair
import pytest
from comparisons import HOSTILE_NAMES, cost_report, model

from benchkit.report.charts.base import Chart
from benchkit.report.charts.cost import batch_sweep, index_size, memory, throughput
from benchkit.report.charts.svg import inline_svg
from benchkit.types.cost import CostFigure, CostReport, ModelCost


def figures(name: str, values: Mapping[str, float | tuple[float, float, float]], unit: str) -> tuple[CostFigure, ...]:
    found = []
    for metric, value in values.items():
        middle, low, high = value if isinstance(value, tuple) else (value, None, None)
        found.append(CostFigure(name, metric, middle, unit, ci_low=low, ci_high=high))
    return tuple(found)


def report(**values: Mapping[str, float | tuple[float, float, float]]) -> CostReport:
    """Return a report whose models have these figures."""
    models = tuple(ModelCost(name, "ok", figures(name, found, "texts/s")) for name, found in values.items())
    return replace(cost_report(["a"]), models=models)


SWEEP = report(
    a={"batch/1/texts_per_s": 10.0, "batch/32/texts_per_s": (80.0, 70.0, 90.0), "batch/8/texts_per_s": 40.0},
    b={"batch/1/texts_per_s": 500.0, "throughput/texts_per_s": 5.0},
)
RATES = report(
    a={
        "throughput/texts_per_s": (50.0, 45.0, 55.0),
        "throughput/tokens_per_s": 9000.0,
        "throughput/long/texts_per_s": 40.0,
    },
    b={"throughput/texts_per_s": 70.0, "throughput/short/texts_per_s": 90.0},
)  # fmt: skip
MEMORY = report(
    a={"memory/import_mib": 500.0, "memory/model_mib": 90.0, "memory/peak_mib": 800.0, "memory/encode_mib": 300.0},
    b={"memory/import_mib": 180.0, "memory/peak_mib": 182.0},
)


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_the_specifications_are_as_they_were(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("batch-sweep", batch_sweep(SWEEP))
    check_spec("throughput", throughput(RATES))
    check_spec("memory", memory(MEMORY))
    check_spec("index-size", index_size([model("a"), model("b", dimension=128)], 1_000_000))


def test_batches_stand_in_order_with_intervals_where_there_are_some() -> None:
    chart = drawn(batch_sweep(SWEEP))
    assert [(row["model"], row["batch"], row["value"], row["low"]) for row in chart.rows] == [
        ("a", 1, 10.0, None), ("a", 8, 40.0, None), ("a", 32, 80.0, 70.0), ("b", 1, 500.0, None),
    ]  # fmt: skip
    assert chart.spec["encoding"]["x"]["axis"]["values"] == [1, 8, 32]
    assert chart.spec["encoding"]["y"]["scale"]["type"] == "log"
    (bars,) = layers(chart, "rule")
    assert bars["transform"] == [{"filter": "isValid(datum.low) && isValid(datum.high)"}]
    assert chart.rows[2]["said"] == "a, 32: 80.0 texts/s (95 % interval 70.0–90.0)"
    assert batch_sweep(RATES) is None


def test_the_axis_of_batches_is_linear_within_a_decade() -> None:
    chart = drawn(batch_sweep(report(a={"batch/1/texts_per_s": 10.0, "batch/8/texts_per_s": 40.0})))
    assert chart.spec["encoding"]["y"]["scale"] == {"type": "linear", "domain": [0, 40.0], "nice": True}


def test_throughput_is_of_texts_and_tokens_by_length() -> None:
    chart = drawn(throughput(RATES))
    assert [(row["model"], row["documents"], row["of"], row["value"]) for row in chart.rows] == [
        ("a", "all", "texts", 50.0), ("a", "all", "tokens", 9000.0), ("a", "long", "texts", 40.0),
        ("b", "all", "texts", 70.0), ("b", "short", "texts", 90.0),
    ]  # fmt: skip
    assert chart.spec["encoding"]["x"]["scale"]["domain"] == ["all", "short", "long"]
    texts, tokens = layers(chart, "point")
    assert (texts["mark"]["filled"], tokens["mark"]["fill"]) == (True, {"expr": "paper"})
    assert "a, all, texts: 50.0 texts/s (95 % interval 45.0–55.0)" in chart.alt
    assert throughput(MEMORY) is None


def test_memory_has_its_parts_side_by_side_and_never_their_sum() -> None:
    chart = drawn(memory(MEMORY))
    assert [(row["model"], row["memory"], row["value"]) for row in chart.rows] == [
        ("a", "imports", 500.0), ("a", "model's weights", 90.0), ("a", "peak", 800.0),
        ("b", "imports", 180.0), ("b", "peak", 182.0),
    ]  # fmt: skip
    assert not any(kind in json.dumps(chart.spec) for kind in ('"bar"', '"stack"'))
    (points,) = layers(chart, "point")
    assert points["encoding"]["x"]["field"] == "value"
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) == 3
    assert memory(RATES) is None


@pytest.mark.parametrize(
    ("documents", "value", "unit"), [(1_000_000, 1536e6 / 2**30, "GiB"), (100_000, 1536e5 / 2**20, "MiB")]
)
def test_an_index_is_documents_times_bytes(documents: int, value: float, unit: str) -> None:
    sparse = replace(model("tfidf"), bytes_per_vector=None)
    chart = drawn(index_size([replace(model("a"), bytes_per_vector=1536), sparse], documents))
    assert [(row["model"], row["unit"]) for row in chart.rows] == [("a", unit)]
    assert chart.rows[0]["value"] == pytest.approx(value)
    assert chart.alt.endswith("Without vectors of one size: tfidf.")
    assert index_size([sparse], documents) is None
    assert index_size([model("a")], 0) is None


def test_models_have_one_look_on_all_charts_of_a_report() -> None:
    both = report(
        a={"throughput/texts_per_s": 1.0},
        b={"throughput/texts_per_s": 2.0, "batch/1/texts_per_s": 3.0},
    )
    (points,) = layers(drawn(batch_sweep(both)), "point")
    assert points["encoding"]["shape"]["scale"] == {"domain": ["b"], "range": ["square"]}


def test_names_are_data_values_alone() -> None:
    report = cost_report(HOSTILE_NAMES)
    models = [model(name) for name in (*HOSTILE_NAMES, "long " * 200_000)]
    charts = [batch_sweep(report), throughput(report), memory(report), index_size(models, 1000)]
    assert sum(chart is not None for chart in charts) >= 3
    for chart in filter(None, charts):
        picture = inline_svg(drawn(chart))
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt
        assert len(picture) < 200_000
