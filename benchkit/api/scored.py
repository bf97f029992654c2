"""A model with its scores, as a gate compares it: measured now, from a file, from a result, or the champion.

MODEL ── prepare, run ───────────────┐
baseline.json ── read_scored ────────┼──> Scored
result.json ── with its items ───────┤
champion, champion@3 ── the registry ┘
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchkit import __version__
from benchkit.api.record import RESULT, read_json
from benchkit.api.request import Prepared
from benchkit.errors import CellFailed, UsageError
from benchkit.runner.environment import describe_environment
from benchkit.runner.run import PlannedModel
from benchkit.store.scored_file import read_scored
from benchkit.tasks.opened import OpenedTask
from benchkit.types.comparison import SuiteInfo
from benchkit.types.gate import ProbeFacts, Scored
from benchkit.types.result import CellResult

CHAMPION = "champion"
# "champion@3": what follows is a version of it; with "=" it would be a variant of a model of that name.
_CHAMPION = re.compile(r"champion(@[^=]*)?")
_VERSION = re.compile(r"@([1-9][0-9]{0,8})", re.ASCII)
_SCHEMA = "schema"


def is_file(name: str) -> bool:
    """Tell whether a name means a file of scores (or a folder of a result) and not a model."""
    path = Path(name)
    return path.suffix == ".json" or path.is_file() or (path / RESULT).is_file()


def read_scores(name: str, *, model: str | None = None) -> Scored:
    """Read a baseline file, or one model of a result of `benchkit compare`.

    Args:
        model: Label of the model, where a result holds several.

    Raises:
        NotComparable: there is no such file, or another version of benchkit wrote it.
        UsageError: it is damaged, or something else.
    """
    path = Path(name)
    if path.is_dir():
        path = path / RESULT
    if path.is_file() and _is_result(path):
        return _from_result(path, model)
    scored = read_scored(path)
    if model is not None and model != scored.model.name:
        raise UsageError(f"{path}: holds the scores of {scored.model.name!r}, not of {model!r}")
    return scored


def read_result(path: Path, *, model: str | None = None) -> Scored:
    """Read stored scores that were named with --result.

    Raises:
        UsageError: there is nothing: no baseline is missing then, and to save one would not help.
        NotComparable, UsageError: as `read_scores`.
    """
    if not path.exists():
        raise UsageError(
            f"--result {path}: there is no such file or folder; name a file of `benchkit baseline save`, or the folder "
            "that `benchkit compare` names at its end"
        )
    return read_scores(str(path), model=model)


def is_champion(name: str) -> bool:
    """Tell whether a name means the champion, the present one or that of a version: "champion", "champion@3".

    >>> is_champion("champion"), is_champion("champion@3"), is_champion("champion@dim=8"), is_champion("champions")
    (True, True, False, False)
    """
    return _CHAMPION.fullmatch(name) is not None


def read_champion(name: str, suite: str, *, tracking_uri: str) -> Scored:
    """Return the champion of a suite.

    Args:
        name: "champion", or with a version: "champion@3".

    Raises:
        NotComparable: there is none, or no such version of it.
        UsageError: what follows the name is no version.
    """
    from benchkit.store.registry import fetch_champion, quoted_suite

    asked = name.removeprefix(CHAMPION)
    number = _VERSION.fullmatch(asked)
    if asked and number is None:
        raise UsageError(
            f"{name!r}: found {asked[1:]!r} behind the @, should be the number of a version, as in champion@3; "
            f"`benchkit baseline list --suite {quoted_suite(suite)}` shows them"
        )
    with TemporaryDirectory() as folder:
        version = None if number is None else int(number[1])
        champion, file = fetch_champion(tracking_uri, suite, Path(folder), version=version)
        return replace(read_scored(file), source=f"champion, version {champion.version}")


def scored_now(
    prepared: Prepared,
    planned: PlannedModel,
    cells: Sequence[CellResult],
    *,
    probe: ProbeFacts | None = None,
    with_tags: bool = False,
    on_warning: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Return a model that was just scored.

    Paths are as seen from the current folder, where the same command will look for them on another machine.

    Args:
        with_tags: Look up the metadata of the items too, for which the data have to be read.
        on_warning: Hears of metadata that can't be had.
    """
    label = planned.spec.label
    own = tuple(cell for cell in cells if cell.model == label)
    return Scored(
        model=planned.meta,
        asked_as=seen_from(label, prepared.request.start),
        suite=_suite_from(prepared.suite_info, prepared.request.start),
        cells=own,
        environment=describe_environment(device=prepared.device, command=prepared.request.command),
        created=_now(),
        source="measured now",
        tags=tags_of(prepared.tasks, own, on_warning=on_warning) if with_tags else {},
        probe=probe,
        benchkit_version=__version__,
        seed=prepared.seed,
        n_resamples=prepared.suite.n_resamples,
    )


def seen_from(name: str, folder: Path) -> str:
    """Return a path below a folder as "./..." and every other name as it is: a committed file is read elsewhere.

    >>> seen_from("/repo/ci/models/tiny@dim=8", Path("/repo/ci"))
    './models/tiny@dim=8'
    """
    inside = f"{folder.absolute().as_posix().rstrip('/')}/"
    return f"./{name.removeprefix(inside)}" if name.startswith(inside) and name != inside else name


def _suite_from(suite: SuiteInfo, folder: Path) -> SuiteInfo:
    path = suite.path
    return suite if path is None else replace(suite, path=seen_from(path, folder).removeprefix("./"))


def tags_of(
    tasks: Sequence[OpenedTask],
    cells: Sequence[CellResult],
    *,
    on_warning: Callable[[str], None] = lambda _: None,
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Return the metadata of the items of these cells, by task and "split/subset".

    Args:
        on_warning: Hears of a task whose data can't be had any more, which then has none.
    """
    from benchkit.tasks.item_tags import item_tags

    opened = {task.name: task for task in tasks}
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for cell in cells:
        if not cell.items:
            continue
        parts = {f"{entry.split}/{entry.subset}": entry.items for entry in cell.items}
        try:
            found |= {(cell.task, place): tags for place, tags in item_tags(opened[cell.task], parts).items()}
        except CellFailed as exc:
            on_warning(f"{cell.task}: no metadata of its items, so no slice of it can be judged: {exc}")
    return found


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_result(path: Path) -> bool:
    """Tell whether a JSON file is what `benchkit compare` writes; of a damaged one the reader of baselines tells."""
    try:
        content = read_json(path)
    except UsageError:
        return False
    return "comparison" not in content and _SCHEMA not in content and "cells" in content and "pairs" in content


def _from_result(path: Path, model: str | None) -> Scored:
    from benchkit.api.record import COSTS, ITEMS, TAGS
    from benchkit.api.result_tags import keys_left_out, result_tags
    from benchkit.report.json_form import from_dict
    from benchkit.store.cost_samples import read_cost_samples
    from benchkit.store.items import read_items
    from benchkit.store.scored_result import scored_from_comparison
    from benchkit.store.tags import read_tags

    comparison = from_dict(read_json(path))
    items = path.parent / ITEMS
    if not items.is_file():
        raise UsageError(
            f"{path}: a result without {ITEMS} beside it, so the scores of its items are missing; name the result in "
            f"its folder under mlruns/results, or write a baseline with: benchkit baseline save FILE --model MODEL"
        )
    costs, tags = path.parent / COSTS, path.parent / TAGS
    samples = read_cost_samples(costs) if costs.is_file() else None
    scored = scored_from_comparison(comparison, read_items(items), model=model, source=str(path), samples=samples)
    kept = read_tags(tags) if tags.is_file() else ()
    found = result_tags(scored.cells, kept, source=str(path))
    return replace(scored, tags=found, left_out=keys_left_out(kept))
