"""The history of the drift monitor, read without a change to it.

    <mlruns>/drift/state.db ── json_extract in SQL ──> CheckRow for each check; the whole report of one by its number
    checks, baseline, champions ── marks_of ──> what happened, on the time axis

A report of some kilobytes gives a row of thirty values, so SQLite takes them out and nothing else is parsed.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from benchkit.store import board_sqlite
from benchkit.store.board_files import MOST_BYTES, Damaged, object_of, printable, shown
from benchkit.store.board_rows import utc
from benchkit.store.drift_state import SCHEMA_VERSION
from benchkit.types.board import ChampionRow, CheckRow, Mark
from benchkit.types.drift import DRIFT_SEVERITIES, BaselineInfo, ChangeKind

MOST_CHECKS = 5000  # that are looked through for a span of time
# In the order of _values.
_PATHS = (
    "schema_version",
    "window.start",
    "window.end",
    "window.rows",
    "kind",
    "breaks_policy",
    "reason",
    "p_value",
    "policy.false_alarms",
    "evidence.detector",
    "evidence.run_length",
    "harm.overlap_at_10",
    "harm.identity",
    "harm.ndcg_at_10",
    "harm.low_score_share",
    "window.fingerprint",
    "window.model",
    "baseline.created",
    "baseline.digest",
)
_EXTRACT = f"json_extract(report, {', '.join(repr('$.' + path) for path in _PATHS)})"
_COLUMNS = "id, baseline, source, stream, number, checked_at, severity, run_id"
_FROM = "FROM checks WHERE (:baseline IS NULL OR baseline = :baseline) ORDER BY id DESC LIMIT :most"
_ROWS = f"SELECT {_COLUMNS}, {_EXTRACT} {_FROM}"
# Looks at each report twice, but one that is damaged doesn't hide the others.
_CAREFUL = f"SELECT {_COLUMNS}, CASE WHEN json_valid(report) THEN {_EXTRACT} END {_FROM}"


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """A row, and what tells another model or another baseline from the one before."""

    row: CheckRow
    model: str
    baseline_created: str
    baseline_digest: str


class DriftHistory:
    """The monitor's database."""

    def __init__(self, database: Path) -> None:
        self._state = database
        self._known: dict[tuple[str | None, int], tuple[list[KeptCheck], list[str]]] = {}
        self._known_at: board_sqlite.Stamp | None = None

    def stamp(self) -> board_sqlite.Stamp:
        """Return what changes with every check."""
        return board_sqlite.stamp_of(self._state)

    def checks(self, baseline: str | None, most: int) -> tuple[list[KeptCheck], list[str]]:
        """Return the newest checks, oldest first, and sentences on those that can't be used."""
        stamp = board_sqlite.stamp_of(self._state)
        if stamp[0] is None:
            return [], []
        if stamp != self._known_at:
            self._known, self._known_at = {}, stamp
        wanted = (baseline, most)
        if wanted not in self._known:
            self._known[wanted] = self._read(baseline, most)
        return self._known[wanted]

    def _read(self, baseline: str | None, most: int) -> tuple[list[KeptCheck], list[str]]:
        values = {"baseline": baseline, "most": most}
        try:
            found = board_sqlite.read(self._state, lambda connection: _rows(connection, values))
        except Damaged as exc:
            return [], [f"{shown(self._state)}: {exc}"]
        kept, problems = [], []
        for row in reversed(found):
            try:
                kept.append(_check(row))
            except Damaged as exc:
                problems.append(f"{shown(self._state)}: check {row[0]}: {exc}")
        return kept, problems

    def check(self, key: int) -> Mapping[str, Any]:
        """Return the report of a check.

        Raises:
            KeyError: there is none of that number.
            Damaged: it can't be read.
        """
        if board_sqlite.stamp_of(self._state)[0] is None:
            raise KeyError(key)

        def ask(connection: sqlite3.Connection) -> Any:
            _check_form(connection)
            return connection.execute(
                "SELECT length(report), CASE WHEN length(report) <= ? THEN report END FROM checks WHERE id = ?",
                (MOST_BYTES, key),
            ).fetchone()

        row = board_sqlite.read(self._state, ask)
        if row is None:
            raise KeyError(key)
        if row[1] is None:
            raise Damaged(f"its report has {row[0]} letters, and {MOST_BYTES} are the most that is read")
        return object_of(row[1].encode() if isinstance(row[1], str) else b"")


def _rows(connection: sqlite3.Connection, values: Mapping[str, Any]) -> Sequence[Any]:
    _check_form(connection)
    try:
        return connection.execute(_ROWS, values).fetchall()
    except sqlite3.OperationalError as exc:
        if "malformed JSON" not in str(exc):
            raise
        return connection.execute(_CAREFUL, values).fetchall()


def _check_form(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise Damaged(f"it has form {version} of a newer benchkit, and this one reads {SCHEMA_VERSION}")


def _check(row: Sequence[Any]) -> KeptCheck:
    number, baseline, source, stream, place, checked_at, severity, run_id, report = row
    if report is None:
        raise Damaged("its report is not JSON")
    found = dict(zip(_PATHS, json.loads(report), strict=True))
    if found["schema_version"] != 1:
        raise Damaged(f"schema_version is {shown(str(found['schema_version']))}, and this benchkit reads 1")
    if severity not in DRIFT_SEVERITIES or found["kind"] not in get_args(ChangeKind):
        raise Damaged(f"{shown(str(severity))}, {shown(str(found['kind']))}: no severity and kind of a change")
    check = CheckRow(
        key=number,
        baseline=_text(baseline),
        source=_text(source),
        stream=_text(stream),
        number=place if isinstance(place, int) else 0,
        start=_time(found["window.start"]),
        end=_time(found["window.end"]),
        checked_at=_time(checked_at),
        rows=int(_number(found["window.rows"]) or 0),
        severity=severity,
        kind=found["kind"],
        breaks_policy=bool(found["breaks_policy"]),
        reason=_text(found["reason"]),
        p_value=_number(found["p_value"]),
        false_alarms=_number(found["policy.false_alarms"]) or 0.0,
        detector=_number(found["evidence.detector"]),
        run_length=None if (length := _number(found["evidence.run_length"])) is None else int(length),
        overlap_at_10=_number(found["harm.overlap_at_10"]),
        identity=_number(found["harm.identity"]),
        ndcg_at_10=_number(found["harm.ndcg_at_10"]),
        low_score_share=_number(found["harm.low_score_share"]),
        fingerprint=_text(found["window.fingerprint"]),
        run_id=_text(run_id),
    )
    return KeptCheck(
        check, _text(found["window.model"]), _time(found["baseline.created"]), _text(found["baseline.digest"])
    )


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else ""


def _time(value: object) -> str:
    return utc(value) if isinstance(value, str) and value else ""


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isinstance(value, int | float) and math.isfinite(value) else None


# ------------------------------------------------------------ marks


def marks_of(
    checks: Sequence[KeptCheck], champions: Iterable[ChampionRow], baseline: BaselineInfo | None
) -> tuple[Mark, ...]:
    """Return what happened, oldest first.

    Args:
        checks: Of one baseline.
        baseline: As it is now; None where it was deleted.
    """
    ordered = sorted(checks, key=lambda check: check.row.at)
    marks = [Mark(row.promoted_at, f"champion {row.model} of {row.suite}", "champion") for row in champions]
    known = [check for check in ordered if check.row.fingerprint]
    marks += [
        Mark(after.row.at, f"model {after.model or after.row.fingerprint[:12]}", "model")
        for before, after in pairwise(known)
        if before.row.fingerprint != after.row.fingerprint
    ]
    made = {check.baseline_created for check in ordered if check.baseline_created}
    if baseline is not None and baseline.created:
        made.add(_time_or_none(baseline.created))
    # The first is not a renewal.
    marks += [Mark(at, "baseline renewed", "baseline") for at in sorted(made - {""})[1:]]
    return tuple(sorted(marks, key=lambda mark: (mark.at, mark.kind)))


def _time_or_none(text: str) -> str:
    try:
        return utc(text)
    except Damaged:
        return ""
