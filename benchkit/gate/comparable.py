"""May a candidate's scores be held against a baseline's?

    candidate ─┬─ suite, tasks, types, data, limits, metrics, items ── any difference ──> NotComparable: all of them,
    baseline ──┘            └── all the same                                              and the command that renews
                                 └── what else differs (versions, engines, seeds) ──> notes

A difference of two scores says something about two models only where all else is the same. Prompts are no such
difference: they belong to the model (its fingerprint), and what a new prompt does is what a gate measures. A task that
the candidate could not be scored on is no such difference either, but a failure of the candidate, which the rules tell.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import NotComparable
from benchkit.types.gate import Scored
from benchkit.types.result import CellResult, ItemScores

_DIGITS = 12  # of a digest: enough to see that two differ
_NAME = 40  # characters of an item's name
_LIBRARY = "version/"
_IN_THIS_RUN = ("measured now", "just measured")
_CHAMPION = "champion"


def check_comparable(candidate: Scored, baseline: Scored) -> tuple[str, ...]:
    """Return notes on what differs and decides no comparison: versions, engines, seeds, other parts of the suite.

    Raises:
        NotComparable: naming every difference, both values of it, and the command that renews the baseline.
    """
    found = [*_suite_differences(candidate, baseline), *_task_differences(candidate, baseline)]
    if found:
        raise NotComparable(
            "\n".join([_heading(candidate, baseline, len(found)), *found, _next_step(candidate, baseline)])
        )
    return tuple(_notes(candidate, baseline))


# ------------------------------------------------------------ differences


def _heading(candidate: Scored, baseline: Scored, n_found: int) -> str:
    pair = f"{_plain(candidate.asked_as)} can't be compared with the baseline {_plain(baseline.asked_as)}"
    return f"{pair} ({_plain(baseline.source)}), {n_found} difference{'' if n_found == 1 else 's'}:"


def _suite_differences(candidate: Scored, baseline: Scored) -> Iterator[str]:
    if candidate.suite.name != baseline.suite.name:
        yield _both("suite", candidate.suite.name, baseline.suite.name)


def _task_differences(candidate: Scored, baseline: Scored) -> Iterator[str]:
    before = {cell.task: cell for cell in baseline.cells}
    for cell in candidate.cells:
        name = _plain(cell.task)
        old = before.pop(cell.task, None)
        if old is None:
            yield f"{name}: the baseline has no such task"
        elif old.status != "ok":
            yield f"{name}: the baseline has no score there ({old.status}: {_plain(old.reason) or 'no reason given'})"
        else:
            yield from (f"{name}: {line}" for line in _cell_differences(cell, old))
    # In one and the same suite, a task that only the baseline has is one that the candidate was not scored on.
    if candidate.suite.digest != baseline.suite.digest:
        yield from (f"{_plain(task)}: a task of the baseline that the suite no longer has" for task in before)


def _cell_differences(new: CellResult, old: CellResult) -> Iterator[str]:
    """Yield what differs; of a cell without a score, what is known of it."""
    is_scored = new.status == "ok"
    if new.type != old.type:
        yield _both("task type", new.type, old.type)
    if new.data_digest != old.data_digest and (is_scored or new.data_digest):
        yield _both("data digest", _digits(new.data_digest), _digits(old.data_digest))
    if new.limited != old.limited and (is_scored or new.data_digest):
        yield _both("limits", new.limited or "nothing left out", old.limited or "nothing left out")
    if is_scored:
        if new.main_metric != old.main_metric:
            yield _both("main metric", new.main_metric, old.main_metric)
        yield from _part_differences(_by_place(new), _by_place(old))


def _by_place(cell: CellResult) -> Mapping[str, ItemScores]:
    return {f"{part.split}/{part.subset}": part for part in cell.items}


def _part_differences(new: Mapping[str, ItemScores], old: Mapping[str, ItemScores]) -> Iterator[str]:
    if new.keys() != old.keys():
        yield _both("scores of items", ", ".join(new) or "none", ", ".join(old) or "none")
    for place in (name for name in new if name in old):
        one, other = new[place], old[place]
        if (one.kind, one.metric) != (other.kind, other.metric):
            how = (f"{one.kind} {one.metric}", f"{other.kind} {other.metric}")
            yield _both(f"{_plain(place)}: score made of", *how)
        if not np.array_equal(one.items, other.items):
            yield f"{_plain(place)}: {_name_difference(one.items, other.items)}"


def _name_difference(new: NDArray[np.str_], old: NDArray[np.str_]) -> str:
    added, gone = np.setdiff1d(new, old), np.setdiff1d(old, new)
    if not len(added) and not len(gone):
        return "the same items in another order"
    return _both("items", _some(new, added), _some(old, gone))


def _some(names: NDArray[np.str_], only: NDArray[np.str_]) -> str:
    if not len(only):
        return str(len(names))
    more = ", ..." if len(only) > 1 else ""
    return f"{len(names)}, {len(only)} of them in it alone ({_plain(str(only[0]))[:_NAME]}{more})"


def _both(what: str, new: str | None, old: str | None) -> str:
    return f"{what}: {_plain(new)} in the candidate, {_plain(old)} in the baseline"


def _digits(digest: str | None) -> str | None:
    return digest and digest[:_DIGITS]


def _plain(text: str | None) -> str:
    """Return text on one line, with nothing in it that a terminal would obey."""
    if text is None:
        return "none"
    return text if text.isprintable() else repr(text)[1:-1]


# ------------------------------------------------------------ next step


def _next_step(candidate: Scored, baseline: Scored) -> str:
    if baseline.source in _IN_THIS_RUN:
        return "next: mend that, or name another model with --baseline"
    suite = candidate.suite.path or candidate.suite.name
    scored = ["--suite", suite]
    if baseline.source.startswith(_CHAMPION):
        why = "the suite or its data changed"
        command = ["promote", baseline.asked_as, *scored, "--force", "--reason", why]
    else:
        command = ["save", _target(baseline.source), "--model", baseline.asked_as, *scored]
    return f"next: renew the baseline with: {_plain(shlex.join(['benchkit', 'baseline', *command]))}"


def _target(source: str) -> str:
    """Return the file to write: the baseline file itself, but nothing over a result of `benchkit compare`."""
    path = Path(source)
    return source if path.suffix == ".json" and path.name != "result.json" else "baseline.json"


# ------------------------------------------------------------ notes


def _notes(candidate: Scored, baseline: Scored) -> Iterator[str]:
    if candidate.suite.digest != baseline.suite.digest:
        values = (_digits(candidate.suite.digest), _digits(baseline.suite.digest))
        yield f"the suite file changed in parts that decide no score ({_both('digest', *values)})"
    if unproven := [cell.task for cell in candidate.cells if cell.status == "ok" and not cell.data_digest]:
        yield f"no digest of the data, so only the names of the items show that they are the same: {_list(unproven)}"
    draws = [f"seed {scored.seed}, {scored.n_resamples} resamples" for scored in (candidate, baseline)]
    if draws[0] != draws[1]:
        yield f"other random draws ({_both('bootstrap', *draws)})"
    engines = [_list(sorted(_engines(scored))) for scored in (candidate, baseline)]
    if all(engines) and engines[0] != engines[1]:
        yield f"other engines ({_both('engine', *engines)})"
    yield from _version_notes(candidate, baseline)


def _version_notes(candidate: Scored, baseline: Scored) -> Iterator[str]:
    versions = [scored.benchkit_version or "unknown" for scored in (candidate, baseline)]
    if versions[0] != versions[1]:
        yield f"other versions of benchkit ({_both('benchkit', *versions)})"
    new, old = (_libraries(scored) for scored in (candidate, baseline))
    both = sorted(new.keys() & old.keys())
    if changed := [f"{name} {old[name]} -> {new[name]}" for name in both if new[name] != old[name]]:
        yield f"other versions of libraries, baseline -> candidate: {_list(changed)}"


def _engines(scored: Scored) -> set[str]:
    named = {cell.engine for cell in scored.cells if cell.status == "ok" and cell.engine}
    return named or {scored.model.engine or ""} - {""}


def _libraries(scored: Scored) -> Mapping[str, str]:
    values = scored.environment.values
    return {name.removeprefix(_LIBRARY): value for name, value in values.items() if name.startswith(_LIBRARY)}


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_plain, names))
