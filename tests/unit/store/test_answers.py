"""Answers come back as they were written, and a file that is something else is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchkit.errors import UsageError
from benchkit.store import answers as module
from benchkit.store.answers import read_answers, write_answers
from benchkit.types.answer import KeptItem
from benchkit.types.gate import Neighbour

LONG = "".join(chr(0x4E00 + number) for number in range(300))
ITEMS = (
    KeptItem(
        "faq", "test/en", "q1", "问", "e", {"a": (Neighbour("d", 0.1 + 0.2, True), Neighbour("f", None, None)), "b": ()}
    ),
    KeptItem("faq", "test/de", "q1", "", "", {"b": (Neighbour("d", -1.0, False),)}),
    KeptItem("other", "test/en", "q1", "t", "e", {"a": (Neighbour(LONG, 1.0, None),)}),
)


def test_items_come_back_as_they_were_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    write_answers(path, ITEMS)
    assert read_answers(path) == ITEMS
    write_answers(path, ())
    assert read_answers(path) == ()
    assert [one.name for one in tmp_path.iterdir()] == [path.name], "nothing half-written is left"


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    write_answers(tmp_path / "a", [KeptItem("t\ud800", "p", "i", "x\udfff", "", {"m": (Neighbour("\ud800y"),)})])
    (found,) = read_answers(tmp_path / "a")
    assert (found.task, found.text, found.found["m"][0].text) == ("t?", "x?", "?y")


def test_a_text_that_many_answers_have_is_there_once(tmp_path: Path) -> None:
    found = {str(model): (Neighbour(LONG, 0.5, True),) for model in range(4)}
    write_answers(tmp_path / "one", [KeptItem("t", "p", "0", LONG, "", found)])
    write_answers(tmp_path / "many", [KeptItem("t", "p", str(row), LONG, "", found) for row in range(200)])
    more = (tmp_path / "many").stat().st_size - (tmp_path / "one").stat().st_size
    assert more < 20 * 200, "the text alone has 900 bytes"


def test_what_is_damaged_or_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match="can't be read as Parquet"):
        read_answers(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UsageError, match="no answers that this benchkit reads"):
        read_answers(path)
    monkeypatch.setattr(module, "SCHEMA_VERSION", 2)
    write_answers(path, ITEMS)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no answers that this benchkit reads"):
        read_answers(path)
