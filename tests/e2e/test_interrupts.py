"""Ctrl-C and kill -9 anywhere: what is finished is kept, and the next run ends where an undisturbed one would have.

Processes are the installed command and get real signals (`cli.Pause` holds them where the signal shall hit); the runs
that go on are made in this process, which spares them the import of torch.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import hub_server
import numpy as np
import own_data
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli import Pause, call_benchkit, encoded, make_project, read_result, run_benchkit, start_benchkit

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COMPARE = ["compare", "tfidf", "./tiny", "--suite", "work.yaml", "--json", "out.json", "--offline"]
SUITE = """\
name: work
tasks:
  - {name: search, type: Retrieval, data: data/retrieval}
  - {name: alike, type: STS, data: data/sts.jsonl}
"""
N_DOCUMENTS = 240  # of some 40 tokens
TOKENS_PER_BATCH = 4096


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has never been run: two tasks, and a BERT of random weights, whose corpus takes 3 batches."""
    folder = make_project(tmp_path_factory.mktemp("interrupts") / "project")
    own_data.retrieval(folder / "data" / "retrieval", N_DOCUMENTS)
    own_data.sts(folder / "data" / "sts.jsonl", 120)
    (folder / "work.yaml").write_text(SUITE)
    hub_server.build_bert(folder / "tiny", seed=1)
    return folder


@pytest.fixture(scope="module")
def undisturbed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "project"
    shutil.copytree(project, folder)
    called = call_benchkit([*COMPARE, "--no-track"], folder)
    assert called.code == 0, called.err
    return folder / "out.json"


@pytest.fixture
def fresh(project: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    return folder


def cells_of(path: Path) -> list[tuple[str, str]]:
    return [(cell["model"], cell["task"]) for cell in json.loads(path.read_text())["cells"]]


@pytest.mark.parametrize(
    ("pause", "n_finished", "message"),
    [
        (Pause("benchkit.api.request:_find_models"), 0, "interrupted"),
        (Pause("benchkit.tasks.scoring:_main_scores"), 0, "interrupted: finished cells are kept"),
        (Pause("benchkit.models.sentence_transformers:_load"), 2, "the same command goes on from there"),
        (
            Pause("benchkit.models.sentence_transformers:SentenceTransformersEncoder.encode", nth=3),
            2,
            "the same command goes on from there",
        ),
        (Pause("benchkit.tasks.scoring:_main_scores", nth=4), 3, "the same command goes on from there"),
    ],
    ids=["finding", "scoring the first cell", "loading", "encoding", "scoring"],
)
def test_ctrl_c_keeps_and_reports_what_is_finished_and_the_next_run_goes_on(
    pause: Pause, n_finished: int, message: str, fresh: Path, undisturbed: Path
) -> None:
    with start_benchkit([*COMPARE, "--no-track"], fresh, pause=pause) as running:
        running.wait_for_pause()
        ended = running.interrupt()

    assert ended.returncode == 130, ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    if n_finished:
        assert cells_of(fresh / "out.json") == cells_of(undisturbed)[:n_finished]
        assert json.loads((fresh / "out.json").read_text())["interrupted"] is True
        assert "The comparison was interrupted; not every cell was run." in " ".join(ended.stdout.split())
    else:
        assert not (fresh / "out.json").exists(), "a report on nothing would replace an earlier one"
        assert ended.stdout == ""

    again = call_benchkit([*COMPARE, "--no-track"], fresh)
    assert again.code == 0, again.err
    assert again.err.count("known already") == n_finished
    assert read_result(fresh / "out.json") == read_result(undisturbed)


def test_ctrl_c_while_the_cells_are_compared_loses_no_cell(fresh: Path, undisturbed: Path) -> None:
    with start_benchkit([*COMPARE, "--no-track"], fresh, pause=Pause("benchkit.api.run:compare_cells")) as running:
        running.wait_for_pause()
        ended = running.interrupt()
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "interrupted: finished cells are kept; the same command goes on from there" in ended.stderr

    again = call_benchkit([*COMPARE, "--no-track"], fresh)
    assert again.err.count("known already") == 4
    assert read_result(fresh / "out.json") == read_result(undisturbed)


def test_a_second_ctrl_c_ends_at_once_what_the_first_could_not(fresh: Path) -> None:
    pause = Pause("benchkit.tasks.scoring:_main_scores", is_deaf=True)
    with start_benchkit([*COMPARE, "--no-track"], fresh, pause=pause) as running:
        running.wait_for_pause()
        running.interrupt_deaf()
        assert running.process.poll() is None
        ended = running.interrupt()
    assert ended.returncode == 130
    assert ended.stderr.endswith("\ninterrupted\n")


def test_ctrl_c_while_mlflow_is_written_leaves_the_result_on_disk_and_no_run_half_done(
    fresh: Path, undisturbed: Path
) -> None:
    with start_benchkit(COMPARE, fresh, pause=Pause("benchkit.store.mlflow_store:_log_candidate", nth=2)) as running:
        running.wait_for_pause()
        ended = running.interrupt()

    assert ended.returncode == 130, ended.stderr
    assert read_result(fresh / "out.json") == read_result(undisturbed), "the report was there before the record"
    assert "./tiny" in ended.stdout
    (result,) = (fresh / "mlruns" / "results").glob("*/result.json")
    assert f"log it later with: benchkit track {result}" in ended.stderr
    assert states(fresh) == {"FAILED": 2}

    later = call_benchkit(["track", str(result)], fresh)
    assert later.code == 0, later.err
    assert states(fresh) == {"FAILED": 2, "FINISHED": 3}


def states(project: Path) -> dict[str, int]:
    """Return how many runs MLflow has in each state."""
    with closing(sqlite3.connect(project / "mlruns" / "mlflow.db")) as database:
        return dict(database.execute("SELECT status, count(*) FROM runs GROUP BY status"))


def test_ctrl_c_in_a_download_ends_at_once_and_the_next_run_fetches_the_rest(project: Path, tmp_path: Path) -> None:
    models = dict.fromkeys(hub_server.pinned_revisions(), project / "tiny")
    with hub_server.HubServer(models, revisions=hub_server.pinned_revisions()) as hub:
        hub.break_files, hub.break_after, hub.stall = 1, 1000, True
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url, "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
        with start_benchkit(["compare", "mpnet", "tfidf", "--suite", "quickstart"], tmp_path, online) as running:
            assert hub.stalled.wait(60)
            began = time.monotonic()
            ended = running.interrupt()
        assert time.monotonic() - began < 20
        assert ended.returncode == 130, ended.stderr
        assert "interrupted" in ended.stderr
        assert "Traceback" not in ended.stderr

        hub.requests.clear()
        shown = run_benchkit(["models", "show", "mpnet"], tmp_path, online)
    assert shown.returncode == 0, shown.stderr
    assert "sentence-transformers/all-mpnet-base-v2" in shown.stdout
    assert any("model.safetensors" in request for request in hub.requests)


def test_killed_twice_in_the_middle_of_encoding_the_next_run_gives_the_same_bytes(
    fresh: Path, undisturbed: Path
) -> None:
    place = Pause("benchkit.models.sentence_transformers:SentenceTransformersEncoder.encode", nth=2)
    for _ in range(2):
        with start_benchkit([*COMPARE, "--no-track"], fresh, pause=place) as running:
            running.wait_for_pause()
            running.kill()

    again = call_benchkit([*COMPARE, "--no-track"], fresh)
    assert again.code == 0, again.err
    assert read_result(fresh / "out.json") == read_result(undisturbed)
    # The first run had finished the batch of the queries, the second a batch of documents; only what was in flight is
    # encoded again.
    queries = {row["text"] for row in rows(fresh / "data/retrieval/queries.jsonl")}
    kept = len(queries) + first_batch(fresh)
    assert encoded(fresh / "out.json") == encoded(undisturbed) - kept
    assert vectors(fresh) == vectors(undisturbed.parent)


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def first_batch(project: Path) -> int:
    """Return how many documents, longest first, fit into the tokens of one batch."""
    from benchkit.models.names import parse_model
    from benchkit.plugins import open_model
    from benchkit.types.model import OpenContext

    context = OpenContext(device="cpu", offline=True, cache_dir=project / "cache")
    model = open_model(parse_model(str(project / "tiny")), context).load()
    texts = {f"{row['title']} {row['text']}" for row in rows(project / "data/retrieval/corpus.jsonl")}
    left, n = TOKENS_PER_BATCH, 0
    for length in sorted(model.count_tokens(sorted(texts)), reverse=True):
        left -= min(int(length), model.meta.max_seq_length)
        if left < 0:
            break
        n += 1
    assert 0 < n < len(texts) - n, "several batches"
    return n


def vectors(project: Path) -> set[tuple[bytes, bytes]]:
    """Return every (key, vector) of a project's cache, byte for byte."""
    from benchkit.embeddings.segment import read_rows, read_segment

    found = set()
    for path in (project / "cache" / "embeddings").rglob("*.seg"):
        for block in read_segment(path).blocks:
            for row, key in enumerate(block.keys):
                position = np.array([block.position + row * block.dimension])
                found.add((key.tobytes(), read_rows(path, position, block.dimension).tobytes()))
    assert found
    return found


def test_two_runs_at_once_on_one_new_cache_and_one_new_store_both_finish_with_the_same_numbers(
    fresh: Path, undisturbed: Path
) -> None:
    names = ("first.json", "second.json")
    commands = [[name if part == "out.json" else part for part in COMPARE] for name in names]
    with start_benchkit(commands[0], fresh) as first, start_benchkit(commands[1], fresh) as second:
        ended = [first.finish(), second.finish()]

    assert [run.returncode for run in ended] == [0, 0], [run.stderr for run in ended]
    assert all("warning" not in run.stderr for run in ended)
    for name in names:
        assert read_result(fresh / name) == read_result(undisturbed)
    assert states(fresh) == {"FINISHED": 6}
    assert len(list((fresh / "mlruns" / "results").glob("*/result.json"))) == 2
