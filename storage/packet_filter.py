"""tcpdump's filters on frames in memory, compiled by libpcap, which is loaded when a filter is asked for.

Needs libpcap on the machine and no native code of ours. A filter that libpcap refuses is told in its own words.
"""

import ctypes
import ctypes.util
from collections.abc import Iterable, Sequence
from functools import cache

from nanotape.storage.errors import FilterError

_SNAPLEN = 262_144
_NETMASK_UNKNOWN = 0xFFFFFFFF
_LINKTYPE_RAW = 101
_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.A.dylib")
_REJECTS_ALL = "expression rejects all packets"


class _Program(ctypes.Structure):
    """struct bpf_program."""

    _fields_ = [("bf_len", ctypes.c_uint), ("bf_insns", ctypes.c_void_p)]


class _PacketHeader(ctypes.Structure):
    """struct pcap_pkthdr."""

    _fields_ = [
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("caplen", ctypes.c_uint32),
        ("len", ctypes.c_uint32),
    ]


class PacketFilter:
    """One filter for frames of one link type."""

    def __init__(self, text: str, link_type: int) -> None:
        """Compiles it.

        Args:
            text: In tcpdump's language; see pcap-filter(7).
            link_type: LINKTYPE_* of the frames.

        Raises:
            FilterError: libpcap refuses it, or is not here.
        """
        self._library = _library()
        self._program = _Program()
        self._rejects_all = False
        # libpcap's own numbers are those of files, but for raw IP, where systems differ.
        number = self._library.pcap_datalink_name_to_val(b"RAW") if link_type == _LINKTYPE_RAW else link_type
        handle = self._library.pcap_open_dead(number, _SNAPLEN)
        if not handle:
            raise FilterError("libpcap: out of memory")
        try:
            if self._library.pcap_compile(handle, ctypes.byref(self._program), text.encode(), 1, _NETMASK_UNKNOWN):
                words = self._library.pcap_geterr(handle).decode(errors="replace").strip()
                self._program = _Program()
                if _REJECTS_ALL not in words:
                    raise FilterError(f"filter {text!r}: expected a filter as tcpdump takes it, libpcap says: {words}")
                self._rejects_all = True  # on this link type: "ether host" on raw IP
        finally:
            self._library.pcap_close(handle)

    def __del__(self) -> None:
        """Gives the program back to libpcap."""
        if getattr(self, "_program", None) is not None and self._program.bf_insns:
            self._library.pcap_freecode(ctypes.byref(self._program))

    def matches(self, frames: Iterable[bytes], wire_lengths: Sequence[int]) -> list[bool]:
        """Says of each frame whether it passes.

        Args:
            frames: What was captured of each.
            wire_lengths: Bytes of each on the wire.
        """
        if self._rejects_all:
            return [False] * len(wire_lengths)
        header = _PacketHeader()
        program, pointer = ctypes.byref(self._program), ctypes.byref(header)
        passes = self._library.pcap_offline_filter
        found = []
        for frame, wire_length in zip(frames, wire_lengths, strict=True):
            header.caplen, header.len = len(frame), wire_length
            found.append(passes(program, pointer, frame) != 0)
        return found


@cache
def _library() -> ctypes.CDLL:
    for name in (*_NAMES, ctypes.util.find_library("pcap")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            return _declared(library)
    raise FilterError("filter: libpcap expected on this machine, found none; install it (Debian: libpcap0.8)")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    handle, program = ctypes.c_void_p, ctypes.POINTER(_Program)
    library.pcap_open_dead.argtypes, library.pcap_open_dead.restype = [ctypes.c_int, ctypes.c_int], handle
    library.pcap_datalink_name_to_val.argtypes = [ctypes.c_char_p]
    library.pcap_compile.argtypes = [handle, program, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32]
    library.pcap_geterr.argtypes, library.pcap_geterr.restype = [handle], ctypes.c_char_p
    library.pcap_close.argtypes, library.pcap_close.restype = [handle], None
    library.pcap_freecode.argtypes, library.pcap_freecode.restype = [program], None
    library.pcap_offline_filter.argtypes = [program, ctypes.POINTER(_PacketHeader), ctypes.c_char_p]
    return library
