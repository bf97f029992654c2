"""Models behind an OpenAI-compatible endpoint: OpenAI, Azure, vLLM, text-embeddings-inference, Ollama, LiteLLM ...

    spec ── options ── Endpoint ── Client (models/openai_client.py) ── vectors of PROBE_TEXTS ── digest ──> OpenAIHandle
    texts ── batches ── Client ──> vectors (n, d)

What such a model is can't be hashed. So a few texts are sent when it is opened, and what is robust in their vectors is
a part of the identity: a server that silently serves another model is another model. The probe holds against rounding
(a server's vectors differ in their last digits from call to call), and so it doesn't see a change smaller than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import CellFailed, ModelError
from benchkit.models.openai_client import REAL_TIME, Client, RefusedError, Timing
from benchkit.models.openai_endpoint import endpoint_of
from benchkit.models.options import check_dim
from benchkit.models.prompts import Prompts
from benchkit.models.surrogates import well_formed
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

BAD_INPUT = frozenset({400, 413, 422})
UNIT_TOLERANCE = 1e-3  # half-precision servers round a unit vector's norm this far

# Of different length, language and subject, so that two models hardly agree on all of their cosines.
PROBE_TEXTS = (
    "benchkit probe",
    "The harbour was closed for three days because of ice.",
    "def mean(xs): return sum(xs) / len(xs)",
    "深度学习模型用于文本检索。",
)


def open_model(spec: ModelSpec, context: OpenContext, *, timing: Timing = REAL_TIME) -> OpenAIHandle:
    """Ask the endpoint for the probe's vectors and identify the model by them.

    Options: base_url (up to and with "/v1"), model, api_key_env (the NAME of an environment variable), batch_size,
    dimensions (sent to the server), timeout_s (of one request), max_retries, requests_per_minute.

    Raises:
        ModelError: an option is missing or wrong, the endpoint can't be reached, or it refuses.
    """
    endpoint = endpoint_of(spec, context)
    client = Client(endpoint, timing)
    try:
        vectors = client.embed(PROBE_TEXTS)
    except CellFailed as exc:
        raise ModelError(f"model {spec.label!r}: {exc}") from None
    check_dim(spec, vectors.shape[1])
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
