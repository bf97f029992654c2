"""A gate on models that are at hand: score, measure beside each other, look at vectors, explain.

    candidate, baseline ── prepare ── cells (kept ones are not computed again)
        ├── quality rules
        ├── costs in one session ── not passed? ── a second one, other processes, other order ──> cost rules
        ├── probe: finite, deterministic, unit length
        ├── both vectors of one text, new queries on old documents ──> drop-in or re-embed
        └── what failed: the items that lost most, with the answers of both models

A baseline from a file or from the registry has scores; the model behind it is opened too where it can be, since costs,
vectors and answers need it. Where it can't, the rules that need it say so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import nan
from typing import TYPE_CHECKING

from benchkit.api.gate_explain import answers_of, explain
from benchkit.api.gate_request import (
    Findings,
    GateRequest,
    GateRun,
    Pair,
    check_rules,
    find_baseline,
    judge,
    judge_scores,
    policy_of,
    with_label,
)
from benchkit.api.request import Prepared, model_specs, prepare, settings_of, suite_of
from benchkit.api.run import open_vectors, run
from benchkit.api.scored import scored_now, tags_of
from benchkit.embeddings.store import VectorStore
from benchkit.errors import BenchkitError
from benchkit.gate.comparable import check_comparable
from benchkit.gate.cost import CostSession, judge_cost, needs_confirmation
from benchkit.gate.probe import probe
from benchkit.gate.quality_evidence import same_content
from benchkit.gate.space import SpaceFigures, compare_spaces
from benchkit.measure.space import SampledSpaces
from benchkit.models.names import parse_model
from benchkit.plugins import open_model
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.draw_cache import DrawCache
from benchkit.runner.mixed import loaded_once, mixed_planned
from benchkit.runner.progress import Progress, Silent
from benchkit.runner.run import PlannedModel, Runner, reason_of
from benchkit.runner.spaces import RANKING_TYPES, sample_vectors
from benchkit.types.gate import Explanation, Policy, ProbeFacts, RuleResult, Scored, SpaceReport
from benchkit.types.result import CellResult

if TYPE_CHECKING:
    from benchkit.types.model import ModelSpec

log = logging.getLogger(__name__)


def run_live(request: GateRequest, *, progress: Progress | None = None) -> GateRun:
    """Run a gate on a model; see `benchkit.api.gate.run_gate`."""
    started, watched = time.perf_counter(), progress or Silent()
    settings = settings_of(request.comparison(()))
    suite = suite_of(request.comparison(()), settings, asks_mteb=True)
    policy = policy_of(request, suite)
    stored = find_baseline(request, settings, suite.name)
    (candidate_spec,) = model_specs(request.comparison((request.candidate or "",)), settings, suite)
    specs = [candidate_spec]
    if stored is None:
        (spec,) = model_specs(request.comparison((request.baseline,)), settings, suite)
        specs.append(with_label(spec, candidate_spec.label))
    prepared = prepare(request.comparison(tuple(specs)), on_stage=watched.stage)
    _check_early(prepared, stored, policy)
    pair = _pair(prepared, stored)
    finished = run(prepared, progress=watched)
    if finished.comparison.interrupted:
        raise KeyboardInterrupt  # a verdict on some of the tasks would be another one
    cells = finished.cells
    wants_tags = any(rule.on.startswith("slice:") for rule in policy.quality)
    probes = _probes(pair, policy, watched, is_stored=stored is not None)
    scored = partial(scored_now, prepared, cells=cells, with_tags=wants_tags, on_warning=watched.warning)
    candidate = scored(pair.candidate, probe=probes[0])
    baseline = stored or scored(prepared.models[1], probe=probes[1])
    notes = check_comparable(candidate, baseline)
    check_rules(policy, candidate, baseline)
    quality = judge_scores(candidate, baseline, policy, settings)
    findings = _findings(prepared, pair, candidate, baseline, policy, quality[0], request, watched)
    report = judge(
        candidate,
        baseline,
        policy,
        request=request,
        started=started,
        device=prepared.device,
        findings=findings,
        notes=(*prepared.notes, *notes),
        quality=quality,
    )
    return GateRun(report, candidate, settings, prepared.tracking_uri)


def _check_early(prepared: Prepared, stored: Scored | None, policy: Policy) -> None:
    """Refuse what can't be compared, and rules on tasks that aren't there, before hours of work.

    Raises:
        NotComparable: the baseline was made of another suite.
        SuiteError: a rule matches no task.
    """
    unscored = [
        CellResult(prepared.models[0].spec.label, task.name, task.type, "failed", task.main_metric)
        for task in prepared.tasks
    ]
    planned = scored_now(prepared, prepared.models[0], unscored)
    if stored is not None:
        check_comparable(planned, stored)
    check_rules(policy, planned, stored or planned, kinds=("task:",))


def _pair(prepared: Prepared, stored: Scored | None) -> Pair:
    """Return the models; a baseline that was scored before is opened by the name that it had."""
    candidate = prepared.models[0]
    if stored is None:
        return Pair(candidate, prepared.models[1])
    try:
        spec = with_label(_spec(prepared, stored.asked_as), candidate.spec.label)
        planned = PlannedModel(spec, open_model(spec, prepared.context))
    except BenchkitError as exc:
        return Pair(candidate, None, f"the baseline's model {stored.asked_as!r} can't be opened here: {exc}")
    if planned.meta.fingerprint != stored.model.fingerprint:
        return Pair(candidate, None, f"{stored.asked_as!r} is no longer the model that the baseline was made of")
    return Pair(candidate, planned)


def _spec(prepared: Prepared, asked_as: str) -> ModelSpec:
    described = {spec.label: spec for spec in prepared.suite.models}
    return described.get(asked_as) or parse_model(asked_as)


def _probes(
    pair: Pair, policy: Policy, progress: Progress, *, is_stored: bool
) -> tuple[ProbeFacts | None, ProbeFacts | None]:
    """Encode a few texts with the models whose rules ask for it."""
    limits = policy.limits
    if not (limits.deterministic or limits.finite or limits.normalized):
        return None, None
    progress.stage("probing vectors")
    both = [pair.candidate]
    if limits.normalized == "same_as_baseline" and pair.baseline is not None and not is_stored:
        both.append(pair.baseline)
    found = [_probe(planned) for planned in both]
    return found[0], found[1] if len(found) > 1 else None


def _probe(planned: PlannedModel) -> ProbeFacts | None:
    try:
        return probe(planned.handle.load())
    except BenchkitError:
        return None  # its cells have failed and say why


def _findings(
    prepared: Prepared,
    pair: Pair,
    candidate: Scored,
    baseline: Scored,
    policy: Policy,
    quality: Sequence[RuleResult],
    request: GateRequest,
    progress: Progress,
) -> Findings:
    warnings = (pair.why_alone,) if pair.why_alone else ()
    alive = [cell for cell in candidate.cells if cell.status == "ok"]
    cost = _cost_rules(prepared, pair, policy, request, progress, is_alive=bool(alive))
    failed = [rule for rule in quality if rule.verdict == "fail"]
    if not alive:
        return Findings(cost, None, "the candidate has no score", (), warnings)
    with open_vectors(prepared, []) as vectors:
        space, why_none = _space(prepared, pair, candidate, baseline, policy, vectors, progress)
        explanations: tuple[Explanation, ...] = ()
        if failed:
            progress.stage("looking at what was lost")
            tags = candidate.tags or tags_of(prepared.tasks, candidate.cells, on_warning=progress.warning)
            tagged = replace(candidate, tags=tags)
            draw = DrawCache(prepared.settings.cache_dir)
            asked = answers_of(prepared, pair, vectors)
            explanations = explain(tagged, baseline, failed, draw=draw, answers=asked)
    return Findings(cost, space, why_none, explanations, warnings)


# ------------------------------------------------------------ costs


def _cost_rules(
    prepared: Prepared, pair: Pair, policy: Policy, request: GateRequest, progress: Progress, *, is_alive: bool
) -> tuple[RuleResult, ...]:
    if not policy.cost:
        return ()
    wanted = prepared.settings.cost != "off" if request.cost is None else request.cost
    label = pair.candidate.spec.label
    if not wanted or pair.baseline is None or not is_alive:
        why = "costs are not measured (--no-cost, BENCHKIT_COST or `cost` of the settings)"
        why = why if not wanted else pair.why_alone or "the candidate has no score"
        must_judge = wanted and not policy.is_default
        return judge_cost([], label, "", policy.cost, why_none=why, must_judge=must_judge)
    sessions = [_cost_session(prepared, pair, progress, is_second=False)]
    results = judge_cost(sessions, label, pair.baseline.spec.label, policy.cost)
    if needs_confirmation(results):
        progress.stage("measuring costs again, before a verdict")
        sessions.append(_cost_session(prepared, pair, progress, is_second=True))
        results = judge_cost(sessions, label, pair.baseline.spec.label, policy.cost)
    return results


def _cost_session(prepared: Prepared, pair: Pair, progress: Progress, *, is_second: bool) -> CostSession:
    from benchkit.cost.measure import CostRequest, measure_costs

    assert pair.baseline is not None
    models = [(planned.spec, planned.meta) for planned in (pair.candidate, pair.baseline)]
    request = CostRequest(
        models,
        pair.baseline.spec.label,
        level="full" if prepared.settings.cost == "full" else "quick",
        seed=prepared.seed + is_second,
        reversed_start=is_second,
    )
    measured = measure_costs(
        request,
        prepared.tasks,
        prepared.context,
        refresh=True,  # in this job and on this machine, whatever was measured before
        on_stage=progress.stage,
    )
    return CostSession(measured.report, measured.samples)


# ------------------------------------------------------------ vectors


def _space(
    prepared: Prepared,
    pair: Pair,
    candidate: Scored,
    baseline: Scored,
    policy: Policy,
    vectors: VectorStore | None,
    progress: Progress,
) -> tuple[SpaceReport | None, str]:
    """Return what a swap means for an index, or None and why it isn't known."""
    if policy.same_space == "ignore":
        return None, "no rule asks for it"
    if same_content(candidate, baseline):
        return compare_spaces(candidate=candidate.model, baseline=baseline.model, vectors=None, mixed_scores={}), ""
    if pair.baseline is None:
        return None, pair.why_alone
    progress.stage("comparing the vectors of both models")
    # Several parts need the two models: each is loaded once for all of them.
    both = loaded_once(pair.candidate), loaded_once(pair.baseline)
    try:
        sampled = _sampled(prepared, both, vectors, progress)
        mixed = _mixed_scores(prepared, both, candidate, baseline, vectors, progress)
    except BenchkitError as exc:
        return None, str(exc)
    # A model is anybody's code; one that can't encode a text has failed on its tasks too, and the rules tell that.
    except Exception as exc:
        log.debug("the two spaces could not be compared", exc_info=exc)
        return None, reason_of(exc)
    metrics = {task.name: task.main_metric for task in prepared.tasks}
    return compare_spaces(
        candidate=candidate.model, baseline=baseline.model, vectors=sampled, mixed_scores=mixed, metrics=metrics
    ), ""


def _sampled(
    prepared: Prepared, both: tuple[PlannedModel, PlannedModel], vectors: VectorStore | None, progress: Progress
) -> SampledSpaces | None:
    if any(model.meta.dimension is None for model in both):
        return None  # a lexical model has no vectors to compare
    return sample_vectors(
        *both,
        prepared.tasks,
        seed=prepared.seed,
        vectors=vectors,
        device=prepared.device,
        on_warning=progress.warning,
    )


def _mixed_scores(
    prepared: Prepared,
    both: tuple[PlannedModel, PlannedModel],
    candidate: Scored,
    baseline: Scored,
    vectors: VectorStore | None,
    progress: Progress,
) -> dict[str, SpaceFigures]:
    """Score new queries on old vectors on every ranking task: baseline, mixed, re-embedded."""
    tasks = [task for task in prepared.tasks if task.type in RANKING_TYPES]
    if not tasks or candidate.model.dimension is None or candidate.model.dimension != baseline.model.dimension:
        return {}
    model = mixed_planned(*both, vectors=vectors, device=prepared.device, on_warning=progress.warning)
    # Without the store: the two models' own encoders keep their vectors there, and the pair's would be copies.
    runner = Runner(None, CellCache(prepared.settings.cache_dir), Silent(), prepared.device)
    try:
        mixed = {cell.task: cell for cell in runner.run([model], tasks)}
    finally:
        runner.close()
    return {
        task.name: (_score(baseline.cell(task.name)), _score(mixed[task.name]), _score(candidate.cell(task.name)))
        for task in tasks
    }


def _score(cell: CellResult | None) -> float:
    return nan if cell is None or cell.main_score is None else cell.main_score
