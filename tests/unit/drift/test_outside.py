"""Rows far from every region: counted by hand, found where they are, and named only where there are surely more."""

from __future__ import annotations

import numpy as np
import pytest
from drift_data import vectors
from scipy.stats import fisher_exact

from benchkit.drift.outside import ALPHA, is_outside, outside_change
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import Sketch, empty_sketch, sketch_rows
from benchkit.types.drift import OUTSIDE


@pytest.fixture(scope="module")
def reference() -> Reference:
    return fit(vectors(4000, seed=1), seed=0)


def sketched(reference: Reference, rows: np.ndarray) -> Sketch:
    return sketch_rows(reference.frame, rows)


def test_about_one_row_in_twenty_of_an_unchanged_window_lies_outside(reference: Reference):
    outside = is_outside(reference, vectors(4000, seed=2))
    assert outside.shape == (4000,)
    assert 0.02 < outside.mean() < 0.09
    assert is_outside(reference, vectors(4000, seed=2)[:0]).shape == (0,)


def test_rows_of_a_new_domain_are_those_outside_and_their_share_is_counted(reference: Reference):
    known, new = vectors(450, seed=3), vectors(50, seed=4, domain=1.0)
    assert is_outside(reference, new).mean() > 0.9
    rows = np.concatenate([known, new])
    change = outside_change(reference, sketched(reference, rows))
    assert change is not None
    assert change.cluster == OUTSIDE
    assert change.window_share == pytest.approx(is_outside(reference, rows).mean())
    assert change.z > 4


def test_an_unchanged_window_names_none_but_once_in_a_hundred(reference: Reference):
    named = [outside_change(reference, sketched(reference, vectors(300, seed=seed))) for seed in range(10, 60)]
    # 50 windows at 1 %: five or more happen once in ten thousand.
    assert sum(change is not None for change in named) < 5


def test_nothing_is_named_of_no_rows_and_of_fewer_than_before(reference: Reference):
    assert outside_change(reference, empty_sketch(reference.frame)) is None
    rows = vectors(500, seed=5)
    assert outside_change(reference, sketched(reference, rows[~is_outside(reference, rows)])) is None


def test_what_is_sure_is_what_fishers_exact_test_says(reference: Reference):
    known, new = vectors(200, seed=6), vectors(40, seed=7, domain=1.0)
    for n in range(0, 40, 3):
        rows = np.concatenate([known, new[:n]])
        found = is_outside(reference, rows)
        total, base = reference.baseline.rows, round(_share(reference) * reference.baseline.rows)
        table = [[found.sum(), len(rows) - found.sum()], [base, total - base]]
        p = fisher_exact(table, alternative="greater").pvalue
        if not ALPHA / 2 < p < ALPHA * 2:  # the binomial is Fisher's test but for shares that aren't small
            assert (outside_change(reference, sketched(reference, rows)) is not None) == (p <= ALPHA)


def _share(reference: Reference) -> float:
    above = np.cumsum(reference.baseline.novelty[::-1])[::-1] / reference.baseline.rows
    return float(above[np.abs(above - 0.05).argmin()])
