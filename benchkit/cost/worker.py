"""The child: one model in one fresh interpreter, which does what it is asked and tells what that took.

    stdin  {"do": "encode", "source": 0, "start": 0, "stop": 32}  ─┐
                                                                   ├─ Worker.answer
    stdout {"ok": {"wall_s": ..., "cpu_s": ..., "tokens": ...}}   <┘     or {"error": "ValueError: ..."}

One line of JSON each; in this order: open, load, prepare, then encode, threads and facts as often as wanted. The end of
stdin is the end of the process. What libraries print goes to stderr, and nothing of theirs can read stdin. Clocks run
around `encode` alone: no cache lies between, the garbage collector rests, a CUDA device has finished before each
reading.

Started by process.py: python -P -m benchkit.cost.worker.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchkit.cost.energy import EnergyMeter, open_meter
from benchkit.cost.memory import peak_mib, reset_peak, resident_mib, uss_mib
from benchkit.errors import BenchkitError
from benchkit.models.device import (
    device_uuid,
    limit_threads,
    peak_device_memory,
    reset_peak_device_memory,
    synchronize,
    thread_count,
)
from benchkit.models.libraries import import_libraries
from benchkit.models.names import resolve_loader
from benchkit.plugins import MODELS, load_plugin, open_model
from benchkit.types.cost import TextSource
from benchkit.types.model import CorpusFitted, Encoder, ModelHandle, ModelSpec, OpenContext, Role, TokenBatched, Variant

Values = dict[str, Any]

_MIB = 2**20
_LONGEST_REASON = 500
_UNCOUNTED = -1
# The parent ends a child that is late. Should the parent be gone and the model hold the interpreter, so that not even
# the end of stdin is noticed, the child ends itself this much later.
_GRACE_S = 10.0


# ---------------------------------------------------------------- messages


def spec_values(spec: ModelSpec) -> Values:
    """Return a model as JSON can hold it."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    prompts = None if spec.prompts is None else dict(spec.prompts)
    return values | {"variant": asdict(spec.variant), "prompts": prompts, "options": dict(spec.options)}


def read_spec(values: Mapping[str, Any]) -> ModelSpec:
    """Undo `spec_values`."""
    return ModelSpec(**{**values, "variant": Variant(**values["variant"])})


def context_values(context: OpenContext) -> Values:
    """Return a context as JSON can hold it; relative to no folder."""
    return {"device": context.device, "offline": context.offline, "cache_dir": str(context.cache_dir.absolute())}


def read_context(values: Mapping[str, Any]) -> OpenContext:
    """Undo `context_values`."""
    return OpenContext(device=values["device"], offline=values["offline"], cache_dir=Path(values["cache_dir"]))


def source_values(source: TextSource) -> Values:
    """Return texts and what decides their prompt as JSON can hold them."""
    return {field.name: getattr(source, field.name) for field in fields(source)}


# ---------------------------------------------------------------- one model


@dataclass(frozen=True, slots=True)
class _Source:
    """Texts with their prompt; `counts` fills up with the tokens of each, before truncation."""

    texts: list[str]
    prompt: str
    role: Role | None
    counts: NDArray[np.int64]


class Worker:
    """Answers requests about one model.

    Args:
        opener: Finds the model.
        wall, cpu: Seconds.
        meter: Opens the energy meter of a device.
    """

    def __init__(
        self,
        *,
        opener: Callable[[ModelSpec, OpenContext], ModelHandle] = open_model,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        meter: Callable[[str, str | None], EnergyMeter | None] = open_meter,
    ) -> None:
        self._opener = opener
        self._wall = wall
        self._cpu = cpu
        self._open_meter = meter
        self._meter: EnergyMeter | None = None
        self._device = "cpu"
        self._handle: ModelHandle | None = None
        self._model: Encoder | CorpusFitted | None = None
        self._sources: list[_Source] = []
        self._undo_threads: Callable[[], None] | None = None
        self._facts: Values = {}
        self._counter_mib = 0.0

    def answer(self, request: Values) -> Values:
        """Do what is asked for and return {"ok": what was found}, or {"error": why not}."""
        todo: dict[str, Callable[[Values], Values]] = {
            "open": self._open,
            "load": self._load,
            "prepare": self._prepare,
            "encode": self._encode,
            "threads": self._set_threads,
            "facts": self._tell,
        }
        try:
            return {"ok": todo[request["do"]](request)}
        except Exception as exc:  # whatever a model raises is told to the parent, which records it as a failure
            return {"error": _reason(exc)}

    def _open(self, request: Values) -> Values:
        spec, context = read_spec(request["spec"]), read_context(request["context"])
        self._device = context.device
        started = self._wall()
        loader = resolve_loader(spec)
        import_libraries(loader)
        load_plugin(MODELS, loader)
        self._facts["import_s"] = self._wall() - started
        self._handle = self._opener(spec, context)
        # After the model was found: that may need a library more (MTEB's registry), which isn't the model's own memory.
        self._facts["import_mib"] = peak_mib()
        return {}

    def _load(self, request: Values) -> Values:
        assert self._handle is not None  # "open" comes first
        cache_dir = Path(request["cache_dir"])
        before = _entries(cache_dir)
        started = self._wall()
        model = self._model = self._handle.load()
        if isinstance(model, CorpusFitted):
            model.fit(request["fit"])
        synchronize(self._device)
        self._facts["load_s"] = self._wall() - started
        self._facts["loaded_mib"] = peak_mib()
        self._facts["model_mib"] = None if model.meta.memory_bytes is None else model.meta.memory_bytes / _MIB
        self._facts["engine"] = model.meta.engine
        self._facts["threads"] = thread_count()
        self._meter = self._open_meter(self._device, device_uuid(self._device))
        self._make_counter(model)
        reset_peak_device_memory(self._device)
        gc.collect()
        gc.freeze()
        return {"made_once": _entries(cache_dir) != before, "facts": self._facts}

    def _make_counter(self, model: Encoder | CorpusFitted) -> None:
        """Let the model make what it counts tokens with, and remember its memory: only measuring needs it."""
        if isinstance(model, CorpusFitted):
            return
        before = resident_mib()
        model.count_tokens(["text"])
        after = resident_mib()
        if before is not None and after is not None and reset_peak():
            self._counter_mib = max(after - before, 0.0)

    def _prepare(self, request: Values) -> Values:
        source = TextSource(**request["source"])
        prompt = ""
        if not isinstance(self._model, CorpusFitted):
            prompt = self._encoder().prompt_for(
                task_name=source.task_name, task_type=source.task_type, role=source.role
            )
        texts = list(source.texts)
        self._sources.append(_Source(texts, prompt, source.role, np.full(len(texts), _UNCOUNTED, np.int64)))
        return {"source": len(self._sources) - 1}

    def _set_threads(self, request: Values) -> Values:
        if self._undo_threads is not None:
            self._undo_threads()
            self._undo_threads = None
        if request["n"] is not None:
            self._undo_threads = limit_threads(request["n"])
        return {}

    def _encode(self, request: Values) -> Values:
        source = self._sources[request["source"]]
        start, stop = request["start"], request["stop"]
        timing = self._timed(self._call(source, source.texts[start:stop]), stop - start)
        self._facts.setdefault("first_call_s", timing["wall_s"])
        return timing | self._tokens(source, start, stop)

    def _call(self, source: _Source, texts: Sequence[str]) -> Callable[[], object]:
        model = self._model
        if isinstance(model, CorpusFitted):
            return lambda: model.encode_sparse(texts, role=source.role)
        encoder = self._encoder()
        role = source.role if encoder.meta.uses_role else None
        return lambda: encoder.encode(texts, prompt=source.prompt, role=role)

    def _timed(self, call: Callable[[], object], n_texts: int) -> Values:
        device = self._device
        gc.disable()
        try:
            joules = None if self._meter is None else self._meter.read_j()
            synchronize(device)
            cpu, wall = self._cpu(), self._wall()
            vectors = call()
            synchronize(device)
            wall_s, cpu_s = self._wall() - wall, self._cpu() - cpu
            after = None if self._meter is None else self._meter.read_j()
        finally:
            gc.enable()
        shape = getattr(vectors, "shape", None)
        if not shape or shape[0] != n_texts:
            raise ValueError(f"{n_texts} texts gave vectors of shape {shape}")
        energy_j = None if joules is None or after is None else after - joules
        return {"wall_s": wall_s, "cpu_s": cpu_s, "energy_j": energy_j}

    def _tokens(self, source: _Source, start: int, stop: int) -> Values:
        """Return the tokens that the model read and the tokens that went through it; None where it doesn't say."""
        counts = self._counts(source, start, stop)
        if counts is None:
            return {"tokens": None, "padded_tokens": None}
        encoder = self._encoder()
        longest = encoder.meta.max_seq_length
        read = counts if longest is None else np.minimum(counts, longest)
        padded = int(encoder.padded_tokens(counts)) if isinstance(encoder, TokenBatched) else None
        return {"tokens": int(read.sum()), "padded_tokens": padded}

    def _counts(self, source: _Source, start: int, stop: int) -> NDArray[np.int64] | None:
        if isinstance(self._model, CorpusFitted):
            return None
        new = [row for row in range(start, stop) if source.counts[row] == _UNCOUNTED]
        if new:
            counted = self._encoder().count_tokens([source.prompt + source.texts[row] for row in new])
            if counted is None:
                return None
            source.counts[new] = counted
        return source.counts[start:stop]

    def _encoder(self) -> Encoder:
        assert self._model is not None  # "load" comes first
        assert not isinstance(self._model, CorpusFitted)
        return self._model

    def _tell(self, request: Values) -> Values:
        """Return the facts of the process as they are now; the memory that only measuring needs is taken off."""
        facts = dict(self._facts)
        loaded, peak = facts["loaded_mib"], peak_mib()
        if loaded is not None and peak is not None:
            facts["peak_mib"] = max(loaded, peak - self._counter_mib)
        uss = uss_mib()
        facts["uss_mib"] = None if uss is None else uss - self._counter_mib
        cuda = peak_device_memory(self._device)
        if cuda is not None:
            facts |= {"cuda_allocated_mib": cuda.allocated_mib, "cuda_reserved_mib": cuda.reserved_mib}
        return facts


def _entries(cache_dir: Path) -> frozenset[Path]:
    # Two levels: what loaders make lies at "static/<fingerprint>".
    return frozenset(cache_dir.glob("*/*"))


def _reason(exc: Exception) -> str:
    text = textwrap.shorten(str(exc), _LONGEST_REASON, placeholder=" ...")
    if isinstance(exc, BenchkitError) and text:
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


# ---------------------------------------------------------------- the process


def main() -> None:
    """Answer the lines of stdin until it ends."""
    requests, answers = _take_streams()
    _end_with_parent(requests.fileno())
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        faulthandler.dump_traceback_later(request["timeout_s"] + _GRACE_S, exit=True)
        answer = worker.answer(request)
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    _end()


def _take_streams() -> tuple[IO[str], IO[str]]:
    """Return stdin and stdout for the messages; what prints goes to stderr from now on, what reads finds the end."""
    requests = os.fdopen(os.dup(0), encoding="ascii")
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _end_with_parent(stdin: int) -> None:
    """End this process as soon as the parent closes its side of stdin or is gone, in the middle of a call too."""
    hang_up = select.poll()
    hang_up.register(stdin, 0)  # a hang-up is always told, data never

    def wait() -> None:
        hang_up.poll()
        _end()

    threading.Thread(target=wait, daemon=True).start()


def _end() -> None:
    # Not sys.exit: it would wait for the threads of a model that is in the middle of a call.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with whatever the model has started
    os._exit(0)


if __name__ == "__main__":
    main()
