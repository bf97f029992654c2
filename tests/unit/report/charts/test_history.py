"""Gates with the loss that they allowed, and all that happened in lanes over one time axis."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import altair
import drift_reports
import pytest

from benchkit.report.board_rows import check_rows
from benchkit.report.charts.base import Chart
from benchkit.report.charts.history import gate_margins, happenings
from benchkit.report.charts.svg import inline_svg
from benchkit.types.board import ChampionRow, GateRow

GATE = GateRow(
    key="g1", suite="help", started="2026-11-01T10:00:00Z", verdict="pass", blocks=False, candidate="bge",
    baseline="minilm", change=0.021, low=0.01, high=0.033, margin=0.005,
)  # fmt: skip
GATES = [
    GATE,
    replace(GATE, key="g2", started="2026-11-03T10:00:00Z", verdict="fail", change=-0.03, low=-0.04, high=-0.02),
    replace(GATE, key="g3", started="2026-11-05T10:00:00Z", verdict="inconclusive", change=0.0, low=None, margin=0.01),
    replace(GATE, key="g4", started="2026-11-06T10:00:00Z", verdict="error", change=None, low=None, high=None),
]
CHAMPION = ChampionRow("help", 2, "bge", "2026-11-02T10:00:00Z", "me", "better", forced=True, is_present=True)


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_the_specifications_are_as_they_were(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("gate-margins", gate_margins(GATES))
    check_spec("happenings", happenings(GATES, [CHAMPION], check_rows(drift_reports.history(4))))


def test_each_gate_stands_at_its_change_in_points_with_its_interval() -> None:
    chart = drawn(gate_margins(GATES))
    assert [(row["key"], row["change"], row["low"], row["high"], row["verdict"]) for row in chart.rows] == [
        ("g1", pytest.approx(2.1), pytest.approx(1.0), pytest.approx(3.3), "passed"),
        ("g2", pytest.approx(-3.0), pytest.approx(-4.0), pytest.approx(-2.0), "failed"),
        ("g3", 0.0, None, None, "inconclusive"),
    ]
    assert chart.rows[0]["said"] == "bge against minilm: +2.1 points (+1.0 to +3.3), passed"
    assert chart.alt == (
        "3 gates: 1 passed, 1 inconclusive, 1 failed. The last one: bge against minilm: 0.0 points, inconclusive."
    )
    low, high = layers(chart, "point")[0]["encoding"]["y"]["scale"]["domain"]
    assert low < -4.0
    assert high > 3.3


def test_the_band_begins_at_the_loss_that_was_allowed_at_the_time() -> None:
    (band,) = layers(drawn(gate_margins(GATES)), "rect")
    assert [row["level"] for row in band["data"]["values"]] == [-0.5, -1.0]
    ground, label = layers(drawn(gate_margins(GATES)), "text")
    assert ground["mark"]["stroke"] == {"expr": "paper"}
    assert label["data"]["values"] == [{"level": -0.5, "said": "allowed: a loss of up to 0.5 points"}]


def test_a_loss_that_is_not_known_is_not_0() -> None:
    unknown = replace(GATE, key="run", started="2026-11-20T10:00:00Z", margin=None)
    made = drawn(gate_margins([*GATES[:1], unknown]))
    assert [row["allowed_loss"] for row in made.rows] == [0.5, None]
    (band,) = layers(made, "rect")
    assert [row["level"] for row in band["data"]["values"]] == [-0.5], "the band ends where it isn't known"
    alone = drawn(gate_margins([unknown]))
    assert layers(alone, "rect") == []
    assert "allowed" not in str(alone.spec["layer"])


def test_a_verdict_is_told_by_shape_and_word() -> None:
    (points,) = layers(drawn(gate_margins([*GATES[:3], replace(GATE, verdict="error")])), "point")
    shape = points["encoding"]["shape"]["scale"]
    assert shape["domain"] == ["passed", "inconclusive", "failed", "error"]
    assert len(set(shape["range"])) == 4


def test_without_a_judged_mean_there_is_no_chart() -> None:
    assert gate_margins([]) is None
    assert gate_margins(GATES[3:]) is None
    assert len(drawn(gate_margins(GATES[:1])).rows) == 1
    still = replace(GATE, change=0.0, low=0.0, high=0.0, margin=None)
    assert layers(drawn(gate_margins([still])), "point")[0]["encoding"]["y"]["scale"]["domain"] == [-1.0, 1.0]


def test_each_happening_is_in_its_lane_and_quiet_windows_are_none() -> None:
    rows = check_rows(drift_reports.history(4))
    chart = drawn(happenings(GATES, [CHAMPION], rows))
    assert [(row["lane"], row["what"]) for row in chart.rows] == [
        ("gates", "gate passed"), ("gates", "gate failed"), ("gates", "gate inconclusive"), ("gates", "gate error"),
        ("champions", "champion"), ("drift alarms", "drift CRITICAL"),
    ]  # fmt: skip
    assert [row["at"] for row in chart.rows][-1] == "2026-11-21T23:59:59Z"
    assert chart.rows[4]["said"] == "bge became champion of help, forced"
    assert chart.spec["encoding"]["y"]["scale"]["domain"] == ["gates", "champions", "drift alarms"]
    assert chart.alt.startswith("4 gates, 1 champion, 1 drift alarm. The last one: support: drift CRITICAL.")
    shapes = chart.spec["encoding"]["shape"]["scale"]
    assert len(shapes["domain"]) == 6
    assert happenings([], [], rows[:2]) is None
    assert len(drawn(happenings([], [CHAMPION], rows[:2])).rows) == 1


def test_a_window_that_breaks_its_policy_is_an_alarm_whatever_its_severity() -> None:
    row = check_rows([drift_reports.quiet()])[0]
    chart = drawn(happenings([], [], [replace(row, severity="info", breaks_policy=True), row]))
    assert [found["what"] for found in chart.rows] == ["drift INFO"]


def test_five_hundred_gates_are_drawn() -> None:
    times = [f"2026-11-01T10:{place // 60:02d}:{place % 60:02d}Z" for place in range(500)]
    gates = [replace(GATE, key=time, started=time) for time in times]
    assert len(drawn(gate_margins(gates)).rows) == 500


def test_names_are_data_values_alone() -> None:
    text = "x<script>'\"]\u202edatum.p\\"
    gates = [replace(GATE, key=text, suite=text, candidate=text, baseline=text * 1000)] * 2
    champion = replace(CHAMPION, suite=text, model=text)
    rows = check_rows([drift_reports.hostile(text)])
    for chart in (drawn(gate_margins(gates)), drawn(happenings(gates, [champion], rows))):
        picture = inline_svg(chart)
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt
        assert len(picture) < 50_000
