"""Slices: cutting item scores, finding the items of a value, and where a task lost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchkit.errors import UsageError
from benchkit.gate.slices import (
    cut_to_slice,
    has_slice,
    known_slices,
    of_slice,
    slice_losses,
    split_slice,
    stream_of,
    tags_of,
)
from benchkit.measure.bootstrap import draw_scores
from benchkit.measure.cumulants import difference_cumulants
from benchkit.measure.noninferiority import change_interval
from benchkit.measure.restrict import restrict
from benchkit.measure.weighted import weighted_scores
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import Scored
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

PLACE = "test/default"


def part(values: object, *, subset: str = "default", kind: str = "mean", **columns: object) -> ItemScores:
    shown = {"value": np.asarray(values, float)} if kind == "mean" else {n: np.asarray(c) for n, c in columns.items()}
    metric = {"mean": "hit", "pair": "ap", "correlation": "spearman"}[kind]
    names = np.array([f"i{i}" for i in range(len(next(iter(shown.values()))))])
    return ItemScores("test", subset, kind, metric, names, shown)  # type: ignore[arg-type]


def cell(task: str, *parts: ItemScores) -> CellResult:
    score = float(np.mean([weighted_scores(one, np.ones((1, one.n_items), int))[0] for one in parts]))
    return CellResult("m", task, "Retrieval", "ok", "hit", score, items=parts, data_digest="d")


def scored(*cells: CellResult, tags: Mapping[tuple[str, str], Mapping[str, object]] | None = None) -> Scored:
    return Scored(
        model=ModelMeta("m", "m", None, "f", 4),
        asked_as="m",
        suite=SuiteInfo("s", "d"),
        cells=cells,
        environment=Environment({}),
        created="",
        source="just measured",
        tags={place: {key: np.asarray(values) for key, values in of.items()} for place, of in (tags or {}).items()},
        n_resamples=500,
    )


ZH = np.array([True, False, True, True, False, True])


def test_a_cut_keeps_items_columns_and_strata_together():
    whole = ItemScores(
        "test",
        "en",
        "clustering",
        "v_measure",
        np.array(list("abcdef")),
        {"label": np.arange(6)[:, None], "cluster": np.arange(12).reshape(6, 2), "draws": np.ones((6, 2), int)},
        strata=np.array([0, 0, 1, 1, 2, 2]),
    )
    cut = restrict(whole, ZH)
    assert cut.items.tolist() == ["a", "c", "d", "f"]
    assert cut.columns["cluster"].tolist() == [[0, 1], [4, 5], [6, 7], [10, 11]]
    assert cut.strata is not None
    assert cut.strata.tolist() == [0, 1, 1, 2]
    assert (cut.split, cut.subset, cut.kind, cut.metric) == ("test", "en", "clustering", "v_measure")


def test_the_score_of_a_cut_is_that_of_weights_0_and_1():
    rng = np.random.default_rng(0)
    for whole in (
        part(rng.random(6)),
        part((), kind="pair", label=[1, 0, 0, 1, 1, 0], predicted=rng.random((6, 2))),
        part((), kind="correlation", predicted=rng.random(6), gold=rng.random(6)),
    ):
        alone = weighted_scores(restrict(whole, ZH), np.ones((1, 4), int))
        np.testing.assert_allclose(alone, weighted_scores(whole, ZH[None].astype(int)), atol=1e-12)


@pytest.mark.parametrize("mask", [np.ones(5, bool), np.ones(6, int)])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(ValueError, match="the mask should hold 6 truth values"):
        restrict(part(range(6)), mask)


@pytest.mark.parametrize("name", ["lang", "lang=", "=zh", ""])
def test_a_slice_without_key_or_value_is_refused(name):
    with pytest.raises(UsageError, match="a slice is KEY=VALUE, such as lang=zh; got"):
        split_slice(name)


def test_a_value_may_hold_further_signs_of_equality():
    assert split_slice("query=a=b") == ("query", "a=b")


def test_keys_and_values_of_slices():
    tags = {("A", PLACE): {"lang": ["zh", "en", ""]}, ("B", PLACE): {"lang": ["en"] * 3, "topic": ["x", "y", ""]}}
    model = scored(cell("A", part(range(3))), cell("B", part(range(3))), tags=tags)
    assert known_slices(model) == {"lang": ("en", "zh"), "topic": ("x", "y")}
    assert has_slice(tags_of(model, task="B"), "topic", "y")


def test_tags_of_the_first_model_count_and_the_others_fill_gaps():
    first = scored(tags={("A", "test/en"): {"lang": ["en"]}})
    other = scored(tags={("A", "test/en"): {"lang": ["??"]}, ("A", "test/zh"): {"lang": ["zh"]}, ("B", "t/x"): {}})
    found = tags_of(first, other, task="A")
    assert {place: tags["lang"].tolist() for place, tags in found.items()} == {"test/en": ["en"], "test/zh": ["zh"]}


def test_the_score_of_a_slice_is_the_plain_mean_over_its_parts():
    new = cell("A", part([0.0, 0.0, 1.0, 0.0, 1.0]), part([0.5] * 9, subset="b"), part([0.0] * 4, subset="c"))
    old = cell("A", part([1.0, 0.0, 1.0, 0.0, 1.0]), part([1.0] * 9, subset="b"), part([1.0] * 4, subset="c"))
    tags = {
        PLACE: {"lang": np.array(["zh"] * 4 + ["en"])},
        "test/b": {"lang": np.array(["en"] + ["zh"] * 8)},
        "test/c": {"lang": np.array(["en"] * 4)},
    }
    cut = of_slice(new, old, tags, "lang", "zh")
    assert cut.scores == (pytest.approx((0.25 + 0.5) / 2), pytest.approx((0.5 + 1.0) / 2))
    assert (cut.n_items, cut.found, cut.left_out) == (12, 12, ())


def test_a_part_with_fewer_than_four_items_is_left_out_and_named():
    new, old = (cell("A", part([0.0] * 6), part([by] * 6, subset="b")) for by in (0.5, 1.0))
    tags = {PLACE: {"vip": np.array(["yes"] * 3 + ["no"] * 3)}, "test/b": {"vip": np.array(["yes"] * 6)}}
    cut = of_slice(new, old, tags, "vip", "yes")
    assert cut.left_out == ("A test/default has 3 of its items, 4 are needed",)
    assert (cut.scores, cut.n_items, cut.found) == ((0.5, 1.0), 6, 9)


def test_a_score_that_is_not_defined_is_left_out_and_one_that_only_the_candidate_lacks_is_told():
    gold = np.arange(8.0)
    old = cell("A", part((), kind="correlation", predicted=gold, gold=gold))
    new = cell("A", part((), kind="correlation", predicted=[0, 0, 0, 0, 1, 2, 3, 4.0], gold=gold))
    tags = {PLACE: {"half": np.array(["first"] * 4 + ["second"] * 4)}}
    flat = of_slice(new, old, tags, "half", "first")
    assert (flat.scores, flat.left_out, flat.lacks) == (None, (), ("A test/default",))
    turned = of_slice(old, new, tags, "half", "first")
    assert turned.left_out == ("spearman is not defined on its 4 items of A test/default",)
    assert (turned.scores, turned.lacks) == (None, ())


def test_tags_of_another_length_are_refused():
    one = cell("A", part(range(6)))
    with pytest.raises(UsageError, match="A test/default: the tag 'lang' has 2 values for 6 items; score the model"):
        of_slice(one, one, {PLACE: {"lang": np.array(["zh", "en"])}}, "lang", "zh")


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="not paired"):
        of_slice(cell("A", part(range(6))), cell("A", part(range(5))), {}, "lang", "zh")


# Where a task lost


def two_models(n: int = 60) -> tuple[Scored, Scored]:
    """Return a candidate that lost on Chinese and nowhere else."""
    rng = np.random.default_rng(4)
    zh = np.arange(n) % 3 == 0
    old = rng.random(n)
    new = np.where(zh, old - 0.3 * rng.random(n), old)
    tags = {
        ("A", PLACE): {
            "lang": np.where(zh, "zh", "en"),
            "id": np.arange(n).astype(str),  # names every item
            "source": np.full(n, "web"),  # one value is no slice
            "vip": np.where(np.arange(n) < 3, "yes", np.where(np.arange(n) < 30, "no", "")),
        }
    }
    return scored(cell("A", part(new)), tags=tags), scored(cell("A", part(old)))


def test_the_slice_that_lost_comes_first_with_its_interval():
    candidate, baseline = two_models()
    found = slice_losses(candidate, baseline, "A", seed=1)
    assert [loss.name for loss in found] == ["lang=zh", "vip=no", "lang=en"]  # three items of vip=yes are too few
    new, old = (one.cells[0].items[0].columns["value"][::3] for one in (candidate, baseline))
    assert found[0].change == pytest.approx(float(np.mean(new - old)))
    assert found[0].n == 20
    assert found[0].low is not None
    assert found[0].high is not None
    assert found[0].low < found[0].change < found[0].high < 0
    assert (found[2].change, found[2].low, found[2].high) == (0, 0, 0)


def test_the_interval_of_a_slice_is_that_of_its_own_draws():
    candidate, baseline = two_models()
    found = slice_losses(candidate, baseline, "A", seed=3, n_resamples=200)[0]
    draws = [
        draw_scores(
            [restrict(one.cells[0].items[0], np.arange(60) % 3 == 0)],
            stream=stream_of("A", "lang=zh"),
            estimate=float(one.cells[0].items[0].columns["value"][::3].mean()),
            n_resamples=200,
            seed=3,
        )
        for one in (candidate, baseline)
    ]
    cut = [restrict(one.cells[0].items[0], np.arange(60) % 3 == 0) for one in (candidate, baseline)]
    expected = change_interval(*draws, cumulants=difference_cumulants(*cut))
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_models_cut_to_a_slice_have_its_items_scores_and_tags_alone():
    candidate, baseline = two_models()
    cut = cut_to_slice(baseline, candidate, "A", "lang=zh")  # of the tags that only one of the two keeps
    assert cut is not None
    for whole, one in zip((baseline, candidate), cut, strict=True):
        (own,), (of,) = one.cells[0].items, whole.cells[0].items
        assert own.items.tolist() == of.items[::3].tolist()
        assert (one.cells[0].main_score, one.cells[0].n_items) == (pytest.approx(of.columns["value"][::3].mean()), 20)
        assert one.tags["A", PLACE]["id"].tolist() == np.arange(0, 60, 3).astype(str).tolist()
        assert set(one.tags["A", PLACE]["lang"].tolist()) == {"zh"}
    assert cut_to_slice(candidate, baseline, "A", "lang=fr") is None
    assert cut_to_slice(candidate, baseline, "A", "vip=yes") is None  # three items are too few
    assert cut_to_slice(candidate, baseline, "B", "lang=zh") is None


def test_ten_slices_are_shown_at_most():
    rng = np.random.default_rng(0)
    tags = {("A", PLACE): {"topic": np.repeat([f"t{i:02}" for i in range(20)], 5)}}
    candidate, baseline = scored(cell("A", part(rng.random(100))), tags=tags), scored(cell("A", part(rng.random(100))))
    found = slice_losses(candidate, baseline, "A", n_resamples=50)
    changes = [loss.change for loss in found]
    assert len(found) == 10
    assert changes == sorted(changes)


def test_without_tags_there_are_no_slices():
    one = scored(cell("A", part(range(6))))
    assert slice_losses(one, one, "A") == ()


def test_a_slice_on_which_too_many_resamples_have_no_score_has_no_interval():
    # Each column differs on one item only, so that a resample needs both: 57 % of those of four items lack one.
    one = part((), kind="correlation", predicted=[1, 0, 0, 0, 1, 2, 3, 4.0], gold=[0, 1, 0, 0, 1, 2, 3, 4.0])
    other = part((), kind="correlation", predicted=[0, 0, 1, 0, 4, 2, 3, 1.0], gold=[0, 1, 0, 0, 1, 2, 3, 4.0])
    tags = {("A", PLACE): {"half": np.repeat(["first", "second"], 4)}}
    found = slice_losses(scored(cell("A", one), tags=tags), scored(cell("A", other)), "A")
    first = next(loss for loss in found if loss.name == "half=first")
    assert (first.n, first.change, first.low, first.high) == (4, pytest.approx(0.0), None, None)


def test_a_task_that_is_not_there_is_refused():
    one = scored(cell("A", part(range(6))))
    with pytest.raises(ValueError, match="B: both models need a score there"):
        slice_losses(one, one, "B")
