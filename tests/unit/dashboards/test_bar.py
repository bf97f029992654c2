"""The bar above the pages: the address sets it, it sets the address, and both go along to the next page."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import comparisons
import pytest
from pages import opened

from benchkit.report.json_form import render_json

NOTHING = "There is no comparison of this choice to choose by\\."


@pytest.fixture
def project(mlruns: Path) -> Path:
    """A project with one comparison."""
    folder = mlruns / "results" / "one"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(render_json(comparisons.small()), encoding="utf-8")
    return mlruns.parent


def test_an_address_sets_the_bar(project: Path) -> None:
    shown = opened(suite=comparisons.small().suite.name, models=["a", "gone"], span="30d")
    assert shown.selectbox(key="bar-suite").value == comparisons.small().suite.name
    assert shown.multiselect(key="bar-models").value == ["a", "gone"], "also what the store has not"
    assert shown.selectbox(key="bar-span").value == "30d"


def test_the_bar_sets_the_address_and_keeps_what_a_page_chose(project: Path) -> None:
    shown = opened(p95_ms="12.5")
    shown.selectbox(key="bar-span").set_value("7d").run()
    assert not shown.exception
    assert shown.query_params == {"span": "7d", "p95_ms": "12.5"}
    shown.selectbox(key="bar-span").set_value("all").run()
    assert shown.query_params == {"p95_ms": "12.5"}


def test_days_are_asked_for_when_they_are_chosen(project: Path) -> None:
    shown = opened(span="dates", since="2026-11-01", until="2026-11-30")
    assert [day.isoformat() for day in shown.date_input[0].value] == ["2026-11-01", "2026-11-30"]
    assert shown.query_params == {"span": "dates", "since": "2026-11-01", "until": "2026-11-30"}


@pytest.mark.parametrize(
    "days",
    [{"until": "2026-11-30"}, {"since": "2026-11-01"}, {"since": "1950-01-01", "until": "2199-12-31"}],
    ids=["no first day", "no last day", "far off"],
)
def test_days_of_an_address_are_kept_as_they_are(project: Path, days: dict[str, str]) -> None:
    shown = opened(span="dates", **days)
    assert shown.query_params == {"span": "dates", **days}
    shown.run()
    assert not shown.exception
    assert shown.query_params == {"span": "dates", **days}


def test_an_address_up_to_a_day_shows_what_was_before_it(project: Path) -> None:
    day = comparisons.small().started[:10]
    assert opened(span="dates", until=day).header[0].value != NOTHING, "its own day is part of it"
    assert opened(span="dates", until="2020-01-01").header[0].value == NOTHING
    assert opened(span="dates", since="2199-01-01").header[0].value == NOTHING


def test_days_can_be_picked_where_the_address_has_none(project: Path) -> None:
    shown = opened()
    shown.selectbox(key="bar-span").set_value("dates").run()
    assert not shown.exception
    assert shown.query_params == {}, "all is shown until a day is picked"
    shown.date_input[0].set_value((date(2026, 11, 1), date(2026, 11, 30))).run()
    assert not shown.exception
    assert shown.query_params == {"span": "dates", "since": "2026-11-01", "until": "2026-11-30"}


def test_what_the_address_has_wrong_is_told_once(project: Path) -> None:
    shown = opened(window="three", span="7d")
    assert [warning.value.replace("\\", "") for warning in shown.warning] == [
        "window='three' is left out: a whole number is expected"
    ]
    assert shown.query_params == {"span": "7d"}
    shown.selectbox(key="bar-span").set_value("30d").run()
    assert not shown.warning


def test_a_choice_goes_along_to_the_next_page(project: Path) -> None:
    shown = opened(span="30d", task="found")
    shown.query_params.clear()  # as the navigation does
    shown.switch_page("screens/tasks.py").run()
    assert not shown.exception
    assert shown.selectbox(key="bar-span").value == "30d"
    assert shown.query_params == {"span": "30d", "task": "found"}
