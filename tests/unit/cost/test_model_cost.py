"""What one model costs, by hand and against slower ways to the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from comparisons import model as make_model
from cost_calls import LENGTHS, batch, cost, documents, facts, noisy, queries, report, value
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.cost.figures import WALL
from benchkit.types.cost import (
    Price,
    ProcessFacts,
)

# Latency


def test_latency_by_hand_in_milliseconds_of_both_clocks():
    walls = [number / 1000 for number in range(1, 101)]  # 1 to 100 ms
    found = cost(queries("m", walls, [2 * wall for wall in walls]))
    said = {what: value(found, f"latency/query/{what}_ms") for what in ("mean", "p50", "p90", "p95", "p99")}
    assert said == pytest.approx({"mean": 50.5, "p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0})
    assert value(found, "latency/query_cpu/p95_ms") == pytest.approx(190.0)
    p95, p99 = found.figure("latency/query/p95_ms"), found.figure("latency/query/p99_ms")
    # ranks 90 and 100, the exact binomial ones; no interval of p99 below 299 calls
    assert (p95.ci_low, p95.ci_high, p95.n, p95.unit) == (pytest.approx(90.0), pytest.approx(100.0), 100, "ms")
    assert (p99.ci_low, p99.ci_high, p99.n) == (None, None, 100)
    assert p95.cv == pytest.approx(np.std(walls, ddof=1) / np.mean(walls))
    mean = found.figure("latency/query/mean_ms")
    assert mean.ci_low < 50.5 < mean.ci_high


def test_few_queries_give_no_high_percentiles_and_say_so():
    found = cost(queries("m", [0.01] * 64))
    assert value(found, "latency/query/p99_ms") is None
    assert value(found, "latency/query/p95_ms") == pytest.approx(10.0)
    assert "64 single queries are too few for p99 (100)" in found.notes
    assert "12 single queries are too few for p95 (20) and p99 (100)" in cost(queries("m", [0.01] * 12)).notes
    assert "no single query was measured" in cost([batch("m", 1, 0.1)]).notes


def test_the_figures_are_those_of_the_first_process_alone():
    first, control = queries("m", [0.01] * 20), queries("m", [9.0] * 20, copy=1)
    processes = [facts("m", 1, peak_mib=999.0, engine="other"), facts("m", 0, peak_mib=600.0, engine="packed")]
    found = cost([*control, *first], processes=processes)
    assert value(found, "latency/query/mean_ms") == pytest.approx(10.0)
    assert value(found, "memory/peak_mib") == 600.0
    assert found.engine == "packed"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1e-4, 10), min_size=1, max_size=120), st.randoms())
def test_figures_do_not_depend_on_the_order_of_the_samples(walls, random):
    made = [*queries("m", walls), batch("m", 4, 0.2), batch("m", 4, 0.4, 1), batch("m", 1, 0.1)]
    shuffled = random.sample(made, len(made))
    first, second = cost(made), cost(shuffled)
    assert [figure.metric for figure in first.figures] == [figure.metric for figure in second.figures]
    for one, other in zip(first.figures, second.figures, strict=True):
        if not one.metric.endswith("mean_ms"):
            assert one.value == pytest.approx(other.value)
        assert one.value > 0
        assert one.ci_low is None or one.ci_low <= one.value * (1 + 1e-9)


# Batches and throughput


def test_a_step_of_the_sweep_is_its_texts_by_the_mean_of_its_calls():
    found = cost([batch("m", 8, wall, number) for number, wall in enumerate((0.5, 0.7, 0.3))] + [batch("m", 1, 0.1)])
    assert value(found, "batch/8/texts_per_s") == pytest.approx(16.0)
    assert value(found, "batch/1/texts_per_s") == pytest.approx(10.0)
    figure = found.figure("batch/8/texts_per_s")
    assert (figure.n, figure.ci_low, figure.unit) == (3, None, "texts/s")  # three calls have no interval
    many = cost([batch("m", 1, wall, number) for number, wall in enumerate([0.1, 0.3] * 8)])
    figure = many.figure("batch/1/texts_per_s")
    assert figure.value == pytest.approx(5.0)  # sixteen documents, half of them long, in 3.2 s
    assert figure.ci_low < 5.0 < figure.ci_high
    assert figure.ci_low == pytest.approx(1 / (0.2 + 2.13 * 0.1033 / 4), rel=0.05)  # Student's t of 15, sd 0.1033


def test_throughput_by_hand():
    # short: 10 texts in 1 s; medium: 10 in 3 s on average; long: 5 in 6 s: 25 texts, 350 tokens in 10 s
    made = [
        documents("m", "short", 1.0, tokens=50, padded=60),
        documents("m", "short", 1.0, tokens=50, padded=60),
        documents("m", "medium", 2.0, tokens=100, padded=100),
        documents("m", "medium", 4.0, tokens=100, padded=100),
        documents("m", "long", 6.0, texts=5, tokens=200, padded=260),
        documents("m", "long", 6.0, texts=5, tokens=200, padded=260),
    ]
    found = cost(made)
    expected = {
        "texts_per_s": 2.5,
        "tokens_per_s": 35.0,
        "padded_tokens_per_s": 42.0,
        "padding_ratio": 1.2,
        "short/texts_per_s": 10.0,
        "short/tokens_per_s": 50.0,
        "medium/texts_per_s": 10 / 3,
        "medium/tokens_per_s": 100 / 3,
        "long/texts_per_s": 5 / 6,
        "long/tokens_per_s": 200 / 6,
    }
    assert {m: value(found, f"throughput/{m}") for m in expected} == pytest.approx(expected)
    total, medium = found.figure("throughput/texts_per_s"), found.figure("throughput/medium/texts_per_s")
    assert (total.n, medium.n, found.figure("throughput/padding_ratio").n) == (6, 2, 6)
    # only "medium" varies: 2 and 4 s, variance of the mean 1; Welch's t with one degree of freedom, over 10 s and 3 s
    assert total.ci_high == pytest.approx(2.5 * math.exp(12.7062 / 10), rel=1e-4)
    assert medium.ci_high == pytest.approx(10 / 3 * math.exp(12.7062 / 3), rel=1e-4)
    assert medium.cv == pytest.approx(math.sqrt(2) / 3)
    assert total.cv == 0.0  # the middle one of 0, 0.47 and 0


def test_a_model_without_a_length_class_that_others_have_has_no_total():
    slow = [documents("m", "short", 5.0), documents("m", "medium", 5.0)]
    fast = [documents("other", length, 1.0) for length in LENGTHS]
    found = report([*slow, *fast], order=("m", "other")).models
    assert value(found[0], "throughput/texts_per_s") is None
    assert value(found[0], "throughput/short/texts_per_s") == 2.0
    assert "long documents were not measured, so there is no throughput over all lengths" in found[0].notes
    assert value(found[1], "throughput/texts_per_s") == 10.0


@pytest.mark.parametrize(
    ("changes", "missing", "note"),
    [
        (
            {"tokens": None},
            ("tokens_per_s", "padding_ratio", "short/tokens_per_s"),
            "it doesn't tell its tokens, so there are no figures by token",
        ),
        ({"padded": None}, ("padded_tokens_per_s", "padding_ratio"), "it doesn't tell how much it pads"),
    ],
)
def test_without_tokens_there_are_no_figures_by_token_and_a_note_says_why(changes, missing, note):
    found = cost([documents("m", "short", 1.0), documents("m", "short", 1.0, **changes)])
    assert value(found, "throughput/texts_per_s") == 10.0
    assert [value(found, f"throughput/{metric}") for metric in missing] == [None] * len(missing)
    assert note in found.notes


def test_documents_without_a_length_class_have_a_total_only():
    found = cost([documents("m", None, 2.0)])
    assert [f.metric for f in found.figures if f.metric.startswith("throughput/")] == [
        "throughput/texts_per_s",
        "throughput/tokens_per_s",
        "throughput/padded_tokens_per_s",
        "throughput/padding_ratio",
    ]


def test_energy_is_told_by_the_thousand_texts_and_left_out_without_a_meter():
    # one pass: 10 texts at 2 J (mean of 1 and 3) and 10 at 4 J: 6 J for 20
    made = [
        documents("m", "short", 1.0, energy_j=1.0),
        documents("m", "short", 1.0, energy_j=3.0),
        documents("m", "long", 2.0, energy_j=4.0),
    ]
    assert value(cost(made), "energy/joules_per_thousand_texts") == pytest.approx(300.0)
    found = cost([*made, documents("m", "long", 2.0)])
    assert value(found, "energy/joules_per_thousand_texts") is None
    assert "energy was not measured: no meter could be read" in found.notes


# Start, memory, size, price


def test_start_and_memory_are_what_the_process_told():
    told = facts(
        "m", first_call_s=0.0615, import_mib=494.0, peak_mib=617.0, uss_mib=550.0, model_mib=86.6,
        cuda_allocated_mib=100.0, cuda_reserved_mib=120.0,
    )  # fmt: skip
    found = cost(processes=[told])
    expected = {
        "load/import_s": 4.2,
        "load/model_s": 0.3,
        "latency/first_call_ms": 61.5,
        "memory/model_mib": 86.6,
        "memory/import_mib": 494.0,
        "memory/peak_mib": 617.0,
        "memory/encode_mib": 123.0,
        "memory/uss_mib": 550.0,
        "memory/cuda_allocated_mib": 100.0,
        "memory/cuda_reserved_mib": 120.0,
    }
    assert {metric: value(found, metric) for metric in expected} == pytest.approx(expected)
    assert (found.figure("memory/peak_mib").n, found.figure("memory/peak_mib").ci_low) == (1, None)


def test_of_two_processes_the_median_of_the_start_is_told_and_the_larger_memory():
    first = ProcessFacts("m", 0, 4.0, 0.5, first_call_s=0.08, import_mib=494.0, peak_mib=617.0, uss_mib=550.0)
    second = ProcessFacts("m", 0, 3.0, 0.3, first_call_s=0.06, import_mib=484.0, peak_mib=610.0, uss_mib=560.0)
    found = cost(processes=[first, facts("m", 1, peak_mib=999.0), second])
    expected = {
        "load/import_s": 3.5,
        "load/model_s": 0.4,
        "latency/first_call_ms": 70.0,
        "memory/import_mib": 494.0,
        "memory/peak_mib": 617.0,
        "memory/encode_mib": 126.0,  # of one process: 610 - 484
        "memory/uss_mib": 560.0,
    }
    assert {metric: value(found, metric) for metric in expected} == pytest.approx(expected)
    assert {found.figure(metric).n for metric in expected} == {2}
    assert {found.figure(metric).ci_low for metric in expected} == {None}
    assert found.figure("load/import_s").cv == pytest.approx(math.sqrt(0.5) / 3.5)


def test_a_process_that_ended_early_leaves_the_memory_to_the_other_one():
    found = cost(processes=[facts("m", peak_mib=617.0), facts("m")])
    assert (value(found, "memory/peak_mib"), found.figure("memory/peak_mib").n) == (617.0, 1)
    assert not any("memory was not measured" in note for note in found.notes)


def test_what_was_not_told_is_left_out_and_never_zero():
    found = cost(processes=[facts("m", peak_mib=600.0)], models=[make_model("m", dimension=None)])
    assert [figure.metric for figure in found.figures] == ["load/import_s", "load/model_s", "memory/peak_mib"]
    assert "its vectors are sparse, so that their size depends on the text" in found.notes
    unknown = cost(processes=[facts("m")])
    assert "memory was not measured: the process ended early, or this system doesn't tell its peak" in unknown.notes
    assert cost(models=[], processes=[facts("m")]).figure("vector/dimension") is None


def test_a_million_vectors_of_384_float32_take_1464_8_mib():
    found = cost(models=[make_model("m", dimension=384)])
    assert value(found, "vector/dimension") == 384
    assert value(found, "vector/bytes") == 1536
    assert value(found, "index/documents_1m_mib") == pytest.approx(1464.84375)


def test_a_price_follows_from_the_hour_or_is_the_one_given():
    # 100 tokens in 1 s; 3.60 an hour is 0.001 a second: 0.00001 a token, 10 a million
    made = [documents("m", "short", 0.9), documents("m", "short", 1.1)]
    found = cost(made, price=Price("EUR", per_hour=3.6)).figure("price/per_million_tokens")
    assert (found.value, found.unit, found.n) == (pytest.approx(10.0), "EUR", 2)
    tokens = cost(made).figure("throughput/tokens_per_s")
    assert (found.ci_low, found.ci_high) == pytest.approx((1000 / tokens.ci_high, 1000 / tokens.ci_low))
    given_price = Price(per_hour=3.6, per_million_tokens={"m": 0.02})
    found = cost(made, price=given_price).figure("price/per_million_tokens")
    assert (found.value, found.unit, found.ci_low) == (0.02, "USD", None)
    assert value(cost(made), "price/per_million_tokens") is None
    untold = [documents("m", "short", 1.0, tokens=None)]
    assert value(cost(untold, price=Price(per_hour=3.6)), "price/per_million_tokens") is None
    assert value(cost(made, price=Price(per_million_tokens={"other": 1.0})), "price/per_million_tokens") is None


def test_of_an_endpoint_only_what_can_be_seen_from_here_is_told():
    made = [
        *queries("m", noisy(0).tolist()),
        *queries("local", noisy(1).tolist()),
        documents("m", "short", 1.0, energy_j=1.0),
        documents("local", "short", 1.0, energy_j=1.0),
    ]
    processes = [facts("m", import_mib=50.0, peak_mib=60.0), facts("local", peak_mib=600.0)]
    found = report(made, order=("m", "local"), processes=processes, endpoints=["m"], price=Price(per_hour=3.6))
    endpoint, local = found.models
    groups = {figure.metric.rsplit("/", 1)[0] for figure in endpoint.figures}
    assert groups == {"load", "latency/query", "throughput", "throughput/short", "vector", "index"}
    assert {"latency/query_cpu", "memory", "price", "energy"} <= {f.metric.rsplit("/", 1)[0] for f in local.figures}
    assert [ratio.metric for ratio in found.ratios] == [WALL]
    assert "computed by a server, whose CPU time, memory and energy can't be measured from here" in endpoint.notes


# Failures


def test_a_model_that_failed_says_why_and_keeps_what_was_measured():
    made = [*queries("m", [0.01] * 30), *queries("other", [0.01] * 30)]
    found = report(made, order=("m", "other", "absent"), failures={"m": "killed: out of memory"})
    failed, fine, absent = found.models
    assert (failed.status, failed.reason) == ("failed", "killed: out of memory")
    assert value(failed, "latency/query/p50_ms") == pytest.approx(10.0)
    assert value(failed, "memory/peak_mib") is None
    assert (fine.status, fine.reason) == ("ok", "")
    assert (absent.status, absent.reason, absent.notes) == ("skipped", "nothing was measured", ())
