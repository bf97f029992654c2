"""Finished cells, kept under everything that decides them, so that an interrupted comparison goes on where it was.

    key = hash(model fingerprint, similarity, engine, variant, task source, device kind, library versions)
        └── <cache>/cells/<key>.npz: the result and the scores of its items; its answers and the tags of its items, read
            only when asked for

A key holds no path and no name: a model directory whose weights change, or data whose rows change, has another key.
Files are written beside and renamed, so a killed run leaves whole files only; a damaged one fails the archive's
checksum and is computed again. Arrays are plain (no pickle).
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.runner.packed_answers import pack, unpack
from benchkit.runner.packed_tags import pack_tags, unpack_tags
from benchkit.types.answer import Answers
from benchkit.types.model import Variant
from benchkit.types.result import CellResult, ItemScores, WorstItem
from benchkit.types.tags import ItemTags

# Change it when the meaning of a stored cell changes; old files are then ignored.
FORMAT = 5
_ANSWERS, _TAGS = "answers", "tags"
# What zipfile and NumPy raise on damaged files: a flipped bit can also make a member look encrypted, or compressed in a
# way that there isn't (RuntimeError).
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)
# Libraries whose version can change a vector or a score.
DECIDING_LIBRARIES = (
    "mteb",
    "sentence-transformers",
    "transformers",
    "tokenizers",
    "torch",
    "scikit-learn",
    "numpy",
    "scipy",
)
# And those that can change a score only. benchkit itself is one: a release that mends a number must not be answered
# with the old one.
DECIDING_SCORERS = ("benchkit", "datasets", "pytrec-eval-terrier")


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that can change a vector or a score."""
    return {name: _version(name) for name in DECIDING_LIBRARIES}


@cache
def _version(name: str) -> str:
    # Reading a package's metadata takes milliseconds, and every cell asks for all of them.
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def cell_key(
    *,
    fingerprint: str,
    similarity: str,
    engine: str | None,
    variant: Variant,
    source_digest: str,
    device_kind: str,
) -> str:
    """Return the name under which a cell is kept (32 hex digits).

    Args:
        engine: The one that is expected to compute the vectors: a known cell needs no load, and only that tells which
            one really does. Where it is refused, the cell says so in its warnings.
    """
    return digest_json(
        {
            "format": FORMAT,
            "model": fingerprint,
            "similarity": similarity,
            "engine": engine,
            "variant": asdict(variant),
            "task": source_digest,
            "device": device_kind,
            "libraries": library_versions(),
            "scorers": {name: _version(name) for name in DECIDING_SCORERS},
        }
    )


class CellCache:
    """Finished cells on disk. A cache that can't be written is no reason to stop: `put` then returns False."""

    def __init__(self, root: Path) -> None:
        self._root = root / "cells"

    @property
    def folder(self) -> Path:
        return self._root

    def get(self, key: str, *, model: str, task: str) -> CellResult | None:
        """Return a kept cell under the names of this comparison, or None."""
        path = self._root / f"{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files if name not in (_ANSWERS, _TAGS)}
        except _UNREADABLE:
            return None
        try:
            return replace(_decode(arrays), model=model, task=task)
        except (KeyError, TypeError, ValueError):
            return None

    def answers(self, key: str) -> Answers | None:
        """Return what a kept cell answered to its items; None where it isn't kept, or damaged."""
        try:
            with (self._root / f"{key}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return unpack(archive[_ANSWERS].tobytes())
        except _UNREADABLE:
            return None

    def tags(self, key: str) -> ItemTags | None:
        """Return the tags of a kept cell's items; None where none are kept, or they are damaged."""
        try:
            with (self._root / f"{key}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return unpack_tags(archive[_TAGS].tobytes())
        except _UNREADABLE:
            return None

    def put(
        self, key: str, result: CellResult, answers: Answers | None = None, *, tags: ItemTags | None = None
    ) -> bool:
        """Keep a finished cell; return whether that worked."""
        buffer = io.BytesIO()
        packed = {_ANSWERS: pack(answers or {})} | ({} if tags is None else {_TAGS: pack_tags(tags)})
        aside = {name: np.frombuffer(content, dtype=np.uint8) for name, content in packed.items()}
        np.savez(buffer, **_encode(result), **aside)  # type: ignore[arg-type]
        try:
            write_whole(self._root / f"{key}.npz", buffer.getbuffer(), is_synced=True)
        except OSError:
            return False
        return True


def _encode(result: CellResult) -> dict[str, NDArray[np.generic]]:
    record: dict[str, Any] = {
        name: value for name, value in asdict(replace(result, items=())).items() if name not in ("items",)
    }
    arrays: dict[str, NDArray[np.generic]] = {}
    places = []
    for number, items in enumerate(result.items):
        arrays[f"{number}/items"] = items.items
        for name, column in items.columns.items():
            arrays[f"{number}/column/{name}"] = column
        if items.strata is not None:
            arrays[f"{number}/strata"] = items.strata
        places.append([items.split, items.subset, items.kind, items.metric])
    record["places"] = places
    arrays["record"] = np.array(json.dumps(record, allow_nan=False))
    return arrays


def _decode(arrays: Mapping[str, NDArray[Any]]) -> CellResult:
    record = json.loads(str(arrays["record"]))
    items = []
    for number, (split, subset, kind, metric) in enumerate(record.pop("places")):
        prefix = f"{number}/column/"
        columns = {name.removeprefix(prefix): column for name, column in arrays.items() if name.startswith(prefix)}
        strata = arrays.get(f"{number}/strata")
        items.append(ItemScores(split, subset, kind, metric, arrays[f"{number}/items"], columns, strata))
    record["items"] = tuple(items)
    record["warnings"] = tuple(record["warnings"])
    record["worst"] = tuple(WorstItem(**item) for item in record["worst"])
    return CellResult(**record)
