"""What reports show of cost, computed once: every renderer has the same figures in the same order.

Comparison ─┬─ columns ───────> the figures that stand beside the scores
            ├─ lines ─────────> every figure, one line for each metric
            ├─ ratios ────────> paired ratios of latency
            ├─ over_budget, latency_front ──> which models are too dear, which are worth a look
            └─ session_words ─> the machine, the noise floor, the age of the figures
CostReport ── render_cost, cost_to_dict ──> `benchkit cost`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchkit.report import warning_words, words
from benchkit.report.budget import cautions, pareto_front, within_budget
from benchkit.report.view import CPU_TIME, WALL_TIME, summaries
from benchkit.types.comparison import Comparison, Interval
from benchkit.types.cost import Budget, CostFigure, CostRatio, CostReport, ModelCost

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TEXTS_PER_S = "throughput/texts_per_s"
# What stands beside the scores, by heading: its unit is in the heading.
COLUMNS: Mapping[str, str] = {"p95 ms": words.P95, "texts/s": TEXTS_PER_S, "peak MiB": words.MEMORY}
COLUMN_NOTE = (
    "p95 ms: latency of one query at a time; texts/s: throughput on documents; peak MiB: memory of the process"
)
_NAME_CELLS = 30  # of a model's name over its figures
_GAP = 2
FRONT_MARK = "*"
FRONT_NOTE = (
    "on the Pareto front: no other model is surely as good in mean, latency, memory and size, and better in one"
)

_TIMES: Mapping[str, str] = {WALL_TIME: "wall time", CPU_TIME: "CPU time"}
_HARDWARE: Mapping[str, str] = {
    "cpu": "{}",
    "cores": "{} cores",
    "cores_allowed": "{} of them allowed",
    "cpu_quota": "a quota of {} cores",
    "threads": "{} threads",
    "ram_gib": "{} GiB",
    "gpu": "{}",
    "machine": "{}",
    "system": "{}",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One metric, with the figure of each model in the order of the summary; None where it wasn't measured."""

    metric: str
    unit: str
    figures: tuple[CostFigure | None, ...]


def figure(comparison: Comparison, model: str, metric: str) -> CostFigure | None:
    """Return a figure of a model, or None."""
    found = comparison.cost.of(model) if comparison.cost else None
    return found.figure(metric) if found else None


def ends(found: CostFigure) -> Interval | None:
    """Return the interval of a figure where it fits a logarithmic axis."""
    if found.ci_low is None or found.ci_high is None or found.ci_low <= 0:
        return None
    return Interval(found.ci_low, found.ci_high)


def columns(comparison: Comparison) -> dict[str, tuple[CostFigure | None, ...]]:
    """Return the figures beside the scores by heading, in the order of the summary; none where nothing was measured."""
    order = [row.model for row in summaries(comparison)]
    found = {head: tuple(figure(comparison, model, metric) for model in order) for head, metric in COLUMNS.items()}
    return {heading: figures for heading, figures in found.items() if any(figures)}


def lines(comparison: Comparison) -> list[Line]:
    """Return every metric that some model has."""
    cost, order = comparison.cost, [row.model for row in summaries(comparison)]
    if cost is None:
        return []
    return [
        Line(metric, unit, tuple(figure(comparison, model, metric) for model in order))
        for metric, unit in _metrics(cost).items()
    ]


def _metrics(cost: CostReport) -> dict[str, str]:
    """Return the units of all metrics; one that only some models have comes after the one that it follows there."""
    order: list[str] = []
    units: dict[str, str] = {}
    for model in cost.models:
        place = 0
        for found in model.figures:
            if found.metric not in units:
                order.insert(place, found.metric)
                units[found.metric] = found.unit
            place = order.index(found.metric) + 1
    return {metric: units[metric] for metric in order}


def time_words(found: CostRatio) -> str:
    """Return what was paired: "wall time" or "CPU time"."""
    return _TIMES.get(found.metric, words.plain(found.metric))


def ratio_note(cost: CostReport) -> str:
    """Return how the verdicts on ratios were made."""
    most = 1 + cost.tolerance
    return (
        "Trimmed geometric means of the ratios of calls that were made right after each other, with 95 % intervals; "
        f'"same" means within {1 / most:.3f} to {most:.3f}, and "inconclusive" that more calls or a quieter machine '
        "would be needed."
    )


def notes(cost: CostReport) -> list[str]:
    """Return what is to be said of single models, each sentence once with its models."""
    models: dict[str, list[str]] = {}
    for found in cost.models:
        for note in found.notes:
            models.setdefault(words.plain(note), []).append(found.model)
    return [f"{words.names(having)}: {note}" for note, having in models.items()]


# --- budget and front


def over_budget(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """Return, for each model that breaks the budget, why."""
    reasons = within_budget(comparison.models, comparison.cost, comparison.budget)
    return {model: found for model, found in reasons.items() if found}


def latency_front(comparison: Comparison) -> tuple[str, ...]:
    """Return the models of the stair that a picture draws: by its numbers, none is both better and faster."""
    quality = {row.model: row.mean_score for row in comparison.summary if row.mean_score is not None}
    found = {model: figure(comparison, model, words.P95) for model in quality}
    costs = {model: (p95.value,) for model, p95 in found.items() if p95}
    return pareto_front(list(costs), quality, costs)


def budget_words(budget: Budget) -> str:
    """Return the limits: "p95 latency up to 20 ms, memory up to 600 MiB"; "" when there are none."""
    limits = (
        ("p95 latency up to {} ms", budget.max_p95_ms),
        ("memory up to {} MiB", budget.max_memory_mib),
        ("up to {} bytes per vector", budget.max_bytes_per_vector),
        ("up to {} dimensions", budget.max_dim),
    )
    said = [text.format(f"{limit:g}") for text, limit in limits if limit is not None]
    licences = f"licence {' or '.join(map(words.plain, budget.licenses))}"
    return ", ".join([*said, *([licences] if budget.licenses else [])])


def budget_lines(comparison: Comparison) -> list[str]:
    """Return, in the order of the summary, which models break the budget, and which may not keep it."""
    broken, unsure = over_budget(comparison), cautions(comparison.models, comparison.cost, comparison.budget)
    said = []
    for model in (row.model for row in summaries(comparison)):
        if model in broken:
            said.append(f"{words.plain(model)} breaks the budget: {' and '.join(map(words.plain, broken[model]))}.")
        said += [f"{words.plain(model)}: {words.plain(caution)}." for caution in unsure.get(model, ())]
    return said


# --- the session


def session_words(cost: CostReport) -> str:
    """Return on what the costs were measured, and how much of a difference is noise."""
    machine = ", ".join(_hardware(cost.hardware)) or "an unknown machine"
    how = (
        f"{words.plain(cost.device)}, single queries on one thread"
        if cost.device == "cpu"
        else words.plain(cost.device)
    )
    said = [f"Costs on {machine} ({how})", *control_words(cost.control)]
    if cost.from_cache:
        said.append(f"measured on {words.plain(cost.measured_at[:10])}, not in this run")
    return "; ".join(said) + "."


def control_words(control: Sequence[CostRatio]) -> list[str]:
    """Return the ratio of a model to itself, by what was paired: "A/A: 1.003 (0.996 to 1.010)"."""
    said = []
    for found in control:
        which = f" of {time_words(found)}" if len(control) > 1 else ""
        said.append(f"A/A{which}: {found.ratio:.3f} ({found.ci_low:.3f} to {found.ci_high:.3f})")
    return said


def _hardware(values: Mapping[str, str]) -> list[str]:
    told = {key: value for key, value in values.items() if value}
    if told.get("cores_allowed") == told.get("cores"):
        told.pop("cores_allowed", None)
    known = [text.format(words.plain(told[key])) for key, text in _HARDWARE.items() if key in told]
    return known + [f"{words.plain(key)} {words.plain(value)}" for key, value in told.items() if key not in _HARDWARE]


# --- costs without scores


def render_cost(report: CostReport, console: Console, *, stored: CostReport | None = None) -> None:
    """Print costs alone, a line for each metric; colour and width are the console's.

    Models that don't fit beside each other come in tables below each other: a number is never cut.

    Args:
        stored: Costs of an earlier session on the same hardware, shown beside those of the same model.
    """
    from rich.text import Text  # rich is only for terminals

    for table in _cost_tables(report, stored, console.width):
        console.print(table, crop=False)
        console.print()
    for line in _below(report, stored):
        console.print(Text(line))


def _cost_tables(report: CostReport, stored: CostReport | None, width: int) -> Iterator[Table]:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    metrics = _metrics(report)
    # The unit of a price is no part of its name.
    labels = [
        words.plain(f"{metric} {unit}" if metric.startswith("price/") else metric) for metric, unit in metrics.items()
    ]
    columns = [
        [words.plain(model.model, _NAME_CELLS), *(_beside(model, metric, stored) for metric in metrics)]
        for model in report.models
        if model.figures
    ]
    first = max(map(cell_len, labels), default=0)
    for block in _blocks(columns, [_GAP + max(map(cell_len, column)) for column in columns], width - first):
        needed = first + sum(_GAP + max(map(cell_len, column)) for column in block)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), width=needed)
        table.add_column("metric", no_wrap=True)
        for heading, *_ in block:
            table.add_column(Text(heading), justify="right", no_wrap=True)
        for place, label in enumerate(labels, start=1):
            table.add_row(Text(label), *(Text(column[place]) for column in block))
        yield table


def _blocks(columns: Sequence[list[str]], widths: Sequence[int], room: int) -> list[list[list[str]]]:
    """Return the columns in as few runs as fit; one that is too wide stands alone."""
    blocks: list[list[list[str]]] = []
    left = 0
    for column, width in zip(columns, widths, strict=True):
        if not blocks or width > left:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= width
    return blocks


def _beside(model: ModelCost, metric: str, stored: CostReport | None) -> str:
    found = model.figure(metric)
    interval = words.figure_span(found)
    said = words.figure(found) + (f" ({interval})" if interval else "")
    before = stored.of(model.model) if stored else None
    return f"{said}, was {words.figure(before.figure(metric))}" if before else said


def _below(report: CostReport, stored: CostReport | None) -> list[str]:
    lines = [session_words(report), *(_ratio_sentence(found) for found in report.ratios), *notes(report)]
    if stored is not None:
        lines += _about_stored(report, stored)
    warned = [f"Warning: {warning}" for warning in warning_words.cost_warnings(report)]
    return [*lines, *([""] if warned else []), *warned]


def _about_stored(report: CostReport, stored: CostReport) -> Iterator[str]:
    """Yield what a reader must know who holds two sessions against each other."""
    yield (
        f'"was" is what was measured on {words.plain(stored.measured_at[:10])}, in a session of its own: it may differ '
        "by chance, by what else ran, and by its texts where the suite was another one. Only models that are measured "
        "beside each other can be told apart."
    )
    for model in report.models:
        before = stored.of(model.model)
        if before is not None and before.engine != model.engine:
            engines = words.plain(before.engine or "none"), words.plain(model.engine or "none")
            yield f'{words.plain(model.model)}: "was" is of the engine {engines[0]}, and it is {engines[1]} now.'


def _ratio_sentence(found: CostRatio) -> str:
    first, second, what = words.plain(found.candidate), words.plain(found.baseline), time_words(found)
    ratio, interval = words.ratio(found.ratio), words.ratio_span(found)
    return f"{first} takes {ratio} the {what} of {second} per query (95 % interval {interval}): {found.verdict}."
