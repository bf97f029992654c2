"""Items of scores that are means, and their draws, for the tests of benchkit.measure."""

from __future__ import annotations

import numpy as np

from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.types.result import ItemScores


def mean_items(values: object, *, subset: str = "default", strata: np.ndarray | None = None) -> ItemScores:
    array = np.asarray(values, dtype=np.float64)
    names = np.array([f"item {i}" for i in range(len(array))])
    return ItemScores("test", subset, "mean", "accuracy", names, {"value": array}, strata)


def draw_mean(values: object, **options: object) -> Draws:
    settings = {"stream": "task", "estimate": float(np.mean(values)), "n_resamples": 1000, "seed": 1} | options  # type: ignore[arg-type]
    return draw_scores([mean_items(values)], **settings)  # type: ignore[arg-type]
