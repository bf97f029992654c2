"""Load for real: requests over sockets to a server on this machine, and a model in a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import child_models
import numpy as np
import openai_server
import pytest
from openai_server import Failure, OpenAIServer, Vectors, hashed_vectors

from benchkit.cost import load
from benchkit.cost.load import LoadPlan, measure_load
from benchkit.models.openai import PROBE_TEXTS
from benchkit.report.load import load_to_dict, sentence
from benchkit.types.cost import TextSource
from benchkit.types.load import LoadReport
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext

SOURCE = TextSource("Task", "Retrieval", "query", tuple(f"text {number}" for number in range(40)))
KEY = "sk-very-secret-0123456789"


class EveryThird(list[Failure]):
    """The misfortunes of a server that answers 503 to every third request, whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = itertools.count(1)

    def __bool__(self) -> bool:
        return next(self._requests) % 3 == 0

    def pop(self, place: Any = -1) -> Failure:
        return Failure(503, "30", None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    # Headers and body are two writes: without this the second waits 40 ms for the client's acknowledgement.
    monkeypatch.setattr(openai_server._Handler, "disable_nagle_algorithm", True)
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def context(tmp_path: Path) -> OpenContext:
    return OpenContext(device="cpu", offline=True, cache_dir=tmp_path / "models")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "CAPACITY_S", 0.5)


def measured(
    spec: ModelSpec, context: OpenContext, *, on_stage: Callable[[str], None] = lambda _: None, **how: Any
) -> LoadReport:
    meta = ModelMeta(name=spec.label, id="x", revision=None, fingerprint="f", dimension=8)
    return measure_load(spec, meta, context, SOURCE, LoadPlan(**{"seconds": 1.0, **how}), on_stage=on_stage)


def house(server: OpenAIServer, **options: Any) -> ModelSpec:
    return ModelSpec("house", "house", loader="openai", options={"base_url": server.url, **options})


def takes(seconds: float) -> Callable[[Sequence[str]], Vectors]:
    def vectors(texts: Sequence[str]) -> Vectors:
        time.sleep(seconds)
        return hashed_vectors(texts)

    return vectors


# ---------------------------------------------------------------- an endpoint


def test_endpoint_is_asked_at_the_rates_and_no_more(server: OpenAIServer, context: OpenContext) -> None:
    server.vectors = takes(0.02)
    spec = ModelSpec(
        "house", "house", loader="openai", prompts={"query": "ask: "}, options={"base_url": server.url}
    )  # fmt: skip
    report = measured(spec, context, rates=(40.0, 20.0), slo_ms=5000.0)
    assert report.failure == ""
    assert (report.server, report.capacity_per_s, report.connections) == ("endpoint", None, 64)
    assert [point.offered_per_s for point in report.points] == [pytest.approx(20), pytest.approx(40)]
    # The probe on opening, then 20 and 40 requests of one text each.
    assert server.inputs[0] == list(PROBE_TEXTS)
    assert sorted(map(tuple, server.inputs[1:])) == sorted(
        (f"ask: text {place}",) for n in (20, 40) for place in range(n)
    )
    for point, n in zip(report.points, (20, 40), strict=True):
        assert (point.n, point.n_warmup, point.failed, point.unsent) == (n * 9 // 10, n // 10, 0, 0)
        assert point.p50_ms is not None
        assert point.service_p50_ms is not None
        assert point.p50_ms >= point.service_p50_ms >= 20
        assert point.within_slo == 1.0
        assert point.utilisation is point.busy is None
    assert json.loads(json.dumps(load_to_dict(report), allow_nan=False))["model"] == "house"


def test_endpoint_is_asked_by_several_at_once(server: OpenAIServer, context: OpenContext) -> None:
    lock, under_way, most = threading.Lock(), set[str](), 0

    def vectors(texts: Sequence[str]) -> Vectors:
        nonlocal most
        with lock:
            under_way.add(texts[0])
            most = max(most, len(under_way))
        time.sleep(0.3)
        with lock:
            under_way.discard(texts[0])
        return hashed_vectors(texts)

    server.vectors = vectors
    report = measured(house(server), context, rates=(30.0,))
    (point,) = report.points
    assert most >= 4  # 9 on average; one after the other there would never be two
    assert point.failed == point.queued == 0
    assert point.p50_ms is not None
    assert point.p50_ms < 1500  # one after the other the last would wait 9 s


def test_failures_of_an_endpoint_are_counted_and_not_retried(server: OpenAIServer, context: OpenContext) -> None:
    server.failures = EveryThird()
    report = measured(house(server), context, rates=(60.0,), slo_ms=5000.0)
    (point,) = report.points
    assert len(server.inputs) == 1 + 60
    assert 17 <= point.failed <= 19  # of the 54 after the warm-up; which they are depends on who comes first
    assert point.within_slo == pytest.approx(1 - point.failed / 54)
    assert point.goodput_per_s == pytest.approx(60 * point.within_slo)
    assert any("planted 503" in note for note in point.notes)
    assert not point.keeps_up
    assert report.saturation_per_s is None


def test_shares_are_of_a_capacity_measured_first(server: OpenAIServer, context: OpenContext, short: None) -> None:
    lock = threading.Lock()

    def one_by_one(texts: Sequence[str]) -> Vectors:
        with lock:
            time.sleep(0.01)
            return hashed_vectors(texts)

    server.vectors = one_by_one
    report = measured(house(server), context, utilisations=(0.4,))
    assert report.failure == ""
    assert report.capacity_per_s is not None
    assert report.capacity_per_s < 100  # one by one, 10 ms each
    (point,) = report.points
    assert point.utilisation == pytest.approx(0.4, rel=0.1)  # whole requests in a second


def test_capacity_is_that_of_several_connections(server: OpenAIServer, context: OpenContext, short: None) -> None:
    server.vectors = takes(0.1)
    report = measured(house(server), context, utilisations=(0.1,))
    assert report.capacity_per_s is not None
    assert report.capacity_per_s > 20  # one connection makes 10 at most, sixteen 160


def test_capacity_of_an_endpoint_that_fails_is_none(server: OpenAIServer, context: OpenContext, short: None) -> None:
    server.failures = EveryThird()
    report = measured(house(server), context)
    assert report.points == ()
    assert report.capacity_per_s is None
    assert "requests of the closed loop failed, so there is no capacity to take shares of" in report.failure
    assert "planted 503" in report.failure
    assert report.failure.endswith("ask it less, with rates")


def test_a_limit_of_requests_is_not_broken(server: OpenAIServer, context: OpenContext) -> None:
    report = measured(house(server, requests_per_minute=60), context, rates=(30.0,))
    assert "option 'requests_per_minute' holds requests back" in report.failure
    assert len(server.inputs) == 1


def test_endpoint_that_isnt_there_is_a_failure(server: OpenAIServer, context: OpenContext) -> None:
    spec = ModelSpec("gone", "gone", loader="openai", options={"base_url": "http://127.0.0.1:9/v1", "max_retries": 0})
    report = measured(spec, context, rates=(30.0,))
    assert "no answer" in report.failure
    assert sentence(report).startswith("gone failed: model 'gone':")


def test_key_is_in_no_report(server: OpenAIServer, context: OpenContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    server.key = KEY
    spec = house(server, api_key_env="HOUSE_KEY")

    # It answers the probe, and then refuses the key and repeats it.
    def turn_away(answer: dict[str, Any]) -> object:
        server.key = "another"
        return answer

    server.edit = turn_away
    report = measured(spec, context, rates=(20.0,))
    text = json.dumps(load_to_dict(report))
    assert report.points[0].failed == 18
    assert "Incorrect API key provided: ***" in text
    assert KEY not in text


# ---------------------------------------------------------------- a local model


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_models.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)


def test_local_model_is_a_worker_behind_a_queue(plugin: None, context: OpenContext, short: None) -> None:
    stages: list[str] = []
    report = measured(
        child_models.spec(takes_s=0.01), context, utilisations=(0.3, 1.5), slo_ms=5000.0, on_stage=stages.append
    )
    assert report.failure == ""
    assert (report.server, report.connections, report.engine) == ("worker", 1, "fresh")
    assert report.capacity_per_s is not None
    assert 5 < report.capacity_per_s < 100
    low, high = report.points
    assert low.utilisation == pytest.approx(0.3, rel=0.1)
    assert low.busy is not None
    assert 0 < low.busy < 1
    assert low.service_p50_ms is not None
    assert low.service_p50_ms >= 10
    assert low.p50_ms is not None
    # Half again as much as it can do: the last waits for about a third of the time, or is never served.
    assert high.p95_ms is None or high.p95_ms > 3 * low.service_p50_ms
    assert high.busy is not None
    assert high.busy > low.busy
    assert stages[0] == "fake: starting it for load"
    assert "(30% of its capacity) for 1 s" in stages[2]


def test_rates_of_a_local_model_are_told_with_its_utilisation(plugin: None, context: OpenContext, short: None) -> None:
    report = measured(child_models.spec(takes_s=0.01), context, rates=(20.0,))
    (point,) = report.points
    assert report.capacity_per_s is not None
    assert point.utilisation == pytest.approx(20.0 / report.capacity_per_s)
    assert point.goodput_per_s is None


def test_model_that_raises_or_dies_is_a_failure(plugin: None, context: OpenContext) -> None:
    for options, words in (({"do": "raise", "what": "bad"}, "ValueError: bad"), ({"do": "kill"}, "died of SIGKILL")):
        report = measured(child_models.spec(at="encode", **options), context, rates=(20.0,))
        assert words in report.failure
        assert report.points == ()
        assert report.saturation_per_s is None


def test_model_that_dies_under_load_keeps_what_was_measured_and_ends_at_once(
    plugin: None, context: OpenContext, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    start = load.ModelProcess.start
    monkeypatch.setattr(load.ModelProcess, "start", lambda process: started.append(process) or start(process))

    def kill_at_second_rate(stage: str) -> None:
        if "40 requests/s" in stage:
            pid = started[0].pid
            threading.Timer(0.3, os.kill, (pid, 9)).start()

    report = measured(
        child_models.spec(takes_s=0.01), context, rates=(20.0, 40.0, 60.0), on_stage=kill_at_second_rate
    )  # fmt: skip
    assert "its process ended at 40 requests/s" in report.failure
    first, second = report.points
    assert first.failed == first.unsent == 0
    assert second.unsent > 0
    assert second.failed <= 1
    assert not second.is_held


def test_ctrl_c_under_load_keeps_the_rates_that_were_finished(
    plugin: None, context: OpenContext, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    start = load.ModelProcess.start
    monkeypatch.setattr(load.ModelProcess, "start", lambda process: started.append(process) or start(process))

    def interrupt_at_second_rate(stage: str) -> None:
        if "40 requests/s" in stage:
            threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,)).start()

    rates = (20.0, 40.0, 60.0)
    report = measured(child_models.spec(takes_s=0.01), context, rates=rates, on_stage=interrupt_at_second_rate)
    (point,) = report.points
    assert (point.offered_per_s, report.interrupted, report.failure) == (20.0, True, "")
    assert sentence(report).endswith("fake was interrupted; rates that were not finished are left out.")
    assert not started[0].alive


def test_texts_are_warm_before_they_are_measured(plugin: None, context: OpenContext) -> None:
    asked: list[tuple[int, int]] = []

    class Process:
        def encode(self, source: TextSource, start: int, stop: int) -> None:
            asked.append((start, stop))

    now = iter(np.arange(0.0, 100.0, 2.0))
    assert load._warm(Process(), SOURCE) == 40  # type: ignore[arg-type]
    assert asked == [(0, 1), (1, 33), (33, 40)]
    asked.clear()
    many = TextSource("Task", "STS", None, tuple(map(str, range(500))))
    assert load._warm(Process(), many, clock=lambda: float(next(now))) == 65  # type: ignore[arg-type]
    assert asked == [(0, 1), (1, 33), (33, 65)]
