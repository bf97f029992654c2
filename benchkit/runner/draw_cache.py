"""Bootstrap draws, kept under everything that decides them, so that an unchanged cell isn't resampled again.

    key = hash(item scores, stream, estimate, resamples, seed, library versions, sources of benchkit.measure)
        └── <cache>/draws/<key>.draws: digest of key and the rest (16 bytes), origin and values (float64)

A `DrawCache` is called like `draw_scores`, by several threads at once too, and answers with the same bytes. Files are
written beside and renamed; one that is damaged, or that stands under another key, fails its digest and is drawn again.
Where the folder grows beyond its limit, the draws that were not used for longest go first.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchkit import measure
from benchkit.embeddings.fingerprint import digest_files, digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.measure.bootstrap import Draws, draw_scores
from benchkit.measure.cells import Floats
from benchkit.runner.cell_cache import library_versions
from benchkit.types.result import ItemScores

# Change it when a file's layout changes; old files are then ignored.
FORMAT = 2
LIMIT_BYTES = 2**28  # 10,000 draws each for 3,300 cells
_DIGEST_BYTES = 16


class DrawCache:
    """Draws on disk. A folder that can't be written is no reason to stop: the draws are then made every time.

    Args:
        root: Folder of the whole cache.
        max_bytes: How much the draws may take.
    """

    def __init__(self, root: Path, *, max_bytes: int = LIMIT_BYTES) -> None:
        self.folder = root / "draws"
        self._max_bytes = max_bytes
        self._keeping = threading.Lock()
        self._room = 0  # unknown as yet: the first draws to be kept look what is there

    def __call__(
        self, items: Sequence[ItemScores], *, stream: str, estimate: float, n_resamples: int = 10_000, seed: int
    ) -> Draws:
        """Return what `draw_scores` returns; raise what it raises."""
        draw = partial(draw_scores, items, stream=stream, estimate=estimate, n_resamples=n_resamples, seed=seed)
        if any(array.dtype.hasobject for entry in items for array in _arrays(entry)):
            return draw()  # the bytes of such an array are addresses, which say nothing of what it holds
        key = draws_key(items, stream=stream, estimate=estimate, n_resamples=n_resamples, seed=seed)
        kept = self._find(key, n_resamples)
        if kept is not None:
            return Draws(estimate, kept[1:], float(kept[0]))
        draws = draw()
        with suppress(OSError):
            self._keep(key, np.concatenate([[draws.origin], draws.values]))
        return draws

    def shrink(self, max_bytes: int) -> int:
        """Remove the draws that were not used for longest until the rest fits; return the bytes that were freed.

        What a killed process left half-written counts, and goes like the others. Another process may remove files at
        the same time.
        """
        files = self._files()
        excess, freed = sum(size for _, size, _ in files) - max_bytes, 0
        for _, size, path in sorted(files):
            if freed >= excess:
                break
            path.unlink(missing_ok=True)
            freed += size
        return freed

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return time of the last use (ns), size and path of every file."""
        found = []
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    facts = entry.stat()
                    found.append((facts.st_mtime_ns, facts.st_size, Path(entry.path)))
        return found

    def _find(self, key: str, n_resamples: int) -> Floats | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, values = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != _digest(key, values) or len(values) != 8 * (n_resamples + 1):
            return None
        with suppress(OSError):  # of somebody else, or just removed by another process
            os.utime(path)
        return np.frombuffer(values).copy()  # a copy may be written to, as what was drawn may

    def _keep(self, key: str, values: Floats) -> None:
        """Write draws, whole or not at all.

        Raises:
            OSError: they can't be written, or others not be removed.
        """
        drawn = values.tobytes()
        content = _digest(key, drawn) + drawn
        if len(content) > self._max_bytes:
            return
        with self._keeping:
            if len(content) > self._room:
                self.shrink(self._max_bytes - len(content))
                self._room = self._max_bytes - sum(size for _, size, _ in self._files())
            write_whole(self._path(key), content, is_synced=False)
            self._room -= len(content)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.draws"


def draws_key(items: Sequence[ItemScores], *, stream: str, estimate: float, n_resamples: int, seed: int) -> str:
    """Return the name under which draws are kept (32 hex digits)."""
    return digest_json(
        {
            "format": FORMAT,
            "items": [_entry_digest(entry) for entry in items],
            "stream": stream,
            "estimate": float(estimate).hex(),  # a nan too has a key; draw_scores then says what is wrong with it
            "n_resamples": n_resamples,
            "seed": int(seed),
            "deciding": _deciding(),
        }
    )


def _arrays(entry: ItemScores) -> list[NDArray[np.generic]]:
    return [entry.items, *entry.columns.values(), *([] if entry.strata is None else [entry.strata])]


def _entry_digest(entry: ItemScores) -> dict[str, object]:
    return {
        "place": [entry.split, entry.subset, entry.kind, entry.metric],
        "items": _array_digest(entry.items),
        "columns": {name: _array_digest(column) for name, column in entry.columns.items()},
        "strata": None if entry.strata is None else _array_digest(entry.strata),
    }


def _array_digest(array: NDArray[np.generic]) -> list[object]:
    return [array.dtype.str, array.shape, hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data).hexdigest()]


def _digest(key: str, values: bytes) -> bytes:
    return hashlib.blake2b(values, digest_size=_DIGEST_BYTES, key=key.encode()).digest()


@cache
def _deciding() -> dict[str, object]:
    """Return what turns the same items into other draws.

    The sources are read too: between two releases the version stands still, and a formula that was mended must not be
    answered with the numbers of the old one.
    """
    folder = Path(measure.__path__[0])
    return {
        "benchkit": version("benchkit"),
        "measure": digest_files(folder.glob("*.py"), folder),
        "libraries": library_versions(),
    }
