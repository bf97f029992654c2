"""Two samples made ready for a test: checked, in a canonical order, no larger than a method can take.

    reference (n, d) ─┐   one dimension, finite,    at most max_rows each,   ┌─ rows (n' + m', d) float64 about 0
    current   (m, d) ─┴─── enough rows ──────────── all by their hash ───────┴─ which of them are the reference's

The order is that of a hash of each row's content, of both samples together. So files read in another order give the
same answer to the last bit, and so do samples that change places. The place of a row says nothing of its value, nor of
its sample: a fixed seed draws relabellings, folds and first centres that are blind and fresh for fresh data. With the
reference's rows first, one seed's folds would always hold as many of them, where those of a relabelling vary: a
classifier on ten rows each alarmed in 8 % of cases under one seed and in 3 % under another, where 5 % were asked for.

The middle that is taken off is a median. One broken row of 1e30 moves a mean so far that all others are rounded to one.

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
# Rows whose median is the middle: near enough to the origin that no digits are lost, and cheap.
_MIDDLE_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Two samples in one array.

    Attributes:
        rows: Of both samples, float64 (n_reference + n_current, d), less their middle.
        is_reference: Which of them are the reference's (n_reference + n_current,).
        n_reference, n_current: How many rows are compared.
        given_reference, given_current: How many there were.
    """

    rows: Floats
    is_reference: NDArray[np.bool_]
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
    seed = int(rng.integers(2**63))
    first_hashes, ours = _at_most(first, max_rows, seed)
    second_hashes, theirs = _at_most(second, max_rows, seed)
    hashes = np.concatenate([first_hashes, second_hashes])
    # Equal rows in any order, whichever sample they are of.
    order = np.lexsort((_generator(seed, hashes).random(len(hashes)), hashes))
    rows = np.concatenate([ours, theirs])[order]
    rows -= np.median(rows[:_MIDDLE_ROWS], axis=0)
    return Samples(rows, order < len(ours), len(ours), len(theirs), len(first), len(second))


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


def _at_most(values: Floats, max_rows: int, seed: int) -> tuple[NDArray[np.uint64], Floats]:
    """Return the hashes and the rows of at most so many, in an order that doesn't depend on how the rows came."""
    values += 0.0  # minus zero equals zero, and must not be another row
    hashes = np.concatenate([row_hashes(chunk) for chunk in chunks(values)])
    order = np.argsort(hashes, kind="stable")
    if len(order) > max_rows:
        order = order[_generator(seed, hashes).choice(len(order), size=max_rows, replace=False)]
    return hashes[order], values[order]


def _generator(seed: int, hashes: NDArray[np.uint64]) -> np.random.Generator:
    """Return a generator that is another one for other rows, in whatever order (sums of uint64 wrap)."""
    return np.random.default_rng([seed, int(hashes.sum(dtype=np.uint64))])
