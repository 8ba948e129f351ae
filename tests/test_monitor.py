"""The monitor between two stand-ins, a board and a user on a pseudo-terminal: they wait for events, not for a time."""

import functools
import itertools
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import stand_in_console
from conftest import OnceOpened, Programs, run_scons
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mgbuild.console.lines import Lines
from mgbuild.console.training import Training
from mgbuild.device import advice as hints
from mgbuild.device import monitor
from mgbuild.device.advice import Advice
from mgbuild.device.decode import Decoder
from mgbuild.device.script import DONE, LOST, NOT_SEEN, QUIET_SECONDS, REFUSED, RESTARTED, Script
from mgbuild.errors import UserError
from mgbuild.firmware.elf import opened
from stand_in_chip import PATIENCE, StandInChip
from stand_in_console import StandInConsole
from stand_in_user import Terminal

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


def watch(chip: StandInChip, until: str = "", timeout: float = PATIENCE, **words: Any) -> int:
    """Exit status of a monitor that writes into a pipe and waits for a line."""
    wanted = re.compile(until) if until else None
    return monitor.monitor(chip.port, until=wanted, timeout=timeout, terminal=False, **words)


@pytest.fixture
def elf(programs: Programs) -> Path:
    return programs.esp32() / "firmware.elf"


@functools.cache
def addresses(elf: Path) -> dict[str, int]:
    """Address of each function of a firmware."""
    with opened(elf) as file:
        symbols = file.get_section_by_name(".symtab").iter_symbols()
        return {symbol.name: symbol["st_value"] for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"}


def panic_at(elf: Path) -> str:
    """Text of a panic in forward() that learner_pass() called."""
    functions = addresses(elf)
    pc, caller = functions["forward"] + 20, functions["learner_pass"] + 30
    return (
        "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n"
        "Core  0 register dump:\r\n"
        f"PC      : 0x{pc:08x}  PS      : 0x00060030  A0      : 0x{caller | 0x80000000:08x}\r\n"
        f"\r\nBacktrace: 0x{pc:08x}:0x3ffb0100 0x{caller:08x}:0x3ffb0120\r\n\r\nRebooting...\r\n"
    )


def test_lines_pass_as_they_are_until_the_one_that_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with board(BOOT + STEPS + NAMES) as chip:
        assert watch(chip, "^weights crc32") == 0
    captured = capsys.readouterr()
    assert captured.out == (BOOT + STEPS + NAMES).replace("\r\n", "\n")
    assert captured.err == ""


def test_a_board_is_reset_once_and_let_go() -> None:
    with board(BOOT) as chip:
        assert watch(chip, "reset: power-on") == 0
        assert chip.starts == 1


@pytest.mark.parametrize("wire", ["pty", "tcp"])
def test_a_port_without_reset_line_shows_what_comes(
    wire: str, once_opened: OnceOpened, capsys: pytest.CaptureFixture[str]
) -> None:
    with board(wire=wire) as chip:
        once_opened(lambda: chip.say(STEPS))
        assert watch(chip, "step  300") == 0
        assert chip.starts == 0
    assert "step  300 / 1000 | loss 3.0000" in capsys.readouterr().out


def test_a_port_of_pyserial_that_is_no_device() -> None:
    """loop:// gives back what is written, and nothing is."""
    assert monitor.monitor("loop://", timeout=5, terminal=False, clock=clock().__next__) == 0


def test_a_line_that_does_not_come_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with board(STEPS) as chip:
        assert watch(chip, "never", timeout=50, clock=clock().__next__) == NOT_SEEN
    assert "no line matched never within 50 seconds" in capsys.readouterr().err


def test_a_timeout_alone_is_no_failure() -> None:
    with board() as chip:
        assert monitor.monitor(chip.port, timeout=9, terminal=False, clock=clock().__next__) == 0


def test_a_panic_is_explained_and_ends_the_wait(elf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = panic_at(elf)
    with board(STEPS + text) as chip:
        assert watch(chip, "weights", elf=elf) == RESTARTED
    captured = capsys.readouterr()
    assert "the program panicked" in captured.err
    # In forward(), the line may be that of a function that the compiler has put there.
    frames = re.findall(
        r"^  0x[0-9a-f]{8}: (forward at src_c/core/\w+\.[ch]:\d+|learner_pass at src_c/core/learner.c:\d+)$",
        captured.out,
        re.M,
    )
    assert len(frames) == 4  # PC and A0, then the backtrace


def test_addresses_outside_a_panic_are_left_alone(elf: Path) -> None:
    text = panic_at(elf)
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
            watch(chip, "weights", log=log)
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
            assert watch(chip) == LOST
        captured = capsys.readouterr()
        assert captured.out == STEPS.replace("\r\n", "\n") + "last wor\n"
        assert re.match(f"error: lost the board on {chip.port} .*; plug it in", captured.err)

    @pytest.mark.parametrize("wire", ["pty", "tcp", "rfc2217"])
    def test_before_it_is_reset(self, wire: str, once_opened: OnceOpened, capsys: pytest.CaptureFixture[str]) -> None:
        with board(wire=wire) as chip:
            once_opened(chip.unplug)
            assert watch(chip) == LOST
        assert re.match(f"error: lost the board on {chip.port} .*; plug it in", capsys.readouterr().err)

    def test_before_it_is_opened(self) -> None:
        with board(wire="pty") as chip:
            chip.unplug()
            with pytest.raises(UserError, match=f"there is no port {chip.port}"):
                watch(chip)


def test_a_port_that_does_not_open() -> None:
    with pytest.raises(UserError, match="there is no port /dev/no-such-port"):
        monitor.monitor("/dev/no-such-port", terminal=False)


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
            assert all(len(row) <= width for row in training.rows(width))


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
        assert self.said(f"rst:0x1 (POWERON_RESET)\n{line}\n{line}") == [hints.DAMAGED]

    def test_an_image_that_the_rom_starts_and_that_says_nothing(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert advice.read("rst:0x1 (POWERON_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)", 0.1) == ""
        assert advice.wait(4.9) == ""
        assert advice.wait(5.0) == hints.DAMAGED
        assert advice.wait(9.0) == ""

    def test_resets_that_follow_each_other_before_the_program_speaks(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        said = [advice.read("rst:0x10 (RTCWDT_RTC_RESET)", second) + advice.wait(second) for second in range(9)]
        assert [hint for hint in said if hint] == [hints.DAMAGED]

    @pytest.mark.parametrize("line", ["rst:0x1 (POWERON_RESET),boot:0xf (UART_BOOT(UART0))", "waiting for download"])
    def test_a_chip_in_its_loader(self, line: str) -> None:
        assert self.said(line) == [hints.IN_LOADER]

    def test_silence(self) -> None:
        advice = Advice()
        advice.reset(0.0)
        assert advice.wait(4.9) == ""
        assert advice.wait(5.0) == hints.SILENT
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
        assert self.said(5 * panic) == [hints.PANIC_LOOP]

    def test_it_goes_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        with board("rst:0x1\r\ncsum err:0x30!=0x31\r\nend\r\n") as chip:
            watch(chip, "end")
        captured = capsys.readouterr()
        assert captured.err == f"hint: {hints.DAMAGED}\n"
        assert captured.out == "rst:0x1\ncsum err:0x30!=0x31\nend\n"


class TestScript:
    """send= and until=: a board that trains, invents names or waits is asked; the status says how it went."""

    def run(self, *sends: str, until: str = "", running: bool = True, wire: str = "pty", **words: Any) -> int:
        """Exit status of a monitor that sends these lines to the stand-in, which stays in self.console."""
        with StandInChip(wire, console=b"") as chip, StandInConsole(chip, running) as self.console:
            status = watch(chip, until, sends=sends, **words)
            self.starts = chip.starts
            return status

    @pytest.mark.parametrize("wire", ["pty", "tcp", "rfc2217"])
    @pytest.mark.parametrize("running", [True, False])
    def test_each_line_waits_for_the_answer_to_the_one_before(
        self, wire: str, running: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run("set n_embd=24", "train", "names 3", running=running, wire=wire) == DONE
        assert self.console.typed == ["set n_embd=24", "train", "names 3"]
        assert self.starts == 0, "a reset would lose what the chip has learned"
        captured = capsys.readouterr()
        assert "> set n_embd=24\n# n_embd=24\nok\n> train\n" in captured.out
        assert captured.out.endswith("weights crc32: e5240774\nok\n> names 3\nkamon\nann\nkarai\nok\n")
        assert captured.err == ""

    def test_names_without_end_are_stopped_first(self) -> None:
        with StandInChip("pty", console=b"") as chip, StandInConsole(chip, seconds=0.001) as console:
            assert watch(chip, "^more", sends=["echo x"]) == NOT_SEEN
            assert console.stops == 1

    def test_a_line_that_is_waited_for_comes_after_the_last_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("echo weights", "train", until="^(# )?weights|> train") == DONE
        assert capsys.readouterr().out.endswith("\nweights crc32: e5240774\n"), "neither the first answer nor the echo"

    def test_utf8_arrives_whole(self) -> None:
        assert self.run("loss Zoë大") == DONE
        assert self.console.typed == ["loss Zoë大"]

    def test_an_error_ends_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("trian", "names 3") == REFUSED
        assert self.console.typed == ["trian"]
        assert capsys.readouterr().err == "error: trian: no command trian; help lists them\n"

    def test_an_answer_without_a_verdict(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("mute", "names 3") == REFUSED
        assert "mute: the answer ends with neither ok nor error" in capsys.readouterr().err

    def test_a_line_that_will_not_come_any_more(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("names 3", until="never") == NOT_SEEN
        assert capsys.readouterr().err == "error: no line matched never, and the board waits for a command\n"

    def test_an_answer_that_does_not_come_in_time(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("names 100000", timeout=1) == NOT_SEEN
        assert capsys.readouterr().err == "error: no answer to names 100000 within 1 seconds\n"

    def test_a_board_that_gives_no_prompt(self, capsys: pytest.CaptureFixture[str]) -> None:
        with StandInChip("pty", console=b"") as chip:
            status = watch(chip, sends=["info"], timeout=0, clock=(0.1 * second for second in clock()).__next__)
            assert status == NOT_SEEN
            assert set(chip.hear()) == {0x03}
        assert capsys.readouterr().err == "error: the board gave no prompt within 10 seconds of Ctrl-C\n"

    def test_a_panic_ends_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("panic", "names 3") == RESTARTED
        assert "error: the program panicked" in capsys.readouterr().err

    def test_a_reset_that_nobody_asked_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("restart", until="weights") == RESTARTED
        assert capsys.readouterr().err == "error: the chip restarted before it had answered restart\n"

    def test_a_reset_that_was_asked_for(self) -> None:
        assert self.run("reset") == DONE
        assert self.run("reset", "names 3") == DONE
        assert self.run("reset", until="^weights crc32") == DONE
        assert self.console.stops == 1, "the run after the reset is left alone"

    def test_unplugging(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("vanish") == LOST
        captured = capsys.readouterr()
        assert captured.out.endswith("> vanish\nlast wor\n")
        assert captured.err.startswith("error: lost the board on ")

    def test_noise_is_shown_and_hides_no_answer(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("noise", "names 3") == DONE
        captured = capsys.readouterr()
        assert all(character.isprintable() or character == "\n" for character in captured.out)
        assert "\n\ufffd␛[2J\ufffd1m␇\ufffd\nok\n" in captured.out

    def test_a_name_that_looks_like_an_answer_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stand_in_console, "NAMES", ("ok", "error: x", "> ", "> ok"))
        assert self.run("names 4", "names 5") == DONE
        assert self.console.typed == ["names 4", "names 5"]

    def test_a_line_that_begins_like_a_prompt_is_none(self) -> None:
        """Where the wire cuts it there; a prompt is what nothing follows for a while."""
        script = Script(["names 2", "names 3"], None, 0.0)
        assert script.wait("> ", False, 1.0) == b"names 2\r"
        for line in ("> names 2", "ok"):
            script.read(line, 1.1)
        assert script.wait("> ", True, 1.1) == b""
        for line in ("> a name", "ok"):
            script.read(line, 1.2)
        assert script.wait("> ", True, 1.2) == b""
        assert script.wait("> ", False, 1.2 + QUIET_SECONDS) == b"names 3\r"

    def test_the_log_has_every_line_as_it_was_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run("set n_embd=24", log=tmp_path / "run.log") == DONE
        assert (tmp_path / "run.log").read_text() == capsys.readouterr().out

    def test_scons_ends_with_these_statuses(self, tmp_path: Path) -> None:
        """The build's own status is 2 for everything else."""
        build = f"build={tmp_path / 'build'}"
        with StandInChip("pty", console=b"") as chip, StandInConsole(chip):
            port = f"port={chip.port}"
            done = run_scons("monitor", build, port, "send=set n_embd=24", "send=train", "until=^weights crc32")
            assert done.returncode == DONE
            assert "> set n_embd=24\n# n_embd=24\nok\n> train\n" in done.stdout
            assert "\x1b" not in done.stdout + done.stderr
            refused = run_scons("monitor", build, port, "send=trian")
            assert (refused.returncode, "no command trian" in refused.stderr) == (REFUSED, True)
            assert run_scons("monitor", build, port, "send=names 3", "until=never").returncode == NOT_SEEN
            assert run_scons("monitor", build, port, "send=panic").returncode == RESTARTED
            assert run_scons("monitor", build, port, "send=vanish").returncode == LOST
        for word in (port, "until=(", "send=", "send=two\nlines"):
            assert run_scons("monitor", build, "port=/dev/no-such-port", word).returncode == 2


def at_terminal(port: str, sends: Sequence[str] = ()) -> Terminal:
    """A user before the monitor of a port."""
    return Terminal(
        "import sys\nfrom mgbuild.device.monitor import monitor\nfrom mgbuild.errors import UserError\n"
        f"try: sys.exit(monitor({port!r}, sends={sends!r}))\nexcept UserError as error: sys.exit(str(error))"
    )


@pytest.fixture(params=["rfc2217", "pty"])
def chip(request: pytest.FixtureRequest) -> Iterator[StandInChip]:
    with board(BOOT + STEPS, request.param) as one:
        yield one


@pytest.fixture
def terminal(chip: StandInChip) -> Iterator[Terminal]:
    user = at_terminal(chip.port)
    user.see("Ctrl-] leaves")
    yield user
    user.close()


class TestTerminal:
    """On a terminal the training is shown live, keys do something, and the terminal is left as it was."""

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    def test_progress_and_restarts(self, terminal: Terminal, chip: StandInChip) -> None:
        chip.say(BOOT + STEPS)
        terminal.see("loss, mean of 4: 3.1498")
        assert any(bar in terminal.seen for bar in "▂▃▄▅▆▇█")
        chip.say("rst:0x7 (TG0WDT_SYS_RESET)\r\n")
        terminal.see("restart")
        terminal.press("\x1d")
        assert terminal.ended() == DONE

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

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    @pytest.mark.parametrize(
        "keys", ["\x03", "\x1a\x1c\x11\x13\x16\x0f", "\r", "\n", "é大", "\x1b[A\x1b[3~", "\x7f\x08"]
    )
    def test_every_key_arrives_as_it_was_pressed(self, keys: str, terminal: Terminal, chip: StandInChip) -> None:
        terminal.press(keys)
        heard = b""
        while len(heard) < len(keys.encode()):
            heard += chip.hear()
        assert heard == keys.encode()

    def test_unplugging_is_said(self, terminal: Terminal, chip: StandInChip) -> None:
        chip.unplug()
        terminal.see(f"lost the board on {chip.port}")
        assert terminal.ended() == LOST

    @pytest.mark.parametrize("chip", ["pty"], indirect=True)
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_it(self, number: int, terminal: Terminal) -> None:
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number


class TestConversation:
    """A user at a terminal, a program at its prompt."""

    @pytest.fixture
    def chip(self) -> Iterator[StandInChip]:
        with StandInChip("pty", console=b"") as chip:
            yield chip

    @pytest.fixture
    def console(self, chip: StandInChip, terminal: Terminal) -> Iterator[StandInConsole]:
        with StandInConsole(chip, running=False) as console:
            terminal.see("> ")
            yield console

    def test_what_is_typed_is_echoed_once_and_edited(self, terminal: Terminal, console: StandInConsole) -> None:
        terminal.press("lossé emmb")
        terminal.see("> lossé emmb")
        terminal.press("\x7fa")
        terminal.see("> lossé emmb\b \ba")
        terminal.press("\r")
        terminal.see("help lists them\r\n> ")
        assert console.typed == ["lossé emma"]

    def test_pasted_lines_wait_for_their_turn(self, terminal: Terminal, console: StandInConsole) -> None:
        terminal.press("train\rnames 3\rloss emma\r")
        terminal.see("> loss emma\r\n# emma\r\nok\r\n> ")
        assert console.typed == ["train", "names 3", "loss emma"]
        assert console.stops == 0
        assert "weights crc32: e5240774" in terminal.seen

    def test_ctrl_c_stops_what_runs(self, terminal: Terminal, console: StandInConsole) -> None:
        terminal.press("names 100000\r")
        terminal.see("karai")
        terminal.press("\x03")
        terminal.see("ok\r\n> ")
        assert console.stops == 1
        assert terminal.process.poll() is None
        terminal.press("\x1d")
        assert terminal.ended() == DONE

    def test_a_reset_in_the_middle(self, terminal: Terminal, console: StandInConsole) -> None:
        terminal.press("train\r")
        terminal.see("weights crc32")
        terminal.press("restart\r")
        terminal.see("restart")
        terminal.see("step 1000 / 1000")
        terminal.see("more names  ")
        terminal.press("\x03")
        terminal.see("more names, the last: ")

    def test_a_script_takes_no_keys_but_those_that_leave(self, chip: StandInChip) -> None:
        with StandInConsole(chip, running=False) as console:
            user = at_terminal(chip.port, ["names 100000"])
            user.see("karai")
            user.press("x\x03")
            assert user.ended() == 128 + signal.SIGINT
            assert console.stops == 0
            user.close()
