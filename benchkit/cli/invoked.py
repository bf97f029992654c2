"""How benchkit was started, as results keep it."""

from __future__ import annotations

import shlex
import sys


def command_line() -> str:
    """Return the command with its arguments, to be run again; the password of a URL among them is "***"."""
    from benchkit.store.uri import without_password

    return shlex.join(["benchkit", *map(without_password, sys.argv[1:])])
