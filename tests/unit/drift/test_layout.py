"""The layout by UMAP: fixed by the baseline, neighbours stay neighbours, and without the library one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import fake_umap
import numpy as np
import pytest

from benchkit.drift.layout import FEWEST_REGIONS, NEIGHBOURS, SEED, lay_out
from benchkit.errors import UsageError
from benchkit.types.drift import RegionPlace

GROUPS, EACH = 8, 8


def grouped() -> np.ndarray:
    """Return 64 centroids in eight groups, well apart in 32 dimensions (groups x each, d), group by group."""
    rng = np.random.default_rng(3)
    middles = rng.normal(size=(GROUPS, 1, 32)) * 3
    return (middles + 0.3 * rng.normal(size=(GROUPS, EACH, 32))).reshape(-1, 32).astype(np.float16)


@pytest.fixture(scope="module")
def laid_out() -> tuple[RegionPlace, ...]:
    """The layout by the library itself, which takes some ten seconds to be imported and compiled."""
    pytest.importorskip("umap", reason='the layout needs umap-learn: pip install "benchkit[umap]"')
    return lay_out(grouped(), "umap")


def array(places: tuple[RegionPlace, ...]) -> np.ndarray:
    return np.array([(place.x, place.y) for place in places])


@pytest.mark.slow
def test_neighbours_among_groups_well_apart_stay_neighbours(laid_out: tuple[RegionPlace, ...]) -> None:
    places = array(laid_out)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, : EACH - 1]
    own = np.arange(GROUPS * EACH)[:, None] // EACH == nearest // EACH
    # Of places by chance, one in nine.
    assert own.mean() > 0.95


@pytest.mark.slow
def test_a_baseline_has_one_layout_however_often_it_is_asked_for(laid_out: tuple[RegionPlace, ...]) -> None:
    np.random.seed(1)  # of NumPy itself, which nothing may depend on
    assert lay_out(grouped(), "umap") == laid_out
    assert [place.cluster for place in laid_out] == list(range(GROUPS * EACH))
    places = array(laid_out)
    assert (places.min(axis=0).tolist(), places.max(axis=0).tolist()) == ([0, 0], [1, 1])
    assert np.array_equal(places, places.round(4))


@pytest.mark.slow
@pytest.mark.usefixtures("laid_out")
@pytest.mark.parametrize("n", [FEWEST_REGIONS, 16, 17])
def test_few_regions_have_a_layout_too(n: int) -> None:
    places = array(lay_out(grouped()[:n], "umap"))
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == n


def test_regions_lie_between_0_and_1_and_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.install(monkeypatch)
    # x is 2, 4, ..., 10, which are 0, 1/4, ..., 1; y is 7 of all.
    found = lay_out(np.array([[2.0 * n, 7.0] for n in (1, 5, 3, 2, 4)]), "umap")
    assert [place.x for place in found] == [0, 1, 0.5, 0.25, 0.75]
    assert {place.y for place in found} == {0.5}


@pytest.mark.parametrize(("n", "neighbours"), [(FEWEST_REGIONS, FEWEST_REGIONS - 1), (64, NEIGHBOURS)])
def test_the_library_gets_a_seed_one_thread_and_fewer_neighbours_than_regions(
    monkeypatch: pytest.MonkeyPatch, n: int, neighbours: int
) -> None:
    fake_umap.install(monkeypatch)
    lay_out(grouped()[:n], "umap")
    asked = fake_umap.UMAP.asked
    assert (asked["random_state"], asked["n_jobs"], asked["n_neighbors"]) == (SEED, 1, neighbours)


def test_the_plane_of_every_report_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.remove(monkeypatch)
    assert lay_out(grouped(), "pca") == ()


def test_without_the_library_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.remove(monkeypatch)
    with pytest.raises(UsageError) as caught:
        lay_out(grouped(), "umap")
    assert str(caught.value) == (
        "a layout by UMAP needs the package umap-learn, which can't be imported (import of umap halted; None in "
        'sys.modules): pip install "benchkit[umap]", or leave out --layout'
    )


def test_a_library_that_finds_no_folder_to_compile_in_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "umap.py").write_text("raise RuntimeError('cannot cache function: no locator available')")
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"can't be imported \(cannot cache function: no locator available\)"):
        lay_out(grouped(), "umap")


def test_too_few_regions_and_other_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.remove(monkeypatch)
    with pytest.raises(UsageError, match="the baseline has 4 regions, and a layout by UMAP takes 5; make it from more"):
        lay_out(grouped()[: FEWEST_REGIONS - 1], "umap")
    with pytest.raises(UsageError, match="no layout is named 'tsne': pca or umap"):
        lay_out(grouped(), "tsne")  # type: ignore[arg-type]
