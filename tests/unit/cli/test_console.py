"""What progress says of a finished cell."""

from __future__ import annotations

from benchkit.cli.console import finished_line
from benchkit.types.result import CellResult

DONE = {"status": "ok", "main_metric": "ndcg_at_10", "main_score": 0.5, "seconds": 1.26}


def line(*, encoded: int | None = None, from_cache: bool = False) -> str:
    cell = CellResult(model="m", task="t", type="Retrieval", texts_encoded=encoded, **DONE)  # type: ignore[arg-type]
    return finished_line(cell, from_cache=from_cache)


def test_a_cell_tells_its_time_and_the_texts_that_it_had_to_encode() -> None:
    assert line(encoded=12) == "m · t: ndcg_at_10 0.5000 (1.3 s, 12 texts encoded)"
    assert line(encoded=12, from_cache=True) == "m · t: ndcg_at_10 0.5000 (known already)"


def test_a_model_that_encodes_nothing_is_not_said_to_have_encoded_no_text() -> None:
    assert line(encoded=0) == line() == "m · t: ndcg_at_10 0.5000 (1.3 s)"


def test_a_cell_without_a_score_says_why() -> None:
    cell = CellResult(model="m", task="t", type="Retrieval", status="failed", reason="out of memory")
    assert finished_line(cell, from_cache=False) == "m · t: failed: out of memory"
