"""Regions before and now, and the plane of the baseline: areas, edges, labels, and what is absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import altair
import drift_reports

from benchkit.report.charts.base import Chart
from benchkit.report.charts.regions import projection, regions
from benchkit.report.charts.svg import inline_svg
from benchkit.types.drift import ClusterChange, DriftReport, ProjectedRegion, Projection

PLANE = Projection(
    regions=(
        ProjectedRegion(7, -0.5, 0.25, 0.021, 0.094),
        ProjectedRegion(3, 0.5, 0.25, 0.12, 0.081),
        ProjectedRegion(4, 0.0, -0.25, 0.06, 0.06),
    ),
    window=((0.1, 0.2), (3.0, -9.0), (1.0, 0.5)),
    x_range=(-1.0, 1.0),
    y_range=(-0.5, 0.5),
    explained=0.214,
)


def projected(**changes: Any) -> DriftReport:
    return replace(drift_reports.critical(), projection=replace(PLANE, **changes))


def drawn(found: Chart | None) -> Chart:
    assert found is not None
    altair.Chart.from_dict(dict(found.spec))
    json.dumps(found.spec, allow_nan=False)
    return found


def layers(chart: Chart, kind: str) -> list[Mapping[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_the_specifications_are_as_they_were(check_spec: Callable[[str, Chart | None], None]) -> None:
    check_spec("drift-regions", regions(drift_reports.critical()))
    check_spec("drift-projection", projection(projected()))


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


def test_the_axes_of_the_plane_are_the_baselines() -> None:
    chart = drawn(projection(projected()))
    assert chart.spec["encoding"]["x"]["scale"] == {"domain": [-1.0, 1.0], "nice": False, "zero": False}
    assert chart.spec["encoding"]["y"]["scale"] == {"domain": [-0.5, 0.5], "nice": False, "zero": False}
    flat = drawn(projection(projected(x_range=(2.0, 2.0))))
    assert flat.spec["encoding"]["x"]["scale"]["domain"] == [1.0, 3.0]


def test_a_row_outside_of_the_axes_is_a_cross_at_their_edge_and_told() -> None:
    chart = drawn(projection(projected()))
    dots = [row for row in chart.rows if row["kind"] == "row"]
    assert [(row["x"], row["y"]) for row in dots] == list(PLANE.window)
    assert [(row["at_x"], row["at_y"], row["outside"]) for row in dots] == [
        (0.1, 0.2, False), (1.0, -0.5, True), (1.0, 0.5, False),
    ]  # fmt: skip
    shapes = {
        layer["transform"][-1]["filter"]["equal"]: layer["mark"]["shape"]
        for layer in layers(chart, "point")
        if layer["transform"][-1]["filter"]["field"] == "outside"
    }
    assert shapes == {False: "circle", True: "cross"}
    assert "1 row outside of the axes" in chart.alt


def test_areas_of_discs_and_rings_have_one_scale_and_rings_are_of_changed_regions_alone() -> None:
    chart = drawn(projection(projected()))
    sized = [layer for layer in layers(chart, "point") if "size" in layer["encoding"]]
    assert [layer["encoding"]["size"]["field"] for layer in sized] == ["before", "now", "now"]
    scales = [layer["encoding"]["size"]["scale"] for layer in sized]
    assert scales == [{"domain": [0, 0.12], "range": [0, 1600]}] * 3  # an area of 0 for no rows
    rings = {layer["transform"][-1]["filter"]["equal"]: layer["mark"]["strokeDash"] for layer in sized[1:]}
    assert rings == {"grew": [1, 0], "shrank": [4, 3]}
    assert [row["verdict"] for row in chart.rows if row["kind"] == "region"] == ["grew", "shrank", ""]


def test_changed_regions_are_named_outside_of_their_rings() -> None:
    chart = drawn(projection(projected()))
    names = [layer["data"]["values"][0]["shown"] for layer in layers(chart, "text")]
    assert names == ["▲ refund", "▼ region 3"]
    # The radius of the largest share is sqrt(1600 / pi) = 22.6 px.
    assert abs(layers(chart, "text")[1]["mark"]["dx"]) >= 22.6
    assert "grew: refund; shrank: region 3" in chart.alt


def test_without_a_projection_there_is_no_plane() -> None:
    assert projection(drift_reports.critical()) is None
    assert projection(projected(regions=(), window=())) is None
    assert len(drawn(projection(projected(regions=()))).rows) == 3
    assert len(drawn(projection(projected(window=()))).rows) == 3
    empty = tuple(replace(region, baseline_share=0.0, window_share=0.0) for region in PLANE.regions)
    assert len(drawn(projection(projected(regions=empty))).rows) == 6


def test_keywords_are_data_values_alone() -> None:
    text = "x<script>'\"]\u202edatum.p\\" * 20
    change = ClusterChange(7, 0.021, 0.094, 9.4, (text, text), (text,))
    report = replace(projected(), clusters=(change,))
    for chart in (drawn(regions(report)), drawn(projection(report))):
        picture = inline_svg(chart)
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt + json.dumps(chart.spec, ensure_ascii=False)
        assert "script" not in json.dumps(without_values(chart.spec))


def without_values(spec: Any) -> Any:
    """Return a specification without its data and without its words."""
    if isinstance(spec, Mapping):
        return {key: without_values(value) for key, value in spec.items() if key not in ("values", "description")}
    return [without_values(part) for part in spec] if isinstance(spec, list | tuple) else spec
