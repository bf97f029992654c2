"""Two sources by named methods: rows drawn fairly, p-values corrected, alarms where there is drift and only there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from monitored import ListSource, cut, draw

from benchkit.drift.detectors.mmd import MMD
from benchkit.errors import NotComparable, PluginError, SourceError, UsageError
from benchkit.monitor.two_samples import (
    DrawnRows,
    TwoSampleRequest,
    compare_samples,
    draw_rows,
    open_methods,
    run,
)
from benchkit.types.drift import DetectorResult, Rows


@dataclass
class Says:
    """A detector that says what it is told, and keeps what it was given."""

    name: str
    p_value: float | None
    drifted: bool = False
    paper: str = "none"
    given: list[tuple[np.ndarray, np.ndarray, float, int]] = field(default_factory=list)

    @property
    def has_p_value(self) -> bool:
        return self.p_value is not None

    def compare(self, reference, current, *, alpha=0.05, seed=0):
        self.given.append((reference, current, alpha, seed))
        return DetectorResult(self.name, 1.0, self.p_value, 0.5, self.drifted, len(reference), len(current))


def source(vectors, size=None, **columns):
    rows = Rows(vectors=vectors, **columns)
    return ListSource(cut(rows, size) if size else [rows])


def drawn(vectors, name="made-up"):
    return DrawnRows(name, vectors, len(vectors), 0)


def numbered(n):
    return np.arange(n, dtype=np.float32)[:, None] + np.zeros((1, 2), np.float32)


# ------------------------------------------------------------ rows


def test_all_rows_of_a_small_source_are_taken_in_order():
    found = draw_rows(source(numbered(30), 7), most=30)
    assert np.array_equal(found.vectors, numbered(30))
    assert (found.rows, found.broken) == (30, 0)


def test_batches_decide_nothing_and_the_order_stays():
    whole = draw_rows(source(numbered(500)), most=40, seed=3)
    assert len(whole.vectors) == 40
    assert np.all(np.diff(whole.vectors[:, 0]) > 0)
    for size in (1, 7, 499):
        assert np.array_equal(draw_rows(source(numbered(500), size), most=40, seed=3).vectors, whole.vectors)


def test_each_row_is_as_likely_as_any_other():
    # 400 draws of 10 from 40: each place 100 times on average, standard deviation 8.7.
    counts = np.zeros(40)
    for seed in range(400):
        counts[draw_rows(source(numbered(40), 9), most=10, seed=seed).vectors[:, 0].astype(int)] += 1
    assert counts.sum() == 4000
    assert np.all(np.abs(counts - 100) < 6 * 8.7)


def test_reference_and_current_get_rows_of_their_own():
    first, second = (draw_rows(source(numbered(500)), most=40, side=side).vectors for side in (0, 1))
    assert not np.array_equal(first, second)


def test_broken_rows_are_left_out_and_counted():
    vectors = numbered(20)
    vectors[3, 1], vectors[7, 0] = np.nan, np.inf
    found = draw_rows(source(vectors, 6), most=18)
    assert np.array_equal(found.vectors, np.delete(vectors, [3, 7], axis=0))
    assert (found.rows, found.broken) == (20, 2)


@pytest.mark.parametrize(("stored", "kept"), [("int8", "float32"), ("float16", "float32"), ("float64", "float64")])
def test_vectors_are_floats_whatever_is_stored(stored, kept):
    assert draw_rows(source(numbered(9).astype(stored), 4), most=5).vectors.dtype == kept


def test_texts_without_vectors_are_refused():
    texts = source(np.empty((2, 0), np.float32), texts=("a", "b"))
    with pytest.raises(SourceError, match="made-up: there are texts but no vectors; encode them first"):
        draw_rows(texts)
    with pytest.raises(ValueError, match="at least one row is drawn, got most=0"):
        draw_rows(texts, most=0)


def test_rows_of_two_dimensions_are_refused():
    mixed = ListSource([Rows(numbered(9)), Rows(numbered(9)[:, :1])])
    with pytest.raises(SourceError, match="made-up: its rows have 2 dimensions and 1: name the files of one model"):
        draw_rows(mixed)


# ------------------------------------------------------------ methods


def test_permutations_grow_with_the_methods_and_a_smaller_alpha():
    assert [method.permutations for method in open_methods(["mmd", "psi"], alpha=0.05)] == [199, 999]
    # Two methods at 0.001: the smaller p-value must be able to reach 0.0005.
    assert [method.permutations for method in open_methods(["mmd", "energy"], alpha=0.001)] == [1999, 1999]
    assert not hasattr(open_methods(["ks"], alpha=0.001)[0], "permutations")


def test_every_alpha_that_is_allowed_can_be_reached():
    rows = draw(0, 40)
    methods = open_methods(["mmd", "energy", "sliced-wasserstein"], alpha=0.005)
    report = compare_samples(drawn(rows), drawn(draw(1, 40, shift=9.0)), methods, alpha=0.005)
    assert [method.drifted for method in report.methods] == [True, True, True]
    assert [method.p_holm for method in report.methods] == pytest.approx([0.005] * 3)


@pytest.mark.parametrize(
    ("names", "alpha", "error", "message"),
    [
        ([], 0.05, UsageError, "no method named"),
        (["ks", "mmd", "ks"], 0.05, UsageError, "the method 'ks' is named twice"),
        (["mdm"], 0.05, PluginError, "Did you mean 'mmd'"),
        (["ks"], 0.0009, UsageError, "an alpha of 0.0009; allowed: 0.001 to below 1"),
        (["ks"], 1.0, UsageError, "an alpha of 1; allowed"),
        (["ks"], float("nan"), UsageError, "an alpha of nan; allowed"),
    ],
)
def test_wrong_methods_are_refused(names, alpha, error, message):
    with pytest.raises(error, match=message):
        open_methods(names, alpha=alpha)


# ------------------------------------------------------------ the comparison


def test_p_values_are_corrected_for_the_number_of_methods():
    rows = drawn(draw(0, 30))
    # By hand: 3 * 0.01, 2 * 0.03, then 0.04 raised to 0.06; "quiet" has no p-value and is no part of the family.
    methods = [Says("a", 0.03, drifted=True), Says("quiet", None), Says("b", 0.01, drifted=True), Says("c", 0.04, True)]
    report = compare_samples(rows, rows, methods)
    assert [method.p_holm for method in report.methods] == [pytest.approx(0.06), None, pytest.approx(0.03), 0.06]
    assert [method.drifted for method in report.methods] == [False, False, True, False]
    assert report.drifted
    assert not compare_samples(rows, rows, methods[:2] + methods[3:]).drifted


def test_a_method_alone_is_not_corrected():
    rows = drawn(draw(0, 30))
    (only,) = compare_samples(rows, rows, [Says("a", 0.05, drifted=True)]).methods
    assert (only.p_holm, only.drifted) == (0.05, True)


def test_a_method_without_a_p_value_decides_by_its_threshold():
    rows = drawn(draw(0, 30))
    assert compare_samples(rows, rows, [Says("a", None, drifted=True)]).drifted


def test_methods_get_the_rows_alpha_and_seed():
    first, second, says = draw(0, 30), draw(1, 20), Says("a", 0.5)
    report = compare_samples(drawn(first, "then"), drawn(second, "now"), [says], alpha=0.2, seed=7)
    ((reference, current, alpha, seed),) = says.given
    assert reference is first
    assert current is second
    assert (alpha, seed) == (0.2, 7)
    assert (report.reference.source, report.current.source, report.current.drawn) == ("then", "now", 20)


def test_the_result_is_that_of_the_method_alone():
    first, second = draw(0, 60), draw(1, 50, shift=0.8)
    (found,) = compare_samples(drawn(first), drawn(second), open_methods(["mmd"]), seed=5).methods
    assert found.result == MMD().compare(first, second, seed=5)


def test_two_halves_are_no_drift_and_a_shift_is():
    methods = open_methods(["mmd", "ks", "energy"])
    reference = drawn(draw(0, 300))
    assert not compare_samples(reference, drawn(draw(0, 300)), methods).drifted
    assert all(method.drifted for method in compare_samples(reference, drawn(draw(2, 300, shift=4.0)), methods).methods)


def test_false_alarms_of_several_methods_together_stay_below_alpha():
    # Five methods whose p-values are uniform, as of honest ones: without correction one of them is below 0.2 in 67 % of
    # all cases. P(more than 124 of 400 | 0.2) is below 1e-6.
    rng, rows = np.random.default_rng(0), drawn(draw(0, 30))
    alarms = sum(
        compare_samples(rows, rows, [Says(str(n), p) for n, p in enumerate(rng.random(5))], alpha=0.2).drifted
        for _ in range(400)
    )
    assert 40 < alarms <= 124


def test_other_dimensions_are_not_comparable():
    with pytest.raises(NotComparable, match="dimensions differ: then has 10, now 3; compare vectors of one model"):
        compare_samples(drawn(draw(0, 30), "then"), drawn(np.zeros((30, 3)), "now"), [Says("a", 0.5)])


def test_too_few_rows_are_told_with_the_method_and_the_sources():
    with pytest.raises(SourceError, match="mmd can't compare then with now: current has too few rows: 3"):
        compare_samples(drawn(draw(0, 30), "then"), drawn(draw(1, 3), "now"), open_methods(["mmd"]))
    empty = replace(drawn(np.empty((0, 10)), "now"), rows=4, broken=4)
    with pytest.raises(SourceError, match="now: 4 rows, none of them finite; there is nothing to compare"):
        compare_samples(drawn(draw(0, 30)), empty, [Says("a", 0.5)])


# ------------------------------------------------------------ files


def test_files_are_read_and_compared(tmp_path: Path):
    paths = [str(tmp_path / f"{name}.npy") for name in ("then", "now")]
    for path, seed in zip(paths, (0, 1), strict=True):
        np.save(path, draw(seed, 400))
    report = run(TwoSampleRequest(*paths, methods=("ks",), rows=150, seed=2))
    assert not report.drifted
    assert (report.reference.rows, report.reference.drawn, report.current.drawn) == (400, 150, 150)
    assert report == run(TwoSampleRequest(*paths, methods=("ks",), rows=150, seed=2))


def test_a_wrong_method_is_told_before_a_missing_file():
    with pytest.raises(PluginError, match=r"no benchkit\.detectors plug-in named 'mdm'"):
        run(TwoSampleRequest("nowhere.npy", "nowhere.npy", methods=("mdm",)))


def test_a_query_is_for_a_database_and_refused_where_there_is_none(tmp_path: Path):
    np.save(tmp_path / "a.npy", draw(0, 20))
    path = str(tmp_path / "a.npy")
    with pytest.raises(UsageError, match=r"a query is for postgresql:// alone"):
        run(TwoSampleRequest(path, path, methods=("ks",), query="SELECT 1"))
