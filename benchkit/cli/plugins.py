"""benchkit plugins: what is registered, and whether it loads."""

from __future__ import annotations

import click

from benchkit.errors import EXIT_OK, EXIT_USAGE


@click.command("plugins")
def command() -> int:
    """List the registered parts: group, name, package, and whether it can be imported."""
    from benchkit.plugins import list_plugins

    found = list_plugins()
    for plugin in found:
        state = f"broken: {plugin.problem}" if plugin.problem else "ok"
        click.echo(f"{plugin.group:<18} {plugin.name:<22} {plugin.origin:<20} {state}")
    return EXIT_USAGE if any(plugin.problem for plugin in found) else EXIT_OK
