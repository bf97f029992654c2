"""Lexical models against hand-worked numbers, the paper's double loop and scikit-learn's own vectorizer."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.errors import ModelError
from benchkit.models.lexical import open_bm25, open_tfidf, terms
from benchkit.types.model import CorpusFitted, ModelHandle, ModelSpec, OpenContext, Variant

CONTEXT = OpenContext(device="cpu", offline=True, cache_dir=Path("unused"))
THREE = ["a cat sat", "a dog", "a cat and a cat"]
MIXED = [
    "The quick brown fox jumps over the lazy dog.",
    "A fox, a FOX, my kingdom for a fox!",
    "深度学习模型用于文本检索。",
    "हिन्दी भाषा में खोज",
    "การค้นหาข้อความภาษาไทย",
    "",
    "!!! ???",
]


def _spec(name: str, **options: str | int | float | bool) -> ModelSpec:
    return ModelSpec(label=f"my-{name}", name=name, options=options)


def _bm25(**options: float) -> CorpusFitted:
    model = open_bm25(_spec("bm25", **options), CONTEXT).load()
    assert isinstance(model, CorpusFitted)
    return model


def _tfidf(**options: int) -> CorpusFitted:
    return open_tfidf(_spec("tfidf", **options), CONTEXT).load()


def _scores(model: CorpusFitted, queries: list[str], documents: list[str]) -> np.ndarray:
    q, d = model.encode_sparse(queries, role="query"), model.encode_sparse(documents, role="document")
    return (q @ d.T).toarray()  # type: ignore[attr-defined]


def _loop_bm25(query: str, document: str, corpus: list[str], *, k1: float = 1.2, b: float = 0.75) -> float:
    """Equation 3.15 written as it is printed: one term of the query after the other."""
    mean_length = sum(len(terms(text)) for text in corpus) / len(corpus)
    counts = Counter(terms(document))
    score = 0.0
    for term in terms(query):
        n_with = sum(term in terms(text) for text in corpus)
        if not counts[term]:
            continue
        idf = math.log(1 + (len(corpus) - n_with + 0.5) / (n_with + 0.5))
        norm = (1 - b) + b * len(terms(document)) / mean_length
        tf = counts[term] / norm
        score += idf * tf / (k1 + tf)
    return score


# ---------------------------------------------------------------- terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD-wide 3rd snake_case", ["hello", "world", "wide", "3rd", "snake_case"]),
        ("Straße ﬁn Ｆｕｌｌ ①", ["strasse", "fin", "full", "1"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("검색 엔진", ["검색", "엔진"]),
        ("检索", ["检", "索", "检索"]),
        ("用BM25检索。", ["用", "bm25", "检", "索", "检索"]),
        ("テスト", ["テ", "ス", "ト", "テス", "スト"]),
        ("ที่นี่", ["ที่", "นี่", "ที่นี่"]),
        ("", []),
        ("... !?", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_terms_of_many_scripts(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_word_pairs_do_not_reach_across_a_stretch_without_spaces() -> None:
    assert terms("big red 猫 dog", ngrams=2) == ["big", "red", "big red", "猫", "dog"]
    assert terms("a b c", ngrams=3) == ["a", "b", "c", "a b", "b c", "a b c"]


@given(st.text())
def test_terms_do_not_depend_on_case_or_composition(text: str) -> None:
    import unicodedata

    assert terms(unicodedata.normalize("NFD", text)) == terms(unicodedata.normalize("NFC", text))
    assert all(term and not term.isspace() for term in terms(text))
    if text.isascii():
        assert terms(text.upper()) == terms(text.lower())


# ---------------------------------------------------------------- BM25


def test_bm25_of_three_documents_worked_by_hand() -> None:
    model = _bm25()
    model.fit(THREE)
    # "cat" is in 2 of 3: idf = ln(1 + 1.5 / 2.5) = ln 1.6; lengths 3, 2, 5, mean 10 / 3.
    # Document 0: tf 1, length norm 0.25 + 0.75 * 0.9 = 0.925; document 2: tf 2, 0.25 + 0.75 * 1.5 = 1.375.
    expected = [math.log(1.6) * 1 / (1.2 * 0.925 + 1), 0.0, math.log(1.6) * 2 / (1.2 * 1.375 + 2)]
    np.testing.assert_allclose(_scores(model, ["cat"], THREE)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(expected, [0.222751, 0.0, 0.257536], atol=5e-7)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.0, 0.5), (2.0, 0.0), (0.9, 1.0)])
def test_bm25_agrees_with_the_double_loop_of_the_paper(k1: float, b: float) -> None:
    queries = ["fox fox dog", "文本检索", "ค้นหา", "unknown words only", ""]
    model = _bm25(k1=k1, b=b)
    model.fit(MIXED)
    twin = [[_loop_bm25(query, document, MIXED, k1=k1, b=b) for document in MIXED] for query in queries]
    np.testing.assert_allclose(_scores(model, queries, MIXED), twin, rtol=1e-5, atol=1e-7)


def test_bm25_counts_words_outside_the_vocabulary_into_the_length() -> None:
    model = _bm25()
    model.fit(THREE)
    new = "cat zebra zebra zebra"
    np.testing.assert_allclose(_scores(model, ["cat"], [new])[0, 0], _loop_bm25("cat", new, THREE), rtol=1e-6)


def test_bm25_finds_the_chinese_passage_that_answers_the_question() -> None:
    passages = ["北京是中国的首都，位于华北平原。", "上海是中国最大的港口城市。", "大熊猫主要以竹子为食。"]
    model = _bm25()
    model.fit(passages)
    assert _scores(model, ["熊猫吃什么？", "中国的首都在哪里", "最大的港口"], passages).argmax(axis=1).tolist() == [
        2,
        0,
        1,
    ]


def test_bm25_needs_to_know_query_from_document() -> None:
    model = _bm25()
    model.fit(THREE)
    with pytest.raises(ValueError, match="role must be 'query' or 'document'"):
        model.encode_sparse(THREE)


# ---------------------------------------------------------------- tf-idf


@pytest.mark.parametrize("ngrams", [1, 2])
def test_tfidf_agrees_with_scikit_learns_vectorizer(ngrams: int) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text for text in MIXED if terms(text)]
    twin = TfidfVectorizer(analyzer=lambda text: terms(text, ngrams=ngrams), sublinear_tf=True, dtype=np.float32)
    expected = twin.fit(texts).transform([*MIXED, "fox fox fox unseen"]).toarray()
    model = _tfidf(ngrams=ngrams)
    model.fit(texts)
    np.testing.assert_allclose(model.encode_sparse([*MIXED, "fox fox fox unseen"]).toarray(), expected, atol=1e-6)  # type: ignore[attr-defined]


def test_tfidf_of_three_documents_worked_by_hand() -> None:
    model = _tfidf()
    model.fit(THREE)
    row = model.encode_sparse(["cat cat dog"]).toarray()[0]  # type: ignore[attr-defined]
    # Columns a, and, cat, dog, sat. idf: cat 1 + ln(4 / 3), dog 1 + ln(4 / 2); tf of cat 1 + ln 2.
    cat, dog = (1 + math.log(2)) * (1 + math.log(4 / 3)), 1 + math.log(2)
    np.testing.assert_allclose(row, np.array([0, 0, cat, dog, 0]) / math.hypot(cat, dog), rtol=1e-6)


def test_tfidf_keeps_the_most_frequent_terms_and_breaks_ties_by_alphabet() -> None:
    model = _tfidf(max_features=2)
    model.fit(["zebra cat", "zebra ant", "bee"])
    kept = model.encode_sparse(["zebra", "ant", "bee", "cat"]).toarray()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(kept, [[0, 1], [1, 0], [0, 0], [0, 0]])


def test_tfidf_breaks_hundreds_of_ties_by_alphabet() -> None:
    words = [f"w{number:03}" for number in range(300)]
    model = _tfidf(max_features=200)
    model.fit([*words, *words[::3]])
    known = np.diff(model.encode_sparse(words).indptr).astype(bool)  # type: ignore[attr-defined]
    once = [number for number in range(300) if number % 3]
    expected = set(range(0, 300, 3)) | set(once[:100])
    assert set(np.flatnonzero(known).tolist()) == expected


# ---------------------------------------------------------------- both


@pytest.mark.parametrize("make", [_tfidf, _bm25])
def test_rows_are_float32_csr_and_zero_for_a_text_without_a_known_word(make) -> None:
    from scipy.sparse import issparse

    model = make()
    model.fit(THREE)
    rows = model.encode_sparse(["", "?!", "zebra", "cat"], role="document")
    assert issparse(rows)
    assert rows.format == "csr"
    assert rows.dtype == np.float32
    assert rows.shape == (4, 5)
    assert np.diff(rows.indptr).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("make", [_tfidf, _bm25])
def test_the_order_of_the_texts_changes_nothing(make) -> None:
    forward, backward = make(), make()
    forward.fit(MIXED)
    backward.fit(MIXED[::-1])
    for role in ("query", "document"):
        a, b = forward.encode_sparse(MIXED, role=role), backward.encode_sparse(MIXED, role=role)
        np.testing.assert_array_equal(a.toarray(), b.toarray())


@pytest.mark.parametrize("make", [_tfidf, _bm25])
@pytest.mark.parametrize("texts", [[], [""], ["...", "!"]], ids=["none", "empty", "no word"])
def test_a_corpus_without_words_is_refused(make, texts: list[str]) -> None:
    with pytest.raises(ModelError, match=r"model 'my-\w+': no text of the task has a word"):
        make().fit(texts)


@pytest.mark.parametrize("make", [_tfidf, _bm25])
def test_encoding_before_fitting_is_refused(make) -> None:
    with pytest.raises(ValueError, match="has to be fitted"):
        make().encode_sparse(["cat"], role="query")


def test_a_second_fit_forgets_the_first_task() -> None:
    model = _bm25()
    model.fit(MIXED)
    model.fit(THREE)
    np.testing.assert_allclose(_scores(model, ["cat"], THREE)[0, 0], _loop_bm25("cat", THREE[0], THREE), rtol=1e-6)


def test_each_load_gives_a_model_of_its_own() -> None:
    handle = open_bm25(_spec("bm25"), CONTEXT)
    assert isinstance(handle, ModelHandle)
    assert handle.load() is not handle.load()


def test_what_the_handles_say_of_their_models() -> None:
    tfidf, bm25 = open_tfidf(_spec("tfidf"), CONTEXT), open_bm25(_spec("bm25"), CONTEXT)
    assert (tfidf.meta.name, tfidf.meta.similarity, tfidf.load().task_types) == ("my-tfidf", "cosine", None)
    assert (bm25.meta.name, bm25.meta.similarity) == ("my-bm25", "dot")
    assert bm25.load().task_types == {"Retrieval", "Reranking"}
    assert bm25.meta.notes[0] == "bm25 with k1=1.2, b=0.75, fitted on the texts of each task"
    for meta in (tfidf.meta, bm25.meta):
        assert (meta.dimension, meta.bytes_per_vector, meta.parameters) == (None, None, None)


def test_the_fingerprint_follows_the_parameters_and_not_the_label() -> None:
    def fingerprint(label: str = "x", **options: float) -> str:
        return open_bm25(ModelSpec(label=label, name="bm25", options=options), CONTEXT).meta.fingerprint

    assert fingerprint("x") == fingerprint("y") == fingerprint(k1=1.2, b=0.75)
    assert len({fingerprint(), fingerprint(k1=1.3), fingerprint(b=0.5)}) == 3
    assert fingerprint() != open_tfidf(_spec("tfidf"), CONTEXT).meta.fingerprint


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"variant": Variant(truncate_dim=64)}, r"a lexical model \(bm25\) has no dim, precision or normalize"),
        ({"variant": Variant(precision="int8")}, "has no dim, precision or normalize"),
        ({"prompts": {"query": "query: "}}, "has no prompts"),
        ({"max_seq_length": 128}, "has no max_seq_length"),
        ({"revision": "abc"}, "has no revision"),
        ({"options": {"k2": 1.0}}, r"unknown option 'k2'\. Allowed: b, k1"),
        ({"options": {"b": 1.5}}, "option 'b': should be a number of at least 0 and at most 1, got 1.5"),
    ],
    ids=["dim", "precision", "prompts", "length", "revision", "unknown option", "range"],
)
def test_a_setting_that_a_lexical_model_does_not_have_is_refused(setting, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_bm25(ModelSpec(label="lex", name="bm25", **setting), CONTEXT)
