"""What is known of each target of the quality rules before any verdict: scores, a test, or why there is none.

    cells of candidate and baseline ── paired ──┐
    targets of the rules ───────────────────────┼─ Bench.evidence ──> Evidence ──> gate.quality
    bootstrap draws (the same resamples) ───────┘

A cell that is missing, failed or has no finite score is a problem, whether the candidate's or the baseline's. A
candidate with the baseline's content needs no bootstrap as long as its scores agree. What can't be tested says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from benchkit.gate import quality_words as words
from benchkit.gate.quality_targets import Pair, Target, count_of
from benchkit.gate.slices import TaskSlice, of_slice, stream_of, tags_of
from benchkit.measure.bootstrap import ESTIMATE_TOLERANCE, Draws, mean_draws
from benchkit.measure.cumulants import NORMAL, Cumulants, difference_cumulants, of_mean
from benchkit.measure.item_values import lost_none
from benchkit.measure.noninferiority import NonInferiority, noninferiority
from benchkit.measure.paired import ROUNDING
from benchkit.measure.weighted import scorer
from benchkit.types.gate import Scored
from benchkit.types.result import ItemScores


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
class Bench:
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
            lost_none=is_alike(found) or all(one.lost_none for one in drawn.values()),
            notes=notes,
        )


def is_alike(found: NonInferiority) -> bool:
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
