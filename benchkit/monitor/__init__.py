"""The drift monitor as a library: what `benchkit drift` does, for services, scripts and notebooks.

>>> from benchkit.monitor import CheckRequest, EmbeddingLog, check_source
>>> with EmbeddingLog("embeddings", model="minilm") as log:  # doctest: +SKIP
...     log.record(vector, text=text)
>>> check_source(CheckRequest("embeddings", "june")).report.severity  # doctest: +SKIP
'ok'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "BaselineRequest",
    "CheckRequest",
    "DriftPolicy",
    "EmbeddingLog",
    "LogStats",
    "WatchRequest",
    "check_source",
    "history",
    "known_baselines",
    "make_baseline",
    "watch_source",
]

if TYPE_CHECKING:
    from benchkit.monitor.kept_baselines import BaselineRequest, known_baselines, make_baseline
    from benchkit.monitor.kept_checks import CheckRequest, check_source, history
    from benchkit.monitor.log import EmbeddingLog, LogStats
    from benchkit.monitor.watch import WatchRequest, watch_source
    from benchkit.types.drift import DriftPolicy

_HOMES = {
    "benchkit.monitor.log": ("EmbeddingLog", "LogStats"),
    "benchkit.monitor.kept_baselines": ("BaselineRequest", "known_baselines", "make_baseline"),
    "benchkit.monitor.kept_checks": ("CheckRequest", "check_source", "history"),
    "benchkit.monitor.watch": ("WatchRequest", "watch_source"),
    "benchkit.types.drift": ("DriftPolicy",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that a service that only records loads nothing else."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'benchkit.monitor' has no attribute {name!r}")
