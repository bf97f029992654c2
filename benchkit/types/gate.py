"""What a gate asks of a candidate, what it is held against, and what it found.

    Policy (rules) ──┐
    Scored candidate ─┼── gate ──> RuleResult for each rule ── worst ──> GateReport ── exit code, table, JUnit, JSON
    Scored baseline ──┘

One place decides: the verdict of a report is the worst of its blocking rules, and every output reads it from there.
Scores are on MTEB's scale (0 to 1, correlations -1 to 1); 0.01 is one point. Times are in seconds, memory in MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.cost import CostReport, CostSamples
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult

# Of a rule that could be judged or should have been; "skipped" of one that doesn't apply here, which always says why
# and never counts as passed.
RuleVerdict = Literal["pass", "inconclusive", "fail", "error", "skipped"]
GateVerdict = Literal["pass", "inconclusive", "fail", "error"]
Severity = Literal["block", "warn"]
RuleGroup = Literal["quality", "cost", "limits", "compatibility"]
OnInconclusive = Literal["fail", "warn"]
CostMetric = Literal["query_latency_p50", "query_latency_p95", "throughput", "peak_memory", "load_time"]
COST_METRICS: tuple[CostMetric, ...] = (
    "query_latency_p50",
    "query_latency_p95",
    "throughput",
    "peak_memory",
    "load_time",
)


# ------------------------------------------------------------ policy


@dataclass(frozen=True, slots=True)
class QualityRule:
    """The candidate may be worse by less than the margin, and the data have to show it.

    Attributes:
        on: "mean" over all tasks; "task:GLOB", one rule for each task whose name matches; "slice:KEY=VALUE", the items
            of all tasks that carry this value.
        margin: Largest regression that is accepted (score units, above 0).
    """

    on: str
    margin: float
    severity: Severity = "block"


@dataclass(frozen=True, slots=True)
class CostRule:
    """A bound on a ratio candidate / baseline, on an absolute figure, or on both; None sets no bound.

    Attributes:
        max_ratio: For what should be small: times and memory.
        min_ratio: For what should be large: throughput.
        max_value: In the metric's own unit: ms for latency, MiB for memory, s for the load.
        min_value: texts/s for throughput.
    """

    metric: CostMetric
    max_ratio: float | None = None
    min_ratio: float | None = None
    max_value: float | None = None
    min_value: float | None = None
    severity: Severity = "block"


@dataclass(frozen=True, slots=True)
class LimitRules:
    """What must simply hold; None or False asks nothing.

    Attributes:
        licenses: Allowed licences; () allows every one.
        deterministic: One text gives one vector, alone, again, and in a batch.
        finite: No NaN or infinity in any vector of the probe.
        normalized: Unit length as the baseline has it or not, or unit length in any case.
    """

    dimension_equal: bool = False
    max_dimension: int | None = None
    max_bytes_per_vector: int | None = None
    licenses: tuple[str, ...] = ()
    deterministic: bool = False
    finite: bool = False
    normalized: Literal["same_as_baseline", "yes"] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of a gate.

    Attributes:
        same_space: What it means when new queries can't search the old index: nothing, a warning, or a block.
        source: Where it was written: "the default policy", or a file.
    """

    quality: tuple[QualityRule, ...] = ()
    cost: tuple[CostRule, ...] = ()
    limits: LimitRules = LimitRules()
    same_space: Literal["ignore", "warn", "block"] = "ignore"
    source: str = "the default policy"

    @property
    def is_default(self) -> bool:
        return self.source == DEFAULT_SOURCE


DEFAULT_SOURCE = "the default policy"
DEFAULT_POLICY = Policy(
    quality=(QualityRule("mean", 0.005), QualityRule("task:*", 0.02)),
    cost=(
        CostRule("query_latency_p50", max_ratio=1.10),
        CostRule("throughput", min_ratio=0.90),
        CostRule("peak_memory", max_ratio=1.10),
    ),
    limits=LimitRules(dimension_equal=True, deterministic=True, finite=True, normalized="same_as_baseline"),
    same_space="warn",
    source=DEFAULT_SOURCE,
)


# ------------------------------------------------------------ what is held against each other


@dataclass(frozen=True, slots=True)
class ProbeFacts:
    """What encoding a few fixed texts showed of a model.

    Attributes:
        n_texts: Texts that were encoded.
        finite: Every number of every vector is finite.
        normalized: Every vector has unit length (within 1e-3).
        max_difference: Largest absolute difference between two vectors of one text: twice the same call, alone and in
            a batch, in another order; None where a vector isn't finite.
        deterministic: That difference is within what the order of additions explains (1e-4).
    """

    n_texts: int
    finite: bool
    normalized: bool
    max_difference: float | None
    deterministic: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A model with its scores on a suite, as a gate compares it: just measured, or read from a file.

    Attributes:
        asked_as: How it was asked for, so that it can be opened again: "minilm@dim=128", "./checkpoint".
        cells: One for each task, with the scores of its items.
        tags: Metadata of the items by (task, "split/subset") and key, an array of text (n,) each, "" for none; in the
            order of the items.
        left_out: By task: why keys are not in its tags, though its items have them; each sentence begins with the key.
        source: For people: "just measured", "baselines/support.json", "champion, version 3".
        cost, samples: Where costs were measured.
        probe: Where the model was at hand.
    """

    model: ModelMeta
    asked_as: str
    suite: SuiteInfo
    cells: tuple[CellResult, ...]
    environment: Environment
    created: str
    source: str
    tags: Mapping[tuple[str, str], Mapping[str, NDArray[np.str_]]] = field(default_factory=dict)
    cost: CostReport | None = None
    samples: CostSamples | None = None
    probe: ProbeFacts | None = None
    benchkit_version: str = ""
    seed: int = 42
    n_resamples: int = 10_000
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def cell(self, task: str) -> CellResult | None:
        return next((cell for cell in self.cells if cell.task == task), None)


@dataclass(frozen=True, slots=True)
class SpaceReport:
    """What swapping the model means for an index that holds the baseline's vectors.

    Attributes:
        n_texts, n_queries, n_documents: Of the suite, that were encoded under both models.
        same_dimension: Whether the vectors can be held against each other at all.
        mean_cosine: Mean over texts of the cosine of both models' vectors of one text; None with other dimensions.
        cka: Linear centred kernel alignment, 0 to 1 (Kornblith et al. 2019, eq. 3): the same geometry up to rotation.
        neighbour_overlap: Mean share of the ten nearest documents of a query that both models find, each in its space.
        mixed_overlap: The same between re-embedding everything and new queries on old documents.
        mixed_scores: By retrieval task: (baseline, new queries on old vectors, all re-embedded), main score each.
        verdict: "drop-in" when new queries can search the old vectors without a loss, else "re-embed"; "unknown" where
            the suite has no text to tell by.
        sentence: The same in plain words, with the figures.
    """

    n_texts: int
    n_queries: int
    n_documents: int
    same_dimension: bool
    mean_cosine: float | None
    cka: float | None
    neighbour_overlap: float | None
    mixed_overlap: float | None
    mixed_scores: Mapping[str, tuple[float, float, float]]
    verdict: Literal["drop-in", "re-embed", "unknown"]
    sentence: str


# ------------------------------------------------------------ what was found


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule, judged.

    Attributes:
        id: Unique in a report: "quality/mean", "quality/task:STSB", "quality/slice:lang=zh", "cost/peak_memory",
            "limits/dimension", "compatibility/same_space".
        on: What it looked at: "mean", a task's name, "lang=zh", a metric, a limit.
        sentence: What was found and what is allowed, for people; names in it are not escaped.
        candidate, baseline: The two values, in `unit`.
        change: Candidate minus baseline for scores, candidate / baseline for costs.
        low, high: 95 % interval of the change, two-sided.
        bound: One-sided 95 % bound of the change, on the side that counts.
        threshold: What the change (or the value) is held against: -0.005, 1.1, 384.
        p_pass, p_fail: One-sided p-values, after Holm's correction: that the regression is no smaller than the margin;
            that there is no regression at all.
        detectable: Smallest regression that this rule would catch (FAIL) with 80 % power.
        items_needed: Items that a PASS of an equally good model needs with 80 % power.
        n: Items, or paired measurements.
        confirmed: Whether a second session was made for it.
    """

    id: str
    group: RuleGroup
    on: str
    verdict: RuleVerdict
    severity: Severity
    sentence: str
    unit: str = ""
    candidate: float | None = None
    baseline: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    threshold: float | None = None
    p_pass: float | None = None
    p_fail: float | None = None
    detectable: float | None = None
    items_needed: int | None = None
    n: int | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An answer that a model gave: a document that it ranked, a label, a similarity.

    Attributes:
        correct: Whether it is judged relevant or right; None where it isn't known.
    """

    text: str
    score: float | None = None
    correct: bool | None = None


@dataclass(frozen=True, slots=True)
class LostItem:
    """An item on which the candidate lost.

    Attributes:
        place: "split/subset".
        loss: What it adds to the regression of the task (score units, above 0): the difference of the two models'
            scores with the item, less the one without it.
        before, after: Its own score under baseline and candidate; None for types without single scores.
        expected: The right answer, as text.
        found_before, found_after: What the two models answered, best first.
    """

    item: str
    place: str
    loss: float
    before: float | None = None
    after: float | None = None
    text: str = ""
    expected: str = ""
    found_before: tuple[Neighbour, ...] = ()
    found_after: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceLoss:
    """How a slice of a task's items changed; `change` is candidate minus baseline, with its 95 % interval."""

    name: str
    n: int
    change: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a quality rule failed: one task of it, with the items that lost most."""

    rule: str
    task: str
    change: float
    low: float | None
    high: float | None
    slices: tuple[SliceLoss, ...] = ()
    items: tuple[LostItem, ...] = ()


@dataclass(frozen=True, slots=True)
class GateReport:
    """A gate that was run.

    Attributes:
        verdict: The worst of the blocking rules; decided here and nowhere else (benchkit.gate.decide).
        identical: Candidate and baseline have the same content, so that every score is the same without a look.
        on_inconclusive: Whether INCONCLUSIVE blocks.
        report_only: The verdict is told and does not block.
        power: What this suite can and can't see, in words.
        gate_id: Names this run of the gate in the champion's history.
        started: ISO 8601, UTC.
    """

    gate_id: str
    verdict: GateVerdict
    exit_code: int
    rules: tuple[RuleResult, ...]
    candidate: ModelMeta
    baseline: ModelMeta
    candidate_source: str
    baseline_source: str
    suite: SuiteInfo
    policy: Policy
    environment: Environment
    started: str
    seconds: float
    identical: bool
    on_inconclusive: OnInconclusive = "fail"
    report_only: bool = False
    power: str = ""
    space: SpaceReport | None = None
    explanations: tuple[Explanation, ...] = ()
    warnings: tuple[str, ...] = ()
    command: str = ""

    @property
    def blocks(self) -> bool:
        return self.exit_code != 0

    def of_verdict(self, verdict: RuleVerdict) -> tuple[RuleResult, ...]:
        return tuple(rule for rule in self.rules if rule.verdict == verdict)
