"""The canaries of a new baseline: texts embedded by the model that production uses, each in its role.

    CanaryTexts of a file or suite ─────────────┐
    rows of the source ── 200 of all clusters ──┴── model ── vectors ──> Canaries

Where the source says which of its texts are queries, a model with prompts embeds them as such, now and at every check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.canary import FEWEST_FOUND, FEWEST_SEARCHING
from benchkit.drift.canary_set import Canaries, choose_canaries, make_canaries
from benchkit.drift.ranking import row_cosines
from benchkit.drift.reference import Reference, assign
from benchkit.errors import UsageError
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.live_model import LiveModel
from benchkit.types.drift import Rows

CANARIES_OF_SOURCE = 200
_SAME_MODEL = 0.8  # cosine; a prompt that production adds, or other storage, leaves more
_ROLES = ("query", "document")


def embedded_canaries(wanted: CanaryTexts, reference: Reference, model: LiveModel | None) -> Canaries:
    """Embed texts and freeze their rankings.

    Raises:
        UsageError: there is no model, it has another dimension than the baseline, or the texts make no search.
        ModelError: the model failed.
    """
    used = _given(model)
    return _frozen(wanted, _embedded(wanted, reference, used), reference, used)


def canaries_of_source(
    rows: Rows, clusters: NDArray[np.integer], reference: Reference, model: LiveModel | None, *, seed: int
) -> Canaries:
    """Choose texts of the source's own rows, embed them again in their roles, and freeze their rankings.

    Raises:
        UsageError: the rows have no texts, there is no model, or it gives these texts other vectors.
        ModelError: the model failed.
    """
    chosen, used = _chosen(rows, clusters, seed), _given(model)
    texts = tuple(str((rows.texts or ())[place]) for place in chosen)
    roles = tuple(_role(rows, place) for place in chosen)
    wanted = CanaryTexts(texts, queries=_searching(roles), embedded_as=roles)
    vectors = _embedded(wanted, reference, used)
    _check_same_model(rows.vectors[chosen].astype(np.float32), vectors, used.spec)
    return _frozen(wanted, vectors, reference, used)


def _given(model: LiveModel | None) -> LiveModel:
    if model is None:
        raise UsageError(
            "--canary needs the model that production uses, to embed them now and at every check: --model NAME"
        )
    return model


def _chosen(rows: Rows, clusters: NDArray[np.integer], seed: int) -> list[int]:
    """Return the places of texts that stand for all rows; a text is there once in each role."""
    if rows.texts is None or not any(rows.texts):
        raise UsageError("--canary source: the source has no texts; give a file or a suite")
    places = np.flatnonzero(np.array([bool(text) for text in rows.texts]))
    found = choose_canaries(rows.vectors[places].astype(np.float32), clusters[places], CANARIES_OF_SOURCE, seed=seed)
    first: dict[tuple[str | None, str | None], int] = {}
    for place in places[found].tolist():
        first.setdefault((rows.texts[place], _role(rows, place)), place)
    return list(first.values())


def _role(rows: Rows, place: int) -> str | None:
    # What a source calls otherwise is no role that a model has a prompt for.
    role = None if rows.roles is None else rows.roles[place]
    return role if role in _ROLES else None


def _searching(roles: Sequence[str | None]) -> tuple[int, ...] | None:
    """Return which texts are queries, where every text has a role and there are enough of both for a search."""
    queries = tuple(place for place, role in enumerate(roles) if role == "query")
    is_search = len(queries) >= FEWEST_SEARCHING and len(roles) - len(queries) >= FEWEST_FOUND
    return queries if all(roles) and is_search else None


def _embedded(wanted: CanaryTexts, reference: Reference, model: LiveModel) -> NDArray[np.float32]:
    vectors = model.encode(wanted.texts, wanted.roles)
    if vectors.shape[1] != reference.dimension:
        raise UsageError(
            f"--model {model.spec} gives {vectors.shape[1]} dimensions and the source has {reference.dimension}: it is "
            "not the model of these vectors"
        )
    return vectors


def _check_same_model(stored: NDArray[np.float32], vectors: NDArray[np.float32], spec: str) -> None:
    """Refuse a model that gives the source's own texts other vectors than the source has."""
    alike = float(row_cosines(stored, vectors).mean())
    if alike < _SAME_MODEL:
        raise UsageError(
            f"--model {spec} isn't the model of these vectors: it gives {len(vectors)} of the source's texts others "
            f"(mean cosine {alike:.2f}); name the model that production uses"
        )


def _frozen(wanted: CanaryTexts, vectors: NDArray[np.float32], reference: Reference, model: LiveModel) -> Canaries:
    try:
        return make_canaries(
            wanted.texts,
            vectors,
            clusters=assign(reference, vectors),
            similarity=model.similarity,
            queries=wanted.queries,
            qrels=wanted.qrels,
            roles=wanted.roles,
        )
    except ValueError as exc:
        raise UsageError(f"--canary: {exc}") from exc
