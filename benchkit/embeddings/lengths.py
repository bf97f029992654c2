"""What follows from the number of tokens of a text: where a batch ends, and whether the model reads all of the text.

    lengths, longest first (n,) ── cut_batches ── slices, each a batch
    lengths by key and prompt ──── CutTexts.note ── CutTexts.among(keys) ── bool (n,)
                                                        └─ ReadTexts.add ── texts read and texts cut, each once

Tokenising takes 1 % of the time of encoding, so each text is counted once in the life of a `CutTexts`, and one that is
short enough in bytes not at all.
Cost: 24 bytes for each distinct text that is long enough to be cut, and for each in a `ReadTexts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.index import KeyIndex, Keys, Rows

# What a model puts around a text; most put two.
_SPECIAL_TOKENS = 8


def cut_batches(lengths: Rows, *, max_tokens: int, max_texts: int) -> Iterator[slice]:
    """Cut a list into batches from its front, each as long as it can be.

    What is left when the first batches are taken away is cut into the very batches that are left: where a batch ends is
    decided by what follows its start, and by nothing before it.

    Args:
        lengths: Tokens of each text, >= 0, int64 (n,).
        max_tokens: Tokens of a batch; a longer text is a batch of its own.
        max_texts: Texts of a batch, >= 1.

    >>> list(cut_batches(np.array([9, 5, 4, 3, 3]), max_tokens=9, max_texts=2))
    [slice(0, 1, None), slice(1, 3, None), slice(3, 5, None)]
    """
    ends = np.cumsum(lengths)
    start, before = 0, 0
    while start < len(lengths):
        end = int(np.searchsorted(ends, before + max_tokens, side="right"))
        end = min(max(end, start + 1), start + max_texts)
        yield slice(start, end)
        start, before = end, int(ends[end - 1])


class CutTexts:
    """Remembers of which texts a model reads the beginning only.

    Args:
        limit: Longest input in tokens; None where the model has none.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._counted: dict[str, KeyIndex] = {}
        self._cut: dict[str, KeyIndex] = {}

    def note(self, texts: Sequence[str], keys: Keys, prompt: str, lengths: Rows) -> None:
        """Learn the tokens of n texts with the prompt before them, int64 (n,), before truncation."""
        if self._limit is None:
            return
        long = self._long(texts, prompt)
        self._counted.setdefault(prompt, KeyIndex()).add(keys[long])
        self._cut.setdefault(prompt, KeyIndex()).add(keys[long[lengths[long] > self._limit]])

    def unknown(self, texts: Sequence[str], keys: Keys, prompt: str) -> Rows:
        """Return which of n texts have to be counted before `among` can tell, int64."""
        if self._limit is None:
            return np.empty(0, np.int64)
        long = self._long(texts, prompt)
        counted = self._counted.get(prompt)
        return long if counted is None else long[counted.find(keys[long]) < 0]

    def among(self, keys: Keys, prompt: str) -> NDArray[np.bool_]:
        """Return which of n texts are longer than the model reads, bool (n,)."""
        cut = self._cut.get(prompt)
        return np.zeros(len(keys), bool) if cut is None else cut.find(keys) >= 0

    def _long(self, texts: Sequence[str], prompt: str) -> Rows:
        """Return the texts that have enough bytes for the limit: a token takes at least one."""
        assert self._limit is not None
        room = self._limit - _SPECIAL_TOKENS - _n_bytes(prompt)
        return np.array([row for row, text in enumerate(texts) if _n_bytes(text) > room], np.int64)


class ReadTexts:
    """Counts the distinct texts of several calls, and those of them that were cut in one of the calls."""

    def __init__(self) -> None:
        self._all, self._cut = KeyIndex(), KeyIndex()

    def add(self, keys: Keys, is_cut: NDArray[np.bool_]) -> None:
        self._all.add(keys)
        self._cut.add(keys[is_cut])

    @property
    def n_texts(self) -> int:
        return self._all.n_distinct

    @property
    def n_cut(self) -> int:
        return self._cut.n_distinct


def _n_bytes(text: str) -> int:
    # Python knows without looking whether a text is ASCII.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
