"""How a time of one model compares with another's in a session, and what sessions say together. Pure arithmetic.

    calls of both models, paired by round ── log ratio of each half ── over_halves ──┐
    one model in two processes (A/A) ─────── start order, noise of a process ────────┴─> Ratio ─┐
                                                                   of a second session, Ratio ──┴── pooled ──> Ratio

    latency     20 % trimmed mean of log ratios, query by query, with a bootstrap over rounds: a typical query
    tail        ratio of the two 95th percentiles (nearest rank); rounds are resampled, the same ones for both models
    throughput  mean over length classes of the log ratios of passes over the same documents

The clock is CPU time, which other programs hardly disturb: two processes of one model differ with a standard deviation
of 0.8 % by CPU time, and of 3.4 % by wall time. It is wall time where the work isn't in this machine's CPU time, on a
GPU or with an endpoint, and for the tail, which is about waiting.

An interval is Student's for the sampling error and, added to it, the larger of two: what the halves of the session
differ by beyond the order of starting (measure/halves.py), and the far end of the control's interval, over both halves
as well: a difference that two processes of the same model show too is no finding. It is added and not combined as a
variance, for within one session it isn't random. One control says little of how far processes differ in general, so
that with a large process noise a limit is kept with less than 95 %. The control times single queries on one thread; its
noise stands for that of throughput too. The tail is taken over both halves at once: a half has too few calls for one.

Sessions are averaged (`pooled`). The second one has new processes, and its halves the other order of starting first, so
that process noise averages out, and so does what changes from the first half of a session to the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from benchkit.measure.halves import TWO_SIDED, Ratio, over_halves
from benchkit.measure.latency import MIN_SAMPLES, N_RESAMPLES, fewest_calls, typical_ratio
from benchkit.types.cost import CostFigure, CostReport, CostSamples, Sample, SampleKind
from benchkit.types.gate import CostMetric, Scored

# Without a control: more than the largest difference of two processes of one model that was seen, 4 %.
NOISE_WITHOUT_CONTROL = math.log(1.05)

Clock = Literal["cpu_s", "wall_s"]
Times = Mapping[int, float]  # by round
_TAIL_PERCENT = 95
_TOO_COARSE = "the clock of this system is too coarse for calls as short as these"


@dataclass(frozen=True, slots=True, eq=False)
class CostSession:
    """What one session measured: figures and the calls behind them, under the same labels."""

    report: CostReport
    samples: CostSamples


def stored_session(candidate: Scored, baseline: Scored) -> tuple[CostSession, str] | None:
    """Return the session that measured both models beside each other, and the baseline's label in it.

    Each of two stored results keeps what was measured of its own model. They are put together only where the same
    session made both: times of two sessions are never held against each other, on one machine neither. None where
    there is no such session.
    """
    new, old = candidate.cost, baseline.cost
    if new is None or old is None or candidate.samples is None or baseline.samples is None:
        return None
    if _session_of(new) != _session_of(old):
        return None
    label = baseline.model.name
    if label == candidate.model.name:
        label = f"{label} (baseline)"
    first, second = (_own(candidate.samples, candidate.model.name), _own(baseline.samples, baseline.model.name, label))
    samples = CostSamples(
        order=(candidate.model.name, label),
        samples=first.samples + second.samples,
        processes=first.processes + second.processes,
        failures={**first.failures, **second.failures},
    )
    costs = (new.of(candidate.model.name), old.of(baseline.model.name))
    models = tuple(replace(cost, model=name) for cost, name in zip(costs, samples.order, strict=True) if cost)
    return CostSession(replace(new, models=models, ratios=(), control=()), samples), label


def _session_of(report: CostReport) -> tuple[object, ...]:
    """Return what no two sessions share."""
    hardware = tuple(sorted(report.hardware.items()))
    return report.measured_at, report.seconds, report.seed, report.level, report.device, hardware


def _own(samples: CostSamples, model: str, label: str | None = None) -> CostSamples:
    """Return what was measured of one model, under another label where one is given."""
    name = label or model
    return CostSamples(
        order=(name,),
        samples=tuple(replace(sample, model=name) for sample in samples.samples if sample.model == model),
        processes=tuple(replace(process, model=name) for process in samples.processes if process.model == model),
        failures={name: samples.failures[model]} if model in samples.failures else {},
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """Two models in one session."""

    session: CostSession
    candidate: str
    baseline: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.candidate, self.baseline

    @property
    def is_shared(self) -> bool:
        """Whether both are one model that was measured once."""
        first, second = (
            [replace(s, model="") for s in self.session.samples.samples if s.model == label and s.copy == 0]
            for label in self.pair
        )
        return bool(first) and first == second

    def figure(self, label: str, metric: str) -> CostFigure | None:
        cost = self.session.report.of(label)
        return None if cost is None else cost.figure(metric)

    def clock(self, metric: CostMetric) -> Clock:
        """Return the clock that decides."""
        is_here = self.session.report.device == "cpu" and not any(map(self._is_remote, self.pair))
        return "cpu_s" if is_here and metric != "query_latency_p95" else "wall_s"

    def ratio(self, metric: CostMetric) -> Ratio | str:
        """Return the ratio of times (of texts per second for throughput), or why there is none."""
        if self.is_shared:
            return Ratio(0.0, 0.0, 1.0, len(self.calls(self.candidate, "query")), each=(0.0,))
        clock = self.clock(metric)
        found = _ESTIMATES[metric](self, clock)
        if isinstance(found, str):
            return found
        return replace(found, noise=max(found.noise, self._process_noise(clock)), each=(found.log,))

    def calls(self, label: str, kind: SampleKind, copy: int = 0) -> dict[int, Sample]:
        samples = self.session.samples.samples
        return {s.round: s for s in samples if (s.model, s.kind, s.copy) == (label, kind, copy)}

    def queries(self, label: str, clock: Clock, copy: int = 0) -> dict[int, float]:
        return {number: getattr(call, clock) for number, call in self.calls(label, "query", copy).items()}

    @property
    def rng(self) -> np.random.Generator:
        """The same numbers for every pair, so that a label changes no interval."""
        return np.random.default_rng(self.session.report.seed)

    def _is_remote(self, label: str) -> bool:
        """Tell whether a server computes: the report then has its wall times only."""
        by_wall, by_cpu = (self.figure(label, f"latency/{name}/mean_ms") for name in ("query", "query_cpu"))
        return by_wall is not None and by_cpu is None

    def start_order(self, clock: Clock) -> float:
        """Return how much of a log ratio the order of starting may make up, by the control; 0 where it can't tell."""
        found = self._control(clock)
        return 0.0 if isinstance(found, str) else found.noise

    def _process_noise(self, clock: Clock) -> float:
        """Return how far the control's interval reaches from "the same"."""
        found = self._control(clock)
        return NOISE_WITHOUT_CONTROL if isinstance(found, str) else abs(found.log) + _sampling(found)

    def _control(self, clock: Clock) -> Ratio | str:
        """Return how a model's second process compares with its first; the noise is all that their halves differ by."""
        twice = next((s.model for s in self.session.samples.samples if (s.copy, s.kind) == (1, "query")), None)
        if twice is None:
            return "no model was measured twice"
        return _typical(self.queries(twice, clock, 1), self.queries(twice, clock), self.rng)


# ------------------------------------------------------------ one session


def _sampling(ratio: Ratio) -> float:
    """Return the margin of the sampling alone."""
    return replace(ratio, noise=0.0).margin(TWO_SIDED)


def _latency(beside: Beside, clock: Clock) -> Ratio | str:
    first, second = (beside.queries(label, clock) for label in beside.pair)
    return _typical(first, second, beside.rng, start_order=beside.start_order(clock))


def _typical(candidate: Times, baseline: Times, rng: np.random.Generator, *, start_order: float = 0.0) -> Ratio | str:
    """Return the trimmed mean of log ratios, or why there is none."""
    if why := _why_none(candidate, baseline, MIN_SAMPLES):
        return why
    return typical_ratio(candidate, baseline, rng=rng, start_order=start_order)


def _tail(beside: Beside, clock: Clock) -> Ratio | str:
    first, second = (beside.queries(label, clock) for label in beside.pair)
    if why := _why_none(first, second, fewest_calls(_TAIL_PERCENT)):
        return why
    rounds = sorted(first.keys() & second.keys())
    n = len(rounds)
    rank = -(-n * _TAIL_PERCENT // 100) - 1
    logs = np.log([[of[number] for number in rounds] for of in (first, second)])
    draws = beside.rng.integers(n, size=(N_RESAMPLES, n))
    found = np.sort(logs, axis=1)[:, rank]
    drawn = np.partition(logs[:, draws], rank, axis=2)[:, :, rank]
    return Ratio(float(found[0] - found[1]), float(np.std(drawn[0] - drawn[1], ddof=1)), n - 1, n)


def _why_none(candidate: Times, baseline: Times, least: int) -> str:
    n = len(candidate.keys() & baseline.keys())
    if n < least:
        return f"{n} queries were timed on both models in turn, and {least} are needed"
    return _TOO_COARSE if min(*candidate.values(), *baseline.values()) <= 0 else ""


def _throughput(beside: Beside, clock: Clock) -> Ratio | str:
    first, second = (beside.calls(label, "throughput") for label in beside.pair)
    classes = {str(call.length_class) for call in (*first.values(), *second.values())}
    pairs = [(first[number], second[number]) for number in first.keys() & second.keys()]
    if any(getattr(call, clock) <= 0 for pair in pairs for call in pair):
        return _TOO_COARSE
    halves = [_rate([pair for pair in pairs if pair[0].half == half], classes, clock) for half in (0, 1)]
    known = [half for half in halves if isinstance(half, Ratio)]
    if known:
        return over_halves(known, start_order=beside.start_order(clock))
    return _rate(pairs, classes, clock)


def _rate(pairs: Sequence[tuple[Sample, Sample]], classes: Set[str], clock: Clock) -> Ratio | str:
    """Return the ratio of texts per second over these passes, all length classes alike, or why there is none."""
    strata: dict[str, list[float]] = {}
    for candidate, baseline in sorted(pairs, key=lambda pair: pair[0].round):
        log = math.log(getattr(baseline, clock) / getattr(candidate, clock))
        strata.setdefault(str(candidate.length_class), []).append(log)
    if not strata:
        return "no documents were timed on both models in turn"
    if missing := classes - strata.keys():
        return f"{', '.join(sorted(missing))} documents were not timed on both models in turn"
    return _mean_of_strata(list(strata.values()))


def _mean_of_strata(strata: Sequence[Sequence[float]]) -> Ratio | str:
    """Return the mean of the strata's means. That these differ is no noise: a model may be slow on long texts alone.

    The variances within the strata are pooled, for each of them has few passes.
    """
    n = sum(map(len, strata))
    freedom = n - len(strata)
    if not freedom:
        return "each length class was gone through once, which says nothing of the noise"
    means = [fmean(logs) for logs in strata]
    squares = sum((log - mean) ** 2 for logs, mean in zip(strata, means, strict=True) for log in logs)
    error = math.sqrt(squares / freedom * sum(1 / len(logs) for logs in strata)) / len(strata)
    return Ratio(fmean(means), error, freedom, n)


_ESTIMATES: Mapping[CostMetric, Callable[[Beside, Clock], Ratio | str]] = {
    "query_latency_p50": _latency,
    "query_latency_p95": _tail,
    "throughput": _throughput,
}
