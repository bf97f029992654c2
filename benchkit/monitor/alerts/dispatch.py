"""Who is told of what, once: changes of a stream's state become messages, and each reaches every sink in the end.

    Alert of every window ── note ──> state: streams (what was told), outbox (what each sink still has to get)
                                        │ the caller commits the state together with its place in the source
    deliver ── sinks, oldest first ─────┘ what fails stays and is tried again with the next window; commit again

A crash between the two commits sends a message twice and never loses one: receivers see the same id. A sink that is
added while something stands is told of it once, as a reminder.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import Alert, AlertError, Sink
from benchkit.types.drift import DRIFT_SEVERITIES, DriftSeverity

_logger = logging.getLogger(__name__)
_OF_MODELS = frozenset({"model", "numeric"})
MOST_WAITING = 200  # messages in the outbox; a sink that is away for weeks must not fill the state


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message at one sink; `error` is "" where it was delivered."""

    sink: str
    alert: Alert
    error: str = ""


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

        A stream that becomes bad, worse, or bad in another way makes one; so does one that is fine again. A window
        too small for a test doesn't show that a change of the data is over; it does so for what is seen without one,
        if it has half as many rows as the window that was told. Nothing is sent here.

        Args:
            model_was_asked: False where it should have been and didn't answer: then the rows alone don't show that a
                change of the model is over.
        """
        self._streams.get(alert.key, {}).pop("ended_by", None)
        is_bad = _rank(alert.severity) >= self._notify_from
        message = self._bad(alert) if is_bad else self._fine(alert, model_was_asked=model_was_asked)
        return None if message is None else self._put(message)

    def note_end(self, alert: Alert) -> Alert | None:
        """Take in that the watch ends, whatever stands; return the message, or None where it was told.

        What stands would hush one that is as bad, and then nobody knew that nothing is watched any more. A watch that
        is started again and ends at once for the same reason has told it.
        """
        told = self._streams.get(alert.key)
        if told is not None and told.get("ended_by") == alert.reason:
            return None
        severity, kinds = (alert.severity, []) if told is None else (told["severity"], told["kinds"])
        worst = max(severity, alert.severity, key=_rank)
        new = self._told(alert, worst, sorted({*kinds, alert.kind}), self._now())
        self._streams[alert.key] = new | {"ended_by": alert.reason}
        return self._put(alert)

    def _put(self, message: Alert) -> Alert:
        self._outbox.append({"alert": message.to_json(), "sinks": sorted(self._sinks), "attempts": 0})
        self._bound()
        return message

    def _bad(self, alert: Alert) -> Alert | None:
        told = self._streams.get(alert.key)
        now = self._now()
        if told is None:
            self._streams[alert.key] = self._told(alert, alert.severity, [alert.kind], now)
            return alert
        told["calm"] = 0
        is_worse = _rank(alert.severity) > _rank(told["severity"])
        is_due = self._remind_after is not None and now - datetime.fromisoformat(told["at"]) >= self._remind_after
        if not (is_worse or alert.kind not in told["kinds"] or is_due):
            return None
        is_new = is_worse or alert.kind not in told["kinds"]
        worst = alert.severity if is_worse else told["severity"]
        self._streams[alert.key] = self._told(alert, worst, sorted({*told["kinds"], alert.kind}), now)
        return alert if is_new else replace(alert, is_reminder=True)

    def _fine(self, alert: Alert, *, model_was_asked: bool) -> Alert | None:
        told = self._streams.get(alert.key)
        if told is None or (alert.p_value is None and not _is_seen_without_a_test(told, alert.window.rows)):
            return None
        if not model_was_asked and not _OF_MODELS.isdisjoint(told["kinds"]):
            return None
        told["calm"] += 1
        if told["calm"] < self._recover_after:
            return None
        del self._streams[alert.key]
        return replace(alert, is_recovery=True)

    def _told(self, alert: Alert, severity: str, kinds: list[str], now: datetime) -> dict[str, Any]:
        told = {"severity": severity, "kinds": kinds, "at": now.isoformat(), "calm": 0}
        return told | {"alert": alert.to_json(), "sinks": sorted(self._sinks)}

    def _tell_new_sinks(self) -> None:
        for told in self._streams.values():
            # An older state doesn't say who was told, and of what.
            new = sorted(set(self._sinks) - set(told.get("sinks", self._sinks)))
            if new:
                reminder = replace(Alert.from_json(told["alert"]), is_reminder=True)
                self._outbox.append({"alert": reminder.to_json(), "sinks": new, "attempts": 0})
                told["sinks"] = sorted([*told["sinks"], *new])
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

        Never raises because of a sink.
        """
        done: list[Delivery] = []
        failing: set[str] = set()
        for entry in self._outbox:
            alert = Alert.from_json(entry["alert"])
            # A sink that is no longer configured is owed nothing.
            waiting = [name for name in entry["sinks"] if name in self._sinks]
            tried = [self._try(name, alert) for name in waiting if name not in failing]
            failing |= {delivery.sink for delivery in tried if delivery.error}
            reached = {delivery.sink for delivery in tried if not delivery.error}
            entry["sinks"] = [name for name in waiting if name not in reached]
            entry["attempts"] += 1
            done += tried
        self._outbox = [entry for entry in self._outbox if entry["sinks"]]
        return tuple(done)

    def _try(self, name: str, alert: Alert) -> Delivery:
        try:
            self._sinks[name].send(alert)
        except AlertError as error:
            reason = str(error)
        except Exception as error:  # a foreign sink: its words could hold a secret
            reason = f"{name}: {type(error).__name__}"
        else:
            return Delivery(name, alert)
        _logger.warning("alert not delivered, it will be tried again: %s", reason)
        return Delivery(name, alert, reason)


def _is_seen_without_a_test(told: Mapping[str, Any], rows: int) -> bool:
    """Return whether a fine window of so few rows shows the end of what stands; an older state doesn't say of what."""
    if "data" in told["kinds"] or "alert" not in told:
        return False
    return rows > 0 and 2 * rows >= told["alert"]["window"]["rows"]


def _rank(severity: str) -> int:
    return [*DRIFT_SEVERITIES].index(severity)  # type: ignore[arg-type]
