"""What is measured against what in one session, and how.

    models ── choose_reference ──┐
    level ─── plan.py ───────────┴─ Design ──┬── kept.py ──────────────── the key of a session
                                             └── session.py, phases.py ── its processes and calls

With the texts and the machine, a design decides all figures of a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchkit.cost.figures import CLOCKS, Clock, deciding_metric
from benchkit.cost.plan import CostPlan
from benchkit.models.names import resolve_loader
from benchkit.types.model import ModelMeta, ModelSpec

REMOTE_LOADER = "openai"


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model to measure."""

    spec: ModelSpec
    meta: ModelMeta

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def identity(self) -> dict[str, object]:
        """What makes two models one, whatever they are called."""
        meta = self.meta
        return {"fingerprint": meta.fingerprint, "similarity": meta.similarity, "engine": meta.engine}

    @property
    def is_remote(self) -> bool:
        return resolve_loader(self.spec) == REMOTE_LOADER

    @property
    def is_dense(self) -> bool:
        return self.meta.dimension is not None and not self.is_remote


@dataclass(frozen=True, slots=True)
class Design:
    """The design of one session.

    Attributes:
        models: In the order of the comparison.
        reference: Label of the model that is measured twice (`choose_reference`); None for no control.
        device: Where the models compute.
        seed: Of the texts that are drawn, and of the order of the calls in each round.
        tolerance: Rounds are added until ratios are known to this, as the plan allows.
        reversed_start: Exchange the halves: the processes of the first one start in reverse, those of the second in
            order.
    """

    models: tuple[MeasuredModel, ...]
    reference: str | None
    plan: CostPlan
    device: str
    seed: int
    tolerance: float
    reversed_start: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(model.label for model in self.models)

    @property
    def reference_place(self) -> int | None:
        return None if self.reference is None else self.labels.index(self.reference)

    @property
    def decides(self) -> Clock:
        """The clock of the ratios that are to be known to the tolerance."""
        return CLOCKS[deciding_metric(self.device)]


def choose_reference(models: Sequence[MeasuredModel], baseline: str | None) -> str | None:
    """Return the model that is measured twice: the baseline, else the smallest that computes vectors on this machine.

    A lexical model is taken only where there is no other (it is over so soon that its own noise says nothing of the
    others'), an endpoint never: its noise is the network's, and calls cost money.
    """
    dense = [model for model in models if model.is_dense]
    local = dense or [model for model in models if not model.is_remote]
    if any(model.label == baseline for model in local):
        return baseline
    return min(local, key=_size).label if local else None


def _size(model: MeasuredModel) -> float:
    return model.meta.memory_bytes or 4 * (model.meta.parameters or 0) or float("inf")
