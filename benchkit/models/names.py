"""Model names as people write them.

    "minilm@dim=128,precision=int8" ─ parse_model ─> ModelSpec ─ resolve_loader ─> "sentence-transformers"

A name is a short name of the catalogue, a hub name "org/name" or a local directory. A directory that exists wins over
a hub name, as it does in sentence-transformers; a short name wins over a directory ("./minilm" means the directory).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from benchkit.errors import ModelError, nearest
from benchkit.models import catalog
from benchkit.types.model import PRECISIONS, ModelSpec, Precision, Variant

EngineOption = Literal["auto", "torch", "packed", "bf16x3", "bf16", "int8"]
ENGINES: tuple[EngineOption, ...] = get_args(EngineOption)

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_PATH_STARTS = ("/", "./", "../", "~")


def parse_model(text: str) -> ModelSpec:
    """Return the model that a text asks for; its label is the text itself.

    Keys after "@": dim, precision, normalize, max_seq_length, revision, loader, engine.

    Raises:
        ModelError: no name, an unknown or doubled key, or a value that the key doesn't take.

    >>> parse_model("minilm@dim=128,precision=int8").variant
    Variant(truncate_dim=128, precision='int8', normalize=None)
    """
    name, given = _split(text)
    if not name:
        raise ModelError(f"model {text!r}: the name is missing; write NAME or NAME@key=value,key=value")
    return ModelSpec(
        label=text,
        name=name,
        loader=given.loader,
        revision=given.revision,
        variant=Variant(truncate_dim=given.dim, precision=given.precision, normalize=given.normalize),
        max_seq_length=given.max_seq_length,
        options={} if given.engine is None else {"engine": given.engine},
    )


def resolve_loader(spec: ModelSpec) -> str:
    """Return the name of the plug-in that opens a model.

    Raises:
        ModelError: the name is neither in the catalogue, nor a hub name, nor a directory.
    """
    if spec.loader is not None:
        return spec.loader
    entry = catalog.find(spec.name)
    if entry is not None and not is_directory(spec.name):
        return entry.loader
    if is_directory(spec.name) or (_HUB_NAME.fullmatch(spec.name) and not spec.name.startswith(_PATH_STARTS)):
        return "sentence-transformers"
    if spec.name.startswith(_PATH_STARTS):
        raise ModelError(f"model {spec.label!r}: there is no directory {spec.name!r}")
    known = catalog.short_names()
    raise ModelError(
        f"no model named {spec.name!r}.{did_you_mean(spec.name, known)} Known: {', '.join(known)}; "
        "or give a hub name org/name or a local directory"
    )


def is_directory(name: str) -> bool:
    """Return whether a name means a local directory; a short name of the catalogue never does."""
    return name not in catalog.short_names() and Path(name).expanduser().is_dir()


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or "".

    >>> did_you_mean("minlm", ["minilm", "mpnet"])
    " Did you mean 'minilm'?"
    """
    near = nearest(text, known)
    return f" Did you mean {near!r}?" if near else ""


@dataclass(slots=True)
class _Given:
    """What stood after the "@"."""

    dim: int | None = None
    precision: Precision = "float32"
    normalize: bool | None = None
    max_seq_length: int | None = None
    revision: str | None = None
    loader: str | None = None
    engine: str | None = None


def _split(text: str) -> tuple[str, _Given]:
    given = _Given()
    # A directory may have an "@" in its name.
    if "@" not in text or Path(text).expanduser().is_dir():
        return text.strip(), given
    name, _, options = text.rpartition("@")
    seen: set[str] = set()
    for option in options.split(","):
        key, equals, value = (part.strip() for part in option.partition("="))
        if not equals:
            raise ModelError(f"model {text!r}: {option!r} should be key=value; keys: {', '.join(_READERS)}")
        if key not in _READERS:
            raise ModelError(
                f"model {text!r}: unknown key {key!r}.{did_you_mean(key, _READERS)} Keys: {', '.join(_READERS)}"
            )
        if key in seen:
            raise ModelError(f"model {text!r}: {key!r} is given twice")
        seen.add(key)
        try:
            setattr(given, key, _READERS[key](value))
        except ValueError as exc:
            raise ModelError(f"model {text!r}: {key} {exc}, got {value!r}") from None
    return name.strip(), given


def _positive(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) < 1:
        raise ValueError("should be a whole number of at least 1")
    return int(value)


def _precision(value: str) -> Precision:
    for known in PRECISIONS:
        if value == known:
            return known
    raise ValueError(f"should be one of {', '.join(PRECISIONS)}")


def _engine(value: str) -> str:
    if value not in ENGINES:
        raise ValueError(f"should be one of {', '.join(ENGINES)}")
    return value


def _flag(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("should be true or false")
    return value == "true"


def _text(value: str) -> str:
    if not value:
        raise ValueError("should not be empty")
    return value


_READERS: dict[str, Callable[[str], object]] = {
    "dim": _positive,
    "precision": _precision,
    "normalize": _flag,
    "max_seq_length": _positive,
    "revision": _text,
    "loader": _text,
    "engine": _engine,
}
