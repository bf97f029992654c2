"""What a project has to show, from its folders, MLflow and the drift monitor, without a change to any of them.

    <mlruns>/results, gates ─┐
    MLflow, any tracking URI ─┼─ Board ──> rows, newest last ── a key of a listed row ──> the whole document
    <mlruns>/drift ───────────┘       └──> stamp (changes with anything), problems (what couldn't be read)

What is in a folder and in MLflow is listed once. A key is looked up among what was listed and never joined to a path.
A part that is damaged becomes a sentence in `problems`, and the rest is shown.
Cost: 300 comparisons, 300 gates and 200 checks in 0.2 s the first time, in 10 ms when nothing changed; without
importing MLflow, unless it is a server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from benchkit.errors import UsageError
from benchkit.store.answers import read_answers
from benchkit.store.board_artifacts import Absent
from benchkit.store.board_baselines import Baselines
from benchkit.store.board_drift import MOST_CHECKS, DriftHistory, marks_of
from benchkit.store.board_files import Damaged, object_of, shown
from benchkit.store.board_listing import Listed, Listing, Runs, Source, digest
from benchkit.store.board_rows import COSTS, GATE, RESULT, utc
from benchkit.store.cost_samples import read_cost_samples
from benchkit.store.drift_runs import experiment_of
from benchkit.store.items import read_items
from benchkit.store.tags import read_tags
from benchkit.types.answer import KeptItem
from benchkit.types.board import ChampionRow, CheckRow, ComparisonRow, GateRow, Mark
from benchkit.types.cost import CostSamples
from benchkit.types.drift import BaselineInfo
from benchkit.types.result import ItemScores
from benchkit.types.tags import KeptTags

_LIMIT, _MOST_MARKED = 300, 1000
ITEMS, ANSWERS, TAGS = "items.parquet", "answers.parquet", "tags.parquet"
Row = TypeVar("Row", ComparisonRow, GateRow, CheckRow)
Table = TypeVar("Table")


def open_board(mlruns_dir: Path, tracking_uri: str) -> Board:
    """Return the board of a project; nothing is opened yet, and nothing is ever made or changed."""
    return Board(mlruns_dir, tracking_uri)


class Board:
    """What a project has to show. Several threads may ask it at once."""

    def __init__(self, mlruns_dir: Path, tracking_uri: str) -> None:
        self._runs = Runs(mlruns_dir, tracking_uri)
        self._drift = DriftHistory(mlruns_dir / "drift" / "state.db")
        self._baselines = Baselines(mlruns_dir / "drift" / "baselines")
        self._lock = threading.RLock()

    def stamp(self) -> str:
        """Return a text that changes whenever anything was added, changed or removed."""
        with self._lock:
            return digest([self._runs.stamp(), self._drift.stamp(), self._baselines.stamp()])

    def problems(self) -> tuple[str, ...]:
        """Return a sentence for each part that is damaged or can't be read."""
        with self._lock:
            of_checks, of_baselines = self._drift.checks(None, _MOST_MARKED)[1], self._baselines.read()[1]
            return tuple(dict.fromkeys([*self._listing().problems, *of_checks, *of_baselines]))

    def _listing(self) -> Listing:
        with self._lock:
            return self._runs.listing()

    # -------------------------------------------------------- comparisons, gates, champions

    def comparisons(
        self, *, suite: str | None = None, since: str | None = None, until: str | None = None, limit: int = _LIMIT
    ) -> tuple[ComparisonRow, ...]:
        """Return the newest comparisons that started within since <= time < until, newest last.

        Args:
            since, until: ISO 8601; without a zone it is UTC.

        Raises:
            ValueError: one of the times is none.
        """
        rows = [one.row for one in self._listing().comparisons.values() if suite in (None, one.row.suite)]
        return _chosen(rows, lambda row: row.started, since, until, limit)

    def comparison(self, key: str) -> Mapping[str, Any]:
        """Return the JSON form of a listed comparison.

        Raises:
            KeyError: none is listed under this key.
            UsageError: its file can't be read; says why.
        """
        return self._document(self._listing().comparisons[key], RESULT)

    def cost_samples(self, key: str) -> CostSamples | None:
        """Return the timed calls of a comparison; None where none are kept.

        Raises:
            KeyError: no comparison is listed under this key.
            UsageError: their file can't be read; says why.
        """
        found = self._listing().comparisons[key]
        is_there = (found.source / COSTS).exists() if isinstance(found.source, Path) else found.row.has_cost
        return self._table(found.source, COSTS, read_cost_samples) if is_there else None

    def item_scores(self, key: str, task: str) -> Mapping[str, tuple[ItemScores, ...]] | None:
        """Return the scores of the items of a task by model, each split and subset; None where none are kept.

        Raises:
            KeyError: no comparison is listed under this key.
            UsageError: their file can't be read; says why.
        """
        source = self._listing().comparisons[key].source
        if isinstance(source, Path) and not (source / ITEMS).exists():
            return None
        kept = self._table(source, ITEMS, read_items)
        return {model: parts for (model, of), parts in kept.items() if of == task} or None

    def kept_items(self, key: str, task: str) -> tuple[KeptItem, ...] | None:
        """Return the items of a task that are kept with the models' answers; None where a result keeps none.

        Raises:
            KeyError: no comparison is listed under this key.
            UsageError: their file can't be read; says why.
        """
        kept = self._companion(key, ANSWERS, read_answers)
        return None if kept is None else tuple(item for item in kept if item.task == task)

    def item_tags(self, key: str, task: str) -> KeptTags | None:
        """Return the tags that cut the items of a task into slices; None where a result keeps none.

        Raises:
            KeyError: no comparison is listed under this key.
            UsageError: their file can't be read; says why.
        """
        kept = self._companion(key, TAGS, partial(read_tags, task=task)) or ()
        return next((one for one in kept if one.tags.has_slices), None)

    def _companion(self, key: str, name: str, read: Callable[[Path], Table]) -> Table | None:
        """Return what a file beside a result holds; None where an older benchkit made the result without it."""
        source = self._listing().comparisons[key].source
        if isinstance(source, Path) and not (source / name).exists():
            return None
        try:
            return self._table(source, name, read)
        except UsageError as exc:
            if isinstance(exc.__cause__, Absent):
                return None
            raise

    def _table(self, source: Source, name: str, read: Callable[[Path], Table]) -> Table:
        """Return what a Parquet file of a comparison holds; it is copied, since it may lie behind a server."""
        with TemporaryDirectory(prefix="benchkit-board-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / name
            copy.write_bytes(self._runs.content(source, name))
            try:
                return read(copy)
            except UsageError as exc:
                raise UsageError(str(exc).replace(str(copy), f"{self._runs.place(source)}: {name}")) from exc

    def gates(
        self, *, suite: str | None = None, since: str | None = None, until: str | None = None, limit: int = _LIMIT
    ) -> tuple[GateRow, ...]:
        """Return the newest gates that started within since <= time < until, newest last.

        Raises:
            ValueError: one of the times is none.
        """
        rows = [one.row for one in self._listing().gates.values() if suite in (None, one.row.suite)]
        return _chosen(rows, lambda row: row.started, since, until, limit)

    def gate(self, key: str) -> Mapping[str, Any]:
        """Return the JSON form of a listed gate.

        Raises:
            KeyError: none is listed under this key.
            UsageError: its file can't be read; says why.
        """
        return self._document(self._listing().gates[key], GATE)

    def _document(self, found: Listed[Any], name: str) -> Mapping[str, Any]:
        try:
            return object_of(self._runs.content(found.source, name))
        except Damaged as exc:
            raise UsageError(f"{shown(found.row.key)}: {name}: {exc}") from exc

    def champions(self, suite: str | None = None) -> tuple[ChampionRow, ...]:
        """Return the promotions, oldest first."""
        return tuple(row for row in self._listing().champions if suite in (None, row.suite))

    # -------------------------------------------------------- drift

    def baselines(self) -> tuple[BaselineInfo, ...]:
        """Return the baselines of the drift monitor, by name."""
        with self._lock:
            return tuple(self._baselines.read()[0])

    def checks(
        self, baseline: str | None = None, *, since: str | None = None, until: str | None = None, limit: int = 1000
    ) -> tuple[CheckRow, ...]:
        """Return the newest checks whose rows ended within since <= time < until, in the order of the checks.

        For a span of time, only the newest 5000 checks are looked through.

        Raises:
            ValueError: one of the times is none.
        """
        most = limit if since is None and until is None else MOST_CHECKS
        with self._lock:
            kept, _ = self._drift.checks(baseline, max(0, most))
            rows = _chosen([check.row for check in kept], lambda row: row.at, since, until, limit)
            if not any(row.run_id for row in rows):
                return rows
            experiments = self._listing().drift
            return tuple(
                replace(row, address=self._runs.address(experiments.get(experiment_of(row.baseline)), row.run_id))
                for row in rows
            )

    def check(self, key: int) -> Mapping[str, Any]:
        """Return the JSON form of a check.

        Raises:
            KeyError: there is none of that number.
            UsageError: it can't be read; says why.
        """
        try:
            return self._drift.check(key)
        except Damaged as exc:
            raise UsageError(f"check {key} of the history: {exc}") from exc

    def marks(self, baseline: str) -> tuple[Mark, ...]:
        """Return what happened while a baseline was watched, oldest first.

        These are promotions of champions, windows of another model than the one before, and renewals of the baseline.
        """
        with self._lock:
            kept, _ = self._drift.checks(baseline, _MOST_MARKED)
            info = next((info for info in self._baselines.read()[0] if info.name == baseline), None)
            return marks_of(kept, self.champions(), info)


def _chosen(
    rows: Sequence[Row], at: Callable[[Row], str], since: str | None, until: str | None, limit: int
) -> tuple[Row, ...]:
    """Return the last rows of a span of time."""
    low, high = ("" if time is None else _time(time) for time in (since, until))
    chosen = [row for row in rows if low <= at(row) and (not high or at(row) < high)]
    return tuple(chosen[max(0, len(chosen) - max(0, limit)) :])


def _time(text: str) -> str:
    try:
        return utc(text)
    except Damaged as exc:
        raise ValueError(str(exc)) from exc
