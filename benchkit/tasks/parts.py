"""Where the rows of a loaded MTEB task are: by subset and split, or by split alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def parts_of(task: Any, subset: str) -> Any:
    """Return the splits of a subset; a task without subsets, or with parallel ones, has the splits at the top."""
    return task.dataset.get(subset, task.dataset)


def iter_parts(task: Any, *, with_training: bool = False) -> Iterator[tuple[str, str, Any]]:
    """Yield (split, subset, data) of a loaded task, as MTEB's own `evaluate` walks them."""
    splits = list(task.eval_splits)
    train = getattr(task, "train_split", None)
    if with_training and train is not None and train not in splits:
        splits.append(train)
    for subset in task.hf_subsets:
        parts = parts_of(task, subset)
        for split in splits:
            if split in parts:
                yield split, subset, parts[split]
