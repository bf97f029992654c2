"""The bar above every page, and what a visitor has chosen: in the session, and in the address so that it can be shared.

    address ── chosen ──> Filters ── filter_bar, a page's own controls ── choose ──> Filters, and the address again

Streamlit forgets the address when a page is left; the session carries the choice to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import streamlit as st

from dashboards import board
from dashboards.asked import Asked, tell
from dashboards.filters import ALL_TIME, DATES, Filters, from_query, to_query
from dashboards.place import plain

_CHOSEN, _WRITTEN = "chosen filters", "written query"
_SUITE, _MODELS, _SPAN, _DATES = "bar-suite", "bar-models", "bar-span", "bar-dates"
_SPAN_NAMES: Mapping[str, str] = {
    ALL_TIME: "all time",
    "1d": "last day",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "90d": "last 90 days",
    "365d": "last year",
    DATES: "from … to …",
}
_NARROW = 168  # two of them beside each other on a phone, in px
_ALL_SUITES = ""  # a selectbox takes None for "nothing chosen yet"
# Those of an address. The first one stands for "from the beginning", since a widget of days takes no end without one.
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)


def chosen() -> Filters:
    """Return what is chosen: what the address says where it was changed from outside, else the session's."""
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    kept: Filters | None = st.session_state.get(_CHOSEN)
    if kept is not None and (not query or query == st.session_state.get(_WRITTEN)):
        _keep(kept)
        return kept
    filters = from_query(query)
    _keep(filters)
    _set_widgets(filters)
    return filters


def choose(**changes: Any) -> Filters:
    """Change what is chosen and the address with it; fields as in Filters."""
    filters = replace(chosen(), **changes)
    _keep(filters)
    return filters


def choose_all(filters: Filters) -> None:
    """Show what another address would, the bar included; in the callback of a control, before the bar is placed."""
    _keep(filters)
    _set_widgets(filters)


def _keep(filters: Filters) -> None:
    st.session_state[_CHOSEN] = filters
    query = to_query(filters)
    st.session_state[_WRITTEN] = query
    if {key: st.query_params.get_all(key) for key in st.query_params} != query:
        st.query_params.from_dict(query)


def _set_widgets(filters: Filters) -> None:
    """Let the bar show what an address asked for."""
    st.session_state[_SUITE] = filters.suite or _ALL_SUITES
    st.session_state[_MODELS] = list(filters.models)
    st.session_state[_SPAN] = filters.span
    since = filters.since or (filters.until and _FIRST_DAY.isoformat())
    st.session_state[_DATES] = tuple(date.fromisoformat(day) for day in (since, filters.until) if day)


def filter_bar() -> Filters:
    """Place the bar and return what is chosen now."""
    filters = chosen()
    with st.container(horizontal=True, gap="small"):
        suite = _suite(_with(board.suites(), filters.suite))
        span = st.selectbox(
            "Time",
            tuple(_SPAN_NAMES),
            format_func=_SPAN_NAMES.__getitem__,
            key=_SPAN,
            label_visibility="collapsed",
            width=_NARROW,
        )
        since, until = _dates() if span == DATES else (None, None)
        models = st.multiselect(
            "Models",
            _with(board.models(suite), *filters.models),
            format_func=_named,
            placeholder="all models",
            key=_MODELS,
            label_visibility="collapsed",
        )
    changed = {"suite": suite, "models": tuple(models), "span": span, "since": since, "until": until}
    if any(getattr(filters, key) != value for key, value in changed.items()):
        return choose(**changed, dropped=())
    return filters


def tell_unknown() -> None:
    """Say which suite and models of the choice the store has nothing of."""
    filters, models = chosen(), board.models(None)
    tell(Asked("suite", filters.suite, board.suites()), *(Asked("model", name, models) for name in filters.models))


def _suite(known: Sequence[str]) -> str | None:
    name = st.selectbox(
        "Suite",
        (_ALL_SUITES, *known),
        format_func=lambda name: _named(name) or "all suites",
        key=_SUITE,
        label_visibility="collapsed",
        width=_NARROW,
    )
    return name or None


def _named(name: str) -> str:
    return plain(name, 80)


def _with(known: Sequence[str], *asked: str | None) -> tuple[str, ...]:
    """Return what can be chosen: what the store has, and what an address asks for although the store has it not."""
    return (*known, *(name for name in asked if name is not None and name not in known))


def _dates() -> tuple[str | None, str | None]:
    # That the session has a tuple of them makes it a widget of two days.
    st.session_state.setdefault(_DATES, ())
    days: Any = st.date_input(
        "Days", min_value=_FIRST_DAY, max_value=_LAST_DAY, key=_DATES, label_visibility="collapsed", width=_NARROW
    )
    first, last = (*(day.isoformat() for day in days), None, None)[:2]
    return (None if first == _FIRST_DAY.isoformat() else first), last
