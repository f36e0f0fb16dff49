"""The demo's configuration file: an ordinary one, so that what is shown is what a user would run."""

import grp
import pwd
from pathlib import Path

from nanotape.cli.scene import Scene, shared_memory

RING = "demo"
LINES = {"A": ("239.192.0.1", 31001), "B": ("239.192.1.1", 31001)}
RING_BYTES = 256 << 20
DESCRIPTORS = 262_144  # 2 KiB each: rides out the second for which another tenant may take the CPU
FRAME_BYTES = 2048
_FIRST_ACCOUNT = 64_100


def huge_bytes() -> int:
    """Huge pages for ring and packet memory."""
    return RING_BYTES + DESCRIPTORS * FRAME_BYTES + (4 << 20)


def write(scene: Scene) -> Path:
    """Writes the file, and says where it is."""
    source = "afxdp" if scene.root else "socket"
    capture, group = unused_account(), unused_account()
    channel = "\n".join(
        f'[[channel.line]]\nname = "{name}"\ngroup = "{address}"\nport = {port}'
        for name, (address, port) in LINES.items()
    )
    text = f"""# What `nanotape demo` runs.
[paths]
run_dir = "{scene.folder}/run"
archive = "{scene.folder}/archive"
shm_dir = "{shared_memory(scene.folder)}"
hugepage_dir = "{scene.hugepages / scene.folder.name if scene.hugepages else ""}"

[user]
capture = "{capture}"
record = "nobody"
group = "{group}"

[ring]
name = "{RING}"
capacity = "{RING_BYTES >> 20} MiB"
hugepages = "{"prefer" if scene.hugepages else "off"}"

[source]
kind = "{source}"
interface = "{scene.interface}"
zerocopy = "off"
descriptors = {DESCRIPTORS}
umem_hugepages = "{"prefer" if scene.hugepages else "off"}"
receive_buffer = "64 MiB"

[recorder]
flush_interval = "250ms"

[[channel]]
name = "itch"
feed = "simulated"
framing = "moldudp64"

{channel}
"""
    path = scene.folder / "nanotape.toml"
    path.write_text(text, encoding="utf-8")
    return path


def unused_account() -> int:
    """A number that no user and no group of this host has: for as long as the demo runs it is its own."""
    taken = {user.pw_uid for user in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
    return next(number for number in range(_FIRST_ACCOUNT, 65_000) if number not in taken)
