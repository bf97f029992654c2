"""Drift: is production still what it was, since when not, and why; every window can be opened.

baselines, checks ── watches ──> the watch that is shown ── production ──> the first sentence
checks of the watch, marks ── p-values over time, and one of: canaries, evidence, the list of all windows
a click on a window, a row or a button ──> the window in the address
the report of that window ── drift_window ──> its tests, harm, regions, segments
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from benchkit.report import words
from benchkit.report.charts.base import Chart
from benchkit.report.charts.drift import PICKED, canary_quality, evidence, timeline
from benchkit.report.production_words import is_worse, production, told_window
from benchkit.types.board import CheckRow, Mark
from dashboards import board, place
from dashboards.asked import Asked, tell
from dashboards.bar import choose, choose_all, chosen
from dashboards.choices import part
from dashboards.drift_rows import span_words, verdict_words, window_row
from dashboards.drift_window import show_window
from dashboards.filters import Filters
from dashboards.picks import picked
from dashboards.place import Row, plain
from dashboards.watches import Watch, checked, opening, watches, whole

FIRST_COMMANDS = (
    "benchkit drift baseline create prod --from vectors.parquet",
    "benchkit drift check today.parquet --baseline prod",
)
_TABLE = "drift-windows"
_COLUMNS = {
    "verdict": "verdict",
    "window": "window (UTC)",
    "kind": "changed",
    "p_value": "p",
    "evidence": "evidence",
    "rows": "rows",
    "identity": "identity",
    "overlap_at_10": "overlap@10",
    "reason": "why",
}
_FORMATS = {"p_value": "%.3g", "evidence": "%.2f", "identity": "%.5f", "overlap_at_10": "%.3f"}
_NAME = 60
_CANARIES, _EVIDENCE, _LIST = "canaries", "evidence", "windows"


def show() -> None:
    """Place the view."""
    st.header("Is production still what it was?", anchor=False)
    filters = chosen()
    baselines = checked(filters)
    found = watches(baselines)
    if not baselines:
        place.empty("There is no drift baseline yet.", FIRST_COMMANDS)
        return
    if not found:
        names = words.names(plain(info.name, _NAME) for info, _ in baselines)
        name = plain(shlex.quote(baselines[0][0].name), _NAME)
        place.empty(
            f"No window of this time was held against a baseline ({names}).",
            [f"benchkit drift check today.parquet --baseline {name}"],
        )
        return
    watch = _asked(found, filters)
    _pick_watch(found, watch)
    tell(Asked("baseline", filters.baseline, {other.info.name for other in found}, watch.info.name))
    if watch.is_gone:
        name = plain(watch.info.name, _NAME)
        place.sentence(f"The baseline {name} was deleted or can't be read; what was checked stays.", "info")
    with place.problems_told():
        _answered(whole(watch, filters), filters)
    _bar_told(filters)
    row = _pick_window(watch, filters)
    _over_time(watch, row)
    with place.problems_told():
        _opened(watch, row)


# ---------------------------------------------------------------- which watch, which window


def _asked(found: Sequence[Watch], filters: Filters) -> Watch:
    """Return the watch of the window that is asked for, else the newest of the baseline, else the newest."""
    of_name = [watch for watch in found if watch.info.name == filters.baseline] or list(found)
    return next((watch for watch in of_name if filters.window in {row.key for row in watch.rows}), of_name[0])


def _pick_watch(found: Sequence[Watch], watch: Watch) -> None:
    """Place what chooses the baseline and the stream, where there is a choice."""
    names = list(dict.fromkeys(other.info.name for other in found))
    streams = [other for other in found if other.info.name == watch.info.name]
    if len(names) == len(streams) == 1:
        return
    with st.container(horizontal=True):
        if len(names) > 1:
            st.session_state["drift-baseline"] = watch.info.name
            st.selectbox(
                "Baseline",
                names,
                format_func=lambda name: plain(name, _NAME),
                key="drift-baseline",
                on_change=_take_baseline,
                width=320,
            )
        if len(streams) > 1:
            _pick_stream(streams, watch)


def _take_baseline() -> None:
    choose(baseline=st.session_state["drift-baseline"], window=None)


def _take_stream() -> None:
    choose(window=st.session_state["drift-stream"])


def _pick_stream(streams: Sequence[Watch], watch: Watch) -> None:
    """A stream is chosen by its newest window: the address needs no more than that."""
    said = {other.rows[-1].key: _stream_words(other) for other in streams}
    st.session_state["drift-stream"] = watch.rows[-1].key
    st.selectbox(
        "Watch",
        list(said),
        format_func=said.__getitem__,
        key="drift-stream",
        on_change=_take_stream,
        width=420,
    )


def _stream_words(watch: Watch) -> str:
    source, n = plain(watch.rows[-1].source, _NAME), len(watch.rows)
    return f"{source} · {words.counted(n, 'window' if watch.is_stream else 'single check')}"


def _pick_window(watch: Watch, filters: Filters) -> CheckRow:
    """Return the window that is opened: just clicked on, asked for, or the newest."""
    by_key = {row.key: row for row in reversed(watch.rows)}
    key = picked(_TABLE, list(by_key), filters.window)
    shown = by_key[key]
    tell(Asked("window", filters.window, by_key, f"the newest, {span_words(shown.start, shown.end, shown.source)}"))
    if key != (filters.window if filters.window in by_key else watch.rows[-1].key):
        choose(baseline=watch.info.name, window=key)
    return shown


# ---------------------------------------------------------------- the answer, and all windows


def _answered(watch: Watch, filters: Filters) -> None:
    """Say how production stands by this watch's newest window, what to do about it, and whether another is worse."""
    now = datetime.now(UTC)
    answer = production([(watch.info, watch.rows)], now)
    said = answer.sentence
    if watch.rows[-1].severity != "ok":
        said = f"{said} What to do: {board.drift_of(watch.rows[-1].key).advice}"
    elif answer.standing == "warning":
        said = f"{said} What to do: hold a newer window against a baseline."
    place.sentence(said, answer.standing)
    everything = checked(filters.from_the_start())
    worst, told = production(everything, now), told_window(everything, now)
    if told is not None and told.key not in {row.key for row in watch.rows} and is_worse(worst, answer):
        place.sentence(f"Another watch stands worse: {worst.sentence}", worst.standing)
        # A link to the page that is open changes what is shown, and the browser's address stays what it was.
        st.button("→ Open that one", key="drift-worse", on_click=choose_all, args=(opening(told, filters),))


def _bar_told(filters: Filters) -> None:
    if filters.suite or filters.models:
        st.caption("Baselines and windows belong to no suite: of the bar above, the time alone counts on this page.")


def _over_time(watch: Watch, row: CheckRow) -> None:
    marks = board.marks(watch.info.name)
    drawn = timeline(watch.rows, marks)
    place.chart(
        opened(drawn, row.key) if drawn is not None else None,
        # A chart of its own for each window, so that it shows the one that is opened and not the last click.
        key=f"drift-timeline-{row.key}",
        on_pick=lambda found: _clicked(watch, row.key, found),
        absent="No window was tested.",
    )
    _steps(watch, row)
    _more_over_time(watch, marks)


def _more_over_time(watch: Watch, marks: Sequence[Mark]) -> None:
    """Place what else is known of all windows, one thing at a time: drawing all of it takes the browser too long."""
    pictures = {
        _CANARIES: ("canaries", canary_quality(watch.rows, marks)),
        _EVIDENCE: ("evidence", evidence(watch.rows, marks)),
    }
    names = {name: said for name, (said, drawn) in pictures.items() if drawn is not None}
    usual = next(iter(names), _LIST)
    shown = part("Over time", {**names, _LIST: "all windows"}, usual, field="trend", key="drift-trend")
    if shown == _LIST:
        _all_windows(watch)
    else:
        place.chart(pictures[shown][1], key=f"drift-{shown}")
    if _CANARIES not in names:
        st.caption("Neither canaries nor retrieval scores were measured.")


def _all_windows(watch: Watch) -> None:
    rows = [window_row(other) for other in reversed(watch.rows)]
    columns = {name: head for name, head in _COLUMNS.items() if any(row[name] is not None for row in rows)}
    config = {
        name: st.column_config.NumberColumn(columns[name], format=form)
        for name, form in _FORMATS.items()
        if name in columns
    }
    st.markdown("**All windows**")
    alt = "Windows, the newest first; a row opens its window"
    place.table(rows, key=_TABLE, columns=columns, config=config, alt=alt, picks=True)


def opened(drawn: Chart, key: int) -> Chart:
    """Return the timeline with one window picked; as it is where that one isn't drawn."""
    if key not in {row["key"] for row in drawn.rows}:
        return drawn
    params = [
        {**param, "value": [{"key": key}]} if param["name"] == PICKED else param for param in drawn.spec["params"]
    ]
    return replace(drawn, spec={**drawn.spec, "params": params})


def _clicked(watch: Watch, now: int, found: Sequence[Row]) -> None:
    keys = {row.key for row in watch.rows}
    key = next((row["key"] for row in found if row.get("key") in keys), now)
    if key != now:
        choose(baseline=watch.info.name, window=key)
        st.rerun()


def _steps(watch: Watch, row: CheckRow) -> None:
    keys = [other.key for other in watch.rows]
    here = keys.index(row.key)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, key, there in (("◀ Previous", "drift-previous", here - 1), ("Next ▶", "drift-next", here + 1)):
            is_there = 0 <= there < len(keys)
            st.button(
                label,
                key=key,
                disabled=not is_there,
                on_click=_opener(watch, keys[there]) if is_there else None,
            )
        times = span_words(row.start, row.end, row.source)
        place.sentence(f"{verdict_words(row.severity)} · {times} · {here + 1} of {len(keys)}")


def _opener(watch: Watch, key: int) -> Callable[[], None]:
    def open_it() -> None:
        choose(baseline=watch.info.name, window=key)

    return open_it


def _opened(watch: Watch, row: CheckRow) -> None:
    st.header(f"Window {place.escaped(span_words(row.start, row.end, row.source))}", anchor=False, divider="gray")
    show_window(row, board.drift_of(row.key), watch.info)
