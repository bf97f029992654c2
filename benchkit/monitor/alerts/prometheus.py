"""What a watch says, as metrics that Prometheus scrapes.

    DriftReport ── Metrics.observe ─┐
    Alert ──────── Metrics.alerted ─┴─ GET /metrics, text format 0.0.4 ──> Prometheus

Counters begin at zero with each start of the watch, as Prometheus expects; those of messages stand there at zero with
the first window, because increase() doesn't see a counter that comes up as 1. Gauges are of the last window, also where
that was before the start: a restart must not look like the end of what stands. A gauge whose window has no such value
(a window too small for a test has no p-value) is left out rather than kept from before.
Source: prometheus.io, "Exposition formats", "Text-based format".
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import Alert
from benchkit.types.drift import DRIFT_SEVERITIES, DriftReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "benchkit_drift_"
_METRICS = {
    "windows_total": ("counter", "Windows that were checked."),
    "rows_total": ("counter", "Rows of these windows."),
    "alerts_total": ("counter", "Alerts, reminders and recoveries that were told, by event and severity."),
    "p_value": ("gauge", "Joint p-value of the last window."),
    "detector": ("gauge", "Shiryaev-Roberts sum over the windows; an alarm at run_length."),
    "run_length": ("gauge", "Windows between two false alarms, at least, on the average."),
    "severity": ("gauge", "Of the last window: 0 ok, 1 info, 2 warn, 3 critical."),
    "overlap": ("gauge", "Share of the ten nearest neighbours of canaries that stay, new vectors in the live index."),
    "last_window_timestamp_seconds": ("gauge", "When the last window was checked."),
}
_TOLD = (("drift.alert", "warn"), ("drift.alert", "critical"), ("drift.recovery", "ok"), ("drift.recovery", "info"))
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """The values; any thread may change and read them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in _METRICS}

    def observe(self, report: DriftReport) -> None:
        """Take in a window."""
        self._count(report, windows=1, rows=report.window.rows)

    def resume(self, report: DriftReport) -> None:
        """Show the last window of before the start; nothing is counted."""
        self._count(report, windows=0, rows=0)

    def _count(self, report: DriftReport, *, windows: int, rows: int) -> None:
        labels = (("baseline", report.baseline.name), ("source", report.window.source))
        evidence, harm = report.evidence, report.harm
        with self._lock:
            self._add("windows_total", labels, windows)
            self._add("rows_total", labels, rows)
            for event, severity in _TOLD:
                self._add("alerts_total", (*labels, ("event", event), ("severity", severity)), 0)
            self._set("p_value", labels, report.p_value)
            self._set("detector", labels, evidence.detector if evidence else None)
            self._set("run_length", labels, evidence.run_length if evidence else None)
            self._set("severity", labels, DRIFT_SEVERITIES.index(report.severity))
            self._set("overlap", labels, harm.mixed_overlap_at_10 if harm else None)
            self._set("last_window_timestamp_seconds", labels, _seconds(report.checked_at))

    def alerted(self, alert: Alert) -> None:
        """Count a message."""
        told = (("event", alert.event), ("severity", alert.severity))
        with self._lock:
            self._add("alerts_total", (("baseline", alert.baseline), ("source", alert.source), *told), 1)

    def text(self) -> str:
        """Return all values in the text format."""
        with self._lock:
            return "".join(_family(name, values) for name, values in self._values.items())

    def _add(self, name: str, labels: Labels, amount: float) -> None:
        self._values[name][labels] = self._values[name].get(labels, 0.0) + amount

    def _set(self, name: str, labels: Labels, value: float | None) -> None:
        self._values[name].pop(labels, None)
        if value is not None:
            self._values[name][labels] = value


def _family(name: str, values: dict[Labels, float]) -> str:
    kind, meaning = _METRICS[name]
    full = _PREFIX + name
    lines = [f"# HELP {full} {meaning}", f"# TYPE {full} {kind}"]
    lines += [f"{full}{{{_labels(labels)}}} {_number(value)}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    safe = value.encode("utf-8", "replace").decode()
    return safe.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    # repr() of Python writes "inf" and "nan"; the format wants these.
    special = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
    written = repr(float(value))
    return special.get(written, written)


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


# ------------------------------------------------------------ the endpoint


class PrometheusEndpoint:
    """Serves /metrics from a thread of its own; as a sink it counts alerts.

    Args:
        port: 0 takes a free one; `port` says which.
        host: The address that it listens on; "" is every address of the machine.

    Raises:
        UsageError: the port can't be had.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        try:
            self._server = _Server((host, port), self.metrics)
        except (OSError, OverflowError) as error:
            words = getattr(error, "strerror", None) or error
            raise UsageError(f"metrics: can't listen on {host or '*'}:{port}: {words}; choose another port") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="benchkit-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def name(self) -> str:
        return "prometheus"

    def send(self, alert: Alert) -> None:
        """Count an alert; never fails."""
        self.metrics.alerted(alert)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> PrometheusEndpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a scraper that hangs must not hold the end of a watch

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        self.metrics = metrics
        super().__init__(address, _Page)

    def server_bind(self) -> None:
        # HTTPServer's own asks the network for the machine's name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a scraper that hangs up, where the library writes a traceback to stderr."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


# As a path, or as the address that a proxy passes on; what follows "?" is of no matter.
_IS_METRICS = re.compile(r"(https?://[^/?#]*)?/metrics(\?.*)?")


class _Page(BaseHTTPRequestHandler):
    timeout = 10  # of a client that says nothing
    server_version = "benchkit"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        if not _IS_METRICS.fullmatch(self.path):
            self.send_error(404, "only /metrics is here")
            return
        body = self.server.metrics.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  the library's name

    def log_message(self, *_: object) -> None:
        """Scrapes every few seconds are no news."""
