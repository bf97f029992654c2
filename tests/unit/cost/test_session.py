"""Every round holds each live process once, in an order of its own; what fails or is too slow hurts no other model."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest
from cost_fakes import Behaviour, World, meta_of, spec_of

from benchkit.cost.plan import PLANS, CostPlan
from benchkit.cost.session import MeasuredModel, SessionRecord, Sources, choose_reference, run_session
from benchkit.types.cost import Sample, TextSource

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
    throughput_passes=2,
    query_s=1e6,
    sweep_s=1e6,
    throughput_s=1e6,
    remote_s=1e6,
)


def local(label: str, mib: int = 10) -> MeasuredModel:
    return MeasuredModel(spec_of(label), meta_of(label, mib=mib))


def endpoint(label: str) -> MeasuredModel:
    return MeasuredModel(spec_of(label, loader="openai"), meta_of(label))


def lexical(label: str) -> MeasuredModel:
    return MeasuredModel(spec_of(label, loader="tfidf"), meta_of(label, dimension=None))


def measure(
    world: World,
    models: list[MeasuredModel],
    *,
    plan: CostPlan = PLAN,
    reference: str | None = "a",
    free_bytes: int = 100 * GIB,
    seed: int = 1,
    reversed_start: bool = False,
) -> SessionRecord:
    return run_session(
        models,
        SOURCES,
        plan,
        open_process=world.open_process,  # type: ignore[arg-type]
        reference=reference,
        seed=seed,
        free_bytes=free_bytes,
        tolerance=0.05,
        decides="cpu_s",
        clock=world.clock,
        reversed_start=reversed_start,
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


def test_a_reversed_start_is_the_mirror_image_and_leaves_the_record_in_order() -> None:
    def session(*, is_reversed: bool) -> tuple[list[tuple[str, int]], SessionRecord]:
        world = World()
        record = measure(world, [local("a"), local("b"), local("c")], reversed_start=is_reversed)
        return [(label, copy) for label, copy, what, _ in world.log if what == "start"], record

    forward, first = session(is_reversed=False)
    backward, second = session(is_reversed=True)
    assert forward == [("a", 0), ("b", 0), ("c", 0), ("a", 1)]
    assert backward == forward[::-1]
    assert second.samples.order == first.samples.order
    assert [(p.model, p.copy) for p in second.samples.processes] == [("a", 0), ("a", 1), ("b", 0), ("c", 0)]


def test_round_numbers_are_never_used_twice() -> None:
    record = measure(World(), [local("a"), local("b")])
    numbers = [(s.model, s.copy, s.round) for s in record.samples.samples]
    assert len(numbers) == len(set(numbers))
    assert len({(s.kind, s.length_class, s.texts) for s in record.samples.samples if s.round == 9}) == 1


def test_warm_up_calls_are_made_and_not_counted() -> None:
    world = World()
    record = measure(world, [local("a"), local("b")])
    b = next(process for process in world.processes if process.label == "b")
    counted = [sample for sample in record.samples.samples if sample.model == "b"]
    # Five warm-up calls, and one more that makes the threads of the sweep.
    assert b.calls == len(counted) + 5 + 1


def test_queries_run_on_one_thread_and_documents_on_all() -> None:
    world = World()
    measure(world, [local("a"), local("b")])
    calls = [detail for label, _, what, detail in world.log if what == "encode" and label == "b"]
    assert [threads for *_, threads in calls][: 5 + 8] == [1] * 13  # type: ignore[misc]
    assert {threads for *_, threads in calls[13:]} == {None}  # type: ignore[misc]


def test_the_control_times_queries_only() -> None:
    record = measure(World(), [local("a"), local("b")])
    assert {s.kind for s in record.samples.samples if s.copy == 1} == {"query"}
    assert {s.model for s in record.samples.samples if s.copy == 1} == {"a"}
    assert [(p.model, p.copy) for p in record.samples.processes] == [("a", 0), ("a", 1), ("b", 0)]


def test_sweep_and_documents_are_measured_for_each_model_beside_the_others() -> None:
    record = measure(World(), [local("a"), local("b")])
    assert [sorted(s.model for s in group) for group in rounds(record, "batch")] == [["a", "b"]] * 6
    assert [group[0].texts for group in rounds(record, "batch")] == [1, 8, 32, 1, 8, 32]
    assert [group[0].length_class for group in rounds(record, "throughput")] == ["short", "long"] * 2
    assert [group[0].texts for group in rounds(record, "throughput")] == [3, 2] * 2


def test_each_pass_of_the_sweep_takes_other_documents() -> None:
    record = measure(World(), [local("a")])
    assert [group[0].item for group in rounds(record, "batch")] == [0, 0, 0, 1, 8, 32 % (40 - 32 + 1)]


def test_the_first_call_is_the_very_first_encode() -> None:
    world = World({"a": Behaviour(per_character_s=0.5)})
    facts = measure(world, [local("a")]).samples.processes
    assert [p.first_call_s for p in facts] == [5.0, 5.0]  # ten characters at 0.5 s


def test_rounds_are_added_until_the_ratio_is_known() -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    calm = measure(World(), [local("a"), local("b")], plan=plan)
    # Every eighth call takes half as long again: sd of the log ratio about 0.19, 1.96 * 0.19 / sqrt(64) = 0.046 < 0.05.
    noisy = measure(
        World({"b": Behaviour(noise=lambda n: 1.6 if n % 4 == 0 else 1.0)}), [local("a"), local("b")], plan=plan
    )
    wild = measure(World({"b": Behaviour(noise=lambda n: 1.9 if n % 2 else 1.0)}), [local("a"), local("b")], plan=plan)
    assert [len(rounds(record)) for record in (calm, noisy, wild)] == [64, 96, 192]


def test_a_ratio_that_is_clear_needs_no_more_rounds() -> None:
    plan = replace(PLAN, rounds=64, most_rounds=192)
    world = World({"b": Behaviour(per_character_s=0.1, noise=lambda n: 1.9 if n % 2 else 1.0)})
    assert len(rounds(measure(world, [local("a"), local("b")], plan=plan))) == 64


@pytest.mark.parametrize("moment", ["start", 0, 7, 15, "facts"])
def test_a_process_that_fails_is_recorded_and_the_others_are_complete(moment: int | str) -> None:
    world = World({"b": Behaviour(fails_at=moment)})
    record = measure(world, [local("a"), local("b"), local("c")])
    alone = measure(World(), [local("a"), local("c")])
    assert record.samples.failures == {"b": "b: it broke"}
    count = [sum(s.model == label for s in record.samples.samples) for label in "ac"]
    assert count == [sum(s.model == label for s in alone.samples.samples) for label in "ac"]
    assert world.alive == []
    told = [p.model for p in record.samples.processes]
    assert told == (["a", "a", "c"] if moment == "start" else ["a", "a", "b", "c"])


def test_a_control_that_fails_costs_no_model_its_figures() -> None:
    record = measure(World({"a": Behaviour(fails_at=3, fails_copy=1)}), [local("a"), local("b")])
    assert record.samples.failures == {}
    assert not record.is_complete
    assert len(rounds(record)) == 8
    assert sentences(record) == [
        "a: its second process, the control, failed, so that the noise of the machine isn't known: a: it broke"
    ]


def test_a_control_whose_model_failed_measures_nothing_more() -> None:
    record = measure(World({"a": Behaviour(fails_at=0)}), [local("a")])
    assert record.samples.failures == {"a": "a: it broke"}
    assert {(s.copy, s.kind) for s in record.samples.samples} == {(1, "query")}


def test_a_session_in_which_all_fail_ends_at_once() -> None:
    world = World({label: Behaviour(fails_at=6) for label in "ab"})
    record = measure(world, [local("a"), local("b")], reference=None)
    assert record.samples.failures == {"a": "a: it broke", "b": "b: it broke"}
    assert [process.calls for process in world.processes] == [7, 7]
    assert sentences(record) == []


@pytest.mark.parametrize("moment", ["start", 4, 22])
def test_an_interrupt_ends_every_process_and_goes_on(moment: int | str) -> None:
    world = World({"b": Behaviour(fails_at=moment, raises=KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        measure(world, [local("a"), local("b")])
    assert world.processes
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
    assert sum(process.label == "a" for process in world.processes) == 2  # never started anew
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


@pytest.mark.parametrize(
    ("models", "baseline", "expected"),
    [
        ([local("big", 90), local("small", 5), lexical("bm25")], None, "small"),
        ([local("big", 90), local("small", 5)], "big", "big"),
        ([lexical("bm25"), endpoint("e")], None, "bm25"),
        ([lexical("tfidf"), lexical("bm25")], "bm25", "bm25"),
        ([local("a"), endpoint("e")], "e", "a"),
        ([local("a"), lexical("bm25")], "bm25", "a"),
        ([endpoint("e")], "e", None),
    ],
    ids=[
        "smallest",
        "baseline",
        "lexical only",
        "lexical baseline",
        "baseline is remote",
        "baseline is lexical",
        "nothing local",
    ],
)
def test_the_reference_is_the_baseline_or_the_smallest_local_model(
    models: list[MeasuredModel], baseline: str | None, expected: str | None
) -> None:
    assert choose_reference(models, baseline) == expected
