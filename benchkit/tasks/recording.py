"""Keep what MTEB computes on the way to a score and then throws away.

    type(task) ──recording_class──> the same task, which also keeps
        predictions  what the model answered, by (split, subset)
        per_query    retrieval: every metric of every query
        changes      instructions: p-MRR of every query that was asked with two
        draws        clustering: which items each experiment drew
        scored       classification: labels and predictions of each experiment, as they were scored

The subclass changes no number: it calls MTEB's own method and keeps the arguments. It also hands MTEB's scorers plain
lists of labels and texts (columns.py), and leaves out scores that nobody reads (abstention.py, `_accuracy`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchkit.tasks.abstention import without_abstention
from benchkit.tasks.columns import ColumnsInMemory

if TYPE_CHECKING:
    from mteb.abstasks.abstask import AbsTask

Place = tuple[str, str]  # split, subset
_ROWS_READ_ONE_BY_ONE = frozenset({"PairClassification", "Clustering"})


class RecordingRandom(random.Random):
    """A random source that gives what another would have given, and keeps the index draws."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.setstate(state)
        self.sampled: list[list[int]] = []
        self.chosen: list[list[int]] = []

    def sample(self, population: Any, k: int, **kwargs: Any) -> list[Any]:
        drawn = super().sample(population, k, **kwargs)
        self.sampled.append(drawn)
        return drawn

    def choices(self, population: Any, *args: Any, **kwargs: Any) -> list[Any]:
        drawn = super().choices(population, *args, **kwargs)
        self.chosen.append(drawn)
        return drawn

    def taken(self) -> tuple[list[list[int]], list[list[int]]]:
        """Return the draws since the last call: those of `sample` and those of `choices`."""
        taken = (self.sampled, self.chosen)
        self.sampled, self.chosen = [], []
        return taken


class _Recording:
    """Mixed in before an MTEB task class."""

    predictions: dict[Place, Any]
    per_query: dict[Place, dict[str, dict[str, float]]]
    changes: dict[Place, dict[str, float]]
    results: dict[Place, Any]
    scored: dict[Place, list[tuple[Any, Any]]]
    drawn: dict[Place, tuple[list[list[int]], list[list[int]]]]

    def start_recording(self) -> None:
        self.predictions = {}
        self.per_query = {}
        self.changes = {}
        self.results = {}
        self.scored = {}
        self.drawn = {}
        self._scored_now: list[tuple[Any, Any]] = []
        self._random = RecordingRandom(self.rng_state.getstate())  # type: ignore[has-type]
        self.rng_state = self._random

    def _save_task_predictions(
        self, predictions: Any, model: Any, prediction_folder: Any, hf_split: str, hf_subset: str
    ) -> None:
        # MTEB calls this once at the end of each split and subset, so what was collected since belongs to it.
        place = (hf_split, hf_subset)
        self.predictions[place] = predictions
        self.scored[place], self._scored_now = self._scored_now, []
        self.drawn[place] = self._random.taken()

    def task_specific_scores(
        self, scores: Any, qrels: Any, results: Any, hf_split: str, hf_subset: str
    ) -> dict[str, float]:
        self.per_query[hf_split, hf_subset] = scores
        self.results[hf_split, hf_subset] = results
        with _watch_changes() as changes:
            found: dict[str, float] = super().task_specific_scores(  # type: ignore[misc]
                scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset
            )
        self.changes[hf_split, hf_subset] = changes
        return found

    def _calculate_scores(self, truth: Any, predicted: Any, *rest: Any) -> Any:
        if isinstance(truth, dict):  # STS passes similarities and gold scores here
            return super()._calculate_scores(truth, predicted, *rest)  # type: ignore[misc]
        labels = truth[:]  # a lazy column becomes a list at once, an array stays one
        self._scored_now.append((labels, predicted))
        if self.metadata.type == "Classification" and self.metadata.main_score == "accuracy":  # type: ignore[attr-defined]
            return _accuracy(labels, predicted)
        return super()._calculate_scores(labels, predicted, *rest)  # type: ignore[misc]

    def _evaluate_subset(self, model: Any, data_split: Any, **options: Any) -> Any:
        kind = self.metadata.type  # type: ignore[attr-defined]
        if kind == "Classification":
            data_split = {name: ColumnsInMemory.of(part) for name, part in data_split.items()}
        elif kind in _ROWS_READ_ONE_BY_ONE:
            data_split = ColumnsInMemory.of(data_split)
        with without_abstention(self.metadata.main_score):  # type: ignore[attr-defined]
            return super()._evaluate_subset(model, data_split, **options)  # type: ignore[misc]

    def _undersample_data(self, dataset: Any, experiment_num: int, idxs: list[int] | None = None) -> Any:
        return super()._undersample_data(ColumnsInMemory.of(dataset), experiment_num, idxs)  # type: ignore[misc]


def _accuracy(truth: Any, predicted: Any) -> dict[str, float]:
    """Return the main score alone: F1, precision and recall take as long as the fit, and nobody reads them."""
    from sklearn.metrics import accuracy_score

    return {"accuracy": accuracy_score(truth, predicted)}


@contextmanager
def _watch_changes() -> Iterator[dict[str, float]]:
    """Yield what MTEB's own function gives for each query when it is called for the mean of all.

    Which documents changed is known inside that call only: MTEB loads them from the hub for it.
    """
    from mteb._evaluators import retrieval_metrics

    changes: dict[str, float] = {}
    plain = getattr(retrieval_metrics, "calculate_pmrr", None)
    if plain is None:
        yield changes  # a later MTEB; p-MRR then has no per-item scores
        return

    def watched(before: Mapping[str, Any], after: Mapping[str, Any], changed: Mapping[str, Sequence[str]]) -> Any:
        for query, documents in changed.items():
            if documents and f"{query}-og" in before and f"{query}-changed" in after:
                changes[query] = float(plain(before, after, {query: documents}))
        return plain(before, after, changed)

    retrieval_metrics.calculate_pmrr = watched
    try:
        yield changes
    finally:
        retrieval_metrics.calculate_pmrr = plain


def recording_class(task_class: type[AbsTask]) -> type[AbsTask]:
    """Return a subclass of an MTEB task class that keeps what the module header lists."""
    return type(task_class.__name__, (_Recording, task_class), {})
