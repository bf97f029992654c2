"""A comparison in MLflow: one run for the comparison, one below it for each model.

    report ──┬─ run: settings, environment, means, files, one data set for each task
             └─ for each model: a logged model, and a run with all of its numbers in one batch

A report is logged once: `benchkit.result_id` is its digest, and a second call returns the first run. Whatever ends the
logging early, Ctrl-C too, marks what it began as failed.
Only functions of MlflowClient with explicit ids are called: no active run, no autologging, no tracing.
Cost: 7 short transactions for each model; one call for each number would take some 80 times as long.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError
from benchkit.store import schema
from benchkit.store.uri import Tracking, TrackingError, locate, prepare_tracking, speaking

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """Where a comparison is in MLflow.

    Attributes:
        url_or_uri: The page of the run on a server; the place of the database otherwise, without a password.
    """

    run_id: str
    experiment_id: str
    url_or_uri: str


@dataclass(frozen=True, slots=True)
class StoredComparison:
    """A finished comparison that MLflow knows.

    Attributes:
        started: ISO 8601, UTC.
        models: Labels in the order of the report; "..." stands for more than a tag can hold.
        recommendation: Label of the recommended model; None when there was none.
    """

    run_id: str
    result_id: str
    started: str
    models: tuple[str, ...]
    recommendation: str | None


def log_comparison(report: dict[str, Any], *, tracking_uri: str, artifacts: Sequence[Path] = ()) -> LoggedRun:
    """Log a comparison, or return the run of an earlier call with the same report.

    Args:
        report: The JSON form of a comparison, schema_version 1.
        tracking_uri: See `locate`: a folder, SQLite, PostgreSQL or a server.
        artifacts: Files to keep with the run, under their own names.

    Raises:
        UsageError: another schema version, a file that isn't there, or a kind of store that benchkit doesn't know.
        TrackingError: the store can't be written; nothing is left running in it, as far as it still answers.
    """
    _check(report, artifacts)
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        experiment_id = _experiment(client, tracking, schema.experiment_name(report["suite"]["name"]))
        run_id = _run_of(client, experiment_id, schema.result_id(report))
        if run_id is None:
            run_id = _log(client, experiment_id, report, artifacts)
    return LoggedRun(run_id, experiment_id, _address(tracking, experiment_id, run_id))


def find_comparisons(tracking_uri: str, suite: str) -> list[StoredComparison]:
    """Return the finished comparisons of a suite, the newest first; none where there is no database.

    Raises:
        UsageError: a kind of store that benchkit doesn't know.
        TrackingError: the store doesn't answer.
    """
    place = locate(tracking_uri).database
    if place is not None and not place.is_file():
        return []
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        experiment = client.get_experiment_by_name(schema.experiment_name(suite))
        if experiment is None:
            return []
        query = f"tags.{schema.KIND} = '{schema.COMPARE}' and attributes.status = 'FINISHED'"
        return [_stored(run) for run in _runs(client, experiment.experiment_id, query)]


def _check(report: dict[str, Any], artifacts: Sequence[Path]) -> None:
    version = report.get("schema_version")
    if version != schema.REPORT_VERSION:
        raise UsageError(f"the result has schema_version {version!r}; only {schema.REPORT_VERSION} can be tracked")
    for path in artifacts:
        if not path.is_file():
            raise UsageError(f"{path}: no such file to keep with the run")


def _experiment(client: Any, tracking: Tracking, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if (experiment := client.get_experiment_by_name(name)) is None:
        try:
            created: str = client.create_experiment(name, artifact_location=tracking.artifact_root)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another process was first
        else:
            return created
    found: str = experiment.experiment_id
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"{tracking.shown}: the experiment {name!r} was deleted; "
            f"`mlflow experiments restore --experiment-id {found}` brings it back"
        )
    return found


def _run_of(client: Any, experiment_id: str, result_id: str) -> str | None:
    query = f"tags.{schema.RESULT_ID} = '{result_id}' and attributes.status = 'FINISHED'"
    found = client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
    return found[0].info.run_id if found else None


def _log(client: Any, experiment_id: str, report: dict[str, Any], artifacts: Sequence[Path]) -> str:
    # Everything that this call begins carries the tag, so that even what Ctrl-C cut off from its id can be ended.
    attempt = uuid.uuid4().hex
    try:
        run_id = _log_parent(client, experiment_id, report, attempt)
        for model in report["models"]:
            _log_candidate(client, experiment_id, report, model, parent_run=run_id, attempt=attempt)
        for path in artifacts:
            client.log_artifact(run_id, str(path))
        # Last: a parent that is finished is whole.
        client.set_terminated(run_id, "FINISHED", end_time=schema.ended_ms(report))
    except BaseException:
        _abandon(client, experiment_id, attempt)
        raise
    return run_id


def _log_parent(client: Any, experiment_id: str, report: dict[str, Any], attempt: str) -> str:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tags = {**schema.parent_tags(report), schema.ATTEMPT: attempt}
    run_id = _begin(client, experiment_id, report, name=schema.parent_name(report), tags=tags)
    _log_values(client, run_id, report, params=schema.parent_params(report), rows=schema.parent_metrics(report))
    inputs = [
        DatasetInput(
            Dataset(name=data.name, digest=data.digest, source_type="benchkit", source=data.source),
            [InputTag("mlflow.data.context", "eval")],
        )
        for data in schema.data_sets(report)
    ]
    if inputs:
        client.log_inputs(run_id, datasets=inputs)
    return run_id


def _log_candidate(
    client: Any, experiment_id: str, report: dict[str, Any], model: dict[str, Any], *, parent_run: str, attempt: str
) -> None:
    from mlflow.entities import LoggedModelOutput

    tags = {**schema.candidate_tags(report, model, parent_run), schema.ATTEMPT: attempt}
    run_id = _begin(client, experiment_id, report, name=model["name"], tags=tags)
    logged = client.create_logged_model(
        experiment_id,
        name=schema.logged_model_name(model["name"]),
        source_run_id=run_id,
        tags={"benchkit.model": model["name"], schema.ATTEMPT: attempt},
        params=schema.logged_model_params(model),
        model_type=schema.LOGGED_MODEL_TYPE,
    )
    _log_values(
        client,
        run_id,
        report,
        params=schema.candidate_params(model),
        rows=schema.candidate_metrics(report, model),
        model_id=logged.model_id,
    )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(run_id, "FINISHED", end_time=schema.ended_ms(report))


def _begin(client: Any, experiment_id: str, report: dict[str, Any], *, name: str, tags: dict[str, str]) -> str:
    run = client.create_run(experiment_id, start_time=schema.started_ms(report), tags=tags, run_name=name)
    run_id: str = run.info.run_id
    return run_id


def _log_values(
    client: Any,
    run_id: str,
    report: dict[str, Any],
    *,
    params: dict[str, str],
    rows: Sequence[schema.MetricRow],
    model_id: str | None = None,
) -> None:
    """Log all parameters and metrics of a run in one call; MLflow's client splits what a store won't take at once."""
    from mlflow.entities import Metric, Param

    timestamp = schema.ended_ms(report)
    metrics = [
        Metric(
            row.name,
            row.value,
            timestamp,
            step=0,
            model_id=model_id,
            dataset_name=row.data_set.name if row.data_set else None,
            dataset_digest=row.data_set.digest if row.data_set else None,
        )
        for row in rows
    ]
    client.log_batch(
        run_id, metrics=metrics, params=[Param(key, value) for key, value in params.items()], synchronous=True
    )


def _abandon(client: Any, experiment_id: str, attempt: str) -> None:
    """Mark everything of an attempt as failed; a store that no longer answers must not hide the first error."""
    query = f"tags.{schema.ATTEMPT} = '{attempt}'"
    with suppress(Exception):
        for run in _runs(client, experiment_id, query):
            client.set_terminated(run.info.run_id, "FAILED")
    with suppress(Exception):
        for model in client.search_logged_models(
            [experiment_id], filter_string=f"tags.`{schema.ATTEMPT}` = '{attempt}'"
        ):
            client.finalize_logged_model(model.model_id, "FAILED")


def _runs(client: Any, experiment_id: str, query: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        if not (token := page.token):
            return


def _stored(run: Any) -> StoredComparison:
    tags = run.data.tags
    return StoredComparison(
        run_id=run.info.run_id,
        result_id=tags[schema.RESULT_ID],
        started=tags[schema.STARTED],
        models=tuple(json.loads(tags[schema.MODELS])),
        recommendation=tags.get(schema.RECOMMENDATION),
    )


def _address(tracking: Tracking, experiment_id: str, run_id: str) -> str:
    if tracking.uri.startswith("http"):
        return f"{tracking.shown}/#/experiments/{experiment_id}/runs/{run_id}"
    return tracking.shown if tracking.database is None else tracking.uri
