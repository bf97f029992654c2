"""What the child measures, with a clock that only the model moves; no process is started here."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchkit.cost import worker as worker_module
from benchkit.cost.worker import (
    Worker,
    context_values,
    read_context,
    read_spec,
    source_values,
    spec_values,
)
from benchkit.errors import CellFailed
from benchkit.types.cost import TextSource
from benchkit.types.model import Encoder, ModelMeta, ModelSpec, OpenContext, Role, TokenBatched, Variant

# Its libraries are light; the opener of the tests takes the loader's place.
SPEC = ModelSpec(label="fake", name="fake", loader="openai")


class Clock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class SlowEncoder:
    """Takes a quarter of a second for an encode, an eighth of it computing, and ten for anything else."""

    wall: Clock
    cpu: Clock
    longest: int | None = 4
    uses_role: bool = False
    rows: int | None = None
    error: Exception | None = None
    counts: bool = True
    calls: list[tuple[list[str], str, Role | None]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    gc_was_on: list[bool] = field(default_factory=list)

    @property
    def meta(self) -> ModelMeta:
        return ModelMeta(
            name="fake",
            id="fake",
            revision=None,
            fingerprint="f",
            dimension=2,
            memory_bytes=3 * 2**20,
            max_seq_length=self.longest,
            uses_role=self.uses_role,
            engine="slow",
        )

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return f"{task_name}/{task_type}/{role}: "

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        self.calls.append((list(texts), prompt, role))
        self.gc_was_on.append(gc.isenabled())
        if self.error:
            raise self.error
        self.wall.now += 0.25
        self.cpu.now += 0.125
        return np.zeros((len(texts) if self.rows is None else self.rows, 2), np.float32)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        self.counted += texts
        self.wall.now += 10
        self.cpu.now += 10
        return np.array([len(text.split()) for text in texts]) if self.counts else None


@dataclass
class BatchedEncoder(SlowEncoder):
    """Says what it makes of a batch."""

    batch_tokens: int = 100

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        return int(lengths.max()) * len(lengths) + 1000


@dataclass(frozen=True)
class Handle:
    encoder: SlowEncoder

    @property
    def meta(self) -> ModelMeta:
        return self.encoder.meta

    def load(self) -> SlowEncoder:
        self.encoder.wall.now += 3
        return self.encoder


@dataclass
class Meter:
    """A joule more at each reading, and then none."""

    readings: list[float | None]

    def read_j(self) -> float | None:
        return self.readings.pop(0)


class Bench:
    """A worker with a loaded model."""

    def __init__(
        self, tmp_path: Path, kind: type[SlowEncoder] = SlowEncoder, *, meter: Meter | None = None, **how: Any
    ):
        wall, cpu = Clock(), Clock()
        self.encoder = kind(wall, cpu, **how)
        self.worker = Worker(
            opener=lambda spec, context: Handle(self.encoder), wall=wall, cpu=cpu, meter=lambda device, uuid: meter
        )
        context = OpenContext(device="cpu", offline=True, cache_dir=tmp_path)
        self.ok({"do": "open", "spec": spec_values(SPEC), "context": context_values(context)})
        self.loaded = self.ok({"do": "load", "fit": [], "cache_dir": str(tmp_path)})
        self.encoder.counted.clear()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        # As it travels.
        answer: dict[str, Any] = json.loads(json.dumps(self.worker.answer(json.loads(json.dumps(request)))))
        return answer

    def ok(self, request: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self.ask(request)["ok"]
        return result

    def prepare(self, *texts: str, role: Role | None = None) -> int:
        source = TextSource("Task", "STS", role, texts)
        return int(self.ok({"do": "prepare", "source": source_values(source)})["source"])

    def encode(self, source: int, start: int, stop: int) -> dict[str, Any]:
        return self.ask({"do": "encode", "source": source, "start": start, "stop": stop})


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_fakes_are_what_they_stand_for() -> None:
    assert isinstance(BatchedEncoder(Clock(), Clock()), TokenBatched)
    assert isinstance(SlowEncoder(Clock(), Clock()), Encoder)
    assert not isinstance(SlowEncoder(Clock(), Clock()), TokenBatched)


# ---------------------------------------------------------------- timing


def test_only_encode_is_timed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    source = bench.prepare("a b", "c")
    assert bench.encode(source, 0, 2)["ok"] == {
        "wall_s": 0.25,
        "cpu_s": 0.125,
        "tokens": 3 + 2,  # the prompt's word counts too
        "padded_tokens": None,
        "energy_j": None,
    }
    assert bench.ok({"do": "facts"})["first_call_s"] == 0.25


def test_load_and_import_are_told_apart(tmp_path: Path) -> None:
    facts = Bench(tmp_path).loaded["facts"]
    assert facts["load_s"] == 3
    assert facts["import_s"] == 0
    assert (facts["model_mib"], facts["engine"]) == (3, "slow")


def test_first_call_stays_the_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    source = bench.prepare("a", "b")
    bench.encode(source, 0, 1)
    bench.encoder.rows = None
    bench.worker._facts["first_call_s"] = 7.0
    bench.encode(source, 1, 2)
    assert bench.ok({"do": "facts"})["first_call_s"] == 7.0


def test_garbage_is_not_collected_during_a_call_and_is_after_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    source = bench.prepare("a")
    bench.encode(source, 0, 1)
    bench.encoder.error = ValueError("boom")
    bench.encode(source, 0, 1)
    assert bench.encoder.gc_was_on == [False, False]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_energy_is_the_difference_around_the_call_and_absent_when_the_meter_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path, meter=Meter([5.0, 7.5, 8.0, None]))
    source = bench.prepare("a")
    assert [bench.encode(source, 0, 1)["ok"]["energy_j"] for _ in range(2)] == [2.5, None]


@pytest.mark.parametrize(("uses_role", "told"), [(False, None), (True, "query")])
def test_prompt_and_role_are_those_of_a_task(tmp_path: Path, uses_role: bool, told: Role | None) -> None:
    bench = Bench(tmp_path, uses_role=uses_role)
    bench.encode(bench.prepare("a", "b", "c", role="query"), 1, 3)
    assert bench.encoder.calls == [(["b", "c"], "Task/STS/query: ", told)]


# ---------------------------------------------------------------- tokens


def test_tokens_are_cut_at_the_longest_input_and_padding_is_the_model_s_own_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BatchedEncoder, longest=3)
    source = bench.prepare("a", "a b c d")  # with "Task/STS/None: " 2 and 5 words
    answer = bench.encode(source, 0, 2)["ok"]
    assert answer["tokens"] == 2 + 3
    assert answer["padded_tokens"] == 2 * 5 + 1000  # it gets the lengths uncut


def test_tokens_are_not_cut_without_a_longest_input(tmp_path: Path) -> None:
    bench = Bench(tmp_path, longest=None)
    assert bench.encode(bench.prepare("a b c d e f"), 0, 1)["ok"]["tokens"] == 7


def test_each_text_is_counted_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    source = bench.prepare("a", "b", "c")
    for start, stop in ((0, 2), (1, 3), (0, 3)):
        bench.encode(source, start, stop)
    assert bench.encoder.counted == ["Task/STS/None: a", "Task/STS/None: b", "Task/STS/None: c"]


def test_tokens_are_absent_without_a_tokenizer(tmp_path: Path) -> None:
    bench = Bench(tmp_path, counts=False)
    answer = bench.encode(bench.prepare("a"), 0, 1)["ok"]
    assert (answer["tokens"], answer["padded_tokens"]) == (None, None)


# ---------------------------------------------------------------- memory


def test_memory_that_only_counting_needs_is_taken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks, residents = [50.0, 60.0, 130.0, 65.0], [55.0, 75.0]  # after import, load, a batch; then a small one
    monkeypatch.setattr(worker_module, "peak_mib", lambda: peaks.pop(0))
    monkeypatch.setattr(worker_module, "resident_mib", lambda: residents.pop(0))
    monkeypatch.setattr(worker_module, "uss_mib", lambda: 90.0)
    monkeypatch.setattr(worker_module, "reset_peak", lambda: True)
    bench = Bench(tmp_path)
    assert (bench.loaded["facts"]["import_mib"], bench.loaded["facts"]["loaded_mib"]) == (50, 60)
    facts = bench.ok({"do": "facts"})
    assert (facts["peak_mib"], facts["uss_mib"]) == (130 - 20, 90 - 20)
    assert bench.ok({"do": "facts"})["peak_mib"] == 60  # never below what the load took


def test_memory_is_absent_where_the_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("peak_mib", "resident_mib", "uss_mib"):
        monkeypatch.setattr(worker_module, name, lambda: None)
    facts = Bench(tmp_path).ok({"do": "facts"})
    assert facts["import_mib"] is facts["loaded_mib"] is facts["uss_mib"] is None
    assert "peak_mib" not in facts


# ---------------------------------------------------------------- threads


def test_threads_are_limited_from_the_start_and_set_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    bench = Bench(tmp_path)
    seen = []
    for n in (1, 2, 1, None):
        bench.ok({"do": "threads", "n": n})
        seen.append(os.environ["TOKENIZERS_PARALLELISM"])
    assert seen == ["false", "true", "false", "true"]


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("two\nlines"), "ValueError: two lines"),
        (MemoryError(), "MemoryError"),
        (CellFailed("the endpoint says 500"), "the endpoint says 500"),
        (ValueError("word " * 200), "ValueError: " + "word " * 99 + "..."),
    ],
    ids=["lines", "no text", "ours", "long"],
)
def test_what_a_model_raises_is_told_in_a_line(tmp_path: Path, error: Exception, reason: str) -> None:
    bench = Bench(tmp_path, error=error)
    answer = bench.encode(bench.prepare("a"), 0, 1)
    assert answer.keys() == {"error"}
    assert answer["error"] == reason


def test_vectors_for_other_than_the_texts_are_no_measurement(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=1)
    source = bench.prepare("a", "b")
    assert bench.encode(source, 0, 2) == {"error": "ValueError: 2 texts gave vectors of shape (1, 2)"}
    assert "first_call_s" not in bench.ok({"do": "facts"})


def test_unknown_loader_is_told(tmp_path: Path) -> None:
    values = spec_values(replace(SPEC, loader="nolib"))
    context = context_values(OpenContext(device="cpu", offline=True, cache_dir=tmp_path))
    answer = Worker().answer({"do": "open", "spec": values, "context": context})
    assert answer["error"].startswith("no benchkit.models plug-in named 'nolib'")


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(label="minilm", name="minilm"),
        ModelSpec(
            label="all of it",
            name="org/name",
            loader="openai",
            revision="main",
            variant=Variant(truncate_dim=128, precision="int8", normalize=False),
            prompts={"query": "问: \ud83d "},
            max_seq_length=128,
            trust_remote_code=True,
            options={"base_url": "http://127.0.0.1:1/v1", "api_key_env": "KEY", "timeout_s": 2.5, "strict": True},
        ),
    ],
    ids=["plain", "everything set"],
)
def test_model_arrives_as_it_was_sent(spec: ModelSpec) -> None:
    assert read_spec(json.loads(json.dumps(spec_values(spec)))) == spec


def test_context_arrives_with_its_folder_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    context = OpenContext(device="cuda:1", offline=False, cache_dir=Path("cache"))
    assert read_context(json.loads(json.dumps(context_values(context)))) == replace(
        context, cache_dir=tmp_path / "cache"
    )
