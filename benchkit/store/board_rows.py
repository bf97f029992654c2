"""Rows of comparisons and gates from the folders that they were written to.

    <mlruns>/results/*/{result.json, record.json} ── comparison_row ──> ComparisonRow
    <mlruns>/gates/*/gate.json                    ── gate_row ────────> GateRow

Only what a row holds is looked at, and nothing of it is believed: each value has its type, times are made UTC, and a
name that nobody could read is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from benchkit.store import schema
from benchkit.store.board_files import Damaged, Folder, Folders, Kept, object_of, parts_of, printable, read_file, shown
from benchkit.store.recorded import NAME as RECORD
from benchkit.types.board import ComparisonRow, GateRow
from benchkit.types.gate import GateVerdict

RESULT, COSTS, GATE = "result.json", "costs.parquet", "gate.json"
MOST_LETTERS = 10_000  # of a name; one of a megabyte would stand in every row, filter and axis
GATE_PARTS = ("schema_version", "gate_id", "verdict", "exit_code", "rules", "candidate", "baseline", "suite", "started")
_COMPARISON_PARTS = ("schema_version", "suite", "models", "recommendation", "started", "cost_session", "interrupted")
_VERSION = schema.REPORT_VERSION
_FAILED, _WARNS = ("fail", "error"), "warn"
_MEAN = "quality/mean"
_ADDRESS = re.compile(r"(?:https?|sqlite|postgresql(?:\+\w+)?)://.*|[^:]*|[A-Za-z]:[\\/].*")


def result_folders(mlruns: Path) -> Folders[ComparisonRow]:
    """Return the folders of comparisons."""
    return Folders(mlruns / "results", (RESULT, RECORD, COSTS), _comparison)


def gate_folders(mlruns: Path) -> Folders[GateRow]:
    """Return the folders of gates."""
    return Folders(mlruns / "gates", (GATE,), _gate)


def _comparison(folder: Folder, root: Path) -> Kept[ComparisonRow]:
    row = comparison_row(folder.key, parts_of(read_file(folder.path / RESULT, root), _COMPARISON_PARTS))
    if folder.states[1] is None:
        return Kept(row, folder.path)
    try:
        noted = object_of(read_file(folder.path / RECORD, root))
        run_id, address = text_of(noted, "run_id"), text_of(noted, "address")
    except Damaged as exc:
        return Kept(row, folder.path, problem=f"{shown(folder.path / RECORD)}: {exc}")
    return Kept(replace(row, run_id=run_id, address=_as_address(address)), folder.path, run_id)


def _as_address(text: str) -> str:
    """Return the address that a file gives; "" of one that would do something else than lead to a run."""
    return schema.clean(text) if _ADDRESS.fullmatch(text) else ""


def _gate(folder: Folder, root: Path) -> Kept[GateRow]:
    found = parts_of(read_file(folder.path / GATE, root), GATE_PARTS)
    return Kept(gate_row(folder.key, found), folder.path, text_of(found, "gate_id"))


def comparison_row(key: str, found: Mapping[str, Any]) -> ComparisonRow:
    """Return the row of a comparison's JSON form.

    Raises:
        Damaged: it isn't one.
    """
    _check_version(found)
    models = found.get("models")
    if not isinstance(models, list):
        raise Damaged("models isn't a list; not a result of benchkit")
    recommended = _part(found, "recommendation").get("model")
    return ComparisonRow(
        key=key,
        suite=text_of(found, "suite", "name"),
        suite_digest=text_of(found, "suite", "digest"),
        started=utc(text_of(found, "started")),
        models=tuple(text_of({"model": model}, "model", "name") for model in models),
        recommendation=None if recommended is None else text_of(found, "recommendation", "model"),
        has_cost=isinstance(found.get("cost_session"), Mapping),
        is_interrupted=found.get("interrupted") is True,
    )


def gate_row(key: str, found: Mapping[str, Any]) -> GateRow:
    """Return the row of a gate's JSON form.

    Raises:
        Damaged: it isn't one.
    """
    _check_version(found)
    rules = found.get("rules")
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise Damaged("rules isn't a list of rules; not a gate of benchkit")
    mean: Mapping[str, Any] = next((rule for rule in rules if rule.get("id") == _MEAN), {})
    threshold = number_of(mean, "threshold")
    return GateRow(
        key=key,
        suite=text_of(found, "suite", "name"),
        started=utc(text_of(found, "started")),
        verdict=verdict_of(found.get("verdict")),
        blocks=found.get("exit_code") != 0,
        candidate=text_of(found, "candidate", "name"),
        baseline=text_of(found, "baseline", "name"),
        change=number_of(mean, "change"),
        low=number_of(mean, "low"),
        high=number_of(mean, "high"),
        margin=None if threshold is None else abs(threshold),
        failed=tuple(
            text_of(rule, "id") for rule in rules if rule.get("verdict") in _FAILED and rule.get("severity") != _WARNS
        ),
    )


def verdict_of(value: object) -> GateVerdict:
    """Return the verdict of a gate; Damaged where it is none."""
    for verdict in get_args(GateVerdict):
        if value == verdict:
            found: GateVerdict = verdict
            return found
    raise Damaged(f"verdict: {shown(str(value))!r} is no verdict of a gate")


def _check_version(found: Mapping[str, Any]) -> None:
    if "schema_version" not in found:
        raise Damaged("it has no schema_version; not a file of benchkit")
    if found["schema_version"] != _VERSION or found["schema_version"] is True:
        version = shown(str(found["schema_version"]))
        raise Damaged(f"schema_version is {version}, and this benchkit reads {_VERSION}; upgrade benchkit")


def _part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = found.get(name)
    if not isinstance(part, Mapping):
        raise Damaged(f"{name} isn't an object; not a file of benchkit")
    return part


def text_of(found: Mapping[str, Any], *names: str) -> str:
    """Return a text within objects; Damaged where it is none, or a name that nobody can read."""
    for name in names[:-1]:
        found = _part(found, name)
    value = found.get(names[-1])
    if not isinstance(value, str):
        raise Damaged(f"{'.'.join(names)} isn't a text; not a file of benchkit")
    if len(value) > MOST_LETTERS:
        raise Damaged(f"{'.'.join(names)} has {len(value)} letters, and {MOST_LETTERS} are the most that is shown")
    return printable(value)


def number_of(found: Mapping[str, Any], name: str) -> float | None:
    """Return a number; None where it is absent or isn't one."""
    value = found.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300
    return float(value) if is_number and value is not None else None


def utc(text: str) -> str:
    """Return a time as ISO 8601 in UTC, so that times sort as texts; Damaged where it is none.

    >>> utc("2026-01-02T03:04:05Z"), utc("2026-01-02T03:04:05+01:00")
    ('2026-01-02T03:04:05+00:00', '2026-01-02T02:04:05+00:00')
    """
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as exc:
        raise Damaged(f"{shown(text)!r} is no time") from exc
