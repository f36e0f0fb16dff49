"""The verbs of `nanotape`, each imported only when it is called: all of them take a second, one a fraction."""

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

VERBS = {
    "run": "run:run",
    "capture": "capture:capture",
    "record": "record:record",
    "demo": "demo:demo",
    "bench": "bench:bench",
    "simulate": "simulate:simulate",
    "rings": "rings:rings",
    "status": "status:status",
    "top": "top:top",
    "ctl": "ctl:app",
    "channels": "channels:channels",
    "clock": "clock:app",
    "import": "import_:import_pcap",
    "compact": "compact:compact_archive",
    "discover": "discover:discover",
    "events": "events:events",
    "export": "export:export_archive",
    "retain": "retain:retain",
    "report": "report:report",
    "query": "query:query",
    "replay": "replay:replay",
    "relay": "relay:relay",
    "tail": "tail:tail",
    "audit": "audit:audit",
    "verify": "verify:verify",
    "doctor": "doctor:doctor",
    "tune": "tune:tune",
    "jitter": "jitter:jitter",
    "support-bundle": "support_bundle:support_bundle",
    "service": "service:app",
    "config": "config:app",
}
"""By name, in the order of the help: module below `nanotape.cli`, and in it the function, or the app of its verbs."""


class Verbs(TyperGroup):
    """The group of all verbs."""

    def __init__(self, **attributes: Any) -> None:
        """Knows all names, and no verb yet."""
        super().__init__(**attributes)
        self._loaded: dict[str, Any] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of a name; None where there is none."""
        if cmd_name in VERBS and cmd_name not in self._loaded:
            self._loaded[cmd_name] = _command(cmd_name)
        return self._loaded.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As Typer does, which looks for names like a mistyped one among its commands."""
        self.commands = dict.fromkeys(VERBS)  # type: ignore[assignment] # only names are looked at
        return super().resolve_command(ctx, args)


def _command(name: str) -> Any:
    module, _, attribute = VERBS[name].partition(":")
    verb = getattr(importlib.import_module(f"nanotape.cli.{module}"), attribute)
    if isinstance(verb, typer.Typer):
        group = typer.main.get_group(verb)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(verb)
    return typer.main.get_command(alone)
