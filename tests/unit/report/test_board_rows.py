"""A report as a row of the board: every field from its place, nothing made up where nothing was measured."""

from __future__ import annotations

from dataclasses import fields, replace

import drift_reports

from benchkit.report.board_rows import check_rows
from benchkit.types.board import CheckRow


def test_a_row_has_what_its_report_says() -> None:
    report = drift_reports.critical()
    report = replace(report, window=replace(report.window, fingerprint="f" * 32))
    assert check_rows([drift_reports.quiet(), report])[1] == CheckRow(
        key=2, baseline="support", source="logs/", stream="logs/", number=40, start="2026-11-21T00:00:00Z",
        end="2026-11-21T23:59:59Z", checked_at="2026-11-22T00:01:00+00:00", rows=500, severity="critical", kind="model",
        breaks_policy=True, reason=report.reason, p_value=0.00005, false_alarms=0.01, detector=4321.75, run_length=1000,
        overlap_at_10=0.61, identity=0.71234, ndcg_at_10=0.521, low_score_share=0.154, fingerprint="f" * 32,
    )  # fmt: skip


def test_what_was_not_measured_is_none() -> None:
    (row,) = check_rows([drift_reports.bare()])
    absent = {field.name for field in fields(row) if getattr(row, field.name) is None}
    assert absent == {
        "p_value", "detector", "run_length", "overlap_at_10", "identity", "ndcg_at_10", "low_score_share",
    }  # fmt: skip
    assert check_rows([]) == ()


def test_watches_of_two_sources_are_two_streams_and_single_checks_none() -> None:
    watched = drift_reports.critical()
    other = replace(watched, window=replace(watched.window, source="other/"))
    single = replace(watched, evidence=None)
    assert [row.stream for row in check_rows([watched, other, single])] == ["logs/", "other/", ""]
