"""Every sentence on drift has its numbers, no number is rounded over a limit, and data stays on one line."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import drift_reports
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.report import drift_words
from benchkit.report.drift_words import (
    canary_sentence,
    cluster_sentence,
    driver_sentence,
    evidence_sentence,
    harm_sentences,
    headline,
    leading_drivers,
    percent,
    segment_sentence,
    times,
)
from benchkit.types.drift import (
    CanaryChange,
    ChangeKind,
    ClusterChange,
    DriftSeverity,
    Evidence,
    Harm,
    SegmentResult,
    WindowInfo,
    evidence_words,
)


def test_the_headline_has_the_verdict_the_rows_the_times_the_baseline_and_p() -> None:
    assert headline(drift_reports.critical()) == (
        "CRITICAL: the model has changed (500 rows of logs/, 2026-11-21 00:00 to 2026-11-21 23:59 UTC, "
        'against the baseline "support", p < 0.001)'
    )
    assert headline(drift_reports.quiet()).startswith("OK: no change was found (500 rows")
    assert headline(drift_reports.quiet()).endswith(", p = 0.41)")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-11-21T00:00:00+02:00", "2026-11-21T23:59:59Z", "2026-11-20 22:00 to 2026-11-21 23:59 UTC"),
        ("2026-11-21T10:00:05Z", "2026-11-21T10:00:45Z", "2026-11-21 10:00:05 to 2026-11-21 10:00:45 UTC"),
        ("2026-11-21T10:00:05Z", "2026-11-21T10:00:05Z", "2026-11-21 10:00:05 to 2026-11-21 10:00:05 UTC"),
        ("yesterday", "2026-11-21T10:00:05Z", "yesterday to 2026-11-21T10:00:05Z"),
        ("0001-01-01T00:00:00+10:00", "now\n", "0001-01-01T00:00:00+10:00 to now"),
    ],
)
def test_times_are_of_utc_and_as_exact_as_they_have_to_be(start: str, end: str, said: str) -> None:
    assert times(start, end) == said


def test_a_window_that_differs_while_its_watch_waits_is_not_called_unchanged() -> None:
    quiet = drift_reports.quiet()
    waiting = replace(quiet, p_value=0.004, evidence=Evidence(28.0, 31.0, 1000, 3))
    assert headline(waiting).startswith("OK: this window differs, and no change is sure as yet (500 rows")
    assert headline(replace(waiting, p_value=0.4)).startswith("OK: no change was found")
    assert headline(replace(waiting, evidence=None)).startswith("OK: no change was found")


def test_what_a_window_lacks_is_left_out_of_the_headline() -> None:
    assert headline(drift_reports.bare()) == (
        "OK: nothing is wrong with the rows, and drift was not tested "
        '(12 rows of rows.parquet, against the baseline "support")'
    )
    one = replace(drift_reports.bare(), window=WindowInfo("x", 1))
    assert "(1 row of x," in headline(one)
    assert "(0 rows of x," in headline(replace(one, window=WindowInfo("x", 0)))


def test_every_verdict_and_every_kind_has_words() -> None:
    assert set(drift_words.SEVERITY_WORDS) == set(get_args(DriftSeverity))
    assert set(drift_words.KIND_WORDS) == set(get_args(ChangeKind))
    assert len(set(drift_words.KIND_WORDS.values())) == len(get_args(ChangeKind))


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"), (1.0, "100.0 %"), (0.5, "50.0 %"), (0.0512, "5.1 %"), (0.01, "1.0 %"), (0.001, "0.1 %"),
        (0.0004, "0.04 %"), (0.00001, "0.001 %"), (1e-12, "<0.00001 %"), (0.9994, "99.9 %"), (0.9996, "99.96 %"),
        (0.99999, "99.999 %"), (1 - 1e-12, ">99.99999 %"), (1.5, "150.0 %"), (-0.1, "-10.0 %"), (math.nan, "nan %"),
    ],
)  # fmt: skip
def test_shares_are_percent(share: float, text: str) -> None:
    assert percent(share) == text


@given(st.floats(0, 1))
def test_a_share_never_reads_as_nothing_or_all_unless_it_is(share: float) -> None:
    text = percent(share)
    assert (text == "0.0 %") == (share == 0)
    assert (text == "100.0 %") == (share == 1)
    if text[0] not in "<>":
        assert float(text.removesuffix(" %")) / 100 == pytest.approx(share, abs=0.0005 + 1e-12)


@given(st.floats(0, 1e9), st.integers(1, 10**6))
def test_evidence_never_reads_as_an_alarm_that_it_is_not(detector: float, run_length: int) -> None:
    shown = float(evidence_words(detector).replace(",", ""))
    assert shown <= detector
    assert detector - shown <= max(0.0101, detector / 10)
    assert (shown >= run_length) <= (detector >= run_length)


def test_evidence_beyond_all_numbers_has_a_form() -> None:
    assert [evidence_words(value) for value in (math.inf, math.nan, 1e300)] == ["inf", "nan", "1e+300"]


def test_evidence_is_told_with_its_alarm() -> None:
    assert evidence_sentence(Evidence(1.0, 999.96, 1000, 1)) == (
        "1 window since the last alarm or the start: evidence 999; an alarm stands at 1,000, at most one false alarm "
        "in 1,000 windows on the average."
    )
    assert evidence_sentence(Evidence(1.0, 3.256, 50, 12)).startswith("12 windows since")
    assert "evidence 3.25; an alarm stands at 50," in evidence_sentence(Evidence(1.0, 3.256, 50, 12))


def test_harm_is_told_in_full() -> None:
    assert harm_sentences(drift_reports.HARM) == [
        "64 canaries: cosine to the stored vector 0.71234 on the average, 0.40017 at worst.",
        "Neighbours@10 that stay: 61.0 %; searched among the stored vectors, as in a live index: 42.0 %.",
        "Nearest neighbour is of the same cluster: 80.0 % (was 95.0 %).",
        "nDCG@10 of the judged canaries: 52.1 (was 61.2; change -12.0 to -6.1 points).",
        "Queries whose best hit scores under the baseline's 5th percentile: 15.4 %, p < 0.001 of a larger share.",
    ]


def test_harm_that_was_not_measured_is_not_told() -> None:
    assert harm_sentences(Harm()) == []
    assert harm_sentences(Harm(n_canaries=1, identity=1.0, worst_identity=0.5)) == [
        "1 canary: cosine to the stored vector 1.00000 on the average, 0.50000 at worst."
    ]
    assert harm_sentences(Harm(overlap_at_10=0.5)) == ["Neighbours@10 that stay: 50.0 %."]
    assert harm_sentences(Harm(ndcg_at_10=0.5, ndcg_before=0.6)) == ["nDCG@10 of the judged canaries: 50.0 (was 60.0)."]
    assert harm_sentences(Harm(low_score_share=0.0)) == [
        "Queries whose best hit scores under the baseline's 5th percentile: 0.0 %."
    ]
    # Half of a pair says nothing.
    assert harm_sentences(Harm(identity=0.5, ndcg_at_10=0.5, pseudo_label_accuracy=0.5)) == []


def test_regions_are_told_with_both_shares_and_what_they_are_of() -> None:
    grew, shrank, _ = drift_reports.CLUSTERS
    assert cluster_sentence(grew) == (
        "region 7 grew from 2.1 % to 9.4 % (z +9.4): refund, chargeback, card; "
        'e.g. "My card was charged twice, when do I get my money back?"'
    )
    assert cluster_sentence(shrank) == "region 3 shrank from 12.0 % to 8.1 % (z -4.2)"
    long = cluster_sentence(ClusterChange(0, 0.1, 0.2, 3.0, ("k" * 100,), ("e" * 500,)))
    assert f': {"k" * 39}…; e.g. "{"e" * 89}…"' in long


def test_drivers_are_told_with_their_part_and_what_it_comes_of() -> None:
    first, _, _, others = drift_reports.DRIVERS
    assert driver_sentence(first) == (
        "app (iOS): 85.0 % of the shift (its vectors moved: 70.0 %; its rows went from 10.0 % to 16.0 %: 15.0 %)"
    )
    assert driver_sentence(others) == (
        "(all others): -7.5 % of the shift (its vectors moved: 0.0 %; its rows went from 2.0 % to 1.0 %: -7.5 %)"
    )
    assert [found.segment for found in leading_drivers(drift_reports.DRIVERS)] == ["app (iOS)", "web", "(all others)"]


def test_a_canary_is_told_with_what_it_lost_and_what_it_finds_now() -> None:
    moved, kept = drift_reports.WORST
    assert canary_sentence(moved) == (
        '"Where is my parcel?": 10.0 % of its neighbours stay, cosine 0.40017; nearest was "Track my order" and is '
        '"How do I change my card?"'
    )
    assert canary_sentence(kept) == '"refund not received": 30.0 % of its neighbours stay, cosine 0.61000'


def test_large_numbers_of_rows_are_told_with_separators() -> None:
    made = replace(drift_reports.bare(), window=WindowInfo("x", 1_234_567))
    assert "(1,234,567 rows of x" in headline(made)


def test_segments_are_told_with_their_rows_and_p() -> None:
    assert [segment_sentence(found) for found in drift_reports.SEGMENTS] == [
        "web: no alarm (420 rows, p = 0.21)",
        "app (iOS): drifts (80 rows, p < 0.001)",
    ]
    small = SegmentResult("fax", 1, None, None, False)
    assert segment_sentence(small) == "fax: not tested (1 row; too few here or in the baseline)"


def test_hostile_texts_stay_on_one_line_and_steer_nothing() -> None:
    text = drift_reports.HOSTILE_TEXT
    made = drift_reports.hostile()
    made = replace(made, window=replace(made.window, start=text, end=text))
    said = [headline(made), cluster_sentence(made.clusters[0]), segment_sentence(made.segments[0])]
    said.append(driver_sentence(replace(drift_reports.DRIVERS[0], segment=text)))
    said.append(canary_sentence(CanaryChange(text, 0.5, 0.5, text, f"other {text}")))
    for line in said:
        assert line.isprintable() or not any(sign in line for sign in "\x1b\x9b\x00\x08\x7f\n\r\u202e\u2066\ud800"), (
            line
        )
        assert not any(sign in line for sign in "\x1b\x9b\x00\x08\x7f\n\r\u202e\u2066\ud800")
