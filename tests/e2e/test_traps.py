"""The traps of MTEB 2.26, each in two halves: what plain MTEB says, and what benchkit says in the same situation.

    T1 two local models    T2 truncation    T3 vectors of another model    T4 changed data     T5 samples
    T6, T12 times          T7 loads         T8 options                     T9 int8 and base
    T10 NaN                T11 crashes      and: every text is encoded once

The halves `test_plain_mteb_...` show a wrong number (or a loss) through MTEB's public API. Where a later MTEB has
mended it, that half is skipped and says so. The other halves go through `benchkit.api` or the runner, with both caches
on disk, and hold the number against `mteb.evaluate(cache=None)` on a fresh task.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fakes
import hub_server
import numpy as np
import own_data
import pytest
from fakes import Handle, HashingEncoder, MtebTwin
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchkit.api.compare import LibraryComparison, compare
from benchkit.embeddings.store import VectorStore
from benchkit.plugins import open_model
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner
from benchkit.tasks.custom import custom_task_class
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.model import ModelHandle, ModelSpec, OpenContext, Role, Variant
from benchkit.types.result import CellResult
from benchkit.types.task import TASK_TYPES, TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SHOWN_ON = "2.26.24"
EXACT = 1e-6
BATCH = 32  # texts per call of the model


def still_wrong(trap: str, wrong: bool) -> None:
    """Skip the rest where a later MTEB no longer goes wrong; on the version that the trap was found in, insist."""
    if not wrong and version("mteb") != SHOWN_ON:
        pytest.skip(f"{trap}: mteb {version('mteb')} has mended this; nothing is left to show on plain MTEB")
    assert wrong, f"{trap} was found on mteb {SHOWN_ON}, and this test no longer shows it"


# ---------------------------------------------------------------- both sides


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return own_data.write_all(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of tiny sentence-transformers models; all but "other" have the same weights."""
    root = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hub_server.build_bert(root / "base", seed=1)
        hub_server.build_bert(root / "other", seed=2)
        hub_server.build_bert(root / "cls", seed=1, pooling="cls")
        hub_server.build_bert(root / "prompted", seed=1, prompts={"STS": "the fox is of the "})
        unnormalized(root / "base", root / "dot")
    shutil.copytree(root / "base", root / "copy")
    return {path.name: path for path in root.iterdir()}


def unnormalized(base: Path, to: Path) -> None:
    """Write the same model with vectors of any length, compared by their dot product."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    modules = [Transformer(str(base)), Pooling(hub_server.HIDDEN, "mean")]
    SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="dot").save_pretrained(
        str(to), create_model_card=False
    )


def loaded(directory: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(directory), device="cpu", **options)


def own_spec(kind: str, path: Path, **options: Any) -> TaskSpec:
    return TaskSpec(name=f"own-{kind}", type=kind, data=path, **options)


def mteb_task(kind: str, path: Path, revision: str = "1") -> Any:
    """Return a new task object: a subclass of MTEB's abstract task with the rows in it, nothing of ours around it."""
    return custom_task_class(own_spec(kind, path), revision=revision)[0]()


def evaluate(model: Any, tasks: Any, **options: Any) -> Any:
    import mteb

    options.setdefault("cache", None)
    # One thread: on a busy machine scikit-learn's k-means waits for its threads twenty times as long as it computes.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        return mteb.evaluate(model, tasks, co2_tracker=False, show_progress_bar=False, **options)


def plain(model: Any, task: Any, **options: Any) -> float:
    (result,) = evaluate(model, task, **options).task_results
    return float(result.get_score())


def result_cache(folder: Path) -> Any:
    from mteb import ResultCache

    return ResultCache(folder / "mteb")


def opened(kind: str, path: Path, cache: Path, **options: Any) -> OpenedTask:
    return open_task(own_spec(kind, path, **options), cache_dir=cache, offline=True)


def planned(encoder: HashingEncoder, label: str = "", **variant: Any) -> PlannedModel:
    return on(Handle(encoder), label or encoder.name, **variant)


def on(handle: ModelHandle, label: str, **variant: Any) -> PlannedModel:
    return PlannedModel(ModelSpec(label=label, name=label, variant=Variant(**variant)), handle)


def run(
    models: Sequence[PlannedModel], tasks: Sequence[OpenedTask], cache: Path | None, *, keep_cells: bool = True
) -> list[CellResult]:
    """Run every cell with the caches in a folder; without one, nothing is kept."""
    if cache is None:
        return list(Runner(None, None, Silent(), "cpu").run(models, tasks))
    with VectorStore(cache) as vectors:
        cells = CellCache(cache) if keep_cells else None
        return list(Runner(vectors, cells, Silent(), "cpu").run(models, tasks))


def cell_of(cells: Sequence[CellResult], model: str, task: str) -> CellResult:
    (cell,) = [cell for cell in cells if (cell.model, cell.task) == (model, task)]
    assert cell.status == "ok", cell.reason
    return cell


def score_of(cells: Sequence[CellResult], model: str, task: str) -> float:
    score = cell_of(cells, model, task).main_score
    assert score is not None
    return score


def assert_same_items(ours: CellResult, theirs: CellResult) -> None:
    """What the two scores are made of is the same to the last bit."""
    assert ours.main_score == theirs.main_score
    for mine, other in zip(ours.items, theirs.items, strict=True):
        assert mine.columns.keys() == other.columns.keys()
        for name, column in other.columns.items():
            np.testing.assert_array_equal(mine.columns[name], column)


def suite(folder: Path, tasks: Mapping[str, Path], models: Sequence[Mapping[str, Any]] = ()) -> str:
    content = {
        "name": "traps",
        "n_resamples": 1000,
        "tasks": [{"name": f"own-{kind}", "type": kind, "data": str(path)} for kind, path in tasks.items()],
        "models": list(models),
    }
    path = folder / "traps.yaml"
    path.write_text(json.dumps(content))
    return str(path)


def compared(models: Sequence[str | Path], suite_path: str) -> LibraryComparison:
    return compare([str(model) for model in models], suite_path, device="cpu", offline=True, track=False)


def score_in(comparison: LibraryComparison, model: str | Path, kind: str = "STS") -> float:
    cell = comparison.cell(str(model), f"own-{kind}").result
    assert cell.main_score is not None, cell.reason
    return cell.main_score


def fingerprints(comparison: LibraryComparison) -> list[str]:
    return [model.fingerprint for model in comparison.models]


# ---------------------------------------------------------------- T1 two local models


def test_plain_mteb_gives_a_second_directory_the_score_of_the_first(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    task, cache = mteb_task("STS", data["STS"]), result_cache(tmp_path)
    first = plain(loaded(models["base"]), task, cache=cache)
    second = plain(loaded(models["other"]), task, cache=cache)
    assert plain(loaded(models["other"]), task) != pytest.approx(first, abs=0.01)
    still_wrong("T1", second == pytest.approx(first, abs=1e-5))


def test_each_directory_has_its_own_score_now_and_from_the_cache(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    path = suite(tmp_path, {"STS": data["STS"]})
    names = [models[name] for name in ("base", "other", "cls", "prompted")]
    first, again = compared(names, path), compared(names, path)
    assert len(set(fingerprints(first))) == 4
    for name in names:
        expected = plain(loaded(name), mteb_task("STS", data["STS"]))
        assert score_in(first, name) == pytest.approx(expected, abs=EXACT)
        assert score_in(again, name) == score_in(first, name)


def test_a_copy_of_a_directory_is_the_same_model(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    comparison = compared([models["base"], models["copy"]], suite(tmp_path, {"STS": data["STS"]}))
    assert len(set(fingerprints(comparison))) == 1
    assert score_in(comparison, models["copy"]) == score_in(comparison, models["base"])


def test_other_weights_at_the_same_path_are_another_model(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(models["base"], tmp_path / "model"))
    path = suite(tmp_path, {"STS": data["STS"]})
    before = score_in(compared([directory], path), directory)
    shutil.copyfile(models["other"] / "model.safetensors", directory / "model.safetensors")
    after = score_in(compared([directory], path), directory)
    assert after == pytest.approx(plain(loaded(directory), mteb_task("STS", data["STS"])), abs=EXACT)
    assert after != pytest.approx(before, abs=0.01)


def test_weights_replaced_without_a_trace_are_another_model(models: dict[str, Path], tmp_path: Path) -> None:
    """As `tar` or `rsync -t` leave them: the size and the time of the file are those of the old one."""
    directory = Path(shutil.copytree(models["base"], tmp_path / "model"))
    weights = directory / "model.safetensors"
    before, state = identity_of(directory), weights.stat()
    shutil.copyfile(models["other"] / "model.safetensors", weights)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert identity_of(directory) != before


def identity_of(directory: Path, **options: Any) -> str:
    context = OpenContext(device="cpu", offline=True, cache_dir=directory)
    return open_model(ModelSpec(label="it", name=str(directory), **options), context).meta.fingerprint


# ---------------------------------------------------------------- T2 truncation


def test_plain_mteb_gives_a_truncated_model_the_score_of_the_whole_one(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    task, cache = mteb_task("STS", data["STS"]), result_cache(tmp_path)
    whole = plain(loaded(models["base"]), task, cache=cache)
    cut = plain(loaded(models["base"], truncate_dim=8), task, cache=cache)
    assert plain(loaded(models["base"], truncate_dim=8), task) != pytest.approx(whole, abs=0.01)
    still_wrong("T2", cut == pytest.approx(whole, abs=1e-5))


def test_a_truncated_model_has_its_own_score(models: dict[str, Path], data: dict[str, Path], tmp_path: Path) -> None:
    names = [str(models["base"]), f"{models['base']}@dim=8"]
    comparison = compared(names, suite(tmp_path, {"STS": data["STS"]}))
    for name, options in zip(names, ({}, {"truncate_dim": 8}), strict=True):
        expected = plain(loaded(models["base"], **options), mteb_task("STS", data["STS"]))
        assert score_in(comparison, name) == pytest.approx(expected, abs=EXACT)
    assert [model.dimension for model in comparison.models] == [hub_server.HIDDEN, 8]
    assert [model.bytes_per_vector for model in comparison.models] == [4 * hub_server.HIDDEN, 32]


# ---------------------------------------------------------------- T3 vectors of another model or prompt


PROMPTED = HashingEncoder(name="prompted", prompts={"query": "zzz boiler yyy: "})


@pytest.mark.parametrize(
    "second", [HashingEncoder(name="second", seed=3), PROMPTED], ids=["another model", "another prompt"]
)
def test_plain_mteb_gives_the_vectors_of_the_first_model_to_the_second(
    second: HashingEncoder, data: dict[str, Path], tmp_path: Path
) -> None:
    from mteb.models import CachedEmbeddingWrapper

    def score(encoder: HashingEncoder, folder: str) -> float:
        model = CachedEmbeddingWrapper(MtebTwin(encoder), tmp_path / folder)
        return plain(model, mteb_task("Retrieval", data["Retrieval"]))

    first = score(HashingEncoder(), "shared")
    served = score(second, "shared")
    assert score(second, "its own") != pytest.approx(first, abs=0.01)
    still_wrong("T3", served == first)


def test_plain_mteb_hands_titles_over_twice_when_it_keeps_vectors(data: dict[str, Path], tmp_path: Path) -> None:
    from mteb.models import CachedEmbeddingWrapper

    encoder = HashingEncoder()
    kept = plain(CachedEmbeddingWrapper(MtebTwin(encoder), tmp_path), mteb_task("Retrieval", data["Retrieval"]))
    still_wrong("T3", kept != plain(MtebTwin(HashingEncoder()), mteb_task("Retrieval", data["Retrieval"])))
    still_wrong("T3", any(text.startswith("Heating Heating ") for text in encoder.seen))


def test_models_and_prompts_do_not_share_vectors(data: dict[str, Path], tmp_path: Path) -> None:
    """The third has the fingerprint of the first, as of a plug-in that forgets its prompts: the vectors stay apart."""
    task = opened("Retrieval", data["Retrieval"], tmp_path)
    encoders = {
        "first": HashingEncoder(name="first"),
        "second": HashingEncoder(name="second", seed=3),
        "prompted": HashingEncoder(
            name="prompted", prompts=PROMPTED.prompts, fingerprint=HashingEncoder().meta.fingerprint
        ),
    }
    for _ in range(2):
        for name, encoder in encoders.items():
            (cell,) = run([planned(encoder)], [task], tmp_path, keep_cells=False)
            expected = plain(MtebTwin(encoder), mteb_task("Retrieval", data["Retrieval"]))
            assert cell.main_score == pytest.approx(expected, abs=EXACT), name


@pytest.mark.parametrize(
    ("prompts", "times"),
    [
        ({}, 1),
        ({"query": "text: ", "document": "text: "}, 1),
        ({"query": "find: "}, 2),
        ({"query": "find: ", "document": "text: "}, 2),
    ],
    ids=["none", "the same", "query only", "different"],
)
def test_one_text_as_query_and_document_is_encoded_once_for_each_prompt(
    prompts: dict[str, str], times: int, tmp_path: Path
) -> None:
    folder = own_data.retrieval(tmp_path / "data")
    documents = [text for _, text in own_data.sentences(40)]
    own_data.jsonl(folder / "corpus.jsonl", [{"_id": f"d{i}", "text": text} for i, text in enumerate(documents)])
    own_data.jsonl(folder / "queries.jsonl", [{"_id": f"q{i}", "text": documents[i]} for i in range(20)])
    encoder = HashingEncoder(prompts=prompts)
    (cell,) = run([planned(encoder)], [opened("Retrieval", folder, tmp_path)], tmp_path)
    assert [encoder.seen.count(text) for text in documents] == [times] * 20 + [1] * 20
    expected = plain(MtebTwin(HashingEncoder(prompts=prompts)), mteb_task("Retrieval", folder))
    assert cell.main_score == pytest.approx(expected, abs=EXACT)


# ---------------------------------------------------------------- T4 changed data


def shuffle_scores(path: Path) -> None:
    """Give the pairs each other's gold scores: as many bytes as before, and the file says that it never changed."""
    before = path.stat()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    scores = np.random.default_rng(0).permutation([row["score"] for row in rows]).tolist()
    own_data.jsonl(path, [{**row, "score": score} for row, score in zip(rows, scores, strict=True)])
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_plain_mteb_gives_changed_data_the_score_of_the_old(tmp_path: Path) -> None:
    path, cache, model = own_data.sts(tmp_path / "sts.jsonl"), result_cache(tmp_path), MtebTwin(HashingEncoder())
    before = plain(model, mteb_task("STS", path), cache=cache)
    shuffle_scores(path)
    after = plain(model, mteb_task("STS", path), cache=cache)
    assert plain(model, mteb_task("STS", path)) != pytest.approx(before, abs=0.01)
    still_wrong("T4", after == pytest.approx(before, abs=1e-5))


def test_changed_data_of_ones_own_have_a_new_score_and_a_new_digest(tmp_path: Path) -> None:
    path, model = own_data.sts(tmp_path / "sts.jsonl"), planned(HashingEncoder())
    (before,) = run([model], [opened("STS", path, tmp_path)], tmp_path)
    shuffle_scores(path)
    (after,) = run([model], [opened("STS", path, tmp_path)], tmp_path)
    assert after.main_score == pytest.approx(plain(MtebTwin(HashingEncoder()), mteb_task("STS", path)), abs=EXACT)
    assert after.main_score != pytest.approx(before.main_score, abs=0.01)
    assert after.data_digest != before.data_digest
    assert after.dataset_revision != before.dataset_revision


def test_a_changed_mirror_of_an_mteb_task_has_a_new_score(tmp_path: Path) -> None:
    """`datasets` keeps a copy of what it once read from a path; that copy must not be scored."""
    mirror = tmp_path / "mirror"
    own_data.sts(mirror / "test.jsonl")
    spec = TaskSpec(name="STSBenchmark", data=mirror)

    def cell() -> CellResult:
        task = open_task(spec, cache_dir=tmp_path, offline=True)
        return run([planned(HashingEncoder())], [task], tmp_path)[0]

    before = cell()
    shuffle_scores(mirror / "test.jsonl")
    after = cell()
    expected = plain(MtebTwin(HashingEncoder()), mteb_task("STS", mirror / "test.jsonl"))
    assert after.main_score == pytest.approx(expected, abs=EXACT)
    assert after.main_score != pytest.approx(before.main_score, abs=0.01)
    assert after.data_digest != before.data_digest


def test_the_same_files_as_a_task_of_mteb_and_of_ones_own_have_two_scores(tmp_path: Path) -> None:
    """MTEB's task of that name trains on 32 examples of each label, a task of one's own on 8."""
    name, folder = "TweetSentimentExtractionClassification.v2", own_data.labelled(tmp_path / "data", 400)
    specs = [TaskSpec(name=name, data=folder), TaskSpec(name=name, type="Classification", data=folder)]
    weak = planned(HashingEncoder(dimension=4))
    tasks = [open_task(spec, cache_dir=tmp_path, offline=True) for spec in specs]
    cells = [run([weak], [task], tmp_path)[0] for task in tasks]
    alone = [run([weak], [task], None)[0] for task in tasks]
    assert [cell.status for cell in cells] == ["ok", "ok"], cells[0].reason
    assert [cell.main_score for cell in cells] == [cell.main_score for cell in alone]
    assert cells[0].main_score != cells[1].main_score


@pytest.mark.parametrize(
    "options",
    [
        {"limits": TaskLimits(items=20)},
        {"limits": TaskLimits(items=20, seed=1)},
        {"columns": {"sentence1": "sentence2", "sentence2": "sentence1", "score": "other"}},
        {"metric": "cosine_pearson"},
    ],
    ids=["limit", "its seed", "columns", "metric"],
)
def test_what_is_scored_is_part_of_the_key_of_a_score(options: dict[str, Any], tmp_path: Path) -> None:
    path = own_data.sts(tmp_path / "sts.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    own_data.jsonl(path, [{**row, "other": 5 - row["score"] + at % 3} for at, row in enumerate(rows)])
    whole, limited = opened("STS", path, tmp_path), opened("STS", path, tmp_path, limits=TaskLimits(items=20))
    run([planned(HashingEncoder())], [whole], tmp_path)
    if options.get("limits", TaskLimits()).seed == 1:
        run([planned(HashingEncoder())], [limited], tmp_path)
    (cell,) = run([planned(HashingEncoder())], [opened("STS", path, tmp_path, **options)], tmp_path)
    (alone,) = run([planned(HashingEncoder())], [opened("STS", path, tmp_path, **options)], None)
    assert cell.main_score == alone.main_score
    assert cell.main_score not in (score.main_score for score in run([planned(HashingEncoder())], [whole], None))


# ---------------------------------------------------------------- T5 samples


def test_plain_mteb_clusters_a_second_model_on_other_samples(data: dict[str, Path]) -> None:
    model = MtebTwin(HashingEncoder())
    alone = plain(model, mteb_task("Clustering", data["Clustering"]))
    shared = mteb_task("Clustering", data["Clustering"])
    plain(MtebTwin(HashingEncoder(seed=3)), shared)
    still_wrong("T5", plain(model, shared) != alone)


@pytest.mark.parametrize("embedded", [None, 0.5], ids=["all texts", "half of the texts"])
def test_clustering_samples_do_not_depend_on_who_came_before(
    embedded: float | None, data: dict[str, Path], tmp_path: Path
) -> None:
    def cells(*encoders: HashingEncoder) -> dict[str, CellResult]:
        task = opened("Clustering", data["Clustering"], tmp_path)
        task.task_class.max_fraction_of_documents_to_embed = embedded  # type: ignore[attr-defined]
        return {cell.model: cell for cell in run([planned(encoder) for encoder in encoders], [task], None)}

    first, second = HashingEncoder(name="first"), HashingEncoder(name="second", seed=3)
    forth, back, alone = cells(first, second), cells(second, first), cells(second)
    assert forth["first"].main_score == back["first"].main_score
    assert forth["second"].main_score == back["second"].main_score == alone["second"].main_score
    draws = [cell.items[0].columns["draws"] for cell in (*forth.values(), *back.values())]
    assert draws[0].sum() > 0
    assert all(np.array_equal(draws[0], other) for other in draws[1:])


@pytest.mark.parametrize("kind", ["Classification", "MultilabelClassification"])
def test_every_model_learns_from_the_same_examples(kind: str, tmp_path: Path) -> None:
    write = own_data.labelled if kind == "Classification" else own_data.multilabelled
    folder = write(tmp_path / "data", 700)
    first, second = HashingEncoder(name="first"), HashingEncoder(name="second", seed=3)
    task = opened(kind, folder, tmp_path)
    forth = run([planned(first), planned(second)], [task], None)
    back = run([planned(second), planned(first)], [task], None)
    assert {cell.model: cell.main_score for cell in forth} == {cell.model: cell.main_score for cell in back}
    assert set(first.seen) == set(second.seen)
    train = {json.loads(line)["text"] for line in (folder / "train.jsonl").read_text().splitlines()}
    assert 0 < len(train & set(first.seen)) < len(train), "examples were drawn"


# ---------------------------------------------------------------- T6, T12 times


def test_plain_mteb_drops_the_timer_and_hides_the_encoding_of_documents(data: dict[str, Path]) -> None:
    from mteb.timing import TimingStack

    timer = TimingStack()
    (result,) = evaluate(
        MtebTwin(HashingEncoder()), mteb_task("Retrieval", data["Retrieval"]), timer=timer
    ).task_results
    still_wrong("T6", not timer.phases)
    phases = [phase["name"] for phase in result.evaluation_phases]
    still_wrong("T12", not any("encoding" in name.lower() and "quer" not in name.lower() for name in phases))


@dataclass
class TimedEncoder(HashingEncoder):
    """Knows how long it was busy."""

    busy_s: float = 0.0

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        started = time.perf_counter()
        vectors = super().encode(texts, prompt=prompt, role=role)
        self.busy_s += time.perf_counter() - started
        return vectors


def test_encoding_is_timed_and_counted_apart_from_scoring(data: dict[str, Path], tmp_path: Path) -> None:
    tasks = [opened(kind, data[kind], tmp_path) for kind in ("Retrieval", "STS", "Classification")]
    encoder = TimedEncoder()
    cold = run([planned(encoder)], tasks, tmp_path)
    assert sum(cell.texts_encoded or 0 for cell in cold) == len(encoder.seen)
    encode_s = sum(cell.encode_seconds or 0 for cell in cold)
    assert encoder.busy_s <= encode_s <= encoder.busy_s + 0.05 * len(encoder.seen) / BATCH + 0.1
    for cell in cold:
        assert 0 < (cell.encode_seconds or 0) < (cell.seconds or 0)
        assert 0 < (cell.texts_encoded or 0) <= (cell.texts or 0)
    warm = run([planned(encoder)], tasks, tmp_path, keep_cells=False)
    assert [cell.texts for cell in warm] == [cell.texts for cell in cold]
    assert [(cell.encode_seconds, cell.texts_encoded) for cell in warm] == [(0.0, 0)] * 3
    assert all((cell.seconds or 0) > 0 for cell in warm)


def test_texts_of_a_cell_are_those_that_its_task_hands_over(data: dict[str, Path], tmp_path: Path) -> None:
    """Calibrating int8 reads the corpus once more; that is no text of the task."""
    twin = HashingEncoder()
    plain(MtebTwin(twin), mteb_task("Retrieval", data["Retrieval"]))
    encoder = HashingEncoder()
    variants = [
        planned(encoder),
        planned(encoder, "short", truncate_dim=16),
        planned(encoder, "int8", precision="int8"),
    ]
    cells = run(variants, [opened("Retrieval", data["Retrieval"], tmp_path)], tmp_path)
    assert [cell.texts for cell in cells] == [len(twin.seen)] * 3
    assert [cell.texts_encoded for cell in cells] == [len(set(twin.seen)), 0, 0]


# ---------------------------------------------------------------- T7 loads


def test_plain_mteb_loads_a_model_once_for_each_task(data: dict[str, Path]) -> None:
    from mteb.models import ModelMeta

    loads: list[str] = []

    def loader(name: str, revision: str, **_: Any) -> MtebTwin:
        loads.append(name)
        return MtebTwin(HashingEncoder())

    meta = ModelMeta.create_empty({"name": "fake/model", "revision": "1", "loader": loader})
    evaluate(meta, [mteb_task(kind, data[kind]) for kind in ("STS", "Retrieval", "BitextMining")])
    still_wrong("T7", len(loads) == 3)


@dataclass(frozen=True)
class CountingHandle(Handle):
    loads: list[str] = field(default_factory=list)

    def load(self) -> HashingEncoder:
        self.loads.append(self.encoder.name)
        return self.encoder


def test_a_model_is_loaded_once_for_all_tasks_and_variants(data: dict[str, Path], tmp_path: Path) -> None:
    tasks = [opened(kind, data[kind], tmp_path) for kind in ("STS", "Retrieval", "BitextMining")]
    loads: list[str] = []
    first = CountingHandle(HashingEncoder(name="first"), loads)
    second = CountingHandle(HashingEncoder(name="second", seed=3), loads)
    models = [on(first, "first"), on(second, "second"), on(first, "first@dim=16", truncate_dim=16)]
    cells = run(models, tasks, tmp_path)
    assert sorted(loads) == ["first", "second"]
    assert {(cell.model, cell.task) for cell in cells} == {(m.spec.label, t.name) for m in models for t in tasks}
    run(models, tasks, tmp_path)
    assert sorted(loads) == ["first", "second"], "what is known needs no model"


# ---------------------------------------------------------------- T8 options


def shortened(directory: Path) -> Any:
    model = loaded(directory)
    model.max_seq_length = 6
    return model


# What a user sets, how plain sentence-transformers takes it, and how a suite says it.
OPTIONS: dict[str, tuple[str, Callable[[Path], Any], dict[str, Any], dict[str, Any]]] = {
    "max_seq_length": ("STS", shortened, {}, {"max_seq_length": 6}),
    "prompts": (
        "STS",
        lambda path: loaded(path, prompts={"STS": "the fox is of the "}),
        {},
        {"prompts": {"STS": "the fox is of the "}},
    ),
    "normalize": ("Retrieval", loaded, {"encode_kwargs": {"normalize_embeddings": True}}, {"normalize": True}),
    "truncate_dim": ("STS", loaded, {"encode_kwargs": {"truncate_dim": 8}}, {"dim": 8}),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_plain_mteb_does_not_see_an_option(
    option: str, models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    kind, load, kwargs, _ = OPTIONS[option]
    task, cache = mteb_task(kind, data[kind]), result_cache(tmp_path)
    without = plain(loaded(models["dot"]), task, cache=cache)
    served = plain(load(models["dot"]), task, cache=cache, **kwargs)
    assert plain(load(models["dot"]), task, **kwargs) != pytest.approx(without, abs=0.001)
    still_wrong("T8", served == pytest.approx(without, abs=1e-5))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_changes_vectors_changes_the_score(
    option: str, models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    kind, load, kwargs, written = OPTIONS[option]
    entry = {"name": str(models["dot"]), "label": "changed", **written}
    path = suite(tmp_path, {kind: data[kind]}, [{"name": str(models["dot"]), "label": "as it is"}, entry])
    first = compared(["as it is"], path)  # fills both caches
    both = compared(["as it is", "changed"], path)
    expected = plain(load(models["dot"]), mteb_task(kind, data[kind]), **kwargs)
    assert score_in(both, "changed", kind) == pytest.approx(expected, abs=EXACT)
    assert score_in(both, "as it is", kind) == score_in(first, "as it is", kind)
    assert score_in(both, "changed", kind) != pytest.approx(score_in(first, "as it is", kind), abs=0.001)


def test_the_same_vectors_compared_in_another_way_have_another_score(
    models: dict[str, Path], data: dict[str, Path], tmp_path: Path
) -> None:
    cosine = Path(shutil.copytree(models["dot"], tmp_path / "cosine"))
    settings = cosine / "config_sentence_transformers.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"similarity_fn_name": "cosine"}))
    comparison = compared([models["dot"], cosine], suite(tmp_path, {"Retrieval": data["Retrieval"]}))
    for directory in (models["dot"], cosine):
        expected = plain(loaded(directory), mteb_task("Retrieval", data["Retrieval"]))
        assert score_in(comparison, directory, "Retrieval") == pytest.approx(expected, abs=EXACT)
    assert score_in(comparison, cosine, "Retrieval") != score_in(comparison, models["dot"], "Retrieval")


def test_prompts_that_are_given_are_not_those_that_a_model_brings(tmp_path: Path) -> None:
    """The same texts: a model's own prompt for "own-Retrieval" is ignored, as MTEB does it, and a given one is used."""
    prompts = {"query": "q: ", "document": "d: ", "own-Retrieval": "the fox is of the "}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hub_server.build_bert(tmp_path / "model", prompts=prompts)
    path = suite(
        tmp_path,
        {"Retrieval": own_data.retrieval(tmp_path / "data")},
        [
            {"name": str(tmp_path / "model"), "label": "own"},
            {"name": str(tmp_path / "model"), "label": "given", "prompts": prompts},
        ],
    )
    alone = score_in(compared(["given"], path), "given", "Retrieval")
    shutil.rmtree(os.environ["BENCHKIT_CACHE_DIR"])
    both = compared(["own", "given"], path)
    assert score_in(both, "given", "Retrieval") == alone
    assert len(set(fingerprints(both))) == 2


# ---------------------------------------------------------------- T9 int8 and base


def test_plain_mteb_labels_the_base_model_int8() -> None:
    from mteb.models import CompressionWrapper
    from mteb.types import OutputDType

    base = MtebTwin(HashingEncoder())
    CompressionWrapper(base, OutputDType.INT8)
    still_wrong("T9", base.mteb_model_meta.output_dtypes == [OutputDType.INT8])


def test_a_quantised_variant_leaves_the_base_model_as_it_is(data: dict[str, Path], tmp_path: Path) -> None:
    encoder = HashingEncoder()
    handle = Handle(encoder)
    meta = handle.meta
    models = [
        on(handle, "base"),
        on(handle, "int8", precision="int8"),
        on(handle, "binary", precision="binary", truncate_dim=48),
        on(handle, "base again"),
    ]
    tasks = [opened(kind, data[kind], tmp_path) for kind in ("Retrieval", "STS", "Clustering")]
    cells = run(models, tasks, tmp_path, keep_cells=False)
    for task in tasks:
        (alone,) = run([models[1]], [task], None)
        base = score_of(cells, "base", task.name)
        expected = plain(MtebTwin(HashingEncoder()), mteb_task(task.type, data[task.type]))
        assert base == score_of(cells, "base again", task.name) == pytest.approx(expected, abs=EXACT)
        assert_same_items(cell_of(cells, "int8", task.name), alone)
        assert score_of(cells, "binary", task.name) != base
    assert handle.meta == meta
    facts = {model.meta.name: (model.meta.precision, model.meta.bytes_per_vector) for model in models}
    assert facts == {
        "base": ("float32", 4 * 64),
        "int8": ("int8", 64),
        "binary": ("binary", 48 // 8),
        "base again": ("float32", 4 * 64),
    }


# ---------------------------------------------------------------- T10 NaN


@dataclass
class BrokenEncoder(HashingEncoder):
    """Gives the text that ends like this a vector of this value, or raises it."""

    text: str = ""
    value: float | Exception = np.nan

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        vectors = super().encode(texts, prompt=prompt, role=role)
        for row, text in enumerate(texts):
            if text.endswith(self.text):
                if isinstance(self.value, Exception):
                    raise self.value
                vectors[row, 3] = self.value
        return vectors


SOME_TEXT = own_data.sentences(40)[8][1]
DOCUMENT = f"Heating {SOME_TEXT}"  # with its title, as MTEB hands it over
NOT_NUMBERS = pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["NaN", "infinity", "minus infinity"])


@NOT_NUMBERS
def test_plain_mteb_scores_a_vector_that_is_no_vector(value: float, data: dict[str, Path], tmp_path: Path) -> None:
    sound = plain(MtebTwin(HashingEncoder()), mteb_task("Retrieval", data["Retrieval"]))
    broken = MtebTwin(BrokenEncoder(text=DOCUMENT, value=value))
    try:
        score = plain(broken, mteb_task("Retrieval", data["Retrieval"]), cache=result_cache(tmp_path))
    except ValueError:
        still_wrong("T10", False)
    still_wrong("T10", score < sound)


@NOT_NUMBERS
@pytest.mark.parametrize("kind", TASK_TYPES)
def test_a_vector_that_is_no_vector_fails_the_cell_and_names_its_text(
    kind: str, value: float, data: dict[str, Path], tmp_path: Path
) -> None:
    twin = HashingEncoder()
    (sound,) = run([planned(twin)], [opened(kind, data[kind], tmp_path)], None)
    text = sorted(twin.seen)[len(twin.seen) // 2]
    broken = BrokenEncoder(text=text, value=value)
    (cell,) = run([planned(broken)], [opened(kind, data[kind], tmp_path)], tmp_path)
    assert (cell.status, cell.main_score) == ("failed", None)
    assert "NaN or infinity for the texts" in cell.reason
    assert repr(text)[:12] in cell.reason, "it names the text"
    (mended,) = run([planned(HashingEncoder())], [opened(kind, data[kind], tmp_path)], tmp_path)
    assert mended.main_score == sound.main_score, "nothing of the broken run is kept"


def test_plain_mteb_keeps_a_score_that_is_no_number(data: dict[str, Path], tmp_path: Path) -> None:
    constant = HashingEncoder(spoil=np.ones_like)
    score = plain(MtebTwin(constant), mteb_task("STS", data["STS"]), cache=result_cache(tmp_path))
    still_wrong("T10", bool(np.isnan(score)))


def test_a_score_that_is_no_number_fails_the_cell_and_is_not_kept(data: dict[str, Path], tmp_path: Path) -> None:
    for _ in range(2):
        constant = planned(HashingEncoder(spoil=np.ones_like))
        (cell,) = run([constant], [opened("STS", data["STS"], tmp_path)], tmp_path)
        assert (cell.status, cell.main_score) == ("failed", None)
        assert "cosine_spearman is not a finite number on test/default" in cell.reason


# ---------------------------------------------------------------- T11 failures and crashes


def test_plain_mteb_forgets_what_kind_of_error_it_was(data: dict[str, Path]) -> None:
    broken = MtebTwin(BrokenEncoder(text=DOCUMENT, value=KeyError("weights")))
    result = evaluate(broken, [mteb_task("Retrieval", data["Retrieval"])], raise_error=False)
    still_wrong("T11", result.exceptions[0].exception == "'weights'")


def test_one_failing_task_leaves_the_others_and_says_why(data: dict[str, Path], tmp_path: Path) -> None:
    tasks = [opened(kind, data[kind], tmp_path) for kind in ("STS", "Retrieval", "BitextMining")]
    broken = BrokenEncoder(name="broken", seed=3, text=DOCUMENT, value=KeyError("weights"))
    cells = run([planned(broken), planned(HashingEncoder(name="sound"))], tasks, tmp_path)
    assert [cell.status for cell in cells] == ["ok", "failed", "ok", "ok", "ok", "ok"]
    assert cells[1].reason == "KeyError: 'weights'"
    assert (cells[1].model, cells[1].task, cells[1].data_digest) == ("broken", "own-Retrieval", tasks[1].data_digest)
    again = run([planned(broken), planned(HashingEncoder(name="sound"))], tasks, tmp_path)
    assert [cell.status for cell in again] == [cell.status for cell in cells], "a failure is tried again"
    assert [cell.main_score for cell in again] == [cell.main_score for cell in cells]


class Batchwise(MtebTwin):
    """Encodes batch by batch, as real models do."""

    def encode(self, inputs: Any, **options: Any) -> Any:
        return np.concatenate(
            [self._encoder.encode(batch["text"], prompt="") for batch in inputs], axis=0, dtype=np.float32
        )


def test_plain_mteb_loses_a_whole_corpus_to_a_crash(tmp_path: Path) -> None:
    from mteb.models import CachedEmbeddingWrapper

    folder = own_data.retrieval(tmp_path / "data", 200)
    last = BrokenEncoder(text=own_data.sentences(200)[199][1], value=MemoryError("full"))
    with pytest.raises(MemoryError):
        plain(CachedEmbeddingWrapper(Batchwise(last), tmp_path), mteb_task("Retrieval", folder))
    sound = HashingEncoder()
    plain(CachedEmbeddingWrapper(Batchwise(sound), tmp_path), mteb_task("Retrieval", folder))
    still_wrong("T11", len(sound.seen) >= 200)


def test_after_a_crash_only_the_batch_in_flight_is_encoded_again(tmp_path: Path) -> None:
    folder = own_data.retrieval(tmp_path / "data", 200)
    whole = HashingEncoder()
    (uninterrupted,) = run([planned(whole)], [opened("Retrieval", folder, tmp_path)], None)
    broken = BrokenEncoder(text=whole.seen[-1], value=MemoryError("full"))
    (failed,) = run([planned(broken)], [opened("Retrieval", folder, tmp_path)], tmp_path)
    assert failed.reason == "MemoryError: full"
    rest = HashingEncoder()
    (resumed,) = run([planned(rest)], [opened("Retrieval", folder, tmp_path)], tmp_path)
    assert set(rest.seen) <= set(whole.seen[-BATCH:])
    assert resumed.main_score == uninterrupted.main_score


# Run 1: all of STS, then the process is killed in the middle of the retrieval corpus.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from benchkit.embeddings.store import VectorStore
from benchkit.runner.cell_cache import CellCache
from benchkit.runner.progress import Silent
from benchkit.runner.run import PlannedModel, Runner
from benchkit.tasks.opened import open_task
from benchkit.types.model import ModelSpec
from benchkit.types.task import TaskSpec
from fakes import Handle, HashingEncoder

cache, sts, retrieval, batches, log = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]

class Dying(HashingEncoder):
    calls = 0
    def encode(self, texts, **options):
        self.calls += 1
        if self.calls > batches:
            os.kill(os.getpid(), signal.SIGKILL)
        vectors = super().encode(texts, **options)
        with open(log, "a") as file:
            file.write(f"{len(texts)}\\n")
        return vectors

specs = [TaskSpec(name="own-STS", type="STS", data=Path(sts)),
         TaskSpec(name="own-Retrieval", type="Retrieval", data=Path(retrieval))]
tasks = [open_task(spec, cache_dir=cache, offline=True) for spec in specs]
model = PlannedModel(ModelSpec(label="hashing", name="hashing"), Handle(Dying()))
list(Runner(VectorStore(cache), CellCache(cache), Silent(), "cpu").run([model], tasks))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_kill_9_loses_the_batch_in_flight_and_the_rerun_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    sts, retrieval = own_data.sts(tmp_path / "sts.jsonl"), own_data.retrieval(tmp_path / "data", 200)
    tasks = [opened("STS", sts, tmp_path), opened("Retrieval", retrieval, tmp_path)]
    whole = HashingEncoder()
    uninterrupted = run([planned(whole)], tasks, None)
    of_sts = uninterrupted[0].texts_encoded or 0
    batches = -(-of_sts // BATCH) + 5  # all of STS, the queries, and a part of the corpus
    log = tmp_path / "batches.txt"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "c"), str(sts), str(retrieval), str(batches), str(log)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(fakes.__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    done = sum(map(int, log.read_text().split()))
    assert of_sts < done < len(whole.seen)

    rest = HashingEncoder()
    resumed = run([planned(rest)], tasks, tmp_path / "c")
    assert len(rest.seen) == len(whole.seen) - done, "what was finished is kept, in another process"
    for ours, theirs in zip(resumed, uninterrupted, strict=True):
        assert_same_items(ours, theirs)


# ---------------------------------------------------------------- encode once


def test_every_text_is_encoded_once_for_all_tasks_splits_and_variants(data: dict[str, Path], tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    own_data.sts(mirror / "validation.jsonl", 40)
    own_data.sts(mirror / "test.jsonl", 60)  # holds the texts of the other split
    two_splits = TaskSpec(name="STSBenchmark", data=mirror, splits=("validation", "test"))
    tasks = [opened(kind, data[kind], tmp_path) for kind in TASK_TYPES]
    tasks.append(open_task(two_splits, cache_dir=tmp_path, offline=True))
    encoder = HashingEncoder()
    models = [
        planned(encoder, "base"),
        planned(encoder, "short", truncate_dim=16),
        planned(encoder, "int8", precision="int8"),
        planned(encoder, "short binary", truncate_dim=32, precision="binary"),
    ]
    cells = run(models, tasks, tmp_path)
    assert {cell.status for cell in cells} == {"ok"}
    assert set(cells[8].scores) == {"validation/default", "test/default"}
    assert len(encoder.seen) == len(set(encoder.seen))
    assert sum(cell.texts_encoded or 0 for cell in cells) == len(encoder.seen)

    twin = HashingEncoder()
    for kind in TASK_TYPES:
        plain(MtebTwin(twin), mteb_task(kind, data[kind]))
    for split in ("validation", "test"):
        plain(MtebTwin(twin), mteb_task("STS", mirror / f"{split}.jsonl"))
    assert set(encoder.seen) == set(twin.seen), "no text more or less than MTEB asks for"

    later = HashingEncoder()
    again = run(
        [planned(later, model.spec.label, **variant_of(model)) for model in models], tasks, tmp_path, keep_cells=False
    )
    assert later.seen == []
    assert [cell.main_score for cell in again] == [cell.main_score for cell in cells]


def variant_of(model: PlannedModel) -> dict[str, Any]:
    variant = model.spec.variant
    return {"truncate_dim": variant.truncate_dim, "precision": variant.precision}
