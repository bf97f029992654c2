"""The scores of some of the items, from which the score on them alone follows by the metric itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.weighted import scorer
from benchkit.types.result import ItemScores

Mask = NDArray[np.bool_]


def restrict(items: ItemScores, mask: Mask) -> ItemScores:
    """Return the scores of some of the items, of whatever kind.

    Raises:
        ValueError: not one truth value for each item.

    >>> whole = ItemScores("test", "en", "mean", "hit", np.array(["a", "b"]), {"value": np.array([0.0, 1.0])})
    >>> restrict(whole, np.array([False, True])).columns["value"].tolist()
    [1.0]
    """
    if mask.shape != (items.n_items,) or mask.dtype != np.bool_:
        raise ValueError(f"the mask should hold {items.n_items} truth values, has {mask.dtype} {mask.shape}")
    return ItemScores(
        split=items.split,
        subset=items.subset,
        kind=items.kind,
        metric=items.metric,
        items=items.items[mask],
        columns={name: column[mask] for name, column in items.columns.items()},
        strata=None if items.strata is None else items.strata[mask],
    )


def score_of(items: ItemScores) -> float:
    """Return the score on all of the items, nan where it is not defined."""
    return float(scorer(items)(np.ones((1, items.n_items), np.uint8))[0])
