"""Kernels of a linear layer, held against float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu

from benchkit.models import linear
from benchkit.models.layer import Activation
from benchkit.models.linear import Int8Linear, OneDnnLinear, PlainLinear, pick_kernel

ERF = Activation(gelu, ("gelu", "none"))
needs_onednn = pytest.mark.skipif(
    not (linear.is_x86() and linear.onednn_works("float32")), reason="this torch or CPU has no oneDNN product"
)
EXACT = [pytest.param(PlainLinear, id="torch"), pytest.param(OneDnnLinear, id="onednn", marks=needs_onednn)]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def fresh_checks() -> Iterator[None]:
    linear.onednn_works.cache_clear()
    linear.int8_works.cache_clear()
    yield
    linear.onednn_works.cache_clear()
    linear.int8_works.cache_clear()


def tensors(rows: int, width: int = 96, out: int = 40) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((rows, width), (out, width), (out,), (rows, out))
    x, weight, bias, residual = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, weight / width**0.5, bias, residual


@pytest.mark.parametrize("make", EXACT)
@pytest.mark.parametrize("rows", [1, 7, 64, 300])
def test_an_exact_kernel_gives_the_product_to_float32_rounding(make: Any, rows: int) -> None:
    x, weight, bias, residual = tensors(rows)
    exact = x.double() @ weight.double().T + bias.double()
    layer = make(weight, bias, ERF)
    for found, expected in (
        (layer(x), exact),
        (layer.activated(x), gelu(exact)),
        (layer.added(x, residual), exact + residual),
    ):
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() < 5e-6


@pytest.mark.parametrize("make", EXACT)
def test_an_activation_that_is_not_fused_is_the_model_s_own(make: Any) -> None:
    x, weight, bias, _ = tensors(5)
    layer = make(weight, bias, Activation(torch.nn.functional.silu))
    expected = torch.nn.functional.silu(x.double() @ weight.double().T + bias.double())
    assert (layer.activated(x) - expected).abs().max() < 5e-6


@pytest.mark.parametrize("make", EXACT)
def test_the_residual_and_the_input_stay_as_they_are(make: Any) -> None:
    x, weight, bias, residual = tensors(5)
    before = x.clone(), residual.clone()
    make(weight, bias, ERF).added(x, residual)
    assert torch.equal(x, before[0])
    assert torch.equal(residual, before[1])


def test_bf16_is_near_and_not_exact() -> None:
    kernel = pick_kernel("bf16", "cpu")
    assert not isinstance(kernel, str)
    x, weight, bias, _ = tensors(33)
    found = kernel.make(weight, bias, ERF)(x.bfloat16())
    assert found.dtype == torch.bfloat16 == getattr(torch, kernel.dtype)
    difference = (found.double() - (x.double() @ weight.double().T + bias.double())).abs().max()
    assert 1e-4 < difference < 0.1


def test_int8_of_whole_numbers_is_exact() -> None:
    # Rows whose largest number is 127 have a scale of 1, so nothing is rounded.
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-127, 128, (20, 16), generator=generator).float()
    weight = torch.randint(-127, 128, (8, 16), generator=generator).float()
    x[:, 0], weight[:, 0] = 127, -127
    bias = torch.arange(8).float()
    torch.testing.assert_close(Int8Linear(weight, bias, None)(x), x @ weight.T + bias, rtol=1e-6, atol=0)


def test_int8_by_hand() -> None:
    # x = (127, 64) / 127 * 1.27: scale 0.01, rounded (127, 64); w = (0.5, -0.25): scale 0.5 / 127, rounded (127, -64)
    layer = Int8Linear(torch.tensor([[0.5, -0.25]]), torch.tensor([1.0]), None)
    expected = (127 * 127 - 64 * 64) * 0.01 * (0.5 / 127) + 1.0
    assert layer(torch.tensor([[1.27, 0.64]])).item() == pytest.approx(expected, rel=1e-6)


def test_a_row_of_zeros_gives_the_bias_in_int8() -> None:
    _, weight, bias, _ = tensors(1)
    assert torch.equal(Int8Linear(weight, bias, None)(torch.zeros(1, 96))[0], bias)


def test_int8_rounds_each_token_by_its_own_largest_value() -> None:
    _, weight, bias, _ = tensors(1)
    small = torch.linspace(-1e-3, 1e-3, 96).reshape(1, -1)
    alone = Int8Linear(weight, bias, None)(small)
    beside = Int8Linear(weight, bias, None)(torch.cat([small, torch.full((1, 96), 1e3)]))[:1]
    torch.testing.assert_close(alone, beside)


# ---------------------------------------------------------------- the choice


def test_the_choice_does_not_change_from_call_to_call() -> None:
    assert pick_kernel("float32", "cpu") == pick_kernel("float32", "cpu")


@pytest.mark.parametrize("machine", ["aarch64", "arm64", "riscv64"])
def test_another_processor_takes_torch_s_own(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    kernel = pick_kernel("float32", "cpu")
    assert not isinstance(kernel, str)
    assert (kernel.library, kernel.make) == ("torch", PlainLinear)


def test_a_cuda_device_takes_torch_s_own() -> None:
    kernel = pick_kernel("float32", "cuda")
    assert not isinstance(kernel, str)
    assert (kernel.library, kernel.make) == ("torch", PlainLinear)


@pytest.mark.parametrize("tier", ["float32", "bf16"])
def test_a_private_operator_that_is_gone_is_done_without(
    tier: Any, monkeypatch: pytest.MonkeyPatch, fresh_checks: None
) -> None:
    def gone(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")

    monkeypatch.setattr(OneDnnLinear, "__init__", gone)
    kernel = pick_kernel(tier, "cpu")
    assert not isinstance(kernel, str)
    assert kernel.library == "torch"


@needs_onednn
@pytest.mark.parametrize("method", ["__call__", "activated", "added"])
def test_a_private_operator_that_is_wrong_is_done_without(
    method: str, monkeypatch: pytest.MonkeyPatch, fresh_checks: None
) -> None:
    right = getattr(OneDnnLinear, method)
    monkeypatch.setattr(OneDnnLinear, method, lambda *arguments: right(*arguments) * 1.001)
    assert not linear.onednn_works("float32")


def test_int8_on_a_gpu_is_refused() -> None:
    assert pick_kernel("int8", "cuda") == "int8 is computed on the CPU only"


def test_an_int8_product_that_saturates_is_refused(monkeypatch: pytest.MonkeyPatch, fresh_checks: None) -> None:
    def saturating(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        # CPUs without VNNI shift one side to 0..255 and sum pairs of products in 16 bits.
        pairs = ((left.long() + 128)[:, :, None] * right.long()[None]).unflatten(1, (-1, 2)).sum(2)
        return (pairs.clamp(-(2**15), 2**15 - 1).sum(1) - 128 * right.long().sum(0)).int()

    monkeypatch.setattr(torch, "_int_mm", saturating)
    assert pick_kernel("int8", "cpu") == "this torch or CPU has no exact int8 product (torch._int_mm)"


def test_a_cpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_has_bf16", lambda: False)
    kernel = pick_kernel("bf16", "cpu")
    assert not isinstance(kernel, str)
    assert kernel.note == "this CPU has no bfloat16 instructions, so bf16 is no faster"


def test_the_sample_of_a_check_is_what_it_says() -> None:
    shapes = [np.shape(value) for value in linear._sample(rows=3)]
    assert shapes == [(3, 48), (80, 48), (80,), (3, 80)]
