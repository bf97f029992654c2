"""`benchkit baseline`: a file that reads the same on another machine, a champion that moves at once or not at all."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hub_server
import pytest

from tests.e2e.cli import Called, Pause, call_benchkit, make_project, run_benchkit, start_benchkit

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ("cat", "dog", "house", "tree", "river", "stone", "cloud", "bread", "light", "paper")
DOWN = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("baseline") / "project")
    rows = [
        f"{a} and {b},{a} and {WORDS[(i + j) % 10]},{5 if (i + j) % 10 == j else (i * j) % 4}"
        for i, a in enumerate(WORDS[:5])
        for j, b in enumerate(WORDS)
    ]
    (folder / "pairs.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "words.yaml").write_text("name: words\ntasks:\n  - {name: alike, type: STS, data: pairs.csv}\n")
    hub_server.build_bert(folder / "tiny")
    first = baseline(folder, "promote", "tfidf", "--suite", "words.yaml", "--by", "ann", "--reason", "the first one")
    assert first.code == 0, first.err
    assert re.fullmatch(
        r"words version 1: tfidf, promoted \S+ by ann \(without a gate\): the first one\n", first.out
    ), first.out
    return folder


def baseline(project: Path, *args: str) -> Called:
    return call_benchkit(["baseline", *args], project)


def champions(project: Path) -> list[str]:
    listed = baseline(project, "list", "--suite", "words.yaml")
    assert listed.code == 0, listed.err
    return listed.out.splitlines()


# ------------------------------------------------------------ files


def test_a_saved_file_names_no_folder_of_the_machine_that_wrote_it(made: Path) -> None:
    absolute = baseline(made, "save", "one.json", "--model", str(made / "tiny"), "--suite", str(made / "words.yaml"))
    assert absolute.code == 0, absolute.err
    written = json.loads((made / "one.json").read_text(encoding="utf-8"))
    assert written["asked_as"] == "./tiny"
    assert written["suite"]["path"] == "words.yaml"
    assert "next: benchkit gate MODEL --baseline one.json" in absolute.out
    # From another directory of another machine, the same command finds the model again and all that belongs to it.
    elsewhere = make_project(made.parent / "elsewhere")
    for name in ("words.yaml", "pairs.csv", "one.json"):
        shutil.copy(made / name, elsewhere)
    shutil.copytree(made / "tiny", elsewhere / "tiny")
    args = ["gate", "./tiny", "--baseline", "one.json", "--suite", "words.yaml", "--json", "g.json"]
    gated = call_benchkit([*args, "--no-track", "--quiet"], elsewhere)
    assert gated.code == 0, gated.err
    assert json.loads((elsewhere / "g.json").read_text(encoding="utf-8"))["warnings"] == []


def test_show_tells_of_a_file_and_of_the_champion(made: Path) -> None:
    assert baseline(made, "save", "two.json", "--model", "tfidf", "--suite", "words.yaml").code == 0
    for name in (["two.json"], ["champion", "--suite", "words.yaml"], ["--suite", "words"]):
        shown = baseline(made, "show", *name)
        assert shown.code == 0, shown.err
        assert "tfidf" in shown.out
        assert "alike" in shown.out
    nothing = baseline(made, "show", "nothing")
    assert nothing.code == 2
    assert "neither a baseline file nor `champion`" in nothing.err


def test_a_model_with_a_hole_makes_no_baseline(made: Path) -> None:
    refused = baseline(made, "save", "hole.json", "--model", "bm25", "--suite", "words.yaml")
    assert refused.code == 3
    assert "no baseline without a score on every task" in refused.err
    assert not (made / "hole.json").exists()


def test_save_takes_one_model_of_a_stored_result(made: Path) -> None:
    compared = call_benchkit(["compare", "tfidf", "./tiny", "--suite", "words.yaml", "--no-track", "--quiet"], made)
    assert compared.code == 0, compared.err
    (folder,) = (made / "mlruns" / "results").glob("*-words*")
    unnamed = baseline(made, "save", "three.json", "--result", str(folder))
    assert unnamed.code == 2
    assert "found 2 models, should be one" in unnamed.err
    named = baseline(made, "save", "three.json", "--result", str(folder), "--model", "tfidf")
    assert named.code == 0, named.err
    gated = call_benchkit(
        ["gate", "tfidf", "--baseline", "three.json", "--suite", "words.yaml", "--no-track", "--quiet"], made
    )
    assert gated.code == 0, gated.err


# ------------------------------------------------------------ champions


@pytest.mark.slow
def test_the_champion_is_a_baseline_and_a_gate_against_it_is_what_a_promotion_rests_on(
    made: Path, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    suite = ("--suite", "words.yaml", "--tracking-uri", uri)
    none = call_benchkit(["gate", "tfidf", "--baseline", "champion", *suite], made)
    assert none.code == 4
    assert "benchkit baseline promote" in none.err
    assert baseline(made, "promote", "tfidf", *suite).code == 0

    gated = call_benchkit(["gate", "tfidf", "--baseline", "champion", *suite], made)
    assert gated.code == 0, gated.err
    assert baseline(made, "promote", "tfidf", *suite, "--by", "bob").code == 0
    present, first = baseline(made, "list", "--suite", "words", "--tracking-uri", uri).out.splitlines()
    assert re.search(r"version 2: tfidf, promoted \S+ by bob \(gate [0-9a-f]{16} pass\)", present)
    assert "version 1: tfidf" in first

    # Other vectors: the gate fails, and the promotion is refused, unless it is forced with a reason.
    (tmp_path / "strict.yaml").write_text("limits: {dimension: {equal_to_baseline: true}}\n")
    failed = call_benchkit(
        ["gate", "./tiny", "--baseline", "champion", *suite, "--policy", str(tmp_path / "strict.yaml")], made
    )
    assert failed.code == 1, failed.err
    refused = baseline(made, "promote", "./tiny", *suite)
    assert refused.code == 2
    assert "ended with FAIL" in refused.err
    assert "--force --reason TEXT" in refused.err
    assert baseline(made, "promote", "./tiny", *suite, "--force").code == 2
    forced = baseline(made, "promote", "./tiny", *suite, "--force", "--reason", "the index is rebuilt tonight")
    assert forced.code == 0, forced.err
    assert re.search(
        r"version 3: ./tiny, .*\(gate [0-9a-f]{16} fail, forced\): the index is rebuilt tonight", forced.out
    )
    assert baseline(made, "list", "--tracking-uri", uri).out == forced.out

    # The champion of before is still there to be held against by its version, and shown.
    again = call_benchkit(["gate", "tfidf", "--baseline", "champion@2", *suite, "--json", "again.json"], made)
    assert again.code == 0, again.err
    report = json.loads((made / "again.json").read_text(encoding="utf-8"))
    assert (report["baseline"]["name"], report["baseline_source"]) == ("tfidf", "champion, version 2")
    assert baseline(made, "save", str(tmp_path / "now.json"), "--model", "tfidf", "--suite", "words.yaml").code == 0
    stored = call_benchkit(["gate", "--result", str(tmp_path / "now.json"), "--baseline", "champion@2", *suite], made)
    assert stored.code == 0, stored.err
    assert "champion, version 1" in baseline(made, "show", "champion@1", *suite).out
    for name, code, said in (
        ("champion@9", 4, "has no champion of version 9 in its history, where the newest is 3"),
        ("champion@last", 2, "found 'last' behind the @, should be the number of a version, as in champion@3"),
    ):
        refused = call_benchkit(["gate", "tfidf", "--baseline", name, *suite], made)
        assert refused.code == code
        assert said in refused.err


def test_a_model_without_a_gate_is_refused_once_there_is_a_champion(made: Path) -> None:
    refused = baseline(made, "promote", "./tiny", "--suite", "words.yaml")
    assert refused.code == 2
    assert "no gate of this model on this suite is recorded" in refused.err
    assert "loading" not in refused.err, "it was scored before it was refused"
    assert [line.split(",")[0] for line in champions(made)] == ["words version 1: tfidf"]


@pytest.mark.slow
def test_a_pass_against_itself_promotes_nothing_and_force_gets_by_a_champion_that_cant_be_read(
    made: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'own.db'}"
    suite = ("--suite", "words.yaml", "--tracking-uri", uri)
    assert baseline(made, "promote", "tfidf", *suite).code == 0
    itself = call_benchkit(["gate", "./tiny", "--baseline", "./tiny", *suite, "--no-cost"], made)
    assert itself.code == 0, itself.err
    refused = baseline(made, "promote", "./tiny", *suite)
    assert (refused.code, "loading" in refused.err) == (2, False)
    assert "held it against ./tiny (baseline), and none against the champion, tfidf (version 1)" in refused.err

    # Somebody sets the alias by hand: what the message tells to do has to work.
    client = MlflowClient(uri, uri)
    foreign = client.create_model_version("benchkit-words", "file:///elsewhere")
    client.set_registered_model_alias("benchkit-words", "champion", foreign.version)
    gated = call_benchkit(["gate", "./tiny", "--baseline", "champion", *suite], made)
    assert gated.code == 4
    assert "promote MODEL --suite words --force --reason TEXT" in gated.err
    forced = baseline(made, "promote", "tfidf", *suite, "--force", "--reason", "the alias was moved by hand")
    assert forced.code == 0, forced.err
    assert "words version 3: tfidf" in forced.out


def test_a_server_that_is_down_is_told_and_nothing_is_promoted(made: Path) -> None:
    down = baseline(
        made, "promote", "tfidf", "--suite", "words.yaml", "--tracking-uri", DOWN, "--force", "--reason", "x"
    )
    assert down.code == 2
    assert "Traceback" not in down.err
    listed = baseline(made, "list", "--tracking-uri", DOWN)
    assert listed.code == 2
    assert len(champions(made)) == 1
    gated = call_benchkit(
        ["gate", "tfidf", "--baseline", "champion", "--suite", "words.yaml", "--tracking-uri", DOWN], made
    )
    assert gated.code == 2, "a store that is down is no missing baseline"


# The model of the fixture again, which is scored already: what is seen is which version is the champion.
FORCED = ["baseline", "promote", "tfidf", "--suite", "words.yaml", "--force", "--reason", "x", "--quiet"]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["interrupt", "kill"])
def test_a_promotion_that_ends_before_the_alias_moves_leaves_the_champion(end: str, made: Path) -> None:
    with start_benchkit(FORCED, made, pause=Pause("benchkit.store.promotion:_move")) as running:
        running.wait_for_pause()
        if end == "kill":
            running.kill()
        else:
            assert running.interrupt().returncode == 130
    assert [line.split(",")[0] for line in champions(made)] == ["words version 1: tfidf"]


@pytest.mark.slow
def test_two_promotions_at_once_leave_one_champion_with_a_whole_history(made: Path) -> None:
    def promote(who: str) -> subprocess.CompletedProcess[str]:
        return run_benchkit([*FORCED, "--by", who], made)

    with ThreadPoolExecutor(2) as both:
        done = list(both.map(promote, ("ann", "bob")))
    assert [run.returncode for run in done] == [0, 0], [run.stderr for run in done]
    history = champions(made)
    assert [line.split(",")[0] for line in history[-1:]] == ["words version 1: tfidf"]
    assert {name for line in history[:-1] for name in re.findall(r"by (\w+)", line)} == {"ann", "bob"}
    (present,) = baseline(made, "list").out.splitlines()
    assert present == history[0]


def test_a_project_without_a_champion_is_told_how_to_make_one(tmp_path: Path) -> None:
    listed = call_benchkit(["baseline", "list"], tmp_path / "new")
    assert (listed.code, listed.out) == (0, "")
    assert "benchkit baseline promote MODEL --suite SUITE" in listed.err
