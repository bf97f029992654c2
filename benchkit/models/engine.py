"""What computes the vectors of a sentence-transformers model: the reference, the packed pass, or a coarser tier.

    option engine ─ engine_option ─┬─ expected_engine(files) ──────────── "packed-onednn", nothing is loaded
                                   └─ choose_engine(loaded model) ─┬─ Packed pass, if the parity gate lets it through
                                                                   └─ TorchEngine: sentence-transformers itself

* "torch" is the reference: `SentenceTransformer.encode`.
* "packed" gives the same vectors but for float32 rounding (parity.py: 1e-5) without padding, wherever the model's
  architecture is known to packed.py.
* "bf16x3" is packed, each product of float32 by three of bfloat16 (split_linear.py): faster on a CPU with AMX, and
  within the same bound, but ten times as far off as float32 rounding. Where similarities hardly differ that turns ranks
  round, so it is taken by name only: "auto" is "packed" where that can be had, else "torch".
* "bf16" and "int8" are packed passes of fewer bits. Their vectors are others, so they have another fingerprint, and a
  note says what that makes of a score.

Whatever the parity gate refuses is computed by the reference, with a note that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import ModelError
from benchkit.models import network, packed
from benchkit.models.batching import CPU_CALL_TOKENS, CPU_FORWARD_TOKENS, Budget, tokens_that_fit
from benchkit.models.files import ModelFiles, read_config
from benchkit.models.linear import Kernel, Tier, is_x86, no_split, pick_kernel, pick_split_kernel
from benchkit.models.names import ENGINES, EngineOption
from benchkit.models.parity import BOUNDS, Bound, Encode, Parity, check_parity, compare, score_difference
from benchkit.models.probes import PADDED, SHORT, cut_text, long_text
from benchkit.models.split_linear import split_expected
from benchkit.models.tokens import TokenCounter, TokenIds, repeats_tokenizer
from benchkit.models.workers import run_apart
from benchkit.types.model import ModelSpec, Role

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Modules behind the pooling that take the pooled vectors alone.
_TAIL = frozenset({"Normalize", "Dense", "LayerNorm", "Dropout"})
_POOLING = frozenset({"Pooling", "AssumedPooling"})
_STATIC_CALL_TOKENS = 65_536  # looking up a word's vector costs next to nothing
_NO_LIMIT = 10**9  # transformers writes 1e30 for "no longest input"
# Of a text padded and alone: rounding stays below 1e-6, padding that a model doesn't mask leaves 1e-3 and more.
_PADDING = Bound(0.9999, 1e-4)
_PADDING_NOTE = (
    "padding changes its vectors (it isn't masked, or stands before a text whose positions are counted from there), so "
    "each text is encoded by itself, slowly; sentence-transformers gives others, which depend on a text's neighbours"
)


class Engine(Protocol):
    """Texts that UTF-8 can hold in, float32 vectors out."""

    @property
    def name(self) -> str: ...

    @property
    def batch_tokens(self) -> int: ...

    def encode(self, texts: Sequence[str], *, prompt: str, role: Role | None) -> NDArray[np.float32]: ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None: ...

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that computes, and what a reader of its scores should know."""

    engine: Engine
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- what is asked for


def engine_option(spec: ModelSpec) -> EngineOption:
    """Return the engine that a model asks for.

    Raises:
        ModelError: there is none of that name.
    """
    asked = spec.options.get("engine", "auto")
    for known in ENGINES:
        if asked == known:
            return known
    raise ModelError(f"model {spec.label!r}: option 'engine': should be one of {', '.join(ENGINES)}, got {asked!r}")


def tier_of(asked: EngineOption) -> Tier:
    """Return the bits that an engine computes in."""
    return asked if asked in ("bf16", "int8") else "float32"


def expected_engine(spec: ModelSpec, files: ModelFiles, device: str) -> str:
    """Return the name of the engine that `choose_engine` is expected to take, from the files alone.

    Raises:
        ModelError: another engine than the reference was asked for by name, and it can't compute this model.
    """
    asked = engine_option(spec)
    reason = "" if asked == "torch" else _unsupported(files)
    if asked == "torch" or (asked == "auto" and reason):
        return "torch"
    if not reason and asked == "int8" and device != "cpu":
        reason = "int8 is computed on the CPU only"
    if reason:
        raise _refusal(spec, reason)
    if asked == "bf16x3":
        if device == "cpu" and is_x86() and split_expected():
            return _name("float32", "bf16x3")
        raise _refusal(spec, no_split(device))
    return _name(tier_of(asked), "onednn" if device == "cpu" and is_x86() else "torch")


def _name(tier: Tier, library: str) -> str:
    if tier != "float32":
        return f"packed-{tier}"
    return "packed" if library == "torch" else f"packed-{library}"


def _refusal(spec: ModelSpec, reason: str) -> ModelError:
    return ModelError(
        f"model {spec.label!r}: engine={spec.options.get('engine')} can't compute it: {reason}; leave the engine out"
    )


def _unsupported(files: ModelFiles) -> str:
    """Return why the packed pass can't compute a model, as far as its files tell; "" where it can."""
    if files.uses_role or any(part.is_remote for part in files.parts):
        return "it takes a way of its own for queries and documents, or runs code of its repository"
    kinds = [part.kind for part in files.parts]
    if kinds[:1] != ["Transformer"] or kinds[1:2] == [] or kinds[1] not in _POOLING or not _TAIL.issuperset(kinds[2:]):
        return f"it is made of {', '.join(kinds)}, not of Transformer, Pooling and what follows them"
    if read_config(files.directory, files.parts[1]).get("include_prompt", True) is False:
        return "its pooling leaves out the prompt"
    kind = read_config(files.directory, files.parts[0]).get("model_type")
    if kind not in network.MODEL_TYPES:
        return f"there is no packed forward pass for {kind}"
    return ""


# ---------------------------------------------------------------- the choice


def choose_engine(model: SentenceTransformer, files: ModelFiles, spec: ModelSpec) -> Choice:
    """Return the engine for a loaded model, after the parity gate.

    Raises:
        ModelError: an engine was asked for by name, and it can't compute this model or on this machine.
    """
    reference = TorchEngine(model, spec.label, is_static=files.is_static, positions=files.positions)
    alone = () if files.is_static else reference.settle_padding(("query", "document") if files.uses_role else (None,))
    asked = engine_option(spec)
    if asked == "torch" or (asked == "auto" and _unsupported(files)):
        return Choice(reference, alone)
    kernel = (
        pick_split_kernel(model.device.type) if asked == "bf16x3" else pick_kernel(tier_of(asked), model.device.type)
    )
    if isinstance(kernel, str):
        raise _refusal(spec, kernel)
    tier = tier_of(asked)
    try:
        candidate = PackedEngine(model, spec.label, tier, kernel)
    except network.Unsupported as exc:
        if asked != "auto":
            raise _refusal(spec, str(exc)) from exc
        return Choice(reference, (*alone, f"engine torch: {exc}"))
    parity = check_parity(_encode(reference), _encode(candidate), BOUNDS[tier], longest=reference.longest)
    if parity.refused:
        return Choice(reference, (*alone, f"engine torch, not {candidate.name}: {parity.refused}"))
    if asked in ("auto", "packed"):
        return Choice(candidate)
    return Choice(candidate, _notes(reference, candidate, asked, kernel, parity))


def _encode(engine: Engine) -> Encode:
    return lambda texts, prompt: engine.encode(texts, prompt=prompt, role=None)


def _notes(
    reference: Engine, candidate: Engine, asked: EngineOption, kernel: Kernel, parity: Parity
) -> tuple[str, ...]:
    found = score_difference(_encode(reference), _encode(candidate))
    cosine = min(found.cosine, parity.cosine)
    note = (
        f"engine {asked}: Spearman on {found.pairs} probe pairs differs by {found.points:+.2f} points from float32 "
        f"(smallest cosine {cosine:.5f})"
    )
    return (note, kernel.note) if kernel.note else (note,)


# ---------------------------------------------------------------- the reference


class TorchEngine:
    """sentence-transformers' own `encode`; the texts of a call are one batch, until `settle_padding` says otherwise.

    Args:
        positions: Tokens that the model has room for, as far as its files tell.

    Attributes:
        is_apart: Each text is encoded by itself.
    """

    name = "torch"

    def __init__(
        self, model: SentenceTransformer, label: str, *, is_static: bool, positions: int | None = None
    ) -> None:
        self._model, self._label, self._positions = model, label, positions
        self._is_static = is_static
        self.is_apart = False
        self._budget = Budget(None, label)
        self._counter: TokenCounter | None = None
        self.longest = longest_input(model)
        self.batch_tokens = _STATIC_CALL_TOKENS if is_static else call_tokens(model, self.longest)

    def encode(self, texts: Sequence[str], *, prompt: str, role: Role | None) -> NDArray[np.float32]:
        """Return the vectors; a batch that doesn't fit into a device's memory is halved.

        Args:
            role: For a model with a router; None for others.

        Raises:
            ModelError: it failed on a text for which it has too few positions, though its files let it read it.
        """
        try:
            return self._encoded(texts, prompt, role, is_apart=self.is_apart)
        except (IndexError, RuntimeError) as exc:
            prompted = [prompt + text for text in texts]
            if complaint := self._without_room(prompted, exc):
                raise ModelError(complaint) from exc
            lengths = self.count_tokens(prompted)
            if lengths is None or lengths.all():
                raise
            return self._with_company(texts, prompt, role, lengths == 0)

    def settle_padding(self, roles: Sequence[Role | None]) -> tuple[str, ...]:
        """Encode each text by itself from now on, where padding changes a vector, and say so."""
        for role in roles:
            try:
                together = self._encoded(PADDED, "", role, is_apart=False)
                alone = self._encoded(PADDED, "", role, is_apart=True)
            except Exception:  # noqa: S112 - a route that isn't there, a repository's code: it fails where it is asked for
                continue
            # A model that gives NaN is told of by whoever asks for the vector.
            if np.isfinite(alone).all() and compare(alone, together, _PADDING).refused:
                self.is_apart = True
        return (_PADDING_NOTE,) if self.is_apart else ()

    def _encoded(self, texts: Sequence[str], prompt: str, role: Role | None, *, is_apart: bool) -> NDArray[np.float32]:
        task = {} if role is None else {"task": role}

        def encode(rows: slice) -> NDArray[np.float32]:
            part = list(texts[rows])
            size = 1 if is_apart else len(part)
            vectors = self._model.encode(
                part, prompt=prompt, batch_size=size, show_progress_bar=False, convert_to_numpy=True, **task
            )
            return np.asarray(vectors, dtype=np.float32)

        parts = list(self._budget.run(np.ones(len(texts), np.int64), encode))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _with_company(
        self, texts: Sequence[str], prompt: str, role: Role | None, is_bare: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return the vectors where some texts have no token at all, as "" where a tokenizer adds none of its own.

        Alone they are a batch of no tokens, on which many models fail; beside another text they are padding.
        """
        bare = [text for text, is_one in zip(texts, is_bare, strict=True) if is_one]
        beside = self._encoded([*bare, *PADDED[:1]], prompt, role, is_apart=False)[:-1]
        found = np.empty((len(texts), beside.shape[1]), np.float32)
        found[is_bare] = beside
        if len(bare) < len(texts):
            rest = [text for text, is_one in zip(texts, is_bare, strict=True) if not is_one]
            found[~is_bare] = self._encoded(rest, prompt, role, is_apart=self.is_apart)
        return found

    def _without_room(self, texts: Sequence[str], failure: Exception) -> str:
        """Return what to say of a failure on texts with more tokens than the model has positions; "" for others."""
        room = self._positions
        lengths = None if room is None else self.count_tokens(texts)
        if room is None or lengths is None or (n_read := int(truncated(lengths, self.longest).max())) <= room:
            return ""
        return (
            f"model {self._label!r}: it failed on a text of {n_read} tokens ({failure}); its files say that it has "
            f"{room} positions, so set max_seq_length to {room} or less"
        )

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        if self._counter is None:
            self._counter = TokenCounter(self._model.tokenizer)
        return self._counter.count(list(texts))

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        read = truncated(lengths, self.longest)
        if self._is_static or self.is_apart:
            return int(read.sum())
        return len(read) * int(read.max(initial=0))


# ---------------------------------------------------------------- the packed pass


class PackedEngine:
    """The packed forward pass, sentence-transformers' own modules behind the pooling, and no more of the model.

    Raises:
        Unsupported: the model isn't what packed.py knows, or its tokenizer isn't what tokens.py repeats.
    """

    def __init__(self, model: SentenceTransformer, label: str, tier: Tier, kernel: Kernel) -> None:
        transformer, self._modes, self._tail = _split(model)
        self.longest = longest_input(model)
        self._tokens = _token_ids(model, self.longest)
        self._network = packed.Packed(network.read_network(transformer.auto_model), kernel)
        self._truncate_dim: int | None = model.truncate_dim
        self.name = _name(tier, kernel.library)
        self.batch_tokens = call_tokens(model, self.longest)
        self._is_alone = kernel.is_alone
        on_cpu = model.device.type == "cpu"
        self._budget = Budget(CPU_FORWARD_TOKENS[tier] if on_cpu else self.batch_tokens, label)

    def encode(self, texts: Sequence[str], *, prompt: str, role: Role | None) -> NDArray[np.float32]:
        """Return the vectors; the role changes nothing."""
        import torch

        ids = self._tokens.ids([prompt + text for text in texts] if prompt else texts)
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        order = np.argsort(-lengths, kind="stable")

        def pooled(rows: slice) -> Any:
            with torch.inference_mode():  # a worker has its own
                tokens, groups = self._network.token_vectors([ids[row] for row in order[rows]])
                return packed.pool(tokens, groups, self._modes)

        sizes = lengths[order]
        parts = run_apart(pooled, self._budget.parts(sizes)) if self._is_alone else self._budget.run(sizes, pooled)
        with torch.inference_mode():
            features = {"sentence_embedding": torch.cat(list(parts))}
            for module in self._tail:
                features = module(features)
            vectors = features["sentence_embedding"][:, : self._truncate_dim].cpu().numpy()
        found = np.empty(vectors.shape, np.float32)
        found[order] = vectors
        return found

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return self._tokens.count(texts)

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        return int(truncated(lengths, self.longest).sum())


def _split(model: SentenceTransformer) -> tuple[Any, tuple[str, ...], list[Any]]:
    """Return a model's transformer, its pooling modes and the modules behind."""
    transformer, pooling, *tail = model
    modes = pooling.pooling_mode if not isinstance(pooling.pooling_mode, str) else (pooling.pooling_mode,)
    if not pooling.include_prompt or not packed.POOLING_MODES.issuperset(modes):
        raise network.Unsupported(f"its pooling is {', '.join(modes)}, with or without the prompt")
    for module in tail:
        names = {getattr(module, side, None) for side in ("module_input_name", "module_output_name")}
        if not names <= {None, "sentence_embedding"}:
            raise network.Unsupported(f"its {type(module).__name__} takes or gives more than the pooled vectors")
    return transformer, tuple(modes), tail


def _token_ids(model: SentenceTransformer, longest: int | None) -> TokenIds:
    tokenizer = model.tokenizer
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise network.Unsupported("its tokenizer isn't a fast one")
    probes = [*SHORT, long_text(longest) if longest is None else cut_text(longest)]
    tokenise = getattr(model, "preprocess", None) or model.tokenize
    expected: list[list[int]] = []
    for part in (probes[:-1], probes[-1:]):  # the short ones aren't padded to thousands of tokens
        own = tokenise(part)
        masks = own["attention_mask"].bool()
        expected += [ids[mask].tolist() for ids, mask in zip(own["input_ids"], masks, strict=True)]
        types = own.get("token_type_ids")
        if types is not None and bool(types.any()):
            raise network.Unsupported("its tokens have types")
    try:
        tokens = TokenIds(tokenizer, longest)
    except ValueError as exc:
        raise network.Unsupported(str(exc)) from exc
    if not all(expected) or not repeats_tokenizer(tokens, expected, probes):
        raise network.Unsupported("its tokenizer treats texts in a way of its own")
    return tokens


# ---------------------------------------------------------------- sizes


def longest_input(model: SentenceTransformer) -> int | None:
    """Return the most tokens that a loaded model reads; None for no limit."""
    longest = model.max_seq_length
    return longest if isinstance(longest, int) and longest < _NO_LIMIT else None


def truncated(lengths: NDArray[np.int64], longest: int | None) -> NDArray[np.int64]:
    return lengths if longest is None else np.minimum(lengths, longest)


def call_tokens(model: SentenceTransformer, longest: int | None) -> int:
    """Return how many tokens a call should hold on the model's device."""
    if model.device.type != "cuda":
        return CPU_CALL_TOKENS
    import torch

    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    hidden = getattr(config, "hidden_size", None) or 1024
    free_bytes, _ = torch.cuda.mem_get_info(model.device)
    return tokens_that_fit(
        free_bytes,
        hidden=hidden,
        intermediate=getattr(config, "intermediate_size", None) or 4 * hidden,
        heads=getattr(config, "num_attention_heads", None) or 16,
        longest=longest or 512,
    )
