"""A board on its port: bytes from its console and to it, and its reset."""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import serial

from mgbuild.device import ports
from mgbuild.errors import UserError

READ_TIMEOUT = 0.02  # seconds; keys wait as long
READ_BYTES = 4096  # at most at once
RESET_SECONDS = 0.1


class Lost(UserError):
    """A board that has gone from its port."""


class Board:
    """The board's port. What it raises when it goes away is Lost."""

    def __init__(self, line: serial.SerialBase, port: str) -> None:
        self._line, self._port = line, port

    def read(self) -> bytes:
        """What has come, or comes within READ_TIMEOUT."""
        with self._unplugged():
            data = self._line.read(1)
        try:
            while data and len(data) < READ_BYTES and (waiting := self._line.in_waiting):
                data += self._line.read(waiting)
        except ports.FAILURES:
            pass  # its last words count; the next call says what has happened
        return data

    def write(self, data: bytes) -> None:
        """Send these bytes to the chip."""
        with self._unplugged():
            self._line.write(data)

    def reset(self) -> None:
        """Pull EN low for a moment, by RTS, as the usual circuit has it. A port without lines leaves the chip alone."""
        with self._unplugged():
            try:
                self._line.dtr = False
                self._line.rts = True
                time.sleep(RESET_SECONDS)
            except OSError as error:
                if error.errno not in (errno.ENOTTY, errno.EINVAL):
                    raise
                return
            finally:
                with suppress(*ports.FAILURES):
                    self._line.rts = False

    @contextmanager
    def _unplugged(self) -> Iterator[None]:
        try:
            yield
        except ports.FAILURES as error:
            raise Lost(f"lost the board on {self._port} ({error}); plug it in and start the monitor again") from None
