"""A check's file: nothing lost, nothing invented, its schema current, and foreign files refused by their key."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import drift_reports
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from benchkit.errors import UsageError
from benchkit.report.drift_json import drift_from_dict, drift_schema, drift_to_dict, render_drift_json
from benchkit.types.drift import (
    BaselineInfo,
    CanaryChange,
    ClusterChange,
    DriftPolicy,
    DriftReport,
    Evidence,
    Harm,
    HealthFinding,
    ProjectedRegion,
    Projection,
    RegionPlace,
    SegmentDriver,
    SegmentResult,
    StatisticResult,
    WindowInfo,
)

SAFE = drift_reports.HOSTILE_TEXT.replace("\ud800", "")
POLICY = DriftPolicy(0.05, 50, 0.1, 7, "critical", 0.01, 0.8, 0.5, 0.2)
REPORTS = {
    "quiet": drift_reports.quiet(),
    "critical": drift_reports.critical(),
    "full": drift_reports.full(),
    "bare": drift_reports.bare(),
    "hostile": drift_reports.hostile(SAFE),
    "policy": replace(drift_reports.quiet(), policy=POLICY, harm=Harm()),
}
Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_check_survives_the_way_through_a_file_and_fits_the_schema(report: DriftReport) -> None:
    text = render_drift_json(report)
    data = json.loads(text)
    assert text.endswith("}\n")
    assert drift_from_dict(data) == report
    assert drift_to_dict(drift_from_dict(data)) == data
    Draft202012Validator(drift_schema()).validate(data)


def test_every_field_of_every_record_is_in_the_file() -> None:
    data = drift_to_dict(drift_reports.full())

    def names(kind: type[Any]) -> set[str]:
        return {field.name for field in fields(kind)}

    assert set(data) == names(DriftReport) | {"schema_version"}
    for key, kind in (
        ("baseline", BaselineInfo), ("window", WindowInfo), ("policy", DriftPolicy), ("evidence", Evidence),
        ("harm", Harm), ("projection", Projection),
    ):  # fmt: skip
        assert set(data[key]) == names(kind)
    for key, kind in (
        ("health", HealthFinding), ("statistics", StatisticResult), ("clusters", ClusterChange),
        ("segments", SegmentResult), ("drivers", SegmentDriver),
    ):  # fmt: skip
        assert {name for row in data[key] for name in row} == names(kind)
    assert {name for row in data["harm"]["worst"] for name in row} == names(CanaryChange)
    assert {name for row in data["projection"]["regions"] for name in row} == names(ProjectedRegion)
    assert {name for row in data["projection"]["layout"] for name in row} == names(RegionPlace)


def test_a_report_of_an_older_benchkit_is_read_without_what_it_lacks() -> None:
    data = drift_to_dict(drift_reports.full())
    del data["projection"], data["drivers"], data["harm"]["worst"]
    del data["window"]["model"], data["window"]["fingerprint"]
    assert drift_from_dict(data) == drift_reports.critical()


def test_a_projection_of_an_older_benchkit_has_no_layout() -> None:
    data = drift_to_dict(drift_reports.full())
    del data["projection"]["layout"]
    plane = replace(drift_reports.PROJECTION, layout=())
    assert drift_from_dict(data) == replace(drift_reports.full(), projection=plane)


def test_what_is_not_a_number_is_null_and_comes_back_as_none() -> None:
    made = drift_reports.critical()
    assert made.evidence is not None
    broken = replace(
        made,
        p_value=math.nan,
        health=(replace(made.health[0], found=math.nan, expected=-math.inf),),
        statistics=(replace(made.statistics[0], value=math.inf, p_value=math.nan, effect=math.nan),),
        evidence=replace(made.evidence, detector=math.inf),
        clusters=(replace(made.clusters[0], z=math.inf),),
    )
    text = render_drift_json(broken)
    assert "NaN" not in text
    assert "Infinity" not in text
    data = json.loads(text)
    Draft202012Validator(drift_schema()).validate(data)
    back = drift_from_dict(data)
    assert back.p_value is None
    assert back.statistics[0].effect is None
    assert back.evidence is not None
    for value in (
        back.health[0].found, back.health[0].expected, back.statistics[0].value, back.statistics[0].p_value,
        back.evidence.detector, back.clusters[0].z,
    ):  # fmt: skip
        assert math.isnan(value)
    assert back.evidence.is_alarm is False
    assert drift_to_dict(back) == data


def test_numbers_straight_from_an_array_are_numbers() -> None:
    row = StatisticResult("x", np.float64(0.5), np.float32(0.25), None)  # type: ignore[arg-type]
    segment = replace(drift_reports.SEGMENTS[0], rows=np.int64(7), is_alarm=np.True_)  # type: ignore[arg-type]
    made = replace(drift_reports.quiet(), statistics=(row,), segments=(segment,))
    data = json.loads(render_drift_json(made))
    assert (data["statistics"][0]["value"], data["statistics"][0]["p_value"]) == (0.5, 0.25)
    assert (data["segments"][0]["rows"], data["segments"][0]["is_alarm"]) == (7, True)


def test_text_that_utf8_lacks_does_not_stop_a_report() -> None:
    text = render_drift_json(drift_reports.hostile()).encode("utf-8").decode("utf-8")
    assert "\ud800" not in drift_from_dict(json.loads(text)).reason


def test_the_schema_in_the_documentation_is_current(check_golden: Callable[[str, str], None]) -> None:
    Draft202012Validator.check_schema(drift_schema())
    check_golden("docs/drift.schema.json", json.dumps(drift_schema(), indent=2, ensure_ascii=False))


def test_every_key_is_always_written_and_only_measured_numbers_may_be_null() -> None:
    schema = drift_schema()
    for record in (schema, *schema["$defs"].values()):
        assert record["required"] == list(record["properties"])
    assert schema["$defs"]["StatisticResult"]["properties"]["p_value"]["type"] == ["number", "null"]
    assert schema["$defs"]["DriftPolicy"]["properties"]["false_alarms"]["type"] == "number"
    # Made anew each time, so that a caller may change it.
    schema["properties"].clear()
    assert drift_schema()["properties"]


# ------------------------------------------------------------ refused


def at(*path: str | int, value: object) -> Change:
    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def gone(*path: str | int) -> Change:
    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (gone("kind"), "kind: Field required"),
        (gone("baseline", "rows"), "baseline.rows: Field required"),
        (at("baseline", value=None), "baseline: "),
        (at("baseline", "rows", value="20000"), "baseline.rows: Input should be a valid integer"),
        (at("window", "rows", value=1.5), "window.rows: Input should be a valid integer"),
        (at("severity", value="bad"), "severity: Input should be 'ok', 'info', 'warn' or 'critical'"),
        (at("kind", value="Data"), "kind: Input should be 'none', 'data', 'model', 'numeric' or 'pipeline'"),
        (at("breaks_policy", value="no"), "breaks_policy: Input should be a valid boolean"),
        (at("breaks_policy", value=0), "breaks_policy: Input should be a valid boolean"),
        (at("p_value", value="0.1"), "p_value: Input should be a valid number"),
        (at("policy", "false_alarms", value=None), "policy.false_alarms: Input should be a valid number"),
        (at("statistics", 1, "value", value="0.1"), "statistics.1.value: Input should be a valid number"),
        (gone("statistics", 2, "p_value"), "statistics.2.p_value: "),
        (at("statistics", value={"0": 1}), "statistics: Input should be a valid"),
        (at("clusters", 0, "keywords", 1, value=7), "clusters.0.keywords.1: Input should be a valid string"),
        (at("segments", 0, value=None), "segments.0: "),
        (at("reason", value="\ud800"), "not a drift report of benchkit"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(change: Change, said: str) -> None:
    data = drift_to_dict(drift_reports.critical())
    change(data)
    with pytest.raises(UsageError, match=r"^old\.json: .*; not a drift report of benchkit$") as caught:
        drift_from_dict(data, place="old.json")
    assert said in str(caught.value)


@pytest.mark.parametrize("version", [2, 0, "1", 1.0, True, None])
def test_another_version_is_refused(version: object) -> None:
    data = {**drift_to_dict(drift_reports.quiet()), "schema_version": version}
    with pytest.raises(
        UsageError, match=r"^the report: schema_version is .*, and this benchkit reads 1; check the window"
    ):
        drift_from_dict(data)
    with pytest.raises(UsageError, match="schema_version is None"):
        drift_from_dict({})


def test_a_key_of_a_newer_benchkit_is_passed_over() -> None:
    data = drift_to_dict(drift_reports.critical())
    data["forecast"] = 1
    data["window"]["weather"] = "fine"
    data["statistics"][0]["power"] = None
    assert drift_from_dict(data) == drift_reports.critical()
