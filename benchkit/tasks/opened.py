"""Find a task and load its data once; every model then gets a fresh copy of the task object.

    TaskSpec ──open_task──> OpenedTask(class, revision) ──fresh()──> MTEB task, data in it, random state as new

Why a fresh object for each model: MTEB's clustering draws its samples with the object's own random source, so the
second model on one object is scored on other samples than the first. Why a content hash as the revision of local data:
a revision that stays while the rows change would serve old scores.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchkit.embeddings.fingerprint import digest_files, digest_json, digest_rows
from benchkit.errors import CellFailed, SuiteError
from benchkit.tasks.custom import custom_task_class
from benchkit.tasks.limiting import limit_data
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
    task_class: type[AbsTask]
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
        with _datasets_cache(self.cache_dir / "datasets" / self.revision if self.is_local else None):
            try:
                prototype.load_data()
            except Exception as exc:
                raise CellFailed(_why_no_data(self, exc)) from exc
            if hasattr(prototype, "convert_v1_dataset_format_to_v2"):
                prototype.convert_v1_dataset_format_to_v2(num_proc=None)
        _check_splits(self, prototype)
        self.limited = limit_data(prototype, self.spec.limits)
        self.data_digest = digest_rows(_scored_rows(prototype))
        self._prototype = prototype

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
        SuiteError: no such MTEB task, split or subset; own data that can't be read.
    """
    revision = _local_revision(spec.data) if spec.data is not None else None
    notes: tuple[str, ...] = ()
    if spec.type is not None:
        assert revision is not None
        task_class, notes = custom_task_class(spec, revision=revision)
    else:
        task_class = _mteb_class(spec)
        if revision is not None:
            task_class = _on_mirror(task_class, spec, revision)
    metadata = task_class.metadata
    pinned = str(metadata.dataset.get("revision") or "")
    identity = digest_json(
        {
            "task": metadata.name,
            "type": metadata.type,
            "own": spec.type is not None,  # a team may give its own task a name that MTEB has
            "metric": metadata.main_score,
            "revision": pinned,
            "splits": list(spec.splits or metadata.eval_splits),
            "subsets": list(spec.subsets or ()),
            "columns": dict(spec.columns),
            "limits": [spec.limits.documents, spec.limits.items, spec.limits.seed],
        }
    )
    return OpenedTask(
        spec=spec,
        task_class=recording_class(task_class),
        type=metadata.type,
        main_metric=metadata.main_score,
        revision=pinned,
        source_digest=identity,
        cache_dir=cache_dir,
        offline=offline,
        notes=notes,
    )


def expand_benchmark(name: str, *, types: Sequence[str], exclude: Sequence[str]) -> list[TaskSpec]:
    """Return the tasks of an MTEB benchmark, each with the splits and subsets that the benchmark takes.

    Raises:
        SuiteError: no benchmark of that name, or an excluded task that isn't in it.
    """
    import mteb

    try:
        benchmark = mteb.get_benchmark(name)
    except KeyError as exc:
        raise SuiteError(f"no MTEB benchmark named {name!r}. {str(exc).strip(chr(34))}") from exc
    tasks = list(benchmark.tasks)
    names = {task.metadata.name for task in tasks}
    if unknown := sorted(set(exclude) - names):
        raise SuiteError(f"benchmark {name!r}: exclude names tasks that it does not hold: {', '.join(unknown)}")
    return [
        TaskSpec(name=task.metadata.name, splits=tuple(task.eval_splits), subsets=tuple(task.hf_subsets))
        for task in tasks
        if task.metadata.name not in exclude and (not types or task.metadata.type in types)
    ]


def _mteb_class(spec: TaskSpec) -> type[AbsTask]:
    import mteb
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    try:
        task = mteb.get_task(spec.name)
    except KeyError as exc:
        hint = str(exc).strip("\"'").removeprefix("KeyError: ")
        raise SuiteError(
            f"task {spec.name!r}: no MTEB task of this name ({hint}); for data of your own give type and data"
        ) from exc
    if isinstance(task, AbsTaskAggregate):
        parts = ", ".join(part.metadata.name for part in task.metadata.tasks)
        raise SuiteError(f"task {spec.name!r} is made of other tasks; name those instead: {parts}")
    if task.metadata.modalities != ["text"]:
        raise SuiteError(
            f"task {spec.name!r} needs {', '.join(task.metadata.modalities)}; benchkit compares text models"
        )
    if wrong := sorted(set(spec.subsets or ()) - set(task.metadata.hf_subsets)):
        raise SuiteError(
            f"task {spec.name!r}: no subset {', '.join(wrong)}; it has {', '.join(sorted(task.metadata.hf_subsets))}"
        )
    return type(task)


def _on_mirror(task_class: type[AbsTask], spec: TaskSpec, revision: str) -> type[AbsTask]:
    """Return the task on a local copy of its data set; the name stays, the revision becomes the content hash."""
    metadata = task_class.metadata
    dataset = {**metadata.dataset, "path": str(spec.data), "revision": revision}
    return type(task_class.__name__, (task_class,), {"metadata": metadata.model_copy(update={"dataset": dataset})})


def _local_revision(data: Path) -> str:
    if not data.exists():
        raise SuiteError(f"{data}: no such file or folder")
    files = [data] if data.is_file() else [path for path in data.rglob("*") if path.is_file()]
    if not files:
        raise SuiteError(f"{data}: the folder is empty")
    return digest_files(files, data.parent if data.is_file() else data)


def _filtered(task: Any, spec: TaskSpec) -> Any:
    if spec.splits:
        task.filter_eval_splits(list(spec.splits))
    if spec.subsets:
        task.filter_languages(None, hf_subsets=list(spec.subsets))
    return task


@contextmanager
def _datasets_cache(folder: Path | None) -> Iterator[None]:
    """Let `datasets` keep its copy of a mirror under the content hash; by itself it keys by path and goes stale."""
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
