"""A model's scores in one small JSON file that a team commits: what a gate holds a candidate against.

    Scored ── write_scored ──> baseline.json ── read_scored ──> Scored                  the same, bit by bit
    Comparison, items, samples ── scored_from_comparison ──> Scored                     one model of a stored result

The head is for people and for diffs: the suite, facts of the model, scores by task, split and subset, the environment,
costs. What the scores are made of, item by item, stands at the end, packed (store.packed): each array once, under the
hash of its content, and named by that hash wherever it belongs.

`digest` covers all that the file says: a score that was changed by hand or by a bad merge is refused, not believed.
White space, line ends and the order of keys are free. Left out is what no comparison needs: worst items, warnings and
durations of the cells. The form is in store.scored_form and, for other programs, in
docs/baseline.schema.json.

A file that isn't there, or of another schema version, is a baseline to renew (NotComparable, exit 4); one that is
damaged or something else is a wrong argument (UsageError, exit 2). Nothing in a file is believed before it was
bounded: at most MAX_FILE_BYTES are read, and what an array may unpack to is known before it is unpacked.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.errors import NotComparable, UsageError, nearest
from benchkit.measure.weighted import KINDS
from benchkit.store.packed import Array, Packed, Unpacked
from benchkit.store.scored_form import (
    SCHEMA,
    SCHEMA_VERSION,
    CostForm,
    PartForm,
    SamplesForm,
    ScoredForm,
    TaskForm,
    Unfit,
    check_once,
    cut,
    refuse,
    shown,
    valid_form,
)
from benchkit.types.comparison import Comparison, Environment, SuiteInfo
from benchkit.types.cost import (
    CostFigure,
    CostRatio,
    CostReport,
    CostSamples,
    LengthClass,
    ModelCost,
    ProcessFacts,
    Sample,
    SampleKind,
)
from benchkit.types.gate import ProbeFacts, Scored
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

MAX_FILE_BYTES = 2**28
_WIDTH = 120  # a list or object that fits into a line of so many characters stands on one
# What a terminal or an editor would take for something else than text.
_NOT_PLAIN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

Items: TypeAlias = Mapping[tuple[str, str], tuple[ItemScores, ...]]
Record = TypeVar("Record")

# ------------------------------------------------------------ write


def write_scored(path: Path, scored: Scored) -> None:
    """Write the scores of a model; a file that is there is replaced at once, or stays as it was.

    Raises:
        UsageError: they could not be read back: a task twice, a score that is no number though its cell is "ok".
        ValueError: a cell of another model, or tags of items that the cells don't have.
        OSError: the file can't be written.
    """
    _check_own(scored)
    content = render_scored(scored).encode()
    try:
        _read(path, content)
    except Unfit as exc:  # what the reader refuses is never written
        raise UsageError(f"{path}: {exc}; it was not written: score {scored.asked_as!r} again") from exc
    write_whole(path, content, is_synced=True, is_shared=True)


def render_scored(scored: Scored) -> str:
    """Return the text of a baseline file."""
    arrays = Packed()
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "benchkit_version": scored.benchkit_version,
        "created": scored.created,
        "asked_as": scored.asked_as,
        "suite": asdict(scored.suite),
        "seed": scored.seed,
        "n_resamples": scored.n_resamples,
        "model": asdict(scored.model),
        "tasks": [_task(cell, scored.tags, arrays) for cell in scored.cells],
        "probe": None if scored.probe is None else asdict(scored.probe),
        "environment": dict(scored.environment.values),
        "cost": None if scored.cost is None else _cost(scored.cost),
        "samples": None if scored.samples is None else _samples(scored.samples, arrays),
    }
    plain = {**_plain(content), "arrays": arrays.forms}
    head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "digest": digest_json(plain)}
    text = _laid_out({**head, **plain})
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _check_own(scored: Scored) -> None:
    if others := {cell.model for cell in scored.cells} - {scored.model.name}:
        raise ValueError(f"a cell of {sorted(others)[0]!r} in the scores of {scored.model.name!r}")
    known = {(cell.task, f"{part.split}/{part.subset}") for cell in scored.cells for part in cell.items}
    if unknown := set(scored.tags) - known:
        raise ValueError(f"tags of {sorted(unknown)[0]}, which has no items")


def _task(cell: CellResult, tags: Mapping[tuple[str, str], Mapping[str, Any]], arrays: Packed) -> dict[str, Any]:
    parts = [_part(part, tags.get((cell.task, f"{part.split}/{part.subset}")), arrays) for part in cell.items]
    kept = {name: getattr(cell, name) for name in TaskForm.model_fields if name != "items"}
    return {**kept, "items": parts}


def _part(part: ItemScores, tags: Mapping[str, Array] | None, arrays: Packed) -> dict[str, Any]:
    return {
        "split": part.split,
        "subset": part.subset,
        "kind": part.kind,
        "metric": part.metric,
        "n_items": part.n_items,
        "items": arrays.add(part.items),
        "columns": {name: arrays.add(values) for name, values in part.columns.items()},
        "strata": None if part.strata is None else arrays.add(part.strata),
        "tags": None if tags is None else {key: arrays.add(values) for key, values in tags.items()},
    }


def _cost(report: CostReport) -> dict[str, Any]:
    """Return a report as in a result file: a figure without a number is left out, here as there."""
    found: dict[str, Any] = _plain(asdict(report))
    for model in found["models"]:
        model["figures"] = [_without_model(row) for row in model["figures"] if row["value"] is not None]
    for kind in ("ratios", "control"):
        found[kind] = [row for row in found[kind] if None not in (row["ratio"], row["ci_low"], row["ci_high"])]
    return found


def _without_model(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "model"}


def _samples(samples: CostSamples, arrays: Packed) -> dict[str, Any]:
    columns = {}
    for name, (dtype, absent) in _SAMPLE_COLUMNS.items():
        found = [getattr(sample, name) for sample in samples.samples]
        values = np.array([absent if value is None else value for value in found], dtype)
        columns[name] = arrays.add(values)
    return {
        "order": list(samples.order),
        "failures": dict(samples.failures),
        "processes": [asdict(process) for process in samples.processes],
        "n_samples": len(samples.samples),
        "columns": columns,
    }


# What a column holds, and what stands for None in it: no call has -1 tokens.
_SAMPLE_COLUMNS: Mapping[str, tuple[type[np.generic], object]] = {
    **dict.fromkeys(("model", "kind", "length_class"), (np.str_, "")),
    **dict.fromkeys(("copy", "round", "item", "texts", "tokens", "padded_tokens"), (np.int64, -1)),
    **dict.fromkeys(("wall_s", "cpu_s", "energy_j"), (np.float64, math.nan)),
}
_MAY_BE_ABSENT = ("length_class", "tokens", "padded_tokens", "energy_j")


def _plain(value: Any) -> Any:
    """Return JSON values; not-a-number is null, and half a surrogate pair, which UTF-8 lacks, is "?"."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _laid_out(value: Any, *, depth: int = 0, room: int = _WIDTH) -> str:
    """Return JSON in which what fits into a line stands on one, so that a diff shows what changed."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(flat) <= room or not isinstance(value, (dict, list)) or not value:
        return flat
    pairs = [(f"{_text(key)}: ", entry) for key, entry in value.items()] if isinstance(value, dict) else None
    rows = pairs if pairs is not None else [("", entry) for entry in value]
    left = _WIDTH - depth - 2  # the indent and a comma
    lines = [name + _laid_out(entry, depth=depth + 1, room=left - len(name)) for name, entry in rows]
    opened, closed = "{}" if pairs is not None else "[]"
    inner = (",\n" + " " * (depth + 1)).join(lines)
    return f"{opened}\n{' ' * (depth + 1)}{inner}\n{' ' * depth}{closed}"


def _text(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


# ------------------------------------------------------------ read


def read_scored(path: Path) -> Scored:
    """Return what `write_scored` wrote; its source is the path.

    Raises:
        NotComparable: there is no such file, or another version of benchkit wrote it; says how to renew it.
        UsageError: it is damaged, was changed, or is something else.
    """
    content = _bytes_of(path)
    try:
        return _read(path, content)
    except Unfit as exc:
        raise UsageError(
            f"{path}: {exc}; it was damaged or changed by hand: take it from version control again, or {_renewal(path)}"
        ) from exc


def _read(path: Path, content: bytes) -> Scored:
    data = _json_of(content)
    _check_kind(path, data)
    return _scored(path, valid_form(ScoredForm, data), data)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotComparable(f"{path}: there is no such baseline; {_renewal(path, verb='make')}") from exc
    except IsADirectoryError as exc:
        raise UsageError(
            f"{path}: found a folder, should be a file of `benchkit baseline save`; name a file in it"
        ) from exc
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path}: it can't be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(
            f"{path}: found more than {MAX_FILE_BYTES // 2**20} MiB, should be a small file of `benchkit baseline "
            f"save`; {_renewal(path)}"
        )
    return content


def _renewal(path: Path, verb: str = "renew") -> str:
    return f"{verb} it with: benchkit baseline save {shlex.quote(str(path))} --model MODEL --suite SUITE"


def _json_of(content: bytes) -> object:
    try:
        data: object = json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
        # Half a surrogate pair ("\\ud800") is JSON, but no text: whatever prints it would fail.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise Unfit(f"the file: found something that is not JSON ({exc}), should be a JSON object") from exc
    return data


def _no_constant(name: str) -> NoReturn:
    refuse("a number", name, "finite, or null")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        refuse(cut(twice), "the key twice", "there once")
    return found


def _check_kind(path: Path, data: object) -> None:
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        _check_version(path, data)
        return
    if isinstance(data, dict) and "schema" not in data and "cells" in data and "pairs" in data:
        raise UsageError(
            f"{path}: schema: found a result of `benchkit compare`, which holds no scores of items, should be "
            f"{SCHEMA!r}; name the result in its folder, with items.parquet beside it, or write a baseline with: "
            "benchkit baseline save FILE --model MODEL --suite SUITE"
        )
    given = data if isinstance(data, dict) else {"schema": data}
    found = shown(given["schema"]) if "schema" in given else "no such key"
    raise UsageError(
        f"{path}: schema: found {found}, should be {SCHEMA!r}; this is no file of `benchkit baseline save`: "
        "name one, or make one with: benchkit baseline save FILE --model MODEL --suite SUITE"
    )


def _check_version(path: Path, data: Mapping[str, object]) -> None:
    found = data.get("schema_version")
    if type(found) is not int:
        refuse("schema_version", shown(found) if "schema_version" in data else "no such key", str(SCHEMA_VERSION))
    if found != SCHEMA_VERSION:
        age = "a newer" if found > SCHEMA_VERSION else "an older"
        writer = data.get("benchkit_version")
        named = f" ({cut(writer)})" if isinstance(writer, str) and writer else ""
        raise NotComparable(
            f"{path}: schema_version: found {shown(found)}, should be {SCHEMA_VERSION}; {age} benchkit{named} wrote "
            f"it: use that one, or {_renewal(path)}"
        )


def _scored(path: Path, form: ScoredForm, data: object) -> Scored:
    assert isinstance(data, dict)
    arrays = Unpacked(form.arrays)
    check_once("tasks", (task.task for task in form.tasks))
    cells = tuple(_cell(f"tasks[{at}]", task, form.model.name, arrays) for at, task in enumerate(form.tasks))
    samples = None if form.samples is None else _cost_samples(form.samples, arrays)
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
    values = form.model_dump(exclude={"items", "scores"})
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


def _cost_samples(form: SamplesForm, arrays: Unpacked) -> CostSamples:
    if set(form.columns) != set(_SAMPLE_COLUMNS):
        refuse("samples.columns", cut(", ".join(form.columns)), ", ".join(_SAMPLE_COLUMNS))
    columns = {name: _sample_column(name, form, arrays) for name in _SAMPLE_COLUMNS}
    _check_words("samples.columns.kind", columns["kind"], get_args(SampleKind))
    _check_words("samples.columns.length_class", columns["length_class"], (None, *get_args(LengthClass)))
    rows = zip(*(columns[field.name] for field in fields(Sample)), strict=True)
    return CostSamples(
        order=tuple(form.order),
        samples=tuple(Sample(*row) for row in rows),
        processes=tuple(ProcessFacts(**process.model_dump(by_alias=True)) for process in form.processes),
        failures=form.failures,
    )


def _sample_column(name: str, form: SamplesForm, arrays: Unpacked) -> list[Any]:
    dtype, absent = _SAMPLE_COLUMNS[name]
    place = f"samples.columns.{name}"
    kinds = np.dtype(dtype).kind
    found: list[Any] = arrays.get(place, form.columns[name], kinds=kinds, n_items=form.n_samples).tolist()
    if name not in _MAY_BE_ABSENT:
        return found
    return [None if value == absent or value != value else value for value in found]


def _check_words(place: str, found: Iterable[object], allowed: Sequence[object]) -> None:
    if unknown := [word for word in found if word not in allowed]:
        refuse(place, shown(unknown[0]), f"one of {', '.join(str(word) for word in allowed if word)}")


# ------------------------------------------------------------ from a stored comparison


def scored_from_comparison(
    comparison: Comparison,
    items: Items,
    *,
    model: str | None,
    source: str,
    samples: CostSamples | None = None,
    tags: Mapping[tuple[str, str], Mapping[str, NDArray[np.str_]]] | None = None,
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
        tags=tags or {},
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


_MIXED = "the files are of two comparisons: run `benchkit compare` again, or name the folder that it wrote"


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
