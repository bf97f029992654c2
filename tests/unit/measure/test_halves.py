"""What cancels between the halves of a session, what is left as noise, and how often a comparison is then right."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.measure.halves import TWO_SIDED, Ratio, over_halves, pooled
from benchkit.measure.latency import paired_ratio, steadiness, typical_ratio
from benchkit.types.cost import SECOND_HALF, CostRatio, half_of

TOLERANCE = 0.05


def ratio(log: float, error: float = 0.0, n: int = 32) -> Ratio:
    return Ratio(log, error, n - 1, n)


# Two halves, by hand


def test_what_the_order_of_starting_did_cancels_and_is_no_noise() -> None:
    control = over_halves([ratio(-0.05), ratio(0.05)])
    assert (control.log, control.noise) == pytest.approx((0.0, 0.05))
    found = over_halves([ratio(0.10 - 0.025), ratio(0.10 + 0.025)], start_order=control.noise)
    assert (found.log, found.noise, found.n) == pytest.approx((0.10, 0.0, 64))


def test_what_goes_beyond_the_order_of_starting_is_noise_to_both_sides() -> None:
    found = over_halves([ratio(0.16), ratio(0.04)], start_order=0.02)
    # Half of the difference is 0.06, of which the order may be 0.02.
    assert (found.log, found.noise) == pytest.approx((0.10, 0.04))
    assert found.interval(TWO_SIDED) == pytest.approx((math.exp(0.06), math.exp(0.14)))


def test_without_a_control_all_that_the_halves_differ_by_is_noise() -> None:
    found = over_halves([ratio(0.16), ratio(0.04)])
    assert found.interval(TWO_SIDED) == pytest.approx((math.exp(0.04), math.exp(0.16)))


def test_in_one_half_all_that_the_order_may_do_is_noise() -> None:
    alone = over_halves([ratio(0.10, 0.01)], start_order=0.03)
    assert (alone.log, alone.error, alone.noise) == (0.10, 0.01, 0.03)
    assert over_halves([ratio(0.10, 0.01)]) == ratio(0.10, 0.01)


def test_sampling_errors_of_the_halves_are_put_together_as_of_independent_means() -> None:
    found = over_halves([ratio(0.1, 0.03, 20), ratio(0.1, 0.04, 30)])
    assert (found.error, found.freedom, found.n) == pytest.approx((0.025, 48, 50))


LOGS = st.floats(-1, 1)


@given(LOGS, LOGS, st.floats(0, 0.5))
def test_neither_the_order_of_the_halves_nor_the_side_of_a_ratio_matters(
    first: float, second: float, start_order: float
) -> None:
    found = over_halves([ratio(first), ratio(second)], start_order=start_order)
    turned = over_halves([ratio(second), ratio(first)], start_order=start_order)
    other_side = over_halves([ratio(-first), ratio(-second)], start_order=start_order)
    assert turned == found
    assert (other_side.log, other_side.noise) == (-found.log, found.noise)
    # A twin of the arithmetic, by the standard deviation of two.
    assert found.noise == pytest.approx(max(stdev([first, second]) / math.sqrt(2) - start_order, 0), abs=1e-12)


def test_one_session_is_itself_and_more_are_averaged_with_their_noise() -> None:
    alone = Ratio(0.1, 0.01, 9, 10, 0.02, (0.1,))
    assert pooled([alone]) is alone
    three = pooled([Ratio(log, 0.0, 9, 10, 0.01, (log,)) for log in (0.0, 0.1, 0.2)])
    assert (three.log, three.noise) == pytest.approx((0.1, 0.1 / math.sqrt(3)))
    assert three.each == (0.0, 0.1, 0.2)


# From rounds


def times(first: Sequence[float], second: Sequence[float] = ()) -> dict[int, float]:
    """Return durations by round, of the first and the second half."""
    return {**dict(enumerate(first)), **{SECOND_HALF + number: s for number, s in enumerate(second)}}


def typical(candidate: dict[int, float], baseline: dict[int, float], **options: float) -> Ratio:
    return typical_ratio(candidate, baseline, rng=np.random.default_rng(1), **options)


def test_the_number_of_a_round_tells_its_half() -> None:
    assert [half_of(number) for number in (0, 999_999, 1_000_000, 1_000_767)] == [0, 0, 1, 1]


def test_each_half_counts_the_same_whatever_its_rounds() -> None:
    candidate = times([1.2] * 96, [1.0] * 32)
    found = typical(candidate, dict.fromkeys(candidate, 1.0))
    assert (found.log, found.n) == (pytest.approx(math.log(1.2) / 2), 128)
    assert found.noise == pytest.approx(math.log(1.2) / 2)
    assert typical(candidate, dict.fromkeys(candidate, 1.0), start_order=0.2).noise == 0.0


def test_a_half_with_too_few_rounds_is_left_out_and_the_other_may_be_off_by_the_order() -> None:
    candidate = times([1.2] * 32, [1.0] * 9)
    found = typical(candidate, dict.fromkeys(candidate, 1.0), start_order=0.03)
    assert (found.value, found.n, found.noise) == (pytest.approx(1.2), 32, 0.03)


def test_two_halves_with_too_few_rounds_are_taken_together() -> None:
    candidate = times([1.2] * 6, [1.0] * 6)
    found = typical(candidate, dict.fromkeys(candidate, 1.0))
    assert (found.value, found.n) == (pytest.approx(math.sqrt(1.2)), 12)


def test_rounds_of_one_half_alone_are_a_session_as_it_was_before() -> None:
    rng = np.random.default_rng(4)
    candidate, baseline = (times(rng.lognormal(0, 0.1, 64).tolist()) for _ in range(2))
    found = typical(candidate, baseline)
    told = paired_ratio(
        candidate, baseline, candidate="a", baseline="b", metric="m", tolerance=0.05, rng=np.random.default_rng(1)
    )
    assert (found.noise, found.n) == (0.0, 64)
    assert (told.ratio, told.ci_low, told.ci_high) == pytest.approx((found.value, *found.interval(TWO_SIDED)))


# Sessions: three models and the control, of which each process started earlier is slower for its whole life. Two
# processes of one model differ by 0.8 % (standard deviation, as measured), single calls by 0.8 % as well.

PROCESS_SD = CALL_SD = 0.008 / math.sqrt(2)
N_SESSIONS = 400
# In the order in which they start, with what they take.
PROCESSES = {"base": 1.0, "equal": 1.0, "slower": 1.09, "control": 1.0}
StartEffect = Callable[[float], float]


def even(place: float) -> float:
    """Return the logarithm that a process is slower by: 5 % from the first (at 0) to the last (at 1)."""
    return 0.05 * (1 - place)


def steep(place: float) -> float:
    """Return one that isn't even: the first process alone is slower."""
    return 0.05 * (place == 0)


def simulated(rng: np.random.Generator, *, halves: int, effect: StartEffect) -> dict[str, dict[int, float]]:
    """Return the durations of each process in 64 rounds."""
    found: dict[str, dict[int, float]] = {name: {} for name in PROCESSES}
    n, last = 64 // halves, len(PROCESSES) - 1
    for half in range(halves):
        query = rng.lognormal(math.log(0.01), 0.4, n) * np.repeat(rng.lognormal(0, 0.3, n // 8), 8)
        for place, (name, factor) in enumerate(PROCESSES.items()):
            mirrored = (last - place if half else place) / last
            own = math.log(factor) + effect(mirrored) + PROCESS_SD * rng.standard_normal()
            calls = query * np.exp(own + CALL_SD * rng.standard_normal(n))
            found[name].update({half * SECOND_HALF + number: float(s) for number, s in enumerate(calls)})
    return found


def verdicts_of(rng: np.random.Generator, session: dict[str, dict[int, float]]) -> dict[str, str]:
    """Return what a report would say of each model against the base: nothing where the control is unsteady."""

    def paired(name: str, start_order: float) -> CostRatio:
        return paired_ratio(
            session[name],
            session["base"],
            candidate=name,
            baseline="base",
            metric="m",
            tolerance=TOLERANCE,
            rng=rng,
            start_order=start_order,
        )

    start_order = typical_ratio(session["control"], session["base"], rng=rng).noise
    unsteady = steadiness(paired("control", start_order), tolerance=TOLERANCE)
    return {name: "unsteady" if unsteady else paired(name, start_order).verdict for name in ("equal", "slower")}


def verdicts(n: int, *, halves: int = 2, effect: StartEffect = even) -> dict[str, Counter[str]]:
    rng = np.random.default_rng([13, halves])
    found = [verdicts_of(rng, simulated(rng, halves=halves, effect=effect)) for _ in range(n)]
    return {name: Counter(verdict[name] for verdict in found) for name in ("equal", "slower")}


def test_in_one_half_the_control_refuses_every_verdict() -> None:
    assert verdicts(100, halves=1) == {"equal": {"unsteady": 100}, "slower": {"unsteady": 100}}


def test_in_two_halves_a_model_9_percent_slower_is_found_and_an_equal_one_raises_no_alarm() -> None:
    found = verdicts(N_SESSIONS)
    assert found["slower"]["dearer"] >= 0.99 * N_SESSIONS
    assert found["equal"]["dearer"] + found["equal"]["cheaper"] <= 0.01 * N_SESSIONS
    assert found["equal"]["same"] >= 0.99 * N_SESSIONS


def test_an_order_of_starting_that_works_unevenly_raises_no_alarm_either() -> None:
    # What is left of it is 2.5 %, the half of what two processes of one model show.
    found = verdicts(100, effect=steep)
    assert found["equal"]["dearer"] + found["equal"]["cheaper"] == 0
    assert found["slower"]["cheaper"] == 0
