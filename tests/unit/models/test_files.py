"""Model directories made by hand: what is read from them, what makes them the same model, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pytest

from benchkit.errors import ModelError
from benchkit.models.files import (
    ModelFiles,
    Part,
    Tensor,
    content_digest,
    file_sha256,
    parameter_count,
    read_header,
    read_model,
)

OLD = "sentence_transformers.models."
NEW = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}
BYTES = {"F32": 4, "F16": 2, "I64": 8}


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_weights(path: Path, tensors: dict[str, tuple[str, list[int]]], fill: bytes = b"\0") -> None:
    """Write a safetensors file by its specification."""
    header, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        start, size = end, BYTES[dtype]
        for length in shape:
            size *= length
        end = start + size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    content = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(content)) + content + fill * end)


def make_model(directory: Path, *, modules: list[tuple[str, str]] | None = None, **config: object) -> Path:
    """Write a BERT of 4 dimensions with 3 words: 12 weights, one integer buffer."""
    names = modules or [("", OLD + "Transformer"), ("1_Pooling", OLD + "Pooling"), ("2_Normalize", OLD + "Normalize")]
    write_json(
        directory / "modules.json",
        [{"idx": at, "name": str(at), "path": path, "type": type_} for at, (path, type_) in enumerate(names)],
    )
    write_json(
        directory / "config.json",
        {"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 16, "_name_or_path": "here"} | config,
    )
    write_json(directory / "tokenizer.json", {"version": "1.0"})
    write_json(directory / "tokenizer_config.json", {"model_max_length": 12})
    write_json(directory / "1_Pooling/config.json", {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True})
    write_weights(directory / "model.safetensors", {"words": ("F32", [3, 4]), "position_ids": ("I64", [1, 16])})
    return directory


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


# ---------------------------------------------------------------- what is read


def test_a_directory_of_an_old_version_is_read_whole(model: Path) -> None:
    files = read_model(model)
    assert files == ModelFiles(
        directory=model,
        parts=(Part("Transformer", ""), Part("Pooling", "1_Pooling"), Part("Normalize", "2_Normalize")),
        weights=(model / "model.safetensors",),
        parameters=12,  # 3 words of 4 numbers; the integers are no weights
        dimension=4,
        pooling="mean",
        max_seq_length=12,
        positions=16,
        normalized=True,
        uses_role=False,
        similarity="cosine",
        prompts={"query": "", "document": ""},
        default_prompt=None,
        notes=(),
    )
    assert not files.is_static
    assert parameter_count(model) == 12


def test_the_class_names_of_version_6_mean_the_same(tmp_path: Path) -> None:
    folders = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "Normalize": "3_Normalize"}
    new = make_model(tmp_path / "new", modules=[(folders[kind], NEW[kind]) for kind in folders])
    write_json(new / "1_Pooling/config.json", {"embedding_dimension": 4, "pooling_mode": "cls", "include_prompt": True})
    write_json(new / "2_Dense/config.json", {"in_features": 4, "out_features": 2})
    write_weights(new / "2_Dense/model.safetensors", {"linear.weight": ("F32", [2, 4])})
    files = read_model(new)
    assert [part.kind for part in files.parts] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert (files.dimension, files.pooling, files.parameters, files.normalized) == (2, "cls", 20, True)
    assert not any(part.is_remote for part in files.parts)


@pytest.mark.parametrize(
    ("config", "pooling", "dimension"),
    [
        ({"word_embedding_dimension": 4, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls", 4),
        (
            {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            "cls+mean",
            8,
        ),
        ({"word_embedding_dimension": 4, "pooling_mode_mean_tokens": False}, "mean", 4),
        ({"embedding_dimension": 4, "pooling_mode": ["mean", "max"]}, "mean+max", 8),
        ({"embedding_dimension": 4, "pooling_mode": "lasttoken"}, "lasttoken", 4),
    ],
)
def test_poolings_stand_beside_each_other(model: Path, config: dict[str, object], pooling: str, dimension: int) -> None:
    write_json(model / "1_Pooling/config.json", config)
    files = read_model(model)
    assert (files.pooling, files.dimension) == (pooling, dimension)


@pytest.mark.parametrize(
    ("settings", "tokenizer", "longest"),
    [
        ({"max_seq_length": 8}, {"model_max_length": 12}, 8),
        ({"max_seq_length": 99}, {"model_max_length": 12}, 99),  # what a model says of itself isn't cut
        ({"max_seq_length": None}, {"model_max_length": 12}, 12),
        ({}, {"model_max_length": 1e30}, 16),
        ({}, {}, 16),
        ({"processor_kwargs": {"model_max_length": 5}, "max_seq_length": 8}, {"model_max_length": 12}, 5),
        ({"tokenizer_args": {"model_max_length": 6}}, {"model_max_length": 12}, 6),
    ],
)
def test_the_longest_input_is_the_one_that_sentence_transformers_takes(
    model: Path, settings: dict[str, object], tokenizer: dict[str, object], longest: int
) -> None:
    write_json(model / "sentence_bert_config.json", settings)
    write_json(model / "tokenizer_config.json", tokenizer)
    assert read_model(model).max_seq_length == longest


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"model_type": "bert", "pad_token_id": 0}, 16),
        ({"model_type": "xlm-roberta", "pad_token_id": 1}, 14),
        ({"model_type": "mpnet"}, 14),
        ({"model_type": "t5", "max_position_embeddings": None}, None),
    ],
)
def test_positions_behind_the_padding_token_are_not_counted(
    tmp_path: Path, config: dict[str, object], positions: int | None
) -> None:
    assert read_model(make_model(tmp_path / "model", **config)).positions == positions


def test_a_directory_without_modules_is_a_transformer_with_mean_pooling(model: Path) -> None:
    (model / "modules.json").unlink()
    write_json(model / "config_sentence_transformers.json", {"prompts": {"query": "q: "}})
    files = read_model(model)
    assert files.notes == ("no modules.json: mean pooling is assumed, as sentence-transformers does",)
    assert (files.pooling, files.dimension, files.normalized, files.parameters) == ("mean", 4, False, 12)
    assert files.prompts["query"] == ""  # sentence-transformers doesn't read them without modules.json either


def test_a_causal_model_without_modules_takes_the_last_token(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", architectures=["GPT2ForCausalLM"])
    (model / "modules.json").unlink()
    assert read_model(model).pooling == "lasttoken"


def test_a_static_model_has_no_longest_input(tmp_path: Path) -> None:
    directory = tmp_path / "static"
    types = [(".", OLD + "StaticEmbedding"), ("1_Normalize", OLD + "Normalize")]
    write_json(directory / "modules.json", [{"idx": 0, "name": "0", "path": p, "type": t} for p, t in types])
    write_json(directory / "tokenizer.json", {})
    write_weights(directory / "model.safetensors", {"embeddings": ("F32", [3, 5])})
    files = read_model(directory)
    assert files.is_static
    assert (files.dimension, files.max_seq_length, files.positions, files.normalized) == (5, None, None, True)
    assert files.parameters == 15


def make_router(tmp_path: Path) -> Path:
    directory = tmp_path / "router"
    write_json(
        directory / "modules.json",
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.router.Router"}],
    )
    parts = {"q_0": "Transformer", "q_1": "Pooling", "d_0": "Transformer", "d_1": "Pooling"}
    write_json(
        directory / "router_config.json",
        {
            "types": {name: NEW[kind] for name, kind in parts.items()},
            "structure": {"query": ["q_0", "q_1"], "document": ["d_0", "d_1"]},
        },
    )
    for name in ("q_0", "d_0"):
        make_model(directory / name)
    for name in ("q_1", "d_1"):
        write_json(directory / name / "config.json", {"embedding_dimension": 4, "pooling_mode": "mean"})
    return directory


def test_a_router_gives_a_text_two_vectors(tmp_path: Path) -> None:
    files = read_model(make_router(tmp_path))
    assert files.uses_role
    assert files.parameters == 24
    assert [(part.kind, part.route) for part in files.parts] == [
        ("Router", None), ("Transformer", "query"), ("Pooling", "query"), ("Transformer", "document"),
        ("Pooling", "document"),
    ]  # fmt: skip
    assert (files.dimension, files.normalized, files.max_seq_length) == (4, False, 12)


@pytest.mark.parametrize(
    ("settings", "uses_role"),
    [({"query_length": 8}, True), ({"query_length": None}, False), ({"modality_config": {"message": {}}}, True)],
)
def test_lengths_of_its_own_for_queries_make_a_role_count(
    model: Path, settings: dict[str, object], uses_role: bool
) -> None:
    write_json(model / "sentence_bert_config.json", settings)
    assert read_model(model).uses_role is uses_role


def test_code_of_the_repository_is_marked_and_may_look_at_the_role(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", modules=[("", OLD + "Transformer"), ("1_Own", "own_module.Own")])
    write_json(model / "1_Own/config.json", {})
    files = read_model(model)
    assert files.parts[1] == Part("Own", "1_Own", None, is_remote=True)
    assert files.uses_role
    assert files.dimension is None


def test_settings_are_read_with_the_empty_prompts_that_sentence_transformers_adds(model: Path) -> None:
    write_json(
        model / "config_sentence_transformers.json",
        {"prompts": {"query": "q: ", "s2p": None}, "default_prompt_name": "s2p", "similarity_fn_name": "dot"},
    )
    files = read_model(model)
    assert files.prompts == {"query": "q: ", "document": "", "s2p": ""}
    assert (files.default_prompt, files.similarity) == ("s2p", "dot")


def test_vectors_that_a_model_cuts_itself_have_no_unit_length(model: Path) -> None:
    write_json(model / "config_sentence_transformers.json", {"truncate_dim": 3})
    files = read_model(model)
    assert (files.dimension, files.normalized) == (3, False)


def test_shards_are_found_through_their_index(model: Path) -> None:
    (model / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    write_weights(model / names[0], {"a": ("F32", [3, 4])})
    write_weights(model / names[1], {"b": ("F16", [2])})
    write_json(model / "model.safetensors.index.json", {"weight_map": {"a": names[0], "b": names[1]}})
    files = read_model(model)
    assert files.weights == tuple(model / name for name in names)
    assert files.parameters == 14
    (model / names[1]).unlink()
    with pytest.raises(
        ModelError, match=r"model-00002-of-00002.safetensors: missing; model.safetensors.index.json names"
    ):
        read_model(model)


def test_a_header_is_read_as_the_library_reads_it(model: Path) -> None:
    from safetensors import safe_open

    path = model / "model.safetensors"
    with safe_open(path, "np") as file:
        slices = {name: file.get_slice(name) for name in ("words", "position_ids")}
        expected = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in read_header(path).items()} == expected
    assert read_header(path)["words"] == Tensor("F32", (3, 4), 48)


# ---------------------------------------------------------------- identity


def test_the_same_files_elsewhere_are_the_same_model(model: Path, tmp_path: Path) -> None:
    before = content_digest(read_model(model))
    shutil.copytree(model, tmp_path / "copy")
    assert content_digest(read_model(tmp_path / "copy")) == before
    linked = tmp_path / "linked"  # as in the hub's cache
    shutil.copytree(model, linked)
    for name in ("config.json", "model.safetensors"):
        (linked / name).unlink()
        (linked / name).symlink_to(model / name)
    assert content_digest(read_model(linked)) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "x"),
        ("pytorch_model.bin", "x"),
        ("onnx/model.onnx", "x"),
        ("onnx/config.json", "{}"),
        ("openvino/openvino_model.bin", "x"),
        ("data_config.json", "[]"),
        ("generation_config.json", "{}"),
        ("benchkit_origin.json", "{}"),
        ("modeling.py", "x = 1"),
        (
            "config.json",
            '{"max_position_embeddings": 16, "hidden_size": 4, "model_type": "bert", "_name_or_path": "b"}',
        ),
        (
            "config.json",
            '{"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 16, "transformers_version": "5"}',
        ),
        ("tokenizer_config.json", '{"model_max_length": 12, "name_or_path": "b", "is_local": true}'),
    ],
)
def test_what_decides_no_vector_is_not_in_the_identity(model: Path, name: str, content: str) -> None:
    before = content_digest(read_model(model))
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text(content, encoding="utf-8")
    assert content_digest(read_model(model)) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "config.json",
            '{"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 16, "hidden_act": "relu"}',
        ),
        ("tokenizer.json", '{"version": "1.1"}'),
        ("tokenizer_config.json", '{"model_max_length": 12, "do_lower_case": true}'),
        ("vocab.txt", "[PAD]"),
        ("sentencepiece.bpe.model", "x"),
        ("special_tokens_map.json", "{}"),
        ("sentence_bert_config.json", '{"do_lower_case": true}'),
        ("1_Pooling/config.json", '{"word_embedding_dimension": 4, "pooling_mode_cls_token": true}'),
    ],
)
def test_what_decides_a_vector_is_in_the_identity(model: Path, name: str, content: str) -> None:
    before = content_digest(read_model(model))
    (model / name).write_text(content, encoding="utf-8")
    assert content_digest(read_model(model)) != before


def test_one_changed_weight_makes_another_model(model: Path) -> None:
    before = content_digest(read_model(model))
    path = model / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert content_digest(read_model(model)) != before


def test_a_repository_s_code_is_in_the_identity_where_it_may_run(model: Path) -> None:
    before = content_digest(read_model(model), remote_code=True)
    (model / "modeling.py").write_text("x = 1", encoding="utf-8")
    assert content_digest(read_model(model), remote_code=True) != before


def test_the_version_counts_where_transformers_goes_by_it(tmp_path: Path) -> None:
    digests = [
        content_digest(read_model(make_model(tmp_path / version, model_type="mistral", transformers_version=version)))
        for version in ("4.57.0", "5.0.0")
    ]
    assert digests[0] != digests[1]


def test_prompts_are_left_to_the_fingerprint(model: Path) -> None:
    before = content_digest(read_model(model))
    write_json(model / "config_sentence_transformers.json", {"__version__": {}})
    with_notes = content_digest(read_model(model))
    write_json(model / "config_sentence_transformers.json", {"prompts": {"query": "q: "}, "similarity_fn_name": "dot"})
    assert content_digest(read_model(model)) == with_notes
    assert before != with_notes  # a file more: never taken for the same, at worst computed again


def test_a_file_that_changed_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_sha256(path)
    assert file_sha256(path) == first
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_sha256(path) != first


# ---------------------------------------------------------------- what is refused


def refused(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    return str(caught.value)


def test_pickled_weights_are_refused_with_the_way_to_convert_them(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    message = refused(model)
    assert message.startswith(f"{model}: only pickle weights (pytorch_model.bin); benchkit loads safetensors only")
    assert f"S('{model}').save_pretrained('converted')" in message


def test_a_pickled_dense_layer_is_refused_too(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", modules=[("", OLD + "Transformer"), ("2_Dense", OLD + "Dense")])
    write_json(model / "2_Dense/config.json", {"out_features": 2})
    (model / "2_Dense/pytorch_model.bin").write_bytes(b"")
    assert "2_Dense: only pickle weights" in refused(model)


def test_an_unknown_module_with_a_pickle_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", modules=[("", OLD + "Transformer"), ("1_Own", "own.Own")])
    (model / "1_Own").mkdir()
    (model / "1_Own/weights.bin").write_bytes(b"")
    assert "1_Own: only pickle weights (weights.bin)" in refused(model)


@pytest.mark.parametrize("kept", [4, 60, 100, -1], ids=["in the length", "in the header", "behind it", "last byte"])
def test_a_truncated_file_is_refused_by_name(model: Path, kept: int) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    message = refused(model)
    assert message.startswith(f"{path}: ")
    assert "truncated" in message or "not a safetensors file" in message
    assert message.endswith("download it again")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors file"),
        (b"\xff" * 40, "not a safetensors file"),
        (struct.pack("<Q", 2) + b"[]", "not a safetensors file"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "not a safetensors file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer, not the weights; run: git lfs pull",
        ),
    ],
)
def test_what_is_no_safetensors_file_is_refused(model: Path, content: bytes, message: str) -> None:
    (model / "model.safetensors").write_bytes(content)
    assert f"model.safetensors: {message}" in refused(model)


def test_a_file_longer_than_its_header_is_refused(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert "damaged: its tensors end at byte" in refused(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling/config.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert f"{model / name}: missing" in refused(model)


def test_a_missing_tokenizer_is_named(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    assert "no tokenizer; one of these is needed: tokenizer.json, vocab.txt" in refused(model)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: not a model directory: it has neither modules.json nor config.json"
    write_json(tmp_path / "config.json", {"model_type": "model2vec"})
    assert "config.json names no transformer (model_type 'model2vec')" in refused(tmp_path)


def test_an_adapter_is_refused(model: Path) -> None:
    write_json(model / "adapter_config.json", {})
    assert "an adapter (PEFT) without its base model" in refused(model)


@pytest.mark.parametrize("kind", ["CrossEncoder", "SparseEncoder"])
def test_another_kind_of_model_is_refused(model: Path, kind: str) -> None:
    write_json(model / "config_sentence_transformers.json", {"model_type": kind})
    assert f"holds a {kind}" in refused(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"similarity_fn_name": "manhattan"}, "compares vectors by 'manhattan'; benchkit has cosine and dot"),
        ({"default_prompt_name": "x"}, "default_prompt_name 'x' is none of its prompts: ['document', 'query']"),
        ({"prompts": ["x"]}, "prompts should be names and texts"),
    ],
)
def test_settings_that_do_not_fit_are_refused(model: Path, settings: dict[str, object], message: str) -> None:
    write_json(model / "config_sentence_transformers.json", settings)
    assert message in refused(model)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc"])
def test_a_module_outside_the_directory_is_refused(model: Path, path: str) -> None:
    write_json(model / "modules.json", [{"path": path, "type": OLD + "Pooling"}])
    assert f"names '{path}', which lies outside the model directory" in refused(model)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("modules.json", "{}", "should be a list of modules"),
        ("modules.json", "[]", "should be a list of modules"),
        ("modules.json", "[1]", "a module without its type or path"),
        ("modules.json", "[", "can't be read"),
        ("config.json", "[]", "should be a JSON object"),
        ("config.json", "\x00", "can't be read"),
    ],
)
def test_damaged_json_is_refused_by_name(model: Path, name: str, content: str, message: str) -> None:
    (model / name).write_text(content, encoding="utf-8")
    assert f"{model / name}: {message}" in refused(model)


def test_a_damaged_router_is_refused(tmp_path: Path) -> None:
    router = make_router(tmp_path)
    write_json(router / "router_config.json", {"types": {}, "structure": {"query": ["q_0"]}})
    assert "should have the types and the structure of a router" in refused(router)
