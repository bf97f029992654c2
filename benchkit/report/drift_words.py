"""What a drift check says, in words: every output takes its sentences from here.

DriftReport ──> headline · health · harm · worst canaries · clusters · segments and what they drive, as plain sentences
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from benchkit.report import words
from benchkit.types.drift import (
    OUTSIDE,
    CanaryChange,
    ChangeKind,
    ClusterChange,
    DriftReport,
    DriftSeverity,
    Evidence,
    Harm,
    SegmentDriver,
    SegmentResult,
    evidence_words,
)

SEVERITY_WORDS: dict[DriftSeverity, str] = {"ok": "OK", "info": "INFO", "warn": "WARN", "critical": "CRITICAL"}
KIND_WORDS: dict[ChangeKind, str] = {
    "none": "no change was found",
    "data": "the data have changed",
    "model": "the model has changed",
    "numeric": "the arithmetic of the vectors has changed",
    "pipeline": "the way of the vectors is broken",
}
_TEXT_SHOWN = 90
LEAST_PART = 0.05  # of a shift; segments with less of it are not named


def headline(report: DriftReport) -> str:
    """Return the answer in one line."""
    window = report.window
    rows = words.counted(window.rows, "row")
    when = span(report)
    against = f'against the baseline "{words.plain(report.baseline.name)}"'
    said = f"{SEVERITY_WORDS[report.severity]}: {_change(report)}"
    return f"{said} ({rows} of {words.plain(window.source)}{when}, {against}{_p(report)})"


def _change(report: DriftReport) -> str:
    """Name the change; where a watch waits for more windows, one that this window alone speaks for is none as yet."""
    is_unsure = report.kind == "none" and report.evidence is not None
    if is_unsure and report.p_value is not None and report.p_value <= report.policy.false_alarms:
        return "this window differs, and no change is sure as yet"
    if report.kind == "none" and report.p_value is None:
        return "nothing is wrong with the rows, and drift was not tested"
    return KIND_WORDS[report.kind]


def span(report: DriftReport) -> str:
    """Return the times of a window for use behind a noun; "" where its rows have none."""
    window = report.window
    return f", {times(window.start, window.end)}" if window.start else ""


def times(start: str, end: str) -> str:
    """Return two times of the data for people, to the minute where that tells them apart; other texts as they are.

    >>> times("2026-10-28T03:09:25Z", "2026-10-29T21:38:24+02:00")
    '2026-10-28 03:09 to 2026-10-29 19:38 UTC'
    """
    found = [_utc(start), _utc(end)]
    if None in found:
        return f"{words.plain(start)} to {words.plain(end)}"
    said = [[f"{at:{form}}" for at in found] for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")]
    return f"{' to '.join(next((pair for pair in said if pair[0] != pair[1]), said[-1]))} UTC"


def _utc(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text[:40])
        return found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _p(report: DriftReport) -> str:
    return "" if report.p_value is None else f", p {words.p_equals(report.p_value)}"


def percent(share: float) -> str:
    """Return a share as per cent; one that isn't nothing or all never reads as if it were.

    >>> percent(0.0512), percent(0.0004), percent(0.99996), percent(1.0)
    ('5.1 %', '0.04 %', '99.996 %', '100.0 %')
    """
    for digits in range(1, 6):
        text = f"{100 * share:.{digits}f}"
        if share in (0, 1) or float(text) not in (0, 100):
            return f"{text} %"
    return "<0.00001 %" if share < 0.5 else ">99.99999 %"


def evidence_sentence(found: Evidence) -> str:
    """Return what the windows so far say."""
    windows, run_length = words.counted(found.windows, "window"), f"{found.run_length:,}"
    said = f"{windows} since the last alarm or the start: evidence {evidence_words(found.detector)}"
    rule = f"an alarm stands at {run_length}, at most one false alarm in {run_length} windows on the average"
    return f"{said}; {rule}."


def harm_sentences(harm: Harm) -> list[str]:
    """Return what canaries and retrieval scores say, a sentence each."""
    return [line for line in (_identity(harm), _ranking(harm), _labels(harm), _judged(harm), _scores(harm)) if line]


def _identity(harm: Harm) -> str:
    if harm.identity is None or harm.worst_identity is None:
        return ""
    texts = words.counted(harm.n_canaries, "canary").replace("canarys", "canaries")
    return (
        f"{texts}: cosine to the stored vector {harm.identity:.5f} on the average, {harm.worst_identity:.5f} at worst."
    )


def _ranking(harm: Harm) -> str:
    if harm.overlap_at_10 is None:
        return ""
    said = f"Neighbours@10 that stay: {percent(harm.overlap_at_10)}"
    if harm.mixed_overlap_at_10 is not None:
        said += f"; searched among the stored vectors, as in a live index: {percent(harm.mixed_overlap_at_10)}"
    return f"{said}."


def _labels(harm: Harm) -> str:
    if harm.pseudo_label_accuracy is None or harm.pseudo_label_before is None:
        return ""
    now, before = percent(harm.pseudo_label_accuracy), percent(harm.pseudo_label_before)
    return f"Nearest neighbour is of the same cluster: {now} (was {before})."


def _judged(harm: Harm) -> str:
    if harm.ndcg_at_10 is None or harm.ndcg_before is None:
        return ""
    said = f"nDCG@10 of the judged canaries: {words.points(harm.ndcg_at_10)} (was {words.points(harm.ndcg_before)}"
    if harm.ndcg_change_low is None or harm.ndcg_change_high is None:
        return f"{said})."
    low, high = words.signed_points(harm.ndcg_change_low), words.signed_points(harm.ndcg_change_high)
    return f"{said}; change {low} to {high} points)."


def _scores(harm: Harm) -> str:
    if harm.low_score_share is None:
        return ""
    p = "" if harm.low_score_p is None else f", p {words.p_equals(harm.low_score_p)} of a larger share"
    return f"Queries whose best hit scores under the baseline's 5th percentile: {percent(harm.low_score_share)}{p}."


def region_name(change: ClusterChange) -> str:
    """Return what a region is called that has no words of its own."""
    return "far from every region" if change.cluster == OUTSIDE else f"region {change.cluster}"


def cluster_sentence(change: ClusterChange) -> str:
    """Return one region that grew, shrank or appeared."""
    before, now = percent(change.baseline_share), percent(change.window_share)
    verb = "grew" if change.window_share > change.baseline_share else "shrank"
    said = f"{region_name(change)} {verb} from {before} to {now} (z {change.z:+.1f})"
    if change.keywords:
        said += f": {', '.join(words.plain(word, 40) for word in change.keywords)}"
    if change.examples:
        said += f"; e.g. {quoted(change.examples[0])}"
    return said


def texts_hint(report: DriftReport) -> str:
    """Return how to see texts of the regions that are told; "" where some are, or none is told."""
    if not report.clusters or any(change.keywords or change.examples for change in report.clusters):
        return ""
    return "No text of them was kept: where the source has texts, a check with --keep-texts shows some."


def segment_verdict(found: SegmentResult) -> str:
    """Return what a segment's own test says; without a p-value none was made of this window."""
    if found.p_value is None:
        return "drifts, not tested again" if found.is_alarm else "not tested"
    return "drifts" if found.is_alarm else "no alarm"


def segment_sentence(found: SegmentResult) -> str:
    """Return one segment's own test."""
    said = f"{words.plain(found.segment, 60)}: {segment_verdict(found)} ({words.counted(found.rows, 'row')}"
    if found.p_value is None:
        return f"{said}; too few here or in the baseline)"
    return f"{said}, p {words.p_equals(found.p_value)})"


def canary_sentence(change: CanaryChange) -> str:
    """Return what became of one canary."""
    kept = f"{percent(change.overlap_at_10)} of its neighbours stay"
    said = f"{quoted(change.text)}: {kept}, cosine {change.identity:.5f}"
    if change.nearest_before == change.nearest_now:
        return said
    return f"{said}; nearest was {quoted(change.nearest_before)} and is {quoted(change.nearest_now)}"


def leading_drivers(found: Sequence[SegmentDriver]) -> list[SegmentDriver]:
    """Return the segments worth naming: those with 5 % of the shift or more, for it or against it."""
    return [driver for driver in found if abs(driver.part) >= LEAST_PART]


def driver_sentence(found: SegmentDriver) -> str:
    """Return what one segment adds to the shift of all rows; a part below 0 works against it.

    >>> driver_sentence(SegmentDriver("search", 0.75, 0.7, 0.25, 0.5))
    'search: 75.0 % of the shift (its vectors moved: 70.0 %; its rows went from 25.0 % to 50.0 %: 5.0 %)'
    """
    share = f"its rows went from {percent(found.baseline_share)} to {percent(found.window_share)}"
    parts = f"its vectors moved: {_part(found.moved)}; {share}: {_part(found.part - found.moved)}"
    return f"{words.plain(found.segment, 60)}: {_part(found.part)} of the shift ({parts})"


def _part(part: float) -> str:
    """Return a part of a whole, which may be below 0 or above 1."""
    return f"{round(100 * part, 1) + 0.0:.1f} %"  # no "-0.0"


def quoted(text: str) -> str:
    """Return a text of the data in quotes, short and on one line."""
    return f'"{words.plain(text, _TEXT_SHOWN)}"'
