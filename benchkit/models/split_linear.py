"""A float32 linear layer by the bfloat16 units of a CPU: each number in two parts, three products.

    x = hi + lo, W = Whi + Wlo, each part bfloat16 (8 bits), so that 16 of float32's 24 bits are kept
    x W' + b ~ b + lo Whi' + hi Wlo' + hi Whi', summed in float32; lo Wlo' is below what is kept

    x (t, in) float32 ── 512 rows at a time ── hi, lo bfloat16 ── three products for each block of W, added up ──> y

The error is about 2^-16 of a product's size, which leaves some 1e-6 on a unit vector; the parity gate (parity.py)
decides. AMX multiplies bfloat16 ten times as fast as the float32 units multiply float32 (1863 against 187 GFLOP/s).

The product bfloat16 x bfloat16 -> float32 is `at::native::cpublas::brgemm`, declared for others in a header that torch
ships (ATen/native/CPUBlas.h); no operator of torch's Python gives it on a CPU. It is looked up by its C++ name, which
holds the types of its arguments, and tried before it is used (`split_works`): where it is missing or wrong, or the CPU
has no AMX, another kernel computes. It runs on the calling thread alone, so workers.py runs forward passes beside one
another; a thread that has more than two helpers leaves the product to float32.

Rows with infinity, NaN or a number that rounds to infinity in bfloat16 are computed again in float32: lo would be
inf - inf, and everything NaN. Few rows are computed in float32 at once, which is faster.

Source: Henry, Tang, Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
Computations", ARITH 2019, section III.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from benchkit.models.layer import Activation, Linear

# Of one call. Both layers of a feed-forward block, 1024 x 384 x 1536 on one thread of a busy machine: 512 rows and
# blocks of 384 took 8.8 ms, 256 rows 9.6, 128 rows 11.9, blocks of 192 10.6, more of either no less; float32 13.6.
ROWS = 512
_BLOCK = 384
# Rows that are split at a time.
_SPLIT_ROWS = 128
# Up to here the float32 product is faster: it reads each weight once, and not three times.
FEW = 32
# As many threads of float32 are as fast as the one of the split product.
_MOST_THREADS = 2
# A kernel is made for each number of rows, so there are few; AMX takes 16 rows at once.
_ROW_STEPS = (48, 64, 96, 128, 160, 192, 256, 320, 384, 448, ROWS)
# Numbers of the inner side that AMX takes at once.
_INNER_STEP = 32
_BRGEMM = "_ZN2at6native7cpublas6brgemmEllllllbPKN3c108BFloat16ES5_Pfb"
_RELEASE = "_ZN2at6native7cpublas14brgemm_releaseEb"
_DECLARED = "CPUBLAS_BRGEMM_BF16BF16F32"
# Words of /proc/cpuinfo.
_AMX = frozenset({"amx_bf16", "amx_tile"})


@dataclass(frozen=True, slots=True)
class Library:
    """The two functions of torch's library.

    Attributes:
        multiply: rows, columns, inner, strides of a, b and c, whether c is added to, a, b, c, b is packed by pairs.
        release: Gives the tiles of the CPU back, which every other user of them has to find free.
    """

    multiply: Callable[..., None]
    release: Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class _Halves:
    """Where the parts of x are, the stride of their rows, and whether all of x is finite."""

    hi: int
    lo: int
    stride: int
    is_finite: bool


class _Room:
    """Memory to split into; taken anew it would cost as much as the splitting."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def split(self, x: Tensor) -> _Halves:
        """Return x (rows, inner) rounded to bfloat16, and what the rounding left; they stay until the next call."""
        import torch

        rows, width = x.shape
        if width not in self._kept:
            # Zero behind the width, and always so.
            shape = ROWS, width + -width % _INNER_STEP
            left, right = (torch.zeros(shape, dtype=torch.bfloat16) for _ in range(2))
            self._kept[width] = left, right, torch.empty(_SPLIT_ROWS, width)
        all_hi, all_lo, room = self._kept[width]
        is_finite = True
        for start in range(0, rows, _SPLIT_ROWS):
            end = min(start + _SPLIT_ROWS, rows)
            part, hi, lo, rest = x[start:end], all_hi[start:end, :width], all_lo[start:end, :width], room[: end - start]
            hi.copy_(part)
            rest.copy_(hi)
            torch.sub(part, rest, out=rest)
            lo.copy_(rest)
            is_finite = is_finite and math.isfinite(rest.sum())
        return _Halves(all_hi.data_ptr(), all_lo.data_ptr(), all_hi.stride(0), is_finite)


class _Scratch(threading.local):
    """What each thread computes in."""

    def __init__(self) -> None:
        import torch

        self.input, self.between = _Room(), _Room()
        self.block = torch.zeros(ROWS, _BLOCK)


@functools.cache
def _scratch() -> _Scratch:
    return _Scratch()


@dataclass(frozen=True, slots=True)
class _Block:
    """Up to _BLOCK x _BLOCK of a weight, its two parts as AMX reads them: (inner / 2, columns, 2), pairs of `inner`."""

    hi: Tensor
    lo: Tensor


class SplitLinear:
    """Three bfloat16 products in place of one of float32.

    Args:
        plain: The same layer in float32, for few rows and for what isn't finite.
    """

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None, plain: Linear) -> None:
        library = load_library()
        assert library is not None  # split_works() was asked
        self._multiply, self._release = library.multiply, library.release
        self._out, width = weight.shape
        # By parts of the inner side, then of the columns of y.
        self._blocks = [[_block(weight[columns, inner]) for columns in _slices(self._out)] for inner in _slices(width)]
        self._bias, self._activation, self._plain = bias, activation, plain

    def __call__(self, x: Tensor) -> Tensor:
        return self._plain(x) if _is_plain(x) else self._product(x, None)

    def activated(self, x: Tensor) -> Tensor:
        return self._plain.activated(x) if _is_plain(x) else self._activate(self._product(x, None))

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        return self._plain.added(x, residual) if _is_plain(x) else self._product(x, residual)

    def fed(self, x: Tensor, outer: SplitLinear) -> Tensor:
        """Return outer.added(self.activated(x), x); what is between never leaves the cache."""
        import torch

        if _is_plain(x):
            return outer._plain.added(self._plain.activated(x), x)
        y = torch.empty(_padded(len(x)), outer._out)
        for part in _slices(len(x), ROWS):
            self._feed(y[part.start : part.start + ROWS], x[part], outer)
        return y[: len(x)]

    def _product(self, x: Tensor, residual: Tensor | None) -> Tensor:
        """Return the product plus the bias, and plus the residual."""
        import torch

        y = torch.empty(_padded(len(x)), self._out)
        for part in _slices(len(x), ROWS):
            self._fill(y[part.start : part.start + ROWS], x[part], None if residual is None else residual[part])
        return y[: len(x)]

    def _fill(self, y: Tensor, x: Tensor, residual: Tensor | None) -> None:
        """Compute up to ROWS rows of y, which has room for a whole step of them."""
        halves = _scratch().input.split(x)
        self._start(y[: len(x)], residual)
        for inner in range(len(self._blocks)):
            for column, block in enumerate(self._blocks[inner]):
                self._add(y, column * _BLOCK, block, halves, inner * _BLOCK)
        self._release(True)
        if not halves.is_finite:
            y[: len(x)] = self._plain(x) if residual is None else self._plain.added(x, residual)

    def _feed(self, y: Tensor, x: Tensor, outer: SplitLinear) -> None:
        scratch, rows = _scratch(), len(x)
        halves = scratch.input.split(x)
        is_finite = halves.is_finite
        outer._start(y[:rows], x)
        for column, columns in enumerate(_slices(self._out)):
            between = scratch.block[: len(y), : columns.stop - columns.start]
            between[:rows] = self._bias[columns]
            for inner, blocks in enumerate(self._blocks):
                self._add(between, 0, blocks[column], halves, inner * _BLOCK)
            split = scratch.between.split(self._activate(between[:rows]))
            is_finite = is_finite and split.is_finite
            for place, block in enumerate(outer._blocks[column]):
                self._add(y, place * _BLOCK, block, split, 0)
        self._release(True)
        if not is_finite:
            y[:rows] = outer._plain.added(self._plain.activated(x), x)

    def _activate(self, y: Tensor) -> Tensor:
        import torch

        assert self._activation is not None
        name, algorithm = self._activation.fused or ("", "")
        if name == "gelu":
            return torch.ops.aten.gelu_(y, approximate=algorithm)  # type: ignore[no-any-return]
        return self._activation.function(y)

    def _start(self, y: Tensor, residual: Tensor | None) -> None:
        import torch

        if residual is None:
            y.copy_(self._bias)
        else:
            torch.add(residual, self._bias, out=y)

    def _add(self, y: Tensor, start: int, block: _Block, x: _Halves, inner: int) -> None:
        """Add a block's product to the columns of y from `start` on; `inner` is where the block begins in x."""
        pairs, columns, _ = block.hi.shape
        to, skipped = y.data_ptr() + start * y.element_size(), inner * block.hi.element_size()
        hi, lo, hi_w, lo_w = x.hi + skipped, x.lo + skipped, block.hi.data_ptr(), block.lo.data_ptr()
        # The small ones first.
        for left, right in ((lo, hi_w), (hi, lo_w), (hi, hi_w)):
            self._multiply(len(y), columns, 2 * pairs, x.stride, columns, y.stride(0), True, left, right, to, True)


def _is_plain(x: Tensor) -> bool:
    """Tell whether float32 is faster: for few rows, and where it has many threads."""
    import torch

    return len(x) <= FEW or torch.get_num_threads() > _MOST_THREADS


def _block(part: Tensor) -> _Block:
    hi = part.bfloat16()
    return _Block(_paired(hi), _paired((part - hi).bfloat16()))


def _paired(part: Tensor) -> Tensor:
    import torch

    padded = torch.nn.functional.pad(part, (0, -part.shape[1] % _INNER_STEP))
    return padded.view(len(part), -1, 2).transpose(0, 1).contiguous()


def _slices(size: int, step: int = _BLOCK) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _padded(rows: int) -> int:
    whole, left = divmod(rows, ROWS)
    return whole * ROWS + (next(step for step in _ROW_STEPS if step >= left) if left else 0)


# ---------------------------------------------------------------- what this machine can do


@functools.cache
def split_expected() -> bool:
    """Tell whether the CPU has AMX for bfloat16 and this torch declares the product; torch is not imported."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None or not _AMX.issubset(words):
            return False
        header = Path(spec.origin).parent / "include" / "ATen" / "native" / "CPUBlas.h"
        return _DECLARED in header.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


@functools.cache
def load_library() -> Library | None:
    """Return torch's functions; None where this torch has none of these names."""
    import torch

    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        multiply, release = library[_BRGEMM], library[_RELEASE]
    except (OSError, AttributeError):
        return None
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    multiply.argtypes = [*[number] * 6, ctypes.c_bool, *[pointer] * 3, ctypes.c_bool]
    release.argtypes = [ctypes.c_bool]
    multiply.restype = release.restype = None
    return Library(multiply, release)
