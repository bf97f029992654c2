"""The record of gates in MLflow: one run for each, in the experiment benchkit/<suite>/gate.

    gate (the JSON form) ── checked ── log_gate ──> a run: verdict and models as tags, changes as metrics, gate.json
    suite, model ── find_gates ──> GateRefs, the newest first ── what a promotion rests on (promotion.py)

A gate is logged once: its `gate_id` names it, and a second call returns where the first one is. Only a run that is
finished counts, so that what Ctrl-C or a dead server cut off is no gate.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from benchkit.errors import UsageError
from benchkit.store import gate_schema, schema
from benchkit.store.mlflow_store import _abandon, _address, _experiment
from benchkit.store.uri import locate, prepare_tracking, speaking
from benchkit.types.gate import GateVerdict, OnInconclusive, RuleGroup, RuleVerdict, Severity
from benchkit.types.model import ModelMeta, Precision, Similarity

_PAGE = 200
_SHOWN_PROBLEMS = 5  # of a gate that doesn't fit
_IN_FILTER = re.compile(r"[A-Za-z0-9._:/+=-]{1,200}")  # what a filter of MLflow takes between quotes


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model in the registry and in the record of gates.

    The fingerprint is of the fp32 vectors: "minilm" and "minilm@dim=64" share it. Only with the three facts of how
    vectors are cut, stored and compared does it name what is deployed; None where they aren't known.
    """

    label: str
    id: str
    fingerprint: str
    dimension: int | None = None
    precision: Precision | None = None
    similarity: Similarity | None = None

    @classmethod
    def of(cls, meta: ModelMeta) -> ModelFacts:
        return cls(meta.name, meta.id, meta.fingerprint, meta.dimension, meta.precision, meta.similarity)

    @property
    def content(self) -> str | None:
        """What two models share only when they give the same vectors in an index; None where that isn't known."""
        if self.precision is None:
            return None
        return schema.content_key(self.fingerprint, self.dimension, self.precision, self.similarity)


@dataclass(frozen=True, slots=True)
class GateRef:
    """A gate that MLflow knows.

    Attributes:
        when: ISO 8601, UTC.
        content: Of the candidate, see ModelFacts.
        baseline: Label of what it was held against.
    """

    gate_id: str
    verdict: GateVerdict
    when: str
    run_id: str
    candidate: str
    fingerprint: str
    content: str
    baseline: str
    baseline_fingerprint: str
    suite_digest: str = ""
    on_inconclusive: OnInconclusive = "fail"
    report_only: bool = False

    @property
    def passed(self) -> bool:
        """Whether its rules let the candidate through; whether the job was to be blocked (report_only) has no say."""
        return self.verdict == "pass" or (self.verdict == "inconclusive" and self.on_inconclusive == "warn")


# ------------------------------------------------------------ what a gate has to say


class _Form(BaseModel):
    # Only what MLflow gets is looked at; the whole of it is in gate.json.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Model(_Form):
    name: str
    id: str
    fingerprint: str
    dimension: int | None
    precision: Precision
    similarity: Similarity


class _Rule(_Form):
    id: Annotated[str, Field(min_length=1)]
    group: RuleGroup
    verdict: RuleVerdict
    severity: Severity = "block"
    candidate: float | None
    baseline: float | None
    change: float | None
    low: float | None
    high: float | None


class _Suite(_Form):
    name: str
    digest: str


class _Policy(_Form):
    source: str


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _are_distinct(rules: list[_Rule]) -> list[_Rule]:
    if twice := [name for name, n in Counter(rule.id for rule in rules).items() if n > 1]:
        raise ValueError(f"two rules have the id {twice[0]!r}")
    return rules


class _Gate(_Form):
    schema_version: Literal[1] = 1
    gate_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    verdict: GateVerdict
    exit_code: int
    rules: Annotated[list[_Rule], AfterValidator(_are_distinct)]
    candidate: _Model
    baseline: _Model
    candidate_source: str
    baseline_source: str
    suite: _Suite
    policy: _Policy
    started: Annotated[str, AfterValidator(_is_time)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    identical: bool
    on_inconclusive: OnInconclusive
    report_only: bool


def _checked(report: Mapping[str, Any], artifacts: Sequence[Path]) -> dict[str, Any]:
    try:
        form = _Gate.model_validate(dict(report))
    except ValidationError as exc:
        said = [f"{'.'.join(map(str, each['loc']))}: {each['msg'].lower()}" for each in exc.errors()]
        raise UsageError("not a gate that can be tracked: " + "; ".join(said[:_SHOWN_PROBLEMS])) from exc
    for path in artifacts:
        if not path.is_file():
            raise UsageError(f"{path}: no such file to keep with the run")
    return form.model_dump()


# ------------------------------------------------------------ write


def log_gate(report: Mapping[str, Any], *, tracking_uri: str, artifacts: Sequence[Path] = ()) -> str:
    """Log a gate, or find it where an earlier call with the same `gate_id` did.

    Args:
        report: The JSON form of a GateReport, schema_version 1.
        artifacts: Files to keep with the run, under their own names: gate.json, gate.md.

    Returns:
        The page of the run on a server; the place of the database otherwise, without a password.

    Raises:
        UsageError: something that isn't a gate's JSON form, or a file that isn't there; nothing is touched.
        TrackingError: the store can't be written; nothing is left running in it, as far as it still answers.
    """
    gate = _checked(report, artifacts)
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        experiment_id = _experiment(client, tracking, schema.gate_experiment(gate["suite"]["name"]))
        earlier = next(_search(client, experiment_id, f"tags.`{schema.GATE_ID}` = '{gate['gate_id']}'"), None)
        run_id = earlier.info.run_id if earlier else _log(client, experiment_id, gate, artifacts)
    return _address(tracking, experiment_id, run_id)


def _log(client: Any, experiment_id: str, gate: dict[str, Any], artifacts: Sequence[Path]) -> str:
    from mlflow.entities import Metric, Param

    # The run carries the tag from its first moment, so that even what Ctrl-C cut off from its id can be ended.
    attempt = uuid.uuid4().hex
    ended = schema.ended_ms(gate)
    try:
        run = client.create_run(
            experiment_id,
            start_time=schema.started_ms(gate),
            tags={**gate_schema.gate_tags(gate), schema.ATTEMPT: attempt},
            run_name=gate_schema.gate_name(gate),
        )
        run_id: str = run.info.run_id
        client.log_batch(
            run_id,
            metrics=[Metric(row.name, row.value, ended, step=0) for row in gate_schema.gate_metrics(gate)],
            params=[Param(key, value) for key, value in gate_schema.gate_params(gate).items()],
            synchronous=True,
        )
        for path in artifacts:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, "FINISHED", end_time=ended)
    except BaseException:
        _abandon(client, experiment_id, attempt)
        raise
    return run_id


# ------------------------------------------------------------ read


def recent_gates(tracking_uri: str, suite: str, limit: int = 20) -> list[GateRef]:
    """Return the gates of a suite, the newest first; none where there is no database.

    Raises:
        UsageError: a kind of store that benchkit doesn't know.
        TrackingError: the store doesn't answer.
    """
    return find_gates(tracking_uri, suite, limit=limit)


@dataclass(frozen=True, slots=True)
class HeldAgainst:
    """The model that a gate has to have held its candidate against.

    Attributes:
        content: As ModelFacts has it; "" where only the fingerprint is known.
    """

    fingerprint: str
    content: str


def find_gates(
    tracking_uri: str,
    suite: str,
    *,
    limit: int,
    model: ModelFacts | str | None = None,
    against: HeldAgainst | None = None,
) -> list[GateRef]:
    """Return the newest gates of a suite whose candidate was this model, or one with this fingerprint, or any.

    Args:
        against: Only those whose baseline was this one.
    """
    if is_absent(tracking_uri):
        return []
    tracking = prepare_tracking(tracking_uri)
    with speaking(tracking) as client:
        return _found(client, suite, limit, _of_model(model), against)


def is_absent(tracking_uri: str) -> bool:
    """Tell whether nothing was ever kept there, so that a look needn't make a database."""
    database = locate(tracking_uri).database
    return database is not None and not database.is_file()


def _of_model(model: ModelFacts | str | None) -> tuple[str, str] | None:
    """Return the tag and its value that tell a model's gates from others."""
    if isinstance(model, ModelFacts) and model.content is not None:
        return schema.CONTENT, model.content
    if model is None:
        return None
    return schema.FINGERPRINT, model if isinstance(model, str) else model.fingerprint


def _found(
    client: Any, suite: str, limit: int, tag: tuple[str, str] | None, against: HeldAgainst | None
) -> list[GateRef]:
    if tag is not None and not _IN_FILTER.fullmatch(tag[1]):
        return []  # no fingerprint that benchkit makes
    experiment = client.get_experiment_by_name(schema.gate_experiment(suite))
    if experiment is None or limit < 1:
        return []
    query = f"tags.`{schema.KIND}` = '{schema.GATE}'" + (f" and tags.`{tag[0]}` = '{tag[1]}'" if tag else "")
    found: list[GateRef] = []
    for run in _search(client, experiment.experiment_id, query, page_size=min(limit, _PAGE)):
        if (ref := _ref(run)) is not None and (against is None or _was_against(run, against)):
            found.append(ref)
        if len(found) == limit:
            break
    return found


def _was_against(run: Any, baseline: HeldAgainst) -> bool:
    """Tell whether the baseline of a gate gave the same vectors as this model, cut and stored alike."""
    fingerprint = run.data.tags.get(schema.BASELINE_FINGERPRINT, "")
    dimension, precision = (run.data.params.get(f"baseline/{fact}") for fact in ("dimension", "precision"))
    if not baseline.content or precision is None:
        return bool(fingerprint == baseline.fingerprint)
    size = int(dimension) if dimension is not None and re.fullmatch("[0-9]{1,9}", dimension) else None
    # The record of a gate doesn't have the baseline's similarity, so that any of them may be its own.
    keys = {schema.content_key(fingerprint, size, precision, similarity) for similarity in get_args(Similarity)}
    return baseline.content in keys


def _search(client: Any, experiment_id: str, query: str, *, page_size: int = 1) -> Iterator[Any]:
    """Yield finished runs, the newest first."""
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"{query} and attributes.status = 'FINISHED'",
            max_results=page_size,
            order_by=["attributes.start_time DESC", "attributes.end_time DESC"],
            page_token=token,
        )
        yield from page
        if not (token := page.token):
            return


def _ref(run: Any) -> GateRef | None:
    """Return the gate of a run; None where somebody has changed its tags."""
    tags = run.data.tags
    try:
        ref = GateRef(
            gate_id=tags[schema.GATE_ID],
            verdict=tags[schema.VERDICT],
            when=tags[schema.STARTED],
            run_id=run.info.run_id,
            candidate=tags[schema.CANDIDATE_LABEL],
            fingerprint=tags[schema.FINGERPRINT],
            content=tags[schema.CONTENT],
            baseline=tags[schema.BASELINE],
            baseline_fingerprint=tags[schema.BASELINE_FINGERPRINT],
            suite_digest=tags.get(schema.SUITE_DIGEST, ""),
            on_inconclusive=tags[schema.ON_INCONCLUSIVE],
            report_only=tags[schema.REPORT_ONLY] == "yes",
        )
    except KeyError:
        return None
    return ref if ref.verdict in get_args(GateVerdict) else None
