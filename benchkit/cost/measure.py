"""What the models of a comparison cost on this machine, measured now or taken from what was measured here before.

    models ── one for each set of weights ── Design ─┬── kept under the same key ─────────┐
    tasks ── texts (read only if measured) ──────────┴── run_session ── kept from now on ─┴── SessionRecord

    SessionRecord ── a copy for each label ── summarise ──> CostReport

Variants of one model (other dimension or precision) share one measurement: they encode in fp32 with the same weights,
and only vectors and index differ in size. Cutting and converting the vectors afterwards is not in any latency.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchkit.cost.design import Design, MeasuredModel, choose_reference
from benchkit.cost.kept import KeptSessions, cost_key
from benchkit.cost.phases import Notice, Sources
from benchkit.cost.plan import PLANS, CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.session import OpenProcess, SessionRecord, now, run_session
from benchkit.cost.summary import Conditions, summarise
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


@dataclass(frozen=True, slots=True)
class CostRequest:
    """Which models are to be compared in their costs, and how well.

    Attributes:
        models: Each with a label of its own; `meta.name` is the label.
        baseline: Label of the model that ratios are held against; it is measured twice.
        tolerance: Rounds are added until ratios are known to this, as the plan of the level allows.
        reversed_start: Exchange the halves, so that the first one starts its processes in reverse. Two sessions of
            both kinds show what of a ratio is due to time, as the halves of each show what is due to the order.
        split_identical: Measure models that are one and the same in processes of their own, to see by how much one
            model differs from itself, instead of sharing one measurement.
    """

    models: Sequence[tuple[ModelSpec, ModelMeta]]
    baseline: str | None
    level: CostLevel
    seed: int
    tolerance: float = 0.05
    reversed_start: bool = False
    split_identical: bool = False


def measure_costs(
    request: CostRequest,
    tasks: Sequence[OpenedTask],
    context: OpenContext,
    *,
    price: Price | None = None,
    refresh: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
    open_process: OpenProcess | None = None,
) -> MeasuredCosts:
    """Measure what models cost, or take what was measured of them on this machine before.

    A model that fails is no error but a part of the report; so are texts that can't be read.

    Args:
        refresh: Measure again.
        open_process: Makes the process of a model; None starts real ones.

    Raises:
        KeyboardInterrupt: no process is left.
    """
    hardware = hardware_facts(context.device)
    shared = _SharedModels(request)
    design = shared.design(context.device)
    kept = KeptSessions(context.cache_dir)
    key = cost_key(design, tasks=[task.source_digest for task in tasks], hardware=hardware, environ=os.environ)
    record = None if refresh else kept.get(key, design.labels)
    from_cache = record is not None
    if record is None:
        record = _kept(kept, key, _measured(design, tasks, context, open_process=open_process, on_stage=on_stage))
    samples = shared.for_each_label(record.samples)
    report = summarise(
        samples,
        Conditions(
            level=request.level,
            device=context.device,
            hardware=hardware,
            measured_at=record.measured_at,
            seconds=record.seconds,
            seed=request.seed,
            tolerance=request.tolerance,
        ),
        models=[meta for _, meta in request.models],
        baseline=request.baseline,
        price=price,
        warnings=[shared.renamed(notice).sentence for notice in record.notices],
        endpoints=shared.endpoints,
    )
    return MeasuredCosts(replace(shared.with_notes(report), from_cache=from_cache), samples)


class _SharedModels:
    """Labels that share one set of weights, and with it one measurement under the label of the first."""

    def __init__(self, request: CostRequest) -> None:
        self._request = request
        leaders: dict[tuple[object, ...], MeasuredModel] = {}
        self._leader_of: dict[str, str] = {}
        self._variant_of = {spec.label: spec.variant for spec, _ in request.models}
        for spec, meta in request.models:
            model = MeasuredModel(spec, meta)
            one_model = (spec.label,) if request.split_identical else tuple(model.identity.values())
            self._leader_of[spec.label] = leaders.setdefault(one_model, model).label
        self._measured = tuple(leaders.values())
        baseline_leader = None if request.baseline is None else self._leader_of.get(request.baseline)
        self._reference = choose_reference(self._measured, baseline_leader)
        is_baseline_twice = self._reference is not None and self._reference == baseline_leader
        self._control = request.baseline if is_baseline_twice else self._reference

    def design(self, device: str) -> Design:
        """Return the design of the session that measures each of them once, and the reference twice."""
        asked = self._request
        return Design(
            models=self._measured,
            reference=self._reference,
            plan=PLANS[asked.level],
            device=device,
            seed=asked.seed,
            tolerance=asked.tolerance,
            reversed_start=asked.reversed_start,
        )

    @property
    def endpoints(self) -> list[str]:
        return [label for model in self._measured if model.is_remote for label in self.followers(model.label)]

    def followers(self, leader: str) -> tuple[str, ...]:
        """Return the labels that are measured under this one, itself among them."""
        return tuple(label for label, name in self._leader_of.items() if name == leader)

    def for_each_label(self, samples: CostSamples) -> CostSamples:
        """Return the samples under every label that they hold for; those of the control under one only."""

        def labels(leader: str, copy: int) -> tuple[str, ...]:
            return self.followers(leader) if copy == 0 or self._control is None else (self._control,)

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

    def with_notes(self, report: CostReport) -> CostReport:
        """Add to each model what a reader of its figures should know of how they are shared."""
        return replace(
            report, models=tuple(replace(cost, notes=(*cost.notes, *self._notes(cost))) for cost in report.models)
        )

    def _notes(self, cost: ModelCost) -> tuple[str, ...]:
        if cost.status != "ok":
            return ()
        notes = []
        others = [label for label in self.followers(self._leader_of[cost.model]) if label != cost.model]
        if others:
            notes.append(f"measured together with {', '.join(others)}: one model, whose variants encode alike")
        if self._variant_of[cost.model] != Variant():
            notes.append("cutting and converting vectors after the encode is not in its latency and throughput")
        return tuple(notes)


def _measured(
    design: Design,
    tasks: Sequence[OpenedTask],
    context: OpenContext,
    *,
    open_process: OpenProcess | None,
    on_stage: Callable[[str], None],
) -> SessionRecord:
    on_stage("measuring costs: reading the suite's texts")
    try:
        sources = read_sources(tasks, design.plan, design.seed)
    except CellFailed as exc:
        samples = CostSamples(design.labels, (), (), dict.fromkeys(design.labels, str(exc)))
        return SessionRecord(samples, (), now(), 0.0, is_complete=False)
    return run_session(
        design,
        sources,
        open_process=open_process or _real_process(context, sources),
        free_bytes=free_memory_bytes(design.device),
        on_stage=on_stage,
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
