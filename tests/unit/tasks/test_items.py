"""Every task type of MTEB's English and Chinese benchmarks has items, and they give MTEB's main score again.

Data sets are small mirrors in the layout that MTEB's own tasks load from the hub.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from fakes import HashingEncoder, MtebTwin
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from own_data import TOPICS, jsonl, sentences

from benchkit.measure.bootstrap import draw_scores
from benchkit.measure.paired import check_paired
from benchkit.measure.weighted import weighted_scores
from benchkit.models.lexical import open_tfidf
from benchkit.tasks.items import _places_of, item_kind
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.parts import iter_parts
from benchkit.tasks.rankings import Ranking, group_of, is_mean_over_queries, query_values
from benchkit.tasks.scoring import TaskScore, score_task
from benchkit.types.model import ModelSpec, OpenContext, Variant
from benchkit.types.task import TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Rows = Iterable[Mapping[str, Any]]


def mirror(folder: Path, tables: Mapping[str, Mapping[str, Rows]]) -> Path:
    """Write {config: {split: rows}} as a data set of the hub, with its configs in the header of its README."""
    lines = ["---", "configs:"]
    for config, splits in tables.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            name = f"{config}.{split}.jsonl"
            jsonl(folder / name, rows)
            lines += [f"  - split: {split}", f"    path: {name}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder


def ranked(queries: Mapping[str, str], qrels: Iterable[tuple[str, str, int]], n: int = 24) -> dict[str, Any]:
    """Return the tables of a ranking task over n documents, each query to rank all of them."""
    documents = [{"_id": f"d{i}", "title": topic.title(), "text": text} for i, (topic, text) in enumerate(sentences(n))]
    every = [row["_id"] for row in documents]
    return {
        "corpus": {"test": documents},
        "queries": {"test": [{"_id": name, "text": text} for name, text in queries.items()]},
        "default": {"test": [{"query-id": q, "corpus-id": d, "score": grade} for q, d, grade in qrels]},
        "top_ranked": {"test": [{"query-id": name, "corpus-ids": every} for name in queries]},
    }


def words(number: int) -> str:
    return " ".join(sentences(60)[number][1].split()[:3])


def mind(folder: Path) -> Path:
    # User u's news items, two or three queries each, all with the same judgements.
    queries = {f"user_{u}_{part}": words(u + 5 * part) for u in range(8) for part in range(2 + u % 2)}
    qrels = [
        (query, f"d{d}", int(d in (int(query.split("_")[1]), int(query.split("_")[1]) + 4)))
        for query in queries
        for d in range(16)
    ]
    return mirror(folder, ranked(queries, qrels))


def with_instructions(folder: Path) -> Path:
    queries = {f"{q}-{when}": words(q) for q in range(8) for when in ("og", "changed")}
    del queries["6-og"]
    tables = ranked(queries, [(query, f"d{int(query.split('-')[0]) + 4 * k}", 1) for query in queries for k in (0, 1)])
    other = list(TOPICS.values())
    tables["instruction"] = {
        "test": [
            {"query-id": name, "instruction": "" if name.endswith("og") else f"not {other[int(name[0]) % 4]}"}
            for name in queries
        ]
    }
    changed = [{"query-id": str(q), "corpus-ids": [f"d{q}", f"d{q + 4}"][: 1 + q % 2]} for q in range(6)]
    # MTEB passes over a query that was asked once or never, and over one for which nothing changed.
    others = [{"query-id": q, "corpus-ids": documents} for q, documents in (("6", ["d1"]), ("7", []), ("99", ["d1"]))]
    tables["qrel_diff"] = {"qrel_diff": [*changed, *others]}
    return mirror(folder, tables)


def negated(folder: Path) -> Path:
    # The two questions of every third pair read alike, so that one document is first for both.
    queries = {f"{p}_q{side}": words(p + 7 * (side - 1) * (p % 3 > 0)) for p in range(8) for side in (1, 2)}
    qrels = [(f"{pair}_q{side}", f"d{pair + 7 * (side - 1)}", 1) for pair in range(8) for side in (1, 2)]
    return mirror(folder, ranked(queries, qrels))


def robust(folder: Path) -> Path:
    queries = {f"{q}_{user}": f"{words(q)} {list(TOPICS)[user]}" for q in range(7) for user in range(3)}
    qrels = [(name, f"d{int(name[0]) + 4 * k}", 1 + (k == int(name[2]))) for name in queries for k in range(3)]
    return mirror(folder, ranked(queries, qrels))


def summaries(folder: Path, *, n: int = 9, alike: tuple[int, ...] = (3,)) -> Path:
    """Texts with four graded summaries each; those of the texts in `alike` all have one grade."""
    rows = []
    for i in range(n):
        topic, text = sentences(n)[i]
        # None is a human one word for word: of two that are, rounding would tell which is nearer.
        machine = [text, f"{text} and {topic}", f"{TOPICS[topic]} too", sentences(n + 3)[i + 2][1]]
        grades = [2.0] * 4 if i in alike else [4.5, 4.0 - i % 3, 1.0 + i % 2, 1.5]
        row = {
            "text": text,
            "machine_summaries": machine,
            "human_summaries": [f"{text} now", TOPICS[topic]],
            "relevance": grades,
        }
        rows.append(row)
    return mirror(folder, {"default": {"test": rows}})


def years(folder: Path, *, train: int = 40) -> Path:
    def rows(n: int, first: int) -> list[dict[str, Any]]:
        topics = list(TOPICS)
        return [
            {"text": text, "value": 2007 + 2 * topics.index(topic) + (first + i) ** 2 % 7}
            for i, (topic, text) in enumerate(sentences(first + n)[first:])
        ]

    tables = {name: {"train": rows(train, 0), "test": rows(30, train)} for name in ("yearpubl_ru", "yearpubl_en")}
    return mirror(folder, tables)


CASES: dict[str, Callable[[Path], Path]] = {
    "MindSmallReranking": mind,
    "Core17InstructionRetrieval": with_instructions,
    "NevIR": negated,
    "InstructIR": robust,
    "SummEvalSummarization.v2": summaries,
    "SummEval": summaries,
    "RuSciBenchYearPublRegression": years,
}


def noisy() -> HashingEncoder:
    """An encoder that is right sometimes, so that a score isn't 0 or 1."""
    return HashingEncoder(dimension=24, noise=0.25)


def opened(name: str, data: Path, cache: Path, **options: Any) -> OpenedTask:
    return open_task(TaskSpec(name=name, data=data, **options), cache_dir=cache, offline=True)


def plain_mteb(task: OpenedTask, encoder: HashingEncoder) -> float:
    """Score a new object of the task's own class, without our recording subclass."""
    plain = task.task_class.__mro__[2]()
    with warnings.catch_warnings(), task.own_copies():
        warnings.simplefilter("ignore")
        result = mteb.evaluate(MtebTwin(encoder), plain, cache=None, co2_tracker=False, show_progress_bar=False)
    return float(result.task_results[0].get_score())


def recomputed(score: TaskScore) -> float:
    return float(np.mean([weighted_scores(items, np.ones((1, items.n_items)))[0] for items in score.items]))


@pytest.mark.parametrize("name", CASES)
def test_items_give_the_score_of_plain_mteb_again(name: str, tmp_path: Path) -> None:
    task = opened(name, CASES[name](tmp_path / "data"), tmp_path)
    score = score_task(task, noisy(), Variant())
    expected = plain_mteb(task, noisy())
    assert score.main_score == pytest.approx(expected, abs=1e-6)
    assert 0.02 < abs(expected) < 0.98, "a score at the end of its range would hide a mistake"
    # MTEB rounds retrieval metrics to five digits, but not the grouped ones that are no metric of trec_eval.
    tolerance = 5.1e-6 if name == "MindSmallReranking" else 1e-6
    assert recomputed(score) == pytest.approx(expected, abs=tolerance)
    assert all(items.kind == item_kind(task.task_class, task.main_metric) for items in score.items)


@pytest.mark.parametrize("name", CASES)
def test_two_models_are_compared_on_the_same_items(name: str, tmp_path: Path) -> None:
    task = opened(name, CASES[name](tmp_path / "data"), tmp_path)
    first = score_task(task, noisy(), Variant())
    second = score_task(task, HashingEncoder(dimension=6, seed=3, noise=1.0), Variant())
    check_paired(first.items, second.items)
    assert first.main_score != second.main_score, "the task tells the two apart"
    draws = draw_scores(first.items, stream=name, estimate=first.main_score, n_resamples=200, seed=1)
    assert np.std(draws.values) > 0


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("MindSmallReranking", [f"user_{u}" for u in range(8)]),
        ("Core17InstructionRetrieval", [str(q) for q in range(6)]),
        ("NevIR", [str(pair) for pair in range(8)]),
        ("InstructIR", [str(q) for q in range(7)]),
        ("SummEvalSummarization.v2", [str(row) for row in range(9)]),
    ],
)
def test_queries_that_are_scored_as_one_are_one_item(name: str, items: list[str], tmp_path: Path) -> None:
    """Resampled one by one, the two queries of a pair would count as two pieces of evidence."""
    score = score_task(opened(name, CASES[name](tmp_path / "data"), tmp_path), noisy(), Variant())
    assert score.items[0].items.tolist() == items


@pytest.mark.parametrize("name", ["MindSmallReranking", "Core17InstructionRetrieval", "NevIR", "InstructIR"])
def test_a_limit_keeps_queries_that_are_scored_as_one_together(name: str, tmp_path: Path) -> None:
    task = opened(name, CASES[name](tmp_path / "data"), tmp_path, limits=TaskLimits(items=7))
    score = score_task(task, noisy(), Variant())
    ((*_, part),) = iter_parts(task.fresh())
    whole = CASES[name](tmp_path / "again")
    ((*_, full),) = iter_parts(opened(name, whole, tmp_path / "other").fresh())
    group = group_of(task.main_metric)
    kept, every = list(part["queries"]["id"]), list(full["queries"]["id"])
    assert 0 < len(kept) <= 7
    assert sorted(kept) == sorted(query for query in every if group(query) in {group(one) for one in kept})
    assert recomputed(score) == pytest.approx(score.main_score, abs=1e-5)


@pytest.mark.parametrize("name", ["MindSmallReranking", "Core17InstructionRetrieval", "NevIR", "InstructIR"])
def test_the_worst_groups_show_one_of_their_queries(name: str, tmp_path: Path) -> None:
    task = opened(name, CASES[name](tmp_path / "data"), tmp_path)
    score = score_task(task, noisy(), Variant())
    assert score.worst
    assert all(item.text and item.found for item in score.worst)
    assert [item.value for item in score.worst] == sorted(item.value for item in score.worst)


def test_documents_that_changed_are_those_of_the_mirror_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MTEB reads them while it scores, and `datasets` would give those that lay at the same path before."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hub")
    data = with_instructions(tmp_path / "data")
    first = score_task(opened("Core17InstructionRetrieval", data, tmp_path), noisy(), Variant())
    jsonl(data / "qrel_diff.qrel_diff.jsonl", [{"query-id": str(q), "corpus-ids": [f"d{20 - q}"]} for q in range(4)])
    task = opened("Core17InstructionRetrieval", data, tmp_path)
    second = score_task(task, noisy(), Variant())
    assert second.items[0].items.tolist() == ["0", "1", "2", "3"]
    assert second.main_score == pytest.approx(plain_mteb(task, noisy()), abs=1e-6)
    assert second.main_score != first.main_score


def test_a_regression_shows_no_worst_items(tmp_path: Path) -> None:
    """No number is exactly right, so that all of them would be equally wrong."""
    task = opened("RuSciBenchYearPublRegression", years(tmp_path / "data"), tmp_path)
    assert score_task(task, noisy(), Variant()).worst == ()


def test_a_regression_on_more_rows_than_mteb_trains_on_is_scored(tmp_path: Path) -> None:
    """MTEB then draws from the training part, ten times."""
    task = opened("RuSciBenchYearPublRegression", years(tmp_path / "data", train=60), tmp_path)
    task.task_class.n_samples = 45
    score = score_task(task, noisy(), Variant())
    assert score.main_score == pytest.approx(plain_mteb_with(task, 45), abs=1e-6)
    assert recomputed(score) == pytest.approx(score.main_score, abs=1e-6)


def plain_mteb_with(task: OpenedTask, n_samples: int) -> float:
    plain = task.task_class.__mro__[2]
    before = plain.n_samples
    plain.n_samples = n_samples
    try:
        return plain_mteb(task, noisy())
    finally:
        plain.n_samples = before


@pytest.mark.parametrize("name", ["SummEvalSummarization.v2", "RuSciBenchYearPublRegression"])
def test_tfidf_scores_them_too(name: str, tmp_path: Path) -> None:
    context = OpenContext(device="cpu", offline=True, cache_dir=tmp_path)
    model = open_tfidf(ModelSpec(label="tfidf", name="tfidf"), context).load()
    score = score_task(opened(name, CASES[name](tmp_path / "data"), tmp_path), model, Variant())
    assert recomputed(score) == pytest.approx(score.main_score, abs=1e-6)


# Summaries that MTEB leaves out


def test_a_text_whose_summaries_have_one_grade_does_not_count(tmp_path: Path) -> None:
    task = opened("SummEvalSummarization.v2", summaries(tmp_path / "data", alike=(0, 4)), tmp_path)
    (items,) = score_task(task, HashingEncoder(), Variant()).items
    assert items.columns["counted"].tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 1]


def test_all_texts_count_where_none_is_left_out(tmp_path: Path) -> None:
    task = opened("SummEvalSummarization.v2", summaries(tmp_path / "data", alike=()), tmp_path)
    (items,) = score_task(task, HashingEncoder(), Variant()).items
    assert sorted(items.columns) == ["value"]


def test_a_text_that_one_model_leaves_out_is_an_item_of_both(tmp_path: Path) -> None:
    data = summaries(tmp_path / "data", alike=())
    rows = [json.loads(line) for line in (data / "default.test.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[5]["machine_summaries"] = ["same words"] * 4
    rows[5]["relevance"] = [0.5, 1.0, 3.0, 5.0]
    jsonl(data / "default.test.jsonl", rows)
    task = opened("SummEvalSummarization.v2", data, tmp_path)
    score = score_task(task, HashingEncoder(), Variant())
    assert score.items[0].columns["counted"].tolist() == [1, 1, 1, 1, 1, 0, 1, 1, 1]
    assert score.main_score == pytest.approx(plain_mteb(task, HashingEncoder()), abs=1e-6)
    assert recomputed(score) == pytest.approx(score.main_score, abs=1e-6)


@pytest.mark.parametrize(
    ("part", "places"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], [0, 3]),
        ([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]], [0, 2, 3]),
        ([], []),
        ([[9.0, 8.0]], None),
        ([[3.0, 4.0], [1.0, 2.0]], None),
    ],
)
def test_rows_that_were_left_out_are_found_by_the_rows_that_were_not(
    part: list[list[float]], places: list[int] | None
) -> None:
    assert _places_of(part, [[1.0, 2.0], [7.0, 7.0], [5.0, 6.0], [3.0, 4.0]]) == places


def test_rows_that_could_be_either_of_two_are_not_guessed() -> None:
    assert _places_of([[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]) is None
    assert _places_of([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]) == [0, 1]


# Rankings by hand


def ranking(**changes: Any) -> Ranking:
    results = {"u_1": {"a": 0.9, "b": 0.1}, "u_2": {"b": 0.8, "c": 0.7}, "v_1": {"a": 0.2, "c": 0.3}}
    judgements = {"u_1": {"c": 1}, "u_2": {"c": 1}, "v_1": {"a": 1}}
    per_query = {
        "u_1": {"recall_1": 0.0, "ndcg_cut_10": 0.0},
        "u_2": {"recall_1": 1.0, "ndcg_cut_10": 0.6},
        "v_1": {"recall_1": 1.0, "ndcg_cut_10": 0.5},
    }
    values = {"per_query": per_query, "results": results, "judgements": judgements, "changes": {}} | changes
    return Ranking(**values)


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        # u's merged ranking is a 0.9, b 0.8, c 0.7 with c relevant; v's is c, a with a relevant
        ("max_over_subqueries_map_at_10", {"u": 1 / 3, "v": 1 / 2}),
        ("max_over_subqueries_mrr_at_2", {"u": 0.0, "v": 1 / 2}),
        ("max_over_subqueries_recall_at_2", {"u": 0.0, "v": 1.0}),
        ("paired_accuracy", {"u": 0.0, "v": 1.0}),
        ("robustness_at_10", {"u": 0.0, "v": 0.5}),
        ("accuracy", {"u_1": 0.0, "u_2": 1.0, "v_1": 1.0}),
        ("ndcg_at_10", {"u_1": 0.0, "u_2": 0.6, "v_1": 0.5}),
        ("mrr_at_10", {"u_1": 0.0, "u_2": 1 / 2, "v_1": 1 / 2}),
    ],
)
def test_metrics_of_queries_and_groups_by_hand(metric: str, values: dict[str, float]) -> None:
    found = query_values(ranking(), metric)
    assert found is not None
    assert found == pytest.approx(values, abs=1e-6)


def test_the_change_of_a_query_is_what_mteb_made_of_it() -> None:
    assert query_values(ranking(changes={"7": -0.25}), "p-MRR") == {"7": -0.25}
    assert query_values(ranking(), "p-MRR") is None, "a later MTEB that computes it elsewhere"


@pytest.mark.parametrize("metric", ["ndcg_at_7", "recall_at_3", "robustness_at_10"])
def test_a_depth_that_mteb_did_not_compute_has_no_items(metric: str) -> None:
    assert query_values(ranking(per_query={"u_1": {"ndcg_cut_5": 0.1}}), metric) is None


@pytest.mark.parametrize("metric", ["naucs_at_10", "ndcg", "ndcg_at_ten", "max_over_subqueries_accuracy", "alpha_auc"])
def test_what_is_no_mean_over_queries_has_no_items(metric: str) -> None:
    assert not is_mean_over_queries(metric)
    assert query_values(ranking(), metric) is None


# What MTEB's benchmarks hold

BENCHMARKS = ("MTEB(eng, v1)", "MTEB(eng, v2)", "MTEB(cmn, v1)")
# Nothing is missing in the benchmarks; elsewhere in MTEB a score is no function of items that benchkit knows.
WITHOUT_ITEMS = {
    ("StakeholderGrounding", "alpha_auc"),
    ("HumanConceptsClustering", "ami"),
    ("SciRepEvalBiomimicryClassification", "accuracy"),
    ("SciRepEvalDRSMClassification", "accuracy"),
    ("SciRepEvalMeSHDescriptorsClassification", "accuracy"),
}


def parts_of_task(task: Any) -> list[Any]:
    return list(task.metadata.tasks) if isinstance(task, AbsTaskAggregate) else [task]


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_task_of_the_benchmark_has_a_kind_of_items(benchmark: str) -> None:
    tasks = [part for task in mteb.get_benchmark(benchmark).tasks for part in parts_of_task(task)]
    assert len(tasks) > 25
    missing = [
        (task.metadata.name, task.metadata.type, task.metadata.main_score)
        for task in tasks
        if item_kind(type(task), task.metadata.main_score) is None
    ]
    assert missing == []


def test_the_text_tasks_of_mteb_without_items_are_known_by_name() -> None:
    tasks = mteb.get_tasks(
        modalities=["text"], exclusive_modality_filter=True, exclude_superseded=False, exclude_private=False
    )
    names = {
        (part.metadata.name, part.metadata.main_score)
        for task in tasks
        for part in parts_of_task(task)
        if item_kind(type(part), part.metadata.main_score) is None
    }
    assert names == WITHOUT_ITEMS


def test_a_task_type_that_benchkit_does_not_know_has_no_kind() -> None:
    class Other:
        pass

    assert item_kind(Other, "accuracy") is None
