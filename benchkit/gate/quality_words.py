"""What a judged quality rule says to people: one line each, and what the suite can see at all.

    values of a rule ── tested · same_model · not_judged ──> sentence
    detectable regressions of all rules ── power_sentence ──> "With roughly 80 % power ..."

Scores stand as points (times 100) with one decimal, as in every report, or more decimals where fewer would make a bound
look like the margin that it is held against. Names are data and are not escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchkit.measure.decide import ALPHA
from benchkit.measure.noninferiority import NonInferiority
from benchkit.types.gate import RuleVerdict

_FEWEST_DIGITS, _MOST_DIGITS = 1, 4
_SHOWN = 3  # names in a sentence


def tested(
    name: str,
    scores: tuple[float, float],
    found: NonInferiority,
    verdict: RuleVerdict,
    *,
    n_rules: int,
    n_items: int,
    items_needed: int | None,
) -> str:
    """Say what a test found and what is allowed.

    Args:
        scores: Of candidate and baseline.
        n_rules: Size of the family that Holm's correction was made for; 1 for none.
    """
    if found.standard_error == 0 and found.delta == 0:
        return f"{_against(name, scores, _FEWEST_DIGITS)}: no difference on any item"
    digits = _digits(found.lower, found.delta, margin=found.margin)
    low, high = (_signed(end, digits) for end in (found.interval.low, found.interval.high))
    said = f"{_against(name, scores, digits)}: {_signed(found.delta, digits)} (95 % {low} to {high})"
    margin, lower = _points(found.margin, digits), _signed(found.lower, digits)
    if verdict == "fail":
        return f"{said}, worse than the margin of {margin}"
    if verdict == "pass":
        return f"{said}, at worst {lower} where {margin} is allowed"
    if found.delta < -found.margin:
        return f"{said}, beyond the margin of {margin}, but that may still be chance"
    needed = f"; an equally good model needs about {items_needed} items to pass (now {n_items})"
    more = needed if (items_needed or 0) > n_items else ""
    if found.p_noninferior < ALPHA:
        return f"{said}, by itself at worst {lower} where {margin} is allowed, not sure among {n_rules} rules{more}"
    return f"{said}, may be as bad as {lower}; {margin} is allowed{more}"


def same_model(name: str, scores: tuple[float, float] | None, change: float, margin: float) -> str:
    """Say that both models have the same content."""
    if scores is None:
        return f"{name}: the same model by content"
    if change == 0:
        return f"{name}: {_points(scores[0], _FEWEST_DIGITS)} points, the same model by content"
    digits = _digits(change, margin=margin)
    return (
        f"{_against(name, scores, digits)}: {_signed(change, digits)}, where {_points(margin, digits)} is allowed; "
        "the same model by content, so libraries, engine or machine made the difference"
    )


def not_judged(name: str, scores: tuple[float, float] | None, reason: str) -> str:
    """Say why there is no verdict."""
    if scores is None:
        return f"{name}: {reason}"
    change = _signed(scores[0] - scores[1], _FEWEST_DIGITS)
    return f"{_against(name, scores, _FEWEST_DIGITS)}: {change}, {reason}"


def untold(tasks: Mapping[str, str]) -> str:
    """Say why a slice can't be judged where the tags of items are not known, and what to do.

    Args:
        tasks: With the reason of each; "" for none.
    """
    named = ", ".join(f"{task} ({why})" if why else task for task, why in tasks.items())
    return (
        f"the tags of the items of {named} are not all kept, so nobody knows which belong to it; gate the "
        "model itself, or write its scores with: benchkit baseline save FILE --model MODEL"
    )


def _against(name: str, scores: tuple[float, float], digits: int) -> str:
    return f"{name}: {_points(scores[0], digits)} against {_points(scores[1], digits)} points"


def _points(value: float, digits: int) -> str:
    return f"{100 * value:.{digits}f}"


def _signed(change: float, digits: int) -> str:
    """Return a difference with its sign, which a tiny one keeps: the side of 0 is what it tells."""
    return f"{100 * change:+.{digits}f}" if change else "0.0"


def _digits(*changes: float, margin: float) -> int:
    """Return the decimals that show the margin as it is, and each change on its side of it."""
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS):
        shown = round(100 * margin, digits)
        if abs(shown - 100 * margin) < 1e-9 and all(round(100 * change, digits) != -shown for change in changes):
            return digits
    return _MOST_DIGITS


# ------------------------------------------------------------ power


@dataclass(frozen=True, slots=True)
class Seen:
    """What one rule can see.

    Attributes:
        detectable: Smallest regression that would FAIL with 80 % power; None where nothing tells.
        is_assumed: Taken from the spread of the baseline's own score, since both models scored the same.
        n_items, items_needed: Items that there are, and that a PASS of an equally good model needs.
        unnoticed: Of a PASS without any loss, how likely one would be of a candidate that is worse by the margin.
    """

    name: str
    is_mean: bool
    detectable: float | None
    is_assumed: bool
    n_items: int
    items_needed: int | None
    margin: float = 0.0
    unnoticed: float = 0.0


def power_sentence(seen: Sequence[Seen]) -> str:
    """Say which regressions would be caught with 80 % power, what a pass would take, and what that rests on."""
    known, blind = ([one for one in seen if (one.detectable is not None) is is_known] for is_known in (True, False))
    said = [*_known(known), *_blind(blind), *_few([one for one in seen if one.unnoticed > ALPHA])]
    return " ".join(said)


def _known(seen: Sequence[Seen]) -> list[str]:
    if not seen:
        return []
    mean = [f"of {_caught(one)} points of the mean" for one in seen if one.is_mean]
    said = [f"With roughly 80 % power a regression {' and '.join([*mean, *_single(seen)])} would be caught."]
    short = max(seen, key=lambda one: (one.items_needed or 0) / one.n_items)
    if (short.items_needed or 0) > short.n_items:
        said.append(
            f"For an equally good model to pass as often, {short.name} needs about {short.items_needed} items "
            f"(now {short.n_items})."
        )
    if any(one.is_assumed for one in seen):
        where = "everywhere" if all(one.is_assumed for one in seen) else "on some rules"
        said.append(
            f"The two models score the same {where}, which says nothing about others; there the spread is that of the "
            "baseline's own score, as if the scores of two models correlated by 0.5."
        )
    return said


def _blind(seen: Sequence[Seen]) -> list[str]:
    if not seen:
        return []
    names = ", ".join("the mean" if one.is_mean else one.name for one in seen[:_SHOWN]) + _more(len(seen) - _SHOWN)
    return [f"What the rules on {names} would catch isn't known: all items score or differ alike there."]


def _few(seen: Sequence[Seen]) -> list[str]:
    if not seen:
        return []
    worst = max(seen, key=lambda one: one.unnoticed)
    margin = f"{100 * worst.margin:.2f}".rstrip("0").rstrip(".")
    where = "any task" if worst.is_mean else worst.name
    others = f"; so it is with {len(seen) - 1} more rule{'s' if len(seen) > 2 else ''}" if len(seen) > 1 else ""
    said = (
        f"Nothing was lost on {where}, and of models that fail on {margin} % of such items "
        f"{100 * worst.unnoticed:.0f} % would lose nothing on {worst.n_items} of them: the PASS says little there"
    )
    return [f"{said}{others}."]


def _more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _single(seen: Sequence[Seen]) -> list[str]:
    single = sorted((one for one in seen if not one.is_mean), key=lambda one: one.detectable or 0.0)
    if not single:
        return []
    if len(single) == 1:
        return [f"of {_caught(single[0])} points of {single[0].name}"]
    first, last = single[0], single[-1]
    return [f"of {_caught(first)} ({first.name}) to {_caught(last)} points ({last.name}) of a single rule"]


def _caught(one: Seen) -> str:
    return _points(one.detectable or 0.0, _FEWEST_DIGITS)
