"""The result file: nothing lost, nothing invented, its schema current, and foreign files refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from comparisons import cost_report, costed, grid, hostile, hostile_costs, small, three
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from benchkit.errors import UsageError
from benchkit.report.json_form import (
    cost_from_dict,
    cost_to_dict,
    from_dict,
    render_json,
    result_json_schema,
    to_dict,
)
from benchkit.types.comparison import Comparison, Recommendation
from benchkit.types.cost import Budget, CostFigure, CostRatio, CostReport, ModelCost
from benchkit.types.result import CellResult, ItemScores, WorstItem

BUDGET = Budget(20.0, 600.5, 3072, 768, ("mit", "apache-2.0"))
COSTED = [costed(small()), costed(three(), budget=BUDGET, from_cache=True, unstable="busy"), hostile_costs()]


@pytest.mark.parametrize(
    "comparison",
    [small(), hostile(), three(baseline="tfidf"), grid(3, 8), *COSTED],
    ids=["small", "hostile", "three", "grid", "costs", "budget", "hostile costs"],
)
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


@pytest.mark.parametrize("comparison", [small(), hostile(), three(), grid(1, 1), *COSTED], ids=list("shtgcbh"))
def test_every_result_fits_the_schema(comparison: Comparison) -> None:
    Draft202012Validator.check_schema(result_json_schema())
    Draft202012Validator(result_json_schema()).validate(json.loads(render_json(comparison)))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"margin": None},
        {"extra": 1},
        {"pairs": [{"candidate": "a"}]},
        {"seed": "42"},
        {"cost": [{"model": "minilm"}]},
        {"cost_session": {}},
        {"budget": {"max_p99_ms": 1.0}},
    ],
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


# --- costs


def test_the_figures_of_all_models_are_one_list_beside_their_session() -> None:
    found = to_dict(costed(three(), budget=Budget(max_p95_ms=20.0)))
    p95 = next(figure for figure in found["cost"] if figure["metric"] == "latency/query/p95_ms")
    assert p95 == {
        "model": "minilm",
        "metric": "latency/query/p95_ms",
        "value": 8.3,
        "ci_low": 8.3 * 0.94,
        "ci_high": 8.3 * 1.06,
        "unit": "ms",
        "n": 96,
        "cv": 0.12,
    }
    session = found["cost_session"]
    assert session["models"][0] == {"model": "minilm", "status": "ok", "reason": "", "notes": [], "engine": "packed"}
    assert (session["level"], session["device"], session["tolerance"]) == ("quick", "cpu", 0.05)
    assert session["hardware"]["cpu"] == "Example CPU"
    assert session["control"][0]["ratio"] == 1.003
    assert len(session["ratios"]) == 3
    assert found["budget"]["max_p95_ms"] == 20.0
    assert found["pareto"] == ["minilm", "mpnet"]


def test_without_costs_there_is_no_session_and_no_figure() -> None:
    found = to_dict(small())
    assert (found["cost"], found["cost_session"], found["pareto"]) == ([], None, [])


def test_a_file_from_before_there_were_costs_is_read_as_one_without() -> None:
    old = json.loads(render_json(small()))
    for key in ("cost", "cost_session", "budget", "pareto"):
        del old[key]
    for row in (*old["models"], *old["cells"]):
        del row["engine"]
    assert from_dict(old) == small()
    Draft202012Validator(result_json_schema()).validate(old)


def test_a_figure_or_ratio_without_a_number_is_left_out_and_never_zero() -> None:
    figures = (CostFigure("minilm", "a_ms", math.nan, "ms"), CostFigure("minilm", "b_ms", 1.0, "ms", ci_low=math.inf))
    ratio = CostRatio("minilm", "mpnet", "latency/query", math.inf, 1.0, math.inf, 1, "inconclusive")
    models = (ModelCost("minilm", "ok", figures),)
    back = from_dict(json.loads(render_json(costed(three(), models=models, ratios=(ratio,))))).cost
    assert back is not None
    assert back.models[0].figures == (CostFigure("minilm", "b_ms", 1.0, "ms"),)
    assert back.ratios == ()


def test_a_figure_that_would_be_lost_is_refused() -> None:
    data = to_dict(costed(three()))
    data["cost"][2]["model"] = "nobody"
    with pytest.raises(UsageError, match=r"^cost\[2\]\.model: 'nobody' is not among the models of cost_session$"):
        from_dict(data)
    with pytest.raises(UsageError, match=r"^cost\[0\]\.model: 'minilm' is not among"):
        from_dict({**to_dict(costed(three())), "cost_session": None})


def test_costs_alone_have_the_form_that_they_have_in_a_result() -> None:
    report = cost_report(["minilm", "mpnet", "tfidf"])
    alone, whole = cost_to_dict(report), to_dict(costed(three()))
    assert alone == {"schema_version": 1, "cost": whole["cost"], "cost_session": whole["cost_session"]}
    assert cost_from_dict(json.loads(json.dumps(alone))) == cost_from_dict(whole) == report


def test_costs_are_not_read_from_what_has_none() -> None:
    with pytest.raises(UsageError, match=r"^the result has no costs: they were not measured \(--no-cost\)"):
        cost_from_dict(to_dict(small()))
    with pytest.raises(UsageError, match="schema_version"):
        cost_from_dict({"cost": []})
    with pytest.raises(UsageError, match=r"cost_session\.level: field required"):
        cost_from_dict({"schema_version": 1, "cost": [], "cost_session": {}})


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FIGURES = st.builds(
    CostFigure,
    model=st.just(""),
    metric=NAMES,
    value=NUMBERS,
    unit=NAMES,
    n=st.integers(1, 10**6),
    ci_low=st.none() | NUMBERS,
    ci_high=st.none() | NUMBERS,
    cv=st.none() | NUMBERS,
)


@st.composite
def reports(draw: st.DrawFn) -> CostReport:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    models = [
        ModelCost(
            name,
            draw(st.sampled_from(["ok", "failed", "skipped"])),
            tuple(replace(figure, model=name) for figure in draw(st.lists(FIGURES, max_size=3))),
            reason=draw(NAMES),
            notes=tuple(draw(st.lists(NAMES, max_size=2))),
            engine=draw(st.none() | NAMES),
        )
        for name in names
    ]
    return replace(
        cost_report(["a", "b"]),
        models=tuple(models),
        hardware=draw(st.dictionaries(NAMES, NAMES, max_size=2)),
        warnings=tuple(draw(st.lists(NAMES, max_size=2))),
        from_cache=draw(st.booleans()),
    )


@given(reports())
def test_any_costs_survive_the_way_through_a_file(report: CostReport) -> None:
    comparison = replace(three(), cost=report)
    assert from_dict(json.loads(render_json(comparison))) == comparison
    assert cost_from_dict(json.loads(json.dumps(cost_to_dict(report)))) == report
