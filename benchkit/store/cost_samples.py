"""Every timed call of a cost session in one Parquet file, from which its figures can be computed again.

    CostSamples ── write_cost_samples ──> costs.parquet ── read_cost_samples ──> CostSamples

One row for each call, with the fields of `Sample` as columns; what isn't known is null. What each process told of
itself, the order of the models and the failures are few, and stand as JSON in the file's metadata. Pages carry
checksums, and a file is there whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchkit.errors import UsageError
from benchkit.types.cost import CostSamples, ProcessFacts, Sample

SCHEMA_VERSION = 1
_VERSION_KEY = b"benchkit.costs.schema_version"
_SESSION_KEY = b"benchkit.costs.session"


def write_cost_samples(path: Path, samples: CostSamples) -> None:
    """Write all samples of a session; a file that is there is replaced.

    Raises:
        OSError: the file can't be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([_row(sample) for sample in samples.samples], schema=_schema(_session(samples)))
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_cost_samples(path: Path) -> CostSamples:
    """Return what `write_cost_samples` wrote.

    Raises:
        UsageError: the file isn't there, is damaged, or is not one of `write_cost_samples`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata or {}
            _check_version(path, metadata.get(_VERSION_KEY))
            return _samples(file.read().to_pylist(), json.loads(metadata[_SESSION_KEY]))
    except FileNotFoundError as exc:
        raise UsageError(f"{path}: no such file; `benchkit compare` writes it where it measures costs") from exc
    except (OSError, pa.ArrowException) as exc:
        raise UsageError(f"{path}: can't be read as Parquet, it may be damaged: {exc}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"{path}: its session can't be read, it may be damaged: {exc!r}") from exc


def _samples(rows: Sequence[dict[str, Any]], session: dict[str, Any]) -> CostSamples:
    return CostSamples(
        order=tuple(session["order"]),
        samples=tuple(Sample(**row) for row in rows),
        processes=tuple(ProcessFacts(**process) for process in session["processes"]),
        failures=session["failures"],
    )


def _row(sample: Sample) -> dict[str, Any]:
    return {field.name: getattr(sample, field.name) for field in fields(sample)}


def _session(samples: CostSamples) -> dict[str, Any]:
    return {
        "order": samples.order,
        "processes": [asdict(process) for process in samples.processes],
        "failures": dict(samples.failures),
    }


def _schema(session: dict[str, Any]) -> Any:
    import pyarrow as pa

    types = {
        **dict.fromkeys(("model", "kind", "length_class"), pa.string()),
        **dict.fromkeys(("copy", "round", "item", "texts", "tokens", "padded_tokens"), pa.int64()),
        **dict.fromkeys(("wall_s", "cpu_s", "energy_j"), pa.float64()),
    }
    return pa.schema(
        [(field.name, types[field.name]) for field in fields(Sample)],
        metadata={_VERSION_KEY: str(SCHEMA_VERSION), _SESSION_KEY: json.dumps(session)},
    )


def _check_version(path: Path, found: bytes | None) -> None:
    if found is None:
        raise UsageError(f"{path}: Parquet, but not the samples of costs that benchkit writes")
    if found != str(SCHEMA_VERSION).encode():
        raise UsageError(
            f"{path}: has samples of version {found.decode()}; this benchkit reads {SCHEMA_VERSION}. "
            "Read it with the benchkit that wrote it"
        )
