"""What is wrong with retrieval data is found, and clean data is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.suite.check_data import Finding, check_retrieval
from benchkit.suite.check_retrieval import Qrels

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def sentence(rng: np.random.Generator, length: int) -> str:
    return " ".join(rng.choice(WORDS, size=length))


def clean(n: int = 60) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Return random texts without anything in common: query i asks for document i, and half as many are distractors."""
    rng = np.random.default_rng(0)
    corpus = {f"d{i}": sentence(rng, 40) for i in range(n + n // 2)}
    queries = {f"q{i}": sentence(rng, 10) for i in range(n)}
    return corpus, queries, {f"q{i}": {f"d{i}": 1} for i in range(n)}


def by_code(findings: list[Finding]) -> dict[str, Finding]:
    assert len({found.code for found in findings}) == len(findings)
    return {found.code: found for found in findings}


def test_clean_data_has_notes_only() -> None:
    findings = check_retrieval(*clean())
    assert {found.code for found in findings} == {"never-relevant", "lexical-overlap"}
    assert {found.severity for found in findings} == {"note"}


def one(corpus: dict[str, str], queries: dict[str, str], qrels: Qrels, code: str) -> Finding:
    return by_code(check_retrieval(corpus, queries, qrels))[code]


def test_judgements_of_unknown_ids_are_errors() -> None:
    corpus, queries, qrels = clean()
    qrels["q0"] = {"d0": 1, "gone": 1, "lost": 0}
    qrels["nobody"] = {"d1": 1}
    documents, asked = one(corpus, queries, qrels, "unknown-document"), one(corpus, queries, qrels, "unknown-query")
    assert (documents.severity, documents.items) == ("error", ("gone", "lost"))
    assert documents.message == "2 judged documents not in the corpus, where no model can find it"
    assert (asked.severity, asked.items, asked.message) == (
        "error",
        ("nobody",),
        "1 judged query not among the queries",
    )


def test_queries_without_relevant_documents_are_told_and_are_an_error_when_all_are() -> None:
    corpus, queries, qrels = clean()
    qrels["q3"] = {"d3": 0}
    del qrels["q4"]
    found = one(corpus, queries, qrels, "query-without-relevant")
    assert (found.severity, found.items) == ("warning", ("q3", "q4"))
    assert one(corpus, queries, {}, "no-relevant-document").severity == "error"


def test_a_corpus_without_distractors_is_told() -> None:
    corpus, queries, qrels = clean()
    corpus = {document: corpus[document] for document in list(corpus)[:60]}
    assert one(corpus, queries, qrels, "no-distractors").severity == "warning"


def test_few_judged_queries_are_told_at_49_and_not_at_50() -> None:
    assert "few-items" in by_code(check_retrieval(*clean(49)))
    assert "few-items" not in by_code(check_retrieval(*clean(50)))
    corpus, queries, qrels = clean(50)
    qrels["q0"] = {"d0": 0}
    assert one(corpus, queries, qrels, "few-items").message.startswith("49 judged queries; ")


def test_empty_texts_are_an_error_in_a_query_and_a_warning_in_a_document() -> None:
    corpus, queries, qrels = clean()
    queries["q1"] = "  \n"
    corpus["d2"] = ""
    findings = by_code(check_retrieval(corpus, queries, qrels))
    assert (findings["empty-query"].severity, findings["empty-query"].items) == ("error", ("q1",))
    assert (findings["empty-document"].severity, findings["empty-document"].items) == ("warning", ("d2",))


def test_doubled_texts_are_told_exact_and_near() -> None:
    corpus, queries, qrels = clean()
    queries["q1"] = queries["q2"].upper()
    corpus["d70"] = corpus["d71"] + " x"
    findings = by_code(check_retrieval(corpus, queries, qrels))
    assert findings["duplicate-query"].items == ("q1 = q2",)
    assert findings["near-duplicate-document"].items[0].startswith("d70 ~ d71 (0.9")
    assert "duplicate-document" not in findings


def test_a_copy_of_a_relevant_document_that_is_not_judged_is_an_error() -> None:
    corpus, queries, qrels = clean()
    corpus["copy"] = corpus["d5"]
    found = one(corpus, queries, qrels, "copies-judged-apart")
    assert (found.severity, found.items) == ("error", ("q5: copy",))
    qrels["q5"] = {"d5": 1, "copy": 1}
    assert "copies-judged-apart" not in by_code(check_retrieval(corpus, queries, qrels))


def test_a_query_copied_whole_from_its_document_is_told() -> None:
    corpus, queries, qrels = clean()
    queries["q7"] = " ".join(corpus["d7"].split()[5:10]).title() + "?"
    assert one(corpus, queries, qrels, "query-in-document").items == ("q7 in d7",)
    queries["q7"] = " ".join(corpus["d7"].split()[5:8])
    assert "query-in-document" not in by_code(check_retrieval(corpus, queries, qrels))


def test_a_run_of_eight_copied_words_is_told_and_seven_are_not() -> None:
    corpus, queries, qrels = clean()
    words = corpus["d7"].split()
    queries["q7"] = "how do I " + " ".join(words[5:13])
    assert one(corpus, queries, qrels, "query-copies-document").items == ("q7 in d7",)
    queries["q7"] = "how do I " + " ".join(words[5:12])
    assert "query-copies-document" not in by_code(check_retrieval(corpus, queries, qrels))


def test_thirteen_copied_chinese_characters_are_told_and_eight_are_not() -> None:
    corpus, queries, qrels = clean()
    corpus["d7"] = "如果您忘记了密码可以在登录页面点击找回密码按照提示操作即可"
    queries["q7"] = "请问" + "忘记了密码可以在登录页面点击"[:13]
    assert one(corpus, queries, qrels, "query-copies-document").items == ("q7 in d7",)
    queries["q7"] = "请问" + "忘记了密码可以在登录页面点击"[:8]
    assert "query-copies-document" not in by_code(check_retrieval(corpus, queries, qrels))


def test_overlap_worked_by_hand() -> None:
    # Every query has four words, three of them in its document; other documents share none.
    corpus = {f"d{i}": f"a{i} b{i} c{i} filler{i}" for i in range(60)}
    queries = {f"q{i}": f"c{i} a{i} b{i} z{i}" for i in range(60)}
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(60)}
    found = one(corpus, queries, qrels, "lexical-overlap")
    assert found.message == "75% of a query's words stand in its relevant document, 0% in a random other one"
    assert found.severity == "note"


def test_overlap_is_that_of_the_best_relevant_document_and_of_documents_that_are_not_relevant() -> None:
    corpus = {"full": "a b c d", "half": "a b x y", "none": "u v w"}
    queries = {f"q{i}": "a b c d" for i in range(60)}
    qrels = {query: {"half": 1, "full": 2} for query in queries}
    found = one(corpus, queries, qrels, "lexical-overlap")
    assert found.message.startswith("100% of a query's words stand in its relevant document, 0% in a random other one")


def test_queries_made_of_their_documents_words_are_a_warning() -> None:
    corpus, queries, qrels = clean()
    queries = {query: " ".join(corpus["d" + query[1:]].split()[::-4]) for query in queries}
    assert one(corpus, queries, qrels, "lexical-overlap").severity == "warning"


def test_other_scripts_long_and_broken_texts_are_told() -> None:
    corpus, queries, qrels = clean()
    corpus["d1"] = "Как восстановить пароль от личного кабинета"
    corpus["d2"] = "word " * 411
    queries["q9"] = "caf\ufffd menu please today"
    findings = by_code(check_retrieval(corpus, queries, qrels))
    assert findings["mixed-scripts-document"].message == "90 documents by main script: Latin 89, Cyrillic 1"
    assert findings["mixed-scripts-document"].items == ("d1",)
    assert (findings["long-document"].severity, findings["long-document"].items) == ("note", ("d2",))
    assert (findings["broken-query"].severity, findings["broken-query"].items) == ("warning", ("q9",))


def test_a_finding_counts_all_items_and_lists_ten() -> None:
    corpus, queries, _ = clean()
    found = one(corpus, queries, {"q0": {"d0": 1}}, "query-without-relevant")
    assert found.message.startswith("59 queries without")
    assert len(found.items) == 10


@pytest.mark.parametrize("part", ["corpus", "queries"])
def test_empty_data_give_findings_and_no_crash(part: str) -> None:
    corpus, queries, qrels = clean()
    corpus, queries = ({}, queries) if part == "corpus" else (corpus, {})
    assert any(found.severity == "error" for found in check_retrieval(corpus, queries, qrels))
    check_retrieval({}, {}, {})
