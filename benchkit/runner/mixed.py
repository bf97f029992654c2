"""A live index after a swap without re-embedding: queries of the candidate on documents of the baseline.

    PlannedModel candidate ── queries ────┐
                                          ├── MixedEncoder ──> PlannedModel for Runner.run: MTEB's own scores of the
    PlannedModel baseline ── all others ──┘                    mixed index on retrieval and reranking tasks

What belongs to the index is the baseline's: the similarity and the precision of what is stored (an int8 scale is that
of the old documents). Truncation and normalisation are each model's own, so a candidate of 64 dimensions can search the
vectors of a baseline that were cut to 64.

Each of the two is behind a cache under its own fingerprint, with the keys of the `Runner`: after the two were scored,
the mixed index needs no text encoded. Run it with a `Runner(vectors=None, ...)`; one with a store works as well, and
keeps a second copy of every vector under the fingerprint of the pair. Both models are in memory at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.precision import bytes_per_vector
from benchkit.embeddings.store import VectorStore
from benchkit.errors import ModelError
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, open_encoder
from benchkit.tasks.variant import VariantView
from benchkit.types.model import CorpusFitted, Encoder, ModelHandle, ModelMeta, ModelSpec, Role, Variant

# Raise it when the same two models begin to make other mixed vectors.
_RECIPE = 1
# More than any call has: the caches of the two models cut batches of their own.
_ANY_NUMBER_OF_TOKENS = 2**40


@dataclass(slots=True)
class LoadedOnce:
    """A handle that loads its model on the first call and hands out the same one from then on."""

    handle: ModelHandle
    _loaded: Encoder | CorpusFitted | None = field(default=None, repr=False)

    @property
    def meta(self) -> ModelMeta:
        return self.handle.meta

    def load(self) -> Encoder | CorpusFitted:
        if self._loaded is None:
            self._loaded = self.handle.load()
        return self._loaded


def loaded_once(model: PlannedModel) -> PlannedModel:
    """Return the model with a handle that loads it once, for those who need it in several places."""
    return model if isinstance(model.handle, LoadedOnce) else replace(model, handle=LoadedOnce(model.handle))


class FloatEncoder:
    """A dense model's vectors as its variant cuts and normalises them, before they are stored in a precision.

    Args:
        on_warning: Called when the cache fails; None lets nobody know.

    Raises:
        ModelError: the model can't be loaded, or has no dense vectors.
    """

    def __init__(
        self,
        planned: PlannedModel,
        vectors: VectorStore | None,
        *,
        device: str,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        progress = None if on_warning is None else _Warned(on_warning)
        encoder = open_encoder(planned, vectors, device=device, progress=progress)
        if isinstance(encoder, CorpusFitted):
            raise ModelError(_no_vectors(planned.spec.label))
        variant = planned.spec.variant
        self._encoder = encoder
        self._view = VariantView(replace(variant, precision="float32"), encoder.meta)
        self.meta = replace(encoder.meta, name=planned.spec.label, dimension=_cut(encoder.meta.dimension, variant))

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._encoder.prompt_for(task_name=task_name, task_type=task_type, role=role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension); the role counts where the model knows one."""
        role = role if self._encoder.meta.uses_role else None
        return self._view.apply(self._encoder.encode(texts, prompt=prompt, role=role), subset="")


class _Warned(Silent):
    """A `Progress` that hears warnings only."""

    def __init__(self, on_warning: Callable[[str], None]) -> None:
        self._on_warning = on_warning

    def warning(self, message: str) -> None:
        self._on_warning(message)


class MixedEncoder:
    """Queries by one model, everything else by another; an `Encoder` with roles."""

    def __init__(self, queries: FloatEncoder, others: FloatEncoder, meta: ModelMeta) -> None:
        self.meta = meta
        self._queries, self._others = queries, others

    @property
    def batch_tokens(self) -> int:
        return _ANY_NUMBER_OF_TOKENS

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        return int(lengths.sum())

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._of(role).prompt_for(task_name=task_name, task_type=task_type, role=role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        return self._of(role).encode(texts, prompt=prompt, role=role)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """Return None: the two models may have two tokenizers, and a text alone doesn't say whose it is."""
        return None

    def _of(self, role: Role | None) -> FloatEncoder:
        return self._queries if role == "query" else self._others


@dataclass(frozen=True, slots=True)
class MixedModel:
    """The handle of a mixed index; made by `mixed_planned`, which checks that the two fit."""

    candidate: PlannedModel
    baseline: PlannedModel
    meta: ModelMeta
    vectors: VectorStore | None = field(default=None, repr=False)
    device: str = "cpu"
    on_warning: Callable[[str], None] | None = field(default=None, repr=False)

    def load(self) -> MixedEncoder:
        """Load both models.

        Raises:
            ModelError: one can't be loaded, or the two don't have one dimension.
        """
        queries, others = (
            FloatEncoder(model, self.vectors, device=self.device, on_warning=self.on_warning)
            for model in (self.candidate, self.baseline)
        )
        # As loaded: the files alone don't tell the dimension of every model, nor which engine will compute it.
        return MixedEncoder(queries, others, _mixed_meta(self.candidate, queries.meta, self.baseline, others.meta))


def mixed_planned(
    candidate: PlannedModel,
    baseline: PlannedModel,
    *,
    vectors: VectorStore | None = None,
    device: str = "cpu",
    on_warning: Callable[[str], None] | None = None,
) -> PlannedModel:
    """Return the model that encodes queries with the candidate and everything else with the baseline.

    A model whose files don't tell whether it has dense vectors is loaded here to find out.

    Args:
        vectors: The cache that the two were scored with; None encodes every text again.
        device: The one that they were scored on ("cpu", "cuda:0").

    Raises:
        ModelError: the two have other dimensions, or one has no dense vectors.
    """
    candidate, baseline = loaded_once(candidate), loaded_once(baseline)
    meta = _mixed_meta(candidate, _known_meta(candidate), baseline, _known_meta(baseline))
    spec = ModelSpec(label=meta.name, name=meta.name, variant=Variant(precision=baseline.spec.variant.precision))
    return PlannedModel(spec, MixedModel(candidate, baseline, meta, vectors, device, on_warning))


def _known_meta(model: PlannedModel) -> ModelMeta:
    """Return the facts of a dense variant, with its dimension."""
    meta = model.meta
    if meta.dimension is not None:
        return meta
    loaded = model.handle.load()
    if isinstance(loaded, CorpusFitted):
        raise ModelError(_no_vectors(model.spec.label))
    return replace(meta, dimension=_cut(loaded.meta.dimension, model.spec.variant))


def _mixed_meta(candidate: PlannedModel, queries: ModelMeta, baseline: PlannedModel, documents: ModelMeta) -> ModelMeta:
    if queries.dimension is None or queries.dimension != documents.dimension:
        raise ModelError(
            f"{candidate.spec.label} makes vectors of {queries.dimension} dimensions and {baseline.spec.label} of "
            f"{documents.dimension}: queries of one can't search an index of the other"
        )
    precision = baseline.spec.variant.precision
    name = f"{candidate.spec.label} on {baseline.spec.label}"
    return ModelMeta(
        name=name,
        id=name,
        revision=None,
        fingerprint=digest_json(
            {"recipe": _RECIPE, "queries": _identity(candidate, queries), "others": _identity(baseline, documents)}
        ),
        dimension=queries.dimension,
        precision=precision,
        bytes_per_vector=bytes_per_vector(queries.dimension, precision),
        similarity=documents.similarity,
        normalized=queries.normalized and documents.normalized,
        uses_role=True,
        engine=_joined(queries.engine, documents.engine),
    )


def _identity(model: PlannedModel, meta: ModelMeta) -> dict[str, object]:
    """Return what decides the vectors that a model brings in; the precision is the index's."""
    variant = asdict(replace(model.spec.variant, precision="float32"))
    return {"fingerprint": meta.fingerprint, "engine": meta.engine, "variant": variant}


def _joined(first: str | None, second: str | None) -> str | None:
    return first if first == second else f"{first or 'unnamed'}+{second or 'unnamed'}"


def _cut(dimension: int | None, variant: Variant) -> int | None:
    if dimension is None or variant.truncate_dim is None:
        return dimension
    return min(dimension, variant.truncate_dim)


def _no_vectors(label: str) -> str:
    return f"{label} has no dense vectors: it is fitted on a corpus, and neither searches nor fills an index of vectors"
