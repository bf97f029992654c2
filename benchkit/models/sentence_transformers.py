"""Models that sentence-transformers runs: transformers and static ones, from the hub or a local directory.

    spec ─ open_model ─┬─ files on this machine (hub.py) ── read without torch (files.py)
                       ├─ prompts: the spec's, else MTEB's, else the model's own
                       └─> handle with the whole of ModelMeta ─ load ─┬─ weights checked (weights.py)
                                                                      ├─ engine chosen, held against the reference
                                                                      └─> encoder

What a score rests on, so it is the same here as in `mteb.evaluate`:

* the vectors are those of `SentenceTransformer.encode`: bit by bit on the same batch with engine=torch, within float32
  rounding with the packed engine (engine.py), and others only where engine=bf16 or int8 asks for them; where padding
  changes a vector, those of each text alone;
* the prompt of a task is the one that MTEB's SentenceTransformerEncoderWrapper ends up with (`effective_prompt`);
* weights are computed in float32 on every device, also where a file stores half of the bits.

A lone surrogate (half of a UTF-16 pair, which no tokenizer takes) is encoded as U+FFFD, and a pair of them as the
character that they stand for. Tokens are counted the way they are encoded.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.models import catalog
from benchkit.models.engine import (
    Engine,
    TorchEngine,
    choose_engine,
    engine_option,
    expected_engine,
    longest_input,
    tier_of,
)
from benchkit.models.files import ModelFiles, content_digest, read_model
from benchkit.models.hub import find_snapshot, read_origin
from benchkit.models.names import is_directory
from benchkit.models.options import check_dim, check_options
from benchkit.models.positions import cut_at_positions
from benchkit.models.prompts import Prompts
from benchkit.models.silence import silence
from benchkit.models.surrogates import well_formed
from benchkit.models.weights import check_weights
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DTYPE = "float32"
_BYTES_PER_WEIGHT = 4
# Raise it when the same files and settings begin to give other vectors.
_RECIPE = 1
# The same for the vectors of bf16 and int8.
_TIER_RECIPE = 1
_LONGEST_REASON = 500  # characters of a library's own message


def open_model(spec: ModelSpec, context: OpenContext) -> SentenceTransformersHandle:
    """Find and identify a model; nothing is loaded.

    Raises:
        ModelError: it can't be had, its files are damaged, or a setting doesn't fit it.
    """
    check_options(spec, ("engine",))
    asked = engine_option(spec)
    source = _find(spec, context)
    try:
        files = read_model(source.directory)
        content = content_digest(files, remote_code=spec.trust_remote_code)
    except OSError as exc:
        raise ModelError(
            f"model {spec.label!r}: can't read {exc.filename or source.directory}: {exc.strerror}"
        ) from exc
    _check_settings(spec, files)
    prompts = Prompts(own=files.prompts, default=files.default_prompt, given=_given_prompts(spec, source))
    max_seq_length = spec.max_seq_length or files.max_seq_length
    facts = source.facts
    decides = {
        "recipe": _RECIPE,
        "content": content,
        "max_seq_length": max_seq_length,
        "dtype": DTYPE,
        "trust_remote_code": spec.trust_remote_code,
    }
    exact = _identity(decides, prompts, files)
    tier = tier_of(asked)
    tiered = decides | {"tier": tier, "tier_recipe": _TIER_RECIPE}
    identity = exact if tier == DTYPE else _identity(tiered, prompts, files)
    meta = ModelMeta(
        name=spec.label,
        id=source.id,
        revision=source.revision,
        fingerprint=identity.fingerprint,
        dimension=files.dimension,
        bytes_per_vector=None if files.dimension is None else files.dimension * _BYTES_PER_WEIGHT,
        parameters=files.parameters,
        memory_bytes=files.parameters * _BYTES_PER_WEIGHT,
        license=facts.license if facts else None,
        similarity=files.similarity,
        normalized=files.normalized,
        max_seq_length=max_seq_length,
        uses_role=files.uses_role,
        languages=facts.languages if facts else (),
        training_tasks=facts.training_tasks if facts else (),
        notes=source.notes + files.notes,
        engine=expected_engine(spec, files, context.device),
    )
    return SentenceTransformersHandle(meta, files, prompts, spec, context.device, identity, exact)


@dataclass(frozen=True, slots=True)
class Identity:
    """What two models, or two vectors, have to have in common.

    Attributes:
        fingerprint: Of the model: all that decides its vectors.
        vector_key: The same but for the table of prompts: of a vector, the prompt that it was made with is known.
    """

    fingerprint: str
    vector_key: str


def _identity(decides: Mapping[str, object], prompts: Prompts, files: ModelFiles) -> Identity:
    fingerprint = digest_json({**decides, "prompts": prompts.identity()})
    if any(part.is_remote for part in files.parts):
        # Code of the model's repository may look at the prompts by itself.
        return Identity(fingerprint, fingerprint)
    return Identity(fingerprint, digest_json(dict(decides)))


def _vector_key(identity: Identity, engine: Engine) -> str:
    # Those that were kept before texts were encoded by themselves depend on the neighbours that a text then had.
    is_apart = isinstance(engine, TorchEngine) and engine.is_apart
    return digest_json({"vectors": identity.vector_key, "apart": True}) if is_apart else identity.vector_key


@dataclass(frozen=True, slots=True)
class SentenceTransformersHandle:
    """A model whose files are there and whole.

    Attributes:
        identity: Of the vectors that were asked for.
        reference: Of those that the reference would compute.
    """

    meta: ModelMeta
    files: ModelFiles
    prompts: Prompts
    spec: ModelSpec = field(repr=False)
    device: str
    identity: Identity
    reference: Identity

    def load(self) -> SentenceTransformersEncoder:
        """Load it onto its device and choose what computes it.

        Raises:
            ModelError: a weight is missing in the files, sentence-transformers can't load them, or the engine that was
                asked for can't compute the model here.
        """
        with silence():
            load = functools.partial(
                _load, self.files.directory, self.device, trust_remote_code=self.spec.trust_remote_code
            )
            model = load()
            check_weights(model, self.files, load)
            if self.spec.max_seq_length is not None:
                model.max_seq_length = self.spec.max_seq_length
            notes = self.meta.notes + cut_at_positions(model)
            _check_room(self.spec, model)
            meta = _completed(self.meta, model)
            choice = choose_engine(model, self.files, self.spec)
        engine = choice.engine
        # The vectors of a tier that was refused are the reference's.
        identity = self.reference if engine.name == "torch" else self.identity
        meta = replace(meta, engine=engine.name, fingerprint=identity.fingerprint, notes=notes + choice.notes)
        return SentenceTransformersEncoder(meta, engine, self.prompts, _vector_key(identity, engine))


class SentenceTransformersEncoder:
    """A loaded model; the engine is told the prompt of each call, so none of its own is ever added to it."""

    def __init__(self, meta: ModelMeta, engine: Engine, prompts: Prompts, vector_key: str) -> None:
        self.meta = meta
        self.vector_key = vector_key
        self._engine = engine
        self._prompts = prompts

    @property
    def batch_tokens(self) -> int:
        """Most tokens that one call should hold."""
        return self._engine.batch_tokens

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        """Return the tokens that go through the model for one call with texts of these lengths before truncation."""
        return self._engine.padded_tokens(lengths)

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._prompts.effective(task_name=task_name, task_type=task_type, role=role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension); for the reference the texts are one batch."""
        assert self.meta.dimension is not None  # known since it was loaded
        if not len(texts):
            return np.empty((0, self.meta.dimension), np.float32)
        return self._engine.encode(
            [well_formed(text) for text in texts],
            prompt=well_formed(prompt),
            # sentence-transformers takes `task` as an option that a model without a router doesn't look at.
            role=role if self.meta.uses_role else None,
        )

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """Return the tokens of each text before truncation, with the special ones that the model adds."""
        return self._engine.count_tokens([well_formed(text) for text in texts])


# ---------------------------------------------------------------- finding


@dataclass(frozen=True, slots=True)
class _Source:
    directory: Path
    id: str
    revision: str | None
    facts: catalog.Entry | None
    notes: tuple[str, ...] = ()


def _find(spec: ModelSpec, context: OpenContext) -> _Source:
    if is_directory(spec.name):
        return _local_source(spec)
    facts = catalog.find(spec.name) or (catalog.find_in_registry(spec.name) if "/" in spec.name else None)
    name = facts.id if facts else spec.name
    _check_loader(spec, name, facts)
    pinned = facts.revision if facts else None
    snapshot = find_snapshot(
        name, revision=spec.revision or pinned, offline=context.offline, remote_code=spec.trust_remote_code
    )
    notes = snapshot.notes
    if pinned and spec.revision not in (None, pinned):
        notes += (f"revision {spec.revision}; MTEB pins {pinned}",)
    return _Source(snapshot.directory, name, snapshot.revision, facts, notes)


def _local_source(spec: ModelSpec) -> _Source:
    if spec.revision is not None:
        raise ModelError(f"model {spec.label!r}: a local directory has no revisions; remove revision={spec.revision}")
    directory = Path(spec.name).expanduser().resolve()
    origin = read_origin(directory)
    if origin is None:
        return _Source(directory, str(directory), None, None)
    facts = catalog.find(origin.id) or catalog.find_in_registry(origin.id)
    return _Source(directory, origin.id, origin.revision, facts, (f"files fetched to {directory}",))


def _check_loader(spec: ModelSpec, name: str, facts: catalog.Entry | None) -> None:
    if facts is not None and facts.loader != "sentence-transformers":
        raise ModelError(
            f"model {spec.label!r}: plain sentence-transformers gives {name} other vectors than its own loader; "
            f"write {spec.name}@loader={facts.loader}"
        )
    if "/" not in name:
        raise ModelError(f"model {spec.label!r}: {name!r} is neither a hub name org/name nor a directory")
    if name.startswith("hkunlp/instructor-"):
        raise ModelError(f"model {spec.label!r}: INSTRUCTOR models need a way of pooling that is tied to their name")


def _given_prompts(spec: ModelSpec, source: _Source) -> Mapping[str, str] | None:
    if spec.prompts is not None:
        return spec.prompts
    return source.facts.prompts if source.facts else None


def _check_settings(spec: ModelSpec, files: ModelFiles) -> None:
    check_dim(spec, files.dimension)
    remote = next((part.kind for part in files.parts if part.is_remote), None)
    if remote and not spec.trust_remote_code:
        raise ModelError(
            f"model {spec.label!r}: its module {remote} is code of the model's repository; read it, then allow it with "
            "trust_remote_code: true in a suite"
        )
    length = spec.max_seq_length
    if length is not None and files.is_static:
        raise ModelError(f"model {spec.label!r}: a static model reads every token; remove max_seq_length")
    if length is not None and files.positions is not None and length > files.positions:
        raise ModelError(f"model {spec.label!r}: max_seq_length={length}, but it has {files.positions} positions")


# ---------------------------------------------------------------- loading


def _load(directory: Path, device: str, *, trust_remote_code: bool) -> SentenceTransformer:
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(directory),
            device=device,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except Exception as exc:  # whatever the libraries, or a repository's code, raise
        reason = textwrap.shorten(str(exc), _LONGEST_REASON, placeholder=" ...")
        raise ModelError(f"{directory}: can't be loaded: {type(exc).__name__}: {reason}") from exc
    # A static table keeps the type of its file otherwise.
    return model.float()


def _check_room(spec: ModelSpec, model: SentenceTransformer) -> None:
    """Refuse a longest input that special tokens fill: tokenizers then cut nothing, or all of a text."""
    longest = longest_input(model)
    count = getattr(model.tokenizer, "num_special_tokens_to_add", None)
    if longest is None or count is None:
        return
    n_special = count(False)  # of one text; tokenizers and transformers have other names for it
    if longest <= n_special:
        raise ModelError(
            f"model {spec.label!r}: it reads at most {longest} tokens of a text (max_seq_length), and {n_special} are "
            f"special tokens of its own; set max_seq_length to {n_special + 1} or more"
        )


def _completed(meta: ModelMeta, model: SentenceTransformer) -> ModelMeta:
    """Fill in what the files alone didn't tell."""
    dimension = meta.dimension
    if dimension is None:
        task = {"task": "query"} if meta.uses_role else {}
        dimension = model.encode("a", prompt="", show_progress_bar=False, **task).shape[-1]
    return replace(
        meta,
        dimension=dimension,
        bytes_per_vector=dimension * _BYTES_PER_WEIGHT,
        max_seq_length=longest_input(model),
    )
