"""What a comparison would run: `benchkit compare --dry-run`.

Prepared ── its cells, and which of them an earlier run has kept ──> text · JSON (schema_version 1)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchkit.api.request import Prepared
    from benchkit.runner.run import PlannedModel
    from benchkit.tasks.opened import OpenedTask


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A model on a task; `kept` when its result is known, so that nothing is computed."""

    model: str
    task: str
    kept: bool


def planned_cells(prepared: Prepared) -> tuple[PlannedCell, ...]:
    """Return every cell of a comparison, model by model."""
    from benchkit.runner.cell_cache import CellCache
    from benchkit.runner.run import key_of

    cache = CellCache(prepared.settings.cache_dir)

    def is_kept(model: PlannedModel, task: OpenedTask) -> bool:
        key = key_of(model, task, prepared.device)
        return cache.get(key, model=model.spec.label, task=task.name) is not None

    return tuple(
        PlannedCell(model.spec.label, task.name, is_kept(model, task))
        for model in prepared.models
        for task in prepared.tasks
    )


def plan_json(prepared: Prepared) -> str:
    """Return the plan as JSON; unlike a result it says `"dry_run": true`, and its cells have no scores."""
    from benchkit.store.uri import without_password

    metas = [model.meta for model in prepared.models]
    model_facts = ("name", "id", "revision", "fingerprint", "dimension", "precision", "bytes_per_vector")
    plan = {
        "schema_version": 1,
        "dry_run": True,
        "suite": {"name": prepared.suite.name, "digest": prepared.suite.digest},
        "device": prepared.device,
        "models": [{name: getattr(meta, name) for name in model_facts} for meta in metas],
        "tasks": [
            {
                "name": task.name,
                "type": task.type,
                "main_metric": task.main_metric,
                "data": None if task.spec.data is None else str(task.spec.data),
                "revision": task.revision,
            }
            for task in prepared.tasks
        ],
        "cells": [{"model": cell.model, "task": cell.task, "kept": cell.kept} for cell in planned_cells(prepared)],
        "tracking_uri": None if prepared.tracking_uri is None else without_password(prepared.tracking_uri),
        "cache_dir": str(prepared.settings.cache_dir),
    }
    # Escapes, so that every terminal and pipe can take it.
    return json.dumps(plan, indent=1, allow_nan=False)


def plan_lines(prepared: Prepared) -> Iterator[str]:
    """Yield the plan for people."""
    from benchkit.store.uri import without_password

    yield f"suite {prepared.suite.name} ({prepared.suite.digest[:12]}), device {prepared.device}"
    for task in prepared.tasks:
        source = task.spec.data or f"hub: {task.task_class.metadata.dataset['path']}@{task.revision[:12]}"
        yield f"  task   {task.name}: {task.type}, {task.main_metric}, {source}"
        yield from (f"         {note}" for note in task.notes)
    for model in prepared.models:
        meta = model.meta
        size = f"{meta.dimension} dimensions, {meta.bytes_per_vector} bytes per vector" if meta.dimension else "sparse"
        yield f"  model  {meta.name}: {meta.id}, {size}, fingerprint {meta.fingerprint[:12]}"
        yield from (f"         {note}" for note in meta.notes)
    where = without_password(prepared.tracking_uri) if prepared.tracking_uri else "not recorded"
    yield f"  {_counted(planned_cells(prepared))}; MLflow: {where}; cache: {prepared.settings.cache_dir}"


def _counted(cells: tuple[PlannedCell, ...]) -> str:
    n_kept = sum(cell.kept for cell in cells)
    known = f", {n_kept} of them known already" if n_kept else ""
    return f"{len(cells)} cell{'' if len(cells) == 1 else 's'}{known}"


def show_plan(prepared: Prepared, *, as_json: bool) -> None:
    """Print the plan on stdout."""
    for line in [plan_json(prepared)] if as_json else plan_lines(prepared):
        click.echo(line)
