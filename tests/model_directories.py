"""Model directories made by hand: a BERT of 4 dimensions with 3 words."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from benchkit.errors import ModelError
from benchkit.models.files import read_model

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


def refused(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    return str(caught.value)
