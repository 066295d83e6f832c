"""The ``clew`` command: finds subcommands by name and imports only the one that runs."""

from __future__ import annotations

from importlib import import_module

import click

import clew

# command: (module under clew.cli, one line of help); the order is that of `clew --help`.
COMMANDS = {
    "demo": ("demo", "Bookinfo with sidecars, and a guided canary."),
    "up": ("up", "Run a whole mesh on this machine from manifests."),
    "run": ("run", "Run one program with its sidecar in a running mesh."),
    "ps": ("ps", "List the workloads of a mesh."),
    "logs": ("logs", "Print what a workload or its proxy wrote."),
    "down": ("down", "Stop a mesh."),
    "apply": ("apply", "Create or change configuration."),
    "diff": ("diff", "Show what files would change."),
    "get": ("get", "List objects."),
    "describe": ("describe", "Show one object, its effect and its problems."),
    "wait": ("wait", "Wait until proxies have acknowledged objects."),
    "delete": ("delete", "Delete objects."),
    "history": ("history", "Who changed an object, when, and what."),
    "rollback": ("rollback", "Bring an earlier revision of an object back."),
    "authz": ("authz", "Who may call whom, and which rule decides."),
    "status": ("status", "Proxies: connected, in sync, rejected configuration."),
    "graph": ("graph", "Who calls whom, how much, how fast and how well."),
    "top": ("top", "The busiest workloads, live."),
    "proxy-config": ("proxy_config", "What a workload's Envoy has, as istioctl shows it."),
    "trace": ("trace", "Requests through the mesh, hop by hop."),
    "tap": ("tap", "Requests as they happen, and why they fail."),
    "proxy-log": ("proxy_log", "Let a workload's Envoys log more for a while."),
    "dashboard": ("dashboard", "Open the console in a browser."),
    "token": ("token", "Tokens for the API on TCP."),
    "ca": ("ca", "The certificate authority: status, rotation, tokens for hosts."),
    "validate": ("validate", "Check files, without a mesh."),
    "compile": ("compile", "Print what Envoy would get from files, without a mesh."),
    "server": ("server", "Run the control plane alone."),
    "agent": ("agent", "Run one Envoy beside one workload."),
}

# Those that need nothing but the admin API.
REMOTE = frozenset(
    (
        *(
            "apply",
            "diff",
            "get",
            "describe",
            "wait",
            "delete",
            "history",
            "rollback",
            "status",
            "token",
        ),
        *("authz", "ca", "graph", "top", "trace", "tap", "proxy-log"),
    )
)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = import_module(f"clew.cli.{COMMANDS[name][0]}").command
        assert isinstance(command, click.Command)
        if name in REMOTE:
            _add_remote_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            name = error.command_name
            raise click.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _add_remote_options(command: click.Command) -> None:
    """Let a command, or those of its group, be about a mesh of another machine."""
    from clew.cli.connection import REMOTE_OPTIONS

    if isinstance(command, click.Group):
        for each in command.commands.values():
            _add_remote_options(each)
    else:
        command.params += [option for option in REMOTE_OPTIONS if option not in command.params]


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(clew.__version__, prog_name="clew")
def main() -> None:
    """A service mesh you pip install: Istio's API, real Envoy as the data plane."""
