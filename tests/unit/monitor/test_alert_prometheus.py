"""Metrics as Prometheus reads them, over a real socket."""

from __future__ import annotations

import http.client
import math
import re
import socket
import struct
import threading
import time
from dataclasses import replace

import pytest
from alerts import HOSTILE, alert, report

from benchkit.errors import UsageError
from benchkit.monitor.alerts.prometheus import Metrics, PrometheusEndpoint
from benchkit.types.drift import BaselineInfo, Evidence, WindowInfo

LABELS = '{baseline="prod",source="logs/"}'


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_two_windows_by_hand() -> None:
    metrics = Metrics()
    metrics.observe(report())
    metrics.observe(report(severity="critical"))
    metrics.alerted(alert())
    lines = metrics.text().splitlines()
    for line in (
        f"benchkit_drift_windows_total{LABELS} 2.0",
        f"benchkit_drift_rows_total{LABELS} 1000.0",
        f"benchkit_drift_p_value{LABELS} 0.0004",
        f"benchkit_drift_detector{LABELS} 1234.5",
        f"benchkit_drift_run_length{LABELS} 1000.0",
        f"benchkit_drift_severity{LABELS} 3.0",
        f"benchkit_drift_overlap{LABELS} 0.75",
        f"benchkit_drift_last_window_timestamp_seconds{LABELS} 1795255200.0",
        'benchkit_drift_alerts_total{baseline="prod",source="logs/",event="drift.alert",severity="warn"} 1.0',
        "# TYPE benchkit_drift_windows_total counter",
        "# TYPE benchkit_drift_p_value gauge",
    ):
        assert line in lines


def test_a_window_without_a_value_leaves_no_old_one() -> None:
    metrics = Metrics()
    metrics.observe(report())
    metrics.observe(report(p_value=None, evidence=None, harm=None))
    samples = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    assert not any(name in line for line in samples for name in ("p_value", "detector", "overlap"))


def test_a_restart_shows_the_last_window_and_counts_from_zero() -> None:
    metrics = Metrics()
    metrics.resume(report(severity="critical"))
    labels = '{baseline="prod",source="logs/"}'
    assert f"benchkit_drift_severity{labels} 3.0" in metrics.text()
    assert f"benchkit_drift_windows_total{labels} 0.0" in metrics.text()
    assert f"benchkit_drift_rows_total{labels} 0.0" in metrics.text()
    metrics.observe(report(severity="ok"))
    assert f"benchkit_drift_severity{labels} 0.0" in metrics.text()
    assert f"benchkit_drift_windows_total{labels} 1.0" in metrics.text()


def test_special_numbers_are_written_as_the_format_wants() -> None:
    metrics = Metrics()
    evidence = Evidence(e_value=1.0, detector=math.inf, run_length=1000, windows=1)
    metrics.observe(report(evidence=evidence, p_value=math.nan))
    assert f"benchkit_drift_detector{LABELS} +Inf\n" in metrics.text()
    assert f"benchkit_drift_p_value{LABELS} NaN\n" in metrics.text()


def test_every_line_is_of_the_text_format_whatever_the_names() -> None:
    metrics = Metrics()
    hostile = replace(report().baseline, name=HOSTILE)
    metrics.observe(report(baseline=hostile, window=WindowInfo(source=HOSTILE + "\\", rows=1)))
    value = r'"(?:[^"\\\n]|\\\\|\\"|\\n)*"'
    sample = re.compile(rf"[a-z_]+\{{[a-z]+={value}(?:,[a-z]+={value})*\}} [-+0-9.eE]+")
    comment = re.compile(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge))")
    text = metrics.text()
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert sample.fullmatch(line) or comment.fullmatch(line), line


def test_the_endpoint_serves_metrics_and_nothing_else() -> None:
    with PrometheusEndpoint(0) as endpoint:
        endpoint.metrics.observe(report())
        endpoint.send(alert())
        status, kind, body = get(endpoint.port, "/metrics?x=1")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert body == endpoint.metrics.text()
        assert 'event="drift.alert"' in body
        assert get(endpoint.port, "/metrics", "HEAD")[::2] == (200, "")
        assert get(endpoint.port, "/")[0] == 404
        assert get(endpoint.port, "/metrics/../etc")[0] == 404
        assert get(endpoint.port, "/metrics", "POST")[0] == 501


def test_a_port_that_is_taken_is_said() -> None:
    endpoint = PrometheusEndpoint(0)
    message = rf"can't listen on 127\.0\.0\.1:{endpoint.port}: Address already in use"
    with endpoint, pytest.raises(UsageError, match=message):
        PrometheusEndpoint(endpoint.port)
    with pytest.raises(UsageError, match="can't listen on"):
        PrometheusEndpoint(70_000)


def test_streams_are_apart() -> None:
    metrics = Metrics()
    metrics.observe(report())
    metrics.observe(report(baseline=BaselineInfo("other", "", "", 1, 1)))
    assert metrics.text().count("benchkit_drift_windows_total{") == 2


def test_counters_of_messages_stand_at_zero_before_the_first() -> None:
    # increase() of a series that comes up as 1 is 0, and a rule on it would miss the first alert.
    metrics = Metrics()
    metrics.resume(report())
    for event, severity in (("drift.alert", "warn"), ("drift.alert", "critical"), ("drift.recovery", "ok")):
        series = f'benchkit_drift_alerts_total{{baseline="prod",source="logs/",event="{event}",severity="{severity}"}}'
        assert f"{series} 0.0\n" in metrics.text()
    metrics.alerted(alert())
    metrics.observe(report())
    assert 'event="drift.alert",severity="warn"} 1.0\n' in metrics.text()


def test_a_scraper_that_hangs_up_or_asks_for_nonsense_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())  # a server of another test may still be at it
    with PrometheusEndpoint(0) as endpoint:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as client:
                client.sendall(b"GET /metrics HT")
                # Closed with RST, as of a scraper that is killed.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for path in ("http://[", "http://127.0.0.1/metrics", "/metrics#x", "*"):
            with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as client:
                client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                status = client.makefile("rb").readline().split()[1]
            assert status == (b"200" if path.endswith("/metrics") else b"404")
        wait_for_handlers(before)
    assert capfd.readouterr().err == ""


def wait_for_handlers(before: set[threading.Thread]) -> None:
    ends = time.monotonic() + 60
    while any("process_request_thread" in thread.name for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < ends
        time.sleep(0.02)
