"""Model directories made by hand: what is read from them, what makes them the same model, what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from model_directories import make_model, refused, write_json

from benchkit.models.files import ModelFiles, content_digest, file_sha256, parameter_count, read_model
from benchkit.models.modules import Part

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


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: not a model directory: it has neither modules.json nor config.json"
    write_json(tmp_path / "config.json", {"model_type": "model2vec"})
    assert "config.json names no transformer (model_type 'model2vec')" in refused(tmp_path)


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
