"""The record of drift checks in MLflow: one run for each window, in the experiment benchkit/drift/<baseline>.

    DriftReport (the JSON form) ── log_drift ──> a run: verdict as tags, figures as metrics, drift.json and the sketch

The times of a run and of its metrics are those of the window, so that MLflow's own charts show what happened when. A
check is logged once: the digest of its report names it, and a second call returns the run that is there.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from benchkit.embeddings.fingerprint import digest_json
from benchkit.store import schema
from benchkit.store.mlflow_store import _abandon, _experiment
from benchkit.store.uri import prepare_tracking, speaking

DRIFT = "drift"
CHECK_ID = "benchkit.check_id"
SEVERITY = "benchkit.severity"
CHANGE = "benchkit.change"
WINDOW = "benchkit.window"
BREAKS_POLICY = "benchkit.breaks_policy"
REPORT_FILE = "drift.json"
SKETCH_FILE = "window.safetensors"
_HARM = (
    "identity",
    "worst_identity",
    "overlap_at_10",
    "mixed_overlap_at_10",
    "top1_agreement",
    "pseudo_label_accuracy",
    "ndcg_at_10",
    "low_score_share",
)
_MAX_STATISTIC = 200  # leaves room for what stands before and behind it
_LEVELS = ("ok", "info", "warn", "critical")


def experiment_of(baseline: str) -> str:
    """Return the experiment of a baseline's checks."""
    return f"benchkit/drift/{schema.clean(baseline, schema.MAX_SUITE)}"


def log_drift(report: Mapping[str, Any], *, tracking_uri: str, sketch: bytes = b"") -> str:
    """Log a check and return the id of its run.

    Args:
        report: The JSON form of a DriftReport.
        sketch: The window's sums, kept beside the report; b"" leaves them out.

    Raises:
        UsageError: a kind of store that benchkit doesn't know.
        TrackingError: the store can't be written.
    """
    check_id = digest_json(report)
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        experiment_id = _experiment(client, tracking, experiment_of(report["baseline"]["name"]))
        query = f"tags.`{CHECK_ID}` = '{check_id}' and attributes.status = 'FINISHED'"
        found = client.search_runs([experiment_id], query, max_results=1)
        if found:
            earlier: str = found[0].info.run_id
            return earlier
        return _log(client, experiment_id, report, check_id, sketch)


def _log(client: Any, experiment_id: str, report: Mapping[str, Any], check_id: str, sketch: bytes) -> str:
    from mlflow.entities import Metric, Param

    attempt = uuid.uuid4().hex
    start, end = window_ms(report)
    try:
        run = client.create_run(
            experiment_id,
            start_time=start,
            tags={**tags(report), CHECK_ID: check_id, schema.ATTEMPT: attempt},
            run_name=_name(report),
        )
        run_id: str = run.info.run_id
        client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, end, step=report["window"]["number"]) for name, value in metrics(report).items()
            ],
            params=[Param(key, value) for key, value in params(report).items()],
            synchronous=True,
        )
        _keep_files(client, run_id, report, sketch)
        client.set_terminated(run_id, "FINISHED", end_time=end)
    except BaseException:
        _abandon(client, experiment_id, attempt)
        raise
    return run_id


def _keep_files(client: Any, run_id: str, report: Mapping[str, Any], sketch: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / REPORT_FILE
        kept.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        client.log_artifact(run_id, str(kept))
        if sketch:
            sums = Path(folder) / SKETCH_FILE
            sums.write_bytes(sketch)
            client.log_artifact(run_id, str(sums))


def window_ms(report: Mapping[str, Any]) -> tuple[int, int]:
    """Return the first and last time of a window in ms since 1970; of rows without times, when they were checked."""
    window = report["window"]
    times = [window["start"] or report["checked_at"], window["end"] or report["checked_at"]]
    start, end = (int(datetime.fromisoformat(time).timestamp() * 1000) for time in times)
    return start, end


def tags(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be searched for in MLflow's pages."""
    baseline, window = report["baseline"], report["window"]
    found = {
        schema.KIND: DRIFT,
        SEVERITY: report["severity"],
        CHANGE: report["kind"],
        BREAKS_POLICY: "yes" if report["breaks_policy"] else "no",
        schema.BASELINE: schema.clean(baseline["name"], schema.MAX_LABEL),
        schema.BASELINE_FINGERPRINT: schema.clean(baseline["fingerprint"], schema.MAX_LABEL),
        WINDOW: schema.clean(f"{window['start']}..{window['end']}" if window["start"] else window["source"]),
        "mlflow.note.content": schema.clean(f"{report['reason']} {report['advice']}"),
        "mlflow.source.name": "benchkit",
        "mlflow.source.type": "LOCAL",
    }
    return {key: schema.cut(value, schema.MAX_TAG) for key, value in found.items() if value}


def params(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what the check was asked for."""
    asked = {"source": report["window"]["source"], "baseline": report["baseline"]["name"], **report["policy"]}
    asked["baseline_digest"] = report["baseline"]["digest"]
    cleaned = {key: schema.clean(str(value), schema.MAX_PARAM) for key, value in asked.items()}
    return {key: value for key, value in cleaned.items() if value}


def metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of a check."""
    harm, evidence = report["harm"] or {}, report["evidence"] or {}
    found: dict[str, object] = {
        "drift/rows": report["window"]["rows"],
        "drift/p_value": report["p_value"],
        "drift/severity": _LEVELS.index(report["severity"]),
        "drift/e_value": evidence.get("e_value"),
        "drift/detector": evidence.get("detector"),
    }
    for statistic in report["statistics"]:
        name = _metric_part(statistic["name"])
        found[f"drift/{name}.p"] = statistic["p_value"]
        found[f"drift/{name}.effect"] = statistic["effect"]
    found |= {f"harm/{name}": harm.get(name) for name in _HARM}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _metric_part(name: str) -> str:
    """Return a statistic's name in the letters that MLflow takes."""
    return re.sub(r"[^\w.\- ]", "_", schema.clean(name))[:_MAX_STATISTIC]


def _name(report: Mapping[str, Any]) -> str:
    window = report["window"]
    place = f"{window['start']} to {window['end']}" if window["start"] else window["source"]
    return schema.cut(schema.clean(f"{report['severity']}: {place}"), schema.MAX_NAME)
