"""What a drift monitor reads, what it asks, and what it says of a window of production embeddings.

    Source ── Rows ── window sketch ─┐
    Baseline (sketch, null, canaries) ┴── judge ──> DriftReport ── exit code, table, JSON, page, MLflow, alert

A window is the rows of a time span or a number of rows. Everything kept of it is additive, so windows, partitions and
machines combine exactly. Cosines and shares are between 0 and 1, times are UTC, vectors are as production wrote them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Role = Literal["query", "document"]
# What changed: what is embedded, what embeds it, its arithmetic, or the way between.
ChangeKind = Literal["none", "data", "model", "numeric", "pipeline"]
DriftSeverity = Literal["ok", "info", "warn", "critical"]
OUTSIDE = -1  # as a cluster: rows that lie far from every region of the baseline
DRIFT_SEVERITIES: tuple[DriftSeverity, ...] = ("ok", "info", "warn", "critical")
# Pictures of where a window lies: the plane of the principal directions, and beside it one by UMAP.
LayoutName = Literal["pca", "umap"]


# ------------------------------------------------------------ what is read


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows of a source, in its order.

    Attributes:
        vectors: (n, d), float16, float32, float64 or int8 as stored; (n, 0) of a source of texts alone.
        times: datetime64[us] in UTC (n,), NaT where a row has none; None where the source has no such column.
        ids, texts, segments, roles: One entry for each row, or None where the source has no such column.
        scores: Retrieval score of the best hit (n,), NaN where a row has none.
        end: Where reading goes on after these rows; what `Source.read` takes.
        model, fingerprint: How the file says its vectors were made and the content identity of that model; "" where it
            says nothing.
        sampling: Share of what was embedded that the file says it keeps; 1 where it says nothing.
    """

    vectors: NDArray[np.generic]
    times: NDArray[np.datetime64] | None = None
    ids: tuple[str, ...] | None = None
    texts: tuple[str | None, ...] | None = None
    segments: tuple[str | None, ...] | None = None
    roles: tuple[str | None, ...] | None = None
    scores: NDArray[np.float64] | None = None
    end: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    fingerprint: str = ""
    sampling: float = 1.0

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[np.generic] | slice) -> Rows:
        """Return some of the rows: a slice, a mask or positions; `end` stays."""
        picked = np.arange(len(self))[rows]

        def of(column: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
            return None if column is None else tuple(column[place] for place in picked)

        return Rows(
            vectors=self.vectors[picked],
            times=None if self.times is None else self.times[picked],
            ids=of(self.ids),
            texts=of(self.texts),
            segments=of(self.segments),
            roles=of(self.roles),
            scores=None if self.scores is None else self.scores[picked],
            end=self.end,
            model=self.model,
            fingerprint=self.fingerprint,
            sampling=self.sampling,
        )


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column of a source is what; None takes the first usual name that is there ("embedding", "vector", ...)."""

    vector: str | None = None
    time: str | None = None
    id: str | None = None
    text: str | None = None
    segment: str | None = None
    role: str | None = None
    score: str | None = None

    def over(self, others: ColumnNames) -> ColumnNames:
        """Return these names, and the others' where these say nothing."""
        return ColumnNames(*(getattr(self, key.name) or getattr(others, key.name) for key in fields(self)))


@runtime_checkable
class Source(Protocol):
    """Where production embeddings are read from.

    Attributes:
        name: How people know it: the path or URL without any secret.
        is_ordered: Rows come in the order in which they were written, and a place that was read stays what it was.
    """

    name: str
    is_ordered: bool

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield the rows that are there, from the start or from behind `after` (an earlier `Rows.end`).

        Raises:
            SourceError: a file or table can't be read, or has changed behind `after`.
        """
        ...


# ------------------------------------------------------------ what is asked


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """When a window is an alarm.

    Attributes:
        false_alarms: Of single checks: the share of unchanged windows that may be called drift.
        run_length: Of a watch: windows between two false alarms, at least, on the average.
        tolerance: Share of rows that may be replaced before a change counts; 0 asks for any change.
        min_rows: Fewer rows are looked at for broken vectors only; no test says anything about so few.
        fail_on: The least severity that breaks the policy.
        max_bad_share: Share of rows that may be NaN, infinite or zero.
        warn_overlap, critical_overlap: Neighbour overlap@10 of canaries below which a changed model harms.
        warn_score_drop: Growth of the share of queries under the baseline's 5th percentile that harms: 0.05 is from
            5 % to 10 %.
    """

    false_alarms: float = 0.01
    run_length: int = 1000
    tolerance: float = 0.0
    min_rows: int = 30
    fail_on: DriftSeverity = "warn"
    max_bad_share: float = 0.0
    warn_overlap: float = 0.90
    critical_overlap: float = 0.60
    warn_score_drop: float = 0.05


# ------------------------------------------------------------ what is said


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One fact about the rows themselves that isn't as in the baseline.

    Attributes:
        name: "nonfinite", "zero", "norm", "duplicates", "dead_directions", "dtype", "precision", "constant", "volume".
        found, expected: In the finding's unit: shares, norms.
        kind: What such a finding points to.
        sentence: For people, with both figures.
    """

    name: str
    severity: DriftSeverity
    kind: ChangeKind
    found: float
    expected: float
    sentence: str


@dataclass(frozen=True, slots=True)
class StatisticResult:
    """One statistic of a window against the baseline.

    Attributes:
        p_value: Chance of such a value or a larger one on an unchanged window of this size.
        effect: Size of the change, which does not grow with the rows, in `unit`.
    """

    name: str
    value: float
    p_value: float
    effect: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the windows so far say together.

    Attributes:
        e_value: Of this window alone; its mean is at most 1 as long as nothing changes.
        detector: The Shiryaev-Roberts sum; an alarm at `run_length`.
        windows: How many it is of.
    """

    e_value: float
    detector: float
    run_length: int
    windows: int

    @property
    def is_alarm(self) -> bool:
        return self.detector >= self.run_length


def evidence_words(detector: float) -> str:
    """Return a detector's sum, cut and not rounded, so that it never seems to reach an alarm that it doesn't.

    >>> evidence_words(999.96), evidence_words(4321.75), evidence_words(0.996)
    ('999', '4,321', '0.99')
    """
    if not detector < 1e12:  # NaN and infinity too
        return f"{detector:.3g}"
    return f"{math.floor(detector):,}" if detector >= 10 else f"{math.floor(100 * detector) / 100:.2f}"


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """A region of the baseline's space that more or fewer rows fall into than before.

    Attributes:
        cluster: The region's number; OUTSIDE for rows that are as far from every region as few rows used to be.
        baseline_share, window_share: Of rows.
        z: Standard errors between the two.
        keywords, examples: Of the window's own rows there, if texts may be shown; the nearest kept baseline texts else.
    """

    cluster: int
    baseline_share: float
    window_share: float
    z: float
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    baseline_examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """A segment's own test.

    Attributes:
        e_value: In a check, of `p_value`; in a watch, of the segment's windows so far.
        is_alarm: By Holm's correction in a check; in a watch by e-BH on the segments' own sums: at most one is falsely
            told in 1,000 windows on the average, for all segments together.
    """

    segment: str
    rows: int
    p_value: float | None
    e_value: float | None
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class SegmentDriver:
    """What one segment adds to the shift of the mean of all rows.

    Attributes:
        part: Of the whole shift, along its direction; the parts of all segments add up to 1, some may be negative.
        moved: The portion of `part` that comes of other vectors within the segment; the rest comes of its share.
        baseline_share, window_share: Of rows.
    """

    segment: str
    part: float
    moved: float
    baseline_share: float
    window_share: float


@dataclass(frozen=True, slots=True)
class CanaryChange:
    """What a change of the model does to one canary.

    Attributes:
        text: As the canary set stores it; "" where it keeps none.
        identity: Cosine of its vector now and in the baseline.
        overlap_at_10: Share of its ten nearest canaries that stay, all vectors new.
        nearest_before, nearest_now: Text of its nearest canary with the stored vectors and with the new ones.
    """

    text: str
    identity: float
    overlap_at_10: float
    nearest_before: str
    nearest_now: str


@dataclass(frozen=True, slots=True)
class Harm:
    """What a change does to retrieval, measured on canaries or on production's own scores.

    Attributes:
        n_canaries: Texts that were embedded again; 0 where there are none.
        identity: Mean cosine of a canary's vector now and in the baseline; 1 is the same model.
        worst_identity: The smallest of these.
        is_noise: Whether canaries changed independently of those like them and about equally much, as vectors do that
            are rounded or noisy; None where none changed or they are too few to tell.
        overlap_at_10: Share of the ten nearest stored canaries that stay, all vectors new.
        mixed_overlap_at_10: The same for new vectors searched among the stored ones: the live index.
        top1_agreement: Share of canaries whose nearest neighbour stays, new vectors among the stored ones.
        pseudo_label_accuracy: Share whose nearest stored neighbour is of their own baseline cluster.
        pseudo_label_before: The same with the stored vectors.
        ndcg_at_10, ndcg_before, ndcg_change_low, ndcg_change_high: Where judgements exist, with the 95 % interval of
            the change.
        low_score_share: Share of queries whose best hit scores under the baseline's 5th percentile; 0.05 is no change.
        low_score_p: Of a larger share; None without scores.
        worst: The canaries that changed most, at most ten; the smallest overlap first, then the smallest identity.
    """

    n_canaries: int = 0
    identity: float | None = None
    worst_identity: float | None = None
    overlap_at_10: float | None = None
    mixed_overlap_at_10: float | None = None
    top1_agreement: float | None = None
    pseudo_label_accuracy: float | None = None
    pseudo_label_before: float | None = None
    ndcg_at_10: float | None = None
    ndcg_before: float | None = None
    ndcg_change_low: float | None = None
    ndcg_change_high: float | None = None
    low_score_share: float | None = None
    low_score_p: float | None = None
    worst: tuple[CanaryChange, ...] = ()
    is_noise: bool | None = None


@dataclass(frozen=True, slots=True)
class ProjectedRegion:
    """A region of the baseline's space as a point of the plane, with the share of rows that fall into it."""

    cluster: int
    x: float
    y: float
    baseline_share: float
    window_share: float


@dataclass(frozen=True, slots=True)
class RegionPlace:
    """Where a picture has a region of the baseline; between 0 and 1 on both axes."""

    cluster: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Projection:
    """Baseline and window in one plane, whose axes are the baseline's first two principal directions.

    The axes, `x_range` and `y_range` are the baseline's, so that windows can be held against each other.

    Attributes:
        regions: Every region of the baseline, at its centre.
        window: Some of the window's rows, drawn evenly; at most 200.
        x_range, y_range: Where nearly all rows of the baseline lie; rows of a window may lie outside.
        explained: Share of the baseline's variance that the plane shows; between 0 and 1.
        layout: The regions in another picture, by UMAP; () unless asked for. It illustrates which are neighbours, and
            its distances mean nothing.
    """

    regions: tuple[ProjectedRegion, ...]
    window: tuple[tuple[float, float], ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    explained: float
    layout: tuple[RegionPlace, ...] = ()


@dataclass(frozen=True, slots=True)
class BaselineInfo:
    """A stored baseline, for people and for `NotComparable`.

    Attributes:
        model: How the vectors' model is known; "" where nobody said.
        fingerprint: Content identity of that model; "" likewise.
        n_windows: Historical windows that its null knows; 0 takes rows as independent.
        bytes: Size on disk.
    """

    name: str
    created: str
    source: str
    rows: int
    dimension: int
    model: str = ""
    fingerprint: str = ""
    n_canaries: int = 0
    n_windows: int = 0
    digest: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class WindowInfo:
    """Which rows were looked at.

    Attributes:
        start, end: Times of the first and last row (ISO 8601, UTC), or "" where rows have none; of a span of time
            without rows its own.
        model, fingerprint: What the rows say made them; "" where they say nothing.
    """

    source: str
    rows: int
    start: str = ""
    end: str = ""
    number: int = 0
    model: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What one window says.

    Attributes:
        p_value: Of all statistics together, calibrated jointly; None of a window too small for a test.
        kind, severity: What changed and how bad it is.
        reason, advice: A sentence each: why this severity, and what to do.
        breaks_policy: What the exit code says.
        projection: Baseline and window in one plane; None of an older report, or where the window has no finite row.
        drivers: Which segments make the change of the data, the largest part first; none where nothing changed.
    """

    baseline: BaselineInfo
    window: WindowInfo
    policy: DriftPolicy
    kind: ChangeKind
    severity: DriftSeverity
    reason: str
    advice: str
    breaks_policy: bool
    p_value: float | None
    checked_at: str
    health: tuple[HealthFinding, ...] = ()
    statistics: tuple[StatisticResult, ...] = ()
    evidence: Evidence | None = None
    harm: Harm | None = None
    clusters: tuple[ClusterChange, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    notes: tuple[str, ...] = ()
    projection: Projection | None = None
    drivers: tuple[SegmentDriver, ...] = ()


# ------------------------------------------------------------ plug-ins


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """What a named method says of two samples.

    Attributes:
        p_value: None of a method that has no null (PSI, Fréchet distance): `threshold` decides then.
        threshold: Of the statistic, for `drifted`.
        n_reference, n_current: Rows that were given.
        used_reference, used_current: Rows that were compared, where a method draws some of many; None is all.
    """

    method: str
    statistic: float
    p_value: float | None
    threshold: float | None
    drifted: bool
    n_reference: int
    n_current: int
    used_reference: int | None = None
    used_current: int | None = None


@runtime_checkable
class DriftDetector(Protocol):
    """A named two-sample method; made by its entry point, which takes its options as keywords.

    Attributes:
        name: As registered.
        paper: The source of the method.
        has_p_value: Whether it promises a false-alarm rate.
    """

    name: str
    paper: str
    has_p_value: bool

    def compare(
        self, reference: NDArray[np.floating], current: NDArray[np.floating], *, alpha: float = 0.05, seed: int = 0
    ) -> DetectorResult:
        """Compare two samples, (n, d) and (m, d).

        Raises:
            ValueError: dimensions differ, a value isn't finite, or there are too few rows.
        """
        ...
