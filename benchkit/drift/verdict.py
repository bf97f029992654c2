"""The one place where a window's figures become a kind of change, a severity, a reason and an advice.

    health findings ──────────┐
    p-value or evidence ──────┼─ claims, each (kind, severity, reason, advice) ─ the worst of them ──> Conclusion
    canaries, query scores ───┘

  rows are broken                              pipeline   as the finding says
  canaries come back otherwise, nearly alike   numeric    by harm: info, or what is below
                             each by itself    numeric    by harm: info, warn, critical (noise.py)
                             otherwise         model      by harm: info, warn, critical; warn where it isn't known
  rows look rounded, noisy, of another space   numeric    info where canaries show that harmless change, else as found
                                               or model
  drift alarm that none of these explains      data       info if queries still find as well as before, else warn or
                                                          critical; warn where it isn't known
  queries find worse, without any drift alarm  pipeline   warn or critical: the index may have lost something

A significant change is not a harmful one: a p-value makes an alarm, but only measured harm, or that nobody can measure
it, makes a warning. An nDCG interval has the last word over the overlap of neighbours, which over-warns. More harm
never lowers the severity: each claim's own can only rise with the figures, and the worst claim counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchkit.drift.canary_verdict import (
    FIND_OUT,
    RE_EMBED,
    REBASELINE,
    SAME_IDENTITY,
    canary_advice,
    canary_kind,
    canary_sentence,
    harm_severity,
    has_harm,
    is_moved,
)
from benchkit.types.drift import (
    DRIFT_SEVERITIES,
    ChangeKind,
    DriftPolicy,
    DriftSeverity,
    Evidence,
    Harm,
    HealthFinding,
    SegmentResult,
    StatisticResult,
    evidence_words,
)

# Findings that statistics see; broken rows are left out of these, and half precision or fewer rows don't move any.
MOVES_ROWS = frozenset({"norm", "duplicates", "constant", "dead_directions"})
_SEGMENTS_NAMED = 5
BASELINE_LOW_SHARE = 0.05  # queries under the baseline's own 5th percentile
SCORE_ALPHA = 0.01
CRITICAL_SCORE_GROWTH = 4  # times the policy's; by default a quarter of all queries then find next to nothing

_NOTHING = "Nothing needs to be done."
_MEND = "Mend the pipeline that writes these vectors, then check again."
_MEND_INDEX = "Look at the index: documents may be missing from it or lie in it under another model's vectors."
_LOOK = "Look at the texts of the changed clusters; if they are meant to come, renew the baseline."
_SERVE = "Add documents for what is now asked, or compare models on these texts; then renew the baseline."
_KIND_ORDER: Final[tuple[ChangeKind, ...]] = ("pipeline", "model", "numeric", "data", "none")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a window comes to.

    Attributes:
        reason, advice: A sentence each.
        breaks_policy: The severity is `policy.fail_on` or worse.
    """

    kind: ChangeKind
    severity: DriftSeverity
    reason: str
    advice: str
    breaks_policy: bool


@dataclass(frozen=True, slots=True)
class _Claim:
    kind: ChangeKind
    severity: DriftSeverity
    reason: str
    advice: str
    explains: bool = False  # whether statistics of the window would see it


def conclude(
    *,
    policy: DriftPolicy,
    health: Sequence[HealthFinding],
    p_value: float | None,
    evidence: Evidence | None,
    harm: Harm | None,
    statistics: Sequence[StatisticResult] = (),
    segments: Sequence[SegmentResult] = (),
    is_watch: bool,
) -> Conclusion:
    """Return what the figures of one window come to.

    Args:
        p_value: Of all statistics together; None of a window too small for a test. Decides in a check.
        evidence: Of the windows so far; decides in a watch.
        harm: None where neither canaries nor scores exist.
        statistics: Named in the reason of a drift: the one with the smallest p-value.
        segments: Tested each against its own past, corrected for their number: a second test beside that of the whole,
            which a small segment hardly moves.
    """
    alarm = _alarm(policy, p_value, evidence, statistics, is_watch=is_watch)
    known = harm or Harm()
    claims = [*_pipeline_claims(health), *_canary_claims(policy, known), *_numeric_claims(health, known)]
    cause = _cause(known, claims)
    if alarm and cause is None:
        claims.append(_data_claim(known, alarm))
    if not alarm and cause is None:
        claims += _segment_claims(segments)
    claims += _score_claims(policy, known, alarm, cause, is_watch=is_watch)
    if not claims:
        return _quiet(policy, p_value, evidence, known, is_watch=is_watch)
    worst = min(claims, key=_order)
    reason = f"{worst.reason} The statistics see it as well: {alarm}." if alarm and worst is cause else worst.reason
    breaks = DRIFT_SEVERITIES.index(worst.severity) >= DRIFT_SEVERITIES.index(policy.fail_on)
    return Conclusion(worst.kind, worst.severity, reason, worst.advice, breaks)


# ------------------------------------------------------------ claims


def _pipeline_claims(health: Sequence[HealthFinding]) -> Iterator[_Claim]:
    for finding in health:
        if finding.kind == "pipeline" and finding.severity != "ok":
            explains = finding.name in MOVES_ROWS
            yield _Claim("pipeline", finding.severity, finding.sentence, _MEND, explains)


def _canary_claims(policy: DriftPolicy, harm: Harm) -> Iterator[_Claim]:
    if harm.identity is None or harm.identity >= SAME_IDENTITY:
        return
    kind, severity = canary_kind(policy, harm), harm_severity(policy, harm)
    sentence = canary_sentence(policy, harm, kind, severity)
    yield _Claim(kind, severity, sentence, canary_advice(harm, severity), explains=True)


def _numeric_claims(health: Sequence[HealthFinding], harm: Harm) -> Iterator[_Claim]:
    """Rows that look changed by arithmetic or a model; canaries that show such a change have measured what it does."""
    measured = harm.identity is not None and harm.identity < SAME_IDENTITY and has_harm(harm)
    for finding in health:
        if finding.kind in ("numeric", "model") and finding.severity != "ok":
            severity: DriftSeverity = "info" if measured else finding.severity
            advice = REBASELINE if severity == "info" else FIND_OUT
            yield _Claim(finding.kind, severity, finding.sentence, advice, finding.name in MOVES_ROWS)


def _data_claim(harm: Harm, alarm: str) -> _Claim:
    """An alarm that only the data explain; whether queries find less is `_score_claims`' to say."""
    if harm.low_score_share is None:
        return _Claim("data", "warn", f"The data changed ({alarm}); no query scores tell whether it harms.", _LOOK)
    reason = f"The data changed ({alarm}), but queries find about as well as before: {_low_scores(harm)}."
    return _Claim("data", "info", reason, REBASELINE)


def _segment_claims(segments: Sequence[SegmentResult]) -> Iterator[_Claim]:
    names = [found.segment for found in segments if found.is_alarm]
    if names:
        shown = ", ".join(names[:_SEGMENTS_NAMED]) + (" and others" if len(names) > _SEGMENTS_NAMED else "")
        yield _Claim("data", "warn", f"The data of {shown} changed, though the whole shows no change.", _LOOK)


def _score_claims(
    policy: DriftPolicy, harm: Harm, alarm: str, cause: _Claim | None, *, is_watch: bool
) -> Iterator[_Claim]:
    if harm.low_score_share is None or harm.low_score_p is None:
        return
    growth = harm.low_score_share - BASELINE_LOW_SHARE
    level = SCORE_ALPHA if alarm or cause else _lone_score_alpha(policy, is_watch=is_watch)
    if harm.low_score_p >= level or growth <= policy.warn_score_drop:
        return
    # Another model has another scale of scores: lower ones warn (limits on scores break), but rankings tell harm.
    is_critical = growth > CRITICAL_SCORE_GROWTH * policy.warn_score_drop and not is_moved(harm)
    severity: DriftSeverity = "critical" if is_critical else "warn"
    if cause is not None:
        advice = RE_EMBED if cause.severity == "info" else cause.advice
        yield _Claim(cause.kind, severity, f"{cause.reason} Queries score lower: {_low_scores(harm)}.", advice)
    elif alarm:
        reason = f"The data changed ({alarm}) and queries find less: {_low_scores(harm)}."
        yield _Claim("data", severity, reason, _SERVE)
    else:
        reason = f"The vectors are as before and yet queries find less: {_low_scores(harm)}."
        yield _Claim("pipeline", severity, reason, _MEND_INDEX)


# ------------------------------------------------------------ what the figures say


def _alarm(
    policy: DriftPolicy,
    p_value: float | None,
    evidence: Evidence | None,
    statistics: Sequence[StatisticResult],
    *,
    is_watch: bool,
) -> str:
    """What makes the alarm, in words; nothing without one."""
    if is_watch:
        if evidence is None or not evidence.is_alarm:
            return ""
        words = _sums(evidence)
    elif p_value is not None and p_value <= policy.false_alarms:
        words = f"p = {p_value:.3g}, alarm at {policy.false_alarms:g}"
    else:
        return ""
    if not statistics:
        return words
    first = min(statistics, key=lambda each: each.p_value)
    size = "" if first.effect is None else f" {first.effect:.3g} {first.unit}".rstrip()
    return f"{words}, most of all {first.name}{size}"


def _lone_score_alpha(policy: DriftPolicy, *, is_watch: bool) -> float:
    """Level of the scores as an alarm of their own: they add at most a tenth to the stated rate of false alarms."""
    return min(SCORE_ALPHA, 0.1 / policy.run_length if is_watch else 0.1 * policy.false_alarms)


def _cause(harm: Harm, claims: Sequence[_Claim]) -> _Claim | None:
    """The worst claim that is large enough to have raised an alarm without any change of data; None for none."""
    causes = [claim for claim in claims if claim.explains and (claim.severity != "info" or is_moved(harm))]
    return min(causes, key=_order, default=None)


# ------------------------------------------------------------ words


def _sums(evidence: Evidence) -> str:
    windows = "1 window" if evidence.windows == 1 else f"{evidence.windows:,} windows"
    return f"evidence {evidence_words(evidence.detector)} of {evidence.run_length:,} after {windows}"


def _low_scores(harm: Harm) -> str:
    return f"{harm.low_score_share:.1%} score under the baseline's 5th percentile, where 5 % did"


def _quiet(
    policy: DriftPolicy, p_value: float | None, evidence: Evidence | None, harm: Harm, *, is_watch: bool
) -> Conclusion:
    if p_value is None:
        reason = "Nothing is wrong with the rows themselves; whether they drift was not tested."
    elif is_watch and evidence is not None and not evidence.windows:
        ended = "the alarm has ended after windows in a row that look fine, and the evidence starts from nothing"
        reason = f"No change beyond chance: {ended}; p = {p_value:.3g} of this one alone."
    elif is_watch and evidence is not None:
        reason = f"No change beyond chance: {_sums(evidence)}, p = {p_value:.3g} of this one alone."
    else:
        reason = f"No change beyond chance: p = {p_value:.3g}, alarm at {policy.false_alarms:g}."
    if harm.identity is not None:
        reason += f" The model is the same: mean cosine of canaries {harm.identity:.5f}."
    return Conclusion("none", "ok", reason, _NOTHING, policy.fail_on == "ok")


def _order(claim: _Claim) -> tuple[int, int]:
    """The worst first; of equal ones, the cause before what may follow from it."""
    return -DRIFT_SEVERITIES.index(claim.severity), _KIND_ORDER.index(claim.kind)
