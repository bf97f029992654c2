"""A gate on stored scores: no model is loaded, nothing is measured.

--result, --baseline ── read ── comparable? ── rules ──> GateRun
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from benchkit.api.gate_explain import explain
from benchkit.api.gate_request import (
    Findings,
    GateRequest,
    GateRun,
    check_rules,
    find_baseline,
    judge,
    judge_scores,
    policy_of,
)
from benchkit.api.request import settings_of, suite_of
from benchkit.api.scored import is_champion, read_result
from benchkit.errors import UsageError
from benchkit.gate.comparable import check_comparable
from benchkit.gate.cost import judge_cost
from benchkit.gate.cost_ratio import stored_session
from benchkit.report.cost_view import session_words
from benchkit.runner.draw_cache import DrawCache
from benchkit.settings import Settings
from benchkit.store.uri import DATABASE_NAME
from benchkit.suite.load import load_suite
from benchkit.suite.policy import load_policy
from benchkit.suite.suite import Suite
from benchkit.types.gate import Policy, RuleResult, Scored


def run_stored(request: GateRequest) -> GateRun:
    """Hold stored scores against stored scores."""
    started = time.perf_counter()
    settings = settings_of(request.comparison(()))
    if request.candidate is not None and not isinstance(request.candidate, str):
        raise UsageError("with --result, the candidate is the label of a model in that file")
    assert request.result is not None
    policy = load_policy(request.policy) if request.policy is not None else None
    candidate = read_result(request.result, model=request.candidate)
    suite, where = _suite_of(request, settings, candidate)
    baseline = find_baseline(request, settings, candidate.suite.name)
    if baseline is None:
        raise UsageError(
            f"--baseline {request.baseline}: with --result, no model is loaded; name a baseline file, a result or "
            "`champion`"
        )
    notes = check_comparable(candidate, baseline)
    policy = policy or policy_of(request, suite)
    check_rules(policy, candidate, baseline)
    quality = judge_scores(candidate, baseline, policy, settings)
    failed = [rule for rule in quality[0] if rule.verdict == "fail"]
    explanations = explain(candidate, baseline, failed, draw=DrawCache(settings.cache_dir))
    costs = _stored_costs(candidate, baseline, policy, request)
    report = judge(
        candidate,
        baseline,
        policy,
        request=request,
        started=started,
        device="cpu",
        findings=Findings(cost=costs, explanations=explanations),
        notes=(*where, *notes, *_when_measured(candidate, costs)),
        quality=quality,
    )
    return GateRun(report, candidate, settings, _tracking_uri(request, settings))


def _suite_of(request: GateRequest, settings: Settings, candidate: Scored) -> tuple[Suite | None, tuple[str, ...]]:
    """Return the suite that the scores are of, for its policy, and what must be said where it isn't here.

    Raises:
        UsageError: the suite that was asked for is another one, or can't be read.
    """
    name, path = candidate.suite.name, candidate.suite.path
    if request.suite is not None:
        suite = suite_of(request.comparison(()), settings)
        if suite.name != name:
            raise UsageError(f"--suite {request.suite}: the scores of {request.result} are of suite {name!r}")
        return suite, ()
    if settings.suite is not None and (project := suite_of(request.comparison(()), settings)).name == name:
        return project, ()
    if path is not None and (request.start / path).is_file():
        suite = load_suite(request.start / path)
        if suite.name == name:
            return suite, ()
    if request.policy is not None:
        return None, ()
    return None, (
        f"suite {name} isn't here, so the default policy holds; name it with --suite, or rules with --policy",
    )


def _tracking_uri(request: GateRequest, settings: Settings) -> str | None:
    """Return where the gate is recorded: in a store that somebody named, or that the champion came from.

    To write into the store that a project has without a word takes longer than the whole gate.
    """
    own = f"sqlite:///{(settings.mlruns_dir / DATABASE_NAME).as_posix()}"
    is_named = request.tracking_uri is not None or settings.tracking_uri != own or is_champion(request.baseline)
    return settings.tracking_uri if request.track and is_named else None


def _stored_costs(candidate: Scored, baseline: Scored, policy: Policy, request: GateRequest) -> tuple[RuleResult, ...]:
    """Judge costs where one session measured both models, which is what two results of one comparison keep."""
    name = candidate.model.name
    if request.cost is False:
        return judge_cost([], name, "", policy.cost, why_none="costs are left out (--no-cost)", must_judge=False)
    found = stored_session(candidate, baseline)
    if found is None:
        why_none = "the two were not measured beside each other in one session; gate the model itself to have that done"
        return judge_cost([], name, "", policy.cost, why_none=why_none, must_judge=not policy.is_default)
    session, label = found
    return judge_cost([session], name, label, policy.cost)


def _when_measured(candidate: Scored, costs: Sequence[RuleResult]) -> tuple[str, ...]:
    """Say which session the costs are of: its machine need not be this one."""
    if candidate.cost is None or all(rule.candidate is None for rule in costs):
        return ()
    where = session_words(replace(candidate.cost, from_cache=False, control=())).rstrip(".")
    return (f"{where}: measured on {candidate.cost.measured_at[:10]}, and nothing was measured for this gate",)
