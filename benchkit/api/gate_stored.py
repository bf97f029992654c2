"""A gate on stored scores: no model is loaded, nothing is measured.

--result, --baseline ── read ── comparable? ── rules ──> GateRun
"""

from __future__ import annotations

import time

from benchkit.api.gate_request import Findings, GateRequest, GateRun, find_baseline, judge, policy_of
from benchkit.api.request import settings_of, suite_of
from benchkit.api.scored import read_scores
from benchkit.errors import SuiteError, UsageError
from benchkit.gate.comparable import check_comparable
from benchkit.settings import Settings
from benchkit.suite.policy import load_policy
from benchkit.suite.suite import Suite
from benchkit.types.gate import Policy, RuleResult, Scored


def run_stored(request: GateRequest) -> GateRun:
    """Hold stored scores against stored scores."""
    started = time.perf_counter()
    settings = settings_of(request.comparison(()))
    if request.candidate is not None and not isinstance(request.candidate, str):
        raise UsageError("with --result, the candidate is the label of a model in that file")
    policy, suite = _policy_and_suite(request, settings)
    candidate = read_scores(str(request.result), model=request.candidate)
    baseline = find_baseline(request, settings, candidate.suite.name)
    if baseline is None:
        raise UsageError(
            f"--baseline {request.baseline}: with --result, no model is loaded; name a baseline file, a result or "
            "`champion`"
        )
    notes = check_comparable(candidate, baseline)
    if suite is not None and suite.name != candidate.suite.name:
        raise UsageError(f"--suite {suite.name}: the scores of {request.result} are of suite {candidate.suite.name}")
    report = judge(
        candidate,
        baseline,
        policy,
        request=request,
        settings=settings,
        started=started,
        device="cpu",
        findings=Findings(cost=_stored_costs(candidate, baseline, policy, request)),
        notes=notes,
    )
    return GateRun(report, candidate, settings, settings.tracking_uri if request.track else None)


def _policy_and_suite(request: GateRequest, settings: Settings) -> tuple[Policy, Suite | None]:
    """Return the rules; of stored scores the suite file is needed for its policy only, and may be elsewhere."""
    if request.policy is not None and request.suite is None:
        return load_policy(request.policy), None
    try:
        suite = suite_of(request.comparison(()), settings)
    except SuiteError:
        if request.suite is not None:
            raise
        return policy_of(request, None), None
    # Without --suite the project's suite may be another one than that of the scores; then it has no say.
    return policy_of(request, suite), suite if request.suite is not None else None


def _stored_costs(candidate: Scored, baseline: Scored, policy: Policy, request: GateRequest) -> tuple[RuleResult, ...]:
    from benchkit.gate.cost import CostSession, judge_cost

    why_none = "the two were not measured beside each other in one session; gate the model itself to have that done"
    labels = (candidate.model.name, baseline.model.name)
    sessions = []
    for scored in (candidate, baseline):
        cost, samples = scored.cost, scored.samples
        if cost is not None and samples is not None and set(labels) <= set(samples.order):
            sessions = [CostSession(cost, samples)]
            break
    if request.cost is False:
        sessions, why_none = [], "costs are left out (--no-cost)"
    must_judge = not policy.is_default and request.cost is not False
    return judge_cost(sessions, *labels, policy.cost, why_none=why_none, must_judge=must_judge)
