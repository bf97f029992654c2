"""A forward pass of BERT and its kin without padding: the tokens of all texts stand in one matrix.

    Network (network.py) + kernel ──> Packed
    ids of n texts, longest first ── Packed.token_vectors ──> (tokens, d) ── pool ──> (n, d)

sentence-transformers pads the texts of a batch to the longest; here every linear layer sees real tokens only, and
attention runs on the texts of one length at a time, so that no mask is needed. Linear layers, their activations and
the sums behind them go through one kernel (linear.py); query, key and value are one product.

Source of packing: Zhai et al., "ByteTransformer", IPDPS 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchkit.models.layer import Activation, Linear
from benchkit.models.linear import Kernel, feed_forward
from benchkit.models.network import Layer, Network, Norm
from benchkit.models.tokens import Ids

if TYPE_CHECKING:
    from torch import Tensor

POOLING_MODES = frozenset({"cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"})

# torch's attention on a CPU takes up to twice as long for a number of keys that isn't a multiple.
_KEYS = 16


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive texts of one length in a packed matrix."""

    texts: int
    length: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """A layer as the kernel holds it."""

    qkv: Linear
    out: Linear
    out_norm: Norm
    inner: Linear
    outer: Linear
    outer_norm: Norm


class Packed:
    """A network whose linear layers a kernel has taken over."""

    def __init__(self, network: Network, kernel: Kernel) -> None:
        import torch

        self._dtype, self._rows = getattr(torch, kernel.dtype), kernel.rows
        with torch.inference_mode():
            self._layers = [_prepared(layer, network.activation, kernel, self._dtype) for layer in network.layers]
        # A kernel that has its own form of the weights shouldn't hold the model's as well.
        self._network = replace(network, layers=())

    @property
    def device(self) -> Any:
        return self._network.words.device

    def token_vectors(self, ids: Sequence[Ids]) -> tuple[Tensor, list[Group]]:
        """Return the last layer's vectors of all tokens, (tokens, d) in the kernel's type, and what stands where.

        Args:
            ids: Of texts with at least one token each; those of one length stand together.
        """
        groups = [Group(len(list(same)), length) for length, same in groupby(len(row) for row in ids)]
        x = self._embedded(ids, groups).to(self._dtype)
        for layer in self._layers:
            x = self._transformed(layer, self._attended(layer.qkv(x), groups), x)
        return x, groups

    def _transformed(self, layer: _Ready, attended: Tensor, x: Tensor) -> Tensor:
        """Return a layer's output from what its tokens took from one another, some rows at a time."""
        import torch

        if self._rows is None or len(x) <= self._rows:
            return _behind_attention(layer, attended, x)
        found = torch.empty_like(x)
        for start in range(0, len(x), self._rows):
            part = slice(start, start + self._rows)
            found[part] = _behind_attention(layer, attended[part], x[part])
        return found

    def _embedded(self, ids: Sequence[Ids], groups: Sequence[Group]) -> Tensor:
        import torch

        network = self._network
        flat = np.concatenate(ids)
        places = positions(flat, groups, network.padding_id)
        x = torch.nn.functional.embedding(torch.from_numpy(flat).to(self.device), network.words)
        if network.type_row is not None:
            x += network.type_row
        x += torch.nn.functional.embedding(torch.from_numpy(places).to(self.device), network.positions)
        return _normed(x, network.norm)

    def _attended(self, qkv: Tensor, groups: Sequence[Group]) -> Tensor:
        """Return what each token takes from the tokens of its text, (tokens, d), from (tokens, 3 d)."""
        import torch

        found = torch.empty(len(qkv), qkv.shape[1] // 3, dtype=qkv.dtype, device=qkv.device)
        start = 0
        for group in groups:
            end = start + group.texts * group.length
            shape = group.texts, group.length, 3, self._network.heads, -1
            query, key, value = qkv[start:end].view(shape).permute(2, 0, 3, 1, 4).unbind()
            bias = self._bias(group.length)
            if qkv.device.type == "cpu" and bias is None and group.length % _KEYS >= _KEYS // 2:
                key, value, bias = _padded_keys(key, value)
            attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            found[start:end] = attended.transpose(1, 2).reshape(end - start, -1)
            start = end
        return found

    def _bias(self, length: int) -> Tensor | None:
        relative = self._network.relative_bias
        return None if relative is None else relative(length).to(self._dtype)


def _padded_keys(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return keys and values with room for whole steps of them, and the mask that leaves the room out."""
    import torch

    length = key.shape[2]
    more = -length % _KEYS
    mask = torch.zeros(length + more, dtype=key.dtype)
    mask[length:] = -torch.inf
    key, value = (torch.nn.functional.pad(one, (0, 0, 0, more)) for one in (key, value))
    return key, value, mask.expand(key.shape[0], 1, length, -1)


def _behind_attention(layer: _Ready, attended: Tensor, x: Tensor) -> Tensor:
    x = _normed(layer.out.added(attended, x), layer.out_norm)
    return _normed(feed_forward(layer.inner, layer.outer, x), layer.outer_norm)


def _prepared(layer: Layer, activation: Activation, kernel: Kernel, dtype: Any) -> _Ready:
    import torch

    three = (layer.query, layer.key, layer.value)
    norms = [Norm(norm.weight.to(dtype), norm.bias.to(dtype), norm.eps) for norm in (layer.out_norm, layer.outer_norm)]
    return _Ready(
        qkv=kernel.make(torch.cat([one.weight for one in three]), torch.cat([one.bias for one in three]), None),
        out=kernel.make(layer.out.weight, layer.out.bias, None),
        out_norm=norms[0],
        inner=kernel.make(layer.inner.weight, layer.inner.bias, activation),
        outer=kernel.make(layer.outer.weight, layer.outer.bias, None),
        outer_norm=norms[1],
    )


def positions(flat: Ids, groups: Iterable[Group], padding_id: int | None) -> NDArray[np.int32]:
    """Return the row of the position table for each token, int32 (tokens,).

    Args:
        padding_id: None counts 0, 1, 2, ... in each text. Else a text counts from padding_id + 1, and a padding token
            that somebody wrote into it has the position padding_id and isn't counted, as RoBERTa does it.

    >>> positions(np.array([7, 8, 9, 5], np.int32), [Group(1, 3), Group(1, 1)], None).tolist()
    [0, 1, 2, 0]
    >>> positions(np.array([7, 1, 9, 5], np.int32), [Group(1, 3), Group(1, 1)], 1).tolist()
    [2, 1, 3, 2]
    """
    found, start = [], 0
    for group in groups:
        end = start + group.texts * group.length
        if padding_id is None:
            found.append(np.tile(np.arange(group.length, dtype=np.int32), group.texts))
        else:
            is_counted = (flat[start:end] != padding_id).reshape(group.texts, group.length)
            counted = np.cumsum(is_counted, axis=1, dtype=np.int32) * is_counted + np.int32(padding_id)
            found.append(counted.ravel())
        start = end
    return np.concatenate(found)


def pool(tokens: Tensor, groups: Sequence[Group], modes: Sequence[str]) -> Tensor:
    """Return one float32 vector per text, those of several modes side by side, (n, modes * d)."""
    import torch

    found, start = [], 0
    for group in groups:
        end = start + group.texts * group.length
        vectors = tokens[start:end].view(group.texts, group.length, -1).float()
        found.append(torch.cat([_pooled(vectors, mode) for mode in modes], dim=1))
        start = end
    return torch.cat(found)


def _pooled(vectors: Tensor, mode: str) -> Tensor:
    """Return (n, d) from the token vectors (n, length, d) of texts of one length."""
    import torch

    length = vectors.shape[1]
    match mode:
        case "cls":
            found = vectors[:, 0]
        case "lasttoken":
            found = vectors[:, -1]
        case "max":
            found = vectors.amax(dim=1)
        case "mean":
            found = vectors.sum(dim=1) / length
        case "mean_sqrt_len_tokens":
            found = vectors.sum(dim=1) / length**0.5
        case "weightedmean":
            weights = torch.arange(1, length + 1, device=vectors.device, dtype=vectors.dtype).view(1, -1, 1)
            found = (vectors * weights).sum(dim=1) / weights.sum()
        case _:
            raise ValueError(f"no pooling {mode!r}")
    return found


def _normed(x: Tensor, norm: Norm) -> Tensor:
    import torch

    return torch.nn.functional.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)
