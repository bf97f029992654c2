"""The dashboard's frame: who may see it, its pages, and the bar above them.

    address ── login, where one is configured ── the page's place ── filter bar ── the page's own view

`benchkit dashboard` starts it. It reads and writes nothing; what it shows is in the other modules.
"""

from __future__ import annotations

import streamlit as st

from dashboards import ahead, board, login, place
from dashboards.bar import filter_bar, tell_unknown
from dashboards.theme import ICON, PAGES, STYLE, TITLE

FIRST_COMMANDS = (
    "benchkit compare minilm minilm-static tfidf --offline   # which model?",
    "benchkit gate minilm-static --baseline minilm   # may this change pass?",
    "benchkit drift baseline create prod --from vectors.parquet   # what production was like",
    "benchkit drift check today.parquet --baseline prod   # is it still like that?",
)


def main() -> None:
    """Draw the page that is asked for."""
    st.set_page_config(page_title=TITLE, page_icon=ICON, layout="wide")
    st.html(STYLE)
    if login.may_see():
        _draw()
        login.offer_logout()
        ahead.load()


def _draw() -> None:
    pages = [st.Page(page.path, title=page.title, default=page is PAGES[0]) for page in PAGES]
    shown = st.navigation(pages, position="top")
    with place.problems_told():
        if board.is_empty():
            place.empty("There is nothing to show yet: benchkit has kept no result here.", FIRST_COMMANDS)
            _tell_place()
            _tell_problems()
            return
        for sentence in filter_bar().dropped:
            place.sentence(sentence, "warning")
        tell_unknown()
        shown.run()
        _tell_problems()


def _tell_place() -> None:
    from benchkit.store.uri import without_password

    mlruns, uri = board.location()
    place.sentence(f"Looked for results in {mlruns} and in the MLflow store {without_password(uri)}.")


def _tell_problems() -> None:
    problems = board.problems()
    if not problems:
        return
    parts = "1 part" if len(problems) == 1 else f"{len(problems)} parts"
    with st.expander(f"{parts} of the store can't be read"):
        for problem in problems:
            place.sentence(problem)


main()
