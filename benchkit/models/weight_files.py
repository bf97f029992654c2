"""Which files a model's weights are loaded from.

    parts ── folder of each ── model.safetensors, or the shards that its index names ──> weight_files

Pickled weights are refused: loading one can run any code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchkit.errors import ModelError
from benchkit.models.json_files import inside, read_object
from benchkit.models.modules import WEIGHTS, Part

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
_HAVE_WEIGHTS = frozenset(
    {"Transformer", "StaticEmbedding", "Dense", "LayerNorm", "CNN", "LSTM", "WeightedLayerPooling", "WordEmbeddings"}
)
_WITHOUT_WEIGHTS = frozenset(
    {"Pooling", "AssumedPooling", "Normalize", "Dropout", "Router", "Asym", "BoW", "WordWeights"}
)


def weight_files(directory: Path, parts: tuple[Part, ...]) -> Iterator[Path]:
    """Yield the files that are loaded, in the order of the parts; one that two parts share, twice.

    Raises:
        ModelError: a file is missing, or the weights are only there as a pickle.
    """
    for part in parts:
        place = directory / part.folder
        if part.kind == "Transformer":
            _check_transformer(place)
        elif part.kind == "StaticEmbedding" and not (place / "tokenizer.json").is_file():
            raise ModelError(f"{place / 'tokenizer.json'}: missing")
        if part.kind not in _WITHOUT_WEIGHTS:
            yield from _files_of_part(place, is_needed=part.kind in _HAVE_WEIGHTS)


def _check_transformer(place: Path) -> None:
    if (place / "adapter_config.json").is_file():
        raise ModelError(
            f"{place}: an adapter (PEFT) without its base model; merge them (merge_and_unload) and save that"
        )
    if not (place / "config.json").is_file():
        raise ModelError(f"{place / 'config.json'}: missing")
    if not any((place / name).is_file() for name in _TOKENIZERS):
        raise ModelError(f"{place}: no tokenizer; one of these is needed: {', '.join(_TOKENIZERS)}")
    if (place / "tokenizer.json").is_file():
        read_object(place / "tokenizer.json")  # a file cut short ends here, and not in the middle of a comparison


def _files_of_part(place: Path, *, is_needed: bool) -> list[Path]:
    if (place / WEIGHTS).is_file():
        return [place / WEIGHTS]
    if (place / _INDEX).is_file():
        return _shards(place)
    pickles = sorted(path.name for path in place.glob("*.bin")) if place.is_dir() else []
    if pickles:
        raise ModelError(
            f"{place}: only pickle weights ({', '.join(pickles)}); benchkit loads safetensors only, because a pickle "
            f"can run code. Convert once, where you trust it: {convert_command(str(place))}"
        )
    if is_needed:
        raise ModelError(f"{place / WEIGHTS}: missing")
    return []


def convert_command(name: str) -> str:
    """Return the shell command that saves a model's weights as safetensors."""
    return (
        'python -c "from sentence_transformers import SentenceTransformer as S; '
        f"S('{name}').save_pretrained('converted')\""
    )


def _shards(place: Path) -> list[Path]:
    index = place / _INDEX
    names = set(read_object(index).get("weight_map", {}).values())
    if not names:
        raise ModelError(f"{index}: names no files")
    for name in sorted(names):
        if not (place / inside(name, index)).is_file():
            raise ModelError(f"{place / name}: missing; {index.name} names it")
    return [place / name for name in sorted(names)]
