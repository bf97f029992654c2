"""Baselines: what is refused, what small and odd ones do, that they are stored whole, and historical windows."""

from __future__ import annotations

import io

import numpy as np
import pytest

from benchkit.drift.judge import judge
from benchkit.drift.reference import Reference, fit
from benchkit.drift.sketch import sketch

CENTRES = 1.5 * np.random.default_rng(21).normal(size=(4, 8))


def day(rng: np.random.Generator, number: int, n_rows: int) -> np.ndarray:
    """Three topics whose shares go round in seven days."""
    turns = 2 * np.pi * (number / 7 + np.arange(3) / 3)
    shares = (1 + 0.6 * np.cos(turns)) / 3
    return CENTRES[rng.choice(3, size=n_rows, p=shares / shares.sum())] + rng.normal(size=(n_rows, 8))


def alarms(reference: Reference, windows: list[np.ndarray]) -> float:
    return float(np.mean([judge(reference, sketch(reference, window)).p_value <= 0.05 for window in windows]))


@pytest.fixture(scope="module")
def history() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return np.vstack([day(rng, number, 300) for number in range(28)]), np.repeat(np.arange(28), 300)


@pytest.fixture(scope="module")
def with_history(history) -> Reference:
    return fit(history[0], groups=history[1])


def test_weekdays_are_alarms_without_history_and_none_with_it(history, with_history):
    rng = np.random.default_rng(1)
    windows = [day(rng, number, 1000) for number in range(42)]
    assert with_history.n_windows == 28
    assert alarms(fit(history[0]), windows) >= 0.9
    assert alarms(with_history, windows) <= 0.1


def test_a_new_topic_is_found_with_history_too(with_history):
    rng = np.random.default_rng(2)
    windows = [np.vstack([day(rng, number, 900), CENTRES[3] + rng.normal(size=(100, 8))]) for number in range(14)]
    assert alarms(with_history, windows) == 1


def test_history_of_windows_that_differ_by_chance_costs_little():
    rng = np.random.default_rng(3)
    rows = day(rng, 0, 8400)
    plain, grouped = fit(rows), fit(rows, groups=np.arange(8400) % 28)
    windows = [day(rng, 0, 300) for _ in range(40)]
    ratio = [
        judge(grouped, sketch(grouped, window)).p_value / judge(plain, sketch(plain, window)).p_value
        for window in windows
    ]
    assert 0.8 <= np.median(ratio) <= 1.6
    assert alarms(grouped, windows) <= 0.2


def test_names_of_windows_may_be_texts(history):
    names = np.array([f"2026-01-{number:02}" for number in history[1]])
    assert fit(history[0], groups=names).n_windows == 28


def test_a_reference_comes_back_from_a_file(with_history):
    file = io.BytesIO()
    np.savez(file, **with_history.to_arrays())
    file.seek(0)
    with np.load(file) as arrays:
        again = Reference.from_arrays(arrays)
    window = day(np.random.default_rng(4), 3, 200)
    assert judge(again, sketch(again, window)) == judge(with_history, sketch(with_history, window))
    assert (again.rows, again.n_windows, again.dimension) == (8400, 28, 8)


def test_the_same_seed_gives_the_same_reference(history):
    one, two, other = (fit(history[0][:2000], seed=seed).to_arrays() for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["null.values"], other["null.values"])


def test_a_reference_of_768_dimensions_is_at_most_1_400_kb():
    rng = np.random.default_rng(5)
    reference = fit(
        (rng.normal(size=(3600, 90)) @ rng.normal(size=(90, 768)) + rng.normal(size=(3600, 768))).astype("f4")
    )
    assert len(reference.frame.directions) == 768
    assert sum(array.nbytes for array in reference.to_arrays().values()) <= 1_400_000


def test_the_null_of_small_windows_is_not_that_of_large_ones(with_history):
    sizes = with_history.history.null.window_sizes
    assert sizes.tolist() == [30, 100, 300]  # as many as the past's have: busier ones count as these
    # What windows differ by does not fall with their rows: in units of chance it grows.
    assert (np.diff(with_history.history.null.values[:, 0, 100]) > 0).all()


@pytest.mark.parametrize("dimension", [1, 2, 300])
def test_few_rows_of_any_dimension_are_judged(dimension):
    rng = np.random.default_rng(6)
    reference = fit(rng.normal(size=(200, dimension)))
    assert 0.0005 < judge(reference, sketch(reference, rng.normal(size=(100, dimension)))).p_value <= 1
    assert judge(reference, sketch(reference, 3 + rng.normal(size=(100, dimension)))).p_value <= 0.01


def test_rows_of_low_rank_and_duplicates_are_judged():
    rng = np.random.default_rng(7)
    plane = rng.normal(size=(2, 40))
    low = fit(rng.normal(size=(400, 2)) @ plane)
    assert len(low.frame.directions) == 2
    assert judge(low, sketch(low, (rng.normal(size=(400, 2)) + 1) @ plane)).p_value <= 0.001
    copies = np.repeat(rng.normal(size=(6, 12)), 80, axis=0)
    same = fit(copies)
    assert judge(same, sketch(same, copies[::3])).p_value > 0.05
    assert judge(same, sketch(same, copies[:160])).p_value <= 0.001


def test_memory_maps_and_int8_are_read(tmp_path):
    rows = np.random.default_rng(8).integers(-100, 100, size=(500, 6)).astype(np.int8)
    np.save(tmp_path / "rows.npy", rows)
    mapped = fit(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    plain = fit(rows.astype(np.float64))
    assert np.array_equal(mapped.baseline.clusters, plain.baseline.clusters)
    assert mapped.baseline.rows == 375


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((99, 4)), "a baseline needs at least 100 rows, got 99"),
        (np.zeros(500), r"a baseline is a matrix \(rows, dimensions\), got the shape \(500,\)"),
        (np.zeros((500, 0)), "a baseline is a matrix"),
        (np.full((500, 3), np.nan), "rows that are not finite"),
        (np.full((500, 3), 0.1), "all rows of the baseline are the same vector"),
        (np.r_[np.eye(3)[np.arange(499) % 3], [[0, -3e38, 0]]], r"numbers of up to 3e\+38, and 1e\+15 is the largest"),
        (1e200 * np.eye(3)[np.arange(500) % 3], r"numbers of up to 1e\+200, and 1e\+15 is the largest"),
    ],
    ids=["few rows", "no matrix", "no dimensions", "not finite", "all the same", "one huge row", "huge rows"],
)
def test_what_is_no_baseline_is_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        fit(vectors)


def test_few_historical_windows_are_refused(history):
    rows, days = history
    with pytest.raises(ValueError, match="historical windows: 7, at least 8 of two rows are needed"):
        fit(rows[:2100], groups=days[:2100])
    with pytest.raises(ValueError, match=r"groups: one window for each of 8400 rows is needed, got the shape \(3,\)"):
        fit(rows, groups=days[:3])


def test_arrays_that_are_no_reference_are_refused(with_history):
    arrays = with_history.to_arrays()
    with pytest.raises(ValueError, match=r"not a reference: without null\.values"):
        Reference.from_arrays({name: values for name, values in arrays.items() if name != "null.values"})
    with pytest.raises(ValueError, match="its arrays do not fit together"):
        Reference.from_arrays({**arrays, "variances": np.zeros(3, np.float32)})
