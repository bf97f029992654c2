"""A baseline file whose form is valid becomes the scores that it was written from, or is refused with the place.

ScoredForm, its arrays ── every array unpacked and held against its cell ── the digest last ──> Scored
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.measure.weighted import KINDS
from benchkit.store.packed import Unpacked
from benchkit.store.scored_form import CostForm, PartForm, ScoredForm, TaskForm, check_once, cut, refuse, shown
from benchkit.store.scored_samples import read_samples
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.cost import CostFigure, CostRatio, CostReport, ModelCost
from benchkit.types.gate import ProbeFacts, Scored
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

Record = TypeVar("Record")


def scored_of(path: Path, form: ScoredForm, data: object) -> Scored:
    """Return the scores of a model.

    Args:
        data: The JSON that the form was made of; the digest is of that.

    Raises:
        Unfit: something in it contradicts the rest.
    """
    assert isinstance(data, dict)
    arrays = Unpacked(form.arrays)
    check_once("tasks", (task.task for task in form.tasks))
    cells = tuple(_cell(f"tasks[{at}]", task, form.model.name, arrays) for at, task in enumerate(form.tasks))
    samples = None if form.samples is None else read_samples(form.samples, arrays)
    tags = {place: found for at, task in enumerate(form.tasks) for place, found in _tags(at, task, arrays)}
    # Last, so that what is plainly wrong is told by its name.
    if form.digest != digest_json({key: value for key, value in data.items() if key != "digest"}):
        refuse("digest", shown(form.digest), "that of what the file says, which is not what was written")
    return Scored(
        model=_record(ModelMeta, form.model.model_dump()),
        asked_as=form.asked_as,
        suite=SuiteInfo(**form.suite.model_dump()),
        cells=cells,
        environment=Environment(form.environment),
        created=form.created,
        source=str(path),
        tags=tags,
        left_out={task.task: tuple(task.tags_left_out) for task in form.tasks if task.tags_left_out},
        cost=None if form.cost is None else _cost_report(form.cost),
        samples=samples,
        probe=None if form.probe is None else ProbeFacts(**form.probe.model_dump()),
        benchkit_version=form.benchkit_version,
        seed=form.seed,
        n_resamples=form.n_resamples,
    )


def _record(kind: type[Record], row: Mapping[str, Any]) -> Record:
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


def _cell(place: str, form: TaskForm, model: str, arrays: Unpacked) -> CellResult:
    scores = {key: math.nan if value is None else value for key, value in form.scores.items()}
    _check_scores(place, form, scores)
    check_once(f"{place}.items", (f"{part.split}/{part.subset}" for part in form.items))
    values = form.model_dump(exclude={"items", "scores", "tags_left_out"})
    parts = tuple(_item_scores(f"{place}.items[{at}]", part, arrays) for at, part in enumerate(form.items))
    return CellResult(model=model, scores=scores, items=parts, **values)


def _check_scores(place: str, form: TaskForm, scores: Mapping[str, float]) -> None:
    is_ok = form.status == "ok"
    if is_ok and form.main_metric is None:
        refuse(f"{place}.main_metric", "null", 'the name of a metric, status being "ok"')
    if is_ok is (form.main_score is None):
        should = "a number" if is_ok else "null"
        refuse(f"{place}.main_score", shown(form.main_score), f'{should}, status being "{form.status}"')
    if is_ok and (lost := [key for key, value in scores.items() if math.isnan(value)]):
        refuse(f"{place}.scores.{cut(lost[0])}", "null", 'a number, status being "ok"')
    places = [f"{part.split}/{part.subset}" for part in form.items]
    if unknown := [name for name in places if name not in scores]:
        refuse(f"{place}.items", cut(unknown[0]), "a split/subset that scores names")


def _item_scores(place: str, form: PartForm, arrays: Unpacked) -> ItemScores:
    n_items = form.n_items
    items = arrays.get(f"{place}.items", form.items, kinds="U", n_items=n_items)
    if (n_names := len(np.unique(items))) < n_items:
        refuse(f"{place}.items", f"{n_names} names for {n_items} items", "one name for each")
    columns = {
        name: arrays.get(f"{place}.columns.{cut(name)}", array, kinds="fiub", n_items=n_items, is_flat=False)
        for name, array in form.columns.items()
    }
    for name, n_axes in KINDS[form.kind].axes.items():
        if name not in columns or columns[name].ndim != n_axes:
            found = f"shape {columns[name].shape}" if name in columns else "no such key"
            refuse(f"{place}.columns.{name}", found, f"a column with {n_axes} axes for kind {form.kind!r}")
    strata = None if form.strata is None else arrays.get(f"{place}.strata", form.strata, kinds="i", n_items=n_items)
    return ItemScores(form.split, form.subset, form.kind, form.metric, items, columns, strata)


def _tags(at: int, task: TaskForm, arrays: Unpacked) -> Iterator[tuple[tuple[str, str], dict[str, NDArray[np.str_]]]]:
    for number, part in enumerate(task.items):
        if part.tags is not None:
            place = f"tasks[{at}].items[{number}].tags"
            found = {
                key: arrays.get(f"{place}.{cut(key)}", array, kinds="U", n_items=part.n_items)
                for key, array in part.tags.items()
            }
            yield (task.task, f"{part.split}/{part.subset}"), found


def _cost_report(form: CostForm) -> CostReport:
    check_once("cost.models", (row.model for row in form.models))
    found = form.model_dump()
    models = [
        _record(ModelCost, {**row, "figures": [CostFigure(model=row["model"], **figure) for figure in row["figures"]]})
        for row in found["models"]
    ]
    ratios = {kind: [CostRatio(**row) for row in found[kind]] for kind in ("ratios", "control")}
    return _record(CostReport, {**found, **ratios, "models": models})
