"""Parts of a batch, and what happens when the memory is too small for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchkit.errors import ModelError
from benchkit.models.batching import Budget, tokens_that_fit

SIZES = np.array([40, 30, 20, 10, 10, 5, 5], np.int64)


class Device:
    """Holds so many tokens and no more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.calls: list[tuple[int, int]] = []

    def __call__(self, part: slice) -> list[int]:
        self.calls.append((part.start, part.stop))
        if SIZES[part].sum() > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return [int(size) for size in SIZES[part]]


def run(budget: Budget, device: Device) -> list[int]:
    return [size for part in budget.run(SIZES, device) for size in part]


def test_without_a_limit_all_is_one_part() -> None:
    device = Device(1000)
    assert run(Budget(None, "it"), device) == SIZES.tolist()
    assert device.calls == [(0, 7)]


def test_a_part_holds_as_many_as_fit_and_a_longer_text_is_one_of_its_own() -> None:
    device = Device(1000)
    assert run(Budget(30, "it"), device) == SIZES.tolist()
    assert device.calls == [(0, 1), (1, 2), (2, 4), (4, 7)]


def test_when_the_memory_runs_out_half_is_tried_and_nothing_is_lost() -> None:
    device = Device(45)
    budget = Budget(None, "it")
    assert run(budget, device) == SIZES.tolist()
    # 120 tokens; half of them, 60, takes the first alone, 70 would be two
    assert device.calls == [(0, 7), (0, 1), (1, 4), (1, 2), (2, 4), (4, 7)]
    assert budget.most == 30
    device.calls.clear()
    run(budget, device)
    assert device.calls[0] == (0, 1)  # it isn't tried again


def test_one_text_that_does_not_fit_is_refused_with_its_size_and_a_way_out() -> None:
    with pytest.raises(ModelError) as caught:
        run(Budget(None, "minilm"), Device(39))
    assert str(caught.value) == (
        "model 'minilm': the device has too little memory for one text (40 tokens); set a smaller max_seq_length, "
        "take a smaller model or --device cpu"
    )


def test_another_error_is_not_swallowed() -> None:
    def broken(_: slice) -> None:
        raise RuntimeError("a kernel")

    with pytest.raises(RuntimeError, match="a kernel"):
        list(Budget(None, "it").run(SIZES, broken))


def test_a_computation_that_returns_nothing_is_done_once() -> None:
    calls: list[slice] = []
    list(Budget(None, "it").run(SIZES, calls.append))
    assert len(calls) == 1


def test_no_items_are_no_parts() -> None:
    assert list(Budget(5, "it").run(SIZES[:0], Device(0))) == []


@pytest.mark.parametrize(
    ("free_gib", "expected"),
    [
        (0.01, 4096),  # the least that is worth a call
        (1, 8192),  # 2**29 bytes / (4 * (8 * 384 + 2 * 1536 + 2 * 12 * 256)) = 10922
        (1.4, 8192),  # a little more memory, the same batches
        (1.6, 16384),
        (140, 131072),
    ],
)
def test_the_tokens_that_fit_are_a_power_of_two_within_bounds(free_gib: float, expected: int) -> None:
    found = tokens_that_fit(int(free_gib * 2**30), hidden=384, intermediate=1536, heads=12, longest=256)
    assert found == expected


def test_parts_are_those_that_run_takes_one_after_the_other() -> None:
    sizes = np.array([5, 4, 9, 1, 1, 30], np.int64)
    seen: list[slice] = []
    list(Budget(10, "it").run(sizes, seen.append))
    assert Budget(10, "it").parts(sizes) == seen == [slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 6)]
    assert Budget(None, "it").parts(sizes) == [slice(0, 6)]
    assert Budget(10, "it").parts(sizes[:0]) == []
