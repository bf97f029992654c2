"""What a comparison says: scores with intervals, paired differences with verdicts, ranks and a recommendation.

    CellResult x (model, task) ──> report.compare ──> Comparison ──> table · Markdown · HTML · JSON · MLflow

A record says what was found; drawing reads it and computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchkit.types.cost import Budget, CostReport
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult

Verdict = Literal["better", "worse", "same", "inconclusive"]
MEAN = "*"  # the task name that stands for the mean over all tasks


@dataclass(frozen=True, slots=True)
class SuiteInfo:
    """The suite as it was run."""

    name: str
    digest: str
    path: str | None = None
    description: str = ""
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ScoredCell:
    """A cell with the interval of its score; None where the task type keeps no per-item scores."""

    result: CellResult
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model over all tasks.

    Attributes:
        mean_score: Mean over the tasks; None when a cell of this model has no score, since a mean over fewer tasks
            would not be comparable.
        rank_low, rank_high: Best and worst rank that the data leave open: 1 + the number of models that are
            significantly better, and the number of models minus those that are significantly worse.
        by_type: Mean score by MTEB task type.
    """

    model: str
    mean_score: float | None
    interval: Interval | None
    rank_low: int | None
    rank_high: int | None
    by_type: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairResult:
    """Candidate minus baseline on one task, or on the mean ("*").

    Attributes:
        delta: Difference of the scores; None when one of the two has no score.
        p_value: Two-sided, from the paired bootstrap, not corrected.
        p_holm: The same after Holm's correction within its family.
        verdict: At the 5 % level after Holm's correction; "same" only when the interval lies within the margin.
    """

    candidate: str
    baseline: str
    task: str
    delta: float | None
    interval: Interval | None
    p_value: float | None
    p_holm: float | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The model to take, and why, in a sentence; model is None when nothing can be said."""

    model: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the libraries that made the numbers.

    Attributes:
        values: Flat facts: "cpu", "cores", "ram_gib", "gpu", "threads", "python", "platform", "git_commit",
            "git_dirty", "command", "version/torch", ...
    """

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several models on one suite.

    Attributes:
        models: In the order in which they were asked for.
        cells: One for each model and task.
        pairs: Every pair of models on "*" and on each task, in the order of the models; a baseline that was named is
            the baseline of all its pairs, which come first.
        margin: Differences smaller than this count as "same" (score units, 0.01 = one point).
        n_resamples, seed: Of the bootstrap.
        started: ISO 8601, UTC.
        cost: What the models cost on this machine; None where it wasn't measured.
        budget: The limits that the recommendation has to keep.
        pareto: Models that no other model beats in quality and in every cost at once.
    """

    suite: SuiteInfo
    environment: Environment
    models: tuple[ModelMeta, ...]
    cells: tuple[ScoredCell, ...]
    summary: tuple[ModelSummary, ...]
    pairs: tuple[PairResult, ...]
    recommendation: Recommendation
    baseline: str | None
    margin: float
    n_resamples: int
    seed: int
    started: str
    seconds: float
    warnings: tuple[str, ...] = ()
    interrupted: bool = False
    cost: CostReport | None = None
    budget: Budget = field(default_factory=Budget)
    pareto: tuple[str, ...] = ()

    def cell(self, model: str, task: str) -> ScoredCell:
        """Return the cell of a model and a task; KeyError when there is none."""
        for scored in self.cells:
            if scored.result.model == model and scored.result.task == task:
                return scored
        raise KeyError((model, task))
