"""Regions before and now: shares, words, and what is absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import altair
import drift_reports

from benchkit.report.charts.base import Chart
from benchkit.report.charts.regions import regions


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_the_specification_is_as_it_was(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("drift-regions", regions(drift_reports.critical()))


def test_a_region_goes_from_its_share_before_to_its_share_now() -> None:
    chart = drawn(regions(drift_reports.critical()))
    assert [(row["region"], row["before"], row["now"], row["verdict"]) for row in chart.rows] == [
        (7, 0.021, 0.094, "grew"), (3, 0.12, 0.081, "shrank"), (61, 0.0, 0.0125, "grew"),
    ]  # fmt: skip
    hollow, filled = layers(chart, "point")
    assert (hollow["encoding"]["x"]["field"], filled["encoding"]["x"]["field"]) == ("before", "now")
    assert hollow["mark"]["fill"] == {"expr": "paper"}
    assert filled["mark"]["filled"] is True
    (line,) = layers(chart, "rule")
    assert (line["encoding"]["x"]["field"], line["encoding"]["x2"]["field"]) == ("before", "now")
    names, shares = layers(chart, "text")
    assert [row["words"] for row in names["data"]["values"]] == ["refund, chargeback, card", "region 3", "发票"]
    assert shares["data"]["values"][0]["shares"] == "2.1 % → 9.4 %"
    assert regions(drift_reports.quiet()) is None
