"""A stand-in for umap-learn, which takes seconds to be imported: it lays points out by their first two numbers."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest


class UMAP:
    """What the library's class is asked for and given, as far as we do; `asked` keeps it."""

    asked: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        type(self).asked = options

    def fit_transform(self, points: np.ndarray) -> np.ndarray:
        warnings.warn("n_jobs value overridden", UserWarning, stacklevel=2)
        return points[:, :2]


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import umap` give this module."""
    monkeypatch.setitem(sys.modules, "umap", sys.modules[__name__])


def remove(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import umap` fail as if it were not installed."""
    monkeypatch.setitem(sys.modules, "umap", None)
