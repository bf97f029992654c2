"""A model's process that takes no time but moves a clock, and can be told to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchkit.cost.design import MeasuredModel
from benchkit.cost.process import ProcessFailed, Timing
from benchkit.types.cost import ProcessFacts, TextSource
from benchkit.types.model import ModelMeta, ModelSpec


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Behaviour:
    """How one model's processes behave.

    Attributes:
        per_character_s: What a call takes, by characters.
        noise: Factor on the CPU time of a call, by the number of the call.
        fails_at: Number of the encode (from 0) that fails; "start" or "facts" for these.
        fails_nth: Which of its processes fails, from 0: there is one in each half.
        raises: What is raised then.
    """

    per_character_s: float = 0.001
    noise: Callable[[int], float] = lambda number: 1.0
    fails_at: int | str | None = None
    fails_copy: int = 0
    fails_nth: int = 0
    raises: BaseException | None = None


@dataclass
class World:
    """All processes of a test, with what was done to them in its order.

    Attributes:
        by_start: Factor on all times of a process, by how many were there when it started.
    """

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    log: list[tuple[str, int, str, object]] = field(default_factory=list)
    processes: list[FakeProcess] = field(default_factory=list)
    by_start: Callable[[int], float] = lambda place: 1.0

    def open_process(self, spec: ModelSpec, copy: int) -> FakeProcess:
        nth = sum((process.label, process.copy) == (spec.label, copy) for process in self.processes)
        process = FakeProcess(self, spec.label, copy, nth)
        self.processes.append(process)
        return process

    @property
    def alive(self) -> list[str]:
        return [process.label for process in self.processes if process.started and not process.closed]


@dataclass(eq=False)
class FakeProcess:
    world: World
    label: str
    copy: int
    nth: int
    started: bool = False
    closed: bool = False
    calls: int = 0
    threads: int | None = None
    most_alive: int = 0
    factor: float = 1.0

    def start(self) -> ProcessFacts:
        self.factor = self.world.by_start(len(self.world.alive))
        self.started = True
        self._fail_at("start")
        self.most_alive = len(self.world.alive)
        self.world.log.append((self.label, self.copy, "start", None))
        return ProcessFacts(self.label, 0, import_s=1.0, load_s=2.0)

    def set_threads(self, n: int | None) -> None:
        self.threads = n

    def encode(self, source: TextSource, start: int, stop: int) -> Timing:
        assert self.started
        assert not self.closed
        behaviour = self._behaviour
        number = self.calls
        self.calls += 1
        self._fail_at(number)
        seconds = self.factor * behaviour.per_character_s * sum(len(text) for text in source.texts[start:stop])
        self.world.clock.now += seconds
        self.world.log.append((self.label, self.copy, "encode", (start, stop, self.threads)))
        return Timing(seconds, seconds * behaviour.noise(number), stop - start, None, None)

    def facts(self) -> ProcessFacts:
        self._fail_at("facts")
        return ProcessFacts(self.label, 0, import_s=1.0, load_s=2.0, peak_mib=100.0 + self.calls)

    def close(self) -> None:
        self.closed = True

    @property
    def _behaviour(self) -> Behaviour:
        return self.world.behaviours.get(self.label, Behaviour())

    def _fail_at(self, moment: int | str) -> None:
        behaviour = self._behaviour
        if (behaviour.fails_at, behaviour.fails_copy, behaviour.fails_nth) == (moment, self.copy, self.nth):
            raise behaviour.raises or ProcessFailed(f"{self.label}: it broke")


def spec_of(label: str, *, loader: str = "sentence-transformers") -> ModelSpec:
    return ModelSpec(label=label, name=label, loader=loader)


def meta_of(label: str, *, fingerprint: str | None = None, dimension: int | None = 4, mib: int = 10) -> ModelMeta:
    return ModelMeta(
        name=label,
        id=f"fake:{label}",
        revision=None,
        fingerprint=fingerprint or f"print-{label}",
        dimension=dimension,
        bytes_per_vector=None if dimension is None else 4 * dimension,
        memory_bytes=None if dimension is None else mib * 2**20,
        similarity="cosine",
    )


def local(label: str, mib: int = 10) -> MeasuredModel:
    return MeasuredModel(spec_of(label), meta_of(label, mib=mib))


def endpoint(label: str) -> MeasuredModel:
    return MeasuredModel(spec_of(label, loader="openai"), meta_of(label))


def lexical(label: str) -> MeasuredModel:
    return MeasuredModel(spec_of(label, loader="tfidf"), meta_of(label, dimension=None))
