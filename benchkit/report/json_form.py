"""A comparison as JSON and back.

    Comparison ── to_dict ──> dict (only null, bool, int, float, str, list, dict) ── render_json ──> text
    dict ── from_dict: version, then every key and type ──> Comparison
    CostReport ── cost_to_dict ──> dict ── cost_from_dict ──> CostReport          costs without scores

Each record has the fields of its dataclass in benchkit.types, except that an interval is `ci_low` and `ci_high`, that
a cell is one flat record, that the figures of all models are one list (`cost`) beside the session that measured them
(`cost_session`), and that the scores of single items stay out: they are large, and a file of results is read by people
too. What is absent is null, never 0 and never NaN; a figure of cost without a number is left out. A file of schema
version 1 that was written before there were costs is read as one without. docs/result.schema.json is made from the
forms below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from benchkit.errors import UsageError
from benchkit.report.forms import (
    FileKind,
    Form,
    ModelForm,
    Record,
    SuiteForm,
    fields_of,
    number_of,
    plain,
    record_of,
    records_of,
)
from benchkit.types.comparison import (
    Comparison,
    Environment,
    Interval,
    ModelSummary,
    PairResult,
    Recommendation,
    ScoredCell,
    SuiteInfo,
    Verdict,
)
from benchkit.types.cost import (
    Budget,
    CostFigure,
    CostLevel,
    CostRatio,
    CostReport,
    CostStatus,
    ModelCost,
    RatioVerdict,
)
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, CellStatus, WorstItem

SCHEMA_VERSION: Literal[1] = 1
_FILE = FileKind(name="result", full_name="benchkit result", task="comparison", version=SCHEMA_VERSION)


class WorstForm(Form):
    item: str
    value: float | None
    text: str
    expected: str
    found: str


class CellForm(Form):
    model: str
    task: str
    type: str
    status: CellStatus
    main_metric: str | None
    main_score: float | None
    """On MTEB's scale, 0 to 1 (correlations -1 to 1); null unless status is "ok"."""
    ci_low: float | None
    """Lower end of the 95 % interval of main_score; null where the task type keeps no scores of single items."""
    ci_high: float | None
    scores: dict[str, float | None]
    """By "split/subset"."""
    n_items: int | None
    data_digest: str | None
    dataset_revision: str | None
    reason: str
    limited: str
    warnings: list[str]
    worst: list[WorstForm]
    seconds: float | None
    encode_seconds: float | None
    texts: int | None
    texts_encoded: int | None
    engine: str | None = None


class SummaryForm(Form):
    model: str
    mean_score: float | None
    """Null when the model lacks the score of a task: a mean over fewer tasks would not be comparable."""
    ci_low: float | None
    ci_high: float | None
    rank_low: int | None
    """Best rank that the data leave open."""
    rank_high: int | None
    by_type: dict[str, float | None]
    missing: list[str]


class PairForm(Form):
    candidate: str
    baseline: str
    task: str
    """The task, or "*" for the mean over all tasks."""
    delta: float | None
    """Candidate minus baseline."""
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_holm: float | None
    """After Holm's correction; the verdict rests on it."""
    verdict: Verdict
    reason: str


class RecommendationForm(Form):
    model: str | None
    reason: str


class CostForm(Form):
    model: str
    metric: str
    """Path and unit: "latency/query/p95_ms"."""
    value: float
    ci_low: float | None
    """Lower end of the 95 % interval; null where one measurement stands alone."""
    ci_high: float | None
    unit: str
    n: int
    """Measurements behind the value."""
    cv: float | None
    """Standard deviation of these measurements, divided by their mean."""


class CostStatusForm(Form):
    model: str
    status: CostStatus
    reason: str
    notes: list[str]
    engine: str | None


class CostRatioForm(Form):
    candidate: str
    baseline: str
    metric: str
    ratio: float
    """Candidate / baseline, paired call by call."""
    ci_low: float
    ci_high: float
    n: int
    verdict: RatioVerdict


class CostSessionForm(Form):
    level: CostLevel
    device: str
    hardware: dict[str, str]
    measured_at: str
    """ISO 8601, UTC."""
    seconds: float
    seed: int
    tolerance: float
    """A ratio within 1 / (1 + tolerance) and 1 + tolerance is "same"."""
    models: list[CostStatusForm]
    """Of which models there are costs, and why not of the others."""
    ratios: list[CostRatioForm]
    control: list[CostRatioForm]
    """Two processes of one model against each other: the noise floor."""
    unstable: str
    """Why the machine was too noisy for a verdict; "" where it was not."""
    warnings: list[str]
    from_cache: bool


class BudgetForm(Form):
    max_p95_ms: float | None = None
    max_memory_mib: float | None = None
    max_bytes_per_vector: int | None = None
    max_dim: int | None = None
    licenses: list[str] = Field(default=[])
    """Empty where every licence is allowed."""


class ComparisonForm(Form):
    """Several embedding models on one suite, as benchkit found them."""

    schema_version: Literal[1]
    suite: SuiteForm
    environment: dict[str, str]
    models: list[ModelForm]
    cells: list[CellForm]
    summary: list[SummaryForm]
    pairs: list[PairForm]
    recommendation: RecommendationForm
    baseline: str | None
    margin: float
    """Differences within plus or minus this count as "same"."""
    n_resamples: int
    seed: int
    started: str
    """ISO 8601, UTC."""
    seconds: float
    warnings: list[str]
    interrupted: bool
    cost: list[CostForm] = Field(default=[])
    """What the models cost on this machine, model by model; empty where it wasn't measured."""
    cost_session: CostSessionForm | None = None
    budget: BudgetForm = BudgetForm()
    pareto: list[str] = Field(default=[])
    """Models that no other model beats in quality and in every cost at once."""


class CostOnlyForm(Form):
    """What embedding models cost on one machine; the same two keys are part of a whole result."""

    schema_version: Literal[1]
    cost: list[CostForm]
    cost_session: CostSessionForm


def result_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a result file."""
    return _FILE.json_schema(ComparisonForm)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain JSON values, checked against the forms above."""
    found = plain(comparison, keys_of=_keys)
    found["environment"] = found["environment"]["values"]
    found["cells"] = [_one_cell(cell) for cell in found["cells"]]
    found["cost"], found["cost_session"] = _one_cost(found["cost"])
    form = ComparisonForm.model_validate({"schema_version": SCHEMA_VERSION, **found})
    return form.model_dump()


def render_json(comparison: Comparison) -> str:
    """Return the text of a result file, UTF-8 characters as they are."""
    return json.dumps(to_dict(comparison), allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def cost_to_dict(report: CostReport) -> dict[str, Any]:
    """Return costs without scores as plain JSON values: "cost" and "cost_session" as in a whole result."""
    figures, session = _one_cost(plain(report, keys_of=_keys))
    found = {"schema_version": SCHEMA_VERSION, "cost": figures, "cost_session": session}
    return CostOnlyForm.model_validate(found).model_dump()


def cost_from_dict(data: object) -> CostReport:
    """Return the costs in what `cost_to_dict` or `to_dict` wrote.

    Raises:
        UsageError: another schema version, a key or value that doesn't fit, or a result without costs.
    """
    found = _FILE.versioned(data)
    if found.get("cost_session") is None:
        raise UsageError("the result has no costs: they were not measured (--no-cost), or the benchkit was older")
    form: type[CostOnlyForm | ComparisonForm] = ComparisonForm if "cells" in found else CostOnlyForm
    report = _cost_report(_FILE.read(form, found))
    assert report is not None
    return report


def from_dict(data: object) -> Comparison:
    """Return the comparison that `to_dict` wrote, without the scores of single items.

    Raises:
        UsageError: another schema version, or a key or value that doesn't fit.
    """
    form = _FILE.read(ComparisonForm, data)
    found = form.model_dump(exclude={"schema_version", "cost", "cost_session"})
    return Comparison(
        **{
            **found,
            "suite": SuiteInfo(**found["suite"]),
            "environment": Environment(found["environment"]),
            "models": records_of(ModelMeta, found["models"]),
            "cells": tuple(_scored_cell(row) for row in found["cells"]),
            "summary": tuple(_summary(row) for row in found["summary"]),
            "pairs": tuple(_with_interval(PairResult, row) for row in found["pairs"]),
            "recommendation": Recommendation(**found["recommendation"]),
            "warnings": tuple(found["warnings"]),
            "cost": _cost_report(form),
            "budget": record_of(Budget, found["budget"]),
            "pareto": tuple(found["pareto"]),
        }
    )


def _keys(record: Any) -> dict[str, Any]:
    """Return what a record is written as: an interval by its two ends, and no scores of single items."""
    found = {name: value for name, value in fields_of(record).items() if name != "items"}
    if "interval" in found:
        interval = found.pop("interval")
        found["ci_low"], found["ci_high"] = (None, None) if interval is None else (interval.low, interval.high)
    return found


def _one_cell(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell.pop("result"), **cell}


def _one_cost(cost: dict[str, Any] | None) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the figures of all models as one list, and the session without them; infinity has become null before."""
    if cost is None:
        return [], None
    figures = [figure for model in cost["models"] for figure in model.pop("figures") if figure["value"] is not None]
    for kind in ("ratios", "control"):
        cost[kind] = [row for row in cost[kind] if None not in (row["ratio"], row["ci_low"], row["ci_high"])]
    return figures, cost


def _with_interval(kind: type[Record], row: Mapping[str, Any]) -> Record:
    """Return the dataclass that a flat row came from: lists are tuples again, the two ends an interval."""
    values = dict(row)
    if "ci_low" in row:
        values["interval"] = _interval(values.pop("ci_low"), values.pop("ci_high"))
    return record_of(kind, values)


def _interval(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else Interval(low, high)


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {key: number_of(value) for key, value in values.items()}


def _summary(row: Mapping[str, Any]) -> ModelSummary:
    return _with_interval(ModelSummary, {**row, "by_type": _numbers(row["by_type"])})


def _scored_cell(row: dict[str, Any]) -> ScoredCell:
    interval = _interval(row.pop("ci_low"), row.pop("ci_high"))
    worst = [WorstItem(**{**item, "value": number_of(item["value"])}) for item in row["worst"]]
    return ScoredCell(_with_interval(CellResult, {**row, "scores": _numbers(row["scores"]), "worst": worst}), interval)


def _cost_report(form: ComparisonForm | CostOnlyForm) -> CostReport | None:
    known = [] if form.cost_session is None else [row.model for row in form.cost_session.models]
    by_model: dict[str, list[CostFigure]] = {model: [] for model in known}
    for place, figure in enumerate(form.cost):
        if figure.model not in by_model:  # it would be lost
            raise UsageError(f"cost[{place}].model: {figure.model!r} is not among the models of cost_session")
        by_model[figure.model].append(CostFigure(**figure.model_dump()))
    if form.cost_session is None:
        return None
    session = form.cost_session.model_dump()
    models = [record_of(ModelCost, {**row, "figures": by_model[row["model"]]}) for row in session["models"]]
    ratios = {kind: [CostRatio(**row) for row in session[kind]] for kind in ("ratios", "control")}
    return record_of(CostReport, {**session, **ratios, "models": models})
