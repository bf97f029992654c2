"""Measure what models cost, without scoring them.

Request ── prepare ──┬── measure ──> CostReport            latency, throughput, memory, price
                     └── measure_loads ──> LoadReports     open-loop load on one model after the other
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benchkit.api.record import read_json
from benchkit.api.request import Prepared, Request, prepare
from benchkit.cost.load import LoadPlan as LoadPlan
from benchkit.cost.load import measure_load
from benchkit.cost.measure import CostRequest, MeasuredCosts, measure_costs
from benchkit.cost.summary import check_comparable
from benchkit.errors import UsageError
from benchkit.measure.machine import hardware_facts
from benchkit.report.json_form import cost_from_dict
from benchkit.tasks.texts import query_source
from benchkit.types.cost import CostLevel, CostReport
from benchkit.types.load import LoadReport
from benchkit.types.model import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

_LOAD_TEXTS = 512  # distinct queries of a load run; they are sent in turn


@dataclass(frozen=True)
class LibraryCostReport(CostReport):
    """Costs with the form that a notebook wants."""

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row for each figure: model, metric, value, ci_low, ci_high, unit, n, cv."""
        from benchkit.report.frame import cost_to_dataframe

        return cost_to_dataframe(self)


def measure(
    prepared: Prepared, *, refresh: bool = False, on_stage: Callable[[str], None] = lambda _: None
) -> MeasuredCosts:
    """Measure the models of a prepared request, or take what was measured of them on this machine before.

    Args:
        refresh: Measure again.
    """
    models = [(model.spec, model.meta) for model in prepared.models]
    return measure_costs(
        CostRequest(models, prepared.baseline, level=prepared.cost or "quick", seed=prepared.seed),
        prepared.tasks,
        prepared.context,
        price=prepared.suite.price,
        refresh=refresh,
        on_stage=on_stage,
    )


def read_costs(path: Path, *, device: str) -> CostReport:
    """Read the costs of a result that were measured on hardware like this machine's.

    Raises:
        UsageError: it can't be read, holds no costs, or other hardware measured them.
    """
    stored = cost_from_dict(read_json(path))
    try:
        check_comparable(stored.hardware, hardware_facts(device))
    except UsageError as exc:
        raise UsageError(f"--against {path}: {exc}") from exc
    return stored


def measure_loads(
    prepared: Prepared, plan: LoadPlan, *, on_stage: Callable[[str], None] = lambda _: None
) -> Iterator[LoadReport]:
    """Yield the report of each model under load, one model after the other; after an interrupted one no more.

    Raises:
        UsageError: a model that is fitted on a corpus, and serves no vectors by itself.
    """
    source = query_source(prepared.tasks, _LOAD_TEXTS, prepared.seed)
    if lexical := [model.meta.name for model in prepared.models if model.meta.dimension is None]:
        raise UsageError(f"--load: {', '.join(lexical)} is fitted on a corpus and serves no vectors by itself")
    for model in prepared.models:
        report = measure_load(
            model.spec,
            model.meta,
            prepared.context,
            source,
            plan,
            seed=prepared.seed,
            on_stage=on_stage,
        )
        yield report
        if report.interrupted:
            return


def measure_cost(
    models: Sequence[str | ModelSpec],
    suite: str | None = None,
    *,
    level: CostLevel = "quick",
    baseline: str | None = None,
    device: str = "auto",
    offline: bool | None = None,
    engine: str | None = None,
    seed: int | None = None,
    refresh: bool = False,
) -> LibraryCostReport:
    """Measure what models cost on this machine, on the texts of a suite, as `benchkit cost` does.

    Raises:
        BenchkitError: with a message that says what to mend. A model that fails is no error: see its `reason`.
    """
    request = Request(
        models=tuple(models),
        suite=suite,
        baseline=baseline,
        device=device,
        offline=offline,
        seed=seed,
        engine=engine,
        cost=level,
        track=False,
    )
    report = measure(prepare(request), refresh=refresh).report
    return LibraryCostReport(**{field.name: getattr(report, field.name) for field in fields(report)})
