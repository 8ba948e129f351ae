"""The monitor between two stand-ins, a board and a user on a pseudo-terminal: they wait for events, not for a time."""

import codecs
import functools
import itertools
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, OnceOpened, Programs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mgbuild.device import monitor
from mgbuild.device.decode import Decoder
from mgbuild.device.monitor import Advice, Lines, Training
from mgbuild.errors import UserError
from mgbuild.firmware.elf import opened
from stand_in_chip import PATIENCE, StandInChip

BOOT = (
    "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    "# microgpt-lx6 v1\r\n# reset: power-on\r\n"
)
STEPS = "".join(f"step {step:4d} / 1000 | loss {3.3 - step / 1000:.4f}\r\n" for step in (1, 100, 200, 300))
NAMES = "\r\n--- inference (new, hallucinated names) ---\r\nsample  1: kamon\r\nweights crc32: e5240774\r\n"


def board(text: str = "", wire: str = "rfc2217") -> StandInChip:
    """A board that says this whenever it is reset; on its own only where the wire has a reset line."""
    return StandInChip(wire, console=text.encode())


def clock() -> Iterator[float]:
    """Seconds that pass with every look at them."""
    return itertools.count(0.0, 1.0)


@pytest.fixture
def elf(programs: Programs) -> Path:
    return programs.esp32() / "firmware.elf"


@functools.cache
def addresses(elf: Path) -> dict[str, int]:
    """Address of each function of a firmware."""
    with opened(elf) as file:
        symbols = file.get_section_by_name(".symtab").iter_symbols()
        return {symbol.name: symbol["st_value"] for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"}


def panic_at(elf: Path) -> tuple[str, str]:
    """Text of a panic in forward() that learner_pass() called, and the name of the file it is in."""
    functions = addresses(elf)
    pc, caller = functions["forward"] + 20, functions["learner_pass"] + 30
    text = (
        "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n"
        "Core  0 register dump:\r\n"
        f"PC      : 0x{pc:08x}  PS      : 0x00060030  A0      : 0x{caller | 0x80000000:08x}\r\n"
        f"\r\nBacktrace: 0x{pc:08x}:0x3ffb0100 0x{caller:08x}:0x3ffb0120\r\n\r\nRebooting...\r\n"
    )
    return text, "src_c/core/forward.c"


def test_lines_pass_as_they_are_until_the_one_that_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with board(BOOT + STEPS + NAMES) as chip:
        assert monitor.monitor(chip.port, until="^weights crc32", timeout=PATIENCE, terminal=False) == 0
    captured = capsys.readouterr()
    assert captured.out == (BOOT + STEPS + NAMES).replace("\r\n", "\n")
    assert captured.err == ""


def test_a_board_is_reset_once_and_let_go() -> None:
    with board(BOOT) as chip:
        assert monitor.monitor(chip.port, until="reset: power-on", timeout=PATIENCE, terminal=False) == 0
        assert chip.starts == 1


@pytest.mark.parametrize("wire", ["pty", "tcp"])
def test_a_port_without_reset_line_shows_what_comes(
    wire: str, once_opened: OnceOpened, capsys: pytest.CaptureFixture[str]
) -> None:
    with board(wire=wire) as chip:
        once_opened(lambda: chip.say(STEPS))
        assert monitor.monitor(chip.port, until="step  300", timeout=PATIENCE, terminal=False) == 0
        assert chip.starts == 0
    assert "step  300 / 1000 | loss 3.0000" in capsys.readouterr().out


def test_a_port_of_pyserial_that_is_no_device() -> None:
    """loop:// gives back what is written, and nothing is."""
    assert monitor.monitor("loop://", timeout=5, terminal=False, clock=clock().__next__) == 0


def test_a_line_that_does_not_come_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with board(STEPS) as chip:
        assert monitor.monitor(chip.port, until="never", timeout=50, terminal=False, clock=clock().__next__) == 1
    assert "no line matched never within 50 seconds" in capsys.readouterr().err


def test_a_timeout_alone_is_no_failure() -> None:
    with board() as chip:
        assert monitor.monitor(chip.port, timeout=9, terminal=False, clock=clock().__next__) == 0


def test_a_panic_is_explained_and_ends_the_wait(elf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = panic_at(elf)
    with board(STEPS + text) as chip:
        assert monitor.monitor(chip.port, elf, until="weights", timeout=PATIENCE, terminal=False) == 2
    captured = capsys.readouterr()
    assert "the program panicked" in captured.err
    frames = re.findall(
        rf"^  0x[0-9a-f]{{8}}: (forward at {file}:\d+|learner_pass at src_c/core/learner.c:\d+)$", captured.out, re.M
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


class TestLog:
    """log=FILE takes every line too; nothing that was in the file is lost."""

    def test_every_line_is_added_at_the_end(self, tmp_path: Path) -> None:
        log = tmp_path / "notes.txt"
        log.write_text("what the user has written\n")
        with board(STEPS + NAMES) as chip:
            monitor.monitor(chip.port, until="weights", timeout=PATIENCE, log=log, terminal=False)
        assert log.read_text() == "what the user has written\n" + (STEPS + NAMES).replace("\r\n", "\n")

    def test_a_port_that_does_not_open_leaves_it_alone(self, tmp_path: Path) -> None:
        notes, new = tmp_path / "notes.txt", tmp_path / "new.txt"
        notes.write_text("what the user has written\n")
        for log in (notes, new):
            with pytest.raises(UserError, match="there is no port"):
                monitor.monitor("/dev/no-such-port", log=log, terminal=False)
        assert notes.read_text() == "what the user has written\n"
        assert not new.exists()

    @pytest.mark.parametrize("name", [".", "no/folder.log"])
    def test_a_file_that_cannot_be_written_is_named_before_the_board_is_reset(self, name: str, tmp_path: Path) -> None:
        with board(STEPS) as chip:
            with pytest.raises(UserError, match=f"cannot write log={tmp_path / name}: "):
                monitor.monitor(chip.port, log=tmp_path / name, terminal=False)
            assert chip.starts == 0

    def test_a_full_disk_is_no_lost_board(self) -> None:
        with board(STEPS) as chip:
            with pytest.raises(UserError, match="cannot write log=/dev/full: No space left"):
                monitor.monitor(chip.port, log=Path("/dev/full"), timeout=PATIENCE, terminal=False)


class TestUnplugging:
    """A board that goes away, at any stage and on any wire, is a sentence; its last words are shown."""

    def test_while_it_talks(self, once_opened: OnceOpened, capsys: pytest.CaptureFixture[str]) -> None:
        with board(wire="tcp") as chip:
            once_opened(lambda: (chip.say(STEPS + "last wor"), chip.unplug()))
            with pytest.raises(UserError, match=f"lost the board on {chip.port} .*; plug it in"):
                monitor.monitor(chip.port, timeout=PATIENCE, terminal=False)
        assert capsys.readouterr().out == STEPS.replace("\r\n", "\n") + "last wor\n"

    @pytest.mark.parametrize("wire", ["pty", "tcp", "rfc2217"])
    def test_before_it_is_reset(self, wire: str, once_opened: OnceOpened) -> None:
        with board(wire=wire) as chip:
            once_opened(chip.unplug)
            with pytest.raises(UserError, match=f"lost the board on {chip.port} .*; plug it in"):
                monitor.monitor(chip.port, timeout=PATIENCE, terminal=False)

    def test_before_it_is_opened(self) -> None:
        with board(wire="pty") as chip:
            chip.unplug()
            with pytest.raises(UserError, match=f"there is no port {chip.port}"):
                monitor.monitor(chip.port, timeout=PATIENCE, terminal=False)


def test_what_cannot_be_opened_or_waited_for() -> None:
    with pytest.raises(UserError, match="there is no port /dev/no-such-port"):
        monitor.monitor("/dev/no-such-port", terminal=False)
    with pytest.raises(UserError, match=r"until=\( is no regular expression: missing \)"):
        monitor.monitor("loop://", until="(", terminal=False)


class TestLines:
    """Bytes become lines, however they are cut and whatever they are."""

    def test_characters_that_arrive_in_pieces_and_bytes_that_are_none(self) -> None:
        lines = Lines()
        first, rest = "é大\r\n".encode()[:3], "é大\r\n".encode()[3:]
        assert lines.feed(first) == []
        assert lines.feed(rest + b"\xff!\nend\nand") == ["é大", "\ufffd!", "end"]
        assert lines.rest() == "and"
        assert lines.rest() == ""

    @given(st.lists(st.binary(max_size=40)))
    @example([b"x" * (monitor.LINE_LIMIT - 1), b"xx\n"])
    @example([b"x" * (3 * monitor.LINE_LIMIT) + b"\r", b"\n"])
    @example([b"\xf0\x9f", b"\x92", b"\n", b"\xf0"])
    def test_where_they_are_cut_changes_nothing(self, pieces: list[bytes]) -> None:
        at_once, cut = Lines(), Lines()
        expected = at_once.feed(b"".join(pieces))
        assert [line for piece in pieces for line in cut.feed(piece)] == expected
        assert cut.rest() == at_once.rest()

    @given(st.binary(max_size=300))
    def test_nothing_is_lost(self, data: bytes) -> None:
        lines = Lines()
        text = "\n".join([*lines.feed(data), lines.rest()])
        whole = codecs.decode(data, "utf-8", "replace")
        assert text == "\n".join(line.rstrip("\r") for line in whole.split("\n"))

    def test_a_line_without_an_end_is_given_out_in_parts(self) -> None:
        lines = Lines()
        given_out = [line for _ in range(100) for line in lines.feed(b"x" * 100)]
        assert {len(line) for line in given_out} == {monitor.LINE_LIMIT}
        assert sum(map(len, given_out)) + len(lines.rest()) == 100 * 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_line_is_too_hostile(elf: Path, data: st.DataObject) -> None:
    """Noise, and lines nearly as the chip prints them, with any numbers: addresses within the program and without."""
    decoder, training, advice = parsed(elf), Training(), Advice()
    known = st.sampled_from(sorted(addresses(elf).values()) + [0, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFF])
    address = known.flatmap(lambda base: st.integers(-3, 40).map(lambda more: f"0x{(base + more) % 2**32:08x}"))
    number = st.one_of(
        st.integers(0, 10**20).map(str), st.sampled_from(["nan", "inf", "-1", "1e999", "٣", "", "3.0000"])
    )
    forms = [
        st.just("Guru Meditation Error: Core  0 panic'ed (LoadProhibited)."),
        st.tuples(address, address).map("PC      : {0[0]}  A0      : {0[1]}".format),
        st.lists(st.tuples(address, address), max_size=30).map(
            lambda frames: "Backtrace: " + " ".join(f"{pc}:{sp}" for pc, sp in frames)
        ),
        st.tuples(number, number, number).map("step {0[0]} / {0[1]} | loss {0[2]}".format),
        st.sampled_from(["rst:0x1", "csum err:0x1!=0x2", "# microgpt-lx6 v1", "weights crc32: 0"]),
        st.text(),
    ]
    stream = data.draw(st.lists(st.one_of(*forms, st.binary()).map(as_bytes), max_size=20))
    for line in Lines().feed(b"\n".join(stream) + b"\n"):
        assert all(re.fullmatch(r"  0x[0-9a-f]{8}: \S.*", explained) for explained in decoder.explain(line))
        training.read(line, 1.0)
        assert isinstance(advice.read(line, 1.0), str)
        for width in (0, 20, 200):
            assert not training.running or len(training.line(width)) <= width


def as_bytes(line: str | bytes) -> bytes:
    return line.encode() if isinstance(line, str) else line


@functools.cache
def parsed(elf: Path) -> Decoder:
    return Decoder(elf)


class TestAdvice:
    """What the ROM says, or nobody, is explained once; what a healthy board says is not."""

    def said(self, text: str) -> list[str]:
        """Advice about a console's text, all of which comes at once after a reset."""
        advice = Advice()
        advice.reset(0.0)
        return [hint for line in text.splitlines() if (hint := advice.read(line, 0.0))]

    def test_a_healthy_run_needs_none(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert not any(advice.read(line, 1.0) for line in (BOOT + STEPS + NAMES).splitlines())
        assert advice.wait(1000.0) == ""

    @pytest.mark.parametrize(
        "line",
        [
            "csum err:0x30!=0x31",
            "invalid header: 0xffffffff",
            "flash read err, 1000",
            "Fatal exception (15): LoadStore",
        ],
    )
    def test_a_damaged_image(self, line: str) -> None:
        assert self.said(f"rst:0x1 (POWERON_RESET)\n{line}\n{line}") == [monitor.DAMAGED]

    def test_an_image_that_the_rom_starts_and_that_says_nothing(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert advice.read("rst:0x1 (POWERON_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)", 0.1) == ""
        assert advice.wait(4.9) == ""
        assert advice.wait(5.0) == monitor.DAMAGED
        assert advice.wait(9.0) == ""

    def test_resets_that_follow_each_other_before_the_program_speaks(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        hints = [advice.read("rst:0x10 (RTCWDT_RTC_RESET)", second) + advice.wait(second) for second in range(9)]
        assert [hint for hint in hints if hint] == [monitor.DAMAGED]

    @pytest.mark.parametrize("line", ["rst:0x1 (POWERON_RESET),boot:0xf (UART_BOOT(UART0))", "waiting for download"])
    def test_a_chip_in_its_loader(self, line: str) -> None:
        assert self.said(line) == [monitor.IN_LOADER]

    def test_silence(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert advice.wait(4.9) == ""
        assert advice.wait(5.0) == monitor.SILENT
        assert advice.wait(6.0) == ""
        advice.reset(6.0)
        assert advice.wait(11.0) == ""

    def test_a_program_in_the_middle_of_its_run_is_not_silent(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert advice.read("step    1 / 1000 | loss 3.3000", 1.0) == ""
        assert advice.wait(100.0) == ""

    def test_a_line_that_is_not_complete_is_no_silence(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        advice.hear()
        assert advice.wait(100.0) == ""

    def test_a_panic_may_happen_and_a_loop_of_them_is_named(self) -> None:
        panic = BOOT + "Guru Meditation Error: Core  0 panic'ed (X).\nBacktrace: 0x40080000:0x3ffb0000\nRebooting...\n"
        assert self.said(2 * panic + BOOT + NAMES + 2 * panic) == []
        assert self.said(5 * panic) == [monitor.PANIC_LOOP]

    def test_it_goes_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        with board("rst:0x1\r\ncsum err:0x30!=0x31\r\nend\r\n") as chip:
            monitor.monitor(chip.port, until="end", timeout=PATIENCE, terminal=False)
        captured = capsys.readouterr()
        assert captured.err == f"hint: {monitor.DAMAGED}\n"
        assert captured.out == "rst:0x1\ncsum err:0x30!=0x31\nend\n"


def test_progress_average_and_time_left() -> None:
    training = Training()
    assert not training.running
    for second, step, loss in ((0.0, 1, 3.0), (1.0, 101, 2.0), (2.0, 201, 1.0)):
        assert training.read(f"step {step:4d} / 1000 | loss {loss:.4f}", second)
    assert training.running
    assert training.average == pytest.approx(2.0)
    assert training.seconds_left == pytest.approx(7.99)
    assert "━━━━──────────────── step 201 / 1000  loss 1.0000, mean of 3: 2.0000  0:07 left  █" in training.line(120)
    assert training.line(120).endswith("▁")
    assert not training.read("rst:0x7 (TG0WDT_SYS_RESET),boot:0x13", 3.0)
    assert not training.running


def test_the_next_run_starts_its_progress_anew() -> None:
    training = Training()
    for second, step in enumerate((1, 1000, 1, 101)):
        training.read(f"step {step:4d} / 1000 | loss 2.0000", float(second))
    assert training.seconds_left == pytest.approx(8.99)
    assert len(training.losses) == 2


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (20, "step 300 / 1000"),
        (30, "step 300 / 1000  loss 3.0000"),
        (40, "step 300 / 1000  loss 3.0000  0:07 left"),
        (60, "━━━━━━────────────── step 300 / 1000  loss 3.0000  0:07 left"),
        (80, "━━━━━━────────────── step 300 / 1000  loss 3.0000, mean of 4: 3.1498  0:07 left"),
        (100, "━━━━━━────────────── step 300 / 1000  loss 3.0000, mean of 4: 3.1498  0:07 left  █▆▃▁"),
    ],
)
def test_a_narrow_terminal_shows_what_matters_and_crops_nothing(width: int, shown: str) -> None:
    training = Training()
    for second, line in enumerate(STEPS.splitlines()):
        training.read(line, second)
    assert training.line(width) == shown


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
        code = (
            "import sys\nfrom mgbuild.device.monitor import monitor\nfrom mgbuild.errors import UserError\n"
            f"try: sys.exit(monitor({port!r}))\nexcept UserError as error: sys.exit(str(error))"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons"), "TERM": "xterm", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=environment
        )
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode("latin-1"))

    def see(self, text: str) -> None:
        """Wait until the screen has shown this text."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")


@pytest.fixture(params=["rfc2217", "pty"])
def chip(request: pytest.FixtureRequest) -> Iterator[StandInChip]:
    with board(BOOT + STEPS, request.param) as one:
        yield one


@pytest.fixture
def terminal(chip: StandInChip) -> Iterator[Terminal]:
    user = Terminal(chip.port)
    user.see("Ctrl-] leaves")
    yield user
    user.process.kill()
    user.process.wait()
    os.close(user.master)
    os.close(user.slave)


class TestTerminal:
    """On a terminal the training is shown live, keys do something, and the terminal is left as it was."""

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    def test_progress_and_restarts(self, terminal: Terminal, chip: StandInChip) -> None:
        chip.say(BOOT + STEPS)
        terminal.see("step 300 / 1000  loss 3.0000, mean of 4:")
        assert any(bar in terminal.seen for bar in "▂▃▄▅▆▇█")
        chip.say("rst:0x7 (TG0WDT_SYS_RESET)\r\n")
        terminal.see("restart")
        terminal.press("\x1d")
        assert terminal.process.wait(timeout=PATIENCE) == 0
        assert termios.tcgetattr(terminal.slave) == terminal.settings

    def test_keys_go_to_the_chip(self, terminal: Terminal, chip: StandInChip) -> None:
        terminal.press("x")
        assert chip.hear() == b"x"
        terminal.press("\x14\x1d")  # Ctrl-T Ctrl-]
        assert chip.hear() == b"\x1d"
        terminal.press("\x14\x12")  # Ctrl-T Ctrl-R: a reset, and nothing for the chip to read
        terminal.press("y")
        assert chip.hear() == b"y"
        assert chip.starts == (2 if chip.wire == "rfc2217" else 0)

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    def test_noise_cannot_set_up_the_terminal(self, terminal: Terminal, chip: StandInChip) -> None:
        chip.say("\x1b[2Jgone?\x07 \x9b1m\r\n")
        terminal.see("␛[2Jgone?␇ \ufffd1m")

    def test_unplugging_is_said(self, terminal: Terminal, chip: StandInChip) -> None:
        chip.unplug()
        terminal.see(f"lost the board on {chip.port}")
        assert terminal.process.wait(timeout=PATIENCE) == 1
        assert termios.tcgetattr(terminal.slave) == terminal.settings

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    def test_ctrl_c_leaves_and_restores_the_terminal(self, terminal: Terminal) -> None:
        terminal.process.send_signal(2)
        assert terminal.process.wait(timeout=PATIENCE) == 130
        assert termios.tcgetattr(terminal.slave) == terminal.settings
