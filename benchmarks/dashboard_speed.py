"""How quick the dashboard is on a full store, in a real browser.

    python benchmarks/dashboard_data.py FOLDER --runs 300 --windows 200   # once: some minutes
    python benchmarks/dashboard_speed.py FOLDER

    what                                                              wanted
    first page, from the server's first answer to its charts          at most 2.5 s
    an interaction: a slider, another page, another window            95 % within 0.3 s
    resident memory of the server after all of it                     at most 600 MiB

An interaction is timed in the browser, from the key or the click until the page's script has run and a frame was drawn.
A run that begins and ends between two of the page's updates never shows there; its WebSocket's frames tell that it was.
Needs Debian's Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
READY = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
PAGES = ("Compare", "Tasks", "Cost", "Drift", "History", "Verdict")
# What these pages draw one at a time, ending with what they draw first.
PARTS = {
    "Cost": ("throughput and memory", "index size", "latency"),
    "Drift": ("evidence", "all windows", "canaries"),
}
FIRST_S, INTERACTION_S, MEMORY_MIB = 2.5, 0.3, 600
LONGEST_S = 30
# Starts the clock at the next key or click, and stops it when the script has run and the frame is drawn; `hasRun` tells
# of a run that the page did not show.
CLOCK = """
() => {
  const app = document.querySelector('[data-testid="stApp"]');
  window.timed = new Promise(done => {
    let start = null, ran = false;
    const drawn = then => requestAnimationFrame(() => requestAnimationFrame(then));
    const stop = () => drawn(() => done(performance.now() - start));
    window.hasRun = () => drawn(() => { if (!ran) stop(); });
    const begin = () => { start = start ?? performance.now(); };
    for (const kind of ['keydown', 'mousedown']) window.addEventListener(kind, begin, {capture: true, once: true});
    new MutationObserver((_, observer) => {
      const state = app.getAttribute('data-test-script-state');
      ran = ran || state === 'running';
      if (start !== null && ran && state === 'notRunning') {
        observer.disconnect();
        stop();
      }
    }).observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
  });
}
"""


def main() -> int:
    options = _options()
    command = [str(Path(sys.executable).with_name("benchkit")), "dashboard", "--no-browser", "--port", "0"]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        first: list[float] = []
        times: dict[str, list[float]] = {}
        for _ in range(options.starts):
            server = subprocess.Popen(command, cwd=options.folder, stdout=subprocess.PIPE, text=True)
            try:
                assert server.stdout is not None
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                ends = _Ends(page)
                first.append(_first_page(page, server.stdout.readline().strip()))
                for name, values in _interactions(page, ends, options.rounds).items():
                    times.setdefault(name, []).extend(values)
                memory = _memory_mib(server.pid)
                page.close()
            finally:
                server.terminate()
                server.wait(20)
        browser.close()
    return _told(first, times, memory)


class _Ends:
    """How many runs of its script a page was told the end of."""

    def __init__(self, page: Any) -> None:
        self.page, self.told = page, 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))

    def _received(self, frame: str | bytes) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        self.told += isinstance(frame, bytes) and ForwardMsg.FromString(frame).WhichOneof("type") == "script_finished"

    def wait_for_another(self, before: int, action: str) -> None:
        until = time.monotonic() + LONGEST_S
        while self.told == before:
            if time.monotonic() > until:
                raise SystemExit(f"{action}: the page asked for no run within {LONGEST_S} s")
            self.page.wait_for_timeout(5)


def _first_page(page: Any, url: str) -> float:
    """Return the seconds from the server's first answer to a page that is drawn."""
    while not _answers(url):
        time.sleep(0.01)
    started = time.perf_counter()
    page.goto(url)
    page.wait_for_selector('[data-testid="stVegaLiteChart"] canvas, [data-testid="stVegaLiteChart"] svg')
    page.wait_for_selector(READY)
    return time.perf_counter() - started


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _interactions(page: Any, ends: _Ends, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}

    def timed(name: str, action: Callable[[], object]) -> None:
        page.wait_for_selector(READY)
        page.wait_for_timeout(400)
        page.evaluate(CLOCK)
        before = ends.told
        action()
        ends.wait_for_another(before, name)
        page.evaluate("() => window.hasRun()")
        found.setdefault(name, []).append(page.evaluate("() => window.timed") / 1000)

    for turn in range(rounds):
        slider = page.get_by_role("slider").first
        slider.focus()
        arrow = "ArrowRight" if turn % 2 else "ArrowLeft"
        for _ in range(4):
            timed("budget slider", partial(page.keyboard.press, arrow))
        for title in PAGES:
            name = f"page {title}" + (", first time" if turn == 0 else "")
            timed(name, page.get_by_role("link", name=title, exact=True).click)
            for part in PARTS.get(title, ()):
                timed("another part of a page", page.get_by_role("radio", name=part, exact=True).click)
            if title == "Drift":
                for step in ("Previous", "Previous", "Next"):
                    timed("another window", page.get_by_role("button", name=step).first.click)
    return found


def _memory_mib(pid: int) -> float:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(max(process.memory_info().rss for process in processes) / 2**20)


def _told(first: list[float], times: dict[str, list[float]], memory: float) -> int:
    everything = sorted(value for values in times.values() for value in values)
    p95 = everything[min(len(everything) - 1, round(0.95 * len(everything)))]
    print(f"{'what':34s}{'n':>4s}{'median':>9s}{'max':>9s}")
    print(f"{'first page (s)':34s}{len(first):4d}{statistics.median(first):9.2f}{max(first):9.2f}")
    for name, values in sorted(times.items()):
        print(f"{name:34s}{len(values):4d}{statistics.median(values):9.3f}{max(values):9.3f}")
    print(f"all interactions: 95 % within {p95:.3f} s (wanted {INTERACTION_S}); first page wanted {FIRST_S} s")
    print(f"resident memory: {memory:.0f} MiB (wanted {MEMORY_MIB})")
    kept = statistics.median(first) <= FIRST_S and p95 <= INTERACTION_S and memory <= MEMORY_MIB
    return int(not kept)


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="project folder that dashboard_data.py filled")
    parser.add_argument("--starts", type=int, default=3, help="starts of the server [3]")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of interactions for each start [4]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
