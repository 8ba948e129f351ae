"""A stand-in for the program on a board, as its console speaks: it trains, invents names, and answers at a prompt.

What is typed is echoed; a key stops training and names; each answer ends with `ok` or `error: ...`. What it prints is
no model's: losses fall along a curve, names repeat.
"""

import itertools
import math
import queue
import threading
from collections.abc import Iterator

from stand_in_chip import PATIENCE, StandInChip

BOOT = "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n# microgpt-lx6 v1\r\n# reset: power-on\r\n"
NAMES = ("kamon", "ann", "karai", "jaire", "vialan", "karia", "yeran")
PANIC = (
    "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n"
    "Backtrace: 0x40080000:0x3ffb0100\r\n\r\nRebooting...\r\n"
)


def step_line(step: int, steps: int) -> str:
    """A line of training."""
    loss = 2.3 + math.exp(-3 * step / steps) + 0.3 * math.sin(step * 1.7)
    return f"step {step:4d} / {steps:4d} | loss {loss:.4f}"


class StandInConsole:
    """The program on `chip`. Commands of its own: `panic`, `restart`, `vanish`, `noise`, `mute` do what they say.

    running: whether it trains when it begins, else it waits at its prompt. version: what `info` says first. A line of
    output comes every `seconds`, and one of training every `log_every` of `steps`.
    """

    def __init__(
        self,
        chip: StandInChip,
        running: bool = True,
        steps: int = 1000,
        log_every: int = 100,
        seconds: float = 0.01,
        version: str = "microgpt-lx6 v1",
    ) -> None:
        self._version = version
        self._chip, self._steps, self._log_every, self._seconds = chip, steps, log_every, seconds
        self.typed: list[str] = []  # lines that have been entered
        self.stops = 0  # how often what ran was stopped
        self._step, self._line, self._running = 0, "", running
        self._work: Iterator[str] = iter(())
        self._is_command = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "StandInConsole":
        if self._running:
            self._start(self._whole_run())
        else:
            self._chip.say("> ")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=PATIENCE)

    def _serve(self) -> None:
        starts = self._chip.starts
        while not self._stop.is_set():
            if self._chip.starts != starts:  # its reset line
                starts = self._chip.starts
                self._start(self._whole_run())
            try:
                for key in self._chip.heard.get(timeout=self._seconds).decode("utf-8", "replace"):
                    self._take(key)
            except queue.Empty:
                self._go_on()

    def _start(self, work: Iterator[str], is_command: bool = False) -> None:
        self._work, self._running, self._is_command = work, True, is_command

    def _go_on(self) -> None:
        if not (self._running and self._chip.runs_program):
            return
        line = next(self._work, None)
        if line is not None:
            self._chip.say(line + "\r\n")
        else:
            self._running = False
            self._chip.say("ok\r\n> " if self._is_command else "> ")

    def _take(self, key: str) -> None:
        if self._running:
            self._running = False
            self.stops += 1
            self._chip.say("ok\r\n> " if self._is_command else "> ")
        elif key == "\x03":
            self._line = ""
            self._chip.say("^C\r\n> ")
        elif key in "\r\n":
            line, self._line = self._line, ""
            self.typed.append(line)
            self._chip.say("\r\n")
            self._answer(line)
        elif key in "\b\x7f":
            self._chip.say("\b \b" if self._line else "\a")
            self._line = self._line[:-1]
        elif key >= " ":
            self._line += key
            self._chip.say(key)

    def _answer(self, line: str) -> None:
        match line.split():
            case ["train", *_]:
                self._start(self._train(), is_command=True)
            case ["names", count]:
                self._start((NAMES[i % len(NAMES)] for i in range(int(count))), is_command=True)
            case ["reset"]:
                self._chip.say("ok\r\n" + BOOT)
                self._start(self._whole_run())
            case ["restart"]:
                self._chip.say(BOOT)
                self._start(self._whole_run())
            case ["panic"]:
                self._chip.say(PANIC + BOOT)
                self._start(self._whole_run())
            case ["vanish"]:
                self._chip.say("last wor")
                self._chip.unplug()
            case ["noise"]:
                self._chip.say(b"\xff\x1b[2J\x9b1m\x07\xf0\r\nok\r\n\x00\xfe> ")
            case ["info"]:
                self._chip.say(f"{self._version}\r\nESP32\r\nok\r\n> ")
            case ["mute"]:
                self._chip.say("> ")
            case []:
                self._chip.say("> ")
            case ["set" | "loss" | "temperature" | "echo", *words]:
                self._chip.say(f"# {' '.join(words)}\r\nok\r\n> ")
            case [command, *_]:
                self._chip.say(f"error: no command {command}; help lists them\r\n> ")

    def _train(self) -> Iterator[str]:
        while self._step < self._steps:
            self._step = min(self._step - self._step % self._log_every + self._log_every, self._steps)
            yield step_line(self._step, self._steps)
        yield from ("", "--- inference (new, hallucinated names) ---")
        for number, name in zip(range(1, 21), itertools.cycle(NAMES), strict=False):
            yield f"sample {number:2d}: {name}"
        yield "weights crc32: e5240774"

    def _whole_run(self) -> Iterator[str]:
        self._step = 0
        yield from ("num docs: 32033", "vocab size: 27", "num params: 4192", step_line(1, self._steps))
        yield from self._train()
        yield "# more names; a key gives the prompt"
        yield from itertools.cycle(NAMES)
