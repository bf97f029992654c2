"""One pass is two: the health that is measured alone, and the sketch of the good rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.health import measure_health
from benchkit.drift.one_pass import health_and_sketch
from benchkit.drift.reference import Reference, fit
from benchkit.drift.row_facts import row_facts
from benchkit.drift.sketch import Sketch, sketch

D = 30


@pytest.fixture(scope="module")
def reference() -> Reference:
    return fit(rows_of(1500, 1))


def rows_of(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, size=(n, D)).astype(np.float32)


def same_counts(found: Sketch, expected: Sketch) -> bool:
    pairs = ((found.to_arrays()[name], expected.to_arrays()[name]) for name in ("rows", "clusters", "novelty"))
    return all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("dtype", ["float32", ">f4", "float16", "float64", "int8"])
@pytest.mark.parametrize("n", [0, 1, 511, 512, 1300])
def test_one_pass_is_what_two_are(reference, dtype, n):
    rows = (rows_of(n, 2) * (30 if dtype == "int8" else 1)).astype(dtype)
    health, facts, sums = health_and_sketch(reference, rows)
    alone = measure_health(rows).to_arrays()
    assert all(np.array_equal(array, alone[name]) for name, array in health.to_arrays().items())
    assert np.array_equal(facts.hashes, row_facts(rows).hashes)
    expected = sketch(reference, rows)
    assert same_counts(sums, expected)
    for name in ("linear", "squares", "norm", "dead"):
        assert getattr(sums, name) == pytest.approx(getattr(expected, name), rel=1e-6, abs=1e-8 * n)


@pytest.mark.parametrize("bad", [[0], [511, 512, 1299], range(512, 1024), range(1300)])
def test_bad_rows_are_in_the_health_and_not_in_the_sketch(reference, bad):
    rows = rows_of(1300, 3)
    for place, value in zip(bad, [np.nan, np.inf, -np.inf, 0.0] * 400, strict=False):
        rows[place] = value
    health, facts, sums = health_and_sketch(reference, rows)
    good = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
    assert np.array_equal(facts.good, good)
    assert (health.rows, health.good) == (1300, good.sum())
    assert same_counts(sums, sketch(reference, rows[good]))
    assert np.isfinite(sums.linear).all()


def test_other_dimensions_and_types_are_refused(reference):
    with pytest.raises(ValueError, match=r"dimensions differ: baseline 30, window \(7,\)"):
        health_and_sketch(reference, np.zeros((3, 7), np.float32))
    with pytest.raises(ValueError, match="vectors should be float16"):
        health_and_sketch(reference, np.zeros((3, D), np.complex64))
