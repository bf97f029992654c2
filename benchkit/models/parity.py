"""Does an engine give the reference's vectors? Nothing that it computes counts before this says so.

    probes ─┬─ reference: padded batches, long and short texts together ──┐
            └─ engine: all in one call · short ones reversed, in halves ──┴─ check_parity ──> Parity
    PAIRS  ─── both ── Spearman's rho with the judgements ── score_difference ──> what a tier costs in score

The bound of an exact engine is 1e-5 on a vector's largest difference, where float32 rounding leaves some 3e-7; a mask
that isn't applied, another pooling, swapped weights or positions that don't count leave 1e-3 and more. A vector longer
than 1 is measured in units of its length, since rounding grows with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.measure.weighted_rank import correlation
from benchkit.models.probes import PAIRS, SHORT, long_text, prompted

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str], str], Vectors]  # texts, prompt -> (n, d)


@dataclass(frozen=True, slots=True)
class Bound:
    """What an engine has to keep to: the smallest cosine with the reference, and the largest difference."""

    cosine: float
    difference: float | None = None


BOUNDS = {"float32": Bound(0.9999, 1e-5), "bf16": Bound(0.999), "int8": Bound(0.9)}


@dataclass(frozen=True, slots=True)
class Parity:
    """How near an engine is to the reference.

    Attributes:
        cosine: Smallest cosine of a vector and its reference; -1 where one can't be had.
        difference: Largest difference of an element, in units of the reference's length where that is above 1.
        refused: Why the engine may not be used; "" where it may.
    """

    cosine: float
    difference: float
    refused: str = ""


def check_parity(reference: Encode, engine: Encode, bound: Bound, *, longest: int | None) -> Parity:
    """Hold an engine against the reference on the probe texts.

    Args:
        longest: Longest input in tokens; None for no limit.
    """
    long, (prompt, with_prompt), short = long_text(longest), prompted(), list(SHORT)
    # The reference pads the short ones, the empty text most of all.
    expected = np.concatenate([reference([long], ""), reference(short, ""), reference(with_prompt, prompt)])
    half = len(short) // 2
    try:
        together = np.concatenate([engine([long, *short], ""), engine(with_prompt, prompt)])
        apart = np.concatenate([engine(part[::-1], "")[::-1] for part in (short[:half], short[half:])])
    except Exception as exc:  # whatever a kernel raises on this machine
        return Parity(-1.0, np.inf, f"it failed: {type(exc).__name__}: {exc}")
    first, second = compare(expected, together, bound), compare(expected[1 : 1 + len(short)], apart, bound)
    return Parity(
        min(first.cosine, second.cosine), max(first.difference, second.difference), first.refused or second.refused
    )


def compare(expected: Vectors, found: Vectors, bound: Bound) -> Parity:
    """Measure vectors (n, d) against those of the reference.

    >>> compare(np.array([[3, 4]], np.float32), np.array([[3, 4.5]], np.float32), Bound(0.99)).difference
    0.1
    """
    if found.shape != expected.shape:
        return Parity(-1.0, np.inf, f"its vectors are {found.shape}, the reference's {expected.shape}")
    if not np.isfinite(found).all():
        return Parity(-1.0, np.inf, "its vectors have NaN or infinity")
    left, right = expected.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1)
    cosine = float(_cosines(left, right).min())
    difference = float((np.abs(left - right).max(axis=1) / np.maximum(lengths, 1.0)).max())
    refused = ""
    if cosine < bound.cosine:
        refused = f"the cosine with the reference is {cosine:.6f} on a probe text, below {bound.cosine}"
    elif bound.difference is not None and difference > bound.difference:
        refused = (
            f"a vector differs from the reference by {difference:.1e} on a probe text, more than {bound.difference}"
        )
    return Parity(cosine, difference, refused)


def _cosines(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines: NDArray[np.float64] = np.einsum("nd,nd->n", left, right) / np.where(lengths == 0, 1.0, lengths)
    return np.where(both_zero, 1.0, cosines)


# ---------------------------------------------------------------- what a tier costs in score


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """A tier against float32 on the probe pairs.

    Attributes:
        points: Spearman's rho x 100 of the tier minus that of the reference.
        cosine: Smallest cosine of a vector and its reference.
        pairs: Number of pairs.
    """

    points: float
    cosine: float
    pairs: int = len(PAIRS)


def score_difference(reference: Encode, engine: Encode) -> ScoreDifference:
    """Encode the probe pairs with both and compare how well they agree with the judgements."""
    texts = list(dict.fromkeys(text for left, right, _ in PAIRS for text in (left, right)))
    expected, found = (np.asarray(encode(texts, ""), np.float64) for encode in (reference, engine))
    row = {text: at for at, text in enumerate(texts)}
    left = np.array([row[sentence] for sentence, _, _ in PAIRS])
    right = np.array([row[sentence] for _, sentence, _ in PAIRS])
    gold = np.array([judgement for _, _, judgement in PAIRS])
    before, after = (_spearman(_cosines(vectors[left], vectors[right]), gold) for vectors in (expected, found))
    return ScoreDifference(100 * (after - before), float(_cosines(expected, found).min()))


def _spearman(predicted: NDArray[np.float64], gold: NDArray[np.float64]) -> float:
    return float(correlation(predicted, gold, "spearman")(np.ones((len(gold), 1)))[0])
