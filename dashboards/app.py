"""The dashboard's frame: who may see it, its pages, and the bar above them.

    address ── login, where one is configured ── the page's place ── filter bar ── the page's own view

`benchkit dashboard` starts it. It reads and writes nothing; what it shows is in the other modules.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from dashboards import board, place
from dashboards.bar import filter_bar
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
    if not _may_see():
        return
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
        shown.run()
        _tell_problems()


def _may_see() -> bool:
    """Ask for a login where OIDC is configured in secrets.toml: without it nothing is shown."""
    try:
        is_open = "auth" not in st.secrets
    except StreamlitSecretNotFoundError:
        # Said of no file and of one that can't be read alike; the second must not open what it was to close.
        is_open = not any(Path(file).exists() for file in st.get_option("secrets.files"))
        if not is_open:
            place.sentence("secrets.toml can't be read, so that nobody can log in: mend it.", "bad")
            return False
    if is_open or st.user.is_logged_in:
        return True
    place.sentence("Log in to see the results.")
    st.button("Log in", on_click=st.login)
    return False


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
