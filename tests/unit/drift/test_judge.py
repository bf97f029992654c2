"""Judgement: what must be an alarm is one, what must not isn't, and how sure one can be of it."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.drift.judge import _moved_share, cluster_counts, dead_rms, judge
from benchkit.drift.measure_rows import MAX_NORM
from benchkit.drift.null import N_DRAWS
from benchkit.drift.reference import fit
from benchkit.drift.sketch import Sketch, sketch
from benchkit.drift.statistics import STATISTICS

DIMENSION = 24
CENTRES = np.random.default_rng(11).normal(size=(10, DIMENSION))
LIVE = np.arange(DIMENSION) != 5


def topics(rng: np.random.Generator, n_rows: int, shares: np.ndarray | None = None, *, first: int = 0) -> np.ndarray:
    """Unit vectors of eight topics (two more are new), with one dead dimension."""
    of = first + rng.choice(2 if first else 8, size=n_rows, p=shares)
    rows = (CENTRES[of] + 0.8 * rng.normal(size=(n_rows, DIMENSION))) * LIVE
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def new_topic(rng: np.random.Generator, n_rows: int) -> np.ndarray:
    return topics(rng, n_rows, first=8)


@pytest.fixture(scope="module")
def reference():
    return fit(topics(np.random.default_rng(0), 6000))


def p_of(reference, rows: np.ndarray, name: str | None = None, *, tolerance: float = 0.0) -> float:
    judged = judge(reference, sketch(reference, rows), tolerance=tolerance)
    return judged.p_value if name is None else judged.statistics[STATISTICS.index(name)].p_value


def test_unchanged_windows_are_alarms_as_often_as_stated():
    rng = np.random.default_rng(1)
    found = []
    for seed in range(12):
        reference = fit(topics(rng, 1500), seed=seed)
        found += [p_of(reference, topics(rng, int(rng.choice([40, 200, 700])))) for _ in range(15)]
    alarms = np.mean(np.array(found) <= 0.05)
    assert alarms <= 0.14  # five standard errors of 180 windows, of which those of one baseline go together
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.25)


def test_a_new_topic_in_ten_percent_of_rows_is_found(reference):
    rng = np.random.default_rng(2)
    window = np.vstack([topics(rng, 450), new_topic(rng, 50)])
    assert p_of(reference, window) <= 0.001
    assert p_of(reference, window, "mahalanobis") <= 0.001


def test_rows_far_from_everything_are_novel(reference):
    rng = np.random.default_rng(3)
    far = rng.normal(size=(25, DIMENSION)) * LIVE
    window = np.vstack([topics(rng, 475), (far / np.linalg.norm(far, axis=1, keepdims=True)).astype(np.float32)])
    assert p_of(reference, window, "novelty") <= 0.001


def test_another_mix_of_the_same_topics_is_found_by_clusters(reference):
    shares = np.array([0.3, 0.2, 0.125, 0.125, 0.075, 0.075, 0.05, 0.05])
    window = topics(np.random.default_rng(4), 500, shares)
    assert p_of(reference, window) <= 0.001
    assert p_of(reference, window, "clusters") <= 0.001
    assert p_of(reference, window, "norm") == 1


def test_a_shift_that_only_small_variances_show_is_found_by_mahalanobis(reference):
    window = topics(np.random.default_rng(5), 2000)
    low = reference.frame.basis[-1]
    assert p_of(reference, window + 0.03 * low, "mahalanobis") <= 0.001


def test_noise_is_found_by_variances_and_length_by_the_norm(reference):
    rng = np.random.default_rng(6)
    window = topics(rng, 500)
    assert p_of(reference, window + 0.15 * rng.normal(size=window.shape).astype(np.float32), "quadratic") <= 0.001
    assert p_of(reference, window * 4.7, "norm") <= 0.001
    assert p_of(reference, window * 1.003, "norm") == 1  # rounding to bfloat16


def test_one_odd_norm_is_no_alarm_and_five_are(reference):
    window = topics(np.random.default_rng(7), 500)
    window[0] *= 2
    assert 0.01 <= p_of(reference, window, "norm") <= 0.5
    window[:5] *= 2
    assert p_of(reference, window, "norm") <= 0.005


def test_p_values_go_down_to_one_in_5000_and_no_farther(reference):
    judged = judge(reference, sketch(reference, new_topic(np.random.default_rng(8), 3000)))
    assert judged.p_value == pytest.approx(1 / (N_DRAWS + 1))
    assert min(found.p_value for found in judged.statistics) == pytest.approx(1 / (N_DRAWS + 1))


def test_noise_on_a_dead_dimension_is_no_data_alarm_but_is_seen(reference):
    rng = np.random.default_rng(9)
    window = topics(rng, 500)
    noise = rng.normal(size=window.shape)
    noisy = window + (0.001 * noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)
    assert p_of(reference, noisy) == pytest.approx(p_of(reference, window), abs=0.1)
    found, expected = dead_rms(reference, sketch(reference, noisy))
    assert expected < 1e-6
    assert found == pytest.approx(0.001 / np.sqrt(DIMENSION), rel=0.2)
    found, expected = dead_rms(reference, sketch(reference, window))
    assert found < 1e-6


def test_a_dead_dimension_that_comes_alive_is_in_no_statistic(reference):
    window = topics(np.random.default_rng(10), 500)
    before = judge(reference, sketch(reference, window)).statistics
    window[:, 5] += 0.3
    after = judge(reference, sketch(reference, window)).statistics
    for old, new in zip(before[:-1], after[:-1], strict=True):  # the norm does change
        assert new.value == pytest.approx(old.value, abs=0.05 * max(1, old.value))


def test_dead_strength_is_none_without_dead_directions():
    reference = fit(np.random.default_rng(0).normal(size=(300, 3)))
    assert dead_rms(reference, sketch(reference, np.zeros((40, 3)))) is None


def test_dead_strength_of_no_rows_is_none(reference):
    assert dead_rms(reference, Sketch.empty(reference)) is None


def test_half_the_tolerance_is_no_alarm_and_four_times_is(reference):
    rng = np.random.default_rng(12)
    for share, is_alarm in ((0.025, False), (0.2, True)):
        n_new = round(100_000 * share)
        window = np.vstack([topics(rng, 100_000 - n_new), new_topic(rng, n_new)])
        assert p_of(reference, window) <= 0.001  # without a tolerance either is a change
        assert (p_of(reference, window, tolerance=0.05) <= 0.01) == is_alarm


@pytest.mark.parametrize("row", [np.ones(DIMENSION) * 1e6, -CENTRES[9], np.zeros(DIMENSION), CENTRES[0]])
def test_no_rows_whatsoever_break_through_the_tolerance(reference, row):
    window = topics(np.random.default_rng(13), 20_000)
    window[:1000] = row
    assert p_of(reference, window, tolerance=0.05) > 0.05


def test_larger_tolerances_never_make_smaller_p_values(reference):
    rng = np.random.default_rng(14)
    window = np.vstack([topics(rng, 900), new_topic(rng, 100)])
    found = [p_of(reference, window, tolerance=tolerance) for tolerance in (0, 0.001, 0.01, 0.05, 0.3)]
    assert found == sorted(found)


def test_effects_do_not_grow_with_the_rows(reference):
    rng = np.random.default_rng(15)
    small, large = (
        judge(reference, sketch(reference, np.vstack([topics(rng, 9 * n), new_topic(rng, n)]))) for n in (200, 4000)
    )
    for one, two in zip(small.statistics, large.statistics, strict=True):
        assert one.effect == pytest.approx(two.effect, rel=0.35, abs=0.02), one.name


def test_the_share_of_moved_rows_is_that_of_the_clusters_and_nothing_of_chance():
    """64 clusters, a tenth of 500 rows moved to one of them; 400 windows."""
    rng, n, rows = np.random.default_rng(3), 500, 11_000
    shares = rng.dirichlet(np.full(64, 2.0))
    moved = 0.9 * shares + 0.1 * np.eye(64)[5]

    def mean_share(now: np.ndarray) -> float:
        found = []
        for _ in range(400):
            before = rng.multinomial(rows, shares) / rows
            variances = before * (1 - before) * (1 / n + 1 / rows)
            found.append(_moved_share(rng.multinomial(n, now) / n - before, variances, before.clip(min=1 / rows)))
        return float(np.mean(found))

    assert mean_share(moved) == pytest.approx(np.abs(moved - shares).sum() / 2, rel=0.2)
    assert mean_share(shares) < 0.015
    # Without chance it is total variation: .1 went from the first to the second.
    assert _moved_share(np.array([-0.1, 0.1, 0.0]), np.zeros(3), np.full(3, 1 / 3)) == pytest.approx(0.1)
    assert _moved_share(np.zeros(3), np.full(3, 0.1), np.full(3, 1 / 3)) == 0


def test_the_effect_of_longer_rows_says_how_far_it_counts(reference):
    rows = np.random.default_rng(5).normal(size=(300, reference.dimension)).astype(np.float32)
    found = judge(reference, sketch(reference, 50 * rows)).statistics[STATISTICS.index("norm")]
    most = MAX_NORM * reference.frame.norm_scale
    assert found.effect == pytest.approx(most, rel=0.05)
    assert found.unit == f"change of the log norm beyond 0.005, of each row up to {most:.2g}"


def test_the_effect_of_unit_rows_that_grew_by_two_percent_is_what_its_unit_says():
    rows = np.random.default_rng(6).normal(size=(600, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = fit(rows[:400])
    found = judge(made, sketch(made, np.float32(1.02) * rows[400:])).statistics[STATISTICS.index("norm")]
    assert found.effect == pytest.approx(np.log(1.02) - 0.005, abs=1e-5)
    assert found.unit == "change of the log norm beyond 0.005, of each row up to 0.05"


def test_effects_of_a_known_shift_are_its_length(reference):
    direction = reference.frame.basis[0] / np.linalg.norm(reference.frame.basis[0])
    window = topics(np.random.default_rng(16), 4000) + 0.05 * direction
    centroid = judge(reference, sketch(reference, window)).statistics[0]
    assert centroid.effect == pytest.approx(0.05, abs=0.02)


def test_cluster_counts_are_of_all_rows(reference):
    window = sketch(reference, topics(np.random.default_rng(17), 333))
    assert cluster_counts(window).sum() == 333
    assert reference.cluster_shares.sum() == pytest.approx(1)
    assert len(cluster_counts(window)) == len(reference.cluster_shares)


def test_a_constant_window_is_an_alarm(reference):
    window = np.repeat(topics(np.random.default_rng(18), 1), 200, axis=0)
    assert p_of(reference, window) <= 0.001


def test_few_rows_are_refused(reference):
    window = topics(np.random.default_rng(19), 30)
    assert 0 < p_of(reference, window) <= 1
    with pytest.raises(ValueError, match="a window of 29 rows says nothing; 30 are needed"):
        p_of(reference, window[:29])


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_is_a_share(reference, tolerance):
    with pytest.raises(ValueError, match="tolerance: a share of rows from 0 to 1"):
        p_of(reference, topics(np.random.default_rng(20), 50), tolerance=tolerance)


def test_sketches_of_another_reference_are_refused(reference):
    other = fit(np.random.default_rng(0).normal(size=(200, 3)))
    with pytest.raises(ValueError, match="the sketch is of another reference"):
        judge(reference, sketch(other, np.zeros((40, 3))))


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
def test_the_unit_of_all_vectors_changes_nothing(scale):
    rng = np.random.default_rng(4)
    rows, window = topics(rng, 1200), topics(rng, 300)
    usual = judge(fit(rows), sketch(fit(rows), window))
    by = np.float32(scale)
    scaled = judge(fit(rows * by), sketch(fit(rows * by), window * by))
    assert scaled.p_value == pytest.approx(usual.p_value, abs=0.01)
    for before, after in zip(usual.statistics, scaled.statistics, strict=True):
        assert after.p_value == pytest.approx(before.p_value, abs=0.02), before.name


@pytest.mark.parametrize("n_rows", [100, 150])
def test_few_rows_or_few_different_ones_show_no_dead_directions_where_new_rows_would_seem_another_model(n_rows):
    rng = np.random.default_rng(12)
    rows = rng.normal(size=(n_rows, 160)).astype(np.float32)
    copies = rows[rng.integers(0, n_rows, 2000)]
    # As a model gives them that pads each batch to another length.
    jittered = copies + 1e-6 * rng.normal(size=copies.shape).astype(np.float32)
    for baseline in (rows, copies, jittered):
        reference = fit(baseline)
        window = sketch(reference, rng.normal(size=(500, 160)).astype(np.float32))
        assert dead_rms(reference, window) is None


def test_enough_different_rows_show_exactly_the_dead_directions():
    rng = np.random.default_rng(13)
    rows = rng.normal(size=(250, 160)).astype(np.float32)
    rows[:, [3, 70]] = 0
    assert fit(rows).frame.n_dead == 2


def test_rows_far_away_are_seen_where_a_small_baseline_has_seen_few_directions():
    rng = np.random.default_rng(14)
    reference = fit(rng.normal(size=(100, 160)).astype(np.float32))
    assert p_of(reference, (2 * rng.normal(size=(200, 160))).astype(np.float32), "novelty") < 0.001


@pytest.mark.parametrize(("n_rows", "tail"), [(100, 0.2), (3000, 0.05)])
def test_the_share_of_rows_far_away_is_told_beside_the_baselines_own(n_rows, tail):
    rng = np.random.default_rng(15)
    reference = fit(rng.normal(size=(n_rows, 8)))
    judged = judge(reference, sketch(reference, rng.normal(size=(4000, 8))))
    novelty = judged.statistics[STATISTICS.index("novelty")]
    assert novelty.unit == f"share of rows beyond the baseline's farthest {tail:.0%}"
    assert novelty.effect == pytest.approx(tail, abs=0.12)
