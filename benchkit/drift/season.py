"""What comes back: how far each weekday, or hour of a day, is from the whole, as far as that foretells the next one.

    windows of the past (m, F) ─┬─ of the same phase, without itself ──> what each might have been expected to be
        phase of each (m,)      └─ share of it that is found again, 0 to 1, by columns ── effects of phases (period, F)

A Saturday held against all days alarms as often as Saturdays are unlike them: of 28 days with topics of their own at
weekends, 22 of 100 where 5 are meant (benchmarks/drift_history.py). Held against what Saturdays were, it does not; and
what an ordinary day may differ by gets smaller by the weekends. A few Saturdays tell their mean badly, so an effect is
kept only as far as it foretells windows that it was not computed from: the slope of a regression of each window on the
mean of the others of its phase. Without a cycle the slope is zero.

Source: cross-validated shrinkage by a slope: Copas, "Regression, prediction and shrinkage", JRSS B 45 (1983).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.pools import columns_of, deviations_of, pools_of
from benchkit.drift.statistics import Yardstick

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]

FEWEST = 3  # windows of a phase, for its mean to be foretold by two others at least
SURE = 4.0  # standard errors, of a pool's slope
STANDS_OUT = 8.0  # standard errors, of one column among hundreds; those of few windows are rough
SMALLEST = np.finfo(np.float64).tiny


class Cycle(NamedTuple):
    """What phases differ from the whole by.

    Attributes:
        effects: Of each phase (period, F); zeros of one that isn't known.
        known: Which phases are (period,).
        foretold: What each window of the past was expected to differ by, from the others of its phase (m, F).
    """

    effects: Doubles
    known: NDArray[np.bool_]
    foretold: Doubles


def find_cycle(yardstick: Yardstick, windows: Doubles, rows: Places, phases: Places, period: int) -> Cycle | None:
    """Return what phases differ by; None where no phase foretells anything.

    Args:
        windows: Deviations of the past's windows from the whole (m, F).
        rows: How many each has (m,).
        phases: Of each (m,), 0 to period - 1.
    """
    members = np.eye(period)[phases] * rows[:, None]
    totals, counts = members.T @ windows, members.sum(axis=0)
    known = np.bincount(phases, minlength=period) >= FEWEST
    used = known[phases]
    if known.sum() < 2:
        return None
    others = (counts[phases] - rows)[:, None]
    alone = np.divide(totals[phases] - rows[:, None] * windows, others, out=np.zeros_like(windows), where=used[:, None])
    found, alone = columns_of(yardstick, windows), columns_of(yardstick, alone)
    weights, is_phase = rows[used] / rows.mean(), members[used] > 0
    slopes = _slopes(found[used], alone[used], weights, is_phase, pools_of(yardstick))
    far = slice(yardstick.blocks[3].start - 1, yardstick.blocks[3].stop - 1)
    # Bins of novelty are few and unlike each other, and one number to the statistic: they have the slope of that.
    scored, others_scored = (part[used][:, far] @ yardstick.novelty_scores[:, None] for part in (found, alone))
    slopes[:, far] = _slopes(scored, others_scored, weights, is_phase, [slice(0, 1)])
    if not slopes.any():
        return None
    means = np.divide(totals, counts[:, None], out=np.zeros_like(totals), where=known[:, None])
    effects = deviations_of(yardstick, columns_of(yardstick, means) * slopes)
    return Cycle(effects, known, deviations_of(yardstick, alone * slopes[phases]))


def _slopes(
    windows: Doubles, others: Doubles, weights: Doubles, is_phase: NDArray[np.bool_], pools: list[slice]
) -> Doubles:
    """Return how much of the others' mean windows of each phase have (period, F - 1), 0 to 1.

    Where a pool of columns surely has a cycle, each phase has its slope in it: most weekdays may be alike, and be told
    best by nothing. A column that stands out in its pool has its own.
    """
    scale = np.square(windows).mean(axis=0).clip(min=SMALLEST)
    products = weights[:, None] * windows * others / scale
    squares = weights[:, None] * np.square(others) / scale
    of_phases = is_phase.astype(np.float64).T
    slopes = np.zeros((len(of_phases), windows.shape[1]))
    for pool in pools:
        in_pool, squared = products[:, pool].sum(axis=1), squares[:, pool].sum(axis=1)
        if _surely_slopes(in_pool, squared, SURE):
            slopes[:, pool] = _slope(of_phases @ in_pool, of_phases @ squared)[:, None]
    for column in range(slopes.shape[1]):
        if _surely_slopes(products[:, column], squares[:, column], STANDS_OUT):
            slopes[:, column] = _slope(of_phases @ products[:, column], of_phases @ squares[:, column])
    return slopes


def _slope(products: Doubles, squares: Doubles) -> Doubles:
    """Return the slopes Σ products / Σ squares of lines through nothing, 0 to 1."""
    found: Doubles = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0).clip(0.0, 1.0)
    return found


def _surely_slopes(products: Doubles, squares: Doubles, errors: float) -> bool:
    """Tell whether the slope of all windows is more than so many standard errors.

    The error is White's (1980): of each window's own distance from the line.
    """
    total = float(squares.sum())
    if total <= 0:
        return False
    slope = float(products.sum()) / total
    return slope > errors * float(np.linalg.norm(products - slope * squares)) / total
