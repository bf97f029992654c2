"""Where an endpoint is and how it is asked, from the options of a model. It holds the key's name and never the key."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchkit.errors import ModelError
from benchkit.models.options import check_options, float_option, int_option, text_option
from benchkit.types.model import ModelSpec, OpenContext

OPTIONS = (
    "base_url", "model", "api_key_env", "batch_size", "dimensions", "timeout_s", "max_retries", "requests_per_minute",
)  # fmt: skip
BATCH_SIZE = 32  # the most that text-embeddings-inference takes unless told otherwise
TIMEOUT_S = 60.0
MAX_RETRIES = 6  # waits of at most 1, 2, 4, 8, 16, 32 s: a minute's rate limit passes
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

_VARIABLE = re.compile("[A-Z_][A-Z0-9_]{0,40}")


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


def endpoint_of(spec: ModelSpec, context: OpenContext) -> Endpoint:
    """Return what the options of a model say.

    Raises:
        ModelError: one is missing or wrong, or the endpoint may not be asked.
    """
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
