"""One model of a stored comparison is what its baseline file would be; items of another comparison are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparisons import costed, small

from benchkit.errors import UsageError
from benchkit.store.scored_file import read_scored, write_scored
from benchkit.store.scored_result import scored_from_comparison
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostSamples, ProcessFacts, Sample
from benchkit.types.result import ItemScores

NAMES = np.array(["q1", "q2", "查询", "q4"])
QUERY = Sample("m", 1, "query", 3, 7, 1, 12, 12, 0.00831, 0.0081)
BATCH = Sample("m", 0, "batch", 0, 0, 256, None, None, 1.25, 2.5, length_class="long")
FACTS = ProcessFacts("m", 0, 4.2, 0.3)


def items_of(comparison: Comparison) -> dict[tuple[str, str], tuple[ItemScores, ...]]:
    """Return items for every cell with a score."""
    return {
        (one.result.model, one.result.task): tuple(
            ItemScores(*place.split("/"), "mean", "m", NAMES, {"value": np.arange(4.0)}) for place in one.result.scores
        )
        for one in comparison.cells
        if one.result.status == "ok"
    }


def with_places(comparison: Comparison) -> Comparison:
    """Return a comparison whose cells with a score have it by split and subset."""
    cells = [
        replace(one, result=replace(one.result, scores={"test/default": one.result.main_score}))
        if one.result.status == "ok" and one.result.main_score is not None
        else one
        for one in comparison.cells
    ]
    return replace(comparison, cells=tuple(cells))


def test_one_model_of_a_comparison_is_taken_with_its_items_and_its_costs(tmp_path: Path) -> None:
    comparison = with_places(costed(small()))
    first, second = (meta.name for meta in comparison.models[:2])
    samples = CostSamples(
        (first, second),
        (replace(QUERY, model=first), replace(BATCH, model=second)),
        (replace(FACTS, model=second),),
        {first: "crashed", second: "hung"},
    )
    found = scored_from_comparison(
        comparison, items_of(comparison), model=second, source="result.json", samples=samples
    )
    assert (found.model, found.asked_as, found.source) == (comparison.models[1], second, "result.json")
    assert (found.suite, found.created, found.seed) == (comparison.suite, comparison.started, comparison.seed)
    assert {one.model for one in found.cells} == {second}
    assert len(found.cells) == len({one.result.task for one in comparison.cells})
    assert all(one.items for one in found.cells if one.status == "ok")
    assert found.cost is not None
    assert [one.model for one in found.cost.models] == [second]
    assert found.samples == CostSamples(
        (second,), (replace(BATCH, model=second),), (replace(FACTS, model=second),), {second: "hung"}
    )
    assert found.samples is not None
    write_scored(tmp_path / "b.json", found)
    assert read_scored(tmp_path / "b.json").cost == found.cost


def test_the_only_model_needs_no_name() -> None:
    comparison = with_places(small())
    alone = replace(comparison, models=comparison.models[:1])
    found = scored_from_comparison(alone, items_of(comparison), model=None, source="r")
    assert found.model == comparison.models[0]
    assert found.cost is None
    assert found.samples is None


def test_which_model_is_asked_for_where_there_are_several() -> None:
    names = ", ".join(meta.name for meta in small().models)
    with pytest.raises(UsageError) as caught:
        scored_from_comparison(small(), {}, model=None, source="r.json")
    assert str(caught.value) == f"r.json: found 3 models, should be one; say which with --model: {names}"


def test_a_model_that_is_not_there_is_told_with_the_nearest() -> None:
    known = small().models[0].name
    with pytest.raises(UsageError, match=rf"r.json: found no model '{known}x'. Did you mean '{known}'\? It has: "):
        scored_from_comparison(small(), {}, model=f"{known}x", source="r.json")


def test_items_of_another_comparison_are_refused() -> None:
    comparison = with_places(small())
    name = comparison.models[0].name
    items = items_of(comparison)
    key = next(key for key in items if key[0] == name)
    foreign = {**items, key: (replace(items[key][0], subset="en"),)}
    with pytest.raises(
        UsageError, match=r"found items of test/en in items.parquet, should be of test/default; the files"
    ):
        scored_from_comparison(comparison, foreign, model=name, source="r.json")
    others = {key: value for key, value in items.items() if key[0] != name}
    with pytest.raises(UsageError, match=r"found no items of .* in items.parquet; the files are of two comparisons"):
        scored_from_comparison(comparison, others, model=name, source="r.json")
