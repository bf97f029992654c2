"""Rows that lie far from every region of the baseline: what is new in a window, as a region of its own.

    vectors ── is_outside ──> which rows lie beyond the edge that 5 % of the baseline's held rows lie beyond
    Reference, Sketch ── outside_change ──> ClusterChange(OUTSIDE), where surely more rows do than before; or None

A new topic may spread over many regions of the baseline and change none of them enough to be named. Then its rows are
still farther from every centre than rows used to be, and their texts say what it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from benchkit.drift.measure_rows import measure_rows
from benchkit.drift.reference import Reference
from benchkit.drift.sketch import Sketch
from benchkit.types.drift import OUTSIDE, ClusterChange

TAIL = 0.05  # of the baseline's rows lie beyond the edge
# It is named beside the regions, which keep 5 % for all of them: one unchanged window in a hundred names it.
ALPHA = 0.01


def is_outside(reference: Reference, vectors: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Tell which of the rows (n, d) lie far from every region.

    Raises:
        ValueError: the rows are of another dimension.
    """
    first = _first_bin(reference)
    found = [block.novelty >= first for block in measure_rows(reference.frame, vectors)]
    return np.concatenate(found) if found else np.zeros(0, np.bool_)


def outside_share(reference: Reference, window: Sketch) -> float:
    """Return the share of a window's rows that lie far from every region."""
    return float(window.novelty[_first_bin(reference) :].sum() / window.rows)


def usual_outside_share(reference: Reference) -> float:
    """Return the share of the baseline's rows that lie there: about 5 %, and more of a baseline of few rows."""
    return outside_share(reference, reference.baseline)


def outside_change(reference: Reference, window: Sketch, *, usual: Sketch | None = None) -> ClusterChange | None:
    """Return how many more rows lie far from every region than in the baseline; None where that isn't sure.

    Both counts err: given how many rows lie there in both together, those of the window are binomial as long as the
    share is the same, as for the regions themselves (`explain.changed_clusters`).

    Args:
        usual: What the baseline is on the window's weekdays (`Reference.usual`); None is the whole of it.
    """
    first, usual = _first_bin(reference), usual or reference.baseline
    before, now = int(usual.novelty[first:].sum()), int(window.novelty[first:].sum())
    rows, baseline_rows = window.rows, usual.rows
    if not now or not rows:
        return None
    odds = rows / (rows + baseline_rows)
    if bdtrc(now - 1, before + now, odds) > ALPHA:
        return None
    share, window_share = before / baseline_rows, now / rows
    pooled = (before + now) / (rows + baseline_rows)
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / baseline_rows)))
    return ClusterChange(OUTSIDE, share, window_share, (window_share - share) / error if error else 0.0)


def _first_bin(reference: Reference) -> int:
    """Return the first bin of novelty beyond the edge that is nearest to the tail; a small baseline has few edges."""
    above = np.cumsum(reference.baseline.novelty[::-1])[::-1] / reference.baseline.rows
    return int(np.abs(above - TAIL).argmin())
