"""Which of sockets and logs is believed."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Callable, Sequence

import pytest

from nanotape.capture.clock.ptp_reader import PtpReader
from nanotape.capture.errors import PmcUnusable

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"
SLAVE, NOBODY = ((DATA / f"pmc-3.1.1-{what}.txt").read_text() for what in ("slave", "wrong-domain"))
PTP4L = "ptp4l[100.000]: master offset       -207 s2 freq     +70 path delay      2080\n"
PHC2SYS = "phc2sys[100.100]: CLOCK_REALTIME phc offset        21 s2 freq    +182 delay    809\n"


class Rig:
    """A folder with sockets that answer what the test says, and logs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.answers: dict[str, str] = {}
        self.asked: list[str] = []

    def socket(self, name: str, answer: str) -> pathlib.Path:
        path = self.folder / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
            bound.bind(str(path))
        self.answers[str(path)] = answer
        return path

    def log(self, text: str) -> pathlib.Path:
        path = self.folder / "log"
        path.write_text(text)
        return path

    def run(self, command: Sequence[str], _timeout_s: float) -> str:
        asked = command[command.index("-s") + 1]
        self.asked.append(pathlib.Path(asked).name)
        return self.answers[asked]

    def reader(
        self, sockets: Sequence[pathlib.Path], logs: Sequence[pathlib.Path] = (), now: Callable[[], int] | None = None
    ) -> PtpReader:
        return PtpReader(
            24, self.folder, sockets, logs, run=self.run, utc_ns=lambda: 7, monotonic_ns=now or (lambda: 101 * 10**9)
        )


@pytest.fixture
def rig(tmp_path: pathlib.Path) -> Rig:
    return Rig(tmp_path)


def test_the_first_socket_that_answers_is_believed_before_the_log(rig: Rig) -> None:
    sockets = [rig.socket("ro", NOBODY), rig.socket("rw", SLAVE), rig.socket("third", SLAVE)]
    reader = rig.reader([rig.folder / "absent", *sockets], [rig.log(PTP4L + "nonsense\n")])
    (seen,) = reader()
    assert (seen.method, seen.offset_ns, seen.at_ns) == ("pmc", 95, 7)
    assert rig.asked == ["ro", "rw"]
    assert (reader.log_garbage, reader.garbage) == (1, 0)
    reader.close()


def test_where_no_socket_answers_the_log_is_believed(rig: Rig) -> None:
    (seen,) = rig.reader([rig.socket("ro", NOBODY)], [rig.log(PTP4L)])()
    assert (seen.method, seen.offset_ns) == ("log", -207)


def test_phc2sys_is_read_beside_either(rig: Rig) -> None:
    logs = [rig.log(PTP4L + PHC2SYS)]
    by_pmc = rig.reader([rig.socket("rw", SLAVE)], logs)()
    assert [(each.source, each.method) for each in by_pmc] == [("ptp4l", "pmc"), ("phc2sys", "log")]
    by_log = rig.reader([rig.folder / "absent"], logs)()
    assert [(each.source, each.method) for each in by_log] == [("ptp4l", "log"), ("phc2sys", "log")]


def test_nothing_at_all_is_no_failure_but_a_ptp4l_that_does_not_answer_is(rig: Rig) -> None:
    assert rig.reader([rig.folder / "absent"])() == []
    silent = rig.socket("ro", NOBODY)
    with pytest.raises(PmcUnusable, match="no ptp4l answers in domain 24"):
        rig.reader([silent])()
    with pytest.raises(PmcUnusable):  # a log that has gone quiet is none
        rig.reader([silent], [rig.log(PTP4L)], lambda: 500 * 10**9)()
