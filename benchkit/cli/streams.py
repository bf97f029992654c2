"""The standard streams as they really are: in another encoding, closed by their reader, on a full disk or absent."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress

import click

# What a CI that reads the log would obey: "::error::" at the start of a line, whatever blanks and letters that nobody
# sees stand before it, and "##[error]" or "##vso[" anywhere.
_UNSEEN = "\\s\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u200b-\\u200f\\u2060-\\u2064\\ufeff"
_COMMAND = re.compile(f"((?:^|[\\r\\n])[{_UNSEEN}]*:)(?=[{_UNSEEN}]*:)|(#)(?=[{_UNSEEN}]*#)")
_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")


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
        shown = message.encode("utf-8", "backslashreplace").decode("utf-8")
        click.echo(_harmless(shown), err=True)


def _harmless(message: str) -> str:
    """Return a message in which no name of a model, task or file steers a terminal or a CI.

    >>> _harmless("::set-output name=x::y"), _harmless("http://[::1]:8080 \x1b[31mred")
    (': :set-output name=x::y', 'http://[::1]:8080 red')
    """
    plain = _CONTROLS.sub("\ufffd", click.unstyle(message))
    return _COMMAND.sub(lambda found: f"{found[0]} ", plain)


def drop_stdout() -> None:
    """Send stdout nowhere after a write to it has failed, or Python complains again when it exits."""
    # In a test's stand-in for stdout there is no file.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
