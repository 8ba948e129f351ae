"""The board's console: plain text in a pipe, a live view of the training on a terminal; keys, or a script, for it."""

import math
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from mgbuild.console import keys
from mgbuild.console.lines import PROMPT, readable
from mgbuild.console.views import Display, LiveView, PlainView
from mgbuild.device import ports
from mgbuild.device.advice import Advice
from mgbuild.device.board import READ_TIMEOUT, Board, Lost
from mgbuild.device.decode import PANIC, PANIC_ENDS, Decoder
from mgbuild.device.script import DONE, LOST, NOT_SEEN, SIGNALLED, Ending, Script
from mgbuild.errors import UserError

HELP_TEXT = "Ctrl-] leaves, Ctrl-T Ctrl-R resets; all other keys, Ctrl-C too, go to the chip"
SCRIPT_HELP_TEXT = "Ctrl-C or Ctrl-] leaves; what is typed goes nowhere, for send= speaks to the chip"


def monitor(
    port: str,
    elf: Path | None = None,
    *,
    baud: int = 115200,
    sends: Sequence[str] = (),
    until: re.Pattern[str] | None = None,
    timeout: float = 0,
    log: Path | None = None,
    terminal: bool | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Show the board's console until it is left, after a reset of the chip unless there is something to send.

    `sends`: commands for the chip, each sent when the one before has been answered with `ok`. `until`: for
    a line that ends the session, after the last command. Returns 0 when both are done, when a key asks
    to leave, or after `timeout` seconds (0: never) without either; else, with the reason on stderr: 1 when they are not
    done in time or cannot be any more, 3 when the chip answers with an error, 4 when the program panics or restarts
    meanwhile, 5 when the board has gone, 128 and its number
    for a signal (130: Ctrl-C).

    With `elf`, addresses of a panic are explained; every line is added to the end of `log` too. `terminal`: whether to
    show the live view and take keys, by default if both ends are terminals; without one, what the monitor has to say
    itself goes to stderr. `clock` tells seconds. Raises UserError for a port or file that does not open.
    """
    decoder = Decoder(elf) if elf else None
    if terminal is None:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
    with keys.signals_interrupt():
        try:
            with ports.opened(port, baud, READ_TIMEOUT) as line, _Log(log) as log_file, _view(terminal, sends) as view:
                script = Script(sends, until, clock())
                session = _Session(Board(line, port), view, decoder, script, log_file, clock)
                ending = session.run(timeout, is_script=bool(sends), takes_keys=terminal)
        except Lost as error:
            ending = Ending(LOST, str(error))
        except KeyboardInterrupt as error:
            return SIGNALLED + (error.args[0] if error.args else signal.SIGINT)
    if ending.reason:
        print(f"error: {ending.reason}", file=sys.stderr, flush=True)
    return ending.status


@contextmanager
def _view(terminal: bool, sends: Sequence[str]) -> Iterator[PlainView | LiveView]:
    with keys.taken(raw=not sends) if terminal else nullcontext():
        view = LiveView() if terminal else PlainView()
        try:
            yield view
        finally:
            view.close()


class _Log:
    """A file that takes lines at its end; what was in it stays."""

    def __init__(self, path: Path | None) -> None:
        """Open it; raises UserError when it cannot be written."""
        self._path, self._file = path, None
        with self._written():
            self._file = path.open("a", encoding="utf-8") if path else None

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            with self._written():
                self._file.close()

    def add(self, line: str) -> None:
        """Write a line at once."""
        if self._file:
            with self._written():
                self._file.write(line + "\n")
                self._file.flush()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"cannot write log={self._path}: {error.strerror}") from None


class _Session:
    """One run of the monitor, from bytes to lines to what ends it."""

    def __init__(
        self,
        board: Board,
        view: PlainView | LiveView,
        decoder: Decoder | None,
        script: Script,
        log: _Log,
        clock: Callable[[], float],
    ) -> None:
        self._board, self._view, self._decoder, self._script = board, view, decoder, script
        self._log, self._clock = log, clock
        self._display, self._advice = Display(view), Advice()
        self._keyboard, self._typed = keys.Keyboard(), keys.TypeAhead()
        self._panicking = False

    def run(self, timeout: float, is_script: bool, takes_keys: bool) -> Ending:
        """Show what the board says until something ends it."""
        self._is_script = is_script
        if not is_script:
            self._reset()
        if takes_keys:
            self._help()
        deadline = self._clock() + timeout if timeout else math.inf
        try:
            while True:
                data = self._board.read()
                ending = self._take(data) or self._send(bool(data))
                if not ending and takes_keys:
                    ending = self._handle_keys()
                if not ending and self._clock() > deadline:
                    ending = self._out_of_time(timeout)
                if ending:
                    break
        except (UserError, KeyboardInterrupt):
            self._take_rest()
            raise
        if ending is not self._script.ending:
            self._take_rest()
        return ending

    def _reset(self) -> None:
        self._board.reset()
        self._advice.reset(self._clock())

    def _help(self) -> None:
        self._view.note(SCRIPT_HELP_TEXT if self._is_script else HELP_TEXT)

    def _take(self, data: bytes) -> Ending | None:
        """Show what has come; returns an ending when a line of it is one, and shows nothing after that."""
        if data:
            self._advice.hear()
        for line in self._display.lines.feed(data):
            self._take_line(line)
            if self._script.ending:
                return self._script.ending
        self._advise(self._advice.wait(self._clock()))
        self._display.refresh(self._clock())
        return None

    def _take_line(self, line: str) -> None:
        text, now = readable(line), self._clock()
        self._log.add(text)
        self._panicking |= PANIC in text
        self._display.show(line, now, self._panicking)
        for explained in self._decoder.explain(text) if self._decoder else ():
            self._view.show(explained, self._panicking)
        self._advise(self._advice.read(text, now))
        self._typed.answered()
        self._script.read(text, now)
        if self._panicking and text.startswith(PANIC_ENDS):
            self._panicking = False
            self._script.panicked()

    def _take_rest(self) -> None:
        """Show what has come of a line that nothing will complete."""
        rest = self._display.lines.rest()
        if rest and rest != PROMPT:
            self._take_line(rest)

    def _advise(self, advice: str) -> None:
        if advice:
            self._view.advise(advice)

    def _send(self, heard: bool) -> Ending | None:
        """Send what is due, of the script's or of pasted lines."""
        due = self._script.wait(self._display.lines.pending, heard, self._clock())
        if self._display.at_prompt:
            due = due or self._typed.at_prompt()
        if due:
            self._board.write(due)
        return self._script.ending

    def _out_of_time(self, timeout: float) -> Ending:
        wanted = self._script.wanted
        return Ending(NOT_SEEN, f"{wanted} within {timeout:g} seconds") if wanted else Ending(DONE)

    def _handle_keys(self) -> Ending | None:
        """Do what the keys say; returns an ending when one asks to leave."""
        for key in self._keyboard.read(keys.pressed()):
            match key:
                case keys.Command.LEAVE:
                    return Ending(DONE)
                case keys.Command.RESET:
                    self._reset()
                case keys.Command.HELP:
                    self._help()
                case bytes() if not self._is_script:
                    due = self._typed.add(key)
                    if due:
                        self._board.write(due)
        return None
