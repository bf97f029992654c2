"""A second picture of the regions of a baseline, for people to look at: no test is made of it.

    centroids (k, d) of a baseline ── UMAP, always from the same seed ──> places of the regions, 0 to 1 on both axes

It shows which regions are neighbours. How far apart they lie, how dense they seem and which way is up mean nothing. It
depends on the baseline alone, so all windows of a baseline have the same one under one version of the library.

Source: McInnes, Healy and Melville, "UMAP", arXiv:1802.03426 (2018), as umap-learn computes it, an extra of benchkit.
Cost: about 10 CPU-seconds and 360 MiB in a process, nearly all of them to import the library and to compile it.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import UsageError
from benchkit.types.drift import LayoutName, RegionPlace

SEED = 0
NEIGHBOURS = 15  # of a region; the library's own choice
FEWEST_REGIONS = 5  # so that somebody can be a neighbour and another one not


def lay_out(centroids: NDArray[np.floating], layout: LayoutName) -> tuple[RegionPlace, ...]:
    """Return where a picture of that name has the regions (k, d); () for "pca", whose plane every report has.

    Raises:
        UsageError: no such layout, too few regions, or the library can't be imported.
    """
    if layout == "pca":
        return ()
    if layout != "umap":
        raise UsageError(f"no layout is named {layout!r}: pca or umap")
    if len(centroids) < FEWEST_REGIONS:
        raise UsageError(
            f"the baseline has {len(centroids)} regions, and a layout by UMAP takes {FEWEST_REGIONS}; make it from "
            "more rows, or leave out --layout"
        )
    places = _unit(_embedded(_library(), centroids.astype(np.float32)))
    return tuple(RegionPlace(cluster, float(x), float(y)) for cluster, (x, y) in enumerate(places))


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            # It tells everybody that TensorFlow is missing.
            warnings.simplefilter("ignore")
            return importlib.import_module("umap")
    # A RuntimeError is numba's, where it finds no folder for what it compiles.
    except (ImportError, RuntimeError) as exc:
        raise UsageError(
            f"a layout by UMAP needs the package umap-learn, which can't be imported ({exc}): "
            'pip install "benchkit[umap]", or leave out --layout'
        ) from exc


def _embedded(library: Any, centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    neighbours = min(NEIGHBOURS, len(centroids) - 1)
    # More than one thread would make another picture each time.
    made = library.UMAP(n_components=2, n_neighbors=neighbours, metric="euclidean", random_state=SEED, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: NDArray[np.float64] = np.asarray(made.fit_transform(centroids), np.float64)
    return found


def _unit(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places between 0 and 1 on each axis, in four digits; all in the middle of one without an extent."""
    low, extent = places.min(axis=0), np.ptp(places, axis=0)
    scaled: NDArray[np.float64] = np.where(extent > 0, (places - low) / np.where(extent > 0, extent, 1), 0.5)
    return scaled.round(4)
