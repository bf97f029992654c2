"""A Milvus collection as a source.

    milvus://host:19530/collection · milvus+https://host/collection · milvus:///path/file.db#collection (Milvus Lite)
        ── query iterator in the order of the primary key ──> points.py

The token of a server ("user:password" or a key) is read from MILVUS_TOKEN or from the URL.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchkit.errors import SourceError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.points import Address, Points, PointSource, first_line, need_package, parse_address
from benchkit.sources.words import listed, shown, shown_place
from benchkit.types.drift import ColumnNames

_TIMEOUT_S = 60
_NOT_OPENED = "Open local milvus failed"  # all that the client says of a file
_CONNECT_FAILED = 2  # of the client; the server's 2 is "service unavailable"
_DOWN = ("UNAVAILABLE", "DEADLINE_EXCEEDED")  # of gRPC


def open_milvus(spec: str, *, columns: ColumnNames, dimension: int | None) -> PointSource:
    """Return a Milvus collection; nothing of it is read yet.

    Raises:
        UsageError: no collection is named, or the package pymilvus isn't installed.
    """
    name = shown_place(spec)
    address = parse_address(spec, "milvus://host:19530/collection or milvus:///file.db#collection")
    module = need_package("pymilvus", "pymilvus" if address.host else "milvus-lite", name)

    @contextmanager
    def connect() -> Iterator[Points]:
        if not address.host and not Path(address.path).exists():
            raise SourceAbsent(f"{name}: no such file", is_empty=False)
        try:
            with _silent(), _server_of(address), closing(_client(module, address)) as client:
                yield _Collection(client, address.collection, columns.vector, name)
        except SourceError:
            raise
        # The client's errors have no common base: MilvusException, those of gRPC and of values.
        except Exception as exc:
            said = f"{name}: Milvus can't be read: {first_line(exc)}"
            if not address.host and _NOT_OPENED in said:
                said += "; either another process has it open (Milvus Lite lets in one at a time), or it is damaged"
            raise (SourceAbsent(said, is_empty=False) if _is_away(exc) else SourceError(said)) from exc

    return PointSource(name=name, kind="milvus", connect=connect, columns=columns, dimension=dimension)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the client from writing tracebacks to stderr; what is wrong is in its errors."""
    logs = [logging.getLogger(name) for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite")]
    before = [log.level for log in logs]
    try:
        for log in logs:
            log.setLevel(logging.CRITICAL)
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def _is_away(error: Exception) -> bool:
    """Return whether an error says that nobody answers now, or that another time is better."""
    code = getattr(error, "code", None)
    code = code() if callable(code) else code  # a method of gRPC's own errors
    is_down = code == _CONNECT_FAILED or getattr(code, "name", "") in _DOWN
    return is_down or isinstance(error, OSError) or bool(getattr(error, "retriable", False))


class _Collection:
    def __init__(self, client: Any, collection: str, vector: str | None, name: str) -> None:
        self._client, self._collection = client, collection
        if not client.has_collection(collection):
            raise SourceError(
                f"{name}: no collection '{shown(collection)}'; there are: {listed(client.list_collections())}"
            )
        fields = {field["name"]: field for field in client.describe_collection(collection)["fields"]}
        self._key = next(found for found, field in fields.items() if field.get("is_primary"))
        kinds = {found: str(getattr(field["type"], "name", field["type"])) for found, field in fields.items()}
        self._vector = _vector_field(kinds, vector, name)
        client.load_collection(collection)

    def count(self) -> int:
        found = self._client.query(self._collection, filter="", output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def pages(self, after: int | None, page_rows: int) -> Iterator[list[Mapping[str, Any]]]:
        start = f"{self._key} > {after}" if after is not None else ""
        iterator = self._client.query_iterator(
            self._collection, filter=start, batch_size=page_rows, output_fields=["*", self._vector]
        )
        with closing(iterator):
            while page := iterator.next():
                yield [{**point, "id": point[self._key], "vector": point[self._vector]} for point in page]


def _vector_field(kinds: Mapping[str, str], wanted: str | None, name: str) -> str:
    vectors = [found for found, kind in kinds.items() if kind == "FLOAT_VECTOR"]
    if wanted in vectors or (wanted is None and len(vectors) == 1):
        return wanted or vectors[0]
    described = [f"{found} ({kind})" for found, kind in kinds.items() if kind.endswith("VECTOR")]
    raise SourceError(f"{name}: one FLOAT_VECTOR field is needed, name it; there are: {listed(described)}")


@contextmanager
def _server_of(address: Address) -> Iterator[None]:
    """Let go of a file of Milvus Lite after reading: its server would keep every other process out until this one ends.

    A server that ran before belongs to somebody else in this process, and stays.
    """
    if address.host:
        yield
        return
    manager = importlib.import_module("milvus_lite.server_manager").server_manager_instance
    path = os.path.abspath(address.path)  # noqa: PTH100 - as the manager names it, links and all
    is_ours = path not in getattr(manager, "_servers", [path])
    try:
        yield
    finally:
        if is_ours:
            manager.release_server(path)


def _client(module: Any, address: Address) -> Any:
    """Return a client with a connection of its own: a shared one outlives it, and pings the server for ever."""
    if not address.host:
        return module.MilvusClient(uri=address.path, dedicated=True)
    scheme = "https" if address.is_encrypted else "http"
    token = f"{address.user or ''}:{address.password}" if address.password else os.environ.get("MILVUS_TOKEN", "")
    return module.MilvusClient(uri=f"{scheme}://{address.host}", token=token, timeout=_TIMEOUT_S, dedicated=True)
