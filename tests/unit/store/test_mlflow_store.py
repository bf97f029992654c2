"""A comparison is in MLflow once and whole, or marked as failed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from comparisons import COSTS, cost_report

from benchkit.errors import UsageError
from benchkit.store.mlflow_store import LoggedRun, find_comparisons, log_comparison
from benchkit.store.uri import TrackingError, locate, speaking

# SQLAlchemy 2.1 warns about a loader strategy that MLflow's own tables use, when MLflow's store is imported.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

Report = dict[str, Any]
MakeReport = Callable[..., Report]


def parent_of(uri: str, logged: LoggedRun) -> Any:
    with speaking(locate(uri)) as client:
        return client.get_run(logged.run_id)


def children_of(uri: str, logged: LoggedRun) -> dict[str, Any]:
    with speaking(locate(uri)) as client:
        runs = client.search_runs([logged.experiment_id], f"tags.mlflow.parentRunId = '{logged.run_id}'")
    return {run.info.run_name: run for run in runs}


def models_of(uri: str, logged: LoggedRun) -> dict[str, Any]:
    with speaking(locate(uri)) as client:
        return {model.name: model for model in client.search_logged_models([logged.experiment_id])}


def statuses(uri: str, suite: str = "choose") -> tuple[Counter[str], Counter[str]]:
    """Return how many runs and how many logged models have each status."""
    with speaking(locate(uri)) as client:
        experiment = client.get_experiment_by_name(f"benchkit/{suite}").experiment_id
        runs = Counter(run.info.status for run in client.search_runs([experiment]))
        models = Counter(str(model.status.value) for model in client.search_logged_models([experiment]))
    return runs, models


def test_a_comparison_is_one_run_with_one_below_it_for_each_model(
    make_report: MakeReport, tracking_uri: str, files: Sequence[Path]
) -> None:
    logged = log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    parent, children = parent_of(tracking_uri, logged), children_of(tracking_uri, logged)

    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "choose 2026-11-20T10:00:00")
    assert (parent.info.start_time, parent.info.end_time) == (1_795_168_800_000, 1_795_168_812_500)
    assert parent.data.tags["benchkit.kind"] == "compare"
    assert parent.data.metrics["mean/minilm"] == 0.625
    assert parent.data.params["env/version/torch"] == "2.8.0"
    assert children.keys() == {"minilm", "bge"}
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    assert children["minilm"].data.metrics["task/Docs/ndcg_at_10.ci_high"] == 0.85
    assert children["minilm"].data.params["fingerprint"] == "fp-minilm"
    assert children["bge"].data.tags["benchkit.missing"] == "Docs"
    assert "quality/mean" not in children["bge"].data.metrics
    assert logged.url_or_uri == tracking_uri


def test_costs_are_metrics_of_each_models_run_and_of_its_logged_model(
    make_report: MakeReport, tracking_uri: str
) -> None:
    logged = log_comparison(make_report(cost=cost_report(["minilm", "bge"])), tracking_uri=tracking_uri)
    children, models = children_of(tracking_uri, logged), models_of(tracking_uri, logged)

    assert children["bge"].data.metrics["latency/query/p95_ms"] == 16.6
    assert children["bge"].data.metrics["latency/query/p95_ms.ci_low"] == 16.6 * 0.94
    assert children["minilm"].data.metrics.keys() >= {metric for metric, *_ in COSTS}
    assert ("memory/peak_mib", 617.0) in {(metric.key, metric.value) for metric in models["minilm"].metrics}
    assert parent_of(tracking_uri, logged).data.params["cost/level"] == "quick"


def test_files_are_kept_beside_the_database_under_their_own_names(
    make_report: MakeReport, tracking_uri: str, files: Sequence[Path], tmp_path: Path
) -> None:
    logged = log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)

    kept = tmp_path / "tracked" / "artifacts" / logged.run_id / "artifacts"
    assert {path.name: path.read_text(encoding="utf-8") for path in kept.iterdir()} == {
        "result.json": "{}",
        "report.md": "# 结果",
    }


def test_each_model_is_a_logged_model_with_its_scores_by_data_set(make_report: MakeReport, tracking_uri: str) -> None:
    logged = log_comparison(make_report(), tracking_uri=tracking_uri)
    children, models = children_of(tracking_uri, logged), models_of(tracking_uri, logged)
    minilm = models["minilm"]

    assert minilm.status.value == "READY"
    assert minilm.params["revision"] == "0123abcd"
    assert minilm.source_run_id == children["minilm"].info.run_id
    assert [output.model_id for output in children["minilm"].outputs.model_outputs] == [minilm.model_id]
    assert ("task/Faq/ndcg_at_10", 0.5, "Faq") in {(m.key, m.value, m.dataset_name) for m in minilm.metrics}
    with speaking(locate(tracking_uri)) as client:
        found = client.search_logged_models(
            [logged.experiment_id],
            filter_string="metrics.`task/Faq/ndcg_at_10` > 0.4 AND params.dimension = '384'",
            datasets=[{"dataset_name": "Faq"}],
        )
    assert [model.name for model in found] == ["minilm"]


def test_the_rows_of_each_task_are_an_input_once(make_report: MakeReport, tracking_uri: str) -> None:
    logged = log_comparison(make_report(), tracking_uri=tracking_uri)
    inputs = parent_of(tracking_uri, logged).inputs.dataset_inputs

    assert sorted(entry.dataset.name for entry in inputs) == ["Docs", "Faq"]
    assert {tag.value for entry in inputs for tag in entry.tags} == {"eval"}
    assert json.loads(inputs[0].dataset.source)["dataset_revision"] == "abc"


def test_names_that_mlflow_refuses_are_logged_under_names_that_it_takes(
    make_report: MakeReport, tracking_uri: str
) -> None:
    report = make_report(
        {"模型@dim=128,precision=int8": {"问答 (50%)": 0.5, "问答 =50%=": 0.25, "a/../b": 0.75, "x" * 300: 0.5}},
        metric="recall(5)@10",
        environment={"版本/torch%": "2", "a=b": "1"},
        recommended=None,
        suite="my 'suite' / 中文",
    )
    logged = log_comparison(report, tracking_uri=tracking_uri)
    (child,) = children_of(tracking_uri, logged).values()

    scores = {name: value for name, value in child.data.metrics.items() if name.endswith("recall_5__at_10")}
    assert scores["task/a_.._b/recall_5__at_10"] == 0.75
    assert child.info.run_name == "模型@dim=128,precision=int8"
    task_metrics = [name for name in child.data.metrics if name.startswith("task/")]
    assert len(task_metrics) == 4 * 4
    assert parent_of(tracking_uri, logged).data.params["env/版本/torch_"] == "2"
    assert [found.run_id for found in find_comparisons(tracking_uri, "my 'suite' / 中文")] == [logged.run_id]


def test_the_same_report_is_logged_once_and_another_beside_it(make_report: MakeReport, tracking_uri: str) -> None:
    report = make_report()
    first = log_comparison(report, tracking_uri=tracking_uri)
    again = log_comparison(json.loads(json.dumps(report)), tracking_uri=tracking_uri)
    other = log_comparison(make_report(started="2026-11-21T10:00:00+00:00"), tracking_uri=tracking_uri)

    assert again == first
    assert other.run_id != first.run_id
    assert other.experiment_id == first.experiment_id
    assert statuses(tracking_uri) == (Counter(FINISHED=6), Counter(READY=4))


def test_comparisons_are_found_newest_first(make_report: MakeReport, tracking_uri: str) -> None:
    for day, recommended in ((20, "minilm"), (22, None), (21, "bge")):
        report = make_report(started=f"2026-11-{day}T10:00:00+00:00", recommended=recommended)
        log_comparison(report, tracking_uri=tracking_uri)
    found = find_comparisons(tracking_uri, "choose")

    assert [comparison.started[8:10] for comparison in found] == ["22", "21", "20"]
    assert [comparison.recommendation for comparison in found] == [None, "bge", "minilm"]
    assert {comparison.models for comparison in found} == {("minilm", "bge")}


def test_all_comparisons_are_found_however_many_a_page_holds(
    make_report: MakeReport, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(3):
        log_comparison(make_report(started=f"2026-11-20T10:00:0{second}+00:00"), tracking_uri=tracking_uri)
    monkeypatch.setattr("benchkit.store.mlflow_store._PAGE", 1)

    assert len(find_comparisons(tracking_uri, "choose")) == 3


def test_an_unknown_suite_has_no_comparisons(tracking_uri: str) -> None:
    assert find_comparisons(tracking_uri, "never run") == []


def test_looking_for_comparisons_makes_no_database(tmp_path: Path) -> None:
    assert find_comparisons(str(tmp_path / "runs"), "choose") == []
    assert list(tmp_path.iterdir()) == []


# What ends it early


class Stop:
    """Breaks the n-th call of a function of MlflowClient."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, call: int, error: BaseException) -> None:
        from mlflow import MlflowClient

        self._real = getattr(MlflowClient, name)
        self._left, self._error = call, error
        monkeypatch.setattr(MlflowClient, name, lambda *args, **options: self._call(*args, **options))

    def _call(self, *args: Any, **options: Any) -> Any:
        self._left -= 1
        if not self._left:
            raise self._error
        return self._real(*args, **options)


@pytest.mark.parametrize(
    ("function", "call"),
    [("log_batch", 1), ("log_inputs", 1), ("create_logged_model", 2), ("log_batch", 3), ("log_artifact", 2)],
)
def test_ctrl_c_leaves_nothing_running_and_the_next_call_logs_it_whole(
    make_report: MakeReport,
    tracking_uri: str,
    files: Sequence[Path],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    call: int,
) -> None:
    with monkeypatch.context() as patch:
        Stop(patch, function, call, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    runs, models = statuses(tracking_uri)

    assert runs.keys() == {"FAILED"}
    assert models.keys() <= {"FAILED"}
    assert find_comparisons(tracking_uri, "choose") == []
    logged = log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    assert [found.run_id for found in find_comparisons(tracking_uri, "choose")] == [logged.run_id]


def test_ctrl_c_before_a_run_has_told_its_id_leaves_nothing_running(
    make_report: MakeReport, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    create = MlflowClient.create_run

    def create_and_stop(*args: Any, **options: Any) -> Any:
        create(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", create_and_stop)
        with pytest.raises(KeyboardInterrupt):
            log_comparison(make_report(), tracking_uri=tracking_uri)
    assert statuses(tracking_uri)[0] == Counter(FAILED=1)


def test_an_error_of_mlflow_in_the_middle_is_told_and_marked(
    make_report: MakeReport, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    with monkeypatch.context() as patch:
        Stop(patch, "create_logged_model", 2, MlflowException("the disk melted"))
        with pytest.raises(TrackingError, match=r"mlflow.db: the disk melted"):
            log_comparison(make_report(), tracking_uri=tracking_uri)
    assert statuses(tracking_uri) == (Counter(FAILED=3), Counter(FAILED=1))


def test_a_store_that_dies_does_not_hide_the_first_error(
    make_report: MakeReport, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    with monkeypatch.context() as patch:
        Stop(patch, "log_inputs", 1, MlflowException("the first"))
        for name in ("set_terminated", "finalize_logged_model"):
            Stop(patch, name, 1, MlflowException("another"))
        with pytest.raises(TrackingError, match="the first"):
            log_comparison(make_report(), tracking_uri=tracking_uri)


def test_another_schema_version_is_refused(make_report: MakeReport, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the result has schema_version 2; only 1 can be tracked"):
        log_comparison({**make_report(), "schema_version": 2}, tracking_uri=str(tmp_path))


def test_a_file_that_is_not_there_is_refused_before_anything_is_made(make_report: MakeReport, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.json: no such file to keep with the run"):
        log_comparison(make_report(), tracking_uri=str(tmp_path / "runs"), artifacts=[tmp_path / "nowhere.json"])
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_experiment_is_named_with_the_command_that_brings_it_back(
    make_report: MakeReport, tracking_uri: str
) -> None:
    logged = log_comparison(make_report(), tracking_uri=tracking_uri)
    with speaking(locate(tracking_uri)) as client:
        client.delete_experiment(logged.experiment_id)

    with pytest.raises(TrackingError, match=r"mlflow experiments restore --experiment-id \d+` brings it back"):
        log_comparison(make_report(), tracking_uri=tracking_uri)


def test_artifacts_that_cannot_be_written_are_a_failed_run(
    make_report: MakeReport, tracking_uri: str, files: Sequence[Path], tmp_path: Path
) -> None:
    (tmp_path / "tracked" / "artifacts").touch()  # a file where the folder should be

    with pytest.raises(TrackingError, match=r"mlflow.db: (File exists|Not a directory); mend the rights"):
        log_comparison(make_report(), tracking_uri=tracking_uri, artifacts=files)
    assert statuses(tracking_uri)[0] == Counter(FAILED=3)


# At size, and on a server


def test_five_models_on_41_tasks_take_seconds_not_minutes(make_report: MakeReport, tracking_uri: str) -> None:
    scores = {f"model-{m}": {f"Task{t}": (m + t) / 100 for t in range(41)} for m in range(5)}
    began = time.process_time()
    logged = log_comparison(make_report(scores), tracking_uri=tracking_uri)

    # One call for each number takes 20 ms of CPU and more: 5 * 41 * 4 of them some 16 s.
    assert time.process_time() - began < 8
    children = children_of(tracking_uri, logged)
    assert len(children["model-4"].data.metrics) == 41 * 4 + 5 + 1 + 3
    assert children["model-4"].data.metrics["task/Task40/ndcg_at_10"] == 0.44


def test_more_numbers_than_one_call_takes_are_all_logged(make_report: MakeReport, tracking_uri: str) -> None:
    scores = {"minilm": {f"Task{t}": t / 1000 for t in range(300)}}
    environment = {f"version/{number}": str(number) for number in range(250)}
    logged = log_comparison(make_report(scores, environment=environment), tracking_uri=tracking_uri)

    assert len(children_of(tracking_uri, logged)["minilm"].data.metrics) == 300 * 4 + 5 + 1 + 3
    parent = parent_of(tracking_uri, logged)
    assert {f"env/version/{number}" for number in range(250)} <= parent.data.params.keys()
    assert len(parent.inputs.dataset_inputs) == 300


@contextmanager
def mlflow_server(database: Path, folder: Path) -> Iterator[str]:
    """Run a real server with one worker; it and its workers are ended by their process group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not come up: {log.read_text()[-2000:]}")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="ends the server by its process group")
def test_a_server_gets_the_comparison_its_files_and_a_link_and_stdout_stays_clean(
    make_report: MakeReport,
    template_database: Path,
    files: Sequence[Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mlflow.db").write_bytes(template_database.read_bytes())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # this machine may be busy
    with mlflow_server(tmp_path / "mlflow.db", tmp_path) as uri:
        logged = log_comparison(make_report(), tracking_uri=uri, artifacts=files)
        again = log_comparison(make_report(), tracking_uri=uri)
        children, models = children_of(uri, logged), models_of(uri, logged)
        found = find_comparisons(uri, "choose")

        assert logged.url_or_uri == f"{uri}/#/experiments/{logged.experiment_id}/runs/{logged.run_id}"
        assert again.run_id == logged.run_id
        assert children["minilm"].data.metrics["quality/mean"] == 0.625
        assert models["bge"].status.value == "READY"
        assert [comparison.run_id for comparison in found] == [logged.run_id]
        kept = {path.name for path in (tmp_path / "artifacts").rglob("*.*") if path.is_file()}
        assert kept == {"result.json", "report.md"}
        assert len(parent_of(uri, logged).inputs.dataset_inputs) == 2

        with monkeypatch.context() as patch:
            Stop(patch, "log_batch", 2, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                log_comparison(make_report(started="2026-11-21T10:00:00Z"), tracking_uri=uri)
        assert statuses(uri)[0] == Counter(FINISHED=3, FAILED=2)
    assert capfd.readouterr() == ("", "")
