"""Every error that benchkit raises on purpose, and the exit code each one means.

    BenchkitError                       something its user can mend; shown without a traceback
    ├── UsageError        exit 2        a wrong argument, option or setting
    │   ├── SuiteError                  a suite file or the data that it names
    │   ├── ModelError                  a model that is unknown or can't be had or loaded
    │   ├── PluginError                 a plug-in that is missing, doubled or broken
    │   └── SourceError                 production embeddings that can't be read, or that changed while they were read
    ├── TrackingError     exit 2        results can't be tracked (store/uri.py)
    ├── NotComparable     exit 4        a baseline that is missing, or isn't of the same suite, data, metric or prompts
    ├── CellFailed        exit 3        one model on one task has no score; the other cells go on
    └── ProcessFailed     exit 3        the process that measures a model crashed, hung or refused (cost/process.py)

A regression or a drift is a result, not an error. `ValueError` and `TypeError` are left for a caller's mistake in code.
"""

from __future__ import annotations

from collections.abc import Iterable

EXIT_OK = 0
EXIT_REGRESSION = 1
EXIT_DRIFT = 1  # of `drift check`, where the policy is broken
EXIT_USAGE = 2
EXIT_CELL_FAILED = 3
EXIT_INCONCLUSIVE = 3  # of a gate; a cell that failed makes a gate fail
EXIT_NOT_COMPARABLE = 4
EXIT_INTERRUPTED = 130


class BenchkitError(Exception):
    """Something that the user can mend; the message says where, what was found, what is allowed and the next step."""

    exit_code = EXIT_USAGE


class UsageError(BenchkitError):
    """A wrong argument, option or setting."""


class SuiteError(UsageError):
    """A suite file, or the data that it names, can't be used."""


class ModelError(UsageError):
    """A model is unknown, can't be had or can't be loaded."""


class PluginError(UsageError):
    """A plug-in is missing, registered twice or broken."""


class SourceError(UsageError):
    """Production embeddings can't be read: a file, a table or a server; says which, and what was found."""


class CellFailed(BenchkitError):
    """One model on one task has no score."""

    exit_code = EXIT_CELL_FAILED


class NotComparable(BenchkitError):
    """A baseline is missing, or was made of another suite, data, metric or prompts; says how to renew it."""

    exit_code = EXIT_NOT_COMPARABLE


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that somebody who misspelt it most likely meant, whatever its case; None for none.

    >>> nearest("retreival", ["STS", "Retrieval"])
    'Retrieval'
    """
    import difflib

    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[near[0]] if near else None
