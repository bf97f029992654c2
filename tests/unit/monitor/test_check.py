"""One window against a baseline: what must be called drift, what must not, and what can't be compared."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from fakes import HashingEncoder
from monitored import DIMENSION, START, ListSource, cut, draw, live_model, times

from benchkit.drift.judge import judge
from benchkit.drift.precision import Precision, rounded
from benchkit.drift.sequential import p_to_e
from benchkit.errors import NotComparable, SourceError
from benchkit.measure.decide import holm
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.check import (
    Circumstances,
    _unreachable,
    ask_canaries,
    collect,
    counted,
    judge_window,
    window_p,
)
from benchkit.monitor.create import CreateRequest, create_baseline
from benchkit.monitor.evidence import Standing
from benchkit.monitor.segments import segment_p_values, segments_of
from benchkit.types.drift import DriftPolicy, DriftReport, Evidence, Harm, Rows, SegmentResult

N = 2000
POLICY = DriftPolicy()
ABOUT = Circumstances("logs")
CANARIES = CanaryTexts(
    tuple(f"{word} number {n}" for n in range(10) for word in ("boiler", "invoice", "panel", "plug"))
)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    """Rows of three segments, scores, forty canaries."""
    rows = Rows(
        draw(1, N),
        segments=tuple("aaab"[n % 4] for n in range(N - 20)) + ("small",) * 20,
        scores=np.random.default_rng(1).normal(size=N),
        texts=tuple(f"text {n}" for n in range(N)),
        fingerprint="",
    )
    request = CreateRequest(name="prod", segment_by="segment", canary=CANARIES, keep_texts=True)
    made = create_baseline(ListSource([rows]), request, model=live_model(spec="minilm"))
    assert list(made.segments) == ["a"] or list(made.segments) == ["a", "b"]
    return made


def _report(
    baseline: Baseline, rows: Rows | list[Rows], policy: DriftPolicy = POLICY, about: Circumstances = ABOUT
) -> DriftReport:
    batches = rows if isinstance(rows, list) else [rows]
    return judge_window(baseline, collect(baseline, batches, keep_texts=True), policy, about)


# ------------------------------------------------------------ drift and none


def test_unchanged_windows_are_called_drift_as_rarely_as_stated(baseline: Baseline) -> None:
    policy = replace(POLICY, false_alarms=0.05)
    reports = [_report(baseline, Rows(draw(1000 + n, 150)), policy) for n in range(100)]
    # Of 100 windows 5 are expected, and the baseline's own chance may double that: 25 and more would be another rate.
    assert sum(report.breaks_policy for report in reports) < 25
    for report in reports:
        assert report.p_value is not None
        assert report.breaks_policy == (report.p_value <= 0.05)
        assert report.kind == ("data" if report.breaks_policy else "none")
    assert np.median([report.p_value for report in reports if report.p_value]) > 0.2


def test_a_planted_shift_is_found(baseline: Baseline) -> None:
    for seed in range(5):
        report = _report(baseline, Rows(draw(seed, 150, shift=0.9)))
        assert (report.kind, report.severity, report.breaks_policy) == ("data", "warn", True)
        assert report.p_value is not None
        assert report.p_value <= POLICY.false_alarms
        assert len(report.statistics) == 7
        assert "The data changed" in report.reason


def test_tolerance_lets_a_small_shift_pass_and_not_a_large_one(baseline: Baseline) -> None:
    small = Rows(np.concatenate([draw(3, 950), draw(4, 50, shift=6.0)]))
    assert _report(baseline, small).breaks_policy
    assert not _report(baseline, small, replace(POLICY, tolerance=0.2)).breaks_policy
    assert _report(baseline, Rows(draw(5, 1000, shift=6.0)), replace(POLICY, tolerance=0.2)).breaks_policy


def test_a_window_is_the_same_in_any_batches(baseline: Baseline) -> None:
    rows = Rows(draw(9, 300, shift=0.2), segments=tuple("ab"[n % 2] for n in range(300)))
    whole, parts = (_report(baseline, batches) for batches in ([rows], cut(rows, 17)))
    assert whole.p_value == pytest.approx(parts.p_value)
    assert (whole.kind, whole.severity, whole.health) == (parts.kind, parts.severity, parts.health)
    assert [each.segment for each in whole.segments] == [each.segment for each in parts.segments]


def test_a_report_says_what_was_looked_at(baseline: Baseline) -> None:
    rows = Rows(draw(9, 60), times=times(60, 1.0, start=START))
    about = Circumstances("logs", number=7, notes=("from far away",))
    report = judge_window(baseline, collect(baseline, [rows]), POLICY, about)
    assert (report.window.source, report.window.rows, report.window.number) == ("logs", 60, 7)
    assert (report.window.start, report.window.end) == ("2026-03-01T00:00:00Z", "2026-03-01T23:36:00Z")
    assert (report.baseline, report.policy) == (baseline.info, POLICY)
    assert datetime.fromisoformat(report.checked_at).tzinfo is not None
    assert report.notes[-1] == "from far away"


def test_a_report_shows_the_window_beside_the_baseline(baseline: Baseline) -> None:
    rows = Rows(draw(9, 60))
    shown = _report(baseline, rows).projection
    assert shown is not None
    assert baseline.plane is not None
    assert (len(shown.window), shown.x_range) == (60, baseline.plane.x_range)
    assert len(shown.regions) == len(baseline.reference.frame.centroids)
    older = _report(replace(baseline, plane=None), rows).projection
    assert older is not None
    assert older.window == shown.window
    # Its sums say how rows vary and not how far they go: the range is as wide, or somewhat wider.
    assert -2 < older.x_range[0] < shown.x_range[0] < shown.x_range[1] < older.x_range[1] < 2
    assert _report(baseline, []).projection is None


def test_a_report_says_which_models_the_rows_say_they_are_of(baseline: Baseline) -> None:
    baseline = replace(baseline, info=replace(baseline.info, fingerprint=""))
    old, new = (replace(Rows(draw(9, 40)), model=name, fingerprint=name * 32) for name in "ab")
    report = _report(baseline, [new, old, old])
    assert (report.window.model, report.window.fingerprint) == ("a, b", f"{'a' * 32}, {'b' * 32}")
    assert "the rows say that they are of 2 models: a (aaaaaaaaaaaa), b (bbbbbbbbbbbb)" in report.notes
    alone = _report(baseline, [old])
    assert (alone.window.model, alone.window.fingerprint) == ("a", "a" * 32)
    assert not any("models" in note for note in alone.notes)
    assert _report(baseline, Rows(draw(9, 40))).window.model == ""


def test_clusters_show_texts_of_the_window_and_of_the_baseline(baseline: Baseline) -> None:
    flood = draw(1, 1)[0] + np.random.default_rng(0).normal(size=(200, DIMENSION)) * 0.01
    vectors = np.concatenate([draw(7, 100), (flood / np.linalg.norm(flood, axis=1, keepdims=True)).astype(np.float32)])
    rows = Rows(vectors, texts=("usual words",) * 100 + tuple(f"boiler explodes {n}" for n in range(200)))
    grown = max(_report(baseline, rows).clusters, key=lambda change: change.window_share)
    assert grown.window_share > grown.baseline_share
    assert grown.z > 4
    assert any("explodes" in text for text in grown.examples)
    assert len(grown.examples) == 3
    silent = judge_window(baseline, collect(baseline, [rows]), POLICY, ABOUT)
    assert all(change.examples == () and change.keywords == () for change in silent.clusters)


def test_a_rate_that_no_corrected_p_value_goes_below_is_told(baseline: Baseline) -> None:
    rows = Rows(draw(4, 400, shift=9.0), segments=("a", "b") * 200)
    policy = replace(POLICY, false_alarms=0.0003)
    report = _report(baseline, rows, policy)
    tested = sum(found.p_value is not None for found in report.segments)
    said = [note for note in report.notes if "none of them can be an alarm" in note]
    assert len(said) == (tested == 2)
    two = (SegmentResult("a", 9, 0.5, None, False), SegmentResult("b", 9, 0.5, None, False))
    (note,) = _unreachable(baseline, policy, two, ABOUT)
    assert note.startswith(
        "2 segments were tested, and after the correction for their number no p-value is below 0.0004"
    )
    assert not list(_unreachable(baseline, POLICY, two, ABOUT))
    # A watch has no such correction.
    assert not list(_unreachable(baseline, policy, two, replace(ABOUT, segments=two)))


# ------------------------------------------------------------ windows that are no sample


def test_broken_rows_are_a_critical_fault_of_the_pipeline(baseline: Baseline) -> None:
    vectors = draw(4, 200)
    vectors[::20] = np.nan
    report = _report(baseline, Rows(vectors))
    assert (report.kind, report.severity, report.breaks_policy) == ("pipeline", "critical", True)
    assert "10 of 200 rows have a NaN or an infinity" in report.reason
    # The rest is as it was, and is judged as such.
    assert report.p_value is not None
    assert report.p_value > POLICY.false_alarms
    assert not _report(baseline, Rows(vectors), replace(POLICY, max_bad_share=0.06)).breaks_policy


def test_nothing_but_broken_rows_is_critical(baseline: Baseline) -> None:
    report = _report(baseline, Rows(np.full((50, DIMENSION), np.inf, np.float32)))
    assert (report.kind, report.severity, report.p_value) == ("pipeline", "critical", None)


def test_rows_of_zeros_belong_to_no_distribution(baseline: Baseline) -> None:
    good, zeros = draw(4, 400), np.zeros((400, DIMENSION), np.float32)
    alone, mixed = _report(baseline, Rows(good)), _report(baseline, Rows(np.stack([zeros, good], 1).reshape(800, -1)))
    assert (mixed.severity, mixed.kind, mixed.health[0].found) == ("critical", "pipeline", 0.5)
    assert [found.p_value for found in mixed.statistics] == pytest.approx([found.p_value for found in alone.statistics])
    assert [each.cluster for each in mixed.clusters] == [each.cluster for each in alone.clusters]
    only = _report(baseline, Rows(zeros))
    assert (only.severity, only.p_value, only.clusters, only.window.rows) == ("critical", None, (), 400)


def test_three_rows_are_looked_at_and_not_tested(baseline: Baseline) -> None:
    report = _report(baseline, Rows(draw(4, 3, shift=50.0)))
    assert (report.p_value, report.statistics, report.clusters) == (None, (), ())
    assert (report.severity, report.breaks_policy) == ("ok", False)
    assert report.notes[0] == (
        "3 rows are too few for a test (30 at least): only the vectors themselves were looked at"
    )
    assert _report(baseline, Rows(draw(4, 1))).notes[0].startswith("1 row is too few for a test (30 at least)")
    broken = draw(4, 3)
    broken[1] = np.nan
    assert _report(baseline, Rows(broken)).severity == "critical"


@pytest.mark.parametrize("batches", [[], [Rows(np.empty((0, DIMENSION), np.float32))], [Rows(np.empty((0, 0)))]])
def test_an_empty_window_is_told_of(baseline: Baseline, batches: list[Rows]) -> None:
    report = _report(baseline, batches)
    assert (report.window.rows, report.p_value, report.kind, report.severity) == (0, None, "pipeline", "warn")
    assert "no rows at all" in report.reason
    assert not any("segments" in note for note in report.notes)


def test_too_few_rows_for_their_time_are_told_of(baseline: Baseline) -> None:
    rows = Rows(draw(4, 60))
    few = _report(baseline, rows, about=Circumstances("logs", usual_rows=600))
    assert [finding.name for finding in few.health] == ["volume"]
    assert not _report(baseline, rows, about=Circumstances("logs", usual_rows=70)).health


def test_notes_tell_of_late_rows_and_of_rows_taken_as_independent(baseline: Baseline) -> None:
    judged = baseline.judged(keep_texts=False)
    window = counted(baseline, judged, Rows(draw(4, 40)), late=2)
    notes = judge_window(baseline, window, POLICY, ABOUT).notes
    assert "2 rows came later than their window had been closed, and were counted in this one" in notes
    assert any(note.startswith("the baseline takes rows as independent") for note in notes)
    knowing = replace(baseline, info=replace(baseline.info, n_windows=9))
    assert not any("independent" in note for note in judge_window(knowing, window, POLICY, ABOUT).notes)


# ------------------------------------------------------------ not comparable


def test_rows_of_another_dimension_are_not_comparable(baseline: Baseline) -> None:
    with pytest.raises(
        NotComparable, match="the rows have 11 dimensions and the baseline 'prod' has 10: another model"
    ):
        collect(baseline, [Rows(np.ones((5, 11), np.float32))])
    with pytest.raises(NotComparable, match=r"the rows of logs/b\.parquet have 11 dimensions"):
        collect(baseline, [Rows(np.ones((5, 11), np.float32), end={"file": "logs/b.parquet"})])


def test_what_a_file_calls_its_model_moves_nothing_in_a_message(baseline: Baseline) -> None:
    rows = Rows(draw(1, 40), model="e5\u202e\nOK \x1b[2J", fingerprint="\u2066" + "f" * 63)
    with pytest.raises(NotComparable) as caught:
        collect(baseline, [rows])
    assert r"of the model e5\u202e\nOK \x1b[2J (\u2066fffffffffff)" in str(caught.value)
    assert str(caught.value).isprintable()
    unknown = replace(baseline, info=replace(baseline.info, fingerprint=""))
    report = _report(unknown, [rows, replace(rows, model="b")])
    (note,) = (note for note in report.notes if "2 models" in note)
    assert note.isprintable()


@pytest.mark.parametrize("by", ["segment", "role"])
def test_rows_of_a_file_without_the_column_are_of_no_segment_where_the_baseline_knows_such(by: str) -> None:
    column = {f"{by}s": tuple("a" if n % 2 else None for n in range(2000))}
    bare = Rows(draw(2, 60))
    knows = create_baseline(ListSource([Rows(draw(1, 2000), **column)]), CreateRequest("prod", segment_by=by))
    assert set(knows.segments) == {"a", "(none)"}
    named = Rows(draw(3, 60), **{f"{by}s": ("a",) * 60})
    window = collect(knows, [named, bare])
    assert window.segment_rows == {"a": 60, "(none)": 60}
    assert not any("no row of the segments" in note for note in judge_window(knows, window, POLICY, ABOUT).notes)


def test_rows_of_another_model_are_not_comparable(baseline: Baseline) -> None:
    rows = Rows(draw(1, 40), model="e5", fingerprint="f" * 64)
    with pytest.raises(NotComparable, match=r"of the model e5 \(ffffffffffff\) and the baseline 'prod' is of minilm"):
        collect(baseline, [rows])
    with pytest.raises(NotComparable, match="of the model without a name"):
        collect(baseline, [replace(rows, model="")])
    same = replace(rows, fingerprint=baseline.info.fingerprint)
    assert collect(baseline, [same, replace(rows, fingerprint="")]).rows == 80
    unknown = replace(baseline, info=replace(baseline.info, fingerprint=""))
    assert collect(unknown, [rows]).rows == 40


def test_rows_that_say_another_name_are_not_comparable_where_the_baselines_rows_said_one_too(
    baseline: Baseline,
) -> None:
    rows = Rows(draw(1, 40), model="bge")
    named = replace(baseline, info=replace(baseline.info, fingerprint=""), model_spec="")
    with pytest.raises(NotComparable, match="of the model bge and the baseline 'prod' is of minilm; make a baseline"):
        collect(named, [rows])
    half = [replace(rows, model=""), replace(rows, model="minilm")]
    assert collect(named, half).rows == 80
    # A command may have called the same model otherwise, and a fingerprint knows better than a name.
    assert collect(replace(named, model_spec="minilm"), [rows]).rows == 40
    same = replace(baseline, model_spec="")
    assert collect(same, [replace(rows, fingerprint=baseline.info.fingerprint)]).rows == 40


# ------------------------------------------------------------ canaries and scores


def test_the_same_model_is_known_by_its_canaries(baseline: Baseline) -> None:
    harm = ask_canaries(baseline, live_model())
    assert (harm.n_canaries, harm.overlap_at_10, harm.top1_agreement) == (40, 1.0, 1.0)
    assert harm.identity == pytest.approx(1.0)
    assert _report(baseline, Rows(draw(4, 150)), about=Circumstances("logs", harm=harm)).severity == "ok"


def test_a_silent_swap_of_the_model_is_critical(baseline: Baseline) -> None:
    harm = ask_canaries(baseline, live_model(HashingEncoder(dimension=DIMENSION, seed=5)))
    report = _report(baseline, Rows(draw(4, 150)), about=Circumstances("logs", harm=harm))
    assert (report.kind, report.severity, report.breaks_policy) == ("model", "critical", True)
    assert report.harm == harm


@pytest.mark.parametrize(("bits", "name", "away"), [(8, "bfloat16", "e-0[67]"), (11, "float16", "e-0[89]")])
def test_rows_that_were_rounded_are_numeric_with_the_harm_that_canaries_show(
    baseline: Baseline, bits: int, name: str, away: str
) -> None:
    harm = ask_canaries(baseline, live_model())
    report = _report(baseline, Rows(rounded(draw(4, 1000), bits)), about=Circumstances("logs", harm=harm))
    assert (report.kind, report.severity, report.breaks_policy) == ("numeric", "info", False)
    assert report.reason.startswith(f"The vectors hold {name}'s {bits} bits of precision (all of ")
    assert re.search(rf"mean cosine \d{away} below 1, ", report.reason)
    assert " % of the ten nearest stay in the live index." in report.reason
    # Rounding that loses neighbours is no more a matter of taste.
    strict = _report(baseline, Rows(rounded(draw(4, 1000), bits)), policy=DriftPolicy(warn_overlap=1.01))
    assert (strict.kind, strict.severity) == ("numeric", "warn")
    without = _report(replace(baseline, canaries=None), Rows(rounded(draw(4, 1000), bits)))
    assert without.reason.endswith("the baseline's 24.")


def test_a_baseline_of_an_older_benchkit_says_nothing_of_precision(baseline: Baseline) -> None:
    older = replace(baseline, health=replace(baseline.health, precision=Precision()))
    assert _report(older, Rows(rounded(draw(4, 1000), 8))).severity == "ok"


def test_a_baseline_without_canaries_can_not_ask(baseline: Baseline) -> None:
    with pytest.raises(NotComparable, match=r"'prod' has no canaries; renew it with --canary and --model"):
        ask_canaries(replace(baseline, canaries=None), live_model())


def test_a_model_of_another_dimension_is_not_the_baselines(baseline: Baseline) -> None:
    with pytest.raises(NotComparable, match="24"):
        ask_canaries(baseline, live_model(HashingEncoder(dimension=24)))


def test_a_model_that_gives_no_numbers_is_told_of(baseline: Baseline) -> None:
    broken = live_model(HashingEncoder(dimension=DIMENSION, spoil=lambda vectors: vectors * np.nan), spec="ours")
    with pytest.raises(SourceError, match="the model ours can't be judged by its canaries"):
        ask_canaries(baseline, broken)


def test_queries_that_find_less_are_told_of_and_others_not(baseline: Baseline) -> None:
    scores = np.random.default_rng(3).normal(size=200)
    usual = _report(baseline, Rows(draw(4, 200), scores=scores))
    assert usual.severity == "ok"
    assert usual.harm is not None
    assert (usual.harm.n_canaries, usual.harm.identity) == (0, None)
    assert usual.harm.low_score_share == pytest.approx(0.05, abs=0.06)
    lower = _report(baseline, Rows(draw(4, 200), scores=scores - 2), about=Circumstances("logs", harm=Harm(5, 1.0)))
    assert (lower.kind, lower.breaks_policy) == ("pipeline", True)
    assert lower.harm is not None
    assert (lower.harm.n_canaries, lower.harm.identity) == (5, 1.0)
    assert "queries find less" in lower.reason
    no_scores = _report(baseline, Rows(draw(4, 200), scores=np.full(200, np.nan)))
    assert no_scores.harm is None


# ------------------------------------------------------------ watches and segments


def test_in_a_watch_the_evidence_decides_and_not_one_window(baseline: Baseline) -> None:
    shifted = Rows(draw(4, 150, shift=0.9))
    window = collect(baseline, [shifted])
    first = Standing.start(10_000).advance(window_p(baseline, window, POLICY))
    quiet = judge_window(baseline, window, POLICY, Circumstances("logs", evidence=first.evidence))
    assert quiet.p_value is not None
    assert quiet.p_value <= POLICY.false_alarms
    assert (quiet.evidence, quiet.breaks_policy) == (first.evidence, False)
    second = first.advance(window_p(baseline, window, POLICY)).advance(1 / 5000)
    loud = judge_window(baseline, window, POLICY, Circumstances("logs", evidence=second.evidence))
    assert loud.breaks_policy
    assert window_p(baseline, collect(baseline, [Rows(draw(4, 3))]), POLICY) is None


@pytest.fixture(scope="module")
def segmented() -> Baseline:
    """Three segments of 600 rows, and a fourth that is too small for a reference."""
    rows = Rows(draw(2, 1850), segments=("a",) * 600 + ("b",) * 600 + ("c",) * 600 + ("small",) * 50)
    return create_baseline(ListSource([rows]), CreateRequest(name="prod", segment_by="segment"))


def _segments(shift_of_b: float) -> Rows:
    vectors = np.concatenate([draw(31, 100), draw(32, 100, shift=shift_of_b), draw(33, 10), draw(34, 60)])
    return Rows(vectors, segments=("a",) * 100 + ("b",) * 100 + ("c",) * 10 + ("small",) * 60)


def test_the_segment_that_drifts_is_named_alone(segmented: Baseline) -> None:
    found = {each.segment: each for each in _report(segmented, _segments(0.9)).segments}
    assert [name for name, each in found.items() if each.is_alarm] == ["b"]
    assert {name: each.rows for name, each in found.items()} == {"a": 100, "b": 100, "c": 10, "small": 60}
    # Too few rows; no reference of its own.
    assert found["c"] == SegmentResult("c", 10, None, None, False)
    assert found["small"] == SegmentResult("small", 60, None, None, False)
    assert not any(each.is_alarm for each in _report(segmented, _segments(0.0)).segments)


def test_p_values_of_segments_are_corrected_for_their_number(segmented: Baseline) -> None:
    window = collect(segmented, [_segments(0.9)])
    p_values = segment_p_values(segmented, window, POLICY)
    assert p_values == {
        "a": judge(segmented.segments["a"], window.segments["a"]).p_value,
        "b": judge(segmented.segments["b"], window.segments["b"]).p_value,
        "c": None,
        "small": None,
    }
    # Just below the limit by itself, and above it as one of two.
    limit = replace(POLICY, false_alarms=1.5 * (p_values["b"] or 0))
    adjusted = holm([p_values["a"], p_values["b"]])
    assert adjusted[1] == pytest.approx(2 * (p_values["b"] or 0))
    results = segments_of(segmented, window, limit)
    assert not any(each.is_alarm for each in results)
    assert results[1].e_value == pytest.approx(p_to_e(p_values["b"] or 1))


def test_a_segment_that_is_missing_is_noted(segmented: Baseline) -> None:
    rows = Rows(draw(31, 40), segments=("a",) * 40)
    assert "no row of the segments b, c" in _report(segmented, rows).notes
    assert not any("no row of" in note for note in _report(segmented, _segments(0.0)).notes)


def test_segments_of_a_watch_are_taken_as_they_are(segmented: Baseline) -> None:
    given = (SegmentResult("b", 1, 0.5, 1.0, True),)
    assert _report(segmented, _segments(0.0), about=Circumstances("logs", segments=given)).segments == given


def test_the_segment_that_moved_drives_the_change(segmented: Baseline) -> None:
    found = {each.segment: each for each in _report(segmented, _segments(2.5)).drivers}
    assert set(found) == {"a", "b", "c", "(all others)"}
    assert max(found.values(), key=lambda each: each.part).segment == "b"
    assert found["b"].moved > 0.5
    assert sum(each.part for each in found.values()) == pytest.approx(1)
    # 270 rows: 100 of a, 100 of b, 10 of c and 60 of a segment without a reference.
    assert {name: each.window_share for name, each in found.items()} == pytest.approx(
        {"a": 100 / 270, "b": 100 / 270, "c": 10 / 270, "(all others)": 60 / 270}
    )
    assert sum(each.baseline_share for each in found.values()) == pytest.approx(1)


def test_parts_of_the_drivers_are_those_of_the_plain_means(segmented: Baseline) -> None:
    rows = _segments(2.5)
    reference = segmented.reference
    before = reference.frame.mean + reference.baseline.linear / reference.baseline.rows
    shift = rows.vectors.mean(axis=0, dtype=np.float64) - before
    of_b = rows.vectors[np.array(rows.segments) == "b"].mean(axis=0, dtype=np.float64)
    part = segmented.segments["b"]
    was = part.frame.mean + part.baseline.linear / part.baseline.rows
    found = next(each for each in _report(segmented, rows).drivers if each.segment == "b")
    share_before, share_now = part.rows / reference.rows, 100 / 270
    expected = (share_now * (of_b - before) - share_before * (was - before)) @ shift / (shift @ shift)
    assert found.part == pytest.approx(expected, rel=1e-4)
    assert found.moved == pytest.approx(share_now * (of_b - was) @ shift / (shift @ shift), rel=1e-4)


def test_nothing_drives_a_window_that_did_not_change_or_has_no_segments(
    segmented: Baseline, baseline: Baseline
) -> None:
    assert _report(segmented, _segments(0.0)).drivers == ()
    assert _report(segmented, Rows(draw(31, 200, shift=0.9))).drivers == ()
    assert _report(segmented, _segments(2.5).take(slice(90, 110))).drivers == ()
    # A segment drifts, and it is too few of all rows to have moved their mean surely.
    hidden = _report(segmented, _segments(0.9))
    assert any(each.is_alarm for each in hidden.segments)
    assert hidden.drivers == ()
    # A standing alarm is told of with less: each of its windows may show little.
    some = next(
        n for n in range(99) if 0.01 < (_report(segmented, _drawn(n)).p_value or 1) < 0.1 and _moved(segmented, n)
    )
    standing = replace(ABOUT, evidence=Evidence(3.0, 2000.0, 1000, 9))
    assert _report(segmented, _drawn(some)).drivers == ()
    assert _report(segmented, _drawn(some), about=standing).drivers != ()


def _drawn(seed: int) -> Rows:
    vectors = np.concatenate([draw(1000 + seed, 100), draw(2000 + seed, 100, shift=0.25)])
    return Rows(vectors, segments=("a",) * 100 + ("b",) * 100)


def _moved(segmented: Baseline, seed: int) -> bool:
    found = _report(segmented, _drawn(seed)).statistics
    return any(each.name == "centroid" and each.p_value <= 0.05 for each in found)


def test_a_source_without_segments_has_none(segmented: Baseline) -> None:
    assert _report(segmented, Rows(draw(31, 40))).segments == ()


# ------------------------------------------------------------ the baseline's own rows


def test_rows_that_the_baseline_was_made_of_are_not_tested_and_said_so(segmented: Baseline) -> None:
    own = Rows(draw(2, 1850), segments=("a",) * 600 + ("b",) * 600 + ("c",) * 600 + ("small",) * 50)
    report = _report(segmented, own.take(slice(300, 1500)))
    assert (report.p_value, report.statistics, report.severity) == (None, (), "ok")
    assert {found.p_value for found in report.segments} == {None}
    assert any(
        note.startswith("about 100% of the rows are those that the baseline was made of") for note in report.notes
    )


def test_a_few_rows_of_the_baseline_among_others_are_no_reason_not_to_test(baseline: Baseline) -> None:
    mixed = Rows(np.vstack([draw(1, N)[:150], draw(77, 450)]))
    assert _report(baseline, mixed).p_value is not None


@pytest.mark.parametrize("things", [400, 1650])  # of 1,650, rows that are in both are farthest from those that repeat
def test_rows_that_repeat_by_nature_are_tested(things: int) -> None:
    asked = draw(5, things)
    rng = np.random.default_rng(7)
    often = create_baseline(ListSource([Rows(asked[rng.integers(0, things, 3000)])]), CreateRequest(name="prod"))
    for _ in range(6):
        again = _report(often, Rows(asked[rng.integers(0, things, 800)]))
        assert again.p_value is not None
        assert not any("was made of" in note for note in again.notes)
