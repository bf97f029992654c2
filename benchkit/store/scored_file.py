"""A model's scores in one small JSON file that a team commits: what a gate holds a candidate against.

    Scored ── write_scored ──> baseline.json ── read_scored ──> Scored                  the same, bit by bit

The head is for people and for diffs: the suite, facts of the model, scores by task, split and subset, the environment,
costs. What the scores are made of, item by item, stands at the end, packed (store.packed): each array once, under the
hash of its content, and named by that hash wherever it belongs.

`digest` covers all that the file says: a score that was changed by hand or by a bad merge is refused, not believed.
White space, line ends and the order of keys are free. Left out is what no comparison needs: worst items, warnings and
durations of the cells. The form is in store.scored_form and, for other programs, in docs/baseline.schema.json.

A file that isn't there, or of another schema version, is a baseline to renew (NotComparable, exit 4); one that is
damaged or something else is a wrong argument (UsageError, exit 2). Nothing in a file is believed before it was
bounded: at most MAX_FILE_BYTES are read, and what an array may unpack to is known before it is unpacked.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from benchkit.embeddings.whole import write_whole
from benchkit.errors import NotComparable, UsageError
from benchkit.store.scored_form import SCHEMA, SCHEMA_VERSION, ScoredForm, Unfit, cut, refuse, shown, valid_form
from benchkit.store.scored_records import scored_of
from benchkit.store.scored_text import render_scored
from benchkit.types.gate import Scored

MAX_FILE_BYTES = 2**28


def write_scored(path: Path, scored: Scored) -> None:
    """Write the scores of a model; a file that is there is replaced at once, or stays as it was.

    Raises:
        UsageError: they could not be read back: a task twice, a score that is no number though its cell is "ok".
        ValueError: a cell of another model, or tags of items that the cells don't have.
        OSError: the file can't be written.
    """
    _check_own(scored)
    content = render_scored(scored).encode()
    try:
        _read(path, content)
    except Unfit as exc:  # what the reader refuses is never written
        raise UsageError(f"{path}: {exc}; it was not written: score {scored.asked_as!r} again") from exc
    write_whole(path, content, is_synced=True, is_shared=True)


def _check_own(scored: Scored) -> None:
    if others := {cell.model for cell in scored.cells} - {scored.model.name}:
        raise ValueError(f"a cell of {sorted(others)[0]!r} in the scores of {scored.model.name!r}")
    known = {(cell.task, f"{part.split}/{part.subset}") for cell in scored.cells for part in cell.items}
    if unknown := set(scored.tags) - known:
        raise ValueError(f"tags of {sorted(unknown)[0]}, which has no items")


def read_scored(path: Path) -> Scored:
    """Return what `write_scored` wrote; its source is the path.

    Raises:
        NotComparable: there is no such file, or another version of benchkit wrote it; says how to renew it.
        UsageError: it is damaged, was changed, or is something else.
    """
    content = _bytes_of(path)
    try:
        return _read(path, content)
    except Unfit as exc:
        raise UsageError(
            f"{path}: {exc}; it was damaged or changed by hand: take it from version control again, or {_renewal(path)}"
        ) from exc


def _read(path: Path, content: bytes) -> Scored:
    data = _json_of(content)
    _check_kind(path, data)
    return scored_of(path, valid_form(ScoredForm, data), data)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotComparable(f"{path}: there is no such baseline; {_renewal(path, verb='make')}") from exc
    except IsADirectoryError as exc:
        raise UsageError(
            f"{path}: found a folder, should be a file of `benchkit baseline save`; name a file in it"
        ) from exc
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path}: it can't be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(
            f"{path}: found more than {MAX_FILE_BYTES // 2**20} MiB, should be a small file of `benchkit baseline "
            f"save`; {_renewal(path)}"
        )
    return content


def _renewal(path: Path, verb: str = "renew") -> str:
    return f"{verb} it with: benchkit baseline save {shlex.quote(str(path))} --model MODEL --suite SUITE"


def _json_of(content: bytes) -> object:
    try:
        data: object = json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
        # Half a surrogate pair ("\\ud800") is JSON, but no text: whatever prints it would fail.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise Unfit(f"the file: found something that is not JSON ({exc}), should be a JSON object") from exc
    return data


def _no_constant(name: str) -> NoReturn:
    refuse("a number", name, "finite, or null")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        refuse(cut(twice), "the key twice", "there once")
    return found


def _check_kind(path: Path, data: object) -> None:
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        _check_version(path, data)
        return
    if isinstance(data, dict) and "schema" not in data and "cells" in data and "pairs" in data:
        raise UsageError(
            f"{path}: schema: found a result of `benchkit compare`, which holds no scores of items, should be "
            f"{SCHEMA!r}; name the result in its folder, with items.parquet beside it, or write a baseline with: "
            "benchkit baseline save FILE --model MODEL --suite SUITE"
        )
    given = data if isinstance(data, dict) else {"schema": data}
    found = shown(given["schema"]) if "schema" in given else "no such key"
    raise UsageError(
        f"{path}: schema: found {found}, should be {SCHEMA!r}; this is no file of `benchkit baseline save`: "
        "name one, or make one with: benchkit baseline save FILE --model MODEL --suite SUITE"
    )


def _check_version(path: Path, data: Mapping[str, object]) -> None:
    found = data.get("schema_version")
    if type(found) is not int:
        refuse("schema_version", shown(found) if "schema_version" in data else "no such key", str(SCHEMA_VERSION))
    if found != SCHEMA_VERSION:
        age = "a newer" if found > SCHEMA_VERSION else "an older"
        writer = data.get("benchkit_version")
        named = f" ({cut(writer)})" if isinstance(writer, str) and writer else ""
        raise NotComparable(
            f"{path}: schema_version: found {shown(found)}, should be {SCHEMA_VERSION}; {age} benchkit{named} wrote "
            f"it: use that one, or {_renewal(path)}"
        )
