"""The limits that the configuration enforces are those of the native headers."""

import re
from pathlib import Path

import pytest

from nanotape.config import checks, measures, network, quantity, settings, source
from nanotape.config.channel import FRAMING_BYTES, Channel, Line, Role
from nanotape.config.framing import BUILT_IN
from nanotape.config.rules import FILE_PATH_BYTES, Text, Whole

NATIVE = Path(__file__).resolve().parents[2] / "native"


def defined(header: str, name: str) -> int:
    text = (NATIVE / header).read_text(encoding="utf-8")
    found = re.search(rf"#define {name} \(?(0x[0-9A-F]+|\d+)(?:ull|u)?(?: << (\d+)\))?", text)
    assert found, name
    return int(found[1], 0) << int(found[2] or 0)


def room(field: str) -> int:
    """Bytes of text in a flow's field, without the NUL."""
    text = (NATIVE / "ring" / "flow.h").read_text(encoding="utf-8")
    found = re.search(rf"char {field}\[(\d+)\];", text)
    assert found, field
    return int(found[1]) - 1


@pytest.mark.parametrize(
    ("model", "key", "field"), [(Channel, "name", "channel"), (Channel, "feed", "feed"), (Line, "name", "line")]
)
def test_names_fit_the_flow_table(model: type[Channel | Line], key: str, field: str) -> None:
    (rule,) = (each for each in model.model_fields[key].metadata if isinstance(each, Text))
    assert rule.maximum == room(field)


def test_words_fit_the_flow_table() -> None:
    assert room("framing") == FRAMING_BYTES
    assert max(len(word) for word in BUILT_IN) <= FRAMING_BYTES
    assert max(len(word) for word in Role.__args__) <= room("role")  # type: ignore[attr-defined]
    assert room("interface") == network.INTERFACE_BYTES


def test_numbers_agree() -> None:
    assert defined("ring/layout.h", "NT_RING_FLOWS_MAX") - 1 == checks.FLOWS_MAXIMUM
    assert defined("ring/layout.h", "NT_RING_CAPACITY_MIN") == settings.RING_MINIMUM_BYTES
    assert defined("ring/shape.h", "NT_RING_CAPACITY_MAX") == settings.RING_MAXIMUM_BYTES
    assert defined("ring/layout.h", "NT_RECORD_HEADER_BYTES") == quantity.RECORD_HEADER_BYTES
    assert defined("ring/layout.h", "NT_RING_ALIGNMENT") == quantity.RECORD_ALIGNMENT_BYTES
    assert defined("plan/plan.h", "NT_PLAN_SOURCES_MAX") == checks.INTERFACES_MAXIMUM
    assert defined("source/synthetic.h", "NT_SYNTHETIC_FRAME_MIN") == measures.FRAME_MINIMUM_BYTES
    assert defined("source/synthetic.h", "NT_SYNTHETIC_FRAME_MAX") == measures.FRAME_MAXIMUM_BYTES
    assert defined("ring/layout.h", "NT_RING_SOURCES_MAX") == checks.SOCKETS_MAXIMUM
    assert defined("plan/plan.h", "NT_PLAN_AS_RECORDED") == measures.AS_RECORDED_PPM
    plan = (NATIVE / "plan" / "plan.h").read_text(encoding="utf-8")
    assert f"char holder_socket[{checks.SOCKET_PATH_BYTES + 1}];" in plan
    assert f"char file[{FILE_PATH_BYTES + 1}];" in plan


def whole(model: type[source.LoopSettings | source.SourceSettings], key: str) -> Whole:
    return next(rule for rule in model.model_fields[key].metadata if isinstance(rule, Whole))


def test_the_loop_takes_what_its_headers_allow() -> None:
    assert whole(source.LoopSettings, "batch").maximum == defined("source/source.h", "NT_BATCH_PACKETS")
    assert whole(source.LoopSettings, "prefetch").maximum == defined("source/source.h", "NT_PREFETCH_MAX")
    assert whole(source.SourceSettings, "descriptors").minimum == defined("source/afxdp.h", "NT_AFXDP_FRAMES_MIN")
