"""Find a task and load its data once; every model then gets a fresh copy of the task object.

    TaskSpec ──open_task──> OpenedTask(revision, class) ──fresh()──> MTEB task, data in it, random state as new

The class is made when it is first needed: what an earlier run kept (known.py) tells whether the cells of a task are
known, and then MTEB, which takes seconds to import, isn't.

Why a fresh object for each model: MTEB's clustering draws its samples with the object's own random source, so the
second model on one object is scored on other samples than the first. Why a content hash as the revision of local data:
a revision that stays while the rows change would serve old scores.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchkit.embeddings.fingerprint import digest_files, digest_json, digest_rows
from benchkit.errors import CellFailed, SuiteError
from benchkit.tasks.custom import custom_task_class
from benchkit.tasks.known import BenchmarkTask, TaskFacts, benchmark_tasks, task_facts
from benchkit.tasks.limiting import limit_data
from benchkit.tasks.mteb_names import check_excluded, find_benchmark, find_task
from benchkit.tasks.parts import iter_parts
from benchkit.tasks.recording import recording_class
from benchkit.types.task import TaskSpec

if TYPE_CHECKING:
    from mteb.abstasks.abstask import AbsTask

# Attributes of a task object that belong to its random state, which every fresh copy starts anew.
_RANDOM_STATE = ("rng_state", "np_rng")


@dataclass(slots=True)
class OpenedTask:
    """A task that was found; its data are loaded on first use and then shared by all models.

    Attributes:
        revision: Content hash of local files, or the commit that MTEB pins.
        source_digest: Identity of task, data source, filters and limits, known without loading the data.
    """

    spec: TaskSpec
    type: str
    main_metric: str
    revision: str
    source_digest: str
    cache_dir: Path
    offline: bool
    notes: tuple[str, ...] = ()
    limited: str = ""
    data_digest: str = ""
    _prototype: Any = field(default=None, repr=False)
    _class: Any = field(default=None, repr=False)

    @property
    def task_class(self) -> Any:
        """MTEB's class of the task, which also records; made when it is first needed.

        Raises:
            SuiteError: the task's local files can't be read as they were when it was opened.
        """
        if self._class is None:
            self._class = recording_class(_find_class(self.spec, self.revision)[0])
        return self._class

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_local(self) -> bool:
        return self.spec.data is not None

    def load(self) -> None:
        """Load the data, cut it to the limits and hash the rows that remain.

        Raises:
            CellFailed: the data can't be had.
        """
        if self._prototype is not None:
            return
        prototype = _filtered(self.task_class(), self.spec)
        with self.own_copies():
            try:
                prototype.load_data()
            except Exception as exc:
                raise CellFailed(_why_no_data(self, exc)) from exc
            if hasattr(prototype, "convert_v1_dataset_format_to_v2"):
                prototype.convert_v1_dataset_format_to_v2(num_proc=None)
        self._check_unchanged()
        _check_splits(self, prototype)
        self.limited = limit_data(prototype, self.spec.limits)
        self.data_digest = digest_rows(_scored_rows(prototype))
        self._prototype = prototype

    def own_copies(self) -> AbstractContextManager[None]:
        """Let `datasets` keep its copy of a mirror under the content hash; by itself it keys by path and goes stale."""
        return _datasets_cache(self.cache_dir / "datasets" / self.revision if self.is_local else None)

    def _check_unchanged(self) -> None:
        """Refuse local files that are no longer those of the revision: their score would be kept under its name."""
        if self.spec.data is not None and _local_revision(self.spec.data) != self.revision:
            raise CellFailed(f"{self.spec.data} changed while the comparison ran; start it again")

    def fresh(self) -> Any:
        """Return a new task object with the loaded data and the random state that a new object has after loading."""
        self.load()
        task = _filtered(self.task_class(), self.spec)
        for name, value in vars(self._prototype).items():
            if name not in _RANDOM_STATE:
                setattr(task, name, _copy_containers(value))
        task.rng_state = random.Random()
        task.rng_state.setstate(self._prototype.rng_state.getstate())
        task.np_rng.bit_generator.state = self._prototype.np_rng.bit_generator.state
        return task


def open_task(spec: TaskSpec, *, cache_dir: Path, offline: bool) -> OpenedTask:
    """Find a task: MTEB's by its name, the same on a local mirror, or one on a team's own files.

    Raises:
        UnknownNames: no such MTEB task, split or subset.
        SuiteError: own data that can't be read.
    """
    revision = _local_revision(spec.data) if spec.data is not None else None
    found: list[type[AbsTask]] = []

    def find() -> TaskFacts:
        task_class, notes = _find_class(spec, revision)
        found.append(recording_class(task_class))
        return _facts(task_class, notes)

    facts = task_facts(cache_dir, spec, revision=revision, find=find)
    return OpenedTask(
        spec=spec,
        type=facts.type,
        main_metric=facts.main_metric,
        revision=facts.revision,
        source_digest=_source_digest(spec, facts),
        cache_dir=cache_dir,
        offline=offline,
        notes=facts.notes,
        _class=found[0] if found else None,
    )


def _find_class(spec: TaskSpec, revision: str | None) -> tuple[type[AbsTask], tuple[str, ...]]:
    """Return MTEB's class of a task, and notes on its data."""
    if spec.type is not None:
        assert revision is not None
        return custom_task_class(spec, revision=revision)
    task_class = find_task(spec.name, subsets=spec.subsets or (), splits=spec.splits or ())
    if spec.data is None:
        return task_class, ()
    assert revision is not None
    return _on_mirror(task_class, spec, revision), ()


def _facts(task_class: type[AbsTask], notes: tuple[str, ...]) -> TaskFacts:
    metadata = task_class.metadata
    return TaskFacts(
        name=metadata.name,
        type=metadata.type,
        main_metric=metadata.main_score,
        revision=str(metadata.dataset.get("revision") or ""),
        splits=tuple(metadata.eval_splits),
        notes=notes,
    )


def _source_digest(spec: TaskSpec, facts: TaskFacts) -> str:
    return digest_json(
        {
            "task": facts.name,
            "type": facts.type,
            "own": spec.type is not None,  # a team may give its own task a name that MTEB has
            "metric": facts.main_metric,
            "revision": facts.revision,
            "splits": list(spec.splits or facts.splits),
            "subsets": list(spec.subsets or ()),
            "columns": dict(spec.columns),
            "limits": [spec.limits.documents, spec.limits.items, spec.limits.seed],
        }
    )


def expand_benchmark(
    name: str, *, types: Sequence[str], exclude: Sequence[str], cache_dir: Path | None = None
) -> list[TaskSpec]:
    """Return the tasks of an MTEB benchmark, each with the splits and subsets that the benchmark takes.

    Args:
        cache_dir: Where an earlier run may have kept the tasks of the benchmark; None asks MTEB.

    Raises:
        UnknownNames: no benchmark of that name, or an excluded task that isn't in it.
    """
    if cache_dir is None:
        tasks = _tasks_of_benchmark(name)
    else:
        tasks = benchmark_tasks(cache_dir, name, lambda: _tasks_of_benchmark(name))
    check_excluded(name, exclude, [task.name for task in tasks])
    return [
        TaskSpec(name=task.name, splits=task.splits, subsets=task.subsets)
        for task in tasks
        if task.name not in exclude and (not types or task.type in types)
    ]


def _tasks_of_benchmark(name: str) -> tuple[BenchmarkTask, ...]:
    return tuple(
        BenchmarkTask(task.metadata.name, task.metadata.type, tuple(task.eval_splits), tuple(task.hf_subsets))
        for task in find_benchmark(name).tasks
    )


def _on_mirror(task_class: type[AbsTask], spec: TaskSpec, revision: str) -> type[AbsTask]:
    """Return the task on a local copy of its data set; the name stays, the revision becomes the content hash."""
    metadata = task_class.metadata
    dataset = {**metadata.dataset, "path": str(spec.data), "revision": revision}
    return type(task_class.__name__, (task_class,), {"metadata": metadata.model_copy(update={"dataset": dataset})})


def _local_revision(data: Path) -> str:
    if not data.exists():
        raise SuiteError(f"{data}: no such file or folder")
    if data.is_file():
        return digest_files([data], data.parent)
    files = list(_files_of(data)) if data.is_dir() else []
    if not files:
        raise SuiteError(f"{data}: the folder is empty")
    return digest_files(files, data)


def _files_of(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield every file of a folder, also behind links to folders: what is read from there decides a score as well."""
    real = folder.resolve()
    if real in above:
        return  # a link to a folder that this one is in would lead round and round
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_of(path, (*above, real))
        elif path.is_file():
            yield path


def _filtered(task: Any, spec: TaskSpec) -> Any:
    if spec.splits:
        task.filter_eval_splits(list(spec.splits))
    if spec.subsets:
        task.filter_languages(None, hf_subsets=list(spec.subsets))
    return task


@contextmanager
def _datasets_cache(folder: Path | None) -> Iterator[None]:
    """Let `datasets` keep its copies in this folder."""
    import datasets

    before = datasets.config.HF_DATASETS_CACHE
    if folder is not None:
        datasets.config.HF_DATASETS_CACHE = folder
    try:
        with no_dataset_bars():
            yield
    finally:
        datasets.config.HF_DATASETS_CACHE = before


@contextmanager
def no_dataset_bars() -> Iterator[None]:
    """Keep the bars of `datasets` off the screen; our own progress is shown instead."""
    import datasets

    were_off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            datasets.enable_progress_bars()


def _check_splits(task: OpenedTask, loaded: Any) -> None:
    """Refuse a split that the data lack; MTEB would stop in the middle."""
    found = {(split, subset) for split, subset, _ in iter_parts(loaded)}
    missing = sorted(set(loaded.eval_splits) - {split for split, _ in found})
    if missing:
        there = sorted({name for part in loaded.dataset.values() if isinstance(part, Mapping) for name in part})
        names = ", ".join(there or sorted(loaded.dataset))
        raise CellFailed(f"{task.name}: the data have no split {', '.join(missing)}; there are: {names}")


def _why_no_data(task: OpenedTask, exc: Exception) -> str:
    reason = f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else 'no reason given'}"
    if task.is_local:
        return f"the data in {task.spec.data} can't be read as {task.name}: {reason}"
    path = task.task_class.metadata.dataset["path"]
    return (
        f"the data set {path} can't be had from the hub ({reason}); fetch it on a connected machine with "
        f"`benchkit suites prefetch SUITE --to DIR`, and name it in the suite as `data:`"
    )


def _copy_containers(value: Any) -> Any:
    """Copy dictionaries at every level and share the leaves; data sets themselves never change."""
    from datasets import DatasetDict

    if isinstance(value, DatasetDict):
        return DatasetDict(value)
    if isinstance(value, dict):
        return {key: _copy_containers(part) for key, part in value.items()}
    return value


def _scored_rows(task: Any) -> Iterator[Any]:
    """Yield everything that decides a score, in a stable order."""
    for split, subset, part in iter_parts(task, with_training=True):
        yield [split, subset]
        if isinstance(part, Mapping):
            for name in sorted(part):
                yield from _rows_of(name, part[name])
        else:
            yield from _rows_of("rows", part)


def _rows_of(name: str, value: Any) -> Iterator[Any]:
    yield name
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield [key, sorted(value[key].items()) if isinstance(value[key], Mapping) else value[key]]
    elif value is not None and hasattr(value, "iter"):
        yield from value.iter(batch_size=1000)
    elif value is not None:
        yield list(value)
