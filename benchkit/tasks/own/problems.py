"""What is wrong with a team's data, said at once: messages in, one SuiteError out."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchkit.errors import SuiteError

# More messages than this help nobody; the rest is counted.
MAX_PROBLEMS = 20


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, so that a user mends a file once and not line by line."""

    found: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, message: str) -> None:
        self.total += 1
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(message)

    def raise_if_any(self) -> None:
        if self.total:
            more = [f"... and {self.total - len(self.found)} more"] if self.total > len(self.found) else []
            raise SuiteError("\n".join(self.found + more))
