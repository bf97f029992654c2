"""The plane of the baseline, and its regions as UMAP lays them out: areas, edges, labels, and what is absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import altair
import drift_reports
import pytest

from benchkit.report.charts.base import DARK, LIGHT, Chart, themed
from benchkit.report.charts.projection import illustration, projection
from benchkit.report.charts.regions import regions
from benchkit.report.charts.svg import PHONE, inline_svg
from benchkit.types.drift import ClusterChange, DriftReport, ProjectedRegion, Projection, RegionPlace

LAYOUT = (RegionPlace(7, 1.0, 0.0), RegionPlace(3, 0.0, 1.0), RegionPlace(4, 0.5, 0.5))
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
    layout=LAYOUT,
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
    check_spec("drift-projection", projection(projected()))
    check_spec("drift-umap", illustration(projected()))


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


def test_a_name_that_stands_apart_has_a_line_from_its_region_to_its_height() -> None:
    # Three regions at one place: the names of the second and the third have no room beside it.
    close = tuple(replace(region, x=0.0, y=0.25) for region in PLANE.regions[:2])
    changes = [ClusterChange(n, 0.1, 0.2, 9.0) for n in (7, 3, 4)]
    many = (*close, replace(PLANE.regions[2], x=0.0, y=0.25))
    chart = drawn(projection(replace(projected(regions=many), clusters=tuple(changes))))
    far = [layer for layer in layers(chart, "text") if layer["mark"]["dy"] != 0]
    lines = layers(chart, "rule")
    assert len(lines) == len(far) >= 1
    for line, name in zip(lines, far, strict=True):
        (ends,) = line["data"]["values"]
        assert (ends["x"], ends["y"]) == (0.0, 0.25)
        # 380 px are 1.0 of the axis, downwards.
        assert ends["at"] == pytest.approx(0.25 - name["mark"]["dy"] / 380)
        assert abs(line["mark"]["x2Offset"]) == pytest.approx(abs(name["mark"]["dx"]) - 3)


def test_without_a_projection_there_is_no_plane() -> None:
    assert projection(drift_reports.critical()) is None
    assert projection(projected(regions=(), window=())) is None
    assert len(drawn(projection(projected(regions=()))).rows) == 3
    assert len(drawn(projection(projected(window=()))).rows) == 3
    empty = tuple(replace(region, baseline_share=0.0, window_share=0.0) for region in PLANE.regions)
    assert len(drawn(projection(projected(regions=empty))).rows) == 6


# ---------------------------------------------------------------- by UMAP


def test_a_picture_by_umap_says_itself_that_distances_mean_nothing() -> None:
    chart = drawn(illustration(projected()))
    warning = "distances and densities mean nothing"
    assert chart.title == "Regions of the baseline, an illustration by UMAP"
    assert (chart.spec["title"]["text"], chart.spec["title"]["subtitle"]) == ("Illustration by UMAP", warning)
    assert chart.alt == (
        f"An illustration by UMAP, in which {warning}: 3 regions of the baseline; discs are the baseline's shares and "
        "rings the window's; grew: refund; shrank: region 3."
    )
    for picture in (inline_svg(chart), inline_svg(chart, width=PHONE)):
        assert f">{warning}</text>" in picture


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_its_title_has_the_ink_of_the_theme(theme: Any) -> None:
    config = themed(drawn(illustration(projected())), theme)["config"]
    assert config["title"] == {"color": theme.ink, "subtitleColor": theme.faint}


def test_it_has_the_regions_at_their_places_and_no_row_and_no_axis() -> None:
    chart = drawn(illustration(projected()))
    assert [(row["region"], row["x"], row["y"]) for row in chart.rows] == [(7, 1.0, 0.0), (3, 0.0, 1.0), (4, 0.5, 0.5)]
    assert chart.spec["encoding"]["x"]["axis"] is None
    assert chart.spec["encoding"]["y"]["axis"] is None
    (low, high), plane_px = chart.spec["encoding"]["x"]["scale"]["domain"], 280
    # Half of the largest disc, 22.6 px, has room beyond a region at an edge in a window of 390 px.
    assert -low / (high - low) * plane_px == pytest.approx((high - 1) / (high - low) * plane_px)
    assert -low / (high - low) * plane_px > 19


def test_it_marks_shares_and_changes_as_the_plane_does() -> None:
    plane, by_umap = drawn(projection(projected())), drawn(illustration(projected()))
    sized = [[one for one in layers(chart, "point") if "size" in one["encoding"]] for chart in (plane, by_umap)]
    assert sized[0] == sized[1]
    places = ("x", "y")
    of_plane = [{key: value for key, value in row.items() if key not in places} for row in plane.rows[:3]]
    assert [{key: value for key, value in row.items() if key not in places} for row in by_umap.rows] == of_plane
    names = [layer["data"]["values"][0]["shown"] for layer in layers(by_umap, "text")]
    assert names == ["▲ refund", "▼ region 3"]


def test_without_a_layout_there_is_no_illustration() -> None:
    assert illustration(drift_reports.critical()) is None
    assert illustration(projected(layout=())) is None
    assert illustration(projected(regions=())) is None
    elsewhere = (RegionPlace(63, 0.0, 0.0),)
    assert illustration(projected(layout=elsewhere)) is None
    assert len(drawn(illustration(projected(layout=(*elsewhere, *LAYOUT[:2])))).rows) == 2


def test_keywords_are_data_values_alone() -> None:
    text = "x<script>'\"]\u202edatum.p\\" * 20
    change = ClusterChange(7, 0.021, 0.094, 9.4, (text, text), (text,))
    report = replace(projected(), clusters=(change,))
    for chart in (drawn(regions(report)), drawn(projection(report)), drawn(illustration(report))):
        picture = inline_svg(chart)
        assert "<script" not in picture
        assert "\u202e" not in picture + chart.alt + json.dumps(chart.spec, ensure_ascii=False)
        assert "script" not in json.dumps(without_values(chart.spec))


def without_values(spec: Any) -> Any:
    """Return a specification without its data and without its words."""
    if isinstance(spec, Mapping):
        return {key: without_values(value) for key, value in spec.items() if key not in ("values", "description")}
    return [without_values(part) for part in spec] if isinstance(spec, list | tuple) else spec
