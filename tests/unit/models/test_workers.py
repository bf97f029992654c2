"""Parts that are computed beside one another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from benchkit.models import workers
from benchkit.models.workers import run_apart

PARTS = [slice(0, 2), slice(2, 5), slice(5, 6)]


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_results_stand_in_the_order_of_the_parts(two_threads: None) -> None:
    def compute(part: slice) -> int:
        time.sleep(0.02 / (1 + part.start))  # the first is the last to end
        return int(part.start)

    assert run_apart(compute, PARTS) == [0, 2, 5]


def test_each_worker_computes_alone_and_this_thread_keeps_its_helpers(two_threads: None) -> None:
    found = run_apart(lambda part: (torch.get_num_threads(), threading.get_ident()), PARTS)
    if workers._setter() is None:
        pytest.skip("torch has no OpenMP here")
    assert {threads for threads, _ in found} == {1}
    assert threading.get_ident() not in {thread for _, thread in found}
    assert torch.get_num_threads() == 2


def test_one_part_runs_on_this_thread(two_threads: None) -> None:
    assert run_apart(lambda part: threading.get_ident(), PARTS[:1]) == [threading.get_ident()]


def test_without_openmp_all_run_on_this_thread(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_setter", lambda: None)
    assert set(run_apart(lambda part: threading.get_ident(), PARTS)) == {threading.get_ident()}


def test_an_error_of_a_part_is_raised(two_threads: None) -> None:
    def compute(part: slice) -> int:
        raise ValueError(f"at {part.start}")

    with pytest.raises(ValueError, match="at 0"):
        run_apart(compute, PARTS)
