"""A gate on the results of a comparison judges slices by the tags that it kept, with the numbers of a live gate.

One word of the candidate's vocabulary is spoilt, and only the queries of one team have it: their slice is worse, and
the mean is within its margin.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import hub_server
import own_data
import pytest

from tests.e2e.cli import call_benchkit, make_project

pytestmark = pytest.mark.filterwarnings("ignore")

SUITE = """name: told
tasks:
  - {name: found, type: Retrieval, data: retrieval}
  - {name: chinese, type: STS, data: sts.jsonl, language: zho-Hans}
"""
RULES = ("mean", "slice:team=blue", "slice:team=red", "slice:lang=zh", "slice:type=STS", "slice:subset=default")
MARGINS = {"mean": 0.3}
JUDGED = ("verdict", "candidate", "baseline", "change", "low", "high", "bound", "p_pass", "p_fail", "n", "sentence")


def write_retrieval(folder: Path, n: int = 160) -> None:
    """Write queries that say what their document says; every eighth, team blue's, begins with a word of its own."""
    texts = [text for _, text in own_data.sentences(n)]
    own_data.jsonl(
        folder / "corpus.jsonl", [{"_id": f"d{i}", "title": "", "text": text} for i, text in enumerate(texts)]
    )
    queries = [
        {"_id": f"q{i}", "text": f"中 {text}" if i % 8 == 0 else text, "team": "red" if i % 8 else "blue"}
        # Every fourth query has another language than the task says.
        | ({"lang": "zh"} if i % 4 == 1 else {"lang": "en"})
        for i, text in enumerate(texts)
    ]
    own_data.jsonl(folder / "queries.jsonl", queries)
    own_data.tsv(
        folder / "qrels" / "test.tsv", ("query-id", "corpus-id", "score"), [(f"q{i}", f"d{i}", 1) for i in range(n)]
    )


def spoil(model: Path, word: str) -> None:
    """Make the vector of one word so large that nothing else is heard beside it."""
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    name = next(name for name in weights if "word_embeddings" in name)
    row = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"][word]
    weights[name][row] = weights[name][row] * 1000
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a comparison of a model and its spoilt copy."""
    folder = make_project(tmp_path_factory.mktemp("slices") / "project")
    write_retrieval(folder / "retrieval")
    own_data.sts(folder / "sts.jsonl", 60)
    (folder / "told.yaml").write_text(SUITE, encoding="utf-8")
    rules = [f'  - {{on: "{on}", margin: {MARGINS.get(on, 0.02)}}}' for on in RULES]
    (folder / "rules.yaml").write_text("\n".join(["quality:", *rules, ""]), encoding="utf-8")
    hub_server.build_bert(folder / "tiny")
    shutil.copytree(folder / "tiny", folder / "spoilt")
    spoil(folder / "spoilt", "中")
    args = ["compare", "./tiny", "./spoilt", "--suite", "told.yaml", "--no-track", "--quiet"]
    compared = call_benchkit(args, folder)
    assert compared.code == 0, compared.err
    (result,) = (folder / "mlruns" / "results").iterdir()
    result.rename(folder / "result")
    saved = call_benchkit(["baseline", "save", "tiny.json", "--result", "result", "--model", "./tiny"], folder)
    assert saved.code == 0, saved.err
    return folder


def judged(project: Path, *args: str, policy: str = "rules.yaml") -> dict[str, Any]:
    options = ["--suite", "told.yaml", "--policy", policy, "--no-track", "--quiet", "--json", "report.json"]
    called = call_benchkit(["gate", *args, *options], project)
    report: dict[str, Any] = json.loads((project / "report.json").read_text(encoding="utf-8"))
    assert report["exit_code"] == called.code, called.err
    return report


def stored(project: Path) -> dict[str, Any]:
    return judged(project, "./spoilt", "--result", "result", "--baseline", "tiny.json")


def test_a_slice_that_got_worse_fails_though_the_mean_does_not_and_an_unharmed_one_passes(project: Path) -> None:
    report = stored(project)
    verdicts = {rule["on"]: rule["verdict"] for rule in report["rules"]}
    assert (report["verdict"], report["exit_code"]) == ("fail", 1)
    assert {on: verdicts[on] for on in ("mean", "team=blue", "team=red")} == {
        "mean": "pass",
        "team=blue": "fail",
        "team=red": "pass",
    }
    (why,) = report["explanations"]
    (blue,) = (rule for rule in report["rules"] if rule["on"] == "team=blue")
    assert (why["rule"], why["task"], why["change"]) == (blue["id"], "found", pytest.approx(blue["change"]))
    assert {int(item["item"].removeprefix("q")) % 8 for item in why["items"]} == {0}  # blue's own alone


def test_stored_slices_have_the_numbers_of_a_live_gate(project: Path) -> None:
    live = judged(project, "./spoilt", "--baseline", "./tiny")
    told = [{key: rule[key] for key in ("on", *JUDGED)} for rule in stored(project)["rules"]]
    assert told == [{key: rule[key] for key in ("on", *JUDGED)} for rule in live["rules"]]
    of_items = {rule["on"]: rule["n"] for rule in told}
    assert of_items == {
        "mean": 220,
        "team=blue": 20,
        "team=red": 140,
        "lang=zh": 40 + 60,
        "type=STS": 60,
        "subset=default": 220,
    }


def test_a_model_that_is_the_baseline_passes_on_stored_slices(project: Path) -> None:
    report = judged(project, "./tiny", "--result", "result", "--baseline", "tiny.json")
    assert {rule["verdict"] for rule in report["rules"]} == {"pass"}


def test_an_older_result_says_that_its_slices_cannot_be_judged_and_what_to_do(project: Path) -> None:
    shutil.copytree(project / "result", project / "older")
    (project / "older" / "tags.parquet").unlink()
    saved = call_benchkit(["baseline", "save", "older.json", "--result", "older", "--model", "./tiny"], project)
    assert saved.code == 0, saved.err
    report = judged(project, "./spoilt", "--result", "older", "--baseline", "older.json")
    mean, *slices = report["rules"]
    assert (report["verdict"], report["exit_code"], mean["verdict"]) == ("inconclusive", 3, "pass")
    assert {rule["verdict"] for rule in slices} == {"inconclusive"}
    assert all("the tags of the items of found, chinese are not all kept" in rule["sentence"] for rule in slices)
    assert all("benchkit baseline save FILE --model MODEL" in rule["sentence"] for rule in slices)

    one_side = judged(project, "./spoilt", "--result", "older", "--baseline", "tiny.json")
    keys = ("id", *JUDGED)
    assert [[rule[key] for key in keys] for rule in one_side["rules"]] == [
        [rule[key] for key in keys] for rule in stored(project)["rules"]
    ], "the tags of one of the two are enough"


def test_a_column_too_many_leaves_the_slices_of_the_others_judged(project: Path) -> None:
    from benchkit.store.tags import read_tags, write_tags

    shutil.copytree(project / "result", project / "wide")
    path = project / "wide" / "tags.parquet"
    why = "zone is beyond the first 8 columns and the 1 MiB of a task that are kept"
    wide = [replace(one, tags=replace(one.tags, left_out=(why,))) for one in read_tags(path)]
    write_tags(path, wide)
    saved = call_benchkit(["baseline", "save", "wide.json", "--result", "wide", "--model", "./tiny"], project)
    assert saved.code == 0, saved.err
    report = judged(project, "./spoilt", "--result", "wide", "--baseline", "wide.json")
    assert [[rule[key] for key in JUDGED] for rule in report["rules"]] == [
        [rule[key] for key in JUDGED] for rule in stored(project)["rules"]
    ]
    (project / "zone.yaml").write_text('quality: [{on: "slice:zone=a", margin: 0.02}]', encoding="utf-8")
    rule = judged(project, "./spoilt", "--result", "wide", "--baseline", "wide.json", policy="zone.yaml")["rules"][0]
    assert rule["verdict"] == "inconclusive"
    assert f"of found ({why}), chinese ({why}) are not all kept" in rule["sentence"]

    # The baseline's file keeps the tags that the result had, and says the same of the others.
    path.unlink()
    args = ("./spoilt", "--result", "wide", "--baseline", "wide.json")
    assert [[rule[key] for key in JUDGED] for rule in judged(project, *args)["rules"]] == [
        [rule[key] for key in JUDGED] for rule in report["rules"]
    ]
    assert judged(project, *args, policy="zone.yaml")["rules"][0]["sentence"] == rule["sentence"]


def test_tags_of_another_comparison_are_refused(project: Path) -> None:
    from benchkit.store.tags import read_tags, write_tags
    from benchkit.types.tags import KeptTags

    shutil.copytree(project / "result", project / "mixed")
    path = project / "mixed" / "tags.parquet"
    others = [KeptTags(one.task, {"test/default": ("x",)}, one.tags) for one in read_tags(path)]
    write_tags(path, others)
    args = ["gate", "./spoilt", "--result", "mixed", "--baseline", "tiny.json", "--policy", "rules.yaml", "--no-track"]
    called = call_benchkit([*args, "--suite", "told.yaml"], project)
    assert called.code == 2
    assert "found: the tags in its folder are of other items than its scores" in called.err
