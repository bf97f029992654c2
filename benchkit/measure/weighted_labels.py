"""Scores that follow from labels: classification, multilabel, bitext mining and clustering.

    counts (n, b) ── sums over labels, or over label-cluster cells ──> precision, recall, F1, V-measure ──> score (b,)

Sources: sklearn.metrics.precision_recall_fscore_support with zero_division=0; Rosenberg and Hirschberg, "V-Measure",
EMNLP 2007, with beta = 1.
Cost: O(n * b) time for each experiment; memory for (labels, b) or (cells, b) numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchkit.measure.cells import IN_NO_CELL, Floats, Ints, Scorer, Sums, cell_sums, column_sums, ratio, ratio_or_nan
from benchkit.measure.weighted_rank import average_precision

CLASSIFICATION_METRICS = (
    "accuracy",
    "f1",
    "f1_weighted",
    "precision",
    "precision_weighted",
    "recall",
    "recall_weighted",
    "ap",
)
MULTILABEL_METRICS = ("f1",)
CLUSTERING_METRICS = ("v_measure",)
BITEXT_METRICS = ("f1", "accuracy", "precision", "recall")


@dataclass(frozen=True, slots=True)
class _LabelSums:
    """Rows with each label (labels, b): in truth, as predicted, and both at once."""

    true: Floats
    found: Floats
    hits: Floats

    def each(self, measure: str) -> Floats:
        """Return "precision", "recall" or "f1" of each label (labels, b)."""
        if measure == "precision":
            return ratio(self.hits, self.found)
        if measure == "recall":
            return ratio(self.hits, self.true)
        return ratio(2 * self.hits, self.true + self.found)

    def macro(self, measure: str) -> Floats:
        """Average over the labels that this resample has, in truth or as predicted."""
        present: Floats = ((self.true + self.found) > 0).sum(axis=0).astype(np.float64)
        return ratio_or_nan(self.each(measure).sum(axis=0), present)

    def weighted(self, measure: str) -> Floats:
        """Average over the labels, each as often as it truly occurs."""
        return ratio_or_nan((self.each(measure) * self.true).sum(axis=0), self.true.sum(axis=0))


def _label_score(metric: str) -> Callable[[_LabelSums], Floats]:
    measure, _, average = metric.partition("_")
    return lambda sums: sums.weighted(measure) if average else sums.macro(measure)


def _mean_over(scorers: list[Scorer]) -> Scorer:
    def score(counts: Floats) -> Floats:
        mean: Floats = np.mean([one(counts) for one in scorers], axis=0)
        return mean

    return score


# One label for each item


def classification(label: Ints, predicted: Ints, metric: str) -> Scorer:
    """Return the scorer of a classification: the mean over the experiments, the columns of `predicted` (n, e).

    "f1", "precision" and "recall" are averaged over the labels that the resample has, as scikit-learn does with the
    data it is given; "_weighted" ones over true rows. "ap" treats the predicted label as the score of class 1, as MTEB
    does; it is nan on a resample without class 1.

    Raises:
        ValueError: "ap" of labels that are not two, one of them 1.
    """
    if metric == "ap":
        _check_binary(label)
        return _mean_over([average_precision(label == 1, column.astype(np.float64)) for column in predicted.T])
    if metric == "accuracy":
        return _accuracy(label, predicted)
    codes, n_labels = _shared_codes(label, predicted)
    score = _label_score(metric)
    true_rows = cell_sums(codes[:, 0], n_labels)
    experiments = [_experiment(codes[:, 0], found, n_labels) for found in codes[:, 1:].T]

    def mean(counts: Floats) -> Floats:
        true = true_rows(counts)  # the same in all experiments
        total: Floats = np.mean([score(sums(counts, true)) for sums in experiments], axis=0)
        return total

    return mean


def _accuracy(label: Ints, predicted: Ints) -> Scorer:
    """The mean over rows and experiments at once; the most frequent metric of all, and it needs no sums by label."""
    right = (predicted == label[:, None]).mean(axis=1)

    def score(counts: Floats) -> Floats:
        accuracy: Floats = ratio_or_nan(right @ counts, counts.sum(axis=0))
        return accuracy

    return score


def bitext(gold: Ints, predicted: Ints, metric: str) -> Scorer:
    """Return the scorer of bitext mining: scikit-learn's average over the gold sentences, weighted by their rows."""
    return classification(gold, predicted[:, None], "accuracy" if metric == "accuracy" else f"{metric}_weighted")


def _check_binary(label: Ints) -> None:
    distinct = np.unique(label)
    if len(distinct) != 2 or 1 not in distinct:
        found = ", ".join(map(str, distinct[:5])) + (", ..." if len(distinct) > 5 else "")
        raise ValueError(f"metric 'ap' needs two labels, one of them 1 (the positive one); found {found}")


def _shared_codes(label: Ints, predicted: Ints) -> tuple[Ints, int]:
    """Number the labels from 0 on, the same way in truth and in all experiments (n, 1 + e)."""
    together = np.column_stack([label, predicted])
    distinct, codes = np.unique(together, return_inverse=True)
    return codes.reshape(together.shape).astype(np.int64), len(distinct)


def _experiment(true: Ints, found: Ints, n_labels: int) -> Callable[[Floats, Floats], _LabelSums]:
    found_rows = cell_sums(found, n_labels)
    hits = cell_sums(np.where(true == found, true, IN_NO_CELL), n_labels)
    return lambda counts, true_rows: _LabelSums(true_rows, found_rows(counts), hits(counts))


# Several labels for each item


def multilabel(label: Ints, predicted: Ints) -> Scorer:
    """Return the scorer of macro F1 over labels (n, l), averaged over experiments: predicted is (n, e * l).

    Here a label that the resample lacks counts as 0, as in scikit-learn, for which the columns are given. A single
    column is an ordinary two-class problem to scikit-learn, and so it is here.
    """
    n_labels = label.shape[1]
    if n_labels == 1:
        return classification(label[:, 0], predicted, "f1")
    experiments = np.split(predicted, predicted.shape[1] // n_labels, axis=1)
    return _mean_over([_macro_f1(label, experiment) for experiment in experiments])


def _macro_f1(true: Ints, found: Ints) -> Scorer:
    twice_hits, true_and_found = column_sums(2 * true * found), column_sums(true + found)

    def score(counts: Floats) -> Floats:
        f1: Floats = ratio(twice_hits(counts), true_and_found(counts)).mean(axis=0)
        return f1

    return score


# Clusters


def clustering(label: Ints, cluster: Ints, draws: Ints) -> Scorer:
    """Return the scorer of V-measure, averaged over levels and experiments.

    Args:
        label: Label of each item on each level (n, levels); -1 where the item has none.
        cluster: Found cluster (n, levels * e), column level * e + experiment.
        draws: How often the experiment drew the item (n, levels * e), so that an item with count w is there
            w * draws times.

    The clusters stay as they were found: what a resample shows is how the score depends on the items that were scored,
    not how k-means would have run on other ones. nan where a resample leaves an experiment without items.

    Raises:
        ValueError: an item was drawn on a level on which it has no label, or has no cluster.
    """
    per_level = cluster.shape[1] // label.shape[1]
    return _mean_over(
        [
            _one_clustering(label[:, column // per_level], cluster[:, column], draws[:, column], column)
            for column in range(cluster.shape[1])
        ]
    )


def _one_clustering(label: Ints, cluster: Ints, draws: Ints, column: int) -> Scorer:
    drawn = draws > 0
    for name, values in (("label", label), ("cluster", cluster)):
        if (lost := np.flatnonzero(drawn & (values == -1))).size:
            raise ValueError(f"clustering column {column}: item {lost[0]} was drawn but has no {name}")
    pairs, cell_of_drawn = np.unique(np.stack([label[drawn], cluster[drawn]]), axis=1, return_inverse=True)
    cell_of_item = np.full(len(label), IN_NO_CELL)
    cell_of_item[drawn] = cell_of_drawn
    joint = cell_sums(cell_of_item, pairs.shape[1], amounts=draws.astype(np.float64))
    classes, clusters = (_margin(pairs[axis]) for axis in (0, 1))

    def score(counts: Floats) -> Floats:
        cells = joint(counts)
        return _v_measure(cells, classes(cells), clusters(cells))

    return score


def _margin(of_cell: Ints) -> Sums:
    distinct, codes = np.unique(of_cell, return_inverse=True)
    return cell_sums(codes, len(distinct))


def _v_measure(joint: Floats, classes: Floats, clusters: Floats) -> Floats:
    """Return 2 * I(class; cluster) / (H(class) + H(cluster)), which is V-measure at beta = 1 (cells, b) -> (b,)."""
    total = classes.sum(axis=0)
    class_entropy, cluster_entropy, joint_entropy = _entropies([classes, clusters, joint], total)
    information = class_entropy + cluster_entropy - joint_entropy
    value = ratio(2 * np.maximum(information, 0.0), class_entropy + cluster_entropy)
    value[(class_entropy == 0) & (cluster_entropy == 0)] = 1.0  # one class, one cluster: nothing to get wrong
    return np.where(total > 0, value, np.nan)


def _entropies(partitions: list[Floats], total: Floats) -> list[Floats]:
    """Return the entropy in nats of each column of whole numbers; exactly 0 where one row has them all."""
    rows = np.maximum(total, 1.0)
    log_rows = np.log(rows)
    entropies = []
    for sums in partitions:
        n_log_n = (sums * np.log(np.maximum(sums, 1.0))).sum(axis=0)  # log(max(n, 1)): 0 log 0 = 0, and 1 log 1 = 0
        one_has_all = sums.max(axis=0, initial=0.0) == total
        entropies.append(np.where(one_has_all, 0.0, np.maximum(log_rows - n_log_n / rows, 0.0)))
    return entropies
