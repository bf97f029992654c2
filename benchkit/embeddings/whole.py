"""A small file: there whole, or not at all.

content ── a file beside it ── rename ──> path
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes | memoryview, *, is_synced: bool, is_shared: bool = False) -> None:
    """Write a file and make its folder; a file that is there is replaced at once.

    Args:
        is_synced: Wait until it is on the disk, so that not even a crash of the machine leaves an empty file. A format
            whose reader notices damage can do without.
        is_shared: Others may read it as far as the system's own mask lets them: a report for a team, or for other steps
            of a CI job. Without it only its owner may.

    Raises:
        OSError: it can't be written; nothing is left of the attempt.
    """
    partial = path.parent / f"{uuid4().hex}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o666 if is_shared else 0o600
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        # On a full disk, and after Ctrl-C, it would only take space.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
