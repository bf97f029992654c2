"""How many tokens go through a model at a time, and what happens when the memory is too small for them.

sizes, in the order of the texts (n,) ── Budget.run ── compute(slice) ── results, each of a part
                                          └─ out of memory: half of the tokens, from then on
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import ModelError
from benchkit.models.linear import Tier

# On a CPU: the intermediate values of so many tokens stay in its caches, and each step is large enough to be worth
# starting. For MiniLM, one thread: 1024 and 4096 equal for float32, 4096 11 % faster for bf16 and 45 % slower for int8.
CPU_FORWARD_TOKENS: Mapping[Tier, int] = {"float32": 1024, "bf16": 4096, "int8": 1024}
# Tokens of a call: enough that texts of like length are found together, and little enough to see the progress.
CPU_CALL_TOKENS = 4096
_FEWEST, _MOST = 4096, 131_072
# Of the free memory: the allocator keeps blocks of sizes that no longer fit, and others use the device too.
_SHARE = 0.5
_FLOAT_BYTES = 4
# Vectors of the hidden size that are alive at once in a layer: input, query, key, value, attended, output, two sums.
_HIDDEN_VECTORS = 8

T = TypeVar("T")


class Budget:
    """The most tokens of one forward pass; halved, for good, when the device runs out of memory.

    Args:
        most: Tokens (or whatever `sizes` count); None for no limit.
        label: Names the model in an error.
    """

    def __init__(self, most: int | None, label: str) -> None:
        self.most = most
        self._label = label

    def run(self, sizes: NDArray[np.int64], compute: Callable[[slice], T]) -> Iterator[T]:
        """Call `compute` on consecutive parts of the items and yield what it returns.

        Raises:
            ModelError: a single item doesn't fit into the memory.
        """
        start = 0
        while start < len(sizes):
            end = self._end(sizes, start)
            fitted, found = _tried(compute, slice(start, end))
            if fitted:
                yield from found
                start = end
                continue
            if end - start == 1:
                raise ModelError(self._complaint(int(sizes[start])))
            self.most = max(int(sizes[start:end].sum()) // 2, 1)
            _free()

    def parts(self, sizes: NDArray[np.int64]) -> list[slice]:
        """Return consecutive parts of the items that fit, where the memory is no question."""
        found: list[slice] = []
        while (start := found[-1].stop if found else 0) < len(sizes):
            found.append(slice(start, self._end(sizes, start)))
        return found

    def _end(self, sizes: NDArray[np.int64], start: int) -> int:
        if self.most is None:
            return len(sizes)
        fits = int(np.searchsorted(np.cumsum(sizes[start:]), self.most, side="right"))
        return start + max(fits, 1)

    def _complaint(self, size: int) -> str:
        return (
            f"model {self._label!r}: the device has too little memory for one text ({size} tokens); set a smaller "
            "max_seq_length, take a smaller model or --device cpu"
        )


def tokens_that_fit(free_bytes: int, *, hidden: int, intermediate: int, heads: int, longest: int) -> int:
    """Return how many tokens of texts of this length a pass may hold, a power of two within [4096, 131072].

    Coarse on purpose: the parts of a batch, and with them the last bits of the vectors, shouldn't change with a few
    megabytes that another process holds.

    >>> tokens_that_fit(2**30, hidden=384, intermediate=1536, heads=12, longest=256)
    8192
    """
    # Attention may hold a float for each pair of tokens and head, before and after the softmax.
    floats = _HIDDEN_VECTORS * hidden + 2 * intermediate + 2 * heads * longest
    fits = int(free_bytes * _SHARE) // (floats * _FLOAT_BYTES)
    return int(min(max(2 ** (max(fits, 1).bit_length() - 1), _FEWEST), _MOST))


def _tried(compute: Callable[[slice], T], part: slice) -> tuple[bool, tuple[T, ...]]:
    """Return whether the device had the memory, and what was computed; the error isn't kept, since it holds tensors."""
    import torch

    try:
        return True, (compute(part),)
    except torch.cuda.OutOfMemoryError:  # torch.OutOfMemoryError, where that exists (2.5)
        return False, ()


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
