"""`benchkit drift` for real on files of this machine: baselines, checks, canaries, pages, and what people get wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift_data import DIMENSION, START, times, vectors, write_jsonl, write_parquet
from openai_server import OpenAIServer, Vectors, hashed_vectors

from benchkit.monitor import EmbeddingLog, live_model
from benchkit.types.model import ModelSpec
from tests.e2e.cli import COMMAND, Called, call_benchkit, environment, make_project, run_benchkit

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&"
hashed = partial(hashed_vectors, dim=DIMENSION)


def drift(cwd: Path, *args: str | Path, code: int = 0) -> Called:
    """Run `benchkit drift ...`, which must end as said and never with a traceback."""
    called = call_benchkit(["drift", *map(str, args)], cwd)
    assert "Traceback" not in called.err + called.out
    assert called.code == code, called.err
    return called


def check(cwd: Path, source: str | Path, *args: str | Path, code: int = 0) -> Called:
    return drift(cwd, "check", source, "--baseline", "prod", "--no-track", *args, code=code)


def reported(cwd: Path, source: str | Path, *args: str | Path, code: int = 0) -> dict[str, Any]:
    """Return the JSON report of a check."""
    report: dict[str, Any] = json.loads(check(cwd, source, "--json", "-", *args, code=code).out)
    return report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_parquet(folder / "reference.parquet", vectors(4000, seed=1))
    write_parquet(folder / "same.parquet", vectors(1000, seed=2))
    write_parquet(folder / "new.parquet", vectors(1000, seed=3, domain=0.1))
    drift(folder, "baseline", "create", "prod", "--from", "reference.parquet")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A project with the baseline "prod" and a few files."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder)
    return folder


# ---------------------------------------------------------------- baselines


def test_baselines_are_made_listed_shown_renewed_and_deleted(tmp_path: Path) -> None:
    assert "no baseline yet" in drift(tmp_path, "baseline", "list").err
    write_parquet(tmp_path / "reference.parquet", vectors(1500, seed=1))
    create = ("baseline", "create", "prod", "--from", "reference.parquet", "--quiet")
    called = drift(tmp_path, *create)
    assert "prod" in called.out
    assert "1,500" in called.out
    assert called.err == ""
    assert drift(tmp_path, "baseline", "list").out == called.out
    first = json.loads(drift(tmp_path, "baseline", "show", "prod", "--json").out)
    assert (first["rows"], first["dimension"], first["n_canaries"], first["n_windows"]) == (1500, DIMENSION, 0, 0)
    assert first["bytes"] == (tmp_path / "mlruns/drift/baselines/prod.safetensors").stat().st_size
    assert "already" in drift(tmp_path, *create, code=2).err

    write_parquet(tmp_path / "reference.parquet", vectors(1600, seed=5))
    drift(tmp_path, "baseline", "renew", "prod", "--from", "reference.parquet")
    second = json.loads(drift(tmp_path, "baseline", "show", "prod", "--json").out)
    assert second["rows"] == 1600
    assert second["digest"] != first["digest"]

    (tmp_path / "mlruns/drift/baselines/cut.safetensors").write_bytes(b"cut off")
    listed = drift(tmp_path, "baseline", "list").out.splitlines()
    assert listed[1].startswith("prod ")
    assert listed[2].startswith("can't be used: cut: ")
    assert listed[2].endswith("or delete it: benchkit drift baseline delete cut")
    drift(tmp_path, "baseline", "delete", "cut")
    refused = drift(tmp_path, "baseline", "renew", "prd", "--from", "reference.parquet", code=4)
    assert "no baseline 'prd' to renew (did you mean 'prod'?)" in refused.err

    drift(tmp_path, "baseline", "delete", "prod")
    assert "prod" not in drift(tmp_path, "baseline", "list").out
    assert "no baseline 'prod'" in drift(tmp_path, "baseline", "show", "prod", code=4).err
    assert "no baseline 'prod'" in drift(tmp_path, "baseline", "delete", "prod", code=4).err


def test_rows_that_a_baseline_is_not_of_are_told(tmp_path: Path) -> None:
    rows = vectors(1500, seed=1)
    rows[:3] = 0
    np.save(tmp_path / "few.npy", rows)
    few = drift(tmp_path, "baseline", "create", "few", "--from", "few.npy", "--quiet")
    assert few.out.splitlines()[-1] == "left out: 3 of 1,500 rows (0.2%): 3 of nothing but zeros"
    assert few.err == ""
    rows[3:153, 0] = np.nan
    np.save(tmp_path / "many.npy", rows)
    many = drift(tmp_path, "baseline", "create", "many", "--from", "many.npy", "--quiet")
    line = "left out: 153 of 1,500 rows (10.2%): 150 with NaN or infinity, 3 of nothing but zeros"
    assert many.out.splitlines()[-1] == line
    assert many.err.startswith("warning: 10.2% of the rows hold no vector to learn from")
    assert drift(tmp_path, "baseline", "show", "many").out == many.out
    shown = json.loads(drift(tmp_path, "baseline", "show", "many", "--json").out)
    assert shown["left_out"] == {"nonfinite": 150, "zero": 3}


def test_baseline_of_the_same_rows_and_seed_judges_the_same(project: Path) -> None:
    drift(project, "baseline", "create", "again", "--from", "reference.parquet")
    drift(project, "check", "new.parquet", "--baseline", "again", "--no-track", "--json", "again.json", code=1)
    again = json.loads((project / "again.json").read_text())
    assert again["statistics"] == reported(project, "new.parquet", code=1)["statistics"]


@pytest.mark.parametrize(
    ("rows", "args", "message"),
    [
        (99, (), "needs 100"),
        (500, ("--canary", "texts.txt"), "needs the model"),
        (500, ("--canary", "source", "--model", "minilm"), "no texts"),
        (500, ("--segment-by", "segment"), "no such column"),
        (500, ("--history", "1d"), "no time"),
        (500, ("--vector-column", "embeding"), "did you mean 'embedding'"),
        (500, ("--model", "no-such-model"), "no model named 'no-such-model'"),
    ],
)
def test_baseline_that_can_not_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, args: tuple[str, ...], message: str
) -> None:
    if "minilm" in args:
        with OpenAIServer(hashed) as server:
            serve(monkeypatch, server)
            write_parquet(tmp_path / "r.parquet", vectors(rows))
            refused = drift(tmp_path, "baseline", "create", "b", "--from", "r.parquet", *args, code=2)
    else:
        write_parquet(tmp_path / "r.parquet", vectors(rows))
        (tmp_path / "texts.txt").write_text("a\nb\n")
        refused = drift(tmp_path, "baseline", "create", "b", "--from", "r.parquet", *args, code=2)
    assert message in refused.err
    assert not list((tmp_path / "mlruns").rglob("*.safetensors"))


# ---------------------------------------------------------------- checks


def test_unchanged_window_is_fine_and_a_planted_domain_breaks_the_policy(project: Path) -> None:
    fine = check(project, "same.parquet")
    assert fine.out.startswith("OK: ")
    broken = check(project, "new.parquet", code=1)
    assert broken.out.startswith("WARN: ")
    report = reported(project, "new.parquet", code=1)
    assert (report["schema_version"], report["kind"], report["severity"]) == (1, "data", "warn")
    assert report["breaks_policy"] is True
    assert report["window"]["rows"] == 1000
    assert report["p_value"] < 0.01
    assert report["reason"]
    assert report["advice"]


def test_policy_decides_what_breaks(project: Path) -> None:
    report = reported(project, "new.parquet", "--fail-on", "critical")
    assert (report["severity"], report["breaks_policy"]) == ("warn", False)
    tolerated = reported(project, "new.parquet", "--tolerance", "0.3")
    assert tolerated["severity"] == "ok"
    assert tolerated["policy"]["tolerance"] == 0.3


def test_json_of_stdout_and_of_a_file_are_the_same_and_nothing_else_is_on_stdout(project: Path) -> None:
    on_stdout = reported(project, "new.parquet", code=1)
    told = check(project, "new.parquet", "--json", "out.json", "--html", "out.html", code=1)
    assert told.out.startswith("WARN")
    in_file = json.loads((project / "out.json").read_text())
    del in_file["checked_at"], on_stdout["checked_at"]
    assert in_file == on_stdout
    page = (project / "out.html").read_text()
    assert "new.parquet" in page
    assert "://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("drift check new.parquet --baseline prod --no-track", 1),
        ("drift check same.parquet --baseline prod --no-track", 0),
        ("drift check new.parquet --baseline prod --no-track --json -", 1),
        ("drift test reference.parquet new.parquet --method mmd --rows 300", 1),
        ("drift watch new.parquet --baseline prod --no-track --once --window-size 200 --alert jsonl:alerts.jsonl", 1),
    ],
)
def test_a_verdict_stands_where_nobody_reads_it(project: Path, command: str, code: int) -> None:
    ended = subprocess.run(
        ["bash", "-c", f"{COMMAND} {command} 2>err.txt | true; exit ${{PIPESTATUS[0]}}"],
        cwd=make_project(project),
        env=environment(project),
        timeout=240,
        check=False,
    )
    err = (project / "err.txt").read_text(encoding="utf-8")
    assert "Traceback" not in err
    assert ended.returncode == code, err
    if "watch" in command:
        assert err.count("nobody reads stdout any more; the watch goes on") == 1
        assert "stopped after 5 windows" in err
        assert len((project / "alerts.jsonl").read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    "command", ["check same.parquet --baseline prod --no-track --no-canary --json -", "history --json"]
)
def test_a_stdout_that_is_closed_or_not_utf8_loses_no_letter_and_no_verdict(project: Path, command: str) -> None:
    source = "same \u96fb.parquet"
    shutil.copy(project / "same.parquet", project / source)
    check(project, source)
    args = [source if part == "same.parquet" else part for part in command.split()]
    ended = run_benchkit(["drift", *args], project, env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["window"]["source"] == source
    closed = subprocess.run(
        ["bash", "-c", f"{COMMAND} drift {command} >&-"],
        cwd=make_project(project),
        env=environment(project),
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert (closed.returncode, b"Traceback" in closed.stderr) == (0, False), closed.stderr


def test_last_rows_and_windows_of_time_are_what_is_checked(project: Path) -> None:
    rows = np.concatenate([vectors(1000, seed=2), vectors(500, seed=3, domain=0.3)])
    write_parquet(project / "timed.parquet", rows, timestamp=times(1500, seconds=60))
    assert reported(project, "timed.parquet", "--last", "500", code=1)["window"]["rows"] == 500
    early = reported(project, "timed.parquet", "--window", f"2026-09-01..{START + np.timedelta64(1000, 'm')}")
    assert (early["window"]["rows"], early["severity"]) == (1000, "ok")
    assert early["window"]["start"] == "2026-09-01T00:00:00Z"
    assert early["window"]["end"] == "2026-09-01T16:39:00Z"
    late = reported(project, "timed.parquet", "--window", f"{START + np.timedelta64(1000, 'm')}..", code=1)
    assert late["window"]["rows"] == 500
    nothing = reported(project, "timed.parquet", "--window", "2020-01-01..2020-01-02", code=1)
    assert (nothing["window"]["rows"], nothing["p_value"], nothing["kind"]) == (0, None, "pipeline")


def test_three_rows_are_too_few_for_a_test_and_no_alarm(project: Path) -> None:
    report = reported(project, "new.parquet", "--last", "3")
    assert report["p_value"] is None
    assert "too few" in " ".join(report["notes"])


def test_broken_rows_are_counted_exactly(project: Path) -> None:
    rows = vectors(1000, seed=2)
    rows[7, 3], rows[8, 0], rows[9] = np.nan, np.inf, 0
    write_parquet(project / "broken.parquet", rows)
    report = reported(project, "broken.parquet", code=1)
    assert report["kind"] == "pipeline"
    found = {finding["name"]: finding["found"] for finding in report["health"]}
    assert found["nonfinite"] == pytest.approx(0.002)
    assert found["zero"] == pytest.approx(0.001)


def test_history_and_report_tell_every_check(project: Path) -> None:
    assert "nothing was checked yet" in drift(project, "history").err
    assert "no check to report" in drift(project, "report", "--baseline", "prod", "--html", "r.html", code=2).err
    check(project, "same.parquet")
    check(project, "new.parquet", code=1)
    lines = drift(project, "history", "--baseline", "prod", "--json").out.splitlines()
    told = [(json.loads(line)["window"]["source"], json.loads(line)["severity"]) for line in lines]
    assert told == [("same.parquet", "ok"), ("new.parquet", "warn")]
    assert len(drift(project, "history", "--limit", "1", "--json").out.splitlines()) == 1
    table = drift(project, "history").out
    assert "same.parquet" in table
    assert "WARN" in table
    for command in (["history"], ["report", "--html", "typo.html"]):
        told_of = drift(project, *command, "--baseline", "prd", code=4).err
        assert "no baseline 'prd' (did you mean 'prod'?); there are prod" in told_of
    assert not (project / "typo.html").exists()
    drift(project, "baseline", "create", "other", "--from", "reference.parquet")
    assert "nothing was checked against other yet" in drift(project, "history", "--baseline", "other").err
    drift(project, "report", "--baseline", "prod", "--html", "r.html")
    page = (project / "r.html").read_text()
    assert "<svg" in page
    assert "same.parquet" in page
    assert "new.parquet" in page


def test_check_is_a_run_in_the_store(project: Path) -> None:
    called = drift(project, "check", "new.parquet", "--baseline", "prod", code=1)
    assert "not recorded" not in called.err
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlruns/mlflow.db'}")
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["drift/rows"] == 1000


def test_store_that_can_not_be_written_hides_no_verdict(project: Path) -> None:
    called = drift(
        project, "check", "new.parquet", "--baseline", "prod", "--tracking-uri", "sqlite:////proc/no/x.db", code=1
    )
    assert "not recorded in MLflow" in called.err
    assert called.out.startswith("WARN")
    assert len(drift(project, "history", "--json").out.splitlines()) == 1


# ---------------------------------------------------------------- what can't be compared, wrong usage


def test_other_dimension_other_model_and_missing_baseline_end_with_4(project: Path) -> None:
    write_parquet(project / "small.parquet", vectors(500, dimension=8))
    assert "8 dimensions and the baseline 'prod' has 16" in check(project, "small.parquet", code=4).err
    missing = drift(project, "check", "same.parquet", "--baseline", "prd", code=4)
    assert "no baseline 'prd'" in missing.err
    assert "prod" in missing.err
    for name in ("a", "b"):
        with EmbeddingLog(project / name, model=name, fingerprint=f"fingerprint-{name}") as log:
            log.record(vectors(500, seed=4))
    drift(project, "baseline", "create", "of-a", "--from", "a")
    drift(project, "check", "a", "--baseline", "of-a", "--no-track")
    other = drift(project, "check", "b", "--baseline", "of-a", "--no-track", code=4)
    assert "of the model b" in other.err
    assert "two models" in drift(project, "baseline", "create", "both", "--from", "[ab]/**/*.parquet", code=2).err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("check", "same.parquet"), "--baseline"),
        (("check", "same.parquet", "--baseline", "../prod"), "can't name a baseline"),
        (("check", "same.parquet", "--baseline", "prod", "--last", "9", "--window", "2026-01-01.."), "exclude"),
        (("check", "same.parquet", "--baseline", "prod", "--window", "yesterday"), "two times"),
        (("check", "same.parquet", "--baseline", "prod", "--window", "2026-01-02..2026-01-01"), "isn't after"),
        (("check", "same.parquet", "--baseline", "prod", "--window", "2026-01-01.."), "time"),
        (("check", "gone.parquet", "--baseline", "prod"), "no such file"),
        (("check", "*.nothing", "--baseline", "prod"), "nothing to read"),
        (("check", "nowhere://bucket/x", "--baseline", "prod"), "nowhere"),
        (("check", "same.parquet", "--baseline", "prod", "--json", "no/such/folder/x.json"), "no/such/folder"),
        (("check", "same.parquet", "--baseline", "prod", "--false-alarms", "0"), "--false-alarms"),
        (("check", "same.parquet", "--baseline", "prod", "--text-column", "said"), "no column 'said'"),
        (("watch", "same.parquet", "--baseline", "prod"), "--every SPAN or --window-size N"),
        (("watch", "same.parquet", "--baseline", "prod", "--every", "1h", "--window-size", "9"), "not both"),
        (("watch", "same.parquet", "--baseline", "prod", "--every", "soon"), "no length of time"),
        (("watch", "same.parquet", "--baseline", "prod", "--every", "1h", "--once"), "windows of time need"),
        (("watch", "gone.parquet", "--baseline", "prod", "--window-size", "9", "--once"), "no such file"),
        (("watch", "same.parquet", "--baseline", "prod", "--window-size", "9", "--alert", "jsnl:x"), "jsonl:"),
        (("watch", "same.parquet", "--baseline", "prod", "--window-size", "9", "--poll", "nan", "--once"), "--poll"),
        (("watch", "same.parquet", "--baseline", "prod", "--window-size", "9", "--poll", "inf", "--once"), "--poll"),
        (("check", "same.parquet", "--baseline", "prod", "--tolerance", "nan"), "--tolerance"),
        (("test", "same.parquet", "new.parquet", "--method", "mmd", "--false-alarms", "nan"), "--false-alarms"),
        (("chek",), "chek"),
    ],
)
def test_wrong_usage_and_sources_end_with_2_and_say_why(project: Path, args: tuple[str, ...], message: str) -> None:
    assert message in drift(project, *args, code=2).err


# ---------------------------------------------------------------- bad input


def mixed_dimensions(path: Path) -> None:
    path.write_text("".join(json.dumps({"embedding": [1.0] * n}) + "\n" for n in (16, 16, 8)))


def objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


def texts_for_vectors(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"embedding": ["[0.1, 0.2]", "[0.3]"]}), path)


def ragged(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"embedding": [[1.0] * 16, [1.0] * 15]}), path)


def truncated(path: Path) -> None:
    write_parquet(path, vectors(500))
    path.write_bytes(path.read_bytes()[:-100])


def huge_claim(path: Path) -> None:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000, 16), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + (len(head) + 1).to_bytes(2, "little") + head + b"\n" + b"\0" * 64)


def not_utf8(path: Path) -> None:
    path.write_bytes(b'{"embedding": [1, \xff]}\n')


def deep(path: Path) -> None:
    path.write_text("[" * 100_000 + "\n")


def of_words(path: Path) -> None:
    path.write_text('{"embedding": ["one", "two"]}\n')


@pytest.mark.parametrize("command", ["create", "check", "watch"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("mixed.jsonl", mixed_dimensions),
        ("objects.npy", objects),
        ("texts.parquet", texts_for_vectors),
        ("ragged.parquet", ragged),
        ("truncated.parquet", truncated),
        ("huge.npy", huge_claim),
        ("latin.jsonl", not_utf8),
        ("deep.jsonl", deep),
        ("words.jsonl", of_words),
        ("empty.parquet", Path.touch),
    ],
)
def test_damaged_source_is_one_error_that_names_the_file(project: Path, command: str, name: str, write: Any) -> None:
    write(project / name)
    # A young file that isn't whole is left for later by a watch.
    _age(project / name)
    args = {
        "create": ("baseline", "create", "other", "--from", name),
        "check": ("check", name, "--baseline", "prod"),
        "watch": ("watch", name, "--baseline", "prod", "--window-size", "100", "--once", "--no-track"),
    }[command]
    refused = drift(project, *args, code=2)
    assert name in refused.err.split("error: ")[1]
    assert refused.out == ""


def _age(path: Path) -> None:
    import os

    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_corrupted_baseline_is_an_error_and_renewing_it_helps(project: Path) -> None:
    path = project / "mlruns/drift/baselines/prod.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)
    refused = check(project, "same.parquet", code=2)
    assert "prod.safetensors" in refused.err
    assert "baseline renew prod" in refused.err
    path.write_bytes(content[:1000])
    check(project, "same.parquet", code=2)
    path.write_bytes(b"")
    check(project, "same.parquet", code=2)
    drift(project, "baseline", "list")
    drift(project, "baseline", "renew", "prod", "--from", "reference.parquet")
    check(project, "same.parquet")


def test_damaged_history_is_an_error_that_names_the_file(project: Path) -> None:
    (project / "mlruns/drift/state.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    assert "state.db" in check(project, "same.parquet", code=2).err
    assert "state.db" in drift(project, "history", code=2).err


def test_hostile_texts_and_names_are_harmless_in_the_page_and_the_terminal(project: Path) -> None:
    folder = project / "a<b>&'"
    rows = vectors(1000, seed=3, domain=0.3)
    write_parquet(folder / "x.parquet", rows, text=[f"{HOSTILE} number {n}" for n in range(1000)])
    called = check(project, folder, "--keep-texts", "--html", "out.html", "--json", "out.json", code=1)
    page = (project / "out.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b[31m" not in called.out
    assert "\u202e" not in called.out
    assert HOSTILE in (project / "out.json").read_text() or "\\u001b" in (project / "out.json").read_text()


def test_texts_are_kept_nowhere_unless_asked_for(project: Path) -> None:
    write_parquet(project / "x.parquet", vectors(1000, seed=3, domain=0.3), text=["a very private word"] * 1000)
    called = check(project, "x.parquet", "--html", "out.html", "--json", "out.json", code=1)
    drift(project, "baseline", "create", "texts", "--from", "x.parquet")
    kept = [path.read_bytes() for path in (project / "mlruns").rglob("*") if path.is_file()]
    kept += [(project / name).read_bytes() for name in ("out.html", "out.json")]
    assert "private" not in called.out
    assert not any(b"private" in content for content in kept)


def test_columns_of_the_baseline_are_those_of_its_checks(tmp_path: Path) -> None:
    for name, seed in (("r.parquet", 1), ("w.parquet", 2)):
        right, wrong = vectors(1000, seed=seed), vectors(1000, seed=seed, dimension=8)
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"embedding": wrong.tolist(), "mine": right.tolist()}), tmp_path / name)
    drift(tmp_path, "baseline", "create", "prod", "--from", "r.parquet", "--vector-column", "mine")
    assert reported(tmp_path, "w.parquet")["baseline"]["dimension"] == DIMENSION
    assert "8 dimensions" in check(tmp_path, "w.parquet", "--vector-column", "embedding", code=4).err


def test_rows_without_a_time_are_in_no_window_of_time(project: Path) -> None:
    import pyarrow as pa

    stamps = pa.array([None if n % 2 else int(n) for n in range(1000)], pa.timestamp("s", tz="UTC"))
    write_parquet(project / "half.parquet", vectors(1000, seed=2), timestamp=stamps)
    report = reported(project, "half.parquet", "--window", "1970-01-01..1970-01-02")
    assert report["window"]["rows"] == 500
    note = "500 of 1,000 rows of the source have no time and are in no window of time"
    assert note in report["notes"]
    shown = check(project, "half.parquet", "--window", "1970-01-01..1970-01-02").out
    assert note in " ".join(shown.split())


def test_the_last_rows_are_the_newest_and_not_those_with_the_largest_ids(project: Path) -> None:
    order = np.random.default_rng(0).permutation(1000)
    rows = np.concatenate([vectors(500, seed=2), vectors(500, seed=3, domain=0.5)])
    write_parquet(project / "shuffled.parquet", rows[order], timestamp=times(1000)[order])
    newest = reported(project, "shuffled.parquet", "--last", "500", code=1)
    assert newest["window"]["start"] == f"{times(1000)[500].astype('datetime64[s]')}Z"
    # Without times they are the last in the order of the source: of both halves as many.
    write_parquet(project / "untimed.parquet", rows[order])
    assert reported(project, "untimed.parquet", "--last", "500", code=1)["window"]["start"] == ""


def test_rows_of_a_baseline_without_a_time_are_told_and_one_file_without_times_takes_none_from_others(
    tmp_path: Path,
) -> None:
    days = times(2000, seconds=864)  # twenty days
    write_parquet(tmp_path / "then/a.parquet", vectors(2000, seed=1), timestamp=days)
    write_parquet(tmp_path / "then/b.parquet", vectors(100, seed=2))
    made = drift(tmp_path, "baseline", "create", "prod", "--from", "then", "--quiet")
    assert made.out.splitlines()[-1].startswith("without a time: 100 of 2,100 rows (4.8%): they are left out of the")
    shown = json.loads(drift(tmp_path, "baseline", "show", "prod", "--json").out)
    assert (shown["rows"], shown["n_windows"]) == (2100, 20)
    write_parquet(tmp_path / "then/c.parquet", vectors(300, seed=3))
    renewed = drift(tmp_path, "baseline", "renew", "prod", "--from", "then", "--quiet")
    assert "400 of 2,400 rows (16.7%): more than one in ten, so all rows are taken as" in renewed.out
    assert json.loads(drift(tmp_path, "baseline", "show", "prod", "--json").out)["n_windows"] == 0


def test_segments_are_tested_apart(tmp_path: Path) -> None:
    names = ["de", "fr"] * 1000
    write_jsonl(tmp_path / "r.jsonl", vectors(2000, seed=1), segment=names)
    rows = vectors(2000, seed=2)
    rows[1::2] = vectors(1000, seed=3, domain=0.4)
    write_jsonl(tmp_path / "w.jsonl", rows, segment=names)
    drift(tmp_path, "baseline", "create", "prod", "--from", "r.jsonl", "--segment-by", "segment")
    segments = {found["segment"]: found for found in reported(tmp_path, "w.jsonl", code=1)["segments"]}
    assert {name: found["rows"] for name, found in segments.items()} == {"de": 1000, "fr": 1000}
    assert segments["fr"]["is_alarm"]
    assert not segments["de"]["is_alarm"]


# ---------------------------------------------------------------- canaries


def serve(monkeypatch: pytest.MonkeyPatch, server: OpenAIServer, **options: Any) -> None:
    """Make every model name mean this endpoint; how it is opened and asked is the real thing."""
    load = live_model.load_model

    def load_house(name: str, **where: Any) -> Any:
        given = {"base_url": server.url, "max_retries": 0, **options}
        return load(ModelSpec(name, name, loader="openai", options=given), **where)

    monkeypatch.setattr(live_model, "load_model", load_house)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with OpenAIServer(hashed) as running:
        serve(monkeypatch, running)
        yield running


@pytest.fixture
def watched(project: Path, server: OpenAIServer) -> Path:
    """The project with canaries of the model "house"."""
    (project / "canary.txt").write_text("".join(f"canary text number {n}\n" for n in range(60)))
    drift(
        project, "baseline", "renew", "prod", "--from", "reference.parquet",
        "--model", "house", "--canary", "canary.txt",
    )  # fmt: skip
    return project


def turned(texts: Sequence[str]) -> Vectors:
    matrix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMENSION, DIMENSION)))
    return hashed(texts) @ matrix.astype(np.float32)


def noisy(texts: Sequence[str]) -> Vectors:
    found = hashed(texts)
    rows = found + 2e-2 * np.random.default_rng(0).normal(size=found.shape) / np.sqrt(DIMENSION)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_same_model_is_fine_and_its_canaries_are_asked(watched: Path, server: OpenAIServer) -> None:
    server.forget()
    report = reported(watched, "same.parquet")
    assert (report["kind"], report["severity"]) == ("none", "ok")
    assert report["harm"]["n_canaries"] == 60
    assert report["harm"]["identity"] == pytest.approx(1, abs=1e-6)
    assert report["harm"]["mixed_overlap_at_10"] == 1
    assert sum(len(texts) for texts in server.inputs) >= 60
    asked = server.n_requests
    assert reported(watched, "same.parquet", "--no-canary")["harm"] is None
    assert server.n_requests == asked


@pytest.mark.parametrize("swapped", [partial(hashed, seed=1), turned])
def test_silently_swapped_model_is_critical(watched: Path, server: OpenAIServer, swapped: Any) -> None:
    server.vectors = swapped
    report = reported(watched, "same.parquet", code=1)
    assert (report["kind"], report["severity"]) == ("model", "critical")
    assert report["harm"]["identity"] < 0.5
    assert report["harm"]["mixed_overlap_at_10"] < 0.6
    # The rows themselves are as before: only the canaries tell.
    assert report["p_value"] > 0.01


def test_tiny_noise_is_numeric_and_no_harm(watched: Path, server: OpenAIServer) -> None:
    server.vectors = noisy
    report = reported(watched, "same.parquet")
    assert (report["kind"], report["severity"]) == ("numeric", "info")
    assert 0.999 < report["harm"]["identity"] < 1


def test_endpoint_that_is_away_fails_a_check(watched: Path, server: OpenAIServer) -> None:
    server.fail(503, times=5)
    assert "503" in check(watched, "same.parquet", code=2).err


def test_endpoint_of_another_dimension_is_another_model(watched: Path, server: OpenAIServer) -> None:
    server.vectors = partial(hashed_vectors, dim=8)
    assert "8 dimensions" in check(watched, "same.parquet", code=4).err


def test_endpoint_that_fails_after_it_was_opened_is_a_source_error(watched: Path, server: OpenAIServer) -> None:
    def vectors_of_the_probe(texts: Sequence[str]) -> Vectors:
        # The probe of four texts is answered, the canaries are not.
        return hashed(texts) if len(texts) == 4 else np.full((len(texts), DIMENSION), np.nan, np.float32)

    server.vectors = vectors_of_the_probe
    check(watched, "same.parquet", code=2)


def test_endpoint_that_is_away_does_not_stop_a_watch(watched: Path, server: OpenAIServer) -> None:
    server.fail(503, times=1000)
    args = ("watch", "same.parquet", "--baseline", "prod", "--window-size", "500", "--once", "--no-track")
    drift(watched, *args)
    reports = [json.loads(line) for line in drift(watched, "history", "--json").out.splitlines()]
    assert [report["window"]["rows"] for report in reports] == [500, 500]
    assert all("the canaries could not be asked" in " ".join(report["notes"]) for report in reports)
    assert all(report["p_value"] is not None for report in reports)


ALERTS = ("--alert", "jsonl:alerts.jsonl")


def alerts(project: Path) -> list[tuple[str, str, str]]:
    told = [json.loads(line) for line in (project / "alerts.jsonl").read_text().splitlines()]
    return [(each["event"], each["severity"], each["kind"]) for each in told]


def test_endpoint_that_is_away_is_no_recovery_of_a_swapped_model(watched: Path, server: OpenAIServer) -> None:
    args = ("watch", "log", "--baseline", "prod", "--window-size", "500", "--once", "--no-track", *ALERTS)
    told = [("drift.alert", "critical", "model")]
    for number, answers in enumerate(["other", "none", "same"]):
        server.vectors, server.failures = (partial(hashed, seed=1) if answers == "other" else hashed), []
        if answers == "none":
            server.fail(503, times=1000)
        write_parquet(watched / f"log/{number}.parquet", vectors(500, seed=40 + number))
        drift(watched, *args, code=1 if answers == "other" else 0)
        told += [("drift.recovery", "ok", "none")] if answers == "same" else []
        assert alerts(watched) == told


def test_watch_of_texts_whose_model_fails_ends_with_an_alert(tmp_path: Path, server: OpenAIServer) -> None:
    for name in ("reference", "now"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} number {n}\n" for n in range(300)))
    drift(tmp_path, "baseline", "create", "prod", "--from", "reference.txt", "--model", "house")
    server.fail(503, times=1000)
    args = ("watch", "now.txt", "--baseline", "prod", "--window-size", "100", "--once", "--no-track", *ALERTS)
    assert "503" in drift(tmp_path, *args, code=2).err
    assert alerts(tmp_path) == [("drift.alert", "critical", "pipeline")]


def test_swapped_model_alarms_in_a_watch_at_once(watched: Path, server: OpenAIServer) -> None:
    server.vectors = partial(hashed, seed=1)
    server.forget()
    args = ("watch", "same.parquet", "--baseline", "prod", "--window-size", "500", "--once", "--no-track")
    drift(watched, *args, code=1)
    # The probe, and the canaries once for the two windows that close together.
    assert sum(len(texts) for texts in server.inputs) == 60 + 4
    first = json.loads(drift(watched, "history", "--json").out.splitlines()[0])
    assert (first["kind"], first["severity"], first["window"]["number"]) == ("model", "critical", 0)


def test_texts_alone_are_encoded_by_the_model(tmp_path: Path, server: OpenAIServer) -> None:
    words = np.random.default_rng(0).choice(["alpha", "beta", "gamma", "delta"], size=(700, 3))
    texts = [f"{' '.join(row)} {n}" for n, row in enumerate(words)]
    (tmp_path / "reference.txt").write_text("\n".join(texts[:500]) + "\n")
    (tmp_path / "now.txt").write_text("\n".join(texts[500:]) + "\n")
    refused = drift(tmp_path, "baseline", "create", "prod", "--from", "reference.txt", code=2)
    assert "--model" in refused.err
    drift(
        tmp_path, "baseline", "create", "prod", "--from", "reference.txt", "--model", "house", "--canary", "source"
    )  # fmt: skip
    report = reported(tmp_path, "now.txt")
    assert report["window"]["rows"] == 200
    assert report["harm"]["identity"] == pytest.approx(1, abs=1e-6)


def test_an_endpoint_is_named_as_openais_clients_name_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "canary.txt").write_text("".join(f"canary text number {n}\n" for n in range(60)))
    named = ("--model", "openai:house", "--canary", "canary.txt")
    with OpenAIServer(hashed, key="sesame") as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sesame")
        drift(project, "baseline", "renew", "prod", "--from", "reference.parquet", *named)
        running.forget()
        found = reported(project, "same.parquet", code=0)
        assert found["harm"]["n_canaries"] == 60
        assert found["harm"]["identity"] == pytest.approx(1)
        # Asked again at the check, and not answered from a cache.
        assert {text for texts in running.inputs for text in texts} >= {"canary text number 0", "canary text number 59"}
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        refused = drift(project, "check", "same.parquet", "--baseline", "prod", code=2)
        assert "wrong" not in refused.err
    drift(project, "check", "same.parquet", "--baseline", "prod", "--model", "openai:", code=2)
