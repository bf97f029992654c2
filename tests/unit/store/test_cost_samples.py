"""Every timed call comes back as it was written; anything else is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.errors import UsageError
from benchkit.store.cost_samples import read_cost_samples, write_cost_samples
from benchkit.types.cost import SECOND_HALF, CostSamples, ProcessFacts, Sample

QUERY = Sample("小模型", 1, "query", 3, 7, 1, 12, 12, 0.00831, 0.0081)
BATCH = Sample("m@dim=128", 0, "batch", 0, 0, 256, None, None, 1.25, 2.5, length_class="long", energy_j=12.5)
FACTS = ProcessFacts("m@dim=128", 0, 4.2, 0.3, first_call_s=0.06, peak_mib=617.25, threads=2, engine="packed")
SESSION = CostSamples(("m@dim=128", "小模型"), (QUERY, BATCH), (FACTS,), {"bge": "it crashed:\nout of memory"})


def test_a_session_comes_back_with_what_is_unknown_as_none(tmp_path: Path) -> None:
    write_cost_samples(tmp_path / "costs.parquet", SESSION)
    assert read_cost_samples(tmp_path / "costs.parquet") == SESSION


def test_a_session_of_failures_alone_comes_back(tmp_path: Path) -> None:
    session = CostSamples(("m",), (), (), {"m": "crashed"})
    write_cost_samples(tmp_path / "costs.parquet", session)
    assert read_cost_samples(tmp_path / "costs.parquet") == session


def test_the_half_of_a_call_and_both_processes_of_a_model_come_back(tmp_path: Path) -> None:
    later = Sample("m", 0, "query", SECOND_HALF + 3, 7, 1, 12, 12, 0.0079, 0.0078)
    session = CostSamples(("m",), (QUERY, later), (FACTS, FACTS))
    write_cost_samples(tmp_path / "costs.parquet", session)
    found = read_cost_samples(tmp_path / "costs.parquet")
    assert found == session
    assert [sample.half for sample in found.samples] == [0, 1]


SECONDS = st.floats(0.0, 1e6)
COUNTS = st.integers(0, 2**62)
SAMPLES = st.builds(
    Sample,
    model=st.text(st.characters(codec="utf-8")),
    copy=st.integers(0, 1),
    kind=st.sampled_from(["query", "batch", "throughput"]),
    round=COUNTS,
    item=COUNTS,
    texts=COUNTS,
    tokens=st.none() | COUNTS,
    padded_tokens=st.none() | COUNTS,
    wall_s=SECONDS,
    cpu_s=SECONDS,
    length_class=st.none() | st.sampled_from(["short", "medium", "long"]),
    energy_j=st.none() | SECONDS,
)


@given(st.lists(SAMPLES, max_size=5))
def test_any_samples_come_back_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> None:
    path = tmp_path_factory.mktemp("costs") / "costs.parquet"
    write_cost_samples(path, CostSamples((), tuple(samples), ()))
    assert read_cost_samples(path).samples == tuple(samples)


def test_other_programs_read_one_row_for_each_call(tmp_path: Path) -> None:
    write_cost_samples(tmp_path / "costs.parquet", SESSION)
    table = pq.read_table(tmp_path / "costs.parquet")
    assert table.column("wall_s").to_pylist() == [0.00831, 1.25]
    assert table.column("tokens").to_pylist() == [12, None]
    assert table.column("kind").to_pylist() == ["query", "batch"]


def test_a_file_that_is_there_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "costs.parquet"
    path.write_text("old")
    write_cost_samples(path, SESSION)
    assert read_cost_samples(path) == SESSION
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_file_stays_whole_where_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "costs.parquet"
    write_cost_samples(path, SESSION)
    unfit = CostSamples((), (Sample("m", 0, "query", 2**70, 0, 1, None, None, math.nan, 0.0),), ())
    with pytest.raises((OverflowError, pa.ArrowException)):
        write_cost_samples(path, unfit)
    assert read_cost_samples(path) == SESSION
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_refused_with_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"costs.parquet: no such file; `benchkit compare` writes it where it measures"
    ):
        read_cost_samples(tmp_path / "costs.parquet")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.parquet"
    path.write_text("not Parquet")
    with pytest.raises(UsageError, match="can't be read as Parquet, it may be damaged"):
        read_cost_samples(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UsageError, match="Parquet, but not the samples of costs that benchkit writes"):
        read_cost_samples(path)


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "costs.parquet"
    table = pa.table({"a": [1]}).replace_schema_metadata({b"benchkit.costs.schema_version": b"2"})
    pq.write_table(table, path)
    with pytest.raises(
        UsageError, match=r"has samples of version 2; this benchkit reads 1\. Read it with the benchkit"
    ):
        read_cost_samples(path)


def test_no_damaged_byte_of_a_page_passes_for_another_sample(tmp_path: Path) -> None:
    path = tmp_path / "costs.parquet"
    write_cost_samples(path, CostSamples((), tuple(QUERY for _ in range(20)), ()))
    content, expected, refused = path.read_bytes(), read_cost_samples(path), 0
    footer = 8 + int.from_bytes(content[-8:-4], "little")
    for place in range(4, len(content) - footer, 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :])
        try:
            assert read_cost_samples(path) == expected, place
        except UsageError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("session", [b"{", b"{}", b'{"order": [], "processes": [{"speed": 1}], "failures": {}}'])
def test_a_session_that_cannot_be_read_is_refused(tmp_path: Path, session: bytes) -> None:
    path = tmp_path / "costs.parquet"
    metadata = {b"benchkit.costs.schema_version": b"1", b"benchkit.costs.session": session}
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}).replace_schema_metadata(metadata), path)
    with pytest.raises(UsageError, match=r"costs\.parquet: its session can't be read, it may be damaged"):
        read_cost_samples(path)
