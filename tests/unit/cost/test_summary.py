"""Ratios, the noise floor and the report of made-up sessions, by hand and against slower ways to the same numbers."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from cost_calls import LENGTHS, batch, documents, noisy, queries, report, session, value

from benchkit.cost.figures import CPU, FIGURES, WALL, deciding_metric, describe
from benchkit.cost.summary import check_comparable
from benchkit.errors import UsageError
from benchkit.types.cost import (
    SECOND_HALF,
    CostReport,
    Price,
    ProcessFacts,
    Sample,
)

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
