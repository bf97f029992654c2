"""Weights that aren't in the files are told, whatever made them up."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import hub_server
import pytest
import torch
from safetensors.numpy import load_file, save_file

from benchkit.errors import ModelError
from benchkit.models.sentence_transformers import open_model
from benchkit.types.model import ModelSpec, OpenContext

OWN_MODULE = '''\
import torch
from sentence_transformers.base.modules import Module


class Twist(Module):
    """Multiplies the vectors by a matrix that it keeps in its folder, or by a random one."""

    config_keys = []

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(32, 32))

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["sentence_embedding"] @ self.weight
        return features

    @classmethod
    def load(cls, name, subfolder="", **kwargs):
        from pathlib import Path
        from safetensors.torch import load_file

        module = cls()
        path = Path(name) / subfolder / "model.safetensors"
        if path.exists():
            module.load_state_dict(load_file(path), strict=False)
        return module

    def save(self, *args, **kwargs):
        pass
'''


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = hub_server.build_bert(tmp_path_factory.mktemp("models") / "bert", seed=1)
    return built


def load(directory: Path, **more: Any) -> Any:
    context = OpenContext(device="cpu", offline=True, cache_dir=directory / "cache")
    return open_model(ModelSpec(label="it", name=str(directory), **more), context).load()


def renamed(directory: Path, to: Path, prefix: str) -> Path:
    shutil.copytree(directory, to)
    path = to / "model.safetensors"
    save_file({f"{prefix}{name}": weight for name, weight in load_file(path).items()}, path, {"format": "pt"})
    return to


@pytest.mark.parametrize("prefix", ["model.audio_tower.", "proj_out/", "bert.bert."])
def test_a_checkpoint_whose_names_match_nothing_is_refused_with_what_is_missing(
    prefix: str, bert: Path, tmp_path: Path
) -> None:
    directory = renamed(bert, tmp_path / "model", prefix)
    with pytest.raises(ModelError) as caught:
        load(directory)
    message = str(caught.value)
    assert message.startswith(f"{directory}: weights missing in the file: embeddings.LayerNorm.bias, embeddings.")
    assert re.search(r" and \d+ more; the vectors would be random$", message)


def test_a_whisper_encoder_is_refused(tmp_path: Path) -> None:
    """sentence-transformers takes the encoder out of a Whisper checkpoint under names that aren't the file's."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel, WhisperTokenizer

    config = WhisperConfig(
        vocab_size=20, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    directory = tmp_path / "whisper"
    WhisperModel(config).save_pretrained(str(directory))
    WhisperFeatureExtractor(feature_size=8).save_pretrained(str(directory))
    letters = [chr(code) for code in range(ord("a"), ord("a") + 20)]
    tokenizer = WhisperTokenizer(vocab={letter: at for at, letter in enumerate(letters)}, merges=[])
    tokenizer.save_pretrained(str(directory))
    with pytest.raises(ModelError, match=r"weights missing in the file: .* and \d+ more; the vectors would be random"):
        load(directory)


def with_own_module(bert: Path, directory: Path, *, has_weights: bool) -> Path:
    shutil.copytree(bert, directory)
    modules = json.loads((bert / "modules.json").read_text())
    modules.append({"idx": len(modules), "name": "twist", "path": "3_Twist", "type": "twist.Twist"})
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "twist.py").write_text(OWN_MODULE)
    (directory / "3_Twist").mkdir()
    weight = torch.eye(32).numpy()
    save_file({"weight" if has_weights else "other": weight}, directory / "3_Twist/model.safetensors")
    return directory


def test_a_module_that_cannot_be_judged_by_names_is_loaded_twice(bert: Path, tmp_path: Path) -> None:
    whole = with_own_module(bert, tmp_path / "whole", has_weights=True)
    assert load(whole, trust_remote_code=True).encode(["the fox"]).shape == (1, 32)
    random = with_own_module(bert, tmp_path / "random", has_weights=False)
    torch.manual_seed(7)  # the seed of the first load isn't that of the second
    with pytest.raises(ModelError) as caught:
        load(random, trust_remote_code=True)
    assert str(caught.value) == f"{random}: weights missing in the file: twist.weight; the vectors would be random"


def test_the_second_load_leaves_the_random_numbers_of_the_process_alone(bert: Path, tmp_path: Path) -> None:
    directory = with_own_module(bert, tmp_path / "whole", has_weights=True)
    load(directory, trust_remote_code=True)  # warm: modules that draw when they are imported
    torch.manual_seed(7)
    load(directory, trust_remote_code=True)
    first = torch.rand(3)
    torch.manual_seed(7)
    load(directory, trust_remote_code=True)
    assert torch.equal(torch.rand(3), first)
