"""Level 0: what is wrong with the rows themselves, counted on every one of them.

    vectors (n, d) ─ chunks ─┬─ squared length ─> not finite · zero · lengths (two histograms, two sums)
                             └─ row hash ──────┬─> which rows' precision is looked at (precision.py)
                                               ├─> 256 smallest with their counts: how many rows repeat
                                               └─> 64 buckets: the commonest row
    Health + Health = Health of both: counts exactly, the two sums but for rounding

The k smallest hashes of rows, with their counts, are a uniform sample of the distinct rows, and two parts of a whole
merge exactly. Buckets of hashes find one row that fills much of a window, which such a sample would miss.

Sources: Bar-Yossef et al., "Counting Distinct Elements in a Data Stream", RANDOM 2002, and Beyer et al., "On Synopses
for Distinct-Value Estimation Under Multiset Operations", SIGMOD 2007, for the k smallest values; Hurlbert, "The
Nonconcept of Species Diversity", Ecology 52 (1971), for the duplicates that fewer rows would have.
Cost: two passes over each chunk in the processor's cache; about 0.8 core-seconds for 1M x 768 float32. A `Health` is at
most 5 kB up to 4e9 rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.precision import NOT_LOOKED_AT, Precision, measure_precision
from benchkit.drift.row_facts import DTYPES, Beside, RowFacts, check_vectors, chunks, row_facts, row_lengths

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

FEWEST_COMPARED = 15  # hashes; a share of one half is known to a quarter then
SAMPLE = 256  # hashes kept: 6 % standard error of the number of distinct rows where more exist
BUCKETS = 64  # a bucket holds 1.6 % of distinct rows, so that a row with 5 % of all stands out from 500 rows on
_LOG_PER_OCTAVE, _LOG_OCTAVES = 2, 16  # lengths of 2^-16 to 2^16, and one bin on either side
_LOG_BINS = 2 * _LOG_PER_OCTAVE * _LOG_OCTAVES + 2
_UNIT_STEP, _UNIT_BINS = 0.0005, 41  # 0.98975 to 1.01025; 1 lies in the middle of a bin, where rounding can't move it
_SUMMED = 32
_ALMOST_1 = 1 - 2.0**-53  # keeps logarithms finite where a row can't be absent and the sum isn't used
# 0.99475 to 1.00525: unit vectors that were normalised in bfloat16 were seen at 0.998 to 1.003.
_UNIT = slice(10, 31)


@dataclass(frozen=True, slots=True, eq=False)
class Health:
    """Counts over rows; add two to get those of all their rows.

    Attributes:
        rows: All, of which `nonfinite` have a NaN or an infinity and `zero` are nothing but zeros; the `good` rest is
            what everything below is of.
        norm_sum, norm_square_sum: Of lengths and squared lengths.
        norm_bins: int64 (66,), two bins an octave from 2^-16 to 2^16, the first and the last for what lies beyond.
        unit_bins: int64 (41,), lengths around 1 in steps of 0.0005.
        dtype_rows: int64 (5,), all rows by how they are stored, in the order of `DTYPES`.
        buckets: int64 (64,), rows by the lowest bits of their hash.
        hashes: uint64 (at most 256,), rising, the smallest there are.
        hash_counts: int64, rows with each of these.
        precision: Of some values of all rows; of no values in a record that an older benchkit made.
    """

    dimension: int
    rows: int
    nonfinite: int
    zero: int
    norm_sum: float
    norm_square_sum: float
    norm_bins: Counts
    unit_bins: Counts
    dtype_rows: Counts
    buckets: Counts
    hashes: Hashes
    hash_counts: Counts
    precision: Precision = NOT_LOOKED_AT

    @classmethod
    def empty(cls, dimension: int) -> Health:
        """Return the health of no rows."""
        if dimension < 1:
            raise ValueError(f"the dimension of vectors is at least 1, got {dimension}")
        return cls(
            dimension=dimension,
            rows=0,
            nonfinite=0,
            zero=0,
            norm_sum=0.0,
            norm_square_sum=0.0,
            norm_bins=np.zeros(_LOG_BINS, np.int64),
            unit_bins=np.zeros(_UNIT_BINS, np.int64),
            dtype_rows=np.zeros(len(DTYPES), np.int64),
            buckets=np.zeros(BUCKETS, np.int64),
            hashes=np.zeros(0, np.uint64),
            hash_counts=np.zeros(0, np.int64),
        )

    def __add__(self, other: Health) -> Health:
        if self.dimension != other.dimension:
            raise ValueError(
                f"dimensions differ: {self.dimension} and {other.dimension}; these are no parts of one whole"
            )
        hashes, counts = _merge(self.hashes, self.hash_counts, other.hashes, other.hash_counts)
        return Health(
            dimension=self.dimension,
            rows=self.rows + other.rows,
            nonfinite=self.nonfinite + other.nonfinite,
            zero=self.zero + other.zero,
            norm_sum=self.norm_sum + other.norm_sum,
            norm_square_sum=self.norm_square_sum + other.norm_square_sum,
            norm_bins=self.norm_bins + other.norm_bins,
            unit_bins=self.unit_bins + other.unit_bins,
            dtype_rows=self.dtype_rows + other.dtype_rows,
            buckets=self.buckets + other.buckets,
            hashes=hashes,
            hash_counts=counts,
            precision=self.precision + other.precision,
        )

    @property
    def good(self) -> int:
        """Rows that are finite and not zero."""
        return self.rows - self.nonfinite - self.zero

    @property
    def unit(self) -> int:
        """Good rows of unit length, as far as bfloat16 can tell (0.99475 to 1.00525)."""
        return int(self.unit_bins[_UNIT].sum())

    @property
    def norm_mean(self) -> float:
        """Mean length of good rows; nan without any."""
        return self.norm_sum / self.good if self.good else math.nan

    @property
    def norm_deviation(self) -> float:
        """Standard deviation of the lengths of good rows; nan without any."""
        if not self.good:
            return math.nan
        return math.sqrt(max(0.0, self.norm_square_sum / self.good - self.norm_mean * self.norm_mean))

    @property
    def distinct(self) -> float:
        """Different good rows: exact up to 255, then estimated with a standard error of 6 % (Beyer 2007)."""
        if len(self.hashes) < SAMPLE:
            return float(len(self.hashes))
        return min(float(self.good), (SAMPLE - 1) / (float(self.hashes[-1]) / 2.0**64))

    @property
    def commonest(self) -> float:
        """Rows that are equal to the commonest one: exact up to 255 different rows, else by how far the fullest bucket
        exceeds the others, where it clearly does, and by the sample where it does not."""
        if not len(self.hashes):
            return 0.0
        sampled = float(self.hash_counts.max())
        if len(self.hashes) < SAMPLE:
            return sampled
        others = np.sort(self.buckets)[:-1]
        excess = float(self.buckets.max() - others.mean())
        # The fullest of 64 equal buckets lies 2.4 standard deviations up, and above 5 once in 50,000 windows.
        return max(sampled, excess) if excess > 5 * float(others.std()) else sampled

    @property
    def again(self) -> float:
        """Share of the good rows that are there more than once: about the share of new rows that would be there too.

        Source: Good, "The population frequencies of species", Biometrika 40 (1953).
        """
        counts = self.hash_counts
        return float(counts[counts > 1].sum() / counts.sum()) if len(counts) else 0.0

    def duplicates_in(self, rows: int) -> tuple[float, float]:
        """Share of rows that repeat another one, to be expected among `rows` of the good ones drawn at random.

        The share of duplicates grows with the rows, so two windows can only be compared at equal numbers.

        Returns:
            The share 1 - distinct / rows, and its standard error from the sample of distinct rows.

        Raises:
            ValueError: rows is below 1 or above `good`.
        """
        if not 1 <= rows <= self.good:
            raise ValueError(f"a share of duplicates is of 1 to {self.good} rows, got {rows}")
        counts = self.hash_counts.astype(np.float64)
        kept = -np.expm1(_log_chance_absent(counts, float(self.good), float(rows)))
        # A ratio over the sample instead of the estimated number of distinct rows: exact where no row repeats.
        ratio = kept.sum() / counts.sum()
        error = math.sqrt(float(np.square(kept - ratio * counts).sum())) / counts.sum()
        scale = self.good / rows
        return max(0.0, float(1.0 - ratio * scale)), float(error * scale)

    def share_in(self, other: Health) -> float | None:
        """Return about which share of the distinct rows here are in the other too; None where too few hashes tell.

        Of both samples, the hashes below the smaller of the two limits are all that there are, so that the share among
        them is that among all (Beyer et al. 2007, section 5).
        """
        limits = [part.hashes[-1] for part in (self, other) if len(part.hashes) >= SAMPLE]
        known = [part.hashes[part.hashes <= min(limits)] if limits else part.hashes for part in (self, other)]
        if len(known[0]) < FEWEST_COMPARED:
            return None
        return float(np.isin(known[0], known[1]).mean())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` takes, counts in the narrowest type that holds them."""
        return {
            "sizes": _narrow(np.array([self.dimension, self.rows, self.nonfinite, self.zero], np.int64)),
            "norms": np.array([self.norm_sum, self.norm_square_sum]),
            "norm_bins": _narrow(self.norm_bins),
            "unit_bins": _narrow(self.unit_bins),
            "dtype_rows": _narrow(self.dtype_rows),
            "buckets": _narrow(self.buckets),
            "hashes": self.hashes,
            "hash_counts": _narrow(self.hash_counts),
            "precision": _narrow(np.array(astuple(self.precision), np.int64)),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Health:
        """Return what `to_arrays` was of.

        Raises:
            ValueError: an array is missing or its length is wrong, or the counts contradict each other.
        """
        if missing := sorted(set(_LENGTHS) - set(arrays)):
            raise ValueError(f"the health record lacks {', '.join(missing)}; is the file damaged?")
        precision = arrays.get("precision", np.zeros(3, np.int64))
        for name, length in _LENGTHS.items():
            shape = arrays[name].shape
            if len(shape) != 1 or (length is not None and shape != (length,)):
                raise ValueError(f"the health record's {name} should be ({length or 'n'},), got {shape}")
        dimension, rows, nonfinite, zero = (int(count) for count in arrays["sizes"])
        norm_sum, norm_square_sum = (float(total) for total in arrays["norms"])
        health = cls(
            dimension=dimension,
            rows=rows,
            nonfinite=nonfinite,
            zero=zero,
            norm_sum=norm_sum,
            norm_square_sum=norm_square_sum,
            norm_bins=arrays["norm_bins"].astype(np.int64),
            unit_bins=arrays["unit_bins"].astype(np.int64),
            dtype_rows=arrays["dtype_rows"].astype(np.int64),
            buckets=arrays["buckets"].astype(np.int64),
            hashes=arrays["hashes"].astype(np.uint64),
            hash_counts=arrays["hash_counts"].astype(np.int64),
            precision=Precision(*(int(count) for count in precision)),
        )
        _check_consistent(health)
        return health


_LENGTHS: Final[dict[str, int | None]] = {
    "sizes": 4,
    "norms": 2,
    "norm_bins": _LOG_BINS,
    "unit_bins": _UNIT_BINS,
    "dtype_rows": len(DTYPES),
    "buckets": BUCKETS,
    "hashes": None,
    "hash_counts": None,
}


def measure_health(vectors: NDArray[np.generic]) -> Health:
    """Count what is wrong with some rows.

    Args:
        vectors: (n, d), float16, float32, float64, int8 or uint8, in any byte order.

    Raises:
        ValueError: not two-dimensional, or another type.
    """
    return measure_with_facts(vectors)[0]


def measure_with_facts(
    vectors: NDArray[np.generic], beside: Beside | None = None, chunk_rows: int = 0
) -> tuple[Health, RowFacts]:
    """Return what `measure_health` does, and what it needs of every row for that; see `row_facts`.

    Raises:
        ValueError: as `measure_health`.
    """
    dtype = check_vectors(vectors)
    facts = row_facts(vectors, beside, chunk_rows)
    nonfinite = int(np.count_nonzero(~facts.finite))
    counted = _count(vectors, dtype, nonfinite, facts.lengths[facts.good], facts.hashes[facts.good])
    counted = replace(counted, precision=measure_precision(vectors, facts.hashes))
    return Health.empty(vectors.shape[1]) + counted, facts


def finite_rows(vectors: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which rows have neither a NaN nor an infinity: (n,).

    Raises:
        ValueError: as `measure_health`.
    """
    check_vectors(vectors)
    return np.concatenate([np.ones(0, np.bool_), *(row_lengths(chunk)[1] for chunk in chunks(vectors))])


def good_rows(vectors: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which rows are finite and not zero: (n,).

    Raises:
        ValueError: as `measure_health`.
    """
    check_vectors(vectors)
    return np.concatenate([np.ones(0, np.bool_), *(row_lengths(chunk)[0] > 0 for chunk in chunks(vectors))])


def _count(
    vectors: NDArray[np.generic], dtype: int, nonfinite: int, norms: NDArray[np.float64], hashes: Hashes
) -> Health:
    rows, width = vectors.shape
    octaves = np.floor(_LOG_PER_OCTAVE * np.log2(norms)).astype(np.int64) + _LOG_BINS // 2
    unit = np.floor((np.minimum(norms, 2.0) - 1.0) / _UNIT_STEP + _UNIT_BINS / 2)
    unit = unit[(unit >= 0) & (unit < _UNIT_BINS)].astype(np.int64)
    distinct, counts = np.unique(hashes, return_counts=True)
    with np.errstate(over="ignore"):  # lengths of 1e200 and more have an infinite square
        norm_sum, square_sum = float(norms.sum()), float(np.square(norms).sum())
    return Health(
        dimension=width,
        rows=rows,
        nonfinite=nonfinite,
        zero=rows - nonfinite - len(norms),
        norm_sum=norm_sum,
        norm_square_sum=square_sum,
        norm_bins=np.bincount(np.clip(octaves, 0, _LOG_BINS - 1), minlength=_LOG_BINS),
        unit_bins=np.bincount(unit, minlength=_UNIT_BINS),
        dtype_rows=np.bincount([dtype], minlength=len(DTYPES)) * rows,
        buckets=np.bincount((hashes % np.uint64(BUCKETS)).astype(np.int64), minlength=BUCKETS),
        hashes=distinct[:SAMPLE],
        hash_counts=counts[:SAMPLE].astype(np.int64),
    )


def _merge(a: Hashes, a_counts: Counts, b: Hashes, b_counts: Counts) -> tuple[Hashes, Counts]:
    hashes, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    counts = np.zeros(len(hashes), np.int64)
    np.add.at(counts, places, np.concatenate([a_counts, b_counts]))
    return hashes[:SAMPLE], counts[:SAMPLE]


def _log_chance_absent(counts: Floats, of: float, drawn: float) -> Floats:
    """Log of C(of - count, drawn) / C(of, drawn): no copy of a row is among `drawn` of all rows.

    It is the sum of log(1 - drawn / (of - i)) over i below the count. Log-gammas of a billion rows would have lost all
    digits of it; beyond 32 terms an integral with 16 nodes stands for the sum.
    """
    log, possible = np.zeros_like(counts), of - counts >= drawn
    for place in range(int(min(_SUMMED, counts.max()))):
        log += np.where(possible & (counts > place), np.log1p(-min(drawn / (of - place), _ALMOST_1)), 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    length = np.where(possible, np.maximum(counts - _SUMMED, 0.0), 0.0)
    places = _SUMMED - 0.5 + length[:, None] * (nodes + 1) / 2
    log += length / 2 * (np.log1p(-np.minimum(drawn / (of - places), _ALMOST_1)) @ weights)
    return np.where(possible, log, -np.inf)


def _narrow(counts: Counts) -> NDArray[Any]:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _check_consistent(health: Health) -> None:
    counts = (health.norm_bins, health.unit_bins, health.dtype_rows, health.buckets, health.hash_counts)
    agree = (
        health.dimension >= 1,
        min(health.rows, health.nonfinite, health.zero, health.good) >= 0,
        all(int(each.min(initial=0)) >= 0 for each in counts),
        int(health.norm_bins.sum()) == health.good == int(health.buckets.sum()),
        int(health.dtype_rows.sum()) == health.rows,
        len(health.hashes) == len(health.hash_counts) <= SAMPLE,
        bool(np.all(health.hashes[1:] > health.hashes[:-1])),
        int(health.hash_counts.sum()) <= health.good,
        0 <= health.precision.in_8 <= health.precision.in_11 <= health.precision.values,
    )
    if not all(agree):
        raise ValueError("the counts of the health record contradict each other; is the file damaged?")
