"""How lopsided and heavy-tailed the difference of two scores is, as far as its items tell.

    ItemScores of candidate and baseline ── difference_cumulants ──> Cumulants of one split and subset
                                                    several ── of_mean ──> Cumulants of their plain mean

Of a score that is a mean of n values, one for each item, the third and fourth cumulants follow from the values: with
moments m about their mean, m3 / n² and (m4 - 3 m2²) / n³. They add up over independent parts, each of k with weight
1 / k. Other scores (a correlation, an F1) are no such mean: theirs are taken as 0, as of a normal distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import Floats
from benchkit.types.result import ItemScores


@dataclass(frozen=True, slots=True)
class Cumulants:
    """Third and fourth cumulant of the difference of two scores, in score units to the power of 3 and 4.

    Divided by the standard error to the same power, they are its skewness and its excess kurtosis.
    """

    third: float = 0.0
    fourth: float = 0.0


NORMAL = Cumulants()


def difference_cumulants(candidate: ItemScores, baseline: ItemScores) -> Cumulants:
    """Return the cumulants of candidate minus baseline on the same items.

    >>> hits = [{"value": np.array(values)} for values in ([0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0])]
    >>> worse, better = (ItemScores("test", "en", "mean", "hit", np.array(list("abcd")), one) for one in hits)
    >>> difference_cumulants(worse, better)  # -3/4 and three times 1/4: m2 = 3/16, m3 = -3/32, m4 = 21/256
    Cumulants(third=-0.005859375, fourth=-0.0003662109375)
    """
    new, old = _item_values(candidate), _item_values(baseline)
    # A mean over other items for each model is no mean of differences.
    if new is None or old is None or not np.array_equal(_counted(candidate), _counted(baseline)):
        return NORMAL
    difference = (new - old)[_counted(candidate)]
    if (n_items := len(difference)) == 0:
        return NORMAL
    deviations = difference - difference.mean()
    m2, m3, m4 = (float(np.mean(deviations**power)) for power in (2, 3, 4))
    return Cumulants(m3 / n_items**2, (m4 - 3 * m2**2) / n_items**3)


def of_mean(parts: Sequence[Cumulants]) -> Cumulants:
    """Return the cumulants of the plain mean over independent parts."""
    return Cumulants(
        sum(part.third for part in parts) / len(parts) ** 3, sum(part.fourth for part in parts) / len(parts) ** 4
    )


def _item_values(entry: ItemScores) -> Floats | None:
    """Return the values (n,) that the score is the mean of; None where it is no such mean."""
    columns = entry.columns
    if entry.strata is not None:
        return None  # what counts there is the spread within each stratum
    if entry.kind == "mean":
        return columns["value"].astype(np.float64)
    if entry.metric == "accuracy" and entry.kind == "classification":
        right: Floats = np.mean(columns["predicted"] == columns["label"][:, None], axis=1)
        return right
    if entry.metric == "accuracy" and entry.kind == "bitext":
        return np.asarray(columns["predicted"] == columns["gold"], dtype=np.float64)
    return None


def _counted(entry: ItemScores) -> NDArray[np.bool_]:
    return np.asarray(entry.columns.get("counted", np.ones(entry.n_items)), dtype=np.bool_)
