"""Calls of several processes right after each other in random order, so that they can be paired.

    round 0   B A A' C      one text, every process once
    round 1   A' C A B      the next text, another order
    ...                     noise of the machine lasts for longer than a round and hits all of them
    round 1000000 ...       the second half of the session, with other processes

A process that fails drops out and the others go on. What a call will take is foreseen from earlier calls, so that a
model that is too slow for a step sits it out, instead of being cut off in the middle.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from benchkit.cost.figures import Clock
from benchkit.cost.process import ModelProcess, ProcessFailed, Timing
from benchkit.tasks.texts import counted_characters
from benchkit.types.cost import SECOND_HALF, LengthClass, ProcessFacts, Sample, SampleKind, TextSource

T = TypeVar("T")

_Z95 = 1.96
_CLEARLY = 2.0  # beyond this factor more pairs only sharpen a number that nobody needs sharper
_ROUNDS_BETWEEN_LOOKS = 16
_LEAST_S = 1e-9  # a clock may not have moved during a very short call


@dataclass(slots=True, eq=False)
class Child:
    """A model's process in a session.

    Attributes:
        place: The model's place among those measured.
        copy: 1 for the control.
        started: What the process told of itself after loading.
        first_call_s: Wall time of its very first call.
        pace_s: Seconds for a character in its best call so far; None before the first.
    """

    process: ModelProcess
    place: int
    copy: int = 0
    is_remote: bool = False
    started: ProcessFacts | None = None
    first_call_s: float | None = None
    pace_s: float | None = None

    @property
    def label(self) -> str:
        return self.process.label

    def encode(self, source: TextSource, start: int, stop: int) -> Timing:
        """Encode texts of a source and learn how fast that goes.

        Raises:
            ProcessFailed: it didn't.
        """
        timing = self.process.encode(source, start, stop)
        if self.first_call_s is None:
            self.first_call_s = timing.wall_s
        pace_s = timing.wall_s / max(counted_characters(source.texts[start:stop]), 1)
        # The best and not the last: a noisy moment must not keep a model from all that follows.
        self.pace_s = pace_s if self.pace_s is None else min(self.pace_s, pace_s)
        return timing

    def foreseen_s(self, source: TextSource, start: int, stop: int) -> float:
        """Return how long a call would take at the best pace so far; rather too long for a larger batch."""
        return (self.pace_s or 0.0) * counted_characters(source.texts[start:stop])


@dataclass(frozen=True, slots=True)
class Step:
    """What each process of a round encodes in one call: source.texts[start:stop]."""

    kind: SampleKind
    source: TextSource
    start: int
    stop: int
    length_class: LengthClass | None = None


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When rounds are enough: after the most, and from the least on as soon as all ratios are known to the tolerance.

    Attributes:
        clock: Of these ratios.
    """

    least: int
    most: int
    clock: Clock
    tolerance: float

    def is_met_after(self, rounds: int, samples: Sequence[Sample]) -> bool:
        """Tell whether these samples of so many rounds are enough; looks at them every 16 rounds."""
        if rounds >= self.most:
            return True
        if rounds < self.least or (rounds - self.least) % _ROUNDS_BETWEEN_LOOKS:
            return False
        times: dict[tuple[str, int], dict[int, float]] = {}
        for sample in samples:
            times.setdefault((sample.model, sample.copy), {})[sample.round] = getattr(sample, self.clock)
        return all(is_decided(a, b, tolerance=self.tolerance) for a, b in combinations(times.values(), 2))


class Interleaver:
    """Makes rounds of calls and keeps their samples.

    Attributes:
        children: The processes that are alive.
        half: 0, or 1 in the second half of a session.
        samples: One for each call; a round has a number of its own, whatever its kind.
        failures: Why a process dropped out.
    """

    def __init__(self, rng: random.Random) -> None:
        self.children: list[Child] = []
        self.samples: list[Sample] = []
        self.failures: dict[Child, str] = {}
        self.half = 0
        self._rng = rng
        self._round = 0

    def make_round(self, step: Step, *, among: Sequence[Child], within_s: float = math.inf) -> list[Child]:
        """Let each process among these make the step once; return those that would take too long."""
        texts = step.source, step.start, step.stop
        order = [child for child in among if child in self.children]
        number = self._round + self.half * SECOND_HALF
        self._rng.shuffle(order)
        too_slow = []
        for child in order:
            if child.foreseen_s(*texts) > within_s:
                too_slow.append(child)
                continue
            timing = self.attempt(child, lambda one: one.encode(*texts))
            if timing is not None:
                self.samples.append(_sample(child, step, number, timing))
        self._round += 1
        return too_slow

    def query_rounds(
        self,
        queries: TextSource,
        until: StoppingRule,
        *,
        among: Sequence[Child],
        first: int = 0,
        is_over: Callable[[], bool] = lambda: False,
    ) -> int:
        """Time single queries, one after the other, and return the number of rounds.

        Args:
            first: Place of the first query; after the last one they begin again.
            is_over: Tells whether the time is up.
        """
        since = len(self.samples)
        for number in range(until.most):
            if is_over() or not any(child in self.children for child in among):
                return number
            if until.is_met_after(number, self.samples[since:]):
                return number
            row = (first + number) % len(queries.texts)
            self.make_round(Step("query", queries, row, row + 1), among=among)
        return until.most

    def attempt(self, child: Child, action: Callable[[Child], T]) -> T | None:
        """Do something with a process; one that fails drops out, and None is returned."""
        try:
            return action(child)
        except ProcessFailed as exc:
            self.failures[child] = str(exc).removeprefix(f"{child.label}: ")  # told beside its name
            self.children.remove(child)
            child.process.close()
            return None

    def for_each(self, among: Sequence[Child], action: Callable[[Child], object]) -> None:
        """Do something with each of these processes that is alive."""
        for child in list(among):
            if child in self.children:
                self.attempt(child, action)


def is_decided(a: Mapping[int, float], b: Mapping[int, float], *, tolerance: float) -> bool:
    """Tell whether the mean log ratio of two processes' times, paired by round, is known well enough.

    It is when its 95 % interval (normal approximation) is no wider than the tolerance to each side, or lies wholly
    beyond a factor of 2. Not as soon as a difference of any size shows: who looks often enough finds one by chance.

    >>> is_decided({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}, tolerance=0.05)
    True
    >>> is_decided({0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}, tolerance=0.05)
    False
    """
    logs = [math.log(max(a[number], _LEAST_S) / max(b[number], _LEAST_S)) for number in a.keys() & b.keys()]
    if len(logs) < 2:
        return False
    half_width = _Z95 * statistics.stdev(logs) / math.sqrt(len(logs))
    return half_width <= math.log1p(tolerance) or abs(statistics.fmean(logs)) - half_width > math.log(_CLEARLY)


def _sample(child: Child, step: Step, number: int, timing: Timing) -> Sample:
    return Sample(
        model=child.label,
        copy=child.copy,
        kind=step.kind,
        round=number,
        item=step.start,
        texts=step.stop - step.start,
        tokens=timing.tokens,
        padded_tokens=timing.padded_tokens,
        wall_s=timing.wall_s,
        cpu_s=timing.cpu_s,
        length_class=step.length_class,
        energy_j=timing.energy_j,
    )
