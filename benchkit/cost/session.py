"""One session: every model in a process of its own, measured beside the others.

    models ── plan_groups ── start ── warm up ──┬── single queries, one thread ───────────┐
                  (again for each group)        ├── batch sweep ─┐ all threads            ├──> SessionRecord
                                                ├── documents ───┘                        │
                                                └── endpoints: few calls, for they cost ──┘

One model, the reference, runs in two processes: their ratio (A/A) tells how much of any ratio is noise. A process that
fails is recorded with its reason and the others go on; on Ctrl-C all of them end.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from benchkit.cost.interleave import Child, Clock, Interleaver
from benchkit.cost.plan import CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.room import Group, need_bytes, plan_groups
from benchkit.models.names import resolve_loader
from benchkit.types.cost import CostSamples, LengthClass, ProcessFacts, TextSource
from benchkit.types.model import ModelMeta, ModelSpec

REMOTE_LOADER = "openai"
_STAGE = "measuring costs"


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model to measure."""

    spec: ModelSpec
    meta: ModelMeta

    @property
    def is_remote(self) -> bool:
        return resolve_loader(self.spec) == REMOTE_LOADER

    @property
    def is_dense(self) -> bool:
        return self.meta.dimension is not None and not self.is_remote


@dataclass(frozen=True, slots=True)
class Sources:
    """The texts of a session: queries one by one, documents in batches, and documents by length class."""

    queries: TextSource
    documents: TextSource
    classes: Mapping[LengthClass, TextSource]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader of the figures should know, of some models or of the whole session."""

    text: str
    models: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        return f"{', '.join(self.models)}: {self.text}" if self.models else self.text


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What one session gave.

    Attributes:
        is_complete: No process failed, the control neither.
    """

    samples: CostSamples
    notices: tuple[Notice, ...]
    measured_at: str
    seconds: float
    is_complete: bool = True


OpenProcess = Callable[[ModelSpec, int], ModelProcess]


def run_session(
    models: Sequence[MeasuredModel],
    sources: Sources,
    plan: CostPlan,
    *,
    open_process: OpenProcess,
    reference: str | None,
    seed: int,
    free_bytes: int,
    tolerance: float,
    decides: Clock,
    on_stage: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    reversed_start: bool = False,
) -> SessionRecord:
    """Measure models beside each other; all processes are gone when this returns or raises.

    Args:
        open_process: Makes the process of a model, not started; the number is 1 for the control.
        reference: Label of the model that gets the control (`choose_reference`).
        free_bytes: Memory for all processes together.
        tolerance: Rounds are added until a ratio is known to this, as the plan allows.
        decides: The clock of these ratios.
        on_stage: Hears a few words at the start of each phase.
        clock: Of the phases' limits.
        reversed_start: Start the processes in the opposite order, the control first: a process that is slower for its
            whole life because it came first (3 to 4 % were seen once) is then another model's.
    """
    rng = random.Random(seed)
    session = _Session(models, sources, plan, open_process, tolerance, decides, on_stage, clock, rng, reversed_start)
    started, measured_at = clock(), now()
    try:
        session.run(reference, free_bytes)
    finally:
        session.close()
    seconds = clock() - started
    return SessionRecord(session.collected(), tuple(session.notices), measured_at, seconds, session.is_complete)


def choose_reference(models: Sequence[MeasuredModel], baseline: str | None) -> str | None:
    """Return the model that is measured twice: the baseline, else the smallest that computes vectors on this machine.

    A lexical model is taken only where there is no other (it is over so soon that its own noise says nothing of the
    others'), an endpoint never: its noise is the network's, and calls cost money.
    """
    dense = [model for model in models if model.is_dense]
    local = dense or [model for model in models if not model.is_remote]
    if any(model.spec.label == baseline for model in local):
        return baseline
    return min(local, key=_size).spec.label if local else None


def _size(model: MeasuredModel) -> float:
    return model.meta.memory_bytes or 4 * (model.meta.parameters or 0) or float("inf")


def now() -> str:
    """Return the time of day as a report states it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Limit:
    """The time of one phase, and what had to be left out for the lack of it."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.left_out: dict[str, list[str]] = {}
        self.planned = 0

    @property
    def left_s(self) -> float:
        return self._end - self._clock()

    @property
    def is_over(self) -> bool:
        return self.left_s <= 0

    def leave_out(self, children: Sequence[Child], what: str) -> None:
        for child in children:
            self.left_out.setdefault(child.label, []).append(what)

    def notices(self, phase: str, measured: Callable[[str], set[str]]) -> Iterator[Notice]:
        """Yield what was left out, models with the same gaps together; `measured` tells what a model has after all."""
        told: dict[str, list[str]] = {}
        for label, steps in self.left_out.items():
            missing = [step for step in dict.fromkeys(steps) if step not in measured(label)]
            gaps = f"; not measured at all: {', '.join(missing)}" if missing else ""
            text = f"the time for {phase} ran out, {len(steps)} of {self.planned} calls were left out{gaps}"
            told.setdefault(text, []).append(label)
        for text, labels in told.items():
            yield Notice(text, tuple(labels))


@dataclass(slots=True)
class _Session:
    models: Sequence[MeasuredModel]
    sources: Sources
    plan: CostPlan
    open_process: OpenProcess
    tolerance: float
    decides: Clock
    on_stage: Callable[[str], None]
    clock: Callable[[], float]
    rng: random.Random
    reversed_start: bool
    notices: list[Notice] = field(default_factory=list)
    facts: list[ProcessFacts] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    is_complete: bool = True
    beside: Interleaver = field(init=False)

    def __post_init__(self) -> None:
        self.beside = Interleaver(self.rng)

    def run(self, reference: str | None, free_bytes: int) -> None:
        labels = [model.spec.label for model in self.models]
        needs = [need_bytes(model.meta, is_remote=model.is_remote) for model in self.models]
        place = None if reference is None else labels.index(reference)
        groups = plan_groups(needs, reference=place, free_bytes=free_bytes)
        self._tell_of_groups(groups, labels, wants_control=reference is not None)
        for group, following in zip(groups, (*groups[1:], None), strict=True):
            self._start(group, place)
            self._measure(place)
            self._end(following, place)

    def collected(self) -> CostSamples:
        return CostSamples(
            order=tuple(model.spec.label for model in self.models),
            samples=tuple(self.beside.samples),
            processes=tuple(sorted(self.facts, key=self._position)),
            failures=dict(self.failures),
        )

    def close(self) -> None:
        """End every process that is still there."""
        while self.beside.children:
            self.beside.children.pop().process.close()

    # ------------------------------------------------------------ processes

    def _start(self, group: Group, reference: int | None) -> None:
        running = {(child.place, child.copy) for child in self.beside.children}
        wanted = [(place, 0) for place in group.members]
        if group.has_control and reference is not None:
            wanted.append((reference, 1))
        new = [(place, copy) for place, copy in wanted if (place, copy) not in running and not self._has_failed(place)]
        if self.reversed_start:
            new.reverse()
        self.on_stage(f"{_STAGE}: starting {len(new)} process{'' if len(new) == 1 else 'es'}")
        for place, copy in new:
            model = self.models[place]
            child = Child(self.open_process(model.spec, copy), place, copy, model.is_remote)
            # Before its start, so that an interrupt during it finds the process.
            self.beside.children.append(child)
            child.started = self.beside.attempt(child, lambda one: one.process.start())
        self._keep_failures()

    def _end(self, following: Group | None, reference: int | None) -> None:
        """Let the processes go that the next group doesn't need."""
        for child in list(self.beside.children):
            stays = following is not None and child.place in following.members and following.has_control
            if stays and child.place == reference:
                continue
            facts = self.beside.attempt(child, lambda one: one.process.facts())
            if facts is not None:
                self.facts.append(self._named(child, facts))
                self.beside.children.remove(child)
                child.process.close()
        self._keep_failures()

    def _keep_failures(self) -> None:
        for child, reason in self.beside.failures.items():
            self.is_complete = False
            if child.started is not None:
                self.facts.append(self._named(child, child.started))
            if child.copy:
                text = (
                    f"its second process, the control, failed, so that the noise of the machine isn't known: {reason}"
                )
                self.notices.append(Notice(text, (child.label,)))
            else:
                self.failures.setdefault(child.label, reason)
        self.beside.failures.clear()

    def _named(self, child: Child, facts: ProcessFacts) -> ProcessFacts:
        first = facts.first_call_s if facts.first_call_s is not None else child.first_call_s
        return replace(facts, model=child.label, copy=child.copy, first_call_s=first)

    def _has_failed(self, place: int) -> bool:
        return self.models[place].spec.label in self.failures

    def _position(self, facts: ProcessFacts) -> tuple[int, int]:
        labels = [model.spec.label for model in self.models]
        return labels.index(facts.model), facts.copy

    # ------------------------------------------------------------ phases

    def _measure(self, reference: int | None) -> None:
        local = [child for child in self.beside.children if not child.is_remote]
        remote = [child for child in self.beside.children if child.is_remote]
        if local:
            self._single_queries(local)
            self._many_texts([child for child in self._alive(local) if child.copy == 0])
        if remote:
            self._endpoints(remote, [child for child in local if child.place == reference and child.copy == 0])
        self._keep_failures()

    def _single_queries(self, children: Sequence[Child]) -> None:
        self.on_stage(f"{_STAGE}: single queries")
        self.beside.for_each(children, lambda child: child.process.set_threads(1))
        self.beside.for_each(children, self._warm_up)
        limit = _Limit(self.clock, self.plan.query_s * len(children))
        done = self._rounds(children, limit, self.plan.rounds, self.plan.most_rounds)
        cut = tuple(dict.fromkeys(child.label for child in self._alive(children)))
        if done < self.plan.rounds and cut:
            self.notices.append(Notice(f"{done} of {self.plan.rounds} queries were timed, then the time ran out", cut))

    def _warm_up(self, child: Child) -> None:
        """Make the first calls, which are not counted; fewer of a model that takes seconds for each."""
        end = self.clock() + self.plan.query_s / 2
        queries = self.sources.queries
        calls = 1 if child.is_remote else self.plan.warm_up_calls
        for number in range(calls):
            row = number % len(queries.texts)
            child.encode(queries, row, row + 1)
            if self.clock() >= end:
                return

    def _rounds(self, children: Sequence[Child], limit: _Limit, least: int, most: int) -> int:
        return self.beside.query_rounds(
            self.sources.queries,
            among=children,
            least=least,
            most=most,
            decides=self.decides,
            tolerance=self.tolerance,
            is_over=lambda: limit.is_over,
        )

    def _many_texts(self, children: Sequence[Child]) -> None:
        if not children:
            return
        self.beside.for_each(children, lambda child: child.process.set_threads(None))
        # Not counted: it makes the threads.
        self.beside.for_each(children, lambda child: child.encode(self.sources.documents, 0, 1))
        self.on_stage(f"{_STAGE}: batches of {_listed(self.plan.batch_sizes)}")
        self._sweep(children)
        self.on_stage(f"{_STAGE}: documents by length")
        limit = _Limit(self.clock, self.plan.throughput_s * len(children))
        self._passes(children, limit, self.plan.throughput_passes)

    def _sweep(self, children: Sequence[Child]) -> None:
        documents = self.sources.documents
        limit = _Limit(self.clock, self.plan.sweep_s * len(children))
        for number in range(self.plan.sweep_passes):
            for size in self.plan.batch_sizes:
                # Other texts in each pass, the same for every model.
                start = number * size % (len(documents.texts) - size + 1)
                limit.planned += 1
                late = self.beside.step(
                    "batch", documents, start, start + size, among=children, within_s=limit.left_s / len(children)
                )
                limit.leave_out(late, str(size))
        self.notices += limit.notices("the batch sweep", self._sizes_of)

    def _passes(self, children: Sequence[Child], limit: _Limit, passes: int) -> None:
        for _ in range(passes):
            for name, source in self.sources.classes.items():
                limit.planned += 1
                late = self.beside.step(
                    "throughput",
                    source,
                    0,
                    len(source.texts),
                    among=children,
                    within_s=limit.left_s / len(children),
                    length_class=name,
                )
                limit.leave_out(late, name)
        self.notices += limit.notices("documents by length", self._classes_of)

    def _endpoints(self, remote: Sequence[Child], reference: Sequence[Child]) -> None:
        self.on_stage(f"{_STAGE}: {len(remote)} endpoint{'' if len(remote) == 1 else 's'}")
        self.beside.for_each(reference, lambda child: child.process.set_threads(1))
        self.beside.for_each(remote, self._warm_up)
        limit = _Limit(self.clock, self.plan.remote_s * len(remote))
        done = self._rounds([*remote, *reference], limit, self.plan.remote_rounds, self.plan.remote_rounds)
        labels = tuple(child.label for child in self._alive(remote))
        cut = f", then the time ran out (planned: {self.plan.remote_rounds})" if done < self.plan.remote_rounds else ""
        if labels:
            self.notices.append(Notice(f"an endpoint, so few calls were made: {done} single queries{cut}", labels))
        self._passes(remote, limit, self.plan.remote_passes)

    def _alive(self, children: Sequence[Child]) -> list[Child]:
        return [child for child in children if child in self.beside.children]

    def _sizes_of(self, label: str) -> set[str]:
        return {str(s.texts) for s in self.beside.samples if s.model == label and s.kind == "batch"}

    def _classes_of(self, label: str) -> set[str]:
        return {str(s.length_class) for s in self.beside.samples if s.model == label and s.kind == "throughput"}

    def _tell_of_groups(self, groups: Sequence[Group], labels: Sequence[str], *, wants_control: bool) -> None:
        together = [group for group in groups if group.has_control]
        if wants_control and not together:
            text = "the free memory does not hold a second process of a model, so the noise of the machine isn't known"
            self.notices.append(Notice(text))
        if len(together) > 1:
            text = (
                f"the free memory does not hold all models at once, so they were measured in {len(together)} groups; "
                "two models of different groups have no ratio, but each has one with the model measured twice"
            )
            self.notices.append(Notice(text))
        alone = tuple(labels[group.members[0]] for group in groups if len(groups) > 1 and not group.has_control)
        if alone:
            text = "measured alone, for the free memory does not hold it beside the others; no ratio with any of them"
            self.notices.append(Notice(text, alone))


def _listed(sizes: Sequence[int]) -> str:
    return f"{sizes[0]} to {sizes[-1]} texts"
