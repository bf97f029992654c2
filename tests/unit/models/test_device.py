"""Threads and memory of the device that runs a model."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest
from threadpoolctl import threadpool_info

from benchkit.models.device import (
    device_uuid,
    limit_threads,
    peak_device_memory,
    reset_peak_device_memory,
    synchronize,
    thread_count,
)

HAS_CUDA = False
if importlib.util.find_spec("torch") is not None:
    import torch

    HAS_CUDA = torch.cuda.is_available()


def pools() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


def test_threads_are_limited_everywhere_and_set_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    torch.set_num_threads(2)
    before = pools()
    undo = limit_threads(1)
    assert (torch.get_num_threads(), thread_count(), set(pools())) == (1, 1, {1})
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    undo()
    assert (torch.get_num_threads(), thread_count(), pools()) == (2, 2, before)
    assert "TOKENIZERS_PARALLELISM" not in os.environ


def test_threads_of_torch_need_no_pool_that_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoPools:
        def __init__(self, *, limits: int) -> None:
            pass

        def restore_original_limits(self) -> None:
            pass

    monkeypatch.setattr("threadpoolctl.threadpool_limits", NoPools)
    torch.set_num_threads(2)
    undo = limit_threads(1)
    assert torch.get_num_threads() == 1
    undo()
    assert torch.get_num_threads() == 2


def test_tokenizers_are_left_alone_with_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    undo = limit_threads(2)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    undo()


def test_less_than_one_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        limit_threads(0)


def test_largest_pool_counts_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert thread_count() == max(pools(), default=None)
    undo = limit_threads(1)
    assert set(pools()) <= {1}
    undo()


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_where_cuda_was_not_used_there_is_nothing_to_wait_for_and_nothing_to_tell(device: str) -> None:
    if device != "cpu" and HAS_CUDA:
        pytest.skip("CUDA is here, and another test may have used it")
    synchronize(device)
    reset_peak_device_memory(device)
    assert peak_device_memory(device) is None
    assert device_uuid(device) is None


@pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
def test_peak_on_a_cuda_device_starts_again_after_a_reset() -> None:
    held = torch.ones(2**20, device="cuda:0")  # 4 MiB
    large = torch.ones(2**25, device="cuda:0")  # 128 MiB
    del large
    before = peak_device_memory("cuda:0")
    reset_peak_device_memory("cuda:0")
    after = peak_device_memory("cuda:0")
    assert before is not None
    assert after is not None
    assert before.allocated_mib >= 132
    assert 4 <= after.allocated_mib <= before.allocated_mib - 128
    assert after.allocated_mib <= after.reserved_mib < before.reserved_mib
    assert held.sum().item() == 2**20
    uuid = device_uuid("cuda:0")
    assert uuid is None or uuid.startswith("GPU-")
