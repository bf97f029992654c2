"""Drift checks as rows of tables, and the command that makes one again.

CheckRow ──── window_row ──> the row of a window in the list of all
DriftReport ─ harm_rows, statistic_rows, region_rows, ... ──> the rows of its tables
            ─ check_command ──> benchkit drift check ...

What wasn't measured has no row, or None: never 0.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from benchkit.report import words
from benchkit.report.board_words import Standing
from benchkit.report.drift_words import SEVERITY_WORDS, percent, region_name
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo, DriftPolicy, DriftReport, DriftSeverity, Harm
from dashboards.place import Row, plain

STANDINGS: dict[DriftSeverity, Standing] = {"ok": "good", "info": "info", "warn": "warning", "critical": "bad"}
# Of the shapes that the time line has for them: a cell of a table has no colour, and not every font has pictures.
_SHAPES: dict[DriftSeverity, str] = {"ok": "●", "info": "■", "warn": "▲", "critical": "◆"}
LOW_SHARE = 0.05  # of queries under the baseline's own 5th percentile
KEPT, NO_LIMIT = "kept", ""
_DEFAULT = DriftPolicy()
_NAME = 80


def is_alarm(row: CheckRow) -> bool:
    """Tell whether a window is an alarm: for people, or by its policy."""
    return row.breaks_policy or row.severity in ("warn", "critical")


def verdict_words(severity: DriftSeverity) -> str:
    """Return a severity with its shape.

    >>> verdict_words("warn")
    '▲ WARN'
    """
    return f"{_SHAPES[severity]} {SEVERITY_WORDS[severity]}"


def span_words(start: str, end: str, source: str = "") -> str:
    """Return the times of a window for people; its source where its rows have none.

    >>> span_words("2026-10-25T16:16:26+00:00", "2026-10-28T02:53:11Z")
    '2026-10-25 16:16 to 2026-10-28 02:53'
    """
    if not start and not end:
        return plain(source, _NAME)
    return " to ".join(plain(time[:16]).replace("T", " ") for time in (start, end) if time)


def window_row(row: CheckRow) -> Row:
    """Return a window as a list shows it, before all that the store says of it."""
    shown = {
        "window": span_words(row.start, row.end, row.source),
        "verdict": verdict_words(row.severity),
        # Cut and not rounded, so that it never seems to reach an alarm that it doesn't.
        "evidence": None if row.detector is None else math.floor(100 * row.detector) / 100,
    }
    return {**shown, **asdict(row)}


# ---------------------------------------------------------------- harm


def harm_rows(report: DriftReport) -> list[Row]:
    """Return what canaries and scores say, each beside what it was and what the policy allows."""
    return list(_harm_rows(report.harm, report.policy)) if report.harm is not None else []


def _harm_rows(harm: Harm, policy: DriftPolicy) -> Iterator[Row]:
    yield from _measured("canaries: mean cosine to the stored vector", harm.identity, before=1.0, form="cosine")
    yield from _measured("canaries: smallest such cosine", harm.worst_identity, before=1.0, form="cosine")
    warn, critical = policy.warn_overlap, policy.critical_overlap
    limit = f"warn < {percent(warn)}"
    kept = _below(harm.overlap_at_10, warn)
    yield from _measured("overlap@10 in an index built anew", harm.overlap_at_10, before=1.0, limit=limit, found=kept)
    limit = f"{limit}, critical < {percent(critical)}"
    kept = _below(harm.mixed_overlap_at_10, warn, critical)
    yield from _measured("overlap@10 in the live index", harm.mixed_overlap_at_10, before=1.0, limit=limit, found=kept)
    yield from _measured("top-1 that stays in the live index", harm.top1_agreement, before=1.0)
    yield from _measured(
        "nearest neighbour of the same cluster", harm.pseudo_label_accuracy, before=harm.pseudo_label_before
    )
    yield from _judged(harm)
    most = LOW_SHARE + policy.warn_score_drop
    yield from _measured(
        "queries under the baseline's 5th percentile of scores",
        harm.low_score_share,
        before=LOW_SHARE,
        limit=f"warn > {percent(most)}, if sure",
        found=_low_scores(harm, most),
    )


def _measured(
    what: str,
    now: float | None,
    *,
    before: float | None = None,
    limit: str = NO_LIMIT,
    found: str = "",
    form: str = "share",
) -> Iterator[Row]:
    if now is None:
        return
    shown = [_cosine(value) if form == "cosine" else _share(value) for value in (now, before)]
    numbers = {"now_value": now, "before_value": before}
    yield {"measure": what, "now": shown[0], "before": shown[1], "limit": limit, "verdict": found, **numbers}


def _judged(harm: Harm) -> Iterator[Row]:
    if harm.ndcg_at_10 is None:
        return
    low, high = harm.ndcg_change_low, harm.ndcg_change_high
    change = {} if low is None or high is None else {"change_low": low, "change_high": high}
    ends = f"{words.signed_points(low)} to {words.signed_points(high)} points" if change else words.ABSENT
    yield {
        "measure": "nDCG@10 of the judged canaries (points)",
        "now": words.points(harm.ndcg_at_10),
        "before": words.points(harm.ndcg_before),
        "limit": "warn if surely lower" if change else NO_LIMIT,
        "verdict": f"{_side(low, high)}: {ends}" if low is not None and high is not None else "",
        "now_value": harm.ndcg_at_10,
        "before_value": harm.ndcg_before,
        **change,
    }


def _side(low: float, high: float) -> str:
    return "surely lower" if high < 0 else "surely higher" if low > 0 else "no sure change"


def _below(value: float | None, warn: float, critical: float | None = None) -> str:
    if value is not None and critical is not None and value < critical:
        return "critical"
    return "" if value is None else "warn" if value < warn else KEPT


def _low_scores(harm: Harm, most: float) -> str:
    if harm.low_score_share is None:
        return ""
    p = "" if harm.low_score_p is None else f", p {words.p_equals(harm.low_score_p)}"
    return f"{'above' if harm.low_score_share > most else KEPT}{p}"


def _cosine(value: float | None) -> str:
    return words.ABSENT if value is None else f"{value:.5f}"


def _share(value: float | None) -> str:
    return words.ABSENT if value is None else percent(value)


# ---------------------------------------------------------------- statistics, regions, segments


def statistic_rows(report: DriftReport) -> list[Row]:
    """Return the statistics with their effects in words beside the numbers."""
    return [
        {
            "statistic": found.name,
            "p": words.p_words(found.p_value),
            "effect": "" if found.effect is None else f"{found.effect:.3g} {found.unit}".rstrip(),
            **{f"{name}_number": value for name, value in asdict(found).items() if name not in ("name", "unit")},
            "unit": found.unit,
        }
        for found in report.statistics
    ]


def region_rows(report: DriftReport) -> list[Row]:
    """Return the changed regions; keywords and texts are "" where none were kept."""
    return [
        {
            "region": region_name(change),
            "verdict": "▲ grew" if change.window_share > change.baseline_share else "▼ shrank",
            "before": percent(change.baseline_share),
            "now": percent(change.window_share),
            "z": round(change.z, 2),
            "keywords": ", ".join(change.keywords),
            "texts_now": " · ".join(change.examples),
            "texts_of_the_baseline": " · ".join(change.baseline_examples),
            "cluster": change.cluster,
            "baseline_share": change.baseline_share,
            "window_share": change.window_share,
        }
        for change in report.clusters
    ]


def has_texts(report: DriftReport) -> bool:
    """Tell whether the report holds words or texts of the window's rows."""
    return any(change.keywords or change.examples for change in report.clusters)


def segment_rows(report: DriftReport) -> list[Row]:
    """Return the tests of the segments, alarms first."""
    ranked = sorted(report.segments, key=lambda found: (not found.is_alarm, -(found.e_value or 0.0)))
    return [
        {
            "segment": found.segment,
            "verdict": "■ drifts" if found.is_alarm else "● no alarm" if found.p_value is not None else "not tested",
            "rows": found.rows,
            "p_value": found.p_value,
            "e_value": found.e_value,
        }
        for found in ranked
    ]


# ---------------------------------------------------------------- the command


def check_command(report: DriftReport, *, is_single: bool = True) -> str:
    """Return the command that holds the same rows against the same baseline, under the same policy.

    Args:
        is_single: Whether it was a check of its own: rows without times are then the last ones of their source.
    """
    parts = ["benchkit drift check", shlex.quote(report.window.source)]
    parts.append(f"--baseline {shlex.quote(report.baseline.name)}")
    if span := _span(report.window.start, report.window.end):
        parts.append(f"--window {span}")
    elif is_single and report.window.rows:
        parts.append(f"--last {report.window.rows}")
    policy = report.policy
    if policy.false_alarms != _DEFAULT.false_alarms:
        parts.append(f"--false-alarms {policy.false_alarms:g}")
    if policy.tolerance != _DEFAULT.tolerance:
        parts.append(f"--tolerance {policy.tolerance:g}")
    if policy.fail_on != _DEFAULT.fail_on:
        parts.append(f"--fail-on {policy.fail_on}")
    if report.baseline.n_canaries and not (report.harm and report.harm.n_canaries):
        parts.append("--no-canary")
    if has_texts(report):
        parts.append("--keep-texts")
    if report.projection is not None and report.projection.layout:
        parts.append("--layout umap")
    return plain(" ".join(parts), 2000)


def canary_command(baseline: BaselineInfo) -> str:
    """Return the command that makes a baseline anew with canaries out of its own source."""
    parts = ["benchkit drift baseline renew", shlex.quote(baseline.name), "--from", shlex.quote(baseline.source)]
    parts += ["--model", shlex.quote(baseline.model) if baseline.model else "MODEL", "--canary source"]
    return plain(" ".join(parts), 2000)


def _span(start: str, end: str) -> str:
    """Return the times as --window takes them: its end isn't part of it, and times are told in whole seconds.

    >>> _span("2026-10-25T16:16:26Z", "2026-10-28T02:53:11Z")
    '2026-10-25T16:16:26Z..2026-10-28T02:53:12Z'
    """
    try:
        first, last = map(_utc, (start, end))
        after = last.replace(microsecond=0) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return ""
    return "..".join(f"{time:%Y-%m-%dT%H:%M:%S}Z" for time in (first, after))


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
