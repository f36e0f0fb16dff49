"""What is shown is true: it loads to the same settings; the schema has every key, and the page has the schema's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanotape.config
from nanotape.config import load, loads
from nanotape.config.reference import replaced, rows, table
from nanotape.config.show import effective, effective_json, json_schema, summary, summary_text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
EXAMPLES = sorted((Path(nanotape.config.__file__).parent / "examples").glob("*.toml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_fine_and_shows_as_itself(file: Path) -> None:
    found = load(file)
    assert loads(effective(found)) == found
    assert summary(found)["interfaces"]
    assert "nothing to capture" not in summary_text(found)
    assert file.read_text(encoding="utf-8").startswith("# A ")


def test_the_examples_are_what_they_say() -> None:
    found = {file.stem: load(file) for file in EXAMPLES}
    assert set(found) == {"cloud", "colo", "lab", "laptop", "replay", "tap", "two-rings", "venue"}
    tap, cloud, replay = (found[name].source for name in ("tap", "cloud", "replay"))
    assert (tap.effective_kind, tap.join, tap.promiscuous, tap.selection) == ("afxdp", "none", True, "multicast")
    assert (cloud.effective_kind, cloud.selection, cloud.fanout) == ("packet", "udp", 2)
    assert (replay.effective_kind, replay.selection, replay.speed) == ("pcap", "all", 0)
    assert all(found[name].records_other for name in ("tap", "cloud", "replay"))
    laptop, lab, colo = found["laptop"], found["lab"], found["colo"]
    assert (laptop.source.kind, laptop.source.interface, laptop.ring.hugepages) == ("socket", "lo", "off")
    assert (lab.source.kind, lab.source.zerocopy) == ("afxdp", "off")
    assert (colo.ring.hugepages, colo.source.umem_hugepages, colo.source.zerocopy) == ("require", "require", "prefer")
    assert colo.loop.core is not None
    assert len({line.interface for line in colo.channel[0].line}) == 2
    venue = found["venue"]
    assert [len(channel.line) for channel in venue.channel] == [1, 2, 2, 2]
    assert {channel.session for channel in venue.channel} == {None, "us-options"}
    two = [found["two-rings"].of_ring(name) for name in found["two-rings"].rings]
    assert [(each.ring.name, each.source.interface, each.loop.core) for each in two] == [
        ("a", "ens1f0np0", 2),
        ("b", "ens1f1np1", 3),
    ]
    assert all([line.name for channel in each.channel for line in channel.line] for each in two)


def test_each_value_says_where_it_came_from() -> None:
    found = loads(
        '[ring]\nname = "x"\n[[channel]]\nname = "c"\nfeed = "f"\n'
        'line = [\n{ group = "239.0.0.1", port = 1, interface = "e" }]',
        "y.toml",
    )
    shown = effective(found).splitlines()
    assert shown[0] == "# in force: y.toml"
    assert 'name = "x"  # y.toml:2' in shown
    assert 'hugepages = "prefer"  # default' in shown
    assert "# capacity is not set  # default" in shown
    assert "port = 1  # y.toml:7" in shown
    facts = effective_json(found)
    assert facts["files"] == ["y.toml"]
    assert facts["origins"]["ring.name"] == "y.toml:2"
    assert facts["origins"]["ring.capacity"] == "default"
    assert facts["origins"]["channel[0].line[0].port"] == "y.toml:7"
    assert facts["settings"]["recorder"]["flush_interval"] == "1s"


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": st.text(min_size=1, max_size=15).filter(lambda text: text.isprintable() and text == text.strip()),
            "recorder.rotate_bytes": st.integers(64 << 10, 1 << 40),
            "recorder.flush_interval": st.integers(10, 3600_000).map(lambda number: f"{number}ms"),
            "recorder.rotate_at": st.lists(st.sampled_from(["00:00", "09:30", "16:00:01"]), unique=True),
            "recorder.post_rotate": st.lists(st.sampled_from(["/x", "/y \u00e9\\\" 'z'"]), max_size=3),
            "archive.keep_free": st.sampled_from(["10%", "0", "0.0001%", "5 GiB", 7]),
            "recorder.compression": st.sampled_from(["zstd", "lz4", "none"]),
            "ring.hold": st.tuples(st.integers(1, 10**6), st.integers(1, 10**4)).map(
                lambda pair: f"{pair[0]}us at {pair[1]}kpps"
            ),
            "source.synthetic_rate": st.integers(0, 10**9),
            "source.speed": st.integers(1000, 10**12).map(lambda ppm: f"{ppm // 10**6}.{ppm % 10**6:06d}x"),
            "recorder.other": st.booleans(),
            "loop.seccomp": st.sampled_from(["count", "kill", "off"]),
            "loop.batch": st.integers(1, 256),
            "loop.prefetch": st.integers(0, 64),
        },
    )
)
def test_what_is_in_force_loads_to_the_same_settings(values: dict[str, object]) -> None:
    found = loads("\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()))
    assert loads(effective(found)) == found


def test_the_schema_describes_every_key_and_allows_no_other() -> None:
    schema = json_schema()
    tables = [schema, *schema["$defs"].values()]
    assert all(each["additionalProperties"] is False for each in tables)
    for each in tables:
        for key, field in each["properties"].items():
            assert field.get("description"), key
            assert field.get("default", "") is not None
    assert json.loads(json.dumps(schema)) == schema


def test_a_key_is_described_by_the_docstring_below_it_inherited_or_not() -> None:
    tables = json_schema()["$defs"]
    assert tables["Line"]["properties"]["port"]["description"] == "UDP destination port."
    named = "Name of the ring, by which readers open it; 63 bytes at most."
    assert [tables[each]["properties"]["name"]["description"] for each in ("RingSettings", "RingTable")] == [named] * 2


def test_a_configuration_is_loaded_without_reading_the_sources_of_its_tables() -> None:
    """Which takes a fifth of the time that all of it takes, in each process that starts."""
    program = "import linecache, nanotape.config; print([name for name in linecache.cache if 'nanotape' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_schema_takes_what_toml_carries_not_what_the_code_holds() -> None:
    properties = json_schema()["$defs"]["RecorderSettings"]["properties"]
    assert properties["flush_interval"]["default"] == "1s"
    assert properties["flush_interval"]["type"] == "string"
    assert properties["fsync"]["enum"] == ["never", "interval", "batch"]
    assert properties["other"]["type"] == "boolean"
    source = json_schema()["$defs"]["SourceSettings"]["properties"]
    assert source["speed"]["default"] == "recorded"
    assert source["select"]["enum"] == ["channels", "multicast", "udp", "all"]
    assert json_schema()["$defs"]["Channel"]["required"] == ["name", "feed", "line"]


def test_the_page_lists_exactly_the_keys_of_the_schema() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")] == [
        key for key, *_ in rows()
    ]
    assert table() in page, "renew it: python -m nanotape.config.reference docs/configuration.md"
    assert replaced(page) == page


def test_every_key_that_settings_have_is_a_row() -> None:
    shown = effective_json(
        loads(
            '[source]\ninterface = "e"\n[session.NAME]\n'
            '[[channel]]\nname = "c"\nfeed = "f"\nline = [{ group = "239.0.0.1", port = 1 }]\n'
        )
    )
    keys = {key.strip("`") for key, *_ in rows()} - {"ring[].source", "ring[].loop", "ring[].recorder"}
    framing = {key for key in keys if key.startswith("framing.NAME.")}  # of which most may be tables or not set
    assert {"framing.NAME.header", "framing.NAME.sequence.offset", "framing.NAME.heartbeat_next"} <= framing
    assert {key.replace("[0]", "[]") for key in shown["origins"]} == keys - framing - {"channels_from"}


def test_the_summary_says_what_a_configuration_amounts_to() -> None:
    assert summary_text(loads("", "x.toml")) == (
        "x.toml: fine: 0 channels, 0 flows, source afxdp, ring main of 256 MiB (hugepages prefer); "
        "nothing to capture until a [[channel]] is added"
    )
