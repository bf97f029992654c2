"""Items carry what is known of them, in their order; the scores and the data's digest know nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from numpy.typing import NDArray
from own_data import jsonl, sentences, write_all

from benchkit.embeddings.fingerprint import digest_rows
from benchkit.suite.find import find_suite
from benchkit.suite.load import load_suite
from benchkit.tasks.item_tags import available_tags, item_tags
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.parts import iter_parts
from benchkit.types.task import TASK_TYPES, TaskLimits, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PLACE = "test/default"


def names(*items: object) -> NDArray[np.str_]:
    return np.array([str(item) for item in items], dtype=np.str_)


def opened(kind: str, data: Path, cache: Path, **options: Any) -> OpenedTask:
    spec = TaskSpec(name=f"own-{kind}", type=kind, data=data, **options)
    return open_task(spec, cache_dir=cache, offline=True)


def add(path: Path, column: Callable[[int], Mapping[str, Any]]) -> None:
    """Write more columns into the rows of a file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    jsonl(path, [{**row, **column(number)} for number, row in enumerate(rows)])


FILES = {
    "Retrieval": "queries.jsonl",
    "Reranking": "queries.jsonl",
    "Classification": "test.jsonl",
    "MultilabelClassification": "test.jsonl",
}


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_every_type_of_own_data_has_its_further_columns(kind: str, tmp_path: Path) -> None:
    data = write_all(tmp_path / "own")[kind]
    plain = opened(kind, data, tmp_path)
    plain.load()
    add(data / FILES[kind] if kind in FILES else data, lambda row: {"team": f"t{row % 3}", "row": f"r{row}"})
    task = opened(kind, data, tmp_path, language="zho-Hans")
    items = names("q4", "q0", "q2") if kind in ("Retrieval", "Reranking") else names(4, 0, 2)
    tags = item_tags(task, {PLACE: items})[PLACE]
    assert {key: values.tolist() for key, values in tags.items()} == {
        "task": [f"own-{kind}"] * 3,
        "type": [kind] * 3,
        "split": ["test"] * 3,
        "subset": ["default"] * 3,
        "lang": ["zh"] * 3,
        "team": ["t1", "t0", "t2"],
    }
    assert task.data_digest == plain.data_digest, "a tag changes no score"


def test_what_a_score_is_made_of_is_no_tag(tmp_path: Path) -> None:
    rows = [
        {"text": text, "label": topic, "split": ("train", "test")[i // 40]}
        for i, (topic, text) in enumerate(sentences(80))
    ]
    task = opened("Classification", jsonl(tmp_path / "x.jsonl", rows), tmp_path)
    assert sorted(item_tags(task, {PLACE: names(0)})[PLACE]) == ["lang", "split", "subset", "task", "type"]


def test_tags_of_rows_follow_the_part_that_is_tested_on(tmp_path: Path) -> None:
    """Without a train part half of the rows train, so that item 0 is not row 0."""
    rows = [{"text": text, "label": topic, "half": text[-1] in "02468"} for topic, text in sentences(80)]
    task = opened("Classification", jsonl(tmp_path / "x.jsonl", rows), tmp_path)
    ((_, _, part),) = iter_parts(task.fresh())
    tags = item_tags(task, {PLACE: names(*range(len(part)))})[PLACE]
    assert tags["half"].tolist() == [str(text[-1] in "02468").lower() for text in part["text"][:]]


@pytest.mark.parametrize("kind", ["STS", "Clustering", "Retrieval"])
def test_tags_follow_the_rows_that_a_limit_keeps(kind: str, tmp_path: Path) -> None:
    data = write_all(tmp_path / "own")[kind]
    column = "text" if kind != "STS" else "sentence1"
    path = data / "queries.jsonl" if kind == "Retrieval" else data
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    jsonl(path, [{**row, "length": len(row[column]) // 4} for row in rows])
    task = opened(kind, data, tmp_path, limits=TaskLimits(items=9))
    ((_, _, part),) = iter_parts(task.fresh())
    kept = part["queries"] if kind == "Retrieval" else part
    texts = kept[{"Retrieval": "text", "STS": "sentence1", "Clustering": "sentences"}[kind]][:]
    items = kept["id"][:] if kind == "Retrieval" else range(9)
    assert len(texts) == 9
    tags = item_tags(task, {PLACE: names(*items)})[PLACE]
    assert tags["length"].tolist() == [str(len(text) // 4) for text in texts]


def test_tags_of_queries_skip_those_that_nobody_judged(tmp_path: Path) -> None:
    data = write_all(tmp_path / "own")["Retrieval"]
    rows = [json.loads(line) for line in (data / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    unjudged = {"_id": "aa", "text": "who?", "team": "nobody"}
    jsonl(data / "queries.jsonl", [unjudged, *({**row, "team": f"t{i % 3}"} for i, row in enumerate(rows))])
    tags = item_tags(opened("Retrieval", data, tmp_path), {PLACE: names("q0", "q1", "q5")})[PLACE]
    assert tags["team"].tolist() == ["t0", "t1", "t2"]


def test_the_slices_of_the_quickstart_suite_are_its_languages_and_tasks(tmp_path: Path) -> None:
    tasks = [open_task(spec, cache_dir=tmp_path, offline=True) for spec in load_suite(find_suite("quickstart")).tasks]
    found = available_tags(item_tags(task, {PLACE: names(0)})[PLACE] for task in tasks)
    assert found["lang"] == ("en", "zh")
    assert found["task"] == tuple(sorted(task.name for task in tasks))
    assert set(found) == {"task", "type", "split", "subset", "lang", "data.split"}


def test_the_language_of_a_row_says_more_than_that_of_the_task(tmp_path: Path) -> None:
    data = write_all(tmp_path / "own")["STS"]
    add(data, lambda row: {"lang": ("de", "", "fr")[row % 3], "type": ("short", "long")[row % 2]})
    tags = item_tags(opened("STS", data, tmp_path), {PLACE: names(0, 1, 2)})[PLACE]
    assert tags["lang"].tolist() == ["de", "en", "fr"]
    assert tags["type"].tolist() == ["STS"] * 3
    assert tags["data.type"].tolist() == ["short", "long", "short"]


def test_an_item_without_a_row_has_no_tag_of_the_data(tmp_path: Path) -> None:
    data = write_all(tmp_path / "own")["STS"]
    add(data, lambda row: {"team": f"t{row % 3}"})
    tags = item_tags(opened("STS", data, tmp_path), {PLACE: names(1, 10_000, "q1")})[PLACE]
    assert tags["team"].tolist() == ["t1", "", ""]
    assert tags["task"].tolist() == ["own-STS"] * 3


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    task = opened("STS", write_all(tmp_path / "own")["STS"], tmp_path)
    with pytest.raises(ValueError, match="own-STS has no dev/default; it has test/default"):
        item_tags(task, {"dev/default": names(0)})


def test_slices_are_listed_for_messages() -> None:
    parts = [{"lang": names("zh", ""), "team": names("b", "a")}, {"lang": names("en")}]
    assert available_tags(parts) == {"lang": ("en", "zh"), "team": ("a", "b")}


# MTEB's own tasks, on small mirrors


def mirror(folder: Path, tables: Mapping[str, Mapping[str, Iterable[Mapping[str, Any]]]]) -> Path:
    lines = ["---", "configs:"]
    for config, splits in tables.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            jsonl(folder / f"{config}.{split}.jsonl", rows)
            lines += [f"  - split: {split}", f"    path: {config}.{split}.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder


def mteb_task(name: str, data: Path, cache: Path) -> OpenedTask:
    return open_task(TaskSpec(name=name, data=data), cache_dir=cache, offline=True)


def test_columns_that_mtebs_task_does_not_read_are_tags(tmp_path: Path) -> None:
    rows = [
        {"sentence1": text, "sentence2": text, "score": i % 5, "genre": ("news", "forum")[i % 2], "sid": f"s{i}"}
        for i, (_, text) in enumerate(sentences(12))
    ]
    task = mteb_task("STSBenchmark", mirror(tmp_path / "data", {"default": {"test": rows}}), tmp_path)
    tags = item_tags(task, {PLACE: names(*range(12))})[PLACE]
    assert sorted(tags) == ["genre", "lang", "split", "subset", "task", "type"]
    assert tags["genre"].tolist() == ["news", "forum"] * 6


def test_each_subset_has_its_language_and_all_have_the_same_keys(tmp_path: Path) -> None:
    def rows(site: str, n: int) -> list[dict[str, Any]]:
        return [{"text": text, "value": 2000 + i, "site": site} for i, (_, text) in enumerate(sentences(n))]

    paid = [{**row, "paid": i % 2} for i, row in enumerate(rows("b", 6))]
    tables = {
        "yearpubl_ru": {"train": rows("x", 4), "test": rows("a", 5)},
        "yearpubl_en": {"train": paid[:4], "test": paid},
    }
    task = mteb_task("RuSciBenchYearPublRegression", mirror(tmp_path / "data", tables), tmp_path)
    tags = item_tags(task, {"test/yearpubl_ru": names(*range(5)), "test/yearpubl_en": names(*range(6))})
    assert tags["test/yearpubl_ru"]["lang"].tolist() == ["ru"] * 5
    assert tags["test/yearpubl_en"]["lang"].tolist() == ["en"] * 6
    assert tags["test/yearpubl_ru"]["site"].tolist() == ["a"] * 5, "one value in each part, two in the task"
    assert tags["test/yearpubl_en"]["site"].tolist() == ["b"] * 6
    assert tags["test/yearpubl_ru"]["paid"].tolist() == [""] * 5
    assert tags["test/yearpubl_en"]["paid"].tolist() == ["0", "1"] * 3


def test_queries_that_are_scored_as_one_share_what_they_all_say(tmp_path: Path) -> None:
    documents = [{"_id": f"d{i}", "title": "", "text": text} for i, (_, text) in enumerate(sentences(8))]
    queries = [
        {"_id": f"u_{user}_{part}", "text": f"{user} {part}", "plan": f"p{user % 2}", "hour": f"h{part}"}
        for user in range(4)
        for part in range(2)
    ]
    tables = {
        "corpus": {"test": documents},
        "queries": {"test": queries},
        "default": {"test": [{"query-id": q["_id"], "corpus-id": "d1", "score": 1} for q in queries]},
        "top_ranked": {"test": [{"query-id": q["_id"], "corpus-ids": ["d1", "d2"]} for q in queries]},
    }
    task = mteb_task("MindSmallReranking", mirror(tmp_path / "data", tables), tmp_path)
    (place,) = (f"{split}/{subset}" for split, subset, _ in iter_parts(task.fresh()))
    tags = item_tags(task, {place: names("u_2", "u_1", "u_9")})[place]
    assert tags["plan"].tolist() == ["p0", "p1", ""]
    assert tags["hour"].tolist() == ["", "", ""], "its queries say different things"


def test_the_digest_of_own_data_is_still_that_of_the_rows_alone(tmp_path: Path) -> None:
    """Worked without the task: what a score is made of, and nothing else."""
    rows = [{"sentence1": f"a{i}", "sentence2": f"b{i}", "score": i % 3, "team": f"t{i % 2}"} for i in range(6)]
    task = opened("STS", jsonl(tmp_path / "x.jsonl", rows), tmp_path)
    task.load()
    read = {
        "sentence1": [f"a{i}" for i in range(6)],
        "sentence2": [f"b{i}" for i in range(6)],
        "score": [i % 3 * 1.0 for i in range(6)],
    }
    assert task.data_digest == digest_rows(
        [["test", "default"], "rows", *Dataset.from_dict(read).iter(batch_size=1000)]
    )
