"""The board's console: plain text in a pipe, a live view of the training on a terminal."""

import codecs
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import serial
from rich.console import Console
from rich.live import Live
from rich.text import Text

from mgbuild.device import ports
from mgbuild.device.decode import Decoder
from mgbuild.errors import UserError

LEAVE, MENU, RESET = "\x1d", "\x14", "\x12"  # Ctrl-], Ctrl-T, Ctrl-R
HELP_TEXT = "Ctrl-] leaves | Ctrl-T Ctrl-R resets the chip | Ctrl-T Ctrl-] sends Ctrl-] | other keys go to the chip"
DONE, TIMED_OUT, PANICKED, INTERRUPTED = 0, 1, 2, 130  # exit status
READ_TIMEOUT = 0.05  # seconds
RESET_SECONDS = 0.1
AVERAGED = 10  # printed losses in the moving average
SPARKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40

_STEP = re.compile(r"^step +(\d+) / +(\d+) \| loss (\S+)$")
_RESTART = re.compile(r"^rst:0x")


def monitor(
    port: str,
    elf: Path | None = None,
    *,
    baud: int = 115200,
    until: str = "",
    timeout: float = 0,
    log: Path | None = None,
    terminal: bool | None = None,
) -> int:
    """Reset the chip and show its console until it is left; returns an exit status.

    0 when a line matches `until`, when a key asks to leave, or after `timeout` seconds (0: never) without `until`; 1
    when `until` has not come in time, 2 when the program panics while it is waited for, 130 for Ctrl-C. With `elf`,
    addresses of a panic are explained; `log` takes every line too. `terminal`: whether to show the live view and take
    keys, by default if both ends are terminals. Raises UserError for a port or file that does not open, a regular
    expression that is none, and a board that is unplugged.
    """
    try:
        wanted = re.compile(until) if until else None
    except re.error as error:
        raise UserError(f"until={until} is no regular expression: {error}") from None
    decoder = Decoder(elf) if elf else None
    if terminal is None:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
    with _log_file(log) as log_file, _open(port, baud) as board:
        _reset(board)
        session = _Session(board, decoder, wanted, log_file, timeout)
        try:
            return session.run_on_terminal() if terminal else session.run()
        except KeyboardInterrupt:
            return INTERRUPTED
        except OSError as error:
            raise UserError(f"lost the board on {port} ({error}); plug it in and start the monitor again") from None


@dataclass
class Training:
    """What the lines of a run tell about its progress."""

    step: int = 0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    first: tuple[float, int] | None = None  # time and step of the first line
    last: tuple[float, int] | None = None

    def read(self, line: str, now: float) -> bool:
        """Take a line in; returns whether it was one of training. `now`: seconds."""
        if _RESTART.match(line):
            self.__init__()
            return False
        found = _STEP.match(line)
        if not found:
            return False
        self.step, self.steps = int(found[1]), int(found[2])
        self.losses.append(float(found[3]))
        self.first = self.first or (now, self.step)
        self.last = (now, self.step)
        return True

    @property
    def running(self) -> bool:
        """Whether training has begun and not yet ended."""
        return 0 < self.step < self.steps

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the lines so far; None before the second one."""
        if not self.first or not self.last or self.last[1] == self.first[1]:
            return None
        rate = (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])
        return rate * (self.steps - self.step)

    @property
    def average(self) -> float:
        """Mean of the last losses that were printed."""
        recent = self.losses[-AVERAGED:]
        return sum(recent) / len(recent)

    def line(self) -> str:
        """Bar, loss and its average, time left and a sparkline."""
        share = self.step / self.steps
        bar = "━" * round(20 * share) + "─" * (20 - round(20 * share))
        left = self.seconds_left
        eta = "" if left is None else f"  {int(left) // 60}:{int(left) % 60:02d} left"
        count = min(len(self.losses), AVERAGED)
        loss = f"loss {self.losses[-1]:.4f}, mean of {count}: {self.average:.4f}"
        return f"{bar} step {self.step} / {self.steps}  {loss}{eta}  {sparkline(self.losses)}"


def sparkline(values: list[float], width: int = SPARKLINE_WIDTH) -> str:
    """Values as a row of at most `width` bars, the means of equal shares; the lowest is the shortest."""
    shares = min(width, len(values))
    bounds = [len(values) * index // shares for index in range(shares + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
    low, span = min(means), max(means) - min(means) or 1.0
    return "".join(SPARKS[round((mean - low) / span * (len(SPARKS) - 1))] for mean in means)


class _Session:
    """One run of the monitor, from bytes to lines to what ends it."""

    def __init__(
        self,
        board: serial.Serial,
        decoder: Decoder | None,
        wanted: re.Pattern[str] | None,
        log: IO[str] | None,
        timeout: float,
    ) -> None:
        self._board, self._decoder, self._wanted, self._log = board, decoder, wanted, log
        self._timeout = timeout
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self._panicking = False
        self._training = Training()

    def run(self) -> int:
        """Without a terminal: lines and nothing else."""
        return self._loop(lambda line: print(line, flush=True), lambda: None, lambda: None)

    def run_on_terminal(self) -> int:
        """With a live view below the text, and keys."""
        console = Console(highlight=False, markup=False)
        with _keys_unbuffered(), Live(console=console, auto_refresh=False, transient=True) as live:
            console.print(HELP_TEXT, style="dim")

            def show(line: str) -> None:
                if _RESTART.match(line) and self._training.step:
                    console.rule("restart")
                live.console.print(line, style="red" if self._panicking else None)

            def refresh() -> None:
                running = self._training.running
                live.update(Text(self._training.line(), overflow="crop", no_wrap=True) if running else "", refresh=True)

            return self._loop(show, refresh, self._handle_keys)

    def _loop(self, show, refresh, handle_keys) -> int:
        deadline = time.monotonic() + self._timeout if self._timeout else None
        while True:
            for line in self._read_lines():
                show(line)
                self._training.read(line, time.monotonic())
                status = self._judge(line, show)
                if status is not None:
                    return status
                refresh()
            if handle_keys() == LEAVE:
                return DONE
            if deadline and time.monotonic() > deadline:
                if not self._wanted:
                    return DONE
                print(
                    f"error: no line matched {self._wanted.pattern} within {self._timeout:g} seconds",
                    file=sys.stderr,
                )
                return TIMED_OUT

    def _read_lines(self) -> Iterator[str]:
        data = self._board.read(self._board.in_waiting or 1)
        self._partial += self._text.decode(data)
        *lines, self._partial = self._partial.split("\n")
        for line in lines:
            line = line.rstrip("\r")
            if self._log:
                self._log.write(line + "\n")
                self._log.flush()
            yield line

    def _judge(self, line: str, show) -> int | None:
        """Explain what can be explained; returns a status when this line ends the session."""
        for explained in self._decoder.explain(line) if self._decoder else ():
            show(explained)
        if "Guru Meditation Error" in line:
            self._panicking = True
        if self._wanted and self._wanted.search(line):
            return DONE
        if self._panicking and line.startswith("Backtrace:"):
            self._panicking = False
            if self._wanted:
                print("error: the program panicked", file=sys.stderr)
                return PANICKED
        return None

    def _handle_keys(self) -> str | None:
        while select.select([sys.stdin], [], [], 0)[0]:
            key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
            if key in (LEAVE, ""):
                return LEAVE
            if key != MENU:
                self._board.write(key.encode("latin-1"))
                continue
            key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
            if key == RESET:
                _reset(self._board)
            elif key in (LEAVE, MENU):
                self._board.write(key.encode("latin-1"))
            else:
                print(HELP_TEXT)
        return None


def _open(port: str, baud: int) -> serial.Serial:
    board = serial.Serial(baudrate=baud, timeout=READ_TIMEOUT, exclusive=True)
    board.port = port
    board.dtr = board.rts = False  # neither in reset nor in the loader
    try:
        board.open()
    except OSError as error:
        raise ports.open_failure(port, error) from None
    return board


def _reset(board: serial.Serial) -> None:
    """Pull EN low for a moment, by RTS, as the usual circuit has it. Ports without such lines are left as they are."""
    try:
        board.dtr = False
        board.rts = True
        time.sleep(RESET_SECONDS)
        board.rts = False
    except OSError:
        pass


@contextmanager
def _keys_unbuffered() -> Iterator[None]:
    """Give out keys one by one and unechoed; what the terminal was set to is restored."""
    import termios  # here, for Windows has none
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _log_file(path: Path | None):
    if path is None:
        return nullcontext()
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write log={path}: {error.strerror}") from None
