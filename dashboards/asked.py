"""What an address asks for and isn't here: one sentence says what was asked for and what is shown instead.

names asked for, names that there are ── Asked ── tell ──> nothing, or one sentence

An address is shared, written by hand, or older than what it shows; a page that silently shows something else misleads.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from dashboards import place
from dashboards.place import plain

_NAME = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """A name out of the address.

    Attributes:
        what: "task", "model", ...
        name: None where the address asks for none.
        known: All that there are.
        shown: What is shown where it is none of them; "" for nothing.
    """

    what: str
    name: str | int | None
    known: Container[str | int]
    shown: str = ""

    @property
    def is_missing(self) -> bool:
        return self.name is not None and self.name not in self.known


def missing_sentence(asked: Sequence[Asked]) -> str:
    """Return what isn't here, in one sentence; "" where all of it is.

    >>> missing_sentence([Asked("task", "STS99", ("STS12",), "STS12"), Asked("model", "bge", ("bge",), "bge")])
    "Not found here: task 'STS99' (shown instead: STS12)."
    """
    said = [f"{one.what} {_quoted(one.name)} ({_instead(one.shown)})" for one in asked if one.is_missing]
    return f"Not found here: {'; '.join(said)}." if said else ""


def tell(*asked: Asked) -> None:
    """Place the sentence, if there is one."""
    if said := missing_sentence(asked):
        place.sentence(said, "warning")


def _quoted(name: str | int | None) -> str:
    return repr(plain(name, _NAME)) if isinstance(name, str) else str(name)


def _instead(shown: str) -> str:
    return f"shown instead: {plain(shown, _NAME)}" if shown else "so nothing of it is shown"
