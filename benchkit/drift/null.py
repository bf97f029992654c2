"""What windows of an unchanged stream look like: tables of each statistic's sizes and of all together, by window size.

    features of held rows (N, F) ── windows of 30 and 100 rows, drawn with replacement ── sums of them: 500 ... 10,000
        (+ differences between historical windows) ── sizes (draws, 7) ── ranks ── combined ──> NullTable
    NullTable, n, sizes (7,) ──> p-value of each statistic, p-value of all

Windows are drawn and not taken as Gaussian: few rows in 64 clusters are nothing of the kind (measured: false alarms of
.18 for .05). A drawn window is compared with the mean of the rows that it is drawn from; a real one with an estimate of
the mean from N rows, so its deviation is scaled by 1/√(1 + n/N) before it is looked up. Larger windows are sums of
smaller ones, which is what they are.

Historical windows (days, sessions) differ by more than their rows' chance. Each drawn window then also gets the
deviation of one of them, less what chance makes of it, with a scale drawn as uncertain as it is from m windows.

Statistics are combined as Σ weight · p^(-1/2), a soft minimum: as good as the minimum for a change that one statistic
sees, better for one that several see (Vovk and Wang, "Combining p-values via averaging", Biometrika 107, 2020). Its
distribution comes from the same draws, so whatever dependence there is, is in it.
Cost: draws · 130 rows · F multiplications; 2 to 4 CPU-seconds at F = 900. Source: Efron and Tibshirani (1993), ch. 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.statistics import STATISTICS, WEIGHTS, Yardstick

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]

N_DRAWS = 4999  # p-values go down to 1/5000
DRAWN_SIZES = (30, 100)
SUMMED_SIZES = ((500, 5), (2000, 4), (10_000, 5))  # size, and how many windows of the size before make it
# Where windows differ by more than chance there is no limit in √n; both are chance-free sizes of that difference.
GROUPED_SIZES = (100_000, 1_000_000)
MIN_GROUPS = 8
SMALLEST = 1e-12
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

    def look_up(self, n_rows: int, sizes: Doubles) -> tuple[float, Doubles]:
        """Return the p-value of all statistics together and of each (7,), of a window of `n_rows`."""
        table = self._at(n_rows)
        p_values = [_p_value(self.ranks, row, size, beyond=True) for row, size in zip(table[:-1], sizes, strict=True)]
        score = combine(np.array([p_values]))[0]
        least = 1 / (int(self.ranks[-1]) + 2)
        return _p_value(self.ranks, table[-1], float(score), beyond=False), np.maximum(p_values, least)

    def _at(self, n_rows: int) -> Doubles:
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
    scores: Doubles = (WEIGHTS / np.sqrt(p_values)).sum(axis=1)
    return scores


def build_table(
    yardstick: Yardstick, features: Single, offsets: Single | None, n_baseline: int, rng: np.random.Generator
) -> NullTable:
    """Return the table of drawn windows.

    Args:
        features: Of rows minus the baseline's means (N, F): of held rows, and of what might have been among them.
        offsets: What historical windows differ by beyond chance (m, F), or None.
        n_baseline: Rows that the baseline's means are of.
    """
    ranks = _kept_ranks(N_DRAWS)
    window_sizes, levels = [], []
    usual = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    for n_rows, windows in _windows(features - usual, offsets is not None, rng):
        differs = usual if offsets is None else usual + _between(offsets, rng)
        windows = windows + np.float32(np.sqrt(n_rows / (1 + n_rows / n_baseline))) * differs
        window_sizes.append(n_rows)
        levels.append(_falling(yardstick.sizes(windows), ranks))
    return NullTable(np.array(window_sizes, np.int64), ranks, np.array(levels, np.float32))


def _windows(features: Single, is_grouped: bool, rng: np.random.Generator) -> list[tuple[int, Single]]:
    # The rows' own spread is that around their mean: a little less than the stream's.
    features = features * np.float32(np.sqrt(len(features) / (len(features) - 1)))
    found = [(n_rows, _drawn(features, n_rows, rng)) for n_rows in DRAWN_SIZES]
    for n_rows, parts in SUMMED_SIZES:
        smaller = found[-1][1]
        total = sum((smaller[rng.permutation(len(smaller))] for _ in range(parts)), np.zeros_like(smaller))
        # Without this, what the mean of all draws is off by would add up.
        found.append((n_rows, (total - total.mean(axis=0)) / np.float32(np.sqrt(parts))))
    return found + [(n_rows, found[-1][1]) for n_rows in GROUPED_SIZES if is_grouped]


def _drawn(features: Single, n_rows: int, rng: np.random.Generator) -> Single:
    """Return sums over rows drawn with replacement (N_DRAWS, F), divided by √n."""
    from scipy.sparse import csr_array

    picked = rng.integers(len(features), size=N_DRAWS * n_rows)
    ends = np.arange(0, len(picked) + 1, n_rows)
    draws = csr_array((np.ones(len(picked), np.float32), picked, ends), shape=(N_DRAWS, len(features)))
    return np.asarray(draws @ features, np.float32) / np.float32(np.sqrt(n_rows))


def _between(offsets: Single, rng: np.random.Generator) -> Single:
    """Return N_DRAWS deviations of windows: one of the historical ones each, by a scale known from m - 1 of them."""
    m = len(offsets)
    scale = np.sqrt((m - 1) / rng.chisquare(m - 1, size=(N_DRAWS, 1))) * np.sqrt(1 + 1 / m)
    picked: Single = offsets[rng.integers(m, size=N_DRAWS)] * scale.astype(np.float32)
    return picked


def between_windows(yardstick: Yardstick, features: Single, groups: NDArray[np.generic]) -> Single:
    """Return what the mean features of historical windows differ by, beyond their rows' chance (m, F).

    Each feature's deviations are shrunk so that their variance is that between windows: total minus sampling. Clusters
    are shrunk by contrasts of their tree: a topic is many clusters, and what each differs by would drown in its chance.

    Args:
        features: Of rows minus the baseline's means (N, F).
        groups: Window of each row (N,).

    Raises:
        ValueError: there are fewer than MIN_GROUPS windows of at least two rows.
    """
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    enough = counts >= 2
    if enough.sum() < MIN_GROUPS:
        raise ValueError(
            f"historical windows: {int(enough.sum())}, at least {MIN_GROUPS} of two rows are needed "
            "to tell what windows differ by; leave `groups` out to take rows as independent"
        )
    members = np.zeros((len(counts), len(features)), np.float32)
    members[group, np.arange(len(features))] = 1
    deviations = ((members @ features)[enough] / counts[enough, None]).astype(np.float64)
    deviations *= np.sqrt(len(deviations) / (len(deviations) - 1))  # they are from their own mean
    each_row = np.mean(1 / counts[enough])
    offsets = _shrunk(deviations, features.var(axis=0, dtype=np.float64) * each_row)
    clusters = yardstick.blocks[2]
    along = _shrunk(deviations[:, clusters] @ yardstick.contrasts, each_row)
    offsets[:, clusters] = along @ yardstick.contrasts.T * yardstick.shares
    return offsets.astype(np.float32)


def _shrunk(deviations: Doubles, chance: Doubles | float) -> Doubles:
    """Return deviations (m, f) with the variance that is more than chance, of each column; zero where there is none."""
    total = np.square(deviations).mean(axis=0)
    shrunk: Doubles = deviations * np.sqrt((1 - chance / np.maximum(total, SMALLEST)).clip(min=0))
    return shrunk


def _kept_ranks(n_draws: int) -> NDArray[np.int64]:
    return np.unique(np.r_[np.arange(50), np.geomspace(50, n_draws - 1, 150)].round().astype(np.int64))


def _falling(sizes: Doubles, ranks: NDArray[np.int64]) -> Doubles:
    """Return the kept ranks of each statistic's sizes and of the combined score (8, q)."""
    falling = -np.sort(-sizes, axis=0)
    p_values = np.empty_like(sizes)
    for place in range(len(STATISTICS)):
        as_large = np.searchsorted(-falling[:, place], -sizes[:, place] * (1 - TIE), side="right")
        p_values[:, place] = (1 + as_large) / (len(sizes) + 1)
    score = -np.sort(-combine(p_values))
    return np.vstack([falling[ranks].T, score[ranks]])
