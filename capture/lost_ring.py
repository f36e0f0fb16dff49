"""A ring whose data is gone while its descriptor is there: the file system that held it was unmounted.

Who has mapped it reads it to its end, but no capture can go on with it: it is made anew once its place is back.
"""

from collections.abc import Callable
from pathlib import Path

from nanotape.capture.accounts import Accounts
from nanotape.capture.errors import CaptureError, RingNotFound
from nanotape.capture.footprint import Footprint
from nanotape.capture.listing import remove_ring
from nanotape.capture.places import Places, hugetlbfs_mounts, prepare
from nanotape.capture.ring import Ring, ring_path
from nanotape.capture.severity import Error, Info
from nanotape.config import Settings


class LostRing:
    """Of one service: looks after each capture that could not begin."""

    def __init__(self, settings: Settings, owners: Accounts, places: Places, log: Callable[[str], None]) -> None:
        """Looks at nothing yet.

        Args:
            settings: The configuration.
            owners: The accounts.
            places: Of the service.
            log: Takes one line for each change.
        """
        self._settings, self._owners, self._places, self._log = settings, owners, places, log
        self._is_told = False

    def look(self) -> None:
        """Removes the ring if its data is gone and its place is back, so that the next capture makes it anew."""
        name, shm = self._settings.ring.name, self._places.shm
        if not is_lost(name, shm):
            return
        if not self._is_told:
            self._is_told = True
            self._log(Error(f"ring {name}: its data is gone, as if unmounted; it is made anew when its place is back"))
        if not self._is_place_back():
            return
        try:
            prepare(self._settings, self._owners, record=False, made=Footprint())
            remove_ring(name, shm)
        except CaptureError as error:
            self._log(Error(error))
            return
        self._is_told = False
        self._log(Info(f"ring {name}: removed, to be made anew"))

    def _is_place_back(self) -> bool:
        place = self._places.hugepages
        if place is None or self._settings.ring.hugepages != "require":
            return True  # another place will do
        return any(place.is_relative_to(mount) for mount, _ in hugetlbfs_mounts())


def is_lost(name: str, shm: Path) -> bool:
    """Whether there is a descriptor, and what it names is not there."""
    try:
        with Ring.open(name, shm):
            return False
    except RingNotFound:
        return ring_path(name, shm).exists()
    except CaptureError:
        return False
