"""Versions of linuxptp as its programs print them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nanotape.capture.clock.linuxptp_version import LinuxptpVersion, installed_version, parse_version
from nanotape.capture.errors import LinuxptpError


@pytest.mark.parametrize(
    ("printed", "version"),
    [("3.1.1\n", (3, 1)), ("3.1", (3, 1)), ("4.4", (4, 4)), ("4.2-00012-gdeadbee-dirty\n", (4, 2)), ("v4.0", (4, 0))],
)
def test_releases_and_builds_between_them_are_read(printed: str, version: tuple[int, int]) -> None:
    assert parse_version(printed) == LinuxptpVersion(*version)


def test_3_and_4_are_told_apart() -> None:
    assert not LinuxptpVersion(3, 1).is_4
    assert LinuxptpVersion(4, 0).is_4
    assert str(LinuxptpVersion(3, 1)) == "3.1"


@pytest.mark.parametrize("printed", ["", "2.0", "5.1", "1.9.2", "unknown", "4", "ptp4l: option -v"])
def test_another_version_is_refused_with_what_was_found(printed: str) -> None:
    with pytest.raises(LinuxptpError, match=r"ptp4l: expected linuxptp 3\.1 to 4\.x, found '.*'; install"):
        installed_version(run=lambda *_: printed)


def test_linuxptp_that_is_not_installed_is_refused() -> None:
    def absent(_command: Sequence[str], _timeout_s: float) -> str:
        raise FileNotFoundError

    with pytest.raises(LinuxptpError, match="found none; install linuxptp"):
        installed_version(run=absent)
