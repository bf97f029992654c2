"""Which files hold a model's weights, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_directories import OLD, make_model, refused, write_json, write_weights

from benchkit.errors import ModelError
from benchkit.models.files import read_model


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


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling/config.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert f"{model / name}: missing" in refused(model)


def test_a_missing_tokenizer_is_named(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    assert "no tokenizer; one of these is needed: tokenizer.json, vocab.txt" in refused(model)


def test_an_adapter_is_refused(model: Path) -> None:
    write_json(model / "adapter_config.json", {})
    assert "an adapter (PEFT) without its base model" in refused(model)
