"""Every round holds each live process once, in an order of its own; what fails or is too slow hurts no other model.

A session is in two halves, each with processes of its own, started the other way round.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import child_models
import numpy as np
import pytest
from cost_fakes import Behaviour, World, endpoint, local, meta_of

from benchkit.cost.design import Design, MeasuredModel
from benchkit.cost.phases import Sources
from benchkit.cost.plan import PLANS, CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.session import SessionRecord, run_session
from benchkit.cost.summary import Conditions, summarise
from benchkit.types.cost import CostReport, Sample, TextSource
from benchkit.types.model import ModelSpec, OpenContext

GIB = 2**30
QUERIES = TextSource("t", "Retrieval", "query", tuple("q" * 10 for _ in range(7)))
DOCUMENTS = TextSource("t", "Retrieval", "document", tuple("d" * 50 for _ in range(40)))
SOURCES = Sources(
    QUERIES,
    DOCUMENTS,
    {"short": replace(DOCUMENTS, texts=("d" * 20,) * 3), "long": replace(DOCUMENTS, texts=("d" * 90,) * 2)},
)
PLAN = replace(
    PLANS["quick"],
    rounds=8,
    most_rounds=8,
    sweep_texts=1,
    throughput_passes=2,
    query_s=1e6,
    sweep_s=1e6,
    throughput_s=1e6,
    remote_s=1e6,
)


def measure(
    world: World,
    models: list[MeasuredModel],
    *,
    plan: CostPlan = PLAN,
    reference: str | None = "a",
    free_bytes: int = 100 * GIB,
    device: str = "cpu",
    seed: int = 1,
    reversed_start: bool = False,
) -> SessionRecord:
    return run_session(
        Design(tuple(models), reference, plan, device, seed, tolerance=0.05, reversed_start=reversed_start),
        SOURCES,
        open_process=world.open_process,  # type: ignore[arg-type]
        free_bytes=free_bytes,
        clock=world.clock,
    )


def rounds(record: SessionRecord, kind: str = "query") -> list[list[Sample]]:
    chosen = [sample for sample in record.samples.samples if sample.kind == kind]
    return [list(group) for _, group in groupby(chosen, key=lambda sample: sample.round)]


def sentences(record: SessionRecord) -> list[str]:
    return [notice.sentence for notice in record.notices]


def test_every_round_holds_each_process_exactly_once_with_one_text() -> None:
    record = measure(World(), [local("a"), local("b"), local("c")])
    assert record.is_complete
    assert len(rounds(record)) == 8
    for number, group in enumerate(rounds(record)):
        assert sorted((s.model, s.copy) for s in group) == [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
        assert {(s.item, s.texts) for s in group} == {(number % 7, 1)}


def test_the_order_differs_between_rounds_and_depends_on_the_seed_alone() -> None:
    def orders(seed: int) -> list[list[tuple[str, int]]]:
        record = measure(World(), [local("a"), local("b"), local("c")], seed=seed)
        return [[(s.model, s.copy) for s in group] for group in rounds(record)]

    assert len({tuple(order) for order in orders(1)}) > 1
    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_each_process_comes_first_equally_often() -> None:
    plan = replace(PLAN, rounds=600, most_rounds=600)
    record = measure(World(), [local("a"), local("b")], plan=plan)
    first = [(group[0].model, group[0].copy) for group in rounds(record)]
    # 200 expected of 600; four standard deviations of a binomial are 46.
    assert all(abs(first.count(one) - 200) < 46 for one in set(first))
    assert len(set(first)) == 3


def starts(world: World) -> list[tuple[str, int]]:
    return [(label, copy) for label, copy, what, _ in world.log if what == "start"]


@pytest.mark.parametrize("reference", ["a", "c"])
def test_the_second_half_starts_new_processes_in_reverse_with_the_reference_and_its_control_at_the_ends(
    reference: str,
) -> None:
    world = World()
    record = measure(world, [local("a"), local("b"), local("c")], reference=reference)
    others = [(label, 0) for label in "abc" if label != reference]
    forward = [(reference, 0), *others, (reference, 1)]
    assert starts(world) == [*forward, *forward[::-1]]
    assert max(process.most_alive for process in world.processes) == 4
    expected = sorted(forward)
    assert [(p.model, p.copy) for p in record.samples.processes] == [one for one in expected for _ in (0, 1)]


def test_a_reversed_start_exchanges_the_halves_and_leaves_the_record_in_order() -> None:
    worlds = [World(), World()]
    records = [
        measure(world, [local("a"), local("b")], reversed_start=is_reversed)
        for world, is_reversed in zip(worlds, (False, True), strict=True)
    ]
    forward, backward = map(starts, worlds)
    assert backward == forward[3:] + forward[:3] != forward
    order, processes = (
        [record.samples.order for record in records],
        [[(p.model, p.copy) for p in record.samples.processes] for record in records],
    )
    assert (order[0], processes[0]) == (order[1], processes[1])


def test_both_halves_make_the_same_calls_and_other_queries() -> None:
    record = measure(World(), [local("a"), local("b")], plan=replace(PLAN, rounds=6, most_rounds=6))
    halves = [[s for s in record.samples.samples if s.half == half] for half in (0, 1)]
    kinds = [[(s.kind, s.texts, s.length_class, s.copy) for s in sorted(half, key=order_in_round)] for half in halves]
    assert kinds[0] == kinds[1]
    assert [sorted({s.item for s in half if s.kind == "query"}) for half in halves] == [[0, 1, 2], [3, 4, 5]]


def order_in_round(sample: Sample) -> tuple[int, str, int]:
    return sample.round, sample.model, sample.copy


@pytest.mark.parametrize(("n", "parts"), [(1, [1, 0]), (5, [3, 2]), (6, [3, 3])])
def test_of_an_odd_number_the_first_half_makes_one_more(n: int, parts: list[int]) -> None:
    plan = replace(PLAN, rounds=n, most_rounds=n, sweep_passes=n, throughput_passes=n)
    record = measure(World(), [local("a"), local("b")], plan=plan)
    for kind, steps in (("query", 1), ("batch", 3), ("throughput", 2)):
        found = [group[0].half for group in rounds(record, kind)]
        assert [found.count(half) for half in (0, 1)] == [steps * part for part in parts]


def test_a_single_process_starts_once_and_makes_all_calls() -> None:
    world = World()
    record = measure(world, [local("a")], reference=None)
    assert starts(world) == [("a", 0)]
    assert {s.half for s in record.samples.samples} == {0}
    assert [len(rounds(record, kind)) for kind in ("query", "batch", "throughput")] == [8, 6, 4]


def test_round_numbers_are_never_used_twice() -> None:
    record = measure(World(), [local("a"), local("b")])
    numbers = [(s.model, s.copy, s.round) for s in record.samples.samples]
    assert len(numbers) == len(set(numbers))
    by_round: dict[int, set[object]] = {}
    for s in record.samples.samples:
        by_round.setdefault(s.round, set()).add((s.kind, s.length_class, s.texts, s.item))
    assert {len(steps) for steps in by_round.values()} == {1}


def test_warm_up_calls_are_made_and_not_counted() -> None:
    world = World()
    record = measure(world, [local("a"), local("b")])
    calls = [process.calls for process in world.processes if process.label == "b"]
    counted = [sample.half for sample in record.samples.samples if sample.model == "b"]
    # Five warm-up calls, and one more that makes the threads of the sweep.
    assert calls == [counted.count(half) + 5 + 1 for half in (0, 1)]


def test_queries_run_on_one_thread_and_documents_on_all() -> None:
    world = World()
    measure(world, [local("a"), local("b")])
    calls = [detail for label, _, what, detail in world.log if what == "encode" and label == "b"]
    threads = [n for *_, n in calls]  # type: ignore[misc]
    # In each half five calls to warm up and four queries, then one for the threads, three batches and two documents.
    assert threads == [*[1] * 9, *[None] * 6] * 2


def test_the_control_times_queries_only() -> None:
    record = measure(World(), [local("a"), local("b")])
    assert {s.kind for s in record.samples.samples if s.copy == 1} == {"query"}
    assert {s.model for s in record.samples.samples if s.copy == 1} == {"a"}
    assert {(p.model, p.copy) for p in record.samples.processes} == {("a", 0), ("a", 1), ("b", 0)}


def test_sweep_and_documents_are_measured_for_each_model_beside_the_others() -> None:
    record = measure(World(), [local("a"), local("b")])
    assert [sorted(s.model for s in group) for group in rounds(record, "batch")] == [["a", "b"]] * 6
    assert [group[0].texts for group in rounds(record, "batch")] == [1, 8, 32, 1, 8, 32]
    assert [group[0].length_class for group in rounds(record, "throughput")] == ["short", "long"] * 2
    assert [group[0].texts for group in rounds(record, "throughput")] == [3, 2] * 2


def test_each_pass_of_the_sweep_takes_other_documents() -> None:
    record = measure(World(), [local("a")])
    assert [group[0].item for group in rounds(record, "batch")] == [0, 0, 0, 1, 8, 32 % (40 - 32 + 1)]


def test_small_batches_take_several_calls_for_the_same_documents() -> None:
    record = measure(World(), [local("a")], plan=replace(PLAN, sweep_texts=8))
    calls = [(group[0].texts, group[0].item) for group in rounds(record, "batch")]
    ones = [(1, place) for place in range(8)]
    assert calls == [*ones, (8, 0), (32, 0), *[(1, place + 8) for _, place in ones], (8, 8), (32, 32 % (40 - 32 + 1))]


def test_the_first_call_is_the_very_first_encode() -> None:
    world = World({"a": Behaviour(per_character_s=0.5)})
    facts = measure(world, [local("a")]).samples.processes
    assert [p.first_call_s for p in facts] == [5.0] * 4  # ten characters at 0.5 s


def test_rounds_are_added_until_the_ratio_is_known() -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    calm = measure(World(), [local("a"), local("b")], plan=plan)
    # Every fourth call takes 1.6 times as long: sd of the log ratio 0.21, and sqrt(2) * log(1.05) = 0.069 is enough for
    # a half: 1.96 * 0.21 / sqrt(32) = 0.073 isn't, with 48 rounds it is.
    noisy = measure(
        World({"b": Behaviour(noise=lambda n: 1.6 if n % 4 == 0 else 1.0)}), [local("a"), local("b")], plan=plan
    )
    wild = measure(World({"b": Behaviour(noise=lambda n: 1.9 if n % 2 else 1.0)}), [local("a"), local("b")], plan=plan)
    assert [len(rounds(record)) for record in (calm, noisy, wild)] == [64, 96, 192]


def test_on_a_gpu_the_wall_clock_tells_whether_the_ratio_is_known() -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    for device, n_rounds in (("cpu", 192), ("cuda", 64)):
        world = World({"b": Behaviour(noise=lambda n: 1.9 if n % 2 else 1.0)})  # of CPU time alone
        assert len(rounds(measure(world, [local("a"), local("b")], plan=plan, device=device))) == n_rounds


def test_a_ratio_that_is_clear_needs_no_more_rounds() -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    world = World({"b": Behaviour(per_character_s=0.1, noise=lambda n: 1.9 if n % 2 else 1.0)})
    assert len(rounds(measure(world, [local("a"), local("b")], plan=plan))) == 64


@pytest.mark.parametrize("moment", ["start", 0, 7, 13, "facts"])
def test_a_process_that_fails_is_recorded_and_the_others_are_complete(moment: int | str) -> None:
    world = World({"b": Behaviour(fails_at=moment)})
    record = measure(world, [local("a"), local("b"), local("c")])
    alone = measure(World(), [local("a"), local("c")])
    assert record.samples.failures == {"b": "it broke"}
    count = [sum(s.model == label for s in record.samples.samples) for label in "ac"]
    assert count == [sum(s.model == label for s in alone.samples.samples) for label in "ac"]
    assert world.alive == []
    told = [p.model for p in record.samples.processes]
    assert told == [*"aaaa", *("" if moment == "start" else "b"), *"cc"]
    assert starts(world).count(("b", 0)) == (moment != "start")  # not tried again in the second half


@pytest.mark.parametrize("moment", ["start", 0, 7, "facts"])
def test_a_process_that_fails_in_the_second_half_is_recorded_and_the_others_are_complete(moment: int | str) -> None:
    world = World({"b": Behaviour(fails_at=moment, fails_nth=1)})
    record = measure(world, [local("a"), local("b"), local("c")])
    alone = measure(World(), [local("a"), local("c")])
    assert record.samples.failures == {"b": "it broke"}
    assert not record.is_complete
    count = [sum(s.model == label for s in record.samples.samples) for label in "ac"]
    assert count == [sum(s.model == label for s in alone.samples.samples) for label in "ac"]
    assert [p.model for p in record.samples.processes].count("b") == (1 if moment == "start" else 2)
    assert world.alive == []


def test_a_control_that_fails_costs_no_model_its_figures() -> None:
    record = measure(World({"a": Behaviour(fails_at=3, fails_copy=1)}), [local("a"), local("b")])
    assert record.samples.failures == {}
    assert not record.is_complete
    assert len(rounds(record)) == 8
    assert sentences(record) == [
        "a: its second process, the control, failed, so that the noise of the machine isn't known: it broke"
    ]


def test_a_control_whose_model_failed_measures_nothing_more() -> None:
    record = measure(World({"a": Behaviour(fails_at=0)}), [local("a")])
    assert record.samples.failures == {"a": "it broke"}
    assert {(s.copy, s.kind) for s in record.samples.samples} == {(1, "query")}


def test_a_session_in_which_all_fail_ends_at_once() -> None:
    world = World({label: Behaviour(fails_at=6) for label in "ab"})
    record = measure(world, [local("a"), local("b")], reference=None)
    assert record.samples.failures == {"a": "it broke", "b": "it broke"}
    assert [process.calls for process in world.processes] == [7, 7]
    assert sentences(record) == []


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("moment", ["start", 4, 13, "facts"])
def test_an_interrupt_ends_every_process_and_goes_on(moment: int | str, half: int) -> None:
    world = World({"b": Behaviour(fails_at=moment, fails_nth=half, raises=KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        measure(world, [local("a"), local("b")])
    assert {process.nth for process in world.processes} == set(range(half + 1))
    assert world.alive == []


def test_queries_that_the_time_cut_off_are_told() -> None:
    # Ten characters at 0.1 s are a second a call, three processes: 9 s hold three rounds.
    plan = replace(PLAN, rounds=64, query_s=3.0)
    world = World({label: Behaviour(per_character_s=0.1) for label in "ab"})
    record = measure(world, [local("a"), local("b")], plan=plan)
    assert len(rounds(record)) == 3
    assert "a, b: 3 of 64 queries were timed, then the time ran out" in sentences(record)


def test_a_slow_model_sits_the_large_batches_out_and_the_report_says_which() -> None:
    # 0.01 s a character: 32 documents of 50 characters are 16 s, 8 are 4 s, one is 0.5 s; two processes share 20 s. The
    # documents by length are 0.6 s and 1.8 s; there two share 2 s.
    world = World({"b": Behaviour(per_character_s=0.01), "a": Behaviour(per_character_s=1e-6)})
    record = measure(world, [local("a"), local("b")], plan=replace(PLAN, sweep_s=10.0, throughput_s=1.0))
    sizes = {
        label: [s.texts for s in record.samples.samples if s.kind == "batch" and s.model == label] for label in "ab"
    }
    assert sizes == {"a": [1, 8, 32] * 2, "b": [1, 8, 1, 8]}
    assert sentences(record) == [
        "b: the time for the batch sweep ran out, 2 of 6 calls were left out; not measured at all: 32",
        "b: the time for documents by length ran out, 2 of 4 calls were left out; not measured at all: long",
    ]


def test_a_half_leaves_its_share_of_the_time_to_the_other_one() -> None:
    # A query is a second on each of three processes, so that 60 s hold 20 rounds. A pass over the documents is 0.6 s
    # and 1.8 s on each of two, so that 12 s of 24 hold two and the short ones of a third.
    plan = replace(PLAN, rounds=64, most_rounds=64, query_s=20.0, throughput_passes=6, throughput_s=12.0)
    world = World({label: Behaviour(per_character_s=0.1) for label in "ab"})
    record = measure(world, [local("a"), local("b")], plan=plan)
    assert [group[0].half for group in rounds(record)] == [*[0] * 10, *[1] * 10]
    assert "a, b: 20 of 64 queries were timed, then the time ran out" in sentences(record)

    world = World({label: Behaviour(per_character_s=0.01) for label in "ab"})
    record = measure(world, [local("a"), local("b")], plan=plan)
    classes = [(group[0].half, group[0].length_class) for group in rounds(record, "throughput")]
    assert classes == [(half, length) for half in (0, 1) for length in ("short", "long", "short", "long", "short")]
    told = "a, b: the time for documents by length ran out, 2 of 12 calls were left out"
    assert told in sentences(record)


def test_the_first_pass_may_take_the_time_of_both_halves() -> None:
    # 32 documents are 16 s, 8 are 4 s and one is 0.5 s. Each of two models may use half of what is left of 41 s: 18 s
    # before the 32 documents of the first half, and 8 s before those of the second.
    world = World({"a": Behaviour(per_character_s=1e-9), "b": Behaviour(per_character_s=0.01)})
    record = measure(world, [local("a"), local("b")], plan=replace(PLAN, sweep_s=20.5))
    found = [(s.half, s.texts) for s in record.samples.samples if (s.model, s.kind) == ("b", "batch")]
    assert found == [(0, 1), (0, 8), (0, 32), (1, 1), (1, 8)]


def test_an_endpoint_is_measured_in_the_first_half_alone() -> None:
    world = World()
    record = measure(world, [local("a"), endpoint("e"), local("b")])
    assert starts(world).count(("e", 0)) == 1
    assert {s.half for s in record.samples.samples if s.model == "e"} == {0}
    assert {s.half for s in record.samples.samples if s.model == "b"} == {0, 1}


def test_an_endpoint_gets_few_calls_beside_the_reference() -> None:
    record = measure(World(), [local("a"), endpoint("e"), local("b")], plan=replace(PLAN, remote_rounds=5))
    mine = [s for s in record.samples.samples if s.model == "e"]
    assert [s.kind for s in mine] == ["query"] * 5
    shared = {s.round for s in mine}
    assert sorted(s.model for s in record.samples.samples if s.round in shared) == ["a"] * 5 + ["e"] * 5
    assert sentences(record) == ["e: an endpoint, so few calls were made: 5 single queries"]


def test_the_full_level_times_an_endpoint_on_documents_once() -> None:
    plan = replace(PLAN, remote_rounds=2, remote_passes=1)
    record = measure(World(), [endpoint("e")], plan=plan, reference=None)
    assert [s.kind for s in record.samples.samples] == ["query"] * 2 + ["throughput"] * 2


def test_a_slow_endpoint_is_cut_and_told() -> None:
    world = World({"e": Behaviour(per_character_s=0.1)})
    record = measure(world, [endpoint("e")], plan=replace(PLAN, remote_rounds=16, remote_s=3.0), reference=None)
    assert sentences(record) == [
        "e: an endpoint, so few calls were made: 3 single queries, then the time ran out (planned: 16)"
    ]


def test_little_memory_gives_groups_that_all_hold_the_reference() -> None:
    # 500 MiB and three times the weights: 530, 1400 and 1400 MiB; 0.8 * 3.2 GiB hold 2 * 530 + 1400.
    world = World()
    record = measure(world, [local("a"), local("b", mib=300), local("c", mib=300)], free_bytes=int(3.2 * GIB))
    assert max(process.most_alive for process in world.processes) == 3
    beside_b = [("a", 0), ("b", 0), ("a", 1)]
    beside_c = [("a", 0), ("c", 0), ("a", 1)]
    assert starts(world) == [*beside_b, *beside_b[::-1], *beside_c, *beside_c[::-1]]
    found = [{(s.model, s.copy) for s in group} for group in rounds(record)]
    assert found == [{("a", 0), ("a", 1), ("b", 0)}] * 8 + [{("a", 0), ("a", 1), ("c", 0)}] * 8
    (told,) = sentences(record)
    assert told == (
        "the free memory does not hold all models at once, so they were measured in 2 groups; "
        "two models of different groups have no ratio, but each has one with the model measured twice"
    )
    assert world.alive == []


def test_a_model_too_large_for_company_is_measured_alone() -> None:
    world = World()
    record = measure(world, [local("a"), local("big", mib=2000)], free_bytes=4 * GIB)
    assert [{s.model for s in group} for group in rounds(record)] == [{"a"}] * 8 + [{"big"}] * 8
    assert max(p.most_alive for p in world.processes if p.label == "big") == 1
    assert sentences(record) == [
        "big: measured alone, for the free memory does not hold it beside the others; no ratio with any of them"
    ]


def test_hardly_any_memory_measures_one_by_one_without_control() -> None:
    world = World()
    record = measure(world, [local("a"), local("b")], free_bytes=GIB)
    assert max(process.most_alive for process in world.processes) == 1
    assert {s.copy for s in record.samples.samples} == {0}
    assert sentences(record)[0] == (
        "the free memory does not hold a second process of a model, so the noise of the machine isn't known"
    )
    assert sentences(record)[1].startswith("a, b: measured alone")


def test_a_reference_that_failed_is_not_started_for_the_next_group() -> None:
    world = World({"a": Behaviour(fails_at=0)})
    record = measure(world, [local("a"), local("b", mib=300), local("c", mib=300)], free_bytes=int(3.2 * GIB))
    assert sum(process.label == "a" for process in world.processes) == 2
    assert {s.model for s in record.samples.samples if s.copy == 0} == {"b", "c"}
    assert world.alive == []


# ------------------------------------------------------------ processes that are slower for having started first


def by_start(place: int) -> float:
    """Return what was seen on a virtual machine: the first of three processes is 5 % slower than the last."""
    return 1 + 0.05 * (1 - place / 2)


def costs_of(record: SessionRecord, seed: int) -> CostReport:
    return summarise(record.samples, Conditions("quick", "cpu", {}, "", 1.0, seed), models=[], baseline="a")


def with_noise(seed: int, per_character_s: float) -> Behaviour:
    """Return a model whose calls differ by some per cent, and which is nearly the same in each of its processes."""
    rng = np.random.default_rng(seed)
    calls = rng.lognormal(0, 0.01, 1000)
    return Behaviour(per_character_s, noise=lambda number: float(calls[number]))


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "same"), (1.09, "dearer"), (1 / 1.09, "cheaper")])
def test_a_session_finds_what_differs_although_processes_are_slower_for_having_started_first(
    factor: float, verdict: str
) -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    for seed in range(8):
        world = World({"a": with_noise(seed, 0.01), "b": with_noise(100 + seed, 0.01 * factor)}, by_start=by_start)
        record = measure(world, [local("a"), local("b")], plan=plan, seed=seed)
        report = costs_of(record, seed)
        assert report.unstable == ""
        assert report.control[0].ratio == pytest.approx(1.0, abs=0.01)
        assert [ratio.verdict for ratio in report.ratios] == [verdict] * 2
        assert [ratio.ratio for ratio in report.ratios] == pytest.approx([factor] * 2, rel=0.01)
        # One half alone would have told the models wrongly, and its control would have taken the verdict.
        half = replace(record.samples, samples=tuple(s for s in record.samples.samples if s.half == 0))
        alone = costs_of(replace(record, samples=half), seed)
        assert "should take the same time" in alone.unstable
        assert {ratio.verdict for ratio in alone.ratios} == {"inconclusive"}


# ------------------------------------------------------------ real processes


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[ModelSpec, int], ModelProcess]:
    """Return what makes real processes of the test models."""
    child_models.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    context = OpenContext(device="cpu", offline=True, cache_dir=tmp_path / "models")
    return lambda spec, copy: ModelProcess(spec, context, copy=copy)


def child(label: str, takes_s: float) -> MeasuredModel:
    return MeasuredModel(child_models.spec(label, takes_s=takes_s), meta_of(label))


def real_session(
    open_process: Callable[[ModelSpec, int], ModelProcess], on_stage: Callable[[str], None] = lambda _: None
) -> SessionRecord:
    models, plan = (child("a", 0.001), child("b", 0.004)), replace(PLAN, rounds=24, most_rounds=24)
    return run_session(
        Design(models, "a", plan, "cpu", seed=1, tolerance=0.05),
        SOURCES,
        open_process=open_process,
        free_bytes=100 * GIB,
        on_stage=on_stage,
    )


def test_real_processes_are_measured_in_both_halves(real: Callable[[ModelSpec, int], ModelProcess]) -> None:
    opened: list[ModelProcess] = []

    def open_process(spec: ModelSpec, copy: int) -> ModelProcess:
        opened.append(real(spec, copy))
        return opened[-1]

    record = real_session(open_process)
    assert record.is_complete
    assert [process.label for process in opened] == ["a", "b", "a", "a", "b", "a"]
    assert not any(process.alive for process in opened)
    for half in (0, 1):
        mine = [(s.model, s.copy, s.kind) for s in record.samples.samples if s.half == half]
        assert Counter(mine) == {
            **{(model, copy, "query"): 12 for model, copy in (("a", 0), ("a", 1), ("b", 0))},
            **{(model, 0, "batch"): 3 for model in "ab"},
            **{(model, 0, "throughput"): 2 for model in "ab"},
        }
    report = costs_of(record, 1)
    (ratio,) = [ratio for ratio in report.ratios if ratio.metric == "latency/query"]
    assert ratio.n == 24
    assert ratio.ratio > 1.5  # by the wall clock: each call of b sleeps for 4 ms, of a for 1 ms
    cost = report.of("b")
    assert cost is not None
    load = cost.figure("load/model_s")
    assert load is not None
    assert load.n == 2


def test_ctrl_c_in_the_second_half_leaves_no_child_behind(real: Callable[[ModelSpec, int], ModelProcess]) -> None:
    opened: list[ModelProcess] = []
    pids: list[int | None] = []
    stages: list[str] = []

    def open_process(spec: ModelSpec, copy: int) -> ModelProcess:
        hangs = len(opened) >= 3
        opened.append(real(replace(spec, options={"takes_s": 600}) if hangs else spec, copy))
        return opened[-1]

    def on_stage(words: str) -> None:
        stages.append(words)
        if stages.count(words) == 2:
            pids.extend(process.pid for process in opened if process.alive)
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        real_session(open_process, on_stage)
    assert stages[-1] == "measuring costs: single queries"
    assert len(pids) == 3
    assert not any(process.alive for process in opened)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
