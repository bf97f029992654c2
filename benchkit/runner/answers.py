"""What a planned model answers to single items: why a gate failed, in texts.

PlannedModel ── open_encoder (vectors are kept) ── evaluate again ──> ItemAnswer of each wanted item
"""

from __future__ import annotations

import logging

from benchkit.embeddings.encoder import CachedEncoder
from benchkit.embeddings.store import VectorStore
from benchkit.errors import BenchkitError, CellFailed
from benchkit.runner.progress import Progress
from benchkit.runner.run import PlannedModel, open_encoder, reason_of
from benchkit.tasks import scoring
from benchkit.tasks.answers import Wanted
from benchkit.tasks.opened import OpenedTask
from benchkit.types.answer import ItemAnswer
from benchkit.types.model import CorpusFitted

log = logging.getLogger(__name__)


def answer_items(
    planned: PlannedModel,
    opened: OpenedTask,
    wanted: Wanted,
    *,
    vectors: VectorStore | None,
    device: str,
    encoder: CachedEncoder | CorpusFitted | None = None,
    progress: Progress | None = None,
) -> dict[tuple[str, str], ItemAnswer]:
    """Return what a model answered to items of a task, by ("split/subset", item).

    The task is evaluated once more. With the vectors of the comparison that takes what scoring takes; without them
    every text is encoded.

    Args:
        wanted: Names of items, as `ItemScores` holds them, by "split/subset".
        vectors: Kept vectors; None keeps them in memory.
        device: Already decided: "cpu", "cuda" or "cuda:N".
        encoder: The model, where `open_encoder` has loaded it already.

    Raises:
        ModelError: the model can't be loaded.
        CellFailed: the task can't be evaluated with it.
    """
    if not any(wanted.values()):
        return {}
    model = encoder or open_encoder(planned, vectors, device=device, progress=progress)
    try:
        return scoring.answer_items(opened, model, planned.spec.variant, wanted)
    except BenchkitError:
        raise
    except Exception as exc:
        log.debug("answers of %s on %s failed", planned.spec.label, opened.name, exc_info=exc)
        raise CellFailed(reason_of(exc)) from exc
