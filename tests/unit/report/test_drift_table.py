"""A check on a terminal: the answer first, words and not colours, no number cut, and data is never a command."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import drift_reports
import pytest
from rich.cells import cell_len
from rich.console import Console

from benchkit.report import drift_words
from benchkit.report.drift_table import baseline_lines, history_lines, left_out_line, left_out_warning, render_drift
from benchkit.types.drift import DriftReport, Evidence, SegmentResult, WindowInfo

STEERING = "\x1b\x9b\x00\x07\x08\x7f\r\u202e\u2066\ud800"


def shown(report: DriftReport, *, width: int = 80, is_terminal: bool = False) -> str:
    file = io.StringIO()
    render_drift(report, Console(file=file, width=width, force_terminal=is_terminal or None))
    return file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 300])
def test_every_sentence_and_number_is_whole_at_any_width(width: int) -> None:
    report = drift_reports.critical()
    lines = shown(report, width=width).splitlines()
    assert report.harm is not None
    assert report.evidence is not None
    for sentence in (
        report.reason,
        *(finding.sentence for finding in report.health),
        drift_words.evidence_sentence(report.evidence),
        *drift_words.harm_sentences(report.harm),
        *map(drift_words.cluster_sentence, report.clusters),
        *map(drift_words.segment_sentence, report.segments),
        *report.notes,
    ):
        assert f"  {sentence}" in lines
    assert lines[0] == drift_words.headline(report)
    assert lines[2] == f"  What to do: {report.advice}"
    assert [line for line in lines if line and not line.startswith(" ")][1:] == [
        "Rows", "Statistics", "Evidence", "Harm", "Where", "Segments", "Notes",
    ]  # fmt: skip
    assert lines[lines.index("Statistics") + 1 :][:3] == [
        "  centroid            p < 0.001     0.041 of the distance between rows",
        "  ridge_mahalanobis   p = 0.031",
        "  novelty             p < 0.001     0.06 of rows further out",
    ]


def test_what_drives_a_change_and_the_worst_canaries_are_shown_where_they_are_known() -> None:
    lines = shown(drift_reports.full()).splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][1:] == [
        "Rows", "Statistics", "Evidence", "Harm", "Canaries that changed most", "Where", "Segments",
        "What drives the change", "Notes",
    ]  # fmt: skip
    place = lines.index("What drives the change")
    named = [drift_reports.DRIVERS[number] for number in (0, 1, 3)]  # fax has 1 % of it
    assert lines[place + 1 : place + 5] == [*(f"  {drift_words.driver_sentence(found)}" for found in named), ""]
    place = lines.index("Canaries that changed most")
    assert lines[place + 1] == f"  {drift_words.canary_sentence(drift_reports.WORST[0])}"


def test_of_many_canaries_three_are_shown() -> None:
    made = drift_reports.full()
    assert made.harm is not None
    many = replace(made, harm=replace(made.harm, worst=drift_reports.WORST * 5))
    assert shown(many).count("of its neighbours stay") == 3


def test_what_a_report_lacks_has_no_heading() -> None:
    lines = shown(drift_reports.bare()).splitlines()
    assert lines == [
        drift_words.headline(drift_reports.bare()),
        f"  {drift_reports.bare().reason}",
        "  What to do: Nothing needs to be done.",
    ]


def test_colour_is_only_added_and_no_color_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    report = drift_reports.critical()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = shown(report, is_terminal=True)
    assert coloured.startswith("\x1b[1;31mCRITICAL: ")
    assert shown(replace(report, severity="warn"), is_terminal=True).startswith("\x1b[33mWARN: ")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(report, is_terminal=True)
    assert "\x1b[31" not in plain
    assert ";31m" not in plain
    assert "CRITICAL: the model has changed" in plain
    # Where nobody looks, there is none at all.
    assert "\x1b" not in shown(report)


def test_hostile_texts_steer_no_terminal() -> None:
    text = shown(drift_reports.hostile())
    assert not [sign for sign in STEERING if sign in text]
    # Each text is on the one line that it was given; markup of rich is text as well.
    assert len(text.splitlines()) == len(shown(replace(drift_reports.hostile("x"))).splitlines())
    assert "[red]x[/red]" in text
    text.encode()
    lines = [*history_lines([drift_reports.hostile()]), *baseline_lines([drift_reports.hostile().baseline])]
    assert len(lines) == 4
    assert not [sign for sign in STEERING for line in lines if sign in line]


def test_segments_that_drift_come_first_and_many_are_counted() -> None:
    many = tuple(SegmentResult(f"s{n:02}", n, 0.5, float(n % 7), n == 24) for n in range(25))
    lines = shown(replace(drift_reports.critical(), segments=many)).splitlines()
    part = lines[lines.index("Segments") + 1 : lines.index("Notes") - 1]
    assert part[0].startswith("  s24: drifts")
    assert part[1:4] == [f"  s{n:02}: no alarm ({n} rows, p = 0.5)" for n in (6, 13, 20)]
    assert len(part) == 21
    assert part[-1] == "  and 5 more"


def test_the_history_stands_in_columns() -> None:
    reports = [*drift_reports.history(4), drift_reports.bare()]
    lines = history_lines(reports)
    assert lines[0].split() == ["checked", "baseline", "window", "rows", "verdict", "kind", "p", "evidence"]
    assert len(lines) == len(reports) + 1
    assert lines[4].split() == [
        "2026-11-22T00:01:00+00:00", "support", "40", "2026-11-21T00:00:00Z", "500", "CRITICAL", "model", "<0.001",
        "4,321",
    ]  # fmt: skip
    assert lines[5].split() == ["2026-11-21T00:01:00+00:00", "support", "rows.parquet", "12", "OK", "none", "–"]
    for one, other in pairwise(line.index("support") for line in lines[1:]):
        assert one == other
    assert history_lines([]) == ["checked  baseline  window  rows  verdict  kind  p  evidence"]


def test_the_first_window_of_a_watch_has_its_number_and_a_single_check_its_source() -> None:
    single = drift_reports.bare()
    watched = replace(single, evidence=Evidence(1.0, 1.0, 1000, 1))
    assert [line.split()[2] for line in history_lines([single, watched])[1:]] == ["rows.parquet", "0"]


def test_chinese_names_keep_the_columns_in_line() -> None:
    chinese = replace(drift_reports.bare(), window=WindowInfo("客服日志", 7))
    lines = history_lines([chinese, drift_reports.quiet()])
    places = [cell_len(line[: line.index("OK")]) for line in lines[1:]]
    assert places[0] == places[1] == cell_len(lines[0][: lines[0].index("verdict")])


def test_baselines_are_listed_with_what_they_are_of() -> None:
    heading, line, unknown = baseline_lines([drift_reports.BASELINE, drift_reports.bare().baseline])
    assert heading.split("  ")[0] == "name"
    assert line.split() == [
        "support", "20,000", "384", "64", "30", "403", "2026-11-01T08:00:00+00:00", "all-MiniLM-L6-v2",
    ]  # fmt: skip
    assert unknown.endswith("unknown")


def test_rows_that_a_baseline_is_not_of_are_told_by_what_is_wrong_with_them() -> None:
    assert left_out_line(3000, 101, 600) == (
        "left out: 701 of 3,000 rows (23.4%): 101 with NaN or infinity, 600 of nothing but zeros"
    )
    assert left_out_line(3000, 1, 0) == "left out: 1 of 3,000 rows (0.0%): 1 with NaN or infinity"
    assert left_out_line(3000, 0, 0) is None


def test_more_than_a_few_in_a_hundred_rows_left_out_are_a_warning() -> None:
    assert left_out_warning(1000, 30) is None
    assert str(left_out_warning(1000, 31)).startswith("3.1% of the rows hold no vector to learn from, so the baseline")


def test_who_is_told_of_regions_and_sees_no_text_is_told_how() -> None:
    report = drift_reports.critical()
    bare = tuple(replace(change, keywords=(), examples=(), baseline_examples=()) for change in report.clusters)
    lines = shown(replace(report, clusters=bare), width=300).splitlines()
    hint = lines.index("  No text of them was kept: where the source has texts, a check with --keep-texts shows some.")
    assert lines[hint - 1].strip() == drift_words.cluster_sentence(bare[-1])
    assert "--keep-texts" not in shown(report)
    assert "--keep-texts" not in shown(replace(report, clusters=()))
