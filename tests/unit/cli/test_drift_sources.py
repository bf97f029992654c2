"""What the drift commands say of a source while they work."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchkit.cli.main import main
from benchkit.errors import EXIT_NOT_COMPARABLE, EXIT_USAGE

SECRET = "postgresql://me:hush@127.0.0.1:1/db"
SHOWN = "postgresql://me:***@127.0.0.1:1/db"


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (["baseline", "create", "b", "--from", SECRET], EXIT_USAGE),
        (["baseline", "renew", "b", "--from", SECRET], EXIT_NOT_COMPARABLE),
        (["check", SECRET, "--baseline", "none"], EXIT_NOT_COMPARABLE),
        (["test", SECRET, SECRET, "--method", "mmd"], EXIT_USAGE),
        (["watch", SECRET, "--baseline", "none", "--window-size", "100", "--once"], EXIT_NOT_COMPARABLE),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_password_of_a_source_is_not_said(
    command: list[str],
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["drift", *command, "--query", "SELECT id, embedding FROM rows"]) == exit_code
    said = capsys.readouterr()
    assert "hush" not in said.out + said.err
    assert SHOWN in said.err
