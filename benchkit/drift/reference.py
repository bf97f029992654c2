"""A baseline of embeddings, learnt once: where its rows lie, how much windows of them vary by chance.

    vectors (N, d) ─┬─ 25 % (at most 20,000) ── fit_frame ──> Frame
                    └─ the rest ─┬─ sketch_rows ──> sums: the baseline
                                 └─ at most 20,000 ── History.learn ──> nulls            all three: Reference
    vectors (n, d) of production ── sketch ──> Sketch, to be merged, stored and judged (judge.py)

Cost: 3 to 6 CPU-seconds for 20,000 rows of 768 dimensions, then one pass over the rest. Size: 0.9 MB there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.frame import Frame, fit_frame
from benchkit.drift.history import History
from benchkit.drift.measure_rows import MAX_NORM, measure_rows
from benchkit.drift.past import Past, PastRows
from benchkit.drift.sketch import Sketch, empty_sketch, sketch_rows
from benchkit.drift.statistics import Yardstick
from benchkit.drift.time_counts import TimeCounts

MIN_ROWS = 100
FRAME_SHARE = 0.25
MOST_ROWS = 20_000
READ_ROWS = 65_536
# Different rows for each dimension, from which a direction without variance is one of the model. Fewer than one span no
# more than themselves, and any new row leaves their space (measured: 300 of MiniLM's questions have 85 such directions,
# of which 3 are the model's); of just as many, the least varying direction of all may look like none.
ROWS_PER_DIMENSION = 1.5
LARGEST = 1e15  # of a number in a row: squares of larger ones, and sums of these, leave float32
ALIKE = 1e-4  # of the spread along the largest directions: rows that are nearer to each other count once


@dataclass(frozen=True, eq=False)
class Reference:
    """A baseline; see the module.

    Attributes:
        rows: How many rows it was learnt from.
        n_windows: Historical windows that its null knows; 0 takes rows as independent.
        yardstick: Frame, sums of the rows that the frame does not know, variances.
        history: What windows differ by where nothing changed.
    """

    rows: int
    n_windows: int
    yardstick: Yardstick
    history: History

    @property
    def frame(self) -> Frame:
        return self.yardstick.frame

    @property
    def baseline(self) -> Sketch:
        """Sums of the rows that windows are compared with."""
        return self.yardstick.baseline

    @property
    def dimension(self) -> int:
        return self.frame.dimension

    @property
    def cluster_shares(self) -> NDArray[np.float64]:
        """Share of the baseline's rows nearest to each centroid (k,)."""
        shares: NDArray[np.float64] = self.baseline.clusters / self.baseline.rows
        return shares

    @property
    def least_p(self) -> float:
        """The smallest p-value that a window can have: one in as many as were drawn, and one more."""
        return 1 / (int(self.history.null.ranks[-1]) + 2)

    def is_seasonal(self, times: TimeCounts | None) -> bool:
        """Tell whether windows of these times are held against their own weekdays."""
        return self.history.expect(self.baseline.rows, times).effect is not None

    def usual(self, times: TimeCounts | None) -> Sketch:
        """Return the baseline's sums, its clusters and novelty as they are on the weekdays of a window's rows."""
        effect = self.history.expect(self.baseline.rows, times).effect
        if effect is None:
            return self.baseline
        _, _, clusters, novelty, _ = self.yardstick.blocks
        rows = self.baseline.rows
        there, far = ((self.yardstick.baseline_means + effect)[block].clip(min=0) for block in (clusters, novelty))
        return replace(
            self.baseline,
            clusters=np.rint(rows * there / there.sum()).astype(np.int64),
            novelty=np.rint(rows * far / far.sum()).astype(np.int64),
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays, by names with dots."""
        arrays: dict[str, NDArray[np.generic]] = {"rows": np.array(self.rows), "n_windows": np.array(self.n_windows)}
        for field in fields(Frame):
            arrays[f"frame.{field.name}"] = np.asarray(getattr(self.frame, field.name))
        for name, values in self.baseline.to_arrays().items():
            arrays[f"baseline.{name}"] = values
        arrays["variances"] = self.yardstick.variances
        return arrays | self.history.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Reference:
        """Return the reference that `to_arrays` gave.

        Raises:
            ValueError: an array is missing, or arrays do not fit together.
        """
        try:
            frame = Frame(**{field.name: _plain(arrays[f"frame.{field.name}"]) for field in fields(Frame)})
            history = History.from_arrays(arrays)
            variances = np.asarray(arrays["variances"], np.float32)
            rows, n_windows = (int(np.asarray(arrays[name]).item()) for name in ("rows", "n_windows"))
        except KeyError as exc:
            raise ValueError(f"not a reference: without {exc.args[0]}") from exc
        prefix = "baseline."
        sums = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
        reference = cls(rows, n_windows, Yardstick(frame, Sketch.from_arrays(sums), variances), history)
        reference._check_shapes()
        return reference

    def _check_shapes(self) -> None:
        frame, expected = self.frame, empty_sketch(self.frame).shape
        columns = {frame.directions.shape[1], frame.centroids.shape[1], frame.dead.shape[1], frame.dimension}
        n_features = self.yardstick.blocks[-1].stop
        if (
            len(columns) > 1
            or self.baseline.shape != expected
            or len(self.yardstick.variances) != n_features
            or not self.history.fits(n_features)
        ):
            raise ValueError("not a reference: its arrays do not fit together")


def _plain(values: NDArray[np.generic]) -> Any:
    """Return an array, or the number in it."""
    array = np.asarray(values)
    return array.item() if array.ndim == 0 else array


def fit(
    vectors: NDArray[np.floating] | NDArray[np.int8],
    *,
    groups: NDArray[np.generic] | None = None,
    period: int = 0,
    share: float = 1.0,
    seed: int = 0,
) -> Reference:
    """Learn a baseline.

    Args:
        vectors: (N, d), N >= 100, finite; a memory map will do, rows are read once or twice.
        groups: Historical window of each row (N,), eight windows at least: then what windows differed by in the past
            (sessions, days) is no drift. Rows are in order of their time. None takes them as independent.
        period: Windows after which the source may repeat itself, where `groups` are their numbers: 7 for days, whose
            weekdays then are held against their own past.
        share: Of the source's rows that these are a sample of.
        seed: Of the split into frame and baseline, and of the drawn windows.

    Raises:
        ValueError: too few rows or windows, no matrix; rows that aren't finite, beyond 1e15, or nearly all the same.
    """
    _check(vectors, groups)
    rng = np.random.default_rng(seed)
    of_frame, held = _split(len(vectors), groups, rng)
    of_frame_rows, held_rows = _take(vectors, of_frame), _take(vectors, held)
    frame = _with_sure_dead(fit_frame(of_frame_rows, held_rows, rng), of_frame_rows, held_rows)
    thinned = share * len(held) / (len(vectors) - len(of_frame))
    unframed = 1 - len(of_frame) / len(vectors)
    of_held = None if groups is None else PastRows(np.asarray(groups)[held], thinned, unframed, period)
    rows = _without(vectors, of_frame)
    return reference_in(frame, rows, held_rows, past=of_held, n_rows=len(vectors), rng=rng)


def reference_in(
    frame: Frame,
    rows: Iterable[NDArray[np.generic]],
    held: NDArray[np.float32],
    *,
    past: PastRows | None,
    n_rows: int,
    rng: np.random.Generator,
) -> Reference:
    """Return the baseline of rows in a frame that isn't fitted on them.

    Args:
        rows: All of them, in blocks: the sums.
        held: Those that the null is drawn from (m, d); `past`: where these lie in it.
        n_rows: How many rows the baseline is learnt from, with those of the frame.

    Raises:
        ValueError: the rows are in too few windows.
    """
    baseline = empty_sketch(frame)
    for part in rows:
        baseline = baseline + sketch_rows(frame, part)
    features = _features(frame, held)
    yardstick = Yardstick(frame, baseline, features.var(axis=0, dtype=np.float64).astype(np.float32))
    windows = None if past is None else Past.of(yardstick, features[:-1], past)
    history = History.learn(yardstick, features, windows, baseline.rows, rng)
    return Reference(n_rows, 0 if windows is None else len(windows.windows), yardstick, history)


def framed_rows(n_rows: int, seed: int, *, groups: NDArray[np.generic] | None = None) -> NDArray[np.bool_]:
    """Return which of so many rows `fit` takes for the frame under a seed (n_rows,), given their historical windows."""
    framed = np.zeros(n_rows, bool)
    framed[_split(n_rows, groups, np.random.default_rng(seed))[0]] = True
    return framed


def _split(
    n_rows: int, groups: NDArray[np.generic] | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that the frame is fitted on, and those that the null is drawn from."""
    order = rng.permutation(n_rows)
    n_frame = min(int(n_rows * FRAME_SHARE), MOST_ROWS)
    if groups is not None:
        in_run = PastRows(groups).in_run(n_frame / n_rows, rng)[order]
        order, n_frame = np.r_[order[in_run], order[~in_run]], int(in_run.sum())
    return np.sort(order[:n_frame]), np.sort(order[n_frame : n_frame + MOST_ROWS])


def assign(reference: Reference, vectors: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the cluster (n,) of each row (n, d), as `Sketch.clusters` counts them.

    Raises:
        ValueError: the rows are of another dimension.
    """
    found = [block.cluster.copy() for block in measure_rows(reference.frame, vectors)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _check(vectors: NDArray[np.generic], groups: NDArray[np.generic] | None) -> None:
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise ValueError(f"a baseline is a matrix (rows, dimensions), got the shape {vectors.shape}")
    if len(vectors) < MIN_ROWS:
        raise ValueError(f"a baseline needs at least {MIN_ROWS} rows, got {len(vectors)}")
    if groups is not None and np.shape(groups) != (len(vectors),):
        raise ValueError(
            f"groups: one window for each of {len(vectors)} rows is needed, got the shape {np.shape(groups)}"
        )
    check_numbers(vectors)


def check_numbers(vectors: NDArray[np.generic]) -> None:
    """Refuse rows (N, d) that float32 can't be summed and squared in, before anything makes float32 of them.

    Raises:
        ValueError: a number isn't finite, or is beyond 1e15.
    """
    for start in range(0, len(vectors), READ_ROWS):
        rows = vectors[start : start + READ_ROWS]
        if not np.isfinite(rows).all():
            raise ValueError("the baseline has rows that are not finite; leave them out")
        largest = max(float(rows.max()), -float(rows.min()))
        if largest > LARGEST:
            raise ValueError(
                f"the baseline has rows with numbers of up to {largest:.3g}, and {LARGEST:g} is the largest that can "
                "be summed; leave these rows out, or divide all vectors, of windows too, by one number"
            )


def _with_sure_dead(frame: Frame, *parts: NDArray[np.float32]) -> Frame:
    """Return the frame, without dead directions where too few different rows can't tell them from unseen ones."""
    along = np.concatenate([part @ frame.basis[:3].T for part in parts])
    # Copies of a text differ by the rounding of the batch that each was encoded in, a thousandth of this.
    places = np.rint(along / (ALIKE * along.std(axis=0)))
    if len(np.unique(places, axis=0)) >= ROWS_PER_DIMENSION * frame.dimension:
        return frame
    return replace(frame, dead=frame.dead[:0], n_dead=0)


def _take(vectors: NDArray[np.generic], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(vectors[rows], dtype=np.float32)


def _without(vectors: NDArray[np.generic], left_out: NDArray[np.int64]) -> Iterator[NDArray[np.generic]]:
    """Yield blocks of the rows that are not left out."""
    kept = np.ones(len(vectors), bool)
    kept[left_out] = False
    for start in range(0, len(vectors), READ_ROWS):
        yield vectors[start : start + READ_ROWS][kept[start : start + READ_ROWS]]


def _features(frame: Frame, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a sketch has the sums of, row by row, minus the mean, and one row more (n + 1, F).

    That row has a norm far from all others and is average else. Unit vectors all have one norm; by the rule of
    succession another one, which no row has shown, is as likely as one row in n + 1, and not impossible. So is a row
    in a cluster that none of these is in (measured without it, in baselines of 150 isotropic rows: false alarms of
    `cluster-max` of .19 for .05 in windows of 5,000).
    """
    blocks = []
    for block in measure_rows(frame, rows):
        clusters = np.eye(len(frame.centroids), dtype=np.float32)[block.cluster]
        novelty = np.eye(len(frame.edges) + 1, dtype=np.float32)[block.novelty]
        blocks.append(np.hstack([frame.project(block.centred), block.squares, clusters, novelty, block.norm]))
    features = np.vstack([*blocks, np.mean(np.vstack(blocks), axis=0, dtype=np.float64)], dtype=np.float32)
    centred: NDArray[np.float32] = features - features[-1]
    centred[-1, -2:] += MAX_NORM, MAX_NORM**2
    first = len(frame.directions) + len(frame.quadratic)
    counted = slice(first, first + len(frame.centroids))
    shares = features[-1, counted]
    if not shares.all():
        centred[-1, counted] = np.eye(len(shares))[shares.argmin()] - shares
    return centred
