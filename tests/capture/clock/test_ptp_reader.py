"""Which of sockets and logs is believed."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Callable, Sequence

import pytest

from nanotape.capture.clock.pmc import PORTS
from nanotape.capture.clock.ptp_reader import PtpReader
from nanotape.capture.errors import PmcUnusable

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"
SLAVE, NOBODY = ((DATA / f"pmc-3.1.1-{what}.txt").read_text() for what in ("slave", "wrong-domain"))
READ_ONLY = (DATA / "pmc-4.4-read-only.txt").read_text().replace("meanPathDelay    0.0", "meanPathDelay    900.0")
PORT_REPLIES = (
    "\t260c30.fffe.457a4e-1 seq 0 RESPONSE MANAGEMENT PORT_PROPERTIES_NP \n"
    "\t\tportState               FAULTY\n\t\ttimestamping            HARDWARE\n\t\tinterface               eth0\n"
    "\t260c30.fffe.457a4e-1 seq 1 RESPONSE MANAGEMENT PORT_HWCLOCK_NP \n\t\tphcIndex                4\n"
)
PTP4L = "ptp4l[100.000]: master offset       -207 s2 freq     +70 path delay      2080\n"
PHC2SYS = "phc2sys[100.100]: CLOCK_REALTIME phc offset        21 s2 freq    +182 delay    809\n"


class Rig:
    """A folder with sockets that answer what the test says, and logs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.proc = folder, folder / "proc"
        self.proc.mkdir()
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
        is_part = command[-1] == f"GET {PORTS[-1]}"
        return PORT_REPLIES if is_part and self.answers[asked] != NOBODY else self.answers[asked]

    def reader(
        self, sockets: Sequence[pathlib.Path], logs: Sequence[pathlib.Path] = (), now: Callable[[], int] | None = None
    ) -> PtpReader:
        return PtpReader(
            24,
            self.folder,
            sockets,
            logs,
            run=self.run,
            utc_ns=lambda: 7,
            monotonic_ns=now or (lambda: 101 * 10**9),
            proc=self.proc,
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


def test_what_a_read_only_socket_refuses_is_asked_once_a_minute_of_the_other(rig: Rig) -> None:
    now = [0]
    reader = rig.reader([rig.socket("ro", READ_ONLY), rig.socket("rw", SLAVE)], now=lambda: now[0])
    for _ in range(2):
        (seen,) = reader()
        assert (seen.clock, seen.interface, seen.is_hardware) == ("ptp4", "eth0", True)
        assert (seen.port_state, seen.path_delay_ns) == ("UNCALIBRATED", 900)  # as it is now, not as it was then
    assert rig.asked == ["ro", "rw", "ro"]
    now[0] = 61 * 10**9
    reader()
    assert rig.asked[3:] == ["ro", "rw"]


def test_ports_of_another_ptp4l_do_not_count_and_its_command_line_does(rig: Rig) -> None:
    ro = rig.socket("ro", READ_ONLY.replace("260c30", "aaaaaa"))
    process = rig.proc / "9"
    process.mkdir()
    (process / "stat").write_text("9 (ptp4l) S 1 1 1 0")
    (process / "cmdline").write_bytes(b"ptp4l\0-S\0-i\0eth7\0--domainNumber\x0024\0")
    (seen,) = rig.reader([ro, rig.socket("rw", SLAVE)])()
    assert (seen.clock, seen.interface, seen.is_hardware) == ("system", "eth7", False)


def test_a_ptp4l_of_which_nothing_is_known_never_counts_for_the_system_clock(rig: Rig) -> None:
    (seen,) = rig.reader([rig.socket("ro", READ_ONLY)])()
    assert (seen.clock, seen.is_hardware) == ("ptp4l", None)
    assert any("which clock ptp4l steers is not known" in note for note in seen.notes)
