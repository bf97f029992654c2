"""How models look on the charts of costs: the colour, shape and dashes of each, and which of them are drawn as one.

values of each model, names ── together ──> who is drawn: models of one measurement as one, with all their names
all models, who is drawn ────── model_look ─> scales and legends, the same on every chart of these models
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchkit.report import words
from benchkit.report.charts import base
from benchkit.report.charts.base import Row, style_of
from benchkit.report.charts.labels import cells
from benchkit.report.charts.window import LEGEND

LABEL_CELLS = 24  # of one name in a legend
_LEGEND_CELL, _ENTRY = 7, 34  # px of a character in it, which is of 14 px, and of what is around a name


@dataclass(frozen=True, slots=True)
class Together:
    """One model, or several whose marks would lie on one another.

    Attributes:
        who: All of them, for a tooltip.
        label: For a legend, which has room for two names.
    """

    who: str
    label: str


def together(found: Mapping[str, Hashable], names: Mapping[str, str]) -> dict[str, Together]:
    """Return who is drawn, by the first model of each: those with the same values are one.

    Variants of a model share one measurement. Drawn each for itself, only the last one would be seen.

    Args:
        found: What is drawn of each model.
        names: Label of each.

    >>> together({"a": 1, "b": 2, "a@dim=128": 1}, {"a": "a", "b": "b", "a@dim=128": "a@dim=128"})["a"]
    Together(who='a and a@dim=128', label='a = a@dim=128')
    """
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for model, values in found.items():
        groups[values].append(model)
    return {
        models[0]: Together(words.plain(words.names(models), 200), _joint(names[models[0]], models[1:], names))
        for models in groups.values()
    }


def _joint(first: str, others: Sequence[str], names: Mapping[str, str]) -> str:
    if not others:
        return first
    return f"{first} = {names[others[0]] if len(others) == 1 else f'{len(others)} more'}"


@dataclass(frozen=True, slots=True)
class Look:
    """Scales of models: the colour, shape and dashes of each, by its label."""

    labels: tuple[str, ...]
    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    dashes: tuple[tuple[int, ...], ...]

    def encoding(self, *channels: Literal["color", "shape"]) -> dict[str, Any]:
        """Return the encodings of a model by colour and shape."""
        ranges = {"color": self.colours, "shape": self.shapes}
        longest = max(map(cells, self.labels), default=0)
        legend = {**LEGEND, "columns": base.legend_columns(_ENTRY + _LEGEND_CELL * longest, 1), "labelLimit": 0}
        return {
            channel: {
                "field": "label",
                "scale": {"domain": list(self.labels), "range": list(ranges[channel])},
                "legend": legend,
            }
            for channel in channels
        }

    def dashes_of(self, rows: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:
        """Return the rows with the place of their model, and the encoding of its dashes by that.

        By the label it would be part of the legend, where dashes fray the outlines of the symbols.
        """
        placed: list[Row] = [{**row, "place": self.labels.index(row["label"])} for row in rows]
        scale = {"domain": list(range(len(self.labels))), "range": [list(dash) for dash in self.dashes]}
        return placed, {"strokeDash": {"field": "place", "type": "nominal", "scale": scale, "legend": None}}


def model_look(order: Sequence[str], shown: Mapping[str, Together]) -> Look:
    """Return the look of the models that are shown; it depends on all of them, so that it is the same everywhere.

    Args:
        order: All models.
    """
    styles = [style_of(order, model) for model in shown]
    places = [list(order).index(model) for model in shown]
    return Look(
        labels=tuple(one.label for one in shown.values()),
        colours=tuple(colour for colour, _ in styles),
        shapes=tuple(shape for _, shape in styles),
        dashes=tuple(base.DASHES[place % len(base.DASHES)] for place in places),
    )
