"""`nanotape run`: captures and records, supervised, until a signal."""

from nanotape.capture.service import ServiceOptions
from nanotape.cli.options import AsJson, ConfigFile
from nanotape.cli.supervise import supervise
from nanotape.config import load


def run(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Capture and record, supervised: what dies is restarted and goes on where it was. Ctrl-C ends it in order."""
    supervise(load(config), ServiceOptions(record=True), as_json)
