"""What a model costs on one machine: raw samples, figures with their doubt, paired ratios.

    fresh child per model ── Sample, ProcessFacts ──> cost.summary ──> CostReport ──> table · JSON · HTML · MLflow

Absent is never 0: a figure that could not be measured is not in the report, and a note says why. Every duration is in
the unit that its name ends in; memory is in MiB (2**20 bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchkit.types.model import Role

CostLevel = Literal["quick", "full"]
CostChoice = Literal["off", "quick", "full"]
CostStatus = Literal["ok", "failed", "skipped"]
SampleKind = Literal["query", "batch", "throughput"]
RatioVerdict = Literal["cheaper", "dearer", "same", "inconclusive"]
LengthClass = Literal["short", "medium", "long"]

# Rounds of the second half of a session count from here; a half has some thousand at most. The number tells the half,
# and no field of its own, so that every file with rounds has the halves too, and an older file has a first half alone.
SECOND_HALF = 1_000_000


def half_of(number: int) -> int:
    """Return the half of its session that a round was in: 0, or 1 for the processes that were started in reverse.

    >>> half_of(191), half_of(SECOND_HALF + 191)
    (0, 1)
    """
    return int(number >= SECOND_HALF)


@dataclass(frozen=True, slots=True)
class TextSource:
    """Texts of one role of one task; the names decide the prompt that the model puts before them."""

    task_name: str
    task_type: str
    role: Role | None
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed call of a model.

    Attributes:
        copy: 0, or 1 for the second process of the same model (the A/A control).
        kind: "query" is one text at a time on one thread; "batch" a step of the batch sweep; "throughput" a pass over
            documents of one length class.
        round: Calls of all models with one round and one kind were made right after each other, in random order; from
            SECOND_HALF on they were made in the second half of the session.
        item: Position of the text (or of the first text) in its source.
        texts: Texts in the call.
        tokens: Tokens in it as the model reads them (after truncation); None without a tokenizer.
        padded_tokens: Tokens that really went through the model, padding included.
        wall_s, cpu_s: Measured inside the child, around `encode` alone; CPU time of the whole child.
    """

    model: str
    copy: int
    kind: SampleKind
    round: int
    item: int
    texts: int
    tokens: int | None
    padded_tokens: int | None
    wall_s: float
    cpu_s: float
    length_class: LengthClass | None = None
    energy_j: float | None = None

    @property
    def half(self) -> int:
        """0, or 1 in the second half of the session, of other processes."""
        return half_of(self.round)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What one fresh child told of itself; None where the system doesn't tell.

    Attributes:
        import_s, load_s: Wall time of importing the libraries, and of loading the model after that.
        first_call_s: Wall time of the first encode.
        import_mib: Peak resident memory (VmHWM) after the imports, before the model.
        loaded_mib: The same after loading; the weights may be mapped and not yet be read.
        peak_mib: The same at the end of all calls.
        uss_mib: Unique set size at the end: memory that would be freed if the process ended.
        model_mib: Bytes of parameters and buffers.
        cuda_allocated_mib, cuda_reserved_mib: Peaks on the CUDA device.
        threads: Threads of the throughput phase.
        engine: The engine that encoded.
    """

    model: str
    copy: int
    import_s: float
    load_s: float
    first_call_s: float | None = None
    import_mib: float | None = None
    loaded_mib: float | None = None
    peak_mib: float | None = None
    uss_mib: float | None = None
    model_mib: float | None = None
    cuda_allocated_mib: float | None = None
    cuda_reserved_mib: float | None = None
    threads: int | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class CostSamples:
    """Everything that one session measured, before any arithmetic.

    Attributes:
        order: Labels of the models, in the order of the comparison.
        processes: A model has one for each half of the session, in that order, and in each group that it was in.
        failures: Why a model has no or not all samples, by label.
    """

    order: tuple[str, ...]
    samples: tuple[Sample, ...]
    processes: tuple[ProcessFacts, ...]
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CostFigure:
    """One number.

    Attributes:
        metric: Path of the number and its unit, as MLflow keeps it: "latency/query/p95_ms".
        ci_low, ci_high: 95 % interval; None where one measurement stands alone (load time, memory).
        n: Measurements behind it.
        cv: Coefficient of variation (standard deviation / mean) of these measurements.
    """

    model: str
    metric: str
    value: float
    unit: str
    n: int = 1
    ci_low: float | None = None
    ci_high: float | None = None
    cv: float | None = None


@dataclass(frozen=True, slots=True)
class CostRatio:
    """Candidate / baseline, paired call by call: the geometric mean of the ratios, with its 95 % interval.

    Attributes:
        metric: "latency/query_cpu" or "latency/query".
        verdict: "dearer" when the whole interval lies above 1 + tolerance, "cheaper" when below 1 / (1 + tolerance),
            "same" when within both, else "inconclusive".
    """

    candidate: str
    baseline: str
    metric: str
    ratio: float
    ci_low: float
    ci_high: float
    n: int
    verdict: RatioVerdict


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What one model costs; figures are in a fixed order, each metric at most once."""

    model: str
    status: CostStatus
    figures: tuple[CostFigure, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    engine: str | None = None

    def figure(self, metric: str) -> CostFigure | None:
        """Return the figure of a metric, or None where it wasn't measured."""
        return next((figure for figure in self.figures if figure.metric == metric), None)


@dataclass(frozen=True, slots=True)
class CostReport:
    """The costs of the models of one comparison, measured in one session on one machine.

    Attributes:
        ratios: Every pair of models (the baseline in the second place where there is one), paired.
        control: Two processes of one model against each other (A/A); its interval is the noise floor of the session.
        unstable: Why the machine was too noisy for a verdict on costs; "" where it was not.
        hardware: What decides a duration: processor, cores, memory, GPU, operating system.
        measured_at: ISO 8601, UTC.
    """

    level: CostLevel
    device: str
    models: tuple[ModelCost, ...]
    ratios: tuple[CostRatio, ...]
    control: tuple[CostRatio, ...]
    unstable: str
    hardware: Mapping[str, str]
    measured_at: str
    seconds: float
    seed: int
    tolerance: float
    warnings: tuple[str, ...] = ()
    from_cache: bool = False

    def of(self, model: str) -> ModelCost | None:
        """Return the costs of a model, or None where it wasn't measured."""
        return next((cost for cost in self.models if cost.model == model), None)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a model may cost at most; None sets no limit. An empty tuple of licences allows every licence."""

    max_p95_ms: float | None = None
    max_memory_mib: float | None = None
    max_bytes_per_vector: int | None = None
    max_dim: int | None = None
    licenses: tuple[str, ...] = ()

    @property
    def is_set(self) -> bool:
        limits = (self.max_p95_ms, self.max_memory_mib, self.max_bytes_per_vector, self.max_dim)
        return bool(self.licenses) or any(limit is not None for limit in limits)


@dataclass(frozen=True, slots=True)
class Price:
    """What computing costs; given in the suite, in any currency.

    Attributes:
        per_hour: Price of the machine for an hour.
        per_million_tokens: Price that an endpoint takes, by the model's label.
    """

    currency: str = "USD"
    per_hour: float | None = None
    per_million_tokens: Mapping[str, float] = field(default_factory=dict)
