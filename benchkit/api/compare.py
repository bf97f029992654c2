"""Compare models from a script or a notebook.

compare(models, suite) ── prepare ── run ── record ──> LibraryComparison
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from benchkit.api.record import record
from benchkit.api.request import Request, prepare
from benchkit.api.run import run
from benchkit.runner.progress import Progress
from benchkit.types.comparison import Comparison
from benchkit.types.cost import Budget, CostChoice

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LibraryComparison(Comparison):
    """A comparison with the two forms that a notebook wants."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form (schema_version 1), see docs/result.schema.json."""
        from benchkit.report.json_form import to_dict

        return to_dict(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row for each cell: model, task, type, status, metric, score, ci_low, ci_high, n_items, limited."""
        from benchkit.report.frame import to_dataframe

        return to_dataframe(self)


def compare(
    models: Sequence[str],
    suite: str | None = None,
    *,
    baseline: str | None = None,
    device: str = "auto",
    offline: bool | None = None,
    seed: int | None = None,
    tracking_uri: str | None = None,
    track: bool = True,
    engine: str | None = None,
    cost: CostChoice | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> LibraryComparison:
    """Compare models on a suite, as `benchkit compare` does, and return the comparison.

    Args:
        models: Short names, hub names, local directories, variants ("minilm@dim=128,precision=int8").
        suite: Name or path; None takes the settings' suite, else the quickstart.
        track: Record the comparison in MLflow.
        engine: What computes the vectors: "auto", "torch", "packed", "bf16x3", "bf16" or "int8".
        cost: How thoroughly latency, throughput and memory are measured: "off", "quick" or "full"; None takes the
            settings', else "quick".
        budget: What the recommended model may cost; limits that are set win over the suite's.

    Raises:
        BenchkitError: with a message that says what to mend. A failed cell is no error: see `cells`.
    """
    request = Request(
        models=tuple(models),
        suite=suite,
        baseline=baseline,
        device=device,
        offline=offline,
        seed=seed,
        tracking_uri=tracking_uri,
        track=track,
        engine=engine,
        cost=cost,
        budget=budget or Budget(),
    )
    prepared = prepare(request)
    finished = run(prepared, progress=progress)
    is_interrupted = track and record(finished, prepared).interrupted
    comparison = finished.comparison
    if comparison.interrupted or is_interrupted:
        raise KeyboardInterrupt
    return LibraryComparison(**{field.name: getattr(comparison, field.name) for field in fields(comparison)})
