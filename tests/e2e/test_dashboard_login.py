"""A login as docs/dashboard.md tells it: a provider, a browser, and nothing to see before.

The provider is tests/oidc_provider.py. Where Authlib is missing, which st.login needs, what needs a login is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import comparisons
import oidc_provider
import pytest

from benchkit.report.json_form import render_json
from tests.e2e.browser import END_S, SEEN_S, Dashboard, browsing, served
from tests.e2e.cli import run_benchkit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

needs_authlib = pytest.mark.skipif(
    find_spec("authlib") is None, reason='Authlib is not installed: pip install "streamlit[auth]"'
)
PAGES = ("", "compare", "tasks", "cost", "drift", "history")
COOKIE_SECRET = "a59d6dcdfb2dd8fb4c1c7d2c0a0bd4b1"
ASKS = "Log in to see the results."


def project(folder: Path, **given: str | None) -> Path:
    """Make a project with one comparison and a secrets.toml as the guide has it; None leaves a key out."""
    result = folder / "mlruns" / "results" / "20261121T120000-small"
    result.mkdir(parents=True)
    (result / "result.json").write_text(render_json(comparisons.small()), encoding="utf-8")
    values = {
        "redirect_uri": f"http://127.0.0.1:{{port}}{oidc_provider.CALLBACK}",
        "cookie_secret": COOKIE_SECRET,
        "client_id": "board",
        "client_secret": "hunter2-and-more",
        "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
    } | given
    lines = [f'{key} = "{value}"\n' for key, value in values.items() if value is not None]
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text("".join(["[auth]\n", *lines]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@contextmanager
def window(browser: Browser) -> Iterator[Page]:
    """Open a window of its own, with its own cookies."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(SEEN_S * 1000)
    try:
        yield context.new_page()
    finally:
        context.close()


def seen(page: Page, text: str) -> str:
    """Wait for a text and return all that the page shows."""
    page.get_by_text(text).first.wait_for()
    return page.locator('[data-testid="stApp"]').inner_text().replace("\u2060", "")


def logged_in(page: Page) -> str:
    """Wait for the end of a page behind the login and return all that it shows."""
    shown = seen(page, "Log out")
    assert f"Logged in as {oidc_provider.PERSON}." in shown
    return shown


def asked_and_nothing_shown(page: Page) -> None:
    page.get_by_role("button", name="Log in").wait_for()
    shown = seen(page, ASKS)
    assert shown.split("\n\n")[-2:] == [ASKS, "Log in"], shown
    assert "minilm" not in shown
    assert page.get_by_role("link", name="History").count() == 0


def log_in(page: Page, answer: str = "Continue") -> None:
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Who are you?").wait_for()
    page.get_by_role("link", name=answer).click()


def said(dashboard: Dashboard) -> str:
    """End the server and return all that it wrote to stderr."""
    dashboard.process.terminate()
    return dashboard.process.communicate(timeout=END_S)[1]


@needs_authlib
def test_every_page_asks_for_the_login_before_anything_is_shown_and_after_a_logout(
    browser: Browser, tmp_path: Path
) -> None:
    with oidc_provider.provided() as provider:
        folder = project(tmp_path, client_secret=provider.client_secret, server_metadata_url=provider.metadata_url)
        with served(folder) as dashboard, window(browser) as page:
            for path in PAGES:
                page.goto(f"{dashboard.url}/{path}")
                asked_and_nothing_shown(page)
            log_in(page)
            assert "Use minilm" in logged_in(page)
            assert urlsplit(page.url).path == "/", "as the guide says, it is the first page that comes after a login"
            page.goto(f"{dashboard.url}/compare?suite=small")
            assert "What quality costs" in logged_in(page)
            with window(browser) as stranger:
                stranger.goto(f"{dashboard.url}/compare?suite=small")
                asked_and_nothing_shown(stranger)

            page.get_by_role("button", name="Log out").click()
            page.wait_for_url(f"{dashboard.url}/")  # by way of the provider
            asked_and_nothing_shown(page)
            assert provider.logouts == [f"{dashboard.url}{oidc_provider.CALLBACK}"]
            page.goto(f"{dashboard.url}/history")
            asked_and_nothing_shown(page)
            assert len(provider.logins) == 1
            told = said(dashboard)
    assert not [secret for secret in (provider.client_secret, COOKIE_SECRET) if secret in told]


@needs_authlib
@pytest.mark.parametrize(
    ("given", "answer", "reason"),
    [({"client_secret": "a-wrong-one"}, "Continue", "invalid_client"), ({}, "Deny", "access_denied")],
)
def test_who_cannot_log_in_sees_nothing_and_the_reason_is_in_the_log_without_a_secret(
    given: Mapping[str, str], answer: str, reason: str, browser: Browser, tmp_path: Path
) -> None:
    with oidc_provider.provided() as provider:
        values = {"client_secret": provider.client_secret, "server_metadata_url": provider.metadata_url} | given
        with served(project(tmp_path, **values), "--address", "127.0.0.1") as dashboard, window(browser) as page:
            page.goto(dashboard.url)
            log_in(page, answer)
            asked_and_nothing_shown(page)
            told = said(dashboard)
    assert reason in told
    assert not [secret for secret in (*values.values(), COOKIE_SECRET) if secret in told and "://" not in secret]


@needs_authlib
def test_a_server_that_asked_for_a_login_does_not_open_when_the_file_changes(browser: Browser, tmp_path: Path) -> None:
    folder = project(tmp_path)
    with served(folder) as dashboard, window(browser) as page:
        page.goto(dashboard.url)
        asked_and_nothing_shown(page)
        (folder / ".streamlit" / "secrets.toml").write_text("other = 1\n", encoding="utf-8")
        for _ in range(60):
            page.goto(f"{dashboard.url}/compare")
            page.get_by_text(re.compile(f"{re.escape(ASKS)}|Nobody can log in|What quality costs")).first.wait_for()
            if page.get_by_text(ASKS).count() == 0:
                break
        shown = page.locator('[data-testid="stApp"]').inner_text()
    assert "has no [auth] now" in shown
    assert "What quality costs" not in shown


def test_a_missing_cookie_secret_is_told_and_nothing_is_shown(browser: Browser, tmp_path: Path) -> None:
    folder = project(tmp_path, cookie_secret=None)
    problem = "[auth] of secrets.toml lacks cookie_secret"
    with served(folder) as dashboard, window(browser) as page:
        for path in PAGES:
            page.goto(f"{dashboard.url}/{path}")
            assert problem in seen(page, "Nobody can log in")
            assert page.get_by_role("button", name="Log in").count() == 0
        assert said(dashboard) == f"warning: nobody can log in: {problem}\n"
    checked = run_benchkit(["dashboard", "--check"], folder)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert problem in checked.stderr


def test_with_a_login_other_machines_are_said_to_be_asked(tmp_path: Path) -> None:
    (tmp_path / "stand-in" / "authlib").mkdir(parents=True)
    (tmp_path / "stand-in" / "authlib" / "__init__.py").touch()
    folder, env = project(tmp_path / "project"), {"PYTHONPATH": str(tmp_path / "stand-in")}
    with served(folder, "--address", "0.0.0.0", "--allow-remote", env=env) as dashboard:
        told = said(dashboard)
    assert told == "0.0.0.0 can be reached from other machines; whoever comes is asked to log in\n"
