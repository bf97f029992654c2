"""The answers of a cell in few bytes: each text once, compressed.

    Answers ── pack ──> bytes ── unpack ──> Answers

A document that fifty queries find stands there once. JSON, so that nothing in a file can be more than text and numbers.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from benchkit.types.answer import Answers, ItemAnswer
from benchkit.types.gate import Neighbour

_LEVEL = 3  # texts of 1.2 MB: 0.42 MB in 14 ms; level 6 takes three times as long for 0.38 MB


class _Texts:
    """Numbers texts in the order in which they come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.known.setdefault(text, len(self.known))


def pack(answers: Answers) -> bytes:
    """Return the bytes that `unpack` reads."""
    texts = _Texts()
    rows = [
        [
            *(texts.number(text) for text in (place, item, answer.text, answer.expected)),
            answer.value,
            [[texts.number(one.text), one.score, one.correct] for one in answer.found],
        ]
        for (place, item), answer in answers.items()
    ]
    content = json.dumps({"rows": rows, "texts": list(texts.known)}, separators=(",", ":"))
    return zlib.compress(content.encode("ascii"), _LEVEL)


def unpack(content: bytes) -> Answers:
    """Return what was packed.

    Raises:
        ValueError: these are no answers, or they are damaged.
    """
    try:
        found = json.loads(zlib.decompress(content))
        texts, rows = found["texts"], found["rows"]
        return dict(_answer(texts, row) for row in rows)
    except (zlib.error, KeyError, IndexError, TypeError, RecursionError) as exc:
        raise ValueError(f"no answers of a cell: {exc}") from exc


def _answer(texts: list[str], row: list[Any]) -> tuple[tuple[str, str], ItemAnswer]:
    place, item, text, expected = (texts[number] for number in row[:4])
    value, found = row[4:]
    neighbours = tuple(Neighbour(texts[number], score, correct) for number, score, correct in found)
    return (place, item), ItemAnswer(text, expected, neighbours, value)
