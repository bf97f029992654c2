"""Quality rules: which verdict, from which numbers, and everything that must never be a pass."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from quality_scores import EACH, MEAN, RESAMPLES, ZH, cell, correlated, judged, moved, scored, values

from benchkit.errors import NotComparable, UsageError
from benchkit.gate.quality import QualityJudgement, judge_quality
from benchkit.gate.quality_words import Seen, power_sentence
from benchkit.measure.bootstrap import Draws, draw_scores, mean_draws
from benchkit.measure.cumulants import difference_cumulants, of_mean
from benchkit.measure.decide import holm
from benchkit.measure.noninferiority import detectable, items_needed, noninferiority, unnoticed
from benchkit.types.gate import QualityRule
from benchkit.types.result import CellResult

# Verdicts


def test_a_regression_beyond_the_margin_fails_in_one_plain_line():
    base = values(0)
    result = judged([cell("Support", moved(base, -0.04))], [cell("Support", base)], EACH)["quality/task:Support"]
    assert result.verdict == "fail"
    assert result.change == pytest.approx(-0.04)
    assert (result.threshold, result.n, result.unit, result.on) == (-0.02, 200, "score", "Support")
    assert result.low is not None
    assert result.high is not None
    assert result.sentence == (
        f"Support: {100 * (base.mean() - 0.04):.1f} against {100 * base.mean():.1f} points: -4.0 "
        f"(95 % {100 * result.low:+.1f} to {100 * result.high:+.1f}), worse than the margin of 2.0"
    )


def test_a_small_regression_that_is_surely_within_the_margin_passes():
    base = values(0)
    result = judged([cell("T", moved(base, -0.005))], [cell("T", base)], EACH)["quality/task:T"]
    assert result.verdict == "pass"
    assert result.bound is not None
    assert -0.02 < result.bound < -0.005
    assert result.sentence.endswith(f", at worst {100 * result.bound:+.1f} where 2.0 is allowed")


def test_too_few_items_are_inconclusive_and_the_line_says_how_many_would_tell():
    base = values(0, 40)
    result = judged([cell("T", moved(base, -0.01, spread=0.1))], [cell("T", base)], EACH)["quality/task:T"]
    assert result.verdict == "inconclusive"
    assert result.items_needed is not None
    assert result.items_needed > 40
    assert result.bound is not None
    assert result.sentence.endswith(
        f"may be as bad as {100 * result.bound:+.1f}; 2.0 is allowed; "
        f"an equally good model needs about {result.items_needed} items to pass (now 40)"
    )


def test_a_loss_beyond_the_margin_that_may_be_chance_is_inconclusive():
    base = values(0, 30)
    result = judged([cell("T", moved(base, -0.025, spread=0.2))], [cell("T", base)], EACH)["quality/task:T"]
    assert result.verdict == "inconclusive"
    assert result.sentence.endswith("beyond the margin of 2.0, but that may still be chance")


def test_numbers_are_those_of_the_draws_of_all_tasks_and_holm_over_tasks_and_slices():
    olds = {name: values(seed, 60) for seed, name in enumerate("ABC")}
    news = {name: moved(base, by, seed=7) for (name, base), by in zip(olds.items(), (0.0, -0.01, -0.016), strict=True)}
    tags = {"B": ["zh"] * 20 + ["en"] * 40}
    found = judged(
        [cell(*one) for one in news.items()], [cell(*one) for one in olds.items()], MEAN, EACH, ZH, tags=tags
    )
    assert list(found) == ["quality/mean", *(f"quality/task:{n}" for n in "ABC"), "quality/slice:lang=zh"]

    def draws(task: str, base: np.ndarray, stream: str) -> Draws:
        items = cell(task, base).items
        return draw_scores(items, stream=stream, estimate=float(base.mean()), n_resamples=RESAMPLES, seed=42)

    both = {n: (draws(n, news[n], n), draws(n, olds[n], n)) for n in "ABC"}
    shapes = {n: difference_cumulants(cell(n, news[n]).items[0], cell(n, olds[n]).items[0]) for n in "ABC"}
    tests = {f"quality/task:{n}": noninferiority(*both[n], margin=0.02, cumulants=shapes[n]) for n in "ABC"}
    cut = (draws("B", news["B"][:20], "B\nlang=zh"), draws("B", olds["B"][:20], "B\nlang=zh"))
    of_cut = difference_cumulants(*(cell("B", of["B"][:20]).items[0] for of in (news, olds)))
    tests["quality/slice:lang=zh"] = noninferiority(*cut, margin=0.02, cumulants=of_cut)
    passing = holm([test.p_noninferior for test in tests.values()])
    failing = holm([test.p_worse for test in tests.values()])
    for (name, test), p_pass, p_fail in zip(tests.items(), passing, failing, strict=True):
        result = found[name]
        assert (result.p_pass, result.p_fail) == (p_pass, p_fail)
        assert result.change == pytest.approx(test.delta)
        assert result.bound == pytest.approx(test.lower)
        assert result.detectable == pytest.approx(detectable(test.standard_error, 0.02, family=4))
    means = [mean_draws([both[n][i] for n in "ABC"]) for i in (0, 1)]
    mean = noninferiority(*means, margin=0.005, cumulants=of_mean(list(shapes.values())))
    assert found["quality/mean"].p_pass == mean.p_noninferior  # stands alone
    assert found["quality/mean"].bound == pytest.approx(mean.lower)
    assert found["quality/mean"].n == 180
    assert found["quality/mean"].items_needed == items_needed(180, mean.standard_error, 0.005)


def test_a_rule_that_only_holms_correction_keeps_from_passing_says_so():
    # Three tasks, each below 0.05 alone and none below 0.05 / 3.
    olds = {name: values(seed, 100) for seed, name in enumerate("ABC")}
    news = [cell(name, moved(base, -0.0105, seed=3)) for name, base in olds.items()]
    alone = judged(news[:1], [cell("A", olds["A"])], EACH)["quality/task:A"]
    together = judged(news, [cell(*one) for one in olds.items()], EACH)["quality/task:A"]
    assert alone.verdict == "pass"
    assert together.verdict == "inconclusive"
    assert together.bound == alone.bound
    assert "by itself at worst" in together.sentence
    assert "not sure among 3 rules" in together.sentence


def test_margins_are_monotone_and_a_shift_of_both_models_changes_no_verdict():
    base = values(2, 80)
    new = moved(base, -0.02, spread=0.06)
    order = ["fail", "inconclusive", "pass"]
    found = []
    for margin in (0.001, 0.005, 0.01, 0.019, 0.021, 0.03, 0.05, 0.1):
        rule = QualityRule("task:T", margin)
        one = judged([cell("T", new)], [cell("T", base)], rule)["quality/task:T"]
        other = judged([cell("T", new + 0.3)], [cell("T", base + 0.3)], rule)["quality/task:T"]
        assert one.verdict == other.verdict
        found.append(order.index(one.verdict))
    assert found == sorted(found)
    assert {0, 2} <= set(found)


def test_a_better_candidate_passes():
    base = values(0)
    assert judged([cell("T", moved(base, 0.1))], [cell("T", base)], EACH, MEAN)["quality/task:T"].verdict == "pass"


def test_a_good_mean_does_not_hide_a_dead_task():
    olds = [cell(name, values(seed)) for seed, name in enumerate("ABCDEFGHIJ")]
    news = [cell(one.task, moved(values(seed), 0.03)) for seed, one in enumerate(olds)]
    news[4] = cell("E", values(4) * 0.5)
    found = judged(news, olds, MEAN, EACH)
    assert {name for name, result in found.items() if result.verdict == "fail"} == {"quality/task:E"}


def test_severity_is_the_rules_own():
    base = values(0)
    found = judged([cell("T", moved(base, -0.1))], [cell("T", base)], replace(EACH, severity="warn"))
    assert found["quality/task:T"].severity == "warn"


def test_there_are_enough_resamples_for_the_family():
    # With 99 of them no p-value times 30 is below 0.05, and no candidate could pass.
    olds = [cell(f"T{i}", values(i, 50)) for i in range(30)]
    news = [cell(one.task, moved(values(i, 50), 0.1)) for i, one in enumerate(olds)]
    candidate = replace(scored(*news), n_resamples=99)
    found = judge_quality(candidate, scored(*olds, of="baseline"), (EACH,))
    assert {result.verdict for result in found.results} == {"pass"}


# A/A


def test_equal_scores_of_other_models_pass_with_exactly_no_change_five_hundred_times():
    rng = np.random.default_rng(0)
    for call in range(500):
        base = [cell(name, rng.random(12)) for name in "AB"]
        candidate = replace(scored(*base, tags={"A": ["zh"] * 12}), n_resamples=50, seed=call)
        found = judge_quality(candidate, replace(scored(*base, of="baseline"), seed=call), (MEAN, EACH, ZH))
        assert [result.verdict for result in found.results] == ["pass"] * 4
        assert [(r.change, r.low, r.high, r.bound) for r in found.results] == [(0.0, 0.0, 0.0, 0.0)] * 4


def test_equal_scores_say_what_the_suite_would_see_by_an_assumption():
    base = cell("T", values(0))
    found = judge_quality(scored(base), scored(base, of="baseline"), (QualityRule("mean", 0.02),))
    result = found.results[0]
    assert (result.detectable, result.items_needed) == (None, None)
    score = f"{100 * values(0).mean():.1f}"
    assert result.sentence == f"mean over 1 task: {score} against {score} points: no difference on any item"
    spread = float(draw_of(base).values.std())
    caught = f"{100 * (1.6449 + 0.8416) * spread:.1f}"
    assert f"With roughly 80 % power a regression of {caught} points of the mean" in found.power
    assert "as if the scores of two models correlated by 0.5" in found.power


def draw_of(one: CellResult) -> Draws:
    assert one.main_score is not None
    return draw_scores(one.items, stream=one.task, estimate=one.main_score, n_resamples=RESAMPLES, seed=42)


# Never a pass


def test_a_failed_task_that_no_rule_asks_for_is_an_error_all_the_same():
    failed = CellResult("m", "B", "STS", "failed", reason="no room")
    found = judged(
        [cell("A", values(0)), failed], [cell("A", values(0)), cell("B", values(1))], QualityRule("task:A", 1)
    )
    assert found["quality/task:B"].verdict == "error"
    assert found["quality/task:B"].severity == "block"
    assert found["quality/task:B"].sentence == (
        "B: the candidate failed: no room (no rule asks for it, but a task without a score is no pass)"
    )


# Not comparable


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (
            cell("T", values(0, 100)),
            r"T: not paired: test/default: 200 items against 100; renew the baseline: benchkit",
        ),
        (
            cell("T", values(0), data_digest="x"),
            "T: baseline and candidate differ: data digest x against dT; renew the",
        ),
        (cell("T", values(0), main_metric="map"), "T: baseline and candidate differ: metric map against hit; renew"),
    ],
)
@pytest.mark.parametrize("fingerprint", ["f", "other"])
def test_scores_of_other_items_data_or_metric_are_refused(old, message, fingerprint):
    new = scored(cell("T", values(0)), fingerprint="f")
    with pytest.raises(NotComparable, match=message):
        judge_quality(new, scored(old, of="baseline", fingerprint=fingerprint), (EACH,))


# Which rules


def test_the_first_of_two_rules_that_match_a_task_holds():
    cells = [cell(name, values(0)) for name in ("STSB", "SICK", "STS[x]")]
    rules = (QualityRule("task:STSB", 0.001), QualityRule("task:STS[x]", 0.002), QualityRule("task:*", 0.02, "warn"))
    found = judged(cells, cells, *rules)
    assert {result.on: result.threshold for result in found.values()} == {
        "STSB": -0.001,
        "STS[x]": -0.002,
        "SICK": -0.02,
    }


def test_a_task_called_mean_is_no_mean():
    cells = [cell("mean", values(0)), cell("A", values(1))]
    found = judged(cells, cells, MEAN, EACH)
    assert found["quality/mean"].n == 400
    assert found["quality/task:mean"].n == 200


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["task:STBS"], r"quality rule on 'task:STBS' matches no task \(did you mean 'STSB'\?\); tasks: STSB, SICK"),
        (["task:Arxiv*"], "quality rule on 'task:Arxiv\\*' matches no task; tasks: STSB, SICK"),
        (["slice:lang=zhh"], r"on 'slice:lang=zhh' matches no item \(did you mean 'zh'\?\); values of 'lang': en, zh"),
        (["slice:lng=zh"], r"on 'slice:lng=zh' matches no item \(did you mean 'lang'\?\); tags: lang"),
        (["tsk:*"], r"unknown quality rule 'tsk:\*' \(did you mean 'task:\*'\?\); write \"mean\", \"task:GLOB\" or"),
        (["average"], "unknown quality rule 'average'; write"),
        (["task:"], "unknown quality rule 'task:'"),
        (["slice:zh"], "a slice is KEY=VALUE, such as lang=zh; got 'zh'"),
        (["mean", "mean"], "quality rule on 'mean' can never hold, since 'mean' stands before it"),
        (["task:*", "task:STSB"], r"on 'task:STSB' can never hold, since 'task:\*' stands before it and matches all"),
    ],
)
def test_a_rule_that_asks_for_nothing_is_refused(rules, message):
    cells = [cell(name, values(0, 10)) for name in ("STSB", "SICK")]
    tags = {"STSB": ["zh"] * 5 + ["en"] * 5}
    with pytest.raises(UsageError, match=message):
        judged(cells, cells, *(QualityRule(on, 0.02) for on in rules), tags=tags)


def test_a_question_mark_before_a_star_is_no_cover():
    cells = [cell(name, values(0)) for name in ("A", "AB")]
    assert set(judged(cells, cells, QualityRule("task:?", 0.1), EACH)) == {"quality/task:A", "quality/task:AB"}


def test_a_slice_of_scores_without_items_is_refused():
    blank = replace(cell("T", values(0)), items=())
    with pytest.raises(UsageError, match="matches no item; there are no scores of items, so no slices of them"):
        judged([blank], [blank], ZH)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_that_is_not_above_0_is_refused_even_for_equal_models(margin):
    one = scored(cell("T", values(0)), fingerprint="f")
    with pytest.raises(UsageError, match="quality rule on 'mean': the margin should be above 0, got"):
        judge_quality(one, one, (QualityRule("mean", margin),))


def test_without_rules_nothing_is_judged():
    assert judge_quality(scored(), scored(), ()) == QualityJudgement((), "")


# Power


def test_power_names_the_mean_the_tasks_and_what_a_pass_takes():
    seen = [
        Seen("mean", True, 0.0121, False, 500, 400),
        Seen("A", False, 0.03, False, 100, 90),
        Seen("B", False, 0.09, False, 168, 640),
    ]
    assert power_sentence(seen) == (
        "With roughly 80 % power a regression of 1.2 points of the mean and of 3.0 (A) to 9.0 points (B) of a single "
        "rule would be caught. For an equally good model to pass as often, B needs about 640 items (now 168)."
    )
    assert power_sentence(seen[1:2]) == "With roughly 80 % power a regression of 3.0 points of A would be caught."
    assert power_sentence([]) == ""


def test_power_says_where_it_rests_on_an_assumption():
    seen = [Seen("A", False, 0.03, True, 100, 90), Seen("B", False, 0.09, False, 168, 100)]
    assert "The two models score the same on some rules, which says nothing about others" in power_sentence(seen)


def all_right(n_items: int = 20) -> CellResult:
    return cell("T", np.ones(n_items))


def test_what_a_task_would_catch_where_all_items_score_alike_is_not_known():
    found = judge_quality(scored(all_right()), scored(all_right(), of="baseline"), (EACH,))
    assert found.results[0].verdict == "pass"
    assert "would be caught" not in found.power
    assert "What the rules on T would catch isn't known: all items score or differ alike there." in found.power


@pytest.mark.parametrize("base", [np.ones(20), np.linspace(0.2, 0.9, 20)], ids=["all right", "mixed"])
def test_models_that_differ_by_the_same_on_every_item_do_not_score_the_same(base: np.ndarray):
    found = judge_quality(scored(cell("T", base - 0.2)), scored(cell("T", base), of="baseline"), (EACH,))
    assert found.results[0].verdict == "fail"
    assert "score the same" not in found.power
    assert "What the rules on T would catch isn't known" in found.power


def test_few_pairs_on_which_two_models_agree_say_little_either():
    rng = np.random.default_rng(0)
    one = correlated(rng.random(30), rng.random(30))
    power = judge_quality(scored(one), scored(one, of="baseline"), (QualityRule("task:*", 0.05),)).power
    assert "of models that fail on 5 % of such items 21 % would lose nothing on 30 of them" in power  # 0.95 ** 30


def test_a_pass_without_a_loss_says_how_many_worse_models_would_show_none():
    new, old = all_right(), cell("T", np.r_[np.ones(17), 0, 0, 0])
    for candidate in (new, old):  # three gains, and no difference at all
        power = judge_quality(scored(candidate), scored(old, of="baseline"), (EACH,)).power
        assert power.endswith(  # 0.98 ** 20
            "Nothing was lost on T, and of models that fail on 2 % of such items 67 % would lose nothing on 20 of "
            "them: the PASS says little there."
        )
    for candidate, baseline in ((all_right(150), all_right(150)), (cell("T", np.r_[0, np.ones(19)]), old)):
        power = judge_quality(scored(candidate), scored(baseline, of="baseline"), (EACH,)).power
        assert "Nothing was lost" not in power  # 0.98 ** 150 is below 5 %, and one item was lost


def test_a_worse_model_shows_no_loss_as_often_as_is_said():
    rng = np.random.default_rng(0)
    untouched = np.mean([(rng.random(30) >= 0.05).all() for _ in range(4000)])
    assert unnoticed(30, 0.05) == pytest.approx(untouched, abs=3 * np.sqrt(0.25 / 4000))
    assert unnoticed(7, 1.0) == 0.0


def test_several_rules_on_few_items_are_counted():
    seen = [Seen(name, False, None, False, 20, None, 0.02, chance) for name, chance in (("A", 0.5), ("B", 0.67))]
    assert power_sentence(seen) == (
        "What the rules on A, B would catch isn't known: all items score or differ alike there. Nothing was lost on B, "
        "and of models that fail on 2 % of such items 67 % would lose nothing on 20 of them: the PASS says little "
        "there; so it is with 1 more rule."
    )


def test_a_bound_never_looks_like_the_margin_that_it_misses():
    base = values(0, 60)
    seen = 0
    for seed in range(40):
        result = judged([cell("T", moved(base, -0.009, seed=seed))], [cell("T", base)], EACH)["quality/task:T"]
        if result.verdict == "inconclusive":
            assert "as bad as -2.0;" not in result.sentence
            seen += 1
    assert seen
    small = judged([cell("T", moved(base, -0.01))], [cell("T", base)], QualityRule("task:T", 0.0025))["quality/task:T"]
    assert "0.25" in small.sentence
