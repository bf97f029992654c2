"""What a file says of the model behind its vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchkit.monitor import EmbeddingLog
from benchkit.sources.open import open_source


def test_the_model_of_an_embedding_log_comes_with_its_rows(tmp_path: Path) -> None:
    with EmbeddingLog(tmp_path / "log", model="minilm", fingerprint="abc") as log:
        log.record(np.ones((3, 4), np.float32))
    (rows,) = open_source(str(tmp_path / "log")).read()
    assert (len(rows), rows.model, rows.fingerprint) == (3, "minilm", "abc")
    assert rows.take(slice(0, 1)).fingerprint == "abc"


@pytest.mark.parametrize("metadata", [None, {"other": "x"}, {"benchkit.model": b"\xff"}])
def test_a_file_that_says_nothing_of_it_is_of_no_model(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(8, np.float32)), 4)
    pq.write_table(pa.table({"vector": vectors}).replace_schema_metadata(metadata), tmp_path / "a.parquet")
    (rows,) = open_source(str(tmp_path / "a.parquet")).read()
    assert rows.fingerprint == ""
