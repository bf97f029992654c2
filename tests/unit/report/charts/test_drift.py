"""Windows over time: positions, bands, alarms, marks, picking; and what is left out is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import altair
import drift_reports
import pytest

from benchkit.report.board_rows import check_rows
from benchkit.report.charts.base import Chart
from benchkit.report.charts.drift import canary_quality, evidence, segments, statistics, timeline
from benchkit.report.charts.svg import inline_svg
from benchkit.types.board import CheckRow, Mark
from benchkit.types.drift import DriftSeverity, SegmentResult

MARKS = (
    Mark("2026-11-01T08:00:00Z", "champion minilm v2", "champion"),
    Mark("2026-10-20T00:00:00Z", "new baseline", "baseline"),
    Mark("2026-11-10T00:00:00Z", "bge in production", "model"),
)


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def windows(*p_values: float | None, **changes: Any) -> list[CheckRow]:
    """Return a window a day with these p-values."""
    rows = check_rows([replace(drift_reports.quiet(), p_value=p) for p in p_values])
    days = [f"2026-11-{day:02d}T00:00:00Z" for day in range(1, len(rows) + 1)]
    return [replace(row, end=day, **changes) for row, day in zip(rows, days, strict=True)]


def rows_with_canaries() -> list[CheckRow]:
    values = {"identity": 0.99, "overlap_at_10": 0.97, "ndcg_at_10": 0.61, "low_score_share": 0.05}
    rows = [replace(row, **values) for row in check_rows(drift_reports.history(6))]
    return [*rows[:-1], replace(rows[-1], identity=0.71, overlap_at_10=0.61, ndcg_at_10=0.52, low_score_share=0.154)]


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def texts(chart: Chart) -> list[str]:
    return [
        str(row[layer["encoding"]["text"]["field"]])
        for layer in layers(chart, "text")
        for row in layer["data"]["values"]
    ]


def windows_of(chart: Chart | None) -> dict[str, Any]:
    (points,) = [layer for layer in drawn(chart).spec["layer"] if layer.get("name") == "windows"]
    return dict(points)


def test_the_specifications_are_as_they_were(check_spec: Callable[[str, Chart | None], None]) -> None:
    rows = check_rows(drift_reports.history(6))
    check_spec("drift-timeline", timeline(rows, MARKS))
    check_spec("drift-evidence", evidence(rows))
    check_spec("drift-canaries", canary_quality(rows_with_canaries()))
    check_spec("drift-statistics", statistics(drift_reports.critical()))
    check_spec("drift-segments", segments(drift_reports.critical()))


# --- p-values


def test_a_p_value_that_is_too_small_is_kept_drawn_at_the_last_line_and_told() -> None:
    chart = drawn(timeline(windows(0.5, 1e-7)))
    assert [row["p"] for row in chart.rows] == [0.5, 1e-7]
    points = windows_of(chart)
    assert points["transform"] == [{"calculate": "max(datum.p, 0.0001)", "as": "shown"}]
    assert points["encoding"]["y"]["field"] == "shown"
    scale = {"type": "log", "domain": [1e-4, 2.6], "reverse": True, "nice": False}
    assert points["encoding"]["y"]["scale"] == scale
    assert "≤ 0.0001" in points["encoding"]["y"]["axis"]["labelExpr"]
    assert "1 with p below 0.0001, drawn at that line" in chart.alt
    assert "drawn at that line" not in drawn(timeline(windows(0.5, 1e-4))).alt
    assert "≤ 0.0001" in inline_svg(chart)


def test_the_picture_has_a_small_p_value_above_a_large_one() -> None:
    picture = inline_svg(drawn(timeline(windows(1.0, 0.01, 1e-7, severity="ok"))))
    shown = re.findall(r'<path transform="translate\(([\d.-]+),([\d.-]+)\)"[^>]*><title>', picture)
    heights = [float(y) for _, y in shown]
    decade = 256 / math.log10(2.6e4)
    assert heights == pytest.approx([4 * decade, 2 * decade, 0], abs=0.06)
    across = [float(x) for x, _ in shown]
    assert across == sorted(across)


def test_the_band_follows_the_policy_where_that_changes() -> None:
    rows = [*windows(0.5, 0.5, 0.5)[:2], replace(windows(0.5, 0.5, 0.5)[2], false_alarms=0.05)]
    (band,) = layers(drawn(timeline(rows)), "rect")
    first, second = band["data"]["values"]
    assert (first["level"], first["far"], second["level"], second["far"]) == (0.01, 2.6, 0.05, 2.6)
    assert first["to"] == second["from"] == 1793664000000  # 2026-11-03T00:00:00Z
    assert "99.0 % of unchanged windows lie in this band" in texts(drawn(timeline(rows)))


def test_the_words_of_the_band_stand_below_every_window() -> None:
    said = layers(drawn(timeline(windows(1.0, 0.5))), "text")[-1]
    assert said["data"]["values"] == [{"said": "99.0 % of unchanged windows lie in this band"}]
    assert (said["encoding"]["y"], said["mark"]["baseline"]) == ({"value": "height"}, "bottom")
    picture = inline_svg(drawn(timeline(windows(1.0, 0.5))))
    lowest = max(
        float(y) for y in re.findall(r'<path transform="translate\([\d.-]+,([\d.-]+)\)"[^>]*><title>', picture)
    )
    assert lowest + math.sqrt(80 / math.pi) < 256 - 3 - 11, "a mark's radius above words of 11 px"


def test_severity_is_told_by_shape_colour_and_word() -> None:
    levels: tuple[DriftSeverity, ...] = ("critical", "ok", "warn", "info")
    rows = [replace(row, severity=level) for row, level in zip(windows(0.1, 0.2, 0.3, 0.4), levels, strict=True)]
    points = windows_of(timeline(rows))
    shape, colour = points["encoding"]["shape"], points["encoding"]["color"]
    assert shape["scale"]["domain"] == colour["scale"]["domain"] == ["OK", "INFO", "WARN", "CRITICAL"]
    assert len(set(shape["scale"]["range"])) == len(set(colour["scale"]["range"])) == 4
    assert shape["legend"] == colour["legend"]
    # A severity keeps its look when others are absent.
    alone = windows_of(timeline(rows[:1]))
    assert alone["encoding"]["shape"]["scale"] == {"domain": ["CRITICAL"], "range": [shape["scale"]["range"][3]]}


def test_a_window_can_be_picked_by_its_key() -> None:
    chart = drawn(timeline(windows(0.5, 0.2)))
    pick, paper = chart.spec["params"]
    assert (pick["name"], paper["name"]) == ("picked", "paper")
    assert pick["select"]["type"] == "point"
    assert pick["select"]["fields"] == ["key"]
    assert pick["views"] == [windows_of(chart)["name"]]
    (ring,) = [layer for layer in layers(chart, "point") if "name" not in layer]
    assert ring["transform"][0] == {"filter": {"param": "picked", "empty": False}}
    assert ring["mark"]["aria"] is False
    assert 'stroke-width="2.5"' not in inline_svg(chart), "without a pick there is no ring"
    assert [row["key"] for row in chart.rows] == [1, 2]


def test_windows_without_a_test_are_counted_and_not_drawn() -> None:
    chart = drawn(timeline(windows(0.5, None, 0.2)))
    assert [row["key"] for row in chart.rows] == [1, 3]
    assert chart.alt.endswith("; 1 more not tested.")
    assert timeline(windows(None, None)) is None
    assert timeline([]) is None


def test_rows_without_times_stand_at_their_number() -> None:
    rows = [replace(row, end="", checked_at="a while ago") for row in windows(0.5, 0.2, 0.9)]
    chart = drawn(timeline(rows, MARKS))
    assert [row["number"] for row in chart.rows] == [1, 2, 3]
    assert windows_of(chart)["encoding"]["x"]["scale"]["domain"] == [0.5, 3.5]
    assert layers(chart, "rule") == []


@pytest.mark.parametrize("n", [1, 500])
def test_one_window_and_five_hundred_are_drawn(n: int) -> None:
    rows = check_rows(drift_reports.history(n + 1)[:n])
    for chart in (drawn(timeline(rows)), drawn(evidence(rows))):
        assert len(chart.rows) == n
        assert inline_svg(chart).count("<title>") >= n


# --- evidence


def test_an_alarm_is_a_square_at_or_above_its_level() -> None:
    sums = (0.001, 999.99, 1000.0, 1e9)
    rows = [replace(row, detector=value) for row, value in zip(windows(*[0.5] * 4), sums, strict=True)]
    chart = drawn(evidence(rows))
    assert [row["verdict"] for row in chart.rows] == ["no alarm", "no alarm", "alarm", "alarm"]
    (points,) = layers(chart, "point")
    assert points["encoding"]["shape"]["scale"] == {"domain": ["no alarm", "alarm"], "range": ["circle", "square"]}
    assert points["transform"][0]["calculate"] == "clamp(datum.sum, 0.01, 100000)"
    assert points["encoding"]["y"]["scale"]["domain"] == [0.01, 100000]
    assert "'≥ '" in points["encoding"]["y"]["axis"]["labelExpr"]
    assert [layer["data"]["values"][0]["level"] for layer in layers(chart, "rule")] == [1000]
    assert "2 alarms" in chart.alt


def test_a_sum_beyond_all_numbers_is_drawn_and_nothing_that_is_no_number() -> None:
    rows = [replace(row, detector=value) for row, value in zip(windows(0.5, 0.5), (math.inf, math.nan), strict=True)]
    assert [row["verdict"] for row in drawn(evidence(rows)).rows] == ["alarm"]
    assert evidence([replace(row, detector=None) for row in rows]) is None


def test_streams_have_lines_of_their_own() -> None:
    rows = [replace(row, stream=name) for row, name in zip(windows(0.5, 0.5, 0.5), "aba", strict=True)]
    (line,) = layers(drawn(evidence(rows)), "line")
    assert line["encoding"]["detail"] == {"field": "stream"}
    assert [row["stream"] for row in drawn(evidence(rows)).rows] == ["a", "b", "a"]


# --- canaries


def test_canaries_have_a_line_for_each_number_that_was_measured() -> None:
    rows = [replace(row, low_score_share=None) for row in rows_with_canaries()]
    chart = drawn(canary_quality([*rows, *windows(0.5)]))
    assert [row["what"] for row in chart.rows[:3]] == ["identity", "overlap@10", "nDCG@10"]
    assert len(chart.rows) == 3 * 6
    (line,) = layers(chart, "line")
    (points,) = layers(chart, "point")
    assert len({tuple(dash) for dash in line["encoding"]["strokeDash"]["scale"]["range"]}) == 3
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) == 3
    assert canary_quality(windows(0.5)) is None


def test_the_ends_of_the_lines_are_named_without_touching() -> None:
    row = replace(rows_with_canaries()[0], identity=0.99996, overlap_at_10=0.999, ndcg_at_10=0.03, low_score_share=0.01)
    chart = drawn(canary_quality([row]))
    (ends,) = layers(chart, "text")
    heights = [row["y"] for row in ends["data"]["values"]]
    gaps = [upper - lower for upper, lower in pairwise(heights)]
    assert min(gaps) * 220 >= 14 - 1e-6
    assert min(heights) >= 0
    said = [row["said"].strip("\u00a0") for row in ends["data"]["values"]]
    assert said == ["● identity 0.999", "■ overlap@10 0.999", "▲ nDCG@10 0.030", "◆ low scores 0.010"]


def test_a_cosine_below_zero_is_inside_the_axis() -> None:
    chart = drawn(canary_quality([replace(rows_with_canaries()[0], identity=-0.2)]))
    assert layers(chart, "line")[0]["encoding"]["y"]["scale"]["domain"] == [-0.2, 1]


# --- statistics and segments


def test_statistics_tell_their_p_and_effect_and_the_p_of_all() -> None:
    chart = drawn(statistics(drift_reports.critical()))
    assert [(row["statistic"], row["p"], row["effect"]) for row in chart.rows] == [
        ("centroid", 0.0004, "0.041 of the distance between rows"),
        ("ridge_mahalanobis", 0.031, ""),
        ("novelty", 0.00005, "0.06 of rows further out"),
    ]
    (dots,) = layers(chart, "point")
    assert [row["shown"] for row in dots["data"]["values"]] == [0.0004, 0.031, 0.0001]
    assert "centroid: 0.041 of the distance between rows" in texts(chart)
    assert "all together: p < 0.001" in texts(chart)
    assert chart.alt == "All together: p < 0.001. The smallest of 3 statistics is that of novelty: p < 0.001."
    assert statistics(drift_reports.bare()) is None


def test_a_statistic_that_is_no_number_leaves_valid_json() -> None:
    report = drift_reports.critical()
    found = replace(report.statistics[0], value=float("nan"))
    assert drawn(statistics(replace(report, statistics=(found,)))).rows[0]["value"] is None


def test_segments_stand_alarms_first_and_the_rest_is_told() -> None:
    many = [SegmentResult(f"s{place}", 50, (place + 1) / 100, 1.0, place == 33) for place in range(40)]
    report = replace(drift_reports.quiet(), segments=(*many, SegmentResult("tiny", 3, None, None, False)))
    chart = drawn(segments(report))
    assert [row["segment"] for row in chart.rows[:3]] == ["s33", "s0", "s1"]
    assert [row["verdict"] for row in chart.rows[:2]] == ["drifts", "no alarm"]
    assert len(chart.rows) == 30
    assert chart.alt == (
        "40 segments tested; alarm: s33; the 30 with the smallest p are shown, alarms first; "
        "1 not tested, with too few rows here or in the baseline."
    )
    assert segments(drift_reports.quiet()) is None


# --- hostile


def test_texts_of_the_data_are_data_values_alone() -> None:
    text = "x<script>'\"]\u202edatum.p\\"
    report = drift_reports.hostile(text)
    rows = [replace(row, stream=text) for row in check_rows([report, report])]
    marks = [Mark("2026-11-21T23:59:59Z", text, "model"), Mark(text, text, "champion")]
    charts = [timeline(rows, marks), evidence(rows, marks), canary_quality(rows), statistics(report), segments(report)]
    for chart in map(drawn, charts):
        picture = inline_svg(chart)
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt
        assert "<script" not in json.dumps(without_values(chart.spec))
        assert "\u202e" not in json.dumps(chart.spec, ensure_ascii=False)


def test_a_text_of_a_megabyte_is_cut_short() -> None:
    text = "long " * 200_000
    rows = [replace(row, reason=text, source=text, stream=text, start=text) for row in windows(0.5, 0.1)]
    for chart in (drawn(timeline(rows, [Mark("2026-11-01", text, "model")])), drawn(evidence(rows))):
        assert len(json.dumps(chart.spec)) < 10_000


def without_values(spec: Any) -> Any:
    """Return a specification without its data and without its words."""
    if isinstance(spec, Mapping):
        return {key: without_values(value) for key, value in spec.items() if key not in ("values", "description")}
    return [without_values(part) for part in spec] if isinstance(spec, list | tuple) else spec
