"""A safetensors file is read as the library reads it, and refused where it is not whole."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from model_directories import refused

from benchkit.models.safetensors_header import Tensor, read_header


def test_a_header_is_read_as_the_library_reads_it(model: Path) -> None:
    from safetensors import safe_open

    path = model / "model.safetensors"
    with safe_open(path, "np") as file:
        slices = {name: file.get_slice(name) for name in ("words", "position_ids")}
        expected = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in read_header(path).items()} == expected
    assert read_header(path)["words"] == Tensor("F32", (3, 4), 48)


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
