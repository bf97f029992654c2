"""What is found is what MTEB's own search finds: the same documents with the same scores."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from fakes import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchkit.errors import CellFailed
from benchkit.tasks.mteb_encoder import MtebEncoder
from benchkit.tasks.search import Best, search_over
from benchkit.tasks.variant import VariantView
from benchkit.types.model import Variant

WORDS = ("how", "do", "I", "get", "my", "money", "back", "where", "is", "invoice", "open", "late")


def best_of(scores: Any, ids: list[str], most: int, *, cuts: tuple[int, ...] = ()) -> list[list[tuple[float, str]]]:
    best = Best(ids, most)
    for start, stop in zip((0, *cuts), (*cuts, len(ids)), strict=True):
        best.add(scores[:, start:stop], start)
    return [sorted(row, reverse=True) for row in best.pairs(len(scores))]


def test_two_queries_by_hand() -> None:
    scores = np.array([[0.5, -0.25, 0.75], [-1.0, 0.0, -2.0]], dtype=np.float32)
    assert best_of(scores, ["a", "b", "c"], 2) == [[(0.75, "c"), (0.5, "a")], [(0.0, "b"), (-1.0, "a")]]


def test_of_equal_scores_the_larger_id_is_kept() -> None:
    scores = np.array([[1.0, 1.0, 1.0]], dtype=np.float32)
    assert best_of(scores, ["b", "c", "a"], 2, cuts=(1, 2)) == [[(1.0, "c"), (1.0, "b")]]


def test_minus_zero_is_zero() -> None:
    scores = np.array([[-0.0, 0.0, -0.0]], dtype=np.float32)
    assert best_of(scores, ["c", "a", "b"], 2, cuts=(1, 2)) == [[(0.0, "c"), (0.0, "b")]]


@given(
    scores=arrays(
        np.float32, (3, 9), elements=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
    ),
    most=st.integers(1, 9),
    cuts=st.lists(st.integers(1, 8), unique=True).map(lambda places: tuple(sorted(places))),
    ids=st.permutations([f"d{n}" for n in range(9)]),
)
def test_a_heap_of_pairs_keeps_the_same(scores: Any, most: int, cuts: tuple[int, ...], ids: list[str]) -> None:
    for row, found in zip(scores.tolist(), best_of(scores, ids, most, cuts=cuts), strict=True):
        expected = heapq.nlargest(most, zip(row, ids, strict=True))
        assert [score for score, _ in found] == [score for score, _ in expected]
        if len(set(row)) == len(row):
            assert found == expected


def test_a_score_that_is_no_number_fails_the_cell() -> None:
    with pytest.raises(CellFailed, match="not a number"):
        Best(["a", "b"], 1).add(np.array([[0.5, np.nan]], dtype=np.float32), 0)


def texts(n: int, *, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, size=4)) for _ in range(n)]


@pytest.mark.parametrize("top_k", [3, 7, 100])
@pytest.mark.parametrize("part", [4, 50])
@pytest.mark.parametrize(
    "variant", [Variant(), Variant(truncate_dim=16, precision="binary"), Variant(precision="int8")]
)
def test_mteb_finds_the_same(variant: Variant, part: int, top_k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import mteb
    from mteb.models import search_wrappers

    # Ids whose order isn't that of the rows; many texts are alike, so that scores are tied.
    corpus = Dataset.from_dict({"id": [f"d{n * 7 % 23}" for n in range(23)], "text": texts(23, seed=1)})
    queries = Dataset.from_dict({"id": [f"q{n}" for n in range(9)], "text": texts(9, seed=2)})
    task = mteb.get_task("XQuADRetrieval")
    where = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "en", "encode_kwargs": {}}

    def found(model: Any) -> Any:
        model.corpus_chunk_size = part
        model.index(corpus, **where)
        return model.search(queries, top_k=top_k, **where)

    def adapter() -> MtebEncoder:
        encoder = HashingEncoder()
        own = MtebEncoder(encoder, VariantView(variant, encoder.meta))
        own.calibrate(corpus["text"][:], task_metadata=task.metadata, subset="en")
        return own

    expected = found(search_wrappers.SearchEncoderWrapper(adapter()))
    monkeypatch.setattr(search_wrappers, "chunked_full_corpus_search", None)  # the slow way isn't gone
    assert found(search_over(adapter())) == expected
