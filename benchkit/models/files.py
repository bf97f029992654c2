"""What a sentence-transformers directory holds, read without torch: its modules, its shape and its identity.

    modules.json, router_config.json ─ parts ─┬─ JSON of each part ── dimension, pooling, longest input, prompts
                                              ├─ safetensors headers ── whole or truncated, parameters
                                              └─ every file that decides a vector ── content_digest

Both the names that sentence-transformers wrote before version 6 ("sentence_transformers.models.Pooling") and its
present ones are read: only the last word of a class name counts. A directory without modules.json is read the way
sentence-transformers reads it: the transformer with mean pooling, or the last token of a causal model.

Pickled weights are refused: loading one can run any code. What is in the identity and what isn't: see `content_digest`.

Source of the header format: github.com/huggingface/safetensors, "Format" (8 bytes of length, JSON, tensors).
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.types.model import Similarity

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
ORIGIN = "benchkit_origin.json"  # written by `benchkit models prefetch`: where a directory came from
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"

# A transformer's own settings; the file is named after the architecture that it was first written for.
_TRANSFORMER_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
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
_HIDDEN_SIZE = ("hidden_size", "d_model", "dim", "n_embd", "embedding_size")

# Position tables of these models begin behind the padding token's id, so that they hold fewer tokens than rows.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"})

# The order in which sentence-transformers puts several poolings beside each other.
_OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# Nothing that encodes reads these.
_NOT_READ = frozenset(
    {
        ORIGIN, "data_config.json", "generation_config.json", "trainer_state.json", "training_args.json",
        "all_results.json", "eval_results.json", "train_results.json",
    }
)  # fmt: skip
_TOKENIZER_SUFFIXES = frozenset({".model", ".jinja", ".tiktoken", ".codes", ".spm"})
_TOKENIZER_NAMES = frozenset({"vocab.txt", "merges.txt", "dict.txt"})
# Hashed as bytes: they are large, and nothing in them is a note of who wrote them.
_RAW_JSON = frozenset({"tokenizer.json", "vocab.json"})
# Notes of how a file came to be: the name it was once loaded by, the libraries that wrote it, whether that was offline.
_NOTES = frozenset(
    {"_name_or_path", "name_or_path", "__version__", "transformers_version", "is_local", "local_files_only"}
)
# The prompts that are used are in the fingerprint by themselves; the other two choose no number of a vector.
_SETTINGS_ELSEWHERE = frozenset({"prompts", "default_prompt_name", "similarity_fn_name", "model_type"})
# transformers mends the tokenizer of these, or doesn't, by the version in config.json.
_VERSION_MATTERS = frozenset({"mistral", "mistral3", "voxtral", "ministral", "pixtral"})

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # the limit of the safetensors library
_NO_LIMIT = 10**9  # transformers writes 1e30 for "no longest input"
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_LFS_START = b"version "  # the first eight bytes of a Git LFS pointer


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


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model directory whose files were found whole.

    Attributes:
        parts: The modules in the order in which a text passes through them, the routes of a router one after another.
        weights: Files that are loaded, in the order of their parts.
        parameters: Number of floating-point weights in them.
        dimension: Length of a vector; None where only the loaded model can tell.
        pooling: "mean", "cls", "cls+mean"; None for a model without pooling.
        max_seq_length: Longest input in tokens; None for no limit or where only the loaded model can tell.
        positions: Tokens that the position table has room for; None where there is none.
        normalized: Whether the last thing done to a vector is to make it unit length.
        uses_role: Whether queries and documents may take different ways even under one prompt.
        prompts: sentence-transformers' own prompts by their names.
        default_prompt: Name of the prompt that it uses where no other applies.
    """

    directory: Path
    parts: tuple[Part, ...]
    weights: tuple[Path, ...]
    parameters: int
    dimension: int | None
    pooling: str | None
    max_seq_length: int | None
    positions: int | None
    normalized: bool
    uses_role: bool
    similarity: Similarity
    prompts: Mapping[str, str]
    default_prompt: str | None
    notes: tuple[str, ...]

    @property
    def is_static(self) -> bool:
        return all(part.kind != "Transformer" for part in self.parts)


def read_model(directory: Path) -> ModelFiles:
    """Read and check a model directory.

    Raises:
        ModelError: it isn't an embedding model of sentence-transformers or transformers, a file is missing, damaged
            or truncated, or its weights are only there as a pickle; the message names the file.
    """
    parts, notes = _parts(directory)
    settings = _settings(directory)
    prompts = {"query": "", "document": ""} | {name: text or "" for name, text in settings.get("prompts", {}).items()}
    default_prompt = settings.get("default_prompt_name")
    if default_prompt is not None and default_prompt not in prompts:
        raise ModelError(
            f"{directory / SETTINGS}: default_prompt_name {default_prompt!r} is none of its prompts: {sorted(prompts)}"
        )
    weights = tuple(dict.fromkeys(_weights(directory, parts)))
    truncate_dim = settings.get("truncate_dim")
    dimension = _dimension(directory, parts)
    return ModelFiles(
        directory=directory,
        parts=parts,
        weights=weights,
        parameters=sum(_n_floats(read_header(path)) for path in weights),
        dimension=dimension if truncate_dim is None or dimension is None else min(dimension, truncate_dim),
        pooling=_pooling(directory, parts),
        max_seq_length=_max_seq_length(directory, parts),
        positions=_positions(directory, parts),
        normalized=truncate_dim is None and all(_ends_in_unit_length(directory, chain) for chain in _chains(parts)),
        uses_role=any(_part_uses_role(directory, part) for part in parts),
        similarity=_similarity(directory, settings),
        prompts=prompts,
        default_prompt=default_prompt,
        notes=notes,
    )


def read_config(directory: Path, part: Part) -> dict[str, Any]:
    """Return the config.json of a module; empty where it has none."""
    path = directory / part.folder / "config.json"
    # A module without a folder of its own would get the transformer's.
    return _object(path) if path.is_file() and (part.folder or part.kind == "Transformer") else {}


def parameter_count(directory: Path) -> int:
    """Return the number of floating-point weights of a model directory, from the headers of its files."""
    return read_model(directory).parameters


# ---------------------------------------------------------------- identity


def content_digest(model: ModelFiles, *, remote_code: bool = False) -> str:
    """Return 32 hex digits for what decides the vectors of a directory, wherever it lies and whoever wrote it.

    In it: the weights that are loaded, the tokenizer's files, and every JSON file of the model and its modules, as
    parsed content. With `remote_code`, Python files too. Not in it: README, weights in other formats (pickles, ONNX,
    OpenVINO, TensorFlow), records of the training, and within the JSON files the notes of how they came to be
    (`_name_or_path`, `name_or_path`, `__version__`, `transformers_version`, `is_local`, `local_files_only`): the same
    model saved again, or from another place, has the same digest.
    """
    parsed: dict[str, object] = {}
    raw: dict[str, str] = {}
    for name, path in _deciding_files(model, remote_code=remote_code).items():
        if path.suffix == ".json" and path.name not in _RAW_JSON:
            parsed[name] = _without_notes(path)
        else:
            raw[name] = file_sha256(path)
    return digest_json({"parsed": parsed, "raw": raw})


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits; a file that didn't change is read once per process."""
    state = path.stat()
    # The time of the inode's last change can't be put back, as the time of the content can (tar, rsync -t).
    return _sha256(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, mtime_ns: int, ctime_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _deciding_files(model: ModelFiles, *, remote_code: bool) -> dict[str, Path]:
    code = frozenset({".py"}) if remote_code else frozenset()
    found = {path.relative_to(model.directory).as_posix(): path for path in model.weights}
    for folder in sorted({"", *(part.folder for part in model.parts)}):
        place = model.directory / folder
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.is_file() and _is_deciding(path, code):
                found[path.relative_to(model.directory).as_posix()] = path
    return found


def _is_deciding(path: Path, code: frozenset[str]) -> bool:
    if path.suffix == ".json":
        return path.name not in _NOT_READ
    return path.suffix in _TOKENIZER_SUFFIXES | code or path.name in _TOKENIZER_NAMES


def _without_notes(path: Path) -> object:
    content = _json(path)
    if not isinstance(content, dict):
        return content
    dropped = _NOTES | (_SETTINGS_ELSEWHERE if path.name == SETTINGS else frozenset())
    if content.get("model_type") in _VERSION_MATTERS:
        dropped -= {"transformers_version"}
    return {key: value for key, value in content.items() if key not in dropped}


# ---------------------------------------------------------------- safetensors


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]
    end: int


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name; reads the header only.

    Raises:
        ModelError: the file isn't one, or it is shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        if start == _LFS_START:
            raise ModelError(f"{path}: a Git LFS pointer, not the weights; run: git lfs pull")
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > _LONGEST_HEADER:
            raise ModelError(f"{path}: not a safetensors file; copy or download it again")
        if _LENGTH_BYTES + length > size:
            raise ModelError(f"{path}: truncated: its header has {length} bytes, the file {size}; download it again")
        tensors = _parse_header(path, file.read(length))
    expected = _LENGTH_BYTES + length + max((tensor.end for tensor in tensors.values()), default=0)
    if size != expected:
        state = "truncated" if size < expected else "damaged"
        raise ModelError(f"{path}: {state}: its tensors end at byte {expected}, the file at {size}; download it again")
    return tensors


def _parse_header(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        entries = json.loads(content)
        return {
            name: Tensor(str(entry["dtype"]), tuple(entry["shape"]), int(entry["data_offsets"][1]))
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise ModelError(f"{path}: not a safetensors file; copy or download it again") from exc


def _n_floats(tensors: Mapping[str, Tensor]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors.values() if tensor.dtype in _FLOATS)


def _weights(directory: Path, parts: tuple[Part, ...]) -> Iterator[Path]:
    for part in parts:
        place = directory / part.folder
        if part.kind == "Transformer":
            _check_transformer(place)
        elif part.kind == "StaticEmbedding" and not (place / "tokenizer.json").is_file():
            raise ModelError(f"{place / 'tokenizer.json'}: missing")
        if part.kind not in _WITHOUT_WEIGHTS:
            yield from _weight_files(place, is_needed=part.kind in _HAVE_WEIGHTS)


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
        _object(place / "tokenizer.json")  # a file cut short ends here, and not in the middle of a comparison


def _weight_files(place: Path, *, is_needed: bool) -> list[Path]:
    if (place / WEIGHTS).is_file():
        return [place / WEIGHTS]
    if (place / WEIGHTS_INDEX).is_file():
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
    index = place / WEIGHTS_INDEX
    names = set(_object(index).get("weight_map", {}).values())
    if not names:
        raise ModelError(f"{index}: names no files")
    for name in sorted(names):
        if not (place / _inside(name, index)).is_file():
            raise ModelError(f"{place / name}: missing; {index.name} names it")
    return [place / name for name in sorted(names)]


# ---------------------------------------------------------------- modules


def _parts(directory: Path) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    path = directory / MODULES
    if not path.is_file():
        return _parts_without_modules(directory)
    entries = _json(path)
    if not isinstance(entries, list) or not entries:
        raise ModelError(f"{path}: should be a list of modules")
    try:
        named = [(str(entry["type"]), _inside(entry["path"], path)) for entry in entries]
    except (KeyError, TypeError) as exc:
        raise ModelError(f"{path}: a module without its type or path") from exc
    parts = [part for type_, folder in named for part in _expanded(directory, type_, folder)]
    return tuple(parts), ()


def _parts_without_modules(directory: Path) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: not a model directory: it has neither {MODULES} nor config.json")
    kind = _object(directory / "config.json").get("model_type")
    if kind in (None, "model2vec"):
        raise ModelError(f"{directory}: no {MODULES}, and config.json names no transformer (model_type {kind!r})")
    pooling = _assumed_pooling(directory)
    note = f"no {MODULES}: {pooling} pooling is assumed, as sentence-transformers does"
    return (Part("Transformer", ""), Part("AssumedPooling", "")), (note,)


def _assumed_pooling(directory: Path) -> str:
    config = _object(directory / "config.json")
    architecture = next(iter(config.get("architectures") or []), "")
    return "lasttoken" if architecture.endswith("ForCausalLM") and config.get("is_causal", True) else "mean"


def _expanded(directory: Path, type_: str, folder: str) -> list[Part]:
    part = Part(type_.rpartition(".")[2], folder, None, not type_.startswith("sentence_transformers."))
    if part.kind not in ("Router", "Asym"):
        return [part]
    path = directory / folder / "router_config.json"
    if not path.is_file():
        path = directory / folder / "config.json"  # what a router was saved as while it was called Asym
    config = _object(path)
    try:
        return [part] + [
            Part(
                str(config["types"][name]).rpartition(".")[2],
                (PurePosixPath(folder) / _inside(name, path)).as_posix(),
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


def _dimension(directory: Path, parts: tuple[Part, ...]) -> int | None:
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
        config = _object(place / "config.json")
        length = config.get("embedding_dimension", config.get("word_embedding_dimension"))
        return length * len(_pooling_modes(config)) if isinstance(length, int) else None
    if part.kind == "Dense":
        return _int(_object(place / "config.json").get("out_features"))
    if part.kind == "StaticEmbedding":
        tensors = read_header(place / WEIGHTS)
        table = tensors.get("embedding.weight") or tensors.get("embeddings")
        return table.shape[-1] if table else None
    if part.kind == "Transformer":
        config = _object(place / "config.json")
        return next((_int(config[key]) for key in _HIDDEN_SIZE if key in config), None)
    return None


def _pooling(directory: Path, parts: tuple[Part, ...]) -> str | None:
    for part in parts:
        if part.kind == "AssumedPooling":
            return _assumed_pooling(directory)
        if part.kind == "Pooling":
            return "+".join(_pooling_modes(_object(directory / part.folder / "config.json")))
    return None


def _pooling_modes(config: Mapping[str, Any]) -> list[str]:
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_POOLING_KEYS.items() if config.get(key)] or ["mean"]
    return [modes] if isinstance(modes, str) else list(modes)


def _ends_in_unit_length(directory: Path, chain: list[Part]) -> bool:
    kept = [part for part in chain if part.kind != "Dropout"]  # it does nothing but in training
    if not kept or kept[-1].kind != "Normalize" or kept[-1].is_remote:
        return False
    path = directory / kept[-1].folder / "config.json"
    config = _object(path) if path.is_file() and kept[-1].folder else {}
    output = config.get("module_output_name") or config.get("module_input_name")
    return output in (None, "sentence_embedding")


def _part_uses_role(directory: Path, part: Part) -> bool:
    if part.is_remote or part.kind in ("Router", "Asym"):
        return True
    if part.kind != "Transformer":
        return False
    settings = _transformer_settings(directory / part.folder)
    has_own_lengths = any(settings.get(key) for key in ("query_length", "document_length", "query_expansion"))
    # A chat template may be told the role.
    return has_own_lengths or "message" in settings.get("modality_config", {})


def _max_seq_length(directory: Path, parts: tuple[Part, ...]) -> int | None:
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
    lengths = [_limit(_object(path).get("model_max_length")) if path.is_file() else None, _table_rows(place)]
    return min((length for length in lengths if length), default=None)


def _positions(directory: Path, parts: tuple[Part, ...]) -> int | None:
    places = [directory / part.folder for part in parts if part.kind == "Transformer"]
    return min((rows - _offset(place) for place in places if (rows := _table_rows(place))), default=None)


def _table_rows(place: Path) -> int | None:
    return _limit(_object(place / "config.json").get("max_position_embeddings"))


def _offset(place: Path) -> int:
    config = _object(place / "config.json")
    padding = _int(config.get("pad_token_id"))
    return (1 if padding is None else padding) + 1 if config.get("model_type") in _OFFSET_POSITIONS else 0


def _limit(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < _NO_LIMIT else None


# ---------------------------------------------------------------- settings and JSON


def _settings(directory: Path) -> dict[str, Any]:
    path = directory / SETTINGS
    # Without modules.json sentence-transformers doesn't look at it.
    if not path.is_file() or not (directory / MODULES).is_file():
        return {}
    settings = _object(path)
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(f"{directory}: holds a {kind}; benchkit compares models with one dense vector per text")
    if not isinstance(settings.get("prompts") or {}, dict):
        raise ModelError(f"{path}: prompts should be names and texts")
    settings["prompts"] = settings.get("prompts") or {}
    return settings


def _similarity(directory: Path, settings: Mapping[str, Any]) -> Similarity:
    name = settings.get("similarity_fn_name") or "cosine"
    if name == "cosine":
        return "cosine"
    if name == "dot":
        return "dot"
    raise ModelError(f"{directory / SETTINGS}: compares vectors by {name!r}; benchkit has cosine and dot")


def _transformer_settings(place: Path) -> dict[str, Any]:
    paths = (place / name for name in _TRANSFORMER_SETTINGS)
    return next((_object(path) for path in paths if path.is_file()), {})


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _inside(name: object, named_in: Path) -> str:
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise ModelError(f"{named_in}: names {name!r}, which lies outside the model directory")
    return "" if path == PurePosixPath(".") else path.as_posix()


def _object(path: Path) -> dict[str, Any]:
    content = _json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path}: should be a JSON object")
    return content


def _json(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ModelError(f"{path}: missing") from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"{path}: can't be read: {exc}") from exc
    return content
