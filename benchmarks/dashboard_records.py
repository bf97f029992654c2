"""Records of comparisons, gates and drift checks with made-up numbers, for measuring the dashboard at size.

    seed, number of the run ── comparison_of ──> Comparison, CostSamples
    seed, number of the gate ── gate_of ──> GateReport
    seed, number of the window ── check_of ──> DriftReport

The numbers are drawn: five models of known quality and speed, four tasks, one release a week that shifts a little, and
a change of the data in the last tenth of the windows. They are plausible and mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np

from benchkit.gate.decide import exit_code, overall
from benchkit.types.comparison import (
    MEAN,
    Comparison,
    Environment,
    Interval,
    ModelSummary,
    PairResult,
    Recommendation,
    ScoredCell,
    SuiteInfo,
    Verdict,
)
from benchkit.types.cost import (
    CostFigure,
    CostRatio,
    CostReport,
    CostSamples,
    ModelCost,
    ProcessFacts,
    RatioVerdict,
    Sample,
)
from benchkit.types.drift import (
    BaselineInfo,
    ClusterChange,
    DriftPolicy,
    DriftReport,
    Evidence,
    Harm,
    StatisticResult,
    WindowInfo,
)
from benchkit.types.gate import CostRule, GateReport, Policy, QualityRule, RuleResult, RuleVerdict
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, WorstItem

SUITE = "help-centre"
FIRST = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
BETWEEN_RUNS, WINDOW = timedelta(hours=26), timedelta(days=1)
MARGIN = 0.005
ENVIRONMENT = Environment(
    {"cpu": "Example CPU", "cores": "8", "python": "3.11.7", "platform": "Linux", "version/torch": "2.8.0"}
)
TASKS = {
    "help-centre": ("Retrieval", "ndcg_at_10", 0.0),
    "everyday-sts": ("STS", "cosine_spearman", 0.08),
    "support-intents": ("Classification", "accuracy", 0.05),
    "中文检索": ("Retrieval", "ndcg_at_10", -0.12),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A model: its mean score, milliseconds a query, MiB and dimension."""

    label: str
    score: float
    query_ms: float
    memory_mib: float
    dimension: int


KINDS = (
    Kind("minilm", 0.662, 8.0, 560, 384),
    Kind("minilm@dim=128", 0.641, 8.1, 560, 128),
    Kind("bge", 0.683, 23.0, 980, 768),
    Kind("mpnet", 0.668, 21.0, 940, 768),
    Kind("小模型", 0.630, 3.0, 330, 256),
)


def meta_of(kind: Kind, release: int = 0) -> ModelMeta:
    """Return a model; another release has another fingerprint."""
    return ModelMeta(
        name=kind.label,
        id=f"example/{kind.label.partition('@')[0]}",
        revision=f"{release:016x}",
        fingerprint=f"{kind.label.encode().hex()[:24]}{release:08d}",
        dimension=kind.dimension,
        bytes_per_vector=4 * kind.dimension,
        parameters=60_000 * kind.dimension,
        memory_bytes=240_000 * kind.dimension,
        license="apache-2.0" if kind.label != "mpnet" else "mit",
        normalized=True,
        max_seq_length=256,
    )


# ------------------------------------------------------------ comparisons


def comparison_of(seed: int, number: int) -> tuple[Comparison, CostSamples]:
    """Return the comparison of one day, with everything that was timed."""
    rng = np.random.default_rng([seed, 1, number])
    drawn = {kind.label: kind.score + rng.normal(0, 0.004) + 0.00004 * number for kind in KINDS}
    cells = tuple(
        _cell(kind.label, task, drawn[kind.label] + rng.normal(0, 0.006), rng) for kind in KINDS for task in TASKS
    )
    summary = tuple(_summary(kind.label, [cell for cell in cells if cell.result.model == kind.label]) for kind in KINDS)
    best = max(summary, key=lambda row: row.mean_score or 0.0)
    cost, samples = _costs(rng, number)
    started = FIRST + number * BETWEEN_RUNS
    comparison = Comparison(
        suite=SuiteInfo(SUITE, f"{number // 100:064x}", path=f"suites/{SUITE}.yaml", description="made-up numbers"),
        environment=ENVIRONMENT,
        models=tuple(meta_of(kind, number // 50) for kind in KINDS),
        cells=cells,
        summary=summary,
        pairs=tuple(_pairs(cells, summary)),
        recommendation=Recommendation(best.model, "it has the best mean"),
        baseline=None,
        margin=0.01,
        n_resamples=10_000,
        seed=42,
        started=started.isoformat(timespec="seconds"),
        seconds=420.0 + 10 * rng.random(),
        cost=cost,
        pareto=("bge", "minilm", "小模型"),
    )
    return comparison, samples


def _cell(model: str, task: str, base: float, rng: np.random.Generator) -> ScoredCell:
    kind, metric, above = TASKS[task]
    score, half = float(np.clip(base + above, 0, 1)), 0.012 + 0.004 * rng.random()
    worst = tuple(
        WorstItem(f"q{item}", 0.0, "how do I cancel my order?", "Cancelling an order", "Refunds, 退款")
        for item in rng.integers(0, 500, 5)
    )
    result = CellResult(
        model=model,
        task=task,
        type=kind,
        status="ok",
        main_metric=metric,
        main_score=score,
        scores={"test/default": score},
        n_items=500,
        data_digest=task.encode().hex().ljust(64, "0")[:64],
        dataset_revision="r1",
        worst=worst,
        seconds=12.5,
        encode_seconds=9.0,
        texts=4000,
        texts_encoded=3600,
    )
    return ScoredCell(result, Interval(score - half, score + half))


def _summary(model: str, cells: list[ScoredCell]) -> ModelSummary:
    scores = [cell.result.main_score or 0.0 for cell in cells]
    mean = float(np.mean(scores))
    by_type = {cell.result.type: cell.result.main_score or 0.0 for cell in cells}
    return ModelSummary(model, mean, Interval(mean - 0.008, mean + 0.008), 1, 3, by_type)


def _pairs(cells: tuple[ScoredCell, ...], summary: tuple[ModelSummary, ...]) -> list[PairResult]:
    scores = {(row.model, MEAN): row.mean_score or 0.0 for row in summary}
    scores |= {(cell.result.model, cell.result.task): cell.result.main_score or 0.0 for cell in cells}
    pairs = []
    for first, second in combinations([kind.label for kind in KINDS], 2):
        for task in (MEAN, *TASKS):
            delta, half = scores[first, task] - scores[second, task], 0.007 if task == MEAN else 0.014
            verdict: Verdict = "better" if delta > half else "worse" if delta < -half else "inconclusive"
            p_value = float(np.exp(-abs(delta) / half * 3))
            interval = Interval(delta - half, delta + half)
            pairs.append(PairResult(first, second, task, delta, interval, p_value, min(1.0, 3 * p_value), verdict))
    return pairs


def _costs(rng: np.random.Generator, number: int) -> tuple[CostReport, CostSamples]:
    machine = float(np.exp(rng.normal(0, 0.03)))
    samples = {kind.label: _samples(kind, machine, rng) for kind in KINDS}
    ratios = [
        _ratio(first, second, first.query_ms / second.query_ms * float(np.exp(rng.normal(0, 0.01))))
        for first, second in combinations(KINDS, 2)
    ]
    report = CostReport(
        level="quick",
        device="cpu",
        models=tuple(
            ModelCost(kind.label, "ok", _figures(kind, samples[kind.label], rng), engine="packed") for kind in KINDS
        ),
        ratios=tuple(ratios),
        control=(_ratio(KINDS[0], KINDS[0], float(np.exp(rng.normal(0, 0.005)))),),
        unstable="",
        hardware={"cpu": "Example CPU", "cores": "8", "ram_gib": "32", "gpu": "", "platform": "Linux"},
        measured_at=(FIRST + number * BETWEEN_RUNS).isoformat(timespec="seconds"),
        seconds=90.0,
        seed=42,
        tolerance=0.05,
    )
    processes = tuple(
        ProcessFacts(
            kind.label, 0, 3.1, 0.4, 0.05, 250.0, 400.0, kind.memory_mib, kind.memory_mib - 90, 90.0, engine="packed"
        )
        for kind in KINDS
    )
    calls = tuple(sample for found in samples.values() for sample in found)
    return report, CostSamples(tuple(kind.label for kind in KINDS), calls, processes)


def _samples(kind: Kind, machine: float, rng: np.random.Generator) -> list[Sample]:
    wall = kind.query_ms / 1e3 * machine * np.exp(rng.normal(0, 0.12, 96))
    found = [
        Sample(kind.label, 0, "query", place, place, 1, 18, 18, float(seconds), float(seconds) * 0.99)
        for place, seconds in enumerate(wall)
    ]
    for place, texts in enumerate((1, 4, 16, 32)):
        seconds = kind.query_ms / 1e3 * machine * texts**0.8
        found.append(Sample(kind.label, 0, "batch", place, 0, texts, 18 * texts, 20 * texts, seconds, seconds * 2))
    return found


def _figures(kind: Kind, samples: list[Sample], rng: np.random.Generator) -> tuple[CostFigure, ...]:
    wall = 1e3 * np.array([sample.wall_s for sample in samples if sample.kind == "query"])
    figures = []
    for clock, share in (("latency/query", 1.0), ("latency/query_cpu", 0.99)):
        values = {f"p{percent}": float(np.percentile(wall, percent)) * share for percent in (50, 90, 95, 99)}
        values["mean"] = float(wall.mean()) * share
        for name, value in values.items():
            low, high = value * 0.97, value * 1.04
            figures.append(CostFigure(kind.label, f"{clock}/{name}_ms", value, "ms", 96, low, high, 0.12))
    for texts in (1, 4, 16, 32):
        rate = 1e3 / kind.query_ms * texts**0.2
        figures.append(CostFigure(kind.label, f"batch/{texts}/texts_per_s", rate, "texts/s", 12))
    for length, factor in (("short", 1.0), ("medium", 0.4), ("long", 0.15)):
        rate = 1e3 / kind.query_ms * 2 * factor
        figures.append(CostFigure(kind.label, f"throughput/{length}/texts_per_s", rate, "texts/s", 6))
    figures += [
        CostFigure(kind.label, "throughput/texts_per_s", 1e3 / kind.query_ms, "texts/s", 18),
        CostFigure(kind.label, "memory/peak_mib", kind.memory_mib + float(rng.normal(0, 4)), "MiB"),
        CostFigure(kind.label, "memory/model_mib", kind.memory_mib * 0.2, "MiB"),
        CostFigure(kind.label, "index/documents_1m_mib", 4 * kind.dimension * 1e6 / 2**20, "MiB"),
    ]
    return tuple(figures)


def _ratio(first: Kind, second: Kind, ratio: float) -> CostRatio:
    low, high = ratio * 0.98, ratio * 1.02
    verdict: RatioVerdict = "dearer" if low > 1.05 else "cheaper" if high < 1 / 1.05 else "same"
    return CostRatio(first.label, second.label, "latency/query_cpu", ratio, low, high, 96, verdict)


# ------------------------------------------------------------ gates


def gate_of(seed: int, number: int) -> GateReport:
    """Return the gate of one release: of the same model or the next better one; some fail."""
    rng = np.random.default_rng([seed, 2, number])
    kind = KINDS[int(rng.integers(0, len(KINDS)))]
    change = float(rng.normal(0.001, 0.004))
    rules = [_rule("mean", change, MARGIN, 0.003)]
    rules += [_rule(f"task:{task}", change + float(rng.normal(0, 0.004)), 0.02, 0.012) for task in TASKS]
    rules += [_cost_rule("query_latency_p50", float(np.exp(rng.normal(0, 0.03)))), _cost_rule("peak_memory", 1.0)]
    verdict = overall(rules)
    policy = Policy(
        quality=(QualityRule("mean", MARGIN), QualityRule("task:*", 0.02)),
        cost=(CostRule("query_latency_p50", max_ratio=1.1), CostRule("peak_memory", max_ratio=1.1)),
        source=f"suites/{SUITE}.yaml",
    )
    return GateReport(
        gate_id=f"{number:06x}{seed:026x}",
        verdict=verdict,
        exit_code=exit_code(verdict, on_inconclusive="fail", report_only=False),
        rules=tuple(rules),
        candidate=meta_of(kind, number + 1),
        baseline=meta_of(kind, number),
        candidate_source="just measured",
        baseline_source="champion",
        suite=SuiteInfo(SUITE, f"{0:064x}", path=f"suites/{SUITE}.yaml"),
        policy=policy,
        environment=ENVIRONMENT,
        started=(FIRST + number * 3 * BETWEEN_RUNS).isoformat(timespec="seconds"),
        seconds=64.0,
        identical=False,
        power="This suite would catch a regression of 0.8 points of the mean with 80 % power.",
        command=f"benchkit gate {kind.label} --suite {SUITE} --baseline champion",
    )


def _rule(on: str, change: float, margin: float, half: float) -> RuleResult:
    low, high = change - half, change + half
    verdict: RuleVerdict = "pass" if low > -margin else "fail" if high < 0 else "inconclusive"
    return RuleResult(
        id=f"quality/{on}",
        group="quality",
        on=on.removeprefix("task:"),
        verdict=verdict,
        severity="block",
        sentence=f"{on}: {100 * change:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f}).",
        candidate=0.66 + change,
        baseline=0.66,
        change=change,
        low=low,
        high=high,
        bound=low,
        threshold=-margin,
        detectable=0.008,
        items_needed=2600,
        n=2000,
    )


def _cost_rule(metric: str, ratio: float) -> RuleResult:
    verdict: RuleVerdict = "pass" if ratio * 1.02 < 1.1 else "inconclusive"
    return RuleResult(
        id=f"cost/{metric}",
        group="cost",
        on=metric,
        verdict=verdict,
        severity="block",
        sentence=f"{metric} is {ratio:.3f} times the baseline's.",
        candidate=8.0 * ratio,
        baseline=8.0,
        change=ratio,
        low=ratio * 0.98,
        high=ratio * 1.02,
        bound=ratio * 1.02,
        threshold=1.1,
        n=96,
    )


# ------------------------------------------------------------ drift


def check_of(seed: int, number: int, n_windows: int, baseline: BaselineInfo) -> DriftReport:
    """Return the check of one day, made since the baseline was; the data of the last tenth of the days have changed."""
    rng = np.random.default_rng([seed, 3, number])
    since = number - (n_windows - max(1, n_windows // 10))
    p_value = float(rng.uniform(0.02, 1)) if since < 0 else 1e-4
    detector = float(rng.gamma(2, 25)) if since < 0 else min(150.0 * 1.8 ** (since + 1), 25_000.0)
    is_alarm = detector >= 1000
    day = FIRST + number * WINDOW
    report = DriftReport(
        baseline=baseline,
        window=WindowInfo(
            "logs/help-centre/",
            int(rng.normal(2000, 90)),
            day.isoformat(),
            (day + WINDOW - timedelta(seconds=1)).isoformat(),
            number + 1,
            model="minilm",
            fingerprint=meta_of(KINDS[0], number // 60).fingerprint,
        ),
        policy=DriftPolicy(),
        kind="data" if is_alarm else "none",
        severity="warn" if is_alarm else "ok",
        reason="The data changed: more questions on refunds." if is_alarm else "No statistic differs.",
        advice="Look at the new questions, and renew the baseline." if is_alarm else "Nothing needs to be done.",
        breaks_policy=is_alarm,
        p_value=p_value,
        checked_at=(datetime.fromisoformat(baseline.created) + timedelta(seconds=number)).isoformat(),
        statistics=tuple(
            StatisticResult(name, float(rng.random()), min(1.0, p_value * factor), 0.04, "of the distance between rows")
            for name, factor in (("centroid", 1.1), ("ridge_mahalanobis", 1.4), ("novelty", 2.0))
        ),
        evidence=Evidence(0.5 / p_value**0.5, detector, 1000, number + 1),
        harm=Harm(n_canaries=64, identity=1.0, overlap_at_10=1.0, low_score_share=0.05 + (0.06 if is_alarm else 0.0)),
    )
    changed = ClusterChange(7, 0.02, 0.09, 9.4, ("refund", "退款"), ("When do I get my money back?",))
    return replace(report, clusters=(changed,)) if is_alarm else report
