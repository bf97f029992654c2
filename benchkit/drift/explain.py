"""What a change consists of: which regions of the space, which words, which texts, which segments.

    rows by cluster, before and now ── changed_clusters ──> ClusterChange, the surest first
    texts, background texts ── keywords ──> the words that mark them
    vectors, centroid, texts ── representatives ──> the texts in the middle
    mean and rows of each segment, before and now ── drivers ──> SegmentDriver, its part of the shift of the mean

Sources: Holm 1979 (measure.decide) for many clusters; Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis
16 (2008), eq. 16, 20 and 22, log-odds with an informative Dirichlet prior; Kitagawa, "Components of a Difference
Between Two Rates", JASA 50 (1955), for a mean that moves because segments do or because their shares do.
Cost: a pass over the texts, the vectors or the segments.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from benchkit.measure.decide import holm
from benchkit.types.drift import ClusterChange, SegmentDriver

ALPHA = 0.05
# The prior's weight against all words seen: enough that a word which the background lacks has finite odds there, and
# that one text alone names no word.
_PRIOR_SHARE = 0.1
_LEAST_Z = 2.6  # by chance one word in 200 lies beyond; at 1.96, sixty texts drawn at random got two keywords each
_LONGEST_TEXT, _LONGEST_WORD = 2_000, 40
# Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han. Two characters stand for a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W\d_{_UNSPACED}][^\W_{_UNSPACED}]*(?:['’][^\W\d_]+)?")
_UNSPACED_START = re.compile(rf"[{_UNSPACED}]")


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMean:
    """One segment's rows and their mean vector (d,)."""

    rows: int
    mean: NDArray[np.floating]


def changed_clusters(
    baseline_shares: NDArray[np.floating], baseline_rows: int, window_counts: NDArray[np.integer]
) -> list[ClusterChange]:
    """Return the clusters that surely hold more or fewer rows than before, the surest first.

    Both counts err, the baseline's too. Given how many rows of a cluster there are in both together, how many of them
    lie in the window is binomial as long as its share is the same; that is exact however few they are. Corrected for
    the number of clusters by Holm, so an unchanged window of independent rows lists none in 95 of 100 cases or more.

    Args:
        baseline_shares: (K,), of rows.
        baseline_rows: What the shares are of.
        window_counts: (K,), rows.

    Raises:
        ValueError: lengths differ, a share or count is negative or not finite, or the baseline has no rows.

    >>> shares = np.array([0.5, 0.4, 0.1])
    >>> [(each.cluster, each.window_share) for each in changed_clusters(shares, 1000, np.array([50, 20, 30]))]
    [(2, 0.3), (1, 0.2)]
    """
    shares, counts = np.asarray(baseline_shares, dtype=np.float64), np.asarray(window_counts, dtype=np.float64)
    _check_clusters(shares, baseline_rows, counts)
    rows = float(counts.sum())
    if not rows:
        return []
    before = np.rint(shares * baseline_rows)
    both, odds = before + counts, rows / (rows + baseline_rows)
    tails = np.minimum(bdtr(counts, both.astype(np.int64), odds), _upper_tail(counts, both, odds))
    corrected = holm(np.minimum(1.0, 2 * tails).tolist())
    pooled = both / (rows + baseline_rows)
    error = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / baseline_rows))
    z = np.divide(counts / rows - shares, error, out=np.zeros_like(shares), where=error > 0)
    listed = [cluster for cluster, p in enumerate(corrected) if p is not None and p <= ALPHA]
    return [
        ClusterChange(cluster, float(shares[cluster]), float(counts[cluster] / rows), float(z[cluster]))
        for cluster in sorted(listed, key=lambda cluster: (tails[cluster], -abs(z[cluster])))
    ]


def keywords(texts: Sequence[str], background_texts: Sequence[str], *, n: int = 8) -> tuple[str, ...]:
    """Return the words that mark some texts against others, the most telling first.

    Words are Unicode words in lower case; of scripts without spaces, pairs of characters. A word counts once for each
    text. No word is named that is not more frequent in `texts` by 2.6 standard errors.

    >>> keywords(["book a flight to Oslo", "cheap flight"] * 9, ["book a table", "a cheap table in Oslo"] * 9, n=1)
    ('flight',)
    """
    own, other = _text_counts(texts), _text_counts(background_texts)
    n_own, n_other = own.total(), other.total()
    if not n_own:
        return ()
    prior = _PRIOR_SHARE * (n_own + n_other)
    scored = []
    for word, count in own.items():
        weight = _PRIOR_SHARE * (count + other[word])
        mine, theirs = count + weight, other[word] + weight
        log_odds = _log_odds(mine, n_own + prior) - _log_odds(theirs, n_other + prior)
        z = log_odds / math.sqrt(1 / mine + 1 / theirs)
        if z > _LEAST_Z:
            scored.append((-z, word))
    return tuple(word for _, word in sorted(scored)[:n])


def representatives(
    vectors: NDArray[np.floating], centroid: NDArray[np.floating], texts: Sequence[str | None], n: int
) -> tuple[str, ...]:
    """Return up to n different texts, those with the vector nearest to the centroid first; rows without one are passed.

    Args:
        vectors: (m, d), finite.
        centroid: (d,).
        texts: One for each vector.

    Raises:
        ValueError: shapes don't belong together.
    """
    if vectors.ndim != 2 or vectors.shape != (len(texts), len(centroid)):
        raise ValueError(f"{len(texts)} texts and a centroid of {len(centroid)} don't fit vectors {vectors.shape}")
    distances = np.square(vectors.astype(np.float64) - centroid).sum(axis=1)
    found: dict[str, None] = {}
    for row in np.argsort(distances, kind="stable"):
        if len(found) >= n:
            break
        text = texts[row]
        if text is not None and text.strip():
            found.setdefault(text)
    return tuple(found)


def drivers(baseline: Mapping[str, SegmentMean], window: Mapping[str, SegmentMean]) -> list[SegmentDriver]:
    """Return what each segment adds to the shift of the mean, the largest part first; nothing where it did not shift.

    The window's mean less the baseline's is a sum over segments of window_share * (mean now - m) less baseline_share *
    (mean before - m), m being the baseline's mean. A segment's part is its term along the direction of that sum. It
    holds `moved`, window_share * (mean now - mean before); what is left is due to its share of rows. A segment that the
    baseline lacks has only the second kind.

    Raises:
        ValueError: a side has no rows, or dimensions differ.
    """
    centre, n_before = _overall(baseline, "baseline")
    now, n_now = _overall(window, "window")
    if centre.shape != now.shape:
        raise ValueError(f"dimensions differ: baseline {centre.shape[0]}, window {now.shape[0]}")
    shift = now - centre
    if not (length := float(shift @ shift)):
        return []
    absent = SegmentMean(0, centre)
    found = []
    for segment in sorted({*baseline, *window}):
        old, new = baseline.get(segment, absent), window.get(segment, absent)
        share_before, share_now = old.rows / n_before, new.rows / n_now
        part = share_now * float((new.mean - centre) @ shift) - share_before * float((old.mean - centre) @ shift)
        moved = share_now * float((new.mean - old.mean) @ shift) if old.rows and new.rows else 0.0
        found.append(SegmentDriver(segment, part / length, moved / length, share_before, share_now))
    return sorted(found, key=lambda driver: -driver.part)


def _check_clusters(shares: NDArray[np.float64], baseline_rows: int, counts: NDArray[np.float64]) -> None:
    if shares.ndim != 1 or shares.shape != counts.shape:
        raise ValueError(f"shares {shares.shape} and counts {counts.shape} should be of the same clusters")
    if baseline_rows < 1:
        raise ValueError(f"the baseline needs at least one row, got {baseline_rows}")
    for name, values in (("share", shares), ("count", counts)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"a {name} is finite and not negative, got {values.tolist()}")


def _upper_tail(counts: NDArray[np.float64], both: NDArray[np.float64], odds: float) -> NDArray[np.float64]:
    """P(X >= count) of a binomial; 1 for a count of 0, which the special function does not take."""
    tail = bdtrc(np.maximum(counts - 1, 0), both.astype(np.int64), odds)
    return np.where(counts > 0, tail, 1.0)


def _log_odds(count: float, total: float) -> float:
    # Of one single word there are no odds; half a word keeps them finite.
    return math.log(count / max(total - count, 0.5))


def _text_counts(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each word is."""
    return Counter(word for text in texts for word in set(_words(text)))


def _words(text: str) -> Iterator[str]:
    # A text of megabytes, or a word of thousands of letters, is noise or an attack; its start says enough.
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text[:_LONGEST_TEXT]).casefold()):
        word = match.group()
        if not _UNSPACED_START.match(word):
            yield word[:_LONGEST_WORD]
        elif len(word) == 1:
            yield word
        else:
            yield from (word[place : place + 2] for place in range(len(word) - 1))


def _overall(segments: Mapping[str, SegmentMean], side: str) -> tuple[NDArray[np.float64], int]:
    rows = sum(segment.rows for segment in segments.values())
    if not rows:
        raise ValueError(f"the {side} has no rows")
    if len(shapes := {segment.mean.shape for segment in segments.values()}) > 1:
        raise ValueError(f"dimensions differ within the {side}: {sorted(shapes)}")
    total: NDArray[np.float64] = sum(
        (segment.rows * segment.mean.astype(np.float64) for segment in segments.values()), np.zeros(1)
    )
    return total / rows, rows
