"""The contract of a drift detector: what a monitor takes for granted, checked one promise at a time.

    check_detector ─┬─ says what it is; results are whole and agree with themselves
                    ├─ same rows, same answer: any order, float32 or float64, the second time; inputs stay as they were
                    ├─ other dimensions, NaN and too few rows are refused with a sentence
                    ├─ a planted shift is an alarm, two halves of one sample are none
                    └─ false alarms: as many as promised, on many pairs of small samples

The samples have two clusters, heavy tails, duplicates and a dimension that never varies, as embeddings do.
Cost: about 220 comparisons of 2 x 40 rows, and two of 2 x 400.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchkit.testing.encoder import ContractError
from benchkit.types.drift import DetectorResult, DriftDetector

Sample = NDArray[np.float32]

_DIMENSION = 6
_SMALL, _LARGE = 40, 400
# Chance that an honest detector is called broken, on either side of each rate that is counted. Samples and seeds are
# always the same ones, so a detector that passes goes on passing.
_UNLUCKY = 1e-4
# Counted at both: the first is what people ask for, the second has enough alarms to see a detector that is too quiet.
_RATES = (0.05, 0.2)
# Tests of discrete statistics on few rows keep less than their rate: KS tests about 60 % of it here. Below this share a
# rate is not what was promised.
_QUIET = 0.5
_ROUNDING = 1e-6


def check_detector(detector: DriftDetector, *, repetitions: int = 200) -> None:
    """Check every promise of a detector.

    Args:
        repetitions: Pairs of samples on which false alarms are counted, where the detector promises a rate. 200 tell
            13 % of false alarms from 5 %, 1000 tell 8 %.

    Raises:
        ContractError: the first promise that is broken.
    """
    _require(isinstance(detector, DriftDetector), f"{type(detector).__name__} has no name, paper, has_p_value, compare")
    _require(bool(detector.name) and bool(detector.paper), "a detector needs a name and the paper that it is from")
    rng = np.random.default_rng(20_240_101)
    reference, current = _sample(rng, _SMALL), _sample(rng, _SMALL + 5)
    first = detector.compare(reference, current, seed=3)
    _check_result(detector, first, _SMALL, _SMALL + 5)
    _check_inputs_stay(detector, reference, current)
    _require(first == detector.compare(reference, current, seed=3), "the same rows and seed gave another result")
    _check_same(first, detector.compare(rng.permutation(reference), rng.permutation(current), seed=3), "order of rows")
    wide = detector.compare(reference.astype(np.float64), current.astype(np.float64), seed=3)
    _check_same(first, wide, "type of numbers (float32 or float64)")
    _check_refusals(detector, reference)
    _check_alarms(detector, rng)
    if detector.has_p_value:
        _check_rate(detector, rng, repetitions)


def _sample(rng: np.random.Generator, rows: int) -> Sample:
    """Draw rows of two clusters with heavy tails; one in twenty is a copy and the last dimension is always 1."""
    values = rng.standard_t(df=4, size=(rows, _DIMENSION)) + 3.0 * rng.integers(2, size=(rows, 1))
    copies = rng.random(rows) < 0.05
    values[copies] = 0.5
    values[:, -1] = 1.0
    return values.astype(np.float32)


def _check_result(detector: DriftDetector, found: DetectorResult, n: int, m: int, *, alpha: float = 0.05) -> None:
    _require(isinstance(found, DetectorResult), f"compare should return a DetectorResult, got {type(found).__name__}")
    _require(found.method == detector.name, f"the result's method is {found.method!r}, the name {detector.name!r}")
    counted = (found.n_reference, found.n_current)
    _require(counted == (n, m), f"the result counts {counted[0]} and {counted[1]} rows, given were {n} and {m}")
    _require(math.isfinite(found.statistic), f"the statistic is {found.statistic}")
    p_value = found.p_value
    if detector.has_p_value:
        _require(p_value is not None and 0.0 < p_value <= 1.0, f"has_p_value, but the p-value is {p_value}")
        wanted = p_value is not None and p_value <= alpha
        _require(found.drifted == wanted, f"drifted is {found.drifted} with p = {p_value} at alpha {alpha:g}")
        return
    _require(p_value is None, f"the p-value is {p_value}, but has_p_value says that there is none")
    _require(found.threshold is not None, "without a p-value the result needs the threshold that decides")
    wanted = found.threshold is not None and found.statistic > found.threshold
    _require(
        found.drifted == wanted, f"drifted is {found.drifted} with {found.statistic:g} at threshold {found.threshold}"
    )


def _check_inputs_stay(detector: DriftDetector, reference: Sample, current: Sample) -> None:
    given = [reference.astype(np.float64), current.astype(np.float64)]
    kept = [sample.copy() for sample in given]
    detector.compare(given[0], given[1])
    for name, sample, before in zip(("reference", "current"), given, kept, strict=True):
        _require(np.array_equal(sample, before), f"compare writes to its input: {name} has changed")


def _check_same(first: DetectorResult, other: DetectorResult, what: str) -> None:
    near = [_near(first.statistic, other.statistic), _near(first.p_value, other.p_value)]
    _require(
        all(near) and first.drifted == other.drifted,
        f"the {what} changes the result: statistic {first.statistic:g} and {other.statistic:g}, "
        f"p-value {first.p_value} and {other.p_value}",
    )


def _near(first: float | None, other: float | None) -> bool:
    if first is None or other is None:
        return first is other
    return math.isclose(first, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)


# ------------------------------------------------------------ refusals


def _check_refusals(detector: DriftDetector, sample: Sample) -> None:
    wide = np.concatenate([sample, sample], axis=1)
    _check_refused(
        detector, sample, wide, "other dimensions", words=(str(sample.shape[1]), str(wide.shape[1])), any_word=False
    )
    for value in (np.nan, np.inf):
        broken = sample.copy()
        broken[3, 2] = value
        for name, pair in (("reference", (broken, sample)), ("current", (sample, broken))):
            _check_refused(detector, *pair, f"{value} in the {name} rows", words=("nan", "inf", "finite"))
    for rows in (0, 1):
        for name, pair in (("reference", (sample[:rows], sample)), ("current", (sample, sample[:rows]))):
            _check_refused(detector, *pair, f"{rows} {name} rows", words=("row", "sample", "few"))


def _check_refused(
    detector: DriftDetector,
    reference: Sample,
    current: Sample,
    what: str,
    *,
    words: tuple[str, ...],
    any_word: bool = True,
) -> None:
    try:
        with np.errstate(all="ignore"):
            detector.compare(reference, current)
    except ValueError as refusal:
        message = str(refusal).casefold()
        said = [word in message for word in words]
        clear = any(said) if any_word else all(said)
        _require(clear, f"{what}: the refusal doesn't say so: {message!r} (wanted: {', '.join(words)})")
        return
    except Exception as exc:
        raise ContractError(f"{what} should be a ValueError, got {type(exc).__name__}: {exc}") from exc
    raise ContractError(f"{what} should be refused with a ValueError, but gave a result")


# ------------------------------------------------------------ alarms


def _check_alarms(detector: DriftDetector, rng: np.random.Generator) -> None:
    reference, current = _sample(rng, _LARGE), _sample(rng, _LARGE)
    shift = np.full(_DIMENSION, 4.0, dtype=np.float32)
    shift[-1] = 0.0
    moved = detector.compare(reference, current + shift)
    _check_result(detector, moved, _LARGE, _LARGE)
    _require(moved.drifted, f"a shift of every row by 4 is no alarm: {_shown(moved)}")
    if not detector.has_p_value:
        same = detector.compare(reference, current)
        _require(not same.drifted, f"two halves of one sample are an alarm: {_shown(same)}")


def _shown(found: DetectorResult) -> str:
    return f"statistic {found.statistic:g}, p-value {found.p_value}, threshold {found.threshold}"


def _check_rate(detector: DriftDetector, rng: np.random.Generator, repetitions: int) -> None:
    p_values = []
    for seed in range(repetitions):
        found = detector.compare(_sample(rng, _SMALL), _sample(rng, _SMALL), alpha=_RATES[0], seed=seed)
        _check_result(detector, found, _SMALL, _SMALL, alpha=_RATES[0])
        p_values.append(found.p_value if found.p_value is not None else 1.0)
    for rate in _RATES:
        alarms = sum(p_value <= rate for p_value in p_values)
        least, most = _band(repetitions, rate * _QUIET)[0], _band(repetitions, rate)[1]
        _require(
            least <= alarms <= most,
            f"{alarms} of {repetitions} pairs of samples from one distribution have p <= {rate:g}; "
            f"a rate of {rate:.0%} gives {least} to {most}",
        )


def _band(n: int, rate: float) -> tuple[int, int]:
    """Return the counts of n within which a binomial distribution stays, but for one case in 10,000 on either side."""
    log_terms = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(rate)
        + (n - k) * math.log1p(-rate)
        for k in range(n + 1)
    ]
    below = np.cumsum(np.exp(log_terms))
    least = int(np.searchsorted(below, _UNLUCKY, side="right"))
    most = int(np.searchsorted(below, 1.0 - _UNLUCKY))
    return least, most


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ContractError(message)
