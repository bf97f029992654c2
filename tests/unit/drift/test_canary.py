"""What canaries say of a change: nothing where nothing changed, and each harm by its own figure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from benchkit.drift.canary import Canaries, choose_canaries, make_canaries, measure_harm, ndcg_at_10, search_change

N, DIMENSION, N_CLUSTERS = 120, 16, 6


def _texts(n):
    return [f"text {number}" for number in range(n)]


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    centres = 2 * rng.standard_normal((N_CLUSTERS, DIMENSION))
    rows = centres[np.arange(N) % N_CLUSTERS] + 0.8 * rng.standard_normal((N, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def canaries(vectors):
    return make_canaries(_texts(N), vectors, clusters=np.arange(N) % N_CLUSTERS)


@pytest.fixture(scope="module")
def judged(vectors):
    """The first 40 texts are queries; each has the documents of its cluster as relevant, one of them more so."""
    qrels = {
        query: {document: 1 + (document < 60) for document in range(40, N) if (document - query) % N_CLUSTERS == 0}
        for query in range(40)
    }
    clusters = np.arange(N) % N_CLUSTERS
    return make_canaries(_texts(N), vectors, clusters=clusters, queries=range(40), qrels=qrels)


def _rotation(dimension):
    return ortho_group.rvs(dimension, random_state=np.random.default_rng(5))


# ------------------------------------------------------------ figures


def test_nothing_changed_is_said_by_every_figure(judged, vectors):
    harm = measure_harm(judged, vectors)
    assert harm.n_canaries == N
    assert (harm.identity, harm.worst_identity) == pytest.approx((1, 1), abs=1e-6)
    assert (harm.overlap_at_10, harm.mixed_overlap_at_10, harm.top1_agreement) == (1, 1, 1)
    assert harm.pseudo_label_accuracy == harm.pseudo_label_before > 0.9
    assert harm.ndcg_at_10 == harm.ndcg_before > 0.8
    assert (harm.ndcg_change_low, harm.ndcg_change_high) == (0, 0)


def test_a_rotated_model_keeps_the_rebuilt_index_and_ruins_the_live_one(judged, vectors):
    harm = measure_harm(judged, vectors @ _rotation(DIMENSION))
    assert harm.overlap_at_10 == 1
    assert harm.identity < 0.5
    assert harm.mixed_overlap_at_10 < 0.4
    assert harm.top1_agreement < 0.4
    assert harm.pseudo_label_accuracy < 0.6 < harm.pseudo_label_before
    assert harm.ndcg_change_high < -0.2
    assert harm.ndcg_change_low < harm.ndcg_at_10 - harm.ndcg_before < harm.ndcg_change_high


def test_a_change_of_arithmetic_is_seen_and_harmless(judged, vectors):
    rounded = np.round(vectors * 127) / 127  # int8
    harm = measure_harm(judged, rounded)
    assert 0.999 < harm.identity < 1 - 1e-6
    assert harm.mixed_overlap_at_10 > 0.95
    assert harm.ndcg_change_low <= 0 <= harm.ndcg_change_high


def test_other_lengths_are_not_another_direction(canaries, vectors):
    harm = measure_harm(canaries, 4.7 * vectors)
    assert harm.identity == pytest.approx(1, abs=1e-6)
    assert harm.overlap_at_10 == harm.mixed_overlap_at_10 == 1


def test_another_dimension_leaves_the_rebuilt_overlap_only(judged, vectors):
    harm = measure_harm(judged, np.pad(vectors, ((0, 0), (0, 3))))
    assert harm.overlap_at_10 == 1
    assert harm.pseudo_label_before is not None
    live = (harm.identity, harm.worst_identity, harm.mixed_overlap_at_10, harm.top1_agreement)
    assert (*live, harm.pseudo_label_accuracy, harm.ndcg_at_10, harm.ndcg_change_low) == (None,) * 7


def test_five_texts_are_enough_to_see_a_swapped_model(vectors):
    few = make_canaries(_texts(5), vectors[:5], clusters=np.zeros(5, dtype=np.int64))
    same, swapped = measure_harm(few, vectors[:5]), measure_harm(few, vectors[:5] @ _rotation(DIMENSION))
    assert same.worst_identity > 0.99999
    assert swapped.identity < 0.6
    assert (swapped.overlap_at_10, swapped.mixed_overlap_at_10, swapped.top1_agreement) == (None, None, None)
    assert (swapped.pseudo_label_accuracy, swapped.pseudo_label_before, swapped.ndcg_at_10) == (None, None, None)


@pytest.mark.parametrize(("n", "told"), [(29, False), (30, True)])
def test_rankings_of_fewer_than_thirty_are_not_told(vectors, n, told):
    few = make_canaries(_texts(n), vectors[:n], clusters=np.arange(n) % N_CLUSTERS)
    assert (measure_harm(few, vectors[:n]).overlap_at_10 is not None) == told


@pytest.mark.parametrize(("n_queries", "told"), [(9, False), (10, True)])
def test_rankings_of_fewer_than_ten_queries_are_not_told(vectors, n_queries, told):
    few = make_canaries(_texts(N), vectors, clusters=np.arange(N) % N_CLUSTERS, queries=range(n_queries))
    assert (measure_harm(few, vectors).top1_agreement is not None) == told


def test_identity_is_the_mean_and_the_worst_of_the_cosines_by_hand():
    few = make_canaries(_texts(3), np.eye(3), clusters=np.zeros(3, int))
    harm = measure_harm(few, np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 4.0], [0.0, 0.0, 1.0]]))
    assert (harm.identity, harm.worst_identity) == pytest.approx((2.6 / 3, 0.6))


def test_the_worst_canaries_are_those_that_lost_most_neighbours_by_hand(canaries, vectors):
    """Two texts get another vector; what each finds now, and how much of it is old, follows from the vectors alone."""
    now = vectors.copy()
    now[7], now[50] = -vectors[7], vectors[51]
    worst = measure_harm(canaries, now).worst
    cosines = now.astype(np.float64) @ now.T - 2 * np.eye(N)
    found = np.argsort(-np.round(cosines, 9), axis=1, kind="stable")[:, :10]
    kept = [len(set(found[i]) & set(canaries.neighbours[i])) / 10 for i in range(N)]
    assert len(worst) == 10
    by_text = {change.text: change for change in worst}
    for change in worst:
        place = canaries.texts.index(change.text)
        assert change.overlap_at_10 == pytest.approx(kept[place])
        assert change.nearest_before == canaries.texts[canaries.neighbours[place, 0]]
        assert change.nearest_now == canaries.texts[found[place, 0]]
        assert change.identity == pytest.approx(float(vectors[place] @ now[place]), abs=1e-6)
    order = [(change.overlap_at_10, change.identity) for change in worst]
    assert order == sorted(order)
    assert order[-1][0] <= sorted(kept)[9] + 1e-12
    assert by_text[canaries.texts[7]].identity == pytest.approx(-1)


def test_lost_neighbours_weigh_more_than_a_lost_cosine(canaries, vectors):
    now = vectors + 0.3 * np.random.default_rng(8).standard_normal(vectors.shape)
    worst = measure_harm(canaries, now).worst
    order = [(change.overlap_at_10, change.identity) for change in worst]
    assert order == sorted(order)
    assert [identity for _, identity in order] != sorted(identity for _, identity in order)


def test_an_unchanged_model_has_no_worst_canaries_and_other_lengths_are_no_change(canaries, judged, vectors):
    assert measure_harm(canaries, vectors).worst == ()
    assert measure_harm(judged, 4.7 * vectors).worst == ()


@pytest.mark.parametrize("copies", [2, 5, 20])
def test_near_duplicates_that_rounding_sorts_anew_are_no_change(vectors, copies):
    # Texts that differ by their case alone, embedded in other batches.
    texts = np.repeat(vectors[: len(vectors) // copies], copies, axis=0)
    rng = np.random.default_rng(9)
    stored, now = (texts + 1e-7 * rng.standard_normal(texts.shape).astype(np.float32) for _ in range(2))
    names = [f"text {place}" for place in range(len(texts))]
    harm = measure_harm(make_canaries(names, stored, clusters=np.zeros(len(texts), np.int64)), now)
    assert (harm.overlap_at_10, harm.mixed_overlap_at_10, harm.top1_agreement) == (1, 1, 1)
    assert harm.worst == ()


def test_only_texts_that_search_are_among_the_worst_and_find_documents(judged, vectors):
    worst = measure_harm(judged, vectors @ np.diag(np.r_[np.zeros(3), np.ones(DIMENSION - 3)])).worst
    places = [judged.texts.index(change.text) for change in worst]
    assert worst
    assert max(places) < 40
    assert min(judged.texts.index(change.nearest_now) for change in worst) >= 40


def test_what_no_ranking_or_no_cosine_tells_of_has_no_worst_canaries(judged, vectors):
    few = make_canaries(_texts(29), vectors[:29], clusters=np.arange(29) % N_CLUSTERS)
    assert measure_harm(few, vectors[:29] @ _rotation(DIMENSION)).worst == ()
    assert measure_harm(judged, np.pad(-vectors, ((0, 0), (0, 3)))).worst == ()


def test_a_long_canary_is_cut_in_a_report(vectors):
    long = make_canaries(tuple(f"{n}" + "x" * 9000 for n in range(N)), vectors, clusters=np.arange(N) % N_CLUSTERS)
    (first, *_) = measure_harm(long, vectors @ _rotation(DIMENSION) * np.r_[9.0, np.ones(DIMENSION - 1)]).worst
    assert {len(text) for text in (first.text, first.nearest_before, first.nearest_now)} == {500}


def test_texts_keep_their_roles_though_all_search_among_all(vectors):
    roles = ("query", "document", None) * 10
    given = {"clusters": np.arange(30) % N_CLUSTERS, "roles": roles}
    one = make_canaries(_texts(30), vectors[:30], **given)
    assert (one.roles, one.is_query) == (roles, None)
    assert len(one.neighbours) == 30
    again = Canaries.from_arrays(one.to_arrays(), one.texts)
    assert (again.roles, again.is_query) == (roles, None)
    assert make_canaries(_texts(30), vectors[:30], **given | {"roles": (None,) * 30}).roles is None


def test_canaries_of_an_older_baseline_have_the_roles_of_their_queries(judged, canaries):
    for one, roles in ((judged, judged.roles), (canaries, None)):
        stored = {name: array for name, array in one.to_arrays().items() if name != "roles"}
        assert Canaries.from_arrays(stored, one.texts).roles == roles


def test_no_text_finds_itself(canaries, vectors):
    assert not (canaries.neighbours == np.arange(N)[:, None]).any()
    scores = vectors.astype(np.float64) @ vectors.T - 2 * np.eye(N)
    assert canaries.neighbours[:, 0].tolist() == scores.argmax(axis=1).tolist()


def test_one_text_alone_has_an_identity():
    alone = make_canaries(["a"], np.ones((1, 3)), clusters=np.array([0]))
    assert measure_harm(alone, np.array([[1.0, 1.0, 0.0]])).identity == pytest.approx(np.sqrt(2 / 3))


def test_texts_whose_vectors_are_exchanged_find_each_other_first(vectors):
    """By hand: text i has the vector of its partner now, so the partner is its first hit, with a cosine of 1."""
    partner = np.arange(40) ^ 1  # 0 and 1, 2 and 3, ...
    clusters = np.arange(40) // 2
    clusters[10:] = np.arange(30)  # partners share a cluster in the first five pairs only
    few = make_canaries(_texts(40), vectors[:40], clusters=clusters)
    change = search_change(few, vectors[:40][partner], few.vectors)
    assert change.pseudo_label_accuracy == 10 / 40
    assert change.top1_agreement == np.mean(few.neighbours[:, 0] == partner)
    # Rebuilt, every text has its partner's ranking, with the partner's place and its own exchanged.
    exchanged = [partner[few.neighbours[partner[i]]] for i in range(40)]
    shared = [len(set(exchanged[i]) & set(few.neighbours[i])) / 10 for i in range(40)]
    rebuilt = search_change(few, vectors[:40][partner], vectors[:40][partner])
    assert rebuilt.overlap_at_10 == pytest.approx(np.mean(shared))


def test_more_noise_leaves_less(canaries, vectors):
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(vectors.shape)
    overlaps = [measure_harm(canaries, vectors + share * noise).mixed_overlap_at_10 for share in (0, 0.02, 0.1, 0.5)]
    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[0] == 1
    assert overlaps[-1] < 0.6


def test_order_of_the_texts_changes_no_figure(canaries, vectors):
    rng = np.random.default_rng(4)
    order, now = rng.permutation(N), vectors + 0.1 * rng.standard_normal(vectors.shape)
    mixed = make_canaries(_texts(N), vectors[order], clusters=(np.arange(N) % N_CLUSTERS)[order])
    a, b = measure_harm(canaries, now), measure_harm(mixed, now[order])
    for name in ("identity", "worst_identity", "overlap_at_10", "mixed_overlap_at_10", "top1_agreement"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-12)


def test_queries_search_among_documents_only(judged):
    assert judged.roles[:41] == ("query",) * 40 + ("document",)
    assert judged.neighbours.min() >= 40
    assert judged.neighbours.shape == (40, 10)


def test_a_silent_swap_of_the_queries_alone_is_what_the_live_search_sees(judged, vectors):
    swapped = vectors.copy()
    swapped[:40] = vectors[:40] @ _rotation(DIMENSION)
    harm = measure_harm(judged, swapped)
    assert harm.mixed_overlap_at_10 == harm.overlap_at_10 < 0.4


# ------------------------------------------------------------ nDCG


def test_ndcg_by_hand():
    line = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    canaries = make_canaries(_texts(4), line, clusters=np.zeros(4, int), queries=[0], qrels={0: {2: 1, 3: 2, 1: -1}})
    # Found: 1, 2, 3 with gains 0, 1, 2; best: 2, 1.
    expected = (1 / np.log2(3) + 2 / 2) / (2 + 1 / np.log2(3))
    assert ndcg_at_10(canaries, line, line).tolist() == pytest.approx([expected])


def test_ndcg_is_that_of_trec_eval(judged, vectors):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(6)
    now = vectors + 0.15 * rng.standard_normal(vectors.shape)
    qrels: dict[str, dict[str, int]] = {}
    for query, document, grade in judged.judgements.tolist():
        qrels.setdefault(str(query), {})[str(document)] = grade
    scores = (now / np.linalg.norm(now, axis=1, keepdims=True))[:40] @ vectors[40:].T.astype(np.float64)
    run = {str(q): {str(40 + d): float(score) for d, score in enumerate(row)} for q, row in enumerate(scores)}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    expected = [found[str(query)]["ndcg_cut_10"] for query in range(40)]
    np.testing.assert_allclose(ndcg_at_10(judged, now, judged.vectors), expected, atol=1e-9)
    assert measure_harm(judged, now).ndcg_at_10 == pytest.approx(np.mean(expected))


def test_the_interval_of_a_total_loss_stays_where_a_change_of_ndcg_can_be(vectors):
    """Each query found its twin first; now one alone does, far behind."""
    twins = np.vstack([vectors[:20], vectors])
    qrels = {query: {20 + query: 1} for query in range(20)}
    canaries = make_canaries(_texts(N + 20), twins, clusters=np.zeros(N + 20, int), queries=range(20), qrels=qrels)
    now = twins.copy()
    now[:20] = -twins[:20]
    now[0] = vectors[0] + 2 * vectors[N_CLUSTERS]  # another of its cluster comes first
    harm = measure_harm(canaries, now)
    assert harm.ndcg_before == 1
    assert 0 < harm.ndcg_at_10 < 0.04
    assert -1 <= harm.ndcg_change_low < -0.9
    assert harm.ndcg_change_low < harm.ndcg_at_10 - 1 < harm.ndcg_change_high


def test_three_judged_queries_have_a_score_and_no_interval(vectors):
    qrels = {query: {50 + query: 1} for query in range(3)} | {3: {60: 0}}
    few = make_canaries(_texts(N), vectors, clusters=np.zeros(N, int), queries=range(40), qrels=qrels)
    harm = measure_harm(few, vectors)
    assert harm.ndcg_at_10 == harm.ndcg_before is not None
    assert (harm.ndcg_change_low, harm.ndcg_change_high) == (None, None)


# ------------------------------------------------------------ choice and storage


def test_canaries_are_chosen_in_proportion_to_the_clusters():
    clusters = np.repeat([7, 3, 5], [600, 300, 100])
    rows = np.random.default_rng(0).standard_normal((1000, 3))
    chosen = choose_canaries(rows, clusters, 57, seed=1)
    labels, counts = np.unique(clusters[chosen], return_counts=True)
    # 34.2, 17.1 and 5.7
    assert dict(zip(labels.tolist(), counts.tolist(), strict=True)) == {7: 34, 3: 17, 5: 6}
    assert len(np.unique(chosen)) == 57
    assert chosen.tolist() == sorted(chosen.tolist()) == choose_canaries(rows, clusters, 57, seed=1).tolist()
    assert chosen.tolist() != choose_canaries(rows, clusters, 57, seed=2).tolist()


def test_no_vector_is_chosen_twice():
    rows = np.repeat(np.eye(4), [50, 1, 1, 1], axis=0)
    assert len(choose_canaries(rows, np.zeros(53, int), 10)) == 4


def test_canaries_survive_storage(judged, canaries, vectors):
    for one in (judged, canaries):
        again = Canaries.from_arrays(one.to_arrays(), one.texts)
        assert (again.texts, again.similarity, again.roles) == (one.texts, one.similarity, one.roles)
        for name, array in one.to_arrays().items():
            np.testing.assert_array_equal(array, again.to_arrays()[name])
            assert array.dtype == again.to_arrays()[name].dtype
        assert measure_harm(again, vectors) == measure_harm(one, vectors)


# ------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": ["a"]}, "1 canary texts, 3 vectors and 3 clusters"),
        ({"texts": [], "vectors": np.zeros((0, 3)), "clusters": np.zeros(0, int)}, "no canary texts"),
        ({"vectors": np.full((3, 3), np.inf)}, "3 of 3 vectors hold NaN or infinity"),
        ({"queries": [3]}, "query 3 is none of the 3 canary texts"),
        ({"queries": [0, 1, 2]}, "3 of 3 canary texts are queries: a search needs queries and documents"),
        ({"queries": []}, "0 of 3 canary texts are queries"),
        ({"queries": [0], "qrels": {1: {2: 1}}}, "the judgement of text 2 for text 1 is not of a document for a query"),
        ({"qrels": {0: {0: 1}}}, "the judgement of text 0 for text 0 is not"),
        ({"roles": ["query", "passage", None]}, "a canary's role is 'query', 'document' or none, got 'passage'"),
        ({"roles": ["query"]}, "3 canary texts, but 1 roles"),
    ],
    ids=[
        "texts",
        "none",
        "broken",
        "no such query",
        "all queries",
        "no queries",
        "judged document",
        "judged itself",
        "no such role",
        "roles",
    ],
)
def test_canaries_that_can_not_be_are_refused(change, message):
    given = {"texts": ["a", "b", "c"], "vectors": np.eye(3), "clusters": np.zeros(3, int)} | change
    with pytest.raises(ValueError, match=message):
        make_canaries(given.pop("texts"), given.pop("vectors"), **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": None}, "canaries lack vectors"),
        ({"similarity": np.array([9])}, "compared in an unknown way: 9"),
        ({"vectors": np.zeros((4, 2), np.float32)}, "120 canary texts, but 4 vectors"),
        ({"clusters": np.zeros(4)}, "120 canary texts, but 4 clusters"),
        ({"is_query": np.ones(4, bool)}, "120 canary texts, but 4 marks of queries"),
        ({"neighbours": np.zeros((4, 10))}, "40 canaries search, but 4 rankings are stored"),
        ({"neighbours": np.full((40, 10), 120)}, "rankings name a canary that isn't there; there are 120"),
        ({"judgements": np.array([[0, -1, 1]])}, "judgements name a canary that isn't there"),
    ],
    ids=["missing", "similarity", "vectors", "clusters", "roles", "rankings", "ranked", "judged"],
)
def test_damaged_arrays_are_refused(judged, change, message):
    arrays = {name: array for name, array in (judged.to_arrays() | change).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        Canaries.from_arrays(arrays, judged.texts)


def test_vectors_of_other_texts_are_refused(canaries, vectors):
    with pytest.raises(ValueError, match="120 canaries, but 7 vectors of them"):
        measure_harm(canaries, vectors[:7])
    broken = vectors.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 120 vectors hold NaN or infinity"):
        measure_harm(canaries, broken)


def test_a_choice_that_can_not_be_is_refused():
    with pytest.raises(ValueError, match="2 vectors and 3 clusters"):
        choose_canaries(np.eye(2), np.zeros(3, int), 1)
    with pytest.raises(ValueError, match="at least one canary is needed, got 0"):
        choose_canaries(np.eye(2), np.zeros(2, int), 0)
