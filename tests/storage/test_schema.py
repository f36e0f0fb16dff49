from pathlib import Path

import pyarrow as pa

from nanotape.storage.schema import NAME, NANOTAPE_SCHEMA, TIMESTAMP, packets_schema

GOLDEN = Path(__file__).parent / "packets_schema_v1.txt"


def described(schema: pa.Schema) -> str:
    lines = [f"{key.decode()} = {value.decode()}" for key, value in sorted(schema.metadata.items())]
    for field in schema:
        lines.append(f"{field.name}: {field.type}{'' if field.nullable else ' not null'}")
        lines += [f"    {key.decode()}: {value.decode()}" for key, value in sorted(field.metadata.items())]
    return "\n".join(lines) + "\n"


def test_the_packets_schema_is_the_one_that_archives_were_written_with() -> None:
    """A difference means that old archives read differently: raise NANOTAPE_SCHEMA and add a file beside this one."""
    assert described(packets_schema()) == GOLDEN.read_text()


def test_a_change_of_type_is_noticed() -> None:
    changed = packets_schema().set(0, packets_schema().field("ts").with_type(pa.int64()))
    assert described(changed) != GOLDEN.read_text()


def test_stamps_keep_nanoseconds_and_zone_and_names_are_dictionaries() -> None:
    schema = packets_schema()
    assert NANOTAPE_SCHEMA == 1
    assert [field.name for field in schema if field.type == TIMESTAMP] == ["ts", "ts_switch", "ts_send"]
    assert {field.name for field in schema if field.type == NAME} == {
        "ts_kind", "host", "ring", "interface", "ring_id", "feed", "channel", "line", "src_ip", "dst_ip",
        "feed_session", "feed_key", "feed_status",
    }  # fmt: skip


def test_every_nullable_field_says_what_null_means() -> None:
    assert [field.name for field in packets_schema() if field.nullable and b"null" not in field.metadata] == []
