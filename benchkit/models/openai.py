"""Models behind an OpenAI-compatible endpoint: OpenAI, Azure, vLLM, text-embeddings-inference, Ollama, LiteLLM ...

    texts ── batches ── POST {base_url}/embeddings ─┬─ 200 ── put in order by "index" ── checked ── vectors (n, d)
                               ▲                    ├─ 429, 5xx, no answer ── wait ──┐
                               └────────────────────┼────────────────────────────────┘
                                                    └─ anything else ── CellFailed with the server's words

What such a model is can't be hashed. So a few texts are sent when it is opened, and what is robust in their vectors is
a part of the identity: a server that silently serves another model is another model. The probe holds against rounding
(a server's vectors differ in their last digits from call to call), and so it doesn't see a change smaller than that.

The key is read from the environment for each request. It is in no object, no message and no fingerprint.

`requests` does the talking: mteb and mlflow bring it along, and it keeps one connection open over a thousand batches,
which urllib can't. Back-off with full jitter: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog (2015).
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import CellFailed, ModelError
from benchkit.models.options import check_options, float_option, int_option, text_option
from benchkit.models.sentence_transformers import Prompts, well_formed
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

if TYPE_CHECKING:
    import requests

OPTIONS = (
    "base_url", "model", "api_key_env", "batch_size", "dimensions", "timeout_s", "max_retries", "requests_per_minute",
)  # fmt: skip
BATCH_SIZE = 32  # the most that text-embeddings-inference takes unless told otherwise
TIMEOUT_S = 60.0
MAX_RETRIES = 6  # waits of at most 1, 2, 4, 8, 16, 32 s: a minute's rate limit passes
RETRIED = frozenset({429, 500, 502, 503, 504})
HOPELESS = frozenset({"insufficient_quota", "billing_hard_limit_reached"})  # OpenAI sends them as 429
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0  # also the most that a server's Retry-After is heeded
LONGEST_TOTAL_S = 600.0  # no retry of a request begins later than this
BAD_INPUT = frozenset({400, 413, 422})
LONGEST_MESSAGE = 500
MAX_ANSWER_BYTES = 2**30
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
UNIT_TOLERANCE = 1e-3  # half-precision servers round a unit vector's norm this far

_VARIABLE = re.compile("[A-Z_][A-Z0-9_]{0,40}")

# Of different length, language and subject, so that two models hardly agree on all of their cosines.
PROBE_TEXTS = (
    "benchkit probe",
    "The harbour was closed for three days because of ice.",
    "def mean(xs): return sum(xs) / len(xs)",
    "深度学习模型用于文本检索。",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock, the pause and the chance that the waiting depends on; a test passes its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


REAL_TIME = Timing()


def open_model(spec: ModelSpec, context: OpenContext, *, timing: Timing = REAL_TIME) -> OpenAIHandle:
    """Ask the endpoint for the probe's vectors and identify the model by them.

    Options: base_url (up to and with "/v1"), model, api_key_env (the NAME of an environment variable), batch_size,
    dimensions (sent to the server), timeout_s (of one request), max_retries, requests_per_minute.

    Raises:
        ModelError: an option is missing or wrong, the endpoint can't be reached, or it refuses.
    """
    endpoint = _endpoint(spec, context)
    client = Client(endpoint, timing)
    try:
        vectors = client.embed(PROBE_TEXTS)
    except CellFailed as exc:
        raise ModelError(f"model {spec.label!r}: {exc}") from None
    prompts = Prompts(own={}, given=spec.prompts or {})
    where = urlsplit(endpoint.base_url)
    identity = {
        "openai": 1,
        "place": f"{where.netloc}{where.path}",
        "model": endpoint.model,
        "dimensions": endpoint.dimensions,
        "probe": probe_digest(vectors),
    }
    meta = ModelMeta(
        name=spec.label,
        id=f"{endpoint.base_url} {endpoint.model}",
        revision=None,
        fingerprint=digest_json({**identity, "prompts": prompts.identity()}),
        dimension=vectors.shape[1],
        bytes_per_vector=4 * vectors.shape[1],
        normalized=bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE)),
        notes=("served by an endpoint: identified by the vectors of four texts, not by its weights",),
    )
    return OpenAIHandle(meta, prompts, client, digest_json(identity))


@dataclass(frozen=True, slots=True)
class OpenAIHandle:
    """An endpoint that answered.

    Attributes:
        vector_key: Identity of its vectors, whatever its prompts are.
    """

    meta: ModelMeta
    prompts: Prompts
    client: Client
    vector_key: str

    def load(self) -> OpenAIEncoder:
        return OpenAIEncoder(self.meta, self.prompts, self.client, self.vector_key)


class OpenAIEncoder:
    """Texts in, an endpoint's vectors out."""

    def __init__(self, meta: ModelMeta, prompts: Prompts, client: Client, vector_key: str) -> None:
        self.meta = meta
        self.vector_key = vector_key
        self._prompts = prompts
        self._client = client
        self._takes_blank: bool | None = None

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._prompts.effective(task_name=task_name, task_type=task_type, role=role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension).

        A blank text that the server refuses (OpenAI does) gets zeros, as in MTEB's wrapper of OpenAI's models.

        Raises:
            CellFailed: the endpoint refuses, doesn't answer, or its answer can't be right.
        """
        assert self.meta.dimension is not None
        vectors = np.zeros((len(texts), self.meta.dimension), np.float32)
        inputs = [well_formed(f"{prompt}{text}") for text in texts]
        sent = [place for place, text in enumerate(inputs) if text.strip() or self._sends_blank()]
        size = self._client.endpoint.batch_size
        for start in range(0, len(sent), size):
            places = sent[start : start + size]
            vectors[places] = self._checked(self._client.embed([inputs[place] for place in places]))
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> None:
        return None

    def _checked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if vectors.shape[1] != self.meta.dimension:
            raise CellFailed(
                f"{self._client.endpoint}: vectors of {vectors.shape[1]} dimensions, but of {self.meta.dimension} when "
                "it was opened; is another model being served?"
            )
        return vectors

    def _sends_blank(self) -> bool:
        if self._takes_blank is None:
            try:
                self._client.embed([""])
                self._takes_blank = True
            except RefusedError as exc:
                if exc.status not in BAD_INPUT:
                    raise
                self._takes_blank = False
        return self._takes_blank


def probe_digest(vectors: NDArray[np.float32]) -> str:
    """Return a name for the model that gave the vectors of `PROBE_TEXTS`, the same for slightly other digits.

    Cosines to two digits and norms to two digits tell models apart; the place and sign of each vector's largest entry
    tells a model from one that is turned around, whose vectors must not be mixed with it in a cache. (Hashing every
    entry to four digits would not do: of a thousand entries some always lie next to where rounding tips over.)
    """
    rows = vectors.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(norms > 0, norms, 1)[:, None]
    largest = np.abs(unit).argmax(axis=1)
    upper = np.triu_indices(len(rows), k=1)
    return digest_json(
        {
            "dimension": rows.shape[1],
            "cosines": [f"{value + 0.0:.2f}" for value in np.round((unit @ unit.T)[upper], 2)],
            "norms": [f"{value:.1e}" for value in norms],
            "largest": [[int(place), bool(row[place] > 0)] for place, row in zip(largest, unit, strict=True)],
        }
    )


# ---------------------------------------------------------------- options


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask and how; it holds the name of the key's variable and not the key."""

    base_url: str
    model: str
    api_key_env: str | None
    batch_size: int
    dimensions: int | None
    timeout_s: float
    max_retries: int
    requests_per_minute: float | None

    def __str__(self) -> str:
        return f"{self.base_url}/embeddings ({self.model})"

    @property
    def is_local(self) -> bool:
        return urlsplit(self.base_url).hostname in LOCAL_HOSTS

    @property
    def key(self) -> str | None:
        return os.environ.get(self.api_key_env, "").strip() if self.api_key_env else None


def _endpoint(spec: ModelSpec, context: OpenContext) -> Endpoint:
    check_options(spec, OPTIONS)
    for name, value in (("max_seq_length", spec.max_seq_length), ("revision", spec.revision)):
        if value is not None:
            raise ModelError(f"model {spec.label!r}: an endpoint has no {name}; set it where the model is served")
    rate = float_option(spec, "requests_per_minute", 0, least=0)
    endpoint = Endpoint(
        base_url=_base_url(spec),
        model=text_option(spec, "model") or spec.name,
        api_key_env=text_option(spec, "api_key_env"),
        batch_size=int_option(spec, "batch_size", BATCH_SIZE, least=1, most=2048),
        dimensions=int_option(spec, "dimensions", 0, least=1) if "dimensions" in spec.options else None,
        timeout_s=float_option(spec, "timeout_s", TIMEOUT_S, least=0.1, most=3600),
        max_retries=int_option(spec, "max_retries", MAX_RETRIES, least=0, most=20),
        requests_per_minute=rate or None,
    )
    if context.offline and not endpoint.is_local:
        raise ModelError(f"model {spec.label!r}: offline, and {endpoint.base_url} isn't on this machine")
    _check_key(spec, endpoint)
    return endpoint


def _check_key(spec: ModelSpec, endpoint: Endpoint) -> None:
    name, key = endpoint.api_key_env, endpoint.key
    if name is None:
        return
    # What doesn't look like a name isn't repeated: somebody may have written the key itself.
    shown = name if _VARIABLE.fullmatch(name) else "that api_key_env names"
    if not key:
        raise ModelError(f"model {spec.label!r}: the environment variable {shown} isn't set")
    if not (key.isascii() and key.isprintable()):
        raise ModelError(f"model {spec.label!r}: the environment variable {shown} holds no key: it has odd characters")


def _base_url(spec: ModelSpec) -> str:
    given = text_option(spec, "base_url")
    if given is None:
        raise ModelError(f"model {spec.label!r}: option 'base_url' is missing, such as http://127.0.0.1:8080/v1")
    url = urlsplit(given)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ModelError(
            f"model {spec.label!r}: option 'base_url' should begin with http:// or https://, got {given!r}"
        )
    if url.username or url.password or url.query:
        # Not repeated: it may be a key.
        raise ModelError(f"model {spec.label!r}: option 'base_url' holds a user, password or query; use api_key_env")
    return given.rstrip("/").removesuffix("/embeddings")


# ---------------------------------------------------------------- requests


class RefusedError(CellFailed):
    """The server says that this request is wrong; asking again would not help."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


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
            CellFailed: no answer after all retries, or one that can't be right.
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
                    raise CellFailed(f"{self.endpoint}: {failure}{_tries(attempt + 1)}") from None
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
            raise _UnansweredError(f"no answer ({self._hidden(_innermost(exc))})") from None
        if response.status_code == 200:
            return _parsed(content, self.endpoint)
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

    def _failure(self, response: requests.Response, content: bytes) -> Exception:
        code, words = _server_words(content)
        text = self._hidden(f"status {response.status_code}: {words}")
        if response.status_code in RETRIED and code not in HOPELESS:
            return _UnansweredError(text, wait_s=_retry_after_s(response.headers.get("Retry-After")))
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


def _retry_after_s(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _innermost(error: BaseException) -> str:
    """Return the last part of the story: requests wraps urllib3, which wraps the operating system's words."""
    while isinstance(cause := getattr(error, "reason", None) or next(iter(error.args), None), BaseException):
        error = cause
    return _shortened(re.sub(r"<[^>]*>[:,]?\s*", "", getattr(error, "strerror", None) or str(error)))


# ---------------------------------------------------------------- answers


def _parsed(content: bytes, endpoint: Endpoint) -> object:
    try:
        return json.loads(content)
    except ValueError:
        start = content[:80].decode("utf-8", "replace")
        raise CellFailed(f"{endpoint}: the answer isn't JSON: {start!r}; is base_url right?") from None


def _server_words(content: bytes) -> tuple[str | None, str]:
    """Return the code and the message of an error, in any of the forms that servers use."""
    text = content.decode("utf-8", "replace")
    try:
        answer = json.loads(content)
    except ValueError:
        return None, _shortened(text)
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return None, _shortened(str(error))
    code = error.get("code") or error.get("type")
    return (str(code) if code else None), _shortened(str(error.get("message") or error.get("detail") or text))


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
        vectors = np.array([by_index[place] for place in range(n_texts)], dtype=np.float32)
    except (TypeError, ValueError):
        raise CellFailed(f"{endpoint}: the vectors aren't lists of numbers of one length") from None
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise CellFailed(f"{endpoint}: the vectors aren't lists of numbers of one length")
    if not np.isfinite(vectors).all():
        raise CellFailed(f"{endpoint}: a vector holds NaN or infinity")
    return vectors
