"""The real dashboard and a real browser: `benchkit dashboard` on a folder, Debian's Chromium, Playwright.

    with served(folder) as dashboard, browsing() as browser, view(browser, dashboard) as seen:
        seen.open("compare?suite=support")        ready when the page's script has run
        seen.page.get_by_role(...)                Playwright's own page

A view ends with an error when the page asked any other machine for anything, logged an error to the console, or showed
an exception. A server that was started is gone at the end, whatever happened.

Where Chromium or Playwright is missing, tests are skipped, and fail if BENCHKIT_REQUIRE_BROWSER=1 (.ci/run sets it).
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.cli import COMMAND, environment, make_project
from tests.e2e.page_runs import Runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, WebSocket

CHROMIUM = Path("/usr/bin/chromium")
REQUIRED = "BENCHKIT_REQUIRE_BROWSER"
# Limits, which only what fails reaches: a machine that does much else takes ten times as long as a free one.
START_S, END_S, SEEN_S = 240.0, 60.0, 120.0
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_READY = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
_DRAWN = '[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]'
# Streamlit tells its server of a change up to 150 ms after it. A later timer of the same page comes after that one,
# however slow the machine is.
_TELLS_MS, _DRAWS_MS = 300, 100
# Opened at /compare, Streamlit's own page first looks whether its server is below /compare, and hears 404.
_PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")


# ---------------------------------------------------------------- the server


@dataclass(frozen=True)
class Dashboard:
    """A server under way."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def children(self) -> list[psutil.Process]:
        """Return the processes that the command started."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def served(folder: Path, *args: str, env: Mapping[str, str] | None = None, port: int | None = 0) -> Iterator[Dashboard]:
    """Run `benchkit dashboard` in a folder, on a free port unless told; the server is gone when the context ends."""
    with started(folder, *args, *(() if port is None else ("--port", str(port))), env=env) as process:
        line = _first_line(process)
        assert re.fullmatch(r"http://\S+:\d+", line), f"no address but {line!r}; stderr: {_rest(process)}"
        dashboard = Dashboard(line, process)
        children = dashboard.children()
        try:
            yield dashboard
        finally:
            _end(process)
            # A command that forgot its server must not leave it to the next tests.
            for child in children:
                if child.is_running():
                    child.kill()


@contextmanager
def started(folder: Path, *args: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start `benchkit dashboard --no-browser` and end it with all that it started."""
    process = subprocess.Popen(
        [COMMAND, "dashboard", "--no-browser", *args],
        cwd=make_project(folder),
        env=environment(folder, env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        # What a shell starts in the background is deaf to Ctrl-C, and so would be what the tests start then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
    for child in below:
        if child.is_running():
            child.kill()
    _rest(process)


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line of stdout; "" where none comes in time."""
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        return lines.get(timeout=START_S).strip()
    except queue.Empty:
        return ""


def _rest(process: subprocess.Popen[str]) -> str:
    """End the process and return what it wrote to stderr; its pipes are closed."""
    if process.poll() is None:
        process.kill()
    if process.stdout is not None and process.stdout.closed:
        return ""
    return process.communicate(timeout=END_S)[1]


# ---------------------------------------------------------------- the browser


def missing() -> str:
    """Return what a browser test lacks here; "" where nothing is missing."""
    if find_spec("playwright") is None:
        return 'Playwright is not installed: pip install "benchkit[test]"'
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is missing: apt-get install chromium"
    return ""


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium; skip the test, or fail where a browser is required, when there is none."""
    if lacks := missing():
        (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)(lacks)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(_ARGUMENTS), timeout=SEEN_S * 1000
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class View:
    """A page of the browser and what it did.

    Attributes:
        errors: Errors on its console, and scripts that failed.
        foreign: Addresses on other machines that it asked for.
        runs: Of its newest connection with the server.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    runs: Runs | None = None

    def open(self, path: str = "") -> None:
        """Go to a page of the dashboard, "compare?suite=s", and wait until it is drawn."""
        self.page.goto(f"{self.url}/{path}")
        self.page.wait_for_selector(_DRAWN)
        self.settle()

    def go_to(self, title: str) -> None:
        """Click on a page in the navigation."""
        self.page.get_by_role("link", name=title, exact=True).click()
        self.page.wait_for_url(
            re.compile(rf"/{title.lower()}(\?|$)") if title != "Verdict" else re.compile(r"\d/(\?|$)")
        )
        self.settle()

    def resize(self, size: tuple[int, int]) -> None:
        """Make the window of another size, and wait until what is open is drawn in it."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        if self.runs is not None:
            self.settle()

    def settle(self) -> None:
        """Wait until the server ran all that the page asked for, and the page shows what it said."""
        deadline = time.monotonic() + SEEN_S
        while True:
            self._let_pass(_TELLS_MS)
            self.page.wait_for_selector(_READY)
            if self.runs is not None and self.runs.are_over:
                break
            assert time.monotonic() < deadline, "the server's script is still running"
        self._let_pass(_DRAWS_MS)

    def _let_pass(self, ms: int) -> None:
        """Wait for a timer of the page itself: what the page was to do before is done then."""
        self.page.evaluate("ms => new Promise(done => setTimeout(done, ms))", ms)

    def again_until(self, act: Callable[[], object], heard: Callable[[], bool]) -> None:
        """Act until the page has heard it: what is drawn looks ready before it listens, and moves while it is drawn."""
        deadline = time.monotonic() + SEEN_S
        while True:
            self.settle()
            act()
            self.settle()
            if heard():
                return
            assert time.monotonic() < deadline, "the page hears nothing"

    def text(self) -> str:
        """Return what can be read on the page, without the joiners that nobody sees (place.escaped)."""
        return self.page.locator('[data-testid="stApp"]').inner_text().replace("\u2060", "")

    def download(self, button: Locator) -> str:
        """Click on a button and return the text of the file that it gives."""
        # A click on what the script is about to draw anew reaches a button that is no longer there.
        self.settle()
        with self.page.expect_download() as kept:
            button.click()
        return Path(kept.value.path()).read_text(encoding="utf-8-sig")

    def check(self) -> None:
        """Fail where something went wrong that no assertion of a test looks for."""
        assert not self.foreign, f"asked for {self.foreign}"
        assert not self.errors, f"console: {self.errors}"
        shown = self.page.locator('[data-testid="stException"]').all_inner_texts()
        assert not shown, f"exceptions on the page: {shown}"

    def _console(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not _PROBE.search(place):
            self.errors.append(f"{message.text} ({place})")

    def _connected(self, socket: WebSocket) -> None:
        self._asked(socket.url)
        self.runs = Runs(socket)

    def _asked(self, address: str) -> None:
        own = (f"{self.url}/", f"{self.url.replace('http:', 'ws:')}/", "data:", "blob:")
        if not address.startswith(own):
            self.foreign.append(address[:200])


@contextmanager
def view(
    browser: Browser, dashboard: Dashboard, *, size: tuple[int, int] = (1280, 800), dark: bool = False
) -> Iterator[View]:
    """Open a window of a size, light or dark; at the end, fail where the page misbehaved."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        # What moves while a page is drawn shows nothing that a test looks at, and takes a third of the processor.
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.set_default_timeout(SEEN_S * 1000)
    try:
        page = context.new_page()
        seen = View(page, dashboard.url)
        page.on("console", seen._console)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda request: seen._asked(request.url))
        page.on("websocket", seen._connected)
        yield seen
        seen.check()
    finally:
        context.close()
