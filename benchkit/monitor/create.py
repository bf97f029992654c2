"""Making a baseline out of a source.

    Source ── every row: health, scores, times ─┐
           ── a sample, drawn by a seed ── fit ─┼─> Baseline
    canary texts ── model ── vectors ───────────┘

Where rows have times, the windows of the past (days, or hours of a shorter source) tell how much one differs from the
next, and the null knows that: a Sunday is then no drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.canary_set import Canaries
from benchkit.drift.part import fit_part
from benchkit.drift.projection import plane_of
from benchkit.drift.reference import Reference, assign, check_numbers, fit, framed_rows
from benchkit.drift.scores import FEWEST_SCORES, ScoreBaseline, score_baseline
from benchkit.drift.time_counts import unit_numbers
from benchkit.errors import SourceError, UsageError
from benchkit.monitor.baseline import USUAL, Baseline
from benchkit.monitor.canaries import canaries_of_source, embedded_canaries
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.live_model import LiveModel, encoded
from benchkit.monitor.row_sample import RowSample
from benchkit.monitor.window import segment_places
from benchkit.sources.selection import TIMED_SHARE
from benchkit.types.drift import BaselineInfo, ColumnNames, Rows, Source

MAX_ROWS = 50_000  # in the sample: more of them sharpen no figure that a window of production could use
FEWEST_ROWS = 100
SEGMENTS_KEPT = 20  # with a reference of their own, the largest
FEWEST_IN_SEGMENT = 500
EXAMPLES_KEPT = 5  # of each cluster
_EXAMPLE_LENGTH = 200
FEWEST_WINDOWS = 8  # of the past, to tell how much one differs from the next
_FEWEST_IN_WINDOW = 30
HISTORY_S = {"1w": 604_800, "1d": 86_400, "1h": 3_600}
# Days first, however long the past: weeks hardly differ from each other, and would make an alarm of every Sunday.
_AUTOMATIC = ("1d", "1w", "1h")
PERIOD = {86_400: 7, 3_600: 24}  # windows after which a stream may repeat itself


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """How a baseline is made.

    Attributes:
        canary: Texts to keep; None for none; the source's own where `canary_of_source`.
        history: Length of a window of the past: "auto", "none", "1h", "1d" or "1w".
        max_rows: Rows of the sample that the frame and the null are made of.
    """

    name: str
    columns: ColumnNames = USUAL
    segment_by: str = ""
    canary: CanaryTexts | None = None
    canary_of_source: bool = False
    keep_texts: bool = False
    history: str = "auto"
    max_rows: int = MAX_ROWS
    seed: int = 0


def create_baseline(
    source: Source,
    request: CreateRequest,
    *,
    model: LiveModel | None = None,
    on_message: Callable[[str], None] = lambda message: None,
) -> Baseline:
    """Read a source and make a baseline of it; nothing is written.

    Args:
        on_message: Is told what was not learnt from the source, as far as the baseline itself doesn't say it.

    Raises:
        SourceError: the source can't be read, has too few rows or mixed dimensions, or texts without a model.
        UsageError: canaries without a model, or ones of another dimension than the source's vectors.
        ModelError: the model failed.
    """
    sample = RowSample(request.max_rows, request.seed)
    for rows in encoded(source.read(), model, source.name):
        if len(rows):
            sample.add(rows, source.name)
    rows = _in_time(_checked(sample, source), request.history)
    if sample.untimed and request.history != "none":
        on_message(_untimed(sample, rows))
    assert sample.health is not None
    share = len(rows) / sample.health.good
    with _refused_as(source.name):
        check_numbers(rows.vectors)
    vectors = rows.vectors.astype(np.float32, copy=False)
    past = past_windows(rows.times, request.history)
    groups = None if past is None else past.numbers
    with _refused_as(source.name):
        period = 0 if past is None else PERIOD.get(past.unit_s, 0)
        reference = fit(vectors, groups=groups, period=period, share=share, seed=request.seed)
    clusters = assign(reference, vectors)
    canaries = _canaries(request, rows, clusters, reference, model)
    info = BaselineInfo(
        name=request.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=source.name,
        rows=sample.health.rows,
        dimension=reference.dimension,
        model=model.spec if model else sample.model,
        fingerprint=model.fingerprint if model else sample.fingerprint,
        n_canaries=len(canaries) if canaries is not None else 0,
        n_windows=reference.n_windows,
    )
    return Baseline(
        info=info,
        reference=reference,
        health=sample.health,
        scores=_scores(sample),
        canaries=canaries,
        examples=_examples(rows, clusters) if request.keep_texts else {},
        columns=request.columns,
        segment_by=request.segment_by,
        segments=_segments(request, rows, groups, reference, share=share),
        rows_per_s=sample.rows_per_s,
        span_s=sample.span_s,
        model_spec=model.spec if model else "",
        plane=plane_of(reference.frame, vectors),
        unit_s=0 if past is None else past.unit_s,
    )


def _checked(sample: RowSample, source: Source) -> Rows:
    good = 0 if sample.health is None else sample.health.good
    if good < FEWEST_ROWS:
        found = 0 if sample.health is None else sample.health.rows
        raise SourceError(
            f"{source.name}: {found} rows, {good} of them without NaN, infinity or zero vectors; a baseline needs "
            f"{FEWEST_ROWS}, and a few thousand to see small changes"
        )
    return sample.rows()


def _in_time(rows: Rows, history: str) -> Rows:
    """Return rows in order of their time, since those of a session stand together; a few without one are left out."""
    if rows.times is None or history == "none":
        return rows
    known = np.flatnonzero(~np.isnat(rows.times))
    if len(known) < TIMED_SHARE * len(rows):
        return rows
    return rows.take(known[np.argsort(rows.times[known], kind="stable")])


def _untimed(sample: RowSample, learnt: Rows) -> str:
    """Return how many rows of a source have no time, and what followed from it for those that were learnt from."""
    assert sample.health is not None
    assert learnt.times is not None
    untimed, rows = sample.untimed, sample.health.rows
    follows = (
        "more than one in ten, so all rows are taken as independent: how days or sessions differ isn't known"
        if np.isnat(learnt.times).any()
        else "they are left out of the distribution, and only their vectors themselves are looked at"
    )
    return f"without a time: {untimed:,} of {rows:,} rows ({untimed / rows:.1%}): {follows}"


class PastWindows(NamedTuple):
    """The window of the past that each row is of (n,), counted from 1970, and the length of one in seconds."""

    numbers: NDArray[np.int64]
    unit_s: int


def past_windows(times: NDArray[np.datetime64] | None, history: str) -> PastWindows | None:
    """Return the window of the past that each row is of; None without any.

    "auto" takes days, else weeks (of few rows a day), else hours (of a short source), if there are eight with 30 rows.

    Raises:
        UsageError: a length was asked for, and rows have no times or too few windows of it.
    """
    if history == "none" or (history == "auto" and times is None):
        return None
    if times is None or np.isnat(times).any():
        if history == "auto":
            return None
        raise UsageError(f"--history {history}: rows of the source have no time; name its column, or --history none")
    for name in _AUTOMATIC if history == "auto" else (history,):
        length = HISTORY_S[name]
        numbers = unit_numbers(times, length)
        if _many_enough(numbers):
            return PastWindows(numbers, length)
    if history == "auto":
        return None
    raise UsageError(
        f"--history {history}: fewer than {FEWEST_WINDOWS} windows of that length with {_FEWEST_IN_WINDOW} rows; "
        "take a shorter one or --history none"
    )


def _segments(
    request: CreateRequest, rows: Rows, groups: NDArray[np.int64] | None, whole: Reference, *, share: float
) -> dict[str, Reference]:
    if not request.segment_by:
        return {}
    places = segment_places(rows, request.segment_by)
    if not places:
        raise UsageError(
            f"--segment-by {request.segment_by}: the source has no such column; name it with "
            f"--{request.segment_by}-column"
        )
    framed = framed_rows(len(rows), request.seed, groups=groups)
    judged = [name for name, own in places.items() if _can_be_judged(rows.vectors[own], framed[own])]
    largest = sorted(judged, key=lambda name: -len(places[name]))[:SEGMENTS_KEPT]
    found = {}
    for name in largest:
        own = places[name]
        with _refused_as(f"the segment {name!r}"):
            found[name] = fit_part(
                whole,
                rows.vectors[own],
                is_framed=framed[own],
                groups=_enough(groups, own),
                share=share,
                seed=request.seed,
            )
    return found


def _can_be_judged(vectors: NDArray[np.generic], is_framed: NDArray[np.bool_]) -> bool:
    # A health check that sends one text for ever is no distribution.
    kept = vectors[~is_framed]
    return len(vectors) >= FEWEST_IN_SEGMENT and len(kept) > 0 and not (kept == kept[0]).all()


@contextmanager
def _refused_as(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise SourceError(f"{place}: {exc}") from exc


def _enough(groups: NDArray[np.int64] | None, places: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the windows of the past of some rows, or None where they are in too few."""
    if groups is None:
        return None
    own = groups[places]
    return own if _many_enough(own) else None


def _many_enough(numbers: NDArray[np.int64]) -> bool:
    counts = np.unique(numbers, return_counts=True)[1]
    return int((counts >= _FEWEST_IN_WINDOW).sum()) >= FEWEST_WINDOWS


def _canaries(
    request: CreateRequest,
    rows: Rows,
    clusters: NDArray[np.integer],
    reference: Reference,
    model: LiveModel | None,
) -> Canaries | None:
    if request.canary_of_source:
        return canaries_of_source(rows, clusters, reference, model, seed=request.seed)
    return None if request.canary is None else embedded_canaries(request.canary, reference, model)


def _scores(sample: RowSample) -> ScoreBaseline | None:
    scores = sample.scores()
    return score_baseline(scores) if len(scores) >= FEWEST_SCORES else None


def _examples(rows: Rows, clusters: NDArray[np.integer]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for cluster, text in zip(clusters.tolist(), rows.texts or (), strict=False):
        texts = found.setdefault(cluster, [])
        if text and len(texts) < EXAMPLES_KEPT and text not in texts:
            texts.append(text[:_EXAMPLE_LENGTH])
    return {cluster: tuple(texts) for cluster, texts in sorted(found.items()) if texts}
