"""Is a window's sketch what the baseline leads one to expect? P-values, and how large the change is.

    Reference, Sketch ── deviation of the means, times √n/√(1 + n/N) ── Yardstick.sizes ─┐
                                              tolerance: minus what it explains ─────────┼─ NullTable ──> Judgement
    Reference, Sketch ── dead_rms ──> strength on directions that the baseline never uses

Tolerance ε: "no more than a share ε of the rows was replaced, by any rows whatsoever". Replaced rows move the means
by at most ε times the farthest that any one row is from them (`Yardstick.reach`: rows are drawn in to a finite
distance, all other features are bounded). Sizes are seminorms, so of a window within the tolerance, size(u) <=
size(chance) + √n · ε · reach: what is beyond that is looked up. So a tolerated window is an alarm no more often than
an unchanged one; the price is power against changes only slightly larger than ε.
Cost: one projection d², some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import NORM_DEAD_BAND
from benchkit.drift.measure_rows import MAX_NORM
from benchkit.drift.outside import outside_share, usual_outside_share
from benchkit.drift.reference import Reference
from benchkit.drift.sketch import Sketch
from benchkit.drift.statistics import STATISTICS
from benchkit.drift.time_counts import TimeCounts
from benchkit.types.drift import StatisticResult

Doubles = NDArray[np.float64]

MIN_WINDOW = 30


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the statistics say of a window.

    Attributes:
        p_value: Of all together, calibrated jointly; never below 1/5000.
        statistics: One for each of `statistics.STATISTICS`.
    """

    p_value: float
    statistics: tuple[StatisticResult, ...]


def judge(
    reference: Reference, sketch: Sketch, *, tolerance: float = 0.0, times: TimeCounts | None = None
) -> Judgement:
    """Compare a window with the baseline.

    Args:
        times: When its rows came, in units of the baseline's historical windows; None where that isn't known.
        tolerance: Share of rows, 0 to 1, that may be replaced before a change counts; see the module.

    Raises:
        ValueError: the window has fewer than 30 rows or is of another reference, or the tolerance is not a share.
    """
    if sketch.rows < MIN_WINDOW:
        raise ValueError(f"a window of {sketch.rows} rows says nothing; {MIN_WINDOW} are needed")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance: a share of rows from 0 to 1, got {tolerance}")
    if sketch.shape != reference.baseline.shape:
        raise ValueError(f"the sketch is of another reference: {sketch.shape}, expected {reference.baseline.shape}")
    yardstick = reference.yardstick
    expected = reference.history.expect(sketch.rows, times)
    change = yardstick.means(sketch) - yardstick.baseline_means
    if expected.effect is not None:
        change -= expected.effect
    counted = expected.alike.counted
    root = np.sqrt(counted / (1 + counted / reference.baseline.rows))
    sizes = yardstick.sizes(root * change[None])[0]
    beyond = (sizes - root * tolerance * yardstick.reach).clip(min=0) if tolerance else sizes
    p_value, p_values = expected.null.look_up(expected.alike.rows, beyond)
    effects = _effects(reference, sketch, change)
    return Judgement(
        p_value=p_value,
        statistics=tuple(
            StatisticResult(name, float(size), float(p), *effect)
            for name, size, p, effect in zip(STATISTICS, sizes, p_values, effects, strict=True)
        ),
    )


def dead_rms(reference: Reference, sketch: Sketch) -> tuple[float, float] | None:
    """Return the RMS of the window and of the baseline along directions in which the baseline does not vary.

    About equal as long as the same model computes with the same arithmetic, whatever it is given; None where the
    baseline has no such direction or the window no rows.
    """
    n_dead = len(reference.frame.dead)
    if not n_dead or not sketch.rows:
        return None
    found, expected = (float(np.sqrt(sums.dead / (sums.rows * n_dead))) for sums in (sketch, reference.baseline))
    return found, expected


def cluster_counts(sketch: Sketch) -> NDArray[np.int64]:
    """Return how many rows of a window are nearest to each centroid (k,); `Reference.cluster_shares` goes beside."""
    return sketch.clusters


def _effects(reference: Reference, sketch: Sketch, change: Doubles) -> list[tuple[float, str]]:
    """Return the size of the change in each statistic's own unit, less what chance adds to it."""
    yardstick = reference.yardstick
    linear, squares, clusters, _, norm = yardstick.blocks
    variance = yardstick.variances.astype(np.float64) * (1 / sketch.rows + 1 / reference.baseline.rows)
    moved = np.square(change[linear])
    shares = change[clusters]
    spread, scale = change[squares], reference.frame.norm_scale
    return [
        (float(np.sqrt(max(moved.sum() - variance[linear].sum(), 0.0))), "distance of the means"),
        (
            float(np.sqrt(max(((moved - variance[linear]) / yardstick.ridged).sum(), 0.0))),
            "standard deviations",
        ),
        (
            outside_share(reference, sketch),
            f"share of rows beyond the baseline's farthest {usual_outside_share(reference):.0%}",
        ),
        (_moved_share(shares, variance[clusters], yardstick.shares), "share of rows in other clusters"),
        (float(shares[np.abs(shares).argmax()]), "change of one cluster's share"),
        (float(spread[np.abs(spread / yardstick.spread[:-2]).argmax()]), "relative change of a variance"),
        (
            float(change[norm][0] * scale),
            f"change of the log norm beyond {NORM_DEAD_BAND:g}, of each row up to {MAX_NORM * scale:.2g}",
        ),
    ]


def _moved_share(change: Doubles, by_chance: Doubles, shares: Doubles) -> float:
    """Return half of the sum of the clusters' changes (total variation), less what chance adds to it.

    That is estimated by shrinking all changes alike (James and Stein 1961), which is too much where one small cluster
    changed, and by taking its variance off each square, which is too much where nothing did: the smaller one. On 64
    clusters and windows of 500 rows, .10 moved are seen as .07 to .12, and none as .01.

    Args:
        change, by_chance: Of the shares of rows, and their variances (k,).
        shares: The baseline's (k,), none of them zero.
    """
    squares = float((np.square(change) / shares).sum())
    kept = max(0.0, 1 - float((by_chance / shares).sum()) / squares) if squares else 0.0
    each = np.sqrt((np.square(change) - by_chance).clip(min=0))
    return min(kept * float(np.abs(change).sum()), float(each.sum())) / 2
