"""What a schema can't say of a suite file: names that clash, keys that need each other, files that aren't there.

It looks at the raw values, so that these problems are told together with those that the schema finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchkit.suite.gate_schema import BOUNDS, RATIO_HINTS, CostEntry
from benchkit.suite.problems import Place, Problem, show_place, suggestion
from benchkit.suite.schema import COLUMNS
from benchkit.tasks.custom import metric_problem

# Words in the name of an option whose value belongs into the environment.
_SECRET_OPTIONS = ("api_key", "apikey", "key", "token", "password", "secret")


def check_tasks(tasks: Any, folder: Path) -> list[Problem]:
    """Return the problems among the tasks of a file that lies in a folder."""
    problems: list[Problem] = []
    taken: dict[str, Place] = {}
    for position, entry in enumerate(tasks if isinstance(tasks, list) else []):
        if isinstance(entry, dict) and "benchmark" not in entry:
            place: Place = ("tasks", position)
            problems += _doubled_name(entry.get("name"), place, taken)
            problems += _task(entry, place, folder)
    return problems


def _doubled_name(name: Any, place: Place, taken: dict[str, Place]) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    if name in taken:
        yield Problem((*place, "name"), f"the name '{name}' is taken by {show_place(taken[name])}")
    taken.setdefault(name, place)


def _task(entry: Mapping[str, Any], place: Place, folder: Path) -> Iterator[Problem]:
    if entry.get("type") is None:
        yield from _only_for_own_data(entry, place)
    else:
        yield from _own_data(entry, place)
    if isinstance(entry.get("data"), str) and entry["data"]:
        yield from _path(entry["data"], (*place, "data"), folder)


def _only_for_own_data(entry: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    for key in ("columns", "language"):
        if entry.get(key):
            yield Problem((*place, key), "goes only with own data; give its 'type' too")
    if entry.get("metric"):
        message = "goes only with own data; a task of MTEB keeps the main metric that MTEB gives it"
        yield Problem((*place, "metric"), message)


def _own_data(entry: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    if entry.get("data") is None:
        message = "'type' without 'data': name the file or folder of your data, or leave 'type' out for an MTEB task"
        yield Problem((*place, "type"), message)
    for key in ("splits", "subsets"):
        if entry.get(key):
            yield Problem((*place, key), "goes only with an MTEB task; own data has one split and no subsets")
    kind, columns, metric = entry["type"], entry.get("columns"), entry.get("metric")
    if not isinstance(kind, str) or kind not in COLUMNS:
        return  # the schema tells of it
    if isinstance(columns, dict):
        yield from _columns(columns, kind, (*place, "columns"))
    if isinstance(metric, str) and metric and (problem := metric_problem(kind, metric)):
        yield Problem((*place, "metric"), problem)


def _columns(columns: Mapping[str, Any], task_type: str, place: Place) -> Iterator[Problem]:
    allowed = COLUMNS[task_type]
    seen: dict[str, str] = {}
    for key, own in columns.items():
        if not allowed:
            yield Problem((*place, key), f"{task_type} takes no columns; its files have fixed names (docs/suites.md)")
        elif key not in allowed:
            hint = suggestion(key, allowed) or f"; {task_type} has {', '.join(allowed)}"
            yield Problem((*place, key), f"unknown column{hint}")
        if isinstance(own, str) and own in seen:
            yield Problem((*place, key), f"the column '{own}' is taken by {seen[own]}")
        elif isinstance(own, str):
            seen[own] = key


def _path(written: str, place: Place, folder: Path) -> Iterator[Problem]:
    path = resolve(written, folder)
    if not path.exists():
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        yield Problem(place, f"no such file or folder: {path}{suggestion(path.name, siblings)}")
    elif path.is_dir() and not any(path.iterdir()):
        yield Problem(place, f"an empty folder: {path}")
    elif path.is_file() and path.stat().st_size == 0:
        yield Problem(place, f"an empty file: {path}")


def resolve(written: str, folder: Path) -> Path:
    """Return a path of the suite file as an absolute one; ".." stays, for behind a link it means another folder."""
    return folder.absolute() / written


def check_model_keys(models: Any) -> list[Problem]:
    """Return the problems among the keys of the models."""
    problems: list[Problem] = []
    for position, entry in enumerate(models if isinstance(models, list) else []):
        if isinstance(entry, dict):
            problems += _model_keys(entry, ("models", position))
    return problems


def _model_keys(entry: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    if entry.get("dim") is not None and entry.get("truncate_dim") is not None:
        yield Problem((*place, "dim"), "means the same as truncate_dim; give one of the two")
    options = entry.get("options")
    for key in options if isinstance(options, dict) else {}:
        if key.casefold() in _SECRET_OPTIONS:
            message = "a secret never goes into a suite; api_key_env names the environment variable that holds it"
            yield Problem((*place, "options", key), message)
        elif entry.get(key) is not None and key in ("base_url", "model", "api_key_env"):
            yield Problem((*place, "options", key), f"given already as {show_place((*place, key))}")


def check_gate(gate: Any) -> list[Problem]:
    """Return the problems among the rules of a gate: two for one thing, and bounds that don't go with their metric."""
    if not isinstance(gate, dict):
        return []
    problems = [*_doubled_rule(gate, "quality", "on"), *_doubled_rule(gate, "cost", "metric")]
    for position, rule in _rules(gate.get("cost")):
        metric = rule.get("metric")
        if isinstance(metric, str) and metric in BOUNDS:
            problems += _bounds(rule, metric, ("gate", "cost", position))
    return problems


def _rules(rules: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for position, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict):
            yield position, rule


def _doubled_rule(gate: Mapping[str, Any], part: str, key: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for position, rule in _rules(gate.get(part)):
        value = rule.get(key)
        if isinstance(value, str) and value in first:
            message = f"'{value}' has a rule already, {part}[{first[value]}]; write one rule for both"
            yield Problem(("gate", part, position, key), message)
        elif isinstance(value, str):
            first[value] = position


def _bounds(rule: Mapping[str, Any], metric: str, place: Place) -> Iterator[Problem]:
    ratio, absolute = BOUNDS[metric]
    known = [key for key in rule if key in CostEntry.model_fields]
    for key in known:
        if key in RATIO_HINTS and key != ratio:
            what = "small" if ratio == "max_ratio" else "large"
            yield Problem((*place, key), f"{metric} should be {what}: write {ratio}, where {RATIO_HINTS[ratio]}")
        elif key not in ("metric", "severity", ratio, absolute):
            yield Problem((*place, key), f"does not go with {metric}, which takes {ratio} and {absolute}")
    # Behind a misspelt key stands a bound that was meant.
    if set(rule) <= {"metric", "severity"}:
        yield Problem(place, f"a rule without a bound; {metric} takes {ratio}, {absolute}, or both")
