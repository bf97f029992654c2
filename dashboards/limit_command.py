"""The command of a comparison with the limits that a page is shown under, so that it recommends the same model.

the command that was given, its limits, those of now ── limited_command ──> benchkit compare ... --max-p95-ms 5
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from benchkit.types.cost import Budget

# Option of `benchkit compare` -> field of a budget.
_OPTIONS = {
    "--max-p95-ms": "max_p95_ms",
    "--max-memory-mib": "max_memory_mib",
    "--max-bytes-per-vector": "max_bytes_per_vector",
    "--max-dim": "max_dim",
    "--license": "licenses",
}


def limited_command(command: str, stored: Budget, now: Budget) -> str:
    """Return the command with the limits of now in place of its own; "" where no command says that.

    A limit that the suite sets can be made another one by an option, but not be taken away.

    >>> limited_command("benchkit compare a b --max-dim 384", Budget(max_dim=384), Budget(max_p95_ms=5.0))
    'benchkit compare a b --max-p95-ms 5'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    given = {word.partition("=")[0] for word in words}
    lifted = [option for option, name in _OPTIONS.items() if getattr(stored, name) and not getattr(now, name)]
    if not words or not given.issuperset(lifted):
        return ""
    return shlex.join([*_without_limits(words), *_limits(now)])


def _without_limits(words: Sequence[str]) -> Iterator[str]:
    is_value = False
    for word in words:
        option, equals, _ = word.partition("=")
        if is_value or option in _OPTIONS:
            is_value = not is_value and not equals
            continue
        yield word


def _limits(budget: Budget) -> Iterator[str]:
    for option, name in _OPTIONS.items():
        value = getattr(budget, name)
        for one in value if isinstance(value, tuple) else () if value is None else (value,):
            yield from (option, one if isinstance(one, str) else f"{one:.15g}")
