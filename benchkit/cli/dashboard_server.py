"""The Streamlit server that `benchkit dashboard` starts, watches and ends.

    Request ── running ── a free port, the child, its health ──> Child ── wait: until a signal or its end ── gone

Benchkit's own process imports no Streamlit, and the child none of benchkit's libraries that compute.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchkit.cli.streams import say
from benchkit.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError

FIRST_PORT = 8501
_PORTS = 100
_START_S = 60.0  # 1.1 to 1.9 s on an idle machine; a cold disk takes 20
_STOP_S = 5.0
_POLL_S = 0.1
_LAST_LINES = 12
_LOGIN_S = 5.0
_LOGIN = "benchkit login: "  # dashboards.serve writes it before anything else


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be served: `port` None is the first free one from 8501 on, 0 any free one."""

    address: str
    port: int | None
    hosts: Sequence[str]
    environment: Mapping[str, str]


@dataclass(slots=True)
class Heard:
    """Whether the end was asked for, and the exit code that it means."""

    code: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def signals_heard() -> Iterator[Heard]:
    """Take Ctrl-C (130), SIGTERM and a closed terminal (0) as the wish to end."""
    heard = Heard()

    def hear(signum: int, frame: object) -> None:
        heard.code = EXIT_INTERRUPTED if signum == signal.SIGINT else EXIT_OK
        heard.stop.set()

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    before = {name: signal.signal(getattr(signal, name), hear) for name in names if hasattr(signal, name)}
    try:
        yield heard
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


class Child:
    """A server under way, and what it says."""

    def __init__(self, process: subprocess.Popen[str], url: str, hidden: Mapping[str, str]) -> None:
        self.process, self.url = process, url
        self.is_heard = False
        self._login = ""
        self._is_told = threading.Event()
        assert process.stdout is not None
        self._stdout = process.stdout
        self._hidden = hidden
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Keep the last lines, and pass them on to stderr once the server is up."""
        for line in self._stdout:
            told = without(line.rstrip(), self._hidden)
            if told.startswith(_LOGIN) and not self._is_told.is_set():
                self._login = told.removeprefix(_LOGIN)
                self._is_told.set()
                continue
            self._lines.append(told)
            if self.is_heard and told:
                say(told)

    def login(self) -> str:
        """Return "asked" where it asks for a login, "none" where not, else why nobody can log in."""
        self._is_told.wait(_LOGIN_S)
        return self._login or "none"

    def is_ready(self, port: int) -> bool:
        """Tell whether this very child answers: on its port, another's server may have been a little faster."""
        return _listens(self.process.pid, port) and _is_healthy(f"{self.url}/_stcore/health")

    def wait(self, heard: Heard) -> int | None:
        """Wait for a signal and return its exit code; None where the child ended by itself."""
        while self.process.poll() is None and not heard.stop.wait(_POLL_S):
            pass
        return heard.code

    def last_words(self) -> str:
        """Return why it ended, or doesn't answer, as far as it said so."""
        code = self.process.poll()
        if code is not None:
            self._reader.join(timeout=1)
        said = "\n".join(line for line in self._lines if line)
        fate = f"doesn't answer after {_START_S:.0f} s" if code is None else f"ended with exit code {code}"
        return f"the dashboard's server {fate}" + (f":\n{said}" if said else "")

    def end(self) -> None:
        """End it: in order, and by force where it doesn't listen."""
        self.is_heard = False
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(timeout=1)
        if self.process.stdin is not None:
            self.process.stdin.close()
        if not self._reader.is_alive():
            self._stdout.close()


@contextmanager
def running(request: Request, heard: Heard, *, hidden: Mapping[str, str]) -> Iterator[Child]:
    """Start the server and yield it when it answers, or when a signal came first; it is gone at the end.

    Raises:
        UsageError: the port is busy, the address isn't this machine's, or the server didn't come up.
    """
    first = FIRST_PORT if request.port is None else request.port
    while True:
        port = _free_port(request.address, first, searches=request.port is None)
        child = _start(request, port, hidden)
        try:
            if _came_up(child, port, heard):
                child.is_heard = True
                yield child
                return
            if not (request.port is None and _problem_of(request.address, port) is not None):
                raise UsageError(child.last_words())
            first = port + 1  # another program took the port in the meantime
        finally:
            child.end()


def _start(request: Request, port: int, hidden: Mapping[str, str]) -> Child:
    process = subprocess.Popen(  # noqa: S603  # Streamlit of this environment
        _command_line(request, port),
        env=environment_of(request.environment),
        stdin=subprocess.PIPE,  # dashboards.serve ends when it closes, also where this process was killed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(request.address, request.address)  # noqa: S104
    return Child(process, f"http://{f'[{host}]' if ':' in host else host}:{port}", hidden)


def _command_line(request: Request, port: int) -> list[str]:
    """Return what is run; what is said here wins over a config.toml and over the environment."""
    options = {
        "server.headless": "true",  # we open the browser
        "server.address": request.address,
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.enableAgentApi": "false",
        "server.enableStaticServing": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "client.showErrorLinks": "false",
        "global.developmentMode": "false",
        # Streamlit's own is red, which beside limits and verdicts would say that something is wrong. One colour for
        # both themes would leave no dark one.
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.primaryColor": "#56B4E9",
        # The grounds and inks of the reports, which the charts are made for (benchkit.report.charts.base).
        "theme.light.backgroundColor": "#ffffff",
        "theme.light.secondaryBackgroundColor": "#f4f7fa",
        "theme.light.textColor": "#1b2430",
        "theme.dark.backgroundColor": "#14191f",
        "theme.dark.secondaryBackgroundColor": "#1c232b",
        "theme.dark.textColor": "#e6ebf1",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    flags += [f"--server.allowedHosts={host}" for host in request.hosts]
    # -P: a folder "dashboards" or a file "streamlit.py" where the user stands is not ours.
    return [sys.executable, "-P", "-m", "dashboards.serve", "run", str(dashboards_folder() / "app.py"), *flags]


def dashboards_folder() -> Path:
    """Return the folder of the dashboard: in an installed wheel or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_dashboards" / "dashboards"
    return installed if installed.is_dir() else package.parent / "dashboards"


def environment_of(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that imports `dashboards`."""
    path = os.pathsep.join(filter(None, (str(dashboards_folder().parent), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **extra}


def without(text: str, hidden: Mapping[str, str]) -> str:
    """Return a text in which no secret stands: each is replaced by what may be shown for it."""
    for secret, shown in hidden.items():
        text = text.replace(secret, shown)
    return text


def _came_up(child: Child, port: int, heard: Heard) -> bool:
    """Wait until it answers (True), a signal comes (True), or it ends or takes too long (False)."""
    deadline = time.monotonic() + _START_S
    while child.process.poll() is None and time.monotonic() < deadline:
        if child.is_ready(port) or heard.stop.wait(_POLL_S):
            return True
    return heard.stop.is_set()


def _listens(pid: int, port: int) -> bool:
    import psutil

    try:
        found = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(part.status == psutil.CONN_LISTEN and part.laddr.port == port for part in found)


def _is_healthy(url: str) -> bool:
    # No proxy of the environment stands between two processes of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port(address: str, first: int, *, searches: bool) -> int:
    if first == 0:
        with closing(_bound(address, 0)) as probe:
            return int(probe.getsockname()[1])
    for port in range(first, min(first + _PORTS, 65536)) if searches else (first,):
        problem = _problem_of(address, port)
        if problem is None:
            return port
        if not searches:
            raise UsageError(f"--port {port}: {problem}; name another, or leave --port out for the next free one")
    raise UsageError(f"no port from {first} to {first + _PORTS - 1} is free at {address}; name one: --port N")


def _problem_of(address: str, port: int) -> str | None:
    """Return why nothing can be served there; None where it can."""
    try:
        _bound(address, port).close()
    except PermissionError:
        return "only an administrator may serve there"
    except OSError as problem:
        import errno

        if problem.errno == errno.EADDRINUSE:
            return f"the port is busy at {address}"
        raise UsageError(f"--address {address}: {problem.strerror}; is it an address of this machine?") from problem
    return None


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As the server does: a connection that was closed a minute ago doesn't keep the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        return bound
    except OSError:
        bound.close()
        raise
