"""Every name that MLflow gets is one that it takes, and no two of them fall together."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparisons import cost_report
from hypothesis import given
from hypothesis import strategies as st

from benchkit.store import schema
from benchkit.store.schema import DataSet, MetricRow, unique_names
from benchkit.types.cost import Budget, CostFigure, ModelCost

Report = dict[str, Any]
MakeReport = Callable[..., Report]


def values(rows: list[MetricRow]) -> dict[str, float]:
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row.value for row in rows}


def accepted(name: str) -> bool:
    """Say whether MLflow takes a name: its rules, in our own words."""
    return bool(re.fullmatch(r"[/\w.\- ]+", name)) and posixpath.normpath(name) == name and len(name) <= 250


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("ndcg_at_10", "ndcg_at_10"),
        ("ndcg@10", "ndcg_at_10"),
        ("recall(5)", "recall_5_"),
        ("a=b", "a_b"),
        ("a,b", "a_b"),
        ("99%", "99_"),
        ("问答 任务", "问答 任务"),
        ("a/b", "a_b"),
        ("a:b", "a_b"),
        ("..", "_"),
        ("", "_"),
        ("line\nend\n", "line_end_"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_mlflow_refuses_becomes_an_underscore(wanted: str, name: str) -> None:
    assert unique_names([("task", wanted)]) == {("task", wanted): f"task/{name}"}


def test_names_that_would_fall_together_stay_apart_and_the_exact_one_keeps_its_name() -> None:
    wanted = [("task", "a=b"), ("task", "a_b"), ("task", "a,b")]
    names = unique_names(wanted)

    assert names["task", "a_b"] == "task/a_b"
    assert len(set(names.values())) == 3
    assert unique_names(reversed(wanted)) == names


def test_two_long_names_with_one_beginning_are_cut_apart() -> None:
    names = unique_names([("task", "x" * 300 + end) for end in "ab"])

    assert sorted(len(name) for name in names.values()) == [250, 250]
    assert len(set(names.values())) == 2


@given(st.sets(st.tuples(st.text(max_size=6), st.text(alphabet="a_=@/. ", max_size=4)), min_size=1, max_size=8))
def test_names_are_accepted_and_distinct_whatever_is_wanted(wanted: set[tuple[str, str]]) -> None:
    names = unique_names(wanted)

    assert names.keys() == wanted
    assert all(accepted(name) for name in names.values()), names
    assert len(set(names.values())) == len(wanted)


def test_a_candidate_has_its_quality_its_tasks_and_its_size(make_report: MakeReport) -> None:
    report = make_report()

    assert values(schema.candidate_metrics(report, report["models"][0])) == {
        "quality/mean": 0.625,  # (0.5 + 0.75) / 2
        "quality/mean.ci_low": 0.575,
        "quality/mean.ci_high": 0.675,
        "quality/rank_low": 1,
        "quality/rank_high": 2,
        "quality/type/Retrieval": 0.625,
        "task/Faq/ndcg_at_10": 0.5,
        "task/Faq/ndcg_at_10.ci_low": 0.4,
        "task/Faq/ndcg_at_10.ci_high": 0.6,
        "task/Faq/ndcg_at_10.n_items": 500,
        "task/Docs/ndcg_at_10": 0.75,
        "task/Docs/ndcg_at_10.ci_low": 0.65,
        "task/Docs/ndcg_at_10.ci_high": 0.85,
        "task/Docs/ndcg_at_10.n_items": 500,
        "size/dimension": 384,
        "size/bytes_per_vector": 1536,
        "size/parameters": 22_700_000,
    }


def test_what_is_missing_or_not_finite_is_not_a_metric(make_report: MakeReport) -> None:
    report = make_report({"bge": {"Faq": 0.25, "Docs": None}})
    report["cells"][0]["ci_high"] = float("inf")
    report["cells"][0]["ci_low"] = float("nan")

    found = values(schema.candidate_metrics(report, report["models"][0]))

    assert found.keys() == {
        "task/Faq/ndcg_at_10",
        "task/Faq/ndcg_at_10.n_items",
        "size/dimension",
        "size/bytes_per_vector",
        "size/parameters",
    }


def test_the_score_of_a_task_carries_its_rows_and_the_mean_carries_none(make_report: MakeReport) -> None:
    report = make_report()
    rows = {row.name: row.data_set for row in schema.candidate_metrics(report, report["models"][0])}
    faq = rows["task/Faq/ndcg_at_10"]

    assert faq is not None
    assert (faq.name, faq.digest) == ("Faq", "Faq-digest00000000000000000000000000")
    assert json.loads(faq.source)["data_digest"] == "Faq-digest".ljust(64, "0")
    assert rows["quality/mean"] is None


def test_each_task_is_one_data_set_although_every_model_has_a_cell(make_report: MakeReport) -> None:
    found = schema.data_sets(make_report())

    assert all(isinstance(data, DataSet) for data in found)
    assert [data.name for data in found] == ["Faq", "Docs"]


def test_rows_without_a_digest_are_no_data_set(make_report: MakeReport) -> None:
    report = make_report()
    for cell in report["cells"]:
        cell["data_digest"] = None

    assert schema.data_sets(report) == []


def test_the_parent_counts_cells_and_has_the_mean_of_each_model(make_report: MakeReport) -> None:
    assert values(schema.parent_metrics(make_report())) == {
        "comparison/models": 2,
        "comparison/tasks": 2,
        "comparison/cells_ok": 3,
        "comparison/cells_failed": 1,
        "comparison/cells_skipped": 0,
        "comparison/seconds": 12.5,
        "mean/minilm": 0.625,
        "mean.ci_low/minilm": 0.575,
        "mean.ci_high/minilm": 0.675,
    }


def test_labels_of_variants_are_distinct_metrics(make_report: MakeReport) -> None:
    labels = ["m@dim=128", "m@dim,128", "m_at_dim_128", "m_at_dim_128.ci_low"]
    found = values(schema.parent_metrics(make_report({label: {"Faq": 0.5} for label in labels})))

    assert sum(name.startswith("mean/") for name in found) == 4
    assert "mean/m_at_dim_128" in found


def test_the_tags_name_the_suite_the_models_the_choice_and_the_commit(make_report: MakeReport) -> None:
    tags = schema.parent_tags(make_report())

    assert tags["benchkit.kind"] == "compare"
    assert tags["benchkit.suite"] == "choose"
    assert tags["benchkit.suite_digest"] == "suite-digest"
    assert tags["benchkit.schema_version"] == "1"
    assert json.loads(tags["benchkit.models"]) == ["minilm", "bge"]
    assert tags["benchkit.recommendation"] == "minilm"
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert tags["mlflow.note.content"] == "Recommended: **minilm**: it has the best mean."


def test_without_a_commit_or_a_recommendation_there_is_no_such_tag(make_report: MakeReport) -> None:
    tags = schema.parent_tags(make_report(environment={"cpu": "x"}, recommended=None))

    assert not {"mlflow.source.git.commit", "benchkit.recommendation"} & tags.keys()
    assert tags["mlflow.note.content"] == "No recommendation: it has the best mean."


def test_a_list_of_models_that_is_too_long_for_a_tag_is_still_json(make_report: MakeReport) -> None:
    report = make_report({f"模型-{number}-{'x' * 40}": {"Faq": 0.5} for number in range(300)})
    text = schema.parent_tags(report)["benchkit.models"]
    names = json.loads(text)

    assert len(text) <= 8000
    assert names[-1] == "..."
    assert names[:-1] == [model["name"] for model in report["models"]][: len(names) - 1]


def test_a_long_parameter_is_cut_and_says_so(make_report: MakeReport) -> None:
    params = schema.parent_params(make_report(environment={"command": "x" * 7000, "version/torch": "2.8.0"}))

    assert len(params["env/command"]) == 6000
    assert params["env/command"].endswith("x ... (cut; 7000 characters)")
    assert params["env/version/torch"] == "2.8.0"
    assert params["margin"] == "0.01"
    assert "baseline" not in params  # there was none


def test_a_model_is_described_by_its_identity(make_report: MakeReport) -> None:
    params = schema.candidate_params(make_report()["models"][0])

    assert params["id"] == "example/minilm"
    assert params["languages"] == "eng, zho"
    assert params["normalized"] == "yes"
    assert "max_seq_length" not in params  # unknown
    assert schema.logged_model_params(make_report()["models"][0]).keys() == {
        "id",
        "revision",
        "fingerprint",
        "dimension",
        "precision",
    }


@pytest.mark.parametrize(
    ("label", "name"),
    [("minilm@dim=128", "minilm@dim=128"), ("a/b:1.5%", "a_b_1_5_"), ("", "_"), ("x" * 300, "x" * 250)],
)
def test_a_logged_model_has_its_label_without_what_mlflow_refuses(label: str, name: str) -> None:
    assert schema.logged_model_name(label) == name


def test_a_report_has_the_same_id_after_a_file_and_another_after_a_change(make_report: MakeReport) -> None:
    report = make_report(environment={"cpu": "中文"})
    again = json.loads(json.dumps(report, indent=1))
    other = make_report(environment={"cpu": "中文"}, started="2026-11-20T10:00:01+00:00")

    assert schema.result_id(again) == schema.result_id(report)
    assert schema.result_id(other) != schema.result_id(report)


@pytest.mark.parametrize("started", ["2026-11-20T10:00:00+00:00", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00"])
def test_a_start_is_in_utc_whether_or_not_it_says_so(make_report: MakeReport, started: str) -> None:
    report = make_report(started=started)

    assert schema.started_ms(report) == 1_795_168_800_000
    assert schema.ended_ms(report) == 1_795_168_812_500


# --- costs


def test_a_cost_is_a_metric_under_its_own_path_with_its_interval_where_it_has_one(make_report: MakeReport) -> None:
    report = make_report(cost=cost_report(["minilm", "bge"]))
    minilm, bge = (values(schema.candidate_metrics(report, model)) for model in report["models"])

    assert minilm["latency/query/p95_ms"] == 8.3
    assert minilm["latency/query/p95_ms.ci_low"] == 8.3 * 0.94
    assert minilm["latency/query/p95_ms.ci_high"] == 8.3 * 1.06
    assert minilm["memory/peak_mib"] == 617.0
    assert "memory/peak_mib.ci_low" not in minilm
    assert minilm["batch/256/texts_per_s"] == 220.0
    assert bge["latency/query/p95_ms"] == 16.6
    without = values(schema.candidate_metrics(make_report(), report["models"][0]))
    assert minilm.keys() - without.keys() == {
        f"{figure['metric']}{end}"
        for figure in report["cost"]
        for end, key in (("", "value"), (".ci_low", "ci_low"), (".ci_high", "ci_high"))
        if figure[key] is not None
    }


def test_metrics_that_differ_only_in_what_mlflow_refuses_stay_apart(make_report: MakeReport) -> None:
    figures = tuple(CostFigure("minilm", metric, 1.0, "s", 3, 0.5, 1.5) for metric in ("a@/x_s", "a_at_/x_s"))
    report = make_report(cost=cost_report(["minilm"], models=(ModelCost("minilm", "ok", figures),)))
    names = values(schema.candidate_metrics(report, report["models"][0]))

    assert all(accepted(name) for name in names)
    assert sum(name.startswith("a_at_") for name in names) == 6


def test_the_session_and_the_limits_are_parameters_of_the_parent(make_report: MakeReport) -> None:
    budget = Budget(max_p95_ms=20.0, licenses=("mit", "apache-2.0"))
    params = schema.parent_params(make_report(cost=cost_report(["minilm"], unstable="busy"), budget=budget))

    assert {name: value for name, value in params.items() if name.startswith(("cost/", "budget/"))} == {
        "budget/max_p95_ms": "20.0",
        "budget/licenses": "mit, apache-2.0",
        "cost/level": "quick",
        "cost/device": "cpu",
        "cost/measured_at": "2026-01-02T03:00:00+00:00",
        "cost/tolerance": "0.05",
        "cost/unstable": "busy",
    }
    assert not [name for name in schema.parent_params(make_report()) if name.startswith(("cost/", "budget/"))]


def test_a_model_on_the_front_is_tagged_where_costs_were_measured(make_report: MakeReport) -> None:
    report = make_report(cost=cost_report(["minilm", "bge"]))
    tags = [schema.candidate_tags(report, model, "parent") for model in report["models"]]
    assert [found["benchkit.pareto"] for found in tags] == ["yes", "no"]
    assert "benchkit.pareto" not in schema.candidate_tags(make_report(), report["models"][0], "parent")


def test_a_report_from_before_there_were_costs_has_its_other_numbers(make_report: MakeReport) -> None:
    report, old = make_report(), make_report()
    for key in ("cost", "cost_session", "budget", "pareto"):
        del old[key]
    for model in old["models"]:
        del model["engine"]

    assert schema.candidate_metrics(old, old["models"][0]) == schema.candidate_metrics(report, report["models"][0])
    assert schema.candidate_params(old["models"][0]) == schema.candidate_params(report["models"][0])
    assert schema.candidate_tags(old, old["models"][0], "p") == schema.candidate_tags(report, report["models"][0], "p")
    assert schema.parent_params(old) == schema.parent_params(report)


def test_the_engine_is_a_parameter(make_report: MakeReport) -> None:
    model = {**make_report()["models"][0], "engine": "packed"}
    assert schema.candidate_params(model)["engine"] == "packed"


def test_every_name_is_documented(make_report: MakeReport) -> None:
    page = Path(__file__).parents[3].joinpath("docs", "tracking.md").read_text(encoding="utf-8")
    report = make_report({"M": {"T": 0.5}}, metric="metric", environment={"fact": "x", "git_commit": "c0ffee"})
    report["models"][0] |= {"max_seq_length": 256, "memory_bytes": 1, "notes": ["a note"]}
    report["summary"][0]["missing"] = ["T"]
    report["baseline"] = "M"
    model = report["models"][0]
    rows = [*schema.parent_metrics(report), *schema.candidate_metrics(report, model)]
    names = {row.name for row in rows} | schema.parent_params(report).keys() | schema.candidate_params(model).keys()
    names |= (
        schema.parent_tags(report).keys() | schema.candidate_tags(report, model, "parent").keys() | {schema.ATTEMPT}
    )
    documented = set(re.findall("`([^`]+)`", page))
    aliases = {"M": "<model>", "T": "<Task>", "metric": "<metric>", "fact": "<fact>", "Retrieval": "<Type>"}

    def shown(name: str) -> str:
        return re.sub(r"[^/.]+", lambda part: aliases.get(part[0], part[0]), name)

    assert {shown(name) for name in names} - documented == {"env/git_commit"}  # one of the <fact>s
