"""One thing out of a list, picked in a table: the table, the address and the page always mean the same row.

    keys of the rows, the key that the address asks for ── picked ──> the key just clicked on, or else that one
    clicks, buttons, the browser's way back ── choose(...) ──> the address ── the next run

A table's selection is a number of a row. It is taken for a click only where the rows are those that it was made in, so
that a check that is added meanwhile opens nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from benchkit.store.uri import without_password
from dashboards import place
from dashboards.place import plain

Key = TypeVar("Key", bound=str | int)
_LONGEST = 2000


def picked(table: str, keys: Sequence[Key], asked: Key | None) -> Key:
    """Return the row that is meant, and let the table show it; to be called before the table is placed.

    Args:
        table: The key of the table.
        keys: Of its rows, in its order; at least one.
        asked: What the address says; the first row counts where that is none of them.
    """
    shown: tuple[tuple[Key, ...], Key] | None = st.session_state.get(f"{table}-shown")
    rows = _selected(table)
    meant = asked if asked is not None and asked in keys else keys[0]
    if shown is not None and shown[0] == tuple(keys) and rows and rows[0] < len(keys) and keys[rows[0]] != shown[1]:
        meant = keys[rows[0]]
    place_of = list(keys).index(meant)
    if rows != [place_of]:
        st.session_state[table] = {"selection": {"rows": [place_of], "columns": [], "cells": []}}
    st.session_state[f"{table}-shown"] = (tuple(keys), meant)
    return meant


def _selected(table: str) -> list[int]:
    selection = st.session_state.get(table, {}).get("selection", {})
    return list(selection.get("rows", ()))


def mlflow_link(address: str, run_id: str) -> None:
    """Place the way to a run in MLflow: a link where it is on a server, else the command that starts one."""
    if not run_id:
        return
    shown = without_password(address)
    if re.fullmatch(r"https?://\S+", shown) and shown == plain(shown, _LONGEST):
        st.link_button("Open the run in MLflow", shown)
        return
    place.sentence(f"MLflow has it as run {plain(run_id)}{'; to look at it there:' if shown else '.'}")
    if not shown:
        return
    place.command(f"mlflow ui --backend-store-uri {shlex.quote(plain(shown, _LONGEST))}")
