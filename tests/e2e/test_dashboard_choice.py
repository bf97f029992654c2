"""Verdict and Compare in a real browser: what the JSON says, what a slider changes, and how it looks.

With BENCHKIT_SCREENSHOTS=<folder>, pictures of both pages at three sizes, light and dark, are kept there.
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
from typing import TYPE_CHECKING

import boards
import drift_reports
import gates
import pytest

from benchkit.report.board_words import choice
from tests.e2e.browser import Dashboard, View, browsing, served, view

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = ((390, 844), (1280, 800), (1920, 1080))
SCREENSHOTS = "BENCHKIT_SCREENSHOTS"
_CHART = "[data-testid=stVegaLiteChart] :is(canvas, svg)"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which models were compared twice, a gate failed, and production drifts."""
    folder = tmp_path_factory.mktemp("project")
    mlruns = folder / "mlruns"
    boards.keep(mlruns, replace(boards.support(baseline=None), started="2026-11-20T12:00:00+00:00"), "older")
    boards.keep(mlruns, boards.support(), "newer")
    boards.keep_gate(mlruns, gates.failed())
    boards.keep_baseline(mlruns, replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00"))
    boards.keep_checks(mlruns, boards.windows(*["ok"] * 6, "warn", "warn"))
    return folder


@pytest.fixture(scope="module")
def dashboard(project: Path) -> Iterator[Dashboard]:
    with served(project) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


def headline(seen: View) -> str:
    return seen.page.locator(".st-key-answer h2").inner_text().replace("\u2060", "")


def test_the_first_screen_answers_both_questions_on_a_phone_too(
    project: Path, dashboard: Dashboard, browser: Browser
) -> None:
    document = json.loads((project / "mlruns/results/newer/result.json").read_text(encoding="utf-8"))
    phone, *windows = SIZES
    for sizes in ([phone], windows):
        with view(browser, dashboard, size=sizes[0]) as seen:
            seen.open()
            assert headline(seen).startswith(f"Use {document['recommendation']['model']}: ")
            assert headline(seen) == choice(boards.support()).sentence
            for size in sizes:
                seen.resize(size)
                box = seen.page.get_by_text("Production has drifted since 7 November 2026").bounding_box()
                assert box is not None
                assert box["y"] + box["height"] < size[1], "without scrolling"
                width = seen.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
                assert width <= size[0], "nothing sticks out on the right"


def test_a_slider_moved_by_keys_changes_the_choice_and_the_address(dashboard: Dashboard, browser: Browser) -> None:
    with view(browser, dashboard) as seen:
        seen.open()
        assert headline(seen).startswith("Use bge: ")
        thumb = seen.page.get_by_role("slider", name="p95 query latency")
        for _ in range(2):
            thumb.press("ArrowLeft")
        seen.page.wait_for_url(re.compile(r"\?p95_ms=23$"))
        seen.settle()
        assert headline(seen).startswith("With p95 latency up to 23 ms, use mpnet: +2.5 points")
        assert "bge breaks the budget: its p95 latency of 24.9 ms is over 23 ms." in seen.text()
        shared = seen.page.url

        with view(browser, dashboard) as other:
            other.page.goto(shared)
            other.settle()
            other.page.get_by_role("heading", name="use mpnet").wait_for()
            assert headline(other) == headline(seen), "a link shows the same"

        seen.page.get_by_role("button", name="Take the limits back").click()
        seen.page.wait_for_url(re.compile(r"\d/$"))
        seen.settle()
        assert headline(seen).startswith("Use bge: ")


def test_a_card_leads_to_its_page_with_the_same_limits(dashboard: Dashboard, browser: Browser) -> None:
    with view(browser, dashboard) as seen:
        seen.open("?p95_ms=20")
        seen.page.get_by_role("link", name="→ Compare the models").click()
        seen.page.wait_for_url(re.compile(r"/compare\?p95_ms=20$"))
        seen.settle()
        assert "Limits: p95 latency up to 20 ms." in seen.text()


def test_compare_chooses_comparison_cost_and_partner_and_gives_its_rows(
    project: Path, dashboard: Dashboard, browser: Browser
) -> None:
    with view(browser, dashboard) as seen:
        seen.open("compare?comparison=older")
        assert "Difference on the mean against bge" in seen.text()
        seen.page.get_by_role("radio", name="memory").click()
        seen.page.get_by_text("Mean score against peak memory").wait_for()
        seen.settle()
        partner = seen.page.get_by_role("combobox", name=re.compile("Compare with"))
        partner.click()
        partner.fill("minilm")
        seen.page.get_by_role("option", name="minilm").click()
        seen.page.wait_for_url(re.compile("against=minilm"))
        seen.page.get_by_text("Difference on the mean against minilm").wait_for()

        text = seen.download(seen.page.get_by_role("button", name="Differences"))
        document = json.loads((project / "mlruns/results/older/result.json").read_text(encoding="utf-8"))
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [float(row["delta"]) for row in rows] == [pair["delta"] for pair in document["pairs"]]
        whole = json.loads(seen.download(seen.page.get_by_role("button", name="All of it (JSON)")))
        assert whole == document


@pytest.mark.skipif(not os.environ.get(SCREENSHOTS), reason=f"{SCREENSHOTS} names no folder")
def test_pictures_for_a_person_to_look_at(dashboard: Dashboard, browser: Browser) -> None:
    folder = Path(os.environ[SCREENSHOTS])
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for dark in (False, True):
            with view(browser, dashboard, size=size, dark=dark) as seen:
                for name, path in (("verdict", "?p95_ms=23"), ("compare", "compare")):
                    seen.open(path)
                    seen.page.wait_for_selector(_CHART)
                    seen.page.wait_for_timeout(500)
                    seen.page.screenshot(path=folder / f"{name}-{size[0]}-{'dark' if dark else 'light'}.png")
