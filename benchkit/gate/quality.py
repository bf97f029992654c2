"""The quality rules: is the candidate no worse than the baseline by the margin, on the mean, each task, each slice?

    Scored, Scored ── draws of each task, the same resamples for both ── mean over tasks · tasks · slices
        ── noninferiority against the margin ── Holm over all tasks and slices ──> RuleResult of each
                                             └─ the mean stands by itself

Two models of one content have a difference of exactly 0, without a look at any item. A score that is missing, failed or
not a number is an ERROR, and the mean over it is one too: a mean over fewer tasks would be another number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from benchkit.errors import NotComparable, UsageError, nearest
from benchkit.gate import slices
from benchkit.measure.bootstrap import Draws, DrawsScores, check_paired, draw_scores, mean_draws, paired
from benchkit.measure.decide import holm
from benchkit.measure.item_loss import item_losses
from benchkit.measure.noninferiority import (
    NonInferiority,
    decide,
    detectable,
    items_needed,
    noninferiority,
)
from benchkit.types.gate import LostItem, QualityRule, RuleResult, Scored
from benchkit.types.result import CellResult

LOST_SHOWN = 10
_NAMED = 8  # of the names that a message lists
_TASK, _SLICE = "task:", "slice:"
_MEAN = "mean"


@dataclass(frozen=True, slots=True)
class QualityJudgement:
    """The judged rules, and what this suite can and can't see, in words."""

    results: tuple[RuleResult, ...]
    power: str


@dataclass(frozen=True, slots=True)
class TaskChange:
    """Candidate minus baseline on a task, with its 95 % interval."""

    change: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a rule looks at.

    Attributes:
        id: Of its result.
        problem: Why there is no score; an ERROR.
        open: Why there are no draws; INCONCLUSIVE.
        found: The test against the margin.
        note: What a reader should know of how it was scored.
    """

    rule: QualityRule
    id: str
    on: str
    n: int = 0
    candidate: float | None = None
    baseline: float | None = None
    problem: str = ""
    open: str = ""
    found: NonInferiority | None = None
    alone: Draws | None = None
    note: str = ""


def judge_quality(
    candidate: Scored, baseline: Scored, rules: Sequence[QualityRule], *, draw: DrawsScores = draw_scores
) -> QualityJudgement:
    """Judge every rule; "task:GLOB" gives one result for each task, the first rule that matches a task counts.

    Args:
        draw: Draws the scores of a task, or knows the draws already.

    Raises:
        UsageError: a rule names no task, or no item.
        NotComparable: the two were scored on other items.
    """
    if not rules:
        return QualityJudgement((), "")
    scores = _Scores(candidate, baseline, draw)
    subjects = [subject for rule in rules for subject in scores.subjects(rule)]
    # The first of two rules on one task, so that a narrow one can stand before a wide one.
    subjects = list({subject.id: subject for subject in reversed(subjects)}.values())[::-1]
    if scores.is_identical:
        results = tuple(_identical(subject) for subject in subjects)
        return QualityJudgement(results, "The two models have the same content, so every difference is exactly 0.")
    results = _judged(subjects)
    return QualityJudgement(results, _power(results, subjects))


# ------------------------------------------------------------ scores


@dataclass(slots=True)
class _Scores:
    """The scores of both models, with draws that are made once."""

    candidate: Scored
    baseline: Scored
    draw: DrawsScores
    _pairs: dict[str, tuple[Draws, Draws] | str] = field(default_factory=dict)

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in (*self.baseline.cells, *self.candidate.cells)))

    @property
    def is_identical(self) -> bool:
        """Whether the content is the same, and every task has a score on the same data under both."""
        one, other = self.candidate.model, self.baseline.model
        facts = ("fingerprint", "dimension", "precision", "similarity")
        if any(getattr(one, name) != getattr(other, name) for name in facts):
            return False
        # A score that differs although nothing else does is an engine's or a library's doing: a real difference.
        return all(not self.problem(task) and self._equal(task) for task in self.tasks)

    def _equal(self, task: str) -> bool:
        one, other = self.candidate.cell(task), self.baseline.cell(task)
        assert one is not None
        assert other is not None
        return one.data_digest == other.data_digest and one.main_score == other.main_score

    def subjects(self, rule: QualityRule) -> list[_Subject]:
        if rule.on == _MEAN:
            return [self._mean(rule)]
        if rule.on.startswith(_SLICE):
            return [self._slice(rule, rule.on.removeprefix(_SLICE))]
        glob = rule.on.removeprefix(_TASK)
        matching = [task for task in self.tasks if fnmatchcase(task, glob)]
        if not matching:
            near = nearest(glob, self.tasks)
            hint = f"; did you mean {near!r}?" if near else f"; tasks: {_listed(self.tasks)}"
            raise UsageError(f"the rule on {rule.on!r} matches no task of the suite{hint}")
        return [self._task(rule, task) for task in matching]

    def problem(self, task: str) -> str:
        """Return why a task has no score under one of the models; "" where both have one."""
        for who, scored in (("the candidate", self.candidate), ("the baseline", self.baseline)):
            cell = scored.cell(task)
            if cell is None:
                return f"{who} has no score of it"
            if cell.status != "ok":
                return f"{who} {cell.status}{f': {cell.reason}' if cell.reason else ''}"
            if cell.main_score is None or not math.isfinite(cell.main_score):
                return f"the score of {who} is not a number"
        return ""

    def _task(self, rule: QualityRule, task: str) -> _Subject:
        subject = _Subject(rule, f"quality/{_TASK}{task}", task)
        if problem := self.problem(task):
            return replace(subject, problem=problem)
        one, other = self.candidate.cell(task), self.baseline.cell(task)
        assert one is not None
        assert other is not None
        subject = replace(subject, n=_n_items(one), candidate=one.main_score, baseline=other.main_score)
        return self._tested(subject, self._drawn(task))

    def _mean(self, rule: QualityRule) -> _Subject:
        subject = _Subject(rule, f"quality/{_MEAN}", _MEAN)
        bad = [f"{task}: {problem}" for task in self.tasks if (problem := self.problem(task))]
        if bad:
            return replace(subject, problem=f"no mean over all tasks ({_listed(bad)})")
        cells = [[scored.cell(task) for task in self.tasks] for scored in (self.candidate, self.baseline)]
        means = [
            float(np.mean([cell.main_score for cell in row if cell and cell.main_score is not None])) for row in cells
        ]
        subject = replace(
            subject,
            n=sum(_n_items(cell) for cell in cells[0] if cell),
            candidate=means[0],
            baseline=means[1],
        )
        drawn = {task: self._drawn(task) for task in self.tasks}
        if without := [f"{task}: {why}" for task, why in drawn.items() if isinstance(why, str)]:
            return self._tested(subject, _listed(without))
        pairs = [pair for pair in drawn.values() if not isinstance(pair, str)]
        return self._tested(subject, (mean_draws([a for a, _ in pairs]), mean_draws([b for _, b in pairs])))

    def _slice(self, rule: QualityRule, name: str) -> _Subject:
        subject = _Subject(rule, f"quality/{_SLICE}{name}", name)
        known = slices.available(self.candidate, self.baseline)
        if not known:
            return replace(subject, open="the stored scores hold no metadata of items; save the baseline again")
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near!r}?" if near else f"; slices: {_listed(known)}"
            raise UsageError(f"the rule on 'slice:{name}' matches no item of the suite{hint}")
        inside = set(slices.tasks_of_slice(self.candidate, name)) | set(slices.tasks_of_slice(self.baseline, name))
        if bad := [f"{task}: {problem}" for task in inside if (problem := self.problem(task))]:
            return replace(subject, problem=_listed(sorted(bad)))
        for task in inside:
            self._check_paired(task)
        found = slices.slice_draws(
            self.candidate, self.baseline, name, tasks=[task for task in self.tasks if task in inside], draw=self.draw
        )
        if isinstance(found, str):
            return replace(subject, open=found)
        subject = replace(
            subject,
            n=found.n_items,
            candidate=found.candidate.estimate,
            baseline=found.baseline.estimate,
            note=f"left out: {_listed(found.left_out)}" if found.left_out else "",
        )
        return self._tested(subject, (found.candidate, found.baseline))

    def _tested(self, subject: _Subject, drawn: tuple[Draws, Draws] | str) -> _Subject:
        if isinstance(drawn, str):
            return replace(subject, open=drawn)
        found = noninferiority(*drawn, margin=subject.rule.margin)
        return replace(subject, found=found, alone=drawn[1])

    def _drawn(self, task: str) -> tuple[Draws, Draws] | str:
        """Return the draws of both models on a task that has scores, or why there are none."""
        if task not in self._pairs:
            self._pairs[task] = self._draw(task)
        return self._pairs[task]

    def _draw(self, task: str) -> tuple[Draws, Draws] | str:
        one, other = self.candidate.cell(task), self.baseline.cell(task)
        assert one is not None
        assert other is not None
        if not one.items or not other.items:
            return f"{one.main_metric} has no scores of items"
        self._check_paired(task)
        try:
            return self._draws(one), self._draws(other)
        except ValueError as exc:
            return str(exc)

    def _draws(self, cell: CellResult) -> Draws:
        assert cell.main_score is not None
        return self.draw(
            cell.items,
            stream=cell.task,
            estimate=cell.main_score,
            n_resamples=self.candidate.n_resamples,
            seed=self.candidate.seed,
        )

    def _check_paired(self, task: str) -> None:
        one, other = self.candidate.cell(task), self.baseline.cell(task)
        try:
            check_paired(one.items if one else (), other.items if other else ())
        except ValueError as exc:
            raise NotComparable(
                f"{task}: the candidate and the baseline were scored on other items ({exc}); make the baseline anew "
                "with: benchkit baseline save FILE --model MODEL"
            ) from exc


def _n_items(cell: CellResult) -> int:
    return sum(entry.n_items for entry in cell.items) or cell.n_items or 0


# ------------------------------------------------------------ verdicts


def _identical(subject: _Subject) -> RuleResult:
    return replace(
        _result(subject),
        verdict="pass",
        change=0.0,
        low=0.0,
        high=0.0,
        bound=0.0,
        sentence=f"{_name(subject)}: the same content as the baseline, so the difference is exactly 0",
    )


def _judged(subjects: Sequence[_Subject]) -> tuple[RuleResult, ...]:
    """Correct the p-values of all tasks and slices for their number, and say what each rule concludes."""
    family = [subject for subject in subjects if subject.found is not None and subject.on != _MEAN]
    passing = holm([subject.found.p_noninferior for subject in family if subject.found])
    failing = holm([subject.found.p_worse for subject in family if subject.found])
    corrected = {subject.id: (p_pass, p_fail) for subject, p_pass, p_fail in zip(family, passing, failing, strict=True)}
    results = [_tested_result(subject, corrected) for subject in subjects]
    n_open = sum(result.verdict != "pass" for result in results if result.id in corrected)
    both = zip(results, subjects, strict=True)
    return tuple(_with_power(result, subject, len(family), n_open) for result, subject in both)


def _tested_result(subject: _Subject, corrected: Mapping[str, tuple[float | None, float | None]]) -> RuleResult:
    result, found = _result(subject), subject.found
    if subject.problem:
        return replace(result, verdict="error", sentence=f"{_name(subject)}: {subject.problem}")
    if found is None:
        return replace(result, verdict="inconclusive", sentence=f"{_name(subject)}: no interval ({subject.open})")
    p_pass, p_fail = corrected.get(subject.id, (found.p_noninferior, found.p_worse))
    assert p_pass is not None
    assert p_fail is not None
    return replace(
        result,
        verdict=decide(found, p_pass=p_pass, p_fail=p_fail),
        change=found.delta,
        low=found.interval.low,
        high=found.interval.high,
        bound=found.lower,
        p_pass=p_pass,
        p_fail=p_fail,
    )


def _result(subject: _Subject) -> RuleResult:
    both = subject.candidate is not None and subject.baseline is not None
    return RuleResult(
        id=subject.id,
        group="quality",
        on=subject.on,
        verdict="error",
        severity=subject.rule.severity,
        sentence="",
        unit="score",
        candidate=subject.candidate,
        baseline=subject.baseline,
        change=(subject.candidate or 0.0) - (subject.baseline or 0.0) if both else None,
        threshold=-subject.rule.margin,
        n=subject.n or None,
    )


def _with_power(result: RuleResult, subject: _Subject, family: int, n_open: int) -> RuleResult:
    found = subject.found
    if found is None or result.verdict == "error":
        return result
    alone = result.id == f"quality/{_MEAN}"
    result = replace(
        result,
        detectable=detectable(found.standard_error, found.margin, family=1 if alone else family),
        items_needed=items_needed(
            subject.n, found.standard_error, found.margin, open_rules=1 if alone else max(1, n_open)
        ),
    )
    return replace(result, sentence=_sentence(result, subject, found))


def _sentence(result: RuleResult, subject: _Subject, found: NonInferiority) -> str:
    scores = f"{_name(subject)}: {_points(subject.candidate)} against {_points(subject.baseline)} points"
    interval = f"{_signed(found.delta)} (95 % {_signed(found.interval.low)} to {_signed(found.interval.high)})"
    allowed = f"{100 * found.margin:g}"
    note = f"; {subject.note}" if subject.note else ""
    if result.verdict == "pass":
        return f"{scores}: {interval}, not worse by {allowed}{note}"
    if result.verdict == "fail":
        return f"{scores}: {interval}, worse by more than {allowed}{note}"
    if found.delta < -found.margin:
        said = f"worse by more than {allowed}, and chance alone could do that"
    elif found.lower <= -found.margin:
        said = f"may be as bad as {_signed(found.lower)}; {allowed} is allowed"
    else:
        said = f"within {allowed} by itself, but not once all rules are taken together"
    more = ""
    if result.items_needed is not None and found.delta >= -found.margin and result.items_needed > subject.n:
        more = f"; about {result.items_needed} items would tell (now {subject.n})"
    return f"{scores}: {interval}, {said}{more}{note}"


def _name(subject: _Subject) -> str:
    return "mean over all tasks" if subject.on == _MEAN else subject.on


def _points(score: float | None) -> str:
    return "no" if score is None else f"{100 * score:.2f}"


def _signed(change: float) -> str:
    return f"{100 * change:+.2f}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _power(results: Sequence[RuleResult], subjects: Sequence[_Subject]) -> str:
    """Return what the suite can see, of the mean where there is a rule on it, else of the rule that sees least."""
    known = [(result, subject) for result, subject in zip(results, subjects, strict=True) if subject.found]
    if not known:
        return ""
    said = []
    for result, subject in known:
        if result.on == _MEAN:
            said.append(_power_of(result, subject))
    others = [pair for pair in known if pair[0].on != _MEAN]
    if others:
        said.append(_power_of(*max(others, key=lambda pair: _caught(*pair))))
    return " ".join(said)


def _caught(result: RuleResult, subject: _Subject) -> float:
    return result.detectable if result.detectable is not None else _assumed(subject)


def _assumed(subject: _Subject) -> float:
    """Return the smallest regression that would be caught if the models differed as two with correlation 0.5 do.

    The standard deviation of a difference is then that of one model's score.
    """
    assert subject.alone is not None
    return detectable(float(subject.alone.values.std()), subject.rule.margin) or subject.rule.margin


def _power_of(result: RuleResult, subject: _Subject) -> str:
    caught = 100 * _caught(result, subject)
    where = "on the mean" if result.on == _MEAN else f"on {result.on}, the rule that sees least,"
    sentence = f"A regression of {caught:.2f} points {where} would be caught with 80 % probability"
    if result.detectable is None:
        return f"{sentence}, were the two models as different as models with a correlation of 0.5 are."
    return f"{sentence}."


# ------------------------------------------------------------ why


def task_change(candidate: Scored, baseline: Scored, task: str) -> TaskChange:
    """Return how a task changed; without an interval where its items give none."""
    scores = _Scores(candidate, baseline, draw_scores)
    one, other = candidate.cell(task), baseline.cell(task)
    if one is None or other is None or one.main_score is None or other.main_score is None:
        raise ValueError(f"{task} has no score under both models")
    drawn = scores._drawn(task)
    if isinstance(drawn, str):
        return TaskChange(one.main_score - other.main_score, None, None)
    difference = paired(*drawn)
    return TaskChange(difference.delta, difference.interval.low, difference.interval.high)


def lost_items(candidate: Scored, baseline: Scored, task: str) -> tuple[LostItem, ...]:
    """Return the ten items that add most to the regression of a task, the worst first."""
    one, other = candidate.cell(task), baseline.cell(task)
    if one is None or other is None or not one.items:
        return ()
    theirs = {(entry.split, entry.subset): entry for entry in other.items}
    found: list[LostItem] = []
    for entry in one.items:
        before = theirs[entry.split, entry.subset]
        losses = item_losses(entry, before) / len(one.items)
        single = entry.kind == "mean"
        for row in np.argsort(-losses, kind="stable")[:LOST_SHOWN].tolist():
            if losses[row] > 0:
                found.append(
                    LostItem(
                        item=str(entry.items[row]),
                        place=f"{entry.split}/{entry.subset}",
                        loss=float(losses[row]),
                        before=float(before.columns["value"][row]) if single else None,
                        after=float(entry.columns["value"][row]) if single else None,
                    )
                )
    return tuple(sorted(found, key=lambda item: -item.loss)[:LOST_SHOWN])
