"""Baselines: write one to a file, make a model the champion, look at what there is.

MODEL ── score ──┬── save ─────> FILE, to be committed
                 └── promote ──> MLflow's registry: alias `champion`, moved last and at once
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchkit.api.request import Prepared, Request, prepare, settings_of, suite_of
from benchkit.api.run import run
from benchkit.api.scored import is_champion, is_file, read_champion, read_result, read_scores, scored_now
from benchkit.errors import CellFailed, SuiteError, UsageError
from benchkit.gate.probe import probe
from benchkit.runner.progress import Progress, Silent
from benchkit.settings import Settings
from benchkit.store.scored_file import write_scored
from benchkit.suite.find import SUFFIXES
from benchkit.types.gate import Scored
from benchkit.types.result import CellResult

if TYPE_CHECKING:
    from benchkit.store.registry import Champion


@dataclass(frozen=True, slots=True)
class Saved:
    """A baseline that was written."""

    path: Path
    scored: Scored
    bytes: int


def save(
    path: Path,
    request: Request,
    *,
    result: Path | None = None,
    progress: Progress | None = None,
) -> Saved:
    """Score a model, or take one of a stored result, and write its baseline file.

    Args:
        request: Its one model; with `result`, which model of it.

    Raises:
        CellFailed: a task has no score: a baseline with a hole would let everything pass there.
    """
    if result is not None:
        named = request.models[0] if request.models else None
        scored = read_result(result, model=None if named is None else str(named))
    else:
        scored = score(request, progress=progress)
    refuse_holes(scored.cells)
    write_scored(path, scored)
    return Saved(path, scored, path.stat().st_size)


def score(request: Request, *, progress: Progress | None = None) -> Scored:
    """Score the one model of a request, with its probe and the metadata of its items.

    Raises:
        CellFailed: a task has no score.
        KeyboardInterrupt: what is finished is kept.
    """
    watched = progress or Silent()
    return _score(prepare(_one_model(request), on_stage=watched.stage), watched)


def _one_model(request: Request) -> Request:
    if len(request.models) != 1:
        raise UsageError("name one model: a baseline is the scores of one")
    return replace(request, cost="off")


def _score(prepared: Prepared, progress: Progress) -> Scored:
    finished = run(prepared, progress=progress)
    if finished.comparison.interrupted:
        raise KeyboardInterrupt  # the finished cells are kept, and some tasks make no baseline
    planned = prepared.models[0]
    # Before the model is loaded once more.
    refuse_holes(finished.cells)
    progress.stage("probing vectors")
    facts = probe(planned.handle.load())
    return scored_now(prepared, planned, finished.cells, probe=facts, with_tags=True, on_warning=progress.warning)


def refuse_holes(cells: Sequence[CellResult]) -> None:
    """Refuse scores with a task that failed.

    Raises:
        CellFailed: naming the tasks and why.
    """
    if bad := [f"{cell.task}: {cell.reason or cell.status}" for cell in cells if cell.status != "ok"]:
        raise CellFailed("no baseline without a score on every task\n" + "\n".join(bad))


def show(name: str, *, suite: str | None, request: Request) -> Scored:
    """Return a baseline file or a suite's champion."""
    if not is_champion(name):
        if not is_file(name):
            raise UsageError(f"{name!r}: neither a baseline file nor `champion`")
        return read_scores(name)
    settings = settings_of(request)
    return read_champion(name, _suite_name(suite, request, settings), tracking_uri=settings.tracking_uri)


def _suite_name(named: str | None, request: Request, settings: Settings) -> str:
    """Return the name of the suite that was asked for; of one that isn't here, the champions are still there."""
    try:
        return suite_of(replace(request, suite=named), settings).name
    except SuiteError:
        if named is None or Path(named).suffix in SUFFIXES:
            raise
        return named


def promote(
    request: Request,
    *,
    reason: str,
    force: bool,
    by: str | None = None,
    progress: Progress | None = None,
) -> Champion:
    """Make a model the champion of a suite, which later gates hold candidates against.

    Raises:
        UsageError: its last gate against the champion did not pass, or it had none, and `force` is not set.
        TrackingError: the registry can't be reached; the champion is unchanged then.
    """
    from benchkit.store import promotable, promotion
    from benchkit.store.gate_runs import ModelFacts
    from benchkit.store.registry import champion

    watched = progress or Silent()
    prepared = prepare(_one_model(request), on_stage=watched.stage)
    suite, uri = prepared.suite.name, prepared.settings.tracking_uri
    model = ModelFacts.of(prepared.models[0].meta)
    # What is forced asks nothing of the present champion, which may be one that can't be read any more.
    present = None if force else champion(uri, suite)
    gate = promotable.last_gate(uri, suite, model) if force else promotable.gate_to_rest_on(uri, suite, model, present)
    # Told before hours of work; the registry looks again when the alias moves.
    promotable.check_promotable(gate, forced=force, reason=reason, first=present is None)
    scored = _score(prepared, watched)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "scored.json"
        write_scored(file, scored)
        return promotion.promote(
            tracking_uri=uri,
            suite=suite,
            scored_file=file,
            model=model,
            gate=gate,
            reason=reason,
            by=by or _user(),
            forced=force,
            instead_of=present,
        )


def champions(request: Request, *, suite: str | None, limit: int = 20) -> Sequence[Champion]:
    """Return the champions of a suite, the present one first; of all suites, their present ones."""
    from benchkit.store import registry

    settings = settings_of(request)
    uri = settings.tracking_uri
    if suite is not None:
        return registry.history(uri, _suite_name(suite, request, settings), limit)
    found = (registry.champion(uri, name) for name in registry.suites_with_champions(uri))
    return [champion for champion in found if champion is not None]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container's user without a name
