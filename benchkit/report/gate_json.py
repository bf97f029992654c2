"""A gate as JSON and back.

    GateReport ── gate_to_dict ──> dict (only null, bool, int, float, str, list, dict) ── render_gate_json ──> text
    dict ── gate_from_dict: version, then every key and type ──> GateReport

Each record has the fields of its dataclass in benchkit.types, except that the environment is one flat object, that
mixed scores have names, and that "headline" is added: what every other output says first. What is absent is null, and
so is what is not a number. docs/gate.schema.json is made from the forms below.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from benchkit.report import gate_words
from benchkit.report.forms import FileKind, Form, ModelForm, SuiteForm, number_of, plain, record_of, records_of
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
_FILE = FileKind(name="gate", full_name="gate of benchkit", task="gate", version=SCHEMA_VERSION)
_MIXED = ("baseline", "new_queries_on_old_vectors", "all_re_embedded")


class QualityRuleForm(Form):
    on: str
    margin: float
    """Largest regression that is accepted, in score units: 0.01 is one point."""
    severity: Severity


class CostRuleForm(Form):
    metric: CostMetric
    max_ratio: float | None
    min_ratio: float | None
    max_value: float | None
    min_value: float | None
    severity: Severity


class LimitRulesForm(Form):
    dimension_equal: bool
    max_dimension: int | None
    max_bytes_per_vector: int | None
    licenses: list[str]
    """Empty where every licence is allowed."""
    deterministic: bool
    finite: bool
    normalized: Literal["same_as_baseline", "yes"] | None


class PolicyForm(Form):
    quality: list[QualityRuleForm]
    cost: list[CostRuleForm]
    limits: LimitRulesForm
    same_space: Literal["ignore", "warn", "block"]
    source: str


class RuleForm(Form):
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


class MixedForm(Form):
    baseline: float | None
    new_queries_on_old_vectors: float | None
    all_re_embedded: float | None


class SpaceForm(Form):
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


class NeighbourForm(Form):
    text: str
    score: float | None
    correct: bool | None


class LostForm(Form):
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


class SliceForm(Form):
    name: str
    n: int
    change: float | None
    low: float | None
    high: float | None


class ExplanationForm(Form):
    rule: str
    task: str
    change: float | None
    low: float | None
    high: float | None
    slices: list[SliceForm]
    items: list[LostForm]


class GateForm(Form):
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
    return _FILE.json_schema(GateForm)


def gate_to_dict(report: GateReport) -> dict[str, Any]:
    """Return a gate as plain JSON values, checked against the forms above."""
    found = plain(report)
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
    found = _FILE.read(GateForm, data).model_dump(exclude={"schema_version", "headline"})
    return GateReport(
        **{
            **found,
            "rules": records_of(RuleResult, found["rules"]),
            "candidate": record_of(ModelMeta, found["candidate"]),
            "baseline": record_of(ModelMeta, found["baseline"]),
            "suite": SuiteInfo(**found["suite"]),
            "policy": _policy(found["policy"]),
            "environment": Environment(found["environment"]),
            "space": None if found["space"] is None else _space(found["space"]),
            "explanations": tuple(map(_explanation, found["explanations"])),
            "warnings": tuple(found["warnings"]),
        }
    )


def _policy(row: dict[str, Any]) -> Policy:
    rules = {"quality": records_of(QualityRule, row["quality"]), "cost": records_of(CostRule, row["cost"])}
    return Policy(**{**row, **rules, "limits": record_of(LimitRules, row["limits"])})


def _space(row: dict[str, Any]) -> SpaceReport:
    mixed = {task: tuple(number_of(scores[name]) for name in _MIXED) for task, scores in row["mixed_scores"].items()}
    return SpaceReport(**{**row, "mixed_scores": mixed})


def _explanation(row: dict[str, Any]) -> Explanation:
    slices = [{**part, "change": number_of(part["change"])} for part in row["slices"]]
    items = tuple(map(_lost_item, row["items"]))
    return Explanation(
        **{**row, "change": number_of(row["change"]), "slices": records_of(SliceLoss, slices), "items": items}
    )


def _lost_item(row: dict[str, Any]) -> LostItem:
    found = {key: records_of(Neighbour, row[key]) for key in ("found_before", "found_after")}
    return LostItem(**{**row, **found, "loss": number_of(row["loss"])})
