"""benchkit: choose an embedding model on your own data, with numbers that are right.

>>> import benchkit
>>> benchkit.load_model("minilm").encode(["a text"]).shape  # doctest: +SKIP
(1, 384)
>>> benchkit.compare(["minilm", "tfidf"], suite="quickstart").recommendation.model  # doctest: +SKIP
'minilm'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Budget", "Comparison", "CostReport", "LoadedModel", "__version__", "compare", "load_model", "measure_cost"]

if TYPE_CHECKING:
    from benchkit.api.compare import LibraryComparison as Comparison
    from benchkit.api.compare import compare
    from benchkit.api.cost import LibraryCostReport as CostReport
    from benchkit.api.cost import measure_cost
    from benchkit.api.model import LoadedModel, load_model
    from benchkit.types.cost import Budget

_HOMES = {
    "Comparison": ("benchkit.api.compare", "LibraryComparison"),
    "compare": ("benchkit.api.compare", "compare"),
    "CostReport": ("benchkit.api.cost", "LibraryCostReport"),
    "measure_cost": ("benchkit.api.cost", "measure_cost"),
    "Budget": ("benchkit.types.cost", "Budget"),
    "LoadedModel": ("benchkit.api.model", "LoadedModel"),
    "load_model": ("benchkit.api.model", "load_model"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import benchkit` loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'benchkit' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
