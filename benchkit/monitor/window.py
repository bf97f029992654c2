"""Everything that is kept of the rows of a window; windows, partitions and machines add up.

    Rows ── add_rows ──> Window (health, sketch, scores, segments, texts) ── + ── Window
    Window ── pack ──> bytes (safetensors) ── unpack ──> the same, for a watch that goes on after a restart

Of texts, at most a few of each cluster are kept, and none unless asked for: those whose hash is smallest, so that the
same are kept whatever the order and the partition.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.health import Health
from benchkit.drift.one_pass import health_and_sketch
from benchkit.drift.outside import is_outside
from benchkit.drift.projection import Points, draw_points
from benchkit.drift.reference import Reference, assign
from benchkit.drift.scores import ScoreBaseline, ScoreCounts, count_scores
from benchkit.drift.sketch import Sketch, empty_sketch, sketch
from benchkit.drift.time_counts import TimeCounts
from benchkit.embeddings.fingerprint import text_key
from benchkit.sources.selection import TIMED_SHARE
from benchkit.sources.times import microseconds
from benchkit.types.drift import OUTSIDE, Rows

TEXTS_KEPT = 40  # of each cluster
TEXT_LENGTH = 500  # characters kept of one
MODELS_KEPT = 8  # of a window; a stream of more names than that names something else
SEGMENTS_KEPT = 500  # more different ones are counted together, so that a wrong column can't take all memory
OTHER_SEGMENTS = "(all others)"
NO_SEGMENT = "(none)"
_METADATA = "benchkit"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What of a baseline decides what is counted of a window.

    Attributes:
        segment_by: "segment" or "role", the column that splits the rows; "" for none.
        segments: The segments that have a reference of their own.
        unit_s: Seconds of a window of the baseline's past; 0 of independent rows.
    """

    reference: Reference
    scores: ScoreBaseline | None
    segment_by: str = ""
    segments: Mapping[str, Reference] = field(default_factory=dict)
    keep_texts: bool = False
    unit_s: int = 0


Texts = Mapping[int, Mapping[str, str]]  # cluster -> hash of the text -> the text


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What is kept of some rows.

    Attributes:
        segments: Sketches of the segments that have a reference.
        times: When the rows of the sketch came, in units of the baseline's past; none without one.
        segment_rows: Rows of every segment.
        start, end: Smallest and largest time, datetime64[us] in UTC; None where no row has one. Of a span without rows
            its own.
        late: Rows whose time lies before the window that they were counted in.
        points: Some of the rows in the baseline's plane.
        models: Name and fingerprint of each model that rows say made them, in order.
    """

    health: Health
    sketch: Sketch
    scores: ScoreCounts | None = None
    segments: Mapping[str, Sketch] = field(default_factory=dict)
    segment_rows: Mapping[str, int] = field(default_factory=dict)
    texts: Texts = field(default_factory=dict)
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    late: int = 0
    points: Points = field(default_factory=Points.empty)
    models: tuple[tuple[str, str], ...] = ()
    times: TimeCounts = field(default_factory=TimeCounts)

    @property
    def rows(self) -> int:
        return self.health.rows

    @property
    def known_times(self) -> TimeCounts | None:
        """When its rows came; None where too many of them have no time to tell."""
        return self.times if self.times.total >= TIMED_SHARE * max(self.sketch.rows, 1) else None

    def __add__(self, other: Window) -> Window:
        segments = _added(self.segments, other.segments)
        return Window(
            health=self.health + other.health,
            sketch=self.sketch + other.sketch,
            scores=_sum(self.scores, other.scores),
            segments=segments,
            segment_rows=_bounded(_added(self.segment_rows, other.segment_rows), segments),
            texts=_texts(self.texts, other.texts),
            start=min((time for time in (self.start, other.start) if time is not None), default=None),
            end=max((time for time in (self.end, other.end) if time is not None), default=None),
            late=self.late + other.late,
            points=self.points + other.points,
            models=tuple(sorted({*self.models, *other.models})[:MODELS_KEPT]),
            times=self.times + other.times,
        )


def empty_window(judged: Judged, start: datetime | None = None, end: datetime | None = None) -> Window:
    """Return the window of no rows; of a span, where it is one of time."""
    return Window(
        Health.empty(judged.reference.dimension),
        empty_sketch(judged.reference.frame),
        start=None if start is None else np.datetime64(microseconds(start), "us"),
        end=None if end is None else np.datetime64(microseconds(end), "us"),
    )


def window_of(judged: Judged, rows: Rows, *, late: int = 0, beside: Window | None = None) -> Window:
    """Return the window of some rows.

    Rows with a NaN or an infinity, or of zeros only, are counted by their health and belong to nothing else.

    Args:
        beside: What the window will be added to: points that can't enter the sample of both aren't drawn.

    Raises:
        ValueError: the rows have another dimension than the baseline.
    """
    health, facts, sums = health_and_sketch(judged.reference, rows.vectors)
    all_good = health.good == health.rows
    kept, hashes = (rows, facts.hashes) if all_good else (rows.take(facts.good), facts.hashes[facts.good])
    start, end = _span(rows)
    places = segment_places(kept, judged.segment_by)
    return Window(
        health=health,
        sketch=sums,
        scores=None if judged.scores is None or rows.scores is None else count_scores(judged.scores, rows.scores),
        segments={
            name: sketch(judged.segments[name], kept.vectors[own])
            for name, own in places.items()
            if name in judged.segments
        },
        segment_rows=_bounded({name: len(own) for name, own in places.items()}, judged.segments),
        texts=_texts_of(judged, kept),
        start=start,
        end=end,
        late=late,
        points=draw_points(
            judged.reference.frame, kept.vectors, hashes, kept.times, beside=None if beside is None else beside.points
        ),
        models=((rows.model, rows.fingerprint),) if len(rows) and (rows.model or rows.fingerprint) else (),
        times=TimeCounts.of(kept.times, judged.unit_s) if judged.unit_s and kept.times is not None else TimeCounts(),
    )


def _span(rows: Rows) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    times = rows.times if rows.times is not None else np.array([], "datetime64[us]")
    known = times[~np.isnat(times)].astype("datetime64[us]")
    return (known.min(), known.max()) if len(known) else (None, None)


def segment_places(rows: Rows, segment_by: str) -> dict[str, NDArray[np.int64]]:
    """Return the places of each segment's rows; nothing where nobody asked or the column isn't there."""
    column = {"role": rows.roles, "segment": rows.segments}.get(segment_by)
    if column is None:
        return {}
    # No array of the names: NumPy gives each the room of the longest, and takes "a\0" for "a".
    places: dict[str, list[int]] = {}
    for place, name in enumerate(column):
        places.setdefault(NO_SEGMENT if name is None else name, []).append(place)
    return {name: np.array(places[name], np.int64) for name in sorted(places)}


def _added(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    total = dict(a)
    for name, part in b.items():
        total[name] = total[name] + part if name in total else part
    return total


def _bounded(counts: dict[str, int], judged: Container[str]) -> dict[str, int]:
    """Count together what are too many; those with a reference stay, and of the others the same in any order."""
    named = sorted(name for name in counts if name != OTHER_SEGMENTS and name not in judged)
    for name in named[SEGMENTS_KEPT:]:
        counts[OTHER_SEGMENTS] = counts.get(OTHER_SEGMENTS, 0) + counts.pop(name)
    return counts


def _texts_of(judged: Judged, rows: Rows) -> Texts:
    if not judged.keep_texts or rows.texts is None or not len(rows):
        return {}
    clusters = assign(judged.reference, rows.vectors).tolist()
    outside = is_outside(judged.reference, rows.vectors).tolist()
    found: dict[int, dict[str, str]] = {}
    for cluster, is_new, text in zip(clusters, outside, rows.texts, strict=True):
        if text:
            shown = text[:TEXT_LENGTH]
            for region in (cluster, OUTSIDE) if is_new else (cluster,):
                found.setdefault(region, {})[text_key(shown).hex()] = shown
    return {cluster: _fewest(texts) for cluster, texts in found.items()}


def _texts(a: Texts, b: Texts) -> Texts:
    return {cluster: _fewest({**a.get(cluster, {}), **b.get(cluster, {})}) for cluster in {*a, *b}}


def _fewest(texts: Mapping[str, str]) -> Mapping[str, str]:
    return {key: texts[key] for key in sorted(texts)[:TEXTS_KEPT]}


def _sum(a: ScoreCounts | None, b: ScoreCounts | None) -> ScoreCounts | None:
    if a is None or b is None:
        return a if b is None else b
    return a + b


# ------------------------------------------------------------ as bytes


def pack(windows: Mapping[str, Window]) -> bytes:
    """Return windows by name as bytes, every number as it is."""
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {}
    facts = {}
    for name, window in windows.items():
        _put(arrays, f"{name}/health", window.health.to_arrays())
        _put(arrays, f"{name}/sketch", window.sketch.to_arrays())
        _put(arrays, f"{name}/points", window.points.to_arrays())
        _put(arrays, f"{name}/times", window.times.to_arrays())
        if window.scores is not None:
            _put(arrays, f"{name}/scores", {"counts": window.scores.counts})
        order = list(window.segments)
        for place, segment in enumerate(order):
            _put(arrays, f"{name}/segment/{place}", window.segments[segment].to_arrays())
        facts[name] = {
            "segments": order,
            "segment_rows": dict(window.segment_rows),
            "texts": {str(cluster): dict(texts) for cluster, texts in window.texts.items()},
            "start": _time(window.start),
            "end": _time(window.end),
            "late": window.late,
            "models": [list(model) for model in window.models],
        }
    packed: bytes = save(
        {key: np.asarray(array, order="C") for key, array in arrays.items()}, {_METADATA: json.dumps(facts)}
    )
    return packed


def unpack(content: bytes) -> dict[str, Window]:
    """Return the windows that `pack` was given; of b"" there are none."""
    from safetensors.numpy import load

    if not content:
        return {}
    arrays = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = json.loads(header["__metadata__"][_METADATA])
    return {name: _window(name, arrays, about) for name, about in facts.items()}


def _window(name: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Window:
    scores = part_of(arrays, f"{name}/scores")
    return Window(
        health=Health.from_arrays(part_of(arrays, f"{name}/health")),
        sketch=Sketch.from_arrays(part_of(arrays, f"{name}/sketch")),
        scores=ScoreCounts(scores["counts"]) if scores else None,
        segments={
            segment: Sketch.from_arrays(part_of(arrays, f"{name}/segment/{place}"))
            for place, segment in enumerate(about["segments"])
        },
        segment_rows=about["segment_rows"],
        texts={int(cluster): texts for cluster, texts in about["texts"].items()},
        start=np.datetime64(about["start"], "us") if about["start"] else None,
        end=np.datetime64(about["end"], "us") if about["end"] else None,
        late=about["late"],
        points=Points.from_arrays(part_of(arrays, f"{name}/points")),
        models=tuple((model, fingerprint) for model, fingerprint in about.get("models", ())),
        times=TimeCounts.from_arrays(part_of(arrays, f"{name}/times")),
    )


def _put(arrays: dict[str, NDArray[Any]], prefix: str, part: Mapping[str, NDArray[Any]]) -> None:
    arrays.update({f"{prefix}/{key}": value for key, value in part.items()})


def part_of(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays below a prefix, without it."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in arrays.items() if key.startswith(f"{prefix}/")}


def _time(time: np.datetime64 | None) -> str:
    return "" if time is None else str(time)
