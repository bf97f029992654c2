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

from benchkit.cost.design import Design
from benchkit.cost.interleave import Child, Interleaver
from benchkit.cost.phases import STAGE, Notice, Phases, Sources
from benchkit.cost.process import ModelProcess
from benchkit.cost.room import Group, need_bytes, plan_groups
from benchkit.types.cost import CostSamples, ProcessFacts
from benchkit.types.model import ModelSpec


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
    design: Design,
    sources: Sources,
    *,
    open_process: OpenProcess,
    free_bytes: int,
    on_stage: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> SessionRecord:
    """Measure models beside each other; all processes are gone when this returns or raises.

    Args:
        open_process: Makes the process of a model, not started; the number is 1 for the control.
        free_bytes: Memory for all processes together.
        on_stage: Hears a few words at the start of each phase.
        clock: Of the phases' limits.
    """
    session = _Session(design, sources, open_process, on_stage, clock)
    started, measured_at = clock(), now()
    try:
        session.run(free_bytes)
    finally:
        session.close()
    seconds = clock() - started
    return SessionRecord(session.collected(), tuple(session.notices), measured_at, seconds, not session.failed)


def now() -> str:
    """Return the time of day as a report states it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(slots=True)
class _Session:
    design: Design
    sources: Sources
    open_process: OpenProcess
    on_stage: Callable[[str], None]
    clock: Callable[[], float]
    notices: list[Notice] = field(default_factory=list)
    facts: list[ProcessFacts] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    failed: set[tuple[int, int]] = field(default_factory=set)  # by place and copy
    beside: Interleaver = field(init=False)

    def __post_init__(self) -> None:
        self.beside = Interleaver(random.Random(self.design.seed))

    def run(self, free_bytes: int) -> None:
        needs = [need_bytes(model.meta, is_remote=model.is_remote) for model in self.design.models]
        groups = plan_groups(needs, reference=self.design.reference_place, free_bytes=free_bytes)
        self._tell_of_groups(groups)
        for group in groups:
            self._run_group(group)

    def collected(self) -> CostSamples:
        return CostSamples(
            order=self.design.labels,
            samples=tuple(self.beside.samples),
            processes=tuple(sorted(self.facts, key=self._position)),
            failures=dict(self.failures),
        )

    def close(self) -> None:
        """End every process that is still there."""
        while self.beside.children:
            self.beside.children.pop().process.close()

    # ------------------------------------------------------------ groups and halves

    def _run_group(self, group: Group) -> None:
        processes = self._processes(group)
        n_local = sum(not self.design.models[place].is_remote for place, _ in processes)
        halves = 2 if n_local > 1 else 1
        phases = Phases(self.beside, self.sources, self.design, halves=halves, on_stage=self.on_stage, clock=self.clock)
        for half in range(phases.halves):
            self.beside.half = half
            self._start(processes, half)
            phases.measure(half)
            self._end()
        self.notices += phases.notices()

    def _processes(self, group: Group) -> list[tuple[int, int]]:
        """Return the processes of a group, by place and copy, in the order in which they start.

        The reference comes first and the control last: two processes of one model then show all that the order of
        starting can do between any two (measure/halves.py).
        """
        reference = self.design.reference_place
        first = [place for place in group.members if place == reference]
        others = [place for place in group.members if place != reference]
        control = [(place, 1) for place in first if group.has_control]
        return [*((place, 0) for place in (*first, *others)), *control]

    def _start(self, processes: Sequence[tuple[int, int]], half: int) -> None:
        wanted = [
            (place, copy)
            for place, copy in processes
            if not self.failed & {(place, 0), (place, copy)} and not (half and self.design.models[place].is_remote)
        ]
        if bool(half) != self.design.reversed_start:
            wanted.reverse()
        again = " new" if half else ""
        order = " in the opposite order" if half and len(wanted) > 1 else ""
        self.on_stage(f"{STAGE}: starting {len(wanted)}{again} process{'' if len(wanted) == 1 else 'es'}{order}")
        for place, copy in wanted:
            model = self.design.models[place]
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
        return self.design.labels.index(facts.model), facts.copy

    def _tell_of_groups(self, groups: Sequence[Group]) -> None:
        together = [group for group in groups if group.has_control]
        if self.design.reference is not None and not together:
            text = "the free memory does not hold a second process of a model, so the noise of the machine isn't known"
            self.notices.append(Notice(text))
        if len(together) > 1:
            text = (
                f"the free memory does not hold all models at once, so they were measured in {len(together)} groups; "
                "two models of different groups have no ratio, but each has one with the model measured twice"
            )
            self.notices.append(Notice(text))
        alone = [group.members[0] for group in groups if not group.has_control]
        if alone and len(groups) > 1:
            text = "measured alone, for the free memory does not hold it beside the others; no ratio with any of them"
            self.notices.append(Notice(text, tuple(self.design.labels[place] for place in alone)))
