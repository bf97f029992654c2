"""A model's scores as the text of a baseline file: JSON whose lines tell in a diff what changed.

    Scored ── facts and scores as JSON ── what fits into a line on one ──> text
          └── items, tags, samples ────── packed, at the end (store.packed)

Not-a-number is null; a character that a terminal or an editor would take for something else than text is escaped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from benchkit.embeddings.fingerprint import digest_json
from benchkit.store.packed import Array, Packed
from benchkit.store.scored_form import SCHEMA, SCHEMA_VERSION, TaskForm
from benchkit.store.scored_samples import samples_object
from benchkit.types.cost import CostReport
from benchkit.types.gate import Scored
from benchkit.types.result import CellResult, ItemScores

_WIDTH = 120  # a list or object that fits into a line of so many characters stands on one
# What a terminal or an editor would take for something else than text.
_NOT_PLAIN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


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
        "tasks": [_task(cell, scored, arrays) for cell in scored.cells],
        "probe": None if scored.probe is None else asdict(scored.probe),
        "environment": dict(scored.environment.values),
        "cost": None if scored.cost is None else _cost(scored.cost),
        "samples": None if scored.samples is None else samples_object(scored.samples, arrays),
    }
    plain = {**_plain(content), "arrays": arrays.forms}
    head = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "digest": digest_json(plain)}
    text = _laid_out({**head, **plain})
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _task(cell: CellResult, scored: Scored, arrays: Packed) -> dict[str, Any]:
    parts = [_part(part, scored.tags.get((cell.task, f"{part.split}/{part.subset}")), arrays) for part in cell.items]
    kept = {name: getattr(cell, name) for name in TaskForm.model_fields if name not in ("items", "tags_left_out")}
    left_out = scored.left_out.get(cell.task, ())
    return {**kept, "items": parts} | ({"tags_left_out": left_out} if left_out else {})


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
