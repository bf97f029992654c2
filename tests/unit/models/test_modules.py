"""What the modules of a directory say of its vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_directories import NEW, OLD, make_model, refused, write_json, write_weights

from benchkit.models.files import read_model
from benchkit.models.modules import Part


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
        ({"model_type": "mpnet", "pad_token_id": 0}, 14),
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


@pytest.mark.parametrize("path", ["../elsewhere", "/etc"])
def test_a_module_outside_the_directory_is_refused(model: Path, path: str) -> None:
    write_json(model / "modules.json", [{"path": path, "type": OLD + "Pooling"}])
    assert f"names '{path}', which lies outside the model directory" in refused(model)


def test_a_damaged_router_is_refused(tmp_path: Path) -> None:
    router = make_router(tmp_path)
    write_json(router / "router_config.json", {"types": {}, "structure": {"query": ["q_0"]}})
    assert "should have the types and the structure of a router" in refused(router)


@pytest.mark.parametrize(
    "type_",
    [
        "sentence_transformers.sparse_encoder.models.SpladePooling",
        "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
        "sentence_transformers.multi_vector_encoder.modules.late.LateInteraction",
        "sentence_transformers.cross_encoder.modules.logit_score.LogitScore",
    ],
)
def test_a_module_that_makes_no_dense_vector_is_refused_whatever_the_settings_say(model: Path, type_: str) -> None:
    (model / "config_sentence_transformers.json").unlink(missing_ok=True)
    write_json(
        model / "modules.json", [{"path": "", "type": OLD + "Transformer"}, {"path": "1_Pooling", "type": type_}]
    )
    kind = type_.rpartition(".")[2]
    assert f"has a {kind}; benchkit compares models with one dense vector per text" in refused(model)


def test_a_cross_encoder_of_an_old_version_is_refused_where_mean_pooling_would_be_assumed(model: Path) -> None:
    (model / "modules.json").unlink()
    config = json.loads((model / "config.json").read_text())
    write_json(model / "config.json", config | {"architectures": ["BertForSequenceClassification"]})
    assert "holds a BertForSequenceClassification, as cross-encoders do" in refused(model)
    write_json(model / "config.json", config | {"architectures": ["BertForMaskedLM"]})
    assert read_model(model).pooling == "mean"
