"""Two models on texts of one's own: keep the index, adapt the queries, or embed everything again?

    a source of texts ── the distinct ones with the smallest hashes ── DrawnTexts ─┐
    OLD, NEW ── LiveModel, each encodes the same texts and queries ────────────────┴─ compare_versions ──> ModelsReport

A text's hash is keyed by the seed, so the texts that are drawn are a uniform sample of the distinct ones, whatever the
order of the rows and however often a text is repeated. A text that is there twice would be its own nearest neighbour.
Cost: memory of twice the texts that are kept; drift/versions.py has the cost of the comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from benchkit.drift.versions import FEWEST_TEXTS, VersionReport, compare_versions
from benchkit.errors import ModelError, SourceError, UsageError
from benchkit.monitor.baseline import USUAL
from benchkit.monitor.live_model import LiveModel
from benchkit.types.drift import ColumnNames, Source
from benchkit.types.model import Similarity

# Adapters of 384 dimensions and recalls (standard error below 0.01) gain little from more.
MAX_TEXTS = 5_000


@dataclass(frozen=True, slots=True)
class DrawnTexts:
    """Distinct texts of a source.

    Attributes:
        source: Where they are from.
        texts: In the order of their hashes.
        rows: Rows of the source that have a text.
        empty: Rows of the source without one.
        is_sample: Whether there were more distinct texts.
    """

    source: str
    texts: tuple[str, ...]
    rows: int
    empty: int
    is_sample: bool


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One of the two models, as it was asked for and as it is."""

    name: str
    fingerprint: str
    dimension: int


@dataclass(frozen=True, slots=True)
class ModelsReport:
    """What two models are to each other.

    Attributes:
        similarity: How vectors were compared: as both models ask for, "cosine" where they don't agree.
        seed: Of the texts, the halves and the queries.
        left_out_queries: Queries that are texts as well; these would find themselves.
        figures: The comparison; its `reason` is a sentence.
    """

    old: ComparedModel
    new: ComparedModel
    texts: DrawnTexts
    queries: DrawnTexts | None
    left_out_queries: int
    similarity: Similarity
    seed: int
    figures: VersionReport


def read_texts(source: Source, *, most: int = MAX_TEXTS, seed: int = 0) -> DrawnTexts:
    """Return the distinct texts of a source, or a uniform sample of them where there are more than `most`.

    Raises:
        SourceError: the source can't be read, has no column of texts, or no text in it.
        ValueError: `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"at least one text is drawn, got most={most}")
    kept: dict[bytes, str] = {}
    key = str(seed).encode()
    rows = empty = 0
    is_sample = False
    for batch in source.read():
        if not len(batch):
            continue
        if batch.texts is None:
            raise SourceError(f"{source.name}: has no texts; name their column, or give a file of one text a line")
        found = [text for text in batch.texts if text and text.strip()]
        rows, empty = rows + len(found), empty + len(batch) - len(found)
        kept.update((_hash(text, key), text) for text in found)
        # Not at every batch: a cut sorts all that is kept.
        if len(kept) > 2 * most:
            kept, is_sample = _smallest(kept, most), True
    if not kept:
        raise SourceError(f"{source.name}: no text in it")
    is_sample = is_sample or len(kept) > most
    return DrawnTexts(source.name, tuple(_smallest(kept, most).values()), rows, empty, is_sample)


def _hash(text: str, key: bytes) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()


def _smallest(kept: dict[bytes, str], most: int) -> dict[bytes, str]:
    return {name: kept[name] for name in sorted(kept)[:most]}


def compare_models(
    old: LiveModel, new: LiveModel, texts: DrawnTexts, *, queries: DrawnTexts | None = None, seed: int = 0
) -> ModelsReport:
    """Encode texts with both models and compare what comes out.

    Args:
        texts: The index; at least 60. Encoded as documents where there are queries, else without a role.
        queries: What searches; without, each text searches among the others.
        seed: Of the halves that adapters are fitted and measured on.

    Raises:
        UsageError: there are too few texts, or all queries are among the texts.
        ModelError: a model failed, or gave a vector that isn't finite.
    """
    if len(texts.texts) < FEWEST_TEXTS:
        raise UsageError(
            f"{texts.source}: {len(texts.texts)} distinct texts; {FEWEST_TEXTS} are needed to compare two models, and "
            "a few times as many as the models have dimensions to judge an adapter"
        )
    asked = _asked(texts, queries)
    similarity: Similarity = old.similarity if old.similarity == new.similarity else "cosine"
    role = None if asked is None else "document"
    # Texts first: an int8 variant takes its scale from what it encodes first.
    vectors = [model.encode(texts.texts, [role] * len(texts.texts)) for model in (old, new)]
    searching = [None if asked is None else model.encode(asked, ["query"] * len(asked)) for model in (old, new)]
    try:
        figures = compare_versions(
            *vectors, old_queries=searching[0], new_queries=searching[1], similarity=similarity, seed=seed
        )
    except ValueError as exc:
        raise ModelError(f"{old.spec} and {new.spec} can't be compared: {exc}") from exc
    return ModelsReport(
        old=ComparedModel(old.spec, old.fingerprint, figures.old_dimension),
        new=ComparedModel(new.spec, new.fingerprint, figures.new_dimension),
        texts=texts,
        queries=queries,
        left_out_queries=0 if queries is None or asked is None else len(queries.texts) - len(asked),
        similarity=similarity,
        seed=seed,
        figures=figures,
    )


def _asked(texts: DrawnTexts, queries: DrawnTexts | None) -> Sequence[str] | None:
    if queries is None:
        return None
    known = set(texts.texts)
    asked = [text for text in queries.texts if text not in known]
    if not asked:
        raise UsageError(f"{queries.source}: every query is one of the texts of {texts.source}, and would find itself")
    return asked


@dataclass(frozen=True, slots=True)
class ModelsRequest:
    """Two models to compare, as they were asked for.

    Attributes:
        texts, queries: A file, directory, glob or URL of texts; see sources.open.
        most: Distinct texts that are encoded of each, at most.
    """

    old: str
    new: str
    texts: str
    queries: str | None = None
    columns: ColumnNames = USUAL
    most: int = MAX_TEXTS
    device: str = "auto"
    offline: bool | None = None
    seed: int = 0


def run(request: ModelsRequest) -> ModelsReport:
    """Read the texts, load both models and compare them.

    Raises:
        UsageError: see `compare_models`; a source that can't be read, or a model that can't be had.
    """
    from benchkit.sources.open import open_source

    def drawn(spec: str) -> DrawnTexts:
        return read_texts(open_source(spec, columns=request.columns), most=request.most, seed=request.seed)

    # Before the models: a wrong path is told at once.
    texts = drawn(request.texts)
    queries = None if request.queries is None else drawn(request.queries)
    old, new = (
        LiveModel.open(spec, device=request.device, offline=request.offline) for spec in (request.old, request.new)
    )
    return compare_models(old, new, texts, queries=queries, seed=request.seed)
