"""float32 products by three of bfloat16, held against float64."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import gelu

from benchkit.models import linear, split_linear
from benchkit.models.layer import Activation
from benchkit.models.linear import Kernel, PlainLinear, feed_forward, pick_split_kernel
from benchkit.models.split_linear import FEW, ROWS, SplitLinear

ERF = Activation(gelu, ("gelu", "none"))
needs_split = pytest.mark.skipif(not linear.split_works(), reason="this CPU has no AMX, or torch no product for it")
# Of sums of normal numbers: both parts keep 16 bits.
NEAR = 6e-5


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def fresh_checks() -> Iterator[None]:
    checks = (linear.split_works, split_linear.load_library, split_linear.split_expected)
    for check in checks:
        check.cache_clear()
    yield
    for check in checks:
        check.cache_clear()


def tensors(rows: int, width: int, out: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((rows, width), (out, width), (out,), (rows, out))
    x, weight, bias, residual = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, weight / width**0.5, bias, residual


def split(weight: torch.Tensor, bias: torch.Tensor, activation: Activation | None = ERF) -> SplitLinear:
    return SplitLinear(weight, bias, activation, PlainLinear(weight, bias, activation))


@needs_split
class TestProduct:
    def test_by_hand(self) -> None:
        # 1 + 2^-12 = 1 + 2^-12 in two parts; squared 1 + 2^-11 + 2^-24, of which lo lo is the last.
        value = 1 + 2**-12
        layer = split(torch.tensor([[value]]), torch.tensor([0.5]))
        found = layer(torch.full((FEW + 1, 1), value))
        assert found.tolist() == [[0.5 + 1 + 2**-11]] * (FEW + 1)

    @pytest.mark.parametrize("rows", [1, FEW, FEW + 1, 49, 100, ROWS, ROWS + 1, 2 * ROWS + 70])
    @pytest.mark.parametrize(("width", "out"), [(384, 384), (48, 80), (33, 7), (1, 1), (400, 800), (769, 385)])
    def test_any_shape_is_near_the_product_in_float64(self, rows: int, width: int, out: int) -> None:
        x, weight, bias, residual = tensors(rows, width, out)
        exact = x.double() @ weight.double().T + bias.double()
        layer = split(weight, bias)
        for found, expected in (
            (layer(x), exact),
            (layer.activated(x), gelu(exact)),
            (layer.added(x, residual), exact + residual),
        ):
            assert found.shape == expected.shape
            assert (found - expected).abs().max() < NEAR

    @pytest.mark.parametrize("activation", [ERF, Activation(torch.nn.functional.silu)])
    @pytest.mark.parametrize("rows", [5, 40, ROWS + 9])
    def test_two_layers_at_once_are_two_layers(self, activation: Activation, rows: int) -> None:
        x, weight, bias, _ = tensors(rows, 72, 500)
        _, back, offset, _ = tensors(rows + 1, 500, 72)
        exact = activation.function(x.double() @ weight.double().T + bias) @ back.double().T + offset + x
        found = feed_forward(split(weight, bias, activation), split(back, offset), x)
        assert (found - exact).abs().max() < NEAR

    def test_inputs_that_are_not_contiguous(self) -> None:
        x, weight, bias, _ = tensors(100, 64, 32)
        apart, turned = torch.randn(100, 128), x.t().contiguous().t()
        apart[:, ::2] = x
        expected = split(weight, bias)(x)
        assert torch.equal(split(weight, bias)(apart[:, ::2]), expected)
        assert torch.equal(split(weight.t().contiguous().t(), bias)(turned), expected)

    def test_neither_input_nor_residual_is_written_to(self) -> None:
        x, weight, bias, residual = tensors(100, 64, 32)
        before = x.clone(), residual.clone()
        split(weight, bias).added(x, residual)
        assert torch.equal(x, before[0])
        assert torch.equal(residual, before[1])

    def test_a_row_does_not_depend_on_the_others(self) -> None:
        x, weight, bias, _ = tensors(ROWS + 200, 384, 64)
        layer = split(weight, bias)
        torch.testing.assert_close(layer(x)[100:140], layer(x[100:140]), rtol=0, atol=2e-6)

    def test_large_activations_are_as_near_as_their_size_allows(self) -> None:
        x, weight, bias, _ = tensors(64, 384, 64)
        x[3, 7], x[5, 9] = 1e4, -3e4
        exact = x.double() @ weight.double().T + bias.double()
        sizes = x.double().abs() @ weight.double().abs().T
        error = (split(weight, bias)(x) - exact).abs()
        assert (error / sizes).max() < 2**-15
        assert error[10:].max() < NEAR

    def test_rows_of_zeros_give_the_bias(self) -> None:
        _, weight, bias, _ = tensors(64, 96, 40)
        assert torch.equal(split(weight, bias)(torch.zeros(64, 96)), bias.expand(64, -1))

    @pytest.mark.parametrize("tiny", [1e-39, 1e-45, 1e-36])
    def test_tiny_numbers_give_the_bias(self, tiny: float) -> None:
        _, weight, bias, _ = tensors(64, 96, 40)
        torch.testing.assert_close(split(weight, bias)(torch.full((64, 96), tiny)), bias.expand(64, -1))

    @pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 3.4e38])
    def test_what_is_not_finite_comes_out_as_in_float32(self, odd: float) -> None:
        x, weight, bias, residual = tensors(100, 96, 40)
        x[3, 5] = odd
        layer, plain = split(weight, bias), PlainLinear(weight, bias, ERF)
        torch.testing.assert_close(layer(x), plain(x), rtol=1e-3, atol=NEAR, equal_nan=True)
        torch.testing.assert_close(
            layer.added(x, residual), plain.added(x, residual), rtol=1e-3, atol=NEAR, equal_nan=True
        )
        other = torch.randn(96, 40) / 8
        found = layer.fed(x, split(other, torch.zeros(96)))
        expected = feed_forward(plain, PlainLinear(other, torch.zeros(96), None), x)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=NEAR, equal_nan=True)

    def test_with_many_threads_float32_computes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x, weight, bias, _ = tensors(100, 96, 40)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
        assert torch.equal(split(weight, bias)(x), PlainLinear(weight, bias, ERF)(x))

    def test_it_is_not_float32_s_own_product(self) -> None:
        # Otherwise nothing above says anything about the split.
        x, weight, bias, _ = tensors(100, 384, 40)
        assert not torch.equal(split(weight, bias)(x), PlainLinear(weight, bias, ERF)(x))


# ---------------------------------------------------------------- what the machine can do


def kernel() -> Kernel | str:
    return pick_split_kernel("cpu")


NONE = "this torch or CPU has no product of bfloat16 with a float32 sum (AMX)"


def test_on_a_gpu_there_is_none() -> None:
    assert pick_split_kernel("cuda") == "bf16x3 is computed on the CPU only"


@needs_split
def test_the_kernel_says_what_it_is() -> None:
    found = kernel()
    assert isinstance(found, Kernel)
    assert (found.library, found.dtype, found.rows, found.is_alone) == ("bf16x3", "float32", ROWS, True)


@pytest.mark.parametrize("name", ["_BRGEMM", "_RELEASE"])
def test_a_function_that_is_gone_is_done_without(
    name: str, monkeypatch: pytest.MonkeyPatch, fresh_checks: None
) -> None:
    monkeypatch.setattr(split_linear, name, "_ZN2at6native7cpublas4goneEv")
    assert kernel() == NONE


def test_a_library_that_is_gone_is_done_without(monkeypatch: pytest.MonkeyPatch, fresh_checks: None) -> None:
    def gone(_: str) -> None:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", gone)
    assert kernel() == NONE


@pytest.mark.parametrize("words", ["flags : fpu avx512_bf16", "flags : amx_bf16", ""])
def test_a_cpu_without_amx_has_none(words: str, monkeypatch: pytest.MonkeyPatch, fresh_checks: None) -> None:
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda at, **how: words if at.name == "cpuinfo" else read(at, **how))
    assert not split_linear.split_expected()
    assert kernel() == NONE


def test_a_torch_that_does_not_declare_it_has_none(monkeypatch: pytest.MonkeyPatch, fresh_checks: None) -> None:
    monkeypatch.setattr(split_linear, "_DECLARED", "CPUBLAS_BRGEMM_OF_ANOTHER_KIND")
    assert kernel() == NONE


@needs_split
@pytest.mark.parametrize("method", ["__call__", "activated", "added"])
def test_a_product_that_is_wrong_is_done_without(
    method: str, monkeypatch: pytest.MonkeyPatch, fresh_checks: None
) -> None:
    right = getattr(SplitLinear, method)
    monkeypatch.setattr(SplitLinear, method, lambda *arguments: right(*arguments) * 1.001)
    assert kernel() == NONE


@needs_split
def test_without_the_lower_parts_it_is_refused(monkeypatch: pytest.MonkeyPatch, fresh_checks: None) -> None:
    def upper_alone(part: torch.Tensor) -> Any:
        paired = split_linear._paired(part.bfloat16())
        return split_linear._Block(paired, torch.zeros_like(paired))

    monkeypatch.setattr(split_linear, "_block", upper_alone)
    assert kernel() == NONE
