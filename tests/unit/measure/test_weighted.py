"""The score of a resample is the metric's own on np.repeat(data, counts); twins: scikit-learn, SciPy and MTEB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    v_measure_score,
)

import benchkit.measure.weighted as weighted
from benchkit.measure.weighted import weighted_scores
from benchkit.types.result import ItemScores

N_ROUNDS = 10


def scores_of(kind: str, metric: str, **columns: object) -> ItemScores:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    n_items = len(next(iter(arrays.values())))
    return ItemScores("test", "en", kind, metric, np.array([f"item {i}" for i in range(n_items)]), arrays)  # type: ignore[arg-type]


def random_counts(rng: np.random.Generator, n_items: int, n_resamples: int = 6) -> np.ndarray:
    """Ordinary resamples, and a first row of ones: the data as they are."""
    counts = rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_resamples)
    return np.vstack([np.ones(n_items, dtype=np.int64), counts])


def assert_equal_to_twin(
    scores: ItemScores, counts: np.ndarray, twin: Callable[[dict[str, np.ndarray]], float]
) -> None:
    """Compare with the twin's score of the data with each item repeated; nan must meet nan."""
    expected = [twin({k: np.repeat(v, row, axis=0) for k, v in scores.columns.items()}) for row in counts]
    np.testing.assert_allclose(weighted_scores(scores, counts), expected, rtol=1e-10, atol=1e-12)


# Worked by hand


def test_mean_counts_an_item_as_often_as_it_was_drawn():
    scores = scores_of("mean", "ndcg_at_10", value=[0.0, 0.5, 1.0])
    assert weighted_scores(scores, [[1, 1, 1], [2, 1, 0], [0, 0, 3]]).tolist() == [0.5, 1 / 6, 1.0]


def test_spearman_of_two_swapped_ranks_is_a_half():
    # ranks 1 2 3 against 1 3 2: d² sums to 2, 1 - 6 * 2 / (3 * 8) = 0.5; without item 0 the order is reversed
    scores = scores_of("correlation", "spearman", predicted=[0.1, 0.2, 0.9], gold=[1.0, 5.0, 4.0])
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1], [0, 1, 1]]), [0.5, -1.0])


def test_average_precision_of_a_negative_between_two_positives_is_five_sixths():
    # positives at ranks 1 and 3: (1/1 + 2/3) / 2; with the negative twice: (1/1 + 2/4) / 2
    scores = scores_of("pair", "ap", label=[1, 0, 1], predicted=[[0.9], [0.5], [0.1]])
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1], [1, 2, 1]]), [5 / 6, 3 / 4])


def test_best_f1_never_takes_all_pairs_as_alike():
    # thresholds after 1 and 2 of the 3 rows: f1 = 2 * 1 / (1 + 2) and 2 * 1 / (2 + 2); after all 3 it would be 0.8
    scores = scores_of("pair", "f1", label=[1, 0, 1], predicted=[[0.9], [0.5], [0.1]])
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1]]), [2 / 3])


def test_macro_f1_averages_over_the_labels_of_the_resample_only():
    # label 7: tp 1, true 2, found 1 -> 2/3; label 9: tp 1, true 1, found 2 -> 2/3; label 8, f1 1, is in the first only
    scores = scores_of("classification", "f1", label=[7, 7, 9, 8], predicted=[[7], [9], [9], [8]])
    np.testing.assert_allclose(weighted_scores(scores, [[1, 1, 1, 1], [1, 1, 1, 0]]), [7 / 9, 2 / 3])


def test_v_measure_is_one_for_the_same_groups_and_zero_for_crossed_ones():
    label = np.array([[0], [0], [1], [1]])
    same = scores_of("clustering", "v_measure", label=label, cluster=label + 4, draws=np.ones((4, 1), int))
    crossed = scores_of(
        "clustering", "v_measure", label=label, cluster=[[0], [1], [0], [1]], draws=np.ones((4, 1), int)
    )
    np.testing.assert_allclose(weighted_scores(same, [[1, 1, 1, 1], [3, 0, 1, 2]]), [1.0, 1.0])
    np.testing.assert_allclose(weighted_scores(crossed, [[1, 1, 1, 1], [2, 2, 5, 5]]), [0.0, 0.0], atol=1e-15)


# Twins


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize(("metric", "twin"), [("spearman", spearmanr), ("pearson", pearsonr)])
def test_correlation_agrees_with_scipy(metric, twin, seed):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(8, 60))
    gold = rng.integers(0, int(rng.integers(3, 40)), n_items).astype(float)  # ties on both sides
    predicted = np.round(gold + rng.normal(0, 5, n_items), int(rng.integers(0, 4))) + 1e4
    scores = scores_of("correlation", metric, predicted=predicted, gold=gold)
    assert_equal_to_twin(scores, random_counts(rng, n_items), lambda c: twin(c["gold"], c["predicted"]).statistic)


def pair_by_rows(label: np.ndarray, column: np.ndarray, metric: str) -> float:
    """Walk from the highest row down, as MTEB does; a threshold lies only between two different values."""
    order = np.argsort(-column, kind="stable")
    label, column = label[order], column[order]
    best = {"f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": 0.0}
    for above in range(1, len(label)):
        if column[above - 1] == column[above]:
            continue
        hits = int(label[:above].sum())
        accuracy = (hits + int((label[above:] == 0).sum())) / len(label)
        best["accuracy"] = max(best["accuracy"], accuracy)
        if hits:
            precision, recall = hits / above, hits / int(label.sum())
            f1 = 2 * precision * recall / (precision + recall)
            if f1 > best["f1"]:
                best |= {"f1": f1, "precision": precision, "recall": recall}
    return best[metric]


def pair_twin(columns: dict[str, np.ndarray], metric: str) -> float:
    label, predicted = columns["label"], columns["predicted"]
    if metric != "accuracy" and not label.any():
        return np.nan
    if metric == "ap":
        return max(average_precision_score(label, column) for column in predicted.T)
    return max(pair_by_rows(label, column, metric) for column in predicted.T)


def random_pairs(rng: np.random.Generator, n_items: int) -> dict[str, np.ndarray]:
    label = (rng.random(n_items) < rng.choice([0.05, 0.3, 0.6])).astype(int)
    cosine = np.round(label + rng.normal(0, 1, n_items), int(rng.integers(0, 3)))
    other = np.round(rng.normal(0, 1, n_items), 1)
    return {"label": label, "predicted": np.column_stack([cosine, 3 * cosine + 1, other, -other])}


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize("metric", ["ap", "f1", "accuracy", "precision", "recall"])
def test_pair_agrees_with_scikit_learn_and_the_row_by_row_walk(metric, seed):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(5, 50))
    scores = scores_of("pair", metric, **random_pairs(rng, n_items))
    assert_equal_to_twin(scores, random_counts(rng, n_items), partial(pair_twin, metric=metric))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of importing mteb
@pytest.mark.parametrize("seed", range(N_ROUNDS))
def test_pair_agrees_with_mteb_itself(seed):
    from mteb.abstasks.pair_classification import AbsTaskPairClassification

    rng = np.random.default_rng(seed)
    columns = random_pairs(rng, 40)
    columns["label"][:2] = 0, 1
    counts = random_counts(rng, 40)
    counts[:, 1] += 1  # a positive in each resample: without one MTEB says 0, and we say nan
    task = object.__new__(AbsTaskPairClassification)
    for metric in ("ap", "f1", "accuracy", "precision", "recall"):

        def twin(c: dict[str, np.ndarray], metric: str = metric) -> float:
            values = task._compute_metrics_values
            return max(values(list(column), c["label"], True)[metric] for column in c["predicted"].T)

        assert_equal_to_twin(scores_of("pair", metric, **columns), counts, twin)


LABEL_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy_score,
    "f1": partial(f1_score, average="macro", zero_division=0),
    "f1_weighted": partial(f1_score, average="weighted", zero_division=0),
    "precision": partial(precision_score, average="macro", zero_division=0),
    "precision_weighted": partial(precision_score, average="weighted", zero_division=0),
    "recall": partial(recall_score, average="macro", zero_division=0),
    "recall_weighted": partial(recall_score, average="weighted", zero_division=0),
}


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize("metric", LABEL_METRICS)
def test_classification_agrees_with_scikit_learn(metric, seed):
    rng = np.random.default_rng(seed)
    n_items, n_labels = int(rng.integers(5, 60)), int(rng.integers(2, 9))
    names = rng.choice(np.arange(-5, 100), n_labels + 2, replace=False)  # any ints, two of them never true
    label = names[rng.integers(0, n_labels, n_items)]
    predicted = np.where(rng.random((n_items, 3)) < 0.5, label[:, None], rng.choice(names, (n_items, 3)))
    scores = scores_of("classification", metric, label=label, predicted=predicted)
    assert_equal_to_twin(
        scores,
        random_counts(rng, n_items),
        lambda c: float(np.mean([LABEL_METRICS[metric](c["label"], found) for found in c["predicted"].T])),
    )


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize("other_label", [0, -1, 2])
def test_classification_ap_agrees_with_scikit_learn(other_label, seed):
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(40) < 0.4, 1, other_label)
    label[:2] = 1, other_label
    predicted = np.where(rng.random((40, 4)) < 0.7, label[:, None], np.where(label == 1, other_label, 1)[:, None])
    counts = random_counts(rng, 40)
    counts[:, :2] += 1  # both labels in each resample: scikit-learn warns without a positive
    assert_equal_to_twin(
        scores_of("classification", "ap", label=label, predicted=predicted),
        counts,
        lambda c: float(np.mean([average_precision_score(c["label"], found) for found in c["predicted"].T])),
    )


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize("n_labels", [1, 2, 5])
def test_multilabel_agrees_with_scikit_learn(n_labels, seed):
    rng = np.random.default_rng(seed)
    label = (rng.random((30, n_labels)) < 0.15).astype(int)  # rare enough for labels that a resample lacks
    predicted = (rng.random((30, 2 * n_labels)) < 0.2).astype(int) | np.tile(label, 2)
    scores = scores_of("multilabel", "f1", label=label, predicted=predicted)

    def twin(c: dict[str, np.ndarray]) -> float:
        halves = np.split(c["predicted"], 2, axis=1)
        return float(np.mean([f1_score(c["label"], half, average="macro", zero_division=0) for half in halves]))

    assert_equal_to_twin(scores, random_counts(rng, 30), twin)


def random_clusters(rng: np.random.Generator, n_items: int, levels: int, experiments: int) -> dict[str, np.ndarray]:
    label = rng.integers(0, 4, (n_items, levels))
    label[rng.random((n_items, levels)) < 0.2] = -1
    per_column = np.repeat(label, experiments, axis=1)
    draws = np.where(per_column == -1, 0, rng.integers(0, 3, per_column.shape))
    found = np.where(rng.random(per_column.shape) < 0.6, per_column, rng.integers(0, 5, per_column.shape))
    return {"label": label, "cluster": np.where(draws > 0, found, -1), "draws": draws}


@pytest.mark.parametrize("seed", range(N_ROUNDS))
def test_clustering_agrees_with_scikit_learn_on_each_level_and_experiment(seed):
    rng = np.random.default_rng(seed)
    columns = random_clusters(rng, 40, 2, 3)

    def twin(row: np.ndarray) -> float:
        each = []
        for column in range(6):
            times = row * columns["draws"][:, column]
            true = np.repeat(columns["label"][:, column // 3], times)
            each.append(v_measure_score(true, np.repeat(columns["cluster"][:, column], times)))
        return float(np.mean(each))

    counts = random_counts(rng, 40)
    result = weighted_scores(scores_of("clustering", "v_measure", **columns), counts)
    np.testing.assert_allclose(result, [twin(row) for row in counts], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(N_ROUNDS))
@pytest.mark.parametrize("metric", ["f1", "accuracy", "precision", "recall"])
def test_bitext_agrees_with_scikit_learn(metric, seed):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(3, 40))
    gold = np.arange(n_items) if seed % 2 else rng.integers(0, n_items, n_items)
    predicted = np.where(rng.random(n_items) < 0.6, gold, rng.integers(-1, n_items, n_items))
    twin = LABEL_METRICS["accuracy" if metric == "accuracy" else f"{metric}_weighted"]
    scores = scores_of("bitext", metric, gold=gold, predicted=predicted)
    assert_equal_to_twin(scores, random_counts(rng, n_items), lambda c: twin(c["gold"], c["predicted"]))


# Properties


def example(kind: str, metric: str, rng: np.random.Generator, n_items: int) -> ItemScores:
    label, values = rng.integers(0, 2, n_items), rng.integers(0, 5, (n_items, 2))
    columns = {
        "mean": {"value": rng.random(n_items)},
        "correlation": {"predicted": values[:, 0], "gold": values[:, 1]},
        "pair": {"label": label, "predicted": values},
        "classification": {"label": label, "predicted": values % 2},
        "multilabel": {"label": values % 2, "predicted": rng.integers(0, 2, (n_items, 4))},
        "clustering": random_clusters(rng, n_items, 2, 2),
        "bitext": {"gold": label, "predicted": values[:, 0]},
        "regression": {"gold": label, "predicted": values},
    }[kind]
    return scores_of(kind, metric, **columns)


EVERY_METRIC = [(kind, metric) for kind, entry in weighted.KINDS.items() for metric in entry.metrics or ("ndcg",)]


@pytest.mark.parametrize(("kind", "metric"), EVERY_METRIC)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_a_count_of_w_is_the_same_as_w_items(kind, metric, seed, data):
    rng = np.random.default_rng(seed)
    n_items = 9
    scores = example(kind, metric, rng, n_items)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n_items, max_size=n_items).filter(any))
    if metric == "ap" and kind == "classification":
        scores.columns["label"][:2] = 0, 1
        counts[:2] = [max(1, count) for count in counts[:2]]
    repeated = scores_of(kind, metric, **{k: np.repeat(v, counts, axis=0) for k, v in scores.columns.items()})
    ones = np.ones((1, sum(counts)))
    np.testing.assert_allclose(
        weighted_scores(scores, [counts]), weighted_scores(repeated, ones), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(("kind", "metric"), EVERY_METRIC)
def test_a_resample_does_not_depend_on_those_beside_it(kind, metric, monkeypatch):
    rng = np.random.default_rng(1)
    scores = example(kind, metric, rng, 30)
    counts = random_counts(rng, 30, 20)
    counts[7] = 0  # one without a score in between
    at_once = weighted_scores(scores, counts)
    monkeypatch.setattr(weighted, "PIECE_ELEMENTS", 90)  # three resamples at a time
    # equal up to rounding: a BLAS product rounds a column according to its place
    np.testing.assert_allclose(weighted_scores(scores, counts), at_once, rtol=1e-13)
    assert np.flatnonzero(np.isnan(at_once)).tolist() == [7]


def test_columns_of_one_order_are_scored_once_without_changing_the_best():
    from benchkit.measure.weighted_rank import _distinct_orders

    cosine = np.array([0.1, 0.1, 0.7, 0.4])
    distance = np.array([1.0, 1.0, 8.0, 3.0])
    split_tie = np.array([0.1, 0.2, 0.7, 0.4])
    kept = _distinct_orders(np.column_stack([cosine, distance, split_tie]))
    assert [column.tolist() for column in kept] == [cosine.tolist(), split_tie.tolist()]


# Undefined scores


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_correlation_of_a_constant_column_is_nan(metric):
    # 0.1 three times has a computed variance of 2e-34: without care the correlation would be an arbitrary number
    scores = scores_of("correlation", metric, predicted=[0.1, 0.1, 0.1, 0.3], gold=[1.0, 2.0, 3.0, 5.0])
    result = weighted_scores(scores, [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 4]])
    assert np.isnan(result).tolist() == [True, False, True]


@pytest.mark.parametrize("metric", ["ap", "f1", "precision", "recall"])
def test_pair_without_a_positive_is_nan(metric):
    scores = scores_of("pair", metric, label=[0, 0, 1], predicted=[[0.1], [0.2], [0.3]])
    assert np.isnan(weighted_scores(scores, [[2, 1, 0], [1, 1, 1]])).tolist() == [True, False]


def test_pair_accuracy_without_a_positive_is_a_number():
    scores = scores_of("pair", "accuracy", label=[0, 0, 1], predicted=[[0.1], [0.2], [0.3]])
    assert weighted_scores(scores, [[1, 1, 0]]).tolist() == [0.5]  # one threshold: one of two negatives below


def test_pairs_with_one_score_have_no_threshold_and_get_zero():
    for metric in ("f1", "accuracy", "precision", "recall"):
        scores = scores_of("pair", metric, label=[0, 1], predicted=[[0.5], [0.5]])
        assert weighted_scores(scores, [[1, 1]]).tolist() == [0.0]


def test_classification_ap_without_a_positive_is_nan():
    scores = scores_of("classification", "ap", label=[0, 0, 1], predicted=[[0], [1], [1]])
    assert np.isnan(weighted_scores(scores, [[1, 1, 0], [1, 1, 1]])).tolist() == [True, False]


def test_clustering_is_nan_where_an_experiment_loses_all_its_items():
    scores = scores_of("clustering", "v_measure", label=[[0], [1]], cluster=[[0, -1], [1, 1]], draws=[[1, 0], [1, 1]])
    assert np.isnan(weighted_scores(scores, [[1, 0], [0, 1]])).tolist() == [True, False]


def test_one_class_in_one_cluster_is_perfect_and_one_class_in_two_is_worthless():
    scores = scores_of("clustering", "v_measure", label=[[3], [3]], cluster=[[0], [1]], draws=[[1], [1]])
    assert weighted_scores(scores, [[3, 0], [3, 4]]).tolist() == [1.0, 0.0]


# Refusals


REFUSED = {
    "kind": (scores_of("median", "x", value=[1.0]), "test/en: unknown kind 'median'; known: mean, correlation, pair, "),
    "correlation metric": (
        scores_of("correlation", "kendall", predicted=[1.0], gold=[1.0]),
        "test/en: unknown metric 'kendall' for kind 'correlation'; allowed: spearman, pearson",
    ),
    "clustering metric": (
        scores_of("clustering", "ami", label=[[0]], cluster=[[0]], draws=[[1]]),
        "unknown metric 'ami' for kind 'clustering'; allowed: v_measure",
    ),
    "no items": (scores_of("mean", "x", value=[]), "test/en: no items"),
    "missing column": (scores_of("mean", "x", score=[1.0]), "kind 'mean' needs a column 'value'; found: score"),
    "wrong axes": (
        scores_of("pair", "ap", label=[1, 0], predicted=[0.1, 0.2]),
        r"column 'predicted' should have shape \(2, one or more\), has \(2,\)",
    ),
    "wrong length": (
        scores_of("correlation", "pearson", predicted=[1.0, 2.0], gold=[1.0]),
        r"column 'gold' should have shape \(2,\), has \(1,\)",
    ),
    "nan": (scores_of("mean", "x", value=[1.0, np.nan, np.inf]), "column 'value' has 2 values that are not finite"),
    "labels of pairs": (scores_of("pair", "ap", label=[1, 2], predicted=[[0.1], [0.2]]), "'label' should hold 0 and 1"),
    "multilabel values": (
        scores_of("multilabel", "f1", label=[[1, 0]], predicted=[[1, 3]]),
        "'predicted' should hold 0 and 1 only",
    ),
    "multilabel widths": (
        scores_of("multilabel", "f1", label=[[1, 0]], predicted=[[1, 0, 1]]),
        "numbers of columns don't fit together: 'label' 2, 'predicted' 3",
    ),
    "clustering widths": (
        scores_of("clustering", "v_measure", label=[[0]], cluster=[[0, 0]], draws=[[1]]),
        "numbers of columns don't fit together: 'label' 1, 'cluster' 2, 'draws' 1",
    ),
    "drawn without a label": (
        scores_of("clustering", "v_measure", label=[[0], [-1]], cluster=[[0], [0]], draws=[[1], [1]]),
        "clustering column 0: item 1 was drawn but has no label",
    ),
    "drawn without a cluster": (
        scores_of("clustering", "v_measure", label=[[0], [0]], cluster=[[-1], [0]], draws=[[1], [1]]),
        "clustering column 0: item 0 was drawn but has no cluster",
    ),
    "ap of three labels": (
        scores_of("classification", "ap", label=[0, 1, 2], predicted=[[0], [1], [2]]),
        r"metric 'ap' needs two labels, one of them 1 \(the positive one\); found 0, 1, 2",
    ),
}


@pytest.mark.parametrize(("scores", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_columns_that_do_not_fit_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        weighted_scores(scores, np.ones((1, scores.n_items)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0, 2.0]], r"weights should have shape \(resamples, 3\), have \(1, 2\)"),
        ([1, 1, 1], r"weights should have shape \(resamples, 3\), have \(3,\)"),
        ([[1, -1, 3]], "weights should be whole numbers, 0 or more"),
        ([[1.0, 0.5, 1.5]], "weights should be whole numbers, 0 or more"),
    ],
)
def test_weights_that_are_no_counts_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        weighted_scores(scores_of("mean", "x", value=[1.0, 2.0, 3.0]), weights)


def test_no_resamples_give_no_scores():
    assert weighted_scores(scores_of("mean", "x", value=[1.0]), np.ones((0, 1))).shape == (0,)
