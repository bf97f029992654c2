"""The suite's own texts under two models, for the question whether they share a space.

    ranking tasks, an equal share of each ── queries, documents ──┬── candidate ──┐
    (none: texts of the first other task)                         └── baseline ───┴──> SampledSpaces

Every text has the prompt that its task gives it, so its vector is the one that the task was scored with, and comes from
the cache where there is one. Drawn with a seed; truncated and normalised as the variants say, before any quantisation:
a space is the same whether an index stores all of its bits or some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.store import VectorStore
from benchkit.errors import CellFailed
from benchkit.measure.space import SampledSpaces
from benchkit.runner.mixed import FloatEncoder
from benchkit.runner.run import PlannedModel
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.texts import document_source, query_source
from benchkit.types.cost import TextSource

RANKING_TYPES = frozenset({"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking"})
# A mean share of neighbours over 500 queries has a standard error of at most 0.5 / sqrt(500) = 0.022; 2,000 documents
# are five times as many rows as MiniLM has dimensions, which CKA needs.
N_QUERIES = 500
N_DOCUMENTS = 2000
# Of texts that are neither queries nor documents, so many of a hundred are taken for queries.
_QUERY_SHARE = N_QUERIES / (N_QUERIES + N_DOCUMENTS)


def sample_vectors(
    candidate: PlannedModel,
    baseline: PlannedModel,
    tasks: Sequence[OpenedTask],
    *,
    seed: int,
    vectors: VectorStore | None = None,
    device: str = "cpu",
    n_queries: int = N_QUERIES,
    n_documents: int = N_DOCUMENTS,
    on_warning: Callable[[str], None] | None = None,
) -> SampledSpaces:
    """Encode a sample of the suite's texts under both models.

    Args:
        vectors: The cache that the two were scored with; None encodes every text again.
        device: The one that they were scored on.

    Raises:
        CellFailed: no task has a text that can be read.
        ModelError: a model can't be loaded, or has no dense vectors.
    """
    queries, documents = sample_texts(tasks, n_queries=n_queries, n_documents=n_documents, seed=seed)
    new, old = (FloatEncoder(model, vectors, device=device, on_warning=on_warning) for model in (candidate, baseline))
    return SampledSpaces(
        baseline_queries=_encode(old, queries),
        baseline_documents=_encode(old, documents),
        candidate_queries=_encode(new, queries),
        candidate_documents=_encode(new, documents),
        baseline_similarity=old.meta.similarity,
        candidate_similarity=new.meta.similarity,
    )


def sample_texts(
    tasks: Sequence[OpenedTask], *, n_queries: int, n_documents: int, seed: int
) -> tuple[list[TextSource], list[TextSource]]:
    """Return queries and documents, one source for each task that they are of.

    Without a ranking task the texts of one other task are split: no text is its own neighbour.

    Raises:
        CellFailed: no task has a text that can be read.
    """
    ranking = [task for task in tasks if task.type in RANKING_TYPES]
    queries, documents = [], []
    for task, some_queries, some_documents in zip(
        ranking, _shares(n_queries, len(ranking)), _shares(n_documents, len(ranking)), strict=True
    ):
        try:
            pair = query_source([task], some_queries, seed), document_source([task], some_documents, seed)
        except CellFailed:
            continue  # the task's own cell says why
        queries.append(pair[0])
        documents.append(pair[1])
    return (queries, documents) if queries else _split_texts(tasks, n_queries, n_documents, seed)


def _shares(n: int, parts: int) -> list[int]:
    """Split n as evenly as it goes; everybody gets one at least."""
    return [max(1, n // parts + (number < n % parts)) for number in range(parts)]


def _split_texts(
    tasks: Sequence[OpenedTask], n_queries: int, n_documents: int, seed: int
) -> tuple[list[TextSource], list[TextSource]]:
    others = [task for task in tasks if task.type not in RANKING_TYPES]
    try:
        source = query_source(others, n_queries + n_documents, seed)
    except CellFailed as exc:
        raise CellFailed("no task of the suite has texts to compare two spaces on") from exc
    n_asking = min(n_queries, max(1, round(_QUERY_SHARE * len(source.texts))))
    return (
        [replace(source, texts=source.texts[:n_asking])],
        [replace(source, texts=source.texts[n_asking : n_asking + n_documents])],
    )


def _encode(model: FloatEncoder, sources: Sequence[TextSource]) -> NDArray[np.float32]:
    return np.concatenate([_encode_source(model, source) for source in sources])


def _encode_source(model: FloatEncoder, source: TextSource) -> NDArray[np.float32]:
    prompt = model.prompt_for(task_name=source.task_name, task_type=source.task_type, role=source.role)
    return model.encode(source.texts, prompt=prompt, role=source.role)
