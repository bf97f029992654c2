"""From the samples of a session to its figures, paired ratios and noise floor. Pure: no clock, no process, no file.

    CostSamples ─┬─ of each model ──── cost.model_cost ─────────────────────> ModelCost
                 ├─ of each two ────── paired by round ── paired_ratio ────> ratios
                 └─ of one, measured twice ── the same ── steadiness ──────> control, unstable
    CostReport, CostReport ── check_comparable ──> refused where the hardware differs

A ratio is the mean of those of the halves (measure/halves.py). While the control finds the machine unsteady by one
clock, no ratio of that clock has a verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from benchkit.cost.figures import CLOCKS, CPU, WALL, deciding_metric
from benchkit.cost.model_cost import Calls, ModelCosts, calls_by_process, metric_rng
from benchkit.errors import UsageError
from benchkit.measure.latency import MIN_SAMPLES, paired_ratio, steadiness, typical_ratio
from benchkit.types.cost import CostLevel, CostRatio, CostReport, CostSamples, Price
from benchkit.types.model import ModelMeta

_WORDS: Mapping[str, str] = {WALL: "wall times", CPU: "CPU times"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where, when and how a session was measured; a report states all of it.

    Attributes:
        hardware: What decides a duration (measure/machine.py).
        measured_at: ISO 8601, UTC.
        seed: Of the bootstrap too.
        tolerance: Ratios of 1 / (1 + tolerance) to 1 + tolerance count as the same.
    """

    level: CostLevel
    device: str
    hardware: Mapping[str, str]
    measured_at: str
    seconds: float
    seed: int
    tolerance: float = 0.05


def summarise(
    samples: CostSamples,
    conditions: Conditions,
    *,
    models: Sequence[ModelMeta],
    baseline: str | None,
    price: Price | None = None,
    warnings: Sequence[str] = (),
    endpoints: Collection[str] = (),
) -> CostReport:
    """Return the costs of the models of one session.

    Args:
        models: Facts of the models, by label; the order is that of the samples.
        baseline: The model in the second place of its ratios.
        endpoints: Labels of models that a server computes: CPU time, memory and energy of this machine aren't theirs.
    """
    seed, tolerance = conditions.seed, conditions.tolerance
    calls, served = calls_by_process(samples), frozenset(endpoints)
    costs = ModelCosts(samples, calls, price, seed, served)
    pairing = _Pairing(calls, seed, tolerance, served)
    metas = {meta.name: meta for meta in models}
    metrics = (CPU, WALL) if deciding_metric(conditions.device) == CPU else (WALL, CPU)
    control = [found for metric in metrics for found in pairing.control(metric)]
    unsteady = {found.metric: steadiness(found, tolerance=tolerance) for found in control}
    ratios = [found for pair in _pairs(samples.order, baseline) for found in pairing.ratios(*pair, metrics)]
    return CostReport(
        level=conditions.level,
        device=conditions.device,
        models=tuple(costs.cost(model, metas.get(model)) for model in samples.order),
        ratios=tuple(replace(r, verdict="inconclusive") if unsteady.get(r.metric) else r for r in ratios),
        control=tuple(control),
        unstable=unsteady.get(metrics[0], ""),
        hardware=dict(conditions.hardware),
        measured_at=conditions.measured_at,
        seconds=conditions.seconds,
        seed=seed,
        tolerance=tolerance,
        warnings=(*warnings, *_noise_warnings(ratios, unsteady, metrics)),
    )


def check_comparable(hardware_a: Mapping[str, str], hardware_b: Mapping[str, str]) -> None:
    """Refuse to hold costs against each other that were not measured on one kind of machine.

    Raises:
        UsageError: with every fact that differs.
    """
    names = dict.fromkeys((*hardware_a, *hardware_b))
    differ = [
        f"{name} {hardware_a.get(name, 'not known')!r} against {hardware_b.get(name, 'not known')!r}"
        for name in names
        if hardware_a.get(name) != hardware_b.get(name)
    ]
    if differ:
        raise UsageError(
            f"costs of different hardware can't be compared: {', '.join(differ)}; measure both models on one machine"
        )


def _pairs(order: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """Return every pair once; a named baseline always stands in the second place, and its pairs come first."""
    if baseline is None or baseline not in order:
        return list(combinations(order, 2))
    others = [model for model in order if model != baseline]
    return [(model, baseline) for model in others] + list(combinations(others, 2))


def _noise_warnings(ratios: Sequence[CostRatio], unsteady: Mapping[str, str], metrics: Sequence[str]) -> Iterator[str]:
    deciding, other = metrics
    if ratios and deciding not in unsteady:
        yield "there is no control (a model measured twice), so the machine's share of a ratio isn't known"
    if deciding == CPU and unsteady.get(other) and not unsteady.get(deciding):
        yield f"{_WORDS[other]} have no verdict: {unsteady[other]}; {_WORDS[deciding]} decide"


@dataclass(frozen=True, slots=True)
class _Pairing:
    """The calls of a session, paired by round."""

    calls: Calls
    seed: int
    tolerance: float
    endpoints: frozenset[str]
    start_orders: dict[str, float] = field(init=False, default_factory=dict)  # by what is paired

    def __post_init__(self) -> None:
        self.start_orders.update({metric: self._start_order(metric) for metric in (WALL, CPU)})

    def control(self, metric: str) -> Iterator[CostRatio]:
        """Yield the second process of a model against its first."""
        for model in self._twice():
            yield from self._ratio((model, 1), (model, 0), metric)

    def ratios(self, candidate: str, baseline: str, metrics: Sequence[str]) -> Iterator[CostRatio]:
        for metric in metrics:
            if metric == WALL or not self.endpoints & {candidate, baseline}:
                yield from self._ratio((candidate, 0), (baseline, 0), metric)

    def _ratio(self, first: tuple[str, int], second: tuple[str, int], metric: str) -> Iterator[CostRatio]:
        """Yield the ratio of two processes; nothing where they have too few rounds, or durations, in common."""
        times = self._paired(first, second, metric)
        if times is not None:
            yield paired_ratio(
                *times,
                candidate=first[0],
                baseline=second[0],
                metric=metric,
                tolerance=self.tolerance,
                rng=metric_rng(self.seed, metric),
                start_order=self.start_orders[metric],
            )

    def _start_order(self, metric: str) -> float:
        """Return how much of a log ratio the order of starting may make up, by the control; 0 where there is none."""
        pairs = [self._paired((model, 1), (model, 0), metric) for model in self._twice()]
        found = [typical_ratio(*times, rng=metric_rng(self.seed, metric)).noise for times in pairs if times is not None]
        return max(found, default=0.0)

    def _twice(self) -> list[str]:
        return [model for model, copy, kind in self.calls if (copy, kind) == (1, "query")]

    def _paired(
        self, first: tuple[str, int], second: tuple[str, int], metric: str
    ) -> tuple[dict[int, float], dict[int, float]] | None:
        """Return the durations of two processes by round; None where too few rounds have both."""
        times = self._by_round(first, metric), self._by_round(second, metric)
        return times if len(times[0].keys() & times[1].keys()) >= MIN_SAMPLES else None

    def _by_round(self, process: tuple[str, int], metric: str) -> dict[int, float]:
        """Return the durations of a process by round; none where its clock stood still, for they have no ratio."""
        name = CLOCKS[metric]
        found = {sample.round: getattr(sample, name) for sample in self.calls.get((*process, "query"), [])}
        return found if all(duration > 0 for duration in found.values()) else {}
