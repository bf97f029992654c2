"""What is asked for, what the settings add, and what is refused before any work starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from own_data import sts

from benchkit.api.request import Request, open_tasks, prepare
from benchkit.errors import BenchkitError, ModelError, SuiteError, UsageError
from benchkit.types.cost import Budget
from benchkit.types.task import TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    sts(tmp_path / "pairs.jsonl")
    (tmp_path / "own.yaml").write_text("name: own\ntasks:\n  - {name: pairs, type: STS, data: pairs.jsonl}\n")
    (tmp_path / "benchkit.toml").write_text('suite = "own.yaml"\nmodels = ["tfidf"]\n')
    return tmp_path


def ask(project: Path, *models: str, **options: object) -> Request:
    environ = {"BENCHKIT_CACHE_DIR": str(project / "cache")}
    return Request(models=models, start=project, environ=environ, offline=True, **options)  # type: ignore[arg-type]


def test_suite_models_and_places_come_from_the_settings(project: Path) -> None:
    prepared = prepare(ask(project))
    assert prepared.suite.name == "own"
    assert [model.meta.name for model in prepared.models] == ["tfidf"]
    assert prepared.tracking_uri == f"sqlite:///{project}/mlruns/mlflow.db"
    assert prepared.settings.cache_dir == project / "cache"


def test_what_is_asked_for_wins_over_the_settings(project: Path) -> None:
    prepared = prepare(ask(project, "tfidf", "bm25", tracking_uri="http://127.0.0.1:1", seed=7))
    assert [model.meta.name for model in prepared.models] == ["tfidf", "bm25"]
    assert (prepared.tracking_uri, prepared.seed) == ("http://127.0.0.1:1", 7)


def test_unknown_names_have_their_lines_and_are_told_with_what_is_wrong_with_own_data(project: Path) -> None:
    (project / "own.yaml").write_text(
        "name: own\ntasks:\n  - {name: STSBenchmrk}\n  - {name: pairs, type: STS, data: pairs.jsonl}\n"
        "  - {name: STS22, subsets: [xx]}\n"
    )
    (project / "pairs.jsonl").write_text('{"sentence1": "a", "sentence2": "b", "score": "high"}\n')
    with pytest.raises(SuiteError) as caught:
        prepare(ask(project))
    first, second, third = str(caught.value).splitlines()
    assert first.startswith(f"{project}/own.yaml:3: tasks[0].name: no MTEB task named 'STSBenchmrk' (did you mean 'S")
    assert second.startswith(f"{project}/own.yaml:5: tasks[2].subsets[0]: the MTEB task 'STS22' has no subset 'xx'")
    assert third.startswith(f"{project}/pairs.jsonl:1: score should be a finite number")


def test_a_suite_made_in_code_tells_of_unknown_names_without_a_line(project: Path) -> None:
    prepared = prepare(ask(project))
    suite = dataclasses.replace(prepared.suite, path=None, tasks=(TaskSpec(name="STSBenchmrk"),))
    with pytest.raises(SuiteError, match=r"^no MTEB task named 'STSBenchmrk'"):
        open_tasks(suite, prepared.settings)


def test_no_track_means_no_store(project: Path) -> None:
    assert prepare(ask(project, track=False)).tracking_uri is None


def test_a_suite_describes_a_model_that_is_asked_for_by_its_label(project: Path) -> None:
    with (project / "own.yaml").open("a") as file:
        file.write("models:\n  - {name: tfidf, label: words, options: {ngrams: 2}}\n")
    (model,) = prepare(ask(project, "words")).models
    assert model.spec.options == {"ngrams": 2}


def test_all_models_that_cant_be_had_are_told_at_once(project: Path) -> None:
    with pytest.raises(ModelError) as caught:
        prepare(ask(project, "minlm", "tfidf", "./nowhere"))
    first, second = str(caught.value).split("\n")
    assert "no model named 'minlm'. Did you mean 'minilm'?" in first
    assert "there is no directory './nowhere'" in second


@pytest.mark.parametrize(
    ("models", "options", "error", "message"),
    [
        (("tfidf", "tfidf"), {}, ModelError, "named twice: tfidf"),
        (("tfidf",), {"baseline": "bm52"}, UsageError, "--baseline: 'bm52' is not among the models compared"),
        (("tfidf",), {"suite": "quikstart"}, SuiteError, "quickstart"),
        (("tfidf",), {"device": "gpu"}, UsageError, "'gpu' is none of auto, cpu, cuda, cuda:N"),
        (("tfidf",), {"tracking_uri": "ftp://x"}, UsageError, "ftp"),
    ],
)
def test_what_cant_work_is_refused_with_its_reason(
    models: tuple[str, ...], options: dict[str, str], error: type[BenchkitError], message: str, project: Path
) -> None:
    with pytest.raises(error, match=message):
        prepare(ask(project, *models, **options))


def test_a_task_named_beside_its_benchmark_is_refused(project: Path) -> None:
    (project / "own.yaml").write_text(
        'name: own\ntasks:\n  - {name: STSBenchmark}\n  - {benchmark: "MTEB(eng, v2)", types: [STS]}\n'
    )
    with pytest.raises(SuiteError) as caught:
        prepare(ask(project))
    file = project / "own.yaml"
    assert str(caught.value) == (
        f"{file}:4: tasks[1]: task 'STSBenchmark' is in the suite twice: in this benchmark and by name at {file}:3 "
        "(tasks[0]); leave one out with `exclude:`"
    )


def test_a_benchmark_brings_its_tasks_with_their_own_splits_and_subsets(project: Path) -> None:
    (project / "own.yaml").write_text(
        'name: own\ntasks:\n  - {benchmark: "MTEB(eng, v2)", types: [STS], exclude: [SICK-R]}\n'
    )
    tasks = {task.name: task for task in prepare(ask(project)).tasks}
    assert "STSBenchmark" in tasks
    assert "SICK-R" not in tasks
    assert tasks["STS17"].spec.subsets == ("en-en",)


def test_limits_that_are_asked_for_win_over_the_suites(project: Path) -> None:
    with (project / "own.yaml").open("a") as file:
        file.write("limits: {max_dim: 384, max_p95_ms: 20, licenses: [mit]}\n")
    budget = prepare(ask(project, budget=Budget(max_p95_ms=5.0, max_bytes_per_vector=100))).budget
    assert budget == Budget(max_p95_ms=5.0, max_bytes_per_vector=100, max_dim=384, licenses=("mit",))


def test_limits_on_what_is_not_measured_are_refused_where_asked_for_and_told_where_the_suite_has_them(
    project: Path,
) -> None:
    with pytest.raises(UsageError, match="--max-p95-ms and --max-memory-mib: costs are not measured here"):
        prepare(ask(project, cost="off", budget=Budget(max_p95_ms=5.0, max_memory_mib=100.0)))
    with (project / "own.yaml").open("a") as file:
        file.write("limits: {max_dim: 384, max_p95_ms: 20}\n")
    prepared = prepare(ask(project, cost="off"))
    assert prepared.budget == Budget(max_dim=384)
    assert prepared.notes[-1] == ("the suite's limits max_p95_ms are not checked, for costs are not measured")


@pytest.mark.parametrize(
    ("asked", "environment", "file", "expected"),
    [
        (None, "", "", "quick"),
        (None, "", 'cost = "full"\n', "full"),
        (None, "off", 'cost = "full"\n', None),
        ("quick", "off", "", "quick"),
        ("off", "", "", None),
    ],
)
def test_how_thoroughly_costs_are_measured(
    project: Path, asked: str | None, environment: str, file: str, expected: str | None
) -> None:
    with (project / "benchkit.toml").open("a") as settings:
        settings.write(file)
    request = ask(project, cost=asked)
    request = dataclasses.replace(request, environ={**request.environ, "BENCHKIT_COST": environment})
    assert prepare(request).cost == expected


@pytest.mark.real_weights
def test_an_engine_goes_to_models_that_have_a_choice_and_do_not_name_one(project: Path) -> None:
    prepared = prepare(ask(project, "minilm", "minilm@engine=torch", "tfidf", engine="packed"))
    assert [model.spec.options for model in prepared.models] == [{"engine": "packed"}, {"engine": "torch"}, {}]
