"""The course of a benchmark: one part after the other, and what could not be measured told, not hidden."""

import datetime
import importlib
import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from nanotape.capture.errors import CaptureError
from nanotape.cli.bench.facts import machine
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.report import Circumstances, Report, assemble
from nanotape.cli.bench.workspace import disk_folder, remove_leftovers
from nanotape.storage.errors import StorageError

PARTS = ("ring", "wire", "latency", "record", "path", "sustain", "tuning")


@dataclass(slots=True)
class Course:
    """What was measured, and what was not."""

    options: Options
    tell: Tell
    results: list[PartResult] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Why a part was not measured, by its name."""
    failed: list[str] = field(default_factory=list)
    """Parts that were asked for, or that this user could have measured, and that broke."""

    def run(self, wanted: Sequence[str], *, by_name: bool) -> Report:
        """Measures.

        Args:
            wanted: Names of parts.
            by_name: They were asked for one by one: what cannot be measured is a failure.
        """
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        remove_leftovers(self.options.folder)  # not every part has folders of its own
        for name in PARTS:
            if name in wanted:
                self._measure(name, by_name=by_name)
        around = Circumstances(
            importlib.metadata.version("nanotape"), when, self.options.quick, machine(disk_folder(self.options.folder))
        )
        return assemble(around, self.results, self.absent)

    def _measure(self, name: str, *, by_name: bool) -> None:
        part = importlib.import_module(f"nanotape.cli.bench.{name}_part")
        if getattr(part, "NEEDS_ROOT", False) and os.geteuid():
            self._leave_out(name, "needs root, for network namespaces and XDP", fault=by_name)
            return
        try:
            self.results.append(part.measure(self.options, self.tell))
        except (CaptureError, StorageError) as error:
            self._leave_out(name, str(error).removeprefix(f"{name}: "), fault=True)
        except BrokenPipeError:  # nobody hears us any more
            raise
        except OSError as error:  # a full disk, or none
            where = error.filename or disk_folder(self.options.folder)
            self._leave_out(name, f"{where}: {error.strerror}; make room, or choose a folder with --folder", fault=True)

    def _leave_out(self, name: str, why: str, *, fault: bool) -> None:
        self.absent[name] = why
        self.failed += [name] if fault else []
        self.tell(f"{name}: not measured: {why}")
