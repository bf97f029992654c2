"""The evidence of a watch: an alarm that stands until windows are fine again, and one detector for each segment.

    p-value of a window ── advance ──> Standing (Shiryaev-Roberts sum, whether an alarm stands, how long it was calm)

While an alarm stands the detector isn't started again: a drift that stays must not look as if it had gone and come
back. It ends after three windows in a row whose p-value is above 0.1, which a change that is found nine times of ten
passes once in a thousand; then the detector starts from nothing, and the promise of the run length with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchkit.drift.sequential import ShiryaevRoberts, e_bh, p_to_e
from benchkit.types.drift import Evidence, SegmentResult

CALM_P = 0.1
CALM_WINDOWS = 3
SEGMENT_FDR = 0.05  # expected share of false ones among the segments that are called drifting


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the evidence of one stream stands.

    Attributes:
        stands: An alarm was raised and has not ended.
        calm: Windows in a row that looked fine since.
    """

    detector: ShiryaevRoberts
    stands: bool = False
    calm: int = 0

    @classmethod
    def start(cls, run_length: int) -> Standing:
        return cls(ShiryaevRoberts(run_length))

    def advance(self, p_value: float | None) -> Standing:
        """Return the state after one more window; a window too small for a test changes nothing."""
        if p_value is None:
            return self
        if not self.stands:
            detector = self.detector.step(p_to_e(p_value))
            return Standing(detector, stands=detector.is_alarm)
        calm = self.calm + 1 if p_value > CALM_P else 0
        if calm >= CALM_WINDOWS:
            return Standing.start(self.detector.run_length)
        return replace(self, detector=replace(self.detector, e_value=p_to_e(p_value)), calm=calm)

    @property
    def evidence(self) -> Evidence:
        return self.detector.evidence

    def to_json(self) -> dict[str, Any]:
        found = self.detector
        return {
            "detector": found.detector,
            "windows": found.windows,
            "e_value": found.e_value,
            "stands": self.stands,
            "calm": self.calm,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], run_length: int) -> Standing:
        """Return the state that `to_json` gave."""
        detector = ShiryaevRoberts(run_length, found["detector"], found["windows"], found["e_value"])
        return cls(detector, found["stands"], found["calm"])


def advance_segments(
    states: Mapping[str, Standing], p_values: Mapping[str, float | None], run_length: int
) -> dict[str, Standing]:
    """Return the state of each segment after a window; one that wasn't in it stays where it was."""
    moved = dict(states)
    for name, p_value in p_values.items():
        moved[name] = moved.get(name, Standing.start(run_length)).advance(p_value)
    return moved


def judged_segments(
    states: Mapping[str, Standing], p_values: Mapping[str, float | None], rows: Mapping[str, int]
) -> tuple[SegmentResult, ...]:
    """Return what the segments of a window say, their false discovery rate kept over all of them by e-BH.

    A segment's e-value is its Shiryaev-Roberts sum over the number of windows that it is of: the sum less that number
    is a martingale at most, so the ratio is 1 on the average as long as nothing changes.
    """
    names = [name for name in p_values if states[name].detector.windows]
    e_values = [states[name].detector.detector / states[name].detector.windows for name in names]
    alarms = dict(zip(names, e_bh(e_values, SEGMENT_FDR), strict=True)) if names else {}
    known = dict(zip(names, e_values, strict=True))
    return tuple(
        SegmentResult(
            segment=name,
            rows=rows.get(name, 0),
            p_value=p_value,
            e_value=known.get(name),
            is_alarm=bool(alarms.get(name, False)),
        )
        for name, p_value in p_values.items()
    )
