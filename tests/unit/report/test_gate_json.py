"""A gate's file: nothing lost, nothing invented, its schema current, and foreign files refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import gates
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from benchkit.errors import UsageError
from benchkit.report import gate_words
from benchkit.report.gate_json import gate_from_dict, gate_json_schema, gate_to_dict, render_gate_json
from benchkit.types.gate import (
    COST_METRICS,
    CostRule,
    GateReport,
    LimitRules,
    Policy,
    QualityRule,
    RuleResult,
)

WIDE = Policy(
    quality=(QualityRule("task:*", 0.02, "warn"),),
    cost=tuple(CostRule(metric, 1.1, 0.9, 5.0, 0.5, "warn") for metric in COST_METRICS),
    limits=LimitRules(True, 768, 3072, ("mit",), True, True, "yes"),
    same_space="block",
    source="p.yaml",
)
SAFE = " ".join(gates.HOSTILE).replace("\ud800", "")
REPORTS = [
    gates.passed(),
    gates.failed(),
    gates.inconclusive(),
    gates.errored(),
    gates.hostile_gate(SAFE),
    gates.many(300, 20, n_explained=3),
    replace(gates.gate_of([], on_inconclusive="warn", report_only=True), policy=WIDE, identical=True),
]


@pytest.mark.parametrize("report", REPORTS, ids=["pass", "fail", "open", "error", "hostile", "many", "wide"])
def test_a_gate_survives_the_way_through_a_file_and_fits_the_schema(report: GateReport) -> None:
    data = json.loads(render_gate_json(report))
    assert gate_from_dict(data) == report
    Draft202012Validator(gate_json_schema()).validate(data)


def test_the_file_says_first_what_everything_else_says_first() -> None:
    assert gate_to_dict(gates.failed())["headline"] == gate_words.headline(gates.failed())


def test_the_policy_and_the_environment_are_in_it() -> None:
    found = gate_to_dict(replace(gates.failed(), policy=WIDE))
    assert found["policy"]["quality"] == [{"on": "task:*", "margin": 0.02, "severity": "warn"}]
    assert found["policy"]["limits"]["licenses"] == ["mit"]
    assert found["environment"]["cpu"] == "Example CPU"


def test_mixed_scores_have_names() -> None:
    assert gate_to_dict(gates.passed())["space"]["mixed_scores"] == {
        "FAQRetrieval": {"baseline": 0.71, "new_queries_on_old_vectors": 0.02, "all_re_embedded": 0.69}
    }


def test_what_is_not_a_number_is_null_and_comes_back_as_nothing() -> None:
    nan, inf = math.nan, math.inf
    bad = replace(gates.failed().rules[0], candidate=nan, change=inf, low=-inf)
    item = replace(gates.EXPLANATION.items[0], loss=nan, before=nan)
    explained = replace(gates.EXPLANATION, change=nan, items=(item,))
    space = replace(gates.SPACE, cka=nan, mixed_scores={"x": (nan, 0.5, inf)})
    text = render_gate_json(replace(gates.failed(), rules=(bad,), explanations=(explained,), space=space))
    assert "NaN" not in text
    assert "Infinity" not in text
    back = gate_from_dict(json.loads(text))
    assert (back.rules[0].candidate, back.rules[0].change, back.rules[0].low) == (None, None, None)
    assert math.isnan(back.explanations[0].change)
    assert math.isnan(back.explanations[0].items[0].loss)
    assert back.explanations[0].items[0].before is None
    assert back.space is not None
    assert back.space.cka is None
    assert math.isnan(back.space.mixed_scores["x"][0])


def test_numbers_straight_from_an_array_are_numbers() -> None:
    rule = replace(gates.failed().rules[0], n=np.int64(7), candidate=np.float64(0.5), p_pass=np.float32(0.25))  # type: ignore[arg-type]
    found = json.loads(render_gate_json(replace(gates.failed(), rules=(rule,))))["rules"][0]
    assert (found["n"], found["candidate"], found["p_pass"]) == (7, 0.5, 0.25)


def test_text_that_utf8_lacks_does_not_stop_a_report() -> None:
    text = render_gate_json(gates.hostile_gate()).encode("utf-8").decode("utf-8")
    assert "\ud800" not in gate_from_dict(json.loads(text)).suite.name


def test_a_field_that_the_form_lacks_is_noticed() -> None:
    written = gate_to_dict(gates.failed())
    assert set(written) == {field.name for field in fields(GateReport)} | {"schema_version", "headline"}
    assert set(written["rules"][0]) == {field.name for field in fields(RuleResult)}


def test_the_schema_in_the_documentation_is_current(check_golden: Callable[[str, str], None]) -> None:
    Draft202012Validator.check_schema(gate_json_schema())
    check_golden("docs/gate.schema.json", json.dumps(gate_json_schema(), indent=2, ensure_ascii=False))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"extra": 1},
        {"exit_code": 2},
        {"exit_code": "0"},
        {"verdict": "passed"},
        {"rules": [{"id": "x"}]},
        {"seconds": "1"},
        {"policy": {}},
        {"space": {"verdict": "drop-in"}},
        {"environment": {"cpu": 1}},
        {"explanations": [None]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_reader_refuses(change: dict[str, Any]) -> None:
    data = {**gate_to_dict(gates.failed()), **change}
    assert list(Draft202012Validator(gate_json_schema()).iter_errors(data))
    with pytest.raises(UsageError):
        gate_from_dict(data)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_another_version_is_refused_by_name(version: object) -> None:
    with pytest.raises(UsageError) as caught:
        gate_from_dict({**gate_to_dict(gates.passed()), "schema_version": version})
    assert str(caught.value) == (
        f"the gate has schema_version {version!r}; this benchkit supports 1. "
        "Read it with the benchkit that wrote it, or run the gate again"
    )


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^not a gate of benchkit: expected a JSON object, got list$"):
        gate_from_dict([])
    with pytest.raises(UsageError, match=r"^not a gate of benchkit: it has no schema_version \(supported: 1\)$"):
        gate_from_dict({"tasks": []})


def test_a_wrong_value_is_refused_with_its_place() -> None:
    data = gate_to_dict(gates.failed())
    data["rules"][1]["change"] = "-0.04"
    del data["candidate"]["license"]
    with pytest.raises(UsageError) as caught:
        gate_from_dict(data)
    assert str(caught.value) == (
        "not a gate of schema_version 1: rules[1].change: input should be a valid number; "
        "candidate.license: field required"
    )
    with pytest.raises(UsageError, match=r"; and \d+ more$"):
        gate_from_dict({"schema_version": 1})


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
RULES = st.builds(
    RuleResult,
    id=TEXTS,
    group=st.sampled_from(["quality", "cost", "limits", "compatibility"]),
    on=TEXTS,
    verdict=st.sampled_from(["pass", "inconclusive", "fail", "error", "skipped"]),
    severity=st.sampled_from(["block", "warn"]),
    sentence=TEXTS,
    unit=TEXTS,
    candidate=NUMBERS,
    change=NUMBERS,
    low=NUMBERS,
    threshold=NUMBERS,
    n=st.none() | st.integers(0, 10**9),
    confirmed=st.booleans(),
)


@settings(max_examples=50)
@given(st.lists(RULES, max_size=4), TEXTS, st.booleans())
def test_any_gate_survives_the_way_through_a_file(rules: list[RuleResult], text: str, identical: bool) -> None:
    report = replace(gates.gate_of(rules), identical=identical, power=text, warnings=(text,))
    assert gate_from_dict(json.loads(render_gate_json(report))) == report
