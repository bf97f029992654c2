"""Window after window: evidence that adds up, and an alarm with a stated distance between false ones.

    p-value ── p_to_e ──> e-value ─┬─ ShiryaevRoberts.step ──> detector, alarm at run_length
    of each window                 ├─ average ──> one e-value of several streams, however they depend
                                   └─ e_bh ──> which of many segments changed

An e-value is a bet against "nothing changed": its mean is at most 1 as long as that is so. The detector starts one more
bet at every window and adds up what all of them are worth, R = (R + 1) * e, so it forgets no evidence and a quiet past
does not hold it back. While nothing changes, R can't be expected to grow by more than 1 a window; so R >= N, the alarm,
comes after N windows or more on the average, whether p-values are uniform or err on the safe side.

Sources: Vovk and Wang, "E-values: Calibration, Combination and Applications", Annals of Statistics 49 (2021), the
mixture of p^(x-1) * x over x in 0 to 1, and averages; Shin, Ramdas and Rinaldo, "E-detectors: A Nonparametric Framework
for Sequential Change Detection", NEJSDS 2024 (arXiv 2203.03532), theorem 2.4, for the run length; Wang and Ramdas,
"False Discovery Rate Control with E-values", JRSS B 84 (2022), for e-BH.
Cost: a few operations a window; the state is four numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchkit.types.drift import Evidence

# Smaller p-values count as this one. Bets only become smaller by that, and neither they nor sums of them overflow.
_LEAST_P = 1e-150
_MOST = 1e300
# Below this -ln p, (e^t - 1 - t) / t² loses more digits to cancellation than four terms of its series leave out.
_SERIES_BELOW = 0.01


def p_to_e(p_value: float) -> float:
    """Return the e-value of a p-value: (1 - p + p ln p) / (p (ln p)²), which is 1/2 at p = 1.

    Raises:
        ValueError: p is not above 0 and at most 1. No test on finite data gives 0, and it would be infinite evidence.

    >>> round(p_to_e(1.0), 6), round(p_to_e(0.05), 2), round(p_to_e(0.001), 1)
    (0.5, 1.78, 20.8)
    """
    if not 0.0 < p_value <= 1.0:
        raise ValueError(
            f"a p-value is above 0 and at most 1, got {p_value}; a rank test gives (1 + rank) / (1 + draws)"
        )
    t = -math.log(max(p_value, _LEAST_P))
    if t < _SERIES_BELOW:
        return 0.5 + t / 6 * (1 + t / 4 * (1 + t / 5 * (1 + t / 6)))
    return (math.expm1(t) - t) / (t * t)


@dataclass(frozen=True, slots=True)
class ShiryaevRoberts:
    """The state of one stream's detector; `step` returns the next one.

    Attributes:
        run_length: Windows between two false alarms, on the average, at the least.
        detector: The sum; an alarm at `run_length`.
        windows: How many it is of: since the start, or since the one after the last alarm.
        e_value: Of the last window; 1, which says nothing, before the first.
    """

    run_length: int
    detector: float = 0.0
    windows: int = 0
    e_value: float = 1.0

    def __post_init__(self) -> None:
        if self.run_length < 1:
            raise ValueError(f"the run length is at least 1 window, got {self.run_length}")
        if not (math.isfinite(self.detector) and self.detector >= 0 and self.windows >= 0):
            raise ValueError(f"a detector is finite and not negative, got {self.detector} of {self.windows} windows")

    @property
    def is_alarm(self) -> bool:
        return self.detector >= self.run_length

    def step(self, e_value: float) -> ShiryaevRoberts:
        """Return the state after one more window; after an alarm it starts from nothing.

        Raises:
            ValueError: the e-value is negative or not a number.
        """
        if not e_value >= 0.0:
            raise ValueError(f"an e-value is not negative, got {e_value}")
        start = ShiryaevRoberts(self.run_length) if self.is_alarm else self
        bounded = min(e_value, _MOST)
        # In this order no product overflows: the factor before it is below the run length.
        detector = min((start.detector + 1.0) * min(bounded, _MOST / (start.detector + 1.0)), _MOST)
        return replace(start, detector=detector, windows=start.windows + 1, e_value=bounded)

    @property
    def evidence(self) -> Evidence:
        """What the windows so far say, for a report."""
        return Evidence(self.e_value, self.detector, self.run_length, self.windows)


def windows_to_alarm(p_value: float, run_length: int) -> float:
    """Return how many windows with this p-value, one after the other, raise the alarm; infinity where none do.

    The smallest p-value that a null of B draws can give, 1 / (B + 1), thus bounds how fast any change is found.

    Raises:
        ValueError: as `p_to_e` and `ShiryaevRoberts`.

    >>> windows_to_alarm(1 / 1501, 1000), windows_to_alarm(0.5, 1000)  # e = 27.9: 27.9, 806, alarm
    (3, inf)
    """
    state, e_value = ShiryaevRoberts(run_length), p_to_e(p_value)
    # With e < 1 the sum settles at e / (1 - e).
    if e_value < 1.0 and e_value / (1.0 - e_value) <= run_length:
        return math.inf
    while not state.is_alarm:
        state = state.step(e_value)
    return state.windows


def average(e_values: Sequence[float]) -> float:
    """Return one e-value of several streams' windows, valid however the streams depend on each other.

    Raises:
        ValueError: there are none, or one is negative or not a number.

    >>> average([0.5, 3.5])
    2.0
    """
    _check_e_values(e_values)
    if not len(e_values):
        raise ValueError("there is no average of no e-values")
    return math.fsum(min(each, _MOST) / len(e_values) for each in e_values)


def e_bh(e_values: Sequence[float], alpha: float) -> NDArray[np.bool_]:
    """Return which segments changed, at most `alpha` of them falsely on the average, however they depend on each other.

    Of K e-values, the k largest are taken for the largest k whose k-th largest is at least K / (alpha k).

    Args:
        e_values: One for each segment (K,).
        alpha: False discovery rate, above 0 and below 1.

    Raises:
        ValueError: alpha outside that, or an e-value is negative or not a number.

    >>> e_bh([50, 1, 45, 0.5], alpha=0.05)  # 4 / (0.05 * 2) = 40 for the second largest
    array([ True, False,  True, False])
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"a false discovery rate is above 0 and below 1, got {alpha}")
    _check_e_values(e_values)
    values = np.asarray(e_values, dtype=np.float64)
    largest_first = np.sort(values)[::-1]
    ranks = np.arange(1, len(values) + 1)
    taken = np.flatnonzero(largest_first * ranks >= len(values) / alpha)
    if not len(taken):
        return np.zeros(len(values), dtype=np.bool_)
    rejected: NDArray[np.bool_] = values >= largest_first[taken[-1]]
    return rejected


def _check_e_values(e_values: Sequence[float]) -> None:
    if bad := [each for each in e_values if not each >= 0.0]:
        raise ValueError(f"an e-value is not negative, got {bad[0]}")
