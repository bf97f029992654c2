"""What windows of an unchanged stream look like: tables of each statistic's sizes and of all together, by window size.

    features of held rows (N, F) ── windows of 30, 100 and 500 rows, drawn with replacement ─┬─ window of n rows ──┐
                                                                                             └─ baseline of N rows ┤
        (+ differences between historical windows) ── sizes (draws, 7) ── ranks ── combined ──> NullTable  <───────┘
    NullTable, n, sizes (7,) ──> p-value of each statistic, p-value of all

Windows are drawn and not taken as Gaussian: few rows in 64 clusters are nothing of the kind (measured: false alarms of
.18 for .05). So is the baseline, for each window anew, with what it divides by: a cluster that has too few of its rows
is both off and too small a yardstick, and where windows are as large as the baseline that is most of the story
(measured without it: .07 to .15 for .05). Larger windows are sums of smaller ones, which is what they are; their
lengths in hundreds of directions are corrected for that (lengths.py).

Historical windows (days, sessions) differ by more than their rows' chance. Each drawn window then also gets the
deviation of one of about its length, less what chance makes of it (past.py), with a scale drawn as uncertain as it is
from m windows.

Statistics are combined as Σ weight · p^(-1/2), a soft minimum: as good as the minimum for a change that one statistic
sees, better for one that several see (Vovk and Wang, "Combining p-values via averaging", Biometrika 107, 2020). A new
domain is seen by novelty and by Mahalanobis, each about half as well as by both: the p-value of their product (Fisher)
is one more term. The score's distribution comes from the same draws, so whatever dependence there is, is in it.
Cost: draws · 630 rows · F multiplications; 2 to 4 CPU-seconds at F = 900, half as much again with a past.
Source: Efron and Tibshirani (1993), ch. 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.lengths import Lengths
from benchkit.drift.past import Between, Past
from benchkit.drift.pools import directions
from benchkit.drift.statistics import PAIR, PAIR_WEIGHT, STATISTICS, WEIGHTS, Scales, Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]

N_DRAWS = 4999  # p-values go down to 1/5000
DRAWN_SIZES = (30, 100, 500)
WINDOW_SIZES = (*DRAWN_SIZES, 2000, 10_000, 100_000, 1_000_000)
RUN = 25  # rows: about a session, of which a baseline with a past is drawn
LARGEST_SUM = 10_000  # rows; sums of more look the same
SMALLEST = 1e-12
SMALLEST_PRODUCT = 1e-300
FARTHEST_DRAW = 30.0  # exponent of the tail; scores are kept as float32
FIFTY = 50  # ranks that are all kept: p-values up to a hundredth
TIE = 1e-6  # relative: sizes are kept as float32


@dataclass(frozen=True, eq=False)
class NullTable:
    """Sizes of drawn windows.

    Attributes:
        window_sizes: (l,) rows of the drawn windows, rising.
        ranks: (q,) which of the sizes in falling order are kept; the first fifty are.
        values: (l, 8, q) the seven statistics' sizes and the combined score.
    """

    window_sizes: NDArray[np.int64]
    ranks: NDArray[np.int64]
    values: Single

    def look_up(self, n_rows: float, sizes: Doubles) -> tuple[float, Doubles]:
        """Return the p-value of all statistics together and of each (7,), of a window of `n_rows`."""
        table = self._at(n_rows)
        p_values = [_p_value(self.ranks, row, size, beyond=True) for row, size in zip(table[:-1], sizes, strict=True)]
        score = combine(np.array([p_values]))[0]
        least = 1 / (int(self.ranks[-1]) + 2)
        return _p_value(self.ranks, table[-1], float(score), beyond=False), np.maximum(p_values, least)

    def _at(self, n_rows: float) -> Doubles:
        """Return sizes (8, q) between the two nearest window sizes: both straight lines in logarithms."""
        places = np.log(self.window_sizes.astype(np.float64))
        place = float(np.clip(np.log(n_rows), places[0], places[-1]))
        above = min(max(int(np.searchsorted(places, place)), 1), len(places) - 1)
        part = (place - places[above - 1]) / (places[above] - places[above - 1])
        below_, above_ = (
            np.log(self.values[level].astype(np.float64).clip(min=SMALLEST)) for level in (above - 1, above)
        )
        table: Doubles = np.exp((1 - part) * below_ + part * above_)
        return table

    def thinned(self, step: float) -> NullTable:
        """Return the table with fewer ranks: beyond the first fifty, each about `step` times the one before.

        Between two of them, a p-value is a straight line in the size: too large by up to log(step)²/8 of itself, where
        sizes fall off exponentially, by a step where they have a gap. P-values up to a hundredth stay what they are.
        """
        last = self.ranks[-1]
        aims = FIFTY * step ** np.arange(np.log(last / FIFTY) / np.log(step))
        kept = np.unique(np.searchsorted(self.ranks, np.r_[:FIFTY, aims, last]))
        return NullTable(self.window_sizes, self.ranks[kept], np.ascontiguousarray(self.values[:, :, kept]))


def _p_value(ranks: NDArray[np.int64], row: Doubles, size: float, *, beyond: bool) -> float:
    """Return (1 + draws that are as large) / (1 + draws); past the largest draw that, or an exponential tail's.

    The tail matters inside of the combined score only: a statistic that nothing in the table comes near should count
    for more than one that is just its largest. Sizes fall off like a normal distribution's, faster than exponentially.
    """
    n_draws = int(ranks[-1]) + 1
    as_large = int(np.count_nonzero(row >= size * (1 - TIE)))
    if as_large == len(row):
        return 1.0
    if as_large:
        low, high = int(ranks[as_large - 1]) + 1, int(ranks[as_large])
        upper, lower = row[as_large - 1], row[as_large]
        part = (upper - size) / (upper - lower) if upper > lower else 0.0
        return float(1 + low + (high - low) * min(max(part, 0.0), 1.0)) / (n_draws + 1)
    least = 1 / (n_draws + 1)
    scale = (row[0] - row[49]) / np.log(50) if beyond and len(row) > 49 else 0.0
    return float(least * np.exp(-min((size - row[0]) / scale, 500.0))) if scale > 0 else least


def combine(p_values: Doubles) -> Doubles:
    """Return the combined score (b,) of p-values (b, 7), large where they are small."""
    first, second = (p_values[:, STATISTICS.index(name)] for name in PAIR)
    product = (first * second).clip(min=SMALLEST_PRODUCT)
    of_both = product * (1 - np.log(product))
    scores: Doubles = (WEIGHTS / np.sqrt(p_values)).sum(axis=1) + PAIR_WEIGHT / np.sqrt(of_both)
    return scores


def build_tables(
    yardstick: Yardstick, features: Single, pasts: Sequence[Past | None], n_baseline: int, rng: np.random.Generator
) -> list[NullTable]:
    """Return a table of drawn windows for each past.

    Args:
        features: Of rows minus the baseline's means (N, F): of held rows, and of what might have been among them.
        pasts: Historical windows of the held rows, of one unit each; None takes rows as independent.
        n_baseline: Rows that the baseline's means are of.
    """
    usual = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    # The rows' own spread is that around their mean: a little less than the stream's.
    rows = (features - usual) * np.float32(np.sqrt(len(features) / (len(features) - 1)))
    fourth = np.square(rows[:, yardstick.blocks[1]])
    columns = np.hstack([rows, fourth - fourth.mean(axis=0)])
    drawn = {n_rows: _drawn(columns, n_rows, rng) for n_rows in DRAWN_SIZES}
    of_runs = drawn if None in pasts else {DRAWN_SIZES[-1]: _drawn(columns, DRAWN_SIZES[-1], rng, run=RUN)}
    baselines, scales = _baselines(yardstick, of_runs, n_baseline, rng)
    windows = {
        n_rows: drawn[n_rows] if n_rows in drawn else _summed(drawn, n_rows, rng)
        for n_rows in sorted({size for past in pasts for size in _window_sizes(past)})
        if n_rows <= LARGEST_SUM
    }
    draws = _Draws(yardstick, columns, windows, usual, baselines, scales, n_baseline, Lengths.of(yardstick, rows))
    return [draws.table(past, rng) for past in pasts]


@dataclass(frozen=True, eq=False)
class _Draws:
    """What tables are made of: deviations times the root of the rows that they are of.

    Attributes:
        windows: By their rows, (N_DRAWS, F or more).
        usual: What rows are off by together (F,).
        baselines, scales: Other baselines of the same stream.
    """

    yardstick: Yardstick
    columns: Single
    windows: dict[int, Single]
    usual: Single
    baselines: Single
    scales: Scales
    n_baseline: int
    lengths: Lengths

    def table(self, past: Past | None, rng: np.random.Generator) -> NullTable:
        ranks, window_sizes = _kept_ranks(N_DRAWS), _window_sizes(past)
        without = self.scales if past is None else _without(self.yardstick, self.columns, past.windows)
        levels = [_falling(self._sizes(n_rows, past, without, rng), ranks) for n_rows in window_sizes]
        return NullTable(np.array(window_sizes, np.int64), ranks, np.array(levels, np.float32))

    def _sizes(self, n_rows: int, past: Past | None, without: Scales, rng: np.random.Generator) -> Doubles:
        """Return the statistics' sizes (N_DRAWS, 7) of windows of so many rows."""
        window = self.windows[max(size for size in self.windows if size <= n_rows)][:, : len(self.usual)]
        part = n_rows / (n_rows + self.n_baseline)
        differs, chance, scales = self.usual, 0.0, self.scales
        if past is not None:
            between = past.between(n_rows)
            picked = rng.integers(len(between.offsets), size=N_DRAWS)
            differs, chance = self.usual + _differing(self.yardstick, between, picked, rng), between.chance
            if chance:
                own = between.units[picked]
                scales = Scales(without.shares[own], without.spread[own])
        deviations = np.float32(np.sqrt((1 - part) * (1 - chance))) * window
        deviations -= np.float32(np.sqrt(part)) * self.baselines
        deviations += np.float32(np.sqrt(n_rows * (1 - part))) * differs
        sizes = self.yardstick.sizes(deviations, scales)
        if past is None:
            self.lengths.correct(sizes, n_rows, self.n_baseline)
        return sizes


def _window_sizes(past: Past | None) -> list[int]:
    """Return the sizes of windows that have a table: with a past, up to those of its windows (`past.Pace`)."""
    if past is None:
        return list(WINDOW_SIZES)
    most = min(max(past.usual_rows, WINDOW_SIZES[0] + 1), WINDOW_SIZES[-1])
    return [*(size for size in WINDOW_SIZES if size < most), most]


def _summed(drawn: dict[int, Single], n_rows: int, rng: np.random.Generator) -> Single:
    """Return sums over about so many rows, put together of drawn windows, divided by √n (N_DRAWS, F)."""
    most = min(n_rows, LARGEST_SUM)
    size = max((size for size in drawn if size <= most), default=min(drawn))
    parts, small = max(1, round(most / size)), drawn[size]
    total = np.zeros_like(small)
    for _ in range(parts):
        total += small[rng.permutation(len(small))]
    # Without this, what the mean of all draws is off by would add up.
    centred: Single = (total - total.mean(axis=0)) / np.float32(np.sqrt(parts))
    return centred


def _baselines(
    yardstick: Yardstick, drawn: dict[int, Single], n_baseline: int, rng: np.random.Generator
) -> tuple[Single, Scales]:
    """Return other baselines of the same stream: deviations of their means times √N, (N_DRAWS, F), and their scales.

    Edges of novelty are between rows of the baseline. What a stream has between two of its rows is beta distributed,
    and all such shares together as Dirichlet (order statistics). They are put in the order of the drawn baselines.
    """
    baselines = _summed(drawn, n_baseline, rng)
    _, _, _, novelty, norm = yardstick.blocks
    counts = yardstick.baseline.novelty.astype(np.float64)
    beyond_ends = np.r_[0.5, np.zeros(len(counts) - 2), 0.5]
    streams = rng.dirichlet((counts + beyond_ends).clip(min=SMALLEST), size=len(baselines))
    off = (counts / counts.sum() - streams) * np.sqrt(n_baseline)
    order = np.argsort(np.argsort(baselines[:, novelty] @ yardstick.novelty_scores))
    baselines[:, novelty] = off[np.argsort(off @ yardstick.novelty_scores)][order]
    return baselines[:, : norm.stop], _scales(yardstick, baselines / np.float32(np.sqrt(n_baseline)))


def _without(yardstick: Yardstick, columns: Single, windows: Sequence[NDArray[np.int64]]) -> Scales:
    """Return what deviations are divided by in the baseline without each of the past's windows (m, ...).

    A session in a region where the past has no other is divided by its own rows where these are in the baseline, and
    a new one by next to nothing (measured: false alarms of .13 for .05 of `cluster-max` in half a day of sessions).
    """
    sums = np.stack([columns[rows].sum(axis=0, dtype=np.float64) for rows in windows])
    others = len(columns) - np.array([len(rows) for rows in windows])
    return _scales(yardstick, -sums / others[:, None])


def _scales(yardstick: Yardstick, means: NDArray[np.floating]) -> Scales:
    """Return what deviations are divided by in baselines whose means are off by so much (b, F + q)."""
    _, squares, clusters, _, norm = yardstick.blocks
    shares = yardstick.baseline.clusters / yardstick.baseline.rows + means[:, clusters]
    usual = np.square(yardstick.spread[:-2])
    variances = usual + means[:, norm.stop :] - np.square(means[:, squares])
    # Of few rows a drawn variance may be nothing; no baseline is taken to have less than a quarter of this one's.
    spread = np.sqrt(np.maximum(variances, usual / 4))
    return Scales(yardstick.smoothed(shares.clip(min=0)), spread)


def _drawn(features: Single, n_rows: int, rng: np.random.Generator, *, run: int = 1) -> Single:
    """Return sums over rows drawn with replacement (N_DRAWS, F), in runs of so many, divided by √n."""
    from scipy.sparse import csr_array

    run = min(run, len(features))
    starts = rng.integers(len(features) - run + 1, size=(N_DRAWS, -(-n_rows // run), 1))
    picked = (starts + np.arange(run)).reshape(N_DRAWS, -1)[:, :n_rows].ravel()
    ends = np.arange(0, len(picked) + 1, n_rows)
    draws = csr_array((np.ones(len(picked), np.float32), picked, ends), shape=(N_DRAWS, len(features)))
    return np.asarray(draws @ features, np.float32) / np.float32(np.sqrt(n_rows))


def _differing(yardstick: Yardstick, between: Between, picked: NDArray[np.int64], rng: np.random.Generator) -> Single:
    """Return N_DRAWS means of windows, one of the historical ones each.

    Each block has a scale as uncertain as it is from m - 1 of them. That many windows tell one direction's variance
    badly, and that of many directions together well.
    """
    m = between.n_apart
    differs = between.offsets[picked] * np.float32(np.sqrt(1 + 1 / m))
    for block, unit in zip(yardstick.blocks, yardstick.units, strict=True):
        # With chance in them, rare sessions are as well: these need the wider scale.
        degrees = (m - 1) * (1 if between.chance else directions(between.offsets[:, block] / unit))
        differs[:, block] *= np.sqrt(degrees / rng.chisquare(degrees, size=(N_DRAWS, 1))).astype(np.float32)
    return differs


def _kept_ranks(n_draws: int) -> NDArray[np.int64]:
    return np.unique(np.r_[np.arange(FIFTY), np.geomspace(FIFTY, n_draws - 1, 150)].round().astype(np.int64))


def _falling(sizes: Doubles, ranks: NDArray[np.int64]) -> Doubles:
    """Return the kept ranks of each statistic's sizes and of the combined score (8, q)."""
    falling = -np.sort(-sizes, axis=0)
    p_values = np.empty_like(sizes)
    for place in range(len(STATISTICS)):
        as_large = np.searchsorted(-falling[:, place], -sizes[:, place] * (1 - TIE), side="right")
        p_values[:, place] = (1 + as_large) / (len(sizes) + 1)
        # The largest draw is to the others what a window past the table is to all: it gets its p-value in the same way.
        scale = (falling[1, place] - falling[50, place]) / np.log(50)
        if scale > 0:
            beyond = min((falling[0, place] - falling[1, place]) / scale, FARTHEST_DRAW)
            p_values[sizes[:, place].argmax(), place] = np.exp(-beyond) / (len(sizes) + 1)
    score = -np.sort(-combine(p_values))
    return np.vstack([falling[ranks].T, score[ranks]])
