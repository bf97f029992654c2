"""`benchkit drift watch` of texts that an endpoint encodes: one that is away is waited for, and no row counts twice."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from drift_data import DIMENSION
from openai_server import OpenAIServer, Vectors, hashed_vectors

from benchkit.errors import ModelError
from benchkit.models import openai_client
from benchkit.monitor import WatchRequest, history, watch_source
from tests.e2e.cli import call_benchkit, start_benchkit

hashed = partial(hashed_vectors, dim=DIMENSION)
MANY = 100_000
WATCH = ("drift", "watch", "log", "--baseline", "prod", "--window-size", "250", "--no-track", "--no-canary")


def write_texts(path: Path, n: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{path.stem} says {number}\n" for number in range(n)))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with OpenAIServer(hashed) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield running


@pytest.fixture
def project(tmp_path: Path, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a baseline of texts and a log of 300 of them."""
    monkeypatch.chdir(tmp_path)
    write_texts(tmp_path / "reference.txt", 500)
    write_texts(tmp_path / "log" / "a.txt", 300)
    create = ["drift", "baseline", "create", "prod", "--from", "reference.txt", "--model", "openai:house"]
    made = call_benchkit(create, tmp_path)
    assert made.code == 0, made.err
    return tmp_path


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client's own retries take no time; how often it tries stays."""
    monkeypatch.setattr(openai_client, "LONGEST_WAIT_S", 0.001)


class Following:
    """A watch in a thread of its own."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.rows: list[int] = []
        self.errors: list[Exception] = []
        self.stop = Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        request = WatchRequest("log", "prod", size=250, poll_s=0.02, batch_rows=100, ask_canaries=False, track=False)
        try:
            watch_source(
                request,
                stop=self.stop,
                on_report=lambda report: self.rows.append(report.window.rows),
                on_message=self.said.append,
            )
        except Exception as exc:
            self.errors.append(exc)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, (self.said, self.rows)
            assert not self.errors or condition(), self.errors
            time.sleep(0.01)

    @property
    def waits(self) -> int:
        return sum("waiting for the model: openai:house: " in said for said in self.said)


@contextmanager
def following() -> Iterator[Following]:
    watch = Following()
    watch._thread.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        watch._thread.join(60)
        assert not watch._thread.is_alive()


def dies_after(server: OpenAIServer, requests: int) -> Callable[[Sequence[str]], Vectors]:
    """Return vectors that an endpoint gives so many times and is away then."""
    left = [requests]

    def answer(texts: Sequence[str]) -> Vectors:
        left[0] -= 1
        if not left[0]:
            server.fail(503, times=MANY)
        return hashed(texts)

    return answer


@pytest.mark.usefixtures("hasty")
def test_an_endpoint_that_is_away_is_waited_for_and_nothing_is_counted_twice(
    project: Path, server: OpenAIServer
) -> None:
    with following() as watch:
        watch.until(lambda: len(watch.rows) == 1)
        server.fail(503, times=MANY)
        write_texts(project / "log" / "b.txt", 300)
        watch.until(lambda: watch.waits == 1)
        asked = server.n_requests
        watch.until(lambda: server.n_requests > asked + 20)  # it tries again and again, and says so once
        assert (watch.waits, watch.rows, watch.errors) == (1, [250], [])
        server.failures.clear()
        watch.until(lambda: len(watch.rows) == 2)
        # It dies while batches are under way, each of which takes four requests.
        server.vectors = dies_after(server, 6)
        write_texts(project / "log" / "c.txt", 300)
        watch.until(lambda: watch.waits == 2)
        server.failures.clear()
        watch.until(lambda: len(watch.rows) == 3)
    assert (watch.waits, len(watch.said), watch.errors) == (2, 2, [])
    interrupted = [report.p_value for report in history("prod")]
    # The same rows at once, against the same baseline, are the same windows.
    state = project / "mlruns" / "drift" / "state.db"
    for path in state.parent.glob("state.db*"):
        path.unlink()
    assert call_benchkit([*WATCH, "--once"], project).code in (0, 1)
    assert [report.p_value for report in history("prod")] == pytest.approx(interrupted, rel=1e-6)


@pytest.mark.usefixtures("hasty", "project")
@pytest.mark.parametrize("status", [401, 404])
def test_an_endpoint_that_refuses_ends_the_watch(server: OpenAIServer, status: int) -> None:
    def refuses_after_the_probe(texts: Sequence[str]) -> Vectors:
        server.fail(status, times=MANY)
        return hashed(texts)

    server.vectors = refuses_after_the_probe
    with following() as watch:
        watch.until(lambda: bool(watch.errors))
    (error,) = watch.errors
    assert isinstance(error, ModelError)
    assert (f"status {status}" in str(error), watch.waits, watch.rows) == (True, 0, [])


@pytest.mark.usefixtures("hasty", "project")
def test_an_endpoint_that_never_answered_ends_the_watch(server: OpenAIServer) -> None:
    server.fail(503, times=MANY)
    with following() as watch:
        watch.until(lambda: bool(watch.errors))
    assert isinstance(watch.errors[0], ModelError)
    assert (watch.waits, watch.rows) == (0, [])


@pytest.mark.usefixtures("hasty")
def test_a_watch_of_what_is_there_does_not_wait_for_an_endpoint(project: Path, server: OpenAIServer) -> None:
    server.vectors = dies_after(server, 3)
    ended = call_benchkit([*WATCH, "--once", "--alert", "jsonl:alerts.jsonl"], project)
    assert ended.code == 2
    assert "status 503: planted 503 (tried 7 times)" in ended.err
    # The same as of a database that is away: whoever starts it again and again isn't told each time.
    assert not (project / "alerts.jsonl").exists()


def ends_soon_while_the_endpoint_is_away(command: Sequence[str], project: Path, server: OpenAIServer) -> None:
    """Follow until the endpoint fails, end the watch by SIGTERM, and let the endpoint answer again."""
    with start_benchkit([*command, "--poll", "0.05"], project) as running:
        deadline = time.monotonic() + 60
        while not server.failures:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        ended = running.finish()
        assert time.monotonic() - sent < 7
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "stopped after 0 windows" in ended.stderr
    server.vectors = hashed
    server.failures.clear()


def test_sigterm_while_an_endpoint_is_away_ends_soon_and_the_next_start_goes_on(
    project: Path, server: OpenAIServer
) -> None:
    server.vectors = dies_after(server, 6)  # the probe, and a part of the only batch: now the client waits
    ends_soon_while_the_endpoint_is_away(WATCH, project, server)
    again = call_benchkit([*WATCH, "--once"], project)
    assert "stopped after 1 window;" in again.err
    reports = [json.loads(line) for line in call_benchkit(["drift", "history", "--json"], project).out.splitlines()]
    assert [report["window"]["rows"] for report in reports] == [250]


def test_sigterm_while_an_endpoint_is_asked_the_canaries_ends_soon_and_no_window_is_lost(
    project: Path, server: OpenAIServer
) -> None:
    renew = ["drift", "baseline", "renew", "prod", "--from", "reference.txt", "--model", "openai:house"]
    write_texts(project / "canaries.txt", 20)
    assert call_benchkit([*renew, "--canary", "canaries.txt"], project).code == 0
    asked = [option for option in WATCH if option != "--no-canary"]
    left = {f"a says {number}" for number in range(300)}

    def answer(texts: Sequence[str]) -> Vectors:
        left.difference_update(texts)
        if not left:  # the canaries come next: the window is full
            server.fail(503, times=MANY)
        return hashed(texts)

    server.vectors = answer
    ends_soon_while_the_endpoint_is_away(asked, project, server)
    again = call_benchkit([*asked, "--once"], project)
    assert "stopped after 1 window;" in again.err
    (report,) = [json.loads(line) for line in call_benchkit(["drift", "history", "--json"], project).out.splitlines()]
    assert report["window"]["rows"] == 250
    assert report["harm"]["n_canaries"] == 20
