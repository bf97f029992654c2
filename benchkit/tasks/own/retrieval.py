"""A team's own folder for retrieval and reranking.

    corpus (_id, title, text) ─────────────────────┐
    queries (_id, text) ───────────────────────────┼─ read_retrieval ──> RetrievalData: the queries that can be scored
    qrels/test (query-id, corpus-id, score) ───────┤
    top_ranked (query-id, corpus-ids), reranking ──┘

Source: the files of BEIR (Thakur et al., NeurIPS 2021, Datasets and Benchmarks); `top_ranked` is MTEB's name.
Each file may be of any form that `files.py` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchkit.errors import SuiteError
from benchkit.tasks import readings
from benchkit.tasks.own.files import file_of, find_file
from benchkit.tasks.own.notes import few, text_notes
from benchkit.tasks.own.problems import Problems
from benchkit.tasks.own.table import Table

# What the library that computes nDCG can hold.
MAX_GRADE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RetrievalData:
    """A corpus, queries and graded judgements; `candidates` for reranking.

    Attributes:
        tags: Further facts of the queries that make slices, one text for each query, in their order.
    """

    corpus: dict[str, tuple[str, str]]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    candidates: dict[str, list[str]] | None
    notes: tuple[str, ...] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_retrieval(data: Path, *, reranking: bool) -> RetrievalData:
    """Read a folder in the BEIR layout: corpus, queries, qrels/test, and top_ranked for reranking.

    Raises:
        SuiteError: with every problem found: a missing file, an empty corpus, doubled ids, judgements of unknown
            queries or documents, no judged query at all.
    """
    if not data.is_dir():
        raise SuiteError(f"{data}: a folder is needed with corpus.jsonl, queries.jsonl and qrels/test.tsv")
    problems = Problems()
    corpus_table = Table(file_of(data, "corpus"), None, problems)
    query_table = Table(file_of(data, "queries"), None, problems)
    documents = corpus_table.identifiers("_id", "id", unique=True)
    titles, texts = corpus_table.texts("title", optional=True), corpus_table.texts("text")
    query_ids = query_table.identifiers("_id", "id", unique=True)
    query_texts = query_table.texts("text")
    if not corpus_table.rows:
        problems.add(f"{corpus_table.path}: the corpus is empty")
    if not query_table.rows:
        problems.add(f"{query_table.path}: there are no queries")
    problems.raise_if_any()
    corpus = dict(zip(documents, zip(titles, texts, strict=True), strict=True))
    queries = dict(zip(query_ids, query_texts, strict=True))
    qrels = _read_qrels(_qrels_file(data), queries, corpus, problems)
    candidates = _read_candidates(data, qrels, corpus, problems) if reranking else None
    documents_read = (f"{title} {text}" for title, text in corpus.values())
    notes = list(text_notes([corpus_table, query_table], [*documents_read, *queries.values()]))
    notes += filter(None, [readings.no_value_note([*titles, *texts, *query_texts], "text")])
    relevant = {query: judged for query, judged in qrels.items() if any(score > 0 for score in judged.values())}
    if len(relevant) < len(queries):
        left_out = sorted(set(queries) - set(relevant))
        notes.append(
            f"{len(left_out)} of {len(queries)} queries have no relevant document and are left out{few(left_out)}"
        )
    notes += _candidate_notes(candidates, queries, relevant)
    if not relevant:
        problems.add(f"{data}: no query has a relevant document (a judgement above 0)")
    if candidates is not None and not problems.total and not _can_be_wrong(candidates, relevant):
        problems.add(f"{data}: every candidate is relevant, so that any order is right; add others in top_ranked.jsonl")
    problems.raise_if_any()
    kept = [row for row, query in zip(query_table.rows, query_ids, strict=True) if query in relevant]
    return RetrievalData(
        corpus,
        {query: queries[query] for query in queries if query in relevant},
        relevant,
        candidates,
        tuple(notes),
        query_table.tags(kept),
    )


def _qrels_file(data: Path) -> Path:
    for folder, stems in ((data / "qrels", ("test", "validation", "dev")), (data, ("qrels",))):
        if folder.is_dir() and (found := find_file(folder, *stems)) is not None:
            return found
    raise SuiteError(f"{data}: no judgements; expected qrels/test.tsv with the columns query-id, corpus-id, score")


def _read_qrels(
    path: Path, queries: Mapping[str, str], corpus: Mapping[str, object], problems: Problems
) -> dict[str, dict[str, int]]:
    table = Table(path, None, problems)
    query_ids = table.identifiers("query-id", "query_id", unique=False)
    document_ids = table.identifiers("corpus-id", "corpus_id", unique=False)
    scores = table.numbers("score", default=1.0)
    if not table.rows:
        problems.add(f"{path}: no judgements below the header")
    elif query_ids and document_ids and (grades := table.grades_elsewhere("score")):
        problems.add(f"{path}: no column 'score', and {grades!r} holds numbers; call it score, or leave it out")
    qrels: dict[str, dict[str, int]] = {}
    for row, query, document, score in zip(table.rows, query_ids, document_ids, scores, strict=False):
        if query not in queries:
            problems.add(f"{row.place}: the query {query!r} is not among the queries")
        if document not in corpus:
            problems.add(f"{row.place}: the document {document!r} is not in the corpus")
        if score != int(score) or abs(score) > MAX_GRADE:
            problems.add(f"{row.place}: score should be a whole number up to {MAX_GRADE}, got {score:g}")
        earlier = qrels.setdefault(query, {}).setdefault(document, int(score))
        if earlier != int(score):
            problems.add(f"{row.place}: {query!r} and {document!r} were judged {earlier} before, now {score:g}")
    return qrels


def _read_candidates(
    data: Path, qrels: Mapping[str, Mapping[str, int]], corpus: Mapping[str, object], problems: Problems
) -> dict[str, list[str]]:
    path = find_file(data, "top_ranked")
    if path is None:
        # Reranking without a first stage: each query's judged documents are its candidates.
        return {query: list(judged) for query, judged in qrels.items()}
    table = Table(path, None, problems)
    query_ids = table.identifiers("query-id", "query_id", unique=False)
    lists = table.identifier_lists("corpus-ids", "corpus_ids")
    candidates: dict[str, list[str]] = {}
    for row, query, documents in zip(table.rows, query_ids, lists, strict=False):
        if unknown := [document for document in documents if document not in corpus]:
            problems.add(f"{row.place}: not in the corpus: {', '.join(unknown[:5])}")
        if query and query in candidates:
            problems.add(f"{row.place}: the candidates of {query!r} stand already on an earlier row")
        candidates[query] = documents
    for query in qrels:
        if not candidates.get(query):
            problems.add(f"{path}: no candidates for the query {query!r}")
    return candidates


def _can_be_wrong(candidates: Mapping[str, Sequence[str]], relevant: Mapping[str, Mapping[str, int]]) -> bool:
    return any(
        judged.get(document, 0) <= 0 for query, judged in relevant.items() for document in candidates.get(query, ())
    )


def _candidate_notes(
    candidates: Mapping[str, Sequence[str]] | None,
    queries: Mapping[str, str],
    relevant: Mapping[str, Mapping[str, int]],
) -> list[str]:
    if candidates is None:
        return []
    notes = []
    if unknown := sorted(set(candidates) - set(queries)):
        notes.append(f"candidates of ids that are not among the queries are left out: {len(unknown)}{few(unknown)}")
    lost = [
        query
        for query, judged in relevant.items()
        if not any(judged.get(document, 0) > 0 for document in candidates.get(query, ()))
    ]
    if lost:
        notes.append(
            f"{len(lost)} of {len(relevant)} queries have no relevant document among their candidates{few(lost)}"
        )
    return notes
