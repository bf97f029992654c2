"""`python -m benchkit` is the same command as `benchkit`."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

from benchkit import __version__

ROOT = Path(__file__).parents[3]


def as_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchkit", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_python_dash_m_runs_the_command_and_returns_its_exit_code() -> None:
    assert as_module("--version").stdout == f"benchkit, version {__version__}\n"
    refused = as_module("comapre")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "error: no command 'comapre'. Did you mean 'compare'?" in refused.stderr


def test_importing_the_module_runs_nothing() -> None:
    # A process that is spawned imports the main module of its parent again.
    assert import_module("benchkit.__main__").__name__ == "benchkit.__main__"
