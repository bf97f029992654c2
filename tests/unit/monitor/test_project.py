"""A project's monitor on disk: baselines, checks, their history, and what happens where something can't be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import HashingEncoder
from monitored import DAY, DIMENSION, START, draw, live_model, times

from benchkit.api.model import LoadedModel
from benchkit.errors import NotComparable, SourceError, UsageError
from benchkit.monitor import live_model as live_models
from benchkit.monitor.kept_baselines import (
    BaselineRequest,
    LeftOut,
    known_baselines,
    left_out,
    listed_baselines,
    load_baseline,
    make_baseline,
)
from benchkit.monitor.kept_checks import Checked, CheckRequest, check_source, history
from benchkit.monitor.project import STATE, baselines_of, folder_of, open_state, settings_here
from benchkit.monitor.window import unpack
from benchkit.settings import Settings, load_settings
from benchkit.store import drift_runs
from benchkit.store.drift_baseline import FORM_VERSION, delete_baseline, path_of
from benchkit.store.uri import TrackingError
from benchkit.types.drift import ColumnNames, DriftPolicy


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "benchkit.toml").write_text('mlruns_dir = "kept"\n')
    return load_settings(tmp_path, {"HOME": str(tmp_path)})


@pytest.fixture
def usual(tmp_path: Path) -> str:
    return _npy(tmp_path / "usual.npy", draw(1, 600))


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, HashingEncoder]:
    """Models by name; they stand in for those that are loaded from disk."""
    known = {"first": HashingEncoder(dimension=DIMENSION), "second": HashingEncoder(dimension=DIMENSION, seed=7)}

    def load(name: str, *, device: str = "auto", offline: bool | None = None) -> LoadedModel:
        return live_model(known[name]).loaded

    monkeypatch.setattr(live_models, "load_model", load)
    return known


def _npy(path: Path, vectors: np.ndarray) -> str:
    np.save(path, vectors)
    return str(path)


def _jsonl(path: Path, vectors: np.ndarray, **columns: Any) -> str:
    with path.open("w") as file:
        for n, vector in enumerate(vectors.tolist()):
            file.write(json.dumps({"embedding": vector} | {name: value[n] for name, value in columns.items()}) + "\n")
    return str(path)


def _texts(path: Path, n: int, words: str = "text number") -> str:
    path.write_text("".join(f"{words} {number}\n" for number in range(n)))
    return str(path)


def _check(settings: Settings, source: str, **options: Any) -> Checked:
    return check_source(CheckRequest(source, "prod", **{"track": False, **options}), settings=settings)


# ------------------------------------------------------------ where things are


def test_the_monitor_lives_in_the_folder_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benchkit.toml").write_text('mlruns_dir = "kept"\n')
    monkeypatch.chdir(tmp_path)
    here = settings_here()
    assert folder_of(here) == tmp_path / "kept" / "drift"
    assert baselines_of(here) == tmp_path / "kept" / "drift" / "baselines"
    assert (history(), known_baselines()) == ([], [])
    # To ask makes nothing.
    assert not (tmp_path / "kept").exists()


# ------------------------------------------------------------ baselines


def test_a_baseline_is_made_listed_and_read(settings: Settings, usual: str, tmp_path: Path) -> None:
    info = make_baseline(BaselineRequest("prod", usual), settings=settings)
    assert (info.name, info.rows, info.dimension) == ("prod", 600, DIMENSION)
    path = tmp_path / "kept" / "drift" / "baselines" / "prod.safetensors"
    assert info.bytes == path.stat().st_size
    assert known_baselines(settings) == [info]
    assert load_baseline("prod", settings=settings).info == info
    with pytest.raises(NotComparable, match=r"no baseline 'other' in .* \(there are prod\)"):
        load_baseline("other", settings=settings)


def test_a_name_that_is_taken_is_refused_before_the_source_is_read(settings: Settings, usual: str) -> None:
    first = make_baseline(BaselineRequest("prod", usual), settings=settings)
    with pytest.raises(UsageError, match="there is a baseline 'prod' already; renew it with `benchkit drift baseline"):
        make_baseline(BaselineRequest("prod", "nowhere.npy"), settings=settings)
    again = make_baseline(BaselineRequest("prod", usual, replaces=True, seed=3), settings=settings)
    assert again.digest != first.digest
    assert len(known_baselines(settings)) == 1


def test_what_is_renewed_must_be_there(settings: Settings, usual: str) -> None:
    with pytest.raises(
        NotComparable, match=r"no baseline 'prdo' to renew \(there is none yet\); make it: .* create prdo"
    ):
        make_baseline(BaselineRequest("prdo", "nowhere.npy", replaces=True), settings=settings)
    for name in ("prod", "stage"):
        make_baseline(BaselineRequest(name, usual), settings=settings)
    said = r"'prdo' to renew \(did you mean 'prod'\?\); there are prod, stage"
    with pytest.raises(NotComparable, match=said) as raised:
        make_baseline(BaselineRequest("prdo", "nowhere.npy", replaces=True), settings=settings)
    assert raised.value.exit_code == 4
    with pytest.raises(NotComparable, match=r"no baseline 'x' to renew; there are prod, stage"):
        make_baseline(BaselineRequest("x", "nowhere.npy", replaces=True), settings=settings)
    assert [info.name for info in known_baselines(settings)] == ["prod", "stage"]


def test_baselines_that_can_not_be_used_are_listed_with_what_is_wrong(settings: Settings, usual: str) -> None:
    for name in ("cut", "old", "prod"):
        make_baseline(BaselineRequest(name, usual), settings=settings)
    folder = baselines_of(settings)
    cut, old = path_of(folder, "cut"), path_of(folder, "old")
    cut.write_bytes(cut.read_bytes()[:-100])
    # A head of another form, as long as the one that is there.
    old.write_bytes(old.read_bytes().replace(b'\\"version\\": %d' % FORM_VERSION, b'\\"version\\": 2', 1))
    found, unusable = listed_baselines(settings)
    assert [info.name for info in found] == ["prod"]
    assert list(unusable) == ["cut", "old"]
    assert "the baseline is damaged" in unusable["cut"]
    said = f"form 2, and this benchkit reads form {FORM_VERSION}; renew it: benchkit drift baseline renew old"
    assert said in unusable["old"]
    assert known_baselines(settings) == found
    # Both can be renewed as they are told to.
    make_baseline(BaselineRequest("old", usual, replaces=True), settings=settings)
    assert listed_baselines(settings)[1].keys() == {"cut"}


def test_a_wrong_name_is_refused_before_the_source_is_read(settings: Settings) -> None:
    for replaces in (False, True):
        with pytest.raises(UsageError, match=r"'\.\./up' can't name a baseline"):
            make_baseline(BaselineRequest("../up", "nowhere.npy", replaces=replaces), settings=settings)


def test_a_source_that_is_not_there_leaves_no_baseline(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        make_baseline(BaselineRequest("prod", str(tmp_path / "nowhere.npy")), settings=settings)
    assert known_baselines(settings) == []


def test_a_damaged_baseline_is_left_out_of_the_list(settings: Settings, usual: str) -> None:
    for name in ("good", "bad"):
        make_baseline(BaselineRequest(name, usual), settings=settings)
    path_of(baselines_of(settings), "bad").write_bytes(b"half")
    assert [info.name for info in known_baselines(settings)] == ["good"]
    with pytest.raises(UsageError, match="damaged"):
        load_baseline("bad", settings=settings)


def test_canaries_come_from_a_file_or_the_source(
    settings: Settings, tmp_path: Path, models: dict[str, HashingEncoder]
) -> None:
    source = _texts(tmp_path / "texts.txt", 150)
    canaries = _texts(tmp_path / "canaries.txt", 12, "canary")
    for name, canary in (("file", canaries), ("own", "source")):
        info = make_baseline(BaselineRequest(name, source, model="first", canary=canary), settings=settings)
        assert (info.model, info.fingerprint) == ("first", models["first"].meta.fingerprint)
        kept = load_baseline(name, settings=settings).canaries
        assert kept is not None
        assert kept.texts[0].startswith("canary" if name == "file" else "text number")
    with pytest.raises(UsageError, match="nosuchsuite"):
        make_baseline(BaselineRequest("none", source, model="first", canary="nosuchsuite"), settings=settings)


# ------------------------------------------------------------ checks


def test_an_unchanged_window_is_fine_and_a_shifted_one_is_not(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    same = _check(settings, _npy(tmp_path / "same.npy", draw(2, 150)))
    moved = _check(settings, _npy(tmp_path / "moved.npy", draw(3, 150, shift=0.9)))
    assert (same.report.severity, same.report.breaks_policy) == ("ok", False)
    assert (moved.report.kind, moved.report.breaks_policy) == ("data", True)
    assert (same.run_id, same.problem) == ("", "")
    assert moved.report.window.source.endswith("moved.npy")


def test_every_check_is_in_the_history(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    make_baseline(BaselineRequest("other", usual), settings=settings)
    first = _check(settings, _npy(tmp_path / "same.npy", draw(2, 150)))
    second = _check(settings, _npy(tmp_path / "moved.npy", draw(3, 150, shift=0.9)))
    third = check_source(CheckRequest(usual, "other", track=False), settings=settings)
    reports = [first.report, second.report, third.report]
    assert history(settings=settings) == reports
    assert history("prod", settings=settings) == reports[:2]
    assert history(limit=1, settings=settings) == reports[2:]


def test_the_history_of_a_baseline_that_never_was_is_refused(settings: Settings, usual: str, tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match=r"no baseline 'prod'; make it: benchkit drift baseline create prod --from"):
        history("prod", settings=settings)
    # To ask makes nothing.
    assert not folder_of(settings).exists()
    for name in ("prod", "stage"):
        make_baseline(BaselineRequest(name, usual), settings=settings)
    assert history("prod", settings=settings) == []
    _check(settings, _npy(tmp_path / "w.npy", draw(2, 200)))
    delete_baseline(baselines_of(settings), "prod")
    assert len(history("prod", settings=settings)) == 1
    assert history("stage", settings=settings) == []
    with pytest.raises(NotComparable) as raised:
        history("prdo", settings=settings)
    assert str(raised.value) == (
        "no baseline 'prdo' (did you mean 'prod'?); there are stage; deleted, with a history, are prod"
    )
    assert raised.value.exit_code == 4


def test_rows_that_a_baseline_learnt_nothing_from_are_counted(settings: Settings, tmp_path: Path) -> None:
    vectors = draw(1, 600)
    vectors[:5], vectors[5:12, 0], vectors[12, 1] = 0, np.nan, np.inf
    make_baseline(BaselineRequest("prod", _npy(tmp_path / "x.npy", vectors)), settings=settings)
    baseline = load_baseline("prod", settings=settings)
    assert left_out(baseline) == LeftOut(rows=600, nonfinite=8, zero=5)


def test_a_span_and_the_last_rows_are_cut_out(settings: Settings, usual: str, tmp_path: Path) -> None:
    when = [f"{time}Z" for time in times(400, 4.0, start=START)]
    vectors = np.concatenate([draw(4, 200), draw(5, 200, shift=1.5)])
    source = _jsonl(tmp_path / "log.jsonl", vectors, timestamp=when)
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    quiet = _check(settings, source, start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 3, 3, tzinfo=UTC))
    assert (quiet.report.window.rows, quiet.report.severity) == (200, "ok")
    assert (quiet.report.window.start, quiet.report.window.end) == ("2026-03-01T00:00:00Z", "2026-03-02T23:45:36Z")
    loud = _check(settings, source, last=150)
    assert (loud.report.window.rows, loud.report.breaks_policy) == (150, True)


def test_fewer_rows_than_usual_in_a_span_are_told_of(settings: Settings, tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "log.jsonl", draw(4, 400), timestamp=[f"{time}Z" for time in times(400, 4.0)])
    make_baseline(BaselineRequest("prod", source), settings=settings)
    day = _check(settings, source, start=datetime(2026, 3, 2, tzinfo=UTC), end=datetime(2026, 3, 3, tzinfo=UTC))
    assert day.report.health == ()
    # Ten days of which only the last has rows.
    ten = _check(settings, source, start=datetime(2026, 2, 20, tzinfo=UTC), end=datetime(2026, 3, 2, tzinfo=UTC))
    assert [finding.name for finding in ten.report.health] == ["volume"]


def test_a_batch_tells_nothing_of_the_volume_of_a_day(settings: Settings, tmp_path: Path) -> None:
    """Ten minutes of a backfill, held against a day: such a day "usually has 57,600 rows"."""
    ten_minutes = times(400, 10 / 1440)
    batch = _jsonl(tmp_path / "batch.jsonl", draw(1, 400), timestamp=[f"{time}Z" for time in ten_minutes])
    make_baseline(BaselineRequest("prod", batch), settings=settings)
    log = _jsonl(tmp_path / "log.jsonl", draw(4, 400), timestamp=[f"{time}Z" for time in times(400, 1.0)])
    first = ten_minutes[0].astype("datetime64[D]").astype(datetime)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    day = _check(settings, log, start=start, end=start + timedelta(days=1)).report
    assert (day.window.rows >= 100, day.health, day.severity) == (True, (), "ok")
    # Of an hour it does, and no rows at all are told of in any span.
    hour = _check(settings, log, start=start + timedelta(hours=1), end=start + timedelta(hours=2)).report
    assert [finding.name for finding in hour.health] == ["volume"]
    none = _check(settings, log, start=start + timedelta(days=9), end=start + timedelta(days=19)).report
    assert none.reason == "The window has no rows at all."


def test_a_span_that_is_not_over_has_fewer_rows_by_nature(settings: Settings, tmp_path: Path) -> None:
    now = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
    old = _jsonl(tmp_path / "old.jsonl", draw(1, 400), timestamp=times(400, 4.0, start=now - 9 * DAY).astype(str))
    make_baseline(BaselineRequest("prod", old), settings=settings)
    new = _jsonl(tmp_path / "new.jsonl", draw(2, 100), timestamp=times(100, 1.0, start=now - DAY).astype(str))
    start = datetime.now(UTC) - timedelta(days=1, minutes=1)
    found = _check(settings, new, start=start, end=start + timedelta(days=30)).report
    assert (found.window.rows, found.health) == (100, ())
    over = _check(settings, new, start=start - timedelta(days=8), end=start + timedelta(hours=2)).report
    assert [finding.name for finding in over.health] == ["volume"]


def test_a_span_without_rows_is_told_also_where_few_are_usual(settings: Settings, tmp_path: Path) -> None:
    old = _jsonl(tmp_path / "old.jsonl", draw(1, 400), timestamp=times(400, 400.0).astype(str))
    make_baseline(BaselineRequest("prod", old), settings=settings)
    start = datetime(2026, 3, 3, 0, 1, tzinfo=UTC)
    found = _check(settings, old, start=start, end=start + timedelta(hours=1)).report
    assert (found.window.rows, found.severity, found.reason) == (0, "warn", "The window has no rows at all.")
    one = _check(settings, old, start=start - timedelta(hours=1), end=start).report
    assert (one.window.rows, one.health) == (1, ())


def test_a_rate_of_false_alarms_that_no_p_value_goes_below_is_refused(
    settings: Settings, usual: str, tmp_path: Path
) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    other = _npy(tmp_path / "other.npy", draw(2, 400, shift=9.0))
    with pytest.raises(UsageError, match=r"--false-alarms 0.0001: no p-value is below 0.0002, so that no change"):
        _check(settings, other, policy=DriftPolicy(false_alarms=0.0001))
    assert _check(settings, other, policy=DriftPolicy(false_alarms=0.0002)).report.severity == "warn"


def test_columns_are_those_of_the_baseline_unless_named(settings: Settings, tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "a.jsonl", draw(4, 200), wrong=draw(5, 200, shift=9.0).tolist())
    make_baseline(BaselineRequest("prod", source, columns=ColumnNames(vector="wrong")), settings=settings)
    assert _check(settings, source).report.severity == "ok"
    assert _check(settings, source, columns=ColumnNames(vector="embedding")).report.breaks_policy


def test_the_policy_that_was_asked_for_holds(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    source = _npy(tmp_path / "moved.npy", draw(3, 150, shift=0.9))
    found = _check(settings, source, policy=DriftPolicy(fail_on="critical")).report
    assert (found.severity, found.breaks_policy, found.policy.fail_on) == ("warn", False, "critical")


def test_a_file_of_another_dimension_is_not_comparable_wherever_it_stands_and_within_a_file_it_is_damage(
    settings: Settings, usual: str, tmp_path: Path
) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    for name in ("a", "z"):
        folder = tmp_path / name
        folder.mkdir()
        _npy(folder / "m.npy", draw(2, 50))
        _npy(folder / f"{name}.npy", draw(1, 50)[:, :4].copy())
        with pytest.raises(NotComparable, match=rf"the rows of {name}\.npy have 4 dimensions and the baseline"):
            _check(settings, str(folder))
    mixed = _jsonl(tmp_path / "mixed.jsonl", draw(2, 50))
    with Path(mixed).open("a") as file:
        file.write(json.dumps({"embedding": [1.0] * 4}) + "\n")
    with pytest.raises(SourceError, match=f"row 50: a vector of dimension 4, where the others have {DIMENSION}"):
        _check(settings, mixed)


def test_vectors_as_bytes_need_no_dimension_beside_a_baseline_that_knows_it(settings: Settings, tmp_path: Path) -> None:
    def as_bytes(name: str, vectors: np.ndarray) -> str:
        column = pa.array([row.tobytes() for row in vectors], pa.binary(vectors.shape[1] * vectors.itemsize))
        pq.write_table(pa.table({"embedding": column}), tmp_path / name)
        return str(tmp_path / name)

    source = as_bytes("then.parquet", draw(1, 600).astype(np.float16))
    make_baseline(BaselineRequest("prod", source, dimension=DIMENSION), settings=settings)
    report = _check(settings, as_bytes("now.parquet", draw(2, 300).astype(np.float16))).report
    assert (report.window.rows, report.severity) == (300, "ok")
    # As many numbers in another type are told as that, and another number of them as another model.
    single = _check(settings, as_bytes("single.parquet", draw(3, 300))).report
    assert "dtype" in [found.name for found in single.health]
    with pytest.raises(NotComparable, match=f"have {2 * DIMENSION} dimensions and the baseline 'prod' has {DIMENSION}"):
        _check(settings, as_bytes("wide.parquet", np.hstack([draw(4, 300)] * 2)))


def test_columns_of_a_baseline_are_asked_of_files_that_have_columns(settings: Settings, tmp_path: Path) -> None:
    lists = pa.array(draw(1, 600).tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"emb": lists, "when": times(600, 4.0)}), tmp_path / "then.parquet")
    columns = ColumnNames(vector="emb", time="when")
    make_baseline(BaselineRequest("prod", str(tmp_path / "then.parquet"), columns=columns), settings=settings)
    now = _npy(tmp_path / "now.npy", draw(2, 300))
    assert _check(settings, now).report.window.rows == 300
    with pytest.raises(SourceError, match=r"now\.npy: no column 'when' for the time"):
        _check(settings, now, columns=columns)


def test_rows_without_a_time_are_left_out_and_told(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    when = [None if n % 20 == 0 else f"{time}Z" for n, time in enumerate(times(400, 4.0, start=START))]
    source = _jsonl(tmp_path / "log.jsonl", draw(4, 400), timestamp=when)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    span = _check(settings, source, start=start).report
    assert span.window.rows == 380
    assert "20 of 400 rows of the source have no time and are in no window of time" in span.notes
    newest = _check(settings, source, last=100).report
    assert "20 of 400 rows of the source have no time and are not among the newest 100" in newest.notes
    assert newest.window.rows == 100
    assert not any("no time" in note for note in _check(settings, source).report.notes)


def test_texts_stand_in_a_report_only_when_asked(
    settings: Settings, tmp_path: Path, models: dict[str, HashingEncoder]
) -> None:
    make_baseline(BaselineRequest("prod", _texts(tmp_path / "texts.txt", 300), model="first"), settings=settings)
    other = _texts(tmp_path / "other.txt", 120, "zebra quagga")
    silent, open_ = _check(settings, other), _check(settings, other, keep_texts=True)
    assert silent.report.breaks_policy
    assert "zebra" not in repr(silent.report)
    assert any("zebra" in text for change in open_.report.clusters for text in change.examples)


def test_another_dimension_is_not_comparable_and_not_counted(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    with pytest.raises(NotComparable, match=r"the rows of small\.npy have 4 dimensions"):
        _check(settings, _npy(tmp_path / "small.npy", draw(1, 50)[:, :4].copy()))
    assert history(settings=settings) == []


# ------------------------------------------------------------ the model asked again


@pytest.fixture
def with_canaries(settings: Settings, tmp_path: Path, models: dict[str, HashingEncoder]) -> str:
    source = _texts(tmp_path / "texts.txt", 300)
    make_baseline(BaselineRequest("prod", source, model="first", canary="source"), settings=settings)
    return source


def test_the_baselines_own_model_is_asked_unless_another_is_named(
    settings: Settings, with_canaries: str, models: dict[str, HashingEncoder]
) -> None:
    same = _check(settings, with_canaries).report
    assert same.harm is not None
    assert (same.harm.n_canaries, same.harm.overlap_at_10, same.severity) == (200, 1.0, "ok")
    swapped = _check(settings, with_canaries, model="second").report
    assert (swapped.kind, swapped.severity, swapped.breaks_policy) == ("model", "critical", True)


def test_canaries_are_not_asked_when_nobody_wants_it(
    settings: Settings, with_canaries: str, tmp_path: Path, models: dict[str, HashingEncoder]
) -> None:
    models.clear()  # nothing can be loaded
    vectors = _npy(tmp_path / "vectors.npy", HashingEncoder(dimension=DIMENSION).encode(["a", "b", "c"]))
    assert _check(settings, vectors, ask_canaries=False).report.harm is None


def test_texts_of_a_window_are_encoded_by_the_baselines_model(
    settings: Settings, with_canaries: str, models: dict[str, HashingEncoder]
) -> None:
    found = _check(settings, with_canaries, ask_canaries=False).report
    assert (found.window.rows, found.severity, found.harm) == (300, "ok", None)


def test_texts_without_any_model_are_refused(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    with pytest.raises(SourceError, match="there are texts but no vectors; name the model that encodes them"):
        _check(settings, _texts(tmp_path / "texts.txt", 50))


# ------------------------------------------------------------ MLflow


def _run_ids(settings: Settings) -> list[str]:
    with open_state(settings) as state:
        return [kept.run_id for kept in state.history()]


def test_a_check_is_recorded_with_its_sums_and_no_text(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: dict[str, HashingEncoder]
) -> None:
    logged: list[tuple[Mapping[str, Any], str, bytes]] = []

    def log(report: Mapping[str, Any], *, tracking_uri: str, sketch: bytes = b"") -> str:
        logged.append((report, tracking_uri, sketch))
        return f"run-{len(logged)}"

    monkeypatch.setattr(drift_runs, "log_drift", log)
    source = _texts(tmp_path / "texts.txt", 300, "secret")
    make_baseline(BaselineRequest("prod", source, model="first"), settings=settings)
    found = _check(settings, source, track=True, keep_texts=True)
    named = _check(settings, source, track=True, tracking_uri="sqlite:///elsewhere.db")
    assert (found.run_id, found.problem, named.run_id) == ("run-1", "", "run-2")
    assert _run_ids(settings) == ["run-1", "run-2"]
    (report, uri, sketch), (_, other_uri, _) = logged
    assert (uri, other_uri) == (settings.tracking_uri, "sqlite:///elsewhere.db")
    assert report["window"]["rows"] == 300
    window = unpack(sketch)["window"]
    assert (window.rows, window.texts) == (300, {})
    assert b"secret" not in sketch


def test_a_store_that_can_not_be_written_is_told_of_and_the_check_counts(
    settings: Settings, usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    # A kind of store that there isn't, without MLflow having to be loaded.
    wrong = _check(settings, usual, track=True, tracking_uri="ftp://host/runs")
    assert (wrong.run_id, wrong.report.severity) == ("", "ok")
    assert "ftp://host/runs" in wrong.problem

    def full(*args: object, **options: object) -> str:
        raise TrackingError("the disk is full")

    monkeypatch.setattr(drift_runs, "log_drift", full)
    moved = _check(settings, _npy(tmp_path / "moved.npy", draw(3, 150, shift=0.9)), track=True)
    assert (moved.problem, moved.report.breaks_policy) == ("the disk is full", True)
    assert _run_ids(settings) == ["", ""]
    assert history(settings=settings) == [wrong.report, moved.report]


def test_a_database_in_the_place_of_a_file_is_told_of(settings: Settings, usual: str) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    found = _check(settings, usual, track=True, tracking_uri=f"sqlite:///{usual}/runs.db")
    assert (found.run_id, found.report.severity) == ("", "ok")
    assert "usual.npy" in found.problem
    assert history(settings=settings) == [found.report]


def test_a_history_that_can_not_be_written_is_refused(settings: Settings, usual: str, tmp_path: Path) -> None:
    make_baseline(BaselineRequest("prod", usual), settings=settings)
    (folder_of(settings) / STATE).write_bytes(b"no database " * 100)
    with pytest.raises(UsageError, match=r"state\.db"):
        _check(settings, usual)
    blocked = replace(settings, mlruns_dir=tmp_path / "usual.npy")
    with pytest.raises(UsageError, match=r"usual\.npy"):
        make_baseline(BaselineRequest("prod", usual), settings=blocked)
