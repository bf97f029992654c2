"""A suite file is read as its writer means it, or every problem of it is told at once with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from benchkit.errors import SuiteError
from benchkit.suite.find import shipped_suites
from benchkit.suite.load import load_suite
from benchkit.suite.schema import COLUMNS
from benchkit.suite.suite import BenchmarkSpec, Suite
from benchkit.types.cost import Budget, Price
from benchkit.types.model import Variant
from benchkit.types.task import TASK_TYPES, TaskLimits, TaskSpec

HEAD = "name: x\n"
ONE_TASK = "tasks: [{name: STS12}]\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str) -> Suite:
    return load_suite(write(folder, text))


def problems(folder: Path, text: str) -> list[str]:
    """Return the lines of the error without the folder's name."""
    with pytest.raises(SuiteError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_small_suite_has_the_documented_defaults(tmp_path: Path) -> None:
    suite = load(tmp_path, HEAD + ONE_TASK)

    assert suite.tasks == (TaskSpec(name="STS12"),)
    assert (suite.benchmarks, suite.models, suite.baseline, suite.description) == ((), (), None, "")
    assert (suite.seed, suite.margin, suite.n_resamples, suite.limited) == (42, 0.01, 10_000, False)
    assert suite.path == tmp_path / "x.yaml"


def test_what_a_model_may_cost_and_what_computing_costs_arrive(tmp_path: Path) -> None:
    text = (
        "limits: {items: 100, max_p95_ms: 20, max_memory_mib: 1500.5, max_bytes_per_vector: 1536, max_dim: 384,\n"
        "  licenses: [apache-2.0, mit]}\n"
        "price: {currency: EUR, per_hour: 1, per_million_tokens: {house model: 0.02}}\n"
    )
    suite = load(tmp_path, HEAD + text + ONE_TASK)

    assert suite.budget == Budget(20.0, 1500.5, 1536, 384, ("apache-2.0", "mit"))
    assert suite.price == Price("EUR", 1.0, {"house model": 0.02})
    assert suite.tasks[0].limits.items == 100


def test_every_key_of_a_task_arrives(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b,c\n")
    suite = load(
        tmp_path,
        """
name: x
seed: 5
limits: {items: 100, documents: 1000}
tasks:
  - name: faq
    type: STS
    data: pairs.csv
    columns: {sentence1: a, sentence2: b, score: c}
    metric: cosine_pearson
    language: zho-Hans
    description: Questions
    limits: {items: null, seed: 9}
  - {name: STS22.v2, splits: [test], subsets: [en, de-en]}
  - {benchmark: "MTEB(eng, v2)", types: [STS], exclude: [STS12], limits: {items: 7}}
""",
    )

    assert suite.tasks[0] == TaskSpec(
        name="faq",
        type="STS",
        data=tmp_path / "pairs.csv",
        columns={"sentence1": "a", "sentence2": "b", "score": "c"},
        metric="cosine_pearson",
        language="zho-Hans",
        description="Questions",
        limits=TaskLimits(documents=1000, items=None, seed=9),
    )
    assert suite.tasks[1].splits == ("test",)
    assert suite.tasks[1].subsets == ("en", "de-en")
    assert suite.tasks[1].limits == TaskLimits(documents=1000, items=100, seed=5)
    assert suite.benchmarks == (BenchmarkSpec("MTEB(eng, v2)", ("STS",), ("STS12",), TaskLimits(1000, 7, 5)),)
    assert suite.limited


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", (100, 10, 42)),
        ("limits: {documents: null}", (None, 10, 42)),
        ("limits: {items: null}", (100, None, 42)),
        ("limits: {items: 5, seed: 0}", (100, 5, 0)),
    ],
)
def test_limits_of_a_task_win_over_those_of_the_suite(
    tmp_path: Path, own: str, expected: tuple[int | None, int | None, int]
) -> None:
    suite = load(tmp_path, HEAD + f"limits: {{documents: 100, items: 10}}\ntasks: [{{name: STS12, {own}}}]\n")
    assert suite.tasks[0].limits == TaskLimits(*expected)


def test_every_key_of_a_model_arrives(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    suite = load(
        tmp_path,
        HEAD
        + ONE_TASK
        + """
models:
  - minilm@dim=128,precision=int8
  - name: minilm
    label: small
    loader: sentence-transformers
    revision: "3.10"
    truncate_dim: 64
    precision: binary
    normalize: true
    prompts: {query: "query: ", document: ""}
    max_seq_length: 99
    trust_remote_code: true
  - {name: house, loader: openai, label: h, base_url: "http://127.0.0.1/v1", model: m, api_key_env: KEY_1,
     options: {n: 2, b: true}}
  - ./mine@precision=int8
baseline: small
""",
    )
    short, long, server, folder = suite.models

    assert (short.label, short.variant) == ("minilm@dim=128,precision=int8", Variant(128, "int8", None))
    assert (long.label, long.name, long.revision, long.max_seq_length) == ("small", "minilm", "3.10", 99)
    assert long.variant == Variant(64, "binary", True)
    assert long.prompts == {"query": "query: ", "document": ""}
    assert long.trust_remote_code is True
    assert short.trust_remote_code is False
    assert server.options == {
        "base_url": "http://127.0.0.1/v1", "model": "m", "api_key_env": "KEY_1", "n": 2, "b": True
    }  # fmt: skip
    assert server.loader == "openai"
    assert (folder.label, folder.name) == ("./mine@precision=int8", str(tmp_path / "mine"))
    assert suite.baseline == "small"


def test_keys_and_the_short_form_of_a_model_mean_the_same(tmp_path: Path) -> None:
    short = load(tmp_path, HEAD + ONE_TASK + "models: ['minilm@dim=128,precision=int8,normalize=false']\n")
    keys = load(tmp_path, HEAD + ONE_TASK + "models: [{name: minilm, normalize: false, precision: int8, dim: 128}]\n")
    mixed = load(tmp_path, HEAD + ONE_TASK + "models: [{name: minilm@dim=128, precision: int8, normalize: false}]\n")

    assert short.models == keys.models == mixed.models
    assert short.digest == keys.digest == mixed.digest


def test_all_problems_of_a_file_are_told_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("x")
    found = problems(
        tmp_path,
        """name: Bad Name
margin: 2
tasks:
  - name: one
    dtaa: x
  - name: two
    type: Retreival
    data: pair.csv
  - name: one
models:
  - minlm
  - {name: minilm}
  - minilm
  - {name: minilm, label: a, precision: int9}
limits:
  items: 0
""",
    )

    assert found[:9] == [
        "x.yaml:1: name: 'Bad Name' should be small letters and digits, with . _ - between them, such as help-centre",
        "x.yaml:2: margin: should be at most 1.0, got 2",
        "x.yaml:5: tasks[0].dtaa: unknown key (did you mean 'data'?)",
        "x.yaml:7: tasks[1].type: unknown value 'Retreival' (did you mean 'Retrieval'?)",
        "x.yaml:8: tasks[1].data: no such file or folder: pair.csv (did you mean 'pairs.csv'?)",
        "x.yaml:9: tasks[2].name: the name 'one' is taken by tasks[0]",
        found[6],
        "x.yaml:13: models[2]: the label 'minilm' is taken by models[1]; give one of the two a label",
        "x.yaml:14: models[3].precision: unknown value 'int9' (did you mean 'int8'?)",
    ]
    assert found[6].startswith("x.yaml:11: models[0]: no model named 'minlm'. Did you mean 'minilm'?")
    assert found[9:] == ["x.yaml:16: limits.items: should be at least 2, got 0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margin: 1e-3", "margin: expected a number, but YAML reads 1e-3 as a text; write 0.001"),
        ("n_resamples: 1e4", "n_resamples: expected a whole number, but YAML reads 1e4 as a text; write 10000"),
        ("margin: 0,01", "margin: expected a number, found the text '0,01'"),
        ("margin: .nan", "margin: should be a finite number, got nan"),
        ("margin: .inf", "margin: should be a finite number, got inf"),
        ("margin: -0.1", "margin: should be at least 0.0, got -0.1"),
        ("margin: true", "margin: expected a number, found true"),
        ('seed: "42"', "seed: expected a whole number, found the text '42'; leave out the quotes"),
        ("seed: 1.0", "seed: expected a whole number, found the number 1.0"),
        ("seed: yes", "seed: expected a whole number, found true"),
        ("seed: -1", "seed: should be at least 0, got -1"),
        ("seed: 4294967296", "seed: should be at most 4,294,967,295, got 4294967296"),
        ("limits: {max_p95_ms: 0}", "limits.max_p95_ms: should be greater than 0, got 0"),
        ("limits: {max_p95_ms: fast}", "limits.max_p95_ms: expected a number, found the text 'fast'"),
        ("limits: {max_memory_mib: true}", "limits.max_memory_mib: expected a number, found true"),
        ("limits: {max_dim: 0.5}", "limits.max_dim: expected a whole number, found the number 0.5"),
        ("limits: {licenses: []}", "limits.licenses: should not be empty; leave the key out if it isn't needed"),
        ("limits: {max_p95: 3}", "limits.max_p95: unknown key (did you mean 'max_p95_ms'?)"),
        ("price: {per_hour: .inf}", "price.per_hour: should be a finite number, got inf"),
        pytest.param(f"limits: {{max_p95_ms: 1{'0' * 400}}}", "limits.max_p95_ms: should be a finite number, got inf",
                     id="400 digits"),
        ("price: 3", "price: expected keys and values, found the number 3"),
        ("n_resamples: 999", "n_resamples: should be at least 1,000, got 999"),
        ("n_resamples: 100001", "n_resamples: should be at most 100,000, got 100001"),
        ("description:", "description: expected a text, found nothing; give a value or leave the key out"),
        ("description: 12", 'description: expected a text, but YAML reads 12 as the number 12; put it in quotes: "12"'),
        (
            "description: 2024-01-31",
            'description: expected a text, but YAML reads 2024-01-31 as a date; put it in quotes: "2024-01-31"',
        ),
        ("limits: 100", "limits: expected keys and values, found the number 100"),
        ("limits: [1]", "limits: expected keys and values, found a list; leave out the '-'"),
        (
            "limits: {seed: 1}",
            (
                "limits.seed: unknown key; known here: documents, items, max_p95_ms, "
                "max_memory_mib, max_bytes_per_vector, max_dim, licenses"
            ),
        ),
        ("modles: []", "modles: unknown key (did you mean 'models'?)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, HEAD + ONE_TASK + text + "\n") == [f"x.yaml:3: {message}"]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{name: a, type: STS}",
         ("tasks[0].type: 'type' without 'data': name the file or folder of your data, or leave 'type' out for "
          "an MTEB task")),
        ("{name: a, language: zho-Hans}", "tasks[0].language: goes only with own data; give its 'type' too"),
        ("{name: a, metric: pearson}",
         "tasks[0].metric: goes only with own data; a task of MTEB keeps the main metric that MTEB gives it"),
        ("{name: a, type: Clustering, data: f, metric: v_measures}",
         ("tasks[0].metric: MTEB has no 'v_measures' for Clustering (did you mean 'v_measure'?); "
          "it has v_measure, ami")),
        ("{name: a, columns: {text: t}}", "tasks[0].columns: goes only with own data; give its 'type' too"),
        ("{name: a, type: STS, data: f, splits: [test]}",
         "tasks[0].splits: goes only with an MTEB task; own data has one split and no subsets"),
        ("{name: a, type: STS, data: f, columns: {sentence: x}}",
         "tasks[0].columns.sentence: unknown column (did you mean 'sentence2'?)"),
        ("{name: a, type: STS, data: f, columns: {label: x}}",
         "tasks[0].columns.label: unknown column; STS has sentence1, sentence2, score"),
        ("{name: a, type: Retrieval, data: f, columns: {text: x}}",
         "tasks[0].columns.text: Retrieval takes no columns; its files have fixed names (docs/suites.md)"),
        ("{name: a, type: STS, data: f, columns: {sentence1: x, sentence2: x}}",
         "tasks[0].columns.sentence2: the column 'x' is taken by sentence1"),
        ("{name: a, type: STS, data: f, columns: {score: no}}",
         'tasks[0].columns.score: expected a text, but YAML reads no as false; put it in quotes: "no"'),
        ("{name: a, type: STS, data: f, language: no}",
         'tasks[0].language: expected a text, but YAML reads no as false; put it in quotes: "no"'),
        ("{name: a, type: STS, data: f, language: english}",
         "tasks[0].language: 'english' should be an ISO 639-3 code and a script, such as eng-Latn"),
        ("{name: a, type: STS, data: empty.csv}", "tasks[0].data: an empty file: empty.csv"),
        ("{name: a, type: STS, data: void}", "tasks[0].data: an empty folder: void"),
        ("{name: a, data: gone}", "tasks[0].data: no such file or folder: gone"),
        ("{name: a, splits: test}", "tasks[0].splits: expected a list, found the text 'test'; write [test]"),
        ("{name: a, splits: []}", "tasks[0].splits: should not be empty; leave the key out if it isn't needed"),
        ("{name: '*'}", "tasks[0].name: '*' should be letters, digits, spaces and . _ ( ) -"),
        ("{type: STS, data: f}",
         "tasks[0].name: missing key (the name of one task; 'benchmark' takes a whole benchmark)"),
        ("STS12", "tasks[0]: expected keys and values, found the text 'STS12'; write '- name: STS12'"),
        ("{benchmark: b, name: a}",
         "tasks[0].name: does not go with 'benchmark', which takes benchmark, types, exclude, limits"),
        ("{name: a, exclude: [b]}", "tasks[0].exclude: goes only with 'benchmark', which takes a whole benchmark"),
        ("{benchmark: b, types: [Cluster]}", "tasks[0].types[0]: unknown value 'Cluster' (did you mean 'Clustering'?)"),
    ],
)  # fmt: skip
def test_a_wrong_task_is_refused_with_its_place(tmp_path: Path, task: str, message: str) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "void").mkdir()
    assert problems(tmp_path, HEAD + f"tasks: [{task}]\n") == [f"x.yaml:2: {message}"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{name: minilm, revision: 3.10}",
         'revision: expected a text, but YAML reads 3.10 as the number 3.1; put it in quotes: "3.10"'),
        ("{name: minilm, revision: 0123}",
         'revision: expected a text, but YAML reads 0123 as the number 83; put it in quotes: "0123"'),
        ("{name: minilm, dim: 2, truncate_dim: 2}", "dim: means the same as truncate_dim; give one of the two"),
        ("{name: minilm@dim=2, dim: 2}", "model 'minilm@dim=2,dim=2': 'dim' is given twice"),
        ("{name: minilm, trust_remote_code: 'yes'}",
         "trust_remote_code: expected true or false, found the text 'yes'; leave out the quotes"),
        ("{name: minilm, options: {a: [1]}}", "options.a: expected a text, a number or true/false"),
        ("{name: minilm, options: {api_key: s3cret}}",
         "options.api_key: a secret never goes into a suite; api_key_env names the environment variable that holds it"),
        ("{name: minilm, api_key_env: sk-s3cret}",
         ("api_key_env: expected the name of an environment variable, such as OPENAI_API_KEY; "
          "a key itself never goes here")),
        ("{name: minilm, api_key: s3cret}", "api_key: unknown key (did you mean 'api_key_env'?)"),
        ("{name: minilm, base_url: a, options: {base_url: b}}",
         "options.base_url: given already as models[0].base_url"),
        ("minilm@dmi=3",
         ("model 'minilm@dmi=3': unknown key 'dmi'. Did you mean 'dim'? Keys: dim, precision, normalize, "
          "max_seq_length, revision, loader, engine")),
        ("''", "should not be empty; leave the key out if it isn't needed"),
        ("12", 'expected a text, but YAML reads 12 as the number 12; put it in quotes: "12"'),
        ("{label: a}", "name: missing key"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_refused_with_its_place(tmp_path: Path, model: str, message: str) -> None:
    (found,) = problems(tmp_path, HEAD + ONE_TASK + f"models: [{model}]\n")
    assert found in (f"x.yaml:3: models[0].{message}", f"x.yaml:3: models[0]: {message}")
    assert "s3cret" not in found


def test_a_model_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + ONE_TASK + "models: [./gone]\n")
    assert found == "x.yaml:3: models[0]: model './gone': there is no directory 'gone'"


def test_a_baseline_must_be_one_of_the_labels(tmp_path: Path) -> None:
    models = "models: [minilm, bm25]\nbaseline: "
    assert problems(tmp_path, HEAD + ONE_TASK + models + "minlm\n") == [
        "x.yaml:4: baseline: no model has the label 'minlm' (did you mean 'minilm'?)"
    ]
    assert problems(tmp_path, HEAD + ONE_TASK + models + "zzz\n") == [
        "x.yaml:4: baseline: no model has the label 'zzz'; labels: minilm, bm25"
    ]


def test_a_baseline_is_left_alone_while_a_model_can_not_be_read(tmp_path: Path) -> None:
    models = "models:\n- minilm\n- {name: bm25, label: b, dmi: 3}\nbaseline: b\n"
    assert problems(tmp_path, HEAD + ONE_TASK + models) == [
        "x.yaml:5: models[1].dmi: unknown key (did you mean 'dim'?)"
    ]


def test_a_baseline_is_left_alone_where_the_models_come_from_elsewhere(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD + ONE_TASK + "baseline: anything\n").baseline == "anything"


def test_a_file_without_its_needed_keys_says_which(tmp_path: Path) -> None:
    assert problems(tmp_path, "description: x\n") == ["x.yaml:1: name: missing key", "x.yaml:1: tasks: missing key"]
    assert problems(tmp_path, "name: x\ntasks: []\n") == [
        "x.yaml:2: tasks: should not be empty; leave the key out if it isn't needed"
    ]


def test_paths_count_from_the_suite_file_and_not_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "rows.csv").write_text("x")
    write(tmp_path / "suites", HEAD + "tasks: [{name: a, type: STS, data: ../rows.csv}]\n")
    monkeypatch.chdir(tmp_path)
    (task,) = load_suite(Path("suites/x.yaml")).tasks
    assert task.data is not None
    assert task.data.is_absolute()
    assert task.data.samefile(tmp_path / "rows.csv")


def test_columns_are_known_for_every_task_type() -> None:
    assert tuple(COLUMNS) == TASK_TYPES


def test_the_template_is_a_valid_suite_but_for_its_data(tmp_path: Path) -> None:
    source = shipped_suites() / "template.yaml"
    path = Path(shutil.copy(source, tmp_path / "template.yaml"))
    named = {entry["data"] for entry in yaml.safe_load(source.read_text())["tasks"] if "data" in entry}
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(named)
    assert all(".data: no such file or folder: " in line for line in lines)
    for data in named:
        (tmp_path / data).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / data).write_text("x")

    suite = load_suite(path)

    assert {task.type for task in suite.tasks} == {*TASK_TYPES, None}
    assert suite.baseline == "minilm"


@pytest.mark.parametrize("name", ["mteb-eng", "cmteb", "quickstart"])
def test_a_shipped_suite_loads(name: str) -> None:
    suite = load_suite(shipped_suites() / f"{name}.yaml")
    assert suite.name == name
    assert not suite.limited
