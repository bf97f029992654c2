"""Whether the costs of two comparisons can be compared: what each was measured on, side by side.

    CostReport, Environment x 2 ── differences ──> rows of what differs: the machine, or the software alone
                                └─ judged ───────> a sentence and how bad it is

A duration belongs to its machine. Where processor, cores, memory, GPU, system or device differ, two numbers of two runs
say nothing of the models; where only software differs, a difference may be the software's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchkit.types.comparison import Comparison
from dashboards.theme import Kind

NOT_TOLD = "not told"
# Facts of the environment that say nothing of a duration, or that the hardware of the costs says better.
_APART = {"command", "cpu", "cores", "ram_gib", "gpu", "platform", "device", "git_commit", "git_dirty"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that is another one in each of two comparisons."""

    what: str
    this: str
    other: str
    of_machine: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What two runs are to each other, in a sentence."""

    kind: Kind
    sentence: str


def differences(this: Comparison, other: Comparison) -> list[Difference]:
    """Return what differs between the machines and the software of two comparisons with costs, machines first."""
    found = _unlike(_machine(this), _machine(other), of_machine=True)
    return found + _unlike(_software(this), _software(other), of_machine=False)


def judged(found: list[Difference]) -> Judged:
    """Return what these differences mean for a comparison of costs."""
    machine = [row.what for row in found if row.of_machine]
    if machine:
        return Judged("warning", f"The two runs are not comparable: they differ in {', '.join(machine)}.")
    if found:
        said = "The machine is the same, but software or settings differ: a difference in costs may be theirs."
        return Judged("info", said)
    return Judged("good", "Both runs were measured on the same kind of machine with the same software.")


def _machine(comparison: Comparison) -> Mapping[str, str]:
    cost = comparison.cost
    return {} if cost is None else {**cost.hardware, "device": cost.device}


def _software(comparison: Comparison) -> Mapping[str, str]:
    values = {key: value for key, value in comparison.environment.values.items() if key not in _APART}
    cost = comparison.cost
    if cost is None:
        return values
    engines = {f"engine of {found.model}": found.engine for found in cost.models if found.engine}
    return {**values, **engines, "level": cost.level}


def _unlike(this: Mapping[str, str], other: Mapping[str, str], *, of_machine: bool) -> list[Difference]:
    names = [*this, *(name for name in other if name not in this)]
    shared = [name for name in names if not name.startswith("engine of ") or (name in this and name in other)]
    pairs = [(name, this.get(name) or NOT_TOLD, other.get(name) or NOT_TOLD) for name in shared]
    return [Difference(name, one, two, of_machine) for name, one, two in pairs if one != two]
