"""The scores of one model of a stored comparison: what a gate holds a candidate against without a baseline file.

Comparison, items, samples ── scored_from_comparison ──> Scored of one model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from benchkit.errors import UsageError, nearest
from benchkit.store.scored_form import cut
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostReport, CostSamples
from benchkit.types.gate import Scored
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

Items: TypeAlias = Mapping[tuple[str, str], tuple[ItemScores, ...]]
_MIXED = "the files are of two comparisons: run `benchkit compare` again, or name the folder that it wrote"


def scored_from_comparison(
    comparison: Comparison,
    items: Items,
    *,
    model: str | None,
    source: str,
    samples: CostSamples | None = None,
) -> Scored:
    """Return the scores of one model of a comparison.

    Args:
        items: What its scores are made of, by model and task (store.items.read_items).
        model: Its label; None takes the only one.
        samples: Of all models; those of this one are kept.

    Raises:
        UsageError: no such model, several and none named, or items that are not of this comparison.
    """
    meta = _chosen(comparison, model, source)
    results = [cell.result for cell in comparison.cells if cell.result.model == meta.name]
    cells = tuple(replace(cell, items=items.get((cell.model, cell.task), ())) for cell in results)
    _check_items(cells, items, source)
    return Scored(
        model=meta,
        asked_as=meta.name,
        suite=comparison.suite,
        cells=cells,
        environment=comparison.environment,
        created=comparison.started,
        source=source,
        cost=None if comparison.cost is None else _cost_of(comparison.cost, meta.name),
        samples=None if samples is None else _samples_of(samples, meta.name),
        benchkit_version=comparison.environment.values.get("benchkit", ""),
        seed=comparison.seed,
        n_resamples=comparison.n_resamples,
    )


def _chosen(comparison: Comparison, model: str | None, source: str) -> ModelMeta:
    by_name = {meta.name: meta for meta in comparison.models}
    known = ", ".join(map(cut, by_name))
    if model in by_name:
        return by_name[model]
    if model is None and len(by_name) == 1:
        return next(iter(by_name.values()))
    if model is None:
        raise UsageError(f"{source}: found {len(by_name)} models, should be one; say which with --model: {known}")
    near = nearest(model, by_name)
    meant = f" Did you mean {cut(near)!r}?" if near else ""
    raise UsageError(f"{source}: found no model {cut(model)!r}.{meant} It has: {known}")


def _check_items(cells: Sequence[CellResult], items: Items, source: str) -> None:
    """Refuse items of another comparison, which lie beside a result that was copied or replaced."""
    for cell in cells:
        places = {f"{part.split}/{part.subset}" for part in cell.items}
        if places and places != set(cell.scores):
            found, should = (cut(", ".join(sorted(names)) or "none") for names in (places, cell.scores))
            raise UsageError(
                f"{source}: {cut(cell.task)}: found items of {found} in items.parquet, should be of {should}; {_MIXED}"
            )
    if items and cells and not any(cell.items for cell in cells) and any(cell.status == "ok" for cell in cells):
        raise UsageError(f"{source}: found no items of {cut(cells[0].model)} in items.parquet; {_MIXED}")


def _cost_of(report: CostReport, model: str) -> CostReport | None:
    own = report.of(model)
    return None if own is None else replace(report, models=(own,), ratios=())


def _samples_of(samples: CostSamples, model: str) -> CostSamples:
    return CostSamples(
        order=(model,),
        samples=tuple(sample for sample in samples.samples if sample.model == model),
        processes=tuple(process for process in samples.processes if process.model == model),
        failures={label: reason for label, reason in samples.failures.items() if label == model},
    )
