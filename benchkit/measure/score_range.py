"""The lowest and the highest value that a metric can have, to which intervals are cut."""

from __future__ import annotations

_SIGNED = ("spearman", "pearson", "kendalltau", "p-MRR")


def score_range(metric: str | None) -> tuple[float, float]:
    """Return the ends of a metric's range, as scores are kept.

    >>> score_range("cosine_spearman"), score_range("ndcg_at_10")
    ((-1.0, 1.0), (0.0, 1.0))
    """
    return (-1.0, 1.0) if (metric or "").endswith(_SIGNED) else (0.0, 1.0)
