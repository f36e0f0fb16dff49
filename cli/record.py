"""`nanotape record`: reads a ring and writes segments, unprivileged, until a signal."""

import json
import os
import stat
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.accounts import accounts, give_up_privilege
from nanotape.capture.commands import RECORDER_NICE
from nanotape.capture.control.orders import ORDERS_NAME, orders_identity, read_orders
from nanotape.capture.control.receipts import own_receipt, read_receipt
from nanotape.capture.notify import Notifier
from nanotape.capture.places import places
from nanotape.capture.processes import end_with_parent, session_gives_way
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import Settings, interfaces, load
from nanotape.config.channel import Channel
from nanotape.storage import record as storage
from nanotape.storage.clock import SystemClock
from nanotape.storage.encoder import Compression
from nanotape.storage.feed_options import Quiet
from nanotape.storage.log import Log
from nanotape.storage.orders import Orders
from nanotape.storage.pandas_refusal import refuse_pandas
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.rehearsal import rehearse
from nanotape.storage.retention import RetentionPolicy
from nanotape.storage.segment import Fsync
from nanotape.storage.service_log import service_log
from nanotape.storage.upkeep import UpkeepOptions


def record(
    config: ConfigFile = None,
    ring: Annotated[
        str | None, typer.Option("--ring", help="Ring to record; needed where several are configured.")
    ] = None,
    user: Annotated[
        int | None, typer.Option("--user", metavar="UID", help="As root: go over to this user. Default: user.record.")
    ] = None,
    group: Annotated[
        int | None, typer.Option("--group", metavar="GID", help="As root: go over to this group. Default: user.group.")
    ] = None,
    supervised: Annotated[
        int | None,
        typer.Option("--supervised", metavar="PID", help='End with process PID; say "ready", at the end the totals.'),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a ring that is not there yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record a ring into the archive, until a signal. Restarted, it goes on with the next ring sequence."""
    refuse_pandas()
    settings = load(config)
    settings = settings.of_ring(ring if len(settings.rings) > 1 else None)  # one ring's settings do for any ring
    where = places(settings)
    if supervised is not None:
        session_gives_way(RECORDER_NICE)
    name = ring or settings.ring.name
    log = service_log(settings.log.format, settings.log.repeats, {"process": "recorder", "ring": name}, SystemClock())
    _leave_root(settings, user, group)
    notifier = Notifier.of_environment()
    if supervised is not None:
        end_with_parent(supervised)
        _wait_for_cue()
    totals = storage.record(
        name,
        where.archive,
        recorder_options(settings),
        places=storage.RecordPlaces(where.shm, where.folder.parent, settings.recorder.name),
        upkeep=upkeep_options(settings),
        feeds=feeds(settings),
        on_begin=_Ready(notifier, f"recording: {name}", is_told=supervised is not None),
        log=log,
        orders=orders(where.folder, settings.recorder.name, log),
        on_step=notifier.feed_if_due,
        on_wait=partial(notifier.ready, f"waiting for ring {name}") if wait else None,
    )
    notifier.stopping()
    log.close()
    if as_json or supervised is not None:
        sys.stdout.write(json.dumps(asdict(totals)) + "\n")
        sys.stdout.flush()
    else:
        left = "an unknown number" if totals.backlog is None else f"{totals.backlog:,}"
        talk(
            f"{totals.recorded:,} packets recorded, {totals.lost:,} lost, {totals.write_failures:,} not written, "
            f"{left} left in the ring"
        )
    raise typer.Exit(1 if totals.write_failures else 0)


def _leave_root(settings: Settings, user: int | None, group: int | None) -> None:
    """Root-owned files would lock out every recorder that comes after."""
    if user is None or group is None:
        owners = accounts(settings.user)
        user = owners.record_uid if user is None else user
        group = owners.ring_gid if group is None else group
    if os.geteuid() == 0:
        rehearse()  # our own code may lie where that user cannot read
        give_up_privilege(user, group)


def recorder_options(settings: Settings) -> RecorderOptions:
    """The recorder's part of the configuration."""
    chosen = settings.recorder
    return RecorderOptions(
        flush_interval_s=chosen.flush_interval / 1e9,
        rotate_bytes=chosen.rotate_bytes,
        rotate_interval_s=chosen.rotate_interval / 1e9,
        rotate_at=chosen.rotate_at,
        rotate_zone=chosen.rotate_zone,
        fsync=Fsync(chosen.fsync),
        compression=Compression(chosen.compression, chosen.compression_level),
        start=chosen.start,
        keep_other=settings.records_other,
    )


def feeds(settings: Settings) -> storage.Feeds:
    """What the configuration says of feeds."""
    chosen = settings.feeds
    return storage.Feeds(
        framings=settings.framings,
        window_ns=chosen.reorder_window,
        reset_distance=chosen.reset_distance,
        quiet={channel.name: _quiet(settings, channel) for channel in settings.channel},
        interfaces=interfaces(settings),
        switch=settings.source.switch,
    )


def _quiet(settings: Settings, channel: Channel) -> Quiet:
    after_ns = settings.feeds.stale_after if channel.stale_after is None else channel.stale_after
    return Quiet(after_ns or None, settings.session.get(channel.session or ""))


def orders(folder: Path, reader_name: str, log: Log) -> Orders:
    """What the service of a ring writes down for its recorder; `folder` is RUN_DIR/RING."""
    path, uid, clock = folder / ORDERS_NAME, os.geteuid(), SystemClock()
    receipt = partial(own_receipt, folder, reader_name, uid)  # other readers may write beside it
    done = read_receipt(folder, reader_name, {uid})[0]
    slept_through = max((each.number for each in read_orders(path)), default=0)
    return Orders(partial(read_orders, path), receipt, done, clock, log, partial(orders_identity, path), slept_through)


def upkeep_options(settings: Settings) -> UpkeepOptions:
    """What the configuration has done beside recording."""
    archive = settings.archive
    policy = RetentionPolicy(archive.keep_free.of, archive.max_bytes, archive.grace, settings.host)
    told = settings.events
    return UpkeepOptions(
        settings.recorder.post_rotate, policy, host=settings.host, on_event=told.on_event, syslog=told.syslog
    )


def _wait_for_cue() -> None:
    """Until a pipe that we were given ends: there is a ring then, and our libraries are loaded already."""
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        os.read(0, 1)


class _Ready:
    """Says that it is ready, once, however many rings of that name follow each other."""

    def __init__(self, notifier: Notifier, state: str, *, is_told: bool) -> None:
        self._notifier, self._state, self._is_told = notifier, state, is_told
        self._is_said = False

    def __call__(self, _recorder: Recorder) -> None:
        if self._is_said:
            return
        self._is_said = True
        self._notifier.ready(self._state)  # again where it had to wait: only the line is news then
        if self._is_told:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
