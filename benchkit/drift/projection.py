"""Baseline and window in one plane, for people to look at: no test is made of it.

    rows (n, d), their hashes ── draw_points ──> Points (at most 200 rows, two numbers each) ── + ──> of a longer window
    rows of the baseline ── plane_of ──> Plane (ranges, share of the variance) ──┐
    Reference, Sketch, Points ───────────────────────────────────────────────────┴── project ──> Projection

The axes are the first two directions of the frame, so they are the baseline's and stay where they are from window to
window. A window keeps the rows whose mixed hash is smallest, which are a uniform sample of its different rows, and the
same in any order and partition. The time of a row is part of what is hashed: rows that repeat at other times are
different ones.

Sources: Pearson, "On lines and planes of closest fit", Philosophical Magazine 2 (1901); Cohen and Kaplan, "Summarizing
Data using Bottom-k Sketches", PODC 2007; Steele et al., OOPSLA 2014, the finaliser.
Cost: a comparison for each row; of a long window, few rows enter the sample, are sorted and projected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import Frame
from benchkit.drift.reference import Reference
from benchkit.drift.row_facts import row_lengths
from benchkit.drift.sketch import Sketch
from benchkit.types.drift import ProjectedRegion, Projection

MOST_POINTS = 200
TAIL = 0.005  # of the baseline's rows beyond each end of a range
_DEVIATIONS = 2.576  # the same tail of a normal distribution
_BLOCK_ROWS = 8192
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_LAST_KEY = np.uint64(2**64 - 1)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Some rows of a window in the plane.

    Attributes:
        keys: uint64 (n,), rising, n at most 200.
        places: float16 (n, 2), in units of the frame's radius, beyond which no row is drawn: -1 to 1, to three digits.
    """

    keys: Hashes
    places: NDArray[np.float16]

    @classmethod
    def empty(cls) -> Points:
        return cls(np.zeros(0, np.uint64), np.zeros((0, 2), np.float16))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def limit(self) -> np.uint64:
        """The largest key of a row that can still be among the 200."""
        return self.keys[-1] if len(self) >= MOST_POINTS else _LAST_KEY

    def __add__(self, other: Points) -> Points:
        keys, first = np.unique(np.concatenate([self.keys, other.keys]), return_index=True)
        places = np.concatenate([self.places, other.places])[first[:MOST_POINTS]]
        return Points(keys[:MOST_POINTS], places)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"keys": self.keys, "places": self.places}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Points:
        """Return what `to_arrays` was of; of no arrays, as a window of an older benchkit has them, no points.

        Raises:
            ValueError: keys and places don't belong together.
        """
        if not arrays:
            return cls.empty()
        keys, places = np.asarray(arrays["keys"], np.uint64), np.asarray(arrays["places"], np.float16)
        if keys.ndim != 1 or places.shape != (len(keys), 2):
            raise ValueError(f"{keys.shape} keys and {places.shape} places are no points of one plane")
        return cls(keys, places)


def draw_points(
    frame: Frame,
    vectors: NDArray[np.generic],
    hashes: Hashes,
    times: NDArray[np.datetime64] | None = None,
    *,
    beside: Points | None = None,
) -> Points:
    """Return at most 200 of some rows, drawn by their content and time.

    Args:
        vectors: (n, d), finite; rows farther from the mean than any row of the baseline are drawn in to that distance,
            as in a sketch.
        hashes: Of the rows (n,); row_facts.row_hashes.
        times: Of the rows (n,); None without.
        beside: What the points will be added to; rows that can't be among the 200 of both are left out.
    """
    keys = _keys(hashes, times)
    entering = np.flatnonzero(keys <= (_LAST_KEY if beside is None else beside.limit))
    found, first = np.unique(keys[entering], return_index=True)
    rows = entering[first[:MOST_POINTS]]
    return Points(found[:MOST_POINTS], _places(frame, vectors[rows]).astype(np.float16))


def _keys(hashes: Hashes, times: NDArray[np.datetime64] | None) -> Hashes:
    # Mixed again: the smallest plain hashes are those that a health record keeps, and no sample should favour them.
    mixed = hashes ^ _GAMMA
    if times is not None:
        mixed = mixed + times.astype("datetime64[us]").astype(np.int64).view(np.uint64) * _GAMMA
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    keys: Hashes = mixed ^ (mixed >> np.uint64(31))
    return keys


def _places(frame: Frame, vectors: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return rows in the plane (n, 2), each the same to the last bit whatever rows stand beside it."""
    centred = vectors.astype(np.float64) - frame.mean
    lengths, _ = row_lengths(centred)
    centred /= np.maximum(lengths, frame.radius)[:, None]
    # No matrix product: how BLAS adds depends on the number of rows.
    return np.stack([(centred * axis).sum(axis=1) for axis in _axes(frame)], axis=1)


def _axes(frame: Frame) -> NDArray[np.float64]:
    """Return the first two directions (2, d); zeros for one that the baseline lacks."""
    axes = np.zeros((2, frame.dimension))
    found = frame.basis[:2].astype(np.float64)
    axes[: len(found)] = found
    return axes


@dataclass(frozen=True, slots=True)
class Plane:
    """What of a baseline decides how its plane is drawn; see types.drift.Projection."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    explained: float

    def to_json(self) -> dict[str, Any]:
        return {"x_range": list(self.x_range), "y_range": list(self.y_range), "explained": self.explained}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Plane:
        """Return what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it isn't such a form.
        """
        (left, right), (low, high) = found["x_range"], found["y_range"]
        return cls((float(left), float(right)), (float(low), float(high)), float(found["explained"]))


def plane_of(frame: Frame, vectors: NDArray[np.float32]) -> Plane:
    """Return the plane of a baseline's rows (n, d): where 99 % of them lie on each axis."""
    axes = _axes(frame).astype(np.float32)
    places, squares, shown = [], 0.0, 0.0
    for start in range(0, len(vectors), _BLOCK_ROWS):
        centred = vectors[start : start + _BLOCK_ROWS] - frame.mean
        places.append(centred @ axes.T)
        squares += float(np.einsum("ij,ij->", centred, centred, dtype=np.float64))
        shown += float(np.square(places[-1], dtype=np.float64).sum())
    low, high = np.quantile(np.concatenate(places).astype(np.float64), [TAIL, 1 - TAIL], axis=0)
    return Plane(_range(low[0], high[0]), _range(low[1], high[1]), _share(shown, squares))


def usual_plane(reference: Reference) -> Plane:
    """Return the plane of a baseline that was stored without one, as if rows were normal on each axis."""
    frame = reference.frame
    linear = reference.yardstick.variances[reference.yardstick.blocks[0]].astype(np.float64)
    centres = _centres(frame)
    reach = np.zeros(2)
    reach[: len(linear)] = _DEVIATIONS * np.sqrt(linear[:2])
    low, high = np.minimum(-reach, centres.min(axis=0)), np.maximum(reach, centres.max(axis=0))
    whole = float(linear.sum()) + _left_out(frame, linear)
    return Plane(_range(low[0], high[0]), _range(low[1], high[1]), _share(float(linear[:2].sum()), whole))


def _left_out(frame: Frame, linear: NDArray[np.float64]) -> float:
    """Return about the variance of the middle directions, of which a frame keeps none beyond 1,024."""
    missing = frame.dimension - frame.n_dead - len(linear)
    middle = len(linear) // 2
    return max(missing, 0) * float(np.sqrt(linear[middle - 1] * linear[middle])) if middle else 0.0


def _range(low: float, high: float) -> tuple[float, float]:
    """Return a range in four digits; one without an extent, as of the second axis of a line, is made wide."""
    if not high - low > 1e-3:
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    return round(float(low), 4), round(float(high), 4)


def _share(part: float, whole: float) -> float:
    return round(min(part / whole, 1.0), 6) if whole > 0 else 1.0


def _centres(frame: Frame) -> NDArray[np.float64]:
    # Centroids are kept as differences from the mean.
    return frame.centroids.astype(np.float64) @ _axes(frame).T


def project(reference: Reference, sketch: Sketch, points: Points, plane: Plane | None = None) -> Projection | None:
    """Return a window beside its baseline; None of a window without finite rows.

    Args:
        plane: As the baseline was stored with it; None takes what its sums tell.
    """
    if not sketch.rows:
        return None
    ranges = plane or usual_plane(reference)
    centres, before, now = _centres(reference.frame), reference.cluster_shares, sketch.clusters / sketch.rows
    regions = tuple(
        ProjectedRegion(cluster, *_rounded(centre), round(float(before[cluster]), 6), round(float(now[cluster]), 6))
        for cluster, centre in enumerate(centres)
    )
    return Projection(
        regions=regions,
        window=tuple(_rounded(place) for place in points.places.astype(np.float64) * reference.frame.radius),
        x_range=ranges.x_range,
        y_range=ranges.y_range,
        explained=ranges.explained,
    )


def _rounded(place: NDArray[np.floating]) -> tuple[float, float]:
    return round(float(place[0]), 4), round(float(place[1]), 4)
