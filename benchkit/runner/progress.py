"""What a run tells whoever watches it; the command line draws it, a library caller may ignore it."""

from __future__ import annotations

from typing import Protocol

from benchkit.types.result import CellResult


class Progress(Protocol):
    """Hears of a run as it goes. Methods return nothing and must not raise."""

    def planned(self, n_cells: int) -> None: ...

    def model_loading(self, model: str) -> None: ...

    def cell_started(self, model: str, task: str) -> None: ...

    def encoding(self, done: int, total: int) -> None:
        """`done` of `total` distinct texts of the present call are encoded."""
        ...

    def cell_finished(self, result: CellResult, *, from_cache: bool) -> None: ...

    def stage(self, message: str) -> None:
        """Something else than cells is done now, in a few words ("measuring costs: batch 32")."""
        ...

    def warning(self, message: str) -> None: ...


class Silent:
    """A `Progress` that does nothing."""

    def planned(self, n_cells: int) -> None:
        pass

    def model_loading(self, model: str) -> None:
        pass

    def cell_started(self, model: str, task: str) -> None:
        pass

    def encoding(self, done: int, total: int) -> None:
        pass

    def cell_finished(self, result: CellResult, *, from_cache: bool) -> None:
        pass

    def stage(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        pass
