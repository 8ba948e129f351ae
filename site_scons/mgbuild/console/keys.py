"""Keys of the user's terminal, on their way to a program that edits its own line."""

import os
import re
import select
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import FrameType

LEAVE, MENU, RESET, STOP = b"\x1d", b"\x14", b"\x12", b"\x03"  # Ctrl-], Ctrl-T, Ctrl-R, Ctrl-C
_MENU_OR_LEAVE = re.compile(b"([\x14\x1d])")
_TYPED_LINES = re.compile(rb"[^\r\n]*(?:\r\n|[\r\n])|[^\r\n]+")
READ_BYTES = 4096


class Command(Enum):
    """What keys can ask of the monitor itself."""

    LEAVE = auto()
    RESET = auto()
    HELP = auto()


class Keyboard:
    """Tells keys for the monitor from those for the program: Ctrl-] leaves, Ctrl-T begins a command."""

    def __init__(self) -> None:
        self._in_menu = False

    def read(self, typed: bytes) -> Iterator[Command | bytes]:
        """Commands, and between them the bytes that the program is to get, not cut within a character or sequence."""
        for part in filter(None, _MENU_OR_LEAVE.split(typed)):
            if self._in_menu:
                self._in_menu = False
                key, part = part[:1], part[1:]
                if key in (MENU, LEAVE):
                    yield key
                else:
                    yield Command.RESET if key == RESET else Command.HELP
            elif part == LEAVE:
                yield Command.LEAVE
                continue
            elif part == MENU:
                self._in_menu = True
                continue
            if part:
                yield part


class TypeAhead:
    """Lines that are pasted together: a key stops training, so each waits for the prompt that follows the one before.

    A program that has shown no prompt gets everything at once.
    """

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._has_prompt = False
        self._answered = True  # something since the last line that was sent

    def add(self, typed: bytes) -> bytes:
        """Take what was typed; returns what is to be sent at once. Ctrl-C drops what still waits."""
        before, stop, typed = typed.rpartition(STOP)
        if stop:
            self._lines.clear()
            return before + stop + self.add(typed)
        if not self._has_prompt:
            return typed
        if self._lines:
            self._lines += _TYPED_LINES.findall(typed)
            return b""
        first, *more = _TYPED_LINES.findall(typed) or [b""]
        self._lines += more
        return self._sent(first)

    def answered(self) -> None:
        """The program has completed a line."""
        self._answered = True

    def at_prompt(self) -> bytes:
        """What is to be sent now that the program waits for a command."""
        self._has_prompt = True
        return self._sent(self._lines.popleft()) if self._lines and self._answered else b""

    def _sent(self, line: bytes) -> bytes:
        self._answered = self._answered and not line.endswith((b"\r", b"\n"))
        return line


def pressed() -> bytes:
    """Keys that have been pressed; LEAVE when the terminal has gone."""
    typed = b""
    while select.select([sys.stdin], [], [], 0)[0]:
        try:
            more = os.read(sys.stdin.fileno(), READ_BYTES)
        except OSError:
            more = b""
        if not more:
            return typed + LEAVE
        typed += more
    return typed


@contextmanager
def taken(raw: bool) -> Iterator[None]:
    """Give out keys one by one, unechoed and unchanged; what the terminal was set to is restored.

    raw: Ctrl-C, Ctrl-Z and the like are keys too, else signals.
    """
    import termios  # here, for Windows has none

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    unbuffered = termios.tcgetattr(handle)
    unbuffered[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP | termios.IXON | termios.IXOFF)
    unbuffered[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | (termios.ISIG if raw else 0))
    unbuffered[6][termios.VMIN], unbuffered[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(handle, termios.TCSADRAIN, unbuffered)
        yield
    finally:
        with suppress(termios.error):  # the terminal may have gone
            termios.tcsetattr(handle, termios.TCSADRAIN, before)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let the signals that end programs raise KeyboardInterrupt(number), whoever has taken them; a build has."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    before = {}
    with suppress(ValueError):  # only the main thread may
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
