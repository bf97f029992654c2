"""Two samples made ready for a test: checked, in a canonical order, no larger than a method can take.

    reference (n, d) ─┐   one dimension, finite,    rows by their hash      ┌─ rows (n' + m', d) float64, the mean at 0
    current   (m, d) ─┴─── enough rows ──────────── at most max_rows each ──┴─ how many of each, given and used

The order is that of a hash of each row's content. So files read in another order give the same answer to the last
bit, and still the order says nothing of the values: a fixed seed draws relabellings that are fresh for fresh data.

Cost: O((n + m) · d) time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.row_facts import chunks, row_hashes

Floats = NDArray[np.float64]

# Of each sample: there are 252 ways to split ten rows, so a p-value can just become small.
MIN_ROWS = 5
# A product of two covariances of larger values can overflow float64.
_LARGEST = 1e60


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Two samples in one array.

    Attributes:
        rows: The reference's rows, then the current ones; float64 (n_reference + n_current, d), centred.
        n_reference, n_current: How many rows are compared.
        given_reference, given_current: How many there were.
    """

    rows: Floats
    n_reference: int
    n_current: int
    given_reference: int
    given_current: int


def pair_samples(
    reference: NDArray[np.floating],
    current: NDArray[np.floating],
    *,
    rng: np.random.Generator,
    max_rows: int,
    min_rows: int = MIN_ROWS,
) -> Samples:
    """Check two samples and put them into one array; neither is written to.

    Args:
        reference, current: (n, d) and (m, d), any real numbers.
        rng: Draws the rows that are kept of a sample of more than `max_rows`, each row as likely as any other.

    Raises:
        ValueError: an array isn't of two dimensions or not of real numbers, the dimensions differ, a value is NaN,
            infinite or beyond 1e60, or there are too few rows.
    """
    first, second = _checked(reference, "reference", min_rows), _checked(current, "current", min_rows)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"dimensions differ: reference {first.shape[1]}, current {second.shape[1]}; "
            "was the encoder replaced without a new baseline?"
        )
    kept = [_at_most(_in_order(sample), max_rows, rng) for sample in (first, second)]
    rows = np.concatenate(kept)
    # A row first, then the mean: rows that are all equal become zeros exactly.
    rows -= rows[0].copy()
    rows -= rows.mean(axis=0)
    return Samples(rows, len(kept[0]), len(kept[1]), len(first), len(second))


def _checked(sample: NDArray[np.floating], name: str, min_rows: int) -> Floats:
    found = np.asarray(sample)
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(f"{name} should be an array (rows, dimension), got shape {found.shape}")
    if found.dtype.kind not in "fiu":
        raise ValueError(f"{name} should hold real numbers, got {found.dtype}")
    if len(found) < min_rows:
        raise ValueError(f"{name} has too few rows: {len(found)}, at least {min_rows} are needed")
    values = found.astype(np.float64)
    if not np.isfinite(values).all():
        broken = int((~np.isfinite(values)).any(axis=1).sum())
        raise ValueError(f"{name} holds NaN or infinity in {broken} of {len(values)} rows; leave such rows out first")
    if max(values.max(), -values.min()) > _LARGEST:
        raise ValueError(f"{name} holds a value beyond {_LARGEST:g}; distances between such rows overflow")
    return values


def _in_order(values: Floats) -> Floats:
    """Sort rows by a hash of their content."""
    values += 0.0  # minus zero equals zero, and must not be sorted elsewhere
    hashes = np.concatenate([row_hashes(chunk) for chunk in chunks(values)])
    return values[np.argsort(hashes, kind="stable")]


def _at_most(values: Floats, max_rows: int, rng: np.random.Generator) -> Floats:
    if len(values) <= max_rows:
        return values
    return values[rng.choice(len(values), size=max_rows, replace=False)]
