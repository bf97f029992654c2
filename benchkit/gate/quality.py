"""Quality rules: is the candidate worse than the baseline by less than each rule's margin?

    rules ── a target for each task, slice or mean ─┐
    cells of candidate and baseline ── paired ──────┼─ Evidence ── noninferiority ── Holm ──> RuleResult of each target
    bootstrap draws (the same resamples) ───────────┘

A cell that is missing, failed or has no finite score is an ERROR, whether the candidate's or the baseline's. A
candidate with the baseline's content passes without a bootstrap as long as its scores agree. What can't be tested is
INCONCLUSIVE.

Rules on tasks and slices are one family for Holm's correction, passes and failures each; "mean" stands alone. Where
the globs of two rules match one task, the first rule of the policy holds for it: the more specific one goes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean

import numpy as np

from benchkit.gate import quality_words as words
from benchkit.gate.quality_targets import Pair, Target, count_of, pair_cells, targets_of
from benchkit.gate.slices import TaskSlice, ends_of_change, of_slice, stream_of, tags_of
from benchkit.measure.bootstrap import ESTIMATE_TOLERANCE, Draws, DrawsScores, draw_scores, mean_draws
from benchkit.measure.cumulants import NORMAL, Cumulants, difference_cumulants, of_mean
from benchkit.measure.decide import ALPHA, holm
from benchkit.measure.item_loss import lost_most
from benchkit.measure.item_values import lost_none
from benchkit.measure.noninferiority import (
    Decision,
    NonInferiority,
    decide,
    detectable,
    items_needed,
    noninferiority,
    unnoticed,
)
from benchkit.measure.paired import ROUNDING
from benchkit.measure.weighted import scorer
from benchkit.types.gate import LostItem, QualityRule, RuleResult, Scored, SliceLoss
from benchkit.types.result import CellResult, ItemScores

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
    bench = _Bench(candidate, baseline, pairs, partial(draw, n_resamples=n_resamples, seed=candidate.seed))
    evidence = [bench.evidence(target) for target in targets]
    judged = _judge(evidence)
    return QualityJudgement(
        (*(result for result, _ in judged), *_unasked(pairs, targets)),
        words.power_sentence([seen for _, seen in judged if seen is not None]),
    )


# ------------------------------------------------------------ evidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a target before any verdict.

    Attributes:
        scores: Of candidate and baseline.
        problem: Why it is an ERROR.
        reason: Why it can't be tested.
        same_change: Of two models with one content, where their scores agree: the difference, 0 within rounding.
        found: The test.
        own_spread: Standard error of the baseline's own score; 0 where all its items score alike.
        n_items: That were compared.
        lost_none: The candidate did worse on none of them.
        notes: What was left out, and what a reader should know besides.
    """

    target: Target
    scores: tuple[float, float] | None = None
    problem: str = ""
    reason: str = ""
    same_change: float | None = None
    found: NonInferiority | None = None
    own_spread: float = 0.0
    n_items: int | None = None
    lost_none: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Draws of both models on a task or on a part of it; or the reason why there are none."""

    candidate: Draws | None = None
    baseline: Draws | None = None
    cumulants: Cumulants = NORMAL
    lost_none: bool = False
    reason: str = ""
    problem: str = ""


@dataclass(slots=True)
class _Bench:
    """Both models on one bench: their cells, and the draws that were made of them so far."""

    candidate: Scored
    baseline: Scored
    pairs: Mapping[str, Pair]
    draw: Callable[..., Draws]
    _drawn: dict[str, _Drawn] = field(default_factory=dict)

    def evidence(self, target: Target) -> Evidence:
        if problems := _listed(target, {task: self.pairs[task].problem for task in target.tasks}):
            return Evidence(target, problem=problems)
        return self._slice_evidence(target) if target.slice else self._task_evidence(target)

    def _task_evidence(self, target: Target) -> Evidence:
        pairs = [self.pairs[task] for task in target.tasks]
        new, old = zip(*(pair.scores for pair in pairs), strict=True)
        n_items = sum(entry.n_items for pair in pairs for entry in pair.cells[0].items)
        known = Evidence(target, (fmean(new), fmean(old)), n_items=n_items or None)
        if (same := self._same(target, known)) is not None:
            return same
        return self._tested(known, {pair.task: self._of_task(pair) for pair in pairs})

    def _slice_evidence(self, target: Target) -> Evidence:
        if target.untold:
            known = Evidence(target)
            return self._same(target, known) or replace(known, reason=words.untold(target.untold))
        cuts = [self._cut(target, self.pairs[task]) for task in target.tasks if self.pairs[task].has_items]
        counted = [cut for cut in cuts if cut.scores is not None]
        notes = tuple(reason for cut in cuts for reason in cut.left_out)
        known = Evidence(replace(target, name=_slice_name(target.on, cuts)), notes=notes)
        if lacks := [place for cut in cuts for place in cut.lacks]:
            return replace(known, problem=f"the candidate's score is not defined on the slice of {', '.join(lacks)}")
        if counted:
            new, old = zip(*(cut.scores for cut in counted if cut.scores), strict=True)
            known = replace(known, scores=(fmean(new), fmean(old)), n_items=sum(cut.n_items for cut in counted))
        if (same := self._same(known.target, known)) is not None:
            return same
        if not counted:
            return replace(known, reason="; ".join(notes) or "there are no scores of its items", notes=())
        return self._tested(known, {cut.task: self._of_cut(target, cut) for cut in counted})

    def _cut(self, target: Target, pair: Pair) -> TaskSlice:
        assert target.slice is not None
        return of_slice(*pair.cells, tags_of(self.candidate, self.baseline, task=pair.task), *target.slice)

    def _same(self, target: Target, known: Evidence) -> Evidence | None:
        """Return the evidence of two models with one content; None where the scores have to be looked at.

        The same content gives the same vectors, up to what libraries, engines and machines do to the last digits. A
        difference within the margin is taken for that; one beyond it says that the libraries broke something.
        """
        pairs = [self.pairs[task] for task in target.tasks]
        if not same_content(self.candidate, self.baseline) or any(not _same_data(pair) for pair in pairs):
            return self._equal_without_items(pairs, known)
        ends = [known.scores] if known.scores else [pair.scores for pair in pairs]
        change = min(new - old for new, old in ends)
        if max(abs(new - old) for new, old in ends) <= ESTIMATE_TOLERANCE:
            return replace(known, same_change=0.0)
        return replace(known, same_change=change) if known.scores and change >= -target.rule.margin else None

    def _equal_without_items(self, pairs: Sequence[Pair], known: Evidence) -> Evidence | None:
        """Return the evidence of tasks without scores of items, where one fp32 model was stored in two ways alike."""
        is_equal = self.candidate.model.fingerprint == self.baseline.model.fingerprint and all(
            not pair.has_items and pair.scores[0] == pair.scores[1] for pair in pairs
        )
        return replace(known, same_change=0.0) if is_equal else None

    def _of_task(self, pair: Pair) -> _Drawn:
        if pair.task not in self._drawn:
            new, old = pair.cells
            self._drawn[pair.task] = (
                self._draw_both((new.items, old.items), pair.scores, pair.task)
                if pair.has_items
                else _Drawn(reason="there are no scores of its items, so nothing to tell a loss from chance")
            )
        return self._drawn[pair.task]

    def _of_cut(self, target: Target, cut: TaskSlice) -> _Drawn:
        assert cut.scores is not None
        return self._draw_both((cut.candidate, cut.baseline), cut.scores, stream_of(cut.task, target.on))

    def _draw_both(
        self,
        items: tuple[Sequence[ItemScores], Sequence[ItemScores]],
        scores: tuple[float, float],
        stream: str,
    ) -> _Drawn:
        for whose, entries, score in zip(("candidate", "baseline"), items, scores, strict=True):
            if problem := _wrong_items(entries, score):
                return _Drawn(problem=f"the {whose}'s {problem}")
        try:
            new, old = (
                self.draw(entries, stream=stream, estimate=score) for entries, score in zip(items, scores, strict=True)
            )
        except ValueError as exc:
            return _Drawn(reason=f"no interval ({exc})")
        return _Drawn(new, old, of_mean(list(map(difference_cumulants, *items))), all(map(lost_none, *items)))

    def _tested(self, known: Evidence, drawn: Mapping[str, _Drawn]) -> Evidence:
        if problems := _listed(known.target, {task: one.problem for task, one in drawn.items()}):
            return replace(known, problem=problems)
        if reasons := _listed(known.target, {task: one.reason for task, one in drawn.items()}):
            return replace(known, reason=reasons)
        new = mean_draws([one.candidate for one in drawn.values() if one.candidate is not None])
        old = mean_draws([one.baseline for one in drawn.values() if one.baseline is not None])
        cumulants = of_mean([one.cumulants for one in drawn.values()])
        found = noninferiority(new, old, margin=known.target.rule.margin, cumulants=cumulants)
        said = "the model is the same by content: look for what libraries, engine or machine changed"
        notes = (*known.notes, said) if same_content(self.candidate, self.baseline) else known.notes
        spread = float(old.values.std())
        return replace(
            known,
            found=found,
            own_spread=spread if spread > ROUNDING else 0.0,
            lost_none=_is_alike(found) or all(one.lost_none for one in drawn.values()),
            notes=notes,
        )


def _is_alike(found: NonInferiority) -> bool:
    """Say whether both models score the same on every resample."""
    return found.standard_error == 0 and found.delta == 0


def _listed(target: Target, said: Mapping[str, str]) -> str:
    """Put what is said of tasks together, "" for nothing; the task of a rule on it alone is named by the rule."""
    if target.name in said and not target.slice:
        return said[target.name]
    return "; ".join(f"{task}: {text}" for task, text in said.items() if text)


def same_content(candidate: Scored, baseline: Scored) -> bool:
    """Say whether two models give one vector for one text, cut and stored alike, whatever engine computes it."""
    one, other = (
        (meta.fingerprint, meta.dimension, meta.precision, meta.similarity)
        for meta in (candidate.model, baseline.model)
    )
    return one == other


def _same_data(pair: Pair) -> bool:
    new, old = pair.cells
    return new.data_digest is not None and new.data_digest == old.data_digest


def _slice_name(name: str, cuts: Sequence[TaskSlice]) -> str:
    n_items, n_tasks = sum(cut.found for cut in cuts), sum(cut.found > 0 for cut in cuts)
    return f"{name} ({count_of(n_items, 'item')} of {count_of(n_tasks, 'task')})"


def _wrong_items(entries: Sequence[ItemScores], score: float) -> str:
    """Say what is wrong with scores of items, which then are a damaged record and not too few; "" for nothing."""
    try:
        given = fmean(float(scorer(entry)(np.ones((1, entry.n_items), np.uint8))[0]) for entry in entries)
    except ValueError as exc:
        return f"scores of items can't be used ({exc})"
    if abs(given - score) <= ESTIMATE_TOLERANCE:
        return ""
    return f"items give a score of {given:.5f}, and {score:.5f} was recorded"


# ------------------------------------------------------------ verdicts


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
    is_assumed = _is_alike(found)
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


# ------------------------------------------------------------ for the explanation of a failed task


def task_change(
    candidate: Scored, baseline: Scored, task: str, *, draw: DrawsScores = draw_scores, stream: str | None = None
) -> SliceLoss:
    """Return how a task changed as a whole, as its rule has it.

    Args:
        stream: Key of the random numbers, where the items are those of a slice; None for the task's own.

    Raises:
        ValueError: a model has no score there.
    """
    new, old, scores = _both(candidate, baseline, task)
    drawn = partial(draw, stream=stream or task, n_resamples=candidate.n_resamples, seed=candidate.seed)
    low, high = ends_of_change(new.items, old.items, scores, drawn)
    return SliceLoss(task, sum(entry.n_items for entry in new.items), scores[0] - scores[1], low, high)


def lost_items(candidate: Scored, baseline: Scored, task: str) -> tuple[LostItem, ...]:
    """Return the ten items of a task that lost most, with their own scores where its type has such.

    Raises:
        ValueError: a model has no score there, or the two were not scored on the same items.
    """
    new, old, _ = _both(candidate, baseline, task)
    return tuple(
        LostItem(
            item=str(new.items[lost.part].items[lost.row]),
            place=f"{new.items[lost.part].split}/{new.items[lost.part].subset}",
            loss=lost.loss,
            before=_own_score(old.items[lost.part], lost.row),
            after=_own_score(new.items[lost.part], lost.row),
        )
        for lost in lost_most(new.items, old.items)
    )


def _both(candidate: Scored, baseline: Scored, task: str) -> tuple[CellResult, CellResult, tuple[float, float]]:
    new, old = candidate.cell(task), baseline.cell(task)
    if new is None or old is None or new.main_score is None or old.main_score is None:
        raise ValueError(f"{task}: both models need a score there")
    return new, old, (new.main_score, old.main_score)


def _own_score(entry: ItemScores, row: int) -> float | None:
    is_counted = "counted" not in entry.columns or bool(entry.columns["counted"][row])
    return float(entry.columns["value"][row]) if entry.kind == "mean" and is_counted else None
