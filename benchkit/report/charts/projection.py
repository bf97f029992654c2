"""Where a window lies beside its baseline, in pictures that are the baseline's own and the same for every window.

    DriftReport ─┬─ projection ─> regions and rows of the window in the plane of the baseline's principal directions
                 └─ illustration ─> regions alone, laid out by UMAP, where the report has that

Pictures of two windows can be laid over each other. In that by UMAP distances and densities mean nothing, which stands
in the picture itself, wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchkit.report import drift_words, words
from benchkit.report.charts import base
from benchkit.report.charts.base import Chart, Row, chart
from benchkit.report.charts.circles import PLANE_PX, Range, circles, discs, name_layers, only, rings, told
from benchkit.types.drift import DriftReport, ProjectedRegion, Projection

_SHARES = "discs are the baseline's shares and rings the window's"
_WARNING = "distances and densities mean nothing"
# So that the largest disc at an edge is whole in a window of 390 px.
_UNIT: Range = (-0.08, 1.08)


def projection(report: DriftReport) -> Chart | None:
    """Return baseline and window in the baseline's plane; None where the report has no projection."""
    found = report.projection
    if found is None or not (found.regions or found.window):
        return None
    regions = circles(found.regions, report.clusters)
    dots = [_dot(point, found) for point in found.window]
    names = name_layers(regions, _open(found.x_range), _open(found.y_range))
    return chart(
        "drift-projection",
        "Regions of the baseline and rows of the window",
        _projection_words(found, regions, dots),
        rows=[*regions, *dots],
        height=PLANE_PX,
        encoding={
            "x": _direction("x", "first principal direction of the baseline", found.x_range),
            "y": _direction("y", "second principal direction", found.y_range),
        },
        layer=[*discs(regions), *_dot_layers(dots), *rings(regions), *names],
    )


def _direction(field: str, title: str, ends: tuple[float, float]) -> dict[str, Any]:
    axis = {"title": title, "labels": False, "ticks": False, "grid": False, "domain": True}
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": list(_open(ends)), "nice": False, "zero": False},
        "axis": axis,
    }


def _open(ends: Range) -> Range:
    """Return a range that has a middle, even where all rows of the baseline are one."""
    low, high = ends
    return (low, high) if high > low else (low - 1.0, low + 1.0)


def _dot(point: tuple[float, float], found: Projection) -> dict[str, Any]:
    """Return a row of the window; one outside the axes stands at their edge."""
    (left, right), (bottom, top) = _open(found.x_range), _open(found.y_range)
    x, y = min(max(point[0], left), right), min(max(point[1], bottom), top)
    is_outside = (x, y) != tuple(point)
    return {
        "kind": "row",
        "x": point[0],
        "y": point[1],
        "at_x": x,
        "at_y": y,
        "outside": is_outside,
        "said": f"a row of the window{', outside of the axes' if is_outside else ''}",
    }


def _dot_layers(dots: Sequence[Row]) -> list[dict[str, Any]]:
    place = {"x": {"field": "at_x", "type": "quantitative"}, "y": {"field": "at_y", "type": "quantitative"}}
    looks = [(False, {"shape": "circle", "size": 12}), (True, {"shape": "cross", "size": 40})]
    return [
        {
            "transform": [only("row"), {"filter": {"field": "outside", "equal": is_outside}}],
            "mark": {"type": "point", "filled": True, "color": base.GREEN, "opacity": 0.9, **look},
            "encoding": {**place, **base.SAID},
        }
        for is_outside, look in looks
        if any(dot["outside"] == is_outside for dot in dots)
    ]


def _projection_words(found: Projection, regions: Sequence[Row], dots: Sequence[Row]) -> str:
    share = drift_words.percent(found.explained)
    counted = (
        f"{words.counted(len(regions), 'region')} of the baseline, {words.counted(len(dots), 'row')} of the window"
    )
    said = [
        f"{counted}, in the plane that shows {share} of the baseline's variance",
        _SHARES,
        *told(regions),
    ]
    outside = sum(dot["outside"] for dot in dots)
    said += [f"{words.counted(outside, 'row')} outside of the axes, drawn as a cross at their edge"] if outside else []
    return f"{'; '.join(said)}."


# --- by UMAP


def illustration(report: DriftReport) -> Chart | None:
    """Return the regions as UMAP lays them out; None where the report has no layout."""
    regions = circles(_laid_out(report.projection), report.clusters)
    if not regions:
        return None
    counted = f"{words.counted(len(regions), 'region')} of the baseline"
    parts = [counted, _SHARES, *told(regions)]
    return chart(
        "drift-umap",
        "Regions of the baseline, an illustration by UMAP",
        f"An illustration by UMAP, in which {_WARNING}: {'; '.join(parts)}.",
        rows=regions,
        height=PLANE_PX,
        title={"text": "Illustration by UMAP", "subtitle": _WARNING, "anchor": "start"},
        encoding={"x": _unmeasured("x"), "y": _unmeasured("y")},
        layer=[*discs(regions), *rings(regions), *name_layers(regions, _UNIT, _UNIT)],
    )


def _laid_out(found: Projection | None) -> list[ProjectedRegion]:
    """Return the regions at their places in the layout."""
    if found is None:
        return []
    places = {place.cluster: place for place in found.layout}
    return [
        replace(region, x=places[region.cluster].x, y=places[region.cluster].y)
        for region in found.regions
        if region.cluster in places
    ]


def _unmeasured(field: str) -> dict[str, Any]:
    scale = {"domain": list(_UNIT), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": None}
