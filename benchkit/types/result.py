"""Results: what one model got on one task, item by item.

ItemScores  one split and subset: what its score is made of, item by item, so that it can be recomputed on any
            resample of the items
CellResult  one model on one task
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# How a score follows from its items; `measure.resample` has one function for each.
#
#   kind                columns (first axis: items)                        score on weights w (a resample's counts)
#   "mean"              value (n,); where some items have no value also    sum(w * value) / sum(w), over those counted
#                       counted (n,) 0/1
#   "correlation"       predicted (n,), gold (n,)                          metric "spearman" | "pearson"
#   "pair"              label (n,) 0/1, predicted (n, s) higher = alike    best over the s columns of "ap" | "f1" |
#                                                                          "accuracy" | "precision" | "recall"
#   "classification"    label (n,) int, predicted (n, e) int               mean over e experiments of "f1" (macro) |
#                                                                          "f1_weighted" | "accuracy" | "ap" ...
#   "multilabel"        label (n, l) 0/1, predicted (n, e * l) 0/1         mean over e of macro "f1"
#   "clustering"        label (n, levels) int, -1 = absent;                mean over levels x experiments of "v_measure"
#                       cluster (n, levels * e) int, -1 = not drawn;
#                       draws (n, levels * e) int: how often drawn
#   "bitext"            gold (n,) int, predicted (n,) int                  "f1" | "accuracy" | "precision" | "recall"
#                                                                          (scikit-learn's weighted average over labels)
#   "regression"        gold (n,), predicted (n, e)                        mean over e experiments of "kendalltau" (b)
ItemKind = Literal["mean", "correlation", "pair", "classification", "multilabel", "clustering", "bitext", "regression"]
CellStatus = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class ItemScores:
    """What the score of one split and subset is made of.

    Attributes:
        split: Name of the split ("test").
        subset: Name of the subset ("default", "en").
        kind: How the score follows from the columns (see the table above).
        metric: The metric's name within its kind.
        items: Names of the items, unique (n,); the same for every model, or a paired comparison is refused.
        columns: Arrays whose first axis is the item.
        strata: Optional stratum of each item (n,) int; items are resampled within their stratum.
    """

    split: str
    subset: str
    kind: ItemKind
    metric: str
    items: NDArray[np.str_]
    columns: Mapping[str, NDArray[np.generic]]
    strata: NDArray[np.int64] | None = None

    @property
    def n_items(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class WorstItem:
    """An item on which a model did badly, with what a person needs in order to see why."""

    item: str
    value: float
    text: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class CellResult:
    """One model on one task.

    Attributes:
        main_score: MTEB's main score of the task on its own scale (0 to 1, or -1 to 1 for correlations): the mean over
            splits and subsets; None unless status is "ok".
        scores: The main score of each split and subset, keyed "split/subset".
        items: One entry per split and subset; empty where a task type keeps no per-item scores.
        data_digest: Hash of the rows that were scored.
        limited: Says what was cut where a suite limits documents or items; "" otherwise.
        texts: Texts that were handed to the model by the task.
        texts_encoded: Distinct texts that really had to be encoded (the rest came from the cache).
        engine: What computed the vectors.
    """

    model: str
    task: str
    type: str
    status: CellStatus
    main_metric: str | None = None
    main_score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    items: tuple[ItemScores, ...] = ()
    n_items: int | None = None
    data_digest: str | None = None
    dataset_revision: str | None = None
    reason: str = ""
    limited: str = ""
    warnings: tuple[str, ...] = ()
    worst: tuple[WorstItem, ...] = ()
    seconds: float | None = None
    encode_seconds: float | None = None
    texts: int | None = None
    texts_encoded: int | None = None
    engine: str | None = None
