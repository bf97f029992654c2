"""Every model on every task, one cell after the other.

    PlannedModel x OpenedTask ──┬── known already ───────────────── CellResult
                                └── load · encode once · score ──── CellResult   (a failure is a result too)

Model by model, so that one model is in memory at a time; variants of one model follow each other on the vectors of one
fp32 encode. One failing cell does not stop the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from benchkit.embeddings.encoder import CachedEncoder
from benchkit.embeddings.lengths import ReadTexts
from benchkit.embeddings.precision import bytes_per_vector
from benchkit.embeddings.store import VectorStore
from benchkit.errors import BenchkitError, CellFailed, ModelError
from benchkit.runner.cell_cache import CellCache, cell_key, library_versions
from benchkit.runner.progress import Progress, Silent
from benchkit.tasks.kept_tags import tags_to_keep
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.scoring import TaskScore, score_task
from benchkit.types.answer import Answers
from benchkit.types.model import CorpusFitted, ModelHandle, ModelMeta, ModelSpec
from benchkit.types.result import CellResult
from benchkit.types.tags import ItemTags

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model as it was asked for, found and not loaded."""

    spec: ModelSpec
    handle: ModelHandle

    @property
    def meta(self) -> ModelMeta:
        """Facts of the variant: its label, dimension, precision and true bytes per vector."""
        full, variant = self.handle.meta, self.spec.variant
        dimension = full.dimension
        if dimension is not None and variant.truncate_dim is not None:
            dimension = min(dimension, variant.truncate_dim)
        return replace(
            full,
            name=self.spec.label,
            dimension=dimension,
            precision=variant.precision,
            bytes_per_vector=None if dimension is None else bytes_per_vector(dimension, variant.precision),
        )


def key_of(model: PlannedModel, task: OpenedTask, device: str) -> str:
    """Return the name under which the cell of a model and a task is kept.

    Args:
        device: Already decided: "cpu", "cuda" or "cuda:N".
    """
    return cell_key(
        fingerprint=model.meta.fingerprint,
        similarity=model.meta.similarity,
        engine=model.handle.meta.engine,
        variant=model.spec.variant,
        source_digest=task.source_digest,
        device_kind=device.partition(":")[0],
    )


@dataclass(frozen=True, slots=True)
class _Computed:
    """A result, what the model answered to the items, and what is known of them."""

    result: CellResult
    answers: Answers = field(default_factory=dict)
    tags: ItemTags | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory.

    Attributes:
        identity: Of the planned models that it can stand for.
        notes: What was found out while it was loaded (why an engine was refused).
    """

    identity: str
    model: CachedEncoder | CorpusFitted
    notes: tuple[str, ...]


@dataclass(slots=True)
class Runner:
    """Runs cells with the caches of one machine; either cache may be None."""

    vectors: VectorStore | None
    cells: CellCache | None
    progress: Progress
    device: str
    _loaded: _Loaded | None = field(default=None, repr=False)
    _broken: dict[str, str] = field(default_factory=dict, repr=False)
    _tags: dict[str, ItemTags | None] = field(default_factory=dict, repr=False)

    def run(self, models: Sequence[PlannedModel], tasks: Sequence[OpenedTask]) -> Iterator[CellResult]:
        """Yield the result of every cell, model by model; variants of one model behind each other, so it loads once."""
        self.progress.planned(len(models) * len(tasks))
        for model in _variants_together(models):
            for task in tasks:
                yield self._cell(model, task)

    def close(self) -> None:
        """Let the loaded model go."""
        self._loaded = None

    def _cell(self, model: PlannedModel, task: OpenedTask) -> CellResult:
        key = key_of(model, task, self.device)
        self.progress.cell_started(model.spec.label, task.name)
        known = self.cells.get(key, model=model.spec.label, task=task.name) if self.cells else None
        result = known or self._new(key, model, task)
        self.progress.cell_finished(result, from_cache=known is not None)
        return result

    def _new(self, key: str, model: PlannedModel, task: OpenedTask) -> CellResult:
        """Compute a cell, and keep it."""
        computed = self._compute(model, task)
        result = computed.result
        if result.status != "ok" or self.cells is None:
            return result
        if not self.cells.put(key, result, computed.answers, tags=computed.tags):
            self.progress.warning(
                f"{self.cells.folder}: finished cells can't be kept, and a next run computes them again; free some "
                "space, mend the rights of the folder or choose another with BENCHKIT_CACHE_DIR"
            )
            self.cells = None
        return result

    def _compute(self, model: PlannedModel, task: OpenedTask) -> _Computed:
        started = time.perf_counter()
        blank = CellResult(
            model=model.spec.label,
            task=task.name,
            type=task.type,
            status="failed",
            main_metric=task.main_metric,
            dataset_revision=task.revision,
        )
        try:
            loaded = self._load(model)
            blank = replace(blank, engine=loaded.model.meta.engine)
            if reason := _unsuited(loaded.model, model.spec.label, task.type):
                return _Computed(replace(blank, status="skipped", reason=reason))
            task.load()
            blank = replace(blank, data_digest=task.data_digest, limited=task.limited)
            before = _counters(loaded.model)
            read = loaded.model.watch() if isinstance(loaded.model, CachedEncoder) else None
            score = score_task(task, loaded.model, model.spec.variant)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BenchkitError as exc:
            return _Computed(replace(blank, reason=str(exc)))
        except Exception as exc:
            # Any failure of a model or a scorer is a result with its reason; the log keeps the whole story.
            log.debug("%s on %s failed", model.spec.label, task.name, exc_info=exc)
            return _Computed(replace(blank, reason=reason_of(exc)))
        encoded, encode_seconds = (b - a for a, b in zip(before, _counters(loaded.model), strict=True))
        result = _finished(
            blank,
            score,
            task.notes + score.warnings + _cut_warning(read, loaded.model.meta) + loaded.notes,
            seconds=time.perf_counter() - started,
            encoded=int(encoded),
            encode_seconds=encode_seconds,
        )
        return _Computed(result, score.answers, self._tags_of(task, result))

    def _tags_of(self, task: OpenedTask, result: CellResult) -> ItemTags | None:
        """Return the tags of a task's items, looked up for its first model; None where they can't be told."""
        if self.cells is not None and task.source_digest not in self._tags:
            try:
                self._tags[task.source_digest] = tags_to_keep(task, result.items)
            # They cut a score into slices and are no part of it: whatever a task's rows are like, the score stands.
            except Exception as exc:
                log.debug("the tags of the items of %s can't be told", task.name, exc_info=exc)
                self._tags[task.source_digest] = None
        return self._tags.get(task.source_digest)

    def _load(self, model: PlannedModel) -> _Loaded:
        identity = _identity(model)
        if identity in self._broken:
            raise CellFailed(self._broken[identity])
        if self._loaded is None or self._loaded.identity != identity:
            self._loaded = None  # let the last model go before the next one comes
            self.progress.model_loading(model.spec.label)
            try:
                loaded = open_encoder(model, self.vectors, device=self.device, progress=self.progress)
            except ModelError as exc:
                # Once is enough: the other tasks would wait for the same failure.
                self._broken[identity] = str(exc)
                raise
            known = model.handle.meta.notes
            notes = tuple(note for note in loaded.meta.notes if note not in known)
            self._loaded = _Loaded(identity, loaded, notes)
        return self._loaded


def open_encoder(
    model: PlannedModel, vectors: VectorStore | None, *, device: str, progress: Progress | None = None
) -> CachedEncoder | CorpusFitted:
    """Load a model and put the vector cache around it, so that what a comparison has encoded isn't encoded again.

    The vectors are fp32 and whole; `model.spec.variant` is applied where they are scored. A lexical model has no cache.

    Args:
        vectors: Kept vectors; None keeps them in memory, for this encoder only.
        device: Already decided: "cpu", "cuda" or "cuda:N".

    Raises:
        ModelError: the model can't be loaded.
    """
    heard = progress or Silent()
    encoder = model.handle.load()
    if isinstance(encoder, CorpusFitted):
        return encoder
    return CachedEncoder(
        encoder,
        store=vectors,
        # The engine that was loaded, not the expected one: two engines differ in the last bits of a vector.
        context={"device": device.partition(":")[0], "engine": encoder.meta.engine or "", **library_versions()},
        on_progress=heard.encoding,
        on_warning=heard.warning,
    )


def _variants_together(models: Sequence[PlannedModel]) -> list[PlannedModel]:
    """Return the models in the order in which each was first named, with its variants right behind it."""
    identities = [_identity(model) for model in models]
    return sorted(models, key=lambda model: identities.index(_identity(model)))


def _identity(model: PlannedModel) -> str:
    """Return what decides a model's scores: its vectors, what computes them, and how two of them are compared."""
    return f"{model.meta.fingerprint}/{model.handle.meta.engine}/{model.meta.similarity}"


def _unsuited(model: CachedEncoder | CorpusFitted, label: str, task_type: str) -> str:
    """Return why a model is not for tasks of this type; "" where it is."""
    if not isinstance(model, CorpusFitted) or model.task_types is None or task_type in model.task_types:
        return ""
    return f"{label} does {' and '.join(sorted(model.task_types))} only"


def reason_of(error: Exception) -> str:
    """Return what a failure of a model or a scorer is told as."""
    # A ValueError's text stands for itself: it is how our own encoders tell of NaN or a wrong shape.
    is_plain = type(error) is ValueError and str(error)
    return str(error) if is_plain else f"{type(error).__name__}: {error}"


def _counters(model: CachedEncoder | CorpusFitted) -> tuple[float, float]:
    if not isinstance(model, CachedEncoder):
        return (0, 0.0)
    return (model.counts.encoded, model.counts.encode_s)


def _finished(
    blank: CellResult,
    score: TaskScore,
    warnings: tuple[str, ...],
    *,
    seconds: float,
    encoded: int,
    encode_seconds: float,
) -> CellResult:
    return replace(
        blank,
        status="ok",
        main_score=score.main_score,
        scores=score.scores,
        items=score.items,
        n_items=score.n_items,
        worst=score.worst,
        warnings=warnings,
        seconds=seconds,
        texts=score.n_texts,
        texts_encoded=encoded,
        encode_seconds=encode_seconds,
    )


def _cut_warning(read: ReadTexts | None, meta: ModelMeta) -> tuple[str, ...]:
    """Return a sentence when texts were cut."""
    if read is None or not read.n_cut:
        return ()
    share = 100 * read.n_cut / read.n_texts
    words = f"{share:.0f} %" if share >= 1 else "less than 1 %"
    sentence = (
        f"{read.n_cut} of {read.n_texts} texts ({words}) are longer than the {meta.max_seq_length} tokens that "
        "the model reads; the rest of them was cut off"
    )
    return (sentence,)
