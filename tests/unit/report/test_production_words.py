"""Whether production is fine: the newest windows of each watch, and never more than they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import boards
import drift_reports
import pytest

from benchkit.report.board_rows import check_rows
from benchkit.report.board_words import Answer
from benchkit.report.production_words import ago_words, is_worse, production, told_window
from benchkit.types.board import CheckRow

INFO = replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00")
HARM_UNKNOWN = "whether retrieval is harmed is not known"


def rows(*severities: str, **changes: object) -> list[CheckRow]:
    """Return windows of the days of November, each with the same changes."""
    made = check_rows(boards.windows(*severities))
    return [replace(row, p_value=0.4, **changes) for row in made]  # type: ignore[arg-type]


def at(day: int, hour: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def said(found: Sequence[CheckRow], now: datetime) -> Answer:
    return production([(INFO, found)], now)


def test_eight_quiet_windows_are_fine() -> None:
    assert said(rows(*["ok"] * 12), at(13, 2)) == Answer(
        "good", "fine", "Production is fine: 8 of the last 8 windows without an alarm (last 3 h ago)."
    )


def test_an_alarm_before_is_told() -> None:
    assert said(rows("ok", "warn", "ok", "ok"), at(5)).sentence == (
        "Production is fine: 3 of the last 4 windows without an alarm (last 24 h ago); "
        "the last alarm was on 2 November 2026."
    )


def test_drift_has_begun_with_the_first_of_the_alarms_that_end_the_row() -> None:
    assert said(rows("warn", "ok", "ok", "warn", "warn"), at(6)) == Answer(
        "warning",
        "drifted (warn)",
        "Production has drifted since 4 November 2026: the data have changed (warn); "
        f"{HARM_UNKNOWN} (last window 24 h ago).",
    )
    assert said(rows("warn", "critical"), at(3)).standing == "bad"
    assert "since 1 November 2026" in said(rows("warn", "critical"), at(3)).sentence


def test_a_harmless_change_is_fine_and_told() -> None:
    found = said(rows("ok", "info"), at(3))
    assert (found.standing, found.word) == ("good", "fine")
    assert found.sentence == (
        "Production is fine: 2 of the last 2 windows without an alarm (last 24 h ago); "
        "the data have changed, retrieval is not harmed (info)."
    )


def test_a_policy_that_asks_for_less_makes_an_alarm_of_it() -> None:
    strict = rows("ok", "info")
    strict[-1] = replace(strict[-1], breaks_policy=True)
    assert said(strict, at(3)).sentence == (
        "Production has drifted since 2 November 2026: the data have changed (info); retrieval is not harmed "
        "(last window 24 h ago)."
    )


@pytest.mark.parametrize(
    ("changes", "harm"),
    [
        ({}, HARM_UNKNOWN),
        ({"low_score_share": 0.154}, "15.4 % of queries score under the baseline's 5th percentile, where 5 % did"),
        ({"kind": "model", "overlap_at_10": 0.7}, "retrieval is harmed"),
        ({"kind": "model", "overlap_at_10": 0.2, "severity": "critical"}, "retrieval is greatly harmed"),
        ({"kind": "model", "ndcg_at_10": 0.4}, "retrieval is harmed"),
        ({"kind": "model"}, HARM_UNKNOWN),
        ({"kind": "data", "overlap_at_10": 1.0}, HARM_UNKNOWN),
        ({"kind": "pipeline"}, HARM_UNKNOWN),
    ],
)
def test_harm_is_told_as_far_as_it_was_measured(changes: dict[str, object], harm: str) -> None:
    found = rows("ok", "warn")
    found[-1] = replace(found[-1], **changes)  # type: ignore[arg-type]
    assert f"; {harm} (last window" in said(found, at(3)).sentence


def test_nothing_watched_is_not_fine() -> None:
    assert production([], at(1)) == Answer(
        "info", "not watched", "Production is not watched yet: there is no baseline yet."
    )
    assert production([(INFO, [])], at(1)).sentence == (
        "Production is not watched yet: a baseline is there, and no window was held against it."
    )


def test_windows_without_a_test_are_not_fine() -> None:
    found = [replace(row, p_value=None) for row in rows("ok", "ok")]
    assert said(found, at(3)) == Answer(
        "info",
        "not tested",
        "Production is not known to be fine: none of the last 2 windows was tested for drift (last 24 h ago).",
    )
    assert "fine: the only window was not tested for drift (last 24 h ago)." in said(found[:1], at(2)).sentence


def test_windows_without_a_test_are_counted_beside_those_that_are_fine() -> None:
    first, *others = rows("ok", "ok", "ok")
    sentence = said([first, *(replace(row, p_value=None) for row in others)], at(4)).sentence
    assert sentence == (
        "Production is fine: 3 of the last 3 windows without an alarm, 2 of them not tested (last 24 h ago)."
    )


def test_what_was_fine_three_windows_ago_is_said_of_the_past() -> None:
    daily = rows(*["ok"] * 5)
    assert said(daily, at(8)).word == "fine"
    assert said(daily, at(9)).sentence == (
        "Production was fine when it was last looked at: 5 of the last 5 windows without an alarm (last 4 days ago)."
    )
    assert said(daily, at(9)).standing == "warning"
    one = rows("ok")
    assert said(one, at(8)).word == "fine", "nobody knows how often windows come: a week"
    assert said(one, at(9)).word == "not watched since"
    assert "fine: 1 of 1 window without an alarm (last 24 h" in said(one, at(2)).sentence


def test_checks_before_a_renewal_say_nothing_of_the_new_baseline() -> None:
    renewed = replace(INFO, created="2026-11-03T12:00:00+00:00")
    assert production([(renewed, rows("warn", "warn"))], at(4)).word == "not watched"
    assert production([(renewed, rows("warn", "warn", "ok"))], at(4)).word == "fine"


def test_a_baseline_that_is_gone_hides_no_alarm_and_nothing_against_it_is_fine() -> None:
    gone = replace(INFO, created="")
    assert production([(gone, rows("ok", "warn"))], at(3)).sentence.endswith(
        "(last window 24 h ago). Its baseline was deleted or can't be read."
    )
    found = production([(gone, rows("ok", "ok"))], at(3))
    assert (found.standing, found.word) == ("warning", "not watched since")


def test_the_worst_watch_is_told_although_another_was_checked_later() -> None:
    first = rows("ok", "warn", stream="a", source="queries")
    second = rows("ok", "ok", "ok", stream="b", source="documents")
    found = said([*first, *second], at(4))
    assert found.standing == "warning"
    assert found.sentence.endswith("(last window 2 days ago) [support, queries; 1 other watch better].")
    third = rows("ok", "warn", stream="c")
    assert said([*first, *second, *third], at(4)).sentence.endswith("; 1 other watch no better, 1 better].")
    other = replace(INFO, name="other")
    fine = production([(INFO, second), (other, second)], at(4))
    assert fine.sentence.endswith("[support, documents; 1 other watch as well].")


def test_a_drift_is_told_before_a_watch_that_nobody_has_looked_at_for_long() -> None:
    drifted, forgotten = rows("ok", "warn"), rows("ok", "ok", "ok", "ok")
    watched = [(INFO, drifted), (replace(INFO, name="b"), forgotten)]
    now = at(20)
    assert said(forgotten, now).standing == said(drifted, now).standing == "warning"
    assert production(watched, now).sentence.startswith("Production has drifted since 2 November 2026")
    assert told_window(watched, now) == drifted[-1]
    assert is_worse(said(drifted, now), said(forgotten, now))
    assert not is_worse(said(forgotten, now), said(drifted, now))


def test_of_watches_that_stand_alike_the_one_with_the_newest_window_is_told() -> None:
    newer, older = rows("ok", "warn", "warn"), rows("warn")
    for watched in (
        [(INFO, newer), (replace(INFO, name="b"), older)],
        [(replace(INFO, name="b"), older), (INFO, newer)],
    ):
        assert "since 2 November 2026" in production(watched, at(4)).sentence
        assert told_window(watched, at(4)) == newer[-1]


def test_the_window_told_is_of_the_watch_that_the_sentence_is_of() -> None:
    fine, drifted = rows("ok", "ok", "ok"), rows("warn")
    assert told_window([(INFO, fine), (replace(INFO, name="b"), drifted)], at(4)) == drifted[-1]
    assert told_window([(INFO, [])], at(4)) is None


def test_times_without_rows_are_those_of_the_checks() -> None:
    bare = [replace(row, start="", end="") for row in rows("ok", "warn")]
    assert "since 2 November 2026" in said(bare, at(3)).sentence


def test_names_are_cut_and_on_one_line() -> None:
    row = replace(rows("warn")[0], baseline="x" * 9000, source="a\nb\u202ec", stream="1")
    found = said([row, *rows("ok")], at(2)).sentence
    assert "\n" not in found
    assert "\u202e" not in found
    assert len(found) < 400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-500, "just now"), (89, "just now"), (90, "2 min ago"), (5399, "90 min ago"), (5400, "2 h ago"),
        (3 * 3600, "3 h ago"), (172_799, "48 h ago"), (172_800, "2 days ago"), (30 * 86_400, "30 days ago"),
    ],
)  # fmt: skip
def test_how_long_ago(seconds: int, words: str) -> None:
    then = datetime(2026, 11, 1, tzinfo=UTC)
    assert ago_words(then.isoformat(), datetime.fromtimestamp(then.timestamp() + seconds, UTC)) == words
