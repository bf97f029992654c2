"""How much a service embedded, where its log keeps only a share of it (EmbeddingLog's `sampling`).

    Rows, each file with its sampling ── plus ──> Volume: rows kept, rows embedded
    usual rows a second (embedded), span, Volume ── usual_rows ──> how many such a window usually keeps

A window's own count stays what it is: whether so few are chance is a question of the rows that were drawn (Poisson).
What is usual is put on the window's scale instead. A source that says nothing about sampling holds every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchkit.types.drift import Rows, Source


@dataclass(frozen=True, slots=True)
class Volume:
    """Rows that were kept, and of how many.

    Attributes:
        sampling: Of the last rows.

    >>> Volume().plus(30, 0.1).plus(100, 1.0)
    Volume(rows=130, embedded=400.0, sampling=1.0)
    """

    rows: int = 0
    embedded: float = 0.0
    sampling: float = 1.0

    def plus(self, rows: int, sampling: float) -> Volume:
        """Return the volume with some rows more."""
        return Volume(self.rows + rows, self.embedded + rows / sampling, sampling)

    @property
    def kept(self) -> float:
        """Share of what was embedded that is here; of no rows, that of the last ones before."""
        return self.rows / self.embedded if self.rows else self.sampling

    def usual_rows(self, rows_per_s: float | None, seconds: float) -> float | None:
        """Return how many rows are usually kept in a span; None where the usual volume isn't known."""
        return None if rows_per_s is None else rows_per_s * seconds * self.kept


class Counted:
    """A source whose rows pass as they are; how much it holds is counted on the way."""

    def __init__(self, source: Source) -> None:
        self._source, self.name, self.is_ordered = source, source.name, source.is_ordered
        self.volume = Volume()

    def read(self, after: Mapping[str, Any] | None = None, *, batch_rows: int = 8192) -> Iterator[Rows]:
        """Yield what the source yields; its sampling is known before anybody chooses some of the rows."""
        for rows in self._source.read(after, batch_rows=batch_rows):
            self.volume = Volume(self.volume.rows, self.volume.embedded, rows.sampling)
            yield rows

    def count(self, chosen: Iterable[Rows]) -> Iterator[Rows]:
        """Yield the rows that were chosen of this source, and count them."""
        for rows in chosen:
            self.volume = self.volume.plus(len(rows), rows.sampling)
            yield rows
