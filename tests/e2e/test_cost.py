"""Costs as a user meets them: measured by default, kept, weighed against a budget, refused across machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import hub_server
import own_data
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli import make_project, read_result, run_benchkit

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
QUICK = {"BENCHKIT_COST": "quick"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with two tasks, a tiny transformer and the costs of a first comparison."""
    folder = make_project(tmp_path_factory.mktemp("cost") / "project")
    own_data.retrieval(folder / "retrieval", n=20)
    own_data.sts(folder / "sts.jsonl", n=60)
    (folder / "own.yaml").write_text(
        "name: own\n"
        "tasks:\n"
        "  - {name: found, type: Retrieval, data: retrieval}\n"
        "  - {name: alike, type: STS, data: sts.jsonl}\n"
        "price: {currency: EUR, per_hour: 0.5}\n"
    )
    hub_server.build_bert(folder / "tiny")
    (folder / "benchkit.toml").write_text('suite = "own.yaml"\nmodels = ["./tiny", "tfidf"]\n')
    done = run_benchkit(["compare", "--json", "first.json"], folder, QUICK)
    assert done.returncode == 0, done.stderr
    (folder / "first.out").write_text(done.stdout + done.stderr)
    return folder


@pytest.fixture(scope="module")
def first(project: Path) -> dict[str, Any]:
    return read_result(project / "first.json")


def figures(report: dict[str, Any], model: str) -> dict[str, Any]:
    return {row["metric"]: row for row in report["cost"] if row["model"] == model}


def test_compare_measures_costs_beside_scores(project: Path, first: dict[str, Any]) -> None:
    tiny = figures(first, first["models"][0]["name"])
    p95 = tiny["latency/query/p95_ms"]
    assert 0 < p95["ci_low"] <= p95["value"] <= p95["ci_high"]
    assert p95["n"] >= 64
    # A model of some thousand weights, in a process with torch in it.
    assert 0 < tiny["memory/model_mib"]["value"] < 10 < tiny["memory/import_mib"]["value"]
    assert tiny["memory/import_mib"]["value"] < tiny["memory/peak_mib"]["value"]
    assert 1 <= tiny["throughput/padding_ratio"]["value"] <= 1.05
    assert tiny["price/per_million_tokens"]["value"] > 0
    assert "energy/joules_per_thousand_texts" not in tiny or tiny["energy/joules_per_thousand_texts"]["value"] > 0
    # A sparse vector has no fixed size: absent, not 0.
    assert "vector/bytes" not in figures(first, "tfidf")
    assert {row["candidate"] for row in first["cost_session"]["control"]} == {first["models"][0]["name"]}
    (folder,) = (project / "mlruns" / "results").glob("*/costs.parquet")
    assert folder.is_file()


def test_the_engine_stands_in_the_result_and_pads_nothing(first: dict[str, Any]) -> None:
    assert first["models"][0]["engine"].startswith("packed")
    assert first["models"][1]["engine"] is None


def test_unchanged_costs_are_kept_and_say_when_they_were_measured(project: Path, first: dict[str, Any]) -> None:
    done = run_benchkit(["compare", "--no-track", "--json", "second.json"], project, QUICK)
    assert done.returncode == 0, done.stderr
    again = read_result(project / "second.json")
    assert again["cost_session"]["from_cache"]
    assert again["cost"] == first["cost"]
    assert again["cost_session"]["measured_at"] == first["cost_session"]["measured_at"]


def test_a_budget_decides_and_says_what_it_left_out(project: Path, first: dict[str, Any]) -> None:
    best = first["recommendation"]["model"]
    dense = first["models"][0]["name"]
    allowed = run_benchkit(["compare", "--no-track", "--max-dim", "1", "--json", "tight.json"], project, QUICK)
    assert allowed.returncode == 0, allowed.stderr
    tight = read_result(project / "tight.json")
    assert tight["budget"]["max_dim"] == 1
    assert tight["recommendation"]["model"] != dense
    assert dense in tight["recommendation"]["reason"]
    generous = run_benchkit(["compare", "--no-track", "--max-p95-ms", "100000", "--json", "wide.json"], project, QUICK)
    assert read_result(project / "wide.json")["recommendation"]["model"] == best, generous.stderr


def test_an_unmeasured_limit_is_refused(project: Path) -> None:
    done = run_benchkit(["compare", "--no-cost", "--max-p95-ms", "5"], project)
    assert done.returncode == 2
    assert "--max-p95-ms: costs are not measured here" in done.stderr
    done = run_benchkit(["compare", "--no-cost", "--cost", "full"], project)
    assert done.returncode == 2
    assert "--cost and --no-cost were both given" in done.stderr


def test_cost_alone_uses_what_was_measured_and_prints_it(project: Path, first: dict[str, Any]) -> None:
    done = run_benchkit(["cost", "--json", "cost.json"], project)
    assert done.returncode == 0, done.stderr
    alone = json.loads((project / "cost.json").read_text())
    assert [row["value"] for row in alone["cost"]] == [row["value"] for row in first["cost"]]
    assert "p95" in done.stdout


def test_stored_costs_of_other_hardware_are_refused(project: Path) -> None:
    done = run_benchkit(["cost", "--against", "first.json"], project)
    assert done.returncode == 0, done.stderr
    elsewhere = json.loads((project / "first.json").read_text())
    elsewhere["cost_session"]["hardware"]["cpu"] = "Another 9000"
    (project / "elsewhere.json").write_text(json.dumps(elsewhere))
    done = run_benchkit(["cost", "--against", "elsewhere.json"], project)
    assert done.returncode == 2
    assert "Another 9000" in done.stderr
    (project / "free.json").write_text(json.dumps({**elsewhere, "cost": [], "cost_session": None}))
    done = run_benchkit(["cost", "--against", "free.json"], project)
    assert done.returncode == 2
    assert "has no costs" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rates", "5"], "--rates goes only with --load"),
        (["--load", "--rates", "5,x"], "should be numbers with commas between them"),
        (["--load", "--utilisations", "0.5,1.5"], "every number should be above 0 and below 1"),
        (["--load", "--rates", "5", "--utilisations", "0.5"], "leave one of the two out"),
        (["--load", "--refresh"], "--refresh does not go with --load"),
        (["--load"], "tfidf is fitted on a corpus and serves no vectors by itself"),
        (["--engine", "fast"], "'fast' is not one of"),
    ],
)
def test_a_wrong_option_is_refused(project: Path, options: list[str], message: str) -> None:
    done = run_benchkit(["cost", *options], project)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_load_counts_latency_from_the_time_at_which_a_request_was_due(project: Path) -> None:
    options = ["--load", "--rates", "20,40", "--seconds", "1", "--slo-ms", "1000", "--json", "load.json"]
    done = run_benchkit(["cost", "./tiny", *options], project)
    assert done.returncode == 0, done.stderr
    (report,) = json.loads((project / "load.json").read_text())["load"]
    assert [point["offered_per_s"] for point in report["points"]] == [20, 40]
    assert all(point["p50_ms"] > 0 for point in report["points"] if point["valid"])
    assert "./tiny" in done.stdout


def test_a_model_that_is_not_there_is_told_before_anything_is_measured(project: Path) -> None:
    done = run_benchkit(["cost", "tfidf", "./nowhere"], project)
    assert done.returncode == 2
    assert "there is no directory './nowhere'" in done.stderr
