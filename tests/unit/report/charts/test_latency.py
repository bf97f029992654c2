"""Distributions of latency: steps, percentiles as benchkit defines them, and which calls are drawn."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair
import pytest

from benchkit.cost.summary import Conditions, summarise
from benchkit.measure.latency import percentile
from benchkit.report.charts.base import Chart
from benchkit.report.charts.latency import latency_by_length, latency_cdf, log_ticks, span_axis
from benchkit.report.charts.svg import inline_svg
from benchkit.types.cost import CostReport, CostSamples, Sample


def sample(model: str, place: int, wall_s: float, **changes: Any) -> Sample:
    made = Sample(model, 0, "query", place, place, 1, 10 + place, 10 + place, wall_s, wall_s)
    return replace(made, **changes)


def session(times_ms: Mapping[str, Sequence[float]], **changes: Any) -> CostSamples:
    """Return a session with these wall times of single queries."""
    samples = [
        sample(model, place, ms / 1000, **changes)
        for model, found in times_ms.items()
        for place, ms in enumerate(found)
    ]
    return CostSamples(tuple(times_ms), tuple(samples), ())


def drawn_times(n: int, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [draw.lognormvariate(1, 0.4) for _ in range(n)]


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def dots(chart: Chart) -> list[tuple[str, int, float]]:
    return [
        (row["model"], row["percent"], row["ms"]) for layer in layers(chart, "point") for row in layer["data"]["values"]
    ]


def report_of(samples: CostSamples) -> CostReport:
    return summarise(samples, Conditions("full", "cpu", {}, "", 1.0, seed=0), models=(), baseline=None)


def test_the_specifications_are_as_they_were(check_spec: Callable[[str, Chart | None], None]) -> None:
    samples = session({"bge": drawn_times(24), "小模型": drawn_times(24, 2)})
    check_spec("latency-cdf", latency_cdf(samples))
    check_spec("latency-by-length", latency_by_length(samples))


def test_the_distribution_of_four_calls_by_hand() -> None:
    chart = drawn(latency_cdf(session({"m": [4.0, 1.0, 2.0, 8.0]})))
    assert [(row["ms"], row["share"]) for row in chart.rows] == [(1.0, 0.25), (2.0, 0.5), (4.0, 0.75), (8.0, 1.0)]
    (line,) = layers(chart, "line")
    assert line["mark"]["interpolate"] == "step-after"
    assert dots(chart) == [("m", 50, 2.0)]  # nearest rank; p95 needs 20 calls, p99 100


@pytest.mark.parametrize("n", [19, 20, 99, 100, 777])
def test_percentiles_are_benchkits_own_with_and_without_a_report(n: int) -> None:
    samples = session({"m": drawn_times(n)})
    expected = [
        ("m", percent, pytest.approx(found.value))
        for percent in (50, 95, 99)
        if (found := percentile(drawn_times(n), percent))
    ]
    assert dots(drawn(latency_cdf(samples))) == expected
    assert dots(drawn(latency_cdf(samples, report_of(samples)))) == expected


def test_a_percentile_of_the_report_is_taken_as_it_is_with_its_interval() -> None:
    samples = session({"m": drawn_times(100)})
    report = report_of(samples)
    (model,) = report.models
    p95 = model.figure("latency/query/p95_ms")
    assert p95 is not None
    figures = (replace(p95, value=5.0, ci_low=4.0, ci_high=6.0),)
    chart = drawn(latency_cdf(samples, replace(report, models=(replace(model, figures=figures),))))
    assert ("m", 95, 5.0) in dots(chart)
    (row,) = (row for row in layers(chart, "point")[0]["data"]["values"] if row["percent"] == 95)
    assert row["said"] == "m: p95 5.00 ms (95 % interval 4.00 to 6.00)"


def test_of_many_calls_some_are_drawn_and_the_percentiles_lie_on_the_curve() -> None:
    chart = drawn(latency_cdf(session({"m": drawn_times(4999), "n": drawn_times(3, 2)})))
    curve = {row["share"]: row["ms"] for row in chart.rows if row["model"] == "m"}
    assert 150 < len(curve) <= 203
    assert curve[1.0] == pytest.approx(max(drawn_times(4999)))
    assert min(curve.values()) == pytest.approx(min(drawn_times(4999)))
    for model, percent, ms in dots(chart):
        assert model == "n" or curve[min(share for share in curve if share >= percent / 100)] == ms
    assert chart.alt.endswith("Of 3 to 4,999 queries each.")


def test_the_second_process_and_other_calls_are_not_in_it() -> None:
    samples = session({"m": [1.0, 2.0]})
    others = (sample("m", 0, 9.0, copy=1), sample("m", 0, 9.0, kind="batch"), sample("stranger", 0, 9.0))
    chart = drawn(latency_cdf(replace(samples, samples=(*samples.samples, *others))))
    assert [row["ms"] for row in chart.rows] == [1.0, 2.0]
    assert latency_cdf(replace(samples, samples=others)) is None
    assert latency_by_length(replace(samples, samples=())) is None


def test_models_differ_in_colour_shape_and_dashes_whoever_else_is_shown() -> None:
    chart = drawn(latency_cdf(session({"a": [], "b": drawn_times(30), "c": drawn_times(30, 2)})))
    (line,), (points,) = layers(chart, "line"), layers(chart, "point")
    assert points["encoding"]["shape"]["scale"] == {"domain": ["b", "c"], "range": ["square", "triangle-up"]}
    assert line["encoding"]["strokeDash"]["scale"]["range"] == [[6, 3], [2, 2]]


def test_models_of_one_measurement_are_one_curve_with_both_names() -> None:
    times = drawn_times(50)
    found = session({"minilm": times, "bge": drawn_times(50, seed=2), "minilm@dim=128": times})
    for chart in map(drawn, (latency_cdf(found), latency_by_length(found))):
        assert {row["model"] for row in chart.rows} == {"minilm and minilm@dim=128", "bge"}
        assert {row["label"] for row in chart.rows} == {"minilm = minilm@dim=128", "bge"}
        assert len(chart.rows) == 2 * 50
        assert chart.rows[0]["said"].startswith("minilm and minilm@dim=128")
    assert len(dots(drawn(latency_cdf(found)))) == 2 * len(dots(drawn(latency_cdf(session({"minilm": times})))))


def test_models_that_differ_in_one_call_are_curves_of_their_own() -> None:
    times = drawn_times(50)
    found = session({"minilm": times, "other": [*times[:-1], times[-1] + 0.001]})
    for chart in map(drawn, (latency_cdf(found), latency_by_length(found))):
        assert {row["model"] for row in chart.rows} == {"minilm", "other"}


def test_many_models_of_one_measurement_have_a_short_label_and_all_their_names_in_the_tooltip() -> None:
    times = drawn_times(20)
    rows = drawn(latency_cdf(session({"a": times, "b": times, "c": times}))).rows
    assert {(row["label"], row["model"]) for row in rows} == {("a = 2 more", "a, b and c")}


def test_one_call_is_drawn() -> None:
    chart = drawn(latency_cdf(session({"m": [3.0]})))
    assert [(row["ms"], row["share"]) for row in chart.rows] == [(3.0, 1.0)]
    assert inline_svg(chart)


def test_a_model_without_tokens_has_those_of_the_same_text() -> None:
    samples = session({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    bare = tuple(replace(found, tokens=None) if found.model == "b" else found for found in samples.samples)
    chart = drawn(latency_by_length(replace(samples, samples=bare)))
    assert [(row["model"], row["tokens"], row["ms"]) for row in chart.rows] == [
        ("a", 10, 1.0), ("a", 11, 2.0), ("b", 10, 3.0), ("b", 11, 4.0),
    ]  # fmt: skip
    nobody = drawn(latency_by_length(session({"a": [1.0, 2.0]}, tokens=None)))
    assert nobody.spec["layer"][0]["encoding"]["x"]["field"] == "position"
    assert [row["position"] for row in nobody.rows] == [0, 1]


def test_an_axis_is_logarithmic_from_a_decade_on() -> None:
    assert span_axis([1, 9.9], title="")["scale"]["type"] == "linear"
    assert span_axis([1, 10], title="")["scale"]["type"] == "log"
    assert span_axis([0, 10], title="")["scale"]["type"] == "linear"
    assert log_ticks(0.15, 17) == [0.2, 0.5, 1, 2, 5, 10]
    assert log_ticks(29, 1.2e6) == [100, 1000, 10000, 100000, 1000000]


def test_names_are_data_values_alone() -> None:
    names = ["x<script>'\"]\u202edatum.p\\", "x<script>'\"]\u202edatum.p\\" * 1000]
    samples = session({name: drawn_times(30) for name in names})
    for chart in (drawn(latency_cdf(samples)), drawn(latency_by_length(samples))):
        picture = inline_svg(chart)
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt
        assert len(picture) < 400_000
