"""Run a prepared comparison.

Prepared ── cells, as they come ── Comparison
                 └── Ctrl-C: what is finished is compared and kept
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchkit.api.request import Prepared
from benchkit.embeddings.store import VectorStore
from benchkit.report.compare import Settings as Decision
from benchkit.report.compare import compare_cells
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.draw_cache import DrawCache
from benchkit.runner.environment import describe_environment
from benchkit.runner.progress import Progress, Silent
from benchkit.runner.run import Runner
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostSamples
from benchkit.types.result import CellResult

if TYPE_CHECKING:
    from benchkit.cost.measure import MeasuredCosts

# Vectors of models that were not used for longest go first when the cache grows beyond this.
CACHE_LIMIT_BYTES = 20 * 2**30


@dataclass(frozen=True, slots=True)
class Finished:
    """A comparison that ran, with its cells and the raw samples of its costs."""

    comparison: Comparison
    cells: tuple[CellResult, ...]
    cost_samples: CostSamples | None = None


def run(prepared: Prepared, *, progress: Progress | None = None) -> Finished:
    """Run every cell and compare; a Ctrl-C keeps what is finished and marks the comparison as interrupted.

    Raises:
        KeyboardInterrupt: before the first cell was finished.
    """
    watched = progress or Silent()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    clock = time.perf_counter()
    cells: list[CellResult] = []
    interrupted = False
    warnings = list(prepared.notes)
    with open_vectors(prepared, warnings) as vectors:
        runner = Runner(vectors, CellCache(prepared.settings.cache_dir), watched, prepared.device)
        try:
            # One by one, so that an interrupt loses the present cell only.
            for cell in runner.run(prepared.models, prepared.tasks):
                cells.append(cell)
        except KeyboardInterrupt:
            if not cells:
                raise  # there is nothing to compare or to keep
            interrupted = True
            watched.warning("interrupted; what is finished is put together now (Ctrl-C again to stop at once)")
        finally:
            runner.close()
    measured = None if interrupted else _costs(prepared, cells, watched)
    comparison = compare_cells(
        cells,
        [model.meta for model in prepared.models],
        suite=prepared.suite_info,
        environment=describe_environment(device=prepared.device, command=prepared.request.command),
        settings=Decision(prepared.baseline, prepared.suite.margin, prepared.suite.n_resamples, prepared.seed),
        started=started,
        seconds=time.perf_counter() - clock,
        warnings=warnings,
        interrupted=interrupted,
        cost=measured.report if measured else None,
        budget=prepared.budget,
        draw=DrawCache(prepared.settings.cache_dir),
    )
    return Finished(comparison, tuple(cells), measured.samples if measured else None)


def _costs(prepared: Prepared, cells: Sequence[CellResult], progress: Progress) -> MeasuredCosts | None:
    """Measure what the models cost; a Ctrl-C here costs the costs, not the comparison."""
    level = prepared.cost
    if level is None:
        return None
    # A model that failed on every task has no quality to weigh its costs against.
    alive = {cell.model for cell in cells if cell.status == "ok"}
    models = [(model.spec, model.meta) for model in prepared.models if model.spec.label in alive]
    if not models:
        return None
    from benchkit.cost.measure import CostRequest, measure_costs

    try:
        return measure_costs(
            CostRequest(models, prepared.baseline, level=level, seed=prepared.seed),
            prepared.tasks,
            prepared.context,
            price=prepared.suite.price,
            on_stage=progress.stage,
        )
    except KeyboardInterrupt:
        progress.warning("interrupted; the scores are kept, costs were not measured")
        return None


@contextmanager
def open_vectors(prepared: Prepared, warnings: list[str]) -> Iterator[VectorStore | None]:
    """Open the cache of vectors; one that can't be used costs time, not the comparison."""
    try:
        store = VectorStore(prepared.settings.cache_dir, max_bytes=CACHE_LIMIT_BYTES)
    except OSError as exc:
        warnings.append(f"vectors are not kept between runs: {exc}")
        yield None
        return
    with store:
        yield store
