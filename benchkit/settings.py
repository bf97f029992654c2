"""Where a project keeps things: settings file, environment and defaults, in one record.

    benchkit.toml, or [tool.benchkit] of pyproject.toml ─┐
    BENCHKIT_CACHE_DIR, BENCHKIT_COST, ...              ─┼─> Settings
    defaults                                            ─┘

The environment wins over the file, the file over the defaults; a command's own options win over all three. The file is
looked for upward from the current directory, and the first folder that has one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError, nearest

SETTINGS_FILE = "benchkit.toml"
PYPROJECT = "pyproject.toml"
# What huggingface_hub takes for true in its own switches.
_TRUE = ("1", "on", "yes", "true")
_EXPECTED = {
    "suite": "a text",
    "models": "a list of texts",
    "tracking_uri": "a text",
    "cache_dir": "a text",
    "mlruns_dir": "a text",
    "offline": "true or false",
    "cost": "off, quick or full",
}
COST_CHOICES = ("off", "quick", "full")
# A thread that waits by spinning keeps a busy core from the one that it waits for. OpenBLAS: ticks, as a power of two.
_SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a project unless a command says otherwise.

    Attributes:
        suite: Name or absolute path of the suite that commands take when none is named.
        models: Models that commands take when none is named.
        tracking_uri: Where MLflow keeps runs.
        cache_dir: Folder of the embeddings, which can be thrown away.
        mlruns_dir: Folder of MLflow's database and files.
        offline: Touch no network.
        cost: How thoroughly a comparison measures costs: "off", "quick" or "full".
        project: The project's folder.
        source: The settings file; None where there is none.
        notes: Sentences that the user should see once.
    """

    suite: str | None
    models: tuple[str, ...]
    tracking_uri: str
    cache_dir: Path
    mlruns_dir: Path
    offline: bool
    project: Path
    source: Path | None = None
    cost: str = "quick"
    notes: tuple[str, ...] = ()


def let_threads_sleep(environ: MutableMapping[str, str]) -> None:
    """Have threads of OpenMP and OpenBLAS sleep while they wait, unless the environment says how; before they start."""
    for name, value in _SLEEPING.items():
        environ.setdefault(name, value)


@dataclass(frozen=True, slots=True)
class _File:
    """The settings of one file, checked, with their paths resolved."""

    path: Path | None
    values: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def load_settings(start: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings that hold in a directory.

    Args:
        start: The current directory.
        environ: The environment; an empty variable counts as unset.

    Raises:
        UsageError: the settings file can't be read, or has an unknown key or a value of the wrong type.
    """
    start = start.absolute()
    found = _find_file(start)
    values = found.values
    project = found.path.parent if found.path else _project_root(start)
    mlruns = Path(values.get("mlruns_dir", project / "mlruns"))
    offline = environ.get("HF_HUB_OFFLINE")
    return Settings(
        suite=values.get("suite"),
        models=tuple(values.get("models", ())),
        tracking_uri=environ.get("MLFLOW_TRACKING_URI") or values.get("tracking_uri") or _sqlite(mlruns / "mlflow.db"),
        cache_dir=_cache_dir(values, start, environ),
        mlruns_dir=mlruns,
        offline=offline.lower() in _TRUE if offline else values.get("offline", False),
        project=project,
        source=found.path,
        cost=_cost(values, environ),
        notes=found.notes,
    )


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path.as_posix()}"


def _cost(values: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    named = environ.get("BENCHKIT_COST")
    if named and named not in COST_CHOICES:
        raise UsageError(f"BENCHKIT_COST: expected {_EXPECTED['cost']}, got {named!r}")
    return named or values.get("cost", "quick")


def _cache_dir(values: Mapping[str, Any], start: Path, environ: Mapping[str, str]) -> Path:
    if named := environ.get("BENCHKIT_CACHE_DIR"):
        return start / Path(named).expanduser()
    if "cache_dir" in values:
        return Path(values["cache_dir"])
    base = Path(environ.get("XDG_CACHE_HOME") or "")
    # The XDG specification has relative paths ignored.
    if not base.is_absolute():
        base = (Path(environ["HOME"]) if environ.get("HOME") else Path.home()) / ".cache"
    return base / "benchkit"


def _project_root(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / ".git").exists() or (folder / PYPROJECT).is_file():
            return folder
    return start


def _find_file(start: Path) -> _File:
    for folder in (start, *start.parents):
        own, pyproject = folder / SETTINGS_FILE, folder / PYPROJECT
        table = _tool_table(pyproject) if pyproject.is_file() else None
        if own.is_file():
            notes = (f"{own} is used; [tool.benchkit] in {pyproject} beside it is not",) if table is not None else ()
            return _File(own, _checked(_read(own), own, ""), notes)
        if table is not None:
            return _File(pyproject, _checked(table, pyproject, "tool.benchkit."))
    return _File(None, {})


def _tool_table(pyproject: Path) -> Mapping[str, Any] | None:
    # Most projects' files have no such table, and reading one takes longer than looking for its name.
    if b"benchkit" not in _bytes(pyproject):
        return None
    tool = _read(pyproject).get("tool", {})
    table = tool.get("benchkit") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{pyproject}: tool.benchkit: expected a table, write [tool.benchkit]")
    return table


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path}: can't be read ({exc.strerror})") from exc


def _read(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"{path}: not readable as TOML: {exc}") from exc


def _checked(table: Mapping[str, Any], path: Path, prefix: str) -> Mapping[str, Any]:
    """Return the settings with paths made absolute; refuse all that is wrong at once."""
    problems = [problem for key, value in table.items() for problem in _problems(key, value)]
    if problems:
        raise UsageError("\n".join(f"{path}: {prefix}{problem}" for problem in problems))
    return {key: _resolved(key, value, path.parent) for key, value in table.items()}


def _problems(key: str, value: object) -> list[str]:
    if key not in _EXPECTED:
        return [f"{key}: unknown key{_suggestion(key)}"]
    expected = _EXPECTED[key]
    if expected == "true or false":
        fits = isinstance(value, bool)
    elif expected == "a text":
        fits = isinstance(value, str) and bool(value.strip())
    elif key == "cost":
        fits = value in COST_CHOICES
    else:
        fits = isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)
    if not fits:
        return [f"{key}: expected {expected}, got {value!r}"]
    if key == "tracking_uri" and not _is_uri(str(value)):
        return [f"{key}: expected a URI such as sqlite:///mlruns/mlflow.db or https://host, got {value!r}"]
    return []


def _suggestion(key: str) -> str:
    near = nearest(key, _EXPECTED)
    return f" (did you mean '{near}'?)" if near else f"; known: {', '.join(_EXPECTED)}"


def _is_uri(text: str) -> bool:
    return ":" in text[2:] or text == "databricks"  # a colon in second place is a drive of Windows


def _resolved(key: str, value: Any, folder: Path) -> Any:
    if key in ("cache_dir", "mlruns_dir"):
        return str(folder / Path(value).expanduser())
    if key == "suite":
        is_path = value.endswith((".yaml", ".yml")) or "/" in value
        return str(folder / Path(value).expanduser()) if is_path else value
    if key == "models":
        return [str(folder / model) if model.startswith(("./", "../")) else model for model in value]
    if key == "tracking_uri" and value.startswith("sqlite:///") and not value.endswith(":memory:"):
        return _sqlite(folder / value.removeprefix("sqlite:///"))
    return value
