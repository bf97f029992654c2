"""A small file of the cache: there whole, or not at all.

content ── a file beside it ── rename ──> path
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile


def write_whole(path: Path, content: bytes | memoryview, *, is_synced: bool) -> None:
    """Write a file and make its folder; a file that is there is replaced at once.

    Args:
        is_synced: Wait until it is on the disk, so that not even a crash of the machine leaves an empty file. A format
            whose reader notices damage can do without.

    Raises:
        OSError: it can't be written; nothing is left of the attempt.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            partial = Path(file.name)
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        # On a full disk, and after Ctrl-C, it would only take space.
        if partial is not None:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
