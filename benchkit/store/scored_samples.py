"""The calls of a cost session in a baseline file: each fact of them as one column.

CostSamples ── samples_object ──> object of the file, its columns packed ── read_samples ──> CostSamples
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, get_args

import numpy as np

from benchkit.store.packed import Packed, Unpacked
from benchkit.store.scored_form import SamplesForm, cut, refuse, shown
from benchkit.types.cost import CostSamples, LengthClass, ProcessFacts, Sample, SampleKind

# What a column holds, and what stands for None in it: no call has -1 tokens.
_SAMPLE_COLUMNS: Mapping[str, tuple[type[np.generic], object]] = {
    **dict.fromkeys(("model", "kind", "length_class"), (np.str_, "")),
    **dict.fromkeys(("copy", "round", "item", "texts", "tokens", "padded_tokens"), (np.int64, -1)),
    **dict.fromkeys(("wall_s", "cpu_s", "energy_j"), (np.float64, math.nan)),
}
_MAY_BE_ABSENT = ("length_class", "tokens", "padded_tokens", "energy_j")


def samples_object(samples: CostSamples, arrays: Packed) -> dict[str, Any]:
    """Return the object that stands for the samples; their columns are added to the arrays of the file."""
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


def read_samples(form: SamplesForm, arrays: Unpacked) -> CostSamples:
    """Return what `samples_object` was made of.

    Raises:
        Unfit: a column is missing, or holds what no sample has.
    """
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
