"""Kendall's rank correlation of predicted numbers with the true ones, on resamples.

    counts (n, b) ── for each bit of the gold rank: pairs that this bit tells apart ── concordant - discordant ─┐
                  └─ sizes of groups of ties ── pairs that aren't tied ────────────────────────────────────────┴─> tau-b

Two different ranks differ first at exactly one bit (from the top), so each pair of items is met at one level only,
among the items that agree in all higher bits. There the items with bit 1 sum up those with bit 0 that lie below and
above them in the prediction, from running sums in its order: O(log k) passes for k distinct gold values, and no pairs.

An item with count w stands for w equal rows, which tie with each other in both columns.

Source: Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945), tau-b, as scipy.stats.kendalltau.
Cost: O(n * b * log k) time for each distinct column of predictions; a few arrays of n * b numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchkit.measure.cells import Floats, Ints, Scorer, ratio_or_nan

# The other numbers that MTEB computes for regression are errors, of which less is better, or are main metrics nowhere.
REGRESSION_METRICS = ("kendalltau",)


def regression(gold: Floats, predicted: Floats) -> Scorer:
    """Return the scorer of tau-b, the mean over the columns of `predicted` (n, e).

    nan on a resample in which the gold values, or those of a column, are all the same.
    """
    # MTEB repeats an experiment on the same rows where there are few to train on.
    columns, repeats = np.unique(predicted, axis=1, return_counts=True)
    gold_rank = _ranks(gold)
    gold_pairs = _untied(gold_rank)
    prepared = [(_concordance(rank, gold_rank), _untied(rank)) for rank in map(_ranks, columns.T)]

    def score(counts: Floats) -> Floats:
        weights = np.ascontiguousarray(counts.T)  # running sums along the rows of memory
        root = np.sqrt(gold_pairs(weights))
        taus = np.stack([ratio_or_nan(tell(weights), root * np.sqrt(pairs(weights))) for tell, pairs in prepared])
        mean: Floats = repeats @ np.clip(taus, -1.0, 1.0) / repeats.sum()
        return mean

    return score


def _ranks(values: Floats) -> Ints:
    ranks: Ints = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return ranks


def _untied(rank: Ints) -> Scorer:
    """Return the function from weights (b, n) to the number of pairs of rows with different values (b,)."""
    order = np.argsort(rank, kind="stable")
    starts = np.unique(rank[order], return_index=True)[1]

    def pairs(weights: Floats) -> Floats:
        in_group = weights
        if len(starts) < len(rank):
            in_group = np.add.reduceat(weights.take(order, axis=1), starts, axis=1)
        return np.asarray((weights.sum(axis=1) ** 2 - _dot(in_group, in_group)) / 2)

    return pairs


def _concordance(x_rank: Ints, y_rank: Ints) -> Scorer:
    """Return the function from weights (b, n) to concordant less discordant pairs of rows (b,)."""
    levels = [_level(x_rank, y_rank, bit) for bit in range(int(y_rank.max()).bit_length())]

    def difference(weights: Floats) -> Floats:
        return np.asarray(sum((level.difference(weights) for level in levels), start=np.zeros(len(weights))))

    return difference


def _dot(left: Floats, right: Floats) -> Floats:
    product: Floats = np.einsum("bi,bi->b", left, right)
    return product


@dataclass(frozen=True, slots=True)
class _Level:
    """The pairs of items whose gold ranks differ first at one bit; a node holds items that agree in all higher ones.

    Attributes:
        zeros: Items with bit 0, by node and prediction.
        ones: Items with bit 1, in the same order.
        below, up_to: For each of `ones`, how many of `zeros` come before those that tie with it, and how many come with
            them; up_to is None where nothing ties, so that the two are the same.
        starts: Where each node begins among `ones`.
        first, last: For each of these nodes, where it begins and ends among `zeros`.
    """

    zeros: Ints
    ones: Ints
    below: Ints
    up_to: Ints | None
    starts: Ints
    first: Ints
    last: Ints

    def difference(self, weights: Floats) -> Floats:
        """Return concordant less discordant pairs (b,) of weights (b, n)."""
        running = np.zeros((len(weights), len(self.zeros) + 1))
        np.cumsum(weights.take(self.zeros, axis=1), axis=1, out=running[:, 1:])
        ones = weights.take(self.ones, axis=1)
        of_node = np.add.reduceat(ones, self.starts, axis=1)
        # Below less above: (running[below] - running[first]) - (running[last] - running[up_to]).
        whole = _dot(of_node, running.take(self.first, axis=1)) + _dot(of_node, running.take(self.last, axis=1))
        each = _dot(ones, running.take(self.below, axis=1))
        if self.up_to is None:
            return 2 * each - whole
        return each + _dot(ones, running.take(self.up_to, axis=1)) - whole


def _level(x_rank: Ints, y_rank: Ints, bit: int) -> _Level:
    n_x = int(x_rank.max()) + 1
    node = y_rank >> (bit + 1)
    order = np.argsort(node * n_x + x_rank, kind="stable")
    is_one = (y_rank[order] >> bit & 1).astype(bool)
    zeros, ones = order[~is_one], order[is_one]
    keys = node[zeros] * n_x + x_rank[zeros]
    nodes, starts = np.unique(node[ones], return_index=True)
    below, up_to = (np.searchsorted(keys, node[ones] * n_x + x_rank[ones], side=side) for side in ("left", "right"))
    return _Level(
        zeros=zeros,
        ones=ones,
        below=below,
        up_to=None if np.array_equal(below, up_to) else up_to,
        starts=starts,
        first=np.searchsorted(keys, nodes * n_x, side="left"),
        last=np.searchsorted(keys, (nodes + 1) * n_x, side="left"),
    )
