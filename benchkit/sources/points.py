"""Points of a vector database as a source: in the order of their ids, and on from the last one.

    pages of {"id", "vector", payload ...} ── columns by their usual names ──> Rows, each with the position after it

Going on needs ids that are whole numbers and grow, as a database gives them itself: what is new has a larger one. Where
points turn up behind the position all the same, reading ends in an error and not in rows that nobody counted. Points
that were overwritten in place are not seen again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from benchkit.errors import SourceError, UsageError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.keyed import KeyedRows
from benchkit.sources.raw import RawRows, rows_of
from benchkit.sources.words import shown, shown_place
from benchkit.types.drift import ColumnNames, Rows

_VERSION = 1
# Of one request: a page of 8192 vectors of 768 numbers takes 100 MB as JSON.
MAX_PAGE = 1000
# Of what a driver says: what is wrong comes at the end of some.
_MAX_SAID = 300


class Points(Protocol):
    """An open collection."""

    def count(self) -> int:
        """Return how many points there are."""
        ...

    def pages(self, after: int | None, page_rows: int) -> Iterator[list[Mapping[str, Any]]]:
        """Yield pages of points with larger ids, in the order of the ids; "id" and "vector" are among their keys."""
        ...


@dataclass(slots=True)
class PointSource:
    """A collection of a vector database.

    Attributes:
        kind: Of the database, as positions name it.
        connect: Opens the collection; raises SourceError, and SourceAbsent where it may answer later.
    """

    name: str
    kind: str
    connect: Callable[[], AbstractContextManager[Points]]
    columns: ColumnNames = field(default_factory=ColumnNames)
    dimension: int | None = None
    is_ordered: bool = True
    _has_answered: bool = field(default=False, init=False, repr=False)

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield the points that are there, from the start or from behind `after`.

        Raises:
            SourceAbsent: the database answered before and doesn't now; who follows it waits.
            SourceError: the database can't be read, or points have come behind `after`.
            ValueError: batches of no rows.
        """
        if batch_rows < 1:
            raise ValueError(f"batch_rows must be at least 1, got {batch_rows}")
        last, row, dimension = self._position(after)
        dimension = self.dimension if dimension is None else dimension
        with self._connected() as points:
            total = points.count()
            keyed = KeyedRows(
                replace(self.columns, vector="vector"), self.name, has_vectors=True, is_start=after is None
            )
            for page in points.pages(last, min(batch_rows, MAX_PAGE)):
                raw = RawRows(count=len(page), columns=keyed.columns(page))
                rows = rows_of(raw, dimension=dimension, place=self.name, first_row=row)
                last, row, dimension = page[-1]["id"], row + len(rows), rows.vectors.shape[1]
                end = {"kind": self.kind, "version": _VERSION, "after": last, "row": row, "dimension": dimension}
                yield replace(rows, end=end)
        if row < total:
            raise SourceError(
                f"{self.name}: {total - row} points have come with ids before those that were read; a collection can "
                "be followed only while its ids grow"
            )

    @contextmanager
    def _connected(self) -> Iterator[Points]:
        try:
            with self.connect() as points:
                self._has_answered = True
                yield points
        except SourceAbsent as exc:
            # At first it may be a wrong address, which no waiting mends.
            if self._has_answered:
                raise
            raise SourceError(str(exc)) from exc

    def _position(self, after: Mapping[str, Any] | None) -> tuple[int | None, int, int | None]:
        if not after:
            return None, 0, None
        found = (after.get("kind"), after.get("version"))
        if found != (self.kind, _VERSION) or not isinstance(after.get("row"), int):
            raise SourceError(f"{self.name}: the position is of another kind of source ({shown(repr(found))})")
        last = after.get("after")
        if isinstance(last, bool) or not isinstance(last, int):
            raise SourceError(
                f"{self.name}: the last id is {shown(repr(last))}; reading goes on only behind whole numbers that grow"
            )
        return last, after["row"], after.get("dimension")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a collection is: "kind://host:port/collection", or "kind:///path#collection" of a file or folder.

    Attributes:
        host: With its port; "" of one on this machine's disk.
        path: Of that file or folder.
        password: As it stands in the URL.
    """

    collection: str
    host: str
    path: str
    user: str | None
    password: str | None
    has_port: bool
    is_encrypted: bool


def parse_address(spec: str, allowed: str) -> Address:
    """Return the address that a URL means.

    Raises:
        UsageError: it isn't one, or names no collection; says which are `allowed`.
    """
    name = shown_place(spec)
    try:
        parts = urlsplit(spec)
        has_port = parts.port is not None
    except ValueError as exc:
        raise UsageError(f"{name}: no address: {shown(str(exc))}; allowed: {allowed}") from exc
    collection = parts.fragment or (parts.path.strip("/") if parts.netloc else "")
    if not collection:
        raise UsageError(f"{name}: no collection; give {allowed}")
    return Address(
        collection=collection,
        host=parts.netloc.rpartition("@")[2],
        path="" if parts.netloc else parts.path,
        user=parts.username,
        password=parts.password,
        has_port=has_port,
        is_encrypted=parts.scheme.endswith("+https"),
    )


def need_package(module: str, package: str, name: str) -> Any:
    """Return a module that benchkit doesn't require.

    Raises:
        UsageError: it isn't installed; says which package has it.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        raise UsageError(f"{name}: needs the package {package}, which is not installed: pip install {package}") from exc


def first_line(error: Exception) -> str:
    """Return what an error of a driver says, short."""
    lines = str(error).strip().splitlines()
    return shown(lines[0], most=_MAX_SAID) if lines else type(error).__name__
