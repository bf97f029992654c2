"""What a model may cost: sliders whose ranges are the comparison's own figures, and the recommendation within them.

    Comparison's budget, Filters ── budget_of ──> Budget ── within ──> the comparison with its recommendation made anew
    Comparison, Budget ── scales ──> steps of each slider ── limit_controls ──> Filters, and the address

A comparison that was made with a budget begins with it. To lift such a limit an address needs a value of its own, since
an absent one means the comparison's: NO_LIMIT for numbers, ANY for licences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import streamlit as st

from benchkit.report import words
from benchkit.report.recommend import recommend
from benchkit.report.view import cost_value
from benchkit.types.comparison import MEAN, Comparison, Recommendation
from benchkit.types.cost import Budget
from dashboards.bar import choose
from dashboards.filters import Filters
from dashboards.place import plain

NO_LIMIT = 10**12
ANY = "*"
Field = Literal["p95_ms", "memory_mib", "bytes_per_vector", "dimension"]

# Round numbers, ten for each power of ten; where the figures lie so close that fewer than this many of them are between
# the smallest and the largest one, as many steps of two digits.
_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_FEWEST = 6
_NAME = 60
_WIDTH = 168  # five beside each other on a laptop, two on a phone

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Scale:
    """A slider.

    Attributes:
        steps: Its limits, ascending; the last one is infinity: no limit.
        now: The limit that counts, one of the steps.
    """

    field: Field
    label: str
    unit: str
    steps: tuple[float, ...]
    now: float


# ---------------------------------------------------------------- the budget


def budget_of(comparison: Comparison, filters: Filters) -> Budget:
    """Return the limits that count: those of the address, and where it has none those of the comparison."""
    stored = comparison.budget
    return Budget(
        _limit(filters.p95_ms, stored.max_p95_ms),
        _limit(filters.memory_mib, stored.max_memory_mib),
        _limit(filters.bytes_per_vector, stored.max_bytes_per_vector),
        _limit(filters.dimension, stored.max_dim),
        () if filters.licenses == (ANY,) else filters.licenses or stored.licenses,
    )


def _limit(asked: Number | None, stored: Number | None) -> Number | None:
    if asked is None:
        return stored
    return None if asked >= NO_LIMIT else asked


def within(comparison: Comparison, budget: Budget) -> Comparison:
    """Return the comparison with the model that it would have recommended under this budget."""
    if budget == comparison.budget:
        return comparison
    return replace(comparison, budget=budget, recommendation=recommended(comparison, budget))


def recommended(comparison: Comparison, budget: Budget) -> Recommendation:
    """Return what `compare_cells` would recommend under this budget, from the pairs and costs that it found."""
    on_means = [pair for pair in comparison.pairs if pair.task == MEAN]
    on_tasks = [pair for pair in comparison.pairs if pair.task != MEAN]
    return recommend(
        comparison.models,
        comparison.summary,
        on_means,
        on_tasks,
        margin=comparison.margin,
        cost=comparison.cost,
        budget=budget,
    )


# ---------------------------------------------------------------- the steps


def scales(comparison: Comparison, budget: Budget) -> list[Scale]:
    """Return the sliders of what is known of the models; none for a cost that no model has."""
    models, stored, cost = comparison.models, comparison.budget, comparison.cost
    p95 = _known(cost_value(cost, model.name, words.P95) for model in models)
    memory = _known(cost_value(cost, model.name, words.MEMORY) for model in models)
    size = _known(model.bytes_per_vector for model in models)
    dimension = _known(model.dimension for model in models)
    found = (
        _scale("p95_ms", "p95 query latency", "ms", round_steps(p95), stored.max_p95_ms, budget.max_p95_ms),
        _scale(
            "memory_mib", "peak memory", "MiB", round_steps(memory), stored.max_memory_mib, budget.max_memory_mib
        ),
        _scale(
            "bytes_per_vector", "bytes per vector", "bytes", size,
            stored.max_bytes_per_vector, budget.max_bytes_per_vector,
        ),
        _scale("dimension", "dimension", "", dimension, stored.max_dim, budget.max_dim),
    )  # fmt: skip
    return [scale for scale in found if len(scale.steps) > 1]


def _known(values: Iterable[float | None]) -> list[float]:
    return sorted({value for value in values if value is not None and 0 < value < NO_LIMIT})


def _scale(
    field: Field, label: str, unit: str, steps: Sequence[float], stored: float | None, now: float | None
) -> Scale:
    given = [limit for limit in (stored, now) if limit is not None]
    return Scale(field, label, unit, (*sorted({*steps, *given}), math.inf), math.inf if now is None else now)


def round_steps(values: Sequence[float]) -> list[float]:
    """Return round limits from one that the smallest value keeps to one that all keep, about evenly in the logarithm.

    >>> round_steps([0.5, 15.3])[:4], round_steps([0.5, 15.3])[-1], round_steps([617.0, 632.0])
    ([0.5, 0.6, 0.8, 1.0], 20.0, [620.0, 630.0, 640.0])
    """
    if not values:
        return []
    low, high = min(values), max(values)
    if low == high:
        return [_two_digits_up(low)]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [float(f"{digits * 10.0**power:.6g}") for power in powers for digits in _ROUND]
    kept = [step for step in steps if low <= step and not any(high <= before < step for before in steps)]
    if len(kept) >= _FEWEST:
        return kept
    apart = (high / low) ** (1 / (2 * _FEWEST))
    return sorted({_two_digits_up(low * apart**place) for place in range(2 * _FEWEST)} | {_two_digits_up(high)})


def _two_digits_up(value: float) -> float:
    """Return the next number of two digits that isn't smaller.

    >>> _two_digits_up(617.3), _two_digits_up(0.0123), _two_digits_up(995.0), _two_digits_up(640.0)
    (620.0, 0.013, 1000.0, 640.0)
    """
    rounded = float(f"{value:.2g}")
    if rounded >= value:
        return rounded
    return float(f"{rounded + 10.0 ** (math.floor(math.log10(rounded)) - 1):.2g}")


# ---------------------------------------------------------------- the controls


def limit_controls(comparison: Comparison, budget: Budget) -> None:
    """Place a slider for each cost and the choice of licences; a move changes what is chosen and the address."""
    with st.container(horizontal=True, gap="small", key="limits"):
        for scale in scales(comparison, budget):
            _slider(comparison, scale)
        _licenses(comparison, budget)


def _slider(comparison: Comparison, scale: Scale) -> None:
    key = f"limit-{scale.field}"
    # The address has the last word: a widget's own memory may be of another comparison.
    st.session_state[key] = scale.now
    st.select_slider(
        scale.label,
        scale.steps,
        format_func=lambda step: step_words(step, scale.unit),
        key=key,
        on_change=_moved,
        args=(comparison.budget, scale.field, key),
        width=_WIDTH,
    )


def step_words(step: float, unit: str) -> str:
    """Return a limit as its slider shows it.

    >>> step_words(0.5, "ms"), step_words(1536, "bytes"), step_words(math.inf, "ms")
    ('0.5 ms', '1536 bytes', 'no limit')
    """
    if step == math.inf:
        return "no limit"
    number = f"{step:.0f}" if step == int(step) else f"{step:g}"
    return f"{number} {unit}".strip()


def _moved(stored: Budget, field: Field, key: str) -> None:
    choose(**{field: asked_limit(st.session_state[key], _stored(stored, field), field)})


def _stored(budget: Budget, field: Field) -> float | None:
    return {
        "p95_ms": budget.max_p95_ms,
        "memory_mib": budget.max_memory_mib,
        "bytes_per_vector": budget.max_bytes_per_vector,
        "dimension": budget.max_dim,
    }[field]


def asked_limit(step: float, stored: float | None, field: Field) -> float | int | None:
    """Return what an address says for a step of a slider: nothing where the comparison says the same."""
    if step == (math.inf if stored is None else stored):
        return None
    number = NO_LIMIT if step == math.inf else step
    return float(number) if field in ("p95_ms", "memory_mib") else int(number)


def _licenses(comparison: Comparison, budget: Budget) -> None:
    known = dict.fromkeys(model.license for model in comparison.models if model.license)
    options = list(dict.fromkeys([*known, *comparison.budget.licenses, *budget.licenses]))
    if not options:
        return
    key = "limit-licenses"
    st.session_state[key] = list(budget.licenses)
    st.multiselect(
        "licence",
        options,
        format_func=lambda name: plain(name, _NAME),
        placeholder="any licence",
        key=key,
        on_change=_licensed,
        args=(comparison.budget, key),
        width=_WIDTH,
    )


def _licensed(stored: Budget, key: str) -> None:
    choose(licenses=asked_licenses(tuple(st.session_state[key]), stored.licenses))


def asked_licenses(picked: tuple[str, ...], stored: tuple[str, ...]) -> tuple[str, ...]:
    """Return what an address says for the licences that were picked."""
    if picked == stored:
        return ()
    return picked or (ANY,)


def forget_button(filters: Filters) -> None:
    """Place a button that takes the limits of the address away, where it has any."""
    if filters.budget.is_set:
        st.button("Take the limits back", on_click=_forget, key="limits-forget", type="tertiary")


def _forget() -> None:
    choose(p95_ms=None, memory_mib=None, bytes_per_vector=None, dimension=None, licenses=())
