"""Reports as rows of a board: the same ones that the store's reader makes of what it kept.

reports of one baseline, oldest first ── check_rows ──> CheckRow for each ── charts of drift over time
"""

from __future__ import annotations

from collections.abc import Sequence

from benchkit.types.board import CheckRow
from benchkit.types.drift import DriftReport, Harm


def check_rows(reports: Sequence[DriftReport]) -> tuple[CheckRow, ...]:
    """Return a row for each report, in their order; its key is its place, from 1 on."""
    return tuple(_check_row(report, key) for key, report in enumerate(reports, start=1))


def _check_row(report: DriftReport, key: int) -> CheckRow:
    window, found, harm = report.window, report.evidence, report.harm or Harm()
    return CheckRow(
        key=key,
        baseline=report.baseline.name,
        source=window.source,
        # A report doesn't name its watch; those of two sources are two lines.
        stream=window.source if found else "",
        number=window.number,
        start=window.start,
        end=window.end,
        checked_at=report.checked_at,
        rows=window.rows,
        severity=report.severity,
        kind=report.kind,
        breaks_policy=report.breaks_policy,
        reason=report.reason,
        p_value=report.p_value,
        false_alarms=report.policy.false_alarms,
        detector=found.detector if found else None,
        run_length=found.run_length if found else None,
        overlap_at_10=harm.overlap_at_10,
        identity=harm.identity,
        ndcg_at_10=harm.ndcg_at_10,
        low_score_share=harm.low_score_share,
        fingerprint=window.fingerprint,
    )
