"""The board's console: plain text in a pipe, a live view of the training on a terminal."""

import codecs
import errno
import math
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import serial
from rich.console import Console
from rich.live import Live
from rich.text import Text

from mgbuild.device import ports
from mgbuild.device.decode import PANIC, PANIC_ENDS, Decoder
from mgbuild.errors import UserError

LEAVE, MENU, RESET = "\x1d", "\x14", "\x12"  # Ctrl-], Ctrl-T, Ctrl-R
HELP_TEXT = "Ctrl-] leaves | Ctrl-T Ctrl-R resets the chip | Ctrl-T Ctrl-] sends Ctrl-] | other keys go to the chip"
DONE, TIMED_OUT, PANICKED, INTERRUPTED = 0, 1, 2, 130  # exit status
READ_TIMEOUT = 0.05  # seconds
READ_BYTES = 4096  # at most at once
RESET_SECONDS = 0.1
START_SECONDS = 5.0  # from a reset to the program's first words, ample
PANICS = 3  # without a run that ends, until it is called a loop
LINE_LIMIT = 1000  # characters; what is longer is broken up
AVERAGED = 10  # printed losses in the moving average
SPARKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH, SPARKLINE_LEAST = 40, 8
BAR_WIDTH = 20

_STEP = re.compile(r"^step +([0-9]{1,9}) / +([0-9]{1,9}) \| loss ([0-9]{1,9}\.[0-9]{4})$")
_RESTART = re.compile(r"^rst:0x")
_PROGRAM, _RUN_ENDS = "# microgpt-lx6 ", "weights crc32"
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
# Control characters would let noise on the line set up the user's terminal anew; shown as their pictures.
_VISIBLE = {code: 0x2400 + code for code in range(32) if code != ord("\t")} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def monitor(
    port: str,
    elf: Path | None = None,
    *,
    baud: int = 115200,
    until: str = "",
    timeout: float = 0,
    log: Path | None = None,
    terminal: bool | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Reset the chip and show its console until it is left; returns an exit status.

    0 when a line matches `until`, when a key asks to leave, or after `timeout` seconds (0: never) without `until`; 1
    when `until` has not come in time, 2 when the program panics while it is waited for, 130 for Ctrl-C. With `elf`,
    addresses of a panic are explained; every line is added to the end of `log` too. `terminal`: whether to show the
    live view and take keys, by default if both ends are terminals; without one, what the monitor has to say itself goes
    to stderr. `clock` tells seconds. Raises UserError for a port or file that does not open, a regular expression that
    is none, and a board that is unplugged.
    """
    try:
        wanted = re.compile(until) if until else None
    except re.error as error:
        raise UserError(f"until={until} is no regular expression: {error}") from None
    decoder = Decoder(elf) if elf else None
    if terminal is None:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
    view = _live_view() if terminal else nullcontext(_PlainView())
    with ports.opened(port, baud, READ_TIMEOUT) as line, _Log(log) as log_file, view as shown:
        try:
            return _Session(_Board(line, port), shown, decoder, wanted, log_file, clock).run(timeout)
        except KeyboardInterrupt:
            return INTERRUPTED


@dataclass
class Training:
    """What the lines of a run tell about its progress."""

    step: int = 0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    first: tuple[float, int] | None = None  # time and step of the first line
    last: tuple[float, int] | None = None

    def _begin(self) -> None:
        self.step, self.steps, self.losses, self.first, self.last = 0, 0, [], None, None

    def read(self, line: str, now: float) -> bool:
        """Take a line in; returns whether it was one of training. `now`: seconds."""
        if _RESTART.match(line):
            self._begin()
            return False
        found = _STEP.match(line)
        if not found:
            return False
        if int(found[1]) <= self.step:  # another run
            self._begin()
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

    def line(self, width: int) -> str:
        """The progress in `width` columns. What has no room is left out, the least important first."""
        left = self.seconds_left
        done = round(BAR_WIDTH * self.step / self.steps)
        pieces = {  # in order of importance
            "step": f"step {self.step} / {self.steps}",
            "loss": f"  loss {self.losses[-1]:.4f}",
            "left": "" if left is None else f"  {int(left) // 60}:{int(left) % 60:02d} left",
            "bar": "━" * done + "─" * (BAR_WIDTH - done) + " ",
            "mean": f", mean of {min(len(self.losses), AVERAGED)}: {self.average:.4f}",
        }
        room = width
        shown = dict.fromkeys(pieces, "")
        for name, piece in pieces.items():
            if len(piece) <= room:
                shown[name] = piece
                room -= len(piece)
        text = "".join(shown[name] for name in ("bar", "step", "loss", "mean", "left"))
        room -= 2
        return f"{text}  {sparkline(self.losses, min(room, SPARKLINE_WIDTH))}" if room >= SPARKLINE_LEAST else text


class Lines:
    """The lines in a stream of bytes, which may be cut anywhere and be no UTF-8; none is longer than LINE_LIMIT."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete, without their ends."""
        *complete, self._partial = (self._partial + self._decoder.decode(data)).split("\n")
        lines = [part for line in complete for part in _broken(line)]
        *long, self._partial = _broken(self._partial)
        return [line.rstrip("\r") for line in lines + long]

    def rest(self) -> str:
        """What has come of a line that is not complete; it is not given out again."""
        rest, self._partial = self._partial + self._decoder.decode(b"", final=True), ""
        return rest.rstrip("\r")


def _broken(line: str) -> list[str]:
    return [line[start : start + LINE_LIMIT] for start in range(0, len(line), LINE_LIMIT)] or [""]


class Advice:
    """What to do about that which a console shows, or does not show; said once until it is over. Times in seconds."""

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
        if line.startswith(_PROGRAM):
            self._since = None
            self._said -= {DAMAGED, IN_LOADER, SILENT}
        elif line.startswith(_RUN_ENDS):
            self._panics = 0
            self._said.discard(PANIC_LOOP)
        elif PANIC in line:
            self._panics += 1
        elif _RESTART.match(line):
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


def sparkline(values: list[float], width: int = SPARKLINE_WIDTH) -> str:
    """Values as a row of at most `width` bars, the means of equal shares; the lowest is the shortest."""
    shares = min(width, len(values))
    bounds = [len(values) * index // shares for index in range(shares + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
    low, span = min(means), max(means) - min(means) or 1.0
    return "".join(SPARKS[round((mean - low) / span * (len(SPARKS) - 1))] for mean in means)


class _Board:
    """The board's port. What it raises when it goes away is a UserError."""

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
            raise UserError(
                f"lost the board on {self._port} ({error}); plug it in and start the monitor again"
            ) from None


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


class _PlainView:
    """What a pipe gets: lines and nothing else; advice goes to stderr."""

    def ready(self) -> None: ...

    def show(self, line: str, alarm: bool = False, restart: bool = False) -> None:
        print(line, flush=True)

    def advise(self, text: str) -> None:
        print(f"hint: {text}", file=sys.stderr, flush=True)

    def refresh(self, training: Training) -> None: ...

    def keys(self) -> str:
        return ""


class _LiveView:
    """What a terminal gets: a line of progress below the text, and keys that do something."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def ready(self) -> None:
        self._console.print(HELP_TEXT, style="dim")

    def show(self, line: str, alarm: bool = False, restart: bool = False) -> None:
        if restart:
            self._console.rule("restart")
        self._console.print(line.translate(_VISIBLE), style="red" if alarm else None)

    def advise(self, text: str) -> None:
        self._console.print(f"hint: {text}", style="yellow")

    def refresh(self, training: Training) -> None:
        line = training.line(self._console.width) if training.running else ""
        self._live.update(Text(line, overflow="crop", no_wrap=True), refresh=True)

    def keys(self) -> str:
        """Those that have been pressed, a byte each; LEAVE when the terminal has gone."""
        typed = ""
        while select.select([sys.stdin], [], [], 0)[0]:
            key = os.read(sys.stdin.fileno(), 1).decode("latin-1")
            if not key:
                return typed + LEAVE
            typed += key
        return typed


@contextmanager
def _live_view() -> Iterator[_LiveView]:
    console = Console(highlight=False, markup=False)
    with _keys_unbuffered(), Live(console=console, auto_refresh=False, transient=True) as live:
        yield _LiveView(console, live)


class _Session:
    """One run of the monitor, from bytes to lines to what ends it."""

    def __init__(
        self,
        board: _Board,
        view: _PlainView | _LiveView,
        decoder: Decoder | None,
        wanted: re.Pattern[str] | None,
        log: _Log,
        clock: Callable[[], float],
    ) -> None:
        self._board, self._view, self._decoder, self._wanted = board, view, decoder, wanted
        self._log, self._clock = log, clock
        self._lines, self._advice, self._training = Lines(), Advice(), Training()
        self._panicking = self._menu = False

    def run(self, timeout: float) -> int:
        """Reset the chip and show what it says; returns an exit status."""
        self._reset()
        self._view.ready()
        deadline = self._clock() + timeout if timeout else math.inf
        status = None
        try:
            while status is None:
                data = self._board.read()
                if data:
                    self._advice.hear()
                for line in self._lines.feed(data):
                    status = self._take(line)
                    if status is not None:
                        return status
                self._advise(self._advice.wait(self._clock()))
                status = self._handle_keys()
                if status is None and self._clock() > deadline:
                    status = self._out_of_time(timeout)
        except (UserError, KeyboardInterrupt):
            self._take_rest()
            raise
        self._take_rest()
        return status

    def _reset(self) -> None:
        self._board.reset()
        self._advice.reset(self._clock())

    def _take(self, line: str) -> int | None:
        """Show and explain a line; returns a status when it ends the session."""
        self._log.add(line)
        self._panicking |= PANIC in line
        now = self._clock()
        self._view.show(line, self._panicking, restart=bool(_RESTART.match(line) and self._training.step))
        for explained in self._decoder.explain(line) if self._decoder else ():
            self._view.show(explained, self._panicking)
        self._training.read(line, now)
        self._view.refresh(self._training)
        self._advise(self._advice.read(line, now))
        if self._wanted and self._wanted.search(line):
            return DONE
        if self._panicking and line.startswith(PANIC_ENDS):
            self._panicking = False
            if self._wanted:
                print("error: the program panicked", file=sys.stderr)
                return PANICKED
        return None

    def _take_rest(self) -> None:
        """Show what has come of a line that nothing will complete."""
        if rest := self._lines.rest():
            self._take(rest)

    def _advise(self, advice: str) -> None:
        if advice:
            self._view.advise(advice)

    def _out_of_time(self, timeout: float) -> int:
        if not self._wanted:
            return DONE
        print(f"error: no line matched {self._wanted.pattern} within {timeout:g} seconds", file=sys.stderr)
        return TIMED_OUT

    def _handle_keys(self) -> int | None:
        """Do what the keys say; returns a status when one asks to leave."""
        for key in self._view.keys():
            menu, self._menu = self._menu, not self._menu and key == MENU
            if not menu and key == LEAVE:
                return DONE
            if menu and key == RESET:
                self._reset()
            elif menu and key not in (LEAVE, MENU):
                self._view.ready()
            elif not self._menu:
                self._board.write(key.encode("latin-1"))
        return None


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
        with suppress(termios.error):  # the terminal may have gone
            termios.tcsetattr(handle, termios.TCSADRAIN, before)
