"""Memory as the kernel counts it: against files worked by hand, psutil, and parents of different sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import child_models
import psutil
import pytest

from benchkit.cost.memory import peak_mib, reset_peak, resident_mib, uss_mib

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def test_figures_are_read_in_mib(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t  3072 kB\nVmRSS:\t  1536 kB\n")
    assert (peak_mib(status), resident_mib(status)) == (3.0, 1.5)


def test_unique_memory_is_the_sum_of_the_private_parts(tmp_path: Path) -> None:
    smaps = tmp_path / "smaps_rollup"
    smaps.write_text(
        "55f-7ff ---p 00000000 00:00 0 [rollup]\nRss: 9216 kB\nPrivate_Clean: 1024 kB\nPrivate_Dirty: 2048 kB\n"
        "Private_Hugetlb: 512 kB\n"
    )
    assert uss_mib(smaps) == 3.5


def test_figure_is_absent_where_the_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "status"
    empty.write_text("Name:\tkthreadd\n")
    assert peak_mib(empty) is None
    assert peak_mib(tmp_path / "nothing") is None
    assert resident_mib(tmp_path / "nothing") is None
    assert not reset_peak(tmp_path / "no folder" / "clear_refs")

    def refused(process: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "memory_full_info", refused)
    assert uss_mib(tmp_path / "nothing") is None


@ON_LINUX
def test_figures_agree_with_psutil(tmp_path: Path) -> None:
    told = psutil.Process().memory_full_info()
    assert resident_mib() == pytest.approx(told.rss / 2**20, rel=0.02)
    assert uss_mib() == pytest.approx(told.uss / 2**20, rel=0.02)
    assert uss_mib(tmp_path / "nothing") == pytest.approx(told.uss / 2**20, rel=0.02)  # psutil itself


@ON_LINUX
def test_peak_outlives_what_made_it_until_it_is_reset() -> None:
    script = """
        from benchkit.cost.memory import peak_mib, reset_peak
        before = peak_mib()
        ballast = bytearray(b"x") * (64 * 2**20)
        del ballast
        after = peak_mib()
        assert 60 < after - before < 70, (before, after)
        assert reset_peak()
        assert peak_mib() < after - 60, (after, peak_mib())
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


PARENT = """
    import json, resource, sys
    from pathlib import Path
    import child_models
    from benchkit.cost.process import ModelProcess
    from benchkit.types.cost import TextSource
    from benchkit.types.model import OpenContext
    ballast = bytearray(b"x") * (int(sys.argv[1]) * 2**20)
    context = OpenContext(device="cpu", offline=True, cache_dir=Path(sys.argv[2]))
    with ModelProcess(child_models.spec(), context) as process:
        process.encode(TextSource("Task", "STS", None, ("text",)), 0, 1)
        facts = process.facts()
    own = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"peak_mib": facts.peak_mib, "uss_mib": facts.uss_mib, "ru_maxrss_mib": own}))
"""


@ON_LINUX
def test_peak_of_a_child_does_not_know_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_models.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)

    def told_under(ballast_mib: int) -> dict[str, float]:
        command = [sys.executable, "-P", "-c", textwrap.dedent(PARENT), str(ballast_mib), str(tmp_path / "models")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        facts: dict[str, float] = json.loads(done.stdout)
        return facts

    small, large = told_under(100), told_under(1024)
    assert large["peak_mib"] == pytest.approx(small["peak_mib"], rel=0.03)
    assert large["uss_mib"] == pytest.approx(small["uss_mib"], rel=0.03)
