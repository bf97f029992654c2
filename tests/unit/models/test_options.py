"""A loader's options: their defaults, types and ranges, and what a wrong one is told."""

from __future__ import annotations

import pytest

from benchkit.errors import ModelError
from benchkit.models.options import check_options, float_option, int_option, text_option
from benchkit.types.model import ModelSpec


def _spec(**options: str | int | float | bool) -> ModelSpec:
    return ModelSpec(label="mine", name="x", options=options)


def test_an_option_that_is_given_wins_over_the_default() -> None:
    assert float_option(_spec(k1=2), "k1", 1.2, least=0) == 2.0
    assert float_option(_spec(), "k1", 1.2, least=0) == 1.2
    assert int_option(_spec(batch_size=7), "batch_size", 32, least=1) == 7
    assert int_option(_spec(), "batch_size", 32, least=1) == 32
    assert text_option(_spec(base_url="http://x"), "base_url") == "http://x"
    assert text_option(_spec(), "base_url") is None


def test_a_misspelt_option_is_told_the_nearest() -> None:
    with pytest.raises(ModelError) as caught:
        check_options(_spec(k_1=2), {"k1", "b"})
    assert str(caught.value) == "model 'mine': unknown option 'k_1' (did you mean 'k1'?). Allowed: b, k1"


def test_a_loader_without_options_says_so() -> None:
    with pytest.raises(ModelError, match=r"unknown option 'k1'\. This loader has no options"):
        check_options(_spec(k1=2), set())


@pytest.mark.parametrize("value", ["2", True, -0.1, 1.5, float("nan")], ids=str)
def test_a_number_of_the_wrong_kind_or_range_is_refused(value: str | float) -> None:
    with pytest.raises(ModelError, match=r"option 'b': should be a number of at least 0 and at most 1, got "):
        float_option(_spec(b=value), "b", 0.75, least=0, most=1)


@pytest.mark.parametrize("value", ["2", True, 0, 1.5], ids=str)
def test_a_whole_number_of_the_wrong_kind_or_range_is_refused(value: str | float) -> None:
    with pytest.raises(ModelError, match=r"option 'n': should be a whole number of at least 1, got "):
        int_option(_spec(n=value), "n", 1, least=1)


@pytest.mark.parametrize("value", ["", "  ", 3, True], ids=str)
def test_a_text_that_is_empty_or_no_text_is_refused(value: str | int) -> None:
    with pytest.raises(ModelError, match=r"option 'model': should be a text that isn't empty, got "):
        text_option(_spec(model=value), "model")
