"""Whether the server has run all that a page of the dashboard asked for.

    frames of their WebSocket ── Runs ──> are_over

Streamlit's page shows "not running" until it is told otherwise, so what it shows says nothing of a click just made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import WebSocket


class Runs:
    """The runs of a script that a page asked for over one connection."""

    def __init__(self, socket: WebSocket) -> None:
        # The first run is asked for as soon as they are connected.
        self._is_due, self._is_under_way = True, False
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    @property
    def are_over(self) -> bool:
        """Whether nothing that was asked for is still to be run."""
        return not (self._is_due or self._is_under_way)

    def _sent(self, frame: str | bytes) -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        if isinstance(frame, bytes) and BackMsg.FromString(frame).WhichOneof("type") == "rerun_script":
            self._is_due = True

    def _received(self, frame: str | bytes) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        told = ForwardMsg.FromString(frame) if isinstance(frame, bytes) else ForwardMsg()
        if told.WhichOneof("type") == "new_session":
            self._is_due, self._is_under_way = False, True
        elif told.WhichOneof("type") == "script_finished":
            self._is_under_way = False
            self._is_due |= told.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
