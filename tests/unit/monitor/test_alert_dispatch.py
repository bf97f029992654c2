"""Who is told of what, and that every message arrives in the end."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alerts import RecordingSink, alert

from benchkit.errors import UsageError
from benchkit.monitor.alerts import dispatch
from benchkit.monitor.alerts.alert import Alert, AlertRefused
from benchkit.monitor.alerts.dispatch import Dispatcher

FINE = {"severity": "ok", "kind": "none", "p_value": 0.5}


def events(sink: RecordingSink) -> list[str]:
    return [f"{sent.event.removeprefix('drift.')} {sent.severity} {sent.kind}" for sent in sink.sent]


def watch(dispatcher: Dispatcher, *windows: Alert) -> None:
    for window in windows:
        dispatcher.note(window)
        dispatcher.deliver()


def test_what_stays_bad_is_told_once_and_so_is_its_end() -> None:
    sink = RecordingSink()
    watch(Dispatcher([sink]), alert(**FINE), alert(), alert(), alert(), alert(**FINE), alert(**FINE), alert())
    assert events(sink) == ["alert warn data", "recovery ok none", "alert warn data"]


def test_worse_is_told_and_better_is_not_until_it_is_fine() -> None:
    sink = RecordingSink()
    critical = alert(severity="critical")
    watch(Dispatcher([sink]), alert(), critical, alert(), critical, alert(**FINE))
    assert events(sink) == ["alert warn data", "alert critical data", "recovery ok none"]


def test_another_kind_of_change_is_told_once() -> None:
    sink = RecordingSink()
    watch(Dispatcher([sink]), alert(), alert(kind="model"), alert(), alert(kind="model"))
    assert events(sink) == ["alert warn data", "alert warn model"]


def test_what_is_harmless_is_told_only_if_asked_for() -> None:
    quiet, chatty = RecordingSink(), RecordingSink()
    info = alert(severity="info")
    watch(Dispatcher([quiet]), info, alert(), info)
    watch(Dispatcher([chatty], notify_from="info"), info, alert(), info)
    assert events(quiet) == ["alert warn data", "recovery info data"]
    assert events(chatty) == ["alert info data", "alert warn data"]


def test_a_window_too_small_for_a_test_shows_no_recovery() -> None:
    sink = RecordingSink()
    watch(Dispatcher([sink]), alert(), alert(severity="ok", kind="none", p_value=None), alert())
    assert events(sink) == ["alert warn data"]


def of_rows(rows: int, **changes: Any) -> Alert:
    """Return the alert of a window too small for a test."""
    window = replace(alert().window, rows=rows)
    return alert(**{"kind": "pipeline", "p_value": None, "window": window} | changes)


SMALL = {"severity": "ok", "kind": "none"}


def test_a_source_of_small_windows_that_fell_silent_recovers_and_is_told_again() -> None:
    # With fewer than 30 rows usual, no window has a test.
    sink, silent, back = RecordingSink(), of_rows(0), of_rows(20, **SMALL)
    watch(Dispatcher([sink]), back, silent, silent, back, back, silent)
    assert events(sink) == ["alert warn pipeline", "recovery ok none", "alert warn pipeline"]


def test_a_window_of_much_fewer_rows_or_of_none_shows_no_recovery() -> None:
    sink = RecordingSink()
    windows = [of_rows(20, severity="critical"), of_rows(0, **SMALL), of_rows(9, **SMALL)]
    dispatcher = Dispatcher([sink])
    watch(dispatcher, *windows)
    assert events(sink) == ["alert critical pipeline"]
    watch(dispatcher, of_rows(10, **SMALL))
    assert events(sink)[1:] == ["recovery ok none"]


def test_a_small_window_shows_no_end_of_a_change_of_the_data_nor_of_a_model_that_was_not_asked() -> None:
    sink, fine = RecordingSink(), of_rows(20, **SMALL)
    watch(Dispatcher([sink]), of_rows(20), of_rows(20, kind="data"), fine)
    assert events(sink) == ["alert warn pipeline", "alert warn data"]
    other = RecordingSink()
    dispatcher = Dispatcher([other])
    watch(dispatcher, of_rows(20, kind="model"))
    assert dispatcher.note(fine, model_was_asked=False) is None
    watch(dispatcher, fine)
    assert events(other) == ["alert warn model", "recovery ok none"]


def test_the_end_of_a_watch_is_told_whatever_stands_and_once_until_it_goes_on() -> None:
    sink = RecordingSink()
    end = alert(severity="critical", kind="pipeline", reason="part-3.parquet can't be read")
    dispatcher = Dispatcher([sink])
    watch(dispatcher, alert(severity="critical", kind="pipeline", reason="NaN"))
    for _ in range(3):  # it is started again and ends at once
        dispatcher = Dispatcher([sink], json.loads(json.dumps(dispatcher.state)))
        dispatcher.note_end(end)
        dispatcher.deliver()
    assert [sent.reason for sent in sink.sent] == ["NaN", "part-3.parquet can't be read"]
    dispatcher.note_end(replace(end, reason="part-4.parquet can't be read"))
    dispatcher.deliver()
    assert sink.sent[-1].reason == "part-4.parquet can't be read"
    # It went on, and what stood before still hushes what is no worse.
    watch(dispatcher, alert(severity="critical", kind="pipeline"))
    assert len(sink.sent) == 3
    dispatcher.note_end(end)
    watch(dispatcher, alert(**FINE))
    assert events(sink)[3:] == ["alert critical pipeline", "recovery ok none"]


def test_a_recovery_can_wait_for_several_fine_windows() -> None:
    sink = RecordingSink()
    fine = alert(**FINE)
    watch(Dispatcher([sink], recover_after=2), alert(), fine, alert(), fine, fine)
    assert events(sink) == ["alert warn data", "recovery ok none"]


def test_what_still_holds_is_told_again_after_the_interval() -> None:
    sink = RecordingSink()
    times = iter(datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in (0, 1, 3, 4))
    watch(Dispatcher([sink], remind_after=timedelta(hours=2), now=lambda: next(times)), *[alert()] * 4)
    assert events(sink) == ["alert warn data", "reminder warn data"]
    assert sink.sent[1].headline.startswith("still warn:")


def test_streams_do_not_hush_each_other() -> None:
    sink = RecordingSink()
    watch(Dispatcher([sink]), alert(), alert(key="other"), alert(**FINE))
    assert events(sink) == ["alert warn data", "alert warn data", "recovery ok none"]
    assert sink.sent[2].key == alert().key


def test_a_failing_sink_stops_nobody_and_gets_everything_later_in_order() -> None:
    away, fine = RecordingSink("away", failures=2), RecordingSink("fine")
    dispatcher = Dispatcher([away, fine])
    dispatcher.note(alert())
    first = dispatcher.deliver()
    assert {(delivery.sink, delivery.error) for delivery in first} == {("away", "away: is away"), ("fine", "")}
    dispatcher.note(alert(severity="critical"))
    dispatcher.deliver()
    assert away.sent == []
    dispatcher.deliver()
    assert events(away) == events(fine) == ["alert warn data", "alert critical data"]
    assert dispatcher.state["outbox"] == []
    assert dispatcher.deliver() == ()


def test_a_sink_that_fails_is_tried_once_for_each_delivery() -> None:
    away = RecordingSink("away", failures=100)
    dispatcher = Dispatcher([away])
    watch(dispatcher, alert(), alert(severity="critical"), alert(**FINE))
    assert away.failures == 97


def test_a_foreign_error_is_kept_away_and_its_words_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broken = RecordingSink("broken", failures=1, error=RuntimeError("password is 1234"))
    dispatcher = Dispatcher([broken])
    dispatcher.note(alert())
    (delivery,) = dispatcher.deliver()
    assert delivery.error == "broken: RuntimeError"
    assert "1234" not in caplog.text
    # Who called says it: a watch printed each failure twice.
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_state_is_json_and_goes_on_where_it_was() -> None:
    away = RecordingSink("away", failures=1)
    before = Dispatcher([away])
    watch(before, alert())
    committed = json.loads(json.dumps(before.state))
    sink = RecordingSink("away")
    after = Dispatcher([sink], committed)
    watch(after, alert(), alert(**FINE))
    assert events(sink) == ["alert warn data", "recovery ok none"]
    assert committed["outbox"]


def test_a_crash_between_the_commits_repeats_the_message_with_its_id() -> None:
    sink = RecordingSink()
    dispatcher = Dispatcher([sink])
    dispatcher.note(alert())
    committed = dispatcher.state
    dispatcher.deliver()
    Dispatcher([sink], committed).deliver()
    assert len(sink.sent) == 2
    assert sink.sent[0].id == sink.sent[1].id


def test_a_sink_that_was_taken_away_is_owed_nothing() -> None:
    before = Dispatcher([RecordingSink("old", failures=9)])
    watch(before, alert())
    after = Dispatcher([], before.state)
    assert after.deliver() == ()
    assert after.state["outbox"] == []


def test_a_sink_that_is_added_is_told_once_of_what_stands() -> None:
    old, new = RecordingSink("old"), RecordingSink("new")
    first = Dispatcher([old])
    watch(first, alert(kind="model"), alert(**{**FINE, "key": "other"}))
    state = json.loads(json.dumps(first.state))
    for _ in range(2):  # killed before the state was committed, it is told again under the same id
        second = Dispatcher([old, new], state)
        second.deliver()
    assert events(new) == ["reminder warn model"] * 2
    assert len({sent.id for sent in new.sent}) == 1
    assert events(old) == ["alert warn model"]
    third = Dispatcher([new, old], json.loads(json.dumps(second.state)))
    watch(third, alert(kind="model"), alert(**FINE))
    assert events(new)[2:] == events(old)[1:] == ["recovery ok none"]
    Dispatcher([old, new, RecordingSink("third")], third.state).deliver()
    assert events(new)[3:] == []  # nothing stands


def test_a_state_of_an_older_benchkit_tells_a_new_sink_nothing() -> None:
    first, new = Dispatcher([RecordingSink("old")]), RecordingSink("new")
    watch(first, alert())
    state = first.state
    for told in state["streams"].values():
        del told["alert"], told["sinks"]
    second = Dispatcher([new], state)
    watch(second, alert(), alert(severity="critical"))
    assert events(new) == ["alert critical data"]


def test_the_outbox_is_bounded_and_what_is_given_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST_WAITING", 3)
    away = RecordingSink("away", failures=1000)
    dispatcher = Dispatcher([away])
    watch(dispatcher, *[alert(key=str(number)) for number in range(5)])
    state = dispatcher.state
    assert [entry["alert"]["key"] for entry in state["outbox"]] == ["2", "3", "4"]
    assert state["lost"] == 2


def test_two_sinks_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="the same sink is named twice"):
        Dispatcher([RecordingSink(), RecordingSink()])


# ------------------------------------------------------------ what is hushed, and for how long

MODEL = {"severity": "critical", "kind": "model"}


def test_the_end_of_a_watch_hushes_nothing_that_the_windows_show_afterwards() -> None:
    end = alert(severity="critical", kind="pipeline", reason="part-3.parquet can't be read")
    broken = alert(severity="critical", kind="pipeline", reason="NaN")
    for before, hushed in (([], []), ([alert()], [alert()])):
        sink = RecordingSink()
        dispatcher = Dispatcher([sink])
        watch(dispatcher, *before)
        dispatcher.note_end(end)
        dispatcher.deliver()
        n_told = len(sink.sent)
        after = Dispatcher([sink], json.loads(json.dumps(dispatcher.state)))
        watch(after, *hushed, broken, broken)
        assert [sent.reason for sent in sink.sent[n_told:]] == ["NaN"]


def test_an_incident_that_comes_back_is_told_again_though_something_milder_stands() -> None:
    sink = RecordingSink()
    dispatcher = Dispatcher([sink])
    watch(dispatcher, alert(), alert(**MODEL), alert(), alert(), alert(**MODEL))
    assert events(sink) == ["alert warn data", "alert critical model"]  # two windows of doubt are no end
    watch(dispatcher, *[alert()] * 3, alert(**MODEL), alert())
    assert events(sink)[2:] == ["alert critical model"]
    worse = alert(severity="critical")
    watch(dispatcher, worse, worse, *[alert()] * 3, worse)
    assert events(sink)[3:] == ["alert critical data"]  # as bad as the model was, and so hushed until that is over
    watch(dispatcher, alert(**FINE))
    assert events(sink)[4:] == ["recovery ok none"]


def test_what_a_window_cannot_show_is_not_forgotten() -> None:
    sink = RecordingSink()
    dispatcher = Dispatcher([sink])
    watch(dispatcher, alert(), alert(**MODEL))
    for _ in range(5):  # the model doesn't answer, so that nothing says that it is the old one again
        assert dispatcher.note(alert(), model_was_asked=False) is None
    assert dispatcher.note(alert(**MODEL)) is None
    # A worse change of another kind hides what is milder, and a small window has no test of the data.
    watch(dispatcher, *[alert(**MODEL)] * 5, alert())
    few = alert(kind="pipeline", p_value=None)
    watch(dispatcher, *[few] * 5, alert())
    assert events(sink) == ["alert warn data", "alert critical model", "alert warn pipeline"]


def test_a_sink_that_is_added_is_told_what_stands_and_not_what_is_over() -> None:
    old, new = RecordingSink("old"), RecordingSink("new")
    first = Dispatcher([old])
    watch(first, alert(**MODEL), *[alert()] * 3)
    Dispatcher([old, new], first.state).deliver()
    # The data weren't known to have changed while the model had, so that is told when it comes to light.
    assert events(old) == ["alert critical model", "alert warn data"]
    assert events(new) == ["reminder warn data"]
    worse = alert(severity="critical", kind="data")
    second, third = Dispatcher([old]), RecordingSink("third")
    watch(second, worse, *[alert()] * 3)
    Dispatcher([old, third], second.state).deliver()
    assert events(third) == ["reminder warn data"]


def test_a_state_of_an_older_benchkit_hushes_what_it_told() -> None:
    sink = RecordingSink()
    before = Dispatcher([sink])
    watch(before, alert(**MODEL))
    state = before.state
    for told in state["streams"].values():
        del told["levels"]
        told |= {"severity": "critical", "kinds": ["data", "model"]}
    after = Dispatcher([sink], state)
    watch(after, alert(**MODEL), alert(severity="critical"))
    assert events(sink) == ["alert critical model"]
    watch(after, alert(**FINE))
    assert events(sink)[1:] == ["recovery ok none"]


def test_a_state_of_a_newer_benchkit_can_be_delivered() -> None:
    before = Dispatcher([RecordingSink(failures=1)])
    watch(before, alert())
    state = before.state
    state["outbox"][0]["alert"] |= {"new": 1, "window": state["outbox"][0]["alert"]["window"] | {"newer": 2}}
    sink = RecordingSink()
    Dispatcher([sink], state).deliver()
    assert sink.sent == [alert()]


def test_a_clock_that_was_ahead_keeps_no_reminder_back() -> None:
    sink = RecordingSink()
    times = iter([datetime(2036, 1, 1, tzinfo=UTC), *(datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (0, 1))])
    watch(Dispatcher([sink], remind_after=timedelta(hours=2), now=lambda: next(times)), *[alert()] * 3)
    assert events(sink) == ["alert warn data", "reminder warn data"]


# ------------------------------------------------------------ sinks that refuse, and that come back


class Choosy(RecordingSink):
    """Refuses alerts with a word in their reason, as a server that answers 400 to some bodies."""

    word = "poison"

    def send(self, alert: Alert) -> None:
        if self.word in alert.reason:
            raise AlertRefused(f"{self.name}: answered 400")
        super().send(alert)


def test_a_message_that_is_refused_holds_up_none_behind_it_and_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    choosy, fine = Choosy("choosy"), RecordingSink("fine")
    dispatcher = Dispatcher([choosy, fine])
    watch(dispatcher, alert(reason="poison", key="0"))
    for number in range(1, 4):
        assert dispatcher.state["lost"] == 0
        watch(dispatcher, alert(reason=f"{number}", key=f"{number}"))
    assert [sent.reason for sent in choosy.sent] == ["1", "2", "3"]
    assert [sent.reason for sent in fine.sent] == ["poison", "1", "2", "3"]
    state = dispatcher.state
    assert (state["outbox"], state["lost"]) == ([], 1)
    assert "alert given up, choosy refuses it and takes others: warn: embeddings of logs/ against prod" in caplog.text


def test_a_sink_that_refuses_everything_loses_nothing_and_is_left_after_five() -> None:
    choosy = Choosy("choosy")
    dispatcher = Dispatcher([choosy])
    for number in range(8):
        dispatcher.note(alert(reason=f"poison {number}", key=str(number)))
    for _ in range(10):
        tried = dispatcher.deliver()
        assert [delivery.alert.key for delivery in tried] == ["0", "1", "2", "3", "4"]
        assert all(delivery.is_refused for delivery in tried)
    choosy.word = "nothing"  # it was mended
    dispatcher.deliver()
    assert [sent.key for sent in choosy.sent] == [str(number) for number in range(8)]
    assert (dispatcher.state["outbox"], dispatcher.state["lost"]) == ([], 0)


def test_a_sink_that_comes_back_is_told_what_it_missed_and_still_stands() -> None:
    away = RecordingSink("away", failures=1)
    first = Dispatcher([away])
    watch(first, alert())
    second = Dispatcher([], json.loads(json.dumps(first.state)))
    watch(second, alert())
    third = Dispatcher([away], json.loads(json.dumps(second.state)))
    watch(third, alert())
    assert events(away) == ["reminder warn data"]
