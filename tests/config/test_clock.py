"""`[clock]`: what cannot go together is refused with line and remedy; durations are nanoseconds."""

import pytest
from config_mistakes import ETH1, lines

from nanotape.config import loads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[clock]\nmode = "manage"',
            "x.toml:1: clock.interfaces: expected an interface for ptp4l to manage, found none; "
            'name where the master is heard: interfaces = ["eth1"]',
        ),
        (
            '[clock]\npps = "nmea"',
            "x.toml:1: clock.nmea_port: expected the serial port of the nmea source, found none; "
            'name its serial port: nmea_port = "/dev/ttyS0"',
        ),
        (
            '[clock]\nlocked_within = "1ms"\nlost_beyond = "1us"',
            "x.toml:3: clock.lost_beyond: expected at least clock.locked_within, 1ms, found 1us "
            "(first at x.toml:2: clock.locked_within); make it larger",
        ),
        (
            '[ring]\nname = "clock"',
            'x.toml:2: ring.name: expected another name, found "clock", where the state of clocks lies; rename it',
        ),
        (
            '[clock]\nmode = "mange"',
            'x.toml:2: clock.mode: expected one of "watch", "manage", "none", found "mange"; did you mean "manage"?',
        ),
        (
            "[clock]\ndomain = 256",
            "x.toml:2: clock.domain: expected a whole number from 0 to 255, found 256; leave it out for the default, 0",
        ),
    ],
)
def test_what_cannot_be_is_refused(text: str, expected: str) -> None:
    told = lines(text)
    assert len(told) == 1
    assert told[0] == expected


def test_a_managed_clock_is_as_written() -> None:
    clock = loads(
        f'{ETH1}[clock]\nmode = "manage"\ninterfaces = ["eth1", "eth2"]\ndomain = 24\nlocked_within = "500ns"\n'
        'holdover_limit = "2h"\nfree_running = true\nsockets = ["/run/ptp4lro"]\n'
    ).clock
    assert (clock.interfaces, clock.domain, clock.locked_within) == (("eth1", "eth2"), 24, 500)
    assert (clock.holdover_limit, clock.sockets) == (7200 * 10**9, ("/run/ptp4lro",))
    assert loads(ETH1).clock.mode == "watch"
