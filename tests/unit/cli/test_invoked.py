"""The command that a result keeps can be run again, and holds no password."""

from __future__ import annotations

import shlex
import sys

import pytest

from benchkit.cli.invoked import command_line

GIVEN = ["compare", "minilm", "--suite", "my suite.yaml"]


def test_the_command_is_the_one_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/benchkit", *GIVEN])
    assert shlex.split(command_line()) == ["benchkit", *GIVEN]


@pytest.mark.parametrize("form", [["--tracking-uri", "{}"], ["--tracking-uri={}"]])
def test_the_password_of_a_url_is_hidden(form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word.format("postgresql://me:secret@host:5432/runs") for word in form]
    monkeypatch.setattr(sys, "argv", ["benchkit", *GIVEN, *words])
    assert "secret" not in command_line()
    assert "postgresql://me:***@host:5432/runs" in command_line()
