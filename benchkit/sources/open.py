"""Open production embeddings by what somebody typed: a path, a glob, a URL or a database.

spec ── kind ──> Source (types/drift.py)
"""

from __future__ import annotations

from benchkit.errors import UsageError
from benchkit.sources.files import FileSource
from benchkit.sources.folder import open_folder
from benchkit.sources.s3 import S3Folder
from benchkit.sources.vectors import MAX_DIMENSION, Stored
from benchkit.sources.words import shown_place
from benchkit.types.drift import ColumnNames, Source

USUAL = ColumnNames()


def open_source(
    spec: str,
    *,
    columns: ColumnNames = USUAL,
    dimension: int | None = None,
    query: str | None = None,
    settling_s: float = 0.0,
    known: Stored | None = None,
    columns_of_baseline: ColumnNames = USUAL,
) -> Source:
    """Return a source of production embeddings; nothing of it is read yet.

    Args:
        spec: A file, directory, glob or URL (`file://`, `s3://`, `gs://`, ...) of Parquet, Arrow, NumPy, safetensors,
            JSON lines or texts; or a database: `postgresql://`, `milvus://`, `qdrant://`.
        columns: Which column is what; the usual names (columns.py) where nobody says.
        dimension: What vectors must have, and how FixedSizeBinary is cut; None takes it from the first vector.
        query: For postgresql://, what is read: `SELECT id, embedding, created_at FROM log`.
        settling_s: For a source that is followed: what is younger is left for later, be it a file that isn't whole or a
            row of a database.
        known: How FixedSizeBinary is cut where no dimension is given.
        columns_of_baseline: They hold where `columns` says nothing; a `.npy` or `.txt` has none of them.

    Raises:
        UsageError: the kind of source isn't known, a package for it is missing, or an option doesn't fit it.
    """
    if not spec.strip():
        raise UsageError("no source given; give a file, a directory, a glob or a URL")
    if dimension is not None and not 1 <= dimension <= MAX_DIMENSION:
        raise UsageError(f"a dimension of {dimension}; allowed: 1 to {MAX_DIMENSION}")
    spec = spec.strip()
    scheme = spec.partition("://")[0].partition("+")[0].lower() if "://" in spec else ""
    in_database = columns.over(columns_of_baseline)
    if scheme in ("postgresql", "postgres"):
        from benchkit.sources.postgres import open_postgres

        return open_postgres(spec, query=query, columns=in_database, dimension=dimension, settling_s=settling_s)
    if query is not None:
        raise UsageError(f"{shown_place(spec)}: a query is for postgresql:// alone")
    if scheme == "qdrant":
        from benchkit.sources.qdrant import open_qdrant

        return open_qdrant(spec, columns=in_database, dimension=dimension)
    if scheme == "milvus":
        from benchkit.sources.milvus import open_milvus

        return open_milvus(spec, columns=in_database, dimension=dimension)
    folder = S3Folder(spec) if scheme in ("s3", "s3a") else open_folder(spec)
    return FileSource(
        folder=folder,
        name=folder.shown,
        columns=columns,
        dimension=dimension,
        settling_s=settling_s,
        known=known,
        columns_of_baseline=columns_of_baseline,
    )
