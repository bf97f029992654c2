"""The answers of a dashboard's first page, a sentence each: which model, and what the last gate said.

    Comparison ───────── choice ──> "Use bge: +2.1 points (95 % CI +1.0 to +3.3) over minilm on help-centre; ..."
    gates, newest last ─ gate ────> "minilm-static FAILED against minilm on help-centre: -11.64 points (...)"

Whether production is fine is said in production_words. Nothing is decided anew: the model is that of the
recommendation, verdicts are those of the pairs, of the paired cost ratios and of the gate. Scores are in points
(x 100), as in all of benchkit's sentences. Names are on one line and cut; whoever places a sentence escapes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchkit.report import words
from benchkit.report.budget import within_budget
from benchkit.report.cost_view import budget_words
from benchkit.report.view import (
    CPU_TIME,
    WALL_TIME,
    certain_ratio,
    metas_by_name,
    pair_between,
    ratio_between,
    summaries,
    summary_of,
)
from benchkit.types.board import GateRow
from benchkit.types.comparison import Comparison, Interval, PairResult
from benchkit.types.gate import GateVerdict

Standing = Literal["good", "info", "warning", "bad"]
NAME_SHOWN = 60  # of a name in a sentence that a phone shows whole


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said: how it stands, that in a word or two, and the sentence."""

    standing: Standing
    word: str
    sentence: str


# --- which model


def choice(comparison: Comparison) -> Answer:
    """Return the recommended model, its difference to its rival, what it costs beside that, and what stays open.

    The rival is the baseline, or else the best mean of the other models; with a budget it may be one that breaks it.
    """
    model, suite = comparison.recommendation.model, named(comparison.suite.name)
    if model is None:
        reason = words.plain(comparison.recommendation.reason).rstrip(".") or "there is nothing to choose from"
        return Answer("warning", "no recommendation", f"No recommendation on {suite}: {reason}.")
    other = rival(comparison)
    tied = _tied(comparison, model)
    parts = [_quality(comparison, model, other), *_beside(comparison, model, other)]
    parts += _open(comparison, model, [name for name in tied if name != other])
    limits = budget_words(comparison.budget)
    head = f"With {limits}, use" if limits else "Use"
    standing, word = _standing(comparison, tied)
    return Answer(standing, word, f"{head} {named(model)}: {'; '.join(parts)}.")


def rival(comparison: Comparison) -> str | None:
    """Return the model that the recommended one is told against; None where no other one has a mean."""
    model = comparison.recommendation.model
    others = [row.model for row in summaries(comparison) if row.mean_score is not None and row.model != model]
    return comparison.baseline if comparison.baseline in others else next(iter(others), None)


def _standing(comparison: Comparison, tied: Sequence[str]) -> tuple[Standing, str]:
    if comparison.interrupted:
        return "warning", "interrupted"
    if len(comparison.models) == 1:
        return "info", "the only model"
    if tied:
        return "info", "a tie"
    return "good", "within the limits" if comparison.budget.is_set else "clear"


def _tied(comparison: Comparison, model: str) -> list[str]:
    """Return the models that keep the budget and can't be told apart from the recommended one, best mean first."""
    broken = within_budget(comparison.models, comparison.cost, comparison.budget)
    pairs = {row.model: pair_between(comparison, model, row.model) for row in summaries(comparison)}
    return [
        name
        for name, pair in pairs.items()
        if pair and pair.delta is not None and pair.verdict == "inconclusive" and not broken[name]
    ]


def _quality(comparison: Comparison, model: str, other: str | None) -> str:
    suite = named(comparison.suite.name)
    pair = pair_between(comparison, model, other) if other else None
    if pair is not None and pair.delta is not None:
        return _difference(comparison, pair, suite)
    own = summary_of(comparison, model)
    mean = "no mean score" if own is None else f"{words.points(own.mean_score)} points{_ci(own.interval)}"
    if other is not None:
        return f"{mean} on {suite}, not compared with {named(other)}"
    alone = len(comparison.models) == 1
    return f"{mean} on {suite}; {'it is the only model' if alone else 'no other model has a score on every task'}"


def _difference(comparison: Comparison, pair: PairResult, suite: str) -> str:
    name, margin = named(pair.baseline), words.margin_words(comparison.margin)
    ends = f"95 % CI {words.signed_span(pair.interval)}" if pair.interval else "no interval"
    points = f"{words.signed_points(pair.delta)} points"
    if pair.verdict == "better":
        return f"{points} ({ends}) over {name} on {suite}"
    if pair.verdict == "worse":
        return f"{points} ({ends}) on {suite} against {name}, which {_why_better(comparison, pair)}"
    found = {"same": f"the same within {margin} as", "inconclusive": "not told apart from"}[pair.verdict]
    return f"{found} {name} on {suite} ({points}, {ends})"


def _why_better(comparison: Comparison, pair: PairResult) -> str:
    """Return what is to be said of a rival that is better than the model that is taken."""
    if within_budget(comparison.models, comparison.cost, comparison.budget)[pair.baseline]:
        return "breaks the limits"
    interval, margin = pair.interval, comparison.margin
    small = interval is not None and -margin <= interval.low and interval.high <= margin
    return f"is better within the margin of {words.margin_words(margin)}" if small else "is better"


def _ci(interval: Interval | None) -> str:
    if interval is None:
        return " (no interval)"
    return f" (95 % CI {words.points(interval.low)} to {words.points(interval.high)})"


# --- what it costs beside the rival


def _beside(comparison: Comparison, model: str, other: str | None) -> Iterator[str]:
    """Yield latency and size against the rival, as one part."""
    if other is None:
        return
    said = [_latency(comparison, model, other), _bytes(comparison, model, other)]
    if any(said):
        yield ", ".join(filter(None, said))


def _latency(comparison: Comparison, model: str, other: str) -> str:
    cost = comparison.cost
    if cost is None:
        return "costs not measured"
    if cost.unstable:
        return "latency not judged (the machine was too noisy)"
    slower, faster = certain_ratio(cost, model, other), certain_ratio(cost, other, model)
    if slower and faster:
        found, word = (slower, "slower") if slower.verdict == "dearer" else (faster, "faster")
        said = f"{words.ratio(found.ratio)} {word}"
        return f"{said} in CPU time" if found.metric == CPU_TIME else said
    ratio = ratio_between(cost, model, other, WALL_TIME)
    if ratio is None:
        return "latency not compared"
    return "the same latency" if ratio.verdict == "same" else "latency not told apart"


def _bytes(comparison: Comparison, model: str, other: str) -> str:
    metas = metas_by_name(comparison)
    own, others = metas[model].bytes_per_vector, metas[other].bytes_per_vector
    if not own or not others:
        return ""
    return "the same bytes/vector" if own == others else f"{own / others:.3g}x bytes/vector"


# --- what stays open


def _open(comparison: Comparison, model: str, tied: Sequence[str]) -> Iterator[str]:
    """Yield the other models that may be as good, those that are cheaper apart, and those that lack a score."""
    named: dict[str, list[str]] = defaultdict(list)
    for name in tied:
        named[_cheaper(comparison, name, model)].append(name)
    for how, names in named.items():
        also = f" and {'is' if len(names) == 1 else 'are'} {how}" if how else ""
        yield f"{_names(names)} can't be told apart{also}"
    lacking = [row.model for row in comparison.summary if row.mean_score is None and row.model != model]
    if lacking and any(row.mean_score is not None for row in comparison.summary if row.model != model):
        yield f"{_names(lacking)} {'has' if len(lacking) == 1 else 'have'} no score on every task"


def _cheaper(comparison: Comparison, name: str, model: str) -> str:
    """Return in what one model is surely cheaper than another, "" where it is dearer in anything."""
    found = certain_ratio(comparison.cost, name, model)
    metas = metas_by_name(comparison)
    own, others = metas[name].bytes_per_vector or 0, metas[model].bytes_per_vector or 0
    if (found and found.verdict == "dearer") or (others and own > others):
        return ""
    faster = "faster" if found else ""
    smaller = "smaller" if own and own < others else ""
    return " and ".join(filter(None, [faster, smaller]))


# --- the last gate

_GATE_WORDS: Mapping[GateVerdict, tuple[Standing, str, str]] = {
    "pass": ("good", "passed", "PASSED against"),
    "fail": ("bad", "failed", "FAILED against"),
    "inconclusive": ("warning", "inconclusive", "is left open (INCONCLUSIVE) against"),
    "error": ("bad", "error", "could not be judged (ERROR) against"),
}


def gate(rows: Sequence[GateRow]) -> Answer:
    """Return what the newest gate said; rows are newest last."""
    if not rows:
        return Answer("info", "none yet", "No gate was run yet.")
    row = rows[-1]
    standing, word, verb = _GATE_WORDS[row.verdict]
    free = " (nothing was blocked)" if row.verdict != "pass" and not row.blocks else ""
    said = f"{named(row.candidate)} {verb} {named(row.baseline)} on {named(row.suite)}{free}"
    return Answer(standing, word, f"{said}{_gate_figures(row)}.")


def _gate_figures(row: GateRow) -> str:
    said = []
    if row.change is not None:
        # Two decimals, as in the gate's own words: "-0.5, allowed -0.5, FAILED" would explain nothing.
        ends = f" (95 % CI {_cents(row.low)} to {_cents(row.high)})" if None not in (row.low, row.high) else ""
        allowed = f", allowed -{100 * row.margin:.2f}" if row.margin is not None else ""
        said.append(f"{_cents(row.change)} points{ends}{allowed}")
    if row.failed:
        said.append(f"{words.counted(len(row.failed), 'rule')} failed")
    return f": {'; '.join(said)}" if said else ""


def _cents(change: float | None) -> str:
    return words.ABSENT if change is None else f"{100 * change:+.2f}" if change else "0.00"


# --- names


def named(name: str) -> str:
    """Return a name on one line, cut."""
    return words.plain(name, NAME_SHOWN)


def _names(names: Sequence[str]) -> str:
    return words.names(map(named, names))
