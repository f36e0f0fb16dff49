"""A veth has no clock and no stamp configuration: what the kernel really says of one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from namespaces import missing_for_namespaces, namespace_pair

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(missing_for_namespaces() is not None, reason=str(missing_for_namespaces())),
]
_ASK = """
import sys
from nanotape.capture.clock.hwtstamp import read_hwtstamp
from nanotape.capture.clock.phc import stamp_ability
found = stamp_ability(sys.argv[1])
print(read_hwtstamp(sys.argv[1]).line(), found.phc, found.stamps_all, "rx-software" in found.so_timestamping, sep="|")
"""


def test_a_veth_has_software_stamps_no_clock_and_no_configuration() -> None:
    with namespace_pair() as pair:
        side = pair.right
        said = side.run(sys.executable, "-c", _ASK, side.interface).stdout.strip().split("|")
        before = side.run("ethtool", "-T", side.interface).stdout
        assert said == [
            f"{side.interface}: hardware stamps unknown: its driver has none to tell of", "None", "False", "True",
        ]  # fmt: skip
        assert "PTP Hardware Clock: none" in before
        assert subprocess.run([sys.executable, "-c", _ASK, side.interface], capture_output=True).returncode != 0
