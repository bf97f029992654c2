"""Two sources, a sample of each, and named methods: do they come from one distribution?

    reference, current ── rows that are finite ── a uniform sample ── DrawnRows ─┐
    "mmd", "ks" ── open_detector ────────────────────────────────────────────────┴─ compare ── Holm ──> TwoSampleReport

This is a plain test of independent rows. It has no memory of windows and knows nothing of weekdays, of harm or of what
changed: a baseline and `drift check` do. Methods see the same rows; their p-values are corrected for their number, so
one false alarm of any of them happens in at most `alpha` of all cases.

Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
Cost: reading; twice the sample in memory; then that of the methods, see benchkit.drift.detectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.health import finite_rows
from benchkit.errors import NotComparable, SourceError, UsageError
from benchkit.measure.decide import ALPHA, holm
from benchkit.monitor.baseline import USUAL
from benchkit.plugins import open_detector
from benchkit.types.drift import ColumnNames, DetectorResult, DriftDetector, Source

USUAL_ROWS = 2_000  # exact MMD takes seconds on so many, and sees 5 % of a new domain
SMALLEST_ALPHA = 0.001  # a permutation test needs 1 / alpha relabellings for each method
_REFERENCE, _CURRENT = 0, 1
_ROUNDED = 1 + 1e-12  # 3 · (1 / 60) is not 0.05

OpenDetector = Callable[..., DriftDetector]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRows:
    """A uniform sample of the finite rows of a source.

    Attributes:
        vectors: float32 or float64 (n, d), in the order of the source.
        rows: Rows of the source.
        broken: Rows of it with a NaN or an infinity, which are left out.
    """

    source: str
    vectors: NDArray[np.floating]
    rows: int
    broken: int


@dataclass(frozen=True, slots=True)
class SampleInfo:
    """What was compared of a source.

    Attributes:
        rows, broken: As of `DrawnRows`.
        drawn: Rows in the sample.
    """

    source: str
    rows: int
    broken: int
    drawn: int
    dimension: int


@dataclass(frozen=True, slots=True)
class MethodVerdict:
    """What one method says.

    Attributes:
        result: Of this method alone.
        p_holm: Its p-value, corrected for the number of methods; None of one without a p-value.
        drifted: Whether `p_holm` is at most alpha; of a method without a p-value, what its threshold says.
    """

    result: DetectorResult
    p_holm: float | None
    drifted: bool


@dataclass(frozen=True, slots=True)
class TwoSampleReport:
    """What the methods say of two samples, in the order in which they were asked for."""

    reference: SampleInfo
    current: SampleInfo
    alpha: float
    seed: int
    methods: tuple[MethodVerdict, ...]

    @property
    def drifted(self) -> bool:
        return any(method.drifted for method in self.methods)


# ------------------------------------------------------------ methods


def open_methods(
    names: Sequence[str], *, alpha: float = ALPHA, opener: OpenDetector = open_detector
) -> tuple[DriftDetector, ...]:
    """Make the detectors of these names, with as many permutations as Holm's correction needs at least.

    Raises:
        UsageError: no name, one that is there twice, or an alpha below 0.001 or not below 1.
        PluginError: no such detector, or it can't be used.
    """
    if not SMALLEST_ALPHA <= alpha < 1.0:
        raise UsageError(f"an alpha of {alpha:g}; allowed: {SMALLEST_ALPHA:g} to below 1")
    if not names:
        raise UsageError("no method named; `benchkit plugins` lists those of benchkit.detectors")
    if doubled := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise UsageError(f"the method {doubled!r} is named twice")
    # The smallest p-value of B permutations is 1 / (1 + B), and Holm multiplies it by the number of methods.
    needed = math.ceil(len(names) / (alpha * _ROUNDED)) - 1
    made = [opener(name) for name in names]
    return tuple(
        opener(name, permutations=needed) if 0 < getattr(detector, "permutations", 0) < needed else detector
        for name, detector in zip(names, made, strict=True)
    )


# ------------------------------------------------------------ rows


def draw_rows(source: Source, *, most: int = USUAL_ROWS, seed: int = 0, side: int = _REFERENCE) -> DrawnRows:
    """Draw up to `most` finite rows of a source, each as likely as any other.

    Each row has a random key, and the rows of the smallest keys stay; so the size of batches decides nothing.

    Args:
        side: 0 of a reference and 1 of a current source, which get keys of their own.

    Raises:
        SourceError: the source can't be read, has vectors of two dimensions, or texts but no vectors.
        ValueError: `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"at least one row is drawn, got most={most}")
    rng = np.random.default_rng([seed, side])
    keys, kept = np.empty(0), np.empty((0, 0), np.float32)
    rows = broken = 0
    for batch in source.read():
        if not len(batch):
            continue
        if not batch.vectors.shape[1]:
            raise SourceError(
                f"{source.name}: there are texts but no vectors; encode them first, or make a baseline with --model"
            )
        good = finite_rows(batch.vectors)
        rows, broken = rows + len(batch), broken + int((~good).sum())
        vectors = _floats(batch.vectors[good])
        if kept.shape[1] not in (0, vectors.shape[1]):
            raise SourceError(
                f"{source.name}: its rows have {kept.shape[1]} dimensions and {vectors.shape[1]}: name the files of "
                "one model"
            )
        keys = np.concatenate([keys, rng.random(len(vectors))])
        kept = np.concatenate([kept, vectors]) if kept.shape[1] else vectors
        if len(keys) > most:
            # Sorted places, so that the sample stays in the order of the source.
            stays = np.sort(np.argsort(keys, kind="stable")[:most])
            keys, kept = keys[stays], kept[stays]
    return DrawnRows(source.name, kept, rows, broken)


def _floats(vectors: NDArray[np.generic]) -> NDArray[np.floating]:
    return vectors.astype(np.float64 if vectors.dtype == np.float64 else np.float32)


# ------------------------------------------------------------ the comparison


def compare_samples(
    reference: DrawnRows,
    current: DrawnRows,
    methods: Sequence[DriftDetector],
    *,
    alpha: float = ALPHA,
    seed: int = 0,
) -> TwoSampleReport:
    """Compare two samples with each method.

    Args:
        methods: See `open_methods`.
        alpha: Chance of a false alarm, of all methods with a p-value together.
        seed: Of what the methods draw.

    Raises:
        NotComparable: the dimensions differ.
        SourceError: a method refuses the rows: too few, or too large values.
    """
    infos = [_info(reference), _info(current)]
    for info in infos:
        if not info.drawn:
            raise SourceError(f"{info.source}: {info.rows} rows, none of them finite; there is nothing to compare")
    if infos[_REFERENCE].dimension != infos[_CURRENT].dimension:
        raise NotComparable(
            f"dimensions differ: {infos[0].source} has {infos[0].dimension}, {infos[1].source} {infos[1].dimension}; "
            "compare vectors of one model"
        )
    results = [_compared(method, reference, current, alpha=alpha, seed=seed) for method in methods]
    corrected = holm([result.p_value for result in results])
    return TwoSampleReport(
        reference=infos[_REFERENCE],
        current=infos[_CURRENT],
        alpha=alpha,
        seed=seed,
        methods=tuple(
            MethodVerdict(result, p_holm, result.drifted if p_holm is None else p_holm <= alpha * _ROUNDED)
            for result, p_holm in zip(results, corrected, strict=True)
        ),
    )


def _info(drawn: DrawnRows) -> SampleInfo:
    return SampleInfo(drawn.source, drawn.rows, drawn.broken, *drawn.vectors.shape)


def _compared(
    method: DriftDetector, reference: DrawnRows, current: DrawnRows, *, alpha: float, seed: int
) -> DetectorResult:
    try:
        return method.compare(reference.vectors, current.vectors, alpha=alpha, seed=seed)
    except ValueError as exc:
        raise SourceError(f"{method.name} can't compare {reference.source} with {current.source}: {exc}") from exc


@dataclass(frozen=True, slots=True)
class TwoSampleRequest:
    """Two sources to compare, as they were asked for.

    Attributes:
        rows: Drawn of each source, at most.
        query: For sources of postgresql://.
    """

    reference: str
    current: str
    methods: tuple[str, ...]
    rows: int = USUAL_ROWS
    alpha: float = ALPHA
    columns: ColumnNames = USUAL
    dimension: int | None = None
    query: str | None = None
    seed: int = 0


def run(request: TwoSampleRequest) -> TwoSampleReport:
    """Read both sources and compare them.

    Raises:
        UsageError: see `open_methods`, `draw_rows`, or a source of a kind that isn't known.
        NotComparable: the dimensions differ.
    """
    from benchkit.sources.open import open_source

    methods = open_methods(request.methods, alpha=request.alpha)  # a wrong name is told before anything is read
    specs = (request.reference, request.current)
    queries = _queries(specs, request.query)
    sources = [
        open_source(spec, columns=request.columns, dimension=request.dimension, query=queries[spec]) for spec in specs
    ]
    reference, current = (
        draw_rows(source, most=request.rows, seed=request.seed, side=side) for side, source in enumerate(sources)
    )
    return compare_samples(reference, current, methods, alpha=request.alpha, seed=request.seed)


def _queries(specs: Sequence[str], query: str | None) -> Mapping[str, str | None]:
    """Return the query for those that are a database's; for all where none is, so that it is refused."""
    asked = [spec for spec in specs if spec.strip().lower().startswith("postgres")] or specs
    return {spec: query if spec in asked else None for spec in specs}
