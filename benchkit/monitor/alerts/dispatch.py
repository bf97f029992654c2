"""Who is told of what, once: changes of a stream's state become messages, and each reaches every sink in the end.

    Alert of every window ── note ──> state: streams (what was told), outbox (what each sink still has to get)
                                        │ the caller commits the state together with its place in the source
    deliver ── sinks, oldest first ─────┘ what fails stays and is tried again with the next window; commit again

A crash between the two commits sends a message twice and never loses one: receivers see the same id. A sink that is
added while something stands is told of it once, as a reminder. A message that a sink refuses holds up none behind it.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import Alert, AlertError, AlertRefused, Sink
from benchkit.types.drift import DRIFT_SEVERITIES, DriftSeverity

_logger = logging.getLogger(__name__)
_OF_MODELS = frozenset({"model", "numeric"})
MOST_WAITING = 200  # messages in the outbox; a sink that is away for weeks must not fill the state
FORGOTTEN_AFTER = 3  # windows in a row without what was told; then it is told again when it comes back
MOST_REFUSED = 5  # messages in a row, in one delivery; then the sink is left, too
GIVEN_UP_AFTER = 3  # deliveries in which a sink refused a message and took a later one


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message at one sink; `error` is "" where it was delivered.

    Attributes:
        is_refused: The sink is there and doesn't take this message.
    """

    sink: str
    alert: Alert
    error: str = ""
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class _Level:
    """A kind and severity of change that a stream was told of.

    Attributes:
        unseen: Windows in a row that showed it no more.
    """

    kind: str
    severity: str
    unseen: int = 0


class Dispatcher:
    """Sends each change of state once to every sink.

    Args:
        state: What `state` returned before; None at the very start.
        notify_from: The least severity that is told.
        remind_after: Tell again what still holds after this time; None never does.
        recover_after: Windows in a row that must be fine before a recovery is told.
        now: The clock of reminders, UTC.

    Raises:
        UsageError: two sinks are the same.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        state: Mapping[str, Any] | None = None,
        *,
        notify_from: DriftSeverity = "warn",
        remind_after: timedelta | None = None,
        recover_after: int = 1,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sinks = {sink.name: sink for sink in sinks}
        if len(self._sinks) < len(sinks):
            raise UsageError("alerts: the same sink is named twice")
        known = copy.deepcopy(dict(state or {}))
        self._streams: dict[str, dict[str, Any]] = known.get("streams", {})
        self._outbox: list[dict[str, Any]] = known.get("outbox", [])
        self._lost: int = known.get("lost", 0)
        self._notify_from, self._remind_after = _rank(notify_from), remind_after
        self._recover_after, self._now = recover_after, now
        self._tell_new_sinks()

    @property
    def state(self) -> dict[str, Any]:
        """What to commit; a copy that JSON can hold."""
        return copy.deepcopy({"streams": self._streams, "outbox": self._outbox, "lost": self._lost})

    # -------------------------------------------------------- what is told

    def note(self, alert: Alert, *, model_was_asked: bool = True) -> Alert | None:
        """Take in what a window says, fine or not; return the message that it makes, or None.

        A stream that becomes bad, worse, or bad in another way makes one; so does one that is fine again. What
        stands hushes what is no worse, but not for ever: what three windows in a row showed no more is told again
        when it comes back. A window too small for a test doesn't show that a change of the data is over; it does so
        for what is seen without one, if it has half as many rows as the window that was told. Nothing is sent here.

        Args:
            model_was_asked: False where it should have been and didn't answer: then the rows alone don't show that a
                change of the model is over.
        """
        self._streams.get(alert.key, {}).pop("ended_by", None)
        is_bad = _rank(alert.severity) >= self._notify_from
        taken_in = self._bad if is_bad else self._fine
        message = taken_in(alert, model_was_asked=model_was_asked)
        return None if message is None else self._put(message)

    def note_end(self, alert: Alert) -> Alert | None:
        """Take in that the watch ends, whatever stands; return the message, or None where it was told.

        What stands would hush one that is as bad, and then nobody knew that nothing is watched any more. Nor does the
        end hush what the windows show once the watch goes on. A watch that is started again and ends at once for the
        same reason has told it.
        """
        told = self._streams.get(alert.key)
        if told is not None and told.get("ended_by") == alert.reason:
            return None
        new = self._told(alert, [] if told is None else _levels(told), self._now())
        self._streams[alert.key] = new | {"ended_by": alert.reason}
        return self._put(alert)

    def _put(self, message: Alert) -> Alert:
        self._outbox.append({"alert": message.to_json(), "sinks": sorted(self._sinks), "attempts": 0})
        self._bound()
        return message

    def _bad(self, alert: Alert, *, model_was_asked: bool) -> Alert | None:
        told = self._streams.get(alert.key)
        now = self._now()
        before = [] if told is None else _levels(told)
        levels = _with_window(before, alert, model_was_asked=model_was_asked)
        is_worse = all(_rank(alert.severity) > _rank(level.severity) for level in before)
        is_new = is_worse or alert.kind not in {level.kind for level in before}
        if told is None or is_new or self._is_due(told, now):
            self._streams[alert.key] = self._told(alert, levels, now)
            return alert if is_new else replace(alert, is_reminder=True)
        told |= {"calm": 0, "levels": [asdict(level) for level in levels]}
        last = told.get("alert")  # an older state doesn't say
        if last is not None and (last["kind"], last["severity"]) not in {(each.kind, each.severity) for each in levels}:
            told["alert"] = alert.to_json()  # what was told is over, and a sink that is added is told what stands
        return None

    def _is_due(self, told: Mapping[str, Any], now: datetime) -> bool:
        if self._remind_after is None:
            return False
        # What was told in the future was told by a clock that has been put right since.
        return not timedelta(0) <= now - datetime.fromisoformat(told["at"]) < self._remind_after

    def _fine(self, alert: Alert, *, model_was_asked: bool) -> Alert | None:
        told = self._streams.get(alert.key)
        if told is None or (alert.p_value is None and not _is_seen_without_a_test(told, alert.window.rows)):
            return None
        if not model_was_asked and any(level.kind in _OF_MODELS for level in _levels(told)):
            return None
        told["calm"] += 1
        if told["calm"] < self._recover_after:
            return None
        del self._streams[alert.key]
        return replace(alert, is_recovery=True)

    def _told(self, alert: Alert, levels: Sequence[_Level], now: datetime) -> dict[str, Any]:
        told = {"levels": [asdict(level) for level in levels], "at": now.isoformat(), "calm": 0}
        return told | {"alert": alert.to_json(), "sinks": sorted(self._sinks)}

    def _tell_new_sinks(self) -> None:
        for told in self._streams.values():
            if "sinks" not in told:  # an older state doesn't say who was told, and of what
                continue
            new = sorted(set(self._sinks) - set(told["sinks"]))
            if new:
                reminder = replace(Alert.from_json(told["alert"]), is_reminder=True)
                self._outbox.append({"alert": reminder.to_json(), "sinks": new, "attempts": 0})
            # One that is taken away is owed nothing, perhaps not even told yet; it is new when it comes back.
            told["sinks"] = sorted(self._sinks)
        self._bound()

    def _bound(self) -> None:
        too_many = len(self._outbox) - MOST_WAITING
        if too_many > 0:
            del self._outbox[:too_many]
            self._lost += too_many
            _logger.error("alerts: %s messages were never delivered and are given up", too_many)

    # -------------------------------------------------------- sinks

    def deliver(self) -> tuple[Delivery, ...]:
        """Try to hand every waiting message to its sinks, oldest first; a sink that fails is left until the next call.

        A message that a sink refuses waits, too, and those behind it are tried: it is given up after three deliveries
        in which the sink took a later one. Never raises because of a sink.
        """
        done: list[Delivery] = []
        failing: set[str] = set()
        refused: dict[str, list[dict[str, Any]]] = {}
        for entry in self._outbox:
            alert = Alert.from_json(entry["alert"])
            # A sink that is no longer configured is owed nothing.
            entry["sinks"] = [name for name in entry["sinks"] if name in self._sinks]
            entry["attempts"] += 1
            for name in [name for name in entry["sinks"] if name not in failing]:
                delivery = self._try(name, alert)
                done.append(delivery)
                if not delivery.error:
                    entry["sinks"].remove(name)
                    self._give_up(name, refused.pop(name, []))
                elif delivery.is_refused and len(refused.get(name, [])) < MOST_REFUSED - 1:
                    refused.setdefault(name, []).append(entry)
                else:
                    failing.add(name)
        self._outbox = [entry for entry in self._outbox if entry["sinks"]]
        return tuple(done)

    def _give_up(self, name: str, refused: Sequence[dict[str, Any]]) -> None:
        """Count what a sink refused, now that it took a later message; what it refused so often is owed no longer."""
        for entry in refused:
            times = entry.setdefault("refused", {})
            times[name] = times.get(name, 0) + 1
            if times[name] >= GIVEN_UP_AFTER:
                entry["sinks"].remove(name)
                self._lost += 1
                headline = Alert.from_json(entry["alert"]).headline
                _logger.error("alert given up, %s refuses it and takes others: %s", name, headline)

    def _try(self, name: str, alert: Alert) -> Delivery:
        is_refused = False
        try:
            self._sinks[name].send(alert)
        except AlertError as error:
            reason, is_refused = str(error), isinstance(error, AlertRefused)
        except Exception as error:  # a foreign sink: its words could hold a secret
            reason = f"{name}: {type(error).__name__}"
        else:
            return Delivery(name, alert)
        _logger.info("alert not delivered, it will be tried again: %s", reason)  # who asked says so aloud
        return Delivery(name, alert, reason, is_refused)


def _levels(told: Mapping[str, Any]) -> list[_Level]:
    """Return what a stream was told of; an older state has one severity for all kinds."""
    if "levels" not in told:
        return [_Level(kind, told["severity"]) for kind in told["kinds"]]
    return [_Level(**level) for level in told["levels"]]


def _with_window(before: Sequence[_Level], alert: Alert, *, model_was_asked: bool) -> list[_Level]:
    """Return what stands after one more bad window; what it can't show stays as it was."""
    levels = [_Level(alert.kind, alert.severity)]
    for level in before:
        if (level.kind, level.severity) == (alert.kind, alert.severity):
            continue
        is_hidden = (
            _rank(level.severity) < _rank(alert.severity)  # a window tells the worst of what it shows
            or (level.kind == "data" and alert.p_value is None)
            or (level.kind in _OF_MODELS and not model_was_asked)
        )
        unseen = level.unseen + (not is_hidden)
        if unseen < FORGOTTEN_AFTER:
            levels.append(replace(level, unseen=unseen))
    return levels


def _is_seen_without_a_test(told: Mapping[str, Any], rows: int) -> bool:
    """Return whether a fine window of so few rows shows the end of what stands; an older state doesn't say of what."""
    if "alert" not in told or any(level.kind == "data" for level in _levels(told)):
        return False
    return rows > 0 and 2 * rows >= told["alert"]["window"]["rows"]


def _rank(severity: str) -> int:
    return [*DRIFT_SEVERITIES].index(severity)  # type: ignore[arg-type]
