"""What a task is to the rest of benchkit: MTEB's, from the hub or a local mirror, or one of a team's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# MTEB's names of the task types that a task of one's own can have.
TASK_TYPES: tuple[str, ...] = (
    "Retrieval",
    "Reranking",
    "STS",
    "PairClassification",
    "Classification",
    "MultilabelClassification",
    "Clustering",
    "BitextMining",
)


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """A quick look at a part of the data, drawn with a fixed seed; None takes all.

    Attributes:
        documents: Most documents of a retrieval corpus; judged documents of the kept queries always stay.
        items: Most queries, pairs, or texts to classify or cluster.
        seed: Of the draw.
    """

    documents: int | None = None
    items: int | None = None
    seed: int = 42

    @property
    def any(self) -> bool:
        return self.documents is not None or self.items is not None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task as a suite names it.

    Attributes:
        name: Shown everywhere and unique in a suite; an MTEB task's name unless `type` is given.
        type: One of TASK_TYPES for a task on one's own files; None for an MTEB task.
        data: A file or folder: own data, or a local mirror of the MTEB task's hub data set; None loads from the hub.
        columns: Own column names: {"sentence1": "question", ...}, keyed by the names that MTEB uses.
        splits, subsets: Restrict an MTEB task; None takes its evaluation splits and all subsets.
        metric: Another main metric than MTEB's for this type.
        language: ISO 639-3 and script of own data, "eng-Latn".
    """

    name: str
    type: str | None = None
    data: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] | None = None
    subsets: tuple[str, ...] | None = None
    metric: str | None = None
    language: str = "eng-Latn"
    description: str = ""
    limits: TaskLimits = TaskLimits()
