"""How often the gate's quality rule is wrong and how often it catches a regression, by simulation.

    a kind of data, a true difference ── many data sets ── draw_scores of both models ── noninferiority ── decide
        ├─ true difference = -margin: share of PASS, 5 % is meant, 4 to 6 % is asked for
        ├─ true difference = 0: share of FAIL
        └─ true differences from 0 on: shares of FAIL and PASS, beside what `detectable` and `items_needed` foretell

    python benchmarks/gate_coverage.py [--sims 4000] [--resamples 999] [--seed 0]

The true difference of each kind is known exactly, or for Spearman in closed form of a normal distribution. Resamples
are shared by blocks of data sets: a gate has one set of them for all its life, and what that adds averages out over
blocks. "plain" is what the percentiles of the bootstrap alone would let pass. The exit code is 1 when a kind is outside
of 4 to 6 % by more than two standard errors of the simulation (0.7 % with 4000 data sets).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.measure.cumulants import difference_cumulants
from benchkit.measure.noninferiority import NonInferiority, decide, detectable, items_needed, noninferiority
from benchkit.measure.weighted import weighted_scores
from benchkit.types.result import ItemScores

ASKED = (0.04, 0.06)
BLOCK = 100  # data sets that share their resamples
Floats = NDArray[np.float64]
Pair = tuple[ItemScores, ItemScores]  # candidate, baseline
Makes = Callable[[np.random.Generator, int, float], Pair]  # items, true regression


@dataclass(frozen=True)
class Kind:
    """A kind of data, at one size and margin."""

    name: str
    make: Makes
    n_items: int
    margin: float


# ---------------------------------------------------------------- data


def entry(kind: str, metric: str, n_items: int, **columns: Floats) -> ItemScores:
    return ItemScores("test", "default", kind, metric, np.arange(n_items).astype(str), columns)  # type: ignore[arg-type]


def values(candidate: Floats, baseline: Floats) -> Pair:
    n_items = len(baseline)
    return entry("mean", "score", n_items, value=candidate), entry("mean", "score", n_items, value=baseline)


def normal(rng: np.random.Generator, n_items: int, regression: float) -> Pair:
    baseline = rng.random(n_items)
    return values(baseline + rng.normal(-regression, 0.2, n_items), baseline)


def right_or_wrong(gained: float) -> Makes:
    """Return answers that are right or wrong; the candidate gets a share of them right that the baseline had wrong."""

    def make(rng: np.random.Generator, n_items: int, regression: float) -> Pair:
        drawn = rng.random(n_items)
        lost = gained + regression
        baseline = np.where(drawn < lost, 1.0, np.where(drawn < lost + gained, 0.0, rng.random(n_items) < 0.7))
        candidate = np.where(drawn < lost, 0.0, np.where(drawn < lost + gained, 1.0, baseline))
        return values(candidate, baseline)

    return make


# nDCG@10 of one relevant document by its rank, the last for "not found", and how often a fair model has each rank.
GAINS = np.append(1 / np.log2(np.arange(2, 12)), 0.0)
SHARES = np.array([0.5, 0.12, 0.08, 0.05, 0.04, 0.03, 0.02, 0.02, 0.02, 0.02, 0.1])
REDRAWN = 0.3  # share of queries that two versions of one model rank differently


def ndcg(rng: np.random.Generator, n_items: int, regression: float) -> Pair:
    """Return nDCG of rankings of which some are drawn anew, more of them without the document."""
    lost = regression / REDRAWN / float(SHARES @ GAINS)
    worse = SHARES * (1 - lost)
    worse[-1] += lost
    baseline = rng.choice(GAINS, size=n_items, p=SHARES)
    anew = rng.random(n_items) < REDRAWN
    return values(np.where(anew, rng.choice(GAINS, size=n_items, p=worse), baseline), baseline)


def rare_losses(rng: np.random.Generator, n_items: int, regression: float) -> Pair:
    """Return a candidate that loses nearly everything on a few items and nothing elsewhere."""
    lost = rng.random(n_items) < regression / 0.8
    return values(1 - lost * rng.uniform(0.6, 1.0, n_items), np.ones(n_items))


SPEARMAN = 0.8  # of the baseline


def similarity(rng: np.random.Generator, n_items: int, regression: float) -> Pair:
    """Return similarities of two models beside gold ones, all normal; rank correlations follow from the plain ones."""
    gold, shared = rng.normal(size=(2, n_items))
    return tuple(  # type: ignore[return-value]
        entry("correlation", "spearman", n_items, predicted=_predicted(rng, gold, shared, target), gold=gold)
        for target in (SPEARMAN - regression, SPEARMAN)
    )


def _predicted(rng: np.random.Generator, gold: Floats, shared: Floats, spearman: float) -> Floats:
    pearson = 2 * math.sin(math.pi * spearman / 6)
    noise = 0.9 * shared + math.sqrt(1 - 0.9**2) * rng.normal(size=len(gold))  # models err on the same items
    return pearson * gold + math.sqrt(1 - pearson**2) * noise


KINDS = (
    Kind("normal differences", normal, 50, 0.02),
    Kind("normal differences", normal, 200, 0.02),
    Kind("normal differences", normal, 1000, 0.02),
    Kind("right or wrong", right_or_wrong(0.05), 50, 0.05),
    Kind("right or wrong", right_or_wrong(0.05), 200, 0.02),
    Kind("right or wrong", right_or_wrong(0.05), 1000, 0.005),
    Kind("nDCG@10", ndcg, 50, 0.02),
    Kind("nDCG@10", ndcg, 200, 0.02),
    Kind("nDCG@10", ndcg, 1000, 0.005),
    Kind("Spearman", similarity, 50, 0.02),
    Kind("Spearman", similarity, 200, 0.02),
    Kind("few items: 8 of 200 differ", right_or_wrong(0.01), 200, 0.02),
    Kind("few items: 5 of 200 lose 0.8", rare_losses, 200, 0.02),
)


# ---------------------------------------------------------------- simulation


@dataclass(frozen=True)
class Settings:
    sims: int
    resamples: int
    seed: int


def draw(items: ItemScores, settings: Settings, block: int) -> Draws:
    estimate = float(weighted_scores(items, np.ones((1, items.n_items), np.uint8))[0])
    return draw_scores([items], stream="task", estimate=estimate, n_resamples=settings.resamples, seed=block)


def judged(kind: Kind, regression: float, settings: Settings) -> list[tuple[NonInferiority, float]]:
    """Return the test of each data set, and the p-value of a pass that the percentiles alone would give."""
    rng = np.random.default_rng([settings.seed, kind.n_items, round(regression * 1e6), len(kind.name)])
    found = []
    for sim in range(settings.sims):
        pair = kind.make(rng, kind.n_items, regression)
        drawn = [draw(items, settings, sim // BLOCK) for items in pair]
        test = noninferiority(drawn[0], drawn[1], margin=kind.margin, cumulants=difference_cumulants(*pair))
        beyond = np.count_nonzero(drawn[0].values - drawn[1].values <= -kind.margin)
        found.append((test, (beyond + 1) / (settings.resamples + 1)))
    return found


def share(tests: list[tuple[NonInferiority, float]], verdict: str) -> float:
    return float(np.mean([decide(one, p_pass=one.p_noninferior, p_fail=one.p_worse) == verdict for one, _ in tests]))


def coverage(settings: Settings) -> bool:
    """Print the share of false passes at the margin, and of false failures of an equal model."""
    print(f"{'kind':30}{'items':>6}{'margin':>8}{'false PASS':>12}{'plain':>8}{'false FAIL':>12}{'seconds':>9}")
    fine = True
    for kind in KINDS:
        started = time.perf_counter()
        at_margin = judged(kind, kind.margin, settings)
        wrong, plain = share(at_margin, "pass"), float(np.mean([p < 0.05 for _, p in at_margin]))
        equal = judged(kind, 0.0, Settings(settings.sims // 4, settings.resamples, settings.seed))
        chance = 2 * math.sqrt(0.05 * 0.95 / settings.sims)
        within = ASKED[0] - chance <= wrong <= ASKED[1] + chance
        fine = fine and within
        mark = "" if within else "  OUTSIDE"
        print(
            f"{kind.name:30}{kind.n_items:6}{kind.margin:8.3f}{wrong:12.1%}{plain:8.1%}{share(equal, 'fail'):12.1%}"
            f"{time.perf_counter() - started:9.0f}{mark}",
            flush=True,
        )
    return fine


def power(settings: Settings) -> None:
    """Print how often true regressions FAIL, and the one that is foretold to be caught in 80 % of the cases.

    It is foretold from the standard error at the margin, as a gate has that of the candidate at hand: where a larger
    regression also differs more from item to item (right or wrong, nDCG), somewhat fewer are caught.
    """
    few = Settings(max(500, settings.sims // 4), settings.resamples, settings.seed)
    print(f"\n{'kind':22}{'items':>6}{'margin':>8}{'regression':>12}{'FAIL':>8}{'PASS':>8}")
    for kind in (KINDS[1], KINDS[2], KINDS[4], KINDS[7]):
        error = float(np.mean([test.standard_error for test, _ in judged(kind, kind.margin, few)]))
        foretold = detectable(error, kind.margin) or kind.margin
        for regression in (0.0, kind.margin / 2, kind.margin, (kind.margin + foretold) / 2, foretold, 1.3 * foretold):
            tests = judged(kind, regression, few)
            said = "  80 % foretold" if regression == foretold else ""
            print(
                f"{kind.name:22}{kind.n_items:6}{kind.margin:8.3f}{regression:12.4f}"
                f"{share(tests, 'fail'):8.1%}{share(tests, 'pass'):8.1%}{said}",
                flush=True,
            )
        passing(kind, few)


def passing(kind: Kind, settings: Settings) -> None:
    """Print how often an equal model passes with as many items as are foretold to be needed for 80 %."""
    error = float(np.mean([test.standard_error for test, _ in judged(kind, 0.0, settings)]))
    needed = items_needed(kind.n_items, error, kind.margin) or kind.n_items
    enough = Kind(kind.name, kind.make, needed, kind.margin)
    tests = judged(enough, 0.0, Settings(400, min(settings.resamples, 999), settings.seed))
    print(
        f"{kind.name:22}{needed:6}{kind.margin:8.3f}{0.0:12.4f}{share(tests, 'fail'):8.1%}{share(tests, 'pass'):8.1%}"
        "  80 % PASS foretold",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sims", type=int, default=4000, help="data sets for each kind (default 4000)")
    parser.add_argument("--resamples", type=int, default=999, help="bootstrap resamples of each (default 999)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    settings = Settings(given.sims, given.resamples, given.seed)
    print(f"{settings.sims} data sets of each kind, {settings.resamples} resamples, seed {settings.seed}\n")
    fine = coverage(settings)
    power(settings)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
