"""Every format gives the same rows; what can't be read is refused with its place."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from benchkit.errors import SourceError, UsageError
from benchkit.sources.open import open_source
from benchkit.sources.read_parquet import ParquetReader
from benchkit.sources.vectors import Stored, vectors_of_array
from benchkit.types.drift import ColumnNames, Rows

VECTORS = np.random.default_rng(0).standard_normal((23, 4)).astype(np.float32)


def read(path: Path | str, *, batch_rows: int = 8192, **options: Any) -> Rows:
    """Return the one batch of a source."""
    batches = list(open_source(str(path), **options).read(batch_rows=batch_rows))
    assert len(batches) == 1
    return batches[0]


def refused(path: Path | str, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        list(open_source(str(path), **options).read())
    return str(caught.value)


def table(column: Any, **others: Any) -> pa.Table:
    return pa.table({"embedding": column, **others})


def fixed(vectors: np.ndarray = VECTORS) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def as_bytes(vectors: np.ndarray) -> pa.Array:
    return pa.array([row.tobytes() for row in vectors], pa.binary(vectors.shape[1] * vectors.itemsize))


def stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table(fixed()).schema) as writer:
        writer.write_table(table(fixed()), max_chunksize=5)


def lines(path: Path, **extra: Any) -> None:
    path.write_text("".join(json.dumps({"vector": row.tolist(), **extra}) + "\n" for row in VECTORS))


WRITERS: dict[str, Callable[[Path], object]] = {
    "fixed.parquet": lambda path: pq.write_table(table(fixed()), path, row_group_size=7),
    "list.parquet": lambda path: pq.write_table(table(pa.array(VECTORS.tolist(), pa.list_(pa.float32()))), path),
    "large.pq": lambda path: pq.write_table(table(pa.array(VECTORS.tolist(), pa.large_list(pa.float32()))), path),
    "bytes.parquet": lambda path: pq.write_table(table(as_bytes(VECTORS)), path),
    "tensor.parquet": lambda path: pq.write_table(table(pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS)), path),
    "json.parquet": lambda path: pq.write_table(table([json.dumps(row.tolist()) for row in VECTORS]), path),
    "file.arrow": lambda path: feather.write_feather(table(fixed()), path, chunksize=5),
    "tensor.arrow": lambda path: feather.write_feather(
        table(pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS)), path, compression="uncompressed"
    ),
    "stream.arrow": stream,
    "x.npy": lambda path: np.save(path, VECTORS),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(VECTORS)),
    "big_endian.npy": lambda path: np.save(path, VECTORS.astype(">f4")),
    "stored.npz": lambda path: np.savez(path, VECTORS),
    "packed.npz": lambda path: np.savez_compressed(path, vectors=VECTORS, other=np.zeros((2, 2))),
    "fortran.npz": lambda path: np.savez_compressed(path, np.asfortranarray(VECTORS)),
    "x.safetensors": lambda path: save_file({"embeddings": VECTORS, "more": np.zeros((2, 2))}, path),
    "x.jsonl": lines,
    "x.ndjson.gz": lambda path: path.write_bytes(
        gzip.compress("\n".join(json.dumps({"embedding": row.tolist()}) for row in VECTORS).encode())
    ),
}


@pytest.mark.parametrize("batch_rows", [1, 6, 100])
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_vectors_that_were_written(tmp_path: Path, name: str, batch_rows: int) -> None:
    WRITERS[name](tmp_path / name)
    batches = list(open_source(str(tmp_path / name)).read(batch_rows=batch_rows))
    found = np.concatenate([rows.vectors for rows in batches])
    assert found.dtype == np.float32
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, VECTORS)
    assert max(map(len, batches)) <= batch_rows


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_goes_on_after_any_batch(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    source = open_source(str(tmp_path / name))
    done = 0
    for rows in list(source.read(batch_rows=4)):
        done += len(rows)
        rest = [later.vectors for later in source.read(json.loads(json.dumps(rows.end)), batch_rows=5)]
        np.testing.assert_array_equal(np.concatenate([VECTORS[:0], *rest]), VECTORS[done:])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8"])
def test_numbers_keep_their_type(tmp_path: Path, dtype: str) -> None:
    vectors = (VECTORS * 10).astype(dtype)
    np.save(tmp_path / "a.npy", vectors)
    save_file({"embedding": vectors}, tmp_path / "b.safetensors")
    pq.write_table(table(fixed(vectors)), tmp_path / "c.parquet")
    pq.write_table(table(as_bytes(vectors)), tmp_path / "d.parquet")
    for rows in open_source(str(tmp_path), dimension=4).read():
        assert rows.vectors.dtype == dtype
        np.testing.assert_array_equal(rows.vectors, vectors)


def test_bfloat16_becomes_float32_exactly(tmp_path: Path) -> None:
    # 1.5 is sign 0, exponent 127, mantissa .1: 0x3FC0; -2 is 0xC000.
    raw = np.array([[0x3FC0, 0xC000]], dtype="<u2").tobytes()
    header = json.dumps({"vector": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + raw)
    np.testing.assert_array_equal(read(tmp_path / "x.safetensors").vectors, np.array([[1.5, -2.0]], np.float32))


def test_all_columns_are_found_by_their_usual_names_in_any_case(tmp_path: Path) -> None:
    columns = {"Timestamp": ["2026-11-01T01:00:00+01:00", None], "ID": [7, 8], "Text": ["a", None]}
    more = {"segment": ["de", "en"], "role": ["query", "document"], "score": [0.5, None]}
    pq.write_table(table(fixed(VECTORS[:2]), **columns, **more), tmp_path / "x.parquet")
    rows = read(tmp_path / "x.parquet")
    assert rows.times is not None
    assert rows.times.tolist() == [np.datetime64("2026-11-01T00:00:00", "us").item(), None]
    assert (rows.ids, rows.texts) == (("7", "8"), ("a", None))
    assert (rows.segments, rows.roles) == (("de", "en"), ("query", "document"))
    np.testing.assert_array_equal(rows.scores, [0.5, np.nan])


def test_whole_numbers_are_the_same_names_where_some_are_missing(tmp_path: Path) -> None:
    two = pa.array([[1.0, 2.0]] * 5, pa.list_(pa.float32()))
    for name, segments in (("whole", [7, 7, 8, 9, 9]), ("holes", [7.0, math.nan, 8.0, None, 9.5])):
        pq.write_table(pa.table({"embedding": two, "segment": segments, "id": segments}), tmp_path / f"{name}.parquet")
    assert read(tmp_path / "whole.parquet").segments == ("7", "7", "8", "9", "9")
    holes = read(tmp_path / "holes.parquet")
    assert (holes.segments, holes.ids) == (("7", None, "8", None, "9.5"), ("7", "", "8", "", "9.5"))


def test_columns_beside_the_vectors_of_an_npz_are_read(tmp_path: Path) -> None:
    times = np.array(["2026-11-01", "2026-11-02"], dtype="datetime64[ns]")
    np.savez(tmp_path / "x.npz", emb=VECTORS[:2], ids=np.array(["a", "b"]), ts=times, scores=np.array([1, 2]))
    rows = read(tmp_path / "x.npz")
    assert rows.ids == ("a", "b")
    assert rows.times is not None
    assert rows.times.astype("datetime64[D]").astype(str).tolist() == ["2026-11-01", "2026-11-02"]
    np.testing.assert_array_equal(rows.scores, [1.0, 2.0])


def test_tensors_beside_the_vectors_are_read(tmp_path: Path) -> None:
    save_file({"vectors": VECTORS[:2], "timestamp": np.array([1, 2]), "note": np.zeros(9)}, tmp_path / "x.safetensors")
    rows = read(tmp_path / "x.safetensors")
    assert rows.times is not None
    assert rows.times.view(np.int64).tolist() == [1_000_000, 2_000_000]


def test_the_only_column_of_vectors_may_have_any_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"zahl": [1], "wolke": fixed(VECTORS[:1])}), tmp_path / "x.parquet")
    np.testing.assert_array_equal(read(tmp_path / "x.parquet").vectors, VECTORS[:1])
    pq.write_table(pa.table({"one": fixed(VECTORS[:1]), "two": fixed(VECTORS[:1])}), tmp_path / "x.parquet")
    assert refused(tmp_path / "x.parquet").endswith("several columns of vectors: 'one', 'two'; say which one")
    assert len(read(tmp_path / "x.parquet", columns=ColumnNames(vector="two"))) == 1


def test_texts_alone_have_vectors_of_no_dimension(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("\ufeffone\r\n\ntwo\n", encoding="utf-8")
    rows = read(tmp_path / "x.txt")
    assert rows.texts == ("one", "two")
    assert rows.vectors.shape == (2, 0)
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "x.parquet")
    rows = read(tmp_path / "x.parquet")
    assert (rows.texts, rows.vectors.shape) == (("a", None), (2, 0))


def test_texts_beside_files_of_vectors_are_left_out(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    (tmp_path / "README.txt").write_text("about\n")
    assert len(read(tmp_path)) == 23


def test_json_rows_may_lack_what_others_have(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"vector": [1, 2], "text": "a"}\n\n{"embedding": [3, null]}\n{"vector": null, "id": 5}\n')
    rows = read(path)
    np.testing.assert_array_equal(rows.vectors, np.array([[1, 2], [3, np.nan], [np.nan, np.nan]], np.float32))
    assert rows.texts == ("a", None, None)
    assert rows.ids == ("", "", "5")


# What can't be read


def test_a_missing_or_empty_place_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: no such file or directory"
    assert f"{tmp_path}: nothing to read; no file is there" in refused(tmp_path)
    (tmp_path / "x.csv").write_text("1,2")
    assert "nothing to read; found 'x.csv'; allowed: .parquet" in refused(tmp_path)
    assert "nothing to read" in refused(tmp_path / "*.npy")


@pytest.mark.parametrize("cut", [0, 3, 100, -1, -9])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.parquet"
    WRITERS["list.parquet"](path)
    path.write_bytes(path.read_bytes()[:cut])
    assert f"{path}: half-written or truncated: the Parquet footer is missing" in refused(path)


def test_a_parquet_file_whose_middle_is_cut_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    vectors = np.random.default_rng(0).standard_normal((1000, 8)).astype(np.float32)
    pq.write_table(table(fixed(vectors)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + whole[-3000:])
    assert "row group 0 can't be read" in refused(path)


def test_damaged_pages_are_refused_with_their_row_group(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table(fixed()), path, row_group_size=9, use_dictionary=False, compression="zstd")
    whole = bytearray(path.read_bytes())
    whole[4:60] = b"\xff" * 56
    path.write_bytes(whole)
    assert f"{path}: row group 0 can't be read" in refused(path)


def test_an_open_parquet_file_is_read_though_another_has_taken_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table(fixed()), path)
    with path.open("rb") as file:
        pq.write_table(table(fixed(VECTORS + 100)), tmp_path / "new.parquet")
        (tmp_path / "new.parquet").replace(path)
        reader = ParquetReader(file, os.fstat(file.fileno()).st_size, columns=ColumnNames(), place="x")
        found = [vectors_of_array(raw.columns["vector"], None, "x", 0) for raw in reader.batches(100)]
    np.testing.assert_array_equal(np.concatenate(found), VECTORS)


def test_a_parquet_file_whose_name_is_no_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.parquet")
    pq.write_table(table(fixed()), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").rename(path)
    np.testing.assert_array_equal(read(tmp_path).vectors, VECTORS)


def test_batches_of_a_parquet_file_are_whole_blocks_where_its_bytes_bound_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(table(as_bytes(np.ones((3000, 4), np.float32))), tmp_path / "x.parquet", use_dictionary=False)
    monkeypatch.setattr("benchkit.sources.read_parquet._BATCH_BYTES", 1200 * 16)
    assert [len(rows) for rows in open_source(str(tmp_path)).read()] == [1024, 1024, 952]
    monkeypatch.setattr("benchkit.sources.read_parquet._BATCH_BYTES", 300 * 16)
    assert {len(rows) for rows in open_source(str(tmp_path)).read()} <= set(range(1, 301))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"id,text\n1,2\n" * 9)
    assert "no Parquet file: it begins with b'id,t'" in refused(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["file.arrow", "stream.arrow", "x.npy", "stored.npz", "x.safetensors", "x.ndjson.gz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert refused(path).startswith(str(path))


def test_a_claim_of_many_rows_in_a_tiny_file_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**8, 768)}
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    assert "claims (100000000, 768) float32, 307200000000 bytes, but 0 are there" in refused(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "x.npy").read_bytes())
    assert "claims (100000000, 768)" in refused(tmp_path / "x.npz")
    entry = {"dtype": "F32", "shape": [10**8, 768], "data_offsets": [0, 4 * 768 * 10**8]}
    text = json.dumps({"vectors": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    assert "[100000000, 768] F32 ends at byte" in refused(tmp_path / "x.safetensors")


def test_a_parquet_footer_that_claims_other_rows_than_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(table(as_bytes(np.ones((100, 1), np.float32))), path, write_statistics=False, store_schema=False)
    whole = path.read_bytes()
    # 100 is the varint C8 01 (zigzag); 10^8 takes four bytes, so the footer grows and its length with it.
    place = whole.index(b"\xc8\x01", whole.rindex(b"schema"))
    forged = whole[:place] + b"\x80\x84\xaf\x5f" + whole[place + 2 : -8]
    length = int.from_bytes(whole[-8:-4], "little") + 2
    path.write_bytes(forged + length.to_bytes(4, "little") + b"PAR1")
    assert "claims" in refused(path)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", np.zeros((22_000, 768), np.float32))
    assert "claim to unpack to 67584128; allowed: 100 times" in refused(tmp_path / "x.npz")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "evil",))

    np.save(tmp_path / "x.npy", np.array([[Evil()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", np.array([[Evil()]], dtype=object))
    assert "holds pickled objects, which are not loaded" in refused(tmp_path / "x.npy")
    assert "'arr_0': holds pickled objects" in refused(tmp_path / "x.npz")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, np.float32), "an array of shape (3,); needed: (rows, dimension)"),
        (np.zeros((2, 0), np.float32), "an array of shape (2, 0)"),
        (np.zeros((2, 3), np.int64), "numbers of type int64; allowed: float16, float32, float64, int8"),
        (np.zeros((1, 70_000), np.int8), "dimension 1 to 65536"),
    ],
    ids=["one axis", "no dimension", "integers", "too wide"],
)
def test_an_array_that_holds_no_vectors_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    assert message in refused(tmp_path / "x.npy")


def test_arrays_appended_to_one_file_are_refused_and_not_lost(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        np.save(file, VECTORS)
        np.save(file, VECTORS)
    assert "bytes follow; one array in a file is read" in refused(tmp_path / "x.npy")


def test_it_must_be_clear_which_array_is_meant(tmp_path: Path) -> None:
    save_file({"a": VECTORS, "b": VECTORS}, tmp_path / "x.safetensors")
    assert "several arrays: 'a', 'b'; name one" in refused(tmp_path / "x.safetensors")
    assert len(read(tmp_path / "x.safetensors", columns=ColumnNames(vector="b"))) == 23
    np.savez(tmp_path / "y.npz", x=VECTORS, ids=np.arange(3))
    assert "'ids': an array of shape (3,) beside 23 vectors" in refused(tmp_path / "y.npz")
    np.savez(tmp_path / "y.npz", x=np.arange(3))
    assert "no array of shape (rows, dimension)" in refused(tmp_path / "y.npz")


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"v": {"dtype": "F32"}}', b'{"v": 1}'])
def test_a_damaged_safetensors_header_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "header" in refused(tmp_path / "x.safetensors")


def test_safetensors_offsets_that_do_not_fit_the_shape_are_refused(tmp_path: Path) -> None:
    header = json.dumps({"v": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 12]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert "'v': [2, 2] F32 claims the bytes 0 to 12, which don't fit" in refused(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"vector": [1]}\n{"vector": [1}\n', "line 2: no JSON"),
        ('{"vector": [1]}\n[1, 2]\n', "line 2: a JSON list, where an object"),
        ('{"vector": [1, 2]}\n{"vector": [1]}\n', "row 1: a vector of dimension 1, where the others have 2"),
        ('{"vector": [1, "2"]}\n', "row 0: '2' in a vector, where a number is needed"),
        ('{"vector": [1, true]}\n{"vector": [null, true]}\n', "row 0: True in a vector"),
        ('{"vector": 5}\n', "row 0: found 5, where a list of numbers is needed"),
        ('{"vector": [[1]]}\n', "row 0: [1] in a vector"),
        ('{"vector": []}\n', "row 0: a vector of dimension 0; allowed: 1 to 65536"),
        ('{"vector": null}\n', "no vector in rows 0 to 0, so the dimension isn't known"),
        ('{"name": "x"}\n', "no column of vectors or texts; there are: 'name'"),
        ("[" * 100_000 + "\n", "line 1: no JSON"),
        ('{"vector": [1], "score": "high"}\n', "row 0: 'high', where a number is needed"),
        ('{"vector": [1], "time": "yesterday"}\n', "row 0: 'yesterday' is no time"),
        ('{"vector": [1' + "0" * 400 + "]}\n", "row 0: a number in the vector is beyond"),
    ],
    ids=range(14),
)
def test_a_bad_line_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    assert message in refused(path)
    assert str(path) in refused(path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("ä\n".encode("latin-1"))
    assert refused(tmp_path / "x.txt").endswith("line 1: not UTF-8")


def test_a_line_without_an_end_in_sight_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for _ in range(17):
            file.write(b" " * (1 << 20))
    (tmp_path / "x.jsonl.gz").write_bytes(packed.getvalue())
    assert "line 1 is longer than 16777216 bytes" in refused(tmp_path / "x.jsonl.gz")


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    pq.write_table(table(fixed()), tmp_path / "x.parquet")
    message = refused(tmp_path / "x.parquet", columns=ColumnNames(vector="embeding"))
    assert message.endswith("no column 'embeding' for the vector (did you mean 'embedding'?); there are: 'embedding'")
    lines(tmp_path / "x.jsonl")
    assert "no column 'when' for the time" in refused(tmp_path / "x.jsonl", columns=ColumnNames(time="when"))


def test_a_named_column_is_refused_where_a_format_has_none(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    assert "x.npy: no column 'when' for the time" in refused(tmp_path / "x.npy", columns=ColumnNames(time="when"))
    # Its one array is what vectors are called elsewhere.
    assert len(read(tmp_path / "x.npy", columns=ColumnNames(vector="embedding"))) == len(VECTORS)
    (tmp_path / "x.txt").write_text("a\nb\n")
    message = refused(tmp_path / "x.txt", columns=ColumnNames(segment="tenant"))
    assert "x.txt: no column 'tenant' for the segment" in message
    assert message.endswith("there are: 'text'")
    assert read(tmp_path / "x.txt", columns=ColumnNames(text="text")).texts == ("a", "b")


@pytest.mark.parametrize("is_tensor", [False, True])
@pytest.mark.parametrize("row_group_size", [2, 100])
def test_missing_vectors_of_one_length_in_parquet_are_rows_of_nan(
    tmp_path: Path, is_tensor: bool, row_group_size: int
) -> None:
    missing = np.zeros(len(VECTORS), dtype=bool)
    missing[[3, 4, 22]] = True
    kind = pa.list_(pa.float32(), 4)
    column = pa.array([None if gone else row.tolist() for gone, row in zip(missing, VECTORS, strict=True)], kind)
    if is_tensor:
        column = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [4]), column)
    times = pa.array(range(23), pa.timestamp("ms", "Europe/Berlin"))
    pq.write_table(table(column, timestamp=times), tmp_path / "x.parquet", row_group_size=row_group_size)
    batches = list(open_source(str(tmp_path / "x.parquet")).read(batch_rows=5))
    found = np.concatenate([rows.vectors for rows in batches])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.where(missing[:, None], np.nan, VECTORS))
    assert np.concatenate([rows.times for rows in batches]).astype(int).tolist() == list(range(0, 23_000, 1000))


def test_a_true_among_numbers_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"embedding": [1, 0.5]}\n{"embedding": [0.25, true]}\n')
    assert "row 1: True in a vector, where a number is needed" in refused(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_text('{"embedding": [1, 0]}\n{"embedding": [0.25, 1]}\n')
    np.testing.assert_array_equal(read(tmp_path / "x.jsonl").vectors, np.array([[1, 0], [0.25, 1]], np.float32))


def test_a_text_in_the_place_of_a_vector_is_shown_as_one(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"embedding": "[1, 2]"}\n')
    assert "row 0: found '[1, 2]', where a list of numbers is needed" in refused(tmp_path / "x.jsonl")


def test_texts_that_their_writer_calls_bytes_are_texts(tmp_path: Path) -> None:
    columns = {"text": "grüße".encode(), "role": b"query", "segment": b"\xff\x00", "id": b"k1"}
    pq.write_table(table(fixed()[:1], **{name: [value] for name, value in columns.items()}), tmp_path / "x.parquet")
    rows = read(tmp_path / "x.parquet")
    assert (rows.texts, rows.roles) == (("grüße",), ("query",))
    # What is no text has its digits, and so has every id.
    assert (rows.segments, rows.ids) == (("ff00",), ("6b31",))
    pq.write_table(table(fixed()[:2], text=[b"ab", b"\xff"]), tmp_path / "x.parquet")
    assert "column 'text': row 1: bytes that aren't UTF-8, where a text is needed" in refused(tmp_path / "x.parquet")


def test_scores_may_be_decimals_and_no_larger_than_numbers_are(tmp_path: Path) -> None:
    pq.write_table(table(fixed()[:2], score=[Decimal("0.25"), None]), tmp_path / "x.parquet")
    np.testing.assert_array_equal(read(tmp_path / "x.parquet").scores, [0.25, np.nan])
    (tmp_path / "x.jsonl").write_text(f'{{"embedding": [1, 2], "score": 1{"0" * 400}}}\n')
    assert "a number of the batch from row 0 on is beyond 1.8e308" in refused(tmp_path / "x.jsonl")


@pytest.mark.parametrize("unit", ["h", "m", "M"])
def test_numpy_times_of_any_unit_are_read(tmp_path: Path, unit: str) -> None:
    moments = np.array(["2026-11-01T09:30", "NaT"], f"datetime64[{unit}]")
    np.savez(tmp_path / "x.npz", embedding=VECTORS[:2], timestamp=moments)
    times = read(tmp_path / "x.npz").times
    assert times is not None
    assert times[0] == moments[0]
    assert np.isnat(times[1])


def test_numpy_times_beyond_microseconds_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", embedding=VECTORS[:1], timestamp=np.array(["900000-01"], "datetime64[M]"))
    assert "'timestamp': a time that microseconds since 1970 can't say" in refused(tmp_path / "x.npz")


def test_a_column_that_was_there_once_stays_with_missing_values(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"embedding": [1, 2], "timestamp": "2026-11-01", "text": "a"}\n{"embedding": [3, 4]}\n'
    )
    first, second = open_source(str(tmp_path / "x.jsonl")).read(batch_rows=1)
    assert first.texts == ("a",)
    assert second.times is not None
    assert np.isnat(second.times).all()
    assert second.texts == (None,)


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"\x1b[2Jrm -rf\n": [1], "y" * 500: [2]}), tmp_path / "x.parquet")
    message = refused(tmp_path / "x.parquet")
    assert "\\x1b[2Jrm -rf\\n" in message
    assert message.isprintable()
    assert len(message) < 600


def test_files_of_different_dimensions_have_their_own_unless_one_is_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VECTORS)
    np.save(tmp_path / "b.npy", VECTORS[:, :3])
    assert [rows.vectors.shape[1] for rows in open_source(str(tmp_path)).read(batch_rows=12)] == [4, 4, 3, 3]
    assert "a.npy: a vector of dimension 4, where the others have 3" in refused(tmp_path, dimension=3)


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_columns_of_a_baseline_are_no_columns_that_were_named_for_a_file_without_any(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    np.save(path, VECTORS) if suffix == ".npy" else path.write_text("a\nb\n")
    columns = ColumnNames(vector="emb", time="when", text="words")
    assert "no column" in refused(path, columns=columns)
    rows = read(path, columns_of_baseline=columns)
    assert (len(rows), rows.texts) == ((23, None) if suffix == ".npy" else (2, ("a", "b")))
    # A format with columns has them, whoever named them.
    pq.write_table(table(fixed()), tmp_path / "x.parquet")
    assert "no column 'emb'" in refused(tmp_path / "x.parquet", columns_of_baseline=columns)


def test_a_column_that_is_named_for_a_file_leaves_the_baseline_its_other_names(tmp_path: Path) -> None:
    pq.write_table(table(fixed()).rename_columns(["emb"]), tmp_path / "x.parquet")
    of_baseline = ColumnNames(vector="emb", time="when")
    assert "no column 'when'" in refused(tmp_path / "x.parquet", columns_of_baseline=of_baseline)
    assert "no column 'at'" in refused(
        tmp_path / "x.parquet", columns=ColumnNames(time="at"), columns_of_baseline=of_baseline
    )
    other = ColumnNames(vector="other", time="at")
    assert ColumnNames(vector="emb").over(other) == ColumnNames(vector="emb", time="at")
    assert len(read(tmp_path / "x.parquet", columns=ColumnNames(vector="emb"), columns_of_baseline=ColumnNames())) == 23


def test_bytes_are_cut_as_known_where_their_width_is_that_and_else_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    half = VECTORS.astype(np.float16)
    pq.write_table(table(as_bytes(half)), path)
    found = read(path, known=Stored(4, 2)).vectors
    assert found.dtype == np.float16
    assert np.array_equal(found, half)
    assert read(path, dimension=8, known=Stored(4, 2)).vectors.dtype == np.int8
    # Twice as many float32 are no float64 of the known dimension: they are of another model.
    pq.write_table(table(as_bytes(np.hstack([VECTORS, VECTORS]))), path)
    wide = read(path, known=Stored(4, 4)).vectors
    assert np.array_equal(wide, np.hstack([VECTORS, VECTORS]))
    assert read(path, known=Stored(4, 8)).vectors.shape == (23, 4)
    # Each batch of a file is cut alike.
    parts = [rows.vectors for rows in open_source(str(path), known=Stored(4, 2)).read(batch_rows=5)]
    assert np.array_equal(np.concatenate(parts), wide)


def test_texts_among_vectors_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VECTORS)
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "b.parquet")
    assert "b.parquet: texts without vectors, where the others have vectors of dimension 4" in refused(tmp_path)


def test_a_kind_of_store_that_is_not_known_or_not_installed_is_refused() -> None:
    with pytest.raises(UsageError, match="'foo://' is no kind of store"):
        open_source("foo://bucket/x")
    with pytest.raises(UsageError, match="no source given"):
        open_source("  ")
    with pytest.raises(UsageError, match="a dimension of 0; allowed: 1 to 65536"):
        open_source("x", dimension=0)


def test_a_store_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError, match=r"gs://key:\*\*\*@bucket/x: needs .*pip install gcsfs"):
        open_source("gs://key:secret@bucket/x")
