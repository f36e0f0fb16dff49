"""`nanotape run`: captures and records, supervised, until a signal."""

from nanotape.capture.service import ServiceOptions
from nanotape.cli.options import AsJson, ConfigFile, RingNames, chosen_rings
from nanotape.cli.supervise import supervise
from nanotape.config import load


def run(config: ConfigFile = None, ring: RingNames = None, as_json: AsJson = False) -> None:
    """Capture and record, supervised: what dies is restarted and goes on where it was. Ctrl-C ends it in order."""
    supervise(lambda: chosen_rings(load(config), ring), ServiceOptions(record=True), as_json)
