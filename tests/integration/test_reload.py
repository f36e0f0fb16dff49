"""A running service goes over to other channels and settings: what stays loses nothing, what cannot is refused."""

from __future__ import annotations

import signal
import subprocess
import time

import namespaces
import pytest
from command_line import as_nobody
from deadline import wait_for
from reloading import ANY, GROUPS, PACKETS, RATE, channels, processes, reloading, wait_in_ring
from udp_reader import Socket, udp_reader

from nanotape.capture.sent_log import SentLog

pytestmark = pytest.mark.root


@pytest.mark.parametrize(
    ("kind", "source", "anew"),
    [("packet", ANY, "capture, recorder"), ("afxdp", "", "holder, capture, recorder")],
    ids=["packet", "afxdp"],
)
def test_a_channel_comes_and_one_goes_and_those_that_stay_lose_nothing(
    namespace_pair: namespaces.NamespacePair, kind: str, source: str, anew: str
) -> None:
    with reloading(namespace_pair, kind, source) as made:
        with made.sending() as exchange:
            wait_in_ring(made, 60_000)
            made.rewrite(lambda text: text.replace(channels("B"), "") + channels("D"))
            status, said = made.ctl("reload")
            assert status == 0, said
            assert f"test: channel D, channel B; started anew: {', '.join(sorted(anew.split(', ')))}" in said
            assert exchange.poll() is None, "too slow: all was sent before the reload"
            assert exchange.wait(60) == 0
        if kind == "packet":
            wait_in_ring(made, 4 * (PACKETS + 1))  # the end of the session is one more
        books = made.stop()
        sent = SentLog.read(made.log)
        recorded = made.recorded()
        assert {name: recorded[name] for name in "AC"} == {name: sent.line(name).sent for name in "AC"}
        assert (made.gaps("A"), made.gaps("C")) == (0, 0)
        assert 0 < recorded["B"] < PACKETS
        assert 0 < recorded["D"] < PACKETS
        assert (books["lost"], books["unexplained"], books["unrecorded"]) == (0, 0, 0)


@pytest.mark.slow
def test_a_channel_of_a_narrow_selection_is_added_only_with_leave_to_interrupt(
    namespace_pair: namespaces.NamespacePair,
) -> None:
    with reloading(namespace_pair, "packet") as made:
        with made.sending() as exchange:
            wait_in_ring(made, 60_000)
            before = processes(made)
            made.rewrite(lambda text: text + channels("D"))
            status, said = made.ctl("reload")
            assert (status, "channel D: cannot change without a gap in all channels of ring test" in said) == (1, True)
            assert processes(made) == before
            began = time.monotonic()
            assert made.ctl("reload", "--interrupt")[0] == 0
            took_s = time.monotonic() - began
            assert exchange.wait(60) == 0
        assert processes(made).keys() == before.keys()
        made.rewrite(lambda text: text.replace(channels("B"), ""))
        assert made.ctl("reload", "--interrupt")[0] == 0
        made.stop()
        recorded = made.recorded()
        assert recorded["D"] > 0
        lost_s = (SentLog.read(made.log).line("A").sent - recorded["A"]) / RATE
        print(f"{lost_s * 1e3:.0f} ms of packets lost, the reload took {took_s:.2f} s")
        assert 0 < lost_s < 1.0


@pytest.mark.parametrize("kind", ["packet", pytest.param("afxdp", marks=pytest.mark.slow)])
def test_recorder_settings_change_and_what_needs_a_restart_is_refused_and_changes_nothing(
    namespace_pair: namespaces.NamespacePair, kind: str
) -> None:
    with reloading(namespace_pair, kind) as made:
        with made.sending() as exchange:
            wait_in_ring(made, 30_000)
            before = processes(made)
            made.rewrite(lambda text: text.replace('"200ms"', '"150ms"\ncompression = "lz4"'))
            assert made.ctl("reload")[0] == 0
            after = processes(made)
            assert {name for name in before if before[name] != after[name]} == {"recorder"}
            made.rewrite(lambda text: text.replace("128 MiB", "256 MiB").replace('"150ms"', '"160ms"'))
            status, said = made.ctl("reload")
            assert (status, said) == (
                1, "nanotape: ring.capacity: cannot change while a service runs: restart it; nothing is changed\n"
            )  # fmt: skip
            made.rewrite(lambda text: text + "\n[nonsense]\n")
            made.service.send_signal(signal.SIGHUP)
            wait_for(lambda: "reload: " in made.rig.talk.read_text(encoding="utf-8"), "the refusal", 30)
            made.rewrite(lambda text: text.replace("[nonsense]", "").replace("256 MiB", "128 MiB"))
            assert processes(made) == after
            made.service.send_signal(signal.SIGHUP)
            wait_for(lambda: processes(made)["recorder"] not in (None, after["recorder"]), "the reload", 30)
            assert exchange.wait(60) == 0
        wait_in_ring(made, 3 * (PACKETS + 1))  # the end of the session is one more
        books = made.stop()
        sent = SentLog.read(made.log)
        assert made.recorded() == {name: sent.line(name).sent for name in "ABC"}
        assert (books["lost"], books["unexplained"], books["unrecorded"]) == (0, 0, 0)


def test_what_does_not_start_by_the_new_configuration_goes_on_by_the_old_one(
    namespace_pair: namespaces.NamespacePair,
) -> None:
    with reloading(namespace_pair, "packet") as made:
        with made.sending() as exchange:
            wait_in_ring(made, 30_000)
            made.rewrite(lambda text: text + "\n[loop]\ncore = 1023\n")
            status, said = made.ctl("reload")
            assert status == 1, said
            assert "capture: ended before it was ready" in said
            assert exchange.wait(60) == 0
        wait_in_ring(made, 3 * (PACKETS + 1))
        assert None not in processes(made).values()
        books = made.stop()
        sent = SentLog.read(made.log)
        assert made.recorded() == {name: sent.line(name).sent for name in "ABC"}
        assert (books["lost"], books["unexplained"], books["unrecorded"]) == (0, 0, 0)


def test_what_no_heir_can_take_is_refused_and_the_holder_goes_on(namespace_pair: namespaces.NamespacePair) -> None:
    with reloading(namespace_pair, "afxdp") as made:
        before = processes(made)
        with made.sending() as exchange:
            wait_in_ring(made, 30_000)
            with udp_reader(namespace_pair.right, Socket(bind=GROUPS["D"], port=31001, join=GROUPS["D"])):
                made.rewrite(lambda text: text + channels("D"))
                status, said = made.ctl("reload")
            assert (status, "holder: ended before it was ready" in said) == (1, True), said
            assert "239.192.8.4:31001 is read by python" in made.rig.talk.read_text(encoding="utf-8")
            assert processes(made) == before
            assert exchange.wait(60) == 0
        wait_in_ring(made, 3 * (PACKETS + 1))
        books = made.stop()
        sent = SentLog.read(made.log)
        assert made.recorded() == {name: sent.line(name).sent for name in "ABC"}
        assert (books["lost"], books["unexplained"], books["unrecorded"]) == (0, 0, 0)


def test_a_mark_and_a_rotation_reach_the_recorder_and_nobody_may_steer(
    namespace_pair: namespaces.NamespacePair,
) -> None:
    with reloading(namespace_pair, "packet") as made:
        assert made.ctl("mark", "the open")[0] == 0
        assert made.ctl("rotate")[0] == 0
        with as_nobody() as (nobody, _):
            done = subprocess.run(
                [*nobody, "ctl", "stop", "--config", str(made.rig.config)], capture_output=True, text=True, check=False
            )
        assert done.returncode == 1
        assert "this user may not steer the service" in done.stderr
        made.stop()
        marks = [
            row
            for row in made.rig.archive().rows("events", ["kind", "detail", "ring"]).to_pylist()
            if row["kind"] == "mark"
        ]
        assert [(row["detail"], row["ring"]) for row in marks] == [("the open", "test")]
