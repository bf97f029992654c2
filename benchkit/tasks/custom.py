"""A team's own data as an MTEB task, so that MTEB's code and metrics score it.

    TaskSpec(type, data, columns) ──read──> plain rows ──> a subclass of MTEB's abstract task with the rows in it
                                      └── further columns ──> its `own_tags`, which no model and no score sees

The subclass is MTEB's documented way for tasks of one's own: `metadata` and `load_data`. Clustering uses every text;
MTEB's default would embed 4 % of them, which is made for sets of 100,000 and more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchkit.errors import SuiteError, nearest
from benchkit.tasks.own.labelled import LabelledData, read_labelled
from benchkit.tasks.own.pairs import PairData, read_pairs
from benchkit.tasks.own.retrieval import RetrievalData, read_retrieval
from benchkit.tasks.tag_columns import OwnTags
from benchkit.types.task import TaskSpec

if TYPE_CHECKING:
    from mteb.abstasks.abstask import AbsTask

SPLIT = "test"

# MTEB's main metric of each type.
MAIN_METRIC = {
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
    "STS": "cosine_spearman",
    "PairClassification": "max_ap",
    "Classification": "accuracy",
    "MultilabelClassification": "accuracy",
    "Clustering": "v_measure",
    "BitextMining": "f1",
}


_DEPTHS = (1, 3, 5, 10, 20, 100, 1000)
_RANKING = tuple(
    f"{name}_at_{k}" for name in ("ndcg", "map", "recall", "precision", "mrr", "hit_rate") for k in _DEPTHS
)
_CLASSES = ("accuracy", "f1", "f1_weighted", "precision", "precision_weighted", "recall", "recall_weighted", "ap")
_SIMILARITIES = ("similarity", "cosine", "manhattan", "euclidean", "dot")

# The metrics that MTEB computes for each type, any of which may be the main one.
METRICS: dict[str, tuple[str, ...]] = {
    "Retrieval": _RANKING,
    "Reranking": _RANKING,
    "STS": ("pearson", "spearman", *(f"{s}_{c}" for s in _SIMILARITIES[1:4] for c in ("pearson", "spearman"))),
    "PairClassification": tuple(
        f"{s}_{m}" for s in ("max", *_SIMILARITIES) for m in ("ap", "f1", "accuracy", "precision", "recall")
    ),
    "Classification": _CLASSES,
    "MultilabelClassification": ("accuracy", "f1", "lrap", "hamming"),
    "Clustering": ("v_measure", "ami"),
    "BitextMining": ("f1", "accuracy", "precision", "recall"),
}


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read for a task: its data set, notes for the reader, and what is known of its items."""

    dataset: Any
    notes: tuple[str, ...]
    tags: OwnTags


def custom_task_class(spec: TaskSpec, *, revision: str) -> tuple[type[AbsTask], tuple[str, ...]]:
    """Return a subclass of MTEB's abstract task that holds the rows of `spec.data`, and notes for the reader.

    Args:
        spec: A spec with type and data.
        revision: Content hash of the files; becomes the data set revision in every result.

    Raises:
        SuiteError: the data can't be read or breaks a rule of its type; every problem is listed.
    """
    assert spec.type is not None
    assert spec.data is not None
    base = _abstract_task(spec.type)
    read = _READERS[spec.type](spec, spec.data)
    attributes: dict[str, Any] = {
        "metadata": _metadata(spec, revision),
        "load_data": _loader(read.dataset),
        "own_tags": read.tags,
    }
    if spec.type == "Clustering":
        attributes |= {"max_fraction_of_documents_to_embed": None, "max_document_to_embed": None}
    return type("OwnTask", (base,), attributes), read.notes


def _abstract_task(task_type: str) -> type[AbsTask]:
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.clustering import AbsTaskClustering
    from mteb.abstasks.multilabel_classification import AbsTaskMultilabelClassification
    from mteb.abstasks.pair_classification import AbsTaskPairClassification
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    classes: dict[str, type[AbsTask]] = {
        "Retrieval": AbsTaskRetrieval,
        "Reranking": AbsTaskRetrieval,
        "STS": AbsTaskSTS,
        "PairClassification": AbsTaskPairClassification,
        "Classification": AbsTaskClassification,
        "MultilabelClassification": AbsTaskMultilabelClassification,
        "Clustering": AbsTaskClustering,
        "BitextMining": AbsTaskBitextMining,
    }
    return classes[task_type]


def _metadata(spec: TaskSpec, revision: str) -> Any:
    from mteb import TaskMetadata

    check_language(spec)
    assert spec.type is not None
    if spec.metric is not None and (problem := metric_problem(spec.type, spec.metric)):
        raise SuiteError(f"task {spec.name!r}: metric: {problem}")
    return TaskMetadata(
        name=spec.name,
        description=spec.description or f"Own {spec.type} data",
        type=spec.type,
        eval_splits=[SPLIT],
        eval_langs=[spec.language],
        main_score=spec.metric or MAIN_METRIC[spec.type],
        dataset={"path": str(spec.data), "revision": revision},
        is_public=False,
    )


def check_language(spec: TaskSpec) -> None:
    """Refuse a language that MTEB doesn't know.

    Raises:
        SuiteError: it is no ISO 639-3 code with a script.
    """
    from mteb.languages import check_language_code

    try:
        check_language_code(spec.language)
    except ValueError as exc:
        raise SuiteError(
            f"task {spec.name!r}: language: {spec.language!r} is no ISO 639-3 code with a script, such as eng-Latn"
        ) from exc


def check_two_labels(spec: TaskSpec, rows: LabelledData) -> None:
    """Refuse average precision where it isn't defined: MTEB then gives no number.

    Raises:
        SuiteError: the metric is `ap`, and there are other than two labels, or only one in the test part.
    """
    if spec.type != "Classification" or spec.metric != "ap":
        return
    tested, known = set(rows.labels), {*rows.labels, *rows.train_labels}
    if len(known) != 2 or len(tested) != 2:
        raise SuiteError(
            f"task {spec.name!r}: metric: ap needs two labels, both in the test part; there are {len(known)}, and "
            f"{len(tested)} in the test part"
        )


def metric_problem(task_type: str, metric: str) -> str:
    """Say that MTEB computes no such metric for a type of task, "" where it does.

    >>> metric_problem("Clustering", "v_measures")
    "MTEB has no 'v_measures' for Clustering (did you mean 'v_measure'?); it has v_measure, ami"
    """
    known = METRICS[task_type]
    if metric in known:
        return ""
    near = nearest(metric, known)
    hint = f" (did you mean {near!r}?)" if near else ""
    return f"MTEB has no {metric!r} for {task_type}{hint}; it has {', '.join(known)}"


def _loader(dataset: Any) -> Callable[..., None]:
    def load_data(self: Any, num_proc: int | None = None, **_: Any) -> None:
        self.dataset = dataset
        self.data_loaded = True

    return load_data


def _numbered(n: int, columns: Mapping[str, Sequence[str]]) -> OwnTags:
    return OwnTags(tuple(map(str, range(n))), columns)


def _read_pair_task(spec: TaskSpec, data: Path) -> _Read:
    from datasets import Dataset, DatasetDict

    assert spec.type is not None
    pairs: PairData = read_pairs(data, spec.columns, kind=spec.type)
    columns: dict[str, list[Any]] = {"sentence1": pairs.first, "sentence2": pairs.second}
    if spec.type == "STS":
        columns["score"] = list(pairs.values or [])
    elif spec.type == "PairClassification":
        columns["labels"] = [int(value) for value in pairs.values or []]
    dataset = DatasetDict({SPLIT: Dataset.from_dict(columns)})
    return _Read(dataset, pairs.notes, _numbered(len(pairs.first), pairs.tags))


def _read_label_task(spec: TaskSpec, data: Path) -> _Read:
    from datasets import Dataset, DatasetDict

    multilabel = spec.type == "MultilabelClassification"
    clustering = spec.type == "Clustering"
    rows = read_labelled(data, spec.columns, multilabel=multilabel, train=not clustering, seed=spec.limits.seed)
    check_two_labels(spec, rows)
    tags = _numbered(len(rows.texts), rows.tags)
    if clustering:
        dataset = DatasetDict({SPLIT: Dataset.from_dict({"sentences": rows.texts, "labels": rows.labels})})
        return _Read(dataset, rows.notes, tags)
    names = sorted({part for label in (*rows.labels, *rows.train_labels) for part in _as_list(label)})
    # Whole numbers: scikit-learn's average precision takes no texts for the two classes.
    number = {name: position for position, name in enumerate(names)}

    def numbered(labels: list[Any]) -> list[Any]:
        if multilabel:
            return [[number[part] for part in label] for label in labels]
        return [number[label] for label in labels]

    def part(texts: list[str], labels: list[Any]) -> Any:
        # The names stay beside the numbers, for people.
        names_of = ["|".join(_as_list(label)) for label in labels]
        return Dataset.from_dict({"text": texts, "label": numbered(labels), "label_text": names_of})

    train = part(rows.train_texts, rows.train_labels)
    notes = (*rows.notes, *_positive_note(spec.metric, names))
    return _Read(DatasetDict({"train": train, SPLIT: part(rows.texts, rows.labels)}), notes, tags)


def _positive_note(metric: str | None, names: Sequence[str]) -> tuple[str, ...]:
    """Say which of two labels average precision is of, where their names leave it open."""
    if metric != "ap" or len(names) != 2 or names[1] == "1":
        return ()
    return (f"ap looks for the label {names[1]!r}, the second of the two by name, and not for {names[0]!r}",)


def _as_list(label: Any) -> list[str]:
    return label if isinstance(label, list) else [label]


def _read_retrieval_task(spec: TaskSpec, data: Path) -> _Read:
    from datasets import Dataset

    rows: RetrievalData = read_retrieval(data, reranking=spec.type == "Reranking")
    corpus = {
        "id": list(rows.corpus),
        "title": [title for title, _ in rows.corpus.values()],
        "text": [text for _, text in rows.corpus.values()],
    }
    queries = {"id": list(rows.queries), "text": list(rows.queries.values())}
    split = {
        "corpus": Dataset.from_dict(corpus),
        "queries": Dataset.from_dict(queries),
        "relevant_docs": rows.qrels,
        "top_ranked": rows.candidates,
    }
    return _Read({"default": {SPLIT: split}}, rows.notes, OwnTags(tuple(rows.queries), rows.tags))


_READERS: dict[str, Callable[[TaskSpec, Path], _Read]] = {
    "Retrieval": _read_retrieval_task,
    "Reranking": _read_retrieval_task,
    "STS": _read_pair_task,
    "PairClassification": _read_pair_task,
    "BitextMining": _read_pair_task,
    "Classification": _read_label_task,
    "MultilabelClassification": _read_label_task,
    "Clustering": _read_label_task,
}
