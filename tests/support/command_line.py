"""`nanotape` as a user calls it, and what it leaves standing: files, processes, XDP programs.

`as_nobody` lets an unprivileged user run it although the interpreter lies where only root may enter.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence

import namespaces
from fork_server import fork_server
from service_rig import NOBODY

NANOTAPE = (sys.executable, "-m", "nanotape.cli.main")
_WRITTEN_OVER = ("feeds.state", "recorder.feeds.json", "recorder.segments.json", "stamps.state")


def standing(*folders: pathlib.Path) -> set[str]:
    """Every file below the folders, and every process that names one of them.

    But for what a service that is at work writes over itself again and again: some moments it, or its draft, is there.
    """
    running = set[str]().union(*(processes(folder) for folder in folders))
    files = {path for folder in folders if folder.exists() for path in (folder, *folder.rglob("*"))}
    if running:
        files = {path for path in files if not path.name.startswith(_WRITTEN_OVER) and path.suffix != ".new"}
    return running | set(map(str, files))


def processes(folder: pathlib.Path) -> set[str]:
    """Every process whose command names a folder, but for a running service's looks for listeners: they come and go."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            is_a_look = b"--listeners" in words
            if os.fsencode(folder) in words and not is_a_look and int(entry.name) != os.getpid():
                found.add(f"process {entry.name}: {words.replace(bytes(1), b' ').decode()}")
    return found


def call(
    *arguments: str | os.PathLike[str], wrap: Sequence[str] = (), seconds: float = 60.0, stdin: str = ""
) -> tuple[int, str, str]:
    """Runs `nanotape` with these arguments; returns exit status, standard output, standard error."""
    words = [os.fspath(argument) for argument in arguments]
    namespace = namespaces.entered_by(wrap)
    if not wrap or namespace:
        status, output, errors = fork_server().run(words, stdin.encode(), seconds, namespace or "")
        return status, output.decode(), errors.decode()
    done = subprocess.run(
        [*wrap, *NANOTAPE, *words], capture_output=True, text=True, timeout=seconds, check=False, input=stdin
    )
    return done.returncode, done.stdout, done.stderr


def refusal(
    *arguments: str | os.PathLike[str],
    unchanged: Iterable[pathlib.Path],
    status: int,
    wrap: Sequence[str] = (),
    news: Sequence[str] = (),
) -> str:
    """Runs `nanotape`, which must refuse in one line and leave everything as it was; returns the line.

    Args:
        *arguments: Of `nanotape`.
        unchanged: Folders that must be the same before and after.
        status: Exit status expected.
        wrap: Put before the command.
        news: Beginnings of lines that may precede it: what went well before something else did not.
    """
    folders = tuple(unchanged)
    before = standing(*folders)
    found, output, errors = call(*arguments, wrap=wrap)
    assert found == status, errors
    assert output == ""
    lines = [line for line in errors.splitlines() if not line.startswith(tuple(news) or ("\0",))]
    assert len(lines) == 1, errors
    assert "Traceback" not in errors
    after = standing(*folders)
    assert after == before, f"{errors}left: {sorted(after - before)}, gone: {sorted(before - after)}"
    return lines[0]


@contextlib.contextmanager
def as_nobody(
    capabilities: Sequence[str] = (),
    uid: int = NOBODY,
    gid: int = NOBODY,
    writable: Sequence[pathlib.Path] | None = None,
) -> Iterator[tuple[tuple[str, ...], pathlib.Path]]:
    """A command prefix that becomes `nobody`, the interpreter to run under it, and a folder of nobody's to work in.

    With capabilities (`net_raw`) these are ambient, as systemd gives them; with `uid` and `gid` it is somebody else.
    With `writable` nothing but these can be written to in the root's file system (ProtectSystem=strict).

    Interpreter and packages are shown in a mount namespace of the command's own, at a place that everybody may enter.
    """
    stem = f"{namespaces.PREFIX}{os.getpid()}-nobody-"
    folder = pathlib.Path(tempfile.mkdtemp(prefix=stem, dir="/var/tmp"))
    shown = {folder / "python": sys.base_prefix, folder / "site": sysconfig.get_path("purelib")}
    work = folder / "work"
    try:
        folder.chmod(0o755)
        for place in (*shown, work):
            place.mkdir()
        os.chown(work, uid, gid)
        binds = " && ".join(f"mount --bind {what} {place}" for place, what in shown.items())
        if writable is not None:
            binds += "".join(f" && mount --bind {path} {path}" for path in writable) + " && mount -o remount,bind,ro /"
        become = f"setpriv --reuid {uid} --regid {gid} --clear-groups {_capability_options(capabilities)}"
        clean = f"env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONHOME={folder}/python PYTHONPATH={folder}/site"
        library = f"LD_LIBRARY_PATH={folder}/python/lib"  # of an interpreter that is built as a library
        script = f'{binds} && cd {work} && exec {become} {clean} {library} "$@"'
        prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
        python = folder / "python" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        yield (*prefix, str(python), "-m", "nanotape.cli.main"), work
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _capability_options(capabilities: Sequence[str]) -> str:
    words = "".join(f",+{each}" for each in capabilities)
    return f"--inh-caps=-all{words} --ambient-caps=-all{words}"
