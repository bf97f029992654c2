"""Scores are MTEB's, items give the same score again, and every model sees the same samples."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from fakes import HashingEncoder, MtebTwin
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from own_data import jsonl, tsv, write_all

from benchkit.errors import CellFailed, SuiteError
from benchkit.measure.item_values import item_values
from benchkit.measure.paired import check_paired
from benchkit.measure.weighted import weighted_scores
from benchkit.models.lexical import open_bm25, open_tfidf
from benchkit.tasks import scoring
from benchkit.tasks.custom import METRICS
from benchkit.tasks.mteb_encoder import _largest
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.parts import iter_parts
from benchkit.tasks.scoring import answer_items, score_task
from benchkit.types.model import ModelSpec, OpenContext, Variant
from benchkit.types.task import TASK_TYPES, TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
FLOAT = Variant()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("own"))


def opened(data: dict[str, Path], kind: str, cache: Path, **options: object) -> OpenedTask:
    spec = TaskSpec(name=f"own-{kind}", type=kind, data=data[kind], **options)  # type: ignore[arg-type]
    return open_task(spec, cache_dir=cache, offline=True)


def plain_mteb(task: OpenedTask, encoder: HashingEncoder) -> float:
    """Score with `mteb.evaluate` on a new object of the task's own class, without our recording subclass."""
    import mteb

    own_class = task.task_class.__mro__[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = mteb.evaluate(MtebTwin(encoder), own_class(), cache=None, co2_tracker=False, show_progress_bar=False)
    return float(result.task_results[0].get_score())


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_score_is_that_of_plain_mteb(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, kind, tmp_path)
    score = score_task(task, HashingEncoder(), FLOAT)
    assert score.main_score == pytest.approx(plain_mteb(task, HashingEncoder()), abs=1e-6)


def without_third(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.arange(len(vectors))[:, None] % 3 == 0, np.float32(0), vectors)


@pytest.mark.parametrize("kind", ["STS", "Retrieval"])
@pytest.mark.parametrize("variant", [FLOAT, Variant(precision="binary", truncate_dim=16)])
def test_texts_without_a_direction_are_told(kind: str, variant: Variant, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, kind, tmp_path)
    score = score_task(task, HashingEncoder(spoil=without_third), variant)
    (said,) = score.warnings
    n_zero = int(said.split()[0])
    assert said.startswith(f"{n_zero} of {score.n_texts} texts have a vector of zeros")
    # Every third of each call, of which there are two: texts and texts, or queries and documents.
    assert score.n_texts / 3 <= n_zero <= score.n_texts / 3 + 2
    assert score_task(task, HashingEncoder(), variant).warnings == ()


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_items_give_the_score_again(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    score = score_task(opened(data, kind, tmp_path), HashingEncoder(), FLOAT)
    recomputed = [weighted_scores(items, np.ones((1, items.n_items)))[0] for items in score.items]
    # MTEB rounds retrieval metrics to five digits.
    assert np.mean(recomputed) == pytest.approx(score.main_score, abs=1e-5)


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_a_score_comes_with_the_answers_to_its_items(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, kind, tmp_path)
    score = score_task(task, HashingEncoder(), FLOAT)
    (items,) = score.items
    if item_values(items) is None:
        assert score.answers == {}, "no page asks for single items of this type"
        return
    # The twin evaluates once more and is asked for its answers afterwards.
    wanted = {"test/default": items.items.tolist()}
    assert score.answers == answer_items(task, HashingEncoder(), FLOAT, wanted)
    assert len(score.answers) == items.n_items


def test_of_a_large_task_every_few_items_are_told(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MOST_ANSWERED", 20)
    found = score_task(opened(data, "STS", tmp_path), HashingEncoder(), FLOAT)
    assert found.items[0].n_items == 60
    assert [item for _, item in found.answers] == [str(row) for row in range(0, 60, 3)]


def test_answers_that_cannot_be_told_leave_the_score_as_it_is(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = opened(data, "STS", tmp_path)
    before = score_task(task, HashingEncoder(), FLOAT)

    def odd(*_: object, **__: object) -> None:
        raise KeyError("sentence1")

    monkeypatch.setattr(scoring, "answers", odd)
    after = score_task(task, HashingEncoder(), FLOAT)
    assert after.main_score == before.main_score
    assert after.answers == {}


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_another_model_is_scored_on_the_same_items(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, kind, tmp_path)
    first = score_task(task, HashingEncoder(), FLOAT)
    second = score_task(task, HashingEncoder(seed=3), FLOAT)
    check_paired(first.items, second.items)
    if kind == "Clustering":
        np.testing.assert_array_equal(first.items[0].columns["draws"], second.items[0].columns["draws"])


@pytest.mark.parametrize("kind", ["Classification", "Clustering", "MultilabelClassification"])
def test_the_same_model_gets_the_same_score_whoever_came_before(
    kind: str, data: dict[str, Path], tmp_path: Path
) -> None:
    task = opened(data, kind, tmp_path)
    alone = score_task(task, HashingEncoder(), FLOAT).main_score
    score_task(task, HashingEncoder(seed=9), FLOAT)
    assert score_task(task, HashingEncoder(), FLOAT).main_score == alone


@pytest.mark.parametrize("kind", ["STS", "Retrieval", "Clustering", "Classification"])
def test_vectors_that_are_all_alike_fail_the_cell_or_score_as_mteb_does(
    kind: str, data: dict[str, Path], tmp_path: Path
) -> None:
    constant = HashingEncoder(spoil=lambda vectors: np.ones_like(vectors))
    task = opened(data, kind, tmp_path)
    if kind == "STS":
        with pytest.raises(CellFailed, match="not a finite number"):
            score_task(task, constant, FLOAT)
    else:
        assert np.isfinite(score_task(task, constant, FLOAT).main_score)


def context(tmp_path: Path) -> OpenContext:
    return OpenContext(device="cpu", offline=True, cache_dir=tmp_path)


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_tfidf_scores_every_task_type(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    model = open_tfidf(ModelSpec(label="tfidf", name="tfidf"), context(tmp_path)).load()
    score = score_task(opened(data, kind, tmp_path), model, FLOAT)
    assert -1.0 <= score.main_score <= 1.0
    assert score.items


def test_lexical_search_is_the_dense_search_of_the_same_vectors(data: dict[str, Path], tmp_path: Path) -> None:
    """Twin: tf-idf through the sparse search, and as dense vectors through MTEB's own search."""
    import mteb

    task = opened(data, "Retrieval", tmp_path)
    model = open_tfidf(ModelSpec(label="tfidf", name="tfidf"), context(tmp_path)).load()
    sparse = score_task(task, model, FLOAT).main_score

    class Dense(MtebTwin):
        def encode(self, inputs, *, prompt_type=None, **_):  # type: ignore[no-untyped-def]
            texts = [text for batch in inputs for text in batch["text"]]
            return model.encode_sparse(texts, role=prompt_type.value).toarray()  # type: ignore[attr-defined]

    fresh = task.task_class.__mro__[2]()
    dense = mteb.evaluate(Dense(HashingEncoder()), fresh, cache=None, co2_tracker=False, show_progress_bar=False)
    assert sparse == pytest.approx(dense.task_results[0].get_score(), abs=1e-5)


def test_bm25_refuses_what_is_no_ranking_of_documents(data: dict[str, Path], tmp_path: Path) -> None:
    model = open_bm25(ModelSpec(label="bm25", name="bm25"), context(tmp_path)).load()
    assert score_task(opened(data, "Retrieval", tmp_path), model, FLOAT).main_score > 0.3
    with pytest.raises(CellFailed, match="bm25 does Reranking, Retrieval only, not STS"):
        score_task(opened(data, "STS", tmp_path), model, FLOAT)


@pytest.mark.parametrize("kind", ["Retrieval", "STS", "Classification"])
def test_full_dimension_float32_variant_changes_nothing(kind: str, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, kind, tmp_path)
    full = score_task(task, HashingEncoder(), FLOAT).main_score
    assert score_task(task, HashingEncoder(), Variant(truncate_dim=64)).main_score == pytest.approx(full, abs=1e-6)


def test_truncation_scores_as_a_model_that_gives_short_vectors(data: dict[str, Path], tmp_path: Path) -> None:
    def cut(vectors: np.ndarray) -> np.ndarray:
        return vectors[:, :16] / np.linalg.norm(vectors[:, :16], axis=1, keepdims=True)

    task = opened(data, "Retrieval", tmp_path)
    short = score_task(task, HashingEncoder(), Variant(truncate_dim=16)).main_score
    assert short == pytest.approx(plain_mteb(task, HashingEncoder(dimension=64, spoil=cut)), abs=1e-6)


@pytest.mark.parametrize("precision", ["float16", "int8", "binary"])
def test_precision_costs_little_and_orders_as_expected(precision: str, data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, "Retrieval", tmp_path)
    full = score_task(task, HashingEncoder(dimension=256), FLOAT).main_score
    stored = score_task(task, HashingEncoder(dimension=256), Variant(precision=precision)).main_score  # type: ignore[arg-type]
    assert abs(stored - full) < {"float16": 0.01, "int8": 0.05, "binary": 0.35}[precision]


def test_limited_task_says_what_was_cut_and_keeps_the_judged_documents(data: dict[str, Path], tmp_path: Path) -> None:
    task = opened(data, "Retrieval", tmp_path, limits=TaskLimits(documents=12, items=5))
    score = score_task(task, HashingEncoder(), FLOAT)
    assert task.limited == "5 of 20 queries, 12 of 40 documents"
    assert score.n_items == 5
    (part,) = [part for *_, part in iter_parts(task.fresh())]
    kept = set(part["corpus"]["id"])
    assert all(document in kept for judged in part["relevant_docs"].values() for document in judged)


def test_data_digest_follows_the_rows_and_not_the_path(data: dict[str, Path], tmp_path: Path) -> None:
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(data["STS"].read_bytes())
    changed = tmp_path / "changed.jsonl"
    changed.write_text(data["STS"].read_text().replace("4.0", "3.0", 1))
    digests = {}
    for name, path in (("first", data["STS"]), ("moved", moved), ("changed", changed)):
        task = open_task(TaskSpec(name="s", type="STS", data=path), cache_dir=tmp_path, offline=True)
        task.load()
        digests[name] = task.data_digest
    assert digests["first"] == digests["moved"] != digests["changed"]


def test_worst_queries_show_question_expected_and_found(data: dict[str, Path], tmp_path: Path) -> None:
    worst = score_task(opened(data, "Retrieval", tmp_path), HashingEncoder(dimension=8), FLOAT).worst
    assert 0 < len(worst) <= 10
    assert [item.value for item in worst] == sorted(item.value for item in worst)
    assert all(item.text and item.expected and item.found for item in worst)


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_every_metric_that_is_offered_is_one_that_mteb_computes(
    kind: str, data: dict[str, Path], tmp_path: Path
) -> None:
    import mteb

    task = opened(data, kind, tmp_path)
    fresh = task.task_class.__mro__[2]()
    result = mteb.evaluate(MtebTwin(HashingEncoder()), fresh, cache=None, co2_tracker=False, show_progress_bar=False)
    (scores,) = result.task_results[0].scores["test"]
    assert set(METRICS[kind]) <= set(scores)


@pytest.mark.parametrize(
    ("kind", "metric"), [("Retrieval", "recall_at_5"), ("Retrieval", "mrr_at_10"), ("STS", "euclidean_pearson")]
)
def test_another_main_metric_has_its_own_items(kind: str, metric: str, data: dict[str, Path], tmp_path: Path) -> None:
    score = score_task(opened(data, kind, tmp_path, metric=metric), HashingEncoder(), FLOAT)
    (items,) = score.items
    assert weighted_scores(items, np.ones((1, items.n_items)))[0] == pytest.approx(score.main_score, abs=1e-5)


def test_a_metric_that_mteb_lacks_is_refused_before_any_work(data: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no 'cosine_speerman' for STS \(did you mean 'cosine_spearman'\?\)"):
        opened(data, "STS", tmp_path, metric="cosine_speerman")


def test_a_split_that_the_data_lack_fails_the_cell_with_the_splits_that_are_there(tmp_path: Path) -> None:
    write_all(tmp_path)["STS"].rename(tmp_path / "test.jsonl")
    folder = tmp_path / "mirror"
    folder.mkdir()
    (tmp_path / "test.jsonl").rename(folder / "test.jsonl")
    spec = TaskSpec(name="STSBenchmark", data=folder, splits=("holdout",))
    with pytest.raises(CellFailed, match="the data have no split holdout; there are: test"):
        open_task(spec, cache_dir=tmp_path, offline=True).load()


def test_perfect_items_are_not_among_the_worst(data: dict[str, Path], tmp_path: Path) -> None:
    worst = score_task(opened(data, "Retrieval", tmp_path), HashingEncoder(dimension=512), FLOAT).worst
    assert all(item.value < 1.0 for item in worst)


@pytest.mark.parametrize("open_model", [open_tfidf, open_bm25])
@pytest.mark.parametrize("metric", ["recall_at_1000", "ndcg_at_10"])
def test_the_order_of_a_corpus_decides_no_lexical_score(open_model: object, metric: str, tmp_path: Path) -> None:
    """1,200 documents score 0, of which 1,000 are found: by trec_eval's rule those with the larger ids."""
    rows = [{"_id": f"d{n:04}", "text": f"word{n} common"} for n in range(1200)]
    scores = []
    for turn in (1, -1):
        folder = tmp_path / f"turn {turn}"
        jsonl(folder / "corpus.jsonl", rows[::turn])
        jsonl(folder / "queries.jsonl", [{"_id": f"q{n}", "text": "nothing known"} for n in range(4)])
        judged = [(f"q{n}", f"d{place:04}", 1) for n, place in enumerate((1199, 1198, 200, 199))]
        tsv(folder / "qrels" / "test.tsv", ("query-id", "corpus-id", "score"), judged)
        spec = TaskSpec(name="own", type="Retrieval", data=folder, metric=metric)
        model = open_model(ModelSpec(label="m", name="m"), context(tmp_path)).load()  # type: ignore[operator]
        scores.append(score_task(open_task(spec, cache_dir=tmp_path / "cache", offline=True), model, FLOAT))
    # By hand: d0200 is the last of 1,000 and d0199 isn't found; in the first ten, d1199 and d1198 are first and second.
    expected = 0.75 if metric == "recall_at_1000" else (1 + 1 / np.log2(3)) / 4
    assert [score.main_score for score in scores] == pytest.approx([expected, expected], abs=1e-5)
    (said,) = scores[0].warnings
    assert said.startswith("4 of 4 queries share no word with a document that they are ranked against; all of these")


def test_texts_without_a_known_word_are_told_of_a_lexical_model(tmp_path: Path) -> None:
    rows = [{"text": f"{word} {n}x", "label": word} for word in ("cold", "warm") for n in range(8)]
    jsonl(tmp_path / "own" / "train.jsonl", rows)
    jsonl(tmp_path / "own" / "test.jsonl", [*rows, {"text": "unheard", "label": "cold"}])
    task = opened({"Classification": tmp_path / "own"}, "Classification", tmp_path)
    model = open_tfidf(ModelSpec(label="tfidf", name="tfidf"), context(tmp_path)).load()
    assert [said[:39] for said in score_task(task, model, FLOAT).warnings] == [
        "1 of 33 texts have a vector of zeros (n"
    ]


@given(
    scores=st.lists(st.integers(0, 3), min_size=1, max_size=12).map(lambda values: np.array(values, dtype=np.float32)),
    most=st.integers(1, 12),
    data=st.data(),
)
def test_the_largest_are_those_of_a_sort_by_score_and_rank(
    scores: NDArray[np.float32], most: int, data: st.DataObject
) -> None:
    ranks = np.array(data.draw(st.permutations(range(len(scores)))), dtype=np.int64)
    slow = sorted(range(len(scores)), key=lambda place: (scores[place], ranks[place]), reverse=True)[:most]
    assert _largest(scores, ranks, most).tolist() == slow
