"""Two versions of a model: a rotation is adapted, a rounding dropped in, another model re-embedded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.stats import ortho_group

from benchkit.drift.versions import compare_versions, fit_linear, fit_rotation
from benchkit.measure.space import linear_cka

N, DIMENSION = 400, 24


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def old():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, DIMENSION))
    return _unit(centres[np.arange(N) % 40] + 0.7 * rng.standard_normal((N, DIMENSION)))


@pytest.fixture(scope="module")
def rotation():
    return ortho_group.rvs(DIMENSION, random_state=np.random.default_rng(1))


# ------------------------------------------------------------ advice


@pytest.mark.parametrize("copies", [5, 15, 30])
def test_near_duplicates_that_rounding_sorts_anew_are_as_good_as_each_other(old, rotation, copies):
    # Texts that differ by their case alone, in another batch or on another device.
    rng = np.random.default_rng(7)
    texts = np.repeat(old[: N // copies], copies, axis=0)
    one, other = (texts + 1e-7 * rng.standard_normal(texts.shape).astype(np.float32) for _ in range(2))
    report = compare_versions(one, other)
    assert report.advice == "drop-in"
    assert report.overlap_at_10 == report.cross_recall_at_10 == report.mixed_recall_at_10 == 1
    rotated = compare_versions(one, other @ rotation)
    assert rotated.advice == "adapt"
    assert rotated.rotation_recall_at_10 == 1
    assert rotated.cross_recall_at_10 < 0.3  # who is near is excused by no tie


def test_a_version_that_says_the_same_of_all_texts_is_not_excused_by_its_ties(old):
    report = compare_versions(old, np.ones_like(old))
    assert report.advice == "re-embed"
    assert max(report.overlap_at_10, report.rotation_recall_at_10, report.linear_recall_at_10) < 0.2


@pytest.mark.parametrize(("scale", "advice", "recall"), [(1.0, "drop-in", 1.0), (3.0, "adapt", 0.6)])
def test_new_vectors_of_another_length_are_no_drop_in_beside_old_ones_by_dot_product(old, scale, advice, recall):
    # New queries find all they should among old vectors; but every new document would come before every old one.
    report = compare_versions(old, scale * old, similarity="dot")
    assert report.cross_recall_at_10 == 1
    assert report.mixed_recall_at_10 <= recall
    assert (report.advice, report.same_space) == (advice, advice == "drop-in")
    assert ("do lengths differ?" in report.reason) == (advice != "drop-in")
    assert compare_versions(old, scale * old).advice == "drop-in"  # a cosine knows no lengths


def test_one_model_is_a_drop_in(old):
    report = compare_versions(old, old)
    assert report.advice == "drop-in"
    assert report.same_space
    assert (report.mean_cosine, report.worst_cosine, report.cka) == pytest.approx((1, 1, 1), abs=1e-6)
    assert report.overlap_at_10 == report.cross_recall_at_10 == 1
    assert report.procrustes_residual < 1e-9
    assert (report.n_texts, report.n_queries, report.n_fitted) == (N, 0, N // 2)
    assert report.reason == (
        "drop-in: mean cosine 1.00000 (one space from 0.999), and new queries find on the old vectors 100.0 % of what "
        "they find after re-embedding (enough from 95.0 %)"
    )


def test_rounding_to_half_precision_is_a_drop_in(old):
    report = compare_versions(old, old.astype(np.float16))
    assert report.advice == "drop-in"
    assert report.cross_recall_at_10 > 0.99


def test_a_rotation_is_adapted_though_cka_sees_nothing(old, rotation):
    report = compare_versions(old, old @ rotation)
    assert report.cka == pytest.approx(1, abs=1e-6)
    assert report.overlap_at_10 > 0.999
    assert report.cross_recall_at_10 < 0.2  # 10 of 200 by chance
    assert report.rotation_recall_at_10 > 0.999
    assert report.procrustes_residual < 1e-9
    assert report.advice == "adapt"
    assert not report.same_space
    assert "through a rotation of the queries" in report.reason or "through a linear map" in report.reason
    assert "(enough from 90.0 %)" in report.reason


def test_a_linear_map_fits_a_stretched_space_that_no_rotation_does(old):
    stretch = np.random.default_rng(2).standard_normal((DIMENSION, DIMENSION)) + 2 * np.eye(DIMENSION)
    new, target = old @ stretch, old.astype(np.float64)
    left_by_rotation = np.sum((new @ fit_rotation(new, target) - target) ** 2)
    left_by_line = np.sum((new @ fit_linear(new, target) - target) ** 2)
    assert left_by_line < 0.01 * left_by_rotation
    assert left_by_line < 1e-3 * np.sum(target**2)


def test_an_unrelated_model_is_re_embedded(old):
    report = compare_versions(old, np.random.default_rng(3).standard_normal((N, DIMENSION)))
    assert report.advice == "re-embed"
    assert max(report.overlap_at_10, report.rotation_recall_at_10, report.linear_recall_at_10) < 0.2
    assert report.procrustes_residual > 0.9
    assert "(too little below 90.0 %)" in report.reason


def test_a_rotation_fitted_on_fewer_texts_than_dimensions_flatters_nobody():
    """30 unrelated pairs in 200 dimensions: a rotation fits them perfectly, and is worth nothing elsewhere."""
    rng = np.random.default_rng(4)
    old, new = rng.standard_normal((60, 200)), rng.standard_normal((60, 200))
    report = compare_versions(old, new)
    assert report.rotation_recall_at_10 < 0.6  # 10 of 29 by chance
    assert report.procrustes_residual > 0.9
    assert report.advice == "re-embed"
    assert report.reason.endswith("; 30 texts are few to fit an adapter on, and more of them may recover more")


@pytest.mark.parametrize("dimension", [DIMENSION - 8, DIMENSION + 8], ids=["shorter", "longer"])
def test_other_dimensions_have_no_cross_search_but_an_adapter(old, dimension):
    basis = ortho_group.rvs(DIMENSION + 8, random_state=np.random.default_rng(5))[:DIMENSION, :dimension]
    report = compare_versions(old, old @ basis)
    assert (report.old_dimension, report.new_dimension) == (DIMENSION, dimension)
    assert (report.mean_cosine, report.worst_cosine, report.cross_recall_at_10) == (None, None, None)
    assert "the dimensions differ, so the old index can't be searched as it is" in report.reason
    if dimension > DIMENSION:
        assert report.advice == "adapt"
        assert report.rotation_recall_at_10 > 0.999
    else:  # a third of the dimensions is lost
        assert report.advice == "re-embed"
        assert 0.2 < report.rotation_recall_at_10 < 0.9


def test_a_rotation_of_the_queries_alone_is_seen_with_separate_queries(old, rotation):
    rng = np.random.default_rng(6)
    queries = _unit(old[:150] + 0.1 * rng.standard_normal((150, DIMENSION)))
    report = compare_versions(old, old @ rotation, old_queries=queries, new_queries=queries @ rotation)
    assert report.n_queries == 150
    assert report.cross_recall_at_10 < 0.2
    assert report.rotation_recall_at_10 > 0.999


def test_cosines_high_enough_but_other_neighbours_are_no_drop_in():
    """All texts nearly alike: the vectors are one space by cosine, and still find other neighbours."""
    rng = np.random.default_rng(7)
    old = np.eye(1, 30) + 0.01 * rng.standard_normal((200, 30))
    new = old + 0.004 * rng.standard_normal((200, 30))
    report = compare_versions(old, new)
    assert report.mean_cosine > 0.999
    assert report.cross_recall_at_10 < 0.95
    assert report.advice != "drop-in"


# ------------------------------------------------------------ twins


def test_the_rotation_is_scipys(old, rotation):
    new = old @ rotation + 0.1 * np.random.default_rng(8).standard_normal(old.shape)
    expected, _ = orthogonal_procrustes(new, old)
    np.testing.assert_allclose(fit_rotation(new, old), expected, atol=1e-6)
    filled = np.pad(new[:, :10], ((0, 0), (0, DIMENSION - 10)))
    expected, _ = orthogonal_procrustes(filled, old)
    np.testing.assert_allclose(new[:, :10] @ fit_rotation(new[:, :10], old), filled @ expected, atol=1e-5)


def test_the_residual_is_scipys_on_texts_that_are_the_fitted_ones_again(old, rotation):
    """Both halves hold the same texts, so that fitted and held-out ones can't differ."""
    from benchkit.drift.versions import _residual

    a = old.astype(np.float64)
    b = a @ rotation + 0.2 * np.random.default_rng(9).standard_normal(old.shape)
    _, _, disparity = procrustes(a, b)
    assert _residual(b, a, b, a) == pytest.approx(disparity, rel=1e-9)


def test_the_ridge_is_the_one_of_the_best_leave_one_out_formula(old):
    rng = np.random.default_rng(10)
    new = old @ rng.standard_normal((DIMENSION, DIMENSION)) + 0.5 * rng.standard_normal(old.shape)
    new, target = new[:30].astype(np.float64), old[:30].astype(np.float64)
    gram, scores = new.T @ new, {}
    for power in range(-6, 2):
        penalty = 10.0**power * np.trace(gram) / DIMENSION
        hat = new @ np.linalg.solve(gram + penalty * np.eye(DIMENSION), new.T)
        scores[penalty] = np.sum((target - hat @ target) ** 2) / (30 - np.trace(hat)) ** 2
    best = min(scores, key=scores.get)
    assert best not in (min(scores), max(scores))
    expected = np.linalg.solve(gram + best * np.eye(DIMENSION), new.T @ target)
    np.testing.assert_allclose(fit_linear(new, target), expected, atol=1e-9)


def test_cka_and_cosine_are_those_of_the_whole(old):
    new = old + 0.05 * np.random.default_rng(11).standard_normal(old.shape)
    report = compare_versions(old, new)
    cosines = np.sum(_unit(new) * old, axis=1)
    assert report.cka == pytest.approx(linear_cka(old, new))
    assert (report.mean_cosine, report.worst_cosine) == pytest.approx((cosines.mean(), cosines.min()), abs=1e-6)


def test_recall_across_the_spaces_by_the_obvious_loop(old):
    """With both halves' texts known: new queries on old vectors against new queries on new vectors."""
    new = _unit(old + 0.15 * np.random.default_rng(12).standard_normal(old.shape))
    halves = np.array_split(np.random.default_rng(0).permutation(N), 2)
    shares, of_both = [], []
    for half in halves:
        both = {place: (old, new)[number % 2][place] for number, place in enumerate(half)}
        for row in half:
            others = [place for place in half if place != row]
            cross = sorted(others, key=lambda place: -float(new[row] @ old[place]))[:10]
            mixed = sorted(others, key=lambda place: -float(new[row] @ both[place]))[:10]
            again = sorted(others, key=lambda place: -float(new[row] @ new[place]))[:10]
            shares.append(len(set(cross) & set(again)) / 10)
            of_both.append(len(set(mixed) & set(again)) / 10)
    report = compare_versions(old, new, seed=0)
    assert 0.3 < report.cross_recall_at_10 < report.mixed_recall_at_10 < 0.95
    assert report.cross_recall_at_10 == pytest.approx(np.mean(shares), abs=1e-3)
    assert report.mixed_recall_at_10 == pytest.approx(np.mean(of_both), abs=1e-3)


def test_figures_follow_from_the_seed_alone(old, rotation):
    new = old @ rotation + 0.1
    assert compare_versions(old, new, seed=3) == compare_versions(old, new, seed=3)


def test_texts_with_one_vector_have_no_geometry():
    report = compare_versions(np.ones((60, 4)), np.ones((60, 4)))
    assert report.cka is None
    assert report.procrustes_residual == 0


def test_a_half_without_any_direction_is_fitted_without_a_warning(old):
    some = np.zeros_like(old)
    some[np.random.default_rng(0).permutation(N)[: N // 2]] = old[: N // 2]  # one of the halves of seed 0
    assert compare_versions(old, some).advice == "re-embed"


# ------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("old", "new", "queries", "message"),
    [
        (np.ones((60, 3)), np.ones((61, 3)), (None, None), "vectors of different texts: 60 of the old version, 61 new"),
        (np.ones((59, 3)), np.ones((59, 3)), (None, None), "versions are compared on 60 texts or more, got 59"),
        (np.ones((60, 3)), np.full((60, 3), np.nan), (None, None), "60 of 60 vectors hold NaN or infinity"),
        (np.ones((60, 3)), np.zeros((60, 3)), (None, None), "all vectors of the new version are zeros"),
        (np.zeros((60, 3)), np.ones((60, 3)), (None, None), "all vectors of the old version are zeros"),
        (np.ones((60, 3)), np.ones((60, 3)), (np.ones((2, 3)), None), "queries are needed of both versions"),
        (np.ones((60, 3)), np.ones((60, 3)), (np.ones((2, 3)), np.ones((3, 3))), "different queries: 2 of the old"),
        (np.ones((60, 3)), np.ones((60, 3)), (np.ones((0, 3)), np.ones((0, 3))), "different queries: 0 of the old"),
        (np.ones((60, 3)), np.ones((60, 3)), (np.ones((2, 4)), np.ones((2, 3))), "queries have 4 dimensions"),
    ],
    ids=["texts", "few", "broken", "new zeros", "old zeros", "one side", "queries", "no queries", "dimensions"],
)
def test_versions_that_can_not_be_compared_are_refused(old, new, queries, message):
    with pytest.raises(ValueError, match=message):
        compare_versions(old, new, old_queries=queries[0], new_queries=queries[1])
