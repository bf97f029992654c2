"""A drift check as JSON and back.

    DriftReport ── drift_to_dict ──> dict (only null, bool, int, float, str, list, dict) ── render_drift_json ──> text
    dict ── drift_from_dict: version, then every key and type ──> DriftReport

Each record has the fields of its dataclass in benchkit.types.drift, and docs/drift.schema.json is made from these. What
is absent is null, and so is what is not a number.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from benchkit.errors import UsageError
from benchkit.report.forms import plain
from benchkit.types.drift import ClusterChange, DriftReport, Evidence, HealthFinding, StatisticResult

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA_VERSION = 1
# What is measured may be no number, and what was asked may not.
_MEASURED = {"health": HealthFinding, "statistics": StatisticResult, "evidence": Evidence, "clusters": ClusterChange}


def drift_to_dict(report: DriftReport) -> dict[str, Any]:
    """Return the JSON form."""
    return {"schema_version": SCHEMA_VERSION, **plain(report)}


def render_drift_json(report: DriftReport) -> str:
    """Return the JSON text, with a line end."""
    return json.dumps(drift_to_dict(report), indent=2, ensure_ascii=False) + "\n"


def drift_from_dict(data: Mapping[str, Any], *, place: str = "the report") -> DriftReport:
    """Return the report of a JSON form; a key of a newer benchkit is passed over.

    Args:
        place: Where it was found, for the message.

    Raises:
        UsageError: another version, or a key that is missing or doesn't fit.
    """
    from pydantic import ValidationError

    version = data.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UsageError(
            f"{place}: schema_version is {version!r}, and this benchkit reads {SCHEMA_VERSION}; check the window again"
        )
    try:
        # By way of the text: as JSON, a list may be a tuple, and still "12" is no number.
        text = json.dumps({key: _with_nan(key, value) for key, value in data.items()})
        return _form().validate_json(text, strict=True)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place}: {where}: {first['msg']}; not a drift report of benchkit") from exc


def drift_schema() -> dict[str, Any]:
    """Return the JSON Schema of the form."""
    schema = _form().json_schema(mode="serialization")
    version = {"const": SCHEMA_VERSION, "title": "Schema version", "type": "integer"}
    schema["properties"] = {"schema_version": version, **schema["properties"]}
    for kind in _MEASURED.values():
        for name in _numbers(kind):
            schema["$defs"][kind.__name__]["properties"][name]["type"] = ["number", "null"]
    # Every key is written, those with a default too.
    for record in (schema, *schema.get("$defs", {}).values()):
        record["required"] = list(record["properties"])
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _numbers(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind) if field.type == "float"]


def _with_nan(key: str, value: Any) -> Any:
    """Return a part of a report in which a measured number that is null is not-a-number again."""
    if isinstance(value, list):
        return [_with_nan(key, entry) for entry in value]
    if key not in _MEASURED or not isinstance(value, Mapping):
        return value
    names = _numbers(_MEASURED[key])
    return {name: math.nan if entry is None and name in names else entry for name, entry in value.items()}


@functools.cache
def _form() -> TypeAdapter[DriftReport]:
    from pydantic import TypeAdapter

    return TypeAdapter(DriftReport)
