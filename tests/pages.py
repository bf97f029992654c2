"""The dashboard at one of its pages, run without a browser, and what it shows to a reader.

use_store(folder, monkeypatch)   the folder of results that the dashboard reads
opened("cost", model="bge")      the app at a page and an address
ran(what)                        the app once more, or after something was done to one of its elements
read(text), table(app, ...)      what a person reads: texts without escapes, a table by its columns
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import board
from dashboards.theme import PAGES

APP = Path(board.__file__).with_name("app.py")


def use_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the dashboard read this folder, with nothing in memory of another one."""
    monkeypatch.setenv(board.MLRUNS, str(folder))
    monkeypatch.setenv(board.TRACKING_URI, f"sqlite:///{folder}/mlflow.db")
    st.cache_resource.clear()
    st.cache_data.clear()
    return folder


def opened(page: str | None = None, **query: str | list[str]) -> AppTest:
    """Return the app at a page, None for the first one, with an address."""
    made = AppTest.from_file(str(APP), default_timeout=60)
    for key, value in query.items():
        made.query_params[key] = value
    ran(made)
    return made if page is None else ran(made.switch_page(next(one.path for one in PAGES if one.name == page)))


def ran(what: Any) -> AppTest:
    """Run the app, or what was done to one of its elements."""
    app: AppTest = what.run()
    assert not app.exception, app.exception[0].message
    return app


def read(text: str) -> str:
    """Return escaped text as a person reads it."""
    return text.replace("\\", "").replace("\u2060", "")


def table(app: AppTest, *columns: str) -> Any:
    """Return the table that has these columns and isn't the data of a chart."""
    found = [part.value for part in app.dataframe if set(columns) <= set(part.value) and "said" not in part.value]
    assert len(found) == 1, [list(part.value) for part in app.dataframe]
    return found[0]
