"""The monitor, on pseudo-terminals: one plays the board, another the user's terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from mgbuild.device import monitor
from mgbuild.device.decode import Decoder
from mgbuild.device.monitor import Training
from mgbuild.errors import UserError

BOOT = (
    "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n# reset: power-on\r\n"
)
STEPS = "".join(f"step {step:4d} / 1000 | loss {3.3 - step / 1000:.4f}\r\n" for step in (1, 100, 200, 300))
NAMES = "\r\n--- inference (new, hallucinated names) ---\r\nsample  1: kamon\r\nweights crc32: e5240774\r\n"


class Board:
    """The board's end of a serial port."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave

    def say(self, text: str | bytes) -> None:
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def say_soon(self, text: str | bytes, seconds: float = 0.3) -> None:
        """Say it once the monitor has opened the port, which throws away what has come before."""
        threading.Timer(seconds, self.say, [text]).start()

    def hear(self, seconds: float = 20) -> bytes:
        return os.read(self.master, 100) if select.select([self.master], [], [], seconds)[0] else b""

    def unplug(self) -> None:
        for handle in (self.master, self._slave):
            if handle >= 0:
                os.close(handle)
        self.master = self._slave = -1


@pytest.fixture
def board() -> Iterator[Board]:
    one = Board()
    yield one
    one.unplug()


@pytest.fixture
def elf(programs: Programs) -> Path:
    return programs.esp32() / "firmware.elf"


def panic_at(elf: Path) -> tuple[str, str]:
    """Text of a panic in forward() that trainer_step() called, and the name of the file it is in."""
    symbols = {name: address for address, name in Decoder(elf)._functions}
    pc, caller = symbols["forward"] + 20, symbols["trainer_step"] + 30
    text = (
        "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n"
        "Core  0 register dump:\r\n"
        f"PC      : 0x{pc:08x}  PS      : 0x00060030  A0      : 0x{caller | 0x80000000:08x}\r\n"
        f"\r\nBacktrace: 0x{pc:08x}:0x3ffb0100 0x{caller:08x}:0x3ffb0120\r\n\r\nRebooting...\r\n"
    )
    return text, "src_c/core/forward.c"


def test_lines_pass_as_they_are_until_the_one_that_is_waited_for(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    board.say_soon(BOOT + STEPS + NAMES)
    assert monitor.monitor(board.port, until="^weights crc32", timeout=10, terminal=False) == 0
    assert capsys.readouterr().out == (BOOT + STEPS + NAMES).replace("\r\n", "\n")


def test_characters_that_arrive_in_pieces_and_bytes_that_are_none(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    first, rest = "é大\n".encode()[:3], "é大\n".encode()[3:]
    board.say_soon(first)
    board.say_soon(rest + b"\xff!\nend\n", seconds=0.6)
    assert monitor.monitor(board.port, until="end", timeout=10, terminal=False) == 0
    assert capsys.readouterr().out == "é大\n\ufffd!\nend\n"


def test_a_line_that_does_not_come_in_time(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    board.say_soon(STEPS)
    begin = time.monotonic()
    assert monitor.monitor(board.port, until="never", timeout=0.5, terminal=False) == 1
    assert time.monotonic() - begin < 5
    assert "no line matched never within 0.5 seconds" in capsys.readouterr().err


def test_a_timeout_alone_is_no_failure(board: Board) -> None:
    assert monitor.monitor(board.port, timeout=0.2, terminal=False) == 0


def test_a_panic_is_explained_and_ends_the_wait(board: Board, elf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = panic_at(elf)
    board.say_soon(STEPS + text)
    assert monitor.monitor(board.port, elf, until="weights", timeout=10, terminal=False) == 2
    captured = capsys.readouterr()
    assert "the program panicked" in captured.err
    frames = re.findall(
        rf"^  0x[0-9a-f]{{8}}: (forward at {file}:\d+|trainer_step at src_c/core/trainer.c:\d+)$", captured.out, re.M
    )
    assert len(frames) == 4  # PC and A0, then the backtrace


def test_addresses_outside_a_panic_are_left_alone(elf: Path) -> None:
    text, _ = panic_at(elf)
    decoder = Decoder(elf)
    explained = [line for part in text.splitlines() for line in decoder.explain(part)]
    assert explained
    assert not any(decoder.explain(line) for line in text.splitlines() if "Guru" not in line)
    assert decoder.place(0x3FFB0000) is None


def test_the_decoder_refuses_what_is_no_elf(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        Decoder(tmp_path / "missing.elf")
    (tmp_path / "text.elf").write_text("no ELF")
    with pytest.raises(UserError, match="is not an ELF file"):
        Decoder(tmp_path / "text.elf")


def test_the_log_holds_every_line(board: Board, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    board.say_soon(STEPS + NAMES)
    monitor.monitor(board.port, until="weights", timeout=10, log=log, terminal=False)
    assert log.read_text() == (STEPS + NAMES).replace("\r\n", "\n")
    with pytest.raises(UserError, match="cannot write log="):
        monitor.monitor(board.port, log=tmp_path / "no" / "folder.log", terminal=False)


def test_unplugging_is_said(board: Board) -> None:
    board.say_soon(STEPS)
    threading.Timer(0.3, board.unplug).start()
    with pytest.raises(UserError, match="lost the board on .*; plug it in"):
        monitor.monitor(board.port, timeout=10, terminal=False)


def test_what_cannot_be_opened_or_waited_for(board: Board) -> None:
    with pytest.raises(UserError, match="there is no port /dev/no-such-port"):
        monitor.monitor("/dev/no-such-port", terminal=False)
    with pytest.raises(UserError, match=r"until=\( is no regular expression: missing \)"):
        monitor.monitor(board.port, until="(", terminal=False)


def test_progress_average_and_time_left() -> None:
    training = Training()
    assert not training.running
    for second, step, loss in ((0.0, 1, 3.0), (1.0, 101, 2.0), (2.0, 201, 1.0)):
        assert training.read(f"step {step:4d} / 1000 | loss {loss:.4f}", second)
    assert training.running
    assert training.average == pytest.approx(2.0)
    assert training.seconds_left == pytest.approx(7.99)
    assert "step 201 / 1000  loss 1.0000, mean of 3: 2.0000  0:07 left  █" in training.line()
    assert training.line().endswith("▁")
    assert not training.read("rst:0x7 (TG0WDT_SYS_RESET),boot:0x13", 3.0)
    assert not training.running


@pytest.mark.parametrize(
    ("values", "bars"),
    [([1.0], "▁"), ([2.0, 2.0], "▁▁"), ([0.0, 7.0], "▁█"), ([float(i) for i in range(8)], "▁▂▃▄▅▆▇█")],
)
def test_sparkline(values: list[float], bars: str) -> None:
    assert monitor.sparkline(values) == bars


def test_a_sparkline_keeps_its_width() -> None:
    assert len(monitor.sparkline([float(i % 17) for i in range(1000)], width=40)) == 40


class Terminal:
    """A user before the monitor: a process of its own on a pseudo-terminal."""

    def __init__(self, port: str) -> None:
        self.master, self.slave = pty.openpty()
        self.settings = termios.tcgetattr(self.slave)
        code = f"import sys; from mgbuild.device.monitor import monitor; sys.exit(monitor({port!r}))"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons"), "TERM": "xterm", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=environment
        )
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode("latin-1"))

    def see(self, text: str, seconds: float = 10) -> None:
        """Wait until the screen has shown this text."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")


@pytest.fixture
def terminal(board: Board) -> Iterator[Terminal]:
    user = Terminal(board.port)
    yield user
    user.process.kill()
    user.process.wait()
    os.close(user.master)
    os.close(user.slave)


def test_on_a_terminal_the_training_is_shown_live(terminal: Terminal, board: Board) -> None:
    terminal.see("Ctrl-] leaves")
    board.say(BOOT + STEPS)
    terminal.see("step 300 / 1000  loss 3.0000, mean of 4:")
    assert any(bar in terminal.seen for bar in "▂▃▄▅▆▇█")
    board.say("rst:0x7 (TG0WDT_SYS_RESET)\r\n")
    terminal.see("restart")
    terminal.press("\x1d")
    assert terminal.process.wait(timeout=10) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.settings


def test_keys_go_to_the_chip(terminal: Terminal, board: Board) -> None:
    terminal.see("Ctrl-] leaves")
    terminal.press("x")
    assert board.hear() == b"x"
    terminal.press("\x14\x1d")  # Ctrl-T Ctrl-]
    assert board.hear() == b"\x1d"
    terminal.press("\x14\x12")  # Ctrl-T Ctrl-R: a reset, and nothing for the chip to read
    terminal.press("y")
    assert board.hear() == b"y"


def test_ctrl_c_leaves_and_restores_the_terminal(terminal: Terminal, board: Board) -> None:
    terminal.see("Ctrl-] leaves")
    terminal.process.send_signal(2)
    assert terminal.process.wait(timeout=10) == 130
    assert termios.tcgetattr(terminal.slave) == terminal.settings
