"""Making a baseline out of a source.

    Source ── every row: health, scores, times ─┐
           ── a sample, drawn by a seed ── fit ─┼─> Baseline
    canary texts ── model ── vectors ───────────┘

The sample is drawn uniformly from all rows: each row has a random key, and the smallest keys stay. Where rows have
times, the windows of the past (days, or hours of a shorter source) tell how much one differs from the next, and the
null knows that: a Sunday is then no drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.canary_set import Canaries, choose_canaries, make_canaries
from benchkit.drift.health import Health, finite_rows, measure_health
from benchkit.drift.ranking import row_cosines
from benchkit.drift.reference import Reference, assign, fit
from benchkit.drift.scores import FEWEST_SCORES, ScoreBaseline, score_baseline
from benchkit.errors import SourceError, UsageError
from benchkit.monitor.baseline import USUAL, Baseline
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.live_model import LiveModel, encoded
from benchkit.monitor.window import segment_places
from benchkit.types.drift import BaselineInfo, ColumnNames, Rows, Source

MAX_ROWS = 50_000  # in the sample: more of them sharpen no figure that a window of production could use
FEWEST_ROWS = 100
CANARIES_OF_SOURCE = 200
SEGMENTS_KEPT = 20  # with a reference of their own, the largest
FEWEST_IN_SEGMENT = 500
EXAMPLES_KEPT = 5  # of each cluster
_EXAMPLE_LENGTH = 200
_SAME_MODEL = 0.8  # cosine; a prompt that production adds, or other storage, leaves more
FEWEST_WINDOWS = 8  # of the past, to tell how much one differs from the next
_FEWEST_IN_WINDOW = 30
HISTORY_S = {"1w": 604_800, "1d": 86_400, "1h": 3_600}
# Days first, however long the past: weeks hardly differ from each other, and would make an alarm of every Sunday.
_AUTOMATIC = ("1d", "1w", "1h")


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


class _Sample:
    """A uniform sample of all rows seen, and what is counted of every one."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._rng = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._kept: list[Rows] = []
        self._scores: list[NDArray[np.float64]] = []
        self.health: Health | None = None
        self._timed, self._first, self._last = 0, 0, 0  # rows with a time, and the ends of these in microseconds
        self.model = ""
        self.fingerprint = ""

    def add(self, rows: Rows, source: str) -> None:
        """Count some rows and keep what the sample needs of them."""
        self._know_model(rows, source)
        health = measure_health(rows.vectors)
        if self.health is not None and self.health.dimension != health.dimension:
            raise SourceError(
                f"{source}: its rows have {self.health.dimension} dimensions and {health.dimension}; a baseline is of "
                "one model: name the files of one"
            )
        self.health = health if self.health is None else self.health + health
        if rows.scores is not None:
            self._scores.append(rows.scores[np.isfinite(rows.scores)])
        if rows.times is not None:
            self._time(rows.times[~np.isnat(rows.times)].astype("datetime64[us]").astype(np.int64))
        self._keep(rows.take(finite_rows(rows.vectors)))

    def _time(self, times: NDArray[np.int64]) -> None:
        if len(times):
            first, last = int(times.min()), int(times.max())
            self._first, self._last = (min(self._first, first), max(self._last, last)) if self._timed else (first, last)
            self._timed += len(times)

    @property
    def rows_per_s(self) -> float | None:
        """Usual volume; None where fewer than two moments are known."""
        span = self._last - self._first
        return self._timed * 1e6 / span if span else None

    def _know_model(self, rows: Rows, source: str) -> None:
        if rows.fingerprint and self.fingerprint and rows.fingerprint != self.fingerprint:
            raise SourceError(
                f"{source}: its files are of two models ({self.model}, {rows.model}); a baseline is of one: name the "
                "files of one model"
            )
        self.model, self.fingerprint = rows.model or self.model, rows.fingerprint or self.fingerprint

    def _keep(self, rows: Rows) -> None:
        keys = self._rng.random(len(rows))
        if len(self._keys) >= self._most:
            limit = np.partition(self._keys, self._most - 1)[self._most - 1]
            wanted = keys < limit
            keys, rows = keys[wanted], rows.take(wanted)
        if not len(rows):
            return
        self._keys = np.concatenate([self._keys, keys])
        self._kept.append(rows)
        # Not at every batch: twice the sample is held before the larger half is thrown away.
        if len(self._keys) > 2 * self._most:
            self._cut()

    def _cut(self) -> None:
        whole = joined(self._kept)
        smallest = np.sort(np.argsort(self._keys, kind="stable")[: self._most])
        self._keys, self._kept = self._keys[smallest], [whole.take(smallest)]

    def rows(self) -> Rows:
        """Return the sample, in the order of the source."""
        if len(self._keys) > self._most:
            self._cut()
        return joined(self._kept)

    def scores(self) -> NDArray[np.float64]:
        return np.concatenate(self._scores) if self._scores else np.empty(0)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return rows one after the other; a column that a part lacks is lost."""
    if len(parts) == 1:
        return parts[0]

    def column(name: str) -> tuple[str, ...] | None:
        found = [getattr(part, name) for part in parts]
        return None if any(each is None for each in found) else tuple(value for each in found for value in each)

    times = [part.times for part in parts if part.times is not None]
    scores = [part.scores for part in parts if part.scores is not None]
    return Rows(
        vectors=np.concatenate([part.vectors for part in parts]),
        times=np.concatenate(times) if len(times) == len(parts) else None,
        ids=column("ids"),
        texts=column("texts"),
        segments=column("segments"),
        roles=column("roles"),
        scores=np.concatenate(scores) if len(scores) == len(parts) else None,
    )


def create_baseline(source: Source, request: CreateRequest, *, model: LiveModel | None = None) -> Baseline:
    """Read a source and make a baseline of it; nothing is written.

    Raises:
        SourceError: the source can't be read, has too few rows or mixed dimensions, or texts without a model.
        UsageError: canaries without a model, or ones of another dimension than the source's vectors.
        ModelError: the model failed.
    """
    sample = _Sample(request.max_rows, request.seed)
    for rows in encoded(source.read(), model, source.name):
        if len(rows):
            sample.add(rows, source.name)
    rows = _checked(sample, source)
    vectors = rows.vectors.astype(np.float32, copy=False)
    groups = past_windows(rows.times, request.history)
    reference = _fitted(source.name, vectors, groups, request.seed)
    clusters = assign(reference, vectors)
    canaries = _canaries(request, rows, clusters, reference, model)
    assert sample.health is not None
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
        segments=_segments(request, rows, groups),
        rows_per_s=sample.rows_per_s,
        model_spec=model.spec if model else "",
    )


def _checked(sample: _Sample, source: Source) -> Rows:
    good = 0 if sample.health is None else sample.health.good
    if good < FEWEST_ROWS:
        found = 0 if sample.health is None else sample.health.rows
        raise SourceError(
            f"{source.name}: {found} rows, {good} of them without NaN, infinity or zero vectors; a baseline needs "
            f"{FEWEST_ROWS}, and a few thousand to see small changes"
        )
    return sample.rows()


def past_windows(times: NDArray[np.datetime64] | None, history: str) -> NDArray[np.int64] | None:
    """Return the window of the past that each row is of (n,), numbered from 0; None without any.

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
        number = times.astype("datetime64[s]").astype(np.int64) // length
        _, of_row, counts = np.unique(number, return_inverse=True, return_counts=True)
        large = counts >= _FEWEST_IN_WINDOW
        if large.sum() >= FEWEST_WINDOWS:
            return of_row.astype(np.int64)
    if history == "auto":
        return None
    raise UsageError(
        f"--history {history}: fewer than {FEWEST_WINDOWS} windows of that length with {_FEWEST_IN_WINDOW} rows; "
        "take a shorter one or --history none"
    )


def _segments(request: CreateRequest, rows: Rows, groups: NDArray[np.int64] | None) -> dict[str, Reference]:
    if not request.segment_by:
        return {}
    places = segment_places(rows, request.segment_by)
    if not places:
        raise UsageError(
            f"--segment-by {request.segment_by}: the source has no such column; name it with "
            f"--{request.segment_by}-column"
        )
    large = sorted((name for name in places if _can_be_judged(rows, places[name])), key=lambda name: -len(places[name]))
    return {
        name: _fitted(
            f"the segment {name!r}",
            rows.vectors[places[name]].astype(np.float32),
            _enough(groups, places[name]),
            request.seed,
        )
        for name in large[:SEGMENTS_KEPT]
    }


def _can_be_judged(rows: Rows, places: NDArray[np.int64]) -> bool:
    # A health check that sends one text for ever is no distribution.
    return len(places) >= FEWEST_IN_SEGMENT and not (rows.vectors[places] == rows.vectors[places[0]]).all()


def _fitted(place: str, vectors: NDArray[np.float32], groups: NDArray[np.int64] | None, seed: int) -> Reference:
    try:
        return fit(vectors, groups=groups, seed=seed)
    except ValueError as exc:
        raise SourceError(f"{place}: {exc}") from exc


def _enough(groups: NDArray[np.int64] | None, places: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the windows of the past of some rows, or None where they are in too few."""
    if groups is None:
        return None
    own = groups[places]
    return own if (np.bincount(own) >= _FEWEST_IN_WINDOW).sum() >= FEWEST_WINDOWS else None


def _canaries(
    request: CreateRequest,
    rows: Rows,
    clusters: NDArray[np.integer],
    reference: Reference,
    model: LiveModel | None,
) -> Canaries | None:
    wanted = _of_source(rows, clusters, request.seed) if request.canary_of_source else request.canary
    if wanted is None:
        return None
    if model is None:
        raise UsageError(
            "--canary needs the model that production uses, to embed them now and at every check: --model NAME"
        )
    vectors = model.encode(wanted.texts, wanted.roles if wanted.queries is not None else None)
    if vectors.shape[1] != reference.dimension:
        raise UsageError(
            f"--model {model.spec} gives {vectors.shape[1]} dimensions and the source has {reference.dimension}: it is "
            "not the model of these vectors"
        )
    if request.canary_of_source:
        _check_same_model(rows, wanted.texts, vectors, model.spec)
    try:
        return make_canaries(
            wanted.texts,
            vectors,
            clusters=assign(reference, vectors),
            similarity=model.similarity,
            queries=wanted.queries,
            qrels=wanted.qrels,
        )
    except ValueError as exc:
        raise UsageError(f"--canary: {exc}") from exc


def _check_same_model(rows: Rows, texts: Sequence[str], vectors: NDArray[np.float32], spec: str) -> None:
    """Refuse a model that gives the source's own texts other vectors than the source has."""
    stored = {text: vector for text, vector in zip(rows.texts or (), rows.vectors, strict=False) if text}
    alike = float(row_cosines(np.stack([stored[text] for text in texts]).astype(np.float32), vectors).mean())
    if alike < _SAME_MODEL:
        raise UsageError(
            f"--model {spec} isn't the model of these vectors: it gives {len(texts)} of the source's texts others "
            f"(mean cosine {alike:.2f}); name the model that production uses"
        )


def _of_source(rows: Rows, clusters: NDArray[np.integer], seed: int) -> CanaryTexts:
    if rows.texts is None or not any(rows.texts):
        raise UsageError("--canary source: the source has no texts; give a file or a suite")
    with_text = np.array([bool(text) for text in rows.texts])
    places = np.flatnonzero(with_text)
    chosen = places[
        choose_canaries(rows.vectors[places].astype(np.float32), clusters[places], CANARIES_OF_SOURCE, seed=seed)
    ]
    return CanaryTexts(tuple(dict.fromkeys(str(rows.texts[place]) for place in chosen)))


def _scores(sample: _Sample) -> ScoreBaseline | None:
    scores = sample.scores()
    return score_baseline(scores) if len(scores) >= FEWEST_SCORES else None


def _examples(rows: Rows, clusters: NDArray[np.integer]) -> dict[int, tuple[str, ...]]:
    found: dict[int, list[str]] = {}
    for cluster, text in zip(clusters.tolist(), rows.texts or (), strict=False):
        texts = found.setdefault(cluster, [])
        if text and len(texts) < EXAMPLES_KEPT and text not in texts:
            texts.append(text[:_EXAMPLE_LENGTH])
    return {cluster: tuple(texts) for cluster, texts in sorted(found.items()) if texts}
