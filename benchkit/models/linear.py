"""Kernels of one linear layer, y = x W' + b, with what follows it in a transformer.

    weight (out, in), bias (out,) ── pick_kernel(tier, device).make ──> Linear
                                         x (t, in) ─┬─ linear(x)            ──> y (t, out)
                                                    ├─ linear.activated(x)  ──> act(y)
                                                    └─ linear.added(x, r)   ──> y + r

Which kernel computes is decided by the machine and by what the library can do, never by a clock: a rerun gives the
same bytes.

* On an x86 CPU oneDNN with weights packed once: against F.linear, one thread, 1024 x 384 x 1536, with its activation
  or its addition 1.07 times as fast on an Intel CPU with AMX, and 2.25 times on an AMD one (Zen 5), where torch's
  own matmul runs MKL's generic code. Its operators are private to torch: each is tried on a small product first
  (`onednn_works`), and where it is missing or wrong F.linear computes.
* float32 by three bfloat16 products, where the CPU has AMX: split_linear.py, asked for apart (`pick_split_kernel`).
* bfloat16 is oneDNN with half of the bits.
* int8 stores one scale for each output channel and takes one for each token as it comes; the products are summed as
  whole numbers (torch._int_mm, tried too). Source: Dettmers et al., "LLM.int8()", NeurIPS 2022, section 2, without
  its outliers in 16 bits.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchkit.models.layer import Activation, Linear
from benchkit.models.split_linear import ROWS, SplitLinear, load_library, split_expected

if TYPE_CHECKING:
    from torch import Tensor

Tier = Literal["float32", "bf16", "int8"]

# Words of /proc/cpuinfo; the last is Arm's.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})
_X86 = frozenset({"x86_64", "amd64", "i386", "i686"})
# Rows that weights are packed for. 64 and 1024 were equally fast for calls of 8 to 4096 rows; 1 was up to 1.5 times
# slower.
_PACKED_FOR = 1024
_LARGEST_INT8 = 127
# Of the small products that a kernel is tried on: float32 rounding is 1e-6 there, that of bfloat16 2e-2.
_TOLERANCE = {"float32": 1e-4, "bf16": 0.1}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A way of computing linear layers.

    Attributes:
        library: "torch", "onednn" or "bf16x3".
        make: weight (out, in) and bias (out,) float32, and what `activated` applies.
        dtype: Name of torch's type of what goes into the layer and comes out.
        note: What a reader of the figures should know; "" for nothing.
        rows: How many rows to take through consecutive layers at a time; None for all.
        is_alone: It computes on the calling thread, so that forward passes should run beside one another.
    """

    library: str
    make: Callable[[Tensor, Tensor, Activation | None], Linear]
    dtype: Literal["float32", "bfloat16"]
    note: str = ""
    rows: int | None = None
    is_alone: bool = False


def pick_kernel(tier: Tier, device: str) -> Kernel | str:
    """Return the kernel of a tier on this machine, or why there is none."""
    if tier == "int8":
        if device != "cpu":
            return "int8 is computed on the CPU only"
        if not int8_works():
            return "this torch or CPU has no exact int8 product (torch._int_mm)"
        return Kernel("torch", Int8Linear, "float32")
    use_onednn = device == "cpu" and is_x86() and onednn_works(tier)
    library = "onednn" if use_onednn else "torch"
    if tier == "float32":
        return Kernel(library, OneDnnLinear if use_onednn else PlainLinear, "float32")
    note = "" if device != "cpu" or _has_bf16() else "this CPU has no bfloat16 instructions, so bf16 is no faster"
    return Kernel(library, _bf16_onednn if use_onednn else _bf16_plain, "bfloat16", note)


def feed_forward(inner: Linear, outer: Linear, x: Tensor) -> Tensor:
    """Return outer.added(inner.activated(x), x)."""
    if isinstance(inner, SplitLinear) and isinstance(outer, SplitLinear):
        return inner.fed(x, outer)
    return outer.added(inner.activated(x), x)


def pick_split_kernel(device: str) -> Kernel | str:
    """Return the kernel that computes float32 by three bfloat16 products, or why there is none."""
    if device != "cpu" or not split_works():
        return no_split(device)
    return Kernel("bf16x3", _split, "float32", rows=ROWS, is_alone=True)


def no_split(device: str) -> str:
    if device != "cpu":
        return "bf16x3 is computed on the CPU only"
    return "this torch or CPU has no product of bfloat16 with a float32 sum (AMX)"


def is_x86() -> bool:
    return platform.machine().lower() in _X86


class PlainLinear:
    """torch's own."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None) -> None:
        self._weight, self._bias, self._activation = weight, bias, activation

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import linear

        return linear(x, self._weight, self._bias)

    def activated(self, x: Tensor) -> Tensor:
        assert self._activation is not None
        return self._activation.function(self(x))

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        return self(x).add_(residual)


class OneDnnLinear:
    """oneDNN's, by the operators that torch.compile uses."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None) -> None:
        import torch

        operators = torch.ops.mkldnn
        self._weight = operators._reorder_linear_weight(weight.contiguous(), _PACKED_FOR)
        self._bias, self._activation = bias, activation
        self._unary, self._binary = operators._linear_pointwise.default, operators._linear_pointwise.binary

    def __call__(self, x: Tensor) -> Tensor:
        return self._run(x, "none", "")

    def activated(self, x: Tensor) -> Tensor:
        assert self._activation is not None
        if self._activation.fused is None:
            return self._activation.function(self(x))
        return self._run(x, *self._activation.fused)

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        found: Tensor = self._binary(x, residual, self._weight, self._bias, "add")
        return found

    def _run(self, x: Tensor, name: str, algorithm: str) -> Tensor:
        found: Tensor = self._unary(x, self._weight, self._bias, name, [], algorithm)
        return found


def _bf16_plain(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    return PlainLinear(weight.bfloat16(), bias.bfloat16(), activation)


def _bf16_onednn(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    return OneDnnLinear(weight.bfloat16(), bias.bfloat16(), activation)


def _split(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    plain = OneDnnLinear if onednn_works("float32") else PlainLinear
    return SplitLinear(weight, bias, activation, plain(weight, bias, activation))


class Int8Linear:
    """8-bit weights with a scale per output channel, 8-bit inputs with a scale per token; float32 in and out."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: Activation | None) -> None:
        rounded, scale = _to_int8(weight)
        self._weight, self._scale = rounded.t().contiguous(), scale.reshape(1, -1)
        self._bias, self._activation = bias, activation

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        rounded, scale = _to_int8(x)
        product = torch._int_mm(rounded, self._weight).float().mul_(scale)
        return torch.addcmul(self._bias, product, self._scale)

    def activated(self, x: Tensor) -> Tensor:
        assert self._activation is not None
        return self._activation.function(self(x))

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        return self(x).add_(residual)


def _to_int8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return whole numbers in [-127, 127], int8 (n, d), and what one of them is worth in each row, float32 (n, 1)."""
    import torch

    # A row of zeros has no scale; any will do.
    scale = rows.abs().amax(dim=1, keepdim=True).div_(_LARGEST_INT8).clamp_(min=torch.finfo(torch.float32).tiny)
    return (rows / scale).round_().to(torch.int8), scale


# ---------------------------------------------------------------- what this machine can do


@functools.cache
def onednn_works(tier: Literal["float32", "bf16"]) -> bool:
    """Tell whether oneDNN's private operators are there and give the product, the GELU and the sum of F.linear."""
    make = OneDnnLinear if tier == "float32" else _bf16_onednn
    return _gives_the_product(make, "float32" if tier == "float32" else "bfloat16", rows=33, tolerance=_TOLERANCE[tier])


@functools.cache
def split_works() -> bool:
    """Tell whether this CPU and this torch have the product that split_linear.py needs, and it is right."""
    if not (is_x86() and split_expected()) or load_library() is None:
        return False
    return _gives_the_product(_split, "float32", rows=ROWS + 33, tolerance=_TOLERANCE["float32"])


def _gives_the_product(
    make: Callable[[Tensor, Tensor, Activation | None], Linear],
    dtype: Literal["float32", "bfloat16"],
    *,
    rows: int,
    tolerance: float,
) -> bool:
    import torch
    from torch.nn.functional import gelu, linear

    x, weight, bias, residual = (torch.as_tensor(value) for value in _sample(rows=rows))
    plain = linear(x, weight, bias)
    expected = (plain, gelu(plain), gelu(plain, approximate="tanh"), plain + residual)
    try:
        with torch.inference_mode():
            by_erf = make(weight, bias, Activation(gelu, ("gelu", "none")))
            by_tanh = make(weight, bias, Activation(gelu, ("gelu", "tanh")))
            inputs, added = (value.to(getattr(torch, dtype)) for value in (x, residual))
            found = (by_erf(inputs), by_erf.activated(inputs), by_tanh.activated(inputs), by_erf.added(inputs, added))
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return False  # another version of torch, or built without oneDNN
    pairs = zip(found, expected, strict=True)
    return all(bool((one.float() - other).abs().max() <= tolerance) for one, other in pairs)


@functools.cache
def int8_works() -> bool:
    """Tell whether torch's int8 product is there and exact, also at its largest sums: some CPUs saturate."""
    import torch

    generator = torch.Generator().manual_seed(0)
    left = torch.randint(-_LARGEST_INT8, _LARGEST_INT8 + 1, (33, 512), dtype=torch.int8, generator=generator)
    right = torch.randint(-_LARGEST_INT8, _LARGEST_INT8 + 1, (512, 48), dtype=torch.int8, generator=generator)
    left[0], right[:, 0] = _LARGEST_INT8, _LARGEST_INT8
    left[1] = -_LARGEST_INT8
    try:
        found = torch._int_mm(left, right)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return bool((found.long() == left.long() @ right.long()).all())


def _sample(*, rows: int) -> tuple[object, ...]:
    """Return x (rows, 48), weight (80, 48), bias (80,) and residual (rows, 80), float32."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = ((rows, 48), (80, 48), (80,), (rows, 80))
    x, weight, bias, residual = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return x, weight / np.float32(np.sqrt(48)), bias, residual


def _has_bf16() -> bool:
    """Tell whether the CPU computes bfloat16 by itself; True where the system doesn't say."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return True
    return not _BF16_FLAGS.isdisjoint(words)
