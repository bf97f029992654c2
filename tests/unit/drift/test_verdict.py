"""Every combination of figures has one kind, severity and advice, and more harm never a lower severity."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.drift.verdict import Conclusion, conclude
from benchkit.types.drift import (
    DRIFT_SEVERITIES,
    DriftPolicy,
    Evidence,
    Harm,
    HealthFinding,
    SegmentResult,
    StatisticResult,
)

POLICY = DriftPolicy()
NAN_ROWS = HealthFinding("nonfinite", "critical", "pipeline", 0.1, 0.0, "5 of 50 rows have a NaN.")
FEW_ROWS = HealthFinding("volume", "warn", "pipeline", 3, 100, "The window has 3 rows.")
FLOOD = HealthFinding("duplicates", "warn", "pipeline", 0.1, 0.0, "One vector fills 10 % of the rows.")
HALF = HealthFinding("dtype", "info", "numeric", 1.0, 0.0, "50 of 50 rows are stored as float16.")
NOISY = HealthFinding("dead_directions", "warn", "numeric", 9e-3, 2e-8, "Directions hold noise.")
ROTATED = HealthFinding("dead_directions", "warn", "model", 0.05, 2e-8, "Directions hold another space.")
CENTROID = StatisticResult("centroid", 9.0, 1e-4, effect=0.0213, unit="of the spread")
TAIL = StatisticResult("novelty", 5.0, 1e-6, effect=0.05)

SAME = Harm(n_canaries=100, identity=1.0, worst_identity=1.0, overlap_at_10=1.0, mixed_overlap_at_10=1.0)
BF16 = replace(SAME, identity=0.99998, worst_identity=0.9999, overlap_at_10=1.0, mixed_overlap_at_10=0.999)
NOISE = replace(SAME, identity=0.981, worst_identity=0.9798, overlap_at_10=0.93, mixed_overlap_at_10=0.95)
FEW_DIMENSIONS = replace(SAME, identity=0.959, worst_identity=0.92, overlap_at_10=0.69, mixed_overlap_at_10=0.77)
HALF_FLEET = replace(SAME, identity=0.98, worst_identity=0.3, overlap_at_10=0.97, mixed_overlap_at_10=0.97)
PREFIX = replace(SAME, identity=0.9, worst_identity=0.8, overlap_at_10=0.86, mixed_overlap_at_10=0.85)
SWAPPED = replace(SAME, identity=0.02, worst_identity=-0.1, overlap_at_10=0.5, mixed_overlap_at_10=0.01)
BETTER = replace(SAME, identity=0.02, worst_identity=-0.1, overlap_at_10=0.95, mixed_overlap_at_10=0.92)
FIVE_TEXTS = Harm(n_canaries=5, identity=0.5, worst_identity=0.4)
FIVE_NEAR = Harm(n_canaries=5, identity=0.9999, worst_identity=0.999)


def scores(share: float, p: float = 1e-9, harm: Harm = SAME) -> Harm:
    return replace(harm, low_score_share=share, low_score_p=p)


def ndcg(low: float, high: float, harm: Harm = PREFIX) -> Harm:
    return replace(harm, ndcg_before=0.8, ndcg_at_10=0.8 + (low + high) / 2, ndcg_change_low=low, ndcg_change_high=high)


def verdict(*, health=(), p=0.5, evidence=None, harm=None, statistics=(), is_watch=False, policy=POLICY) -> Conclusion:
    return conclude(
        policy=policy,
        health=health,
        p_value=p,
        evidence=evidence,
        harm=harm,
        statistics=statistics,
        is_watch=is_watch,
    )


@pytest.mark.parametrize(
    ("health", "p", "harm", "kind", "severity", "advice"),
    [
        # nothing
        ([], 0.5, None, "none", "ok", "Nothing needs"),
        ([], None, None, "none", "ok", "Nothing needs"),
        ([], 0.0101, SAME, "none", "ok", "Nothing needs"),
        ([], 0.5, scores(0.06, 0.2), "none", "ok", "Nothing needs"),
        # broken rows, whatever else
        ([NAN_ROWS], 0.5, None, "pipeline", "critical", "Mend"),
        ([NAN_ROWS], None, None, "pipeline", "critical", "Mend"),
        ([NAN_ROWS], 1e-9, SWAPPED, "pipeline", "critical", "Mend"),
        ([NAN_ROWS, NOISY], 1e-9, SAME, "pipeline", "critical", "Mend"),
        ([FEW_ROWS], None, None, "pipeline", "warn", "Mend"),
        ([FLOOD], 1e-9, SAME, "pipeline", "warn", "Mend"),
        # canaries that come back otherwise
        ([], 0.5, BF16, "numeric", "info", "Renew"),
        ([], 0.5, NOISE, "numeric", "info", "Renew"),
        ([], 0.5, HALF_FLEET, "model", "info", "Renew"),
        ([], 0.5, BETTER, "model", "info", "Renew"),
        ([], 0.5, PREFIX, "model", "warn", "Re-embed"),
        ([], 0.5, replace(NOISE, mixed_overlap_at_10=0.89), "model", "warn", "Re-embed"),
        ([], 0.5, replace(NOISE, overlap_at_10=0.89), "model", "warn", "Re-embed"),
        # noise of few dimensions loses neighbours, and is noise
        ([], 0.5, replace(FEW_DIMENSIONS, is_noise=True), "numeric", "warn", "Re-embed"),
        ([], 1e-9, replace(FEW_DIMENSIONS, is_noise=True), "numeric", "warn", "Re-embed"),
        ([], 0.5, replace(FEW_DIMENSIONS, is_noise=False), "model", "warn", "Re-embed"),
        ([], 0.5, replace(NOISE, is_noise=False), "numeric", "info", "Renew"),
        ([], 0.5, SWAPPED, "model", "critical", "Roll back"),
        ([], 1e-9, SWAPPED, "model", "critical", "Roll back"),
        ([], 0.5, FIVE_TEXTS, "model", "warn", "Compare the model"),
        ([], 0.5, FIVE_NEAR, "numeric", "info", "Renew"),
        ([], 1e-9, NOISE, "numeric", "info", "Renew"),
        # a change of arithmetic too small to raise an alarm does not hide one of the data
        ([], 1e-9, BF16, "data", "warn", "Look at the texts"),
        # judged canaries have the last word
        ([], 0.5, ndcg(-0.02, 0.01), "model", "info", "Renew"),
        ([], 0.5, ndcg(-0.02, 0.01, SWAPPED), "model", "info", "Renew"),
        ([], 0.5, ndcg(-0.09, 0.03), "model", "warn", "Re-embed"),
        ([], 0.5, ndcg(-0.09, 0.03, SWAPPED), "model", "critical", "Roll back"),
        ([], 0.5, ndcg(-0.09, 0.03, BETTER), "model", "info", "Renew"),
        ([], 0.5, ndcg(-0.03, -0.01, BETTER), "model", "warn", "Re-embed"),
        ([], 0.5, ndcg(-0.03, -0.01, SWAPPED), "model", "critical", "Roll back"),
        ([], 0.5, ndcg(-0.3, -0.06, BETTER), "model", "critical", "Roll back"),
        ([], 0.5, ndcg(0.01, 0.05), "model", "info", "Renew"),
        ([], 0.5, ndcg(-0.3, -0.06, NOISE), "numeric", "critical", "Roll back"),
        # rows that look changed by arithmetic or a model
        ([HALF], 0.5, None, "numeric", "info", "Renew"),
        ([HALF], 1e-9, SAME, "data", "warn", "Look at the texts"),
        ([NOISY], 0.5, None, "numeric", "warn", "Compare the model"),
        ([NOISY], 0.5, SAME, "numeric", "warn", "Compare the model"),
        ([NOISY], 1e-9, SAME, "numeric", "warn", "Compare the model"),
        ([NOISY], 0.5, NOISE, "numeric", "info", "Renew"),
        ([NOISY], 1e-9, NOISE, "numeric", "info", "Renew"),
        ([NOISY], 1e-9, BF16, "data", "warn", "Look at the texts"),
        ([ROTATED], 1e-9, None, "model", "warn", "Compare the model"),
        ([ROTATED], 1e-9, SWAPPED, "model", "critical", "Roll back"),
        # the data
        ([], 0.01, None, "data", "warn", "Look at the texts"),
        ([], 0.01, SAME, "data", "warn", "Look at the texts"),
        ([FEW_ROWS], 1e-9, scores(0.05, 0.5), "pipeline", "warn", "Mend"),
        ([], 1e-9, scores(0.05, 0.5), "data", "info", "Renew"),
        ([], 1e-9, scores(0.09, 1e-9), "data", "info", "Renew"),
        ([], 1e-9, scores(0.30, 0.02), "data", "info", "Renew"),
        ([], 1e-9, scores(0.12, 1e-3), "data", "warn", "Add documents"),
        ([], 1e-9, scores(0.26, 1e-3), "data", "critical", "Add documents"),
        ([], 1e-9, scores(0.12, 1e-3, Harm()), "data", "warn", "Add documents"),
        ([], 1e-9, scores(0.01, 1.0), "data", "info", "Renew"),
        # queries that find less although nothing drifts: surer than that, as it is one more alarm
        ([], 0.5, scores(0.12, 2e-3), "none", "ok", "Nothing needs"),
        ([], 0.5, scores(0.12, 5e-4), "pipeline", "warn", "Look at the index"),
        ([], None, scores(0.50, 5e-4), "pipeline", "critical", "Look at the index"),
        # ... and the model is why
        ([], 0.5, scores(0.12, 2e-3, NOISE), "numeric", "warn", "Re-embed"),
        ([], 1e-9, scores(0.50, 1e-9, PREFIX), "model", "warn", "Re-embed"),
        ([FLOOD], 1e-9, scores(0.50, 1e-9), "pipeline", "critical", "Mend"),
    ],
)
def test_one_verdict_for_each_combination(health, p, harm, kind, severity, advice):
    said = verdict(health=health, p=p, harm=harm)
    assert (said.kind, said.severity) == (kind, severity)
    assert said.advice.startswith(advice)
    assert said.breaks_policy == (severity in ("warn", "critical"))
    assert said.reason.endswith(".")


@pytest.mark.parametrize(
    ("p", "detector", "kind"),
    [(1e-9, 999.9, "none"), (0.5, 1000.0, "data"), (None, 1000.0, "data"), (1e-9, None, "none")],
)
def test_a_watch_goes_by_the_evidence_alone(p, detector, kind):
    evidence = None if detector is None else Evidence(1.0, detector, 1000, 7)
    assert verdict(p=p, evidence=evidence, is_watch=True).kind == kind


def test_a_check_goes_by_the_p_value_alone():
    assert verdict(p=0.5, evidence=Evidence(9.0, 5000, 1000, 7)).kind == "none"


def test_scores_alone_alarm_a_watch_ten_times_less_often_than_drift_does():
    evidence = Evidence(1.0, 0.0, 1000, 7)
    assert verdict(harm=scores(0.12, 1.1e-4), evidence=evidence, is_watch=True).kind == "none"
    assert verdict(harm=scores(0.12, 0.9e-4), evidence=evidence, is_watch=True).kind == "pipeline"


@pytest.mark.parametrize(
    ("fail_on", "harm", "breaks"),
    [
        ("info", BF16, True),
        ("warn", BF16, False),
        ("warn", PREFIX, True),
        ("critical", PREFIX, False),
        ("critical", SWAPPED, True),
        ("info", SAME, False),
        ("ok", SAME, True),
    ],
)
def test_the_policy_says_what_breaks_it(fail_on, harm, breaks):
    assert verdict(harm=harm, policy=DriftPolicy(fail_on=fail_on)).breaks_policy is breaks


def test_the_policy_s_thresholds_are_used():
    strict = DriftPolicy(warn_overlap=0.99, critical_overlap=0.97, warn_score_drop=0.001, false_alarms=0.2)
    assert verdict(harm=NOISE, policy=strict).severity == "critical"
    assert verdict(p=0.15, harm=scores(0.0515, 1e-3), policy=strict).severity == "warn"
    assert verdict(harm=SWAPPED, policy=DriftPolicy(warn_overlap=0.0, critical_overlap=0.0)).severity == "info"


# sentences


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"p": 0.5}, "No change beyond chance: p = 0.5, alarm at 0.01."),
        ({"p": None}, "Nothing is wrong with the rows themselves; whether they drift was not tested."),
        (
            {"p": 0.5, "harm": SAME},
            "No change beyond chance: p = 0.5, alarm at 0.01. The model is the same: mean cosine of canaries 1.00000.",
        ),
        (
            {"p": 0.002, "evidence": Evidence(3.0, 41.2, 1000, 9), "is_watch": True},
            "No change beyond chance: evidence 41 of 1,000 after 9 windows, p = 0.002 of this one alone.",
        ),
        # What is no alarm doesn't look as if it were at the level of one.
        (
            {"p": 0.01004, "evidence": Evidence(3.0, 999.96, 1000, 1), "is_watch": True},
            "No change beyond chance: evidence 999 of 1,000 after 1 window, p = 0.01 of this one alone.",
        ),
        (
            {"p": 0.0149, "policy": DriftPolicy(false_alarms=0.0145)},
            "No change beyond chance: p = 0.0149, alarm at 0.0145.",
        ),
        (
            {"p": 0.4, "evidence": Evidence(0.5, 0.0, 1000, 0), "is_watch": True},
            (
                "No change beyond chance: the alarm has ended after windows in a row that look fine, and the evidence "
                "starts from nothing; p = 0.4 of this one alone."
            ),
        ),
        (
            {"p": 2e-5, "statistics": [CENTROID, TAIL]},
            (
                "The data changed (p = 2e-05, alarm at 0.01, most of all novelty 0.05); "
                "no query scores tell whether it harms."
            ),
        ),
        (
            {"evidence": Evidence(3.0, 1234.5, 1000, 9), "is_watch": True, "harm": scores(0.0634, 0.2)},
            (
                "The data changed (evidence 1,234 of 1,000 after 9 windows), but queries find about as well as before: "
                "6.3% score under the baseline's 5th percentile, where 5 % did."
            ),
        ),
        (
            {"p": 2e-5, "statistics": [CENTROID], "harm": SWAPPED},
            (
                "Another model answers, with great harm to retrieval: mean cosine to the stored vectors 0.02000 over "
                "100 canaries, 1% of the ten nearest stay in the live index, 50% in one built anew, warning below 90%. "
                "The statistics see it as well: p = 2e-05, alarm at 0.01, most of all centroid 0.0213 of the spread."
            ),
        ),
        (
            {"harm": ndcg(-0.021, 0.004, NOISE)},
            (
                "The arithmetic of the model changed, without harm to retrieval: mean cosine to the stored vectors "
                "0.98100 over 100 canaries, 95% of the ten nearest stay in the live index, 93% in one built anew, "
                "warning below 90%, change of nDCG@10 between -0.021 and +0.004."
            ),
        ),
        (
            {"harm": FIVE_TEXTS},
            (
                "Another model answers, and its effect on retrieval is not known: mean cosine to the stored vectors "
                "0.50000 over 5 canaries."
            ),
        ),
        ({"health": [NAN_ROWS], "p": 1e-9}, "5 of 50 rows have a NaN."),
        (
            {"health": [FLOOD], "p": 1e-9},
            "One vector fills 10 % of the rows. The statistics see it as well: p = 1e-09, alarm at 0.01.",
        ),
    ],
)
def test_reasons_carry_their_numbers(options, reason):
    assert verdict(**options).reason == reason


# monotone


def severity(**options) -> int:
    return DRIFT_SEVERITIES.index(verdict(**options).severity)


HEALTHS = [[], [FEW_ROWS], [FLOOD], [HALF], [NOISY], [ROTATED], [NAN_ROWS]]
WORSE = {
    "mixed_overlap_at_10": [None, 1.0, 0.95, 0.9, 0.89, 0.6, 0.59, 0.0],
    "overlap_at_10": [1.0, 0.9, 0.89, 0.5],
    "ndcg": [(0.0, 0.1), (-0.04, 0.02), (-0.2, 0.02), (-0.2, 0.0), (-0.2, -0.01), (-0.3, -0.051), (-0.9, -0.8)],
    "low_score_share": [0.0, 0.05, 0.1, 0.101, 0.2, 0.3, 1.0],
    "low_score_p": [1.0, 0.01, 0.009, 1e-4, 1e-12],
}


def worsened(harm: Harm, what: str, step) -> Harm:
    if what == "ndcg":
        return replace(harm, ndcg_change_low=step[0], ndcg_change_high=step[1])
    return replace(harm, **{what: step})


@pytest.mark.parametrize("what", list(WORSE))
@pytest.mark.parametrize("harm", [SAME, BF16, NOISE, PREFIX, SWAPPED, FIVE_TEXTS, ndcg(-0.2, 0.1)])
def test_more_harm_never_lowers_the_severity(what, harm):
    steps = [step for step in WORSE[what] if step is not None]
    for health, p, share, p_low in itertools.product(HEALTHS, (0.5, 1e-9, None), (0.05, 0.3), (0.5, 1e-9)):
        start = replace(harm, low_score_share=share, low_score_p=p_low)
        found = [severity(health=health, p=p, harm=worsened(start, what, step)) for step in steps]
        assert found == sorted(found), (health, p, steps)


def test_a_worse_finding_never_lowers_the_severity():
    for health, p, harm in itertools.product(HEALTHS, (0.5, 1e-9), (None, SAME, NOISE, SWAPPED, scores(0.3))):
        for found in health:
            raised = [severity(health=[replace(found, severity=each)], p=p, harm=harm) for each in DRIFT_SEVERITIES]
            assert raised[1:] == sorted(raised[1:])


@given(
    st.one_of(st.none(), st.floats(0, 1)),
    st.builds(
        Harm,
        identity=st.one_of(st.none(), st.floats(-1, 1)),
        worst_identity=st.one_of(st.none(), st.floats(-1, 1)),
        overlap_at_10=st.one_of(st.none(), st.floats(0, 1)),
        mixed_overlap_at_10=st.one_of(st.none(), st.floats(0, 1)),
        ndcg_change_low=st.one_of(st.none(), st.floats(-1, 1)),
        ndcg_change_high=st.one_of(st.none(), st.floats(-1, 1)),
        low_score_share=st.one_of(st.none(), st.floats(0, 1)),
        low_score_p=st.one_of(st.none(), st.floats(0, 1)),
    ),
    st.lists(st.sampled_from([NAN_ROWS, FEW_ROWS, FLOOD, HALF, NOISY, ROTATED])),
    st.booleans(),
)
def test_every_combination_has_a_verdict_and_only_quiet_ones_are_ok(p, harm, health, is_watch):
    said = verdict(p=p, harm=harm, health=health, is_watch=is_watch)
    assert (said.kind == "none") == (said.severity == "ok")
    assert said.breaks_policy == (said.severity in ("warn", "critical"))
    assert said.reason
    assert said.advice


@pytest.mark.parametrize(
    ("before", "now", "severity"),
    [(0.90, 0.895, "info"), (0.90, 0.87, "warn"), (None, None, "warn"), (0.90, 0.95, "info")],
)
def test_other_neighbours_that_are_as_good_are_no_harm(before: float | None, now: float | None, severity: str) -> None:
    harm = replace(PREFIX, pseudo_label_before=before, pseudo_label_accuracy=now)
    assert verdict(harm=harm).severity == severity


def test_labels_do_not_excuse_an_overlap_that_is_gone() -> None:
    harm = replace(SWAPPED, pseudo_label_before=0.9, pseudo_label_accuracy=0.9)
    assert verdict(harm=harm).severity == "critical"


def segment(name: str, *, is_alarm: bool) -> SegmentResult:
    return SegmentResult(segment=name, rows=500, p_value=0.001, e_value=20.0, is_alarm=is_alarm)


def test_a_segment_that_drifts_warns_though_the_whole_does_not() -> None:
    found = conclude(
        policy=POLICY, health=(), p_value=0.4, evidence=None, harm=None, is_watch=False,
        segments=(segment("de", is_alarm=False), segment("fr", is_alarm=True)),
    )  # fmt: skip
    assert (found.kind, found.severity, found.breaks_policy) == ("data", "warn", True)
    assert found.reason == "The data of fr changed, though the whole shows no change."


def test_segments_that_do_not_drift_say_nothing_and_the_whole_speaks_for_all() -> None:
    calm = (segment("de", is_alarm=False),)
    assert (
        conclude(
            policy=POLICY, health=(), p_value=0.4, evidence=None, harm=None, is_watch=False, segments=calm
        ).severity
        == "ok"
    )
    loud = (segment("de", is_alarm=True),)
    whole = conclude(policy=POLICY, health=(), p_value=1e-4, evidence=None, harm=None, is_watch=False, segments=loud)
    assert "though the whole" not in whole.reason
