"""What a service hands in, as rows in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import torch

from benchkit.monitor.log_rows import Block, Labels, Refused, as_matrix, as_microseconds

TWO = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "vectors",
    [
        np.array(TWO, np.float32),
        np.array(TWO, np.float64),
        np.array(TWO, np.float16),
        np.array(TWO, np.int8),
        np.array(TWO, np.float32)[:, ::-1][:, ::-1],
        TWO,
        tuple(map(tuple, TWO)),
        torch.tensor(TWO),
        torch.tensor(TWO, requires_grad=True),
        torch.tensor(TWO, dtype=torch.bfloat16),
    ],
    ids=["f32", "f64", "f16", "int8", "strided", "lists", "tuples", "tensor", "with gradient", "bfloat16"],
)
def test_every_form_gives_the_same_matrix(vectors: Any) -> None:
    matrix = as_matrix(vectors)
    assert matrix.dtype == np.float32
    assert matrix.tolist() == TWO


def test_one_vector_is_a_matrix_of_one_row() -> None:
    for vector in (np.array([1.0, 2.0]), [1.0, 2.0], [1, 2], torch.tensor([1.0, 2.0])):
        assert as_matrix(vector).tolist() == [[1.0, 2.0]]


def test_a_list_is_rounded_as_numpy_rounds() -> None:
    numbers = np.random.default_rng(0).standard_normal(2000) * 10.0 ** np.random.default_rng(1).integers(-44, 38, 2000)
    numbers[:3] = [np.inf, -np.inf, 1e-46]
    assert as_matrix(numbers.tolist()).tobytes() == numbers.astype(np.float32).tobytes()
    assert np.isinf(as_matrix([1e300, 1.0])[0, 0])


def test_broken_numbers_are_kept_for_the_monitor_to_find() -> None:
    assert np.isinf(as_matrix(np.array([1e300, 1.0]))[0, 0])
    assert np.isnan(as_matrix([float("nan"), 1.0])[0, 0])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ("a private text", r"expected a vector \(d\) or vectors \(n, d\), got str of shape \(\)"),
        (["a private", "text"], "expected real numbers, got list of <U9"),
        ([1.0, "private"], "expected real numbers|can't be read"),
        ([[1.0], [1.0, 2.0]], "list can't be read as a vector of numbers"),
        (np.zeros((2, 2, 2)), r"of shape \(2, 2, 2\)"),
        (np.zeros(0), r"of shape \(1, 0\)"),
        (np.array([1j]), "complex128"),
        (np.array([True]), "bool"),
        ([None, None], "object"),
        (object(), r"got object of shape \(\)"),
        (None, "NoneType"),
    ],
    ids=["text", "texts", "mixed", "ragged", "3-d", "empty", "complex", "bool", "None", "object", "nothing"],
)
def test_what_is_no_vector_is_refused_without_its_content(vectors: Any, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        as_matrix(vectors)
    assert "private" not in str(caught.value)


def test_times_are_microseconds_in_utc() -> None:
    second = 1_700_000_000
    east = datetime.fromtimestamp(second, tz=timezone(timedelta(hours=8)))
    for time in (second, float(second), east, east.astimezone(UTC), np.datetime64(second, "s")):
        assert as_microseconds(time, 1) == second * 1_000_000
    assert as_microseconds([second, second + 0.5], 2).tolist() == [second * 1_000_000, second * 1_000_000 + 500_000]
    now = datetime.now(UTC).timestamp() * 1e6
    assert abs(as_microseconds(None, 3) - now) < 60e6


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (datetime(2026, 1, 1), "without a time zone"),
        (1_700_000_000_000, "not milliseconds"),
        (-1, "not between the years"),
        (float("nan"), "isn't a time"),
        (np.datetime64("NaT"), "not between the years"),
        ("2026-01-01 private", "str isn't a time in seconds"),
        ([1.0, 2.0], "time: 2 values for 3 vectors"),
    ],
    ids=["naive", "milliseconds", "before 1970", "NaN", "NaT", "text", "wrong number"],
)
def test_a_time_that_is_none_is_refused(time: Any, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        as_microseconds(time, 3)
    assert "private" not in str(caught.value)


def test_labels_are_one_for_all_or_one_for_each() -> None:
    labels = Labels.of(2, [("ids", [1, None]), ("role", "query"), ("text", None), ("score", [0.5, None])])
    assert labels is not None
    assert labels.columns == (("ids", ["1", None]), ("role", "query"), ("score", [0.5, None]))
    assert labels.take([1]).columns == (("ids", [None]), ("role", "query"), ("score", [None]))
    assert Labels.of(2, [("ids", None)]) is None
    assert Labels.of(1, [("ids", b"a")]) == Labels((("ids", "a"),), 1, labels_size("a"))


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_an_array_without_dimensions_is_one_value(array: Any) -> None:
    labels = Labels.of(1, [("ids", array(7)), ("score", array(0.5)), ("segment", array(3))])
    assert labels is not None
    assert labels.columns == (("ids", "7"), ("score", 0.5), ("segment", "3"))
    assert as_microseconds(array(2), 1) == 2_000_000
    with pytest.raises(Refused, match="score: one value for 2 vectors"):
        Labels.of(2, [("score", array(0.5))])
    each = Labels.of(2, [("ids", array([7, 8]))])
    assert each is not None
    assert each.columns == (("ids", ["7", "8"]),)


def labels_size(text: str) -> int:
    import sys

    return sys.getsizeof(text)


@pytest.mark.parametrize(("name", "value"), [("ids", "a"), ("text", "a"), ("score", 0.5)])
def test_one_value_for_several_vectors_is_refused_where_each_has_its_own(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=f"{name}: one value for 2 vectors"):
        Labels.of(2, [(name, value)])


def test_another_number_of_labels_is_refused() -> None:
    with pytest.raises(Refused, match="role: 3 values for 2 vectors"):
        Labels.of(2, [("role", ["a", "b", "c"])])


def test_a_block_takes_what_fits_and_keeps_labels_with_their_rows() -> None:
    block = Block.of(3, 2)
    labels = Labels.of(4, [("ids", ["a", "b", "c", "d"]), ("role", "query")])
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    times = np.arange(4, dtype=np.int64)
    assert block.add(rows[:1], 7, None, 0) == 1
    assert block.add(rows, times, labels, 1) == 2
    assert block.is_full
    assert block.column("ids") == [None, "b", "c"]
    assert block.column("role") == [None, "query", "query"]
    assert block.column("text") == [None] * 3
    assert block.times.tolist() == [7, 1, 2]
    assert block.vectors.tolist() == [[0, 1], [2, 3], [4, 5]]
    block.clear()
    assert block.add(rows, times, labels, 1, 2) == 2
    assert block.column("ids") == ["b", "c"]
    block.clear()
    assert (block.rows, block.labels, block.label_bytes) == (0, [], 0)
