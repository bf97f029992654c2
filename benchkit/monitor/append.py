"""One line at the end of a file that several processes write to.

record ── JSON on one line ── one write at the end (O_APPEND) ──> path

POSIX puts each such write behind the last one, so lines of different processes never mix; network file systems do not
promise it. A line that a full disk cut short stays alone: the next one begins on a line of its own. Whether the last
one ended is seen under a lock, because the size of a file grows while another process is still writing its line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as one line of JSON and wait until it is on the disk; makes the folder.

    Raises:
        OSError: it can't be written, or not wholly.
        TypeError, ValueError: JSON has no form for it.
    """
    line = json.dumps(record, allow_nan=False).encode("ascii") + b"\n"
    try:
        file = os.open(path, _FLAGS, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, _FLAGS, 0o666)
    try:
        _lock(file)
        line = b"\n" + line if _ends_within_a_line(file) else line
        if os.write(file, line) != len(line):
            raise OSError(f"{path}: only a part of a line could be written; is the disk full?")
        os.fsync(file)
    finally:
        os.close(file)


def _lock(file: int) -> None:
    """Wait until no other process appends; closing the file ends it. Without locks there is at worst an empty line."""
    if sys.platform == "win32":
        return
    import fcntl

    with suppress(OSError):  # a file system that has none
        fcntl.flock(file, fcntl.LOCK_EX)


def _ends_within_a_line(file: int) -> bool:
    size = os.lseek(file, 0, os.SEEK_END)
    if size == 0:
        return False
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) != b"\n"
