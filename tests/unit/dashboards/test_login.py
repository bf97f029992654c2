"""Nothing is shown without the login that secrets.toml asks for, also where nobody can log in, which is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comparisons
import pytest
import streamlit as st
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1 import AppTest

from benchkit.report.json_form import render_json
from dashboards import board, check, login
from dashboards.login import KEPT, Login, asked

APP = Path(board.__file__).with_name("app.py")
SECRET = "0123456789abcdef" * 2
GIVEN = {
    "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
    "cookie_secret": SECRET,
    "client_id": "board",
    "client_secret": "hunter2",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}


@pytest.fixture
def project(mlruns: Path) -> Path:
    """A project with one comparison."""
    folder = mlruns / "results" / "one"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(render_json(comparisons.small()), encoding="utf-8")
    return mlruns.parent


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The secrets.toml that Streamlit reads."""
    usual = st.get_option("secrets.files")
    st.config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    secrets_singleton._reset()
    yield tmp_path / "secrets.toml"
    st.config.set_option("secrets.files", usual)
    secrets_singleton._reset()


@pytest.fixture
def authlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of Authlib's name, so that a login looks possible."""
    (tmp_path / "stand-in" / "authlib").mkdir(parents=True)
    (tmp_path / "stand-in" / "authlib" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "stand-in")


def written(file: Path, **given: str | None) -> Path:
    values = {**GIVEN, **given}
    lines = [f'{key} = "{value}"\n' for key, value in values.items() if value is not None]
    file.write_text("".join(["[auth]\n", *lines]), encoding="utf-8")
    return file


# ---------------------------------------------------------------- what is asked


def test_without_a_file_or_its_section_no_login_is_asked_for(file: Path) -> None:
    assert asked() == Login(False)
    file.write_text("other = 1\n")
    secrets_singleton._reset()
    assert asked() == Login(False)


@pytest.mark.usefixtures("authlib")
def test_a_whole_section_asks_for_a_login(file: Path) -> None:
    written(file)
    assert asked() == Login(True)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cookie_secret": None}, "[auth] of secrets.toml lacks cookie_secret"),
        ({"cookie_secret": "  "}, "[auth] of secrets.toml lacks cookie_secret"),
        (dict.fromkeys(("client_id", "client_secret")), "[auth] of secrets.toml lacks client_id, client_secret"),
        (dict.fromkeys(GIVEN), f"[auth] of secrets.toml lacks {', '.join(GIVEN)}"),
        (
            {"redirect_uri": "https://board.example.org/"},
            "redirect_uri of secrets.toml should end with /oauth2callback",
        ),
        ({"cookie_secret": SECRET[1:]}, "cookie_secret of secrets.toml should have at least 32 random characters"),
        ({"cookie_secret": "..."}, "cookie_secret of secrets.toml should have at least 32 random characters"),
    ],
)
def test_a_section_by_which_nobody_can_log_in_says_why_and_tells_no_value(
    given: dict[str, str | None], problem: str, file: Path
) -> None:
    written(file, **given)
    found = asked()
    assert found.is_asked
    assert found.problem.startswith(problem)
    assert "hunter2" not in found.problem


@pytest.mark.parametrize("content", ["[auth\n", "\ud800"])
def test_a_file_that_cannot_be_read_asks_for_a_login_that_nobody_has(content: str, file: Path) -> None:
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert asked() == Login(True, "secrets.toml can't be read")


def test_a_folder_in_place_of_the_file_asks_for_a_login_that_nobody_has(file: Path) -> None:
    file.mkdir()
    assert asked() == Login(True, "secrets.toml can't be read")


def test_a_login_that_was_asked_for_at_the_start_is_asked_for_later(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEPT, "1")
    for content in (None, "other = 1\n"):
        if content is not None:
            file.write_text(content)
            secrets_singleton._reset()
        found = asked()
        assert found.is_asked
        assert found.problem.startswith("secrets.toml asked for a login at the start and has no [auth] now")


def test_a_missing_package_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "find_spec", lambda name: None)
    written(file)
    assert asked() == Login(True, 'a login needs one more package: pip install "streamlit[auth]"')


# ---------------------------------------------------------------- what is shown


def shown_to(user: dict[str, str | bool]) -> AppTest:
    made = AppTest.from_file(str(APP), default_timeout=30)
    made.user = user
    made.run()
    assert not made.exception
    return made


@pytest.mark.usefixtures("authlib", "project")
def test_nothing_is_shown_before_a_login_and_after_it_there_is_a_way_out(file: Path) -> None:
    written(file)
    for user in ({"is_logged_in": False}, {}, {"is_logged_in": "yes"}):
        before = shown_to(user)
        assert [button.label for button in before.button] == ["Log in"]
        assert not before.dataframe
        assert not before.selectbox
    after = shown_to({"is_logged_in": True, "email": "ada_@example.org"})
    assert after.dataframe or after.selectbox
    assert after.button[-1].label == "Log out"
    assert after.caption[-1].value.replace("\\", "").replace("\u2060", "") == "Logged in as ada_@example.org."


@pytest.mark.usefixtures("project", "file")
def test_where_no_login_is_asked_for_nobody_is_logged_in() -> None:
    assert "Log out" not in [button.label for button in shown_to({}).button]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("user", [{}, {"is_logged_in": True}])
def test_nothing_is_shown_where_nobody_can_log_in(user: dict[str, str | bool], file: Path) -> None:
    file.write_text("[auth\n")
    shown = shown_to(user)
    assert [error.value.replace("\\", "") for error in shown.error] == [
        "Nobody can log in: secrets.toml can't be read."
    ]
    assert not shown.selectbox
    assert not shown.button


@pytest.mark.usefixtures("authlib", "project")
def test_a_check_draws_what_is_behind_the_login(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(file)
    drawn = []
    real = board.is_empty

    def is_empty() -> bool:
        drawn.append(1)
        return real()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board, "is_empty", is_empty)
        assert check.main() == 0
    assert len(drawn) >= 6
    assert "6 pages ok" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_a_check_says_that_nobody_can_log_in(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(file, cookie_secret=None)
    assert check.main() == 1
    assert capsys.readouterr().out == "nobody can log in: [auth] of secrets.toml lacks cookie_secret\n"
