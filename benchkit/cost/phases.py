"""What is measured of the models of one group: the same phases in both halves of a session.

    half 0  warm up ── single queries, one thread ── batch sweep ── documents by length ── endpoints
    half 1  warm up ── the other half of all that, with new processes ─────────────────── no endpoints

The halves share the plan's counts and times, so that a session in two halves makes as many calls as one in a single
piece. An endpoint is measured in the first half alone: what a server takes doesn't depend on the order in which
processes start here, and its calls may cost money.

A phase may use its time up to the end of the half's share; what it leaves, the second half has too. Its first pass may
take the time of both, for a model that is as slow as that has some figures then, instead of none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchkit.cost.design import Design
from benchkit.cost.interleave import Child, Interleaver, Step, StoppingRule
from benchkit.types.cost import LengthClass, TextSource

STAGE = "measuring costs"


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


class _Limit:
    """The time of one phase over both halves, and what had to be left out for the lack of it."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._used_s = self._since = self._allowed_s = 0.0
        self.left_out: dict[str, list[str]] = {}
        self.planned = 0

    @contextmanager
    def running(self, processes: int) -> Iterator[None]:
        """Let the time count; there are so many seconds for each process."""
        self._allowed_s = self._seconds * processes
        self._since = self._clock()
        yield
        self._used_s += self._clock() - self._since

    def left_s(self, share: float) -> float:
        """Return what is left of this share of the time."""
        return share * self._allowed_s - self._used_s - (self._clock() - self._since)

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


class Phases:
    """The phases of one group of models.

    Args:
        halves: 2, or 1 where nothing is compared, so that the order of starting doesn't matter.
        clock: Of the limits of time.
    """

    def __init__(
        self,
        beside: Interleaver,
        sources: Sources,
        design: Design,
        *,
        halves: int,
        on_stage: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.halves = halves
        self._beside = beside
        self._sources = sources
        self._plan = plan = design.plan
        self._reference = design.reference_place  # endpoints are timed beside it
        self._decides = design.decides
        # The mean of two halves is known better than each of them.
        self._tolerance = math.expm1(math.sqrt(halves) * math.log1p(design.tolerance))
        self._on_stage = on_stage
        self._clock = clock
        self._half = 0
        self._rounds = 0
        self._cut: tuple[str, ...] = ()
        self._told: list[Notice] = []
        self._queries, self._sweep, self._documents, self._remote = (
            _Limit(clock, seconds) for seconds in (plan.query_s, plan.sweep_s, plan.throughput_s, plan.remote_s)
        )

    def measure(self, half: int) -> None:
        """Measure the processes that are there, for one half."""
        self._half = half
        local = [child for child in self._beside.children if not child.is_remote]
        remote = [child for child in self._beside.children if child.is_remote]
        if local:
            self._single_queries(local)
            self._many_texts([child for child in self._alive(local) if child.copy == 0])
        if remote:
            self._endpoints(remote, [child for child in local if child.place == self._reference and child.copy == 0])

    def notices(self) -> Iterator[Notice]:
        """Yield what was left out, over both halves."""
        if self._cut and self._rounds < self._plan.rounds:
            text = f"{self._rounds} of {self._plan.rounds} queries were timed, then the time ran out"
            yield Notice(text, self._cut)
        yield from self._sweep.notices("the batch sweep", self._sizes_of)
        yield from self._documents.notices("documents by length", self._classes_of)
        yield from self._told
        yield from self._remote.notices("documents by length", self._classes_of)

    # ------------------------------------------------------------ shares of a half

    def _part(self, n: int) -> range:
        """Return which of n this half makes; of an odd number the first half makes one more."""
        first, after = (math.ceil(n * half / self.halves) for half in (self._half, self._half + 1))
        return range(first, after)

    @property
    def _share(self) -> float:
        """The share of a phase's time that may be used until the end of this half."""
        return (self._half + 1) / self.halves

    # ------------------------------------------------------------ phases

    def _single_queries(self, children: Sequence[Child]) -> None:
        self._on_stage(f"{STAGE}: single queries")
        self._beside.for_each(children, lambda child: child.process.set_threads(1))
        self._beside.for_each(children, self._warm_up)
        least, most = self._part(self._plan.rounds), self._part(self._plan.most_rounds)
        with self._queries.running(len(children)):
            done = self._beside.query_rounds(
                self._sources.queries,
                StoppingRule(len(least), len(most), self._decides, self._tolerance),
                among=children,
                first=self._rounds,
                is_over=lambda: self._queries.left_s(self._share) <= 0,
            )
        self._rounds += done
        if done < len(least):
            self._cut = tuple(dict.fromkeys(child.label for child in self._alive(children)))

    def _warm_up(self, child: Child) -> None:
        """Make the first calls, which are not counted; fewer of a model that takes seconds for each."""
        end = self._clock() + self._plan.query_s / 2 / self.halves
        queries = self._sources.queries
        calls = 1 if child.is_remote else self._plan.warm_up_calls
        for number in range(calls):
            row = number % len(queries.texts)
            child.encode(queries, row, row + 1)
            if self._clock() >= end:
                return

    def _many_texts(self, children: Sequence[Child]) -> None:
        if not children:
            return
        sizes = self._plan.batch_sizes
        self._beside.for_each(children, lambda child: child.process.set_threads(None))
        # Not counted: it makes the threads.
        self._beside.for_each(children, lambda child: child.encode(self._sources.documents, 0, 1))
        self._on_stage(f"{STAGE}: batches of {sizes[0]} to {sizes[-1]} texts")
        with self._sweep.running(len(children)):
            self._batches(children)
        self._on_stage(f"{STAGE}: documents by length")
        with self._documents.running(len(children)):
            self._passes(children, self._documents, self._part(self._plan.throughput_passes), self._share)

    def _batches(self, children: Sequence[Child]) -> None:
        documents = self._sources.documents
        for number in self._part(self._plan.sweep_passes):
            for size in self._plan.batch_sizes:
                for start in self._starts(number, size):
                    self._sweep.planned += 1
                    left_s = self._sweep.left_s(self._share if number else 1.0)
                    step = Step("batch", documents, start, start + size)
                    late = self._beside.make_round(step, among=children, within_s=left_s / len(children))
                    self._sweep.leave_out(late, str(size))

    def _starts(self, number: int, size: int) -> range:
        """Return where the batches of a step begin: other documents in each pass, the same for every model."""
        calls = max(self._plan.sweep_texts // size, 1)
        covered = calls * size
        first = number * covered % (len(self._sources.documents.texts) - covered + 1)
        return range(first, first + covered, size)

    def _passes(self, children: Sequence[Child], limit: _Limit, numbers: range, share: float) -> None:
        for number in numbers:
            for name, source in self._sources.classes.items():
                limit.planned += 1
                left_s = limit.left_s(share if number else 1.0)
                step = Step("throughput", source, 0, len(source.texts), length_class=name)
                late = self._beside.make_round(step, among=children, within_s=left_s / len(children))
                limit.leave_out(late, name)

    def _endpoints(self, remote: Sequence[Child], reference: Sequence[Child]) -> None:
        rounds = self._plan.remote_rounds
        self._on_stage(f"{STAGE}: {len(remote)} endpoint{'' if len(remote) == 1 else 's'}")
        self._beside.for_each(reference, lambda child: child.process.set_threads(1))
        self._beside.for_each(remote, self._warm_up)
        with self._remote.running(len(remote)):
            done = self._beside.query_rounds(
                self._sources.queries,
                StoppingRule(rounds, rounds, self._decides, self._tolerance),
                among=[*remote, *reference],
                is_over=lambda: self._remote.left_s(1.0) <= 0,
            )
            labels = tuple(child.label for child in self._alive(remote))
            cut = f", then the time ran out (planned: {rounds})" if done < rounds else ""
            if labels:
                text = f"an endpoint, so few calls were made: {done} single queries{cut}"
                self._told.append(Notice(text, labels))
            self._passes(remote, self._remote, range(self._plan.remote_passes), 1.0)

    # ------------------------------------------------------------ what there is

    def _alive(self, children: Sequence[Child]) -> list[Child]:
        return [child for child in children if child in self._beside.children]

    def _sizes_of(self, label: str) -> set[str]:
        return {str(s.texts) for s in self._beside.samples if s.model == label and s.kind == "batch"}

    def _classes_of(self, label: str) -> set[str]:
        return {str(s.length_class) for s in self._beside.samples if s.model == label and s.kind == "throughput"}
