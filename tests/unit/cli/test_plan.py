"""`benchkit compare --dry-run`: what would be run, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from own_data import sts

from benchkit.cli.compare import command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RUN = ["tfidf", "bm25", "--offline", "--no-cost", "--quiet"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sts(tmp_path / "pairs.jsonl")
    (tmp_path / "own.yaml").write_text("name: own\ntasks:\n  - {name: pairs, type: STS, data: pairs.jsonl}\n")
    (tmp_path / "benchkit.toml").write_text('suite = "own.yaml"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that it is put back: --offline sets it
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return tmp_path


def compare(*more: str) -> str:
    done = CliRunner().invoke(command, [*RUN, *more], standalone_mode=False, catch_exceptions=False)
    assert done.exception is None
    assert done.return_value == 0
    return done.stdout


def test_a_dry_run_with_json_on_stdout_is_json_alone(project: Path, own_cache: Path) -> None:
    plan = json.loads(compare("--dry-run", "--json", "-", "--tracking-uri", "http://me:secret@127.0.0.1:1"))
    assert (plan["schema_version"], plan["dry_run"], plan["suite"]["name"]) == (1, True, "own")
    assert [model["name"] for model in plan["models"]] == ["tfidf", "bm25"]
    (task,) = plan["tasks"]
    assert (task["name"], task["type"], task["main_metric"]) == ("pairs", "STS", "cosine_spearman")
    assert task["data"] == str(project / "pairs.jsonl")
    cells = [{"model": model, "task": "pairs", "kept": False} for model in ("tfidf", "bm25")]
    assert plan["cells"] == cells
    assert (plan["tracking_uri"], plan["cache_dir"]) == ("http://me:***@127.0.0.1:1", str(own_cache))


def test_a_plan_tells_the_cells_that_are_kept_from_those_to_compute(project: Path) -> None:
    assert "  2 cells; MLflow: not recorded; cache: " in compare("--dry-run", "--no-track")
    compare("--no-track")
    sts(project / "new.jsonl", n=30)
    with (project / "own.yaml").open("a") as suite:
        suite.write("  - {name: new, type: STS, data: new.jsonl}\n")
    plan = json.loads(compare("--dry-run", "--json", "-"))
    assert [(cell["model"], cell["task"], cell["kept"]) for cell in plan["cells"]] == [
        ("tfidf", "pairs", True),
        ("tfidf", "new", False),
        ("bm25", "pairs", False),
        ("bm25", "new", False),
    ]
    assert "  4 cells, 1 of them known already; " in compare("--dry-run")


def test_a_dry_run_writes_none_of_the_files_that_the_comparison_would(project: Path) -> None:
    (project / "result.json").write_text("the last one")
    said = compare("--dry-run", "--json", "result.json", "--markdown", "r.md", "--html", "r.html")
    assert said.startswith("suite own (")
    assert (project / "result.json").read_text() == "the last one"
    assert not {"r.md", "r.html", "mlruns"} & {path.name for path in project.iterdir()}
