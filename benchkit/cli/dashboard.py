"""benchkit dashboard: the browser's view of what benchkit kept.

    options, settings ── checked ── a Streamlit server as a child (dashboard_server) ── its address on stdout ── the end

The folder of results and the tracking URI reach the child through its environment: a password that is in a URI is on no
command line and in no log.
"""

from __future__ import annotations

import ipaddress
import os
import platform
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from benchkit.cli import dashboard_server as server
from benchkit.cli.streams import say
from benchkit.errors import EXIT_USAGE, UsageError

_EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104  # refused unless asked for


@click.command("dashboard")
@click.option("--tracking-uri", metavar="URI", help="MLflow store; without it the project's.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Port [8501 or the next free one]; 0 is any free one."
)
@click.option("--address", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it can be reached.")
@click.option("--allow-remote", is_flag=True, help="Let --address be one that other machines reach.")
@click.option(
    "--allowed-host", "hosts", multiple=True, metavar="NAME", help="Another name that it is reached by; repeatable."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--check", "checks", is_flag=True, help="Draw every page once, say what was found, and end.")
def command(
    tracking_uri: str | None,
    port: int | None,
    address: str,
    allow_remote: bool,
    hosts: Sequence[str],
    no_browser: bool,
    checks: bool,
) -> int:
    """Show results, gates and drift in a browser: which model, and is production fine?

    It only reads. Its address is the one line on stdout. Ctrl-C ends it with 130, SIGTERM with 0; --check ends with 0
    where every page is fine, with 1 where one is not.
    """
    at = _checked_address(address, allow_remote=allow_remote)
    place = _place(tracking_uri)
    if checks:
        # Whatever runs on 8501 is not disturbed.
        port = 0 if port is None else port
    opens = not (no_browser or checks) and _has_display()
    request = server.Request(address=at, port=port, hosts=_allowed_hosts(at, hosts), environment=place.environment)
    with server.signals_heard() as heard, server.running(request, heard, hidden=place.hidden) as child:
        if heard.code is not None:
            return heard.code
        if checks:
            return _check(place)
        click.echo(child.url)
        _tell_login(child.login(), at)
        if opens:
            webbrowser.open(child.url)
        code = child.wait(heard)
        if code is not None:
            return code
        say(f"error: {child.last_words()}")
        return EXIT_USAGE


def _checked_address(address: str, *, allow_remote: bool) -> str:
    """Return the address as numbers.

    Raises:
        UsageError: it is none, or other machines reach it and that isn't allowed.
    """
    try:
        at = str(ipaddress.ip_address("127.0.0.1" if address == "localhost" else address.strip("[]")))
    except ValueError as exc:
        raise UsageError(
            f"--address {address!r}: expected an IP address such as 127.0.0.1; names go to --allowed-host"
        ) from exc
    if not (allow_remote or _is_loopback(at)):
        raise UsageError(
            f"--address {address}: other machines would reach the dashboard, and it has no login unless OIDC is "
            "configured (docs/dashboard.md); add --allow-remote if that is meant, or leave --address out"
        )
    return at


def _tell_login(login: str, at: str) -> None:
    """Say who can look, where that isn't only this machine, and where nobody can."""
    if login not in ("asked", "none"):
        say(f"warning: nobody can log in: {login}")
    elif login == "asked" and not _is_loopback(at):
        say(f"{at} can be reached from other machines; whoever comes is asked to log in")
    elif not _is_loopback(at):
        say(f"warning: {at} can be reached from other machines, and there is no login unless OIDC is configured")


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _allowed_hosts(address: str, more: Sequence[str]) -> tuple[str, ...]:
    """Return the names under which a browser may ask: any other is refused, so that no foreign page gets data.

    A page of a foreign name can be made to mean this machine (DNS rebinding); its requests still carry that name.
    """
    own = ["127.0.0.1", "localhost", "::1"]
    if not _is_loopback(address):
        own += [*_names_of_this_machine(), *([] if address in _EVERY_INTERFACE else [address])]
    return tuple(dict.fromkeys([*own, *more]))


def _names_of_this_machine() -> list[str]:
    import socket

    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    found = [
        part.address.partition("%")[0]
        for parts in psutil.net_if_addrs().values()
        for part in parts
        if part.family in families
    ]
    return [socket.gethostname(), socket.getfqdn(), *found]


class _Place:
    """Where the child reads, as its environment, and the text that no log may hold."""

    def __init__(self, mlruns: Path, uri: str, shown: str) -> None:
        self.environment = {
            "BENCHKIT_DASHBOARD_MLRUNS": str(mlruns),
            "BENCHKIT_DASHBOARD_TRACKING_URI": uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        self.hidden = {uri: shown}


def _place(tracking_uri: str | None) -> _Place:
    from benchkit.settings import load_settings
    from benchkit.store.uri import locate

    settings = load_settings(Path.cwd(), os.environ)
    tracking = locate(tracking_uri if tracking_uri is not None else settings.tracking_uri)
    return _Place(settings.mlruns_dir, tracking.uri, tracking.shown)


def _has_display() -> bool:
    """Tell whether a browser has a screen; without one, Python would open a text browser in this terminal."""
    return platform.system() != "Linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _check(place: _Place) -> int:
    """Draw every page in a process of its own and say what it said."""
    drawn = subprocess.run(
        [sys.executable, "-P", "-m", "dashboards.check"],
        env=server.environment_of(place.environment),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if drawn.returncode == 0:
        click.echo(drawn.stdout.strip())
        return 0
    for line in (drawn.stdout.strip() or server.without(drawn.stderr, place.hidden).strip()).splitlines()[-20:]:
        say(line)
    return drawn.returncode if drawn.returncode in (1, EXIT_USAGE) else EXIT_USAGE
