"""A gate as JSON and back.

    GateReport ── gate_to_dict ──> dict (only null, bool, int, float, str, list, dict) ── render_gate_json ──> text
    dict ── gate_from_dict: version, then every key and type ──> GateReport

Each record has the fields of its dataclass in benchkit.types, except that the environment is one flat object, that
mixed scores have names, and that "headline" is added: what every other output says first. What is absent is null, and
so is what is not a number. docs/gate.schema.json is made from the forms below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchkit.errors import UsageError
from benchkit.report import gate_words
from benchkit.report.json_form import ModelForm, SuiteForm
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import (
    CostMetric,
    CostRule,
    Explanation,
    GateReport,
    GateVerdict,
    LimitRules,
    LostItem,
    Neighbour,
    OnInconclusive,
    Policy,
    QualityRule,
    RuleGroup,
    RuleResult,
    RuleVerdict,
    Severity,
    SliceLoss,
    SpaceReport,
)
from benchkit.types.model import ModelMeta

SCHEMA_VERSION: Literal[1] = 1
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHOWN_PROBLEMS = 5  # of a file that doesn't fit; the first few say what kind of file it is
_MIXED = ("baseline", "new_queries_on_old_vectors", "all_re_embedded")

Record = TypeVar("Record")


class _Form(BaseModel):
    # As in json_form: "61.2" in quotes is not a number, and a key that would be lost must not look as if it were read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class QualityRuleForm(_Form):
    on: str
    margin: float
    """Largest regression that is accepted, in score units: 0.01 is one point."""
    severity: Severity


class CostRuleForm(_Form):
    metric: CostMetric
    max_ratio: float | None
    min_ratio: float | None
    max_value: float | None
    min_value: float | None
    severity: Severity


class LimitRulesForm(_Form):
    dimension_equal: bool
    max_dimension: int | None
    max_bytes_per_vector: int | None
    licenses: list[str]
    """Empty where every licence is allowed."""
    deterministic: bool
    finite: bool
    normalized: Literal["same_as_baseline", "yes"] | None


class PolicyForm(_Form):
    quality: list[QualityRuleForm]
    cost: list[CostRuleForm]
    limits: LimitRulesForm
    same_space: Literal["ignore", "warn", "block"]
    source: str


class RuleForm(_Form):
    id: str
    """Unique in a report: "quality/task:STSB", "cost/peak_memory"."""
    group: RuleGroup
    on: str
    verdict: RuleVerdict
    severity: Severity
    sentence: str
    unit: str
    candidate: float | None
    baseline: float | None
    change: float | None
    """Candidate minus baseline for scores, candidate / baseline for costs."""
    low: float | None
    """Lower end of the 95 % interval of the change, two-sided."""
    high: float | None
    bound: float | None
    """One-sided 95 % bound of the change, on the side that counts."""
    threshold: float | None
    p_pass: float | None
    p_fail: float | None
    detectable: float | None
    """Smallest regression that this rule would catch with 80 % power."""
    items_needed: int | None
    n: int | None
    confirmed: bool


class MixedForm(_Form):
    baseline: float | None
    new_queries_on_old_vectors: float | None
    all_re_embedded: float | None


class SpaceForm(_Form):
    n_texts: int
    n_queries: int
    n_documents: int
    same_dimension: bool
    mean_cosine: float | None
    cka: float | None
    neighbour_overlap: float | None
    mixed_overlap: float | None
    mixed_scores: dict[str, MixedForm]
    """By retrieval task, the main score each."""
    verdict: Literal["drop-in", "re-embed", "unknown"]
    sentence: str


class NeighbourForm(_Form):
    text: str
    score: float | None
    correct: bool | None


class LostForm(_Form):
    item: str
    place: str
    """ "split/subset"."""
    loss: float | None
    """What it adds to the regression of the task, in score units."""
    before: float | None
    after: float | None
    text: str
    expected: str
    found_before: list[NeighbourForm]
    found_after: list[NeighbourForm]


class SliceForm(_Form):
    name: str
    n: int
    change: float | None
    low: float | None
    high: float | None


class ExplanationForm(_Form):
    rule: str
    task: str
    change: float | None
    low: float | None
    high: float | None
    slices: list[SliceForm]
    items: list[LostForm]


class GateForm(_Form):
    """What a gate asked of a candidate, what it was held against, and what was found."""

    schema_version: Literal[1]
    headline: str
    """The answer in one line, as every other output has it."""
    gate_id: str
    verdict: GateVerdict
    exit_code: Literal[0, 1, 3]
    """0 pass, 1 regression or no score, 3 inconclusive; 0 where report_only."""
    rules: list[RuleForm]
    candidate: ModelForm
    baseline: ModelForm
    candidate_source: str
    baseline_source: str
    suite: SuiteForm
    policy: PolicyForm
    environment: dict[str, str]
    started: str
    """ISO 8601, UTC."""
    seconds: float
    identical: bool
    """Whether candidate and baseline have the same content."""
    on_inconclusive: OnInconclusive
    report_only: bool
    power: str
    """What this suite can and can't see, in words."""
    space: SpaceForm | None
    explanations: list[ExplanationForm]
    warnings: list[str]
    command: str


def gate_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a gate's file."""
    return {"$schema": _DIALECT, **GateForm.model_json_schema(mode="serialization"), "title": "benchkit gate"}


def gate_to_dict(report: GateReport) -> dict[str, Any]:
    """Return a gate as plain JSON values, checked against the forms above."""
    found = _plain(report)
    found["environment"] = found["environment"]["values"]
    if found["space"] is not None:
        mixed = found["space"]["mixed_scores"]
        found["space"]["mixed_scores"] = {
            task: dict(zip(_MIXED, scores, strict=True)) for task, scores in mixed.items()
        }
    added = {"schema_version": SCHEMA_VERSION, "headline": gate_words.headline(report)}
    return GateForm.model_validate({**added, **found}).model_dump()


def render_gate_json(report: GateReport) -> str:
    """Return the text of a gate's file, UTF-8 characters as they are."""
    return json.dumps(gate_to_dict(report), allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def gate_from_dict(data: object) -> GateReport:
    """Return the gate that `gate_to_dict` wrote.

    Raises:
        UsageError: another schema version, or a key or value that doesn't fit.
    """
    _check_version(data)
    try:
        form = GateForm.model_validate(data)
    except ValidationError as error:
        raise UsageError(_problems(error)) from error
    found = form.model_dump(exclude={"schema_version", "headline"})
    return GateReport(
        **{
            **found,
            "rules": _all(RuleResult, found["rules"]),
            "candidate": _record(ModelMeta, found["candidate"]),
            "baseline": _record(ModelMeta, found["baseline"]),
            "suite": SuiteInfo(**found["suite"]),
            "policy": _policy(found["policy"]),
            "environment": Environment(found["environment"]),
            "space": None if found["space"] is None else _space(found["space"]),
            "explanations": tuple(map(_explanation, found["explanations"])),
            "warnings": tuple(found["warnings"]),
        }
    )


# --- there


def _plain(value: Any) -> Any:
    """Return a record as JSON values; not-a-number is null, and half a surrogate pair, which UTF-8 lacks, is "?"."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):  # a count or a p-value that comes straight from an array
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


# --- and back


def _check_version(data: object) -> None:
    if not isinstance(data, Mapping):
        raise UsageError(f"not a gate of benchkit: expected a JSON object, got {type(data).__name__}")
    if "schema_version" not in data:
        raise UsageError(f"not a gate of benchkit: it has no schema_version (supported: {SCHEMA_VERSION})")
    found = data["schema_version"]
    if type(found) is not int or found != SCHEMA_VERSION:
        raise UsageError(
            f"the gate has schema_version {found!r}; this benchkit supports {SCHEMA_VERSION}. "
            "Read it with the benchkit that wrote it, or run the gate again"
        )


def _problems(error: ValidationError) -> str:
    said = [f"{_place(problem['loc'])}: {problem['msg'].lower()}" for problem in error.errors()]
    more = [f"and {len(said) - _SHOWN_PROBLEMS} more"] if len(said) > _SHOWN_PROBLEMS else []
    return "not a gate of schema_version 1: " + "; ".join(said[:_SHOWN_PROBLEMS] + more)


def _place(location: Sequence[int | str]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def _record(kind: Callable[..., Record], row: Mapping[str, Any]) -> Record:
    """Return the dataclass of a row: lists are tuples again."""
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


def _all(kind: Callable[..., Record], rows: Sequence[Mapping[str, Any]]) -> tuple[Record, ...]:
    return tuple(_record(kind, row) for row in rows)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _policy(row: dict[str, Any]) -> Policy:
    rules = {"quality": _all(QualityRule, row["quality"]), "cost": _all(CostRule, row["cost"])}
    return Policy(**{**row, **rules, "limits": _record(LimitRules, row["limits"])})


def _space(row: dict[str, Any]) -> SpaceReport:
    mixed = {task: tuple(_number(scores[name]) for name in _MIXED) for task, scores in row["mixed_scores"].items()}
    return SpaceReport(**{**row, "mixed_scores": mixed})


def _explanation(row: dict[str, Any]) -> Explanation:
    slices = [{**part, "change": _number(part["change"])} for part in row["slices"]]
    items = tuple(map(_lost_item, row["items"]))
    return Explanation(**{**row, "change": _number(row["change"]), "slices": _all(SliceLoss, slices), "items": items})


def _lost_item(row: dict[str, Any]) -> LostItem:
    found = {key: _all(Neighbour, row[key]) for key in ("found_before", "found_after")}
    return LostItem(**{**row, **found, "loss": _number(row["loss"])})
