"""The header of a safetensors file: its tensors by name, and whether the file is whole.

Source of the format: github.com/huggingface/safetensors, "Format" (8 bytes of length, JSON, tensors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchkit.errors import ModelError

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # the limit of the safetensors library
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_LFS_START = b"version "  # the first eight bytes of a Git LFS pointer


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]
    end: int


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name; reads the header only.

    Raises:
        ModelError: the file isn't one, or it is shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        if start == _LFS_START:
            raise ModelError(f"{path}: a Git LFS pointer, not the weights; run: git lfs pull")
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > _LONGEST_HEADER:
            raise ModelError(f"{path}: not a safetensors file; copy or download it again")
        if _LENGTH_BYTES + length > size:
            raise ModelError(f"{path}: truncated: its header has {length} bytes, the file {size}; download it again")
        tensors = _parse_header(path, file.read(length))
    expected = _LENGTH_BYTES + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size != expected:
        state = "truncated" if size < expected else "damaged"
        raise ModelError(f"{path}: {state}: its tensors end at byte {expected}, the file at {size}; download it again")
    return tensors


def _parse_header(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        entries = json.loads(content)
        return {
            name: Tensor(str(entry["dtype"]), tuple(entry["shape"]), int(entry["data_offsets"][1]))
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise ModelError(f"{path}: not a safetensors file; copy or download it again") from exc


def count_floats(tensors: Mapping[str, Tensor]) -> int:
    """Return the number of floating-point weights."""
    return sum(math.prod(tensor.shape) for tensor in tensors.values() if tensor.dtype in _FLOATS)
