"""The built wheel works from another directory, and the command starts light."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sysconfig.get_path("scripts"))
HEAVY = (
    "torch",
    "mteb",
    "mlflow",
    "streamlit",
    "pandas",
    "sentence_transformers",
    "transformers",
    "scipy",
    "sklearn",
    "numpy",
)


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("statement", ["import benchkit", "from benchkit.cli.main import main; main(['--help'])"])
def test_start_loads_nothing_heavy(statement: str) -> None:
    done = python(f"{statement}\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)")
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


def test_help_takes_less_than_a_quarter_second_of_cpu() -> None:
    code = (
        "import resource, subprocess, sys\n"
        f"subprocess.run([{str(BIN / 'benchkit')!r}, '--help'], stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    # The least of three: the limit is about our imports, not about a busy machine.
    assert min(float(python(code).stdout) for _ in range(3)) < 0.25


def test_importing_any_module_does_nothing_visible(tmp_path: Path) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "benchkit").rglob("*.py"))
        if path.name not in ("__init__.py",)
    ]
    code = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_built_wheel_carries_suites_and_dashboard_and_runs_from_another_directory(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "benchkit/_suites/quickstart.yaml" in names
    assert "benchkit/_suites/data/help-centre/corpus.jsonl" in names
    assert "benchkit/_dashboards/dashboards/screens/verdict.py" in names
    assert not any(name.startswith(("tests/", "mlruns/", "dashboards/")) for name in names)
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "benchkit.toml").write_text("")
    # Its own copy comes first, so nothing of the checkout is used.
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", "import benchkit; print(benchkit.__file__)"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert str(site) in where.stdout
    done = subprocess.run(
        [
            sys.executable,
            str(site / "bin" / "benchkit"),
            "compare",
            "tfidf",
            "bm25",
            "--offline",
            "--quiet",
            "--json",
            "-",
        ],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert '"schema_version": 1' in done.stdout
    assert (elsewhere / "mlruns" / "mlflow.db").is_file()
    shown = subprocess.run(
        [sys.executable, str(site / "bin" / "benchkit"), "dashboard", "--check"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (
        0,
        "6 pages ok; 1 comparison, 0 gates, 0 drift checks",
    ), shown.stdout + shown.stderr
