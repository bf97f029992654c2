"""An alert: what a sink is handed, made of what a window says.

DriftReport ── alert_of ──> Alert ── Dispatcher (dispatch.py) ──> Sink.send (sinks of this package)

An alert holds no vectors and no texts of production, but its sentences name sources and segments, which others chose:
every sink escapes them for where they are shown.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import BenchkitError
from benchkit.types.drift import ChangeKind, DriftReport, DriftSeverity, WindowInfo

LONGEST = 500  # characters of a sentence in a message


class AlertError(BenchkitError):
    """An alert could not be delivered; says where to and why, and holds no secret."""


class AlertRefused(AlertError):
    """The receiver doesn't take this alert for what it holds; it may take others."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message.

    Attributes:
        baseline: Name of the baseline.
        source: What was looked at.
        severity, kind, reason, advice: As in the report; of a recovery, those of the window that is fine again.
        p_value: Of the window; None where it had too few rows for a test.
        detector, run_length: The sum over the windows so far, and where it alarms; None of a single check.
        time: When the window was checked (ISO 8601, UTC).
        key: The stream: messages of one key are told once for each change of its state.
        is_recovery: The stream was bad and is fine again.
        is_reminder: It was told before and still holds.
    """

    baseline: str
    source: str
    window: WindowInfo
    severity: DriftSeverity
    kind: ChangeKind
    reason: str
    advice: str
    p_value: float | None
    detector: float | None
    run_length: int | None
    time: str
    key: str
    is_recovery: bool = False
    is_reminder: bool = False

    @property
    def id(self) -> str:
        """The same for the same message however often it is sent: receivers can tell a repetition by it."""
        return digest_json(dataclasses.asdict(self))

    @property
    def event(self) -> str:
        """One of "drift.alert", "drift.reminder" and "drift.recovery"."""
        if self.is_recovery:
            return "drift.recovery"
        return "drift.reminder" if self.is_reminder else "drift.alert"

    @property
    def headline(self) -> str:
        """One line, without control characters."""
        state = "recovered" if self.is_recovery else f"{'still ' if self.is_reminder else ''}{self.severity}"
        kind = "" if self.kind == "none" else f" ({self.kind})"
        return plain(f"{state}: embeddings of {self.source} against {self.baseline}{kind}", 200)

    def to_json(self) -> dict[str, Any]:
        """Return the form of JSON lines and webhooks: every field, `event` and `id`."""
        return {"event": self.event, "id": self.id, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Alert:
        """Read what `to_json` returned; fields of a newer benchkit are left out.

        Raises:
            TypeError, KeyError: it isn't such a form.
        """
        window = WindowInfo(**_known(form["window"], WindowInfo))
        return cls(**{**_known(form, cls), "window": window})


@runtime_checkable
class Sink(Protocol):
    """Where alerts go.

    Attributes:
        name: How people and the state know it; holds no secret, and differs between two sinks.
    """

    @property
    def name(self) -> str: ...

    def send(self, alert: Alert) -> None:
        """Deliver an alert, or give up in bounded time.

        Raises:
            AlertError: it was not delivered; AlertRefused where another one may be.
        """
        ...


def alert_of(report: DriftReport) -> Alert:
    """Return the alert that a report would make; the dispatcher decides whether anybody is told."""
    evidence = report.evidence
    return Alert(
        baseline=report.baseline.name,
        source=report.window.source,
        window=report.window,
        severity=report.severity,
        kind=report.kind,
        reason=report.reason,
        advice=report.advice,
        p_value=_finite(report.p_value),
        detector=None if evidence is None else _finite(evidence.detector),
        run_length=None if evidence is None else evidence.run_length,
        time=report.checked_at,
        key=digest_json([report.baseline.name, report.window.source]),
    )


def _known(form: Mapping[str, Any], cls: type[Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {name: value for name, value in form.items() if name in names}


def _finite(value: float | None) -> float | None:
    """Return a number that JSON can hold: a sum beyond all bounds as the largest, none for NaN."""
    if value is None or math.isnan(value):
        return None
    return min(value, sys.float_info.max)


def plain(text: str, most: int = LONGEST) -> str:
    """Return a text on one line, without control characters and marks that change the reading direction, cut to fit.

    >>> plain("line\\nBcc: all@x.org")
    'line Bcc: all@x.org'
    """
    shown = "".join(" " if unicodedata.category(sign) in _UNSEEN else sign for sign in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def facts(alert: Alert) -> list[tuple[str, str]]:
    """Return what people are told besides the headline: (name, value), each on one line."""
    window = alert.window
    span = f"{window.start} to {window.end}" if window.start else f"number {window.number}"
    rows = [
        ("Why", alert.reason),
        ("What to do", "" if alert.is_recovery else alert.advice),
        ("Window", f"{span}, {window.rows} rows"),
        ("p-value", "" if alert.p_value is None else f"{alert.p_value:.2g}"),
        ("Detector", "" if alert.detector is None else f"{alert.detector:.3g}, alarm at {alert.run_length}"),
        ("Checked", alert.time),
    ]
    return [(name, plain(value)) for name, value in rows if value]
