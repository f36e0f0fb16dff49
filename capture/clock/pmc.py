"""Asks a running ptp4l by `pmc`, over its Unix socket, once for all that is wanted. Only GETs: changes nothing.

An unprivileged user may ask over the read-only socket, which linuxptp has from 4.0 on.
"""

import contextlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from nanotape.capture.clock.pmc_output import Answer, parse
from nanotape.capture.clock.tool import Run, run_command
from nanotape.capture.errors import PmcUnusable

ASKED = (
    "TIME_STATUS_NP",
    "CURRENT_DATA_SET",
    "PARENT_DATA_SET",
    "TIME_PROPERTIES_DATA_SET",
    "PORT_DATA_SET",
    "PORT_PROPERTIES_NP",
    "PORT_HWCLOCK_NP",  # from 4.0 on; an older pmc says that it does not know it
    "DEFAULT_DATA_SET",
)
PORTS = ("PORT_PROPERTIES_NP", "PORT_HWCLOCK_NP")
"""Those of them that a read-only socket refuses, of 4.0 to 4.4."""
READ_ONLY_SOCKETS = (Path("/var/run/ptp4lro"), Path("/run/ptp/ptp4lro"))
SOCKETS = (Path("/var/run/ptp4l"), Path("/run/ptp/ptp4l"))
"""Where linuxptp puts them unless told otherwise; the second one from the version after 4.4 on."""
SOCKET_PATH_BYTES = 107
TIMEOUT_S = 2.0
"""pmc waits 0.1 s for more, then ends."""

_asked = itertools.count()


def found_sockets(candidates: Iterable[Path] = (*READ_ONLY_SOCKETS, *SOCKETS)) -> list[Path]:
    """Those that are there, the read-only ones first; one that another leads to is left out."""
    found: dict[Path, Path] = {}
    for each in candidates:
        with contextlib.suppress(OSError):
            if each.is_socket():
                found.setdefault(each.resolve(), each)
    return list(found.values())


class Pmc:
    """Asks one ptp4l."""

    def __init__(self, socket: Path, domain: int, own_folder: Path, run: Run = run_command) -> None:
        """Asks nothing yet.

        Args:
            socket: Of ptp4l.
            domain: Its domain number: it answers in no other.
            own_folder: Where the reply's socket may be made; of a short path.
            run: Runs pmc.
        """
        self.socket, self.domain = socket, domain
        self._own_folder, self._run = own_folder, run

    def ask(self, wanted: Sequence[str] = ASKED) -> Answer:
        """Asks once.

        Args:
            wanted: Management ids.

        Raises:
            PmcUnusable: pmc is not there, or nobody answers; it says what to do.
        """
        # A name of its own for each question: a late answer to the last one must not be taken for this one's.
        own = self._own_folder / f"pmc.{os.getpid()}.{next(_asked)}"
        for each in (self.socket, own):
            if len(os.fsencode(each)) > SOCKET_PATH_BYTES:
                raise PmcUnusable(
                    f"{each}: expected a path of at most {SOCKET_PATH_BYTES} bytes for a Unix socket, found "
                    f"{len(os.fsencode(each))}; use a shorter one"
                )
        if self.socket.exists() and not os.access(self.socket, os.W_OK):
            raise PmcUnusable(
                f"{self.socket}: may not be asked by this user; run as root, or use the read-only socket of linuxptp "
                "4.0 and later (uds_ro_address)"
            )
        try:
            answer = parse(self._run(self._command(own, wanted), TIMEOUT_S))
        except FileNotFoundError:
            raise PmcUnusable("pmc is not installed; install linuxptp to have ptp4l asked") from None
        except OSError as error:
            raise PmcUnusable(f"{self.socket}: pmc: {error}") from None
        finally:
            with contextlib.suppress(OSError):
                own.unlink()  # killed, it leaves it behind
        if not answer.replies:
            raise PmcUnusable(
                f"{self.socket}: no ptp4l answers in domain {self.domain}; is it running, and is clock.domain its own?"
            )
        return answer

    def _command(self, own: Path, wanted: Sequence[str]) -> list[str]:
        gets = [f"GET {each}" for each in wanted]
        return ["pmc", "-u", "-b", "0", "-d", str(self.domain), "-s", str(self.socket), "-i", str(own), *gets]
