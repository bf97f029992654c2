"""What a linear layer is to the forward pass (packed.py), whichever kernel computes it (linear.py, split_linear.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Linear(Protocol):
    """One linear layer."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def activated(self, x: Tensor) -> Tensor:
        """Return the activation of the product."""
        ...

    def added(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return the product plus the residual (t, out)."""
        ...


@dataclass(frozen=True, slots=True)
class Activation:
    """What stands behind a linear layer.

    Attributes:
        function: The model's own.
        fused: Its name and algorithm in oneDNN, which then computes it while the product is in registers.
    """

    function: Callable[[Tensor], Tensor]
    fused: tuple[str, str] | None = None
