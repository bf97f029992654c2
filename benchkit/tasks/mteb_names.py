"""What a suite takes from MTEB by name: a task with its subsets and splits, a whole benchmark.

    names ── MTEB's registry ─┬─> class of the task, the benchmark
                              └─> UnknownNames: one Misnomer for each name that MTEB doesn't know, all at once

MTEB is imported when it is asked, which takes seconds; `known.py` keeps what it said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchkit.errors import SuiteError, nearest

if TYPE_CHECKING:
    from mteb.abstasks.abstask import AbsTask

# More names than this in a message and nobody reads it.
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Misnomer:
    """A name that MTEB doesn't know, or can't give for a comparison of text models.

    Attributes:
        key: Where it stands below the task of the suite: ("name",), ("subsets", 1).
    """

    key: tuple[str | int, ...]
    message: str


class UnknownNames(SuiteError):
    """Names of a suite's task that MTEB doesn't know."""

    def __init__(self, misnomers: Sequence[Misnomer]) -> None:
        super().__init__("\n".join(misnomer.message for misnomer in misnomers))
        self.misnomers = tuple(misnomers)


def find_task(name: str, *, subsets: Sequence[str] = (), splits: Sequence[str] = ()) -> type[AbsTask]:
    """Return MTEB's class of a task.

    Args:
        subsets, splits: Those that are wanted; a split that is not misspelt may be in the data without MTEB's knowing.

    Raises:
        UnknownNames: no such task, subset or split, or a task that isn't one on texts.
    """
    import mteb

    try:
        task = mteb.get_task(name)
    except KeyError as exc:
        known = [known.metadata.name for known in mteb.get_tasks(exclude_superseded=False)]
        message = f"no MTEB task named '{name}'{_meant(name, known)}; for data of your own give type and data"
        raise UnknownNames([Misnomer(("name",), message)]) from exc
    if wrong := [*_unfit(task), *_subsets(task, subsets), *_splits(task, splits)]:
        raise UnknownNames(wrong)
    found: type[AbsTask] = type(task)
    return found


def find_benchmark(name: str) -> Any:
    """Return MTEB's benchmark.

    Raises:
        UnknownNames: there is none of that name.
    """
    import mteb

    try:
        return mteb.get_benchmark(name)
    except KeyError as exc:
        known = [benchmark.name for benchmark in mteb.get_benchmarks()]
        message = f"no MTEB benchmark named '{name}'{_meant(name, known)}"
        raise UnknownNames([Misnomer(("benchmark",), message)]) from exc


def check_excluded(benchmark: str, excluded: Sequence[str], held: Sequence[str]) -> None:
    """Refuse to leave out tasks that a benchmark doesn't hold.

    Raises:
        UnknownNames: one or more of the excluded aren't held.
    """
    wrong = [
        Misnomer(("exclude", place), f"the benchmark '{benchmark}' holds no task '{name}'{_meant(name, held)}")
        for place, name in enumerate(excluded)
        if name not in held
    ]
    if wrong:
        raise UnknownNames(wrong)


def _unfit(task: Any) -> Iterator[Misnomer]:
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    name, metadata = task.metadata.name, task.metadata
    if isinstance(task, AbsTaskAggregate):
        parts = ", ".join(part.metadata.name for part in metadata.tasks)
        yield Misnomer(("name",), f"the MTEB task '{name}' is made of other tasks; name those instead: {parts}")
    elif metadata.modalities != ["text"]:
        needs = ", ".join(metadata.modalities)
        yield Misnomer(("name",), f"the MTEB task '{name}' needs {needs}; benchkit compares text models")


def _subsets(task: Any, subsets: Sequence[str]) -> Iterator[Misnomer]:
    known = sorted(task.metadata.hf_subsets)
    for place, subset in enumerate(subsets):
        if subset not in known:
            hint = _meant(subset, known) or f"; it has {', '.join(known[:_MOST_NAMED])}"
            yield Misnomer(("subsets", place), f"the MTEB task '{task.metadata.name}' has no subset '{subset}'{hint}")


def _splits(task: Any, splits: Sequence[str]) -> Iterator[Misnomer]:
    known = [*task.metadata.eval_splits, *(task.metadata.descriptive_stats or ())]
    for place, split in enumerate(splits):
        if split not in known and (meant := _misspelt(split, known)):
            message = f"the MTEB task '{task.metadata.name}' has no split '{split}' (did you mean '{meant}'?)"
            yield Misnomer(("splits", place), message)


def _misspelt(split: str, known: Sequence[str]) -> str | None:
    """Return the split that was meant; None for a name of its own, of which only the data tell whether it is there.

    >>> _misspelt("tset", ["test"]), _misspelt("dev", ["devtest"]), _misspelt("test_seen", ["test"])
    ('test', None, None)
    """
    near = nearest(split, known)
    if near is None or not (split.isalpha() and near.isalpha()):
        return None
    return None if split.startswith(near) or near.startswith(split) else near


def _meant(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean '{near}'?)" if near else ""
