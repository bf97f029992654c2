"""Which column of a source is what.

Where nobody says, the first of the usual names that is there (in any case) is taken; a source with one column of
vectors only may call it what it likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from benchkit.errors import SourceError, nearest
from benchkit.sources.words import listed, shown
from benchkit.types.drift import ColumnNames

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "vector": ("embedding", "embeddings", "vector", "vectors", "emb", "embs", "features", "dense_vector"),
    "time": ("timestamp", "time", "ts", "created_at", "datetime", "event_time", "logged_at", "created", "date"),
    "id": ("id", "_id", "ids", "uuid", "pk", "row_id", "request_id", "document_id", "doc_id", "query_id"),
    "text": ("text", "texts", "content", "page_content", "sentence", "chunk", "body", "input"),
    "segment": ("segment", "segments", "tenant", "customer", "language", "lang", "region"),
    "role": ("role", "roles", "prompt_type", "input_type"),
    "score": ("score", "scores", "top_score", "top1_score", "similarity"),
}
ROLES: tuple[str, ...] = tuple(field.name for field in fields(ColumnNames))


def find_columns(present: Sequence[str], wanted: ColumnNames, place: str) -> dict[str, str]:
    """Return role -> column for the columns that are there.

    Raises:
        SourceError: a column that the caller named isn't there.
    """
    by_folded: dict[str, str] = {}
    for column in present:
        by_folded.setdefault(column.casefold(), column)
    found: dict[str, str] = {}
    there = frozenset(present)
    for role in ROLES:
        name = getattr(wanted, role)
        if name is not None:
            found[role] = _named(name, role, present, place)
        else:
            # As it's written first: of "Embedding" and "embedding" not the one that happens to stand before the other.
            usual = (name if name in there else by_folded.get(name) for name in USUAL_NAMES[role])
            match = next((column for column in usual if column is not None), None)
            if match is not None:
                found[role] = match
    return found


def no_vectors(present: Sequence[str], place: str) -> SourceError:
    """Return the error of a source that holds neither vectors nor texts."""
    return SourceError(
        f"{place}: no column of vectors or texts; there are: {listed(present)}. "
        f"Name one, or use a usual name ({', '.join(USUAL_NAMES['vector'][:4])}; {', '.join(USUAL_NAMES['text'][:3])})"
    )


def _named(name: str, role: str, present: Sequence[str], place: str) -> str:
    if name in present:
        return name
    near = nearest(name, present)
    hint = f" (did you mean '{shown(near)}'?)" if near else ""
    raise SourceError(f"{place}: no column '{shown(name)}' for the {role}{hint}; there are: {listed(present)}")
