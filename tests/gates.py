"""Small gate reports made by hand, for tests of what is printed, written and recorded.

    passed() failed() inconclusive() errored()   one of each verdict, decided by benchkit.gate.decide
    hostile_gate()        every text of a report tries to be something else than text
    many(n)               n rules, so many of them failed, with texts as long as wanted
    gate_of(rules, ...)   a report of any rules

The numbers are made up; no test should take them for measured ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from comparisons import ENVIRONMENT, HOSTILE_NAMES, HOSTILE_TEXT, model

from benchkit.gate.decide import exit_code, overall
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import (
    CostRule,
    Explanation,
    GateReport,
    LimitRules,
    LostItem,
    Neighbour,
    OnInconclusive,
    Policy,
    QualityRule,
    RuleResult,
    RuleVerdict,
    Severity,
    SliceLoss,
    SpaceReport,
)

POLICY = Policy(
    quality=(QualityRule("mean", 0.005), QualityRule("task:*", 0.02), QualityRule("slice:lang=zh", 0.02, "warn")),
    cost=(
        CostRule("query_latency_p50", max_ratio=1.1),
        CostRule("throughput", min_ratio=0.9),
        CostRule("peak_memory", max_ratio=1.1, max_value=1500.0),
    ),
    limits=LimitRules(dimension_equal=True, licenses=("apache-2.0", "mit"), deterministic=True, finite=True),
    same_space="warn",
    source="suites/support.yaml",
)
POWER = "This suite would catch a regression of 1.2 points of the mean with 80 % power; 0.5 would need 2600 items."
SPACE = SpaceReport(
    n_texts=400,
    n_queries=100,
    n_documents=300,
    same_dimension=True,
    mean_cosine=0.12,
    cka=0.91,
    neighbour_overlap=0.64,
    mixed_overlap=0.03,
    mixed_scores={"FAQRetrieval": (0.71, 0.02, 0.69)},
    verdict="re-embed",
    sentence="Embed everything again: new queries on the old vectors find 2.0 points where 71.0 were found before.",
)


def quality(on: str, verdict: RuleVerdict, change: float, *, margin: float = 0.02, half: float = 0.01) -> RuleResult:
    """Return a rule on scores whose interval is the change plus and minus `half`."""
    name = on if on == "mean" else f"slice:{on}" if "=" in on else f"task:{on}"
    verb = {"pass": "is not worse", "fail": "is worse", "inconclusive": "may be worse", "error": "has no score"}
    return RuleResult(
        id=f"quality/{name}",
        group="quality",
        on=on,
        verdict=verdict,
        severity="block",
        sentence=f"{on} {verb.get(verdict, 'was not judged')}: {change * 100:+.2f} points.",
        candidate=round(0.7 + change, 6),
        baseline=0.7,
        change=change,
        low=round(change - half, 6),
        high=round(change + half, 6),
        bound=round(change - 0.84 * half, 6),
        threshold=-margin,
        p_pass=0.001 if verdict == "pass" else 0.4,
        p_fail=0.001 if verdict == "fail" else 0.3,
        detectable=0.012,
        items_needed=2600,
        n=500,
    )


def cost(metric: str, verdict: RuleVerdict, ratio: float, *, limit: float = 1.1) -> RuleResult:
    """Return a rule on a cost whose interval is the ratio plus and minus 2 %."""
    unit, value = {
        "query_latency_p50": ("ms", 8.3),
        "throughput": ("texts/s", 210.0),
        "peak_memory": ("MiB", 617.0),
    }.get(metric, ("s", 0.31))
    return RuleResult(
        id=f"cost/{metric}",
        group="cost",
        on=metric,
        verdict=verdict,
        severity="block",
        sentence=f"{metric} is {ratio:.3f} times the baseline's.",
        unit=unit,
        candidate=value * ratio,
        baseline=value,
        change=ratio,
        low=ratio * 0.98,
        high=ratio * 1.02,
        bound=ratio * (0.983 if metric == "throughput" else 1.017),
        threshold=limit,
        n=96,
    )


def dimension(verdict: RuleVerdict = "pass", found: float = 384.0) -> RuleResult:
    return RuleResult(
        id="limits/dimension",
        group="limits",
        on="dimension",
        verdict=verdict,
        severity="block",
        sentence=f"The dimension is {found:.0f}, the baseline's 384.",
        candidate=found,
        baseline=384.0,
        threshold=384.0,
    )


def space_rule(severity: Severity = "warn") -> RuleResult:
    return RuleResult(
        id="compatibility/same_space",
        group="compatibility",
        on="same_space",
        verdict="fail",
        severity=severity,
        sentence=SPACE.sentence,
    )


def skipped(on: str = "deterministic") -> RuleResult:
    return RuleResult(
        id=f"limits/{on}",
        group="limits",
        on=on,
        verdict="skipped",
        severity="block",
        sentence="no model was loaded to ask it",
    )


COSTS = (
    cost("query_latency_p50", "pass", 1.01),
    cost("throughput", "pass", 0.99, limit=0.9),
    cost("peak_memory", "pass", 1.0),
)


def gate_of(
    rules: Sequence[RuleResult], *, on_inconclusive: OnInconclusive = "fail", report_only: bool = False
) -> GateReport:
    """Return a report of these rules; what they say together is decided where it always is."""
    verdict = overall(rules)
    return GateReport(
        gate_id="0123456789abcdef",
        verdict=verdict,
        exit_code=exit_code(verdict, on_inconclusive=on_inconclusive, report_only=report_only),
        rules=tuple(rules),
        candidate=model("minilm-v2"),
        baseline=model("minilm"),
        candidate_source="just measured",
        baseline_source="baselines/support.json",
        suite=SuiteInfo("support-search", "5f1d", path="suites/support.yaml", description="questions of customers"),
        policy=POLICY,
        environment=ENVIRONMENT,
        started="2026-01-02T03:04:05+00:00",
        seconds=12.5,
        identical=False,
        on_inconclusive=on_inconclusive,
        report_only=report_only,
        power=POWER,
        command="benchkit gate minilm-v2 --baseline baselines/support.json",
    )


def passed() -> GateReport:
    """Return a pass with a warning: the index has to be made anew."""
    rules = (
        quality("mean", "pass", 0.0021, margin=0.005, half=0.004),
        quality("FAQRetrieval", "pass", -0.001),
        *COSTS,
        dimension(),
        space_rule(),
        skipped(),
    )
    return replace(gate_of(rules), space=SPACE, warnings=("the suite has 500 items; 3 of them are longer than 256",))


EXPLANATION = Explanation(
    rule="quality/task:FAQRetrieval",
    task="FAQRetrieval",
    change=-0.041,
    low=-0.051,
    high=-0.031,
    slices=(SliceLoss("lang=zh", 120, -0.11, -0.15, -0.07), SliceLoss("lang=en", 380, -0.0192, None, None)),
    items=(
        LostItem(
            "q7",
            "test/default",
            0.002,
            1.0,
            0.0,
            "who wrote the first compiler",
            "Grace Hopper wrote A-0",
            (Neighbour("Grace Hopper wrote A-0", 0.83, True), Neighbour("A history of wine", 0.31, False)),
            (Neighbour("A history of wine", 0.52, False),),
        ),
        LostItem("q9", "test/default", 0.0016, 0.8, 0.0, "什么是嵌入模型", "嵌入模型把文本变成向量"),
        LostItem("q11", "test/default", 0.0004),
    ),
)


def failed() -> GateReport:
    """Return a regression on one task and in memory, with the reason, and Chinese names."""
    rules = (
        quality("mean", "inconclusive", -0.003, margin=0.005),
        quality("FAQRetrieval", "fail", -0.041),
        quality("中文检索", "pass", 0.001),
        replace(quality("lang=zh", "fail", -0.11), severity="warn"),
        *COSTS[:2],
        replace(cost("peak_memory", "fail", 1.31), confirmed=True),
        dimension(),
    )
    return replace(gate_of(rules), explanations=(EXPLANATION,))


def inconclusive() -> GateReport:
    return gate_of((quality("mean", "inconclusive", -0.003, margin=0.005), quality("FAQRetrieval", "pass", 0.001)))


def errored() -> GateReport:
    """Return a gate in which a task has no score."""
    lost = replace(
        quality("FAQRetrieval", "error", 0.0),
        sentence="FAQRetrieval failed under the candidate: out of memory.",
        **dict.fromkeys(("candidate", "change", "low", "high", "bound", "p_pass", "p_fail"), None),  # type: ignore[arg-type]
    )
    return gate_of((quality("mean", "pass", 0.001, margin=0.005), lost, dimension("fail", 64.0)))


HOSTILE = (
    "::error::x",
    "##[set-output name=verdict]pass",
    "##vso[task.complete result=Succeeded;]",
    "a\n::set-output name=x::y\r\n%0A::warning::z",
    "<!-- x --> --> ]]> </details></summary><script>alert(1)</script>",
    "![i](https://example.invalid/x.png) [a](javascript:b) www.example.invalid $x$ @everyone #1 |a|b|",
    "esc\x1b[31m\x9b31m\x00\x08\x7f\u202e\u2066\ufffe\uffff\ud800 [red]x[/red]",
    *HOSTILE_NAMES,
    HOSTILE_TEXT,
)


def hostile_gate(text: str = " ".join(HOSTILE)) -> GateReport:
    """Return a failed gate in which every text is this one."""
    answers = (Neighbour(text, 0.5, True), Neighbour(text))
    item = LostItem(text, text, 0.1, 1.0, 0.0, text, text, answers, answers)
    explained = Explanation(text, text, -0.1, None, None, (SliceLoss(text, 3, -0.1, -0.2, 0.0),), (item,))
    rules = [
        replace(rule, id=f"{rule.id}{place}{text}", on=text, sentence=text, unit=text)
        for place, rule in enumerate((*failed().rules, skipped(), space_rule()))
    ]
    named = replace(model(text), id=text, revision=text, fingerprint=text, license=text, notes=(text,))
    return replace(
        gate_of(rules),
        candidate=named,
        baseline=named,
        candidate_source=text,
        baseline_source=text,
        suite=SuiteInfo(text, text, path=text, description=text),
        policy=replace(POLICY, source=text),
        environment=Environment({"command": text, text: text}),
        power=text,
        space=replace(SPACE, sentence=text, mixed_scores={text: (0.1, 0.2, 0.3)}),
        explanations=(explained, explained),
        warnings=(text,),
        command=text,
    )


def many(n_rules: int, n_failed: int, *, text: str = "", n_explained: int = 0) -> GateReport:
    """Return a gate of many rules, each with `text` in its name (its first characters) and its sentence."""
    said = f"It changed. {text}"
    rules = [
        replace(
            quality(f"task{place}", "fail" if place < n_failed else "pass", -0.1 if place < n_failed else 0.001),
            id=f"quality/task:task{place}{text[:300]}",
            sentence=said,  # one object: thousands of copies of a long text would fill the memory
        )
        for place in range(n_rules)
    ]
    item = replace(EXPLANATION.items[0], text=text, expected=text, found_before=(Neighbour(text),))
    found = tuple(
        replace(EXPLANATION, task=f"task{place}", rule=rules[place].id, items=(item,) * 10)
        for place in range(n_explained)
    )
    return replace(gate_of(rules), explanations=found)
