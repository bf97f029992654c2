"""Who may look: nobody without a login where OIDC is configured in secrets.toml.

    secrets.toml ── asked ──> none · a login · why nobody can log in
    at the start (serve) ── told to the command, and kept: a server that asked for a login never opens later
    at every run (app) ── may_see ── offer_logout

The login itself is Streamlit's (st.login): OpenID Connect's code flow, and a signed cookie that lasts 30 days.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from dashboards import place

KEPT = "BENCHKIT_DASHBOARD_ASKS_LOGIN"
_CALLBACK = "/oauth2callback"
_KEYS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
# The cookie says who is logged in. Whoever guesses what it is signed with is in, and it can be tried at leisure.
_SHORTEST_SECRET = 32
# Streamlit reads the file again when it is saved.
_GONE = "secrets.toml asked for a login at the start and has no [auth] now; put it back or start the dashboard again"


@dataclass(frozen=True, slots=True)
class Login:
    """Whether a login is asked for; `problem` says why nobody can log in."""

    is_asked: bool
    problem: str = ""


def asked() -> Login:
    """Return what secrets.toml asks for; a file that can't be read asks for a login that nobody has."""
    was_asked = KEPT in os.environ
    try:
        if "auth" in st.secrets:
            return Login(True, _problem(st.secrets["auth"]))
    except (StreamlitSecretNotFoundError, OSError, ValueError):
        # Said of no file and of one that can't be read alike; the second must not open what it was to close.
        if any(Path(file).exists() for file in st.get_option("secrets.files")):
            return Login(True, "secrets.toml can't be read")
    return Login(was_asked, _GONE if was_asked else "")


def _problem(section: Any) -> str:
    """Return why nobody can log in by this section, without any value of it; "" where it looks fine."""
    given = section if isinstance(section, Mapping) else {}
    if lacking := [key for key in _KEYS if not (isinstance(given.get(key), str) and given[key].strip())]:
        return f"[auth] of secrets.toml lacks {', '.join(lacking)}"
    if not given["redirect_uri"].endswith(_CALLBACK):
        return f"redirect_uri of secrets.toml should end with {_CALLBACK}"
    if len(given["cookie_secret"]) < _SHORTEST_SECRET:
        return (
            f"cookie_secret of secrets.toml should have at least {_SHORTEST_SECRET} random characters: "
            "python -c 'import secrets; print(secrets.token_hex(32))' makes one"
        )
    return "" if find_spec("authlib") else 'a login needs one more package: pip install "streamlit[auth]"'


def may_see() -> bool:
    """Tell whether this person may look, and ask for a login where not: without it nothing is shown."""
    login = asked()
    if login.problem:
        place.sentence(f"Nobody can log in: {login.problem}.", "bad")
        return False
    if not login.is_asked or _is_in():
        return True
    place.sentence("Log in to see the results.")
    st.button("Log in", on_click=st.login)
    return False


def offer_logout() -> None:
    """Say at the end of a page who is logged in, with a way out; nothing where no login is asked for."""
    if not asked().is_asked:
        return
    who = st.user.get("email") or st.user.get("name")
    st.caption(place.escaped(f"Logged in as {who}." if who else "Logged in."))
    st.button("Log out", on_click=st.logout)


def _is_in() -> bool:
    return st.user.get("is_logged_in") is True
