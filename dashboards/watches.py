"""The watches of the drift monitor: which checks belong together, and which baselines they were held against.

board ── checked ──> each baseline with its checks, gone ones too ── watches ──> one for each stream, newest first

The windows of a stream come in their order. Single checks are made in any: who looks into last month again has not
said how production is today, so they stand in the order of their windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from benchkit.report.production_words import time_of
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo
from dashboards import board
from dashboards.filters import Filters


@dataclass(frozen=True, slots=True)
class Watch:
    """The checks that belong together: of one stream of a baseline, or all its single checks.

    Attributes:
        rows: In the order of the windows, newest last; at least one.
    """

    info: BaselineInfo
    rows: tuple[CheckRow, ...]

    @property
    def is_stream(self) -> bool:
        return bool(self.rows[-1].stream)

    @property
    def is_gone(self) -> bool:
        """Whether its baseline was deleted, or can't be read; its checks stay."""
        return not self.info.created


def checked(filters: Filters) -> list[tuple[BaselineInfo, Sequence[CheckRow]]]:
    """Return each baseline with its checks of a time; of one that is gone, only the name is known."""
    infos = {info.name: info for info in board.baselines()}
    gone = dict.fromkeys(row.baseline for row in board.checks(None, filters) if row.baseline not in infos)
    known = [*infos.values(), *(BaselineInfo(name, "", "", 0, 0) for name in gone)]
    return [(info, _in_order(board.checks(info.name, filters))) for info in known]


def _in_order(rows: Sequence[CheckRow]) -> Sequence[CheckRow]:
    singles = sorted((row for row in rows if not row.stream), key=lambda row: time_of(row.at))
    return [*(row for row in rows if row.stream), *singles]


def whole(watch: Watch, filters: Filters) -> Watch:
    """Return the same watch from its first window on, also where the time that is shown begins later."""
    every = watches(checked(filters.from_the_start()))
    key = watch.rows[-1].key
    return next((found for found in every if key in {row.key for row in found.rows}), watch)


def opening(row: CheckRow, filters: Filters) -> Filters:
    """Return what shows a window, also one from before the time that is shown."""
    since, _ = filters.bounds(datetime.now(UTC).date())
    shown = filters.from_the_start() if since is not None and row.at < since else filters
    return replace(shown, baseline=row.baseline, window=row.key)


def watches(found: Sequence[tuple[BaselineInfo, Sequence[CheckRow]]]) -> list[Watch]:
    """Return the watches, the one with the newest check first."""
    made = [
        Watch(info, tuple(row for row in rows if row.stream == stream))
        for info, rows in found
        for stream in dict.fromkeys(row.stream for row in rows)
    ]
    return sorted(made, key=lambda watch: max(row.key for row in watch.rows), reverse=True)
