"""Cost rules: worked ratios, what has to block and what must not, two sessions, and what is said of absences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from benchkit.cost.summary import Conditions, summarise
from benchkit.gate.cost import CostSession, _Bound, _decided, _doubt, judge_cost, needs_confirmation
from benchkit.gate.cost_ratio import Beside, stored_session
from benchkit.measure.halves import TWO_SIDED, Ratio, pooled
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.cost import SECOND_HALF, CostFigure, CostReport, CostSamples, ModelCost, ProcessFacts, Sample
from benchkit.types.gate import CostRule, RuleResult, Scored
from benchkit.types.model import ModelMeta

P50 = CostRule("query_latency_p50", max_ratio=1.10)
P95 = CostRule("query_latency_p95", max_ratio=1.25)
RATE = CostRule("throughput", min_ratio=0.90)
MEMORY = CostRule("peak_memory", max_ratio=1.10)
AT_MOST = _Bound(1.1, is_most=True)
DEFAULT = (P50, RATE, MEMORY)
LENGTHS = ("short", "medium", "long")
MACHINE = {"cpu": "a processor", "cores": "2"}


@dataclass(frozen=True)
class Takes:
    """What a model takes.

    Attributes:
        factor: On the CPU time of each call.
        wall: On the wall time, besides.
        passes: On the time of documents, besides.
    """

    factor: float = 1.0
    wall: float = 1.0
    passes: float = 1.0
    memory: float | None = 500.0
    load_s: float = 2.0
    gpu_mib: float | None = None
    failure: str = ""


def session(
    models: Mapping[str, Takes] | None = None,
    *,
    rng: np.random.Generator | None = None,
    noise: float = 0.02,
    process_noise: float = 0.0,
    rounds: int = 64,
    passes: int = 6,
    device: str = "cpu",
    control: str | None = "base",
    hardware: Mapping[str, str] = MACHINE,
    figures: Sequence[CostFigure] = (),
    control_factor: float | None = None,
) -> CostSession:
    """Return a session of models that take what is told, with log-normal noise.

    Noise is in each call alone; `process_noise` is in all calls of a process.
    """
    models = models or {"cand": Takes(), "base": Takes()}
    rng = rng or np.random.default_rng(0)
    processes = [(label, 0) for label in models] + ([(control, 1)] if control else [])
    samples: list[Sample] = []
    for label, copy in processes:
        takes = models[label]
        own = takes.factor * math.exp(process_noise * rng.standard_normal())
        own = own * control_factor if copy and control_factor else own
        base = 0.010 * (1 + np.arange(rounds) % 7) * own
        cpu = base * np.exp(noise * rng.standard_normal(rounds))
        wall = base * takes.wall * np.exp(5 * noise * rng.standard_normal(rounds))
        samples += [
            Sample(label, copy, "query", number, number, 1, 5, 5, float(wall[number]), float(cpu[number]))
            for number in range(rounds)
        ]
        if copy:
            continue
        for number in range(3 * passes):
            seconds = (0.1, 0.3, 0.9)[number % 3] * own * takes.passes
            cpu_s = seconds * math.exp(noise * rng.standard_normal())
            wall_s = seconds * takes.wall * math.exp(5 * noise * rng.standard_normal())
            length = LENGTHS[number % 3]
            samples.append(
                Sample(label, 0, "throughput", 10_000 + number, 0, 24, 99, 99, wall_s, cpu_s, length)  # type: ignore[arg-type]
            )
    facts = tuple(ProcessFacts(label, copy, 1.0, models[label].load_s) for label, copy in processes)
    failures = {label: takes.failure for label, takes in models.items() if takes.failure}
    kept = CostSamples(tuple(models), tuple(samples), facts, failures)
    report = CostReport(
        level="quick",
        device=device,
        models=tuple(_cost(label, takes, kept, figures) for label, takes in models.items()),
        ratios=(),
        control=(),
        unstable="",
        hardware=hardware,
        measured_at="2025-01-01T00:00:00+00:00",
        seconds=1.0,
        seed=1,
        tolerance=0.05,
    )
    return CostSession(report, kept)


def _cost(label: str, takes: Takes, kept: CostSamples, figures: Sequence[CostFigure]) -> ModelCost:
    if takes.failure:
        return ModelCost(label, "failed", reason=takes.failure)
    queries = [s for s in kept.samples if (s.model, s.copy, s.kind) == (label, 0, "query")]
    passes = [s for s in kept.samples if (s.model, s.kind) == (label, "throughput")]
    values: dict[str, float | None] = {"memory/peak_mib": takes.memory, "load/model_s": takes.load_s}
    values["memory/cuda_reserved_mib"] = takes.gpu_mib
    for name, clock in (("query", "wall_s"), ("query_cpu", "cpu_s")):
        times = [1e3 * getattr(s, clock) for s in queries]
        if times:
            values[f"latency/{name}/mean_ms"] = float(np.mean(times))
            values[f"latency/{name}/p50_ms"] = float(np.quantile(times, 0.50, method="inverted_cdf"))
            values[f"latency/{name}/p95_ms"] = float(np.quantile(times, 0.95, method="inverted_cdf"))
    if passes:
        values["throughput/texts_per_s"] = sum(s.texts for s in passes) / sum(s.wall_s for s in passes)
    made = [CostFigure(label, name, value, "") for name, value in values.items() if value is not None]
    given = [figure for figure in figures if figure.model == label]
    taken = {figure.metric for figure in given}
    return ModelCost(label, "ok", tuple(given + [figure for figure in made if figure.metric not in taken]))


def judge(
    sessions: CostSession | Sequence[CostSession], *rules: CostRule, candidate: str = "cand", baseline: str = "base"
) -> list[RuleResult]:
    several = [sessions] if isinstance(sessions, CostSession) else sessions
    return list(judge_cost(several, candidate, baseline, rules))


def one(sessions: CostSession | Sequence[CostSession], rule: CostRule) -> RuleResult:
    (result,) = judge(sessions, rule)
    return result


def cand(**takes: object) -> dict[str, Takes]:
    return {"cand": replace(Takes(), **takes), "base": Takes()}  # type: ignore[arg-type]


def rngs(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng([7, seed]) for seed in range(n)]


# ------------------------------------------------------------ ratios


def test_ratios_without_noise_are_those_of_the_times() -> None:
    models = {"cand": Takes(1.2, passes=0.5, memory=650.0, load_s=3.0), "base": Takes()}
    rules = (P50, P95, RATE, MEMORY, CostRule("load_time", max_ratio=2))
    results = judge(session(models, noise=0.0), *rules)
    assert [result.change for result in results] == pytest.approx([1.2, 1.2, 1 / 0.6, 1.3, 1.5])
    assert [result.verdict for result in results] == ["fail", "pass", "pass", "fail", "pass"]
    # Without noise the interval is a point.
    assert (results[0].low, results[0].high, results[0].bound) == pytest.approx((1.2, 1.2, 1.2))
    assert [result.threshold for result in results] == [1.10, 1.25, 0.90, 1.10, 2]
    assert [result.unit for result in results] == ["ms", "ms", "texts/s", "MiB", "s"]
    assert [(result.id, result.group, result.on) for result in results][:2] == [
        ("cost/query_latency_p50", "cost", "query_latency_p50"),
        ("cost/query_latency_p95", "cost", "query_latency_p95"),
    ]


def test_the_values_beside_a_ratio_are_those_of_both_models() -> None:
    p50, rate, memory = judge(session(cand(factor=1.2, wall=2.0), noise=0.0), *DEFAULT)
    # The median of 10, 20, ... 70 ms over 64 rounds is 40 ms.
    assert (p50.candidate, p50.baseline, p50.n) == pytest.approx((48.0, 40.0, 64))
    # By the wall clock, which is twice as slow: 72 texts in 1.3 s.
    assert (rate.candidate, rate.baseline, rate.n) == pytest.approx((72 / 1.3 / 2.4, 72 / 1.3, 18))
    assert rate.change == pytest.approx(1 / 1.2)
    assert (memory.candidate, memory.baseline) == (500.0, 500.0)


def test_the_interval_is_that_of_the_rounds_and_the_far_end_of_the_control_added() -> None:
    found = session(noise=0.02, control_factor=1.03)
    calls = {
        key: Beside(found, "cand", "base").queries(key[0], "cpu_s", key[1])
        for key in (("cand", 0), ("base", 0), ("base", 1))
    }

    def trimmed(first: tuple[str, int], second: tuple[str, int]) -> tuple[float, float]:
        logs = np.log([calls[first][n] / calls[second][n] for n in range(64)])
        cut = 12
        ordered = np.sort(logs)
        winsorised = np.clip(logs, ordered[cut], ordered[-cut - 1])
        # Yuen 1974: the error of a trimmed mean by the Winsorised variance.
        error = winsorised.std(ddof=1) * 63 / math.sqrt(64) / (64 - 2 * cut - 1) * math.sqrt((64 - 2 * cut - 1) / 63)
        return float(ordered[cut:-cut].mean()), error

    centre, error = trimmed(("cand", 0), ("base", 0))
    control, control_error = trimmed(("base", 1), ("base", 0))
    t = stats.t.ppf(0.975, 63)
    noise = abs(control) + t * control_error
    result = one(found, P50)
    assert result.change == pytest.approx(math.exp(centre))
    assert result.high == pytest.approx(math.exp(centre + t * error + noise), rel=0.004)
    assert result.low == pytest.approx(math.exp(centre - t * error - noise), rel=0.004)
    assert result.bound == pytest.approx(math.exp(centre + stats.t.ppf(0.95, 63) * error + noise), rel=0.004)


def test_the_ratio_of_the_tail_is_that_of_the_95th_of_hundred_calls() -> None:
    models = {"cand": Takes(), "base": Takes()}
    found = session(models, noise=0.05, rounds=100)
    walls = [
        sorted(s.wall_s for s in found.samples.samples if (s.model, s.copy, s.kind) == (label, 0, "query"))
        for label in models
    ]
    assert one(found, P95).change == pytest.approx(walls[0][94] / walls[1][94])


def test_the_spread_of_the_tail_is_that_of_a_bootstrap_over_rounds() -> None:
    found = session(noise=0.05, rounds=200)
    ratio = Beside(found, "cand", "base").ratio("query_latency_p95")
    assert isinstance(ratio, Ratio)
    times = np.array(
        [list(Beside(found, "cand", "base").queries(label, "wall_s").values()) for label in ("cand", "base")]
    )
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(200, size=200)
        drawn.append(np.diff(np.log(np.sort(times[:, rows], axis=1)[:, 189]))[0])
    assert ratio.error == pytest.approx(np.std(drawn), rel=0.10)  # two estimates of 2000 draws: sd 1.6 % each


def test_throughput_agrees_with_an_analysis_of_variance() -> None:
    found = session(noise=0.03)
    ratio = Beside(found, "cand", "base").ratio("throughput")
    assert isinstance(ratio, Ratio)
    first, second = (Beside(found, "cand", "base").calls(label, "throughput") for label in ("cand", "base"))
    logs = np.array([math.log(second[n].cpu_s / first[n].cpu_s) for n in sorted(first)]).reshape(6, 3)
    within = sum(float(logs[:, c].var(ddof=1)) for c in range(3)) / 3
    assert ratio.log == pytest.approx(logs.mean())
    assert (ratio.error, ratio.freedom, ratio.n) == pytest.approx((math.sqrt(within / 18), 15, 18))


def test_being_slow_on_long_texts_alone_is_no_noise() -> None:
    found = session(noise=0.0)
    samples = tuple(
        replace(s, cpu_s=s.cpu_s * 1.5) if (s.model, s.length_class) == ("cand", "long") else s
        for s in found.samples.samples
    )
    ratio = Beside(CostSession(found.report, replace(found.samples, samples=samples)), "cand", "base").ratio(
        "throughput"
    )
    assert isinstance(ratio, Ratio)
    assert (ratio.value, ratio.error) == pytest.approx((1.5 ** (-1 / 3), 0.0), abs=1e-12)


@pytest.mark.parametrize("rule", [P50, P95, RATE, MEMORY], ids=lambda rule: rule.metric)
def test_exchanging_the_models_inverts_the_ratio_and_its_interval(rule: CostRule) -> None:
    inverse = (
        replace(rule, max_ratio=None, min_ratio=1 / rule.max_ratio)
        if rule.max_ratio
        else replace(rule, min_ratio=None, max_ratio=1 / (rule.min_ratio or 1))
    )
    for rng in rngs(12):
        slow = float(rng.uniform(0.8, 1.3))
        found = session(cand(factor=slow, memory=500 * slow), rng=rng, process_noise=0.01)
        (there,) = judge(found, rule)
        (back,) = judge(found, inverse, candidate="base", baseline="cand")
        assert back.verdict == there.verdict
        assert (back.change or 0) * (there.change or 0) == pytest.approx(1.0)
        assert (back.low or 1) * (there.high or 1) == pytest.approx(1.0, abs=2e-3)
        assert (back.bound or 1) * (there.bound or 1) == pytest.approx(1.0, abs=2e-3)


def test_a_label_changes_nothing_and_neither_does_a_third_model() -> None:
    found = session()
    three = session({"cand": Takes(), "base": Takes(), "third": Takes(9.0)})
    assert one(found, P50) == one(found, P50)
    assert one(three, P50).verdict == "pass"


def test_variants_of_one_model_share_a_measurement_and_have_the_ratio_one() -> None:
    found = session()
    shared = CostSamples(
        ("cand", "base"),
        tuple(
            replace(s, model=m)
            for s in found.samples.samples
            if (s.model, s.copy) == ("base", 0)
            for m in ("cand", "base")
        ),
        found.samples.processes,
    )
    results = judge(CostSession(found.report, shared), P50, P95, RATE, MEMORY)
    assert [(r.verdict, r.change) for r in results] == [("pass", 1.0)] * 4
    assert [(r.low, r.high) for r in results[:3]] == [(1.0, 1.0)] * 3
    assert (
        results[0].sentence
        == "both are one model, measured once, so that the ratio is exactly 1; at most 1.1 is allowed"
    )
    faster = one(CostSession(found.report, shared), CostRule("query_latency_p50", max_ratio=0.9))
    assert faster.verdict == "fail"


# ------------------------------------------------------------ must fire, must not fire


HARMS = {
    "20 % slower": (P50, {"factor": 1.2}),
    "12 % fewer texts/s": (RATE, {"passes": 1 / 0.88}),
    "20 % fewer texts/s": (RATE, {"passes": 1 / 0.8}),
    "30 % more memory": (MEMORY, {"memory": 650.0}),
    "a tail 60 % longer": (P95, {"wall": 1.6}),
}


@pytest.mark.parametrize("harm", HARMS)
def test_harm_fails_in_every_session_and_stays_failed_when_confirmed(harm: str) -> None:
    rule, takes = HARMS[harm]
    for rng in rngs(20):
        models = cand(**takes)
        first = session(models, rng=rng, noise=0.01)
        assert one(first, rule).verdict == "fail"
        both = one([first, session(models, rng=rng, noise=0.01)], rule)
        assert (both.verdict, both.confirmed) == ("fail", True)


def test_an_unchanged_model_is_not_blocked_in_500_gates() -> None:
    # Processes that differ by 1 % for their whole lives, calls by 2 % (CPU) and 10 % (wall): worse than was measured.
    blocked = confirmed = 0
    for rng in rngs(500):
        sessions = [session(rng=rng, process_noise=0.01)]
        results = judge(sessions, *DEFAULT)
        if needs_confirmation(results):
            confirmed += 1
            sessions.append(session(rng=rng, process_noise=0.01))
            results = judge(sessions, *DEFAULT)
        blocked += any(result.verdict != "pass" for result in results)
    assert blocked <= 5
    assert confirmed <= 25


def test_a_model_at_the_limit_seldom_passes() -> None:
    # 500 normal estimates at the limit would pass in 25; the noise that is added makes it fewer.
    passes = sum(one(session(cand(factor=1.1), rng=rng, rounds=64), P50).verdict == "pass" for rng in rngs(200))
    assert passes <= 10


def test_a_slow_start_of_one_process_is_confirmed_away() -> None:
    # The first process is 8 % slower for its whole life: the candidate in one session, the control in the other.
    def start(first: str) -> CostSession:
        models = {"cand": Takes(1.08 if first == "cand" else 1.0), "base": Takes()}
        return session(models, noise=0.01, control_factor=1.08 if first == "control" else None)

    alone = one(start("cand"), P50)
    assert alone.verdict == "pass" or needs_confirmation([alone])
    assert one([start("cand"), start("control")], P50).verdict == "pass"


def test_one_session_that_is_out_of_line_never_fails_a_model() -> None:
    bad, good = session(cand(factor=1.2), noise=0.01), session(cand(factor=1.0), noise=0.01)
    assert one(bad, P50).verdict == "fail"
    confirmed = one([bad, good], P50)
    assert confirmed.verdict == "inconclusive"
    assert "the sessions disagree (1.2" in confirmed.sentence
    memory = [session(cand(memory=650.0)), session(cand(memory=510.0))]
    assert (one(memory[0], MEMORY).verdict, one(memory, MEMORY).verdict) == ("fail", "pass")
    assert one(memory, MEMORY).change == pytest.approx(1.02)
    assert "(by session: 1.3, 1.02)" in one(memory, MEMORY).sentence


def test_a_mild_outlier_is_rescued_by_a_quiet_session() -> None:
    # 1.13 fails alone; with a second session of 1.00 the mean is 1.06, and 1.13 is no longer what both say.
    results = [session(cand(factor=factor), noise=0.005) for factor in (1.13, 1.0)]
    assert one(results[0], P50).verdict == "fail"
    assert one(results, P50).verdict != "fail"
    assert one([session(cand(factor=1.06), noise=0.005), results[1]], P50).verdict == "pass"


def test_a_difference_that_the_control_has_as_well_is_no_finding() -> None:
    calm = session(cand(factor=1.15), noise=0.005)
    noisy = session(cand(factor=1.15), noise=0.005, control_factor=1.08)
    assert one(calm, P50).verdict == "fail"
    result = one(noisy, P50)
    assert result.verdict == "inconclusive"
    assert "two processes of one model may differ by 8." in result.sentence


def test_without_a_control_five_percent_are_added() -> None:
    alone = one(session(cand(factor=1.01), noise=0.0, control=None), P50)
    assert (alone.low, alone.high) == pytest.approx((1.01 / 1.05, 1.01 * 1.05))
    assert one(session(cand(factor=1.12), noise=0.0, control=None), P50).verdict == "inconclusive"


def test_too_few_calls_leave_it_open_and_more_are_asked_for() -> None:
    result = one(session(cand(factor=1.08), noise=0.10, rounds=16, control_factor=1.0), replace(P50, max_ratio=1.08))
    assert result.verdict == "inconclusive"
    few = one(session(rounds=9), P50)
    assert few.verdict == "inconclusive"
    assert few.sentence == (
        "the median time of a query has no ratio: 9 queries were timed on both models in turn, and 10 are needed"
    )
    assert "19 queries were timed" in one(session(rounds=19), P95).sentence
    assert one(session(passes=1), RATE).sentence.endswith("gone through once, which says nothing of the noise")
    assert one(session(passes=0), RATE).sentence.endswith("no documents were timed on both models in turn")


def test_more_calls_help_where_calls_are_the_noise_and_a_quiet_machine_where_processes_are() -> None:
    calls = Ratio(math.log(1.1), 0.03, 60, 64, 0.001, (math.log(1.1),))
    processes = replace(calls, error=0.001, noise=0.05)
    assert "more calls would tell (costs at level full)" in _doubt(calls, AT_MOST)
    assert "may differ by 5.1 % on this machine" in _doubt(processes, AT_MOST)


def test_bounds_are_one_sided() -> None:
    # t(60) is 1.671 one-sided and 2.000 two-sided: 1.1 lies 1.8 errors from both.
    errors = 1.8 * 0.01
    below, above = (Ratio(math.log(1.1) + shift, 0.01, 60, 61, 0.0) for shift in (-errors, errors))
    assert [_decided(replace(ratio, each=(ratio.log,)), AT_MOST) for ratio in (below, above)] == ["pass", "fail"]
    assert [below.interval(TWO_SIDED)[1] > 1.1, above.interval(TWO_SIDED)[0] < 1.1] == [True, True]
    at_least = _Bound(1.1, is_most=False)
    assert [_decided(replace(ratio, each=(ratio.log,)), at_least) for ratio in (below, above)] == ["fail", "pass"]


def test_every_session_has_to_lie_beyond_the_limit_for_a_fail() -> None:
    # Of three sessions: the mean minus their noise is 1.14, yet one of them kept the limit of 1.1 (log 0.095).
    both = pooled([Ratio(log, 0.0, 60, 61, 0.0, (log,)) for log in (0.30, 0.30, 0.05)])
    assert both.interval(TWO_SIDED)[0] > 1.1
    assert _decided(both, AT_MOST) == "inconclusive"
    assert _decided(replace(both, each=(0.30, 0.30, 0.10)), AT_MOST) == "fail"


def test_a_class_of_lengths_that_one_model_lacks_leaves_throughput_open() -> None:
    found = session()
    samples = tuple(s for s in found.samples.samples if (s.model, s.length_class) != ("cand", "long"))
    result = one(CostSession(found.report, replace(found.samples, samples=samples)), RATE)
    assert (result.verdict, result.sentence) == (
        "inconclusive",
        "throughput has no ratio: long documents were not timed on both models in turn",
    )


def test_a_clock_that_stands_still_gives_no_ratio() -> None:
    found = session()
    samples = tuple(replace(s, cpu_s=0.0) if s.model == "cand" else s for s in found.samples.samples)
    broken = CostSession(found.report, replace(found.samples, samples=samples))
    for rule in (P50, RATE):
        assert one(broken, rule).verdict == "inconclusive"
        assert one(broken, rule).sentence.endswith("the clock of this system is too coarse for calls as short as these")


# ------------------------------------------------------------ two halves


def in_halves(first: CostSession, second: CostSession) -> CostSession:
    """Return two sessions as the halves of one."""
    later = tuple(replace(s, round=s.round + SECOND_HALF) for s in second.samples.samples)
    samples = replace(first.samples, samples=first.samples.samples + later)
    return CostSession(first.report, replace(samples, processes=first.samples.processes + second.samples.processes))


def mirrored(
    factor: float = 1.0, *, order: float = 0.0, noise: float = 0.0, rng: np.random.Generator | None = None
) -> CostSession:
    """Return a session in two halves whose first process (base) is slower than the last (its control) by an amount.

    The amount is a logarithm, and the candidate stands between the two.
    """
    rng = rng or np.random.default_rng(3)
    halves = [
        session(
            cand(factor=factor * math.exp(-sign * order / 2)),
            control_factor=math.exp(-sign * order),
            noise=noise,
            rounds=32,
            passes=3,
            rng=rng,
        )
        for sign in (1, -1)
    ]
    return in_halves(*halves)


@pytest.mark.parametrize("rule", [P50, RATE], ids=lambda rule: rule.metric)
def test_what_the_order_of_starting_did_cancels_over_the_halves_and_widens_no_interval(rule: CostRule) -> None:
    result = one(mirrored(1.04, order=0.05), rule)
    exact = 1.04 if rule is P50 else 1 / 1.04
    assert (result.change, result.low, result.high) == pytest.approx((exact, exact, exact))
    assert result.n == (64 if rule is P50 else 18)
    assert result.verdict == "pass"
    # In the first half alone the control tells of 5 %, and the limit could not be shown to be kept.
    half = mirrored(1.04, order=0.05)
    samples = tuple(s for s in half.samples.samples if s.half == 0)
    alone = one(CostSession(half.report, replace(half.samples, samples=samples)), replace(P50, max_ratio=1.05))
    assert alone.verdict == "inconclusive"
    assert one(half, replace(P50, max_ratio=1.05)).verdict == "pass"


def test_what_the_halves_differ_by_beyond_the_order_of_starting_is_noise() -> None:
    # The candidate's halves lie 0.10 apart, those of the control 0.04: 0.05 - 0.02 to both sides.
    halves = [
        session(cand(factor=math.exp(0.05 * sign)), control_factor=math.exp(0.02 * sign), noise=0.0) for sign in (1, -1)
    ]
    result = one(in_halves(*halves), P50)
    assert (result.low, result.change, result.high) == pytest.approx((math.exp(-0.03), 1.0, math.exp(0.03)))


def test_the_control_of_a_session_is_over_both_halves_as_well() -> None:
    # 1 % and 3 %: the control is off by 2 %, and 1 % of each half is what the order may do.
    halves = [session(cand(factor=1.04), control_factor=math.exp(log), noise=0.0) for log in (0.01, 0.03)]
    result = one(in_halves(*halves), P50)
    assert (result.low, result.high) == pytest.approx((1.04 * math.exp(-0.02), 1.04 * math.exp(0.02)))


def test_two_halves_are_one_session_and_confirm_nothing() -> None:
    result = one(mirrored(1.2, noise=0.01), P50)
    assert (result.verdict, result.confirmed) == ("fail", False)
    assert "64 queries in turn)" in result.sentence
    both = one([mirrored(1.2, noise=0.01), mirrored(1.2, noise=0.01)], P50)
    assert (both.verdict, both.confirmed) == ("fail", True)
    assert "128 queries in turn, 2 sessions)" in both.sentence


def test_each_session_over_its_halves_has_to_lie_beyond_the_limit_for_a_fail() -> None:
    # Far from both limits, but the halves of the first session lie on both sides of it.
    apart = in_halves(session(cand(factor=1.5), noise=0.0), session(cand(factor=1.05), noise=0.0))
    ratio = Beside(apart, "cand", "base").ratio("query_latency_p50")
    assert isinstance(ratio, Ratio)
    assert ratio.each == pytest.approx((math.log(1.5 * 1.05) / 2,))
    assert one(apart, P50).verdict == "inconclusive"  # 1.05 to 1.5
    assert one([mirrored(1.3), mirrored(1.05)], P50).verdict == "inconclusive"


@pytest.mark.parametrize("order", [0.0, 0.05])
def test_an_unchanged_model_passes_and_a_slow_one_fails_whatever_the_order_of_starting_did(order: float) -> None:
    for rng in rngs(20):
        sessions = [mirrored(order=sign * order, noise=0.01, rng=rng) for sign in (1, -1)]
        assert [result.verdict for result in judge(sessions[0], P50, RATE)] == ["pass", "pass"]
        assert [result.verdict for result in judge(sessions, P50, RATE)] == ["pass", "pass"]
        slow = [mirrored(1.2, order=sign * order, noise=0.01, rng=rng) for sign in (1, -1)]
        assert [result.verdict for result in judge(slow, P50, RATE)] == ["fail", "fail"]


def test_the_tail_is_that_of_all_calls_of_both_halves() -> None:
    found = in_halves(*(session(noise=0.05, rounds=50, rng=rng) for rng in rngs(2)))
    walls = [
        sorted(s.wall_s for s in found.samples.samples if (s.model, s.copy, s.kind) == (label, 0, "query"))
        for label in ("cand", "base")
    ]
    assert one(found, P95).change == pytest.approx(walls[0][94] / walls[1][94])


def test_documents_of_a_half_that_was_cut_short_leave_the_other_and_what_the_order_may_do() -> None:
    found = mirrored(1.04, order=0.05)
    samples = tuple(
        s for s in found.samples.samples if (s.half, s.kind) != (1, "throughput") or s.length_class != "long"
    )
    result = one(CostSession(found.report, replace(found.samples, samples=samples)), RATE)
    first = math.log(1.04) - 0.025
    assert (result.n, result.change) == (9, pytest.approx(math.exp(-first)))
    assert (result.low, result.high) == pytest.approx((math.exp(-first - 0.05), math.exp(-first + 0.05)))


# ------------------------------------------------------------ two sessions


def test_two_sessions_are_averaged_with_the_larger_of_both_noises() -> None:
    both = pooled([Ratio(0.10, 0.003, 9, 10, 0.02, (0.10,)), Ratio(0.12, 0.004, 19, 20, 0.04, (0.12,))])
    assert both.log == pytest.approx(0.11)
    assert both.error == pytest.approx(0.0025)
    assert (both.freedom, both.n, both.each) == (28, 30, (0.10, 0.12))
    assert both.noise == pytest.approx(0.03 / math.sqrt(2))  # by the controls; the sessions' sd is 0.0141 only
    apart = pooled([Ratio(0.0, 0.0, 9, 10, 0.01), Ratio(0.2, 0.0, 9, 10, 0.01)])
    assert apart.noise == pytest.approx(0.1)
    assert apart.interval(TWO_SIDED) == pytest.approx((1.0, math.exp(0.2)))


def test_a_second_session_narrows_the_interval_of_a_quiet_pair() -> None:
    generators = rngs(2)
    sessions = [session(rng=rng) for rng in generators]
    alone, both = one(sessions[0], P50), one(sessions, P50)
    assert (both.high or 0) - (both.low or 0) < (alone.high or 0) - (alone.low or 0)
    assert both.n == 128
    assert "128 queries in turn, 2 sessions" in both.sentence


def test_what_did_not_pass_is_measured_again_once() -> None:
    def made(verdict: str, **facts: object) -> RuleResult:
        result = RuleResult("cost/x", "cost", "x", verdict, "block", "")  # type: ignore[arg-type]
        return replace(result, **facts)  # type: ignore[arg-type]

    assert not needs_confirmation([made("pass"), made("skipped")])
    assert needs_confirmation([made("pass"), made("inconclusive")])
    assert needs_confirmation([made("error")])
    assert needs_confirmation([made("fail", severity="warn")])
    assert not needs_confirmation([made("fail", confirmed=True)])
    assert not needs_confirmation([made("fail", group="quality")])
    assert not needs_confirmation([])


def test_sessions_of_two_machines_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different machines can't be put together: cores '2' and '8'$"):
        judge([session(), session(hardware={**MACHINE, "cores": "8"})], P50)
    with pytest.raises(ValueError, match="device 'cpu' and 'cuda'"):
        judge([session(), session(device="cuda")], P50)


# ------------------------------------------------------------ absences


def test_a_session_counts_for_a_pair_only_when_it_holds_both() -> None:
    alone = session({"cand": Takes(), "other": Takes()}, control="other")
    (result,) = judge(alone, P50)
    assert (result.verdict, result.sentence) == ("inconclusive", "no session measured cand and base beside each other")
    apart = [session({"cand": Takes()}, control="cand"), session({"base": Takes()})]
    assert [result.verdict for result in judge(apart, *DEFAULT)] == ["inconclusive"] * 3
    assert one([alone, session()], P50).n == 64


def test_without_a_session_the_reason_is_told() -> None:
    results = judge_cost([], "cand", "base", DEFAULT, why_none="the baseline's model isn't here")
    assert [(r.verdict, r.sentence) for r in results] == [("inconclusive", "the baseline's model isn't here")] * 3
    skipped = judge_cost([], "cand", "base", DEFAULT, why_none="stored", must_judge=False)
    assert [r.verdict for r in skipped] == ["skipped"] * 3


def test_a_model_whose_process_failed_is_an_error_that_names_it() -> None:
    broken = session({"cand": Takes(failure="cand: out of memory"), "base": Takes()})
    assert [(r.verdict, r.sentence) for r in judge(broken, P50, MEMORY)] == [
        ("error", "the candidate could not be measured: cand: out of memory")
    ] * 2
    (result,) = judge(session({"cand": Takes(), "base": Takes(failure="base: gone")}), P50)
    assert (result.verdict, result.sentence) == ("error", "the baseline base could not be measured: base: gone")


def test_a_failure_that_does_not_repeat_is_told_beside_the_verdict() -> None:
    broken = session({"cand": Takes(failure="cand: killed"), "base": Takes()})
    result = one([broken, session()], P50)
    assert (result.verdict, result.confirmed) == ("pass", True)
    assert result.sentence.endswith("; in another session the candidate could not be measured: cand: killed")
    assert one([broken, broken], P50).verdict == "error"


def test_memory_that_one_model_does_not_tell_is_open_and_of_neither_does_not_apply() -> None:
    result = one(session(cand(memory=None)), MEMORY)
    assert (result.verdict, result.sentence) == ("inconclusive", "peak memory of cand could not be measured")
    neither = one(session({"cand": Takes(memory=None), "base": Takes(memory=None)}), MEMORY)
    assert (neither.verdict, neither.sentence) == (
        "skipped",
        "peak memory of cand and of base could not be measured",
    )


# ------------------------------------------------------------ clocks and devices


@pytest.mark.parametrize("rule", [P50, RATE], ids=lambda rule: rule.metric)
def test_cpu_time_decides_on_a_processor_and_wall_time_on_a_gpu(rule: CostRule) -> None:
    busy = cand(wall=1.5)
    assert one(session(busy, noise=0.002), rule).verdict == "pass"
    result = one(session(busy, noise=0.002, device="cuda"), rule)
    assert result.verdict == "fail"
    assert "wall time" in result.sentence
    assert result.change == pytest.approx(1.5 if rule is P50 else 1 / 1.5, rel=0.02)


def test_wall_time_decides_for_an_endpoint() -> None:
    found = session(cand(wall=1.5), noise=0.002)
    models = tuple(
        replace(cost, figures=tuple(f for f in cost.figures if "query_cpu" not in f.metric))
        if cost.model == "cand"
        else cost
        for cost in found.report.models
    )
    remote = CostSession(replace(found.report, models=models), found.samples)
    assert one(remote, P50).change == pytest.approx(1.5, rel=0.02)
    assert one(found, P50).change == pytest.approx(1.0, rel=0.02)


def test_memory_of_a_gpu_counts_as_much_as_that_of_the_process() -> None:
    grown = {"cand": Takes(gpu_mib=1300.0), "base": Takes(gpu_mib=1000.0)}
    result = one(session(grown, device="cuda"), MEMORY)
    assert (result.verdict, result.change, result.candidate) == ("fail", pytest.approx(1.3), 1300.0)
    assert one(session(grown), MEMORY).verdict == "pass"
    assert one(session(grown, device="cuda"), CostRule("peak_memory", max_value=1200)).verdict == "fail"


# ------------------------------------------------------------ absolute bounds


def p50_figure(value: float, low: float | None = None, high: float | None = None) -> CostFigure:
    return CostFigure("cand", "latency/query/p50_ms", value, "ms", 64, low, high)


@pytest.mark.parametrize(
    ("figure", "verdict", "says"),
    [
        ((9.0, 8.0, 9.5), "pass", "9 ms (95 % interval 8 to 9.5); at most 10 ms is allowed"),
        ((9.0, 8.0, 11.0), "pass", "9 ms (95 % interval 8 to 11); at most 10 ms is allowed, which isn't certain"),
        ((10.0, 10.0, 10.0), "pass", "10 ms; at most 10 ms is allowed"),
        (
            (10.5, 9.5, 11.0),
            "inconclusive",
            "10.5 ms (95 % interval 9.5 to 11); at most 10 ms is allowed, which isn't certain",
        ),
        ((10.5, 10.1, 11.0), "fail", "10.5 ms (95 % interval 10.1 to 11); at most 10 ms is allowed"),
        ((10.00001,), "fail", "10.00001 ms; at most 10 ms is allowed"),
    ],
    ids=["below", "open above", "at", "open below", "beyond", "no interval"],
)
def test_an_absolute_time_is_held_against_its_bound(figure: tuple[float, ...], verdict: str, says: str) -> None:
    result = one(session(figures=[p50_figure(*figure)]), CostRule("query_latency_p50", max_value=10))
    assert (result.verdict, result.sentence) == (verdict, f"the median time of a query: {says}")
    assert (result.candidate, result.threshold, result.unit, result.change) == (figure[0], 10, "ms", None)


def test_an_absolute_throughput_is_held_against_its_bound_from_the_other_side() -> None:
    def verdict(value: float, low: float, high: float) -> str:
        figure = CostFigure("cand", "throughput/texts_per_s", value, "texts/s", 18, low, high)
        return one(session(figures=[figure]), CostRule("throughput", min_value=100)).verdict

    assert (verdict(100, 90, 110), verdict(95, 90, 101), verdict(95, 90, 99)) == ("pass", "inconclusive", "fail")


def test_an_absolute_bound_is_kept_when_one_session_keeps_it() -> None:
    rule = CostRule("query_latency_p50", max_value=10)
    slow, quick = session(figures=[p50_figure(12, 11, 13)]), session(figures=[p50_figure(9, 8, 9.5)])
    assert [one(found, rule).verdict for found in (slow, [slow, quick], [slow, slow])] == ["fail", "pass", "fail"]
    assert one([slow, quick], rule).candidate == 9


def test_an_absolute_bound_needs_the_candidate_alone() -> None:
    alone = session({"cand": Takes(memory=1600.0)}, control="cand")
    assert one(alone, CostRule("peak_memory", max_value=1500)).verdict == "fail"
    missing = one(session(cand(memory=None)), CostRule("peak_memory", max_value=1500))
    assert (missing.verdict, missing.sentence) == ("inconclusive", "peak memory could not be measured")


def test_a_rule_with_two_bounds_is_as_bad_as_the_worse_one_and_says_both() -> None:
    rule = CostRule("peak_memory", max_ratio=1.10, max_value=400)
    result = one(session(), rule)
    assert (result.verdict, result.threshold) == ("fail", 400)
    assert result.sentence == (
        "peak memory: 500 MiB, 1 times the baseline's 500; at most 1.1 is allowed; "
        "peak memory: 500 MiB; at most 400 MiB is allowed"
    )
    assert one(session(), replace(rule, max_value=600)).threshold == 1.10
    stored = judge_cost([session({"cand": Takes()}, control="cand")], "cand", "base", [rule], must_judge=False)
    assert stored[0].verdict == "fail"
    kept = judge_cost(
        [session({"cand": Takes()}, control="cand")], "cand", "base", [replace(rule, max_value=600)], must_judge=False
    )
    # One half of it could not be judged, so it did not pass.
    assert kept[0].verdict == "skipped"


def test_two_rules_on_one_metric_have_two_ids() -> None:
    warn = replace(MEMORY, max_ratio=1.05, severity="warn")
    results = judge(session(cand(memory=540.0)), warn, MEMORY)
    assert [(r.id, r.verdict, r.severity) for r in results] == [
        ("cost/peak_memory", "fail", "warn"),
        ("cost/peak_memory:2", "pass", "block"),
    ]


def test_a_rule_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a cost rule needs a bound, and that on load_time has none$"):
        judge(session(), CostRule("load_time"))


# ------------------------------------------------------------ sentences


def test_sentences_say_the_ratio_its_interval_and_the_limit() -> None:
    p50, p95, rate, memory = judge(session(cand(factor=1.2, memory=1500.3), noise=0.0), P50, P95, RATE, MEMORY)
    assert p50.sentence == (
        "a typical query takes 1.200 times the baseline's CPU time (95 % interval 1.200 to 1.200, 64 queries in turn); "
        "at most 1.1 is allowed"
    )
    assert p95.sentence.startswith("the 95th percentile of query wall time is 1.200 times the baseline's (95 % ")
    assert rate.sentence == (
        "0.833 times the baseline's texts per second of CPU time (95 % interval 0.833 to 0.833, 18 passes in turn; by "
        "the wall clock 46.15 against 55.38 texts/s); at least 0.9 is asked for"
    )
    assert memory.sentence == "peak memory: 1500 MiB, 3.001 times the baseline's 500; at most 1.1 is allowed"


def test_the_report_of_a_real_session_is_understood() -> None:
    found = session(cand(factor=1.3))
    facts = tuple(replace(p, peak_mib=700.0 if p.model == "cand" else 500.0) for p in found.samples.processes)
    samples = replace(found.samples, processes=facts)
    report = summarise(samples, Conditions("quick", "cpu", MACHINE, "", 1.0, seed=1), models=[], baseline="base")
    rules = (P50, P95, RATE, MEMORY, CostRule("load_time", max_ratio=1.5, max_value=10))
    results = judge(CostSession(report, samples), *rules)
    assert [result.verdict for result in results] == ["fail", "inconclusive", "fail", "fail", "pass"]
    assert all(None not in (result.candidate, result.change) for result in results)
    # The ratio that the report tells, from the same calls.
    (told,) = [ratio for ratio in report.ratios if ratio.metric == "latency/query_cpu"]
    assert results[0].change == pytest.approx(told.ratio)


# ------------------------------------------------------------ stored results


def kept(measured: CostSession, label: str, *, name: str = "", **facts: object) -> Scored:
    """Return what a stored result keeps of one model of a session."""
    own = measured.report.of(label)
    assert own is not None
    samples = CostSamples(
        (name or label,),
        tuple(replace(s, model=name or label) for s in measured.samples.samples if s.model == label),
        tuple(replace(p, model=name or label) for p in measured.samples.processes if p.model == label),
    )
    report = replace(measured.report, models=(replace(own, model=name or label),), **facts)  # type: ignore[arg-type]
    meta = ModelMeta(name=name or label, id=label, revision=None, fingerprint=label, dimension=3)
    suite, machine = SuiteInfo("s", "d", None), Environment({})
    return Scored(meta, label, suite, (), machine, "", "a file", cost=report, samples=samples)


def test_two_stored_results_of_one_session_are_judged_as_the_session_itself() -> None:
    whole = session(cand(factor=1.2, memory=600.0))
    found = stored_session(kept(whole, "cand"), kept(whole, "base"))
    assert found is not None
    joined, label = found
    assert judge_cost([joined], "cand", label, DEFAULT) == judge_cost([whole], "cand", "base", DEFAULT)
    assert [result.verdict for result in judge_cost([joined], "cand", label, DEFAULT)] == ["fail", "fail", "fail"]


def test_a_stored_session_keeps_its_halves() -> None:
    whole = mirrored(1.2, order=0.05, noise=0.01)
    found = stored_session(kept(whole, "cand"), kept(whole, "base"))
    assert found is not None
    assert judge_cost([found[0]], "cand", found[1], DEFAULT) == judge_cost([whole], "cand", "base", DEFAULT)


@pytest.mark.parametrize(
    "other",
    [{"measured_at": "2025-01-01T00:00:01+00:00"}, {"seconds": 2.0}, {"hardware": {"cpu": "another"}}, {"seed": 2}],
    ids=lambda other: next(iter(other)),
)
def test_times_of_two_sessions_are_never_put_together(other: dict[str, object]) -> None:
    whole = session()
    assert stored_session(kept(whole, "cand"), kept(whole, "base")) is not None
    assert stored_session(kept(whole, "cand"), kept(whole, "base", **other)) is None


def test_two_stored_models_of_one_name_keep_apart() -> None:
    whole = session(cand(factor=1.2))
    found = stored_session(kept(whole, "cand", name="m"), kept(whole, "base", name="m"))
    assert found is not None
    joined, label = found
    assert label == "m (baseline)"
    (result,) = judge_cost([joined], "m", label, [P50])
    assert result.verdict == "fail"
    assert result.change == pytest.approx(1.2, rel=0.03)


def test_a_result_without_costs_shares_no_session() -> None:
    whole = session()
    assert stored_session(replace(kept(whole, "cand"), cost=None), kept(whole, "base")) is None
    assert stored_session(kept(whole, "cand"), replace(kept(whole, "base"), samples=None)) is None
