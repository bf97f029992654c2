"""Options on engines and on what a model may cost, shared by the commands that measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

# The names of benchkit.models.engine, which is not imported for a help text; a test holds the two together.
ENGINES = ("auto", "torch", "packed", "bf16x3", "bf16", "int8")
_ABOVE_ZERO = click.FloatRange(0.0, min_open=True)
_ABOVE_ZERO.name = "number"  # click says "float range"
_ONE_OR_MORE = click.IntRange(1)
_ONE_OR_MORE.name = "whole number"


def budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the limits of a recommended model to a command, which gets them as `budget`."""

    @click.option("--max-p95-ms", type=_ABOVE_ZERO, metavar="MS", help="Most p95 latency of one query.")
    @click.option("--max-memory-mib", type=_ABOVE_ZERO, metavar="MIB", help="Most peak memory of a process.")
    @click.option("--max-bytes-per-vector", type=_ONE_OR_MORE, metavar="N", help="Most bytes of a stored vector.")
    @click.option("--max-dim", type=_ONE_OR_MORE, metavar="N", help="Most dimensions.")
    @click.option("--license", "licenses", multiple=True, metavar="NAME", help="Allowed licence; may be repeated.")
    @wraps(command)
    def wrapped(
        *arguments: Any,
        max_p95_ms: float | None,
        max_memory_mib: float | None,
        max_bytes_per_vector: int | None,
        max_dim: int | None,
        licenses: tuple[str, ...],
        **options: Any,
    ) -> Any:
        from benchkit.types.cost import Budget

        budget = Budget(max_p95_ms, max_memory_mib, max_bytes_per_vector, max_dim, licenses)
        return command(*arguments, budget=budget, **options)

    return wrapped
