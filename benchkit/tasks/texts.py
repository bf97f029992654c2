"""The suite's own texts, as MTEB hands them to a model: what costs are measured on.

    OpenedTask, ... ── first ranking task, else first task ──┬── query_source ────> TextSource (role "query")
                                                             └── document_source ─> TextSource (role "document")
                                                                      └── by_length ─> short, medium, long

One task and not a mixture: the prompt before a text depends on its task. Rows are drawn before they are read, so that a
corpus of millions costs no more than one of hundreds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchkit.errors import CellFailed
from benchkit.tasks.mteb_encoder import document_texts, query_texts
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.parts import iter_parts
from benchkit.types.cost import LengthClass, TextSource
from benchkit.types.model import Role

LENGTH_CLASSES: tuple[LengthClass, ...] = ("short", "medium", "long")
# No common model reads more of a text than about so many characters, so a book counts as no more than this.
LONGEST_COUNTED = 4000

_RANKING_TYPES = frozenset({"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking"})
# Attributes in which MTEB's task classes name the columns that a model reads.
_COLUMN_ATTRIBUTES = (
    "input_column_name",
    "input1_column_name",
    "input2_column_name",
    "column_names",
    "text_column_name",
    "human_summaries_column_name",
    "machine_summaries_column_name",
)


def query_source(tasks: Sequence[OpenedTask], n: int, seed: int) -> TextSource:
    """Return up to n different queries in random order: of the first ranking task, else texts of the first task.

    Raises:
        CellFailed: no task has a text that can be read.
    """
    return _first_source(tasks, n, seed, "query")


def document_source(tasks: Sequence[OpenedTask], n: int, seed: int) -> TextSource:
    """Return up to n different documents in random order: of the first ranking task, else texts of the first task.

    Raises:
        CellFailed: no task has a text that can be read.
    """
    return _first_source(tasks, n, seed, "document")


def by_length(source: TextSource, *, texts: int, characters: int) -> dict[LengthClass, TextSource]:
    """Return the shortest, the middle and the longest third of a source's texts, each cut to a bounded amount.

    Thirds by characters, and not fixed bounds in tokens: every suite then has all three classes (of three texts or
    more), and each holds the same texts for every model, whatever its tokenizer. How many tokens a class has for a
    model is in its samples.

    Args:
        texts: Most texts of a class.
        characters: Most characters of a class, counting LONGEST_COUNTED for a longer text; one text always stays.
    """
    ranked = sorted(range(len(source.texts)), key=lambda row: (len(source.texts[row]), row))
    found: dict[LengthClass, TextSource] = {}
    for place, name in enumerate(LENGTH_CLASSES):
        third = ranked[len(ranked) * place // 3 : len(ranked) * (place + 1) // 3]
        # In the order of the source, which is random: a bound must not leave the shortest of a class.
        kept = _bounded((source.texts[row] for row in sorted(third)), texts, characters)
        if kept:
            found[name] = replace(source, texts=kept)
    return found


def counted_characters(texts: Iterable[str]) -> int:
    """Return the characters of texts, LONGEST_COUNTED for a longer one."""
    return sum(min(len(text), LONGEST_COUNTED) for text in texts)


def _bounded(texts: Iterable[str], most_texts: int, most_characters: int) -> tuple[str, ...]:
    kept: list[str] = []
    total = 0
    for text in texts:
        total += counted_characters([text])
        if kept and (len(kept) == most_texts or total > most_characters):
            break
        kept.append(text)
    return tuple(kept)


def _first_source(tasks: Sequence[OpenedTask], n: int, seed: int, role: Role) -> TextSource:
    problems: list[str] = []
    for task in sorted(tasks, key=lambda task: task.type not in _RANKING_TYPES):
        try:
            loaded = task.fresh()
        except CellFailed as exc:
            problems.append(str(exc))
            continue
        texts = _draw_texts(list(_pieces(loaded, role)), n, random.Random(seed))
        if texts:
            name = str(loaded.metadata.name)
            return TextSource(name, task.type, role if task.type in _RANKING_TYPES else None, texts)
        problems.append(f"{task.name} has no texts")
    raise CellFailed("; ".join(["no task of the suite has texts to measure costs on", *problems]))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of one split and subset; `read` returns the texts of some of them."""

    n_rows: int
    read: Callable[[list[int]], list[Any]]


def _pieces(task: Any, role: Role) -> Iterator[_Piece]:
    seen: set[int] = set()
    for _, _, part in iter_parts(task):
        # Parallel subsets are columns of one table, which comes once for each of them.
        if id(part) in seen:
            continue
        seen.add(id(part))
        # A data set is asked for its type first: `in` would go through all of its rows.
        is_ranking = isinstance(part, Mapping) and "corpus" in part
        yield _ranking_piece(part, role) if is_ranking else _rows_piece(task, part)


def _ranking_piece(part: Mapping[str, Any], role: Role) -> _Piece:
    rows, read = (part["queries"], query_texts) if role == "query" else (part["corpus"], document_texts)
    return _Piece(len(rows), lambda numbers: read(rows.select(numbers)))


def _rows_piece(task: Any, rows: Any) -> _Piece:
    if isinstance(rows, Mapping):  # an old bitext task holds lists by column
        columns = content_columns(task, list(rows))
        lists = [rows[name] for name in columns]
        n_rows = min((len(values) for values in lists), default=0)
        return _Piece(n_rows, lambda numbers: [values[number] for values in lists for number in numbers])
    columns = content_columns(task, rows.column_names)

    def read(numbers: list[int]) -> list[Any]:
        drawn = rows.select(numbers)
        return [value for name in columns for value in drawn[name][:]]

    return _Piece(len(rows), read)


def content_columns(task: Any, available: Sequence[str]) -> list[str]:
    """Return the columns that a model reads."""
    names = ["sentence1", "sentence2"]
    if getattr(task, "parallel_subsets", False):
        names += [language for pair in task.hf_subsets for language in pair.split("-")]
    for attribute in _COLUMN_ATTRIBUTES:
        value = getattr(task, attribute, None) or ()
        names += [value] if isinstance(value, str) else list(value)
    return [name for name in dict.fromkeys(names) if name in available]


def _draw_texts(pieces: Sequence[_Piece], n: int, rng: random.Random) -> tuple[str, ...]:
    total = sum(piece.n_rows for piece in pieces)
    drawn = sorted(rng.sample(range(total), min(n, total)))
    found: list[str] = []
    start = 0
    for piece in pieces:
        numbers = [number - start for number in drawn if start <= number < start + piece.n_rows]
        start += piece.n_rows
        if numbers:
            found.extend(_flat(piece.read(numbers)))
    different = list(dict.fromkeys(text for text in found if text.strip()))
    rng.shuffle(different)
    return tuple(different[:n])


def _flat(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts; a row of an old data set holds a list of them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _flat(value)
