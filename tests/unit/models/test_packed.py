"""The packed forward pass; transformers' own with padding is the twin."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from benchkit.models.layer import Activation
from benchkit.models.linear import Kernel, PlainLinear, pick_kernel
from benchkit.models.network import Unsupported, read_network
from benchkit.models.packed import Group, Packed, pool, positions

VOCABULARY, HIDDEN, LONGEST = 40, 32, 24
PADDING_ID = 1
PLAIN = Kernel("torch", PlainLinear, "float32")


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def _sizes(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST + PADDING_ID + 1,
        "initializer_range": 0.3,
        "pad_token_id": PADDING_ID,
        **more,
    }


def make_bert(**more: Any) -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**_sizes(**more)))


def make_xlm_roberta(**more: Any) -> Any:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    return XLMRobertaModel(XLMRobertaConfig(**_sizes(**more)))


def make_roberta(**more: Any) -> Any:
    from transformers import RobertaConfig, RobertaModel

    return RobertaModel(RobertaConfig(**_sizes(**more)))


def make_camembert(**more: Any) -> Any:
    from transformers import CamembertConfig, CamembertModel

    return CamembertModel(CamembertConfig(**_sizes(**more)))


def make_mpnet(**more: Any) -> Any:
    from transformers import MPNetConfig, MPNetModel

    return MPNetModel(MPNetConfig(**_sizes(**more)))


def make_distilbert(**more: Any) -> Any:
    from transformers import DistilBertConfig, DistilBertModel

    sizes = _sizes(**more)
    renamed = {
        "dim": sizes.pop("hidden_size"),
        "n_layers": sizes.pop("num_hidden_layers"),
        "n_heads": sizes.pop("num_attention_heads"),
        "hidden_dim": sizes.pop("intermediate_size"),
    }
    return DistilBertModel(DistilBertConfig(**sizes, **renamed))


MAKERS: dict[str, Callable[..., Any]] = {
    "bert": make_bert,
    "roberta": make_roberta,
    "xlm-roberta": make_xlm_roberta,
    "camembert": make_camembert,
    "mpnet": make_mpnet,
    "distilbert": make_distilbert,
}


@pytest.fixture(scope="module", params=MAKERS)
def model(request: pytest.FixtureRequest) -> Any:
    return randomised(MAKERS[request.param]())


def randomised(model: Any) -> Any:
    """Give biases and norms values that show when they are left out."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.copy_(torch.rand_like(weight) + 0.5 if name.endswith("weight") else torch.randn_like(weight))
    return model.eval()


def texts_of(lengths: list[int], *, seed: int = 0) -> list[NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(PADDING_ID + 1, VOCABULARY, length).astype(np.int32) for length in lengths]


def by_transformers(model: Any, texts: list[NDArray[np.int32]]) -> torch.Tensor:
    """Return the token vectors of padded texts, one after the other (tokens, d)."""
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), PADDING_ID, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.from_numpy(text)
        mask[row, : len(text)] = 1
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden[mask.bool()]


def largest_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    return float((left - right).abs().max())


# ---------------------------------------------------------------- the twin


def test_every_length_alone_gives_the_vectors_of_transformers(model: Any) -> None:
    packed = Packed(read_network(model), PLAIN)
    for length in range(1, LONGEST + 1):
        texts = texts_of([length], seed=length)
        found, groups = packed.token_vectors(texts)
        assert groups == [Group(1, length)]
        assert largest_difference(found, by_transformers(model, texts)) < 1e-5


def test_mixed_lengths_give_the_vectors_of_transformers_with_padding(model: Any) -> None:
    texts = texts_of([LONGEST, 17, 17, 17, 9, 5, 5, 1])
    found, groups = Packed(read_network(model), PLAIN).token_vectors(texts)
    assert groups == [Group(1, LONGEST), Group(3, 17), Group(1, 9), Group(2, 5), Group(1, 1)]
    assert largest_difference(found, by_transformers(model, texts)) < 1e-5


def test_a_longer_text_after_a_shorter_one_gives_the_vectors_of_transformers(model: Any) -> None:
    packed = Packed(read_network(model), PLAIN)
    packed.token_vectors(texts_of([3]))
    texts = texts_of([20, 2])
    assert largest_difference(packed.token_vectors(texts)[0], by_transformers(model, texts)) < 1e-5


def test_a_padding_token_within_a_text_has_the_position_that_transformers_gives_it(model: Any) -> None:
    texts = texts_of([9, 9, 4])
    texts[0][3] = texts[1][0] = texts[2][-1] = PADDING_ID
    found, _ = Packed(read_network(model), PLAIN).token_vectors(texts)
    assert largest_difference(found, by_transformers(model, texts)) < 1e-5


def test_the_kernel_of_this_machine_gives_the_vectors_of_transformers(model: Any) -> None:
    kernel = pick_kernel("float32", "cpu")
    assert not isinstance(kernel, str)
    texts = texts_of([LONGEST, 17, 17, 5, 1])
    found, _ = Packed(read_network(model), kernel).token_vectors(texts)
    assert largest_difference(found, by_transformers(model, texts)) < 1e-5


@pytest.mark.parametrize(
    "activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "quick_gelu", "gelu_10"]
)
def test_each_activation_gives_the_vectors_of_transformers(activation: str) -> None:
    model = randomised(make_bert(hidden_act=activation))
    texts = texts_of([12, 3])
    kernel = pick_kernel("float32", "cpu")
    assert not isinstance(kernel, str)
    for one in (PLAIN, kernel):
        found, _ = Packed(read_network(model), one).token_vectors(texts)
        assert largest_difference(found, by_transformers(model, texts)) < 1e-5


def test_the_eps_of_a_norm_is_the_model_s() -> None:
    model = randomised(make_bert(layer_norm_eps=0.5))
    texts = texts_of([12, 3])
    found, _ = Packed(read_network(model), PLAIN).token_vectors(texts)
    assert largest_difference(found, by_transformers(model, texts)) < 1e-5


def test_what_stands_beside_a_text_does_not_move_its_vectors(model: Any) -> None:
    packed = Packed(read_network(model), PLAIN)
    one = texts_of([7])[0]
    alone, _ = packed.token_vectors([one])
    rng = np.random.default_rng(5)
    for seed in range(10):
        others = texts_of(sorted(rng.integers(1, LONGEST + 1, 6).tolist(), reverse=True), seed=seed)
        together = sorted([one, *others], key=len, reverse=True)
        start = sum(len(text) for text in together[: next(at for at, text in enumerate(together) if text is one)])
        found, _ = packed.token_vectors(together)
        assert largest_difference(found[start : start + 7], alone) < 1e-5


def test_the_model_s_tensors_are_shared_and_its_layers_are_let_go() -> None:
    model = make_bert()
    network = read_network(model)
    assert network.words.data_ptr() == model.embeddings.word_embeddings.weight.data_ptr()
    assert network.layers[0].inner is model.encoder.layer[0].intermediate.dense
    assert Packed(network, PLAIN)._network.layers == ()


# ---------------------------------------------------------------- positions and pooling


def test_positions_by_hand() -> None:
    flat = np.array([5, 6, 7, 8, 1, 9], np.int32)
    groups = [Group(2, 2), Group(2, 1)]
    assert positions(flat, groups, None).tolist() == [0, 1, 0, 1, 0, 0]
    # the padding token stays at its own row and isn't counted
    assert positions(flat, groups, 1).tolist() == [2, 3, 2, 3, 1, 2]


TOKENS = torch.tensor([[1.0, -8.0], [3.0, -4.0], [2.0, 0.0], [5.0, 5.0]])


@pytest.mark.parametrize(
    ("mode", "first", "second"),
    [
        ("cls", [1, -8], [5, 5]),
        ("lasttoken", [2, 0], [5, 5]),
        ("max", [3, 0], [5, 5]),
        ("mean", [2, -4], [5, 5]),
        ("mean_sqrt_len_tokens", [6 / 3**0.5, -12 / 3**0.5], [5, 5]),
        ("weightedmean", [(1 + 6 + 6) / 6, (-8 - 8) / 6], [5, 5]),
    ],
)
def test_pooling_by_hand(mode: str, first: list[float], second: list[float]) -> None:
    found = pool(TOKENS, [Group(1, 3), Group(1, 1)], [mode])
    torch.testing.assert_close(found, torch.tensor([first, second], dtype=torch.float32))


@pytest.mark.parametrize("modes", [["cls"], ["max"], ["mean"], ["weightedmean"], ["lasttoken"], ["cls", "mean"]])
def test_pooling_gives_the_vectors_of_sentence_transformers(modes: list[str]) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    generator = torch.Generator().manual_seed(0)
    lengths = [6, 4, 4, 1]
    padded = torch.randn(4, 6, HIDDEN, generator=generator)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    expected = Pooling(HIDDEN, tuple(modes))({"token_embeddings": padded, "attention_mask": mask.long()})
    found = pool(padded[mask], [Group(1, 6), Group(2, 4), Group(1, 1)], modes)
    torch.testing.assert_close(found, expected["sentence_embedding"])


def test_several_poolings_stand_side_by_side() -> None:
    found = pool(TOKENS, [Group(1, 3), Group(1, 1)], ["cls", "max"])
    assert found.tolist() == [[1, -8, 3, 0], [5, 5, 5, 5]]


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="no pooling 'median'"):
        pool(TOKENS, [Group(1, 4)], ["median"])


# ---------------------------------------------------------------- what is refused


def refusal(model: Any) -> str:
    with pytest.raises(Unsupported) as caught:
        read_network(model)
    return str(caught.value)


def test_another_architecture_is_refused_by_name() -> None:
    from transformers import ElectraConfig, ElectraModel

    model = ElectraModel(ElectraConfig(**_sizes(embedding_size=HIDDEN)))
    assert refusal(model) == "there is no packed forward pass for ElectraModel"


def test_code_of_a_repository_that_calls_itself_bert_is_refused() -> None:
    from transformers import BertModel

    own = type("BertModel", (BertModel,), {})
    assert refusal(own(make_bert().config)) == "there is no packed forward pass for BertModel"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "it has position embeddings of type relative_key"),
        ({"is_decoder": True}, "it has a decoder's mask"),
        ({"add_cross_attention": True}, "it has cross attention"),
        ({"pruned_heads": {0: [1]}}, "it has pruned heads"),
    ],
)
def test_a_setting_out_of_the_ordinary_is_refused(setting: dict[str, Any], message: str) -> None:
    model = make_bert()
    for name, value in setting.items():
        setattr(model.config, name, value)
    assert refusal(model) == message


def test_an_adapter_is_refused() -> None:
    class LoraLinear(nn.Linear):
        pass

    model = make_bert()
    model.encoder.layer[1].attention.self.query = LoraLinear(HIDDEN, HIDDEN)
    assert refusal(model) == "it has a LoraLinear where a Linear with a bias is expected"
    model = make_bert()
    model._hf_peft_config_loaded = True
    assert refusal(model) == "it has an adapter"


def test_quantised_weights_are_refused() -> None:
    model = make_bert()
    model.hf_quantizer = object()
    assert refusal(model) == "it has quantised weights"
    assert refusal(make_bert().half()) == "it has weights that aren't float32"


def test_a_norm_or_a_table_of_another_kind_is_refused() -> None:
    model = make_bert()
    model.embeddings.LayerNorm = nn.RMSNorm(HIDDEN)
    assert refusal(model) == "it has a RMSNorm where a LayerNorm with weight and bias is expected"
    model = make_bert()
    model.embeddings.position_embeddings = nn.Identity()
    assert refusal(model) == "it has a Identity where an Embedding is expected"


def test_the_tests_see_a_missing_part() -> None:
    """A network with one part changed must not pass for the model."""
    model = randomised(make_mpnet())
    network = read_network(copy.deepcopy(model))
    texts = texts_of([9, 4])
    expected = by_transformers(model, texts)
    layer = network.layers[0]
    changed = [
        replace(network, padding_id=None),
        replace(network, relative_bias=None),
        replace(network, activation=Activation(torch.relu)),
        replace(network, layers=(replace(layer, query=layer.key, key=layer.query), *network.layers[1:])),
        replace(network, layers=network.layers[::-1]),
        replace(network, heads=2, relative_bias=None),
    ]
    for one in changed:
        assert largest_difference(Packed(one, PLAIN).token_vectors(texts)[0], expected) > 1e-3
