"""Reports of a drift monitor as a person would get them, and one in which every text is hostile."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gates import HOSTILE

from benchkit.types.drift import (
    BaselineInfo,
    CanaryChange,
    ClusterChange,
    DriftPolicy,
    DriftReport,
    Evidence,
    Harm,
    HealthFinding,
    ProjectedRegion,
    Projection,
    RegionPlace,
    SegmentDriver,
    SegmentResult,
    StatisticResult,
    WindowInfo,
)

HOSTILE_TEXT = " ".join(HOSTILE)
BASELINE = BaselineInfo(
    name="support",
    created="2026-11-01T08:00:00+00:00",
    source="s3://example/support/",
    rows=20_000,
    dimension=384,
    model="all-MiniLM-L6-v2",
    fingerprint="0123456789abcdef0123456789abcdef",
    n_canaries=64,
    n_windows=30,
    digest="d" * 64,
    bytes=412_345,
)
_STATISTICS = (
    ("centroid", 2.7e-3, 0.0004, 0.041, "of the distance between rows"),
    ("ridge_mahalanobis", 512.25, 0.031, None, ""),
    ("novelty", 0.081, 0.00005, 0.06, "of rows further out"),
)
STATISTICS = tuple(StatisticResult(*row) for row in _STATISTICS)
CLUSTERS = (
    ClusterChange(
        7,
        0.021,
        0.094,
        9.41,
        ("refund", "chargeback", "card"),
        ("My card was charged twice, when do I get my money back?", "refund not received"),
        ("How do I change my card?",),
    ),
    ClusterChange(3, 0.12, 0.081, -4.2, (), (), ("Where is my parcel?", "Track my order")),
    ClusterChange(61, 0.0, 0.0125, 6.0, ("发票",), ("如何开具发票？",), ()),
)
SEGMENTS = (SegmentResult("web", 420, 0.21, 0.9, False), SegmentResult("app (iOS)", 80, 0.0002, 35.5, True))
DRIVERS = (
    SegmentDriver("app (iOS)", 0.85, 0.7, 0.1, 0.16),
    SegmentDriver("web", 0.25, 0.25, 0.85, 0.8),
    SegmentDriver("fax", 0.0125, 0.0125, 0.03, 0.03),
    SegmentDriver("(all others)", -0.075, -0.0004, 0.02, 0.01),
)
WORST = (
    CanaryChange("Where is my parcel?", 0.40017, 0.1, "Track my order", "How do I change my card?"),
    CanaryChange("refund not received", 0.61, 0.3, "My money back", "My money back"),
)
PROJECTION = Projection(
    regions=(ProjectedRegion(3, -0.31, 0.12, 0.12, 0.081), ProjectedRegion(7, 0.4, -0.2, 0.021, 0.094)),
    window=((-0.3001, 0.1), (0.4123, -0.21), (0.5, 0.0)),
    x_range=(-0.6, 0.55),
    y_range=(-0.4, 0.45),
    explained=0.231,
    layout=(RegionPlace(3, 0.0, 1.0), RegionPlace(7, 1.0, 0.25)),
)
HARM = Harm(
    n_canaries=64,
    identity=0.71234,
    worst_identity=0.40017,
    overlap_at_10=0.61,
    mixed_overlap_at_10=0.42,
    top1_agreement=0.55,
    pseudo_label_accuracy=0.8,
    pseudo_label_before=0.95,
    ndcg_at_10=0.521,
    ndcg_before=0.612,
    ndcg_change_low=-0.12,
    ndcg_change_high=-0.061,
    low_score_share=0.154,
    low_score_p=0.0003,
)


def quiet() -> DriftReport:
    """Return a window in which nothing was found."""
    return DriftReport(
        baseline=BASELINE,
        window=WindowInfo("logs/", 500, "2026-11-20T00:00:00Z", "2026-11-20T23:59:58Z", 39),
        policy=DriftPolicy(),
        kind="none",
        severity="ok",
        reason="No statistic differs from the baseline (p = 0.41).",
        advice="Nothing needs to be done.",
        breaks_policy=False,
        p_value=0.41,
        checked_at="2026-11-21T00:01:00+00:00",
        statistics=STATISTICS[1:2],
        evidence=Evidence(0.8, 3.25, 1000, 39),
    )


def critical() -> DriftReport:
    """Return a window with everything in it."""
    return replace(
        quiet(),
        window=WindowInfo("logs/", 500, "2026-11-21T00:00:00Z", "2026-11-21T23:59:59Z", 40),
        kind="model",
        severity="critical",
        reason="The model that answers is not the baseline's: canaries come back at a cosine of 0.712.",
        advice="Roll back to the baseline's model, or re-embed the whole index and renew the baseline.",
        breaks_policy=True,
        p_value=0.00005,
        checked_at="2026-11-22T00:01:00+00:00",
        health=(
            HealthFinding("norm", "warn", "numeric", 1.31, 1.0, "The mean norm is 1.31 and was 1.00 in the baseline."),
        ),
        statistics=STATISTICS,
        evidence=Evidence(812.5, 4321.75, 1000, 40),
        harm=HARM,
        clusters=CLUSTERS,
        segments=SEGMENTS,
        notes=("12 rows came later than their window had been closed, and were counted in this one",),
    )


def full() -> DriftReport:
    """Return the critical window with what newer reports have: a projection, drivers, worst canaries, its model."""
    made = critical()
    return replace(
        made,
        window=replace(made.window, model="bge-small", fingerprint="fedcba9876543210"),
        harm=replace(HARM, worst=WORST),
        projection=PROJECTION,
        drivers=DRIVERS,
    )


def bare() -> DriftReport:
    """Return a window of rows without times, too few for a test, against a baseline of which little is known."""
    base = replace(BASELINE, model="", fingerprint="", n_canaries=0, n_windows=0, digest="", bytes=0)
    few = WindowInfo("rows.parquet", 12)
    return replace(quiet(), baseline=base, window=few, p_value=None, statistics=(), evidence=None)


def history(n: int = 40) -> list[DriftReport]:
    """Return windows of one day each, of which the last is critical."""
    draw = random.Random(5)
    first = datetime(2026, 10, 13, tzinfo=UTC)
    reports = []
    for number in range(1, n):
        day = first + timedelta(days=number - 1)
        p_value = draw.random()
        made = replace(
            quiet(),
            window=WindowInfo(
                "logs/", draw.randrange(450, 550), f"{day:%Y-%m-%d}T00:00:00Z", f"{day:%Y-%m-%d}T23:59:59Z", number
            ),
            p_value=p_value,
            reason=f"No statistic differs from the baseline (p = {p_value:.2g}).",
            checked_at=(day + timedelta(days=1, minutes=1)).isoformat(),
            evidence=Evidence(0.5 / p_value**0.5, 1 + 40 * draw.random(), 1000, number),
        )
        if number % 13 == 0:
            made = replace(
                made, kind="data", severity="info", reason="The data changed, but queries find as well.", p_value=0.004
            )
        reports.append(made)
    return [*reports, critical()]


def hostile(text: str = HOSTILE_TEXT) -> DriftReport:
    """Return a critical window in which every text is this one."""
    made = critical()
    return replace(
        made,
        baseline=replace(BASELINE, name=text, created=text, source=text, model=text, fingerprint=text, digest=text),
        window=WindowInfo(text, 500, "2026-11-21T00:00:00Z", "2026-11-21T23:59:59Z", 40),
        reason=text,
        advice=text,
        health=(replace(made.health[0], name=text, sentence=text),),
        statistics=tuple(replace(found, name=text, unit=text) for found in made.statistics),
        clusters=(replace(CLUSTERS[0], keywords=(text,), examples=(text, text), baseline_examples=(text,)),),
        segments=(replace(SEGMENTS[0], segment=text),),
        notes=(text,),
    )
