"""The pictures: well-formed, everything at its place on the axis, labels apart, names of the data escaped."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from comparisons import HOSTILE_NAMES, cost_report, costed, grid, hostile, hostile_costs, small, three

from benchkit.report import pictures, words
from benchkit.types.comparison import Comparison, Interval, Recommendation
from benchkit.types.cost import Budget, CostFigure, ModelCost

LONG = ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2@dim=128,precision=int8", "很长的中文模型名称" * 5)


def parsed(source: str) -> ElementTree.Element:
    return ElementTree.fromstring(source)


def dots(source: str) -> dict[str, tuple[float, float]]:
    """Return the centre of each mark by the title that a reader sees on it."""
    found = {}
    for mark in parsed(source).iter():
        title = mark.find("title")
        if mark.tag == "circle" and title is not None:
            found[str(title.text)] = (float(mark.attrib["cx"]), float(mark.attrib["cy"]))
        elif mark.tag == "polygon" and title is not None:
            corners = [tuple(map(float, corner.split(","))) for corner in mark.attrib["points"].split()]
            found[str(title.text)] = (corners[0][0], corners[1][1])
    return found


def ticks(source: str, y: float) -> dict[float, float]:
    """Return where the numbers below an axis stand."""
    texts = [text for text in parsed(source).iter("text") if text.get("class") == "tick"]
    return {
        float(str(text.text)): float(text.attrib["x"])
        for text in texts
        if text.attrib["y"] == f"{y:g}" and re.fullmatch(r"[+-]?[\d.]+", str(text.text))
    }


@pytest.mark.parametrize(
    "comparison",
    [small(), hostile(), three(), grid(12, 3, names=LONG), grid(1, 1), costed(grid(12, 3)), hostile_costs()],
)
def test_a_picture_is_well_formed_and_told_in_words(comparison: Comparison) -> None:
    drawn = (pictures.quality_cost(comparison), pictures.quality_latency(comparison), pictures.forest(comparison))
    for source in filter(None, drawn):
        root = parsed(source)
        assert root.attrib["role"] == "img"
        spoken = root.attrib["aria-labelledby"].split()
        assert [child.attrib["id"] for child in list(root)[:2]] == spoken
        assert all(child.text for child in list(root)[:2])


def test_names_of_the_data_stay_text() -> None:
    root = parsed(pictures.quality_cost(hostile()))
    assert {element.tag for element in root.iter()} == {
        "svg", "title", "desc", "line", "text", "circle", "polygon",
    }  # fmt: skip
    titles = [title.text for title in root.iter("title")]
    assert words.plain(HOSTILE_NAMES[0]) in titles


def test_twice_the_bytes_are_the_same_step_anywhere() -> None:
    sizes = (256, 512, 4096, 8192)
    base = grid(4, 1)
    models = tuple(replace(meta, bytes_per_vector=size) for meta, size in zip(base.models, sizes, strict=True))
    found = dots(pictures.quality_cost(replace(base, models=models)))
    x = [centre[0] for _, centre in sorted(found.items())]
    assert x[1] - x[0] == pytest.approx(x[3] - x[2], abs=0.11)  # pixels, written with one decimal
    assert x[2] - x[1] == pytest.approx(3 * (x[1] - x[0]), abs=0.3)


def test_a_higher_mean_stands_higher_in_proportion() -> None:
    base = grid(3, 1)
    rows = tuple(
        replace(row, mean_score=mean, interval=None) for row, mean in zip(base.summary, (0.5, 0.6, 0.8), strict=True)
    )
    found = dots(pictures.quality_cost(replace(base, summary=rows)))
    y = [centre[1] for _, centre in sorted(found.items())]
    assert y[1] - y[2] == pytest.approx(2 * (y[0] - y[1]), abs=0.3)
    assert y[0] > y[1] > y[2]


def test_an_error_bar_reaches_to_the_ends_of_its_interval() -> None:
    base = grid(1, 1)
    row = replace(base.summary[0], mean_score=0.6, interval=Interval(0.5, 0.7))
    source = pictures.quality_cost(replace(base, summary=(row,)))
    ((_, middle),) = dots(source).values()
    bar = next(line for line in parsed(source).iter("line") if line.get("class") == "whisker")
    low, high = float(bar.attrib["y1"]), float(bar.attrib["y2"])
    assert low - middle == pytest.approx(middle - high, abs=0.11)
    assert low > middle > high
    grid_lines = {
        str(text.text): float(text.attrib["y"]) - 4
        for text in parsed(source).iter("text")
        if text.get("class") == "tick" and text.attrib["text-anchor"] == "end"
    }
    assert grid_lines["50"] == pytest.approx(low, abs=0.11)
    assert grid_lines["70"] == pytest.approx(high, abs=0.11)


def test_models_of_one_size_stand_side_by_side() -> None:
    base = grid(5, 1)
    models = tuple(replace(meta, bytes_per_vector=1536) for meta in base.models)
    x = sorted(centre[0] for centre in dots(pictures.quality_cost(replace(base, models=models))).values())
    assert [second - first for first, second in itertools.pairwise(x)] == pytest.approx([11.0] * 4)


@pytest.mark.parametrize("n_models", [2, 6, 12])
@pytest.mark.parametrize("crowded", [False, True])
def test_no_two_labels_cover_each_other_or_leave_the_picture(n_models: int, crowded: bool) -> None:
    base = grid(n_models, 1, names=LONG)
    if crowded:  # one size, and means closer to each other than the height of a label
        models = tuple(replace(meta, bytes_per_vector=1536) for meta in base.models)
        rows = tuple(replace(row, mean_score=0.6 + place / 1000) for place, row in enumerate(base.summary))
        base = replace(base, models=models, summary=rows)
    boxes = []
    for text in parsed(pictures.quality_cost(base)).iter("text"):
        if "halo" in text.attrib["class"]:
            label = (text.find("title").tail or "").strip()  # type: ignore[union-attr]
            width = pictures._cells(label) * 7.2
            left = float(text.attrib["x"]) - (width if text.attrib["text-anchor"] == "end" else 0)
            boxes.append((left, float(text.attrib["y"]), left + width))
    placed = sum(meta.bytes_per_vector is not None for meta in base.models)
    assert len(boxes) == placed
    assert all(left >= 0 and right <= 860 for left, _, right in boxes)
    for one, other in itertools.combinations(boxes, 2):
        assert abs(one[1] - other[1]) >= 12 or one[2] <= other[0] or other[2] <= one[0]


def test_models_without_a_size_or_a_mean_are_named_beside_the_picture() -> None:
    assert pictures.without_place(small()) == ["tfidf: 45.9 (43.6–48.2)", "小模型: no mean score"]
    assert pictures.without_place(grid(3, 1)) == []


def test_without_anything_to_draw_there_is_no_picture() -> None:
    lexical = replace(three(), models=tuple(replace(meta, bytes_per_vector=None) for meta in three().models))
    assert pictures.quality_cost(lexical) == ""
    assert pictures.forest(replace(three(), pairs=())) == ""
    assert pictures.forest(replace(three(), recommendation=Recommendation(None, "x"))) == ""
    unfound = tuple(replace(pair, delta=None, interval=None) for pair in three().pairs)
    assert pictures.forest(replace(three(), pairs=unfound)) == ""


def test_a_difference_stands_at_its_value_and_on_its_side() -> None:
    source = pictures.forest(three(("better", "worse", "better")))
    axis = ticks(source, 96)  # two rows of 30 px, 16 above, 20 below
    assert len(axis) >= 3
    (low, at_low), (high, at_high) = min(axis.items()), max(axis.items())
    found = {title: x for title, (x, _) in dots(source).items()}
    for text, delta in (("-4.1 (-6.0 to -2.2) worse", -4.1), ("+4.1 (+2.2 to +6.0) better", 4.1)):
        assert found[text] == pytest.approx(at_low + (delta - low) / (high - low) * (at_high - at_low), abs=0.2)


def test_the_shape_tells_the_verdict_without_the_colour() -> None:
    source = pictures.forest(three(("same", "inconclusive", "better")))
    kinds = [(mark.tag, mark.get("class")) for mark in parsed(source).iter() if "mark" in (mark.get("class") or "")]
    assert kinds == [("circle", "mark open"), ("rect", "mark")]
    source = pictures.forest(three(("better", "worse", "better")))
    kinds = [(mark.tag, mark.get("class")) for mark in parsed(source).iter() if "mark" in (mark.get("class") or "")]
    assert kinds == [("circle", "mark")] * 2


def test_without_a_margin_there_is_no_band() -> None:
    assert 'class="band"' in pictures.forest(three())
    assert 'class="band"' not in pictures.forest(replace(three(), margin=0.0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.02, 0.03), (0.5991, 0.6012), (-1.0, -0.2), (0.0, 0.004)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = pictures._ticks(low, high, 6)
    assert 2 <= len(found) <= 7
    assert all(low <= value <= high for value in found)
    step = found[1] - found[0]
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9)) in (1, 2, 5)


def test_a_long_name_is_cut_in_the_middle_and_whole_in_its_title() -> None:
    assert pictures._short("a" * 30) == "a" * 30
    assert pictures._short(LONG[0]) == "sentence-trans…,precision=int8"
    assert pictures._cells(pictures._short(LONG[1])) <= 30
    titles = [title.text for title in parsed(pictures.quality_cost(grid(2, 1, names=LONG))).iter("title")]
    assert LONG[0] in titles


# --- quality and latency


def with_p95(*costs: tuple[float, float | None, float | None], means: tuple[float, ...] = ()) -> Comparison:
    """Return models with these p95 latencies and intervals."""
    base = grid(len(costs), 1)
    figures = [
        CostFigure(meta.name, words.P95, *cost[:1], "ms", 9, *cost[1:])
        for meta, cost in zip(base.models, costs, strict=True)
    ]
    models = tuple(ModelCost(figure.model, "ok", (figure,)) for figure in figures)
    rows = [
        replace(row, mean_score=mean, interval=None)
        for row, mean in zip(base.summary, means or [row.mean_score or 0 for row in base.summary], strict=True)
    ]
    return replace(base, summary=tuple(rows), cost=cost_report(["x"], models=models, ratios=()))


def lines_of(source: str, kind: str) -> list[tuple[float, float, float, float]]:
    found = [line for line in parsed(source).iter("line") if line.get("class") == kind]
    return [tuple(float(line.attrib[key]) for key in ("x1", "y1", "x2", "y2")) for line in found]  # type: ignore[misc]


def test_twice_the_latency_is_the_same_step_anywhere() -> None:
    source = pictures.quality_latency(with_p95(*((cost, None, None) for cost in (1.0, 2.0, 16.0, 32.0))))
    x = [centre[0] for _, centre in sorted(dots(source).items())]
    assert x[1] - x[0] == pytest.approx(x[3] - x[2], abs=0.11)
    assert x[2] - x[1] == pytest.approx(3 * (x[1] - x[0]), abs=0.3)


def test_a_latency_stands_over_its_number_and_its_bar_reaches_to_the_ends_of_its_interval() -> None:
    source = pictures.quality_latency(with_p95((20.0, 10.0, 50.0)))
    at = {
        str(text.text): float(text.attrib["x"])
        for text in parsed(source).iter("text")
        if text.get("class") == "tick" and str(text.text).endswith(" ms")
    }
    ((centre, _),) = dots(source).values()
    bar = next(line for line in lines_of(source, "whisker") if line[1] == line[3] and line[2] - line[0] > 10)
    assert (bar[0], centre, bar[2]) == pytest.approx((at["10 ms"], at["20 ms"], at["50 ms"]), abs=0.11)


def test_an_interval_that_reaches_nothing_has_no_bar_on_a_logarithmic_axis() -> None:
    assert lines_of(pictures.quality_latency(with_p95((20.0, 0.0, 50.0))), "whisker") == []


def test_the_front_is_a_stair_over_the_models_that_none_beats() -> None:
    # cheap and weak, dear and strong; the third is dearer and weaker than the first, the last as good and dearer.
    costs = ((1.0, None, None), (8.0, None, None), (2.0, None, None), (64.0, None, None))
    source = pictures.quality_latency(with_p95(*costs, means=(0.5, 0.7, 0.4, 0.7)))
    places = [centre for _, centre in sorted(dots(source).items())]
    (first_x, first_y), (second_x, second_y) = places[0], places[1]
    assert lines_of(source, "front") == [
        (first_x, first_y, second_x, first_y),
        (second_x, first_y, second_x, second_y),
        (second_x, second_y, 836.0, second_y),
    ]
    assert "On the front: model-0 and model-1." in source


def test_the_limit_is_a_line_and_a_model_over_the_budget_an_open_mark() -> None:
    comparison = replace(with_p95((10.0, None, None), (40.0, None, None)), budget=Budget(max_p95_ms=20.0))
    source = pictures.quality_latency(comparison)
    ((at, _, end, _),) = lines_of(source, "limit")
    x = {title.split(":")[0]: place for title, (place, _) in dots(source).items()}
    assert at == end == pytest.approx((x["model-0"] + x["model-1"]) / 2, abs=0.11)
    kinds = {mark.find("title").text.split(":")[0]: mark.get("class") for mark in parsed(source).iter("circle")}  # type: ignore[union-attr]
    assert kinds == {"model-1": "mark open"}  # model-0 is recommended, a diamond
    assert "limit 20 ms" in source
    assert "breaks the budget" in source
    assert lines_of(pictures.quality_latency(with_p95((10.0, None, None))), "limit") == []


@pytest.mark.parametrize("limit", [0.01, 1.0, 10.0, 1e6])
def test_the_limit_and_its_name_are_inside_the_picture_wherever_it_is(limit: float) -> None:
    source = pictures.quality_latency(replace(with_p95((10.0, None, None)), budget=Budget(max_p95_ms=limit)))
    ((at, *_),) = lines_of(source, "limit")
    name = next(text for text in parsed(source).iter("text") if str(text.text).startswith("limit"))
    width = pictures._cells(str(name.text)) * 7.2
    left = float(name.attrib["x"]) - (width if name.attrib["text-anchor"] == "end" else 0)
    assert 56 <= at <= 836
    assert left >= 56
    assert left + width <= 836


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
    assert pictures._round_ticks(math.log2(low), math.log2(high)) == pytest.approx(found)


def test_every_axis_of_latency_has_a_tick() -> None:
    for place in range(400):
        axis = pictures._cost_axis([10 ** (place / 100)])
        assert len(pictures._round_ticks(axis.low, axis.high)) >= 1


def test_models_without_a_latency_are_named_beside_the_picture_and_without_any_there_is_none() -> None:
    failed = (*costed(three()).cost.models[:1], ModelCost("mpnet", "failed", reason="x"))  # type: ignore[union-attr]
    comparison = costed(three(), models=failed)
    assert pictures.without_latency(comparison) == ["mpnet: 60.1 (57.8–62.4)", "tfidf: 57.1 (54.8–59.4)"]
    assert pictures.quality_latency(three()) == ""
    assert pictures.quality_latency(costed(three(), models=failed[1:])) == ""
    assert pictures.quality_latency(with_p95((0.0, None, None))) == ""
