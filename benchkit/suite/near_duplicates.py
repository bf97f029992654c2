"""Texts that are nearly the same: Jaccard similarity of their character 5-grams of 0.9 and more.

    texts ──> sets of 5-gram hashes ──rare 5-grams of each──> candidate pairs ──exact Jaccard──> NearPairs

Two sets with Jaccard >= t share at least one of the n - ceil(t n) + 1 rarest elements of each, so comparing the texts
that meet there misses none. Unlike MinHash this needs no luck and gives the same pairs each time.

Source: Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning", ICDE 2006 (prefix
filter); Bayardo, Ma, Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007 (rarest first).
Cost: sorting all 5-grams, of 5 million characters at most; long texts meet by their beginnings and are compared whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.suite.text_facts import normalize

THRESHOLD = 0.9
MAX_TEXTS = 50_000
_GRAM = 5
_TOTAL_CHARACTERS = 5_000_000
_LEAST_CHARACTERS, _MOST_CHARACTERS = 100, 2_000  # of a text's beginning, by which it meets others
# Where more texts than this share a 5-gram they come from one form letter; each meets the next ones only.
_GROUP = 20
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that multiplying mod 2^64 loses nothing (Knuth's golden ratio)
_RANK_BITS = 40  # 5-grams that can be told apart in a key of 64 bits

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class NearPair:
    """Positions of two texts, first < second, and their Jaccard similarity, below 1 or without seen difference."""

    first: int
    second: int
    similarity: float


def near_duplicates(texts: Sequence[str]) -> list[NearPair]:
    """Return the pairs of texts that are nearly, but not exactly, the same after normalisation.

    Raises:
        ValueError: more than MAX_TEXTS texts.
    """
    if len(texts) > MAX_TEXTS:
        raise ValueError(f"at most {MAX_TEXTS} texts, got {len(texts)}")
    first_place: dict[str, int] = {}
    for position, text in enumerate(texts):
        first_place.setdefault(normalize(text), position)
    distinct, positions = list(first_place), list(first_place.values())
    width = min(max(_TOTAL_CHARACTERS // max(len(distinct), 1), _LEAST_CHARACTERS), _MOST_CHARACTERS)
    beginnings = [grams(text[:width]) for text in distinct]
    pairs = []
    for one, other in sorted(_candidates(beginnings)):
        similarity = jaccard(beginnings[one], beginnings[other])
        if similarity >= THRESHOLD and max(len(distinct[one]), len(distinct[other])) > width:
            similarity = jaccard(grams(distinct[one]), grams(distinct[other]))
        if similarity >= THRESHOLD:
            pairs.append(NearPair(positions[one], positions[other], similarity))
    return pairs


def grams(text: str) -> Hashes:
    """Return the sorted distinct hashes of a text's character 5-grams; none for a shorter text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if len(codes) < _GRAM:
        return np.empty(0, dtype=np.uint64)
    multiplier = np.uint64(_MULTIPLIER)
    hashes = np.zeros(len(codes) - _GRAM + 1, dtype=np.uint64)
    for offset in range(_GRAM):
        hashes = hashes * multiplier + codes[offset : offset + len(hashes)]
    return np.unique(hashes)


def jaccard(one: Hashes, other: Hashes) -> float:
    """Return the shared part of two sets; 0 where both are empty."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0


def _candidates(sets: Sequence[Hashes]) -> set[tuple[int, int]]:
    """Return the pairs that share one of their rarest elements and aren't too different in size."""
    found: set[tuple[int, int]] = set()
    for members in _meetings(sets):
        # By size, so that the next members are the likeliest and a too large one ends the search.
        members.sort(key=lambda member: (len(sets[member]), member))
        for place, one in enumerate(members):
            for other in members[place + 1 : place + 1 + _GROUP]:
                if len(sets[one]) < THRESHOLD * len(sets[other]):
                    break
                found.add((min(one, other), max(one, other)))
    return found


def _meetings(sets: Sequence[Hashes]) -> Iterator[list[int]]:
    """Yield the sets that share a rare element, for each such element."""
    if not any(len(members) for members in sets):
        return
    _, identity, counts = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    # One number per element that sorts by rarity first; the same for one element in every set.
    keys = (counts[identity].astype(np.int64) << _RANK_BITS) + identity
    meetings: defaultdict[int, list[int]] = defaultdict(list)
    start = 0
    for position, members in enumerate(sets):
        own = keys[start : start + len(members)]
        start += len(members)
        rarest = np.sort(own)[: len(members) - math.ceil(THRESHOLD * len(members)) + 1]
        for key in rarest[rarest >= 2 << _RANK_BITS].tolist():
            meetings[key].append(position)
    yield from (members for members in meetings.values() if len(members) > 1)
