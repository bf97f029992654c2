"""Drop-in or re-embed: each ground for the decision, at its bounds, with the sentence that a person reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchkit.gate.space import LEAST_COSINE, TOLERANCE, compare_spaces, judge_space, metric_words
from benchkit.measure.space import SampledSpaces
from benchkit.types.gate import SpaceReport
from benchkit.types.model import ModelMeta

OLD = ModelMeta(name="old", id="old", revision=None, fingerprint="a", dimension=32)
NEW = replace(OLD, name="new", id="new", fingerprint="b")
HELP, SHOP = "help-centre", "shop"
NDCG = {HELP: "ndcg_at_10", SHOP: "map_at_1000"}


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rotation(dimension: int) -> np.ndarray:
    return np.linalg.qr(draw(9, dimension, dimension))[0].astype(np.float32)


def sampled(noise: float = 0.0, turn: np.ndarray | None = None, n_documents: int = 200) -> SampledSpaces:
    queries, documents = draw(1, 50, 32), draw(2, n_documents, 32)
    turn = np.eye(32, dtype=np.float32) if turn is None else turn
    return SampledSpaces(
        queries,
        documents,
        (queries + noise * draw(3, 50, 32)) @ turn,
        (documents + noise * draw(4, n_documents, 32)) @ turn,
    )


def compare(vectors: SampledSpaces | None = None, scores=None, candidate=NEW, baseline=OLD) -> SpaceReport:  # type: ignore[no-untyped-def]
    return compare_spaces(
        candidate=candidate, baseline=baseline, vectors=vectors, mixed_scores=scores or {}, metrics=NDCG
    )


# By content and dimension


def test_one_content_is_a_drop_in_whatever_else_was_seen() -> None:
    report = compare(sampled(turn=rotation(32)), {HELP: (0.8, 0.1, 0.8)}, candidate=replace(NEW, fingerprint="a"))
    assert report.verdict == "drop-in"
    assert report.sentence == "drop-in: the same model by content; every stored vector stays what it is"


def test_one_content_in_another_precision_says_so() -> None:
    report = compare(candidate=replace(OLD, precision="int8"))
    assert report.verdict == "drop-in"
    assert report.sentence.endswith("stays what it is (as float32; int8 needs them converted or encoded again)")


def test_another_dimension_is_re_embedded_and_still_compared() -> None:
    queries, documents = draw(1, 50, 32), draw(2, 200, 32)
    wider = np.hstack([np.eye(32), np.zeros((32, 16))]).astype(np.float32)
    report = compare(
        SampledSpaces(queries, documents, queries @ wider, documents @ wider), candidate=replace(NEW, dimension=48)
    )
    assert (report.verdict, report.same_dimension, report.mean_cosine, report.mixed_overlap) == (
        *("re-embed", False),
        *(None, None),
    )
    assert report.cka == pytest.approx(1.0)
    assert report.neighbour_overlap == 1.0
    assert report.sentence == (
        "re-embed everything: the old vectors have 32 dimensions, the new model makes 48; the old index can't even be "
        "searched"
    )


def test_fewer_dimensions_of_the_same_model_can_be_cut() -> None:
    report = compare(candidate=replace(OLD, dimension=16))
    assert report.verdict == "re-embed"
    assert report.sentence.startswith("re-embed everything, or cut the stored vectors: the old vectors have 32 ")
    assert "or cut" not in compare(candidate=OLD, baseline=replace(OLD, dimension=16)).sentence


@pytest.mark.parametrize(
    ("candidate", "baseline", "words"),
    [
        (replace(NEW, dimension=None), OLD, "new has no dense vectors (it weighs words)"),
        (NEW, replace(OLD, dimension=None), "old has no dense vectors (it weighs words)"),
        (replace(NEW, dimension=None), replace(OLD, dimension=None), "both models weigh words"),
    ],
)
def test_a_lexical_model_is_re_embedded(candidate: ModelMeta, baseline: ModelMeta, words: str) -> None:
    report = compare(candidate=candidate, baseline=baseline)
    assert (report.verdict, report.same_dimension, report.n_texts) == ("re-embed", False, 0)
    assert report.sentence.startswith("re-embed everything: ")
    assert words in report.sentence


# By scores


def test_a_collapse_of_the_mixed_index_is_told_with_its_figures() -> None:
    report = compare(sampled(turn=rotation(32)), {HELP: (0.843, 0.012, 0.871)})
    assert report.verdict == "re-embed"
    assert report.sentence == (
        "re-embed everything: new queries on the old vectors reach 0.012 nDCG@10 on help-centre, 0.871 after "
        "re-embedding (0.843 before)"
    )
    assert report.cka == pytest.approx(1.0)
    assert report.neighbour_overlap == 1.0
    assert report.mean_cosine is not None
    assert abs(report.mean_cosine) < 0.2
    assert report.mixed_overlap is not None
    assert report.mixed_overlap < 0.2
    assert report.mixed_scores == {HELP: (0.843, 0.012, 0.871)}
    assert (report.n_queries, report.n_documents, report.n_texts) == (50, 200, 250)


def test_a_drop_in_is_told_with_its_figures() -> None:
    report = compare(sampled(noise=1e-3), {HELP: (0.8430, 0.8431, 0.8432)})
    assert report.verdict == "drop-in"
    assert report.sentence == (
        "drop-in: same space (mean cosine 0.99999); new queries on the old vectors reach 0.8431 nDCG@10 on "
        "help-centre, 0.8432 after re-embedding (0.8430 before)"
    )


@pytest.mark.parametrize(("below", "verdict"), [(-1e-9, "drop-in"), (1e-9, "re-embed")])
@pytest.mark.parametrize(("before", "again"), [(0.8, 0.7), (0.7, 0.8), (0.7, 0.7)])
def test_the_worse_of_old_and_new_index_may_be_missed_by_the_tolerance(
    before: float, again: float, below: float, verdict: str
) -> None:
    assert compare(sampled(noise=0.1), {HELP: (before, 0.7 - TOLERANCE - below, again)}).verdict == verdict


def test_one_losing_task_behind_others_is_enough_and_is_the_one_named() -> None:
    fine = (0.8, 0.8, 0.8)
    report = compare(None, {HELP: fine, SHOP: (0.6, 0.55, 0.7), "third": fine})
    assert report.verdict == "re-embed"
    assert "reach 0.550 MAP@1000 on shop, 0.700 after" in report.sentence
    two = compare(None, {HELP: (0.8, 0.7, 0.8), SHOP: (0.6, 0.55, 0.7), "third": fine})
    assert "reach 0.700 nDCG@10 on help-centre" in two.sentence
    assert two.sentence.endswith("(0.800 before); 1 other retrieval task loses as well")


def test_the_tightest_of_several_tasks_is_named_for_a_drop_in() -> None:
    report = compare(sampled(noise=0.1), {HELP: (0.8, 0.8, 0.8), SHOP: (0.6, 0.599, 0.7), "third": (0.5, 0.6, 0.6)})
    assert report.sentence == (
        "drop-in: near enough a space (mean cosine 0.99500); new queries on the old vectors reach 0.5990 MAP@1000 on "
        "shop, 0.7000 after re-embedding (0.6000 before), the least of 3 retrieval tasks"
    )


def test_a_missing_score_is_never_a_drop_in() -> None:
    nan = float("nan")
    missing = compare(sampled(), {HELP: (0.8, 0.8, 0.8), SHOP: (0.8, nan, 0.8)})
    assert missing.verdict == "unknown"
    assert missing.sentence == "unknown: no score of new queries on the old vectors on shop"
    losing = compare(sampled(), {HELP: (0.8, 0.1, 0.8), SHOP: (0.8, nan, 0.8)})
    assert losing.verdict == "re-embed"
    assert compare(sampled(), {SHOP: (nan, nan, nan)}).verdict == "unknown"


def test_two_bad_indexes_are_not_one_space() -> None:
    # A broken candidate: re-embedding helps as little as keeping the old vectors does.
    report = compare(sampled(turn=rotation(32)), {HELP: (0.8, 0.02, 0.02)})
    assert report.verdict == "re-embed"
    assert report.sentence.startswith("re-embed everything: not the same space (mean cosine ")
    assert ", though new queries on the old vectors reach 0.0200 nDCG@10 on help-centre" in report.sentence
    assert LEAST_COSINE == 0.5


def test_scores_alone_decide_where_there_are_no_vectors() -> None:
    report = compare(None, {HELP: (0.8, 0.8, 0.8)})
    assert report.verdict == "drop-in"
    assert report.sentence.startswith("drop-in: no loss; new queries on the old vectors reach 0.8000")


# By vectors


def test_the_same_space_without_retrieval_tasks_is_a_drop_in() -> None:
    report = compare(sampled(noise=1e-3))
    assert report.verdict == "drop-in"
    assert report.sentence.startswith("drop-in: same space (mean cosine 0.99999); on the old vectors new queries find ")
    assert report.sentence.endswith(" % of the 10 documents that they find after re-embedding")


def test_a_near_space_without_retrieval_tasks_is_re_embedded() -> None:
    report = compare(sampled(noise=0.1))
    assert report.verdict == "re-embed"
    assert report.sentence.startswith("re-embed everything: not the same space (mean cosine 0.995")
    assert "on the old vectors new queries find " in report.sentence


def test_near_vectors_among_which_a_search_shifts_are_re_embedded() -> None:
    # All documents lie close together, as those of some models do: a cosine near 1 says little then.
    centre = 30 * draw(5, 1, 32)
    queries, documents = draw(1, 50, 32), centre + draw(2, 200, 32)
    vectors = SampledSpaces(queries, documents, queries, documents + 0.5 * draw(4, 200, 32))
    report = compare(vectors)
    assert report.mean_cosine is not None
    assert report.mean_cosine > 0.999
    assert report.verdict == "re-embed"
    assert ", yet on the old vectors new queries find " in report.sentence


def test_too_few_documents_for_a_search_leave_it_open() -> None:
    report = compare(sampled(n_documents=10))
    assert (report.verdict, report.neighbour_overlap, report.mixed_overlap) == ("unknown", None, None)
    assert report.sentence == "unknown: same space (mean cosine 1.00000), but 10 documents are too few for a search"
    assert compare(sampled(n_documents=11)).verdict == "drop-in"
    turned = compare(sampled(turn=rotation(32), n_documents=10))
    assert turned.verdict == "re-embed"
    assert turned.sentence.startswith("re-embed everything: not the same space (mean cosine ")


def test_without_texts_nothing_can_be_told() -> None:
    empty = SampledSpaces(draw(1, 1, 32), draw(1, 0, 32), draw(1, 1, 32), draw(1, 0, 32))
    for vectors in (None, empty):
        report = compare(vectors)
        assert report.verdict == "unknown"
        assert report.sentence == "unknown: the suite has no texts to compare the two spaces on"


def test_one_document_and_documents_that_are_alike_have_no_geometry() -> None:
    assert compare(sampled(n_documents=1)).cka is None
    queries, same = draw(1, 5, 32), np.ones((20, 32), np.float32)
    assert compare(SampledSpaces(queries, same, queries, same)).cka is None


def test_the_old_index_is_searched_with_its_own_similarity() -> None:
    queries, documents = draw(1, 50, 32), draw(2, 200, 32) * np.linspace(0.2, 3, 200, dtype=np.float32)[:, None]
    same = SampledSpaces(queries, documents, queries, documents, "dot", "dot")
    assert compare(same).mixed_overlap == compare(same).neighbour_overlap == 1.0
    other = compare(replace(same, candidate_similarity="cosine"))
    assert other.mixed_overlap is not None
    assert other.mixed_overlap < 0.9


def test_a_cosine_below_one_never_reads_as_one() -> None:
    report = compare(sampled(noise=1e-4))
    assert report.mean_cosine is not None
    assert 0.9999999 < report.mean_cosine < 1
    assert "mean cosine 0.99999" in report.sentence


# The rule


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ((0.8, 0.8, 0.8), "pass"),
        ((0.8, 0.1, 0.8), "fail"),
        ((0.8, float("nan"), 0.8), "inconclusive"),
    ],
)
@pytest.mark.parametrize("same_space", ["warn", "block"])
def test_the_rule_follows_the_report(scores, verdict: str, same_space: str) -> None:  # type: ignore[no-untyped-def]
    report = compare(sampled(), {HELP: scores})
    (rule,) = judge_space(report, same_space, "")  # type: ignore[arg-type]
    assert (rule.id, rule.group, rule.on) == ("compatibility/same_space", "compatibility", "same_space")
    assert (rule.verdict, rule.severity, rule.sentence) == (verdict, same_space, report.sentence)


def test_a_policy_that_ignores_the_space_has_no_rule() -> None:
    assert judge_space(compare(sampled()), "ignore", "") == ()
    assert judge_space(None, "ignore", "why") == ()


@pytest.mark.parametrize(("same_space", "verdict"), [("warn", "skipped"), ("block", "inconclusive")])
def test_without_a_report_a_rule_that_blocks_is_no_pass(same_space: str, verdict: str) -> None:
    (rule,) = judge_space(None, same_space, "both are stored results")  # type: ignore[arg-type]
    assert (rule.verdict, rule.severity, rule.sentence) == (verdict, same_space, "both are stored results")


def test_a_metric_that_is_none_of_ours_keeps_its_name() -> None:
    assert [metric_words(name) for name in ("mrr_at_5", "accuracy", "p_at_k")] == ["MRR@5", "accuracy", "p_at_k"]
