"""A part of a stream (a segment, a role) as a baseline of its own, in the frame of the whole.

    Reference of the whole ── frame ── frame_of_part ─┐
    rows of the part that this frame does not know ───┴─ sums, null ──> Reference of the part
    Reference of the part ── part_to_arrays (28 kB at 768 dimensions) ── stored ── part_from_arrays ──> the same

Directions and centroids are nine tenths of a reference, and need not be the part's own: what a part does in those of
the whole is calibrated by its own rows. It uses the centroids at which it has rows, so that other parts' rows are far
from all of them; its scales, edges and null are its own. Measured on 17 segments of 700 rows, three streams under
MiniLM, windows of 500: a shift of .02 is found in .12 of them in the part's own frame and .44 in that of the whole, 5 %
of bank questions in .85 and .68, 5 % of another segment in .67 and .56, another mix in .28 and .35.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import frame_of_part
from benchkit.drift.past import PastRows
from benchkit.drift.reference import MOST_ROWS, Reference, reference_in

RANK_STEP: Final = 1.2  # of the null: p-values .4 % too large, where 4,999 draws know one of 5 % to 6 % of itself
_USED = "frame.used"
_FROM_WHOLE = ("mean", "directions", "scales", "quadratic", "dead", "n_dead")


def fit_part(
    whole: Reference,
    vectors: NDArray[np.generic],
    *,
    is_framed: NDArray[np.bool_],
    groups: NDArray[np.generic] | None = None,
    share: float = 1.0,
    seed: int = 0,
) -> Reference:
    """Learn the baseline of a part.

    Args:
        vectors: All rows of the part (n, d), finite.
        is_framed: Which of them the frame of the whole was fitted on (n,): they lie nearer to it than new ones, and are
            left out of the sums.
        groups, share: Historical window of each row (n,), share of the source's rows; see `reference.fit`.
        seed: Of the rows that the null is drawn from, where there are more than 20,000, and of the drawn windows.

    Raises:
        ValueError: the rows that are left are the same vector, or in too few windows.
    """
    rng = np.random.default_rng(seed)
    kept = vectors[~is_framed].astype(np.float32, copy=False)
    if not len(kept) or (kept == kept[0]).all():
        raise ValueError("all rows of the part are the same vector; there is nothing to compare a window with")
    drawn = np.sort(rng.permutation(len(kept))[:MOST_ROWS])
    frame = frame_of_part(whole.frame, vectors[is_framed].astype(np.float32, copy=False), kept[drawn])
    own = None if groups is None else np.asarray(groups)[~is_framed][drawn]
    past = None if own is None else PastRows(own, share * len(drawn) / len(kept), float(np.mean(~is_framed)))
    found = reference_in(frame, [kept], kept[drawn], past=past, n_rows=len(vectors), rng=rng)
    return replace(found, history=replace(found.history, null=found.history.null.thinned(RANK_STEP)))


def part_to_arrays(part: Reference, whole: Reference) -> dict[str, NDArray[np.generic]]:
    """Return what a part has of its own, as arrays, and which of the whole's centroids it uses."""
    shared = {f"frame.{name}" for name in (*_FROM_WHOLE, "centroids")}
    own = {name: array for name, array in part.to_arrays().items() if name not in shared}
    same = (part.frame.centroids[:, None] == whole.frame.centroids).all(axis=2)
    return {**own, _USED: same.argmax(axis=1).astype(np.int16)}


def part_from_arrays(whole: Reference, arrays: Mapping[str, NDArray[np.generic]]) -> Reference:
    """Return the part that `part_to_arrays` was of.

    Raises:
        ValueError: an array is missing, or arrays don't fit together or with the whole.
    """
    shared = {f"frame.{name}": np.asarray(getattr(whole.frame, name)) for name in _FROM_WHOLE}
    used = np.asarray(arrays.get(_USED, -1)).astype(np.int64)
    if used.ndim != 1 or used.min(initial=0) < 0 or used.max(initial=0) >= len(whole.frame.centroids):
        raise ValueError("not a part: its centroids are none of the whole's")
    own = {name: array for name, array in arrays.items() if name != _USED}
    return Reference.from_arrays({**own, **shared, "frame.centroids": whole.frame.centroids[used]})
