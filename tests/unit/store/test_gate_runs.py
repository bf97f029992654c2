"""A gate is in MLflow once and whole, is found again by its model, and every text in it is only text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gates
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchkit.errors import UsageError
from benchkit.report.gate_json import gate_to_dict
from benchkit.store import gate_schema, schema
from benchkit.store.gate_runs import GateRef, ModelFacts, find_gates, log_gate, recent_gates
from benchkit.store.uri import TrackingError, locate, speaking
from benchkit.types.gate import GateReport

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

Gate = dict[str, Any]
SUITE = "support"


def model(name: str, **changes: Any) -> Gate:
    facts = {"dimension": 384, "precision": "float32", "similarity": "cosine"}
    return {"name": name, "id": f"example/{name}", "fingerprint": f"fp-{name}", **facts, **changes}


def facts(name: str, **changes: Any) -> ModelFacts:
    found = model(name, **changes)
    return ModelFacts(found.pop("name"), **found)


def rule(name: str, verdict: str = "pass", **values: float | None) -> Gate:
    numbers = dict.fromkeys(("candidate", "baseline", "change", "low", "high"))
    return {"id": name, "group": name.partition("/")[0], "verdict": verdict, **numbers, **values}


def gate(gate_id: str = "0123456789abcdef", **changes: Any) -> Gate:
    return {
        "schema_version": 1,
        "gate_id": gate_id,
        "verdict": "fail",
        "exit_code": 1,
        "rules": [
            rule("limits/dimension", candidate=384.0, baseline=384.0),
            rule("quality/task:Docs", "fail", change=-0.1, low=-0.15, high=-0.05),
            rule("quality/mean", candidate=0.5, baseline=0.55, change=-0.05, low=-0.08, high=-0.02),
            rule("cost/query_latency_p50", change=1.04, low=1.01, high=1.07),
            rule("compatibility/same_space", "skipped"),
        ],
        "candidate": model("bge"),
        "baseline": model("minilm"),
        "candidate_source": "just measured",
        "baseline_source": "champion, version 3",
        "suite": {"name": SUITE, "digest": "suite-digest"},
        "policy": {"source": "gate.yaml"},
        "started": "2026-11-20T10:00:00+00:00",
        "seconds": 12.5,
        "identical": False,
        "on_inconclusive": "fail",
        "report_only": False,
        **changes,
    }


def runs_of(uri: str, suite: str = SUITE) -> list[Any]:
    with speaking(locate(uri)) as client:
        experiment = client.get_experiment_by_name(schema.gate_experiment(suite))
        return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def test_a_gate_is_one_finished_run_with_its_verdict_its_changes_and_its_files(
    tracking_uri: str, tmp_path: Path
) -> None:
    for name in ("gate.json", "gate.md"):
        (tmp_path / name).write_text(name)
    where = log_gate(gate(), tracking_uri=tracking_uri, artifacts=[tmp_path / "gate.json", tmp_path / "gate.md"])
    (run,) = runs_of(tracking_uri)

    assert where == tracking_uri
    assert (run.info.status, run.info.run_name) == ("FINISHED", "bge against minilm")
    assert (run.info.start_time, run.info.end_time) == (1_795_168_800_000, 1_795_168_812_500)
    assert {name: value for name, value in run.data.tags.items() if name.startswith("benchkit.")} == {
        "benchkit.kind": "gate",
        "benchkit.gate_id": "0123456789abcdef",
        "benchkit.verdict": "fail",
        "benchkit.suite": "support",
        "benchkit.suite_digest": "suite-digest",
        "benchkit.started": "2026-11-20T10:00:00+00:00",
        "benchkit.candidate": "bge",
        "benchkit.candidate_id": "example/bge",
        "benchkit.fingerprint": "fp-bge",
        "benchkit.content": schema.content_key("fp-bge", 384, "float32", "cosine"),
        "benchkit.baseline": "minilm",
        "benchkit.baseline_fingerprint": "fp-minilm",
        "benchkit.policy": "gate.yaml",
        "benchkit.report_only": "no",
        "benchkit.on_inconclusive": "fail",
        "benchkit.failed_rules": '["quality/task:Docs"]',
        "benchkit.identical": "no",
        "benchkit.attempt": run.data.tags["benchkit.attempt"],
    }
    assert run.data.metrics == {
        "gate/rules_pass": 3,
        "gate/rules_inconclusive": 0,
        "gate/rules_fail": 1,
        "gate/rules_error": 0,
        "gate/rules_skipped": 1,
        "gate/exit_code": 1,
        "gate/seconds": 12.5,
        "quality/mean": 0.5,
        "quality/mean.baseline": 0.55,
        "gate/quality/mean/change": -0.05,
        "gate/quality/mean/change.ci_low": -0.08,
        "gate/quality/mean/change.ci_high": -0.02,
        "gate/quality/task_Docs/change": -0.1,
        "gate/quality/task_Docs/change.ci_low": -0.15,
        "gate/quality/task_Docs/change.ci_high": -0.05,
        "gate/cost/query_latency_p50/ratio": 1.04,
        "gate/cost/query_latency_p50/ratio.ci_low": 1.01,
        "gate/cost/query_latency_p50/ratio.ci_high": 1.07,
    }
    assert run.data.params["baseline_source"] == "champion, version 3"
    assert run.data.params["candidate/dimension"] == "384"
    kept = tmp_path / "tracked" / "artifacts" / run.info.run_id / "artifacts"
    assert {file.name: file.read_text() for file in kept.iterdir()} == {"gate.json": "gate.json", "gate.md": "gate.md"}


def test_a_gate_is_logged_once_however_often_it_is_given(tracking_uri: str) -> None:
    first = log_gate(gate("a"), tracking_uri=tracking_uri)
    again = log_gate(json.loads(json.dumps(gate("a"))), tracking_uri=tracking_uri)
    log_gate(gate("b"), tracking_uri=tracking_uri)

    assert again == first
    assert sorted(run.data.tags["benchkit.gate_id"] for run in runs_of(tracking_uri)) == ["a", "b"]


def test_gates_are_found_newest_first_and_as_they_were(tracking_uri: str) -> None:
    for day, verdict in ((20, "pass"), (22, "inconclusive"), (21, "error")):
        log_gate(gate(f"g{day}", verdict=verdict, started=f"2026-11-{day}T10:00:00Z"), tracking_uri=tracking_uri)
    found = recent_gates(tracking_uri, SUITE)

    assert [(ref.gate_id, ref.verdict) for ref in found] == [("g22", "inconclusive"), ("g21", "error"), ("g20", "pass")]
    assert recent_gates(tracking_uri, SUITE, 2) == found[:2]
    assert recent_gates(tracking_uri, SUITE, 0) == []
    assert found[2] == GateRef(
        gate_id="g20",
        verdict="pass",
        when="2026-11-20T10:00:00Z",
        run_id=found[2].run_id,
        candidate="bge",
        fingerprint="fp-bge",
        content=facts("bge").content or "",
        baseline="minilm",
        baseline_fingerprint="fp-minilm",
        suite_digest="suite-digest",
    )
    assert recent_gates(tracking_uri, "another") == []


def test_a_model_cut_to_fewer_dimensions_has_gates_of_its_own(tracking_uri: str) -> None:
    log_gate(gate("full", verdict="pass"), tracking_uri=tracking_uri)
    cut = gate("cut", candidate=model("bge@dim=64", fingerprint="fp-bge", dimension=64), started="2026-11-21T10:00:00Z")
    log_gate(cut, tracking_uri=tracking_uri)

    def ids(model: ModelFacts | str) -> list[str]:
        return [ref.gate_id for ref in find_gates(tracking_uri, SUITE, limit=5, model=model)]

    assert ids(facts("bge")) == ["full"]
    assert ids(facts("bge", dimension=64)) == ["cut"]
    assert ids(facts("bge", precision="int8")) == []
    assert ids("fp-bge") == ids(ModelFacts("bge", "x", "fp-bge")) == ["cut", "full"]
    assert ids("fp-minilm") == ids("it's '; DROP TABLE runs") == []


@pytest.mark.parametrize(
    ("verdict", "on_inconclusive", "passed"),
    [
        ("pass", "fail", True),
        ("inconclusive", "warn", True),
        ("inconclusive", "fail", False),
        ("fail", "warn", False),
        ("error", "warn", False),
    ],
)
def test_a_gate_passed_when_its_rules_let_the_candidate_through_and_not_when_it_was_only_reported(
    verdict: str, on_inconclusive: str, passed: bool, tracking_uri: str
) -> None:
    told = gate(verdict=verdict, on_inconclusive=on_inconclusive, report_only=True, exit_code=0)
    log_gate(told, tracking_uri=tracking_uri)
    (found,) = recent_gates(tracking_uri, SUITE)
    assert (found.passed, found.report_only) == (passed, True)


def test_looking_for_gates_makes_no_database(tmp_path: Path) -> None:
    assert recent_gates(str(tmp_path / "runs"), SUITE) == []
    assert list(tmp_path.iterdir()) == []


# What a gate's JSON form must hold


def without(name: str) -> Gate:
    found = gate()
    del found[name]
    return found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (without("verdict"), "verdict: field required"),
        (gate(verdict="passed"), "verdict: input should be 'pass', 'inconclusive', 'fail' or 'error'"),
        (gate(schema_version=2), "schema_version: input should be 1"),
        (gate(exit_code="1"), "exit_code: input should be a valid integer"),
        (gate(gate_id="a' or 'a' = 'a"), "gate_id: string should match pattern"),
        (gate(rules=[rule("quality/mean"), rule("quality/mean")]), "two rules have the id 'quality/mean'"),
        (gate(rules=[rule("quality/mean", change="-0.1")]), "rules.0.change: input should be a valid number"),
        (gate(started="yesterday"), "started: value error"),
        (gate(seconds=float("inf")), "seconds: input should be a finite number"),
        ({}, "gate_id: field required"),
    ],
)
def test_what_is_no_gate_is_refused_by_its_place_before_anything_is_made(
    given: Gate, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^not a gate that can be tracked: ") as caught:
        log_gate(given, tracking_uri=str(tmp_path / "runs"))
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gate.json: no such file to keep with the run"):
        log_gate(gate(), tracking_uri=str(tmp_path / "runs"), artifacts=[tmp_path / "gate.json"])
    assert list(tmp_path.iterdir()) == []


# Names and numbers that MLflow would not take, or that a page would take for more than text


@pytest.mark.parametrize("report", [gates.passed(), gates.failed(), gates.errored(), gates.hostile_gate()])
def test_every_report_fits_into_its_run(report: GateReport, tracking_uri: str) -> None:
    log_gate(gate_to_dict(report), tracking_uri=tracking_uri)
    (run,) = runs_of(tracking_uri, report.suite.name)
    (ref,) = recent_gates(tracking_uri, report.suite.name)

    assert run.info.status == "FINISHED"
    assert ref.verdict == report.verdict
    texts = [run.info.run_name, *run.data.tags.values(), *run.data.params.values()]
    assert not [text for text in texts if any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in text)]


def test_names_without_limits_are_cut_and_letters_of_every_script_stay(tracking_uri: str) -> None:
    suite, long = "客服\n'suite'", "模" * 10_000
    names = {"candidate": model(long), "baseline": model("\x1b[31m\u202eevil\x00")}
    log_gate(gate(suite={"name": suite, "digest": "d"}, **names), tracking_uri=tracking_uri)
    (ref,) = recent_gates(tracking_uri, suite)

    assert ref.candidate.startswith("模" * 400)
    assert len(ref.candidate) == 500
    assert ref.candidate.endswith("(cut; 10000 characters)")
    assert ref.baseline == "[31mevil"
    (run,) = runs_of(tracking_uri, suite)
    assert run.data.tags["benchkit.suite"] == "客服 'suite'"


def test_of_many_rules_the_mean_the_failed_ones_and_the_costs_are_kept() -> None:
    tasks = [rule(f"quality/task:T{n}", "fail" if n == 99 else "pass", change=n / 100, low=0.0) for n in range(100)]
    rules = [*tasks, rule("cost/peak_memory", change=1.2), rule("quality/mean", change=-0.01, low=-0.02, high=0.0)]
    names = [row.name for row in gate_schema.gate_metrics(gate(rules=rules))]

    assert len(names) == len(set(names)) == 60
    decisive = {"gate/quality/mean/change", "gate/quality/task_T99/change", "gate/cost/peak_memory/ratio"}
    assert decisive <= set(names)
    assert "gate/quality/task_T0/change" in names
    assert not [name for name in names if name.endswith(".ci_low")]


def test_numbers_that_are_absent_or_not_finite_are_left_out() -> None:
    bad = [rule("quality/mean", "error", change=float("nan"), low=float("-inf"), high=None)]
    names = {row.name for row in gate_schema.gate_metrics(gate(rules=bad))}
    assert {name for name in names if name.startswith(("gate/quality", "quality"))} == set()


def test_rules_whose_names_would_fall_together_stay_apart() -> None:
    rules = [rule(f"quality/task:{name}", change=0.1) for name in ("a=b", "a,b", "a_b", "a/b")]
    names = [row.name for row in gate_schema.gate_metrics(gate(rules=rules)) if row.value == 0.1]
    assert len(set(names)) == len(names) == 4


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_a_suite_of_any_name_has_names_that_mlflow_takes_and_keeps_them_when_read_back(suite: str) -> None:
    label, registered = schema.suite_label(suite), schema.registered_model_name(suite)
    assert schema.registered_model_name(label) == registered
    assert schema.gate_experiment(label) == schema.gate_experiment(suite)
    assert schema.suite_label(label) == label
    assert len(registered) <= 256
    assert not set(registered) & set("/:'\"`%\\\n")
    label.encode()


@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=200, deadline=None)
def test_two_suites_share_a_registered_model_only_when_they_read_the_same(one: str, other: str) -> None:
    same = schema.registered_model_name(one) == schema.registered_model_name(other)
    assert same == (schema.suite_label(one) == schema.suite_label(other))


# What ends it early


@pytest.mark.parametrize("function", ["log_batch", "log_artifact", "set_terminated"])
def test_a_gate_that_was_cut_off_is_no_gate_and_the_next_call_logs_it_whole(
    function: str, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "gate.json").write_text("{}")
    real, calls = getattr(MlflowClient, function), []

    def stop(*args: Any, **options: Any) -> Any:
        calls.append(function)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, function, stop)
        with pytest.raises(KeyboardInterrupt):
            log_gate(gate(), tracking_uri=tracking_uri, artifacts=[tmp_path / "gate.json"])
    assert [run.info.status for run in runs_of(tracking_uri)] == ["FAILED"]
    assert recent_gates(tracking_uri, SUITE) == []

    log_gate(gate(), tracking_uri=tracking_uri, artifacts=[tmp_path / "gate.json"])
    assert len(recent_gates(tracking_uri, SUITE)) == 1


def test_an_error_of_mlflow_is_told_as_one_of_the_store(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def melt(*args: Any, **options: Any) -> Any:
        raise MlflowException("the disk melted")

    monkeypatch.setattr(MlflowClient, "log_batch", melt)
    with pytest.raises(TrackingError, match=r"mlflow.db: the disk melted"):
        log_gate(gate(), tracking_uri=tracking_uri)


def test_a_run_whose_tags_somebody_took_away_or_changed_is_passed_over(tracking_uri: str) -> None:
    for day in (20, 21, 22):
        log_gate(gate(f"g{day}", started=f"2026-11-{day}T10:00:00Z"), tracking_uri=tracking_uri)
    newest, middle, _ = recent_gates(tracking_uri, SUITE)
    with speaking(locate(tracking_uri)) as client:
        client.delete_tag(newest.run_id, schema.CONTENT)
        client.set_tag(middle.run_id, schema.VERDICT, "splendid")

    assert [ref.gate_id for ref in find_gates(tracking_uri, SUITE, limit=1)] == ["g20"]


def test_the_facts_of_a_model_are_those_of_its_meta() -> None:
    meta = replace(gates.passed().candidate, dimension=64, precision="int8")
    assert ModelFacts.of(meta) == ModelFacts(meta.name, meta.id, meta.fingerprint, 64, "int8", "cosine")
    assert ModelFacts.of(meta).content == schema.content_key(meta.fingerprint, 64, "int8", "cosine")
    assert ModelFacts("a", "b", "c").content is None
