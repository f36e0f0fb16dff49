"""What can go wrong in the capture package: one root, one class for each thing that a caller may want to tell apart.

The text of each error is one line for the operator: what was expected, what was found, what to do.
"""


class CaptureError(Exception):
    """Root of all errors that `nanotape.capture` raises on purpose."""


class RingError(CaptureError):
    """Root of what concerns one ring."""


class RingNotFound(RingError):
    """Raised when there is no ring of that name, or its data file is gone."""


class RingNotReady(RingError):
    """Raised when a ring is still being made, or its maker died over it: worth another try a moment later."""


class RingLayoutMismatch(RingError):
    """Raised when a ring was made by a nanotape of another layout version."""


class PermissionDenied(RingError):
    """Raised when the files of a ring, or the place for a reader's status, may not be opened by this user."""


class RingCorrupt(RingError):
    """Raised when a ring holds what no writer could have written, or its file is no ring at all."""


class RingReplaced(RingError):
    """Raised when a reader has read all of its ring, and the ring's files were removed or made anew meanwhile."""


class SequenceNotWritten(RingError):
    """Raised when a reader is sent to a ring sequence that is not written yet."""


class ReaderNameInvalid(RingError):
    """Raised when a reader's name cannot be a file name."""


class ReaderBusy(RingError):
    """Raised when another process reads a ring under the same name."""


class RingBusy(RingError):
    """Raised when another service runs the ring that one is to be started for: no mistake, and over when that ends."""


class SimulationError(CaptureError):
    """Raised when the simulated exchange cannot send, or its log cannot be written or read."""


class SimulationUsageError(SimulationError):
    """Raised when the simulated exchange is asked for what cannot be, such as a rate of 0."""


class ReplayError(CaptureError):
    """Raised when frames cannot be sent: no right to, or an interface that refuses them."""


class ReplayUsageError(ReplayError):
    """Raised when a replay is asked for what cannot be, such as an interface that is not there."""


class HostError(CaptureError):
    """Root of what this host lacks for a configuration."""


class AccountUnknown(HostError):
    """Raised when a configured user or group does not exist on this host."""


class PlaceUnusable(HostError):
    """Raised when a folder that nanotape needs cannot be made or used."""


class PrivilegeUnusable(HostError):
    """Raised when a process cannot give up its capabilities, or not pass them on to its holder."""


class FileUnusable(HostError):
    """Raised when a capture file cannot be opened, or is no file."""


class NothingToCapture(HostError):
    """Raised when a configuration names no flow, and its source has nothing without one."""


class DiscoverError(HostError):
    """Raised when nobody can listen on an interface as asked: it is not there or not up, no right, no such group."""


class ServiceError(CaptureError):
    """Raised when a process of the service ended before it was ready, or the service cannot go on.

    Attributes:
        status: Exit status to end with.
        told: A process has said why on standard error already: to repeat that something failed adds nothing.
    """

    def __init__(self, message: str, status: int = 1, *, told: bool = False) -> None:
        """With the exit status that fits the failure."""
        super().__init__(message)
        self.status, self.told = status, told


class RelayRefused(HostError):
    """Raised when a relay is asked for what cannot be: no destination, one that is captured here, no right to."""


class RelayLooped(CaptureError):
    """Raised when a destination of a running relay has become a captured flow: it is ended at once."""


class OutputFailed(CaptureError):
    """Raised when what a ring's reader shows cannot be written."""


class PhcUnusable(HostError):
    """Raised when a NIC's clock cannot be opened, read or asked for."""


class LeapSecondsUnusable(HostError):
    """Raised when the file of leap seconds is missing or is none."""


class LinuxptpError(CaptureError):
    """Raised when linuxptp cannot be run: not installed, of an unknown version, or somebody else owns a clock."""


class PmcUnusable(CaptureError):
    """Raised when a running ptp4l cannot be asked."""


class ControlError(CaptureError):
    """Raised when a running service cannot be steered: nobody there, no right to, or it refuses."""


class ReloadRefused(ControlError):
    """Raised when a running service cannot go over to another configuration; then nothing is changed."""
