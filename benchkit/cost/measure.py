"""What the models of a comparison cost on this machine, measured now or taken from what was measured here before.

    models ── one for each set of weights ──┬── kept under the same key ─────────┐
    tasks ── texts (read only if measured) ─┴── run_session ── kept from now on ─┴── a copy for each label ── CostReport

Variants of one model (other dimension or precision) share one measurement: they encode in fp32 with the same weights,
and only vectors and index differ in size. Cutting and converting the vectors afterwards is not in any latency.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchkit.cost.kept import KeptSessions, cost_key
from benchkit.cost.phases import Notice, Sources
from benchkit.cost.plan import PLANS, CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.session import (
    MeasuredModel,
    OpenProcess,
    SessionRecord,
    choose_reference,
    now,
    run_session,
)
from benchkit.cost.summary import summarise
from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import CellFailed
from benchkit.measure.machine import free_memory_bytes, hardware_facts
from benchkit.tasks.opened import OpenedTask
from benchkit.tasks.texts import by_length, document_source, query_source
from benchkit.types.cost import CostLevel, CostReport, CostSamples, ModelCost, Price
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Variant


@dataclass(frozen=True, slots=True)
class MeasuredCosts:
    """The figures and the samples behind them."""

    report: CostReport
    samples: CostSamples


def measure_costs(
    models: Sequence[tuple[ModelSpec, ModelMeta]],
    tasks: Sequence[OpenedTask],
    *,
    level: CostLevel,
    device: str,
    offline: bool,
    cache_dir: Path,
    baseline: str | None,
    seed: int,
    price: Price | None = None,
    tolerance: float = 0.05,
    on_stage: Callable[[str], None] = lambda _: None,
    refresh: bool = False,
    open_process: OpenProcess | None = None,
    reversed_start: bool = False,
    split_identical: bool = False,
) -> MeasuredCosts:
    """Measure what models cost, or take what was measured of them on this machine before.

    A model that fails is no error but a part of the report; so are texts that can't be read.

    Args:
        models: Each with a label of its own; `meta.name` is the label.
        baseline: Label of the model that ratios are held against; it is measured twice.
        tolerance: Rounds are added until ratios are known to this, as the plan of the level allows.
        refresh: Measure again.
        open_process: Makes the process of a model; None starts real ones.
        reversed_start: Exchange the halves, so that the first one starts its processes in reverse. Two sessions of
            both kinds show what of a ratio is due to time, as the halves of each show what is due to the order.
        split_identical: Measure models that are one and the same in processes of their own, to see by how much one
            model differs from itself, instead of sharing one measurement.

    Raises:
        KeyboardInterrupt: no process is left.
    """
    plan, hardware = PLANS[level], hardware_facts(device)
    shared = _SharedModels(models, split_identical=split_identical)
    reference = choose_reference(shared.measured, shared.leader(baseline))
    kept = KeptSessions(cache_dir)
    key = cost_key(
        plan=plan,
        models=[_identity(model.meta) for model in shared.measured],
        reference=None if reference is None else shared.labels.index(reference),
        sources=[task.source_digest for task in tasks],
        device=device,
        hardware=hardware,
        seed=seed,
        tolerance=tolerance,
        environ=os.environ,
    )
    if reversed_start:  # an addition, so that the keys of what was kept before stay as they are
        key = digest_json({"session": key, "start": "reversed"})
    record = None if refresh else kept.get(key, shared.labels)
    from_cache = record is not None
    if record is None:
        record = _measured(
            shared.measured,
            tasks,
            plan,
            OpenContext(device=device, offline=offline, cache_dir=cache_dir),
            open_process=open_process,
            reference=reference,
            seed=seed,
            tolerance=tolerance,
            on_stage=on_stage,
            reversed_start=reversed_start,
        )
        record = _kept(kept, key, record)
    samples = shared.for_each_label(record.samples, control=_control_label(shared, reference, baseline))
    report = summarise(
        samples,
        level=level,
        device=device,
        models=[meta for _, meta in models],
        baseline=baseline,
        price=price,
        hardware=hardware,
        measured_at=record.measured_at,
        seconds=record.seconds,
        seed=seed,
        tolerance=tolerance,
        warnings=[shared.renamed(notice).sentence for notice in record.notices],
        endpoints=[
            label for model in shared.measured if model.is_remote for label in shared.followers(model.spec.label)
        ],
    )
    costs = tuple(replace(cost, notes=(*cost.notes, *shared.notes(cost))) for cost in report.models)
    return MeasuredCosts(replace(report, models=costs, from_cache=from_cache), samples)


class _SharedModels:
    """Labels that share one set of weights, and with it one measurement under the label of the first."""

    def __init__(self, models: Sequence[tuple[ModelSpec, ModelMeta]], *, split_identical: bool = False) -> None:
        leaders: dict[tuple[object, ...], MeasuredModel] = {}
        self._leader_of: dict[str, str] = {}
        self._variant_of = {spec.label: spec.variant for spec, _ in models}
        for spec, meta in models:
            one_model = (spec.label,) if split_identical else tuple(_identity(meta).values())
            leader = leaders.setdefault(one_model, MeasuredModel(spec, meta))
            self._leader_of[spec.label] = leader.spec.label
        self.measured = tuple(leaders.values())
        self.labels = tuple(model.spec.label for model in self.measured)

    def leader(self, label: str | None) -> str | None:
        """Return the label under which a model is measured."""
        return None if label is None else self._leader_of.get(label)

    def followers(self, leader: str) -> tuple[str, ...]:
        return tuple(label for label, name in self._leader_of.items() if name == leader)

    def for_each_label(self, samples: CostSamples, *, control: str | None) -> CostSamples:
        """Return the samples under every label that they hold for; those of the control under one only."""

        def labels(leader: str, copy: int) -> tuple[str, ...]:
            return self.followers(leader) if copy == 0 or control is None else (control,)

        return CostSamples(
            order=tuple(self._leader_of),
            samples=tuple(replace(s, model=label) for s in samples.samples for label in labels(s.model, s.copy)),
            processes=tuple(replace(p, model=label) for p in samples.processes for label in labels(p.model, p.copy)),
            failures={
                label: samples.failures[name] for label, name in self._leader_of.items() if name in samples.failures
            },
        )

    def renamed(self, notice: Notice) -> Notice:
        return replace(notice, models=tuple(label for leader in notice.models for label in self.followers(leader)))

    def notes(self, cost: ModelCost) -> tuple[str, ...]:
        """Return what a reader of a model's figures should know of how they are shared."""
        if cost.status != "ok":
            return ()
        notes = []
        others = [label for label in self.followers(self._leader_of[cost.model]) if label != cost.model]
        if others:
            notes.append(f"measured together with {', '.join(others)}: one model, whose variants encode alike")
        if self._variant_of[cost.model] != Variant():
            notes.append("cutting and converting vectors after the encode is not in its latency and throughput")
        return tuple(notes)


def _identity(meta: ModelMeta) -> dict[str, object]:
    return {"fingerprint": meta.fingerprint, "similarity": meta.similarity, "engine": meta.engine}


def _control_label(shared: _SharedModels, reference: str | None, baseline: str | None) -> str | None:
    return baseline if reference is not None and shared.leader(baseline) == reference else reference


def _measured(
    models: Sequence[MeasuredModel],
    tasks: Sequence[OpenedTask],
    plan: CostPlan,
    context: OpenContext,
    *,
    open_process: OpenProcess | None,
    reference: str | None,
    seed: int,
    tolerance: float,
    on_stage: Callable[[str], None],
    reversed_start: bool,
) -> SessionRecord:
    on_stage("measuring costs: reading the suite's texts")
    try:
        sources = read_sources(tasks, plan, seed)
    except CellFailed as exc:
        labels = tuple(model.spec.label for model in models)
        samples = CostSamples(labels, (), (), dict.fromkeys(labels, str(exc)))
        return SessionRecord(samples, (), now(), 0.0, is_complete=False)
    return run_session(
        models,
        sources,
        plan,
        open_process=open_process or _real_process(context, sources),
        reference=reference,
        seed=seed,
        free_bytes=free_memory_bytes(context.device),
        tolerance=tolerance,
        # A GPU's work is not in the CPU time of the process that waits for it.
        decides="cpu_s" if context.device == "cpu" else "wall_s",
        on_stage=on_stage,
        reversed_start=reversed_start,
    )


def read_sources(tasks: Sequence[OpenedTask], plan: CostPlan, seed: int) -> Sources:
    """Return the texts of a session.

    Raises:
        CellFailed: no task has a text that can be read.
    """
    documents = document_source(tasks, plan.documents, seed)
    classes = by_length(documents, texts=plan.class_texts, characters=plan.class_characters)
    # A small corpus fills a large batch by coming again: what counts is the work of a batch, and no cache lies between.
    repeats = -(-max(plan.batch_sizes) // len(documents.texts))
    return Sources(
        queries=query_source(tasks, plan.most_rounds, seed),
        documents=replace(documents, texts=documents.texts * repeats),
        classes=classes,
    )


def _real_process(context: OpenContext, sources: Sources) -> OpenProcess:
    corpus = tuple(dict.fromkeys(sources.documents.texts))

    def open_process(spec: ModelSpec, copy: int) -> ModelProcess:
        return ModelProcess(spec, context, fit=corpus, copy=copy)

    return open_process


def _kept(kept: KeptSessions, key: str, record: SessionRecord) -> SessionRecord:
    if kept.put(key, record) or not record.is_complete:
        return record
    text = f"{kept.folder}: costs can't be kept there, and a next run measures them again"
    return replace(record, notices=(*record.notices, Notice(text)))
