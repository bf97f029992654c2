"""A Qdrant collection as a source.

    qdrant://host:6333/collection · qdrant+https://host/collection · qdrant:///folder#collection (local mode)
        ── scroll in the order of ids ──> points.py

The key of a server is read from QDRANT_API_KEY. A collection with cosine distance holds its vectors normalised: Qdrant
has divided them by their norms, so a change of norms can't be seen there. Numbers come as float32.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchkit.errors import SourceError, UsageError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.points import Points, PointSource, first_line, need_package
from benchkit.sources.words import listed, shown, shown_place
from benchkit.types.drift import ColumnNames

_TIMEOUT_S = 60
_BUSY = (429, 502, 503, 504)  # HTTP's codes for "not now", of the server or of what stands before it


def open_qdrant(spec: str, *, columns: ColumnNames, dimension: int | None) -> PointSource:
    """Return a Qdrant collection; nothing of it is read yet.

    Raises:
        UsageError: no collection is named, or the package qdrant-client isn't installed.
    """
    name = shown_place(spec)
    parts = urlsplit(spec)
    collection = parts.fragment or (parts.path.strip("/") if parts.netloc else "")
    if not collection:
        raise UsageError(f"{name}: no collection; give qdrant://host:6333/collection or qdrant:///folder#collection")
    client = need_package("qdrant_client", "qdrant-client", name)

    @contextmanager
    def connect() -> Iterator[Points]:
        if not parts.netloc and not Path(parts.path).is_dir():
            raise SourceAbsent(f"{name}: no such folder; a local Qdrant collection is a folder", is_empty=False)
        try:
            opened = _client(client, spec)
            try:
                yield _Collection(opened, collection, columns.vector, name)
            finally:
                opened.close()
        except SourceError:
            raise
        # The client's errors have no common base: those of HTTP, of values, and of a locked folder.
        except Exception as exc:
            said = f"{name}: Qdrant can't be read: {first_line(exc)}"
            raise (SourceAbsent(said, is_empty=False) if _is_away(exc) else SourceError(said)) from exc

    return PointSource(name=name, kind="qdrant", connect=connect, columns=columns, dimension=dimension)


def _is_away(error: Exception) -> bool:
    """Return whether an error says that nobody answers now, or that another time is better."""
    from httpx import TransportError  # the client speaks through it

    cause = getattr(error, "source", error)  # of the client's ResponseHandlingException
    is_busy = hasattr(error, "retry_after_s") or getattr(error, "status_code", None) in _BUSY
    return is_busy or isinstance(cause, TransportError | OSError)


class _Collection:
    def __init__(self, client: Any, collection: str, vector: str | None, name: str) -> None:
        self._client, self._collection, self._vector, self._name = client, collection, vector, name
        if not client.collection_exists(collection):
            known = [found.name for found in client.get_collections().collections]
            raise SourceError(f"{name}: no collection '{shown(collection)}'; there are: {listed(known)}")

    def count(self) -> int:
        return int(self._client.count(self._collection, exact=True).count)

    def pages(self, after: int | None, page_rows: int) -> Iterator[list[Mapping[str, Any]]]:
        offset: Any = None if after is None else after + 1
        while True:
            points, offset = self._client.scroll(
                self._collection, limit=page_rows, offset=offset, with_payload=True, with_vectors=True
            )
            if points:
                yield [
                    {**(point.payload or {}), "id": point.id, "vector": self._chosen(point.vector)} for point in points
                ]
            if offset is None:
                return

    def _chosen(self, vectors: Any) -> Any:
        if not isinstance(vectors, dict):
            return vectors
        name = self._vector if self._vector is not None else next(iter(vectors), None)
        if (self._vector is None and len(vectors) > 1) or (self._vector is not None and name not in vectors):
            raise SourceError(f"{self._name}: the points have the vectors {listed(vectors)}; say which one")
        return vectors.get(name)


def _client(module: Any, spec: str) -> Any:
    parts = urlsplit(spec)
    if not parts.netloc:
        return module.QdrantClient(path=parts.path)
    host = parts.netloc.rpartition("@")[2]
    scheme = "https" if parts.scheme.endswith("+https") else "http"
    key = parts.password or os.environ.get("QDRANT_API_KEY")
    url = f"{scheme}://{host}" + ("" if parts.port else ":6333")
    return module.QdrantClient(url=url, api_key=key, timeout=_TIMEOUT_S, check_compatibility=False)
