"""Is a candidate no worse than a baseline by a margin: what a gate concludes from paired bootstrap draws.

    Draws of candidate and baseline ── noninferiority ──> NonInferiority ──┐
          (the same resamples)                                             ├─ decide ──> pass · fail · inconclusive
    p-values of a family of rules ── holm (measure.decide), each kind ─────┘
    standard error ── detectable ──> smallest regression that would be caught
                   └─ items_needed ──> items that a pass takes

PASS: the data exclude a regression as large as the margin. FAIL: the candidate's score is lower by more than the margin
and the data exclude that it is as good as the baseline. Everything else is INCONCLUSIVE: more items would tell.

Draws are pushed outwards on either side by the larger of two corrections. Percentiles of a bootstrap pass too many
candidates that are worse by exactly the margin (6 to 10 % where 5 % are meant) when few items differ between models, or
few lose much, which is how rankings and right-or-wrong answers differ:

  heavy tails   With items of excess kurtosis k, their variance is known as from 2 / (k / n) degrees of freedom, not from
                n - 1 (Satterthwaite 1946). The draws, sums of n items, have an excess kurtosis of k / n: a draw at z
                standard errors is put where Student's t has the probability that the normal has at z.
  skewness      A sample that happens to miss the rare large losses has a better mean and a smaller spread at once, which
                percentiles, skewed like the sample, see the wrong way round. Johnson's t shifts by
                se * g / 6 * (2 z² + 1), g being the skewness of the draws; only ever outwards.

benchmarks/gate_coverage.py measures what comes of it. The estimate is not moved.

Sources: Johnson, "Modified t Tests and Confidence Intervals for Asymmetrical Populations", JASA 73 (1978), eq. 2.6;
Hesterberg, "What Teachers Should Know about the Bootstrap", The American Statistician 69 (2015), sect. 4; Satterthwaite,
"An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2 (1946); Piaggio et al.,
"Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 308 (2012), for the decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchkit.measure.bootstrap import ROUNDING, Draws, interval
from benchkit.measure.cells import Floats
from benchkit.measure.decide import ALPHA
from benchkit.types.comparison import Interval

POWER = 0.8
FEWEST_DRAWS = math.ceil(1 / ALPHA)  # with fewer, no p-value can be below the level
ROUNDING_DF = 1e-6  # an excess kurtosis this small is the normal distribution's; also keeps the division finite

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


def noninferiority(candidate: Draws, baseline: Draws, *, margin: float) -> NonInferiority:
    """Test whether the candidate is worse by less than the margin, and whether it is worse at all.

    p_noninferior = (#{d <= -margin} + 1) / (B + 1), p_worse = (#{d >= 0} + 1) / (B + 1) over the draws d of the
    difference; differences within rounding (1e-12) are 0. Where all are 0 the models gave the same answers: p_noninferior
    is 0, since nothing was sampled that could have come out otherwise, and a pass must survive Holm's correction in any
    family, where 1 / (B + 1) times thousands of rules would not.

    Args:
        margin: Largest regression that is accepted, above 0.

    Raises:
        ValueError: not equally many draws, or fewer than 20; a margin that isn't above 0.

    >>> same = Draws(0.5, np.full(99, 0.5))
    >>> found = noninferiority(same, same, margin=0.01)
    >>> found.delta, found.interval, found.p_noninferior, found.p_worse
    (0.0, Interval(low=0.0, high=0.0), 0.0, 1.0)
    """
    _check(candidate, baseline, margin)
    delta = float(_without_rounding(np.array(candidate.estimate - baseline.estimate)))
    differences = _without_rounding(candidate.values - baseline.values)
    if delta == 0 and not differences.any():
        return NonInferiority(0.0, margin, Interval(0.0, 0.0), 0.0, 0.0, 1.0, 0.0)
    deviations = differences - delta
    below = _without_rounding(delta + _pushed_down(deviations))
    above = _without_rounding(delta - _pushed_down(-deviations))
    standard_error = float(_without_rounding(differences.std()))
    return NonInferiority(
        delta=delta,
        margin=margin,
        interval=Interval(interval(Draws(delta, below)).low, interval(Draws(delta, above)).high),
        lower=_lower(below),
        p_noninferior=_p_value(int(np.count_nonzero(below <= -margin)), len(below)),
        p_worse=_p_value(int(np.count_nonzero(above >= 0)), len(above)),
        standard_error=standard_error,
    )


def _check(candidate: Draws, baseline: Draws, margin: float) -> None:
    n_candidate, n_baseline = len(candidate.values), len(baseline.values)
    if n_candidate != n_baseline:
        raise ValueError(f"paired draws should be equally many: candidate {n_candidate}, baseline {n_baseline}")
    if n_candidate < FEWEST_DRAWS:
        raise ValueError(f"a one-sided test at the 5 % level needs {FEWEST_DRAWS} draws or more, got {n_candidate}")
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"the margin should be above 0, got {margin}")


def _without_rounding(values: Floats) -> Floats:
    return np.where(np.abs(values) <= ROUNDING, 0.0, values)


def _pushed_down(deviations: Floats) -> Floats:
    """Return deviations from the estimate that are as far below it as its uncertainty reaches (see the module)."""
    from scipy.special import ndtr, stdtrit

    spread = float(deviations.std())
    if spread <= ROUNDING:
        return deviations
    z = deviations / spread
    excess = float(np.mean(z**4)) - 3
    skewness = min(float(np.mean(z**3)), 0.0)
    # Above the estimate nothing is pushed: what lies there decides no lower bound.
    low = np.minimum(z, 0.0)
    shifted = z + skewness / 6 * (2 * low**2 + 1)
    if excess <= ROUNDING_DF:
        return spread * shifted
    tailed = np.where(z < 0, stdtrit(2 / excess, ndtr(low)), z)
    return spread * np.minimum(shifted, tailed)


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
    """Return how many items an equally good candidate needs to PASS with 80 % power; None where the models don't differ.

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


def _normal_points(family: int) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri(1 - ALPHA / family)), float(ndtri(POWER))
