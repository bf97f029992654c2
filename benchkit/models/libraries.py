"""The libraries that each loader needs before it can load a model, so that their cost is told apart from the model's.

    "sentence-transformers" ── import_libraries ──> imported, nothing loaded

Only the modules of our own loaders stand here; a foreign plug-in's libraries come with the import of its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "sentence-transformers": ("torch", "sentence_transformers"),
    "static": ("safetensors.numpy", "scipy.sparse", "tokenizers"),
    "tfidf": ("scipy.sparse", "sklearn.feature_extraction.text", "sklearn.preprocessing"),
    "bm25": ("scipy.sparse",),
    "openai": ("requests",),
    "mteb": ("torch", "mteb"),
}


def import_libraries(loader: str) -> None:
    """Import what the loader of this name would import later; nothing for a name that isn't ours.

    Raises:
        ImportError: a library isn't installed.
    """
    for name in LIBRARIES.get(loader, ()):
        import_module(name)
