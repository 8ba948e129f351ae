"""A stand-in for a user: what is typed, and what is seen; it waits for events, not for a time."""

import os
import pty
import select
import subprocess
import sys
import termios
import time

from conftest import ROOT
from stand_in_chip import PATIENCE


class Terminal:
    """A user at a terminal of their own, on which a Python program runs."""

    def __init__(self, code: str) -> None:
        self.master, self.slave = pty.openpty()
        self.settings = termios.tcgetattr(self.slave)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons"), "TERM": "xterm", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], preexec_fn=lambda: os.login_tty(self.slave), env=environment
        )
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def see(self, text: str) -> None:
        """Wait until the screen has shown this text."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")

    def ended(self) -> int:
        """Exit status of the program, which has left the terminal as it was."""
        status = self.process.wait(timeout=PATIENCE)
        assert termios.tcgetattr(self.slave) == self.settings
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
