"""Relabellings and the p-value of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchkit.drift.detectors.permutations import decide, draw_labels
from benchkit.drift.detectors.samples import Samples


def samples(n: int, m: int) -> Samples:
    return Samples(np.zeros((n + m, 1)), np.arange(n + m) < n, n, m, n, m)


def test_labels_start_with_the_truth_and_keep_the_sizes() -> None:
    labels = draw_labels(samples(4, 7), 99, alpha=0.05, rng=np.random.default_rng(0))
    assert labels.shape == (11, 100)
    assert labels[:, 0].tolist() == [True] * 4 + [False] * 7
    assert set(labels.sum(axis=0).tolist()) == {4}


def test_true_labels_are_those_of_the_rows_wherever_they_stand() -> None:
    pair = Samples(np.zeros((5, 1)), np.array([False, True, True, False, True]), 3, 2, 3, 2)
    labels = draw_labels(pair, 19, alpha=0.05, rng=np.random.default_rng(0))
    assert labels[:, 0].tolist() == [False, True, True, False, True]
    assert set(labels.sum(axis=0).tolist()) == {3}


def test_every_split_of_the_rows_is_as_likely() -> None:
    drawn = draw_labels(samples(2, 3), 20_000, alpha=0.05, rng=np.random.default_rng(1))[:, 1:]
    counts = [int((drawn[list(split)].all(axis=0)).sum()) for split in itertools.combinations(range(5), 2)]
    assert sum(counts) == 20_000
    assert max(abs(count - 2000) for count in counts) < 250  # 5.9 standard errors of 42


def test_p_value_counts_relabellings_that_reach_the_statistic_and_itself() -> None:
    null = np.arange(1.0, 20.0)  # 19 relabellings: 1 to 19
    found = decide("m", np.concatenate([[18.0], null]), samples(5, 6), alpha=0.1)
    assert found.p_value == 3 / 20  # 18, 19 and the truth
    assert not found.drifted
    assert found.threshold == 18.0  # above it fewer than two relabellings reach it
    higher = decide("m", np.concatenate([[18.5], null]), samples(5, 6), alpha=0.1)
    assert (higher.p_value, higher.drifted) == (2 / 20, True)
    assert (higher.method, higher.n_reference, higher.n_current, higher.used_reference) == ("m", 5, 6, 5)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.07, 0.1, 0.29, 0.5, 0.99])
def test_an_alarm_is_a_statistic_above_the_threshold(alpha: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        found = decide("m", rng.normal(size=100), samples(5, 5), alpha=alpha)
        assert found.drifted == (found.statistic > found.threshold) == (found.p_value <= alpha)


def test_differences_of_rounding_are_ties() -> None:
    null = np.linspace(0.0, 1.0, 99)
    statistics = np.concatenate(
        [
            [0.75],
            null,
        ]
    )
    statistics[50] = 0.75 - 1e-13
    below = decide("m", statistics, samples(5, 5), alpha=0.05)
    statistics[50] = 0.75
    assert below.p_value == decide("m", statistics, samples(5, 5), alpha=0.05).p_value


def test_no_difference_at_all_is_a_p_value_of_one() -> None:
    assert decide("m", np.zeros(20), samples(5, 5), alpha=0.05).p_value == 1.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_an_alpha_outside_of_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha should be between 0 and 1, got"):
        draw_labels(samples(5, 5), 19, alpha=alpha, rng=np.random.default_rng(0))


def test_an_alpha_that_no_p_value_can_reach_is_refused_with_what_it_takes() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"alpha 0.001 needs at least 999 permutations, got 199: .* is 0.005"):
        draw_labels(samples(5, 5), 199, alpha=0.001, rng=rng)
    assert draw_labels(samples(5, 5), 999, alpha=0.001, rng=rng).shape == (10, 1000)
    assert draw_labels(samples(5, 5), 19, alpha=0.05, rng=rng).shape == (10, 20)
    assert draw_labels(samples(5, 5), 48, alpha=1 / 49, rng=rng).shape == (10, 49)
