"""The evidence of a watch: an alarm that stands until windows are fine again, and one detector for each segment.

    p-value of a window ── advance ──> Standing (Shiryaev-Roberts sum, whether an alarm stands, how long it was calm)

While an alarm stands the detector isn't started again: a drift that stays must not look as if it had gone and come
back. It ends after three windows in a row whose p-value is above 0.1, which a change that is found nine times of ten
passes once in a thousand; then the detector starts from nothing, and the promise of the run length with it.

Segments: of the sums of the K segments for which no alarm stands, with the bound K * run length, the k largest are
alarms for the largest k whose k-th largest is at least the bound over k (e-BH). The average of these sums is then at
the run length or above, and an average of such detectors is one: the first segment that is called drifting falsely
comes after that many windows on the average, for all segments together, and a drift is told as soon in the thousandth
window as in the tenth. Those whose alarm stands are left out: for as long as they drift, their sums would lower the bar
for all others, and where half of the segments drift, five times as many of the others would be told falsely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchkit.drift.sequential import ShiryaevRoberts, e_bh, p_to_e
from benchkit.types.drift import Evidence, SegmentResult

CALM_P = 0.1
CALM_WINDOWS = 3


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
        """Return the state that `to_json` gave; under a longer run length, no alarm stands that isn't one any more."""
        detector = ShiryaevRoberts(run_length, found["detector"], found["windows"], found["e_value"])
        return cls(detector, found["stands"] and detector.is_alarm, found["calm"])


def advance_segments(
    states: Mapping[str, Standing], p_values: Mapping[str, float | None], run_length: int
) -> dict[str, Standing]:
    """Return the state of each segment after a window; one that wasn't in it stays where it was.

    Args:
        states: Of every segment that was tested before.
        p_values: None of a segment without a test; it has no state.
    """
    tested = {name: p_value for name, p_value in p_values.items() if p_value is not None}
    known = {**dict.fromkeys(tested, Standing.start(run_length)), **states}
    watched = [name for name, state in known.items() if not state.stands]
    # A sum that was no alarm is below the new bound as well: if k of K were, it is below run length * K / (k + 1).
    bound = run_length * max(len(watched), 1)
    moved = {name: _bounded(state, bound).advance(tested.get(name)) for name, state in known.items()}
    # One that is an alarm together with others only stands as well until it is calm.
    taken = e_bh([moved[name].detector.detector for name in watched], 1 / run_length)
    alarms = {name for name, is_taken in zip(watched, taken, strict=True) if is_taken}
    return {name: replace(state, stands=state.stands or name in alarms) for name, state in moved.items()}


def judged_segments(
    states: Mapping[str, Standing], p_values: Mapping[str, float | None], rows: Mapping[str, int]
) -> tuple[SegmentResult, ...]:
    """Return what the segments of a window say; an alarm is one by e-BH, or one that still stands.

    A segment whose alarm stands is told also where the window has no row of it: nothing shows that it is fine again.

    The e-value told is a segment's sum over the number of windows that it is of: the sum less that number is a
    martingale at most, so the ratio is 1 on the average as long as nothing changes.
    """
    absent = {name: None for name, state in states.items() if state.stands and name not in p_values}
    return tuple(
        SegmentResult(
            segment=name,
            rows=rows.get(name, 0),
            p_value=p_value,
            e_value=_e_value(states.get(name)),
            is_alarm=name in states and states[name].stands,
        )
        for name, p_value in {**p_values, **absent}.items()
    )


def _bounded(state: Standing, bound: int) -> Standing:
    return replace(state, detector=replace(state.detector, run_length=bound))


def _e_value(state: Standing | None) -> float | None:
    if state is None or not state.detector.windows:
        return None
    return state.detector.detector / state.detector.windows
