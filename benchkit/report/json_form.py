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
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from benchkit.errors import UsageError
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
from benchkit.types.model import ModelMeta, Precision, Similarity
from benchkit.types.result import CellResult, CellStatus, WorstItem

SCHEMA_VERSION: Literal[1] = 1
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHOWN_PROBLEMS = 5  # of a file that doesn't fit; the first few say what kind of file it is

Record = TypeVar("Record")
Form = TypeVar("Form", bound=BaseModel)


class _Form(BaseModel):
    # strict: "61.2" in quotes is not a number. extra: a key that we would lose must not look as if it were read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class SuiteForm(_Form):
    name: str
    digest: str
    path: str | None
    description: str
    limited: bool
    """Whether documents or items were left out, so that scores can't be set beside published ones."""


class ModelForm(_Form):
    name: str
    """The label that every other list uses."""
    id: str
    revision: str | None
    fingerprint: str
    """Hash of all that decides the vectors before truncation and quantisation."""
    dimension: int | None
    precision: Precision
    bytes_per_vector: int | None
    parameters: int | None
    memory_bytes: int | None
    license: str | None
    similarity: Similarity
    normalized: bool
    max_seq_length: int | None
    uses_role: bool
    languages: list[str]
    training_tasks: list[str]
    notes: list[str]
    engine: str | None = None
    """What computed the vectors that were scored."""


class WorstForm(_Form):
    item: str
    value: float | None
    text: str
    expected: str
    found: str


class CellForm(_Form):
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


class SummaryForm(_Form):
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


class PairForm(_Form):
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


class RecommendationForm(_Form):
    model: str | None
    reason: str


class CostForm(_Form):
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


class CostStatusForm(_Form):
    model: str
    status: CostStatus
    reason: str
    notes: list[str]
    engine: str | None


class CostRatioForm(_Form):
    candidate: str
    baseline: str
    metric: str
    ratio: float
    """Candidate / baseline, paired call by call."""
    ci_low: float
    ci_high: float
    n: int
    verdict: RatioVerdict


class CostSessionForm(_Form):
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


class BudgetForm(_Form):
    max_p95_ms: float | None = None
    max_memory_mib: float | None = None
    max_bytes_per_vector: int | None = None
    max_dim: int | None = None
    licenses: list[str] = []
    """Empty where every licence is allowed."""


class ComparisonForm(_Form):
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
    cost: list[CostForm] = []
    """What the models cost on this machine, model by model; empty where it wasn't measured."""
    cost_session: CostSessionForm | None = None
    budget: BudgetForm = BudgetForm()
    pareto: list[str] = []
    """Models that no other model beats in quality and in every cost at once."""


class CostOnlyForm(_Form):
    """What embedding models cost on one machine; the same two keys are part of a whole result."""

    schema_version: Literal[1]
    cost: list[CostForm]
    cost_session: CostSessionForm


def result_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a result file."""
    return {"$schema": _DIALECT, **ComparisonForm.model_json_schema(mode="serialization"), "title": "benchkit result"}


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain JSON values, checked against the forms above."""
    found = _plain(comparison)
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
    figures, session = _one_cost(_plain(report))
    found = {"schema_version": SCHEMA_VERSION, "cost": figures, "cost_session": session}
    return CostOnlyForm.model_validate(found).model_dump()


def cost_from_dict(data: object) -> CostReport:
    """Return the costs in what `cost_to_dict` or `to_dict` wrote.

    Raises:
        UsageError: another schema version, a key or value that doesn't fit, or a result without costs.
    """
    _check_version(data)
    assert isinstance(data, Mapping)
    if data.get("cost_session") is None:
        raise UsageError("the result has no costs: they were not measured (--no-cost), or the benchkit was older")
    form: type[CostOnlyForm | ComparisonForm] = ComparisonForm if "cells" in data else CostOnlyForm
    report = _cost_report(_valid(form, data))
    assert report is not None
    return report


def from_dict(data: object) -> Comparison:
    """Return the comparison that `to_dict` wrote, without the scores of single items.

    Raises:
        UsageError: another schema version, or a key or value that doesn't fit.
    """
    _check_version(data)
    form = _valid(ComparisonForm, data)
    found = form.model_dump(exclude={"schema_version", "cost", "cost_session"})
    return Comparison(
        **{
            **found,
            "suite": SuiteInfo(**found["suite"]),
            "environment": Environment(found["environment"]),
            "models": tuple(_record(ModelMeta, row) for row in found["models"]),
            "cells": tuple(_scored_cell(row) for row in found["cells"]),
            "summary": tuple(_summary(row) for row in found["summary"]),
            "pairs": tuple(_record(PairResult, row) for row in found["pairs"]),
            "recommendation": Recommendation(**found["recommendation"]),
            "warnings": tuple(found["warnings"]),
            "cost": _cost_report(form),
            "budget": _tupled(Budget, found["budget"]),
            "pareto": tuple(found["pareto"]),
        }
    )


def _plain(value: Any) -> Any:
    """Return a record as JSON values; not-a-number is null, and half a surrogate pair, which UTF-8 lacks, is "?"."""
    if is_dataclass(value):
        return _plain_record(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _plain_record(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name == "interval":
            found["ci_low"], found["ci_high"] = (
                (None, None) if value is None else (_plain(value.low), _plain(value.high))
            )
        elif field.name != "items":
            found[field.name] = _plain(value)
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


def _check_version(data: object) -> None:
    if not isinstance(data, Mapping):
        raise UsageError(f"not a benchkit result: expected a JSON object, got {type(data).__name__}")
    if "schema_version" not in data:
        raise UsageError(f"not a benchkit result: it has no schema_version (supported: {SCHEMA_VERSION})")
    found = data["schema_version"]
    if type(found) is not int or found != SCHEMA_VERSION:
        raise UsageError(
            f"the result has schema_version {found!r}; this benchkit supports {SCHEMA_VERSION}. "
            "Read it with the benchkit that wrote it, or run the comparison again"
        )


def _valid(form: type[Form], data: object) -> Form:
    try:
        return form.model_validate(data)
    except ValidationError as error:
        raise UsageError(_problems(error)) from error


def _problems(error: ValidationError) -> str:
    said = [f"{_place(problem['loc'])}: {problem['msg'].lower()}" for problem in error.errors()]
    more = [f"and {len(said) - _SHOWN_PROBLEMS} more"] if len(said) > _SHOWN_PROBLEMS else []
    return "not a result of schema_version 1: " + "; ".join(said[:_SHOWN_PROBLEMS] + more)


def _place(location: Sequence[int | str]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def _record(kind: type[Record], row: Mapping[str, Any]) -> Record:
    """Return the dataclass that a flat row came from: lists are tuples again, the two ends an interval."""
    values = dict(row)
    if "ci_low" in row:
        values["interval"] = _interval(values.pop("ci_low"), values.pop("ci_high"))
    return _tupled(kind, values)


def _tupled(kind: type[Record], row: Mapping[str, Any]) -> Record:
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


def _interval(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else Interval(low, high)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {key: _number(value) for key, value in values.items()}


def _summary(row: Mapping[str, Any]) -> ModelSummary:
    return _record(ModelSummary, {**row, "by_type": _numbers(row["by_type"])})


def _scored_cell(row: dict[str, Any]) -> ScoredCell:
    interval = _interval(row.pop("ci_low"), row.pop("ci_high"))
    worst = [WorstItem(**{**item, "value": _number(item["value"])}) for item in row["worst"]]
    return ScoredCell(_record(CellResult, {**row, "scores": _numbers(row["scores"]), "worst": worst}), interval)


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
    models = [_tupled(ModelCost, {**row, "figures": by_model[row["model"]]}) for row in session["models"]]
    ratios = {kind: [CostRatio(**row) for row in session[kind]] for kind in ("ratios", "control")}
    return _tupled(CostReport, {**session, **ratios, "models": models})
