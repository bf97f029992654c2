"""Made-up sessions: calls of models with the times that a test wants, and the report that follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
from comparisons import model as make_model

from benchkit.cost.summary import Conditions, summarise
from benchkit.types.cost import (
    CostReport,
    CostSamples,
    LengthClass,
    ModelCost,
    ProcessFacts,
    Sample,
)
from benchkit.types.model import ModelMeta

CONDITIONS = {field.name for field in fields(Conditions)}
LENGTHS: tuple[LengthClass, ...] = ("short", "medium", "long")


def query(
    model: str, number: int, wall_s: float, cpu_s: float | None = None, *, copy: int = 0, tokens: int | None = 8
) -> Sample:
    cpu = wall_s if cpu_s is None else cpu_s
    return Sample(model, copy, "query", number, number, 1, tokens, tokens, wall_s, cpu)


def queries(
    model: str, walls_s: Sequence[float], cpus_s: Sequence[float] | None = None, *, copy: int = 0
) -> list[Sample]:
    cpus = walls_s if cpus_s is None else cpus_s
    return [query(model, number, *both, copy=copy) for number, both in enumerate(zip(walls_s, cpus, strict=True))]


def batch(model: str, texts: int, wall_s: float, number: int = 0) -> Sample:
    return Sample(model, 0, "batch", 1000 + number, 0, texts, 10 * texts, 11 * texts, wall_s, wall_s)


def documents(
    model: str,
    length: LengthClass | None,
    wall_s: float,
    *,
    texts: int = 10,
    tokens: int | None = 100,
    padded: int | None = 110,
    energy_j: float | None = None,
) -> Sample:
    return Sample(model, 0, "throughput", 2000, 0, texts, tokens, padded, wall_s, wall_s, length, energy_j)


def facts(model: str, copy: int = 0, **known: object) -> ProcessFacts:
    return ProcessFacts(model, copy, 4.2, 0.3, **known)  # type: ignore[arg-type]


def report(
    samples: Sequence[Sample] = (),
    *,
    order: Sequence[str] = ("m",),
    processes: Sequence[ProcessFacts] = (),
    failures: Mapping[str, str] | None = None,
    models: Sequence[ModelMeta] | None = None,
    **options: object,
) -> CostReport:
    conditions = Conditions("quick", "cpu", {"cpu": "x"}, "2026-01-02T03:04:05+00:00", seconds=12.0, seed=1)
    conditions = replace(conditions, **{name: options.pop(name) for name in CONDITIONS & options.keys()})
    made = CostSamples(tuple(order), tuple(samples), tuple(processes), failures or {})
    metas = [make_model(name) for name in order] if models is None else models
    return summarise(made, conditions, models=metas, **{"baseline": None, **options})  # type: ignore[arg-type]


def cost(samples: Sequence[Sample] = (), **options: object) -> ModelCost:
    """Return the costs of the one model "m"."""
    return report(samples, **options).models[0]  # type: ignore[arg-type]


def value(found: ModelCost, metric: str) -> float | None:
    figure = found.figure(metric)
    return None if figure is None else figure.value


def noisy(seed: int, n: int = 64, sd: float = 0.01) -> np.ndarray:
    """Return the durations of one process; those of the same n vary alike, as with the same queries."""
    shared = np.random.default_rng(99).lognormal(math.log(0.01), 0.3, n)
    return shared * np.exp(np.random.default_rng(seed).normal(0, sd, n))


def session(factor: float = 1.0, *, control: float = 1.0, cpu_sd: float = 0.008, wall_sd: float = 0.01) -> list[Sample]:
    """Return single queries of base, of a candidate that takes `factor` of its time, and of a control of base."""
    made = []
    for place, (name, copy, slower) in enumerate((("base", 0, 1.0), ("cand", 0, factor), ("base", 1, control))):
        walls, cpus = noisy(2 * place, sd=wall_sd) * slower, noisy(2 * place + 1, sd=cpu_sd) * slower
        made += queries(name, walls.tolist(), cpus.tolist(), copy=copy)
    return made
