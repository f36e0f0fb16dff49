"""What can go wrong in the benchmark."""

from nanotape.capture.errors import CaptureError


class BenchError(CaptureError):
    """Raised when a part cannot be measured on this machine; the text says what is missing and what to do."""
