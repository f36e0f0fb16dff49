"""The settings of switch stamps, and the lines that refuse what cannot work."""

import pytest
from config_mistakes import CHANNEL, ETH1, LINE, lines

from nanotape.config import loads
from nanotape.config.show import effective
from nanotape.config.switch import SwitchSettings

FLOWS = CHANNEL + LINE


def test_nothing_is_looked_for_unless_it_is_asked_for() -> None:
    assert loads(ETH1 + FLOWS).source.switch == SwitchSettings("off", 0, 10**9)


def test_the_settings_come_in_nanoseconds_and_are_shown_as_they_were_written() -> None:
    keys = 'switch_stamps = "arista-7130"\nswitch_tai = "37s"\nswitch_plausible = "250ms"\n'
    settings = loads(ETH1 + keys + FLOWS)
    assert settings.source.switch == SwitchSettings("arista-7130", 37 * 10**9, 250 * 10**6)
    shown = effective(settings)
    assert 'switch_tai = "37s"' in shown.replace('"37 s"', '"37s"')
    assert loads(shown).source.switch == settings.source.switch
    assert loads(effective(loads(ETH1 + FLOWS))).source.switch == SwitchSettings()


@pytest.mark.parametrize("value", ['"37"', '"0s"', "37", '"2h"', '"on"', "true"])
def test_a_tai_offset_that_is_none_is_refused(value: str) -> None:
    (line,) = lines(ETH1 + f"switch_tai = {value}\n" + FLOWS)
    assert 'expected "off", or what TAI is ahead of UTC' in line


@pytest.mark.parametrize("form", ["exalink", "arista-7150"])
@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("", 'set kind = "packet"'),
        ('select = "udp"\n', 'set kind = "packet"'),
        ('kind = "packet"\n', 'set select = "all"'),
        ('delivery = "sniff"\nselect = "udp"\n', 'set select = "all"'),
    ],
)
def test_forms_with_keyframes_are_refused_where_these_would_not_be_taken(form: str, source: str, advice: str) -> None:
    (line,) = lines(ETH1 + source + f'switch_stamps = "{form}"\n' + FLOWS)
    assert form in line
    assert advice in line


@pytest.mark.parametrize("form", ["exalink", "arista-7150"])
@pytest.mark.parametrize(
    "source",
    ['kind = "packet"\nselect = "all"\n', 'delivery = "sniff"\nselect = "all"\n', 'kind = "pcap"\nfile = "/a"\n'],
)
def test_forms_with_keyframes_are_taken_where_all_frames_are(form: str, source: str) -> None:
    assert lines(ETH1 + source + f'switch_stamps = "{form}"\n' + FLOWS) == ()


@pytest.mark.parametrize("form", ["auto", "ixia"])
def test_a_socket_sees_no_frame_and_so_no_stamp(form: str) -> None:
    (line,) = lines(ETH1 + f'kind = "socket"\nswitch_stamps = "{form}"\n' + FLOWS)
    assert 'expected "off" with socket, which sees no frame of a switch' in line
    assert lines(ETH1 + f'switch_stamps = "{form}"\n' + FLOWS) == ()
