"""Models of MTEB's registry that need a loader of MTEB's own: instructions by task, a special last layer, an API.

    spec ─ open_model ── mteb.get_model_meta ──> handle ─ load ─ ModelMeta.load_model ──> MTEB's wrapper
                                                                                             │
    task, type, role ─ prompt_for ─ "mteb:NFCorpus|Retrieval|query" ─ encode ─ TaskMetadata ─┴─> vectors (n, d)

Such a wrapper decides for itself what it puts before a text, and it decides by the task. So the prompt here isn't a
text but a name for the task, its type and the role, from which `encode` gives the wrapper the metadata that MTEB would
give it: two tasks never share a vector in the cache, even where the wrapper treats them alike.

A wrapper sees the column "text" alone (title and body joined, as MTEB joins them), and the split and subset under
MTEB's default names; the few wrappers that read more than that are refused.

The revision that the registry pins is a commit, and a commit names its content; what else decides a vector is code,
named by MTEB's version.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import ModelError
from benchkit.models import catalog
from benchkit.models.options import check_dim, check_options
from benchkit.models.silence import silence
from benchkit.models.surrogates import well_formed
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role, Similarity

# What these put before a text follows from the task's data set, which they load themselves, or from its subset.
READ_MORE = frozenset({"CDEWrapper", "GeeVecLiteModel", "GeeVecAPIModel"})
UNIT_TOLERANCE = 1e-3  # half-precision wrappers round a unit vector's norm this far

_COMMIT = re.compile("[0-9a-f]{40}")
_PROMPT = re.compile(r"mteb:(?P<task>.*)\|(?P<type>[^|]*)\|(?P<role>query|document|)", re.DOTALL)
_MIB = 2**20


def open_model(spec: ModelSpec, context: OpenContext, *, find: Callable[[str], Any] | None = None) -> MtebHandle:
    """Find a model in MTEB's registry; nothing is loaded.

    Args:
        find: Gives the mteb.models.ModelMeta of a name and raises KeyError without one; None asks MTEB's registry.

    Raises:
        ModelError: it isn't there, it isn't a dense text model, or a setting doesn't fit it.
    """
    _refuse_settings(spec)
    entry = catalog.find(spec.name)
    registered = _registered(spec, entry.id if entry else spec.name, find)
    _check_kind(spec, registered)
    _check_permissions(spec, context, registered)
    dimension = _dimension(registered)
    check_dim(spec, dimension)
    max_tokens = registered.max_tokens
    meta = ModelMeta(
        name=spec.label,
        id=registered.name,
        revision=registered.revision,
        fingerprint=digest_json(_identity(registered)),
        dimension=dimension,
        bytes_per_vector=None if dimension is None else 4 * dimension,
        parameters=registered.n_parameters,
        memory_bytes=None if registered.memory_usage_mb is None else int(registered.memory_usage_mb * _MIB),
        license=registered.license,
        similarity=_similarity(spec, registered),
        max_seq_length=None if max_tokens is None or not np.isfinite(max_tokens) else int(max_tokens),
        languages=tuple(registered.languages or ()),
        training_tasks=tuple(sorted(registered.get_training_datasets() or ())),
        notes=_notes(registered),
    )
    return MtebHandle(meta, registered, context)


@dataclass(frozen=True, slots=True)
class MtebHandle:
    """A model of the registry.

    Attributes:
        registered: Its mteb.models.ModelMeta.
    """

    meta: ModelMeta
    registered: Any = field(repr=False)
    context: OpenContext

    def load(self) -> MtebRegistryEncoder:
        """Load it with MTEB's own loader.

        Raises:
            ModelError: a package is missing, or the loader fails; the message holds MTEB's hint.
        """
        loader = self.registered.loader
        device = {"device": self.context.device} if _takes(loader, "device") else {}
        try:
            with silence(), _hub_offline(self.context.offline):
                wrapper = self.registered.load_model(**device)
        except ImportError as exc:
            raise ModelError(f"model {self.meta.name!r}: {' '.join(str(exc).split())}") from exc
        except Exception as exc:  # whatever a loader, or a repository's code, raises
            raise ModelError(
                f"model {self.meta.name!r}: {_loader_name(loader)} of MTEB can't load {self.meta.id}: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
        return _measured(MtebRegistryEncoder(self.meta, wrapper))


class MtebRegistryEncoder:
    """One of MTEB's wrappers as an encoder."""

    def __init__(self, meta: ModelMeta, wrapper: Any) -> None:
        self.meta = meta
        self._wrapper = wrapper
        self._known: dict[tuple[str, str], Any] = {}

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        """Return a name for the task, its type and the role, which `encode` reads again."""
        return f"mteb:{task_name}|{task_type}|{role or ''}"

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return what MTEB's wrapper gives for these texts, float32 (n, dimension); they are one batch.

        Raises:
            ValueError: the prompt isn't one of `prompt_for`, or the wrapper's answer has not one row per text.
        """
        if not len(texts):
            return np.empty((0, self.meta.dimension or 0), np.float32)
        asked = _PROMPT.fullmatch(prompt or self.prompt_for(task_name="", task_type="", role=role))
        if asked is None:
            raise ValueError(f"{self.meta.name}: MTEB's wrapper writes its own prompts; got {prompt!r}")
        vectors = self._wrapper.encode(
            _loader_of([well_formed(text) for text in texts]),
            task_metadata=self._task(asked["task"], asked["type"], has_role=bool(asked["role"])),
            hf_split="test",
            hf_subset="default",
            prompt_type=_prompt_type(asked["role"]),
            batch_size=len(texts),
            show_progress_bar=False,
        )
        return _rows(vectors, len(texts), self.meta.name)

    def count_tokens(self, texts: Sequence[str]) -> None:
        return None

    def _task(self, name: str, kind: str, *, has_role: bool) -> Any:
        # Texts that belong to no task: those with a role are for search.
        kind = kind or ("Retrieval" if has_role else "STS")
        if (name, kind) not in self._known:
            self._known[name, kind] = _task_metadata(name, kind)
        return self._known[name, kind]


# ---------------------------------------------------------------- what MTEB's wrappers take and give


def _loader_of(texts: list[str]) -> Any:
    from datasets import Dataset
    from torch.utils.data import DataLoader

    return DataLoader(Dataset.from_dict({"text": texts}), batch_size=len(texts))


def _prompt_type(role: str) -> Any:
    from mteb.types import PromptType

    return PromptType(role) if role else None


def _task_metadata(name: str, kind: str) -> Any:
    """Return MTEB's metadata of one of its tasks, with its instruction; of another task the least that it can have."""
    import mteb
    from mteb.abstasks import AbsTaskRetrieval, AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata

    # MTEB looks for the class of a task's name to find the instruction of its type; without a name there is no class.
    general = {"Retrieval": AbsTaskRetrieval.abstask_prompt, "STS": AbsTaskSTS.abstask_prompt}
    with contextlib.suppress(KeyError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = mteb.get_task(name).metadata
        if known.type == kind:
            return known
    return TaskMetadata(
        name=name or "unnamed",
        description=f"{kind} that MTEB doesn't know",
        type=kind,
        prompt=None if name else general.get(kind),
        eval_langs=["eng-Latn"],
        main_score="main_score",
        dataset={"path": "own", "revision": "own"},
    )


def _rows(vectors: Any, n_texts: int, label: str) -> NDArray[np.float32]:
    import torch

    if isinstance(vectors, torch.Tensor):
        vectors = vectors.detach().float().cpu().numpy()
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or len(rows) != n_texts:
        raise ValueError(f"{label}: MTEB's wrapper gave an array of shape {rows.shape} for {n_texts} texts")
    return rows


def _measured(encoder: MtebRegistryEncoder) -> MtebRegistryEncoder:
    """Fill in what the registry doesn't say, or says wrongly: the vectors' length and norm."""
    try:
        vector = encoder.encode(["benchkit"])[0]
    except Exception as exc:  # whatever a wrapper, or a repository's code, raises
        raise ModelError(
            f"model {encoder.meta.name!r}: {encoder.meta.id} was loaded and can't encode: {type(exc).__name__}: {exc}"
        ) from exc
    encoder.meta = replace(
        encoder.meta,
        dimension=len(vector),
        bytes_per_vector=4 * len(vector),
        normalized=bool(abs(np.linalg.norm(vector) - 1) < UNIT_TOLERANCE),
    )
    return encoder


# ---------------------------------------------------------------- what may be opened


def _refuse_settings(spec: ModelSpec) -> None:
    check_options(spec, ())
    for name, value in (("prompts", spec.prompts), ("max_seq_length", spec.max_seq_length)):
        if value is not None:
            raise ModelError(f"model {spec.label!r}: MTEB's own loader decides its {name}; remove them")


def _registered(spec: ModelSpec, name: str, find: Callable[[str], Any] | None) -> Any:
    if find is None:
        import mteb

        find = mteb.get_model_meta
    try:
        registered = find(name)
    except KeyError as exc:
        raise ModelError(f"model {spec.label!r}: {exc.args[0]}") from None
    if spec.revision not in (None, registered.revision):
        raise ModelError(
            f"model {spec.label!r}: MTEB's loader is for revision {registered.revision}, not {spec.revision}; remove it"
        )
    return registered


def _check_kind(spec: ModelSpec, registered: Any) -> None:
    if registered.loader is None:
        raise ModelError(f"model {spec.label!r}: MTEB knows {registered.name} and has no loader for it")
    if not {"dense", "router"}.issuperset(registered.model_type):
        kinds = ", ".join(registered.model_type)
        raise ModelError(f"model {spec.label!r}: {registered.name} is {kinds}; benchkit compares dense models")
    if "text" not in registered.modalities:
        raise ModelError(f"model {spec.label!r}: {registered.name} takes {', '.join(registered.modalities)}, not text")
    if _loader_name(registered.loader) in READ_MORE:
        raise ModelError(f"model {spec.label!r}: {registered.name} encodes a text by the data set or subset it is in")


def _check_permissions(spec: ModelSpec, context: OpenContext, registered: Any) -> None:
    if _runs_remote_code(registered) and not spec.trust_remote_code:
        raise catalog.NotAtHand(
            f"model {spec.label!r}: MTEB's loader runs code of the repository {registered.name}; read it, then allow "
            "it with trust_remote_code: true in a suite"
        )
    if not context.offline:
        return
    if "API" in registered.framework:
        raise catalog.NotAtHand(
            f"model {spec.label!r}: offline, and {registered.name} is only to be had from its makers"
        )
    if _is_commit(registered.revision) and not _is_cached(registered.name, registered.revision):
        raise catalog.NotAtHand(
            f"model {spec.label!r}: offline, and {registered.name} at {registered.revision} isn't in the hub's cache "
            "on this machine; run it once with a network, or copy the cache (HF_HOME)"
        )


def _runs_remote_code(registered: Any) -> bool:
    """Tell whether the registry's arguments, the loader's defaults or its source ask for a repository's code."""
    loader = registered.loader
    if _asks_for_code(registered.loader_kwargs):
        return True
    default = _parameters(loader).get("trust_remote_code")
    if default is not None and default.default is True:
        return True
    try:
        source = inspect.getsource(getattr(loader, "func", loader))
    except (OSError, TypeError):
        return False
    return re.search(r"trust_remote_code[\"']?\s*[=:]\s*True", source) is not None


def _asks_for_code(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return value.get("trust_remote_code") is True or any(map(_asks_for_code, value.values()))


def _is_cached(name: str, revision: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str)


def _is_commit(revision: str | None) -> bool:
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@contextlib.contextmanager
def _hub_offline(offline: bool) -> Iterator[None]:
    """Keep a loader that takes no such argument from the network."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


# ---------------------------------------------------------------- what is known of it


def _dimension(registered: Any) -> int | None:
    # A list is the dimensions that a model can be cut to; uncut it has the longest.
    dimensions = registered.embed_dim
    return dimensions if dimensions is None or isinstance(dimensions, int) else max(dimensions)


def _similarity(spec: ModelSpec, registered: Any) -> Similarity:
    name = registered.similarity_fn_name
    if name is None or name.value == "cosine":
        return "cosine"
    if name.value == "dot":
        return "dot"
    raise ModelError(f"model {spec.label!r}: {registered.name} compares vectors by {name.value}, not by cosine or dot")


def _notes(registered: Any) -> tuple[str, ...]:
    notes = [f"loaded by MTEB's {_loader_name(registered.loader)}"]
    if _runs_remote_code(registered):
        notes.append("runs code of its repository")
    if "API" in registered.framework:
        notes.append("served by its makers, who may change it under the same name")
    elif not _is_commit(registered.revision):
        notes.append(f"revision not pinned: MTEB has {registered.revision}")
    return tuple(notes)


def _identity(registered: Any) -> dict[str, object]:
    loader = getattr(registered.loader, "func", registered.loader)
    return {
        "mteb": importlib.metadata.version("mteb"),
        "name": registered.name,
        "revision": registered.revision,
        "loader": f"{loader.__module__}.{loader.__qualname__}",
        "partial": _plain(getattr(registered.loader, "keywords", {})),
        "loader_kwargs": _plain(registered.loader_kwargs),
        "experiment_kwargs": _plain(registered.experiment_kwargs),
    }


def _plain(value: object) -> object:
    """Return something that JSON can hold and that is the same in every process."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _loader_name(loader: Any) -> str:
    return str(getattr(loader, "func", loader).__name__)


def _takes(loader: Any, name: str) -> bool:
    parameters = _parameters(loader)
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _parameters(loader: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(loader).parameters
