"""A slice's score is the metric's own on the slice's items; what can't be judged is left out, and told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchkit.measure import tag_slices as module
from benchkit.measure.tag_slices import TagSlices, tag_slices
from benchkit.types.result import ItemScores
from benchkit.types.tags import ItemTags, KeptTags

PLACE = "test/default"


def part(values: Sequence[float], subset: str = "default") -> ItemScores:
    names = np.array([f"q{row}" for row in range(len(values))])
    return ItemScores("test", subset, "mean", "m", names, {"value": np.array(values, float)})


def kept(*columns: Sequence[str], places: Sequence[str] = (PLACE,)) -> KeptTags:
    items = {place: tuple(f"q{row}" for row in range(len(own))) for place, own in zip(places, columns, strict=True)}
    return KeptTags("t", items, ItemTags({p: {"topic": tuple(own)} for p, own in zip(places, columns, strict=True)}))


def cut(parts: dict[str, list[ItemScores]], tags: KeptTags, against: str | None = None) -> TagSlices:
    return tag_slices(parts, tags, "topic", against=against, seed=5, bounds=(0.0, 1.0))


def test_each_slice_has_the_mean_of_its_items_and_the_difference_from_the_reference() -> None:
    tags = kept(["a"] * 6 + ["b"] * 4)
    one = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 1.0, 0.0, 0.0]
    two = [0.3, 0.3, 0.3, 0.3, 0.6, 0.6, 1.0, 0.0, 0.0, 0.0]
    found = cut({"one": [part(one)], "two": [part(two)]}, tags, "two")
    told = [(row.value, row.n_items, row.model, round(row.score or 0, 9)) for row in found.scores]
    assert told == [("a", 6, "one", 0.35), ("a", 6, "two", 0.4), ("b", 4, "one", 0.5), ("b", 4, "two", 0.25)]
    assert found.scores[0].difference == pytest.approx(-0.05)
    assert found.scores[2].difference == pytest.approx(0.25)
    assert found.scores[1].difference is None, "it is the reference itself"
    assert found.notes == ()


def test_a_slice_of_a_correlation_has_the_correlation_of_its_items() -> None:
    draw = np.random.default_rng(3)
    predicted, gold = draw.random(40), draw.random(40)
    names = np.array([f"q{row}" for row in range(40)])
    own = ItemScores("test", "default", "correlation", "spearman", names, {"predicted": predicted, "gold": gold})
    found = cut({"m": [own]}, kept(["x", "y", "y", "y"] * 10))
    scores = {row.value: row.score for row in found.scores}
    for value, rows in (("x", np.arange(40) % 4 == 0), ("y", np.arange(40) % 4 > 0)):
        assert scores[value] == pytest.approx(spearmanr(predicted[rows], gold[rows]).statistic)


def test_the_intervals_hold_the_score_and_the_difference_is_paired() -> None:
    draw = np.random.default_rng(1)
    base = draw.random(200) * 0.8
    tags = kept(["a", "b"] * 100)
    found = cut({"one": [part(base + 0.1)], "two": [part(base)]}, tags, "two")
    row = found.scores[0]
    assert row.interval is not None
    assert row.interval.low < (row.score or 0) < row.interval.high
    half = 1.96 * (base + 0.1)[::2].std(ddof=1) / 10
    assert row.interval.high - row.interval.low == pytest.approx(2 * half, rel=0.15)
    assert row.difference_interval is not None
    assert row.difference_interval.low == pytest.approx(0.1), "the same items differ by the same"
    assert row.difference_interval.high == pytest.approx(0.1)


def test_intervals_end_where_the_metric_ends() -> None:
    found = cut({"m": [part([1.0, 1.0, 1.0, 0.2])]}, kept(["a"] * 4))
    interval = found.scores[0].interval
    assert interval is not None
    assert interval.high == 1.0


def test_a_slice_over_two_parts_is_the_mean_of_the_parts_that_have_enough_items() -> None:
    tags = kept(["a"] * 4 + ["b"] * 4, ["a"] * 8 + ["b"] * 3, places=("test/en", "test/de"))
    parts = {"m": [part([1.0] * 4 + [0.0] * 4, "en"), part([0.0] * 8 + [1.0] * 3, "de")]}
    found = cut(parts, tags)
    assert [(row.value, row.n_items, row.score) for row in found.scores] == [("a", 12, 0.5), ("b", 4, 0.0)]
    assert found.notes == ("b: 3 items in test/de, 4 are needed",)


def test_items_without_a_value_are_told_and_are_no_slice() -> None:
    found = cut({"m": [part([0.5] * 9)]}, kept(["a"] * 4 + [""] * 5))
    assert [row.value for row in found.scores] == ["a"]
    assert found.notes == ("5 items have no value of it",)


def test_a_model_of_other_items_is_left_out_with_a_note() -> None:
    found = cut({"m": [part([0.5] * 4)], "other": [part([0.5] * 5)]}, kept(["a"] * 4), "other")
    assert [(row.model, row.difference) for row in found.scores] == [("m", None)]
    assert found.notes == ("other has scores of other items than the tags are of",)


def test_a_score_that_is_defined_for_no_model_is_told() -> None:
    names = np.array([f"q{row}" for row in range(8)])
    columns = {"predicted": np.arange(8.0), "gold": np.array([1.0] * 4 + [1.0, 2.0, 3.0, 4.0])}
    own = ItemScores("test", "default", "correlation", "spearman", names, columns)
    found = cut({"m": [own]}, kept(["flat"] * 4 + ["rising"] * 4))
    assert [(row.value, row.score) for row in found.scores] == [("rising", pytest.approx(1.0))]
    assert found.notes == ("flat: the score is not defined on its 4 items in test/default",)


def test_many_items_have_scores_and_no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DRAWN", 15)
    found = cut({"m": [part([0.5] * 8)], "n": [part([0.25] * 8)]}, kept(["a", "b"] * 4), "m")
    assert [(row.score, row.interval) for row in found.scores] == [(0.5, None), (0.25, None)] * 2
    assert found.scores[1].difference == -0.25
    assert found.notes == ("no intervals: the items of all models are more than 15",)
