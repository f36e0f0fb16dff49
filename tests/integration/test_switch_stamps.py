"""Frames with a switch's stamps, over the wire into the archive: by AF_XDP and by a packet socket."""

from __future__ import annotations

import pathlib
import struct
import time
from collections.abc import Callable, Iterator

import holder_rig
import namespaces
import pyarrow as pa
import pytest
from deadline import wait_for
from frames import ethernet, ipv4, udp
from service_rig import RING, Rig, Wanted, make_rig
from switch_frames import (
    S,
    arista_keyframe,
    arista_tick,
    exalink_keyframe,
    hpt,
    ixia,
    metamako,
    switch_header,
    with_fcs,
)

from nanotape.capture.recorded_feeds import read_feeds

pytestmark = pytest.mark.root

GROUP, PORT = "239.1.2.3", 15000
BASE = ethernet(ipv4(udp(b"x" * 60, dst_port=PORT), dst=GROUP))
SHORT = ethernet(ipv4(udp(b"x", dst_port=PORT), dst=GROUP)).ljust(60, b"\0")
CHANNELS = f'[[channel]]\nname = "one"\nfeed = "real"\n[[channel.line]]\ngroup = "{GROUP}"\nport = {PORT}\n'
Switch = Callable[[int], Iterator[bytes]]


def whole(trailer: Callable[[int, int], bytes]) -> Switch:
    """Ten frames, some short, some with their FCS, whose stamps are a microsecond apart."""

    def frames(utc_ns: int) -> Iterator[bytes]:
        for each in range(10):
            frame = (BASE, SHORT)[each % 2] + trailer(*divmod(utc_ns + 1000 * each, S))
            yield with_fcs(frame) if each % 3 == 0 else frame

    return frames


def headed(utc_ns: int) -> Iterator[bytes]:
    for each in range(10):
        yield switch_header(BASE, (0x10, 0x120)[each % 2], *divmod(utc_ns + 1000 * each, S))


def ticking(keyframe: Callable[[int, int], bytes], tick: Callable[[int], bytes]) -> Switch:
    def frames(utc_ns: int) -> Iterator[bytes]:
        yield keyframe(utc_ns, 1 << 33)
        yield keyframe(utc_ns, 1 << 33)
        for each in range(10):
            yield BASE + tick((1 << 33) + 350 * each)

    return frames


def fraction_up(ns: int) -> int:
    return -(-(ns << 40) // S)


WHOLE = {
    "arista-7130": whole(metamako),
    "exablaze-hpt": whole(lambda seconds, ns: hpt(seconds, fraction_up(ns))),
    "ixia": whole(ixia),
    "arista-7280": headed,
}
TICKING = {
    "exalink": ticking(exalink_keyframe, lambda ticks: struct.pack(">I", ticks & 0xFFFFFFFF)),
    "arista-7150": ticking(arista_keyframe, arista_tick),
}


def told_switches(rig: Rig, recorder: str) -> tuple[str, ...]:
    """What `nanotape channels` will say, once all ten are counted."""
    feeds = read_feeds(pathlib.Path(rig.settings.paths.run_dir), RING, recorder)
    return tuple(line for line in (feeds.switches if feeds else ()) if " 10 used" in line)


def assert_stamped(pair: namespaces.NamespacePair, kind: str, source: str, switch: Switch) -> None:
    """Every frame of the channel stands in the archive with its own stamp, and byte for byte."""
    wanted = Wanted(
        kind=kind, source=f'join = "none"\n{source}', channels=CHANNELS, capacity="64 MiB", descriptors=4096
    )
    with make_rig(wanted, pair) as rig, rig.service() as service:
        rig.wait_taken(service)
        utc_ns = time.time_ns()
        sent = list(switch(utc_ns))
        holder_rig.send_frames(pair.left, sent)
        rig.wait_taken(service)
        recorder = rig.settings.recorder.name
        told = wait_for(lambda: told_switches(rig, recorder), "the recorder to tell of the switch", 30)
        assert "10 used, 0 implausible" in told[0]
        service.stop()
        table = rig.archive().table(["ring_seq", "channel", "ts_switch", "header", "payload", "trailer"])
    table = table.sort_by("ring_seq").filter(pa.compute.equal(table.sort_by("ring_seq")["channel"], "one"))
    assert table["ts_switch"].cast(pa.int64()).to_pylist() == [utc_ns + 1000 * each for each in range(10)]
    frames = [
        b"".join(parts) for parts in zip(*(table[name].to_pylist() for name in table.column_names[3:]), strict=True)
    ]
    assert frames == sent[-10:]


@pytest.mark.parametrize(("kind", "form"), [*(("afxdp", form) for form in WHOLE), ("packet", "arista-7280")])
def test_whole_stamps_are_detected_on_the_way_into_the_archive(
    namespace_pair: namespaces.NamespacePair, kind: str, form: str
) -> None:
    assert_stamped(namespace_pair, kind, 'switch_stamps = "auto"\nswitch_plausible = "1min"', WHOLE[form])


@pytest.mark.parametrize("form", TICKING)
def test_ticks_get_their_time_from_keyframes_that_a_packet_socket_takes(
    namespace_pair: namespaces.NamespacePair, form: str
) -> None:
    source = f'select = "all"\nswitch_stamps = "{form}"\nswitch_plausible = "1min"'
    assert_stamped(namespace_pair, "packet", source, TICKING[form])
