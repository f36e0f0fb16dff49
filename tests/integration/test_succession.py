"""A holder hands over to its heir amid traffic: no packet of what both select is lost, whoever is killed, and when."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator

import deadline
import holder_rig
import namespaces
import pytest
from holder_rig import Flow, Plan
from udp_reader import Socket, udp_reader

pytestmark = pytest.mark.root

STAYS, GOES, COMES = Flow(1), Flow(2, group="239.1.1.2"), Flow(3, group="239.1.1.3")
BEFORE = Plan(flows=(STAYS, GOES), descriptors=1 << 17)
AFTER = dataclasses.replace(BEFORE, flows=(STAYS, COMES))
WILL_MAGIC = (0x4C4C4957544E).to_bytes(8, "little")
COUNT, RATE = 60_000, 30_000


@dataclasses.dataclass(slots=True)
class Reign:
    """A running holder and the end by which an heir asks."""

    process: subprocess.Popen[str]
    succession: socket.socket
    cue: int = -1

    def said(self, word: str) -> None:
        assert self.process.stdout
        assert self.process.stderr
        line = self.process.stdout.readline()
        assert line == f"{word}\n", self.process.stderr.read()

    def refused(self) -> str:
        _, errors = self.process.communicate(timeout=20)
        assert self.process.returncode == 1
        return str(errors.splitlines()[-1])

    def give_cue(self) -> None:
        os.write(self.cue, b"\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


class Court:
    """Starts holders and their heirs, as a service does, and ends all of them."""

    def __init__(self, rig: holder_rig.Rig) -> None:
        self.rig, self._reigns = rig, list[Reign]()

    def start(self, plan: Plan, before: Reign | None = None, preload: pathlib.Path | None = None) -> Reign:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given, cue = os.pipe()
        file = self.rig.folder / f"plan-{len(self._reigns)}"
        file.write_bytes(plan.pack(self.rig.socket))
        shutil.copy(file, self.rig.folder / "plan")
        command = [
            "env",
            *([f"LD_PRELOAD={preload}"] if preload else []),
            str(self.rig.holder_path),
            "--plan",
            str(file),
        ]
        command += ["--succession", str(theirs.fileno())]
        passed = [theirs.fileno()]
        if before:
            command += ["--succeed", str(before.succession.fileno())]
            passed.append(before.succession.fileno())
        pipes = {"stdin": given, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = self.rig.side.start(*command, pass_fds=passed, **pipes)
        theirs.close()
        os.close(given)
        reign = Reign(process, ours, cue)
        self._reigns.append(reign)
        return reign

    def holder(self) -> Reign:
        reign = self.start(BEFORE)
        reign.said("ready")
        return reign

    def heir(self, before: Reign, plan: Plan = AFTER, preload: pathlib.Path | None = None) -> Reign:
        reign = self.start(plan, before, preload)
        reign.said("prepared")
        return reign

    def close(self) -> None:
        for reign in self._reigns:
            reign.process.kill()
            reign.process.communicate(timeout=20)
            reign.succession.close()
            os.close(reign.cue)


@pytest.fixture
def court(holder_rig_on_right: holder_rig.Rig) -> Iterator[Court]:
    made = Court(holder_rig_on_right)
    yield made
    made.close()


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Kills a holder between the replacement of the program and the end of the one before."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler, "a C compiler (cc) is needed"
    library = tmp_path_factory.mktemp("deadly") / "die_at_drop.so"
    source = holder_rig.C_SOURCES / "die_at_drop.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library, source], check=True)
    return library


@contextlib.contextmanager
def traffic(court: Court, pair: namespaces.NamespacePair) -> Iterator[holder_rig.Log]:
    """Numbered packets to the flow that stays, until all are sent."""
    log = holder_rig.Log(court.rig.folder / "log", capacity=2 * COUNT, snap=0)
    words = (court.rig.programs.blast, STAYS.group, str(STAYS.port), str(COUNT), str(RATE))
    sender = pair.left.start(*words, stdout=subprocess.PIPE, text=True)
    try:
        yield log
        sender.communicate(timeout=60)
    finally:
        sender.kill()
        sender.communicate(timeout=20)


def wait_for(log: holder_rig.Log, count: int) -> None:
    deadline.wait_for(lambda: len(log) >= count, f"{count} packets logged", 60)


def check_complete(log: holder_rig.Log, borrower: holder_rig.Borrower) -> None:
    """Takes the rest: all that were sent to the flow that stays, each once, and books that agree with that."""
    [counters] = borrower.finish()
    assert [each.flow_seq for each in log if each.flow_id == STAYS.id] == list(range(1, COUNT + 1))
    assert [counters[name] for name in ("dropped", "ring_full", "unstamped", "occupancy")] == [0] * 4
    assert counters["redirected"] == len(log)
    assert counters["seen"] == counters["redirected"] + counters["unmatched"]


def taken(court: Court, pair: namespaces.NamespacePair, log: holder_rig.Log, flow: Flow) -> bool:
    """Whether a packet of a flow is taken now: one of the flow that stays, sent after it, is."""
    before = len(log)
    for each in (flow, STAYS):
        pair.left.run(court.rig.programs.blast, each.group, str(each.port), "1", "1000")
    wait_for(log, before + 1)
    deadline.wait_for(lambda: list(log)[-1].flow_id == STAYS.id, "the packet sent last", 20)
    return flow.id in {each.flow_id for each in list(log)[before:]}


def test_an_heir_selects_other_channels_and_those_that_stay_lose_nothing(
    court: Court, namespace_pair: namespaces.NamespacePair
) -> None:
    holder = court.holder()
    with traffic(court, namespace_pair) as log:
        borrower = court.rig.borrow(log)
        wait_for(log, 10_000)
        heir = court.heir(holder)
        wait_for(log, len(log) + 5_000)  # nothing has changed for who borrows
        borrower.finish()
        heir.give_cue()
        heir.said("ready")
        assert holder.process.wait(20) == 0
        borrower = court.rig.borrow(log)
        second = court.heir(heir, BEFORE)  # and once more, back
        borrower.finish()
        second.give_cue()
        second.said("ready")
        borrower = court.rig.borrow(log)
        third = court.heir(second)
        borrower.finish()
        third.give_cue()
        third.said("ready")
        borrower = court.rig.borrow(log)
    check_complete(log, borrower)
    borrower = court.rig.borrow(log)
    assert taken(court, namespace_pair, log, COMES)
    assert not taken(court, namespace_pair, log, GOES)
    borrower.finish()
    third.process.send_signal(signal.SIGTERM)
    assert third.process.wait(20) == 0
    assert holder_rig.attached_program(court.rig.side) is None
    assert not court.rig.socket.exists()


def die_before_it_asks(court: Court, holder: Reign, _deadly: pathlib.Path) -> None:
    court.start(AFTER, holder).kill()


def die_prepared(court: Court, holder: Reign, _deadly: pathlib.Path) -> None:
    court.heir(holder).kill()


def die_without_its_cue(court: Court, holder: Reign, _deadly: pathlib.Path) -> None:
    heir = court.heir(holder)
    heir.process.send_signal(signal.SIGTERM)
    assert heir.refused() == "nanotape-holder: told to end before it took over"


def die_after_the_switch(court: Court, holder: Reign, deadly: pathlib.Path) -> None:
    heir = court.heir(holder, preload=deadly)
    heir.give_cue()
    assert heir.process.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("die", [die_before_it_asks, die_prepared, die_without_its_cue, die_after_the_switch])
def test_an_heir_that_dies_leaves_the_holder_in_charge_as_it_was(
    court: Court,
    namespace_pair: namespaces.NamespacePair,
    deadly: pathlib.Path,
    die: Callable[[Court, Reign, pathlib.Path], None],
) -> None:
    holder = court.holder()
    with traffic(court, namespace_pair) as log:
        borrower = court.rig.borrow(log)
        wait_for(log, 10_000)
        die(court, holder, deadly)
        wait_for(log, len(log) + 5_000)
        borrower.finish()
        borrower = court.rig.borrow(log)
    check_complete(log, borrower)
    borrower = court.rig.borrow(log)
    assert taken(court, namespace_pair, log, GOES)
    assert not taken(court, namespace_pair, log, COMES)
    borrower.finish()
    heir = court.heir(holder)  # and it can still hand over
    heir.give_cue()
    heir.said("ready")
    assert holder.process.wait(20) == 0


def test_an_heir_takes_over_from_a_holder_that_was_killed_once_it_is_prepared(
    court: Court, namespace_pair: namespaces.NamespacePair
) -> None:
    holder = court.holder()
    with traffic(court, namespace_pair) as log:
        borrower = court.rig.borrow(log)
        wait_for(log, 10_000)
        heir = court.heir(holder)
        holder.kill()
        borrower.finish()
        heir.give_cue()
        heir.said("ready")
        borrower = court.rig.borrow(log)
    check_complete(log, borrower)


def test_a_holder_that_stands_still_is_succeeded_and_ends_once_it_goes_on(
    court: Court, namespace_pair: namespaces.NamespacePair
) -> None:
    holder = court.holder()
    heir = court.heir(holder)
    holder.process.send_signal(signal.SIGSTOP)
    heir.give_cue()
    heir.said("ready")
    holder.process.send_signal(signal.SIGCONT)
    assert holder.process.wait(20) == 0
    log = holder_rig.Log(court.rig.folder / "log")
    borrower = court.rig.borrow(log)
    assert taken(court, namespace_pair, log, COMES)
    borrower.finish()


def test_a_holder_ends_with_who_started_it(court: Court) -> None:
    holder = court.holder()
    holder.succession.shutdown(socket.SHUT_RDWR)
    assert holder.process.wait(20) == 0
    assert holder_rig.attached_program(court.rig.side) is None


def test_who_asks_a_dead_holder_is_told_so(court: Court) -> None:
    holder = court.holder()
    holder.kill()
    heir = court.start(AFTER, holder)
    assert "the holder that runs does not hand over" in heir.refused()


REFUSED = {
    "other memory": (
        {"descriptors": 1 << 16},
        "has 131072 descriptors of 2048 bytes, the plan 65536 of 2048: restart the service",
    ),
    "another interface": ({"interface": "lo"}, "is not the interface that the holder that runs has"),
}


@pytest.mark.parametrize(("differs", "words"), REFUSED.values(), ids=REFUSED)
def test_what_an_heir_cannot_take_over_is_refused_and_the_holder_goes_on(
    court: Court, namespace_pair: namespaces.NamespacePair, differs: dict[str, object], words: str
) -> None:
    holder = court.holder()
    assert words in court.start(dataclasses.replace(AFTER, **differs), holder).refused()  # type: ignore[arg-type]
    log = holder_rig.Log(court.rig.folder / "log")
    borrower = court.rig.borrow(log)
    assert taken(court, namespace_pair, log, GOES)
    borrower.finish()


def test_a_second_heir_waits_for_the_first_and_one_of_another_version_is_none(court: Court) -> None:
    holder = court.holder()
    first = court.heir(holder)
    assert "has another heir already" in court.start(AFTER, holder).refused()
    first.kill()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(20)
        socket.send_fds(holder.succession, [WILL_MAGIC + bytes([9, *bytes(7)])], [theirs.fileno()])
        theirs.close()
        will = ours.recv(4096)
        assert (will[:8], int.from_bytes(will[8:12], "little"), int.from_bytes(will[12:16], "little")) == (
            WILL_MAGIC,
            1,
            3,
        )
        assert ours.recv(4096) == b""
    holder.succession.send(b"nonsense")
    court.heir(holder)


def test_nobody_goes_blind_by_what_is_added_and_who_is_blind_already_hinders_nobody(court: Court) -> None:
    holder = court.holder()
    with udp_reader(court.rig.side, Socket(bind=COMES.group, join=COMES.group)):
        assert "is read by python" in court.start(AFTER, holder).refused()
    with udp_reader(court.rig.side, Socket(bind=STAYS.group, join=STAYS.group)):
        court.heir(holder)


def test_packet_sockets_are_not_handed_over(court: Court) -> None:
    plan = Plan(flows=(STAYS,), kind=holder_rig.PACKET)
    holder = court.start(plan)
    holder.said("ready")
    assert "packet sockets, whose filters are locked" in court.start(plan, holder).refused()
