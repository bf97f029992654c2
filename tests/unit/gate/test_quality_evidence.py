"""The evidence of quality rules: one content, what can't be tested and why, and the items of a slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from quality_scores import EACH, MEAN, PLACE, RESAMPLES, ZH, cell, correlated, judged, moved, no_draws, scored, values

from benchkit.errors import UsageError
from benchkit.gate.quality import judge_quality
from benchkit.gate.quality_evidence import same_content
from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.types.gate import QualityRule
from benchkit.types.result import CellResult, ItemScores

# One content


def test_the_same_content_passes_without_a_bootstrap():
    new, old = [cell("T", values(0), engine="packed")], [cell("T", values(0) + 3e-5, engine="torch")]
    found = judge_quality(
        scored(*new, tags={"T": ["zh"] * 200}, fingerprint="f"),
        scored(*old, of="baseline", fingerprint="f"),
        (MEAN, EACH, ZH),
        draw=no_draws,
    )
    for result in found.results:
        assert (result.verdict, result.change, result.low, result.bound) == ("pass", 0.0, 0.0, 0.0)
        assert result.sentence.endswith("the same model by content")
    assert found.power == ""


@pytest.mark.parametrize(
    "change", [{"dimension": 3}, {"precision": "int8"}, {"similarity": "dot"}, {"fingerprint": "other"}]
)
def test_another_dimension_precision_or_similarity_is_no_same_content(change):
    assert same_content(scored(fingerprint="f"), scored(fingerprint="f", of="baseline"))
    assert not same_content(scored(**({"fingerprint": "f"} | change)), scored(fingerprint="f", of="baseline"))


def test_one_content_with_scores_within_the_margin_passes_and_tells_the_difference():
    base = values(0, 50)
    new = base.copy()
    new[0] -= 0.5  # one answer of fifty turned, as another machine may do
    found = judge_quality(
        scored(cell("T", new), fingerprint="f"), scored(cell("T", base), fingerprint="f"), (EACH,), draw=no_draws
    )
    assert found.results[0].verdict == "pass"
    assert found.results[0].change == pytest.approx(-0.01)
    assert "so libraries, engine or machine made the difference" in found.results[0].sentence


def test_one_content_with_broken_scores_fails():
    base = values(0)
    found = judge_quality(
        scored(cell("T", base * 0.5), fingerprint="f"), scored(cell("T", base), fingerprint="f"), (MEAN, EACH)
    )
    assert [result.verdict for result in found.results] == ["fail", "fail"]
    assert "the model is the same by content: look for what libraries, engine or machine changed" in (
        found.results[0].sentence
    )


def test_one_content_without_digests_of_the_data_is_looked_at():
    one = cell("T", values(0), data_digest=None)
    with pytest.raises(AssertionError, match="nothing should be resampled"):
        judge_quality(scored(one, fingerprint="f"), scored(one, fingerprint="f"), (EACH,), draw=no_draws)


def test_equal_scores_without_items_pass_where_the_fingerprint_is_equal():
    one = cell("T", values(0), items=())
    same, other = (scored(one, fingerprint=name, dimension=2) for name in ("f", "g"))
    baseline = scored(one, fingerprint="f")
    assert judge_quality(same, baseline, (EACH,)).results[0].verdict == "pass"
    assert judge_quality(other, baseline, (EACH,)).results[0].verdict == "inconclusive"


def test_a_slice_whose_items_nobody_knows_passes_for_a_model_of_the_same_content():
    one = scored(cell("T", values(0)), fingerprint="f")
    (result,) = judge_quality(one, one, (ZH,)).results
    assert (result.verdict, result.change) == ("pass", 0.0)


# Never a pass

BROKEN: dict[str, tuple[CellResult | None, str]] = {
    "missing": (None, "the {} has no result"),
    "failed": (
        CellResult("m", "B", "STS", "failed", reason="out of memory"),
        "the {} failed: out of memory",
    ),
    "skipped": (CellResult("m", "B", "STS", "skipped"), "the {} was skipped: no reason was recorded"),
    "nan": (cell("B", values(1), main_score=math.nan), "the {} has no score that is a number (nan)"),
    "none": (cell("B", values(1), main_score=None), "the {} has no score that is a number (None)"),
}


@pytest.mark.parametrize("whose", ["candidate", "baseline"])
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("fingerprint", ["f", "other"])
def test_a_cell_without_a_score_is_an_error_of_its_task_and_of_the_mean(whose, name, fingerprint):
    broken, said = BROKEN[name]
    good = [cell("A", values(0)), cell("B", values(1))]
    bad = [good[0], *([broken] if broken else [])]
    new, old = (bad, good) if whose == "candidate" else (good, bad)
    found = judge_quality(
        scored(*new, fingerprint="f"), scored(*old, of="baseline", fingerprint=fingerprint), (MEAN, EACH)
    )
    results = {result.id: result for result in found.results}
    assert results["quality/task:B"].verdict == results["quality/mean"].verdict == "error"
    assert results["quality/task:B"].sentence == f"B: {said.format(whose)}"
    assert results["quality/mean"].sentence == f"mean over 2 tasks: B: {said.format(whose)}"
    assert results["quality/mean"].candidate is None
    assert results["quality/task:A"].verdict == "pass"


def test_a_task_without_scores_of_items_is_inconclusive():
    new, old = (cell("T", values(0), items=(), main_score=score) for score in (0.8, 0.81))
    found = judged([new, cell("A", values(1))], [old, cell("A", values(1))], EACH, MEAN)
    assert found["quality/task:T"].verdict == found["quality/mean"].verdict == "inconclusive"
    assert found["quality/task:T"].change == pytest.approx(-0.01)
    assert found["quality/task:T"].sentence == (
        "T: 80.0 against 81.0 points: -1.0, there are no scores of its items, so nothing to tell a loss from chance"
    )
    assert "T: there are no scores of its items" in found["quality/mean"].sentence


def test_too_few_items_for_an_interval_are_inconclusive_with_the_reason():
    found = judged([cell("T", [0.1, 0.2, 0.9])], [cell("T", [0.1, 0.2, 0.8])], EACH)["quality/task:T"]
    assert found.verdict == "inconclusive"
    assert "no interval (test/default: 3 item(s) are too few for an interval" in found.sentence


def test_items_that_do_not_give_the_recorded_score_are_an_error():
    base = values(0)
    tampered = cell("T", base * 0.5, main_score=float(base.mean()))
    found = judged([tampered], [cell("T", base)], EACH, MEAN)
    assert {result.verdict for result in found.values()} == {"error"}
    expected = f"the candidate's items give a score of {base.mean() / 2:.5f}, and {base.mean():.5f} was recorded"
    assert found["quality/task:T"].sentence == f"T: {expected}"


def test_items_that_are_no_numbers_are_an_error():
    base = values(0)
    broken = base.copy()
    broken[3] = math.nan
    found = judged([cell("T", base)], [cell("T", broken, main_score=0.5)], EACH)["quality/task:T"]
    assert found.verdict == "error"
    assert "the baseline's scores of items can't be used (test/default: column 'value' has 1 values that are not" in (
        found.sentence
    )


# Slices


def test_a_slice_is_not_judged_where_the_tags_of_a_task_are_not_known():
    base = values(0)
    known = {("A", PLACE): {"lang": np.array(["zh"] * len(base))}}
    cells = [cell("A", base * 0.5), cell("B", base)], [cell("A", base), cell("B", base)]
    new, old = (replace(scored(*own, of=of), tags=known) for own, of in zip(cells, ("new", "old"), strict=True))
    (result,) = judge_quality(new, old, (ZH,)).results
    assert (result.verdict, result.change) == ("inconclusive", None)
    assert result.sentence == (
        "lang=zh: the tags of the items of B are not all kept, so nobody knows which belong to it; gate the model "
        "itself, or write its scores with: benchkit baseline save FILE --model MODEL"
    )
    told = replace(old, tags={("B", PLACE): {}})
    assert judge_quality(new, told, (ZH,)).results[0].verdict == "fail", "one of the two models knows them"


def test_a_slice_is_judged_where_its_key_is_kept_and_others_were_left_out():
    base = values(0)
    tags = {("A", PLACE): {"lang": np.array(["zh"] * len(base))}}
    cells = [cell("A", base * 0.5)], [cell("A", base)]
    why = "topic has 51 values, and at most 50 are kept"
    new, old = (
        replace(scored(*own, of=of), tags=tags, left_out={"A": (why,)})
        for own, of in zip(cells, ("new", "old"), strict=True)
    )
    topic, other = QualityRule("slice:topic=x", 0.02), QualityRule("slice:topics=x", 0.02)
    known, unknown = judge_quality(new, old, (ZH, topic)).results
    assert (known.verdict, unknown.verdict) == ("fail", "inconclusive")
    assert unknown.sentence.startswith(f"topic=x: the tags of the items of A ({why}) are not all kept, so nobody knows")
    with pytest.raises(UsageError, match="matches no item"):
        judge_quality(new, old, (other,))
    whole = {("A", PLACE): {"lang": np.array(["en"] * len(base)), "topic": np.array(["x"] * len(base))}}
    knows_all = replace(old, tags=whole, left_out={})
    assert [one.verdict for one in judge_quality(new, knows_all, (topic,)).results] == ["fail"], "one of the two knows"
    with pytest.raises(UsageError, match="matches no item"):
        judge_quality(new, knows_all, (ZH,))  # what knows all is believed in all


def test_a_slice_that_lost_fails_while_its_task_passes():
    base = values(0, 400)
    zh = np.arange(400) % 10 == 0
    new = np.where(zh, moved(base, -0.06, spread=0.03), moved(base, 0.005, spread=0.03))
    tags = {"A": np.where(zh, "zh", "en"), "B": ["en"] * 50}
    olds = [cell("A", base), cell("B", values(1, 50))]
    found = judged([cell("A", new), olds[1]], olds, EACH, ZH, tags=tags)
    assert {name: result.verdict for name, result in found.items()} == {
        "quality/task:A": "pass",
        "quality/task:B": "pass",
        "quality/slice:lang=zh": "fail",
    }
    result = found["quality/slice:lang=zh"]
    assert (result.n, result.on) == (40, "lang=zh")
    assert result.candidate == pytest.approx(new[zh].mean())
    assert result.sentence.startswith("lang=zh (40 items of 1 task): ")


def test_a_slice_over_two_tasks_is_the_mean_of_the_two():
    a, b = values(0, 30), values(1, 10)
    tags = {"A": ["zh"] * 30, "B": ["zh"] * 10}
    found = judged([cell("A", moved(a, -0.01)), cell("B", moved(b, 0.03))], [cell("A", a), cell("B", b)], ZH, tags=tags)
    result = found["quality/slice:lang=zh"]
    assert result.baseline == pytest.approx((a.mean() + b.mean()) / 2)
    assert result.change == pytest.approx((-0.01 + 0.03) / 2)
    assert result.n == 40


def test_a_slice_of_fewer_than_four_items_is_inconclusive():
    base = values(0, 20)
    found = judged([cell("A", base * 0.5)], [cell("A", base)], ZH, tags={"A": ["zh"] * 3 + ["en"] * 17})
    result = found["quality/slice:lang=zh"]
    assert result.verdict == "inconclusive"
    assert result.sentence == "lang=zh (3 items of 1 task): A test/default has 3 of its items, 4 are needed"


def test_what_was_left_out_of_a_slice_is_said_even_where_it_passes():
    base = values(0, 100)
    tags = {"A": ["zh"] * 100, "B": ["zh"] * 2 + ["en"] * 98}
    cells = [cell("A", base), cell("B", base)]
    result = judged(cells, cells, ZH, tags=tags)["quality/slice:lang=zh"]
    assert result.verdict == "pass"
    assert result.sentence.endswith("(B test/default has 2 of its items, 4 are needed)")


def test_a_candidate_with_one_answer_for_a_whole_slice_is_an_error():
    gold, old = values(0, 40), values(1, 40)
    new = np.where(np.arange(40) < 10, 0.5, old)
    found = judged([correlated(new, gold)], [correlated(old, gold)], ZH, tags={"A": ["zh"] * 10 + ["en"] * 30})
    result = found["quality/slice:lang=zh"]
    assert result.verdict == "error"
    assert result.sentence.endswith("the candidate's score is not defined on the slice of A test/default")


def test_a_failed_task_is_an_error_of_the_slices_that_it_may_be_part_of():
    failed = CellResult("m", "B", "STS", "failed", reason="no room")
    olds = [cell("A", values(0, 20)), cell("B", values(1, 20))]
    known = {"A": ["zh"] * 20, "B": ["en"] * 20}
    for tags, verdict in (({"A": known["A"]}, "error"), (known, "pass")):
        assert judged([olds[0], failed], olds, ZH, tags=tags)["quality/slice:lang=zh"].verdict == verdict


# Draws


def test_draws_are_made_once_for_each_model_and_task():
    calls = []

    def draw(items: Sequence[ItemScores], **options: object) -> Draws:
        calls.append((options["stream"], options["seed"], options["n_resamples"]))
        return draw_scores(items, **options)  # type: ignore[arg-type]

    base = values(0)
    judge_quality(scored(cell("T", base * 0.9)), scored(cell("T", base), of="baseline"), (MEAN, EACH), draw=draw)
    assert calls == [("T", 42, RESAMPLES)] * 2
