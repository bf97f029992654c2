"""Score one model on one task with MTEB, on a fresh task object, and keep what the score is made of.

    OpenedTask ── fresh task ──┐
    Encoder or CorpusFitted ───┴── mteb.evaluate(cache=None) ──┬── scores ── items ──> TaskScore
                                                               └── some items ──────> ItemAnswer of each

MTEB's result cache is off: its key knows neither the weights nor the data of local models and tasks.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchkit.errors import CellFailed
from benchkit.measure.item_values import item_values
from benchkit.tasks.answers import Wanted, answers
from benchkit.tasks.items import item_scores
from benchkit.tasks.mteb_encoder import (
    LexicalEncoder,
    LexicalSearch,
    MtebEncoder,
    ScoringThreads,
    document_texts,
    nothing,
)
from benchkit.tasks.opened import OpenedTask, no_dataset_bars
from benchkit.tasks.parts import iter_parts, parts_of
from benchkit.tasks.search import search_over
from benchkit.tasks.variant import VariantView
from benchkit.tasks.worst import worst_items
from benchkit.types.answer import Answers, ItemAnswer
from benchkit.types.model import CorpusFitted, Encoder, Variant
from benchkit.types.result import ItemScores, WorstItem

log = logging.getLogger(__name__)

# A cell tells what the model answered to about this many of its items, spread evenly: two models tell of the same ones.
# Few tasks have more, and the texts of 400,000 reviews for every model would be more than its vectors.
MOST_ANSWERED = 10_000
# Scorers of these types are scikit-learn's, on small data; one thread each.
_ONE_THREAD = frozenset({"Classification", "MultilabelClassification", "Clustering"})
# Attributes in which MTEB's tasks name columns that hold texts, or lists of them.
_TEXT_COLUMNS = ("input_column_name", "human_summaries_column_name", "machine_summaries_column_name")
_SEARCH_TYPES = frozenset({"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking"})


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The score of one model on one task.

    Attributes:
        n_texts: Texts that the task handed to an encoder; 0 for a lexical model.
        answers: To items that have a number each, about `MOST_ANSWERED` at most.
    """

    main_score: float
    scores: dict[str, float]
    items: tuple[ItemScores, ...]
    n_items: int
    n_texts: int
    worst: tuple[WorstItem, ...]
    warnings: tuple[str, ...]
    answers: Answers


def score_task(opened: OpenedTask, model: Encoder | CorpusFitted, variant: Variant) -> TaskScore:
    """Score a model on a task.

    Raises:
        CellFailed: the task type doesn't suit the model, or a score is not a finite number.
    """
    done = _evaluated(opened, model, variant)
    scores, items = _main_scores(done.raw, opened), _items(done.task, opened)
    return TaskScore(
        main_score=sum(scores.values()) / len(scores),
        scores=scores,
        items=items,
        n_items=_count_items(done.task),
        n_texts=done.n_texts,
        worst=worst_items(done.task, opened.main_metric),
        warnings=done.warnings,
        answers=_answers(done.task, opened, items),
    )


def answer_items(
    opened: OpenedTask, model: Encoder | CorpusFitted, variant: Variant, wanted: Wanted
) -> dict[tuple[str, str], ItemAnswer]:
    """Evaluate again and return what the model answered to some items, by ("split/subset", item).

    The same way as for the score, whose random draws start anew each time: these are the answers that it was made of.

    Args:
        wanted: Names of items, as `ItemScores` holds them, by "split/subset".

    Raises:
        CellFailed: the task type doesn't suit the model.
    """
    return answers(_evaluated(opened, model, variant).task, opened.main_metric, wanted)


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A recording task that was evaluated, with what MTEB returned for it."""

    task: Any
    raw: Any
    n_texts: int
    warnings: tuple[str, ...]


def _evaluated(opened: OpenedTask, model: Encoder | CorpusFitted, variant: Variant) -> _Evaluated:
    task = opened.fresh()
    task.start_recording()
    threads = ScoringThreads() if opened.type in _ONE_THREAD else None
    heard: list[str] = []
    # Some tasks read more of their data when they score.
    with threads or nothing(), _quiet(heard), opened.own_copies():
        if isinstance(model, CorpusFitted):
            raw, about_words = _evaluate_lexical(opened, task, model)
            n_texts = 0
            heard.extend(about_words)
        else:
            raw, adapter = _evaluate_dense(opened, task, model, variant, threads)
            n_texts = adapter.n_texts
            heard.extend(_about_zeros(adapter))
    return _Evaluated(task, raw, n_texts, tuple(dict.fromkeys(heard)))


def _about_zeros(adapter: MtebEncoder) -> Iterator[str]:
    """Tell of texts without a direction: MTEB gives their cosine a value all the same."""
    if adapter.n_zero:
        yield _zeros(adapter.n_zero, adapter.n_texts)


def _about_no_words(task: Any) -> Iterator[str]:
    """Tell of queries that share no word with what they are ranked against: their value is that of a sort by id."""
    n_queries = n_by_id = 0
    for split, subset, part in iter_parts(task):
        found = task.results.get((split, subset), {})
        n_queries += len(found)
        for query, scores in found.items():
            relevant = {name for name, grade in part["relevant_docs"].get(query, {}).items() if grade > 0}
            # Where candidates are given and none is relevant, no order is better than another.
            is_open = part.get("top_ranked") is None or not relevant.isdisjoint(scores)
            n_by_id += is_open and not any(scores.values())
    if n_by_id:
        yield (
            f"{n_by_id} of {n_queries} queries share no word with a document that they are ranked against; all of "
            f"these score 0 there, and the order of their ids decides"
        )


def _zeros(n_zero: int, n_texts: int) -> str:
    return (
        f"{n_zero} of {n_texts} texts have a vector of zeros (no word that the model knows); a "
        f"cosine with one is not defined, and the score takes MTEB's value for it: 0 in searches, 0.5 in pairs"
    )


def _evaluate_dense(
    opened: OpenedTask, task: Any, model: Encoder, variant: Variant, threads: ScoringThreads | None
) -> tuple[Any, MtebEncoder]:
    """Return MTEB's scores and the adapter that it called."""
    adapter = MtebEncoder(model, VariantView(variant, model.meta), threads)
    searches = opened.type in _SEARCH_TYPES
    if variant.precision == "int8" and searches:
        for _, subset, part in iter_parts(task):
            adapter.calibrate(document_texts(part["corpus"]), task_metadata=task.metadata, subset=subset)
    # A task that leaves out the first document found needs them in the order of MTEB's own search.
    own = searches and not getattr(task, "skip_first_result", False)
    scores = _evaluate(task, search_over(adapter) if own else adapter)
    return scores, adapter


def _evaluate_lexical(opened: OpenedTask, task: Any, model: CorpusFitted) -> tuple[Any, list[str]]:
    """Return MTEB's scores, and what to tell of texts and queries in which the model knows no word."""
    if model.task_types is not None and opened.type not in model.task_types:
        raise CellFailed(f"{model.meta.name} does {', '.join(sorted(model.task_types))} only, not {opened.type}")
    merged: dict[str, list[Any]] = {}
    n_zero = n_texts = 0
    # One subset at a time, since the model is fitted on the texts of each.
    for split, subset, part in iter_parts(task):
        model.fit(_texts_to_fit(task, subset, part))
        adapter = LexicalSearch(model) if opened.type in _SEARCH_TYPES else LexicalEncoder(model)
        _seed(task)
        scores = task.evaluate(
            adapter, split, [subset], encode_kwargs={"show_progress_bar": False}, prediction_folder=_FOLDER
        )
        merged.setdefault(split, []).extend({**values, "hf_subset": name} for name, values in scores.items())
        n_zero, n_texts = n_zero + adapter.n_zero, n_texts + adapter.n_texts
    if opened.type in _SEARCH_TYPES:
        return merged, list(_about_no_words(task))
    return merged, [_zeros(n_zero, n_texts)] if n_zero else []


# The recording task never writes into it: a folder's presence is what makes MTEB hand its predictions over.
_FOLDER = Path("unused")


def _evaluate(task: Any, adapter: Any) -> Any:
    import mteb

    _seed(task)
    with TemporaryDirectory() as folder:
        result = mteb.evaluate(
            adapter,
            task,
            cache=None,
            co2_tracker=False,
            show_progress_bar=False,
            encode_kwargs={"batch_size": 32, "show_progress_bar": False},
            prediction_folder=folder,
        )
    return result.task_results[0].scores


def _seed(task: Any) -> None:
    """Put the global random sources where a new MTEB task puts them, so that no model inherits another's state."""
    type(task)(seed=task.seed)


def _texts_to_fit(task: Any, subset: str, part: Any) -> list[str]:
    """Return the texts that a lexical model may see before it scores: the corpus, the training part, all pairs."""
    if "corpus" in part:
        return document_texts(part["corpus"])
    train = getattr(task, "train_split", None)
    if train is not None:
        return [str(text) for text in parts_of(task, subset)[train][task.input_column_name][:]]
    rows = part[0] if len(part) == 1 else part[:]
    columns = [
        *(getattr(task, name, None) for name in _TEXT_COLUMNS),
        *("sentence1", "sentence2"),
        *getattr(task, "column_names", ()),
    ]
    texts: list[str] = []
    for column in dict.fromkeys(name for name in columns if isinstance(name, str) and name in rows):
        for value in rows[column]:
            texts.extend(value if isinstance(value, list) else [value])
    return texts


def _main_scores(raw: Any, opened: OpenedTask) -> dict[str, float]:
    scores: dict[str, float] = {}
    for split, entries in raw.items():
        for entry in entries:
            scores[f"{split}/{entry['hf_subset']}"] = float(entry["main_score"])
    if not scores:
        raise CellFailed(f"{opened.name}: MTEB returned no score")
    if bad := [place for place, value in scores.items() if not math.isfinite(value)]:
        raise CellFailed(
            f"{opened.main_metric} is not a finite number on {', '.join(bad)}: the vectors or the scores of this model "
            f"can't be told apart there (all alike, or a constant column)"
        )
    return scores


def _items(task: Any, opened: OpenedTask) -> tuple[ItemScores, ...]:
    """Items of every split and subset, or none at all: an interval over a part would be wrong."""
    found: list[ItemScores] = []
    for split, subset, part in iter_parts(task):
        items = item_scores(task, (split, subset), part, opened.main_metric)
        if not items:
            return ()
        found.extend(items)
    return tuple(found)


def _answers(task: Any, opened: OpenedTask, items: tuple[ItemScores, ...]) -> Answers:
    """Return what the model answered; {} where the rows of a task aren't as those of its type are."""
    try:
        return answers(task, opened.main_metric, _told_of(items), scores=items)
    # They explain a score and are no part of it: whatever a task's rows are like, the score stands.
    except Exception as exc:
        log.debug("the answers on %s can't be told", opened.name, exc_info=exc)
        return {}


def _told_of(items: tuple[ItemScores, ...]) -> dict[str, list[str]]:
    """Return the items whose answers are told, by "split/subset"."""
    parts = [part for part in items if item_values(part) is not None]
    step = max(1, math.ceil(sum(part.n_items for part in parts) / MOST_ANSWERED))
    return {f"{part.split}/{part.subset}": part.items[::step].tolist() for part in parts}


def _count_items(task: Any) -> int:
    return sum(len(part["queries"]) if "queries" in part else len(part) for _, _, part in iter_parts(task))


@contextmanager
def _quiet(heard: list[str]) -> Iterator[None]:
    """Keep MTEB's chatter off the screen; its warnings about the data go into the result."""
    logger = logging.getLogger("mteb")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(record=True) as caught, no_dataset_bars():
            warnings.simplefilter("default")
            yield
        heard.extend(str(w.message) for w in caught if _concerns_the_user(w))
    finally:
        logger.setLevel(level)


def _concerns_the_user(caught: warnings.WarningMessage) -> bool:
    return caught.category is not DeprecationWarning and "superseded" in str(caught.message)
