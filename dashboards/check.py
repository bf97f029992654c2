"""Draws every page once without a browser, on the real store: `benchkit dashboard --check`.

each page ── AppTest ──> its exceptions ── none: "6 pages ok; 12 comparisons, 3 gates, 40 drift checks", 0
                                         └ any: which page, and why, 1
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from benchkit.errors import BenchkitError
from dashboards.login import asked
from dashboards.place import unescaped
from dashboards.theme import PAGES, UNREAD

_SECONDS = 120


def main() -> int:
    """Print what was found and return the exit code."""
    # Streamlit warns that no browser is there, which is meant.
    logging.getLogger("streamlit").setLevel(logging.CRITICAL)
    try:
        problems = _problems_of_login() or [problem for page in PAGES for problem in _problems(page.path)]
        found = _found()
    except BenchkitError as problem:
        sys.stdout.write(f"{problem}\n")
        return problem.exit_code
    sys.stdout.write("\n".join(problems or [f"{len(PAGES)} pages ok; {found}"]) + "\n")
    return 1 if problems else 0


def _problems_of_login() -> list[str]:
    problem = asked().problem
    return [f"nobody can log in: {problem}"] if problem else []


def _problems(path: str) -> list[str]:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(Path(__file__).with_name("app.py")), default_timeout=_SECONDS)
    app.user = {"is_logged_in": True}  # what is behind a login is drawn too
    app.run()
    shown = app if path == PAGES[0].path else app.switch_page(path).run()
    failed = [f"{path}: {problem.message}" for problem in shown.exception]
    return failed + [f"{path}: {unescaped(said.value)}" for said in shown.error if said.icon == UNREAD]


def _found() -> str:
    from dashboards import board
    from dashboards.filters import Filters

    everything = Filters()
    counts = {
        "comparisons": len(board.comparisons(everything)),
        "gates": len(board.gates(everything)),
        "drift checks": len(board.checks(None, everything)),
    }
    unread = len(board.problems())
    said = ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in counts.items())
    return f"{said}; {unread} can't be read" if unread else said


if __name__ == "__main__":
    sys.exit(main())
