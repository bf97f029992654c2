"""Is a candidate no worse than a baseline by a margin: what a gate concludes from paired bootstrap draws.

    Draws of candidate and baseline ── noninferiority ──> NonInferiority ──┐
          (the same resamples)                                             ├─ decide ──> pass · fail · inconclusive
    p-values of a family of rules ── holm (measure.decide), each kind ─────┘
    standard error ── detectable ──> smallest regression that would be caught
                   └─ items_needed ──> items that a pass takes
    items on which nothing was lost ── unnoticed ──> how likely a candidate at the margin would look the same

PASS: the data exclude a regression as large as the margin. FAIL: the candidate's score is lower by more than the margin
and the data exclude that it is as good as the baseline. Everything else is INCONCLUSIVE: more items would tell.

Draws are pushed outwards on either side by the larger of two corrections, which follow from the cumulants of the items
(measure.cumulants). Percentiles of a bootstrap let too many candidates pass that are worse by exactly the margin (6 to
10 % where 5 % are meant) when few items differ between the models, or few lose much, which is how rankings and
right-or-wrong answers differ:

  heavy tails   Of items with excess kurtosis k, the variance is known as from 2 / (k / n) degrees of freedom rather
                than n - 1 (Satterthwaite 1946); k / n is the excess kurtosis of their mean. The quantile of a level is
                stretched by Student's t over the normal distribution at that level.
  skewness      A sample that happens to miss the rare large losses has a better mean and a smaller spread at once,
                which percentiles, skewed like the sample, see the wrong way round. Johnson's t shifts a quantile by
                se * g / 6 * (2 z² + 1), g being the skewness of the mean and z the normal point of the level.

Both only ever push outwards; the estimate is not moved. Scores that are no mean over items (correlations) have no such
cumulants and need none: tails and skew of their draws are of the score, not of its standard error. What comes of it is
measured by benchmarks/gate_coverage.py.

Sources: Johnson, "Modified t Tests and Confidence Intervals for Asymmetrical Populations", JASA 73 (1978), eq. 2.6;
Hesterberg, "What Teachers Should Know about the Bootstrap", The American Statistician 69 (2015); Satterthwaite, "An
Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2 (1946); Piaggio et al., "Reporting
of Noninferiority and Equivalence Randomized Trials", JAMA 308 (2012), for the decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchkit.measure.bootstrap import Draws
from benchkit.measure.cells import Floats
from benchkit.measure.cumulants import NORMAL, Cumulants
from benchkit.measure.decide import ALPHA
from benchkit.measure.paired import ROUNDING, differences, interval
from benchkit.types.comparison import Interval

POWER = 0.8
FEWEST_DRAWS = math.ceil(1 / ALPHA)  # with fewer, no p-value is below the level
FEWEST_FREEDOM = 2.0  # of a mean to which one item adds all there is: an excess kurtosis of 1
MOST_FREEDOM = 1e6  # from here on t is the normal distribution

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Candidate minus baseline, held against a margin.

    Attributes:
        interval: 95 %, two-sided.
        lower: One-sided 95 % lower bound; above -margin exactly where p_noninferior < 0.05.
        p_noninferior: That the candidate is worse by the margin or more.
        p_worse: That it is as good or better.
        standard_error: Of the difference; 0 where both models score the same on every resample.
    """

    delta: float
    margin: float
    interval: Interval
    lower: float
    p_noninferior: float
    p_worse: float
    standard_error: float


def noninferiority(
    candidate: Draws, baseline: Draws, *, margin: float, cumulants: Cumulants = NORMAL
) -> NonInferiority:
    """Test whether the candidate is worse by less than the margin, and whether it is worse at all.

    p_noninferior = (#{d <= -margin} + 1) / (B + 1), p_worse = (#{d >= 0} + 1) / (B + 1) over the draws d of the
    difference; differences within rounding (1e-12) are 0. Where all are 0 the models gave the same answers, and
    p_noninferior is 0: no resample could have come out otherwise, and the pass must survive Holm's correction in any
    family, where 1 / (B + 1) times thousands of rules would not.

    Args:
        margin: Largest regression that is accepted, above 0.
        cumulants: Of the difference.

    Raises:
        ValueError: not equally many draws, or fewer than 20; a margin that isn't above 0.

    >>> same = Draws(0.5, np.full(99, 0.5))
    >>> found = noninferiority(same, same, margin=0.01)
    >>> found.delta, found.interval, found.p_noninferior, found.p_worse
    (0.0, Interval(low=0.0, high=0.0), 0.0, 1.0)
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"the margin should be above 0, got {margin}")
    found = _spread_out(candidate, baseline, cumulants)
    if found.delta == 0 and not found.differences.any():
        return NonInferiority(0.0, margin, Interval(0.0, 0.0), 0.0, 0.0, 1.0, 0.0)
    return NonInferiority(
        delta=found.delta,
        margin=margin,
        interval=_interval(found),
        lower=_lower(found.below),
        p_noninferior=_p_value(int(np.count_nonzero(found.below <= -margin)), len(found.below)),
        p_worse=_p_value(int(np.count_nonzero(found.above >= 0)), len(found.above)),
        standard_error=float(_without_rounding(found.differences.std())),
    )


def change_interval(candidate: Draws, baseline: Draws, *, cumulants: Cumulants = NORMAL) -> Interval:
    """Return the 95 % interval of the difference, as `noninferiority` has it for every margin.

    Raises:
        ValueError: as there.
    """
    return _interval(_spread_out(candidate, baseline, cumulants))


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    """Draws of a difference (B,), and the same pushed outwards, in order: those that bound it from below and above."""

    delta: float
    differences: Floats
    below: Floats
    above: Floats


def _spread_out(candidate: Draws, baseline: Draws, cumulants: Cumulants) -> _Difference:
    found = differences(candidate, baseline)
    if len(found) < FEWEST_DRAWS:
        raise ValueError(f"a one-sided test at the 5 % level needs {FEWEST_DRAWS} draws or more, got {len(found)}")
    delta = float(_without_rounding(np.array(candidate.estimate - baseline.estimate)))
    return _Difference(
        delta=delta,
        differences=found,
        below=_without_rounding(delta + _pushed_down(found - delta, cumulants)),
        above=_without_rounding(delta - _pushed_down(delta - found, Cumulants(-cumulants.third, cumulants.fourth))),
    )


def _interval(found: _Difference) -> Interval:
    return Interval(interval(Draws(found.delta, found.below)).low, interval(Draws(found.delta, found.above)).high)


def _without_rounding(values: Floats) -> Floats:
    return np.where(np.abs(values) <= ROUNDING, 0.0, values)


def _pushed_down(deviations: Floats, cumulants: Cumulants) -> Floats:
    """Return deviations from the estimate, in order, those below the median pushed down (see the module)."""
    from scipy.special import ndtri, stdtrit

    ordered = np.sort(deviations)
    spread = float(ordered.std())
    if spread <= ROUNDING or cumulants == NORMAL:
        return ordered
    n_draws, n_low = len(ordered), len(ordered) // 2
    levels = np.arange(1, n_low + 1) / (n_draws + 1)
    normal, low = ndtri(levels), ordered[:n_low]
    shifted = low + cumulants.third / spread**2 / 6 * (2 * normal**2 + 1)
    excess = cumulants.fourth / spread**4
    freedom = max(FEWEST_FREEDOM, 2 / excess) if excess > 0 else math.inf
    stretched = low * stdtrit(freedom, levels) / normal if freedom < MOST_FREEDOM else low
    return np.concatenate([np.minimum(np.minimum(shifted, stretched), low), ordered[n_low:]])


def _lower(below: Floats) -> float:
    """Return the draw below which the margin makes p_noninferior 0.05 or more.

    An order statistic, not a quantile between two of them: p counts draws, and bound and p-value may never disagree.
    """
    place = math.ceil(ALPHA * (len(below) + 1)) - 1
    return float(np.partition(below, place - 1)[place - 1])


def _p_value(n_beyond: int, n_draws: int) -> float:
    return (n_beyond + 1) / (n_draws + 1)


# Decision


def decide(found: NonInferiority, *, p_pass: float, p_fail: float) -> Decision:
    """Say what a rule concludes.

    Args:
        p_pass, p_fail: `found.p_noninferior` and `found.p_worse`, after Holm's correction in the rule's family; as they
            are for a rule that stands alone.
    """
    beyond = found.delta < -found.margin
    if beyond:
        return "fail" if p_fail < ALPHA else "inconclusive"
    return "pass" if p_pass < ALPHA else "inconclusive"


# Power


def detectable(standard_error: float, margin: float, *, family: int = 1) -> float | None:
    """Return the smallest regression that would end as FAIL with 80 % power; None where the models don't differ.

    FAIL asks for a score that is lower by more than the margin and, with it, by more than z * standard error:
    max(margin, z * se) + 0.84 * se, with z of the level 0.05 / family, which is what Holm asks of the only rule that
    fails.

    >>> round(detectable(0.01, 0.02), 4)  # 0.02 + 0.8416 * 0.01
    0.0284
    """
    if standard_error <= 0:
        return None
    level, power = _normal_points(family)
    return max(margin, level * standard_error) + power * standard_error


def items_needed(n_items: int, standard_error: float, margin: float, *, open_rules: int = 1) -> int | None:
    """Return how many items an equally good candidate needs to PASS with 80 % power; None where models don't differ.

    The standard error falls with the square root of the items: n * ((z + 0.84) * se / margin)².

    Args:
        open_rules: Rules of the family that have not passed, this one included: Holm tests them at 0.05 / open_rules
            once the others have.

    >>> items_needed(100, 0.02, 0.02)  # (1.645 + 0.842)² = 6.18
    619
    """
    if standard_error <= 0:
        return None
    level, power = _normal_points(open_rules)
    return math.ceil(n_items * ((level + power) * standard_error / margin) ** 2)


def unnoticed(n_items: int, margin: float) -> float:
    """Return how likely a candidate that fails on a share of items as large as the margin fails on none of n.

    One item adds at most 1 to a mean, so that no rarer losses than these make up the margin. Where nothing was lost, no
    resample holds a loss, and with fewer than about 3 / margin items that says little of others.

    >>> round(unnoticed(149, 0.02), 3), round(unnoticed(20, 0.02), 2)
    (0.049, 0.67)
    """
    return (1 - min(margin, 1.0)) ** n_items


def _normal_points(family: int) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri(1 - ALPHA / family)), float(ndtri(POWER))
