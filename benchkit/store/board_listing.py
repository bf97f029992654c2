"""Comparisons, gates and champions of a project, each once, wherever it is kept.

    folders (board_files) ─┐  matched by record.json, by the digest of the result, by the id of the gate
    MLflow (board_mlflow) ─┴─> Listing: rows by key, newest last, each with where its document is

The listing is made again when its stamp has changed: the states of all files, and of the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchkit.errors import UsageError
from benchkit.store import schema
from benchkit.store.board_files import Damaged, Kept, object_of, parts_of, read_file, shown
from benchkit.store.board_mlflow import TrackedRuns, open_tracked, without_secrets
from benchkit.store.board_rows import GATE, GATE_PARTS, RESULT, gate_folders, gate_row, result_folders, utc
from benchkit.store.board_tracked import (
    RunFacts,
    Tracked,
    VersionFacts,
    champions_of,
    comparison_of,
    gate_of,
    rows_of,
)
from benchkit.store.mlflow_store import _address
from benchkit.store.uri import locate
from benchkit.types.board import ChampionRow, ComparisonRow, GateRow

Row = TypeVar("Row", ComparisonRow, GateRow)
Source = Path | RunFacts


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """A row, and the folder or run that its document is in."""

    row: Row
    source: Source


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that has a row, by key, newest last.

    Attributes:
        drift: Experiments of checks in MLflow by name.
    """

    comparisons: Mapping[str, Listed[ComparisonRow]] = field(default_factory=dict)
    gates: Mapping[str, Listed[GateRow]] = field(default_factory=dict)
    champions: tuple[ChampionRow, ...] = ()
    drift: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Runs:
    """The folders and the store of a project; not for several threads at once."""

    def __init__(self, mlruns_dir: Path, tracking_uri: str) -> None:
        self._results, self._gates = result_folders(mlruns_dir), gate_folders(mlruns_dir)
        self._store, self._refused = _opened(tracking_uri)
        self._known = "", Listing()
        # What was read of files that don't change: rows of gates, digests of results.
        self._rows: dict[str, GateRow] = {}
        self._ids: dict[tuple[Path, object], str] = {}

    def stamp(self) -> str:
        return digest([self._results.scan(), self._gates.scan(), self._store.stamp() if self._store else ""])

    def listing(self) -> Listing:
        stamp = self.stamp()
        if self._known[0] != stamp:
            self._known = stamp, self._list()
        return self._known[1]

    def content(self, source: Source, name: str) -> bytes:
        """Return a file of a comparison or a gate.

        Raises:
            UsageError: it can't be read.
        """
        try:
            if isinstance(source, Path):
                return read_file(source / name, source.parent.resolve())
            assert self._store is not None  # a run was listed
            return self._store.document(source, name)
        except Damaged as exc:
            raise UsageError(f"{self.place(source)}: {name}: {exc}") from exc

    def place(self, source: Source) -> str:
        """Return what people know a folder or a run by."""
        return shown(source if isinstance(source, Path) else _name(source))

    def address(self, experiment_id: str | None, run_id: str) -> str:
        """Return where people find a run; "" where that isn't known."""
        if self._store is None or experiment_id is None or not run_id:
            return ""
        return _address(self._store.tracking, experiment_id, run_id)

    def _list(self) -> Listing:
        results, problems = self._results.read()
        gates, of_gates = self._gates.read()
        found = self._store.tracked() if self._store else Tracked()
        place = shown(self._store.tracking.shown) if self._store else ""
        comparison_rows, of_runs = self._together(
            results, found.comparisons, self._comparison_runs(results, found.comparisons), self._comparison_row
        )
        gate_rows, of_gate_runs = self._together(gates, found.gates, _gate_runs(gates, found.gates), self._gate_row)
        champions, of_champions = champions_of(found, self._champion_address)
        of_store = [f"{place}: {said}" for said in (*found.problems, *of_runs, *of_gate_runs, *of_champions)]
        return Listing(
            comparisons=comparison_rows,
            gates=gate_rows,
            champions=tuple(champions),
            drift=found.drift,
            problems=(*self._refused, *problems, *of_gates, *of_store),
        )

    def _together(
        self,
        kept: Sequence[Kept[Row]],
        runs: Sequence[RunFacts],
        matches: Mapping[Path, RunFacts],
        row_of: Callable[[RunFacts], Row],
    ) -> tuple[dict[str, Listed[Row]], list[str]]:
        """Return the rows of folders, and of the runs that have none."""
        listed = []
        for one in kept:
            run = matches.get(one.folder)
            listed.append(Listed(one.row if run is None else self._of_run(one.row, run), one.folder))
        matched = {run.run_id for run in matches.values()}
        made, problems = rows_of([run for run in runs if run.run_id not in matched], row_of, _name)
        listed += [Listed(row, run) for run, row in made]
        listed.sort(key=lambda one: (one.row.started, one.row.key))
        return {one.row.key: one for one in listed}, problems

    def _of_run(self, row: Row, run: RunFacts) -> Row:
        return replace(row, run_id=run.run_id, address=self.address(run.experiment_id, run.run_id))

    def _comparison_row(self, run: RunFacts) -> ComparisonRow:
        return self._of_run(comparison_of(run), run)

    def _gate_row(self, run: RunFacts) -> GateRow:
        """Return the row of a gate without a folder: of its gate.json, where that is at hand, as it has the margin."""
        if run.run_id not in self._rows:
            row = gate_of(run)
            with suppress(Damaged):  # the tags say the rest of it
                content = self._store.nearby(run, GATE) if self._store else None
                row = row if content is None else gate_row(run.run_id, parts_of(content, GATE_PARTS))
            self._rows[run.run_id] = self._of_run(row, run)
        return self._rows[run.run_id]

    def _comparison_runs(self, kept: Sequence[Kept[ComparisonRow]], runs: Sequence[RunFacts]) -> dict[Path, RunFacts]:
        """Return the run of each folder that has one: as the folder notes it, or one that says the same."""
        by_id = {run.run_id: run for run in runs}
        by_result = {run.tags.get(schema.RESULT_ID, ""): run for run in runs}
        starts = {_start(run) for run in runs}
        found = {}
        for one in kept:
            run = by_id.get(one.id)
            # A digest takes milliseconds, and most folders have their note.
            if run is None and not one.id and one.row.started in starts:
                run = by_result.get(self._result_id(one.folder))
            if run is not None:
                found[one.folder] = run
        return found

    def _result_id(self, folder: Path) -> str:
        try:
            known = folder, (folder / RESULT).stat().st_mtime_ns
            if known not in self._ids:
                report = object_of(read_file(folder / RESULT, folder.parent.resolve()))
                self._ids[known] = schema.result_id(report)
            return self._ids[known]
        except (Damaged, OSError, RecursionError):
            return "?"

    def _champion_address(self, version: VersionFacts) -> str:
        from urllib.parse import quote

        if self._store is None or not self._store.tracking.uri.startswith("http"):
            return self.address("", "-")
        return f"{self._store.tracking.shown}/#/models/{quote(version.name)}/versions/{version.version}"


def digest(value: object) -> str:
    """Return a short text that stands for a value."""
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _opened(tracking_uri: str) -> tuple[TrackedRuns | None, tuple[str, ...]]:
    """Return the store of a URI, or a sentence why there is none."""
    try:
        return open_tracked(locate(tracking_uri)), ()
    except UsageError as exc:
        return None, (shown(str(exc).replace(tracking_uri, without_secrets(tracking_uri))),)


def _gate_runs(kept: Sequence[Kept[GateRow]], runs: Sequence[RunFacts]) -> dict[Path, RunFacts]:
    by_gate: dict[Any, RunFacts] = {run.tags[schema.GATE_ID]: run for run in runs if schema.GATE_ID in run.tags}
    return {one.folder: by_gate[one.id] for one in kept if one.id in by_gate}


def _start(run: RunFacts) -> str:
    try:
        return utc(run.tags.get(schema.STARTED, ""))
    except Damaged:
        return ""


def _name(run: RunFacts) -> str:
    return f"MLflow run {run.run_id}"
