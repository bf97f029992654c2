"""Files that somebody else may write, change or remove meanwhile: read with bounds, and never changed.

    a folder ── Folders.scan: its folders with a report, and the states of their files ── stamp
             └─ Folders.read: what each report says, or a sentence why it can't be used
    a file ── read_file: bounded, within its folder ── object_of, parts_of ──> JSON values

Only a file that has changed is read again, and of a report that is laid out as benchkit writes it only the few values
that are wanted are parsed. A link that leaves the folder is passed over.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchkit.store import schema

MOST_BYTES = 64 * 2**20
_SHOWN_LETTERS = 360  # of a path or a name in a sentence

Row = TypeVar("Row")
State = tuple[int, int, int]  # mtime in ns, size, inode


class Damaged(Exception):
    """A part of the store can't be used; the message is a sentence without its place."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with a report.

    Attributes:
        key: Its name, in letters that every encoding has.
        states: Of the files that its row is made of, in the order that was asked for; None where there is none.
    """

    key: str
    path: Path
    states: tuple[State | None, ...]


@dataclass(frozen=True, slots=True)
class Kept(Generic[Row]):
    """A row, the folder behind it, the id that MLflow's run has too, and what in the folder couldn't be used."""

    row: Row
    folder: Path
    id: str = ""
    problem: str = ""


class Folders(Generic[Row]):
    """The folders below one folder, each with a report."""

    def __init__(self, root: Path, files: tuple[str, ...], read: Callable[[Folder, Path], Kept[Row]]) -> None:
        self._root, self._files = root, files
        self._read: Callable[[Folder, Path], Kept[Row]] = read
        self._known: dict[Path, tuple[Folder, Kept[Row] | str]] = {}

    def scan(self) -> tuple[list[Folder], list[str]]:
        """Return the folders that have a report, and sentences on what was passed over; nothing is opened."""
        root = self._root.resolve()
        folders, problems = [], []
        try:
            with os.scandir(root) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return [], []
        except OSError as exc:
            return [], [f"{shown(self._root)}: {reason(exc)}"]
        for entry in found:
            try:
                folder = self._folder(entry, root)
            except (Damaged, OSError) as exc:
                problems.append(f"{shown(entry.path)}: {reason(exc)}")
                continue
            if folder is not None:
                folders.append(folder)
        return folders, problems

    def read(self) -> tuple[list[Kept[Row]], list[str]]:
        """Return what the folders have, and sentences on those that can't be used."""
        folders, problems = self.scan()
        known = {}
        for folder in folders:
            before = self._known.get(folder.path)
            known[folder.path] = before if before and before[0] == folder else (folder, self._one(folder))
        self._known = known
        kept = []
        for _, outcome in known.values():
            if isinstance(outcome, str):
                problems.append(outcome)
                continue
            kept.append(outcome)
            problems += [outcome.problem] if outcome.problem else []
        return kept, problems

    def _folder(self, entry: os.DirEntry[str], root: Path) -> Folder | None:
        if entry.name.startswith(".") or not entry.is_dir():
            return None
        if entry.is_symlink():
            stay_within(Path(entry.path), root)
        states = tuple(_state(f"{entry.path}{os.sep}{name}") for name in self._files)
        # The report is written last: a folder without one is being filled.
        return Folder(printable(entry.name), Path(entry.path), states) if states[0] else None

    def _one(self, folder: Folder) -> Kept[Row] | str:
        try:
            return self._read(folder, self._root.resolve())
        except Damaged as exc:
            return f"{shown(folder.path / self._files[0])}: {exc}"


# ------------------------------------------------------------ files


def _state(path: str) -> State | None:
    """Return what tells a file from an earlier one; of a link, that of what it leads to."""
    try:
        found = os.stat(path)  # noqa: PTH116  (a thousand of them, and a Path each costs more than the call)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def stay_within(path: Path, root: Path) -> Path:
    """Return where a path leads; Damaged where that is outside of a folder."""
    real = path.resolve()
    if not real.is_relative_to(root):
        raise Damaged("it leads out of the folder and was passed over")
    return real


def read_file(path: Path, root: Path, most: int = MOST_BYTES) -> bytes:
    """Return a file's content.

    Raises:
        Damaged: it is too large, gone, not a file, outside of `root`, or can't be read.
    """
    real = stay_within(path, root)
    # A pipe must not hold up the page, and a file that has meanwhile become a link is not followed.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(real, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Damaged("it is no file")
            content = file.read(most + 1)
    except OSError as exc:
        raise Damaged(reason(exc)) from exc
    if len(content) > most:
        raise Damaged(f"it has {found.st_size} bytes, and {most} are the most that is read")
    return content


def object_of(content: bytes) -> dict[str, Any]:
    """Return the object of a JSON text; Damaged where it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise Damaged(f"it is not JSON, or only a part of it ({str(exc)[:120]})") from exc
    if not isinstance(found, dict):
        raise Damaged("it is JSON, but not a file of benchkit")
    return found


def parts_of(content: bytes, wanted: Iterable[str]) -> Mapping[str, Any]:
    """Return the values of some of the keys of a JSON object, as far as it has them.

    benchkit writes each key of the outermost object on a line of its own, after one space; inner ones have more, and no
    text of JSON holds a line end. Of such a file only the wanted values are parsed, and of another one everything.
    """
    if content.startswith(b'{\n "') and content.endswith(b"\n}\n"):
        try:
            return {name: value for name in wanted for value in _values(content, name)}
        except (ValueError, RecursionError):
            pass
    return object_of(content)


def _values(content: bytes, name: str) -> list[Any]:
    """Return the value of a key of the outermost object; ValueError where it stands there twice or is no JSON."""
    mark = f"\n {json.dumps(name, ensure_ascii=False)}: ".encode("utf-8", "surrogatepass")
    start = content.find(mark)
    if start < 0:
        return []
    if content.find(mark, start + 1) >= 0:
        raise ValueError(name)
    start += len(mark)
    end = content.find(b'\n "', start)
    return [json.loads(content[start:end].removesuffix(b",") if end >= 0 else content[start:-2])]


def reason(error: Exception) -> str:
    """Return why something failed, without any path."""
    if isinstance(error, FileNotFoundError):
        return "it vanished while it was read"
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def printable(text: str) -> str:
    """Return a text in letters that every encoding has: half a surrogate pair becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode() if not text.isascii() else text


def shown(text: object) -> str:
    """Return a path or name as a sentence can hold it: one line, and not a long one."""
    return schema.clean(printable(str(text)), _SHOWN_LETTERS)
