"""What a model answered to single items, as a person can read it: the text, what was expected, what was found.

    evaluated task, which recorded ──┐
    names of items ──────────────────┴── answers ──> ItemAnswer for each item that can be traced to its row

    type                        found
    Retrieval, Reranking        the five best documents with their scores, and whether they are judged relevant
    Classification              the labels of the experiments, most frequent first, and the share that each has
    MultilabelClassification    the labels that at least one experiment gave, and the share that gave it
    STS, PairClassification     the similarity of the two texts
    Clustering                  other texts of its cluster, and whether they have the same label
    BitextMining                the sentence that was taken for the translation
    Regression                  the mean of the experiments' numbers
    Summarization               nothing; the item's score is the correlation over its summaries

Retrieval and classification also tell the worst items of a cell (worst.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.tasks.items import item_scores
from benchkit.tasks.parts import Records, iter_parts, records_of
from benchkit.tasks.ranked import NEIGHBOURS, Ranked, answer_of, cut
from benchkit.tasks.recording import Place
from benchkit.tasks.texts import content_columns
from benchkit.types.answer import ItemAnswer
from benchkit.types.gate import Neighbour
from benchkit.types.result import ItemScores

_BETWEEN_TEXTS = " ⇔ "

Wanted = Mapping[str, Sequence[str]]


def answers(
    task: Any, metric: str, wanted: Wanted, *, scores: Sequence[ItemScores] = ()
) -> dict[tuple[str, str], ItemAnswer]:
    """Return the answers to items by ("split/subset", item); an item that can't be traced to a row has none.

    Args:
        task: A recording task that was evaluated.
        metric: Its main metric.
        wanted: Names of items, as `ItemScores` holds them, by "split/subset".
        scores: The scores of its items, where they are known already.
    """
    known = {f"{part.split}/{part.subset}": part for part in scores}
    found: dict[tuple[str, str], ItemAnswer] = {}
    for split, subset, rows in iter_parts(task):
        place = f"{split}/{subset}"
        if place not in wanted:
            continue
        answer = _answerer(task, (split, subset), rows, metric, known.get(place))
        for item in wanted[place]:
            if (told := answer(item)) is not None:
                found[place, item] = told
    return found


def _answerer(
    task: Any, place: Place, rows: Any, metric: str, known: ItemScores | None
) -> Callable[[str], ItemAnswer | None]:
    """Return the function that answers for one item of a split and subset."""
    if place in task.per_query:
        return partial(answer_of, Ranked(task, place, rows, metric))
    scores = known or next(iter(item_scores(task, place, rows, metric)), None)
    part = _Part(task, place, rows, records_of(task, rows, metric), scores)
    find = _BY_TYPE.get(task.metadata.type, _text_only)(part)

    def answer(item: str) -> ItemAnswer | None:
        numbers = part.records.rows_of(item)
        return find(item, numbers[0]) if numbers else None

    return answer


@dataclass(frozen=True)
class _Part:
    """One split and subset whose items are rows, and what was recorded of them."""

    task: Any
    place: Place
    rows: Any
    records: Records
    scores: ItemScores | None
    _columns: dict[str, Sequence[Any]] = field(default_factory=dict)

    def texts(self, row: int, columns: Sequence[str]) -> str:
        return _BETWEEN_TEXTS.join(cut(self.values(column)[row]) for column in columns)

    def values(self, column: str) -> Sequence[Any]:
        """Return a column, read once for all items."""
        if column not in self._columns:
            self._columns[column] = self.records.read(column)[:]
        return self._columns[column]

    def text(self, row: int) -> str:
        return self.texts(row, content_columns(self.task, self.records.columns))

    def column(self, name: str, item: str) -> Any:
        """Return what a column of the scores holds of an item; None without scores."""
        position = self.position(item)
        return None if position is None or self.scores is None else self.scores.columns[name][position]

    def position(self, item: str) -> int | None:
        return self._positions.get(item)

    @cached_property
    def _positions(self) -> dict[str, int]:
        names = [] if self.scores is None else self.scores.items.tolist()
        return {name: position for position, name in enumerate(names)}


_Find = Callable[[str, int], ItemAnswer]


def _text_only(part: _Part) -> _Find:
    return lambda item, row: ItemAnswer(part.text(row))


def _similarity(part: _Part) -> _Find:
    def find(item: str, row: int) -> ItemAnswer:
        predicted = part.column("predicted", item)
        if predicted is None:
            return ItemAnswer(part.text(row))
        is_pair = part.scores is not None and part.scores.kind == "pair"
        # Of several measures of likeness the first is the model's own.
        similarity = float(predicted[0] if is_pair else predicted)
        expected = _MATCH[int(part.column("label", item))] if is_pair else f"{part.column('gold', item):g}"
        return ItemAnswer(part.text(row), expected, (Neighbour("similarity", similarity),))

    return find


_MATCH = ("0 (no match)", "1 (a match)")


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of one split and subset and what each experiment made of them.

    Attributes:
        truth: Label of each of n rows, as it was scored.
        predicted: The same for each experiment.
        right: Share of the experiments that were right, float (n,).
        names: Names of labels where the data hold them.
    """

    truth: list[Any]
    predicted: list[list[Any]]
    right: NDArray[np.float64]
    names: Mapping[Any, str]

    def name(self, label: Any) -> str:
        return self.names.get(label, str(label))

    def votes(self, row: int) -> list[tuple[Any, float]]:
        """Return the labels that a row was given, most frequent first, with their shares."""
        counts = Counter(answers[row] for answers in self.predicted)
        return [(label, count / len(self.predicted)) for label, count in counts.most_common()]


def labelled(task: Any, place: Place, rows: Any) -> Labelled | None:
    """Return what was recorded of a classification; None where each row hasn't one label and one text."""
    if not task.scored.get(place):
        return None
    truth = np.asarray(task.scored[place][0][0])
    column = getattr(task, "input_column_name", "text")
    if truth.ndim != 1 or len(truth) != len(rows) or not isinstance(column, str):
        return None
    predicted = [np.asarray(answers) for _, answers in task.scored[place]]
    right = np.mean([answers == truth for answers in predicted], axis=0)
    names = _label_names(rows, task.label_column_name)
    return Labelled(truth.tolist(), [answers.tolist() for answers in predicted], right, names)


def _label_names(rows: Any, column: str) -> dict[Any, str]:
    if "label_text" not in rows.column_names:
        return {}
    return dict(zip(rows[column][:], rows["label_text"][:], strict=True))


def _label(part: _Part) -> _Find:
    recorded = labelled(part.task, part.place, part.rows)
    if recorded is None:
        return _text_only(part)

    def find(item: str, row: int) -> ItemAnswer:
        truth = recorded.truth[row]
        found = [Neighbour(recorded.name(label), share, label == truth) for label, share in recorded.votes(row)]
        return ItemAnswer(part.text(row), recorded.name(truth), tuple(found[:NEIGHBOURS]), float(recorded.right[row]))

    return find


def _labels(part: _Part) -> _Find:
    """Answer for rows with several labels each."""
    experiments = part.task.scored.get(part.place)
    labels = part.rows[part.task.label_column_name][:]
    if not experiments or len(experiments[0][0]) != len(labels):
        return _text_only(part)
    # As MTEB numbers the columns: the different labels of the rows that it scores, sorted.
    classes = sorted({label for several in labels for label in several})
    names = _names_of_several(part.rows, labels)
    shares = np.mean([np.asarray(answers, dtype=np.float64) for _, answers in experiments], axis=0)

    def find(item: str, row: int) -> ItemAnswer:
        given = sorted(np.flatnonzero(shares[row] > 0).tolist(), key=lambda number: -shares[row, number])
        found = [
            Neighbour(names.get(classes[n], str(classes[n])), float(shares[row, n]), classes[n] in labels[row])
            for n in given[:NEIGHBOURS]
        ]
        expected = ", ".join(names.get(label, str(label)) for label in labels[row])
        return ItemAnswer(part.text(row), expected, tuple(found), _value(part, item))

    return find


def _names_of_several(rows: Any, labels: Sequence[Sequence[Any]]) -> dict[Any, str]:
    if "label_text" not in rows.column_names:
        return {}
    names: dict[Any, str] = {}
    for several, text in zip(labels, rows["label_text"][:], strict=True):
        told = text.split("|")
        if len(told) == len(several):  # a name may hold the bar itself
            names.update(zip(several, told, strict=True))
    return names


def _value(part: _Part, item: str) -> float | None:
    """Return the score of an item where the score of the task is the mean of them."""
    if part.scores is None or part.scores.kind != "mean":
        return None
    if "counted" in part.scores.columns and not part.column("counted", item):
        return None
    value = part.column("value", item)
    return None if value is None else float(value)


def _cluster(part: _Part) -> _Find:
    labels = part.values(part.task.label_column_name)

    def find(item: str, row: int) -> ItemAnswer:
        expected = " / ".join(map(str, labels[row])) if isinstance(labels[row], list) else str(labels[row])
        position = part.position(item)
        found = () if position is None else _cluster_mates(part, position)
        return ItemAnswer(part.text(row), expected, found)

    return find


def _cluster_mates(part: _Part, position: int) -> tuple[Neighbour, ...]:
    """Return how many of its cluster have the item's label, and the first of them; of one experiment that drew it."""
    assert part.scores is not None
    cluster, label = part.scores.columns["cluster"], part.scores.columns["label"]
    drawn = np.flatnonzero(cluster[position] >= 0)
    if not len(drawn):
        return ()
    experiment = int(drawn[0])
    level = experiment * label.shape[1] // cluster.shape[1]
    mates = np.flatnonzero(cluster[:, experiment] == cluster[position, experiment])
    mates = mates[mates != position]
    if not len(mates):
        return (Neighbour("alone in its cluster"),)
    alike = label[mates, level] == label[position, level]
    said = f"{int(alike.sum())} of {len(mates)} other texts in its cluster have its label"
    rows = [part.records.rows_of(str(part.scores.items[mate])) for mate in mates[: NEIGHBOURS - 1]]
    shown = [Neighbour(part.text(row[0]), None, bool(same)) for row, same in zip(rows, alike, strict=False) if row]
    return (Neighbour(said, float(alike.mean())), *shown)


def _translation(part: _Part) -> _Find:
    split, subset = part.place
    is_parallel = (split, "parallel") in part.task.predictions
    first, second = subset.split("-") if is_parallel else ("sentence1", "sentence2")
    neighbours = part.task.predictions.get((split, "parallel" if is_parallel else subset), {})
    hits = neighbours.get(subset) if is_parallel else next(iter(neighbours.values()), None)

    def find(item: str, row: int) -> ItemAnswer:
        gold, predicted = part.column("gold", item), part.column("predicted", item)
        text = part.texts(row, [first])
        if gold is None or hits is None:
            return ItemAnswer(text)
        found = Neighbour(part.texts(int(predicted), [second]), float(hits[row]["score"]), bool(gold == predicted))
        return ItemAnswer(text, part.texts(int(gold), [second]), (found,))

    return find


def _number(part: _Part) -> _Find:
    def find(item: str, row: int) -> ItemAnswer:
        predicted = part.column("predicted", item)
        if predicted is None:
            return ItemAnswer(part.text(row))
        return ItemAnswer(
            part.text(row), f"{part.column('gold', item):g}", (Neighbour(f"{float(np.mean(predicted)):.4g}"),)
        )

    return find


def _summary(part: _Part) -> _Find:
    column = part.task.text_column_name
    return lambda item, row: ItemAnswer(part.texts(row, [column]), value=_value(part, item))


_BY_TYPE: dict[str, Callable[[_Part], _Find]] = {
    "STS": _similarity,
    "PairClassification": _similarity,
    "Classification": _label,
    "MultilabelClassification": _labels,
    "Clustering": _cluster,
    "BitextMining": _translation,
    "Regression": _number,
    "Summarization": _summary,
}
