"""The model behind production's vectors, asked again: a local model, one of the hub, or a running endpoint.

"minilm", "./folder", "openai:NAME" ── LiveModel ── encode(texts, roles) ──> float32 (n, d)

"openai:NAME" is the model NAME of an OpenAI-compatible endpoint. Where it is and its key come from the variables that
OpenAI's own clients read, OPENAI_BASE_URL and OPENAI_API_KEY, so that no key stands in a command or a baseline.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchkit.api.model import LoadedModel, load_model
from benchkit.errors import CellFailed, ModelError, SourceError
from benchkit.models.openai_client import AwayError
from benchkit.types.drift import Rows
from benchkit.types.model import ModelSpec, Role, Similarity

_ENDPOINT = "openai:"
_URL, _KEY, _OPENAI = "OPENAI_BASE_URL", "OPENAI_API_KEY", "https://api.openai.com/v1"


class ModelAway(ModelError):
    """An endpoint that was opened doesn't answer now. Who follows a source waits."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A loaded model and the name that it was asked for by."""

    spec: str
    loaded: LoadedModel

    @classmethod
    def open(cls, spec: str, *, device: str = "auto", offline: bool | None = None) -> LiveModel:
        """Load a model.

        Raises:
            ModelError: it can't be had, or isn't one with vectors of its own.
        """
        asked = endpoint_spec(spec) if is_endpoint(spec) else spec
        return cls(spec, load_model(asked, device=device, offline=offline))

    @property
    def fingerprint(self) -> str:
        return self.loaded.meta.fingerprint

    @property
    def similarity(self) -> Similarity:
        return self.loaded.meta.similarity

    def encode(self, texts: Sequence[str], roles: Sequence[str | None] | None = None) -> NDArray[np.float32]:
        """Return one vector for each text (n, d), each in its role ("query", "document", or none).

        Raises:
            ModelAway: an endpoint doesn't answer now.
            ModelError: a role is neither, or the model failed.
        """
        if not texts:
            raise ModelError("no text to encode")
        named = [_role(role) for role in roles] if roles is not None else [None] * len(texts)
        parts: dict[int, NDArray[np.float32]] = {}
        for role in dict.fromkeys(named):
            places = [place for place, own in enumerate(named) if own == role]
            try:
                vectors = self.loaded.encode([texts[place] for place in places], role=role)
            except AwayError as exc:
                raise ModelAway(f"{self.spec}: {exc}") from exc
            except CellFailed as exc:
                raise ModelError(f"{self.spec}: {exc}") from exc
            parts |= dict(zip(places, vectors, strict=True))
        return np.stack([parts[place] for place in range(len(texts))])


def opened_model(spec: str | None, device: str, offline: bool | None) -> LiveModel | None:
    """Return the model that was asked for, if one was; see `LiveModel.open`."""
    return None if spec is None else LiveModel.open(spec, device=device, offline=offline)


def is_endpoint(spec: str) -> bool:
    """Return whether a name means the model of an endpoint."""
    return spec.startswith(_ENDPOINT)


def endpoint_spec(spec: str) -> ModelSpec:
    """Return the model of an endpoint that "openai:NAME" names.

    Raises:
        ModelError: there is no name.
    """
    name = spec.removeprefix(_ENDPOINT).strip()
    if not name:
        raise ModelError(f"{spec!r}: name the endpoint's model, such as openai:text-embedding-3-small")
    options = {"base_url": os.environ.get(_URL) or _OPENAI, "model": name}
    if os.environ.get(_KEY):
        options["api_key_env"] = _KEY
    return ModelSpec(label=spec, name=name, loader="openai", options=options)


def _role(name: str | None) -> Role | None:
    if name is None or name in ("", "none"):
        return None
    if name == "query":
        return "query"
    if name == "document":
        return "document"
    raise ModelError(f"a role is 'query' or 'document', got {name!r}")


def encoded(batches: Iterator[Rows], model: LiveModel | None, source: str) -> Iterator[Rows]:
    """Give rows that are texts alone their vectors; others pass as they are.

    Raises:
        SourceError: there are only texts and no model to encode them, or a row has no text.
        ModelError: the model failed.
    """
    for rows in batches:
        if not len(rows) or rows.vectors.shape[1]:
            yield rows
            continue
        if model is None:
            raise SourceError(
                f"{source}: there are texts but no vectors; name the model that encodes them: --model NAME"
            )
        texts = [text for text in rows.texts or () if text is not None]
        if len(texts) != len(rows):
            raise SourceError(
                f"{source}: {len(rows) - len(texts)} of {len(rows)} rows have neither a vector nor a text"
            )
        yield replace(rows, vectors=model.encode(texts, rows.roles))
