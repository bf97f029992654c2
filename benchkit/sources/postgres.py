"""The rows of a PostgreSQL query as a source.

    postgresql://user@host/db + "SELECT id, embedding, created_at FROM log"
        ── read-only transaction, ordered by (time, id), server-side cursor ──> Rows

Vectors may be pgvector's `vector` or `halfvec`, float4[] or float8[], or text "[0.1, 0.2]"; they become float32. The
password is best left to ~/.pgpass or PGPASSWORD. Going on needs a column of ids that no two rows share; with a column
of times, the order is (time, id), else the id alone. A transaction that commits late with an older key would be behind
the position: with `settling_s`, rows whose time is younger than that are left for the next read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from benchkit.errors import SourceError, UsageError
from benchkit.sources.columns import find_columns, no_vectors
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.points import need_package
from benchkit.sources.raw import RawRows, rows_of
from benchkit.sources.words import password_of, shown, shown_place
from benchkit.types.drift import ColumnNames, Rows

_KIND, _VERSION = "postgresql", 1
_CONNECT_S = 10
_PACKAGE = '"benchkit[postgres]"'
_KEYS = ("benchkit_key_0", "benchkit_key_1")
_DRIVER = re.compile(r"\+[A-Za-z0-9_]*://")  # as SQLAlchemy names it, which libpq takes for something else
_SECRET = re.compile(r"pass|key|token|secret", re.IGNORECASE)
_MOMENTS = ("timestamp with time zone", "timestamp without time zone", "date")


def open_postgres(
    spec: str, *, query: str | None, columns: ColumnNames, dimension: int | None, settling_s: float
) -> PostgresSource:
    """Return a query of a PostgreSQL database; nothing is asked yet.

    Raises:
        UsageError: no query, or the package psycopg isn't installed.
    """
    name = shown_place(spec)
    if query is None or not query.strip():
        raise UsageError(f"{name}: needs a query for id, embedding and created_at, as `SELECT ...`")
    need_package("psycopg", _PACKAGE, name)
    return PostgresSource(
        url=_DRIVER.sub("://", spec, count=1),
        name=name,
        query=query.strip().rstrip(";"),
        columns=columns,
        dimension=dimension,
        settling_s=settling_s,
    )


@dataclass(slots=True)
class PostgresSource:
    """The rows of a query.

    Attributes:
        url: With the password; never shown.
        settling_s: Rows whose time is younger are left for the next read.
    """

    url: str = field(repr=False)
    name: str
    query: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    dimension: int | None = None
    settling_s: float = 0.0
    is_ordered: bool = True
    _has_answered: bool = field(default=False, init=False, repr=False)

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield the rows that are there, from the start or from behind `after`.

        Raises:
            SourceAbsent: the database answered before and doesn't now; who follows it waits.
            SourceError: the database doesn't answer or refuses the query, or `after` is of another query.
            ValueError: batches of no rows.
        """
        if batch_rows < 1:
            raise ValueError(f"batch_rows must be at least 1, got {batch_rows}")
        key, row, dimension = self._position(after)
        dimension = self.dimension if dimension is None else dimension
        with self._speaking() as connection:
            names, types = self._described(connection)
            found = find_columns(names, self.columns, self.name)
            if not {"vector", "text"} & found.keys():
                raise no_vectors(names, self.name)
            keys = [found[role] for role in ("time", "id") if role in found] if "id" in found else []
            if after and len(keys) != len(key):
                raise SourceError(f"{self.name}: reading goes on only where the query has a column of ids (as before)")
            ordered = self._ordered(keys, types, key, found.get("time"))
            for records in _fetched(connection, ordered, batch_rows):
                key = self._last_key(records, len(keys), key, row)
                raw = RawRows(len(records), _columns(records, found, names), found)
                rows = rows_of(raw, dimension=dimension, place=self.name, first_row=row)
                row, dimension = row + len(rows), rows.vectors.shape[1]
                yield replace(rows, end=self._end(key, row, dimension))

    def _described(self, connection: Any) -> tuple[list[str], dict[str, str]]:
        sql = need_package("psycopg.sql", _PACKAGE, self.name)
        cursor = connection.execute(sql.SQL("SELECT * FROM (") + sql.SQL(self.query) + sql.SQL("\n) AS found LIMIT 0"))
        names = [column.name for column in cursor.description]
        codes = [column.type_code for column in cursor.description]
        shapes = connection.execute("SELECT format_type(code, NULL) FROM unnest(%s::oid[]) AS code", [codes]).fetchall()
        return names, {name: kind for name, (kind,) in zip(names, shapes, strict=True)}

    def _ordered(self, keys: list[str], types: Mapping[str, str], after: list[str], time: str | None) -> Any:
        """Return the query in the order of its keys, from behind `after`; the keys as text come last.

        Without ids it is in the order of its times, so that its last rows are the latest.
        """
        sql = need_package("psycopg.sql", _PACKAGE, self.name)
        columns = [sql.Identifier(name) for name in keys]
        texts = [
            sql.SQL(", {}::text AS {}").format(column, sql.Identifier(_KEYS[k])) for k, column in enumerate(columns)
        ]
        whole = sql.SQL("SELECT found.*") + sql.Composed(texts) + sql.SQL(" FROM (") + sql.SQL(self.query)
        whole += sql.SQL("\n) AS found WHERE true")
        if after:
            kinds = [types[name] for name in keys]
            casts = [sql.Literal(text) + sql.SQL("::" + kind) for text, kind in zip(after, kinds, strict=True)]
            whole += sql.SQL(" AND ({}) > ({})").format(sql.SQL(", ").join(columns), sql.SQL(", ").join(casts))
        if self.settling_s and time is not None:
            if (kind := types[time]) not in _MOMENTS:
                raise SourceError(
                    f"{self.name}: column '{shown(time)}' is {shown(kind)}; to follow it, a timestamp or date is "
                    f"needed, such as `{shown(time)}::timestamptz`, or `to_timestamp({shown(time)})` of seconds"
                )
            settled = sql.SQL(" AND {} < now() - make_interval(secs => {})")
            whole += settled.format(sql.Identifier(time), sql.Literal(self.settling_s))
        if not columns and time is not None:
            return whole + sql.SQL(" ORDER BY {} NULLS FIRST").format(sql.Identifier(time))
        return whole + (sql.SQL(" ORDER BY ") + sql.SQL(", ").join(columns) if columns else sql.SQL(""))

    def _last_key(self, records: list[tuple[Any, ...]], n_keys: int, before: list[str], row: int) -> list[str]:
        """Return the key of the last row; no row may lack one or share another's."""
        if not n_keys:
            return []
        found = [before, *(list(record[len(record) - n_keys :]) for record in records)]
        for place in range(1, len(found)):
            if None in found[place]:
                raise SourceError(
                    f"{self.name}: row {row + place - 1}: the time or id is NULL, which has no order; leave such rows "
                    "out (WHERE ... IS NOT NULL), or don't select the id, which reading once doesn't need"
                )
            if found[place] == found[place - 1]:
                raise SourceError(f"{self.name}: row {row + place - 1}: two rows with the id {shown(found[place][-1])}")
        return found[-1]

    def _position(self, after: Mapping[str, Any] | None) -> tuple[list[str], int, int | None]:
        if not after:
            return [], 0, None
        if (after.get("kind"), after.get("version"), after.get("query")) != (_KIND, _VERSION, self._digest()):
            raise SourceError(f"{self.name}: the position is of another source or query")
        if not after.get("key"):
            raise SourceError(f"{self.name}: reading goes on only where the query has a column of ids; select one")
        return [str(part) for part in after["key"]], int(after["row"]), after.get("dimension")

    def _end(self, key: list[str], row: int, dimension: int) -> dict[str, Any]:
        place = {"kind": _KIND, "version": _VERSION, "query": self._digest()}
        return {**place, "key": key, "row": row, "dimension": dimension}

    def _digest(self) -> str:
        return hashlib.blake2b(self.query.encode(), digest_size=8).hexdigest()

    @contextmanager
    def _speaking(self) -> Iterator[Any]:
        psycopg = need_package("psycopg", _PACKAGE, self.name)
        try:
            options = "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1"
            with psycopg.connect(self.url, connect_timeout=_CONNECT_S, options=options) as connection:
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.execute("SELECT 1")
                self._has_answered = True
                yield connection
        except psycopg.Error as exc:
            said = f"{self.name}: {self._harmless(exc)}"  # without `exc` itself: its text may hold the password
            # At first it may be a wrong address or password, which no waiting mends.
            if self._has_answered and isinstance(exc, psycopg.OperationalError):
                raise SourceAbsent(said, is_empty=False) from None
            raise SourceError(said) from None

    def _harmless(self, error: Exception) -> str:
        text = " ".join(str(error).split())
        for secret in _secrets(self.url):
            text = text.replace(secret, "***")
        return "".join(sign if sign.isprintable() else "?" for sign in text)[:300] or type(error).__name__


def _secrets(url: str) -> list[str]:
    """Return what of a URL no message may show, as it stands there and unquoted; the longest first."""
    parts = (part.rpartition("=") for part in url.partition("?")[2].split("&"))
    # Without a "=" it may be a password that somebody forgot to name.
    values = [value for name, equals, value in parts if not equals or _SECRET.search(name)]
    found = {spelling for value in (password_of(url), *values) if value for spelling in (value, unquote(value))}
    return sorted(found, key=len, reverse=True)


def _fetched(connection: Any, query: Any, batch_rows: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a query without asking for them all at once."""
    with connection.cursor(name="benchkit") as cursor:
        cursor.execute(query)
        while records := cursor.fetchmany(batch_rows):
            yield records


def _columns(records: list[tuple[Any, ...]], found: Mapping[str, str], names: list[str]) -> dict[str, Any]:
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for role, name in found.items():
        values = [record[names.index(name)] for record in records]
        # pgvector's types come as text unless its own package is loaded.
        is_text = role == "vector" and any(isinstance(value, str) for value in values)
        columns[role] = pa.array(values, pa.string()) if is_text else values
    return columns
