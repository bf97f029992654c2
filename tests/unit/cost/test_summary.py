"""Figures, ratios and the noise floor of made-up sessions, by hand and against slower ways to the same numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from comparisons import model as make_model
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.cost.summary import CPU, FIGURES, WALL, check_comparable, deciding_metric, describe, summarise
from benchkit.errors import UsageError
from benchkit.types.cost import (
    SECOND_HALF,
    CostReport,
    CostSamples,
    LengthClass,
    ModelCost,
    Price,
    ProcessFacts,
    Sample,
)
from benchkit.types.model import ModelMeta

LENGTHS: tuple[LengthClass, ...] = ("short", "medium", "long")


def query(
    model: str, number: int, wall_s: float, cpu_s: float | None = None, *, copy: int = 0, tokens: int | None = 8
) -> Sample:
    cpu = wall_s if cpu_s is None else cpu_s
    return Sample(model, copy, "query", number, number, 1, tokens, tokens, wall_s, cpu)


def queries(
    model: str, walls_s: Sequence[float], cpus_s: Sequence[float] | None = None, *, copy: int = 0
) -> list[Sample]:
    cpus = walls_s if cpus_s is None else cpus_s
    return [query(model, number, *both, copy=copy) for number, both in enumerate(zip(walls_s, cpus, strict=True))]


def batch(model: str, texts: int, wall_s: float, number: int = 0) -> Sample:
    return Sample(model, 0, "batch", 1000 + number, 0, texts, 10 * texts, 11 * texts, wall_s, wall_s)


def documents(
    model: str,
    length: LengthClass | None,
    wall_s: float,
    *,
    texts: int = 10,
    tokens: int | None = 100,
    padded: int | None = 110,
    energy_j: float | None = None,
) -> Sample:
    return Sample(model, 0, "throughput", 2000, 0, texts, tokens, padded, wall_s, wall_s, length, energy_j)


def facts(model: str, copy: int = 0, **known: object) -> ProcessFacts:
    return ProcessFacts(model, copy, 4.2, 0.3, **known)  # type: ignore[arg-type]


def report(
    samples: Sequence[Sample] = (),
    *,
    order: Sequence[str] = ("m",),
    processes: Sequence[ProcessFacts] = (),
    failures: Mapping[str, str] | None = None,
    models: Sequence[ModelMeta] | None = None,
    **options: object,
) -> CostReport:
    settings = {
        "level": "quick",
        "device": "cpu",
        "baseline": None,
        "price": None,
        "hardware": {"cpu": "x"},
        "measured_at": "2026-01-02T03:04:05+00:00",
        "seconds": 12.0,
        "seed": 1,
    } | options
    made = CostSamples(tuple(order), tuple(samples), tuple(processes), failures or {})
    metas = [make_model(name) for name in order] if models is None else models
    return summarise(made, models=metas, **settings)  # type: ignore[arg-type]


def cost(samples: Sequence[Sample] = (), **options: object) -> ModelCost:
    """Return the costs of the one model "m"."""
    return report(samples, **options).models[0]  # type: ignore[arg-type]


def value(found: ModelCost, metric: str) -> float | None:
    figure = found.figure(metric)
    return None if figure is None else figure.value


def noisy(seed: int, n: int = 64, sd: float = 0.01) -> np.ndarray:
    """Return the durations of one process; those of the same n vary alike, as with the same queries."""
    shared = np.random.default_rng(99).lognormal(math.log(0.01), 0.3, n)
    return shared * np.exp(np.random.default_rng(seed).normal(0, sd, n))


def session(factor: float = 1.0, *, control: float = 1.0, cpu_sd: float = 0.008, wall_sd: float = 0.01) -> list[Sample]:
    """Return single queries of base, of a candidate that takes `factor` of its time, and of a control of base."""
    made = []
    for place, (name, copy, slower) in enumerate((("base", 0, 1.0), ("cand", 0, factor), ("base", 1, control))):
        walls, cpus = noisy(2 * place, sd=wall_sd) * slower, noisy(2 * place + 1, sd=cpu_sd) * slower
        made += queries(name, walls.tolist(), cpus.tolist(), copy=copy)
    return made


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
    some = cost(documents=250_000)
    assert value(some, "index/documents_250k_mib") == pytest.approx(1464.84375 / 4)
    assert value(cost(documents=1234), "index/documents_1234_mib") == pytest.approx(1234 * 1536 / 2**20)


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


# Ratios and control


def test_ratios_are_paired_with_the_baseline_second_and_cpu_time_first():
    found = report(session(1.12), order=("base", "cand"), baseline="base")
    assert [(r.candidate, r.baseline, r.metric, r.n, r.verdict) for r in found.ratios] == [
        ("cand", "base", CPU, 64, "dearer"),
        ("cand", "base", WALL, 64, "dearer"),
    ]
    for ratio in found.ratios:
        assert ratio.ratio == pytest.approx(1.12, rel=0.01)
        assert ratio.ci_low < ratio.ratio < ratio.ci_high


def test_every_pair_is_compared_once_and_those_of_the_baseline_come_first():
    made = [s for place, name in enumerate("abc") for s in queries(name, noisy(place).tolist())]
    pairs = [(r.candidate, r.baseline) for r in report(made, order=("a", "b", "c"), baseline="b").ratios]
    assert pairs[::2] == pairs[1::2] == [("a", "b"), ("c", "b"), ("a", "c")]
    pairs = [(r.candidate, r.baseline) for r in report(made, order=("a", "b", "c"), baseline="gone").ratios]
    assert pairs[::2] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_models_without_enough_common_rounds_have_no_ratio():
    apart = [replace(sample, round=sample.round + 60) for sample in queries("b", [0.01] * 64)]
    assert report([*queries("a", [0.01] * 64), *apart], order=("a", "b")).ratios == ()
    assert report([*queries("a", [0.01] * 9), *queries("b", [0.01] * 9)], order=("a", "b")).ratios == ()


def test_rounds_are_paired_by_number_and_not_by_place():
    base = queries("a", noisy(0).tolist())
    other = [replace(s, model="b", wall_s=1.5 * s.wall_s, cpu_s=1.5 * s.cpu_s) for s in reversed(base[10:])]
    found = report([*base, *other], order=("b", "a")).ratios[0]
    assert (found.ratio, found.ci_low, found.ci_high, found.n) == pytest.approx((1.5, 1.5, 1.5, 54))


def test_a_clock_that_stood_still_gives_no_ratio_and_a_note():
    made = [*queries("a", [0.01] * 20, [0.0, *[0.015] * 19]), *queries("b", [0.01] * 20)]
    found = report(made, order=("a", "b"))
    assert [ratio.metric for ratio in found.ratios] == [WALL]
    note = "the clock of this system is too coarse for its short calls, so it has no ratio by that clock"
    assert note in found.models[0].notes
    assert note not in found.models[1].notes


def test_the_control_is_the_second_process_against_the_first():
    found = report(session(control=1.0), order=("base", "cand"), baseline="base")
    assert [(r.candidate, r.baseline, r.metric, r.verdict) for r in found.control] == [
        ("base", "base", CPU, "same"),
        ("base", "base", WALL, "same"),
    ]
    assert found.unstable == ""
    assert found.warnings == ()


def test_an_unsteady_control_makes_the_session_unstable_and_takes_every_verdict():
    found = report(session(1.5, control=1.06), order=("base", "cand"), baseline="base")
    assert found.control[0].ratio == pytest.approx(1.06, rel=0.01)
    assert found.unstable.startswith("two processes of base should take the same time, but one took 1.05")
    assert found.warnings == ()
    assert [ratio.verdict for ratio in found.ratios] == ["inconclusive"] * 2
    assert found.ratios[0].ratio == pytest.approx(1.5, rel=0.01)  # the number stays


def in_halves(factor: float, order: float) -> list[Sample]:
    """Return a session in two halves, in which the first process to start is slower than the last by a logarithm."""
    made = []
    for half, sign in enumerate((1, -1)):
        calls = session(factor * math.exp(-sign * order / 2), control=math.exp(-sign * order))
        kept = [sample for sample in calls if sample.round % 2 == half]
        made += [replace(sample, round=sample.round + half * SECOND_HALF) for sample in kept]
    return made


def test_what_the_order_of_starting_did_cancels_over_the_halves():
    found = report(in_halves(1.09, 0.05), order=("base", "cand"), baseline="base")
    assert found.unstable == ""
    assert found.control[0].ratio == pytest.approx(1.0, rel=0.005)
    assert [(ratio.verdict, ratio.n) for ratio in found.ratios] == [("dearer", 64)] * 2
    for ratio in found.ratios:
        assert ratio.ratio == pytest.approx(1.09, rel=0.01)
        assert ratio.ci_high / ratio.ci_low < 1.02  # that the halves lie 5 % apart is no noise
    first = [sample for sample in in_halves(1.09, 0.05) if sample.half == 0]
    assert report(first, order=("base", "cand"), baseline="base").unstable.startswith("two processes of base should")


def test_the_figures_are_those_of_all_calls_of_both_halves():
    made = in_halves(1.0, 0.05)
    found = report(made, order=("base", "cand")).of("cand")
    durations = sorted(1e3 * sample.wall_s for sample in made if sample.model == "cand")
    assert value(found, "latency/query/p50_ms") == pytest.approx(durations[31])
    assert found.figure("latency/query/p50_ms").n == 64


def test_without_a_control_and_in_one_half_the_order_of_starting_widens_the_interval():
    whole = in_halves(1.0, 0.05)
    without = [sample for sample in whole if sample.copy == 0]
    (cpu, _) = report(without, order=("base", "cand"), baseline="base").ratios
    assert math.log(cpu.ci_high / cpu.ci_low) / 2 == pytest.approx(0.025, abs=0.005)  # half of 5 % between its halves
    # A candidate that was there in the first half only: the control tells what the order may have done.
    early = [sample for sample in whole if (sample.model, sample.half) != ("cand", 1)]
    (cpu, _) = report(early, order=("base", "cand"), baseline="base").ratios
    assert (cpu.n, cpu.ratio) == (32, pytest.approx(math.exp(-0.025), rel=0.005))
    assert math.log(cpu.ci_high / cpu.ci_low) / 2 == pytest.approx(0.05, abs=0.006)
    assert cpu.verdict == "inconclusive"


def test_wall_time_that_is_too_noisy_leaves_cpu_time_to_decide():
    found = report(session(1.5, wall_sd=0.6), order=("base", "cand"), baseline="base", warnings=["first"])
    assert found.unstable == ""
    assert {ratio.metric: ratio.verdict for ratio in found.ratios} == {CPU: "dearer", WALL: "inconclusive"}
    assert found.warnings[0] == "first"
    assert found.warnings[1].startswith("wall times have no verdict: two processes of base ")
    assert found.warnings[1].endswith("; CPU times decide")


def test_on_a_gpu_wall_time_decides():
    assert (deciding_metric("cpu"), deciding_metric("cuda"), deciding_metric("cuda:1")) == (CPU, WALL, WALL)
    # CPU time of base and control differ, which on a GPU says nothing
    made = [replace(s, cpu_s=s.cpu_s * (1 + s.copy)) for s in session(1.12)]
    found = report(made, order=("base", "cand"), baseline="base", device="cuda")
    assert found.unstable == ""
    assert [(ratio.metric, ratio.verdict) for ratio in found.ratios] == [(WALL, "dearer"), (CPU, "inconclusive")]
    assert found.warnings == ()


def test_without_a_control_the_noise_is_said_to_be_unknown():
    made = [sample for sample in session() if sample.copy == 0]
    found = report(made, order=("base", "cand"))
    assert found.warnings == (
        "there is no control (a model measured twice), so the machine's share of a ratio isn't known",
    )
    assert report(queries("m", [0.01] * 20)).warnings == ()  # nothing is compared


def test_labels_change_no_number():
    renamed = [replace(sample, model={"base": "x", "cand": "y"}[sample.model]) for sample in session(1.02)]
    first = report(session(1.02), order=("base", "cand"), baseline="base")
    second = report(renamed, order=("x", "y"), baseline="x")
    assert [(r.ratio, r.ci_low, r.ci_high) for r in first.ratios] == [
        (r.ratio, r.ci_low, r.ci_high) for r in second.ratios
    ]
    assert [[f.ci_high for f in m.figures] for m in first.models] == [
        [f.ci_high for f in m.figures] for m in second.models
    ]


def test_a_seed_gives_the_same_report_again():
    assert report(session()) == report(session())


# The report and its metrics


def full() -> CostReport:
    """Return a report in which every figure exists."""
    known = {f.name: 1.0 for f in fields(ProcessFacts) if f.name.endswith(("_mib", "_s"))} | {"engine": "packed"}
    made = [
        *queries("m", noisy(0, 128).tolist()),
        *(batch("m", size, 0.1) for size in (32, 1, 256)),
        *(documents("m", length, 1.0, energy_j=1.0) for length in reversed(LENGTHS)),
    ]
    return report(made, processes=[ProcessFacts("m", 0, **known)], price=Price(per_hour=1.0))


def test_every_figure_of_the_table_is_made_once_in_its_order_and_unit():
    figures = full().models[0].figures
    assert len({figure.metric for figure in figures}) == len(figures)
    templates = list(dict.fromkeys(describe(figure.metric) for figure in figures))
    assert templates == list(FIGURES)
    for figure in figures:
        assert figure.unit == ("USD" if figure.metric.startswith("price/") else describe(figure.metric).unit)
        assert figure.model == "m"
    assert [f.metric for f in figures if f.metric.startswith("batch/")] == [
        "batch/1/texts_per_s",
        "batch/32/texts_per_s",
        "batch/256/texts_per_s",
    ]
    per_length = [f.metric for f in figures if f.metric.count("/") == 2 and f.metric.startswith("throughput/")]
    assert per_length == [f"throughput/{length}/{name}_per_s" for length in LENGTHS for name in ("texts", "tokens")]


def test_the_unit_is_what_the_name_of_a_figure_ends_in():
    for figure in FIGURES:
        for ending, unit in (("_mib", "MiB"), ("_ms", "ms"), ("/texts_per_s", "texts/s"), ("tokens_per_s", "tokens/s")):
            if figure.metric.endswith(ending):
                assert figure.unit == unit
        assert figure.meaning
    with pytest.raises(KeyError):
        describe("latency/query/p42_ms")


def test_what_the_session_was_is_carried_over():
    found = report(tolerance=0.1, hardware={"cpu": "x", "cores": "2"}, warnings=("w",), level="full", device="cuda:1")
    assert (found.level, found.device, found.seed, found.tolerance, found.seconds) == ("full", "cuda:1", 1, 0.1, 12.0)
    assert (found.measured_at, found.hardware) == ("2026-01-02T03:04:05+00:00", {"cpu": "x", "cores": "2"})
    assert (found.warnings, found.from_cache) == (("w",), False)


def test_the_tolerance_decides_the_verdicts():
    made = session(1.12)
    for tolerance, verdict in ((0.05, "dearer"), (0.2, "same")):
        found = report(made, order=("cand", "base"), tolerance=tolerance)
        assert {ratio.verdict for ratio in found.ratios} == {verdict}


# Stored costs


def test_costs_of_one_kind_of_machine_can_be_compared():
    check_comparable({"cpu": "a", "cores": "2"}, {"cores": "2", "cpu": "a"})


def test_costs_of_different_hardware_are_refused_with_what_differs():
    with pytest.raises(UsageError) as caught:
        check_comparable(
            {"cpu": "EPYC", "cores": "2", "system": "Linux"}, {"cpu": "Xeon", "gpu": "H", "system": "Linux"}
        )
    assert str(caught.value) == (
        "costs of different hardware can't be compared: cpu 'EPYC' against 'Xeon', cores '2' against 'not known', "
        "gpu 'not known' against 'H'; measure both models on one machine"
    )
