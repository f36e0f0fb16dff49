"""One measured run of the real recorder, in a process of its own: all of a ring that is full already into an archive.

`python -m nanotape.cli.bench.record_run SHM RING ARCHIVE COMPRESSION CORE` prints one JSON object; COMPRESSION is
`none`, `lz4`, `zstd:LEVEL`, or `floor:LEVEL`: zstd alone, on the buffers that the recorder would give it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from nanotape.capture.ring import Ring
from nanotape.storage.archive import Archive
from nanotape.storage.encoder import Compression
from nanotape.storage.packets import PacketMapper
from nanotape.storage.recorder import Recorder, RecorderOptions

_ROWS, _BYTES = RecorderOptions().batch_rows, RecorderOptions().batch_bytes


def _record(ring: Ring, archive: Path, compression: Compression) -> Callable[[], dict[str, Any]]:
    """A recorder as a service has it, but for its compression."""
    reader = ring.reader("oldest")
    recorder = Recorder(ring, reader, Archive.create(archive), RecorderOptions(compression=compression))

    def run() -> dict[str, Any]:
        recorder.begin()
        while recorder.step():
            pass
        recorder.finish()
        totals = recorder.totals
        return {"rows": totals.recorded, "lost": totals.lost, "write_failures": totals.write_failures}

    return run


def _floor(ring: Ring, level: int) -> Callable[[], dict[str, Any]]:
    """Reads and maps first; what is measured is the compression of each buffer, and nothing else."""
    mapper, codec = PacketMapper(ring), pa.Codec("zstd", compression_level=level)
    batches = []
    with ring.reader("oldest") as reader:
        while (batch := reader.read(_ROWS, _BYTES)) is not None and batch.num_rows:
            batches.append(mapper.map(batch))
    buffers = [
        buffer for batch in batches for column in batch.columns for buffer in column.buffers() if buffer and buffer.size
    ]

    def run() -> dict[str, Any]:
        size = sum(codec.compress(buffer).size for buffer in buffers)
        return {
            "rows": sum(batch.num_rows for batch in batches),
            "lost": 0,
            "write_failures": 0,
            "compressed_bytes": size,
        }

    return run


def main() -> None:
    """Measures, and prints."""
    shm, name, archive, how, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    kind, _, level = how.partition(":")
    with Ring.open(name, shm) as ring:
        if kind == "floor":
            run = _floor(ring, int(level))
        else:
            run = _record(ring, Path(archive), Compression(kind, int(level) if level else None))  # type: ignore[arg-type]
        wall, cpu = time.perf_counter(), time.process_time()
        found = run()
        found |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
