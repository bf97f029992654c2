"""What `benchkit drift` prints, so that a verdict stands whoever reads it and in whatever encoding.

a report ── shown ──> stdout, or nowhere once its reader is gone: the exit code is that of the verdict
JSON ── print_json ──> the same values, with escapes where stdout can't show every character
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from benchkit.cli.streams import drop_stdout

if TYPE_CHECKING:
    from benchkit.types.drift import DriftReport


def shown(show: Callable[[], object]) -> bool:
    """Print something, and tell whether it was read.

    A reader that has gone away (`... | head`) has seen what it wanted; what is printed later goes nowhere.
    """
    try:
        show()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
        return False
    return True


def prints_unicode() -> bool:
    """Tell whether stdout can show every character; where not, JSON's own escapes keep them."""
    return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()


def print_json(text: str) -> None:
    """Print a JSON text that ends with a line end."""
    click.echo(text if prints_unicode() else json.dumps(json.loads(text), indent=2) + "\n", nl=False)


def print_check(report: DriftReport) -> None:
    """Print a check for people.

    Raises:
        BrokenPipeError: nobody reads stdout.
    """
    from rich.console import Console

    from benchkit.report.drift_table import render_drift

    class Stdout(Console):
        def on_broken_pipe(self) -> None:
            # rich would end the program here with 1, which says that there is drift.
            raise BrokenPipeError

    render_drift(report, Stdout())
