"""The page: closed to the outside, nothing of the data becomes HTML, every text can be read back from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from comparisons import (
    HOSTILE_NAMES,
    HOSTILE_TASK,
    HOSTILE_TEXT,
    SESSION_WORDS,
    cell,
    costed,
    grid,
    hostile,
    hostile_costs,
    small,
    three,
)
from html_page import HtmlPage, assert_asks_for_nothing

from benchkit.report import verdict_words, warning_words, words
from benchkit.report.charts.heat import HEAT
from benchkit.report.html import render_html
from benchkit.types.comparison import Interval, Recommendation
from benchkit.types.cost import Budget, ModelCost

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "span", "p", "h1", "h2", "ul",
    "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "pre",
    "svg", "desc", "g", "line", "path", "text",
}  # fmt: skip
PAGES = {
    "small": small(),
    "hostile": hostile(),
    "three": three(baseline="tfidf"),
    "one": grid(1, 1),
    "many": grid(12, 41),
    "costs": costed(small(), budget=Budget(max_p95_ms=20.0)),
    "hostile costs": hostile_costs(),
    "many costs": costed(grid(12, 41)),
}


@cache
def rendered(name: str) -> str:
    """Return one of the pages; a big one takes a second."""
    return render_html(PAGES[name])


def without_pictures(source: str) -> str:
    """Return a page without its drawings, which have golden specifications of their own."""
    return re.sub('(<svg class="chart").*?(</svg>)', r"\1>\2", source, flags=re.DOTALL)


def test_the_page_looks_as_it_did(check_golden: Callable[[str, str], None]) -> None:
    check_golden("tests/golden/report/small.html", without_pictures(rendered("small")))


def test_the_page_with_costs_looks_as_it_did(check_golden: Callable[[str, str], None]) -> None:
    check_golden("tests/golden/report/costs.html", without_pictures(rendered("costs")))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_has_no_element_that_could_act(name: str) -> None:
    page = HtmlPage(rendered(name))
    assert page.tags <= ALLOWED
    keys = {key for _, key, _ in page.attributes}
    assert not {key for key in keys if key.startswith("on") or key in ("src", "href", "style", "srcset", "action")}
    ids = [value for _, key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    references = [value for _, key, value in page.attributes if key == "aria-labelledby"]
    assert set(" ".join(references).split()) <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_from_elsewhere(name: str) -> None:
    assert_asks_for_nothing(rendered(name))


@pytest.mark.parametrize("name", ["hostile", "hostile costs"])
def test_hostile_texts_are_read_back_as_they_are(name: str) -> None:
    page = HtmlPage(rendered(name))
    for text in (*HOSTILE_NAMES, HOSTILE_TASK, HOSTILE_TEXT):
        assert any(words.plain(text) in found for found in page.texts), text
    assert not any(sign in found for found in page.texts for sign in "\x1b\x00\u202e")


def test_every_picture_comes_for_a_page_and_for_a_phone() -> None:
    source = rendered("costs")
    for name in ("quality-latency", "quality-bytes", "forest", "task-differences"):
        assert source.count(f'id="{name}-title"') == 1
        assert source.count(f'id="{name}-350-title"') == 1
    assert source.count('<div class="wide">') == source.count('<div class="narrow">') == 4


def test_the_differences_by_task_are_a_picture_against_the_model_of_the_forest() -> None:
    source = rendered("small")
    assert "Differences from minilm by task" in source
    assert "Points against minilm. Blue is better" in source
    assert "task-differences" not in render_html(three())  # one task: the mean says it all
    assert "task-differences" not in render_html(replace(small(), recommendation=Recommendation(None, "none")))


def test_models_without_a_place_are_named_below_the_picture() -> None:
    assert "Not in the picture: tfidf: 45.9 (43.6–48.2), it has no vectors of one size" in rendered("small")


def test_the_colours_of_the_table_are_those_of_the_picture() -> None:
    grounds = re.findall(r"\.heat\d \{ background: (#\w{6})", rendered("small"))
    assert tuple(grounds) == HEAT


def test_the_verdict_comes_before_every_table_and_the_warnings_next() -> None:
    source = rendered("small")
    assert source.index('class="take"') < source.index('class="warnings"') < source.index("<table")
    assert verdict_words.verdict_sentence(small()) in HtmlPage(source).texts
    assert set(warning_words.warnings(small())) <= set(HtmlPage(source).texts)


def test_every_score_and_interval_is_in_the_map() -> None:
    texts = HtmlPage(rendered("many")).texts
    for scored in grid(12, 41).cells:
        assert words.points(scored.result.main_score) in texts
        assert words.span(scored.interval) in texts


def test_a_darker_ground_is_a_higher_score_and_never_the_only_sign() -> None:
    scores = [0.31, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    cells = tuple(cell(f"m{place}", "T", "STS", score) for place, score in enumerate(scores))
    base = grid(len(scores), 1)
    names = [f"m{place}" for place in range(len(scores))]
    models = tuple(replace(meta, name=name) for meta, name in zip(base.models, names, strict=True))
    rows = tuple(replace(row, model=name) for row, name in zip(base.summary, names, strict=True))
    source = render_html(
        replace(base, cells=cells, models=models, summary=rows, recommendation=Recommendation("m0", ""))
    )
    steps = re.findall(r'<td class="heat(\d)">([\d.]+)<', source)
    assert [float(text) for _, text in steps] == [31.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    assert [int(step) for step, _ in steps] == [0, 1, 2, 4, 5, 6, 7]


def test_a_small_spread_of_scores_does_not_fill_the_colour_scale() -> None:
    cells = tuple(
        replace(scored, result=replace(scored.result, main_score=0.61 + 0.001 * place))
        for place, scored in enumerate(grid(3, 1).cells)
    )
    assert set(re.findall(r'<td class="heat(\d)"', render_html(replace(grid(3, 1), cells=cells)))) == {"2"}


def test_every_ink_of_the_map_can_be_read_and_lightness_falls() -> None:
    source = rendered("small")
    steps = re.findall(r"\.heat\d \{ background: (#\w{6}); color: (#\w{6}); \}", source)
    grounds = [_luminance(ground) for ground, _ in steps]
    assert len(steps) == 8
    assert grounds == sorted(grounds, reverse=True)
    for ground, ink in steps:
        light, dark = sorted((_luminance(ground), _luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_failed_cell_says_why_and_has_no_colour() -> None:
    assert '<td class="absent" title="out of memory">failed</td>' in rendered("small")
    assert '<td class="absent" title="it has no Chinese vocabulary">–</td>' in rendered("small")


def test_many_tasks_are_folded_up_and_few_are_not() -> None:
    assert "<details open>\n<summary>Against model-0, by task" in render_html(grid(3, 12))
    assert "<details>\n<summary>Against model-0, by task" in render_html(grid(3, 13))


def test_texts_find_their_own_direction() -> None:
    assert '<td class="text" dir="auto">什么是嵌入模型</td>' in rendered("small")


def test_what_is_not_known_is_left_out_or_a_dash() -> None:
    bare = replace(small(), models=(), cells=(), summary=(), pairs=(), warnings=(), baseline=None)
    source = render_html(replace(bare, recommendation=Recommendation(None, "there are no models")))
    assert "No recommendation: there are no models." in source
    assert "<svg" not in source
    assert "Where each model did worst" not in source


def test_negative_correlations_have_a_place_on_the_colour_scale() -> None:
    cells = (cell("model-0", "T", "STS", -0.31), cell("model-1", "T", "STS", 0.2))
    source = render_html(replace(grid(2, 1), cells=cells))
    assert re.findall(r'<td class="heat(\d)">(-?[\d.]+)<span class="small">([^<]*)', source) == [
        ("1", "-31.0", "-33.0 to -29.0"),
        ("7", "20.0", words.span(Interval(0.18, 0.22))),
    ]


# --- costs


def test_every_figure_interval_and_ratio_of_cost_is_on_the_page() -> None:
    comparison = costed(three())
    assert comparison.cost is not None
    texts = HtmlPage(render_html(comparison)).texts
    for model in comparison.cost.models:
        for found in model.figures:
            assert found.metric in texts
            assert words.figure(found) in texts
            assert words.figure_span(found) in texts
    for ratio in comparison.cost.ratios:
        assert {words.ratio(ratio.ratio), words.ratio_span(ratio), ratio.verdict} <= set(texts)
    assert SESSION_WORDS in texts


def test_models_on_the_front_and_over_the_budget_have_a_word_and_not_only_a_colour() -> None:
    source = render_html(costed(three(), budget=Budget(max_p95_ms=20.0)))
    tags = re.findall(r'<th scope="row">(\w+)((?: <span class="tag">[\w ]+</span>)+)', source)
    assert [(name, re.findall(">([^< ][^<]*)<", text)) for name, text in tags] == [
        ("minilm", ["recommended", "Pareto"]), ("mpnet", ["Pareto"]), ("tfidf", ["breaks the budget"]),
    ]  # fmt: skip
    assert re.findall(r'<tr class="(\w+)"><th scope="row">(\w+)', source) == [("taken", "minilm"), ("over", "tfidf")]
    assert "<p>Budget: p95 latency up to 20 ms.</p>" in source
    assert "<li>tfidf breaks the budget: its p95 latency of" in source
    assert "<p>Every model keeps it.</p>" in render_html(costed(three(), budget=Budget(max_p95_ms=99.0)))


def test_the_picture_is_against_latency_where_it_was_measured_and_against_bytes_too() -> None:
    source = render_html(costed(three()))
    assert source.index('id="quality-latency-title"') < source.index('id="quality-bytes-title"')
    assert "quality-latency" not in render_html(three())
    failed = (ModelCost("minilm", "failed", reason="crashed"),)
    assert "quality-latency" not in render_html(costed(three(), models=failed))


def test_without_costs_there_is_no_word_of_them() -> None:
    page = render_html(three()).split("</style>")[1]
    assert not [word for word in ("Costs", "Pareto", "udget", "p95") if word in page]
    bare = render_html(costed(three(), models=(), ratios=()))
    assert "All figures" not in bare
    assert "Paired latency" not in bare


def test_the_engine_of_each_model_is_told() -> None:
    models = (replace(three().models[0], engine="packed-bf16"), *three().models[1:])
    assert "<td>float32</td><td>packed-bf16</td>" in render_html(replace(three(), models=models))
