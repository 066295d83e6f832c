"""``clew dashboard``: the console in a browser."""

from __future__ import annotations

import click

from clew.cli.connection import author, connected, mesh_option
from clew.cli.output import echo_value, output_option


@click.command("dashboard")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of 127.0.0.1 [default: a free one].",
)
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@output_option("json", "yaml")
@mesh_option
def command(port: int, no_browser: bool, output: str | None, mesh: str) -> None:
    """Open the console of a mesh in a browser, until Ctrl-C.

    The address works once, for one browser: it holds a token. The listener is reached from this
    machine only, and does what the user who runs this command may do.

    \b
    Example:
        clew dashboard
        clew dashboard --port 8788 --no-browser
    """
    import os
    import webbrowser

    from clew.api.location import API_SOCKET, mesh_directory, socket_path
    from clew.local.dashboard import Door, api_client, build_door, listen_on, serve_door

    with connected(mesh) as client:
        client.ready()
    api = socket_path(mesh_directory(mesh, os.environ), API_SOCKET)
    try:
        listener = listen_on(port)
    except OSError as error:
        raise click.ClickException(
            f"port {port} of 127.0.0.1 is taken ({error.strerror})\n"
            "  hint: leave out --port to get a free one"
        ) from None
    door = Door(port=listener.getsockname()[1])

    def ready() -> None:
        if output is not None:
            echo_value({"url": door.url}, output)
        else:
            click.echo(f"The console: {door.url}")
            click.echo("The address works once. Ctrl-C ends it.")
        if not no_browser and output is None:
            webbrowser.open(door.url)

    serve_door(build_door(door, api_client(api), author=author()), listener, ready)
