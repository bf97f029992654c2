"""OpenAI-compatible endpoints against a real server on 127.0.0.1: right vectors, bounded waits, a key nobody sees."""

from __future__ import annotations

import logging
import math
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai_server import OpenAIServer, hashed_vectors, minilm_vectors

from benchkit.errors import CellFailed, ModelError
from benchkit.models.openai import PROBE_TEXTS, OpenAIEncoder, OpenAIHandle, open_model, probe_digest
from benchkit.models.openai_client import Timing
from benchkit.types.model import Encoder, ModelHandle, ModelSpec, OpenContext, Variant

ONLINE = OpenContext(device="cpu", offline=False, cache_dir=Path("unused"))
OFFLINE = OpenContext(device="cpu", offline=True, cache_dir=Path("unused"))
KEY = "sk-very-secret-0123456789"


@dataclass
class FakeTime:
    """A clock that a pause moves on, and a chance that is always one half."""

    at: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 6))
        self.at += seconds

    @property
    def timing(self) -> Timing:
        return Timing(now=lambda: self.at, sleep=self.sleep, chance=lambda: 0.5)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


def _spec(url: str, prompts: dict[str, str] | None = None, **options: Any) -> ModelSpec:
    given = {"base_url": url, "model": "hashed", **options}
    return ModelSpec(label="remote", name="remote", loader="openai", prompts=prompts, options=given)


def _open(server: OpenAIServer, clock: FakeTime, prompts: dict[str, str] | None = None, **options: Any) -> OpenAIHandle:
    return open_model(_spec(server.url, prompts, **options), OFFLINE, timing=clock.timing)


def _loaded(server: OpenAIServer, clock: FakeTime, **options: Any) -> OpenAIEncoder:
    encoder = _open(server, clock, **options).load()
    server.forget()
    return encoder


# ---------------------------------------------------------------- vectors


@pytest.mark.real_weights
def test_vectors_of_minilm_over_http_are_those_of_sentence_transformers(clock: FakeTime) -> None:
    texts = ["A cat sits on the mat.", "", "short", "a much longer text " * 30, "深度学习", "\U0001f600 emoji"]
    with OpenAIServer(minilm_vectors) as server:
        encoder = _open(server, clock, model="minilm").load()
        vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, minilm_vectors(texts), atol=1e-6)
    assert encoder.meta.dimension == 384
    assert encoder.meta.normalized


def test_texts_go_out_in_batches_and_come_back_in_order(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock, batch_size=4)
    texts = [f"text {number}" for number in range(10)]
    np.testing.assert_allclose(encoder.encode(texts), hashed_vectors(texts), rtol=1e-6)
    assert server.inputs == [texts[:4], texts[4:8], texts[8:]]
    assert server.bodies[0] == {"model": "hashed", "input": texts[:4], "encoding_format": "float"}


def test_data_in_another_order_is_put_right_by_its_index(server: OpenAIServer, clock: FakeTime) -> None:
    server.shuffle = True
    texts = ["one", "two", "three"]
    np.testing.assert_allclose(_loaded(server, clock).encode(texts), hashed_vectors(texts), rtol=1e-6)


def test_no_texts_make_no_request(server: OpenAIServer, clock: FakeTime) -> None:
    assert _loaded(server, clock).encode([]).shape == (0, 8)
    assert server.n_requests == 0


def test_a_prompt_is_put_in_front_and_a_surrogate_made_whole(server: OpenAIServer, clock: FakeTime) -> None:
    _loaded(server, clock).encode(["cat", "\ud83d\ude00", "\ud83d"], prompt="query: ")
    assert server.inputs == [["query: cat", "query: \U0001f600", "query: \ufffd"]]


def test_prompts_are_chosen_by_task_then_type_then_role(server: OpenAIServer, clock: FakeTime) -> None:
    prompts = {"query": "q: ", "document": "d: ", "STS": "s: ", "NFCorpus-query": "n: "}
    encoder = _open(server, clock, prompts).load()

    def prompt(task: str, kind: str, role: str | None) -> str:
        return encoder.prompt_for(task_name=task, task_type=kind, role=role)  # type: ignore[arg-type]

    assert prompt("SciFact", "Retrieval", "query") == "q: "
    assert prompt("NFCorpus", "Retrieval", "query") == "n: "
    assert prompt("NFCorpus", "Retrieval", "document") == "d: "
    assert prompt("STS16", "STS", None) == "s: "
    assert prompt("Banking77", "Classification", None) == ""


def test_blank_texts_are_sent_to_a_server_that_takes_them(server: OpenAIServer, clock: FakeTime) -> None:
    vectors = _loaded(server, clock).encode(["cat", "", "dog"])
    np.testing.assert_allclose(vectors, hashed_vectors(["cat", "", "dog"]), rtol=1e-6)


def test_blank_texts_get_zeros_where_the_server_refuses_them(server: OpenAIServer, clock: FakeTime) -> None:
    server.refuse_blank = True
    encoder = _loaded(server, clock)
    vectors = encoder.encode(["cat", "", "dog", " \n"])
    np.testing.assert_allclose(vectors[[0, 2]], hashed_vectors(["cat", "dog"]), rtol=1e-6)
    assert not vectors[[1, 3]].any()
    encoder.encode(["", "cat"])
    assert server.inputs == [[""], ["cat", "dog"], ["cat"]]
    np.testing.assert_allclose(encoder.encode([""], prompt="q: ")[0], hashed_vectors(["q: "])[0], rtol=1e-6)


def test_a_refusal_that_is_not_about_blank_texts_gives_no_zeros(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock)
    server.key = "demanded from now on"
    with pytest.raises(CellFailed, match="status 401"):
        encoder.encode([""])


def test_dimensions_are_asked_of_the_server(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock, dimensions=3)
    assert encoder.meta.dimension == 3
    assert not encoder.meta.normalized
    np.testing.assert_allclose(encoder.encode(["cat"]), hashed_vectors(["cat"])[:, :3], rtol=1e-6)
    assert server.bodies[0]["dimensions"] == 3


def test_a_server_that_ignores_dimensions_is_refused(server: OpenAIServer, clock: FakeTime) -> None:
    with pytest.raises(ModelError, match="asked for 9 dimensions, got 8; remove the option 'dimensions'"):
        _open(server, clock, dimensions=9)


# ---------------------------------------------------------------- retries


# 520 to 530 are a proxy's in front of the server, 529 also that of a server that is overloaded.
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 522, 529, None])
def test_a_passing_failure_is_asked_again(server: OpenAIServer, clock: FakeTime, status: int | None) -> None:
    encoder = _loaded(server, clock)
    server.fail(status, times=2)
    np.testing.assert_allclose(encoder.encode(["cat"]), hashed_vectors(["cat"]), rtol=1e-6)
    assert server.n_requests == 3
    assert clock.pauses == [0.75, 1.5]


def test_retries_end_after_their_number_with_the_servers_words(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock, max_retries=3)
    server.fail(503, times=9, body={"error": {"message": "overloaded,\n try later"}})
    with pytest.raises(CellFailed) as caught:
        encoder.encode(["cat"])
    assert str(caught.value) == (f"{server.url}/embeddings (hashed): status 503: overloaded, try later (tried 4 times)")
    assert server.n_requests == 4
    assert clock.pauses == [0.75, 1.5, 3.0]


def test_retries_end_when_their_time_is_over(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock, max_retries=20)
    server.fail(429, times=21, retry_after="60")
    with pytest.raises(CellFailed, match=r"\(tried 11 times\)"):
        encoder.encode(["cat"])
    assert sum(clock.pauses) == 600


def test_retry_after_is_obeyed_but_not_for_ever(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock)
    for header in ("7", "0", "86400", "-3", "nonsense", "nan"):
        server.fail(429, retry_after=header)
    encoder.encode(["cat"])
    assert clock.pauses == [7, 0, 60, 0, 12, 24]


def test_retry_after_may_be_a_date(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock)
    server.fail(429, retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True))
    encoder.encode(["cat"])
    assert clock.pauses[0] == pytest.approx(30, abs=3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 307, 501, 505])
def test_a_refusal_is_not_asked_again(server: OpenAIServer, clock: FakeTime, status: int) -> None:
    encoder = _loaded(server, clock)
    server.fail(status, times=2)
    with pytest.raises(CellFailed, match=f"status {status}: planted {status}"):
        encoder.encode(["cat"])
    assert server.n_requests == 1
    assert clock.pauses == []


def test_a_quota_that_is_used_up_is_not_waited_for(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock)
    server.fail(429, body={"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    with pytest.raises(CellFailed, match="status 429: You exceeded your quota"):
        encoder.encode(["cat"])
    assert server.n_requests == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "plain words"}, "plain words"),
        ({"message": "vLLM's way"}, "vLLM's way"),
        ({"detail": "FastAPI's way"}, "FastAPI's way"),
        (["odd"], r"\['odd'\]"),
        (b"<html>nginx</html>", "<html>nginx</html>"),
        (b"", "no message"),
        ({"error": {"message": "x" * 600}}, "x{500}\\.\\.\\."),
    ],
    ids=["text", "message", "detail", "list", "html", "empty", "long"],
)
def test_the_servers_words_are_found_in_any_form(server: OpenAIServer, clock: FakeTime, body, words: str) -> None:
    encoder = _loaded(server, clock)
    server.fail(400, body=body)
    with pytest.raises(CellFailed, match=f"status 400: {words}$"):
        encoder.encode(["cat"])


def test_requests_per_minute_spaces_the_requests(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _open(server, clock, requests_per_minute=30, batch_size=1).load()
    encoder.encode(["a", "b", "c"])
    assert clock.pauses == [2, 2, 2]  # the probe came first
    clock.at += 10
    encoder.encode(["d"])
    assert clock.pauses == [2, 2, 2]


def test_requests_without_a_limit_do_not_wait(server: OpenAIServer, clock: FakeTime) -> None:
    _loaded(server, clock, batch_size=1).encode(["a", "b", "c"])
    assert clock.pauses == []


def test_a_server_that_trickles_is_given_up_after_the_timeout(server: OpenAIServer) -> None:
    encoder = open_model(
        _spec(server.url, timeout_s=0.3, max_retries=1), OFFLINE, timing=Timing(sleep=lambda _: None)
    ).load()
    server.trickle_s = 0.02
    started = time.monotonic()
    with pytest.raises(CellFailed, match=r"no whole answer within 0\.3 s \(tried 2 times\)"):
        encoder.encode(["cat"])
    assert time.monotonic() - started < 3


def test_a_server_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = _spec(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout_s=0.2, max_retries=0)
        with pytest.raises(ModelError, match=r"no answer \(.*[Rr]ead timed out[^)]*\)+$"):
            open_model(spec, OFFLINE)


def test_a_server_that_is_not_there_is_told_in_plain_words(clock: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ModelError) as caught:
        open_model(_spec(f"http://127.0.0.1:{port}/v1", max_retries=1), OFFLINE, timing=clock.timing)
    message = str(caught.value)
    assert message.startswith(f"model 'remote': http://127.0.0.1:{port}/v1/embeddings (hashed): no answer (")
    assert "refused" in message
    assert " at 0x" not in message


# ---------------------------------------------------------------- answers that can't be right


def _without_last(answer: dict[str, Any]) -> object:
    return {**answer, "data": answer["data"][:-1]}


def _doubled_index(answer: dict[str, Any]) -> object:
    return {**answer, "data": [{**item, "index": 0} for item in answer["data"]]}


def _spoilt(value: object) -> Any:
    def edit(answer: dict[str, Any]) -> object:
        answer["data"][0]["embedding"] = value
        return answer

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_without_last, "sent 2 texts, got 1 vectors"),
        (_doubled_index, "sent 2 texts, got 2 vectors with 1 indexes"),
        (_spoilt([math.nan] * 8), "a vector holds NaN or infinity"),
        (_spoilt([1e300] * 8), "a vector holds NaN or infinity"),
        (_spoilt([1.0] * 7), "the vectors aren't lists of numbers of one length"),
        (_spoilt("AAAA"), "the vectors aren't lists of numbers of one length"),
        (_spoilt(None), "the vectors aren't lists of numbers of one length"),
        (_spoilt([None] * 8), "the vectors aren't lists of numbers of one length"),
        (_spoilt(["1"] * 8), "the vectors aren't lists of numbers of one length"),
        (_spoilt([10**400] * 8), "the vectors aren't lists of numbers of one length"),
        (lambda answer: {"embeddings": []}, "the answer has no list 'data' of embeddings; is base_url right?"),
        (lambda answer: [1], "the answer has no list 'data' of embeddings"),
        (lambda answer: b"<html>", "the answer isn't JSON: '<html>'; is base_url right?"),
        (lambda answer: b"[" * 200_000, "the answer isn't JSON: '[[["),
        (lambda answer: {"error": {"message": "out of credits"}}, "no vectors but an error: out of credits"),
    ],
    ids=[
        *("count", "index", "nan", "overflow", "ragged", "base64", "null", "nulls", "words", "huge", "no data", "list"),
        *("html", "nested", "error"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(server: OpenAIServer, clock: FakeTime, edit, message: str) -> None:
    encoder = _loaded(server, clock)
    server.edit = edit
    with pytest.raises(CellFailed, match=re.escape(message)):
        encoder.encode(["cat", "dog"])
    assert server.n_requests == 1


def test_vectors_of_another_length_than_at_the_start_are_refused(server: OpenAIServer, clock: FakeTime) -> None:
    encoder = _loaded(server, clock)
    server.vectors = lambda texts: hashed_vectors(texts, dim=9)
    with pytest.raises(
        CellFailed, match="vectors of 9 dimensions, but of 8 when it was opened; is another model being"
    ):
        encoder.encode(["cat"])


# ---------------------------------------------------------------- the key


def test_the_key_is_sent_and_seen_nowhere_else(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("REMOTE_KEY", f"{KEY}\n")
    server.key = KEY
    handle = _open(server, clock, api_key_env="REMOTE_KEY")
    encoder = handle.load()
    encoder.encode(["cat"])
    assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
    shown = [repr(thing) for thing in (handle, encoder, handle.client, handle.client.__dict__, handle.meta)]
    server.fail(400, body={"error": {"message": f"bad key {KEY}"}})
    with pytest.raises(CellFailed, match=r"bad key \*\*\*") as refused:
        encoder.encode(["cat"])
    server.key = "another"
    with pytest.raises(CellFailed, match=r"Incorrect API key provided: \*\*\*; check the key") as wrong:
        encoder.encode(["cat"])
    shown += [str(refused.value), str(wrong.value), repr(wrong.value), caplog.text]
    assert not [text for text in shown if KEY in text]


@pytest.mark.parametrize("room", range(440, 501, 4))
def test_no_part_of_the_key_is_seen_where_a_long_message_ends(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    encoder = _loaded(server, clock, api_key_env="REMOTE_KEY")
    server.fail(400, body={"error": {"message": f"{'x' * room} {KEY} and more {'y' * 99}"}})
    with pytest.raises(CellFailed) as refused:
        encoder.encode(["cat"])
    assert "sk-" not in str(refused.value)


@pytest.mark.parametrize("room", [0, 60, 70])
def test_the_key_is_not_seen_in_an_answer_that_is_no_json(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    encoder = _loaded(server, clock, api_key_env="REMOTE_KEY")
    server.edit = lambda answer: f"<html>{'x' * room}{KEY}</html>".encode()
    with pytest.raises(CellFailed, match="the answer isn't JSON: '<html>") as refused:
        encoder.encode(["cat"])
    assert "sk-" not in str(refused.value)


def test_the_key_is_not_seen_in_an_error_that_is_sent_as_success(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    encoder = _loaded(server, clock, api_key_env="REMOTE_KEY")
    server.edit = lambda answer: {"error": f"no credit on {KEY}"}
    with pytest.raises(CellFailed, match=r"no vectors but an error: no credit on \*\*\*$"):
        encoder.encode(["cat"])


def test_half_an_answer_is_asked_for_again_and_told_in_plain_words(clock: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_in_halves, args=(listener, 2), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with pytest.raises(ModelError) as caught:
            open_model(_spec(url, max_retries=1), OFFLINE, timing=clock.timing)
    message = "no answer (Connection broken: IncompleteRead(9 bytes read, 91 more expected)) (tried 2 times)"
    assert str(caught.value).endswith(message)


def _answer_in_halves(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            connection.recv(2**16)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data": ')


def test_a_key_that_changes_is_the_same_model(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("B_KEY", "other")
    handles = [_open(server, clock, api_key_env=name) for name in ("A_KEY", "B_KEY")]
    assert handles[0].meta.fingerprint == handles[1].meta.fingerprint == _open(server, clock).meta.fingerprint


def test_no_key_is_sent_unless_one_is_named(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    _open(server, clock)
    assert "Authorization" not in server.headers[-1]


def test_a_missing_key_says_which_option_gives_one(server: OpenAIServer, clock: FakeTime) -> None:
    server.key = KEY
    with pytest.raises(ModelError, match=r"status 401: .*; give a key by api_key_env"):
        _open(server, clock)


def test_an_unset_variable_is_named(server: OpenAIServer, clock: FakeTime) -> None:
    with pytest.raises(ModelError, match="model 'remote': the environment variable NO_SUCH_KEY isn't set"):
        _open(server, clock, api_key_env="NO_SUCH_KEY")


@pytest.mark.parametrize("written", [KEY, "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"])
def test_a_key_written_in_place_of_its_name_is_not_repeated(server, clock: FakeTime, written: str) -> None:
    with pytest.raises(ModelError, match="the environment variable that api_key_env names isn't set") as caught:
        _open(server, clock, api_key_env=written)
    assert written not in str(caught.value)


def test_a_key_that_no_header_can_hold_is_refused_unseen(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_KEY", "two\nlines")
    with pytest.raises(ModelError, match="REMOTE_KEY holds no key: it has odd characters") as caught:
        _open(server, clock, api_key_env="REMOTE_KEY")
    assert "lines" not in str(caught.value)


# ---------------------------------------------------------------- identity


def test_the_handle_is_one_request_and_knows_its_model(server: OpenAIServer, clock: FakeTime) -> None:
    handle = _open(server, clock)
    assert isinstance(handle, ModelHandle)
    assert server.inputs == [list(PROBE_TEXTS)]
    encoder = handle.load()
    assert isinstance(encoder, Encoder)
    assert server.n_requests == 1
    meta = handle.meta
    assert (meta.name, meta.id) == ("remote", f"{server.url} hashed")
    assert (meta.dimension, meta.bytes_per_vector, meta.normalized, meta.similarity) == (8, 32, True, "cosine")
    assert (meta.parameters, meta.memory_bytes, meta.license, meta.revision) == (None, None, None, None)
    assert encoder.count_tokens(["cat"]) is None


def test_another_model_behind_the_same_address_is_another_model(server: OpenAIServer, clock: FakeTime) -> None:
    before = _open(server, clock).meta.fingerprint
    assert _open(server, clock).meta.fingerprint == before
    server.vectors = lambda texts: hashed_vectors(texts, seed=1)
    assert _open(server, clock).meta.fingerprint != before


def test_the_fingerprint_follows_model_dimensions_and_prompts(server: OpenAIServer, clock: FakeTime) -> None:
    handles = [
        _open(server, clock),
        _open(server, clock, model="other"),
        _open(server, clock, dimensions=4),
        _open(server, clock, {"query": "q: "}),
    ]
    assert len({handle.meta.fingerprint for handle in handles}) == 4
    patient = _open(server, clock, batch_size=1, timeout_s=9, max_retries=1, requests_per_minute=1e6)
    assert patient.meta.fingerprint == handles[0].meta.fingerprint


def test_endpoints_that_differ_in_prompts_alone_share_vectors(server: OpenAIServer, clock: FakeTime) -> None:
    plain, prompted = _open(server, clock).load(), _open(server, clock, {"query": "q: "}).load()
    assert plain.vector_key == prompted.vector_key
    assert plain.encode(["cat"], prompt="q: ").tobytes() == prompted.encode(["cat"], prompt="q: ").tobytes()
    others = [_open(server, clock, model="other"), _open(server, clock, dimensions=4)]
    assert plain.vector_key not in {other.vector_key for other in others}


def test_the_probe_holds_against_rounding_and_sees_a_change() -> None:
    vectors = hashed_vectors(PROBE_TEXTS, dim=384)
    name, rng = probe_digest(vectors), np.random.default_rng(0)
    noisy = [vectors + rng.normal(scale=1e-7, size=vectors.shape).astype(np.float32) for _ in range(200)]
    assert {probe_digest(other) for other in noisy} == {name}
    changed = {
        "turned around": vectors[:, ::-1],
        "mirrored": -vectors,
        "scaled": vectors * 2,
        "cut": vectors[:, :256],
        "fine-tuned": vectors + 0.2 * vectors[[1, 2, 3, 0]],
        "nothing": vectors * 0,
    }
    assert not [what for what, other in changed.items() if probe_digest(other) == name]


# ---------------------------------------------------------------- options


def test_offline_leaves_other_machines_alone() -> None:
    with pytest.raises(ModelError, match=r"offline, and https://api\.example\.com/v1 isn't on this machine"):
        open_model(_spec("https://api.example.com/v1"), OFFLINE)


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    server: OpenAIServer, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    assert _open(server, clock, max_retries=0).meta.dimension == 8


@pytest.mark.parametrize("ending", ["", "/", "/embeddings"])
def test_a_base_url_may_end_in_any_of_the_usual_ways(server: OpenAIServer, clock: FakeTime, ending: str) -> None:
    assert open_model(_spec(server.url + ending), OFFLINE, timing=clock.timing).meta.id == f"{server.url} hashed"


def test_the_models_name_is_the_default_of_the_option_model(server: OpenAIServer) -> None:
    spec = ModelSpec(label="x", name="text-embedding-3-small", options={"base_url": server.url})
    open_model(spec, OFFLINE)
    assert server.bodies[0]["model"] == "text-embedding-3-small"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "ftp://x"}, "option 'base_url' should begin with http:// or https://, got 'ftp://x'"),
        ({"base_url": "localhost:8080"}, "should begin with http:// or https://"),
        ({"base_url": "https://me:secret@x/v1"}, "option 'base_url' holds a user, password or query; use api_key_env"),
        ({"base_url": "https://x/v1?key=secret"}, "option 'base_url' holds a user, password or query"),
        ({"base_url": ""}, "option 'base_url': should be a text that isn't empty"),
        ({"batch_size": 0}, "option 'batch_size': should be a whole number of at least 1 and at most 2048, got 0"),
        ({"dimensions": 0}, "option 'dimensions': should be a whole number of at least 1, got 0"),
        ({"timeout_s": 0}, "option 'timeout_s': should be a number of at least 0.1 and at most 3600, got 0"),
        ({"max_retries": 21}, "option 'max_retries': should be a whole number of at least 0 and at most 20, got 21"),
        ({"requests_per_minute": -1}, "option 'requests_per_minute': should be a number of at least 0, got -1"),
        ({"api_key": KEY}, "unknown option 'api_key' (did you mean 'api_key_env'?)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        open_model(_spec("http://127.0.0.1:9/v1", **options), OFFLINE)
    assert "secret" not in str(caught.value)


def test_the_address_is_asked_for_where_it_is_missing() -> None:
    with pytest.raises(ModelError, match="model 'x': option 'base_url' is missing, such as http://127"):
        open_model(ModelSpec(label="x", name="x"), ONLINE)


def test_more_dimensions_than_the_endpoint_gives_are_refused_before_anything_is_paid_for(server: OpenAIServer) -> None:
    more = replace(_spec(server.url), variant=Variant(truncate_dim=9))
    with pytest.raises(ModelError, match="model 'remote': dim=9, but its vectors have 8 dimensions"):
        open_model(more, OFFLINE)
    assert server.inputs == [list(PROBE_TEXTS)]
    open_model(replace(more, variant=Variant(truncate_dim=8)), OFFLINE)


@pytest.mark.parametrize("setting", [{"max_seq_length": 128}, {"revision": "abc"}])
def test_a_setting_of_the_server_is_refused(setting: dict[str, Any]) -> None:
    spec = ModelSpec(label="x", name="x", options={"base_url": "http://127.0.0.1:9/v1"}, **setting)
    with pytest.raises(ModelError, match=f"an endpoint has no {next(iter(setting))}; set it where the model is served"):
        open_model(spec, ONLINE)
