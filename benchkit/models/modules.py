"""The modules that a text passes through, and what each says of the vector: dimension, pooling, longest input.

    modules.json, router_config.json ── read_parts ──> parts ── JSON of each part ── dimension, pooling, ...

Both the names that sentence-transformers wrote before version 6 ("sentence_transformers.models.Pooling") and its
present ones are read: only the last word of a class name counts. A directory without modules.json is read the way
sentence-transformers reads it: the transformer with mean pooling, or the last token of a causal model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchkit.errors import ModelError
from benchkit.models.json_files import inside, read_json, read_object, whole_number
from benchkit.models.safetensors_header import read_header

MODULES = "modules.json"
WEIGHTS = "model.safetensors"

# A transformer's own settings; the file is named after the architecture that it was first written for.
_TRANSFORMER_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_HIDDEN_SIZE = ("hidden_size", "d_model", "dim", "n_embd", "embedding_size")

# Packages of sentence-transformers whose modules make something else of a text.
_NOT_DENSE = tuple(f"sentence_transformers.{kind}_encoder." for kind in ("sparse", "multi_vector", "cross"))
DENSE_ONLY = "benchkit compares models with one dense vector per text"

# Position tables of these models begin behind the padding token's id, so that they hold fewer tokens than rows.
_OFFSET_POSITIONS = frozenset(
    {
        "roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "xmod", "ibert", "luke",
        "data2vec-text", "markuplm", "mpnet", "longformer",
    }
)  # fmt: skip

# The order in which sentence-transformers puts several poolings beside each other.
_OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_NO_LIMIT = 10**9  # transformers writes 1e30 for "no longest input"


@dataclass(frozen=True, slots=True)
class Part:
    """One module of the chain that makes a vector.

    Attributes:
        kind: Class name without its package: "Transformer", "Pooling", ...
        folder: Where its files are, relative to the model; "" for the model's own directory.
        route: The route of a router that it belongs to; None for all texts.
        is_remote: Whether its class is code of the model's repository.
    """

    kind: str
    folder: str
    route: str | None = None
    is_remote: bool = False


def read_parts(directory: Path) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the modules in the order in which a text passes through them, and notes on what had to be assumed.

    The routes of a router stand one after another.

    Raises:
        ModelError: it isn't a model directory, or a file that names the modules is damaged.
    """
    path = directory / MODULES
    if not path.is_file():
        return _parts_without_modules(directory)
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        raise ModelError(f"{path}: should be a list of modules")
    try:
        named = [(str(entry["type"]), inside(entry["path"], path)) for entry in entries]
    except (KeyError, TypeError) as exc:
        raise ModelError(f"{path}: a module without its type or path") from exc
    parts = [part for type_, folder in named for part in _expanded(directory, type_, folder)]
    return tuple(parts), ()


def _parts_without_modules(directory: Path) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: not a model directory: it has neither {MODULES} nor config.json")
    kind = read_object(directory / "config.json").get("model_type")
    if kind in (None, "model2vec"):
        raise ModelError(f"{directory}: no {MODULES}, and config.json names no transformer (model_type {kind!r})")
    architecture = _architecture(directory)
    if architecture.endswith("ForSequenceClassification"):
        raise ModelError(f"{directory}: holds a {architecture}, as cross-encoders do; {DENSE_ONLY}")
    pooling = _assumed_pooling(directory)
    note = f"no {MODULES}: {pooling} pooling is assumed, as sentence-transformers does"
    return (Part("Transformer", ""), Part("AssumedPooling", "")), (note,)


def _assumed_pooling(directory: Path) -> str:
    is_causal = read_object(directory / "config.json").get("is_causal", True)
    return "lasttoken" if _architecture(directory).endswith("ForCausalLM") and is_causal else "mean"


def _architecture(directory: Path) -> str:
    return next(iter(read_object(directory / "config.json").get("architectures") or []), "")


def _expanded(directory: Path, type_: str, folder: str) -> list[Part]:
    part = Part(type_.rpartition(".")[2], folder, None, not type_.startswith("sentence_transformers."))
    if type_.startswith(_NOT_DENSE):
        raise ModelError(f"{directory / MODULES}: has a {part.kind}; {DENSE_ONLY}")
    if part.kind not in ("Router", "Asym"):
        return [part]
    path = directory / folder / "router_config.json"
    if not path.is_file():
        path = directory / folder / "config.json"  # what a router was saved as while it was called Asym
    config = read_object(path)
    try:
        return [part] + [
            Part(
                str(config["types"][name]).rpartition(".")[2],
                (PurePosixPath(folder) / inside(name, path)).as_posix(),
                route,
                not str(config["types"][name]).startswith("sentence_transformers."),
            )
            for route, names in config["structure"].items()
            for name in names
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ModelError(f"{path}: should have the types and the structure of a router") from exc


def _chains(parts: tuple[Part, ...]) -> list[list[Part]]:
    """Return the modules that a text passes through, one list for each route."""
    routes = dict.fromkeys(part.route for part in parts if part.route is not None)
    real = [part for part in parts if part.kind not in ("Router", "Asym")]
    return [[part for part in real if part.route in (None, route)] for route in routes or (None,)]


# ---------------------------------------------------------------- the vector


def vector_dimension(directory: Path, parts: tuple[Part, ...]) -> int | None:
    """Return the length of a vector; None where only the loaded model can tell."""
    for part in reversed(_chains(parts)[0]):
        if part.is_remote:
            return None  # its own code may change the length
        dimension = _part_dimension(directory, part)
        if dimension is not None:
            return dimension
    return None


def _part_dimension(directory: Path, part: Part) -> int | None:
    place = directory / part.folder
    if part.kind == "Pooling":
        config = read_object(place / "config.json")
        length = config.get("embedding_dimension", config.get("word_embedding_dimension"))
        return length * len(_pooling_modes(config)) if isinstance(length, int) else None
    if part.kind == "Dense":
        return whole_number(read_object(place / "config.json").get("out_features"))
    if part.kind == "StaticEmbedding":
        tensors = read_header(place / WEIGHTS)
        table = tensors.get("embedding.weight") or tensors.get("embeddings")
        return table.shape[-1] if table else None
    if part.kind == "Transformer":
        config = read_object(place / "config.json")
        return next((whole_number(config[key]) for key in _HIDDEN_SIZE if key in config), None)
    return None


def pooling_name(directory: Path, parts: tuple[Part, ...]) -> str | None:
    """Return "mean", "cls", "cls+mean"; None for a model without pooling."""
    for part in parts:
        if part.kind == "AssumedPooling":
            return _assumed_pooling(directory)
        if part.kind == "Pooling":
            return "+".join(_pooling_modes(read_object(directory / part.folder / "config.json")))
    return None


def _pooling_modes(config: Mapping[str, Any]) -> list[str]:
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_POOLING_KEYS.items() if config.get(key)] or ["mean"]
    return [modes] if isinstance(modes, str) else list(modes)


def end_in_unit_length(directory: Path, parts: tuple[Part, ...]) -> bool:
    """Tell whether the last thing done to every vector is to make it unit length."""
    return all(_ends_in_unit_length(directory, chain) for chain in _chains(parts))


def _ends_in_unit_length(directory: Path, chain: list[Part]) -> bool:
    kept = [part for part in chain if part.kind != "Dropout"]  # it does nothing but in training
    if not kept or kept[-1].kind != "Normalize" or kept[-1].is_remote:
        return False
    path = directory / kept[-1].folder / "config.json"
    config = read_object(path) if path.is_file() and kept[-1].folder else {}
    output = config.get("module_output_name") or config.get("module_input_name")
    return output in (None, "sentence_embedding")


def use_role(directory: Path, parts: tuple[Part, ...]) -> bool:
    """Tell whether queries and documents may take different ways even under one prompt."""
    return any(_uses_role(directory, part) for part in parts)


def _uses_role(directory: Path, part: Part) -> bool:
    if part.is_remote or part.kind in ("Router", "Asym"):
        return True
    if part.kind != "Transformer":
        return False
    settings = _transformer_settings(directory / part.folder)
    has_own_lengths = any(settings.get(key) for key in ("query_length", "document_length", "query_expansion"))
    # A chat template may be told the role.
    return has_own_lengths or "message" in settings.get("modality_config", {})


# ---------------------------------------------------------------- the longest input


def max_seq_length(directory: Path, parts: tuple[Part, ...]) -> int | None:
    """Return the longest input in tokens; None for no limit or where only the loaded model can tell."""
    places = [directory / part.folder for part in parts if part.kind == "Transformer"]
    # Routes may differ; sentence-transformers names the longest.
    return max((length for place in places if (length := _longest_input(place))), default=None)


def _longest_input(place: Path) -> int | None:
    settings = _transformer_settings(place)
    processor = settings.get("processor_kwargs") or settings.get("tokenizer_args") or {}
    stated = processor.get("model_max_length", settings.get("max_seq_length"))
    if stated is not None:
        return _limit(stated)
    path = place / "tokenizer_config.json"
    lengths = [_limit(read_object(path).get("model_max_length")) if path.is_file() else None, _table_rows(place)]
    return min((length for length in lengths if length), default=None)


def positions(directory: Path, parts: tuple[Part, ...]) -> int | None:
    """Return how many tokens the position table has room for; None where there is none."""
    places = [directory / part.folder for part in parts if part.kind == "Transformer"]
    return min((rows - _offset(place) for place in places if (rows := _table_rows(place))), default=None)


def _table_rows(place: Path) -> int | None:
    return _limit(read_object(place / "config.json").get("max_position_embeddings"))


def _offset(place: Path) -> int:
    config = read_object(place / "config.json")
    # MPNet counts from 1 whatever its padding token is.
    padding = None if config.get("model_type") == "mpnet" else whole_number(config.get("pad_token_id"))
    return (1 if padding is None else padding) + 1 if config.get("model_type") in _OFFSET_POSITIONS else 0


def _limit(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < _NO_LIMIT else None


def _transformer_settings(place: Path) -> dict[str, Any]:
    paths = (place / name for name in _TRANSFORMER_SETTINGS)
    return next((read_object(path) for path in paths if path.is_file()), {})
