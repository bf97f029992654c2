"""The scripts in benchmarks/ are run by hand and seldom: that they still start is seen here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text(encoding="utf-8"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_stage_that_the_profile_watches_is_still_there():
    done = run("-c", "import stages; stages.watch(stages.StageClock())")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "side"])  # side.py is started by others
def test_a_benchmark_says_how_it_is_run(script: str):
    done = run(f"{script}.py", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")
