"""Level 0, judged: what the rows of a window have that the baseline's have not, each fact with both figures.

    Health of the window, of the baseline ─┬─ findings ──> HealthFinding (name, severity, what it points to, sentence)
    dead directions, usual volume, policy ─┘

No finding is a test of the distribution (drift.statistics has those): each is large enough to be wrong by itself, and
beyond doubt (one in a million) where it depends on how many rows were seen. Repeated rows are normal, and the more rows
the more of them repeat, so duplicates are compared at equal numbers of rows.

Cost: none to speak of; no row is looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import bdtrc, pdtr

from benchkit.drift.health import SAMPLE, Health
from benchkit.drift.precision import FULL_BITS, NAMES, Precision
from benchkit.drift.row_facts import DTYPES
from benchkit.types.drift import ChangeKind, DriftPolicy, DriftSeverity, HealthFinding

_ALPHA = 1e-6  # of a finding that depends on the number of rows: never by chance
_LEAST_SHARE = 0.001  # a smaller share of rows with another length is no news however many rows there are
_CRITICAL_NORM_SHARE = 0.01
_UNIT_BASELINE = 0.99  # share of rows of unit length from which a baseline counts as normalised
_FLOOD_SHARE, _FLOOD_GROWTH, _FLOOD_ROWS = 0.05, 3.0, 10  # of the commonest row
_DUPLICATE_EXCESS = 0.2  # bursts of one query within a session stay below; sending a quarter of the rows twice doesn't
_DEAD_GROWTH = 100.0
# Against the length that an even spread gives a direction, length / sqrt(d): noise of 20 % of a vector's length gives
# 0.2 there, and a rotated or another model's space 1.
_DEAD_MODEL = 0.3
_LOW_VOLUME = 0.2
# Chance of so few rows where that many are usual: a tenth of a window in a thousand, as a watch states.
_FEW_BY_CHANCE = 1e-4
_EPSILONS = np.array([2.0**-10, 2.0**-23, 2.0**-52, 2.0**-6, 2.0**-6])  # rounding of each of DTYPES
_INTEGERS = np.array([False, False, False, True, True])
_COARSE = np.array([True, False, False, True, True])  # fewer bits than a float32: `_stored` tells of them
# Shares of values with few bits: all of them, of a part of a fleet, of a float32's by chance (one in 8,192), and one
# that a baseline may have in which a part was rounded already.
_ALL, _PART, _RARE, _MIXED = 0.999, 0.1, 0.001, 0.5
_FEWEST_VALUES, _FEWEST_MIXED = 100, 1000  # 16 of a row: at 7 rows and 63, rows alike by chance make neither


def findings(
    window: Health,
    baseline: Health,
    *,
    policy: DriftPolicy,
    dead: tuple[float, float] | None = None,
    usual_rows: float | None = None,
) -> tuple[HealthFinding, ...]:
    """Return what is not as it should be, the worst first; nothing of a window like the baseline.

    Args:
        dead: Root mean square of the window's rows along the directions in which the baseline has next to nothing, and
            the same of the baseline; None where the model has no such directions.
        usual_rows: Rows in a usual window of this length; None where nobody knows.

    Raises:
        ValueError: the dimensions differ, or a figure of `dead` or `usual_rows` is negative or not finite.
    """
    if window.dimension != baseline.dimension:
        raise ValueError(
            f"dimensions differ: window {window.dimension}, baseline {baseline.dimension}; was the model replaced?"
        )
    if bad := [each for each in (*(dead or ()), usual_rows or 0.0) if not (math.isfinite(each) and each >= 0)]:
        raise ValueError(f"a root mean square and a number of rows are finite and not negative, got {bad[0]}")
    found = [
        *_broken(window, policy),
        *_volume(window, usual_rows),
        *_stored(window, baseline),
        *_precision(window, baseline),
        *_norms(window, baseline),
        *_repeated(window, baseline),
        *_dead(window, dead),
    ]
    order: dict[DriftSeverity, int] = {"critical": 0, "warn": 1, "info": 2, "ok": 3}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def _broken(window: Health, policy: DriftPolicy) -> Iterator[HealthFinding]:
    for name, bad, words in (
        ("nonfinite", window.nonfinite, "have a NaN or an infinity"),
        ("zero", window.zero, "are nothing but zeros"),
    ):
        share = bad / window.rows if window.rows else 0.0
        if share > policy.max_bad_share:
            sentence = f"{_of(bad, window.rows)} rows {words}; the policy allows {_percent(policy.max_bad_share)}."
            yield HealthFinding(name, "critical", "pipeline", share, policy.max_bad_share, sentence)


def is_silence_news(usual: float) -> bool:
    """Return whether a window without rows is no chance where that many are usual (Poisson): ten and more."""
    return usual > 0 and bool(pdtr(0, usual) < _FEW_BY_CHANCE)


def _volume(window: Health, usual: float | None) -> Iterator[HealthFinding]:
    if usual is None and window.rows == 0:
        yield HealthFinding("volume", "warn", "pipeline", 0.0, 0.0, "The window has no rows at all.")
    if usual is not None and window.rows < _LOW_VOLUME * usual and pdtr(window.rows, usual) < _FEW_BY_CHANCE:
        sentence = f"The window has {window.rows:,} rows; such a window usually has about {usual:,.0f}."
        yield HealthFinding("volume", "warn", "pipeline", float(window.rows), float(usual), sentence)


def _stored(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    new = np.where(baseline.dtype_rows == 0, window.dtype_rows, 0)
    if not new.any() or not baseline.rows:
        return
    share = float(new.sum() / window.rows)
    # Eight bits are a choice that costs quality; half or double precision is not felt by cosines.
    severity: DriftSeverity = "warn" if new[_INTEGERS].any() else "info"
    before = _names(baseline.dtype_rows)
    sentence = f"{_of(int(new.sum()), window.rows)} rows are stored as {_names(new)}; the baseline's were {before}."
    yield HealthFinding("dtype", severity, "numeric", share, 0.0, sentence)


def rounded_to(window: Health, baseline: Health) -> int | None:
    """Return how many bits the window's numbers hold, all or a part of them, where the baseline's held more; or None.

    A type that holds fewer bits by itself is `_stored`'s to tell.
    """
    new = np.where(baseline.dtype_rows == 0, window.dtype_rows, 0)
    if new[_COARSE].any() or baseline.precision.values < _FEWEST_VALUES:
        return None
    found = window.precision
    # Of numbers with 11 bits, one in eight holds 8 by chance.
    bits = 8 if found.in_8 > found.in_11 / 2 else 11
    return bits if _are_rounded(found.share(bits), baseline.precision.share(bits), found.values) else None


def _precision(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    """Numbers that were rounded on their way, although they are stored as before."""
    bits = rounded_to(window, baseline)
    if bits is None:
        return
    found, before = window.precision, baseline.precision
    share = found.share(bits)
    held, looked = f"{NAMES[bits]}'s {bits} bits of precision", f"{found.values:,} values that were looked at"
    said = f"hold {held} (all of {looked})" if share >= _ALL else f"in part hold {held} ({share:.0%} of {looked})"
    sentence = f"The vectors {said}, the baseline's {_bits(before)}."
    yield HealthFinding("precision", "info", "numeric", share, before.share(bits), sentence)


def _are_rounded(now: float, before: float, values: int) -> bool:
    is_all, was_rare = now >= _ALL, before <= _RARE
    if values < (_FEWEST_VALUES if is_all and was_rare else _FEWEST_MIXED):
        return False
    return (was_rare and now >= _PART) or (is_all and before <= _MIXED)


def _bits(precision: Precision) -> int:
    return next((bits for bits in NAMES if precision.share(bits) >= _ALL), FULL_BITS)


def _norms(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    if not window.good or not baseline.good or _is_integer(window) != _is_integer(baseline):
        return  # integers have a length of their own, and `_stored` has told of them
    if baseline.unit >= _UNIT_BASELINE * baseline.good:
        yield from _lost_unit(window, baseline)
    elif window.unit >= _UNIT_BASELINE * window.good and baseline.unit < 0.5 * baseline.good:
        yield _norm_finding(
            window, baseline, 1.0, f"rows have unit length; the baseline's mean length was {baseline.norm_mean:.4g}."
        )
    elif abs(window.norm_mean - baseline.norm_mean) > 3 * baseline.norm_deviation + 0.01 * baseline.norm_mean:
        before = f"{baseline.norm_mean:.4g} ± {baseline.norm_deviation:.2g}"
        yield _norm_finding(
            window, baseline, 1.0, f"rows have a mean length of {window.norm_mean:.4g}; the baseline's was {before}."
        )


def _lost_unit(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    """Rows that aren't of unit length, although the baseline's were."""
    other, before = window.good - window.unit, baseline.good - baseline.unit
    share = other / window.good
    excess = share - before / baseline.good
    # How the rows of another length fall on the two, given their number: exact for rare ones (conditional binomial).
    chance = float(bdtrc(other - 1, other + before, window.good / (window.good + baseline.good))) if other else 1.0
    if excess > _LEAST_SHARE and chance < _ALPHA:
        words = (
            f"{_of(other, window.good)} rows are not of unit length (mean {window.norm_mean:.4g}, "
            f"deviation {window.norm_deviation:.2g}); of the baseline {_percent(before / baseline.good)} were not."
        )
        yield _norm_finding(window, baseline, share, words, counted=True)


def _norm_finding(
    window: Health, baseline: Health, share: float, words: str, *, counted: bool = False
) -> HealthFinding:
    severity: DriftSeverity = "critical" if share >= _CRITICAL_NORM_SHARE else "warn"
    sentence = words if counted else f"The window's {words}"
    return HealthFinding("norm", severity, "pipeline", window.norm_mean, baseline.norm_mean, sentence)


def _repeated(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    if not window.good:
        return
    if len(window.hashes) == 1 and window.good >= 3 and (len(baseline.hashes) > 1 or not baseline.good):
        before = f"{baseline.distinct:,.0f} different ones"
        sentence = f"All {window.good:,} rows are one and the same vector; the baseline has {before}."
        yield HealthFinding("constant", "critical", "pipeline", 1.0, baseline.distinct, sentence)
        return
    flood = list(_flood(window, baseline))
    yield from flood or _duplicates(window, baseline)


def _flood(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    found = window.commonest / window.good
    before = baseline.commonest / baseline.good if baseline.good else 0.0
    if window.commonest >= _FLOOD_ROWS and found > max(_FLOOD_SHARE, _FLOOD_GROWTH * before):
        about = "about " if len(window.hashes) >= SAMPLE else ""
        sentence = (
            f"One vector fills {about}{_percent(found)} of the rows; the baseline's commonest fills {_percent(before)}."
        )
        yield HealthFinding("duplicates", "critical" if found >= 0.5 else "warn", "pipeline", found, before, sentence)


def _duplicates(window: Health, baseline: Health) -> Iterator[HealthFinding]:
    rows = min(window.good, baseline.good)
    if not rows:
        return
    found, error = window.duplicates_in(rows)
    expected, error_before = baseline.duplicates_in(rows)
    doubt = 5 * math.hypot(error, error_before)
    if found > expected + _DUPLICATE_EXCESS + doubt and found * rows >= _FLOOD_ROWS:
        sentence = (
            f"{_percent(found)} of {rows:,} rows repeat another one; of as many rows of the baseline "
            f"{_percent(expected)} do."
        )
        yield HealthFinding("duplicates", "warn", "pipeline", found, expected, sentence)


def _dead(window: Health, dead: tuple[float, float] | None) -> Iterator[HealthFinding]:
    if dead is None or not window.good:
        return
    found, expected = dead
    typical = window.norm_mean / math.sqrt(window.dimension)
    coarsest = float(_EPSILONS[window.dtype_rows > 0].max(initial=0.0))
    if found == 0.0 and expected > 0.0:
        sentence = (
            f"Directions that hold {expected:.1e} in the baseline are exactly 0: the vectors were rounded or cut."
        )
        yield HealthFinding("dead_directions", "warn", "numeric", found, expected, sentence)
    # A direction that isn't an axis collects the rounding of all of them, of one unit in the last place at the most.
    elif found > _DEAD_GROWTH * expected and found > coarsest * typical:
        kind: ChangeKind = "model" if found > _DEAD_MODEL * typical else "numeric"
        cause = "another model or space" if kind == "model" else "other arithmetic or added noise"
        sentence = f"Directions that hold {expected:.1e} in the baseline hold {found:.1e}: {cause}, whatever the texts."
        yield HealthFinding("dead_directions", "warn", kind, found, expected, sentence)


def _is_integer(health: Health) -> bool:
    return bool(health.dtype_rows[_INTEGERS].sum() > health.rows / 2)


def _names(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    return " and ".join(name for name, count in zip(DTYPES, rows, strict=True) if count)


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _percent(share: float) -> str:
    """A share for people, with as many digits as tell it from nothing."""
    return f"{100 * share:.3g} %" if share > 1e-8 else "0 %"
