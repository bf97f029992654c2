"""Quality against cost: how much better is a model, and what does it take for that?

    Comparison ── _dots ──> mean score and one cost of each model, with what is known of their doubt
               ── quality_against ──> points on a logarithmic cost axis, bars both ways, the front, the limit
               ── without_place ────> the models that have no such point, and why

The chosen model is a diamond with a bold label; a model that breaks the budget is hollow; variants of one model (other
dimension or precision) are joined by thin lines. Budget and choice are arguments, so that a slider redraws all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchkit.report import words
from benchkit.report.budget import pareto_front, within_budget
from benchkit.report.charts.base import PAPER, Chart, Row, chart
from benchkit.report.charts.costscale import SCALES, CostAxis, Scale
from benchkit.report.charts.labels import brief
from benchkit.report.charts.plane import HEIGHT, Dot, encoding, layers, plane_of
from benchkit.report.cost_view import ends, figure
from benchkit.report.view import metas_by_name, summaries
from benchkit.types.comparison import Comparison, Interval
from benchkit.types.cost import Budget

__all__ = ["CostAxis", "quality_against", "without_place"]

_TOLD = 6  # models that are told with their numbers
_ASIDE = 11.0  # px between models of one cost, whose error bars would be one line otherwise
_UNKNOWN: Mapping[CostAxis, str] = {
    "latency": "its latency was not measured",
    "memory": "its memory was not measured",
    "bytes": "it has no vectors of one size",
}


def quality_against(
    comparison: Comparison, cost: CostAxis = "latency", *, budget: Budget | None = None, choice: str | None = None
) -> Chart | None:
    """Return mean scores against a cost: the p95 latency of one query, peak memory or bytes per vector.

    Args:
        budget: What breaks it is hollow, and its limit on this cost is a line; None takes the comparison's.
        choice: The model to mark; None takes the recommended one.

    Returns:
        None where no model has both a mean and the cost.
    """
    limits = comparison.budget if budget is None else budget
    dots = _dots(comparison, cost, limits, comparison.recommendation.model if choice is None else choice)
    if not dots:
        return None
    scale, limit = SCALES[cost], SCALES[cost].limit(limits)
    plane = plane_of(dots, limit)
    rows = [_row(dot, scale) for dot in dots]
    return chart(
        f"quality-{scale.name}",
        f"Mean score against {scale.title}",
        _alt(dots, rows, scale, limit),
        rows=rows,
        height=HEIGHT,
        params=[dict(PAPER)],
        encoding=encoding(plane, scale),
        layer=layers(plane, scale, dots, limit),
    )


def without_place(comparison: Comparison, cost: CostAxis) -> tuple[str, ...]:
    """Return the models that the picture of this cost can't show, each with why."""
    return tuple(
        f"{brief(row.model)}: {reason}"
        for row in summaries(comparison)
        if (reason := _why_absent(comparison, row.model, row.mean_score, row.interval, cost))
    )


def _why_absent(
    comparison: Comparison, model: str, mean: float | None, interval: Interval | None, cost: CostAxis
) -> str:
    if mean is None:
        return "no mean score"
    found = _cost_of(comparison, model, cost)
    if found is not None and found[0] > 0:
        return ""
    ends_of_mean = words.span(interval)
    score = words.points(mean) + (f" ({ends_of_mean})" if ends_of_mean else "")
    return f"{score}, {_UNKNOWN[cost]}" if found is None else f"{score}, its cost is 0"


# --- what is drawn


def _dots(comparison: Comparison, cost: CostAxis, budget: Budget, choice: str | None) -> list[Dot]:
    found = {row.model: _cost_of(comparison, row.model, cost) for row in comparison.summary}
    rows = [row for row in summaries(comparison) if row.mean_score is not None]
    costs = {row.model: known for row in rows if (known := found[row.model]) and known[0] > 0}
    quality = {row.model: row.mean_score for row in rows}
    front = pareto_front(list(costs), quality, {model: (value,) for model, (value, _) in costs.items()})
    broken = within_budget(comparison.models, comparison.cost, budget)
    asides = _asides({model: value for model, (value, _) in costs.items()})
    metas = metas_by_name(comparison)
    return [
        Dot(
            model=row.model,
            origin=metas[row.model].id,
            dimension=metas[row.model].dimension,
            precision=metas[row.model].precision,
            mean=_points_of(row.mean_score or 0.0),
            interval=row.interval and Interval(_points_of(row.interval.low), _points_of(row.interval.high)),
            cost=costs[row.model][0],
            ends=costs[row.model][1],
            broken=broken[row.model],
            chosen=row.model == choice,
            on_front=row.model in front,
            aside=asides[row.model],
        )
        for row in rows
        if row.model in costs
    ]


def _cost_of(comparison: Comparison, model: str, cost: CostAxis) -> tuple[float, Interval | None] | None:
    if cost == "bytes":
        size = metas_by_name(comparison)[model].bytes_per_vector
        return None if size is None else (float(size), None)
    found = figure(comparison, model, words.P95 if cost == "latency" else words.MEMORY)
    return None if found is None else (found.value, ends(found))


def _points_of(score: float) -> float:
    return round(100 * score, 6)  # 0.57 is 57 points and not 56.99999999999999


def _asides(costs: Mapping[str, float]) -> dict[str, float]:
    sharing = Counter(costs.values())
    seen: Counter[float] = Counter()
    found = {}
    for model, cost in costs.items():
        found[model] = _ASIDE * (seen[cost] - (sharing[cost] - 1) / 2)
        seen[cost] += 1
    return found


def _row(dot: Dot, scale: Scale) -> Row:
    score = words.points(dot.mean / 100)
    span = words.span(dot.interval and Interval(dot.interval.low / 100, dot.interval.high / 100))
    value = f"{dot.cost:.0f}" if scale.name == "bytes" else words.digits(dot.cost)
    between = f" ({words.digits(dot.ends.low)}–{words.digits(dot.ends.high)})" if dot.ends else ""
    budget = f"; breaks the budget: {' and '.join(map(brief, dot.broken))}" if dot.broken else ""
    name = brief(dot.model)
    return {
        "model": name,
        "mean": dot.mean,
        "mean_low": dot.interval.low if dot.interval else None,
        "mean_high": dot.interval.high if dot.interval else None,
        "cost": dot.cost,
        "cost_low": dot.ends.low if dot.ends else None,
        "cost_high": dot.ends.high if dot.ends else None,
        "unit": scale.unit,
        "chosen": dot.chosen,
        "keeps_budget": not dot.broken,
        "on_front": dot.on_front,
        "aside": dot.aside,
        "said": f"{name}: {score}{f' ({span})' if span else ''} points at {value} {scale.unit}{between}{budget}",
    }


def _alt(dots: Sequence[Dot], rows: Sequence[Row], scale: Scale, limit: float | None) -> str:
    told = [str(row["said"]) for dot, row in zip(dots, rows, strict=True) if dot.chosen or dot.on_front]
    front = words.names(brief(dot.model) for dot in dots if dot.on_front)
    others = [brief(dot.model) for dot in dots if not (dot.chosen or dot.on_front)]
    chosen = next((brief(dot.model) for dot in dots if dot.chosen), None)
    said = [f"{'; '.join(told[:_TOLD])}.", f"On the front: {front}."]
    said += [f"The choice: {chosen}."] if chosen is not None else []
    said += [f"The limit is {limit:g} {scale.unit}."] if limit is not None else []
    return " ".join([*said, *([f"Behind: {words.names(others)}."] if others else [])])
