"""The cross-fitted AUC against scikit-learn's ridge, fold by fold; and that its rate holds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from benchkit.drift.detectors.classifier import ClassifierTwoSample, cross_fitted_auc

RNG = np.random.default_rng(31)


def test_auc_is_one_where_a_line_parts_the_samples_and_ties_count_half() -> None:
    is_reference = (np.arange(20) < 10)[:, None]
    folds = np.arange(20) % 2
    parted = np.where(is_reference, 1.0, -1.0)
    assert cross_fitted_auc(parted, is_reference, folds, 1.0) == [1.0]
    assert cross_fitted_auc(np.zeros((20, 1)), is_reference, folds, 1.0) == [0.5]


@pytest.mark.parametrize(("rows", "dimension"), [(60, 4), (30, 50)], ids=["more rows", "more dimensions"])
def test_auc_agrees_with_scikit_learn_for_every_relabelling(rows: int, dimension: int) -> None:
    data = RNG.normal(size=(rows, dimension))
    data[:, 0] += np.arange(rows) < rows // 2
    labels = np.array([np.arange(rows) < rows // 2, *(RNG.permutation(rows) < rows // 2 for _ in range(5))]).T
    folds = RNG.permutation(rows) % 3
    found = cross_fitted_auc(data, labels, folds, 0.7)
    for column, is_reference in enumerate(labels.T):
        right, pairs = 0.0, 0
        for fold in range(3):
            train, test = folds != fold, folds == fold
            ridge = 0.7 * np.var(data[train], axis=0).mean() * train.sum()
            scores = Ridge(alpha=ridge).fit(data[train], is_reference[train].astype(float)).predict(data[test])
            here = int(is_reference[test].sum() * (~is_reference[test]).sum())
            right += here * roc_auc_score(is_reference[test], scores)
            pairs += here
        assert found[column] == pytest.approx(right / pairs)


def test_auc_is_about_that_of_a_logistic_regression() -> None:
    data = RNG.normal(size=(800, 6))
    is_reference = np.arange(800) < 400
    data[is_reference] += 0.25
    folds = RNG.permutation(800) % 5
    found = cross_fitted_auc(data, is_reference[:, None], folds, 0.1)[0]
    aucs = []
    for fold in range(5):
        train, test = folds != fold, folds == fold
        model = LogisticRegression().fit(data[train], is_reference[train])
        aucs.append(roc_auc_score(is_reference[test], model.decision_function(data[test])))
    assert found == pytest.approx(np.mean(aucs), abs=0.01)
    assert found > 0.6


def test_a_fold_of_one_sample_alone_counts_nothing() -> None:
    labels = (np.arange(12) < 6)[:, None]
    data = np.where(labels, 1.0, -1.0) + 0.01 * RNG.normal(size=(12, 1))
    mixed, pure = np.array([0, 1, 0, 1, 0, 1] * 2), np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    assert cross_fitted_auc(data, labels, mixed, 1.0) == [1.0]
    assert cross_fitted_auc(data, labels, pure, 1.0) == [0.5]


def test_duplicates_are_ties_and_not_ranked_by_rounding() -> None:
    # The same fifty rows in both samples: scores of a row and its copy are equal, so nothing is told apart.
    rows = RNG.normal(size=(50, 8))
    data = np.concatenate([rows, rows])
    labels = (np.arange(100) < 50)[:, None]
    folds = np.tile(RNG.permutation(50) % 5, 2)
    assert cross_fitted_auc(data, labels, folds, 1.0) == [0.5]


def test_unchanged_samples_alarm_at_the_stated_rate() -> None:
    # Out-of-fold scores taken as independent alarm in 10 % of cases.
    detector = ClassifierTwoSample(permutations=39)
    rng = np.random.default_rng(8)
    alarms = sum(detector.compare(*rng.normal(size=(2, 40, 20)), alpha=0.1, seed=seed).drifted for seed in range(400))
    assert 14 <= alarms <= 70  # 40 ± 5 standard deviations of 6


def test_samples_that_change_places_have_the_same_auc_and_p_value() -> None:
    rng = np.random.default_rng(4)
    reference, current = rng.normal(size=(80, 12)), rng.normal(size=(150, 12)) + 0.15
    one, other = (ClassifierTwoSample().compare(*pair) for pair in ((reference, current), (current, reference)))
    assert (one.statistic, one.p_value) == pytest.approx((other.statistic, other.p_value), rel=1e-9)


def test_a_shift_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(300, 4))
    found = ClassifierTwoSample().compare(reference, rng.normal(size=(300, 4)) + 0.3)
    assert found.drifted
    assert found.statistic > 0.55
    assert not ClassifierTwoSample().compare(reference, rng.normal(size=(300, 4))).drifted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds should be a whole number of at least 2, got 1"),
        ({"penalty": 0}, "penalty should be a number above 0, got 0"),
        ({"permutations": -1}, "permutations should be a whole number of at least 1, got -1"),
        ({"folds": 10, "max_rows": 19}, "max_rows should be a whole number of at least 20, got 19"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassifierTwoSample(**options)  # type: ignore[arg-type]


def test_each_fold_needs_rows_of_both_samples() -> None:
    with pytest.raises(ValueError, match="current has too few rows: 9, at least 10 are needed"):
        ClassifierTwoSample().compare(RNG.normal(size=(30, 2)), RNG.normal(size=(9, 2)))
