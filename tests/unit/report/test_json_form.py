"""The result file: nothing lost, nothing invented, its schema current, and foreign files refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from comparisons import grid, hostile, small, three
from jsonschema import Draft202012Validator

from benchkit.errors import UsageError
from benchkit.report.json_form import from_dict, render_json, result_json_schema, to_dict
from benchkit.types.comparison import Comparison, Recommendation
from benchkit.types.result import CellResult, ItemScores, WorstItem


@pytest.mark.parametrize("comparison", [small(), hostile(), three(baseline="tfidf"), grid(3, 8)], ids=list("shtg"))
def test_a_comparison_survives_the_way_through_a_file(comparison: Comparison) -> None:
    assert from_dict(json.loads(render_json(comparison))) == comparison


def test_the_scores_of_single_items_stay_out_and_the_rest_comes_back() -> None:
    items = ItemScores("test", "default", "mean", "ndcg", np.array(["q1"]), {"value": np.array([0.5])})
    first = small().cells[0]
    with_items = replace(first, result=replace(first.result, items=(items,)))
    comparison = replace(small(), cells=(with_items, *small().cells[1:]))
    assert "items" not in to_dict(comparison)["cells"][0]
    assert from_dict(to_dict(comparison)) == small()


def test_what_is_absent_is_null() -> None:
    found = to_dict(small())
    failed = next(cell for cell in found["cells"] if cell["status"] == "failed")
    nulls = ["main_metric", "main_score", "ci_low", "ci_high", "n_items", "data_digest", "seconds", "texts"]
    assert [failed[key] for key in nulls] == [None] * len(nulls)
    assert found["models"][0]["dimension"] is None
    assert found["models"][0]["parameters"] is None
    assert found["summary"][2]["mean_score"] is None
    assert found["summary"][2]["rank_low"] is None
    assert found["pairs"][1]["delta"] is None
    assert found["pairs"][1]["p_holm"] is None


def test_an_interval_is_two_numbers_and_a_cell_is_flat() -> None:
    found = to_dict(small())
    assert (found["cells"][0]["ci_low"], found["cells"][0]["ci_high"]) == (0.6012 - 0.02, 0.6012 + 0.02)
    assert found["cells"][0]["worst"][0]["expected"] == "Grace Hopper wrote A-0"
    assert found["pairs"][0]["task"] == "*"
    assert found["environment"]["version/torch"] == "2.8.0"
    assert next(iter(found)) == "schema_version"


def test_not_a_number_is_written_as_null_and_never_as_nan() -> None:
    cell = small().cells[0]
    bad = replace(
        cell.result, main_score=math.nan, scores={"test/x": math.inf}, worst=(WorstItem("i", math.nan, "", "", ""),)
    )
    comparison = replace(small(), cells=(replace(cell, result=bad),))
    text = render_json(comparison)
    assert "NaN" not in text
    assert "Infinity" not in text
    back = from_dict(json.loads(text)).cells[0].result
    assert back.main_score is None
    assert math.isnan(back.scores["test/x"])
    assert math.isnan(back.worst[0].value)


def test_text_that_utf8_lacks_does_not_stop_a_report() -> None:
    comparison = replace(small(), recommendation=Recommendation(None, "half a pair \ud800"))
    assert "half a pair ?" in render_json(comparison).encode("utf-8").decode("utf-8")


def test_a_field_that_the_form_lacks_is_noticed() -> None:
    # The other way round: whoever adds a field to a record must add it to its form.
    written = set(to_dict(small())["cells"][0])
    assert written == {field.name for field in fields(CellResult)} - {"items"} | {"ci_low", "ci_high"}


def test_the_schema_in_the_documentation_is_current(check_golden: Callable[[str, str], None]) -> None:
    check_golden("docs/result.schema.json", json.dumps(result_json_schema(), indent=2, ensure_ascii=False))


@pytest.mark.parametrize("comparison", [small(), hostile(), three(), grid(1, 1)], ids=list("shtg"))
def test_every_result_fits_the_schema(comparison: Comparison) -> None:
    Draft202012Validator.check_schema(result_json_schema())
    Draft202012Validator(result_json_schema()).validate(json.loads(render_json(comparison)))


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 2}, {"margin": None}, {"extra": 1}, {"pairs": [{"candidate": "a"}]}, {"seed": "42"}],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_refuses_what_the_reader_refuses(change: dict[str, Any]) -> None:
    data = {**json.loads(render_json(small())), **change}
    assert list(Draft202012Validator(result_json_schema()).iter_errors(data))
    with pytest.raises(UsageError):
        from_dict(data)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_another_version_is_refused_by_name(version: object) -> None:
    with pytest.raises(UsageError) as caught:
        from_dict({**to_dict(small()), "schema_version": version})
    assert str(caught.value).startswith(f"the result has schema_version {version!r}; this benchkit supports 1.")


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a JSON object, got list"):
        from_dict([])
    with pytest.raises(UsageError, match=r"it has no schema_version \(supported: 1\)"):
        from_dict({"tasks": []})


def test_a_wrong_value_is_refused_with_its_place() -> None:
    data = to_dict(small())
    data["cells"][3]["main_score"] = "0.6"
    del data["models"][0]["license"]
    with pytest.raises(UsageError) as caught:
        from_dict(data)
    assert str(caught.value) == (
        "not a result of schema_version 1: models[0].license: field required; "
        "cells[3].main_score: input should be a valid number"
    )


def test_of_many_problems_the_first_five_are_named() -> None:
    with pytest.raises(UsageError, match=r"; and \d+ more$"):
        from_dict({"schema_version": 1})
