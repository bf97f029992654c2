"""What a gate refuses: baselines that can't be compared (exit 4), files and policies that are wrong (exit 2)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Called, call_benchkit, make_project

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ("cat", "dog", "house", "tree", "river", "stone", "cloud", "bread", "light", "paper")
SUITE = "name: words\ntasks:\n  - {name: alike, type: STS, data: pairs.csv}\n"


def write_pairs(path: Path) -> None:
    rows = [
        f"{a} and {b},{a} and {WORDS[(i + j) % 10]},{5 if (i + j) % 10 == j else (i * j) % 4},{('blue', 'red')[j % 2]}"
        for i, a in enumerate(WORDS[:5])
        for j, b in enumerate(WORDS)
    ]
    path.write_text("sentence1,sentence2,score,team\n" + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("bad") / "project")
    write_pairs(folder / "pairs.csv")
    (folder / "words.yaml").write_text(SUITE, encoding="utf-8")
    saved = call_benchkit(["baseline", "save", "base.json", "--model", "tfidf", "--suite", "words.yaml"], folder)
    assert saved.code == 0, saved.err
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("mlruns"))
    return folder


def gate(project: Path, *args: str) -> Called:
    return call_benchkit(["gate", *args, "--no-track", "--quiet"], project)


def refused(called: Called, code: int, *parts: str) -> None:
    assert called.code == code, (called.out, called.err)
    assert called.out == ""
    assert called.err.startswith("error: ")
    assert "Traceback" not in called.err
    for part in parts:
        assert part in called.err


def edited(project: Path, edit: Callable[[dict[str, Any]], object], *, signed: bool = True) -> str:
    """Change the baseline file, and its digest with it, as somebody who means harm could."""
    from benchkit.embeddings.fingerprint import digest_json

    path = project / "base.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    if signed:
        content["digest"] = digest_json({key: value for key, value in content.items() if key != "digest"})
    path.write_text(json.dumps(content), encoding="utf-8")
    return "base.json"


# ------------------------------------------------------------ not comparable


def test_a_baseline_that_is_missing_is_named_with_the_command_that_makes_it(project: Path) -> None:
    for args in (("tfidf",), ("--result", "base.json")):
        called = gate(project, *args, "--baseline", "none.json", "--suite", "words.yaml")
        refused(called, 4, "none.json: there is no such baseline", "benchkit baseline save none.json --model MODEL")


def test_a_result_that_is_missing_is_no_missing_baseline(project: Path) -> None:
    said = "--result none.json: there is no such file or folder; name a file of `benchkit baseline save`"
    refused(gate(project, "--result", "none.json", "--baseline", "base.json"), 2, said)
    refused(call_benchkit(["baseline", "save", "new.json", "--result", "none.json"], project), 2, said)
    assert not (project / "new.json").exists()


RENEW = "next: renew the baseline with: benchkit baseline save base.json --model tfidf --suite"


def test_a_baseline_of_another_suite_is_refused_before_anything_is_scored(project: Path) -> None:
    (project / "other.yaml").write_text(SUITE.replace("name: words", "name: others"), encoding="utf-8")
    called = call_benchkit(["gate", "tfidf", "--baseline", "base.json", "--suite", "other.yaml", "--no-track"], project)
    assert called.code == 4
    assert "suite: others in the candidate, words in the baseline" in called.err
    assert f"{RENEW} other.yaml" in called.err
    assert "[1/1]" not in called.err, "it was scored first"


def test_a_baseline_without_a_task_of_the_suite_is_refused(project: Path) -> None:
    with (project / "words.yaml").open("a") as file:
        file.write("  - {name: more, type: STS, data: pairs.csv}\n")
    refused(
        gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml"),
        4,
        "more: the baseline has no such task",
    )


def test_a_baseline_of_other_data_is_refused(project: Path) -> None:
    text = (project / "pairs.csv").read_text(encoding="utf-8")
    (project / "pairs.csv").write_text(text.replace("cat and dog,", "cat and dogs,", 1), encoding="utf-8")
    called = gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml")
    refused(called, 4, "alike: data digest: ", f"{RENEW} words.yaml")
    # What it says mends it.
    renewed = call_benchkit(["baseline", "save", "base.json", "--model", "tfidf", "--suite", "words.yaml"], project)
    assert renewed.code == 0, renewed.err
    assert gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml").code == 0


def test_a_baseline_of_another_metric_is_refused(project: Path) -> None:
    suite = SUITE.replace("data: pairs.csv", "data: pairs.csv, metric: cosine_pearson")
    (project / "words.yaml").write_text(suite, encoding="utf-8")
    called = gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml")
    refused(called, 4, "main metric: cosine_pearson in the candidate, cosine_spearman in the baseline", RENEW)


def test_a_baseline_of_another_schema_version_is_refused(project: Path) -> None:
    file = edited(project, lambda content: content.update(schema_version=2))
    called = gate(project, "tfidf", "--baseline", file, "--suite", "words.yaml")
    refused(called, 4, "schema_version: found 2, should be 1", "benchkit baseline save base.json")


def test_a_comment_or_a_policy_in_the_suite_keeps_the_baseline(project: Path) -> None:
    rules = "gate:\n  quality:\n    - {on: mean, margin: 0.02}\n"
    for text in (f"# a comment\n{SUITE}", f"{SUITE}{rules}", f"{SUITE}description: of words\n"):
        (project / "words.yaml").write_text(text, encoding="utf-8")
        called = gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml", "--json", "g.json")
        assert called.code == 0, called.err
        assert json.loads((project / "g.json").read_text(encoding="utf-8"))["warnings"] == []


# ------------------------------------------------------------ damaged files


def cut(content: str) -> str:
    return content[: len(content) // 2]


def spoilt(content: str) -> str:
    at = content.index('"arrays"')
    return content[:at] + content[at:].replace("=", "!", 1).replace("A", "%", 3)


@pytest.mark.parametrize(
    "spoil",
    [cut, spoilt, lambda content: "", lambda content: "[]", lambda content: "\x00" * 10],
    ids=["cut", "spoilt", "empty", "list", "zeros"],
)
def test_a_damaged_file_is_refused_wherever_it_stands(spoil: Callable[[str], str], project: Path) -> None:
    path = project / "base.json"
    shutil.copy(path, project / "whole.json")
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    for args in (("tfidf", "--baseline", "base.json"), ("--result", "base.json", "--baseline", "whole.json")):
        refused(gate(project, *args, "--suite", "words.yaml"), 2, "base.json")
    shown = call_benchkit(["baseline", "show", "base.json"], project)
    refused(shown, 2, "base.json")


@pytest.mark.parametrize("n_items", [10**30, 2**62, -1, 0, 1.5, True, "50", None])
def test_a_wrong_number_of_items_is_refused(n_items: object, project: Path) -> None:
    file = edited(project, lambda content: content["tasks"][0]["items"][0].update(n_items=n_items))
    refused(gate(project, "tfidf", "--baseline", file, "--suite", "words.yaml"), 2, "base.json")


def test_a_score_that_was_changed_by_hand_is_refused(project: Path) -> None:
    file = edited(project, lambda content: content["tasks"][0].update(main_score=0.1), signed=False)
    refused(gate(project, "tfidf", "--baseline", file, "--suite", "words.yaml"), 2, "digest")


def test_a_baseline_with_nan_for_a_score_is_refused(project: Path) -> None:
    path = project / "base.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    score = json.dumps(content["tasks"][0]["main_score"])
    path.write_text(path.read_text(encoding="utf-8").replace(score, "NaN"), encoding="utf-8")
    refused(gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml"), 2, "base.json", "NaN")


# ------------------------------------------------------------ policies


@pytest.mark.parametrize(
    ("rules", "line", "message"),
    [
        ("quality:\n  - {on: mean, margin: 0.01}\n  - {on: mean, marign: 0.02}\n", 3, "did you mean 'margin'"),
        ("quality:\n  - {on: mean, margin: 1e-3}\n", 2, "margin"),
        ("quality:\n  - {on: mean, margin: 2%}\n", 2, "0.02 is two points"),
        ("quality:\n  - {on: mean, margin: 2}\n", 2, "at most 0.5"),
        ("quality:\n  - {on: mean, margin: no}\n", 2, "margin"),
        ("quality:\n  - {on: mean, margin: -0.1}\n", 2, "greater than 0"),
        ("quality: no\n", 1, "quality"),
        ("limits: {finite: 1}\n", 1, "true or false"),
        ("qualty:\n  - {on: mean, margin: 0.01}\n", 1, "did you mean 'quality'"),
        ("quality:\n  - {on: mean, margin: 0.01, severity: off}\n", 2, "severity"),
        ("quality:\n  - {on: mean, margin: 0.01}\n  - {on: 'task:alik', margin: 0.01}\n", 3, "did you mean 'alike'"),
        ("quality:\n  - {on: 'slice:team=bleu', margin: 0.01}\n", 2, "did you mean 'blue'"),
        ("quality:\n  - {on: 'slice:colour=blue', margin: 0.01}\n", 2, "matches no item"),
        ("cost:\n  - {metric: latency, max_ratio: 1.1}\n", 2, "metric"),
        ("cost:\n  - {metric: throughput, min_ratio: 90}\n", 2, "min_ratio"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_line(rules: str, line: int, message: str, project: Path) -> None:
    (project / "rules.yaml").write_text(rules, encoding="utf-8")
    below = "gate:\n" + "".join(f"  {row}\n" for row in rules.splitlines())
    (project / "own.yaml").write_text(SUITE + below, encoding="utf-8")
    in_file = ("--policy", "rules.yaml", "--suite", "words.yaml")
    refused(gate(project, "tfidf", "--baseline", "base.json", *in_file), 2, f"rules.yaml:{line}: ", message)
    refused(
        gate(project, "--result", "base.json", "--baseline", "base.json", *in_file), 2, f"rules.yaml:{line}: ", message
    )
    in_suite = gate(project, "tfidf", "--baseline", "base.json", "--suite", "own.yaml")
    refused(in_suite, 2, f"own.yaml:{line + 1 + SUITE.count(chr(10))}: ", message)


def test_all_rules_that_match_nothing_are_told_at_once(project: Path) -> None:
    rules = "gate:\n  quality:\n" + "".join(
        f"    - {{on: '{on}', margin: 0.1}}\n" for on in ("task:a", "mean", "task:b")
    )
    (project / "rules.yaml").write_text(rules, encoding="utf-8")
    called = gate(project, "tfidf", "--baseline", "base.json", "--suite", "words.yaml", "--policy", "rules.yaml")
    refused(called, 2, "rules.yaml:3: gate.quality[0].on: ", "rules.yaml:5: gate.quality[2].on: ")


# ------------------------------------------------------------ which rules hold for stored scores


def test_stored_scores_are_held_to_the_rules_of_their_own_suite(project: Path) -> None:
    def rules_of(*args: str) -> tuple[list[str], list[str]]:
        called = gate(project, "--result", "base.json", "--baseline", "base.json", "--json", "g.json", *args)
        assert called.code == 0, called.err
        report = json.loads((project / "g.json").read_text(encoding="utf-8"))
        return [rule["id"] for rule in report["rules"]], report["warnings"]

    gate_words = "gate:\n  quality:\n    - {on: 'task:alike', margin: 0.02}\n"
    (project / "words.yaml").write_text(SUITE + gate_words, encoding="utf-8")
    assert rules_of() == (["quality/task:alike"], [])
    # Another suite of the project has no say.
    other = SUITE.replace("name: words", "name: others") + "gate:\n  quality:\n    - {on: mean, margin: 0.02}\n"
    (project / "others.yaml").write_text(other, encoding="utf-8")
    (project / "benchkit.toml").write_text('suite = "others.yaml"\n')
    assert rules_of() == (["quality/task:alike"], [])
    # Where the suite isn't here, that is said.
    (project / "words.yaml").unlink()
    found, warnings = rules_of()
    assert "quality/mean" in found
    assert "so the default policy holds" in warnings[0]
    # A broken one is not passed over.
    (project / "words.yaml").write_text(SUITE + "gate:\n  qualty: []\n", encoding="utf-8")
    refused(gate(project, "--result", "base.json", "--baseline", "base.json"), 2, "words.yaml:5", "quality")


# ------------------------------------------------------------ wrong usage


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--baseline", "base.json"], "name the candidate"),
        (["tfidf", "--baseline", ""], "--baseline: nothing is named"),
        (["", "--baseline", "base.json"], "error: "),
        (["--result", "base.json", "--baseline", "tfidf"], "no model is loaded"),
        (["bm25", "--result", "base.json", "--baseline", "base.json"], "holds the scores of 'tfidf', not of 'bm25'"),
        (["tfidf", "--baseline", "nosuchmodel"], "nosuchmodel"),
        (["nosuchmodel", "--baseline", "base.json"], "nosuchmodel"),
        (["tfidf", "--baseline", "base.json", "--policy", "none.yaml"], "none.yaml"),
        (["tfidf", "--baseline", "base.json", "--json", "."], "a file is needed"),
        (["tfidf", "--baseline", "pairs.csv"], "pairs.csv"),
    ],
)
def test_wrong_usage_is_told(args: list[str], message: str, project: Path) -> None:
    refused(gate(project, *args, "--suite", "words.yaml"), 2, message)


def test_a_result_without_the_scores_of_its_items_is_refused(project: Path) -> None:
    args = ["compare", "tfidf", "--suite", "words.yaml", "--no-track", "--quiet", "--json", "alone.json"]
    compared = call_benchkit(args, project)
    assert compared.code == 0, compared.err
    called = gate(project, "tfidf", "--baseline", "alone.json", "--suite", "words.yaml")
    refused(called, 2, "a result without items.parquet beside it")
