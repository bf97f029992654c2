"""Damaged and hostile files: one error that says where, and never rows that got lost, a traceback or an abort.

Each case is one that random changes of small files have found.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchkit.errors import SourceError
from benchkit.sources.open import open_source
from benchkit.types.drift import Rows

VECTORS = np.arange(24, dtype=np.float32).reshape(12, 2)
LISTS = pa.array(VECTORS.tolist(), pa.list_(pa.float32()))


def rows_of(path: Path | str, **options: Any) -> list[Rows]:
    return list(open_source(str(path), **options).read())


def vectors_of(path: Path | str) -> np.ndarray[Any, Any]:
    return np.concatenate([rows.vectors for rows in rows_of(path)])


def refused(path: Path | str) -> str:
    with pytest.raises(SourceError) as caught:
        rows_of(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < 1000
    return message


def column_of_bytes(*values: bytes) -> pa.Array:
    """Return texts that needn't be UTF-8."""
    ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(values), [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(values))]
    )


# ------------------------------------------------------------ Parquet


def test_a_row_group_with_fewer_rows_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"embedding": LISTS, "id": [str(row) for row in range(12)]}),
        path,
        row_group_size=5,
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        compression="none",
    )
    whole = path.read_bytes()
    metadata = pq.read_metadata(path)
    # The header of the ids' page begins with its kind (15 00), its sizes, and then how many values it has: 2C 15 0A.
    start = metadata.row_group(0).column(1).data_page_offset
    place = whole.index(b"\x2c\x15\x0a", start) + 2
    assert place < start + 20
    # Of a page with no values, Arrow makes the end of the whole row group, without a word.
    path.write_bytes(whole[:place] + b"\x00" + whole[place + 1 :])
    assert "row group 0 claims 5 rows and holds 0: damaged or forged" in refused(path)


def test_a_damaged_part_of_a_footer_ends_no_process(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"embedding": LISTS}), path, compression="none", store_schema=False)
    whole = path.read_bytes()
    # A histogram of definition levels that is shorter than the schema's levels: Arrow throws as soon as somebody looks.
    histogram = bytes([0x19, 0x46, 0, 0, 0, 24 * 2])  # a list of 4 numbers: 0, 0, 0 and 24
    assert whole.count(histogram) == 1
    shorter = whole.replace(histogram, bytes([0x19, 0x36, 0, 0, 24 * 2]))
    length = int.from_bytes(whole[-8:-4], "little") - 1
    path.write_bytes(shorter[:-8] + length.to_bytes(4, "little") + b"PAR1")
    code = "import sys; from benchkit.sources.open import open_source; list(open_source(sys.argv[1]).read())"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SourceError" in done.stderr
    assert "row group 0 can't be read: Definition level histogram size mismatch" in done.stderr


def test_missing_vectors_of_one_length_may_be_in_a_column_with_a_dot_or_of_one_number(tmp_path: Path) -> None:
    for name, width in (("my.embedding", 2), ("embedding", 1)):
        column = pa.array([None, *VECTORS[1:, :width].tolist()], pa.list_(pa.float32(), width))
        path = tmp_path / f"{width}.parquet"
        pq.write_table(pa.table({name: column}), path, row_group_size=5)
        found = vectors_of(path)
        assert np.isnan(found[0]).all()
        np.testing.assert_array_equal(found[1:], VECTORS[1:, :width])


# ------------------------------------------------------------ Arrow


def stream(tmp_path: Path, column: pa.Array = LISTS) -> bytes:
    path = tmp_path / "whole.arrows"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema({"embedding": column.type})) as writer:
        writer.write_table(pa.table({"embedding": column}), max_chunksize=5)
    whole = path.read_bytes()
    path.unlink()
    return whole


def test_two_arrow_streams_in_a_file_are_refused_and_not_lost(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.arrows", stream(tmp_path)
    path.write_bytes(whole)
    np.testing.assert_array_equal(vectors_of(path), VECTORS)
    path.write_bytes(whole * 2)
    assert f"the stream ends {len(whole)} bytes before its file; one in a file is read" in refused(path)
    # So are eight bytes of zero in the middle, which end a stream.
    second = whole.index(b"\xff\xff\xff\xff", whole.index(b"\xff\xff\xff\xff", 4) + 4)
    path.write_bytes(whole[:second] + bytes(8) + whole[second:])
    assert "one in a file is read" in refused(path)


def test_a_name_that_is_no_utf8_is_refused_and_a_zone_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    table = pa.table({"embedding": LISTS, "timestamp": pa.array(range(12), pa.timestamp("s", "ZONE"))})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"timestamp", b"\xff" * 9))
    assert "no readable Arrow file or stream: 'utf-8' codec can't decode byte 0xff" in refused(path)
    path.write_bytes(whole.replace(b"ZONE", b"\xff" * 4))
    (rows,) = rows_of(path)
    assert rows.times is not None
    assert rows.times.astype(int).tolist() == list(range(0, 12_000_000, 1_000_000))


@pytest.mark.parametrize("is_large", [False, True])
def test_views_of_lists_are_lists(tmp_path: Path, is_large: bool) -> None:
    kind = (pa.large_list_view if is_large else pa.list_view)(pa.float32())
    column = pa.array([*VECTORS[:3].tolist(), None, *VECTORS[4:].tolist()], kind)
    (tmp_path / "x.arrows").write_bytes(stream(tmp_path, column))
    pq.write_table(pa.table({"cloud": column}), tmp_path / "x.parquet")
    for name in ("x.arrows", "x.parquet"):
        found = vectors_of(tmp_path / name)
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, 0), np.delete(VECTORS, 3, 0))


# ------------------------------------------------------------ values


@pytest.mark.parametrize("role", ["embedding", "timestamp", "segment"])
def test_parquet_texts_that_are_no_utf8_are_refused_in_each_column(tmp_path: Path, role: str) -> None:
    columns = {"embedding": LISTS[:2], role: column_of_bytes(b"\xff", b"[1, 2]")}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert refused(tmp_path / "x.parquet").endswith(f"column '{role}': text that isn't UTF-8")


@pytest.mark.parametrize("role", ["id", "text", "segment", "score"])
def test_a_day_that_python_does_not_know_is_refused_where_a_name_or_number_is_needed(tmp_path: Path, role: str) -> None:
    days = pa.array([2**60, 1], pa.timestamp("us"))
    pq.write_table(pa.table({"embedding": LISTS[:2], role: days}), tmp_path / "x.parquet")
    assert f"column '{role}': a timestamp[us] that can't be read" in refused(tmp_path / "x.parquet")


def test_a_decimal_that_python_does_not_know_is_refused(tmp_path: Path) -> None:
    kind = pa.decimal128(9, 8_388_610)
    scores = pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(b"\x01" + bytes(15))])
    table = pa.table({"embedding": LISTS[:1], "score": scores})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert "column 'score': a decimal128(9, 8388610) that can't be read" in refused(tmp_path / "x.arrow")


# ------------------------------------------------------------ NumPy


def npy(header: str, version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + VECTORS.tobytes()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 2",
        "{'descr': (), 'fortran_order': False, 'shape': (12, 2)}",
        "{1: 2, 'a': 3}",
        "'''",
    ],
    ids=["cut", "no type", "keys of two kinds", "no end"],
)
def test_a_header_that_numpy_stumbles_over_is_no_array(tmp_path: Path, header: str) -> None:
    (tmp_path / "x.npy").write_bytes(npy(header))
    assert "no NumPy array" in refused(tmp_path / "x.npy")


def test_a_version_of_numpys_format_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    # The length of a header is 4 bytes from version 2.0 on, whose upper half is what follows here.
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 2)}"
    for version, count in ((3, 12), (4, None)):
        raw = b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<I", len(text)) + text + VECTORS.tobytes()
        (tmp_path / "x.npy").write_bytes(raw)
        if count is None:
            assert "no NumPy array: version 4.0 of the format is not known" in refused(tmp_path / "x.npy")
        else:
            assert len(vectors_of(tmp_path / "x.npy")) == count


@pytest.mark.parametrize("second", ["embedding.npy", "embedding"])
def test_an_array_that_is_twice_in_an_archive_is_refused(tmp_path: Path, second: str) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        warnings.simplefilter("ignore")  # of the name that is there twice
        for name, vectors in (("embedding.npy", VECTORS), (second, VECTORS[:3])):
            buffer = io.BytesIO()
            np.save(buffer, vectors)
            archive.writestr(name, buffer.getvalue())
    assert "the array 'embedding' is there twice" in refused(tmp_path / "x.npz")


def test_an_archive_of_a_later_version_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", embedding=VECTORS)
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 6] = 173  # needed to extract: 17.3
    (tmp_path / "x.npz").write_bytes(whole)
    assert "no whole .npz archive" in refused(tmp_path / "x.npz")


# ------------------------------------------------------------ safetensors

ENTRY = {"dtype": "F32", "shape": [12, 2], "data_offsets": [0, 96]}


def safetensors(path: Path, header: Any, data: bytes = VECTORS.tobytes()) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


@pytest.mark.parametrize(
    "change",
    [{"shape": [1e999, 2]}, {"shape": [12.9, 2]}, {"shape": [True, 24]}, {"shape": "83"}, {"data_offsets": [0, 96.0]}],
    ids=["infinite", "a fraction", "true", "a text", "an offset with a point"],
)
def test_numbers_of_a_safetensors_header_are_whole(tmp_path: Path, change: dict[str, Any]) -> None:
    assert len(vectors_of(safetensors(tmp_path / "x.safetensors", {"embedding": ENTRY}))) == 12
    assert "the header of the tensor is damaged" in refused(
        safetensors(tmp_path / "x.safetensors", {"embedding": ENTRY | change})
    )


def test_every_byte_of_a_safetensors_file_is_of_one_tensor(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    data = VECTORS.tobytes()
    assert "the tensors end 3 bytes before the file does" in refused(
        safetensors(path, {"embedding": ENTRY}, data + b"xyz")
    )
    later = ENTRY | {"data_offsets": [4, 100]}
    assert "bytes up to 0 and then from 4 on" in refused(safetensors(path, {"embedding": later}, b"1234" + data))
    score = {"dtype": "F32", "shape": [12], "data_offsets": [48, 96]}
    assert "bytes up to 96 and then from 48 on" in refused(safetensors(path, {"embedding": ENTRY, "score": score}))
    # A tensor of a type that holds no vectors, and an empty one, have their bytes too.
    more = {"f8": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [96, 99]}}
    more["none"] = {"dtype": "F32", "shape": [0], "data_offsets": [96, 96]}
    assert len(vectors_of(safetensors(path, {"embedding": ENTRY} | more, data + b"xyz"))) == 12


def test_a_tensor_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    entry = json.dumps(ENTRY)
    header = f'{{"embedding": {entry}, "embedding": {entry}}}'.encode()
    assert "'embedding' is there twice" in refused(safetensors(tmp_path / "x.safetensors", header))


# ------------------------------------------------------------ names and places


def test_a_usual_name_as_it_is_written_is_taken_before_one_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"Embedding": [1, 2], "embedding": [3, 4]}\n{"embedding": [5, 6], "Embedding": [7, 8]}\n'
    )
    np.testing.assert_array_equal(vectors_of(tmp_path / "x.jsonl"), np.array([[3, 4], [5, 6]], np.float32))


@pytest.mark.parametrize("name", ["x.npy", "x.jsonl", "x.jsonl.gz"])
def test_files_in_memory_are_read_from_their_own_place(tmp_path: Path, name: str) -> None:
    text = "".join(json.dumps({"embedding": row.tolist()}) + "\n" for row in VECTORS).encode()
    np.save(tmp_path / "x.npy", VECTORS)
    raw = {"x.npy": (tmp_path / "x.npy").read_bytes(), "x.jsonl": text, "x.jsonl.gz": gzip.compress(text)}[name]
    system = fsspec.filesystem("memory")
    folder = f"/{tmp_path.name}"
    system.pipe(f"{folder}/{name}", raw)
    try:
        np.testing.assert_array_equal(vectors_of(f"memory:/{folder}/{name}"), VECTORS)
    finally:
        system.rm(folder, recursive=True)


def test_what_a_library_says_of_a_damaged_file_moves_no_cursor(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"embedding": LISTS}), path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[: -8 - length] + b"\xff" * length + whole[-8:])
    assert "no readable Parquet footer" in refused(path)  # `refused` looks at how it is written
