"""What a ranking task recorded of single queries, as a person can read it.

evaluated task, one split and subset ── Ranked ── answer_of ──> ItemAnswer: the query, its relevant documents, the
                                                                best that were found
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from benchkit.tasks.items import ranking_of
from benchkit.tasks.mteb_encoder import query_texts
from benchkit.tasks.rankings import groups, query_values
from benchkit.tasks.recording import Place
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Neighbour

TEXT_LENGTH = 300
NEIGHBOURS = 5
_RELEVANT_SHOWN = 3


def cut(text: Any) -> str:
    """Return a text on one line, cut to what a person reads in a table."""
    # A word has a letter at least: of a book, no more words are looked at than can be shown.
    flat = " ".join(str(text).split(None, TEXT_LENGTH)[:TEXT_LENGTH])
    return flat if len(flat) <= TEXT_LENGTH else flat[: TEXT_LENGTH - 1] + "…"


class Ranked:
    """The rankings of one split and subset, by item: a query, or several that the metric scores as one."""

    def __init__(self, task: Any, place: Place, rows: Any, metric: str) -> None:
        ranking = ranking_of(task, place, rows)
        self.values = query_values(ranking, metric)
        self._rows = rows
        self._judgements, self._results = ranking.judgements, ranking.results
        # Of several queries that are scored as one, the first is shown.
        self._first = {group: queries[0] for group, queries in groups(sorted(ranking.judgements), metric).items()}
        self._query_rows = {query: row for row, query in enumerate(rows["queries"]["id"][:])}
        self._document_rows = {document: row for row, document in enumerate(rows["corpus"]["id"][:])}
        self._texts: dict[str, str] = {}

    def query_row(self, item: str) -> int | None:
        return self._query_rows.get(self._first.get(item, ""))

    def relevant(self, item: str) -> list[tuple[str, int]]:
        """Return the relevant documents with their grades, the highest first."""
        judged = self._judgements[self._first[item]]
        names = sorted((name for name, grade in judged.items() if grade > 0), key=lambda name: (-judged[name], name))
        return [(name, judged[name]) for name in names]

    def hits(self, item: str, most: int) -> list[tuple[str, float]]:
        """Return the first of the found documents with their scores, the best first."""
        scores = self._results[self._first[item]]
        names, values = list(scores), np.fromiter(scores.values(), np.float64, len(scores))
        # Of up to a thousand, only those that can be among the first are put in order.
        least = -np.inf if len(values) <= most else np.partition(values, -most)[-most]
        found = [(names[place], float(values[place])) for place in np.flatnonzero(values >= least)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:most]

    def query(self, item: str) -> Mapping[str, Any]:
        row: Mapping[str, Any] = self._rows["queries"][self.query_row(item)]
        return row

    def document(self, name: str) -> Mapping[str, Any] | None:
        """Return the row of a document; None for one that was judged and isn't in the corpus."""
        row = self._document_rows.get(name)
        return None if row is None else self._rows["corpus"][row]

    def document_text(self, name: str) -> str:
        """Return title and text of a document, cut; many queries find the same one."""
        if name not in self._texts:
            self._texts[name] = _document_text(name, self.document(name))
        return self._texts[name]

    def read_query(self, item: str) -> str:
        """Return a query as a model reads it, with its instruction."""
        row = self.query_row(item)
        assert row is not None  # asked for first
        return str(self._queries[row])

    @cached_property
    def _queries(self) -> Sequence[str]:
        # All at once: to select one row of a data set takes as long as to read a thousand.
        return query_texts(self._rows["queries"])


def answer_of(ranked: Ranked, item: str) -> ItemAnswer | None:
    """Return what was asked, what is relevant and the best documents; None for an item without a query."""
    if ranked.query_row(item) is None:
        return None
    relevant = ranked.relevant(item)
    names = {name for name, _ in relevant}
    found = tuple(
        Neighbour(ranked.document_text(name), float(score), name in names)
        for name, score in ranked.hits(item, NEIGHBOURS)
    )
    value = (ranked.values or {}).get(item)
    return ItemAnswer(cut(ranked.read_query(item)), _relevant_text(ranked, relevant), found, value)


def _relevant_text(ranked: Ranked, relevant: Sequence[tuple[str, int]]) -> str:
    """Name the relevant documents; their grades where they differ, which says which should come first."""
    graded = len({grade for _, grade in relevant}) > 1
    said = [
        ranked.document_text(name) + (f" (grade {grade})" if graded else "")
        for name, grade in relevant[:_RELEVANT_SHOWN]
    ]
    more = len(relevant) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more else "")


def _document_text(name: str, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return f"document {name}, which is not in the corpus"
    title = row.get("title")
    return cut(f"{title}: {row['text']}" if title else row["text"])
