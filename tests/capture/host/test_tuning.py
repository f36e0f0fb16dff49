"""What tune writes for a recorded VM: run against its tree it makes the checks ok, and it touches nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_host import RecordedHost, unpack

from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.host.memory import mount_place, pages_in_all
from nanotape.capture.host.needs import HugePages
from nanotape.capture.host.root import HostRoot, cpu_list
from nanotape.capture.host.table import examine
from nanotape.capture.host.tuning import Tuning, tuning
from nanotape.capture.host.tuning_files import files, write_folder

EXPECTED = {
    "README.md", "kernel-command-line.txt", "grub.d/90-nanotape.cfg", "sysctl.d/90-nanotape.conf",
    "tuned/nanotape/tuned.conf", "irqbalance.default", "irq-affinity.sh", "kernel-settings.sh", "ethtool.sh",
    "hugepages.sh",
}  # fmt: skip
STUB = '#!/bin/sh\necho "${0##*/} $*" >>"$CALLS"\n'
CPU = "sys/devices/system/cpu"


def tuned(recorded: RecordedHost) -> Tuning:
    host = recorded.host()
    return tuning(host, examine(host))


def statuses(recorded: RecordedHost) -> dict[str, str]:
    return {result.id: result.status for result in examine(recorded.host())}


def run_scripts(folder: Path, root: Path) -> list[str]:
    """With ethtool and mount replaced by a stub that notes its calls."""
    stubs = folder.parent / "stubs"
    stubs.mkdir()
    for name in ("ethtool", "mount"):
        (stubs / name).write_text(STUB, encoding="ascii")
        (stubs / name).chmod(0o755)
    calls = folder.parent / "calls"
    environment = {"PATH": f"{stubs}:{os.environ['PATH']}", "ROOT": str(root), "CALLS": str(calls)}
    for script in sorted(folder.glob("*.sh")):
        done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return calls.read_text(encoding="ascii").splitlines() if calls.exists() else []


def obey(recorded: RecordedHost, folder: Path, calls: list[str]) -> None:
    """What a kernel makes of the files: the part that scripts cannot rehearse."""
    line = (folder / "kernel-command-line.txt").read_text(encoding="ascii").strip()
    recorded.write("proc/cmdline", f"quiet {line}")
    parameters = dict(word.partition("=")[::2] for word in line.split())
    isolated = cpu_list(parameters["isolcpus"])
    recorded.write(f"{CPU}/isolated", ",".join(map(str, isolated)))
    recorded.write(f"{CPU}/nohz_full", parameters["nohz_full"])
    if "nosmt" in parameters:
        recorded.write(f"{CPU}/smt/active", "0")
    if parameters.get("mce") == "ignore_ce":
        recorded.write("sys/devices/system/machinecheck/machinecheck0/ignore_ce", "1")
    if parameters.get("tsc") == "reliable":
        recorded.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc")
    for row in (folder / "sysctl.d/90-nanotape.conf").read_text(encoding="ascii").splitlines():
        if not row.startswith("#"):
            name, _, value = row.partition(" = ")
            recorded.write(f"proc/sys/{name.replace('.', '/')}", value)
    recorded.write("etc/default/irqbalance", (folder / "irqbalance.default").read_text(encoding="ascii"))
    for interrupt in (recorded.root / "proc/irq").glob("[0-9]*"):
        shutil.copy(interrupt / "smp_affinity_list", interrupt / "effective_affinity_list")
    pages = recorded.root / "sys/kernel/mm/hugepages/hugepages-2048kB"
    shutil.copy(pages / "nr_hugepages", pages / "free_hugepages")
    mounted = [call.split()[-1] for call in calls if call.startswith("mount -t hugetlbfs")]
    with (recorded.root / "proc/mounts").open("a", encoding="ascii") as mounts:
        mounts.writelines(f"none {place} hugetlbfs rw,pagesize=2M 0 0\n" for place in mounted)
    recorded.facts["nics"]["eth0"] |= OBEYED


OBEYED = {
    "rings": [1024, 1024],
    "coalescing": [False, 0, 0],
    "pause": [False, False],
    "queues": [1, 4],
    "features": {"rx-gro": False, "rx-gro-hw": False, "rx-vlan-hw-parse": False},
}
ETHTOOL = [
    "ethtool -A eth0 autoneg off rx off tx off",
    "ethtool -C eth0 adaptive-rx off rx-usecs 0",
    "ethtool -G eth0 rx 1024",
    "ethtool -K eth0 gro off rx-gro-hw off",
    "ethtool -K eth0 rxvlan off",
    "ethtool -L eth0 combined 1",
]


def test_a_vm_that_obeys_what_was_written_is_ok_where_a_file_can_make_it_so(tmp_path: Path) -> None:
    recorded, folder = unpack("vm", tmp_path), tmp_path / "tuning"
    found = tuned(recorded)
    before = statuses(recorded)
    content = files(found, "vm")
    assert set(content) == EXPECTED
    write_folder(folder, content)
    calls = run_scripts(folder, recorded.root)
    assert [call for call in calls if call.startswith("ethtool")] == ETHTOOL
    obey(recorded, folder, calls)
    after = statuses(recorded)
    assert {name: after[name] for name in found.answers} == dict.fromkeys(found.answers, "ok")
    assert len(found.answers) >= 25
    untouched = set(after) - set(found.answers)
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    left = {result.id for result in found.left}
    assert "nosmt" not in found.command_line  # it would take core 3 itself away
    assert left >= {
        "cores.siblings",
        "nic.flow_rules:eth0",
        "cores.virtual",
        "clock.sync",
        "kernel.config",
        "disk.mount",
    }
    assert not left & set(found.answers)


def test_interrupts_of_the_captured_nic_stay(tmp_path: Path) -> None:
    recorded, folder = unpack("vm", tmp_path), tmp_path / "tuning"
    write_folder(folder, files(tuned(recorded), "vm"))
    run_scripts(folder, recorded.root)
    places = {name: (recorded.root / f"proc/irq/{name}/smp_affinity_list").read_text().strip() for name in ("25", "30")}
    assert places == {"25": "0-3", "30": "0-2"}


def test_nosmt_is_written_only_where_the_loops_core_survives_it(tmp_path: Path) -> None:
    recorded = unpack("vm", tmp_path)
    recorded.write(f"{CPU}/cpu3/topology/thread_siblings_list", "3,7")
    found = tuned(recorded)
    assert "nosmt" in found.command_line
    assert "`nosmt` halves its threads" in files(found, "vm")["README.md"]
    recorded.write(f"{CPU}/cpu3/topology/thread_siblings_list", "1,3")
    found = tuned(recorded)
    assert "nosmt" not in found.command_line
    told = files(found, "vm")["README.md"]
    assert "halves" not in told
    assert "- `cores.siblings`: shared: core 3 with 1. not nosmt, which would take 3 away: [loop] core = 1 " in told


def test_a_tuned_host_is_asked_for_nothing(tmp_path: Path) -> None:
    found = tuned(unpack("bare-metal", tmp_path))
    assert found.is_empty
    content = files(found, "bare-metal")
    assert set(content) == {"README.md"}
    assert "nothing that a file could mend" in content["README.md"]


def test_pages_of_a_gib_are_asked_for_on_the_command_line(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write("sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages", "0")
    found = tuned(recorded)
    assert found.command_line == ("hugepagesz=1G", "hugepages=3")  # two are somebody's already
    assert [path for path, _ in found.pages] == [
        "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"
    ]


def test_a_hugetlbfs_is_mounted_where_units_with_a_dev_of_their_own_see_it(tmp_path: Path) -> None:
    root = unpack("vm", tmp_path).root
    tree = HostRoot(root)
    assert mount_place(tree, 2 << 20) == "/dev/hugepages"
    assert mount_place(tree, 1 << 30) == "/run/hugepages-1024M"
    (root / "proc/mounts").write_text("none /dev/hugepages hugetlbfs rw,pagesize=1024M 0 0\n", encoding="ascii")
    assert mount_place(tree, 2 << 20) == "/run/hugepages-2M"


def test_nothing_is_isolated_where_no_cpu_would_be_left(tmp_path: Path) -> None:
    """Two loops on two CPUs, say: a command line that isolates both is none to boot with."""
    host = unpack("vm", tmp_path).host()
    everything = host.root.cpus(f"{CPU}/online")
    host = replace(host, needs=replace(host.needs, cores=everything))
    results = examine(host)
    found = tuning(host, results)
    assert not any(name in word for word in found.command_line for name in ("isolcpus", "irqaffinity", "rcu_nocbs"))
    assert found.move_interrupts_to is None
    assert "irq-affinity.sh" not in files(found, "vm")
    assert not any("cpumask" in path or "affinity" in path for path, _ in found.writes)
    (told,) = (result for result in found.left if result.id == "cores.isolated")
    assert (told.status, told.found) == ("fail", "loops have all CPUs, 0-3")


def test_pages_that_others_use_are_left_to_them(tmp_path: Path) -> None:
    """The kernel's number is of all: a smaller one would take the free ones of others, and give us none."""
    host = replace(unpack("bare-metal", tmp_path).host(), captured=(), held_pages={})
    ten = HugePages(2 << 20, 20 << 20, is_required=True)
    assert pages_in_all(host, ten) == 64 + 10  # of 128, 64 are free
    assert pages_in_all(replace(host, held_pages={2 << 20: 64}), ten) == 10  # they are ours


def test_a_fair_server_is_switched_off_on_the_loops_core(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    runtime = recorded.root / "sys/kernel/debug/sched/fair_server/cpu6/runtime"
    recorded.write(str(runtime.relative_to(recorded.root)), "50000000")
    folder = tmp_path / "tuning"
    write_folder(folder, files(tuned(recorded), "bare-metal"))
    run_scripts(folder, recorded.root)
    assert runtime.read_text(encoding="ascii") == "0\n"
    assert tuned(recorded).is_empty


def test_a_kernel_without_nohz_full_is_not_asked_for_it(tmp_path: Path) -> None:
    recorded = unpack("vm", tmp_path)
    (recorded.root / CPU / "nohz_full").unlink()
    found = tuned(recorded)
    assert not any(word.startswith("nohz_full") for word in found.command_line)
    assert "cores.nohz_full" in {result.id for result in found.left}


def test_every_file_is_explained_in_the_readme(tmp_path: Path) -> None:
    content = files(tuned(unpack("vm", tmp_path)), "vm")
    for name in set(content) - {"README.md"}:
        assert f"`{name}`: " in content["README.md"]


@pytest.mark.parametrize(("name", "told"), [("laptop", "No core is configured"), ("vm", "Cores 3: `nanotape jitter")])
def test_the_readme_says_how_to_prove_the_cores(name: str, told: str, tmp_path: Path) -> None:
    content = files(tuned(unpack(name, tmp_path)), name)
    assert told in content["README.md"]
    assert not any("none" in text for path, text in content.items() if path.startswith("tuned/"))


def test_scripts_are_plain_shell(tmp_path: Path) -> None:
    folder = tmp_path / "tuning"
    write_folder(folder, files(tuned(unpack("vm", tmp_path)), "vm"))
    for script in folder.glob("*.sh"):
        assert os.access(script, os.X_OK)
        done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_shellcheck_finds_nothing_in_the_scripts(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    folder = tmp_path / "tuning"
    write_folder(folder, files(tuned(unpack("vm", tmp_path)), "vm"))
    done = subprocess.run(["shellcheck", *folder.glob("*.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_folder_that_holds_something_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "tuning"
    folder.mkdir()
    (folder / "mine").write_text("x", encoding="ascii")
    with pytest.raises(PlaceUnusable, match="expected an empty folder or none, found something there"):
        write_folder(folder, {"README.md": "x"})
    assert [path.name for path in tmp_path.rglob("*")] == ["tuning", "mine"]


def test_an_empty_folder_is_filled_and_a_missing_parent_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tuning"
    folder.mkdir()
    write_folder(folder, {"a/b.sh": "x"})
    assert (folder / "a/b.sh").read_text(encoding="ascii") == "x"
    with pytest.raises(PlaceUnusable, match="No such file or directory; name another folder"):
        write_folder(tmp_path / "not" / "there", {"README.md": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["tuning"]
