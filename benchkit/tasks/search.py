"""MTEB's search of a whole corpus, with the best documents of all queries chosen at once.

    queries, corpus ── MtebEncoder ── similarity, a part of the corpus at a time ── Best ──> (score, id) pairs

MTEB 2.26 pushes every score of every query on a heap, one by one: for 1,190 queries that takes longer than their
products with 240 documents. What is chosen is the same, ties included: of equal scores the larger id comes first, as it
does in a heap of (score, id) and in trec_eval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import CellFailed
from benchkit.tasks.columns import ColumnsInMemory

if TYPE_CHECKING:
    from benchkit.tasks.mteb_encoder import MtebEncoder

_MAGNITUDE = np.int32(0x7FFFFFFF)


def search_over(encoder: MtebEncoder) -> Any:
    """Return MTEB's own search over an encoder; it reads the queries at once and chooses with `Best`."""
    from mteb.models.search_wrappers import SearchEncoderWrapper

    class Search(SearchEncoderWrapper):  # type: ignore[misc]
        def search(self, queries: Any, **options: Any) -> Any:
            return super().search(ColumnsInMemory.of(queries), **options)

        def _full_corpus_search(
            self, *, query_idx_to_id: dict[int, str], query_embeddings: Any, top_k: int, timer: Any, **where: Any
        ) -> dict[str, list[tuple[float, str]]]:
            best = Best(list(self.task_corpus["id"][:]), top_k)
            for start in range(0, len(self.task_corpus), self.corpus_chunk_size):
                part = self.task_corpus.select(range(start, min(start + self.corpus_chunk_size, len(self.task_corpus))))
                best.add(self.model.similarity(query_embeddings, _encoded(encoder, part, **where)), start)
            return dict(zip(query_idx_to_id.values(), best.pairs(len(query_idx_to_id)), strict=True))

    return Search(encoder)


def _encoded(encoder: MtebEncoder, documents: Any, *, task_metadata: Any, encode_kwargs: Any, **where: Any) -> Any:
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    role = PromptType.document
    loader = create_dataloader(documents, task_metadata=task_metadata, prompt_type=role, **encode_kwargs)
    return encoder.encode(loader, task_metadata=task_metadata, prompt_type=role, **where)


class Best:
    """The documents with the largest scores for each query, over the parts of a corpus.

    A score and the place of its document's id among all ids, sorted, make one integer of 64 bits: their order is that
    of pairs (score, id), and numpy takes the largest without a loop.
    """

    def __init__(self, ids: Sequence[str], most: int) -> None:
        self._ids = ids
        self._most = most
        self._sorted = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
        self._rank = np.empty(len(ids), dtype=np.int64)
        self._rank[self._sorted] = np.arange(len(ids))
        self._keys: NDArray[np.int64] | None = None

    def add(self, scores: Any, start: int) -> None:
        """Take the scores (queries, documents) of the documents from `start` on, float32, an array or a tensor.

        Raises:
            CellFailed: a score is not a number.
        """
        import torch

        scores = torch.as_tensor(scores)
        # One more than is kept, as MTEB does: which of equal scores at the end are seen is torch's choice.
        values, places = torch.topk(scores, min(self._most + 1, scores.shape[1]), dim=1)
        found = np.asarray(values.cpu().numpy(), dtype=np.float32)
        if np.isnan(found).any():
            raise CellFailed(
                "the similarity of a query and a document is not a number (NaN): the model gave such vectors"
            )
        keys = (_in_order(found) << 32) | self._rank[places.cpu().numpy() + start]
        self._keys = self._largest(keys if self._keys is None else np.concatenate([self._keys, keys], axis=1))

    def _largest(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        if keys.shape[1] <= self._most:
            return keys
        return np.partition(keys, -self._most, axis=1)[:, -self._most :]

    def pairs(self, n_queries: int) -> list[list[tuple[float, str]]]:
        """Return (score, id) of the best documents for each query, in no order."""
        if self._keys is None:
            return [[] for _ in range(n_queries)]
        scores = _scores_of(self._keys >> 32).tolist()
        documents = self._sorted[self._keys & 0xFFFFFFFF].tolist()
        return [
            [(score, self._ids[place]) for score, place in zip(*row, strict=True)]
            for row in zip(scores, documents, strict=True)
        ]


def _in_order(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return integers in the order of the scores: IEEE 754 without its sign has the order of its bits."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0, which it equals
    return np.where(bits < 0, bits ^ _MAGNITUDE, bits).astype(np.int64)


def _scores_of(ordered: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = ordered.astype(np.int32)
    return np.where(bits < 0, bits ^ _MAGNITUDE, bits).view(np.float32)
