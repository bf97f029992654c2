"""What a variant stores of a model's vectors: never more, and never less, than its name says."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.tasks.variant import VariantView
from benchkit.types.model import ModelMeta, Variant


@pytest.mark.parametrize("normalized", [False, True])
def test_more_dimensions_than_there_are_are_refused_and_not_taken_for_all(normalized: bool) -> None:
    meta = ModelMeta(name="m", id="m", revision=None, fingerprint="f", dimension=4, normalized=normalized)
    vectors = np.eye(2, 4, dtype=np.float32)
    assert VariantView(Variant(truncate_dim=4), meta).apply(vectors, subset="s").shape == (2, 4)
    with pytest.raises(ValueError, match="can't keep 9 dimensions of 4"):
        VariantView(Variant(truncate_dim=9), meta).apply(vectors, subset="s")
