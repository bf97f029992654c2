"""The probe sees what it is there to see: numbers, the same each time, of unit length; and says who can't encode."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from fakes import HashingEncoder
from numpy.typing import NDArray

from benchkit.errors import CellFailed, ModelError
from benchkit.gate.probe import TEXTS, probe
from benchkit.types.gate import ProbeFacts
from benchkit.types.model import ModelMeta, Role

Vectors = NDArray[np.float32]


@dataclass
class Spoilt(HashingEncoder):
    """A fake whose vectors of each call are changed by a function of the texts and the vectors."""

    change: Callable[[Sequence[str], Vectors], Vectors] = lambda texts, vectors: vectors
    calls: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> Vectors:
        self.calls.append(list(texts))
        return self.change(texts, HashingEncoder.encode(self, texts, prompt=prompt, role=role))


def found(change: Callable[[Sequence[str], Vectors], Vectors]) -> ProbeFacts:
    facts = probe(Spoilt(change=change))
    assert facts is not None
    return facts


def test_a_sound_model_has_finite_vectors_of_unit_length_that_never_change() -> None:
    encoder = Spoilt()
    assert probe(encoder) == ProbeFacts(16, finite=True, normalized=True, max_difference=0.0, deterministic=True)
    texts = list(TEXTS)
    assert encoder.calls == [texts, texts, texts[::-1], *([text] for text in texts)]


def test_the_texts_are_of_all_lengths_and_several_scripts() -> None:
    assert len(TEXTS) == len(set(TEXTS)) == 16
    assert "" in TEXTS
    assert max(len(text.split()) for text in TEXTS) > 512
    assert any("快" in text for text in TEXTS)
    assert any("über" in text for text in TEXTS)
    assert any("🚀" in text for text in TEXTS)


@pytest.mark.parametrize(
    "is_spoilt",
    [
        lambda texts, calls: len(texts) == 1,
        lambda texts, calls: len(texts) > 1 and texts[0] != TEXTS[0],
        lambda texts, calls: len(texts) > 1 and len(calls) == 2,
        lambda texts, calls: texts == [TEXTS[-1]],
    ],
    ids=["alone", "in another order", "again", "one text alone"],
)
@pytest.mark.parametrize(("by", "deterministic"), [(3e-4, False), (2e-5, True)])
def test_a_vector_that_changes_in_any_of_the_calls_is_seen(
    is_spoilt: Callable[[Sequence[str], list[list[str]]], bool], by: float, deterministic: bool
) -> None:
    encoder = Spoilt()

    def change(texts: Sequence[str], vectors: Vectors) -> Vectors:
        if is_spoilt(texts, encoder.calls):
            vectors[-1, 3] += np.float32(by)
        return vectors

    encoder.change = change
    facts = probe(encoder)
    assert facts is not None
    assert facts.max_difference == pytest.approx(by, rel=1e-2)
    assert facts.deterministic is deterministic


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_number_that_is_none_is_seen(value: float) -> None:
    def change(texts: Sequence[str], vectors: Vectors) -> Vectors:
        if texts == [TEXTS[5]]:
            vectors[0, 7] = value
        return vectors

    assert found(change) == ProbeFacts(16, finite=False, normalized=False, max_difference=None, deterministic=False)


def test_unit_length_holds_for_every_vector_to_a_thousandth() -> None:
    def scaled(by: float) -> Callable[[Sequence[str], Vectors], Vectors]:
        def change(texts: Sequence[str], vectors: Vectors) -> Vectors:
            return np.stack([v * (by if text == TEXTS[4] else 1) for text, v in zip(texts, vectors, strict=True)])

        return change

    assert [found(scaled(by)).normalized for by in (1.0005, 0.9995, 1.002, 0.998)] == [True, True, False, False]
    assert found(lambda texts, vectors: 3 * vectors).deterministic


def test_a_vector_of_zeros_has_no_length_that_could_be_wrong() -> None:
    def change(texts: Sequence[str], vectors: Vectors) -> Vectors:
        return np.stack([v * bool(text) for text, v in zip(texts, vectors, strict=True)])

    assert found(change).normalized
    assert not found(lambda texts, vectors: 0 * vectors).normalized


def test_half_precision_vectors_are_looked_at_like_others() -> None:
    facts = found(lambda texts, vectors: (400 * vectors).astype(np.float16))  # type: ignore[arg-type]
    assert (facts.finite, facts.normalized, facts.deterministic) == (True, False, True)


class Sparse:
    meta = ModelMeta("tfidf", "tfidf", None, "f", None)
    task_types = None

    def fit(self, texts: Sequence[str]) -> None:
        raise AssertionError("a sparse model is not probed")

    def encode_sparse(self, texts: Sequence[str], *, role: Role | None = None) -> object:
        raise AssertionError("a sparse model is not probed")


def test_a_sparse_model_is_not_probed() -> None:
    assert probe(Sparse()) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t, v: v[:-1] if len(t) > 1 else v,
            r"16 texts should give an array (16, dimension), got shape (15, 64)",
        ),
        (lambda t, v: v[0] if len(t) == 1 else v, "one text should give an array (1, dimension), got shape (64,)"),
        (lambda t, v: v[:, :0], "16 texts should give an array (16, dimension), got shape (16, 0)"),
        (lambda t, v: v.astype(np.int8), "vectors should be floating point numbers, got int8"),
        (lambda t, v: [], "16 texts should give an array (16, dimension), got shape (0,)"),
        (
            lambda t, v: v[:, : 60 if len(t) == 1 else 64],
            "the length of its vectors changes from call to call, 64 and 60",
        ),
        (
            lambda t, v: v[:, : 60 if list(t) == [TEXTS[7]] else 64],
            "the length of its vectors changes from call to call, 64 and 60",
        ),
    ],
    ids=["a vector is missing", "not a table", "no dimension", "integers", "nothing", "other alone", "other for one"],
)
def test_what_is_no_vector_for_each_text_is_refused(
    change: Callable[[Sequence[str], Vectors], Vectors], message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        found(change)
    assert str(caught.value) == f"hashing: {message}"


def test_a_model_that_raises_is_an_error_with_its_reason() -> None:
    def fail(texts: Sequence[str], vectors: Vectors) -> Vectors:
        if len(texts) == 1:
            raise RuntimeError("out of memory")
        return vectors

    with pytest.raises(ModelError, match=r"^hashing: encoding one text failed: RuntimeError: out of memory$") as caught:
        found(fail)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("error", [CellFailed("the server is gone"), KeyboardInterrupt()])
def test_what_benchkit_raised_and_an_interrupt_go_through(error: BaseException) -> None:
    def fail(texts: Sequence[str], vectors: Vectors) -> Vectors:
        raise error

    with pytest.raises(type(error)) as caught:
        found(fail)
    assert caught.value is error


def test_no_model_library_is_imported() -> None:
    heavy = {"torch", "mteb", "mlflow", "pandas", "scipy.stats", "pyarrow", "transformers", "sentence_transformers"}
    code = (
        "import sys, benchkit.gate.cost, benchkit.gate.limits, benchkit.gate.probe; "
        f"print(sorted({heavy} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
