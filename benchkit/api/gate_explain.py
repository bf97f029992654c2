"""Why a quality rule failed: its tasks, their slices, and the items that lost most, with both models' answers.

failed rules ── worst tasks, those of a slice cut to its items ── item_losses ── the ten that lost most
                                                           answer_items (vectors are in the cache) ──┴──> Explanation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from benchkit.api.gate_request import Pair
from benchkit.api.request import Prepared
from benchkit.errors import BenchkitError
from benchkit.gate.slices import cut_to_slice, slice_losses, stream_of
from benchkit.gate.task_loss import lost_items, task_change
from benchkit.measure.bootstrap import DrawsScores
from benchkit.runner.answers import answer_items
from benchkit.runner.run import PlannedModel, open_encoder
from benchkit.tasks.answers import Wanted
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Explanation, LostItem, RuleResult, Scored

if TYPE_CHECKING:
    from benchkit.embeddings.encoder import CachedEncoder
    from benchkit.embeddings.store import VectorStore
    from benchkit.tasks.opened import OpenedTask
    from benchkit.types.model import CorpusFitted

_TASKS_OF_A_RULE = 3  # of the mean and of a slice, those that lost most
_MOST_TASKS = 6  # a broken model fails everywhere, and nobody reads the tenth list of nonsense


Told: TypeAlias = Mapping[tuple[str, str], ItemAnswer]


class Answers(Protocol):
    """Gives what baseline and candidate answered to items of a task, as far as they can be asked."""

    def __call__(self, task: str, wanted: Wanted) -> tuple[Told, Told]: ...


def explain(
    candidate: Scored,
    baseline: Scored,
    failed: Sequence[RuleResult],
    *,
    draw: DrawsScores,
    answers: Answers | None = None,
) -> tuple[Explanation, ...]:
    """Explain failed quality rules; each task once, under the first rule that it made fail.

    Args:
        draw: Draws the scores of a task, or knows the draws already.
        answers: None on stored scores: the losses then stand without texts.
    """
    found: list[Explanation] = []
    # A task's own rule says more than the mean, which fails through its tasks.
    for rule in sorted(failed, key=lambda rule: not rule.id.startswith("quality/task:")):
        known = {explanation.task for explanation in found}
        for lost in _tasks(rule, candidate, baseline):
            if lost.task not in known and len(found) < _MOST_TASKS:
                found.append(_explanation(lost, rule, draw, answers))
    return tuple(found)


def answers_of(prepared: Prepared, pair: Pair, vectors: VectorStore | None) -> Answers:
    """Return what asks both models; each is loaded once for all tasks."""
    speakers = _speakers(prepared, pair, vectors)

    def answers(task: str, wanted: Wanted) -> tuple[Told, Told]:
        opened = next(one for one in prepared.tasks if one.name == task)
        before, after = (_answers(prepared, speaker, opened, wanted, vectors) for speaker in speakers)
        return before, after

    return answers


@dataclass(frozen=True, slots=True)
class _Speaker:
    """A model that is asked for its answers, loaded once for all tasks."""

    planned: PlannedModel
    encoder: CachedEncoder | CorpusFitted


def _speakers(prepared: Prepared, pair: Pair, vectors: VectorStore | None) -> tuple[_Speaker | None, _Speaker | None]:
    """Return baseline and candidate; None for one that isn't there or can't be loaded."""
    return _speaker(prepared, pair.baseline, vectors), _speaker(prepared, pair.candidate, vectors)


def _speaker(prepared: Prepared, planned: PlannedModel | None, vectors: VectorStore | None) -> _Speaker | None:
    if planned is None:
        return None
    try:
        return _Speaker(planned, open_encoder(planned, vectors, device=prepared.device))
    except BenchkitError:
        return None  # the losses stand without the texts


@dataclass(frozen=True, slots=True)
class _LostTask:
    """A task under both models, whole or cut to the slice of a rule.

    Attributes:
        stream: Key of the random numbers of a slice; None of the whole task.
    """

    task: str
    candidate: Scored
    baseline: Scored
    stream: str | None = None

    @property
    def change(self) -> float:
        return _change(self.candidate, self.baseline, self.task)


def _tasks(rule: RuleResult, candidate: Scored, baseline: Scored) -> list[_LostTask]:
    """Return the tasks of a rule that lost, the worst first; of a slice they lost on its items."""
    if rule.id.startswith("quality/task:"):
        return [_LostTask(rule.on, candidate, baseline)]
    names = [cell.task for cell in candidate.cells if cell.items]
    found = [_LostTask(name, candidate, baseline) for name in names]
    if rule.id.startswith("quality/slice:"):
        cuts = {name: cut_to_slice(candidate, baseline, name, rule.on) for name in names}
        found = [_LostTask(name, *cut, stream_of(name, rule.on)) for name, cut in cuts.items() if cut is not None]
    return [lost for lost in sorted(found, key=lambda lost: lost.change) if lost.change < 0][:_TASKS_OF_A_RULE]


def _change(candidate: Scored, baseline: Scored, task: str) -> float:
    new, old = candidate.cell(task), baseline.cell(task)
    if new is None or old is None or new.main_score is None or old.main_score is None:
        return 0.0
    return new.main_score - old.main_score


def _explanation(where: _LostTask, rule: RuleResult, draw: DrawsScores, answers: Answers | None) -> Explanation:
    task, candidate, baseline = where.task, where.candidate, where.baseline
    change = task_change(candidate, baseline, task, draw=draw, stream=where.stream)
    lost = lost_items(candidate, baseline, task)
    wanted: dict[str, list[str]] = {}
    for item in lost:
        wanted.setdefault(item.place, []).append(item.item)
    before, after = answers(task, wanted) if answers is not None else ({}, {})
    return Explanation(
        rule=rule.id,
        task=task,
        change=change.change,
        low=change.low,
        high=change.high,
        slices=slice_losses(candidate, baseline, task, seed=candidate.seed),
        items=tuple(
            _told(item, before.get((item.place, item.item)), after.get((item.place, item.item))) for item in lost
        ),
    )


def _answers(
    prepared: Prepared,
    speaker: _Speaker | None,
    opened: OpenedTask,
    wanted: Wanted,
    vectors: VectorStore | None,
) -> Told:
    if speaker is None or not wanted:
        return {}
    try:
        return answer_items(
            speaker.planned, opened, wanted, vectors=vectors, device=prepared.device, encoder=speaker.encoder
        )
    except BenchkitError:
        return {}  # the losses stand without the texts


def _told(item: LostItem, before: ItemAnswer | None, after: ItemAnswer | None) -> LostItem:
    either = after or before
    if either is None:
        return item
    return replace(
        item,
        text=either.text,
        expected=either.expected,
        before=item.before if before is None or before.value is None else before.value,
        after=item.after if after is None or after.value is None else after.value,
        found_before=() if before is None else before.found,
        found_after=() if after is None else after.found,
    )
