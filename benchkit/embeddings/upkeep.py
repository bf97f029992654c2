"""Where the vectors lie on disk, who is using them, and how their room is got back.

    <cache>/embeddings/<model fingerprint>/model.json            for people: which model this is
                                          /<space>/used          its time says when the space was last opened or closed
                                          /<space>/<name>.seg    vectors (segment.py); names sort by time of creation

Whoever opens a space holds a shared lock on its `used` file, until it closes the space or dies: the kernel gives the
lock back. `prune` and `clear` take that lock alone, without waiting, and leave the space as it is when they can't have
it. They delete only what is named as above; a foreign file stays, and with it the folder it is in.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.segment import read_segment

Fact = str | int | float | bool | None

_FOLDER = "embeddings"
_USED = "used"
_MODEL = "model.json"
_SEGMENT = re.compile(r"\d{20}-\d+-[0-9a-f]{8}\.seg")
_UNFINISHED_MODEL = re.compile(r"\.model-[0-9a-f]{8}\.json")
# Lower case only: "A" and "a" are one folder on some disks, and would share their vectors.
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
# Each attempt fails only when somebody deletes the space in the microseconds between two calls.
_CLAIM_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class ModelTotals:
    """What one model takes up in a cache.

    Attributes:
        fingerprint: The model's folder.
        facts: What `VectorStore.describe` wrote about it; empty where that is missing or unreadable.
        vectors: Vectors in whole blocks; one that two processes wrote at the same time counts twice.
        n_bytes: Size of all its segments.
        last_used: Seconds since 1970.
    """

    fingerprint: str
    facts: Mapping[str, Fact]
    spaces: int
    segments: int
    vectors: int
    n_bytes: int
    last_used: float


@dataclass(frozen=True, slots=True)
class Removal:
    """What `prune` or `clear` did.

    Attributes:
        spaces: Spaces removed.
        n_bytes: Bytes that their segments took.
        in_use: Spaces that it would have removed, had no living process had them open.
    """

    spaces: int
    n_bytes: int
    in_use: int


def info(cache: Path) -> list[ModelTotals]:
    """Return the totals of each model in a cache folder, most recently used first; [] for a folder without vectors."""
    totals = [_totals(folder) for folder in _folders(cache / _FOLDER)]
    return sorted((total for total in totals if total.spaces), key=lambda total: -total.last_used)


def clear(cache: Path, fingerprint: str | None = None) -> Removal:
    """Remove the vectors of one model, or of all; spaces in use stay.

    Raises:
        OSError: a file can't be deleted.
    """
    models = _folders(cache / _FOLDER) if fingerprint is None else [model_folder(cache, fingerprint)]
    return _remove_while([space for model in models for space in _spaces(model)], lambda _freed: True)


def prune(cache: Path, max_bytes: int) -> Removal:
    """Remove the least recently used spaces until the segments take at most max_bytes; spaces in use stay.

    Raises:
        OSError: a file can't be deleted.
    """
    spaces = [space for model in _folders(cache / _FOLDER) for space in _spaces(model)]
    total = sum(map(_size, spaces))
    return _remove_while(sorted(spaces, key=_last_used), lambda freed: total - freed > max_bytes)


def model_folder(cache: Path, fingerprint: str) -> Path:
    """Return the folder of a model. A fingerprint that isn't a plain lower-case name is stored under its digest.

    Raises:
        ValueError: the fingerprint is empty; vectors without an owner would be given to every model.
    """
    return cache / _FOLDER / _folder_name(fingerprint, "fingerprint")


def space_folder(cache: Path, fingerprint: str, space: str) -> Path:
    """Return the folder of one space of a model, named by the same rule."""
    return model_folder(cache, fingerprint) / _folder_name(space, "space")


def segments_of(space: Path) -> list[Path]:
    """Return the segments of a space in the order of their names: the first vector of a key is the one that counts."""
    return sorted(path for path in space.iterdir() if _SEGMENT.fullmatch(path.name))


def new_segment_path(space: Path, *, time_ns: int) -> Path:
    """Return a name that no other process takes: time, process and 32 random bits."""
    return space / f"{time_ns:020d}-{os.getpid()}-{secrets.token_hex(4)}.seg"


def claim(space: Path) -> BinaryIO:
    """Make the folder of a space where it is missing, mark it as used now and protect it until the file is closed.

    Raises:
        OSError: the folder can't be made or written to.
    """
    for _ in range(_CLAIM_ATTEMPTS):
        space.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted since the line above
            file = (space / _USED).open("ab")
            _lock(file, alone=False)
            if _is_still_at(file, space / _USED):
                os.utime(file.fileno())
                return file
            file.close()
    raise OSError(f"{space}: somebody keeps deleting this folder")


def write_facts(cache: Path, fingerprint: str, facts: Mapping[str, Fact]) -> None:
    """Write model.json; a reader sees the old file or the new one, never half of it."""
    folder = model_folder(cache, fingerprint)
    if _facts(folder) == facts:
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".model-{secrets.token_hex(4)}.json"
    try:
        unfinished.write_text(json.dumps(dict(facts), indent=2, sort_keys=True) + "\n", encoding="ascii")
        unfinished.replace(folder / _MODEL)
    finally:
        unfinished.unlink(missing_ok=True)


def _folder_name(name: str, what: str) -> str:
    if not name:
        raise ValueError(f"the {what} of a vector space must not be empty")
    return name if _SAFE_NAME.fullmatch(name) else digest_json(name)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _spaces(model: Path) -> list[Path]:
    return [folder for folder in _folders(model) if (folder / _USED).is_file() or segments_of(folder)]


def _size(space: Path) -> int:
    return sum(path.stat().st_size for path in segments_of(space))


def _last_used(space: Path) -> float:
    """Return the time of the last open or close; 0 where nobody kept the mark, so that such a space goes first."""
    mark = space / _USED
    return mark.stat().st_mtime if mark.is_file() else 0.0


def _totals(model: Path) -> ModelTotals:
    spaces = _spaces(model)
    segments = [read_segment(path, verify=False) for space in spaces for path in segments_of(space)]
    return ModelTotals(
        fingerprint=model.name,
        facts=_facts(model),
        spaces=len(spaces),
        segments=len(segments),
        vectors=sum(segment.n_vectors for segment in segments),
        n_bytes=sum(segment.n_bytes for segment in segments),
        last_used=max(map(_last_used, spaces), default=0.0),
    )


def _facts(model: Path) -> dict[str, Fact]:
    try:
        facts = json.loads((model / _MODEL).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # only for people: the vectors don't need it
        return {}
    return facts if isinstance(facts, dict) else {}


def _remove_while(spaces: list[Path], more: Callable[[int], bool]) -> Removal:
    """Remove spaces in this order as long as `more`, given the bytes freed so far, says so."""
    n_spaces = n_bytes = in_use = 0
    for space in spaces:
        if not more(n_bytes):
            break
        size = _size(space)
        if _remove(space):
            n_spaces, n_bytes = n_spaces + 1, n_bytes + size
        else:
            in_use += 1
    return Removal(spaces=n_spaces, n_bytes=n_bytes, in_use=in_use)


def _remove(space: Path) -> bool:
    """Delete a space that nobody has open; False when somebody has."""
    mark = space / _USED
    with mark.open("ab") as file:
        if not _lock(file, alone=True) or not _is_still_at(file, mark):
            return False
        for path in segments_of(space):
            path.unlink()
        mark.unlink()
        _remove_folder(space)
    _remove_empty_model(space.parent)
    return True


def _remove_empty_model(model: Path) -> None:
    if _folders(model):
        return
    for path in list(_own_model_files(model)):
        path.unlink(missing_ok=True)
    _remove_folder(model)


def _own_model_files(model: Path) -> Iterator[Path]:
    return (path for path in model.iterdir() if path.name == _MODEL or _UNFINISHED_MODEL.fullmatch(path.name))


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # not empty: a foreign file, or somebody opened the space anew
        folder.rmdir()


def _lock(file: BinaryIO, *, alone: bool) -> bool:
    """Take the advisory lock of an open file, shared (waiting for it) or alone (not waiting); False if it isn't had."""
    if sys.platform == "win32":  # no flock; there the system refuses to delete a file that somebody has open
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except OSError:  # in use; or a file system without locks, where nothing is ever removed
        return False
    return True


def _is_still_at(file: BinaryIO, path: Path) -> bool:
    """Say whether a file that was opened by this path is what the path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
