"""Own folders of retrieval and reranking: documents, judgements, candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from own_files import file, retrieval

from benchkit.errors import SuiteError
from benchkit.tasks.own.retrieval import RetrievalData, read_retrieval

DOCUMENTS = ({"_id": "a", "text": "open the valve"}, {"_id": "b", "title": "Refunds", "text": "within ten days"})
QUERY = {"_id": "q", "text": "money back"}


def judged(folder: Path, judgements: Sequence[Mapping[str, Any]]) -> RetrievalData:
    file(folder, "corpus.jsonl", DOCUMENTS)
    file(folder, "queries.jsonl", [QUERY])
    file(folder, "qrels/test.jsonl", [{"query-id": "q", **judgement} for judgement in judgements])
    return read_retrieval(folder, reranking=False)


def test_a_title_is_read_though_the_first_document_has_none(tmp_path: Path) -> None:
    data = judged(tmp_path, [{"corpus-id": "b", "score": 1}])
    assert data.corpus == {"a": ("", "open the valve"), "b": ("Refunds", "within ten days")}


def test_titles_that_programs_left_empty_are_told(tmp_path: Path) -> None:
    retrieval(tmp_path)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "title": "nan", "text": "x"}, {"_id": "b", "title": "T", "text": "y"}])
    assert "1 text is 'nan', taken as the word that stands there" in read_retrieval(tmp_path, reranking=False).notes


@pytest.mark.parametrize("without", [0, 1])
def test_a_judgement_without_the_grade_that_others_have_is_refused(without: int, tmp_path: Path) -> None:
    judgements: list[dict[str, Any]] = [{"corpus-id": "a", "score": 2}, {"corpus-id": "b", "score": 3}]
    del judgements[without]["score"]
    with pytest.raises(SuiteError, match=rf"test\.jsonl:{without + 1}: score should be a finite number, got None"):
        judged(tmp_path, judgements)


def test_judgements_without_any_grade_count_as_1(tmp_path: Path) -> None:
    assert judged(tmp_path, [{"corpus-id": "a"}, {"corpus-id": "b"}]).qrels == {"q": {"a": 1, "b": 1}}


@pytest.mark.parametrize("name", ["relevance", "label", "grade"])
def test_grades_under_another_name_are_refused_and_not_all_taken_as_relevant(name: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=rf"test\.tsv: no column 'score', and '{name}' holds numbers; call it score"):
        retrieval(tmp_path, f"query-id\tcorpus-id\t{name}\nq\ta\t0\nq\tb\t1\n")


def test_judgements_with_a_remark_and_no_grade_count_as_1(tmp_path: Path) -> None:
    assert retrieval(tmp_path, "query-id\tcorpus-id\tby\nq\ta\tAnna\nq\tb\t7\n").qrels == {"q": {"a": 1, "b": 1}}


@pytest.mark.parametrize("line", ["q 0 a 1", "q\t0\ta\t1", "q\ta\t1"])
def test_judgements_without_a_header_are_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no judgements below the header|no column 'query-id'"):
        retrieval(tmp_path, line + "\n")


def test_candidates_of_which_none_can_be_wrong_are_refused(tmp_path: Path) -> None:
    """Whatever the order, the score is 1 for every model."""
    both = "query-id\tcorpus-id\tscore\nq\ta\t1\nr\tb\t1\n"
    with pytest.raises(SuiteError, match="every candidate is relevant, so that any order is right; add others in"):
        retrieval(tmp_path, both, reranking=True)
    assert retrieval(tmp_path, both + "r\ta\t0\n", reranking=True).candidates == {"q": ["a"], "r": ["b", "a"]}
    file(tmp_path, "top_ranked.jsonl", [{"query-id": name, "corpus-ids": ["a", "b"]} for name in "qr"])
    assert retrieval(tmp_path, both, reranking=True).candidates == {"q": ["a", "b"], "r": ["a", "b"]}


BOTH = "query-id\tcorpus-id\tscore\nq\ta\t1\nr\tb\t1\n"


def candidates(folder: Path, *more: Mapping[str, Any]) -> RetrievalData:
    file(folder, "top_ranked.jsonl", [*({"query-id": name, "corpus-ids": ["a", "b"]} for name in "qr"), *more])
    return retrieval(folder, BOTH, reranking=True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"qid": "q", "corpus-ids": ["a"]}, r"top_ranked\.jsonl:3: query-id should be an id .*, got None"),
        ({"query-id": True, "corpus-ids": ["a"]}, r"top_ranked\.jsonl:3: query-id should be an id .*, got True"),
        ({"query-id": "x", "corpus-ids": [1.0]}, r"top_ranked\.jsonl:3: corpus-ids should hold ids .*, got 1\.0"),
        ({"query-id": "x", "corpus-ids": [None]}, r"top_ranked\.jsonl:3: corpus-ids should hold ids .*, got None"),
    ],
)
def test_candidates_that_are_no_ids_are_refused(row: Mapping[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=said):
        candidates(tmp_path, row)


def test_candidates_of_ids_that_are_no_queries_are_told(tmp_path: Path) -> None:
    assert candidates(tmp_path).notes == ()
    assert candidates(tmp_path, {"query-id": "R", "corpus-ids": ["a"]}).notes == (
        "candidates of ids that are not among the queries are left out: 1 (R)",
    )


@pytest.mark.parametrize("name", [" ", "\t"])
def test_an_id_of_spaces_alone_is_refused(name: str, tmp_path: Path) -> None:
    retrieval(tmp_path)
    file(tmp_path, "corpus.jsonl", [{"_id": "a", "text": "x"}, {"_id": name, "text": "y"}])
    with pytest.raises(SuiteError, match=r"corpus\.jsonl:2: _id should be an id \(text or whole number\), got '"):
        read_retrieval(tmp_path, reranking=False)
