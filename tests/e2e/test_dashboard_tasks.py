"""The pages "Tasks" and "Cost" in a real browser: from the map to one item, and from a slider to a size.

With BENCHKIT_SCREENSHOTS=folder, pictures of both pages are left there, narrow and wide, light and dark.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comparisons
import numpy as np
import pytest

from benchkit.report.charts.base import DARK, LIGHT
from benchkit.report.json_form import render_json
from benchkit.store.cost_samples import write_cost_samples
from benchkit.store.items import read_items, write_items
from benchkit.store.tags import read_tags, write_tags
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostSamples, Sample
from benchkit.types.result import CellResult, ItemScores
from benchkit.types.tags import ItemTags, KeptTags
from tests.e2e.browser import Dashboard, View, browsing, served, view

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TASK = "XQuADRetrieval"
SIZES = ((390, 844), (1280, 800), (1920, 1080))


def kept(
    project: Path,
    comparison: Comparison,
    *,
    values: dict[str, list[float]],
    names_of_items: tuple[str, ...] = ("q7", "q8", "q9"),
) -> Path:
    """Put a finished comparison with its items and timed calls where benchkit keeps them."""
    folder = project / "mlruns" / "results" / "20261121T120000-both"
    folder.mkdir(parents=True)
    names = [meta.name for meta in comparison.models]
    items = np.array(names_of_items)
    cells = [
        CellResult(name, TASK, "Retrieval", "ok", items=(_part(items, scores),)) for name, scores in values.items()
    ]
    if cells:
        write_items(folder / "items.parquet", cells)
    calls = tuple(
        Sample(name, 0, "query", number, number, 1, 4 + number % 9, 9, (place + 1) * (2 + number / 30) / 1e3, 0.002)
        for place, name in enumerate(names)
        for number in range(60)
    )
    write_cost_samples(folder / "costs.parquet", CostSamples(tuple(names), calls, ()))
    (folder / "result.json").write_text(render_json(comparison), encoding="utf-8")
    return folder


def _part(items: Any, scores: list[float]) -> ItemScores:
    return ItemScores("test", "default", "mean", "ndcg_at_10", items, {"value": np.array(scores)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    comparison = comparisons.costed(comparisons.small())
    values = {"minilm": [0.0, 1.0, 0.2131], "tfidf": [0.0, 0.5, 1.0]}
    return kept(tmp_path_factory.mktemp("project"), comparison, values=values)


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[Dashboard]:
    with served(folder.parents[2]) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def button(seen: View, name: str, place: str = "") -> Any:
    within = seen.page.locator(f".st-key-{place}") if place else seen.page
    return within.get_by_role("button", name=name).first


def choose(seen: View, label: str, name: str) -> None:
    """Choose a name in a selectbox."""
    seen.page.get_by_role("combobox", name=label, exact=True).click()
    seen.page.get_by_role("option", name=name, exact=True).click()
    seen.settle()


# ---------------------------------------------------------------- tasks


def test_a_click_on_the_map_opens_its_task_and_its_model(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open("tasks")
        chart = seen.page.locator('[data-testid="stVegaLiteChart"]').first
        cell = chart.locator('path[aria-label^="tfidf on STSBenchmark"]')
        seen.again_until(lambda: cell.click(force=True), lambda: "task=STSBenchmark" in seen.page.url)
        assert "model=tfidf" in seen.page.url
        assert seen.page.get_by_role("combobox", name="Task", exact=True).input_value() == "STSBenchmark"
        # The mark of the click stays, and another choice counts all the same.
        choose(seen, "Task", TASK)
        assert seen.page.get_by_role("combobox", name="Task", exact=True).input_value() == TASK


def test_two_answers_to_a_picked_item_stand_side_by_side(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open(f"tasks?task={TASK}&model=minilm&against=tfidf")
        item = seen.page.locator(".st-key-tasks-item")
        assert "Item q9" in item.inner_text(), "on which the two differ most"
        assert "嵌入模型把文本变成向量" in item.inner_text()
        grid = seen.page.locator('.st-key-tasks-items [data-testid="stDataFrame"]')
        # The box of the third row; cells are drawn and are no elements.
        third = {"x": 16, "y": 35 + 2 * 35 + 17}

        def click() -> None:
            grid.scroll_into_view_if_needed()
            grid.click(position=third)

        seen.again_until(click, lambda: "Item q7" in item.inner_text())
        assert "item=q7" in seen.page.url
        left, right = item.locator('[data-testid="stColumn"]').all_inner_texts()
        assert "minilm: 0.000" in left
        assert "A history of wine" in left
        assert "tfidf: 0.000" in right


def test_scores_of_a_task_are_downloaded_as_the_report_has_them(
    browser: Browser, dashboard: Dashboard, folder: Path
) -> None:
    with view(browser, dashboard) as seen:
        seen.open(f"tasks?task={TASK}")
        download = seen.page.locator('.st-key-tasks-scores-csv [data-testid="stDownloadButton"] button')
        found = {row["model"]: row for row in rows(seen.download(download))}
    cells = {cell["model"]: cell for cell in result(folder)["cells"] if cell["task"] == TASK}
    assert {model: float(row["main_score"]) for model, row in found.items()} == {
        model: cell["main_score"] for model, cell in cells.items()
    }
    assert float(found["minilm"]["low"]) == cells["minilm"]["ci_low"]


def sliced(folder: Path, tag: str) -> dict[tuple[str, str], float]:
    """Return the points of each model on each value of a tag, from the files beside the result alone."""
    (tags,) = read_tags(folder / "tags.parquet")
    ((part, named),) = tags.tags.parts.items()
    value_of = dict(zip(tags.items[part], named[tag], strict=True))
    found: dict[tuple[str, str], list[float]] = {}
    for (model, _), (scores,) in read_items(folder / "items.parquet").items():
        for item, score in zip(scores.items, scores.columns["value"], strict=True):
            found.setdefault((model, value_of[item]), []).append(score)
    return {place: 100 * sum(scores) / len(scores) for place, scores in found.items()}


def test_a_task_is_cut_by_a_tag_and_a_mark_says_the_score_of_its_items(browser: Browser, tmp_path: Path) -> None:
    items = tuple(f"q{number}" for number in range(9))
    values = {"minilm": [0.0, 1.0, 0.2131, 0.5, 1.0, 0.0, 0.3869, 1.0, 0.0], "tfidf": [0.0, 0.5, 1.0] * 3}
    folder = kept(tmp_path, comparisons.small(), values=values, names_of_items=items)
    topics = ("heating", "billing", "heating", "heating", "billing", "heating", "billing", "billing", "heating")
    tags = ItemTags({"test/default": {"topic": topics}}, ())
    write_tags(folder / "tags.parquet", [KeptTags(TASK, {"test/default": items}, tags)])
    expected = sliced(folder, "topic")
    assert len({round(points, 1) for points in expected.values()}) == len(expected), "none is taken for another"

    with served(tmp_path) as running, view(browser, running) as seen:
        seen.open(f"tasks?task={TASK}&model=tfidf&against=minilm")
        control = seen.page.locator(".st-key-tasks-slices-by")
        assert control.get_by_role("radio", name="by split and subset").is_checked()
        control.get_by_role("radio", name="by topic").click()
        seen.page.wait_for_url(re.compile("slices=topic"))
        for (model, topic), points in expected.items():
            mark = seen.page.locator(f'path[aria-label^="{model} on {topic}: {points:.1f}"]')
            mark.wait_for()
        seen.settle()
        # The last one as a reader sees it: the words beside the pointer.
        mark.hover()
        tooltip = seen.page.locator("#vg-tooltip-element")
        tooltip.get_by_text(f"{model} on {topic}: {points:.1f}").wait_for()

        table = rows(seen.download(seen.page.locator(".st-key-tasks-tag-rows-csv button")))
    assert {(row["model"], row["slice"]): float(row["points"]) for row in table} == pytest.approx(expected)
    changes = {row["slice"]: float(row["change"]) for row in table if row["model"] == "tfidf"}
    assert changes == {
        topic: pytest.approx(expected["tfidf", topic] - expected["minilm", topic]) for topic in ("heating", "billing")
    }


# ---------------------------------------------------------------- cost


def test_the_slider_of_documents_changes_the_sizes_and_the_address(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open("cost")
        charts = seen.page.locator('[data-testid="stVegaLiteChart"]')
        charts.nth(1).wait_for()
        assert charts.count() == 2, "those of latency"
        seen.page.get_by_role("radio", name="index size").click()
        slider = seen.page.locator(".st-key-cost-documents").get_by_role("slider")
        charts.and_(seen.page.locator('[aria-label*="minilm: 1.43 GiB"]')).wait_for()
        seen.settle()
        slider.press("ArrowRight")
        charts.and_(seen.page.locator('[aria-label*="minilm: 2.86 GiB"]')).wait_for()
        seen.page.wait_for_url(re.compile("documents=2000000"))
        assert "costs=index" in seen.page.url


def test_timed_calls_and_figures_are_downloaded_as_they_were_kept(
    browser: Browser, dashboard: Dashboard, folder: Path
) -> None:
    with view(browser, dashboard) as seen:
        seen.open("cost")
        calls = rows(seen.download(button(seen, "All 180 timed calls")))
        figures = rows(seen.download(button(seen, "All figures")))
    assert len(calls) == 180
    assert float(calls[61]["wall_s"]) == 2 * (2 + 1 / 30) / 1e3
    expected = [(row["model"], row["metric"], row["value"]) for row in result(folder)["cost"]]
    assert [(row["model"], row["metric"], float(row["value"])) for row in figures] == expected


def test_no_page_makes_anything_of_hostile_names(browser: Browser, tmp_path: Path) -> None:
    hostile = comparisons.hostile_costs()
    long = replace(hostile, warnings=("x" * 10**6,))
    project = kept(tmp_path, long, values={}).parents[2]
    with served(project) as running, view(browser, running) as seen:
        seen.open("tasks")
        for page in ("Tasks", "Cost"):
            seen.go_to(page)
            main = seen.page.locator('[data-testid="stMain"]')
            assert main.locator('a[href^="javascript"], script, img, .katex').count() == 0
            assert len(seen.text()) < 200_000


# ---------------------------------------------------------------- looks


def _lightness(seen: View) -> float:
    """Return how light the ground of the page is, 0 to 1."""
    colour = seen.page.locator('[data-testid="stApp"]').evaluate("found => getComputedStyle(found).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / (3 * 255)


# Sizes in which a page is opened and then made wider or narrower, as a window is and a phone that is turned.
@pytest.mark.parametrize(
    ("dark", "sizes"), [(False, SIZES), (True, (SIZES[1], SIZES[2], SIZES[0]))], ids=["light", "dark"]
)
def test_pages_fit_the_window_and_their_charts_are_drawn(
    browser: Browser, dashboard: Dashboard, sizes: tuple[tuple[int, int], ...], dark: bool
) -> None:
    theme = DARK if dark else LIGHT
    with view(browser, dashboard, size=sizes[0], dark=dark) as seen:
        for page, n_charts in (("tasks", 2), ("cost?costs=throughput", 3), ("cost?costs=index", 1)):
            for size in sizes:
                seen.resize(size)
                if size == sizes[0]:
                    seen.open(page)
                drawn = seen.page.locator('[data-testid="stVegaLiteChart"] svg.marks')
                drawn.nth(n_charts - 1).wait_for()
                assert drawn.count() == n_charts
                # What sticks out of a page is scrolled to within it: the document itself is never wider.
                assert seen.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= size[0]
                texts = drawn.first.locator(".mark-text text").evaluate_all("all => all.map(one => one.textContent)")
                assert "68.0" in texts or page != "tasks"
                ink = drawn.nth(n_charts - 1).locator(".mark-text text").first.get_attribute("fill")
                assert ink in (theme.ink, theme.faint)
                assert (_lightness(seen) < 0.5) == dark, "the ground is of the theme that the texts are of"
                if folder := os.environ.get("BENCHKIT_SCREENSHOTS"):
                    name = f"{page}-{size[0]}x{size[1]}-{'dark' if dark else 'light'}.png"
                    seen.page.screenshot(path=Path(folder) / name)
