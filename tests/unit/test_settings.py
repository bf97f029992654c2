"""Settings come from the environment, the nearest settings file and the defaults, in that order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchkit.errors import UsageError
from benchkit.settings import Settings, let_threads_sleep, load_settings

HOME = {"HOME": "/home/ada"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder whose own pyproject.toml ends the search for its root."""
    folder = tmp_path / "project"
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, name: str = "benchkit.toml") -> list[str]:
    write(folder / name, text)
    with pytest.raises(UsageError) as caught:
        load_settings(folder, HOME)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_without_a_file_the_documented_defaults_hold(project: Path) -> None:
    assert load_settings(project / "src" / "deep", HOME) == Settings(
        suite=None,
        models=(),
        tracking_uri=f"sqlite:///{project}/mlruns/mlflow.db",
        cache_dir=Path("/home/ada/.cache/benchkit"),
        mlruns_dir=project / "mlruns",
        offline=False,
        project=project,
    )


def test_the_project_is_the_git_root_or_the_current_directory(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "a" / "b"
    inner.mkdir(parents=True)
    # A worktree has a file .git, a checkout a folder.
    write(tmp_path / "repository" / ".git", "gitdir: elsewhere")
    assert load_settings(inner, HOME).project == tmp_path / "repository"
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    assert load_settings(lonely, HOME).project == lonely


@pytest.mark.parametrize(("name", "head"), [("benchkit.toml", ""), ("pyproject.toml", "[tool.benchkit]\n")])
def test_every_key_of_a_file_arrives_with_paths_from_its_folder(project: Path, name: str, head: str) -> None:
    path = write(
        project / name,
        head
        + """
suite = "suites/faq.yaml"
models = ["minilm", "./models/mine", "org/name@dim=64"]
tracking_uri = "sqlite:///runs/db.sqlite"
cache_dir = "cache"
mlruns_dir = "../runs"
offline = true
""",
    )
    settings = load_settings(project / "src" / "deep", HOME)
    assert settings == Settings(
        suite=f"{project}/suites/faq.yaml",
        models=("minilm", f"{project}/models/mine", "org/name@dim=64"),
        tracking_uri=f"sqlite:///{project}/runs/db.sqlite",
        cache_dir=project / "cache",
        mlruns_dir=project / ".." / "runs",
        offline=True,
        project=project,
        source=path,
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("quickstart", "quickstart"),
        ("faq.yml", "{folder}/faq.yml"),
        ("/abs/faq.yaml", "/abs/faq.yaml"),
    ],
)
def test_a_suite_is_a_name_or_a_path(project: Path, written: str, expected: str) -> None:
    write(project / "benchkit.toml", f'suite = "{written}"\n')
    assert load_settings(project, HOME).suite == expected.format(folder=project)


@pytest.mark.parametrize(
    "uri", ["https://mlflow.house", "sqlite:////abs/db.sqlite", "databricks", "sqlite:///:memory:"]
)
def test_a_tracking_address_without_a_relative_path_stays_as_it_is(project: Path, uri: str) -> None:
    write(project / "benchkit.toml", f'tracking_uri = "{uri}"\n')
    assert load_settings(project, HOME).tracking_uri == uri


def test_the_database_follows_the_folder_of_the_runs(project: Path) -> None:
    write(project / "benchkit.toml", 'mlruns_dir = "elsewhere"\n')
    assert load_settings(project, HOME).tracking_uri == f"sqlite:///{project}/elsewhere/mlflow.db"


def test_the_nearest_file_counts_alone(project: Path) -> None:
    write(project / "benchkit.toml", 'suite = "far"\noffline = true\n')
    near = write(project / "src" / "pyproject.toml", '[tool.benchkit]\nsuite = "near"\n')
    settings = load_settings(project / "src" / "deep", HOME)
    assert (settings.suite, settings.offline, settings.source) == ("near", False, near)
    assert settings.project == project / "src"


def test_a_pyproject_that_only_speaks_of_benchkit_is_passed_by(project: Path) -> None:
    write(project / "src" / "pyproject.toml", "[project]\ndependencies = ['benchkit']\n")
    write(project / "benchkit.toml", 'suite = "far"\n')
    assert load_settings(project / "src", HOME).suite == "far"


def test_an_empty_table_ends_the_search(project: Path) -> None:
    write(project / "src" / "pyproject.toml", "[tool.benchkit]\n")
    write(project / "benchkit.toml", 'suite = "far"\n')
    settings = load_settings(project / "src", HOME)
    assert (settings.suite, settings.project) == (None, project / "src")


def test_of_two_files_in_one_folder_the_own_one_counts_and_this_is_noted(project: Path) -> None:
    write(project / "benchkit.toml", 'suite = "own"\n')
    write(project / "pyproject.toml", '[tool.benchkit]\nsuite = "shared"\n')
    settings = load_settings(project, HOME)
    assert settings.suite == "own"
    assert settings.notes == (
        f"{project}/benchkit.toml is used; [tool.benchkit] in {project}/pyproject.toml beside it is not",
    )


def test_the_environment_wins_over_the_file(project: Path) -> None:
    write(project / "benchkit.toml", 'tracking_uri = "https://file"\ncache_dir = "file"\noffline = true\n')
    environ = HOME | {"MLFLOW_TRACKING_URI": "https://env", "BENCHKIT_CACHE_DIR": "/env", "HF_HUB_OFFLINE": "0"}
    settings = load_settings(project, environ)
    assert (settings.tracking_uri, settings.cache_dir, settings.offline) == ("https://env", Path("/env"), False)


def test_empty_variables_count_as_unset(project: Path) -> None:
    write(project / "benchkit.toml", 'tracking_uri = "https://file"\ncache_dir = "file"\noffline = true\n')
    environ = HOME | {"MLFLOW_TRACKING_URI": "", "BENCHKIT_CACHE_DIR": "", "HF_HUB_OFFLINE": "", "XDG_CACHE_HOME": ""}
    settings = load_settings(project, environ)
    assert (settings.tracking_uri, settings.cache_dir, settings.offline) == ("https://file", project / "file", True)


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("ON", True), ("yes", True), ("True", True), ("0", False), ("no", False)]
)
def test_offline_is_what_the_hub_library_takes_for_true(project: Path, value: str, offline: bool) -> None:
    assert load_settings(project, HOME | {"HF_HUB_OFFLINE": value}).offline is offline


def test_the_cache_lies_where_the_xdg_specification_says(project: Path) -> None:
    assert load_settings(project, HOME | {"XDG_CACHE_HOME": "/xdg"}).cache_dir == Path("/xdg/benchkit")
    assert load_settings(project, HOME | {"XDG_CACHE_HOME": "rel"}).cache_dir == Path("/home/ada/.cache/benchkit")
    assert load_settings(project, HOME | {"BENCHKIT_CACHE_DIR": "rel"}).cache_dir == project / "rel"


def test_all_wrong_keys_and_values_are_told_at_once(project: Path) -> None:
    text = 'siute = "x"\nzzz = 1\nmodels = "minilm"\noffline = "yes"\ncache_dir = 3\nsuite = " "\n'
    text += 'tracking_uri = "mlruns"\n'
    assert refusal(project, text) == [
        "benchkit.toml: siute: unknown key (did you mean 'suite'?)",
        "benchkit.toml: zzz: unknown key; known: suite, models, tracking_uri, cache_dir, mlruns_dir, offline, cost",
        "benchkit.toml: models: expected a list of texts, got 'minilm'",
        "benchkit.toml: offline: expected true or false, got 'yes'",
        "benchkit.toml: cache_dir: expected a text, got 3",
        "benchkit.toml: suite: expected a text, got ' '",
        "benchkit.toml: tracking_uri: expected a URI such as sqlite:///mlruns/mlflow.db or https://host, got 'mlruns'",
    ]


def test_in_a_pyproject_the_message_names_the_table(project: Path) -> None:
    assert refusal(project, "[tool.benchkit]\nmodels = [1]\n", "pyproject.toml") == [
        "pyproject.toml: tool.benchkit.models: expected a list of texts, got [1]"
    ]
    assert refusal(project, "[tool]\nbenchkit = 3\n", "pyproject.toml") == [
        "pyproject.toml: tool.benchkit: expected a table, write [tool.benchkit]"
    ]


def test_a_file_that_can_not_be_read_is_refused(project: Path) -> None:
    (found,) = refusal(project, "suite = \n")
    assert found.startswith("benchkit.toml: not readable as TOML: ")
    (project / "benchkit.toml").write_bytes(b"suite = '\xe9'\n")
    with pytest.raises(UsageError, match=r"benchkit\.toml: not UTF-8 text \(byte 9\); save it as UTF-8"):
        load_settings(project, HOME)


def test_a_relative_start_gives_absolute_folders(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert load_settings(Path("src"), HOME).project == project


def test_importing_settings_leaves_heavy_modules_out() -> None:
    heavy = {"pydantic", "yaml", "numpy", "tomllib", "difflib"}
    code = f"import sys, benchkit.settings; print(sorted({heavy} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "[]"


def test_a_word_that_cost_does_not_take_is_refused(project: Path) -> None:
    assert refusal(project, 'cost = "fast"') == ["benchkit.toml: cost: expected off, quick or full, got 'fast'"]
    write(project / "benchkit.toml", "")
    with pytest.raises(UsageError, match="BENCHKIT_COST: expected off, quick or full, got 'no'"):
        load_settings(project, {**HOME, "BENCHKIT_COST": "no"})
    assert load_settings(project, {**HOME, "BENCHKIT_COST": "off"}).cost == "off"


def test_waiting_threads_sleep_unless_the_environment_says_how() -> None:
    mine = {"OMP_WAIT_POLICY": "ACTIVE", "HOME": "/home/ada"}
    let_threads_sleep(mine)
    assert mine == {"OMP_WAIT_POLICY": "ACTIVE", "OPENBLAS_THREAD_TIMEOUT": "4", "HOME": "/home/ada"}
