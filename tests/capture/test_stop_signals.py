"""Stopping on request: which signals are taken over, and that they are given back."""

from __future__ import annotations

import os
import select
import signal

import pytest

from nanotape.capture.service import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_makes_the_descriptor_readable_and_is_given_back(number: signal.Signals) -> None:
    ours = signal.signal(number, signal.default_int_handler)  # whatever nohup or a shell left us
    try:
        with StopSignals() as signals:
            assert not signals.caught
            os.kill(os.getpid(), number)
            assert select.select([signals], [], [], 5)[0]
            assert signals.caught
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, ours)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not select.select([signals], [], [], 0.05)[0]
            assert not signals.caught
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_hangup_asks_a_service_to_reload_once_and_not_to_stop() -> None:
    ours = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with StopSignals(hangup_reloads=True) as signals:
            assert not signals.take_reload()
            os.kill(os.getpid(), signal.SIGHUP)
            assert not select.select([signals], [], [], 0)[0]  # a start that waits for it would take it for the end
            assert signals.take_reload()
            assert not signals.caught
            assert not signals.take_reload()
            assert not select.select([signals], [], [], 0)[0]
    finally:
        signal.signal(signal.SIGHUP, ours)


def test_an_end_that_comes_with_a_hangup_stays_seen() -> None:
    ours = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with StopSignals(hangup_reloads=True) as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            signals.stop()
            assert not signals.take_reload()
            assert signals.caught
            assert select.select([signals], [], [], 0)[0]
    finally:
        signal.signal(signal.SIGHUP, ours)
