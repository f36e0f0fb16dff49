"""How fast an archive answers, beside tcpdump and tshark on the same packets, and what it takes on the disk.

`archive_bench.py FOLDER [PACKETS]`: makes a pcap of simulated ITCH there, imports and compacts it, and asks. Prints a
page of Markdown: medians of interleaved repetitions, with the steal time of the run beside them. `make bench-archive`.
"""

import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from simulated_packets import START_NS, Feed, batches, write_pcap

NANOTAPE = [sys.executable, "-m", "nanotape.cli.main"]
REPETITIONS = 3
TSHARK_SHARE = 20  # tshark reads a twentieth of the packets, and its time less its start is multiplied: hours otherwise
RATE = 5_000.0  # packets a second and line: 10 million are some minutes


def main(folder: Path, packets: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pcap, part, archive = folder / "all.pcap", folder / "part.pcap", folder / "archive"
    shutil.rmtree(archive, ignore_errors=True)
    feed = Feed(packets=packets, rate=RATE)
    count = write_pcap(pcap, batches(feed))
    write_pcap(part, batches(Feed(packets=packets // TSHARK_SHARE, rate=RATE)))
    steal = steal_seconds()
    begin = time.perf_counter()
    spent = {"import": timed([*NANOTAPE, "import", str(pcap), "--to", str(archive), "--config", str(config(folder))])}
    for level in (6, 8):
        copy = folder / f"level-{level}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(archive, copy)
        spent[f"compact, level {level}"] = timed(
            [*NANOTAPE, "compact", str(copy), "--level", str(level), "--grace", "0"]
        )
    sizes = compressed(pcap) | {f"archive, level {n}": size_of(folder / f"level-{n}" / "packets") for n in (6, 8)}
    answers = questions(folder / "level-8", pcap, part, count)
    wall = time.perf_counter() - begin
    tell(count, spent, sizes, answers, (steal_seconds() - steal) / (wall * (os.cpu_count() or 1)))


def config(folder: Path) -> Path:
    """Channels of the simulated feed."""
    lines = ['[source]\nkind = "pcap"\nfile = "/dev/null"\n']
    for channel in range(Feed.channels):
        lines.append(f'[[channel]]\nname = "itch-{channel + 1}"\nfeed = "itch"\n')
        for name, line in (("A", 0), ("B", 1)):
            lines.append(
                f'[[channel.line]]\nname = "{name}"\ngroup = "239.192.{line}.{channel}"\nport = {30000 + channel}\n'
            )
    path = folder / "bench.toml"
    path.write_text("".join(lines))
    return path


def questions(archive: Path, pcap: Path, part: Path, count: int) -> dict[str, dict[str, float]]:
    """Seconds of each question by each tool: the median of interleaved repetitions."""
    middle = START_NS + 30 * 10**9
    minute = (
        "SELECT count(*), sum(wire_len) FROM packets WHERE channel = 'itch-2' "
        f"AND ts >= instant({middle}) AND ts < instant({middle + 60 * 10**9})"
    )
    seconds = "SELECT ns(ts) // 1000000000 AS s, channel, count(*) FROM packets GROUP BY ALL ORDER BY ALL"
    asked: dict[str, tuple[list[str], str, list[str]]] = {
        "one channel's minute": (
            [minute],
            "udp and dst port 30001",
            ["-Y", "udp.dstport==30001", "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len"],
        ),
        "packets a second and channel": (
            [seconds], "", ["-T", "fields", "-e", "frame.time_epoch", "-e", "udp.dstport"],
        ),
        "top talkers": (
            ["--name", "talkers"], "", ["-q", "-z", "conv,udp"],
        ),
    }  # fmt: skip
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(REPETITIONS):
        for name, (query, expression, fields) in asked.items():
            tools: dict[str, Callable[[], float]] = {
                "nanotape query": lambda query=query: timed([*NANOTAPE, "query", str(archive), *query]),
                "tcpdump -r": lambda expression=expression: timed(["tcpdump", "-nr", str(pcap), *expression.split()]),
                "tcpdump -r, TZ set": lambda expression=expression: timed(
                    ["tcpdump", "-nr", str(pcap), *expression.split()], {"TZ": "UTC"}
                ),
                "tshark": lambda fields=fields: tshark_seconds(part, fields),
            }
            for tool, run in tools.items():
                found.setdefault(name, {}).setdefault(tool, []).append(run())
    return {name: {tool: statistics.median(each) for tool, each in tools.items()} for name, tools in found.items()}


def tshark_seconds(part: Path, fields: list[str]) -> float:
    """Of all packets: its start once, and the rest as often as the part fits."""
    start = timed(["tshark", "-nr", str(part), "-c", "1", *fields])
    return start + TSHARK_SHARE * (timed(["tshark", "-nr", str(part), *fields]) - start)


def timed(command: list[str], more: dict[str, str] | None = None) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "TZ"} | (more or {})
    begin = time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return time.perf_counter() - begin


def compressed(pcap: Path) -> dict[str, int]:
    target = pcap.with_suffix(".zst")
    subprocess.run(["zstd", "-q", "-f", "-3", str(pcap), "-o", str(target)], check=True)
    return {"pcap": pcap.stat().st_size, "zstd -3 of the pcap": target.stat().st_size}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def steal_seconds() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def tell(
    count: int, spent: dict[str, float], sizes: dict[str, int], answers: dict[str, dict[str, float]], steal: float
) -> None:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{count:,} packets of simulated ITCH, {Feed.channels} channels on lines A and B, {RATE:,.0f} packets/s a "
        f"line; {platform.machine()}, {os.cpu_count()} cores, kernel {platform.release()}; steal {steal:.1%}; "
        f"medians of {REPETITIONS}; tshark read 1/{TSHARK_SHARE} of them, its time less its start is multiplied.\n"
    )
    print("| question | nanotape query | tcpdump -r | the same, TZ set | tshark | times faster |")
    print("|---|---|---|---|---|---|")
    for name, tools in answers.items():
        ours = tools["nanotape query"]
        others = [tools[tool] for tool in ("tcpdump -r", "tcpdump -r, TZ set", "tshark")]
        faster = ", ".join(f"{other / ours:.1f}" for other in others)
        print(f"| {name} | {ours:.2f} s | {others[0]:.2f} s | {others[1]:.2f} s | {others[2]:.1f} s | {faster} |")
    print("\n| on the disk | bytes | of zstd -3 |\n|---|---|---|")
    for name, size in sizes.items():
        print(f"| {name} | {size:,} | {size / sizes['zstd -3 of the pcap']:.3f} |")
    print("\n| step | seconds | packets/s |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {seconds:.1f} | {count / seconds:,.0f} |")
    print(f"\nLargest process: {peak:,.0f} MiB.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000)
