"""What the other pages need, loaded while a person reads the first one.

    first page drawn ── a thread ──> modules imported; a first visit of Cost takes as long as a later one

Measured: 0.15 s for the first interval of a percentile, 0.03 to 0.05 s for each page's own modules.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module

import streamlit as st

from dashboards.theme import PAGES

AFTER_S = 1.5  # the browser draws the first page meanwhile, and may have no core to spare
_LAZY = ("pyarrow.parquet", "scipy.special", "pydantic.type_adapter")


@st.cache_resource(show_spinner=False)
def load() -> None:
    """Start loading, once in a server's life."""
    timer = threading.Timer(AFTER_S, _load)
    timer.daemon = True
    timer.start()


def _load() -> None:
    for name in (*(f"dashboards.views.{page.name}" for page in PAGES), *_LAZY):
        with suppress(ImportError):  # the page that needs it tells
            import_module(name)
