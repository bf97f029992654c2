"""`benchkit dashboard` before it serves: addresses, names, ports, and what reaches the server and what doesn't."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from local_server import LocalServer

from benchkit.cli import dashboard, dashboard_server
from benchkit.cli.dashboard_server import Heard, Request, running
from benchkit.cli.main import main
from benchkit.errors import UsageError


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another program listens on."""
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def request(port: int | None = 8600, address: str = "127.0.0.1") -> Request:
    return Request(address, port, ["127.0.0.1", "board.example"], {"BENCHKIT_DASHBOARD_TRACKING_URI": "http://me:s@h"})


# ---------------------------------------------------------------- addresses and names


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("127.0.0.9", "127.0.0.9"),
    ],
)
def test_this_machines_own_addresses_need_no_leave(written: str, meant: str) -> None:
    assert dashboard._checked_address(written, allow_remote=False) == meant


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", "::ffff:10.0.0.1"])
def test_addresses_that_others_reach_need_leave(address: str) -> None:
    with pytest.raises(UsageError, match="no login unless OIDC is configured"):
        dashboard._checked_address(address, allow_remote=False)
    assert dashboard._checked_address(address, allow_remote=True)


def test_a_name_is_no_address() -> None:
    with pytest.raises(UsageError, match=r"'example\.org': expected an IP address"):
        dashboard._checked_address("example.org", allow_remote=True)


def test_only_own_names_may_ask_for_data() -> None:
    assert dashboard._allowed_hosts("127.0.0.1", ["board.example"]) == (
        "127.0.0.1",
        "localhost",
        "::1",
        "board.example",
    )
    remote = dashboard._allowed_hosts("0.0.0.0", [])
    assert socket.gethostname() in remote
    assert "0.0.0.0" not in remote
    assert "*" not in remote
    assert "192.0.2.7" in dashboard._allowed_hosts("192.0.2.7", [])


# ---------------------------------------------------------------- ports


def test_a_busy_port_is_told_or_passed_over(busy: int) -> None:
    with pytest.raises(UsageError, match=f"--port {busy}: the port is busy at 127.0.0.1; name another"):
        dashboard_server._free_port("127.0.0.1", busy, searches=False)
    assert dashboard_server._free_port("127.0.0.1", busy, searches=True) > busy


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UsageError, match=r"--address 192\.0\.2\.7: .*; is it an address of this machine\?"):
        dashboard_server._free_port("192.0.2.7", 8501, searches=True)


def test_an_answer_of_another_server_is_not_taken_for_our_own(busy: int) -> None:
    assert dashboard_server._listens(os.getpid(), busy)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        assert not dashboard_server._listens(idle.pid, busy)
        idle.communicate(b"\n")


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_child_is_not_ready_because_another_server_answers_on_its_port() -> None:
    idle = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with LocalServer(_Healthy) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        port = other.server_address[1]
        child = dashboard_server.Child(idle, f"http://127.0.0.1:{port}", {})
        try:
            assert dashboard_server._is_healthy(f"{child.url}/_stcore/health")
            assert not child.is_ready(port)
        finally:
            child.end()
            other.shutdown()


# ---------------------------------------------------------------- the server


def test_the_command_line_closes_what_is_open_and_holds_no_secret() -> None:
    line = dashboard_server._command_line(request(), 8600)
    assert line[:5] == [sys.executable, "-P", "-m", "dashboards.serve", "run"]
    assert Path(line[5]).is_file()
    for flag in (
        "--server.address=127.0.0.1",
        "--server.port=8600",
        "--server.headless=true",
        "--server.allowedHosts=127.0.0.1",
        "--server.allowedHosts=board.example",
        "--server.enableCORS=true",
        "--server.enableXsrfProtection=true",
        "--server.enableAgentApi=false",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    ):
        assert flag in line, flag
    assert "me:s@h" not in " ".join(line)


def test_streamlit_knows_every_option() -> None:
    from streamlit import config

    for part in dashboard_server._command_line(request(), 8600)[6:]:
        name = part.removeprefix("--").partition("=")[0]
        assert config.get_option(name) is not None or name in config._config_options_template, name


def test_our_dashboards_are_found_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = dashboard_server.environment_of({"X": "y"})["PYTHONPATH"].split(":")
    assert path == [str(dashboard_server.dashboards_folder().parent), str(tmp_path)]
    assert dashboard_server.environment_of({"X": "y"})["X"] == "y"


def test_a_server_that_does_not_come_up_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; print('about me:s@h'); print('a reason', file=sys.stderr); sys.exit(7)"
    monkeypatch.setattr(dashboard_server, "_command_line", lambda request, port: [sys.executable, "-c", script])
    with (
        pytest.raises(UsageError) as caught,
        running(request(0), Heard(), hidden={"me:s@h": "me:***@h"}),
    ):
        pass
    assert str(caught.value) == "the dashboard's server ended with exit code 7:\nabout me:***@h\na reason"


def test_a_server_that_never_answers_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dashboard_server, "_command_line", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    monkeypatch.setattr(dashboard_server, "_START_S", 0.4)
    with pytest.raises(UsageError, match="doesn't answer after 0 s"), running(request(0), Heard(), hidden={}):
        pass


def test_a_port_that_is_lost_at_the_last_moment_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def line(request: Request, port: int) -> list[str]:
        tried.append(port)
        return [sys.executable, "-c", "import time; time.sleep(60)" if len(tried) > 1 else "raise SystemExit(1)"]

    monkeypatch.setattr(dashboard_server, "_command_line", line)
    problems = iter([None, "the port is busy"])  # free when it was chosen, busy when its server had ended
    monkeypatch.setattr(dashboard_server, "_problem_of", lambda address, port: next(problems, None))
    heard = Heard()
    threading.Timer(1.0, heard.stop.set).start()
    with running(request(None), heard, hidden={}) as child:
        assert child.process.poll() is None
    assert tried == [8501, 8502]
    assert child.process.poll() is not None, "gone at the end"


def test_a_server_that_is_deaf_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(dashboard_server, "_command_line", lambda request, port: [sys.executable, "-c", deaf])
    monkeypatch.setattr(dashboard_server, "_STOP_S", 0.3)
    heard = Heard()
    threading.Timer(0.5, heard.stop.set).start()
    with running(request(0), heard, hidden={}) as child:
        pass
    assert child.process.returncode == -9


def test_the_server_of_a_killed_command_ends_in_order() -> None:
    """Its pipes are closed then: what it says at its end has no reader, and that must not keep it up."""
    port = dashboard_server._free_port("127.0.0.1", 0, searches=False)
    served = subprocess.Popen(
        dashboard_server._command_line(request(port), port),
        env=dashboard_server.environment_of({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert served.stdin is not None
        assert served.stdout is not None
        deadline = time.monotonic() + dashboard_server._START_S
        while not dashboard_server._is_healthy(f"http://127.0.0.1:{port}/_stcore/health"):
            assert served.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        served.stdout.close()
        served.stdin.close()  # at which it ends
        assert served.wait(60) == 0, "1: it was deaf, and ended by force after dashboards.serve's five seconds"
    finally:
        served.kill()
        served.wait()


# ---------------------------------------------------------------- the command


def test_help_imports_no_streamlit() -> None:
    code = (
        "import sys; from benchkit.cli.main import main; main(['dashboard', '--help'])\n"
        "heavy = {'streamlit', 'mlflow', 'torch', 'pandas', 'psutil'} & set(sys.modules); assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "--allow-remote" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--tracking-uri", "ftp://x"], "benchkit doesn't know 'ftp'"),
        (["--address", "10.0.0.1"], "add --allow-remote if that is meant"),
    ],
)
def test_wrong_usage_starts_nothing(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dashboard_server, "_start", lambda *args: pytest.fail("a server was started"))
    assert main(["dashboard", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("system", "environ", "has"),
    [
        ("Linux", {}, False),
        ("Linux", {"DISPLAY": ":0"}, True),
        ("Linux", {"WAYLAND_DISPLAY": "w"}, True),
        ("Darwin", {}, True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_screen(
    system: str, environ: dict[str, str], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("platform.system", lambda: system)
    assert dashboard._has_display() is has
