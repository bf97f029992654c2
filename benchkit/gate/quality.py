"""Quality rules: is the candidate worse than the baseline by less than each rule's margin?

    rules ── a target for each task, slice or mean ──> gate.quality_evidence ── Evidence of each
    Evidence ── noninferiority ── Holm ──> RuleResult of each target

A cell that is missing, failed or has no finite score is an ERROR, whether the candidate's or the baseline's. A
candidate with the baseline's content passes without a bootstrap as long as its scores agree. What can't be tested is
INCONCLUSIVE.

Rules on tasks and slices are one family for Holm's correction, passes and failures each; "mean" stands alone. Where
the globs of two rules match one task, the first rule of the policy holds for it: the more specific one goes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchkit.gate import quality_words as words
from benchkit.gate.quality_evidence import Bench, Evidence, is_alike
from benchkit.gate.quality_targets import Pair, Target, pair_cells, targets_of
from benchkit.measure.bootstrap import DrawsScores, draw_scores
from benchkit.measure.decide import ALPHA, holm
from benchkit.measure.noninferiority import Decision, NonInferiority, decide, detectable, items_needed, unnoticed
from benchkit.types.gate import QualityRule, RuleResult, Scored

UNIT = "score"


@dataclass(frozen=True, slots=True)
class QualityJudgement:
    """The judged rules, in the order of the policy, and what this suite can and can't see."""

    results: tuple[RuleResult, ...]
    power: str


def judge_quality(
    candidate: Scored, baseline: Scored, rules: Sequence[QualityRule], *, draw: DrawsScores = draw_scores
) -> QualityJudgement:
    """Judge the quality rules of a policy.

    A rule on "task:GLOB" gives one result for each task that it matches and that no earlier rule matched. A task that
    can't be scored and that no rule asks for is an error of its own: it is never a pass.

    Args:
        draw: Draws the scores of a cell, or knows the draws already.

    Raises:
        UsageError: a rule that matches no task or no item, can't apply, or has no margin.
        NotComparable: the two were not scored on the same items, data or metric.
    """
    if not rules:
        return QualityJudgement((), "")
    pairs = pair_cells(candidate, baseline)
    targets = targets_of(candidate, baseline, rules, pairs)
    # Holm's correction multiplies the smallest p-value there is by the number of rules; it has to stay below the level.
    n_resamples = max(candidate.n_resamples, math.ceil(2 * len(targets) / ALPHA))
    bench = Bench(candidate, baseline, pairs, partial(draw, n_resamples=n_resamples, seed=candidate.seed))
    evidence = [bench.evidence(target) for target in targets]
    judged = _judge(evidence)
    return QualityJudgement(
        (*(result for result, _ in judged), *_unasked(pairs, targets)),
        words.power_sentence([seen for _, seen in judged if seen is not None]),
    )


def _judge(evidence: Sequence[Evidence]) -> list[tuple[RuleResult, words.Seen | None]]:
    family = [one.found if one.found and not one.target.is_mean else None for one in evidence]
    passing = holm([None if found is None else found.p_noninferior for found in family])
    failing = holm([None if found is None else found.p_worse for found in family])
    n_rules = sum(found is not None for found in family)
    n_open = sum(p is not None and p >= ALPHA for p in passing)
    judged: list[tuple[RuleResult, words.Seen | None]] = []
    for one, p_pass, p_fail in zip(evidence, passing, failing, strict=True):
        if one.found is None:
            judged.append((_untested(one), None))
        elif p_pass is None or p_fail is None:  # the mean, which stands alone
            judged.append(_tested(one, one.found, one.found.p_noninferior, one.found.p_worse, n_rules=1, n_open=1))
        else:
            judged.append(_tested(one, one.found, p_pass, p_fail, n_rules=n_rules, n_open=max(1, n_open)))
    return judged


def _untested(known: Evidence) -> RuleResult:
    target, change = known.target, known.same_change
    if known.problem:
        sentence = words.not_judged(target.name, None, known.problem)
        return replace(_result(known, sentence), verdict="error")
    if change is not None:
        sentence = words.same_model(target.name, known.scores, change, target.rule.margin)
        return replace(
            _result(known, sentence), verdict="pass", change=change, low=change, high=change, bound=change, p_pass=0.0
        )
    new, old = known.scores or (None, None)
    moved = None if new is None or old is None else new - old
    return replace(_result(known, words.not_judged(target.name, known.scores, known.reason)), change=moved)


def _tested(
    known: Evidence, found: NonInferiority, p_pass: float, p_fail: float, *, n_rules: int, n_open: int
) -> tuple[RuleResult, words.Seen]:
    target, n_items = known.target, known.n_items or 0
    assert known.scores is not None
    verdict = decide(found, p_pass=p_pass, p_fail=p_fail)
    needed = items_needed(n_items, found.standard_error, found.margin, open_rules=n_open)
    sentence = words.tested(
        target.name, known.scores, found, verdict, n_rules=n_rules, n_items=n_items, items_needed=needed
    )
    result = replace(
        _result(known, sentence),
        verdict=verdict,
        change=found.delta,
        low=found.interval.low,
        high=found.interval.high,
        bound=found.lower,
        p_pass=p_pass,
        p_fail=p_fail,
        detectable=detectable(found.standard_error, found.margin, family=n_rules),
        items_needed=needed,
    )
    return result, _seen(known, found, verdict, n_rules=n_rules, n_open=n_open)


def _seen(known: Evidence, found: NonInferiority, verdict: Decision, *, n_rules: int, n_open: int) -> words.Seen:
    """Return what a rule can see; where both score the same, from the baseline's own spread.

    The variance of a difference of two scores with standard error s and correlation r is 2 s² (1 - r): s² for r = 0.5.
    Where all items score alike there is no spread to go by, and nothing is known.
    """
    is_assumed = is_alike(found)
    spread = known.own_spread if is_assumed else found.standard_error
    n_items = known.n_items or 0
    return words.Seen(
        name=known.target.on,
        is_mean=known.target.is_mean,
        detectable=detectable(spread, found.margin, family=n_rules),
        is_assumed=is_assumed and spread > 0,
        n_items=n_items,
        items_needed=items_needed(n_items, spread, found.margin, open_rules=n_open),
        margin=found.margin,
        unnoticed=unnoticed(n_items, found.margin) if verdict == "pass" and known.lost_none else 0.0,
    )


def _result(known: Evidence, sentence: str) -> RuleResult:
    """Return the result of a rule without what a test adds; INCONCLUSIVE until something is known."""
    target = known.target
    new, old = known.scores if known.scores and not known.problem else (None, None)
    notes = f" ({'; '.join(known.notes)})" if known.notes else ""
    return RuleResult(
        id=target.id,
        group="quality",
        on=target.on,
        verdict="inconclusive",
        severity=target.rule.severity,
        sentence=sentence + notes,
        unit=UNIT,
        candidate=new,
        baseline=old,
        threshold=-target.rule.margin,
        n=known.n_items,
    )


def _unasked(pairs: Mapping[str, Pair], targets: Sequence[Target]) -> list[RuleResult]:
    """Return an error for each task without a score that no rule asks for."""
    asked = {task for target in targets for task in target.tasks}
    return [
        RuleResult(
            id=f"quality/task:{task}",
            group="quality",
            on=task,
            verdict="error",
            severity="block",
            sentence=f"{task}: {pair.problem} (no rule asks for it, but a task without a score is no pass)",
            unit=UNIT,
        )
        for task, pair in pairs.items()
        if pair.problem and task not in asked
    ]
