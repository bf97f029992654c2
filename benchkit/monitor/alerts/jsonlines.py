"""Alerts as a file: one line of JSON for each, which log shippers and scripts read.

Alert ── to_json ── one write at the end of the file, on the disk ──> path
"""

from __future__ import annotations

import os
from pathlib import Path

from benchkit.monitor.alerts.alert import Alert, AlertError
from benchkit.monitor.append import append_line


class JsonLines:
    """Appends to a file; several processes may share it.

    Args:
        path: Made with its folder when the first alert comes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()

    @property
    def name(self) -> str:
        return f"jsonl:{self._path}"

    def send(self, alert: Alert) -> None:
        """Write a line.

        Raises:
            AlertError: the file can't be written.
        """
        try:
            append_line(self._path, alert.to_json())
        except OSError as error:
            raise AlertError(f"{self.name}: can't be written: {error.strerror or error}") from error
