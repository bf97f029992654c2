"""Models that sentence-transformers runs: transformers and static ones, from the hub or a local directory.

    spec ─ open_model ─┬─ files on this machine (hub.py) ── read without torch (files.py)
                       ├─ prompts: the spec's, else MTEB's, else the model's own
                       └─> handle with the whole of ModelMeta ─ load ─> encoder

What a score rests on, so it is the same here as in `mteb.evaluate`:

* the vectors are those of `SentenceTransformer.encode` on the same batch, bit by bit;
* the prompt of a task is the one that MTEB's SentenceTransformerEncoderWrapper ends up with (`effective_prompt`);
* weights are computed in float32 on every device, also where a file stores half of the bits.

A lone surrogate (half of a UTF-16 pair, which no tokenizer takes) is encoded as U+FFFD, and a pair of them as the
character that they stand for. Tokens are counted the way they are encoded.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.models import catalog
from benchkit.models.files import ModelFiles, content_digest, read_header, read_model
from benchkit.models.hub import find_snapshot, read_origin
from benchkit.models.names import is_directory
from benchkit.models.options import check_options
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DTYPE = "float32"
_BYTES_PER_WEIGHT = 4
# Raise it when the same files and settings begin to give other vectors.
_RECIPE = 1
_SURROGATE = re.compile("[\ud800-\udfff]")
# The names under which sentence-transformers looks for a document's prompt, in its order.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_POOLER = "pooler."
_NO_LIMIT = 10**9  # transformers writes 1e30 for "no longest input"
_LONGEST_REASON = 500  # characters of a library's own message
_COUNTED_AT_ONCE = 4096  # texts whose tokens are in memory at a time


def open_model(spec: ModelSpec, context: OpenContext) -> SentenceTransformersHandle:
    """Find and identify a model; nothing is loaded.

    Raises:
        ModelError: it can't be had, its files are damaged, or a setting doesn't fit it.
    """
    check_options(spec, ())
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
    meta = ModelMeta(
        name=spec.label,
        id=source.id,
        revision=source.revision,
        fingerprint=digest_json(
            {
                "recipe": _RECIPE,
                "content": content,
                "prompts": prompts.identity(),
                "max_seq_length": max_seq_length,
                "dtype": DTYPE,
                "trust_remote_code": spec.trust_remote_code,
            }
        ),
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
    )
    return SentenceTransformersHandle(meta, files, prompts, spec, context.device)


@dataclass(frozen=True, slots=True)
class SentenceTransformersHandle:
    """A model whose files are there and whole."""

    meta: ModelMeta
    files: ModelFiles
    prompts: Prompts
    spec: ModelSpec = field(repr=False)
    device: str

    def load(self) -> SentenceTransformersEncoder:
        """Load it onto its device.

        Raises:
            ModelError: a weight is missing in the files, or sentence-transformers can't load them.
        """
        with silence():
            model = _load(self.files.directory, self.device, trust_remote_code=self.spec.trust_remote_code)
            _check_weights(model, self.files)
            if self.spec.max_seq_length is not None:
                model.max_seq_length = self.spec.max_seq_length
        return SentenceTransformersEncoder(_completed(self.meta, model), model, self.prompts)


class SentenceTransformersEncoder:
    """A loaded model."""

    def __init__(self, meta: ModelMeta, model: SentenceTransformer, prompts: Prompts) -> None:
        self.meta = meta
        self._model = model
        self._prompts = prompts
        self._counter: _TokenCounter | None = None

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return self._prompts.effective(task_name=task_name, task_type=task_type, role=role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 (n, dimension); the texts go through the model as one batch."""
        assert self.meta.dimension is not None  # known since it was loaded
        if not len(texts):
            return np.empty((0, self.meta.dimension), np.float32)
        # sentence-transformers takes `task` as an option that a model without a router doesn't look at.
        task = {"task": role} if self.meta.uses_role and role is not None else {}
        vectors = self._model.encode(
            [well_formed(text) for text in texts],
            prompt=well_formed(prompt),
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_numpy=True,
            **task,
        )
        return np.asarray(vectors, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """Return the tokens of each text before truncation, with the special ones that the model adds."""
        if self._counter is None:
            self._counter = _TokenCounter(self._model.tokenizer)
        return self._counter.count([well_formed(text) for text in texts])


def well_formed(text: str) -> str:
    """Return the text as UTF-8 can hold it: a pair of surrogates becomes its character, a lone one U+FFFD.

    >>> well_formed("\\ud83d\\ude00 \\ud83d") == "\\U0001f600 \\ufffd"
    True
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# ---------------------------------------------------------------- prompts


@dataclass(frozen=True, slots=True)
class Prompts:
    """Where a model's prompts come from.

    Attributes:
        own: sentence-transformers' prompts of the model's files, by name.
        default: Name of its default prompt.
        given: Prompts by MTEB's keys, from the spec or MTEB's registry. They take the place of the model's own, all of
            them, as MTEB does it; None leaves the model's own.
    """

    own: Mapping[str, str]
    default: str | None = None
    given: Mapping[str, str] | None = None

    def effective(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        """Return the text that MTEB puts before each input of this task and role.

        MTEB's order first (task and role, task, type and role, type, role); where it finds nothing,
        sentence-transformers' own: "query", or "document", "passage", "corpus", and then the default prompt.

        >>> e5 = Prompts(own={}, given={"query": "query: ", "document": "passage: "})
        >>> e5.effective(task_name="NFCorpus", task_type="Retrieval", role="document")
        'passage: '
        >>> e5.effective(task_name="STS16", task_type="STS", role=None)
        ''
        """
        prompts = self._texts
        for key in _mteb_keys(task_name, role):
            if key in prompts and (self.given is not None or _is_mteb_key(key)):
                return prompts[key]
        by_type = [f"{task_type}-{role}", task_type, role] if role is not None else [task_type]
        names = {"query": ("query",), "document": _DOCUMENT_PROMPTS, None: ()}[role]
        return next((prompts[key] for key in (*by_type, *names, self.default or "") if key in prompts), "")

    def identity(self) -> dict[str, object]:
        """Return all that decides `effective`."""
        # MTEB reads keys that a model brings and keys that it is given in different ways, so whose they are counts too.
        given = self.given is not None
        return {"given": given, "texts": dict(self._texts), "default": self._texts.get(self.default or "")}

    @property
    def _texts(self) -> Mapping[str, str]:
        return self.own if self.given is None else self.given


def _mteb_keys(task_name: str, role: Role | None) -> tuple[str, ...]:
    return (task_name,) if role is None else (f"{task_name}-{role}", task_name)


@functools.cache
def _is_mteb_key(key: str) -> bool:
    """Tell whether MTEB heeds a prompt of the model's own under this name; imports mteb.

    It heeds its own task names only. A model's prompt "clustering" says nothing to a task that somebody called so.
    """
    from mteb.models.abs_encoder import AbsEncoder

    with _quiet("mteb"):
        valid, _ = AbsEncoder.validate_task_to_prompt_name({key: ""}, raise_for_invalid_keys=False)
    return key in (valid or {})


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
    dim = spec.variant.truncate_dim
    if dim is not None and files.dimension is not None and dim > files.dimension:
        raise ModelError(f"model {spec.label!r}: dim={dim}, but its vectors have {files.dimension} dimensions")
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


def _check_weights(model: SentenceTransformer, files: ModelFiles) -> None:
    """Refuse a model of which transformers made up a part: it fills a gap in the file with random numbers."""
    folders = list(dict.fromkeys(part.folder for part in files.parts if part.kind == "Transformer"))
    transformers = _transformers(model)
    if len(folders) != len(transformers):
        return  # modules of a repository's own; what they load is theirs to check
    for folder, transformer in zip(folders, transformers, strict=True):
        place = files.directory / folder
        missing = _missing_weights(transformer, place, [path for path in files.weights if path.parent == place])
        if files.pooling is not None:
            # The layer behind [CLS] of BERT's first training task: nothing that pools tokens asks for it.
            missing = [name for name in missing if not name.startswith(_POOLER)]
        if missing:
            raise ModelError(
                f"{place}: weights missing in the file: {', '.join(missing[:5])}"
                f"{f' and {len(missing) - 5} more' if len(missing) > 5 else ''}; the vectors would be random"
            )


def _transformers(model: SentenceTransformer) -> list[Any]:
    """Return the transformers models, but not those that are a part of another."""
    from transformers import PreTrainedModel

    found = {name: module for name, module in model.named_modules() if isinstance(module, PreTrainedModel)}
    return [module for name, module in found.items() if not any(name.startswith(f"{other}.") for other in found)]


def _missing_weights(transformer: Any, place: Path, weights: list[Path]) -> list[str]:
    stored = {name for path in weights for name in read_header(path)}
    stored |= {name.removeprefix(f"{transformer.base_model_prefix}.") for name in stored}
    if set(transformer.state_dict()) <= stored:
        return []
    # Renamed or tied weights: only transformers knows.
    _, report = type(transformer).from_pretrained(
        str(place), config=transformer.config, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    return sorted(report["missing_keys"])


def _completed(meta: ModelMeta, model: SentenceTransformer) -> ModelMeta:
    """Fill in what the files alone didn't tell."""
    longest = meta.max_seq_length or model.max_seq_length
    dimension = meta.dimension
    if dimension is None:
        task = {"task": "query"} if meta.uses_role else {}
        dimension = model.encode("a", prompt="", show_progress_bar=False, **task).shape[-1]
    return replace(
        meta,
        dimension=dimension,
        bytes_per_vector=dimension * _BYTES_PER_WEIGHT,
        max_seq_length=longest if isinstance(longest, int) and longest < _NO_LIMIT else None,
    )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep the libraries' log lines, warnings and progress bars from the user's screen."""
    from transformers.utils import logging as transformers_logging

    has_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        with _quiet("sentence_transformers", "transformers"):
            yield
    finally:
        if has_bars:
            transformers_logging.enable_progress_bar()


@contextlib.contextmanager
def _quiet(*libraries: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in libraries]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


# ---------------------------------------------------------------- tokens


class _TokenCounter:
    """A tokenizer without truncation and padding, apart from the model's own."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        self._slow = tokenizer
        self._fast: Tokenizer | None = None
        # A static model holds a bare tokenizer and adds no special tokens.
        self._adds_special = not isinstance(tokenizer, Tokenizer)
        backend = tokenizer if isinstance(tokenizer, Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            self._fast = Tokenizer.from_str(backend.to_str())
            self._fast.no_truncation()
            self._fast.no_padding()

    def count(self, texts: list[str]) -> NDArray[np.int64] | None:
        if self._slow is None:
            return None
        return np.fromiter(self._lengths(texts), np.int64, len(texts))

    def _lengths(self, texts: list[str]) -> Iterator[int]:
        for start in range(0, len(texts), _COUNTED_AT_ONCE):
            part = texts[start : start + _COUNTED_AT_ONCE]
            if self._fast is not None:
                encodings = self._fast.encode_batch_fast(part, add_special_tokens=self._adds_special)
                yield from (len(encoding.ids) for encoding in encodings)
            else:
                yield from (len(ids) for ids in self._slow(part, truncation=False, verbose=False)["input_ids"])
