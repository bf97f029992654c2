"""Windows add up: whatever the partition, the sum is that of one pass; and as bytes they are what they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from monitored import DIMENSION, START, draw, times

from benchkit.drift.reference import fit
from benchkit.drift.scores import score_baseline
from benchkit.monitor.window import (
    MODELS_KEPT,
    NO_SEGMENT,
    OTHER_SEGMENTS,
    SEGMENTS_KEPT,
    TEXT_LENGTH,
    TEXTS_KEPT,
    Judged,
    Window,
    empty_window,
    pack,
    segment_places,
    unpack,
    window_of,
)
from benchkit.types.drift import Rows

N = 900
SURROGATE = "half a pair \ud800 and a NUL \0"


@pytest.fixture(scope="module")
def judged() -> Judged:
    scores = np.random.default_rng(5).uniform(size=400)
    return Judged(
        reference=fit(draw(1, 800)),
        scores=score_baseline(scores),
        segment_by="segment",
        segments={"a": fit(draw(2, 200)), "b/c": fit(draw(3, 200))},
        keep_texts=True,
        unit_s=3600,
    )


@pytest.fixture(scope="module")
def rows() -> Rows:
    rng = np.random.default_rng(7)
    vectors = draw(8, N)
    vectors[3], vectors[500] = np.nan, np.inf
    vectors[700] = 0
    when = times(N, 2.0)
    rng.shuffle(when)
    when[[1, 600]] = np.datetime64("NaT")
    scores = rng.uniform(size=N)
    scores[::7] = np.nan
    return Rows(
        vectors=vectors,
        times=when,
        texts=tuple(None if n % 11 == 0 else f"text {n % 400}" for n in range(N)),
        segments=tuple([None, "a", "b/c", "small", SURROGATE][n] for n in rng.integers(0, 5, N)),
        scores=scores,
        model="minilm",
        fingerprint="f" * 64,
    )


def _parts(rows: Rows, n_parts: int, seed: int) -> list[Rows]:
    """Return the rows in parts, each of rows from anywhere, some of them empty."""
    part_of = np.random.default_rng(seed).integers(0, n_parts, len(rows))
    part_of[part_of == 1] = 0
    return [rows.take(part_of == part) for part in range(n_parts)]


def _sum(judged: Judged, parts: Sequence[Rows]) -> Window:
    total = empty_window(judged)
    for part in parts:
        total = total + window_of(judged, part)
    return total


@pytest.mark.parametrize("n_parts", [2, 5, 64])
def test_parts_that_know_what_they_are_added_to_give_the_same_window(judged: Judged, rows: Rows, n_parts: int) -> None:
    total, drawn = empty_window(judged), []
    for part in _parts(rows, n_parts, seed=n_parts):
        drawn.append(window_of(judged, part, beside=total))
        total = total + drawn[-1]
    _assert_same(total, window_of(judged, rows), exact=False)
    assert sum(len(part.points) for part in drawn) < min(len(rows), 200 * n_parts)


def _assert_same(found: Window, expected: Window, *, exact: bool) -> None:
    for name in ("segment_rows", "texts", "start", "end", "late", "rows", "models", "times"):
        assert getattr(found, name) == getattr(expected, name), name
    assert set(found.segments) == set(expected.segments)
    # Which rows are points, and where, doesn't depend on how the rows came together.
    assert np.array_equal(found.points.keys, expected.points.keys)
    assert np.array_equal(found.points.places, expected.points.places)
    pairs = [(found.health, expected.health), (found.sketch, expected.sketch)]
    pairs += [(found.segments[name], expected.segments[name]) for name in expected.segments]
    for one, other in pairs:
        one_arrays, other_arrays = one.to_arrays(), other.to_arrays()
        assert set(one_arrays) == set(other_arrays)
        for name, array in other_arrays.items():
            if exact or array.dtype.kind in "iub":
                assert np.array_equal(one_arrays[name], array), name
                assert one_arrays[name].shape == array.shape, name
            else:
                # Of sums that cancel: relative to what was added up.
                np.testing.assert_allclose(one_arrays[name], array, rtol=1e-6, atol=1e-8 * found.rows, err_msg=name)
    assert (found.scores is None) == (expected.scores is None)
    if found.scores is not None and expected.scores is not None:
        assert np.array_equal(found.scores.counts, expected.scores.counts)


@pytest.mark.parametrize("n_parts", [2, 5, 64])
def test_any_partition_gives_the_window_of_one_pass(judged: Judged, rows: Rows, n_parts: int) -> None:
    whole = window_of(judged, rows)
    parts = _parts(rows, n_parts, seed=n_parts)
    _assert_same(_sum(judged, parts), whole, exact=False)
    _assert_same(_sum(judged, parts[::-1]), whole, exact=False)


def test_what_a_window_holds_is_what_is_in_its_rows(judged: Judged, rows: Rows) -> None:
    window = window_of(judged, rows, late=4)
    assert (window.rows, window.sketch.rows, window.late) == (N, N - 3, 4)
    assert (window.health.nonfinite, window.health.zero) == (2, 1)
    known = rows.times[~np.isnat(rows.times)]
    assert (window.start, window.end) == (known.min(), known.max())
    known_good = [ok and not np.isnat(time) for ok, time in zip(_good(rows), rows.times, strict=True)]
    assert window.times.total == sum(known_good)
    hours = (rows.times[known_good] - np.datetime64("1970-01-01")) // np.timedelta64(1, "h")
    assert window.times.rows == dict(zip(*map(list, np.unique(hours % 1008, return_counts=True)), strict=True))
    assert window.known_times is window.times
    assert window.scores is not None
    assert window.scores.n == int((~np.isnan(rows.scores)).sum())
    good = _good(rows)
    for name in ("a", "b/c"):
        n_rows = sum(ok and own == name for ok, own in zip(good, rows.segments, strict=True))
        assert window.segment_rows[name] == window.segments[name].rows == n_rows
    assert set(window.segment_rows) == {NO_SEGMENT, "a", "b/c", "small", SURROGATE}
    assert set(window.segments) == {"a", "b/c"}
    # The three broken rows have no text in a cluster either.
    kept = {text for texts in window.texts.values() for text in texts.values()}
    assert kept <= {text for text in rows.texts if text}
    assert all(len(texts) <= TEXTS_KEPT for texts in window.texts.values())


def _good(rows: Rows) -> np.ndarray:
    good: np.ndarray = np.isfinite(rows.vectors).all(axis=1) & rows.vectors.any(axis=1)
    return good


def test_times_are_not_known_where_many_rows_have_none_and_not_counted_where_the_baseline_has_no_past(
    judged: Judged, rows: Rows
) -> None:
    gaps = rows.times.copy()
    gaps[: N // 5] = np.datetime64("NaT")
    some, without = window_of(judged, replace(rows, times=gaps)), window_of(judged, replace(rows, times=None))
    assert some.times.total > 0
    assert some.known_times is None
    assert without.known_times is None
    assert window_of(replace(judged, unit_s=0), rows).times.total == 0


def test_the_empty_window_adds_nothing(judged: Judged, rows: Rows) -> None:
    whole = window_of(judged, rows)
    _assert_same(empty_window(judged) + whole, whole, exact=True)
    _assert_same(whole + empty_window(judged), whole, exact=True)
    none = window_of(judged, rows.take(slice(0, 0)))
    assert (none.rows, none.sketch.rows, none.start, none.end, none.texts) == (0, 0, None, None, {})
    _assert_same(whole + none, whole, exact=True)


def test_no_text_is_kept_unless_asked(judged: Judged, rows: Rows) -> None:
    silent = window_of(replace(judged, keep_texts=False), rows)
    assert silent.texts == {}
    assert b"text 1" not in pack({"window": silent})
    assert b"text 1" in pack({"window": window_of(judged, rows)})


def test_texts_are_cut_and_bounded_the_same_in_any_order(judged: Judged) -> None:
    one_cluster = np.repeat(draw(1, 1), 200, axis=0)
    long = Rows(one_cluster, texts=tuple(f"{n:04d}" + "x" * TEXT_LENGTH for n in range(200)))
    (texts,) = window_of(judged, long).texts.values()
    assert len(texts) == TEXTS_KEPT
    assert {len(text) for text in texts.values()} == {TEXT_LENGTH}
    _assert_same(_sum(judged, _parts(long, 7, seed=1)), window_of(judged, long), exact=False)


def test_late_rows_and_spans_add_up(judged: Judged, rows: Rows) -> None:
    early = window_of(judged, Rows(draw(1, 2), times=np.array([START, START + 5])), late=1)
    later = window_of(judged, Rows(draw(2, 2), times=np.array([START + 9, np.datetime64("NaT")])), late=2)
    both = early + later
    assert (both.late, both.start, both.end) == (3, START, START + 9)
    assert window_of(judged, Rows(draw(2, 2))).start is None


def test_rows_of_another_dimension_are_refused(judged: Judged) -> None:
    with pytest.raises(ValueError, match="dimension"):
        window_of(judged, Rows(np.ones((4, DIMENSION + 1), np.float32)))


# ------------------------------------------------------------ segments


def test_segments_are_split_by_the_column_that_was_asked_for() -> None:
    rows = Rows(draw(1, 4), segments=("x", None, "x", "x\0"), roles=("query", "query", None, "document"))
    assert {name: own.tolist() for name, own in segment_places(rows, "segment").items()} == {
        NO_SEGMENT: [1],
        "x": [0, 2],
        "x\0": [3],  # no array of NumPy's tells it from "x"
    }
    assert sorted(segment_places(rows, "role")) == [NO_SEGMENT, "document", "query"]
    assert segment_places(rows, "") == {}
    assert segment_places(Rows(draw(1, 4)), "segment") == {}


def test_too_many_segments_are_counted_together_and_those_with_a_reference_stay(judged: Judged) -> None:
    # "b/c" comes after all the others, and would be the first to go.
    names = [f"a{n:05d}" for n in range(SEGMENTS_KEPT + 30)]
    rows = Rows(draw(4, len(names) + 5), segments=(*names, *["b/c"] * 5))
    window = window_of(judged, rows)
    assert window.segment_rows["b/c"] == 5
    assert window.segment_rows[OTHER_SEGMENTS] == 30
    assert len(window.segment_rows) == SEGMENTS_KEPT + 2
    assert sum(window.segment_rows.values()) == len(rows)
    _assert_same(_sum(judged, _parts(rows, 9, seed=3)), window, exact=False)


# ------------------------------------------------------------ as bytes


def test_windows_come_back_bit_by_bit(judged: Judged, rows: Rows) -> None:
    windows = {
        "0": window_of(judged, rows, late=2),
        "10": window_of(judged, rows.take(slice(0, 1))),
        "empty": empty_window(judged),
        "plain": window_of(replace(judged, scores=None, segment_by=""), rows),
    }
    found = unpack(pack(windows))
    assert list(found) == list(windows)
    for name, window in windows.items():
        _assert_same(found[name], window, exact=True)
    assert found["empty"].start is None
    assert found["0"].start == windows["0"].start


def test_a_text_that_is_no_unicode_comes_back(judged: Judged) -> None:
    window = window_of(judged, Rows(draw(1, 2), texts=(SURROGATE, "日本"), segments=(SURROGATE, "a")))
    found = unpack(pack({"window": window}))["window"]
    assert found.texts == window.texts
    assert found.segment_rows == window.segment_rows == {"a": 1, SURROGATE: 1}


def test_a_window_that_was_stored_goes_on(judged: Judged, rows: Rows) -> None:
    half = unpack(pack({"0": window_of(judged, rows.take(slice(0, 400)))}))["0"]
    _assert_same(half + window_of(judged, rows.take(slice(400, N))), window_of(judged, rows), exact=False)


def test_no_windows_are_no_bytes_and_back() -> None:
    assert unpack(b"") == {}
    assert unpack(pack({})) == {}


def test_a_window_stays_small(judged: Judged, rows: Rows) -> None:
    plain = window_of(Judged(judged.reference, judged.scores), rows)
    assert len(pack({"window": plain})) < 16_000


def test_a_window_of_many_rows_of_768_dimensions_stays_small() -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 768)).astype(np.float32)
    scores = np.random.default_rng(1).uniform(size=2000)
    judged = Judged(fit(vectors), score_baseline(scores), unit_s=3600)
    week = times(2000, 7.0)
    window = window_of(judged, Rows(vectors, times=week, scores=scores, model="m" * 60, fingerprint="f" * 64))
    assert len(window.times.rows) == 168
    for _ in range(20):
        window = window + window
    assert window.rows == 2000 << 20
    assert len(window.points) == 200
    assert len(pack({"window": window})) < 16_000


def test_a_window_that_an_older_benchkit_stored_goes_on(judged: Judged, rows: Rows) -> None:
    whole = window_of(judged, rows)
    older = unpack(_without_points(pack({"0": whole})))["0"]
    assert (len(older.points), older.models, older.times.total) == (0, (), 0)
    _assert_same(older + whole, replace(whole + whole, points=whole.points, times=whole.times), exact=False)


def _without_points(content: bytes) -> bytes:
    """Return what was packed before windows had points, models and times."""
    from safetensors.numpy import load, save

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = json.loads(header["__metadata__"]["benchkit"])
    for about in facts.values():
        del about["models"]
    kept = {name: array for name, array in load(content).items() if "/points/" not in name and "/times/" not in name}
    assert len(kept) < len(load(content))
    return save(kept, {"benchkit": json.dumps(facts)})


def test_names_of_models_are_bounded_the_same_in_any_order(judged: Judged) -> None:
    parts = [Rows(draw(n, 2), model=f"m{n:02d}") for n in range(MODELS_KEPT + 5)]
    found = _sum(judged, parts).models
    assert found == _sum(judged, parts[::-1]).models == tuple((f"m{n:02d}", "") for n in range(MODELS_KEPT))
    assert window_of(judged, Rows(draw(1, 0), model="x")).models == ()
