"""One session: every model in a process of its own, measured beside the others.

    models ── plan_groups ── each group ──┬── half 0: start in order ──── phases.py ── end ──┬──> SessionRecord
                                          └── half 1: start in reverse ── phases.py ── end ──┘

One model, the reference, runs in two processes: their ratio (A/A) tells how much of any ratio is noise. A process that
was started earlier than another can be slower for its whole life, so that half of all calls are made by a second set of
processes, started the other way round (measure/halves.py); where only one process is local, one half makes them all. A
process that fails is recorded with its reason, isn't started again, and the others go on; on Ctrl-C all of them end.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from benchkit.cost.interleave import Child, Clock, Interleaver
from benchkit.cost.phases import STAGE, Notice, Phases, Sources
from benchkit.cost.plan import CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.room import Group, need_bytes, plan_groups
from benchkit.models.names import resolve_loader
from benchkit.types.cost import CostSamples, ProcessFacts
from benchkit.types.model import ModelMeta, ModelSpec

REMOTE_LOADER = "openai"


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
        reversed_start: Exchange the halves: the processes of the first one start in reverse, those of the second in
            order.
    """
    rng = random.Random(seed)
    session = _Session(models, sources, plan, open_process, tolerance, decides, on_stage, clock, rng, reversed_start)
    started, measured_at = clock(), now()
    try:
        session.run(reference, free_bytes)
    finally:
        session.close()
    seconds = clock() - started
    return SessionRecord(session.collected(), tuple(session.notices), measured_at, seconds, not session.failed)


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
    failed: set[tuple[int, int]] = field(default_factory=set)  # by place and copy
    beside: Interleaver = field(init=False)

    def __post_init__(self) -> None:
        self.beside = Interleaver(self.rng)

    def run(self, reference: str | None, free_bytes: int) -> None:
        labels = [model.spec.label for model in self.models]
        needs = [need_bytes(model.meta, is_remote=model.is_remote) for model in self.models]
        place = None if reference is None else labels.index(reference)
        groups = plan_groups(needs, reference=place, free_bytes=free_bytes)
        self._tell_of_groups(groups, labels, wants_control=reference is not None)
        for group in groups:
            self._run_group(group, place)

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

    # ------------------------------------------------------------ groups and halves

    def _run_group(self, group: Group, reference: int | None) -> None:
        processes = self._processes(group, reference)
        n_local = sum(not self.models[place].is_remote for place, _ in processes)
        phases = Phases(
            self.beside,
            self.sources,
            self.plan,
            halves=2 if n_local > 1 else 1,
            decides=self.decides,
            tolerance=self.tolerance,
            on_stage=self.on_stage,
            clock=self.clock,
        )
        for half in range(phases.halves):
            self.beside.half = half
            self._start(processes, half)
            phases.measure(half, reference)
            self._end()
        self.notices += phases.notices()

    @staticmethod
    def _processes(group: Group, reference: int | None) -> list[tuple[int, int]]:
        """Return the processes of a group, by place and copy, in the order in which they start.

        The reference comes first and the control last: two processes of one model then show all that the order of
        starting can do between any two (measure/halves.py).
        """
        first = [place for place in group.members if place == reference]
        others = [place for place in group.members if place != reference]
        control = [(place, 1) for place in first if group.has_control]
        return [*((place, 0) for place in (*first, *others)), *control]

    def _start(self, processes: Sequence[tuple[int, int]], half: int) -> None:
        wanted = [
            (place, copy)
            for place, copy in processes
            if not self.failed & {(place, 0), (place, copy)} and not (half and self.models[place].is_remote)
        ]
        if bool(half) != self.reversed_start:
            wanted.reverse()
        again = " new" if half else ""
        order = " in the opposite order" if half and len(wanted) > 1 else ""
        self.on_stage(f"{STAGE}: starting {len(wanted)}{again} process{'' if len(wanted) == 1 else 'es'}{order}")
        for place, copy in wanted:
            model = self.models[place]
            child = Child(self.open_process(model.spec, copy), place, copy, model.is_remote)
            # Before its start, so that an interrupt during it finds the process.
            self.beside.children.append(child)
            child.started = self.beside.attempt(child, lambda one: one.process.start())
        self._keep_failures()

    def _end(self) -> None:
        for child in list(self.beside.children):
            facts = self.beside.attempt(child, lambda one: one.process.facts())
            if facts is not None:
                self.facts.append(self._named(child, facts))
                self.beside.children.remove(child)
                child.process.close()
        self._keep_failures()

    def _keep_failures(self) -> None:
        for child, reason in self.beside.failures.items():
            self.failed.add((child.place, child.copy))
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

    def _position(self, facts: ProcessFacts) -> tuple[int, int]:
        labels = [model.spec.label for model in self.models]
        return labels.index(facts.model), facts.copy

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
