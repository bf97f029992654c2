"""Arrays as text in a JSON file, each once, and back bit by bit.

    array ── Packed.add ──> its name, the hash of its content ── forms: {name: dtype, shape, zlib}
    name ── Unpacked.get ──> array

The bytes are stored in planes: the first bytes of all elements, then the second ones. Digits and names differ in few of
their bytes, which lie together then, and the text is a fifth shorter. What an array unpacks to is bounded by dtype and
shape before a byte of it is unpacked, and these are bounded too: no file can ask for more than MAX_UNPACKED_BYTES.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchkit.store.scored_form import HASH_DIGITS, MAX_ELEMENTS, ArrayForm, Unfit, refuse

MAX_UNPACKED_BYTES = 2**30  # of all arrays together
_LINE = 100  # characters of packed data in a line
_LAST_CODE_POINT = 0x10FFFF

Array: TypeAlias = NDArray[Any]


class Packed:
    """The arrays of a file, each once; `add` returns the name of one."""

    def __init__(self) -> None:
        self.forms: dict[str, dict[str, Any]] = {}

    def add(self, values: Array) -> str:
        raw = values.tobytes()
        head = f"{values.dtype.str} {values.shape} "
        name = hashlib.sha256(head.encode() + raw).hexdigest()[:HASH_DIGITS]
        if name not in self.forms:
            packed = b64encode(zlib.compress(_planes(raw, values.dtype.itemsize), 9)).decode()
            lines = [packed[start : start + _LINE] for start in range(0, len(packed), _LINE)]
            self.forms[name] = {"dtype": values.dtype.str, "shape": list(values.shape), "zlib": lines}
        return name


def _planes(raw: bytes, size: int) -> bytes:
    """Return the first bytes of all elements, then the second ones, and so on.

    >>> _planes(b"a1b2c3", 2)
    b'abc123'
    """
    return np.frombuffer(raw, np.uint8).reshape(-1, size).T.tobytes() if raw else raw


class Unpacked:
    """The arrays of a file, each unpacked when it is first asked for; they can't be written to, being shared."""

    def __init__(self, forms: Mapping[str, ArrayForm]) -> None:
        self._forms = forms
        self._known: dict[str, Array] = {}
        total = 0
        for name, form in forms.items():
            total += _n_elements(f"arrays.{name}", form) * np.dtype(form.dtype).itemsize
        if total > MAX_UNPACKED_BYTES:
            refuse("arrays", f"{total} bytes when unpacked", f"at most {MAX_UNPACKED_BYTES}")

    def get(self, place: str, name: str, *, kinds: str, n_items: int, is_flat: bool = True) -> Array:
        """Return an array of one of NumPy's kinds, whose first (or only) axis has that many items."""
        if name not in self._forms:
            refuse(place, name, "the name of an entry of arrays")
        form = self._forms[name]
        if np.dtype(form.dtype).kind not in kinds:
            refuse(place, f"an array of {form.dtype}", "text" if kinds == "U" else "numbers")
        if form.shape[0] != n_items or (is_flat and len(form.shape) > 1):
            refuse(place, f"an array of shape {form.shape}", f"one for {n_items} items")
        if name not in self._known:
            self._known[name] = _unpack(f"arrays.{name}", form)
        return self._known[name]


def _n_elements(place: str, form: ArrayForm) -> int:
    # NumPy counts an empty axis as one of length 1 when it asks whether an array is too big.
    n_elements = math.prod(max(1, length) for length in form.shape)
    if n_elements > MAX_ELEMENTS:
        refuse(f"{place}.shape", str(form.shape), f"at most {MAX_ELEMENTS} elements")
    return n_elements


def _unpack(place: str, form: ArrayForm) -> Array:
    dtype = np.dtype(form.dtype)
    n_bytes = math.prod(form.shape) * dtype.itemsize
    try:
        packed = b64decode("".join(form.zlib), validate=True)
        stream = zlib.decompressobj()
        raw = stream.decompress(packed, n_bytes + 1)  # one more than there may be: never a bomb
    except (BadBase64, zlib.error, ValueError) as exc:
        raise Unfit(f"{place}.zlib: found damage ({exc}), should be base64 of zlib") from exc
    if len(raw) != n_bytes or not stream.eof or stream.unused_data:
        found = f"{len(raw)} bytes" if stream.eof and not stream.unused_data else "more or less"
        refuse(f"{place}.zlib", found, f"{n_bytes} bytes, as dtype and shape say")
    return _array(place, raw, dtype, form.shape)


def _array(place: str, raw: bytes, dtype: np.dtype[Any], shape: Sequence[int]) -> Array:
    if not raw:
        return np.empty(shape, dtype)
    # The same way back: as many planes as an element has bytes.
    values: Array = np.frombuffer(_planes(raw, len(raw) // dtype.itemsize), dtype).reshape(shape)
    if dtype.kind == "U" and values.view(dtype.str[0] + "u4").max() > _LAST_CODE_POINT:
        refuse(place, "something that is no text", "characters of Unicode")
    if dtype.kind == "b" and max(raw) > 1:
        refuse(place, str(max(raw)), "0 or 1")
    return values
