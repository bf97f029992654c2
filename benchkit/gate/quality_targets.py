"""What the quality rules of a policy ask for: the tasks under both models, and one target for each thing to judge.

    cells of candidate and baseline ── pair_cells ──> Pair of each task ──┐
    QualityRules of the policy ───────────────────────────────────────────┴─ targets_of ──> Targets

A rule that can ask for nothing is refused, with what there is: a gate that silently leaves a rule out lets through what
it was written against.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from benchkit.errors import NotComparable, UsageError, nearest
from benchkit.gate.slices import has_slice, known_slices, split_slice, tags_of, why_left_out
from benchkit.measure.paired import check_paired
from benchkit.types.gate import QualityRule, Scored
from benchkit.types.result import CellResult

MEAN = "mean"
_FORMS = '"mean", "task:GLOB" or "slice:KEY=VALUE"'
_SHOWN = 12  # names in a message
_RENEW = "renew the baseline: benchkit baseline save FILE --model BASELINE"


# ------------------------------------------------------------ cells of both


@dataclass(frozen=True, slots=True)
class Pair:
    """One task under both models; `problem` says why it can't be judged at all."""

    task: str
    candidate: CellResult | None
    baseline: CellResult | None
    problem: str

    @property
    def cells(self) -> tuple[CellResult, CellResult]:
        assert self.candidate is not None
        assert self.baseline is not None
        return self.candidate, self.baseline

    @property
    def scores(self) -> tuple[float, float]:
        new, old = self.cells
        assert new.main_score is not None
        assert old.main_score is not None
        return new.main_score, old.main_score

    @property
    def has_items(self) -> bool:
        return all(cell.items for cell in self.cells)


def pair_cells(candidate: Scored, baseline: Scored) -> dict[str, Pair]:
    """Return the tasks of either model; refuse scores of other data, metrics or items."""
    pairs = {}
    for task in dict.fromkeys(cell.task for cell in (*baseline.cells, *candidate.cells)):
        new, old = candidate.cell(task), baseline.cell(task)
        problem = _problem(new, "candidate") or _problem(old, "baseline")
        pairs[task] = Pair(task, new, old, problem)
        if not problem:
            _check_comparable(pairs[task])
    return pairs


def _problem(cell: CellResult | None, whose: str) -> str:
    if cell is None:
        return f"the {whose} has no result"
    if cell.status != "ok":
        verb = "failed" if cell.status == "failed" else "was skipped"
        return f"the {whose} {verb}: {cell.reason or 'no reason was recorded'}"
    if cell.main_score is None or not math.isfinite(cell.main_score):
        return f"the {whose} has no score that is a number ({cell.main_score})"
    return ""


def _check_comparable(pair: Pair) -> None:
    new, old = pair.cells
    differs = [
        f"{what} {before} against {now}"
        for what, now, before in (
            ("data digest", new.data_digest, old.data_digest),
            ("metric", new.main_metric, old.main_metric),
        )
        if now is not None and before is not None and now != before
    ]
    if differs:
        raise NotComparable(f"{pair.task}: baseline and candidate differ: {', '.join(differs)}; {_RENEW}")
    if pair.has_items:
        try:
            check_paired(new.items, old.items)
        except ValueError as exc:
            raise NotComparable(f"{pair.task}: {exc}; {_RENEW}") from exc


# ------------------------------------------------------------ rules


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a rule asks for: the mean, a task, or a slice over its tasks.

    Attributes:
        untold: Tasks of a slice of whose items nobody knows whether they are part of it, with why, or "".
    """

    id: str
    on: str
    name: str
    rule: QualityRule
    tasks: tuple[str, ...]
    slice: tuple[str, str] | None = None
    untold: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_mean(self) -> bool:
        return self.id == f"quality/{MEAN}"  # a task may be called "mean"


def targets_of(
    candidate: Scored, baseline: Scored, rules: Sequence[QualityRule], pairs: Mapping[str, Pair]
) -> list[Target]:
    _check_rules(rules)
    found: list[Target] = []
    known: set[str] = set()
    for rule in rules:
        kind, _, rest = rule.on.partition(":")
        if rule.on == MEAN:
            new = [Target(f"quality/{MEAN}", MEAN, f"mean over {count_of(len(pairs), 'task')}", rule, tuple(pairs))]
        elif kind == "task" and rest:
            new = [
                Target(f"quality/task:{task}", task, task, rule, (task,))
                for task in _matching(rest, pairs)
                if task not in known
            ]
            known.update(target.on for target in new)
        elif kind == "slice" and rest:
            new = [_slice_target(candidate, baseline, rule, rest, pairs)]
        else:
            raise UsageError(f"unknown quality rule {rule.on!r}{_meant(rule.on)}; write {_FORMS}")
        found += new
    return found


def _meant(on: str) -> str:
    kind, _, rest = on.partition(":")
    near = nearest(kind, (MEAN, "task", "slice"))
    return f" (did you mean {near + ':' + rest if rest else near!r}?)" if near else ""


def _check_rules(rules: Sequence[QualityRule]) -> None:
    for place, rule in enumerate(rules):
        if not (math.isfinite(rule.margin) and rule.margin > 0):
            raise UsageError(f"quality rule on {rule.on!r}: the margin should be above 0, got {rule.margin}")
        if covering := next((one.on for one in rules[:place] if _covers(one.on, rule.on)), None):
            raise UsageError(
                f"quality rule on {rule.on!r} can never hold, since {covering!r} stands before it and matches all that "
                "it matches; put the more specific one first, or keep one of them"
            )


def _covers(first: str, then: str) -> bool:
    """Say whether a rule takes everything that a later one could match."""
    if first == then:
        return True
    is_plain = not any(sign in first for sign in "?[")  # "?" matches the other's star, and not all that the star does
    return first.startswith("task:") and then.startswith("task:") and is_plain and fnmatchcase(then, first)


def _matching(pattern: str, pairs: Mapping[str, Pair]) -> list[str]:
    found = [task for task in pairs if task == pattern or fnmatchcase(task, pattern)]
    if not found:
        near = nearest(pattern.strip("*"), pairs)
        meant = f" (did you mean {near!r}?)" if near else ""
        raise UsageError(f"quality rule on 'task:{pattern}' matches no task{meant}; tasks: {_some(pairs)}")
    return found


def _slice_target(
    candidate: Scored, baseline: Scored, rule: QualityRule, name: str, pairs: Mapping[str, Pair]
) -> Target:
    key, value = split_slice(name)
    tags = {task: tags_of(candidate, baseline, task=task) for task in pairs}
    why = {task: why_left_out(candidate, baseline, task=task, key=key) for task in pairs}
    # What isn't known of a task could be anything, so that it counts as part of the slice.
    untold = {task: why[task] for task, pair in pairs.items() if why[task] or _is_untold(pair, tags[task])}
    tasks = tuple(
        task
        for task, pair in pairs.items()
        if task in untold or has_slice(tags[task], key, value) or (pair.problem and not tags[task])
    )
    if not tasks:
        raise UsageError(f"quality rule on {rule.on!r} matches no item{_known(candidate, baseline, key, value)}")
    return Target(f"quality/slice:{name}", name, name, rule, tasks, (key, value), untold)


def _is_untold(pair: Pair, tags: Mapping[str, object]) -> bool:
    return not pair.problem and pair.has_items and any(f"{p.split}/{p.subset}" not in tags for p in pair.cells[0].items)


def _known(candidate: Scored, baseline: Scored, key: str, value: str) -> str:
    slices = known_slices(candidate, baseline)
    if not slices:
        return "; there are no scores of items, so no slices of them"
    wanted, there = (value, slices[key]) if key in slices else (key, tuple(slices))
    near = nearest(wanted, there)
    what = f"values of {key!r}" if key in slices else "tags"
    return f"{f' (did you mean {near!r}?)' if near else ''}; {what}: {_some(there) or 'none'}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = [f"{len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
    return ", ".join([*listed[:_SHOWN], *more])


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
