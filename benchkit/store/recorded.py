"""Whether a comparison that says the same as an earlier one is recorded already.

    report ── content_id ──┐
    <results>/*/record.json ┴── find_recorded ──> the earlier folder and run, or None

A comparison that ran again on unchanged inputs says nothing new; a second run in MLflow would only be one more row.
Importing MLflow takes longer than all the rest of such a comparison, so that the run is looked for without it: in the
SQLite file itself, read only. Whatever is not certain is recorded again: a server, another schema, a deleted run.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchkit.store.uri import locate

NAME = "record.json"
# What differs between two comparisons that say the same: when they ran and how long they took.
_OF_THE_MOMENT = ("started", "seconds")
_OF_THE_SESSION = ("from_cache",)
_LOOKED_AT = 50  # folders, from the newest


@dataclass(frozen=True, slots=True)
class Recorded:
    """An earlier comparison that is in MLflow.

    Attributes:
        content: Digest of what it says.
        started: ISO 8601, UTC.
        address: Where people find its run.
    """

    content: str
    started: str
    tracking_uri: str
    run_id: str
    address: str


def content_id(report: Mapping[str, Any]) -> str:
    """Return a digest of all that a report says, without the time of it (32 hex digits)."""
    content = {name: value for name, value in report.items() if name not in _OF_THE_MOMENT}
    if session := content.get("cost_session"):
        content["cost_session"] = {name: value for name, value in session.items() if name not in _OF_THE_SESSION}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_recorded(folder: Path, recorded: Recorded) -> None:
    """Note in the folder of a comparison where it is recorded.

    Raises:
        OSError: the folder can't be written.
    """
    (folder / NAME).write_text(json.dumps(asdict(recorded), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def find_recorded(results: Path, suite: str, content: str, tracking_uri: str) -> tuple[Path, Recorded] | None:
    """Return the newest comparison of a suite that says the same and is still recorded under this URI, or None.

    Args:
        results: The folder that the folders of comparisons are in.
        content: The `content_id` looked for.
    """
    try:
        notes = sorted(results.glob(f"*-{suite}*/{NAME}"), reverse=True)[:_LOOKED_AT]
    except OSError:
        return None
    for note in notes:
        found = _read(note)
        if found and (found.content, found.tracking_uri) == (content, tracking_uri) and _is_there(found):
            return note.parent, found
    return None


def _read(path: Path) -> Recorded | None:
    try:
        return Recorded(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_there(recorded: Recorded) -> bool:
    """Tell whether the run is in its SQLite file, finished and not deleted."""
    database = locate(recorded.tracking_uri).database
    if database is None or not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
            row = connection.execute(
                "SELECT status, lifecycle_stage FROM runs WHERE run_uuid = ?", (recorded.run_id,)
            ).fetchone()
    except sqlite3.Error:
        return False
    return bool(row == ("FINISHED", "active"))
