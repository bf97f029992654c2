"""Which model is measured twice."""

from __future__ import annotations

import pytest
from cost_fakes import endpoint, lexical, local

from benchkit.cost.design import MeasuredModel, choose_reference


@pytest.mark.parametrize(
    ("models", "baseline", "expected"),
    [
        ([local("big", 90), local("small", 5), lexical("bm25")], None, "small"),
        ([local("big", 90), local("small", 5)], "big", "big"),
        ([lexical("bm25"), endpoint("e")], None, "bm25"),
        ([lexical("tfidf"), lexical("bm25")], "bm25", "bm25"),
        ([local("a"), endpoint("e")], "e", "a"),
        ([local("a"), lexical("bm25")], "bm25", "a"),
        ([endpoint("e")], "e", None),
    ],
    ids=[
        "smallest",
        "baseline",
        "lexical only",
        "lexical baseline",
        "baseline is remote",
        "baseline is lexical",
        "nothing local",
    ],
)
def test_the_reference_is_the_baseline_or_the_smallest_local_model(
    models: list[MeasuredModel], baseline: str | None, expected: str | None
) -> None:
    assert choose_reference(models, baseline) == expected
