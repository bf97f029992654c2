"""What a window is held against, given when its rows came.

Past ── learn ──> History: a null for windows of any time; one for those whose weekdays are known, and their effects
History, rows, TimeCounts ── expect ──> Expectation: effect to take off, table, and at how many rows to look it up
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.null import NullTable, build_tables
from benchkit.drift.past import Alike, Pace, Past
from benchkit.drift.statistics import Yardstick
from benchkit.drift.time_counts import TimeCounts

Doubles = NDArray[np.float64]
Single = NDArray[np.float32]
Arrays = Mapping[str, NDArray[np.generic]]


class Expectation(NamedTuple):
    """What a window is held against.

    Attributes:
        effect: What the means of its weekdays differ by from the baseline's (F,); None for nothing.
        null: Where its sizes are looked up.
        alike: At how many rows, and as of how many its deviation counts.
    """

    effect: Doubles | None
    null: NullTable
    alike: Alike


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """What each weekday (or hour of the day) differs by.

    Attributes:
        effects: Of the mean features (period, F).
        known: Which of them the past had often enough (period,).
        null: Of windows less these effects; `pace`: of theirs.
    """

    effects: Single
    known: NDArray[np.bool_]
    null: NullTable
    pace: Pace

    def effect(self, times: TimeCounts) -> Doubles | None:
        """Return the effect (F,) on a window of rows of these times; None if it has rows of an unknown weekday."""
        shares = times.shares(len(self.known))
        if shares[~self.known].any():
            return None
        found: Doubles = shares @ self.effects.astype(np.float64)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What windows differ by where nothing changed.

    Attributes:
        null: Of windows of one unit of the past (a day, say), whichever it is; or of independent rows.
        pace: How longer ones compare; None of independent rows.
        season: None where weekdays are alike, or nothing is known of them.
    """

    null: NullTable
    pace: Pace | None = None
    season: Season | None = None

    @classmethod
    def learn(
        cls, yardstick: Yardstick, features: Single, past: Past | None, n_baseline: int, rng: np.random.Generator
    ) -> History:
        """Draw the nulls; see `null.build_tables`."""
        if past is None:
            return cls(build_tables(yardstick, features, [None], n_baseline, rng)[0])
        seasonal = past.seasonal()
        pasts = [past] if seasonal is None else [past, seasonal]
        null, *of_season = build_tables(yardstick, features, pasts, n_baseline, rng)
        if seasonal is None or seasonal.cycle is None:
            return cls(null, past.pace())
        cycle = seasonal.cycle
        season = Season(cycle.effects.astype(np.float32), cycle.known, of_season[0], seasonal.pace())
        return cls(null, past.pace(), season)

    def expect(self, n_rows: int, times: TimeCounts | None) -> Expectation:
        """Return what a window of so many rows is held against; `times` None where they aren't known."""
        if self.pace is None:
            return Expectation(None, self.null, Alike(n_rows, n_rows))
        if times is None or not times.total:
            return Expectation(None, self.null, self.pace.alike(n_rows, None))
        effect = None if self.season is None else self.season.effect(times)
        if self.season is None or effect is None:
            return Expectation(None, self.null, self.pace.alike(n_rows, times.effective))
        return Expectation(effect, self.season.null, self.season.pace.alike(n_rows, times.effective))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays, by names with dots."""
        arrays = _arrays_of(self.null, "null.")
        if self.pace is not None:
            arrays |= _arrays_of(self.pace, "pace.")
        if self.season is not None:
            arrays |= {"season.effects": self.season.effects, "season.known": self.season.known}
            arrays |= _arrays_of(self.season.null, "season.null.") | _arrays_of(self.season.pace, "season.pace.")
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> History:
        """Return the history that `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: arrays don't fit together.
        """
        season = None
        if "season.effects" in arrays:
            effects = np.asarray(arrays["season.effects"], np.float32)
            known = np.asarray(arrays["season.known"], np.bool_)
            season = Season(effects, known, _table_of(arrays, "season.null."), _pace_of(arrays, "season.pace."))
        pace = _pace_of(arrays, "pace.") if "pace.dependence" in arrays else None
        return cls(_table_of(arrays, "null."), pace, season)

    def fits(self, n_features: int) -> bool:
        """Tell whether the shapes of all arrays belong together."""
        tables = [self.null] if self.season is None else [self.null, self.season.null]
        is_whole = all(table.values.shape == (len(table.window_sizes), 8, len(table.ranks)) for table in tables)
        paces = [self.pace] if self.season is None else [self.pace, self.season.pace]
        if self.season is not None:
            is_whole &= self.season.effects.shape == (len(self.season.known), n_features)
        return is_whole and all(pace is None or (pace.dependence.ndim == 1 and len(pace.dependence)) for pace in paces)


def _arrays_of(part: NullTable | Pace, prefix: str) -> dict[str, NDArray[np.generic]]:
    return {f"{prefix}{field.name}": np.asarray(getattr(part, field.name)) for field in fields(part)}


def _table_of(arrays: Arrays, prefix: str) -> NullTable:
    return NullTable(*(cast(Any, np.asarray(arrays[f"{prefix}{field.name}"])) for field in fields(NullTable)))


def _pace_of(arrays: Arrays, prefix: str) -> Pace:
    usual = int(np.asarray(arrays[f"{prefix}usual_rows"]).item())
    return Pace(usual, np.asarray(arrays[f"{prefix}dependence"], np.float64))
