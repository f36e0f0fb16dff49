"""`nanotape ctl`: asks a running service for its state, or has it rotate, mark, reload or stop."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nanotape.capture.control.back import wait_back
from nanotape.capture.control.client import ask
from nanotape.capture.control.protocol import socket_path
from nanotape.cli.options import AsJson, ConfigFile, RingNames, chosen_rings, talk
from nanotape.config import DEFAULT_FILE, Settings, load

app = typer.Typer(
    help="Steer a running service: its state, rotate, mark, reload, stop.", no_args_is_help=True, add_completion=False
)

Interrupt = Annotated[
    bool, typer.Option("--interrupt", help="Accept a gap in all channels where there is no other way.")
]


@app.command()
def status(config: ConfigFile = None, ring: RingNames = None, as_json: AsJson = False) -> None:
    """Say which processes run, and what is found wrong. Exit status 1: an error is found."""
    answers = _ask({"do": "status"}, config, ring)
    lines = [json.dumps({"answers": answers})] if as_json else [line for each in answers for line in _state(each)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    raise typer.Exit(1 if any(f["severity"] == "error" for each in answers for f in each["findings"]) else 0)


@app.command()
def rotate(config: ConfigFile = None, ring: RingNames = None, as_json: AsJson = False) -> None:
    """Have the recorder end its segment and begin the next."""
    answers = _ask({"do": "rotate"}, config, ring)
    _tell(answers, as_json, [f"{each['ring']}: rotated" for each in answers])


@app.command()
def mark(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say, 500 characters at most.")],
    config: ConfigFile = None,
    ring: RingNames = None,
    as_json: AsJson = False,
) -> None:
    """Put a marker with a text among the events of the archive, at this moment."""
    answers = _ask({"do": "mark", "text": text}, config, ring)
    _tell(answers, as_json, [f"{each['ring']}: marked" for each in answers])


@app.command()
def reload(
    config: ConfigFile = None, ring: RingNames = None, interrupt: Interrupt = False, as_json: AsJson = False
) -> None:
    """Have the service go over to its configuration as it is now; all of it, or nothing."""
    answers = _ask({"do": "reload", "interrupt": interrupt}, config, ring, once=True)
    told = [_reloaded(each) for answer in answers for each in answer["rings"]]
    _tell(answers, as_json, told)


@app.command()
def restart(config: ConfigFile = None, ring: RingNames = None, as_json: AsJson = False) -> None:
    """Have the service execute itself anew, as it is installed now, without a packet lost; returns when it is back."""
    answers = _ask({"do": "restart"}, config, ring, once=True)
    for each in answers:
        wait_back(_socket_of(config, str(each["rings"][0])), each["processes"])
    _tell(answers, as_json, [f"{', '.join(each['rings'])}: restarted" for each in answers])


@app.command()
def stop(config: ConfigFile = None, ring: RingNames = None, as_json: AsJson = False) -> None:
    """Have the service end in order, with all its rings; returns before it has."""
    answers = _ask({"do": "stop"}, config, ring, once=True)
    _tell(answers, as_json, [f"{', '.join(each['rings'])}: told to stop" for each in answers])


def _ask(
    request: Mapping[str, Any], config: Path | None, names: list[str] | None, *, once: bool = False
) -> list[dict[str, Any]]:
    """Asks for each ring; or, `once`, the service of each ring but for those that an answer has spoken of already."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    answers: list[dict[str, Any]] = []
    spoken: set[str] = set()
    for each in chosen_rings(settings, names):
        if once and each.ring.name in spoken:
            continue
        answer = ask(socket_path(Path(each.paths.run_dir), each.ring.name), request)
        spoken.update(str(told["ring"] if isinstance(told, dict) else told) for told in answer.get("rings", ()))
        answers.append({key: value for key, value in answer.items() if key != "ok"})
    return answers


def _socket_of(config: Path | None, name: str) -> Path:
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    return socket_path(Path(settings.of_ring(name).paths.run_dir), name)


def _tell(answers: list[dict[str, Any]], as_json: bool, lines: list[str]) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"answers": answers}) + "\n")
        return
    for line in lines:
        talk(line)


def _state(answer: Mapping[str, Any]) -> list[str]:
    running = ", ".join(f"{name} {pid}" for name, pid in answer["processes"].items() if pid is not None)
    restarts = ", ".join(f"{name} {count}" for name, count in answer["restarts"].items()) or "none"
    lines = [f"{answer['ring']}: {running or 'nothing runs'}; started anew: {restarts}"]
    return lines + [f"  {each['severity']}: {each['what']}" for each in answer["findings"]]


def _reloaded(told: Mapping[str, Any]) -> str:
    if not told["changed"]:
        return f"{told['ring']}: nothing has changed"
    anew = f"; started anew: {', '.join(told['started_anew'])}" if told["started_anew"] else ""
    return f"{told['ring']}: {', '.join(told['changed'])}{anew}"
