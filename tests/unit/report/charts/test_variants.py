"""Variants of one model: which are joined by which line, worked by hand for a grid, and what holds of any family."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from comparisons import cost_report, grid

from benchkit.embeddings.precision import bytes_per_vector
from benchkit.report import words
from benchkit.report.charts.base import Chart
from benchkit.report.charts.plane import Dot
from benchkit.report.charts.quality import CostAxis, quality_against
from benchkit.report.charts.variants import joined, variant_layers, variants_note
from benchkit.types.comparison import Comparison, Interval
from benchkit.types.cost import CostFigure, ModelCost
from benchkit.types.model import PRECISIONS, Precision

GRID: tuple[tuple[int, Precision], ...] = tuple(
    itertools.product((384, 128), ("float32", "int8", "binary"))  # type: ignore[arg-type]
)
MEANS = (0.61, 0.605, 0.55, 0.585, 0.58, 0.49)


def dot(dimension: int | None, precision: Precision = "float32", *, origin: str = "x", mean: float = 50.0) -> Dot:
    name = f"{origin}@{dimension},{precision}"
    cost = 1000.0 * PRECISIONS.index(precision) + float(dimension or 1)
    return Dot(name, origin, dimension, precision, mean, None, cost, None, (), False, False, 0.0)


def lines(*dots: Dot) -> list[tuple[str, list[tuple[int | None, str]]]]:
    return [(line.along, [(stop.dimension, stop.precision) for stop in line.stops]) for line in joined(dots)]


def with_variants() -> Comparison:
    """Return a model in two dimensions and three precisions, which share one latency, and another model."""
    names = ["minilm", *(f"minilm@dim={dim},precision={precision}" for dim, precision in GRID[1:])]
    base = grid(7, 1, names=[*names, "bge"])
    models = [
        replace(
            meta, id="minilm", dimension=dim, precision=precision, bytes_per_vector=bytes_per_vector(dim, precision)
        )
        for meta, (dim, precision) in zip(base.models, GRID, strict=False)
    ]
    rows = [
        replace(row, mean_score=mean, interval=Interval(mean - 0.014, mean + 0.015))
        for row, mean in zip(base.summary, MEANS, strict=False)
    ]
    figures = [
        CostFigure(meta.name, words.P95, p95, "ms", 90, 0.95 * p95, 1.05 * p95)
        for meta, p95 in zip(base.models, (9.0,) * len(GRID) + (31.0,), strict=True)
    ]
    costs = tuple(ModelCost(figure.model, "ok", (figure,)) for figure in figures)
    return replace(
        base,
        models=(*models, base.models[-1]),
        summary=(*rows, base.summary[-1]),
        cost=cost_report(["minilm"], models=costs, ratios=()),
    )


@pytest.mark.parametrize("cost", ["bytes", "latency"])
def test_the_specification_of_a_grid_of_variants_is_as_it_was(
    check_spec: Callable[[str, Chart | None], None], cost: CostAxis
) -> None:
    check_spec(f"quality-variants-{cost}", quality_against(with_variants(), cost))


def test_a_grid_of_two_dimensions_and_three_precisions_is_a_net_of_five_lines() -> None:
    assert lines(*(dot(*kind) for kind in GRID)) == [
        ("dimension", [(128, "float32"), (384, "float32")]),
        ("dimension", [(128, "int8"), (384, "int8")]),
        ("dimension", [(128, "binary"), (384, "binary")]),
        ("precision", [(384, "float32"), (384, "int8"), (384, "binary")]),
        ("precision", [(128, "float32"), (128, "int8"), (128, "binary")]),
    ]


def test_variants_along_one_thing_are_one_line() -> None:
    assert lines(dot(256), dot(64), dot(128)) == [("dimension", [(64, "float32"), (128, "float32"), (256, "float32")])]
    assert lines(dot(64, "binary"), dot(64), dot(64, "float16")) == [
        ("precision", [(64, "float32"), (64, "float16"), (64, "binary")])
    ]


def test_a_variant_that_shares_nothing_is_joined_to_the_largest_by_a_line_of_its_own() -> None:
    assert lines(dot(384), dot(128, "int8")) == [("otherwise", [(128, "int8"), (384, "float32")])]
    assert lines(dot(384, "int8"), dot(384), dot(32, "binary")) == [
        ("precision", [(384, "float32"), (384, "int8")]),
        ("otherwise", [(32, "binary"), (384, "float32")]),
    ]


def test_variants_of_one_cost_are_one_line_from_neighbour_to_neighbour() -> None:
    dots = [replace(dot(*kind), cost=9.0, aside=11.0 * place) for place, kind in zip((2, 0, 1), GRID[1:], strict=False)]
    assert lines(*dots) == [("otherwise", [GRID[2], GRID[3], GRID[1]])]
    assert [line.along for line in joined(dots[:2])] == ["precision"]


def test_other_models_and_a_model_alone_are_not_joined() -> None:
    assert lines(dot(384), dot(128, origin="y"), dot(None, origin="z")) == []
    assert variant_layers([dot(384), dot(128, origin="y")]) == []


def test_any_family_is_joined_as_a_whole_and_a_line_changes_one_thing_at_a_time() -> None:
    draw = random.Random(7)
    for _ in range(300):
        kinds = draw.sample(list(itertools.product((32, 64, 128, 384), PRECISIONS)), draw.randint(2, 9))
        found = joined([dot(*kind, mean=draw.random()) for kind in kinds])
        reached, reach = {kinds[0]}, [{(stop.dimension, stop.precision) for stop in line.stops} for line in found]
        for _ in kinds:
            reached |= {kind for met in reach if met & reached for kind in met}
        assert reached == set(kinds), "from one variant, lines lead to all"
        for line in found:
            for one, other in itertools.pairwise(line.stops):
                changed = {"dimension"} if one.dimension != other.dimension else set()
                changed |= {"precision"} if one.precision != other.precision else set()
                assert changed == ({line.along} if line.along != "otherwise" else {"dimension", "precision"})


def test_the_note_is_there_with_variants_alone() -> None:
    assert "solid along the dimension, dotted along the precision" in variants_note(with_variants().models)
    assert variants_note(grid(3, 1).models) == ""


def test_the_three_ways_are_told_apart_without_colour() -> None:
    layers = variant_layers([dot(384), dot(128), dot(384, "int8"), dot(32, "binary")])
    assert len({tuple(layer["mark"]["strokeDash"]) for layer in layers}) == 3
    assert len({layer["mark"]["color"] for layer in layers}) == 1
    assert not any(layer["mark"]["strokeDash"] == [6, 4] for layer in layers), "the front's"


def test_a_line_is_drawn_in_the_order_of_its_stops() -> None:
    (layer,) = variant_layers([dot(256, mean=50.0), dot(64, mean=40.0), dot(128, mean=60.0)])
    assert layer["encoding"]["order"]["field"] == "step"
    assert [(at["step"], at["cost"], at["mean"]) for at in layer["data"]["values"]] == [
        (0, 64.0, 40.0), (1, 128.0, 60.0), (2, 256.0, 50.0),
    ]  # fmt: skip
