"""What a watch goes on with after a restart, also where it is asked for other verdicts than before."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchkit.monitor.evidence import Standing
from benchkit.monitor.watch_state import WatchState
from benchkit.sources.windows import CutState
from benchkit.store.drift_state import Progress
from benchkit.types.drift import DriftPolicy

POLICY = DriftPolicy(run_length=1000)
CLEAR = 1e-4  # e = 118: the sum is 118 after one window and 13,995 after two


def advanced(*p_values: float) -> Standing:
    standing = Standing.start(POLICY.run_length)
    for p_value in p_values:
        standing = standing.advance(p_value)
    return standing


def kept(standing: Standing, **segments: Standing) -> Progress:
    state = WatchState({"row": 7}, CutState(), {}, standing, segments, {"told": "a"}, version=3, baseline="b")
    progress = state.progress()
    return replace(progress, facts=json.loads(json.dumps(progress.facts)))


def test_the_same_policy_goes_on_as_if_nothing_had_been() -> None:
    standing = advanced(0.01, 0.3)
    found = WatchState.of(kept(standing, de=advanced(0.2)), POLICY, "b")
    assert (found.standing, found.segments) == (standing, {"de": advanced(0.2)})
    assert (found.position, found.alerts, found.version) == ({"row": 7}, {"told": "a"}, 3)


@pytest.mark.parametrize(("run_length", "stands"), [(100, True), (1000, True), (13_000, True), (14_000, False)])
def test_another_run_length_holds_the_same_sum_against_another_bound(run_length: int, stands: bool) -> None:
    standing = advanced(CLEAR, CLEAR)
    assert standing.stands
    found = WatchState.of(kept(standing), replace(POLICY, run_length=run_length), "b")
    assert found.standing.evidence == replace(standing.evidence, run_length=run_length)
    assert found.standing.stands == found.standing.evidence.is_alarm == stands


def test_a_shorter_run_length_makes_an_alarm_of_the_sum_as_it_is() -> None:
    standing = advanced(CLEAR)
    assert not standing.stands
    found = WatchState.of(kept(standing), replace(POLICY, run_length=90), "b")
    assert found.standing.stands
    assert found.standing.advance(0.3).evidence.detector == standing.evidence.detector


def test_a_segment_below_its_share_of_the_bound_is_no_alarm_under_another_run_length() -> None:
    segments = {"de": advanced(CLEAR, CLEAR), "fr": advanced(CLEAR)}
    for run_length, stand in ((100, ["de"]), (13_000, ["de"]), (14_000, [])):
        found = WatchState.of(kept(advanced(), **segments), replace(POLICY, run_length=run_length), "b")
        assert [name for name, state in found.segments.items() if state.stands] == stand


def test_another_tolerance_ends_no_alarm_and_counts_none_of_the_evidence_before() -> None:
    progress = kept(advanced(0.01), de=advanced(CLEAR, CLEAR), fr=advanced(0.01))
    found = WatchState.of(progress, replace(POLICY, tolerance=0.02), "b")
    assert found.standing == Standing.start(POLICY.run_length)
    assert found.segments == {"de": advanced(CLEAR, CLEAR)}
    assert (found.position, found.alerts, found.tolerance) == ({"row": 7}, {"told": "a"}, 0.02)
    alarmed = WatchState.of(kept(advanced(CLEAR, CLEAR)), replace(POLICY, tolerance=0.02), "b")
    assert alarmed.standing == advanced(CLEAR, CLEAR)
