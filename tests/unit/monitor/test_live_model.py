"""The model that is asked again: each text in its role, and texts of a source that has no vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import HashingEncoder
from monitored import DIMENSION, draw, live_model

from benchkit.errors import ModelError, SourceError
from benchkit.monitor.live_model import LiveModel, encoded
from benchkit.types.drift import Rows

PROMPTS = {"query": "query: ", "document": "passage: "}


def _texts(*texts: str | None, roles: tuple[str | None, ...] | None = None) -> Rows:
    return Rows(np.empty((len(texts), 0), np.float32), texts=texts, roles=roles, ids=tuple("abcdef"[: len(texts)]))


def test_each_text_is_encoded_in_its_role_and_stays_in_its_place() -> None:
    encoder = HashingEncoder(dimension=DIMENSION, prompts=PROMPTS)
    found = live_model(encoder).encode(
        ["a", "b", "c", "a", "d", "e"], ["query", "document", None, "document", "none", ""]
    )
    plain = HashingEncoder(dimension=DIMENSION)
    expected = plain.encode(["query: a", "passage: b", "c", "passage: a", "d", "e"])
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


def test_without_roles_texts_get_no_prompt() -> None:
    encoder = HashingEncoder(dimension=DIMENSION, prompts=PROMPTS)
    expected = HashingEncoder(dimension=DIMENSION).encode(["a", "b"])
    assert np.array_equal(live_model(encoder).encode(["a", "b"]), expected)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ModelError, match="a role is 'query' or 'document', got 'passage'"):
        live_model().encode(["a"], ["passage"])


def test_no_texts_are_refused() -> None:
    with pytest.raises(ModelError, match="no text to encode"):
        live_model().encode([])


def test_the_identity_is_the_models_own() -> None:
    encoder = HashingEncoder(dimension=DIMENSION, seed=3)
    found = live_model(encoder)
    assert (found.fingerprint, found.similarity) == (encoder.meta.fingerprint, "cosine")


def test_a_model_that_can_not_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        LiveModel.open(str(tmp_path / "missing"), offline=True)


def test_a_model_without_vectors_of_its_own_is_refused() -> None:
    with pytest.raises(ModelError, match="bm25 has no vectors of its own"):
        LiveModel.open("bm25")


# ------------------------------------------------------------ sources of texts


def test_rows_with_vectors_pass_as_they_are() -> None:
    with_vectors = Rows(draw(1, 4), texts=("a", None, "b", "c"))
    none = Rows(np.empty((0, 0), np.float32))
    assert [*encoded(iter([with_vectors, none]), None, "logs")] == [with_vectors, none]


def test_texts_get_vectors_and_keep_the_other_columns() -> None:
    encoder = HashingEncoder(dimension=DIMENSION, prompts=PROMPTS)
    (found,) = encoded(iter([_texts("a", "b", roles=("query", "document"))]), live_model(encoder), "logs")
    assert np.array_equal(found.vectors, HashingEncoder(dimension=DIMENSION).encode(["query: a", "passage: b"]))
    assert (found.texts, found.ids, found.roles) == (("a", "b"), ("a", "b"), ("query", "document"))


def test_an_empty_text_is_a_text() -> None:
    (found,) = encoded(iter([_texts("a", "")]), live_model(), "logs")
    assert np.array_equal(found.vectors, HashingEncoder(dimension=DIMENSION).encode(["a", ""]))


def test_texts_without_a_model_are_refused() -> None:
    with pytest.raises(SourceError, match=r"^logs: there are texts but no vectors; .*: --model NAME$"):
        list(encoded(iter([_texts("a")]), None, "logs"))


def test_rows_with_neither_are_refused() -> None:
    with pytest.raises(SourceError, match="logs: 1 of 3 rows have neither a vector nor a text"):
        list(encoded(iter([_texts("a", None, "b")]), live_model(), "logs"))
    with pytest.raises(SourceError, match="logs: 2 of 2 rows have neither"):
        list(encoded(iter([Rows(np.empty((2, 0), np.float32))]), live_model(), "logs"))
