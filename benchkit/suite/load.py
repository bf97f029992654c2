"""Read a suite file: a checked Suite, or every problem of the file at once.

path ──read_document──> Document ──validate──> SuiteFile ──build──> Suite
                            └─────cross_check, read_models, check_names──> Problems ──> SuiteError
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benchkit.suite.cross_check import check_gate, check_model_keys, check_tasks, resolve
from benchkit.suite.model_specs import read_models
from benchkit.suite.policy import build_policy
from benchkit.suite.problems import Problem, refusal
from benchkit.suite.read_yaml import read_document
from benchkit.suite.schema import (
    AnyModel,
    BenchmarkEntry,
    LimitsEntry,
    ModelEntry,
    PriceEntry,
    SuiteFile,
    SuiteLimitsEntry,
    TaskEntry,
    TaskLimitsEntry,
)
from benchkit.suite.suite import BenchmarkSpec, Suite
from benchkit.suite.validate import validate
from benchkit.types.cost import Budget, Price
from benchkit.types.model import ModelSpec
from benchkit.types.task import TaskLimits, TaskSpec

DEFAULT_LANGUAGE = "eng-Latn"  # TaskSpec's own default


def load_suite(path: Path, *, asks_mteb: bool = False) -> Suite:
    """Read and check a suite file.

    Args:
        asks_mteb: Where the file is refused, tell with the rest which names MTEB doesn't know; imports it if there are
            any to ask for. The names in a file that is fine are looked up when its tasks are opened.

    Raises:
        SuiteError: one line for each problem of the file, "suites/x.yaml:5: tasks[1].dtaa: unknown key (did you mean
            'data'?)", in the order of its lines.
    """
    document, problems = read_document(path)
    if document is None:
        raise refusal(path, problems, {})
    content, refused = validate(document)
    problems += refused
    problems += check_tasks(document.value.get("tasks"), path.parent)
    problems += check_model_keys(document.value.get("models"))
    problems += check_gate(document.value.get("gate"))
    models, wrong = read_models(_readable_models(document.value.get("models")), _baseline(document.value), path.parent)
    problems += wrong
    if problems or content is None:
        if asks_mteb:
            problems += _unknown_names(document.value.get("tasks"), problems)
        raise refusal(path, problems, document.lines)
    return _build(content, models, path)


def _unknown_names(tasks: Any, told: Sequence[Problem]) -> list[Problem]:
    from benchkit.suite.mteb_names import check_names

    # A name that isn't even a text has been told of.
    places = {problem.place for problem in told}
    return [problem for problem in check_names(tasks) if problem.place not in places]


def _readable_models(models: Any) -> list[str | ModelEntry | None]:
    """Return each entry that its schema takes: the labels of these are checked while others are still wrong."""
    adapter: TypeAdapter[str | ModelEntry] = TypeAdapter(AnyModel)
    entries: list[str | ModelEntry | None] = []
    for entry in models if isinstance(models, list) else []:
        try:
            entries.append(adapter.validate_python(entry))
        except ValidationError:
            entries.append(None)
    return entries


def _baseline(value: dict[str, Any]) -> str | None:
    baseline = value.get("baseline")
    return baseline if isinstance(baseline, str) else None


def _build(content: SuiteFile, models: tuple[ModelSpec, ...], path: Path) -> Suite:
    tasks = [entry for entry in content.tasks if isinstance(entry, TaskEntry)]
    benchmarks = [entry for entry in content.tasks if isinstance(entry, BenchmarkEntry)]
    return Suite(
        name=content.name,
        path=path,
        description=content.description,
        tasks=tuple(_task(entry, content, path.parent) for entry in tasks),
        benchmarks=tuple(_benchmark(entry, content) for entry in benchmarks),
        models=models,
        baseline=content.baseline,
        seed=content.seed,
        margin=float(content.margin),
        n_resamples=content.n_resamples,
        budget=_budget(content.limits),
        price=_price(content.price),
        gate=build_policy(content.gate, source=str(path)) if content.gate else None,
    )


def _budget(limits: SuiteLimitsEntry) -> Budget:
    return Budget(
        max_p95_ms=limits.max_p95_ms,
        max_memory_mib=limits.max_memory_mib,
        max_bytes_per_vector=limits.max_bytes_per_vector,
        max_dim=limits.max_dim,
        licenses=tuple(limits.licenses or ()),
    )


def _price(price: PriceEntry | None) -> Price | None:
    if price is None:
        return None
    return Price(price.currency, price.per_hour, dict(price.per_million_tokens))


def _task(entry: TaskEntry, content: SuiteFile, folder: Path) -> TaskSpec:
    return TaskSpec(
        name=entry.name,
        type=entry.type,
        data=None if entry.data is None else resolve(entry.data, folder),
        columns=dict(entry.columns),
        splits=_tuple(entry.splits),
        subsets=_tuple(entry.subsets),
        metric=entry.metric,
        language=entry.language or DEFAULT_LANGUAGE,
        description=entry.description,
        limits=_limits(entry.limits, content.limits, content.seed),
    )


def _benchmark(entry: BenchmarkEntry, content: SuiteFile) -> BenchmarkSpec:
    limits = _limits(entry.limits, content.limits, content.seed)
    return BenchmarkSpec(entry.benchmark, _tuple(entry.types), tuple(entry.exclude), limits)


def _limits(own: TaskLimitsEntry, suite: LimitsEntry, seed: int) -> TaskLimits:
    # What the task's own limits hold, null too, wins over the suite's.
    given = own.model_fields_set
    return TaskLimits(
        documents=own.documents if "documents" in given else suite.documents,
        items=own.items if "items" in given else suite.items,
        seed=seed if own.seed is None else own.seed,
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
