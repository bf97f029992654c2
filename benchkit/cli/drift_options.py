"""Options of `benchkit drift` that several of its commands take: how a source is read.

--vector-column ... --query ──> the signature of a command ── columns_of ──> ColumnNames
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from benchkit.types.drift import ColumnNames

Command = TypeVar("Command", bound=Callable[..., Any])
COLUMNS = ("vector", "time", "id", "text", "segment", "role", "score")


def source_options(command: Command) -> Command:
    """Add how a source is read: `dimension`, `query`, and `vector_column` and the like for `columns_of`."""
    for name in reversed(COLUMNS):
        command = click.option(f"--{name}-column", metavar="NAME", help=f"Column of the {name}.")(command)
    command = click.option("--dimension", type=click.IntRange(1), metavar="D", help="Of FixedSizeBinary vectors.")(
        command
    )
    return click.option("--query", metavar="SQL", help="For postgresql:// sources.")(command)


def columns_of(named: Mapping[str, str | None]) -> ColumnNames:
    """Return the columns that were named."""
    from benchkit.types.drift import ColumnNames

    return ColumnNames(**{name: named[f"{name}_column"] for name in COLUMNS})
