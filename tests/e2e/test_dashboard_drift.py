"""The pages Drift and History in a real browser: every way to a window and to a gate, and what is downloaded there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boards
import drift_reports
import gates
import pytest

from benchkit.report import gate_words
from benchkit.store.board import Board, open_board
from tests.e2e.browser import Dashboard, View, browsing, served, view

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = ((390, 844), (1280, 800), (1920, 1080))
ROW_PX, FIRST_ROW_PX = 35, 52


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A watch of 12 windows, the last one critical and with everything in it; two gates."""
    folder = tmp_path_factory.mktemp("project")
    mlruns = folder / "mlruns"
    boards.keep_baseline(mlruns, replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00"))
    windows = boards.windows(*["ok"] * 9, "warn", "ok")
    quiet = [replace(report, p_value=0.1 + 0.05 * place) for place, report in enumerate(windows)]
    last = replace(boards.windows("critical", first_day=12, report=drift_reports.full())[0], kind="model")
    boards.keep_checks(mlruns, [*quiet, last])
    for day, report in enumerate((gates.passed(), gates.failed()), start=3):
        started = f"2026-11-{day:02}T10:00:00+00:00"
        boards.keep_gate(mlruns, replace(report, started=started), f"202611{day:02}T100000-support-search")
    return folder


@pytest.fixture(scope="module")
def dashboard(project: Path) -> Iterator[Dashboard]:
    with served(project) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture
def store(project: Path) -> Board:
    return open_board(project / "mlruns", f"sqlite:///{project}/mlruns/mlflow.db")


def click_row(seen: View, table: str, row: int, *, until: Callable[[], bool]) -> None:
    """Tick a row of a table; its cells are a picture."""
    grid = seen.page.locator(f".st-key-{table} [data-testid='stDataFrame']")

    def click() -> None:
        grid.scroll_into_view_if_needed()
        grid.click(position={"x": 16, "y": FIRST_ROW_PX + ROW_PX * row})

    seen.again_until(click, until)


def click_critical(seen: View, *, until: Callable[[], bool]) -> None:
    """Click on the mark of the critical window in the time line."""
    marks = seen.page.locator("[class*='st-key-drift-timeline'] path[aria-roledescription='point']")
    seen.again_until(marks.and_(seen.page.locator("[aria-label*='CRITICAL']")).click, until)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def download(seen: View, key: str) -> str:
    return seen.download(seen.page.locator(f".st-key-{key} button"))


def report_of(seen: View) -> dict[str, Any]:
    return dict(json.loads(download(seen, "drift-json")))


def window_of(seen: View) -> str | None:
    found = re.search(r"[?&]window=(\d+)", seen.page.url)
    return found and found[1]


# ---------------------------------------------------------------- Drift


def test_the_newest_window_is_open_and_the_first_sentence_says_what_to_do(
    browser: Browser, dashboard: Dashboard
) -> None:
    with view(browser, dashboard) as seen:
        seen.open("drift")
        first = seen.page.locator('[data-testid="stAlert"]').first.inner_text().replace("\u2060", "")
        assert "Production has drifted since 12 November 2026: the model has changed (critical)" in first
        assert f"What to do: {drift_reports.full().advice}" in first
        assert report_of(seen)["severity"] == "critical"


def test_a_row_of_the_table_opens_its_window_and_the_buttons_and_the_way_back_go_on(
    browser: Browser, dashboard: Dashboard, store: Board
) -> None:
    keys = [row.key for row in store.checks("support")]
    with view(browser, dashboard) as seen:
        seen.open("drift?trend=windows")
        click_row(seen, "drift-windows", 2, until=lambda: window_of(seen) == str(keys[-3]))  # the newest first
        assert window_of(seen) == str(keys[-3])
        assert report_of(seen)["severity"] == "warn"
        assert "Window 2026-11-10 00:00 to 2026-11-10 23:00" in seen.text()

        seen.page.get_by_role("button", name="Next").click()
        seen.page.wait_for_url(re.compile(rf"window={keys[-2]}\b"))
        assert report_of(seen)["window"]["number"] == 11

        seen.page.get_by_role("button", name="Previous").click()
        seen.page.wait_for_url(re.compile(rf"window={keys[-3]}\b"))

        seen.page.go_back()
        seen.page.wait_for_function(f"location.search.includes('window={keys[-2]}')")
        seen.settle()
        assert report_of(seen)["window"]["number"] == 11, "the browser's way back opens what was open"


def test_a_click_on_the_time_line_opens_its_window_with_the_statistics_of_its_report(
    browser: Browser, dashboard: Dashboard, store: Board
) -> None:
    rows = store.checks("support")
    with view(browser, dashboard) as seen:
        seen.open(f"drift?baseline=support&window={rows[0].key}")
        assert report_of(seen)["window"]["number"] == 1
        click_critical(seen, until=lambda: window_of(seen) == str(rows[-1].key))
        assert window_of(seen) == str(rows[-1].key)
        report = report_of(seen)
        assert report == store.check(rows[-1].key)

        statistics = rows_of(download(seen, "drift-statistics-csv"))
        assert [(row["statistic"], float(row["value_number"]), float(row["p_value_number"])) for row in statistics] == [
            (found["name"], found["value"], found["p_value"]) for found in report["statistics"]
        ]
        assert seen.page.locator("[aria-label*='All together: p < 0.001']").count() >= 1


def test_the_table_of_windows_is_downloaded_as_the_store_has_it(
    browser: Browser, dashboard: Dashboard, store: Board
) -> None:
    with view(browser, dashboard) as seen:
        seen.open("drift?trend=windows")
        found = rows_of(download(seen, "drift-windows-csv"))
    kept = store.checks("support")[::-1]
    assert [(int(row["key"]), float(row["p_value"]), row["severity"], row["reason"]) for row in found] == [
        (row.key, row.p_value, row.severity, row.reason) for row in kept
    ]
    assert [row["identity"] for row in found][:2] == ["0.71234", ""], "absent is not 0"


# ---------------------------------------------------------------- History


def test_a_gate_is_opened_by_its_row_with_its_rules_and_what_it_lost(
    browser: Browser, dashboard: Dashboard, store: Board
) -> None:
    with view(browser, dashboard) as seen:
        seen.open("history")
        box = seen.page.locator(".st-key-opened-gate")
        assert gate_words.headline(gates.failed()) in box.inner_text().replace("\u2060", "")
        text = box.inner_text().replace("\u2060", "")
        assert "right: Grace Hopper wrote A-0 (0.83)" in text
        assert "wrong: A history of wine (0.52)" in text

        key = store.gates()[0].key
        click_row(seen, "gates", 1, until=lambda: f"gate={key}" in seen.page.url)
        assert f"gate={key}" in seen.page.url
        assert gate_words.headline(gates.passed()) in box.inner_text().replace("\u2060", "")
        assert json.loads(download(seen, "gate-json")) == store.gate(key)
        seen.page.get_by_text(f"All {len(gates.passed().rules)} rules").click()
        assert {row["id"]: row["verdict"] for row in rows_of(download(seen, "gate-rules-csv"))} == {
            rule.id: rule.verdict for rule in gates.passed().rules
        }


def test_an_alarm_leads_to_its_window(browser: Browser, dashboard: Dashboard, store: Board) -> None:
    with view(browser, dashboard) as seen:
        seen.open("history")
        seen.page.get_by_role("tab", name="Drift alarms (2)").click()
        seen.settle()
        seen.page.get_by_role("link", name="Open the window").click()
        seen.page.wait_for_url(re.compile("/drift"))
        seen.settle()
        assert window_of(seen) == str(store.checks("support")[-1].key)
        assert report_of(seen)["severity"] == "critical"


# ---------------------------------------------------------------- to look at


def test_both_pages_fit_into_every_window(browser: Browser, dashboard: Dashboard) -> None:
    folder = os.environ.get("BENCHKIT_SCREENSHOTS")
    # Opened in the first size, and then made wider or narrower, as a window is and a phone that is turned.
    for dark, sizes in ((False, SIZES), (True, (SIZES[1], SIZES[2], SIZES[0]))):
        with view(browser, dashboard, size=sizes[0], dark=dark) as seen:
            for page in ("drift", "history"):
                for size in sizes:
                    seen.resize(size)
                    if size == sizes[0]:
                        seen.open(page)
                    wide = seen.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
                    assert wide <= size[0], f"{page} is {wide} px wide in a window of {size[0]}"
                    if folder:
                        _screenshot(
                            seen, Path(folder) / f"{page}-{size[0]}x{size[1]}-{'dark' if dark else 'light'}.png"
                        )


def _screenshot(seen: View, path: Path) -> None:
    """Keep a picture of the whole page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = seen.page.viewport_size
    assert size is not None
    height = seen.page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    seen.page.set_viewport_size({"width": size["width"], "height": min(height + 40, 12_000)})
    # What comes into view is drawn then.
    seen.page.wait_for_function("document.querySelectorAll('[data-testid=\"stSkeleton\"]').length === 0")
    seen.page.wait_for_timeout(800)
    seen.page.screenshot(path=path)
