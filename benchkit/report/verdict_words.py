"""What a comparison says to do, in sentences.

    Comparison ── verdict_sentence ──> what to take, against what, and what stays open
               └─ why_sentence ──────> the reason

A sentence says no more than the verdicts of the pairs do (words.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchkit.report.view import pair_between, summary_of, turned_round
from benchkit.report.words import (
    cost_words,
    difference_words,
    margin_words,
    names,
    plain,
    points,
    signed_points,
    signed_span,
    size_words,
)
from benchkit.types.comparison import Comparison, Interval, ModelSummary, PairResult, Verdict


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
