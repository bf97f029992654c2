"""One model, for two lines of a script."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchkit.api.request import go_offline
from benchkit.errors import ModelError
from benchkit.models.device import resolve_device
from benchkit.models.names import parse_model
from benchkit.plugins import open_model
from benchkit.runner.run import PlannedModel
from benchkit.settings import load_settings
from benchkit.tasks.variant import VariantView
from benchkit.types.model import CorpusFitted, Encoder, ModelMeta, ModelSpec, OpenContext, Role


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that encodes, with the variant that was asked for."""

    meta: ModelMeta
    _encoder: Encoder
    _view: VariantView

    def encode(self, texts: Sequence[str], *, role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension), as this variant stores them.

        An int8 variant takes its scale from the texts of the first call and keeps it: encode the corpus first.

        Args:
            role: "query" or "document" takes the prompt that the model has for it.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts, not one text")
        prompt = self._encoder.prompt_for(task_name="", task_type="", role=role)
        vectors = self._encoder.encode(list(texts), prompt=prompt, role=role if self.meta.uses_role else None)
        return self._view.apply(vectors, subset="")


def load_model(name: str | ModelSpec, *, device: str = "auto", offline: bool | None = None) -> LoadedModel:
    """Load a model by its short name, hub name, directory or variant ("minilm@dim=128").

    Raises:
        ModelError: it can't be had, or it is a lexical model, which can't encode without a corpus.
    """
    spec = name if isinstance(name, ModelSpec) else parse_model(name)
    settings = load_settings(Path.cwd(), os.environ)
    is_offline = settings.offline if offline is None else offline
    if is_offline:
        go_offline()
    context = OpenContext(device=resolve_device(device), offline=is_offline, cache_dir=settings.cache_dir)
    handle = open_model(spec, context)
    encoder = handle.load()
    if isinstance(encoder, CorpusFitted):
        raise ModelError(f"{spec.label} has no vectors of its own: it is fitted on the corpus of each task")
    return LoadedModel(PlannedModel(spec, handle).meta, encoder, VariantView(spec.variant, encoder.meta))
