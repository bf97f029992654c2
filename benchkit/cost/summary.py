"""From the samples of a session to its figures, paired ratios and noise floor. Pure: no clock, no process, no file.

    CostSamples ─┬─ of each model ──── FIGURES, in their order ────────────> ModelCost
                 ├─ of each two ────── paired by round ── paired_ratio ────> ratios
                 └─ of one, measured twice ── the same ── steadiness ──────> control, unstable
    CostReport, CostReport ── check_comparable ──> refused where the hardware differs

Figures are over all calls of both halves of the session. A model had a process in each half: of two load times the
median is told, of two memory peaks the larger. A ratio is the mean of those of the halves (measure/halves.py). A figure
that can't be made is left out, and a note of the model says why. While the control finds the machine unsteady by one
clock, no ratio of that clock has a verdict.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from benchkit.errors import UsageError
from benchkit.measure.latency import (
    MIN_SAMPLES,
    Estimate,
    fewest_calls,
    mean,
    median,
    paired_ratio,
    percentile,
    rate,
    steadiness,
    typical_ratio,
    variation,
)
from benchkit.types.cost import (
    CostFigure,
    CostLevel,
    CostRatio,
    CostReport,
    CostSamples,
    ModelCost,
    Price,
    ProcessFacts,
    Sample,
)
from benchkit.types.model import ModelMeta


@dataclass(frozen=True, slots=True)
class Figure:
    """What a metric is; "{n}" in its name stands for a number, "{length}" for a length class."""

    metric: str
    unit: str
    meaning: str


FIGURES: tuple[Figure, ...] = (
    Figure("load/import_s", "s", "importing the libraries in a fresh process"),
    Figure("load/model_s", "s", "loading the model after that"),
    Figure("latency/first_call_ms", "ms", "wall time of the very first encode"),
    *(
        Figure(f"latency/{name}/{what}_ms", "ms", f"{clock} of encoding one query on one thread: {words}")
        for name, clock in (("query", "wall time"), ("query_cpu", "CPU time"))
        for what, words in (
            ("mean", "mean"),
            ("p50", "median"),
            ("p90", "90th percentile"),
            ("p95", "95th percentile"),
            ("p99", "99th percentile"),
        )
    ),
    Figure("batch/{n}/texts_per_s", "texts/s", "documents in calls of n texts each, by their mean wall time"),
    Figure("throughput/texts_per_s", "texts/s", "documents of all length classes, one pass over each"),
    Figure("throughput/tokens_per_s", "tokens/s", "their tokens as the model reads them, after truncation"),
    Figure("throughput/padded_tokens_per_s", "tokens/s", "tokens that went through the model, padding included"),
    Figure("throughput/padding_ratio", "", "padded tokens / tokens"),
    Figure("throughput/{length}/texts_per_s", "texts/s", "documents of one length class"),
    Figure("throughput/{length}/tokens_per_s", "tokens/s", "their tokens"),
    Figure("memory/model_mib", "MiB", "bytes of parameters and buffers"),
    Figure("memory/import_mib", "MiB", "peak of the process after the imports, before the model"),
    Figure("memory/peak_mib", "MiB", "peak of the process over all calls"),
    Figure("memory/encode_mib", "MiB", "that peak less the one after the imports: the model and its work"),
    Figure("memory/uss_mib", "MiB", "memory at the end that no other process shares"),
    Figure("memory/cuda_allocated_mib", "MiB", "peak of tensors on the CUDA device"),
    Figure("memory/cuda_reserved_mib", "MiB", "peak that torch held of the CUDA device"),
    Figure("vector/dimension", "dimensions", "length of a vector"),
    Figure("vector/bytes", "bytes", "size of a stored vector"),
    Figure("index/documents_{n}_mib", "MiB", "vectors of n documents without an index structure"),
    Figure("price/per_million_tokens", "currency", "by the price of an hour and throughput, or as the endpoint asks"),
    Figure("energy/joules_per_thousand_texts", "J", "energy of the device while documents were encoded"),
)

WALL, CPU = "latency/query", "latency/query_cpu"  # what is paired, query by query
_FIELDS: Mapping[str, str] = {WALL: "wall_s", CPU: "cpu_s"}
_WORDS: Mapping[str, str] = {WALL: "wall times", CPU: "CPU times"}
_BY_NAME: Mapping[str, Figure] = {figure.metric: figure for figure in FIGURES}
_PRICE = "price/per_million_tokens"
_PERCENTILES = (50, 90, 95, 99)
_LENGTHS = ("short", "medium", "long")
_MIB = 2**20
# What varies in a metric's name, for looking up what it is.
_VARIES = ((r"/\d+/", "/{n}/"), (r"_\d+[mk]?_", "_{n}_"), ("/(?:short|medium|long)/", "/{length}/"))


def describe(metric: str) -> Figure:
    """Return what a metric is.

    >>> describe("batch/32/texts_per_s").unit
    'texts/s'

    Raises:
        KeyError: no figure of that name is made here.
    """
    name = metric
    for pattern, letter in _VARIES:
        name = re.sub(pattern, letter, name)
    return _BY_NAME[name]


def deciding_metric(device: str) -> str:
    """Return the ratio that decides: CPU time, blind to other programs, except on a GPU, whose work is not in it."""
    return CPU if device == "cpu" else WALL


def summarise(
    samples: CostSamples,
    *,
    level: CostLevel,
    device: str,
    models: Sequence[ModelMeta],
    baseline: str | None,
    price: Price | None,
    hardware: Mapping[str, str],
    measured_at: str,
    seconds: float,
    seed: int,
    tolerance: float = 0.05,
    documents: int = 1_000_000,
    warnings: Sequence[str] = (),
    endpoints: Collection[str] = (),
) -> CostReport:
    """Return the costs of the models of one session.

    Args:
        models: Facts of the models, by label; the order is that of the samples.
        baseline: The model in the second place of its ratios.
        seed: Of the bootstrap.
        tolerance: Ratios of 1 / (1 + tolerance) to 1 + tolerance count as the same.
        documents: Size of the index that is told.
        endpoints: Labels of models that a server computes: CPU time, memory and energy of this machine aren't theirs.
    """
    session = _Session(samples, price, documents, seed, tolerance, frozenset(endpoints))
    metas = {meta.name: meta for meta in models}
    metrics = (CPU, WALL) if deciding_metric(device) == CPU else (WALL, CPU)
    control = [found for metric in metrics for found in session.control(metric)]
    unsteady = {found.metric: steadiness(found, tolerance=tolerance) for found in control}
    ratios = [found for pair in _pairs(samples.order, baseline) for found in session.ratios(*pair, metrics)]
    return CostReport(
        level=level,
        device=device,
        models=tuple(session.cost(model, metas.get(model)) for model in samples.order),
        ratios=tuple(replace(r, verdict="inconclusive") if unsteady.get(r.metric) else r for r in ratios),
        control=tuple(control),
        unstable=unsteady.get(metrics[0], ""),
        hardware=dict(hardware),
        measured_at=measured_at,
        seconds=seconds,
        seed=seed,
        tolerance=tolerance,
        warnings=(*warnings, *_noise_warnings(ratios, unsteady, metrics)),
    )


def check_comparable(hardware_a: Mapping[str, str], hardware_b: Mapping[str, str]) -> None:
    """Refuse to hold costs against each other that were not measured on one kind of machine.

    Raises:
        UsageError: with every fact that differs.
    """
    names = dict.fromkeys((*hardware_a, *hardware_b))
    differ = [
        f"{name} {hardware_a.get(name, 'not known')!r} against {hardware_b.get(name, 'not known')!r}"
        for name in names
        if hardware_a.get(name) != hardware_b.get(name)
    ]
    if differ:
        raise UsageError(
            f"costs of different hardware can't be compared: {', '.join(differ)}; measure both models on one machine"
        )


def _pairs(order: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """Return every pair once; a named baseline always stands in the second place, and its pairs come first."""
    if baseline is None or baseline not in order:
        return list(combinations(order, 2))
    others = [model for model in order if model != baseline]
    return [(model, baseline) for model in others] + list(combinations(others, 2))


def _noise_warnings(ratios: Sequence[CostRatio], unsteady: Mapping[str, str], metrics: Sequence[str]) -> Iterator[str]:
    deciding, other = metrics
    if ratios and deciding not in unsteady:
        yield "there is no control (a model measured twice), so the machine's share of a ratio isn't known"
    if deciding == CPU and unsteady.get(other) and not unsteady.get(deciding):
        yield f"{_WORDS[other]} have no verdict: {unsteady[other]}; {_WORDS[deciding]} decide"


@dataclass(frozen=True, slots=True)
class _Session:
    samples: CostSamples
    price: Price | None
    documents: int
    seed: int
    tolerance: float
    endpoints: frozenset[str]
    calls: dict[tuple[str, int, str], list[Sample]] = field(init=False, default_factory=dict)
    start_orders: dict[str, float] = field(init=False, default_factory=dict)  # by what is paired

    def __post_init__(self) -> None:
        for sample in self.samples.samples:
            self.calls.setdefault((sample.model, sample.copy, sample.kind), []).append(sample)
        self.start_orders.update({metric: self._start_order(metric) for metric in (WALL, CPU)})

    # ------------------------------------------------------------ two models

    def control(self, metric: str) -> Iterator[CostRatio]:
        """Yield the second process of a model against its first."""
        for model in self._twice():
            yield from self._ratio((model, 1), (model, 0), metric)

    def ratios(self, candidate: str, baseline: str, metrics: Sequence[str]) -> Iterator[CostRatio]:
        for metric in metrics:
            if metric == WALL or not self.endpoints & {candidate, baseline}:
                yield from self._ratio((candidate, 0), (baseline, 0), metric)

    def _ratio(self, first: tuple[str, int], second: tuple[str, int], metric: str) -> Iterator[CostRatio]:
        """Yield the ratio of two processes; nothing where they have too few rounds, or durations, in common."""
        times = self._paired(first, second, metric)
        if times is not None:
            yield paired_ratio(
                *times,
                candidate=first[0],
                baseline=second[0],
                metric=metric,
                tolerance=self.tolerance,
                rng=self._rng(metric),
                start_order=self.start_orders[metric],
            )

    def _start_order(self, metric: str) -> float:
        """Return how much of a log ratio the order of starting may make up, by the control; 0 where there is none."""
        pairs = [self._paired((model, 1), (model, 0), metric) for model in self._twice()]
        found = [typical_ratio(*times, rng=self._rng(metric)).noise for times in pairs if times is not None]
        return max(found, default=0.0)

    def _twice(self) -> list[str]:
        return [model for model, copy, kind in self.calls if (copy, kind) == (1, "query")]

    def _paired(
        self, first: tuple[str, int], second: tuple[str, int], metric: str
    ) -> tuple[dict[int, float], dict[int, float]] | None:
        """Return the durations of two processes by round; None where too few rounds have both."""
        times = self._by_round(first, metric), self._by_round(second, metric)
        return times if len(times[0].keys() & times[1].keys()) >= MIN_SAMPLES else None

    def _by_round(self, process: tuple[str, int], metric: str) -> dict[int, float]:
        """Return the durations of a process by round; none where its clock stood still, for they have no ratio."""
        name = _FIELDS[metric]
        found = {sample.round: getattr(sample, name) for sample in self.calls.get((*process, "query"), [])}
        return found if all(duration > 0 for duration in found.values()) else {}

    # ------------------------------------------------------------ one model

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
            figures=tuple(replace(figure, model=model) for figure in figures),
            reason=reason or ("" if is_measured else "nothing was measured"),
            notes=tuple(notes.sentences()) if is_measured else (),
            engine=facts[0].engine if facts else None,
        )

    def _latency(self, model: str, calls: Sequence[Sample], *, is_local: bool) -> Iterator[CostFigure]:
        for metric in (WALL, CPU) if is_local else (WALL,):
            durations = 1e3 * np.array([getattr(call, _FIELDS[metric]) for call in calls])
            if not len(durations):
                continue
            cv = variation(durations)
            yield _figure(f"{metric}/mean_ms", mean(durations, rng=self._rng(metric)), cv)
            for percent in _PERCENTILES:
                yield from _maybe(f"{metric}/p{percent}_ms", percentile(durations, percent), cv)

    def _batches(self, calls: Sequence[Sample]) -> Iterator[CostFigure]:
        for size in sorted({call.texts for call in calls}):
            durations = [call.wall_s for call in calls if call.texts == size]
            # Not the median: small batches are of one document or a few, and a long one counts as what it takes.
            found = _inverse(size, mean(durations, rng=self._rng("batch")))
            yield from _maybe(f"batch/{size}/texts_per_s", found, variation(durations))

    def _vector(self, meta: ModelMeta | None) -> Iterator[CostFigure]:
        if meta is None:
            return
        yield from _maybe("vector/dimension", meta.dimension)
        yield from _maybe("vector/bytes", meta.bytes_per_vector)
        if meta.bytes_per_vector is not None:
            size = self.documents * meta.bytes_per_vector / _MIB
            yield _figure(f"index/documents_{_short(self.documents)}_mib", size)

    def _price(self, model: str, throughput: _Throughput, *, is_local: bool) -> Iterator[CostFigure]:
        if self.price is None:
            return
        found: float | Estimate | None = self.price.per_million_tokens.get(model)
        if found is None and is_local and self.price.per_hour is not None:
            found = _per_million(self.price.per_hour, throughput.tokens)
        yield from (replace(figure, unit=self.price.currency) for figure in _maybe(_PRICE, found))

    def _lengths(self) -> list[str | None]:
        """Return the length classes that some model has: a total over fewer would be one over easier texts."""
        have = {s.length_class for (_, _, kind), calls in self.calls.items() if kind == "throughput" for s in calls}
        return [length for length in (*_LENGTHS, None) if length in have]

    def _rng(self, metric: str) -> np.random.Generator:
        """Return the random numbers of a metric; the same for all models, so that a label changes no interval."""
        digest = hashlib.sha256(metric.encode()).digest()
        return np.random.default_rng([self.seed, *np.frombuffer(digest, dtype="<u4").tolist()])


# One group of figures


def _start(facts: Sequence[ProcessFacts]) -> Iterator[CostFigure]:
    first_calls_s = [one.first_call_s for one in facts if one.first_call_s is not None]
    yield from _middle("load/import_s", [one.import_s for one in facts])
    yield from _middle("load/model_s", [one.load_s for one in facts])
    yield from _middle("latency/first_call_ms", [1e3 * first_s for first_s in first_calls_s])


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
        yield from _largest(f"memory/{name}_mib", [value for value in told if value is not None])


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
            yield from _maybe(f"throughput/{name}_per_s", self._rate(amount, everything), cv)
        real, padded = self._amount("tokens", everything), self._amount("padded_tokens", everything)
        if real and padded is not None:
            n = sum(map(len, self.parts.values()))
            yield replace(_figure("throughput/padding_ratio", padded / real), n=n)
        for length in filter(None, everything):
            for name in ("texts", "tokens"):
                rated = self._rate(name, [length])
                yield from _maybe(f"throughput/{length}/{name}_per_s", rated, self._variation([length]))

    def energy(self) -> Iterator[CostFigure]:
        everything = list(self.parts)
        joules, texts = self._amount("energy_j", everything), self._amount("texts", everything)
        if joules is not None and texts:
            n = sum(map(len, self.parts.values()))
            yield replace(_figure("energy/joules_per_thousand_texts", 1e3 * joules / texts), n=n)

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


# One figure


def _maybe(metric: str, found: Estimate | float | None, cv: float | None = None) -> Iterator[CostFigure]:
    """Yield the figure, if there is one."""
    if found is not None:
        yield _figure(metric, found, cv)


def _middle(metric: str, values: Sequence[float]) -> Iterator[CostFigure]:
    """Yield the median of what several processes of a model told, if any did."""
    if values:
        yield _figure(metric, median(values), variation(values))


def _largest(metric: str, values: Sequence[float]) -> Iterator[CostFigure]:
    """Yield the largest of what several processes of a model told, if any did."""
    if values:
        yield _figure(metric, Estimate(max(values), None, None, len(values)))


def _figure(metric: str, found: Estimate | float, cv: float | None = None) -> CostFigure:
    """Return a figure; the model is filled in later."""
    if not isinstance(found, Estimate):
        found = Estimate(float(found), None, None, 1)
    return CostFigure("", metric, found.value, describe(metric).unit, found.n, found.low, found.high, cv)


def _inverse(amount: float, duration: Estimate) -> Estimate | None:
    """Return amount / duration; None where the duration, or an end of its interval, is 0."""
    if duration.value <= 0 or (duration.low is not None and duration.low <= 0):
        return None
    low = None if duration.high is None else amount / duration.high
    high = None if duration.low is None else amount / duration.low
    return Estimate(amount / duration.value, low, high, duration.n)


def _per_million(per_hour: float, tokens_per_s: Estimate | None) -> Estimate | None:
    return None if tokens_per_s is None else _inverse(1e6 * per_hour / 3600, tokens_per_s)


def _short(n: int) -> str:
    """Return 1000000 as "1m", 250000 as "250k"."""
    for letter, size in (("m", 10**6), ("k", 10**3)):
        if n >= size and n % size == 0:
            return f"{n // size}{letter}"
    return str(n)
