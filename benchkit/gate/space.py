"""What swapping the model means for an index that holds the old model's vectors: keep it, or re-embed everything.

    SampledSpaces (texts of the suite under both models) ── cosine, CKA, neighbour overlap ──┐
    mixed scores (new queries on old vectors, by MTEB's own metrics) ────────────────────────┼─ SpaceReport ─ RuleResult
    ModelMeta of both (content, dimension) ──────────────────────────────────────────────────┘

"drop-in" is said where new queries find on the old vectors what they should. The first of these that is there decides:

1. one content: every vector is what it was;
2. retrieval tasks: on none of them does the mixed index lose more than TOLERANCE against the worse of the old index and
   a re-embedded one, and the two models agree on where a text lies at all (LEAST_COSINE);
3. no retrieval task: the vectors are nearly the same (SAME_COSINE), and so is what a search finds (SAME_OVERLAP).

Other dimensions, or a model with words instead of dimensions, are "re-embed": the old vectors can't even be searched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchkit.measure.space import NEIGHBOURS, SampledSpaces, linear_cka, mean_cosine, neighbour_overlap
from benchkit.types.gate import RuleResult, RuleVerdict, SpaceReport
from benchkit.types.model import ModelMeta

SpaceVerdict = Literal["drop-in", "re-embed", "unknown"]
SpaceFigures = tuple[float, float, float]  # baseline, new queries on old vectors, all re-embedded

RULE_ID = "compatibility/same_space"
# What the default policy lets the mean lose for another model; keeping the old vectors gets no more than that.
TOLERANCE = 0.005
# Below this the vectors of one text lie more than 60° apart on average, as those of unrelated texts do: no space is
# shared, and a mixed score that isn't lower then only says that both indexes are bad.
LEAST_COSINE = 0.5
# MiniLM with normal noise on its weight matrices, in shares of each one's own spread, on help-centre (208 articles, 168
# questions): 1 % leaves a cosine of 0.9995, a mixed overlap of 0.977 and moves nDCG@10 by 0.0003; 2 % 0.9978, 0.960 and
# 0.002; 5 % 0.986, 0.922 and 0.010. So these two let pass what no score would show.
SAME_COSINE = 0.999
SAME_OVERLAP = 0.95

_METRIC_WORDS = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR"}


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What the sampled vectors say; None where it can't be told."""

    n_queries: int = 0
    n_documents: int = 0
    mean_cosine: float | None = None
    cka: float | None = None
    neighbour_overlap: float | None = None
    mixed_overlap: float | None = None


@dataclass(frozen=True, slots=True)
class _Decision:
    verdict: SpaceVerdict
    sentence: str


def compare_spaces(
    *,
    candidate: ModelMeta,
    baseline: ModelMeta,
    vectors: SampledSpaces | None,
    mixed_scores: Mapping[str, SpaceFigures],
    metrics: Mapping[str, str] | None = None,
) -> SpaceReport:
    """Decide whether new queries can search the old vectors, and say it with the figures.

    Args:
        candidate, baseline: Facts of the variants as they are deployed (`PlannedModel.meta`).
        vectors: Texts of the suite under both; None where there are none, or where a model has no vectors.
        mixed_scores: By retrieval task: main score of the baseline, of new queries on its vectors, and of the candidate
            with everything re-embedded. A score that is missing is nan: it is never a drop-in.
        metrics: MTEB's name of each task's main score, for the sentence.
    """
    likeness = _likeness(vectors)
    decision = _decide(candidate, baseline, likeness, mixed_scores, metrics or {})
    return SpaceReport(
        n_texts=likeness.n_queries + likeness.n_documents,
        n_queries=likeness.n_queries,
        n_documents=likeness.n_documents,
        same_dimension=candidate.dimension is not None and candidate.dimension == baseline.dimension,
        mean_cosine=likeness.mean_cosine,
        cka=likeness.cka,
        neighbour_overlap=likeness.neighbour_overlap,
        mixed_overlap=likeness.mixed_overlap,
        mixed_scores=dict(mixed_scores),
        verdict=decision.verdict,
        sentence=decision.sentence,
    )


def judge_space(
    report: SpaceReport | None, same_space: Literal["ignore", "warn", "block"], why_none: str
) -> tuple[RuleResult, ...]:
    """Return the rule "compatibility/same_space", or none where the policy ignores it.

    Args:
        why_none: Why there is no report. A rule that blocks is then inconclusive with these words, for only a policy
            of one's own asks for that; one that warns is skipped.
    """
    if same_space == "ignore":
        return ()
    verdicts: dict[SpaceVerdict, RuleVerdict] = {"drop-in": "pass", "re-embed": "fail", "unknown": "inconclusive"}
    unseen: RuleVerdict = "inconclusive" if same_space == "block" else "skipped"
    rule = RuleResult(
        id=RULE_ID,
        group="compatibility",
        on="same_space",
        verdict=unseen if report is None else verdicts[report.verdict],
        severity=same_space,
        sentence=why_none if report is None else report.sentence,
    )
    return (rule,)


# ------------------------------------------------------------ the vectors


def _likeness(vectors: SampledSpaces | None) -> _Likeness:
    if vectors is None or not len(vectors.baseline_documents) or not len(vectors.baseline_queries):
        return _Likeness()
    n_queries, n_documents = len(vectors.baseline_queries), len(vectors.baseline_documents)
    same_dimension = vectors.baseline_documents.shape[1] == vectors.candidate_documents.shape[1]
    enough = n_documents > NEIGHBOURS  # with fewer, every document is a neighbour
    return _Likeness(
        n_queries=n_queries,
        n_documents=n_documents,
        mean_cosine=_cosine_of_texts(vectors) if same_dimension else None,
        cka=_cka_of_documents(vectors),
        neighbour_overlap=_overlap(vectors) if enough else None,
        mixed_overlap=_mixed_overlap(vectors) if enough and same_dimension else None,
    )


def _cosine_of_texts(vectors: SampledSpaces) -> float:
    queries = mean_cosine(vectors.baseline_queries, vectors.candidate_queries)
    documents = mean_cosine(vectors.baseline_documents, vectors.candidate_documents)
    n_queries, n_documents = len(vectors.baseline_queries), len(vectors.baseline_documents)
    return (n_queries * queries + n_documents * documents) / (n_queries + n_documents)


def _cka_of_documents(vectors: SampledSpaces) -> float | None:
    """Return CKA over the documents: what an index holds, and most of the texts."""
    if len(vectors.baseline_documents) < 2:
        return None
    value = linear_cka(vectors.baseline_documents, vectors.candidate_documents)
    return None if math.isnan(value) else value


def _overlap(vectors: SampledSpaces) -> float:
    return neighbour_overlap(
        vectors.baseline_queries,
        vectors.baseline_documents,
        vectors.candidate_queries,
        vectors.candidate_documents,
        similarity_a=vectors.baseline_similarity,
        similarity_b=vectors.candidate_similarity,
    )


def _mixed_overlap(vectors: SampledSpaces) -> float:
    return neighbour_overlap(
        vectors.candidate_queries,
        vectors.baseline_documents,
        vectors.candidate_queries,
        vectors.candidate_documents,
        # The old index compares as it was set up to.
        similarity_a=vectors.baseline_similarity,
        similarity_b=vectors.candidate_similarity,
    )


# ------------------------------------------------------------ the decision


def _decide(
    candidate: ModelMeta,
    baseline: ModelMeta,
    likeness: _Likeness,
    scores: Mapping[str, SpaceFigures],
    metrics: Mapping[str, str],
) -> _Decision:
    if candidate.fingerprint == baseline.fingerprint and candidate.dimension == baseline.dimension:
        return _Decision("drop-in", _one_content(candidate, baseline))
    if candidate.dimension is None or baseline.dimension is None:
        return _Decision("re-embed", _without_vectors(candidate, baseline))
    if candidate.dimension != baseline.dimension:
        return _Decision("re-embed", _other_dimension(candidate, baseline))
    if scores:
        return _by_scores(likeness, scores, metrics)
    return _by_vectors(likeness)


def _one_content(candidate: ModelMeta, baseline: ModelMeta) -> str:
    sentence = "drop-in: the same model by content; every stored vector stays what it is"
    if candidate.precision == baseline.precision:
        return sentence
    return f"{sentence} (as {baseline.precision}; {candidate.precision} needs them converted or encoded again)"


def _without_vectors(candidate: ModelMeta, baseline: ModelMeta) -> str:
    lexical = [meta.name for meta in (candidate, baseline) if meta.dimension is None]
    if len(lexical) == 1:
        return (
            f"re-embed everything: {lexical[0]} has no dense vectors (it weighs words), so an index of one model can't "
            "be searched with queries of the other"
        )
    return "re-embed everything: both models weigh words, each with weights of its own; the index has to be built again"


def _other_dimension(candidate: ModelMeta, baseline: ModelMeta) -> str:
    assert candidate.dimension is not None
    assert baseline.dimension is not None
    sizes = f"the old vectors have {baseline.dimension} dimensions, the new model makes {candidate.dimension}"
    if candidate.fingerprint == baseline.fingerprint and candidate.dimension < baseline.dimension:
        return (
            f"re-embed everything, or cut the stored vectors: {sizes}, the first ones of the same model; as it is, the "
            "old index can't be searched"
        )
    return f"re-embed everything: {sizes}; the old index can't even be searched"


def _by_scores(likeness: _Likeness, scores: Mapping[str, SpaceFigures], metrics: Mapping[str, str]) -> _Decision:
    known = {task: figures for task, figures in scores.items() if all(map(math.isfinite, figures))}
    losses = {task: min(before, again) - mixed for task, (before, mixed, again) in known.items()}
    losing = [task for task, loss in losses.items() if loss > TOLERANCE]
    # The task that decides: the largest loss, and the first named of equal ones.
    worst = max(losses, key=losses.__getitem__, default="")
    if losing:
        others = f"; {_other_tasks(len(losing) - 1)} as well" if len(losing) > 1 else ""
        return _Decision("re-embed", f"re-embed everything: {_reach(worst, known, metrics, digits=3)}{others}")
    if missing := [task for task in scores if task not in known]:
        return _Decision("unknown", f"unknown: no score of new queries on the old vectors on {', '.join(missing)}")
    figures = _reach(worst, known, metrics, digits=4)
    if likeness.mean_cosine is not None and likeness.mean_cosine < LEAST_COSINE:
        return _Decision(
            "re-embed", f"re-embed everything: not the same space ({_cosine_words(likeness)}), though {figures}"
        )
    others = f", the least of {len(known)} retrieval tasks" if len(known) > 1 else ""
    return _Decision("drop-in", f"drop-in: {_space_words(likeness)}; {figures}{others}")


def _by_vectors(likeness: _Likeness) -> _Decision:
    cosine, overlap = likeness.mean_cosine, likeness.mixed_overlap
    if cosine is None:
        return _Decision("unknown", "unknown: the suite has no texts to compare the two spaces on")
    if cosine < SAME_COSINE:
        words = f"not the same space ({_cosine_words(likeness)})"
        return _Decision("re-embed", f"re-embed everything: {words}{_found('; ', overlap)}")
    if overlap is None:
        n = likeness.n_documents
        return _Decision("unknown", f"unknown: {_space_words(likeness)}, but {n} documents are too few for a search")
    if overlap < SAME_OVERLAP:
        return _Decision("re-embed", f"re-embed everything: {_cosine_words(likeness)}, yet {_found('', overlap)} only")
    return _Decision("drop-in", f"drop-in: {_space_words(likeness)}{_found('; ', overlap)}")


# ------------------------------------------------------------ words


def _reach(task: str, scores: Mapping[str, SpaceFigures], metrics: Mapping[str, str], *, digits: int) -> str:
    before, mixed, again = (f"{figure:.{digits}f}" for figure in scores[task])
    metric = f" {metric_words(metrics[task])}" if task in metrics else ""
    return (
        f"new queries on the old vectors reach {mixed}{metric} on {task}, {again} after re-embedding ({before} before)"
    )


def metric_words(name: str) -> str:
    """Return MTEB's name of a metric as people write it.

    >>> metric_words("ndcg_at_10"), metric_words("recall_at_100")
    ('nDCG@10', 'recall@100')
    """
    kind, _, depth = name.partition("_at_")
    return f"{_METRIC_WORDS.get(kind, kind)}@{depth}" if re.fullmatch("[0-9]+", depth) else name


def _other_tasks(n: int) -> str:
    return "1 other retrieval task loses" if n == 1 else f"{n} other retrieval tasks lose"


def _space_words(likeness: _Likeness) -> str:
    if likeness.mean_cosine is None:
        return "no loss"
    near = "same space" if likeness.mean_cosine >= SAME_COSINE else "near enough a space"
    return f"{near} ({_cosine_words(likeness)})"


def _cosine_words(likeness: _Likeness) -> str:
    assert likeness.mean_cosine is not None
    # Cut, not rounded: what is below 1 must not read as 1.
    shown = math.floor(likeness.mean_cosine * 1e5) / 1e5
    return f"mean cosine {shown:.5f}"


def _found(before: str, overlap: float | None) -> str:
    if overlap is None:
        return ""
    share = math.floor(overlap * 1000) / 10
    return (
        f"{before}on the old vectors new queries find {share:.1f} % of the {NEIGHBOURS} documents that they find after "
        "re-embedding"
    )
