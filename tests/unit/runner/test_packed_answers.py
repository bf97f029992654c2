"""Answers come back as they were, in few bytes, and damaged ones never."""

from __future__ import annotations

import json
import zlib

import pytest

from benchkit.runner.packed_answers import pack, unpack
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Neighbour

ANSWERS = {
    ("test/en", "q1"): ItemAnswer(
        "问 😀 \ud800", "e", (Neighbour("d", 0.1 + 0.2, True), Neighbour("f", None, None)), 0.5
    ),
    ("test/de", "q1"): ItemAnswer("", "", (), None),
    ("test/en", "d"): ItemAnswer("d", "d", (Neighbour("d", -1.0, False),), 1.0),
}


def test_answers_come_back_as_they_were_in_their_order() -> None:
    assert unpack(pack(ANSWERS)) == ANSWERS
    assert list(unpack(pack(ANSWERS))) == list(ANSWERS)
    assert unpack(pack({})) == {}


def test_a_text_that_many_find_is_there_once() -> None:
    long = "".join(chr(0x4E00 + number) for number in range(3000))
    one = {("p", "0"): ItemAnswer("q", "", (Neighbour(long, 0.5, True),))}
    many = {("p", str(row)): ItemAnswer("q", "", (Neighbour(long, 0.5, True),)) for row in range(500)}
    assert json.loads(zlib.decompress(pack(many)))["texts"].count(long) == 1
    assert len(pack(many)) < len(pack(one)) + 500 * 10


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pack(ANSWERS)[:-5],
        zlib.compress(b"[]"),
        zlib.compress(b"{}"),
        zlib.compress(b'{"texts": [], "rows": [[0, 0, 0, 0, null, []]]}'),
        zlib.compress(b'{"texts": ["a"], "rows": [[0]]}'),
        zlib.compress(b"not json"),
    ],
)
def test_what_is_damaged_or_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever the parser says)
        unpack(content)
