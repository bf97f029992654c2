"""Which items are in a resample, and how often: the counts that all scores of a bootstrap are computed with.

    number of items, strata ── resample_counts ──> counts (resamples, items), a chunk at a time
                                     └── KeptCounts ──> the same again for the next model

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 6, and ch. 8 for strata.
Cost: O(resamples * items); memory for one chunk, and a byte for each count that is kept for later models.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.cells import Ints
from benchkit.types.result import ItemScores

CHUNK_ELEMENTS = 2**17  # items * resamples at a time: 1 MiB of counts, which stays in a core's own cache


def resample_counts(
    n_items: int,
    n_resamples: int,
    rng: np.random.Generator,
    *,
    strata: Ints | None = None,
    chunk: int | None = None,
) -> Iterator[Ints]:
    """Yield how often each item is in each resample, in chunks (<= chunk, n_items).

    Items are drawn with replacement, from their own stratum where `strata` (n_items,) names one, so that each stratum
    keeps its size. The resamples don't depend on the size of the chunks.

    Raises:
        ValueError: no items, or strata of another length.
    """
    if n_items < 1 or (strata is not None and len(strata) != n_items):
        named = "none" if strata is None else str(len(strata))
        raise ValueError(f"resampling needs items, and a stratum for each if for any: {n_items} items, {named} strata")
    members = [np.arange(n_items)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    return _chunks(members, n_resamples, rng.spawn(len(members)), chunk or max(1, CHUNK_ELEMENTS // n_items))


def _chunks(
    members: list[NDArray[np.intp]], n_resamples: int, streams: Sequence[np.random.Generator], chunk: int
) -> Iterator[Ints]:
    n_items = sum(map(len, members))
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        if len(members) == 1:
            yield _multinomial(n_items, size, streams[0])
            continue
        counts = np.empty((size, n_items), dtype=np.int64)
        # A stream for each stratum: one stream for all would make the resamples depend on where a chunk ends.
        for items, stream in zip(members, streams, strict=True):
            counts[:, items] = _multinomial(len(items), size, stream)
        yield counts


def _multinomial(n_items: int, n_resamples: int, rng: np.random.Generator) -> Ints:
    """Count n_items draws with replacement; rng.multinomial, with a binomial number for each item, is slower."""
    drawn = rng.integers(n_items, size=(n_resamples, n_items))
    drawn += n_items * np.arange(n_resamples)[:, None]  # a range of its own for each resample: one count for all
    return np.bincount(drawn.ravel(), minlength=n_resamples * n_items).reshape(n_resamples, n_items)


@dataclass(slots=True)
class KeptCounts:
    """Chunks of counts that were drawn before; the ones that were not used for longest go first when room runs out.

    Attributes:
        room: Bytes for all of them.
    """

    room: int
    _chunks: OrderedDict[tuple[object, ...], tuple[NDArray[np.uint8], ...]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def counts(self, entry: ItemScores, n_resamples: int, seed_words: Sequence[int]) -> Iterator[NDArray[np.integer]]:
        """Yield what `resample_counts` yields for a generator of these seed words, of whatever integer type."""
        strata = None if entry.strata is None else entry.strata.tobytes()
        key = (entry.n_items, strata, n_resamples, *seed_words)
        if known := self._known(key):
            yield from known
            return
        rng = np.random.default_rng(np.random.SeedSequence(seed_words))
        fits = entry.n_items * n_resamples <= self.room
        drawn: list[NDArray[np.uint8]] = []
        for counts in resample_counts(entry.n_items, n_resamples, rng, strata=entry.strata):
            yield counts
            fits = fits and counts.max() <= np.iinfo(np.uint8).max
            if fits:
                drawn.append(counts.astype(np.uint8))
        if fits:
            self._keep(key, tuple(drawn))

    def _known(self, key: tuple[object, ...]) -> tuple[NDArray[np.uint8], ...] | None:
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
            return self._chunks.get(key)

    def _keep(self, key: tuple[object, ...], chunks: tuple[NDArray[np.uint8], ...]) -> None:
        with self._lock:
            self._chunks[key] = chunks
            while self.n_bytes > self.room:
                self._chunks.popitem(last=False)

    @property
    def n_bytes(self) -> int:
        return sum(chunk.nbytes for chunks in self._chunks.values() for chunk in chunks)
