"""Streamlit's server as a child that doesn't outlive the command that started it.

    stdin: a pipe that `benchkit dashboard` holds open ── its end, however that came ──> SIGTERM to this process

A command that is killed ends no child, and its server would keep the port. That the pipe closes is the kernel's work.
The first line on stdout tells the command whether a login is asked for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_STOP_S = 5.0
_TELLS = "benchkit login: "  # benchkit.cli.dashboard_server reads it


def main() -> None:
    """Serve what the command line says, as `streamlit` would."""
    threading.Thread(target=_end_with_the_command, daemon=True).start()
    _tell_login()
    from streamlit.web.cli import main as streamlit

    streamlit(prog_name="streamlit")


def _tell_login() -> None:
    from dashboards.login import KEPT, asked

    login = asked()
    if login.is_asked:
        os.environ[KEPT] = "1"
    sys.stdout.write(f"{_TELLS}{login.problem or ('asked' if login.is_asked else 'none')}\n")
    sys.stdout.flush()


def _end_with_the_command() -> None:
    # Nothing is ever written. os.read takes no lock of sys.stdin, which Python would miss when it ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    # Streamlit first says that it stops. Nobody reads that any more, and a broken pipe there would keep it from it.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_S)
    os._exit(1)


if __name__ == "__main__":
    main()
