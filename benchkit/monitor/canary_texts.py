"""Texts for canaries: from a file, a suite, or the baseline's own rows.

    canaries.txt, .jsonl ─┐
    a suite's tasks      ─┼─> CanaryTexts (texts, which are queries, what is relevant)
    rows of the source   ─┘

A line of JSON is {"text": ...} with, where searches are meant, "role" ("query" or "document"), "id", and for a query
"relevant": {id of a document: grade}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError

MAX_CANARIES = 2000
MAX_FILE_BYTES = 2**26
MAX_GRADE = 1_000_000  # a grade is a few steps; what no int64 holds can't be stored
FROM_SOURCE = "source"
_KEYS = ("text", "role", "id", "relevant")


@dataclass(frozen=True, slots=True)
class CanaryTexts:
    """Texts to be embedded now and at every check.

    Attributes:
        queries: Numbers of the texts that search; None where every text is both.
        qrels: For queries, by number, the grades of documents, by number.
        embedded_as: Role that each text is embedded in; () takes it from `queries`.
    """

    texts: tuple[str, ...]
    queries: tuple[int, ...] | None = None
    qrels: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    embedded_as: tuple[str | None, ...] = ()

    @property
    def roles(self) -> tuple[str | None, ...]:
        if self.embedded_as:
            return self.embedded_as
        if self.queries is None:
            return (None,) * len(self.texts)
        asking = set(self.queries)
        return tuple("query" if place in asking else "document" for place in range(len(self.texts)))


def read_canaries(path: Path) -> CanaryTexts:
    """Read canaries from a file: one text in each line, or one JSON object in each line of a .jsonl file.

    Raises:
        UsageError: the file can't be read, has no text or too many, or a line isn't as it should be.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"--canary {path}: larger than {MAX_FILE_BYTES >> 20} MiB; a few hundred texts are enough")
        # Not splitlines(): JSON may hold U+2028 and its like as they are.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as exc:
        raise UsageError(f"--canary {path}: not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc
    except OSError as exc:
        raise UsageError(f"--canary {path}: can't be read ({exc.strerror or exc})") from exc
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise UsageError(f"--canary {path}: no text in it")
    if len(numbered) > MAX_CANARIES:
        raise UsageError(f"--canary {path}: {len(numbered)} texts, {MAX_CANARIES} at most; a few hundred are enough")
    if path.suffix != ".jsonl":
        return CanaryTexts(tuple(line for _, line in numbered))
    return _of_records([(f"--canary {path}:{number}", _record(path, number, line)) for number, line in numbered])


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    place = f"--canary {path}:{number}"
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{place}: not JSON ({exc}); one object in each line") from exc
    if not isinstance(record, dict) or not isinstance(record.get("text"), str) or not record["text"].strip():
        raise UsageError(f'{place}: expected {{"text": "..."}} with {", ".join(_KEYS[1:])} where needed')
    unknown = [key for key in record if key not in _KEYS]
    if unknown:
        raise UsageError(f"{place}: unknown key {unknown[0]!r}; there are {', '.join(_KEYS)}")
    if record.get("role") not in (None, "query", "document"):
        raise UsageError(f"{place}: role is 'query' or 'document', got {record['role']!r}")
    return record


def _of_records(records: Sequence[tuple[str, dict[str, Any]]]) -> CanaryTexts:
    roles = [record.get("role") for _, record in records]
    if not any(roles):
        if any("relevant" in record for _, record in records):
            raise UsageError(f"{records[0][0]}: 'relevant' needs a role for each text: 'query' or 'document'")
        return CanaryTexts(tuple(record["text"] for _, record in records))
    if not all(roles):
        raise UsageError(f"{records[roles.index(None)][0]}: without a role, while other texts have one")
    numbers: dict[str, int] = {}
    for number, (place, record) in enumerate(records):
        name = str(record.get("id", number))
        if name in numbers:
            raise UsageError(f"{place}: the id {name!r} is there twice")
        numbers[name] = number
    return CanaryTexts(
        texts=tuple(record["text"] for _, record in records),
        queries=tuple(number for number, role in enumerate(roles) if role == "query"),
        qrels={
            number: _relevant(place, record["relevant"], numbers)
            for number, (place, record) in enumerate(records)
            if record.get("relevant")
        },
    )


def _relevant(place: str, found: object, numbers: Mapping[str, int]) -> dict[int, int]:
    if not isinstance(found, dict) or not all(_is_grade(grade) for grade in found.values()):
        raise UsageError(f"{place}: relevant is {{id of a document: whole grade}}, got {found!r}")
    missing = [name for name in found if name not in numbers]
    if missing:
        raise UsageError(f"{place}: relevant names {missing[0]!r}, which is no text's id")
    return {numbers[name]: grade for name, grade in found.items()}


def _is_grade(grade: object) -> bool:
    return isinstance(grade, int) and not isinstance(grade, bool) and abs(grade) <= MAX_GRADE


def canaries_of_suite(name: str, *, n_queries: int = 100, n_documents: int = 400, seed: int = 0) -> CanaryTexts:
    """Take queries and documents of a suite's tasks.

    Raises:
        SuiteError: no such suite, or its data can't be read.
        CellFailed: no task of it has a text.
    """
    from benchkit.api.request import Request, open_tasks, settings_of, suite_of
    from benchkit.runner.spaces import sample_texts

    request = Request(suite=name)
    settings = settings_of(request)
    tasks = open_tasks(suite_of(request, settings), settings)
    queries, documents = sample_texts(tasks, n_queries=n_queries, n_documents=n_documents, seed=seed)
    asking = list(dict.fromkeys(text for source in queries for text in source.texts))
    known = set(asking)
    found = list(dict.fromkeys(text for source in documents for text in source.texts if text not in known))
    return CanaryTexts((*asking, *found), tuple(range(len(asking))))
