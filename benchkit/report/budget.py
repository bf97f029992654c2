"""Costs in the verdict: which models keep the budget, and which are worth a look at all.

    ModelMeta, CostReport, Budget ─┬─ within_budget ──> why a model breaks it, or ()
                                   └─ cautions ───────> why it isn't certain that a model keeps it
    quality and costs of models, what is certain of their differences ── pareto_front ──> the models none beats

A measured value decides: at the limit or below, a model keeps it. Where the interval of the value reaches over the
limit, that isn't certain, and a caution says so; a breach that the interval leaves open says so too. To demand an
interval below the limit would turn down models for having been measured briefly, to be content with one that starts
below it would let a limit be broken. What isn't known breaks a limit: nobody can say that it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from benchkit.report import words
from benchkit.report.view import CPU_TIME, WALL_TIME, certain_ratio, ratio_between, turned_round
from benchkit.types.comparison import MEAN, PairResult
from benchkit.types.cost import Budget, CostFigure, CostReport
from benchkit.types.model import ModelMeta

# How a model stands to another one in one respect. "ahead" and "behind" are not certain: no better, but not as good.
_Standing = Literal["better", "ahead", "same", "behind", "worse"]
_AS_GOOD: tuple[_Standing, ...] = ("better", "ahead", "same")
_UNCERTAIN: Mapping[_Standing, _Standing] = {"better": "ahead", "worse": "behind"}


# --- the budget


def within_budget(
    models: Sequence[ModelMeta], cost: CostReport | None, budget: Budget
) -> Mapping[str, tuple[str, ...]]:
    """Return, for each model, why it breaks the budget; () where it keeps it.

    Each reason goes on from the model's name: "its p95 latency of 12.3 ms is over 10 ms".
    """
    return {model.name: tuple(_reasons(model, cost, budget)) for model in models}


def cautions(models: Sequence[ModelMeta], cost: CostReport | None, budget: Budget) -> Mapping[str, tuple[str, ...]]:
    """Return, for each model, which limits it keeps without this being certain; () where all is certain or broken.

    Each goes on from the model's name: "its p95 latency of 9.5 ms keeps the limit of 10 ms, but not for certain (95 %
    interval 8.9–10.4)". A single measurement (memory) has no interval and is taken as it is.
    """
    return {model.name: tuple(_unsure(model, cost, budget)) for model in models}


def _reasons(model: ModelMeta, cost: CostReport | None, budget: Budget) -> Iterator[str]:
    for name, unit, found, limit in _measured(model, cost, budget):
        if found is None:
            yield f"its {name} was not measured, so it isn't certain that it keeps the limit of {limit:g} {unit}"
        elif found.value > limit:
            yield _over(name, unit, found, limit)
    for name, value, most in (
        ("{} bytes per vector", model.bytes_per_vector, budget.max_bytes_per_vector),
        ("{} dimensions", model.dimension, budget.max_dim),
    ):
        if most is None:
            continue
        if value is None:
            yield f"the size of its vectors isn't known, so it isn't certain that it keeps {name.format(most)}"
        elif value > most:
            yield f"its {name.format(value)} are over {most}"
    yield from _licence(model, budget)


def _licence(model: ModelMeta, budget: Budget) -> Iterator[str]:
    if not budget.licenses or (model.license or "").casefold() in {allowed.casefold() for allowed in budget.licenses}:
        return
    allowed = " or ".join(budget.licenses)
    if model.license:
        yield f"its licence {model.license} is not {allowed}"
    else:
        yield f"its licence isn't known, so it isn't certain that it is {allowed}"


def _over(name: str, unit: str, found: CostFigure, limit: float) -> str:
    value = words.digits(found.value)
    if float(value) <= limit:  # "10.0 ms is over 10 ms" would puzzle
        value = next(text for places in range(4, 18) if float(text := f"{found.value:.{places}g}") > limit)
    said = f"its {name} of {value} {unit} is over {limit:g} {unit}"
    is_open = found.ci_low is not None and found.ci_low <= limit
    return f"{said}, though not for certain (95 % interval {words.figure_span(found)})" if is_open else said


def _unsure(model: ModelMeta, cost: CostReport | None, budget: Budget) -> Iterator[str]:
    for name, unit, found, limit in _measured(model, cost, budget):
        if found is None or found.value > limit:
            continue
        said = (
            f"its {name} of {words.digits(found.value)} {unit} keeps the limit of {limit:g} {unit}, but not for certain"
        )
        if found.ci_high is not None and found.ci_high > limit:
            yield f"{said} (95 % interval {words.figure_span(found)})"
        elif found.metric == words.P95 and found.ci_high is None:
            yield f"{said} ({found.n} calls are too few for an interval)"
        elif found.metric == words.P95 and cost is not None and cost.unstable:
            yield f"{said} (the machine was too noisy)"


def _measured(
    model: ModelMeta, cost: CostReport | None, budget: Budget
) -> Iterator[tuple[str, str, CostFigure | None, float]]:
    """Yield the limits that are set on what is measured: name, unit, figure, limit."""
    found = cost.of(model.name) if cost else None
    for name, unit, metric, limit in (
        ("p95 latency", "ms", words.P95, budget.max_p95_ms),
        ("peak memory", "MiB", words.MEMORY, budget.max_memory_mib),
    ):
        if limit is not None:
            yield name, unit, found.figure(metric) if found else None, limit


# --- the front


def pareto_front(
    names: Sequence[str],
    quality: Mapping[str, float | None],
    costs: Mapping[str, Sequence[float | None]],
    *,
    pairs: Sequence[PairResult] = (),
    cost: CostReport | None = None,
) -> tuple[str, ...]:
    """Return the models that no other model beats, in the order of the names.

    One model beats another that it is as good as in every respect and better than in one. Of numbers alone, higher
    quality and lower cost are better. Where the difference was tested:

    - "same" makes two models equal, whatever the numbers;
    - an inconclusive difference beats nobody, and the model that is behind is not as good: a model that may well be
      the best one is worth a look, and recommend.py takes none for being smaller than it either.

    What isn't known is worst, but being known beats nobody. A model without quality is not on the front. Models that
    beat each other in a circle, as ties allow, all stay.

    Args:
        quality: Mean score; higher is better.
        costs: For each model as many numbers, the latency first; lower is better.
        pairs: What is certain of the mean scores.
        cost: What is certain of the latencies, by paired ratios.

    Raises:
        ValueError: models with different numbers of costs.

    >>> pareto_front(["a", "b", "c"], {"a": 0.7, "b": 0.6, "c": 0.6}, {"a": (9.0,), "b": (5.0,), "c": (6.0,)})
    ('a', 'b')
    """
    scored = [name for name in names if quality.get(name) is not None]
    if len({len(costs.get(name, ())) for name in scored}) > 1:
        raise ValueError("a front needs the same costs of every model; None stands for one that isn't known")
    tested = {
        (pair.candidate, pair.baseline): pair for pair in (*pairs, *map(turned_round, pairs)) if pair.task == MEAN
    }
    beats = {
        one: {
            other
            for other in scored
            if other != one and _beats([_quality(one, other, quality, tested), *_costs(one, other, costs, cost)])
        }
        for one in scored
    }
    ahead = {name: _reached(name, beats) for name in scored}
    return tuple(name for name in scored if all(other in ahead[name] for other in scored if name in beats[other]))


def _beats(standings: Sequence[_Standing]) -> bool:
    return "better" in standings and all(standing in _AS_GOOD for standing in standings)


def _reached(start: str, beats: Mapping[str, set[str]]) -> set[str]:
    """Return the models that are beaten by one, or by one of these, and so on."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = beats[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def _quality(
    one: str, other: str, quality: Mapping[str, float | None], tested: Mapping[tuple[str, str], PairResult]
) -> _Standing:
    pair = tested.get((one, other))
    numbers = _by_numbers(quality[other], quality[one])  # turned round: higher is better
    if pair is None:
        return numbers
    return pair.verdict if pair.verdict != "inconclusive" else _uncertain(numbers)


def _costs(
    one: str, other: str, costs: Mapping[str, Sequence[float | None]], cost: CostReport | None
) -> Iterator[_Standing]:
    for place, (first, second) in enumerate(zip(costs.get(one, ()), costs.get(other, ()), strict=True)):
        numbers = _by_numbers(first, second)
        yield _latency(one, other, numbers, cost) if place == 0 else numbers


def _latency(one: str, other: str, numbers: _Standing, cost: CostReport | None) -> _Standing:
    """Return how the latencies stand: by the paired ratio where there is one, or else by the numbers."""
    certain = certain_ratio(cost, one, other)
    if certain is not None:
        return "better" if certain.verdict == "cheaper" else "worse"
    ratios = [ratio_between(cost, one, other, metric) for metric in _clocks(cost)] if cost else []
    verdicts = {ratio.verdict for ratio in ratios if ratio}
    if "same" in verdicts and cost is not None and not cost.unstable:
        return "same"
    return _uncertain(numbers) if verdicts else numbers


def _clocks(cost: CostReport) -> tuple[str, ...]:
    return (WALL_TIME, CPU_TIME) if cost.device == "cpu" else (WALL_TIME,)


def _by_numbers(first: float | None, second: float | None) -> _Standing:
    """Return how one number stands to another, lower being better; nothing is better than what isn't known."""
    if first is None or second is None:
        return "same" if first is second else "behind" if first is None else "ahead"
    return "better" if first < second else "worse" if first > second else "same"


def _uncertain(numbers: _Standing) -> _Standing:
    return _UNCERTAIN.get(numbers, numbers)
