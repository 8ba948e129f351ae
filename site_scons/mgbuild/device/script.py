"""What a script sends to a board's console, line after line, what it waits for, and how that ends."""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mgbuild.console.keys import STOP
from mgbuild.console.lines import PROMPT
from mgbuild.console.training import RESTART
from mgbuild.device.advice import PROGRAM

# Exit statuses; 2 is SCons' own for whatever it refuses.
DONE, NOT_SEEN, REFUSED, RESTARTED, LOST, SIGNALLED = 0, 1, 3, 4, 5, 128

QUIET_SECONDS = 0.05  # a prompt that nothing follows for so long is no beginning of another line
ASK_SECONDS = 1.0  # between two Ctrl-C that ask for a prompt
PROMPT_SECONDS = 10.0  # until a board that gives none is given up; a start takes one
UNCLEAR_SECONDS = 2.0  # at a prompt without `ok` or `error: ` before it


@dataclass(frozen=True)
class Ending:
    """How a script ended: exit status, and why unless that is 0."""

    status: int
    reason: str = ""


class Script:
    """Sends each line when the one before is answered with `ok`, then waits for the line that `until` matches.

    A program that trains or invents names is stopped by Ctrl-C first. `ending` is None until there is one; without
    lines to send and `until` there is none. Times in seconds.
    """

    def __init__(self, sends: Sequence[str], until: re.Pattern[str] | None, now: float) -> None:
        self.ending: Ending | None = None
        self._to_send, self._until = deque(sends), until
        self._sent = ""  # the line whose answer has not been seen
        self._last = ""  # the last line since then
        self._since = self._asked = now
        self._heard = now

    @property
    def wanted(self) -> str:
        """What has not come yet, in words."""
        if self._to_send and not self._sent:
            return "the board gave no prompt"
        if self._sent and not self._until:
            return f"no answer to {self._sent}"
        return f"no line matched {self._until.pattern}" if self._until else ""

    def read(self, line: str, now: float) -> None:
        """Take a line in, as it came whole."""
        if self._sent and (RESTART.match(line) or line.startswith(PROGRAM)):
            self._read_restart(now)
        is_echo = self._sent != "" and line == PROMPT + self._sent
        if self._until and not self._to_send and not is_echo and self._until.search(line):
            self._end(DONE)
        self._last = line

    def _read_restart(self, now: float) -> None:
        if self._sent.strip() != "reset":
            self._end(RESTARTED, f"the chip restarted before it had answered {self._sent}")
        elif not self._to_send and not self._until:
            self._end(DONE)
        self._sent = ""
        self._since = self._asked = now

    def panicked(self) -> None:
        """The program has panicked, which ends what is waited for."""
        if self.wanted:
            self._end(RESTARTED, "the program panicked")

    def wait(self, pending: str, heard: bool, now: float) -> bytes:
        """What is to be sent now. `pending`: what has come of the next line; `heard`: whether anything just has."""
        self._heard = now if heard else self._heard
        at_prompt = pending.endswith(PROMPT) and now - self._heard >= QUIET_SECONDS
        if self._sent and at_prompt:
            self._read_answer(now)
        if self.ending or self._sent or not self._to_send:
            return b""
        if at_prompt:
            self._sent, self._last = self._to_send.popleft(), ""
            return self._sent.encode() + b"\r"
        if now - self._since > PROMPT_SECONDS:
            self._end(NOT_SEEN, f"{self.wanted} within {PROMPT_SECONDS:g} seconds of Ctrl-C")
        elif now >= self._asked:
            self._asked = now + ASK_SECONDS
            return STOP
        return b""

    def _read_answer(self, now: float) -> None:
        if self._last.startswith("error:"):
            self._end(REFUSED, f"{self._sent}: {self._last.removeprefix('error:').strip()}")
        elif self._last == "ok":
            self._sent = ""
            self._since = self._asked = now
            if not self._to_send and self._until:
                self._end(NOT_SEEN, f"{self.wanted}, and the board waits for a command")
            elif not self._to_send:
                self._end(DONE)
        elif self._last and now - self._heard > UNCLEAR_SECONDS:
            self._end(REFUSED, f"{self._sent}: the answer ends with neither ok nor error")

    def _end(self, status: int, reason: str = "") -> None:
        self.ending = self.ending or Ending(status, reason)
