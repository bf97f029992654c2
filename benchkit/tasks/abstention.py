"""MTEB's abstention scores, left out where nobody reads them.

After every retrieval MTEB 2.26 computes the area under the abstention curve of each of its metrics by three confidences
(Gisserot-Boukhlef et al. 2024, arXiv:2402.12997): over a hundred numbers, a quarter of the time that scoring takes, and
none of them is part of another score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_NAME = "nauc"


@contextmanager
def without_abstention(main_metric: str) -> Iterator[None]:
    """Compute no abstention scores inside, unless the main metric is one."""
    from mteb._evaluators import retrieval_metrics

    plain = getattr(retrieval_metrics, "evaluate_abstention", None)
    if plain is None or _NAME in main_metric.lower():
        yield
        return
    retrieval_metrics.evaluate_abstention = lambda *_: {}
    try:
        yield
    finally:
        retrieval_metrics.evaluate_abstention = plain
