"""A check is in MLflow once and whole, at the time of its window, and every text in it is only text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drift_reports
import pytest

from benchkit.report.drift_json import drift_from_dict, drift_to_dict
from benchkit.store.drift_runs import experiment_of, log_drift, metrics, params, tags, window_ms
from benchkit.store.uri import TrackingError, locate, speaking
from benchkit.types.drift import DriftReport, WindowInfo

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

START = 1_795_219_200_000  # 2026-11-21T00:00:00Z
END = START + 86_399_000


def written(report: DriftReport | None = None) -> dict[str, Any]:
    return drift_to_dict(report or drift_reports.critical())


def runs_of(uri: str, baseline: str = "support") -> list[Any]:
    with speaking(locate(uri)) as client:
        experiment = client.get_experiment_by_name(experiment_of(baseline))
        return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def test_a_check_is_one_finished_run_with_its_verdict_its_figures_and_its_files(
    tracking_uri: str, tmp_path: Path
) -> None:
    report = written()
    run_id = log_drift(report, tracking_uri=tracking_uri, sketch=b"\x00sums")
    (run,) = runs_of(tracking_uri)

    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.info.run_name == "critical: 2026-11-21T00:00:00Z to 2026-11-21T23:59:59Z"
    assert (run.info.start_time, run.info.end_time) == (START, END)
    assert {name: value for name, value in run.data.tags.items() if name.startswith("benchkit.")} == {
        "benchkit.kind": "drift",
        "benchkit.severity": "critical",
        "benchkit.change": "model",
        "benchkit.breaks_policy": "yes",
        "benchkit.baseline": "support",
        "benchkit.baseline_fingerprint": "0123456789abcdef0123456789abcdef",
        "benchkit.window": "2026-11-21T00:00:00Z..2026-11-21T23:59:59Z",
        "benchkit.check_id": run.data.tags["benchkit.check_id"],
        "benchkit.attempt": run.data.tags["benchkit.attempt"],
    }
    assert run.data.tags["mlflow.note.content"] == f"{report['reason']} {report['advice']}"
    assert run.data.metrics == {
        "drift/rows": 500,
        "drift/p_value": 0.00005,
        "drift/severity": 3,
        "drift/e_value": 812.5,
        "drift/detector": 4321.75,
        "drift/centroid.p": 0.0004,
        "drift/centroid.effect": 0.041,
        "drift/ridge_mahalanobis.p": 0.031,
        "drift/novelty.p": 0.00005,
        "drift/novelty.effect": 0.06,
        "harm/identity": 0.71234,
        "harm/worst_identity": 0.40017,
        "harm/overlap_at_10": 0.61,
        "harm/mixed_overlap_at_10": 0.42,
        "harm/top1_agreement": 0.55,
        "harm/pseudo_label_accuracy": 0.8,
        "harm/ndcg_at_10": 0.521,
        "harm/low_score_share": 0.154,
    }
    assert run.data.params == {
        "source": "logs/",
        "baseline": "support",
        "baseline_digest": "d" * 64,
        **{name: str(value) for name, value in report["policy"].items()},
    }
    kept = tmp_path / "tracked" / "artifacts" / run_id / "artifacts"
    assert sorted(file.name for file in kept.iterdir()) == ["drift.json", "window.safetensors"]
    assert (kept / "window.safetensors").read_bytes() == b"\x00sums"
    back = json.loads((kept / "drift.json").read_text(encoding="utf-8"))
    assert back == report
    assert drift_from_dict(back) == drift_reports.critical()


def test_metrics_stand_at_the_windows_own_time_and_number(tracking_uri: str) -> None:
    for day in (19, 20):
        window = WindowInfo("logs/", 500, f"2026-11-{day}T00:00:00Z", f"2026-11-{day}T12:00:00Z", day)
        log_drift(written(replace(drift_reports.quiet(), window=window)), tracking_uri=tracking_uri)
    with speaking(locate(tracking_uri)) as client:
        points = {
            (found.timestamp, found.step)
            for run in runs_of(tracking_uri)
            for found in client.get_metric_history(run.info.run_id, "drift/p_value")
        }
    noon = [int(datetime(2026, 11, day, 12, tzinfo=UTC).timestamp() * 1000) for day in (19, 20)]
    assert points == {(noon[0], 19), (noon[1], 20)}


def test_rows_without_times_stand_at_the_time_of_the_check() -> None:
    at = int(datetime(2026, 11, 21, 0, 1, tzinfo=UTC).timestamp() * 1000)
    assert window_ms(written(drift_reports.bare())) == (at, at)
    assert window_ms(written()) == (START, END)
    assert tags(written(drift_reports.bare()))["benchkit.window"] == "rows.parquet"


def test_a_check_is_logged_once_however_often_it_is_given(tracking_uri: str) -> None:
    first = log_drift(written(), tracking_uri=tracking_uri)
    again = log_drift(json.loads(json.dumps(written())), tracking_uri=tracking_uri, sketch=b"sums")
    other = log_drift(written(replace(drift_reports.critical(), p_value=0.00006)), tracking_uri=tracking_uri)
    assert again == first != other
    assert {run.info.run_id for run in runs_of(tracking_uri)} == {first, other}


def test_a_bare_check_is_one_too_without_files_that_it_has_not(tracking_uri: str, tmp_path: Path) -> None:
    run_id = log_drift(written(drift_reports.bare()), tracking_uri=tracking_uri)
    (run,) = runs_of(tracking_uri)
    assert run.info.run_name == "ok: rows.parquet"
    assert run.data.metrics == {"drift/rows": 12, "drift/severity": 0}
    assert "baseline_digest" not in run.data.params
    kept = tmp_path / "tracked" / "artifacts" / run_id / "artifacts"
    assert [file.name for file in kept.iterdir()] == ["drift.json"]


def test_baselines_have_experiments_of_their_own(tracking_uri: str) -> None:
    other = replace(drift_reports.quiet(), baseline=replace(drift_reports.BASELINE, name="search"))
    log_drift(written(), tracking_uri=tracking_uri)
    log_drift(written(other), tracking_uri=tracking_uri)
    assert (experiment_of("support"), experiment_of("search")) == ("benchkit/drift/support", "benchkit/drift/search")
    assert [len(runs_of(tracking_uri, name)) for name in ("support", "search", "sup")] == [1, 1, 0]


def test_what_is_not_a_number_is_left_out(tracking_uri: str) -> None:
    made = drift_reports.critical()
    assert made.evidence is not None
    assert made.harm is not None
    broken = replace(
        made,
        p_value=math.nan,
        statistics=(replace(made.statistics[0], p_value=math.nan, effect=None),),
        evidence=replace(made.evidence, detector=math.inf),
        harm=replace(made.harm, identity=-math.inf),
    )
    log_drift(written(broken), tracking_uri=tracking_uri)
    (run,) = runs_of(tracking_uri)
    gone = {"drift/p_value", "drift/centroid.p", "drift/centroid.effect", "drift/detector", "harm/identity"}
    assert not gone & set(run.data.metrics)
    assert {"drift/e_value", "harm/overlap_at_10"} <= set(run.data.metrics)
    # And of a report that did not go through the JSON form.
    for bad in (math.nan, math.inf, -math.inf, None, "0.1", True):
        assert "drift/p_value" not in metrics(written() | {"p_value": bad})
    assert metrics(written() | {"p_value": 0})["drift/p_value"] == 0


def test_hostile_texts_are_only_text(tracking_uri: str) -> None:
    report = written(drift_reports.hostile())
    log_drift(report, tracking_uri=tracking_uri)
    (run,) = runs_of(tracking_uri, report["baseline"]["name"])
    assert run.info.status == "FINISHED"
    texts = [run.info.run_name, *run.data.tags.values(), *run.data.params.values(), *run.data.metrics]
    assert not [text for text in texts if any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in text)]
    assert not [text for text in texts if any(sign in text for sign in "\u202e\u2066\ud800")]
    assert {"drift/rows", "drift/severity", "harm/identity"} <= set(run.data.metrics)


def test_long_texts_are_cut_and_say_so() -> None:
    made = drift_reports.critical()
    report = written(replace(made, reason="模" * 20_000, window=replace(made.window, source="x" * 20_000, start="")))
    assert tags(report)["mlflow.note.content"].endswith("characters)")
    assert len(tags(report)["mlflow.note.content"]) <= 8000
    assert len(params(report)["source"]) <= 6000
    long = replace(made, statistics=(replace(made.statistics[0], name="n" * 5000),))
    assert max(map(len, metrics(written(long)))) <= 250


# ------------------------------------------------------------ what ends it early


@pytest.mark.parametrize("function", ["log_batch", "log_artifact", "set_terminated"])
def test_a_check_that_was_cut_off_is_none_and_the_next_call_logs_it_whole(
    function: str, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    real, calls = getattr(MlflowClient, function), []

    def stop(*args: Any, **options: Any) -> Any:
        calls.append(function)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, function, stop)
        with pytest.raises(KeyboardInterrupt):
            log_drift(written(), tracking_uri=tracking_uri)
    assert [run.info.status for run in runs_of(tracking_uri)] == ["FAILED"]

    run_id = log_drift(written(), tracking_uri=tracking_uri)
    assert [run.info.run_id for run in runs_of(tracking_uri) if run.info.status == "FINISHED"] == [run_id]


def test_an_error_of_mlflow_is_told_as_one_of_the_store(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def melt(*args: Any, **options: Any) -> Any:
        raise MlflowException("the disk melted")

    monkeypatch.setattr(MlflowClient, "log_batch", melt)
    with pytest.raises(TrackingError, match=r"mlflow.db: the disk melted"):
        log_drift(written(), tracking_uri=tracking_uri)
