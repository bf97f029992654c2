"""Limits kept and broken in words, and fronts of quality and cost with ties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from comparisons import cost_ratio, cost_report, model, pair
from hypothesis import given
from hypothesis import strategies as st

from benchkit.report import words
from benchkit.report.budget import cautions, pareto_front, within_budget
from benchkit.types.cost import Budget, CostFigure, CostReport, ModelCost, RatioVerdict


def costs_of(**figures: CostFigure) -> CostReport:
    """Return a report with figures of one model, by the metrics' last words."""
    return cost_report(("m",), models=(ModelCost("m", "ok", tuple(figures.values())),))


def latency(value: float, low: float | None = None, high: float | None = None, n: int = 64) -> CostReport:
    return costs_of(p95=CostFigure("m", words.P95, value, "ms", n, low, high))


def memory(value: float) -> CostReport:
    return costs_of(memory=CostFigure("m", words.MEMORY, value, "MiB"))


def reasons(budget: Budget, cost: CostReport | None = None, **facts: object) -> tuple[str, ...]:
    return within_budget([replace(model("m"), **facts)], cost, budget)["m"]  # type: ignore[arg-type]


def caution(budget: Budget, cost: CostReport | None = None) -> tuple[str, ...]:
    return cautions([model("m")], cost, budget)["m"]


# The budget


@pytest.mark.parametrize(
    ("budget", "cost", "said"),
    [
        (Budget(max_p95_ms=10.0), latency(12.34, 11.0, 13.0), "its p95 latency of 12.3 ms is over 10 ms"),
        (
            Budget(max_p95_ms=10.0),
            latency(10.5, 9.5, 12.0),
            "its p95 latency of 10.5 ms is over 10 ms, though not for certain (95 % interval 9.50–12.0)",
        ),
        (Budget(max_p95_ms=10.0), latency(10.04), "its p95 latency of 10.04 ms is over 10 ms"),
        (Budget(max_p95_ms=10.0), latency(10.0000012), "its p95 latency of 10.000001 ms is over 10 ms"),
        (Budget(max_memory_mib=500.0), memory(617.0), "its peak memory of 617 MiB is over 500 MiB"),
        (
            Budget(max_memory_mib=500.0),
            latency(1.0),
            "its peak memory was not measured, so it isn't certain that it keeps the limit of 500 MiB",
        ),
        (
            Budget(max_p95_ms=2.5),
            None,
            "its p95 latency was not measured, so it isn't certain that it keeps the limit of 2.5 ms",
        ),
    ],
)
def test_a_measured_limit_that_is_broken_is_told_with_number_limit_and_unit(budget, cost, said):
    assert reasons(budget, cost) == (said,)


@pytest.mark.parametrize(
    ("budget", "facts", "said"),
    [
        (Budget(max_dim=256), {"dimension": 384}, "its 384 dimensions are over 256"),
        (Budget(max_bytes_per_vector=512), {"bytes_per_vector": 1536}, "its 1536 bytes per vector are over 512"),
        (
            Budget(max_bytes_per_vector=512),
            {"bytes_per_vector": None},
            "the size of its vectors isn't known, so it isn't certain that it keeps 512 bytes per vector",
        ),
        (
            Budget(max_dim=256),
            {"dimension": None},
            "the size of its vectors isn't known, so it isn't certain that it keeps 256 dimensions",
        ),
        (
            Budget(licenses=("mit", "apache-2.0")),
            {"license": "cc-by-nc-4.0"},
            "its licence cc-by-nc-4.0 is not mit or apache-2.0",
        ),
        (Budget(licenses=("mit",)), {"license": None}, "its licence isn't known, so it isn't certain that it is mit"),
        (Budget(licenses=("mit",)), {"license": ""}, "its licence isn't known, so it isn't certain that it is mit"),
    ],
)
def test_a_limit_on_facts_that_is_broken_or_unknown_is_told(budget, facts, said):
    assert reasons(budget, None, **facts) == (said,)


def test_limits_are_kept_by_what_is_at_the_limit_and_licences_whatever_their_case():
    at_limit = Budget(max_p95_ms=10.0, max_memory_mib=600.0, max_bytes_per_vector=1536, max_dim=384, licenses=("MIT",))
    cost = costs_of(
        p95=CostFigure("m", words.P95, 10.0, "ms", 64, 9.0, 11.0), memory=CostFigure("m", words.MEMORY, 600.0, "MiB")
    )
    assert reasons(at_limit, cost, dimension=384, bytes_per_vector=1536, license="Mit") == ()


def test_every_broken_limit_is_told_and_no_limit_breaks_nothing():
    budget = Budget(max_p95_ms=1.0, max_memory_mib=1.0, max_bytes_per_vector=1, max_dim=1, licenses=("none",))
    assert len(reasons(budget, cost_report(("m",)), license="mit")) == 5
    assert reasons(Budget(), None) == ()
    assert within_budget([], None, budget) == {}


def test_a_model_that_failed_is_not_within_a_measured_limit():
    crashed = cost_report(("m",), models=(ModelCost("m", "failed", reason="killed"),))
    assert reasons(Budget(max_memory_mib=1e9), crashed) != ()
    assert reasons(Budget(max_dim=384), crashed, dimension=384) == ()


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_value_breaks_a_limit_exactly_where_it_is_larger_and_the_words_agree(value, limit):
    said = reasons(Budget(max_p95_ms=limit), latency(value))
    assert bool(said) == (value > limit)
    if said:
        assert float(said[0].split()[4]) > limit


def test_a_limit_within_the_interval_is_kept_with_a_caution():
    budget, cost = Budget(max_p95_ms=10.0), latency(9.5, 8.9, 10.4)
    assert reasons(budget, cost) == ()
    assert caution(budget, cost) == (
        "its p95 latency of 9.50 ms keeps the limit of 10 ms, but not for certain (95 % interval 8.90–10.4)",
    )


def test_a_limit_beyond_the_interval_is_kept_for_certain():
    assert caution(Budget(max_p95_ms=10.0), latency(9.0, 8.0, 10.0)) == ()
    assert caution(Budget(max_memory_mib=700.0), memory(600.0)) == ()  # one measurement, taken as it is
    assert caution(Budget(max_p95_ms=10.0), latency(12.0, 9.0, 13.0)) == ()  # broken, and told so elsewhere
    assert caution(Budget(max_p95_ms=10.0), None) == ()


def test_a_latency_without_interval_or_from_a_noisy_machine_is_kept_with_a_caution():
    said = "its p95 latency of 9.00 ms keeps the limit of 10 ms, but not for certain"
    budget = Budget(max_p95_ms=10.0)
    assert caution(budget, latency(9.0, n=40)) == (f"{said} (40 calls are too few for an interval)",)
    noisy = replace(latency(9.0, 8.0, 9.5), unstable="busy")
    assert caution(budget, noisy) == (f"{said} (the machine was too noisy)",)


# The front

THREE = ("a", "b", "c")


def ratios(*found: tuple[str, str, RatioVerdict], **changes: object) -> CostReport:
    made = {"cheaper": 0.5, "dearer": 2.0, "same": 1.01, "inconclusive": 0.9}
    return cost_report(
        THREE, **({"ratios": tuple(cost_ratio(one, two, made[v], v) for one, two, v in found)} | changes)
    )


def test_the_front_by_hand():
    #          quality   ms, MiB, bytes
    # a        0.70      9, 600, 1536     best quality
    # b        0.65      5, 300, 1536     cheapest
    # c        0.64      6, 300, 1536     b is better, faster, and as large
    # d        0.60      8, 500, 384      smallest vectors
    quality = {"a": 0.70, "b": 0.65, "c": 0.64, "d": 0.60}
    costs = {"a": (9, 600, 1536), "b": (5, 300, 1536), "c": (6, 300, 1536), "d": (8, 500, 384)}
    assert pareto_front(["d", "c", "b", "a"], quality, costs) == ("d", "b", "a")


def test_equal_models_are_both_on_the_front():
    assert pareto_front(["a", "b"], {"a": 0.5, "b": 0.5}, {"a": (1.0,), "b": (1.0,)}) == ("a", "b")


def test_a_better_mean_that_is_the_same_does_not_save_a_dearer_model():
    quality, costs = {"a": 0.603, "b": 0.600}, {"a": (9.0, 600), "b": (5.0, 300)}
    assert pareto_front(["a", "b"], quality, costs) == ("a", "b")
    for same in (pair("a", "b", 0.003, "same"), pair("b", "a", -0.003, "same")):
        assert pareto_front(["a", "b"], quality, costs, pairs=[same]) == ("b",)


def test_a_better_mean_that_is_not_certain_keeps_a_model_on_the_front_but_beats_nobody():
    quality, costs = {"a": 0.62, "b": 0.60}, {"a": (9.0,), "b": (5.0,)}
    unsure = [pair("a", "b", 0.02, "inconclusive")]
    assert pareto_front(["a", "b"], quality, costs, pairs=unsure) == ("a", "b")
    alike = {"a": (5.0,), "b": (5.0,)}
    assert pareto_front(["a", "b"], quality, alike, pairs=unsure) == ("a", "b")
    assert pareto_front(["a", "b"], quality, alike, pairs=[pair("a", "b", 0.02, "better")]) == ("a",)
    cheaper = {"a": (4.0,), "b": (5.0,)}  # ahead in quality and cheaper for certain
    assert pareto_front(["a", "b"], quality, cheaper, pairs=unsure) == ("a",)


def test_pairs_on_single_tasks_say_nothing_of_the_mean():
    quality, costs = {"a": 0.603, "b": 0.600}, {"a": (9.0,), "b": (5.0,)}
    assert pareto_front(["a", "b"], quality, costs, pairs=[pair("a", "b", 0.0, "same", task="STS")]) == ("a", "b")


@pytest.mark.parametrize(
    ("verdict", "front"),
    [("cheaper", ("a",)), ("dearer", ("a", "b")), ("same", ("a",)), ("inconclusive", ("a", "b"))],
)
def test_the_paired_ratio_decides_on_latency_and_not_the_percentiles(verdict, front):
    # a is better; by its p95 it would be slower.
    quality, costs = {"a": 0.7, "b": 0.6}, {"a": (6.0,), "b": (5.0,)}
    assert pareto_front(["a", "b"], quality, costs, cost=ratios(("a", "b", verdict))) == front


def test_a_latency_that_is_not_certainly_lower_beats_nobody():
    quality, costs = {"a": 0.6, "b": 0.6}, {"a": (6.0,), "b": (5.0,)}
    assert pareto_front(["a", "b"], quality, costs) == ("b",)
    assert pareto_front(["a", "b"], quality, costs, cost=ratios(("a", "b", "inconclusive"))) == ("a", "b")


def test_cpu_time_and_noisy_sessions_do_not_make_latencies_the_same():
    quality, costs = {"a": 0.7, "b": 0.6}, {"a": (6.0,), "b": (5.0,)}
    cpu = (replace(cost_ratio("a", "b", 1.0, "same"), metric="latency/query_cpu"),)
    assert pareto_front(["a", "b"], quality, costs, cost=ratios(ratios=cpu)) == ("a",)
    assert pareto_front(["a", "b"], quality, costs, cost=ratios(ratios=cpu, device="cuda")) == ("a", "b")
    assert pareto_front(["a", "b"], quality, costs, cost=ratios(ratios=cpu, unstable="busy")) == ("a", "b")


def test_what_is_not_known_is_worst_and_being_known_beats_nobody():
    quality = {"a": 0.7, "b": 0.6, "c": 0.7}
    assert pareto_front(THREE, quality, {"a": (5.0, 1.0), "b": (5.0, None), "c": (5.0, None)}) == ("a", "c")
    nobody_knows = {name: (latency, None) for name, latency in zip(THREE, (5.0, 6.0, 7.0), strict=True)}
    assert pareto_front(THREE, quality, nobody_knows) == ("a",)


def test_a_model_without_quality_is_neither_on_the_front_nor_beats_anybody():
    assert pareto_front(THREE, {"a": None, "c": 0.1}, {"a": (1.0,), "b": (1.0,), "c": (9.0,)}) == ("c",)
    assert pareto_front((), {}, {}) == ()


def test_models_that_beat_each_other_in_a_circle_all_stay():
    # a beats b in quality, b beats c in latency, c beats a in quality; the rest are ties.
    quality, costs = dict.fromkeys(THREE, 0.6), dict.fromkeys(THREE, (5.0,))
    circle = [pair("a", "b", 0.02, "better"), pair("b", "c", 0.0, "same"), pair("c", "a", 0.02, "better")]
    timed = ratios(("a", "b", "same"), ("b", "c", "cheaper"), ("c", "a", "same"))
    assert pareto_front(THREE, quality, costs, pairs=circle, cost=timed) == THREE
    # A model that beats one of them and isn't beaten takes the circle off.
    names, quality, costs = ("d", *THREE), quality | {"d": 0.7}, costs | {"d": (1.0,)}
    assert pareto_front(names, quality, costs, pairs=circle, cost=timed) == ("d",)


def test_different_numbers_of_costs_are_refused():
    with pytest.raises(ValueError, match="a front needs the same costs of every model"):
        pareto_front(["a", "b"], {"a": 0.1, "b": 0.2}, {"a": (1.0,)})


NUMBERS = st.integers(0, 3).map(float)
MODELS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(NUMBERS, st.tuples(NUMBERS, NUMBERS, NUMBERS)), min_size=1
)


@given(MODELS)
def test_the_front_agrees_with_its_definition_and_is_never_empty(models: Mapping[str, tuple[float, tuple[float, ...]]]):
    def beats(one: str, other: str) -> bool:
        first, second = ((-models[name][0], *models[name][1]) for name in (one, other))
        return first != second and all(x <= y for x, y in zip(first, second, strict=True))

    front = pareto_front(list(models), {n: q for n, (q, _) in models.items()}, {n: c for n, (_, c) in models.items()})
    assert front == tuple(name for name in models if not any(beats(other, name) for other in models))
    assert front


@given(MODELS, st.data())
def test_the_front_is_never_empty_whatever_is_tested(models, data):
    names = list(models)
    couples = [(one, two) for place, one in enumerate(names) for two in names[place + 1 :]]
    verdicts = st.sampled_from(["better", "worse", "same", "inconclusive"])
    pairs = [pair(one, two, 0.0, data.draw(verdicts)) for one, two in couples]
    sides = st.sampled_from(["cheaper", "dearer", "same", "inconclusive"])
    cost = ratios(*((one, two, data.draw(sides)) for one, two in couples))
    front = pareto_front(
        names, {n: q for n, (q, _) in models.items()}, {n: c for n, (_, c) in models.items()}, pairs=pairs, cost=cost
    )
    assert front
    assert set(front) <= set(names)
