"""A log ratio of two models with its doubt, and how several of them make one: the halves of a session, and sessions.

    half 1, processes started in order ──────┐
                                             ├─ over_halves ──> Ratio of a session ──┐
    half 2, others started in reverse ───────┘                  of the next one ─────┴─ pooled ──> Ratio

Of processes that live at the same time, those that were started earlier can be slower for their whole life: on one
virtual machine by 4 to 6 % from the first to the last, steadily from one to the next, and it came and went with the
state of the machine. In the second half every process stands at the mirrored place, so that this has the other sign and
the mean of both halves is without it, to first order: wholly for the model that is measured twice, whose processes are
the first and the last, and for others as far as the effect grows evenly from place to place.

What the mean of two halves has left is the noise of processes: two of one model differ for as long as they live, here
with a standard deviation of 0.8 % by CPU time. It shows in how far the halves lie apart, and so does the order of
starting. The model that is measured twice tells that part: its two processes lie the furthest apart in order, so that
it sets no other two further apart than these. What the halves of a ratio differ by beyond it is noise, and is added to
the interval; without a model measured twice, all of it is.

Limits. An effect that doesn't grow evenly leaves at most half of what two processes of one model show, and the interval
doesn't know of it. One difference of two halves says little of process noise: where calls themselves hardly vary, the
interval of a ratio is some 0.2 % to each side and holds the true one in 27 to 44 of 100 sessions (simulated; in 87 of
100 at 1 %, in 94 at 2 %). Verdicts stay right, for they ask for 5 %, and the control refuses them where it is off by 2.

Sessions are averaged. What counts of process noise is the larger of two, what the sessions say of it and the standard
deviation between them, by sqrt(number of sessions).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

ONE_SIDED, TWO_SIDED = 0.95, 0.975  # quantiles of 95 % bounds and intervals


@dataclass(frozen=True, slots=True)
class Ratio:
    """Candidate / baseline, on a logarithmic scale.

    Attributes:
        error: Standard error of sampling, with its degrees of freedom.
        n: Pairs of calls.
        noise: How far two processes of one model may lie apart, beside the sampling.
        each: What each session says alone.
    """

    log: float
    error: float
    freedom: float
    n: int
    noise: float = 0.0
    each: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        return math.exp(self.log)

    def margin(self, quantile: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, quantile)) * self.error + self.noise

    def interval(self, quantile: float) -> tuple[float, float]:
        """Return both ends of the ratio's interval.

        >>> Ratio(0.0, 0.0, 1.0, 10, noise=math.log(2)).interval(TWO_SIDED)
        (0.5, 2.0)
        """
        margin = self.margin(quantile)
        return math.exp(self.log - margin), math.exp(self.log + margin)


def pooled(ratios: Sequence[Ratio]) -> Ratio:
    """Return what sessions say together.

    >>> both = pooled([Ratio(0.1, 0.03, 9, 10, 0.02, (0.1,)), Ratio(0.3, 0.04, 9, 10, 0.02, (0.3,))])
    >>> round(both.log, 6), both.error, round(both.noise, 6)  # sqrt(.03² + .04²) / 2; sd .1414 / sqrt(2)
    (0.2, 0.025, 0.1)
    """
    if len(ratios) == 1:
        return ratios[0]
    logs = [ratio.log for ratio in ratios]
    return Ratio(
        log=fmean(logs),
        error=math.sqrt(sum(ratio.error**2 for ratio in ratios)) / len(ratios),
        freedom=sum(ratio.freedom for ratio in ratios),
        n=sum(ratio.n for ratio in ratios),
        noise=max(fmean(ratio.noise for ratio in ratios), stdev(logs)) / math.sqrt(len(ratios)),
        each=tuple(logs),
    )


def over_halves(halves: Sequence[Ratio], *, start_order: float = 0.0) -> Ratio:
    """Return what the halves of one session say together.

    Args:
        halves: Two, or one where two processes were beside each other in one half only.
        start_order: How much of a log ratio the order of starting may make up: the `noise` of this function's answer
            for the model that is measured twice. In both halves it cancels, in one it is all noise.

    >>> apart = [Ratio(0.05, 0.03, 9, 10), Ratio(-0.03, 0.04, 9, 10)]
    >>> [round(over_halves(apart, start_order=known).noise, 6) for known in (0.0, 0.03, 0.05)]
    [0.04, 0.01, 0.0]
    """
    if len(halves) == 1:
        return replace(halves[0], noise=start_order)
    both = pooled(halves)
    return replace(both, noise=max(both.noise - start_order, 0.0), each=())
