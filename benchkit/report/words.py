"""The one place where numbers, names and differences become words.

    number ── points · signed_points · span · count ──> text        scores x 100 with one decimal, differences with sign
    CostFigure, CostRatio ── figure · ratio ──> text                costs with three digits, "8.30", "2.90x"
    PairResult ── pair_sentence · pair_words ──> one difference

A sentence says no more than the verdicts do: "better" and "worse" only where the verdict is that, "the same" only
within the margin that was asked for, and "can't be told apart" is not "the same".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from benchkit.measure.decide import ALPHA
from benchkit.types.comparison import MEAN, Comparison, Interval, ModelSummary, PairResult, ScoredCell
from benchkit.types.cost import CostFigure, CostRatio, CostReport
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


def margin_points(margin: float) -> str:
    """Return a margin as points, with as many decimals as it was written with: a rounded one is another margin.

    >>> margin_points(0.01), margin_points(0.0025), margin_points(0.0004)
    ('1.0', '0.25', '0.04')
    """
    whole = f"{100 * margin:.10f}".rstrip("0")
    return whole + "0" if whole.endswith(".") else whole


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
    """Return a p-value so that it never seems to reach a level that it doesn't, or the other way round.

    >>> p_words(0.0496), p_words(0.0002), p_words(None), p_words(0.04998)
    ('0.0496', '<0.001', '–', '0.04998')
    """
    if p is None:
        return ABSENT
    if p < 0.001:
        return "<0.001"
    texts = (f"{p:.{digits}g}" for digits in range(3, 18))
    return next(text for text in texts if (float(text) < ALPHA) == (p < ALPHA))


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
    return f"±{margin_points(margin)} points"


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
