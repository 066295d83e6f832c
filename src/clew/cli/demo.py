"""``clew demo``: Bookinfo with sidecars, and a guided canary."""

from __future__ import annotations

import click


@click.command()
@click.option("--mesh", default="demo", show_default=True, help="Name of the mesh.")
@click.option("--port", type=int, help="Port of the ingress gateway; default: the first free one.")
@click.option("--capture", type=click.Choice(["netns", "env"]), help="How traffic is captured.")
@click.option("--exit", "leave", is_flag=True, help="End after the tour; 0 only if all steps held.")
def command(mesh: str, port: int | None, capture: str | None, leave: bool) -> None:
    """Run Bookinfo behind sidecars, shift its traffic live, and measure every step.

    Without --exit the mesh stays up afterwards, until Ctrl-C.
    """
    from clew.demo.guide import DemoFailed, guide

    try:
        held = guide(mesh=mesh, port=port, capture=capture, leave=leave)
    except (DemoFailed, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0 if held else 1)
