"""Cost rules: what a candidate takes against the baseline that was measured beside it, and against fixed bounds.

    sessions ─┬─ times of both models in turn ─── cost_ratio ──> Ratio ── max_ratio, min_ratio ──┐
              ├─ memory, load: one number each ──> quotient ────── max_ratio, min_ratio ─────────┼─ worst ─> RuleResult
              └─ figures of the candidate ──────────────────────── max_value, min_value ─────────┘

    query_latency_p50  what a typical query takes (cost_ratio.py)
    query_latency_p95  of wall time, noisy on a shared machine: two processes of one model differ with a standard
                       deviation of some 10 %, so that a bound below 1.25 will often be inconclusive
    throughput         texts per second over all length classes
    peak_memory        of the process; on a GPU of the device too, whichever grew more
    load_time          loading the model, after the libraries were imported

Ratios are candidate / baseline of one session: times of different sessions are never held against each other.

A time passes when its one-sided 95 % bound keeps the limit, fails when the whole of the other side breaks it, and is
inconclusive between. Memory and load time have no interval: the value decides. An absolute time passes at or below its
limit, as in a budget; it fails when its interval lies beyond.

A session is in two halves, with new processes in the opposite order in the second. A second session confirms, with new
processes again, and the other order first. Ratios of times are pooled, and fail only when each session alone (both its
halves together) lies beyond the limit as well; what has no interval, and absolute values, fail when they do in every
session, for a busy machine makes them worse and never better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from benchkit.gate.cost_ratio import Beside, CostSession
from benchkit.measure.halves import ONE_SIDED, TWO_SIDED, Ratio, pooled
from benchkit.types.cost import CostFigure
from benchkit.types.gate import CostMetric, CostRule, RuleResult, RuleVerdict

__all__ = ["CostSession", "judge_cost", "needs_confirmation"]

# From the best to the worst, where the parts of one rule are put together.
_ORDER: tuple[RuleVerdict, ...] = ("pass", "skipped", "inconclusive", "fail", "error")


def judge_cost(
    sessions: Sequence[CostSession],
    candidate: str,
    baseline: str,
    rules: Sequence[CostRule],
    *,
    why_none: str = "",
    must_judge: bool = True,
) -> tuple[RuleResult, ...]:
    """Return a result for each rule, in their order.

    Args:
        sessions: One, and a second one that confirms it; one that doesn't hold both models says nothing of a ratio.
        candidate, baseline: Labels in the sessions.
        why_none: Why there is no session that holds both.
        must_judge: What can't be judged for that reason is inconclusive; False skips it.

    Raises:
        ValueError: the sessions are of different machines, or a rule sets no bound.
    """
    _check_one_machine(sessions)
    judge = _Judge(sessions, candidate, baseline, why_none, must_judge)
    return tuple(_with_own_ids([judge.result(rule) for rule in rules]))


def needs_confirmation(results: Sequence[RuleResult]) -> bool:
    """Tell whether a second session should be made before these results count.

    >>> needs_confirmation([RuleResult("cost/throughput", "cost", "throughput", "fail", "warn", "")])
    True
    """
    return any(
        result.group == "cost" and not result.confirmed and result.verdict not in ("pass", "skipped")
        for result in results
    )


def _check_one_machine(sessions: Sequence[CostSession]) -> None:
    machines = [{**session.report.hardware, "device": session.report.device} for session in sessions]
    for other in machines[1:]:
        names = dict.fromkeys((*machines[0], *other))
        differ = [name for name in names if machines[0].get(name) != other.get(name)]
        if differ:
            told = ", ".join(f"{name} {machines[0].get(name)!r} and {other.get(name)!r}" for name in differ)
            raise ValueError(f"sessions of different machines can't be put together: {told}")


def _with_own_ids(results: Sequence[RuleResult]) -> list[RuleResult]:
    """Number further rules on a metric (a warning before a block), so that each id is there once."""
    seen: dict[str, int] = {}
    named = []
    for result in results:
        seen[result.id] = number = seen.get(result.id, 0) + 1
        named.append(result if number == 1 else replace(result, id=f"{result.id}:{number}"))
    return named


# ------------------------------------------------------------ metrics and bounds


@dataclass(frozen=True, slots=True)
class _Metric:
    """How a metric is read: its figure in the report, its unit, and how a sentence calls it."""

    figure: str
    unit: str
    name: str


_METRICS: dict[CostMetric, _Metric] = {
    "query_latency_p50": _Metric("latency/query/p50_ms", "ms", "the median time of a query"),
    "query_latency_p95": _Metric("latency/query/p95_ms", "ms", "the 95th percentile of query times"),
    "throughput": _Metric("throughput/texts_per_s", "texts/s", "throughput"),
    "peak_memory": _Metric("memory/peak_mib", "MiB", "peak memory"),
    "load_time": _Metric("load/model_s", "s", "the time of loading the model"),
}
_MEDIAN_BY_CPU = "latency/query_cpu/p50_ms"
_GPU_MEMORY = "memory/cuda_reserved_mib"
_CLOCK_WORDS = {"cpu_s": "CPU time", "wall_s": "wall time"}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A limit on one side."""

    value: float
    is_most: bool

    def keeps(self, value: float) -> bool:
        return value <= self.value if self.is_most else value >= self.value

    def best(self, values: Sequence[float]) -> float:
        return min(values) if self.is_most else max(values)

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """Return the ends of an interval, the better one first."""
        return (low, high) if self.is_most else (high, low)

    def words(self, unit: str = "") -> str:
        limit = f"{self.value:g} {unit}".strip()
        return f"at most {limit} is allowed" if self.is_most else f"at least {limit} is asked for"


def _bounds(most: float | None, least: float | None) -> list[_Bound]:
    return [_Bound(value, is_most) for value, is_most in ((most, True), (least, False)) if value is not None]


# ------------------------------------------------------------ rules


@dataclass(frozen=True, slots=True)
class _Judge:
    sessions: Sequence[CostSession]
    candidate: str
    baseline: str
    why_none: str
    must_judge: bool

    def result(self, rule: CostRule) -> RuleResult:
        """Return the worst of what the bounds of a rule say, with the sentences of all."""
        parts = [
            *(self._on_ratio(rule, bound) for bound in _bounds(rule.max_ratio, rule.min_ratio)),
            *(self._on_value(rule, bound) for bound in _bounds(rule.max_value, rule.min_value)),
        ]
        if not parts:
            raise ValueError(f"a cost rule needs a bound, and that on {rule.metric} has none")
        worst = max(parts, key=lambda part: _ORDER.index(part.verdict))  # of equals the first, the ratio
        sentence = "; ".join(dict.fromkeys(part.sentence for part in parts))
        return replace(worst, sentence=sentence, confirmed=len(self.sessions) > 1)

    def _on_ratio(self, rule: CostRule, bound: _Bound) -> RuleResult:
        pairs, failure = self._sound((self.candidate, self.baseline))
        if not pairs:
            return self._unjudged(rule, bound, failure)
        is_number = rule.metric in ("peak_memory", "load_time")
        found = _number_ratio(pairs, rule, bound) if is_number else _time_ratio(pairs, rule, bound)
        return replace(found, sentence=f"{found.sentence}; in another session {failure}") if failure else found

    def _on_value(self, rule: CostRule, bound: _Bound) -> RuleResult:
        pairs, failure = self._sound((self.candidate,))
        return _absolute(pairs, rule, bound) if pairs else self._unjudged(rule, bound, failure)

    def _sound(self, labels: Sequence[str]) -> tuple[list[Beside], str]:
        """Return the sessions that hold these models and in which none failed, and why one failed in another."""
        held = [session for session in self.sessions if set(labels) <= set(session.samples.order)]
        failed = [next(filter(None, (self._failure(session, label) for label in labels)), "") for session in held]
        sound = [session for session, why in zip(held, failed, strict=True) if not why]
        pairs = [Beside(session, self.candidate, self.baseline) for session in sound]
        return pairs, next(filter(None, failed), "")

    def _failure(self, session: CostSession, label: str) -> str:
        cost = session.report.of(label)
        reason = session.samples.failures.get(label, "")
        if not reason and cost is not None and cost.status == "failed":
            reason = cost.reason or "its process failed"
        name = "the candidate" if label == self.candidate else f"the baseline {label}"
        return f"{name} could not be measured: {reason}" if reason else ""

    def _unjudged(self, rule: CostRule, bound: _Bound, failure: str) -> RuleResult:
        if failure:
            return _result(rule, bound, "error", failure)
        why = self.why_none or f"no session measured {self.candidate} and {self.baseline} beside each other"
        return _result(rule, bound, "inconclusive" if self.must_judge else "skipped", why)


def _result(rule: CostRule, bound: _Bound, verdict: RuleVerdict, sentence: str) -> RuleResult:
    return RuleResult(
        id=f"cost/{rule.metric}",
        group="cost",
        on=rule.metric,
        verdict=verdict,
        severity=rule.severity,
        sentence=sentence,
        unit=_METRICS[rule.metric].unit,
        threshold=bound.value,
    )


# ------------------------------------------------------------ ratios of times


def _time_ratio(pairs: Sequence[Beside], rule: CostRule, bound: _Bound) -> RuleResult:
    estimates = [(pair, pair.ratio(rule.metric)) for pair in pairs]
    known = [(pair, found) for pair, found in estimates if isinstance(found, Ratio)]
    if not known:
        return _result(rule, bound, "inconclusive", f"{_METRICS[rule.metric].name} has no ratio: {estimates[0][1]}")
    ratio = pooled([found for _, found in known])
    verdict = _decided(ratio, bound)
    shown = [_shown([pair for pair, _ in known], rule.metric, label) for label in pairs[0].pair]
    doubt = _doubt(ratio, bound) if verdict == "inconclusive" else ""
    says = _time_sentence(known[0][0], rule.metric, ratio, shown)
    low, high = ratio.interval(TWO_SIDED)
    return replace(
        _result(rule, bound, verdict, f"{says}; {bound.words()}{doubt}"),
        candidate=shown[0],
        baseline=shown[1],
        change=ratio.value,
        low=low,
        high=high,
        bound=bound.ends(*ratio.interval(ONE_SIDED))[1],
        n=ratio.n,
    )


def _decided(ratio: Ratio, bound: _Bound) -> RuleVerdict:
    best, worst = bound.ends(*ratio.interval(ONE_SIDED))
    if bound.keeps(worst):
        return "pass"
    if bound.keeps(best) or any(map(bound.keeps, _alone(ratio))):
        return "inconclusive"
    return "fail"


def _alone(ratio: Ratio) -> list[float]:
    return [math.exp(log) for log in ratio.each]


def _shown(pairs: Sequence[Beside], metric: CostMetric, label: str) -> float | None:
    """Return the figure of a model by the clock that decides, as a mean over sessions."""
    values = []
    for pair in pairs:
        by_cpu = metric == "query_latency_p50" and pair.clock(metric) == "cpu_s"
        figure = pair.figure(label, _MEDIAN_BY_CPU if by_cpu else _METRICS[metric].figure)
        if figure is None:
            return None
        values.append(figure.value)
    return fmean(values)


def _time_sentence(pair: Beside, metric: CostMetric, ratio: Ratio, shown: Sequence[float | None]) -> str:
    if pair.is_shared:
        return "both are one model, measured once, so that the ratio is exactly 1"
    low, high = ratio.interval(TWO_SIDED)
    clock = _CLOCK_WORDS[pair.clock(metric)]
    calls = "passes" if metric == "throughput" else "queries"
    sessions = f", {len(ratio.each)} sessions" if len(ratio.each) > 1 else ""
    basis = f"95 % interval {low:.3f} to {high:.3f}, {ratio.n} {calls} in turn{sessions}"
    if metric == "query_latency_p50":
        return f"a typical query takes {ratio.value:.3f} times the baseline's {clock} ({basis})"
    if metric == "query_latency_p95":
        return f"the 95th percentile of query {clock} is {ratio.value:.3f} times the baseline's ({basis})"
    wall = "" if None in shown else f"; by the wall clock {shown[0]:.4g} against {shown[1]:.4g} texts/s"
    return f"{ratio.value:.3f} times the baseline's texts per second of {clock} ({basis}{wall})"


def _doubt(ratio: Ratio, bound: _Bound) -> str:
    """Say why a ratio isn't decided, and what would help."""
    alone = _alone(ratio)
    if len(set(map(bound.keeps, alone))) > 1:
        told = " and ".join(f"{value:.3f}" for value in alone)
        return f", and the sessions disagree ({told}): a quieter machine would tell"
    sampling = ratio.margin(ONE_SIDED) - ratio.noise
    if ratio.noise < sampling:
        return ", and the interval reaches both sides of that: more calls would tell (costs at level full)"
    differ = 100 * math.expm1(ratio.noise)
    return (
        f", and the interval reaches both sides of that: two processes of one model may differ by {differ:.1f} % on "
        "this machine, and a quieter one would tell"
    )


# ------------------------------------------------------------ single numbers


def _number_ratio(pairs: Sequence[Beside], rule: CostRule, bound: _Bound) -> RuleResult:
    """Judge single numbers by the session that is best for the candidate."""
    found = [numbers for pair in pairs if (numbers := _grown_most(pair, rule.metric)) is not None]
    if not found:
        return _no_number(pairs[0], rule, bound)
    ratios = [candidate / baseline for candidate, baseline in found]
    ratio = bound.best(ratios)
    candidate, baseline = found[ratios.index(ratio)]
    metric = _METRICS[rule.metric]
    each = f" (by session: {', '.join(_text(one, bound) for one in ratios)})" if len(ratios) > 1 else ""
    times = f"{_text(ratio, bound)} times the baseline's {_text(baseline)}{each}"
    says = f"{metric.name}: {_text(candidate)} {metric.unit}, {times}"
    result = _result(rule, bound, "pass" if bound.keeps(ratio) else "fail", f"{says}; {bound.words()}")
    return replace(result, candidate=candidate, baseline=baseline, change=ratio, n=len(found))


def _grown_most(pair: Beside, metric: CostMetric) -> tuple[float, float] | None:
    """Return the numbers of both models; of the memory of process and GPU the one that grew more."""
    numbers = []
    for name in _figures(pair, metric):
        first, second = (pair.figure(label, name) for label in pair.pair)
        if first is not None and second is not None and second.value > 0:
            numbers.append((first.value, second.value))
    return max(numbers, key=lambda both: both[0] / both[1], default=None)


def _figures(pair: Beside, metric: CostMetric) -> tuple[str, ...]:
    is_on_gpu = metric == "peak_memory" and pair.session.report.device != "cpu"
    return (_METRICS[metric].figure, _GPU_MEMORY) if is_on_gpu else (_METRICS[metric].figure,)


def _no_number(pair: Beside, rule: CostRule, bound: _Bound) -> RuleResult:
    metric = _METRICS[rule.metric]
    missing = [label for label in pair.pair if pair.figure(label, metric.figure) is None]
    says = f"{metric.name} of {' and of '.join(missing or pair.pair)} could not be measured"
    # Of neither: this system doesn't tell, or a server computes, and the rule can't apply here.
    return _result(rule, bound, "skipped" if len(missing) == len(pair.pair) else "inconclusive", says)


def _absolute(pairs: Sequence[Beside], rule: CostRule, bound: _Bound) -> RuleResult:
    metric = _METRICS[rule.metric]
    found = [figure for pair in pairs if (figure := _largest(pair, rule.metric)) is not None]
    if not found:
        return _result(rule, bound, "inconclusive", f"{metric.name} could not be measured")
    value = bound.best([figure.value for figure in found])
    figure = next(one for one in found if one.value == value)
    best, worst = bound.ends(*_ends(figure))
    is_open = bound.keeps(best) and not bound.keeps(worst)
    span = f" (95 % interval {_text(min(best, worst))} to {_text(max(best, worst))})" if best != worst else ""
    doubt = ", which isn't certain" if is_open else ""
    says = f"{metric.name}: {_text(value, bound)} {metric.unit}{span}; {bound.words(metric.unit)}{doubt}"
    return replace(_result(rule, bound, _by_value(found, bound), says), candidate=value, n=figure.n)


def _largest(pair: Beside, metric: CostMetric) -> CostFigure | None:
    figures = [pair.figure(pair.candidate, name) for name in _figures(pair, metric)]
    return max(filter(None, figures), key=lambda figure: figure.value, default=None)


def _by_value(figures: Sequence[CostFigure], bound: _Bound) -> RuleVerdict:
    if any(bound.keeps(figure.value) for figure in figures):
        return "pass"
    is_open = any(bound.keeps(bound.ends(*_ends(figure))[0]) for figure in figures)
    return "inconclusive" if is_open else "fail"


def _ends(figure: CostFigure) -> tuple[float, float]:
    """Return the ends of a figure's interval; the value where it has none."""
    low, high = (figure.value if end is None else end for end in (figure.ci_low, figure.ci_high))
    return low, high


def _text(value: float, bound: _Bound | None = None) -> str:
    """Return a number in four digits, or in as many as show on which side of a limit it lies.

    >>> _text(1500.02), _text(1500.02, _Bound(1500, is_most=True))
    ('1500', '1500.02')
    """
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next(text for text in texts if bound is None or bound.keeps(float(text)) == bound.keeps(value))
