"""Baselines of the drift monitor on disk: arrays and facts in one safetensors file each, whole or not at all.

    facts, arrays ── save_baseline ──> FOLDER/NAME.safetensors ── load_baseline ──> the same, bit by bit

The digest covers every array and every fact, and is checked before anything is believed. Nothing is unpickled. The
file's own header says how large each array is, and safetensors refuses one that doesn't add up to the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.errors import NotComparable, UsageError

FORM_VERSION = 6
SUFFIX = ".safetensors"
MAX_FILE_BYTES = 2**28
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_METADATA = "benchkit"


@dataclass(frozen=True, slots=True, eq=False)
class KeptBaseline:
    """A baseline as it is kept.

    Attributes:
        facts: What isn't an array; JSON.
        arrays: Float, integer and boolean arrays of any shape, by name.
        digest: Of both; "" before it was saved.
        bytes: Size of the file.
    """

    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    digest: str = ""
    bytes: int = 0


def save_baseline(folder: Path, name: str, kept: KeptBaseline, *, replaces: bool = False) -> KeptBaseline:
    """Write a baseline and return it with its digest and size.

    Raises:
        UsageError: the name isn't one, there is a baseline of this name already, it is larger than what is read
            again, or the file can't be written.
    """
    from safetensors.numpy import save

    path = path_of(folder, name)
    if path.exists() and not replaces:
        raise UsageError(
            f"there is a baseline {name!r} already ({path}); renew it with `benchkit drift baseline renew {name}`, "
            "delete it, or take another name"
        )
    digest = _digest(kept.facts, kept.arrays)
    # ASCII: half a surrogate pair in a canary's text has no UTF-8 form.
    head = json.dumps({"version": FORM_VERSION, "digest": digest, "facts": kept.facts})
    content = save({key: np.asarray(array, order="C") for key, array in kept.arrays.items()}, {_METADATA: head})
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{path}: a baseline of {len(content)} bytes; {MAX_FILE_BYTES} is the most that is read again")
    try:
        write_whole(path, content, is_synced=True)
    except OSError as exc:
        raise UsageError(f"{path}: the baseline can't be written ({exc.strerror or exc})") from exc
    return KeptBaseline(kept.facts, kept.arrays, digest, len(content))


def load_baseline(folder: Path, name: str) -> KeptBaseline:
    """Read a baseline.

    Raises:
        NotComparable: there is none of that name, or it was written by another version.
        UsageError: the file is damaged or isn't a baseline.
    """
    path = path_of(folder, name)
    content = _content(folder, path, name)
    arrays, head = _unpacked(path, name, content)
    if head.get("version") != FORM_VERSION:
        raise NotComparable(
            f"{path}: form {head.get('version')!r}, and this benchkit reads form {FORM_VERSION}; renew it: "
            f"benchkit drift baseline renew {name} --from SOURCE"
        )
    facts, digest = head.get("facts"), head.get("digest")
    if not isinstance(facts, dict) or not isinstance(digest, str) or digest != _digest_or_none(facts, arrays):
        raise _damaged(path, name, "its digest is not that of its content")
    return KeptBaseline(facts, arrays, digest, len(content))


def list_baselines(folder: Path) -> list[str]:
    """Return the names of the baselines in a folder, sorted; a folder that isn't there has none."""
    names = (path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}") if path.is_file())
    return sorted(name for name in names if _NAME.fullmatch(name))


def delete_baseline(folder: Path, name: str) -> None:
    """Remove a baseline.

    Raises:
        NotComparable: there is none of that name.
    """
    path = path_of(folder, name)
    if not path.exists():
        raise _missing(folder, name)
    path.unlink()


def path_of(folder: Path, name: str) -> Path:
    """Return the file of a baseline.

    Raises:
        UsageError: it can't be a name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} can't name a baseline: letters, digits, '.', '_' and '-', 100 at most")
    return folder / f"{name}{SUFFIX}"


def _content(folder: Path, path: Path, name: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _damaged(path, name, f"{size} bytes are more than a baseline ever has")
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(folder, name) from None
    except OSError as exc:
        raise UsageError(f"{path}: can't be read ({exc.strerror or exc})") from exc


def _unpacked(path: Path, name: str, content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        # The library has shown that the header is there and is JSON.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        head = json.loads(header["__metadata__"][_METADATA])
    except (KeyError, TypeError) as exc:
        raise _damaged(
            path, name, "a file without a baseline's head, or with an array of a kind that none has"
        ) from exc
    except (SafetensorError, ValueError, RecursionError) as exc:
        raise _damaged(path, name, str(exc)) from exc
    if not isinstance(head, dict):
        raise _damaged(path, name, "its head is no object")
    return arrays, head


def _digest(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    whole = hashlib.sha256(digest_json(facts).encode())
    for key in sorted(arrays):
        array = np.asarray(arrays[key], order="C")
        whole.update(f"{key} {array.dtype.str} {array.shape} ".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _digest_or_none(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str | None:
    try:
        return _digest(facts, arrays)
    except ValueError:  # a number that was damaged into infinity
        return None


def _missing(folder: Path, name: str) -> NotComparable:
    names = list_baselines(folder)
    others = f"there are {', '.join(names)}" if names else "there is none yet"
    return NotComparable(
        f"no baseline {name!r} in {folder} ({others}); make it: benchkit drift baseline create {name} --from SOURCE"
    )


def _damaged(path: Path, name: str, why: str) -> UsageError:
    return UsageError(
        f"{path}: the baseline is damaged ({why}); take it from a backup, or make it again: "
        f"benchkit drift baseline renew {name} --from SOURCE"
    )
