"""systemd's units: what systemd-analyze says of them, what a configuration changes, where they are put."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest

from nanotape.capture.child import INTERRUPTED
from nanotape.capture.errors import AccountUnknown, PlaceUnusable, ReaderBusy, RingBusy, ServiceError
from nanotape.capture.units.drop_ins import Start
from nanotape.capture.units.install import condition, install
from nanotape.capture.units.layout import SYSUSERS, TMPFILES, UDEV, UNIT_FOLDER, enabled_units, files, shipped
from nanotape.capture.units.left_over import left_over
from nanotape.capture.units.state import UnitState, unit_states
from nanotape.cli.main import exit_status
from nanotape.config import ConfigError, Settings, loads
from nanotape.storage.errors import StorageError

HOST_UNITS = pathlib.Path("/usr/lib/systemd/system")
BORROWED = ("sysinit", "basic", "network-online", "multi-user", "shutdown", "timers", "time-set", "time-sync")
STARTED = ("usr/bin/nanotape", "bin/kill", "opt/nanotape")
RINGS = [f"nanotape-{part}@main.service" for part in ("capture", "record")]
UNITS = [*RINGS, "nanotape-clock.service", "nanotape-compact.service", "nanotape-retain.service", "nanotape.target"]
UNITS += ["nanotape-compact.timer", "nanotape-retain.timer"]
EXPOSURE = {"record@main": 2.0, "compact": 2.0, "retain": 2.0, "clock": 3.0, "capture@main": 3.5}
"""At most, of 10, as `systemd-analyze security` counts; the capture has capabilities and network to account for."""
TUNED = """
[paths]
archive = "/data/archive"
run_dir = "/run/tape"
[user]
capture = "cap"
record = "64203"
[clock]
mode = "manage"
interfaces = ["eth1"]
[source]
interface = "eth1"
[loop]
core = 2
"""


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A root with our units, those of the host that they name, and what they start."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    folder = tmp_path / HOST_UNITS.relative_to("/")
    folder.mkdir(parents=True)
    for name in [f"{each}.target" for each in BORROWED] + ["systemd-tmpfiles-setup.service"]:
        shutil.copy(HOST_UNITS / name, folder)
    for name in STARTED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def analyze(root: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words, f"--root={root}"], capture_output=True, text=True, check=False)


ODD = """
[paths]
archive = "/data/my archive/100%"
run_dir = '/run/o"dd'
"""


@pytest.mark.parametrize("text", ["", TUNED, ODD])
def test_systemd_finds_nothing_wrong_with_the_units(text: str, root: pathlib.Path) -> None:
    """With the drop-ins of a configuration too."""
    executable = pathlib.Path("/opt/nanotape" if text else "/usr/bin/nanotape")
    install(files(loads(text), Start(executable=executable, cpus=4)), root)
    found = analyze(root, "verify", *UNITS)
    assert (found.returncode, found.stderr, found.stdout) == (0, "", "")


def test_systemd_finds_what_is_wrong_with_a_unit(root: pathlib.Path) -> None:
    """Control: it does look."""
    install(files(Settings(), Start()), root)
    unit = root / UNIT_FOLDER / "nanotape-record@.service"
    unit.write_text(unit.read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    assert "NoNewPrivilege" in analyze(root, "verify", "nanotape-record@main.service").stderr


@pytest.mark.parametrize("name", EXPOSURE)
def test_the_units_are_hardened(name: str, root: pathlib.Path) -> None:
    install(files(Settings(), Start()), root)
    told = analyze(root, "security", "--offline=true", "--no-pager", f"nanotape-{name}.service")
    level = re.search(r"exposure level for \S+: ([0-9.]+)", told.stdout)
    assert level, told.stderr
    assert float(level[1]) <= EXPOSURE[name], told.stdout


def test_a_recorder_without_its_hardening_is_exposed(root: pathlib.Path) -> None:
    """Control: the figure is of the unit."""
    install(files(Settings(), Start()), root)
    unit = root / UNIT_FOLDER / "nanotape-record@.service"
    unit.write_text(re.sub(r"^(Protect|Restrict|Private|SystemCall|NoNew)\S+\n", "", unit.read_text(), flags=re.M))
    told = analyze(root, "security", "--offline=true", "--no-pager", "nanotape-record@main.service").stdout
    level = re.search(r"exposure level for \S+: ([0-9.]+)", told)
    assert level
    assert float(level[1]) > EXPOSURE["record@main"]


def test_the_shipped_users_and_folders_are_those_of_the_defaults() -> None:
    """A package installs them as they are."""
    shipped_folder = pathlib.Path(__file__).parents[2] / "config" / "systemd"
    wanted = files(Settings(), Start())
    assert (shipped_folder / "nanotape.sysusers").read_text(encoding="utf-8") == wanted[SYSUSERS]
    assert (shipped_folder / "nanotape.tmpfiles").read_text(encoding="utf-8") == wanted[TMPFILES]
    assert (shipped_folder / "nanotape.udev").read_text(encoding="utf-8") == wanted[UDEV]


def settled(unit: str, key: str) -> set[int]:
    """The statuses that a key of a unit lists."""
    return {int(each) for words in re.findall(rf"^{key}=(.*)$", shipped()[unit], re.M) for each in words.split()}


@pytest.mark.parametrize("unit", ["nanotape-capture@.service", "nanotape-record@.service"])
def test_a_mistake_ends_a_unit_for_good_and_what_may_pass_is_tried_again(unit: str) -> None:
    assert "\nRestart=on-failure\nRestartSec=1s\n" in shipped()[unit]
    final = settled(unit, "RestartPreventExitStatus")
    mistakes = ConfigError(["x.toml:1: expected y"]), AccountUnknown("no user"), PlaceUnusable("no folder")
    assert {exit_status(each) for each in mistakes} == final == {2}
    may_pass = [RingBusy("another runs it"), ReaderBusy("another reads"), ServiceError("ended"), StorageError("locked")]
    assert {exit_status(each) for each in may_pass} == {1}


def test_a_unit_that_is_enabled_without_a_drop_in_is_of_the_default_configuration(tmp_path: pathlib.Path) -> None:
    wants = tmp_path / UNIT_FOLDER / "nanotape.target.wants"
    wants.mkdir(parents=True)
    for name in ("nanotape-record@main.service", "nanotape-record@old.service", "nanotape-clock.service"):
        (wants / name).symlink_to("/nowhere")
    assert [each.unit for each in left_over(Settings(), Start(), tmp_path)] == ["nanotape-record@old.service"]
    assert left_over(Settings(), Start(config=pathlib.Path("/etc/other.toml")), tmp_path) == []


def test_a_capture_that_is_stopped_before_it_is_ready_has_not_failed() -> None:
    assert exit_status(ServiceError("told to stop", INTERRUPTED)) in settled(
        "nanotape-capture@.service", "SuccessExitStatus"
    )


def test_only_the_capture_has_capabilities_and_each_unit_is_told_of_by_whom_it_starts() -> None:
    for name, text in shipped().items():
        if not name.endswith(".service"):
            continue
        assert ("\nAmbientCapabilities=CAP" in text) is (name == "nanotape-capture@.service"), name
        assert "\nNoNewPrivileges=yes\n" in text
        assert ("\nType=notify\n" in text) is ("WatchdogSec=" in text), name
        assert "User=root" not in text


def drop_ins(text: str, **start: object) -> dict[str, str]:
    """Of each unit, what is said beside comments."""
    found = files(loads(text), Start(**start))  # type: ignore[arg-type]
    said = {
        place.parent.name.removesuffix(".d"): text for place, text in found.items() if place.name == "50-nanotape.conf"
    }
    return {unit: "\n".join(line for line in text.splitlines() if line[0] != "#") for unit, text in said.items()}


def test_odd_paths_are_one_word_each() -> None:
    start = {"executable": pathlib.Path("/opt/nano tape/nanotape"), "config": pathlib.Path("/etc/$x 1.toml")}
    found = drop_ins(ODD, **start)["nanotape-record@main.service"].splitlines()
    assert 'RequiresMountsFor="/data/my archive/100%%"' in found
    assert 'ReadWritePaths="-/data/my archive/100%%" "-/run/o\\"dd"' in found
    assert 'ExecStart="/opt/nano tape/nanotape" record --wait --ring %i --config "/etc/$$x 1.toml"' in found
    assert 'd "/data/my archive/100%%" 0755' in files(loads(ODD), Start())[TMPFILES]


def test_a_clock_service_that_would_end_at_once_is_not_asked_for() -> None:
    assert "nanotape-clock.service" in enabled_units(Settings())
    assert "nanotape-clock.service" not in enabled_units(loads('[clock]\nmode = "none"\n'))


def test_with_the_defaults_the_units_hold_as_they_are_shipped() -> None:
    assert set(drop_ins("", cpus=4).values()) == {""}


def test_a_drop_in_says_what_the_configuration_has_otherwise() -> None:
    found = drop_ins(TUNED, executable=pathlib.Path("/opt/n"), config=pathlib.Path("/etc/my.toml"), cpus=4)
    assert found["nanotape-capture@main.service"].splitlines() == [
        "[Service]",
        "ExecStart=",
        "ExecStart=/opt/n capture --ring %i --config /etc/my.toml",
        "User=cap",
        "CPUAffinity=0 1 3",
        "ReadWritePaths=-/run/tape",
    ]
    assert found["nanotape-record@main.service"].splitlines() == [
        "[Unit]",
        "RequiresMountsFor=/data/archive",
        "[Service]",
        "ExecStart=",
        "ExecStart=/opt/n record --wait --ring %i --config /etc/my.toml",
        "User=64203",
        "CPUAffinity=0 1 3",
        "ReadWritePaths=-/data/archive -/run/tape",
    ]
    assert "User=root" in found["nanotape-clock.service"]
    assert "CAP_SYS_TIME" in found["nanotape-clock.service"]


def test_users_that_are_numbers_are_not_made() -> None:
    told = files(loads(TUNED), Start())[SYSUSERS]
    assert "u cap -" in told
    assert "64203" not in told


def test_a_host_whose_only_cpu_is_a_loops_gets_no_affinity() -> None:
    assert "CPUAffinity" not in drop_ins("[loop]\ncore = 0\n", cpus=1)["nanotape-capture@main.service"]


def test_what_is_there_already_is_not_written_again(tmp_path: pathlib.Path) -> None:
    wanted = files(loads(TUNED), Start())
    assert len(install(wanted, tmp_path)) == len(wanted)
    assert install(wanted, tmp_path) == []
    place = UNIT_FOLDER / "nanotape.target"
    (tmp_path / place).write_text("something else\n")
    assert condition(place, wanted[place], tmp_path) == "differs"
    assert install(wanted, tmp_path) == [tmp_path / place]
    assert {path.name[0] for path in tmp_path.rglob("*") if path.is_file()} == {
        "n",
        "5",
        "6",
    }  # nothing half-made is left


def test_units_of_a_package_serve(tmp_path: pathlib.Path) -> None:
    wanted = files(Settings(), Start())
    for place, text in wanted.items():
        folder = tmp_path / "usr/lib" / place.parent.relative_to("etc")
        if place.name != "50-nanotape.conf":
            folder.mkdir(parents=True, exist_ok=True)
            (folder / place.name).write_text(text)
    assert install(wanted, tmp_path) == []


def test_a_root_that_cannot_be_written_is_refused_in_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").write_text("")
    with pytest.raises(PlaceUnusable, match=r"cannot be written.*--root") as refusal:
        install(files(Settings(), Start()), tmp_path)
    assert "\n" not in str(refusal.value)


def test_each_ring_has_a_unit_of_its_own() -> None:
    settings = loads('[source]\ninterface = "a"\n[[ring]]\nname = "x"\n[[ring]]\nname = "y"\n')
    assert [unit for unit in enabled_units(settings) if "capture" in unit] == [
        "nanotape-capture@x.service",
        "nanotape-capture@y.service",
    ]


def test_what_systemd_says_is_told_and_what_it_does_not_say_is_unknown() -> None:
    said = "Id=a.service\nActiveState=active\nSubState=running\nStatusText=capturing: main\nNRestarts=2\n\n"
    said += "Id=b.timer\nActiveState=active\nSubState=waiting\n"
    assert unit_states(["a.service", "b.timer", "c.service"], lambda _: said) == [
        UnitState("a.service", "active", "capturing: main", 2),
        UnitState("b.timer", "active", "waiting", None),
        UnitState("c.service", None, None, None),
    ]


def test_a_drop_in_starts_what_its_unit_starts() -> None:
    """But for the program and the configuration."""
    found = drop_ins("", executable=pathlib.Path("/opt/n"), cpus=4)
    for name, text in shipped().items():
        if name.endswith(".service"):
            words = re.findall(r"^ExecStart=/usr/bin/nanotape (.+)$", text, flags=re.M)
            assert f"ExecStart=/opt/n {words[0]}" in found[name.replace("@", "@main")].splitlines()
