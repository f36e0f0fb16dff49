"""A recorder's receipt for a service's orders, in a folder where all of the ring's group may write.

What counts is whose a file is, not its name: where somebody else has taken the name, the recorder takes another. So
nobody else can say that an order was carried out, and nobody can keep a recorder from saying so.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nanotape.capture.accounts import account_number
from nanotape.capture.foreign_file import read_foreign
from nanotape.config.settings import User

_TOKEN_BYTES = 8


def receipt_path(folder: Path, reader_name: str) -> Path:
    """Where a recorder says what it has done, unless that is taken; `folder` is RUN_DIR/RING."""
    return folder / "readers" / f"{reader_name}.orders.json"


def own_receipt(folder: Path, reader_name: str, uid: int) -> Path:
    """Where a recorder of this user can say it: by a name that nobody else has, nor that of the draft beside it."""
    usual = receipt_path(folder, reader_name)
    others = (path for path in _others(folder, reader_name) if _is_of(path, {uid}))
    new = usual.with_name(f"{reader_name}.orders.{os.urandom(_TOKEN_BYTES).hex()}.json")
    return next((path for path in (usual, *others) if _is_free(path, uid)), new)


def read_receipt(folder: Path, reader_name: str, uids: Collection[int]) -> tuple[int, Mapping[str, str]]:
    """Number of the last order that was carried out, and by number what went wrong; 0: none was.

    Args:
        folder: RUN_DIR/RING.
        reader_name: Of the recorder.
        uids: Whose files count.
    """
    done, failed = 0, dict[str, str]()
    for path in (receipt_path(folder, reader_name), *_others(folder, reader_name)):
        if _is_of(path, uids):
            last, wrong = _read(path, uids)
            done, failed = max(done, last), failed | wrong
    return done, failed


def recorder_uids(user: User) -> frozenset[int]:
    """Whom a service believes that it is its recorder: the configured user, and its own."""
    known = account_number(user.record)
    return frozenset({os.geteuid()} | ({known} if known is not None else set()))


def _others(folder: Path, reader_name: str) -> Iterator[Path]:
    yield from sorted((folder / "readers").glob(f"{reader_name}.orders.*.json"))


def _is_of(path: Path, uids: Collection[int]) -> bool:
    try:
        return path.lstat().st_uid in uids
    except OSError:
        return False


def _is_free(path: Path, uid: int) -> bool:
    places = path, path.with_name(f".{path.name}.new")
    return all(_is_of(each, {uid}) or not os.path.lexists(each) for each in places)


def _read(path: Path, uids: Collection[int]) -> tuple[int, dict[str, str]]:
    for uid in uids:
        try:
            told = json.loads(read_foreign(path, uid))
            return int(told["done"]), {str(key): str(value) for key, value in told["failed"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            continue
    return 0, {}
