"""What no single value can be wrong about: what stands twice, what excludes what, limits of the whole."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from nanotape.config.clock_checks import clock
from nanotape.config.flows import Flow, interfaces, located_flows
from nanotape.config.framing import BUILT_IN, NO_FRAMING
from nanotape.config.problem import Problem
from nanotape.config.ring_checks import lines_of_rings, ring_names, shared
from nanotape.config.rings import views
from nanotape.config.rules import quoted
from nanotape.config.switch import KEYFRAME_FORMS

if TYPE_CHECKING:  # settings calls this module
    from nanotape.config.locate import KeyPath
    from nanotape.config.settings import Settings

FLOWS_MAXIMUM = 8191
"""Entries of the ring's flow table, less number 0, which is the channel `other`."""
INTERFACES_MAXIMUM = 16
"""Sources that a plan has room for."""
SOCKETS_MAXIMUM = 64
"""Sources of a ring: with fanout each interface has several."""
PACKET_RING_BYTES = (4 << 30) - 1
"""What the kernel counts of a packet socket's ring in 32 bits."""
SOCKET_PATH_BYTES = 103
"""The kernel's sun_path as the plan carries it, less the terminating NUL."""
OTHER_CHANNEL = "other"


def refuse(settings: Settings) -> None:
    """Raises one pydantic error of type `inconsistent` with all problems in its context, or nothing."""
    of_all = (_names, _framings, _sessions, _users, clock, ring_names, lines_of_rings, shared)
    of_each = (_flows, _source, _selection, _switch, _ring, _loop, _recorder, _paths)
    problems = [problem for check in of_all for problem in check(settings)]
    problems += [
        replace(problem, path=view.whole(problem.path), first=problem.first and view.whole(problem.first))
        for view in views(settings)
        for check in of_each
        for problem in check(view.settings)
    ]
    problems = list(dict.fromkeys(problems))  # what stands above several rings is wrong once
    if problems:
        talk = "; ".join(f"expected {each.expected}, found {each.found}" for each in problems)
        raise PydanticCustomError("inconsistent", "{talk}", {"talk": talk, "problems": problems})


def _names(settings: Settings) -> Iterator[Problem]:
    channels: dict[str, KeyPath] = {}
    for number, channel in enumerate(settings.channel):
        path: KeyPath = ("channel", number, "name")
        first = channels.setdefault(channel.name, path)
        if first is not path:
            found = f"{quoted(channel.name)} again"
            yield Problem(path, "a channel name used once", found, "rename one of the two", first)
        if channel.name == OTHER_CHANNEL:
            yield Problem(path, "a name of its own", '"other", which means packets of no channel', "rename the channel")
        lines: dict[str, KeyPath] = {}
        for index, line in enumerate(channel.line):
            path = ("channel", number, "line", index, "name")
            first = lines.setdefault(line.name, path)
            if first is not path:
                found = f"{quoted(line.name)} again in channel {quoted(channel.name)}"
                yield Problem(path, "a line name used once", found, 'rename one of the two, for example "B"', first)


def _framings(settings: Settings) -> Iterator[Problem]:
    """Those of channels are known, and none stands for two."""
    for name in settings.framing:
        if name in BUILT_IN or name == NO_FRAMING:
            found = f"{quoted(name)}, which is built in"
            yield Problem(("framing", name), "a name of its own", found, "give the framing another name")
    known = settings.framings
    for number, channel in enumerate(settings.channel):
        if channel.framing != NO_FRAMING and channel.framing not in known:
            yield _unknown(("channel", number, "framing"), "framing", channel.framing, [NO_FRAMING, *known])


def _sessions(settings: Settings) -> Iterator[Problem]:
    for number, channel in enumerate(settings.channel):
        if channel.session is not None and channel.session not in settings.session:
            yield _unknown(("channel", number, "session"), "session", channel.session, list(settings.session))


def _unknown(path: KeyPath, table: str, name: str, known: list[str]) -> Problem:
    nearest = difflib.get_close_matches(name, known, n=1)
    advice = (
        f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(known) or 'none'}; add [{table}.{name}]"
    )
    return Problem(path, f"a {table} that is known", quoted(name), advice)


def _flows(settings: Settings) -> Iterator[Problem]:
    located = located_flows(settings)
    seen: dict[object, KeyPath] = {}
    for path, flow in located:
        first = seen.setdefault(flow.key, path)
        if first is not path:
            advice = "remove one of the two, or tell them apart by group, port, source, interface or vlan"
            yield Problem(path, "each flow configured once", f"{_described(flow)} again", advice, first)
        yield from _flow(settings, path, flow)
    if len(located) > FLOWS_MAXIMUM:
        advice = "split them over several hosts or rings"
        yield Problem(located[FLOWS_MAXIMUM][0], f"at most {FLOWS_MAXIMUM} flows", f"{len(located)}", advice)
    found = interfaces(settings)
    if len(found) > INTERFACES_MAXIMUM:
        expected = f"at most {INTERFACES_MAXIMUM} interfaces"
        yield Problem(("channel",), expected, f"{len(found)}", "capture the others with another ring")


def _flow(settings: Settings, path: KeyPath, flow: Flow) -> Iterator[Problem]:
    group = ipaddress.ip_address(flow.group)
    if flow.source is not None and ipaddress.ip_address(flow.source).version != group.version:
        expected = f"an IPv{group.version} address, as {flow.group} is one"
        yield Problem((*path, "source"), expected, quoted(flow.source), "give group and source of one family")
    kind = settings.source.kind
    if not flow.interface:
        advice = "set interface on the line, or source.interface for every line"
        yield Problem((*path, "interface"), f"an interface, which {kind} needs", "none", advice)
    if kind == "socket" and isinstance(flow.vlan, int):
        advice = "remove vlan and name the interface of that VLAN, or take the afxdp or packet source"
        yield Problem((*path, "vlan"), "no vlan with the socket source, which sees no tag", f"{flow.vlan}", advice)


def _source(settings: Settings) -> Iterator[Problem]:
    source, found = settings.source, interfaces(settings)
    if source.kind == "pcap" and source.file is None:
        yield Problem(("source", "file"), "a capture file, which pcap reads", "none", "set source.file")
    if source.kind == "pcap" and len(found) > 1:
        advice = "remove interface from the lines: all of a file comes from one source"
        yield Problem(("channel",), "lines of one interface with pcap", ", ".join(found), advice)
    if source.effective_kind == "packet" and len(found) * source.fanout > SOCKETS_MAXIMUM:
        expected = f"at most {SOCKETS_MAXIMUM} sockets"
        number = f"{source.fanout} on each of {len(found)} interfaces"
        yield Problem(("source", "fanout"), expected, number, "set a smaller fanout")
    if source.effective_kind == "packet" and source.descriptors * source.frame_size > PACKET_RING_BYTES:
        expected, number = (
            "less than 4 GiB for each packet socket",
            f"{source.descriptors} of {source.frame_size} bytes",
        )
        yield Problem(("source", "descriptors"), expected, number, "set fewer, or frame_size = 2048")


def _selection(settings: Settings) -> Iterator[Problem]:
    """What `select` adds has to come from somewhere, and must leave to the kernel what the kernel lives by."""
    source, path = settings.source, ("source", "select")
    if source.select in (None, "channels"):
        return
    chosen = quoted(source.select)
    if source.kind in ("socket", "synthetic"):
        expected = f'"channels" with {source.kind}, which sees no other packets'
        yield Problem(path, expected, chosen, "remove select, or take the packet source")
    elif source.effective_kind == "afxdp" and source.select == "all":
        found = f"{chosen}, which would take ARP, IGMP and PTP away from the kernel"
        expected = '"channels", "multicast" or "udp" with afxdp'
        yield Problem(path, expected, found, 'copy instead: set kind = "packet" or delivery = "sniff"')
    if source.kind in ("afxdp", "packet") and not any(interfaces(settings)):
        found = f"{chosen} without one"
        yield Problem(path, "source.interface set too", found, "set source.interface to where all else is taken")


def _switch(settings: Settings) -> Iterator[Problem]:
    """A switch's stamps stand in frames, and those of a counter need keyframes, which are no UDP."""
    source, path = settings.source, ("source", "switch_stamps")
    form = quoted(source.switch_stamps)
    if source.switch_stamps == "off":
        return
    if source.kind in ("socket", "synthetic"):
        expected = f'"off" with {source.kind}, which sees no frame of a switch'
        yield Problem(path, expected, form, "remove switch_stamps, or take the afxdp or packet source")
    elif source.switch_stamps in KEYFRAME_FORMS and source.effective_kind == "afxdp":
        expected = "a form without keyframes with afxdp, which takes UDP only"
        advice = 'copy instead: set kind = "packet" or delivery = "sniff", and select = "all"'
        yield Problem(path, expected, f"{form}, whose keyframes are not UDP", advice)
    elif source.switch_stamps in KEYFRAME_FORMS and source.selection != "all":
        expected = 'select = "all", which lets keyframes in'
        yield Problem(path, expected, f"{form} with select = {quoted(source.selection)}", 'set select = "all"')


def _described(flow: Flow) -> str:
    vlan = "" if flow.vlan is None else f" vlan {flow.vlan}"
    group = f"[{flow.group}]" if ":" in flow.group else flow.group
    return f"{group}:{flow.port}{vlan} from {flow.source or 'any sender'} on {flow.interface or 'no interface yet'}"


def _ring(settings: Settings) -> Iterator[Problem]:
    if settings.ring.capacity is not None and settings.ring.hold is not None:
        first = ("ring", "capacity")
        yield Problem(("ring", "hold"), "either capacity or hold", "both", "remove one of the two", first)


def _loop(settings: Settings) -> Iterator[Problem]:
    if settings.loop.realtime and settings.loop.core is None:
        found = f"{settings.loop.realtime} without a core, where it would starve the kernel"
        yield Problem(("loop", "realtime"), "0, or loop.core set too", found, "set loop.core to an isolated core")


def _recorder(settings: Settings) -> Iterator[Problem]:
    recorder = settings.recorder
    if recorder.compression != "zstd" and recorder.compression_level is not None:
        found = f"one for {recorder.compression}"
        yield Problem(("recorder", "compression_level"), "a level for zstd only", found, "remove it")
    if settings.source.kind == "pcap" and recorder.start == "latest":
        found = '"latest", which would leave out what the file gave before'
        yield Problem(("recorder", "start"), '"oldest" with pcap', found, "remove it")
    if recorder.other is False and not settings.channel and interfaces(settings):
        found = "false, so that nothing would be recorded"
        advice = "add a [[channel]], or remove other"
        yield Problem(("recorder", "other"), "true where no channel is configured", found, advice)


def _users(settings: Settings) -> Iterator[Problem]:
    if settings.user.capture == settings.user.record:
        found = f"{quoted(settings.user.record)} for both"
        advice = "name two users: the recorder must not be able to write the ring"
        yield Problem(("user", "record"), "another user than user.capture", found, advice, ("user", "capture"))


def _paths(settings: Settings) -> Iterator[Problem]:
    paths, name = settings.paths, settings.ring.name
    limits = {
        "run_dir": (f"{paths.run_dir}/{name}/holder.sock", SOCKET_PATH_BYTES),
        "shm_dir": (f"{paths.shm_dir}/{name}.ring", 255),
        "hugepage_dir": (f"{paths.hugepage_dir}/{name}.data", 255),
    }
    for key, (path, maximum) in limits.items():
        if (size := len(path.encode())) > maximum:
            advice = f"shorten paths.{key} or ring.name"
            yield Problem(("paths", key), f"{quoted(path)} to have at most {maximum} bytes", f"{size}", advice)
