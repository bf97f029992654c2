"""The weights of BERT and its kin under one name each, as models/packed.py computes with them.

    transformers model ── read_network ──> Network, or Unsupported

Read are BertModel, RobertaModel, XLMRobertaModel, CamembertModel, MPNetModel and DistilBertModel of transformers,
with layers that are torch's own Linear, LayerNorm and Embedding. Whatever isn't known here is `Unsupported`; whether
the vectors are right is for parity.py to say.

Sources: Devlin et al., "BERT", NAACL 2019; Song et al., "MPNet", NeurIPS 2020 (relative positions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchkit.models.layer import Activation

if TYPE_CHECKING:
    from torch import Tensor

MODEL_TYPES: Mapping[str, str] = {
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "camembert": "CamembertModel",
    "mpnet": "MPNetModel",
    "distilbert": "DistilBertModel",
}

# Names of transformers' activations and what oneDNN calls them.
_FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}
# Positions of these begin behind the id of the padding token.
_COUNTED_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})


class Unsupported(Exception):
    """A model that this forward pass isn't written for; the message says what about it, after "it has" or the like."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm over vectors of d: weight and bias (d,)."""

    weight: Tensor
    bias: Tensor
    eps: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer: torch's Linear modules and two norms, each behind the sum with its input."""

    query: Any
    key: Any
    value: Any
    out: Any
    out_norm: Norm
    inner: Any
    outer: Any
    outer_norm: Norm


@dataclass(frozen=True, slots=True)
class Network:
    """What a model is made of.

    Attributes:
        words, positions: Embedding tables (vocabulary, d) and (longest, d).
        type_row: What is added to each token for being in the first of two texts (d,); None for nothing.
        padding_id: Where positions count from it, the padding token; else None, and they count from 0.
        relative_bias: Of MPNet: length -> (1, heads, length, length), added to the attention scores.
    """

    words: Tensor
    positions: Tensor
    type_row: Tensor | None
    norm: Norm
    heads: int
    layers: tuple[Layer, ...]
    activation: Activation
    padding_id: int | None
    relative_bias: Callable[[int], Tensor] | None


def read_network(model: Any) -> Network:
    """Return the parts of a transformers model; its tensors are shared, not copied.

    Raises:
        Unsupported: it isn't one of the known kind, or something in it is out of the ordinary.
    """
    _check(model)
    kind = model.config.model_type
    if kind == "distilbert":
        return _read_distilbert(model)
    layers = tuple(_read_layer(layer, is_mpnet=kind == "mpnet") for layer in model.encoder.layer)
    tables = model.embeddings
    types = getattr(tables, "token_type_embeddings", None)
    return Network(
        words=_table(tables.word_embeddings),
        positions=_table(tables.position_embeddings),
        type_row=None if types is None else _table(types)[0],
        norm=_norm(tables.LayerNorm),
        heads=model.config.num_attention_heads,
        layers=layers,
        activation=_activation(model.config.hidden_act, model.encoder.layer[0].intermediate.intermediate_act_fn),
        padding_id=tables.padding_idx if kind in _COUNTED_FROM_PADDING else None,
        relative_bias=_mpnet_bias(model) if kind == "mpnet" else None,
    )


def _check(model: Any) -> None:
    import torch

    config = model.config
    expected = MODEL_TYPES.get(config.model_type)
    named = type(model).__name__
    if named != expected or not type(model).__module__.startswith("transformers."):
        raise Unsupported(f"there is no packed forward pass for {named}")
    positions = getattr(config, "position_embedding_type", None)
    odd = {
        f"position embeddings of type {positions}": positions not in (None, "absolute"),
        "a decoder's mask": bool(getattr(config, "is_decoder", False)),
        "cross attention": bool(getattr(config, "add_cross_attention", False)),
        "pruned heads": bool(getattr(config, "pruned_heads", None)),
        "an adapter": bool(getattr(model, "_hf_peft_config_loaded", False)),
        "quantised weights": getattr(model, "hf_quantizer", None) is not None,
        "weights that aren't float32": any(weight.dtype != torch.float32 for weight in model.parameters()),
    }
    for what, is_there in odd.items():
        if is_there:
            raise Unsupported(f"it has {what}")


def _read_layer(layer: Any, *, is_mpnet: bool) -> Layer:
    attention = layer.attention
    if is_mpnet:
        own = attention.attn
        query, key, value, out, norm = own.q, own.k, own.v, own.o, attention.LayerNorm
    else:
        own = attention.self
        query, key, value = own.query, own.key, own.value
        out, norm = attention.output.dense, attention.output.LayerNorm
    return Layer(
        query=_linear(query),
        key=_linear(key),
        value=_linear(value),
        out=_linear(out),
        out_norm=_norm(norm),
        inner=_linear(layer.intermediate.dense),
        outer=_linear(layer.output.dense),
        outer_norm=_norm(layer.output.LayerNorm),
    )


def _read_distilbert(model: Any) -> Network:
    tables, blocks = model.embeddings, model.transformer.layer
    layers = tuple(
        Layer(
            query=_linear(block.attention.q_lin),
            key=_linear(block.attention.k_lin),
            value=_linear(block.attention.v_lin),
            out=_linear(block.attention.out_lin),
            out_norm=_norm(block.sa_layer_norm),
            inner=_linear(block.ffn.lin1),
            outer=_linear(block.ffn.lin2),
            outer_norm=_norm(block.output_layer_norm),
        )
        for block in blocks
    )
    return Network(
        words=_table(tables.word_embeddings),
        positions=_table(tables.position_embeddings),
        type_row=None,
        norm=_norm(tables.LayerNorm),
        heads=model.config.n_heads,
        layers=layers,
        activation=_activation(model.config.activation, blocks[0].ffn.activation),
        padding_id=None,
        relative_bias=None,
    )


def _linear(module: Any) -> Any:
    import torch

    # An adapter, a quantised layer, a parametrisation: each is another class.
    if type(module) is not torch.nn.Linear or module.bias is None:
        raise Unsupported(f"it has a {type(module).__name__} where a Linear with a bias is expected")
    return module


def _norm(module: Any) -> Norm:
    import torch

    if type(module) is not torch.nn.LayerNorm or module.weight is None or module.bias is None:
        raise Unsupported(f"it has a {type(module).__name__} where a LayerNorm with weight and bias is expected")
    return Norm(module.weight, module.bias, module.eps)


def _table(module: Any) -> Tensor:
    import torch

    if type(module) is not torch.nn.Embedding or module.max_norm is not None:
        raise Unsupported(f"it has a {type(module).__name__} where an Embedding is expected")
    return module.weight


def _activation(name: object, function: Callable[[Tensor], Tensor]) -> Activation:
    return Activation(function, _FUSED.get(name) if isinstance(name, str) else None)


def _mpnet_bias(model: Any) -> Callable[[int], Tensor]:
    """Return MPNet's bias by length; that of the longest so far is kept, since it only depends on distances."""
    import torch

    table, bucket_of = _table(model.encoder.relative_attention_bias), type(model.encoder).relative_position_bucket
    kept: list[Tensor] = []

    def bias(length: int) -> Tensor:
        if not kept or kept[0].shape[-1] < length:
            places = torch.arange(length, device=table.device)
            buckets = bucket_of(places[None, :] - places[:, None])
            kept[:] = [torch.nn.functional.embedding(buckets, table).permute(2, 0, 1).unsqueeze(0).contiguous()]
        return kept[0][..., :length, :length]

    return bias
