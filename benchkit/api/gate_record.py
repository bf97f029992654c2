"""Put a finished gate on disk, then into MLflow.

GateRun ── gate.json, gate.md, candidate.json (its scores) ── MLflow run in benchkit/<suite>/gate
           └── in mlruns/gates/<time>-<suite>/
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchkit.api.gate import GateRun
from benchkit.api.record import write_json
from benchkit.errors import BenchkitError

REPORT, SUMMARY, CANDIDATE = "gate.json", "gate.md", "candidate.json"


@dataclass(frozen=True, slots=True)
class RecordedGate:
    """Where a gate went; what did not work is in the warnings, and never changes the verdict."""

    folder: Path | None
    run: str | None
    warnings: tuple[str, ...] = ()


def record_gate(run: GateRun) -> RecordedGate:
    """Write the files of a gate and log it."""
    from benchkit.report.gate_json import gate_to_dict

    content = gate_to_dict(run.report)
    warnings: list[str] = []
    folder: Path | None = None
    try:
        folder = _write(run, content, run.settings.mlruns_dir / "gates")
    except (OSError, BenchkitError) as exc:
        where = getattr(exc, "filename", None) or run.settings.mlruns_dir
        why = getattr(exc, "strerror", None) or exc
        warnings.append(f"{where}: the gate's files can't be written: {why}; save them with --json PATH")
    if run.tracking_uri is None:
        return RecordedGate(folder, None, tuple(warnings))
    try:
        where = _log(content, run.tracking_uri, folder)
    except BenchkitError as exc:
        return RecordedGate(folder, None, (*warnings, f"not recorded in MLflow: {exc}"))
    return RecordedGate(folder, where, tuple(warnings))


def _write(run: GateRun, content: dict[str, Any], root: Path) -> Path:
    from benchkit.report.gate_markdown import render_gate_markdown
    from benchkit.store.scored_file import write_scored

    stamp = re.sub(r"[^0-9T]", "", run.report.started.partition("+")[0])
    folder = root / f"{stamp}-{run.report.suite.name}-{run.report.gate_id[:6]}"
    folder.mkdir(parents=True)
    try:
        (folder / SUMMARY).write_text(render_gate_markdown(run.report), encoding="utf-8", errors="replace")
        write_scored(folder / CANDIDATE, run.candidate)
        # Last: a folder with a report is a whole one.
        write_json(folder / REPORT, content)
    except (OSError, BenchkitError):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _log(content: dict[str, Any], tracking_uri: str, folder: Path | None) -> str:
    from benchkit.store.gate_runs import log_gate

    artifacts = [] if folder is None else [folder / REPORT, folder / SUMMARY]
    return log_gate(content, tracking_uri=tracking_uri, artifacts=artifacts)
