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
from benchkit.cost.load import measure_load
from benchkit.cost.measure import MeasuredCosts, measure_costs
from benchkit.cost.summary import check_comparable
from benchkit.errors import UsageError
from benchkit.measure.machine import hardware_facts
from benchkit.report.json_form import cost_from_dict
from benchkit.tasks.texts import query_source
from benchkit.types.cost import CostLevel, CostReport
from benchkit.types.load import LoadReport
from benchkit.types.model import ModelSpec, OpenContext

if TYPE_CHECKING:
    import pandas as pd

_LOAD_TEXTS = 512  # distinct queries of a load run; they are sent in turn


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The load to put on a model.

    Attributes:
        rates: Requests per second; None takes the utilisations.
        utilisations: Shares of the capacity that is measured first.
        slo_ms: Longest latency that counts as served in time.
        seconds: Length of the run at each rate.
    """

    rates: tuple[float, ...] | None = None
    utilisations: tuple[float, ...] = (0.3, 0.5, 0.7)
    slo_ms: float | None = None
    seconds: float = 10.0


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
    return measure_costs(
        [(model.spec, model.meta) for model in prepared.models],
        prepared.tasks,
        level=prepared.cost or "quick",
        device=prepared.device,
        offline=prepared.offline,
        cache_dir=prepared.settings.cache_dir,
        baseline=prepared.baseline,
        seed=prepared.seed,
        price=prepared.suite.price,
        on_stage=on_stage,
        refresh=refresh,
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
    context = OpenContext(device=prepared.device, offline=prepared.offline, cache_dir=prepared.settings.cache_dir)
    if lexical := [model.meta.name for model in prepared.models if model.meta.dimension is None]:
        raise UsageError(f"--load: {', '.join(lexical)} is fitted on a corpus and serves no vectors by itself")
    for model in prepared.models:
        report = measure_load(
            model.spec,
            model.meta,
            context,
            source,
            rates=plan.rates,
            utilisations=plan.utilisations,
            slo_ms=plan.slo_ms,
            seconds_per_rate=plan.seconds,
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
