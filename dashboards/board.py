"""What the pages read: rows and reports of one board, kept in memory until something in the store changes.

    BENCHKIT_DASHBOARD_* or the project's settings ── the_board ──> Board
    Board.stamp, a key ── comparison_of, gate_of, drift_of ──> records, parsed once
    Board.stamp, filters ── comparisons, gates, checks, ... ──> rows

Records are frozen, so that every visitor may have the same one. What can't be read is a BenchkitError with a sentence:
`place.problems_told` places it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import streamlit as st

from benchkit.errors import BenchkitError, UsageError
from benchkit.measure.tag_slices import TagSlices, tag_slices
from benchkit.settings import load_settings
from benchkit.store.board import Board, open_board
from benchkit.types.answer import KeptItem
from benchkit.types.board import ChampionRow, CheckRow, ComparisonRow, GateRow, Mark
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostSamples
from benchkit.types.drift import BaselineInfo, DriftReport
from benchkit.types.gate import GateReport
from benchkit.types.result import ItemScores
from benchkit.types.tags import KeptTags
from dashboards.filters import Filters
from dashboards.place import plain

MLRUNS = "BENCHKIT_DASHBOARD_MLRUNS"
TRACKING_URI = "BENCHKIT_DASHBOARD_TRACKING_URI"
# A report of ten models on sixty tasks takes about 2 MiB in memory.
_REPORTS = 48
_LISTS = 64
# Ten models with 10,000 items take some 10 MiB.
_TASKS = 8
_KINDS_OF_A_TASK = 3  # scores of its items, answers, tags
# Looking for changes reads a few hundred folders, or asks a server: not at every move of a slider.
_STAMP_S = 2

Thing = TypeVar("Thing")
Items = Mapping[str, tuple[ItemScores, ...]]  # of each split and subset, by model


# ---------------------------------------------------------------- the board


def location() -> tuple[str, str]:
    """Return the folder of results and the tracking URI that the command gave, or else the project's."""
    mlruns, uri = os.environ.get(MLRUNS), os.environ.get(TRACKING_URI)
    if mlruns and uri:
        return mlruns, uri
    settings = load_settings(Path.cwd(), os.environ)
    return mlruns or str(settings.mlruns_dir), uri or settings.tracking_uri


def the_board() -> Board:
    """Return the board of this dashboard.

    Raises:
        BenchkitError: settings or a tracking URI that can't be used.
    """
    return _opened(*location())


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(mlruns: str, uri: str) -> Board:
    return open_board(Path(mlruns), uri)


@st.cache_data(ttl=_STAMP_S, max_entries=4, show_spinner=False)
def _stamp(mlruns: str, uri: str) -> Hashable:
    stamp: Hashable = _opened(mlruns, uri).stamp()
    return stamp


@st.cache_resource(max_entries=_REPORTS, show_spinner=False)
def _report(where: tuple[str, str], stamp: Hashable, kind: str, key: str | int, _read: Callable[[], Any]) -> Any:
    return _read()


@st.cache_resource(max_entries=_KINDS_OF_A_TASK * _TASKS, show_spinner=False)
def _of_task(where: tuple[str, str], stamp: Hashable, kind: str, key: str, task: str, _read: Callable[[], Any]) -> Any:
    return _read()


@st.cache_resource(max_entries=_LISTS, show_spinner=False)
def _rows(where: tuple[str, str], stamp: Hashable, kind: str, asked: tuple[Any, ...], _read: Callable[[], Any]) -> Any:
    return tuple(_read())


def _kept_report(kind: str, key: str | int, read: Callable[[Board], Any], parse: Callable[..., Thing]) -> Thing:
    board, where = the_board(), location()

    def parsed() -> Thing:
        name = f"{kind} {plain(str(key), 60)}"
        try:
            found = read(board)
        except KeyError as problem:
            raise UsageError(f"{name} is not in this store") from problem
        try:
            return parse(found)
        except BenchkitError as problem:
            raise UsageError(f"{name}: {problem}") from problem

    return cast(Thing, _report(where, _stamp(*where), kind, key, parsed))


def _kept_of_task(kind: str, key: str, task: str, read: Callable[[Board], Any]) -> Any:
    board, where = the_board(), location()

    def found() -> Any:
        try:
            return read(board)
        except KeyError as problem:
            raise UsageError(f"{kind} of {plain(key, 60)} are not in this store") from problem

    return _of_task(where, _stamp(*where), kind, key, task, found)


def _kept_rows(kind: str, asked: tuple[Any, ...], read: Callable[[Board], Any]) -> tuple[Any, ...]:
    where = location()
    return cast(tuple[Any, ...], _rows(where, _stamp(*where), kind, asked, partial(read, the_board())))


# ---------------------------------------------------------------- whole reports


def comparison_of(key: str) -> Comparison:
    """Return a comparison by the key of its row.

    Raises:
        UsageError: no row has this key, or its document is damaged.
    """
    from benchkit.report.json_form import from_dict

    return _kept_report("comparison", key, lambda board: board.comparison(key), from_dict)


def _as_it_is(found: CostSamples | None) -> CostSamples | None:
    return found


def cost_samples_of(key: str) -> CostSamples | None:
    """Return the timed calls of a comparison, None where none were kept; UsageError as above."""
    return _kept_report("costs of", key, lambda board: board.cost_samples(key), _as_it_is)


def item_scores_of(key: str, task: str) -> Items | None:
    """Return the scores of the items of a task by model, None where none were kept; UsageError as above."""
    return cast(Items | None, _kept_of_task("items", key, task, lambda board: board.item_scores(key, task)))


def kept_items_of(key: str, task: str) -> tuple[KeptItem, ...] | None:
    """Return the items of a task that are kept with answers, None where a result keeps none; UsageError as above."""
    return cast(
        tuple[KeptItem, ...] | None, _kept_of_task("answers", key, task, lambda board: board.kept_items(key, task))
    )


def item_tags_of(key: str, task: str) -> KeptTags | None:
    """Return the tags of the items of a task, None where a result keeps none; UsageError as above."""
    return cast(KeptTags | None, _kept_of_task("tags", key, task, lambda board: board.item_tags(key, task)))


def tag_slices_of(
    key: str, task: str, tag: str, *, against: str | None, seed: int, bounds: tuple[float, float]
) -> TagSlices | None:
    """Return the scores of all models on the slices of a tag, None where no items are kept; UsageError as above."""
    where = location()
    return _tag_slices(where, _stamp(*where), key, task, tag, against, seed, bounds)


@st.cache_resource(max_entries=_TASKS, show_spinner=False)
def _tag_slices(
    where: tuple[str, str],
    stamp: Hashable,
    key: str,
    task: str,
    tag: str,
    against: str | None,
    seed: int,
    bounds: tuple[float, float],
) -> TagSlices | None:
    parts, tags = item_scores_of(key, task), item_tags_of(key, task)
    if parts is None or tags is None:
        return None
    return tag_slices(parts, tags, tag, against=against, seed=seed, bounds=bounds)


def gate_of(key: str) -> GateReport:
    """Return a gate by the key of its row; UsageError as above."""
    from benchkit.report.gate_json import gate_from_dict

    return _kept_report("gate", key, lambda board: board.gate(key), gate_from_dict)


def drift_of(key: int) -> DriftReport:
    """Return a drift check by the key of its row; UsageError as above."""
    from benchkit.report.drift_json import drift_from_dict

    return _kept_report("check", key, lambda board: board.check(key), drift_from_dict)


# ---------------------------------------------------------------- rows, newest last


def _bounds(filters: Filters) -> tuple[str | None, str | None]:
    return filters.bounds(datetime.now(UTC).date())


def comparisons(filters: Filters) -> tuple[ComparisonRow, ...]:
    """Return the comparisons of a suite, of a time, and with one of the models at least."""
    suite, (since, until) = filters.suite, _bounds(filters)
    rows = _kept_rows(
        "comparisons",
        (suite, since, until),
        lambda board: board.comparisons(suite=suite, since=since, until=until),
    )
    return tuple(row for row in rows if not filters.models or set(filters.models) & set(row.models))


def gates(filters: Filters) -> tuple[GateRow, ...]:
    """Return the gates of a suite, of a time, and of one of the models."""
    suite, (since, until) = filters.suite, _bounds(filters)
    rows = _kept_rows("gates", (suite, since, until), lambda board: board.gates(suite=suite, since=since, until=until))
    return tuple(row for row in rows if not filters.models or {row.candidate, row.baseline} & set(filters.models))


def champions(filters: Filters) -> tuple[ChampionRow, ...]:
    """Return the promotions of a suite, or of all."""
    suite = filters.suite
    return _kept_rows("champions", (suite,), lambda board: board.champions(suite))


def baselines() -> tuple[BaselineInfo, ...]:
    """Return the drift baselines."""
    return _kept_rows("baselines", (), lambda board: board.baselines())


def checks(baseline: str | None, filters: Filters) -> tuple[CheckRow, ...]:
    """Return the checks against a baseline, or against any, of a time."""
    since, until = _bounds(filters)
    return _kept_rows(
        "checks", (baseline, since, until), lambda board: board.checks(baseline, since=since, until=until)
    )


def marks(baseline: str) -> tuple[Mark, ...]:
    """Return what happened beside the checks of a baseline."""
    return _kept_rows("marks", (baseline,), lambda board: board.marks(baseline))


def problems() -> tuple[str, ...]:
    """Return sentences on what the store holds and couldn't be read."""
    return _kept_rows("problems", (), lambda board: board.problems())


def caveat() -> str:
    """Return what has to be said behind "there is none" where not all of the store was read; "" elsewhere."""
    return " A part of the store can't be read: see the end of the page." if problems() else ""


def suites() -> tuple[str, ...]:
    """Return the names of all suites that have something to show."""
    everything = Filters()
    found = {row.suite for row in comparisons(everything)} | {row.suite for row in gates(everything)}
    return tuple(sorted(found | {row.suite for row in champions(everything)}))


def models(suite: str | None) -> tuple[str, ...]:
    """Return the labels of all models of a suite, or of all suites."""
    filters = Filters(suite=suite)
    compared = {model for row in comparisons(filters) for model in row.models}
    return tuple(sorted(compared | {name for row in gates(filters) for name in (row.candidate, row.baseline)}))


def is_empty() -> bool:
    """Tell whether nothing at all is there yet."""
    everything = Filters()
    listed = (comparisons(everything), gates(everything), champions(everything), baselines(), checks(None, everything))
    return not any(listed)
