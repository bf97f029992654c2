"""Checks of a team's own retrieval data: judgements, copies, and queries that give their document away.

corpus {id: text}, queries {id: text}, qrels {query: {document: grade}} ──check_retrieval──> Findings
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchkit.suite.findings import (
    Finding,
    check_duplicates,
    check_texts,
    count,
    few_items,
    find_duplicates,
    finding,
    same_texts,
)
from benchkit.suite.text_facts import is_unspaced, words

# A copied run of this many words is no chance; 13 Chinese characters are about as long as 8 English words.
COPIED_WORDS, COPIED_CHARACTERS = 8, 13
# Shorter queries are key words, which are expected to stand in their documents.
LEAST_QUERY_WORDS = 4
# Above this share of query words in the relevant documents, matching words is enough to do well.
LEXICAL_OVERLAP = 0.8
# Most queries whose overlap is measured; the mean of 2,000 shares has a standard error of at most 0.011.
OVERLAP_QUERIES = 2_000

Qrels = Mapping[str, Mapping[str, int]]


def check_retrieval(corpus: Mapping[str, str], queries: Mapping[str, str], qrels: Qrels) -> list[Finding]:
    """Check the data of a retrieval or reranking task.

    Args:
        corpus: Document id -> text, with its title.
        queries: Query id -> text.
        qrels: Query id -> document id -> grade; above 0 is relevant.
    """
    relevant = {
        query: [document for document, grade in judged.items() if grade > 0 and document in corpus]
        for query, judged in qrels.items()
        if query in queries
    }
    return [
        *few_items(sum(bool(documents) for documents in relevant.values()), "judged query"),
        *_judgements(corpus, queries, qrels, relevant),
        *check_texts(queries, "query"),
        *check_texts(corpus, "document", empty="warning"),
        *check_duplicates(find_duplicates(queries), "query", "they count twice in the score"),
        *check_duplicates(find_duplicates(corpus), "document", "a model that finds the unjudged copy is called wrong"),
        *_judged_apart(corpus, relevant),
        *_copied_queries(corpus, queries, relevant),
        *_lexical_overlap(corpus, queries, relevant),
    ]


def _judgements(
    corpus: Mapping[str, str], queries: Mapping[str, str], qrels: Qrels, relevant: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    unknown_queries = [query for query in qrels if query not in queries]
    if unknown_queries:
        message = f"{count(len(unknown_queries), 'judged query')} not among the queries"
        yield finding("error", "unknown-query", message, unknown_queries)
    unknown = list(
        dict.fromkeys(document for judged in qrels.values() for document in judged if document not in corpus)
    )
    if unknown:
        message = f"{count(len(unknown), 'judged document')} not in the corpus, where no model can find it"
        yield finding("error", "unknown-document", message, unknown)
    without = [query for query in queries if not relevant.get(query)]
    if queries and len(without) == len(queries):
        yield finding("error", "no-relevant-document", "no query has a relevant document; there is nothing to score")
    elif without:
        message = f"{count(len(without), 'query')} without a relevant document, left out of the score"
        yield finding("warning", "query-without-relevant", message, without)
    yield from _distractors(corpus, relevant)


def _distractors(corpus: Mapping[str, str], relevant: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    wanted = {document for documents in relevant.values() for document in documents}
    never = [document for document in corpus if document not in wanted]
    if never:
        message = f"{count(len(never), 'document')} of {len(corpus):,} relevant to no query: they make the search real"
        yield finding("note", "never-relevant", message, never)
    elif corpus:
        message = "every document is relevant to a query; a search among real other documents is harder than this"
        yield finding("warning", "no-distractors", message)


def _judged_apart(corpus: Mapping[str, str], relevant: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    copies = {name: names for names in same_texts(corpus) for name in names}
    apart = []
    for query, documents in relevant.items():
        missed = {copy for document in documents for copy in copies.get(document, ())} - set(documents)
        apart += [f"{query}: {copy}" for copy in sorted(missed)]
    if apart:
        message = f"{count(len(apart), 'document')} not judged relevant though a copy of it is; judge both or drop one"
        yield finding("error", "copies-judged-apart", message, apart)


def _copied_queries(
    corpus: Mapping[str, str], queries: Mapping[str, str], relevant: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    whole: list[str] = []
    partly: list[str] = []
    for query, documents in relevant.items():
        asked = words(queries[query])
        for document in documents:
            text = f" {' '.join(words(corpus[document]))} "
            if len(asked) >= LEAST_QUERY_WORDS and f" {' '.join(asked)} " in text:
                whole.append(f"{query} in {document}")
            elif _shares_run(asked, text):
                partly.append(f"{query} in {document}")
    if whole:
        message = (
            f"{count(len(whole), 'query')} standing word for word in a relevant document; real users don't copy it"
        )
        yield finding("warning", "query-in-document", message, whole)
    if partly:
        message = (
            f"{count(len(partly), 'query')} with a run of {COPIED_WORDS} words or more copied from a relevant document"
        )
        yield finding("warning", "query-copies-document", message, partly)


def _shares_run(asked: Sequence[str], text: str) -> bool:
    length = COPIED_CHARACTERS if is_unspaced(list(asked)) else COPIED_WORDS
    return any(f" {' '.join(asked[i : i + length])} " in text for i in range(len(asked) - length + 1))


def _lexical_overlap(
    corpus: Mapping[str, str], queries: Mapping[str, str], relevant: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    judged = [query for query, documents in relevant.items() if documents and words(queries[query])]
    judged = judged[:: max(1, math.ceil(len(judged) / OVERLAP_QUERIES))]
    found, chance = _overlaps(corpus, queries, relevant, judged)
    if not judged or chance is None:
        return
    message = f"{found:.0%} of a query's words stand in its relevant document, {chance:.0%} in a random other one"
    if found >= LEXICAL_OVERLAP > chance:
        yield finding("warning", "lexical-overlap", f"{message}; matching words is enough to do well here")
    else:
        yield finding("note", "lexical-overlap", message)


def _overlaps(
    corpus: Mapping[str, str],
    queries: Mapping[str, str],
    relevant: Mapping[str, Sequence[str]],
    judged: Sequence[str],
) -> tuple[float, float | None]:
    """Return the mean share of query words in the best relevant document, and in one document drawn for each query."""
    rng = np.random.default_rng(0)
    documents = list(corpus)
    found: list[float] = []
    chance: list[float] = []
    for query in judged:
        asked = set(words(queries[query]))
        found.append(max(_share(asked, corpus[document]) for document in relevant[query]))
        drawn = documents[int(rng.integers(len(documents)))]
        if drawn not in relevant[query]:
            chance.append(_share(asked, corpus[drawn]))
    return float(np.mean(found)) if found else 0.0, float(np.mean(chance)) if chance else None


def _share(asked: set[str], text: str) -> float:
    return len(asked & set(words(text))) / len(asked)
