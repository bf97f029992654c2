"""What a sentence-transformers directory holds, read without torch: its modules, its shape and its identity.

    modules.json, router_config.json ─ parts ─┬─ JSON of each part ── dimension, pooling, ... (models.modules)
                                              ├─ its weights ──────── are they whole? (models.weight_files)
                                              └─ every file that decides a vector ── content_digest

What is in the identity and what isn't: see `content_digest`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.models import modules
from benchkit.models.json_files import read_json, read_object
from benchkit.models.modules import DENSE_ONLY, MODULES, Part
from benchkit.models.safetensors_header import count_floats, read_header
from benchkit.models.weight_files import weight_files
from benchkit.types.model import Similarity

SETTINGS = "config_sentence_transformers.json"
ORIGIN = "benchkit_origin.json"  # written by `benchkit models prefetch`: where a directory came from

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
    parts, notes = modules.read_parts(directory)
    settings = _settings(directory)
    prompts = {"query": "", "document": ""} | {name: text or "" for name, text in settings.get("prompts", {}).items()}
    default_prompt = settings.get("default_prompt_name")
    if default_prompt is not None and default_prompt not in prompts:
        raise ModelError(
            f"{directory / SETTINGS}: default_prompt_name {default_prompt!r} is none of its prompts: {sorted(prompts)}"
        )
    weights = tuple(dict.fromkeys(weight_files(directory, parts)))
    truncate_dim = settings.get("truncate_dim")
    dimension = modules.vector_dimension(directory, parts)
    return ModelFiles(
        directory=directory,
        parts=parts,
        weights=weights,
        parameters=sum(count_floats(read_header(path)) for path in weights),
        dimension=dimension if truncate_dim is None or dimension is None else min(dimension, truncate_dim),
        pooling=modules.pooling_name(directory, parts),
        max_seq_length=modules.max_seq_length(directory, parts),
        positions=modules.positions(directory, parts),
        normalized=truncate_dim is None and modules.end_in_unit_length(directory, parts),
        uses_role=modules.use_role(directory, parts),
        similarity=_similarity(directory, settings),
        prompts=prompts,
        default_prompt=default_prompt,
        notes=notes,
    )


def read_config(directory: Path, part: Part) -> dict[str, Any]:
    """Return the config.json of a module; empty where it has none."""
    path = directory / part.folder / "config.json"
    # A module without a folder of its own would get the transformer's.
    return read_object(path) if path.is_file() and (part.folder or part.kind == "Transformer") else {}


def parameter_count(directory: Path) -> int:
    """Return the number of floating-point weights of a model directory, from the headers of its files."""
    return read_model(directory).parameters


def _settings(directory: Path) -> dict[str, Any]:
    path = directory / SETTINGS
    # Without modules.json sentence-transformers doesn't look at it.
    if not path.is_file() or not (directory / MODULES).is_file():
        return {}
    settings = read_object(path)
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ModelError(f"{directory}: holds a {kind}; {DENSE_ONLY}")
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
    content = read_json(path)
    if not isinstance(content, dict):
        return content
    dropped = _NOTES | (_SETTINGS_ELSEWHERE if path.name == SETTINGS else frozenset())
    if content.get("model_type") in _VERSION_MATTERS:
        dropped -= {"transformers_version"}
    return {key: value for key, value in content.items() if key not in dropped}
