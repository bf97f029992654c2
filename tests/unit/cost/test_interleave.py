"""When a ratio is known well enough, and how a call's length is foreseen."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from cost_fakes import Behaviour, World, spec_of

from benchkit.cost.interleave import Child, Interleaver, Step, StoppingRule, is_decided
from benchkit.types.cost import SECOND_HALF, TextSource

SOURCE = TextSource("t", "STS", None, ("x" * 10, "y" * 20, "z" * 100_000))


def test_a_ratio_is_decided_when_its_interval_is_as_narrow_as_the_tolerance() -> None:
    # Log ratios +d and -d in turn: sd = d * sqrt(n / (n - 1)), half width = 1.96 * d / sqrt(n - 1).
    n, limit = 101, math.log(1.05)
    for d, decided in ((10 * limit / 1.96 * 0.999, True), (10 * limit / 1.96 * 1.001, False)):
        logs = [d if number % 2 else -d for number in range(n - 1)] + [0.0]
        # The added 0 makes the sum of squares (n - 1) d², divided by n - 1: sd = d, and sqrt(n) = 10.05.
        scaled = [value * math.sqrt(n) / 10 for value in logs]
        a = {number: math.exp(value) for number, value in enumerate(scaled)}
        assert is_decided(a, dict.fromkeys(a, 1.0), tolerance=0.05) is decided


def test_decided_agrees_with_numpy_on_random_times() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        n, spread = int(rng.integers(2, 60)), float(rng.uniform(0.01, 0.4))
        a, b = np.exp(rng.normal(0, spread, n)), np.exp(rng.normal(rng.choice([0, 0.2, 2]), spread, n))
        logs = np.log(a / b)
        half = 1.96 * logs.std(ddof=1) / np.sqrt(n)
        expected = half <= np.log(1.05) or abs(logs.mean()) - half > np.log(2)
        assert is_decided(dict(enumerate(a)), dict(enumerate(b)), tolerance=0.05) == expected


def test_a_small_difference_is_not_decided_by_showing_up() -> None:
    # +20 % clearly above 0, and yet the interval is wide: looking again and again would find one by chance.
    rng = np.random.default_rng(1)
    a = dict(enumerate(np.exp(rng.normal(0.4, 0.3, 20))))
    assert not is_decided(a, dict.fromkeys(a, 1.0), tolerance=0.05)


@pytest.mark.parametrize("times", [{}, {0: 1.0}], ids=["no round", "one round"])
def test_one_round_decides_nothing(times: dict[int, float]) -> None:
    assert not is_decided(times, times, tolerance=0.05)


def test_only_rounds_that_both_have_are_paired() -> None:
    assert is_decided({0: 1.0, 1: 1.0, 2: 900.0}, {0: 1.0, 1: 1.0, 3: 0.1}, tolerance=0.05)


def test_a_clock_that_stood_still_is_no_error() -> None:
    assert is_decided({0: 0.0, 1: 0.0}, {0: 0.0, 1: 0.0}, tolerance=0.05)


def test_a_call_is_foreseen_from_the_best_pace_and_a_book_counts_as_a_long_text() -> None:
    behaviour = Behaviour(per_character_s=0.1)
    world = World({"a": behaviour})
    child = Child(world.open_process(spec_of("a"), 0), 0)  # type: ignore[arg-type]
    child.process.start()
    assert child.foreseen_s(SOURCE, 0, 2) == 0.0
    child.encode(SOURCE, 0, 1)
    assert child.first_call_s == 1.0
    behaviour.per_character_s = 0.5  # a noisy moment
    child.encode(SOURCE, 0, 1)
    assert child.foreseen_s(SOURCE, 0, 2) == pytest.approx(3.0)
    assert child.foreseen_s(SOURCE, 2, 3) == pytest.approx(400.0)
    assert child.first_call_s == 1.0


def test_a_process_that_is_gone_is_left_out_of_a_round() -> None:
    world = World()
    children = [Child(world.open_process(spec_of(label), 0), 0) for label in "ab"]  # type: ignore[arg-type]
    beside = Interleaver(random.Random(0))
    beside.children = [children[0]]
    beside.for_each(children, lambda child: child.process.start())
    beside.make_round(Step("query", SOURCE, 0, 1), among=children)
    assert [sample.model for sample in beside.samples] == ["a"]


def test_rounds_of_the_second_half_have_numbers_of_their_own_and_go_on_with_the_queries() -> None:
    world = World()
    child = Child(world.open_process(spec_of("a"), 0), 0)  # type: ignore[arg-type]
    beside = Interleaver(random.Random(0))
    beside.children = [child]
    child.process.start()
    queries = TextSource("t", "STS", None, ("x" * 10, "y" * 20, "z" * 30))

    def rounds(first: int) -> int:
        return beside.query_rounds(queries, StoppingRule(2, 2, "cpu_s", tolerance=0.05), among=[child], first=first)

    assert rounds(0) == 2
    beside.half = 1
    assert rounds(2) == 2
    assert [(sample.half, sample.item) for sample in beside.samples] == [(0, 0), (0, 1), (1, 2), (1, 0)]
    assert [sample.round for sample in beside.samples] == [0, 1, SECOND_HALF + 2, SECOND_HALF + 3]
