"""Reports and alerts for the tests of the monitor's alerts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchkit.monitor.alerts.alert import Alert, AlertError, alert_of
from benchkit.types.drift import BaselineInfo, DriftPolicy, DriftReport, Evidence, Harm, WindowInfo

HOSTILE = "a\r\nBcc: all@example.org\n<!channel> @here \"x\\ \u202e\ud800 '; </script>"


def report(**changes: Any) -> DriftReport:
    made = DriftReport(
        baseline=BaselineInfo(name="prod", created="2026-11-01", source="s", rows=20_000, dimension=384),
        window=WindowInfo(source="logs/", rows=500, start="2026-11-20T00:00", end="2026-11-21T00:00", number=7),
        policy=DriftPolicy(),
        kind="data",
        severity="warn",
        reason="5 % of the rows are of a new kind.",
        advice="Look at the examples.",
        breaks_policy=True,
        p_value=0.0004,
        checked_at="2026-11-21T10:00:00+00:00",
        evidence=Evidence(e_value=30.0, detector=1234.5, run_length=1000, windows=7),
        harm=Harm(n_canaries=5, mixed_overlap_at_10=0.75),
    )
    return replace(made, **changes)


def alert(**changes: Any) -> Alert:
    return replace(alert_of(report()), **changes)


class RecordingSink:
    """Keeps what it is sent; fails as often as it is told to."""

    def __init__(self, name: str = "recording", failures: int = 0, error: Exception | None = None) -> None:
        self.name, self.failures = name, failures
        self.error = error or AlertError(f"{name}: is away")
        self.sent: list[Alert] = []

    def send(self, alert: Alert) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise self.error
        self.sent.append(alert)
