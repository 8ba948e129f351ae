"""What to do about that which a board's console shows, or does not show."""

import re

from mgbuild.console.training import RESTART
from mgbuild.device.decode import PANIC, PANIC_ENDS

START_SECONDS = 5.0  # from a reset to the program's first words, ample
PANICS = 3  # without a run that ends, until it is called a loop
PROGRAM = "# microgpt-lx6 "  # begins the program's first line

_RUN_ENDS = "weights crc32"
_DAMAGED = re.compile(r"^(csum err|invalid header|flash read err|Fatal exception \()")  # the ROM's words
_IN_LOADER = re.compile(r"^waiting for download|^rst:0x.*_BOOT\(UART")
DAMAGED = "the firmware in flash is damaged or missing; write it again: scons flash"
IN_LOADER = "the chip waits in its loader; let go of BOOT, wire nothing to GPIO0, and press EN (RST)"
SILENT = (
    "nothing comes from the board; press EN (RST) on it, which this port may not be able to do; if that does not help: "
    "the right port, and a firmware: scons flash"
)
PANIC_LOOP = (
    "the program panics again and again; write firmware and data set once more: scons flash; if that does not help, it "
    "is an error in the program: keep the lines above and report them"
)


class Advice:
    """Says what to do, once until it is over. Times in seconds."""

    def __init__(self) -> None:
        self._heard = self._rom_heard = False
        self._since: float | None = None  # the reset that no word of the program has followed yet
        self._panics = 0
        self._said: set[str] = set()

    def reset(self, now: float) -> None:
        """The chip is being reset."""
        self._heard = self._rom_heard = False
        self._since = now

    def hear(self) -> None:
        """The board has said something, if only a part of a line."""
        self._heard = True

    def read(self, line: str, now: float) -> str:
        """What to do about this line, if anything."""
        self.hear()
        if line.startswith(PROGRAM):
            self._since = None
            self._said -= {DAMAGED, IN_LOADER, SILENT}
        elif line.startswith(_RUN_ENDS):
            self._panics = 0
            self._said.discard(PANIC_LOOP)
        elif PANIC in line:
            self._panics += 1
        elif RESTART.match(line):
            self._rom_heard = True
            self._since = now if self._since is None else self._since
        if _DAMAGED.match(line):
            return self._say(DAMAGED)
        if _IN_LOADER.match(line):
            return self._say(IN_LOADER)
        return self._say(PANIC_LOOP) if self._panics >= PANICS and line.startswith(PANIC_ENDS) else ""

    def wait(self, now: float) -> str:
        """What to do about the time that has passed, if anything."""
        if self._since is None or now < self._since + START_SECONDS:
            return ""
        if self._rom_heard and not self._said & {DAMAGED, IN_LOADER}:
            return self._say(DAMAGED)
        return "" if self._heard else self._say(SILENT)

    def _say(self, advice: str) -> str:
        new = advice not in self._said
        self._said.add(advice)
        return advice if new else ""
