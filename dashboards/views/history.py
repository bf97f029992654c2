"""History: what was decided and what happened, over time; every gate can be opened.

gates, promotions, drift alarms ── happenings ──> lanes over one time axis
gates ── gate_margins, table ── a row ──> the gate in the address ── gate_view
promotions ──> who, when, why      alarms ──> the Drift page with that window
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from benchkit.report import words
from benchkit.report.charts.history import gate_margins, happenings
from benchkit.types.board import ChampionRow, CheckRow, GateRow
from dashboards import board, place
from dashboards.asked import Asked, tell
from dashboards.bar import choose, chosen
from dashboards.drift_rows import is_alarm, span_words
from dashboards.filters import Filters, to_query
from dashboards.gate_rows import alarm_row, champion_row, gate_row
from dashboards.gate_view import show_gate
from dashboards.picks import picked
from dashboards.theme import PAGES
from dashboards.watches import checked

_GATES, _ALARMS, _TABS = "gates", "drift-alarms", "history-lists"
_GATE_COLUMNS = {
    "verdict_words": "verdict",
    "candidate": "candidate",
    "baseline": "baseline",
    "points": "change (points)",
    "interval": "95 % CI",
    "allowed": "allowed",
    "failed_rules": "failed rules",
    "suite": "suite",
    "when": "when (UTC)",
    "address": "MLflow",
}
_CHAMPION_COLUMNS = {
    "when": "when (UTC)",
    "model": "model",
    "suite": "suite",
    "version": "version",
    "promoted_by": "who",
    "reason": "why",
    "how": "how",
    "champion": "champion now",
    "address": "MLflow",
}
_ALARM_COLUMNS = {
    "verdict": "verdict",
    "window": "window (UTC)",
    "kind": "changed",
    "baseline": "baseline",
    "reason": "why",
    "address": "MLflow",
}


def show() -> None:
    """Place the view."""
    st.header("What was decided, and what happened", anchor=False)
    filters = chosen()
    gates, champions, alarms = board.gates(filters), _promotions(filters), _alarms(filters)
    st.markdown(_counted(gates, champions, alarms))
    place.chart(
        happenings(gates, champions, alarms),
        key="history-happenings",
        absent="Nothing was decided and nothing happened in this time.",
    )
    of_gates, of_champions, of_alarms = _lists(gates, champions, alarms)
    with of_gates, place.problems_told():
        _show_gates(gates, filters)
    with of_champions:
        _show_champions(champions)
    with of_alarms:
        _show_alarms(alarms, filters)


def _lists(gates: Sequence[GateRow], champions: Sequence[ChampionRow], alarms: Sequence[CheckRow]) -> Sequence[Any]:
    """Place a tab for each list; the address has the last word on the one in front."""
    titles = {
        "gates": f"Gates ({len(gates)})",
        "champions": f"Champions ({len(champions)})",
        "alarms": f"Drift alarms ({len(alarms)})",
    }
    asked = chosen().decided
    st.session_state[_TABS] = titles.get(asked or "", titles["gates"])
    tell(Asked("list", asked, titles, st.session_state[_TABS]))
    names = {title: name for name, title in titles.items()}

    def keep() -> None:
        choose(decided=names[st.session_state[_TABS]])

    return st.tabs(list(names), key=_TABS, on_change=keep)


def _counted(gates: Sequence[GateRow], champions: Sequence[ChampionRow], alarms: Sequence[CheckRow]) -> str:
    blocked = sum(row.blocks for row in gates)
    return (
        f"{words.counted(len(gates), 'gate')}, {blocked} of them blocked; "
        f"{words.counted(len(champions), 'champion')}; {words.counted(len(alarms), 'drift alarm')}."
    )


# ---------------------------------------------------------------- what is shown


def _promotions(filters: Filters) -> tuple[ChampionRow, ...]:
    """Return the promotions of the suite, time and models that are chosen."""
    since, until = filters.bounds(datetime.now(UTC).date())
    return tuple(
        row
        for row in board.champions(filters)
        if (since is None or row.promoted_at >= since)
        and (until is None or row.promoted_at < until)
        and (not filters.models or row.model in filters.models)
    )


def _alarms(filters: Filters) -> tuple[CheckRow, ...]:
    found = [row for _, rows in checked(filters) for row in rows if is_alarm(row)]
    return tuple(sorted(found, key=lambda row: row.key))


def _show_gates(gates: Sequence[GateRow], filters: Filters) -> None:
    if not gates:
        place.empty(
            f"No gate was run for this choice.{board.caveat()}", ["benchkit gate minilm-static --baseline minilm"]
        )
        return
    by_key = {row.key: row for row in reversed(gates)}
    key = picked(_GATES, list(by_key), filters.gate)
    newest = gates[-1]
    tell(Asked("gate", filters.gate, by_key, f"the newest, of {newest.candidate} against {newest.baseline}"))
    if key != (filters.gate if filters.gate in by_key else newest.key):
        choose(gate=key)
    place.chart(gate_margins(gates), key="history-margins", absent="No gate judged the mean of all tasks.")
    alt = "Gates, the newest first; a row opens its gate"
    place.table(
        [gate_row(row) for row in by_key.values()],
        key=_GATES,
        columns=_GATE_COLUMNS,
        links=("address",),
        alt=alt,
        picks=True,
    )
    row = by_key[key]
    with st.container(border=True, key="opened-gate"):
        show_gate(row, board.gate_of(key))


def _show_champions(champions: Sequence[ChampionRow]) -> None:
    if not champions:
        place.empty(
            f"No model was promoted in this time.{board.caveat()}",
            ["benchkit baseline promote minilm --suite quickstart"],
        )
        return
    rows = [champion_row(row) for row in reversed(champions)]
    place.table(rows, key="champions", columns=_CHAMPION_COLUMNS, links=("address",), alt="Promotions, newest first")


def _show_alarms(alarms: Sequence[CheckRow], filters: Filters) -> None:
    if not alarms:
        place.sentence("The drift monitor raised no alarm in this time.")
        return
    by_key = {row.key: row for row in reversed(alarms)}
    row = by_key[picked(_ALARMS, list(by_key), filters.window)]
    place.table(
        [alarm_row(one) for one in by_key.values()],
        key=_ALARMS,
        columns=_ALARM_COLUMNS,
        links=("address",),
        alt="Drift alarms, newest first; a row is opened by the link below",
        picks=True,
    )
    page = next(page for page in PAGES if page.name == "drift")
    window = place.escaped(span_words(row.start, row.end, row.source), 100)
    asked = replace(chosen(), baseline=row.baseline, window=row.key)
    st.page_link(page.path, label=f"→ Open the window {window}", query_params=to_query(asked))
