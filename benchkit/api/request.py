"""From what was asked to what will be run; everything that can be wrong is found here, before any work starts.

Request ── settings ── suite ── models found ── tasks opened ──> Prepared
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from benchkit.errors import BenchkitError, ModelError, SuiteError, UsageError
from benchkit.models.device import resolve_device
from benchkit.models.names import did_you_mean, parse_model, resolve_loader
from benchkit.plugins import open_model
from benchkit.runner.run import PlannedModel
from benchkit.settings import Settings, load_settings
from benchkit.store.uri import locate
from benchkit.suite.doubled_tasks import doubled_tasks
from benchkit.suite.find import find_suite
from benchkit.suite.load import load_suite
from benchkit.suite.mteb_names import locate_names
from benchkit.suite.suite import BenchmarkSpec, Suite
from benchkit.tasks.mteb_names import UnknownNames
from benchkit.tasks.opened import OpenedTask, expand_benchmark, open_task
from benchkit.types.comparison import SuiteInfo
from benchkit.types.cost import Budget, CostChoice, CostLevel
from benchkit.types.model import ModelSpec, OpenContext
from benchkit.types.task import TaskSpec

DEFAULT_SUITE = "quickstart"
ENGINE_LOADER = "sentence-transformers"
# Limits on what only a measurement tells, by the option that sets them.
_MEASURED = {"--max-p95-ms": "max_p95_ms", "--max-memory-mib": "max_memory_mib"}

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison as it was asked for; None takes what the settings or the suite say.

    Attributes:
        engine: What computes vectors, for every model that has a choice and does not name one itself.
        cost: How thoroughly costs are measured.
        budget: Limits that win over the suite's.
    """

    models: tuple[str | ModelSpec, ...] = ()
    suite: str | None = None
    baseline: str | None = None
    device: str = "auto"
    offline: bool | None = None
    tracking_uri: str | None = None
    track: bool = True
    seed: int | None = None
    engine: str | None = None
    cost: CostChoice | None = None
    budget: Budget = field(default_factory=Budget)
    command: str = ""
    start: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A comparison that can start: every model was found, every task opened."""

    request: Request
    settings: Settings
    suite: Suite
    models: tuple[PlannedModel, ...]
    tasks: tuple[OpenedTask, ...]
    baseline: str | None
    device: str
    offline: bool
    seed: int
    tracking_uri: str | None
    cost: CostLevel | None = None
    budget: Budget = field(default_factory=Budget)
    notes: tuple[str, ...] = ()

    @property
    def context(self) -> OpenContext:
        return OpenContext(device=self.device, offline=self.offline, cache_dir=self.settings.cache_dir)

    @property
    def suite_info(self) -> SuiteInfo:
        return SuiteInfo(
            name=self.suite.name,
            digest=self.suite.digest,
            path=str(self.suite.path) if self.suite.path else None,
            description=self.suite.description,
            limited=self.suite.limited,
        )


def settings_of(request: Request) -> Settings:
    """Return the settings that hold for a request, with the request's own on top."""
    settings = load_settings(request.start, request.environ)
    if request.offline is not None:
        settings = replace(settings, offline=request.offline)
    if request.tracking_uri is not None:
        settings = replace(settings, tracking_uri=request.tracking_uri)
    return settings


def suite_of(request: Request, settings: Settings, *, asks_mteb: bool = False) -> Suite:
    """Load the suite that a request or the settings name, else the quickstart.

    Args:
        asks_mteb: Let a refusal tell of names that MTEB doesn't know too.
    """
    # An empty name is a script's variable that isn't set, not a wish for another suite.
    name = request.suite if request.suite is not None else settings.suite or DEFAULT_SUITE
    try:
        suite = load_suite(find_suite(name, [request.start / "suites"]), asks_mteb=asks_mteb)
    except SuiteError as exc:
        if request.suite is not None or settings.suite is None:
            raise
        raise SuiteError(f"{settings.source}: suite: {exc}") from exc
    return suite if request.seed is None else replace(suite, seed=request.seed)


def prepare(request: Request, *, on_stage: Callable[[str], None] = lambda _: None) -> Prepared:
    """Find every model and open every task.

    Args:
        on_stage: Hears a word on what is being looked at.

    Raises:
        UsageError: anything that the user has to mend; the models' problems are told together.
    """
    settings = settings_of(request)
    if settings.offline:
        go_offline()
    suite = suite_of(request, settings, asks_mteb=True)
    specs = _with_engine(model_specs(request, settings, suite), request.engine)
    cost = _cost_level(request, settings)
    budget, notes = _budget(request, suite, is_measured=cost is not None)
    is_named = request.baseline is not None
    baseline = _baseline(request.baseline if is_named else suite.baseline, specs, named=is_named)
    device = resolve_device(request.device)
    tracking_uri = _tracking_uri(request, settings)
    on_stage(f"finding {len(specs)} model{'' if len(specs) == 1 else 's'}")
    context = OpenContext(device=device, offline=settings.offline, cache_dir=settings.cache_dir)
    models = _find_models(specs, context)
    on_stage(f"opening the tasks of {suite.name}")
    tasks = open_tasks(suite, settings)
    return Prepared(
        request=request,
        settings=settings,
        suite=suite,
        models=models,
        tasks=tasks,
        baseline=baseline,
        device=device,
        offline=settings.offline,
        seed=suite.seed,
        tracking_uri=tracking_uri,
        cost=cost,
        budget=budget,
        notes=(*settings.notes, *notes),
    )


def go_offline() -> None:
    """Tell the hub libraries to touch no network; they read this when they are imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"


def model_specs(request: Request, settings: Settings, suite: Suite) -> tuple[ModelSpec, ...]:
    """Return the models to compare: those asked for, else the suite's, else the settings'.

    A model that the suite describes (prompts, endpoints, ...) can be asked for by its label.

    Raises:
        ModelError: no model at all, or two of one label.
    """
    described = {spec.label: spec for spec in suite.models}
    asked = request.models or tuple(described.values()) or settings.models
    if not asked:
        raise UsageError("name at least one model: benchkit compare MODEL...; `benchkit models list` shows short names")
    specs = _made_of_all(
        asked, lambda model: model if isinstance(model, ModelSpec) else described.get(model) or parse_model(model)
    )
    labels = [spec.label for spec in specs]
    if doubled := sorted({label for label in labels if labels.count(label) > 1}):
        raise ModelError(f"named twice: {', '.join(doubled)}; name each model once (a variant counts as another)")
    return specs


def _with_engine(specs: Sequence[ModelSpec], engine: str | None) -> tuple[ModelSpec, ...]:
    """Give the engine to every model that has a choice and does not name one itself."""
    if engine is None:
        return tuple(specs)
    return tuple(
        replace(spec, options={"engine": engine, **spec.options}) if resolve_loader(spec) == ENGINE_LOADER else spec
        for spec in specs
    )


def _cost_level(request: Request, settings: Settings) -> CostLevel | None:
    choice = request.cost or settings.cost
    return "full" if choice == "full" else "quick" if choice == "quick" else None


def _budget(request: Request, suite: Suite, *, is_measured: bool) -> tuple[Budget, tuple[str, ...]]:
    """Return the limits that hold, the request's over the suite's, and what must be said of them.

    Raises:
        UsageError: a limit on what isn't measured was asked for.
    """
    asked = request.budget
    if not is_measured and (options := [option for option, name in _MEASURED.items() if getattr(asked, name)]):
        raise UsageError(
            f"{' and '.join(options)}: costs are not measured here (--no-cost, BENCHKIT_COST or `cost` of the "
            "settings); measure them with --cost quick"
        )
    given: Any = {field.name: value for field in fields(asked) if (value := getattr(asked, field.name))}
    budget = replace(suite.budget, **given)
    unchecked = [name for name in _MEASURED.values() if getattr(budget, name) is not None]
    if is_measured or not unchecked:
        return budget, ()
    note = f"the suite's limits {' and '.join(unchecked)} are not checked, for costs are not measured"
    dropped: Any = dict.fromkeys(unchecked)
    return replace(budget, **dropped), (note,)


def _tracking_uri(request: Request, settings: Settings) -> str | None:
    """Return where to record; a kind of store that can't be written is told now, one that is down at the end."""
    if not request.track:
        return None
    try:
        locate(settings.tracking_uri)
    except UsageError as exc:
        raise UsageError(f"{exc}; or compare without a record: --no-track") from exc
    return settings.tracking_uri


def _baseline(name: str | None, specs: Sequence[ModelSpec], *, named: bool) -> str | None:
    labels = [spec.label for spec in specs]
    if name is None or name in labels:
        return name
    if not named:
        # The suite's baseline is a default; a comparison without it is a comparison of all pairs.
        return None
    raise UsageError(f"--baseline: {name!r} is not among the models compared.{did_you_mean(name, labels)}")


def _find_models(specs: Sequence[ModelSpec], context: OpenContext) -> tuple[PlannedModel, ...]:
    return _made_of_all(specs, lambda spec: PlannedModel(spec, open_model(spec, context)))


def _made_of_all(given: Sequence[Given], make: Callable[[Given], Made]) -> tuple[Made, ...]:
    """Return what `make` makes of each model.

    Raises:
        ModelError: all that is wrong with any of them.
    """
    made: list[Made] = []
    problems: list[BenchkitError] = []
    for one in given:
        try:
            made.append(make(one))
        except BenchkitError as exc:
            problems.append(exc)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ModelError("\n".join(str(problem) for problem in problems))
    return tuple(made)


def open_tasks(suite: Suite, settings: Settings) -> tuple[OpenedTask, ...]:
    """Open the tasks of a suite, those of its benchmarks too.

    Raises:
        SuiteError: all that is wrong with any of them.
    """
    inside: list[list[TaskSpec]] = []
    unknown: list[UnknownNames] = []
    for benchmark in suite.benchmarks:
        try:
            inside.append(_tasks_of(benchmark, settings))
        except UnknownNames as exc:
            inside.append([])
            unknown.append(exc)
    named = [spec.name for spec in suite.tasks]
    problems = doubled_tasks(suite.path, named, [[spec.name for spec in specs] for specs in inside])
    opened: list[OpenedTask] = []
    for spec in chain(suite.tasks, *inside):
        try:
            opened.append(open_task(spec, cache_dir=settings.cache_dir, offline=settings.offline))
        except UnknownNames as exc:
            unknown.append(exc)
        except SuiteError as exc:
            # A problem of own data, which names its file itself.
            problems.append(str(exc))
    if unknown or problems:
        raise SuiteError("\n".join([*_located(suite, unknown), *problems]))
    return tuple(opened)


def _tasks_of(benchmark: BenchmarkSpec, settings: Settings) -> list[TaskSpec]:
    expanded = expand_benchmark(
        benchmark.name, types=benchmark.types or (), exclude=benchmark.exclude, cache_dir=settings.cache_dir
    )
    return [replace(spec, limits=benchmark.limits) for spec in expanded]


def _located(suite: Suite, unknown: Sequence[UnknownNames]) -> list[str]:
    """Return a line for each unknown name, with its place in the suite's file."""
    located = locate_names(suite.path) if unknown and suite.path else None
    return [str(located)] if located else [str(problem) for problem in unknown]
