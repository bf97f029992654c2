"""The standard streams as they really are: in another encoding, closed by their reader, on a full disk or absent."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click


def forgive_encodings() -> None:
    """Let stdout and stderr show "?" for what their encoding lacks, instead of ending hours of work with an error."""
    for stream in (sys.stdout, sys.stderr):
        # stderr's own "backslashreplace" never fails either, and says more.
        if stream is not None and getattr(stream, "errors", "") in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def say(message: str) -> None:
    """Print a message for people to stderr; a stderr that nobody can write to is no reason to stop."""
    # Surrogates come from names of files that are not UTF-8; the message must still be shown.
    with suppress(OSError):
        click.echo(message.encode("utf-8", "backslashreplace").decode("utf-8"), err=True)


def drop_stdout() -> None:
    """Send stdout nowhere after a write to it has failed, or Python complains again when it exits."""
    # In a test's stand-in for stdout there is no file.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
