"""Texts to tokens: how many a text has, and the ids that go through the model.

    texts ─┬─ count ── tokens before truncation, special ones included ──┐
           └─ ids ──── what the model reads, after truncation <──────────┘ kept from `count`, so tokenised once

Truncation is repeated here on ids that are tokenised in full: the front of the text and then the special tokens that
stand behind it. `repeats_tokenizer` holds that against the model's own tokenizer on odd texts; where it differs, only
the model's own tokenizer is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int32]

_COUNTED_AT_ONCE = 4096  # texts whose tokens are in memory at a time
_KEPT_BYTES = 64 * 2**20
_ENTRY_BYTES = 256  # of Python's objects around the ids of one text


class TokenCounter:
    """A tokenizer without truncation and padding, apart from the model's own."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        self._slow = tokenizer
        self._fast: Tokenizer | None = None
        # A static model holds a bare tokenizer and adds no special tokens.
        self._adds_special = not isinstance(tokenizer, Tokenizer)
        backend = tokenizer if isinstance(tokenizer, Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            self._fast = _without_limits(Tokenizer.from_str(backend.to_str()))

    def count(self, texts: list[str]) -> NDArray[np.int64] | None:
        """Return the tokens of each text before truncation, with the special ones; None without a tokenizer."""
        if self._slow is None:
            return None
        return np.fromiter(self._lengths(texts), np.int64, len(texts))

    def _lengths(self, texts: list[str]) -> Iterator[int]:
        for part in _parts(texts):
            if self._fast is not None:
                encodings = self._fast.encode_batch_fast(part, add_special_tokens=self._adds_special)
                yield from (len(encoding.ids) for encoding in encodings)
            else:
                yield from (len(ids) for ids in self._slow(part, truncation=False, verbose=False)["input_ids"])


class TokenIds:
    """The ids of texts as a tokenizer of transformers makes them, each text tokenised once.

    What `count` tokenised is kept until `ids` asks for it: at most `kept_bytes`, the oldest goes first.

    Args:
        tokenizer: Of transformers, with a fast tokenizer behind it; truncates on the right.
        limit: Longest input in tokens; None for none.

    Raises:
        ValueError: the special tokens don't stand before and behind a text, or the limit has no room for more.
    """

    def __init__(self, tokenizer: Any, limit: int | None, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self._fast: Tokenizer = _without_limits(tokenizer.backend_tokenizer)
        self._limit = limit
        before, self._behind = _special_tokens(self._fast)
        if limit is not None and limit <= before + self._behind:
            raise ValueError(f"the longest input, {limit} tokens, has room for special tokens only")
        self._kept: dict[str, Ids] = {}
        self._free_bytes = kept_bytes

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the tokens of each text before truncation, with the special ones, int64 (n,)."""
        lengths = np.empty(len(texts), np.int64)
        for row, (text, (length, ids)) in enumerate(zip(texts, self._tokenised(texts), strict=True)):
            lengths[row] = length
            self._keep(text, ids)
        return lengths

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids that the model reads of each text, int32 (tokens,)."""
        found = [self._take(text) for text in texts]
        missing = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        made = (ids for _, ids in self._tokenised(missing))
        return [next(made) if ids is None else ids for ids in found]

    def _tokenised(self, texts: Sequence[str]) -> Iterator[tuple[int, Ids]]:
        # Somebody may have used the tokenizer with limits of its own.
        fast = _without_limits(self._fast)
        for part in _parts(texts):
            for encoding in fast.encode_batch_fast(part):
                ids = encoding.ids
                yield len(ids), np.array(self._truncated(ids), np.int32)

    def _truncated(self, ids: list[int]) -> list[int]:
        if self._limit is None or len(ids) <= self._limit:
            return ids
        return ids[: self._limit - self._behind] + ids[len(ids) - self._behind :]

    def _keep(self, text: str, ids: Ids) -> None:
        if text in self._kept:
            return
        self._kept[text] = ids
        self._free_bytes -= _size(text, ids)
        while self._free_bytes < 0:
            self._take(next(iter(self._kept)))

    def _take(self, text: str) -> Ids | None:
        ids = self._kept.pop(text, None)
        if ids is not None:
            self._free_bytes += _size(text, ids)
        return ids


def repeats_tokenizer(tokens: TokenIds, expected: Sequence[Sequence[int]], texts: Sequence[str]) -> bool:
    """Tell whether the ids are the expected ones, those of the model's own tokenizer."""
    return [ids.tolist() for ids in tokens.ids(texts)] == [list(ids) for ids in expected]


def _special_tokens(fast: Tokenizer) -> tuple[int, int]:
    """Return how many special tokens stand before and behind a text."""
    text = "a text"
    plain, framed = fast.encode(text, add_special_tokens=False).ids, fast.encode(text).ids
    added = len(framed) - len(plain)
    for before in range(added + 1):
        if framed[before : before + len(plain)] == plain:
            return before, added - before
    raise ValueError("its special tokens stand within the text")


def _without_limits(fast: Tokenizer) -> Tokenizer:
    fast.no_truncation()
    fast.no_padding()
    return fast


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _COUNTED_AT_ONCE):
        yield list(texts[start : start + _COUNTED_AT_ONCE])


def _size(text: str, ids: Ids) -> int:
    return ids.nbytes + len(text) + _ENTRY_BYTES
