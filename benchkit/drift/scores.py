"""Queries that find less than they used to: the scores of their best hits against those of the baseline.

    best-hit scores of the baseline (n0,) ── score_baseline ──> ScoreBaseline (edges, counts), stored
    scores of a window (n,) ── count_scores ──> ScoreCounts (additive) ── judge_scores ──> share below 5 %, p-value

No labels and no texts are needed, and queries alone: a query-side bug, a stale index or questions that the index can't
answer all lower the best score. Where production does not log scores, `top1_scores` makes them.

The cut is the baseline's 5th percentile, so it has that sample's error. The chance that a score lies below the r-th
smallest of n0 is Beta(r, n0 + 1 - r) distributed whatever the scores are, so the number W of a window's scores below
it is beta-binomial: exact for continuous scores at any n and n0. Where several scores of the baseline lie on the
percentile, either the scores below it or those up to it are counted, whichever is nearer to 5 % of the baseline (as a
ratio), and r is half a score more than their number: the cut is a fixed one then and their number the chance result.

W is a whole number, and a small one in small windows: with 30 scores, P(W >= 4) is 6 % and P(W >= 5) 2 %, and nothing
lies between. Of two windows with as many low scores the one whose other scores are lower is the more extreme
(Mann and Whitney's U over the bins above the cut, independent of W), so

    p = P(W > w) + P(W = w) · P(U at least as low)

Sources: Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", Annals of Mathematical Statistics 12
(1941), for the share below an order statistic; Mann and Whitney, "On a Test of Whether one of Two Random Variables is
Stochastically Larger than the Other", AMS 18 (1947), with Lehmann's correction for ties.
Cost: O(n log n) for a baseline, O(n) for a window; 14 counts are kept of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.ranking import Floats, Places, Vectors, best_hits
from benchkit.types.model import Similarity

LOW_SHARE = 0.05
# The percentile then rests on five scores; its error is part of the test, so more only gives it more power.
FEWEST_SCORES = 100
# Of the bins that tell how the other scores lie.
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_ARRAYS = ("edges", "counts")
# Standard deviations of W beyond which no chance is left that a float64 holds.
_FAR = 60
# So many times the baseline's scores, a window's own error is below a thousandth of the variance and is left out.
_ONE_SIDED = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class ScoreBaseline:
    """What is kept of the baseline's scores.

    Attributes:
        edges: Ascending (b,); the first is the 5th percentile, the second the next float64 after it.
        counts: Scores in each bin (b + 1,): below the first edge, from each edge up to the next, from the last on.
    """

    edges: Floats
    counts: Places

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"edges": self.edges, "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> ScoreBaseline:
        """Return what `to_arrays` was given.

        Raises:
            ValueError: an array is missing, or they aren't those of a baseline.
        """
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise ValueError(f"the baseline's scores lack {', '.join(missing)}")
        edges = np.asarray(arrays["edges"], dtype=np.float64)
        counts = np.asarray(arrays["counts"], dtype=np.int64)
        if len(edges) < 2 or len(counts) != len(edges) + 1 or not (np.diff(edges) > 0).all() or counts.min() < 0:
            raise ValueError(f"{len(edges)} edges and {len(counts)} counts are not those of a baseline's scores")
        return cls(edges, counts)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """How many scores of a window are in each bin of the baseline (b + 1,); windows add up."""

    counts: Places

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        if len(self.counts) != len(other.counts):
            raise ValueError(f"score counts of two baselines: {len(self.counts)} bins and {len(other.counts)}")
        return ScoreCounts(self.counts + other.counts)


class ScoreJudgement(NamedTuple):
    """What the scores of a window say.

    Attributes:
        low_score_share: Share of queries below the baseline's 5th percentile; of queries on it, as many count as of the
            baseline's own. 0.05 is no change.
        p_value: Chance of as many low scores or more if nothing changed.
    """

    low_score_share: float
    p_value: float


def top1_scores(queries: Vectors, documents: Vectors, *, similarity: Similarity = "cosine") -> Floats:
    """Return the score of each query's best hit (q,), by exact search among documents (n, d).

    Raises:
        ValueError: the dimensions differ, there are no documents, or a number is NaN or infinite.
    """
    return best_hits(queries, documents, k=1, similarity=similarity).scores[:, 0]


def score_baseline(scores: NDArray[np.floating]) -> ScoreBaseline:
    """Keep what later windows are held against.

    Args:
        scores: Of the best hits (n0,), higher is better; NaN for a query without one, which is left out.

    Raises:
        ValueError: fewer than 100 scores, or one is infinite.

    >>> kept = score_baseline(np.arange(1.0, 101.0))
    >>> float(kept.edges[0]), kept.counts[:2].tolist()  # 4 scores below the 5th of 100, one on it
    (5.0, [4, 1])
    """
    known = np.sort(scores[~np.isnan(scores)].astype(np.float64))
    if len(known) < FEWEST_SCORES:
        raise ValueError(f"a baseline of scores needs {FEWEST_SCORES} of them, got {len(known)}")
    if not np.isfinite(known[[0, -1]]).all():
        raise ValueError("a score of the baseline is infinite")
    cut = known[int(np.ceil(LOW_SHARE * len(known))) - 1]
    others = known[(np.array(_SHARES) * len(known)).astype(np.int64)]
    edges = np.unique(np.concatenate([[cut, np.nextafter(cut, np.inf)], others[others > cut]]))
    return ScoreBaseline(edges, _counts(edges, known))


def count_scores(baseline: ScoreBaseline, scores: NDArray[np.floating]) -> ScoreCounts:
    """Count a window's scores (n,) in the bins of the baseline; NaN is left out."""
    return ScoreCounts(_counts(baseline.edges, scores[~np.isnan(scores)]))


def _counts(edges: Floats, scores: NDArray[np.floating]) -> Places:
    # Compared as float64: a float32 score on an edge that came from a float32 score is on it still.
    bins = np.searchsorted(edges, scores.astype(np.float64), side="right")
    return np.bincount(bins, minlength=len(edges) + 1).astype(np.int64)


def judge_scores(baseline: ScoreBaseline, window: ScoreCounts) -> ScoreJudgement:
    """Test whether more of the window's queries than of the baseline's find next to nothing (see the module).

    Raises:
        ValueError: no scores, or counts in other bins than the baseline's.
    """
    if len(window.counts) != len(baseline.counts):
        raise ValueError(f"score counts of another baseline: {len(window.counts)} bins, not {len(baseline.counts)}")
    if not window.n:
        raise ValueError("no scores to judge")
    n_low_bins, rank = _low_bins(baseline)
    n_low = int(window.counts[:n_low_bins].sum())
    more, as_many = _chances(n_low, window.n, rank, baseline.n + 1 - rank)
    lower_still = _as_low(window.counts[n_low_bins:], baseline.counts[n_low_bins:])
    return ScoreJudgement(_low_share(baseline, window), min(1.0, more + as_many * lower_still))


def _low_share(baseline: ScoreBaseline, window: ScoreCounts) -> float:
    below, on = baseline.counts[:2]
    part_of_ties = (LOW_SHARE * baseline.n - below) / on
    return float((window.counts[0] + part_of_ties * window.counts[1]) / window.n)


def _low_bins(baseline: ScoreBaseline) -> tuple[int, float]:
    """Return how many of the first bins count as low, and r of the beta distribution of their chance."""
    below, on = (int(count) for count in baseline.counts[:2])
    target = LOW_SHARE * baseline.n
    # Nearer as a ratio, so that none at all is far; but all of the baseline is no part of it: nothing could lie lower.
    with_ties = below + on < baseline.n and below * (below + on) <= target**2
    n_low = below + on if with_ties else below
    if on == 1:
        return (2, n_low) if with_ties else (1, n_low + 1)
    return (2 if with_ties else 1), n_low + 0.5


def _chances(n_low: int, n: int, a: float, b: float) -> tuple[float, float]:
    """Return P(W > n_low) and P(W = n_low) of a beta-binomial W out of n with parameters a and b."""
    from scipy.special import betainc, betaln, gammaln

    if n > _ONE_SIDED * (a + b):
        return float(1 - betainc(a, b, n_low / n)), 0.0
    mean = n * a / (a + b)
    deviation = np.sqrt(mean * b / (a + b) * (a + b + n) / (a + b + 1))
    last = min(n, int(max(n_low, mean) + _FAR * (deviation + 1)))
    values = np.arange(n_low, last + 1, dtype=np.float64)
    ways = gammaln(n + 1) - gammaln(values + 1) - gammaln(n - values + 1)
    chances = np.exp(ways + betaln(values + a, n - values + b) - betaln(a, b))
    return float(chances[1:].sum()), float(chances[0])


def _as_low(window: Places, baseline: Places) -> float:
    """Return the chance that the window's scores lie as low among the baseline's, 0.5 where nothing can be told."""
    from scipy.special import ndtr

    n, m = int(window.sum()), int(baseline.sum())
    both = (window + baseline).astype(np.float64)
    total = n + m
    # Twice the mean rank of a bin, less total + 1: how many scores lie below it, less how many above.
    place = 2 * np.cumsum(both) - both - total
    variance = n * m / (total * (total - 1)) * float(both @ place**2) if total > 1 else 0.0
    return float(ndtr(float(window @ place) / np.sqrt(variance))) if variance > 0 else 0.5
