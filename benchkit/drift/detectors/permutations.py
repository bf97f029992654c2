"""Permutation tests: which of all ways to call the rows reference and current looks as unlike as what was found?

    n + m rows ── draw_labels ── (n + m, 1 + B) ── statistic of every column ── decide ── p = (1 + #≥) / (1 + B)

Column 0 is what really was; B columns are random relabellings. A method computes the statistic of all columns at once,
by matrix products with the labels. If both samples come from one distribution, all columns are alike, so p ≤ α happens
in at most α of all cases, whatever the distribution, the sizes and the statistic.

Source: Phipson & Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010), equation 2.
Cost: O((n + m) · B) time, one byte for each label.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.detectors.samples import Floats, Samples
from benchkit.types.drift import DetectorResult

Labels = NDArray[np.bool_]  # (rows, 1 + B): whether the row counts as the reference's

# Sums over rows in another order differ by rounding; statistics nearer than this share of their spread are equal.
_EQUAL = 1e-8
_ROUNDED = 1 + 1e-12  # 49 · (1 / 49) is below 1


def check_alpha(alpha: float) -> None:
    """Check a rate of false alarms.

    Raises:
        ValueError: it isn't between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha should be between 0 and 1, got {alpha}")


def draw_labels(pair: Samples, permutations: int, *, alpha: float, rng: np.random.Generator) -> Labels:
    """Return the true labels and `permutations` random ones, (rows, 1 + permutations).

    Raises:
        ValueError: alpha isn't between 0 and 1, or no p-value of so few relabellings can be as small.
    """
    check_alpha(alpha)
    if alpha * (permutations + 1) * _ROUNDED < 1.0:
        needed = math.ceil(1.0 / alpha) - 1
        raise ValueError(
            f"alpha {alpha:g} needs at least {needed} permutations, got {permutations}: "
            f"the smallest p-value of these is {1 / (permutations + 1):.2g}"
        )
    labels = np.tile(pair.is_reference, (permutations + 1, 1))
    labels[1:] = rng.permuted(labels[1:], axis=1)
    return labels.T


def decide(method: str, statistics: Floats, pair: Samples, *, alpha: float) -> DetectorResult:
    """Hold the first statistic against the others.

    Args:
        statistics: Of every column of the labels (1 + B,); larger is more unlike.

    Returns:
        A result whose threshold is the largest statistic that is no alarm.
    """
    found = float(statistics[0])
    as_large = int((statistics >= found - _EQUAL * float(np.ptp(statistics))).sum())  # counts itself: the 1 + of p
    p_value = as_large / len(statistics)
    # p ≤ α asks that fewer than this many relabellings reach the statistic.
    rank = int(alpha * len(statistics) * _ROUNDED)
    threshold = float(np.sort(statistics[1:])[::-1][rank - 1])
    return result(method, found, pair, p_value=p_value, threshold=threshold, drifted=p_value <= alpha)


def result(
    method: str, statistic: float, pair: Samples, *, p_value: float | None, threshold: float | None, drifted: bool
) -> DetectorResult:
    """Return a result with the rows that were given and those that were used."""
    return DetectorResult(
        method=method,
        statistic=statistic,
        p_value=p_value,
        threshold=threshold,
        drifted=drifted,
        n_reference=pair.given_reference,
        n_current=pair.given_current,
        used_reference=pair.n_reference,
        used_current=pair.n_current,
    )
