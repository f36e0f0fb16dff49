"""The asking side of a control socket."""

import json
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanotape.capture.errors import ControlError

ANSWER_S = 120.0
"""A reload waits for processes that start and end."""
_ANSWER_BYTES = 1 << 20
_CONNECT_S = 10


def ask(path: Path, request: Mapping[str, Any], timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """What a service answers.

    Args:
        path: Its control socket.
        request: See docs/control.md.
        timeout_s: The longest to wait for each part of the answer.

    Raises:
        ControlError: Nobody listens, this user may not, or the service refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # Not by settimeout: a connection that has to wait for its turn would be refused at once.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _CONNECT_S, 0))
        try:
            connection.connect(str(path))
            connection.settimeout(timeout_s)
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = _line(connection)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"{path}: expected a running service, found none; start nanotape run") from None
        except PermissionError:
            raise ControlError(
                f"{path}: this user may not steer the service; be root, its user, or in its group (control.group)"
            ) from None
        except BlockingIOError:
            raise ControlError(f"{path}: too many are waiting to ask; try again") from None
        except TimeoutError:
            raise ControlError(f"{path}: no answer within {timeout_s:.0f} s; see the service's messages") from None
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from None
    return _answered(path, line)


def _line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < _ANSWER_BYTES:
        came = connection.recv(1 << 16)
        if not came:
            break
        found += came
    return found


def _answered(path: Path, line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
        if answer["ok"] is True:
            return dict(answer)
        error = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise ControlError(f"{path}: the service ended before it answered; see its messages") from None
    raise ControlError(error)
