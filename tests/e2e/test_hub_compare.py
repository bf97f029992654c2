"""`benchkit compare minilm mpnet bge` itself, against a hub on 127.0.0.1 that serves tiny models."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hub_server import HubServer, build_standard_models, pinned_revisions
from own_data import retrieval, sts

BENCHKIT = Path(sysconfig.get_path("scripts")) / "benchkit"
pytestmark = pytest.mark.slow


def compare(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BENCHKIT), "compare", "minilm", "mpnet", "bge", "--suite", "own.yaml", "--json", "out.json", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.filterwarnings("ignore")
def test_three_hub_models_are_fetched_compared_recorded_and_then_used_without_the_hub(tmp_path: Path) -> None:
    (tmp_path / "benchkit.toml").write_text("")
    sts(tmp_path / "pairs.jsonl")
    retrieval(tmp_path / "search")
    (tmp_path / "own.yaml").write_text(
        "name: own\ntasks:\n  - {name: pairs, type: STS, data: pairs.jsonl}\n"
        "  - {name: search, type: Retrieval, data: search}\n"
    )
    models = build_standard_models(tmp_path / "models")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_HOME": str(tmp_path / "hf"),
        "BENCHKIT_CACHE_DIR": str(tmp_path / "cache"),
    }
    with HubServer(models, pinned_revisions()) as hub:
        first = compare(tmp_path, {**environment, "HF_ENDPOINT": hub.url})
        assert first.returncode == 0, first.stderr
        report = json.loads((tmp_path / "out.json").read_text())
        asked = len(hub.requests)
    assert asked > 0
    assert [model["name"] for model in report["models"]] == ["minilm", "mpnet", "bge"]
    assert [model["revision"] for model in report["models"]] == [
        pinned_revisions()[model["id"]] for model in report["models"]
    ]
    assert {cell["status"] for cell in report["cells"]} == {"ok"}
    assert len(report["pairs"]) == 3 * 3
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()
    # The server is gone; the models are in the hub's cache, and the numbers are the same.
    second = compare(
        tmp_path, {**environment, "BENCHKIT_CACHE_DIR": str(tmp_path / "cache2")}, "--offline", "--no-track"
    )
    assert second.returncode == 0, second.stderr
    again = json.loads((tmp_path / "out.json").read_text())
    assert [cell["main_score"] for cell in again["cells"]] == [cell["main_score"] for cell in report["cells"]]


def test_data_of_an_mteb_task_is_fetched_once_and_then_used_from_its_folder(tmp_path: Path) -> None:
    import mteb

    pinned = mteb.get_task("STSBenchmark").metadata.dataset
    sts(tmp_path / "served" / "test.jsonl")
    (tmp_path / "benchkit.toml").write_text("")
    (tmp_path / "own.yaml").write_text("name: own\ntasks:\n  - {name: STSBenchmark}\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_HOME": str(tmp_path / "hf"),
        "BENCHKIT_CACHE_DIR": str(tmp_path / "cache"),
    }

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BENCHKIT), *arguments],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    name = f"datasets/{pinned['path']}"
    with HubServer({name: tmp_path / "served"}, {name: pinned["revision"]}) as hub:
        fetched = run("suites", "prefetch", "own.yaml", "--to", "mirror", HF_ENDPOINT=hub.url)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout == "STSBenchmark: data: mirror/mteb__stsbenchmark-sts\n"
    (tmp_path / "own.yaml").write_text(
        "name: own\ntasks:\n  - {name: STSBenchmark, data: mirror/mteb__stsbenchmark-sts}\n"
    )
    compared = run("compare", "tfidf", "--suite", "own.yaml", "--offline", "--no-track", "--json", "-")
    assert compared.returncode == 0, compared.stderr
    (cell,) = json.loads(compared.stdout)["cells"]
    assert (cell["status"], cell["n_items"]) == ("ok", 60)
    assert cell["dataset_revision"] != pinned["revision"], "local rows never claim the hub's revision"
    without = run("suites", "prefetch", "own.yaml", "--to", "again", HF_ENDPOINT="http://127.0.0.1:9")
    assert (without.returncode, without.stderr.strip()) == (0, "own: all of its data are local already")
