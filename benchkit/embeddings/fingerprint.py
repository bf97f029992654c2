"""Content identity: two things have one name here exactly when they hold the same content.

    text                 ── text_key ────── 16 bytes, the key of its vector in the cache
    weights, tokenizer   ── digest_files ── 64 hex digits, part of a model's fingerprint
    settings, prompts    ── digest_json ─── 32 hex digits
    the rows of a data set ─ digest_rows ── 32 hex digits

Every part is framed (by its length or by a digest of fixed length), so that moving a byte from one part to the next
changes the name. BLAKE2b cut to 128 bits: for a billion texts the chance of one accidental pair is below 2e-21.
Source: RFC 7693 (BLAKE2), FIPS 180-4 (SHA-256), RFC 8259 (JSON).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 16
_LENGTH_BYTES = 8


def text_key(text: str) -> bytes:
    """Return the 16 bytes that stand for a text; every Python string has one, lone surrogates too.

    No normalisation: a model sees the difference between a composed and a decomposed accent, so the key does as well.
    """
    return hashlib.blake2b(_encoded(text), digest_size=KEY_BYTES).digest()


def text_keys(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the keys of n texts, uint8 (n, 16), in their order."""
    joined = b"".join(map(text_key, texts))
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), KEY_BYTES)


def digest_files(paths: Iterable[Path], root: Path) -> str:
    """Return the SHA-256 (64 hex digits) of the files' names under root and their contents.

    The order of `paths` doesn't matter and a path given twice counts once. Symbolic links are read, but keep the name
    of the link: a hub snapshot and a copy of it have one digest.

    Raises:
        ValueError: a path isn't under root.
        OSError: a file can't be read.
    """
    base = root.absolute()
    by_name = {path.absolute().relative_to(base).as_posix(): path for path in paths}
    total = hashlib.sha256()
    for name in sorted(by_name, key=os.fsencode):
        with by_name[name].open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        total.update(_framed(os.fsencode(name)) + content)
    return total.hexdigest()


def digest_json(value: object) -> str:
    """Return 32 hex digits for anything that JSON can hold.

    The order of a mapping's keys doesn't matter. As in JSON, a tuple reads as a list and a number as a key reads as
    its text; 1 and 1.0 stay different.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: JSON has no form for a value.
    """
    return hashlib.blake2b(_canonical_json(value), digest_size=KEY_BYTES).hexdigest()


def digest_rows(rows: Iterable[object]) -> str:
    """Return 32 hex digits for a sequence of rows, each anything that JSON can hold; one row at a time in memory.

    The order of the rows matters. Raises what `digest_json` raises.
    """
    total = hashlib.blake2b(digest_size=KEY_BYTES)
    for row in rows:
        total.update(_framed(_canonical_json(row)))
    return total.hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _canonical_json(value: object) -> bytes:
    # Not ensure_ascii: it writes "😀" and the two lone surrogates "\ud83d\ude00" the same way.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _encoded(text)


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH_BYTES, "little") + part
