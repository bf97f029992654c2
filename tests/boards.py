"""Project folders for tests of the dashboard, written by the writers that benchkit itself uses.

    support()       three models, really compared: bge is best, mpnet not told apart from it, minilm sure to be worse
    keep*(mlruns)   a comparison, a gate, a drift baseline, checks of windows: where and how benchkit keeps them

Of cost_report: p95 latency 8.3, 16.6 and 24.9 ms; memory 617, 1234 and 1851 MiB (minilm, mpnet, bge).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import drift_reports
import numpy as np
from comparisons import ENVIRONMENT, cost_report, model

from benchkit.api.record import write_json
from benchkit.report.compare import Settings, compare_cells
from benchkit.report.drift_json import drift_to_dict
from benchkit.report.gate_json import gate_to_dict
from benchkit.report.json_form import to_dict
from benchkit.store.drift_baseline import KeptBaseline, save_baseline
from benchkit.store.drift_state import DriftState
from benchkit.types.comparison import Comparison, SuiteInfo
from benchkit.types.cost import Budget
from benchkit.types.drift import BaselineInfo, DriftReport, WindowInfo
from benchkit.types.gate import GateReport
from benchkit.types.result import CellResult, ItemScores

NAMES = ("minilm", "mpnet", "bge")
_ITEMS = 400


@lru_cache
def support(
    *, baseline: str | None = "minilm", has_cost: bool = True, budget: Budget | None = None, margin: float = 0.01
) -> Comparison:
    """Return a comparison of three models on two tasks, with its own bootstrap, verdicts and recommendation."""
    draw = np.random.default_rng(7)
    cells = []
    for task in ("FAQ", "Tickets"):
        base = draw.uniform(0.3, 0.7, _ITEMS)
        for name, lead, noise in (("minilm", 0.0, 0.0), ("mpnet", 0.025, 0.1), ("bge", 0.03, 0.1)):
            cells.append(_cell(name, task, base + lead + noise * _noise(draw)))
    models = [
        model("minilm"),
        replace(model("mpnet", dimension=768), license="mit"),
        replace(model("bge", dimension=768), license="cc-by-nc-4.0"),
    ]
    return compare_cells(
        cells,
        models,
        suite=SuiteInfo("help-centre", "d" * 64, path="suites/help.yaml"),
        environment=replace(ENVIRONMENT, values={**ENVIRONMENT.values, "command": "benchkit compare --suite help"}),
        settings=Settings(baseline=baseline, margin=margin, n_resamples=2000, seed=1),
        started="2026-11-21T12:00:00+00:00",
        seconds=12.0,
        warnings=("FAQ: made up",),
        cost=cost_report(NAMES) if has_cost else None,
        budget=budget,
    )


def _noise(draw: np.random.Generator) -> np.ndarray:
    """Return noise whose mean is 0, so that the scores are those that the lead says."""
    noise = draw.normal(0, 1, _ITEMS)
    return noise - noise.mean()


def _cell(name: str, task: str, values: np.ndarray) -> CellResult:
    ids = np.array([f"q{place}" for place in range(len(values))])
    items = ItemScores("test", "default", "mean", "ndcg_at_10", ids, {"value": values})
    return CellResult(
        name, task, "Retrieval", "ok", "ndcg_at_10", float(values.mean()), items=(items,), n_items=len(values)
    )


# ---------------------------------------------------------------- folders


def keep(mlruns: Path, comparison: Comparison, key: str = "20261121T120000-help-centre") -> None:
    """Put a comparison where `benchkit compare` puts it."""
    folder = mlruns / "results" / key
    folder.mkdir(parents=True)
    write_json(folder / "result.json", to_dict(comparison))


def keep_gate(mlruns: Path, report: GateReport, key: str = "20261121T130000-support") -> None:
    """Put a gate where `benchkit gate` puts it."""
    folder = mlruns / "gates" / key
    folder.mkdir(parents=True)
    write_json(folder / "gate.json", gate_to_dict(report))


def keep_baseline(mlruns: Path, info: BaselineInfo = drift_reports.BASELINE) -> None:
    """Keep a drift baseline of which only the facts are read."""
    facts = {name: value for name, value in asdict(info).items() if name not in ("digest", "bytes")}
    save_baseline(mlruns / "drift" / "baselines", info.name, KeptBaseline({"info": facts}, {"mean": np.zeros(3)}))


def keep_checks(mlruns: Path, reports: Sequence[DriftReport], *, stream: str = "s") -> None:
    """Keep the checks of a watch."""
    with DriftState(mlruns / "drift" / "state.db") as state:
        state.commit(stream, state.progress(stream), [drift_to_dict(report) for report in reports])


def windows(*severities: str, first_day: int = 1, report: DriftReport | None = None) -> list[DriftReport]:
    """Return windows of a day each in November 2026, after the baseline was made."""
    quiet = report or drift_reports.quiet()
    info = replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00")
    return [
        replace(
            quiet,
            baseline=info,
            window=WindowInfo("logs/", 500, f"2026-11-{day:02}T00:00:00Z", f"2026-11-{day:02}T23:00:00Z", day),
            checked_at=f"2026-11-{day:02}T23:30:00+00:00",
            severity=severity,  # type: ignore[arg-type]
            kind="none" if severity == "ok" else "data",
            breaks_policy=severity in ("warn", "critical"),
        )
        for day, severity in enumerate(severities, start=first_day)
    ]
