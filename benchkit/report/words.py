"""The one place where numbers and verdicts become words.

    number ── points · signed_points · span · count ──> text        scores x 100 with one decimal, differences with sign
    CostFigure, CostRatio ── figure · ratio ──> text                costs with three digits, "8.30", "2.90x"
    Comparison ── verdict_sentence ──> what to take, against what, and what stays open
    Comparison ── warnings ──> what a reader must know before trusting it
    PairResult ── pair_sentence · pair_words ──> one difference

A sentence says no more than the verdicts do: "better" and "worse" only where the verdict is that, "the same" only
within the margin that was asked for, and "can't be told apart" is not "the same".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from benchkit.report.view import pair_between, summary_of, turned_round
from benchkit.types.comparison import MEAN, Comparison, Interval, ModelSummary, PairResult, ScoredCell, Verdict
from benchkit.types.cost import CostFigure, CostRatio, CostReport, ModelCost
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult

ABSENT = "–"  # a score that nobody has; an empty field would look like a mistake of the table
FAILED = "failed"
P95, MEMORY = "latency/query/p95_ms", "memory/peak_mib"  # the two costs that a sentence names
_SHOWN_NAMES = 6  # of a list in a sentence; more than this and nobody reads it
# Marks that turn the direction of the text after them: data could make a line read backwards.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


# --- numbers


def points(score: float | None) -> str:
    """Return a score as points.

    >>> points(0.612)
    '61.2'
    """
    if score is None or math.isnan(score):
        return ABSENT
    text = f"{score * 100:.1f}"
    return "0.0" if text == "-0.0" else text


def signed_points(delta: float | None) -> str:
    """Return a difference as points; a tiny one keeps its sign, since the side of 0 is what an interval tells.

    >>> signed_points(0.041), signed_points(-0.0001), signed_points(0.0)
    ('+4.1', '-0.0', '0.0')
    """
    if delta is None or math.isnan(delta):
        return ABSENT
    return f"{delta * 100:+.1f}" if delta else "0.0"


def span(interval: Interval | None) -> str:
    """Return an interval of a score; "" when there is none.

    >>> span(Interval(0.589, 0.635)), span(Interval(-0.012, 0.034))
    ('58.9–63.5', '-1.2 to 3.4')
    """
    if interval is None:
        return ""
    return _ends(points(interval.low), points(interval.high))


def signed_span(interval: Interval | None) -> str:
    """Return an interval of a difference; "" when there is none.

    >>> signed_span(Interval(0.022, 0.06))
    '+2.2 to +6.0'
    """
    return "" if interval is None else f"{signed_points(interval.low)} to {signed_points(interval.high)}"


def p_words(p: float | None) -> str:
    """Return a p-value so that it never seems to reach a level that it doesn't.

    >>> p_words(0.0496), p_words(0.0002), p_words(None)
    ('0.0496', '<0.001', '–')
    """
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3g}"


def rank(summary: ModelSummary) -> str:
    """Return the ranks that the data leave open: "1" or "1–2"."""
    if summary.rank_low is None or summary.rank_high is None:
        return ABSENT
    same = summary.rank_low == summary.rank_high
    return str(summary.rank_low) if same else f"{summary.rank_low}–{summary.rank_high}"


def count(n: int | None) -> str:
    """Return a whole number as it is."""
    return ABSENT if n is None else str(n)


def items_behind(cells: Sequence[CellResult]) -> str:
    """Return how many items are behind the scores of a task, and of which part of its data: "40 (40 of 1379 items)"."""
    n_items = next((cell.n_items for cell in cells if cell.n_items is not None), None)
    part = next((plain(cell.limited) for cell in cells if cell.limited), "")
    return count(n_items) + (f" ({part})" if part else "")


def counted(n: int, noun: str) -> str:
    """Return "1 task", "4 tasks" or "12,000 tasks"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def parameters(n: int | None) -> str:
    """Return a number of parameters with three digits.

    >>> parameters(22_700_000), parameters(999_600_000), parameters(950)
    ('22.7M', '1.00B', '950')
    """
    if n is None:
        return ABSENT
    for letter, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= 0.9995 * size:  # what rounds to 1000 of one unit is 1.00 of the next
            return f"{_three_digits(n / size)}{letter}"
    return str(n)


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def digits(value: float | None) -> str:
    """Return a cost with three digits, or all digits of its whole part.

    >>> digits(41.234), digits(8.3), digits(0.04567), digits(12345.6), digits(20.0), digits(None)
    ('41.2', '8.30', '0.0457', '12346', '20.0', '–')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.0f}" if abs(value) >= 99.95 or value == 0 else f"{value:#.3g}".rstrip(".")


def figure(found: CostFigure | None) -> str:
    """Return the number of a figure without its unit; a dash where it was not measured."""
    if found is None:
        return ABSENT
    counted = found.metric.startswith("vector/") and found.value == int(found.value)
    return f"{found.value:.0f}" if counted else digits(found.value)


def figure_span(found: CostFigure | None) -> str:
    """Return the interval of a figure; "" when there is none."""
    if found is None or found.ci_low is None or found.ci_high is None:
        return ""
    return _ends(digits(found.ci_low), digits(found.ci_high))


def ratio(value: float) -> str:
    """Return a ratio: "2.90x", "0.996x", "12.3x"."""
    return f"{value:#.3g}".rstrip(".") + "x"


def ratio_span(found: CostRatio) -> str:
    return _ends(ratio(found.ci_low).rstrip("x"), ratio(found.ci_high).rstrip("x"))


def _ends(low: str, high: str) -> str:
    return f"{low} to {high}" if "-" in low + high else f"{low}–{high}"


# --- words


def plain(text: str, limit: int | None = None) -> str:
    """Return text of the data on one line, without characters that steer a terminal or turn the line round.

    >>> plain("two\\nlines and \\x1b[31mred", 17)
    'two lines and �[…'
    """
    flat = _TURNING.sub("\ufffd", " ".join(text.split()))
    flat = "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in flat)
    return flat if limit is None or len(flat) <= limit else flat[: limit - 1] + "…"


def names(all_names: Iterable[str]) -> str:
    """Return names as a list in a sentence.

    >>> names(["a", "b", "c"])
    'a, b and c'
    """
    shown = [plain(name) for name in all_names]
    if len(shown) > _SHOWN_NAMES:
        shown = [*shown[: _SHOWN_NAMES - 1], f"{len(shown) - _SHOWN_NAMES + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def task_words(task: str) -> str:
    """Return a task's name, or what "*" stands for."""
    return "the mean over all tasks" if task == MEAN else plain(task)


def cell_words(scored: ScoredCell | None) -> str:
    """Return the score of a cell, "failed", or a dash where it was skipped or never run."""
    if scored is None:
        return ABSENT
    return FAILED if scored.result.status == "failed" else points(scored.result.main_score)


def type_words(comparison: Comparison, summary: ModelSummary, kind: str) -> str:
    """Return a model's mean over one task type, "failed" where a task of the type failed, or a dash."""
    if kind in summary.by_type:
        return points(summary.by_type[kind])
    cells = [scored.result for scored in comparison.cells if scored.result.model == summary.model]
    return FAILED if any(cell.type == kind and cell.status == "failed" for cell in cells) else ABSENT


def size_words(meta: ModelMeta) -> str:
    """Return what one vector takes: "384 dimensions, 1536 bytes per vector"; "" when nothing is known."""
    said = []
    if meta.dimension is not None:
        said.append(f"{meta.dimension} dimensions")
    if meta.bytes_per_vector is not None:
        said.append(f"{meta.bytes_per_vector} bytes per vector")
    return ", ".join(said)


def cost_words(cost: CostReport | None, model: str) -> str:
    """Return what a model costs: "8.30 ms p95 query latency, 617 MiB peak memory"; "" when nothing was measured."""
    found = cost.of(model) if cost else None
    named = ((P95, "ms p95 query latency"), (MEMORY, "MiB peak memory"))
    figures = [(found.figure(metric), unit) for metric, unit in named] if found else []
    return ", ".join(f"{digits(figure.value)} {unit}" for figure, unit in figures if figure)


def margin_words(margin: float) -> str:
    """Return the margin: "±1.0 points"."""
    return f"±{points(margin)} points"


def difference_words(pair: PairResult) -> str:
    """Return a difference with its interval: "+4.1 points, 95 % interval +2.2 to +6.0"; "" when there is none."""
    if pair.delta is None:
        return ""
    interval = f", 95 % interval {signed_span(pair.interval)}" if pair.interval else ""
    return f"{signed_points(pair.delta)} points{interval}"


def pair_words(pair: PairResult | None) -> str:
    """Return a difference for a table: "+4.1 (+2.2 to +6.0) better"; a dash when it was not compared."""
    if pair is None or pair.delta is None:
        return ABSENT
    interval = f" ({signed_span(pair.interval)})" if pair.interval else ""
    return f"{signed_points(pair.delta)}{interval} {pair.verdict}"


def pair_sentence(pair: PairResult, margin: float) -> str:
    """Return what was found between two models on one task, or on the mean."""
    first, second, where = plain(pair.candidate), plain(pair.baseline), f"on {task_words(pair.task)}"
    if pair.delta is None:
        reason = f": {plain(pair.reason)}" if pair.reason else ""
        return f"{first} and {second} were not compared {where}{reason}."
    said = {
        "better": f"{first} is better than {second} {where}",
        "worse": f"{first} is worse than {second} {where}",
        "same": f"{first} and {second} are the same within {margin_words(margin)} {where}",
        "inconclusive": f"{first} and {second} can't be told apart {where}",
    }[pair.verdict]
    p = "" if pair.p_holm is None else f", p {p_equals(pair.p_holm)} after Holm's correction"
    return f"{said}: {difference_words(pair)}{p}."


def p_equals(p: float) -> str:
    text = p_words(p)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


# --- the verdict


def verdict_sentence(comparison: Comparison) -> str:
    """Return which model to take, how it stands to the baseline, what it costs and which models stay open."""
    model = comparison.recommendation.model
    if model is None:
        reason = plain(comparison.recommendation.reason).rstrip(".")
        return f"No recommendation: {reason or 'there is nothing to choose from'}."
    if len(comparison.models) == 1:
        return f"{_taken(comparison, model)}. There is no other model to compare it with."
    taken, others = _taken(comparison, model), _against_others(comparison, model)
    if not _is_tested(comparison, model):
        return " ".join([f"The best here is {taken}.", *others, "Whether it holds for other data was not tested."])
    return " ".join([f"Take {taken}.", *others])


def why_sentence(comparison: Comparison) -> str:
    """Return the reason of the recommendation as a sentence; "" when there is none to add."""
    reason = plain(comparison.recommendation.reason).rstrip(".")
    return f"Why: {reason}." if reason and comparison.recommendation.model is not None else ""


def _taken(comparison: Comparison, model: str) -> str:
    meta = next((meta for meta in comparison.models if meta.name == model), None)
    size = ", ".join(filter(None, [size_words(meta) if meta else "", cost_words(comparison.cost, model)]))
    parts = [_mean_words(summary_of(comparison, model)), _against_baseline(comparison, model), size and f"at {size}"]
    return f"{plain(model)}: {', '.join(part for part in parts if part)}"


def _mean_words(summary: ModelSummary | None) -> str:
    if summary is None or summary.mean_score is None:
        return "no mean score"
    interval = summary.interval
    ends = f" ({points(interval.low)} to {points(interval.high)})" if interval else " (no interval)"
    return points(summary.mean_score) + ends


def _against_baseline(comparison: Comparison, model: str) -> str:
    baseline = comparison.baseline
    if baseline is None or baseline == model:
        return ""
    pair, name = pair_between(comparison, model, baseline), plain(baseline)
    if pair is None or pair.delta is None:
        return f"not compared with {name}"
    difference = difference_words(pair)
    return {
        "better": f"{signed_points(pair.delta)} points over {name}{_in_brackets(pair.interval)}",
        "worse": f"{signed_points(pair.delta)} points against {name}, which is better{_in_brackets(pair.interval)}",
        "same": f"the same as {name} within {margin_words(comparison.margin)} ({difference})",
        "inconclusive": f"not told apart from {name} ({difference})",
    }[pair.verdict]


def _is_tested(comparison: Comparison, model: str) -> bool:
    """Tell whether a difference between the model and another one has an interval; a few items give none."""
    pairs = (pair_between(comparison, model, meta.name) for meta in comparison.models if meta.name != model)
    return any(pair is not None and pair.interval is not None for pair in pairs)


def _in_brackets(interval: Interval | None) -> str:
    return f" (95 % interval {signed_span(interval)})" if interval else ""


def _against_others(comparison: Comparison, model: str) -> list[str]:
    """Say how the recommended model stands to each other model; the baseline was spoken of before."""
    found: dict[Verdict, list[PairResult]] = defaultdict(list)
    alone: list[str] = []
    for other in [meta.name for meta in comparison.models if meta.name not in (model, comparison.baseline)]:
        pair = pair_between(comparison, model, other)
        if pair is None or pair.delta is None:
            alone.append(other)
        else:
            found[pair.verdict].append(pair)
    return [*_found_sentences(found, comparison.margin), *_not_compared(comparison, model, alone)]


def _found_sentences(found: dict[Verdict, list[PairResult]], margin: float) -> list[str]:
    others = {verdict: [pair.baseline for pair in pairs] for verdict, pairs in found.items()}
    said = [
        f"{plain(pair.baseline)} is better: {difference_words(turned_round(pair))}." for pair in found.get("worse", [])
    ]
    if same := others.get("same"):
        said.append(f"{names(same)} {_be(same)} the same within {margin_words(margin)}.")
    if tied := others.get("inconclusive"):
        said.append(f"{names(tied)} can't be told apart from it on these data.")
    if beaten := others.get("better"):
        said.append(f"{names(beaten)} {_be(beaten)} worse.")
    return said


def _not_compared(comparison: Comparison, model: str, others: Sequence[str]) -> list[str]:
    lacking = [name for name in others if _has_no_mean(comparison, name)]
    apart = [name for name in others if name not in lacking]
    said = []
    if apart:
        only = "" if comparison.baseline in (None, model) else f", only with {plain(str(comparison.baseline))}"
        said.append(f"{names(apart)} {_be(apart, past=True)} not compared with it{only}.")
    if lacking:
        said.append(f"{names(lacking)} {'has' if len(lacking) == 1 else 'have'} no score on every task.")
    return said


def _has_no_mean(comparison: Comparison, model: str) -> bool:
    summary = summary_of(comparison, model)
    return summary is None or summary.mean_score is None


def _be(subjects: Sequence[str], *, past: bool = False) -> str:
    one, many = ("was", "were") if past else ("is", "are")
    return one if len(subjects) == 1 else many


# --- warnings


def warnings(comparison: Comparison) -> tuple[str, ...]:
    """Return what a reader must know: what is missing, what was cut, and what the run itself warned of; each once."""
    cells = [scored.result for scored in comparison.cells]
    said = [
        *(["The comparison was interrupted; not every cell was run."] if comparison.interrupted else []),
        *_unscored(cells, "failed", "failed"),
        *_unscored(cells, "skipped", "was skipped"),
        *_limited(comparison, cells),
        *(plain(warning) for warning in comparison.warnings),
        *_engines_differ(comparison),
        *(cost_warnings(comparison.cost) if comparison.cost else []),
        *_warned(cells),
    ]
    return tuple(dict.fromkeys(said))


def cost_warnings(cost: CostReport) -> list[str]:
    """Return what a reader of costs must know: which are missing, and why they may be wrong."""
    unstable = [f"costs are unstable: {plain(cost.unstable)}"] if cost.unstable else []
    return [*unstable, *filter(None, map(_cost_missing, cost.models)), *map(plain, cost.warnings)]


def _cost_missing(found: ModelCost) -> str:
    if found.status == "ok" and not found.reason:
        return ""
    said = {"ok": "not all of its costs were measured", "failed": "measuring its cost failed"}
    verb = said.get(found.status, "its cost was not measured")
    return f"{plain(found.model)}: {verb}: {plain(found.reason) or 'no reason was recorded'}"


def _engines_differ(comparison: Comparison) -> list[str]:
    """Tell where a difference between models is partly one between the engines that encoded."""
    models: dict[str, list[str]] = defaultdict(list)
    for meta in comparison.models:
        if meta.engine is not None:
            models[meta.engine].append(meta.name)
    said = []
    if len(models) > 1:
        which = "; ".join(f"{plain(engine)} for {names(having)}" for engine, having in models.items())
        said.append(f"Not every model was encoded by one engine ({which}), so costs compare engines as well")
    for meta in comparison.models:
        found = comparison.cost.of(meta.name) if comparison.cost else None
        if found and meta.engine and found.engine not in (None, meta.engine):
            timed, scored = plain(str(found.engine)), plain(meta.engine)
            said.append(f"{plain(meta.name)}: its cost is that of the engine {timed}, its scores are from {scored}")
    return said


def _unscored(cells: Sequence[CellResult], status: str, verb: str) -> list[str]:
    tasks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.status == status:
            tasks[cell.model, cell.reason].append(cell.task)
    return [
        f"{plain(model)} {verb} on {names(which)}: {plain(reason) or 'no reason was recorded'}"
        for (model, reason), which in tasks.items()
    ]


def _limited(comparison: Comparison, cells: Sequence[CellResult]) -> list[str]:
    tasks: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        if cell.limited:
            tasks[plain(cell.limited)][cell.task] = None
    apart = "don't set these scores beside published ones"
    if tasks:
        which = "; ".join(f"{names(having)} ({limit})" for limit, having in tasks.items())
        return [f"Limited data, so {apart}: {which}"]
    return [f"The suite limits its data, so {apart}."] if comparison.suite.limited else []


def _warned(cells: Sequence[CellResult]) -> list[str]:
    """Return each warning once, with the models and tasks that it came from."""
    tasks: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        for warning in cell.warnings:
            tasks[plain(warning)][cell.model].append(cell.task)
    return [f"{_places(by_model)}: {warning}" for warning, by_model in tasks.items()]


def _places(tasks_by_model: Mapping[str, Sequence[str]]) -> str:
    models: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for model, tasks in tasks_by_model.items():
        models[tuple(tasks)].append(model)
    return "; ".join(f"{names(sharing)} on {names(tasks)}" for tasks, sharing in models.items())
