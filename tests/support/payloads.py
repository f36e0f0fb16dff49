"""UDP payloads of capture files, by flow, as discover would have kept them."""

from pathlib import Path

from frame_model import decode
from pcap_file import LINK_FLAGS, read_pcap

from nanotape.capture.framing_reading import PayloadSample


def real_flows(path: Path, kept_bytes: int) -> list[tuple[str, list[PayloadSample]]]:
    """Each `group:port` of a file with its payloads' beginnings, in order; what is no UDP is left out."""
    file = read_pcap(path)
    flows: dict[str, list[PayloadSample]] = {}
    for captured in file.frames:
        decoded = decode(captured.frame, captured.wire_length, LINK_FLAGS.get(file.link_type, 0))
        if decoded.dst_ip is None or decoded.dst_port is None or not decoded.payload:
            continue
        sample = PayloadSample(captured.ts_ns, decoded.payload_len, decoded.payload[:kept_bytes])
        flows.setdefault(f"{decoded.dst_ip}:{decoded.dst_port}", []).append(sample)
    return list(flows.items())
