"""Ask an endpoint that speaks OpenAI's embeddings API.

    texts ── batches ── POST {base_url}/embeddings ─┬─ 200 ── put in order by "index" ── checked ── vectors (n, d)
                               ▲                    ├─ 429, 5xx, no answer ── wait ──┐
                               └────────────────────┼────────────────────────────────┴─ too often ── AwayError
                                                    └─ anything else ── CellFailed with the server's words

The key is read from the environment for each request. It is in no object, no message and no fingerprint.

`requests` does the talking: mteb and mlflow bring it along, and it keeps one connection open over a thousand batches,
which urllib can't. Back-off with full jitter: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015).
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import CellFailed
from benchkit.models.openai_endpoint import Endpoint
from benchkit.models.retry_after import retry_after_s

if TYPE_CHECKING:
    import requests

RETRIED = frozenset({408, 429})  # and 5xx: proxies in front of a server have numbers of their own (520 to 530)
NEVER_RETRIED = frozenset({501, 505})  # what the server can't do, it can't do later
HOPELESS = frozenset({"insufficient_quota", "billing_hard_limit_reached"})  # OpenAI sends them as 429
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0  # also the most that a server's Retry-After is heeded
LONGEST_TOTAL_S = 600.0  # no retry of a request begins later than this
LONGEST_MESSAGE = 500
MAX_ANSWER_BYTES = 2**30
_SHOWN_START = 80  # characters of an answer that isn't JSON


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock, the pause and the chance that the waiting depends on; a test passes its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


REAL_TIME = Timing()


class RefusedError(CellFailed):
    """The server says that this request is wrong; asking again would not help."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class AwayError(CellFailed):
    """The endpoint doesn't answer now, however often it was asked; another time it may."""


class _UnansweredError(Exception):
    """Asking again may help."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Client:
    """Asks one endpoint, one request at a time."""

    def __init__(self, endpoint: Endpoint, timing: Timing) -> None:
        self.endpoint = endpoint
        self._timing = timing
        self._session: requests.Session | None = None
        self._next_start = -math.inf

    def __repr__(self) -> str:
        return f"Client({self.endpoint})"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of at most a batch of texts, float32 (n, d), all finite.

        Raises:
            RefusedError: the server won't have this request.
            AwayError: no answer after all retries.
            CellFailed: an answer that can't be right.
        """
        body: dict[str, object] = {"model": self.endpoint.model, "input": list(texts), "encoding_format": "float"}
        if self.endpoint.dimensions is not None:
            body["dimensions"] = self.endpoint.dimensions
        vectors = _vectors(self._answer(body), len(texts), self.endpoint)
        if self.endpoint.dimensions not in (None, vectors.shape[1]):
            raise CellFailed(
                f"{self.endpoint}: asked for {self.endpoint.dimensions} dimensions, got {vectors.shape[1]}; "
                "remove the option 'dimensions', or cut the vectors here with dim"
            )
        return vectors

    def _answer(self, body: Mapping[str, object]) -> object:
        """Return the JSON of a good answer; each request is bounded in time and their number is bounded."""
        give_up = self._timing.now() + LONGEST_TOTAL_S
        attempt = 0
        while True:
            self._keep_rate()
            try:
                return self._post(body)
            except _UnansweredError as failure:
                wait_s = self._wait_s(attempt, failure.wait_s)
                if attempt == self.endpoint.max_retries or self._timing.now() + wait_s > give_up:
                    raise AwayError(f"{self.endpoint}: {failure}{_tries(attempt + 1)}") from None
            attempt += 1
            self._timing.sleep(wait_s)

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return min(asked_s, LONGEST_WAIT_S)
        # At least a half, so that a crowd of workers spreads and yet nobody hammers.
        return min(FIRST_WAIT_S * 2.0**attempt, LONGEST_WAIT_S) * (0.5 + 0.5 * self._timing.chance())

    def _keep_rate(self) -> None:
        if self.endpoint.requests_per_minute is None:
            return
        now = self._timing.now()
        if now < self._next_start:
            self._timing.sleep(self._next_start - now)
            now = self._next_start
        self._next_start = now + 60 / self.endpoint.requests_per_minute

    def _post(self, body: Mapping[str, object]) -> object:
        import requests
        from urllib3.exceptions import HTTPError

        deadline = self._timing.now() + self.endpoint.timeout_s
        try:
            response = self._connected().post(
                f"{self.endpoint.base_url}/embeddings",
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                timeout=self.endpoint.timeout_s,
                allow_redirects=False,  # a key goes to the host that it was meant for
                stream=True,
            )
            with response:
                content = self._content(response, deadline)
        except (requests.RequestException, HTTPError) as exc:
            raise _UnansweredError(f"no answer ({_shortened(self._hidden(_innermost(exc)))})") from None
        if response.status_code == 200:
            return self._parsed(content)
        raise self._failure(response, content)

    def _connected(self) -> requests.Session:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = not self.endpoint.is_local  # no proxy between this machine and itself
            self._session.auth = _KeyFromEnvironment(self.endpoint)
        return self._session

    def _content(self, response: requests.Response, deadline: float) -> bytes:
        """Return the body. `timeout` alone bounds each read, and a server that trickles would hold us for ever."""
        parts: list[bytes] = []
        n_bytes = 0
        while part := response.raw.read1(2**16, decode_content=True):
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > MAX_ANSWER_BYTES:
                raise CellFailed(f"{self.endpoint}: an answer of more than {MAX_ANSWER_BYTES} bytes")
            if self._timing.now() > deadline:
                raise _UnansweredError(f"no whole answer within {self.endpoint.timeout_s:g} s")
        return b"".join(parts)

    def _parsed(self, content: bytes) -> object:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            start = self._hidden(content.decode("utf-8", "replace"))[:_SHOWN_START]
            raise CellFailed(f"{self.endpoint}: the answer isn't JSON: {start!r}; is base_url right?") from None
        if isinstance(answer, dict) and answer.get("error") and "data" not in answer:
            _, words = _server_words(content)
            raise CellFailed(f"{self.endpoint}: no vectors but an error: {_shortened(self._hidden(words))}")
        return answer

    def _failure(self, response: requests.Response, content: bytes) -> Exception:
        code, words = _server_words(content)
        # Hidden first: of a key that lies across the end, the beginning would be left.
        text = f"status {response.status_code}: {_shortened(self._hidden(words))}"
        if _is_passing(response.status_code) and code not in HOPELESS:
            asked_s = retry_after_s(response.headers.get("Retry-After"), now=datetime.now(UTC))
            return _UnansweredError(text, wait_s=asked_s)
        hint = ""
        if response.status_code in (401, 403):
            hint = "; check the key" if self.endpoint.key else "; give a key by api_key_env"
        return RefusedError(f"{self.endpoint}: {text}{hint}", status=response.status_code)

    def _hidden(self, text: str) -> str:
        """Return the text without the key: a server may repeat it in its message."""
        return text.replace(self.endpoint.key, "***") if self.endpoint.key else text


@dataclass(frozen=True, slots=True)
class _KeyFromEnvironment:
    """Sets the header. As `auth`, because requests would put a password of ~/.netrc over a plain header."""

    endpoint: Endpoint = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.endpoint.key:
            request.headers["Authorization"] = f"Bearer {self.endpoint.key}"
        return request


def _innermost(error: BaseException) -> str:
    """Return the last part of the story: requests wraps urllib3, which wraps the operating system's words."""
    while isinstance(cause := getattr(error, "reason", None) or next(iter(error.args), None), BaseException):
        error = cause
    # An exception of several parts shows itself as a tuple; its words are the first.
    words = next((part for part in error.args if isinstance(part, str)), str(error))
    return re.sub(r"<[^>]*>[:,]?\s*", "", getattr(error, "strerror", None) or words)


# ---------------------------------------------------------------- answers


def _is_passing(status: int) -> bool:
    return status in RETRIED or (500 <= status < 600 and status not in NEVER_RETRIED)


def _server_words(content: bytes) -> tuple[str | None, str]:
    """Return the code and the message of an error, in any of the forms that servers use."""
    text = content.decode("utf-8", "replace")
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None, text
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return None, str(error)
    code = error.get("code") or error.get("type")
    return (str(code) if code else None), str(error.get("message") or error.get("detail") or text)


def _shortened(text: str) -> str:
    one_line = " ".join(text.split()) or "no message"
    return one_line if len(one_line) <= LONGEST_MESSAGE else f"{one_line[:LONGEST_MESSAGE]}..."


def _tries(number: int) -> str:
    return f" (tried {number} times)" if number > 1 else ""


def _vectors(answer: object, n_texts: int, endpoint: Endpoint) -> NDArray[np.float32]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise CellFailed(f"{endpoint}: the answer has no list 'data' of embeddings; is base_url right?")
    by_index = {item["index"]: item.get("embedding") for item in data if isinstance(item.get("index"), int)}
    if len(data) != n_texts or by_index.keys() != set(range(n_texts)):
        raise CellFailed(f"{endpoint}: sent {n_texts} texts, got {len(data)} vectors with {len(by_index)} indexes")
    try:
        numbers = np.array([by_index[place] for place in range(n_texts)])
    except (TypeError, ValueError):
        raise CellFailed(f"{endpoint}: the vectors aren't lists of numbers of one length") from None
    # NumPy would read words, null and true as numbers if it were asked for floats.
    if numbers.ndim != 2 or not numbers.shape[1] or numbers.dtype.kind not in "iuf":
        raise CellFailed(f"{endpoint}: the vectors aren't lists of numbers of one length")
    with np.errstate(over="ignore"):  # beyond float32's range: infinity, which is refused
        vectors = numbers.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise CellFailed(f"{endpoint}: a vector holds NaN or infinity")
    return vectors
