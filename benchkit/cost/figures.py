"""The figures that a model's cost is told in: their names, their units, and how one is made of an estimate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchkit.measure.latency import Estimate, median, variation
from benchkit.types.cost import CostFigure


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
Clock = Literal["cpu_s", "wall_s"]  # where a sample holds its time
CLOCKS: Mapping[str, Clock] = {WALL: "wall_s", CPU: "cpu_s"}
_BY_NAME: Mapping[str, Figure] = {figure.metric: figure for figure in FIGURES}
# What varies in a metric's name, for looking up what it is.
_VARIES = ((r"/\d+/", "/{n}/"), (r"_\d+[mk]?_", "_{n}_"), ("/(?:short|medium|long)/", "/{length}/"))


def deciding_metric(device: str) -> str:
    """Return the ratio that decides: CPU time, blind to other programs, except on a GPU, whose work is not in it."""
    return CPU if device == "cpu" else WALL


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


def if_known(metric: str, found: Estimate | float | None, cv: float | None = None) -> Iterator[CostFigure]:
    """Yield the figure, if there is one."""
    if found is not None:
        yield figure(metric, found, cv)


def middle(metric: str, values: Sequence[float]) -> Iterator[CostFigure]:
    """Yield the median of what several processes of a model told, if any did."""
    if values:
        yield figure(metric, median(values), variation(values))


def largest(metric: str, values: Sequence[float]) -> Iterator[CostFigure]:
    """Yield the largest of what several processes of a model told, if any did."""
    if values:
        yield figure(metric, Estimate(max(values), None, None, len(values)))


def figure(metric: str, found: Estimate | float, cv: float | None = None) -> CostFigure:
    """Return a figure; the model is filled in later."""
    if not isinstance(found, Estimate):
        found = Estimate(float(found), None, None, 1)
    return CostFigure("", metric, found.value, describe(metric).unit, found.n, found.low, found.high, cv)
