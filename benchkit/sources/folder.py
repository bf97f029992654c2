"""The files of a source: on this machine, in S3 (s3.py), or in another object store that fsspec knows.

    "logs" · "logs/2026-*/*.parquet" · "s3://bucket/logs" · "memory://logs" ──> FileEntry (name, size, stamp), sorted

Natural order: part-2 comes before part-10. Names under the folder are part of a position, so a source may be moved.
Left out are files that a writer hasn't finished (`*.tmp`, `*.part`, ...), everything whose name or folder begins with
"_" or ".", files of other kinds, and `.txt` beside files that hold vectors.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from benchkit.errors import SourceError, UsageError
from benchkit.sources.words import listed, shown, shown_place

# Suffix -> how it is read (formats.py).
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".safetensors": "safetensors",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonl.gz": "jsonl.gz",
    ".ndjson.gz": "jsonl.gz",
    ".txt": "txt",
}
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".inprogress", ".crdownload", "~")
# What identifies a file besides its size: both ends, as the footer or header of each format changes with its content.
_END_BYTES = 4096
DIGEST_BYTES = 9
WILD = re.compile(r"[*?\[]")
_PACKAGES = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "http": "aiohttp",
}


class SourceAbsent(SourceError):
    """Nothing is there to be read: not yet, or no longer. Who follows the source waits.

    Attributes:
        is_empty: The place is there and holds nothing to read; False where it can't be reached.
    """

    def __init__(self, message: str, *, is_empty: bool) -> None:
        super().__init__(message)
        self.is_empty = is_empty


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a source.

    Attributes:
        name: Under the source's folder, with "/".
        stamp: Changes whenever the file is written: nanoseconds of its last change, or the store's tag of a version.
        modified: Seconds since 1970; None where the store doesn't say.
    """

    name: str
    size: int
    stamp: str
    modified: float | None = None

    @property
    def format(self) -> str:
        return FORMATS[_suffix(self.name)]


class Folder(Protocol):
    """Where files are.

    Attributes:
        shown: For messages, without a secret.
        is_local: Looking a file up again costs nothing.
    """

    shown: str
    is_local: bool

    def entries(self) -> list[FileEntry]:
        """Return the files to read, in their order.

        Raises:
            SourceAbsent: there is none, or no such place.
            SourceError: the place can't be read.
        """
        ...

    def entry(self, name: str) -> FileEntry | None:
        """Return a file as it is now; None when it's gone."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file; the caller closes it.

        Raises:
            OSError, SourceError: it can't be read.
        """
        ...


def open_folder(spec: str) -> Folder:
    """Return the place that a path, glob or URL other than of S3 means; its files aren't looked at yet.

    Raises:
        UsageError: a URL whose kind isn't known or needs a package that isn't installed.
    """
    if spec.startswith("file://"):
        spec = spec.removeprefix("file://")
    return RemoteFolder(spec) if "://" in spec else LocalFolder(spec)


class LocalFolder:
    """A file, a directory or a glob of this machine."""

    is_local = True

    def __init__(self, spec: str) -> None:
        self.shown = shown_place(spec)
        self._path = Path(spec).expanduser()
        # A name with a bracket that is there is no pattern.
        self._is_glob = bool(WILD.search(spec)) and not self._path.exists()
        self._root = _fixed_part(self._path) if self._is_glob else self._path

    def entries(self) -> list[FileEntry]:
        if not self._is_glob and not self._path.exists():
            raise SourceAbsent(f"{self.shown}: no such file or directory", is_empty=False)
        if self._path.is_file() and not self._is_glob:
            self._root = self._path.parent
            return _readable([self._path.name], self, is_chosen=True)
        if not self._is_glob and not self._path.is_dir():
            raise SourceError(
                f"{self.shown}: no file or directory, but a pipe, socket or device, which is read only once"
            )
        names = self._matched() if self._is_glob else self._walked()
        return _once(_readable(names, self, is_chosen=False), self._root)

    def entry(self, name: str) -> FileEntry | None:
        try:
            status = (self._root / name).stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None  # a pipe would be waited for without an end
        return FileEntry(name, status.st_size, str(status.st_mtime_ns), status.st_mtime)

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")

    def _matched(self) -> list[str]:
        found = (Path(path) for path in glob.iglob(str(self._path), recursive=True))  # noqa: PTH207 - sees "**" anywhere
        return [path.relative_to(self._root).as_posix() for path in found if path.is_file()]

    def _walked(self) -> list[str]:
        def fail(error: OSError) -> None:
            # A folder may go between the listing of the one above it and its own, as a file may.
            if isinstance(error, FileNotFoundError | NotADirectoryError) and error.filename != str(self._root):
                return
            raise _unlisted(self.shown, error, error.strerror or str(error)) from error

        def is_new(path: Path) -> bool:
            """Return whether a folder was not walked yet through a link: one may lead back to where it lies."""
            if not path.is_symlink():
                return True
            target = path.resolve()
            is_known = target in followed
            followed.add(target)
            return not is_known

        names: list[str] = []
        followed = {self._root.resolve()}
        for folder, inner, files in os.walk(self._root, onerror=fail, followlinks=True):
            inner[:] = [name for name in inner if not name.startswith(("_", ".")) and is_new(Path(folder) / name)]
            names += [(Path(folder) / name).relative_to(self._root).as_posix() for name in files]
        return names


class RemoteFolder:
    """A file, a folder or a glob of a store that fsspec knows."""

    is_local = False

    def __init__(self, url: str) -> None:
        self.shown = shown_place(url)
        self._system, self._path = _filesystem(url, self.shown)
        self._is_glob = bool(WILD.search(self._path))
        self._root = self._path

    def entries(self) -> list[FileEntry]:
        self._system.invalidate_cache()
        try:
            if not self._is_glob and self._system.isfile(self._path):
                self._root = self._path.rpartition("/")[0]
                return _readable([self._path.rpartition("/")[2]], self, is_chosen=True)
            return self._listed()
        except OSError as exc:
            raise _unlisted(self.shown, exc, str(exc)) from exc

    def entry(self, name: str) -> FileEntry | None:
        try:
            self._system.invalidate_cache()
            return _remote_entry(name, self._system.info(f"{self._root}/{name}"))
        except OSError:
            return None

    def open(self, name: str) -> BinaryIO:
        file = self._system.open(f"{self._root}/{name}", "rb")
        # fsspec's memory gives everybody the same file, which stands where the last one left it.
        return BytesIO(file.getvalue()) if isinstance(file, BytesIO) else cast(BinaryIO, file)

    def _listed(self) -> list[FileEntry]:
        if self._is_glob:
            self._root = WILD.split(self._path)[0].rpartition("/")[0]
            infos = self._system.glob(self._path, detail=True)
        else:
            infos = self._system.find(self._path, detail=True)
        known = {
            path.removeprefix(self._root).lstrip("/"): info
            for path, info in infos.items()
            if info.get("type", "file") == "file"
        }
        names = chosen(known, self.shown, is_chosen=False)
        return [_remote_entry(name, known[name]) for name in names]


def identify(folder: Folder, entry: FileEntry, upto: int | None = None) -> str:
    """Return 18 hex digits of a file's length and both its ends, or of its first `upto` bytes.

    Raises:
        SourceError: the file can't be read, or is shorter than `upto`.
    """
    length = entry.size if upto is None else upto
    try:
        with folder.open(entry.name) as file:
            head = file.read(min(_END_BYTES, length))
            file.seek(max(0, length - _END_BYTES))
            tail = file.read(min(_END_BYTES, length))
    except OSError as exc:
        raise unread(f"{folder.shown}: {shown(entry.name)}", exc) from exc
    return hashlib.blake2b(b"%d:" % length + head + tail, digest_size=DIGEST_BYTES).hexdigest()


def is_text(name: str) -> bool:
    """Return whether a file is read line by line."""
    return FORMATS.get(_suffix(name)) in ("jsonl", "jsonl.gz", "txt")


def natural_order(name: str) -> tuple[object, ...]:
    """Return what sorts names as people do.

    >>> sorted(["part-10", "part-9", "other"], key=natural_order)
    ['other', 'part-9', 'part-10']
    """
    # Alternately text and number, so that the same kinds meet; the name itself decides between "01" and "1".
    parts = re.split(r"([0-9]+)", name)
    return (tuple((int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)), name)


def _unlisted(where: str, error: OSError, why: str) -> SourceError:
    """Return what a place is that can't be listed: one that vanished or is out of reach may come back."""
    said = f"{where}: can't be listed: {why}"
    if isinstance(error, FileNotFoundError | NotADirectoryError | ConnectionError | TimeoutError):
        return SourceAbsent(said, is_empty=False)
    return SourceError(said)


def unread(place: str, error: OSError) -> SourceError:
    """Return what a file is that can't be read: one that has just gone is left out the next time."""
    said = f"{place}: can't be read: {error.strerror or error}"
    return SourceAbsent(said, is_empty=False) if isinstance(error, FileNotFoundError) else SourceError(said)


def _readable(names: Iterable[str], folder: Folder, *, is_chosen: bool) -> list[FileEntry]:
    entries = (folder.entry(name) for name in chosen(names, folder.shown, is_chosen=is_chosen))
    return [entry for entry in entries if entry is not None]  # a file may go between the listing and this


def _once(entries: list[FileEntry], root: Path) -> list[FileEntry]:
    """Return each file once, under its own name: a link beside it, as "latest", would count its rows again."""
    has_link: dict[Path, bool] = {root: False}

    def is_linked(path: Path) -> bool:
        if path not in has_link:
            has_link[path] = path.is_symlink() or is_linked(path.parent)
        return has_link[path]

    linked = {entry.name for entry in entries if is_linked(root / entry.name)}
    if not linked:
        return entries
    known = {(root / entry.name).resolve() for entry in entries if entry.name not in linked}
    kept = []
    for entry in entries:
        target = (root / entry.name).resolve() if entry.name in linked else None
        if target is None or target not in known:
            kept.append(entry)
            known |= {target} if target is not None else set()
    return kept


def chosen(names: Iterable[str], where: str, *, is_chosen: bool) -> list[str]:
    """Return the names that are read, in order; `is_chosen` is a file that its user named.

    Raises:
        SourceAbsent: none of them is.
        SourceError: the file that its user named is of another kind.
    """
    present = [name for name in names if is_chosen or _is_finished(name)]
    known = [name for name in present if _suffix(name) in FORMATS]
    with_vectors = [name for name in known if _suffix(name) != ".txt"]
    if not known:
        found = f"found {listed(present)}" if present else "no file is there"
        said = f"{where}: nothing to read; {found}; allowed: {', '.join(FORMATS)}"
        raise SourceError(said) if is_chosen else SourceAbsent(said, is_empty=True)
    return sorted(with_vectors or known, key=natural_order)


def _is_finished(name: str) -> bool:
    hidden = any(part.startswith(("_", ".")) for part in name.split("/"))
    return not hidden and not name.lower().endswith(_UNFINISHED)


def _suffix(name: str) -> str:
    base = name.rpartition("/")[2].lower()
    stem, dot, last = base.rpartition(".")
    return f".{stem.rpartition('.')[2]}.{last}" if last == "gz" else dot + last


def _fixed_part(pattern: Path) -> Path:
    fixed = Path(pattern.anchor)
    for part in pattern.parts[len(fixed.parts) : -1]:
        if WILD.search(part):
            break
        fixed /= part
    return fixed


def _filesystem(url: str, name: str) -> tuple[Any, str]:
    import fsspec

    scheme = url.partition("://")[0].lower()
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as exc:
        package = _PACKAGES.get(scheme, f"for {scheme}://")
        raise UsageError(f"{name}: needs the package {package}, which is not installed: pip install {package}") from exc
    except OSError as exc:  # some connect at once
        raise _unlisted(name, exc, exc.strerror or str(exc)) from exc
    except ValueError as exc:
        raise UsageError(f"{name}: '{shown(scheme)}://' is no kind of store that is known; {exc}") from exc
    return system, str(path).rstrip("/")


def _remote_entry(name: str, info: dict[str, Any]) -> FileEntry:
    keys = ("mtime", "LastModified", "updated", "last_modified", "created")
    changed: Any = next((info[key] for key in keys if info.get(key)), None)
    if hasattr(changed, "timestamp"):
        changed = changed.timestamp()  # a listing may say a number where a look at one file says a date
    tag = info.get("ETag") or info.get("etag") or info.get("generation") or changed
    return FileEntry(name, int(info["size"]), str(tag), changed if isinstance(changed, int | float) else None)
