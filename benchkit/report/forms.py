"""What the files of results and of gates have in common: strict forms, and the way in and out of them.

    record ── plain ──> JSON values ── a Form: every key and type ──> a file
    a file ── FileKind.versioned ── FileKind.read: every key and type ──> Form ── record_of, records_of ──> record

Messages about a foreign file name the kind of file that was expected, and the first few places that don't fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchkit.errors import UsageError
from benchkit.types.model import Precision, Similarity

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHOWN_PROBLEMS = 5  # of a file that doesn't fit; the first few say what kind of file it is

Record = TypeVar("Record")
AnyForm = TypeVar("AnyForm", bound="Form")


class Form(BaseModel):
    # strict: "61.2" in quotes is not a number. extra: a key that we would lose must not look as if it were read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class SuiteForm(Form):
    name: str
    digest: str
    path: str | None
    description: str
    limited: bool
    """Whether documents or items were left out, so that scores can't be set beside published ones."""


class ModelForm(Form):
    name: str
    """The label that every other list uses."""
    id: str
    revision: str | None
    fingerprint: str
    """Hash of all that decides the vectors before truncation and quantisation."""
    dimension: int | None
    precision: Precision
    bytes_per_vector: int | None
    parameters: int | None
    memory_bytes: int | None
    license: str | None
    similarity: Similarity
    normalized: bool
    max_seq_length: int | None
    uses_role: bool
    languages: list[str]
    training_tasks: list[str]
    notes: list[str]
    engine: str | None = None
    """What computed the vectors that were scored."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file, and the words for it.

    Attributes:
        name: "gate", in "the gate has schema_version 2".
        full_name: "gate of benchkit", in "not a gate of benchkit".
        task: "gate", in "run the gate again", which makes a new file.
        version: The only schema_version that is read.
    """

    name: str
    full_name: str
    task: str
    version: int

    def json_schema(self, form: type[Form]) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of a file that has this form."""
        return {"$schema": _DIALECT, **form.model_json_schema(mode="serialization"), "title": f"benchkit {self.name}"}

    def versioned(self, data: object) -> Mapping[str, Any]:
        """Return the data of a file, whose version is one that can be read.

        Raises:
            UsageError: not an object, or no schema_version, or another.
        """
        if not isinstance(data, Mapping):
            raise UsageError(f"not a {self.full_name}: expected a JSON object, got {type(data).__name__}")
        if "schema_version" not in data:
            raise UsageError(f"not a {self.full_name}: it has no schema_version (supported: {self.version})")
        found = data["schema_version"]
        if type(found) is not int or found != self.version:
            raise UsageError(
                f"the {self.name} has schema_version {found!r}; this benchkit supports {self.version}. "
                f"Read it with the benchkit that wrote it, or run the {self.task} again"
            )
        return data

    def read(self, form: type[AnyForm], data: object) -> AnyForm:
        """Return the form that a file holds.

        Raises:
            UsageError: as `versioned`, or a key or value that doesn't fit.
        """
        try:
            return form.model_validate(self.versioned(data))
        except ValidationError as error:
            raise UsageError(f"not a {self.name} of schema_version {self.version}: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    said = [f"{_place(problem['loc'])}: {problem['msg'].lower()}" for problem in error.errors()]
    more = [f"and {len(said) - _SHOWN_PROBLEMS} more"] if len(said) > _SHOWN_PROBLEMS else []
    return "; ".join(said[:_SHOWN_PROBLEMS] + more)


def _place(location: Sequence[int | str]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


# ------------------------------------------------------------ there


def fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of one dataclass by name, as they are."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def plain(value: Any, *, keys_of: Callable[[Any], Mapping[str, Any]] = fields_of) -> Any:
    """Return a record as JSON values; not-a-number is null, and half a surrogate pair, which UTF-8 lacks, is "?".

    Args:
        keys_of: Returns what a dataclass is written as; its values may be records in turn.
    """
    if is_dataclass(value):
        value = keys_of(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(entry, keys_of=keys_of) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [plain(entry, keys_of=keys_of) for entry in value]
    if isinstance(value, np.generic):  # a count or a p-value that comes straight from an array
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


# ------------------------------------------------------------ and back


def record_of(kind: Callable[..., Record], row: Mapping[str, Any]) -> Record:
    """Return the dataclass of a row: lists are tuples again."""
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


def records_of(kind: Callable[..., Record], rows: Sequence[Mapping[str, Any]]) -> tuple[Record, ...]:
    return tuple(record_of(kind, row) for row in rows)


def number_of(value: float | None) -> float:
    """Return a number that may be absent: null is not-a-number again, and never 0."""
    return math.nan if value is None else value
