"""Lines of several writers in one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchkit.monitor.append import append_line


def test_a_line_is_added_and_the_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.jsonl"
    append_line(path, {"a": "two\nlines \u2028 \ud800"})
    append_line(path, {"a": 2})
    lines = path.read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": "two\nlines \u2028 \ud800"}, {"a": 2}]


def test_a_torn_line_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"torn": "ab')
    append_line(path, {"whole": 1})
    assert path.read_bytes() == b'{"torn": "ab\n{"whole": 1}\n'


def test_lines_of_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    threads = [
        threading.Thread(target=lambda n=n: [append_line(path, {"n": n, "pad": "x" * 5000}) for _ in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line)["n"] for line in path.read_text().splitlines() if line]
    assert sorted(found) == sorted([*range(4)] * 20)


def test_a_half_written_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _file, line: len(line) - 1)
    with pytest.raises(OSError, match="only a part of a line could be written; is the disk full"):
        append_line(tmp_path / "lines.jsonl", {"a": 1})


APPENDING = """
import sys
from pathlib import Path
from benchkit.monitor.append import append_line
for n in range(200):
    append_line(Path(sys.argv[1]), {"who": sys.argv[2], "n": n, "long": "x" * 6000})
"""


def test_processes_that_append_at_once_leave_no_empty_and_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", APPENDING, str(path), str(who)]) for who in range(4)]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((line["who"], line["n"]) for line in lines) == [(str(who), n) for who in range(4) for n in range(200)]
