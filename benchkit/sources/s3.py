"""The files of a source in an S3 bucket, or in a store that speaks S3 (MinIO, Ceph, ...); pyarrow does it.

    "s3://bucket/logs?endpoint_override=http://host:9000&region=..." ── options ──> where the store is
                └── path: a folder, a file, a glob ── a listing, 1,000 names a request ──> FileEntry, sorted

Keys are found as the AWS SDK does: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, ~/.aws, the machine's
role; the store by AWS_ENDPOINT_URL too. pyarrow tells no tags of versions, and times in seconds: files.py looks at both
ends of a file again once it was read.

Source: pyarrow's S3 URIs, https://arrow.apache.org/docs/python/filesystems.html#s3.
"""

from __future__ import annotations

import io
import os
import re
from functools import cached_property
from typing import Any, BinaryIO, Final, cast
from urllib.parse import unquote

from benchkit.errors import SourceError, UsageError
from benchkit.sources.folder import WILD, FileEntry, SourceAbsent, chosen, is_text
from benchkit.sources.words import password_of, shown, shown_place

# A "?" in a glob stands for a sign; options have a name.
_OPTIONS = re.compile(r"\?(?=[a-z_]+=)")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_BUFFER_BYTES = 2**16
_ERROR = re.compile(r"AWS Error (\w+)")
_ILL = re.compile(r"HTTP status (429|5[0-9][0-9])")
_REACHED: Final = ("NETWORK_CONNECTION", "REQUEST_TIMEOUT")
# What a store says that is busy or ill: it may be well later.
_PASSING: Final = (*_REACHED, "SLOW_DOWN", "THROTTLING", "SERVICE_UNAVAILABLE", "INTERNAL_FAILURE")
_DENIED: Final = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "UNRECOGNIZED_CLIENT")


class S3Folder:
    """A file, a folder or a glob of a bucket."""

    is_local = False

    def __init__(self, url: str) -> None:
        place, *options = _OPTIONS.split(url, maxsplit=1)
        fixed, mark, rest = place.partition("?")
        self.shown = f"{shown_place(fixed)}{mark}{shown(rest)}"
        account, at, path = place.partition("://")[2].rstrip("/").rpartition("@")
        self._path: str = path
        bucket = self._path.partition("/")[0]
        if not bucket or WILD.search(bucket):
            raise UsageError(f"{self.shown}: no bucket is named; s3://BUCKET/FOLDER, a file or a glob in it")
        self._uri = f"s3://{account}{at}{bucket}" + "".join(f"?{each}" for each in options)
        self._secrets = [os.environ.get(name, "") for name in _SECRETS] + _spellings(password_of(place))
        self._is_glob = bool(WILD.search(self._path))
        self._root = WILD.split(self._path)[0].rpartition("/")[0] if self._is_glob else self._path

    def entries(self) -> list[FileEntry]:
        from pyarrow.fs import FileType

        try:
            if not self._is_glob and "/" in self._path:
                info = self._system.get_file_info(self._path)
                if info.type == FileType.File:
                    self._root, _, name = self._path.rpartition("/")
                    return [_entry(chosen([name], self.shown, is_chosen=True)[0], info)]
            found = self._listed()
        except OSError as exc:
            raise self._refusal(exc) from None
        return [_entry(name, found[name]) for name in chosen(found, self.shown, is_chosen=False)]

    def entry(self, name: str) -> FileEntry | None:
        from pyarrow.fs import FileType

        try:
            info = self._system.get_file_info(f"{self._root}/{name}")
        except OSError as exc:
            raise self._refusal(exc) from None
        return _entry(name, info) if info.type == FileType.File else None

    def open(self, name: str) -> BinaryIO:
        try:
            file = self._system.open_input_file(f"{self._root}/{name}")
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise self._refusal(exc) from None
        # Arrow reads its own file without Python, but that has no lines.
        return io.BufferedReader(file, _BUFFER_BYTES) if is_text(name) else cast(BinaryIO, file)

    def _listed(self) -> dict[str, Any]:
        """Return what is known of each file under the root that the glob, if it is one, means."""
        from fsspec.utils import glob_translate
        from pyarrow.fs import FileSelector, FileType

        pattern = re.compile(glob_translate(self._path)) if self._is_glob else None
        try:
            infos = self._system.get_file_info(FileSelector(self._root, recursive=True))
        except FileNotFoundError:
            infos = []  # a folder without a file is none, to S3
        return {
            info.path.removeprefix(self._root).lstrip("/"): info
            for info in infos
            if info.type == FileType.File and (pattern is None or pattern.fullmatch(info.path))
        }

    @cached_property
    def _system(self) -> Any:
        # Only now: it asks AWS for the bucket's region.
        from pyarrow import ArrowInvalid
        from pyarrow.fs import FileSystem

        try:
            return FileSystem.from_uri(self._uri)[0]
        except ArrowInvalid as exc:
            raise UsageError(f"{self.shown}: {self._without_secrets(str(exc))}") from None

    def _refusal(self, error: OSError) -> SourceError:
        """Return why a store doesn't answer, or what it answers, without a secret."""
        said = self._without_secrets(str(error))
        found = _ERROR.search(said)
        name = found[1] if found else ""
        if name in _REACHED:
            said = f"the store can't be reached; look at AWS_ENDPOINT_URL or ?endpoint_override= ({said})"
        elif name == "NO_SUCH_BUCKET":
            said = "there is no such bucket"
        elif name in _DENIED:
            said = f"access is denied; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE ({said})"
        said = f"{self.shown}: {said}"
        is_passing = name in _PASSING or _ILL.search(said) is not None
        return SourceAbsent(said, is_empty=False) if is_passing else SourceError(said)

    def _without_secrets(self, said: str) -> str:
        for secret in filter(None, self._secrets):
            said = said.replace(secret, "***")
        return shown(said, most=500)


def _entry(name: str, info: Any) -> FileEntry:
    return FileEntry(name, info.size, str(info.mtime_ns), info.mtime_ns / 1e9)


def _spellings(password: str | None) -> list[str]:
    return [] if password is None else [password, unquote(password)]
