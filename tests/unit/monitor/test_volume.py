"""How much a service embedded, where its log keeps a share of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drift_data import vectors
from hypothesis import given
from hypothesis import strategies as st
from monitored import ListSource, times

from benchkit.monitor import EmbeddingLog
from benchkit.monitor.row_sample import RowSample
from benchkit.monitor.volume import Counted, Volume
from benchkit.sources.open import open_source
from benchkit.types.drift import Rows


def test_usual_rows_are_those_that_a_log_keeps_by_hand() -> None:
    # 30 of 300 and 100 of 100: 130 of 400 were kept.
    volume = Volume().plus(30, 0.1).plus(100, 1.0)
    assert volume == Volume(130, 400.0, 1.0)
    assert volume.kept == 0.325
    assert volume.usual_rows(2.0, 100.0) == 65.0
    assert volume.usual_rows(None, 100.0) is None
    assert Volume(sampling=0.1).usual_rows(2.0, 100.0) == pytest.approx(20)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(1e-6, 1)), min_size=1))
def test_what_is_kept_lies_between_the_smallest_and_the_largest_share(parts: list[tuple[int, float]]) -> None:
    volume = Volume()
    for rows, sampling in parts:
        volume = volume.plus(rows, sampling)
    shares = [sampling for _, sampling in parts]
    assert min(shares) * (1 - 1e-9) <= volume.kept <= max(shares) * (1 + 1e-9)
    assert volume.rows == sum(rows for rows, _ in parts)


def test_a_baseline_of_a_sampled_log_knows_how_much_was_embedded() -> None:
    sample = RowSample(100, seed=0)
    sample.add(Rows(vectors(500), times=times(500, 1.0), sampling=0.1), "log")
    sample.add(Rows(vectors(500), times=times(500, 1.0)), "log")
    assert sample.rows_per_s == pytest.approx((5000 + 500) / 86_400, rel=0.01)


def test_rows_that_were_chosen_are_counted_and_the_rest_tells_the_sampling_alone() -> None:
    batches = [Rows(vectors(n), sampling=share) for n, share in ((10, 1.0), (20, 0.5))]
    counted = Counted(ListSource(batches))
    read = counted.read()
    assert [len(rows) for rows in counted.count(rows.take(slice(4)) for rows in read)] == [4, 4]
    assert counted.volume == Volume(8, 12.0, 0.5)
    silent = Counted(ListSource(batches))
    assert list(silent.count(rows for rows in silent.read() if len(rows) > 99)) == []
    assert silent.volume == Volume(0, 0.0, 0.5)


@pytest.mark.parametrize("sampling", [0.25, 1.0])
def test_a_log_says_its_sampling_in_every_file(tmp_path: Path, sampling: float) -> None:
    with EmbeddingLog(tmp_path, sampling=sampling, seed=1) as log:
        log.record(vectors(400))
    (rows,) = open_source(str(tmp_path)).read()
    assert rows.sampling == rows.take(np.arange(3)).sampling == sampling


@pytest.mark.parametrize(
    ("said", "sampling"),
    [("0.5", 0.5), ("1", 1.0), ("0", 1.0), ("-0.1", 1.0), ("1.5", 1.0), ("nan", 1.0), ("1e-300", 1.0), ("ten", 1.0)],
)
def test_a_share_that_cannot_be_is_none(tmp_path: Path, said: str, sampling: float) -> None:
    listed = pa.FixedSizeListArray.from_arrays(pa.array(vectors(3).ravel()), 16)
    table = pa.table({"vector": listed}).replace_schema_metadata({"benchkit.sampling": said})
    pq.write_table(table, tmp_path / "a.parquet")
    (rows,) = open_source(str(tmp_path)).read()
    assert rows.sampling == sampling
