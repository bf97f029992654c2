"""What one model costs, from the calls of a session. Pure: no clock, no process, no file.

    calls of a model ─┬─ single queries ───── mean, percentiles ──┐
                      ├─ batches ──────────── texts in a second   ├──> ModelCost, its figures in the order of FIGURES
                      └─ documents by length ─ Throughput ─────── ┘
    ProcessFacts ── start, memory;  ModelMeta ── vector, index;  Price

Figures are over all calls of both halves of the session. A model had a process in each half: of two load times the
median is told, of two memory peaks the larger. A figure that can't be made is left out, and a note says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from benchkit.cost.figures import CLOCKS, CPU, WALL, figure, if_known, largest, middle
from benchkit.measure.latency import Estimate, fewest_calls, mean, percentile, rate, variation
from benchkit.types.cost import CostFigure, CostSamples, ModelCost, Price, ProcessFacts, Sample
from benchkit.types.model import ModelMeta

Calls: TypeAlias = Mapping[tuple[str, int, str], Sequence[Sample]]  # by model, copy and kind

_PRICE = "price/per_million_tokens"
_PERCENTILES = (50, 90, 95, 99)
_LENGTHS = ("short", "medium", "long")
_MIB = 2**20


def calls_by_process(samples: CostSamples) -> Calls:
    """Return the calls of a session by model, copy of its process and kind, in their order."""
    calls: dict[tuple[str, int, str], list[Sample]] = {}
    for sample in samples.samples:
        calls.setdefault((sample.model, sample.copy, sample.kind), []).append(sample)
    return calls


def metric_rng(seed: int, metric: str) -> np.random.Generator:
    """Return the random numbers of a metric; the same for all models, so that a label changes no interval."""
    digest = hashlib.sha256(metric.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])


@dataclass(frozen=True, slots=True)
class ModelCosts:
    """The costs of the models of one session.

    Attributes:
        endpoints: Labels of models that a server computes: CPU time, memory and energy of this machine aren't theirs.
    """

    samples: CostSamples
    calls: Calls
    price: Price | None
    seed: int
    endpoints: frozenset[str]

    def cost(self, model: str, meta: ModelMeta | None) -> ModelCost:
        facts = [one for one in self.samples.processes if (one.model, one.copy) == (model, 0)]
        calls = {kind: self.calls.get((model, 0, kind), []) for kind in ("query", "batch", "throughput")}
        is_local = model not in self.endpoints
        throughput = _Throughput(calls["throughput"], self._lengths())
        figures = [
            *_start(facts),
            *self._latency(model, calls["query"], is_local=is_local),
            *self._batches(calls["batch"]),
            *throughput.figures(),
            *(_memory(facts) if is_local else ()),
            *self._vector(meta),
            *self._price(model, throughput, is_local=is_local),
            *(throughput.energy() if is_local else ()),
        ]
        reason = self.samples.failures.get(model, "")
        is_measured = bool(facts) or any(calls.values())
        notes = _Notes(facts, calls, throughput, meta, is_local)
        return ModelCost(
            model=model,
            status="failed" if reason else "ok" if is_measured else "skipped",
            figures=tuple(replace(one, model=model) for one in figures),
            reason=reason or ("" if is_measured else "nothing was measured"),
            notes=tuple(notes.sentences()) if is_measured else (),
            engine=facts[0].engine if facts else None,
        )

    def _latency(self, model: str, calls: Sequence[Sample], *, is_local: bool) -> Iterator[CostFigure]:
        for metric in (WALL, CPU) if is_local else (WALL,):
            durations = 1e3 * np.array([getattr(call, CLOCKS[metric]) for call in calls])
            if not len(durations):
                continue
            cv = variation(durations)
            yield figure(f"{metric}/mean_ms", mean(durations, rng=metric_rng(self.seed, metric)), cv)
            for percent in _PERCENTILES:
                yield from if_known(f"{metric}/p{percent}_ms", percentile(durations, percent), cv)

    def _batches(self, calls: Sequence[Sample]) -> Iterator[CostFigure]:
        for size in sorted({call.texts for call in calls}):
            durations = [call.wall_s for call in calls if call.texts == size]
            # Not the median: small batches are of one document or a few, and a long one counts as what it takes.
            found = _inverse(size, mean(durations, rng=metric_rng(self.seed, "batch")))
            yield from if_known(f"batch/{size}/texts_per_s", found, variation(durations))

    def _vector(self, meta: ModelMeta | None) -> Iterator[CostFigure]:
        if meta is None:
            return
        yield from if_known("vector/dimension", meta.dimension)
        yield from if_known("vector/bytes", meta.bytes_per_vector)
        if meta.bytes_per_vector is not None:
            yield figure("index/documents_1m_mib", 1_000_000 * meta.bytes_per_vector / _MIB)

    def _price(self, model: str, throughput: _Throughput, *, is_local: bool) -> Iterator[CostFigure]:
        if self.price is None:
            return
        found: float | Estimate | None = self.price.per_million_tokens.get(model)
        if found is None and is_local and self.price.per_hour is not None:
            found = _per_million(self.price.per_hour, throughput.tokens)
        yield from (replace(one, unit=self.price.currency) for one in if_known(_PRICE, found))

    def _lengths(self) -> list[str | None]:
        """Return the length classes that some model has: a total over fewer would be one over easier texts."""
        have = {s.length_class for (_, _, kind), calls in self.calls.items() if kind == "throughput" for s in calls}
        return [length for length in (*_LENGTHS, None) if length in have]


# One group of figures


def _start(facts: Sequence[ProcessFacts]) -> Iterator[CostFigure]:
    first_calls_s = [one.first_call_s for one in facts if one.first_call_s is not None]
    yield from middle("load/import_s", [one.import_s for one in facts])
    yield from middle("load/model_s", [one.load_s for one in facts])
    yield from middle("latency/first_call_ms", [1e3 * first_s for first_s in first_calls_s])


def _memory(facts: Sequence[ProcessFacts]) -> Iterator[CostFigure]:
    values = {
        "model": [one.model_mib for one in facts],
        "import": [one.import_mib for one in facts],
        "peak": [one.peak_mib for one in facts],
        "encode": [
            None if one.peak_mib is None or one.import_mib is None else one.peak_mib - one.import_mib for one in facts
        ],
        "uss": [one.uss_mib for one in facts],
        "cuda_allocated": [one.cuda_allocated_mib for one in facts],
        "cuda_reserved": [one.cuda_reserved_mib for one in facts],
    }
    for name, told in values.items():
        yield from largest(f"memory/{name}_mib", [value for value in told if value is not None])


class _Throughput:
    """Passes over the documents of each length class.

    A pass over all of them is one over each class, at the mean of its passes; None where a class is missing.
    """

    def __init__(self, calls: Sequence[Sample], lengths: Sequence[str | None]) -> None:
        self.parts = {length: [call for call in calls if call.length_class == length] for length in lengths}
        self.is_complete = bool(self.parts) and all(self.parts.values())

    @property
    def tokens(self) -> Estimate | None:
        """Tokens in a second over all classes."""
        return self._rate("tokens", list(self.parts))

    def figures(self) -> Iterator[CostFigure]:
        everything = list(self.parts)
        cv = self._variation(everything)
        for name, amount in (("texts", "texts"), ("tokens", "tokens"), ("padded_tokens", "padded_tokens")):
            yield from if_known(f"throughput/{name}_per_s", self._rate(amount, everything), cv)
        real, padded = self._amount("tokens", everything), self._amount("padded_tokens", everything)
        if real and padded is not None:
            n = sum(map(len, self.parts.values()))
            yield replace(figure("throughput/padding_ratio", padded / real), n=n)
        for length in filter(None, everything):
            for name in ("texts", "tokens"):
                rated = self._rate(name, [length])
                yield from if_known(f"throughput/{length}/{name}_per_s", rated, self._variation([length]))

    def energy(self) -> Iterator[CostFigure]:
        everything = list(self.parts)
        joules, texts = self._amount("energy_j", everything), self._amount("texts", everything)
        if joules is not None and texts:
            n = sum(map(len, self.parts.values()))
            yield replace(figure("energy/joules_per_thousand_texts", 1e3 * joules / texts), n=n)

    def has(self, amount: str) -> bool:
        """Tell whether every call says it."""
        return all(getattr(call, amount) is not None for calls in self.parts.values() for call in calls)

    def _amount(self, amount: str, lengths: Sequence[str | None]) -> float | None:
        """Return what one pass over these classes holds; None where a class is missing or a call doesn't say."""
        total = 0.0
        for length in lengths:
            values = [getattr(call, amount) for call in self.parts[length]]
            if not values or None in values:
                return None
            total += sum(values) / len(values)
        return total if lengths else None

    def _rate(self, amount: str, lengths: Sequence[str | None]) -> Estimate | None:
        total = self._amount(amount, lengths)
        return rate(total, [[call.wall_s for call in self.parts[length]] for length in lengths]) if total else None

    def _variation(self, lengths: Sequence[str | None]) -> float | None:
        """Return the variation of the passes over a class, or the middle one of several classes."""
        found = [variation([call.wall_s for call in self.parts[length]]) for length in lengths]
        known = [cv for cv in found if cv is not None]
        return float(np.median(known)) if known else None


# What is missing, and why


@dataclass(frozen=True, slots=True)
class _Notes:
    """Sentences on figures that could not be made."""

    facts: Sequence[ProcessFacts]
    calls: Mapping[str, Sequence[Sample]]
    throughput: _Throughput
    meta: ModelMeta | None
    is_local: bool

    def sentences(self) -> Iterator[str]:
        if not self.is_local:
            yield "computed by a server, whose CPU time, memory and energy can't be measured from here"
        yield from self._single_queries()
        yield from self._throughput()
        if self.is_local and self.facts and all(one.peak_mib is None for one in self.facts):
            yield "memory was not measured: the process ended early, or this system doesn't tell its peak"
        if self.meta is not None and self.meta.dimension is None:
            yield "its vectors are sparse, so that their size depends on the text"

    def _single_queries(self) -> Iterator[str]:
        queries = self.calls["query"]
        n = len(queries)
        missing = [percent for percent in _PERCENTILES if n < fewest_calls(percent)]
        if n and missing:
            needed = " and ".join(f"p{percent} ({fewest_calls(percent)})" for percent in missing)
            yield f"{n} single queries are too few for {needed}"
        if not n:
            yield "no single query was measured"
        if any(min(query.wall_s, query.cpu_s) <= 0 for query in queries):
            yield "the clock of this system is too coarse for its short calls, so it has no ratio by that clock"

    def _throughput(self) -> Iterator[str]:
        if not any(self.throughput.parts.values()):
            yield "no documents were measured, so there is no throughput"
        elif not self.throughput.is_complete:
            missing = ", ".join(str(length) for length, calls in self.throughput.parts.items() if not calls)
            yield f"{missing} documents were not measured, so there is no throughput over all lengths"
        elif not self.throughput.has("tokens"):
            yield "it doesn't tell its tokens, so there are no figures by token"
        elif not self.throughput.has("padded_tokens"):
            yield "it doesn't tell how much it pads"
        if self.is_local and self.throughput.is_complete and not self.throughput.has("energy_j"):
            yield "energy was not measured: no meter could be read"


def _inverse(amount: float, duration: Estimate) -> Estimate | None:
    """Return amount / duration; None where the duration, or an end of its interval, is 0."""
    if duration.value <= 0 or (duration.low is not None and duration.low <= 0):
        return None
    low = None if duration.high is None else amount / duration.high
    high = None if duration.low is None else amount / duration.low
    return Estimate(amount / duration.value, low, high, duration.n)


def _per_million(per_hour: float, tokens_per_s: Estimate | None) -> Estimate | None:
    return None if tokens_per_s is None else _inverse(1e6 * per_hour / 3600, tokens_per_s)
