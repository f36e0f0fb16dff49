"""The control plane of capture and the reader of rings. Imports native and config, nothing above."""

from nanotape.capture.packet import Packet
from nanotape.capture.ring import Ring

__all__ = ["Packet", "Ring"]
