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

from benchkit.errors import SourceError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.points import Address, Points, PointSource, first_line, need_package, parse_address
from benchkit.sources.words import listed, shown, shown_place
from benchkit.types.drift import ColumnNames

_TIMEOUT_S = 60
_META = "meta.json"  # what the local mode keeps beside its collections
_BUSY = (429, 502, 503, 504)  # HTTP's codes for "not now", of the server or of what stands before it


def open_qdrant(spec: str, *, columns: ColumnNames, dimension: int | None) -> PointSource:
    """Return a Qdrant collection; nothing of it is read yet.

    Raises:
        UsageError: no collection is named, or the package qdrant-client isn't installed.
    """
    name = shown_place(spec)
    address = parse_address(spec, "qdrant://host:6333/collection or qdrant:///folder#collection")
    client = need_package("qdrant_client", "qdrant-client", name)

    @contextmanager
    def connect() -> Iterator[Points]:
        if not address.host:
            _check_folder(Path(address.path), name)
        try:
            opened = _client(client, address)
            try:
                yield _Collection(opened, address.collection, columns.vector, name)
            finally:
                opened.close()
        except SourceError:
            raise
        # The client's errors have no common base: those of HTTP, of values, and of a locked folder.
        except Exception as exc:
            said = f"{name}: Qdrant can't be read: {first_line(exc)}"
            raise (SourceAbsent(said, is_empty=False) if _is_away(exc) else SourceError(said)) from exc

    return PointSource(name=name, kind="qdrant", connect=connect, columns=columns, dimension=dimension)


def _check_folder(folder: Path, name: str) -> None:
    """Raise unless a folder is Qdrant's: of another one the client would make its own."""
    if not folder.is_dir():
        raise SourceAbsent(f"{name}: no such folder; a local Qdrant collection is a folder", is_empty=False)
    if not (folder / _META).is_file():
        raise SourceError(f"{name}: no folder of Qdrant's local mode: there is no {_META} in it")


def _is_away(error: Exception) -> bool:
    """Return whether an error says that nobody answers now, or that another time is better."""
    from httpx import TransportError  # the client speaks through it

    cause = getattr(error, "source", error)  # of the client's ResponseHandlingException
    is_busy = hasattr(error, "retry_after_s") or getattr(error, "status_code", None) in _BUSY
    return is_busy or isinstance(cause, TransportError | OSError)


class _Collection:
    def __init__(self, client: Any, collection: str, vector: str | None, name: str) -> None:
        self._client, self._collection = client, collection
        if not client.collection_exists(collection):
            known = [found.name for found in client.get_collections().collections]
            raise SourceError(f"{name}: no collection '{shown(collection)}'; there are: {listed(known)}")
        self._vector, self._name = self._vector_of(vector, name), name

    def _vector_of(self, wanted: str | None, name: str) -> str:
        from pydantic import ValidationError

        try:
            return _vector_name(self._client.get_collection(self._collection).config.params, wanted, name)
        except Exception as exc:
            # Clients refuse what a newer or older server says of a collection; its points they read all the same.
            if not isinstance(getattr(exc, "source", None), ValidationError):
                raise
            return wanted or ""

    def count(self) -> int:
        return int(self._client.count(self._collection, exact=True).count)

    def pages(self, after: int | None, page_rows: int) -> Iterator[list[Mapping[str, Any]]]:
        offset: Any = None if after is None else after + 1
        while True:
            points, offset = self._client.scroll(
                self._collection, limit=page_rows, offset=offset, with_payload=True, with_vectors=self._wanted
            )
            if points:
                yield [
                    {**(point.payload or {}), "id": point.id, "vector": self._chosen(point.vector)} for point in points
                ]
            if offset is None:
                return

    @property
    def _wanted(self) -> bool | list[str]:
        """What is asked of a point: its vector without a name, or the one of that name alone."""
        return [self._vector] if self._vector else True

    def _chosen(self, vectors: Any) -> Any:
        """Return the vector of a point; None where it has none of that name."""
        if not isinstance(vectors, dict):
            return vectors
        if not self._vector and vectors and "" not in vectors:
            raise SourceError(f"{self._name}: the points have the vectors {listed(vectors)}; say which one")
        # One without a name comes under "" where there are sparse ones beside it.
        return vectors.get(self._vector)


def _vector_name(params: Any, wanted: str | None, name: str) -> str:
    """Return the name of the vectors to read; "" of vectors without one.

    The collection says it and not its points: one that lacks a vector would be read by another of its vectors.
    """
    dense = params.vectors if isinstance(params.vectors, dict) else {"": params.vectors} if params.vectors else {}
    single = {found for found, each in dense.items() if getattr(each, "multivector_config", None) is None}
    others = [found for found in (*dense, *(params.sparse_vectors or {})) if found not in single]
    if single == {""} and wanted not in others:
        return ""
    if wanted in single or (wanted is None and len(single) == 1):
        return wanted if wanted is not None else next(iter(single))
    beside = f"; {listed(others)} are sparse or several a point, which can't be read" if others else ""
    raise SourceError(f"{name}: one vector a point is needed, name it; there are: {listed(sorted(single))}{beside}")


def _client(module: Any, address: Address) -> Any:
    if not address.host:
        return module.QdrantClient(path=address.path)
    scheme = "https" if address.is_encrypted else "http"
    key = address.password or os.environ.get("QDRANT_API_KEY")
    url = f"{scheme}://{address.host}" + ("" if address.has_port else ":6333")
    return module.QdrantClient(url=url, api_key=key, timeout=_TIMEOUT_S, check_compatibility=False)
