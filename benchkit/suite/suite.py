"""A suite as the rest of benchkit sees it: checked, with its paths resolved, and identified by its content."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchkit.types.cost import Budget, Price
from benchkit.types.gate import Policy
from benchkit.types.model import ModelSpec
from benchkit.types.task import TaskLimits, TaskSpec

# Part of every digest; raised when the meaning of a field changes.
_DIGEST_FORMAT = "benchkit-suite-1"


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """A whole MTEB benchmark; `benchkit.tasks` turns it into TaskSpecs.

    Attributes:
        name: MTEB's name, "MTEB(eng, v2)".
        types: Only tasks of these types; None takes all.
        exclude: Names of tasks to leave out.
        limits: Of each of its tasks.
    """

    name: str
    types: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    limits: TaskLimits = field(default_factory=TaskLimits)


@dataclass(frozen=True, slots=True)
class Suite:
    """Which tasks and models are compared, and how.

    Attributes:
        path: The file that it was read from; None for a suite made in code.
        tasks: Tasks named one by one; `data` is an absolute path.
        benchmarks: Benchmarks that are still to be expanded into tasks.
        baseline: Label of the model that the others are compared with.
        seed: Of every draw and of the bootstrap.
        margin: Differences smaller than this count as "same" (score units, 0.01 = one point).
        n_resamples: Of the bootstrap.
        budget: What the recommended model may cost.
        price: What computing costs.
        gate: What `benchkit gate` asks of a candidate; None where the suite says nothing of it.
    """

    name: str
    path: Path | None
    tasks: tuple[TaskSpec, ...]
    benchmarks: tuple[BenchmarkSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    description: str = ""
    baseline: str | None = None
    seed: int = 42
    margin: float = 0.01
    n_resamples: int = 10_000
    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    gate: Policy | None = None

    @property
    def limited(self) -> bool:
        """Whether a task sees only a part of its data."""
        return any(task.limits.any for task in self.tasks) or any(entry.limits.any for entry in self.benchmarks)

    @property
    def digest(self) -> str:
        """SHA-256 of all that can change a number, as canonical JSON.

        Paths count relative to the suite file, so that a copy of the folder has the same digest. Descriptions,
        comments, the order of keys and the two ways to write a model don't count; the rows of the data files don't
        either, for every result carries a digest of its rows.
        """
        content = asdict(self)
        # A budget, a price and a gate's rules choose among the numbers and change none.
        del content["path"], content["description"], content["budget"], content["price"], content["gate"]
        for task in content["tasks"]:
            del task["description"]
            task["data"] = None if task["data"] is None else self._relative(task["data"])
        for model in content["models"]:
            model["name"] = self._relative(Path(model["name"])) if Path(model["name"]).is_absolute() else model["name"]
        return hashlib.sha256(_canonical_json({"format": _DIGEST_FORMAT, **content}).encode()).hexdigest()

    def _relative(self, path: Path) -> str:
        folder = self.path.parent.absolute() if self.path else Path.cwd()
        return Path(os.path.relpath(path, folder)).as_posix()


def _canonical_json(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
