"""What accepted settings hold: units, defaults, what is derived; frozen, and apart from the rest of nanotape."""

import socket
import subprocess
import sys

import pytest
from pydantic import ValidationError

from nanotape.config import Flow, Settings, flows, loads
from nanotape.config.quantity import Hold
from nanotape.config.show import effective


def test_an_empty_file_gives_the_defaults() -> None:
    settings = loads("")
    assert settings.host == socket.gethostname()[:63]
    assert settings == Settings()
    assert (settings.paths.run_dir, settings.paths.archive) == ("/run/nanotape", "/var/lib/nanotape/archive")
    assert (settings.user.capture, settings.user.record, settings.user.group) == (
        "nanotape",
        "nanotape-record",
        "nanotape",
    )
    assert (settings.source.kind, settings.source.descriptors) == ("afxdp", 65536)
    assert settings.ring.capacity_bytes == 256 << 20
    assert flows(settings) == []


def test_values_are_in_the_smallest_unit() -> None:
    settings = loads(
        """
        [source]
        receive_buffer = "1 MiB"
        synthetic_rate = "2Mpps"
        [recorder]
        flush_interval = "250ms"
        rotate_bytes = 1000000
        [user]
        capture = 1000
        [paths]
        archive = "/data/"
        """
    )
    assert settings.source.receive_buffer == 1 << 20
    assert settings.source.synthetic_rate == 2_000_000
    assert settings.recorder.flush_interval == 250_000_000
    assert settings.recorder.rotate_bytes == 1_000_000
    assert settings.user.capture == "1000"
    assert settings.paths.archive == "/data"


def test_what_is_rotated_and_kept_is_as_it_was_said() -> None:
    settings = loads(
        """
        [recorder]
        rotate_at = ["09:30", "16:00:05"]
        rotate_zone = "America/New_York"
        post_rotate = ["/bin/echo", ""]
        [archive]
        keep_free = "7.5 %"
        max_bytes = "2 TB"
        grace = "0s"
        """
    )
    recorder, archive = settings.recorder, settings.archive
    assert (recorder.rotate_at, recorder.rotate_zone) == (("09:30", "16:00:05"), "America/New_York")
    assert recorder.post_rotate == ("/bin/echo", "")
    assert (archive.keep_free.of(1000), archive.max_bytes, archive.grace) == (75, 2 * 10**12, 0)
    assert (archive.compression_level, archive.post_compact) == (6, ())


@pytest.mark.parametrize(
    ("said", "kept_bytes"),
    [("", 100), ('"0"', 0), ("0", 0), ('"0%"', 0), ('"12.34%"', 123), ('"50 B"', 50), ("50", 50), ('"1 GiB"', 1 << 30)],
)
def test_space_to_keep_free_is_on_unless_turned_off(said: str, kept_bytes: int) -> None:
    settings = loads(f"archive.keep_free = {said}" if said else "")
    assert settings.archive.keep_free.of(1000) == kept_bytes
    assert loads(effective(settings)) == settings


def test_each_ring_takes_the_recorders_keys_one_by_one() -> None:
    settings = loads(
        """
        [recorder]
        rotate_at = ["09:30"]
        rotate_zone = "Asia/Tokyo"
        [[ring]]
        name = "a"
        [ring.recorder]
        rotate_at = ["16:00"]
        [[ring]]
        name = "b"
        """
    )
    a, b = (settings.of_ring(name).recorder for name in "ab")
    assert (a.rotate_at, a.rotate_zone) == (("16:00",), "Asia/Tokyo")
    assert (b.rotate_at, b.rotate_zone) == (("09:30",), "Asia/Tokyo")


@pytest.mark.parametrize(
    ("ring", "capacity_bytes"),
    [
        ("capacity = 65536", 65536),
        ("capacity = 65537", 131072),
        ('capacity = "1 GiB"', 1 << 30),
        ('hold = "10s at 2Mpps of 242B"', 8 << 30),
        ('hold = "1ms at 1kpps"', 65536),
    ],
)
def test_the_ring_has_a_power_of_two_of_bytes(ring: str, capacity_bytes: int) -> None:
    assert loads(f"[ring]\n{ring}").ring.capacity_bytes == capacity_bytes


def test_hold_is_kept_as_it_was_said() -> None:
    assert loads('[ring]\nhold = "10s at 2Mpps"').ring.hold == Hold(10**10, 2 * 10**6, None)


@pytest.mark.parametrize(("size", "log2"), [("auto", 0), ("2 MiB", 21), ("1 GiB", 30)])
def test_page_sizes_are_given_to_the_native_side_as_logarithms(size: str, log2: int) -> None:
    assert loads(f'[ring]\npage_size = "{size}"').ring.page_bytes_log2 == log2


@pytest.mark.parametrize(
    ("loop", "spins"),
    [("", False), ("core = 0", True), ('core = 0\nidle = "sleep"', False), ('idle = "spin"', True)],
)
def test_the_loop_spins_when_asked_or_when_it_has_a_core(loop: str, spins: bool) -> None:
    assert loads(f"[loop]\n{loop}").loop.spins is spins


def test_flows_are_flat_in_the_order_of_the_file() -> None:
    settings = loads(
        """
        [source]
        interface = "eth1"
        [[channel]]
        name = "one"
        feed = "f"
        framing = "moldudp64"
        role = "snapshot"
        line = [
            { group = "239.0.0.1", port = 1 },
            { name = "B", interface = "eth2", vlan = 7, group = "239.0.0.2", port = 2 },
        ]
        [[channel]]
        name = "two"
        feed = "g"
        line = [{ group = "FF3E::8000:1", port = 3, source = "fd00::01" }]
        """
    )
    assert flows(settings) == [
        Flow("eth1", None, "239.0.0.1", 1, None, "one", "A", "f", "moldudp64", "snapshot"),
        Flow("eth2", 7, "239.0.0.2", 2, None, "one", "B", "f", "moldudp64", "snapshot"),
        Flow("eth1", None, "ff3e::8000:1", 3, "fd00::1", "two", "A", "g", "none", "incremental"),
    ]


def test_a_synthetic_source_needs_no_interface() -> None:
    channel = '[[channel]]\nname = "c"\nfeed = "f"\nline = [{ group = "239.0.0.1", port = 1 }]'
    assert flows(loads(f'[source]\nkind = "synthetic"\n{channel}'))[0].interface == "synthetic"


def test_settings_do_not_change() -> None:
    settings = loads("")
    with pytest.raises(ValidationError, match="frozen"):
        settings.ring.name = "other"
    assert isinstance(settings.channel, tuple)


def test_settings_made_in_code_are_checked_like_files() -> None:
    with pytest.raises(ValidationError, match="either capacity or hold"):
        Settings.model_validate({"ring": {"capacity": 65536, "hold": "1s at 1pps"}})


def test_the_configuration_loads_nothing_of_the_rest() -> None:
    code = (
        "import sys, nanotape.config, nanotape.config.show;"
        "ours = [name for name in sys.modules if name.startswith('nanotape.')];"
        "print([name for name in ours if not name.startswith('nanotape.config')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
