"""What is read is what was written, bit by bit, and is enough to resample; anything else is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from benchkit.errors import UsageError
from benchkit.measure.bootstrap import draw_scores
from benchkit.store.items import read_items, write_items
from benchkit.types.result import CellResult, ItemKind, ItemScores

N = 4
NAMES = np.array(["q1", "q2", "查询", "q4"])
COLUMNS: dict[ItemKind, dict[str, NDArray[np.generic]]] = {
    "mean": {"value": np.array([0.1, 1.0, np.nan, -0.0])},
    "correlation": {"predicted": np.array([0.1, 0.2, 0.3, 0.4], np.float32), "gold": np.array([5.0, 1.0, 2.0, 3.0])},
    "pair": {"label": np.array([0, 1, 1, 0], np.int8), "predicted": np.arange(8.0).reshape(4, 2)},
    "classification": {"label": np.array([3, 1, 2, 1]), "predicted": np.arange(12).reshape(4, 3)},
    "multilabel": {"label": np.eye(4, dtype=bool), "predicted": np.ones((4, 8), np.uint8)},
    "clustering": {
        "label": np.array([[0, -1]] * 4, np.int32),
        "cluster": np.arange(16, dtype=np.int16).reshape(4, 4),
        "draws": np.ones((4, 4), np.int64),
    },
    "bitext": {"gold": np.arange(4), "predicted": np.array([0, 2, 1, 3])},
}


def part(
    kind: ItemKind = "mean",
    columns: dict[str, NDArray[np.generic]] | None = None,
    *,
    names: NDArray[np.str_] = NAMES,
    strata: NDArray[np.int64] | None = None,
    subset: str = "default",
) -> ItemScores:
    return ItemScores("test", subset, kind, "metric", names, COLUMNS[kind] if columns is None else columns, strata)


def cell(*parts: ItemScores, model: str = "m", task: str = "t") -> CellResult:
    return CellResult(model=model, task=task, type="STS", status="ok", main_score=0.5, items=parts)


def assert_same(found: ItemScores, expected: ItemScores) -> None:
    assert (found.split, found.subset, found.kind, found.metric) == (
        expected.split,
        expected.subset,
        expected.kind,
        expected.metric,
    )
    assert list(found.columns) == list(expected.columns)
    arrays = [
        (found.items, expected.items),
        *((found.columns[name], expected.columns[name]) for name in expected.columns),
    ]
    if expected.strata is None:
        assert found.strata is None
    else:
        assert found.strata is not None
        arrays.append((found.strata, expected.strata))
    for got, wanted in arrays:
        assert (got.dtype, got.shape, got.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())
        assert got.flags.writeable


def assert_comes_back(path: Path, *parts: ItemScores) -> None:
    write_items(path, [cell(*parts)])
    found = read_items(path)["m", "t"]
    assert len(found) == len(parts)
    for got, wanted in zip(found, parts, strict=True):
        assert_same(got, wanted)


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_comes_back_bit_by_bit(tmp_path: Path, kind: ItemKind) -> None:
    assert_comes_back(tmp_path / "items.parquet", part(kind, strata=np.array([0, 0, 1, 1])), part(kind, subset="en"))


@given(
    values=hnp.arrays(
        dtype=st.sampled_from(
            ["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "<i2", "|i1", "<u8", "<u4", "|u1", "|b1"],
        ).map(np.dtype),
        shape=st.one_of(st.just((N,)), st.tuples(st.just(N), st.integers(0, 3))),
    )
)
def test_any_numbers_come_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.generic]
) -> None:
    # Which of the many bit patterns of "not a number" it was, is not kept by a change of width.
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values).astype(values.dtype)
    assert_comes_back(tmp_path_factory.getbasetemp() / "any.parquet", part(columns={"value": values}))


def test_names_keep_their_width_and_no_items_at_all_is_possible(tmp_path: Path) -> None:
    wide = np.array(["a", "b", "c", "d"], dtype="<U20")
    nothing = part(columns={"value": np.zeros((0, 2), np.float32)}, names=np.array([], dtype="<U1"))

    assert_comes_back(tmp_path / "items.parquet", part(names=wide), nothing)


def test_cells_keep_their_order_and_cells_without_items_are_left_out(tmp_path: Path) -> None:
    cells = [cell(part(), model=model, task=task) for model in "ba" for task in "zy"]
    cells.append(CellResult("b", "x", "STS", "failed", reason="no memory"))
    write_items(tmp_path / "items.parquet", cells)

    assert list(read_items(tmp_path / "items.parquet")) == [("b", "z"), ("b", "y"), ("a", "z"), ("a", "y")]


def test_no_cells_are_an_empty_file(tmp_path: Path) -> None:
    write_items(tmp_path / "items.parquet", [])

    assert read_items(tmp_path / "items.parquet") == {}


def test_the_file_alone_gives_the_same_resamples(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = np.array([f"q{number}" for number in range(200)])
    value, predicted, gold = rng.random(200), rng.random(200).astype(np.float32), rng.random(200)
    parts = (
        part(columns={"value": value}, names=names, strata=rng.integers(0, 3, 200)),
        ItemScores("test", "en", "correlation", "pearson", names, {"predicted": predicted, "gold": gold}),
    )
    write_items(tmp_path / "items.parquet", [cell(*parts)])
    found = read_items(tmp_path / "items.parquet")["m", "t"]

    score = (value.mean() + np.corrcoef(predicted.astype(np.float64), gold)[0, 1]) / 2
    before = draw_scores(parts, stream="t", estimate=score, n_resamples=200, seed=7)
    after = draw_scores(found, stream="t", estimate=score, n_resamples=200, seed=7)
    np.testing.assert_array_equal(after.values, before.values)


def test_names_that_all_models_share_are_stored_about_once(tmp_path: Path) -> None:
    names = np.array([hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000)])  # 1.3 MB
    scores = part(columns={"value": np.zeros(20_000)}, names=names)
    sizes = []
    for count in (1, 8):
        write_items(tmp_path / "items.parquet", [cell(scores, model=f"m{number}") for number in range(count)])
        sizes.append((tmp_path / "items.parquet").stat().st_size)

    assert sizes[1] < 2 * sizes[0]


def test_a_model_and_task_can_be_there_only_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two cells of one model and task"):
        write_items(tmp_path / "items.parquet", [cell(part()), cell(part())])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"value": np.zeros(3)}, r"m on t \(test/default\): column 'value' has shape \(3,\) for 4 items"),
        ({"value": np.float64(1.0)}, r"column 'value' has shape \(\) for 4 items"),
        ({"value": np.array(["a"] * 4)}, "column 'value' is <U1; numbers of at most 64 bits are needed"),
        ({"value": np.array([None] * 4)}, "column 'value' is object"),
        ({"value": np.zeros(4, np.complex64)}, "column 'value' is complex64"),
        pytest.param(
            {"value": np.zeros(4, np.longdouble)},
            "column 'value' is float(96|128)",
            marks=pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="a long double is a double here"),
        ),
    ],
)
def test_a_column_that_is_not_numbers_for_the_items_is_refused(tmp_path: Path, columns: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_items(tmp_path / "items.parquet", [cell(part(columns=columns))])  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_strata_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"column 'strata' has shape \(2,\) for 4 items"):
        write_items(tmp_path / "items.parquet", [cell(part(strata=np.array([0, 1])))])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "items.parquet"
    write_items(path, [cell(part())])

    def full_disk(table: object, where: Path, **options: object) -> None:
        where.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_items(path, [cell(part("bitext"))])

    assert_same(read_items(path)["m", "t"][0], part())
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    rng = np.random.default_rng(1)
    names = np.array([f"q{number}" for number in range(5000)])
    write_items(path, [cell(part(columns={"value": rng.random(5000)}, names=names))])
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)

    with pytest.raises(UsageError, match=r"items.parquet: can't be read as Parquet, it may be damaged"):
        read_items(path)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_text("model,task\n")
    with pytest.raises(UsageError, match="can't be read as Parquet, it may be damaged"):
        read_items(tmp_path / "items.parquet")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.parquet: no such file; `benchkit compare` writes it"):
        read_items(tmp_path / "nowhere.parquet")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "Parquet, but not the scores of items that benchkit writes"),
        ({"benchkit.items.schema_version": "2"}, "has items of version 2; this benchkit reads 1"),
    ],
)
def test_another_version_is_refused(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"model": ["m"]}).replace_schema_metadata(metadata), path)
    with pytest.raises(UsageError, match=message):
        read_items(path)
